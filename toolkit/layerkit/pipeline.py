"""The table of contents: what `lock` and `build` do, in the order in which the data flows.

layers.yaml -> LayersFile -> Lock -> LayerPlan -> parts -> LayerArchive -> manifest
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from layerkit import __version__, archive, bytecode, config, manifest, parts, plan
from layerkit import lock as lockfile
from layerkit.archive import BuiltPart
from layerkit.builders import Builder, OtherRelease
from layerkit.cache import Cache
from layerkit.errors import ContentError, LockError, MachineError
from layerkit.model import Bytecode, Interpreter, Layer, LayerArchive, LayersFile, Lock, Part, Target
from layerkit.plan import LayerPlan


class Progress(Protocol):
    """Where the pipeline tells what it is doing; `console` shows it."""

    def warn(self, message: str) -> None: ...
    def note(self, message: str) -> None: ...
    def begin(self, files: Sequence[str]) -> None: ...
    def step(self, file: str, doing: str) -> None: ...
    def done(self, result: LayerResult) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What the command line asks of `build`."""

    file: Path
    output: Path
    layers: tuple[str, ...] = ()  # keys, or names in AWS; empty: all
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    jobs: int = 0  # 0: one for each core
    frozen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """What became of a layer: its entry in the manifest, and whether its bytes were made now."""

    entry: manifest.Entry
    built: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LockResult:
    path: Path
    lock: Lock
    previous: Lock | None


def lock(
    file: Path,
    cache: Cache,
    progress: Progress,
    *,
    upgrade_all: bool = False,
    upgrade: Sequence[str] = (),
    seen_release: Callable[[Target], str] = lambda _: "",
) -> LockResult:
    """Resolve all layers of layers.yaml together and write the lock.

    It names the CPython that compiles: this machine's, else the one that was seen in the target's build image.
    """
    from layerkit.resolve import resolve

    layers = _load(file, progress)
    path = lockfile.path_for(layers)
    previous = _previous_lock(path, replaced=upgrade_all)
    kept = None if upgrade_all else previous
    compilers = dict(kept.compilers) if kept else {}
    for target in sorted({target for layer in layers.layers.values() for target in layer.targets}):
        found = bytecode.choose(target.python, "", cache.folder)
        release = found.release if found else seen_release(target)
        if release:
            compilers.setdefault(target.runtime, release)
    made = resolve(layers, kept, upgrade=upgrade, compilers=compilers)
    if made != previous:
        lockfile.write(path, made)
    return LockResult(path=path, lock=made, previous=previous)


def _previous_lock(path: Path, *, replaced: bool) -> Lock | None:
    """The lock before; a damaged one may be replaced, but not merged."""
    try:
        return lockfile.read(path) if path.exists() else None
    except LockError:
        if replaced:
            return None
        raise


def check_lock(file: Path, progress: Progress) -> Path:
    """Raises LockError when the lock is missing or does not fit layers.yaml any more."""
    layers = _load(file, progress)
    path = lockfile.path_for(layers)
    lockfile.check(lockfile.read(path), layers)
    return path


def build(request: BuildRequest, builder: Builder, cache: Cache, progress: Progress) -> list[LayerResult]:
    """Build the layers that are asked for and put them into the output folder, all or none."""
    layers = _load(request.file, progress)
    locked = _lock_for(layers, request, cache, progress)
    try:
        return _build(layers, locked, request, builder, cache, progress)
    except OtherRelease:  # the build image is a newer one than was planned with
        return _build(layers, locked, request, builder, cache, progress)


def _build(
    layers: LayersFile, locked: Lock, request: BuildRequest, builder: Builder, cache: Cache, progress: Progress
) -> list[LayerResult]:
    start = time.monotonic()
    chosen = plan.select(layers, request.layers, request.runtimes, request.architectures)
    compilers = _compilers(chosen, locked, builder, cache, request.frozen, progress)
    plans = [plan.make(layers, locked, layer, target, compilers) for layer, target in chosen]
    progress.begin([one.file for one in plans])

    there = {item["file"]: item for item in manifest.read(request.output)}
    results = []
    missing = [one for one in plans if not _is_current(one, there.get(one.file), request.output)]
    built = _build_parts(missing, builder, cache, request.jobs, layers.step_limit, progress)
    if missing or any(_described(one, there[one.file]) != there[one.file] for one in plans):
        with manifest.replacing(request.output) as (staging, commit):
            there = {item["file"]: item for item in manifest.read(request.output)}  # it is our turn only now
            entries = {
                one.file: _assembled(one, built, staging, progress)
                if one in missing
                else _described(one, there[one.file])
                for one in plans
            }
            declared = {plan.file_name(layer, target) for layer in layers.layers.values() for target in layer.targets}
            kept = {
                file: item for file, item in there.items() if file in declared and (request.output / file).exists()
            }
            (staging / manifest.NAME).write_bytes(manifest.render([*(kept | entries).values()], tools()))
            commit([file for file in there if file not in declared])
        there = entries
    for one in plans:
        results.append(LayerResult(entry=there[one.file], built=one in missing, seconds=time.monotonic() - start))
        progress.done(results[-1])
    return results


