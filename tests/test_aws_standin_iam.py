"""The AWS stand-in lets a role do what its policy allows, and lets in whom its trust policy trusts."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from aws_standin import Standin, iam, serve
from aws_standin.clients import client
from test_arns_tools import python as tools
from test_aws_standin import ACCOUNT, OTHER, ZIP, refusal
from test_publish import AWS_CLI

HERE = "us-east-1"
LAYER = f"arn:aws:lambda:{HERE}:{ACCOUNT}:layer"
FUNCTION = f"arn:aws:lambda:{HERE}:{ACCOUNT}:function"
PARAMETER = f"arn:aws:ssm:{HERE}:{ACCOUNT}:parameter"
WHO = f"arn:aws:sts::{ACCOUNT}:assumed-role/publisher/test"
GITHUB = "token.actions.githubusercontent.com"
ROLE = f"arn:aws:iam::{OTHER}:role/ci/publish"
SUBJECT = "repo:me/layers:environment:layers"
NEW_SUBJECT = "repo:me@1/layers@2:environment:layers"  # of repositories made since 2026-07-15: github/docs#45221


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Action": action, "Resource": resource, **more}


@pytest.fixture
def aws() -> Iterator[Standin]:
    with serve(rate=0) as running:
        yield running


Callers = Callable[..., Any]


@pytest.fixture
def caller(aws: Standin) -> Iterator[Callers]:
    """A client of a service, of a role with these statements."""
    made = []

    def make(service: str, *statements: dict[str, Any]) -> Any:
        key = aws.role(ACCOUNT, "publisher", policy(*statements) if statements else {})
        made.append(client(aws, service, key=key, parameter_validation=False))
        return made[-1]

    yield make
    for one in made:
        one.close()


def denied(action: str, resource: str) -> tuple[int, str, str]:
    words = f"User: {WHO} is not authorized to perform: {action} on resource: {resource} because no identity-based "
    return 403, "AccessDeniedException", f"{words}policy allows the {action} action"


class TestLambda:
    def test_nothing_is_allowed_by_nothing(self, aws: Standin, caller: Callers) -> None:
        functions = caller("lambda")
        publish = partial(functions.publish_layer_version, LayerName="l", Content={"ZipFile": ZIP})
        assert refusal(publish) == denied("lambda:PublishLayerVersion", f"{LAYER}:l")
        assert refusal(functions.list_layers) == denied("lambda:ListLayers", "*")
        assert aws.layers(HERE) == []
        assert {call.status for call in aws.log} == {403}

    def test_a_layer_by_name(self, caller: Callers) -> None:
        functions = caller("lambda", allow("lambda:PublishLayerVersion", f"{LAYER}:mine"))
        publish = partial(functions.publish_layer_version, Content={"ZipFile": ZIP})
        assert publish(LayerName="mine")["Version"] == 1
        assert publish(LayerName=f"{LAYER}:mine")["Version"] == 2
        assert refusal(publish, LayerName="other") == denied("lambda:PublishLayerVersion", f"{LAYER}:other")
        assert refusal(publish, LayerName="mine2")[1] == "AccessDeniedException"

    def test_a_version_is_another_resource_than_its_layer(self, caller: Callers) -> None:
        """GetLayerVersion on …:layer:NAME alone is the commonest mistake."""
        wide = allow(["lambda:PublishLayerVersion"], f"{LAYER}:*")
        narrow = caller("lambda", wide, allow("lambda:GetLayerVersion", f"{LAYER}:mine"))
        narrow.publish_layer_version(LayerName="mine", Content={"ZipFile": ZIP})
        get = {"LayerName": "mine", "VersionNumber": 1}
        assert refusal(narrow.get_layer_version, **get) == denied("lambda:GetLayerVersion", f"{LAYER}:mine:1")
        enough = caller("lambda", allow("lambda:Get*", f"{LAYER}:mine:*"))
        assert enough.get_layer_version(**get)["Version"] == 1
        assert enough.get_layer_version_by_arn(Arn=f"{LAYER}:mine:1")["Version"] == 1
        assert refusal(enough.delete_layer_version, **get) == denied("lambda:DeleteLayerVersion", f"{LAYER}:mine:1")

    @pytest.mark.parametrize(
        ("action", "call"),
        [
            ("ListLayers", {}), ("ListLayerVersions", {"LayerName": "mine"}), ("ListFunctions", {}),
            ("GetAccountSettings", {}),
        ],
    )  # fmt: skip
    def test_lists_are_about_everything(self, caller: Callers, action: str, call: dict[str, str]) -> None:
        """ "If there is no value for this column, you must specify all resources ("*")"."""
        names = {"ListLayers": "list_layers", "ListLayerVersions": "list_layer_versions",
                 "ListFunctions": "list_functions", "GetAccountSettings": "get_account_settings"}  # fmt: skip
        narrow = caller("lambda", allow(f"lambda:{action}", [f"{LAYER}:*", f"{FUNCTION}:*"]))
        assert refusal(getattr(narrow, names[action]), **call) == denied(f"lambda:{action}", "*")
        getattr(caller("lambda", allow(f"lambda:{action}")), names[action])(**call)

    def test_qualified_calls(self, aws: Standin, caller: Callers) -> None:
        aws.make_function(HERE, "f", versions=[[]])
        aws.make_alias(HERE, "f", "live", "1")
        functions = caller(
            "lambda", allow("lambda:GetFunctionConfiguration", [f"{FUNCTION}:f", f"{FUNCTION}:f:live"])
        )
        get = functions.get_function_configuration
        assert get(FunctionName="f")["Version"] == "$LATEST"
        assert get(FunctionName="f", Qualifier="live")["Version"] == "1"
        for named in ({"FunctionName": "f", "Qualifier": "1"}, {"FunctionName": f"{FUNCTION}:f:1"}):
            assert refusal(get, **named) == denied("lambda:GetFunctionConfiguration", f"{FUNCTION}:f:1")

    def test_a_layer_that_is_added_must_be_readable(self, aws: Standin, caller: Callers) -> None:
        for name in ("a", "b"):
            client(aws).publish_layer_version(LayerName=name, Content={"ZipFile": ZIP})
        aws.make_function(HERE, "f", [f"{LAYER}:a:1"])
        update = allow("lambda:UpdateFunctionConfiguration", f"{FUNCTION}:f")
        call = {"FunctionName": "f", "Layers": [f"{LAYER}:a:1", f"{LAYER}:b:1"]}
        change = caller("lambda", update).update_function_configuration
        assert refusal(change, **call) == denied("lambda:GetLayerVersion", f"{LAYER}:b:1")
        change(FunctionName="f", Layers=[f"{LAYER}:a:1"])
        allowed = caller("lambda", update, allow("lambda:GetLayerVersion", f"{LAYER}:b:1"))
        assert len(allowed.update_function_configuration(**call)["Layers"]) == 2

    def test_the_layers_of_an_update_are_a_condition(self, aws: Standin, caller: Callers) -> None:
        """Lambda developer guide: "enforce layer use … with the lambda:Layer condition"."""
        for name in ("a", "b"):
            client(aws).publish_layer_version(LayerName=name, Content={"ZipFile": ZIP})
        aws.make_function(HERE, "f")
        functions = caller(
            "lambda", allow("lambda:GetLayerVersion"),
            allow("lambda:UpdateFunctionConfiguration",
                  Condition={"ForAllValues:StringLike": {"lambda:Layer": [f"{LAYER}:a:*"]}}),
        )  # fmt: skip
        change = partial(functions.update_function_configuration, FunctionName="f")
        assert len(change(Layers=[f"{LAYER}:a:1"])["Layers"]) == 1
        assert refusal(change, Layers=[f"{LAYER}:b:1"])[1] == "AccessDeniedException"
        assert "Layers" not in change(Layers=[])

    def test_another_accounts_layer_needs_both_sides(self, aws: Standin, caller: Callers) -> None:
        theirs = client(aws, key=OTHER)
        arn = theirs.publish_layer_version(LayerName="l", Content={"ZipFile": ZIP})["LayerVersionArn"]
        get = {"Arn": arn}
        assert "no identity-based" in refusal(caller("lambda").get_layer_version_by_arn, **get)[2]
        reader = caller("lambda", allow("lambda:GetLayerVersion", arn))
        assert "no resource-based" in refusal(reader.get_layer_version_by_arn, **get)[2]
        theirs.add_layer_version_permission(
            LayerName="l", VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal=ACCOUNT
        )
        assert reader.get_layer_version_by_arn(**get)["Version"] == 1


class TestOthers:
    def test_parameters_by_name(self, caller: Callers) -> None:
        mine = caller("ssm", allow(["ssm:PutParameter", "ssm:GetParameters"], f"{PARAMETER}/layerkit/*"))
        mine.put_parameter(Name="/layerkit/a", Value="v", Type="String")
        assert mine.get_parameters(Names=["/layerkit/a"])["Parameters"][0]["Value"] == "v"
        code, words = refusal(mine.get_parameters, Names=["/layerkit/a", "/b"])[1:]
        assert (code, words) == denied("ssm:GetParameters", f"{PARAMETER}/b")[1:]
        assert refusal(mine.delete_parameter, Name="/layerkit/a")[0] == 400  # JSON 1.1

    @pytest.mark.parametrize(
        ("path", "resource", "refused"),
        [
            ("/layerkit", f"{PARAMETER}/layerkit", False),
            ("/layerkit/", f"{PARAMETER}/layerkit/", False),
            ("/layerkit", f"{PARAMETER}/layerkit/*", True),
            ("/", f"{PARAMETER}/", False),
            ("/", f"{PARAMETER}/*", False),
        ],
    )
    def test_a_path_is_authorised_itself(self, caller: Callers, path: str, resource: str, refused: bool) -> None:
        parameters = caller("ssm", allow("ssm:GetParametersByPath", resource))
        if refused:
            code, words = refusal(parameters.get_parameters_by_path, Path=path)[1:]
            assert (code, words) == denied("ssm:GetParametersByPath", f"{PARAMETER}/layerkit")[1:]
        else:
            assert parameters.get_parameters_by_path(Path=path)["Parameters"] == []

    def test_objects(self, aws: Standin, caller: Callers) -> None:
        aws.make_bucket("b", HERE, versioning=True)
        arn = "arn:aws:s3:::b"
        objects = caller("s3", allow("s3:PutObject", f"{arn}/layerkit/*"))
        assert refusal(objects.put_object, Bucket="b", Key="other", Body=b"x") == (
            403, "AccessDenied",
            f'User: {WHO} is not authorized to perform: s3:PutObject on resource: "{arn}/other" because no '
            "identity-based policy allows the s3:PutObject action",
        )  # fmt: skip
        made = objects.put_object(Bucket="b", Key="layerkit/x", Body=b"x")
        version = {"Bucket": "b", "Key": "layerkit/x", "VersionId": made["VersionId"]}
        assert refusal(objects.head_object, Bucket="b", Key="layerkit/x")[0] == 403
        reader = caller("s3", allow("s3:GetObject", f"{arn}/*"))
        assert reader.head_object(Bucket="b", Key="layerkit/x")["ContentLength"] == 1
        assert refusal(reader.delete_object, **version)[0] == 403
        assert "s3:GetObjectVersion" in refusal(reader.get_object, **version)[2]
        assert "s3:DeleteObjectVersion" in refusal(reader.delete_object, **version)[2]
        caller("s3", allow("s3:DeleteObjectVersion", f"{arn}/*")).delete_object(**version)
        assert aws.objects("b") == {}

    def test_whose_the_bucket_is(self, aws: Standin, caller: Callers) -> None:
        aws.make_bucket("mine", HERE)
        aws.make_bucket("theirs", HERE, account=OTHER)
        own = {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
        put = caller("s3", allow("s3:PutObject", Condition=own)).put_object
        put(Bucket="mine", Key="k", Body=b"x")
        for bucket in ("theirs", "none"):
            assert "no identity-based policy" in refusal(put, Bucket=bucket, Key="k", Body=b"x")[2]

    def test_an_absent_object_is_a_secret_from_who_may_not_list(self, aws: Standin, caller: Callers) -> None:
        aws.make_bucket("b", HERE)
        get = allow("s3:GetObject", "arn:aws:s3:::b/*")
        call = {"Bucket": "b", "Key": "none"}
        assert refusal(caller("s3", get).head_object, **call)[0] == 403
        assert refusal(caller("s3", get, allow("s3:ListBucket", "arn:aws:s3:::b")).head_object, **call)[0] == 404

    def test_parts_and_buckets_are_called_otherwise(self, aws: Standin, caller: Callers) -> None:
        aws.make_bucket("b", HERE)
        objects = caller("s3", allow("s3:PutObject", "arn:aws:s3:::b/*"))
        upload = objects.create_multipart_upload(Bucket="b", Key="k")["UploadId"]
        part = objects.upload_part(Bucket="b", Key="k", UploadId=upload, PartNumber=1, Body=b"x")
        call = {"Bucket": "b", "Key": "k", "UploadId": upload}
        assert "s3:AbortMultipartUpload" in refusal(objects.abort_multipart_upload, **call)[2]
        assert "s3:ListMultipartUploadParts" in refusal(objects.list_parts, **call)[2]
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        objects.complete_multipart_upload(**call, MultipartUpload=parts)
        assert "s3:ListBucket " in refusal(objects.list_objects_v2, Bucket="b")[2]
        assert "s3:ListBucketMultipartUploads" in refusal(objects.list_multipart_uploads, Bucket="b")[2]
        assert "s3:GetBucketLocation" in refusal(objects.get_bucket_location, Bucket="b")[2]
        assert refusal(objects.head_bucket, Bucket="b")[0] == 403
        assert refusal(objects.list_buckets)[2] == (
            f"User: {WHO} is not authorized to perform: s3:ListAllMyBuckets because no identity-based policy allows "
            "the s3:ListAllMyBuckets action"
        )

    def test_who_publishes_from_a_bucket_must_read_it(self, aws: Standin, caller: Callers) -> None:
        aws.make_bucket("b", HERE)
        client(aws, "s3").put_object(Bucket="b", Key="k", Body=ZIP)
        publish = allow("lambda:PublishLayerVersion")
        call = {"LayerName": "l", "Content": {"S3Bucket": "b", "S3Key": "k"}}
        assert refusal(caller("lambda", publish).publish_layer_version, **call) == (
            403, "AccessDeniedException",
            "Your access has been denied by S3, please make sure your request credentials have permission to "
            "GetObject for b/k. S3 Error Code: AccessDenied. S3 Error Message: Access Denied",
        )  # fmt: skip
        reader = caller("lambda", publish, allow("s3:GetObject", "arn:aws:s3:::b/k"))
        assert reader.publish_layer_version(**call)["Version"] == 1

    def test_the_log_tells_what_each_call_needs(self, aws: Standin, caller: Callers) -> None:
        aws.make_bucket("bucket", HERE, versioning=True)
        version = client(aws, "s3").put_object(Bucket="bucket", Key="k", Body=ZIP)["VersionId"]
        content = {"S3Bucket": "bucket", "S3Key": "k", "S3ObjectVersion": version}
        arn = client(aws).publish_layer_version(LayerName="l", Content=content)["LayerVersionArn"]
        aws.make_function(HERE, "f")
        for _ in "ab":
            client(aws).update_function_configuration(FunctionName="f", Layers=[arn])
        client(aws, "sts").get_caller_identity()
        refusal(caller("lambda").list_layers)
        change = ("lambda:UpdateFunctionConfiguration", f"{FUNCTION}:f")
        assert [call.needs for call in aws.log] == [
            (("s3:PutObject", "arn:aws:s3:::bucket/k"),),
            (("lambda:PublishLayerVersion", f"{LAYER}:l"), ("s3:GetObjectVersion", "arn:aws:s3:::bucket/k")),
            (change, ("lambda:GetLayerVersion", arn)), (change,), (), (("lambda:ListLayers", "*"),),
        ]  # fmt: skip

    def test_regions(self, caller: Callers) -> None:
        assert refusal(caller("account").list_regions) == denied(
            "account:ListRegions", f"arn:aws:account::{ACCOUNT}:account"
        )
        assert caller("account", allow("account:ListRegions")).list_regions()["Regions"]
        status, code, words = refusal(caller("ec2").describe_regions)
        assert (status, code) == (403, "UnauthorizedOperation")
        assert words.startswith("You are not authorized to perform this operation. User: ")
        assert caller("ec2", allow("ec2:DescribeRegions")).describe_regions()["Regions"]

    def test_who_am_i_needs_nothing(self, caller: Callers) -> None:
        assert caller("sts").get_caller_identity()["Arn"] == WHO

    def test_whoever_has_no_role_may_do_all(self, aws: Standin) -> None:
        assert client(aws).list_layers()["Layers"] == []


def verdict(statements: list[dict[str, Any]], action: str, resource: str, **context: tuple[str, ...]) -> str:
    role = iam.role(f"arn:aws:iam::{ACCOUNT}:role/r", {"policy": policy(*statements)})
    known = {key.replace("_", ":", 1): values for key, values in context.items()}
    return iam.verdict(role.policy, action, resource, known)


class TestPolicies:
    def test_deny_wins(self, caller: Callers) -> None:
        functions = caller("lambda", allow("*"), allow("lambda:ListLayers", Effect="Deny"))
        assert functions.list_functions()["Functions"] == []
        assert refusal(functions.list_layers)[2] == (
            f"User: {WHO} is not authorized to perform: lambda:ListLayers on resource: * with an explicit deny in an "
            "identity-based policy"
        )

    @pytest.mark.parametrize(
        ("pattern", "arn", "meets"),
        [
            ("*", "*", True), ("arn:*", "*", False), (f"{LAYER}:*", "*", False), ("*", f"{LAYER}:a:1", True),
            (f"{LAYER}:a", f"{LAYER}:a:1", False), (f"{LAYER}:a:*", f"{LAYER}:a:1", True),
            (f"{LAYER}:a:*", f"{LAYER}:a", False), (f"{LAYER}:a*", f"{LAYER}:ab:1", True),
            (f"{LAYER}:a?:1", f"{LAYER}:ab:1", True), (f"{LAYER}:a?:1", f"{LAYER}:a:1", False),
            (f"arn:aws:lambda:*:{ACCOUNT}:layer:a", f"{LAYER}:a", True),
            ("arn:aws:lambda:*:layer:a", f"{LAYER}:a", False), ("arn:aws:lambda:*", f"{LAYER}:a", True),
            (f"{LAYER}:A", f"{LAYER}:a", False), ("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y:z", True),
        ],
    )  # fmt: skip
    def test_resources(self, pattern: str, arn: str, meets: bool) -> None:
        assert verdict([allow("lambda:X", pattern)], "lambda:X", arn) == ("Allow" if meets else "")

    def test_actions_are_no_matter_of_case(self) -> None:
        assert verdict([allow("LAMBDA:publish*")], "lambda:PublishVersion", "*") == "Allow"
        assert verdict([allow("lambda:Publish")], "lambda:PublishVersion", "*") == ""

    def test_all_but(self) -> None:
        but = [{"NotAction": "lambda:Delete*", "NotResource": f"{LAYER}:a:*"}]
        assert verdict(but, "lambda:X", f"{LAYER}:b:1") == "Allow"
        assert verdict(but, "lambda:DeleteX", f"{LAYER}:b:1") == ""
        assert verdict(but, "lambda:X", f"{LAYER}:a:1") == ""

    @pytest.mark.parametrize(
        ("operator", "wanted", "values", "meets"),
        [
            ("StringEquals", "a", ("a",), True), ("StringEquals", ["b", "a"], ("a",), True),
            ("StringEquals", "a*", ("ab",), False), ("StringLike", "a*", ("ab",), True),
            ("StringEquals", "a", (), False), ("StringEqualsIfExists", "a", (), True),
            ("StringNotEquals", "a", ("b",), True), ("StringNotEquals", ["a", "b"], ("b",), False),
            ("StringNotEquals", "a", (), True), ("StringEqualsIgnoreCase", "A", ("a",), True),
            ("ForAnyValue:StringLike", ["a*", "b*"], ("x", "by"), True),
            ("ForAnyValue:StringLike", "a*", ("x",), False), ("ForAnyValue:StringEquals", "a", (), False),
            ("ForAllValues:StringLike", "a*", ("ab", "ac"), True),
            ("ForAllValues:StringLike", "a*", ("ab", "b"), False), ("ForAllValues:StringEquals", "a", (), True),
            ("ArnLike", "arn:aws:lambda:*:1:layer:a", ("arn:aws:lambda:x:1:layer:a",), True),
        ],
    )  # fmt: skip
    def test_conditions(self, operator: str, wanted: Any, values: tuple[str, ...], meets: bool) -> None:
        statement = allow("x:Y", Condition={operator: {"aws:RequestedRegion": wanted}})
        assert verdict([statement], "x:Y", "*", aws_RequestedRegion=values) == ("Allow" if meets else "")

    @pytest.mark.parametrize("condition", [{"Bool": {"aws:SecureTransport": "true"}}, {"StringEquals": {"x:y": "z"}}])
    def test_a_condition_that_is_not_known_refuses(self, condition: Any) -> None:
        assert verdict([allow("x:Y", Condition=condition)], "x:Y", "*") == ""
        assert verdict([allow("x:Y"), allow("x:Y", Effect="Deny", Condition=condition)], "x:Y", "*") == "Deny"

    def test_the_region_of_a_call(self, aws: Standin) -> None:
        where = {"StringEquals": {"aws:RequestedRegion": ["eu-west-1"]}}
        key = aws.role(ACCOUNT, "publisher", policy(allow("lambda:*", Condition=where)))
        assert client(aws, region="eu-west-1", key=key).list_layers()["Layers"] == []
        assert refusal(client(aws, key=key).list_layers)[:2] == (403, "AccessDeniedException")

    def test_whose_a_layer_is(self, aws: Standin, caller: Callers) -> None:
        theirs = client(aws, key=OTHER).publish_layer_version(LayerName="l", Content={"ZipFile": ZIP})
        mine = client(aws).publish_layer_version(LayerName="l", Content={"ZipFile": ZIP})
        own = {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
        get = caller("lambda", allow("lambda:GetLayerVersion", Condition=own)).get_layer_version_by_arn
        assert get(Arn=mine["LayerVersionArn"])["Version"] == 1
        assert "no identity-based policy" in refusal(get, Arn=theirs["LayerVersionArn"])[2]

    @given(st.text("ab:*?", max_size=6), st.text("ab:", max_size=6))
    def test_a_pattern_without_signs_is_itself(self, pattern: str, text: str) -> None:
        assert iam.like(text, text)
        assert iam.like("*", text)
        if not set(pattern) & {"*", "?"}:
            assert iam.like(pattern, text) == (pattern == text)
        if iam.arn_like(pattern, text):
            assert iam.like(pattern, text)  # segments only ever narrow

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            ({"Version": "2008-10-17", "Statement": [allow("a:B")]}, "Version of 2012-10-17"),
            ({"Version": "2012-10-17", "Statement": []}, "it has statements"),
            (policy({"Action": "a:B"}), "must contain resources"),
            (policy({"Resource": "*"}), "must contain actions"),
            (policy(allow("a:B", Sid="not-one")), "alpha-numeric"),
            (policy(allow("a:B", Sid="One"), allow("a:B", Sid="One")), "no Sid twice"),
            (policy(allow("a:B", Effect="allow")), "is no statement"),
            (policy(allow("a:B", Principal="*")), "no Principal"),
            (policy(allow("a:B", "${aws:username}")), "policy variables"),
            (policy(allow("a:B", ["x" * 100] * 70)), "Cannot exceed quota for PolicySize: 6144"),
        ],
    )
    def test_documents_that_iam_would_not_take(self, aws: Standin, document: Any, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            aws.role(ACCOUNT, "publisher", document)

    def test_a_document_may_be_text(self, aws: Standin) -> None:
        key = aws.role(ACCOUNT, "publisher", json.dumps(policy(allow("lambda:ListLayers"))))
        assert client(aws, key=key).list_layers()["Layers"] == []


def trust(*, provider: str = GITHUB, effect: str = "Allow", **conditions: Any) -> dict[str, Any]:
    return {
        "Effect": effect, "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": f"arn:aws:iam::{OTHER}:oidc-provider/{provider}"},
        **({"Condition": {operator.replace("_", ":"): keys for operator, keys in conditions.items()}}
           if conditions else {}),
    }  # fmt: skip


def whole(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


STRICT = trust(
    StringEquals={
        f"{GITHUB}:aud": "sts.amazonaws.com",
        f"{GITHUB}:sub": [SUBJECT, NEW_SUBJECT],
    }
)


def token(**claims: Any) -> str:
    given = {
        "iss": f"https://{GITHUB}", "aud": "sts.amazonaws.com", "sub": SUBJECT, "exp": int(time.time()) + 300,
        **claims,
    }  # fmt: skip

    def part(document: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part(given)}.c2lnbmF0dXJl"


class TestWebIdentity:
    def standin(self, *statements: dict[str, Any], **role: Any) -> Standin:
        document = {"trust": whole(*statements), "policy": policy(allow("lambda:ListLayers")), **role}
        return serve(rate=0, roles={ROLE: document})

    def assume(self, aws: Standin, web: str, **named: Any) -> Any:
        sts = client(aws, "sts", signature_version=UNSIGNED, parameter_validation=False)
        try:
            call = {"RoleArn": ROLE, "RoleSessionName": "run-1", "WebIdentityToken": web, **named}
            return sts.assume_role_with_web_identity(**call)
        finally:
            sts.close()

    def of(self, aws: Standin, credentials: Any, service: str) -> Any:
        return boto3.client(
            service, region_name=HERE, endpoint_url=aws.url, aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"), config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip

    def test_credentials_of_the_roles_account(self) -> None:
        with self.standin(STRICT) as aws:
            made = self.assume(aws, token())
            arn = f"arn:aws:sts::{OTHER}:assumed-role/publish/run-1"
            assert made["AssumedRoleUser"]["Arn"] == arn
            assert made["SubjectFromWebIdentityToken"] == SUBJECT
            until = aws.world.sessions[made["Credentials"]["AccessKeyId"]].until
            assert made["Credentials"]["Expiration"].timestamp() == int(until)
            who = self.of(aws, made["Credentials"], "sts").get_caller_identity()
            assert (who["Arn"], who["Account"]) == (arn, OTHER)
            functions = self.of(aws, made["Credentials"], "lambda")
            assert functions.list_layers()["Layers"] == []
            assert refusal(functions.list_functions)[2].startswith(f"User: {arn} is not authorized to perform: ")
            [call] = aws.calls("AssumeRoleWithWebIdentity")
            assert (call.status, call.service, call.resource) == (200, "sts", ROLE)

    @pytest.mark.parametrize("subject", [SUBJECT, NEW_SUBJECT])
    def test_both_forms_of_githubs_subject(self, subject: str) -> None:
        with self.standin(STRICT) as aws:
            assert self.assume(aws, token(sub=subject))["Credentials"]

    @pytest.mark.parametrize(
        "claims",
        [
            {"sub": "repo:me/layers:environment:other"}, {"sub": "repo:you/layers:environment:layers"},
            {"sub": SUBJECT.upper()}, {"aud": "https://github.com/me"}, {"sub": None}, {"azp": "somebody"},
        ],
    )  # fmt: skip
    def test_whom_it_does_not_trust(self, claims: dict[str, Any]) -> None:
        with self.standin(STRICT) as aws:
            assert refusal(self.assume, aws, token(**claims)) == (
                403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            )  # fmt: skip

    @pytest.mark.parametrize(
        ("statements", "trusted"),
        [
            ([trust()], True),
            ([trust(StringLike={f"{GITHUB}:sub": "repo:me/*"})], True),
            ([trust(StringEquals={f"{GITHUB}:sub": "repo:me/*"})], False),
            ([trust(ForAnyValue_StringEquals={f"{GITHUB}:aud": ["sts.amazonaws.com", "x"]})], True),
            ([trust(StringEquals={f"{GITHUB}:aud": "sts.amazonaws.com"}, StringLike={f"{GITHUB}:sub": "x"})], False),
            ([trust(StringEquals={f"{GITHUB}:repository": "me/layers"})], True),
            ([trust(StringEquals={f"{GITHUB}:repository_id": "2"})], False),  # the token has none
            ([trust(StringEquals={f"{GITHUB}:head_ref": "x"})], False),  # no key of AWS's
            ([trust(StringEquals={"another.example:sub": SUBJECT})], False),
            ([trust(), trust(effect="Deny", StringLike={f"{GITHUB}:sub": "repo:me/*"})], False),
            ([trust(StringLike={f"{GITHUB}:sub": "x"}), trust(StringLike={f"{GITHUB}:sub": "repo:*"})], True),
            ([{**trust(), "Action": "sts:AssumeRole"}, trust(StringLike={f"{GITHUB}:sub": "x"})], False),
        ],
    )
    def test_trust_policies(self, statements: list[dict[str, Any]], trusted: bool) -> None:
        with self.standin(*statements) as aws:
            if trusted:
                assert self.assume(aws, token(repository="me/layers", head_ref="x"))["Credentials"]
            else:
                assert refusal(self.assume, aws, token(repository="me/layers", head_ref="x"))[1] == "AccessDenied"

    def test_what_is_not_there(self) -> None:
        with self.standin(STRICT) as aws:
            other = ROLE.replace("publish", "none")
            assert refusal(self.assume, aws, token(), RoleArn=other)[1] == "AccessDenied"
            assert refusal(self.assume, aws, token(iss="https://gitlab.com")) == (
                400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://gitlab.com",
            )  # fmt: skip
            assert (
                refusal(self.assume, aws, token(), RoleArn=ROLE.replace(OTHER, ACCOUNT))[1] == "InvalidIdentityToken"
            )

    def test_tokens_that_are_none(self) -> None:
        with self.standin(STRICT) as aws:
            for wrong in ("not.a.token", "token", "a.b"):
                assert refusal(self.assume, aws, wrong)[:2] == (400, "InvalidIdentityToken")
            status, code, words = refusal(self.assume, aws, token(exp=1))
            assert (status, code) == (400, "ExpiredTokenException")
            assert words.startswith("Token expired: current date/time ")

    def test_how_long(self) -> None:
        with self.standin(STRICT, longest=7200) as aws:
            assert self.assume(aws, token(), DurationSeconds=7200)["Credentials"]
            assert refusal(self.assume, aws, token(), DurationSeconds=7201)[1:] == (
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
            for seconds in (899, 43_201):
                assert refusal(self.assume, aws, token(), DurationSeconds=seconds)[1] == "ValidationError"
            assert refusal(self.assume, aws, token(), RoleSessionName="a b")[1] == "ValidationError"

    def test_credentials_without_their_token_or_after_their_end(self) -> None:
        with self.standin(STRICT) as aws:
            made = self.assume(aws, token())["Credentials"]
            bare = {key: value for key, value in made.items() if key != "SessionToken"}
            for wrong in (bare, {**made, "SessionToken": "another"}, {**made, "AccessKeyId": "ASIAUNKNOWN"}):
                assert refusal(self.of(aws, wrong, "lambda").list_layers) == (
                    403, "UnrecognizedClientException", "The security token included in the request is invalid.",
                )  # fmt: skip
            key = made["AccessKeyId"]
            session = aws.world.sessions[key]
            aws.world.sessions[key] = iam.Session(role=session.role, name=session.name, token=session.token, until=1)
            assert refusal(self.of(aws, made, "lambda").list_layers)[1] == "ExpiredTokenException"

    def test_faults_meet_it(self) -> None:
        with self.standin(STRICT) as aws:
            aws.fault("AssumeRoleWithWebIdentity", "InternalFailure")
            with pytest.raises(ClientError, match="InternalFailure"):
                self.assume(aws, token())

    def test_other_calls_without_credentials_are_refused_still(self) -> None:
        with self.standin(STRICT) as aws:
            sts = client(aws, "sts", signature_version=UNSIGNED)
            with pytest.raises(ClientError, match="MissingAuthenticationToken"):
                sts.get_caller_identity()
            sts.close()

    def test_boto3_does_it_by_itself(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with self.standin(STRICT) as aws:
            self.surroundings(monkeypatch, tmp_path, aws.url)
            session = boto3.Session(region_name=HERE)
            assert session.client("lambda").list_layers()["Layers"] == []
            assert session.client("sts").get_caller_identity()["Account"] == OTHER

    def surroundings(self, monkeypatch: pytest.MonkeyPatch, folder: Path, url: str) -> None:
        (folder / "token").write_text(token())
        for name, value in (
            ("ROLE_ARN", ROLE), ("WEB_IDENTITY_TOKEN_FILE", folder / "token"), ("ENDPOINT_URL", url),
            ("ROLE_SESSION_NAME", "run-1"), ("CONFIG_FILE", folder / "none"),
            ("SHARED_CREDENTIALS_FILE", folder / "none"),
        ):  # fmt: skip
            monkeypatch.setenv(f"AWS_{name}", str(value))

    @pytest.mark.integration
    def test_so_does_the_aws_cli(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with self.standin(STRICT) as aws:
            self.surroundings(monkeypatch, tmp_path, aws.url)
            program = tools("aws", AWS_CLI) / "aws"
            monkeypatch.setenv("HOME", str(tmp_path))  # it keeps credentials in ~/.aws/cli/cache

            def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
                given = [str(program), *arguments, "--region", HERE, "--output", "json"]
                return subprocess.run(given, check=False, capture_output=True, text=True)

            who = json.loads(cli("sts", "get-caller-identity").stdout)
            assert who["Arn"] == f"arn:aws:sts::{OTHER}:assumed-role/publish/run-1"
            refused = cli("lambda", "list-functions")
            assert refused.returncode != 0
            assert (
                "(AccessDeniedException) when calling the ListFunctions operation: User: arn:aws:" in refused.stderr
            )


@pytest.mark.parametrize(
    ("arn", "document"),
    [
        ("publish", {}),
        (ROLE, {"trusted": {}}),
        (ROLE, {"trust": whole({**STRICT, "Resource": "*"})}),
        (ROLE, {"trust": "[]"}),
    ],
)
def test_roles_that_cannot_be(arn: str, document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"ARN of a role|not known|prohibited|no object"):
        serve(roles={arn: document})


def test_a_program_of_its_own_has_roles_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "roles.json").write_text(json.dumps({ROLE: {"trust": whole(STRICT)}}))
    command = [sys.executable, "-m", "aws_standin", "--update-reads", "1", "--roles", str(tmp_path / "roles.json")]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            sts = client(process.stdout.readline().strip(), "sts", signature_version=UNSIGNED)
            call = {"RoleArn": ROLE, "RoleSessionName": "run-1", "WebIdentityToken": token()}
            assert sts.assume_role_with_web_identity(**call)["Provider"].endswith(GITHUB)
            sts.close()
        finally:
            process.terminate()
