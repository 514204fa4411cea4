"""`layerkit publish` against AWS's stand-in: all regions, nothing changed, a hundred layers, and its memory.

    .venv/bin/python benchmarks/publish.py [--rounds N] [--only NAME]... [--write]

The stand-in is tests/aws_standin in a process of its own: each call takes 100 ms and what it does, and more than 15
calls in a second, to one region, are refused.  The peer is the AWS CLI in a loop, which is what people write.
"""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import command
import tools
from report import Figure, Goal
from tools import Failure, Python
from verify import spent

from layerkit import __version__, uv

LATENCY, ALLOWED = 0.1, 15  # seconds a call; calls a second and region
SAMPLE = ("us-east-1", "eu-central-1")  # of all regions, for the peer
PUBLISH = (tools.LAYERKIT, "publish", "--quiet", "--no-verify-imports")
# Linux counts what a process had before it became another program, so one that is small starts it
WATCH = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
READING = ("Get", "List", "Describe", "Head")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aws:
    """The stand-in."""

    url: str

    def reset(self) -> None:
        """Nothing is published, and nothing was asked."""
        self._ask("/_reset", b"")

    def calls(self) -> list[dict[str, Any]]:
        """What Lambda was asked since."""
        return [one for one in json.loads(self._ask("/_log")) if one["service"] == "lambda"]

    def _ask(self, path: str, data: bytes | None = None) -> bytes:
        with urllib.request.urlopen(self.url + path, data=data) as answer:
            return bytes(answer.read())


