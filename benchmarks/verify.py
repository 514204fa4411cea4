"""`layerkit verify`: its time beyond start-up, its memory, its import check, and the facts of ELF files.

    .venv/bin/python benchmarks/verify.py [--rounds N] [--only NAME]... [--python PATH] [--write]

Nothing else looks into layers, so the peers do a part of the work: `python -m zipfile -t` and `unzip -tq` read every
byte of the same zips and compare checksums; a bare `import` of the same modules; pyelftools for ELF facts.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import command
import tools
from report import Figure, Goal
from tools import Failure, Python

from layerkit import __version__, elf, uv

THREE = ("flask", "serverless-wsgi", "lambda-wsgi")
LARGE = ("pandas", "numpy", "pyarrow")
HERE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
START = ("-c", "import layerkit.cli, layerkit.cache, layerkit.verify.pipeline")  # the command before its work


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    work: Path
    home: Path
    project: Path
    python: Python
    rounds: int

    def built(self, name: str, change: Callable[[dict[str, Any]], object]) -> Path:
        """A copy of the project with another layers.yaml, locked and built."""
        project = tools.changed(self.project, self.work / name, change)
        env = self.python.environment() | {"LAYERKIT_CACHE_DIR": str(self.work / "cache")}
        tools.run(tools.LAYERKIT, "lock", cwd=project, env=env)
        tools.run(tools.LAYERKIT, "build", cwd=project, env=env)
        return project

    def verify(self, project: Path, *arguments: str) -> tuple[float, float]:
        """Seconds and bytes (the most resident memory) of the command, whose cache is empty."""
        cache = self.work / "verify-cache"
        shutil.rmtree(cache, ignore_errors=True)
        env = self.python.environment() | {"LAYERKIT_CACHE_DIR": str(cache)}
        return spent([tools.LAYERKIT, "verify", "--quiet", *arguments], project, env)


def spent(command: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> tuple[float, float]:
    """Wall seconds of a command, and the most memory that it, or a child of it, had.  Raises Failure."""
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        said = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failure(f"{Path(command[0]).name} failed: {said.decode(errors='replace').strip().splitlines()[0]}")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def three_layers(bench: Bench) -> Iterator[Figure | str]:
    """The three layers and the function; start-up is a Python that imports what the command does."""
    project = bench.built("three", lambda declared: declared["defaults"].update(architectures=["arm64"]))
    zips = sorted((project / "dist").glob("*.zip"))
    env = bench.python.environment()
    ours: list[float] = []
    start: list[float] = []
    peer: list[float] = []
    for number in range(bench.rounds + 1):
        taken = (
            bench.verify(project, "--imports", "none")[0],
            spent([sys.executable, *START], project, env)[0],
            sum(spent([sys.executable, "-m", "zipfile", "-t", one], project, env)[0] for one in zips),
        )
        if number:
            for values, value in zip((ours, start, peer), taken, strict=True):
                values.append(value)
    beyond = [one - other for one, other in zip(ours, start, strict=True)]
    yield Figure(
        name="three layers and their function verified, without imports, beyond start-up", unit="s", layerkit=beyond,
        peer_name="`python -m zipfile -t` of the three, start-ups and all", peer=peer,
        goals=(Goal(kind="seconds", bound=0.2),),
    )  # fmt: skip
    yield Figure(
        name="the same, the whole command", peer_name="its start-up alone", unit="s", layerkit=ours, peer=start
    )


def large_layer(bench: Bench) -> Iterator[Figure | str]:
    """pandas, numpy and pyarrow, as large as Lambda takes it."""

    def change(declared: dict[str, Any]) -> None:
        declared["layers"] = {
            "large": {"requirements": [*LARGE], "bytecode": "none", "prune": ["tests", "stubs", "sources"]}
        }
        declared.pop("functions", None)

    project = bench.built("large", change)
    [file] = (project / "dist").glob("*.zip")
    with zipfile.ZipFile(file) as archive:
        unzipped = sum(info.file_size for info in archive.infolist())
    env = bench.python.environment()
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    plain: list[tuple[float, float]] = []
    for number in range(bench.rounds + 1):
        taken = (
            bench.verify(project, "--imports", "none"),
            spent([sys.executable, "-m", "zipfile", "-t", file], project, env),
            spent(["unzip", "-tqq", file], project, env),
        )
        if number:
            for values, value in zip((ours, theirs, plain), taken, strict=True):
                values.append(value)
    size = f"{file.stat().st_size / 1e6:.0f} MB, {unzipped / 1e6:.0f} MB unzipped"
    name = f"layer of {', '.join(LARGE)} ({size}) verified, without imports"
    seconds, memory = [list(values) for values in zip(*ours, strict=True)]
    zipfile_seconds, zipfile_memory = [list(values) for values in zip(*theirs, strict=True)]
    two, most = Goal(kind="seconds", bound=2), Goal(kind="bytes", bound=150e6)
    yield Figure(
        name=name, peer_name="`python -m zipfile -t`, a read alone", unit="s", layerkit=seconds, peer=zipfile_seconds,
        goals=(two,),
    )  # fmt: skip
    yield Figure(
        name=name, peer_name="`unzip -tqq`, a read alone", unit="s", layerkit=seconds, peer=[one for one, _ in plain]
    )
    yield Figure(
        name="the same, most memory", peer_name="`python -m zipfile -t`", unit="MB", share=True,
        layerkit=memory, peer=zipfile_memory, goals=(most,),
    )  # fmt: skip


def imports(bench: Bench) -> Iterator[Figure | str]:
    """The import check of the three layers and the function on this machine, built for its architecture."""
    project = bench.built("here", lambda declared: declared["defaults"].update(architectures=[HERE]))
    opt = bench.work / "opt"
    tools.merge(sorted((project / "dist").glob("*.zip")), opt)
    modules = "flask, jinja2, werkzeug, click, itsdangerous, blinker, markupsafe, serverless_wsgi, lambda_wsgi"
    layers: list[float] = []
    all_of_it: list[float] = []
    peer: list[float] = []
    for number in range(bench.rounds + 1):
        without, _ = bench.verify(project, *THREE, "--imports", "none")
        three, _ = bench.verify(project, *THREE, "--imports", "host")
        four, _ = bench.verify(project, "--imports", "host")
        bare = tools.time_import(bench.python, [opt / "python"], f"import {modules}")
        if number:
            layers.append(three - without)
            all_of_it.append(four - without)
            peer.append(bare)
    tools.allow_writing(opt, allow=True)
    figure = partial(Figure, unit="s", peer_name="a bare `import` of the same modules in one process", peer=peer)
    name = "import check of the three layers, on this machine"
    yield figure(name=name, layerkit=layers, goals=(Goal(kind="seconds", bound=1),))
    yield figure(name="the same and the function with them", layerkit=all_of_it)


def elf_facts(bench: Bench) -> Iterator[Figure | str]:
    """Machine, needed libraries, search paths, versions and flags of each ELF file of the large layer's wheels."""
    kept = bench.home / "pyelftools"
    tools.install_adapter(bench.python, kept, "pyelftools")
    sys.path.insert(0, str(kept))
    import elf_peer

    tree = bench.work / "tree"
    platform_of = ["--python-platform", "aarch64-manylinux_2_34", "--python-version", tools.MINOR]
    uv.run(["pip", "install", "--target", str(tree), "--only-binary", ":all:", *platform_of, *LARGE], cwd=bench.work)
    found = (file.read_bytes() for file in sorted(tree.rglob("*.so*")))
    files = [content for content in found if content.startswith(elf.MAGIC)]
    taken: dict[Callable[[bytes], object], list[float]] = {elf.read: [], elf_peer.facts: []}
    for number in range(bench.rounds + 1):
        for facts, values in taken.items():
            start = time.perf_counter()
            for content in files:
                facts(content)
            if number:
                values.append(time.perf_counter() - start)
    ours, peer = taken.values()
    [found_peer] = metadata.distributions(path=[str(kept)])
    name = f"facts of {len(files)} ELF files"
    yield Figure(name=name, peer_name=f"pyelftools {found_peer.version}", unit="ms", layerkit=ours, peer=peer)


BENCHMARKS: dict[str, Callable[[Bench], Iterator[Figure | str]]] = {
    "three": three_layers,
    "imports": imports,
    "layer": large_layer,
    "elf": elf_facts,
}


def measure(names: Sequence[str], rounds: int, given: Path | None) -> command.Measured:
    """The named benchmarks."""
    if not shutil.which("unzip"):
        raise Failure("the program unzip is not installed")
    results: list[Figure | str] = []
    with command.place(given) as place:
        for benchmark in names:
            print(f"measuring: {benchmark} ...", file=sys.stderr)
            scratch = place.work / benchmark
            scratch.mkdir()
            bench = Bench(work=scratch, home=place.home, project=place.project, python=place.python, rounds=rounds)
            results += BENCHMARKS[benchmark](bench)
        versions = {"CPython": place.python.release, "layerkit": __version__, "its Python": platform.python_version()}
    figures = [one for one in results if isinstance(one, Figure)]
    return figures, [one for one in results if isinstance(one, str)], versions


if __name__ == "__main__":
    what = "Measure layerkit verify."
    sys.exit(command.main(what, BENCHMARKS, measure, block="measured-verify"))
