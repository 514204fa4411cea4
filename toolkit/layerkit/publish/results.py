"""What publishing decides and what comes of it, for each layer in each region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from layerkit.aws.nouns import Candidate, LayerVersion
from layerkit.errors import LayerkitError
from layerkit.model import Share
from layerkit.publish.shares import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Versions that were published before as far as this machine remembers; AWS is asked whether it is so."""

    versions: tuple[int, ...] = ()
    pending_after: int | None = None  # a publish call without an outcome was made when this was the newest version
    untagged: bool = False  # the region was seen to refuse architecture tags


class Action(StrEnum):
    """What the plan wants of a candidate in a region."""

    PUBLISH = "publish"  # a new version
    REUSE = "reuse"  # a version that is there, as it is
    SHARE = "share"  # a version that is there, whose policy or parameters are not as declared
    REFUSE = "refuse"  # it cannot be published here


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One line of the plan."""

    candidate: Candidate
    sent: Candidate  # as the region takes it: it may take no architecture tags
    region: str
    action: Action
    reason: str
    newest: int = 0  # the number of the newest version when it was decided; 0: there is none
    version: LayerVersion | None = None  # what is reused
    change: Change = Change()  # of the policy of `version`, or of the new one
    parameters: tuple[tuple[str, str], ...] = ()  # names and values to be written for `version`
    notes: tuple[str, ...] = ()
    cure: str = ""  # of a refusal


class Status(StrEnum):
    """What became of a candidate in a region."""

    PUBLISHED = "published"
    ADOPTED = "adopted"  # published by a call of ours whose answer was lost
    REUSED = "reused"
    SHARED = "shared"  # reused, and its policy or parameters brought to what is declared
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a candidate in a region.  A version that is there is shared as declared unless this `failed`."""

    candidate: Candidate
    region: str
    status: Status
    reason: str
    version: LayerVersion | None = None
    share: Share = Share()  # who may use the version
    shared: Change = Change()  # what was added and removed for that, and what is there besides
    parameters: tuple[str, ...] = ()  # names of all that hold the version's ARN
    written: tuple[str, ...] = ()  # of these, the ones that were written now
    notes: tuple[str, ...] = ()
    cure: str = ""

    @property
    def failed(self) -> bool:
        return self.status in (Status.REFUSED, Status.FAILED)

    @property
    def tagged(self) -> bool:
        """False where the region took no architecture tags."""
        return not self.version or bool(self.version.architectures) or not self.candidate.architectures


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionResult:
    """All of one region: outcomes, or decisions alone (--dry-run), or why there is neither."""

    region: str
    outcomes: tuple[Outcome, ...] = ()
    decisions: tuple[Decision, ...] = ()
    failure: str = ""
    cure: str = ""

    @property
    def failed(self) -> bool:
        """Whether anything here is not as it was asked for."""
        refused = any(one.action is Action.REFUSE for one in self.decisions)
        return bool(self.failure) or refused or any(one.failed for one in self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What `publish` came to."""

    account: str
    regions: tuple[RegionResult, ...]
    candidates: Sequence[Candidate]
    dry_run: bool = False
    unrecorded: LayerkitError | None = None  # why published.json is not as it should be

    @property
    def failed(self) -> list[RegionResult]:
        return [one for one in self.regions if one.failed]

    @property
    def done(self) -> list[Outcome]:
        """What is published and shared as declared, whether now or before."""
        return [one for region in self.regions for one in region.outcomes if one.version and not one.failed]
