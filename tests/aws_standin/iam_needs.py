"""Which actions on which resources a call needs; service authorization reference, one table a service."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from aws_standin.asked import Operation
from aws_standin.data import partition
from aws_standin.iam import Context, Need
from aws_standin.nouns import Json, Refused, Request
from aws_standin.world import Caller, World

# Lambda's, without resource types there: a policy names them with "*" alone
ANYWHERE = ("ListLayers", "ListLayerVersions", "ListFunctions", "GetAccountSettings")
# S3's, where the action is not called as the operation is
OBJECT_ACTIONS = {
    "HeadObject": "GetObject", "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject", "ListParts": "ListMultipartUploadParts",
}  # fmt: skip
BUCKET_ACTIONS = {
    "HeadBucket": "ListBucket", "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket",
    "ListMultipartUploads": "ListBucketMultipartUploads",
}  # fmt: skip
LONGEST = 65_536  # bytes of a document that is looked at: one with a zip in it is longer, and says nothing of S3


def authorise(caller: Caller, service: str, needed: Iterable[Need]) -> None:
    """Raises Refused when the policy of the caller's role does not allow all, in words that many issues quote."""
    for need in needed:
        effect = caller.effect(need.action, need.resource, need.context)
        if effect != "Allow":
            raise Refused("AccessDeniedException", _words(caller, service, need, effect))


def _words(caller: Caller, service: str, need: Need, effect: str) -> str:
    if need.words:
        return need.words
    about = "" if need.resource == "*" and service in ("ec2", "s3") else f" on resource: {need.resource}"
    if service == "s3" and about:
        about = f' on resource: "{need.resource}"'
    why = f"because no identity-based policy allows the {need.action} action"
    if effect == "Deny":
        why = "with an explicit deny in an identity-based policy"
    words = f"User: {caller.identity} is not authorized to perform: {need.action}{about} {why}"
    return f"You are not authorized to perform this operation. {words}" if service == "ec2" else words


def needs(world: World, request: Request, operation: Operation, caller: Caller) -> Iterator[Need]:
    """Nothing for STS: "No permissions are required to perform this operation" (GetCallerIdentity)."""
    service = request.signer[2]
    if service == "lambda":
        yield from _lambda(world, request, operation, caller)
    elif service == "s3":
        yield _s3(world, request, operation, caller)
    elif service == "ssm":
        yield from _ssm(request, operation, caller)
    elif service == "ec2":
        yield Need(action=f"ec2:{operation.name}", resource="*")
    elif service == "account":
        resource = f"arn:{partition(caller.region)}:account::{caller.account}:account"
        yield Need(action=f"account:{operation.name}", resource=resource)


def _lambda(world: World, request: Request, operation: Operation, caller: Caller) -> Iterator[Need]:
    name, arguments, document = operation.name, operation.arguments, _document(request)
    if name in ANYWHERE:
        yield Need(action=f"lambda:{name}", resource="*")
    elif name == "GetLayerVersionByArn":
        yield Need(action="lambda:GetLayerVersion", resource=request.query.get("Arn", ""))
    elif "Layer" in name:
        whose = caller.named_by(arguments[0])
        layer = whose.arn("lambda", f"layer:{arguments[0].rpartition(':')[2]}")
        number = f":{arguments[1]}" if len(arguments) > 1 else ""
        yield Need(action=f"lambda:{name}", resource=layer + number)
        yield from _code(world, caller, document.get("Content"))
    else:
        yield from _function(world, request, operation, caller, document)
        if name in ("CreateFunction", "UpdateFunctionCode"):
            yield from _code(world, caller, document.get("Code", document))


def _code(world: World, caller: Caller, content: object) -> Iterator[Need]:
    """Lambda reads a bucket as the caller: its refusal is quoted in many issues."""
    if not isinstance(content, dict) or not content.get("S3Bucket"):
        return
    bucket, key = str(content["S3Bucket"]), str(content.get("S3Key", ""))
    yield Need(
        action="s3:GetObjectVersion" if content.get("S3ObjectVersion") else "s3:GetObject",
        resource=caller.bucket_arn(bucket, key), context=_bucket_context(world, bucket),
        words="Your access has been denied by S3, please make sure your request credentials have permission to "
        f"GetObject for {bucket}/{key}. S3 Error Code: AccessDenied. S3 Error Message: Access Denied",
    )  # fmt: skip


def _function(world: World, request: Request, operation: Operation, caller: Caller, document: Json) -> Iterator[Need]:
    """A qualified call is about the function with the qualifier; a layer that is attached is read, too."""
    given = operation.arguments[0] if operation.arguments else str(document.get("FunctionName", ""))
    parts = given.rpartition("function:")[2].split(":")
    qualifier = request.query.get("Qualifier") or (parts[1] if len(parts) > 1 else "")
    resource = caller.arn("lambda", f"function:{parts[0]}{':' + qualifier if qualifier else ''}")
    layers = [str(one) for one in document.get("Layers") or []]
    context: Context = {"lambda:Layer": tuple(layers)}
    yield Need(action=f"lambda:{operation.name}", resource=resource, context=context)
    if operation.name == "CreateFunction":
        yield Need(action="iam:PassRole", resource=str(document.get("Role", "")))
    place = world.place(caller.account, caller.region)
    with place.lock:
        function = place.functions.get(parts[0])
        had = {layer["Arn"] for layer in function.latest.get("Layers", [])} if function else set()
    for layer in layers:
        if layer not in had:
            yield Need(action="lambda:GetLayerVersion", resource=layer)


def _document(request: Request) -> Json:
    try:
        found = json.loads(request.body or b"{}") if len(request.body) <= LONGEST else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _bucket_context(world: World, name: str) -> Context:
    """Whose the bucket is, as far as anybody's: global condition key aws:ResourceAccount."""
    with world.lock:
        bucket = world.buckets.get(name)
    return {"aws:ResourceAccount": (bucket.account,) if bucket else ()}


def _s3(world: World, request: Request, operation: Operation, caller: Caller) -> Need:
    """Objects and buckets by ARN, all buckets by "*"; a version of an object is an action of its own."""
    bucket, key = operation.arguments
    if not bucket:
        return Need(action="s3:ListAllMyBuckets", resource="*")
    if key:
        action = OBJECT_ACTIONS.get(operation.name, operation.name)
        if action in ("GetObject", "DeleteObject") and request.query.get("versionId"):
            action += "Version"
    else:
        action = BUCKET_ACTIONS.get(operation.name, operation.name)
    resource = caller.bucket_arn(bucket, key)
    return Need(action=f"s3:{action}", resource=resource, context=_bucket_context(world, bucket))


def _ssm(request: Request, operation: Operation, caller: Caller) -> Iterator[Need]:
    """A path is authorised itself, and as it is given: issues quote …:parameter/a, …:parameter/a/, …:parameter/."""
    document, action = _document(request), f"ssm:{operation.name}"
    if operation.name == "GetParametersByPath":
        path = str(document.get("Path", "")).removeprefix("/")
        yield Need(action=action, resource=caller.arn("ssm", f"parameter/{path}"))
        return
    for name in document.get("Names") or [document.get("Name") or ""]:
        plain = str(name).partition(":")[0].removeprefix("/")
        yield Need(action=action, resource=caller.arn("ssm", f"parameter/{plain}"))
