"""Which regions a command is for: those of the command line, else of layers.yaml, else of the AWS configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from layerkit.errors import AwsError, ConfigError
from layerkit.publishing import REGION

FLAG = "--region"
FILE = "layers.yaml: publish.regions"
CONFIGURED = "the AWS configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The regions of a run, in the order in which they were given, each once; all of one partition."""

    names: tuple[str, ...]
    warnings: tuple[str, ...] = ()  # sentences for the user


class Account(Protocol):
    """What an account tells of its regions: `account` has the real one."""

    partition: str
    configured_region: str

    def known_regions(self) -> dict[str, list[str]]: ...
    def enabled_regions(self) -> list[str]: ...
    def left_out(self) -> list[str]: ...


class Says(Protocol):
    """Where it is told what goes on."""

    def note(self, message: str) -> None: ...
    def warn(self, message: str) -> None: ...


def of(
    account: Account, given: Sequence[str], declared: Sequence[str], says: Says, *, every: bool
) -> tuple[str, ...]:
    """The regions of a run: with `every` (--all-regions) those that the account has enabled, else as `choose`.

    Raises what `choose` does, and AwsError where AWS does not tell the enabled ones, or there is none.
    """
    if every:
        names = tuple(account.enabled_regions())
        if left := account.left_out():
            says.note(f"enabled, but without Lambda as far as this boto3 knows: {', '.join(left)}")
        if not names:
            raise AwsError("the account has no region where this boto3 knows Lambda", cure="name it: --region")
        return names
    chosen = choose(given, declared, account.configured_region, account.known_regions(), partition=account.partition)
    for warning in chosen.warnings:
        says.warn(warning)
    return chosen.names


def first(given: Sequence[str], declared: Sequence[str]) -> str:
    """A region that the run will be for, before AWS is asked anything; "" where none is named."""
    return next(iter(given or declared), "").partition(",")[0].strip()


def choose(
    given: Sequence[str],
    declared: Sequence[str],
    configured: str,
    known: Mapping[str, Sequence[str]],
    *,
    partition: str = "",
) -> Chosen:
    """`given` are the values of --region, also with commas between; `known` are the regions of each partition.

    A region that is not known here may be newer than this layerkit: it is warned of.  With `partition` (the
    credentials': "aws", "aws-cn") all regions have to be of it.  Raises ConfigError for names that are none and for
    regions of two partitions, which no credentials serve both; AwsError when there is no region at all.
    """
    where, words = FLAG, [word for value in given for word in re.split(r"[,\s]+", value) if word]
    if given and not words:  # --region "$UNSET" must not publish elsewhere
        raise ConfigError("names no region", where=FLAG, cure=f"for instance {FLAG} us-east-1")
    if not words:
        where, words = (FILE, list(declared)) if declared else (CONFIGURED, [configured] if configured else [])
    if not words:
        cure = f"give {FLAG} us-east-1, write it into layers.yaml (publish: {{regions: [us-east-1]}}), or: "
        raise AwsError("there is no region", cure=cure + "aws configure set region us-east-1")
    names = tuple(dict.fromkeys(words))
    every = [name for regions in known.values() for name in regions]
    wrong = [
        f"{name!r} is not an AWS region{_meant(name, every)}" for name in names if not re.fullmatch(REGION, name)
    ]
    if wrong:
        cure = f"for instance {FLAG} us-east-1,eu-west-1" if where == FLAG else f"correct it in {where}"
        raise ConfigError("not all of these are regions", where=where, why="\n".join(wrong), cure=cure)
    _check_partitions(names, known, where, partition)
    warnings = [
        f"{name} is no region that layerkit knows{_meant(name, every)}" for name in names if name not in every
    ]
    return Chosen(names=names, warnings=tuple(warnings))


def partition_of(name: str, known: Mapping[str, Sequence[str]]) -> str:
    """The partition of a region; of one that is not known, that of all its nearest neighbours; "" if that is open."""
    prefix = name
    while prefix:
        found = {
            partition
            for partition, regions in known.items()
            if any(region == prefix or region.startswith(f"{prefix}-") for region in regions)
        }
        if found:
            return found.pop() if len(found) == 1 else ""
        prefix = prefix.rpartition("-")[0]
    return ""


def _check_partitions(names: Sequence[str], known: Mapping[str, Sequence[str]], where: str, partition: str) -> None:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(partition_of(name, known), []).append(name)
    groups.pop("", None)
    lines = "\n".join(f"{one}: {', '.join(group)}" for one, group in sorted(groups.items()))
    if len(groups) > 1:
        raise ConfigError(
            "regions of two partitions of AWS have no credentials in common",
            where=where,
            why=lines,
            cure=f"publish to each by itself, with its own --profile and {FLAG}",
        )
    if partition and groups and partition not in groups:
        raise ConfigError(
            f"the credentials are of the partition {partition}, and the regions are not",
            where=where,
            why=lines,
            cure="use the --profile of an account there",
        )


def _meant(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]!r}?" if close else ""
