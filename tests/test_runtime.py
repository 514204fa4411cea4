"""The layers that `layerkit build` makes, in the real Lambda runtime client: from handler string and event on."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import runtime
from conftest import IMAGE, ROOT, absent
from layerkit import tars, uv
from layerkit.builders.engine import Engine
from layerkit.model import Interpreter
from runtime import ARN, LIMIT, TRACE, FunctionError, Lambda, Record, can_mount
from test_three_layers import clone, layerkit, unpack

pytestmark = pytest.mark.integration
CLIENT = ["awslambdaric==4.2.2", "snapshot-restore-py==1.0.0"]
Start = Callable[..., Lambda]


# --- the parts ----------------------------------------------------------------------------------------------


def installed(into: Path, requirements: list[str], *flags: str) -> Path:
    into.mkdir(exist_ok=True)
    uv.run(["pip", "install", "--quiet", "--target", str(into), *flags, *requirements], cwd=into)
    return into


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory, python312: Interpreter) -> Path:
    """/var/runtime: the runtime client for CPython 3.12 on this machine."""
    folder = tmp_path_factory.mktemp("runtime") / "runtime"
    installed(folder, CLIENT, "--python", str(python312.executable), "--compile-bytecode")
    (folder / "bootstrap.py").write_text(runtime.BOOTSTRAP)
    return folder


@pytest.fixture(scope="module")
def opt(tmp_path_factory: pytest.TempPathFactory, python312: Interpreter) -> Path:
    """The three layers, built and then unpacked as Lambda fills /opt: in their order, with the zips' modes."""
    project = clone(tmp_path_factory.mktemp("layers") / "clone")
    layerkit(project, "build", LAYERKIT_CACHE_DIR=str(project / "cache"))
    folder = project / "opt"
    folder.mkdir(mode=0o755)
    return unpack(project / "dist", folder)


@pytest.fixture
def start(client: Path, opt: Path, python312: Interpreter, tmp_path: Path) -> Iterator[Start]:
    """start({path: text}, handler, NAME=value) -> a function of these files, after its init."""
    assert python312.executable
    python = python312.executable
    with ExitStack() as stack:

        def begin(
            files: dict[str, str] | Path,
            handler: str = "main.handler",
            mounts: bool | None = None,
            **environment: str,
        ) -> Lambda:
            task = write(tmp_path / "task", files) if isinstance(files, dict) else files
            function = Lambda(
                python, runtime=client, opt=opt, task=task,
                handler=handler, environment=environment, mounts=mounts,
            )  # fmt: skip
            return stack.enter_context(function)

        yield begin


def write(task: Path, files: dict[str, str]) -> Path:
    """A function's files with the modes of a good deployment package."""
    for path, text in {"": "", **files}.items():
        place = task / path
        if not path:
            place.mkdir(exist_ok=True)
            continue
        for folder in reversed(place.relative_to(task).parents[:-1]):
            (task / folder).mkdir(exist_ok=True)
        place.write_text(dedent(text))
    for place in (task, *task.rglob("*")):
        place.chmod(0o755 if place.is_dir() else 0o644)
    return task


# --- events, as the documentation has them ------------------------------------------------------------------


def http_api(method: str = "GET", path: str = "/", query: str = "", **more: Any) -> dict[str, Any]:
    """Payload 2.0 of an HTTP API: `path` is decoded."""
    http = {
        "method": method, "path": path, "protocol": "HTTP/1.1",
        "sourceIp": "203.0.113.9", "userAgent": "curl/8",
    }  # fmt: skip
    domain = "abc123.execute-api.us-east-1.amazonaws.com"
    headers = {
        "accept": "*/*", "host": domain, "user-agent": "curl/8", "x-forwarded-for": "203.0.113.9",
        "x-forwarded-port": "443", "x-forwarded-proto": "https",
    }  # fmt: skip
    event = {
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc123", "domainName": domain, "domainPrefix": "abc123",
            "http": http, "requestId": "fRoNt-ReQuEsT-iD=", "routeKey": "$default", "stage": "$default",
            "time": "12/Mar/2026:19:03:58 +0000", "timeEpoch": 1773342238000,
        },
        "isBase64Encoded": False,
    }  # fmt: skip
    return event | more | {"headers": headers | more.get("headers", {})}


def rest_api(method: str, path: str) -> dict[str, Any]:
    """Payload 1.0 of a REST API with the resource /{proxy+}: `path` is encoded."""
    headers = {"Host": "abc123.execute-api.us-east-1.amazonaws.com", "X-Forwarded-Proto": "https"}
    return {
        "resource": "/{proxy+}", "path": path, "httpMethod": method, "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None, "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.strip("/")}, "stageVariables": None, "body": None,
        "isBase64Encoded": False,
        "requestContext": {
            "resourcePath": "/{proxy+}", "httpMethod": method, "path": f"/prod{path}", "protocol": "HTTP/1.1",
            "stage": "prod", "domainName": headers["Host"], "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "identity": {"sourceIp": "203.0.113.9", "userAgent": "curl/8"}, "apiId": "abc123",
        },
    }  # fmt: skip


SQS = {
    "Records": [
        {
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d", "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCg",
            "body": "S3CRET-body", "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3", "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:jobs", "awsRegion": "us-east-1",
        }
    ]
}  # fmt: skip


def told(function: Lambda, *levels: str) -> list[Record]:
    return [record for record in function.records if record.level in levels]


