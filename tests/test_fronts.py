"""Lambda's HTTP fronts as `invoke` and `serve` use them: for real requests, on this machine, and when things fail.

What events and answers look like is tested beside the shim: tests/test_conformance.py.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asking import CONTEXT
from conftest import ROOT
from layerkit import fronts, uv
from layerkit.errors import ConfigError
from layerkit.fronts import (
    ALB_LIMIT,
    EVENT_LIMIT,
    FRONTS,
    LAMBDA_LIMIT,
    NAMES,
    Front,
    Pairs,
    Refused,
    Request,
    Response,
    Setup,
    Trouble,
    front,
    local,
    parse_header,
    parse_request,
)

sys.path.insert(0, str(ROOT / "layers/lambda-wsgi"))

from lambda_wsgi import LambdaWSGI

Handler = Callable[[Any, Any], Any]
each_front = pytest.mark.parametrize("name", NAMES)
TEXT = (("Content-Type", "text/plain"),)
ADDRESS = "127.0.0.1:8000"

# -- names


def test_the_names_are_those_of_the_command_line_and_the_first_is_the_default() -> None:
    assert NAMES == (
        "http-api", "http-api-1.0", "rest", "function-url", "alb", "alb-multi", "lattice-v1", "lattice-v2",
    )  # fmt: skip
    assert [front(name).name for name in NAMES] == list(NAMES) == list(FRONTS)
    assert front().name == "http-api"
    assert front("rest", Setup(stage="dev")).setup.stage == "dev"
    with pytest.raises(KeyError):
        front("api")


def test_fronts_need_the_standard_library_alone() -> None:
    """Benchmarks import them in interpreters that have nothing else."""
    code = "import sys; sys.path.append(sys.argv[1]); import layerkit.fronts; print(len(layerkit.fronts.NAMES))"
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT / "toolkit")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "8"


# -- values of one request

# where each front has request id, time and milliseconds; None: it has none
FIRST, SECOND = Request(), Request(
    request_id="d16a6b55-dea9-4b23-8499-eb85c3d2d904", trace="Root=1-0-0", milliseconds=1_783_711_146_671
)  # fmt: skip
LONG = ("c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "d16a6b55-dea9-4b23-8499-eb85c3d2d904")
SHORT = ("xq+axnthEeaaQZM=", "0WprVd6pSyOEmes=")
TIME = ("04/Mar/2020:19:15:17 +0000", "10/Jul/2026:19:19:06 +0000")
MILLISECONDS = (1583349317135, 1783711146671)
MICROSECONDS = ("1583349317135000", "1783711146671000")
NONE = (None, None)
VALUES: dict[str, tuple[tuple[Any, Any], tuple[Any, Any], tuple[Any, Any]]] = {
    "http-api": (SHORT, TIME, MILLISECONDS),
    "http-api-1.0": (SHORT, TIME, MILLISECONDS),
    "rest": (LONG, TIME, MILLISECONDS),
    "function-url": (LONG, TIME, MILLISECONDS),
    "alb": (NONE, NONE, NONE),
    "alb-multi": (NONE, NONE, NONE),
    "lattice-v1": (NONE, NONE, NONE),
    "lattice-v2": (NONE, NONE, MICROSECONDS),
}


def values(event: dict[str, Any]) -> tuple[Any, Any, Any]:
    context = event.get("requestContext", {})
    return (
        context.get("requestId"),
        context.get("requestTime", context.get("time")),
        context.get("requestTimeEpoch", context.get("timeEpoch")),
    )


def trace(event: dict[str, Any]) -> str | None:
    headers = event.get("multiValueHeaders") or event["headers"]
    found = {name.lower(): value for name, value in headers.items()}.get("x-amzn-trace-id")
    return found[0] if isinstance(found, list) else found


@each_front
def test_a_requests_values_are_where_the_front_has_them(name: str) -> None:
    for which, request in enumerate((FIRST, SECOND)):
        event = front(name).event(request)
        assert values(event) == tuple(one[which] for one in VALUES[name])
        assert trace(event) == (None if "lattice" in name else request.trace)


def test_api_gateway_has_both_forms_of_an_id() -> None:
    for name in ("rest", "http-api-1.0"):
        assert front(name).event(SECOND)["requestContext"]["extendedRequestId"] == SHORT[1]


@each_front
def test_a_request_has_always_the_same_values_until_it_arrives(name: str) -> None:
    assert front(name).event(Request()) == front(name).event(Request())
    if VALUES[name][0] != NONE:
        assert values(front(name).event(Request().arriving()))[0] not in (None, VALUES[name][0][0])


def test_each_request_that_arrives_has_an_id_and_a_trace_of_its_own() -> None:
    sent = Request(method="PUT", target="/x?y=1", headers=TEXT, body=b"1", client="127.0.0.1", client_port=5)
    arrived = [sent.arriving() for _ in range(200)]
    assert len({one.request_id for one in arrived}) == len({one.trace for one in arrived}) == 200
    assert len({one.short_id for one in arrived}) == 200
    for one in arrived:
        assert UUID(one.request_id).version == 4
        assert str(UUID(one.request_id)) == one.request_id
        found = re.fullmatch(r"Root=1-([0-9a-f]{8})-[0-9a-f]{24}", one.trace)
        assert found
        assert int(found[1], 16) == one.milliseconds // 1000 > Request().milliseconds // 1000
        assert re.fullmatch(r"[A-Za-z0-9+/]{15}=", one.short_id)
        assert (one.method, one.target, one.headers, one.body) == ("PUT", "/x?y=1", TEXT, b"1")
        assert (one.client, one.client_port) == ("127.0.0.1", 5)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "01/Jan/1970:00:00:00 +0000"),
        (999, "01/Jan/1970:00:00:00 +0000"),
        (1_709_210_096_007, "29/Feb/2024:12:34:56 +0000"),
        (1_798_761_599_999, "31/Dec/2026:23:59:59 +0000"),
    ],
)
def test_the_time_is_written_as_in_logs_of_web_servers(milliseconds: int, text: str) -> None:
    assert Request(milliseconds=milliseconds).time == text


def test_months_have_their_english_names() -> None:
    year = [Request(milliseconds=1_735_689_600_000 + month * 2_678_400_000).time[3:6] for month in range(12)]
    assert year == ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def test_a_load_balancer_can_tell_the_clients_port() -> None:
    request = Request(client="127.0.0.1", client_port=49152)
    assert front("alb").event(request)["headers"]["x-forwarded-for"] == "127.0.0.1"
    told = front("alb", Setup(client_port=True)).event(request)["headers"]
    assert told["x-forwarded-for"] == "127.0.0.1:49152"


# -- the event as text

SENT = Request(
    method="POST",
    target="/a%20b/c?x=1&x=2&y=a+b%2F",
    headers=(("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1; b=2"), *TEXT),
    body="é".encode(),
)


@each_front
def test_an_event_is_json_and_all_its_own(name: str) -> None:
    claims: dict[str, Any] = {"claims": {"sub": "1"}, "scopes": None}
    model = front(name, Setup(authorizer=claims))
    event = model.event(SENT)
    assert json.loads(json.dumps(event)) == event

    def spoil(value: Any) -> None:
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            spoil(inner)
        if isinstance(value, dict | list):
            value.clear()

    before = json.dumps(event)
    spoil(event)
    assert claims == {"claims": {"sub": "1"}, "scopes": None}
    assert json.dumps(model.event(SENT)) == before


@each_front
def test_the_payload_is_the_event(name: str) -> None:
    payload = front(name).payload(SENT)
    assert json.loads(payload) == front(name).event(SENT)
    assert "\n" not in payload
    assert ('"é"' in payload) != ('"w6k="' in payload)  # so text is not escaped, which would count


# -- what is too large


def refused(model: Front, request: Request) -> tuple[Trouble, int, str]:
    with pytest.raises(Refused) as caught:
        model.payload(request)
    assert caught.value.status == model.failed(caught.value.trouble).status
    return caught.value.trouble, caught.value.status, caught.value.reason


def posted(size: int, headers: Pairs = TEXT) -> Request:
    return Request(method="POST", headers=headers, body=b"a" * size)


@pytest.mark.parametrize(
    ("name", "limit"),
    [("http-api", 10485760), ("http-api-1.0", 10485760), ("rest", 10485760), ("alb", ALB_LIMIT),
     ("alb-multi", ALB_LIMIT), ("function-url", EVENT_LIMIT), ("lattice-v1", EVENT_LIMIT),
     ("lattice-v2", EVENT_LIMIT)],
)  # fmt: skip
def test_a_body_may_be_as_large_as_the_front_takes(name: str, limit: int) -> None:
    model = front(name)
    trouble, status, reason = refused(model, posted(limit + 1))
    assert (trouble, status) == ("request", 413)
    assert f"a body of {limit + 1} bytes" in reason
    if limit == ALB_LIMIT:
        assert len(model.payload(posted(limit))) > limit
    else:  # it is what Lambda takes that counts
        assert refused(model, posted(limit))[0] == "event"


@pytest.mark.parametrize("name", [name for name in NAMES if "alb" not in name])
def test_an_event_may_be_as_large_as_lambda_takes(name: str) -> None:
    model = front(name, Setup(binary=()))
    body = EVENT_LIMIT - 5000
    body += EVENT_LIMIT - len(model.payload(posted(body)))
    assert len(model.payload(posted(body))) == EVENT_LIMIT == 6291456
    assert refused(model, posted(body + 1)) == (
        "event",
        413,
        f"an event of {EVENT_LIMIT + 1} bytes; Lambda takes 6291456",
    )


@pytest.mark.parametrize("name", ["http-api", "rest", "function-url", "lattice-v1"])
def test_what_is_base64_in_the_event_counts_as_such(name: str) -> None:
    binary = posted(4_800_000, (("Content-Type", "application/zip"),))
    assert refused(front(name), binary)[:2] == ("event", 413)
    assert len(front(name, Setup(binary=())).payload(posted(4_800_000))) < EVENT_LIMIT


def test_an_event_is_measured_in_bytes() -> None:
    twice = Request(method="POST", headers=TEXT, body="é".encode() * (EVENT_LIMIT // 2 - 100))
    assert len(twice.body) < EVENT_LIMIT
    assert refused(front("function-url"), twice)[0] == "event"


# -- what a client gets of what fails

Told = tuple[int, Pairs, str]
JSON = ("Content-Type", "application/json")
AT_REST = ("x-amzn-ErrorType", "InternalServerErrorException")
AT_ALB = (("Server", "awselb/2.0"), ("Content-Type", "text/html"))
HTTP_500: Told = (500, (JSON,), '{"message":"Internal Server Error"}')
HTTP_413: Told = (413, (JSON,), '{"message":"Request Entity Too Large"}')
HTTP_503: Told = (503, (), '{"message":"Service Unavailable"}')
REST_502: Told = (502, (JSON, AT_REST), '{"message": "Internal server error"}')
REST_504: Told = (504, (JSON, AT_REST), '{"message": "Endpoint request timed out"}')
REST_413: Told = (413, (("Content-Type", "text; charset=utf-8"),), "HTTP content length exceeded 10485760 bytes.")
REST_LONG: Told = (413, (JSON, ("x-amzn-ErrorType", "BadRequestException")), '{"message": "Request Too Long"}')
URL_502: Told = (502, (("Content-Type", "text/plain"),), "Internal Server Error")
URL_413: Told = (
    413,
    (JSON, ("x-amzn-ErrorType", "RequestEntityTooLargeException")),
    '{"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}',
)
ALB_502: Told = (
    502,
    AT_ALB,
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
)
ALB_413: Told = (413, AT_ALB, ALB_502[2].replace("502 Bad Gateway", "413 Request Entity Too Large"))
BARE_502: Told = (502, (), "")
BARE_413: Told = (413, (), "")
TROUBLES: tuple[Trouble, ...] = ("function", "answer", "slow", "request", "event")
FAILED: dict[str, tuple[Told, ...]] = {
    "http-api": (HTTP_500, HTTP_500, HTTP_503, HTTP_413, HTTP_413),
    "http-api-1.0": (HTTP_500, HTTP_500, HTTP_503, HTTP_413, HTTP_413),
    "rest": (REST_502, REST_502, REST_504, REST_413, REST_LONG),
    "function-url": (URL_502, URL_502, URL_502, URL_413, URL_413),
    "alb": (ALB_502, ALB_502, ALB_502, ALB_413, ALB_502),
    "alb-multi": (ALB_502, ALB_502, ALB_502, ALB_413, ALB_502),
    "lattice-v1": (BARE_502, BARE_502, BARE_502, BARE_413, BARE_413),
    "lattice-v2": (BARE_502, BARE_502, BARE_502, BARE_413, BARE_413),
}


@each_front
def test_a_client_gets_what_the_front_says(name: str) -> None:
    for trouble, (status, headers, body) in zip(TROUBLES, FAILED[name], strict=True):
        got = front(name).failed(trouble)
        assert (got.status, got.body.decode()) == (status, body)
        assert got.headers == (*headers, ("Content-Length", str(len(body))))
        head = front(name).failed(trouble, Request(method="HEAD"))
        assert (head.status, head.body, head.headers) == (status, b"", headers)
    assert front(name).failed() == front(name).failed("function")


def test_the_lengths_are_those_that_were_seen() -> None:
    """In the output of curl, in public notes."""
    seen: dict[tuple[str, Trouble], int] = {
        ("rest", "function"): 36, ("rest", "slow"): 41, ("rest", "request"): 44, ("rest", "event"): 31,
        ("http-api", "slow"): 33, ("alb", "function"): 122,
    }  # fmt: skip
    for (name, trouble), length in seen.items():
        assert len(front(name).failed(trouble).body) == length


@each_front
def test_a_front_waits_as_long_as_it_is_known_to(name: str) -> None:
    own = {"http-api": 30, "http-api-1.0": 30, "rest": 29}
    assert front(name).max_seconds == own.get(name, 900)


# -- the answer as text


@each_front
def test_an_answer_is_read_from_its_text(name: str) -> None:
    answer: dict[str, Any] = {"statusCode": 201, "body": "é", "isBase64Encoded": False}
    answer |= {"multiValueHeaders": {"X-A": ["1"]}} if name == "alb-multi" else {"headers": {"X-A": "1"}}
    for ascii_alone in (True, False):
        got = front(name).read(json.dumps(answer, ensure_ascii=ascii_alone), SENT)
        assert (got.status, got.get("X-A"), got.body) == (201, "1", "é".encode())
        assert got == front(name).response(answer, SENT)
    assert front(name).read(json.dumps(answer), Request(method="HEAD")).body == b""


@each_front
@pytest.mark.parametrize("text", ["", "{", '{"statusCode": NaN}', '{"statusCode": 200, "body": -Infinity}'])
def test_an_answer_that_is_no_json_is_refused(name: str, text: str) -> None:
    model = front(name)
    with pytest.raises(Refused) as caught:
        model.read(text)
    assert (caught.value.trouble, caught.value.status) == ("answer", model.failed("answer").status)
    assert "no JSON" in caught.value.reason


@pytest.mark.parametrize("name", ["rest", "function-url"])
def test_an_answer_is_measured_in_bytes(name: str) -> None:
    frame = json.dumps({"statusCode": 200, "body": ""})
    room = LAMBDA_LIMIT - len(frame)
    fits = frame.replace('""', f'"{"é" * (room // 2)}{"a" * (room % 2)}"')
    assert len(fits.encode()) == LAMBDA_LIMIT == 6291556
    assert front(name).read(fits).status == 200
    with pytest.raises(Refused, match=re.escape(f"Function.ResponseSizeTooLarge: {LAMBDA_LIMIT + 1} bytes")):
        front(name).read(fits + " ")


@pytest.mark.parametrize("name", ["http-api", "function-url"])
@pytest.mark.parametrize(
    ("text", "body"),
    [
        ('{"a":  1, "b": "é"}', '{"a":  1, "b": "é"}'),
        ('"h\\u00e9llo"', "héllo"),
        ("null", "null"),
        ("[1,2]", "[1,2]"),
    ],
)
def test_payload_2_hands_an_answer_without_a_status_on_to_the_letter(name: str, text: str, body: str) -> None:
    got = front(name).read(text)
    assert (got.status, got.get("Content-Type"), got.body) == (200, "application/json", body.encode())


# -- on this machine


def application() -> flask.Flask:
    app = flask.Flask(__name__)
    app.secret_key = "not secret"

    @app.get("/page/<name>")
    def page(name: str) -> dict[str, Any]:
        return {"here": flask.request.url, "there": flask.url_for("page", name="ä b", _external=True)}

    @app.post("/go")
    def go() -> Any:
        flask.session["seen"] = "yes"
        return flask.redirect(flask.url_for("page", name="x", _external=True))

    @app.get("/seen")
    def seen() -> dict[str, Any]:
        return {"seen": flask.session.get("seen"), "client": flask.request.remote_addr}

    return app


def served(model: Front, handler: Handler, request: Request) -> Response:
    """As `serve` does it: nothing but text goes in and out."""
    answer = handler(json.loads(model.payload(request.arriving())), CONTEXT)
    return model.read(json.dumps(answer), request)


def browse(name: str, address: str, host: str, handler: Handler) -> None:
    """A page, a form that redirects and sets a cookie, and a page that reads it."""
    model = local(name, address)
    browser = (("Host", host), ("User-Agent", "Mozilla/5.0"), ("Accept", "text/html"))

    got = served(model, handler, Request(target="/page/%C3%A9?a=1&b=c%20d", headers=browser, client="127.0.0.1"))
    told = json.loads(got.body)
    assert unquote(told["here"]).replace("+", " ") == f"http://{host}/page/é?a=1&b=c d"
    assert told["there"] == f"http://{host}/page/%C3%A4%20b"

    form = (*browser, ("Content-Type", "application/x-www-form-urlencoded"), ("Origin", f"http://{host}"))
    got = served(model, handler, Request(method="POST", target="/go", headers=form, body=b"a=1", client="127.0.0.1"))
    assert (got.status, got.get("Location")) == (302, f"http://{host}/page/x")
    cookie = got.get("Set-Cookie")
    assert cookie
    assert "domain" not in cookie.lower()
    assert "path=/" in cookie.lower().split("; ")
    assert "secure" not in cookie.lower()

    back = (*browser, ("Cookie", cookie.partition(";")[0]))
    got = served(model, handler, Request(target="/seen", headers=back, client="127.0.0.1"))
    assert json.loads(got.body)["seen"] == "yes"


@each_front
@pytest.mark.parametrize(
    ("address", "host"),
    [
        (ADDRESS, ADDRESS),
        (ADDRESS, "localhost:8000"),  # the browser's word counts
        ("127.0.0.1:80", "127.0.0.1"),  # which browsers leave out
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:8000", "[::1]:8000"),
        ("[::1]", "[::1]"),
    ],
)
def test_an_app_is_at_home_at_the_local_address(name: str, address: str, host: str) -> None:
    browse(name, address, host, LambdaWSGI(application()))


@each_front
def test_a_client_that_names_no_host_means_the_local_address(name: str) -> None:
    got = served(local(name, ADDRESS), LambdaWSGI(application()), Request(target="/page/x"))
    assert json.loads(got.body)["here"] == f"http://{ADDRESS}/page/x"
    assert local(name, ADDRESS).root == f"http://{ADDRESS}"


@each_front
def test_the_local_scheme_and_port_are_forwarded(name: str) -> None:
    words = {"proto": ("http", "http"), "port": ("8000", "80")}
    for which, address in enumerate((ADDRESS, "127.0.0.1")):
        event = local(name, address).event(Request())
        headers = event.get("multiValueHeaders") or event["headers"]
        found = {key.lower(): value[0] if isinstance(value, list) else value for key, value in headers.items()}
        for word, expected in words.items():
            key = f"x-forwarded-for-{word}" if "lattice" in name else f"x-forwarded-{word}"
            assert found[key] == expected[which]


@each_front
def test_the_app_knows_the_client(name: str) -> None:
    got = served(local(name, ADDRESS), LambdaWSGI(application()), Request(target="/seen", client="127.0.0.1"))
    assert json.loads(got.body)["client"] == "127.0.0.1"


def test_a_stage_is_in_the_local_event_but_in_no_path() -> None:
    for name, stage in (("rest", "prod"), ("http-api", "$default"), ("http-api-1.0", "$default")):
        event = local(name, ADDRESS).event(Request(target="/users/7", headers=(("Host", ADDRESS),)))
        context = event["requestContext"]
        assert (context["stage"], context["domainName"]) == (stage, "127.0.0.1")
        assert event.get("rawPath", event.get("path")) == "/users/7"
        assert context.get("path", "/users/7") == "/users/7"
    event = local("rest", ADDRESS).event(Request(target="/users/7"))
    assert (event["resource"], event["pathParameters"]) == ("/{proxy+}", {"proxy": "users/7"})


def test_a_local_function_url_hands_the_path_over_as_it_came() -> None:
    """By its domain adapters know that the path is not decoded."""
    seen: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(environ["PATH_INFO"])
        start_response("204 No Content", [])
        return []

    for name in ("function-url", "http-api"):
        served(local(name, ADDRESS), LambdaWSGI(app), Request(target="/a%2541", headers=(("Host", ADDRESS),)))
    assert seen == ["/a%41", "/a%41"]
    event = local("function-url", ADDRESS).event(Request())
    assert event["requestContext"]["domainName"].endswith(".lambda-url.us-east-1.on.aws")
    assert event["headers"]["host"] == ADDRESS


@pytest.fixture(scope="module")
def serverless_wsgi(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("serverless-wsgi")
    uv.run(["pip", "install", "--quiet", "--no-deps", "--target", str(folder), "serverless-wsgi==3.1.0"], cwd=folder)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("serverless_wsgi")
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("serverless_wsgi", None)


@pytest.mark.integration
@pytest.mark.parametrize("name", [name for name in NAMES if "lattice" not in name])  # which it does not know
def test_an_app_behind_serverless_wsgi_is_at_home_too(name: str, serverless_wsgi: Any) -> None:
    app = application()
    for host in (ADDRESS, "localhost:8000"):
        browse(name, ADDRESS, host, lambda event, context: serverless_wsgi.handle_request(app, event, context))


# -- requests as people write them

GOOD = {
    "GET /users?limit=2": ("GET", "/users?limit=2"),
    "/users": ("GET", "/users"),
    "POST /x": ("POST", "/x"),
    "  delete   /users/7  ": ("DELETE", "/users/7"),
    "PROPFIND /dav": ("PROPFIND", "/dav"),
    "GET /users?limit=2 HTTP/1.1": ("GET", "/users?limit=2"),
    "/": ("GET", "/"),
    "/?": ("GET", "/?"),
    "//a//b/": ("GET", "//a//b/"),
    "/a b?c d=e f": ("GET", "/a%20b?c%20d=e%20f"),
    "GET /a b": ("GET", "/a%20b"),
    "/é?name=Zoë": ("GET", "/%C3%A9?name=Zo%C3%AB"),
    "/a%20b?x=%2F&y=a+b": ("GET", "/a%20b?x=%2F&y=a+b"),
    "/100%?of=50%": ("GET", "/100%25?of=50%25"),
    '/<a>"{b}|\\^`?<a>"{b}|\\^`': ("GET", "/%3Ca%3E%22%7Bb%7D%7C%5C%5E%60?%3Ca%3E%22%7Bb%7D%7C%5C%5E%60"),
    "/x?filter[name]=1&at=/a?b": ("GET", "/x?filter[name]=1&at=/a?b"),
    "/x;v=1,2/@me:a!$&'()*~-._": ("GET", "/x;v=1,2/@me:a!$&'()*~-._"),
    "/to?url=https://example.com/": ("GET", "/to?url=https://example.com/"),
}


@pytest.mark.parametrize("text", GOOD)
def test_a_request_is_read(text: str) -> None:
    request = parse_request(text, TEXT)
    assert (request.method, request.target) == GOOD[text]
    assert (request.headers, request.body) == (TEXT, b"")
    assert request.request_id != Request().request_id


def test_a_body_without_a_method_is_posted() -> None:
    assert parse_request("/users", body=b"{}").method == "POST"
    assert parse_request("PUT /users", body=b"{}").method == "PUT"
    assert parse_request("GET /users", body=b"{}").body == b"{}"


BAD = {
    "": "there is no path in ''",
    "   ": "there is no path",
    "GET": "there is no path in 'GET'",
    "users": "the path 'users' does not begin with /",
    "GET users": "the path 'users' does not begin with /",
    "OPTIONS *": "the path '*' does not begin with /",
    "G(T /users": "'G(T' is no HTTP method",
    "GÉT /users": "'GÉT' is no HTTP method",
    "GET /a\r\nX: y": "is not one line of text",
    "/a\0b": "is not one line of text",
    "/users#top": "'/users#top' has a fragment, which no client sends",
    "GET http://127.0.0.1:8000/users?a=1": "'http://127.0.0.1:8000/users?a=1' is an address",
    "https://example.com": "'https://example.com' is an address",
}


@pytest.mark.parametrize("text", BAD)
def test_nonsense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_request(text)
    assert BAD[text] in caught.value.what
    assert caught.value.where == "--request"
    assert re.search(r"'GET /users\?limit=2'|'(GET )?/|%23", caught.value.cure)


def test_the_cure_for_an_address_is_its_path() -> None:
    for text, path in {
        "GET http://127.0.0.1:8000/users?a=1": "'GET /users?a=1'",
        "https://example.com": "'/'",
        "https://example.com/a": "'/a'",
    }.items():
        with pytest.raises(ConfigError) as caught:
            parse_request(text, where="--url")
        assert f"write the path alone, {path};" in caught.value.cure
        assert str(caught.value).startswith("--url: ")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="#"), max_size=30))
def test_what_is_read_may_stand_in_a_target_and_means_the_same(text: str) -> None:
    request = parse_request(f"/x{text}x")
    assert re.fullmatch(r"/[A-Za-z0-9/:@!$&'()*+,;=%?\[\]._~-]*", request.target)
    assert parse_request(request.target).target == request.target
    if not re.search("%[0-9A-Fa-f]{2}", text) and not re.search(r"HTTP/\d", text):
        assert unquote(request.target) == f"/x{text}x"


def test_a_header_is_read_as_it_goes_over_the_wire() -> None:
    assert parse_header("Accept: text/html") == ("Accept", "text/html")
    assert parse_header("X-Empty:") == ("X-Empty", "")
    assert parse_header("Host:127.0.0.1:8000") == ("Host", "127.0.0.1:8000")
    assert parse_header("X-Name:  Zoë \t") == ("X-Name", "Zoë".encode().decode("latin-1"))
    event = front().event(parse_request("/", (parse_header("X-Name: Zoë"),)))
    assert event["headers"]["x-name"] == "Zoë"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Accept", "there is no colon in 'Accept'"),
        (": x", "'' is no name of a header"),
        ("X Y: z", "'X Y' is no name of a header"),
        ("X-É: z", "'X-É' is no name of a header"),
        ("X: a\r\nY: b", "the value of 'X' is not one line of text"),
    ],
)
def test_a_header_that_is_none_is_refused_with_an_example(text: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_header(text)
    assert (caught.value.what, caught.value.where) == (what, "--header")
    assert "'Accept: application/json'" in caught.value.cure


def test_all_that_is_promised_is_there() -> None:
    assert sorted(fronts.__all__) == sorted(set(fronts.__all__))
    assert [name for name in fronts.__all__ if not hasattr(fronts, name)] == []
