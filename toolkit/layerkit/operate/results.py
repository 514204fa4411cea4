"""What `list` and `prune` came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from layerkit.aws.nouns import LayerVersion, Room
from layerkit.operate.account import Failure
from layerkit.operate.prune import Verdict, doomed
from layerkit.operate.request import Wanted
from layerkit.operate.uses import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A version, and who is known to hold it."""

    version: LayerVersion
    newest: bool  # of those with its tags
    holds: tuple[Hold, ...] = ()
    size: int = 0  # bytes; 0: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionListing:
    """A region with its layers."""

    region: str
    layers: tuple[tuple[Wanted, tuple[Listed, ...]], ...] = ()
    room: Room | None = None
    lacks: tuple[Failure, ...] = ()  # what could not be read
    blind: bool = False  # so that what nobody is known to hold may be held
    failure: Failure | None = None  # why there is nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What `list` came to."""

    account: str
    regions: tuple[RegionListing, ...]


class Status(StrEnum):
    """What became of a version that was to go."""

    DELETED = "deleted"
    KEPT = "kept"  # something holds it that did not when it was planned
    GONE = "gone"  # somebody else has deleted it
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a version that was to go."""

    version: LayerVersion
    status: Status
    reason: str = ""
    cure: str = ""
    parameters: tuple[str, ...] = ()  # names of those that are deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPruned:
    """A region: the plan, and what became of it unless it was a dry run."""

    region: str
    wanted: tuple[Wanted, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    before: Room | None = None
    after: Room | None = None
    failure: Failure | None = None  # why there is no plan, or nothing of it was done

    @property
    def doomed(self) -> list[Verdict]:
        return doomed(self.verdicts)

    @property
    def failed(self) -> bool:
        """Whether anything here is not as it was asked for."""
        return bool(self.failure) or any(one.status is Status.FAILED for one in self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What `prune` came to."""

    account: str
    regions: tuple[RegionPruned, ...]
    dry_run: bool = False
    refused: bool = False  # the user said no
    interrupted: bool = False  # by the user, while versions were deleted

    def count(self, status: Status) -> int:
        return sum(one.status is status for region in self.regions for one in region.outcomes)
