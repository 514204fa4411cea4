"""What layers.yaml says of publishing: to which regions, for whom, through which bucket, and where ARNs go."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from layerkit.model import BucketPlace, Publishing, Share
from layerkit.reader import Value, nearest

PUBLISH = ("regions", "share", "bucket", "parameters")
SHARE = ("accounts", "organization")
PLACE = ("name", "prefix", "keep", "mode")
PLACEHOLDERS = ("region", "account")
MODES = ("copy", "reference")
SOME = r"(?s).+"
REGION = r"[a-z]{2,}(-[a-z]+)+-[0-9]+"
ACCOUNT = r"[0-9]{12}"
ORGANIZATION = r"o-[a-z0-9]{10,32}"
# S3's rules for general purpose buckets, with {region} and {account} for a part
_EDGE = r"(?:[a-z0-9]|\{(?:region|account)\})"
_INNER = r"(?:[a-z0-9.-]|\{(?:region|account)\})"
BUCKET = (
    r"(?!xn--|sthree-|amzn-s3-demo-)(?![0-9]+(?:\.[0-9]+){3}$)(?!.*\.\.)"
    r"(?!.*(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$)"
    rf"{_EDGE}(?:{_INNER}*{_EDGE})?"
)
BUCKET_LENGTH = (3, 63)
PREFIX = r"(?:[A-Za-z0-9_][A-Za-z0-9._=+@-]*/)*(?:[A-Za-z0-9_][A-Za-z0-9._=+@-]*)?"
PREFIX_LENGTH = 512  # of a key's 1024 bytes
# of SSM's 15 levels and 1011 characters; 4 and at most 180 follow: layer, runtime, architecture, latest or a version
PARAMETERS = r"(?!/(?:[Aa][Ww][Ss]|[Ss][Ss][Mm]))(?:/[A-Za-z0-9_.-]+){1,10}/?"
PARAMETERS_LENGTH = 800


def publishing(value: Value) -> Publishing:
    """The regions, who may use what is published there, the bucket of large zips, and where ARNs are written."""
    fields = value.fields(PUBLISH)
    found = fields["regions"].items("regions") if "regions" in fields else []
    regions = tuple(region.text("an AWS region", pattern=REGION) for region in found)
    return Publishing(
        regions=regions,
        share=_share(fields["share"]) if "share" in fields else Share(),
        bucket=_bucket(fields["bucket"], regions) if "bucket" in fields else None,
        parameters=_parameters(fields["parameters"]) if "parameters" in fields else "",
    )


def bucket_mistake(name: str, regions: Collection[str]) -> str:
    """What is wrong with a bucket's name for these regions, in words; "" for one that S3 takes."""
    for placeholder in re.findall(r"\{([^{}]*)\}", name):
        if placeholder not in PLACEHOLDERS:
            return f"{{{placeholder}}} is no placeholder{nearest(placeholder, PLACEHOLDERS)}"
    least, most = BUCKET_LENGTH
    if not re.fullmatch(BUCKET, name) or not least <= len(name) <= most:
        rule = f"{least} to {most} lower-case letters, digits, dots and hyphens, and {{region}} and {{account}}"
        return f"{name[: most + 1]!r} is not the name of a bucket: {rule}"
    if len(set(regions)) > 1 and "{region}" not in name:
        return "there are several regions, and a bucket serves its own alone: put {region} into its name"
    whole = name.replace("{account}", "0" * 12).replace("{region}", max(regions, key=len, default="us-east-1"))
    return f"becomes {whole!r}: {len(whole)} characters; AWS takes at most {most}" if len(whole) > most else ""


def parameters_mistake(prefix: str) -> str:
    """What is wrong with a prefix of SSM parameters, in words; "" for one that SSM takes."""
    if len(prefix) > PARAMETERS_LENGTH:
        return f"has {len(prefix)} characters; at most {PARAMETERS_LENGTH} leave room for what follows"
    if re.fullmatch(PARAMETERS, prefix):
        return ""
    rule = "1 to 10 levels of letters, digits, . _ and -, as /layerkit, the first not beginning with aws or ssm"
    return f"{prefix!r} is not a prefix of SSM parameters: {rule}"


def _share(value: Value) -> Share:
    if not value.is_mapping:
        words = "private, public, {accounts: [...]} or {organization: o-...}"
        return Share(public=value.choice(("private", "public"), words) == "public")
    fields = value.fields(SHARE, empty="names neither accounts nor an organization; write private")
    accounts = []
    for item in fields["accounts"].items("accounts", empty="names no account") if "accounts" in fields else []:
        # as written: YAML reads 012345670123 as an octal number
        if re.fullmatch(ACCOUNT, item.raw):
            accounts.append(item.raw)
        else:
            item.wrong(f"{item.raw!r} is not the number of an account: 12 digits")
    organization = ""
    if "organization" in fields:
        organization = fields["organization"].text(
            "an organization's id", pattern=ORGANIZATION, rule="o- and 10 to 32 letters or digits"
        )
    return Share(accounts=tuple(accounts), organization=organization)


def _bucket(value: Value, regions: Sequence[str]) -> BucketPlace:
    if not value.is_mapping:
        return BucketPlace(name=_bucket_name(value, regions))
    quote = "quote a name that begins with {"
    fields = value.fields(PLACE, hints=dict.fromkeys(PLACEHOLDERS, quote))
    if "name" not in fields:
        value.wrong("the key 'name' is missing")
    name = _bucket_name(fields["name"], regions) if "name" in fields else ""
    prefix = BucketPlace(name="").prefix
    if "prefix" in fields:
        rule = "parts of letters, digits and . _ = + @ - with / between, none at the beginning"
        prefix = fields["prefix"].text("a prefix of keys", limit=PREFIX_LENGTH, pattern=PREFIX, rule=rule)
        prefix += "/" if prefix and not prefix.endswith("/") else ""
    reference = "mode" in fields and fields["mode"].choice(MODES, "copy or reference") == "reference"
    keep = fields["keep"].flag() if "keep" in fields else reference
    if reference and not keep:
        fields["keep"].wrong("with mode: reference Lambda uses the object where it is, so it is kept")
    return BucketPlace(name=name, prefix=prefix, keep=keep, reference=reference)


def _bucket_name(value: Value, regions: Sequence[str]) -> str:
    name = value.text("a bucket's name", pattern=SOME)
    if name and (mistake := bucket_mistake(name, [region for region in regions if region])):
        value.wrong(mistake)
    return name


def _parameters(value: Value) -> str:
    prefix = value.text("a prefix of SSM parameters, as /layerkit", pattern=SOME)
    if prefix and (mistake := parameters_mistake(prefix)):
        value.wrong(mistake)
    return prefix.rstrip("/")
