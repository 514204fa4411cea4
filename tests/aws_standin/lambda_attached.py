"""Which layers a function may have."""

from __future__ import annotations

from aws_standin.asked import Asked, failed, invalid, listed
from aws_standin.lambda_code import wrong
from aws_standin.lambda_layers import VERSION_ARN, denied, may_read, version_of
from aws_standin.nouns import Json
from aws_standin.world import UNZIPPED, Caller, Version

CONSTRAINTS = (
    "Member must have length less than or equal to 2048, Member must have length greater than or equal to 1, Member "
    r"must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?"
    r"-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+), "
    "Member must not be null"
)


def attached(asked: Asked, arns: list[str], had: list[Json], own: int) -> list[Json]:
    """A function's Layers.  Raises Refused; every rule here was recorded but for the sums of sizes.

    had: the Layers that it has: one that was deleted since stays, "a copy of the version remains in Lambda until no
    functions refer to it" (DeleteLayerVersion), but is not attached anew; own: bytes of the function, unzipped.
    """
    if len(arns) > 5:
        raise wrong("Cannot reference more than 5 layers.")
    kept = {layer["Arn"]: layer for layer in had}
    layers: list[Json] = []
    seen: dict[str, str] = {}
    total = 0
    for arn in arns:
        caller, name, number = _checked(asked, arns, arn)
        layer = arn.rpartition(":")[0]
        if layer in seen:
            raise wrong(
                "Two different versions of the same layer are not allowed to be referenced in the same function. "
                f"{seen[layer]} and {arn} are versions of the same layer."
            )
        seen[layer] = arn
        version = version_of(asked, caller, name, number)
        if arn in kept:
            layers.append(kept[arn])
        else:
            layers.append({"Arn": arn, "CodeSize": len(_readable(asked, caller, version, arn).blob.data)})
        total += version.blob.as_zip()[1] if version else 0
    _check_sizes(total, own)
    return layers


def _checked(asked: Asked, arns: list[str], arn: str) -> tuple[Caller, str, int]:
    """Whose layer version an ARN names, and which."""
    found = VERSION_ARN.fullmatch(arn)
    if not found:
        raise invalid(failed(listed(arns), "layers", f"satisfy constraint: [{CONSTRAINTS}]"))
    if found[2] != asked.caller.region:
        words = f"Layers are expected to be in region {asked.caller.region}."
        raise wrong(f"Layers are not in the same region as the function. {words}")
    return Caller(account=found[3], region=found[2]), found[4], int(found[5])


def _readable(asked: Asked, caller: Caller, version: Version | None, arn: str) -> Version:
    if caller.account != asked.caller.account and not may_read(asked, version):
        raise denied(asked.caller, "GetLayerVersion", arn)
    if not version:
        raise wrong(f"Layer version {arn} does not exist.")
    return version


def _check_sizes(layers: int, own: int) -> None:
    """Both refusals are quoted in many issues of deployment tools."""
    if layers >= UNZIPPED:
        raise wrong(f"Layers consume more than the available size of {UNZIPPED} bytes")
    if layers + own > UNZIPPED:
        raise wrong(
            f"Function code combined with layers exceeds the maximum allowed size of {UNZIPPED} bytes. The actual "
            f"size is {layers + own} bytes."
        )
