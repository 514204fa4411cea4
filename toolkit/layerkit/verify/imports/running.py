"""Where each task is run: on this machine if it fits, else in a container; and what is remembered is not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError
from layerkit.sandbox import lent
from layerkit.sandbox.surroundings import NotHere
from layerkit.sandbox.unpacking import Refused
from layerkit.verify.imports.container import Containers
from layerkit.verify.imports.host import Host
from layerkit.verify.imports.memory import Memory
from layerkit.verify.imports.outcomes import ModuleResult, Outcome, PlaceName, Task
from layerkit.verify.imports.place import Place, Ran, printable

if TYPE_CHECKING:
    from layerkit.builders.boxes import Says
    from layerkit.cache import Cache

Numbered = Mapping[int, Task]


def places(name: PlaceName, cache: Cache, says: Says) -> list[Place]:
    """The places to try, the best first; this machine without namespaces is a makeshift."""
    host, container, makeshift = Host(cache), Containers(cache, says), Host(cache, isolated=False)
    by_name: dict[str, list[Place]] = {"host": [host, makeshift], "container": [container], "none": []}
    return by_name.get(name, [host, container, makeshift])


class Runner:
    """One run of the import check."""

    def __init__(self, to_try: Sequence[Place], memory: Memory) -> None:
        self.places, self.memory = to_try, memory
        self.found: dict[int, Outcome] = {}
        self.reasons: dict[int, dict[str, None]] = {}  # why not, each reason once

    def run(self, tasks: Sequence[Task]) -> list[Outcome]:
        """An outcome for each task, in their order."""
        self.reasons = {number: {} for number in range(len(tasks))}
        self.found = {number: Outcome(task=task) for number, task in enumerate(tasks) if not task.items}
        fits = [(place, self._keys(place, self._rest(tasks))) for place in self.places]
        for place, keys in fits:
            rest = self._rest(tasks)
            groups = _by_target({number: rest[number] for number in keys if number in rest})
            while groups:
                self._run_group(place, groups.pop(0), keys, groups)
        self.memory.write()
        for number, task in self._rest(tasks).items():
            self.found[number] = Outcome(task=task, why="; ".join(self.reasons[number]))
        return [self.found[number] for number in range(len(tasks))]

    def _rest(self, tasks: Sequence[Task]) -> Numbered:
        return {number: task for number, task in enumerate(tasks) if number not in self.found}

    def _keys(self, place: Place, tasks: Numbered) -> dict[int, str]:
        """The memory's keys of the tasks that fit the place; those that it remembers are found."""
        keys = {}
        for number, task in tasks.items():
            try:
                keys[number] = self.memory.key(task, place.key(task))
            except (NotHere, Refused, LayerkitError) as error:
                self._not_run(number, task, error)
                continue
            remembered = self.memory.get(keys[number], task)
            if remembered:
                self.found[number] = remembered
        return keys

    def _run_group(self, place: Place, group: Numbered, keys: Mapping[int, str], groups: list[Numbered]) -> None:
        tasks = list(group.values())
        try:
            rans = [*zip(tasks, place.run(tasks, {}), strict=True)]
            outcomes = _with_runtime(place, rans)
        except (NotHere, Refused, LayerkitError) as error:
            if isinstance(error, Refused) and len(group) > 1:  # that one's fault alone
                groups += [{number: task} for number, task in group.items()]
                return
            for number, task in group.items():
                self._not_run(number, task, error)
            return
        for number, (_, ran), outcome in zip(group, rans, outcomes, strict=True):
            self.found[number] = outcome
            if ran.remember:
                self.memory.put(keys[number], outcome)

    def _not_run(self, number: int, task: Task, error: Exception) -> None:
        """A zip that is refused is so in every place."""
        self.reasons[number][_words(error)] = None
        if isinstance(error, Refused):
            self.found[number] = Outcome(task=task, why=_words(error))


def _by_target(tasks: Numbered) -> list[Numbered]:
    targets = dict.fromkeys(task.target for task in tasks.values())
    return [{number: task for number, task in tasks.items() if task.target == target} for target in targets]


def _words(error: Exception) -> str:
    if isinstance(error, LayerkitError):
        return f"{error.what} ({error.cure})" if error.cure else error.what
    return printable(str(error))


def _with_runtime(place: Place, rans: Sequence[tuple[Task, Ran]]) -> list[Outcome]:
    """Outcomes; what failed for want of a module of the runtime was tried again with layerkit's copy of it."""
    again = [_only(task, [one for one in ran.results if lent.is_of_runtime(one.missing)]) for task, ran in rans]
    copies = lent.copies() if any(task.items for task in again) else {}
    second = iter(place.run([task for task in again if task.items], copies) if copies else [])
    return [
        _outcome(task, ran, next(second).results if copies and wanting.items else (), copies)
        for (task, ran), wanting in zip(rans, again, strict=True)
    ]


def _only(task: Task, results: Sequence[ModuleResult]) -> Task:
    """The part of the task that gave these results."""
    names = {result.module for result in results}
    modules = tuple(name for name in task.modules if name in names)
    return replace(task, modules=modules, handler=task.handler if task.handler_module in names else "")


def _outcome(task: Task, ran: Ran, second: Sequence[ModuleResult], copies: Mapping[str, Path]) -> Outcome:
    newer = {result.module: result for result in second}
    wanted = [one.missing for one in ran.results if one.module in newer]
    results = [newer.get(one.module, one) for one in ran.results]
    # the place's fault, not the layer's; but what was lent is not missing, whatever the module says
    without = [
        one
        for one in results
        if lent.is_of_runtime(one.missing) and not (one.module in newer and one.missing.partition(".")[0] in copies)
    ]
    names = ", ".join(sorted({one.missing.partition(".")[0] for one in without}))
    modules = ", ".join(one.module for one in without)
    return Outcome(
        task=task,
        where=ran.where,
        why=f"{names} of the runtime is not here, so {modules} was not imported to the end" if without else "",
        results=tuple(one for one in results if one not in without),
        unlike=(*ran.unlike, *([lent.told(wanted)] if wanted else [])),
    )
