"""A function in the container engine: what it sees there, what it may do, and that nothing of it stays."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Said, absent
from layerkit import targets, tars
from layerkit.builders.boxes import Host
from layerkit.builders.engine import Engine, containers, images
from layerkit.builders.engine.functions import Attached
from layerkit.cache import Cache
from layerkit.local import client, filling
from layerkit.local.container import Containers
from layerkit.local.nouns import Invocation, Runnable
from layerkit.local.session import Session
from layerkit.model import Function, Target
from layerkit.sandbox._folders import merge
from layerkit.sandbox.surroundings import NotHere
from layerkit.sandbox.unpacking import Refused, unpack
from layerzips import Item, file, folder, link, write

NONE = (
    "layerkit-test-none:{python}-{architecture}",
)  # where AWS's own image is on this machine, the others are tried
ARM64 = "arm64"


def target(architecture: str) -> Target:
    found = targets.find_runtime("python3.12")
    assert found
    return found.target(architecture)


# --- /opt and /var/task, as tars ----------------------------------------------------------------------------


def members(tar: Path) -> dict[str, tuple[str, int, bytes]]:
    """path -> (kind, mode, content or where a link leads)."""
    found = {}
    with tarfile.open(tar) as archive:
        for member in archive:
            assert (member.uid, member.gid) == (0, 0)
            stream = archive.extractfile(member) if member.isfile() else None
            kind = "file" if member.isfile() else "link" if member.issym() else "folder"
            assert kind != "folder" or member.isdir()
            found[member.name] = kind, member.mode, stream.read() if stream else member.linkname.encode()
    return found


def on_disk(top: Path) -> dict[str, tuple[str, int, bytes]]:
    found: dict[str, tuple[str, int, bytes]] = {}
    for path in top.rglob("*"):
        name, mode = path.relative_to(top).as_posix(), path.lstat().st_mode & 0o777
        if path.is_symlink():
            found[name] = "link", 0o777, os.fsencode(path.readlink())
        else:
            found[name] = ("folder", mode, b"") if path.is_dir() else ("file", mode, path.read_bytes())
    return found


def test_the_modes_are_the_zips(tmp_path: Path) -> None:
    """Whoever runs this: on a disk, files of another user than root could not have them."""
    first = write(
        tmp_path / "1.zip", file("python/a.py", "1", mode=0o100600), file("python/b.py", "1"), link("lib", "python")
    )
    second = write(
        tmp_path / "2.zip",
        Item(path="python/", mode=0o040750, method=0),
        file("python/b.py", "2", mode=0o100755),
        file("lib/c", "2"),
    )
    filling.opt([first, second], tmp_path / "opt.tar")
    found = members(tmp_path / "opt.tar")
    assert found == {
        "lib": ("folder", 0o755, b""),
        "lib/c": ("file", 0o644, b"2"),
        "python": ("folder", 0o750, b""),
        "python/a.py": ("file", 0o600, b"1"),
        "python/b.py": ("file", 0o755, b"2"),
    }
    assert list(found) == sorted(found)  # a folder comes before what is in it


PATHS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
MODES = st.sampled_from([0o100644, 0o100600, 0o100755])
FOLDERS = st.builds(lambda path, mode: Item(path=f"{path}/", mode=mode, method=0), PATHS, st.just(0o040750))
FILES = st.builds(lambda path, mode: file(path, path, mode=mode), PATHS, MODES)
LINKS = st.builds(lambda path: link(path, "b"), st.sampled_from(["a", "c"]))
LAYERS = st.lists(st.lists(FOLDERS | FILES | LINKS, min_size=1, max_size=5), min_size=1, max_size=4)


@given(LAYERS)
def test_layers_are_merged_as_on_a_disk(
    tmp_path_factory: pytest.TempPathFactory, layers: Sequence[Sequence[Item]]
) -> None:
    top = tmp_path_factory.mktemp("merged")
    zips, unpacked = [], []
    for number, items in enumerate(layers):
        made = write(top / f"{number}.zip", *items)
        try:
            modes = unpack(made, top / str(number), owned=False)
        except ValueError:  # a file and a folder of one name
            continue
        zips.append(made)
        unpacked.append((str(top / str(number)), modes))
    merge(unpacked, str(top / "opt"))
    filling.opt(zips, top / "opt.tar")
    assert members(top / "opt.tar") == on_disk(top / "opt")
    shutil.rmtree(top)


def test_a_functions_own_files(tmp_path: Path) -> None:
    for path in ("app.py", "pkg/sub/x.py", "__pycache__/app.pyc"):
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_text(path)
    filling.task(tmp_path / "source", tmp_path / "task.tar")
    assert {path: mode for path, (_, mode, _) in members(tmp_path / "task.tar").items()} == {
        "app.py": 0o644, "pkg": 0o755, "pkg/sub": 0o755, "pkg/sub/x.py": 0o644,
    }  # fmt: skip
    filling.task(None, tmp_path / "none.tar")
    assert members(tmp_path / "none.tar") == {}


def test_what_stands_in_the_image(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("x = 1\n")
    os.utime(tmp_path / "x.py", (1_600_000_000, 1_600_000_000))
    files: dict[str, bytes | Path] = {
        "etc/passwd": b"root",
        "layerkit/a.py": b"a",
        "var/runtime/pkg/x.py": tmp_path / "x.py",
    }
    filling.whole(files, tmp_path / "whole.tar")
    assert members(tmp_path / "whole.tar") == {
        "etc/passwd": ("file", 0o644, b"root"),
        "layerkit": ("folder", 0o755, b""),
        "layerkit/a.py": ("file", 0o644, b"a"),
        "var/runtime": ("folder", 0o755, b""),
        "var/runtime/pkg": ("folder", 0o755, b""),
        "var/runtime/pkg/x.py": ("file", 0o644, b"x = 1\n"),
    }
    with tarfile.open(tmp_path / "whole.tar") as tar:
        assert tar.getmember("var/runtime/pkg/x.py").mtime == 1_600_000_000


# --- what is said -------------------------------------------------------------------------------------------


def frame(kind: int, data: bytes) -> bytes:
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


class Gone:
    """A container that has ended."""

    def wait(self) -> tuple[int, bool]:
        return 137, True


@contextmanager
def attached() -> Iterator[tuple[Attached, socket.socket]]:
    ours, theirs = socket.socketpair()
    stream = Attached(Gone(), ours)  # type: ignore[arg-type]
    with theirs:
        try:
            yield stream, theirs
        finally:
            stream.close()


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=30) | st.sampled_from([b"a\nb", b"\n"]))))
def test_lines_are_whole_however_the_engine_cuts_them(frames: list[tuple[int, bytes]]) -> None:
    with attached() as (stream, theirs):
        theirs.sendall(b"".join(frame(kind, data) for kind, data in frames))
        theirs.shutdown(socket.SHUT_WR)
        said = b"".join(data for kind, data in frames if kind == 1)
        whole = said.split(b"\n")
        assert list(stream.lines()) == (whole if whole[-1] else whole[:-1])


def test_last_words() -> None:
    with attached() as (stream, theirs):
        theirs.sendall(frame(2, b"one\n" * 5000) + frame(1, b"x\n") + frame(2, b"Traceback\n  a\nOSError: why\n"))
        theirs.shutdown(socket.SHUT_WR)
        assert list(stream.lines()) == [b"x"]
        assert stream.last_words() == "OSError: why"
        assert sum(map(len, stream.said)) < 30_000
    with attached() as (stream, theirs):
        theirs.close()
        assert list(stream.lines()) == []
        assert stream.last_words() == "exit status 137, out of memory"
        with pytest.raises(OSError, match="Broken pipe"):
            stream.write(b"x\n")


def test_a_reader_ends_when_it_is_closed() -> None:
    found: list[list[bytes]] = []
    with attached() as (stream, theirs):
        theirs.sendall(frame(1, b"begun"))
        thread = threading.Thread(target=lambda: found.append(list(stream.lines())))
        thread.start()
        stream.close()
        thread.join(60)
        assert found
        assert found[0] in ([], [b"begun"])


# --- where this machine is ----------------------------------------------------------------------------------


class Elsewhere:
    """An engine that is not on this machine's own kernel."""

    def __init__(self, address: str) -> None:
        self.socket = address

    def info(self) -> Mapping[str, str]:
        return {"OperatingSystem": "Docker Desktop"}


