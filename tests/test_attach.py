"""`layerkit attach` on the stand-in for AWS: as its users start it, over real HTTP, and as the AWS CLI sees it."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from aws_standin import Standin, serve
from layerkit.attach import pipeline, record
from layerkit.attach.record import Place
from layerkit.attach.report import Result
from layerkit.attach.request import AttachRequest
from layerkit.aws.account import Account
from layerkit.errors import AwsError, ConfigError, DonePartly, LayerkitError, OperationFailed
from layerkit.model import Share
from layerkit.publish import published
from publishing import AWAY, CLIENT, FRIEND, HOME, Quick, as_client, bad_words
from test_arns_tools import python as tools
from test_publish import AWS_CLI

ACCOUNT, RUNTIME = "123456789012", "python3.12"
PLACE = Place(account=ACCOUNT, region=HOME, function="api")
YAML = f"""\
version: 1
layers:
  flask: {{name: flask-layer, requirements: [flask]}}
  wsgi: {{name: wsgi-layer, requirements: [wsgi]}}
functions:
  api: {{layers: [flask, wsgi]}}
publish: {{regions: [{HOME}]}}
"""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    as_client(monkeypatch)
    with serve(rate=0) as running:
        yield running


@dataclass(slots=True)
class Says:
    said: list[str] = field(default_factory=list)

    def note(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.said.append(f"warning: {message}")


@dataclass(frozen=True, slots=True)
class Office:
    """Somebody's project, and their AWS."""

    folder: Path
    aws: Standin
    says: Says = field(default_factory=Says)

    def attach(self, function: str = "api", *layers: str, **more: Any) -> Result:
        before = AttachRequest(
            function=function, file=self.folder / "layers.yaml", output=self.folder / "dist", layers=layers
        )

        def connect(region: str) -> Account:
            return Account.connect(endpoint_url=self.aws.url, region=region)

        return pipeline.attach(replace(before, **more), connect, self.says, Quick(self.aws).sleep)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "layerkit", "attach", *arguments]
        env = os.environ | CLIENT | {"AWS_ENDPOINT_URL": self.aws.url}
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)

    def publish(
        self,
        name: str,
        *,
        region: str = HOME,
        runtimes: Sequence[str] = (RUNTIME,),
        machine: str = "arm64",
        account: str = "",
        size: int = 1,
    ) -> str:
        """A layer version's ARN."""
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"python/{name}.py", b"\0" * size)
        made = self.client(region, account).publish_layer_version(
            LayerName=name, Content={"ZipFile": stream.getvalue()}, CompatibleRuntimes=list(runtimes),
            CompatibleArchitectures=[machine] if machine else [],
        )  # fmt: skip
        return str(made["LayerVersionArn"])

    def client(self, region: str = HOME, account: str = "") -> Any:
        # the stand-in takes a key that is a number for that account's
        key = {"aws_access_key_id": account, "aws_secret_access_key": "secret"} if account else {}
        return boto3.client("lambda", endpoint_url=self.aws.url, region_name=region, **key)

    def tell(self, *arns: str, **more: Any) -> None:
        """What `layerkit publish` would have written."""
        entries = []
        for arn in arns:
            _, _, _, region, account, _, name, version = arn.split(":")
            given = {"layer": name.removesuffix("-layer"), "runtimes": (RUNTIME,), "architectures": ("arm64",)} | more
            entries.append(
                published.Entry(
                    name=name, account=account, region=region, version=int(version), arn=arn, share=Share(),
                    code_sha256=base64.b64encode(bytes(32)).decode(), **given,
                )
            )  # fmt: skip
        declared = {entry.layer: entry.targets for entry in published.read(self.folder / "dist")}
        published.update(self.folder / "dist", entries, declared=declared)

    @property
    def latest(self) -> dict[str, Any]:
        [found] = self.aws.functions(HOME)
        return dict(found)

    @property
    def layers(self) -> list[str]:
        return [one["Arn"] for one in self.latest.get("Layers", [])]


@pytest.fixture
def office(tmp_path: Path, aws: Standin) -> Office:
    (tmp_path / "layers.yaml").write_text(YAML)
    return Office(tmp_path, aws)


