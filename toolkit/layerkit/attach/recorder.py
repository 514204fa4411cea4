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
    _instead: History = ()  # what was in its place before the change that is under way was written down

    def layers(self, before: tuple[str, ...], after: tuple[str, ...], alias: Alias | None) -> None:
        """The layers are about to be changed; `alias` is as it is now, if this run shall move it.

        Called again when another attempt begins, from what is there then: the last call is what holds.
        """

        def to(history: History) -> History:
            history = self._back(history)
            kept = _effective(history, before, alias)
            self.mine, self._instead = None, ()
            if kept and _open(kept[-1], before, alias):
                if before == after:  # the same is written once more, after AWS failed at it
                    self.mine, self._instead = kept[-1], kept[-1:]
                    return kept
            elif before == after:
                return kept
            self.mine, self._instead = Attached(when=self.now(), before=before, after=after), history[len(kept) :]
            return (*kept, self.mine)

        record.change(self.folder, self.place, to)

    def alias(self, layers: tuple[str, ...], alias: Alias, version: str) -> None:
        """`alias`, as it is now, is about to be pointed to `version`; the function has these layers."""
        moved = Moved(name=alias.name, before=alias.version, after=version)

        def to(history: History) -> History:
            history = self._back(history)
            kept = _effective(history, layers, alias)
            resumed = bool(kept) and _open(kept[-1], layers, alias)
            was = kept[-1] if resumed else Attached(when=self.now(), before=layers, after=layers)
            self.mine = replace(was, version=version, alias=moved)
            at = len(kept) - resumed
            self._instead = history[at:]
            return (*kept[:at], self.mine)

        record.change(self.folder, self.place, to)

    def made(self) -> None:
        """The change that was written down last, if any, is made: no withdrawal concerns it any more."""
        self._instead = (self.mine,) if self.mine else ()

    def withdraw(self) -> None:
        """The change that was written down last is certainly not made: the file is as if it had not been begun."""
        if self.mine:
            record.change(self.folder, self.place, self._back)

    def _back(self, history: History) -> History:
        """Without the change that is under way.  What others have written meanwhile stays."""
        if self.mine not in history:
            return history
        at = history.index(self.mine)
        return (*history[:at], *self._instead, *history[at + 1 :])

    def done(self, layers: tuple[str, ...], version: str) -> None:
        """The run is at its end; the function has these layers, and `version` was published, if any."""

        def to(history: History) -> History:
            was = self.mine
            if was not in history:
                was = next((one for one in history[-1:] if _finished(one, layers, version)), None)
            if not was:
                return history
            self.mine = replace(was, version=was.version or version, done=True)
            return tuple(self.mine if one == was else one for one in history)

        record.change(self.folder, self.place, to)


def _finished(last: Attached, layers: tuple[str, ...], version: str) -> bool:
    """Whether a run that was ended in its midst has all that it wanted: its alias is not this run's to tell of."""
    return not last.done and last.after == layers and (not last.alias or last.alias.after == version)


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
