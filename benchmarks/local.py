"""`layerkit invoke` and `layerkit serve`: the first answer, a warm request, a restart, and a function's init.

    .venv/bin/python benchmarks/local.py [--rounds N] [--only NAME]... [--python PATH] [--write]

`flask run` serves the same app without Lambda; `sam build` makes the layers whose init is compared.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import command
import tools
from report import Figure, Goal
from tools import Failure, Python

from layerkit import __version__, fronts
from layerkit.cache import Cache
from layerkit.local import chosen
from layerkit.local.container import Containers
from layerkit.local.nouns import Runnable
from layerkit.local.request import RunRequest
from layerkit.sandbox.surroundings import NotHere

HERE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
LAYERS = ("flask", "serverless-wsgi", "lambda-wsgi")
REQUESTS = 200  # of a warm round
SHARE = 0.29  # of a core: what 512 MB have; AWS Lambda Developer Guide: 1,769 MB have one
MEMORY = 512  # MB
FROM_NOTHING = 15  # rounds at least, where one takes a second

# The handler alone, as the app's own time: in the same CPython, with the same layers and the same event.
IN_PROCESS = """
import json, sys, time
sys.path[:0] = json.loads(sys.argv[1])
from lambda_function import lambda_handler
event = json.loads(sys.argv[2])
for number in range(40):
    lambda_handler(dict(event), None)
taken = []
for number in range(200):
    start = time.perf_counter()
    lambda_handler(dict(event), None)
    taken.append(time.perf_counter() - start)
print(sorted(taken)[100])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    work: Path
    project: Path  # built for this machine
    python: Python
    rounds: int
    env: Mapping[str, str]

    @property
    def source(self) -> Path:
        return self.project / "examples/hello/src"

    def runnable(self) -> Runnable:
        request = RunRequest(file=self.project / "layers.yaml", output=self.project / "dist", function="hello")
        found = chosen.choose(request).runnable
        return replace(found, function=replace(found.function, memory=MEMORY, timeout=60))


class Quiet:
    def note(self, message: str) -> None: ...
    def warn(self, message: str) -> None: ...


def first_answer(bench: Bench) -> Iterator[Figure | str]:
    """The whole command, on this machine, beside a plain Python that imports the app and answers once."""
    folder = bench.work / "opt"
    tools.merge([bench.project / "dist" / path.name for path in bench.runnable().zips], folder)
    event = json.dumps(fronts.front().event(fronts.Request()))
    plain = f"import sys; sys.path[:0] = {[str(bench.source), str(folder / 'python')]!r}; import json; "
    plain += f"from lambda_function import lambda_handler; lambda_handler(json.loads({event!r}), None)"
    ours: list[float] = []
    peer: list[float] = []
    invoke = (tools.LAYERKIT, "invoke", "hello", "--in", "host", "--quiet")
    for number in range(max(bench.rounds, FROM_NOTHING) + 1):
        taken = (
            _seconds(partial(tools.run, *invoke, cwd=bench.project, env=bench.env)),
            _seconds(partial(tools.run, bench.python.executable, "-I", "-c", plain)),
        )
        if number:
            ours.append(taken[0])
            peer.append(taken[1])
    yield Figure(
        name="the first answer of `hello` through `invoke --in host`, the whole command", unit="s", layerkit=ours,
        peer_name="a bare CPython that imports the app and calls the handler once", peer=peer,
        goals=(Goal(kind="seconds", bound=1.5),),
    )  # fmt: skip


def warm_request(bench: Bench) -> Iterator[Figure | str]:
    """Medians of 200 requests over one connection, less the time that the handler alone takes."""
    folder = bench.work / "opt"
    tools.merge([bench.project / "dist" / path.name for path in bench.runnable().zips], folder)
    event = json.dumps(fronts.front().event(fronts.Request()))
    paths = json.dumps([str(bench.source), str(folder / "python")])
    ours: list[float] = []
    peer: list[float] = []
    flask = [sys.executable, "-m", "flask", "--app", "lambda_function", "run", "--port", "0"]
    with (
        served(
            [tools.LAYERKIT, "serve", "hello", "--in", "host", "--port", "0"], bench.project, bench.env
        ) as address,
        served(flask, bench.source, {**bench.env, "PYTHONPATH": str(folder / "python")}) as other,
    ):
        for number in range(bench.rounds + 1):
            inside = tools.run(bench.python.executable, "-I", "-c", IN_PROCESS, paths, event)
            taken = requests(address) - float(inside), requests(other) - float(inside)
            if number:
                ours.append(taken[0])
                peer.append(taken[1])
    yield Figure(
        name="a warm request through `serve`, above the handler's own time", peer_name="`flask run`, the same",
        unit="ms", layerkit=ours, peer=peer, goals=(Goal(kind="seconds", bound=0.005),),
    )  # fmt: skip


