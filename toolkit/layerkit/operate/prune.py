"""Decides which versions go, and says of each one why.  Pure: it is given what was read, and returns a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from layerkit.aws.nouns import LayerVersion, Policy
from layerkit.operate.inventory import Inventory
from layerkit.operate.uses import Hold, Kind, newest, words
from layerkit.publish import shares


class Action(StrEnum):
    """What the plan wants of a version."""

    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One line of the plan."""

    version: LayerVersion
    action: Action
    reasons: tuple[str, ...]  # in words, at least one
    parameters: tuple[str, ...] = ()  # names of those that go right before the version


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for every version in every region."""

    account: str
    keep: int  # at least 1
    now: datetime  # with a time zone
    older_than: timedelta | None = None
    shared: bool = False  # delete what is shared, too
    drop_parameters: bool = False


def plan(inventory: Inventory, holds: Mapping[str, Sequence[Hold]], terms: Terms) -> list[Verdict]:
    """A verdict for each version, in the order of the inventory; whether it is shared is not looked at yet.

    Raises ValueError when none would be kept.
    """
    if terms.keep < 1:
        raise ValueError(f"at least the newest version is kept, not {terms.keep}")
    return [
        verdict
        for versions in inventory.layers.values()
        for places in [newest(versions, terms.keep)]
        for verdict in [_verdict(one, versions, places, holds.get(one.arn, ()), terms) for one in versions]
    ]


def doomed(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those that go."""
    return [one for one in verdicts if one.action is Action.DELETE]


def spared(verdicts: Sequence[Verdict], policies: Mapping[str, Policy], account: str) -> list[Verdict]:
    """The same verdicts, but for versions that others may use: what uses them there cannot be seen, so they stay.

    `policies` are by ARN; a version without one is taken for private.
    """
    found = []
    for verdict in verdicts:
        policy = policies.get(verdict.version.arn, Policy())
        others = [one for one in policy.statements if not (one.plain and one.principal == account)]
        what = f"is shared with {shares.words(others)}: what uses it there cannot be seen"
        found.append(_kept(verdict, f"{what} (--shared deletes it all the same)") if others else verdict)
    return found


def agreed(first: Sequence[Verdict], second: Sequence[Verdict]) -> list[Verdict]:
    """Of the versions that the `first` plan dooms, what the `second` one says, made of what is there now.

    A version goes when both doom it and it takes no parameter along that the first plan did not tell.  One that is
    not there any more is left out.
    """
    told = {one.version.arn: one for one in doomed(first)}
    found = []
    for verdict in second:
        before = told.get(verdict.version.arn)
        if before:
            fresh = [f"SSM {name} points to it" for name in verdict.parameters if name not in before.parameters]
            found.append(_kept(verdict, *fresh) if fresh else verdict)
    return found


def _kept(verdict: Verdict, *reasons: str) -> Verdict:
    """The verdict, but for a version that would go: it stays."""
    if verdict.action is Action.KEEP:
        return verdict
    return replace(verdict, action=Action.KEEP, reasons=reasons, parameters=())


def _verdict(
    version: LayerVersion,
    versions: Sequence[LayerVersion],
    places: Mapping[str, int],
    holds: Sequence[Hold],
    terms: Terms,
) -> Verdict:
    along = [one for one in holds if terms.drop_parameters and one.numbered]
    holding = [one for one in holds if one not in along]
    age = _age(version, terms.now)
    reasons = [_place(version, versions, places[version.arn], terms.keep)] if version.arn in places else []
    reasons += words(holding)
    if terms.older_than is not None:
        if age is None:
            reasons.append(f"nobody can say how old it is (it was made {version.created!r})")
        elif age <= terms.older_than:
            reasons.append(f"was made {span(age)} ago")
    if reasons:
        return Verdict(version=version, action=Action.KEEP, reasons=tuple(reasons))
    why = ["is not the newest" if terms.keep == 1 else f"is none of the {terms.keep} newest"]
    why += [f"was made {span(age)} ago"] if age is not None and terms.older_than is not None else []
    why.append("nothing is known to use it")
    parameters = tuple(one.who for one in along if one.kind is Kind.PARAMETER)
    return Verdict(version=version, action=Action.DELETE, reasons=tuple(why), parameters=parameters)


def _place(version: LayerVersion, versions: Sequence[LayerVersion], place: int, keep: int) -> str:
    """ "is the newest", and of which tags where the layer has had several sets of them."""
    tags = {(one.runtimes, one.architectures) for one in versions}
    own = " ".join((*version.runtimes, *version.architectures)) or "no tags"
    of = f" with {own}" if len(tags) > 1 else ""
    return f"is the newest{of}" if place == 1 else f"is one of the {keep} newest{of}"


def _age(version: LayerVersion, now: datetime) -> timedelta | None:
    try:
        return now - datetime.fromisoformat(version.created)
    except (ValueError, TypeError):  # TypeError: it has no time zone
        return None


def span(age: timedelta) -> str:
    """ "4 days", "3 hours", "less than an hour"."""
    hours = int(age.total_seconds() // 3600)
    number, noun = (hours // 24, "day") if hours >= 48 else (hours, "hour")
    return f"{number} {noun}{'' if number == 1 else 's'}" if number >= 1 else "less than an hour"
