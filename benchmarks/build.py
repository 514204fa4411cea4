"""Builds, sizes and imports of layerkit beside `sam build` and `pip install -t`, all in one run on one machine.

    .venv/bin/python benchmarks/build.py [--rounds N] [--only NAME]... [--python PATH] [--write]

Package caches (uv's, pip's) are warm: a round that is not counted goes first.  Rounds alternate between the
contestants, and a ratio is of neighbours, so that a machine which slows down slows down both.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import command
import container
import tools
import yaml
from report import Figure, Goal
from tools import Failure, Python

from layerkit import lock as lockfile

IMPORTS = "flask, serverless_wsgi"
LEAST_IMPORTS = 15  # of each side: an import is short, so its noise is large
SMALL = ("six", "tzdata", "pytz")  # what pandas needs one of, in every version of it

Timed = Callable[[], object]
Prepare = Callable[[Path], Timed]  # an empty folder -> what is timed; the preparing is not


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every benchmark is given."""

    work: Path  # a temporary folder, on the file system of the package caches, which link into it
    project: Path  # a copy of the repository, so that nothing is written into the repository
    python: Python
    rounds: int

    def interleaved(
        self, *contestants: Prepare, clean: Callable[[Path], object] = shutil.rmtree
    ) -> list[list[float]]:
        """Seconds of each contestant, round by round, after a round that warms caches; `clean` ends each one's."""
        seconds: list[list[float]] = [[] for _ in contestants]
        for number in range(self.rounds + 1):
            for prepare, taken in zip(contestants, seconds, strict=True):
                folder = Path(tempfile.mkdtemp(prefix="round-", dir=self.work))
                try:
                    timed = prepare(folder)
                    start = time.perf_counter()
                    timed()
                    if number:
                        taken.append(time.perf_counter() - start)
                finally:
                    clean(folder)
        return seconds

    def changed(self, name: str, change: Callable[[dict[str, Any]], object]) -> Path:
        """A copy of the project with another layers.yaml."""
        return tools.changed(self.project, self.work / name, change)

    def folder(self, name: str) -> Path:
        folder = self.work / name
        folder.mkdir()
        return folder


def from_nothing(bench: Bench) -> Iterator[Figure]:
    """Three layers; the own caches of each tool empty, the caches of packages warm."""
    template = bench.work / "sam-from-nothing"
    tools.sam_project(bench.project, template)
    layerkit, sam, pip = bench.interleaved(
        lambda folder: partial(tools.layerkit_build, bench.project, folder, bench.python),
        lambda folder: partial(tools.sam_build, template, folder, bench.python),
        lambda folder: partial(tools.pip_and_zip, bench.project, folder, bench.python),
    )
    figure = partial(Figure, name="build from nothing", unit="s", layerkit=layerkit)
    third, as_fast = Goal(kind="times", bound=3), Goal(kind="times", bound=1)
    yield figure(peer_name="`sam build` (two of the layers, no zip)", peer=sam, goals=(third,))
    yield figure(peer_name="`pip install -t`, `zip -qr`", peer=pip, goals=(as_fast,))


def again(bench: Bench) -> Iterator[Figure]:
    """The same builds with nothing changed."""
    folder, template = bench.folder("again"), bench.folder("sam-again")
    tools.sam_project(bench.project, template)
    peer = "`sam build --cached`"
    contestants: dict[str, Timed] = {
        "`layerkit build`": partial(tools.layerkit_build, bench.project, folder, bench.python),
        peer: partial(tools.sam_build, template, template, bench.python, "--cached"),
    }
    if (bench.project / "build.sh").exists():  # in a copy, since it makes .venv and dist/ beside itself
        door = shutil.copytree(bench.project, bench.work / "build-sh")
        env = bench.python.environment() | {"LAYERKIT_CACHE_DIR": str(folder / "cache")}
        contestants["`./build.sh`"] = partial(tools.run, door / "build.sh", cwd=door, env=env)
    for prime in contestants.values():
        prime()
    runs = bench.interleaved(*(partial(_as_it_is, timed) for timed in contestants.values()))
    seconds = dict(zip(contestants, runs, strict=True))
    quick = (Goal(kind="seconds", bound=0.3), Goal(kind="times", bound=2))
    for name in contestants:
        if name != peer:
            yield Figure(
                name=f"nothing changed, {name}", peer_name=peer, unit="s",
                layerkit=seconds[name], peer=seconds[peer], goals=quick,
            )  # fmt: skip


