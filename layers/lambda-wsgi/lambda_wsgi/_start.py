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
KINDS = {  # a key that only an event of the kind has
    "methodArn": "an API Gateway authorizer", "routeArn": "an API Gateway authorizer", "detail-type": "EventBridge",
    "triggerSource": "Cognito", "awslogs": "CloudWatch Logs", "StackId": "CloudFormation",
    "requestContext": "a WebSocket API",
}  # fmt: skip


class AppNotFound(LookupError):
    pass


def root() -> str:
    return os.environ.get("LAMBDA_TASK_ROOT") or os.getcwd()


def start() -> LambdaWSGI:
    if root() not in sys.path:
        sys.path.insert(0, root())
    try:
        set_level()  # before the app's modules log
        app = find_app()
        own = getattr(app, "lambda_wsgi", app)  # FlaskLambda's
        handler = own if isinstance(own, LambdaWSGI) else LambdaWSGI(app)
        handler.prepare(level=False)
        if os.environ.get("LAMBDA_WSGI_EVENT_HANDLER") and not callable(named("LAMBDA_WSGI_EVENT_HANDLER")):
            raise TypeError("the event handler is no function")
        if request := os.environ.get("LAMBDA_WSGI_PRIME"):  # "GET /path"
            # what only a request imports or fills is there before the first real one
            method, _, path = request.strip().rpartition(" ")
            event = {"method": method or "GET", "raw_path": path}
            handler.serve(environ_of(event, None, "lattice", handler.settings), "lattice")
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            import random

            from snapshot_restore_py import register_after_restore

            register_after_restore(random.seed)  # or each copy of the snapshot draws the same numbers
    except (Exception, SystemExit) as error:
        from lambda_wsgi._errors import start_failed

        raise start_failed(error, root()) from None
    return handler


def set_level() -> None:
    # The runtime leaves it at WARNING, and app.logger.info() goes nowhere; a level that the app has set stays
    log, name = logging.getLogger(), os.environ.get("LAMBDA_WSGI_LOG_LEVEL", "").upper()
    if name or log.level == logging.WARNING:
        name = name or os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper() or "INFO"
        log.setLevel("DEBUG" if name == "TRACE" else name)
    for handler in log.handlers:  # Django's records have the request, and the runtime would write it with its query
        handler.addFilter(without_request)


def without_request(record: Any) -> bool:
    if record.name.startswith("django"):
        record.__dict__.pop("request", None)
    return True


def find_app() -> Any:
    if variable := next((name for name in ("LAMBDA_WSGI_APP", "FLASK_APP") if os.environ.get(name)), ""):
        tried = [app_of(named(variable), os.environ[variable])]
    elif os.environ.get("DJANGO_SETTINGS_MODULE"):
        from django.conf import settings
        from django.core.wsgi import get_wsgi_application
        from django.utils.module_loading import import_string

        tried = [import_string(settings.WSGI_APPLICATION) if settings.WSGI_APPLICATION else get_wsgi_application()]
    else:
        tried = ["LAMBDA_WSGI_APP, FLASK_APP and DJANGO_SETTINGS_MODULE are not set"]
        for name in MODULES:
            if any(os.path.isfile(f"{root()}/{name}{end}") for end in (".py", "/__init__.py")):
                tried.append(app_of(import_module(name), name))
            else:
                tried.append(f"no {name}.py")
            if not isinstance(tried[-1], str):
                break
    if isinstance(tried[-1], str):
        hint = "DJANGO_SETTINGS_MODULE" if os.path.isfile(f"{root()}/manage.py") else "LAMBDA_WSGI_APP=module:app"
        raise AppNotFound(f"no WSGI app in {root()} ({'; '.join(tried)}): set {hint}")
    return tried[-1]


def named(variable: str) -> Any:
    # What `module:attribute`, `module:factory()` or `module` is; the module may be a path, as in FLASK_APP.
    name, _, expression = os.environ[variable].strip().partition(":")
    name = name.removesuffix(".py")
    if "/" in name:
        folder, name = os.path.split(os.path.join(root(), name))
        while os.path.isfile(f"{folder}/__init__.py"):
            folder, package = os.path.split(folder)
            name = f"{package}.{name}"
        if folder not in sys.path:
            sys.path.insert(0, folder)
    found: Any = import_module(name)
    if expression:
        import ast

        call: Any = ast.parse(expression.strip(), mode="eval").body
        for part in ast.unparse(getattr(call, "func", call)).split("."):
            found = getattr(found, part)
        if isinstance(call, ast.Call):
            keywords = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
            return found(*map(ast.literal_eval, call.args), **keywords)
    return found


def app_of(found: Any, where: str) -> Any:
    # The WSGI app, or a str: why it is none.
    flask: Any = sys.modules.get("flask")
    if isinstance(found, type(os)):
        flasks = [name for name, value in vars(found).items() if flask and issubclass(type(value), flask.Flask)]
        tried = []
        for name in (*ATTRIBUTES, *flasks):
            if name in vars(found):
                app = app_of(vars(found)[name], f"{where}:{name}")
                if not isinstance(app, str):
                    return app
                tried.append(app)
        return "; ".join(tried) or f"{where} has none of {', '.join(ATTRIBUTES)}"
    import inspect

    try:
        if flask and isinstance(found, flask.Flask):
            return found
        if flask and isinstance(found, flask.Blueprint):
            app = flask.Flask(found.import_name)
            app.register_blueprint(found)
            return app
        if not callable(found):
            return f"{where} is no WSGI app, but {type(found).__name__}"
        if inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(type(found).__call__):
            return f"{where} is an ASGI app, and this is for WSGI"
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError, RuntimeError) as error:  # a proxy of what is not there
        return f"{where} does not say what it is: {error}"
    needed = [one.kind for one in parameters if one.default is one.empty and one.kind != one.VAR_KEYWORD]
    if not needed:
        return app_of(found(), f"{where}()")
    return found if len(needed) == 2 or "VAR_POSITIONAL" in str(needed) else f"{where} takes {len(needed)} arguments"


def take(event: Any, context: Any) -> Any:
    kind = f"a direct invocation with {type(event).__name__}"  # nothing of the event's content is said
    if isinstance(event, dict):
        if event.get("source") == "serverless-plugin-warmup" or True in (event.get("warmer"), event.get("warmup")):
            return {}
        records = event.get("Records") or [event]
        record = records[0] if isinstance(records, list) and isinstance(records[0], dict) else event
        source = record.get("eventSource") or record.get("EventSource")  # as SNS writes it
        source = source or next((kind for key, kind in KINDS.items() if key in event), None)
        kind = f"an event of {source}" if source else f"a direct invocation with {', '.join(map(str, event))}"
    if os.environ.get("LAMBDA_WSGI_EVENT_HANDLER"):
        return named("LAMBDA_WSGI_EVENT_HANDLER")(event, context)
    raise NotHTTP(f"{kind} is no HTTP request: set LAMBDA_WSGI_EVENT_HANDLER=module:function to what takes it")
