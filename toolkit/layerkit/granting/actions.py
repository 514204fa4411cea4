"""data/iam.toml: which actions of IAM each command needs, on which kind of resource, and when; and IAM's limits."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

COMMANDS = ("publish", "list", "prune", "attach")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action on one kind of resource."""

    name: str  # "lambda:PublishLayerVersion"
    resource: str  # a kind of data/iam.toml, which is also a statement's Sid
    when: Mapping[str, frozenset[str]]  # command -> what has to be so

    def needed(self, commands: Collection[str], facts: Collection[str]) -> bool:
        """Whether one of these commands calls it, these facts being so."""
        return any(command in self.when and self.when[command].issubset(facts) for command in commands)


@cache
def _data() -> Mapping[str, Any]:
    return tomllib.loads(resources.files("layerkit").joinpath("data/iam.toml").read_text(encoding="utf-8"))


@cache
def actions() -> tuple[Action, ...]:
    """All of them, in the file's order."""
    return tuple(
        Action(
            name=one["action"],
            resource=one["resource"],
            when={command: frozenset(one[command]) for command in COMMANDS if command in one},
        )
        for one in _data()["actions"]
    )


def kinds() -> Mapping[str, str]:
    """The template of the ARNs of each kind of resource, in the order of a policy's statements."""
    found: Mapping[str, str] = _data()["resources"]
    return found


def limit(name: str) -> int:
    """A limit of IAM in characters, white space not counted: managed, inline or trust."""
    return int(_data()["limits"][name])


def partition_of(region: str) -> str:
    """The partition of a region, by how its name begins."""
    found: Mapping[str, str] = _data()["partitions"]
    return next((partition for prefix, partition in found.items() if region.startswith(prefix)), "aws")


def partitions() -> tuple[str, ...]:
    """All that are known."""
    return ("aws", *_data()["partitions"].values())
