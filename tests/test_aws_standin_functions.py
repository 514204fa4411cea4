"""The AWS stand-in's functions, versions and aliases do what Lambda was recorded to do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aws_standin import Standin, serve
from aws_standin.clients import client, zipped
from aws_standin.world import Options
from test_arns_tools import python as tools
from test_aws_standin import ACCOUNT, OTHER, ZIP, refusal, status
from test_publish import AWS_CLI

HERE = "us-east-1"
ARN = f"arn:aws:lambda:{HERE}:{ACCOUNT}:function:f"
STALE = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve "
    "the latest Revision Id"
)
CODE: dict[str, Any] = {
    "FunctionName": "f", "Runtime": "python3.12", "Role": f"arn:aws:iam::{ACCOUNT}:role/r", "Handler": "main.handler",
    "Code": {"ZipFile": ZIP},
}  # fmt: skip


@pytest.fixture
def aws() -> Iterator[Standin]:
    with serve(rate=0) as running:
        yield running


@pytest.fixture
def functions(aws: Standin) -> Iterator[Any]:
    """A client that sends what the server is to refuse, too."""
    with closing(client(aws, parameter_validation=False)) as made:
        yield made


def layer(functions: Any, name: str = "l") -> str:
    arn: str = functions.publish_layer_version(LayerName=name, Content={"ZipFile": ZIP})["LayerVersionArn"]
    return arn


def state(document: dict[str, Any]) -> tuple[str | None, str | None]:
    return document.get("State"), document.get("LastUpdateStatus")


class TestLists:
    def test_every_version_of_every_function(self, aws: Standin, functions: Any) -> None:
        aws.make_function(HERE, "b")
        aws.make_function(HERE, "a", versions=[[], []])
        listed = functions.list_functions(FunctionVersion="ALL")["Functions"]
        assert [(one["FunctionName"], one["Version"]) for one in listed] == [
            ("a", "$LATEST"), ("a", "1"), ("a", "2"), ("b", "$LATEST"),
        ]  # fmt: skip
        assert listed[0]["FunctionArn"] == f"{ARN[:-1]}a:$LATEST"
        assert listed[1]["FunctionArn"] == f"{ARN[:-1]}a:1"

    def test_else_only_latest_and_its_arn_without_a_qualifier(self, aws: Standin, functions: Any) -> None:
        aws.make_function(HERE, "f", versions=[[]])
        assert [one["FunctionArn"] for one in functions.list_functions()["Functions"]] == [ARN]

    @pytest.mark.parametrize("most", [None, 50, 51, 10_000])
    def test_pages_of_fifty_however_many_are_asked_for(self, aws: Standin, functions: Any, most: int | None) -> None:
        aws.make_function(HERE, "f", versions=[[]] * 120)
        call = {"FunctionVersion": "ALL"} | ({"MaxItems": most} if most else {})
        pages = [functions.list_functions(**call)]
        while "NextMarker" in pages[-1]:
            pages.append(functions.list_functions(**call, Marker=pages[-1]["NextMarker"]))
        assert [len(page["Functions"]) for page in pages] == [50, 50, 21]
        seen = [one["Version"] for page in pages for one in page["Functions"]]
        assert seen == ["$LATEST", *map(str, range(1, 121))]

    def test_boto3_pages_by_itself(self, aws: Standin, functions: Any) -> None:
        aws.make_function(HERE, "f", versions=[[]] * 60)
        pages = functions.get_paginator("list_versions_by_function").paginate(FunctionName="f")
        assert sum(len(page["Versions"]) for page in pages) == 61
        assert len(aws.calls("ListVersionsByFunction")) == 2

    def test_wrong_members(self, functions: Any) -> None:
        assert refusal(functions.list_functions, FunctionVersion="invalid") == (
            400, "ValidationException",
            "1 validation error detected: Value 'invalid' at 'functionVersion' failed to satisfy constraint: Member "
            "must satisfy enum value set: [ALL]",
        )  # fmt: skip
        assert refusal(functions.list_functions, MaxItems=10_001)[1] == "ValidationException"
        assert refusal(functions.list_functions, MaxItems=0)[1] == "ValidationException"
        assert refusal(functions.list_functions, Marker="mine")[:2] == (400, "InvalidParameterValueException")

    def test_a_list_tells_revisions_and_layers_but_no_states(self, aws: Standin, functions: Any) -> None:
        arn = layer(functions)
        aws.make_function(HERE, "f", [arn], versions=[[arn]])
        for one in functions.list_versions_by_function(FunctionName="f")["Versions"]:
            assert state(one) == (None, None)
            assert one["RevisionId"]
            assert one["Layers"] == [{"Arn": arn, "CodeSize": len(ZIP)}]

    def test_of_no_function(self, functions: Any) -> None:
        missing = (404, "ResourceNotFoundException", f"Function not found: {ARN}")
        for call in (functions.list_versions_by_function, functions.list_aliases, functions.get_function):
            assert refusal(call, FunctionName="f") == missing

    def test_accounts_and_regions_are_apart(self, aws: Standin, functions: Any) -> None:
        aws.make_function(HERE, "f", account=OTHER)
        aws.make_function("eu-west-1", "f")
        assert functions.list_functions()["Functions"] == []
        assert refusal(functions.get_function, FunctionName=ARN.replace(HERE, "eu-west-1")) == (
            404, "ResourceNotFoundException",
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
        )  # fmt: skip
        theirs = ARN.replace(ACCOUNT, OTHER)
        assert refusal(functions.get_function, FunctionName=theirs)[:2] == (403, "AccessDeniedException")


class TestQualifiers:
    @pytest.fixture(autouse=True)
    def _function(self, aws: Standin) -> None:
        aws.make_function(HERE, "f", versions=[[], []])
        aws.make_alias(HERE, "f", "live", "2")

    @pytest.mark.parametrize(
        ("qualifier", "version"),
        [("1", "1"), ("$LATEST", "$LATEST"), ("live", "2")],
        ids=["number", "latest", "alias"],
    )
    def test_what_they_name(self, functions: Any, qualifier: str, version: str) -> None:
        for named in ({"FunctionName": "f", "Qualifier": qualifier}, {"FunctionName": f"{ARN}:{qualifier}"}):
            got = functions.get_function_configuration(**named)
            assert (got["Version"], got["FunctionArn"]) == (version, f"{ARN}:{qualifier}")
            assert functions.get_function(**named)["Configuration"]["Version"] == version

    @pytest.mark.parametrize("qualifier", ["9", "none"])
    def test_unknown_ones(self, functions: Any, qualifier: str) -> None:
        expected = (404, "ResourceNotFoundException", f"Function not found: {ARN}:{qualifier}")
        assert refusal(functions.get_function, FunctionName="f", Qualifier=qualifier) == expected

    def test_two_that_disagree(self, functions: Any) -> None:
        assert refusal(functions.get_function, FunctionName=f"{ARN}:1", Qualifier="2") == (
            400, "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        )  # fmt: skip


class TestUpdates:
    @pytest.fixture(autouse=True)
    def _function(self, aws: Standin) -> None:
        aws.make_function(HERE, "f")

    def test_finished_at_once_unless_told_otherwise(self, functions: Any) -> None:
        before = functions.get_function_configuration(FunctionName="f")
        made = functions.update_function_configuration(FunctionName="f", Layers=[layer(functions)])
        after = functions.get_function_configuration(FunctionName="f")
        assert state(made) == ("Active", "Successful")
        assert before["RevisionId"] != made["RevisionId"] == after["RevisionId"]
        assert made["Layers"] == after["Layers"]

    def test_under_way_for_some_reads(self, aws: Standin, functions: Any) -> None:
        aws.options.update_reads = 2
        made = functions.update_function_configuration(FunctionName="f", Description="new")
        assert (made["LastUpdateStatusReason"], made["LastUpdateStatusReasonCode"]) == (
            "The function is being created.", "Creating",
        )  # fmt: skip
        seen = [functions.get_function_configuration(FunctionName="f") for _ in range(4)]
        assert [one["LastUpdateStatus"] for one in (made, *seen)] == [*["InProgress"] * 3, *["Successful"] * 2]
        assert len({one["RevisionId"] for one in (made, *seen)}) == 2
        assert made["RevisionId"] == seen[1]["RevisionId"] != seen[2]["RevisionId"] == seen[3]["RevisionId"]
        assert "LastUpdateStatusReason" not in seen[2]

    def test_reads_of_another_version_do_not_count(self, aws: Standin, functions: Any) -> None:
        aws.make_function(HERE, "f", versions=[[]])
        aws.options.update_reads = 1
        functions.update_function_configuration(FunctionName="f", Description="new")
        for _ in range(3):
            assert state(functions.get_function_configuration(FunctionName="f", Qualifier="1"))[1] == "Successful"
        assert state(functions.get_function_configuration(FunctionName="f"))[1] == "InProgress"

    def test_under_way_for_some_time(self) -> None:
        now = [100.0]
        with Standin(Options(rate=0, update_seconds=5), clock=lambda: now[0]) as aws:
            aws.make_function(HERE, "f")
            functions = client(aws)
            functions.update_function_configuration(FunctionName="f", Description="new")
            look = partial(functions.get_function_configuration, FunctionName="f")
            now[0] = 104.9
            assert state(look())[1] == "InProgress"
            now[0] = 105
            assert state(look())[1] == "Successful"
            functions.close()

    def test_nothing_else_meanwhile(self, aws: Standin, functions: Any) -> None:
        aws.options.update_reads = 1
        functions.update_function_configuration(FunctionName="f", Description="new")
        busy = (
            409, "ResourceConflictException",
            f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}",
        )  # fmt: skip
        assert refusal(functions.update_function_configuration, FunctionName="f", Description="x") == busy
        assert refusal(functions.update_function_code, FunctionName="f", ZipFile=ZIP) == busy
        assert refusal(functions.publish_version, FunctionName="f") == busy
        [kept] = aws.functions(HERE)
        assert (kept["Description"], kept["versions"]) == ("new", [])

    def test_boto3_waits_for_it(self, aws: Standin, functions: Any) -> None:
        aws.options.update_reads = 2
        functions.update_function_configuration(FunctionName="f", Description="new")
        functions.get_waiter("function_updated").wait(FunctionName="f", WaiterConfig={"Delay": 0})
        assert len(aws.calls("GetFunctionConfiguration")) == 3

    def test_it_may_fail(self, aws: Standin, functions: Any) -> None:
        aws.options.update_reads = 1
        aws.fault("UpdateFunctionConfiguration", "ends-failed:InvalidConfiguration:No such thing.")
        made = functions.update_function_configuration(FunctionName="f", Description="new")
        assert state(made)[1] == "InProgress"
        functions.get_function_configuration(FunctionName="f")
        got = functions.get_function_configuration(FunctionName="f")
        assert state(got) == ("Active", "Failed")
        assert (got["LastUpdateStatusReasonCode"], got["LastUpdateStatusReason"]) == (
            "InvalidConfiguration", "No such thing.",
        )  # fmt: skip
        aws.options.update_reads = 0
        assert state(functions.update_function_configuration(FunctionName="f", Description="b"))[1] == "Successful"

    @pytest.mark.parametrize("call", ["update_function_configuration", "update_function_code", "publish_version"])
    def test_an_old_revision(self, aws: Standin, functions: Any, call: str) -> None:
        old = functions.get_function_configuration(FunctionName="f")["RevisionId"]
        functions.update_function_configuration(FunctionName="f", Description="by somebody else")
        change = partial(getattr(functions, call), FunctionName="f")
        if call == "update_function_code":
            change = partial(change, ZipFile=ZIP)
        assert refusal(change, RevisionId=old) == (412, "PreconditionFailedException", STALE)
        assert aws.functions(HERE)[0]["versions"] == []
        change(RevisionId=functions.get_function_configuration(FunctionName="f")["RevisionId"])

    def test_a_lost_answer_is_an_update_all_the_same(self, aws: Standin, functions: Any) -> None:
        aws.fault("UpdateFunctionConfiguration", "drop-after")
        with pytest.raises(Exception, match="Connection was closed"):
            functions.update_function_configuration(FunctionName="f", Description="new")
        assert aws.functions(HERE)[0]["Description"] == "new"

    def test_new_code(self, functions: Any) -> None:
        other = zipped({"main.py": b"def handler(event, context): pass\n"})
        made = functions.update_function_code(FunctionName="f", ZipFile=other, Publish=True)
        assert (made["Version"], made["CodeSize"]) == ("1", len(other))
        assert functions.get_function_configuration(FunctionName="f")["CodeSha256"] == made["CodeSha256"]
        assert refusal(functions.update_function_code, FunctionName="f", ImageUri="x") == (
            400, "InvalidParameterValueException",
            "Please don't provide ImageUri when updating a function with packageType Zip.",
        )  # fmt: skip


class TestLayers:
    @pytest.fixture(autouse=True)
    def _function(self, aws: Standin) -> None:
        aws.make_function(HERE, "f")

    def test_a_deleted_version_stays_where_it_is_and_goes_nowhere_else(self, aws: Standin, functions: Any) -> None:
        arn, other = layer(functions), layer(functions, "other")
        functions.update_function_configuration(FunctionName="f", Layers=[arn])
        functions.delete_layer_version(LayerName="l", VersionNumber=1)
        kept = functions.update_function_configuration(FunctionName="f", Layers=[other, arn])["Layers"]
        assert [one["Arn"] for one in kept] == [other, arn]
        functions.update_function_configuration(FunctionName="f", Layers=[other])
        assert refusal(functions.update_function_configuration, FunctionName="f", Layers=[arn]) == (
            400, "InvalidParameterValueException", f"Layer version {arn} does not exist.",
        )  # fmt: skip
        assert [one["Arn"] for one in aws.functions(HERE)[0]["Layers"]] == [other]

    def test_none_are_not_told(self, functions: Any) -> None:
        functions.update_function_configuration(FunctionName="f", Layers=[layer(functions)])
        assert "Layers" not in functions.update_function_configuration(FunctionName="f", Layers=[])
        assert "Layers" not in functions.get_function_configuration(FunctionName="f")

    def test_an_update_that_says_nothing_of_them_keeps_them(self, functions: Any) -> None:
        arn = layer(functions)
        functions.update_function_configuration(FunctionName="f", Layers=[arn])
        made = functions.update_function_configuration(FunctionName="f", Description="x")
        assert [one["Arn"] for one in made["Layers"]] == [arn]

    def test_an_image_takes_none(self, aws: Standin, functions: Any) -> None:
        aws.make_function(HERE, "image", image=True)
        call = partial(functions.update_function_configuration, FunctionName="image")
        assert refusal(call, Layers=[layer(functions)]) == (
            400, "InvalidParameterValueException",
            "Lambda layers are not supported for functions created with container images.",
        )  # fmt: skip
        assert call(Layers=[])["PackageType"] == "Image"
        assert refusal(call, Handler="main.handler")[2] == (
            "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
        )

    def test_with_the_functions_own_code_they_are_too_large(self, aws: Standin, functions: Any) -> None:
        aws.make_function(HERE, "f", unzipped=262_144_000)
        arn = layer(functions)
        assert refusal(functions.update_function_configuration, FunctionName="f", Layers=[arn]) == (
            400, "InvalidParameterValueException",
            "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size "
            "is 262144006 bytes.",
        )  # fmt: skip

    def test_an_arn_without_a_version(self, functions: Any) -> None:
        arn = layer(functions).rpartition(":")[0]
        _, code, words = refusal(functions.update_function_configuration, FunctionName="f", Layers=[arn])
        assert code == "ValidationException"
        assert f"Value '[{arn}]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: [" in words


class TestCreation:
    def test_pending_at_first(self, aws: Standin, functions: Any) -> None:
        aws.options.update_reads = 1
        made = functions.create_function(**CODE)
        assert state(made) == ("Pending", None)
        assert (made["StateReason"], made["StateReasonCode"]) == ("The function is being created.", "Creating")
        assert refusal(functions.update_function_configuration, FunctionName="f", Description="x") == (
            409, "ResourceConflictException",
            "The operation cannot be performed at this time. The function is currently in the following state: "
            "Pending",
        )  # fmt: skip
        assert state(functions.get_function_configuration(FunctionName="f")) == ("Pending", None)
        after = functions.get_function_configuration(FunctionName="f")
        assert state(after) == ("Active", "Successful")
        assert after["RevisionId"] != made["RevisionId"]

    def test_it_may_fail(self, aws: Standin, functions: Any) -> None:
        aws.fault("CreateFunction", "ends-failed:ImageAccessDenied:No.")
        made = functions.create_function(**CODE)
        assert (made["State"], made["StateReasonCode"], made["StateReason"]) == ("Failed", "ImageAccessDenied", "No.")

    def test_published_at_once(self, functions: Any) -> None:
        made = functions.create_function(**CODE, Publish=True)
        assert (status(made), made["Version"], made["FunctionArn"]) == (201, "1", ARN)
        assert functions.publish_version(FunctionName="f")["Version"] == "1"

    @pytest.mark.parametrize(
        ("given", "code", "words"),
        [
            ({"Runtime": "python9.9"}, "InvalidParameterValueException", "Value python9.9 at 'runtime' failed"),
            ({"Architectures": ["riscv"]}, "ValidationException", "Value '[riscv]' at 'architectures' failed"),
            ({"Architectures": ["arm64", "x86_64"]}, "ValidationException", "have length less than or equal to 1"),
            ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException", "Could not unzip uploaded file."),
            ({"PackageType": "Image"}, "InvalidParameterValueException", "Please provide ImageUri when creating"),
        ],
    )
    def test_what_is_refused(
        self, aws: Standin, functions: Any, given: dict[str, Any], code: str, words: str
    ) -> None:
        number, name, message = refusal(functions.create_function, **{**CODE, **given})
        assert (number, name) == (400, code)
        assert words in message
        assert aws.functions(HERE) == []


class TestVersions:
    @pytest.fixture(autouse=True)
    def _function(self, aws: Standin) -> None:
        aws.make_function(HERE, "f")

    def test_a_version_is_what_latest_was(self, functions: Any) -> None:
        arn, other = layer(functions), layer(functions)
        functions.update_function_configuration(FunctionName="f", Layers=[arn])
        made = functions.publish_version(FunctionName="f", Description="first")
        assert (status(made), made["Version"], made["Description"]) == (201, "1", "first")
        functions.update_function_configuration(FunctionName="f", Layers=[other])
        got = functions.get_function_configuration(FunctionName="f", Qualifier="1")
        assert (got["Layers"][0]["Arn"], got["RevisionId"]) == (arn, made["RevisionId"])

    def test_nothing_new_is_the_last_one_again(self, functions: Any) -> None:
        first = functions.publish_version(FunctionName="f", Description="first")
        again = functions.publish_version(FunctionName="f", Description="another")
        assert (again["Version"], again["RevisionId"], again["Description"]) == ("1", first["RevisionId"], "first")
        functions.update_function_configuration(FunctionName="f", Description="changed")
        assert functions.publish_version(FunctionName="f")["Version"] == "2"

    def test_nothing_new_since_what_a_test_made(self, aws: Standin, functions: Any) -> None:
        arn = layer(functions)
        aws.make_function(HERE, "f", [arn], versions=[[], [arn]])
        assert functions.publish_version(FunctionName="f")["Version"] == "2"
        aws.make_function(HERE, "f", [], versions=[[], [arn]])
        assert functions.publish_version(FunctionName="f")["Version"] == "3"

    def test_publishing_changes_the_revision_of_latest(self, functions: Any) -> None:
        def revision() -> str:
            found: str = functions.get_function_configuration(FunctionName="f")["RevisionId"]
            return found

        before = revision()
        functions.publish_version(FunctionName="f", RevisionId=before)
        after = revision()
        assert after != before
        functions.publish_version(FunctionName="f", RevisionId=after)  # makes none
        assert revision() == after

    def test_numbers_do_not_come_again(self, functions: Any) -> None:
        functions.publish_version(FunctionName="f")
        functions.delete_function(FunctionName="f", Qualifier="1")
        assert functions.publish_version(FunctionName="f")["Version"] == "2"
        listed = functions.list_versions_by_function(FunctionName="f")["Versions"]
        assert [one["Version"] for one in listed] == ["$LATEST", "2"]

    def test_another_hash_than_expected(self, functions: Any) -> None:
        mine = functions.get_function_configuration(FunctionName="f")["CodeSha256"]
        assert refusal(functions.publish_version, FunctionName="f", CodeSha256="other") == (
            400, "InvalidParameterValueException",
            f"CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({mine}). Please try again with the "
            "CodeSHA256 in $LATEST.",
        )  # fmt: skip
        assert functions.publish_version(FunctionName="f", CodeSha256=mine)["Version"] == "1"

    def test_active_at_once_without_snapstart_and_pending_with_it(self, aws: Standin, functions: Any) -> None:
        aws.options.update_reads = 1
        assert state(functions.publish_version(FunctionName="f")) == ("Active", "Successful")
        aws.make_function(HERE, "f", SnapStart={"ApplyOn": "PublishedVersions"})
        assert state(functions.publish_version(FunctionName="f")) == ("Pending", None)
        functions.get_waiter("published_version_active").wait(
            FunctionName="f", Qualifier="1", WaiterConfig={"Delay": 0}
        )
        assert state(functions.get_function_configuration(FunctionName="f")) == ("Active", "Successful")

    def test_each_uses_storage(self, functions: Any) -> None:
        before = functions.get_account_settings()["AccountUsage"]
        functions.publish_version(FunctionName="f")
        after = functions.get_account_settings()["AccountUsage"]
        assert after["TotalCodeSize"] == 2 * before["TotalCodeSize"] > 0
        assert after["FunctionCount"] == before["FunctionCount"] == 1

    def test_deletion(self, aws: Standin, functions: Any) -> None:
        aws.make_function(HERE, "f", versions=[[], [], []])
        aws.make_alias(HERE, "f", "live", "1", weights={"2": 0.1})
        delete = partial(functions.delete_function, FunctionName="f")
        for number in ("1", "2"):
            assert refusal(delete, Qualifier=number) == (
                409, "ResourceConflictException",
                "Unable to delete version because the following aliases reference it: [live]",
            )  # fmt: skip
        assert refusal(delete, Qualifier="$LATEST")[:2] == (400, "InvalidParameterValueException")
        assert status(delete(Qualifier="3")) == 204
        assert [one["Version"] for one in aws.functions(HERE)[0]["versions"]] == ["1", "2"]
        delete()
        assert aws.functions(HERE) == []


class TestAliases:
    @pytest.fixture(autouse=True)
    def _function(self, aws: Standin) -> None:
        aws.make_function(HERE, "f", versions=[[], []])

    def create(self, functions: Any, name: str = "live", version: str = "1", **more: Any) -> Any:
        return functions.create_alias(FunctionName="f", Name=name, FunctionVersion=version, **more)

    def test_life(self, functions: Any) -> None:
        made = self.create(functions, Description="d", RoutingConfig={"AdditionalVersionWeights": {"2": 0.2}})
        assert status(made) == 201
        assert made["AliasArn"] == f"{ARN}:live"
        got = functions.get_alias(FunctionName="f", Name="live")
        for told in (made, got):
            told.pop("ResponseMetadata")
        assert made == got
        assert got["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.2}}
        kept = functions.update_alias(FunctionName="f", Name="live", Description="e")
        assert (kept["FunctionVersion"], kept["RoutingConfig"]) == ("1", got["RoutingConfig"])
        assert kept["RevisionId"] != got["RevisionId"]
        none: dict[str, Any] = {"AdditionalVersionWeights": {}}
        moved = functions.update_alias(FunctionName="f", Name="live", FunctionVersion="2", RoutingConfig=none)
        assert moved["FunctionVersion"] == "2"
        assert "RoutingConfig" not in moved
        assert status(functions.delete_alias(FunctionName="f", Name="live")) == 204
        assert status(functions.delete_alias(FunctionName="f", Name="live")) == 204
        assert functions.list_aliases(FunctionName="f")["Aliases"] == []

    def test_lists(self, functions: Any) -> None:
        for name, version in (("b", "1"), ("a", "2"), ("latest", "$LATEST")):
            self.create(functions, name, version)
        listed = functions.list_aliases(FunctionName="f")["Aliases"]
        assert [one["Name"] for one in listed] == ["a", "b", "latest"]
        only = functions.list_aliases(FunctionName="f", FunctionVersion="2")["Aliases"]
        assert [one["Name"] for one in only] == ["a"]
        first = functions.list_aliases(FunctionName="f", MaxItems=2)
        rest = functions.list_aliases(FunctionName="f", MaxItems=2, Marker=first["NextMarker"])
        assert [one["Name"] for one in rest["Aliases"]] == ["latest"]

    def test_an_old_revision(self, functions: Any) -> None:
        old = self.create(functions)["RevisionId"]
        new = functions.update_alias(FunctionName="f", Name="live", Description="e")["RevisionId"]
        call = partial(functions.update_alias, FunctionName="f", Name="live", FunctionVersion="2")
        assert refusal(call, RevisionId=old) == (412, "PreconditionFailedException", STALE)
        assert functions.get_alias(FunctionName="f", Name="live")["FunctionVersion"] == "1"
        assert call(RevisionId=new)["FunctionVersion"] == "2"

    def test_what_is_not_there(self, functions: Any) -> None:
        assert refusal(functions.get_alias, FunctionName="f", Name="no") == (
            404, "ResourceNotFoundException", f"Cannot find alias arn: {ARN}:no",
        )  # fmt: skip
        assert refusal(functions.update_alias, FunctionName="f", Name="no") == (
            404, "ResourceNotFoundException", f"Alias not found: {ARN}:no",
        )  # fmt: skip
        missing = (404, "ResourceNotFoundException", f"Function not found: {ARN}:9")
        assert refusal(self.create, functions, version="9") == missing
        self.create(functions)
        assert refusal(functions.update_alias, FunctionName="f", Name="live", FunctionVersion="9") == missing
        other = partial(functions.create_alias, FunctionName="none", Name="live", FunctionVersion="1")
        assert refusal(other)[2] == f"Function not found: {ARN[:-1]}none:1"

    def test_what_is_there_already(self, functions: Any) -> None:
        self.create(functions)
        assert refusal(self.create, functions) == (
            409, "ResourceConflictException", f"Alias already exists: {ARN}:live",
        )  # fmt: skip

    def test_a_number_is_no_name(self, functions: Any) -> None:
        assert self.create(functions, "2024-01-02")["Name"] == "2024-01-02"
        assert refusal(self.create, functions, "2024")[2] == (
            "1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
        )

    @pytest.mark.parametrize(
        ("version", "weights", "words"),
        [
            ("1", {"1": 0.5}, "Function version 1 is already included in routing configuration."),
            ("1", {"2": 0.1, "3": 0.1}, "Number of items in AdditionalVersionWeights cannot be greater than 1"),
            ("$LATEST", {"1": 0.5}, "$LATEST is not supported for an alias pointing to more than 1 version"),
            ("1", {"$LATEST": 0.5}, "Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights' failed"),
            ("1", {"2": 2.0}, "Map value must satisfy constraint: [Member must have value less than or equal to 1.0"),
            ("1", {"9": 0.5}, f"Function not found: {ARN}:9"),
        ],
    )
    def test_weights_that_cannot_be(
        self, aws: Standin, functions: Any, version: str, weights: dict[str, float], words: str
    ) -> None:
        routing = {"AdditionalVersionWeights": weights}
        assert words in refusal(self.create, functions, version=version, RoutingConfig=routing)[2]
        assert aws.functions(HERE)[0]["aliases"] == []


def test_the_state_has_functions(aws: Standin) -> None:
    aws.make_function(HERE, "f", versions=[[]], environment={"PYTHONPATH": "/opt"}, architecture="arm64")
    aws.make_alias(HERE, "f", "live", "1")
    [found] = aws.state()["functions"]
    assert (found["account"], found["region"], found["FunctionName"]) == (ACCOUNT, HERE, "f")
    assert found["Environment"] == {"Variables": {"PYTHONPATH": "/opt"}}
    assert (found["Architectures"], found["versions"][0]["Version"]) == (["arm64"], "1")
    assert found["aliases"][0]["Name"] == "live"
    aws.reset()
    assert aws.state()["functions"] == []


@pytest.mark.integration
def test_the_aws_cli_sees_the_same(
    aws: Standin, functions: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (("ACCESS_KEY_ID", "testing"), ("SECRET_ACCESS_KEY", "testing"), ("ENDPOINT_URL", aws.url)):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    def cli(*arguments: str) -> Any:
        given = [str(tools("aws", AWS_CLI) / "aws"), *arguments, "--region", HERE, "--output", "json"]
        said = subprocess.run(given, check=True, capture_output=True, text=True).stdout
        return json.loads(said or "null")

    arn = layer(functions)
    aws.make_function(HERE, "f", versions=[[]] * 60)
    cli("lambda", "update-function-configuration", "--function-name", "f", "--layers", arn)
    made = cli("lambda", "publish-version", "--function-name", "f")
    assert (made["Version"], made["Layers"][0]["Arn"]) == ("61", arn)
    cli("lambda", "create-alias", "--function-name", "f", "--name", "live", "--function-version", "61",
        "--routing-config", "AdditionalVersionWeights={1=0.1}")  # fmt: skip
    assert cli("lambda", "get-function", "--function-name", "f:live")["Configuration"]["Version"] == "61"
    listed = cli("lambda", "list-functions", "--function-version", "ALL")["Functions"]
    assert [one["Version"] for one in listed] == ["$LATEST", *map(str, range(1, 62))]
    [alias] = aws.functions(HERE)[0]["aliases"]
    assert cli("lambda", "list-aliases", "--function-name", "f")["Aliases"] == [alias]
    cli("ssm", "put-parameter", "--name", "/p/a", "--value", "v", "--type", "String")
    assert [one["Name"] for one in cli("ssm", "get-parameters-by-path", "--path", "/p")["Parameters"]] == ["/p/a"]
