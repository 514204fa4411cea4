"""Lambda WSGI adapter: any WSGI app behind any of Lambda's HTTP fronts.  Standard library only."""

# handler (also main.handler and wsgi_handler.handler)    finds the function's app and serves it
# LambdaWSGI(app, **settings)                             the same for an app that is given
# FlaskLambda(__name__, **settings)                       a Flask app that is the handler too
# handle_request(app, event, context)                     one request, as serverless_wsgi's function of that name
#
# Data flows one way: _environ (event -> environ), run (the app is called), _answer (response -> answer).  What not
# every request needs is imported when it is needed.  Only what users see has docstrings: bytecode holds them too.

from __future__ import annotations

import sys

from lambda_wsgi._answer import answer
from lambda_wsgi._environ import environ_of, front_of
from lambda_wsgi._settings import PARSERS, Settings, preflight

TYPE_CHECKING = False  # typing costs 5 ms of a cold start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    handler: LambdaWSGI
    FlaskLambda: type[Any]
    Response = tuple[str, list[tuple[str, str]], bytes]


class NotHTTP(ValueError):
    """The event is no HTTP request, and LAMBDA_WSGI_EVENT_HANDLER names nobody who takes it."""


class ErrorStatus(Exception):
    """The app answered with one of the statuses of `error_status`."""


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
        # The answer to an event, or the WSGI response to an environ.  Raises NotHTTP, what the event handler raises,
        # and for a status of `error_status` the app's own error or ErrorStatus.
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

    def prepare(self) -> None:
        # What is done once, before the first request.
        self._prepared = True
        from lambda_wsgi._start import set_level

        set_level()
        flask = sys.modules.get("flask")
        if flask and isinstance(self.app, flask.Flask):
            from lambda_wsgi._errors import make_readable

            make_readable(self.app)

    def serve(self, environ: dict[str, Any], front: str) -> dict[str, Any]:
        # The answer; a failure of the app is one as well.
        if environ["wsgi.input"] is None:
            from lambda_wsgi._errors import said

            text = "the body is not the base64 that the event says it is"
            return answer(front, environ, self.settings, *said("400 Bad Request", text, environ))
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
    """A Flask app (`flask run`, any WSGI server) that is the Lambda handler when it is called with event and context.

    Takes what Flask takes, and the settings of LambdaWSGI.
    """

    wsgi_app: Any  # Flask's

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        settings = {name: kwargs.pop(name) for name in PARSERS if name in kwargs}
        super().__init__(*args, **kwargs)
        self.lambda_wsgi = LambdaWSGI(self, **settings)

    def __call__(self, event: Any, context: Any) -> Any:
        if isinstance(event, dict) and "wsgi.version" in event:
            return self.wsgi_app(event, context)
        return self.lambda_wsgi(event, context)


def run(app: Any, environ: dict[str, Any]) -> Response:
    # Status, headers and whole body of the app's response (PEP 3333).  Raises what the app raises.
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
                raise AssertionError("the app gave a body before it called start_response")
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
