"""The AWS stand-in goes wrong as it is told to, and throttles as Lambda does."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)

from aws_standin import Standin, serve
from aws_standin.clients import client, zipped
from aws_standin.faults import Throttle
from aws_standin.nouns import Refused
from aws_standin.world import Options

ZIP = zipped({"python/hello.py": b"X = 1\n"})
LAYER: dict[str, Any] = {"LayerName": "one", "Content": {"ZipFile": ZIP}}
LOST = (ConnectionClosedError, EndpointConnectionError, HTTPClientError)


@pytest.fixture
def aws() -> Iterator[Standin]:
    with serve(rate=0) as running:
        yield running


def code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    found: str = caught.value.response["Error"]["Code"]
    return found


def numbers(aws: Standin, region: str = "us-east-1", name: str = "one") -> list[int]:
    return [one["Version"] for one in aws.versions(region, name)]


class TestConnections:
    @pytest.mark.parametrize(("do", "versions", "status"), [("drop-before", [], 0), ("drop-after", [1], 201)])
    def test_no_answer(self, aws: Standin, do: str, versions: list[int], status: int) -> None:
        aws.fault("PublishLayerVersion", do)
        layers = client(aws)
        with pytest.raises(LOST):
            layers.publish_layer_version(**LAYER)
        assert numbers(aws) == versions
        (call,) = aws.calls("PublishLayerVersion")
        assert (call.status, call.dropped, call.size > len(ZIP)) == (status, True, True)
        assert layers.publish_layer_version(**LAYER)["Version"] == len(versions) + 1  # it was told to do so once

    @pytest.mark.parametrize(
        ("do", "seen"), [("drop-before", http.client.RemoteDisconnected), ("down", ConnectionResetError)]
    )
    def test_not_a_byte_is_sent(self, aws: Standin, do: str, seen: type[Exception]) -> None:
        """A dropped connection is closed; one to a region that is down, reset."""
        aws.fault("ListLayers", do)
        connection = http.client.HTTPConnection(aws.url[7:])
        signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/lambda/aws4_request, x"}
        connection.request("GET", "/2018-10-31/layers", headers=signed)
        with pytest.raises(seen) as caught:
            connection.getresponse()
        assert caught.type is seen  # the first is a kind of the second
        connection.close()

    def test_boto3_publishes_twice_by_itself(self, aws: Standin) -> None:
        """Why publishing must not be repeated by the client: seen with boto3 and the AWS CLI."""
        aws.fault("PublishLayerVersion", "drop-after")
        made = client(aws, retries={"mode": "standard", "total_max_attempts": 3}).publish_layer_version(**LAYER)
        assert (made["Version"], numbers(aws)) == (2, [1, 2])

    def test_late(self, aws: Standin) -> None:
        aws.fault("PublishLayerVersion", "late:0.05")
        layers = client(aws)
        with pytest.raises(LOST):
            layers.publish_layer_version(**LAYER)
        aws.settle()
        (call,) = aws.calls("PublishLayerVersion")
        assert (numbers(aws), call.dropped, call.status, call.resource) == ([1], True, 201, "one:1")

    def test_late_work_of_before_a_reset_is_never_done(self, aws: Standin) -> None:
        aws.fault("PublishLayerVersion", "late:60")
        with pytest.raises(LOST):
            client(aws).publish_layer_version(**LAYER)
        aws.reset()
        assert (numbers(aws), aws.log) == ([], [])

    def test_a_region_that_is_down(self, aws: Standin) -> None:
        aws.make_bucket("there", "eu-west-1")
        aws.fault("*", "down", region="eu-west-1")
        calls: list[tuple[str, str, dict[str, Any]]] = [
            ("lambda", "publish_layer_version", LAYER),
            ("s3", "put_object", {"Bucket": "there", "Key": "k", "Body": b"x" * 1_000_000}),
            ("ssm", "get_parameter", {"Name": "x"}),
            ("sts", "get_caller_identity", {}),
        ]
        for service, method, given in calls:
            with pytest.raises(LOST):
                getattr(client(aws, service, "eu-west-1"), method)(**given)
        assert all(call.dropped and call.status == 0 for call in aws.calls(region="eu-west-1"))
        assert client(aws).publish_layer_version(**LAYER)["Version"] == 1
        aws.clear("eu-west-1")
        assert client(aws, region="eu-west-1").publish_layer_version(**LAYER)["Version"] == 1

    def test_down_for_some_calls(self, aws: Standin) -> None:
        aws.fault("*", "down", times=2)
        layers = client(aws)
        for _ in "ab":
            with pytest.raises(LOST):
                layers.list_layers()
        assert layers.list_layers()["Layers"] == []

    @pytest.mark.parametrize(("do", "done"), [("slow:30", False), ("slow-after:30", True)])
    def test_slow(self, do: str, done: bool) -> None:
        """The stand-in's sleep is one that the test ends."""
        slept, asleep, wake = list[float](), threading.Event(), threading.Event()

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            asleep.set()
            wake.wait()

        with Standin(Options(), sleep=sleep) as aws:
            aws.fault("PublishLayerVersion", do)
            with pytest.raises(ReadTimeoutError):
                client(aws, read_timeout=0.1).publish_layer_version(**LAYER)
            asleep.wait()
            assert (slept, numbers(aws)) == ([30.0], [1] if done else [])
            wake.set()

    def test_latency(self) -> None:
        slept = list[float]()
        with Standin(Options(latency=0.25), sleep=slept.append) as aws:
            client(aws).list_layers()
            client(aws, "sts").get_caller_identity()
        assert slept == [0.25, 0.25]


