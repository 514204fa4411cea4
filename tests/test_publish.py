"""`layerkit publish` and `layerkit arns` as commands: what they refuse, say and leave, on the stand-in for AWS."""

from __future__ import annotations

import io
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aws_standin import Standin, serve
from conftest import RUNTIME
from elves import Made
from layerkit.aws.account import Account
from layerkit.cache import Cache
from layerkit.console import Console
from layerkit.publish import pipeline
from layerkit.publish.request import PublishRequest
from publishing import FRIEND, REGIONS, Site, as_client, build
from test_arns_tools import python as tools
from test_three_layers import NAMES, clone
from test_three_layers import layerkit as command

AWS_CLI = ("awscli==1.45.11",)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers, built."""
    folder = tmp_path_factory.mktemp("publish") / "built"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERKIT_BUILDER", "wheels")
        return build(folder)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    as_client(monkeypatch)
    with serve() as running:
        yield running


@pytest.fixture
def site(project: Path, aws: Standin, tmp_path: Path) -> Site:
    return Site.copied(project, tmp_path / "site", aws)


def layerkit(site: Site, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line, with the project as its folder."""
    env = site.environment | {"AWS_ENDPOINT_URL": site.aws.url} | environment
    given = [sys.executable, "-m", "layerkit", *arguments]
    return subprocess.run(given, cwd=site.folder, env=env, capture_output=True, text=True, check=False)


