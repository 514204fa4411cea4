"""The import check: does what is in the layers import in the target's Python, as it would in Lambda?

`run` chooses where and runs, `excused` finds what need not import, `check` turns what came of it into findings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from layerkit.verify.imports.modules import top_level
from layerkit.verify.imports.optional import excused
from layerkit.verify.imports.outcomes import ModuleResult, Outcome, PlaceName, Task
from layerkit.verify.rules import Finding
from layerkit.verify.words import shown

if TYPE_CHECKING:
    from layerkit.builders.boxes import Says
    from layerkit.cache import Cache

NOT_ASKED = "they were not asked for (--imports none)"  # no finding, but no pass either
__all__ = ["ModuleResult", "Outcome", "PlaceName", "Task", "check", "excused", "run", "top_level"]


def run(tasks: Sequence[Task], place: PlaceName, cache: Cache, says: Says) -> list[Outcome]:
    """Import what the tasks name; an outcome for each, in their order.  What cannot be run is told, not raised."""
    if place == "none":
        return [Outcome(task=task, why=NOT_ASKED) for task in tasks]
    from layerkit.verify.imports.memory import Memory
    from layerkit.verify.imports.running import Runner, places

    return Runner(places(place, cache, says), Memory(cache.folder)).run(tasks)


def check(outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    """Findings of the outcomes."""
    for outcome in outcomes:
        subject = outcome.task.label
        for result in outcome.results:
            if result.optional:
                yield Finding(rule="import-optional", subject=subject, message=_optional(result))
            elif result.error:
                yield Finding(rule="import", subject=subject, message=_failed(outcome, result))
        if outcome.why and outcome.why != NOT_ASKED:
            yield Finding(rule="import-not-run", subject=subject, message=_not_run(outcome))


def _failed(outcome: Outcome, result: ModuleResult) -> str:
    message = f"{result.module} cannot be imported: {shown(result.error)}, on {outcome.where}"
    if not result.missing:
        return message
    return f"{message}; {shown(result.missing)} is neither in the layers nor in the runtime"


def _optional(result: ModuleResult) -> str:
    return f"{result.module} needs {shown(result.missing)}, which only {result.optional} brings"


def _not_run(outcome: Outcome) -> str:
    return f"the import was not tried: {outcome.why}"
