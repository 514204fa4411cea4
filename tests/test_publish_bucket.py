"""Zips in S3 and parameters in SSM: exact parameters, real HTTP, nothing uploaded twice, and the wrong bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber

from aws_standin import Standin, serve
from layerkit.aws import failures
from layerkit.aws.account import Account
from layerkit.aws.bucket import PART, AwsBucket
from layerkit.aws.nouns import Candidate, Stored
from layerkit.aws.parameters import AwsParameters
from layerkit.errors import ContentError
from layerkit.model import BucketPlace
from publishing import peak_of

REGION, NUMBER, NAME = "eu-west-1", "123456789012", "zips-eu-west-1-123456789012"
PLACE = BucketPlace(name="zips-{region}-{account}")
CONTENT = b"a zip, or what S3 takes for one"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
KEY = f"layerkit/{DIGEST}.zip"


class Pace:
    def turn(self) -> None:
        raise AssertionError("S3 and SSM do not count for Lambda's limit")

    def slow_down(self, after: float = 0) -> None:
        raise AssertionError("S3 and SSM do not count for Lambda's limit")


@pytest.fixture(autouse=True)
def _credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's, between its attempts


@pytest.fixture
def aws() -> Iterator[Standin]:
    with serve(rate=0) as standin:
        yield standin


@pytest.fixture
def zip_file(tmp_path: Path) -> Callable[..., Candidate]:
    def make(content: bytes = CONTENT) -> Candidate:
        (tmp_path / "a.zip").write_bytes(content)
        return Candidate(
            layer="a", name="a", path=tmp_path / "a.zip", size=len(content),
            sha256=hashlib.sha256(content).hexdigest(), runtimes=(), architectures=(),
        )  # fmt: skip

    return make


Make = Callable[..., Candidate]


def bucket(aws: Standin, place: BucketPlace = PLACE, region: str = REGION) -> AwsBucket:
    found = Account.connect(endpoint_url=aws.url).region(region, Pace(), bucket=place).bucket
    assert found
    return found


def operations(aws: Standin) -> list[str]:
    return [call.operation for call in aws.calls(service="s3")]


# --- the exact parameters of each call ----------------------------------------------------------------------------


def stubbed(place: BucketPlace = PLACE) -> tuple[AwsBucket, Stubber]:
    made: list[Any] = []

    def client(service: str, config: Config) -> Any:
        made.append(boto3.client(service, region_name=REGION, config=config))
        return made[-1]

    return AwsBucket(REGION, NUMBER, place, client), Stubber(made[0])


OWNED = {"Bucket": NAME, "ExpectedBucketOwner": NUMBER}
HEAD = OWNED | {"Key": KEY, "ChecksumMode": "ENABLED"}
THERE = {"ContentLength": len(CONTENT), "Metadata": {"sha256": DIGEST}, "VersionId": "v1"}


def test_an_upload_s_parameters(zip_file: Make) -> None:
    asked, stub = stubbed()
    with stub:
        stub.add_client_error("head_object", "404", "Not Found", 404, expected_params=HEAD)
        put = {"Key": KEY, "Body": ANY, "ChecksumAlgorithm": "SHA256", "ContentType": "application/zip"}
        stub.add_response("put_object", {}, OWNED | put | {"Metadata": {"sha256": DIGEST}})
        stub.add_response("head_object", THERE, HEAD)
        assert asked.put(zip_file()) == Stored(bucket=NAME, key=KEY, version="v1")
        stub.assert_no_pending_responses()


def test_what_is_there_is_not_uploaded(zip_file: Make) -> None:
    asked, stub = stubbed(BucketPlace(name=NAME, prefix="", reference=True))
    with stub:
        stub.add_response("head_object", THERE, HEAD | {"Key": f"{DIGEST}.zip"})
        found = asked.put(zip_file())
        assert found == Stored(bucket=NAME, key=f"{DIGEST}.zip", version="v1", reference=True, uploaded=False)
        stub.assert_no_pending_responses()


def test_a_version_of_a_bucket_that_keeps_none_any_more(zip_file: Make) -> None:
    asked, stub = stubbed()
    with stub:
        stub.add_response("head_object", THERE | {"VersionId": "null"}, HEAD)
        assert asked.put(zip_file()) == Stored(bucket=NAME, key=KEY, uploaded=False)


@pytest.mark.parametrize(("version", "more"), [("v1", {"VersionId": "v1"}), ("", {})])
def test_a_deletion_s_parameters(version: str, more: dict[str, str]) -> None:
    asked, stub = stubbed()
    with stub:
        stub.add_response("delete_object", {}, OWNED | {"Key": KEY} | more)
        asked.discard(Stored(bucket=NAME, key=KEY, version=version))
        stub.assert_no_pending_responses()


def test_a_clean_up_s_parameters() -> None:
    asked, stub = stubbed()
    with stub:
        uploads = [{"Key": KEY + ".other", "UploadId": "2"}, {"Key": KEY, "UploadId": "1"}]
        stub.add_response("list_multipart_uploads", {"Uploads": uploads}, OWNED | {"Prefix": KEY})
        stub.add_response("abort_multipart_upload", {}, OWNED | {"Key": KEY, "UploadId": "1"})
        asked._clean_up(KEY)
        stub.assert_no_pending_responses()
        stub.add_client_error("list_multipart_uploads", "AccessDenied", "Access Denied", 403)
        asked._clean_up(KEY)  # that it may not be done is no failure
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    "change",
    [
        {"ContentLength": 1},
        {"Metadata": {}},
        {"Metadata": {"sha256": "0" * 64}},
        {"ChecksumSHA256": "AAAA"},  # of the whole object, and wrong
    ],
)
def test_another_object_under_the_key_is_replaced(zip_file: Make, change: dict[str, Any]) -> None:
    asked, stub = stubbed()
    with stub:
        stub.add_response("head_object", THERE | change)
        stub.add_response("put_object", {})
        stub.add_response("head_object", THERE | {"VersionId": "v2"})
        assert asked.put(zip_file()) == Stored(bucket=NAME, key=KEY, version="v2")
        stub.add_response("head_object", THERE | change)
        stub.add_response("put_object", {})
        stub.add_response("head_object", THERE | change)
        with pytest.raises(failures.Rejected, match="is not what was uploaded"):
            asked.put(zip_file())


def test_an_object_that_may_not_be_looked_at_is_uploaded(zip_file: Make) -> None:
    """S3 says 403 of an absent object where s3:ListBucket is not allowed."""
    for place in (PLACE, BucketPlace(name=NAME, reference=True)):
        asked, stub = stubbed(place)
        with stub:
            stub.add_client_error("head_object", "403", "Forbidden", 403)
            stub.add_response("put_object", {})
            stub.add_client_error("head_object", "403", "Forbidden", 403)
            if place.reference:
                with pytest.raises(failures.Rejected, match="keeps no versions, or does not tell them"):
                    asked.put(zip_file())
            else:
                assert asked.put(zip_file()) == Stored(bucket=NAME, key=KEY)
            stub.assert_no_pending_responses()


# --- on real HTTP -------------------------------------------------------------------------------------------------


def test_a_zip_from_upload_to_deletion(aws: Standin, zip_file: Make) -> None:
    aws.make_bucket(NAME, REGION)
    asked = bucket(aws)
    assert asked.put(zip_file()) == Stored(bucket=NAME, key=KEY)
    assert aws.objects(NAME) == {KEY: CONTENT}
    assert operations(aws) == ["HeadObject", "PutObject", "HeadObject"]
    assert asked.put(zip_file()) == Stored(bucket=NAME, key=KEY, uploaded=False)
    assert operations(aws)[3:] == ["HeadObject"]
    for _ in range(2):
        asked.discard(Stored(bucket=NAME, key=KEY))
    assert aws.objects(NAME) == {}


def test_a_bucket_that_keeps_versions(aws: Standin, zip_file: Make) -> None:
    aws.make_bucket(NAME, REGION, versioning=True)
    asked = bucket(aws, BucketPlace(name=NAME, reference=True))
    stored = asked.put(zip_file())
    assert stored.version
    assert stored.reference
    asked.discard(stored)
    assert [calls.status for calls in aws.calls("DeleteObject")] == [204]
    with aws.world.lock:
        assert aws.world.buckets[NAME].objects[KEY] == []  # no version, and no delete marker


def test_a_reference_needs_a_bucket_that_keeps_versions(aws: Standin, zip_file: Make) -> None:
    aws.make_bucket(NAME, REGION)
    with pytest.raises(failures.Rejected, match="keeps no versions") as refused:
        bucket(aws, BucketPlace(name=NAME, reference=True)).put(zip_file())
    assert f"put-bucket-versioning --bucket {NAME}" in refused.value.cure


def test_a_zip_in_parts(aws: Standin, zip_file: Make) -> None:
    """What a run that was killed left over is cleaned up; what is another object's is not."""
    content = b"a" * (PART + 5)
    candidate = zip_file(content)
    key = f"layerkit/{candidate.sha256}.zip"
    aws.make_bucket(NAME, REGION, versioning=True)
    client = boto3.client("s3", region_name=REGION, endpoint_url=aws.url)
    for one in (key, key + ".other"):
        client.create_multipart_upload(Bucket=NAME, Key=one)
    assert sorted(aws.uploads(NAME)) == [key, key + ".other"]
    stored = bucket(aws).put(candidate)
    assert aws.objects(NAME) == {key: content}
    assert aws.uploads(NAME) == [key + ".other"]
    assert stored.version
    assert bucket(aws).put(candidate) == Stored(bucket=NAME, key=key, version=stored.version, uploaded=False)
    assert len(aws.calls("UploadPart")) == 2


