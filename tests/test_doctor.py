"""`layerkit doctor`: each check's good and bad outcomes, with the words and the command that cures them.

The engine is a stand-in on a socket of its own, which answers as Docker does; the last tests ask a real one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import pty
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest

from conftest import IMAGE, RUNTIME, Said, absent
from layerkit import __version__, doctor, targets
from layerkit.builders import Unfit
from layerkit.builders.boxes import Host
from layerkit.builders.engine import Engine
from layerkit.cache import Cache
from layerkit.doctor import disk, host, images
from layerkit.doctor import engine as engines
from layerkit.doctor.aws import account
from layerkit.doctor.engine import INSTALL, Surroundings
from layerkit.doctor.findings import Finding, hidden
from layerkit.doctor.project import Project, read_project
from layerkit.errors import MachineError
from layerkit.model import Target
from wheelhouse import Index, make_wheel

PASSWORD = "hunter2-of-the-index"
BINFMT = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: {}\noffset 0\n"
INSTALL_ARM64 = "run --privileged --rm tonistiigi/binfmt --install arm64"
X86_IMAGE = IMAGE.replace("arm64", "x86_64")
DIGEST = "sha256:" + "ab" * 32


def target(architecture: str = "arm64", runtime: str = "python3.12", image: str = "") -> Target:
    found = targets.find_runtime(runtime)
    assert found
    return found.target(architecture, image)


def layerkit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "layerkit", *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def checks(*arguments: str, **environment: str) -> dict[str, Finding]:
    """What `layerkit doctor --json` tells, by check."""
    done = layerkit("doctor", "--json", *arguments, **environment)
    assert "Traceback" not in done.stderr, done.stderr
    found = [Finding(c["check"], c["status"], c["found"], c["cure"]) for c in json.loads(done.stdout)["checks"]]
    return {finding.name: finding for finding in found}


def connecting(cache: Path) -> Future[Engine]:
    """As diagnose() does it."""
    return doctor.started(lambda: Engine.connect(cache, answering=engines.LIMIT))


# --- a stand-in for an engine -----------------------------------------------------------------------------------


@dataclass
class FakeEngine:
    """What it has and how it fails.  Its images are by reference: what they are built for."""

    path: Path
    version: str = "29.0.1"
    component: str = "Engine"
    architecture: str = "amd64"
    name: str = ""  # of its machine
    root: str = "/nowhere"
    images: dict[str, str] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)
    registry: tuple[int, dict[str, Any]] = (500, {"message": "dial tcp: lookup registry: no such host"})
    start: tuple[int, dict[str, Any]] = (204, {})
    output: str = "aarch64\n3.12.9\n"
    status: int = 0
    requests: list[str] = field(default_factory=list)
    created: dict[str, Any] = field(default_factory=dict)
    clients: list[Future[Engine]] = field(default_factory=list)

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        if path == "/version":
            components = [{"Name": self.component}]
            facts = {"Version": self.version, "ApiVersion": "1.41", "Arch": self.architecture}
            return 200, facts | {"Components": components}
        if path == "/info":
            return 200, {"Name": self.name, "DockerRootDir": self.root}
        if path.startswith("/distribution/"):
            return self.registry
        if path.startswith("/images/"):
            system = self.images.get(path.removeprefix("/images/").removesuffix("/json"))
            if not system:
                return 404, {"message": "No such image"}
            kind, _, machine = system.partition("/")
            return 200, {"Id": DIGEST, "Os": kind, "Architecture": machine, "RepoDigests": self.digests}
        answers: dict[str, tuple[int, Any]] = {
            "POST /containers/create": (201, {"Id": "c0", "Warnings": []}),
            "GET /containers/c0/json": (200, {"Id": "c0", "Config": {"Tty": False}, "State": {}}),
            "POST /containers/c0/start": self.start,
            "GET /containers/c0/logs": (200, struct.pack(">BxxxL", 1, len(self.output)) + self.output.encode()),
            "POST /containers/c0/wait": (200, {"StatusCode": self.status}),
        }
        return answers.get(f"{method} {path}", (204 if method == "DELETE" else 404, {}))

    def connecting(self) -> Future[Engine]:
        self.clients.append(connecting(self.path.parent / "cache"))
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            engine = engines.answered(client)
            if engine:
                engine.close()


@contextmanager
def serving(server: Any) -> Iterator[None]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    found = FakeEngine(tmp_path / "docker.sock", images={IMAGE: "linux/arm64"})

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            path = re.sub(r"^/v[0-9.]+(?=/)", "", self.path.partition("?")[0])
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            found.requests.append(f"{self.command} {self.path}")
            if path == "/containers/create":
                found.created = json.loads(body)
            status, content = found.answer(self.command, path)
            if not status:
                return  # hangs up
            data = content if isinstance(content, bytes) else json.dumps(content).encode() if content else b""
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingMixIn, UnixStreamServer):
        daemon_threads = True

    monkeypatch.setenv("DOCKER_HOST", f"unix://{found.path}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with serving(Server(str(found.path), Handler)):
        yield found
        found.close()


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")


# --- is there an engine -------------------------------------------------------------------------------------------


def test_an_engine_and_where_it_is(fake: FakeEngine) -> None:
    [found] = engines.running(fake.connecting())
    assert found == Finding("container engine", "ok", f"Docker 29.0.1 for x86_64, DOCKER_HOST=unix://{fake.path}")
    fake.component, fake.architecture = "Podman Engine", "arm64"
    [found] = engines.running(fake.connecting())
    assert found.found.startswith("Podman 29.0.1 for aarch64, ")


def context(folder: Path, name: str, path: Path) -> None:
    """Make a context of the command `docker` with this socket, and the one in use."""
    home = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    home.mkdir(parents=True)
    endpoint = {"Host": f"unix://{path}", "SkipTLSVerify": False}
    (home / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))


def test_an_engine_of_a_context(fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context(tmp_path / "docker", "colima", fake.path)
    monkeypatch.delenv("DOCKER_HOST")
    [found] = engines.running(fake.connecting())
    assert found.found.endswith(f", {fake.path} (context colima)")


def test_a_socket_that_the_command_docker_does_not_use_is_named_in_cures(
    fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK finds a rootless engine by itself, `docker` does not."""
    monkeypatch.delenv("DOCKER_HOST")
    context(tmp_path / "docker", "elsewhere", Path("/nonexistent"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    fake.images = {}
    monkeypatch.chdir(tmp_path)
    pull = f"docker -H unix://{fake.path} pull --platform linux/arm64 {IMAGE}"
    assert checks()["image python3.12-arm64"].cure == pull


@pytest.mark.usefixtures("no_engine", "index")
def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = checks()
    assert found["container engine"] == Finding(
        "container engine",
        "warn",
        "no container engine answers (unix:///nonexistent: No such file or directory); "
        "layers can be built from wheels alone",
        "unset DOCKER_HOST, or start the engine at unix:///nonexistent",
    )
    # the one line tells what those would
    assert not [name for name in found if name.startswith(("architecture", "image", "disk: engine"))]
    assert checks(LAYERKIT_BUILDER="container")["container engine"].status == "fail"


def test_an_engine_that_hangs() -> None:
    [found] = engines.running(Future(), 0.01)
    assert (found.status, found.found.partition(";")[0]) == ("warn", "does not answer within 0.01 s")
    assert found.cure


REFUSED = "Docker: Error: ('Connection aborted.', ConnectionRefusedError(111, 'Connection refused'))"
DENIED = "Docker: Error: ('Connection aborted.', PermissionError(13, 'Permission denied'))"
ABSENT = "Docker: Error: ('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))"


@pytest.mark.parametrize(
    ("system", "programs", "host", "why", "cure"),
    [
        ("Linux", "systemctl", "", REFUSED, "sudo systemctl start docker"),
        ("Linux", "", "", REFUSED, "sudo service docker start"),
        ("Linux", "systemctl dockerd podman", "", ABSENT, "sudo systemctl start docker"),
        ("Linux", "systemctl dockerd", "", DENIED, "sudo usermod -aG docker $USER, then log in again"),
        ("Linux", "systemctl", "unix:///var/run/docker.sock", REFUSED, "sudo systemctl start docker"),
        ("Linux", "systemctl podman", "", ABSENT, "systemctl --user start podman.socket"),
        ("Linux", "colima", "", ABSENT, "colima start"),
        ("Linux", "systemctl", "", ABSENT, INSTALL),
        ("Linux", "colima", "unix:///home/a/.colima/default/docker.sock", REFUSED, "colima start"),
        ("Linux", "", "tcp://build:2375", REFUSED, "unset DOCKER_HOST, or start the engine at tcp://build:2375"),
        ("Darwin", "colima Docker.app", "", ABSENT, "colima start"),
        ("Darwin", "Docker.app", "", REFUSED, "open -a Docker"),
        ("Darwin", "podman", "", ABSENT, "podman machine start"),
        ("Darwin", "", "", ABSENT, INSTALL),
    ],
)
def test_the_command_that_starts_an_engine(system: str, programs: str, host: str, why: str, cure: str) -> None:
    where = Surroundings(system=system, programs=frozenset(programs.split()), host=host)
    assert engines.cure(where, why) == cure


def test_an_engine_that_hangs_is_started_anew() -> None:
    linux = Surroundings(system="Linux", programs=frozenset({"systemctl"}))
    assert engines.cure(linux, "", hangs=True) == "sudo systemctl restart docker"
    colima = Surroundings(system="Darwin", programs=frozenset({"colima"}))
    assert engines.cure(colima, "", hangs=True) == "colima restart"


# --- what it can run ----------------------------------------------------------------------------------------------


def architecture(fake: FakeEngine, name: str = "arm64", binfmt: Path = Path("/nonexistent")) -> Finding:
    cache = Cache(fake.path.parent / "cache")
    [found] = images.architecture([target(name)], fake.connecting(), cache, binfmt)
    assert found.name == f"architecture {name}"
    return found


def test_an_architecture_is_tried_in_a_container_that_leaves_nothing(fake: FakeEngine) -> None:
    words = f"emulated on x86_64, works: Python 3.12.9 of {IMAGE} ran"
    assert architecture(fake) == Finding("architecture arm64", "ok", words)
    [create] = [request for request in fake.requests if "/containers/create" in request]
    assert "platform=linux%2Farm64" in create
    assert fake.created["HostConfig"]["NetworkMode"] == "none"
    assert fake.created["HostConfig"]["Mounts"] == []  # a volume would stay
    assert "QEMU_CPU=neoverse-n1" in fake.created["Env"]
    [remove] = [request for request in fake.requests if request.startswith("DELETE")]
    assert "v=True" in remove
    assert "force=True" in remove
    assert not [request for request in fake.requests if "/images/create" in request]
    assert list((fake.path.parent / "cache/tmp").iterdir()) == []


def test_the_engines_own_architecture(fake: FakeEngine) -> None:
    fake.architecture = "arm64"
    assert architecture(fake).found == f"native, works: Python 3.12.9 of {IMAGE} ran"
    assert architecture(fake, "x86_64").found.startswith("emulated on aarch64")
    fake.architecture = "amd64"
    assert architecture(fake, "x86_64") == Finding(
        "architecture x86_64", "ok", "native; not tried, for no build image is here"
    )


@pytest.mark.parametrize("place", ["start", "output"])
def test_programs_that_the_kernel_refuses(fake: FakeEngine, place: str) -> None:
    if place == "start":
        fake.start = (400, {"message": "exec /bin/sh: exec format error"})
    else:
        fake.output, fake.status = "[FATAL tini (7)] exec /bin/sh failed: Exec format error\n", 126
    assert architecture(fake) == Finding(
        "architecture arm64",
        "warn",
        "emulated on x86_64: programs do not run (exec format error)",
        f"docker {INSTALL_ARM64}",
    )
    assert [request for request in fake.requests if request.startswith("DELETE")]


def test_missing_emulation_is_a_failure_for_who_wants_containers(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERKIT_BUILDER", "container")
    fake.output, fake.status = "exec format error", 126
    assert architecture(fake).status == "fail"


def test_an_emulator_that_runs_a_shell_but_no_python(fake: FakeEngine) -> None:
    fake.output, fake.status = "aarch64\nSegmentation fault\n", 139
    found = architecture(fake)
    words = f"emulated on x86_64: {IMAGE} does not run Python: Segmentation fault: exit status 139"
    assert (found.status, found.found, found.cure) == ("warn", words, f"docker {INSTALL_ARM64}")


def test_an_image_without_a_python(fake: FakeEngine) -> None:
    fake.architecture = "arm64"
    fake.output, fake.status = "aarch64\nsh: exec: : not found\n", 127
    assert architecture(fake).cure == "name the runtime's own image in layers.yaml (container: {image: ...})"


@pytest.mark.parametrize(
    ("registration", "status", "words"),
    [
        (BINFMT.format("PF"), "ok", "emulated on x86_64, qemu-aarch64 is registered; not tried, for no build image"),
        (BINFMT.format("F"), "ok", "emulated on x86_64, qemu-aarch64 is registered"),
        (BINFMT.format("P"), "warn", "emulation does not reach into containers: qemu-aarch64 is registered without"),
        (BINFMT.format("PF").replace("enabled", "disabled"), "warn", "emulation is switched off in "),
        ("", "warn", "emulation is missing: there is no "),
    ],
)
def test_emulation_that_cannot_be_tried_yet(
    fake: FakeEngine, tmp_path: Path, registration: str, status: str, words: str
) -> None:
    fake.images, fake.name = {}, platform.node()
    if registration:
        (tmp_path / "qemu-aarch64").write_text(registration)
    found = architecture(fake, binfmt=tmp_path)
    assert (found.status, found.found[: len(words)]) == (status, words)
    assert found.cure == ("" if status == "ok" else f"docker {INSTALL_ARM64}")


def test_podmans_emulation_is_registered_by_root(fake: FakeEngine, tmp_path: Path) -> None:
    fake.images, fake.name, fake.component = {}, platform.node(), "Podman Engine"
    sudo = "sudo " if os.geteuid() else ""
    install = INSTALL_ARM64.replace("tonistiigi", "docker.io/tonistiigi")
    assert architecture(fake, binfmt=tmp_path).cure == f"{sudo}podman {install}"


def test_the_emulation_of_an_engine_elsewhere_is_unknown(fake: FakeEngine) -> None:
    fake.images, fake.name = {}, "colima"
    found = architecture(fake)
    assert (found.status, found.found) == ("warn", "emulated on x86_64; unknown until a build image is here")
    assert found.cure == f"docker pull --platform linux/arm64 {IMAGE}"


def test_an_architecture_with_a_cache_that_may_not_be_written(fake: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert architecture(fake).status == "ok"


# --- images -------------------------------------------------------------------------------------------------------


def image(fake: FakeEngine, release: str = "") -> Finding:
    [found] = images.image(target(), fake.connecting(), release)
    assert found.name == "image python3.12-arm64"
    return found


def test_an_image_that_is_here(fake: FakeEngine) -> None:
    assert image(fake) == Finding("image python3.12-arm64", "ok", f"{IMAGE}, ID {DIGEST[:19]}")
    fake.digests = [f"public.ecr.aws/sam/build-python3.12@sha256:{'cd' * 32}"]
    assert image(fake, "3.12.9").found == f"{IMAGE}, digest sha256:cdcdcdcdcdcd, Python 3.12.9"


def test_an_image_for_something_else(fake: FakeEngine) -> None:
    fake.images[IMAGE] = "linux/amd64"
    assert image(fake) == Finding(
        "image python3.12-arm64",
        "warn",
        f"{IMAGE} is for linux/amd64, not for linux/arm64",
        f"docker pull --platform linux/arm64 {IMAGE}",
    )


PLATFORM = {"os": "linux", "architecture": "arm64", "variant": "v8"}
PULL = f"docker pull --platform linux/arm64 {IMAGE}"
EXPIRED = "denied: Your authorization token has expired. Reauthenticate and try again."


@pytest.mark.parametrize(
    ("registry", "status", "words", "cure"),
    [
        ((200, {"Platforms": [PLATFORM]}), "ok", "not here; the registry has it, and the first build pulls it", ""),
        ((200, {"Platforms": None}), "ok", "not here; the registry has it, and the first build pulls it", ""),
        (
            (200, {"Platforms": [PLATFORM | {"architecture": "amd64"}]}),
            "warn",
            "the registry has it for linux/amd64, not for linux/arm64",
            "name the runtime's own image in layers.yaml (container: {image: ...})",
        ),
        (
            (500, {"message": "dial tcp: lookup public.ecr.aws: no such host"}),
            "warn",
            "not here, and cannot be pulled: dial tcp: lookup public.ecr.aws: no such host",
            PULL,
        ),
        (
            (403, {"message": EXPIRED}),
            "warn",
            f"not here, and the registry refuses: {EXPIRED}",
            "docker logout public.ecr.aws",
        ),
        ((0, {}), "warn", f"not here, and the registry does not answer within {engines.LIMIT} s", PULL),
    ],
)
def test_an_image_that_is_not_here(
    fake: FakeEngine, registry: tuple[int, dict[str, Any]], status: str, words: str, cure: str
) -> None:
    fake.images = {}
    fake.registry = (registry[0], {"Descriptor": {"digest": DIGEST}} | registry[1])
    found = image(fake)
    assert (found.status, found.found, found.cure) == (status, f"{IMAGE}: {words}", cure)


def test_an_engine_that_asks_no_registry(fake: FakeEngine) -> None:
    fake.images, fake.component = {}, "Podman Engine"
    fake.registry = (404, {"message": "Path /distribution is not supported"})
    found = image(fake)
    assert found.found == f"{IMAGE}: not here, and this engine does not tell whether it can be pulled"
    assert found.cure == f"podman pull --platform linux/arm64 {IMAGE}"


# --- bytecode -----------------------------------------------------------------------------------------------------


def compiler(cache: Cache, said: Said, fake: FakeEngine | None, runtime: str, locked: str = "") -> Finding:
    one = target(runtime=runtime)
    project = Project(targets=(one,), compiled=(one,), releases={runtime: locked} if locked else {})
    none: Future[Engine] = Future()
    none.set_exception(Unfit("no container engine answers"))
    [found] = host.interpreters(project, Host(cache, said), fake.connecting() if fake else none)
    assert found.name == f"bytecode {runtime}"
    return found


NEXT = "python3.99"  # a runtime that no machine has a CPython for


def test_a_cpython_that_compiles(cache: Cache, said: Said, fake: FakeEngine) -> None:
    release = platform.python_version()
    found = compiler(cache, said, fake, RUNTIME, release)
    assert (found.status, found.cure) == ("ok", "")
    assert found.found.startswith(f"CPython {release}, as the lock says: /")
    assert re.match(r"CPython 3\.[0-9]+\.[0-9]+: /", compiler(cache, said, fake, RUNTIME).found)


def test_another_cpython_than_the_locked_one(cache: Cache, said: Said, fake: FakeEngine) -> None:
    locked = f"{RUNTIME.removeprefix('python')}.99"
    found = compiler(cache, said, fake, RUNTIME, locked)
    assert found.status == "warn"
    assert found.found.endswith(f", but the lock names {locked}: bytecode will differ from other machines'")
    assert found.cure.endswith(f"uv python install {locked}")


def test_no_cpython(cache: Cache, said: Said, fake: FakeEngine) -> None:
    found = compiler(cache, said, fake, NEXT)
    assert found.status == "warn"
    assert found.found == "there is no CPython 3.99, so layers get no bytecode and start slower"
    assert found.cure.endswith("uv python install 3.99")
    program = found.cure.split()[0]
    assert shutil.which(program), "the cure must run as it is"
    assert compiler(cache, said, fake, NEXT, "3.99.2").cure.endswith("uv python install 3.99.2")


def test_the_build_container_compiles_where_there_is_an_engine(cache: Cache, said: Said, fake: FakeEngine) -> None:
    Host(cache, said).remember(target(runtime=NEXT), "3.99.2")
    inside = Finding(f"bytecode {NEXT}", "ok", "CPython 3.99.2 of the build container")
    assert compiler(cache, said, fake, NEXT) == inside
    assert compiler(cache, said, fake, NEXT, "3.99.2") == inside
    other = compiler(cache, said, fake, NEXT, "3.99.1")
    assert other.found.startswith("CPython 3.99.2 of the build container, but the lock names 3.99.1")
    assert compiler(cache, said, None, NEXT).found.startswith("there is no CPython 3.99")


# --- package index ------------------------------------------------------------------------------------------------


def asked(requirement: str = "", limit: float = 30) -> Finding:
    one = target(runtime=RUNTIME)
    [found] = host.index(Project(targets=(one,), compiled=(one,), requirement=requirement), limit)
    assert found.name == "package index"
    return found


def test_an_index_that_answers(index: Index) -> None:
    index.add(make_wheel("pip"), make_wheel("web"))
    assert asked() == Finding("package index", "ok", f"127.0.0.1:{index.port} has pip")
    assert asked("web").found == f"127.0.0.1:{index.port} has web"
    assert index.requests == ["/simple/pip/", "/simple/web/"]  # nothing is downloaded
    asked("web")
    assert len(index.requests) == 3  # what uv knows already is no answer


def test_an_index_that_lacks_it(index: Index) -> None:
    found = asked()
    assert found.status == "warn"  # one's own need not have pip
    assert found.found == f"127.0.0.1:{index.port} answers, but has no pip: is the name right, and the index?"
    assert found.cure == "export UV_DEFAULT_INDEX=URL, of an index that has it"
    assert asked("web").status == "fail"


@pytest.mark.parametrize("status", [401, 403])
def test_an_index_that_refuses(index: Index, status: int) -> None:
    index.status = status
    found = asked()
    assert (found.status, found.found) == ("fail", f"127.0.0.1:{index.port}: the package index refused")
    assert f"auth login 127.0.0.1:{index.port}" in found.cure
    assert "netrc" in found.cure


@pytest.mark.parametrize("columns", ["", "40", "80"])
def test_an_index_that_fails(index: Index, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the shell exports its width, to which uv fits its words."""
    monkeypatch.setenv("COLUMNS", columns)
    index.status = 503
    found = asked()
    assert found.status == "fail"
    assert "503 Service Unavailable" in found.found
    assert found.cure.endswith(f"curl -sSIL http://127.0.0.1:{index.port}/simple/pip/")


def test_an_index_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://me:{PASSWORD}@127.0.0.1:9/simple")
    found = asked()
    assert found.status == "fail"
    assert found.found.startswith("127.0.0.1:9: the package index does not answer: ")
    assert "Connection refused" in found.found
    assert found.cure.endswith("curl -sSIL http://127.0.0.1:9/simple/pip/")


def test_an_index_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://me:{PASSWORD}@127.0.0.1:{server.getsockname()[1]}/simple")
        host = f"127.0.0.1:{server.getsockname()[1]}"
        found = asked(limit=0.5)
    assert (found.status, found.found) == ("fail", f"{host} does not answer within 0.5 s")
    assert found.cure.endswith(f"curl -sSIL http://{host}/simple")


def test_settings_that_keep_uv_from_the_index(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert asked() == Finding("package index", "fail", "uv may not use the network (UV_OFFLINE)", "unset UV_OFFLINE")
    monkeypatch.delenv("UV_OFFLINE")
    name, content = make_wheel("web")
    (tmp_path / name).write_bytes(content)
    (tmp_path / "uv.toml").write_text(f"[pip]\nno-index = true\nfind-links = ['{tmp_path}']\n")
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    assert asked("web") == Finding("package index", "ok", "no index, but a folder has web")
    assert index.requests == []


def test_a_certificate_that_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a company's proxy that reads along."""
    openssl = shutil.which("openssl")
    if not openssl:
        absent("openssl", "a certificate is made with openssl")
    assert openssl
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # uv hangs up

    with Server(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"https://127.0.0.1:{server.server_address[1]}/simple")
        with serving(server):
            found = asked()
    assert found.status == "fail"
    assert "certificate" in found.found
    assert found.cure == "export UV_SYSTEM_CERTS=1"


# --- disk ---------------------------------------------------------------------------------------------------------


def test_a_folder_with_space(tmp_path: Path) -> None:
    [found] = disk.space("disk: cache", tmp_path / "not/there/yet", "elsewhere")
    assert (found.name, found.status, found.cure) == ("disk: cache", "ok", "")
    assert re.fullmatch(rf"[0-9.]+ GB free for {tmp_path}/not/there/yet", found.found)


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    [found] = disk.space("disk: output", tmp_path / "file/dist", "layerkit build --output FOLDER")
    assert found.status == "fail"
    assert found.found == f"{tmp_path}/file is a file where a folder is needed"
    assert found.cure == "layerkit build --output FOLDER"


@pytest.mark.usefixtures("no_engine")
def test_a_cache_that_may_only_be_read(index: Index, project: Callable[..., Path], tmp_path: Path) -> None:
    """It is told, and the other checks do without it."""
    index.add(make_wheel("web"))
    project("layers: {web: {requirements: [web]}}\n")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    # root without the power to pass over modes is as anybody
    powerless = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    command = [*powerless, sys.executable, "-m", "layerkit", "doctor", "--quiet"]
    environment = os.environ | {"LAYERKIT_CACHE_DIR": str(closed)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 10, done.stderr
    [engine, _, cache, cure] = done.stderr.splitlines()
    assert engine.startswith("warn  container engine")
    assert re.fullmatch(rf"fail  disk: cache +{closed} may not be written", cache)
    assert cure.strip() == f"To do: chmod u+rwx {closed}"
    assert list(closed.iterdir()) == []


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize(
    ("options", "status", "words"),
    [("size=1900m", "warn", "GB free for"), ("size=150m", "fail", "MB free for"), ("ro", "fail", "read-only file")],
)
def test_a_small_or_closed_disk(tmp_path: Path, options: str, status: str, words: str) -> None:
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False).returncode:
        absent("root", "mounting a small file system needs root on Linux")
    small = tmp_path / "small"
    (small / "dist").mkdir(parents=True)
    script = f'mount -t tmpfs -o {options} tmpfs {small} && cd {small} && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-m", "layerkit", "doctor", "--json"]
    done = subprocess.run(
        command, env=os.environ | {"LAYERKIT_CACHE_DIR": str(small)}, capture_output=True, text=True, check=False
    )
    found = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    for name, cure in (("disk: cache", f"rm -rf {small}"), ("disk: output", "layerkit build --output FOLDER")):
        assert found[name]["status"] == status
        assert words in found[name]["found"]
        assert found[name]["cure"] == (
            "export LAYERKIT_CACHE_DIR=FOLDER" if "read" in words and "c" in name[6] else cure
        )


def test_the_engines_disk(fake: FakeEngine, tmp_path: Path) -> None:
    fake.name, fake.root = platform.node(), str(tmp_path)
    [found] = disk.engine(fake.connecting())
    assert found.status == "ok"
    assert found.found.endswith(f" free for {tmp_path}")
    assert engines.data_root(fake.connecting()) == (tmp_path, "docker system prune")
    fake.name = "another-machine"
    assert disk.engine(fake.connecting()) == []


# --- AWS ----------------------------------------------------------------------------------------------------------

IDENTITY = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:user/me</Arn><UserId>AIDA</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""
KEY, SECRET, TOKEN = "AKIAEXAMPLEKEY", "the-secret-access-key", "the-session-token"


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """STS on loopback; it answers as the dictionary says."""
    answer: dict[str, Any] = {"status": 200, "body": IDENTITY}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            data = answer["body"].encode()
            self.send_response(answer["status"])
            self.send_header("content-type", "text/xml")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        with serving(server):
            yield answer


def refusal(code: str) -> dict[str, Any]:
    words = f"The canonical string should have been x-amz-security-token:{TOKEN}"
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{words}</Message></Error>"
    return {"status": 403, "body": f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"}


def test_an_account_and_its_regions(aws: dict[str, Any]) -> None:
    credentials, regions = account(["us-east-1", "cn-north-1"])
    assert credentials == Finding("AWS credentials", "ok", "account 123456789012, by env")
    assert regions == Finding("AWS regions", "ok", "us-east-1, cn-north-1 (layers.yaml)")


def test_the_configured_region(aws: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cure = "aws configure set region us-east-1"
    words = "none in layers.yaml (publish: regions) and none configured"
    assert account([])[1] == Finding("AWS regions", "warn", words, cure)
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_PROFILE", "work")
    credentials, regions = account([])
    assert regions == Finding("AWS regions", "ok", "eu-west-1 (configured)")
    assert credentials.found.startswith("account 123456789012, by ")
    assert credentials.found.endswith(", profile work")


def test_a_region_that_botocore_does_not_know(aws: dict[str, Any]) -> None:
    found = account(["us-east-1", "us-esat-1"])[1]
    assert (found.status, found.found) == (
        "warn",
        "us-esat-1: unknown to botocore; did you mean us-east-1 or us-west-1?",
    )
    assert "pip install --upgrade boto3" in found.cure


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"])
def test_credentials_that_aws_refuses(aws: dict[str, Any], code: str) -> None:
    aws.update(refusal(code))
    found = account(["us-east-1"])[0]
    assert found.status == "fail"
    assert found.found == f"AWS refuses those of env ({code})"
    assert found.cure == "export AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN again"


def test_stored_credentials_that_aws_refuses(
    aws: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.update(refusal("InvalidClientTokenId"))
    (tmp_path / "credentials").write_text(f"[work]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "work")
    found = account([])[0]
    assert found.found == "AWS refuses those of shared-credentials-file (InvalidClientTokenId)"
    assert found.cure == "aws configure --profile work"


def test_no_credentials(aws: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert account([])[0] == Finding("AWS credentials", "fail", "none found", "aws configure")
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert account([]) == [
        Finding("AWS credentials", "fail", "gone: ProfileNotFound", "aws configure --profile gone")
    ]


def test_an_sso_session_that_has_ended(aws: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    lines = ["[profile work]", "sso_session = corp", "sso_account_id = 123456789012", "sso_role_name = dev"]
    lines += ["[sso-session corp]", "sso_region = us-east-1", "sso_start_url = https://corp.awsapps.com/start"]
    (tmp_path / "config").write_text("\n".join([*lines, ""]))
    found = account(["us-east-1"])[0]
    assert (found.status, found.cure) == ("fail", "aws sso login --profile work")


def test_aws_that_does_not_answer(aws: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    found = account(["eu-west-1"])[0]
    assert found.found == "AWS does not answer in eu-west-1 (EndpointConnectionError)"
    assert found.cure.endswith("curl -sSI https://sts.eu-west-1.amazonaws.com")


@pytest.mark.usefixtures("no_engine")
def test_aws_is_asked_only_when_it_is_wanted(aws: dict[str, Any], index: Index, project: Callable[..., Path]) -> None:
    project("layers: {own: {source: src}}\npublish: {regions: [eu-west-1]}\n", {"src/main.py": ""})
    assert not [name for name in checks() if name.startswith("AWS")]
    aws.update(refusal("ExpiredToken"))
    done = layerkit("doctor", "--aws")
    assert done.returncode == 10
    assert "AWS refuses those of env (ExpiredToken)" in done.stderr
    assert "eu-west-1 (layers.yaml)" in done.stderr
    assert not [secret for secret in (KEY, SECRET, TOKEN) if secret in done.stdout + done.stderr]


# --- the command --------------------------------------------------------------------------------------------------


def test_everything_is_well(index: Index, cache: Cache, project: Callable[..., Path], fake: FakeEngine) -> None:
    fake.name, fake.root = platform.node(), str(cache.folder.parent)
    index.add(make_wheel("web"))
    head = f"version: 1\ndefaults: {{runtimes: [{RUNTIME}], architectures: [arm64, x86_64]}}\n"
    project(f"{head}layers: {{web: {{requirements: ['web[x]>=1 ; python_version > \"3\"']}}}}\n")
    image = f"public.ecr.aws/sam/build-{RUNTIME}:latest-"
    fake.images = {f"{image}arm64": "linux/arm64", f"{image}x86_64": "linux/amd64"}
    done = layerkit("doctor", "--json")
    result = json.loads(done.stdout)
    assert list(result) == ["ok", "checks"]
    assert all(list(check) == ["check", "status", "found", "cure"] for check in result["checks"])
    assert [check["check"] for check in result["checks"]] == [
        "layerkit",
        "layers.yaml",
        "container engine",
        "architecture arm64",
        "architecture x86_64",
        f"image {RUNTIME}-arm64",
        f"image {RUNTIME}-x86_64",
        f"bytecode {RUNTIME}",
        "package index",
        "disk: cache",
        "disk: output",
        "disk: engine",
    ]
    found = {check["check"]: check for check in result["checks"]}
    system = f"{platform.system()} {platform.machine()}"
    assert found["layerkit"]["found"].startswith(f"{__version__}, Python {platform.python_version()}, uv ")
    assert found["layerkit"]["found"].endswith(system)
    assert found["layers.yaml"]["found"] == f"1 layer for {RUNTIME}-arm64, {RUNTIME}-x86_64"
    # the stand-in always says aarch64
    assert found["architecture x86_64"]["status"] == "warn"
    assert [check["check"] for check in result["checks"] if check["status"] != "ok"] == ["architecture x86_64"]
    assert (done.returncode, result["ok"]) == (0, True)  # a warning is no failure
    assert not [request for request in fake.requests if "/images/create" in request]


@pytest.mark.usefixtures("no_engine")
def test_what_a_person_reads(index: Index, cache: Cache, project: Callable[..., Path]) -> None:
    project("layers: {own: {source: src}}\n", {"src/main.py": ""})
    index.add(make_wheel("pip"))
    done = layerkit("doctor")
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    column = lines[0].index(__version__)
    assert lines[0][:column].split() == ["ok", "layerkit"]
    assert lines[2].split(maxsplit=3)[:3] == ["warn", "container", "engine"]
    assert lines[3] == f"{' ' * column}To do: unset DOCKER_HOST, or start the engine at unix:///nonexistent"
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)
    assert "\x1b" not in done.stderr
    quiet = layerkit("doctor", "--quiet")
    assert [" ".join(line.split()) for line in quiet.stderr.splitlines()] == [" ".join(x.split()) for x in lines[2:4]]


@pytest.mark.usefixtures("no_engine", "index")
@pytest.mark.parametrize("plain", [False, True])
def test_colours_are_for_terminals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: bool) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    ours, theirs = pty.openpty()
    environment = os.environ | ({"NO_COLOR": "1"} if plain else {})
    command = [sys.executable, "-m", "layerkit", "doctor", "--quiet"]
    subprocess.run(command, stderr=theirs, env=environment, check=False)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert ("\x1b[33mwarn\x1b[0m  container engine" in shown) is not plain
    assert ("\x1b" in shown) is not plain


@pytest.mark.usefixtures("no_engine", "index")
def test_without_a_layers_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeEngine) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{fake.path}")
    found = checks()
    assert found["layers.yaml"].status == "ok"
    assert found["layers.yaml"].found == "none here; the checks are for python3.12 on arm64 and x86_64"
    assert {"architecture arm64", "architecture x86_64", "bytecode python3.12"} <= found.keys()


@pytest.mark.usefixtures("no_engine", "index")
def test_a_file_that_was_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = checks("--file", "other.yaml")["other.yaml"]
    assert found.status == "fail"
    assert found.found.startswith("there is no other.yaml in ")
    assert "layerkit init" in found.cure


@pytest.mark.usefixtures("no_engine")
def test_a_broken_layers_yaml(index: Index, project: Callable[..., Path]) -> None:
    index.add(make_wheel("pip"))
    project("layers: {a: {requirments: [x]}, b: {}}\n")
    done = layerkit("doctor", "--quiet")
    assert done.returncode == 10
    lines = done.stderr.splitlines()
    assert re.fullmatch(r"fail  layers\.yaml +has 3 mistakes; the checks are for python3\.12 on .*", lines[0])
    assert lines[1].strip() == "To do: layerkit build (it tells them all)"
    assert "requirments" in layerkit("build").stderr
    assert "package index" in checks()
    named = checks("--file", str(Path("layers.yaml").absolute()))["layers.yaml"]
    assert named.cure == f"layerkit build --file {Path('layers.yaml').absolute()} (it tells them all)"


@pytest.mark.usefixtures("no_engine", "index")
def test_a_damaged_lock(project: Callable[..., Path]) -> None:
    project("layers: {own: {source: src}}\n", {"src/main.py": "", "layers.lock": "nonsense\n"})
    found = checks()["layers.lock"]
    assert (found.status, found.found, found.cure) == ("fail", "the lock is damaged", "restore it, or layerkit lock")


def test_layers_without_bytecode_need_no_cpython(project: Callable[..., Path]) -> None:
    file = project(f"layers: {{own: {{source: src, runtimes: [{NEXT}], bytecode: none}}}}\n", {"src/main.py": ""})
    found, _ = read_project(file)
    assert found.compiled == ()
    assert [one.runtime for one in found.targets] == [NEXT]


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("state", ["down", "refusing", "no address", "well"])
def test_a_password_of_the_index_is_never_told(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.chdir(tmp_path)
    index.status = 401 if state == "refusing" else 200
    index.add(make_wheel("pip"))
    port = 9 if state == "down" else index.port
    secret = f"pass/{PASSWORD}" if state == "no address" else PASSWORD
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://me:{secret}@127.0.0.1:{port}/simple")
    for arguments in ((), ("--json",)):
        done = layerkit("doctor", *arguments)
        assert done.returncode == (0 if state == "well" else 10), done.stderr
        assert "127.0.0.1" in done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr


def test_secrets_in_others_words_are_hidden() -> None:
    words = f"Get https://me:{PASSWORD}@host/x failed, token {PASSWORD}; ssh://root@build"
    found = hidden(Finding("a", "fail", words, f"curl https://me:{PASSWORD}@host"), [PASSWORD])
    assert found == Finding(
        "a", "fail", "Get https://***@host/x failed, token ***; ssh://***@build", "curl https://***@host"
    )


def failing(error: BaseException) -> Future[list[Finding]]:
    def check() -> list[Finding]:
        raise error

    return doctor.started(check)


def test_a_check_that_fails_is_a_finding() -> None:
    unforeseen = doctor.result("disk", failing(OSError("it is\ngone")), 5)
    assert unforeseen == [Finding("disk", "fail", "OSError: it is")]
    late = doctor.result("disk", failing(TimeoutError("of its own")), 5)
    assert late == [Finding("disk", "fail", "TimeoutError: of its own")]
    known = doctor.result("disk", failing(MachineError("it is full", why="first\nlast", cure="sweep")), 5)
    assert known == [Finding("disk", "fail", "it is full: last", "sweep")]


def test_a_check_that_never_ends_is_a_finding() -> None:
    assert doctor.result("disk", Future(), 0.01) == [
        Finding("disk", "fail", "no answer", "run layerkit doctor again")
    ]


@pytest.mark.usefixtures("index")
def test_an_engine_that_never_answers_does_not_keep_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket takes connections, as Docker Desktop's does while it starts."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    server.listen()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
    client = connecting(tmp_path)
    [found] = engines.running(client, 0.2)
    assert found.found.startswith("does not answer within 0.2 s")
    assert not client.done()
    server.close()  # which ends the waiting
    with pytest.raises(Unfit):
        client.result(30)


# --- a real engine ------------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_a_real_engine_runs_the_arm64_image(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layers.yaml").write_text("version: 1\nlayers: {own: {source: src}}\n")
    (tmp_path / "src").mkdir()
    volumes = {volume.name for volume in engine.client.volumes.list() if "doctor" in volume.name}
    found = checks(LAYERKIT_CACHE_DIR=str(tmp_path / "cache"))
    assert found["container engine"].status == "ok"
    assert engine.name in found["container engine"].found
    how = "native" if engine.architecture == "aarch64" else f"emulated on {engine.architecture}"
    words = rf"{how}, works: Python 3\.12\.[0-9]+ of {re.escape(IMAGE)} ran"
    assert re.fullmatch(words, found["architecture arm64"].found)
    assert re.match(rf"{re.escape(IMAGE)}, (ID|digest) sha256:[0-9a-f]{{12}}", found["image python3.12-arm64"].found)
    ours = [one for one in engine.client.containers.list(all=True) if "doctor" in str(one.labels)]
    assert ours == []
    assert {volume.name for volume in engine.client.volumes.list() if "doctor" in volume.name} == volumes
    assert list((tmp_path / "cache/tmp").iterdir()) == []


@pytest.mark.engine
def test_a_real_engine_without_the_image(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that is not there: nothing listens on loopback's port 9."""
    monkeypatch.chdir(tmp_path)
    reference = "127.0.0.1:9/layerkit/none:1"
    (tmp_path / "layers.yaml").write_text(
        f"version: 1\ncontainer: {{image: '{reference}'}}\nlayers: {{own: {{source: src}}}}\n"
    )
    (tmp_path / "src").mkdir()
    found = checks()["image python3.12-arm64"]
    assert found.status == "warn"
    assert found.found.startswith(f"{reference}: not here, and ")
    assert found.cure.endswith(f"pull --platform linux/arm64 {reference}")
