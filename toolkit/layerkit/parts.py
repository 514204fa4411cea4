"""Parts that the cache lacks -> built parts: installed, normalised, compiled, compressed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from pathlib import Path

from layerkit import archive, bytecode, normalize
from layerkit.builders import Builder
from layerkit.cache import Cache
from layerkit.errors import ContentError
from layerkit.files import disk_errors
from layerkit.model import Interpreter, Part, PartRecord, Target, TreeFile

Tell = Callable[[Sequence[Part], str], None]


def build(parts: Sequence[Part], builder: Builder, cache: Cache, jobs: int, tell: Tell) -> None:
    """Put `parts` into the cache; `tell` is told which of them are at which step.

    Raises what the builder raises, ContentError for content that cannot be packed, MachineError for a full disk.
    """
    if not parts:
        return
    with cache.workspace() as work:
        trees: list[tuple[Part, normalize.Tree]] = []
        for number, (target, group) in enumerate(groupby(sorted(parts, key=_by_target), key=_by_target)):
            trees += _trees(list(group), target, builder, work / f"target-{number}", tell)
        with ThreadPoolExecutor(jobs) as pool:
            for part, tree, compiled in _compiled(trees, work, jobs, tell):
                tell([part], "compressing")
                tag = f"cpython-{part.target.python.replace('.', '')}"
                files = normalize.with_bytecode(tree, part.bytecode, compiled, tag)
                record = PartRecord(
                    label=part.label,
                    name=tree.name,
                    version=tree.version,
                    license=tree.license,
                    size=sum(file.size() for file in files),
                    uncompiled=tuple(path for _, path in tree.modules() if path not in compiled)
                    if part.compiler
                    else (),
                )
                cache.put(part.key, partial(archive.pack_part, files, record, pool))


def _by_target(part: Part) -> Target:
    return part.target


def _trees(
    parts: Sequence[Part], target: Target, builder: Builder, folder: Path, tell: Tell
) -> Iterator[tuple[Part, normalize.Tree]]:
    pins = sorted({part.pin for part in parts if part.pin})
    with disk_errors(folder):
        folder.mkdir()
    if pins:
        tell([part for part in parts if part.pin], "installing")
    homes = builder.install(pins, target, folder) if pins else {}
    for part in parts:
        if part.pin:
            yield part, normalize.distribution(homes[part.pin], part.pin.name, part.prune)
        elif part.source:
            yield part, _snapshot(part, part.source, folder / part.key)


def _snapshot(part: Part, source: Path, to: Path) -> normalize.Tree:
    """A copy of own source, so that an edit while the build runs cannot come under the address of what was before."""
    files = []
    for file in normalize.source(source, part.project, part.prune).files:
        copy = to / file.path
        with disk_errors(to):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read())
        files.append(TreeFile(path=file.path, content=copy))
    tree = normalize.Tree(files=tuple(files), hashes={})
    if tree.digest() != part.content:
        raise ContentError("the source changed while it was built", where=part.label, cure="build again")
    return tree


def _compiled(
    trees: Sequence[tuple[Part, normalize.Tree]], work: Path, jobs: int, tell: Tell
) -> Iterator[tuple[Part, normalize.Tree, dict[str, Path]]]:
    for part, tree in trees:
        if part.compiler is None:
            yield part, tree, {}
    compilers: dict[Interpreter, list[tuple[Part, normalize.Tree]]] = {}
    for part, tree in trees:
        if part.compiler:
            compilers.setdefault(part.compiler, []).append((part, tree))
    for compiler, pairs in compilers.items():
        tell([part for part, _ in pairs], "compiling")
        into = work / f"bytecode-{compiler.release}"
        with disk_errors(work):
            compiled = bytecode.compile_all(compiler, [tree.modules() for _, tree in pairs], into, jobs)
        for (part, tree), files in zip(pairs, compiled, strict=True):
            yield part, tree, files
