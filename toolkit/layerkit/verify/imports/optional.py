"""Modules that a distribution brings for one of its extras: without that extra they need not import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from layerkit.verify.imports.outcomes import ModuleResult, Outcome
from layerkit.verify.words import several, shown

if TYPE_CHECKING:
    from layerkit.verify.checks.distributions import Distribution


def excused(outcome: Outcome, installed: Sequence[Distribution]) -> Outcome:
    """The outcome, in which each module that wants for an extra alone says so.

    A handler has to import, and where no module does, no extra excuses that.
    """
    if all(one.error for one in outcome.results):
        return outcome
    handler = outcome.task.handler_module
    results = (one if one.module == handler else _excused(one, outcome, installed) for one in outcome.results)
    return replace(outcome, results=tuple(results))


def _excused(result: ModuleResult, outcome: Outcome, installed: Sequence[Distribution]) -> ModuleResult:
    if not result.missing or not result.error.startswith("ModuleNotFoundError"):
        return result
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    parts = result.missing.split(".")
    names = {canonicalize_name(".".join(parts[:end])) for end in range(1, len(parts) + 1)}
    environment = outcome.task.target.marker_environment()
    extras = []
    for distribution in installed:
        for text in distribution.requires:
            try:
                wanted = Requirement(text)
                if canonicalize_name(wanted.name) not in names:
                    continue
                if wanted.marker is None or wanted.marker.evaluate({**environment, "extra": ""}):
                    return result  # it is required without an extra
                extras += [
                    f"{shown(extra)} of {shown(distribution.name)}"
                    for extra in distribution.extras
                    if wanted.marker.evaluate({**environment, "extra": extra})
                ]
            except (ValueError, RecursionError):  # it is none, or compares what cannot be compared
                continue
    return replace(result, optional=f"the extra {several(list(dict.fromkeys(extras)))}" if extras else "")
