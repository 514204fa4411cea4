"""What publishing came to, as a person and as a program read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from layerkit.aws.nouns import Candidate, LayerVersion, Statement
from layerkit.errors import LayerkitError, PublishedPartly, PublishFailed
from layerkit.publish.results import Action, Decision, Outcome, RegionResult, Result, Status
from layerkit.publish.shares import words

SCHEMA_VERSION = 1


def lines(result: RegionResult) -> Iterator[str]:
    """A region, a line for each layer and one for each thing to know of it."""
    candidates = [one.candidate for one in result.outcomes] + [one.candidate for one in result.decisions]
    width = max((len(_label(one)) for one in candidates), default=0)
    for decision in result.decisions:
        yield f"{result.region:14}  {_label(decision.candidate).ljust(width)}  {decision.action:7}  {decision.reason}"
        yield from _more(decision.notes, decision.cure)
    for outcome in result.outcomes:
        told = outcome.reason if outcome.failed or not outcome.version else outcome.version.arn
        yield f"{result.region:14}  {_label(outcome.candidate).ljust(width)}  {outcome.status:9}  {told}"
        if outcome.status in (Status.SHARED, Status.PUBLISHED, Status.ADOPTED):
            yield from _changes(outcome)
        yield from _more(outcome.notes, outcome.cure)
    if result.failure:
        yield f"{result.region:14}  failed  {result.failure}"
        yield from _more((), result.cure)


def problems(result: RegionResult) -> Iterator[str]:
    """What is not as it was asked for, a line for each."""
    if result.failure:
        yield f"{result.region}: {result.failure}"
    for one in result.outcomes:
        if one.failed:
            yield f"{result.region}: {_label(one.candidate)}: {one.reason}"
    for decision in result.decisions:
        if decision.action is Action.REFUSE:
            yield f"{result.region}: {_label(decision.candidate)}: {decision.reason}"


def _label(one: Candidate) -> str:
    """The layer's name; with its tags where others have the same name."""
    return one.name if one.alone else " ".join((one.name, *one.runtimes, *one.architectures))


def _changes(outcome: Outcome) -> Iterator[str]:
    if outcome.shared.add:
        yield f"  shared with: {words(outcome.shared.add)}"
    if outcome.shared.remove:
        yield f"  no longer shared with: {words(outcome.shared.remove)}"
    if outcome.written:
        yield f"  parameters: {', '.join(outcome.written)}"


def _more(notes: tuple[str, ...], cure: str) -> Iterator[str]:
    yield from (f"  note: {note}" for note in notes)
    if cure:
        yield f"  To do: {cure}"


def summary(result: Result) -> str:
    """One line: what was done, or would be."""
    layers, regions = _counted(len(result.candidates), "layer version"), _counted(len(result.regions), "region")
    counts: dict[str, int] = {}
    for region in result.regions:
        for one in region.decisions:
            counts[f"to {one.action}"] = counts.get(f"to {one.action}", 0) + 1
        for outcome in region.outcomes:
            counts[outcome.status] = counts.get(outcome.status, 0) + 1
    parts = [f"{count} {what}" for what, count in counts.items()]
    lost = sum(bool(region.failure) for region in result.regions)
    parts += [f"{_counted(lost, 'region')} failed"] if lost else []
    plan = "plan, nothing is done: " if result.dry_run else ""
    return f"{plan}{layers} in {regions}: {', '.join(parts)}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def failure(result: Result) -> type[LayerkitError] | None:
    """The error that the process ends with: None when all is as asked; else whether some of it is, or nothing."""
    if result.unrecorded:
        return type(result.unrecorded)
    if not result.failed:
        return None
    good = any(not one.failed for region in result.regions for one in region.outcomes)
    good |= any(one.action is not Action.REFUSE for region in result.regions for one in region.decisions)
    return PublishedPartly if good else PublishFailed


def as_json(result: Result) -> dict[str, Any]:
    """Everything, for a program.  Sizes in bytes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "ok": failure(result) is None,
        "account": result.account,
        "dry_run": result.dry_run,
        "unrecorded": str(result.unrecorded) if result.unrecorded else None,
        "regions": [
            {
                "region": region.region,
                "failure": region.failure or None,
                "cure": region.cure or None,
                "plan": [_decision(one) for one in region.decisions],
                "layers": [_outcome(one) for one in region.outcomes],
            }
            for region in result.regions
        ],
    }


def _candidate(one: Candidate) -> dict[str, Any]:
    return {
        "layer": one.layer,
        "name": one.name,
        "file": str(one.path),
        "size": one.size,
        "code_sha256": one.code_sha256,
        "runtimes": list(one.runtimes),
        "architectures": list(one.architectures),
    }


def _version(one: LayerVersion | None) -> dict[str, Any]:
    return {"version": one.version if one else None, "arn": one.arn if one else None}


def _decision(one: Decision) -> dict[str, Any]:
    return {
        **_candidate(one.candidate),
        "action": one.action.value,
        "reason": one.reason,
        **_version(one.version),
        "newest": one.newest or None,
        "share": {"add": _statements(one.change.add), "remove": _statements(one.change.remove)},
        "shared_by_others": _statements(one.change.foreign),
        "parameters": dict(one.parameters),
        "notes": list(one.notes),
        "cure": one.cure or None,
    }


def _outcome(one: Outcome) -> dict[str, Any]:
    return {
        **_candidate(one.candidate),
        "status": one.status.value,
        "reason": one.reason,
        **_version(one.version),
        "tagged": one.tagged,
        "share": {"add": _statements(one.shared.add), "remove": _statements(one.shared.remove)},
        "shared_by_others": _statements(one.shared.foreign),
        "parameters": list(one.parameters),
        "notes": list(one.notes),
        "cure": one.cure or None,
    }


def _statements(statements: tuple[Statement, ...]) -> list[dict[str, str | None]]:
    return [
        {"id": one.sid, "principal": one.principal, "organization": one.organization or None} for one in statements
    ]