# --- the harness --------------------------------------------------------------------------------------------

PROBE = """
    import os, sys
    def handler(event, context):
        def writable(place):
            try:
                open(place + "/x", "w").close()
            except OSError:
                return False
            return True
        if "write" in event:
            return {place: writable(place) for place in event["write"]}
        print("past logging")
        return {
            "path": sys.path, "cwd": os.getcwd(), "uid": os.getuid(), "pid": os.getpid(), "event": event,
            "id": context.aws_request_id, "arn": context.invoked_function_arn, "name": context.function_name,
            "left": context.get_remaining_time_in_millis() > 0, "trace": os.environ["_X_AMZN_TRACE_ID"],
            "opt": sorted(os.listdir("/opt")), "children": os.environ["PYTHONPATH"],
        }
"""


def test_all_is_as_on_lambda(start: Start, tmp_path: Path) -> None:
    """Import path as measured there; /opt and /var/task read-only; and nothing is left on this machine."""
    if not can_mount():
        absent("root", "mounts need root")
    before = Path("/proc/self/mountinfo").read_text(), sorted(Path("/opt").iterdir())
    task = write(tmp_path / "probe", {"probe.py": PROBE})
    function = start(task, "probe.handler")
    assert function.calls == ["invocation/next"]
    found = function.invoke({"é": [1.5, None]}, request_id="8476a536", trace="Root=1-2-3")
    assert found["path"][:4] == [
        "/var/task", "/opt/python/lib/python3.12/site-packages", "/opt/python", "/var/runtime"
    ]  # fmt: skip
    assert not [place for place in found["path"] if "site-packages" in place and not place.startswith("/opt/")]
    assert (found["cwd"], found["uid"], found["opt"]) == ("/var/task", 993, ["python"])
    assert (found["id"], found["arn"], found["name"], found["left"]) == ("8476a536", ARN, "demo", True)
    assert (found["trace"], found["event"], found["children"]) == ("Root=1-2-3", {"é": [1.5, None]}, "/var/runtime")
    places = {place: place == "/tmp" for place in ("/opt", "/opt/python", "/var/task", "/var/runtime", "/tmp")}
    assert function.invoke({"write": list(places)}) == places
    assert found["pid"] == function.process.pid
    function.__exit__()
    assert function.output == "past logging\n"
    assert not Path(f"/proc/{found['pid']}").exists()
    assert not Path("/tmp/x").exists()
    assert (Path("/proc/self/mountinfo").read_text(), sorted(Path("/opt").iterdir())) == before


def test_what_the_client_reports(start: Start) -> None:
    text = """
        import os, sys, logging
        def handler(event, context):
            logging.getLogger().error("two\\nlines")
            if event == "exit":
                os._exit(3)
            if event == "large":
                return "x" * 6_291_555
            raise LookupError("no " + event)
    """
    function = start({"broken.py": text}, "broken.handler")
    with pytest.raises(FunctionError) as failed:
        function.invoke("luck")
    assert (failed.value.type, failed.value.message) == ("LookupError", "no luck")
    assert f'"{function.task_root}/broken.py", line 9, in handler' in failed.value.trace
    assert [record.level for record in function.records] == ["ERROR", "ERROR"]
    assert function.records[0].text.endswith("\ttwo\nlines\n")
    with pytest.raises(FunctionError, match=r"Function\.ResponseSizeTooLarge"):
        function.invoke("large")
    function = start({"broken.py": text}, "broken.handler")
    with pytest.raises(FunctionError, match=r"exit status 3"):
        function.invoke("exit")


def test_an_init_that_fails(start: Start) -> None:
    function = start({"broken.py": "import nowhere\n"}, "broken.handler")
    assert function.error
    assert function.error.type == "Runtime.ImportModuleError"
    assert (function.calls, function.exit_code) == (["init/error", "exit"], 1)


def test_pythonpath_switches_layers_off(start: Start) -> None:
    function = start({"routes.py": BLUEPRINT}, PYTHONPATH="/var/task/lib")
    assert function.error
    assert function.error.message == "Unable to import module 'main': No module named 'main'"


def test_folders_do_without_root(start: Start) -> None:
    function = start({"routes.py": BLUEPRINT}, mounts=False)
    assert json.loads(function.invoke(http_api(path="/users/x"))["body"])["name"] == "x"
    assert function.task_root == function.task


# --- doors --------------------------------------------------------------------------------------------------

APP = """
from flask import Flask, request
app = Flask(__name__)
@app.get("/users/<name>")
def user(name):
    return {"name": name, "url": request.url}
"""
BLUEPRINT = (
    APP.replace("import Flask", "import Blueprint").replace("Flask(", "Blueprint('p', ").replace("app", "routes")
)
FACTORY = """
def create_app():
    from views import app
    return app
"""
FLASK_LAMBDA = """
from flask import request
from lambda_wsgi import FlaskLambda
app = FlaskLambda(__name__)
""" + APP.partition("(__name__)")[2]
WRAPPED = """
from lambda_wsgi import LambdaWSGI
from app import app
handler = LambdaWSGI(app)
"""
IMPORTED = """
from lambda_wsgi import handle_request
from app import app
def lambda_handler(event, context):
    return handle_request(app, event, context)
"""
ASSEMBLED = """
from flask import Flask
from pages.users import routes
site = Flask("site")
site.register_blueprint(routes)
"""
PLAIN = """
import json
from wsgiref.util import request_uri
def application(environ, start_response):
    found = environ["PATH_INFO"].startswith("/users/")
    start_response("200 OK" if found else "404 Not Found", [("Content-Type", "application/json")])
    name = environ["PATH_INFO"].removeprefix("/users/").encode("latin-1").decode()
    yield json.dumps({"name": name, "url": request_uri(environ)}).encode()
"""
BROKEN = "1 / 0\n"


