"""One region from start to end: planned, then applied.  Regions know nothing of each other."""

from __future__ import annotations

from collections.abc import Sequence

from layerkit.aws.everywhere import AT_ONCE, together
from layerkit.aws.failures import CallFailed, CredentialsRefused, NotEnabled, Unreachable
from layerkit.aws.nouns import Candidate
from layerkit.publish.apply import Applier, failed
from layerkit.publish.journal import Journal
from layerkit.publish.plan import Planner
from layerkit.publish.results import Decision, Outcome, RegionResult

EVERYTHING = (NotEnabled, Unreachable, CredentialsRefused)  # what holds for all layers in the region


def planned(planner: Planner, candidates: Sequence[Candidate], at_once: int = AT_ONCE) -> RegionResult:
    """What would be done in a region.  Raises CallFailed where that cannot be said of any layer."""
    decisions, failures = _decided(planner, candidates, at_once)
    return RegionResult(region=planner.region.name, decisions=tuple(decisions), outcomes=tuple(failures))


def published(
    planner: Planner, journal: Journal, candidates: Sequence[Candidate], at_once: int = AT_ONCE
) -> RegionResult:
    """Decide, and do it.  What fails for one layer does not keep the others from being published.

    Raises CredentialsRefused, and CallFailed where the region as a whole fails before anything was begun.
    """
    applier = Applier(planner=planner, journal=journal)
    decisions, outcomes = _decided(planner, candidates, at_once)
    # layers of one name are done one after the other: the number of the newest version counts
    by_name: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_name.setdefault(decision.candidate.name, []).append(decision)
    for done in together(lambda group: [applier.apply(one) for one in group], list(by_name.values()), at_once):
        outcomes += done
    place = {candidate: number for number, candidate in enumerate(candidates)}
    outcomes.sort(key=lambda one: place[one.candidate])
    return RegionResult(region=planner.region.name, outcomes=tuple(outcomes))


def _decided(planner: Planner, candidates: Sequence[Candidate], at_once: int) -> tuple[list[Decision], list[Outcome]]:
    """The decisions, and the outcomes of those that could not be made."""

    def decide(candidate: Candidate) -> Decision | Outcome:
        try:
            return planner.decide(candidate)
        except EVERYTHING:
            raise
        except CallFailed as failure:
            return failed(candidate, planner.region.name, failure)

    found = together(decide, candidates, at_once, all_of_them=True)  # the same calls each time, whichever fails first
    decisions = [one for one in found if isinstance(one, Decision)]
    return planner.fitting(decisions), [one for one in found if isinstance(one, Outcome)]
