"""What a run of `attach` came to, or would."""

from __future__ import annotations

from dataclasses import dataclass

from layerkit.attach.plan import Step
from layerkit.attach.record import Moved, Place


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
