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
    "partially initialized": "Modules import each other in a circle, or one has a package's name",
    "Read-only file system": "Only /tmp can be written in Lambda",
    "Permission denied": "Files in a layer or package must be readable by everybody (mode 0644)",
}
VARIABLES = (
    "LAMBDA_WSGI_APP", "FLASK_APP", "DJANGO_SETTINGS_MODULE", "LAMBDA_WSGI_EVENT_HANDLER", "LAMBDA_WSGI_LOG_LEVEL",
    "AWS_LAMBDA_LOG_LEVEL",
)  # fmt: skip
log = logging.getLogger("lambda_wsgi")


class StartFailed(RuntimeError):  # no ImportError: the runtime prints those without their file and line
    pass


def said(status: str, message: str, environ: dict[str, Any], **more: Any) -> Response:
    content = {"message": message, "requestId": environ.get("lambda.request_id"), **more}
    return status, [("Content-Type", "application/json")], json.dumps(content, default=str).encode()


def answered(error: BaseException, environ: dict[str, Any]) -> Response:
    more: dict[str, Any] = {}
    if environ.get("lambda_wsgi.debug"):
        trace = "".join(traceback.format_exception(error)).splitlines()
        more = {"stackTrace": trace}
    text = str(error) if isinstance(error, TooLarge) else "Internal Server Error"
    return said("500 Internal Server Error", text, environ, **more)


def record(error: Any, environ: dict[str, Any]) -> None:
    # No query, header or body: they hold what nobody may read in a log.
    if isinstance(error, Exception):
        environ.get("lambda_wsgi.errors", []).append(error)
    request_id, place = environ.get("lambda.request_id"), where(environ)
    text = f"{place} failed in request {request_id}: {text_of(error)}"
    method, _, path = place.partition(" ")
    extra = {"method": method, "path": path, "request_id": request_id}
    try:
        log.error("%s", text, exc_info=error, extra=extra)
    except Exception:  # half a surrogate pair cannot be written
        log.error("%s", ascii(text), extra=extra)


def where(environ: dict[str, Any]) -> str:
    # Method and path; encoded, so that nobody writes lines into the log.
    return f"{environ['REQUEST_METHOD']} {quote((environ['SCRIPT_NAME'] + environ['PATH_INFO']).encode('latin-1'))}"


def text_of(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def make_readable(app: Any) -> None:
    # A Flask app's failures: our record instead of Flask's, and our 500 where the app has no page of its own.
    # Signals, after_request functions and handlers are run as ever.
    from flask import Flask, request
    from werkzeug.exceptions import InternalServerError

    def internal_error(error: Any) -> Any:
        if error.original_exception is None:
            return error  # abort(500): meant
        _, headers, body = answered(error.original_exception, request.environ)
        return app.response_class(body, 500, headers)

    if getattr(app.log_exception, "__func__", None) is Flask.log_exception:
        app.log_exception = lambda info: record(info[1], request.environ)
    # a Blueprint's handler for 500 goes before ours, one for a class after it
    maps = [scope.get(None, {}) for scope in app.error_handler_spec.values()]
    maps.append(app.error_handler_spec[None].get(500, {}))
    if not any(handlers.keys() & {*InternalServerError.__mro__} for handlers in maps):
        try:
            app.register_error_handler(500, internal_error)
        except AssertionError:  # the app has served a request before, and takes no more handlers
            return


def start_failed(error: BaseException, root: str) -> StartFailed:
    texts: list[str] = []
    shown, hint, file, line = [], "", None, None
    one: BaseException | None = error
    while one is not None and len(texts) < 9:  # then its cause, which the runtime does not print; it can be its own
        frames = traceback.extract_tb(one.__traceback__)
        hint = _hint(one, frames[-1].filename if frames else "") or hint
        if isinstance(one, SyntaxError) and one.filename:
            frames.append(traceback.FrameSummary(one.filename, one.lineno, "<module>"))
        users = [frame for frame in frames if frame.filename.startswith(f"{root}/")]
        texts.append(text_of(one))
        if users:
            texts[-1] += f" ({users[-1].filename}:{users[-1].lineno})"
            file, line = file or users[-1].filename, line or users[-1].lineno
        shown += [f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in users]
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    if not shown:  # no code of the user's: what it was told by
        hint += "".join([f" {name}={os.environ[name]}" for name in VARIABLES if name in os.environ])
    text = f"The app could not be loaded. {', from '.join(texts)}. {hint}".rstrip(" .")
    extra = {
        "error_type": type(error).__name__, "error_message": text_of(error), "file": file, "line": line,
        "frames": shown, "hint": hint,
    }  # fmt: skip
    log.critical("%s", "\n  at ".join([text, *shown]), extra=extra)
    return StartFailed(text)


def _hint(error: BaseException, file: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        if "PYTHONPATH" in os.environ and "/opt/python" not in sys.path:
            return "PYTHONPATH is set on this function, and then Lambda does not import from layers: remove it"
        return "Attach a layer that has it (flask-layer has Flask and Werkzeug), or add it to the function"
    if isinstance(error, KeyError) and file.endswith(("/os.py", "<frozen os>")):
        return f"Set the environment variable {error.args[0]} on the function"
    return next((hint for text, hint in HINTS.items() if text in text_of(error)), "")