def reached(at: str, cache: Cache, said: Said, **variables: str) -> tuple[str, Mapping[str, str], list[str]]:
    return Containers(cache, said)._reach(Elsewhere(at), variables)  # type: ignore[arg-type]


def test_this_machine_has_another_name_in_a_virtual_one(cache: Cache, said: Said) -> None:
    urls = {"A": "http://127.0.0.1:8000/x", "B": "http://localhost", "C": "postgres://[::1]:1/a", "D": "127.0.0.1"}
    network, found, unlike = reached("/run/docker.sock", cache, said, **urls)
    there = "host.docker.internal"
    assert found == {
        "A": f"http://{there}:8000/x",
        "B": f"http://{there}",
        "C": f"postgres://{there}:1/a",
        "D": "127.0.0.1",
    }
    assert network == ""
    assert unlike == [f"this machine is {there} in the container, and in the function's variables"]


def test_this_machine_is_out_of_a_remote_engines_reach(cache: Cache, said: Said) -> None:
    network, found, unlike = reached("", cache, said, A="http://127.0.0.1:8000/x")
    assert (network, found) == ("", {"A": "http://127.0.0.1:8000/x"})
    assert unlike == ["the engine is not on this machine: 127.0.0.1 is the container's own"]
    assert reached("", cache, said, A="http://127.0.0.1.example.com/") == (
        "",
        {"A": "http://127.0.0.1.example.com/"},
        [],
    )


