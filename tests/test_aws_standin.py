"""The AWS stand-in says what Lambda says: publish, list, get, delete, sharing, and functions that use layers."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from aws_standin import REGIONS, RUNTIMES, Standin, serve
from aws_standin.clients import client, zipped

ZIP = zipped({"python/hello.py": b"X = 1\n"})
SHA256 = base64.b64encode(hashlib.sha256(ZIP).digest()).decode()
ACCOUNT, OTHER = "123456789012", "111122223333"
WHOLE: dict[str, Any] = {
    "LayerName": "whole", "Description": "d", "Content": {"ZipFile": ZIP}, "CompatibleRuntimes": ["python3.12"],
    "CompatibleArchitectures": ["arm64"], "LicenseInfo": "MIT",
}  # fmt: skip
PUBLIC: dict[str, Any] = {
    "LayerName": "whole", "VersionNumber": 1, "StatementId": "all", "Action": "lambda:GetLayerVersion",
    "Principal": "*",
}  # fmt: skip


@pytest.fixture
def aws() -> Iterator[Standin]:
    with serve(rate=0, no_arm=("me-central-1",)) as running:
        yield running


@pytest.fixture
def layers(aws: Standin) -> Any:
    """A client that sends what the server is to refuse, too."""
    return client(aws, parameter_validation=False)


def refusal(call: Callable[..., object], *given: Any, **named: Any) -> tuple[int, str, str]:
    """HTTP status, code and message of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(*given, **named)
    response: Any = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def status(answer: Any) -> int:
    found: int = answer["ResponseMetadata"]["HTTPStatusCode"]
    return found


