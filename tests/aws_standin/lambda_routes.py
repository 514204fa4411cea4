"""Which of Lambda's operations a request asks for (botocore 1.44.5, lambda/2015-03-31)."""

from __future__ import annotations

import re
from collections.abc import Callable

from aws_standin import lambda_aliases as aliases
from aws_standin import lambda_functions as functions
from aws_standin import lambda_layers as layers
from aws_standin import lambda_policies as policies
from aws_standin import lambda_versions as versions
from aws_standin.asked import Asked, Operation
from aws_standin.nouns import Answer, Refused, Request

LARGEST = 70_167_211  # bytes of a request: bedrock-book#42 (2024); 69905067 before
LAYERS, FUNCTIONS = "/2018-10-31/layers", "/2015-03-31/functions"
ROUTES: list[tuple[str, str, str, Callable[[Asked], Answer]]] = [
    ("GET", f"{LAYERS}/?", "ListLayers", layers.list_layers),
    ("GET", f"{LAYERS}/([^/]+)/versions/?", "ListLayerVersions", layers.list_layer_versions),
    ("POST", f"{LAYERS}/([^/]+)/versions/?", "PublishLayerVersion", layers.publish_layer_version),
    ("GET", rf"{LAYERS}/([^/]+)/versions/(-?\d+)", "GetLayerVersion", layers.get_layer_version),
    ("DELETE", rf"{LAYERS}/([^/]+)/versions/(-?\d+)", "DeleteLayerVersion", layers.delete_layer_version),
    ("POST", rf"{LAYERS}/([^/]+)/versions/(-?\d+)/policy", "AddLayerVersionPermission",
     policies.add_layer_version_permission),
    ("GET", rf"{LAYERS}/([^/]+)/versions/(-?\d+)/policy", "GetLayerVersionPolicy", policies.get_layer_version_policy),
    ("DELETE", rf"{LAYERS}/([^/]+)/versions/(-?\d+)/policy/([^/]+)", "RemoveLayerVersionPermission",
     policies.remove_layer_version_permission),
    ("GET", "/2016-08-19/account-settings/?", "GetAccountSettings", functions.get_account_settings),
    ("GET", f"{FUNCTIONS}/?", "ListFunctions", functions.list_functions),
    ("POST", f"{FUNCTIONS}/?", "CreateFunction", functions.create_function),
    ("GET", f"{FUNCTIONS}/([^/]+)", "GetFunction", functions.get_function),
    ("DELETE", f"{FUNCTIONS}/([^/]+)", "DeleteFunction", functions.delete_function),
    ("GET", f"{FUNCTIONS}/([^/]+)/configuration", "GetFunctionConfiguration", functions.get_function_configuration),
    ("PUT", f"{FUNCTIONS}/([^/]+)/configuration", "UpdateFunctionConfiguration",
     functions.update_function_configuration),
    ("PUT", f"{FUNCTIONS}/([^/]+)/code", "UpdateFunctionCode", functions.update_function_code),
    ("POST", f"{FUNCTIONS}/([^/]+)/versions", "PublishVersion", versions.publish_version),
    ("GET", f"{FUNCTIONS}/([^/]+)/versions", "ListVersionsByFunction", versions.list_versions_by_function),
    ("POST", f"{FUNCTIONS}/([^/]+)/aliases", "CreateAlias", aliases.create_alias),
    ("GET", f"{FUNCTIONS}/([^/]+)/aliases", "ListAliases", aliases.list_aliases),
    ("GET", f"{FUNCTIONS}/([^/]+)/aliases/([^/]+)", "GetAlias", aliases.get_alias),
    ("PUT", f"{FUNCTIONS}/([^/]+)/aliases/([^/]+)", "UpdateAlias", aliases.update_alias),
    ("DELETE", f"{FUNCTIONS}/([^/]+)/aliases/([^/]+)", "DeleteAlias", aliases.delete_alias),
]  # fmt: skip


def lambda_(request: Request) -> Operation:
    path = request.path
    for method, pattern, name, work in ROUTES:
        found = re.fullmatch(pattern, path) if method == request.method else None
        if found:
            if name == "ListLayers" and request.query.get("find") == "LayerVersion":
                name, work = "GetLayerVersionByArn", layers.get_layer_version_by_arn
            about = _about(request, name, found.groups())
            return Operation(name=name, resource=about, arguments=found.groups(), work=_bounded(name, work))
    return Operation(name="?", resource=path, work=_unknown)


def _about(request: Request, name: str, arguments: tuple[str, ...]) -> str:
    """layer, layer:version or function."""
    if name == "GetLayerVersionByArn":
        return ":".join(request.query.get("Arn", "").split(":")[-2:])
    if name == "CreateFunction":
        found = re.search(rb'"FunctionName"\s*:\s*"([^"]*)"', request.body)
        return found[1].decode() if found else ""
    if not arguments:
        return ""
    return ":".join([arguments[0].rpartition(":")[2], *arguments[1:2]])


def _bounded(name: str, work: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
    def checked(asked: Asked) -> Answer:
        if len(asked.request.body) > LARGEST:
            words = f"Request must be smaller than {LARGEST} bytes for the {name} operation"
            raise Refused("RequestEntityTooLargeException", words)
        return work(asked)

    return checked


def _unknown(asked: Asked) -> Answer:
    raise Refused("UnknownOperationException", "not in this stand-in", 404)