def test_an_upload_in_parts_that_somebody_ends(aws: Standin, zip_file: Make) -> None:
    """Another run may have cleaned up; the upload is safe to be tried again."""
    aws.make_bucket(NAME, REGION)
    aws.fault("CompleteMultipartUpload", "NoSuchUpload")
    candidate = zip_file(b"a" * (PART + 1))
    with pytest.raises(failures.Unanswered):
        bucket(aws).put(candidate)
    assert aws.uploads(NAME) == []
    assert bucket(aws).put(candidate).uploaded


@pytest.mark.parametrize("fault", ["drop-before", "drop-after", "SlowDown", "InternalError"])
@pytest.mark.parametrize("operation", ["HeadObject", "PutObject"])
def test_what_passes_is_tried_again(aws: Standin, zip_file: Make, operation: str, fault: str) -> None:
    aws.make_bucket(NAME, REGION)
    aws.fault(operation, fault)
    assert bucket(aws).put(zip_file()).uploaded
    assert aws.objects(NAME) == {KEY: CONTENT}


def test_what_does_not_pass_is_told(aws: Standin, zip_file: Make) -> None:
    aws.make_bucket(NAME, REGION)
    aws.fault("PutObject", "SlowDown", times=99)
    with pytest.raises(failures.Throttled):
        bucket(aws).put(zip_file())
    assert len(aws.calls("PutObject")) == 3
    aws.clear()
    aws.fault("*", "down", region=REGION)
    with pytest.raises(failures.Unanswered):
        bucket(aws).put(zip_file())