class TestPublish:
    def test_all_that_was_given_is_told(self, layers: Any) -> None:
        made = layers.publish_layer_version(**WHOLE)
        assert status(made) == 201
        assert made["Version"] == 1
        assert made["LayerArn"] == f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:whole"
        assert made["LayerVersionArn"] == f"{made['LayerArn']}:1"
        told = {
            key: made[key] for key in ("Description", "LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures")
        }
        assert told == {key: WHOLE[key] for key in told}
        assert made["CreatedDate"].endswith("+0000")

    def test_hash_and_size_are_those_of_the_zip(self, layers: Any) -> None:
        made = layers.publish_layer_version(**WHOLE)["Content"]
        got = layers.get_layer_version(LayerName="whole", VersionNumber=1)["Content"]
        for content in (made, got):
            assert (content["CodeSha256"], content["CodeSize"]) == (SHA256, len(ZIP))

    def test_the_same_bytes_again_are_a_new_version(self, layers: Any) -> None:
        assert [layers.publish_layer_version(**WHOLE)["Version"] for _ in "ab"] == [1, 2]

    def test_the_location_downloads_the_zip(self, layers: Any) -> None:
        layers.publish_layer_version(**WHOLE)
        location = layers.get_layer_version(LayerName="whole", VersionNumber=1)["Content"]["Location"]
        with urllib.request.urlopen(location) as answer:
            assert answer.read() == ZIP

    def test_an_old_location_is_refused(self, layers: Any) -> None:
        location = layers.publish_layer_version(**WHOLE)["Content"]["Location"]
        with pytest.raises(urllib.error.HTTPError, match="403") as caught:
            urllib.request.urlopen(location.rpartition("=")[0] + "=1000000000")
        caught.value.close()

    def test_a_layer_arn_is_a_name(self, layers: Any) -> None:
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:whole"
        assert layers.publish_layer_version(**{**WHOLE, "LayerName": arn})["LayerArn"] == arn
        assert layers.get_layer_version(LayerName=arn, VersionNumber=1)["Version"] == 1

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"CompatibleRuntimes": ["python9.9"]}, "'[python9.9]' at 'compatibleRuntimes'"),
            ({"CompatibleArchitectures": ["riscv"]}, "'[riscv]' at 'compatibleArchitectures'"),
            ({"CompatibleRuntimes": ["python3.12"] * 16}, "length less than or equal to 15"),
            ({"CompatibleArchitectures": ["arm64", "x86_64", "arm64"]}, "length less than or equal to 2"),
            ({"Description": "x" * 257}, "length less than or equal to 256"),
            ({"LicenseInfo": "x" * 513}, "length less than or equal to 512"),
            ({"LayerName": "a.dot"}, "at 'layerName'"),
            ({"LayerName": "a" * 141}, "at 'layerName'"),
        ],
    )
    def test_members_out_of_bounds(self, aws: Standin, layers: Any, given: dict[str, Any], words: str) -> None:
        number, code, message = refusal(layers.publish_layer_version, **{**WHOLE, **given})
        assert (number, code) == (400, "ValidationException")
        assert message.startswith("1 validation error detected: Value '")
        assert words in message
        assert aws.versions("us-east-1", "whole") == []

    def test_every_wrong_member_is_told_at_once(self, layers: Any) -> None:
        wrong = {"CompatibleRuntimes": ["invalidruntime"], "CompatibleArchitectures": ["invalidarch"]}
        _, _, message = refusal(layers.publish_layer_version, **{**WHOLE, **wrong})
        assert message.startswith("2 validation errors detected: Value '[invalidruntime]' at 'compatibleRuntimes'")
        assert "; Value '[invalidarch]' at 'compatibleArchitectures'" in message

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"not a zip", "Could not unzip uploaded file. Please check your file, then try to upload again."),
            (zipped({}), "Uploaded file must be a non-empty zip"),
            (
                zipped({f"{n}": bytes(53 << 20) for n in range(5)}),
                "Unzipped size must be smaller than 262144000 bytes",
            ),
        ],
        ids=["no zip", "empty", "265 MiB unzipped"],
    )
    def test_bytes_that_are_no_layer(self, layers: Any, data: bytes, message: str) -> None:
        call = {**WHOLE, "Content": {"ZipFile": data}}
        expected = (400, "InvalidParameterValueException", message)
        assert refusal(layers.publish_layer_version, **call) == expected
        assert refusal(layers.publish_layer_version, **call) == expected  # what is known of the bytes is kept

    def test_a_damaged_member(self, layers: Any) -> None:
        made = BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr("python/a.py", b"abcdefgh" * 10)
        data = made.getvalue().replace(b"abcdefgh", b"abcdefgx", 1)
        answer = refusal(layers.publish_layer_version, **{**WHOLE, "Content": {"ZipFile": data}})
        assert answer[2].startswith("Could not unzip")

    def test_a_request_that_is_too_large(self, layers: Any) -> None:
        data = bytes(53 << 20)
        answer = refusal(layers.publish_layer_version, **{**WHOLE, "Content": {"ZipFile": data}})
        words = "Request must be smaller than 70167211 bytes for the PublishLayerVersion operation"
        assert answer == (413, "RequestEntityTooLargeException", words)

    def test_a_region_without_arm64(self, aws: Standin) -> None:
        there = client(aws, region="me-central-1")
        number, code, message = refusal(there.publish_layer_version, **WHOLE)
        assert (number, code) == (400, "InvalidParameterValueException")
        assert message.startswith("CompatibleArchitectures are not supported in me-central-1. Please remove")
        untagged = {key: value for key, value in WHOLE.items() if key != "CompatibleArchitectures"}
        made = there.publish_layer_version(**untagged)
        assert (made["Version"], "CompatibleArchitectures" in made) == (1, False)

    def test_code_storage(self, aws: Standin, layers: Any) -> None:
        aws.options.storage = 2 * len(ZIP)
        for _ in "ab":
            layers.publish_layer_version(**WHOLE)
        settings = layers.get_account_settings()
        assert settings["AccountUsage"]["TotalCodeSize"] == settings["AccountLimit"]["TotalCodeSize"] == 2 * len(ZIP)
        expected = (400, "CodeStorageExceededException", "Code storage limit exceeded.")
        assert refusal(layers.publish_layer_version, **WHOLE) == expected
        layers.delete_layer_version(LayerName="whole", VersionNumber=1)
        assert layers.publish_layer_version(**WHOLE)["Version"] == 3

    def test_regions_are_separate(self, aws: Standin, layers: Any) -> None:
        layers.publish_layer_version(**WHOLE)
        ireland = client(aws, region="eu-west-1")
        assert ireland.list_layers()["Layers"] == []
        made = ireland.publish_layer_version(**WHOLE)
        assert (made["Version"], made["LayerVersionArn"].split(":")[3]) == (1, "eu-west-1")

    def test_all_regions_at_once_share_the_bytes(self, aws: Standin) -> None:
        aws.options.no_arm = ()

        def publish(one: Any) -> list[int]:
            return [one.publish_layer_version(**WHOLE)["Version"] for _ in "abc"]

        clients = [client(aws, region=region) for region in REGIONS]
        with ThreadPoolExecutor(len(REGIONS)) as pool:
            assert list(pool.map(publish, clients)) == [[1, 2, 3]] * len(REGIONS)
        places = list(aws.world.places.values())
        assert len({id(one.blob) for place in places for one in place.layers["whole"].versions.values()}) == 1

    def test_one_region_from_many_threads_counts_right(self, aws: Standin) -> None:
        one = client(aws, max_pool_connections=34)
        with ThreadPoolExecutor(34) as pool:
            made = list(pool.map(lambda _: one.publish_layer_version(**WHOLE)["Version"], range(68)))
        assert sorted(made) == list(range(1, 69))
        assert [found["Version"] for found in aws.versions("us-east-1", "whole")] == list(range(1, 69))


