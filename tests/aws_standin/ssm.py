"""Parameter Store: put, get, list by path, delete.  Errors and rules: Systems Manager API reference."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable

from aws_standin.asked import Asked, Operation, failed, invalid
from aws_standin.nouns import Answer, Json, Refused, Request, answer

PARTS = re.compile(r"[a-zA-Z0-9_.\-]+")
EXISTS = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."
NAMING = (
    'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of '
    "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 "
    "symbols .-_"
)


def ssm(request: Request) -> Operation:
    name = request.header("x-amz-target").rpartition(".")[2] or "?"
    about = re.search(rb'"(?:Name|Path)"\s*:\s*"([^"]*)"', request.body[:8192])
    return Operation(name=name, resource=about[1].decode() if about else "", work=OPERATIONS.get(name, _unknown))


def _unknown(asked: Asked) -> Answer:
    raise Refused("UnknownOperationException", "not in this stand-in")


def _validation(message: str) -> Refused:
    return Refused("ValidationException", message)


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= 2048:
        raise invalid(failed(name, "name", "have length less than or equal to 2048"))
    if "/" in name and not name.startswith("/"):
        raise _validation("Parameter name must be a fully qualified name.")
    first = name.lstrip("/").lower()
    if first.startswith("aws"):
        raise Refused("AccessDeniedException", f"No access to reserved parameter name: {name}.")
    parts = name.removeprefix("/").split("/")
    if first.startswith("ssm") or not all(PARTS.fullmatch(part) for part in parts):
        raise _validation(NAMING)
    if len(parts) > 15:
        words = "A hierarchy can have a maximum of 15 levels."
        raise Refused("HierarchyLevelLimitExceededException", words)


def _put(asked: Asked) -> Answer:
    wanted, place = asked.json(), asked.place
    name, value = wanted.get("Name", ""), wanted.get("Value", "")
    _check_name(name)
    if not value:
        raise invalid(failed(value, "value", "have length greater than or equal to 1"))
    if len(value.encode()) > 4096 and wanted.get("Tier", "Standard") == "Standard":
        raise _validation("Standard tier parameters support a maximum parameter value of 4096 characters.")
    with place.lock:
        versions = place.parameters.setdefault(name, [])
        if versions and not wanted.get("Overwrite"):
            raise Refused("ParameterAlreadyExists", EXISTS)
        kind = wanted.get("Type") or (versions[-1]["Type"] if versions else "")
        if not kind:
            del place.parameters[name]
            raise _validation("A parameter type is required when you create a parameter.")
        versions.append({
            "Name": name, "Value": value, "Type": kind, "Version": len(versions) + 1,
            "LastModifiedDate": time.time(), "ARN": asked.caller.arn("ssm", f"parameter/{name.removeprefix('/')}"),
            "DataType": "text",
        })  # fmt: skip
        return answer({"Version": len(versions), "Tier": wanted.get("Tier", "Standard")})


def _find(asked: Asked, text: str) -> Json | None:
    """Name or name:version."""
    name, _, number = text.partition(":")
    with asked.place.lock:
        versions = asked.place.parameters.get(name, [])
        if not number:
            return versions[-1] if versions else None
        return next((one for one in versions if str(one["Version"]) == number), None)


def _get(asked: Asked) -> Answer:
    found = _find(asked, asked.json().get("Name", ""))
    if not found:
        raise Refused("ParameterNotFound", "")
    return answer({"Parameter": _told(found, asked.json())})


def _told(parameter: Json, wanted: Json) -> Json:
    """A SecureString comes encrypted unless WithDecryption is said."""
    if parameter["Type"] != "SecureString" or wanted.get("WithDecryption"):
        return parameter
    return {**parameter, "Value": "AQICAH" + base64.b64encode(parameter["Value"].encode()[::-1]).decode()}


def _get_several(asked: Asked) -> Answer:
    wanted = asked.json()
    names = wanted.get("Names") or []
    if not 1 <= len(names) <= 10:
        bound = "less than or equal to 10" if names else "greater than or equal to 1"
        raise invalid(failed(f"[{', '.join(names)}]", "names", f"have length {bound}"))
    found = {name: _find(asked, name) for name in dict.fromkeys(names)}
    parameters = [_told(parameter, wanted) for parameter in found.values() if parameter]
    return answer({"Parameters": parameters, "InvalidParameters": [name for name, one in found.items() if not one]})


def _by_path(asked: Asked) -> Answer:
    wanted = asked.json()
    path, count = wanted.get("Path", ""), wanted.get("MaxResults", 10)
    if not path.startswith("/"):
        raise _validation("The parameter doesn't meet the parameter name requirements.")
    if not 1 <= count <= 10:
        raise invalid(failed(count, "maxResults", "have value less than or equal to 10"))
    token = str(wanted.get("NextToken") or "0")
    if not re.fullmatch(r"\d{1,9}", token):
        raise Refused("InvalidNextToken", "The specified token is not valid.")
    start, under, fits = int(token), path.rstrip("/") + "/", _filter(wanted.get("ParameterFilters") or [])
    with asked.place.lock:
        found = []
        for name, versions in sorted(asked.place.parameters.items()):
            rooted = name if name.startswith("/") else f"/{name}"  # a name alone is of the first level
            below = rooted[len(under) :] if rooted.startswith(under) else ""
            if below and (wanted.get("Recursive") or "/" not in below) and fits(versions[-1]):
                found.append(_told(versions[-1], wanted))
    more = {"NextToken": str(start + count)} if start + count < len(found) else {}
    return answer({"Parameters": found[start : start + count], **more})


def _filter(filters: list[Json]) -> Callable[[Json], bool]:
    """ "For GetParametersByPath, the valid filters are Type, KeyId, and Label": here only Type has an effect."""
    kinds: set[str] | None = None
    for one in filters:
        key, option, values = one.get("Key"), one.get("Option", "Equals"), one.get("Values") or []
        if key != "Type":
            words = f"The following filter key is not valid: {key}. Valid filter keys include: [Type, KeyId]."
            raise Refused("InvalidFilterKey", words)
        if option != "Equals":
            words = f"The following filter option is not valid: {option}. Valid options include: [Equals]."
            raise Refused("InvalidFilterOption", words)
        if not values or set(values) - {"String", "StringList", "SecureString"}:
            raise Refused("InvalidFilterValue", f"The following filter value is not valid: {values}.")
        kinds = set(values) if kinds is None else kinds & set(values)
    return lambda parameter: kinds is None or parameter["Type"] in kinds


def _delete(asked: Asked) -> Answer:
    with asked.place.lock:
        if not asked.place.parameters.pop(asked.json().get("Name", ""), None):
            raise Refused("ParameterNotFound", "")
    return answer({})


OPERATIONS = {
    "PutParameter": _put, "GetParameter": _get, "GetParameters": _get_several, "GetParametersByPath": _by_path,
    "DeleteParameter": _delete,
}  # fmt: skip
