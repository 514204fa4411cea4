"""examples/hello: with plain Flask, with its layers in a local Lambda, behind each front; and its SAM template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

import examples
import test_arns_tools as tools
from conftest import ROOT
from layerkit import uv
from layerkit.builders.engine import Engine
from test_published import entry

pytestmark = pytest.mark.integration
sam, linters = tools.sam, tools.linters  # fixtures
SOURCE = ROOT / "examples/hello"
WSGI = "serverless-wsgi==3.1.0"
HELLO = {"message": "Hello from Flask on Lambda"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return examples.project("hello", tmp_path_factory)


@pytest.fixture(scope="module")
def served(project: Path) -> Iterator[str]:
    with examples.serving(project, "hello", "--in", "host") as address:
        yield address


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    """As the README says: Flask and serverless-wsgi installed, no layer."""
    home = tools.kept("serverless-wsgi", (WSGI,), installed)
    with examples.flask_run(SOURCE, "src/lambda_function", PYTHONPATH=str(home)) as address:
        yield address


def installed(folder: Path) -> None:
    pip = (uv.find(), "pip", "install", "--quiet", "--no-deps", "--target", folder)
    tools.run(*pip, WSGI, cwd=folder)


@pytest.mark.parametrize("door", ["plain", "served"])
def test_it_says_hello(door: str, request: pytest.FixtureRequest) -> None:
    answer = requests.get(f"{request.getfixturevalue(door)}/", timeout=60)
    assert (answer.status_code, answer.json(), answer.headers["Content-Type"]) == (200, HELLO, "application/json")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 200), ("HEAD", "/", 200), ("OPTIONS", "/", 200), ("POST", "/", 405), ("GET", "/nothing", 404)],
)
def test_both_doors_answer_alike(method: str, path: str, status: int, plain: str, served: str) -> None:
    one, other = (requests.request(method, address + path, timeout=60) for address in (plain, served))
    assert one.status_code == other.status_code == status
    assert one.text == other.text
    assert one.headers["Content-Type"] == other.headers["Content-Type"]
    assert set(one.headers.get("Allow", "").split(", ")) == set(other.headers.get("Allow", "").split(", "))


@pytest.mark.parametrize("front", ["http-api", "rest", "function-url", "alb"])
def test_each_front(project: Path, front: str) -> None:
    said = examples.invoked(project, "hello", "--in", "host", "--front", front, "--request", "GET /")
    assert (said["response"]["status"], json.loads(said["response"]["body"])) == (200, HELLO)
    assert said["error"] is None


@pytest.mark.engine
def test_on_arm64(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> None:
    """As layers.yaml has it, where the function will run."""
    project = examples.project("hello", tmp_path_factory, "arm64")
    said = examples.invoked(project, "hello", "--in", "container", "--request", "GET /")
    assert json.loads(said["response"]["body"]) == HELLO
    assert said["where"].startswith("container (")


def test_it_declares_the_repositorys_layers() -> None:
    here, there = (yaml.safe_load((folder / "layers.yaml").read_text()) for folder in (SOURCE, ROOT))
    assert here["layers"] == there["layers"]
    function = there["functions"]["hello"]
    assert here["functions"]["hello"].items() >= (function | {"source": "src"}).items()


def test_the_readmes_commands(project: Path) -> None:
    assert {line.split()[0] for line in examples.commands_exist(SOURCE)} == {
        "lock", "build", "invoke", "serve", "publish", "arns",
    }  # fmt: skip
    [line] = [line for line in examples.readme(SOURCE) if line.startswith("layerkit invoke")]
    assert json.loads(examples.followed(project, line, LAYERKIT_IN="host").splitlines()[-1]) == HELLO


def test_sam(tmp_path: Path, sam: Path, linters: Path) -> None:
    """The README's commands, and SAM's own reading of what it was told."""
    layers = entry(), entry("serverless-wsgi", version=2), entry("lambda-wsgi", version=3)
    deployable = examples.Deployable("hello", tmp_path, *layers, entry(region="eu-west-1", version=9))
    tools.linted(sam, linters, deployable.folder, "us-east-1")
    [[*words, overrides]] = deployable.follow("layerkit arns", "sam deploy")
    assert words == ["sam", "deploy", "--guided", "--parameter-overrides"]
    template = deployable.folder / "template.yaml"
    assert examples.sam_layers(sam, template, "us-east-1", overrides) == {"Hello": [one.arn for one in layers]}
