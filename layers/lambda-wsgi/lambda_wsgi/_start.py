# What happens at init: the app is found and imported, and what the first request needs is made ready.
# And the second door, for events that are no HTTP requests.

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module

from lambda_wsgi import LambdaWSGI, NotHTTP
from lambda_wsgi._environ import environ_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODULES = ("routes", "app", "application", "wsgi", "main", "server", "api", "lambda_function")
ATTRIBUTES = ("app", "application", "wsgi_app", "api", "routes", "create_app", "make_app")
VARARGS, COROUTINE = 0x04, 0x80  # of inspect, which costs 8 ms
KINDS = {  # a key that only an event of the kind has
    "methodArn": "an API Gateway authorizer", "routeArn": "an API Gateway authorizer", "detail-type": "EventBridge",
    "triggerSource": "Cognito", "awslogs": "CloudWatch Logs", "StackId": "CloudFormation",
    "requestContext": "a WebSocket API",
}  # fmt: skip


class AppNotFound(LookupError):
    """Nothing that was tried is a WSGI app."""


def start() -> LambdaWSGI:
    # The handler of the function's app.  Raises StartFailed for whatever goes wrong.
    root = os.environ.get("LAMBDA_TASK_ROOT") or os.getcwd()
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        set_level()  # before the app's modules log
        app = find_app(root)
        own = getattr(app, "lambda_wsgi", app)  # FlaskLambda's
        handler = own if isinstance(own, LambdaWSGI) else LambdaWSGI(app)
        handler.prepare()
        if spec := os.environ.get("LAMBDA_WSGI_EVENT_HANDLER"):
            named(spec)
        if request := os.environ.get("LAMBDA_WSGI_PRIME"):  # "GET /path"
            # what only a request imports or fills is there before the first real one
            method, _, path = request.strip().rpartition(" ")
            event = {"method": method or "GET", "raw_path": path}
            handler.serve(environ_of(event, None, "lattice", handler.settings), "lattice")
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            import random

            from snapshot_restore_py import register_after_restore

            register_after_restore(random.seed)  # or each copy of the snapshot draws the same numbers
    except (Exception, SystemExit) as error:  # noqa: BLE001 - all of it is told
        from lambda_wsgi._errors import start_failed

        raise start_failed(error, root) from None
    return handler


def set_level() -> None:
    # The runtime leaves the root logger at WARNING unless told otherwise, and app.logger.info() goes nowhere.
    name = os.environ.get("LAMBDA_WSGI_LOG_LEVEL") or os.environ.get("AWS_LAMBDA_LOG_LEVEL") or "INFO"
    logging.getLogger().setLevel("DEBUG" if name == "TRACE" else name.upper())


def find_app(root: str) -> Any:
    # Raises AppNotFound with all that was tried, and what the import of the function's modules raises.
    if spec := os.environ.get("LAMBDA_WSGI_APP") or os.environ.get("FLASK_APP"):
        app = app_of(named(spec), spec)
        if isinstance(app, str):
            raise AppNotFound(app)
        return app
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        from django.conf import settings
        from django.core.wsgi import get_wsgi_application
        from django.utils.module_loading import import_string

        return import_string(settings.WSGI_APPLICATION) if settings.WSGI_APPLICATION else get_wsgi_application()
    tried = ["LAMBDA_WSGI_APP, FLASK_APP and DJANGO_SETTINGS_MODULE are not set"]
    for name in MODULES:
        app = f"no {name}.py"
        if os.path.isfile(f"{root}/{name}.py") or os.path.isfile(f"{root}/{name}/__init__.py"):
            app = app_of(import_module(name), name)
        if not isinstance(app, str):
            return app
        tried.append(app)
    hint = "DJANGO_SETTINGS_MODULE" if os.path.isfile(f"{root}/manage.py") else "LAMBDA_WSGI_APP=module:app"
    raise AppNotFound(f"no WSGI app in {root} ({'; '.join(tried)}): set {hint}")


def named(spec: str) -> Any:
    # What `module:attribute`, `module:factory()` or `module` is; the module may be a path, as in FLASK_APP.
    path, _, expression = spec.strip().partition(":")
    folder, _, name = path.removesuffix(".py").rpartition("/")
    if folder and not os.path.isfile(f"{folder}/__init__.py"):
        sys.path.insert(0, os.path.abspath(folder))
    elif folder:
        name = f"{folder}/{name}".replace("/", ".")
    found: Any = import_module(name)
    dotted, call, arguments = expression.partition("(")
    for part in filter(None, dotted.split(".")):
        found = getattr(found, part)
    if not call:
        return found
    from ast import literal_eval

    return found(*literal_eval(f"[{arguments.strip().removesuffix(')')}]"))


def app_of(found: Any, where: str) -> Any:
    # The WSGI app that was found, or a str that says why it is none.  A factory is called, a Blueprint is put into an
    # app of its own, a module is looked through.
    if isinstance(found, type(os)):
        tried = []
        for name in ATTRIBUTES:
            if hasattr(found, name) and not isinstance(getattr(found, name), type(os)):
                app = app_of(getattr(found, name), f"{where}:{name}")
                if not isinstance(app, str):
                    return app
                tried.append(app)
        return "; ".join(tried) or f"{where} has none of {', '.join(ATTRIBUTES)}"
    function = found
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    if isinstance(function, type(app_of)) and not function.__code__.co_flags & VARARGS:
        code = function.__code__
        needed = code.co_argcount - len(function.__defaults__ or ())
        if needed == 0:
            found = found()
        elif needed != 2:
            return f"{where} takes {needed} arguments"
    flask = sys.modules.get("flask")
    if flask and isinstance(found, flask.Blueprint):
        app = flask.Flask(found.import_name)
        app.register_blueprint(found)
        return app
    if not callable(found):
        return f"{where} is no WSGI app, but {type(found).__name__}"
    called = getattr(found, "__code__", None) or getattr(type(found).__call__, "__code__", None)
    return f"{where} is an ASGI app, and this is for WSGI" if called and called.co_flags & COROUTINE else found


def take(event: Any, context: Any) -> Any:
    # What LAMBDA_WSGI_EVENT_HANDLER answers; {} to a warm-up.  Raises NotHTTP where there is no such handler.
    kind = f"a direct invocation with {type(event).__name__}"  # nothing of the event's content is said
    if isinstance(event, dict):
        if event.get("source") == "serverless-plugin-warmup" or True in (event.get("warmer"), event.get("warmup")):
            return {}
        records = event.get("Records") or [event]
        record = records[0] if isinstance(records, list) and isinstance(records[0], dict) else event
        source = record.get("eventSource") or record.get("EventSource")  # as SNS writes it
        source = source or next((kind for key, kind in KINDS.items() if key in event), None)
        kind = f"an event of {source}" if source else f"a direct invocation with {', '.join(map(str, event))}"
    if spec := os.environ.get("LAMBDA_WSGI_EVENT_HANDLER"):
        return named(spec)(event, context)
    raise NotHTTP(f"{kind} is no HTTP request: set LAMBDA_WSGI_EVENT_HANDLER=module:function to what takes it")
