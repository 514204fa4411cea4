"""A function on this machine: Lambda's folders, user and variables, and AWS's own runtime client."""

from __future__ import annotations

import gc
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from conftest import ROOT, absent
from layerkit import targets
from layerkit.cache import Cache
from layerkit.errors import ContentError, MachineError
from layerkit.local import client, places
from layerkit.local.host import Host
from layerkit.local.nouns import Environment, Runnable
from layerkit.local.request import RunRequest
from layerkit.model import Function, Interpreter, Target
from layerkit.sandbox.surroundings import NotHere
from layerzips import Item, file, write
from processes import descendants, is_alive, wait_for
from runtime import can_mount

pytestmark = pytest.mark.integration
OWN = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
OTHER = "x86_64" if OWN == "arm64" else "arm64"


def target(minor: str = "3.12", architecture: str = OWN) -> Target:
    found = targets.find_runtime(f"python{minor}")
    assert found
    return found.target(architecture)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, python312: Interpreter) -> Cache:
    """With the runtime client, fetched once."""
    made = Cache(tmp_path_factory.mktemp("cache") / "cache")
    client.here(target(), made)
    return made


def runnable(folder: Path, code: str = "", *zips: Path, **fields: object) -> Runnable:
    """A function whose main.py is this code."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "main.py").write_text(dedent(code))
    variables = fields.pop("variables", {})
    runs_on = fields.pop("target", target())
    given = {"handler": "main.handler", "timeout": 20, "memory": 256} | fields
    function = Function(key="f", layers=(), source=source, **given)  # type: ignore[arg-type]
    return Runnable(function=function, target=runs_on, zips=zips, variables=variables)  # type: ignore[arg-type]


Open = Callable[..., Environment]


@pytest.fixture(params=["namespace", "makeshift"])
def host(request: pytest.FixtureRequest, cache: Cache) -> Host:
    if request.param == "namespace":
        if not can_mount():
            absent("root", "a mount namespace of one's own needs root")
        return Host(cache)
    return makeshift(cache)


def makeshift(cache: Cache) -> Host:
    """As root, it takes a Python that anybody may run: the system's."""
    made = Host(cache, isolated=False)
    if os.geteuid() == 0:
        for minor in ("3.13", "3.12", "3.11"):
            python = Path(f"/usr/bin/python{minor}")
            if python.exists():
                release = subprocess.run(
                    [python, "-c", "import platform; print(platform.python_version())"],
                    capture_output=True, text=True, check=True,
                ).stdout.strip()  # fmt: skip
                made.interpreters[minor] = Interpreter(executable=python, release=release)
                return made
        pytest.skip("the system has no Python that another user may run")
    return made


def fitting(host: Host) -> Target:
    return target(next(iter(host.interpreters), "3.12"))


@pytest.fixture
def opened(host: Host) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda wanted: stack.enter_context(host.open(replace(wanted, target=fitting(host)), lambda _: None))


def asked(environment: Environment, event: object = None) -> object:
    answer = environment.invoke(json.dumps(event))
    assert answer.failure is None, answer
    return json.loads(answer.payload)


SURROUNDINGS = """
    import json, os, sys, platform
    def attempt(path):
        try:
            open(path, "w").close()
        except OSError as error:
            return error.strerror
    def handler(event, context):
        return {
            "path": sys.path, "user": [os.getuid(), os.getgid()], "groups": os.getgroups(), "folder": os.getcwd(),
            "writes": {
                path: attempt(path)
                for path in ("/opt/x", "/var/task/x", "/x", "/tmp/layerkit-test-host", "/var/runtime/x")
            },
            "homes": [path for path in ("/root", "/home", "/dev/shm", "/mnt", "/srv") if os.path.exists(path)],
            "variables": dict(os.environ), "context": [
                context.function_name, context.memory_limit_in_mb, context.invoked_function_arn,
                context.get_remaining_time_in_millis() > 1000, context.log_group_name,
            ],
            "modules": sorted(name for name in sys.modules if name in ("pip", "pytest")),
            "boto3": __import__("boto3").__file__, "exit": callable(exit), "main": sys.argv,
        }
"""


