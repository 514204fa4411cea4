"""`layerkit invoke`: from the command line to what a person, or a program, reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import UUID

import pytest

from layerkit import fronts
from layerkit.errors import ConfigError, ContentError
from layerkit.fronts import Response
from layerkit.local import chosen, report
from layerkit.local import invoke as local
from layerkit.local.blame import Blame
from layerkit.local.invoke import Told
from layerkit.local.nouns import Failure, Init, Invocation
from layerkit.local.request import RunRequest
from layerkit.model import Interpreter

LAYERS = """
version: 1
defaults: {runtimes: [python3.12], architectures: [arm64, x86_64]}
layers:
  helpers: {source: layers/helpers}
  others: {source: layers/others}
functions:
  f:
    source: src
    handler: main.handler
    layers: [helpers]
    timeout: 20
    environment: {GREETING: hello, OTHER: declared}
  plain: {source: src, handler: main.handler, layers: []}
  no-handler: {source: src, layers: [helpers]}
publish: {regions: [eu-west-1]}
"""
MAIN = """
import json, os
import helpers

def handler(event, context):
    print("a line of the log")
    if isinstance(event, dict) and event.get("rawPath") == "/fail":
        raise ValueError("no such thing")
    if isinstance(event, dict) and event.get("rawPath") == "/strange":
        return {"statusCode": "many"}
    if isinstance(event, dict) and event.get("rawPath") == "/binary":
        headers = {"content-type": "image/png"}
        return {"statusCode": 200, "headers": headers, "body": "iVBORw==", "isBase64Encoded": True}
    body = {"event": event, "greeting": os.environ["GREETING"], "other": os.environ["OTHER"],
            "region": os.environ["AWS_REGION"], "layer": helpers.VALUE}
    return {"statusCode": 201, "headers": {"x-one": "1"}, "body": json.dumps(body)} if "version" in event else body
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, python312: Interpreter) -> Path:
    folder = tmp_path_factory.mktemp("project")
    files = {
        "layers.yaml": LAYERS, "src/main.py": MAIN, "src/broken.py": "x = 1\nimport others\n",
        "src/missing.py": "import requests_of_nobody\n", "layers/helpers/helpers.py": "VALUE = 1\n",
        "layers/others/others.py": "VALUE = 2\n",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text))
    for command in ("lock", "build"):
        done = run(folder, command)
        assert done.returncode == 0, done.stderr
    return folder


def run(folder: Path, *arguments: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "LAYERKIT_CACHE_DIR": str(folder / "cache"),
        "LAYERKIT_BUILDER": "wheels",
    } | variables
    return subprocess.run(
        [sys.executable, "-m", "layerkit", *arguments], cwd=folder, env=environment, input=text,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def invoked(folder: Path, *arguments: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "invoke", *arguments, "--in", "host", text=text, **variables)


def as_json(folder: Path, *arguments: str, code: int = 0, text: str = "", **variables: str) -> dict[str, Any]:
    done = invoked(folder, *arguments, "--json", text=text, **variables)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- what it is asked -----------------------------------------------------------------------------------------


def request(project: Path, function: str = "f", **fields: Any) -> RunRequest:
    return RunRequest(file=project / "layers.yaml", output=project / "dist", function=function, **fields)


@pytest.mark.integration
def test_the_function_with_its_zips(project: Path) -> None:
    found = chosen.choose(request(project, architecture="arm64", variables={"OTHER": "given"}))
    assert [path.name for path in found.runnable.zips] == ["helpers-python3.12-arm64.zip"]
    assert found.runnable.region == "eu-west-1"
    assert found.runnable.variables == {"GREETING": "hello", "OTHER": "given"}
    assert chosen.choose(request(project)).runnable.target.machine == os.uname().machine  # nothing is emulated
    assert chosen.choose(request(project, "plain")).runnable.zips == ()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"function": "g"}, "there is no function 'g'; known: f, plain, no-handler"),
        ({"function": "no-handler"}, "the function 'no-handler' has no handler"),
        ({"runtime": "python3.13"}, "not all layers of 'f' are declared for python3.13"),
    ],
)
def test_what_is_not_declared(project: Path, fields: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen.choose(request(project, **fields))
    assert words in str(caught.value)


@pytest.mark.integration
def test_what_is_not_built(project: Path, tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"helpers-python3.12-.*\.zip: not built yet") as caught:
        chosen.choose(RunRequest(file=project / "layers.yaml", output=tmp_path, function="f"))
    assert caught.value.cure == "layerkit build"


@pytest.mark.integration
def test_a_zip_that_is_older_than_its_source(project: Path) -> None:
    source = project / "layers/helpers/helpers.py"
    assert chosen.choose(request(project)).warnings == ()
    before, text = source.stat(), source.read_text()
    later = (time.time() + 60, time.time() + 60)
    try:
        os.utime(source, later)
        assert chosen.choose(request(project)).warnings == ()  # touched, and as it was
        source.write_text("VALUE = 3\n")
        os.utime(source, later)
        [warning] = chosen.choose(request(project)).warnings
        assert warning.endswith("is older than the source of the layer 'helpers': layerkit build helpers")
    finally:
        source.write_text(text)
        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))