class TestRead:
    def test_unknown_ones(self, layers: Any) -> None:
        expected = (404, "ResourceNotFoundException", "The resource you requested does not exist.")
        assert refusal(layers.get_layer_version, LayerName="nope", VersionNumber=1) == expected
        assert layers.list_layer_versions(LayerName="nope")["LayerVersions"] == []
        zero = refusal(layers.get_layer_version, LayerName="nope", VersionNumber=0)
        assert zero == (400, "InvalidParameterValueException", "Layer Version Cannot be less than 1")

    def test_newest_first_and_without_content(self, layers: Any) -> None:
        for _ in "abc":
            layers.publish_layer_version(**WHOLE)
        listed = layers.list_layer_versions(LayerName="whole")["LayerVersions"]
        assert [one["Version"] for one in listed] == [3, 2, 1]
        assert all("Content" not in one for one in listed)
        (layer,) = layers.list_layers()["Layers"]
        assert (layer["LayerName"], layer["LatestMatchingVersion"]["Version"]) == ("whole", 3)

    def test_pages(self, layers: Any) -> None:
        for _ in range(52):
            layers.publish_layer_version(LayerName="many", Content={"ZipFile": ZIP})
        first = layers.list_layer_versions(LayerName="many")
        second = layers.list_layer_versions(LayerName="many", Marker=first["NextMarker"])
        numbers = [one["Version"] for page in (first, second) for one in page["LayerVersions"]]
        assert len(first["LayerVersions"]) == 50
        assert numbers == list(range(52, 0, -1))
        assert "NextMarker" not in second
        one = layers.list_layer_versions(LayerName="many", MaxItems=1)
        assert ([found["Version"] for found in one["LayerVersions"]], bool(one["NextMarker"])) == ([52], True)
        for count in (0, 51):
            assert "at 'maxItems'" in refusal(layers.list_layer_versions, LayerName="many", MaxItems=count)[2]

    def test_filters(self, layers: Any) -> None:
        other = {"LayerName": "other", "CompatibleArchitectures": ["x86_64"], "CompatibleRuntimes": ["python3.13"]}
        layers.publish_layer_version(**WHOLE)
        layers.publish_layer_version(**{**WHOLE, **other})
        layers.publish_layer_version(LayerName="whole", Content={"ZipFile": ZIP})

        def names(**wanted: str) -> list[tuple[str, int]]:
            found = layers.list_layers(**wanted)["Layers"]
            return [(one["LayerName"], one["LatestMatchingVersion"]["Version"]) for one in found]

        assert names() == [("other", 1), ("whole", 2)]
        assert names(CompatibleArchitecture="arm64") == names(CompatibleRuntime="python3.12") == [("whole", 1)]
        versions = layers.list_layer_versions(LayerName="whole", CompatibleArchitecture="x86_64")["LayerVersions"]
        assert versions == []
        assert refusal(names, CompatibleRuntime="python1")[:2] == (400, "ValidationException")

    def test_by_arn(self, layers: Any) -> None:
        arn = layers.publish_layer_version(**WHOLE)["LayerVersionArn"]
        assert layers.get_layer_version_by_arn(Arn=arn)["Content"]["CodeSha256"] == SHA256
        assert refusal(layers.get_layer_version_by_arn, Arn="arn:x")[:2] == (400, "ValidationException")
        assert refusal(layers.get_layer_version_by_arn, Arn=arn[:-1] + "9")[0] == 404

    def test_delete(self, layers: Any) -> None:
        layers.publish_layer_version(**WHOLE)
        layers.publish_layer_version(**WHOLE)
        for number in (2, 2, 1, 7):
            assert status(layers.delete_layer_version(LayerName="whole", VersionNumber=number)) == 204
        assert status(layers.delete_layer_version(LayerName="nope", VersionNumber=1)) == 204
        assert refusal(layers.get_layer_version, LayerName="whole", VersionNumber=2)[0] == 404
        assert layers.list_layers()["Layers"] == []
        assert layers.publish_layer_version(**WHOLE)["Version"] == 3  # numbers are never used again


