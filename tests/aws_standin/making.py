"""Functions that a test finds there, without the calls that would make them; and what there is, told to a test."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from aws_standin.lambda_functions import now
from aws_standin.lambda_layers import VERSION_ARN
from aws_standin.lambda_versions import content
from aws_standin.nouns import Json
from aws_standin.world import Caller, Function, World

CODE = b"a function's own zip"  # only its size and hash are ever told


def make_function(
    world: World, caller: Caller, name: str, *, layers: Iterable[str], versions: Iterable[Iterable[str]],
    runtime: str, architecture: str, environment: Mapping[str, str] | None, image: bool, unzipped: int, **more: Any,
) -> None:  # fmt: skip
    """`versions` are the layers of each published version, oldest first; `layers` those of $LATEST."""
    blob = world.blob(CODE)
    document: Json = {
        "FunctionName": name, "FunctionArn": caller.arn("lambda", f"function:{name}"), "Version": "$LATEST",
        "Role": f"arn:aws:iam::{caller.account}:role/function", "CodeSize": len(CODE), "CodeSha256": blob.sha256,
        "Timeout": 3, "MemorySize": 128, "Description": "", "PackageType": "Zip", "Architectures": [architecture],
        "State": "Active", "LastUpdateStatus": "Successful", "RevisionId": str(uuid.uuid4()), "LastModified": now(),
    }  # fmt: skip
    document |= {"PackageType": "Image", "CodeSize": 0} if image else {"Runtime": runtime, "Handler": "main.handler"}
    if environment is not None:
        document["Environment"] = {"Variables": dict(environment)}
    function = Function(latest={**document, **_layers(world, layers), **more}, unzipped=unzipped)
    for number, arns in enumerate(versions, 1):
        function.versions[str(number)] = {
            **document, **_layers(world, arns), **more, "Version": str(number), "RevisionId": str(uuid.uuid4()),
            "FunctionArn": f"{document['FunctionArn']}:{number}",
        }  # fmt: skip
        function.newest = number
        function.published = content({**function.versions[str(number)], **_names(document)})
    place = world.place(caller.account, caller.region)
    with place.lock:
        place.functions[name] = function


def _names(document: Json) -> Json:
    return {key: document[key] for key in ("FunctionArn", "Version")}


def _layers(world: World, arns: Iterable[str]) -> Json:
    """Layers as a function has them, also those that nobody has any more."""
    layers = []
    for arn in arns:
        found = VERSION_ARN.fullmatch(arn)
        if not found:
            raise ValueError(f"{arn} is no layer version")
        layer = world.place(found[3], found[2]).layers.get(found[4])
        version = layer.versions.get(int(found[5])) if layer else None
        layers.append({"Arn": arn, "CodeSize": len(version.blob.data) if version else len(CODE)})
    return {"Layers": layers} if layers else {}


def make_alias(
    world: World, caller: Caller, function: str, name: str, version: str, weights: Mapping[str, float]
) -> None:
    routing = {"RoutingConfig": {"AdditionalVersionWeights": dict(weights)}} if weights else {}
    place = world.place(caller.account, caller.region)
    with place.lock:
        place.functions[function].aliases[name] = {
            "AliasArn": caller.arn("lambda", f"function:{function}:{name}"), "Name": name, "FunctionVersion": version,
            "Description": "", "RevisionId": str(uuid.uuid4()), **routing,
        }  # fmt: skip


def functions(world: World, caller: Caller) -> list[Json]:
    """$LATEST of each, with its published `versions` and `aliases`."""
    place = world.place(caller.account, caller.region)
    with place.lock:
        return [
            {
                **one.latest, "versions": [dict(version) for version in one.versions.values()],
                "aliases": [dict(one.aliases[name]) for name in sorted(one.aliases)],
            }
            for _, one in sorted(place.functions.items())
        ]  # fmt: skip