@pytest.fixture
def ready(office: Office) -> Office:
    """flask-layer 1 is attached, 2 is there; wsgi-layer 1 is there; an alias names the one version."""
    first = office.publish("flask-layer")
    office.publish("flask-layer")
    office.publish("wsgi-layer")
    office.aws.make_function(HOME, "api", [first], versions=[[first]], architecture="arm64")
    office.aws.make_alias(HOME, "api", "live", "1")
    return office


def arn(name: str, version: int, region: str = HOME, account: str = ACCOUNT) -> str:
    return f"arn:aws:lambda:{region}:{account}:layer:{name}:{version}"


WRITES = ("UpdateFunctionConfiguration", "PublishVersion", "UpdateAlias")
BUSY = "ResourceConflictException:An update is in progress for resource"
AFTER = [arn("flask-layer", 2), arn("wsgi-layer", 1)]


class TestWhichVersion:
    def test_layers_yaml_says_which_layers_and_aws_has_the_newest(self, ready: Office) -> None:
        result = ready.attach()
        assert ready.layers == list(result.after) == AFTER
        assert ready.says.said == [
            "api: flask-layer 1 -> 2, wsgi-layer new (1)",
            "  flask-layer 2: the newest in AWS for python3.12 and arm64",
            "  wsgi-layer 1: the newest in AWS for python3.12 and arm64",
        ]

    def test_what_is_published_comes_before_what_is_newer(self, ready: Office) -> None:
        ready.publish("flask-layer")
        ready.tell(AFTER[0])
        ready.attach("api", "flask")
        assert ready.layers == AFTER[:1]
        assert ready.says.said[1] == "  flask-layer 2: published.json names it"

    def test_other_targets_entries_are_passed_over(self, ready: Office) -> None:
        ready.publish("flask-layer", machine="x86_64")
        ready.publish("flask-layer", runtimes=["python3.13"])
        ready.tell(arn("flask-layer", 3), architectures=("x86_64",))
        ready.tell(arn("flask-layer", 4), runtimes=("python3.13",))
        ready.attach("api", "flask-layer")
        assert ready.layers == AFTER[:1]

    def test_published_json_knows_the_architecture_where_aws_takes_no_tags(self, ready: Office) -> None:
        ready.publish("flask-layer", machine="")
        ready.tell(arn("flask-layer", 3), tagged=False)
        assert ready.attach("api", "flask").notes == ()
        assert ready.layers == [arn("flask-layer", 3)]

    def test_without_tags_it_is_taken_and_said(self, ready: Office) -> None:
        ready.publish("plain", runtimes=(), machine="")
        result = ready.attach("api", "plain")
        assert ready.layers == [arn("flask-layer", 1), arn("plain", 1)]
        assert result.notes == (
            "plain 1 has no tags that tell which runtimes it is for",
            "plain 1 has no tags that tell which architectures it is for",
        )

    def test_versions_and_arns_are_taken_as_they_are_named(self, ready: Office) -> None:
        theirs = ready.publish("deps", account=FRIEND)
        ready.client(account=FRIEND).add_layer_version_permission(
            LayerName="deps", VersionNumber=1, StatementId="all", Action="lambda:GetLayerVersion", Principal="*"
        )
        ready.attach("api", "flask:2,wsgi-layer", theirs)
        assert ready.layers == [*AFTER, theirs]
        result = ready.attach("api", "flask:1")
        assert ready.layers == [arn("flask-layer", 1), AFTER[1], theirs]
        assert result.notes == ("flask-layer goes back from version 2 to 1",)

    def test_what_cannot_be_had_is_told_at_once(self, ready: Office) -> None:
        theirs = ready.publish("deps", account=FRIEND)
        ready.tell(arn("wsgi-layer", 9))
        ready.publish("other", machine="x86_64")
        with pytest.raises(OperationFailed) as caught:
            ready.attach("api", "flsk,flask:7,flask:1,flask:2,wsgi,other", theirs, arn("deps", 1, "eu-west-1"))
        told = caught.value.why.splitlines()
        assert told[0] == "there is no layer 'flsk' in us-east-1; did you mean 'flask'?"
        assert told[1] == "there is no version 7 of flask-layer in us-east-1"
        assert told[2] == "flask-layer is wanted in two versions, 1 and 2: a function takes one"
        assert told[3].startswith("wsgi-layer 9, which published.json names, is not in us-east-1: publish it again")
        assert told[4].startswith(f"{theirs} cannot be read: AccessDeniedException")
        assert told[5].startswith(f"{arn('deps', 1, 'eu-west-1')} is in eu-west-1, and the function in us-east-1")
        assert told[6].startswith("other 1 is for x86_64, and the function is arm64: build and publish it for that")
        assert len(told) == 7
        assert ready.layers == [arn("flask-layer", 1)]
        assert ready.aws.calls("UpdateFunctionConfiguration") == []

    def test_sizes_of_our_own_zips_are_known_by_their_hash(self, ready: Office) -> None:
        made = ready.client().get_layer_version(LayerName="flask-layer", VersionNumber=2)
        words = ("layer", "name", "description", "license", "runtime", "architecture", "sha256", "inputs")
        lists: dict[str, list[str]] = {key: [] for key in ("distributions", "source", "libraries", "builders")}
        entry = {
            **dict.fromkeys(words, ""), **lists, "file": "flask-layer.zip", "size": 1, "unzipped_size": 262144001,
            "code_sha256": made["Content"]["CodeSha256"], "bytecode": {"compiler": None},
        }  # fmt: skip
        (ready.folder / "dist").mkdir()
        (ready.folder / "dist/manifest.json").write_text(json.dumps({"schema_version": 1, "layers": [entry]}))
        with pytest.raises(OperationFailed) as caught:
            ready.attach("api", "flask")
        assert caught.value.why == (
            "function and layers have at least 262144019 bytes together, unzipped; AWS takes 262144000"
        )

    def test_what_is_too_large_is_refused_by_aws_and_changes_nothing(self, ready: Office) -> None:
        ready.publish("large", size=262143000)
        with pytest.raises(OperationFailed, match="AWS refuses; nothing is changed") as caught:
            ready.attach("api", "large")
        assert "exceeds the maximum allowed size" in caught.value.why
        assert ready.layers == [arn("flask-layer", 1)]