def test_a_namespace_is_as_lambda_is(cache: Cache, tmp_path: Path) -> None:
    if not can_mount():
        absent("root", "a mount namespace of one's own needs root")
    wanted = runnable(tmp_path, SURROUNDINGS, variables={"MINE": "1"}, memory=512)
    with Host(cache).open(replace(wanted, region="eu-west-1"), print) as environment:
        found = asked(environment)
    assert isinstance(found, dict)
    paths = found["path"]
    site = "lib/python3.12/site-packages"
    assert paths[:5] == ["/var/task", f"/opt/python/{site}", "/opt/python", f"/var/lang/{site}", "/var/runtime"]
    assert paths[5:8] == [
        "/var/lang/lib/python312.zip", "/var/lang/lib/python3.12", "/var/lang/lib/python3.12/lib-dynload",
    ]  # fmt: skip
    assert paths[8:] == paths[1:3]  # site has them, too: they are not there, so it does not know them again
    assert found["user"] == [993, 990]
    assert found["groups"] == []
    assert found["folder"] == "/var/task"
    closed = dict.fromkeys(("/opt/x", "/var/task/x", "/x", "/var/runtime/x"), "Read-only file system")
    assert found["writes"] == closed | {"/tmp/layerkit-test-host": None}
    assert found["homes"] == []
    assert found["context"][:3] == ["f", "512", "arn:aws:lambda:eu-west-1:123456789012:function:f"]
    assert found["context"][3:] == [True, "/aws/lambda/f"]
    variables = found["variables"]
    assert variables["MINE"] == "1"
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert variables["PYTHONPATH"] == "/var/runtime"  # the runtime's, for children
    assert variables["AWS_ACCESS_KEY_ID"] == "x"
    assert not {"HOME", "USER", "VIRTUAL_ENV"} & variables.keys()
    assert found["boto3"] == "/var/runtime/boto3/__init__.py"
    assert found["exit"] is True


def test_without_isolation_it_runs_and_says_so(cache: Cache, tmp_path: Path) -> None:
    host = makeshift(cache)
    wanted = replace(runnable(tmp_path, SURROUNDINGS), target=fitting(host))
    with host.open(wanted, print) as environment:
        found = asked(environment)
        assert "no isolation" in environment.where
        assert any("in a temporary folder" in line for line in environment.unlike)
    assert isinstance(found, dict)
    if os.geteuid() == 0:
        assert found["user"] == [993, 990]
    Path("/tmp/layerkit-test-host").unlink()  # it is this machine's
    task, opt_site, opt, *_ = found["path"]
    assert (Path(task).name, Path(opt).parts[-2:]) == ("task", ("opt", "python"))
    assert opt_site.startswith(opt)
    assert not Path(task).exists()  # any more


def test_layers_in_their_order_with_their_modes(opened: Open, tmp_path: Path) -> None:
    first = write(
        tmp_path / "first.zip", file("python/one.py", "x = 'first'"), file("python/both.py", "x = 'first'"),
        Item(path="python/closed.py", content=b"x = 1", mode=0o100600), file("data/text", "from a layer"),
    )  # fmt: skip
    second = write(
        tmp_path / "second.zip", file("python/both.py", "x = 'second'"), file("python/hook.pth", "import hooked"),
        file("python/hooked.py", "import sys; sys.hooked = True"), file("python/main.py", "handler = None"),
    )  # fmt: skip
    code = """
        import sys, one, both
        def handler(event, context):
            try:
                import closed
            except OSError as error:
                return [one.x, both.x, sys.hooked, error.strerror, __file__.endswith("/task/main.py")]
    """
    found = asked(opened(runnable(tmp_path, code, first, second)))
    assert found == ["first", "second", True, "Permission denied", True]


def test_a_pythonpath_of_its_own_switches_the_layers_off(opened: Open, tmp_path: Path) -> None:
    layer = write(tmp_path / "layer.zip", file("python/lib_of_layer.py", "x = 1"))
    code = "import lib_of_layer\ndef handler(event, context): return 1"
    failure = opened(runnable(tmp_path, code, layer, variables={"PYTHONPATH": "/var/task/x"})).invoke("1").failure
    assert failure
    assert failure.message == "Unable to import module 'main': No module named 'lib_of_layer'"


