"""What list, prune and attach ask of layers and parameters: each call's exact parameters, and what answers mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from aws_standin import Standin, serve
from aws_standin.clients import client, zipped
from layerkit.aws import failures
from layerkit.aws.account import Account, AwsRegion
from layerkit.aws.layers import AwsLayers
from layerkit.aws.nouns import LayerVersion
from layerkit.aws.parameters import AwsParameters
from layerkit.aws.registry import Estate, Region

REGION, NUMBER, OTHER = "eu-west-1", "123456789012", "210987654321"
ARN = f"arn:aws:lambda:{REGION}:{NUMBER}:layer:flask"
FOREIGN = f"arn:aws:lambda:{REGION}:{OTHER}:layer:tracing"


class Pace:
    """Counts the turns."""

    def __init__(self) -> None:
        self.turns, self.slowed = 0, list[float]()

    def turn(self) -> None:
        self.turns += 1

    def slow_down(self, after: float = 0) -> None:
        self.slowed.append(after)


@pytest.fixture
def aws() -> Iterator[Standin]:
    with serve(rate=0) as standin:
        yield standin


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
def region(aws: Standin, pace: Pace) -> AwsRegion:
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
    return Account(session, number=NUMBER, partition="aws", home=REGION, endpoint_url=aws.url).region(REGION, pace)


def test_a_region_is_what_publishing_and_operating_ask_for(region: AwsRegion, pace: Pace) -> None:
    for_publishing: Region = region  # mypy says whether it is
    for_operating: Estate = region
    assert (for_publishing.name, for_operating.name) == (REGION, REGION)
    assert for_operating.layers is region.layers
    assert for_operating.parameters is region.parameters
    assert for_operating.functions is region.functions
    region.layers.names()
    region.functions.page()
    assert pace.turns == 2  # one limiter for both


# --- layers -------------------------------------------------------------------------------------------------------

VERSION = {"Version": 3, "LayerVersionArn": f"{ARN}:3", "CreatedDate": "2026-11-21T10:00:00.000+0000"}
READ = LayerVersion(name="flask", version=3, arn=f"{ARN}:3", created="2026-11-21T10:00:00.000+0000")
LISTED = {"LayerName": "flask", "MaxItems": 50}
LAYER = {"LayerName": "flask", "LayerArn": ARN, "LatestMatchingVersion": VERSION}


@pytest.mark.parametrize(
    ("call", "method", "parameters", "answer", "expected"),
    [
        (
            lambda a: a.page("flask"), "list_layer_versions", LISTED,
            {"LayerVersions": [VERSION], "NextMarker": "more"}, ([READ], "more"),
        ),
        (
            lambda a: a.page("flask", "more"), "list_layer_versions", LISTED | {"Marker": "more"},
            {"LayerVersions": []}, ([], ""),
        ),
        (
            lambda a: a.names(), "list_layers", {"MaxItems": 50}, {"Layers": [LAYER], "NextMarker": "more"},
            ([READ], "more"),
        ),
        (lambda a: a.names("more"), "list_layers", {"MaxItems": 50, "Marker": "more"}, {"Layers": []}, ([], "")),
        (
            lambda a: a.get(ARN, 3), "get_layer_version", {"LayerName": ARN, "VersionNumber": 3},
            VERSION | {"Content": {"CodeSha256": "aGFzaA==", "CodeSize": 7}},
            replace(READ, code_sha256="aGFzaA==", size=7),
        ),
    ],
)  # fmt: skip
def test_a_call_for_layers(
    pace: Pace, call: Callable[[AwsLayers], Any], method: str, parameters: dict[str, Any], answer: dict[str, Any],
    expected: Any,
) -> None:  # fmt: skip
    stubbed = client("http://127.0.0.1:9", region=REGION)
    with Stubber(stubbed) as stub:
        stub.add_response(method, answer, parameters)
        assert call(AwsLayers(REGION, pace, stubbed)) == expected
        stub.assert_no_pending_responses()
    assert pace.turns == 1


@pytest.mark.parametrize(
    ("call", "method", "answer"),
    [
        (lambda a: a.page("flask"), "list_layer_versions", {}),
        (lambda a: a.newest("flask"), "list_layer_versions", {}),
        (lambda a: a.page("flask"), "list_layer_versions", {"LayerVersions": [{"Version": 3}]}),
        (lambda a: a.names(), "list_layers", {}),
        (lambda a: a.names(), "list_layers", {"Layers": [{"LayerName": "flask"}]}),
        (lambda a: a.names(), "list_layers", {"Layers": [{"LatestMatchingVersion": VERSION}]}),
        (lambda a: a.get("flask", 3), "get_layer_version", {}),
        (lambda a: a.room(), "get_account_settings", {"AccountLimit": {}}),
        (lambda a: a.policy("flask", 3), "get_layer_version_policy", {}),
        (lambda a: a.policy("flask", 3), "get_layer_version_policy", {"Policy": '{"Statement": ['}),
    ],
)
def test_an_answer_that_is_not_whole_is_none(
    pace: Pace, call: Callable[[AwsLayers], Any], method: str, answer: dict[str, Any]
) -> None:
    stubbed = client("http://127.0.0.1:9", region=REGION)
    with Stubber(stubbed) as stub:
        stub.add_response(method, answer)
        with pytest.raises(failures.Unanswered) as raised:
            call(AwsLayers(REGION, pace, stubbed))
    assert raised.value.operation == stubbed.meta.method_to_api_mapping[method]
    assert raised.value.code == "IncompleteAnswer"


def publish(aws: Standin, name: str, *, account: str = "testing") -> None:
    content = {"ZipFile": zipped({"python/a.py": b"x = 1\n"})}
    client(aws, region=REGION, key=account).publish_layer_version(LayerName=name, Content=content)


def test_a_layer_s_history_page_by_page(aws: Standin, region: AwsRegion, pace: Pace) -> None:
    assert region.layers.page("flask") == ([], "")
    for _ in range(60):
        publish(aws, "flask")
    first, marker = region.layers.page("flask")
    second, last = region.layers.page("flask", marker)
    assert (len(first), len(second), last) == (50, 10, "")
    assert [one.version for one in (*first, *second)] == list(range(60, 0, -1))
    assert pace.turns == 3


def test_all_layers_page_by_page(aws: Standin, region: AwsRegion) -> None:
    assert region.layers.names() == ([], "")
    for number in range(55):
        publish(aws, f"l{number}")
    publish(aws, "l7")
    first, marker = region.layers.names()
    second, last = region.layers.names(marker)
    assert (len(first), len(second), last) == (50, 5, "")
    assert {one.name: one.version for one in (*first, *second)} == {
        f"l{number}": 2 if number == 7 else 1 for number in range(55)
    }


def test_a_version_by_the_layer_s_arn(aws: Standin, region: AwsRegion) -> None:
    publish(aws, "flask")
    assert region.layers.get(ARN, 1) == region.layers.get("flask", 1)
    assert region.layers.get(ARN, 2) is None
    publish(aws, "tracing", account=OTHER)
    with pytest.raises(failures.Denied) as denied:
        region.layers.get(FOREIGN, 1)
    assert denied.value.cure.startswith(f"account {OTHER} has to share {FOREIGN}:1 with account {NUMBER} ")
    client(aws, region=REGION, key=OTHER).add_layer_version_permission(
        LayerName="tracing", VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal=NUMBER
    )
    shared = region.layers.get(FOREIGN, 1)
    assert shared
    assert (shared.name, shared.version, shared.arn) == ("tracing", 1, f"{FOREIGN}:1")
    assert shared.code_sha256


# --- parameters ---------------------------------------------------------------------------------------------------

FILTER = {"Key": "Type", "Option": "Equals", "Values": ["String", "StringList"]}
UNDER = {"Recursive": True, "WithDecryption": False, "ParameterFilters": [FILTER], "MaxResults": 10}


@pytest.fixture
def stubbed() -> Any:
    return client("http://127.0.0.1:9", "ssm", region=REGION)


def test_parameters_below_a_path(stubbed: Any) -> None:
    asked = AwsParameters(REGION, lambda service, config: stubbed)
    with Stubber(stubbed) as stub:
        answer = {"Parameters": [{"Name": "/layers/flask/1", "Value": f"{ARN}:1"}], "NextToken": "more"}
        stub.add_response("get_parameters_by_path", answer, UNDER | {"Path": "/"})
        assert asked.under("/") == ({"/layers/flask/1": f"{ARN}:1"}, "more")
        # a page with nothing is no end: AWS stops where it has looked long enough
        stub.add_response(
            "get_parameters_by_path",
            {"Parameters": [], "NextToken": "last"},
            UNDER | {"Path": "/", "NextToken": "more"},
        )
        assert asked.under("/", "more") == ({}, "last")
        stub.add_response("get_parameters_by_path", {})
        with pytest.raises(failures.Unanswered, match="IncompleteAnswer"):
            asked.under("/")
        stub.add_response("get_parameters_by_path", {"Parameters": [{"Name": "/a"}]})
        with pytest.raises(failures.Unanswered, match="IncompleteAnswer"):
            asked.under("/")
        stub.assert_no_pending_responses()


def test_a_parameter_is_deleted_once_or_is_not_there(stubbed: Any) -> None:
    asked = AwsParameters(REGION, lambda service, config: stubbed)
    with Stubber(stubbed) as stub:
        stub.add_response("delete_parameter", {}, {"Name": "/layers/flask/1"})
        asked.delete("/layers/flask/1")
        stub.add_client_error("delete_parameter", "ParameterNotFound", "", 400)
        asked.delete("/layers/flask/1")
        stub.add_client_error("delete_parameter", "ValidationException", "no", 400)
        with pytest.raises(failures.Rejected, match="ValidationException"):
            asked.delete("layers")
        stub.assert_no_pending_responses()


def test_parameters_page_by_page_on_http(aws: Standin, region: AwsRegion, pace: Pace) -> None:
    wanted = {f"/layers/l{number}/latest": f"{ARN}:{number}" for number in range(1, 23)}
    for name, value in {**wanted, "/elsewhere": "x"}.items():
        region.parameters.put(name, value)
    found, marker, pages = dict[str, str](), "", 0
    while not pages or marker:
        page, marker = region.parameters.under("/layers", marker)
        found |= page
        pages += 1
    assert (found, pages) == (wanted, 3)
    for _ in range(2):
        region.parameters.delete("/layers/l1/latest")
    assert "/layers/l1/latest" not in aws.parameters(REGION)
    assert len(aws.parameters(REGION)) == 22
    assert pace.turns == 0  # they do not count against Lambda's limit


def test_a_parameter_without_a_path_is_at_the_root(aws: Standin, region: AwsRegion) -> None:
    region.parameters.put("flask-layer", "arn")
    assert region.parameters.under("/") == ({"flask-layer": "arn"}, "")


def test_what_is_a_secret_is_not_read(aws: Standin, region: AwsRegion) -> None:
    systems_manager = client(aws, "ssm", region=REGION)
    for name, kind in (("/a/one", "String"), ("/a/two", "StringList"), ("/a/three", "SecureString")):
        systems_manager.put_parameter(Name=name, Value="arn", Type=kind)
    assert region.parameters.under("/a") == ({"/a/one": "arn", "/a/two": "arn"}, "")


FAULTS: list[tuple[str, type[failures.CallFailed]]] = [
    ("drop-before", failures.Unanswered),
    ("drop-after", failures.Unanswered),
    ("InternalServerError", failures.Unanswered),
    ("ThrottlingException", failures.Throttled),
    ("AccessDeniedException", failures.Denied),
]
CALLS: dict[str, Callable[[AwsRegion], Any]] = {
    "ListLayers": lambda region: region.layers.names(),
    "ListLayerVersions": lambda region: region.layers.page("flask"),
    "GetParametersByPath": lambda region: region.parameters.under("/"),
    "DeleteParameter": lambda region: region.parameters.delete("/layers/flask"),
}


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
@pytest.mark.parametrize("operation", CALLS)
def test_a_call_that_fails_is_one_request(
    aws: Standin, region: AwsRegion, pace: Pace, operation: str, fault: str, kind: type[failures.CallFailed]
) -> None:
    region.parameters.put("/layers/flask", "arn")
    aws.fault(operation, fault)
    with pytest.raises(kind) as raised:
        CALLS[operation](region)
    assert len(aws.calls(operation)) == 1
    assert type(raised.value) is kind
    assert (raised.value.operation, raised.value.region) == (operation, REGION)
    lambdas = operation.startswith("List")
    assert pace.turns == lambdas
    assert len(pace.slowed) == (lambdas and kind is failures.Throttled)
    if kind is failures.Denied:
        service = "lambda" if lambdas else "ssm"
        assert raised.value.cure == f"allow {service}:{operation} to these credentials"
    deleted = (operation, fault) == ("DeleteParameter", "drop-after")
    assert ("/layers/flask" in aws.parameters(REGION)) != deleted
