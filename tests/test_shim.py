"""The shim's doors and PEP 3333 behind them: from a handler and an event to what the client gets."""

from __future__ import annotations

import gc
import inspect
import json
import logging
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from types import ModuleType, SimpleNamespace
from typing import Any
from wsgiref.validate import validator

import pytest
from flask import Flask, Response, request
from flask.cli import ScriptInfo
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from asking import API, CONTEXT, FRONTS, SECRET, Environ, Handler, ask
from conftest import ROOT
from layerkit import fronts
from layerkit.fronts import Front, HttpApi2, LoadBalancer, Request, RestApi, Setup

LAYER = ROOT / "layers/lambda-wsgi"
sys.path.insert(0, str(LAYER))

import lambda_wsgi
from lambda_wsgi import ErrorStatus, FlaskLambda, LambdaWSGI, NotHTTP, handle_request


def echo(environ: Environ, start_response: Any) -> list[bytes]:
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]


def seen(handler: Handler, target: str = "/", *headers: tuple[str, str], front: Front = API) -> dict[str, str]:
    found: dict[str, str] = json.loads(ask(handler, "GET", target, *headers, front=front).body)
    return found


def answering(status: Any = "200 OK", headers: Any = (), body: Any = (b"body",)) -> Callable[[Environ, Any], Any]:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response(status, list(headers) or [("Content-Type", "text/plain")])
        return body

    return app


def failing(environ: Environ, start_response: Any) -> list[bytes]:
    raise LookupError("nothing there")


def hello() -> Flask:
    app = Flask("hello")

    @app.get("/<name>")
    def greet(name: str) -> Response:
        return Response(f"hello {name} of {request.remote_addr} at {request.script_root}")

    return app


# -- handle_request, LambdaWSGI


def test_handle_request_is_called_as_that_of_serverless_wsgi() -> None:
    assert list(inspect.signature(handle_request).parameters) == ["app", "event", "context"]
    assert ask(partial(handle_request, hello()), target="/you").body == b"hello you of 203.0.113.7 at "


def test_handle_request_serves_the_app_it_is_given() -> None:
    apps = [answering(body=[name]) for name in (b"one", b"two")]
    assert [ask(partial(handle_request, app)).body for app in apps * 2] == [b"one", b"two"] * 2


def test_an_app_made_for_each_request_does_not_pile_up() -> None:
    apps = [answering() for _ in range(3)]
    gone = [weakref.ref(app) for app in apps]
    while apps:
        assert ask(partial(handle_request, apps.pop())).status == 200
    ask(partial(handle_request, echo))
    assert [ref() for ref in gone] == [None] * 3


def test_handle_request_in_two_threads_serves_each_its_own_app() -> None:
    """The second thread comes in just before the last line of the first one's handle_request."""
    first, second = partial(handle_request, answering(body=[b"one"])), partial(handle_request, echo)
    lines, start = inspect.getsourcelines(handle_request)

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code is handle_request.__code__ and event == "line" and frame.f_lineno == start + len(lines) - 1:
            sys.settrace(None)
            ask(second)
        return trace

    sys.settrace(trace)
    try:
        assert ask(first).body == b"one"
    finally:
        sys.settrace(None)


def test_an_adapter_is_the_handler_and_still_the_app() -> None:
    handler = LambdaWSGI(hello())
    assert ask(handler, target="/you").body == b"hello you of 203.0.113.7 at "
    assert Client(handler).get("/you", environ_base={"REMOTE_ADDR": "::1"}).text == "hello you of ::1 at "


def test_what_is_done_once_is_not_done_again() -> None:
    """A level that the app sets while it serves is its own."""
    handler = LambdaWSGI(echo)
    ask(handler)
    logging.getLogger().setLevel(logging.ERROR)
    ask(handler)
    assert logging.getLogger().level == logging.ERROR


def test_threads_share_an_adapter() -> None:
    handler = LambdaWSGI(echo)
    with ThreadPoolExecutor(8) as threads:
        paths = [f"/{number}" for number in range(200)]
        assert [one["PATH_INFO"] for one in threads.map(partial(seen, handler), paths)] == paths


