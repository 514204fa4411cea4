"""The table of contents of `layerkit iam-policy`: what is asked for -> a document of IAM, and what to say of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from layerkit import config
from layerkit.granting.actions import limit
from layerkit.granting.policy import policy, size, too_large
from layerkit.granting.request import GrantRequest, partition_for, regions, scope
from layerkit.granting.trust import TrustRequest, trust

UNVERSIONED = "the bucket is taken for one that keeps no versions; for one that does: --bucket-versions"


class Says(Protocol):
    """Where it is told what goes on."""

    def note(self, message: str) -> None: ...
    def warn(self, message: str) -> None: ...


def granted(request: GrantRequest, says: Says) -> dict[str, Any]:
    """The policy that lets the commands do their work, and nothing else.  Raises ConfigError."""
    found = scope(request)
    document = policy(found)
    if {"bucket", "unversioned"} <= found.facts and "publish" in found.commands:
        says.note(UNVERSIONED)
    if words := too_large(document):
        says.warn(words)
    return document


def trusted(request: TrustRequest, asked: GrantRequest, says: Says) -> dict[str, Any]:
    """The trust policy of the role; `asked` tells the partition.  Raises ConfigError."""
    declared = config.load(asked.file).publishing.regions if asked.file.exists() else ()
    named = regions(asked.regions, declared) if asked.regions or declared else ()
    found = trust(replace(request, partition=partition_for(asked.partition, named)))
    if found.warning:
        says.warn(found.warning)
    if size(found.document) > limit("trust"):
        says.warn(
            f"the trust policy has {size(found.document)} characters, and a role takes {limit('trust')} unless its "
            "quota is raised; a role for each environment is smaller"
        )
    return found.document
