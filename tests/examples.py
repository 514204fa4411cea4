"""The projects in examples/, as a user has them after `layerkit init --example`: locked, built, served, invoked.

Layers come from the real index; dynalite comes from npm once, below LAYERKIT_TEST_CACHE or the user's cache folder.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from conftest import ROOT, absent
from layerkit.publish.published import Entry
from test_arns_tools import kept, run
from test_published import write

DYNALITE = ("dynalite@4.0.0",)
MACHINE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
LAYERKIT = (sys.executable, "-m", "layerkit")
PATIENCE = 120  # seconds until a server that neither answers nor ends is given up
# Beside an example's Terraform: a plan of it asks AWS for nothing.
OVERRIDE = """\
provider "aws" {
  access_key                  = "testing"
  secret_key                  = "testing"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""
# It prints the port it has got; with --port 0 the program of its own takes 4567
SERVER = """
const [folder] = process.argv.slice(1);
const server = require("dynalite")({ path: folder, createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit()).resume(); // it ends with whoever started it
"""


def copy(name: str, tmp: Path) -> Path:
    """An example as a user has it: with the shim's source."""
    left_out = shutil.ignore_patterns("__pycache__", "dist", ".terraform*")
    shutil.copytree(ROOT / "examples" / name, tmp / name, ignore=left_out)
    shutil.copytree(ROOT / "layers", tmp / name / "layers", ignore=left_out)
    return tmp / name


def project(name: str, tmp_path_factory: pytest.TempPathFactory, architecture: str = MACHINE) -> Path:
    """A copy of an example with the shim's source, locked and built; its layers are for one architecture."""
    folder = copy(name, tmp_path_factory.mktemp(name))
    text = (folder / "layers.yaml").read_text(encoding="utf-8")
    assert "architectures: [arm64]" in text
    (folder / "layers.yaml").write_text(text.replace("[arm64]", f"[{architecture}]"), encoding="utf-8")
    for command in ("lock", "build"):
        run(*LAYERKIT, command, cwd=folder)
    return folder


def invoked(project: Path, function: str, *options: str, input: str = "") -> dict[str, Any]:  # noqa: A002
    """What `layerkit invoke --json` says; a failed invocation says so in its JSON."""
    command = [*LAYERKIT, "invoke", function, *options, "--json"]
    done = subprocess.run(command, cwd=project, input=input, capture_output=True, text=True, check=False)
    assert done.stdout, f"{command}\n{done.stderr}"
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@contextmanager
def serving(project: Path, function: str, *options: str) -> Iterator[str]:
    """The address of `layerkit serve` on a free port; Ctrl-C ends it."""
    port = free_port()
    command = [*LAYERKIT, "serve", function, "--port", str(port), *options]
    with listening(command, project, port, {}) as address:
        yield address


@contextmanager
def flask_run(folder: Path, app: str, **environment: str) -> Iterator[str]:
    """The address of plain `flask run` in a folder; `app` is what --app takes, "" lets Flask find it."""
    port = free_port()
    command = [sys.executable, "-m", "flask", *(["--app", app] if app else []), "run", "--port", str(port)]
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
    told = keys | {"AWS_DEFAULT_REGION": "us-east-1", "PYTHONDONTWRITEBYTECODE": "1"} | environment
    with listening(command, folder, port, told) as address:
        yield address


@contextmanager
def listening(command: list[str], cwd: Path, port: int, environment: Mapping[str, str]) -> Iterator[str]:
    """The address of a program that listens on this port of loopback; SIGINT ends it, and what it said is shown."""
    with subprocess.Popen(
        command, cwd=cwd, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as server, drained(server.stdout) as said:  # fmt: skip
        try:
            deadline = time.monotonic() + PATIENCE
            while not answers(port):
                assert server.poll() is None, f"{command} ended with {server.returncode}:\n{''.join(said)}"
                assert time.monotonic() < deadline, f"{command} does not listen:\n{''.join(said)}"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(PATIENCE)
            finally:
                if server.poll() is None:
                    os.killpg(server.pid, signal.SIGKILL)  # its children hold the stream that is read
                sys.stderr.write("".join(said))


@contextmanager
def dynamodb(tmp: Path) -> Iterator[str]:
    """The endpoint of dynalite, whose tables are in a new folder below `tmp`."""
    folder = tmp / "dynamodb"
    with subprocess.Popen(
        ["node", "-e", SERVER, str(folder)], cwd=tmp, env=os.environ | {"NODE_PATH": str(dynalite())},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as server:  # fmt: skip
        assert server.stdout
        port = server.stdout.readline().strip()
        assert port, "dynalite did not start"
        yield f"http://127.0.0.1:{port}"


def dynalite() -> Path:
    """node_modules with dynalite; its LevelDB is in the package, built for each platform."""
    if not shutil.which("node") or not shutil.which("npm"):
        absent("node", "no Node.js on this machine")

    def make(folder: Path) -> None:
        (folder / "package.json").write_text("{}")
        options = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        run("npm", "install", *options, *DYNALITE, cwd=folder)

    return kept("dynalite", DYNALITE, make) / "node_modules"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def drained(stream: IO[str] | None) -> Iterator[list[str]]:
    """The lines of a stream as they come, so that its writer never waits for a reader."""
    assert stream
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(stream.readline, "")))
    reader.start()
    try:
        yield lines
    finally:
        reader.join()


# Deployment files

LAYERS = """
import json, sys
from samcli.cli.types import CfnParameterOverridesType
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
region, template, *overrides = sys.argv[1:]
given = {"AWS::Region": region}
for text in overrides:
    given |= CfnParameterOverridesType().convert((text,), None, None)
stacks, _ = SamLocalStackProvider.get_stacks(template, parameter_overrides=given)
print(json.dumps({one.name: [layer.arn for layer in one.layers] for one in SamFunctionProvider(stacks).get_all()}))
"""
LAUNCHER = f"exec '{sys.executable}' -m layerkit \"$@\"\n"
STUB = 'printf "%s\\n" "$(basename "$0")" "$@" >> "$SAID"\n'


class Deployable:
    """A copy of an example after `layerkit publish`, where its README's commands can be followed.

    `layerkit` is the real one; the programs that ask AWS only keep their words.
    """

    def __init__(self, name: str, tmp: Path, *published: Entry, stubs: Sequence[str] = ("sam",)) -> None:
        self.folder, self._said, bin_ = copy(name, tmp), tmp / "said", tmp / "bin"
        write(self.folder / "dist", *published)
        bin_.mkdir()
        for command in stubs:
            script(bin_ / command, STUB)
        script(bin_ / "layerkit", LAUNCHER)
        self._told = {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "SAID": str(self._said)}

    def follow(self, first: str, last: str = "") -> list[list[str]]:
        """Run the README's commands from the first that begins so to the last; what each stub was told.

        "[sam, deploy, ...]", in the order of the calls.
        """
        commands = readme(self.folder)
        [start] = [at for at, line in enumerate(commands) if line.startswith(first)]
        end = next(at for at, line in enumerate(commands) if at >= start and line.startswith(last or first))
        self._said.write_text("")
        run("bash", "-euc", "\n".join(commands[start : end + 1]), cwd=self.folder, **self._told)
        calls: list[list[str]] = []
        for line in self._said.read_text().splitlines():
            if line in {"sam", "terraform", "npx", "serverless", "osls"}:
                calls.append([])
            calls[-1].append(line)
        return calls


def script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}")
    file.chmod(0o755)


