"""AWS as publishing asks it: each call's exact parameters, what answers mean, and what goes wrong on the way."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from aws_standin import Standin, serve
from layerkit import __version__
from layerkit.aws import failures
from layerkit.aws.account import Account
from layerkit.aws.layers import AwsLayers
from layerkit.aws.nouns import Candidate, LayerVersion, Policy, Room, Statement, Stored
from layerkit.aws.registry import LayerRegistry
from layerkit.errors import AwsError
from layerkit.model import BucketPlace

SECRET = "the-secret-access-key"
REGION, NUMBER = "eu-west-1", "123456789012"
ARN = f"arn:aws:lambda:{REGION}:{NUMBER}:layer:flask"
PUBLIC = Statement(sid="layerkit-public", principal="*")


class Pace:
    """Counts the turns."""

    def __init__(self) -> None:
        self.turns, self.slowed = 0, list[float]()

    def turn(self) -> None:
        self.turns += 1

    def slow_down(self, after: float = 0) -> None:
        self.slowed.append(after)


@pytest.fixture(autouse=True)
def _credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def aws() -> Iterator[Standin]:
    with serve(rate=0) as standin:
        yield standin


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
def layers(aws: Standin, pace: Pace) -> LayerRegistry:
    return Account.connect(endpoint_url=aws.url).region(REGION, pace).layers


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("python/a.py", "x = 1\n")
    (tmp_path / "flask.zip").write_bytes(made.getvalue())
    return Candidate(
        layer="web", name="flask", path=tmp_path / "flask.zip", size=len(made.getvalue()),
        sha256=hashlib.sha256(made.getvalue()).hexdigest(), runtimes=("python3.12", "python3.13"),
        architectures=("arm64", "x86_64"), description="Flask", license="BSD-3-Clause",
    )  # fmt: skip


def a_client(service: str, url: str = "", **config: Any) -> Any:
    limits = Config(retries={"mode": "standard", "total_max_attempts": 1}, **config)
    return boto3.client(service, region_name=REGION, endpoint_url=url or None, config=limits)


# --- the exact parameters of each call ----------------------------------------------------------------------------

VERSION = {"Version": 3, "LayerVersionArn": f"{ARN}:3", "CreatedDate": "2026-11-21T10:00:00.000+0000"}
WHOLE = VERSION | {
    "CompatibleRuntimes": ["python3.13", "python3.12"], "CompatibleArchitectures": ["x86_64", "arm64"],
    "Description": "Flask", "LicenseInfo": "BSD-3-Clause",
}  # fmt: skip
READ = LayerVersion(
    name="flask", version=3, arn=f"{ARN}:3", runtimes=("python3.12", "python3.13"), architectures=("arm64", "x86_64"),
    description="Flask", license="BSD-3-Clause", created="2026-11-21T10:00:00.000+0000",
)  # fmt: skip
NAMED = {"LayerName": "flask", "VersionNumber": 3}
LISTED = {"LayerName": "flask", "MaxItems": 1}
GRANT = NAMED | {"Action": "lambda:GetLayerVersion", "StatementId": "s"}
POLICY = {"Version": "2012-10-17", "Statement": [{
    "Sid": "layerkit-public", "Effect": "Allow", "Principal": "*", "Action": "lambda:GetLayerVersion",
    "Resource": ARN,
}]}  # fmt: skip
USAGE = {"AccountLimit": {"TotalCodeSize": 100}, "AccountUsage": {"TotalCodeSize": 60}}


def statement(**given: str) -> Statement:
    return Statement(**{"sid": "s", "principal": "*", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "method", "parameters", "answer", "expected"),
    [
        (lambda a: a.newest("flask"), "list_layer_versions", LISTED, {"LayerVersions": [WHOLE]}, [READ]),
        (lambda a: a.newest("flask"), "list_layer_versions", LISTED, {"LayerVersions": []}, []),
        (
            lambda a: a.newest("flask", runtime="python3.12", architecture="arm64", count=50), "list_layer_versions",
            LISTED | {"MaxItems": 50, "CompatibleRuntime": "python3.12", "CompatibleArchitecture": "arm64"},
            {"LayerVersions": [VERSION]},
            [LayerVersion(name="flask", version=3, arn=f"{ARN}:3", created=READ.created)],
        ),
        (
            lambda a: a.get("flask", 3), "get_layer_version", NAMED,
            VERSION | {"Content": {"CodeSha256": "aGFzaA==", "CodeSize": 7}},
            LayerVersion(
                name="flask", version=3, arn=f"{ARN}:3", created=READ.created, code_sha256="aGFzaA==", size=7
            ),
        ),
        (lambda a: a.delete("flask", 3), "delete_layer_version", NAMED, {}, None),
        (
            lambda a: a.policy("flask", 3), "get_layer_version_policy", NAMED,
            {"Policy": json.dumps(POLICY), "RevisionId": "r1"}, Policy(statements=(PUBLIC,), revision="r1"),
        ),
        (
            lambda a: a.share("flask", 3, statement()), "add_layer_version_permission", GRANT | {"Principal": "*"},
            {}, None,
        ),
        (
            lambda a: a.share("flask", 3, statement(principal=NUMBER)), "add_layer_version_permission",
            GRANT | {"Principal": NUMBER}, {}, None,
        ),
        (
            lambda a: a.share("flask", 3, statement(organization="o-a1b2c3d4e5")), "add_layer_version_permission",
            GRANT | {"Principal": "*", "OrganizationId": "o-a1b2c3d4e5"}, {}, None,
        ),
        (
            lambda a: a.unshare("flask", 3, "s"), "remove_layer_version_permission", NAMED | {"StatementId": "s"},
            {}, None,
        ),
        (lambda a: a.room(), "get_account_settings", {}, USAGE, Room(used=60, limit=100)),
    ],
)  # fmt: skip
def test_a_call(
    pace: Pace, call: Callable[[AwsLayers], Any], method: str, parameters: dict[str, Any], answer: dict[str, Any],
    expected: Any,
) -> None:  # fmt: skip
    client = a_client("lambda")
    asked = AwsLayers(REGION, pace, client)
    with Stubber(client) as stub:
        stub.add_response(method, answer, parameters)
        assert call(asked) == expected
        stub.assert_no_pending_responses()
    assert pace.turns == 1


TAGS = {"CompatibleRuntimes": ["python3.12", "python3.13"], "CompatibleArchitectures": ["arm64", "x86_64"]}
PLACE = {"S3Bucket": "zips", "S3Key": "k.zip"}


@pytest.mark.parametrize(
    ("change", "stored", "content", "more"),
    [
        ({}, None, None, TAGS | {"Description": "Flask", "LicenseInfo": "BSD-3-Clause"}),
        ({"runtimes": (), "architectures": (), "description": "", "license": ""}, None, None, {}),
        ({"description": "", "license": ""}, Stored(bucket="zips", key="k.zip"), PLACE, TAGS),
        (
            {"description": "", "license": ""}, Stored(bucket="zips", key="k.zip", version="v1", uploaded=False),
            PLACE | {"S3ObjectVersion": "v1"}, TAGS,
        ),
        (
            {"description": "", "license": ""}, Stored(bucket="zips", key="k.zip", version="v1", reference=True),
            PLACE | {"S3ObjectVersion": "v1", "S3ObjectStorageMode": "REFERENCE"}, TAGS,
        ),
    ],
)  # fmt: skip
def test_publishing(
    pace: Pace,
    candidate: Candidate,
    change: dict[str, Any],
    stored: Stored | None,
    content: Any,
    more: dict[str, Any],
) -> None:
    client = a_client("lambda")
    asked = AwsLayers(REGION, pace, client)
    published = Candidate(**{name: getattr(candidate, name) for name in Candidate.__slots__} | change)
    content = content or {"ZipFile": bytes.fromhex(candidate.sha256)}  # the zip's place: see test_publish_body
    answer = WHOLE | {"Content": {"CodeSha256": candidate.code_sha256, "CodeSize": candidate.size}}
    with Stubber(client) as stub:
        stub.add_response("publish_layer_version", answer, {"LayerName": "flask", "Content": content, **more})
        found = asked.publish(published, stored)
        stub.assert_no_pending_responses()
    assert (found.version, found.code_sha256, found.size) == (3, candidate.code_sha256, candidate.size)
    assert found.runtimes == ("python3.12", "python3.13")
    assert pace.turns == 1


def test_a_boto3_that_cannot_refer_to_a_zip_in_a_bucket(pace: Pace, candidate: Candidate) -> None:
    client = a_client("lambda")
    del (
        client.meta.service_model.operation_model("PublishLayerVersion")
        .input_shape.members["Content"]
        .members["S3ObjectStorageMode"]
    )
    with Stubber(client), pytest.raises(failures.Rejected) as refused:
        AwsLayers(REGION, pace, client).publish(candidate, Stored(bucket="b", key="k", version="v", reference=True))
    assert "knows no S3ObjectStorageMode" in refused.value.words
    assert refused.value.cure.startswith("upgrade boto3")
    assert pace.turns == 0


# --- on real HTTP -------------------------------------------------------------------------------------------------


def test_a_layer_from_its_first_version_to_none(
    aws: Standin, layers: LayerRegistry, pace: Pace, candidate: Candidate
) -> None:
    assert layers.newest("flask") == []
    assert layers.get("flask", 1) is None
    made = layers.publish(candidate)
    assert (made.name, made.version, made.arn) == ("flask", 1, f"{ARN}:1")
    assert (made.runtimes, made.architectures) == (candidate.runtimes, candidate.architectures)
    assert (made.code_sha256, made.size) == (candidate.code_sha256, candidate.size)
    assert layers.get("flask", 1) == made
    (listed,) = layers.newest("flask", runtime="python3.12", architecture="arm64")
    assert (listed.version, listed.code_sha256, listed.license) == (1, "", "BSD-3-Clause")
    layers.publish(candidate)
    assert [one.version for one in layers.newest("flask", count=50)] == [2, 1]
    assert [one.version for one in layers.newest("flask")] == [2]
    assert layers.newest("flask", runtime="python3.14") == []
    assert layers.room().used == 2 * candidate.size < layers.room().limit
    for _ in range(2):
        layers.delete("flask", 2)
    assert [one.version for one in layers.newest("flask", count=50)] == [1]
    assert len(aws.calls(service="lambda")) == pace.turns == 14
    assert pace.slowed == []


def test_sharing(aws: Standin, layers: LayerRegistry, candidate: Candidate) -> None:
    layers.publish(candidate)
    assert layers.policy("flask", 1) == Policy()
    wanted = (
        Statement(sid="layerkit-account-111111111111", principal="111111111111"),
        Statement(sid="layerkit-organization-o-a1b2c3d4e5", principal="*", organization="o-a1b2c3d4e5"),
        PUBLIC,
    )
    for one in (*wanted, PUBLIC):  # the last is there already
        layers.share("flask", 1, one)
    found = layers.policy("flask", 1)
    assert set(found.statements) == set(wanted)
    assert found.revision
    for _ in range(2):
        layers.unshare("flask", 1, PUBLIC.sid)
    assert set(layers.policy("flask", 1).statements) == set(wanted[:2])
    layers.unshare("flask", 9, PUBLIC.sid)
    with pytest.raises(failures.Rejected, match="does not exist"):
        layers.policy("flask", 9)
    with pytest.raises(failures.Rejected, match="does not exist"):
        layers.share("flask", 9, PUBLIC)


def test_a_conflict_of_another_kind_is_told(pace: Pace) -> None:
    client = a_client("lambda")
    with Stubber(client) as stub:
        stub.add_client_error(
            "add_layer_version_permission", "ResourceConflictException", "an update is in progress", 409
        )
        with pytest.raises(failures.Rejected, match="in progress"):
            AwsLayers(REGION, pace, client).share("flask", 1, PUBLIC)


CALLS: list[tuple[str, Callable[[LayerRegistry, Candidate], Any]]] = [
    ("PublishLayerVersion", lambda asked, candidate: asked.publish(candidate)),
    ("ListLayerVersions", lambda asked, candidate: asked.newest("flask")),
    ("GetLayerVersion", lambda asked, candidate: asked.get("flask", 1)),
    ("DeleteLayerVersion", lambda asked, candidate: asked.delete("flask", 1)),
    ("GetLayerVersionPolicy", lambda asked, candidate: asked.policy("flask", 1)),
    ("AddLayerVersionPermission", lambda asked, candidate: asked.share("flask", 1, PUBLIC)),
    ("RemoveLayerVersionPermission", lambda asked, candidate: asked.unshare("flask", 1, "s")),
    ("GetAccountSettings", lambda asked, candidate: asked.room()),
]
FAULTS: list[tuple[str, type[failures.CallFailed]]] = [
    ("drop-before", failures.Unanswered),
    ("drop-after", failures.Unanswered),
    ("ServiceException", failures.Unanswered),
    ("TooManyRequestsException", failures.Throttled),
    ("ThrottlingException", failures.Throttled),
    ("expired", failures.CredentialsRefused),
    ("AccessDeniedException", failures.Denied),
    ("UnrecognizedClientException", failures.NotEnabled),
]


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
@pytest.mark.parametrize(("operation", "call"), CALLS)
def test_a_call_that_fails_is_one_request(
    aws: Standin, layers: LayerRegistry, pace: Pace, candidate: Candidate, operation: str,
    call: Callable[[LayerRegistry, Candidate], Any], fault: str, kind: type[failures.CallFailed],
) -> None:  # fmt: skip
    aws.fault(operation, fault)
    with pytest.raises(kind) as raised:
        call(layers, candidate)
    assert len(aws.calls(service="lambda")) == pace.turns == 1
    assert (raised.value.operation, raised.value.region) == (operation, REGION)
    throttled = isinstance(raised.value, failures.Throttled)
    assert pace.slowed == ([raised.value.after] if isinstance(raised.value, failures.Throttled) else [])
    assert throttled == (kind is failures.Throttled)
    assert len(aws.versions(REGION, "flask")) == (fault == "drop-after" and operation == "PublishLayerVersion")


def test_a_throttle_says_how_long(aws: Standin, layers: LayerRegistry, pace: Pace) -> None:
    aws.fault("GetAccountSettings", "TooManyRequestsException")
    with pytest.raises(failures.Throttled):
        layers.room()
    assert pace.slowed == [1.0]  # the stand-in's Retry-After


def test_no_answer_in_time(aws: Standin, pace: Pace, candidate: Candidate) -> None:
    aws.fault("PublishLayerVersion", "slow:1.0")
    asked = AwsLayers(REGION, pace, a_client("lambda", aws.url, read_timeout=0.2))
    with pytest.raises(failures.Unanswered) as raised:
        asked.publish(candidate)
    assert raised.value.code == "ReadTimeoutError"


def test_a_region_that_resets_connections(aws: Standin, layers: LayerRegistry, candidate: Candidate) -> None:
    aws.fault("*", "down", region=REGION)
    with pytest.raises(failures.Unanswered):
        layers.publish(candidate)
    assert aws.versions(REGION, "flask") == []


def test_a_region_that_cannot_be_reached(aws: Standin, pace: Pace, candidate: Candidate) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(failures.Unreachable):
            AwsLayers(REGION, pace, a_client("lambda", url)).publish(candidate)


def test_an_answer_that_is_cut_short(pace: Pace, candidate: Candidate) -> None:
    """botocore makes a success of whatever comes with 201, and does not mind Content-Length."""
    answers = [
        b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n",
        b'HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{"Version": 7, "LayerVer',
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n900\r\n{",
        b"HTTP/1.1 2",
        b"",
    ]
    for answer in answers:
        with answering(answer) as url, pytest.raises(failures.Unanswered):
            AwsLayers(REGION, pace, a_client("lambda", url)).publish(candidate)


class answering:  # noqa: N801
    """A server that reads a request and sends these bytes."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.server = answer, socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.server.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self.thread.join()
        self.server.close()

    def _serve(self) -> None:
        connection, _ = self.server.accept()
        with connection, connection.makefile("rb") as asked:
            length = 0
            while (line := asked.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            asked.read(length)
            connection.sendall(self.answer)


def test_a_wrong_hash_is_told_as_it_is(aws: Standin, layers: LayerRegistry, candidate: Candidate) -> None:
    aws.fault("PublishLayerVersion", "bad-sha")
    assert layers.publish(candidate).code_sha256 not in ("", candidate.code_sha256)


def test_a_region_without_architecture_tags(pace: Pace, candidate: Candidate) -> None:
    with serve(rate=0, no_arm=[REGION]) as aws:
        asked = Account.connect(endpoint_url=aws.url).region(REGION, pace).layers
        with pytest.raises(failures.TagsUnsupported):
            asked.publish(candidate)


# --- accounts and regions -----------------------------------------------------------------------------------------


def test_an_account(aws: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account.connect(endpoint_url=aws.url)
    assert (account.number, account.partition, account.configured_region) == (NUMBER, "aws", "")
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-south-2")
    assert Account.connect().configured_region == "eu-south-2"


def test_whether_lambda_is_aws_s_own(aws: Standin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Account.connect(endpoint_url=aws.url).endpoint == aws.url
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    assert Account.connect().endpoint == ""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://localhost:4566")
    assert Account.connect().endpoint == "http://localhost:4566"
    monkeypatch.delenv("AWS_ENDPOINT_URL_LAMBDA")
    (tmp_path / "config").write_text(
        "[default]\nendpoint_url = http://localhost:4567\n"
    )  # STS's is in the environment
    assert Account.connect().endpoint == "http://localhost:4567"


@pytest.mark.parametrize(
    ("configured", "given", "asked", "partition"),
    [
        ("", "", "us-east-1", "aws"),
        ("eu-west-3", "", "eu-west-3", "aws"),
        ("eu-south-2", "", "us-east-1", "aws"),  # opt-in
        ("eu-west-3", "sa-east-1", "sa-east-1", "aws"),
        ("eu-west-3", "af-south-1", "us-east-1", "aws"),
        ("", "cn-northwest-1", "cn-north-1", "aws-cn"),
        ("us-east-1", "us-gov-east-1", "us-gov-west-1", "aws-us-gov"),
        ("eusc-de-east-1", "", "eusc-de-east-1", "aws-eusc"),
        ("", "moon-north-1", "us-east-1", "aws"),
    ],
)
def test_which_region_says_whose_account_it_is(
    aws: Standin, monkeypatch: pytest.MonkeyPatch, configured: str, given: str, asked: str, partition: str
) -> None:
    if configured:
        monkeypatch.setenv("AWS_DEFAULT_REGION", configured)
    account = Account.connect(endpoint_url=aws.url, region=given)
    assert (account.partition, account.configured_region) == (partition, configured)
    assert [(call.operation, call.region) for call in aws.calls()] == [("GetCallerIdentity", asked)]


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AwsError, match="there are no credentials") as raised:
        Account.connect()
    assert raised.value.cure.startswith("aws configure, or export AWS_ACCESS_KEY_ID")
    with pytest.raises(AwsError, match="ProfileNotFound") as raised:
        Account.connect(profile="not there")
    assert raised.value.cure == "aws configure --profile 'not there'"


@pytest.mark.parametrize(
    ("lines", "cure"),
    [
        (
            f"[profile work]\naws_access_key_id = expired\naws_secret_access_key = {SECRET}\n",
            "aws configure --profile work",
        ),
        (
            "[profile work]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = x\n"
            "[sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.awsapps.com/start\n",
            "aws sso login --profile work",
        ),
        (f"[profile work]\ncredential_process = sh -c 'echo {SECRET} >&2; exit 1'\n", "aws configure --profile work"),
    ],
)
def test_stored_credentials_that_do_not_do(aws: Standin, tmp_path: Path, lines: str, cure: str) -> None:
    (tmp_path / "config").write_text(lines)
    with pytest.raises(AwsError) as raised:
        Account.connect(endpoint_url=aws.url, profile="work")
    assert raised.value.cure == cure
    assert SECRET not in str(raised.value)


def test_credentials_of_the_environment_that_are_refused(aws: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "expired")
    with pytest.raises(AwsError, match="AWS does not take the credentials, which are by env") as raised:
        Account.connect(endpoint_url=aws.url)
    assert raised.value.why.startswith("ExpiredToken: ")
    assert raised.value.cure.startswith("export AWS_ACCESS_KEY_ID")


def test_aws_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's, between its attempts
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(AwsError, match="AWS does not answer in us-east-1") as raised:
            Account.connect(endpoint_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert raised.value.why.startswith("EndpointConnectionError: ")


def test_regions_that_are_known_offline(aws: Standin) -> None:
    known = Account.connect(endpoint_url=aws.url).known_regions()
    assert {"us-east-1", "eu-west-1", "af-south-1"} < set(known["aws"])
    assert known["aws"] == sorted(known["aws"])
    assert known["aws-cn"] == ["cn-north-1", "cn-northwest-1"]
    assert len(aws.calls()) == 1


class Session:
    """boto3's session, with clients that are stubbed."""

    region_name = ""

    def __init__(self, **clients: Any) -> None:
        self.clients = clients

    def client(self, service: str, **_: Any) -> Any:
        return self.clients[service]

    def get_available_partitions(self) -> list[str]:
        return ["aws"]

    def get_available_regions(self, service: str, partition_name: str) -> list[str]:
        assert (service, partition_name) == ("lambda", "aws")
        return ["us-east-1", "eu-west-1"]


def test_enabled_regions_page_by_page() -> None:
    client = a_client("account")
    enabled = {"RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"]}
    account = Account(Session(account=client), number=NUMBER, partition="aws", home="us-east-1")
    with Stubber(client) as stub:
        first = {"Regions": [{"RegionName": "us-east-1"}, {"RegionName": "moon-north-1"}], "NextToken": "more"}
        stub.add_response("list_regions", first, enabled)
        stub.add_response("list_regions", {"Regions": [{"RegionName": "eu-west-1"}]}, enabled | {"NextToken": "more"})
        assert account.enabled_regions() == ["eu-west-1", "us-east-1"]
        assert account.left_out() == ["moon-north-1"]  # without asking again
        stub.assert_no_pending_responses()


def test_enabled_regions_that_ec2_tells() -> None:
    clients = SimpleNamespace(account=a_client("account"), ec2=a_client("ec2"))
    account = Account(Session(**vars(clients)), number=NUMBER, partition="aws", home="us-east-1")
    with Stubber(clients.account) as first, Stubber(clients.ec2) as second:
        first.add_client_error("list_regions", "AccessDeniedException", "", 403)
        second.add_response("describe_regions", {"Regions": [{"RegionName": "eu-west-1"}]}, {})
        assert account.enabled_regions() == ["eu-west-1"]


def test_enabled_regions_that_nobody_tells() -> None:
    clients = SimpleNamespace(account=a_client("account"), ec2=a_client("ec2"))
    account = Account(Session(**vars(clients)), number=NUMBER, partition="aws", home="us-east-1")
    with Stubber(clients.account) as first, Stubber(clients.ec2) as second:
        first.add_client_error("list_regions", "AccessDeniedException", "no", 403)
        second.add_client_error("describe_regions", "UnauthorizedOperation", "never", 403)
        with pytest.raises(AwsError, match="which regions the account has enabled") as raised:
            account.enabled_regions()
        assert raised.value.why == (
            "ListRegions: AccessDeniedException: no\nDescribeRegions: UnauthorizedOperation: never"
        )
        assert "account:ListRegions or ec2:DescribeRegions" in raised.value.cure
        first.add_client_error("list_regions", "ExpiredTokenException", "", 403)
        with pytest.raises(AwsError, match="does not take the credentials"):
            account.enabled_regions()


def test_enabled_regions_on_http() -> None:
    with serve(rate=0, disabled=["eu-west-1"]) as aws:
        account = Account.connect(endpoint_url=aws.url)
        assert "eu-west-1" not in account.enabled_regions()
        assert "us-east-1" in account.enabled_regions()
        with pytest.raises(failures.NotEnabled):
            account.region("eu-west-1", Pace()).layers.room()


def test_regions_made_by_many_threads_at_once(aws: Standin) -> None:
    account = Account.connect(endpoint_url=aws.url)
    names = account.known_regions()["aws"]
    found: dict[str, Room] = {}

    def ask(name: str) -> None:
        found[name] = account.region(name, Pace()).layers.room()

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == names
    assert sorted(call.region for call in aws.calls("GetAccountSettings")) == names


def test_how_a_region_s_clients_are_made(aws: Standin) -> None:
    region = Account.connect(endpoint_url=aws.url).region("us-east-1", Pace(), bucket=BucketPlace(name="b-{region}"))
    assert isinstance(region.layers, AwsLayers)
    config = region.layers._client.meta.config
    assert (config.connect_timeout, config.read_timeout, config.tcp_keepalive) == (5, 90, True)
    assert config.retries == {"mode": "standard", "total_max_attempts": 1}
    assert f"layerkit/{__version__}" in config.user_agent
    assert region.bucket is region.bucket
    assert region.parameters is region.parameters
    assert Account.connect(endpoint_url=aws.url).region("us-east-1", Pace()).bucket is None
    # at an endpoint that has a name, no bucket is taken for a host below it
    other = Account(
        boto3.Session(), number=NUMBER, partition="aws", home="us-east-1", endpoint_url="http://localhost:1"
    )
    found = other.region("us-east-1", Pace(), bucket=BucketPlace(name="zips")).bucket
    assert found
    assert found._client.meta.config.s3["addressing_style"] == "path"