def restart(bench: Bench) -> Iterator[Figure | str]:
    """From the moment that a file is written to the first answer of the new code."""
    serve: list[str | Path] = [tools.LAYERKIT, "serve", "hello", "--in", "host", "--port", "0", "--watch"]
    flask = [sys.executable, "-m", "flask", "--app", "lambda_function", "run", "--port", "0", "--debug"]
    folder = bench.work / "opt"
    tools.merge([bench.project / "dist" / path.name for path in bench.runnable().zips], folder)
    with served(serve, bench.project, bench.env) as address:
        ours = list(_edits(bench.source / "lambda_function.py", address, bench.rounds + 1))[1:]
        own = bench.project / "layers/lambda-wsgi/lambda_wsgi/__init__.py"
        layer = list(_touches(own, address, bench.project, bench.rounds + 1))[1:]
    with served(flask, bench.source, {**bench.env, "PYTHONPATH": str(folder / "python")}) as address:
        peer = list(_edits(bench.source / "lambda_function.py", address, bench.rounds + 1))[1:]
    goals = (Goal(kind="seconds", bound=1),)
    yield Figure(
        name="`serve --watch`: the function's source is written, until the new code answers", unit="s",
        layerkit=ours, peer_name="`flask run --debug`, the same", peer=peer, goals=goals,
    )  # fmt: skip
    yield Figure(
        name="the same of the handler shim's layer, whose zip is made anew", unit="s", layerkit=layer,
        peer_name="`flask run --debug`, of the app itself", peer=peer, goals=goals,
    )  # fmt: skip


def _edits(file: Path, address: str, rounds: int) -> Iterator[float]:
    """Seconds of each round, in which the app's answer gets another word."""
    text = file.read_text(encoding="utf-8")
    try:
        for number in range(rounds):
            word = f"Hello number {number} of {time.monotonic_ns()}"
            start = time.perf_counter()
            file.write_text(text.replace("Hello from Flask on Lambda", word), encoding="utf-8")
            _until(lambda word=word: word in _get(address))  # type: ignore[misc]
            yield time.perf_counter() - start
            time.sleep(0.5)
    finally:
        file.write_text(text, encoding="utf-8")


def _touches(file: Path, address: str, project: Path, rounds: int) -> Iterator[float]:
    """The same of a layer's own source: the function reads a word from /opt."""
    function = project / "examples/hello/src/lambda_function.py"
    before, shim = function.read_text(encoding="utf-8"), file.read_text(encoding="utf-8")
    reads = before.replace('"Hello from Flask on Lambda"', "__import__('lambda_wsgi').WORD")
    try:
        file.write_text(f'{shim}\nWORD = "none"\n', encoding="utf-8")
        function.write_text(reads, encoding="utf-8")
        _until(lambda: "none" in _get(address))
        for number in range(rounds):
            word = f"layer number {number} of {time.monotonic_ns()}"
            time.sleep(0.5)
            start = time.perf_counter()
            file.write_text(f'{shim}\nWORD = "{word}"\n', encoding="utf-8")
            _until(lambda word=word: word in _get(address))  # type: ignore[misc]
            yield time.perf_counter() - start
    finally:
        file.write_text(shim, encoding="utf-8")
        function.write_text(before, encoding="utf-8")


