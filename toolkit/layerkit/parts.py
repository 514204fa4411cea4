"""Parts that the cache lacks -> built parts: installed, normalised, compiled, compressed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path

from layerkit import archive, bytecode, normalize
from layerkit.builders import Builder, Installed, Session, Wanted
from layerkit.bytecode import Chunks
from layerkit.cache import Cache
from layerkit.errors import ContentError
from layerkit.files import disk_errors
from layerkit.model import Interpreter, Origin, Part, PartRecord, Pin, Target, TreeFile

Tell = Callable[[Sequence[Part], str], None]


@dataclass(slots=True)
class _Work:
    """A part on its way: what was installed of it, and the bytecode of its modules."""

    part: Part
    tree: normalize.Tree
    origin: Origin
    libraries: Mapping[str, Path] = field(default_factory=dict)
    compiled: Mapping[str, Path] = field(default_factory=dict)


def build(parts: Sequence[Part], builder: Builder, cache: Cache, jobs: int, step_limit: int, tell: Tell) -> None:
    """Put `parts` into the cache; `tell` is told which of them are at which step.

    Raises what the builder raises, ContentError for content that cannot be packed, MachineError for a full disk.
    """
    if not parts:
        return
    with cache.workspace() as work:
        works: list[_Work] = []
        for number, (target, group) in enumerate(groupby(sorted(parts, key=_by_target), key=_by_target)):
            folder = work / f"target-{number}"
            with disk_errors(work):
                folder.mkdir()
            with builder.session(target, folder, step_limit) as session:
                begun = list(_begin([*group], session, folder, tell))
                _compile([one for one in begun if _is_inside(one)], session, folder, jobs, tell)
            works += begun
        _compile([one for one in works if not _is_inside(one)], None, work, jobs, tell)
        with ThreadPoolExecutor(jobs) as pool:
            for one in works:
                tell([one.part], "compressing")
                cache.put(one.part.key, partial(archive.pack_part, *_packed(one), pool))


def _by_target(part: Part) -> Target:
    return part.target


def _is_inside(one: _Work) -> bool:
    """True of a part that the container's CPython compiles."""
    return one.part.compiler is not None and one.part.compiler.executable is None


def _begin(parts: Sequence[Part], session: Session, folder: Path, tell: Tell) -> Iterator[_Work]:
    wanted = {Wanted(pin=part.pin, environment=part.environment) for part in parts if part.pin}

    def tell_pins(pins: Sequence[Pin], doing: str) -> None:
        tell([part for part in parts if part.pin in pins], doing)

    installed: Mapping[Wanted, Installed] = session.install(sorted(wanted), tell_pins) if wanted else {}
    for part in parts:
        if part.pin:
            found = installed[Wanted(pin=part.pin, environment=part.environment)]
            tree = normalize.distribution(found.home, part.pin.name, part.prune)
            yield _Work(part, tree, found.origin, found.libraries)
        elif part.source:
            yield _Work(part, _snapshot(part, part.source, folder / part.key), Origin())


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


def _compile(works: Sequence[_Work], session: Session | None, folder: Path, jobs: int, tell: Tell) -> None:
    """Compile on this machine, or where there is a session, in its container."""
    compilers: dict[Interpreter, list[_Work]] = {}
    for one in works:
        if one.part.compiler:
            compilers.setdefault(one.part.compiler, []).append(one)
    for compiler, group in compilers.items():
        tell([one.part for one in group], "compiling" if compiler.executable else "compiling in the container:")
        run = (
            partial(_run_inside, session, compiler, group) if session else partial(bytecode.run_here, compiler, jobs)
        )
        with disk_errors(folder):
            modules = [one.tree.modules() for one in group]
            compiled = bytecode.compile_all(run, modules, folder / f"bytecode-{compiler.release}")
        for one, files in zip(group, compiled, strict=True):
            one.compiled = files


def _run_inside(session: Session, compiler: Interpreter, works: Sequence[_Work], chunks: Chunks) -> None:
    origin = session.compile(compiler.release, chunks)
    for one in works:
        if one.origin.builder == "host":
            one.origin = origin


def _packed(one: _Work) -> tuple[tuple[TreeFile, ...], PartRecord]:
    part, tree = one.part, one.tree
    tag = f"cpython-{part.target.python.replace('.', '')}"
    libraries = [TreeFile(path=name, content=file, top="lib") for name, file in sorted(one.libraries.items())]
    files = (*normalize.with_bytecode(tree, part.bytecode, one.compiled, tag), *libraries)
    uncompiled = (path for _, path in tree.modules() if path not in one.compiled) if part.compiler else ()
    return files, PartRecord(
        label=part.label,
        name=tree.name,
        version=tree.version,
        license=tree.license,
        size=sum(file.size() for file in files),
        uncompiled=tuple(uncompiled),
        origin=one.origin,
        libraries=tuple(one.libraries),
    )
