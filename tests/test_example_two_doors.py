"""examples/two-doors: the Flask door and the plain one answer every request alike."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import examples
import test_arns_tools as tools
from conftest import ROOT
from layerkit.fronts import Front, HttpApi2, Request, Response, Setup
from test_arns_tools import run
from test_published import entry

sam, linters = tools.sam, tools.linters  # fixtures
EXAMPLE = ROOT / "examples/two-doors"
sys.path.insert(0, str(ROOT / "layers/lambda-wsgi"))

from lambda_wsgi import LambdaWSGI


def imported(folder: Path, *names: str) -> list[Any]:
    """Modules of a function, which other tests' modules of these names do not meet."""
    sys.path.insert(0, str(folder))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(f"{folder}/"):
                del sys.modules[name]


functions, flask_door, lambda_door = imported(EXAMPLE / "src", "functions", "flask_door", "lambda_door")
CONTEXT = type("Context", (), {"aws_request_id": "request-1"})()
DOORS: dict[str, Any] = {"plain": lambda_door.handler, "flask": LambdaWSGI(flask_door.app)}
ORDER = {"zone": "de", "parcels": [{"grams": 750}, {"grams": 1001}]}
JSON = (("Content-Type", "application/json"),)
Answer = tuple[int, str, set[str], Any]
"""Status, type, methods in Allow, and what the body says."""


def asked(method: str, target: str, body: bytes = b"", headers: tuple[tuple[str, str], ...] = JSON) -> Request:
    return Request(method=method, target=target, body=body, headers=headers if body else ())


def order(**changes: Any) -> bytes:
    return json.dumps(ORDER | changes, ensure_ascii=False).encode()


TABLE: list[tuple[Request, int]] = [
    (asked("GET", "/zones"), 200),
    (asked("GET", "/zones?unused=1"), 200),
    (asked("HEAD", "/zones"), 200),
    (asked("GET", "/zones/jp"), 200),
    (asked("GET", "/zones/%6Ap"), 200),
    (asked("GET", "/zones/JP"), 404),
    (asked("GET", "/zones/%E6%97%A5"), 404),
    (asked("HEAD", "/zones/xx"), 404),
    (asked("GET", "/zones/"), 404),
    (asked("GET", "//zones"), 200),
    (asked("GET", "/zones//jp"), 404),
    (asked("GET", "/zones/jp/"), 404),
    (asked("GET", "/zones/jp/x"), 404),
    (asked("GET", "/quote?zone=de&grams=1"), 200),
    (asked("GET", "/quote?zone=%64e&grams=31500"), 200),
    (asked("GET", "/quote?grams=+1&zone=de"), 400),
    (asked("GET", "/quote?zone=de&zone=at&grams=1"), 200),
    (asked("GET", "/quote?zone=de&grams="), 400),
    (asked("GET", "/quote?zone=de&grams=31501"), 400),
    (asked("GET", "/quote?zone=de&grams=0"), 400),
    (asked("GET", "/quote?zone=de&grams=%D9%A1"), 400),
    (asked("GET", "/quote?zone=de&grams=" + "9" * 5000), 400),
    (asked("GET", "/quote?zone=de"), 400),
    (asked("GET", "/quote?grams=1"), 404),
    (asked("GET", "/quote"), 404),
    (asked("POST", "/orders", order()), 201),
    (asked("POST", "/orders", order(), (("Content-Type", "text/plain"),)), 201),
    (asked("POST", "/orders", order(), (("Content-Type", "application/octet-stream"),)), 201),
    (asked("POST", "/orders", order(), ()), 201),
    (asked("POST", "/orders", order(note="Grüße, 世界 🎉")), 201),
    (asked("POST", "/orders", order(zone="日本")), 404),
    (asked("POST", "/orders", order(zone=7)), 400),
    (asked("POST", "/orders", order(parcels=[])), 400),
    (asked("POST", "/orders", order(parcels={"grams": 1})), 400),
    (asked("POST", "/orders", order(parcels=[{"grams": True}])), 400),
    (asked("POST", "/orders", order(parcels=[{"grams": 1.0}])), 400),
    (asked("POST", "/orders", order(parcels=[7, {}])), 400),
    (asked("POST", "/orders", b"{"), 400),
    (asked("POST", "/orders", b"\xff\xfe\x00"), 400),
    (asked("POST", "/orders", b"[" * 100_000), 400),
    (asked("POST", "/orders", b"null"), 400),
    (asked("POST", "/orders"), 400),
    (asked("POST", "/zones", b"{}"), 405),
    (asked("DELETE", "/zones/jp"), 405),
    (asked("PUT", "/quote", b"x"), 405),
    (asked("OPTIONS", "/quote"), 405),
    (asked("GET", "/orders"), 405),
    (asked("HEAD", "/orders"), 405),
    (asked("PATCH", "/orders", b"{}"), 405),
    (asked("GET", "/"), 404),
    (asked("POST", "/nowhere", b"{}"), 404),
    (asked("OPTIONS", "/nowhere"), 404),
]
table = pytest.mark.parametrize(
    ("request_", "status"), TABLE, ids=[f"{one.method} {one.target[:40]} {n}" for n, (one, _) in enumerate(TABLE)]
)


