"""What the benchmark programs share: their options, where they work, and what is done with their figures."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import platformdirs
import report
import tools
from report import Figure
from tools import Failure, Python

from layerkit.errors import LayerkitError

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
NOT_COPIED = (".*", "dist", "results", "__pycache__")

Measured = tuple[list[Figure], list[str], dict[str, str]]  # with notes, and the versions of what was compared
Table = Callable[[Sequence[Figure], Sequence[str], int, Mapping[str, str], datetime], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a program works."""

    home: Path  # in the user's cache folder; stays
    work: Path  # below it, and so on the file system of the package caches, which link into it; removed
    project: Path  # a copy of the repository, so that nothing is written into the repository
    python: Python


@contextmanager
def place(given: Path | None) -> Iterator[Place]:
    """Raises Failure where there is no CPython 3.12, or none at the path that is `given`."""
    if not tools.LAYERKIT.exists():
        raise Failure("layerkit is not installed beside this Python; run it as .venv/bin/python benchmarks/...")
    home = Path(platformdirs.user_cache_dir("layerkit-benchmarks"))
    home.mkdir(parents=True, exist_ok=True)
    python = tools.find_python(given, home)
    with tempfile.TemporaryDirectory(prefix="work-", dir=home) as name:
        work = Path(name)
        project = shutil.copytree(REPOSITORY, work / "project", ignore=shutil.ignore_patterns(*NOT_COPIED))
        yield Place(home=home, work=work, project=project, python=python)


def main(
    what: str,
    benchmarks: Collection[str],
    measure: Callable[[Sequence[str], int, Path | None], Measured],
    *,
    table: Table = report.table,
    block: str = report.BLOCK,
) -> int:
    """The whole program; its exit code."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds that count (default: 5)")
    parser.add_argument("--only", action="append", choices=benchmarks, help="this alone; may be given several times")
    parser.add_argument("--python", type=Path, metavar="PATH", help="the CPython 3.12; default: the newest found")
    parser.add_argument("--write", action="store_true", help="put the table into both READMEs")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.write and options.only:
        parser.error("--write is for a whole run, without --only")
    try:
        figures, notes, versions = measure(options.only or [*benchmarks], options.rounds, options.python)
    except (Failure, LayerkitError) as error:
        print(f"error: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    now = datetime.now(tz=UTC)
    result = table(figures, notes, options.rounds, versions, now)
    print(result)
    file = report.write_json(HERE / "results", figures, notes, options.rounds, versions, now)
    print(f"raw numbers: {file.relative_to(REPOSITORY)}", file=sys.stderr)
    if options.write:
        for readme in (HERE / "README.md", REPOSITORY / "README.md"):
            report.rewrite(readme, result, block)
    return 0