@contextmanager
def stand_in() -> Iterator[Aws]:
    """AWS, in a process of its own."""
    given = [sys.executable, "-m", "aws_standin", "--latency", str(LATENCY), "--rate", str(ALLOWED)]
    env = os.environ | {"PYTHONPATH": str(command.REPOSITORY / "tests")}
    with subprocess.Popen(given, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield Aws(url=process.stdout.readline().strip())
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    work: Path
    home: Path
    project: Path
    python: Python
    rounds: int
    aws: Aws

    def environment(self) -> dict[str, str]:
        known = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_PAGER": ""}
        nowhere = {key: str(self.work / "none") for key in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
        here = {"AWS_ENDPOINT_URL": self.aws.url, "AWS_EC2_METADATA_DISABLED": "true"}
        mine = {"LAYERKIT_CACHE_DIR": str(self.work / "cache")}
        return self.python.environment() | known | nowhere | here | mine

    def built(self, name: str, change: Callable[[dict[str, Any]], object], make: Callable[[Path], object]) -> Path:
        """A copy of the project with another layers.yaml, and what `make` puts beside it, locked and built."""
        project = tools.changed(self.project, self.work / name, change)
        make(project)
        for verb in ("lock", "build"):
            tools.run(tools.LAYERKIT, verb, "--quiet", cwd=project, env=self.environment())
        return project

    def publish(self, project: Path, *arguments: str) -> float:
        """Seconds of the command."""
        return spent([*PUBLISH, *arguments], project, self.environment())[0]

    def memory(self, project: Path, *arguments: str) -> float:
        """Bytes of memory that the command had resident at most."""
        said = tools.run(sys.executable, "-S", "-c", WATCH, *PUBLISH, *arguments, cwd=project, env=self.environment())
        return float(said) * (1 if sys.platform == "darwin" else 1024)

    def forget(self, project: Path) -> None:
        """As if nothing had ever been published."""
        self.aws.reset()
        (project / "dist/published.json").unlink(missing_ok=True)
        shutil.rmtree(self.work / "cache/journal", ignore_errors=True)


def all_regions(bench: Bench) -> Iterator[Figure | str]:
    """The three layers in every region, and the same once more; the peer's sample is scaled to all."""
    project = bench.built("three", lambda declared: declared.pop("functions", None), lambda _: None)
    zips = sorted((project / "dist").glob("*.zip"))
    cli = aws_cli(bench.home)
    times: dict[str, list[float]] = {"first": [], "again": [], "alone": [], "same": []}
    counts: Counter[str] = Counter()
    for number in range(bench.rounds + 1):
        bench.forget(project)
        taken = {"first": bench.publish(project, "--region", everywhere())}
        calls = bench.aws.calls()
        taken["again"] = bench.publish(project, "--region", everywhere())
        more = bench.aws.calls()[len(calls) :]
        counts = Counter(first=len(calls), again=len(more), writes=sum(not reading(one) for one in more))
        counts["regions"] = len({one["region"] for one in calls})
        counts["versions"] = sum(one["operation"] == "PublishLayerVersion" for one in calls)
        bench.forget(project)
        scale = counts["regions"] / len(SAMPLE)
        taken |= {name: seconds * scale for name, seconds in loop(bench, cli, zips).items()}
        if number:
            for name, seconds in taken.items():
                times[name].append(seconds)
    name = f"3 layers published in {counts['regions']} regions"
    peer = f"`aws` in a loop, {len(SAMPLE)} regions scaled to {counts['regions']}"
    goals = (Goal(kind="seconds", bound=3), Goal(kind="times", bound=15))
    yield Figure(
        name=name, peer_name=f"{peer}, the same calls", unit="s", layerkit=times["first"], peer=times["same"],
        goals=goals,
    )  # fmt: skip
    yield Figure(
        name=name, peer_name=f"{peer}, publish-layer-version alone", unit="s", layerkit=times["first"],
        peer=times["alone"],
    )  # fmt: skip
    yield Figure(
        name="the same, nothing changed", peer_name="the first time", unit="s", layerkit=times["again"],
        peer=times["first"], goals=(Goal(kind="seconds", bound=2),),
    )  # fmt: skip
    yield (
        f"Calls to Lambda: {counts['first']} the first time, {counts['versions']} of them publish; "
        f"{counts['again']} with nothing changed, {counts['writes']} of them write."
    )
    if counts["writes"] or counts["versions"] != len(zips) * counts["regions"]:
        raise Failure(f"not published exactly once: {counts}")


def loop(bench: Bench, cli: Path, zips: Sequence[Path]) -> dict[str, float]:
    """Seconds of the AWS CLI for the sample: its publish calls alone, and with the reads that layerkit makes."""
    seconds = {"alone": 0.0, "same": 0.0}
    for region in SAMPLE:
        reads = [["get-account-settings"]]
        for zip_file in zips:
            reads += [["list-layer-versions", "--layer-name", zip_file.stem, "--max-items", "1"]] * 2
            publish = ["publish-layer-version", "--layer-name", zip_file.stem, "--zip-file", f"fileb://{zip_file}"]
            publish += ["--compatible-runtimes", "python3.12", "--compatible-architectures", "arm64"]
            seconds["alone"] += asked(bench, cli, region, publish)
        seconds["same"] += sum(asked(bench, cli, region, read) for read in reads)
    seconds["same"] += seconds["alone"]
    return seconds


def asked(bench: Bench, cli: Path, region: str, arguments: Sequence[str]) -> float:
    return spent([cli, "lambda", *arguments, "--region", region], bench.work, bench.environment())[0]


def reading(call: Mapping[str, Any]) -> bool:
    return str(call["operation"]).startswith(READING)


def hundred_layers(bench: Bench) -> Iterator[Figure | str]:
    """100 layers in 10 regions: more than AWS allows in a second."""

    def change(declared: dict[str, Any]) -> None:
        declared["layers"] = {f"part-{number:03}": {"source": f"parts/{number:03}"} for number in range(100)}
        declared.pop("functions", None)

    def make(project: Path) -> None:
        for number in range(100):
            folder = project / f"parts/{number:03}"
            folder.mkdir(parents=True)
            (folder / f"part_{number:03}.py").write_text(f"NUMBER = {number}\n")

    project = bench.built("hundred", change, make)
    regions = (
        "us-east-1,us-east-2,us-west-1,us-west-2,eu-west-1,eu-west-2,eu-west-3,eu-central-1,eu-north-1,sa-east-1"
    )
    for rate, goals in (("14", (Goal(kind="share", bound=1.3),)), ("10", ())):
        bench.forget(project)
        seconds = bench.publish(project, "--region", regions, "--rate", rate)
        calls = bench.aws.calls()
        busiest = max(Counter(one["region"] for one in calls).values())
        refused = sum(one["status"] in (400, 429) for one in calls)
        name = f"100 layers published in 10 regions, `--rate {rate}` (1 round)"
        yield Figure(
            name=name, peer_name=f"what {ALLOWED} calls a second allow ({busiest} in each region)", unit="s",
            share=True, layerkit=[seconds], peer=[busiest / ALLOWED], goals=goals,
        )  # fmt: skip
        yield Figure(
            name="calls that the server throttled in it", peer_name="allowed", unit="failed", share=True,
            layerkit=[float(refused)], peer=[0.0], goals=(Goal(kind="failed", bound=0),),
        )  # fmt: skip


def memory(bench: Bench) -> Iterator[Figure | str]:
    """A zip of 40 MB to one region, and to all."""

    def make(project: Path) -> None:
        (project / "parts").mkdir()
        (project / "parts/data.bin").write_bytes(random.Random(1).randbytes(40_000_000))

    def change(declared: dict[str, Any]) -> None:
        declared["layers"] = {"large": {"source": "parts"}}
        declared.pop("functions", None)

    project = bench.built("large", change, make)
    one: list[float] = []
    every: list[float] = []
    for _ in range(2):
        bench.forget(project)
        one.append(bench.memory(project, "--region", "us-east-1"))
        bench.forget(project)
        every.append(bench.memory(project, "--region", everywhere()))
    name = "most memory of a layer of 40 MB published in all regions (2 rounds)"
    goals = (Goal(kind="bytes", bound=150e6),)
    yield Figure(name=name, peer_name="in one region", unit="MB", share=True, layerkit=every, peer=one, goals=goals)


def everywhere() -> str:
    """All regions of the partition aws where botocore knows Lambda."""
    code = "import boto3; print(','.join(boto3.Session().get_available_regions('lambda')))"
    return tools.run(sys.executable, "-c", code).strip()


def aws_cli(home: Path) -> Path:
    """The AWS CLI (v1, the newest when it was first asked for), in a virtual environment of its own."""
    folder = home / "awscli"
    if not (folder / "bin/aws").exists():
        uv.run(["venv", "--quiet", str(folder)], cwd=home)
        uv.run(["pip", "install", "--quiet", "--python", str(folder / "bin/python"), "awscli"], cwd=home)
    return folder / "bin/aws"


BENCHMARKS: dict[str, Callable[[Bench], Iterator[Figure | str]]] = {
    "regions": all_regions,
    "layers": hundred_layers,
    "memory": memory,
}


def measure(names: Sequence[str], rounds: int, given: Path | None) -> command.Measured:
    """The named benchmarks."""
    results: list[Figure | str] = []
    with command.place(given) as place, stand_in() as aws:
        for benchmark in names:
            print(f"measuring: {benchmark} ...", file=sys.stderr)
            scratch = place.work / benchmark
            scratch.mkdir()
            bench = Bench(
                work=scratch, home=place.home, project=place.project, python=place.python, rounds=rounds, aws=aws
            )
            results += BENCHMARKS[benchmark](bench)
        said = tools.run(aws_cli(place.home), "--version").split()[0]
        versions = {
            "layerkit": __version__,
            "its Python": platform.python_version(),
            "AWS CLI": said.partition("/")[2],
        }
    figures = [one for one in results if isinstance(one, Figure)]
    return figures, [one for one in results if isinstance(one, str)], versions


if __name__ == "__main__":
    sys.exit(command.main("Measure layerkit publish.", BENCHMARKS, measure, block="measured-publish"))
