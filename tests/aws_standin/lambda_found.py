"""Functions by what a request calls them (name, ARN, version, alias), and what is told of them."""

from __future__ import annotations

import re

from aws_standin.asked import Asked, failed, invalid
from aws_standin.lambda_code import wrong
from aws_standin.lambda_layers import denied
from aws_standin.lambda_states import look
from aws_standin.nouns import Answer, Json, Refused, answer
from aws_standin.world import Function

LATEST = "$LATEST"
MOST = 50  # of a page, "even if you set the number higher": the model's words
# what lists leave out, by the model's words: "State, StateReasonCode, …"
UNLISTED = frozenset({
    "State", "StateReason", "StateReasonCode", "LastUpdateStatus", "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode", "RuntimeVersionConfig",
})  # fmt: skip


def named(asked: Asked) -> tuple[str, str]:
    """The function's name, and the qualifier that its ARN or the query has; empty for none."""
    text = asked.arguments[0]
    parts = text.rpartition("function:")[2].split(":")
    qualifier = asked.query.get("Qualifier", "")
    within = parts[1] if len(parts) > 1 else ""
    if qualifier and within and qualifier != within:  # recorded
        raise wrong("The derived qualifier from the function name does not match the specified qualifier.")
    return parts[0], qualifier or within


def arn_of(asked: Asked, name: str, qualifier: str = "") -> str:
    return asked.caller.arn("lambda", f"function:{name}{':' + qualifier if qualifier else ''}")


def not_found(asked: Asked, name: str, qualifier: str = "") -> Refused:
    return Refused("ResourceNotFoundException", f"Function not found: {arn_of(asked, name, qualifier)}")


def function_of(asked: Asked) -> Function:
    """The function that the path names, whatever its qualifier.  The caller holds the place's lock."""
    name, qualifier = named(asked)
    parts = asked.arguments[0].split(":")
    if len(parts) > 6 and parts[3] != asked.caller.region:
        words = f"Functions from '{parts[3]}' are not reachable in this region ('{asked.caller.region}')"
        raise Refused("ResourceNotFoundException", words)  # recorded
    if len(parts) > 6 and parts[4] != asked.caller.account:
        raise denied(asked.caller, asked.operation, asked.arguments[0])
    function = asked.place.functions.get(name)
    if not function:
        raise not_found(asked, name, qualifier)
    look(asked, function.changes)
    return function


def document_of(asked: Asked, *, read: bool = False) -> tuple[Function, Json, str]:
    """A function, the document of the version that is asked for, and its ARN as asked for.

    read: this is a look at how far an update has come.
    """
    function, (name, qualifier) = function_of(asked), named(asked)
    number = qualifier or LATEST
    if number in function.aliases:
        number = function.aliases[number]["FunctionVersion"]
    document = function.latest if number == LATEST else function.versions.get(number)
    if not document:
        raise not_found(asked, name, qualifier)
    if read:
        look(asked, function.changes, document)
    return function, document, arn_of(asked, name, qualifier)


def shown(document: Json, arn: str = "") -> Json:
    """As a read, or a write, tells it."""
    return {**document, "FunctionArn": arn} if arn else dict(document)


def in_list(document: Json, *, qualified: bool) -> Json:
    """As a list tells it; the ARN of $LATEST has a qualifier where versions are listed: recorded."""
    told = {key: value for key, value in document.items() if key not in UNLISTED}
    if qualified and told["Version"] == LATEST:
        told["FunctionArn"] += f":{LATEST}"
    return told


def page_of(asked: Asked, member: str, items: list[Json]) -> Answer:
    """A page from Marker on; AWS's markers are opaque, and so are these."""
    text = asked.query.get("MaxItems", str(MOST))
    count = int(text) if re.fullmatch(r"-?\d{1,9}", text) else 0
    if not 1 <= count <= 10_000:  # the model's MaxListItems
        bound = "less than or equal to 10000" if count > 1 else "greater than or equal to 1"
        raise invalid(failed(text, "maxItems", f"have value {bound}"))
    marker = asked.query.get("Marker", "")
    if not re.fullmatch(r"(after-\d{1,9})?", marker):
        raise wrong("Invalid Marker")
    start, count = int(marker.rpartition("-")[2] or 0), min(count, MOST)
    document: Json = {member: items[start : start + count]}
    if start + count < len(items):
        document["NextMarker"] = f"after-{start + count}"
    return answer(document)
