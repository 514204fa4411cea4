"""A bucket as a request may have it, and how objects get into it."""

from __future__ import annotations

import time
import uuid

from aws_standin.asked import Asked
from aws_standin.nouns import Refused
from aws_standin.world import Bucket, Stored


def bucket_of(asked: Asked) -> Bucket:
    """The bucket that is asked for.  Raises Refused when it is not there, somebody else's, or in another region."""
    name, world = asked.arguments[0], asked.world
    with world.lock:
        bucket = world.buckets.get(name)
    if not bucket:
        raise Refused("NoSuchBucket", "The specified bucket does not exist", BucketName=name)
    expected = asked.request.header("x-amz-expected-bucket-owner")
    if bucket.account != asked.caller.account or expected not in ("", bucket.account):
        raise Refused("AccessDenied", "Access Denied", x_amz_bucket_region=bucket.region)
    if bucket.region != asked.caller.region:
        raise Refused(
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all "
            "future requests to this endpoint.",
            Endpoint=f"s3.{bucket.region}.amazonaws.com", Bucket=name, x_amz_bucket_region=bucket.region,
        )  # fmt: skip
    return bucket


def versioned(bucket: Bucket) -> str:
    """The version id of what comes next."""
    return uuid.uuid4().hex if bucket.versioning == "Enabled" else "null"


def add(bucket: Bucket, key: str, stored: Stored) -> None:
    """The caller holds the world's lock.  There is but one version "null"."""
    stored.modified = time.time()
    versions = bucket.objects.setdefault(key, [])
    if stored.version == "null":
        versions[:] = [one for one in versions if one.version != "null"]
    versions.append(stored)


def newest(bucket: Bucket, key: str) -> Stored | None:
    versions = bucket.objects.get(key)
    return versions[-1] if versions else None


def check_condition(asked: Asked, bucket: Bucket, key: str) -> None:
    """If-None-Match: * writes only what is not there."""
    there = newest(bucket, key)
    if asked.request.header("if-none-match") == "*" and there and there.blob:
        words = "At least one of the pre-conditions you specified did not hold"
        raise Refused("PreconditionFailed", words, Condition="If-None-Match")


def version_header(stored: Stored) -> dict[str, str]:
    return {} if stored.version == "null" else {"x-amz-version-id": stored.version}
