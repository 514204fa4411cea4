"""Functions, as far as layers need them: strict on layers, and nothing ever runs."""

from __future__ import annotations

import base64
import hashlib
import uuid

from aws_standin.asked import Asked, failed, invalid, listed
from aws_standin.lambda_code import wrong
from aws_standin.lambda_layers import VERSION_ARN, denied, may_read, page, used, version_of
from aws_standin.nouns import Answer, Json, Refused, answer
from aws_standin.world import UNZIPPED, Caller

SETTINGS = (
    "Description", "Environment", "Handler", "MemorySize", "Role", "Runtime", "Timeout", "Architectures",
    "PackageType", "SnapStart", "TracingConfig", "EphemeralStorage", "LoggingConfig",
)  # fmt: skip


def create_function(asked: Asked) -> Answer:
    wanted, place = asked.json(), asked.place
    name, code = wanted.get("FunctionName", ""), wanted.get("Code") or {}
    data = base64.b64decode(code.get("ZipFile") or "")
    layers = _attached(asked, wanted.get("Layers") or [])
    with place.lock:
        if name in place.functions:
            raise Refused("ResourceConflictException", f"Function already exist: {name}")
        if len(data) + used(asked) > asked.world.options.storage:
            raise Refused("CodeStorageExceededException", "Code storage limit exceeded.")
        function: Json = {
            "FunctionName": name, "FunctionArn": asked.caller.arn("lambda", f"function:{name}"), "Version": "$LATEST",
            "CodeSize": len(data), "CodeSha256": base64.b64encode(hashlib.sha256(data).digest()).decode(),
            "State": "Active", "LastUpdateStatus": "Successful", "Timeout": 3, "MemorySize": 128,
            "PackageType": "Zip", "Architectures": ["x86_64"], "RevisionId": str(uuid.uuid4()),
        }  # fmt: skip
        function |= {key: wanted[key] for key in SETTINGS if key in wanted}
        if layers:
            function["Layers"] = layers
        place.functions[name] = function
        return answer(_shown(function), 201)


def _attached(asked: Asked, arns: list[str]) -> list[Json]:
    """A function's Layers; every rule here was recorded but for the sum of sizes."""
    if len(arns) > 5:
        raise wrong("Cannot reference more than 5 layers.")
    layers: list[Json] = []
    seen: dict[str, str] = {}
    total = 0
    for arn in arns:
        found = VERSION_ARN.fullmatch(arn)
        if not found:
            rule = f"satisfy constraint: [Member must satisfy regular expression pattern: {VERSION_ARN.pattern}]"
            raise invalid(failed(listed(arns), "layers", rule))
        if found[2] != asked.caller.region:
            words = f"Layers are expected to be in region {asked.caller.region}."
            raise wrong(f"Layers are not in the same region as the function. {words}")
        layer = arn.rpartition(":")[0]
        if layer in seen:
            raise wrong(
                "Two different versions of the same layer are not allowed to be referenced in the same function. "
                f"{seen[layer]} and {arn} are versions of the same layer."
            )
        seen[layer] = arn
        caller = Caller(account=found[3], region=found[2])
        version = version_of(asked, caller, found[4], int(found[5]))
        if caller.account != asked.caller.account and not may_read(asked, version):
            raise denied(asked.caller, "GetLayerVersion", arn)
        if not version:
            raise wrong(f"Layer version {arn} does not exist.")
        total += version.blob.as_zip()[1]
        layers.append({"Arn": arn, "CodeSize": len(version.blob.data)})
    if total >= UNZIPPED:
        raise wrong(f"Layers consume more than the available size of {UNZIPPED} bytes")
    return layers


def _function(asked: Asked) -> Json:
    name, _, qualifier = asked.arguments[0].rpartition("function:")[2].partition(":")
    function = asked.place.functions.get(name)
    number = asked.query.get("Qualifier") or qualifier or "$LATEST"
    if function and number != "$LATEST":
        versions = function.get("_versions", [])
        function = next((one for one in versions if one["Version"] == number), None)
    if not function:
        arn = asked.caller.arn("lambda", f"function:{name}")
        raise Refused("ResourceNotFoundException", f"Function not found: {arn}")
    return function


def _shown(function: Json) -> Json:
    return {key: value for key, value in function.items() if not key.startswith("_")}


def get_function(asked: Asked) -> Answer:
    with asked.place.lock:
        return answer({"Configuration": _shown(_function(asked)), "Code": {"RepositoryType": "S3"}})


def get_function_configuration(asked: Asked) -> Answer:
    with asked.place.lock:
        return answer(_shown(_function(asked)))


def update_function_configuration(asked: Asked) -> Answer:
    wanted = asked.json()
    layers = _attached(asked, wanted.get("Layers") or [])
    with asked.place.lock:
        function = _function(asked)
        if wanted.get("RevisionId") not in (None, function["RevisionId"]):
            words = "The Revision Id provided does not match the latest Revision Id."
            raise Refused("PreconditionFailedException", words)
        function |= {key: wanted[key] for key in SETTINGS if key in wanted}
        if "Layers" in wanted:
            function["Layers"] = layers
        function["RevisionId"] = str(uuid.uuid4())
        return answer(_shown(function))


def publish_version(asked: Asked) -> Answer:
    with asked.place.lock:
        function = _function(asked)
        versions = function.setdefault("_versions", [])
        number = str(len(versions) + 1)
        made = {**_shown(function), "Version": number, "FunctionArn": f"{function['FunctionArn']}:{number}"}
        versions.append(made)
        return answer(made, 201)


def list_functions(asked: Asked) -> Answer:
    place = asked.place
    with place.lock:
        return page(asked, "Functions", [_shown(place.functions[name]) for name in sorted(place.functions)])


def delete_function(asked: Asked) -> Answer:
    with asked.place.lock:
        del asked.place.functions[_function(asked)["FunctionName"]]
    return answer(None, 204)


def get_account_settings(asked: Asked) -> Answer:
    limit = {
        "TotalCodeSize": asked.world.options.storage, "CodeSizeUnzipped": UNZIPPED, "CodeSizeZipped": 52_428_800,
        "ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000,
    }  # fmt: skip
    usage = {"TotalCodeSize": used(asked), "FunctionCount": len(asked.place.functions)}
    return answer({"AccountLimit": limit, "AccountUsage": usage})
