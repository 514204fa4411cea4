"""Where the bytes of a layer come from: the request, or a bucket, copied or only referred to."""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field

from aws_standin.asked import Asked, failed, invalid
from aws_standin.nouns import Json, Refused
from aws_standin.world import Blob, Stored

MODES = ("COPY", "REFERENCE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """`resolved` is Content.ResolvedS3Object, for a reference alone."""

    blob: Blob
    resolved: Json = field(default_factory=dict)


def wrong(message: str) -> Refused:
    return Refused("InvalidParameterValueException", message)


def code_of(asked: Asked, content: Json) -> Code:
    """The checked zip that a request names.  Raises Refused as AWS would."""
    mode = content.get("S3ObjectStorageMode", "COPY")
    if mode not in MODES:
        enum = f"satisfy enum value set: [{', '.join(MODES)}]"
        raise invalid(failed(mode, "content.s3ObjectStorageMode", enum))
    if content.get("ZipFile"):
        if content.get("S3Bucket") or mode == "REFERENCE":
            raise wrong("Please do not provide other LayerVersionContent parameters when providing a ZipFile.")
        code = Code(blob=_decoded(asked, content["ZipFile"]))
    elif content.get("S3Bucket") and content.get("S3Key"):
        code = _from_bucket(asked, content, reference=mode == "REFERENCE")
    else:
        raise wrong("Please provide a source for function code.")
    refusal, _ = code.blob.as_zip()
    if refusal:
        raise wrong(refusal)
    return code


def _decoded(asked: Asked, text: object) -> Blob:
    try:
        return asked.world.blob(binascii.a2b_base64(str(text), strict_mode=True))
    except binascii.Error:
        raise Refused("SerializationException", "Blob is not valid base64") from None


def _from_bucket(asked: Asked, content: Json, *, reference: bool) -> Code:
    """What S3 says is told within Lambda's words: aws-sdk-pandas#923 and others."""
    name, key, wanted = content["S3Bucket"], content["S3Key"], content.get("S3ObjectVersion", "")
    world = asked.world
    with world.lock:
        bucket = world.buckets.get(name)
        if not bucket:
            raise _told("NoSuchBucket", "The specified bucket does not exist")
        if bucket.account != asked.caller.account:
            raise _told("AccessDenied", "Access Denied")
        if bucket.region != asked.caller.region:
            words = f"The bucket is in this region: {bucket.region}. Please use this region to retry the request"
            raise _told("PermanentRedirect", words)
        if reference and not (bucket.versioning == "Enabled" and wanted):
            # "needs a versioned bucket": dev guide, self-managed S3 code storage; the words are not known
            raise wrong("S3ObjectStorageMode REFERENCE requires a versioned bucket and an S3ObjectVersion.")
        found = _version(bucket.objects.get(key, []), wanted)
    if not (found and found.blob):
        if wanted:
            raise _told("NoSuchVersion", "The specified version does not exist.")
        raise _told("NoSuchKey", "The specified key does not exist.")
    resolved = {"S3Bucket": name, "S3Key": key, "S3ObjectVersion": found.version}
    return Code(blob=found.blob, resolved=resolved if reference else {})


def _version(versions: list[Stored], wanted: str) -> Stored | None:
    if wanted:
        return next((one for one in versions if one.version == wanted), None)
    return versions[-1] if versions else None


def _told(code: str, message: str) -> Refused:
    return wrong(f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}")
