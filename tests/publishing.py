"""Publishing to the stand-in for AWS: a built project, runs of it here and in other processes, what must be true."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator

from aws_standin import Call, Standin
from conftest import ROOT, RUNTIME
from layerkit import pipeline as building
from layerkit.aws.account import Account
from layerkit.aws.stop import Stop
from layerkit.builders.wheels import WheelsBuilder
from layerkit.cache import Cache
from layerkit.console import Console
from layerkit.errors import LayerkitError
from layerkit.model import Share
from layerkit.publish import pipeline, report
from layerkit.publish import published as records
from layerkit.publish.request import PublishRequest

REGIONS = ("us-east-1", "eu-west-1")
HOME, AWAY = REGIONS
SESSIONS = threading.local()
FRIEND, ORGANIZATION = "210987654321", "o-a1b2c3d4e5"
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI-K7MDENG-bPxRfiCY",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEJr-the-token",
}
CLIENT = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    **SECRETS,
}
DECLARED = Share(accounts=(FRIEND,), organization=ORGANIZATION)
LAYERS = ("alpha", "beta")
YAML = """\
version: 1
defaults: {{runtimes: [{runtime}], architectures: [arm64]}}
layers:
{layers}publish:
  regions: [{regions}]
  share: {{accounts: ["{friend}"], organization: {organization}}}
  parameters: /layers
