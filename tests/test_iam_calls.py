"""What `layerkit iam-policy` prints is what each command calls: no action is missing, and none is there for nothing.

Each command runs for real, under a role of the stand-in that may do what the printed policy says and nothing else;
then once without each of its actions.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import iam
from aws_standin import REGIONS as ALL
from aws_standin import Call, Standin, serve
from aws_standin.clients import client, zipped
from conftest import RUNTIME
from layerkit.cli import cli
from layerkit.granting import actions
from publishing import CLIENT, FRIEND, Site, as_client, build

ACCOUNT, REGION = "123456789012", "eu-west-1"
LARGE = 51 * 2**20  # bytes; more than a request takes
OLD = {"CompatibleRuntimes": [RUNTIME], "CompatibleArchitectures": ["arm64"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of layerkit."""

    status: int
    said: str
    calls: Sequence[Call]
    printed: str = ""  # of that, on standard output

    @property
    def denied(self) -> list[str]:
        """Calls that the role may not make: 403, and of SSM 400.

        HeadObject is left out: without s3:ListBucket, which nobody needs, an absent object is a 403 as well.
        """
        found = [one for one in self.calls if one.status == (400 if one.service == "ssm" else 403)]
        return [f"{one.service}:{one.operation}" for one in found if one.operation != "HeadObject"]

    @property
    def needs(self) -> set[tuple[str, str]]:
        """What the calls needed of IAM: actions and resources."""
        return {need for one in self.calls for need in one.needs}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A project, its AWS, and layerkit as a role."""

    site: Site

    @property
    def aws(self) -> Standin:
        return self.site.aws

    def layerkit(self, *arguments: str, **environment: str | None) -> Run:
        """The command line in this process."""
        before = len(self.aws.log)
        env = {**CLIENT, "AWS_ACCESS_KEY_ID": "testing", "AWS_ENDPOINT_URL": self.aws.url,
               "LAYERKIT_CACHE_DIR": str(self.site.folder / "cache"), **environment}  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.site.folder)
            done = CliRunner().invoke(cli, arguments, env=env)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Run(status=done.exit_code, said=done.output, printed=done.stdout, calls=self.aws.log[before:])

    def as_job(self, document: dict[str, Any], trust: dict[str, Any], claims: dict[str, str]) -> Run:
        """`publish` in a job that has no keys, but a token with these claims, and a role with both policies."""
        self.aws.role(ACCOUNT, "publisher", document, trust=trust)
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims)]
        token = self.site.folder / "token"
        token.write_text(".".join([*parts, "signature"]))
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        role = {"AWS_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/publisher", "AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}
        return self.layerkit(*PUBLISH.split(), **dict.fromkeys(keys), **role, AWS_REGION=REGION)

    def policy(self, *asked: str) -> dict[str, Any]:
        return self._printed(*asked)

    def trust(self, *asked: str) -> dict[str, Any]:
        return self._printed(*asked, trust=True)

    def _printed(self, *asked: str, trust: bool = False) -> dict[str, Any]:
        """What iam-policy prints on standard output."""
        done = self.layerkit("iam-policy", "--account", ACCOUNT, *asked)
        assert done.status == 0, done.said
        document: dict[str, Any] = json.loads(done.printed)
        assert iam.mistakes(document, trust=trust) == []
        return document

    def as_role(self, document: dict[str, Any], lines: Sequence[str]) -> Run:
        """All lines of a command under a role with this policy; the last one's status."""
        key = self.aws.role(ACCOUNT, "layerkit", document)
        runs = [self.layerkit(*line.split(), AWS_ACCESS_KEY_ID=key) for line in lines]
        calls = [call for one in runs for call in one.calls]
        return Run(status=runs[-1].status, said="".join(one.said for one in runs), calls=calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A command with all that it can be asked, what there is before, and what its policy is printed for."""

    policy: str  # arguments of iam-policy
    lines: tuple[str, ...]  # command lines
    before: Callable[[Standin, Path], object]
    admin: str = ""  # a command line of somebody who may do everything, after that
    large: bool = False
    regions: tuple[str, ...] = (REGION,)  # that the account has
    tried: tuple[str, ...] | None = None  # actions that are taken away; None: each


def changed_on_the_way(aws: Standin, _: Path) -> None:
    """The first version of beta is not what was sent, and is deleted."""
    aws.fault("PublishLayerVersion", "bad-sha", resource="beta")


def bucket_before(aws: Standin, folder: Path, *, versions: bool = False) -> None:
    """An upload in parts of the same object never came to its end; and the first version arrives changed."""
    name = f"zips-{REGION}"
    aws.make_bucket(name, REGION, versions)
    digest = hashlib.sha256((folder / "dist/alpha.zip").read_bytes()).hexdigest()
    given = {"Bucket": name, "Key": f"layerkit/{digest}.zip", "ChecksumAlgorithm": "SHA256"}
    client(aws, "s3", REGION).create_multipart_upload(**given)
    aws.fault("PublishLayerVersion", "bad-sha")


def versioned_before(aws: Standin, folder: Path) -> None:
    bucket_before(aws, folder, versions=True)


def estate(aws: Standin, folder: Path) -> None:
    """Versions of a layer: a function has the oldest, a parameter names the second; and somebody else's layer."""
    ours, theirs = client(aws, region=REGION), client(aws, region=REGION, key=FRIEND)
    made = [_published(ours, "alpha", number) for number in range(4)]
    aws.make_function(REGION, "api", [made[0]], runtime=RUNTIME, architecture="arm64")
    ours.publish_version(FunctionName="api")
    aws.make_alias(REGION, "api", "live", "1")
    client(aws, "ssm", REGION).put_parameter(
        Name=f"/layers/alpha/{RUNTIME}/arm64/2", Value=made[1], Type="String", Overwrite=True
    )
    _published(theirs, "theirs", 0)
    theirs.add_layer_version_permission(LayerName="theirs", VersionNumber=1, StatementId="s", Principal=ACCOUNT,
                                        Action="lambda:GetLayerVersion")  # fmt: skip


def _published(lambda_: Any, name: str, number: int) -> str:
    content = {"ZipFile": zipped({f"python/{name}.py": b"%d" % number})}
    return str(lambda_.publish_layer_version(LayerName=name, Content=content, **OLD)["LayerVersionArn"])


THEIRS = f"arn:aws:lambda:{REGION}:{FRIEND}:layer:theirs"
PUBLISH = "publish --no-verify-imports"
BUCKET = PUBLISH + " --bucket zips-{region}"
SCENES = {
    "publish": Scene(
        policy="--all-regions",
        lines=(f"{PUBLISH} --all-regions",) * 2 + (f"{PUBLISH} --all-regions --share {FRIEND} --prune-shares",),
        before=changed_on_the_way,
    ),
    "publish privately": Scene(
        policy="--share private --region eu-west-1",
        lines=(f"{PUBLISH} --region eu-west-1 --share private",) * 2,
        before=changed_on_the_way,
        admin=f"{PUBLISH} alpha --share public --yes-public",
        tried=("lambda:RemoveLayerVersionPermission",),
    ),
    "publish through a bucket": Scene(
        policy="--bucket zips-{region}",
        lines=(BUCKET, BUCKET, f"{BUCKET} --share {FRIEND}"),
        before=bucket_before,
        large=True,
        tried=(
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:ListBucketMultipartUploads",
            "s3:PutObject",
        ),
    ),
    "publish through a bucket that keeps versions": Scene(
        policy="--bucket zips-{region} --bucket-versions",
        lines=(BUCKET, BUCKET, f"{BUCKET} --share {FRIEND}"),
        before=versioned_before,
        large=True,
        tried=("s3:DeleteObjectVersion", "s3:GetObjectVersion"),
    ),
    "list": Scene(
        policy="--for list --all-regions", lines=("list", "list --all --sizes --all-regions"), before=estate
    ),
    "prune": Scene(
        policy="--for prune --drop-parameters --all-regions",
        lines=("prune --keep 1 --drop-parameters --dry-run", "prune --keep 1 --drop-parameters --yes --all-regions"),
        before=estate,
    ),
    "prune below a prefix": Scene(
        policy="--for prune --parameters /layers --region eu-west-1",
        lines=("prune --keep 1 --yes --parameters /layers",),
        before=estate,
        tried=("ssm:GetParametersByPath",),
    ),
    "prune without SSM": Scene(
        policy="--for prune --no-parameters",
        lines=("prune --keep 1 --yes --no-parameters",),
        before=estate,
        tried=(),
    ),
    "attach": Scene(
        policy=f"--for attach --function api --other-layer {THEIRS}",
        lines=("attach api --layers alpha", f"attach api --layers {THEIRS}:1", "attach api --rollback"),
        before=estate,
    ),
    "attach and publish a version": Scene(
        policy="--for attach --function api --publish-version",
        lines=("attach api --layers alpha --publish-version", "attach api --rollback"),
        before=estate,
        tried=("lambda:GetFunctionConfiguration", "lambda:PublishVersion"),
    ),
    "attach and move an alias": Scene(
        policy="--for attach --function api --alias",
        lines=("attach api --layers alpha --alias live", "attach api --rollback"),
        before=estate,
        tried=("lambda:GetAlias", "lambda:UpdateAlias"),
    ),
}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERKIT_BUILDER", "wheels")
        return build(tmp_path_factory.mktemp("iam") / "built", ["alpha", "beta"], [REGION])


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERKIT_BUILDER", "wheels")
        return build(tmp_path_factory.mktemp("iam") / "large", ["alpha"], [REGION], LARGE)


@pytest.fixture
def stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Scene], Stage]]:
    """Sets a scene."""
    as_client(monkeypatch)
    monkeypatch.setattr("time.sleep", lambda _: None)
    running: list[Standin] = []

    def set_up(scene: Scene) -> Stage:
        source = request.getfixturevalue("large" if scene.large else "built")
        running.append(serve(rate=0, disabled=tuple(sorted(set(ALL).difference(scene.regions)))))
        folder = tmp_path / f"site{len(running)}"
        on = Stage(site=Site.copied(source, folder, running[-1]))
        scene.before(on.aws, folder)
        if scene.admin:
            assert on.layerkit(*scene.admin.split()).status == 0
        return on

    yield set_up
    for aws in running:
        aws.close()