def test_credentials_that_expired(aws: Standin, zip_file: Make) -> None:
    """HEAD has no words but 400; the upload is told why."""
    aws.make_bucket(NAME, REGION)
    aws.fault("*", "expired", times=99, resource="zips")
    with pytest.raises(failures.CredentialsRefused):
        bucket(aws).put(zip_file())


def test_a_bucket_in_another_region(aws: Standin, zip_file: Make) -> None:
    aws.make_bucket("zips", "us-east-1")
    with pytest.raises(failures.Rejected) as refused:
        bucket(aws, BucketPlace(name="zips")).put(zip_file())
    assert refused.value.words == "the bucket zips is in us-east-1, and the layer in eu-west-1"
    assert refused.value.cure.startswith("use a bucket in eu-west-1")
    assert "{region}" in refused.value.cure
    assert operations(aws) == ["HeadObject"]  # nothing is uploaded there
    assert {call.region for call in aws.calls(service="s3")} == {REGION}


def test_a_bucket_that_is_not_there(aws: Standin, zip_file: Make) -> None:
    with pytest.raises(failures.Rejected) as refused:
        bucket(aws).put(zip_file())
    assert refused.value.code == "NoSuchBucket"
    assert refused.value.cure.startswith("make the bucket, in eu-west-1")


def test_a_bucket_of_somebody_else(aws: Standin, zip_file: Make) -> None:
    aws.make_bucket(NAME, REGION, account="111111111111")
    with pytest.raises(failures.Denied) as refused:
        bucket(aws).put(zip_file())
    assert refused.value.cure.startswith("allow s3:PutObject")
    assert refused.value.cure.endswith("of the same account")


def test_a_zip_that_changed_is_not_uploaded(aws: Standin, zip_file: Make) -> None:
    aws.make_bucket(NAME, REGION)
    candidate = zip_file()
    candidate.path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(ContentError, match="has changed"):
        bucket(aws).put(candidate)
    assert aws.objects(NAME) == {}