class TestSharing:
    def test_a_statement_names_the_version(self, layers: Any) -> None:
        arn = layers.publish_layer_version(**WHOLE)["LayerVersionArn"]
        added = layers.add_layer_version_permission(**PUBLIC)
        statement = {
            "Sid": "all",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "lambda:GetLayerVersion",
            "Resource": arn,
        }
        assert (status(added), json.loads(added["Statement"])) == (201, statement)
        got = layers.get_layer_version_policy(LayerName="whole", VersionNumber=1)
        assert json.loads(got["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}
        assert got["RevisionId"] == added["RevisionId"]

    def test_accounts_and_organizations(self, layers: Any) -> None:
        layers.publish_layer_version(**WHOLE)
        account = layers.add_layer_version_permission(**{**PUBLIC, "StatementId": "a", "Principal": OTHER})
        assert json.loads(account["Statement"])["Principal"] == {"AWS": f"arn:aws:iam::{OTHER}:root"}
        organization = {**PUBLIC, "StatementId": "o", "OrganizationId": "o-abcdefghij"}
        made = json.loads(layers.add_layer_version_permission(**organization)["Statement"])
        assert made["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}

    @pytest.mark.parametrize(
        ("given", "where"),
        [
            ({"Action": "lambda:*"}, "action"),
            ({"Principal": "someone"}, "principal"),
            ({"StatementId": "a b"}, "statementId"),
            ({"OrganizationId": "o-1"}, "organizationId"),
        ],
    )
    def test_members_out_of_bounds(self, layers: Any, given: dict[str, str], where: str) -> None:
        layers.publish_layer_version(**WHOLE)
        answer = refusal(layers.add_layer_version_permission, **{**PUBLIC, **given})
        assert answer[:2] == (400, "ValidationException")
        assert f"at '{where}'" in answer[2]

    def test_refusals(self, layers: Any) -> None:
        arn = layers.publish_layer_version(**WHOLE)["LayerVersionArn"]
        none = {"LayerName": "whole", "VersionNumber": 1}
        words = "No policy is associated with the given resource."
        assert refusal(layers.get_layer_version_policy, **none) == (404, "ResourceNotFoundException", words)
        absent = refusal(layers.get_layer_version_policy, **{**none, "VersionNumber": 2})
        assert absent == (404, "ResourceNotFoundException", f"Layer version {arn[:-1]}2 does not exist.")
        layers.add_layer_version_permission(**PUBLIC)
        number, code, message = refusal(layers.add_layer_version_permission, **PUBLIC)
        assert (number, code) == (409, "ResourceConflictException")
        assert message.startswith("The statement id (all) provided already exists. Please provide a new statement id")
        stale = {"StatementId": "r", "RevisionId": "00000000-0000-0000-0000-000000000000"}
        answer = refusal(layers.add_layer_version_permission, **{**PUBLIC, **stale})
        assert answer[:2] == (412, "PreconditionFailedException")

    def test_remove(self, layers: Any) -> None:
        layers.publish_layer_version(**WHOLE)
        layers.add_layer_version_permission(**PUBLIC)
        one = {"LayerName": "whole", "VersionNumber": 1, "StatementId": "all"}
        assert status(layers.remove_layer_version_permission(**one)) == 204
        words = "Statement all is not found in resource policy."
        expected = (404, "ResourceNotFoundException", words)
        assert refusal(layers.remove_layer_version_permission, **one) == expected

    def test_a_policy_has_an_end(self, layers: Any) -> None:
        layers.publish_layer_version(**WHOLE)

        def fill() -> None:
            for number in range(200):
                layers.add_layer_version_permission(**{**PUBLIC, "StatementId": f"{number:0100}"})

        number, code, message = refusal(fill)
        assert (number, code) == (400, "PolicyLengthExceededException")
        assert message.endswith("is bigger than the limit (20480).")
        policy = layers.get_layer_version_policy(LayerName="whole", VersionNumber=1)["Policy"]
        assert 20000 < len(policy) <= 20480

    def test_another_account_sees_what_is_shared(self, aws: Standin, layers: Any) -> None:
        arn = layers.publish_layer_version(**WHOLE)["LayerVersionArn"]
        guest = client(aws, key=OTHER)
        assert client(aws, "sts", key=OTHER).get_caller_identity()["Account"] == OTHER

        def seen() -> bool:
            try:
                return bool(guest.get_layer_version_by_arn(Arn=arn)["Content"]["CodeSha256"] == SHA256)
            except ClientError as error:
                assert error.response["Error"]["Code"] == "AccessDeniedException"
                assert error.response["Error"]["Message"].endswith(
                    f"is not authorized to perform: lambda:GetLayerVersion on resource: {arn} because no "
                    "resource-based policy allows the lambda:GetLayerVersion action"
                )
                return False

        def shared(sid: str, **statement: str) -> bool:
            layers.add_layer_version_permission(**{**PUBLIC, "StatementId": sid, **statement})
            there = seen()
            layers.remove_layer_version_permission(LayerName="whole", VersionNumber=1, StatementId=sid)
            return there

        assert not seen()
        assert shared("public")
        assert shared("account", Principal=OTHER)
        assert not shared("stranger", Principal="999999999999")
        assert not shared("organization", OrganizationId="o-abcdefghij")
        aws.options.organizations = {OTHER: "o-abcdefghij"}
        assert shared("organization", OrganizationId="o-abcdefghij")
        assert guest.list_layers()["Layers"] == []
        theirs = f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:whole"
        denied = refusal(guest.publish_layer_version, **{**WHOLE, "LayerName": theirs})
        assert denied[:2] == (403, "AccessDeniedException")


class TestFunctions:
    @pytest.fixture
    def function(self, layers: Any) -> dict[str, Any]:
        arn = layers.publish_layer_version(**WHOLE)["LayerVersionArn"]
        made: dict[str, Any] = layers.create_function(
            FunctionName="f", Runtime="python3.12", Role=f"arn:aws:iam::{ACCOUNT}:role/r", Handler="main.handler",
            Code={"ZipFile": ZIP}, Architectures=["arm64"], Layers=[arn],
        )  # fmt: skip
        return made

    def test_it_has_its_layer(self, layers: Any, function: dict[str, Any]) -> None:
        got = layers.get_function_configuration(FunctionName="f")
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:whole:1"
        assert got["Layers"] == function["Layers"] == [{"Arn": arn, "CodeSize": len(ZIP)}]
        assert (got["State"], got["Architectures"]) == ("Active", ["arm64"])

    def test_tags_only_filter_lists(self, layers: Any, function: dict[str, Any]) -> None:
        other = {"LayerName": "x", "CompatibleArchitectures": ["x86_64"], "CompatibleRuntimes": ["python3.9"]}
        arn = layers.publish_layer_version(**{**WHOLE, **other})["LayerVersionArn"]
        assert layers.update_function_configuration(FunctionName="f", Layers=[arn])["Layers"][0]["Arn"] == arn

    def test_layers_that_it_cannot_have(self, layers: Any, function: dict[str, Any]) -> None:
        own = f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:whole"
        layers.publish_layer_version(**WHOLE)
        huge = zipped({f"{number}": bytes(45 << 20) for number in range(3)})  # 135 MiB
        big = [
            layers.publish_layer_version(LayerName=f"big{number}", Content={"ZipFile": huge})["LayerVersionArn"]
            for number in range(2)
        ]
        several = [
            layers.publish_layer_version(**{**WHOLE, "LayerName": f"n{number}"})["LayerVersionArn"]
            for number in range(6)
        ]

        def attach(*arns: str) -> str:
            number, code, message = refusal(layers.update_function_configuration, FunctionName="f", Layers=arns)
            assert (number, code) == (400, "InvalidParameterValueException")
            return message

        assert attach(*several) == "Cannot reference more than 5 layers."
        assert attach(f"{own}:99") == f"Layer version {own}:99 does not exist."
        assert attach(f"{own}:1", f"{own}:2") == (
            "Two different versions of the same layer are not allowed to be referenced in the same function. "
            f"{own}:1 and {own}:2 are versions of the same layer."
        )
        assert attach(f"{own}:1".replace("us-east-1", "eu-west-1")) == (
            "Layers are not in the same region as the function. Layers are expected to be in region us-east-1."
        )
        assert attach(*big) == "Layers consume more than the available size of 262144000 bytes"

    def test_a_layer_of_another_account(self, aws: Standin, layers: Any, function: dict[str, Any]) -> None:
        arn = client(aws, key=OTHER).publish_layer_version(**WHOLE)["LayerVersionArn"]
        call = partial(layers.update_function_configuration, FunctionName="f", Layers=[arn])
        assert refusal(call)[:2] == (403, "AccessDeniedException")
        client(aws, key=OTHER).add_layer_version_permission(**PUBLIC)
        assert call()["Layers"][0]["Arn"] == arn

    def test_life(self, layers: Any, function: dict[str, Any]) -> None:
        again = {"FunctionName": "f", "Role": "r", "Code": {"ZipFile": ZIP}}
        assert refusal(layers.create_function, **again)[:2] == (409, "ResourceConflictException")
        assert layers.publish_version(FunctionName="f")["Version"] == "1"
        assert layers.get_function(FunctionName="f", Qualifier="1")["Configuration"]["FunctionArn"].endswith(":f:1")
        assert [one["FunctionName"] for one in layers.list_functions()["Functions"]] == ["f"]
        usage = layers.get_account_settings()["AccountUsage"]
        assert usage == {"TotalCodeSize": 3 * len(ZIP), "FunctionCount": 1}  # a layer, $LATEST and version 1
        layers.delete_function(FunctionName="f")
        assert refusal(layers.get_function, FunctionName="f")[:2] == (404, "ResourceNotFoundException")
        assert layers.list_functions()["Functions"] == []


class TestOthers:
    def test_who_calls(self, aws: Standin) -> None:
        who = client(aws, "sts").get_caller_identity()
        assert who["Account"] == ACCOUNT
        assert who["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/")

    def test_regions(self) -> None:
        with serve(disabled=("af-south-1",)) as aws:
            ec2, account = client(aws, "ec2"), client(aws, "account")
            enabled = {one["RegionName"] for one in ec2.describe_regions()["Regions"]}
            assert enabled == set(REGIONS) - {"af-south-1"}
            states = {
                one["RegionName"]: one["OptInStatus"] for one in ec2.describe_regions(AllRegions=True)["Regions"]
            }
            assert (states["af-south-1"], states["us-east-1"]) == ("not-opted-in", "opt-in-not-required")
            rows = {one["RegionName"]: one["RegionOptStatus"] for one in account.list_regions()["Regions"]}
            assert len(rows) == 34
            assert (rows["af-south-1"], rows["us-east-1"], rows["ap-east-1"]) == (
                "DISABLED", "ENABLED_BY_DEFAULT", "ENABLED",
            )  # fmt: skip
            pages = account.get_paginator("list_regions").paginate(
                RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"], PaginationConfig={"PageSize": 10}
            )
            counts = [len(page["Regions"]) for page in pages]
            assert counts == [10, 10, 10, 3]

    def test_the_data_are_those_of_the_client(self) -> None:
        import boto3

        session = boto3.Session()
        assert tuple(session.get_available_regions("lambda")) == REGIONS
        known = session._session.get_service_model("lambda").shape_for("Runtime").enum
        assert set(RUNTIMES) <= set(known)

    def test_parameters(self, aws: Standin) -> None:
        ssm = client(aws, "ssm")
        put = {"Name": "/layerkit/a/arn", "Value": "one", "Type": "String"}
        assert ssm.put_parameter(**put)["Version"] == 1
        answer = refusal(ssm.put_parameter, **put)
        assert (answer[:2], answer[2][:36]) == (
            (400, "ParameterAlreadyExists"),
            "The parameter already exists. To ove",
        )
        assert ssm.put_parameter(Name="/layerkit/a/arn", Value="two", Overwrite=True)["Version"] == 2
        got = ssm.get_parameter(Name="/layerkit/a/arn")["Parameter"]
        assert (got["Value"], got["Version"], got["Type"]) == ("two", 2, "String")
        assert ssm.get_parameter(Name="/layerkit/a/arn:1")["Parameter"]["Value"] == "one"
        several = ssm.get_parameters(Names=["/layerkit/a/arn", "/none"])
        assert [one["Value"] for one in several["Parameters"]] == ["two"]
        assert several["InvalidParameters"] == ["/none"]
        ssm.put_parameter(**{**put, "Name": "/layerkit/b"})
        flat = ssm.get_parameters_by_path(Path="/layerkit")["Parameters"]
        deep = ssm.get_parameters_by_path(Path="/layerkit/", Recursive=True)["Parameters"]
        assert ([one["Name"] for one in flat], len(deep)) == (["/layerkit/b"], 2)
        assert aws.parameters("us-east-1") == {"/layerkit/a/arn": "two", "/layerkit/b": "one"}
        ssm.delete_parameter(Name="/layerkit/b")
        for call in (ssm.get_parameter, ssm.delete_parameter):
            assert refusal(call, Name="/layerkit/b")[:2] == (400, "ParameterNotFound")
        assert client(aws, "ssm", "eu-west-1").get_parameters(Names=["/layerkit/a/arn"])["Parameters"] == []

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({"Name": "a/b"}, "ValidationException"),
            ({"Name": "/a b"}, "ValidationException"),
            ({"Name": "/a//b"}, "ValidationException"),
            ({"Name": "/ssm/b"}, "ValidationException"),
            ({"Name": "/aws/b"}, "AccessDeniedException"),
            ({"Name": "/a" * 16}, "HierarchyLevelLimitExceededException"),
            ({"Value": "x" * 4097}, "ValidationException"),
            ({"Type": ""}, "ValidationException"),
        ],
    )
    def test_parameters_that_it_does_not_take(self, aws: Standin, given: dict[str, str], code: str) -> None:
        ssm = client(aws, "ssm", parameter_validation=False)
        whole = {"Name": "/a", "Value": "v", "Type": "String", **given}
        assert refusal(ssm.put_parameter, **whole)[:2] == (400, code)
        assert aws.parameters("us-east-1") == {}

    def test_at_most_ten_names(self, aws: Standin) -> None:
        ssm = client(aws, "ssm", parameter_validation=False)
        assert len(ssm.get_parameters(Names=[f"n{n}" for n in range(10)])["InvalidParameters"]) == 10
        answer = refusal(ssm.get_parameters, Names=[f"n{n}" for n in range(11)])
        assert answer[:2] == (400, "ValidationException")


class TestCredentials:
    CALLS: ClassVar[list[tuple[str, str, dict[str, str], str, str]]] = [
        ("lambda", "list_layers", {}, "UnrecognizedClientException", "ExpiredTokenException"),
        ("ssm", "get_parameter", {"Name": "x"}, "UnrecognizedClientException", "ExpiredTokenException"),
        ("account", "list_regions", {}, "UnrecognizedClientException", "ExpiredTokenException"),
        ("sts", "get_caller_identity", {}, "InvalidClientTokenId", "ExpiredToken"),
        ("ec2", "describe_regions", {}, "AuthFailure", "RequestExpired"),
        ("s3", "get_object", {"Bucket": "b", "Key": "k"}, "InvalidAccessKeyId", "ExpiredToken"),
    ]

    @pytest.mark.parametrize(("service", "method", "given", "bad", "expired"), CALLS, ids=[one[0] for one in CALLS])
    def test_bad_and_expired(
        self, aws: Standin, service: str, method: str, given: dict[str, str], bad: str, expired: str
    ) -> None:
        for key, code in (("bad", bad), ("expired", expired)):
            assert refusal(getattr(client(aws, service, key=key), method), **given)[1] == code
        assert {call.status for call in aws.calls(service=service)} <= {400, 401, 403}

    def test_a_region_that_is_not_enabled(self) -> None:
        with serve(disabled=("ap-east-1",)) as aws:
            expected = (403, "UnrecognizedClientException", "The security token included in the request is invalid.")
            assert refusal(client(aws, region="ap-east-1").list_layers) == expected

    def test_unsigned(self, aws: Standin) -> None:
        with pytest.raises(urllib.error.HTTPError, match="403") as caught:
            urllib.request.urlopen(f"{aws.url}/2018-10-31/layers")
        assert caught.value.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
        caught.value.close()


class TestProcess:
    def test_it_runs_beside(self) -> None:
        command = [sys.executable, "-m", "aws_standin", "--rate", "0", "--account", OTHER, "--disabled", "ap-east-1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent) as process:
            try:
                assert process.stdout
                url = process.stdout.readline().strip()

                def ask(path: str, document: Any = None) -> Any:
                    body = None if document is None else json.dumps(document).encode()
                    with urllib.request.urlopen(urllib.request.Request(url + path, data=body)) as answer:
                        return json.loads(answer.read())

                one = client(url)
                one.publish_layer_version(**WHOLE)
                ask("/_faults", [{"operation": "ListLayers", "do": "ServiceException"}])
                assert refusal(one.list_layers)[0] == 500
                lines = [(call["operation"], call["status"], call["resource"]) for call in ask("/_log")]
                assert lines == [("PublishLayerVersion", 201, "whole:1"), ("ListLayers", 500, "")]
                (layer,) = ask("/_state")["layers"]
                assert (layer["account"], layer["versions"][0]["CodeSha256"]) == (OTHER, SHA256)
                ask("/_reset", {})
                assert (ask("/_log"), ask("/_state")["layers"]) == ([], [])
            finally:
                process.kill()