def followed(folder: Path, line: str, **environment: str) -> str:
    """What a line of a shell prints, where `layerkit` is a command."""
    with tempfile.TemporaryDirectory() as bin_:
        script(Path(bin_, "layerkit"), LAUNCHER)
        path = f"{bin_}{os.pathsep}{os.environ['PATH']}"
        return run("bash", "-euc", line, cwd=folder, PATH=path, **environment)


def readme(folder: Path) -> list[str]:
    """Each command in a README's `console` blocks."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def commands_exist(folder: Path) -> list[str]:
    """Each `layerkit` command of a README, whose options the program knows and whose function is declared."""
    import click
    import yaml

    from layerkit.cli import cli

    functions = yaml.safe_load((folder / "layers.yaml").read_text(encoding="utf-8"))["functions"]
    found = [shlex.split(line.partition(" > ")[0], comments=True) for line in readme(folder)]
    commands = [words[1:] for words in found if words[0] == "layerkit"]
    for name, *arguments in commands:
        context = click.Context(cli)
        command = cli.get_command(context, name)
        assert command, name
        given = command.make_context(name, list(arguments), parent=context).params
        assert given.get("function", next(iter(functions))) in functions
    return [" ".join(words) for words in commands]


def sam_layers(sam: Path, template: Path, region: str, *overrides: str) -> dict[str, list[str]]:
    """The layers of each function of a template, as SAM's own resolver finds them; `sam` is the bin/ that has it."""
    words = ("-c", LAYERS, region, template.name, *overrides)
    found: dict[str, list[str]] = json.loads(run(sam / "python", *words, cwd=template.parent, SAM_CLI_TELEMETRY="0"))
    return found