class TestWhichFunction:
    def test_an_arn_names_the_region(self, office: Office) -> None:
        layer = office.publish("flask-layer", region=AWAY)
        office.aws.make_function(AWAY, "api", architecture="arm64")
        result = office.attach(f"arn:aws:lambda:{AWAY}:{ACCOUNT}:function:api", "flask")
        assert result.place.region == AWAY
        [function] = office.aws.functions(AWAY)
        assert [one["Arn"] for one in function["Layers"]] == [layer]
        with pytest.raises(ConfigError, match="is in another region"):
            office.attach(f"arn:aws:lambda:{AWAY}:{ACCOUNT}:function:api", "flask", regions=(HOME,))
        with pytest.raises(ConfigError, match="another account's function"):
            office.attach(f"arn:aws:lambda:{AWAY}:{FRIEND}:function:api", "flask")

    def test_one_region_at_a_time(self, ready: Office) -> None:
        with pytest.raises(ConfigError, match="there are 2: us-east-1, eu-west-1") as caught:
            ready.attach("api", "flask", regions=("us-east-1,eu-west-1",))
        assert caught.value.cure == "name one: --region us-east-1"

    def test_a_function_that_is_not_there_or_not_declared(self, ready: Office) -> None:
        with pytest.raises(OperationFailed, match="there is no function 'apii' in us-east-1; nothing is changed"):
            ready.attach("apii", "flask")
        with pytest.raises(ConfigError, match="no layers to attach") as caught:
            ready.attach("apii")
        assert "did you mean 'api'" in caught.value.why
        (ready.folder / "layers.yaml").unlink()
        assert ready.attach("api", "flask-layer", regions=(HOME,)).changed

    def test_images_and_other_troubles_are_told(self, office: Office) -> None:
        office.publish("flask-layer")
        office.aws.make_function(HOME, "image", image=True)
        with pytest.raises(OperationFailed) as caught:
            office.attach("image", "flask", alias="live")
        assert [line.partition(":")[0] for line in caught.value.why.splitlines()] == [
            "it is a container image, which takes no layers",
            "it has no alias 'live'; make it, to be moved then",
        ]
        office.aws.make_function(HOME, "path", environment={"PYTHONPATH": "lib"}, architecture="arm64")
        with pytest.raises(OperationFailed, match="path cannot be given these layers") as caught:
            office.attach("path", "flask")
        assert "PYTHONPATH is set on it ('lib')" in caught.value.why


