"""Figures -> a Markdown table, raw numbers as JSON, and the README's block."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Literal

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
UNITS = {"s": (1.0, "s"), "ms": (1e-3, "ms"), "kB": (1e3, "kB")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """`times`: at least so many times faster; `share`: at most this part of the peer's; `seconds`: at most."""

    kind: Literal["times", "share", "seconds"]
    bound: float

    def __str__(self) -> str:
        if self.kind == "share":
            return f"at most {self.bound:.0%}"
        if self.kind == "seconds":
            return f"at most {self.bound:g} s"
        return "no slower" if self.bound == 1 else f"at least {self.bound:g} times faster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row: runs of both sides in the order in which they were measured, in seconds or bytes."""

    name: str
    peer_name: str
    unit: Literal["s", "ms", "kB"]
    layerkit: Sequence[float]
    peer: Sequence[float]
    goals: tuple[Goal, ...] = ()
    share: bool = False  # show the ratio as a part of the peer's, not as times faster

    @property
    def ratio(self) -> float:
        """The median of the ratios of runs that were neighbours in time."""
        pairs = zip(self.layerkit, self.peer, strict=True)
        return median(ours / theirs if self.share else theirs / ours for ours, theirs in pairs)

    @property
    def reached(self) -> bool | None:
        if not self.goals:
            return None
        return all(self._reaches(goal) for goal in self.goals)

    def _reaches(self, goal: Goal) -> bool:
        value = median(self.layerkit) if goal.kind == "seconds" else self.ratio
        return value >= goal.bound if goal.kind == "times" else value <= goal.bound

    def row(self) -> str:
        ratio = f"{self.ratio:.1%}" if self.share else f"{self.ratio:.2f} times faster"
        reached = {None: "", True: "yes", False: "**no**"}[self.reached]
        goals = ", ".join(map(str, self.goals))
        peer = f"{self.peer_name}: {self._shown(self.peer)}"
        return f"| {self.name} | {self._shown(self.layerkit)} | {peer} | {ratio} | {goals} | {reached} |"

    def _shown(self, values: Sequence[float]) -> str:
        scale, unit = UNITS[self.unit]
        digits = 2 if self.unit == "s" else 1
        low, middle, high = (f"{value / scale:.{digits}f}" for value in (min(values), median(values), max(values)))
        return f"{middle} {unit}" if len(values) == 1 else f"{middle} {unit} ({low} to {high})"


def machine() -> str:
    """In neutral words: nothing of it names a host."""
    system = {"Darwin": "macOS"}.get(platform.system(), platform.system())
    return f"{os.cpu_count()} cores, {system} {platform.machine()}"


def table(
    figures: Sequence[Figure], notes: Sequence[str], rounds: int, versions: Mapping[str, str], now: datetime
) -> str:
    """The machine's line, the rows and what has to be said of them."""
    tools = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        f"{now:%Y-%m-%d}; {machine()}; {tools}; median (lowest to highest) of {rounds} rounds.",
        "",
        "| figure | layerkit | peer | ratio | goal | reached |",
        "|---|---|---|---|---|---|",
        *(figure.row() for figure in figures),
        *([""] if notes else []),
        *(f"- {note}" for note in notes),
    ]
    return "\n".join(lines)


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


def rewrite(readme: Path, text: str) -> None:
    """Put `text` between the README's two markers."""
    before, found, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"{readme.name} has no lines {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
