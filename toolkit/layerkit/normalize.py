"""An installed distribution, or a folder of own source -> the files that its part of a layer holds.

Nothing that names the host goes in: no scripts with its interpreter's path, no traces of the installer, no bytecode
of its Python.  What `importlib.metadata` and licences need stays.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from layerkit.errors import ContentError
from layerkit.installed import metadata_folders, recorded
from layerkit.model import Bytecode, Prune, TreeFile

# Written by installers about the host or the moment; `uv_*.json` are uv's.
HOST_METADATA = re.compile(r"(INSTALLER|REQUESTED|direct_url\.json|uv_\w+\.json)")
TEST_FOLDERS = {"tests", "test"}
STUB = re.compile(r".*\.pyi|py\.typed")
EXTENSION_SOURCE = re.compile(r".*\.(c|cc|cpp|cxx|cu|h|hh|hpp|hxx|pyx|pxd|pxi|f|f90|rs)")
JUNK_FOLDER = re.compile(r"\..*|__pycache__|.*\.egg-info|node_modules")
JUNK_FILE = re.compile(r"\..*|.*\.py[cod]|.*~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The files of one part before bytecode; `record` is the path of its RECORD, if it has one."""

    files: tuple[TreeFile, ...]
    name: str = ""
    version: str = ""
    license: str = ""
    record: str = ""
    hashes: Mapping[str, tuple[str, str]]  # path -> RECORD's hash and size

    def digest(self) -> str:
        """Of all paths and contents."""
        found = [(file.path, hashlib.sha256(file.read()).hexdigest()) for file in self.files]
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()

    def modules(self) -> list[tuple[Path, str]]:
        """(file, path) of every module that can be imported, sorted by path."""
        return [(f.content, f.path) for f in self.files if isinstance(f.content, Path) and _importable(f.path)]


def distribution(root: Path, name: str, prune: frozenset[Prune]) -> Tree:
    """The tree of the distribution `name` (normalised) installed in `root`.

    Raises ContentError when its RECORD names a file outside `root`.
    """
    info = metadata_folders(root)[name]
    rows = recorded(info)
    from email.parser import Parser  # 15 ms that a build without new distributions does without

    metadata = Parser().parsestr((info / "METADATA").read_text(encoding="utf-8", errors="replace"), headersonly=True)
    files = []
    for path in sorted(rows):
        if _is_dropped(path, root, info, prune):
            continue
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ContentError(f"its RECORD names {path}, which is outside of the layer", where=name)
        if path != f"{info.name}/RECORD":
            files.append(TreeFile(path=path, content=root / path))
    return Tree(
        files=tuple(files),
        name=str(metadata.get("Name", name)),
        version=str(metadata.get("Version", "")),
        license=_license(
            metadata.get("License-Expression"), metadata.get("License"), metadata.get_all("Classifier") or []
        ),
        record=f"{info.name}/RECORD",
        hashes=rows,
    )


def _is_dropped(path: str, root: Path, info: Path, prune: frozenset[Prune]) -> bool:
    parts = PurePosixPath(path).parts
    if parts[0] == info.name and len(parts) == 2:
        return bool(HOST_METADATA.fullmatch(parts[1]))
    if "__pycache__" in parts or (path.endswith((".pyc", ".pyo")) and (root / path).with_suffix(".py").exists()):
        return True
    if parts[0] == "bin":
        return _starts_with_python(root / path)
    return _is_pruned(parts, prune)


def _starts_with_python(script: Path) -> bool:
    """True of a script that an installer gave the host's interpreter (or that is not there at all)."""
    try:
        with script.open("rb") as file:
            head = file.read(512)
    except OSError:
        return True
    return head.startswith(b"#!") and b"python" in head


def _is_pruned(parts: tuple[str, ...], prune: frozenset[Prune]) -> bool:
    if Prune.TESTS in prune and TEST_FOLDERS.intersection(parts[:-1]):
        return True
    if Prune.STUBS in prune and STUB.fullmatch(parts[-1]):
        return True
    return Prune.SOURCES in prune and bool(EXTENSION_SOURCE.fullmatch(parts[-1]))


def _license(expression: str | None, text: str | None, classifiers: Iterable[str]) -> str:
    """PEP 639's expression, else a short License field, else the classifiers' last words."""
    if expression:
        return expression
    if text and len(text) <= 100 and "\n" not in text and text.strip() != "UNKNOWN":
        return text.strip()
    return ", ".join(c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License :: "))


def source(folder: Path, project: Path, prune: frozenset[Prune]) -> Tree:
    """The tree of a folder of own source; what starts with a dot, caches and build traces are left out.

    Raises ContentError for a link that leads out of the project, a device, and a name that is not UTF-8.
    """
    files = tuple(sorted(_walk(folder, folder, project, prune), key=lambda file: file.path))
    if not files:
        raise ContentError("the source folder holds no files", where=str(folder.relative_to(project)))
    return Tree(files=files, hashes={})


def _walk(folder: Path, top: Path, project: Path, prune: frozenset[Prune]) -> Iterator[TreeFile]:
    for item in folder.iterdir():
        path = item.relative_to(top).as_posix()
        where = str(item.relative_to(project))
        if item.is_symlink() and not item.resolve().is_relative_to(project.resolve()):
            raise ContentError(f"is a link out of the project, to {item.readlink()}", where=where)
        if item.is_symlink() and item.is_dir() and folder.resolve().is_relative_to(item.resolve()):
            raise ContentError("is a link to a folder that it stands in", where=where)
        if item.is_dir():
            if not JUNK_FOLDER.fullmatch(item.name):
                yield from _walk(item, top, project, prune)
        elif not item.is_file():
            raise ContentError(
                "is neither a file nor a folder", where=where, cure="remove it from the layer's source"
            )
        elif not JUNK_FILE.fullmatch(item.name) and not _is_pruned(PurePosixPath(path).parts, prune):
            try:
                path.encode()
            except UnicodeEncodeError:
                raise ContentError("has a name that is not UTF-8", where=repr(where)) from None
            yield TreeFile(path=path, content=item)


def _importable(path: str) -> bool:
    return path.endswith(".py") and all(part.isidentifier() for part in path.removesuffix(".py").split("/"))


def with_bytecode(tree: Tree, mode: Bytecode, compiled: Mapping[str, Path], tag: str) -> tuple[TreeFile, ...]:
    """The part's final files: sources, bytecode and a RECORD that names the files that are there.

    `compiled` maps module paths to .pyc files, `tag` is the interpreter's ("cpython-312").
    """
    files = []
    for file in tree.files:
        pyc = compiled.get(file.path)
        if pyc is None or mode is not Bytecode.ONLY:
            files.append(file)
        if pyc is not None and mode is Bytecode.ONLY:
            files.append(TreeFile(path=file.path.removesuffix(".py") + ".pyc", content=pyc))
        elif pyc is not None and mode is Bytecode.UNCHECKED_HASH:
            path = PurePosixPath(file.path)
            files.append(TreeFile(path=str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc"), content=pyc))
    if tree.record:
        there = {file.path for file in files}
        rows = [(path, *tree.hashes[path]) for path in sorted(tree.hashes) if path in there]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([*rows, (tree.record, "", "")])
        files.append(TreeFile(path=tree.record, content=text.getvalue().encode()))
    return tuple(sorted(files, key=lambda file: file.path))
