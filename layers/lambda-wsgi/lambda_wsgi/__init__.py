"""Lambda WSGI adapter: any WSGI app behind any of Lambda's HTTP fronts.  Standard library only."""

# An event's way: _environ, run, _answer.  The rest is imported when it is needed, and only what users see has
# docstrings: a cold start pays for both.

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

from lambda_wsgi._answer import answer, preflight
from lambda_wsgi._environ import environ_of, front_of

TYPE_CHECKING = False  # typing costs 5 ms of a cold start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    handler: LambdaWSGI
    FlaskLambda: type[Any]
    Response = tuple[str, list[tuple[str, str]], bytes]


NO, YES = ("", "0", "false", "f", "no", "n", "off"), ("1", "true", "t", "yes", "y", "on")


def _truth(value: Any) -> bool:
    return bool((NO + YES).index(str(value or "").strip().lower()) >= len(NO))


def _path(value: Any) -> str:
    path = str(value or "").strip().strip("/")
    return path and f"/{path}"


def _words(value: Any) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value or ()
    return [part.strip() for part in parts if part.strip()]


def _seconds(value: Any) -> str:
    return "" if value is None else str(int(value))


def _origins(value: Any) -> set[str]:
    origins = {origin.rstrip("/").lower() for origin in _words(value)}
    if any("://" not in origin or "*" in origin for origin in origins - {"*", "null"}):
        raise ValueError  # no browser sends that
    return origins


def _statuses(value: Any) -> set[int]:
    if not isinstance(value, str | int):
        return {int(one) for one in value or ()}
    found: set[int] = set()
    for part in _words(str(value)):  # 500-599 or 500,502-504
        first, dash, last = part.partition("-")
        span = range(int(first), int(last if dash else first) + 1)
        if not span:
            raise ValueError
        found.update(span)
    return found


PARSERS = {
    "base_path": _path, "strip_stage": _truth, "cors_origins": _origins, "cors_methods": _words,
    "cors_headers": _words, "cors_credentials": _truth, "cors_max_age": _seconds, "error_status": _statuses,
    "debug": _truth,
}  # fmt: skip
ALIASES = {  # of serverless-wsgi and of the AWS Lambda Web Adapter
    "base_path": ("API_GATEWAY_BASE_PATH", "AWS_LWA_REMOVE_BASE_PATH"),
    "strip_stage": ("STRIP_STAGE_PATH",),
}


class Settings(SimpleNamespace):
    def __init__(self, given: dict[str, Any]) -> None:
        for name, parse in PARSERS.items():
            value = given.pop(name, None)
            variable = f"LAMBDA_WSGI_{name.upper()}"
            for known in (variable, *ALIASES.get(name, ())):
                value = os.environ.get(known) or None if value is None else value
            try:
                setattr(self, name, parse(value))
            except ValueError:
                raise ValueError(f"{name} ({variable}) cannot be {value!r}") from None
        if given:
            raise TypeError(f"no setting is called {', '.join(given)}")
        if "*" in self.cors_origins and self.cors_credentials:
            raise ValueError("cors_credentials with origins * would let every site act as the visitor")


class NotHTTP(ValueError):
    """No HTTP request, and no LAMBDA_WSGI_EVENT_HANDLER."""


class ErrorStatus(Exception):
    """The app's status is one of `error_status`."""


class LambdaWSGI:
    """A Lambda handler, and still the WSGI `app` for a server.  TypeError and ValueError are for bad settings.

    base_path, strip_stage, cors_origins, cors_methods, cors_headers, cors_credentials, cors_max_age, error_status
    and debug; each is LAMBDA_WSGI_<NAME> in the environment.
    """

    _prepared = False

    def __init__(self, app: Any, **settings: Any) -> None:
        self.app = app
        self.settings = Settings(settings)

    def __call__(self, event: Any, context: Any) -> Any:
        # The answer to an event, or the WSGI response to an environ.
        if isinstance(event, dict) and "wsgi.version" in event:
            return self.app(event, context)
        if not self._prepared:
            self.prepare()
        front = front_of(event)
        if not front:
            from lambda_wsgi._start import take

            return take(event, context)
        environ = environ_of(event, context, front, self.settings)
        made = self.serve(environ, front)
        errors = environ["lambda_wsgi.errors"]
        if made["statusCode"] in self.settings.error_status:
            from lambda_wsgi._errors import where

            raise errors.pop() if errors else ErrorStatus(f"{where(environ)} was answered with {made['statusCode']}")
        errors.clear()  # they refer to this environ
        return made

    def prepare(self, *, level: bool = True) -> None:
        from lambda_wsgi._start import set_level

        if level:
            set_level()
        flask = sys.modules.get("flask")
        if flask and isinstance(self.app, flask.Flask):
            from lambda_wsgi._errors import make_readable

            make_readable(self.app)
        self._prepared = True

    def serve(self, environ: dict[str, Any], front: str) -> dict[str, Any]:
        if environ["wsgi.input"] is None:
            from lambda_wsgi._errors import said

            return answer(front, environ, self.settings, *said("400 Bad Request", "the body is not base64", environ))
        try:
            response = preflight(environ, self.settings)
            if response is None:
                response = run(self.app, environ.copy())  # the app may change what is needed here
            return answer(front, environ, self.settings, *response)
        except BaseException as error:  # sys.exit() in a view would end the environment
            if not isinstance(error, Exception) and type(error).__name__ not in ("SystemExit", "CancelledError"):
                raise
            from lambda_wsgi._errors import answered, record

            record(error, environ)
            return answer(front, environ, self.settings, *answered(error, environ))


class _FlaskLambda:
    # FlaskLambda but for its base: takes what Flask takes, and settings.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        settings = {name: kwargs.pop(name) for name in PARSERS if name in kwargs}
        super().__init__(*args, **kwargs)
        self.lambda_wsgi = LambdaWSGI(self, **settings)

    def __call__(self, event: Any, context: Any) -> Any:
        local: Any = super()
        if isinstance(event, dict) and "wsgi.version" in event:
            return local.__call__(event, context)
        return self.lambda_wsgi(event, context)


def run(app: Any, environ: dict[str, Any]) -> Response:
    # PEP 3333.  Raises what the app raises.
    started: list[tuple[str, list[tuple[str, str]]]] = []
    chunks: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info:
            try:
                if any(chunks):  # the response has begun, and cannot be taken back
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # else a circle of references
        elif started:
            raise AssertionError("the app called start_response twice without exc_info")
        started[:] = [(status, headers)]
        return chunks.append

    body = app(environ, start_response)
    try:
        for chunk in body:
            if chunk and not started:
                raise AssertionError("the app did not call start_response before its body")
            chunks.append(chunk)
    finally:
        if hasattr(body, "close"):
            body.close()
    if not started:
        raise AssertionError("the app did not call start_response")
    return *started[0], b"".join(chunks)


_last: LambdaWSGI | None = None  # one, so that an app made for each request does not pile up


def handle_request(app: Any, event: dict[str, Any], context: Any) -> Any:
    """The answer of LambdaWSGI(app) to one event."""
    global _last
    last = _last
    if last is None or last.app is not app:
        _last = last = LambdaWSGI(app)
    return last(event, context)


def __getattr__(name: str) -> Any:
    # What imports the app, or Flask, does so when it is asked for; the runtime asks for its handler at init.
    if name == "handler":
        from lambda_wsgi._start import start

        return globals().setdefault(name, start())
    if name == "FlaskLambda":
        from flask import Flask

        return globals().setdefault(name, type(name, (_FlaskLambda, Flask), {}))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