class TestAnswers:
    @pytest.mark.parametrize(
        ("do", "status", "seen"),
        [
            ("TooManyRequestsException", 429, "TooManyRequestsException"),
            ("ThrottlingException", 400, "ThrottlingException"),
            ("ServiceException", 500, "ServiceException"),
            ("AccessDeniedException", 403, "AccessDeniedException"),
            ("UnrecognizedClientException", 403, "UnrecognizedClientException"),
            ("CodeStorageExceededException", 400, "CodeStorageExceededException"),
            ("expired", 403, "ExpiredTokenException"),
        ],
    )
    def test_an_error_instead_of_the_work(self, aws: Standin, do: str, status: int, seen: str) -> None:
        aws.fault("PublishLayerVersion", do)
        with pytest.raises(ClientError) as caught:
            client(aws).publish_layer_version(**LAYER)
        response: Any = caught.value.response
        assert (code(caught), response["ResponseMetadata"]["HTTPStatusCode"]) == (seen, status)
        assert numbers(aws) == []
        assert ("retry-after" in response["ResponseMetadata"]["HTTPHeaders"]) == (status == 429)
        assert response.get("Reason") == ("CallerRateLimitExceeded" if status == 429 else None)

    def test_words_of_ones_own(self, aws: Standin) -> None:
        aws.fault("ListLayers", "InvalidParameterValueException: what: a day")
        with pytest.raises(ClientError, match=r"\(InvalidParameterValueException\).*: what: a day$"):
            client(aws).list_layers()

    @pytest.mark.parametrize(
        ("service", "operation", "method", "given"),
        [
            ("s3", "PutObject", "put_object", {"Bucket": "b", "Key": "k", "Body": b""}),
            ("ssm", "PutParameter", "put_parameter", {"Name": "k", "Value": "v", "Type": "String"}),
            ("sts", "GetCallerIdentity", "get_caller_identity", {}),
            ("ec2", "DescribeRegions", "describe_regions", {}),
            ("account", "ListRegions", "list_regions", {}),
        ],
    )
    def test_every_service_can_fail(
        self, aws: Standin, service: str, operation: str, method: str, given: dict[str, Any]
    ) -> None:
        aws.make_bucket("b", "us-east-1")
        call = getattr(client(aws, service), method)
        aws.fault(operation, "AccessDeniedException")
        with pytest.raises(ClientError) as caught:
            call(**given)
        assert code(caught) in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
        aws.fault(operation, "ServiceException")
        with pytest.raises(ClientError) as caught:
            call(**given)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        aws.fault(operation, "drop-after")
        with pytest.raises(LOST):
            call(**given)
        assert [(one.service, one.operation, one.status, one.dropped) for one in aws.log] == [
            (service, operation, 403 if service != "ssm" else 400, False), (service, operation, 500, False),
            (service, operation, 200, True),
        ]  # fmt: skip

    def test_bytes_that_change_on_their_way(self, aws: Standin) -> None:
        aws.fault("PublishLayerVersion", "bad-sha")
        layers = client(aws)
        wrong, right = (layers.publish_layer_version(**LAYER)["Content"]["CodeSha256"] for _ in "ab")
        assert wrong != right
        assert [one["CodeSha256"] for one in aws.versions("us-east-1", "one")] == [wrong, right]