# --- a real engine ------------------------------------------------------------------------------------------

APP = """
    import errno, json, os, socket, subprocess, sys, time, urllib.request

    print("init")
    kept = []

    def written(path):
        try:
            with open(path, "w"):
                return "written"
        except OSError as error:
            return errno.errorcode[error.errno]

    def handler(event, context):
        return globals()[event["do"]](**event.get("with", {}))

    def hello(name):
        print("hello", name)
        return "hello " + name

    def surroundings():
        import which
        with open("/proc/self/status") as file:
            status = dict(line.split(":", 1) for line in file)
        return {
            "layer": which.NAME,
            "user": [os.getuid(), os.getgid(), os.getgroups()],
            "rights": [status["CapEff"].strip(), status["CapBnd"].strip(), status["NoNewPrivs"].strip()],
            "path": sys.path,
            "variables": dict(os.environ),
            "writes": {path: written(path) for path in
                       ("/x", "/etc/x", "/opt/x", "/opt/python/x", "/var/task/x", "/var/runtime/x", "/tmp/x")},
            "home": os.path.expanduser("~"),
            "folder": os.getcwd(),
            "shared memory": os.path.exists("/dev/shm"),
            "opt": sorted(os.listdir("/opt")),
            "machine": os.uname().machine,
            "own bootstrap": getattr(sys, "own_bootstrap", False),
            "modes": {name: oct(os.stat("/opt/python/" + name).st_mode) for name in os.listdir("/opt/python")},
        }

    def read(path):
        with open(path) as file:
            return file.read()

    def sdk():
        import boto3
        return [boto3.__file__, boto3.__cached__ and os.path.exists(boto3.__cached__)]

    def allocate(megabytes):
        kept.append(bytearray(os.urandom(1 << 20) * megabytes))
        time.sleep(10)

    def allocate_briefly(megabytes):
        return len(bytearray(os.urandom(1 << 20) * megabytes)) >> 20

    def child(megabytes):
        code = "a = bytearray(%d << 20); a[::4096] = b'x' * len(a[::4096])" % megabytes
        return subprocess.run([sys.executable, "-c", code]).returncode

    def fill(megabytes):
        try:
            with open("/tmp/large", "wb") as file:
                for _ in range(megabytes):
                    file.write(bytes(1 << 20))
            return "written"
        except OSError as error:
            return errno.errorcode[error.errno]
        finally:
            os.unlink("/tmp/large")

    def sleep(seconds):
        time.sleep(seconds)

    def echo(text):
        return text

    def fetch():
        with urllib.request.urlopen(os.environ["URL"], timeout=10) as answer:
            return answer.read().decode()

    def resolve(name):
        return socket.gethostbyname(name)
"""


