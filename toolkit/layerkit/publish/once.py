"""A layer version, made exactly once.

PublishLayerVersion makes a new version at each call, so it is never repeated before the newest versions were looked
at: a call whose answer was lost may have done its work.  Where two calls made the same version twice (another
machine's, or a late one of ours), the smaller number stays, by everybody's rule, and who made the larger deletes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from layerkit.aws.calls import rejected
from layerkit.aws.failures import CallFailed, CredentialsRefused, Rejected, Throttled, Unanswered, Unreachable
from layerkit.aws.nouns import Candidate, LayerVersion, Stored
from layerkit.publish import shares
from layerkit.publish.journal import Journal
from layerkit.publish.plan import LOOK, Planner, beside, other_texts
from layerkit.publish.results import Decision, Status

SETTLE = 1.0  # seconds that AWS gets to finish what it has begun, before a call is made again
ABSENT = "ResourceNotFoundException"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The version that stays of one or more calls."""

    version: LayerVersion
    status: Status  # PUBLISHED or ADOPTED
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Makes versions in one region."""

    planner: Planner
    journal: Journal

    def make(self, decision: Decision, stored: Stored | None) -> Made:
        """Call until there is a version that one of our calls made, this one or one whose answer was lost."""
        sent, after, patience = decision.sent, decision.newest, self.planner.patience
        lost = self.journal.known(sent).pending_after is not None
        pauses = patience.pauses()
        throttles = replace(patience, attempts=patience.throttled_attempts).pauses()
        while True:
            self.journal.intend(sent, after)
            found = None
            try:
                made = self.planner.region.layers.publish(sent, stored)
            except Unanswered:
                lost, last = True, next(pauses, None) is None
                patience.sleep(SETTLE)
                found = next(self._equal(sent, after), None)
                if not found and last:
                    raise  # the journal has it open: the next run looks again
            except (Throttled, Unreachable) as failure:
                self.journal.failed(sent, failure.code)
                if next(throttles if isinstance(failure, Throttled) else pauses, None) is None:
                    raise
            except Rejected as failure:
                self.journal.failed(sent, failure.code)
                found = next(self._equal(sent, after), None) if lost else None  # which may be why it is refused
                if not found:
                    raise
            else:
                return self._kept(sent, made, after, lost=lost)
            if found:
                return self.settle(sent, Made(version=found, status=Status.ADOPTED), lost=True)

    def _kept(self, sent: Candidate, made: LayerVersion, after: int, *, lost: bool) -> Made:
        """`made`, if it is what was sent, and nobody made the same before it."""
        if made.code_sha256 != sent.code_sha256 or not self.planner.matches(made, sent):
            raise self._wrong(sent, made)
        kept = Made(version=made, status=Status.PUBLISHED)
        first = next(self._equal(sent, after, made.version), None) if made.version > after + 1 else None
        if first:
            notes = self._drop(sent, made, f"version {first.version} is the same")
            kept = Made(version=first, status=Status.ADOPTED, notes=notes)
        return self.settle(sent, kept, lost=lost, done=made.version)

    def _wrong(self, sent: Candidate, made: LayerVersion) -> Rejected:
        tags = " ".join((*made.runtimes, *made.architectures)) or "none"
        words = f"version {made.version} is not what was sent: its CodeSha256 is {made.code_sha256}, "
        words += f"not {sent.code_sha256}; its tags: {tags}"
        region = self.planner.region.name
        cure = "run it again; does something between here and AWS change what is sent?"
        try:
            notes = self._drop(sent, made, "not what was sent")
        except CallFailed as failure:
            notes = (f"version {made.version} could not be deleted ({failure.code})",)
        if notes:
            delete = f"--region {region} --layer-name {sent.name} --version-number {made.version}"
            cure = f"aws lambda delete-layer-version {delete}; then {cure}"
        else:
            self.journal.failed(sent, "WrongContent")
        words = "; ".join((words, *(notes or ["it is deleted"])))
        return rejected("PublishLayerVersion", region, "WrongContent", words, cure)

    def settle(self, sent: Candidate, kept: Made, *, lost: bool, done: int = 0) -> Made:
        """Write down that it is there, which ends all intents; before that, after a lost answer, tidy up."""
        notes, stay = self._sweep(sent, kept.version, done) if lost else ((), ())
        self.journal.published(sent, kept.version.version, kept.version.arn)
        if kept.notes or stay:  # what should be gone: the next run tries it again
            self.journal.intend(sent, kept.version.version)
        return replace(kept, notes=(*kept.notes, *notes, *stay))

    def _equal(self, sent: Candidate, after: int, before: int | None = None) -> Iterator[LayerVersion]:
        """The versions between `after` and `before` that are what is sent, the oldest first."""
        listed = [one for one in self.planner.listed(sent, LOOK) if self.planner.matches(one, sent)]
        numbers = sorted(
            one.version for one in listed if after < one.version and (not before or one.version < before)
        )
        return self.planner.equal(sent, numbers)

    def _sweep(self, sent: Candidate, kept: LayerVersion, done: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Delete what other calls of ours made beside `kept`, unless somebody shares it; `done` is seen to already.

        Who made the very same without layerkit at this moment, and has not shared it yet, loses it: nothing in AWS
        tells whose it is.
        """
        notes: tuple[str, ...] = ()
        stay: tuple[str, ...] = ()
        for later in list(self._equal(sent, kept.version)):
            if later.version == done or other_texts(later, sent) or not beside(kept, later):
                continue
            read = partial(self.planner.region.layers.policy, sent.name, later.version)
            try:
                shared = self.planner.patience.reading(read).statements
            except Rejected as failure:
                if isinstance(failure, CredentialsRefused):
                    raise
                if failure.code != ABSENT:  # else who made it was faster
                    notes += (f"version {later.version} is the same, and is left: {failure.code}",)
                continue
            if shared:
                notes += (f"version {later.version} is the same, and is left: it is shared, {shares.words(shared)}",)
            else:
                stay += self._drop(sent, later, f"version {kept.version} is the same")
        return notes, stay

    def _drop(self, sent: Candidate, version: LayerVersion, why: str) -> tuple[str, ...]:
        """Delete a version; a note where AWS does not let us: what is kept is to be shared all the same."""
        layers = self.planner.region.layers
        try:
            self.planner.patience.reading(partial(layers.delete, sent.name, version.version))
        except CredentialsRefused:
            raise
        except Rejected as failure:
            return (f"version {version.version} could not be deleted ({failure.code}); {why}",)
        self.journal.dropped(sent, version.version, why)
        return ()