@pytest.mark.parametrize("name", SCENES)
def test_the_policy_is_exactly_what_a_run_calls(name: str, stage: Callable[[Scene], Stage]) -> None:
    scene = SCENES[name]
    on = stage(scene)
    document = on.policy(*scene.policy.split())
    done = on.as_role(document, scene.lines)
    assert (done.status, done.denied) == (0, []), done.said
    assert sorted({action for action, _ in done.needs}) == sorted({*iam.actions(document)})
    own = {"aws:ResourceAccount": ACCOUNT}
    assert [need for need in sorted(done.needs) if not iam.allows(document, *need, own)] == []
    if name.startswith("publish") and not scene.admin:  # which touches every layer that is declared
        assert untouched(document, done.needs) == []


def untouched(document: dict[str, Any], needs: set[tuple[str, str]]) -> list[str]:
    """Resources of a policy that no call was about."""
    return [
        pattern
        for one in document["Statement"]
        for pattern in one["Resource"]
        if not any(action in one["Action"] and iam.matches(pattern, resource) for action, resource in needs)
    ]


def tried(scene: Scene, document: dict[str, Any]) -> list[tuple[str, str]]:
    """Statements and actions that the scene is played without."""
    pairs = [(one["Sid"], action) for one in document["Statement"] for action in one["Action"]]
    return [pair for pair in pairs if scene.tried is None or pair[1] in scene.tried]