def layers(into: Path) -> tuple[Path, ...]:
    first = [
        file("python/which.py", "NAME = 'first'\n"),
        file("python/first.py"),
        file("python/closed.py", mode=0o100600),
    ]
    second = [file("python/which.py", "NAME = 'second'\n", mode=0o100755), folder("lib")]
    return write(into / "1.zip", *first), write(into / "2.zip", *second)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Cache:
    """A cache with the runtime's client for both architectures, from the real index."""
    cache = Cache(tmp_path_factory.mktemp("cache"))
    for architecture in (ARM64, "x86_64"):
        client.folder(target(architecture), cache)
    return cache


@pytest.fixture
def alone(kept: Cache, tmp_path: Path) -> Iterator[Cache]:
    """A cache whose engine objects are no other test's."""
    shutil.copytree(kept.folder / "runtime", tmp_path / "cache/runtime")
    yield Cache(tmp_path / "cache")
    Host(Cache(tmp_path / "cache"), Said()).connect().close()  # should the test have failed


@pytest.fixture(scope="module")
def native(engine: Engine) -> Target:
    found = target({"aarch64": ARM64}.get(engine.architecture, engine.architecture))
    if not images.find(engine, found.image):
        absent(f"engine-{found.architecture}", f"the engine has no build image for {found.architecture}")
    return found


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("function")
    (top / "src").mkdir()
    (top / "src/app.py").write_text(dedent(APP))
    layers(top)
    return top


def runnable(work: Path, target: Target, variables: Mapping[str, str] | None = None, **fields: Any) -> Runnable:
    function = Function(key="demo", layers=(), source=work / "src", handler="app.handler", **fields)
    zips = (work / "1.zip", work / "2.zip")
    return Runnable(function=function, target=target, zips=zips, variables=variables or {})


@contextmanager
def running(
    cache: Cache, runnable: Runnable, names: tuple[str, ...] = NONE, said: Said | None = None, **options: Any
) -> Iterator[Session]:
    with Containers(cache, said or Said(), images=names, **options).open(runnable, lambda _: None) as session:
        yield session


def call(session: Session, do: str, **given: object) -> Invocation:
    return session.invoke(json.dumps({"do": do, "with": given}))


def answer(session: Session, do: str, **given: object) -> Any:
    done = call(session, do, **given)
    assert done.failure is None, done
    return json.loads(done.payload)


def objects(engine: Engine, cache: Cache, *, all: bool = True) -> list[str]:  # noqa: A002 - the engine's word
    """The names of the containers, and with `all` those of volumes too, of this cache's client."""
    own = Engine.connect(cache.folder)
    own.close()
    marks = {"label": f"io.layerkit.machine={own.machine}"}
    api = engine.client.api
    found = [name.strip("/") for one in api.containers(all=all, filters=marks) for name in one["Names"]]
    return found + [str(one["Name"]) for one in api.volumes(filters=marks).get("Volumes") or [] if all]


@pytest.fixture(scope="module")
def here(kept: Cache, native: Target, work: Path, engine: Engine) -> Iterator[Session]:
    """A function that runs without emulation."""
    with running(kept, runnable(work, native, {"GIVEN": "a b"}, timeout=20)) as session:
        yield session
    assert objects(engine, kept) == []


@pytest.mark.engine
def test_a_function_answers(here: Session) -> None:
    done = call(here, "hello", name="you")
    assert json.loads(done.payload) == "hello you"
    assert done.log[-1] == "hello you"
    assert done.memory > 5_000_000
    assert here.ready().failure is None
    assert here.where.startswith("container (")
    assert here.where.endswith(f"build-python3.12:latest-{'arm64' if 'arm64' in here.where else 'x86_64'})")


