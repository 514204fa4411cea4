"""`layerkit iam-policy`: what it prints for each declaration, that IAM takes it, and that it opens nothing else."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import iam
from conftest import ROOT
from layerkit.cli import granting
from layerkit.cli.granting import COMMANDS, PARTITIONS, iam_policy
from layerkit.errors import ConfigError
from layerkit.granting import actions, documents, policy
from layerkit.granting.request import GrantRequest
from layerkit.granting.trust import GITHUB, Trust, TrustRequest, trust
from layerkit.model import Share
from test_arns_tools import python as tools

ACCOUNT, OTHER = "123456789012", "210987654321"
LAYERS = "version: 1\nlayers:\n  flask: {name: flask-layer, requirements: [Flask]}\n  deps: {requirements: [idna]}\n"
FUNCTIONS = "functions:\n  api: {layers: [flask]}\n  worker: {layers: [deps]}\n"
REGIONS = "publish: {regions: [us-east-1, eu-west-1]}\n"


class Heard:
    """What is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


Grant = Callable[..., dict[str, Any]]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def grant(tmp_path: Path, heard: Heard) -> Grant:
    """The policy for a layers.yaml; each one is held against IAM's grammar."""

    def made(publish: str = REGIONS, more: str = "", **asked: Any) -> dict[str, Any]:
        (tmp_path / "layers.yaml").write_text(LAYERS + more + publish)
        request = GrantRequest(**{"file": tmp_path / "layers.yaml", "account": ACCOUNT, **asked})
        document = documents.granted(request, heard)
        assert iam.mistakes(document) == []
        return document

    return made


def publishing(**keys: Any) -> str:
    return f"publish: {json.dumps({'regions': ['us-east-1'], **keys})}\n"


def statement(document: dict[str, Any], sid: str) -> dict[str, Any]:
    (found,) = [one for one in document["Statement"] if one["Sid"] == sid]
    return dict(found)


PUBLISH = [
    "lambda:DeleteLayerVersion", "lambda:GetAccountSettings", "lambda:GetLayerVersion",
    "lambda:GetLayerVersionPolicy", "lambda:ListLayerVersions", "lambda:PublishLayerVersion",
    "lambda:RemoveLayerVersionPermission",
]  # fmt: skip
ZIPS = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListBucketMultipartUploads", "s3:PutObject"]


def test_what_publishing_without_anything_else_needs(grant: Grant) -> None:
    document = grant()
    assert iam.actions(document) == PUBLISH
    layers = [f"arn:aws:lambda:{region}:{ACCOUNT}:layer:{name}"
              for region in ("us-east-1", "eu-west-1") for name in ("flask-layer", "deps")]  # fmt: skip
    assert [one["Sid"] for one in document["Statement"]] == ["Layers", "LayerVersions", "Everything"]
    assert statement(document, "Layers")["Resource"] == layers
    assert statement(document, "LayerVersions")["Resource"] == [f"{arn}:*" for arn in layers]
    everything = statement(document, "Everything")
    assert everything["Action"] == ["lambda:GetAccountSettings", "lambda:ListLayerVersions"]
    assert everything["Resource"] == ["*"]


