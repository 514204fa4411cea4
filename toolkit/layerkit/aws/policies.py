"""Who may use a layer version, as AWS writes it: the JSON text of a policy -> `Policy`."""

from __future__ import annotations

import json
import re
from typing import Any

from layerkit.aws.nouns import Policy, Statement
from layerkit.publishing import ACCOUNT

ROOT = re.compile(rf"arn:aws[a-z-]*:iam::({ACCOUNT}):root")  # how AWS writes an account's number in a policy
ACTION = "lambda:GetLayerVersion"  # the only one that a layer's policy takes
EVERYONE = "*"


def parse(policy: str, revision: str = "") -> Policy:
    """The Policy of AWS's JSON text (GetLayerVersionPolicy).  Raises ValueError for what is no policy."""
    document = json.loads(policy)
    found = document.get("Statement", []) if isinstance(document, dict) else None
    statements = [found] if isinstance(found, dict) else found
    if not isinstance(statements, list) or not all(isinstance(one, dict) for one in statements):
        raise ValueError("the policy has no statements")
    return Policy(statements=tuple(map(_statement, statements)), revision=revision)


def _statement(data: dict[str, Any]) -> Statement:
    principal = _principal(data.get("Principal"))
    organization = _organization(data.get("Condition"))
    plain = (
        data.get("Effect") == "Allow"
        and data.get("Action") in (ACTION, [ACTION])
        and not {"NotPrincipal", "NotAction", "NotResource"} & set(data)
        and (principal == EVERYONE or bool(re.fullmatch(ACCOUNT, principal)))
        and organization is not None
        and (not organization or principal == EVERYONE)
    )
    return Statement(sid=str(data.get("Sid", "")), principal=principal, organization=organization or "", plain=plain)


def _principal(found: Any) -> str:
    """ "*" or 12 digits, however it is written; else its JSON text."""
    one = _single(found["AWS"] if isinstance(found, dict) and set(found) == {"AWS"} else found)
    if isinstance(one, str) and (root := ROOT.fullmatch(one)):
        return root[1]
    if isinstance(one, str) and (one == EVERYONE or re.fullmatch(ACCOUNT, one)):
        return one
    return json.dumps(found, sort_keys=True)


def _organization(condition: Any) -> str | None:
    """The organization that a condition asks for; "" without a condition; None for any other one."""
    if not condition:
        return ""
    operator = condition.get("StringEquals") if isinstance(condition, dict) and len(condition) == 1 else None
    found = operator.get("aws:PrincipalOrgID") if isinstance(operator, dict) and len(operator) == 1 else None
    one = _single(found)
    return one if isinstance(one, str) and one else None


def _single(found: Any) -> Any:
    """AWS writes one value as itself or as a list of one."""
    return found[0] if isinstance(found, list) and len(found) == 1 else found