"""
SCHEMA = json.loads((ROOT / "toolkit/layerkit/data/published.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def as_client(patch: pytest.MonkeyPatch) -> None:
    """The environment of somebody with credentials, whose secrets must be seen nowhere."""
    for name, value in CLIENT.items():
        patch.setenv(name, value)


class Quick(Stop):
    """A run's switch whose sleeps are short: what AWS does late, it has done after a second of them."""

    def __init__(self, aws: Standin) -> None:
        super().__init__()
        self._aws = aws

    def sleep(self, seconds: float) -> None:
        if seconds >= 1:
            self._aws.settle()
        super().sleep(min(seconds, 0.02))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run at its end."""

    status: int
    said: str
    calls: Sequence[Call] = ()

    @property
    def writes(self) -> list[str]:
        return [f"{one.region} {one.operation}" for one in self.calls if not one.operation.startswith(READS)]


READS = ("Get", "List", "Head", "Describe")


def build(folder: Path, layers: Sequence[str] = LAYERS, regions: Sequence[str] = REGIONS, size: int = 0) -> Path:
    """A project of tiny layers, built; with `size` each has so many bytes that no compression makes smaller."""
    lines = ""
    for name in layers:
        source = folder / "src" / name
        source.mkdir(parents=True)
        (source / f"{name}.py").write_text(f"NAME = {name!r}\n")
        if size:
            (source / "data.bin").write_bytes(os.urandom(size))
        lines += f"  {name}: {{source: src/{name}, description: The layer {name}, license: MIT}}\n"
    text = YAML.format(
        runtime=RUNTIME, layers=lines, regions=", ".join(regions), friend=FRIEND, organization=ORGANIZATION
    )
    (folder / "layers.yaml").write_text(text)
    request = building.BuildRequest(file=folder / "layers.yaml", output=folder / "dist")
    with Console(stream=io.StringIO()) as console:
        building.build(request, WheelsBuilder(), Cache(folder / "cache"), console)
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One project on one machine, with its AWS."""

    folder: Path
    aws: Standin
    layers: Sequence[str] = LAYERS
    regions: Sequence[str] = REGIONS
    more: dict[str, Any] = field(default_factory=dict)  # of every request

    @classmethod
    def copied(cls, built: Path, folder: Path, aws: Standin, **more: Any) -> Site:
        """A copy of a built project, without what was published."""
        shutil.copytree(built, folder, copy_function=_linked)
        return cls(folder=folder, aws=aws, **more)

    @property
    def output(self) -> Path:
        return self.folder / "dist"

    def run(self, stop: Stop | None = None, *, connect: Callable[[str], Account] | None = None, **asked: Any) -> Ran:
        """`layerkit publish` in this thread, with what the command line makes of it."""
        before = len(self.aws.log)
        stream = io.StringIO()
        request = PublishRequest(
            **{"file": self.folder / "layers.yaml", "output": self.output, "imports": False, **self.more, **asked}
        )

        def connected(region: str) -> Account:
            return Account.connect(endpoint_url=self.aws.url, region=region)

        with Console(stream=stream) as console:
            try:
                cache = Cache(self.folder / "cache")
                result = pipeline.publish(request, connect or connected, cache, console, stop or Quick(self.aws))
                console.published(result)
                error = report.failure(result)
                status = error.exit_code if error else 0
            except LayerkitError as error:
                console.failed(error)
                status = error.exit_code
        return Ran(status=status, said=stream.getvalue(), calls=self.aws.log[before:])

    @property
    def known(self) -> Callable[[str], Account]:
        """Makes the account without asking who it is; a thread keeps its session, which costs most of a run."""
        if not hasattr(SESSIONS, "session"):
            SESSIONS.session = boto3.Session()
        session, number = SESSIONS.session, self.aws.options.account

        def make(_region: str) -> Account:  # in a thread of the run's
            return Account(session, number=number, partition="aws", home=HOME, endpoint_url=self.aws.url)

        return make

    def command(self, *arguments: str) -> list[str]:
        """The command line's arguments for this site."""
        file, output = str(self.folder / "layers.yaml"), str(self.output)
        return ["publish", "--file", file, "--output", output, "--no-verify-imports",
                "--endpoint-url", self.aws.url, *arguments]  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | CLIENT | {"LAYERKIT_CACHE_DIR": str(self.folder / "cache")}

    def start(self, *arguments: str, launcher: Sequence[str] = ("-m", "layerkit")) -> subprocess.Popen[str]:
        """`layerkit publish` as a process of its own."""
        command = [sys.executable, *launcher, *self.command(*arguments)]
        return subprocess.Popen(
            command, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def beside(self, name: str, *, cache: bool = True) -> Site:
        """The same project in another folder; with the same cache or, as on another machine, another one."""
        other = self.folder.with_name(name)
        shutil.copytree(self.folder, other, ignore=shutil.ignore_patterns("cache"))
        if cache:
            (other / "cache").symlink_to(self.folder / "cache")
        return replace(self, folder=other)

    def problems(self, *, done: bool) -> list[str]:
        """What is not as it must be after every run; when it is `done`, everything is there."""
        return [*self._versions(done=done), *self._recorded(done=done)]

    def counts(self) -> dict[tuple[str, str], int]:
        """How many versions each layer has in each region."""
        return {
            (region, name): len(self.aws.versions(region, name)) for region in self.regions for name in self.layers
        }

    def _versions(self, *, done: bool) -> list[str]:
        found = []
        for region in self.regions:
            for name in self.layers:
                where, versions = f"{region} {name}", self.aws.versions(region, name)
                if len(versions) > 1 or (done and not versions):
                    found.append(f"{where}: {len(versions)} versions")
                if done and versions:
                    found += [f"{where}: {what}" for what in self._wrong(region, name, versions[-1])]
        return found

    def _wrong(self, region: str, name: str, version: dict[str, Any]) -> list[str]:
        """What a published version lacks."""
        wrong = []
        if version["CodeSha256"] != self._hashes()[name]:
            wrong.append("has other bytes")
        if granted(version) != SHARED:
            wrong.append(f"is shared with {sorted(granted(version))}")
        path, values = f"/layers/{name}/{RUNTIME}/arm64", self.aws.parameters(region)
        told = {last: values.get(f"{path}/{last}") for last in ("latest", str(version["Version"]))}
        wrong += [f"the parameter {last} is {arn}" for last, arn in told.items() if arn != version["LayerVersionArn"]]
        return wrong

    def _hashes(self) -> dict[str, str]:
        files = {name: self.output / f"{name}.zip" for name in self.layers}
        return {name: base64.b64encode(hashlib.sha256(file.read_bytes()).digest()).decode()
                for name, file in files.items()}  # fmt: skip

    def _recorded(self, *, done: bool) -> list[str]:
        """What published.json says that is not so, or does not say; and what else lies beside it."""
        left = [path.name for path in self.output.glob(".*")]
        found = [f"left behind: {name}" for name in left]
        path = self.output / records.NAME
        if not path.exists():
            return [*found, "no published.json"] if done else found
        found += [f"published.json: {error.message}" for error in VALIDATOR.iter_errors(json.loads(path.read_text()))]
        entries = records.read(self.output)
        for entry in entries:
            there = [one for one in self.aws.versions(entry.region, entry.name) if one["Version"] == entry.version]
            if not there:
                found.append(f"{entry.arn} is in published.json alone")
            elif entry.share == DECLARED and granted(there[0]) != SHARED:
                found.append(f"{entry.arn} is in published.json, and is not shared")
        if done and {(one.region, one.layer) for one in entries} != set(self.counts()):
            found.append(f"published.json has {[one.arn for one in entries]}")
        return found


def granted(version: dict[str, Any]) -> set[tuple[str, str]]:
    """Sids and organizations of a version's statements."""
    return {
        (one["Sid"], one.get("Condition", {}).get("StringEquals", {}).get("aws:PrincipalOrgID", ""))
        for one in version["policy"]
    }


SHARED = {(f"layerkit-account-{FRIEND}", ""), (f"layerkit-organization-{ORGANIZATION}", ORGANIZATION)}


def peak_of(calls: Sequence[Callable[[], object]]) -> int:
    """The most bytes that Python had at once while all of these calls were made, each in a thread of its own."""
    threads = [threading.Thread(target=call) for call in calls]
    tracemalloc.start()
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bad_words(said: str) -> list[str]:
    """What no output may hold."""
    return [word for word in (*SECRETS.values(), "Traceback") if word in said]


def _linked(source: str, target: str) -> str:
    """Zips are shared between the copies; whatever is written is another file."""
    if source.endswith(".zip"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)
    return target