def tools() -> dict[str, str]:
    """The versions that decide bytes."""
    from importlib import metadata

    return {"layerkit": __version__, **{name: metadata.version(name) for name in ("deflate", "uv")}}


def _load(file: Path, progress: Progress) -> LayersFile:
    layers = config.load(file)
    for warning in layers.warnings:
        progress.warn(warning)
    return layers


def _lock_for(layers: LayersFile, request: BuildRequest, cache: Cache, progress: Progress) -> Lock:
    path = lockfile.path_for(layers)
    if not path.exists() and not request.frozen:
        progress.warn(f"there is no {path.name} yet; making it, as {lockfile.RELOCK} does")
        return lock(request.file, cache, progress).lock
    locked = lockfile.read(path)
    lockfile.check(locked, layers)
    return locked


def _compilers(
    chosen: Iterable[tuple[Layer, Target]],
    locked: Lock,
    builder: Builder,
    cache: Cache,
    frozen: bool,
    progress: Progress,
) -> dict[str, Interpreter | None]:
    """For each runtime that gets bytecode, who compiles it: this machine, which is faster, or the build container.

    The release that the lock names comes first, wherever it is.  Says, or with `frozen` refuses, what differs.
    """
    found: dict[str, Interpreter | None] = {}
    for layer, target in chosen:
        if target.runtime in found or layer.bytecode is Bytecode.NONE:
            continue
        release = locked.compilers.get(target.runtime, "")
        compiler = bytecode.choose(target.python, release, cache.folder)
        if not compiler or (release and compiler.release != release):
            inside = builder.release(target)
            if inside and (not compiler or inside == release):
                compiler = Interpreter(executable=None, release=inside)
        found[target.runtime] = compiler
        if compiler and compiler.release == release:
            continue
        message = (
            bytecode.other_release(compiler, release) if compiler else bytecode.none_found(target.python, release)
        )
        if frozen:
            raise LockError(
                message,
                where=f"{lockfile.NAME} (--frozen)",
                cure=f"uv python install {release or target.python}",
            )
        progress.warn(f"{target.runtime}: {message}")
    return found


def _is_current(one: LayerPlan, entry: manifest.Entry | None, output: Path) -> bool:
    """True when the output folder holds exactly these bytes already."""
    if entry is None or entry["inputs"] != one.inputs:
        return False
    file = output / one.file
    try:
        if file.stat().st_size != entry["size"]:
            return False
        with file.open("rb") as content:
            return bool(hashlib.file_digest(content, "sha256").hexdigest() == entry["sha256"])
    except OSError:
        return False


def _described(one: LayerPlan, entry: manifest.Entry) -> manifest.Entry:
    """The entry with today's words of layers.yaml, which are no part of the zip."""
    words = {"layer": one.layer.key, "name": one.layer.name, "description": one.layer.description}
    return entry | words | {"license": one.layer.license}


def _build_parts(
    plans: Sequence[LayerPlan], builder: Builder, cache: Cache, jobs: int, step_limit: int, progress: Progress
) -> dict[str, BuiltPart]:
    """All parts of the plans by key, those that the cache lacked built now."""
    users: dict[str, list[str]] = {}
    wanted: dict[str, Part] = {}
    for one in plans:
        for part in one.parts:
            users.setdefault(part.key, []).append(one.file)
            wanted[part.key] = part

    def tell(at_work: Sequence[Part], doing: str) -> None:
        counts: dict[str, list[str]] = {}
        for part in at_work:
            for file in users[part.key]:
                counts.setdefault(file, []).append(part.label)
        for file, labels in counts.items():
            progress.step(file, f"{doing} {labels[0] if len(labels) == 1 else f'{len(labels)} parts'}")

    cached = {key: cache.get(key) for key in wanted}
    parts.build(
        [wanted[key] for key, part in cached.items() if not part],
        builder,
        cache,
        jobs or os.cpu_count() or 1,
        step_limit,
        tell,
    )
    built = {key: part or cache.get(key) for key, part in cached.items()}
    if None in built.values():
        raise MachineError("a part vanished from the cache at once", where=str(cache.folder), cure="build again")
    return {key: part for key, part in built.items() if part}


def _assembled(one: LayerPlan, built: Mapping[str, BuiltPart], staging: Path, progress: Progress) -> manifest.Entry:
    progress.step(one.file, "zipping")
    whole = [built[part.key] for part in one.parts]
    try:
        entries = archive.union(whole)
    except ContentError as error:
        error.where = f"layers.{one.layer.key}"
        raise
    with (staging / one.file).open("wb") as file:
        sha256 = archive.write_layer(entries, file)
        size = file.tell()
    return manifest.entry(
        LayerArchive(
            layer=one.layer,
            target=one.target,
            file=one.file,
            inputs=one.inputs,
            size=size,
            unzipped_size=sum(entry.size for entry in entries),
            sha256=sha256,
            parts=tuple(part.record for part in whole),
            compiler=one.compiler,
        )
    )
