"""Who holds on to a version, as far as this account and this folder tell.  Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from layerkit.aws.nouns import Alias, LayerVersion
from layerkit.operate.inventory import Inventory
from layerkit.publish.published import ARN

FEW = 5  # of one kind, that are told by name; the JSON has all


class Kind(StrEnum):
    """What holds a version."""

    FUNCTION = "function"
    PARAMETER = "parameter"
    PUBLISHED = "published.json"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualifier:
    """A version of a function, and the aliases that lead to it."""

    version: str  # "$LATEST", or a number
    aliases: tuple[str, ...] = ()

    def __str__(self) -> str:
        number = self.version if self.version.startswith("$") else f"version {self.version}"
        kind = "alias" if len(self.aliases) == 1 else "aliases"
        return f"{number}, {kind} {', '.join(self.aliases)}" if self.aliases else number


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Something that holds a version."""

    kind: Kind
    who: str  # the function's or parameter's name; of published.json the key in layers.yaml
    qualifiers: tuple[Qualifier, ...] = ()  # the function's versions that have it
    numbered: bool = False  # a parameter that layerkit wrote for this version alone

    def __str__(self) -> str:
        if self.kind is Kind.FUNCTION:
            return f"is used by function {self.who} ({_few([str(one) for one in self.qualifiers])})"
        return {
            Kind.PARAMETER: f"SSM {self.who} points to it",
            Kind.PUBLISHED: "published.json names it",
            Kind.ROLLBACK: f"a rollback of function {self.who} needs it",
        }[self.kind]


def holds(
    inventory: Inventory, published: Iterable[tuple[str, str]], rollbacks: Iterable[tuple[str, str]]
) -> dict[str, tuple[Hold, ...]]:
    """By the ARN of each version, what holds it; nothing for those that nobody holds.

    `published` and `rollbacks` are ARNs with the layer's key and the function's name.
    """
    versions = {one.arn: one for one in inventory.versions}
    found: dict[str, list[Hold]] = {arn: [] for arn in versions}
    for arn, hold in _functions(inventory):
        if arn in found:
            found[arn].append(hold)
    for name, value in sorted(inventory.parameters.items()):
        for arn in sorted(versions.keys() & set(re.findall(ARN, value))):
            numbered = value == arn and is_numbered(name, versions[arn])
            found[arn].append(Hold(kind=Kind.PARAMETER, who=name, numbered=numbered))
    for kind, pairs in ((Kind.PUBLISHED, published), (Kind.ROLLBACK, rollbacks)):
        for arn, who in sorted(set(pairs)):
            if arn in found:
                found[arn].append(Hold(kind=kind, who=who))
    return {arn: tuple(every) for arn, every in found.items() if every}


def is_numbered(parameter: str, version: LayerVersion) -> bool:
    """Whether this is the name that `publish --parameters` gives to the parameter of this very version.

    Its runtime and architecture are those that the zip is for, which are not always the version's tags.
    """
    last = rf"/{re.escape(version.name)}/[^/]+/(arm64|x86_64)/{version.version}"
    return re.fullmatch(rf"(/.+)?{last}", parameter) is not None


def newest(versions: Sequence[LayerVersion], keep: int = 1) -> dict[str, int]:
    """The places (1: the newest) of the `keep` newest of each set of tags, by their ARN."""
    counts: dict[tuple[str, tuple[str, ...], tuple[str, ...]], int] = {}
    found = {}
    for one in sorted(versions, key=lambda one: -one.version):
        tags = (one.name, one.runtimes, one.architectures)
        counts[tags] = counts.get(tags, 0) + 1
        if counts[tags] <= keep:
            found[one.arn] = counts[tags]
    return found


def words(every: Sequence[Hold]) -> list[str]:
    """What holds a version: a few of each kind, and how many more there are."""
    told = []
    for kind in Kind:
        of_kind = [str(one) for one in every if one.kind is kind]
        of_kind = of_kind[:1] if kind is Kind.PUBLISHED else of_kind
        told += of_kind[:FEW]
        more = len(of_kind) - FEW
        if more > 0:
            noun = {Kind.PARAMETER: "SSM parameter"}.get(kind, "function")
            verb = {Kind.FUNCTION: "used", Kind.PARAMETER: "pointed to"}.get(kind, "needed for a rollback")
            told.append(f"is {verb} by {more} more {noun}{'s' if more > 1 else ''}")
    return told


def _functions(inventory: Inventory) -> Iterator[tuple[str, Hold]]:
    """ARNs, and each function with those of its versions that have it."""
    users: dict[tuple[str, str], list[Qualifier]] = {}
    for function in inventory.functions:
        aliases = _leading(inventory.aliases.get(function.name, ()), function.version)
        for arn in set(function.layers):
            one = Qualifier(version=function.version, aliases=aliases)
            users.setdefault((arn, function.name), []).append(one)
    for (arn, name), qualifiers in sorted(users.items()):
        # $LATEST first, then the newest version
        ordered = sorted(qualifiers, key=lambda one: -int(one.version) if one.version.isdecimal() else -math.inf)
        yield arn, Hold(kind=Kind.FUNCTION, who=name, qualifiers=tuple(ordered))


def _leading(aliases: Iterable[Alias], version: str) -> tuple[str, ...]:
    """The aliases that lead to a version, also those that send it a share of the calls alone."""
    return tuple(sorted({one.name for one in aliases if version in (one.version, *(to for to, _ in one.weights))}))


def _few(words: Sequence[str]) -> str:
    more = len(words) - FEW
    return "; ".join([*words[:FEW], *([f"and {more} more"] if more > 0 else [])])