def _as_it_is(timed: Timed, _: Path) -> Timed:
    """A contestant that needs no new folder for each round."""
    return timed


def one_changed(bench: Bench) -> Iterator[Figure]:
    """A layer with pandas, of which one small distribution moves from an older pin to the newer one."""
    new = _with_pandas(bench, "new", bench.project, "pandas")
    after = _versions(new)
    small = next((name for name in SMALL if name in after), "")
    # from the newer lock to the older one, so that all other pins are kept
    old = _with_pandas(bench, "old", new, "pandas", f"{small}<{after[small]}") if small else new
    before = _versions(old)
    moved = {name for name in before | after if before.get(name) != after.get(name)}
    if moved != {small}:
        raise Failure(f"on this index not one small distribution of pandas changes but {sorted(moved) or 'none'}")

    def with_one_changed(folder: Path) -> Timed:
        tools.layerkit_build(old, folder, bench.python, "pandas")
        return partial(tools.layerkit_build, new, folder, bench.python, "pandas")

    changed, whole = bench.interleaved(
        with_one_changed,
        lambda folder: partial(tools.layerkit_build, new, folder, bench.python, "pandas"),
    )
    yield Figure(
        name=f"layer of pandas {after['pandas']}, {small} {before[small]} became {after[small]}",
        peer_name="`layerkit build` of it from nothing", unit="s",
        layerkit=changed, peer=whole, goals=(Goal(kind="share", bound=0.25),), share=True,
    )  # fmt: skip


def _with_pandas(bench: Bench, name: str, like: Path, *requirements: str) -> Path:
    """A copy of the project with a fourth layer, locked; pins are kept from the lock of `like`."""
    layer = {"requirements": [*requirements]}
    project = bench.changed(name, lambda declared: declared["layers"].update(pandas=layer))
    shutil.copy(like / lockfile.NAME, project)
    env = bench.python.environment() | {"LAYERKIT_CACHE_DIR": str(bench.work / "cache-of-locking")}
    tools.run(tools.LAYERKIT, "lock", cwd=project, env=env)
    return project


def _versions(project: Path) -> dict[str, str]:
    return {pin.name: pin.version for pin in lockfile.read(project / lockfile.NAME).pins}


def sizes(bench: Bench) -> Iterator[Figure]:
    """All zips together, in bytes."""
    plain = bench.changed("plain", lambda declared: declared.setdefault("defaults", {}).update(bytecode="none"))
    template = bench.folder("sam-sizes")
    tools.sam_project(bench.project, template)
    tools.sam_build(template, template, bench.python)
    packaged = tools.sam_zips(bench.project, template)
    smallest = [template / f"{zipped.stem}-9.zip" for zipped in packaged]
    for layer in tools.layers(bench.project):
        if layer.requirements:
            tools.run("zip", "-9qr", template / f"{layer.key}-9.zip", ".", cwd=template / "built" / layer.id)
    for name, project, goals in (
        ("zips without bytecode", plain, (Goal(kind="share", bound=0.75),)),
        ("zips with bytecode", bench.project, ()),
    ):
        tools.layerkit_build(project, bench.folder(f"size-of-{project.name}"), bench.python)
        ours = [_total((bench.work / f"size-of-{project.name}/dist").glob("*.zip"))]
        figure = partial(Figure, name=name, unit="kB", layerkit=ours, goals=goals, share=True)
        yield figure(peer_name="as `sam package` zips (no bytecode in it)", peer=[_total(packaged)])
        yield figure(peer_name="SAM's output, `zip -9`", peer=[_total(smallest)])