def without(document: dict[str, Any], sid: str, action: str) -> dict[str, Any]:
    """The policy without one action of one statement."""
    left = []
    for one in document["Statement"]:
        names = [name for name in one["Action"] if (one["Sid"], name) != (sid, action)]
        left += [one | {"Action": names}] if names else []
    return document | {"Statement": left}


@pytest.mark.parametrize("name", [name for name, scene in SCENES.items() if scene.tried != ()])
def test_without_any_of_its_actions_something_is_refused(name: str, stage: Callable[[Scene], Stage]) -> None:
    """Each in an AWS of its own."""
    scene = SCENES[name]
    document = stage(scene).policy(*scene.policy.split())
    pairs = tried(scene, document)
    assert {action for _, action in pairs} == {*(scene.tried or iam.actions(document))}
    useless = [pair for pair in pairs if not stage(scene).as_role(without(document, *pair), scene.lines).denied]
    assert useless == []


def test_every_action_of_the_table_is_tried(stage: Callable[[Scene], Stage]) -> None:
    """But for the one that is for other partitions, where the stand-in is not."""
    found = set()
    for scene in SCENES.values():
        found |= {*tried(scene, stage(replace(scene, before=nothing, admin="")).policy(*scene.policy.split()))}
    table = {(one.resource, one.name) for one in actions.actions()}
    assert table - found == {("Everything", "ec2:DescribeRegions")}
    assert found <= table