@pytest.mark.engine
def test_surroundings(here: Session, native: Target) -> None:
    found = answer(here, "surroundings")
    assert found["layer"] == "second"
    assert found["modes"]["which.py"] == "0o100755"
    assert found["modes"]["closed.py"] == "0o100600"
    assert found["user"] == [993, 990, []]
    assert found["rights"][::2] == ["0000000000000000", "1"]
    assert found["rights"][1] == "00000000000000e0"  # KILL, SETGID, SETUID
    assert found["home"] == "/home/sbx_user1051"
    assert found["folder"] == "/var/task"
    assert found["shared memory"] is False
    assert found["opt"] == ["lib", "python"]  # nothing that the image has there
    assert found["machine"] == native.machine
    assert found["writes"] == {
        **dict.fromkeys(("/x", "/etc/x", "/opt/x", "/opt/python/x", "/var/task/x", "/var/runtime/x"), "EROFS"),
        "/tmp/x": "written",
    }  # fmt: skip
    path = found["path"]
    assert path[:5] == [
        "/var/task", "/opt/python/lib/python3.12/site-packages", "/opt/python",
        "/var/lang/lib/python3.12/site-packages", "/var/runtime",
    ]  # fmt: skip
    variables = found["variables"]
    assert variables["GIVEN"] == "a b"
    assert variables["_HANDLER"] == "app.handler"
    assert not {"HOME", "HOSTNAME", "QEMU_CPU", "PWD"} & variables.keys()  # of the image and the container


@pytest.mark.engine
def test_what_is_closed_in_a_zip_is_closed_there(here: Session) -> None:
    failure = call(here, "read", path="/opt/python/closed.py").failure
    assert failure
    assert failure.type == "PermissionError"


@pytest.mark.engine
def test_the_sdk_is_lent_with_bytecode(here: Session) -> None:
    assert answer(here, "sdk") == ["/var/runtime/boto3/__init__.py", True]
    assert any("boto3" in words and "layerkit's own" in words for words in here.unlike)


@pytest.mark.engine
def test_large_events_and_answers(here: Session) -> None:
    text = "x\n\u00e9" * 1_200_000
    assert answer(here, "echo", text=text) == text


@pytest.mark.engine
def test_tmp_is_as_large_as_in_lambda_and_no_part_of_the_memory(here: Session) -> None:
    assert answer(here, "fill", megabytes=300) == "written"
    assert answer(here, "fill", megabytes=513) == "ENOSPC"


@pytest.mark.engine
def test_memory(kept: Cache, native: Target, work: Path) -> None:
    with running(kept, runnable(work, native, timeout=20, memory=128)) as session:
        failure = call(session, "allocate", megabytes=200).failure
        assert failure
        assert (failure.type, failure.message[-14:]) == ("Runtime.ExitError", "signal: killed")
        assert answer(session, "hello", name="again") == "hello again"
        assert answer(session, "child", megabytes=10) == 0
        failure = call(session, "child", megabytes=200).failure  # what it starts counts
        assert failure
        assert failure.message.endswith("signal: killed")


@pytest.mark.engine
def test_time(kept: Cache, native: Target, work: Path) -> None:
    with running(kept, runnable(work, native, timeout=1), cpus=0.5) as session:
        failure = call(session, "sleep", seconds=30).failure
        assert failure
        assert failure.type == "Sandbox.Timedout"
        assert failure.message.endswith("Task timed out after 1.00 seconds")
        assert answer(session, "hello", name="again") == "hello again"


@pytest.mark.engine
def test_a_share_of_a_core(kept: Cache, native: Target, work: Path, engine: Engine) -> None:
    with running(kept, runnable(work, native), cpus=0.25):
        found = map(engine.client.containers.get, objects(engine, kept, all=False))
        assert 250_000_000 in [one.attrs["HostConfig"]["NanoCpus"] for one in found]


# --- the network --------------------------------------------------------------------------------------------


