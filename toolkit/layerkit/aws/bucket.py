"""Zips that are too large for a request, in a bucket of their layer's region, on S3."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from layerkit.aws.body import blocks, opened
from layerkit.aws.calls import rejected, told
from layerkit.aws.failures import CallFailed, Denied, Rejected
from layerkit.aws.nouns import Candidate, Stored
from layerkit.model import BucketPlace

PART = 16 * 1024 * 1024  # bytes; also from where on an upload is one of parts
THREADS = 4  # of one upload; regions are uploaded to side by side
HASH = "sha256"  # the object's metadata: S3's own checksum of parts is not the zip's
UNTOLD = ("404", "400", "301")  # answers to HEAD have no words; if it is not just absent, the upload is told why


class AwsBucket:
    """See registry.Bucket.  The calls are safe to repeat, and botocore repeats each: 3 attempts of a part in all."""

    def __init__(self, region: str, account: str, place: BucketPlace, client: Callable[..., Any]) -> None:
        """`client` makes botocore's client of a service, with a Config; `account` must own the bucket."""
        from botocore.config import Config

        self.region, self._place = region, place
        self.name = place.name.replace("{region}", region).replace("{account}", account)
        self._owned = {"Bucket": self.name, "ExpectedBucketOwner": account}
        self._client = client(
            "s3",
            Config(
                retries={"mode": "standard", "total_max_attempts": 3},
                connect_timeout=5,
                read_timeout=60,
                max_pool_connections=THREADS + 1,
                s3={"us_east_1_regional_endpoint": "regional"},
            ),
        )
        self._client.meta.events.register_last("before-parameter-build.s3", _stay)

    def put(self, candidate: Candidate) -> Stored:
        """Upload the zip unless the very same is there.

        Raises ContentError when the file is not the verified one.  An object that may not be looked at
        (s3:GetObject, s3:ListBucket) is uploaded again; only `reference` cannot do without its version.
        """
        key = self._key(candidate)
        head, uploaded = self._head(key), False
        if not head or not _same(head, candidate):
            self._upload(candidate, key)
            head, uploaded = self._head(key) or {}, True
            if head and not _same(head, candidate):
                words = f"{key} in the bucket {self.name} is not what was uploaded"
                raise rejected(
                    "PutObject", self.region, "WrongObject", words, "run it again; does another tool write there?"
                )
        version = str(head.get("VersionId", ""))
        version = "" if version == "null" else version  # of a bucket that keeps no versions any more
        if self._place.reference and not version:
            raise rejected(
                "HeadObject",
                self.region,
                "NoVersion",
                f"the bucket {self.name} keeps no versions, or does not tell them, so Lambda cannot refer to one",
                "allow s3:GetObject, and turn versions on (aws s3api put-bucket-versioning --bucket "
                f"{self.name} --versioning-configuration Status=Enabled); or take reference away",
            )
        return Stored(bucket=self.name, key=key, version=version, reference=self._place.reference, uploaded=uploaded)

    def left(self, candidate: Candidate) -> Stored | None:
        """The very zip that an earlier run has left; None where there is none, or S3 does not tell."""
        key = self._key(candidate)
        head = self._head(key)
        if not head or not _same(head, candidate):
            return None
        version = str(head.get("VersionId", "")).replace("null", "")
        return Stored(bucket=self.name, key=key, version=version, reference=self._place.reference, uploaded=False)

    def _key(self, candidate: Candidate) -> str:
        return f"{self._place.prefix}{candidate.sha256}.zip"

    def discard(self, stored: Stored) -> None:
        """Delete the object, with its version where it has one; an absent one is no failure."""
        version = {"VersionId": stored.version} if stored.version else {}
        self._call("DeleteObject", self._client.delete_object, Key=stored.key, **version)

    def _head(self, key: str) -> dict[str, Any] | None:
        """What S3 tells of an object; None when it is not there, or S3 does not tell."""
        try:
            found = self._call("HeadObject", self._client.head_object, Key=key, ChecksumMode="ENABLED")
            return dict(found)
        except Denied:  # also where an object is absent and s3:ListBucket is not allowed
            return None
        except Rejected as failure:
            if failure.code in UNTOLD:
                return None
            raise

    def _upload(self, candidate: Candidate, key: str) -> None:
        from boto3.exceptions import S3UploadFailedError
        from boto3.s3.transfer import TransferConfig

        with opened(candidate) as zip_file:
            for _ in blocks(zip_file, candidate):  # the key promises what is in it
                pass
        limits = TransferConfig(
            multipart_threshold=PART,
            multipart_chunksize=PART,
            max_concurrency=THREADS,
            preferred_transfer_client="classic",
        )
        more = {
            "ChecksumAlgorithm": "SHA256",
            "ContentType": "application/zip",
            "ExpectedBucketOwner": self._owned["ExpectedBucketOwner"],
            "Metadata": {HASH: candidate.sha256},
        }

        def upload(**_: str) -> None:
            try:
                self._client.upload_file(str(candidate.path), self.name, key, ExtraArgs=more, Config=limits)
            except S3UploadFailedError as error:
                raise error.__context__ or error from None

        self._call("PutObject", upload)
        if candidate.size >= PART:
            self._clean_up(key)

    def _clean_up(self, key: str) -> None:
        """Abort uploads of parts that never ended, of this very object; they cost as much as the object.

        Now that the object is there, nobody needs them: another run's that is under way fails, and then finds it.
        """
        with suppress(CallFailed):
            found = self._call("ListMultipartUploads", self._client.list_multipart_uploads, Prefix=key)
            for upload in found.get("Uploads", []):
                if upload["Key"] == key:
                    abort = self._client.abort_multipart_upload
                    self._call("AbortMultipartUpload", abort, Key=key, UploadId=upload["UploadId"])

    def _call(self, operation: str, method: Callable[..., Any], **given: str) -> Any:
        from botocore.exceptions import ClientError

        with told(operation, self.region):
            try:
                return method(**self._owned, **given)
            except ClientError as error:
                answer = error.response
                headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
                where = headers.get("x-amz-bucket-region") or answer.get("Error", {}).get("Region") or self.region
                if where != self.region:
                    words = f"the bucket {self.name} is in {where}, and the layer in {self.region}"
                    raise rejected(operation, self.region, "PermanentRedirect", words) from None
                raise


def _same(head: dict[str, Any], candidate: Candidate) -> bool:
    """Whether an object is the zip: by its size and hash, and by S3's own checksum where that is of the whole."""
    whole = str(head.get("ChecksumSHA256", ""))
    return (
        head["ContentLength"] == candidate.size
        and head.get("Metadata", {}).get(HASH) == candidate.sha256
        and (not whole or "-" in whole or whole == candidate.code_sha256)
    )


def _stay(context: dict[str, Any], **_: Any) -> None:
    """Let botocore not follow a bucket into another region: Lambda would not take the zip from there."""
    context.setdefault("s3_redirect", {})["redirected"] = True