def nothing(_: Standin, __: Path) -> None:
    """Nothing is there before."""


# --- both policies together, as in a job --------------------------------------------------------------------------

GITHUB = "--trust github --repository octo-org/layers --environment production"
IDS = "--owner-id 65 --repository-id 74"
JOB = {
    "iss": "https://token.actions.githubusercontent.com", "aud": "sts.amazonaws.com", "environment": "production",
    "repository": "octo-org/layers", "repository_id": "74", "sub": "repo:octo-org/layers:environment:production",
}  # fmt: skip
NEW = {"sub": "repo:octo-org@65/layers@74:environment:production"}
TAG = {"iss": "https://gitlab.com", "aud": "sts.amazonaws.com", "sub": "project_path:octo/layers:ref_type:tag:ref:v1"}
GITLAB = "--trust gitlab --repository octo/layers"
BRANCH = {"sub": "project_path:octo/layers:ref_type:branch:ref:v1"}
JOBS = Scene(policy="", lines=(), before=nothing, regions=(REGION, "us-east-1"))  # where STS is at home
DEVELOPMENT = {"environment": "dev", "sub": "repo:octo-org@65/layers@74:environment:dev"}


@pytest.mark.parametrize(
    ("asked", "claims"),
    [(f"{GITHUB} {IDS}", JOB), (f"{GITHUB} {IDS}", JOB | NEW), (GITHUB, JOB), (GITHUB, JOB | NEW), (GITLAB, TAG)],
)
def test_a_job_without_keys_publishes(asked: str, claims: dict[str, str], stage: Callable[[Scene], Stage]) -> None:
    on = stage(JOBS)
    done = on.as_job(on.policy(), on.trust(*asked.split()), claims)
    assert (done.status, done.denied) == (0, []), done.said
    assert len(on.aws.versions(REGION, "alpha")) == 1


@pytest.mark.parametrize(
    ("asked", "claims"),
    [(f"{GITHUB} {IDS}", JOB | DEVELOPMENT), (f"{GITHUB} {IDS}", JOB | {"repository_id": "75"}),
     (GITHUB, JOB | NEW | {"repository": "octo-org/other"}), (GITLAB, TAG | BRANCH)],
)  # fmt: skip
def test_another_job_does_not(asked: str, claims: dict[str, str], stage: Callable[[Scene], Stage]) -> None:
    on = stage(JOBS)
    done = on.as_job(on.policy(), on.trust(*asked.split()), claims)
    assert done.status == 16
    assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in done.said
    assert on.aws.layers(REGION) == []
