"""Figures -> a Markdown table, raw numbers as JSON, and the README's block."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import inf
from pathlib import Path
from statistics import median
from typing import Literal

BLOCK = "measured"  # its name in a README's markers
UNITS = {  # with decimal places
    "s": (1.0, 2), "ms": (1e-3, 1), "µs": (1e-6, 1), "kB": (1e3, 1), "MB": (1e6, 0), "failed": (1.0, 0),
}  # fmt: skip
REACHED = {None: "", True: "yes", False: "**no**"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """`times`: at least so many times faster; `share`: at most this part of the peer's; the others: at most."""

    kind: Literal["times", "share", "seconds", "bytes", "failed"]
    bound: float

    @property
    def of_ratio(self) -> bool:
        return self.kind in ("times", "share")

    def __str__(self) -> str:
        if self.kind == "share":
            return f"at most {self.bound:.0%}"
        if self.kind == "seconds":
            return f"at most {self.bound:g} s" if self.bound >= 0.1 else f"at most {self.bound * 1e3:g} ms"
        if self.kind == "bytes":
            return f"at most {self.bound / 1e3:g} kB" if self.bound < 1e6 else f"at most {self.bound / 1e6:g} MB"
        if self.kind == "failed":
            return f"at most {self.bound:g}" if self.bound else "none"
        return "no slower" if self.bound == 1 else f"at least {self.bound:g} times faster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Runs of both sides in the order in which they were measured, in seconds or bytes (or checks)."""

    name: str
    peer_name: str
    unit: Literal["s", "ms", "µs", "kB", "MB", "failed"]
    layerkit: Sequence[float]
    peer: Sequence[float]
    goals: tuple[Goal, ...] = ()
    share: bool = False  # show the ratio as a part of the peer's, not as times faster
    group: str = ""  # the table in which it stands, where there are several

    @property
    def ratio(self) -> float:
        """The median of the ratios of runs that were neighbours in time."""
        pairs = zip(self.layerkit, self.peer, strict=True)
        return median(_ratio(ours, theirs) if self.share else _ratio(theirs, ours) for ours, theirs in pairs)

    @property
    def reached(self) -> bool | None:
        if not self.goals:
            return None
        return all(self._reaches(goal) for goal in self.goals)

    def _reaches(self, goal: Goal) -> bool:
        value = self.ratio if goal.of_ratio else median(self.layerkit)
        return value >= goal.bound if goal.kind == "times" else value <= goal.bound

    def row(self) -> str:
        ratio = f"{self.ratio:.1%}" if self.share else f"{self.ratio:.2f} times faster"
        goals = ", ".join(map(str, self.goals))
        peer = f"{self.peer_name}: {self.shown(self.peer)}"
        return f"| {self.name} | {self.shown(self.layerkit)} | {peer} | {ratio} | {goals} | {REACHED[self.reached]} |"

    def shown(self, values: Sequence[float]) -> str:
        scale, digits = UNITS[self.unit]
        low, middle, high = (f"{value / scale:.{digits}f}" for value in (min(values), median(values), max(values)))
        return f"{middle} {self.unit}" if len(values) == 1 else f"{middle} {self.unit} ({low} to {high})"


def _ratio(one: float, other: float) -> float:
    return one / other if other else 1.0 if one == other else inf


def machine() -> str:
    """In neutral words: nothing of it names a host."""
    system = {"Darwin": "macOS"}.get(platform.system(), platform.system())
    return f"{os.cpu_count()} cores, {system} {platform.machine()}"


def table(
    figures: Sequence[Figure], notes: Sequence[str], rounds: int, versions: Mapping[str, str], now: datetime
) -> str:
    """The machine's line, the rows and what has to be said of them."""
    lines = [
        head(rounds, versions, now),
        "",
        "| figure | layerkit | peer | ratio | goal | reached |",
        "|---|---|---|---|---|---|",
        *(figure.row() for figure in figures),
        *([""] if notes else []),
        *(f"- {note}" for note in notes),
    ]
    return "\n".join(lines)


def head(rounds: int, versions: Mapping[str, str], now: datetime) -> str:
    compared = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{now:%Y-%m-%d}; {machine()}; {compared}; median (lowest to highest) of {rounds} rounds."


def matrix(figures: Sequence[Figure], ours: str) -> list[str]:
    """A line for each name, with a column for `ours` and for each peer; goals with the ratios that they are of."""
    peers = list(dict.fromkeys(figure.peer_name for figure in figures))
    lines = [f"| | {' | '.join([ours, *peers])} | goal | reached |", "|---" * (len(peers) + 4) + "|"]
    for name in dict.fromkeys(figure.name for figure in figures):
        row = {figure.peer_name: figure for figure in figures if figure.name == name}
        judged = [figure for figure in row.values() if figure.goals]
        goals = [
            f"{goal} of {figure.peer_name}'s: {figure.ratio:.0%}" if goal.of_ratio else str(goal)
            for figure in judged
            for goal in figure.goals
        ]
        reached = all(figure.reached for figure in judged) if judged else None
        first = next(iter(row.values()))
        cells = [
            first.shown(first.layerkit),
            *(row[peer].shown(row[peer].peer) if peer in row else "" for peer in peers),
        ]
        lines.append(f"| {' | '.join([name, *cells, ', '.join(goals), REACHED[reached]])} |")
    return lines


def write_json(
    folder: Path,
    figures: Sequence[Figure],
    notes: Sequence[str],
    rounds: int,
    versions: Mapping[str, str],
    now: datetime,
) -> Path:
    """Every single run, in seconds or bytes."""
    folder.mkdir(exist_ok=True)
    rows = [asdict(figure) | {"ratio": figure.ratio, "reached": figure.reached} for figure in figures]
    data = {"date": now.isoformat(timespec="seconds"), "machine": machine(), "versions": dict(versions)}
    file = folder / f"{now:%Y%m%dT%H%M%S}.json"
    file.write_text(json.dumps(data | {"rounds": rounds, "figures": rows, "notes": [*notes]}, indent=1) + "\n")
    return file


def rewrite(readme: Path, text: str, block: str = BLOCK) -> None:
    """Put `text` between the README's two markers of the block."""
    begin, end = f"<!-- {block}: begin -->", f"<!-- {block}: end -->"
    before, found, rest = readme.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{readme.name} has no lines {begin} and {end}")
    readme.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