def init(bench: Bench) -> Iterator[Figure | str]:
    """The init as the runtime's client has it, natively, in a container with the share of a core of 512 MB."""
    theirs = bench.work / "sam"
    tools.sam_project(bench.project, theirs)
    template = theirs / "template.yaml"
    template.write_text(template.read_text().replace("arm64", HERE))
    tools.install_sam(bench.python)
    tools.sam_build(theirs, theirs, bench.python)
    ours = bench.runnable()
    peer = replace(ours, zips=tuple(tools.sam_zips(bench.project, theirs)))
    place = Containers(Cache(bench.work / "cache"), Quiet(), cpus=SHARE)
    event = json.dumps(fronts.front().event(fronts.Request()))
    taken: dict[str, list[float]] = {"ours": [], "peer": []}
    where = ""
    try:
        for number in range(max(bench.rounds, 5) + 1):
            for name, runnable in (("ours", ours), ("peer", peer)):
                with place.open(runnable, lambda _: None) as environment:
                    told = environment.invoke(event)
                    where = environment.where
                if told.failure or not told.init:
                    raise Failure(f"the function failed: {told.failure}")
                if number:
                    taken[name].append(told.init.seconds)
    except NotHere as error:
        yield f"init: not measured: {error}"
        return
    yield Figure(
        name=f"init of `hello` with its layers, {SHARE} of a core, as {MEMORY} MB have", unit="s",
        layerkit=taken["ours"], peer_name="with the layers of `sam build`", peer=taken["peer"],
        goals=(Goal(kind="times", bound=2.2),),
    )  # fmt: skip
    yield f"init in: {where}; the same image and runtime client on both sides"


# --- what is shared ---------------------------------------------------------------------------------------------


def _seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


@contextmanager
def served(words: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> Iterator[str]:
    """host:port of a server that tells its address; Ctrl-C ends it."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            words, cwd=cwd, env={**env, "PYTHONUNBUFFERED": "1"}, stdout=said, stderr=said, start_new_session=True
        )
        try:
            found: list[str] = []

            def look() -> bool:
                said.seek(0)
                found[:] = re.findall(r"http://(127\.0\.0\.1:\d+)", said.read())
                return bool(found) or process.poll() is not None

            _until(look)
            if not found:
                said.seek(0)
                raise Failure(f"{Path(words[0]).name} did not start: {said.read().strip()[-300:]}")
            yield found[0]
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()


def requests(address: str) -> float:
    """The median of the seconds of 200 requests over one connection, after 20 that do not count."""
    connection = http.client.HTTPConnection(address)
    taken = []
    for _ in range(REQUESTS + 20):
        start = time.perf_counter()
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        taken.append(time.perf_counter() - start)
        if answer.status != 200:
            raise Failure(f"{address} answers {answer.status}")
    connection.close()
    return median(taken[20:])


def _get(address: str) -> str:
    """The answer; nothing while a server is away."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise Failure("a server did not do in a minute what it is asked for")
        time.sleep(0.005)


BENCHMARKS: dict[str, Callable[[Bench], Iterator[Figure | str]]] = {
    "invoke": first_answer,
    "serve": warm_request,
    "watch": restart,
    "init": init,
}


def measure(names: Sequence[str], rounds: int, given: Path | None) -> command.Measured:
    """The named benchmarks."""

    def here(declared: dict[str, Any]) -> None:
        declared["defaults"]["architectures"] = [HERE]
        for layer in declared["layers"].values():
            layer.pop("architectures", None)

    results: list[Figure | str] = []
    with command.place(given) as place:
        project = tools.changed(place.project, place.work / "here", here)
        env = place.python.environment() | {"LAYERKIT_CACHE_DIR": str(place.work / "cache")}
        tools.run(tools.LAYERKIT, "lock", cwd=project, env=env)
        tools.run(tools.LAYERKIT, "build", cwd=project, env=env)
        for benchmark in names:
            print(f"measuring: {benchmark} ...", file=sys.stderr)
            scratch = place.work / benchmark
            scratch.mkdir()
            bench = Bench(work=scratch, project=project, python=place.python, rounds=rounds, env=env)
            results += BENCHMARKS[benchmark](bench)
        versions = place.python.versions() if "init" in names else {"CPython": place.python.release}
        versions = {**versions, "layerkit": __version__, "its Python": platform.python_version()}
    figures = [one for one in results if isinstance(one, Figure)]
    return figures, [one for one in results if isinstance(one, str)], versions


if __name__ == "__main__":
    what = "Measure layerkit invoke and layerkit serve."
    sys.exit(command.main(what, BENCHMARKS, measure, block="measured-local"))
