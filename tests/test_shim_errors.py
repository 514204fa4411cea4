"""What the shim makes of failing requests, and what a browser of another origin may do."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import pytest
from flask import Blueprint, Flask, Response, abort, got_request_exception, redirect, request
from werkzeug.exceptions import HTTPException, ImATeapot
from werkzeug.middleware.proxy_fix import ProxyFix

from asking import API, CONTEXT, FRONTS, SECRET, Environ, Handler, ask
from conftest import ROOT
from layerkit import fronts
from layerkit.fronts import Front, LoadBalancer, Request

sys.path.insert(0, str(ROOT / "layers/lambda-wsgi"))

from lambda_wsgi import ErrorStatus, FlaskLambda, LambdaWSGI, handle_request

ALB = LoadBalancer()


def answering(
    status: str = "200 OK", *headers: tuple[str, str], body: bytes = b"body"
) -> Callable[[Environ, Any], Any]:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return [body]

    return app


def raising(error: BaseException) -> Callable[[Environ, Any], Any]:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        raise error

    return app


def flask(error: BaseException | None = None, **config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(config)

    @app.get("/<path:_>")
    def fails(_: str) -> str:
        raise error or LookupError("nothing there")

    return app


def told(response: fronts.Response) -> dict[str, Any]:
    """The JSON of a failure."""
    assert response.get("Content-Type") == "application/json"
    found: dict[str, Any] = json.loads(response.body)
    return found


FAILURE = {"message": "Internal Server Error", "requestId": "request-1"}


# -- one record, one answer


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
@pytest.mark.parametrize("app", [raising(LookupError("nothing there")), flask()], ids=["wsgi", "flask"])
def test_a_request_that_fails(app: Any, front: Front, caplog: pytest.LogCaptureFixture) -> None:
    response = ask(LambdaWSGI(app), "GET", "/a/b?c=d", front=front)
    assert (response.status, told(response)) == (500, FAILURE)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("lambda_wsgi", logging.ERROR)
    for part in ("GET", f"{front.mount}/a/b ", "request-1", "LookupError: nothing there"):
        assert part in record.getMessage()
    assert record.exc_info
    assert isinstance(record.exc_info[1], LookupError)
    assert "test_shim_errors.py" in caplog.text
    assert vars(record)["request_id"] == "request-1"


def test_each_failure_has_a_record_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    handler = LambdaWSGI(flask())
    for number in range(3):
        ask(handler, target=f"/{number}")
    assert [vars(record)["path"] for record in caplog.records] == ["/0", "/1", "/2"]


def test_without_a_context_the_fronts_id_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """`sam local` and unit tests call a handler with None."""
    event = API.event(Request())
    answer = LambdaWSGI(raising(LookupError()))(event, None)
    assert json.loads(answer["body"])["requestId"] == event["requestContext"]["requestId"]
    assert event["requestContext"]["requestId"] in caplog.text


@pytest.mark.parametrize("app", [raising(LookupError(SECRET)), flask(LookupError(SECRET))], ids=["wsgi", "flask"])
def test_only_debug_puts_the_error_into_the_answer(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SECRET.encode() not in ask(LambdaWSGI(app), target="/x").body
    monkeypatch.setenv("LAMBDA_WSGI_DEBUG", "1")
    assert SECRET.encode() not in ask(LambdaWSGI(app, debug=False), target="/x").body


@pytest.mark.parametrize("by", ["keyword", "variable"])
@pytest.mark.parametrize("kind", ["wsgi", "flask"])
def test_debug(kind: str, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDA_WSGI_DEBUG", "1" if by == "variable" else "0")
    app = flask() if kind == "flask" else raising(LookupError("nothing there"))
    found = told(ask(LambdaWSGI(app, debug=True if by == "keyword" else None), target="/x"))
    assert found | FAILURE == found
    assert any("test_shim_errors.py" in line for line in found["stackTrace"])
    assert found["stackTrace"][-1] == "LookupError: nothing there"
    assert all("\n" not in line for line in found["stackTrace"])


@pytest.mark.parametrize("kind", ["wsgi", "flask"])
def test_an_error_with_a_note_is_said_as_well(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    error = LookupError("nothing there")
    error.add_note("while the shelf was searched")
    ask(LambdaWSGI(flask(error) if kind == "flask" else raising(error)), target="/x")
    assert "LookupError: nothing there" in caplog.messages[0]


class Odd(Exception):
    def __str__(self) -> str:
        raise ValueError("an error that cannot be said")


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_that_cannot_be_said_is_an_answer_still(debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    response = ask(LambdaWSGI(raising(Odd()), debug=debug))
    assert response.status == 500
    assert "Odd" in caplog.text


def test_an_error_that_cannot_be_written_is_written_in_ascii(caplog: pytest.LogCaptureFixture) -> None:
    """Half a surrogate pair: the runtime's handler encodes what it writes, and raises what that raises."""

    class Runtime(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(self.format(record).encode())

    written: list[bytes] = []
    logging.getLogger().addHandler(handler := Runtime())
    try:
        assert ask(LambdaWSGI(raising(LookupError("half of \ud83d")))).status == 500
    finally:
        logging.getLogger().removeHandler(handler)
    assert b"LookupError: half of \\ud83d" in written[0]


@pytest.mark.parametrize("kind", ["wsgi", "flask"])
@pytest.mark.parametrize("error", [SystemExit(1), SystemExit("bye"), MemoryError(), RecursionError()])
def test_what_would_end_the_process_ends_the_request(
    error: BaseException, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = ask(LambdaWSGI(flask(error) if kind == "flask" else raising(error)), target="/x")
    assert (response.status, told(response)) == (500, FAILURE)
    (record,) = caplog.records
    assert type(error).__name__ in record.getMessage()


def test_a_task_that_was_cancelled_ends_the_request_alone() -> None:
    """asyncio.CancelledError is no Exception; the runtime's client would end with it."""
    from asyncio import CancelledError

    assert ask(LambdaWSGI(flask(CancelledError())), target="/x").status == 500


def test_a_context_that_is_a_mock() -> None:
    """As in the unit tests of many a function."""
    assert LambdaWSGI(raising(LookupError()))(API.event(Request()), MagicMock())["statusCode"] == 500


def test_the_user_can_still_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        ask(LambdaWSGI(raising(KeyboardInterrupt())))


def test_a_stream_that_breaks_off_is_a_failure_as_a_whole(caplog: pytest.LogCaptureFixture) -> None:
    app = Flask("shop")

    @app.get("/")
    def stream() -> Response:
        return Response(part for part in (b"a", b"b", *iter(raise_it, None)))

    def raise_it() -> None:
        raise LookupError("midway")

    assert told(ask(LambdaWSGI(app))) == FAILURE
    assert len(caplog.records) == 1


# -- Flask


def own_page(app: Flask | Blueprint, what: Any) -> None:
    @app.errorhandler(what)
    def page(error: Exception) -> tuple[str, int]:
        return "my own page", 500


@pytest.mark.parametrize("what", [500, HTTPException, Exception, LookupError])
def test_a_page_of_the_apps_own_stays(what: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = flask()
    own_page(app, what)
    assert ask(LambdaWSGI(app), target="/x").body == b"my own page"
    logged = what in (500, HTTPException)  # the others took the error before it was one of the request
    assert [record.name for record in caplog.records] == ["lambda_wsgi"] * logged


def test_a_page_of_the_apps_own_sees_the_error(caplog: pytest.LogCaptureFixture) -> None:
    app = flask()
    app.register_error_handler(500, lambda error: (repr(error.original_exception), 503))
    response = ask(LambdaWSGI(app), target="/x")
    assert (response.status, response.body) == (503, b"LookupError('nothing there')")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("what", [500, HTTPException, Exception])
def test_a_blueprints_page_is_the_blueprints(what: Any, caplog: pytest.LogCaptureFixture) -> None:
    app, admin = flask(), Blueprint("admin", "admin", url_prefix="/admin")
    own_page(admin, what)

    @admin.get("/")
    def fails() -> str:
        raise LookupError("nothing there")

    app.register_blueprint(admin)
    handler = LambdaWSGI(app)
    assert ask(handler, target="/admin/").body == b"my own page"
    caplog.clear()
    assert ask(handler, target="/x").status == 500
    assert len(caplog.records) == 1


def test_the_rest_of_the_app_keeps_the_readable_answer() -> None:
    app, admin = flask(), Blueprint("admin", "admin", url_prefix="/admin")
    own_page(admin, 500)
    app.register_blueprint(admin)
    assert told(ask(LambdaWSGI(app), target="/x")) == FAILURE


@pytest.mark.parametrize("what", [HTTPException, Exception])
def test_with_a_blueprints_page_the_rest_of_the_app_keeps_flasks(what: Any, caplog: pytest.LogCaptureFixture) -> None:
    """As documented; a handler of ours for the whole app would go before a blueprint's for a class."""
    app, admin = flask(), Blueprint("admin", "admin", url_prefix="/admin")
    own_page(admin, what)
    app.register_blueprint(admin)
    response = ask(LambdaWSGI(app), target="/x")
    assert (response.status, response.get("Content-Type")) == (500, "text/html; charset=utf-8")
    assert [record.name for record in caplog.records] == ["lambda_wsgi"]


@pytest.mark.parametrize("status", [400, 404, 418, 500, 503])
def test_a_status_that_is_meant_stays_flasks(status: int, caplog: pytest.LogCaptureFixture) -> None:
    app = Flask("shop")
    app.add_url_rule("/", view_func=lambda: abort(status, "as meant"))
    response = ask(LambdaWSGI(app))
    assert (response.status, response.get("Content-Type")) == (status, "text/html; charset=utf-8")
    assert b"as meant" in response.body
    assert not caplog.records


def test_what_flask_does_after_a_failure_is_done() -> None:
    app, done = flask(), []
    app.teardown_request(lambda error: done.append(f"torn down: {error}"))

    @app.after_request
    def after(response: Response) -> Response:
        response.headers["X-After"] = str(response.status_code)
        return response

    def signalled(sender: Any, exception: Exception, **_: Any) -> None:
        done.append(f"signal: {exception}")

    with got_request_exception.connected_to(signalled, app):
        response = ask(LambdaWSGI(app), target="/x")
    assert (response.get("X-After"), told(response)) == ("500", FAILURE)
    assert done == ["signal: nothing there", "torn down: nothing there"]


@pytest.mark.parametrize("config", ["TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
def test_an_app_that_hands_its_errors_on(config: str, caplog: pytest.LogCaptureFixture) -> None:
    response = ask(LambdaWSGI(flask(None, **{config: True})), target="/x")
    assert (response.status, told(response)) == (500, FAILURE)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("where", ["before", "after", "teardown"])
def test_a_hook_that_fails(where: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Flask("shop")
    app.add_url_rule("/", view_func=lambda: "fine")

    def hook(_: Any = None) -> Any:
        raise LookupError("in the hook")

    getattr(app, f"{where}_request")(hook)
    assert ask(LambdaWSGI(app)).status == 500
    assert caplog.text.count("LookupError: in the hook") >= 1


class Quiet(Flask):
    def log_exception(self, exc_info: Any) -> None:
        logging.getLogger("mine").error("my own record")


def test_an_app_that_logs_by_itself_goes_on_so(caplog: pytest.LogCaptureFixture) -> None:
    app = Quiet("shop")
    app.add_url_rule("/", view_func=lambda: str(int("gone")))
    assert told(ask(LambdaWSGI(app))) == FAILURE
    assert [record.getMessage() for record in caplog.records] == ["my own record"]


def test_a_log_function_that_was_put_into_the_app_goes_on_too(caplog: pytest.LogCaptureFixture) -> None:
    app = flask()
    app.log_exception = lambda exc_info: logging.getLogger("mine").error("my own record")  # type: ignore[method-assign]
    assert told(ask(LambdaWSGI(app), target="/x")) == FAILURE
    assert [record.getMessage() for record in caplog.records] == ["my own record"]


def test_an_app_that_has_served_before_is_readable_as_far_as_flask_allows(caplog: pytest.LogCaptureFixture) -> None:
    app = flask()
    assert app.test_client().get("/").status_code == 404
    assert ask(LambdaWSGI(app), target="/x").status == 500
    assert [record.name for record in caplog.records] == ["lambda_wsgi"]


def test_middleware_on_the_app_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app = flask()
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    assert told(ask(LambdaWSGI(app), target="/x")) == FAILURE
    assert len(caplog.records) == 1


def test_middleware_that_hands_on_a_copy_of_environ_does_not_hide_the_error() -> None:
    app = flask()
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: inner({**environ}, start_response)  # type: ignore[method-assign]
    with pytest.raises(LookupError, match="nothing there"):
        ask(LambdaWSGI(app, error_status="500"), target="/x")


def test_flask_behind_middleware_fails_as_flask_does(caplog: pytest.LogCaptureFixture) -> None:
    """Only an app that is a Flask can be asked for its handlers; the error is in the log all the same, once."""
    assert ask(LambdaWSGI(ProxyFix(flask())), target="/x").status == 500
    (record,) = caplog.records
    assert record.exc_info
    assert isinstance(record.exc_info[1], LookupError)


def test_two_adapters_of_one_app_answer_each_by_its_settings(caplog: pytest.LogCaptureFixture) -> None:
    app = flask()
    open_one, closed = LambdaWSGI(app, debug=True), LambdaWSGI(app)
    assert "stackTrace" in told(ask(open_one, target="/x"))
    assert "stackTrace" not in told(ask(closed, target="/x"))
    assert len(caplog.records) == 2


def test_a_flask_app_made_anew_for_each_request(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        event = API.event(Request(target="/x"))
        assert told(API.response(handle_request(flask(), event, CONTEXT))) == FAILURE
    assert len(caplog.records) == 3


def test_flask_lambda_fails_alike(caplog: pytest.LogCaptureFixture) -> None:
    app = FlaskLambda("shop", debug=True)
    app.add_url_rule("/", view_func=lambda: str(int("gone")))
    assert told(ask(app))["stackTrace"][-1].startswith("ValueError")
    assert len(caplog.records) == 1


# -- error_status


@pytest.mark.parametrize(
    ("given", "raised", "answered"),
    [
        ("500-599", {500, 503, 599}, {404, 499}),
        (" 500 - 502 , 504 ", {500, 501, 502, 504}, {503}),
        ("404", {404}, {403, 500}),
        (500, {500}, {501}),
        (range(500, 600), {500, 599}, {600}),
        ([500, 503], {500, 503}, {502}),
        ({404}, {404}, {500}),
        ("", set(), {500}),
        ([], set(), {500}),
    ],
)
def test_statuses_that_are_errors_of_the_function(given: Any, raised: set[int], answered: set[int]) -> None:
    for status in raised:
        with pytest.raises(ErrorStatus, match=rf"GET /a/b .*{status}"):
            ask(LambdaWSGI(answering(f"{status} Odd"), error_status=given), target="/a/b?c=d")
    for status in answered:
        assert ask(LambdaWSGI(answering(f"{status} Odd"), error_status=given)).status == status


@pytest.mark.parametrize("kind", ["wsgi", "flask", "testing", "own page"])
def test_the_apps_own_error_is_raised_again(
    kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime then prints it with the traceback, and the function's metric Errors counts it."""
    monkeypatch.setenv("LAMBDA_WSGI_ERROR_STATUS", "500-599")
    app: Any = raising(LookupError("nothing there")) if kind == "wsgi" else flask(TESTING=kind == "testing")
    if kind == "own page":
        own_page(app, 500)
    with pytest.raises(LookupError, match="nothing there") as caught:
        ask(LambdaWSGI(app), target="/x")
    assert any(entry.name in ("app", "fails") for entry in caught.traceback)
    assert len(caplog.records) == 1


def test_a_page_that_makes_the_failure_a_success_is_believed() -> None:
    app = flask()
    app.register_error_handler(500, lambda error: ("all is well", 200))
    assert ask(LambdaWSGI(app, error_status="500-599"), target="/x").status == 200


def test_the_failure_of_one_request_is_not_raised_for_the_next() -> None:
    app = flask()
    app.add_url_rule("/meant", view_func=lambda: abort(503))
    handler = LambdaWSGI(app, error_status="503")
    assert ask(handler, target="/x").status == 500
    with pytest.raises(ErrorStatus):
        ask(handler, target="/meant")


def test_an_exit_is_not_raised_again() -> None:
    with pytest.raises(ErrorStatus):
        ask(LambdaWSGI(raising(SystemExit()), error_status=500))


# -- what does not fit, what cannot be read


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
@pytest.mark.parametrize("kind", ["text/plain", "image/png"])
def test_an_answer_that_is_too_large(kind: str, front: Front, caplog: pytest.LogCaptureFixture) -> None:
    """Just below the limit it goes through (the model refuses what is larger); above it is a failure that says so."""
    room = front.limit - 1_000
    size = room if kind == "text/plain" else room // 4 * 3
    assert len(ask(LambdaWSGI(answering(body=b"a" * size)), front=front).body) == size
    assert not caplog.records
    response = ask(LambdaWSGI(answering(body=b'"' * (front.limit // 2))), front=front)
    assert response.status == 500
    assert f"{front.limit:,}" in told(response)["message"]
    assert told(response)["requestId"] == "request-1"
    (record,) = caplog.records
    assert f"{front.limit:,}" in record.getMessage()
    assert len(caplog.text) < 10_000


def test_a_head_request_has_room_for_any_size(caplog: pytest.LogCaptureFixture) -> None:
    assert ask(LambdaWSGI(answering(body=b"a" * 7_000_000)), "HEAD").status == 200
    assert not caplog.records


def test_too_large_is_an_error_status_too() -> None:
    with pytest.raises(ValueError, match="1,048,576"):
        ask(LambdaWSGI(answering(body=b"a" * 1_048_576), error_status="500"), front=ALB)


@pytest.mark.parametrize("cors_origins", ["", "*"])
@pytest.mark.parametrize("body", ["a", "abc", "ab=c", "ab==ab==", "a b=", "é===", "YWJj\n", "!!!!"])
@pytest.mark.parametrize("front", [API, ALB, fronts.LatticeV1(), fronts.RestApi()], ids=lambda front: front.name)
def test_a_body_that_is_not_the_base64_it_should_be(
    front: Front, body: str, cors_origins: str, caplog: pytest.LogCaptureFixture
) -> None:
    event = front.event(Request(method="POST", body=b"\xff"))
    key = "is_base64_encoded" if "is_base64_encoded" in event else "isBase64Encoded"
    answer = LambdaWSGI(pytest.fail, cors_origins=cors_origins)(event | {"body": body, key: True}, CONTEXT)
    response = front.response(answer)
    assert response.status == 400
    assert "base64" in told(response)["message"]
    assert response.get("Access-Control-Allow-Origin") == (cors_origins or None)
    assert not caplog.text


# -- nothing secret in a log


def secretly(handler: Handler, front: Front = API, body: bytes = SECRET.encode(), target: str = "/a") -> None:
    headers = (
        ("Cookie", f"session={SECRET}"),
        ("Authorization", f"Bearer {SECRET}"),
        ("X-Api-Key", SECRET),
        ("Content-Type", "text/plain"),
    )
    ask(handler, "POST", f"{target}?token={SECRET}", *headers, body=body, front=front)


def posting(error: Any = None, debug: bool = False) -> Flask:
    app = Flask("shop")
    app.config["TESTING"] = debug

    @app.post("/a")
    def post() -> Response:
        password, token = request.get_data(as_text=True), request.args["token"]
        assert password == token == SECRET
        if error == "json":
            return Response(request.get_json(force=True))
        if error == "header":
            return Response("", headers=[("X-Token", token)])
        raise error or LookupError("nothing there")

    return app


def breaking(environ: Environ, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("X-Token", f"{SECRET}\r\nX-More: 1")])
    return [b""]


FAILING: dict[str, Any] = {
    "wsgi": raising(LookupError("nothing there")),
    "flask": posting(),
    "flask in tests": posting(debug=True),
    "flask by bad request": posting("json"),
    "flask by teapot": posting(ImATeapot()),
    "exit": posting(SystemExit(3)),
    "too large": answering(body=SECRET.encode() * 1_100_000),
    "broken header": breaking,
    "broken status": answering("20"),
    "no start": lambda environ, start_response: [SECRET.encode()],
    "text": lambda environ, start_response: (start_response("200 OK", []), [SECRET])[1],
}


@pytest.mark.parametrize("front", [fronts.RestApi(), API, ALB], ids=lambda front: front.name)
@pytest.mark.parametrize("name", FAILING)
@pytest.mark.parametrize("settings", [{}, {"debug": True}, {"error_status": "400-599"}], ids=["", "debug", "raised"])
def test_nothing_secret_is_in_a_log(
    name: str, front: Front, settings: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    raised = ""
    try:
        secretly(LambdaWSGI(FAILING[name], **settings), front)
    except (ErrorStatus, AssertionError, LookupError, TypeError, ValueError) as error:
        assert settings.get("error_status"), error
        raised = str(error)
    said = [caplog.text, *capfd.readouterr(), raised, *(repr(vars(record)["args"]) for record in caplog.records)]
    extras = [str(value) for record in caplog.records for value in vars(record).values() if isinstance(value, str)]
    assert not [text for text in said + extras if SECRET in text]
    assert caplog.text or raised or "by" in name  # Flask's own answers are no failures


def test_what_the_app_logs_of_its_own_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Django's records have the request object, and the runtime would write it; a word is no such thing."""
    app = Flask("shop")

    @app.get("/")
    def index() -> str:
        app.logger.info("seen", extra={"request": "r-1"})
        return "fine"

    assert ask(LambdaWSGI(app)).body == b"fine"
    assert [vars(record).get("request") for record in caplog.records] == ["r-1"]


LINES = ["%0A", "%0D%0A", "%0d", "%E2%80%A8", "%C2%85", "%1B[2K", "%00"]


@pytest.mark.parametrize("raised", [False, True])
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("front", [fronts.RestApi(), API, ALB], ids=lambda front: front.name)
def test_a_path_cannot_write_lines_into_the_log(
    front: Front, line: str, raised: bool, caplog: pytest.LogCaptureFixture
) -> None:
    forged = f"/a{line}2026-01-01 ERROR forged"
    if raised:
        with pytest.raises(ErrorStatus) as caught:
            ask(LambdaWSGI(answering("503 Odd"), error_status=503), target=forged, front=front)
        text = str(caught.value)
    else:
        ask(LambdaWSGI(raising(LookupError("nothing there"))), target=forged, front=front)
        text = caplog.records[0].getMessage()
    assert "/a" in text
    assert text.isprintable()


# -- CORS


ORIGIN = "https://app.example"


def preflight(
    handler: Handler, method: str = "PUT", headers: str = "", *, origin: str = ORIGIN, front: Front = API
) -> fronts.Response:
    lines = [("Origin", origin), ("Access-Control-Request-Method", method)]
    lines += [("Access-Control-Request-Headers", headers)] * bool(headers)
    return ask(handler, "OPTIONS", "/a", *lines, front=front)


def words(response: fronts.Response, name: str) -> list[str]:
    return [word.strip() for word in (response.get(name) or "").split(",") if word.strip()]


def may_read(response: fronts.Response, *, origin: str = ORIGIN, credentials: bool = False) -> bool:
    """What a browser says: fetch.spec.whatwg.org, CORS check."""
    allowed = response.get("Access-Control-Allow-Origin")
    if allowed == "*" and not credentials:
        return True
    return allowed == origin and (not credentials or response.get("Access-Control-Allow-Credentials") == "true")


def may_send(
    response: fronts.Response,
    method: str = "PUT",
    headers: str = "",
    *,
    origin: str = ORIGIN,
    credentials: bool = False,
) -> bool:
    """CORS-preflight fetch: the methods are case-sensitive, `*` covers neither credentials nor Authorization."""
    methods = words(response, "Access-Control-Allow-Methods")
    names = [name.lower() for name in words(response, "Access-Control-Allow-Headers")]
    asked = [name.strip().lower() for name in headers.split(",") if name.strip()]
    return (
        response.status in range(200, 300)
        and may_read(response, origin=origin, credentials=credentials)
        and (method in methods or method in ("GET", "HEAD", "POST") or ("*" in methods and not credentials))
        and all(name in names or ("*" in names and not credentials and name != "authorization") for name in asked)
    )


def permissions(response: fronts.Response) -> list[str]:
    return [name for name, _ in response.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
@pytest.mark.parametrize("origins", [ORIGIN, "*"])
def test_a_preflight_is_answered_before_the_app(origins: str, front: Front) -> None:
    response = preflight(LambdaWSGI(pytest.fail, cors_origins=origins), "PATCH", "Authorization, X-A", front=front)
    assert (response.status, response.body) == (204, b"")
    assert may_send(response, "PATCH", "Authorization, X-A")
    assert not may_read(response, credentials=True)


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
def test_without_the_setting_there_is_no_cors(front: Front) -> None:
    response = preflight(LambdaWSGI(answering("405 No")), front=front)
    assert (response.status, permissions(response), response.get("Vary")) == (405, [], None)


STRANGERS = [
    "https://other.example", "http://app.example", "https://app.example:8443", "https://app.example.evil.example",
    "https://evilapp.example", "https://sub.app.example", "null", "", "https://", "app.example",
    "*",
]  # fmt: skip


@pytest.mark.parametrize("origin", STRANGERS)
def test_other_origins_get_no_permission(origin: str) -> None:
    handler = LambdaWSGI(answering(), cors_origins=ORIGIN, cors_credentials=True, cors_max_age=60)
    for response in (preflight(handler, origin=origin), ask(handler, "GET", "/", ("Origin", origin))):
        assert permissions(response) == []
        assert "Origin" in words(response, "Vary")


@pytest.mark.parametrize(
    "origins",
    [
        "https://app.example/", "HTTPS://App.Example", " https://a.example , https://app.example ,", [ORIGIN],
        (ORIGIN + "/",), {ORIGIN, "null"}, "https://a.example,*",
    ],
)  # fmt: skip
def test_the_origins_in_each_spelling(origins: Any) -> None:
    handler = LambdaWSGI(answering(), cors_origins=origins)
    assert may_send(preflight(handler))
    assert may_read(ask(handler, "GET", "/", ("Origin", ORIGIN)))


def test_an_origin_is_given_back_as_it_was_sent() -> None:
    handler = LambdaWSGI(answering(), cors_origins="https://App.Example, null")
    for origin in (ORIGIN, "null"):
        assert may_read(ask(handler, "GET", "/", ("Origin", origin)), origin=origin)


def test_any_origin_with_credentials_is_refused() -> None:
    for origins in ("*", f"{ORIGIN}, *", ["*"]):
        with pytest.raises(ValueError, match=r"(?i)cors_?credentials|credentials"):
            LambdaWSGI(answering(), cors_origins=origins, cors_credentials=True)


def test_credentials() -> None:
    handler = LambdaWSGI(answering(), cors_origins=ORIGIN, cors_credentials=True)
    assert may_send(preflight(handler, "DELETE", "X-A"), "DELETE", "X-A", credentials=True)
    assert may_read(ask(handler, "GET", "/", ("Origin", ORIGIN)), credentials=True)


@pytest.mark.parametrize(
    ("given", "allowed", "refused"),
    [
        ("", ["GET", "PUT", "PATCH", "DELETE"], []),
        ("GET, PUT", ["GET", "PUT"], ["PATCH", "DELETE"]),
        (["PATCH"], ["PATCH"], ["PUT"]),
        ("*", ["PUT", "PATCH", "DELETE"], []),
        ("put", ["PUT"], ["PATCH"]),
    ],
)
@pytest.mark.parametrize("credentials", [False, True])
def test_methods(given: Any, allowed: list[str], refused: list[str], credentials: bool) -> None:
    handler = LambdaWSGI(pytest.fail, cors_origins=ORIGIN, cors_methods=given, cors_credentials=credentials)
    for method in allowed:
        assert may_send(preflight(handler, method), method, credentials=credentials)
    for method in refused:
        assert not may_send(preflight(handler, method), method, credentials=credentials)


@pytest.mark.parametrize(
    ("given", "allowed", "refused"),
    [
        ("", ["authorization,x-a", "content-type"], []),
        ("X-A, Content-Type", ["x-a", "content-type,x-a"], ["authorization", "x-a,x-b"]),
        (["Authorization"], ["authorization"], ["x-a"]),
        ("*", ["authorization", "x-a,x-b"], []),
        ("X-A, *", ["authorization", "x-a,x-b"], []),
    ],
)
@pytest.mark.parametrize("credentials", [False, True])
def test_headers(given: Any, allowed: list[str], refused: list[str], credentials: bool) -> None:
    handler = LambdaWSGI(pytest.fail, cors_origins=ORIGIN, cors_headers=given, cors_credentials=credentials)
    for headers in allowed:
        assert may_send(preflight(handler, "PUT", headers), "PUT", headers, credentials=credentials)
    for headers in refused:
        assert not may_send(preflight(handler, "PUT", headers), "PUT", headers, credentials=credentials)


@pytest.mark.parametrize(("given", "said"), [(None, None), (600, "600"), ("600", "600"), (0, "0"), (-1, "-1")])
def test_how_long_a_preflight_is_kept(given: Any, said: str | None) -> None:
    handler = LambdaWSGI(pytest.fail, cors_origins=ORIGIN, cors_max_age=given)
    assert preflight(handler).get("Access-Control-Max-Age") == said


def test_every_setting_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "ORIGINS": f"https://a.example,{ORIGIN}", "METHODS": "GET,PUT", "HEADERS": "X-A", "CREDENTIALS": "true",
        "MAX_AGE": "7",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"LAMBDA_WSGI_CORS_{name}", value)
    response = preflight(LambdaWSGI(pytest.fail), "PUT", "X-A")
    assert may_send(response, "PUT", "X-A", credentials=True)
    assert not may_send(response, "DELETE")
    assert not may_send(response, "PUT", "X-B")
    assert response.get("Access-Control-Max-Age") == "7"
    handler = LambdaWSGI(pytest.fail, cors_origins="https://b.example", cors_methods="DELETE", cors_max_age="9")
    response = preflight(handler, "DELETE", origin="https://b.example")
    assert may_send(response, "DELETE", origin="https://b.example", credentials=True)
    assert response.get("Access-Control-Max-Age") == "9"
    assert not may_read(preflight(handler))


def shop(**settings: Any) -> LambdaWSGI:
    app = flask()
    views: dict[str, Callable[[], Any]] = {
        "/": lambda: "fine",
        "/moved": lambda: redirect("/"),
        "/none": lambda: ("", 204),
        "/same": lambda: Response(status=304),
        "/meant": lambda: abort(500),
        "/large": lambda: "a" * 7_000_000,
    }
    for rule, view in views.items():
        app.add_url_rule(rule, rule, view)
    return LambdaWSGI(app, **settings)


@pytest.mark.parametrize("front", [fronts.RestApi(), API, ALB], ids=lambda front: front.name)
@pytest.mark.parametrize("origins", [ORIGIN, "*"])
@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 200), ("HEAD", "/", 200), ("GET", "/moved", 302), ("GET", "/none", 204), ("GET", "/same", 304),
        ("GET", "/fails", 500), ("GET", "/meant", 500), ("GET", "/large", 500), ("POST", "/", 405),
    ],
)  # fmt: skip
def test_the_headers_are_on_every_answer(method: str, target: str, status: int, origins: str, front: Front) -> None:
    """Without them a browser tells the page's script of a network failure, whatever it was."""
    response = ask(shop(cors_origins=origins), method, target, ("Origin", ORIGIN), front=front)
    assert response.status == status
    assert may_read(response)
    assert ("Origin" in words(response, "Vary")) is (origins != "*")


def test_the_headers_are_on_the_answer_to_a_wsgi_app_that_fails() -> None:
    for app in (raising(LookupError()), breaking, answering("20")):
        response = ask(LambdaWSGI(app, cors_origins=ORIGIN), "GET", "/", ("Origin", ORIGIN))
        assert (response.status, may_read(response)) == (500, True)


def test_a_cache_is_told_even_where_nobody_asked() -> None:
    response = ask(LambdaWSGI(answering(), cors_origins=ORIGIN))
    assert (permissions(response), words(response, "Vary")) == ([], ["Origin"])
    response = ask(LambdaWSGI(answering(), cors_origins="*"))
    assert (response.get("Access-Control-Allow-Origin"), response.get("Vary")) == ("*", None)


def test_a_preflight_is_kept_for_its_own_question_alone() -> None:
    asked = {"Access-Control-Request-Method", "Access-Control-Request-Headers"}
    for origins, by_origin in ((ORIGIN, {"Origin"}), ("*", set())):
        assert {*words(preflight(LambdaWSGI(pytest.fail, cors_origins=origins)), "Vary")} == asked | by_origin


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (("Access-Control-Allow-Origin", "https://own.example"), "https://own.example"),
        (("access-control-allow-origin", "*"), "*"),
    ],
)
def test_the_apps_own_headers_win(own: tuple[str, str], expected: str, front: Front) -> None:
    handler = LambdaWSGI(answering("200 OK", own), cors_origins=ORIGIN, cors_credentials=True)
    response = ask(handler, "GET", "/", ("Origin", ORIGIN), front=front)
    assert response.get("Access-Control-Allow-Origin") == expected
    assert response.get("Access-Control-Allow-Credentials") is None


def test_the_apps_own_credentials_are_not_said_twice() -> None:
    app = answering("200 OK", ("Access-Control-Allow-Credentials", "true"))
    response = ask(LambdaWSGI(app, cors_origins=ORIGIN, cors_credentials=True), "GET", "/", ("Origin", ORIGIN))
    assert may_read(response, credentials=True)


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
@pytest.mark.parametrize(
    "own",
    [
        "Accept-Encoding",
        "accept-encoding, Cookie",
        "*",
        "X-Origin",
    ],
)
def test_what_the_app_says_of_vary_stays(own: str, front: Front) -> None:
    handler = LambdaWSGI(answering("200 OK", ("Vary", own)), cors_origins=ORIGIN)
    response = ask(handler, "GET", "/", ("Origin", ORIGIN), front=front)
    assert {*own.split(", ")} <= {*words(response, "Vary")}
    assert {"Origin", "*"} & {*words(response, "Vary")}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("OPTIONS", [("Origin", ORIGIN)]),
        ("OPTIONS", [("Access-Control-Request-Method", "PUT")]),
        ("OPTIONS", []),
        ("GET", [("Origin", ORIGIN), ("Access-Control-Request-Method", "PUT")]),
    ],
)
def test_what_is_no_preflight_goes_to_the_app(method: str, headers: list[tuple[str, str]]) -> None:
    response = ask(LambdaWSGI(answering(), cors_origins=ORIGIN), method, "/", *headers)
    assert (response.status, response.body) == (200, b"body")
    assert may_read(response) is (("Origin", ORIGIN) in headers)


def test_an_app_with_cors_of_its_own_is_left_alone() -> None:
    """Flask-CORS, django-cors-headers: with the setting off, preflights and headers are the app's."""
    app = answering("200 OK", ("Access-Control-Allow-Origin", ORIGIN), ("Access-Control-Allow-Methods", "PUT"))
    assert may_send(preflight(LambdaWSGI(app)), "PUT")


def test_a_header_of_the_browser_cannot_break_the_answer() -> None:
    """What is asked for comes back in the answer: a line break would be a header of the attacker's."""
    handler = LambdaWSGI(pytest.fail, cors_origins=ORIGIN)
    event = API.event(Request(method="OPTIONS"))
    event["headers"] |= {"origin": ORIGIN, "access-control-request-method": "PUT\r\nX-Evil: 1"}
    assert API.response(handler(event, CONTEXT)).status == 500