@pytest.mark.parametrize(
    ("code", "kind", "message", "cause"),
    [
        ("import nowhere", "Runtime.ImportModuleError", "Unable to import module 'main': No module named 'nowhere'",
         "ModuleNotFoundError: No module named 'nowhere'"),
        ("def handler(:", "Runtime.UserCodeSyntaxError", "Syntax error in module 'main'", "SyntaxError"),
        ("1/0", "ZeroDivisionError", "division by zero", "ZeroDivisionError: division by zero"),
        ("x = 1", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'main'", ""),
    ],
)  # fmt: skip
def test_an_init_that_fails_tells_where(
    opened: Open, tmp_path: Path, code: str, kind: str, message: str, cause: str
) -> None:
    environment = opened(runnable(tmp_path, f"# a comment\n{code}\n"))
    failure = environment.ready().failure
    assert failure
    assert failure.type == kind
    assert failure.message.startswith(message)
    if cause:
        assert failure.cause[-1].startswith(cause)
        [frame] = [line for line in failure.cause if "main.py" in line]
        assert '"/var/task/main.py", line 2' in frame  # wherever it stands here
        assert "importlib" not in " ".join(failure.cause)  # the user's frames, and no others
    else:
        assert failure.cause == ()
    assert environment.invoke("1").failure == failure


def test_a_handler_that_raises(opened: Open, tmp_path: Path) -> None:
    code = """
        import logging
        def handler(event, context):
            logging.getLogger().warning("a warning")
            print("printed")
            raise KeyError("no such user")
    """
    answer = opened(runnable(tmp_path, code)).invoke("{}")
    assert answer.failure
    assert (answer.failure.type, answer.failure.message) == ("KeyError", "'no such user'")
    assert '"/var/task/main.py", line 6' in answer.failure.trace[0]
    assert answer.log[0].startswith("[WARNING]")
    assert answer.log[1] == "printed"
    assert answer.log[2] == "[ERROR] KeyError: 'no such user'"
    assert answer.log[-1].strip() == 'raise KeyError("no such user")'


def test_the_network_of_this_machine_is_there(host: Host, tmp_path: Path) -> None:
    """Of a DynamoDB on loopback, for one."""
    import http.server
    import threading

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"here")

        def log_message(self, *_: object) -> None:
            pass

    code = """
        import urllib.request
        def handler(event, context):
            return urllib.request.urlopen(event).read().decode()
    """
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            wanted = replace(runnable(tmp_path, code), target=fitting(host))
            with host.open(wanted, print) as environment:
                assert asked(environment, f"http://127.0.0.1:{server.server_address[1]}/") == "here"
        finally:
            server.shutdown()
            thread.join()


def test_layers_for_another_machine_are_told_of(cache: Cache, tmp_path: Path) -> None:
    host = makeshift(cache) if not can_mount() else Host(cache)
    other = replace(fitting(host), architecture=OTHER)
    wanted = replace(runnable(tmp_path, "def handler(event, context): return 1"), target=other)
    with host.open(wanted, print) as environment:
        assert asked(environment) == 1
        assert f"the machine is {platform.machine()}, not {other.machine}" in environment.unlike[0]


def test_nobody_else_gets_its_events(cache: Cache, tmp_path: Path) -> None:
    """The Runtime API is on this machine's loopback, and another user's `next` would be an answer with the event."""
    if not can_mount():
        absent("root", "a mount namespace of one's own needs root")
    code = "import os\ndef handler(event, context): return os.environ['AWS_LAMBDA_RUNTIME_API']"
    with Host(cache).open(runnable(tmp_path, code), print) as environment:
        host, port = str(asked(environment)).split(":")
        with socket.create_connection((host, int(port))) as handle:
            with suppress(OSError):  # it may be closed by now
                handle.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                assert handle.recv(100) == b""
        assert asked(environment) == f"{host}:{port}"


def test_a_daemon_of_a_makeshift_ends_with_it(cache: Cache, tmp_path: Path) -> None:
    code = """
        import subprocess
        def handler(event, context):
            return subprocess.Popen(["sleep", "612"], start_new_session=True).pid
    """
    host = makeshift(cache)
    with host.open(replace(runnable(tmp_path, code), target=fitting(host)), print) as environment:
        pid = int(str(asked(environment)))
        assert is_alive(pid)
    wait_for(lambda: not is_alive(pid))


