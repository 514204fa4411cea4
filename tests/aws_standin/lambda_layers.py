"""Lambda's layers: publish, list, get, delete."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable

from aws_standin.asked import Asked, failed, invalid, listed
from aws_standin.data import ARCHITECTURES, RUNTIMES, partition
from aws_standin.lambda_code import code_of, wrong
from aws_standin.nouns import Answer, Json, Refused, answer
from aws_standin.world import Blob, Caller, Layer, Version

# the model's LayerName has the pattern and 140 characters in all; an ARN is longer than 140 in practice
NAME_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:"
    r"[a-zA-Z0-9-_]{1,140})|[a-zA-Z0-9-_]{1,140}"
)
VERSION_ARN = re.compile(r"arn:(aws[a-zA-Z-]*):lambda:([^:]+):(\d{12}):layer:([a-zA-Z0-9-_]+):(\d+)")
MOST = 50  # items of a page: the model's MaxLayerListItems
LATER = 600  # seconds that Content.Location is good for: the model's words


def layer_name(text: str) -> str:
    """The name in a LayerName, which may be an ARN."""
    if not re.fullmatch(NAME_PATTERN, text):
        raise invalid(failed(text, "layerName", f"satisfy regular expression pattern: {NAME_PATTERN}"))
    return text.rpartition(":")[2]


def owner(asked: Asked, text: str) -> Caller:
    """Whose layer a LayerName means: an ARN may name another account."""
    return asked.caller.named_by(text)


def own(asked: Asked, operation: str, text: str) -> str:
    """The name of a layer that the caller wants to change; raises Refused for somebody else's."""
    name = layer_name(text)
    if owner(asked, text) != asked.caller:
        raise denied(asked.caller, operation, text)
    return name


def denied(caller: Caller, operation: str, arn: str) -> Refused:
    """As quoted in many issues."""
    return Refused(
        "AccessDeniedException",
        f"User: {caller.identity} is not authorized to perform: lambda:{operation} on resource: {arn} because no "
        f"resource-based policy allows the lambda:{operation} action",
    )


def at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise wrong("Layer Version Cannot be less than 1")  # recorded
    return number


def version_of(asked: Asked, caller: Caller, name: str, number: int) -> Version | None:
    place = asked.world.place(caller.account, caller.region)
    with place.lock:
        layer = place.layers.get(name)
        return layer.versions.get(number) if layer else None


def may_read(asked: Asked, version: Version | None) -> bool:
    """Whether a layer of another account is shared with the caller."""
    account = asked.caller.account
    for statement in version.policy if version else ():
        principal = statement["Principal"]
        accounts = principal if principal == "*" else principal["AWS"].split(":")[4]
        organization = statement.get("Condition", {}).get("StringEquals", {}).get("aws:PrincipalOrgID")
        belongs = not organization or asked.world.options.organizations.get(account) == organization
        if accounts in ("*", account) and belongs:
            return True
    return False


def publish_layer_version(asked: Asked) -> Answer:
    text = asked.arguments[0]
    name, wanted = own(asked, "PublishLayerVersion", text), asked.json()
    _check(asked, wanted)
    code = code_of(asked, wanted.get("Content") or {})
    blob = asked.world.blob(code.blob.data + b"!") if asked.corrupt else code.blob
    kept = 0 if code.resolved else len(blob.data)
    place = asked.place
    with place.lock:
        if kept + used(asked) > asked.world.options.storage:
            raise Refused("CodeStorageExceededException", "Code storage limit exceeded.")
        layer = place.layers.setdefault(name, Layer())
        layer.newest += 1  # the same bytes again are a new version, always
        made = layer.versions[layer.newest] = Version(
            name=name, number=layer.newest, blob=blob, kept=kept,
            document=_document(asked.caller, name, layer.newest, wanted), content=_content(blob, code.resolved),
        )  # fmt: skip
    return answer(full(asked, asked.caller, made), 201, resource=f"{name}:{made.number}")


def _check(asked: Asked, wanted: Json) -> None:
    """Every wrong member is told at once, as recorded."""
    runtimes, architectures = wanted.get("CompatibleRuntimes") or [], wanted.get("CompatibleArchitectures") or []
    failures = []
    if set(runtimes) - set(RUNTIMES):
        rule = f"satisfy enum value set: {listed(RUNTIMES)}"
        failures.append(failed(listed(runtimes), "compatibleRuntimes", rule))
    if len(runtimes) > 15:
        failures.append(failed(listed(runtimes), "compatibleRuntimes", "have length less than or equal to 15"))
    if set(architectures) - set(ARCHITECTURES):
        rule = "satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
        failures.append(failed(listed(architectures), "compatibleArchitectures", rule))
    if len(architectures) > 2:
        rule = "have length less than or equal to 2"
        failures.append(failed(listed(architectures), "compatibleArchitectures", rule))
    for member, where, most in (("Description", "description", 256), ("LicenseInfo", "licenseInfo", 512)):
        text = wanted.get(member) or ""
        if len(text) > most:
            failures.append(failed(text, where, f"have length less than or equal to {most}"))
    if failures:
        raise invalid(*failures)
    region = asked.caller.region
    if architectures and region in asked.world.options.no_arm:  # apm-aws-lambda#112, powertools-typescript#1400
        raise wrong(
            f"CompatibleArchitectures are not supported in {region}. Please remove the CompatibleArchitectures value "
            "from your request and try again"
        )