REST, PREFIXED = RestApi(), HttpApi2(Setup(stage="prod"))
SETTINGS: dict[str, tuple[str, Any, Callable[[Handler], Any], Any, Any]] = {
    # setting: its variable, its keyword, what is seen of it, by the variable, by the keyword
    "base_path": ("/v1", "/v1/x", lambda handler: seen(handler, "/v1/x")["SCRIPT_NAME"], "/v1", "/v1/x"),
    "strip_stage": ("1", False, lambda handler: seen(handler, front=REST)["SCRIPT_NAME"], "", "/prod"),
    "cors_origins": (
        "https://a.example", ["https://b.example"],
        lambda handler: ask(handler, "GET", "/", ("Origin", "https://b.example")).get("Access-Control-Allow-Origin"),
        None, "https://b.example",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_a_keyword_wins_over_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable, keyword, probe, by_variable, by_keyword = SETTINGS[name]
    monkeypatch.setenv(f"LAMBDA_WSGI_{name.upper()}", variable)
    assert probe(LambdaWSGI(echo)) == probe(partial(handle_request, partial(echo))) == by_variable
    assert probe(LambdaWSGI(echo, **{name: keyword})) == by_keyword


def test_a_keyword_that_is_none_leaves_the_word_to_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDA_WSGI_BASE_PATH", "/v1")
    assert seen(LambdaWSGI(echo, base_path=None), "/v1/x")["SCRIPT_NAME"] == "/v1"
    assert seen(LambdaWSGI(echo, base_path=""), "/v1/x")["SCRIPT_NAME"] == ""


@pytest.mark.parametrize("value", ["v1", "/v1", "v1/", "/v1/", " /v1 "])
@pytest.mark.parametrize("variable", ["LAMBDA_WSGI_BASE_PATH", "API_GATEWAY_BASE_PATH", "AWS_LWA_REMOVE_BASE_PATH"])
def test_the_base_path_in_each_spelling(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    found = [seen(LambdaWSGI(echo), path) for path in ("/v1/x", "/v1", "/v12")]
    assert [(one["SCRIPT_NAME"], one["PATH_INFO"]) for one in found] == [("/v1", "/x"), ("/v1", "/"), ("", "/v12")]


@pytest.mark.parametrize("value", ["1", "true", "TRUE", " yes ", "on", "t", "y"])
def test_the_stage_is_stripped_by_serverless_wsgis_variable(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIP_STAGE_PATH", value)
    assert seen(LambdaWSGI(echo), "/x", front=PREFIXED)["SCRIPT_NAME"] == ""
    monkeypatch.setenv("STRIP_STAGE_PATH", "no")
    assert seen(LambdaWSGI(echo), "/x", front=PREFIXED)["SCRIPT_NAME"] == "/prod"


def test_a_setting_that_does_not_exist_is_named() -> None:
    with pytest.raises(TypeError, match=r"\bcors_origin\b"):
        LambdaWSGI(echo, cors_origin="*")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("debug", "perhaps"),
        ("strip_stage", "2"),
        ("cors_credentials", "null"),
        ("cors_max_age", "1h"),
        ("error_status", "5xx"),
        ("error_status", "500-"),
        ("error_status", "599-500"),
        ("error_status", ["5xx"]),
        ("cors_origins", "example.com"),
        ("cors_origins", "https://*.example.com"),
    ],
)
def test_a_value_that_cannot_be_meant_is_told_with_its_variable(
    name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(value, str):
        monkeypatch.setenv(f"LAMBDA_WSGI_{name.upper()}", value)
    with pytest.raises((TypeError, ValueError), match=f"LAMBDA_WSGI_{name.upper()}"):
        LambdaWSGI(echo, **{} if isinstance(value, str) else {name: value})


@pytest.mark.parametrize(
    "name",
    [
        "base_path", "strip_stage", "cors_origins", "cors_credentials", "error_status", "debug",
        "cors_max_age",
    ],
)  # fmt: skip
def test_a_variable_that_is_empty_is_as_good_as_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates write `Value: !Ref Parameter` with a default of nothing."""
    monkeypatch.setenv(f"LAMBDA_WSGI_{name.upper()}", "")
    assert seen(LambdaWSGI(echo), "/x")["PATH_INFO"] == "/x"


def test_a_level_that_cannot_be_meant_is_told_at_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDA_WSGI_LOG_LEVEL", "LOUD")
    handler = LambdaWSGI(echo)
    for _ in range(2):
        with pytest.raises((RuntimeError, ValueError), match="LOUD"):
            ask(handler)


# -- FlaskLambda


def flask_lambda(**settings: Any) -> Any:
    app: Any = FlaskLambda("hello", static_folder=None, **settings)

    def fails() -> str:
        raise LookupError("nothing there")

    app.add_url_rule("/<name>", "greet", lambda name: f"hello {name} at {request.script_root}")
    app.add_url_rule("/fails", "fails", fails)
    return app


def test_a_flask_app_that_is_its_own_handler() -> None:
    app = flask_lambda(base_path="/v1")
    assert isinstance(app, Flask)
    assert ask(app, target="/v1/you").body == b"hello you at /v1"
    assert app.test_client().get("/you").text == Client(app).get("/you").text == "hello you at "


def test_the_flask_command_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("shop")
    module.app = flask_lambda()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop", module)
    monkeypatch.setitem(os.environ, "FLASK_RUN_FROM_CLI", "")  # load_app sets it for good
    loaded = ScriptInfo(app_import_path="shop", set_debug_flag=False).load_app()
    assert loaded is module.app
    assert Client(loaded).get("/you").text == "hello you at "


def test_its_settings_are_keywords_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDA_WSGI_CORS_ORIGINS", "*")
    monkeypatch.setenv("LAMBDA_WSGI_BASE_PATH", "/v0")
    response = ask(flask_lambda(base_path="/v1"), target="/v1/you")
    assert (response.body, response.get("Access-Control-Allow-Origin")) == (b"hello you at /v1", "*")


def test_what_is_neither_flasks_nor_a_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="base_paths"):
        FlaskLambda("hello", base_paths="/v1")


def test_middleware_in_front_of_flask_stays_there() -> None:
    app = flask_lambda()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
    assert ask(app, "GET", "/you", ("X-Forwarded-Prefix", "/shop")).body == b"hello you at /shop"
    mounted = DispatcherMiddleware(answering("404 Not Found"), {"/shop": flask_lambda()})
    assert ask(LambdaWSGI(mounted), target="/shop/you").body == b"hello you at /shop"


class Shouting:
    """Middleware that keeps what it wraps under Flask's name for it, as many do."""

    def __init__(self, wsgi_app: Any) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        return [chunk.upper() for chunk in self.wsgi_app(environ, start_response)]


def test_middleware_is_there_locally_as_well() -> None:
    handler = LambdaWSGI(Shouting(answering(body=[b"body"])))
    assert ask(handler).body == b"BODY"
    assert Client(handler).get("/").text == "BODY"


def test_after_events_the_app_still_fails_locally_as_flask_does() -> None:
    """A project's own tests use both: the event first, then Flask's client."""
    app = flask_lambda()
    assert ask(app, target="/fails").status == 500
    assert app.test_client().get("/fails").status_code == 500


# -- events that are no HTTP requests


def of_http(front: Front, **more: Any) -> dict[str, Any]:
    return front.event(Request(headers=(("Authorization", SECRET),))) | more


ARN = "arn:aws:execute-api:us-east-1:123456789012:abc/prod/GET/"
OTHERS: list[tuple[str, Any]] = [
    ("SQS", {"Records": [{"messageId": "1", "body": SECRET, "eventSource": "aws:sqs"}]}),
    ("SNS", {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": {"Message": SECRET}}]}),
    ("S3", {"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": SECRET}}}]}),
    ("DynamoDB", {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {"NewImage": {"a": {"S": SECRET}}}}]}),
    ("Kinesis", {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": SECRET}}]}),
    ("Kafka", {"eventSource": "aws:kafka", "records": {"topic-0": [{"value": SECRET}]}}),
    (
        "EventBridge",
        {"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {"a": SECRET}},
    ),
    ("authorizer", {"type": "TOKEN", "authorizationToken": SECRET, "methodArn": ARN}),
    ("authorizer", of_http(RestApi(), type="REQUEST", methodArn=ARN)),
    ("authorizer", of_http(API, type="REQUEST", routeArn=ARN, identitySource=[SECRET])),
    ("authorizer", of_http(fronts.HttpApi1(), type="REQUEST", methodArn=ARN, identitySource=SECRET)),
    ("WebSocket", {"headers": {"Cookie": SECRET}, "requestContext": {"eventType": "CONNECT", "connectionId": "a="}}),
    ("WebSocket", {"requestContext": {"eventType": "MESSAGE", "connectionId": "a="}, "body": SECRET}),
    ("Cognito", {"version": "1", "triggerSource": "PreSignUp_SignUp", "request": {"userAttributes": {"a": SECRET}}}),
    ("CloudFormation", {"RequestType": "Create", "ResponseURL": SECRET, "StackId": "arn", "ResourceProperties": {}}),
    ("CloudWatch Logs", {"awslogs": {"data": SECRET}}),
    ("direct", None),
    ("direct", [SECRET]),
    ("direct", SECRET),
    ("direct", 7),
    ("direct", {}),
    ("direct", {"name": SECRET}),
    ("direct", {"Records": []}),
    ("direct", {"Records": [SECRET]}),
    ("direct", {"httpMethod": "GET"}),
]


@pytest.mark.parametrize(("kind", "event"), OTHERS)
def test_what_is_no_request_is_named_and_never_a_success(kind: str, event: Any) -> None:
    with pytest.raises(NotHTTP, match=f"(?i){kind}") as caught:
        handle_request(pytest.fail, event, CONTEXT)
    assert "LAMBDA_WSGI_EVENT_HANDLER" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("door", [partial(handle_request, echo), LambdaWSGI(echo), flask_lambda()])
def test_it_is_so_at_each_door(door: Handler) -> None:
    for _ in range(2):
        with pytest.raises(NotHTTP, match=r"(?i)sqs"):
            door(OTHERS[0][1], CONTEXT)


WARM_UPS: list[dict[str, Any]] = [
    {"source": "serverless-plugin-warmup"},
    {"warmer": True, "concurrency": 3},
    {"warmup": True},
]


def jobs(monkeypatch: pytest.MonkeyPatch, name: str = "jobs:take") -> list[tuple[Any, Any]]:
    """A module `jobs` with the function `take` behind the second door; what it was called with."""
    called: list[tuple[Any, Any]] = []
    module = ModuleType("jobs")

    def take(event: Any, context: Any) -> dict[str, int]:
        if event == "bad":
            raise OverflowError("too much")
        called.append((event, context))
        return {"taken": len(called)}

    module.take = take  # type: ignore[attr-defined]
    module.inner = SimpleNamespace(take=take)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jobs", module)
    monkeypatch.setenv("LAMBDA_WSGI_EVENT_HANDLER", name)
    return called


@pytest.mark.parametrize("name", ["jobs:take", "jobs:inner.take"])
def test_the_second_door_takes_what_is_no_request(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called = jobs(monkeypatch, name)
    handler = LambdaWSGI(echo)
    assert [handler(event, CONTEXT) for _, event in OTHERS] == [{"taken": 1 + n} for n in range(len(OTHERS))]
    assert called == [(event, CONTEXT) for _, event in OTHERS]
    assert LambdaWSGI(echo)(None, CONTEXT) == {"taken": len(OTHERS) + 1}


def test_requests_do_not_go_through_it_and_its_errors_do(monkeypatch: pytest.MonkeyPatch) -> None:
    called = jobs(monkeypatch)
    handler = LambdaWSGI(echo)
    assert {ask(handler, front=front).status for front in FRONTS} == {200}
    assert not called
    with pytest.raises(OverflowError, match="too much"):
        handler("bad", CONTEXT)


@pytest.mark.parametrize("event", WARM_UPS)
def test_warm_ups_return_at_once(event: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert handle_request(pytest.fail, event, CONTEXT) == {}
    called = jobs(monkeypatch)
    assert LambdaWSGI(pytest.fail)(event, CONTEXT) == {}
    assert not called


@pytest.mark.parametrize("event", [{"warmup": False}, {"warmer": "no"}, {"source": "aws.events", "detail-type": "x"}])
def test_what_looks_like_a_warm_up_is_none(event: dict[str, Any]) -> None:
    with pytest.raises(NotHTTP):
        handle_request(pytest.fail, event, CONTEXT)


@pytest.mark.parametrize("name", ["jobs:gone", "gone:take", "jobs:number", "jobs"])
def test_a_second_door_that_is_not_there_is_an_error_at_each_event(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs(monkeypatch, name)
    sys.modules["jobs"].number = 7  # type: ignore[attr-defined]
    handler = LambdaWSGI(echo)
    for _ in range(2):
        with pytest.raises(Exception, match=r"gone|not callable|no function"):
            handler({"a": 1}, CONTEXT)


def test_a_second_door_in_a_folder_is_not_put_on_the_path_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    jobs(monkeypatch, "src/jobs.py:take")
    handler = LambdaWSGI(echo)
    handler(None, CONTEXT)
    before = len(sys.path)
    handler(None, CONTEXT)
    assert len(sys.path) == before


# -- PEP 3333


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
def test_the_standard_librarys_validator_has_nothing_to_say(front: Front) -> None:
    @validator
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(environ["wsgi.input"].read(3))
        write(environ["wsgi.input"].readline(-1))
        yield from environ["wsgi.input"]

    response = ask(LambdaWSGI(app), "POST", "/a%20b?c=d", body=b"one\ntwo\nthree", front=front)
    assert (response.status, response.body) == (200, b"one\ntwo\nthree")


def test_every_way_to_read_the_body() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"]
        found = [body.read(2), body.readline(), body.readlines(3), list(body), body.read(), body.read(5)]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [repr(found).encode()]

    assert ask(LambdaWSGI(app), "POST", body=b"ab\nc\nd\ne\n").body.decode() == repr(
        [b"ab", b"\n", [b"c\n", b"d\n"], [b"e\n"], b"", b""]
    )


def test_what_write_was_given_comes_first() -> None:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        write = start_response("201 Created", [("Content-Type", "text/plain")])
        write(b"one ")
        write(b"")
        write(b"two ")
        return [b"three"]

    response = ask(LambdaWSGI(app), front=LoadBalancer())
    assert (response.status, response.reason, response.body) == (201, "Created", b"one two three")


def test_a_generator_may_start_the_response_late() -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("202 Accepted", [("Content-Type", "text/plain")])
        yield b"late"

    response = ask(LambdaWSGI(app))
    assert (response.status, response.body) == (202, b"late")


@pytest.mark.parametrize(
    "body", [[b"a", b"b"], (b"a", b"b"), iter([b"a", b"", b"b"]), BytesIO(b"ab"), {b"ab": 1}, [bytearray(b"ab")]]
)
def test_any_iterable_of_bytes_is_a_body(body: Any) -> None:
    assert ask(LambdaWSGI(answering(body=body))).body == b"ab"


class Body:
    """An iterable that counts how often it was closed."""

    def __init__(self, *chunks: Any, close: type[Exception] | None = None) -> None:
        self.chunks, self.failure, self.closed = chunks, close, 0

    def __iter__(self) -> Iterator[Any]:
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.closed += 1
        if self.failure:
            raise self.failure("close failed")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("200 OK", Body(b"a"), 200),
        ("200 OK", Body(), 200),
        ("204 No Content", Body(b"a"), 204),
        ("200 OK", Body(b"a", LookupError("midway")), 500),
        ("200 OK", Body("text"), 500),
        ("200 OK", Body(b"a", close=OSError), 500),
        ("", Body(b"a"), 500),
    ],
)
def test_the_body_is_closed_once_whatever_happens(status: str, body: Body, expected: int) -> None:
    assert ask(LambdaWSGI(answering(status, body=body)), front=LoadBalancer()).status == expected
    assert body.closed == 1


@pytest.mark.parametrize("fails", [False, True])
def test_a_generator_is_run_to_its_end(fails: bool) -> None:
    ends = []

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        try:
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"a"
            if fails:
                raise LookupError("midway")
            yield b"b"
        finally:
            ends.append(True)

    response = ask(LambdaWSGI(app))
    assert (response.status, ends) == (500 if fails else 200, [True])
    assert (response.body == b"ab") is not fails


def test_flask_is_told_that_the_response_is_closed() -> None:
    app, events = Flask("hello"), []

    @app.get("/")
    def stream() -> Response:
        response = Response(iter([b"a", b"b"]))
        response.call_on_close(lambda: events.append("closed"))
        return response

    app.teardown_request(lambda _: events.append("torn down"))
    assert ask(LambdaWSGI(app)).body == b"ab"
    assert events == ["torn down", "closed"]


def failure(caplog: pytest.LogCaptureFixture) -> BaseException:
    """The error in the one record that there is."""
    (record,) = caplog.records
    assert record.exc_info
    assert record.exc_info[1]
    return record.exc_info[1]


def test_a_response_may_be_replaced_before_it_has_begun() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-First", "1")])
        try:
            raise LookupError("nothing there")
        except LookupError:
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]

    response = ask(LambdaWSGI(app))
    assert (response.status, response.get("X-First"), response.body) == (503, None, b"sorry")


@pytest.mark.parametrize("by_write", [False, True])
def test_once_it_has_begun_the_apps_error_is_raised_again(by_write: bool, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        if by_write:
            write(b"begun")
        else:
            yield b"begun"
        try:
            raise LookupError("nothing there")
        except LookupError:
            start_response("503 Service Unavailable", [], sys.exc_info())
        yield b"never"

    assert ask(LambdaWSGI(app)).status == 500
    assert isinstance(failure(caplog), LookupError)


def test_a_second_start_without_an_error_is_the_apps_fault(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        for _ in range(2):
            start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"never"]

    assert ask(LambdaWSGI(app)).status == 500
    assert "start_response twice" in str(failure(caplog))


def test_a_body_before_the_start_is_the_apps_fault(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        yield b"early"
        start_response("200 OK", [("Content-Type", "text/plain")])

    assert ask(LambdaWSGI(app)).status == 500
    assert "start_response" in str(failure(caplog))


@pytest.mark.parametrize("body", [[b"early"], [], [b""], iter(())])
def test_a_response_that_was_never_started_is_the_apps_fault(body: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert ask(LambdaWSGI(lambda environ, start_response: body)).status == 500
    assert "start_response" in str(failure(caplog))


@pytest.mark.parametrize("body", [None, 7, ["text"], [7], [None], "text", b"bytes", b"\0"])
def test_a_body_that_is_no_iterable_of_bytes_is_the_apps_fault(body: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert ask(LambdaWSGI(answering(body=body))).status == 500
    assert isinstance(failure(caplog), TypeError)


@pytest.mark.parametrize(
    "status",
    [
        "", "OK", "20", "99 Low", "100 Continue", "-12 x", "1e3 x", 200, None,
        b"200 OK",
        "200 OK\nX: y",
        "2000 OK",
    ],
)  # fmt: skip
def test_a_status_that_is_none_is_the_apps_fault(status: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert ask(LambdaWSGI(answering(status)), front=LoadBalancer()).status == 500
    failure(caplog)


def test_a_status_without_a_reason_is_never_refused_by_a_front() -> None:
    assert {ask(LambdaWSGI(answering("299")), front=front).status for front in FRONTS} <= {299, 500}


@pytest.mark.parametrize("cors_origins", ["", "*"])
@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "a\r\nSet-Cookie: b"), ("X-A", "a\nb"), ("X-A", "a\rb"), ("X-A\r\nX-B", "a"), ("X-A", 7),
        ("X-A", None), (7, "a"), ("X-A", b"a"), (b"X-A", b"a"), ("X-A",), None,
        ("X-A\rX-B", "a"),
        ("X-A", "a\0b"),
    ],
)  # fmt: skip
def test_a_header_that_is_none_is_the_apps_fault(
    header: Any, cors_origins: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(LambdaWSGI(answering(headers=[header]), cors_origins=cors_origins)).status == 500
    failure(caplog)


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
def test_headers_of_the_connection_are_not_the_apps(front: Front) -> None:
    names = ("Connection", "keep-alive", "Proxy-Authenticate", "TE", "Trailer", "Transfer-Encoding", "Upgrade")
    app = answering(headers=[*((name, "x") for name in names), ("Content-Type", "text/plain")])
    response = ask(LambdaWSGI(app), front=front)
    assert response.get("Content-Type") == "text/plain"
    assert [response.get(name) for name in names] == [None] * len(names)


def test_each_request_has_an_environ_of_its_own() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        assert type(environ) is dict
        environ |= {
            "SCRIPT_NAME": "/mine",
            "wsgi.multithread": True,
            "HTTP_X_MINE": environ.get("HTTP_X_MINE", "new"),
        }
        return echo(environ | {"first": str("HTTP_X_MINE" in environ)}, start_response)

    handler = LambdaWSGI(app)
    assert seen(handler) == seen(handler)


@pytest.mark.parametrize("front", [API, LoadBalancer(), fronts.LoadBalancerLists()], ids=lambda front: front.name)
@pytest.mark.parametrize("fails", [False, True])
def test_the_app_may_do_with_its_environ_what_it_likes(front: Front, fails: bool) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        environ.clear()
        return failing(environ, start_response) if fails else answering()(environ, start_response)

    handler = LambdaWSGI(app, cors_origins="https://a.example")
    response = ask(handler, "GET", "/", ("Origin", "https://a.example"), front=front)
    assert response.status == (500 if fails else 200)
    assert response.get("Access-Control-Allow-Origin") == "https://a.example"


def test_a_method_that_middleware_has_overridden_does_not_bring_the_body_back() -> None:
    """HEAD served by what answers GET."""

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        environ["REQUEST_METHOD"] = "GET"
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"body"]

    answer = LambdaWSGI(app)(API.event(Request(method="HEAD")), CONTEXT)
    assert (answer["body"], answer["headers"]["Content-Length"]) == ("", "4")


class Classy:
    """PEP 3333's own example of an app that is a class, whose instances are the bodies."""

    def __init__(self, environ: Environ, start_response: Any) -> None:
        self.start = start_response

    def __iter__(self) -> Iterator[bytes]:
        self.start("200 OK", [("Content-Type", "text/plain")])
        yield b"body"


class Instance:
    def __call__(self, environ: Environ, start_response: Any) -> Any:
        return answering()(environ, start_response)

    def method(self, environ: Environ, start_response: Any) -> Any:
        return self(environ, start_response)


def with_more(more: str, environ: Environ, start_response: Any) -> Any:
    return answering(headers=[("X-More", more)])(environ, start_response)


@pytest.mark.parametrize("app", [Classy, Instance(), Instance().method, partial(with_more, "a"), LambdaWSGI(echo)])
def test_any_callable_is_an_app(app: Any) -> None:
    assert ask(LambdaWSGI(app)).status == ask(partial(handle_request, app)).status == 200


# -- what it costs


def breaking_off(environ: Environ, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"begun"
    try:
        raise LookupError("nothing there")
    except LookupError:
        start_response("503 Service Unavailable", [], sys.exc_info())


class Context:
    aws_request_id = "1"


@pytest.mark.parametrize(
    "app",
    [
        echo,
        failing,
        breaking_off,
    ],
)
def test_a_request_leaves_nothing_behind(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No circle of references: a body of 6 MB would stay until the garbage collector comes."""
    monkeypatch.setattr(logging.getLogger("lambda_wsgi"), "disabled", True)  # pytest keeps each record with its error
    context = Context()
    gone = weakref.ref(context)
    gc.disable()
    try:
        LambdaWSGI(app)(API.event(Request(method="POST", body=b"x")), context)
        del context
        assert gone() is None
    finally:
        gc.enable()


def test_names_of_headers_are_kept_for_so_many_requests_only() -> None:
    handler = LambdaWSGI(echo)
    for number in range(1_500):
        assert seen(handler, "/", (f"X-{number}", "1"))[f"HTTP_X_{number}"] == "1"
    assert len(lambda_wsgi._environ.KEYS) <= 1_000


HEAVY = {
    "dataclasses", "email", "flask", "http.client", "inspect", "json", "logging", "pathlib", "traceback", "typing",
    "werkzeug",
}  # fmt: skip


def test_its_import_is_cheap_and_needs_the_standard_library_alone() -> None:
    code = f"import sys; sys.path.append({str(LAYER)!r}); import lambda_wsgi; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "lambda_wsgi" in loaded
    assert not loaded & HEAVY


def test_it_is_small() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in LAYER.rglob("*.py")}
    assert sum(lines.values()) < 1_000
    assert max(lines.values()) < 300


def test_the_names_it_offers_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert issubclass(NotHTTP, ValueError)
    assert issubclass(ErrorStatus, Exception)
    with pytest.raises(AttributeError, match="no attribute 'gone'"):
        lambda_wsgi.gone  # noqa: B018