def told(response: Response, method: str) -> Answer:
    allowed = {word.strip() for word in (response.get("allow") or "").split(",") if word}
    content = None if method == "HEAD" else json.loads(response.body)
    return response.status, str(response.get("content-type")), allowed, content


def through(door: str, request: Request, front: Front) -> Answer:
    return told(front.response(DOORS[door](front.event(request), CONTEXT), request), request.method)


@pytest.mark.parametrize("stage", ["", "prod"])
@table
def test_both_doors_answer_alike(request_: Request, status: int, stage: str) -> None:
    front = HttpApi2(Setup(stage=stage))
    plain = through("plain", request_, front)
    assert plain == through("flask", request_, front)
    assert plain[:2] == (status, "application/json")


PATHS = st.lists(
    st.sampled_from(["zones", "quote", "orders", "jp", "de", "", ".", "..", "%2F", "%00", "%E4", "prod"]) | st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#/%\\"), max_size=5
    ),
    max_size=4,
).map(lambda parts: "/" + "/".join(parts))  # fmt: skip
WORDS = st.sampled_from(["zone", "grams", "de", "jp", "750", "31500", "%64e", "%FF", "+1", "=", "&", ";", "%26", ""])
QUERIES = st.lists(WORDS, max_size=8).map("".join) | st.builds(
    "zone={}&grams={}".format, st.sampled_from(["de", "at", "xx"]), st.integers(-5, 32_000)
)
NUMBERS = st.integers(-5, 32_000) | st.booleans() | st.none() | st.floats(allow_nan=True)
ORDERS = st.fixed_dictionaries(
    {"zone": st.sampled_from(["de", "jp", "xx"]) | st.text(max_size=3)},
    optional={"parcels": st.lists(st.fixed_dictionaries({"grams": NUMBERS}), max_size=3), "note": st.text()},
)
BODIES = st.one_of(ORDERS.map(lambda one: json.dumps(one).encode()), st.binary(max_size=30), st.just(b""))
REQUESTS = st.builds(
    lambda method, path, query, body, kind: Request(
        method=method, target=f"{path}?{query}" if query else path, body=body, headers=(("Content-Type", kind),)
    ),
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    st.sampled_from(["/zones", "/zones/jp", "/quote", "/orders"]) | PATHS,
    QUERIES,
    BODIES,
    st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded", "image/png"]),
)


@given(REQUESTS, st.sampled_from(["", "prod"]))
@example(Request(target="/prod/zones"), "prod")
@example(Request(target="/prodigy"), "prod")
def test_both_doors_answer_whatever_comes_alike(request_: Request, stage: str) -> None:
    front = HttpApi2(Setup(stage=stage))
    assert through("plain", request_, front) == through("flask", request_, front)


def test_prices() -> None:
    assert functions.quote("de", "1") == {"code": "de", "cents": 599}
    assert functions.quote("de", "1000") == {"code": "de", "cents": 599}
    assert functions.quote("de", "1001") == {"code": "de", "cents": 649}
    assert functions.order(order()) == {"zone": "de", "parcels": 2, "cents": 1248}


