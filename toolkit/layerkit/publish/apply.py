"""Writes: makes one region what the plan says, layer by layer: published once, shared, told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from layerkit.aws.failures import CallFailed, CredentialsRefused, TagsUnsupported
from layerkit.aws.nouns import Candidate, LayerVersion, Stored
from layerkit.aws.registry import Bucket
from layerkit.aws.stop import Stopped
from layerkit.errors import LayerkitError
from layerkit.publish.journal import Journal
from layerkit.publish.once import SETTLE, Made, Once
from layerkit.publish.plan import Planner, is_large, parameters
from layerkit.publish.results import Action, Decision, Outcome, Status

AGAIN = "run it again, which does the rest"  # where nothing better is known
STATUSES = {Action.REUSE: Status.REUSED, Action.SHARE: Status.SHARED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Applier:
    """Does what was decided for one region."""

    planner: Planner
    journal: Journal

    @property
    def once(self) -> Once:
        return Once(planner=self.planner, journal=self.journal)

    def apply(self, decision: Decision) -> Outcome:
        """What became of it.  Nothing is raised: what was published beside it must be told."""
        try:
            if decision.action is Action.PUBLISH:
                return self._publish(decision)
            if decision.version:
                return self._reuse(decision, decision.version)
            return self._outcome(decision, Status.REFUSED)
        except CallFailed as failure:
            return self._failed(decision, failure)
        except Stopped as stopped:
            return replace(self._outcome(decision, Status.FAILED), reason=f"not done: {stopped}")
        except LayerkitError as error:  # no journal, or the zip has changed: nothing is done
            reason = f"{error.what}: {error.why}"
            return replace(self._outcome(decision, Status.FAILED), reason=reason, cure=error.cure)

    def _publish(self, decision: Decision) -> Outcome:
        """Through a bucket or without one.  Where it fails, the zip stays there for the next run."""
        bucket = self.planner.region.bucket
        if not bucket or not is_large(decision.candidate):
            return self._once(decision, None)
        stored = self.planner.patience.reading(partial(bucket.put, decision.candidate))
        outcome = self._once(decision, stored)
        return outcome if outcome.failed else self._discarded(outcome, bucket, stored)

    def _discarded(self, outcome: Outcome, bucket: Bucket, stored: Stored | None) -> Outcome:
        """The zip is taken out of the bucket, unless it shall stay; a note where that is refused."""
        if self.planner.terms.keep or not stored:
            return outcome
        try:
            self.planner.patience.reading(partial(bucket.discard, stored))
        except CallFailed as failure:
            note = f"{stored.key} stays in the bucket {stored.bucket}: {failure.code}: {failure.words}"
            return replace(outcome, notes=(*outcome.notes, note))
        return outcome

    def _once(self, decision: Decision, stored: Stored | None) -> Outcome:
        """Look again, since somebody else may have published meanwhile; then publish."""
        candidate = decision.candidate
        if self.journal.known(decision.sent).pending_after is not None:
            self.planner.patience.sleep(SETTLE)  # the call of a killed run may be under way
        if self._changed(decision):
            decision = self.planner.decide(candidate, since=decision.newest)
            if decision.action is not Action.PUBLISH:
                return self.apply(decision)
        try:
            made = self.once.make(decision, stored)
        except TagsUnsupported:
            if not decision.sent.architectures:
                raise
            self.journal.untagged()
            return self.apply(self.planner.decide(candidate))
        if made.status is Status.ADOPTED:  # it may be somebody else's, and shared by them
            found = self.planner.reused(candidate, made.version, decision.newest)
            change, values, notes = found.change, found.parameters, found.notes
        else:
            change, notes = decision.change, decision.notes
            values = tuple(parameters(self.planner.terms.prefix, candidate, made.version).items())
        decision = replace(decision, change=change, parameters=values, notes=(*notes, *made.notes))
        return self._finish(decision, made.version, made.status)

    def _changed(self, decision: Decision) -> bool:
        """Whether the region is not any more as it was when this was decided."""
        if self.planner.sent(decision.candidate) != decision.sent:
            return True
        listed = self.planner.listed(decision.sent, 1)
        return (listed[0].version if listed else 0) != decision.newest

    def _reuse(self, decision: Decision, version: LayerVersion) -> Outcome:
        """What is reused is remembered; a call without an outcome made it, or something else, or nothing."""
        sent = decision.sent
        known = self.journal.known(sent)
        kept = Made(version=version, status=STATUSES[decision.action])
        lost = known.pending_after is not None
        if lost or version.version not in known.versions:
            kept = self.once.settle(sent, kept, lost=lost)
        if known.pending_after is not None and version.version > known.pending_after:
            kept = replace(kept, status=Status.ADOPTED)
        outcome = self._finish(replace(decision, notes=(*decision.notes, *kept.notes)), version, kept.status)
        bucket = self.planner.region.bucket
        if not bucket or not is_large(sent) or self.planner.terms.keep or outcome.failed:
            return outcome
        left = self.planner.patience.reading(partial(bucket.left, sent))  # by a run that was killed
        return self._discarded(outcome, bucket, left)

    def _finish(self, decision: Decision, version: LayerVersion, status: Status) -> Outcome:
        """Bring policy and parameters to what is declared; parameters last, so that nobody hears of it early."""
        candidate = decision.candidate
        try:
            self._share(decision, version)
            written = self._write(decision, version)
        except CallFailed as failure:
            outcome = self._failed(decision, failure)
            return replace(
                outcome, version=version, reason=f"version {version.version} is there, but {outcome.reason}"
            )
        except Stopped as stopped:
            reason = f"version {version.version} is there, but not as declared yet: {stopped}"
            return replace(self._outcome(decision, Status.FAILED), version=version, reason=reason)
        if status is not Status.REUSED:
            self.journal.finished(candidate, version.version)
        names = tuple(parameters(self.planner.terms.prefix, candidate, version))
        outcome = self._outcome(decision, status)
        return replace(outcome, version=version, shared=decision.change, parameters=names, written=written)

    def _share(self, decision: Decision, version: LayerVersion) -> None:
        layers, patience = self.planner.region.layers, self.planner.patience
        candidate, number = decision.candidate, version.version
        for one in decision.change.remove:
            self.journal.sharing(candidate, number, one.sid, "remove")
            patience.reading(partial(layers.unshare, candidate.name, number, one.sid))
        for one in decision.change.add:
            self.journal.sharing(candidate, number, one.sid, "add")
            patience.reading(partial(layers.share, candidate.name, number, one))
        if not decision.change.nothing:
            self.journal.shared(candidate, number)

    def _write(self, decision: Decision, version: LayerVersion) -> tuple[str, ...]:
        for name, value in decision.parameters:
            self.planner.patience.reading(partial(self.planner.region.parameters.put, name, value))
        if decision.parameters:
            self.journal.parameters(decision.candidate, version.version)
        return tuple(name for name, _ in decision.parameters)

    def _failed(self, decision: Decision, failure: CallFailed) -> Outcome:
        if isinstance(failure, CredentialsRefused):
            self.planner.stop.throw(f"the credentials are refused ({failure.code})")
        return failed(decision.candidate, decision.region, failure)

    def _outcome(self, decision: Decision, status: Status) -> Outcome:
        return Outcome(
            candidate=decision.candidate,
            region=decision.region,
            status=status,
            reason=decision.reason,
            share=self.planner.terms.share,
            notes=decision.notes,
            cure=decision.cure,
        )


def failed(candidate: Candidate, region: str, failure: CallFailed) -> Outcome:
    """The outcome of a call that failed for good."""
    reason = f"{failure.operation}: {failure.code}: {failure.words}"
    cure = failure.cure or AGAIN
    return Outcome(candidate=candidate, region=region, status=Status.FAILED, reason=reason, cure=cure)
