"""The AWS stand-in keeps objects as S3 does, and Lambda takes layers from them."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_standin import Standin, serve
from aws_standin.checksums import decoded
from aws_standin.clients import client, zipped
from aws_standin.nouns import Refused, Request

ZIP, OTHER_ZIP = zipped({"python/hello.py": b"X = 1\n"}), zipped({"python/hello.py": b"X = 2\n"})
SHA256 = base64.b64encode(hashlib.sha256(ZIP).digest()).decode()
PART = 5 * 1024 * 1024


@pytest.fixture
def aws() -> Iterator[Standin]:
    with serve(rate=0) as running:
        running.make_bucket("plain", "us-east-1")
        running.make_bucket("kept", "us-east-1", versioning=True)
        yield running


@pytest.fixture
def s3(aws: Standin) -> Any:
    return client(aws, "s3")


def refusal(call: Callable[..., object], *given: Any, **named: Any) -> tuple[int, str]:
    """HTTP status and code."""
    with pytest.raises(ClientError) as caught:
        call(*given, **named)
    response: Any = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def layer_refusal(layers: Any, content: dict[str, str]) -> str:
    """What Lambda says of a place in a bucket."""
    with pytest.raises(ClientError) as caught:
        layers.publish_layer_version(LayerName="l", Content=content)
    error: Any = caught.value.response["Error"]
    assert error["Code"] == "InvalidParameterValueException"
    message: str = error["Message"]
    return message.removeprefix("Error occurred while GetObject. ")


class TestBuckets:
    def test_create(self, aws: Standin, s3: Any) -> None:
        ireland = client(aws, "s3", "eu-west-1")
        where = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
        ireland.create_bucket(Bucket="irish", **where)
        assert ireland.head_bucket(Bucket="irish")["BucketRegion"] == "eu-west-1"
        assert ireland.get_bucket_location(Bucket="irish")["LocationConstraint"] == "eu-west-1"
        assert refusal(ireland.create_bucket, Bucket="irish", **where) == (409, "BucketAlreadyOwnedByYou")
        assert refusal(ireland.create_bucket, Bucket="x")[1] == "IllegalLocationConstraintException"
        s3.create_bucket(Bucket="plain")  # us-east-1 forgives
        other = client(aws, "s3", key="111122223333")
        assert refusal(other.create_bucket, Bucket="plain") == (409, "BucketAlreadyExists")

    def test_versioning(self, s3: Any) -> None:
        assert "Status" not in s3.get_bucket_versioning(Bucket="plain")
        s3.put_bucket_versioning(Bucket="plain", VersioningConfiguration={"Status": "Enabled"})
        assert s3.get_bucket_versioning(Bucket="plain")["Status"] == "Enabled"

    def test_absent_or_of_somebody_else(self, aws: Standin, s3: Any) -> None:
        assert refusal(s3.put_object, Bucket="none", Key="k", Body=b"") == (404, "NoSuchBucket")
        assert refusal(s3.head_bucket, Bucket="none") == (404, "404")
        stranger = client(aws, "s3", key="111122223333")
        assert refusal(stranger.put_object, Bucket="plain", Key="k", Body=b"") == (403, "AccessDenied")
        expected = {"Bucket": "plain", "Key": "k", "Body": b"", "ExpectedBucketOwner": "111122223333"}
        assert refusal(s3.put_object, **expected) == (403, "AccessDenied")
        s3.put_object(**{**expected, "ExpectedBucketOwner": "123456789012"})

    def test_another_region(self, aws: Standin) -> None:
        """boto3 asks again in the region that the refusal names."""
        ireland = client(aws, "s3", "eu-west-1")
        ireland.put_object(Bucket="plain", Key="k", Body=b"x")
        assert [(call.region, call.status) for call in aws.calls("PutObject")] == [
            ("eu-west-1", 301),
            ("us-east-1", 200),
        ]
        assert aws.objects("plain") == {"k": b"x"}

    def test_by_host(self, aws: Standin) -> None:
        from http.client import HTTPConnection

        connection = HTTPConnection(aws.url[7:])
        signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, x"}
        host = {"Host": "plain.s3.us-east-1.amazonaws.com"}
        connection.request("PUT", "/a/k", b"x", headers={**signed, **host})
        assert connection.getresponse().status == 200
        connection.close()
        assert aws.objects("plain") == {"a/k": b"x"}


class TestObjects:
    def test_put_head_get(self, aws: Standin, s3: Any) -> None:
        made = s3.put_object(
            Bucket="kept", Key="a b/ü+.zip", Body=ZIP, Metadata={"sha256": "x"}, ContentType="application/zip"
        )
        head = s3.head_object(Bucket="kept", Key="a b/ü+.zip", ChecksumMode="ENABLED")
        got = s3.get_object(Bucket="kept", Key="a b/ü+.zip")
        assert (head["ContentLength"], head["Metadata"], head["ContentType"]) == (
            len(ZIP),
            {"sha256": "x"},
            "application/zip",
        )
        assert made["VersionId"] == head["VersionId"] == got["VersionId"]
        assert made["ETag"] == head["ETag"] == f'"{hashlib.md5(ZIP).hexdigest()}"'
        assert head["ChecksumCRC32"] == base64.b64encode(zlib.crc32(ZIP).to_bytes(4, "big")).decode()
        assert got["Body"].read() == ZIP
        assert aws.objects("kept") == {"a b/ü+.zip": ZIP}

    def test_a_range(self, s3: Any) -> None:
        s3.put_object(Bucket="plain", Key="k", Body=b"0123456789")
        got = s3.get_object(Bucket="plain", Key="k", Range="bytes=2-4")
        assert (got["Body"].read(), got["ContentRange"]) == (b"234", "bytes 2-4/10")

    def test_sha256(self, s3: Any) -> None:
        s3.put_object(Bucket="plain", Key="k", Body=ZIP, ChecksumSHA256=SHA256)
        head = s3.head_object(Bucket="plain", Key="k", ChecksumMode="ENABLED")
        assert (head["ChecksumSHA256"], head["ChecksumType"]) == (SHA256, "FULL_OBJECT")
        assert "ChecksumSHA256" not in s3.head_object(Bucket="plain", Key="k")

    def test_a_wrong_checksum(self, aws: Standin, s3: Any) -> None:
        wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        put = partial(s3.put_object, Bucket="plain", Key="k", Body=ZIP)
        assert refusal(put, ChecksumSHA256=wrong) == (400, "BadDigest")
        assert refusal(put, ChecksumCRC32="AAAAAA==") == (400, "BadDigest")
        assert refusal(put, ChecksumCRC32="AAAA") == (400, "InvalidRequest")
        assert refusal(put, ContentMD5=base64.b64encode(bytes(16)).decode()) == (400, "BadDigest")
        assert aws.objects("plain") == {}

    def test_versions(self, s3: Any) -> None:
        first, second = (s3.put_object(Bucket="kept", Key="k", Body=body)["VersionId"] for body in (b"1", b"2"))
        assert s3.get_object(Bucket="kept", Key="k")["Body"].read() == b"2"
        assert s3.get_object(Bucket="kept", Key="k", VersionId=first)["Body"].read() == b"1"
        marker = s3.delete_object(Bucket="kept", Key="k")
        assert marker["DeleteMarker"] is True
        assert refusal(s3.get_object, Bucket="kept", Key="k") == (404, "NoSuchKey")
        named = {"Bucket": "kept", "Key": "k", "VersionId": marker["VersionId"]}
        assert refusal(s3.get_object, **named) == (405, "MethodNotAllowed")
        s3.delete_object(**named)
        assert s3.get_object(Bucket="kept", Key="k")["VersionId"] == second
        s3.delete_object(Bucket="kept", Key="k", VersionId=second)
        assert s3.get_object(Bucket="kept", Key="k")["Body"].read() == b"1"
        assert refusal(s3.get_object, Bucket="kept", Key="k", VersionId=second) == (404, "NoSuchVersion")

    def test_without_versions(self, s3: Any) -> None:
        assert "VersionId" not in s3.put_object(Bucket="plain", Key="k", Body=b"1")
        s3.put_object(Bucket="plain", Key="k", Body=b"2")
        for _ in "ab":
            s3.delete_object(Bucket="plain", Key="k")
        assert refusal(s3.head_object, Bucket="plain", Key="k") == (404, "404")

    def test_only_if_it_is_not_there(self, aws: Standin, s3: Any) -> None:
        s3.put_object(Bucket="plain", Key="k", Body=b"1", IfNoneMatch="*")
        again = partial(s3.put_object, Bucket="plain", Key="k", Body=b"2", IfNoneMatch="*")
        assert refusal(again) == (412, "PreconditionFailed")
        assert aws.objects("plain") == {"k": b"1"}

    def test_list(self, s3: Any) -> None:
        for number in range(5):
            s3.put_object(Bucket="plain", Key=f"a/{number}", Body=b"x" * number)
        s3.put_object(Bucket="plain", Key="b", Body=b"")
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket="plain", Prefix="a/", PaginationConfig={"PageSize": 2}
        )
        found = [[(one["Key"], one["Size"]) for one in page["Contents"]] for page in pages]
        assert found == [[("a/0", 0), ("a/1", 1)], [("a/2", 2), ("a/3", 3)], [("a/4", 4)]]


class TestChunked:
    """How clients send a checksum after the bytes, over TLS."""

    def request(self, value: str) -> Request:
        body = (
            b"5\r\nhello\r\n3;chunk-signature=x\r\n me\r\n0\r\nx-amz-checksum-crc32:" + value.encode() + b"\r\n\r\n"
        )
        headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": "8"}
        return Request(method="PUT", target="/b/k", headers=headers, body=body)

    def test_right(self) -> None:
        value = base64.b64encode(zlib.crc32(b"hello me").to_bytes(4, "big")).decode()
        assert decoded(self.request(value)) == (b"hello me", {"crc32": value})

    def test_wrong(self) -> None:
        with pytest.raises(Refused, match="BadDigest"):
            decoded(self.request("AAAAAA=="))


class TestParts:
    def test_upload_file(self, aws: Standin, s3: Any, tmp_path: Path) -> None:
        data = os.urandom(20 * 1024 * 1024)
        (tmp_path / "f").write_bytes(data)
        s3.upload_file(str(tmp_path / "f"), "kept", "big")
        assert len(aws.calls("UploadPart")) == 3
        assert (aws.objects("kept"), aws.uploads("kept")) == ({"big": data}, [])
        head = s3.head_object(Bucket="kept", Key="big")
        assert (head["ContentLength"], head["ETag"].endswith('-3"')) == (len(data), True)
        s3.download_file("kept", "big", str(tmp_path / "g"))
        assert (tmp_path / "g").read_bytes() == data

    def start(self, s3: Any, **given: str) -> dict[str, str]:
        number = s3.create_multipart_upload(Bucket="kept", Key="k", **given)["UploadId"]
        return {"Bucket": "kept", "Key": "k", "UploadId": number}

    def finish(self, s3: Any, upload: dict[str, str], *etags: tuple[int, str]) -> Any:
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in etags]
        return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    def test_by_hand(self, aws: Standin, s3: Any) -> None:
        upload = self.start(s3, ChecksumAlgorithm="SHA256")
        bodies = (b"a" * PART, b"b")
        made = [
            s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256")
            for number, body in enumerate(bodies, 1)
        ]
        assert [one["Size"] for one in s3.list_parts(**upload)["Parts"]] == [PART, 1]
        (open_,) = s3.list_multipart_uploads(Bucket="kept")["Uploads"]
        assert (open_["Key"], open_["UploadId"]) == ("k", upload["UploadId"])
        assert aws.uploads("kept") == ["k"]
        self.finish(s3, upload, (1, made[0]["ETag"]), (2, made[1]["ETag"]))
        each = b"".join(hashlib.sha256(body).digest() for body in bodies)
        whole = base64.b64encode(hashlib.sha256(each).digest()).decode()
        head = s3.head_object(Bucket="kept", Key="k", ChecksumMode="ENABLED")
        assert (head["ChecksumSHA256"], head["ChecksumType"]) == (f"{whole}-2", "COMPOSITE")
        assert aws.objects("kept") == {"k": b"".join(bodies)}
        assert "Uploads" not in s3.list_multipart_uploads(Bucket="kept")
        assert refusal(self.finish, s3, upload, (1, made[0]["ETag"])) == (404, "NoSuchUpload")

    def test_parts_that_do_not_do(self, aws: Standin, s3: Any) -> None:
        upload = self.start(s3)
        first, second = (s3.upload_part(**upload, PartNumber=number, Body=b"x")["ETag"] for number in (1, 2))
        assert refusal(self.finish, s3, upload, (1, first), (2, second)) == (400, "EntityTooSmall")
        assert refusal(self.finish, s3, upload, (2, second), (1, first)) == (400, "InvalidPartOrder")
        assert refusal(self.finish, s3, upload, (1, '"0"')) == (400, "InvalidPart")
        assert refusal(self.finish, s3, upload, (3, first)) == (400, "InvalidPart")
        wrong = {"PartNumber": 1, "Body": b"x", "ChecksumCRC32": "AAAAAA=="}
        assert refusal(s3.upload_part, **upload, **wrong) == (400, "BadDigest")
        assert aws.objects("kept") == {}

    def test_abort(self, aws: Standin, s3: Any) -> None:
        upload = self.start(s3)
        s3.abort_multipart_upload(**upload)
        assert aws.uploads("kept") == []
        part = {"PartNumber": 1, "Body": b"x"}
        assert refusal(s3.upload_part, **upload, **part) == (404, "NoSuchUpload")

    def test_a_failed_part_leaves_nothing(self, aws: Standin, s3: Any) -> None:
        aws.fault("UploadPart", "AccessDeniedException")
        data = BytesIO(bytes(2 * PART))
        assert refusal(s3.upload_fileobj, data, "kept", "k") == (403, "AccessDenied")
        assert (aws.uploads("kept"), aws.objects("kept")) == ([], {})


class TestLayers:
    def test_the_version_that_is_asked_for(self, aws: Standin, s3: Any) -> None:
        first = s3.put_object(Bucket="kept", Key="l.zip", Body=ZIP)["VersionId"]
        s3.put_object(Bucket="kept", Key="l.zip", Body=OTHER_ZIP)
        place = {"S3Bucket": "kept", "S3Key": "l.zip", "S3ObjectVersion": first}
        made = client(aws).publish_layer_version(LayerName="l", Content=place)
        assert (made["Content"]["CodeSha256"], made["Content"]["CodeSize"]) == (SHA256, len(ZIP))
        assert "ResolvedS3Object" not in made["Content"]
        assert aws.archive("us-east-1", "l", 1) == ZIP

    def test_refusals(self, aws: Standin, s3: Any) -> None:
        s3.put_object(Bucket="kept", Key="l.zip", Body=ZIP)
        s3.put_object(Bucket="kept", Key="text", Body=b"no zip")

        def publish(region: str = "us-east-1", **place: str) -> str:
            layers = client(aws, region=region)
            content = {"S3Bucket": "kept", "S3Key": "l.zip", **place}
            return layer_refusal(layers, content)

        assert publish(S3Key="none").startswith(
            "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not"
        )
        assert publish(S3Bucket="none").startswith("S3 Error Code: NoSuchBucket.")
        assert publish(S3ObjectVersion="none").startswith("S3 Error Code: NoSuchVersion.")
        assert publish("eu-west-1") == (
            "S3 Error Code: PermanentRedirect. S3 Error Message: The bucket is in this region: us-east-1. Please use "
            "this region to retry the request"
        )
        assert publish(S3Key="text").startswith("Could not unzip uploaded file.")
        s3.delete_object(Bucket="kept", Key="l.zip")
        assert publish().startswith("S3 Error Code: NoSuchKey.")

    def test_a_reference(self, aws: Standin, s3: Any) -> None:
        layers = client(aws)
        for bucket in ("plain", "kept"):
            version = s3.put_object(Bucket=bucket, Key="l.zip", Body=ZIP).get("VersionId", "null")
            place = {"S3Bucket": bucket, "S3Key": "l.zip", "S3ObjectStorageMode": "REFERENCE"}
            content = {**place, "S3ObjectVersion": version}
            if bucket == "plain":
                layer_refusal(layers, content)
                continue
            layer_refusal(layers, place)
            layers.publish_layer_version(LayerName="l", Content=content)
            got = layers.get_layer_version(LayerName="l", VersionNumber=1)["Content"]
            expected = {"S3Bucket": "kept", "S3Key": "l.zip", "S3ObjectVersion": version}
            assert (got["ResolvedS3Object"], got["CodeSha256"]) == (expected, SHA256)
        assert layers.get_account_settings()["AccountUsage"]["TotalCodeSize"] == 0
