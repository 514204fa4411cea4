"""IAM's policy language, as far as layerkit writes it: what a document allows, and what IAM would not take of it.

Source: IAM User Guide, "IAM JSON policy elements reference", "Grammar of the IAM JSON policy language" and
"IAM and AWS STS quotas".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

ARN = re.compile(
    r"arn:(aws|aws-cn|aws-us-gov|aws-eusc|aws-iso(-[bef])?):([a-z0-9-]+):([a-z0-9-]*|\*):([0-9]{12})?:(\S+)"
)
ACTION = re.compile(r"[a-z0-9]+:[A-Z][A-Za-z]+")
STATEMENT = {"Sid", "Effect", "Action", "Resource", "Principal", "Condition"}
OPERATORS = {"StringEquals", "StringLike"}
REGIONAL = {"lambda", "ssm"}  # services whose ARNs have a region and an account


def matches(pattern: str, text: str) -> bool:
    """Whether a text is met by a pattern of StringLike or Resource: * is any text, ? any one character."""
    words = {"*": "(?s:.*)", "?": "(?s:.)"}
    return re.fullmatch("".join(words.get(one) or re.escape(one) for one in pattern), text) is not None


def allows(
    document: Mapping[str, Any], action: str, resource: str = "", context: Mapping[str, str] | None = None
) -> bool:
    """Whether a policy allows an action on a resource.  A trust policy knows no resource."""
    return any(
        action in listed(one["Action"])
        and (not resource or any(matches(pattern, resource) for pattern in listed(one["Resource"])))
        and _holds(one.get("Condition", {}), context or {})
        for one in document["Statement"]
    )


def _holds(condition: Mapping[str, Mapping[str, Any]], values: Mapping[str, str]) -> bool:
    """Every operator and key has to hold; of a key's values one does.  A key that is not there never holds."""
    return all(
        key in values
        and any(
            values[key] == one if operator == "StringEquals" else matches(one, values[key]) for one in listed(wanted)
        )
        for operator, block in condition.items()
        for key, wanted in block.items()
    )


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def actions(document: Mapping[str, Any]) -> list[str]:
    return sorted(action for one in document["Statement"] for action in listed(one["Action"]))


def mistakes(document: Mapping[str, Any], *, trust: bool = False) -> list[str]:
    """What IAM would not take of a document, or what nobody should write into one."""
    found = [] if document.get("Version") == "2012-10-17" else ["another version"]
    found += [f"unknown element {name}" for name in set(document) - {"Version", "Statement"}]
    sids = [one.get("Sid", "") for one in document["Statement"]]
    found += [f"Sid {sid!r}" for sid in sids if not re.fullmatch("[A-Za-z0-9]+", sid) or sids.count(sid) > 1]
    if not sids:
        found.append("no statement")
    for one in document["Statement"]:
        found += _statement(one, trust=trust)
    return found


def _statement(one: Mapping[str, Any], *, trust: bool) -> Iterator[str]:
    yield from (f"unknown element {name}" for name in set(one) - STATEMENT)
    if one.get("Effect") != "Allow":
        yield "no effect"
    names = listed(one["Action"])
    yield from (f"action {name}" for name in names if not ACTION.fullmatch(name))
    if names != sorted(set(names)) or not names:
        yield f"actions are not sorted, or there are none: {names}"
    if trust == ("Resource" in one) or trust != ("Principal" in one):
        yield "a policy of a role has Resource, its trust policy has Principal"
    if not trust:
        yield from _resources(listed(one["Resource"]))
    for operator, block in one.get("Condition", {}).items():
        if operator not in OPERATORS or not block:
            yield f"operator {operator}"
        yield from (
            f"no value for {key}" for key, values in block.items() if not listed(values) or "" in listed(values)
        )


def _resources(arns: list[str]) -> Iterator[str]:
    if not arns or len(arns) != len(set(arns)):
        yield f"no resources, or one twice: {arns}"
    if arns == ["*"]:
        return
    for arn in arns:
        found = ARN.fullmatch(arn)
        if not found:
            yield f"no ARN: {arn}"
        elif (found[3] in REGIONAL) != bool(found[4] and found[5]):
            yield f"region or account: {arn}"
        elif "?" in arn or "${" in arn:
            yield f"wildcards: {arn}"
