"""S3: which operation a request asks for, and the buckets."""

from __future__ import annotations

import re
from collections.abc import Callable

from aws_standin import s3_objects as objects
from aws_standin import s3_parts as parts
from aws_standin.asked import Asked, Operation
from aws_standin.nouns import Answer, Refused, Request
from aws_standin.refusals import xml
from aws_standin.s3_buckets import bucket_of
from aws_standin.world import Bucket

HOST = re.compile(r"([a-z0-9][a-z0-9.\-]+)\.(?:s3[.\-a-z0-9]*\.amazonaws\.com|localhost|127\.0\.0\.1)(?::\d+)?")
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
Work = Callable[[Asked], Answer]


def s3(request: Request) -> Operation:
    """Bucket and key come from the path, or the bucket from the host."""
    hosted = HOST.fullmatch(request.header("host"))
    bucket, _, key = request.path[1:].partition("/")
    if hosted:
        bucket, key = hosted[1], request.path[1:]
    name, work = _operation(request, bucket, key)
    return Operation(name=name, resource=f"{bucket}/{key}" if key else bucket, arguments=(bucket, key), work=work)


def _operation(request: Request, bucket: str, key: str) -> tuple[str, Work]:
    """By method and by what the query names: Amazon S3 API reference."""
    method, query = request.method, request.query
    if key:
        table: dict[tuple[str, str], tuple[str, Work]] = OBJECTS
    elif bucket:
        table = BUCKETS
    else:
        return ("ListBuckets", list_buckets) if method == "GET" else ("?", _unknown)
    named = [
        name
        for name in ("uploads", "uploadId", "partNumber", "versioning", "location", "list-type", "delete")
        if name in query
    ]
    # UploadPart has uploadId and partNumber; GetObject may have partNumber alone
    by = "uploadId" if "uploadId" in named else (named[0] if named else "")
    return table.get((method, by), ("?", _unknown))


def _unknown(asked: Asked) -> Answer:
    raise Refused("NotImplemented", "A header you provided implies functionality that is not implemented")


def create_bucket(asked: Asked) -> Answer:
    name, region, world = asked.arguments[0], asked.caller.region, asked.world
    found = re.search(rb"<LocationConstraint>([^<]*)</LocationConstraint>", asked.request.body)
    wanted = found[1].decode() if found else "us-east-1"
    if wanted != region:
        which = wanted if found else "unspecified"
        raise Refused(
            "IllegalLocationConstraintException",
            f"The {which} location constraint is incompatible for the region specific endpoint this request was sent "
            "to.",
        )
    with world.lock:
        there = world.buckets.get(name)
        if there and there.account != asked.caller.account:
            raise Refused("BucketAlreadyExists", "The requested bucket name is not available.")
        if there and not there.region == region == "us-east-1":  # which forgives, for the sake of old clients
            words = "Your previous request to create the named bucket succeeded and you already own it."
            raise Refused("BucketAlreadyOwnedByYou", words)
        if not there:
            world.buckets[name] = Bucket(name=name, region=region, account=asked.caller.account)
    return Answer(headers={"Location": f"/{name}"})


def head_bucket(asked: Asked) -> Answer:
    bucket = bucket_of(asked)
    return Answer(headers={"x-amz-bucket-region": bucket.region})


def delete_bucket(asked: Asked) -> Answer:
    bucket = bucket_of(asked)
    with asked.world.lock:
        if any(bucket.objects.values()):
            raise Refused("BucketNotEmpty", "The bucket you tried to delete is not empty")
        del asked.world.buckets[bucket.name]
    return Answer(status=204)


def get_location(asked: Asked) -> Answer:
    region = bucket_of(asked).region
    return xml(f"<LocationConstraint {NAMESPACE}>{'' if region == 'us-east-1' else region}</LocationConstraint>")


def get_versioning(asked: Asked) -> Answer:
    state = bucket_of(asked).versioning
    status = f"<Status>{state}</Status>" if state else ""
    return xml(f"<VersioningConfiguration {NAMESPACE}>{status}</VersioningConfiguration>")


def put_versioning(asked: Asked) -> Answer:
    bucket = bucket_of(asked)
    found = re.search(rb"<Status>(Enabled|Suspended)</Status>", asked.request.body)
    if not found:
        raise Refused("MalformedXML", "The XML you provided was not well-formed or did not validate.")
    with asked.world.lock:
        bucket.versioning = found[1].decode()
    return Answer()


def list_buckets(asked: Asked) -> Answer:
    with asked.world.lock:
        own = [name for name, one in sorted(asked.world.buckets.items()) if one.account == asked.caller.account]
    items = "".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in own)
    return xml(f"<ListAllMyBucketsResult {NAMESPACE}><Buckets>{items}</Buckets></ListAllMyBucketsResult>")


BUCKETS: dict[tuple[str, str], tuple[str, Work]] = {
    ("PUT", ""): ("CreateBucket", create_bucket),
    ("HEAD", ""): ("HeadBucket", head_bucket),
    ("DELETE", ""): ("DeleteBucket", delete_bucket),
    ("GET", "location"): ("GetBucketLocation", get_location),
    ("GET", "versioning"): ("GetBucketVersioning", get_versioning),
    ("PUT", "versioning"): ("PutBucketVersioning", put_versioning),
    ("GET", "uploads"): ("ListMultipartUploads", parts.list_uploads),
    ("GET", "list-type"): ("ListObjectsV2", objects.list_objects),
    ("GET", ""): ("ListObjects", objects.list_objects),
}
OBJECTS: dict[tuple[str, str], tuple[str, Work]] = {
    ("PUT", ""): ("PutObject", objects.put_object),
    ("GET", ""): ("GetObject", objects.get_object),
    ("HEAD", ""): ("HeadObject", objects.get_object),
    ("DELETE", ""): ("DeleteObject", objects.delete_object),
    ("POST", "uploads"): ("CreateMultipartUpload", parts.create_upload),
    ("PUT", "uploadId"): ("UploadPart", parts.upload_part),
    ("POST", "uploadId"): ("CompleteMultipartUpload", parts.complete_upload),
    ("DELETE", "uploadId"): ("AbortMultipartUpload", parts.abort_upload),
    ("GET", "uploadId"): ("ListParts", parts.list_parts),
}
