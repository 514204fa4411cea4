"""One run's entry in attached.json: written before each change, so that whoever is killed can be rolled back.

A killed run is finished by the next one, which must not forget what was before the first: it takes the open entry
over.  An entry whose change AWS shows undone is dropped, so that each rollback undoes something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from layerkit.attach import record
from layerkit.attach.record import Attached, History, Moved, Place
from layerkit.aws.nouns import Alias


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(slots=True, kw_only=True)
class Recorder:
    """Each method raises MachineError or ContentError when it cannot be written: then the change must not be made."""

    folder: Path
    place: Place
    now: Callable[[], str] = _now
    mine: Attached | None = None  # as it was last written

    def layers(self, before: tuple[str, ...], after: tuple[str, ...], alias: Alias | None) -> None:
        """The layers are about to be changed; `alias` is as it is now, if this run shall move it.

        Called again when another attempt begins, from what is there then: the last call is what holds.
        """

        def to(history: History) -> History:
            kept = _effective(tuple(one for one in history if one != self.mine), before, alias)
            self.mine = None
            if kept and _open(kept[-1], before, alias):
                if before == after:  # the same is written once more, after AWS failed at it
                    self.mine = kept[-1]
                    return kept
            elif before == after:
                return kept
            self.mine = Attached(when=self.now(), before=before, after=after)
            return (*kept, self.mine)

        record.change(self.folder, self.place, to)

    def alias(self, layers: tuple[str, ...], alias: Alias, version: str) -> None:
        """`alias`, as it is now, is about to be pointed to `version`; the function has these layers."""
        moved = Moved(name=alias.name, before=alias.version, after=version)

        def to(history: History) -> History:
            if self.mine not in history:
                history = _effective(history, layers, alias)
                resumed = history and _open(history[-1], layers, alias)
                self.mine = history[-1] if resumed else Attached(when=self.now(), before=layers, after=layers)
            was = self.mine
            assert was is not None
            self.mine = mine = replace(was, version=version, alias=moved)
            return tuple(mine if one == was else one for one in (history if was in history else (*history, was)))

        record.change(self.folder, self.place, to)

    def done(self, layers: tuple[str, ...], version: str) -> None:
        """The run is at its end; the function has these layers, and `version` was published, if any."""

        def to(history: History) -> History:
            was = self.mine
            if was not in history:
                was = history[-1] if history and not history[-1].done and history[-1].after == layers else None
            if not was:
                return history
            self.mine = replace(was, version=was.version or version, done=True)
            return tuple(self.mine if one == was else one for one in history)

        record.change(self.folder, self.place, to)


def _open(last: Attached, layers: tuple[str, ...], alias: Alias | None) -> bool:
    """Whether a run that was ended in its midst left the function as it is, and its alias was not moved yet."""
    if last.done or last.after != layers:
        return False
    return not last.alias or bool(alias and alias.name == last.alias.name and alias.version != last.alias.after)


def _effective(history: History, layers: tuple[str, ...], alias: Alias | None) -> History:
    """Without those at the end whose change is undone: the function and its alias are as they were before it."""
    while history and history[-1].before == layers:
        moved = history[-1].alias
        if moved and not (alias and (alias.name, alias.version) == (moved.name, moved.before)):
            break
        if not moved and history[-1].after == layers:
            break  # cannot be undone by anything; kept for the run that has it open
        history = history[:-1]
    return history