@pytest.mark.parametrize(
    ("declared", "asked", "more"),
    [
        ({"share": "private"}, {}, []),
        ({"share": "public"}, {}, ["lambda:AddLayerVersionPermission"]),
        ({"share": {"accounts": [OTHER]}}, {}, ["lambda:AddLayerVersionPermission"]),
        ({"share": {"accounts": [ACCOUNT]}}, {}, []),  # the account itself needs no statement
        ({"share": {"organization": "o-a1b2c3d4e5"}}, {}, ["lambda:AddLayerVersionPermission"]),
        ({"share": "public"}, {"share": Share()}, []),
        ({}, {"share": Share(public=True)}, ["lambda:AddLayerVersionPermission"]),
        ({"parameters": "/layers"}, {}, ["ssm:GetParameters", "ssm:PutParameter"]),
        ({}, {"parameters": "/layers/"}, ["ssm:GetParameters", "ssm:PutParameter"]),
        ({"bucket": "zips"}, {}, [*ZIPS, "s3:DeleteObject"]),
        ({}, {"bucket": "zips"}, [*ZIPS, "s3:DeleteObject"]),
        ({"bucket": {"name": "zips", "keep": True}}, {}, ZIPS),
        ({"bucket": "zips"}, {"versioned": True}, [*ZIPS, "s3:DeleteObjectVersion", "s3:GetObjectVersion"]),
        ({"bucket": {"name": "zips", "keep": True}}, {"versioned": True}, [*ZIPS, "s3:GetObjectVersion"]),
        ({"bucket": {"name": "zips", "mode": "reference"}}, {}, [*ZIPS, "s3:GetObjectVersion"]),
        ({}, {"versioned": True, "publish_version": True, "alias": True}, []),  # of nothing that is done
        ({}, {"all_regions": True}, ["account:ListRegions"]),
        ({}, {"all_regions": True, "partition": "aws-us-gov"}, ["account:ListRegions", "ec2:DescribeRegions"]),
    ],
)  # fmt: skip
def test_only_what_is_declared_is_allowed(
    grant: Grant, declared: dict[str, Any], asked: dict[str, Any], more: Sequence[str]
) -> None:
    if asked.get("partition"):
        declared = declared | {"regions": []}
    assert iam.actions(grant(publishing(**declared), **asked)) == sorted([*PUBLISH, *more])


