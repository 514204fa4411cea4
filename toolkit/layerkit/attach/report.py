"""What a run of `attach` came to, or would; and how a person and a program read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from layerkit.attach.plan import Plan, Step
from layerkit.attach.record import Moved, Place

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Of a function that is as it was asked for; with `dry_run`, of one that would be."""

    place: Place
    before: tuple[str, ...]  # layer versions, in their order
    after: tuple[str, ...]
    steps: tuple[Step, ...] = ()  # of the layers that were asked for; of a rollback: those that change
    changed: bool = False  # a call changed the function's layers, or would
    version: str = ""  # of the function, that was published
    alias: Moved | None = None  # before == after: it was there already
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    rollback: bool = False
    seconds: float = 0


def lines(function: str, plan: Plan) -> Iterator[str]:
    """What will be done: a line, and one for each thing to know of it."""
    yield f"{function}: {', '.join(step.words for step in plan.steps) or 'its layers stay'}"
    yield from (f"  {step.name} {step.after}: {step.why}" for step in plan.steps if step.why)
    yield from (f"  note: {note}" for note in plan.notes)


def summary(result: Result) -> str:
    """One line: what was done, or would be."""
    took = "" if result.dry_run else f" in {result.seconds:.1f} s"
    words = f"{'rolled back' if result.rollback else 'updated'}{took}" if result.changed else "layers unchanged"
    parts = [f"{'plan, nothing is done: ' if result.dry_run else ''}{words}"]
    if result.version:
        parts.append(f"published as version {result.version}")  # AWS gives the last one again if nothing has changed
    if moved := result.alias:
        if moved.before == moved.after:
            parts.append(f"alias {moved.name} stays at {moved.after}")
        else:
            parts.append(f"alias {moved.name}: {moved.before} -> {moved.after or 'the version published then'}")
    return f"{result.place.function}: {'; '.join(parts)}"


def as_json(result: Result) -> dict[str, Any]:
    """Everything, for a program."""
    moved = result.alias
    return {
        "schema_version": SCHEMA_VERSION,
        "ok": True,
        "account": result.place.account,
        "region": result.place.region,
        "function": result.place.function,
        "dry_run": result.dry_run,
        "rollback": result.rollback,
        "changed": result.changed,
        "before": list(result.before),
        "after": list(result.after),
        "layers": [
            {
                "name": step.name,
                "arn": step.arn or None,
                "before": step.before or None,
                "after": step.after or None,
                "why": step.why or None,
            }
            for step in result.steps
        ],
        "version": result.version or None,
        "alias": {"name": moved.name, "before": moved.before, "after": moved.after or None} if moved else None,
        "notes": list(result.notes),
    }
