"""Aliases: names for versions of a function, which callers use."""

from __future__ import annotations

import re
import uuid

from aws_standin.asked import Asked, failed, invalid
from aws_standin.lambda_code import wrong
from aws_standin.lambda_found import LATEST, arn_of, function_of, named, not_found, page_of
from aws_standin.lambda_states import check_revision
from aws_standin.nouns import Answer, Json, Refused, answer
from aws_standin.world import Function

PATTERN = r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)"  # the model's Alias
VERSION = r"(\$LATEST|[0-9]+)"
KEYS = (
    "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length "
    "greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]"
)
VALUES = (
    "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value "
    "greater than or equal to 0.0, Member must not be null]"
)


def create_alias(asked: Asked) -> Answer:
    wanted = asked.json()
    with asked.place.lock:
        name, version = wanted.get("Name", ""), wanted.get("FunctionVersion", "")
        if named(asked)[0] not in asked.place.functions:
            raise not_found(asked, named(asked)[0], version)  # it names the version, too: recorded
        function = function_of(asked)
        if not re.fullmatch(PATTERN, name):
            raise invalid(failed(name, "name", f"satisfy regular expression pattern: {PATTERN}"))
        arn = arn_of(asked, named(asked)[0], name)
        _check_version(asked, function, version)
        if name in function.aliases:
            raise Refused("ResourceConflictException", f"Alias already exists: {arn}")
        alias = {
            "AliasArn": arn, "Name": name, "FunctionVersion": version, "Description": wanted.get("Description", ""),
            "RevisionId": str(uuid.uuid4()), **_routing(asked, function, version, wanted.get("RoutingConfig")),
        }  # fmt: skip
        function.aliases[name] = alias
        return answer(alias, 201)


def get_alias(asked: Asked) -> Answer:
    with asked.place.lock:
        return answer(_alias(asked, "Cannot find alias arn")[1])


def update_alias(asked: Asked) -> Answer:
    wanted = asked.json()
    with asked.place.lock:
        function, alias = _alias(asked, "Alias not found")
        check_revision(wanted.get("RevisionId"), alias)
        version = wanted.get("FunctionVersion") or alias["FunctionVersion"]
        if wanted.get("FunctionVersion"):
            _check_version(asked, function, version)
        routing = wanted.get("RoutingConfig", alias.get("RoutingConfig"))
        changed = {**alias, **_routing(asked, function, version, routing)}
        if not (routing or {}).get("AdditionalVersionWeights"):
            changed.pop("RoutingConfig", None)
        changed |= {"FunctionVersion": version, "RevisionId": str(uuid.uuid4())}
        changed["Description"] = wanted.get("Description", alias["Description"])
        function.aliases[alias["Name"]] = changed
        return answer(changed)


def delete_alias(asked: Asked) -> Answer:
    """204 for an absent one, too: recorded."""
    with asked.place.lock:
        function_of(asked).aliases.pop(asked.arguments[1], None)
    return answer(None, 204)


def list_aliases(asked: Asked) -> Answer:
    with asked.place.lock:
        function, only = function_of(asked), asked.query.get("FunctionVersion")
        aliases = [function.aliases[name] for name in sorted(function.aliases)]
        return page_of(asked, "Aliases", [one for one in aliases if only in (None, one["FunctionVersion"])])


def _alias(asked: Asked, words: str) -> tuple[Function, Json]:
    function, name = function_of(asked), asked.arguments[1]
    if name not in function.aliases:
        raise Refused("ResourceNotFoundException", f"{words}: {arn_of(asked, named(asked)[0], name)}")
    return function, function.aliases[name]


def _check_version(asked: Asked, function: Function, version: str) -> None:
    if not re.fullmatch(VERSION, version):
        raise invalid(failed(version, "functionVersion", f"satisfy regular expression pattern: {VERSION}"))
    if version != LATEST and version not in function.versions:
        raise not_found(asked, named(asked)[0], version)


def _routing(asked: Asked, function: Function, version: str, routing: Json | None) -> Json:
    """RoutingConfig, when other versions get a share of the calls; each refusal is as recorded."""
    weights = (routing or {}).get("AdditionalVersionWeights") or {}
    where, shown = "routingConfig.additionalVersionWeights", ", ".join(f"{key}={weights[key]}" for key in weights)
    for constraint, broken in (
        (KEYS, not all(re.fullmatch(r"[0-9]+", key) for key in weights)),
        (VALUES, not all(0 <= weight <= 1 for weight in weights.values())),
    ):
        if broken:
            message = f"Value '{{{shown}}}' at '{where}' failed to satisfy constraint: {constraint}"
            raise invalid(message)
    if len(weights) > 1:
        raise wrong("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for other in weights:
        if other == version:
            raise wrong(
                f"Invalid function version {other}. Function version {other} is already included in routing "
                "configuration."
            )
        if version == LATEST:
            raise wrong("$LATEST is not supported for an alias pointing to more than 1 version")
        _check_version(asked, function, other)
    return {"RoutingConfig": {"AdditionalVersionWeights": weights}} if weights else {}