def _total(files: Iterator[Path] | Sequence[Path]) -> float:
    return float(sum(file.stat().st_size for file in files))


def cold_import(bench: Bench) -> Iterator[Figure]:
    """`import flask, serverless_wsgi` in new processes, from folders that cannot be written, as /opt in Lambda.

    SAM's output holds no bytecode at all (it unpacks wheels and does not compile), so each process compiles every
    module.  markupsafe's extension is for ARM: on another machine both sides take its Python fallback.
    """
    template, built = bench.folder("sam-import"), bench.folder("import")
    tools.sam_project(bench.project, template)
    tools.sam_build(template, template, bench.python)
    if found := [*(template / "built").rglob("*.pyc")]:
        print(f"note: SAM's output holds {len(found)} .pyc files, which it never did", file=sys.stderr)
    tools.layerkit_build(bench.project, built, bench.python)
    ours = [built / "dist" / f"{name}.zip" for name in _names(bench.project)]
    seconds: dict[Path, list[float]] = {bench.work / "opt-layerkit": [], bench.work / "opt-sam": []}
    for opt, zips in zip(seconds, (ours, tools.sam_zips(bench.project, template)), strict=True):
        tools.merge(zips, opt)
    listed = {opt: sorted(opt.rglob("*")) for opt in seconds}
    for number in range(max(LEAST_IMPORTS, bench.rounds) + 1):
        for opt, taken in seconds.items():
            second = tools.time_import(bench.python, [opt / "python"], f"import {IMPORTS}")
            if number:
                taken.append(second)
    for opt, before in listed.items():
        if sorted(opt.rglob("*")) != before:
            raise Failure(f"an import wrote into {opt.name}, which is read-only: run as another user than root")
        tools.allow_writing(opt, allow=True)
    layerkit, sam = seconds.values()
    yield Figure(
        name=f"`import {IMPORTS}`, new process, read-only", peer_name="SAM's output, no bytecode", unit="ms",
        layerkit=layerkit, peer=sam, goals=(Goal(kind="times", bound=2.2),),
    )  # fmt: skip


def _names(project: Path) -> list[str]:
    declared = yaml.safe_load((project / "layers.yaml").read_text(encoding="utf-8"))["layers"]
    return [layer.get("name", key) for key, layer in declared.items()]


BENCHMARKS: dict[str, Callable[[Bench], Iterator[Figure | str]]] = {  # str: a note
    "build": from_nothing,
    "again": again,
    "change": one_changed,
    "size": sizes,
    "import": cold_import,
    "container": container.from_nothing,
    "container-again": container.again,
    "sdists": container.sdists,
}


def measure(names: Sequence[str], rounds: int, given: Path | None) -> command.Measured:
    """The named benchmarks."""
    if not shutil.which("zip"):
        raise Failure("the program zip is not installed")
    results: list[Figure | str] = []
    with command.place(given) as place:
        tools.install_sam(place.python)
        for benchmark in names:
            print(f"measuring: {benchmark} ...", file=sys.stderr)
            scratch = place.work / benchmark
            scratch.mkdir()
            bench = Bench(work=scratch, project=place.project, python=place.python, rounds=rounds)
            results += BENCHMARKS[benchmark](bench)
            shutil.rmtree(scratch)
        versions = place.python.versions()
    figures = [one for one in results if isinstance(one, Figure)]
    notes = list(dict.fromkeys(one for one in results if isinstance(one, str)))
    return figures, notes, versions


if __name__ == "__main__":
    sys.exit(command.main("Measure layerkit beside sam build and pip install -t.", BENCHMARKS, measure))