def test_memory_does_not_grow_with_zips_and_regions(tmp_path: Path) -> None:
    """Uploads to a server that forgets what it reads: no more than a few blocks of each are held."""
    size, regions = 40_000_000, 4
    (tmp_path / "a.zip").write_bytes(bytes(size))
    candidate = Candidate(
        layer="a", name="a", path=tmp_path / "a.zip", size=size,
        sha256=hashlib.sha256(bytes(size)).hexdigest(), runtimes=(), architectures=(),
    )  # fmt: skip
    parts: list[int] = []

    def asked() -> AwsBucket:
        def client(service: str, config: Config) -> Any:
            made = boto3.client(service, region_name=REGION, endpoint_url="http://127.0.0.1:9", config=config)
            made.meta.events.register("before-send.s3", answer)
            return made

        return AwsBucket(REGION, NUMBER, PLACE, client)

    def answer(request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        count, status, body = 0, 200, b""
        if request.method == "PUT":
            while part := request.body.read(16384):
                count += len(part)
            parts.append(count)
        elif request.method == "HEAD":
            status = 404
        elif "uploads" in request.url and request.method == "POST":
            body = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
        elif request.method == "POST":
            body = b"<CompleteMultipartUploadResult><Key>k</Key></CompleteMultipartUploadResult>"
        elif request.method == "GET":
            body = b"<ListMultipartUploadsResult></ListMultipartUploadsResult>"
        made = AWSResponse(request.url, status, {"etag": '"e"'}, None)
        made._content = body
        return made

    buckets = [asked() for _ in range(regions)]
    buckets[0].put(candidate)  # what is imported late
    parts.clear()
    peak = peak_of([partial(one.put, candidate) for one in buckets])
    assert len(parts) == 3 * regions
    assert sum(parts) >= size * regions
    assert peak < size, f"{peak} bytes for {regions} times {size}"


# --- parameters ---------------------------------------------------------------------------------------------------


def parameters(aws: Standin) -> AwsParameters:
    return Account.connect(endpoint_url=aws.url).region(REGION, Pace()).parameters


def test_parameters_parameters() -> None:
    client = boto3.client("ssm", region_name=REGION)
    asked = AwsParameters(REGION, lambda service, config: client)
    names = tuple(f"/layerkit/{number}" for number in range(12))
    with Stubber(client) as stub:
        found = [{"Name": name, "Value": "arn"} for name in names[:9]]
        stub.add_response(
            "get_parameters", {"Parameters": found, "InvalidParameters": [names[9]]}, {"Names": [*names[:10]]}
        )
        stub.add_response("get_parameters", {"Parameters": []}, {"Names": [*names[10:]]})
        assert asked.get(names) == dict.fromkeys(names[:9], "arn")
        put = {"Name": "/layerkit/a", "Value": "arn", "Type": "String", "Overwrite": True}
        stub.add_response("put_parameter", {"Version": 1}, put)
        asked.put("/layerkit/a", "arn")
        assert asked.get(()) == {}
        stub.assert_no_pending_responses()


def test_parameters_on_http(aws: Standin) -> None:
    asked = parameters(aws)
    asked.put("/layerkit/a", "1")
    asked.put("/layerkit/a", "2")
    asked.put("/layerkit/b", "3")
    assert aws.parameters(REGION) == {"/layerkit/a": "2", "/layerkit/b": "3"}
    names = tuple(f"/layerkit/{letter}" for letter in "abcdefghijklmnop")
    assert asked.get(names) == {"/layerkit/a": "2", "/layerkit/b": "3"}


@pytest.mark.parametrize("fault", ["drop-before", "drop-after", "ThrottlingException", "InternalServerError"])
def test_a_call_for_parameters_is_made_once(aws: Standin, fault: str) -> None:
    """`pace.Patience` repeats it, and botocore must not multiply that."""
    aws.fault("PutParameter", fault)
    aws.fault("GetParameters", fault)
    asked, passing = parameters(aws), (failures.Unanswered, failures.Throttled)
    with pytest.raises(passing):
        asked.put("/layerkit/a", "1")
    with pytest.raises(passing):
        asked.get(("/layerkit/a",))
    assert len(aws.calls("PutParameter")) == len(aws.calls("GetParameters")) == 1


def test_parameters_that_may_not_be_written(aws: Standin) -> None:
    aws.fault("PutParameter", "AccessDeniedException")
    with pytest.raises(failures.Denied) as refused:
        parameters(aws).put("/layerkit/a", "1")
    assert refused.value.cure == "allow ssm:PutParameter to these credentials"
    aws.fault("GetParameters", "ThrottlingException", times=99)
    with pytest.raises(failures.Throttled):
        parameters(aws).get(("/layerkit/a",))
    assert len(aws.calls("GetParameters")) == 1