def publish(site: Site, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return layerkit(site, "publish", "--no-verify-imports", *arguments, **environment)


def rewrite(site: Site, old: str, new: str) -> None:
    file = site.folder / "layers.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def statements(site: Site, region: str, name: str) -> set[str]:
    return {one["Sid"] for one in site.aws.versions(region, name)[-1]["policy"]}


def test_publishing_says_the_arns_and_the_second_time_changes_nothing(site: Site) -> None:
    first = publish(site)
    assert first.returncode == 0, first.stderr
    for region in REGIONS:
        for name in site.layers:
            assert f"arn:aws:lambda:{region}:123456789012:layer:{name}:1" in first.stderr
    assert "2 layer versions in 2 regions: 4 published" in first.stderr
    assert site.problems(done=True) == []
    before, record = len(site.aws.log), (site.output / "published.json").read_bytes()
    again = publish(site)
    assert again.returncode == 0
    assert "2 layer versions in 2 regions: 4 reused" in again.stderr
    assert {call.operation for call in site.aws.log[before:]} == {
        "GetCallerIdentity", "ListLayerVersions", "GetLayerVersion", "GetLayerVersionPolicy", "GetParameters",
    }  # fmt: skip
    assert (site.output / "published.json").read_bytes() == record


def test_a_plan_is_printed_and_nothing_is_changed(site: Site) -> None:
    done = publish(site, "--dry-run", "--region", "us-east-1")
    assert done.returncode == 0
    assert "alpha  publish  there is no version yet" in done.stderr
    assert "plan, nothing is done: 2 layer versions in 1 region: 2 to publish" in done.stderr
    assert site.aws.writes() == []
    assert not (site.output / "published.json").exists()
    assert not (site.folder / "cache/journal").exists()
    assert publish(site, "alpha", "--region", "us-east-1").returncode == 0
    plan = json.loads(publish(site, "--dry-run", "--json").stdout)
    assert plan["dry_run"]
    actions = {(one["region"], line["name"]): line["action"] for one in plan["regions"] for line in one["plan"]}
    assert actions == {
        ("us-east-1", "alpha"): "reuse", ("us-east-1", "beta"): "publish",
        ("eu-west-1", "alpha"): "publish", ("eu-west-1", "beta"): "publish",
    }  # fmt: skip


def test_the_result_as_json_is_all_of_standard_output(site: Site) -> None:
    data = json.loads(publish(site, "--json").stdout)
    assert (data["ok"], data["account"], data["schema_version"]) == (True, "123456789012", 1)
    [us, eu] = data["regions"]
    assert (us["region"], eu["region"]) == REGIONS
    [alpha, _] = us["layers"]
    assert alpha["status"] == "published"
    assert alpha["arn"] == "arn:aws:lambda:us-east-1:123456789012:layer:alpha:1"
    assert (alpha["runtimes"], alpha["architectures"]) == ([RUNTIME], ["arm64"])
    assert [one["principal"] for one in alpha["share"]["add"]] == [FRIEND, "*"]
    assert alpha["parameters"] == [f"/layers/alpha/{RUNTIME}/arm64/{last}" for last in ("1", "latest")]


def test_quietly_only_failures_are_told(site: Site) -> None:
    assert publish(site, "--quiet").stderr == ""
    site.aws.fault("*", "down", region="eu-west-1")
    done = publish(site, "--quiet", "--wait-regions", "0", "--json")
    assert done.returncode == 15
    assert [one["status"] for one in json.loads(done.stdout)["regions"][1]["layers"]] == ["failed", "failed"]


def test_a_dead_region_keeps_no_other_from_being_published(site: Site) -> None:
    site.aws.fault("ListLayerVersions", "UnrecognizedClientException", region="eu-west-1", times=100)
    done = publish(site)
    assert done.returncode == 15
    assert "eu-west-1       failed  " in done.stderr
    assert "UnrecognizedClientException" in done.stderr
    assert "To do: " in done.stderr
    assert [len(site.aws.versions(region, "alpha")) for region in REGIONS] == [1, 0]
    assert publish(site, "--allow-failed-regions").returncode == 0
    nothing = publish(site, "--region", "eu-west-1", "--allow-failed-regions")
    assert nothing.returncode == 14


def test_github_gets_an_annotation_of_each_failure(site: Site) -> None:
    site.aws.fault("*", "AccessDeniedException", region="eu-west-1", times=100)
    done = publish(site, GITHUB_ACTIONS="true")
    lines = [line for line in done.stderr.splitlines() if line.startswith("::error title=layerkit publish::")]
    assert [line.partition("eu-west-1: ")[2].partition(":")[0] for line in lines] == ["alpha", "beta"]


def test_the_account_is_asked_for_all_its_regions(project: Path, tmp_path: Path, monkeypatch: Any) -> None:
    as_client(monkeypatch)
    with serve(disabled=("af-south-1", "ap-east-1"), rate=0) as aws:
        site = Site.copied(project, tmp_path / "site", aws)
        data = json.loads(publish(site, "alpha", "--all-regions", "--json").stdout)
        names = [one["region"] for one in data["regions"]]
        assert data["ok"]
        assert len(names) == 32
        assert not {"af-south-1", "ap-east-1"} & set(names)
        assert all(len(aws.versions(name, "alpha")) == 1 for name in names)


def test_regions_come_from_the_flag_else_the_file_else_the_configuration(site: Site) -> None:
    regions = [
        one["region"] for one in json.loads(publish(site, "--json", "--region", "eu-north-1").stdout)["regions"]
    ]
    assert regions == ["eu-north-1"]
    rewrite(site, "regions: [us-east-1, eu-west-1]", "regions: []")
    data = json.loads(publish(site, "--json", AWS_DEFAULT_REGION="sa-east-1").stdout)
    assert [one["region"] for one in data["regions"]] == ["sa-east-1"]
    none = publish(site)
    assert none.returncode == 16
    assert "there is no region" in none.stderr
    both = publish(site, "--region", "us-east-1", "--all-regions")
    assert both.returncode == 2
    assert "--region and --all-regions exclude each other" in both.stderr


def test_what_is_not_built_or_changed_or_unsound_is_not_published(site: Site, tmp_path: Path) -> None:
    zip_file = site.output / "beta.zip"
    whole = zip_file.read_bytes()
    zip_file.unlink()
    zip_file.write_bytes(whole + b"more")
    changed = publish(site)
    assert changed.returncode == 13
    assert "zip-changed" in changed.stderr
    manifest = json.loads((site.output / "manifest.json").read_text())
    manifest["layers"] = [one for one in manifest["layers"] if one["name"] != "beta"]
    (site.output / "manifest.json").write_text(json.dumps(manifest))
    absent = publish(site)
    assert absent.returncode == 9
    assert "To do: layerkit build" in absent.stderr
    assert publish(site, "nothing").returncode == 3
    assert site.aws.writes() == []
    assert publish(site, "alpha").returncode == 0  # the other one is as it was built


def test_what_cannot_be_imported_is_not_published(site: Site) -> None:
    broken = site.folder / "src/alpha/alpha.py"
    broken.write_text("import nothing_like_that\n")
    assert layerkit(site, "build", "--builder", "wheels").returncode == 0
    done = layerkit(site, "publish", DOCKER_HOST="tcp://127.0.0.1:9")
    assert done.returncode == 13, done.stderr
    assert site.aws.writes() == []


def test_what_nobody_imported_is_not_published(site: Site) -> None:
    """A binary for the other architecture, and no engine: nobody can import it here."""
    name, machine = ("x86_64", 62) if platform.machine() in ("arm64", "aarch64") else ("arm64", 183)
    (site.folder / "src/alpha/tool.so").write_bytes(Made(machine=machine).content())
    rewrite(site, "architectures: [arm64]", f"architectures: [{name}]")
    assert layerkit(site, "build", "--builder", "wheels").returncode == 0
    done = layerkit(site, "publish", "alpha", DOCKER_HOST="tcp://127.0.0.1:9")
    assert done.returncode == 13, done.stderr
    assert "what these layers hold was not imported" in done.stderr
    assert "--no-verify-imports" in done.stderr
    assert site.aws.writes() == []
    assert publish(site, "alpha", "--region", "us-east-1").returncode == 0


def test_public_wants_consent(site: Site) -> None:
    done = publish(site, "--share", "public")
    assert done.returncode == 3
    assert "--yes-public" in done.stderr
    assert site.aws.calls() == []
    assert publish(site, "--share", "public", "--yes-public", "--region", "us-east-1").returncode == 0
    assert statements(site, "us-east-1", "alpha") == {"layerkit-public"}
    rewrite(site, f'{{accounts: ["{FRIEND}"], organization: o-a1b2c3d4e5}}', "public")
    assert publish(site).returncode == 0
    assert statements(site, "eu-west-1", "beta") == {"layerkit-public"}


def test_sharing_is_a_state(site: Site) -> None:
    assert publish(site).returncode == 0
    assert statements(site, "us-east-1", "alpha") == {
        f"layerkit-account-{FRIEND}", "layerkit-organization-o-a1b2c3d4e5",
    }  # fmt: skip
    client(site).add_layer_version_permission(
        LayerName="alpha", VersionNumber=1, StatementId="mine", Action="lambda:GetLayerVersion",
        Principal="111122223333",
    )  # fmt: skip
    private = publish(site, "--share", "private")
    assert private.returncode == 0
    assert f"no longer shared with: account {FRIEND}, organization o-a1b2c3d4e5" in private.stderr
    assert "it is shared with statement 'mine' (account 111122223333), too" in private.stderr
    assert statements(site, "us-east-1", "alpha") == {"mine"}
    assert publish(site, "--share", "private", "--prune-shares").returncode == 0
    assert site.aws.versions("us-east-1", "alpha")[-1]["policy"] == []
    assert len(site.aws.versions("us-east-1", "alpha")) == 1
    entry = json.loads((site.output / "published.json").read_text())["layers"][0]
    assert entry["share"] == {"public": False, "accounts": [], "organization": None}


def test_another_text_alone_makes_no_version_unless_it_shall(site: Site) -> None:
    assert publish(site).returncode == 0
    rewrite(site, "description: The layer alpha", "description: The first one")
    told = publish(site)
    assert (
        "its description is not that of layers.yaml any more (--republish-texts makes a new version)" in told.stderr
    )
    assert site.counts() == dict.fromkeys(site.counts(), 1)
    assert publish(site, "--republish-texts").returncode == 0
    assert {place: count for place, count in site.counts().items() if count > 1} == {
        ("us-east-1", "alpha"): 2, ("eu-west-1", "alpha"): 2,
    }  # fmt: skip
    assert site.aws.versions("us-east-1", "alpha")[-1]["Description"] == "The first one"


def test_older_bytes_are_found_again(site: Site) -> None:
    first = (site.output / "alpha.zip").read_bytes()
    assert publish(site, "alpha").returncode == 0
    source = site.folder / "src/alpha/alpha.py"
    before = source.read_text()
    source.write_text("NAME = 'other'\n")
    layerkit(site, "build", "--builder", "wheels")
    assert publish(site, "alpha").returncode == 0
    source.write_text(before)
    layerkit(site, "build", "--builder", "wheels")
    assert (site.output / "alpha.zip").read_bytes() == first
    back = publish(site, "alpha", "--region", "us-east-1", "--json")
    [outcome] = json.loads(back.stdout)["regions"][0]["layers"]
    assert outcome["version"] == 1
    assert outcome["notes"] == ["the newest is version 2"]
    latest = site.aws.parameters("us-east-1")[f"/layers/alpha/{RUNTIME}/arm64/latest"]
    assert latest.endswith(":alpha:1")


def test_a_tag_that_a_waiver_covers_is_left_out(project: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """A layer that says arm64 and holds an x86_64 binary, accepted by its owner."""
    as_client(monkeypatch)
    folder = tmp_path / "waived"
    (folder / "src").mkdir(parents=True)
    (folder / "src/one.py").write_text("NAME = 1\n")
    (folder / "src/tool.so").write_bytes(Made(machine=62).content())
    (folder / "layers.yaml").write_text(
        f"version: 1\ndefaults: {{runtimes: [{RUNTIME}], architectures: [arm64]}}\nlayers:\n"
        "  one: {source: src, verify: {waive: {elf-machine: on purpose}}}\n"
    )
    with serve() as aws:
        site = Site(folder=folder, aws=aws, layers=("one",))
        layerkit(site, "build", "--builder", "wheels")
        done = publish(site, "--region", "us-east-1")
        assert done.returncode == 0, done.stderr
        assert "one.zip is published without the architecture tag arm64, which is not true of it" in done.stderr
        [version] = aws.versions("us-east-1", "one")
        assert version.get("CompatibleArchitectures") is None
        assert version["CompatibleRuntimes"] == [RUNTIME]
        assert "1 reused" in publish(site, "--region", "us-east-1").stderr


def test_without_credentials_nothing_is_begun(site: Site) -> None:
    env = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": ""}
    done = publish(site, **env)
    assert done.returncode == 16
    assert "there are no credentials for AWS" in done.stderr
    assert "Traceback" not in done.stderr
    refused = publish(site, AWS_ACCESS_KEY_ID="expired")
    assert refused.returncode == 16
    assert "To do: " in refused.stderr


def test_arns_of_what_is_published(site: Site) -> None:
    nothing = layerkit(site, "arns")
    assert nothing.returncode == 9
    assert "To do: layerkit publish" in nothing.stderr
    assert publish(site).returncode == 0
    assert json.loads(layerkit(site, "arns", "--format", "json").stdout) == {
        region: {name: f"arn:aws:lambda:{region}:123456789012:layer:{name}:1" for name in site.layers}
        for region in sorted(REGIONS)
    }
    one = layerkit(site, "arns", "alpha", "--region", "eu-west-1", "--format", "env")
    assert "arn:aws:lambda:eu-west-1:123456789012:layer:alpha:1" in one.stdout
    assert "beta" not in one.stdout
    assert layerkit(site, "arns", "--region", "eu-west-9").returncode == 3


def test_in_this_process_the_result_is_data(site: Site) -> None:
    request = PublishRequest(file=site.folder / "layers.yaml", output=site.output, imports=False)
    with Console(stream=io.StringIO()) as console:
        result = pipeline.publish(
            request, lambda region: Account.connect(endpoint_url=site.aws.url, region=region),
            Cache(site.folder / "cache"), console,
        )  # fmt: skip
    assert not result.failed
    assert {(one.region, one.candidate.name) for one in result.done} == set(site.counts())


def client(site: Site, region: str = "us-east-1") -> Any:
    import boto3

    return boto3.client("lambda", region_name=region, endpoint_url=site.aws.url)


@pytest.mark.integration
def test_the_aws_cli_sees_what_was_published(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, python312: object
) -> None:
    """The three layers, as built from the index; the other client is AWS's own."""
    as_client(monkeypatch)
    folder = clone(tmp_path / "clone")
    cache = {"LAYERKIT_CACHE_DIR": str(folder / "cache")}
    command(folder, "build", **cache)
    built = {one["name"]: one for one in json.loads((folder / "dist/manifest.json").read_text())["layers"]}
    with serve() as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        given = ("--no-verify-imports", "--region", "eu-west-1", "--share", FRIEND)
        result = command(folder, "publish", *given, **cache)
        assert result["ok"]

        def cli(*arguments: str) -> Any:
            program = tools("aws", AWS_CLI) / "aws"
            given = [str(program), "lambda", *arguments, "--region", "eu-west-1", "--output", "json"]
            return json.loads(subprocess.run(given, check=True, capture_output=True, text=True).stdout)

        listed = {one["LayerName"]: one["LatestMatchingVersion"] for one in cli("list-layers")["Layers"]}
        assert set(listed) == set(NAMES)
        for name in NAMES:
            version = cli("get-layer-version", "--layer-name", name, "--version-number", "1")
            assert version["Content"]["CodeSha256"] == built[name]["code_sha256"]
            assert version["Content"]["CodeSize"] == built[name]["size"]
            assert version["CompatibleRuntimes"] == ["python3.12"]
            assert version["CompatibleArchitectures"] == ["arm64"]
            assert (version["Description"], version["LicenseInfo"]) == (
                built[name]["description"],
                built[name]["license"],
            )
            policy = json.loads(
                cli("get-layer-version-policy", "--layer-name", name, "--version-number", "1")["Policy"]
            )
            [statement] = policy["Statement"]
            assert statement["Principal"] == {"AWS": f"arn:aws:iam::{FRIEND}:root"}
            assert len(cli("list-layer-versions", "--layer-name", name)["LayerVersions"]) == 1
        said = subprocess.run(
            [sys.executable, "-m", "layerkit", "arns", "--format", "json"], cwd=folder, env=os.environ | cache,
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        keys = (name.removesuffix("-layer") for name in NAMES)
        assert json.loads(said) == {"eu-west-1": {key: listed[f"{key}-layer"]["LayerVersionArn"] for key in keys}}