def test_zips_and_parameters_are_named_as_far_as_they_can_be(grant: Grant) -> None:
    bucket = {"name": "zips-{region}-{account}", "prefix": "ci/layers"}
    document = grant(publishing(regions=["us-east-1", "eu-west-1"], bucket=bucket, parameters="/our/layers"))
    names = [f"arn:aws:s3:::zips-{region}-{ACCOUNT}" for region in ("us-east-1", "eu-west-1")]
    assert statement(document, "Buckets")["Resource"] == names
    assert statement(document, "Objects")["Resource"] == [f"{name}/ci/layers/*.zip" for name in names]
    assert statement(document, "Parameters")["Resource"] == [
        f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/our/layers/{name}/*"
        for region in ("us-east-1", "eu-west-1")
        for name in ("flask-layer", "deps")
    ]
    assert not [one for one in document["Statement"] if "Condition" in one]


def test_in_all_regions_the_region_is_a_wildcard_and_a_bucket_must_be_the_accounts_own(grant: Grant) -> None:
    document = grant(publishing(bucket="zips-{region}"), all_regions=True, layers=("deps",))
    assert statement(document, "Layers")["Resource"] == [f"arn:aws:lambda:*:{ACCOUNT}:layer:deps"]
    assert statement(document, "Account")["Resource"] == [f"arn:aws:account::{ACCOUNT}:account"]
    resource = "arn:aws:s3:::zips-eu-west-1/layerkit/a.zip"
    assert iam.allows(document, "s3:PutObject", resource, {"aws:ResourceAccount": ACCOUNT})
    assert not iam.allows(document, "s3:PutObject", resource, {"aws:ResourceAccount": OTHER})
    assert "Condition" not in statement(document, "Layers")


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-isob-east-1", "aws-iso-b"),
     ("us-iso-east-1", "aws-iso"), ("eusc-de-east-1", "aws-eusc"), ("mx-central-1", "aws")],
)  # fmt: skip
def test_the_partition_is_the_regions(grant: Grant, region: str, partition: str) -> None:
    document = grant(publishing(bucket="zips", parameters="/p"), regions=(region,))
    arns = [arn for one in document["Statement"] for arn in one["Resource"] if arn != "*"]
    assert {arn.split(":")[1] for arn in arns} == {partition}


def test_the_partitions_are_those_that_botocore_knows() -> None:
    import boto3

    session = boto3.Session()
    known = {part: session.get_available_regions("lambda", part) for part in session.get_available_partitions()}
    assert {region: actions.partition_of(region) for names in known.values() for region in names} == {
        region: part for part, names in known.items() for region in names
    }
    assert {*PARTITIONS} == {*actions.partitions()}
    assert COMMANDS == actions.COMMANDS


def test_the_bucket_is_taken_for_one_without_versions_and_that_is_told(grant: Grant, heard: Heard) -> None:
    grant(publishing(bucket="zips"), versioned=True)
    grant(publishing(bucket={"name": "zips", "mode": "reference"}))
    grant(publishing(bucket="zips"), commands=("list",))
    assert heard.notes == []
    grant(publishing(bucket="zips"))
    assert heard.notes == [documents.UNVERSIONED]


@pytest.mark.parametrize(
    ("asked", "tree"), [({}, "/"), ({"parameters": "/our/"}, "/our"), ({"no_parameters": True}, "")]
)
def test_where_pruning_looks_at_parameters(grant: Grant, asked: dict[str, Any], tree: str) -> None:
    document = grant(publishing(parameters="/layers"), commands=("prune",), **asked)
    found = [arn for one in document["Statement"] if one["Sid"] == "ParameterTree" for arn in one["Resource"]]
    assert found == ([f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter{tree}"] if tree else [])
    assert "ssm:DeleteParameter" not in iam.actions(document)
    assert not {"lambda:PublishLayerVersion", "lambda:UpdateFunctionConfiguration"} & {*iam.actions(document)}


def test_pruning_deletes_parameters_only_when_it_is_to_and_only_layerkit_s(grant: Grant) -> None:
    document = grant(publishing(parameters="/our"), commands=("prune",), drop_parameters=True, layers=("deps",))
    found = statement(document, "Parameters")
    arn = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/our/deps/*"
    assert (found["Action"], found["Resource"]) == (["ssm:DeleteParameter"], [arn])


def test_listing_changes_nothing(grant: Grant) -> None:
    verbs = {name.partition(":")[2] for name in iam.actions(grant(commands=("list",), all_regions=True))}
    assert [verb for verb in verbs if not verb.startswith(("List", "Get", "Describe"))] == []


def test_what_attaching_needs(grant: Grant) -> None:
    document = grant(publishing(), FUNCTIONS, commands=("attach",))
    functions = [f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}" for name in ("api", "worker")]
    assert statement(document, "Functions")["Resource"] == functions
    assert iam.allows(document, "lambda:GetLayerVersion", f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:deps:7")
    assert not {"lambda:PublishVersion", "lambda:UpdateAlias", "lambda:PublishLayerVersion"} & {
        *iam.actions(document)
    }
    assert not iam.allows(document, "lambda:UpdateFunctionConfiguration", functions[0] + "x")


def test_attaching_to_named_functions_with_what_follows(grant: Grant) -> None:
    theirs = f"arn:aws:lambda:us-east-1:{OTHER}:layer:powertools"
    asked = {"commands": ("attach",), "functions": ("one", "two", "one"), "publish_version": True, "alias": True}
    document = grant(publishing(), FUNCTIONS, other_layers=(f"{theirs}:94", theirs, f"{theirs}:*"), **asked)
    arns = [f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}" for name in ("one", "two")]
    assert statement(document, "Functions")["Resource"] == arns
    assert {"lambda:PublishVersion", "lambda:UpdateAlias", "lambda:GetAlias"} <= {*iam.actions(document)}
    others = statement(document, "OtherLayers")
    assert (others["Action"], others["Resource"]) == (["lambda:GetLayerVersion"], [f"{theirs}:*"])


def test_several_commands_together_are_what_each_needs(grant: Grant) -> None:
    declared = publishing(share="public", bucket="zips", parameters="/p")
    each = [{*iam.actions(grant(declared, FUNCTIONS, commands=(command,)))} for command in COMMANDS]
    together = grant(declared, FUNCTIONS, commands=COMMANDS)
    assert {*iam.actions(together)} == set().union(*each)
    assert len(iam.actions(together)) == len({*iam.actions(together)})


def test_a_policy_that_iam_does_not_take_is_warned_of(grant: Grant, heard: Heard) -> None:
    regions = [f"eu-west-{number}" for number in range(1, 100)]
    few, many, most = (grant(publishing(regions=regions[:count])) for count in (10, 30, 99))
    assert policy.size(few) <= 6144 < policy.size(many) <= 10240 < policy.size(most)
    assert len(heard.warnings) == 2
    assert (
        f"has {policy.size(many)} characters: too many for a managed policy, which takes 6144; " in heard.warnings[0]
    )
    assert "and an inline policy of a role, which takes 10240" in heard.warnings[1]
    heard.warnings.clear()
    assert policy.size(grant(publishing(regions=regions), all_regions=True)) < 1500
    assert heard.warnings == []


def test_a_size_is_counted_without_white_space() -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Sid": "A", "Action": ["a:B", "a:C"]}]}
    assert policy.size(document) == len(re.sub(r"\s", "", json.dumps(document, indent=4)))


@pytest.mark.parametrize(
    ("declared", "asked", "words"),
    [
        (REGIONS, {"account": ""}, "there is no account"),
        (REGIONS, {"account": "1234"}, "'1234' is not the number of an account"),
        (REGIONS, {"account": "１２３４５６７８９０１２"}, "is not the number of an account"),
        ("", {}, "there is no region"),
        (REGIONS, {"regions": (" ",)}, "names no region"),
        (REGIONS, {"regions": ("us-east-1,*",)}, "'*' is not an AWS region"),
        (REGIONS, {"regions": ("us-east-1", "cn-north-1")}, "an account is in one partition of AWS alone"),
        (REGIONS, {"partition": "aws-cn"}, "an account is in one partition of AWS alone"),
        (REGIONS, {"bucket": "zips"}, "a bucket serves its own alone"),
        (REGIONS, {"bucket": "zips-*"}, "is not the name of a bucket"),
        (REGIONS, {"parameters": "/lay*"}, "is not a prefix of SSM parameters"),
        (REGIONS, {"layers": ("flusk",)}, "there is no layer 'flusk'; did you mean 'flask'?"),
        (REGIONS, {"drop_parameters": True}, "there is no prefix of parameters"),
        (REGIONS, {"commands": ("attach",)}, "there is no function, and layers.yaml declares none"),
        (REGIONS, {"commands": ("attach",), "functions": ("api*",)}, "'api*' is not the name of a function"),
        (REGIONS, {"other_layers": ("arn:aws:lambda:*:123456789012:layer:x",)}, "is not the ARN of a layer"),
    ],
)  # fmt: skip
def test_what_would_open_something_else_is_refused(
    grant: Grant, declared: str, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        grant(declared, **asked)
    assert words in str(caught.value)
    assert caught.value.cure or "did you mean" in words


WORDS = {
    "share", "bucket", "versioned", "unversioned", "discard", "parameters", "every-region", "undescribed", "tree",
    "drop-parameters", "other-layers", "publish-version", "alias",
}  # fmt: skip


def test_every_action_of_the_table_is_for_something() -> None:
    kinds = actions.kinds()
    for one in actions.actions():
        assert one.when, one.name
        assert one.resource in kinds, one.name
    assert {one.resource for one in actions.actions()} == {*kinds}
    assert all(one.when[command] <= WORDS for one in actions.actions() for command in one.when)
    pairs = [(one.name, one.resource) for one in actions.actions()]
    assert len(pairs) == len({*pairs})


# --- the trust policy ---------------------------------------------------------------------------------------------

KNOWN = {"owner_id": "65", "repository_id": "74"}
ACTION = "sts:AssumeRoleWithWebIdentity"


def trusted(**asked: Any) -> Trust:
    repository = {"provider": "github", "account": ACCOUNT, "repository": "octo-org/layers"}
    found = trust(TrustRequest(**{**repository, "environments": ("prod",), **asked}))
    assert iam.mistakes(found.document, trust=True) == []
    return found


def claims(sub: str, issuer: str = GITHUB, **more: str) -> dict[str, str]:
    """What STS sees of a token."""
    found = {"aud": "sts.amazonaws.com", "sub": sub, **more}
    return {f"{issuer}:{name}": value for name, value in found.items()}


def token(
    owner: str = "octo-org", name: str = "layers", environment: str = "prod", ids: tuple[str, str] = ("65", "74"),
    *, new: bool = True, sub: str = "",
) -> dict[str, str]:  # fmt: skip
    """As GitHub makes it: the ids are the repository's own, and a `:` in a value of `sub` is %3A."""
    full = f"{owner}@{ids[0]}/{name}@{ids[1]}" if new else f"{owner}/{name}"
    sub = sub or f"repo:{full}:environment:{environment.replace(':', '%3A')}"
    return claims(sub, repository=f"{owner}/{name}", repository_id=ids[1], environment=environment)


def test_with_ids_the_trust_policy_is_exact() -> None:
    found = trusted(**KNOWN)
    assert found.warning == ""
    assert found.document == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "GitHubActions",
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{GITHUB}:aud": "sts.amazonaws.com",
                        f"{GITHUB}:repository_id": "74",
                        f"{GITHUB}:sub": [
                            "repo:octo-org/layers:environment:prod",
                            "repo:octo-org@65/layers@74:environment:prod",
                        ],
                    }
                },
            }
        ],
    }


@pytest.mark.parametrize("ids", [KNOWN, {}])
@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("environment", ["prod", "prod:eu 1"])
def test_both_forms_of_sub_are_trusted_with_and_without_ids(ids: dict[str, str], new: bool, environment: str) -> None:
    document = trusted(environments=("prod", "prod:eu 1"), **ids).document
    assert iam.allows(document, ACTION, context=token(environment=environment, new=new))


FOREIGN: list[tuple[str, dict[str, str]]] = [
    ("another owner", token(owner="octo-orgs")),
    ("another repository of the owner", token(name="layers2", ids=("65", "75"))),
    ("another environment", token(environment="dev")),
    ("an environment that ends alike", token(environment="x:environment:prod")),
    ("an environment of another repository that looks like the rest",
     token(name="evil", environment="x/layers@74:environment:prod", ids=("65", "75"))),
    ("no environment", token(sub="repo:octo-org@65/layers@74:ref:refs/tags/v1") | {f"{GITHUB}:environment": ""}),
    ("a customised sub of another repository",
     token(name="evil", ids=("65", "75"), sub="repo:octo-org@65/evil@75:ref:refs/heads/x/layers@1:environment:prod")),
    ("another audience", token() | {f"{GITHUB}:aud": "https://github.com/octo-org"}),
    ("another case", token(name="Layers")),
]  # fmt: skip


@pytest.mark.parametrize("ids", [KNOWN, {}])
@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize(("who", "shown"), FOREIGN)
def test_nobody_else_is_trusted(ids: dict[str, str], new: bool, who: str, shown: dict[str, str]) -> None:
    if not new:
        shown = shown | {f"{GITHUB}:sub": re.sub(r"@[0-9]+", "", shown[f"{GITHUB}:sub"])}
    assert not iam.allows(trusted(**ids).document, ACTION, context=shown), who


def test_the_wildcard_alone_would_trust_another_repository() -> None:
    """Why the claims are there: without them, the customised `sub` above is met."""
    document = trusted().document
    condition = document["Statement"][0]["Condition"]
    (shown,) = [one for who, one in FOREIGN if who == "a customised sub of another repository"]
    assert not iam.allows(document, ACTION, context=shown)
    del condition["StringEquals"][f"{GITHUB}:repository"]
    assert iam.allows(document, ACTION, context=shown)


def test_with_ids_a_recycled_name_is_not_trusted_and_without_them_it_is_warned_of() -> None:
    later = token(ids=("9", "10"), new=False)
    assert not iam.allows(trusted(**KNOWN).document, ACTION, context=later)
    found = trusted()
    assert iam.allows(found.document, ACTION, context=later)
    assert "open to whoever gets the name octo-org/layers after a deletion or rename" in found.warning
    assert "gh api repos/octo-org/layers --jq '.owner.id, .id'" in found.warning


NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
IDS = st.integers(1, 10**6).map(str)


@given(owner=NAMES, name=NAMES, environment=TEXT, owner_id=IDS, repository_id=IDS, rest=TEXT, new=st.booleans())
def test_no_token_of_another_repository_is_trusted(
    owner: str, name: str, environment: str, owner_id: str, repository_id: str, rest: str, new: bool
) -> None:
    """Whatever its owner calls it, its environments, and what its customised `sub` has behind its name."""
    ours = (owner, name) == ("octo-org", "layers")
    ids = (owner_id, "75" if repository_id == "74" else repository_id)
    full = f"{owner}@{ids[0]}/{name}@{ids[1]}" if new else f"{owner}/{name}"
    for ending in (f"environment:{environment.replace(':', '%3A')}", rest, f"{rest}/layers@74:environment:prod"):
        shown = token(owner, name, environment, ids, sub=f"repo:{full}:{ending}")
        assert not iam.allows(trusted(**KNOWN).document, ACTION, context=shown)
        assert ours or not iam.allows(trusted().document, ACTION, context=shown)


NO_REPOSITORIES = (
    "octo-org", "octo-org/*", "*/layers", "octo-org/layers/x", "octo-org/..", "octo@65/layers", "-a/b", "a/${b}",
)  # fmt: skip
NO_ENVIRONMENTS = ("prod*", "pro?", "${aws:username}", "", "a\nb", "é", " prod", "x" * 256)
NO_PROJECTS = ("group", "g/*", "g/p:ref", "g//p", "")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"account": ""}, "there is no account"),
        *(({"repository": name}, "is not taken here: OWNER/NAME") for name in NO_REPOSITORIES),
        ({"repository": ""}, "is missing: OWNER/NAME"),
        ({"environments": ()}, "any job of the repository could publish"),
        *(({"environments": (name,)}, "--environment") for name in NO_ENVIRONMENTS),
        ({"owner_id": "65"}, "--repository-id: is missing: a number"),
        ({"repository_id": "74"}, "--owner-id: is missing: a number"),
        ({"owner_id": "6*", "repository_id": "74"}, "--owner-id: '6*' is not taken here"),
        ({"audience": "sts.*"}, "--audience"),
        ({"issuer": "https://example.com"}, "a host without https://"),
        ({"partition": "aws-cn"}, "the ids are needed here"),
        ({"issuer": "token.actions.octo.ghe.com"}, "the ids are needed here"),
        *(({"provider": "gitlab", "repository": name}, "GROUP/PROJECT") for name in NO_PROJECTS),
    ],
)  # fmt: skip
def test_names_that_cannot_be_are_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        trusted(**asked)
    assert words in str(caught.value)


