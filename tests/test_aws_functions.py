"""AWS's functions as attach, list and prune ask for them: each call's exact parameters, and what answers mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from aws_standin import Standin, serve
from aws_standin.clients import client, zipped
from layerkit.aws import failures
from layerkit.aws.account import Account
from layerkit.aws.functions import AwsFunctions
from layerkit.aws.nouns import Alias, FunctionVersion
from layerkit.aws.registry import Functions

REGION, NUMBER = "eu-west-1", "123456789012"
ARN = f"arn:aws:lambda:{REGION}:{NUMBER}:function:web"
LAYER = f"arn:aws:lambda:{REGION}:{NUMBER}:layer:flask"
FOREIGN = f"arn:aws:lambda:{REGION}:210987654321:layer:tracing"


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
def functions(aws: Standin, pace: Pace) -> Functions:
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
    account = Account(session, number=NUMBER, partition="aws", home=REGION, endpoint_url=aws.url)
    return account.region(REGION, pace).functions


class Stubbed:
    """A client of which exactly these calls are expected."""

    def __init__(self) -> None:
        self.pace, self.client = Pace(), client("http://127.0.0.1:9", region=REGION)
        self.functions, self.stub = AwsFunctions(REGION, self.pace, self.client), Stubber(self.client)

    def __enter__(self) -> Stubbed:
        self.stub.activate()
        return self

    def __exit__(self, *_: object) -> None:
        self.stub.deactivate()
        self.stub.assert_no_pending_responses()


# --- the exact parameters of each call ----------------------------------------------------------------------------

NAMED = {"FunctionName": "web"}
LEAST = {"FunctionName": "web", "FunctionArn": ARN, "Version": "$LATEST", "RevisionId": "r1"}
SECOND = LEAST | {"FunctionArn": f"{ARN}:2", "Version": "2"}
READ = FunctionVersion(name="web", version="$LATEST", arn=ARN, revision="r1")
LISTED = FunctionVersion(name="web", version="$LATEST", arn=ARN)
LIVE = {"AliasArn": f"{ARN}:live", "Name": "live", "FunctionVersion": "2", "RevisionId": "a1", "Description": "x"}
ALIAS = Alias(name="live", function="web", version="2", revision="a1")
LAYERS = (f"{LAYER}:3", f"{FOREIGN}:1")


@pytest.mark.parametrize(
    ("call", "method", "parameters", "answer", "expected"),
    [
        (
            lambda a: a.page(), "list_functions", {"FunctionVersion": "ALL", "MaxItems": 50},
            {"Functions": [LEAST | {"FunctionArn": f"{ARN}:$LATEST"}, SECOND], "NextMarker": "more"},
            ([LISTED, FunctionVersion(name="web", version="2", arn=f"{ARN}:2")], "more"),
        ),
        (
            lambda a: a.page("more"), "list_functions", {"FunctionVersion": "ALL", "MaxItems": 50, "Marker": "more"},
            {"Functions": []}, ([], ""),
        ),
        (lambda a: a.get("web"), "get_function_configuration", NAMED, LEAST, READ),
        (lambda a: a.get(ARN), "get_function_configuration", {"FunctionName": ARN}, LEAST, READ),
        (
            lambda a: a.get("web", "2"), "get_function_configuration", NAMED | {"Qualifier": "2"}, SECOND,
            FunctionVersion(name="web", version="2", arn=f"{ARN}:2", revision="r1"),
        ),
        (
            lambda a: a.attach("web", LAYERS, "r0"), "update_function_configuration",
            NAMED | {"Layers": list(LAYERS), "RevisionId": "r0"}, LEAST | {"LastUpdateStatus": "InProgress"},
            FunctionVersion(name="web", version="$LATEST", arn=ARN, update="InProgress", revision="r1"),
        ),
        (
            lambda a: a.attach("web", (), "r0"), "update_function_configuration",
            NAMED | {"Layers": [], "RevisionId": "r0"}, LEAST, READ,
        ),
        (
            lambda a: a.publish("web", "r1"), "publish_version", NAMED | {"RevisionId": "r1"},
            SECOND | {"State": "Pending", "RevisionId": "r2"},
            FunctionVersion(name="web", version="2", arn=f"{ARN}:2", state="Pending", revision="r2"),
        ),
        (
            lambda a: a.aliases("web"), "list_aliases", NAMED | {"MaxItems": 50},
            {"Aliases": [LIVE], "NextMarker": "more"}, ([ALIAS], "more"),
        ),
        (
            lambda a: a.aliases("web", "more"), "list_aliases", NAMED | {"MaxItems": 50, "Marker": "more"},
            {"Aliases": []}, ([], ""),
        ),
        (lambda a: a.alias("web", "live"), "get_alias", NAMED | {"Name": "live"}, LIVE, ALIAS),
        (
            lambda a: a.point("web", "live", "3", "a0"), "update_alias",
            NAMED | {"Name": "live", "FunctionVersion": "3", "RevisionId": "a0"},
            LIVE | {"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.25, "1": 0.05}}, "FunctionVersion": "3"},
            Alias(name="live", function="web", version="3", weights=(("1", 0.05), ("2", 0.25)), revision="a1"),
        ),
    ],
)  # fmt: skip
def test_a_call(
    call: Callable[[AwsFunctions], Any], method: str, parameters: dict[str, Any], answer: dict[str, Any],
    expected: Any,
) -> None:  # fmt: skip
    with Stubbed() as aws:
        aws.stub.add_response(method, answer, parameters)
        assert call(aws.functions) == expected
        assert aws.pace.turns == 1


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, {}),
        (
            {
                "Runtime": "python3.13", "Architectures": ["arm64"], "PackageType": "Zip", "CodeSize": 700,
                "Layers": [{"Arn": LAYERS[0], "CodeSize": 30}, {"Arn": LAYERS[1]}],
            },
            {
                "runtime": "python3.13", "architecture": "arm64", "code_size": 700, "layers": LAYERS,
                "layer_sizes": (30, 0),
            },
        ),
        ({"PackageType": "Image"}, {"image": True}),
        ({"Environment": {"Variables": {"PYTHONPATH": "/opt/a", "PASSWORD": "x"}}}, {"python_path": "/opt/a"}),
        ({"Environment": {"Variables": {"PYTHONPATH": ""}}}, {"python_path": ""}),
        ({"Environment": {"Variables": {}}}, {}),
        (
            {"Environment": {"Error": {"ErrorCode": "AccessDeniedException", "Message": "not with this\nkey"}}},
            {"environment_error": "AccessDeniedException: not with this key"},
        ),
        ({"Environment": {"Error": {"ErrorCode": "NoAccess"}}}, {"environment_error": "NoAccess"}),
        ({"Environment": {"Error": {}}}, {"environment_error": "AWS does not say why"}),
        ({"State": "Active", "LastUpdateStatus": "Successful"}, {}),
        (
            {"State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating"},
            {"state": "Pending", "why": "The function is being created."},
        ),
        (
            {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "no role", "State": "Inactive",
             "StateReason": "Idle."},
            {"update": "Failed", "state": "Inactive", "why": "Idle. no role"},
        ),
        # a qualifier that is an alias's name stands in the ARN: AWS answers with the version behind it
        ({"FunctionArn": f"{ARN}:live", "Version": "7"}, {"arn": f"{ARN}:7", "version": "7"}),
        ({"FunctionArn": ARN, "Version": "7"}, {"arn": f"{ARN}:7", "version": "7"}),
        ({"FunctionArn": f"{ARN}:$LATEST"}, {}),
        (
            {"FunctionArn": f"{ARN}:$LATEST.PUBLISHED", "Version": "$LATEST.PUBLISHED"},
            {"arn": f"{ARN}:$LATEST.PUBLISHED", "version": "$LATEST.PUBLISHED"},
        ),
    ],
)  # fmt: skip
def test_what_a_function_s_answer_means(more: dict[str, Any], found: dict[str, Any]) -> None:
    expected = {"name": "web", "version": "$LATEST", "arn": ARN, "revision": "r1"} | found
    with Stubbed() as aws:
        aws.stub.add_response("get_function_configuration", LEAST | more)
        read = aws.functions.get("web")
        assert read == FunctionVersion(**expected)
        assert "PASSWORD" not in repr(read)


# --- answers that are none ----------------------------------------------------------------------------------------

METHODS: dict[str, tuple[str, Callable[[Functions], Any]]] = {
    "ListFunctions": ("list_functions", lambda asked: asked.page()),
    "GetFunctionConfiguration": ("get_function_configuration", lambda asked: asked.get("web")),
    "UpdateFunctionConfiguration": ("update_function_configuration", lambda asked: asked.attach("web", (), "r")),
    "PublishVersion": ("publish_version", lambda asked: asked.publish("web", "r")),
    "ListAliases": ("list_aliases", lambda asked: asked.aliases("web")),
    "GetAlias": ("get_alias", lambda asked: asked.alias("web", "live")),
    "UpdateAlias": ("update_alias", lambda asked: asked.point("web", "live", "1", "r")),
}


def without(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != name}


CUT = [
    *((operation, {}) for operation in METHODS),
    *(
        ("ListFunctions", {"Functions": [without(LEAST, name)]})
        for name in ("FunctionName", "FunctionArn", "Version")
    ),
    ("ListFunctions", {"Functions": [LEAST | {"Layers": [{"CodeSize": 3}]}]}),
    ("ListFunctions", {"Functions": [LEAST | {"FunctionArn": "arn:aws:lambda"}]}),
    ("GetFunctionConfiguration", without(LEAST, "RevisionId")),
    ("UpdateFunctionConfiguration", without(LEAST, "RevisionId")),
    ("PublishVersion", without(LEAST, "Version")),
    *(("ListAliases", {"Aliases": [without(LIVE, name)]}) for name in ("AliasArn", "Name", "FunctionVersion")),
    ("GetAlias", without(LIVE, "RevisionId")),
    ("UpdateAlias", LIVE | {"AliasArn": ARN}),
]


@pytest.mark.parametrize(("operation", "answer"), CUT)
def test_an_answer_that_is_not_whole_is_none(operation: str, answer: dict[str, Any]) -> None:
    """Above all, a list that was cut short does not say that no function uses a layer."""
    method, call = METHODS[operation]
    with Stubbed() as aws:
        aws.stub.add_response(method, answer)
        with pytest.raises(failures.Unanswered) as raised:
            call(aws.functions)
    assert (raised.value.operation, raised.value.region) == (operation, REGION)
    assert raised.value.code == "IncompleteAnswer"


def test_what_is_not_there(functions: Functions) -> None:
    assert functions.page() == ([], "")
    assert functions.get("web") is None
    assert functions.get("web", "3") is None
    assert functions.aliases("web") == ([], "")
    assert functions.alias("web", "live") is None
    for call in ("UpdateFunctionConfiguration", "PublishVersion", "UpdateAlias"):
        with pytest.raises(failures.Rejected) as refused:
            METHODS[call][1](functions)
        assert refused.value.code == "ResourceNotFoundException"
        if call != "UpdateAlias":
            cure = "check its name, version and region: aws lambda list-functions --region eu-west-1"
            assert refused.value.cure == cure


# --- on real HTTP -------------------------------------------------------------------------------------------------


def layer(aws: Standin, name: str, *, account: str = "testing") -> str:
    """The ARN of a new version."""
    content = {"ZipFile": zipped({"python/a.py": name.encode()})}
    made = client(aws, region=REGION, key=account).publish_layer_version(LayerName=name, Content=content)
    return str(made["LayerVersionArn"])


def test_a_function_gets_other_layers_and_a_version_and_its_alias_follows(
    aws: Standin, functions: Functions, pace: Pace
) -> None:
    old, new, other = layer(aws, "flask"), layer(aws, "flask"), layer(aws, "shim")
    aws.make_function(
        REGION, "web", [old, other], versions=[[old]], architecture="arm64", environment={"PYTHONPATH": "/x"}
    )
    aws.make_alias(REGION, "web", "live", "1")
    before = functions.get("web")
    assert before
    assert (before.version, before.arn, before.layers) == ("$LATEST", ARN, (old, other))
    assert (before.architecture, before.runtime, before.python_path) == ("arm64", "python3.12", "/x")
    assert before.layer_sizes[1] == len(zipped({"python/a.py": b"shim"}))
    assert functions.get("web", "$LATEST") == before

    after = functions.attach("web", (new, other), before.revision)
    assert after.layers == (new, other)
    assert after.revision != before.revision
    with pytest.raises(failures.Stale) as stale:
        functions.attach("web", (old, other), before.revision)
    assert stale.value.code == "PreconditionFailedException"
    assert "run the same command again" in stale.value.cure

    current = functions.get("web")
    assert current
    assert current.layers == (new, other)
    with pytest.raises(failures.Stale):
        functions.publish("web", before.revision)
    made = functions.publish("web", current.revision)
    assert (made.version, made.arn, made.layers) == ("2", f"{ARN}:2", (new, other))

    alias = functions.alias("web", "live")
    assert alias
    assert (alias.name, alias.function, alias.version, alias.weights) == ("live", "web", "1", ())
    moved = functions.point("web", "live", "2", alias.revision)
    assert moved.version == "2"
    assert moved.revision != alias.revision
    with pytest.raises(failures.Stale):
        functions.point("web", "live", "1", alias.revision)
    assert functions.aliases("web") == ([moved], "")
    behind = functions.get("web", "live")
    assert behind
    assert (behind.version, behind.arn) == ("2", f"{ARN}:2")
    assert pace.turns == len([call for call in aws.calls(service="lambda") if "Layer" not in call.operation])


def test_an_update_that_takes_its_time(aws: Standin, functions: Functions) -> None:
    aws.options.update_reads = 2
    aws.make_function(REGION, "web")
    before = functions.get("web")
    assert before
    begun = functions.attach("web", (layer(aws, "flask"),), before.revision)
    assert begun.update == "InProgress"
    changes: list[Callable[[str], Any]] = [partial(functions.attach, "web", ()), partial(functions.publish, "web")]
    for change in changes:
        with pytest.raises(failures.Busy) as raised:
            change(begun.revision)
        assert raised.value.code == "ResourceConflictException"
        assert "aws lambda wait function-updated-v2" in raised.value.cure
    states = [functions.get("web") for _ in range(4)]
    assert [one.update for one in states if one][-1] == "Successful"


def test_an_update_that_fails_says_why(aws: Standin, functions: Functions) -> None:
    aws.make_function(REGION, "web")
    before = functions.get("web")
    assert before
    aws.fault("UpdateFunctionConfiguration", "ends-failed:InvalidConfiguration:the layer cannot be unpacked")
    functions.attach("web", (layer(aws, "flask"),), before.revision)
    after = functions.get("web")
    assert after
    assert (after.update, after.why) == ("Failed", "the layer cannot be unpacked")


def test_all_functions_page_by_page(aws: Standin, functions: Functions, pace: Pace) -> None:
    layers = [f"{LAYER}:{number}" for number in range(1, 4)]
    for number in range(40):
        aws.make_function(REGION, f"f{number}", layers[:1], versions=[layers[1:2], layers[2:]])
    aws.make_function("us-east-1", "elsewhere")
    found, marker, sizes = list[FunctionVersion](), "", list[int]()
    while not sizes or marker:
        page, marker = functions.page(marker)
        found += page
        sizes.append(len(page))
    assert sizes == [50, 50, 20]
    assert pace.turns == 3
    arn = f"arn:aws:lambda:{REGION}:{NUMBER}:function:"
    assert {one.arn: one.layers for one in found} == {
        f"{arn}f{number}{version}": (layers[index],)
        for number in range(40)
        for index, version in enumerate(("", ":1", ":2"))
    }
    assert {one.state for one in found} == {"Active"}
    assert {one.revision for one in found} == {""}


def test_all_aliases_page_by_page(aws: Standin, functions: Functions) -> None:
    aws.make_function(REGION, "web", versions=[[]])
    for number in range(60):
        aws.make_alias(REGION, "web", f"a{number}", "1")
    aws.make_alias(REGION, "web", "canary", "1", weights={"$LATEST": 0.1})
    first, marker = functions.aliases("web")
    second, last = functions.aliases("web", marker)
    assert (len(first), len(second), last) == (50, 11, "")
    assert {one.name for one in (*first, *second)} == {"canary", *(f"a{number}" for number in range(60))}
    (canary,) = (one for one in (*first, *second) if one.weights)
    assert (canary.name, canary.weights) == ("canary", (("$LATEST", 0.1),))


FAULTS: list[tuple[str, type[failures.CallFailed]]] = [
    ("drop-before", failures.Unanswered),
    ("drop-after", failures.Unanswered),
    ("ServiceException", failures.Unanswered),
    ("TooManyRequestsException", failures.Throttled),
    ("ThrottlingException", failures.Throttled),
    ("expired", failures.CredentialsRefused),
    ("AccessDeniedException", failures.Denied),
    ("UnrecognizedClientException", failures.NotEnabled),
    ("PreconditionFailedException:The Revision Id provided does not match the latest Revision Id.", failures.Stale),
    (f"ResourceConflictException:The operation cannot be performed at this time. An update is in progress: {ARN}",
     failures.Busy),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
@pytest.mark.parametrize("operation", METHODS)
def test_a_call_that_fails_is_one_request(
    aws: Standin, functions: Functions, pace: Pace, operation: str, fault: str, kind: type[failures.CallFailed]
) -> None:
    aws.make_function(REGION, "web", versions=[[]])
    aws.make_alias(REGION, "web", "live", "1")
    aws.fault(operation, fault)
    with pytest.raises(kind) as raised:
        METHODS[operation][1](functions)
    assert len(aws.calls(service="lambda")) == pace.turns == 1
    assert type(raised.value) is kind
    assert (raised.value.operation, raised.value.region) == (operation, REGION)
    assert pace.slowed == ([raised.value.after] if kind is failures.Throttled else [])
    if kind is failures.Denied:
        assert raised.value.cure == f"allow lambda:{operation} to these credentials"


def test_a_lost_answer_is_found_by_reading_again(aws: Standin, functions: Functions) -> None:
    """What was done is done once: its revision has changed, so a repetition is Stale."""
    made = layer(aws, "flask")
    aws.make_function(REGION, "web")
    before = functions.get("web")
    assert before
    aws.fault("UpdateFunctionConfiguration", "drop-after")
    with pytest.raises(failures.Unanswered):
        functions.attach("web", (made,), before.revision)
    with pytest.raises(failures.Stale):
        functions.attach("web", (made,), before.revision)
    after = functions.get("web")
    assert after
    assert after.layers == (made,)


# --- why AWS refuses layers ---------------------------------------------------------------------------------------


def refused(aws: Standin, functions: Functions, *layers: str, unzipped: int = 1000) -> failures.CallFailed:
    aws.make_function(REGION, "web", unzipped=unzipped)
    before = functions.get("web")
    assert before
    with pytest.raises(failures.Rejected) as raised:
        functions.attach("web", layers, before.revision)
    assert functions.get("web") == before
    return raised.value


def test_a_layer_that_is_not_there(aws: Standin, functions: Functions) -> None:
    found = refused(aws, functions, layer(aws, "shim"), f"{LAYER}:9")
    assert f"{LAYER}:9" in found.words
    assert f"name another version of {LAYER}, even where the function has had this one" in found.cure


def test_a_layer_of_an_account_that_does_not_share_it(aws: Standin, functions: Functions) -> None:
    foreign = layer(aws, "tracing", account="210987654321")
    assert foreign == f"{FOREIGN}:1"
    found = refused(aws, functions, foreign)
    assert isinstance(found, failures.Denied)
    assert found.cure == (
        f"account 210987654321 has to share {FOREIGN}:1 with account {NUMBER} (layerkit publish --share {NUMBER}), "
        "if it is there at all"
    )


def test_six_layers(aws: Standin, functions: Functions) -> None:
    found = refused(aws, functions, *(layer(aws, f"l{number}") for number in range(6)))
    assert found.cure == "take a layer from the function, or build two of them as one: 5 is the most"


def test_two_versions_of_a_layer(aws: Standin, functions: Functions) -> None:
    found = refused(aws, functions, layer(aws, "flask"), layer(aws, "flask"))
    assert found.cure == "name one version of each layer alone"


def test_a_layer_of_another_region(aws: Standin, functions: Functions) -> None:
    found = refused(aws, functions, f"{LAYER}:1".replace(REGION, "us-east-1"))
    assert found.cure == "name the layers' versions in eu-west-1"


def test_layers_that_are_too_large_for_the_function(aws: Standin, functions: Functions) -> None:
    found = refused(aws, functions, layer(aws, "flask"), unzipped=262_144_000)
    assert found.cure.endswith("250 MiB is the most, all unzipped")
