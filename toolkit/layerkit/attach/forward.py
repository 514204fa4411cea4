"""Attaching: plan, record, update, wait; then a version and an alias, where they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from layerkit.attach.apply import Changer, Layers
from layerkit.attach.choose import Chosen, Wanted
from layerkit.attach.plan import Plan, plan
from layerkit.attach.record import Moved, Place
from layerkit.attach.recorder import Recorder
from layerkit.attach.report import Result
from layerkit.aws.failures import CallFailed
from layerkit.aws.nouns import Alias, FunctionVersion
from layerkit.errors import LayerkitError, OperationFailed


@dataclass(slots=True, kw_only=True)
class Forward:
    """One run that attaches.  Raises CallFailed and LayerkitError, which Progress.told makes sense of."""

    place: Place
    changer: Changer
    recorder: Recorder
    choose: Callable[[FunctionVersion], Chosen]  # what the function shall have
    publish: bool = False  # a version, too
    alias: str = ""  # which shall name that version; empty: none
    planned: Callable[[Plan], None]  # told what will be done, before it is
    plan: Plan | None = None  # the last one that was not done yet when it was made

    def dry(self) -> Result:
        """What would be done.  AWS is read alone."""
        function = self.changer.read()
        _, alias = self._look(function)
        assert self.plan
        notes = list(self.plan.notes)
        if function.state == "Pending" or function.update == "InProgress":
            notes.append("an update of it is under way, which would be waited for")
        moved = Moved(name=alias.name, before=alias.version, after="") if alias else None
        return Result(
            place=self.place,
            before=self.plan.before,
            after=self.plan.after,
            steps=self.plan.steps,
            changed=not self.plan.unchanged,
            alias=moved,
            notes=tuple(notes),
            dry_run=True,
        )

    def run(self) -> Result:
        """Bring the function to what is wanted."""
        start = self.changer.patience.clock()
        function = self.changer.ready()
        wanted, alias = self._look(function)
        anew = function.update == "Failed"  # what AWS failed at is tried once more, even if nothing is to be changed

        def decide(now: FunctionVersion) -> Layers | None:
            nonlocal anew
            found = plan(now, wanted)
            self._refuse(found.refusals)
            if not found.unchanged and found != self.plan:  # others were quicker: theirs is what was before
                self.plan = found
                self.planned(found)
            if found.unchanged and not anew:
                return None
            anew = False
            self.recorder.layers(found.before, found.after, alias)
            self.changer.progress.recorded = self.recorder.mine is not None
            return found.after

        with self._recorded():
            changed = self.changer.layers(decide, function)
        if changed:
            self.changer.progress.done.append("the layers are attached")
        function = self.changer.settled()
        self._still(function, wanted)
        version, moved = "", None
        if self.publish or alias:
            version = self.changer.publish(function, lambda now: self._still(now, wanted))
        if alias:
            moved = self._point(alias.name, function.layers, version)
        self.recorder.done(function.layers, version)
        assert self.plan
        return Result(
            place=self.place,
            before=self.plan.before,
            after=function.layers,
            steps=self.plan.steps,
            changed=changed,
            version=version,
            alias=moved,
            notes=self.plan.notes,
            seconds=self.changer.patience.clock() - start,
        )

    def _look(self, function: FunctionVersion) -> tuple[tuple[Wanted, ...], Alias | None]:
        """What the function shall have, and the alias; every reason against it is told at once."""
        chosen = Chosen(wanted=()) if function.image else self.choose(function)
        alias = self.changer.alias(self.alias) if self.alias else None
        mistake = self._mistake(alias) if self.alias else ""
        self.plan = plan(function, chosen.wanted)
        self._refuse([*chosen.problems, *self.plan.refusals, *filter(None, [mistake])])
        self.planned(self.plan)
        return chosen.wanted, alias

    def _refuse(self, refusals: Sequence[str]) -> None:
        if refusals:
            what = f"{self.place.function} cannot be given these layers"
            raise OperationFailed(what, where=self.place.region, why="\n".join(refusals))

    def _mistake(self, alias: Alias | None) -> str:
        """Why an alias cannot be pointed to a version."""
        given = f"--function-name {self.place.function} --name {self.alias} --region {self.place.region}"
        if not alias:
            create = f"aws lambda create-alias {given} --function-version '$LATEST'"
            return f"it has no alias {self.alias!r}; make it, to be moved then: {create}"
        if alias.weights:
            shares = ", ".join(f"version {version} gets {share:.0%}" for version, share in alias.weights)
            update = f"aws lambda update-alias {given} --routing-config AdditionalVersionWeights={{}}"
            return (
                f"its alias {alias.name} shares calls out ({shares}), a roll-out that is under way; end it: {update}"
            )
        return ""

    def _still(self, function: FunctionVersion, wanted: Sequence[Wanted]) -> None:
        lost = [one.version.arn for one in wanted if one.version.arn not in function.layers]
        if lost:
            why = f"missing: {', '.join(lost)}\nit has: {', '.join(function.layers) or 'no layers'}"
            raise OperationFailed("somebody else has changed its layers since", where=function.name, why=why)

    def _point(self, name: str, layers: Layers, version: str) -> Moved:
        """Point the alias to the version; what it named before is written down first."""
        moved = Moved(name=name, before=version, after=version)

        def decide(alias: Alias | None) -> str | None:
            nonlocal moved
            if mistake := self._mistake(alias):
                raise OperationFailed(mistake, where=self.place.function)
            assert alias
            if alias.version == version:
                return None
            self.recorder.alias(layers, alias, version)
            moved = Moved(name=name, before=alias.version, after=version)
            return version

        with self._recorded():
            self.changer.point(name, decide)
        return moved

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """A change that AWS has certainly not made leaves no entry: a rollback would find nothing to undo by it."""
        try:
            yield
        except (CallFailed, LayerkitError):
            if not self.changer.progress.unsure:
                with suppress(LayerkitError):  # what stopped the run is told instead, and the entry does no harm
                    self.recorder.withdraw()
            raise
        self.recorder.made()