def _document(caller: Caller, name: str, number: int, wanted: Json) -> Json:
    """What lists tell of a version: what was not given is left out, but for the description."""
    now = time.time()
    arn = caller.arn("lambda", f"layer:{name}")
    created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}+0000"
    told = {
        key: wanted[key] for key in ("CompatibleRuntimes", "CompatibleArchitectures") if wanted.get(key) is not None
    }
    if wanted.get("LicenseInfo"):
        told["LicenseInfo"] = wanted["LicenseInfo"]
    return {
        "LayerArn": arn, "LayerVersionArn": f"{arn}:{number}", "Version": number,
        "Description": wanted.get("Description") or "", "CreatedDate": created, **told,
    }  # fmt: skip


def _content(blob: Blob, resolved: Json) -> Json:
    content: Json = {"CodeSha256": blob.sha256, "CodeSize": len(blob.data)}
    return {**content, "ResolvedS3Object": resolved} if resolved else content


def full(asked: Asked, caller: Caller, version: Version) -> Json:
    """What get and publish tell: with Content, whose Location is good for 10 minutes."""
    until = f"X-Amz-Expires={LATER}&t={time.time():.0f}"
    path = f"{caller.account}/{caller.region}/{version.name}/{version.number}"
    location = f"http://{asked.request.header('host')}/_archive/{path}?{until}"
    return {**version.document, "Content": {**version.content, "Location": location}}


def used(asked: Asked) -> int:
    """Bytes of code that the account has in the region.

    Lambda quotas page: "each function version and layer version consumes storage".
    """
    place = asked.place
    with place.lock:
        layers = sum(one.kept for layer in place.layers.values() for one in layer.versions.values())
        functions: int = sum(
            document["CodeSize"]
            for function in place.functions.values()
            for document in (function.latest, *function.versions.values())
        )
        return layers + functions


def get_layer_version(asked: Asked) -> Answer:
    text, number = asked.arguments[0], at_least_one(asked.arguments[1])
    return _got(asked, owner(asked, text), layer_name(text), number)


def get_layer_version_by_arn(asked: Asked) -> Answer:
    arn = asked.query.get("Arn", "")
    found = VERSION_ARN.fullmatch(arn)
    if not found or found[1] != partition(found[2]):
        raise invalid(failed(arn, "arn", f"satisfy regular expression pattern: {VERSION_ARN.pattern}"))
    return _got(asked, Caller(account=found[3], region=found[2]), found[4], at_least_one(found[5]))


def _got(asked: Asked, caller: Caller, name: str, number: int) -> Answer:
    version = version_of(asked, caller, name, number)
    if caller.account != asked.caller.account and not may_read(asked, version):
        raise denied(asked.caller, "GetLayerVersion", caller.arn("lambda", f"layer:{name}:{number}"))
    if not version or caller.region != asked.caller.region:
        raise Refused("ResourceNotFoundException", "The resource you requested does not exist.")  # recorded
    return answer(full(asked, caller, version))


def delete_layer_version(asked: Asked) -> Answer:
    """204 for an absent one, too: recorded."""
    name, number = own(asked, "DeleteLayerVersion", asked.arguments[0]), at_least_one(asked.arguments[1])
    place = asked.place
    with place.lock:
        if name in place.layers:
            place.layers[name].versions.pop(number, None)
    return answer(None, 204)


def list_layers(asked: Asked) -> Answer:
    place = asked.place
    with place.lock:
        layers = {name: _newest_first(place.layers[name]) for name in sorted(place.layers)}
    chosen = _filter(asked)
    items = []
    for name, versions in layers.items():
        fitting = [version.document for version in versions if chosen(version.document)]
        if fitting:
            items.append({"LayerName": name, "LayerArn": fitting[0]["LayerArn"], "LatestMatchingVersion": fitting[0]})
    return page(asked, "Layers", items)


def list_layer_versions(asked: Asked) -> Answer:
    """Newest first, and none for an unknown layer: recorded."""
    name = own(asked, "ListLayerVersions", asked.arguments[0])
    place = asked.place
    with place.lock:
        versions = _newest_first(place.layers.get(name, Layer()))
    chosen = _filter(asked)
    return page(asked, "LayerVersions", [one.document for one in versions if chosen(one.document)])


def _newest_first(layer: Layer) -> list[Version]:
    return [layer.versions[number] for number in sorted(layer.versions, reverse=True)]


def _filter(asked: Asked) -> Callable[[Json], bool]:
    """Whether a version carries the tags that are asked for: "Used for filtering"."""
    runtime, architecture = asked.query.get("CompatibleRuntime"), asked.query.get("CompatibleArchitecture")
    failures = [
        failed(value, where, f"satisfy enum value set: {listed(known)}")
        for value, where, known in (
            (runtime, "compatibleRuntime", RUNTIMES), (architecture, "compatibleArchitecture", ARCHITECTURES),
        )
        if value is not None and value not in known
    ]  # fmt: skip
    if failures:
        raise invalid(*failures)
    return lambda document: (
        (runtime is None or runtime in document.get("CompatibleRuntimes", ()))
        and (architecture is None or architecture in document.get("CompatibleArchitectures", ()))
    )


def page(asked: Asked, member: str, items: list[Json], default: int = MOST) -> Answer:
    """A page of items from Marker on, and NextMarker when there are more."""
    text = asked.query.get("MaxItems", str(default))
    count = int(text) if re.fullmatch(r"-?\d{1,9}", text) else 0
    if not 1 <= count <= MOST:
        bound = f"less than or equal to {MOST}" if count > MOST else "greater than or equal to 1"
        raise invalid(failed(text, "maxItems", f"have value {bound}"))
    try:
        start = int(base64.b64decode(asked.query.get("Marker", ""), validate=True) or b"0")
    except ValueError:
        raise wrong("Invalid Marker") from None
    document: Json = {member: items[start : start + count]}
    if start + count < len(items):
        document["NextMarker"] = base64.b64encode(str(start + count).encode()).decode()
    return answer(document)