# --- what it answers ------------------------------------------------------------------------------------------


@pytest.mark.integration
def test_a_request_and_its_answer_as_text(project: Path) -> None:
    done = invoked(project, "f", "--request", "GET /users?limit=2")
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition("\n\n")
    assert head.splitlines()[:2] == ["HTTP/1.1 201 Created", "x-one: 1"]
    answer = json.loads(body)
    assert (answer["greeting"], answer["other"], answer["region"], answer["layer"]) == (
        "hello", "declared", "eu-west-1", 1,
    )  # fmt: skip
    assert answer["event"]["rawPath"] == "/users"
    assert answer["event"]["rawQueryString"] == "limit=2"
    log, figures, unlike = done.stderr.splitlines()
    assert log == "a line of the log"
    assert " ms, init " in figures
    assert " of 128 MB, this machine (CPython 3.12." in figures
    assert unlike.startswith("unlike Lambda: ")


@pytest.mark.integration
def test_the_same_for_programs(project: Path) -> None:
    found = as_json(
        project, "f", "--request", "POST /users", "-H", "X-Two: 2", "--data", '{"name": "é"}', "--env", "OTHER=given",
        "--env", "GREETING", GREETING="of the shell",
    )  # fmt: skip
    assert found["function"] == "f"
    answer = json.loads(found["response"]["body"])
    assert (answer["greeting"], answer["other"]) == ("of the shell", "given")
    assert answer["event"]["headers"]["x-two"] == "2"
    assert answer["event"]["headers"]["content-type"] == "application/json"
    assert answer["event"]["body"] == '{"name": "é"}'
    assert found["response"]["headers"][0] == ["x-one", "1"]
    assert found["log"] == ["a line of the log"]
    assert found["error"] is None
    assert found["init_ms"] > found["duration_ms"] > 0
    assert found["memory_bytes"] > 10_000_000
    assert str(UUID(found["request_id"])) == found["request_id"]


@pytest.mark.integration
@pytest.mark.parametrize("way", ["file", "stdin"])
def test_an_event_of_ones_own(project: Path, tmp_path: Path, way: str) -> None:
    (tmp_path / "event.json").write_text('{"Records": [1]}')
    given = str(tmp_path / "event.json") if way == "file" else "-"
    done = invoked(project, "f", "--event", given, text='{"Records": [1]}')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["event"] == {"Records": [1]}
    found = as_json(project, "f", "--event", given, text='{"Records": [1]}')
    assert found["response"] is None
    assert found["payload"]["layer"] == 1


@pytest.mark.integration
def test_a_body_that_is_no_text(project: Path) -> None:
    assert invoked(project, "f", "--request", "/binary").stdout.endswith("\n\n(4 bytes of image/png)\n")
    assert as_json(project, "f", "--request", "/binary")["response"]["body_base64"] == "iVBORw=="


@pytest.mark.integration
def test_a_body_from_a_file(project: Path, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"a=1&b=2")
    found = as_json(
        project, "f", "--request", "POST /", "--data", f"@{tmp_path / 'body'}", "-H", "content-type: text/plain"
    )
    assert json.loads(found["response"]["body"])["event"]["body"] == "a=1&b=2"


# --- what fails -----------------------------------------------------------------------------------------------


