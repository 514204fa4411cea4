# Failures made readable: one record in the log, and an answer or an init error that says enough.

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from urllib.parse import quote

from lambda_wsgi._answer import TooLarge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lambda_wsgi import Response

HINTS = {  # text of an error: what to do
    "invalid ELF header": "It was built for another system than Linux",
    "cannot open shared object": "A library is missing, or is for another architecture than the function's",
    "GLIBC_": "It was built for a newer Linux than the runtime's",
    "partially initialized": "Modules import each other in a circle, or one has a package's name",
    "Read-only file system": "Only /tmp can be written in Lambda",
    "Permission denied": "Files in a layer or package must be readable by everybody (mode 0644)",
}
VARIABLES = (
    "LAMBDA_WSGI_APP", "FLASK_APP", "DJANGO_SETTINGS_MODULE", "LAMBDA_WSGI_EVENT_HANDLER", "LAMBDA_WSGI_LOG_LEVEL",
    "AWS_LAMBDA_LOG_LEVEL",
)  # fmt: skip
log = logging.getLogger("lambda_wsgi")


class StartFailed(RuntimeError):
    """The app could not be loaded.  No ImportError: the runtime prints those without their file and line."""


def said(status: str, message: str, environ: dict[str, Any], **more: Any) -> Response:
    # A response in JSON with the request's id.
    content = {"message": message, "requestId": environ.get("lambda.request_id"), **more}
    return status, [("Content-Type", "application/json")], json.dumps(content, default=str).encode()


def answered(error: BaseException, environ: dict[str, Any]) -> Response:
    # The JSON 500 of a request that failed; with `debug` also what happened.
    more: dict[str, Any] = {}
    if environ.get("lambda_wsgi.debug"):
        trace = "".join(traceback.format_exception(error)).splitlines()
        more = {"errorType": type(error).__name__, "errorMessage": text_of(error), "stackTrace": trace}
    text = str(error) if isinstance(error, TooLarge) else "Internal Server Error"
    return said("500 Internal Server Error", text, environ, **more)


def record(error: Any, environ: dict[str, Any]) -> None:
    # The one record of it.  No query, header or body stands in it: they hold what nobody may read in a log.
    if isinstance(error, Exception):
        environ.get("lambda_wsgi.errors", []).append(error)
    request_id = environ.get("lambda.request_id")
    text = f"{where(environ)} failed in request {request_id}: {type(error).__name__}: {text_of(error)}"
    method, path = where(environ).split(" ", 1)
    extra = {"method": method, "path": path, "request_id": request_id}
    try:
        log.error("%s", text, exc_info=error, extra=extra)
    except Exception:  # noqa: BLE001 - half a surrogate pair cannot be written
        log.error("%s", ascii(text), extra=extra)  # noqa: TRY400


def where(environ: dict[str, Any]) -> str:
    # Method and path; encoded, so that nobody writes lines into the log.
    return f"{environ['REQUEST_METHOD']} {quote((environ['SCRIPT_NAME'] + environ['PATH_INFO']).encode('latin-1'))}"


def text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001
        return "?"


def make_readable(app: Any) -> None:
    # A Flask app's failures become those of any app: one record with the request's id instead of Flask's, and the
    # JSON 500 where the app has no page of its own.  Signals, after_request functions and handlers are run as ever.
    from flask import Flask, request
    from werkzeug.exceptions import InternalServerError

    def internal_error(error: Any) -> Any:
        if error.original_exception is None:
            return error  # abort(500): meant
        _, headers, body = answered(error.original_exception, request.environ)
        return app.response_class(body, 500, headers)

    if getattr(app.log_exception, "__func__", None) is Flask.log_exception:
        app.log_exception = lambda info: record(info[1], request.environ)
    maps = [scope.get(code, {}) for scope in app.error_handler_spec.values() for code in (None, 500)]
    if not any(handlers.keys() & {*InternalServerError.__mro__} for handlers in maps):
        try:
            app.register_error_handler(500, internal_error)
        except AssertionError:  # the app has served a request before, and takes no more handlers
            return


def start_failed(error: BaseException, root: str) -> StartFailed:
    # One CRITICAL record, and the error to raise: type, text, file and line of the user's code, and a hint.
    texts, shown, hint = [], [], ""
    one: BaseException | None = error
    while one:  # then its cause, which the runtime does not print
        frames = traceback.extract_tb(one.__traceback__)
        hint = _hint(one, frames[-1].filename if frames else "") or hint
        if isinstance(one, SyntaxError) and one.filename:
            frames.append(traceback.FrameSummary(one.filename, one.lineno, "<module>"))
        users = [frame for frame in frames if frame.filename.startswith(f"{root}/")]
        place = f" ({users[-1].filename}:{users[-1].lineno})" if users else ""
        texts.append(f"{type(one).__name__}: {text_of(one)}{place}")
        shown += [f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in users]
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    if not shown:  # no code of the user's: what it was told by
        hint = hint or ", ".join([f"{name}={os.environ[name]}" for name in VARIABLES if os.environ.get(name)])
    text = f"The app could not be loaded. {', from '.join(texts)}. {hint}".rstrip(" .")
    file, _, line = (shown or [":0"])[-1].partition(" in ")[0].rpartition(":")
    extra = {"error_type": type(error).__name__, "error_message": text_of(error), "file": file, "line": int(line)}
    log.critical("%s", "\n  at ".join([text, *shown]), extra={**extra, "frames": shown, "hint": hint})
    return StartFailed(text)


def _hint(error: BaseException, file: str) -> str:
    # What to do, where the error is one of those that people meet on Lambda.
    if isinstance(error, ModuleNotFoundError) and error.name:
        if "PYTHONPATH" in os.environ and "/opt/python" not in sys.path:
            return "PYTHONPATH is set on this function, and then Lambda does not import from layers: remove it"
        return "Attach a layer that has it (flask-layer has Flask and Werkzeug), or add it to the function"
    if isinstance(error, KeyError) and file.endswith(("/os.py", "<frozen os>")):
        return f"Set the environment variable {error.args[0]} on the function"
    return next((hint for text, hint in HINTS.items() if text in text_of(error)), "")