@dataclass(frozen=True)
class Door:
    name: str
    files: dict[str, str]
    handler: str = "main.handler"
    environment: dict[str, str] = field(default_factory=dict)


DOORS = [
    Door("blueprint", {"routes.py": BLUEPRINT}),
    Door("app", {"app.py": APP}),
    Door("factory", {"app.py": FACTORY, "views.py": APP}),
    Door("package", {"app/__init__.py": "from .views import app\n", "app/views.py": APP}),
    Door("any-wsgi", {"wsgi.py": PLAIN}),
    Door("flask-app", {"web.py": APP, "app.py": BROKEN}, environment={"FLASK_APP": "web.py"}),
    Door("flask-app-object", {"web.py": APP.replace("app", "site")}, environment={"FLASK_APP": "web:site"}),
    Door(
        "named-factory",
        {"shop/__init__.py": "", "shop/web.py": FACTORY, "views.py": APP, "app.py": BROKEN},
        environment={"LAMBDA_WSGI_APP": "shop.web:create_app()", "FLASK_APP": "app"},
    ),
    Door(
        "named-app",
        {"pages/users.py": BLUEPRINT, "site_app.py": ASSEMBLED, "routes.py": BROKEN},
        environment={"LAMBDA_WSGI_APP": "site_app:site"},
    ),
    Door("wsgi_handler", {"app.py": APP}, "wsgi_handler.handler"),
    Door("lambda_wsgi", {"app.py": APP}, "lambda_wsgi.handler"),
    Door("own-main", {"main.py": APP}, "wsgi_handler.handler"),  # it hides the layer's
    Door("handle_request", {"lambda_function.py": IMPORTED, "app.py": APP}, "lambda_function.lambda_handler"),
    Door("FlaskLambda", {"api.py": FLASK_LAMBDA}, "api.app"),
    Door("FlaskLambda-found", {"api.py": FLASK_LAMBDA}),
    Door("LambdaWSGI", {"entry.py": WRAPPED, "app.py": APP}, "entry.handler"),
    Door("in-a-folder", {"src/entry.py": WRAPPED, "app.py": APP}, "src/entry.handler"),
]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_doors(start: Start, door: Door) -> None:
    """One function, two fronts: what was asked for is what the app sees, its own address included."""
    function = start(door.files, door.handler, **door.environment)
    assert function.error is None
    host = "https://abc123.execute-api.us-east-1.amazonaws.com"
    for event, address in (
        (http_api(path="/users/José"), f"{host}/users/Jos"),
        (rest_api("GET", "/users/Jos%C3%A9"), f"{host}/prod/users/Jos"),
    ):
        answer = function.invoke(event)
        assert answer["statusCode"] == 200
        found = json.loads(answer["body"])
        assert found["name"] == "José"
        assert found["url"].startswith(address)
    assert function.invoke(http_api(path="/nothing"))["statusCode"] == 404
    assert not told(function, "ERROR", "CRITICAL")


def hello() -> dict[str, str]:
    return {path.name: path.read_text() for path in (ROOT / "examples/hello/src").glob("*.py")}


def test_the_example_with_serverless_wsgi(start: Start) -> None:
    answer = start(hello(), "lambda_function.lambda_handler").invoke(http_api())
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"message": "Hello from Flask on Lambda"})


@pytest.fixture(scope="module")
def django(tmp_path_factory: pytest.TempPathFactory, python312: Interpreter) -> Path:
    """A task folder with Django and a project in it."""
    task = tmp_path_factory.mktemp("django") / "task"
    installed(task, ["django>=5.2,<7"], "--python", str(python312.executable))
    files = {
        "site_of_mine/settings.py": """
            SECRET_KEY, ALLOWED_HOSTS, ROOT_URLCONF = "x", ["*"], "site_of_mine.urls"
            WSGI_APPLICATION = "site_of_mine.wsgi.application"
        """,
        "site_of_mine/wsgi.py": """
            import os
            from django.core.wsgi import get_wsgi_application
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_of_mine.settings")
            application = get_wsgi_application()
        """,
        "site_of_mine/urls.py": """
            import logging
            from django.core.signals import request_finished
            from django.http import JsonResponse
            from django.urls import path
            finished = []
            request_finished.connect(lambda **more: finished.append(1), weak=False)
            def user(request, name):
                logging.getLogger("shop").info("seen %s", name)
                return JsonResponse({"name": name, "url": request.build_absolute_uri(), "before": len(finished)})
            def fail(request):
                raise ValueError("boom")
            urlpatterns = [path("users/<name>", user), path("fail", fail)]
        """,
        "entry.py": """
            from lambda_wsgi import LambdaWSGI
            from site_of_mine.wsgi import application
            handler = LambdaWSGI(application)
        """,
    }  # fmt: skip
    return write(task, files)


