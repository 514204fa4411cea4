"""What pruning came to, as a person and as a program read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from layerkit.aws.nouns import LayerVersion, Room
from layerkit.console import size
from layerkit.errors import DonePartly, LayerkitError, OperationFailed
from layerkit.operate.account import Failure
from layerkit.operate.prune import Verdict
from layerkit.operate.results import Outcome, Pruned, RegionPruned, Status

SCHEMA_VERSION = 1


def plan_lines(region: RegionPruned) -> Iterator[str]:
    """A line for each version: what is to become of it, and why."""
    yield from _verdicts(region.region, region.verdicts)
    there = {one.version.name for one in region.verdicts}
    if region.failure:
        yield from _failed(region.region, region.failure)
        return
    yield from (
        f"{region.region:14}  {one.name}  has no version there" for one in region.wanted if one.name not in there
    )


def doomed_lines(region: RegionPruned) -> Iterator[str]:
    """The same for those that would go alone."""
    yield from _verdicts(region.region, region.doomed)


def outcome_lines(region: RegionPruned) -> Iterator[str]:
    """A line for each version that was to go, and what the region's code storage holds now."""
    width = max((len(_label(one.version)) for one in region.outcomes), default=0)
    for cure, same in groupby(region.outcomes, key=lambda one: one.cure):
        for one in same:
            words = f"  {_why(one)}" if one.reason else ""
            yield f"{region.region:14}  {_label(one.version).ljust(width)}  {one.status}{words}"
        if cure:
            yield f"  To do: {cure}"
    if region.after:
        yield f"{region.region:14}  {storage(region.after)}"
    if region.failure:
        yield from _failed(region.region, region.failure)


def problems(region: RegionPruned) -> Iterator[str]:
    """What is not as it was asked for, with what to do about it; a line for each reason."""
    if region.failure:
        yield f"{region.region}: {region.failure.what}; nothing is deleted there{_to_do(region.failure.cure)}"
    failed = [one for one in region.outcomes if one.status is Status.FAILED]
    for (why, cure), same in groupby(failed, key=lambda one: (_why(one), one.cure)):
        labels = [_label(one.version) for one in same]
        verb = "is" if len(labels) == 1 else "are"
        yield f"{region.region}: {', '.join(labels)} {verb} not deleted: {why}{_to_do(cure)}"


def storage(room: Room) -> str:
    """What the code storage of a region holds."""
    return f"code storage: {size(room.used)} of {size(room.limit)} used"


def question(result: Pruned) -> str:
    """What a person is asked before anything is deleted."""
    doomed = sum(len(one.doomed) for one in result.regions)
    regions = sum(bool(one.doomed) for one in result.regions)
    return (
        f"delete {counted(doomed, 'version')} of account {result.account} in {counted(regions, 'region')}, for ever?"
    )


def summary(result: Pruned) -> str:
    """One line: what was done, or would be."""
    doomed = sum(len(one.doomed) for one in result.regions)
    kept = sum(len(one.verdicts) for one in result.regions) - doomed
    lost = sum(bool(one.failure) for one in result.regions)
    failed = [f"{counted(lost, 'region')} failed"] if lost else []
    if result.dry_run or result.refused:
        what = "plan, nothing is done" if result.dry_run else "nothing is deleted"
        regions = counted(len(result.regions), "region")
        return f"{what}: {', '.join([f'{doomed} to delete and {kept} to keep in {regions}', *failed])}"
    where = sum(any(one.status is Status.DELETED for one in region.outcomes) for region in result.regions)
    parts = [f"{counted(result.count(Status.DELETED), 'version')} deleted in {counted(where, 'region')}"]
    words = {Status.FAILED: "failed", Status.KEPT: "kept after all", Status.GONE: "gone already"}
    parts += [f"{result.count(status)} {word}" for status, word in words.items() if result.count(status)]
    return ", ".join(parts + failed)


def failure(result: Pruned) -> type[LayerkitError] | None:
    """The error that the process ends with: None when all is as asked; else whether some of it is, or nothing."""
    if not any(one.failed for one in result.regions):
        return None
    good = any(not one.failed for one in result.regions) or result.count(Status.DELETED)
    return DonePartly if good else OperationFailed


def as_json(result: Pruned) -> dict[str, Any]:
    """Everything, for a program."""
    return {
        "schema_version": SCHEMA_VERSION,
        "ok": failure(result) is None,
        "account": result.account,
        "dry_run": result.dry_run,
        "refused": result.refused,
        "interrupted": result.interrupted,
        "deleted": result.count(Status.DELETED),
        "failed": result.count(Status.FAILED),
        "regions": [
            {
                "region": region.region,
                "failure": region.failure.what if region.failure else None,
                "cure": region.failure.cure if region.failure else None,
                "storage": {"before": room(region.before), "after": room(region.after)},
                "versions": [_version(region, number) for number in range(len(region.verdicts))],
            }
            for region in result.regions
        ],
    }


def room(room: Room | None) -> dict[str, int] | None:
    """Bytes."""
    return {"used": room.used, "limit": room.limit} if room else None


def version(one: LayerVersion) -> dict[str, Any]:
    """A version as AWS tells it."""
    return {
        "name": one.name,
        "version": one.version,
        "arn": one.arn,
        "created": one.created or None,
        "runtimes": list(one.runtimes),
        "architectures": list(one.architectures),
        "description": one.description or None,
    }


def counted(number: int, noun: str) -> str:
    """ "1 region", "2 regions"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _version(region: RegionPruned, number: int) -> dict[str, Any]:
    verdict = region.verdicts[number]
    outcomes = {one.version.arn: one for one in region.outcomes}
    outcome: Outcome | None = outcomes.get(verdict.version.arn)
    return {
        **version(verdict.version),
        "action": verdict.action.value,
        "reasons": list(verdict.reasons),
        "parameters": list(verdict.parameters),
        "status": outcome.status.value if outcome else None,
        "reason": (outcome.reason or None) if outcome else None,
        "cure": (outcome.cure or None) if outcome else None,
        "deleted_parameters": list(outcome.parameters) if outcome else [],
    }


def _verdicts(region: str, verdicts: Sequence[Verdict]) -> Iterator[str]:
    width = max((len(_label(one.version)) for one in verdicts), default=0)
    for one in verdicts:
        yield f"{region:14}  {_label(one.version).ljust(width)}  {one.action:6}  {'; '.join(one.reasons)}"
        yield from (f"  with the parameter {name}" for name in one.parameters)


def _why(one: Outcome) -> str:
    """Why a version is not deleted, and what of it is gone all the same."""
    gone = [f"the parameter {name} is deleted already" for name in one.parameters]
    return "; ".join([one.reason, *gone])


def _to_do(cure: str) -> str:
    return f" (to do: {cure})" if cure else ""


def _label(one: LayerVersion) -> str:
    return f"{one.name} {one.version}"


def _failed(region: str, failure: Failure) -> Iterator[str]:
    yield f"{region:14}  failed  {failure.what}; nothing is deleted there"
    if failure.cure:
        yield f"  To do: {failure.cure}"