@contextmanager
def served(text: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.engine
def test_a_server_on_this_machine_is_reached(kept: Cache, native: Target, work: Path) -> None:
    with served(b"from here") as url, running(kept, runnable(work, native, {"URL": url}, timeout=20)) as session:
        assert answer(session, "fetch") == "from here"


@pytest.mark.engine
def test_this_machine_has_a_name_in_the_engines_own_network(engine: Engine, here: Session) -> None:
    if not engine.client.networks.list(names=["bridge", "podman"]):
        absent("engine-bridge", "the engine has no network of its own")
    assert answer(here, "resolve", name="host.docker.internal").count(".") == 3


@pytest.mark.engine
def test_a_network_may_be_named(kept: Cache, native: Target, work: Path) -> None:
    with served(b"") as url, running(kept, runnable(work, native, {"URL": url}), network="none") as session:
        failure = call(session, "fetch").failure
        assert failure
        assert failure.type == "URLError"


# --- the image ----------------------------------------------------------------------------------------------


@pytest.mark.engine
def test_an_emulated_function(kept: Cache, engine: Engine, native: Target, work: Path) -> None:
    foreign = target("x86_64" if native.architecture == ARM64 else ARM64)
    if not images.find(engine, foreign.image):
        absent(f"engine-{foreign.architecture}", f"the engine has no build image for {foreign.architecture}")
    with running(kept, runnable(work, foreign, timeout=1)) as session:
        found = answer(session, "surroundings")
        assert found["machine"] == foreign.machine
        assert found["layer"] == "second"
        assert found["variables"]["QEMU_CPU"] == {"aarch64": "neoverse-n1"}.get(foreign.machine, "max")
        assert session.where.endswith(f"{foreign.image}, emulated)")
        assert "emulated: the timeout of 1 s is 10 s here, memory is not limited" in session.unlike
        done = call(session, "sleep", seconds=1.5)
        assert done.failure is None
        assert answer(session, "allocate_briefly", megabytes=200) == 200


BOOTSTRAP = b"""
import os, site, sys
sys.own_bootstrap = True
places = ["/var/task", "/opt/python/lib/python3.12/site-packages", "/opt/python"]
sys.path[:0] = places
for place in places:
    site.addsitedir(place)
import awslambdaric.__main__
awslambdaric.__main__.main(["/var/task", os.environ["_HANDLER"]])
"""
STAND_IN = "layerkit-test-lambda:{python}-{architecture}"


@pytest.fixture
def stand_in(engine: Engine, native: Target, kept: Cache) -> Iterator[str]:
    """An image of the runtime itself, under a name of its own."""
    name = STAND_IN.format(python=native.python, architecture=native.architecture)
    folder = client.folder(native, kept)
    files: dict[str, bytes | Path] = {
        f"var/runtime/{path.relative_to(folder)}": path for path in folder.rglob("*") if path.is_file()
    }
    files["var/runtime/bootstrap.py"] = BOOTSTRAP
    made = engine.client.containers.create(native.image, ["true"])
    try:
        made.put_archive("/", tars.pack(files, mode=0o644))
        repository, _, tag = name.partition(":")
        made.commit(repository, tag)
    finally:
        made.remove(force=True)
    yield name
    own = f"io.layerkit.function={name} {native.machine}"
    for image in [*engine.client.images.list(filters={"label": own}), engine.client.images.get(name)]:
        engine.client.images.remove(str(image.id), force=True)


@pytest.mark.engine
def test_the_runtimes_own_image_comes_first(
    stand_in: str, kept: Cache, native: Target, work: Path, said: Said, engine: Engine
) -> None:
    with running(kept, runnable(work, native), names=(*NONE, STAND_IN), said=said) as session:
        found = answer(session, "surroundings")
        assert found["own bootstrap"] is True
        assert found["user"] == [993, 990, []]
        assert found["layer"] == "second"
        assert stand_in in session.where
        assert not any("layerkit's own" in words or "build image" in words for words in session.unlike)
    assert said.notes == [f"making the function's image from {stand_in}"]
    [made] = engine.client.images.list(filters={"label": f"io.layerkit.function={stand_in} {native.machine}"})
    other = Containers(kept, said, images=(STAND_IN,))
    with other.open(runnable(work, native), lambda _: None), other.open(runnable(work, native), lambda _: None):
        pass
    assert len(said.notes) == 1  # it is there
    engine.client.images.get(str(made.id))


@pytest.mark.engine
def test_what_would_be_better_is_said_once(kept: Cache, native: Target, work: Path, said: Said) -> None:
    place = Containers(kept, said, images=NONE)
    for _ in range(2):
        with place.open(runnable(work, native), lambda _: None) as session:
            assert (
                session.unlike[0]
                == "Python and the system's libraries are those of the build image, not the runtime's"
            )
    wanted = NONE[0].format(python="3.12", architecture=native.architecture)
    words = f"the function runs in {native.image}; docker pull {wanted} gives Lambda's own image"
    assert [note for note in said.notes if not note.startswith("making")] == [words]


def test_the_names_of_awss_images(cache: Cache, said: Said) -> None:
    names = Containers(cache, said)._names(target(ARM64))
    assert names == ["public.ecr.aws/lambda/python:3.12-arm64", "public.ecr.aws/lambda/python:3.12"]


def refused(place: Containers, runnable: Runnable) -> str:
    with pytest.raises(NotHere) as found, place.open(runnable, lambda _: None):
        pass
    return str(found.value)


@pytest.mark.engine
def test_no_image(alone: Cache, native: Target, work: Path, said: Said, engine: Engine) -> None:
    nowhere = replace(native, image="127.0.0.1:9/none:1")
    words = refused(Containers(alone, said, images=("127.0.0.1:9/own:1",)), runnable(work, nowhere))
    assert words.startswith("127.0.0.1:9/none:1: the build image is not there and cannot be pulled: ")
    assert said.notes == ["pulling 127.0.0.1:9/own:1", "pulling 127.0.0.1:9/none:1"]
    assert objects(engine, alone) == []


@pytest.mark.engine
def test_an_image_without_the_runtimes_python(
    alone: Cache, native: Target, work: Path, said: Said, engine: Engine
) -> None:
    older = replace(native, runtime="python3.11")
    words = refused(Containers(alone, said, images=NONE), runnable(work, older))
    assert words == f"{native.image}: the image has no python3.11"
    assert objects(engine, alone) == []


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the SDK's own, where it cannot connect
def test_no_engine(cache: Cache, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    layers(tmp_path)
    words = refused(Containers(cache, said), runnable(tmp_path, target(ARM64)))
    assert words.startswith("no container engine answers: ")
    gc.collect()


@pytest.mark.engine
def test_a_refused_zip(alone: Cache, native: Target, work: Path, said: Said, tmp_path: Path, engine: Engine) -> None:
    bad = write(tmp_path / "bad.zip", file("../x"))
    with pytest.raises(Refused), running(alone, replace(runnable(work, native), zips=(bad,))):
        pass
    assert objects(engine, alone) == []


class Proxy(socketserver.BaseRequestHandler):
    """The engine, as one that is reached over TCP; each side's end is told to the other."""

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as there:
            there.connect(self.server.socket_path)  # type: ignore[attr-defined]
            back = threading.Thread(target=self.pump, args=(there, self.request), daemon=True)
            back.start()
            self.pump(self.request, there)
            back.join()

    @staticmethod
    def pump(source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                to.sendall(data)
        with suppress(OSError):
            to.shutdown(socket.SHUT_WR)


@pytest.mark.engine
def test_an_engine_that_is_reached_over_tcp(
    kept: Cache, native: Target, work: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads = True  # a connection that is kept for the next call has no end
        server.socket_path = engine.socket  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_address[1]}")
            with running(kept, runnable(work, native)) as session:
                assert answer(session, "echo", text="x" * 3_000_000) == "x" * 3_000_000
        finally:
            server.shutdown()
            thread.join()


# --- nothing stays ------------------------------------------------------------------------------------------


class Api:
    """An engine's containers and volumes, by name: machine, role, state, age in seconds."""

    def __init__(self, **given: tuple[str, str, str, int]) -> None:
        self.given, self.removed = given, []  # type: dict[str, tuple[str, str, str, int]], list[str]

    def _labels(self, machine: str, role: str) -> dict[str, str]:
        return {"io.layerkit.machine": machine, "io.layerkit.role": role, "io.layerkit.owner": machine}

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return [
            {"Id": name, "Labels": self._labels(machine, role), "State": state, "Created": time.time() - age}
            for name, (machine, role, state, age) in self.given.items()
        ]

    def volumes(self, **_: object) -> dict[str, Any]:
        made = [datetime.fromtimestamp(time.time() - age, UTC) for *_, age in self.given.values()]
        return {
            "Volumes": [
                {"Name": f"{name}-volume", "Labels": self._labels(machine, role), "CreatedAt": at.isoformat()}
                for (name, (machine, role, _, _)), at in zip(self.given.items(), made, strict=True)
            ]
        }

    def remove_container(self, name: str, **_: object) -> None:
        self.removed.append(name)

    def remove_volume(self, name: str, **_: object) -> None:
        self.removed.append(name)


class Known:
    """An engine, as far as it is tidied up."""

    machine = "ours"

    def __init__(self, api: Api) -> None:
        self.client = SimpleNamespace(api=api)
        self.talking = nullcontext


@pytest.mark.parametrize(
    ("machine", "role", "state", "hours", "live", "goes"),
    [
        ("ours", "function", "running", 1, True, False),
        ("ours", "function", "running", 30, True, False),  # layerkit serve
        ("ours", "builder", "running", 30, True, False),
        ("ours", "function", "exited", 0, False, True),
        ("ours", "builder", "running", 0, False, True),
        ("theirs", "function", "running", 30, False, False),  # it ends with its client
        ("theirs", "function", "exited", 30, False, True),
        ("theirs", "function", "exited", 1, False, False),
        ("theirs", "builder", "running", 30, False, True),
        ("theirs", "builder", "running", 1, False, False),
    ],
)
def test_what_is_removed(machine: str, role: str, state: str, hours: int, live: bool, goes: bool) -> None:
    api = Api(one=(machine, role, state, hours * 3600))
    containers.tidy(Known(api), lambda owner: live)  # type: ignore[arg-type]
    assert "one" in api.removed if goes else "one" not in api.removed
    if goes:
        assert api.removed == ["one", "one-volume"]


PROGRAM = """
import json, sys
from pathlib import Path
from conftest import Said
from layerkit.cache import Cache
from test_local_container import call, runnable, running, target
cache, work, architecture = sys.argv[1:]
print("begun", flush=True)
with running(Cache(Path(cache)), runnable(Path(work), target(architecture), timeout=60)) as session:
    session.ready()
    print("ready", flush=True)
    call(session, "sleep", seconds=50)
"""


@contextmanager
def program(cache: Cache, work: Path, native: Target) -> Iterator[subprocess.Popen[str]]:
    """layerkit with a function at work, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", PROGRAM, str(cache.folder), str(work), native.architecture]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as made:
        try:
            assert made.stdout
            assert made.stdout.readline() == "begun\n"
            yield made
        finally:
            made.kill()
            made.communicate()


def until(is_true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.002)


@pytest.mark.engine
@pytest.mark.parametrize("way", ["filler", "container", "begun", "event"])
def test_an_interrupt_leaves_nothing(way: str, alone: Cache, work: Path, native: Target, engine: Engine) -> None:
    marks = {
        "filler": lambda: objects(engine, alone),
        "container": lambda: {name.count("-") for name in objects(engine, alone)} >= {2},
        "begun": lambda: objects(engine, alone, all=False),
    }
    with program(alone, work, native) as made:
        if way == "event":
            assert made.stdout
            assert made.stdout.readline() == "ready\n"
        else:
            until(marks[way])
        made.send_signal(signal.SIGINT)
        _, said = made.communicate(timeout=60)
        assert "KeyboardInterrupt" in said
    assert objects(engine, alone) == []


@pytest.mark.engine
def test_a_kill_ends_the_function_and_the_next_run_removes_what_is_left(
    alone: Cache, work: Path, native: Target, engine: Engine, said: Said
) -> None:
    with program(alone, work, native) as made:
        assert made.stdout
        assert made.stdout.readline() == "ready\n"
        host = Host(alone, said)
        host.connect().close()  # it tidies: what is at work stays
        assert len(objects(engine, alone)) == 3
        made.kill()
        made.wait()
    until(lambda: not objects(engine, alone, all=False))  # its standard input has ended
    assert len(objects(engine, alone)) == 3
    Host(alone, said).connect().close()
    assert objects(engine, alone) == []