class TestWhich:
    def test_times_after_and_region(self, aws: Standin) -> None:
        aws.fault("PublishLayerVersion", "ServiceException", region="eu-west-1", times=2, after=1)
        outcomes = []
        for region in ("us-east-1", "eu-west-1", "eu-west-1", "eu-west-1", "eu-west-1"):
            try:
                outcomes.append(client(aws, region=region).publish_layer_version(**LAYER)["Version"])
            except ClientError:
                outcomes.append("failed")
        assert outcomes == [1, 1, "failed", "failed", 2]

    def test_resource(self, aws: Standin) -> None:
        aws.fault("*", "ServiceException", resource="two")
        layers = client(aws)
        layers.publish_layer_version(**LAYER)
        with pytest.raises(ClientError):
            layers.publish_layer_version(**{**LAYER, "LayerName": "two"})

    def test_other_operations_go_on(self, aws: Standin) -> None:
        aws.fault("PublishLayerVersion", "ServiceException")
        assert client(aws).list_layers()["Layers"] == []

    def test_instances_share_nothing(self, aws: Standin) -> None:
        with serve(rate=0, account="999999999999") as other:
            other.fault("*", "ServiceException")
            client(aws).publish_layer_version(**LAYER)
            assert (numbers(aws), numbers(other), other.log) == ([1], [], [])
            assert other.url != aws.url

    def test_a_defect_of_its_own_is_told(self) -> None:
        running = serve(rate=0)
        with pytest.raises(ClientError, match="the stand-in broke"):
            client(running, "account", parameter_validation=False).list_regions(MaxResults="many")
        with pytest.raises(RuntimeError, match="TypeError"):
            running.close()


class TestLog:
    def test_a_line_of_each_service(self, aws: Standin) -> None:
        aws.make_bucket("b", "us-east-1")
        layers = client(aws)
        layers.publish_layer_version(**LAYER)
        layers.get_layer_version(LayerName="one", VersionNumber=1)
        client(aws, "ssm", "eu-west-1").put_parameter(Name="/a", Value="v", Type="String")
        client(aws, "s3").put_object(Bucket="b", Key="x/y.zip", Body=b"abc")
        assert [(call.service, call.region, call.operation, call.status, call.resource) for call in aws.log] == [
            ("lambda", "us-east-1", "PublishLayerVersion", 201, "one:1"),
            ("lambda", "us-east-1", "GetLayerVersion", 200, "one:1"),
            ("ssm", "eu-west-1", "PutParameter", 200, "/a"),
            ("s3", "us-east-1", "PutObject", 200, "b/x/y.zip"),
        ]
        assert [call.operation for call in aws.writes()] == ["PublishLayerVersion", "PutParameter", "PutObject"]
        assert aws.calls("PutObject")[0].size == 3
        times = [call.time for call in aws.log]
        assert times == sorted(times)


class TestThrottle:
    def test_fifteen_in_any_second(self) -> None:
        now = 0.0
        throttle = Throttle(lambda: now)

        def passes() -> bool:
            try:
                throttle.take(15, "123456789012", "eu-west-1")
            except Refused:
                return False
            return True

        assert sum(passes() for _ in range(20)) == 15
        now = 0.999
        assert not passes()
        now = 1.0
        assert sum(passes() for _ in range(10)) == 10
        now = 1.5
        assert sum(passes() for _ in range(10)) == 5
        now = 2.0
        assert sum(passes() for _ in range(20)) == 10
        throttle.take(15, "123456789012", "us-east-1")  # another region
        throttle.take(15, "111122223333", "eu-west-1")  # another account

    def test_both_codes_and_the_log(self) -> None:
        with Standin(Options(), clock=lambda: 0.0) as aws:
            layers, codes = client(aws), list[str]()
            layers.list_layers()  # all operations count together
            for number in range(1, 17):
                try:
                    layers.get_layer_version(LayerName="none", VersionNumber=number)
                except ClientError as error:
                    codes.append(error.response["Error"]["Code"])
            assert codes == ["ResourceNotFoundException"] * 14 + ["TooManyRequestsException", "ThrottlingException"]
            assert [(call.status, call.operation) for call in aws.log[-2:]] == [
                (429, "GetLayerVersion"), (400, "GetLayerVersion"),
            ]  # fmt: skip
            client(aws, region="eu-west-1").list_layers()
            client(aws, "sts").get_caller_identity()

    def test_parameters_have_one_of_their_own(self) -> None:
        with Standin(Options(parameter_rate=3), clock=lambda: 0.0) as aws:
            ssm = client(aws, "ssm")
            for number in range(3):
                ssm.put_parameter(Name=f"/{number}", Value="v", Type="String")
            with pytest.raises(ClientError) as caught:
                ssm.put_parameter(Name="/3", Value="v", Type="String")
            assert code(caught) == "ThrottlingException"
            ssm.get_parameter(Name="/2")