@pytest.mark.integration
def test_a_handler_that_raises(project: Path) -> None:
    done = invoked(project, "f", "--request", "/fail")
    assert done.returncode == 19
    assert done.stdout.startswith("HTTP/1.1 500 Internal Server Error\n")
    assert '{"message":"Internal Server Error"}' in done.stdout
    assert "error: f: src/main.py:8: ValueError: no such thing\n" in done.stderr
    found = as_json(project, "f", "--request", "/fail", code=19)
    assert (found["error"]["type"], found["error"]["file"], found["error"]["line"]) == (
        "ValueError",
        "src/main.py",
        8,
    )


@pytest.mark.integration
def test_an_answer_that_the_front_does_not_take(project: Path) -> None:
    done = invoked(project, "f", "--request", "/strange")
    assert done.returncode == 19
    assert "the front does not take its answer: statusCode 'many'" in done.stderr
    assert as_json(project, "f", "--request", "/strange", code=19)["error"]["type"] == "refused by the front"


@pytest.mark.integration
def test_a_module_of_a_layer_that_is_not_attached(project: Path) -> None:
    """The user's file and line, and the layer that would have to be attached."""
    text = (project / "layers.yaml").read_text()
    broken = project / "broken.yaml"
    broken.write_text(text.replace("handler: main.handler", "handler: broken.handler", 1))
    done = invoked(project, "f", "--file", "broken.yaml")
    assert done.returncode == 19
    assert "error: f: src/broken.py:2: Runtime.ImportModuleError: " in done.stderr
    assert "No module named 'others'" in done.stderr
    assert "import others" in done.stderr
    assert "the layer 'others' has" in done.stderr
    found = as_json(project, "f", "--file", "broken.yaml", code=19)
    assert found["error"]["missing"] == "others"
    assert found["error"]["to_do"]


@pytest.mark.integration
def test_a_module_of_nobody(project: Path) -> None:
    text = (project / "layers.yaml").read_text()
    (project / "missing.yaml").write_text(text.replace("handler: main.handler", "handler: missing.handler", 1))
    done = invoked(project, "f", "--file", "missing.yaml")
    assert done.returncode == 19
    assert "src/missing.py:1: " in done.stderr
    assert "requests-of-nobody" in done.stderr or "requests_of_nobody" in done.stderr.partition("To do:")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["f", "--event", "-", "--request", "GET /"], "--event stands alone"),
        (["f", "--event", "-", "--front", "rest"], "--event stands alone"),
        (["f", "--event", "-", "--data", "x"], "--event stands alone"),
        (["f", "--event", "/not/there"], "/not/there: No such file"),
        (["f", "--env", "=x"], "write NAME=VALUE"),
        (["f", "--env", "NOT_SET_ANYWHERE"], "write NAME=VALUE"),
        (["f", "--data", "@/not/there"], "/not/there: No such file"),
        (["f", "--front", "nginx"], "'nginx' is not one of"),
        (["f", "--in", "cloud"], "'cloud' is not one of"),
    ],
)
def test_what_the_command_line_refuses(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = run(tmp_path, "invoke", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "text", "words"),
    [
        (["--event", "-"], "{no json", "--event: is not JSON, which an event is"),
        (["--event", "-"], "", "--event: is not JSON, which an event is"),  # of a program that failed before
        (["--event", "-"], "NaN", "--event: is not JSON, which an event is"),
        (["--event", "-"], "[" * 100_000, "--event: is not JSON, which an event is"),
        (["--event", "-"], f'"{"x" * 6_300_000}"', "--event: has 6300002 bytes; Lambda takes"),
        (["--request", "GET http://elsewhere/x"], "", "elsewhere"),
        (["--header", "nothing"], "", "--header: there is no colon in 'nothing'"),
    ],
)
def test_events_and_requests_that_are_none(project: Path, arguments: list[str], text: str, words: str) -> None:
    done = invoked(project, "f", *arguments, text=text)
    assert done.returncode == 3, done.stderr
    assert words in done.stderr


@pytest.mark.integration
def test_bytes_that_are_no_text(project: Path, tmp_path: Path) -> None:
    (tmp_path / "event").write_bytes(b'"\xff"')
    done = invoked(project, "f", "--event", str(tmp_path / "event"))
    assert done.returncode == 3
    assert "--event: is not JSON, which an event is" in done.stderr
    found = as_json(project, "f", "--request", "POST /", "--data", os.fsdecode(b"\xff"))
    assert json.loads(found["response"]["body"])["event"]["body"]


