"""The handler shim beside the adapters that people use, all in one run on one machine and one CPython 3.12.

    .venv/bin/python benchmarks/shim.py [--rounds N] [--only NAME]... [--python PATH] [--write]

The shim and Flask come out of the built layers, the adapters from the index; all lie in folders that cannot be
written, as /opt in Lambda, with bytecode that is used unchecked.  Adapters take turns, in another order each time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path

import command
import report
import tools
from command import Place
from report import Figure, Goal
from shim_process import CASES
from tools import Failure

from layerkit import __version__

SHIM, OBJECT = "handle_request", "LambdaWSGI"  # both our own; the first is the slower
FLASK = "flask"
LEAST_IMPORTS = 15
SLICES = 7  # of each case in a round, of which the fastest counts: what disturbs a machine only ever adds
# as the runtime has it: the trace is there for each request
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "_X_AMZN_TRACE_ID": "Root=1-5e6b67ad-2d4a5560cf6fb7a02780c3a0",
}
APP = """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return {"message": "hello"}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """`distributions` of the index (none: our own layer); the statements are those of a function's own file."""

    distributions: tuple[str, ...] = ()
    imported: str
    handler: str


ADAPTERS = {
    SHIM: Adapter(imported="import lambda_wsgi", handler="from main import handler"),
    "serverless-wsgi": Adapter(
        distributions=("serverless-wsgi",),
        imported="import serverless_wsgi",
        handler="import serverless_wsgi; from app import app",
    ),
    "apig-wsgi": Adapter(
        distributions=("apig-wsgi",),
        imported="import apig_wsgi",
        handler="import apig_wsgi; from app import app; handler = apig_wsgi.make_lambda_handler(app)",
    ),
    "Mangum + a2wsgi": Adapter(
        distributions=("mangum", "a2wsgi"),
        imported="import a2wsgi, mangum",
        handler="import a2wsgi, mangum; from app import app; "
        "handler = mangum.Mangum(a2wsgi.WSGIMiddleware(app), lifespan='off')",
    ),
}
PEERS = [name for name in ADAPTERS if name != SHIM]
COLUMNS = {OBJECT: f"our `{OBJECT}`"} | {name: name for name in PEERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every benchmark is given."""

    place: Place  # with the layers' zips in work/dist
    rounds: int
    opt: dict[str, Path]  # adapter, or FLASK -> its unpacked layer, which cannot be written

    def folders(self, adapter: str) -> list[Path]:
        """Flask's first: one Werkzeug for all."""
        return [self.opt[name] / "python" for name in (FLASK, SHIM if adapter == OBJECT else adapter)]

    def process(self, what: str, adapter: str) -> list[str | Path]:
        program = self.place.project / "benchmarks/shim_process.py"
        folders = [*self.folders(adapter), self.place.project / "tests", self.place.project / "toolkit"]
        return [self.place.python.executable, "-I", "-S", program, what, adapter, *folders]


def requests(bench: Bench) -> Iterator[Figure]:
    """A new process of each adapter for each round, all alive at once, and one at work."""
    adapters = [SHIM, OBJECT, *PEERS]
    runs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(bench.rounds):
        with ExitStack() as stack:
            workers = {adapter: stack.enter_context(worker(bench, adapter)) for adapter in adapters}
            for case in CASES:
                slices: dict[str, list[tuple[float, float]]] = defaultdict(list)
                for turn in range(SLICES):
                    for adapter in rotated(adapters, number + turn):
                        slices[adapter].append(ask(workers[adapter], case))
                for adapter in adapters:
                    whole, alone = (min(column) for column in zip(*slices[adapter], strict=True))
                    runs[case, adapter].append(whole - alone)
    half, twice = Goal(kind="share", bound=0.5), Goal(kind="share", bound=2)
    for name, what in CASES.items():
        goals = {} if what.flask else {"apig-wsgi": (twice,)} | ({} if what.large else {"serverless-wsgi": (half,)})
        for peer in adapters[1:]:
            yield Figure(
                group="flask" if what.flask else "request", name=name, unit="µs", share=True, peer_name=COLUMNS[peer],
                layerkit=runs[name, SHIM], peer=runs[name, peer], goals=goals.get(peer, ()),
            )  # fmt: skip


def worker(bench: Bench, adapter: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(bench.process("requests", adapter), stdin=pipe, stdout=pipe, text=True, env=ENVIRONMENT)


def ask(process: subprocess.Popen[str], case: str) -> tuple[float, float]:
    """Seconds of one call, and of the app in it."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{case}\n")
    process.stdin.flush()
    if not (line := process.stdout.readline()):
        raise Failure(f"the process that was to time {case!r} has ended; above is what it said")
    whole, alone = map(float, line.split())
    return whole, alone


def rotated(names: Sequence[str], number: int) -> list[str]:
    first = number % len(names)
    return [*names[first:], *names[:first]]


def imports(bench: Bench) -> Iterator[Figure]:
    """New processes in which Flask is imported already; the handler's time is without that of the app's module."""
    function = bench.place.work / "function"
    function.mkdir()
    (function / "app.py").write_text(APP)
    env = ENVIRONMENT | {"LAMBDA_TASK_ROOT": str(function)}

    def seconds(adapter: str, statement: str) -> float:
        folders = [function, *bench.folders(adapter)]
        return tools.time_import(bench.place.python, folders, statement, before="import flask", env=env)

    runs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(max(LEAST_IMPORTS, bench.rounds) + 1):
        for name in rotated([*ADAPTERS], number):
            adapter = ADAPTERS[name]
            imported = seconds(name, adapter.imported)
            handler = seconds(name, adapter.handler) - seconds(name, "from app import app")
            if number:
                runs["the adapter's import", name].append(imported)
                runs["a handler of an app in app.py, less the app's own import", name].append(handler)
    quick = (Goal(kind="seconds", bound=0.006),)
    for name in dict.fromkeys(name for name, _ in runs):
        for peer in PEERS:
            yield Figure(
                group="import", name=name, unit="ms", share=True, peer_name=peer,
                layerkit=runs[name, SHIM], peer=runs[name, peer], goals=quick if peer == PEERS[0] else (),
            )  # fmt: skip


def sizes(bench: Bench) -> Iterator[Figure | str]:
    """Zips with bytecode; the peers' hold all that the index says they need."""
    ours, beside_flask = (
        float((bench.place.work / f"dist/{layer}-layer.zip").stat().st_size)
        for layer in ("lambda-wsgi", "serverless-wsgi")
    )
    for peer in PEERS:
        zipped = tools.zip_folder(bench.opt[peer], bench.place.work / f"{slug(peer)}.zip", level=9)
        yield Figure(
            group="size", name="zip with bytecode", unit="kB", share=True, peer_name=peer, layerkit=[ours],
            peer=[float(zipped.stat().st_size)], goals=(Goal(kind="bytes", bound=40e3),) if peer == PEERS[0] else (),
        )  # fmt: skip
    more = {peer: versions([bench.opt[peer]]).keys() - set(ADAPTERS[peer].distributions) for peer in PEERS}
    needed = "; ".join(f"{', '.join(sorted(names))} for {peer}" for peer, names in more.items() if names)
    yield (
        f"In the peers' zips is what they need: {needed}. Where Flask's layer has that already, serverless-wsgi's is "
        f"{beside_flask / 1e3:.1f} kB (this repository's own layer)."
    )


def conformance(bench: Bench) -> Iterator[Figure | str]:
    """The table of tests/conformance.py: cases behind each of the fronts; one check is one case behind one front."""
    adapters = [SHIM, OBJECT, *PEERS]
    said = {name: tools.run(*bench.process("conformance", name), env=ENVIRONMENT) for name in adapters}
    found = {name: json.loads(text.splitlines()[-1]) for name, text in said.items()}  # an adapter may print, too
    fronts = found[SHIM]["common"]
    for front, (failed, checks) in fronts.items():
        for peer in adapters[1:]:
            yield Figure(
                group="conformance", name=f"{front}, of {checks}", unit="failed", share=True, peer_name=COLUMNS[peer],
                layerkit=[failed], peer=[found[peer]["common"][front][0]],
                goals=(Goal(kind="failed", bound=0),) if peer == OBJECT else (),
            )  # fmt: skip
    claimed = [front for front in fronts if not front.startswith("lattice")]
    checks = sum(fronts[front][1] for front in claimed)
    failing = {name: sum(found[name]["common"][front][0] for front in claimed) for name in adapters}
    each = ", ".join(f"{name} {count}" for name, count in failing.items())
    yield f"Of {checks} checks without VPC Lattice, which no peer claims to serve, fail: {each}."
    failed, own = (sum(column) for column in zip(*found[SHIM]["own"].values(), strict=True))
    yield f"Of {own} more about what is the shim's own (its settings, what no source decides) fail {failed}."


BENCHMARKS: dict[str, Callable[[Bench], Iterator[Figure | str]]] = {
    "request": requests,
    "import": imports,
    "size": sizes,
    "conformance": conformance,
}
GROUPS = {  # of figures: the benchmark that makes them, what they are, what our column is called
    "request": ("request", "Time of one request above the bare app", f"our `{SHIM}`"),
    "flask": ("request", "Whole time of one request to a Flask app with a route", f"our `{SHIM}`"),
    "import": ("import", "Imports in a new process that has imported Flask before", "lambda_wsgi"),
    "size": ("size", "A layer of it", "lambda_wsgi"),
    "conformance": ("conformance", "Checks that fail, by front", f"our `{SHIM}`"),
}


def slug(name: str) -> str:
    return name.replace(" + ", "-")


@contextmanager
def unpacked(place: Place) -> Iterator[dict[str, Path]]:
    """The folders of Bench.opt.  Raises Failure where a file has appeared in one of them in the end."""
    opt = {name: place.work / slug(name) for name in (FLASK, *ADAPTERS)}
    for name, layer in ((FLASK, "flask-layer"), (SHIM, "lambda-wsgi-layer")):
        tools.merge([place.work / f"dist/{layer}.zip"], opt[name])
    for name in PEERS:
        kept = place.home / f"{slug(name)}-{place.python.release}"
        tools.install_adapter(place.python, kept, *ADAPTERS[name].distributions)
        shutil.copytree(kept, opt[name] / "python")
        tools.allow_writing(opt[name], allow=False)
    before = {folder: sorted(folder.rglob("*")) for folder in opt.values()}
    try:
        yield opt
        if any(sorted(folder.rglob("*")) != files for folder, files in before.items()):
            raise Failure("an import wrote into a folder that is read-only: run as another user than root")
    finally:
        for folder in opt.values():
            tools.allow_writing(folder, allow=True)


def versions(folders: Iterable[Path]) -> dict[str, str]:
    """Of the distributions in unpacked layers."""
    found = metadata.distributions(path=[str(folder / "python") for folder in folders])
    return {one.name.lower().replace("_", "-"): one.version for one in found}


def measure(names: Sequence[str], rounds: int, given: Path | None) -> command.Measured:
    """The named benchmarks."""
    results: list[Figure | str] = []
    with command.place(given) as place:
        tools.layerkit_build(place.project, place.work, place.python)
        with unpacked(place) as opt:
            bench = Bench(place=place, rounds=rounds, opt=opt)
            for benchmark in names:
                print(f"measuring: {benchmark} ...", file=sys.stderr)
                results += BENCHMARKS[benchmark](bench)
            found = versions(opt.values())
    figures = [one for one in results if isinstance(one, Figure)]
    named = [FLASK, "werkzeug", *(name for adapter in ADAPTERS.values() for name in adapter.distributions)]
    compared = {"CPython": place.python.release, "layerkit": __version__} | {name: found[name] for name in named}
    return figures, [one for one in results if isinstance(one, str)], compared


def tables(
    figures: Sequence[Figure], notes: Sequence[str], rounds: int, compared: Mapping[str, str], now: datetime
) -> str:
    lines = [report.head(rounds, compared, now)]
    for group, (benchmark, title, ours) in GROUPS.items():
        if rows := [figure for figure in figures if figure.group == group]:
            made_by = f"`.venv/bin/python benchmarks/shim.py --only {benchmark}`"
            lines += ["", f"**{title}** ({made_by}):", "", *report.matrix(rows, ours)]
    return "\n".join([*lines, *([""] if notes else []), *(f"- {note}" for note in notes)])


if __name__ == "__main__":
    what = "Measure the handler shim beside serverless-wsgi, apig-wsgi and Mangum."
    sys.exit(command.main(what, BENCHMARKS, measure, table=tables, block="measured-shim"))