def test_the_plain_door_needs_nothing_but_the_standard_library() -> None:
    """Python is isolated: neither this environment's packages nor PYTHONPATH are there."""
    event = HttpApi2().event(Request(target="/zones/jp"))
    code = f"""
import sys
sys.path.insert(0, {str(EXAMPLE / "src")!r})
import lambda_door
print(lambda_door.handler({event!r}, None)["body"])
assert {{"functions", "lambda_door"}} <= sys.modules.keys()
own = {{"functions", "lambda_door", "__main__"}}
print(sorted({{name.partition(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names) - own))
"""
    said = run(sys.executable, "-I", "-S", "-B", "-c", code, cwd=ROOT).splitlines()
    assert (json.loads(said[0])["name"], said[1]) == ("日本", "[]")


# In a local Lambda, and on this machine


def sent(address: str, request: Request) -> Answer:
    """Over HTTP, to the letter."""
    connection = HTTPConnection(address.removeprefix("http://"), timeout=60)
    try:
        connection.request(request.method, request.target, request.body or None, dict(request.headers))
        answer = connection.getresponse()
        response = Response(status=answer.status, headers=tuple(answer.getheaders()), body=answer.read())
        return told(response, request.method)
    finally:
        connection.close()


OVER_HTTP = [(request, status) for request, status in TABLE if not request.target.startswith("//")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return examples.project("two-doors", tmp_path_factory)


@pytest.fixture(scope="module")
def doors(project: Path) -> Iterator[dict[str, str]]:
    """The addresses of both functions and of plain `flask run`."""
    with (
        examples.serving(project, "two-doors-plain", "--in", "host") as plain,
        examples.serving(project, "two-doors-flask", "--in", "host") as flask,
        examples.flask_run(project, "src/flask_door") as local,
    ):
        yield {"plain": plain, "flask": flask, "local": local}


@pytest.mark.integration
@pytest.mark.parametrize("door", ["plain", "flask", "local"])
def test_a_door_over_http_answers_as_it_does_in_process(doors: dict[str, str], door: str) -> None:
    expected = [(status, through("plain", request, HttpApi2())) for request, status in OVER_HTTP]
    assert [(status, sent(doors[door], request)) for request, status in OVER_HTTP] == expected


@pytest.mark.integration
def test_both_doors_are_invoked(project: Path) -> None:
    for function in ("two-doors-plain", "two-doors-flask"):
        said = examples.invoked(project, function, "--request", "POST /orders", "--data", order().decode())
        assert said["response"]["status"] == 201, said
        assert json.loads(said["response"]["body"]) == {"zone": "de", "parcels": 2, "cents": 1248}


# Deployment


@pytest.mark.integration
def test_sam(tmp_path: Path, sam: Path, linters: Path) -> None:
    """The README's commands, and SAM's own reading of what it was told."""
    layers = entry(), entry("lambda-wsgi", version=4)
    deployable = examples.Deployable("two-doors", tmp_path, *layers, entry(region="eu-west-1", version=9))
    template = deployable.folder / "template.yaml"
    tools.linted(sam, linters, deployable.folder, "us-east-1")
    [[*words, overrides]] = deployable.follow("layerkit arns", "sam deploy")
    assert words == ["sam", "deploy", "--guided", "--parameter-overrides"]
    assert examples.sam_layers(sam, template, "us-east-1", overrides) == {
        "Plain": [], "Flask": [one.arn for one in layers],
    }  # fmt: skip


def test_the_readmes_commands() -> None:
    assert {line.split()[0] for line in examples.commands_exist(EXAMPLE)} == {
        "lock", "build", "invoke", "serve", "publish", "arns",
    }  # fmt: skip


@pytest.mark.integration
def test_both_functions_pass_verify(project: Path) -> None:
    """With their variables: without LAMBDA_WSGI_APP the shim finds no app."""
    assert "no errors, no warnings" in examples.followed(project, "layerkit verify --imports host 2>&1")
