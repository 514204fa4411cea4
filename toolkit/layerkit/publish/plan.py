"""Reads alone: what is in a region, and so what is to be done there.  `apply` does it, `--dry-run` prints it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from layerkit import targets
from layerkit.aws.failures import CredentialsRefused, Rejected
from layerkit.aws.nouns import Candidate, LayerVersion, Policy, Room
from layerkit.aws.pace import Patience
from layerkit.aws.registry import Region
from layerkit.aws.stop import Stop
from layerkit.model import Share
from layerkit.publish import shares
from layerkit.publish.results import Action, Decision, Known

FEW = 5  # versions that are read otherwise: the newest, and what was made beside it
TOGETHER = 900.0  # seconds between versions that calls of one run can have made: an answer is waited for 90
LOOK = 50  # versions that are read when a call of ours may have made one of them: the most that AWS lists at once
TEXTS = "--republish-texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for every layer in every region."""

    account: str
    share: Share = Share()
    prune_shares: bool = False
    texts: bool = False  # whether another description or license alone makes a new version
    prefix: str = ""  # of SSM parameters; empty: none
    keep: bool = False  # whether large zips stay in their bucket
    reference: bool = False  # whether they are used there, outside of the code storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Decides for one region.  `known` says what this machine remembers of a candidate there."""

    region: Region
    known: Callable[[Candidate], Known]
    terms: Terms
    patience: Patience
    stop: Stop = field(default_factory=Stop)

    def decide(self, candidate: Candidate, since: int | None = None) -> Decision:
        """What is to be done of a candidate.  Raises CallFailed.

        All versions after `since` may be reused, where it is given, and not the newest alone.
        """
        sent = self.sent(candidate)
        known = self.known(sent)
        since = min((one for one in (since, known.pending_after) if one is not None), default=None)
        listed = self.listed(sent, FEW if since is None and not _mixed(sent) else LOOK)
        newest = listed[0].version if listed else 0
        same = self.same(sent, listed, known.versions, since)
        if same:
            return self.reused(candidate, same, newest)
        new = Decision(
            candidate=candidate,
            sent=sent,
            region=self.region.name,
            action=Action.PUBLISH,
            reason=self._difference(sent, listed),
            newest=newest,
            change=shares.compare(self.terms.share, Policy(), prune=False, own_account=self.terms.account),
            notes=() if sent == candidate else (NO_TAGS,),
        )
        if is_large(candidate) and not self.region.bucket:
            limit = targets.limit("request_zip_bytes") // 2**20
            reason = f"the zip has {candidate.size / 2**20:.1f} MiB, and a request takes {limit}"
            cure = "name a bucket of each region: --bucket 'my-{region}', or publish: {bucket: 'my-{region}'} "
            cure += "in layers.yaml"
            return replace(new, action=Action.REFUSE, reason=reason, cure=cure)
        return new

    def sent(self, candidate: Candidate) -> Candidate:
        """The candidate as the region takes it, as far as is known."""
        return replace(candidate, architectures=()) if self.known(candidate).untagged else candidate

    def listed(self, sent: Candidate, count: int) -> list[LayerVersion]:
        """The newest versions that compete with the candidate: of all, unless others are published beside it."""
        tags = {"runtime": sent.runtimes, "architecture": sent.architectures}
        first = {} if sent.alone else {kind: names[0] for kind, names in tags.items() if names}
        return self.patience.reading(lambda: self.region.layers.newest(sent.name, count=count, **first))

    def same(
        self, sent: Candidate, listed: Sequence[LayerVersion], remembered: Sequence[int], since: int | None
    ) -> LayerVersion | None:
        """A version with these bytes and tags: one that is remembered, or made after `since`, or the newest.

        What is remembered comes first: that was shared and told to people, whatever was published since.  Of those
        made after `since`, or beside the newest, the oldest does: who made another one deletes it (see `apply`).
        """
        fitting = [one for one in listed if self.matches(one, sent)]
        later = [one.version for one in fitting if since is not None and one.version > since]
        newest = [one.version for one in fitting if one is listed[0] or beside(one, listed[0])]
        others = [one.version for one in fitting if _mixed(sent)]
        return next(self.equal(sent, dict.fromkeys([*remembered, *sorted(later), *sorted(newest), *others])), None)

    def equal(self, sent: Candidate, numbers: Iterable[int]) -> Iterator[LayerVersion]:
        """Of these versions, those that exist with the candidate's bytes and tags."""
        for number in numbers:
            found = self.patience.reading(partial(self.region.layers.get, sent.name, number))
            if found and found.code_sha256 == sent.code_sha256 and self.matches(found, sent):
                yield found

    def matches(self, version: LayerVersion, sent: Candidate) -> bool:
        """Whether the version's tags are the candidate's, and its texts where these matter."""
        tags = version.runtimes == sent.runtimes and version.architectures == sent.architectures
        return tags and not (self.terms.texts and other_texts(version, sent))

    def reused(self, candidate: Candidate, version: LayerVersion, newest: int) -> Decision:
        """What a version that is there lacks of what is declared."""
        policy = self.patience.reading(lambda: self.region.layers.policy(version.name, version.version))
        terms = self.terms
        change = shares.compare(terms.share, policy, prune=terms.prune_shares, own_account=terms.account)
        parameters = self._parameters(candidate, version)
        changed = [f"grant {shares.words(change.add)}"] if change.add else []
        changed += [f"take back {shares.words(change.remove)}"] if change.remove else []
        changed += [f"write {len(parameters)} parameters"] if parameters else []
        notes = [NO_TAGS] if candidate.architectures and not version.architectures else []
        if other := other_texts(version, candidate):
            notes.append(f"its {other} is not that of layers.yaml any more ({TEXTS} makes a new version)")
        if change.foreign:
            notes.append(f"it is shared with {shares.words(change.foreign)}, too, which layers.yaml does not say "
                         "(--prune-shares takes that back)")  # fmt: skip
        reason = f"version {version.version} has these bytes and tags"
        if version.version < newest:
            notes.append(f"the newest is version {newest}")
        return Decision(
            candidate=candidate,
            sent=self.sent(candidate),
            region=self.region.name,
            action=Action.SHARE if changed else Action.REUSE,
            reason="; ".join([reason, *changed]),
            newest=newest,
            version=version,
            change=change,
            parameters=parameters,
            notes=tuple(notes),
        )

    def _parameters(self, candidate: Candidate, version: LayerVersion) -> tuple[tuple[str, str], ...]:
        wanted = parameters(self.terms.prefix, candidate, version)
        if not wanted:
            return ()
        there = self.patience.reading(lambda: self.region.parameters.get(tuple(wanted)))
        return tuple((name, value) for name, value in wanted.items() if there.get(name) != value)

    def _difference(self, sent: Candidate, listed: Sequence[LayerVersion]) -> str:
        if not listed:
            return "there is no version yet" if sent.alone else "there is no version with these tags yet"
        newest = listed[0]
        if newest.runtimes != sent.runtimes or newest.architectures != sent.architectures:
            tags = " ".join((*newest.runtimes, *newest.architectures)) or "none"
            return f"version {newest.version} has other tags: {tags}"
        if self.terms.texts and (other := other_texts(newest, sent)):
            return f"version {newest.version} has another {other}, if not other bytes"
        return f"version {newest.version} has other bytes"

    def fitting(self, decisions: Sequence[Decision]) -> list[Decision]:
        """The same decisions, but for those that the account's code storage in the region has no room for."""
        new = [one for one in decisions if one.action is Action.PUBLISH and not self._stays(one.candidate)]
        if not new:
            return list(decisions)
        try:
            room = self.patience.reading(self.region.layers.room)
        except Rejected as failure:
            if isinstance(failure, CredentialsRefused):
                raise
            return list(decisions)  # it is not needed: when publishing, AWS tells it, too
        left = room.limit - room.used
        checked = []
        for one in decisions:
            fits = one not in new or one.candidate.size <= left
            left -= one.candidate.size if fits and one in new else 0
            checked.append(one if fits else self._full(one, room))
        return checked

    def _full(self, decision: Decision, room: Room) -> Decision:
        size = decision.candidate.size
        reason = f"the code storage is full: {room.used} of {room.limit} bytes are used, and the zip has {size}"
        cure = f"delete versions that nobody uses in {self.region.name}, or ask for more of it (Service Quotas)"
        return replace(decision, action=Action.REFUSE, reason=reason, cure=cure)

    def _stays(self, candidate: Candidate) -> bool:
        return self.terms.reference and is_large(candidate)


