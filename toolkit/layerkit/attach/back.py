"""Rolling back: what the last run of `attach` has changed becomes what it was, as long as nobody else changed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from layerkit.attach import record
from layerkit.attach.apply import Changer, Layers
from layerkit.attach.plan import Plan, difference
from layerkit.attach.record import Attached, Moved, Place
from layerkit.attach.report import Result
from layerkit.aws.nouns import Alias, FunctionVersion
from layerkit.errors import OperationFailed

FENCE = "what is there is written once more, so that AWS refuses an update of that run which is still on its way"


def _late(last: Attached) -> bool:
    """Whether a killed run's update may still be on its way.

    Nobody sees it then.  But it has the RevisionId that was read before it: once what the function has is written
    again, which gives it another one, AWS refuses that update.
    """
    return not last.done and last.before != last.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """One rollback.  Raises CallFailed and LayerkitError, which Progress.told makes sense of."""

    place: Place
    folder: Path
    changer: Changer
    planned: Callable[[Plan], None]

    def run(self, *, dry_run: bool = False) -> Result:
        """First the alias, so that callers are back soonest; then the function's own layers."""
        last = self._last()
        self.changer.progress.recorded = True
        start = self.changer.patience.clock()
        function = self.changer.read() if dry_run else self.changer.ready()
        self._todo(last, function)  # all that is against it, before anything is done
        notes = []
        if _late(last) and function.layers == last.before:
            notes.append(f"the run of {last.when} did not come to its end: {FENCE}")
        moved: Moved | None = None
        if last.alias:
            alias = self.changer.alias(last.alias.name)
            self._alias(last.alias, alias)
            if not alias:
                notes.append(f"its alias {last.alias.name} is gone, and is not made again")
            else:
                moved = Moved(name=alias.name, before=alias.version, after=last.alias.before)
        after = last.before
        steps = difference(function.layers, after)
        self.planned(Plan(before=function.layers, after=after, steps=steps, notes=tuple(notes)))
        changed = function.layers != after
        if not dry_run:
            if moved:
                self._point(last, moved.name)
            changed = self._layers(last) or changed
        return Result(
            place=self.place,
            before=function.layers,
            after=after,
            steps=steps,
            changed=changed,
            alias=moved,
            notes=tuple(notes),
            dry_run=dry_run,
            rollback=True,
            seconds=self.changer.patience.clock() - start,
        )

    def _last(self) -> Attached:
        history = record.read(self.folder).get(self.place, ())
        if not history:
            where = str(self.folder / record.NAME)
            what = f"tells of nothing that was attached to {self.place.function} in {self.place.region}"
            again = f"layerkit attach {self.place.function} --region {self.place.region} --layers ARN,ARN"
            cure = f"name the layer versions that it shall have: {again}"
            raise OperationFailed(what, where=where, cure=cure)
        return history[-1]

    def _layers(self, last: Attached) -> bool:
        """Give the function what it had before, and forget the entry; says whether it had something else."""
        first, other = True, False

        def decide(function: FunctionVersion) -> Layers | None:
            nonlocal first, other
            todo = self._todo(last, function)
            other = other or todo
            again = first and function.update == "Failed"
            first = False
            return last.before if todo or again or _late(last) else None

        if self.changer.layers(decide):
            self.changer.progress.done.append("the layers are as they were")
        self.changer.settled()

        def without(history: record.History) -> record.History:
            return history[:-1] if history[-1:] == (last,) else history

        record.change(self.folder, self.place, without)
        return other

    def _point(self, last: Attached, name: str) -> None:
        moved = last.alias
        assert moved

        def decide(alias: Alias | None) -> str | None:
            there = moved.before if alias and not last.done else None  # see _late
            return self._alias(moved, alias) or there

        if self.changer.point(name, decide):
            self.changer.progress.done.append(f"alias {name} is back at version {moved.before}")

    def _todo(self, last: Attached, function: FunctionVersion) -> bool:
        """Whether the layers are what was attached; False: what was before.  Raises where they are neither."""
        if function.layers == last.before:
            return False
        if function.layers == last.after:
            return True
        exactly = " ".join(last.before) or "'[]'"
        raise OperationFailed(
            "its layers are not what was attached, so somebody else has changed them since",
            where=f"{self.place.function} in {self.place.region}",
            why="\n".join(
                f"{label}: {', '.join(arns) or 'none'}"
                for label, arns in (
                    ("it has", function.layers),
                    (f"attached ({last.when})", last.after),
                    ("before that", last.before),
                )
            ),
            cure="if it shall have exactly what was before, and nothing else: "
            f"aws lambda update-function-configuration --function-name {self.place.function} "
            f"--region {self.place.region} --layers {exactly}",
        )

    def _alias(self, moved: Moved, alias: Alias | None) -> str | None:
        """The version that the alias shall name again; None: it does, or is gone.  Raises where others moved it."""
        if not alias or alias.version == moved.before:
            return None
        why = ""
        if alias.version != moved.after:
            why = f"it names version {alias.version}; attach moved it from {moved.before} to {moved.after}"
        elif alias.weights:
            why = "it shares calls out between versions: somebody's roll-out is under way"
        if not why:
            return moved.before
        raise OperationFailed(
            f"its alias {alias.name} is not as attach has left it",
            where=f"{self.place.function} in {self.place.region}",
            why=why,
            cure=f"if it shall name version {moved.before} all the same, do that first: aws lambda update-alias "
            f"--function-name {self.place.function} --region {self.place.region} --name {alias.name} "
            f"--function-version '{moved.before}' --routing-config AdditionalVersionWeights={{}}",
        )