@pytest.mark.parametrize(
    ("handler", "environment"),
    [("main.handler", {"DJANGO_SETTINGS_MODULE": "site_of_mine.settings"}), ("entry.handler", {})],
)
def test_django(start: Start, django: Path, handler: str, environment: dict[str, str]) -> None:
    function = start(django, handler, **environment)
    for before, event in enumerate([http_api(path="/users/José"), rest_api("GET", "/users/Jos%C3%A9")]):
        found = json.loads(function.invoke(event)["body"])
        assert (found["name"], found["before"]) == ("José", before)
        assert found["url"].endswith("/users/Jos%C3%A9")
    assert "seen José" in function.log
    assert function.invoke(http_api(path="/fail"))["statusCode"] == 500
    [record] = told(function, "ERROR", "CRITICAL")
    assert "/fail" in record.text
    assert "ValueError: boom" in record.text


# --- events that are no requests ----------------------------------------------------------------------------

JOBS = "def take(event, context):\n    return [event['Records'][0]['eventSource'], context.aws_request_id]\n"


def test_the_second_door(start: Start) -> None:
    files = {"app.py": APP, "jobs/__init__.py": "", "jobs/queue.py": JOBS}
    function = start(files, LAMBDA_WSGI_EVENT_HANDLER="jobs.queue:take")
    assert function.invoke(SQS, request_id="8476a536") == ["aws:sqs", "8476a536"]
    assert function.invoke(http_api(path="/users/x"))["statusCode"] == 200
    assert function.invoke({"source": "serverless-plugin-warmup"}) == {}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (SQS, "sqs"),
        ({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {"x": "S3CRET-body"}}, "eventbridge"),
        ({"type": "TOKEN", "authorizationToken": "S3CRET", "methodArn": "arn:aws:execute-api:::x"}, "authorizer"),
        ({"password": "S3CRET"}, "direct"),
    ],
    ids=lambda value: value if isinstance(value, str) else "event",
)
def test_without_a_second_door(start: Start, event: dict[str, Any], kind: str) -> None:
    function = start({"app.py": APP})
    with pytest.raises(FunctionError) as failed:
        function.invoke(event)
    assert failed.value.type == "NotHTTP"
    assert kind in failed.value.message.lower()
    assert "LAMBDA_WSGI_EVENT_HANDLER" in failed.value.message
    assert "S3CRET" not in function.log + failed.value.message
    for warm_up in ({"source": "serverless-plugin-warmup"}, {"warmer": True, "concurrency": 3}, {"warmup": True}):
        assert function.invoke(warm_up) == {}


def test_a_second_door_that_is_not_there(start: Start) -> None:
    function = start({"app.py": APP}, LAMBDA_WSGI_EVENT_HANDLER="jobs:take")
    assert function.error
    assert "jobs" in function.error.message


# --- what cannot be imported --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bad:
    name: str
    files: dict[str, str]
    type: str
    text: str
    where: str = ""
    hint: str = ""
    environment: dict[str, str] = field(default_factory=dict)