NO_TAGS = "without architecture tags, which the region does not take"


def beside(one: LayerVersion, other: LayerVersion) -> bool:
    """Whether two versions were made at about the same time; if AWS's times cannot be read, they were not."""
    try:
        apart = datetime.fromisoformat(other.created) - datetime.fromisoformat(one.created)
    except (ValueError, TypeError):  # TypeError: one of them has no time zone
        return False
    return abs(apart.total_seconds()) <= TOGETHER


def _mixed(sent: Candidate) -> bool:
    """Whether its tags do not tell it from what is published beside it: the newest version may be that."""
    return not sent.alone and not (sent.runtimes and sent.architectures)


def is_large(candidate: Candidate) -> bool:
    """Whether the zip goes through a bucket."""
    return candidate.size > targets.limit("request_zip_bytes")


def parameters(prefix: str, candidate: Candidate, version: LayerVersion) -> dict[str, str]:
    """Names and values of the SSM parameters that hold a version's ARN; none without a prefix."""
    if not prefix:
        return {}
    return {
        f"{prefix}/{candidate.name}/{runtime}/{architecture}/{last}": version.arn
        for runtime in candidate.runtimes
        for architecture in candidate.architectures
        for last in (str(version.version), "latest")
    }


def other_texts(version: LayerVersion, candidate: Candidate) -> str:
    """Which texts differ: "description", "license", "description and license"; empty where none does."""
    pairs = {
        "description": (version.description, candidate.description),
        "license": (version.license, candidate.license),
    }
    return " and ".join(name for name, (there, wanted) in pairs.items() if there != wanted)