class TestOverHttp:
    def test_from_update_to_alias_and_back(self, ready: Office) -> None:
        ready.aws.options.update_reads = 2
        result = ready.attach(alias="live")
        assert (result.version, ready.layers) == ("2", AFTER)
        [alias] = ready.latest["aliases"]
        assert alias["FunctionVersion"] == "2"
        assert [one["Arn"] for one in ready.latest["versions"][1]["Layers"]] == AFTER
        writes = [call.operation for call in ready.aws.writes() if call.operation != "PublishLayerVersion"]
        assert writes == list(WRITES)

        again = ready.attach(alias="live")
        assert not again.changed
        assert len(ready.latest["versions"]) == 2

        ready.attach(rollback=True)
        assert ready.layers == [arn("flask-layer", 1)]
        assert ready.latest["aliases"][0]["FunctionVersion"] == "1"
        assert len(ready.latest["versions"]) == 2
        with pytest.raises(OperationFailed, match="tells of nothing"):
            ready.attach(rollback=True)

    @pytest.mark.parametrize(
        ("operation", "do"),
        [
            *((one, do) for one in WRITES for do in ("drop-after", "late:0.05", BUSY)),
            *((WRITES[0], do) for do in ("drop-before", "TooManyRequestsException", "ServiceException")),
        ],
    )
    def test_a_call_that_fails_is_made_again_or_was_done(self, ready: Office, operation: str, do: str) -> None:
        ready.aws.fault(operation, do)
        result = ready.attach(alias="live")
        ready.aws.settle()
        assert (result.version, ready.layers) == ("2", AFTER)
        assert ready.latest["aliases"][0]["FunctionVersion"] == "2"
        assert len(ready.latest["versions"]) == 2
        ready.aws.fault(operation, do)
        ready.attach(rollback=True)
        ready.aws.settle()
        assert ready.layers == [arn("flask-layer", 1)]
        assert ready.latest["aliases"][0]["FunctionVersion"] == "1"

    def test_an_update_that_ends_badly(self, ready: Office) -> None:
        ready.aws.options.update_reads = 1
        ready.aws.fault("UpdateFunctionConfiguration", "ends-failed:InvalidSecurityGroup:a group is gone")
        with pytest.raises(DonePartly, match="the layers are attached") as caught:
            ready.attach()
        assert "a group is gone" in caught.value.why
        ready.attach(rollback=True)
        assert ready.layers == [arn("flask-layer", 1)]
        assert record.read(ready.folder / "dist") == {}

    def test_a_deleted_version_cannot_be_rolled_back_to(self, ready: Office) -> None:
        ready.attach("api", "flask")
        ready.client().delete_layer_version(LayerName="flask-layer", VersionNumber=1)
        with pytest.raises(OperationFailed, match="AWS refuses; nothing is changed") as caught:
            ready.attach(rollback=True)
        assert f"(deleted: {arn('flask-layer', 1)})" in caught.value.why

    def test_a_deleted_version_that_stays_is_no_obstacle(self, ready: Office) -> None:
        ready.client().delete_layer_version(LayerName="flask-layer", VersionNumber=1)
        ready.attach("api", "wsgi")
        assert ready.layers == [arn("flask-layer", 1), arn("wsgi-layer", 1)]

    def test_an_order_of_names_is_kept_as_it_was(self, ready: Office) -> None:
        ready.attach("api", "wsgi,flask")
        assert ready.layers == AFTER

    def test_credentials_that_are_refused(self, ready: Office) -> None:
        ready.aws.fault("GetFunctionConfiguration", "ExpiredTokenException", times=5)
        with pytest.raises(AwsError, match="nothing is changed"):
            ready.attach()


