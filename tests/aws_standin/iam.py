"""IAM: roles, their policies, and whether a policy allows what is asked for.

IAM user guide, "Policy evaluation logic": an explicit deny wins, and what nothing allows is denied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aws_standin.nouns import Json

MEMBERS = {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
LARGEST = {"policy": 6144, "trust": 2048}  # characters without spaces: IAM quotas, managed and role trust policies
Context = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """An action on a resource (an ARN, or "*") that a call needs; `words`: how its refusal reads, if otherwise."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """`trust` and `policy` are policy documents; no policy allows nothing."""

    arn: str
    trust: Json = field(default_factory=dict)
    policy: Json = field(default_factory=dict)
    longest: int = 3600  # seconds of a session: MaxSessionDuration

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    def session_arn(self, session: str) -> str:
        """The role's path is left out there: IAM user guide, "IAM identifiers"."""
        name = self.arn.rpartition("/")[2]
        return f"arn:{self.arn.split(':')[1]}:sts::{self.account}:assumed-role/{name}/{session}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Credentials of a role; those with a token are good for a time, `until` (seconds since 1970)."""

    role: Role
    name: str
    token: str = ""
    until: float = 0

    @property
    def arn(self) -> str:
        return self.role.session_arn(self.name)


def role(arn: str, document: Mapping[str, object]) -> Role:
    """Of {"trust": policy document, "policy": policy document, "longest": seconds}, as JSON text or parsed.

    Raises ValueError for what IAM would not take.
    """
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", arn):
        raise ValueError(f"{arn} is not the ARN of a role")
    unknown = set(document) - {"trust", "policy", "longest"}
    if unknown:
        raise ValueError(f"{arn}: {sorted(unknown)} is not known of a role")
    documents: dict[str, Json] = {}
    for kind in ("trust", "policy"):
        found = document.get(kind) or {}
        parsed = json.loads(found) if isinstance(found, str) else found
        if not isinstance(parsed, dict):
            raise ValueError(f"MalformedPolicyDocument: {arn}: {kind} is no object")
        if parsed:
            _check(parsed, kind, arn)
        documents[kind] = parsed
    return Role(arn=arn, **documents, longest=int(str(document.get("longest", 3600))))


def _check(document: Json, kind: str, arn: str) -> None:
    """IAM JSON policy grammar, as far as it is used here."""

    def malformed(words: str) -> ValueError:
        return ValueError(f"MalformedPolicyDocument: the {kind} policy of {arn}: {words}")

    if document.get("Version") != "2012-10-17" or set(document) - {"Version", "Id", "Statement"}:
        raise malformed("it has a Version of 2012-10-17, a Statement, and perhaps an Id")
    statements = several(document.get("Statement"))
    sids = [statement.get("Sid") for statement in statements if "Sid" in statement]
    if not statements or len(sids) != len(set(sids)):
        raise malformed("it has statements, and no Sid twice")
    for statement in statements:
        if set(statement) - MEMBERS or statement.get("Effect") not in ("Allow", "Deny"):
            raise malformed(f"{statement} is no statement")
        if not re.fullmatch(r"[A-Za-z0-9]*", statement.get("Sid", "")):
            raise malformed("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular "
                            "expression [0-9A-Za-z]*")  # fmt: skip
        if ("Action" in statement) == ("NotAction" in statement):
            raise malformed("Policy statement must contain actions.")
        if kind == "trust":
            if "Principal" not in statement or {"Resource", "NotResource"} & set(statement):
                raise malformed("Has prohibited field Resource, or no Principal")
        elif "Principal" in statement or ("Resource" in statement) == ("NotResource" in statement):
            raise malformed("Policy statement must contain resources, and no Principal")
        elif "${" in json.dumps(statement):
            raise malformed("policy variables are not in this stand-in")
    size = len(re.sub(r"\s", "", json.dumps(document)))
    if size > LARGEST[kind]:
        raise ValueError(
            f"LimitExceeded: Cannot exceed quota for PolicySize: {LARGEST[kind]} ({arn}, {kind}: {size})"
        )


def several(value: object) -> list[Json]:
    """One, or a list of them."""
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [] if value is None else [str(value)]


def verdict(document: Json, action: str, resource: str, context: Context) -> str:
    """ "Deny" by a statement, "Allow", or empty: nothing says anything."""
    found = {
        statement["Effect"]
        for statement in several(document.get("Statement"))
        if _acts(statement, action) and _meets(statement, resource) and holds(statement, context)
    }
    return "Deny" if "Deny" in found else "Allow" if found else ""


def _acts(statement: Json, action: str) -> bool:
    given = texts(statement.get("Action") or statement.get("NotAction"))
    return any(like(one.lower(), action.lower()) for one in given) == ("Action" in statement)


def _meets(statement: Json, resource: str) -> bool:
    given = texts(statement.get("Resource") or statement.get("NotResource"))
    return any(arn_like(one, resource) for one in given) == ("Resource" in statement)


def like(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern with * and ? has it."""
    made = "".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
    return re.fullmatch(made, text, re.DOTALL) is not None


def arn_like(pattern: str, arn: str) -> bool:
    """Each segment by itself; the last one of a pattern "can expand to match beyond the colon boundaries"

    (IAM user guide, "Resource").  An action that knows no resources is about "*", which only "*" is.
    """
    if arn == "*":
        return pattern == "*"
    given = pattern.split(":")
    parts = arn.split(":", len(given) - 1)
    return len(parts) == len(given) and all(like(one, part) for one, part in zip(given, parts, strict=True))


OPERATORS = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": like,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
}


def holds(statement: Json, context: Context) -> bool:
    """Whether all conditions of a statement are met; one that is not known refuses: it allows nothing, it denies."""
    known = {key.lower(): values for key, values in context.items()}
    refusing = statement["Effect"] == "Deny"
    for operator, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            met = _condition(operator, texts(wanted), known.get(key.lower()))
            if not (refusing if met is None else met):
                return False
    return True


def _condition(operator: str, wanted: Iterable[str], values: tuple[str, ...] | None) -> bool | None:
    """IAM user guide, "Condition operators" and "Set operators"; None: the operator or the key is not known here.

    A key that the request does not have has no values; with several and no set operator, any of them does.
    """
    every = operator.startswith("ForAllValues:")
    name = operator.removeprefix("ForAllValues:").removeprefix("ForAnyValue:").removesuffix("IfExists")
    negated = name.startswith(("StringNot", "ArnNot"))
    matches = OPERATORS.get(name.replace("Not", "", 1) if negated else name)
    if not matches:
        return None
    if values is None:
        return None
    if not values and operator.endswith("IfExists"):
        return True
    hits = [any(matches(one, value) for one in wanted) for value in values]
    if negated:
        return not any(hits)
    return all(hits) if every else any(hits)
