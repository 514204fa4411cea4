"""`layerkit list` and `layerkit prune` on the stand-in for AWS: an account with layers, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from aws_standin import Standin
from aws_standin.clients import client, zipped
from layerkit.cli import cli
from layerkit.publish import published as records
from publishing import CLIENT, HOME, REGIONS, bad_words

YAML = """\
version: 1
defaults: {runtimes: [python3.12], architectures: [arm64]}
layers:
  flask: {requirements: [Flask]}
  wsgi: {name: wsgi-layer, requirements: [serverless-wsgi]}
publish:
  regions: [us-east-1, eu-west-1]
"""
ARM = {"CompatibleRuntimes": ["python3.12"], "CompatibleArchitectures": ["arm64"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A command at its end."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """A project in a folder, and its AWS."""

    folder: Path
    aws: Standin

    @classmethod
    def make(cls, folder: Path, aws: Standin) -> Office:
        folder.mkdir()
        (folder / "layers.yaml").write_text(YAML)
        return cls(folder=folder, aws=aws)

    def publish(self, name: str, count: int, region: str = HOME, **tags: Any) -> list[str]:
        """So many more versions of a layer; their ARNs."""
        lambda_ = client(self.aws, region=region)
        content = {"ZipFile": zipped({"python/a.py": os.urandom(8)})}
        return [
            lambda_.publish_layer_version(LayerName=name, Content=content, **(tags or ARM))["LayerVersionArn"]
            for _ in range(count)
        ]

    def age(self, name: str, version: int, created: str, region: str = HOME) -> None:
        """Let a version be as old as this."""
        place = self.aws.world.place(self.aws.options.account, region)
        place.layers[name].versions[version].document["CreatedDate"] = created

    def parameter(self, name: str, value: str, region: str = HOME) -> None:
        client(self.aws, "ssm", region).put_parameter(Name=name, Value=value, Type="String")

    def record(self, *entries: records.Entry) -> None:
        (self.folder / "dist").mkdir(exist_ok=True)
        (self.folder / "dist" / records.NAME).write_bytes(records.render(entries))

    def numbers(self, name: str, region: str = HOME) -> list[int]:
        """The versions that a layer has, oldest first."""
        return [one["Version"] for one in self.aws.versions(region, name)]

    def arguments(self, command: str, arguments: Sequence[str]) -> list[str]:
        file, output = str(self.folder / "layers.yaml"), str(self.folder / "dist")
        return [command, "--file", file, "--output", output, "--endpoint-url", self.aws.url, *arguments]

    def run(self, command: str, *arguments: str) -> Said:
        """The command line, in this process; nothing that it says may hold a secret or a traceback."""
        done = CliRunner().invoke(cli, self.arguments(command, arguments), catch_exceptions=False)
        assert bad_words(done.output) == []
        return Said(status=done.exit_code, out=done.stdout, err=done.stderr)

    def start(self, command: str, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
        """The command line as a process of its own."""
        given = [sys.executable, "-m", "layerkit", *self.arguments(command, arguments)]
        env = os.environ | CLIENT | {"LAYERKIT_CACHE_DIR": str(self.folder / "cache")}
        return subprocess.Popen(given, env=env, text=True, start_new_session=True, **streams)


__all__ = ["HOME", "REGIONS", "Office", "Said"]
