"""S3's objects: put, get, head, delete, list."""

from __future__ import annotations

import hashlib
import re
import time
from email.utils import formatdate
from xml.sax.saxutils import escape

from aws_standin.asked import Asked
from aws_standin.checksums import PREFIX, checksum, decoded
from aws_standin.nouns import Answer, Refused, Request
from aws_standin.refusals import xml
from aws_standin.s3_buckets import add, bucket_of, check_condition, newest, version_header, versioned
from aws_standin.world import Bucket, Stored

KEPT = ("content-type", "content-disposition", "cache-control", "content-language")


def kept_headers(request: Request) -> dict[str, str]:
    """What an object remembers of the request that made it."""
    kept = {name: value for name, value in request.headers.items() if name in KEPT or name.startswith("x-amz-meta-")}
    return {"content-type": "binary/octet-stream", **kept}


def put_object(asked: Asked) -> Answer:
    bucket, key, request = bucket_of(asked), asked.arguments[1], asked.request
    if request.header("x-amz-copy-source"):
        raise Refused("NotImplemented", "CopyObject is not in this stand-in")
    data, checksums = decoded(request)
    blob = asked.world.blob(data)
    etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
    stored = Stored(version="", blob=blob, headers=kept_headers(request), checksums=checksums, etag=etag)
    if not checksums:  # S3 adds CRC64NVME by itself since 2024-12; CRC32 stands for it here
        stored.checksums = {"crc32": checksum("crc32", data)}
    with asked.world.lock:
        check_condition(asked, bucket, key)
        stored.version = versioned(bucket)
        add(bucket, key, stored)
    told = {PREFIX + name: value for name, value in stored.checksums.items()}
    return Answer(headers={"ETag": etag, **version_header(stored), **told})


def _may_list(asked: Asked, bucket: Bucket) -> bool:
    arn = asked.caller.bucket_arn(bucket.name)
    return asked.caller.effect("s3:ListBucket", arn, {"aws:ResourceAccount": (bucket.account,)}) == "Allow"


def find(asked: Asked) -> Stored:
    """The version that is asked for, or the newest.  Raises Refused when there is none, or a delete marker."""
    bucket, key, wanted = bucket_of(asked), asked.arguments[1], asked.query.get("versionId")
    with asked.world.lock:
        found = newest(bucket, key)
        if wanted:
            versions = bucket.objects.get(key, [])
            found = next((one for one in versions if one.version == wanted), None)
    if not found:
        if wanted:
            raise Refused("NoSuchVersion", "The specified version does not exist.", Key=key, VersionId=wanted)
        if not _may_list(asked, bucket):
            # "if you don't have the s3:ListBucket permission, Amazon S3 returns an HTTP status code 403": GetObject
            raise Refused("AccessDenied", "Access Denied")
        raise Refused("NoSuchKey", "The specified key does not exist.", Key=key)
    if not found.blob:
        marker = {"x_amz_delete_marker": "true", "x_amz_version_id": found.version}
        if wanted:
            raise Refused(
                "MethodNotAllowed", "The specified method is not allowed against this resource.", 405, **marker
            )
        raise Refused("NoSuchKey", "The specified key does not exist.", 404, Key=key, **marker)
    return found


def get_object(asked: Asked) -> Answer:
    """HeadObject, too: the server leaves the body out."""
    found = find(asked)
    assert found.blob
    data, status = found.blob.data, 200
    headers = {
        **found.headers, **version_header(found), "ETag": found.etag, "Accept-Ranges": "bytes",
        "Last-Modified": formatdate(found.modified, usegmt=True),
    }  # fmt: skip
    wanted = asked.request.header("range")
    if wanted:
        status = 206
        first, last = _range(wanted, len(data))
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        data = data[first : last + 1]
    elif asked.request.header("x-amz-checksum-mode").upper() == "ENABLED":
        headers |= {PREFIX + name: value for name, value in found.checksums.items()}
        composite = any("-" in value for value in found.checksums.values())
        headers["x-amz-checksum-type"] = "COMPOSITE" if composite else "FULL_OBJECT"
    return Answer(status=status, body=data, headers=headers)


def _range(text: str, size: int) -> tuple[int, int]:
    """First and last byte of a Range."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", text)
    if not found or found[0] == "bytes=-":
        return 0, size - 1
    if not found[1]:
        return max(0, size - int(found[2])), size - 1
    first, last = int(found[1]), min(int(found[2] or size), size - 1)
    if first > last:
        raise Refused("InvalidRange", "The requested range is not satisfiable")
    return first, last


def delete_object(asked: Asked) -> Answer:
    """A version for good; or a delete marker where the bucket keeps versions."""
    bucket, key, wanted = bucket_of(asked), asked.arguments[1], asked.query.get("versionId")
    with asked.world.lock:
        if wanted:
            versions = bucket.objects.get(key, [])
            gone = next((one for one in versions if one.version == wanted), None)
            bucket.objects[key] = [one for one in versions if one.version != wanted]
            marker = {"x-amz-delete-marker": "true"} if gone and not gone.blob else {}
            return Answer(status=204, headers={"x-amz-version-id": wanted, **marker})
        if not bucket.versioning:
            bucket.objects.pop(key, None)
            return Answer(status=204)
        made = Stored(version=versioned(bucket), blob=None)
        add(bucket, key, made)
    return Answer(status=204, headers={"x-amz-delete-marker": "true", "x-amz-version-id": made.version})


def list_objects(asked: Asked) -> Answer:
    """Keys with a prefix, a page at a time; delimiters are not known."""
    bucket, query = bucket_of(asked), asked.query
    prefix, count = query.get("prefix", ""), min(int(query.get("max-keys", 1000)), 1000)
    after = max(query.get("start-after", ""), query.get("continuation-token", ""), query.get("marker", ""))
    with asked.world.lock:
        found = {key: one for key in sorted(bucket.objects) if (one := newest(bucket, key)) and one.blob}
    keys = [key for key in found if key.startswith(prefix) and key > after]
    items = "".join(_item(key, found[key]) for key in keys[:count])
    more = len(keys) > count
    token = f"<NextContinuationToken>{escape(keys[count - 1])}</NextContinuationToken>" if more and count else ""
    return xml(
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket.name}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(keys[:count])}</KeyCount>"
        f"<MaxKeys>{count}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}</ListBucketResult>"
    )


def _item(key: str, stored: Stored) -> str:
    size = len(stored.blob.data) if stored.blob else 0
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{moment(stored.modified)}</LastModified>"
        f"<ETag>{escape(stored.etag)}</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))