def test_in_china_and_for_other_servers_of_github() -> None:
    found = trusted(partition="aws-cn", **KNOWN).document["Statement"][0]
    assert found["Principal"] == {"Federated": f"arn:aws-cn:iam::{ACCOUNT}:oidc-provider/{GITHUB}"}
    equal = found["Condition"]["StringEquals"]
    assert equal[f"{GITHUB}:aud"] == "sts.amazonaws.com.cn"
    assert f"{GITHUB}:repository_id" not in equal  # AWS knows sub and aud alone there
    other = trusted(issuer="token.actions.octo.ghe.com", audience="own", **KNOWN).document["Statement"][0]
    assert {*other["Condition"]["StringEquals"]} == {
        "token.actions.octo.ghe.com:aud",
        "token.actions.octo.ghe.com:sub",
    }


def test_gitlab_s_tags() -> None:
    document = trusted(provider="gitlab", repository="octo/sub/layers").document
    assert document["Statement"][0]["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/gitlab.com"}

    def shown(sub: str) -> dict[str, str]:
        return claims(sub, "gitlab.com")

    assert iam.allows(document, ACTION, context=shown("project_path:octo/sub/layers:ref_type:tag:ref:v1.2"))
    for other in ("octo/sub/layers:ref_type:branch:ref:v1", "octo/sub/layers:ref_type:tag:ref:1",
                  "octo/sub/layers2:ref_type:tag:ref:v1"):  # fmt: skip
        assert not iam.allows(document, ACTION, context=shown(f"project_path:{other}")), other
    own = trusted(provider="gitlab", repository="a/b", issuer="git.example.com", audience="https://git.example.com")
    assert own.document["Statement"][0]["Condition"]["StringEquals"] == {
        "git.example.com:aud": "https://git.example.com"
    }


