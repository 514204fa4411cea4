"""A scope -> the IAM policy that allows just that: the actions of the commands, on the resources that they touch."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import product
from typing import Any

from layerkit.granting.actions import actions, kinds, limit

VERSION = "2012-10-17"  # of the policy language; IAM User Guide, "IAM JSON policy elements: Version"
ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a policy is to cover.  Names hold no wildcards but the one for all regions."""

    commands: tuple[str, ...]
    facts: frozenset[str]  # words of data/iam.toml
    partition: str
    account: str
    regions: tuple[str, ...]  # or "*"
    layers: tuple[str, ...]  # names in AWS
    others: tuple[str, ...] = ()  # ARNs, without a version, of layers of somebody else's
    functions: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()  # with their regions filled in
    prefix: str = ""  # of the objects' keys
    parameters: str = ""  # prefix of SSM parameters
    tree: str = "/"  # where list and prune look for parameters


def policy(scope: Scope) -> dict[str, Any]:
    """The document: a statement for each kind of resource, whose Sid is the kind's name."""
    statements = []
    for kind, template in kinds().items():
        names = {one.name for one in actions() if one.resource == kind and one.needed(scope.commands, scope.facts)}
        if names:
            arns = _filled(template, scope)
            statement = {"Sid": kind, "Effect": "Allow", "Action": sorted(names), "Resource": arns}
            statements.append(statement | _condition(arns, scope))
    return {"Version": VERSION, "Statement": statements}


def size(document: dict[str, Any]) -> int:
    """A document's characters as IAM counts them, which is without white space between its parts."""
    return len(json.dumps(document, separators=(",", ":")))


def too_large(document: dict[str, Any]) -> str:
    """What to say of a policy that IAM does not take in each place; "" of one that it does."""
    count = size(document)
    if count <= limit("managed"):
        return ""
    place = f"a managed policy, which takes {limit('managed')}"
    if count > limit("inline"):
        place += f", and an inline policy of a role, which takes {limit('inline')}"
    return (
        f"the policy has {count} characters: too many for {place}; --all-regions writes * for the regions, "
        "and a policy for each command (--for) or layer is smaller"
    )


def _filled(template: str, scope: Scope) -> list[str]:
    """The ARNs of a template: one for each combination of the values of its placeholders."""
    values = {
        "partition": (scope.partition,),
        "account": (scope.account,),
        "region": scope.regions,
        "layer": scope.layers,
        "other": scope.others,
        "function": scope.functions,
        "bucket": scope.buckets,
        "prefix": (scope.prefix,),
        "parameters": (scope.parameters,),
        "tree": (scope.tree,),
    }
    names = list(dict.fromkeys(re.findall(r"\{(\w+)\}", template)))
    combinations = product(*(values[name] for name in names))
    return [template.format(**dict(zip(names, chosen, strict=True))) for chosen in combinations]


def _condition(resources: list[str], scope: Scope) -> dict[str, Any]:
    """A bucket's ARN names no account: where its name has a wildcard, the account is a condition."""
    if any(arn.startswith(f"arn:{scope.partition}:s3:::") for arn in resources) and ANY in "".join(scope.buckets):
        return {"Condition": {"StringEquals": {"aws:ResourceAccount": scope.account}}}
    return {}