@pytest.mark.integration
def test_a_file_of_the_source_that_may_not_be_read(project: Path) -> None:
    closed = project / "src/closed.py"
    closed.symlink_to("/proc/self/mem")  # which root may not read, either
    try:
        done = invoked(project, "f")
    finally:
        closed.unlink()
    assert done.returncode == 9
    assert "closed.py: cannot be read" in done.stderr


@pytest.mark.integration
def test_ctrl_c_leaves_nothing(project: Path) -> None:
    (project / "src/slow.py").write_text(
        "import time\ndef handler(event, context):\n    print('now')\n    time.sleep(600)\n"
    )
    text = (project / "layers.yaml").read_text().replace("handler: main.handler", "handler: slow.handler", 1)
    (project / "slow.yaml").write_text(text.replace("timeout: 20", "timeout: 600"))
    environment = {**os.environ, "LAYERKIT_CACHE_DIR": str(project / "cache")}
    process = subprocess.Popen(
        [sys.executable, "-m", "layerkit", "invoke", "f", "--file", "slow.yaml", "--in", "host"], cwd=project,
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr
        assert process.stderr.readline() == "now\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert "interrupted; nothing of it is left" in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    assert not list((project / "cache/tmp").iterdir())


# --- the report -----------------------------------------------------------------------------------------------


def told(**fields: Any) -> Told:
    given: dict[str, Any] = {
        "function": "f", "where": "this machine", "unlike": (), "limit": 128,
        "invocation": Invocation(request_id="1", payload="{}", seconds=0.0034, memory=35 * 1024 * 1024),
    }  # fmt: skip
    return Told(**(given | fields))


def test_a_front_waits_so_long_and_no_longer() -> None:
    """For the init, too; a load balancer waits as long as the function may take."""
    slow = Invocation(request_id="1", payload='{"statusCode": 200}', seconds=25, init=Init(seconds=6))
    request = fronts.Request()
    response, why = local._response(fronts.front("http-api"), request, slow)
    assert (response.status, why) == (503, "it waits 30 s for one, and this took 31 s")
    response, why = local._response(fronts.front("alb"), request, slow)
    assert (response.status, why) == (200, "")


@pytest.mark.parametrize("payload", ["abc", "NaN", '{"x": Infinity}', "[" * 100_000])
def test_an_answer_that_is_no_json(payload: str) -> None:
    """A handler may return bytes, which the runtime's client sends as they are."""
    answer = told(invocation=Invocation(request_id="1", payload=payload))
    assert report.as_text(answer) == payload
    found = json.loads(json.dumps(report.as_json(answer), allow_nan=False))
    assert (found["payload"], found["payload_text"]) == (None, payload)


def test_figures() -> None:
    assert report.summary(told()) == "3.4 ms, memory 35 of 128 MB, this machine"
    cold = Invocation(request_id="1", payload="1", seconds=1.5, memory=0, init=Init(seconds=0.185))
    assert report.summary(told(invocation=cold)) == "1500 ms, init 185 ms, memory 0 of 128 MB, this machine"


def test_headers_as_people_read_them() -> None:
    response = Response(status=302, headers=(("Location", "/é".encode().decode("latin-1")),), body=b"")
    assert report.as_text(told(response=response)) == "HTTP/1.1 302 Found\nLocation: /é\n\n"
    assert report.as_json(told(response=response))["response"]["headers"] == [["Location", "/é"]]


@pytest.mark.parametrize(
    ("blame", "text"),
    [
        (None, "f: Runtime.ExitError: it ended"),
        (Blame(file="src/main.py", line=3, code="    x()", missing="", advice="do that"),
         "f: src/main.py:3: Runtime.ExitError: it ended\n  x()\n  To do: do that"),
    ],
)  # fmt: skip
def test_a_failure_in_words(blame: Blame | None, text: str) -> None:
    failed = Invocation(request_id="1", failure=Failure(type="Runtime.ExitError", message="it ended"))
    assert str(report.failure(told(invocation=failed, blame=blame))) == text
    assert report.failure(told()) is None