BAD = [
    Bad(
        "missing", {"routes.py": "import flask\nimport reqests\n"},
        "ModuleNotFoundError", "No module named 'reqests'", "routes.py:2", "Attach a layer",
    ),
    Bad(
        "missing-deeper", {"routes.py": "from parts import a\n", "parts/a.py": "\nimport yaml.x\n"},
        "ModuleNotFoundError", "No module named 'yaml'", "parts/a.py:2", "Attach a layer",
    ),
    Bad(
        "missing-name", {"routes.py": "from flask import Flsk\n"},
        "ImportError", "cannot import name 'Flsk'", "routes.py:1",
    ),
    Bad(
        "circle", {"routes.py": "from views import v\n", "views.py": "from routes import app\n"},
        "ImportError", "cannot import name 'app'", "views.py:1", "circle",
    ),
    Bad(
        "syntax", {"routes.py": "x = 1\ndef f(:\n    pass\n"},
        "SyntaxError", "invalid syntax", "routes.py:2",
    ),
    Bad(
        "variable", {"app.py": "import os\n\nTABLE = os.environ['TABLE_NAME']\n"},
        "KeyError", "TABLE_NAME", "app.py:3", "Set the environment variable TABLE_NAME",
    ),
    Bad(
        "exception", {"app.py": "def connect():\n    raise OSError('no route')\n\nconnect()\n"},
        "OSError", "no route", "app.py:2",
    ),
    Bad(
        "exit", {"routes.py": "import sys\nsys.exit('no configuration')\n"},
        "SystemExit", "no configuration", "routes.py:2",
    ),
    Bad(
        "in-factory", {"app.py": "def create_app():\n    return 1 / 0\n"},
        "ZeroDivisionError", "division by zero", "app.py:2",
    ),
    Bad(
        "in-a-package", {"app.py": "import json\n\nCONFIG = json.loads('{')\n"},
        "JSONDecodeError", "Expecting property name", "app.py:3",
    ),
    Bad(
        "read-only", {"app.py": "open('/var/task/state.json', 'w')\n"},
        "OSError", "Read-only file system", "app.py:1", "/tmp",
    ),
    Bad(
        "no-app", {"app.py": "x = 1\n", "api.py": "app = 1\n"},
        "AppNotFound", "DJANGO_SETTINGS_MODULE", hint="LAMBDA_WSGI_APP",
    ),
    Bad("no-files", {"README.txt": "x"}, "AppNotFound", "app.py", hint="LAMBDA_WSGI_APP"),
    Bad(
        "no-attribute", {"web.py": "x = 1\n"},
        "Error", "'site'", hint="web", environment={"LAMBDA_WSGI_APP": "web:site"},
    ),
    Bad(
        "no-module", {"web.py": "x = 1\n"},
        "ModuleNotFoundError", "No module named 'wed'", environment={"LAMBDA_WSGI_APP": "wed:app"},
    ),
    Bad("asgi", {"app.py": "async def app(scope, receive, send): ...\n"}, "AppNotFound", "app:app"),
    Bad(
        "cause", {"app.py": "import db\n", "db.py": "try:\n    import psycopg9\nexcept ImportError as error:\n"
        "    raise RuntimeError('no database') from error\n"},
        "RuntimeError", "no database", "db.py:4", "No module named 'psycopg9'",
    ),
    Bad(
        "level", {"app.py": APP},
        "ValueError", "LAMBDA_WSGI_LOG_LEVEL", environment={"LAMBDA_WSGI_LOG_LEVEL": "VERBOSE"},
    ),
    Bad(
        "setting", {"app.py": APP}, "ValueError", "LAMBDA_WSGI_ERROR_STATUS",
        environment={"LAMBDA_WSGI_ERROR_STATUS": "5xx"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("form", ["Text", "JSON"])
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_an_app_that_cannot_be_loaded(start: Start, bad: Bad, form: str) -> None:
    """One CRITICAL record says it all, and so does the init's error, which is none that the runtime shortens."""
    if bad.name == "read-only" and not can_mount():
        absent("root", "mounts need root")
    function = start(bad.files, AWS_LAMBDA_LOG_FORMAT=form, **bad.environment)
    assert function.error
    assert function.error.type == "StartFailed"
    assert not function.error.type.startswith("Runtime.")
    [record] = told(function, "CRITICAL")
    where = str(function.task_root / bad.where) if bad.where else ""
    for text in (function.error.message, record.text):
        for part in (bad.type, bad.text, where, bad.hint):
            assert part in text
    assert function.exit_code == 1
    assert function.output == ""
    if form == "JSON" and where:
        assert f"{record.fields['file']}:{record.fields['line']}" == where
        assert any(where in frame for frame in record.fields["frames"])
        assert (record.fields["error_type"], bad.text in record.fields["error_message"]) == (bad.type, True)


def test_files_that_only_their_owner_reads(start: Start, tmp_path: Path) -> None:
    if not can_mount():
        absent("root", "another user needs root")
    task = write(tmp_path / "task", {"routes.py": BLUEPRINT})
    (task / "routes.py").chmod(0o600)
    function = start(task)
    assert function.error
    assert "PermissionError" in function.error.message
    assert "0644" in function.error.message


# --- requests that fail -------------------------------------------------------------------------------------

SECRETS = {
    "body": "S3CRET-body", "cookie": "S3CRET-cookie", "authorization": "S3CRET-bearer", "query": "S3CRET-query",
    "key": "S3CRET-key",
}  # fmt: skip


def secretive(method: str = "POST", path: str = "/fail", **more: Any) -> dict[str, Any]:
    headers = {
        "authorization": f"Bearer {SECRETS['authorization']}", "content-type": "application/json",
        "x-api-key": SECRETS["key"],
    }  # fmt: skip
    given = {"body": json.dumps({"password": SECRETS["body"]}), "cookies": [f"session={SECRETS['cookie']}"]}
    event = http_api(method, path, f"token={SECRETS['query']}", headers=headers)
    event["requestContext"]["authorizer"] = {"jwt": {"claims": {"sub": SECRETS["authorization"]}, "scopes": None}}
    return event | given | more


FAILING = """
import random
from flask import Flask, request, session, abort, Response
app = Flask(__name__)
@app.route("/fail", methods=["GET", "POST"])
def fail():
    form, token, cookie = request.get_json(silent=True), request.args.get("token"), request.cookies.get("session")
    raise ValueError("boom")
@app.route("/key", methods=["POST"])
def key():
    return request.form["missing"]
@app.route("/exit", methods=["POST"])
def leave():
    raise SystemExit(4)
@app.route("/503", methods=["POST"])
def busy():
    return "busy", 503
@app.route("/break", methods=["POST"])
def break_off():
    def parts():
        yield "x"
        raise ValueError("boom")
    return Response(parts())
@app.route("/large", methods=["GET", "POST"])
def large():
    return "x" * request.args.get("size", 7_000_000, int), {"Content-Type": "text/plain"}
"""
FAILING_PLAIN = """
def application(environ, start_response):
    environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/header":
        start_response("200 OK", [("X-Mine", "a\\r\\nSet-Cookie: S3CRET-key")])
        return [b"x"]
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/body":
        return ["text", b"x"]
    if environ["PATH_INFO"] == "/nothing":
        return None
    raise ValueError("boom")
"""


def silent(function: Lambda) -> None:
    for name, secret in SECRETS.items():
        assert secret not in function.log, name


@pytest.mark.parametrize("form", ["Text", "JSON"])
@pytest.mark.parametrize(
    ("path", "kind", "line"),
    [
        ("/fail", "ValueError", 8),
        ("/break", "ValueError", 22),
        ("/exit", "SystemExit", 14),
        ("/large", "TooLarge", 0),
    ],
)
def test_a_request_that_fails(start: Start, form: str, path: str, kind: str, line: int) -> None:
    function = start({"app.py": FAILING}, AWS_LAMBDA_LOG_FORMAT=form)
    answer = function.invoke(secretive(path=path), request_id="8476a536-e9f4-11e8-9739-2dfe598c3fcd")
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (500, "application/json")
    body = json.loads(answer["body"])
    assert body["requestId"] == "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    assert set(body) == {"message", "requestId"}
    assert body["message"] == "Internal Server Error" or kind == "TooLarge"
    [record] = told(function, "ERROR", "CRITICAL")
    for part in ("8476a536-e9f4-11e8-9739-2dfe598c3fcd", "POST", path, kind):
        assert part in record.text
    if line:
        assert f'{function.task_root}/app.py", line {line}' in "".join(record.fields.get("stackTrace", [record.text]))
    silent(function)
    assert function.output == ""
    assert function.invoke(http_api(path="/nothing"))["statusCode"] == 404  # it lives on


@pytest.mark.parametrize("form", ["Text", "JSON"])
def test_django_fails(start: Start, django: Path, form: str) -> None:
    """In one record of Django's own, without the request that it gives its records: JSON would write the query."""
    function = start(django, DJANGO_SETTINGS_MODULE="site_of_mine.settings", AWS_LAMBDA_LOG_FORMAT=form)
    assert function.invoke(secretive("GET"))["statusCode"] == 500
    assert function.invoke(secretive("GET", "/nothing"))["statusCode"] == 404
    assert len(told(function, "ERROR", "CRITICAL")) == 1
    silent(function)


@pytest.mark.parametrize(
    ("path", "said"),
    [("/fail", "ValueError: boom"), ("/header", "'X-Mine'"), ("/body", "TypeError"), ("/nothing", "TypeError")],
)
def test_any_wsgi_app_that_fails(start: Start, path: str, said: str) -> None:
    function = start({"wsgi.py": FAILING_PLAIN})
    answer = function.invoke(secretive(path=path), request_id="8476a536")
    assert (answer["statusCode"], json.loads(answer["body"])["requestId"]) == (500, "8476a536")
    [record] = told(function, "ERROR", "CRITICAL")
    for part in ("8476a536", "POST", path, said):
        assert part in record.text
    silent(function)


def test_an_apps_own_page_of_errors(start: Start) -> None:
    own = "@app.errorhandler(500)\ndef sorry(error):\n    return 'Sorry', 500\n"
    function = start({"app.py": FAILING + own})
    assert function.invoke(secretive())["body"] == "Sorry"
    assert len(told(function, "ERROR", "CRITICAL")) == 1
    silent(function)


@pytest.mark.parametrize("form", ["Text", "JSON"])
@pytest.mark.parametrize("path", ["/mirror", "/quote"])
def test_text_that_is_no_unicode(start: Start, path: str, form: str) -> None:
    """JSON's \\ud800 is a character for Python and none for UTF-8, in which the client writes answers and logs."""
    app = """
        from flask import Flask, Response, request
        app = Flask(__name__)
        @app.post("/mirror")
        def mirror():
            return Response("x", headers={"X-Given": request.get_json()["text"]})
        @app.post("/quote")
        def quote():
            raise ValueError("cannot use " + request.get_json()["text"])
    """
    function = start({"app.py": app}, AWS_LAMBDA_LOG_FORMAT=form)
    json_type = {"content-type": "application/json"}
    answer = function.invoke(http_api("POST", path, headers=json_type, body='{"text": "\\ud800"}'))
    assert answer["statusCode"] in (200, 500)
    assert len(told(function, "ERROR", "CRITICAL")) == (answer["statusCode"] == 500)
    if path == "/quote":
        [record] = told(function, "ERROR")
        assert "POST /quote" in record.text
        assert "cannot use " in record.text
    assert function.invoke(http_api(path="/nothing"))["statusCode"] == 404


def test_any_bytes(start: Start) -> None:
    """As they went in, through the client's JSON twice."""
    app = """
        from flask import Flask, Response, request
        app = Flask(__name__)
        @app.post("/<path:given>")
        def mirror(given):
            told = {"X-Path": request.environ["PATH_INFO"], "X-Query": request.environ["QUERY_STRING"]}
            told["X-Given"] = request.headers["X-Given"]
            return Response(request.get_data(), headers=told, content_type="image/png")
    """
    function = start({"app.py": app})
    every = bytes(range(256))
    event = http_api(
        "POST",
        "/é/日本/𝄞",
        "a=%FF&b=é",
        headers={"x-given": "ça"},
        body=b64encode(every).decode(),
        isBase64Encoded=True,
    )
    answer = function.invoke(event)
    assert (answer["isBase64Encoded"], b64decode(answer["body"])) == (True, every)
    found = [answer["headers"][name] for name in ("X-Path", "X-Query", "X-Given")]
    assert found == ["/é/日本/𝄞", "a=%FF&b=é", "ça"]


def test_a_request_that_is_refused(start: Start) -> None:
    """Bad base64, and Flask's own 400: the client's mistakes are no errors of the function."""
    function = start({"app.py": FAILING})
    answer = function.invoke(secretive(body="S3CRET-body!", isBase64Encoded=True))
    assert (answer["statusCode"], "base64" in json.loads(answer["body"])["message"]) == (400, True)
    answer = function.invoke(secretive(path="/key", headers={"content-type": "application/x-www-form-urlencoded"}))
    assert answer["statusCode"] == 400
    assert not told(function, "ERROR", "CRITICAL")
    silent(function)


@pytest.mark.parametrize("files", [{"app.py": FAILING}, {"wsgi.py": FAILING_PLAIN}], ids=["flask", "wsgi"])
def test_debug_shows_the_traceback(start: Start, files: dict[str, str]) -> None:
    function = start(files, LAMBDA_WSGI_DEBUG="1")
    body = json.loads(function.invoke(secretive(), request_id="8476a536")["body"])
    assert (body["stackTrace"][-1], body["requestId"]) == ("ValueError: boom", "8476a536")
    assert any(f'"{function.task_root}/' in line for line in body["stackTrace"])
    assert len(told(function, "ERROR", "CRITICAL")) == 1
    silent(function)


def test_statuses_that_fail_the_invocation(start: Start) -> None:
    """The Errors metric moves: with type and place of what was raised; with the status of a plain answer."""
    function = start({"app.py": FAILING}, LAMBDA_WSGI_ERROR_STATUS="500-599")
    with pytest.raises(FunctionError) as failed:
        function.invoke(secretive())
    assert (failed.value.type, failed.value.message) == ("ValueError", "boom")
    assert 'app.py", line 8' in failed.value.trace
    assert (
        len([record for record in function.records if record.text.startswith("[ERROR]\t")]) == 1
    )  # and the runtime's
    with pytest.raises(FunctionError) as failed:
        function.invoke(secretive(path="/503"))
    assert "503" in failed.value.message
    assert failed.value.type == "ErrorStatus"
    assert function.invoke(http_api(path="/nothing"))["statusCode"] == 404
    silent(function)


@pytest.mark.parametrize("handler", ["api.app", "main.handler"])
def test_settings_in_code(start: Start, handler: str) -> None:
    """They win over the environment, also where the app is found."""
    app = FLASK_LAMBDA.replace("__name__", "__name__, error_status='404'")
    function = start({"api.py": app}, handler, LAMBDA_WSGI_ERROR_STATUS="200")
    assert function.invoke(http_api(path="/users/x"))["statusCode"] == 200
    with pytest.raises(FunctionError, match="ErrorStatus"):
        function.invoke(http_api(path="/nothing"))


def test_errors_have_the_headers_of_cors(start: Start) -> None:
    function = start({"app.py": FAILING}, LAMBDA_WSGI_CORS_ORIGINS="https://shop.example.com")
    origin = {"origin": "https://shop.example.com"}
    answer = function.invoke(http_api("OPTIONS", "/fail", headers=origin | {"access-control-request-method": "POST"}))
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert "POST" in answer["headers"]["Access-Control-Allow-Methods"]
    for path, status in (("/fail", 500), ("/nothing", 404)):
        answer = function.invoke(http_api(path=path, headers=origin))
        found = answer["statusCode"], answer["headers"]["Access-Control-Allow-Origin"]
        assert found == (status, "https://shop.example.com")


def test_the_largest_answer(start: Start) -> None:
    """By the client's own JSON: to the byte."""
    function = start({"app.py": FAILING})
    size = 6_291_000
    assert function.invoke(http_api(path="/large", query=f"size={size}"))["statusCode"] == 200
    largest = size + LIMIT - function.size
    assert function.invoke(http_api(path="/large", query=f"size={largest}"))["statusCode"] == 200
    assert function.size == LIMIT
    answer = function.invoke(http_api(path="/large", query=f"size={largest + 1}"))
    assert (answer["statusCode"], "6,291,5" in json.loads(answer["body"])["message"]) == (500, True)


# --- the log ------------------------------------------------------------------------------------------------

TALKING = """
from flask import Flask
app = Flask(__name__)
app.logger.info("at init")
@app.get("/")
def index():
    app.logger.debug("of debugging")
    app.logger.info("of a request")
    app.logger.error("of trouble")
    return "x"
"""


@pytest.mark.parametrize(
    ("environment", "seen"),
    [
        ({}, "at init, of a request, of trouble"),
        ({"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}, "at init, of a request, of trouble"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "ERROR"}, "of trouble"),
        ({"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "ERROR"}, "of trouble"),
        ({"AWS_LAMBDA_LOG_LEVEL": "ERROR"}, "of trouble"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "debug"}, "at init, of debugging, of a request, of trouble"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "INFO", "AWS_LAMBDA_LOG_LEVEL": "ERROR"}, "at init, of a request, of trouble"),
    ],
)
def test_levels(start: Start, environment: dict[str, str], seen: str) -> None:
    function = start({"app.py": TALKING}, **environment)
    assert function.invoke(http_api())["statusCode"] == 200
    texts = [record.fields.get("message") or record.text.rpartition("\t")[2].strip() for record in function.records]
    assert [text for text in texts if text.startswith(("at ", "of "))] == seen.split(", ")
    assert function.output == ""


def test_the_apps_own_level_stays(start: Start) -> None:
    own = "import logging\nlogging.getLogger().setLevel(logging.DEBUG)\n" + TALKING
    function = start({"app.py": own})
    function.invoke(http_api())
    assert "of debugging" in function.log


# --- cold start ---------------------------------------------------------------------------------------------

COUNTING = """
import logging, os, random
from flask import Flask, request
app = Flask(__name__)
app.logger.warning("imported")
random.seed(7)
happened = []
try:
    import snapshot_restore_py
except ImportError:
    pass
else:
    snapshot_restore_py.register_before_snapshot(happened.append, "before")
    snapshot_restore_py.register_after_restore(happened.append, "after")
@app.get("/health")
def health():
    app.logger.warning("primed %s", request.query_string.decode())
    return "x"
@app.get("/broken")
def broken():
    raise ValueError("boom")
@app.get("/")
def index():
    trace = {name: request.environ.get(name) for name in ("lambda.trace_id", "HTTP_X_AMZN_TRACE_ID")}
    return {"happened": happened, "random": random.random(), **trace}
"""


@pytest.mark.parametrize("handler", ["main.handler", "wsgi_handler.handler", "lambda_wsgi.handler"])
def test_the_app_is_imported_at_init(start: Start, handler: str) -> None:
    function = start({"app.py": COUNTING}, handler)
    assert function.calls == ["invocation/next"]
    assert function.log.count("imported") == 1
    for _ in range(2):
        assert function.invoke(http_api())["statusCode"] == 200
    assert function.log.count("imported") == 1
    assert "primed" not in function.log


def test_a_request_at_init(start: Start) -> None:
    function = start({"app.py": COUNTING}, LAMBDA_WSGI_PRIME="GET /health?full=1")
    assert function.calls == ["invocation/next"]
    assert function.log.count("primed full=1") == 1


def test_a_request_at_init_that_fails(start: Start) -> None:
    """It is told; the function serves what can be served."""
    function = start({"app.py": COUNTING}, LAMBDA_WSGI_PRIME="GET /broken")
    [record] = told(function, "ERROR", "CRITICAL")
    assert "/broken" in record.text
    assert function.invoke(http_api())["statusCode"] == 200


def test_snapstart(start: Start) -> None:
    """The app's hooks run, and the copies of a snapshot do not draw the same numbers."""
    drawn = []
    for _ in range(2):
        function = start(
            {"app.py": COUNTING}, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", LAMBDA_WSGI_PRIME="GET /health"
        )
        assert function.calls == ["restore/next", "invocation/next"]
        assert function.log.count("primed") == 1
        found = json.loads(function.invoke(http_api())["body"])
        assert found["happened"] == ["before", "after"]
        drawn.append(found["random"])
    assert drawn[0] != drawn[1]
    assert json.loads(start({"app.py": COUNTING}).invoke(http_api())["body"])["happened"] == []


def test_the_trace_id(start: Start) -> None:
    function = start({"app.py": COUNTING})
    for trace in (TRACE, TRACE.replace("5bef4de7", "6bef4de7")):
        found = json.loads(function.invoke(http_api(), trace=trace)["body"])
        assert (found["lambda.trace_id"], found["HTTP_X_AMZN_TRACE_ID"]) == (trace, trace)
    front = http_api(headers={"x-amzn-trace-id": "Root=1-front"})
    found = json.loads(function.invoke(front)["body"])
    assert (found["lambda.trace_id"], found["HTTP_X_AMZN_TRACE_ID"]) == (TRACE, "Root=1-front")


# --- on ARM64 -----------------------------------------------------------------------------------------------

INSIDE = """
import json, sys
from pathlib import Path
sys.path.insert(0, "/harness")
from runtime import Lambda
told = {}
for handler in ("main.handler", "lambda_function.lambda_handler"):
    places = dict(runtime=Path("/var/runtime"), opt=Path("/opt"), task=Path("/var/task"))
    with Lambda(Path(sys.executable), handler=handler, mounts=False, **places) as function:
        told[handler] = [function.invoke(event) for event in json.loads(sys.argv[1])], function.log
print(json.dumps(told))
"""
MACHINE = """
import markupsafe, platform
from flask import Blueprint
routes = Blueprint("routes", __name__)
@routes.get("/")
def index():
    return {"machine": platform.machine(), "escape": markupsafe._escape_inner.__module__}
@routes.get("/fail")
def fail():
    return str(1 / 0)
"""


@pytest.mark.engine
def test_on_arm64(engine: Engine, opt: Path, python312: Interpreter, tmp_path: Path) -> None:
    """In the runtime's container: the client's wheel for ARM64, and the layers with their extension module."""
    platform = ["--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.12", "--only-binary", ":all:"]
    client = installed(tmp_path / "runtime", CLIENT, "--python", str(python312.executable), *platform)
    (client / "bootstrap.py").write_text(runtime.BOOTSTRAP)
    (client / "__pycache__").mkdir(exist_ok=True)
    task = write(
        tmp_path / "task",
        {"routes.py": MACHINE, "lambda_function.py": (ROOT / "examples/hello/src/lambda_function.py").read_text()},
    )
    places = {"opt": opt, "var/runtime": client, "var/task": task}
    files: dict[str, bytes | Path] = {
        f"{place}/{path.relative_to(folder)}": path
        for place, folder in places.items() for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip
    files["harness/runtime.py"] = Path(runtime.__file__)
    events = json.dumps([http_api(), http_api(path="/fail")])
    made = engine.client.containers.create(
        IMAGE, ["/var/lang/bin/python3.12", "-c", INSIDE, events],
        platform="linux/arm64", init=True, network_mode="none", user="993:990",
    )  # fmt: skip
    try:
        made.put_archive("/", tars.pack(files, mode=0o755))
        made.start()
        status, said = made.wait()["StatusCode"], made.logs(stderr=False).decode()
        assert status == 0, made.logs().decode()
    finally:
        made.remove(force=True)
    [[good, bad], log], [[example, _], _] = json.loads(said).values()
    assert json.loads(good["body"]) == {"machine": "aarch64", "escape": "markupsafe._speedups"}
    assert bad["statusCode"] == 500
    assert "ZeroDivisionError" in log
    assert json.loads(example["body"]) == {"message": "Hello from Flask on Lambda"}
