"""What every test stands on: no network beyond loopback, no cache of the user's, and real parts that are required.

LAYERKIT_TEST_REQUIRE names parts (python3.12, root, engine) whose absence is a failure instead of a skip.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import socket
import sys
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from layerkit import bytecode, tars, uv
from layerkit.builders import Builder, Unfit, Wanted
from layerkit.builders.engine import Engine, images
from layerkit.builders.wheels import WheelsBuilder
from layerkit.cache import Cache
from layerkit.model import Environment, Interpreter, Pin, Target
from wheelhouse import Index, serve

settings.register_profile("layerkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("layerkit")  # no test asserts on the clock

ROOT = Path(__file__).parents[1]
IMAGE = "public.ecr.aws/sam/build-python3.12:latest-arm64"
STRANGE = ("UV_", "PIP_", "LAYERKIT_", "LAMBDA_", "AWS_", "FLASK_", "DJANGO_", "API_GATEWAY_", "STRIP_STAGE")
REQUIRED = set(filter(None, os.environ.get("LAYERKIT_TEST_REQUIRE", "").split(",")))
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"  # unit tests build for the Python they run on


def absent(part: str, reason: str) -> None:
    """Skip for want of a part; fail where it was promised."""
    if part in REQUIRED:
        pytest.fail(f"{part} is required here: {reason}")
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test has logged may be no text; where tests run in several processes, reports have to be."""
    report = yield
    report.sections = [
        (name, said.encode("utf-8", "backslashreplace").decode("utf-8")) for name, said in report.sections
    ]
    return report


@pytest.fixture(autouse=True)
def _surroundings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Unit tests see none of the user's settings, and connect to loopback alone."""
    logging.getLogger().setLevel(logging.WARNING)  # Python's default; the handler shim sets it
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    if request.node.get_closest_marker("integration"):
        return
    for name in [name for name in os.environ if name.startswith(STRANGE)]:
        monkeypatch.delenv(name)
    base = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("LAYERKIT_CACHE_DIR", str(base / "no-cache-given"))
    monkeypatch.setenv("LAYERKIT_BUILDER", "wheels")
    monkeypatch.setenv("UV_CACHE_DIR", str(base / "uv"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> Any:
        if self.family == socket.AF_UNIX or str(address[0]).startswith("127."):
            return connect(self, address)
        raise AssertionError(f"a unit test connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", local)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Index]:
    """A package index on loopback; uv's cache is new, so that nothing is known before."""
    with serve(Index()) as served:
        monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
        yield served


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("LAYERKIT_CACHE_DIR", str(tmp_path / "cache"))
    return Cache(tmp_path / "cache")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """project(yaml, {path: text}) -> the layers.yaml of a new project, which is the current folder."""

    def make(text: str, files: dict[str, str] | None = None) -> Path:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        for path, content in (files or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)
        defaults = f"version: 1\ndefaults: {{runtimes: [{RUNTIME}]}}\n"
        (folder / "layers.yaml").write_text(text if text.startswith("version") else defaults + text)
        monkeypatch.chdir(folder)
        return folder / "layers.yaml"

    return make


def install(pins: Sequence[Pin], target: Target, into: Path, builder: Builder | None = None) -> dict[Pin, Path]:
    """Where a builder, by default of wheels, installs each pin."""
    into.mkdir(exist_ok=True)
    wanted = [Wanted(pin=pin, environment=Environment()) for pin in pins]
    with (builder or WheelsBuilder()).session(target, into, 60) as session:
        return {one.pin: found.home for one, found in session.install(wanted, lambda *_: None).items()}


class Said:
    """A Progress that remembers."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.steps: list[tuple[str, str]] = []
        self.results: list[Any] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def begin(self, files: Any) -> None:
        self.files = list(files)

    def step(self, file: str, doing: str) -> None:
        self.steps.append((file, doing))

    def done(self, result: Any) -> None:
        self.results.append(result)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture(scope="session")
def engine() -> Engine:
    """A real container engine that has the build image."""
    found = None
    try:
        found = Engine.connect(Path("tests"))
    except Unfit as error:
        absent("engine", error.what)
    assert found
    if not images.find(found, IMAGE):
        absent("engine", f"the engine has no image {IMAGE}")
    return found


def imported(engine: Engine, zip_file: Path, code: str) -> str:
    """What Python prints with the layer in /opt, in the build image without a network."""
    with zipfile.ZipFile(zip_file) as archive:
        files: dict[str, bytes | Path] = {name: archive.read(name) for name in archive.namelist()}
    command = ["python3.12", "-c", code]
    made = engine.client.containers.create(
        IMAGE, command, platform="linux/arm64", init=True, network_mode="none",
        environment={"PYTHONPATH": "/opt/python", "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/opt/lib"},
    )  # fmt: skip
    try:
        made.put_archive("/opt", tars.pack(files, mode=0o755))
        made.start()
        assert made.wait()["StatusCode"] == 0, made.logs().decode()
        return made.logs().decode().strip()
    finally:
        made.remove(force=True)


@pytest.fixture(scope="session", autouse=True)
def _no_volumes_are_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each cache folder has a package volume of its own in the engine."""
    yield
    caches = [tools.parent for tools in tmp_path_factory.getbasetemp().rglob("tools")]
    if caches:
        with suppress(Unfit):
            client = Engine.connect(Path("tests")).client
            for name in (hashlib.sha256(str(cache).encode()).hexdigest()[:12] for cache in caches):
                for volume in client.volumes.list(filters={"name": f"-{name}"}):
                    volume.remove(force=True)


@pytest.fixture(scope="session")
def foreign_uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """uv for the container, from the real index, as a folder of tools."""
    tools = tmp_path_factory.mktemp("tools")
    for machine in ("aarch64", "x86_64"):
        (tools / machine).mkdir()
        uv.for_machine(machine, tools / "kept", tools / machine)
    return tools / "kept"


@pytest.fixture(scope="session")
def this_python() -> Interpreter:
    return Interpreter(executable=Path(sys.executable), release=platform.python_version())


@pytest.fixture(scope="session")
def python312(tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    """A CPython 3.12, the runtime of the three layers."""
    found = bytecode.choose("3.12", "", tmp_path_factory.mktemp("interpreters"))
    if not found:
        absent("python3.12", "no CPython 3.12 on this machine (uv python install 3.12)")
    assert found
    return found