# --- which place ----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the SDK's own, where it cannot connect
def test_where_nothing_fits_every_reason_is_told(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///not/there.sock")
    wanted = replace(runnable(tmp_path, ""), target=replace(target(), runtime="python3.99"))
    request = RunRequest(file=tmp_path, output=tmp_path, function="f")
    with (
        pytest.raises(MachineError, match="'f' can be run nowhere here") as caught,
        places.opened(places.places(request, cache, _Said()), wanted, print),
    ):
        pass
    assert "no container engine answers" in caught.value.why
    assert "no CPython 3.99 on this machine" in caught.value.why
    del caught
    gc.collect()


def test_a_zip_that_lambda_would_refuse(cache: Cache, tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.zip", file("../outside.py"))
    request = RunRequest(file=tmp_path, output=tmp_path, function="f", place="host")
    with (
        pytest.raises(ContentError, match="leads out of /opt"),
        places.opened(places.places(request, cache, _Said()), runnable(tmp_path, "", bad), print),
    ):
        pass


class _Said:
    def note(self, message: str) -> None: ...
    def warn(self, message: str) -> None: ...


def test_a_client_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    for name in ("UV_FIND_LINKS", "PIP_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    empty = Cache(tmp_path / "cache")
    with pytest.raises(NotHere, match="AWS's runtime client cannot be had for it: the package index does not answer"):
        client.here(target(), empty)
    assert not (empty.folder / "runtime").exists()


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_client_of_each_architecture(cache: Cache, architecture: str) -> None:
    folder = client.folder(target(architecture=architecture), cache)
    [library] = folder.glob("runtime_client*.so")
    assert {"arm64": "aarch64"}.get(architecture, architecture) in library.name
    assert (folder / "awslambdaric/__pycache__").is_dir()
    assert client.folder(target(architecture=architecture), cache) == folder


# --- nothing is left ------------------------------------------------------------------------------------------

HANGS = """
import sys, time
from pathlib import Path
sys.path[:0] = [{tests!r}, {toolkit!r}]
from layerkit.cache import Cache
from layerkit.local.host import Host
from test_local_host import runnable
code = "import subprocess, time\\nsubprocess.Popen(['sleep', '611'])\\ndef handler(event, context): time.sleep(600)"
with Host(Cache(Path({cache!r}))).open(runnable(Path({folder!r}), code), print) as environment:
    environment.ready()
    print("ready", flush=True)
    environment.invoke("1")
"""


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_layerkit(cache: Cache, tmp_path: Path, sign: signal.Signals) -> None:
    if not can_mount():
        absent("root", "a mount namespace of one's own needs root")
    code = HANGS.format(
        tests=str(ROOT / "tests"), toolkit=str(ROOT / "toolkit"), cache=str(cache.folder), folder=str(tmp_path)
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        inside = descendants(process.pid)
        assert len(inside) >= 4  # unshare's two, the function, its child
        process.send_signal(sign)
        process.wait(30)
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: not any(map(is_alive, inside)))
    with cache.workspace():  # the next run takes away what a killed one has left
        left = list((cache.folder / "tmp").iterdir())
    assert len(left) == 1


# As another user, whose Python is the system's: layerkit is imported from a copy of this checkout.
AS_USER = """
import json, sys
from pathlib import Path
sys.path[:0] = [{toolkit!r}]
from layerkit import targets
from layerkit.cache import Cache
from layerkit.local.host import Host
from layerkit.local.nouns import Runnable
from layerkit.model import Function
found = targets.find_runtime("python%d.%d" % sys.version_info[:2]).target({architecture!r})
function = Function(key="f", layers=(), source=Path({source!r}), handler="main.handler", timeout=20, memory=256)
with Host(Cache(Path({cache!r}))).open(Runnable(function=function, target=found, zips=()), print) as environment:
    print(json.dumps([environment.where, environment.invoke("1").payload]))
"""


def test_without_root(cache: Cache, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        absent("root", "another user is taken by root alone")
    minor = fitting(makeshift(cache)).python
    client.here(target(minor), cache)
    work = Path("/tmp") / f"layerkit-test-user-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o755)
    try:
        ignored = shutil.ignore_patterns("__pycache__", ".mypy_cache")
        shutil.copytree(ROOT / "toolkit", work / "toolkit", ignore=ignored)
        shutil.copytree(cache.folder / "runtime", work / "cache/runtime")
        (work / "source").mkdir()
        code = "import os\ndef handler(event, context): return [os.getuid(), os.getcwd(), os.listdir('/opt')]"
        (work / "source/main.py").write_text(code)
        for path in (work, *work.rglob("*")):
            os.chown(path, 12345, 12345)
        script = AS_USER.format(
            toolkit=str(work / "toolkit"), architecture=OWN, source=str(work / "source"), cache=str(work / "cache")
        )
        python = f"/usr/bin/python{minor}"
        command = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", python, "-B", "-c", script]
        environment = {"HOME": str(work), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        where, payload = json.loads(done.stdout)
        assert where.endswith(", user namespace)")
        assert json.loads(payload) == [993, "/var/task", []]
        assert not list((work / "cache/tmp").glob("*"))
    finally:
        shutil.rmtree(work)
