"""`layerkit publish` from outside, in corners: odd settings of AWS, nobody who listens, a disk that takes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws_standin import Standin, serve
from layerkit.aws.account import Account
from layerkit.console import Console
from layerkit.errors import AwsError, MachineError
from layerkit.publish import published as records
from publishing import CLIENT, REGIONS, Site, as_client, bad_words, build

AWAY = REGIONS[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer, built."""
    folder = tmp_path_factory.mktemp("corners") / "built"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERKIT_BUILDER", "wheels")
        return build(folder, layers=("alpha",))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    as_client(monkeypatch)
    with serve(rate=0) as running:
        yield running


@pytest.fixture
def site(project: Path, aws: Standin, tmp_path: Path) -> Site:
    return Site.copied(project, tmp_path / "site", aws, layers=("alpha",))


def layerkit(site: Site, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "-m", "layerkit", *site.command(*arguments)]
    env = site.environment | environment
    return subprocess.run(given, env=env, capture_output=True, text=True, check=False)


def test_a_region_that_is_down_keeps_no_other_from_being_published_wherever_it_is_named(site: Site) -> None:
    site.aws.fault("*", "down", region=REGIONS[0], times=10**6)
    done = site.run()
    assert done.status == 15, done.said
    assert [len(site.aws.versions(region, "alpha")) for region in REGIONS] == [0, 1]


def test_where_no_region_answers_it_is_told_of_the_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's, between its attempts
    for region in REGIONS:
        site.aws.fault("*", "down", region=region, times=10**6)
    done = site.run()
    assert done.status == 16
    assert f"AWS does not answer in {REGIONS[0]}" in done.said


def test_the_region_of_the_environment_is_the_aws_clis(aws: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert Account.connect(endpoint_url=aws.url).configured_region == "eu-west-3"
    monkeypatch.setenv("AWS_REGION", "")
    assert Account.connect(endpoint_url=aws.url).configured_region == "sa-east-1"


@pytest.mark.parametrize("process", ["echo AKIAIOSFODNN7EXAMPLE", "/not/there", "sh -c 'echo hush >&2; exit 3'"])
def test_a_credential_process_that_gives_none(site: Site, tmp_path: Path, process: str) -> None:
    config = tmp_path / "config"
    config.write_text(f"[profile work]\ncredential_process = {process}\n")
    none = {name: "" for name in CLIENT if name.startswith("AWS_S") or "KEY" in name}
    done = layerkit(site, "--profile", "work", **none | {"AWS_CONFIG_FILE": str(config)})
    assert done.returncode == 16, done.stderr
    assert "work: no credentials for AWS can be had" in done.stderr
    assert "To do: aws configure --profile work" in done.stderr
    assert not [word for word in ("Traceback", "AKIA", "hush") if word in done.stderr]


def test_a_damaged_configuration_is_named(site: Site, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile x\n")
    done = layerkit(site, AWS_CONFIG_FILE=str(config))
    assert done.returncode == 16
    assert f"Unable to parse config file: {config}" in done.stderr


@pytest.mark.parametrize(
    ("name", "url", "status"),
    [("AWS_ENDPOINT_URL_STS", "localhost:1", 16), ("AWS_ENDPOINT_URL_LAMBDA", "http://me:hush@", 16),
     ("AWS_ENDPOINT_URL_SSM", "nonsense", 14)],
)  # fmt: skip
def test_an_endpoint_that_is_no_url(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str, url: str, status: int
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.aws.url)
    monkeypatch.setenv(name, url)
    done = site.run(connect=lambda region: Account.connect(region=region))
    assert done.status == status, done.said
    assert f"the endpoint of {name.rpartition('_')[2].lower()} cannot be used" in done.said
    assert "To do: correct --endpoint-url" in done.said
    assert "hush" not in done.said


def test_regions_are_written_alike_for_both_commands(site: Site) -> None:
    assert site.run(regions=(f"{AWAY}, ",)).status == 0

    def arns(region: str) -> subprocess.CompletedProcess[str]:
        given = [sys.executable, "-m", "layerkit", "arns", "--output", str(site.output), "--region", region, "--json"]
        return subprocess.run(given, cwd=site.folder, capture_output=True, text=True, check=False)

    assert list(json.loads(arns(f"{AWAY}, ").stdout)) == [AWAY]
    assert arns("").returncode == 3  # an unset variable does not ask for all


@pytest.mark.parametrize("option", ["--rate", "--wait-regions"])
def test_what_is_no_number(site: Site, option: str) -> None:
    done = layerkit(site, option, "nan")
    assert done.returncode == 2
    assert "'nan' is not a number" in done.stderr


def test_a_prefix_of_nothing_is_none(site: Site) -> None:
    done = site.run(parameters="/")
    assert done.status == 3
    assert "'/' is not a prefix of SSM parameters" in done.said


def test_nobody_who_listens_keeps_what_is_published_from_being_written_down(site: Site) -> None:
    listening, writing = os.pipe()
    os.close(listening)
    given = [sys.executable, "-m", "layerkit", *site.command()]
    done = subprocess.run(given, env=site.environment, stdout=writing, stderr=writing, check=False)
    os.close(writing)
    assert done.returncode == 0
    assert site.problems(done=True) == []


def test_what_cannot_be_written_down_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MachineError("the disk is full", where="dist", why="No space left", cure="free some space")

    as_json = Console.__init__
    monkeypatch.setattr(Console, "__init__", lambda self, **given: as_json(self, **given | {"as_json": True}))
    monkeypatch.setattr(records, "update", full)
    done = site.run()
    assert done.status == MachineError.exit_code
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    assert "the disk is full" in told["unrecorded"]
    assert [one["layers"][0]["arn"][-8:] for one in told["regions"]] == [":alpha:1", ":alpha:1"]
    assert "error: dist: the disk is full" in done.said
    assert "run it again, which publishes nothing twice" in done.said
    monkeypatch.undo()
    as_client(monkeypatch)
    assert site.run().status == 0
    assert site.problems(done=True) == []


def test_after_an_interruption_it_is_told_what_was_published(site: Site) -> None:
    site.aws.fault("PublishLayerVersion", "slow:0.7", region=AWAY)
    run = site.start()
    while not site.aws.calls("ListLayerVersions", region=AWAY):
        time.sleep(0.01)
    time.sleep(0.3)  # its publish call is under way
    run.send_signal(signal.SIGTERM)
    said, _ = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "version 1 is there, but not as declared yet: interrupted" in said
    assert "interrupted; what was published stays" in said
    assert bad_words(said) == []


def test_certificates_that_cannot_be_read_are_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/none.pem")
    with pytest.raises(AwsError) as caught:
        Account.connect(endpoint_url=site.aws.url.replace("http:", "https:"), region="us-east-1")
    assert "certificate" in caught.value.what
    assert "AWS_CA_BUNDLE" in caught.value.cure


def test_a_throttle_of_who_it_is_is_no_silence(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # botocore's pauses
    site.aws.fault("GetCallerIdentity", "ThrottlingException", times=100)
    with pytest.raises(AwsError) as caught:
        Account.connect(endpoint_url=site.aws.url, region="us-east-1")
    assert "too often" in caught.value.what