# --- the command --------------------------------------------------------------------------------------------------


def layerkit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    none = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    given = [sys.executable, "-m", "layerkit", "iam-policy", *arguments]
    return subprocess.run(given, cwd=folder, env=os.environ | none, capture_output=True, text=True, check=False)


def test_the_document_alone_is_printed_with_and_without_json(tmp_path: Path) -> None:
    (tmp_path / "layers.yaml").write_text(LAYERS + publishing(bucket="zips"))
    plain, as_json = (layerkit(tmp_path, "--account", ACCOUNT, *more) for more in ((), ("--json",)))
    assert (plain.returncode, as_json.returncode) == (0, 0)
    assert json.loads(plain.stdout) == json.loads(as_json.stdout)
    assert iam.mistakes(json.loads(plain.stdout)) == []
    assert plain.stderr.strip() == documents.UNVERSIONED
    assert layerkit(tmp_path, "--account", ACCOUNT, "--quiet").stderr == ""


def test_without_an_account_it_says_how_to_find_it(tmp_path: Path) -> None:
    (tmp_path / "layers.yaml").write_text(LAYERS + REGIONS)
    done = layerkit(tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "aws sts get-caller-identity --query Account --output text" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--repository", "octo-org/layers"], "--repository needs --trust"),
        (["--environment", "production"], "--environment needs --trust"),
        (["--trust", "gitlab", "--environment", "production"], "--environment does nothing with --trust gitlab"),
        (["--trust", "gitlab", "--repository-id", "74"], "--repository-id does nothing with --trust gitlab"),
        (["--trust", "github", "--for", "list"], "--for does nothing with --trust github"),
        (["--trust", "github", "--bucket", "zips"], "--bucket does nothing with --trust github"),
        (["--trust", "gitlab", "flask"], "LAYER does nothing with --trust gitlab"),
        (["--no-parameters", "--drop-parameters"], "exclude each other"),
    ],
)
def test_an_option_that_would_hold_nobody_back_is_refused(arguments: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "layers.yaml").write_text(LAYERS + REGIONS)
    done = layerkit(tmp_path, "--account", ACCOUNT, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_every_option_is_for_the_policy_or_for_trust_or_for_both() -> None:
    both = {"file", "as_json", "quiet", "account", "regions", "all_regions", "partition", "provider"}
    told = {*granting.POLICY, *granting.TRUST}
    assert {one.name for one in iam_policy.params} == told | both
    assert not told & both
    for one in iam_policy.params:
        if one.name in told and one.name != "layers":
            assert granting.OPTIONS.get(one.name, f"--{one.name.replace('_', '-')}") in one.opts


def test_pruning_may_look_at_all_of_ssm_by_name(grant: Grant) -> None:
    assert grant(commands=("prune",), parameters="/") == grant(commands=("prune",))
    with pytest.raises(ConfigError, match="'/' is not a prefix"):
        grant(parameters="/")


def test_a_trust_policy_needs_no_layers_yaml_but_heeds_its_partition(tmp_path: Path) -> None:
    asked = ("--account", ACCOUNT, "--trust", "github", "--repository", "octo-org/layers", "--environment", "prod",
             "--owner-id", "65", "--repository-id", "74")  # fmt: skip
    done = layerkit(tmp_path, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == trusted(**KNOWN).document
    (tmp_path / "layers.yaml").write_text(LAYERS + publishing(regions=["cn-north-1"]))
    assert json.loads(layerkit(tmp_path, *asked).stdout) == trusted(partition="aws-cn", **KNOWN).document


def test_a_trust_policy_that_is_too_long_is_warned_of(tmp_path: Path, heard: Heard) -> None:
    asked = GrantRequest(file=tmp_path / "layers.yaml")
    request = TrustRequest(provider="github", account=ACCOUNT, repository="a/b", owner_id="1", repository_id="2",
                           environments=tuple(f"environment-{number}" for number in range(25)))  # fmt: skip
    document = documents.trusted(request, asked, heard)
    assert policy.size(document) > 2048
    assert len(heard.warnings) == 1
    assert f"has {policy.size(document)} characters, and a role takes 2048" in heard.warnings[0]


def test_both_ways_to_name_regions_are_not_taken_together() -> None:
    context = iam_policy.make_context("iam-policy", ["--all-regions", "--region", "us-east-1"])
    with pytest.raises(click.UsageError, match="exclude each other"):
        iam_policy.invoke(context)


# --- the page -----------------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs/iam.md").read_text()


def test_the_commands_of_the_page_print_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "layers.yaml").write_text(LAYERS + REGIONS)
    lines = [line[2:].partition(" > ")[0] for line in PAGE.splitlines() if line.startswith("$ layerkit iam-policy")]
    assert len(lines) == 5
    for line in lines:
        done = layerkit(tmp_path, *shlex.split(line)[2:])
        assert (done.returncode, done.stderr) == (0, ""), line
        assert iam.mistakes(json.loads(done.stdout), trust="--trust" in line) == [], line


def test_the_page_s_words_on_both_forms_are_the_policy_s() -> None:
    done = trusted(environments=("production",), **KNOWN).document["Statement"][0]
    for sub in done["Condition"]["StringEquals"][f"{GITHUB}:sub"]:
        assert f"`{sub}`" in PAGE
    assert trusted().warning.partition("; ")[2].partition(" tells")[0] in PAGE


def test_the_page_s_commands_of_aws_are_aws_s() -> None:
    """Each operation with all the parameters that it needs, and none that it does not know."""
    import boto3
    from botocore import xform_name

    client = boto3.client("iam", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    operations = {xform_name(name, "-"): name for name in client.meta.service_model.operation_names}
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [shlex.split(line) for line in block.splitlines()]
    assert {line[2] for line in lines} == {"create-open-id-connect-provider", "create-role", "put-role-policy"}
    for _, _, operation, *arguments in lines:
        shape = client.meta.service_model.operation_model(operations[operation]).input_shape
        given = {name.removeprefix("--") for name in arguments[::2]}
        known = {xform_name(name, "-"): name for name in shape.members}
        assert given <= {*known}, operation
        assert {xform_name(name, "-") for name in shape.required_members} <= given, operation


# --- another's view of it -----------------------------------------------------------------------------------------

LINTER = ("parliament==1.6.4", "setuptools<81")


@pytest.mark.integration
def test_a_linter_with_aws_s_own_table_finds_nothing(grant: Grant) -> None:
    """Unknown actions, and resources that are not of the action's type."""
    program = str(tools("parliament", LINTER) / "parliament")

    def findings(document: dict[str, Any]) -> str:
        command = [program, "--json", "--string", json.dumps(document)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return done.stdout

    declared = publishing(share="public", bucket="zips", parameters="/p", regions=["us-east-1"])
    asked: dict[str, Any] = {"publish_version": True, "alias": True, "versioned": True}
    for commands in (*((command,) for command in COMMANDS), COMMANDS):
        for every in (True, False):
            document = grant(declared, FUNCTIONS, commands=commands, all_regions=every, **asked)
            assert findings(document) == "", commands
    document = grant(declared)
    document["Statement"][0]["Action"] = ["lambda:PublishLayerVersions"]
    assert "Unknown action" in findings(document)
    document["Statement"][0] |= {"Action": ["lambda:PublishLayerVersion"], "Resource": ["arn:aws:s3:::zips/x"]}
    assert "RESOURCE_MISMATCH" in findings(document)