class TestCommand:
    def test_words_json_and_exit_codes(self, ready: Office) -> None:
        dry = ready.command("api", "--dry-run", "--alias", "live")
        assert (dry.returncode, dry.stdout) == (0, "")
        assert dry.stderr.splitlines()[-1] == (
            "api: plan, nothing is done: updated; alias live: 1 -> the version published then"
        )
        assert ready.layers == [arn("flask-layer", 1)]

        done = ready.command("api", "--alias", "live", "--json")
        assert done.returncode == 0
        told = json.loads(done.stdout)
        assert told["before"] == [arn("flask-layer", 1)]
        assert told["after"] == AFTER == ready.layers
        assert (told["version"], told["alias"]) == ("2", {"name": "live", "before": "1", "after": "2"})
        assert (told["notes"], told["changed"], told["warnings"]) == ([], True, [])
        assert told["layers"][1] == {
            "name": "wsgi-layer", "arn": AFTER[1], "before": None, "after": 1,
            "why": "the newest in AWS for python3.12 and arm64",
        }  # fmt: skip

        quiet = ready.command("api", "--alias", "live", "--quiet")
        assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")

        refused = ready.command("api", "--layers", "nothing")
        assert refused.returncode == OperationFailed.exit_code == 17
        assert "there is no layer 'nothing'" in refused.stderr

        back = ready.command("api", "--rollback")
        assert back.returncode == 0
        assert back.stderr.splitlines()[0] == "api: flask-layer 2 -> 1, wsgi-layer goes (1)"
        assert back.stderr.splitlines()[1].startswith("api: rolled back in ")
        assert back.stderr.splitlines()[1].endswith("; alias live: 2 -> 1")
        assert ready.layers == [arn("flask-layer", 1)]

        nothing = ready.command("api", "--rollback", "--json")
        assert nothing.returncode == 17
        assert json.loads(nothing.stdout)["error"]["kind"] == "OperationFailed"

        ready.aws.fault("PublishVersion", "AccessDeniedException:you may not", times=9)
        partly = ready.command("api", "--publish-version")
        assert partly.returncode == DonePartly.exit_code == 18
        assert "the layers are attached, but what should follow is not done" in partly.stderr
        assert "allow lambda:PublishVersion" in partly.stderr
        assert ready.layers == AFTER
        ready.aws.clear()
        again = ready.command("api", "--publish-version")
        assert again.returncode == 0
        assert "api: layers unchanged; published as version 2" in again.stderr
        runs = (dry, done, quiet, refused, back, nothing, partly, again)
        assert [bad_words(run.stdout + run.stderr) for run in runs] == [[]] * len(runs)

    @pytest.mark.parametrize("more", [("--layers", "flask"), ("--publish-version",), ("--alias", "live")])
    def test_a_rollback_stands_alone(self, ready: Office, more: Sequence[str]) -> None:
        done = ready.command("api", "--rollback", *more)
        assert done.returncode == 2
        assert "--rollback undoes what was done last" in done.stderr
        assert ready.aws.log == [call for call in ready.aws.log if call.operation == "PublishLayerVersion"]

    def test_an_empty_alias_is_none_that_was_forgotten(self, ready: Office) -> None:
        done = ready.command("api", "--alias", "")
        assert done.returncode == ConfigError.exit_code == 3
        assert "'' is no alias's name" in done.stderr
        assert ready.layers == [arn("flask-layer", 1)]
        assert ready.command("api", "--rollback", "--alias", "").returncode == 2

    def test_without_aws(self, ready: Office) -> None:
        done = ready.command("api", "--endpoint-url", "http://127.0.0.1:9")
        assert done.returncode == AwsError.exit_code == 16
        assert bad_words(done.stderr) == []

    def test_a_damaged_record_stops_it_before_anything(self, ready: Office) -> None:
        (ready.folder / "dist").mkdir()
        (ready.folder / "dist" / record.NAME).write_text("{")
        done = ready.command("api")
        assert done.returncode == 9
        assert ready.layers == [arn("flask-layer", 1)]


@pytest.mark.integration
def test_the_aws_cli_sees_what_was_attached(ready: Office) -> None:
    def cli(*arguments: str) -> Any:
        program = tools("aws", AWS_CLI) / "aws"
        given = [str(program), "lambda", *arguments, "--region", HOME, "--output", "json"]
        env = os.environ | CLIENT | {"AWS_ENDPOINT_URL": ready.aws.url}
        return json.loads(subprocess.run(given, check=True, capture_output=True, text=True, env=env).stdout)

    def seen(*qualifier: str) -> list[str]:
        return [
            one["Arn"] for one in cli("get-function-configuration", "--function-name", "api", *qualifier)["Layers"]
        ]

    ready.attach(alias="live")
    assert seen() == seen("--qualifier", "live") == AFTER
    # what others do with it, layerkit sees; and the cure that it names for then does what it says
    cli("update-function-configuration", "--function-name", "api", "--layers", AFTER[1])
    with pytest.raises(LayerkitError) as caught:
        ready.attach(rollback=True)
    command = caught.value.cure.partition("aws lambda ")[2].split()
    cli(*command)
    assert seen() == [arn("flask-layer", 1)]
    ready.attach(rollback=True)
    assert seen("--qualifier", "live") == [arn("flask-layer", 1)]
