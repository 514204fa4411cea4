"""The shim's init: from a handler string and a function's files to its app, or to words that say what is wrong."""

from __future__ import annotations

import importlib
import json
import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import ROOT
from layerkit.fronts import HttpApi2, Request, Response, RestApi

LAYER = ROOT / "layers/lambda-wsgi"
sys.path.insert(0, str(LAYER))

import lambda_wsgi

API = HttpApi2()
CONTEXT = SimpleNamespace(aws_request_id="request-1")
FILES = ("routes", "app", "application", "wsgi", "main", "server", "api", "lambda_function")
NAMES = ("app", "application", "wsgi_app", "api", "routes", "create_app", "make_app")
STRANGERS = ("LAMBDA_", "AWS_", "FLASK_", "DJANGO_", "API_GATEWAY_", "PYTHONPATH")

Deploy = Callable[..., Path]


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deploy]:
    """deploy({path: source}, VARIABLE=value) -> a function's folder, whose runtime is about to import the handler.

    What the init leaves in this process is taken back: modules, sys.path, the handler, the root logger's level.
    """
    task, level = tmp_path / "task", logging.getLogger().level
    task.mkdir()
    for name in [name for name in os.environ if name.startswith(STRANGERS)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(task))
    monkeypatch.setattr(sys, "path", [str(task), str(LAYER), *(p for p in sys.path if not p.startswith(str(LAYER)))])
    monkeypatch.chdir(task)

    def make(files: dict[str, str], **variables: str) -> Path:
        for path, source in files.items():
            (task / path).parent.mkdir(parents=True, exist_ok=True)
            (task / path).write_text(source)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        importlib.invalidate_caches()
        return task

    yield make
    for name, module in list(sys.modules.items()):
        homes = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", [])]
        if name in ("main", "wsgi_handler") or any(home.startswith(str(tmp_path)) for home in homes):
            del sys.modules[name]
    vars(lambda_wsgi).pop("handler", None)
    logging.getLogger().setLevel(level)


def start(handler: str = "lambda_wsgi.handler") -> Any:
    """What the runtime does with the function's handler string."""
    module, _, name = handler.rpartition(".")
    return getattr(importlib.import_module(module), name)


def get(handler: Any, target: str = "/", front: Any = API) -> Response:
    sent = Request(target=target)
    response: Response = front.response(handler(front.event(sent), CONTEXT), sent)
    return response


def started(handler: str = "lambda_wsgi.handler") -> str:
    """What the function's app says for itself."""
    return get(start(handler)).body.decode()


def refused(match: str | None = None, handler: str = "lambda_wsgi.handler") -> str:
    """The words of an init that fails."""
    with pytest.raises(RuntimeError, match=match) as caught:
        start(handler)
    assert type(caught.value).__name__ == "StartFailed"
    assert caught.value.__suppress_context__
    return str(caught.value)


def app(says: str = "app", name: str = "app") -> str:
    """A module with a WSGI app."""
    return f"""
def {name}(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [{says!r}.encode()]
"""


def factory(arguments: str = "", says: str = "'made'", name: str = "create_app") -> str:
    inner = app("", "wsgi").replace("''.encode()", f"str({says}).encode()").replace("\n", "\n    ")
    return f"def {name}({arguments}):{inner}return wsgi\n"


FLASK = """
from flask import Flask
app = Flask(__name__)
@app.get("/")
def index():
    return "flask"
"""
BLUEPRINT = """
from flask import Blueprint, current_app
{0} = Blueprint("{0}", __name__, template_folder="pages")
@{0}.get("/")
def index():
    return current_app.import_name + " " + current_app.root_path
"""


# -- the doors


def test_one_handler_behind_three_names(deploy: Deploy) -> None:
    deploy({"app.py": app()})
    assert start("main.handler") is start("wsgi_handler.handler") is start("lambda_wsgi.handler")
    assert started("main.handler") == "app"


def test_a_function_with_a_main_of_its_own_has_the_other_doors(deploy: Deploy) -> None:
    deploy({"main.py": app("my own main")})
    assert started("wsgi_handler.handler") == "my own main"
    assert Path(sys.modules["main"].__file__ or "").parent == Path.cwd()


def test_a_module_that_exports_the_handler_itself(deploy: Deploy) -> None:
    deploy({"app.py": app() + "from lambda_wsgi import handler\n"})
    assert started("app.handler") == "app"


def test_main_finds_an_app_that_exports_the_handler_too(deploy: Deploy) -> None:
    deploy({"app.py": app() + "from lambda_wsgi import handler\n"})
    assert started("main.handler") == "app"


def test_the_folder_of_the_function_is_found_without_lambdas_variable(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy({"app.py": app()})
    monkeypatch.delenv("LAMBDA_TASK_ROOT")
    monkeypatch.setattr(sys, "path", sys.path[1:])
    assert started() == "app"


def test_a_request_without_an_app_import_costs_no_app(deploy: Deploy) -> None:
    """Only the handler looks for the function's app."""
    deploy({"app.py": "raise RuntimeError('imported')"})
    assert {"handle_request", "LambdaWSGI"} <= vars(lambda_wsgi).keys()
    refused("imported")


def test_a_star_import_starts_nothing(deploy: Deploy) -> None:
    deploy({"shop.py": "from lambda_wsgi import *\nmine = LambdaWSGI(print)\n"})
    importlib.import_module("shop")


def test_an_init_that_failed_is_tried_again(deploy: Deploy) -> None:
    """The runtime starts a failed init once more, though in a process of its own."""
    task = deploy({"app.py": "import gone"})
    refused("gone", "main.handler")
    (task / "gone.py").write_text("")
    (task / "app.py").write_text(app())
    importlib.invalidate_caches()
    assert started("main.handler") == "app"


# -- LAMBDA_WSGI_APP, FLASK_APP


MODULE = "\n".join(
    [
        app(), app("other", "other"), factory(), factory("name='x', *, debug=False", "(name, debug)", "configured"),
        factory("name", "name", "needs"),
        "class Site:\n    @staticmethod\n    def inner(environ, start_response): return app(environ, start_response)",
        "    @classmethod\n    def make(cls): return other",
        "class inner:\n    deep = Site\n",
    ]
)  # fmt: skip


@pytest.mark.parametrize("variable", ["LAMBDA_WSGI_APP", "FLASK_APP"])
@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("shop:app", "app"),
        ("shop:other", "other"),
        (" shop:other ", "other"),
        ("shop", "app"),
        ("shop.py", "app"),
        ("shop.py:other", "other"),
        ("./shop.py:other", "other"),
        ("shop:create_app", "made"),
        ("shop:create_app()", "made"),
        ("shop:configured", "('x', False)"),
        ("shop:configured('y')", "('y', False)"),
        ('shop:configured("y", debug=True)', "('y', True)"),
        ("shop:configured(name='a, b')", "('a, b', False)"),
        ("shop:configured('a, b')", "('a, b', False)"),
        ("shop:needs('()')", "()"),
        ("shop:Site.inner", "app"),
        ("shop:inner.deep.make()", "other"),
        ("pkg.web:other", "other"),
        ("pkg.web", "app"),
        ("pkg/web.py", "app"),
        ("pkg/web.py:other", "other"),
        ("pkg/sub/web.py:other", "other"),
        ("pkg", "package"),
        ("src/web.py:other", "other"),
        ("src/web:create_app", "made"),
        ("src/inside/web.py", "inside"),
    ],
)
def test_the_app_is_named(variable: str, spec: str, says: str, deploy: Deploy) -> None:
    """The forms of `flask --app`; a file in a folder is imported from that folder, a package from where it lies."""
    inside = "from inside import said\n" + app("inside") + "made = app\n"
    deploy(
        {
            "shop.py": MODULE, "pkg/__init__.py": app("package"), "pkg/web.py": MODULE, "pkg/sub/__init__.py": "",
            "pkg/sub/web.py": MODULE, "src/web.py": MODULE, "src/inside/__init__.py": "said = 1",
            "src/inside/web.py": inside, "app.py": app("not asked for"),
        },
        **{variable: spec},
    )  # fmt: skip
    assert started() == says


def test_a_path_from_the_root_of_the_disk(deploy: Deploy) -> None:
    task = deploy({"pkg/__init__.py": "", "pkg/web.py": app()})
    deploy({}, FLASK_APP=f"{task}/pkg/web.py")
    assert started() == "app"


def test_the_path_is_one_in_the_functions_folder_wherever_the_runtime_stands(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deploy({"src/web.py": app()}, FLASK_APP="src/web.py")
    monkeypatch.chdir(tmp_path)
    assert started() == "app"


def test_lambda_wsgi_app_goes_before_flask_app_before_django_before_files(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(
        {"one.py": app("1"), "two.py": app("2"), "app.py": app("4")},
        LAMBDA_WSGI_APP="one:app", FLASK_APP="two:app", DJANGO_SETTINGS_MODULE="three",
    )  # fmt: skip
    assert started() == "1"
    for variable, says in (("LAMBDA_WSGI_APP", "2"), ("FLASK_APP", "three"), ("DJANGO_SETTINGS_MODULE", "4")):
        monkeypatch.delenv(variable)
        vars(lambda_wsgi).pop("handler", None)
        if says == "three":
            refused("No module named 'three'")
        else:
            assert started() == says


def test_flask_app_finds_the_one_flask_app_of_a_module_as_flask_does(deploy: Deploy) -> None:
    deploy({"shop.py": FLASK.replace("app", "site")}, FLASK_APP="shop")
    assert started() == "flask"


@pytest.mark.parametrize("variable", ["LAMBDA_WSGI_APP", "FLASK_APP"])
@pytest.mark.parametrize(
    "spec",
    [
        "shop:gone", "shop:number", "shop:create_app(", "shop:create_app('x')", "shop:needs", "empty", ":app",
    ],
)  # fmt: skip
def test_a_name_that_leads_nowhere_is_told_with_its_variable(variable: str, spec: str, deploy: Deploy) -> None:
    files = {"shop.py": MODULE + "number = 7\n", "empty.py": "", "app.py": app("not asked for")}
    deploy(files, **{variable: spec})
    assert f"{variable}={spec}" in refused()


@pytest.mark.parametrize(
    ("spec", "says"), [("gone:app", "'gone'"), ("shop.app", "'shop.app'; 'shop' is not a package")]
)
def test_a_module_that_is_not_there_is_told(spec: str, says: str, deploy: Deploy) -> None:
    deploy({"shop.py": app()}, LAMBDA_WSGI_APP=spec)
    assert says in refused("ModuleNotFoundError")


# -- Django


SETTINGS = """
SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
LOGGING_CONFIG = None
"""
URLS = """
import tempfile
from django.core.signals import request_finished
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path

finished = []
request_finished.connect(lambda **_: finished.append(1), weak=False)

def index(request):
    return HttpResponse(f"{request.method} {request.path} {len(finished)} {request.META.get('X', '')}")

def stream(request):
    return StreamingHttpResponse(iter([b"a", b"b"]))

def file(request):
    found = tempfile.TemporaryFile()
    found.write(b"of a file")
    found.seek(0)
    return FileResponse(found, filename="file.txt")

def fails(request):
    raise LookupError("nothing there")

urlpatterns = [path("", index), path("stream", stream), path("file", file), path("fails", fails)]
"""
WSGI = """
from django.core.wsgi import get_wsgi_application

django = get_wsgi_application()

def application(environ, start_response):
    return django(environ | {"X": "by wsgi.py"}, start_response)
"""
ASK = """
import json, logging, sys, types
from layerkit.fronts import HttpApi2, Request, RestApi

class Json(logging.StreamHandler):  # as the runtime's, which writes all that a record has
    def format(self, record):
        return f"{record.getMessage()} {vars(record)}"

logging.getLogger().addHandler(Json())
from main import handler

def get(target, front=HttpApi2()):
    sent = Request(target=target)
    answer = handler(front.event(sent), types.SimpleNamespace(aws_request_id="1"))
    response = front.response(answer, sent)
    return response.status, response.body.decode()

targets = ["/", "/stream", "/file"]
print(json.dumps([*map(get, targets), get("/", RestApi()), get("/gone"), get("/fails?token=s3cret")]))
"""


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, as Django's settings are configured once."""
    path = os.pathsep.join([os.environ["LAMBDA_TASK_ROOT"], str(LAYER), str(ROOT / "tests")])
    environ = {"PATH": os.environ["PATH"], "LAMBDA_TASK_ROOT": os.environ["LAMBDA_TASK_ROOT"], "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environ | variables, capture_output=True, text=True
    )


@pytest.mark.parametrize("named", [False, True])
def test_django_by_its_settings(named: bool, deploy: Deploy) -> None:
    more = 'WSGI_APPLICATION = "wsgi.application"\n' if named else ""
    deploy({"settings.py": SETTINGS + more, "urls.py": URLS, "wsgi.py": WSGI})
    done = run(ASK, DJANGO_SETTINGS_MODULE="settings")
    assert done.returncode == 0, done.stderr
    index, stream, file, rest, gone, fails = json.loads(done.stdout)
    by = "by wsgi.py" if named else ""
    assert index == [200, f"GET / 0 {by}"]
    assert (stream, file) == ([200, "ab"], [200, "of a file"])
    assert rest == [200, f"GET /prod/ 3 {by}"]  # the three before have sent request_finished
    assert gone[0] == 404
    assert fails[0] == 500
    assert done.stderr.count("Internal Server Error: /fails") == 1
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (None, "No module named 'settings'"),
        (SETTINGS + "WSGI_APPLICATION = 'gone.application'\n", "No module named 'gone'"),
        (SETTINGS + "INSTALLED_APPS = ['gone']\n", "No module named 'gone'"),
    ],
)
def test_a_django_project_that_cannot_be_loaded(settings: str | None, says: str, deploy: Deploy) -> None:
    deploy({"urls.py": URLS} | ({} if settings is None else {"settings.py": settings}))
    done = run("import main", DJANGO_SETTINGS_MODULE="settings")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "StartFailed: The app could not be loaded. ModuleNotFoundError" in last
    assert says in last


def test_a_project_of_django_without_its_variable_is_told_so(deploy: Deploy) -> None:
    deploy({"manage.py": "", "shop/settings.py": SETTINGS})
    assert "DJANGO_SETTINGS_MODULE" in refused("no WSGI app").rpartition(": set ")[2]


# -- files and names


@pytest.mark.parametrize("first", range(len(FILES)))
def test_the_first_of_the_files(first: int, deploy: Deploy) -> None:
    deploy({f"{name}.py": app(name) for name in FILES[first:]})
    assert started() == FILES[first]


@pytest.mark.parametrize("first", range(len(NAMES)))
def test_the_first_of_the_names(first: int, deploy: Deploy) -> None:
    made = {"create_app": factory(says="'create_app'"), "make_app": factory(says="'make_app'", name="make_app")}
    deploy({"app.py": "\n".join(made.get(name, app(name, name)) for name in reversed(NAMES[first:]))})
    assert started() == NAMES[first]


def test_a_file_without_an_app_is_passed_by(deploy: Deploy) -> None:
    deploy({"routes.py": "routes = ['/']\napp = 'shop'\n", "app.py": "import wsgi as app\n", "wsgi.py": app("wsgi")})
    assert started() == "wsgi"


@pytest.mark.parametrize("name", ["app", "api"])
def test_a_package_in_the_place_of_the_file(name: str, deploy: Deploy) -> None:
    deploy({f"{name}/__init__.py": f"from {name}.web import app", f"{name}/web.py": app("of a package")})
    assert started() == "of a package"


@pytest.mark.parametrize("name", ["app", "api", "routes"])
def test_a_blueprint_gets_an_app_of_its_own(name: str, deploy: Deploy) -> None:
    task = deploy({"routes.py": BLUEPRINT.format(name)})
    assert started() == f"routes {task}"


FACTORIES = {
    "plain": factory(),
    "with a default": factory("name='made'", "name"),
    "with keywords": factory("*, name='made', debug=False", "name"),
    "with any keywords": factory("**settings", "settings.get('name', 'made')"),
    "with a cache": "from functools import lru_cache\n@lru_cache" + "\n" + factory(),
    "of a lambda": factory(name="make") + "create_app = lambda: make()\n",
    "of an app that is a lambda": factory(name="make") + """
def create_app():
    app = make()
    return lambda environ, start_response: app(environ, start_response)
""",
    "decorated twice": """
import functools
def logged(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)
    return inner
@logged
@logged
""" + factory(),
    "of a blueprint": BLUEPRINT.format("shop") + """
def create_app():
    shop.get("/made")(lambda: "made")
    return shop
""",
    "of a Flask app": """
from flask import Flask
def create_app():
    app = Flask("made")
    app.add_url_rule("/made", view_func=lambda: app.name)
    return app
""",
    "of a class": factory(name="make") + """
class Shop:
    @staticmethod
    def create():
        return make()
create_app = Shop.create
""",
    "bound": factory(name="make") + """
class Shop:
    def create(self):
        return make()
create_app = Shop().create
""",
    "filled in": factory("name", "name", "make") + """
from functools import partial
create_app = partial(make, "made")
""",
}  # fmt: skip


@pytest.mark.parametrize("name", FACTORIES)
def test_a_function_without_arguments_makes_the_app(name: str, deploy: Deploy) -> None:
    deploy({"app.py": FACTORIES[name]})
    assert get(start(), "/made").body == b"made"


APPS = {
    "function": app(),
    "with one argument more": app(name="wsgi") + """
def app(environ, start_response, more=None):
    return wsgi(environ, start_response)
""",
    "with any arguments": app(name="wsgi") + "def app(*args): return wsgi(*args)\n",
    "instance": app(name="wsgi") + """
class App:
    def __call__(self, environ, start_response):
        return wsgi(environ, start_response)
app = App()
""",
    "method": app(name="wsgi") + """
class App:
    def run(self, environ, start_response):
        return wsgi(environ, start_response)
app = App().run
""",
    "class": app(name="wsgi") + """
class app:
    def __init__(self, *args):
        self.args = args
    def __iter__(self):
        return iter(wsgi(*self.args))
""",
    "filled in": app(name="wsgi").replace("(environ", "(name, environ") + """
from functools import partial
app = partial(wsgi, "name")
""",
    "decorated": """
import functools
def logged(app):
    @functools.wraps(app)
    def inner(environ, start_response):
        return app(environ, start_response)
    return inner
@logged""" + app(),
    "decorated without wraps": """
def logged(app):
    return lambda environ, start_response: app(environ, start_response)
@logged""" + app(),
    "in middleware": app(name="wsgi") + """
from werkzeug.middleware.dispatcher import DispatcherMiddleware
app = DispatcherMiddleware(wsgi, {})
""",
    "Flask": FLASK,
    "Flask with middleware": FLASK + """
from werkzeug.middleware.proxy_fix import ProxyFix
app.wsgi_app = ProxyFix(app.wsgi_app)
""",
    "Flask's subclass": FLASK.replace("= Flask(", "= type('Shop', (Flask,), {})("),
    "proxy": FLASK.replace("app", "site") + """
from werkzeug.local import LocalProxy
app = LocalProxy(lambda: site)
""",
}  # fmt: skip


@pytest.mark.parametrize("name", APPS)
def test_any_shape_of_an_app_is_taken_as_it_is(name: str, deploy: Deploy) -> None:
    deploy({"app.py": APPS[name]})
    assert started() in ("app", "flask")


def test_a_factory_that_wants_arguments_is_not_the_app(deploy: Deploy) -> None:
    """app.py has `def create_app(config)`, wsgi.py calls it: the usual layout of a Flask project."""
    deploy(
        {"app.py": factory("config", "config"), "wsgi.py": "from app import create_app\napp = create_app('wsgi')\n"}
    )
    assert started() == "wsgi"


def test_a_proxy_of_the_current_app_is_not_the_app(deploy: Deploy) -> None:
    """`from flask import current_app as app` in routes.py, as tutorials have it."""
    deploy({"routes.py": "from flask import current_app as app\n", "app.py": FLASK})
    assert started() == "flask"


def test_what_answers_to_every_name_does_not_hold_up_the_init(deploy: Deploy) -> None:
    """As xmlrpc.client.ServerProxy does; this one gives up in the end."""
    source = """
class Anything:
    asked = 0
    def __getattr__(self, name):
        Anything.asked += 1
        if Anything.asked > 999:
            raise RuntimeError("asked for ever")
        return self
api = Anything()
"""
    deploy({"routes.py": source, "app.py": app()})
    assert started() == "app"


@pytest.mark.parametrize("made", ["FlaskLambda(__name__, base_path='/prod')", "LambdaWSGI(wsgi, base_path='/prod')"])
def test_an_app_that_is_an_adapter_keeps_its_settings(made: str, deploy: Deploy) -> None:
    echo = app(name="wsgi").replace("'app'", "(environ['SCRIPT_NAME'] + '|')")
    flask = "\nif hasattr(app, 'get'): app.get('/')(lambda: __import__('flask').request.script_root + '|')\n"
    deploy({"app.py": f"from lambda_wsgi import FlaskLambda, LambdaWSGI\n{echo}app = {made}{flask}"})
    deploy({}, LAMBDA_WSGI_BASE_PATH="/other")
    assert get(start(), "/prod").body == b"/prod|"


@pytest.mark.parametrize(
    "source",
    [
        "async def app(scope, receive, send): ...",
        "class App:\n    async def __call__(self, scope, receive, send): ...\napp = App()\n",
    ],
)
def test_an_asgi_app_is_told_from_a_wsgi_app(source: str, deploy: Deploy) -> None:
    deploy({"app.py": source})
    assert "ASGI" in refused("app:app")


# -- what is wrong


def test_all_that_was_tried_is_told(deploy: Deploy) -> None:
    task = deploy({"routes.py": "routes = ['/']\n", "app.py": "", "wsgi.py": "def make_app(one): ...\n"})
    words = refused(r"no WSGI app")
    for part in (
        str(task),
        "LAMBDA_WSGI_APP",
        "FLASK_APP",
        "DJANGO_SETTINGS_MODULE",
        "routes:routes",
        "list",
        *FILES,
    ):
        assert part in words
    assert "make_app" in words
    assert "set LAMBDA_WSGI_APP=module:" in words


FAILURES: list[Any] = [
    # files, where (file:line) and what it says, the hint, lines of the user's frames
    (
        {"app.py": "import os\nimport shop\n", "shop.py": "\n\nimport gone_for_good\n"},
        "ModuleNotFoundError: No module named 'gone_for_good' ({task}/shop.py:3)",
        "add it to the function", ["app.py:2", "shop.py:3"],
    ),
    (
        {"app.py": "from shop.parts import a\n", "shop/__init__.py": ""},
        "ModuleNotFoundError: No module named 'shop.parts' ({task}/app.py:1)", "", ["app.py:1"],
    ),
    (
        {"app.py": "from json import gone\n"},
        "ImportError: cannot import name 'gone' from 'json'", "", ["app.py:1"],
    ),
    (
        {"app.py": "import os\n\nTABLE = os.environ['TABLE']\n"},
        "KeyError: 'TABLE' ({task}/app.py:3)", "Set the environment variable TABLE on the function", ["app.py:3"],
    ),
    (
        {"app.py": "import todos\n", "todos.py": "{}['title']\n"},
        "KeyError: 'title' ({task}/todos.py:1)", "!environment variable", ["app.py:1", "todos.py:1"],
    ),
    (
        {"app.py": "import shop\n", "shop.py": "def a():\n    def b(:\n"},
        "({task}/shop.py:2)",
        "", ["app.py:1", "shop.py:2"],
    ),
    (
        {"app.py": "def a():\nreturn 1\n"},
        "IndentationError: expected an indented block", "", ["app.py:2"],
    ),
    (
        {"app.py": "import a\n", "a.py": "import b\nx = 1\n", "b.py": "from a import x\n"},
        "({task}/b.py:1)", "in a circle", ["app.py:1", "a.py:1", "b.py:1"],
    ),
    (
        {"app.py": "import sys\ndef check():\n    sys.exit('no licence')\ncheck()\n"},
        "SystemExit: no licence ({task}/app.py:3)", "", ["app.py:4", "app.py:3"],
    ),
    (
        {"app.py": "class Odd(Exception): ...\nraise Odd('with\\nlines')\n"},
        "Odd: with\nlines ({task}/app.py:2)", "", ["app.py:2"],
    ),
    (
        {"app.py": "import json\njson.loads('{')\n"},
        "JSONDecodeError: Expecting property name", "", ["app.py:2"],
    ),
    (
        {"app.py": "open('/proc/gone', 'w')\n"},
        "({task}/app.py:1)", "", ["app.py:1"],
    ),
    (
        {"app.py": "raise PermissionError(13, 'Permission denied', '/opt/python/shop.py')\n"},
        "({task}/app.py:1)", "readable by everybody", ["app.py:1"],
    ),
    (
        {"app.py": "raise OSError(30, 'Read-only file system', 'cache')\n"},
        "({task}/app.py:1)", "nly /tmp can be written", ["app.py:1"],
    ),
    (
        {"app.py": "raise ImportError('/opt/python/a.so: invalid ELF header')\n"},
        "({task}/app.py:1)", "another system", ["app.py:1"],
    ),
    (
        {"app.py": "raise ImportError('libpq.so.5: cannot open shared object file: No such file or directory')\n"},
        "({task}/app.py:1)", "ibrary is missing", ["app.py:1"],
    ),
    (
        {"app.py": "def create_app():\n    return 1 / 0\n"},
        "ZeroDivisionError: division by zero ({task}/app.py:2)", "", ["app.py:2"],
    ),
    ({"app.py": "class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd\n"},
        "Odd", "", ["app.py:3"]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "says", "hint", "lines"), FAILURES)
def test_a_module_that_fails(
    files: dict[str, str], says: str, hint: str, lines: list[str], deploy: Deploy, caplog: pytest.LogCaptureFixture
) -> None:
    """The runtime prints an ImportError without its frames, and never a cause: so the words have to say it all."""
    task = deploy(files)
    words = refused(handler="main.handler")
    assert says.format(task=task) in words
    assert hint.removeprefix("!") not in words if hint.startswith("!") else hint in words
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("lambda_wsgi", logging.CRITICAL)
    assert words in record.getMessage()
    told = vars(record)
    assert f"{told['file']}:{told['line']}" == f"{task}/{lines[-1]}"
    assert [frame.partition(" in ")[0] for frame in told["frames"]] == [f"{task}/{line}" for line in lines]
    assert all(frame in record.getMessage() for frame in told["frames"])
    assert told["error_type"] in words
    assert (told["hint"] or "") in words


@pytest.mark.parametrize("spec", ["", "app", "app:create_app", "app:create_app()"])
@pytest.mark.parametrize("error", ["ValueError", "TypeError", "RuntimeError", "LookupError"])
def test_a_factory_that_fails_is_told_and_not_passed_by(spec: str, error: str, deploy: Deploy) -> None:
    source = f"def create_app():\n    raise {error}('no configuration')\n"
    task = deploy({"app.py": source, "wsgi.py": app("not asked for")}, LAMBDA_WSGI_APP=spec)
    assert f"{error}: no configuration ({task}/app.py:2)" in refused()


def test_a_cause_is_told_with_its_place(deploy: Deploy) -> None:
    """The runtime prints no causes."""
    shop = """
try:
    {}["table"]
except KeyError as error:
    raise RuntimeError("no table") from error
"""
    task = deploy({"app.py": "import shop\n", "shop.py": shop})
    words = refused("RuntimeError: no table")
    assert f"({task}/shop.py:5)" in words
    assert f"KeyError: 'table' ({task}/shop.py:3)" in words


def test_an_error_that_is_falsy_is_told(deploy: Deploy) -> None:
    """Errors that collect errors have a length."""
    source = "class Empty(Exception):\n    def __len__(self): return 0\nraise Empty('nothing collected')\n"
    task = deploy({"app.py": source})
    refused(rf"Empty: nothing collected \({task}/app.py:3\)")


def test_no_other_variable_is_told(deploy: Deploy, caplog: pytest.LogCaptureFixture) -> None:
    deploy({"app.py": app()}, LAMBDA_WSGI_LOG_LEVEL="LOUD", FLASK_APP_SECRET="s3cret", AWS_SECRET_ACCESS_KEY="s3cret")
    assert "s3cret" not in refused("LOUD")
    assert "s3cret" not in caplog.text


def test_a_frame_shows_its_line_of_code(deploy: Deploy, caplog: pytest.LogCaptureFixture) -> None:
    deploy({"app.py": "def check(number):\n    assert number > 1\ncheck(0)\n"})
    refused("AssertionError")
    assert "app.py:2 in check: assert number > 1" in caplog.text


@pytest.mark.parametrize(("module", "layer"), [("flask", "flask-layer"), ("werkzeug.utils", "flask-layer")])
def test_a_module_of_a_layer_names_the_layer(
    module: str, layer: str, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy({"app.py": f"import {module}\n"})
    name = module.partition(".")[0]

    class Nothing:
        def find_spec(self, found: str, *_: Any) -> None:
            if found == name:
                raise ModuleNotFoundError(f"No module named {found!r}", name=found)

    for one in [one for one in sys.modules if one.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, one)
    monkeypatch.setattr(sys, "meta_path", [Nothing(), *sys.meta_path])
    assert layer in refused(f"No module named '{name}'")


def test_a_python_path_of_the_users_hides_the_layers(deploy: Deploy) -> None:
    deploy({"app.py": "import gone\n"}, PYTHONPATH="/var/task/lib")
    assert "PYTHONPATH is set" in refused("gone")


def test_the_runtimes_own_python_path_is_none_of_the_users(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy({"app.py": "import gone\n"}, PYTHONPATH="/var/runtime:/opt/python")
    monkeypatch.setattr(sys, "path", [*sys.path, "/opt/python"])
    assert "PYTHONPATH" not in refused("gone")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LAMBDA_WSGI_DEBUG", "perhaps"),
        ("LAMBDA_WSGI_ERROR_STATUS", "5xx"),
        ("LAMBDA_WSGI_CORS_MAX_AGE", "1h"),
        ("LAMBDA_WSGI_LOG_LEVEL", "LOUD"),
        ("AWS_LAMBDA_LOG_LEVEL", "LOUD"),
        ("LAMBDA_WSGI_EVENT_HANDLER", "app:gone"),
        ("LAMBDA_WSGI_EVENT_HANDLER", "app:number"),
        ("LAMBDA_WSGI_EVENT_HANDLER", "app"),
    ],
)
def test_a_setting_that_cannot_be_meant_ends_the_init(variable: str, value: str, deploy: Deploy) -> None:
    deploy({"app.py": app() + "number = 7\n"}, **{variable: value})
    assert variable in refused(value)


def test_a_second_door_without_its_module_ends_the_init(deploy: Deploy) -> None:
    deploy({"app.py": app()}, LAMBDA_WSGI_EVENT_HANDLER="gone:take")
    refused("ModuleNotFoundError: No module named 'gone'")


def test_the_error_is_the_same_behind_each_name(deploy: Deploy) -> None:
    deploy({"app.py": "import gone\n"})
    words = {refused("gone", name) for name in ("main.handler", "wsgi_handler.handler", "lambda_wsgi.handler")}
    assert len(words) == 1


# -- the second door


TAKES = app() + "def take(event, context):\n    return ['taken', event, context.aws_request_id]\n"


@pytest.mark.parametrize("spec", ["jobs:take", "jobs.py:take", "app:take", "pkg.jobs:take", "pkg/jobs.py:take"])
def test_the_second_door_is_imported_at_init(spec: str, deploy: Deploy) -> None:
    deploy(
        {"app.py": TAKES, "jobs.py": TAKES, "pkg/__init__.py": "", "pkg/jobs.py": TAKES},
        LAMBDA_WSGI_EVENT_HANDLER=spec,
    )
    handler = start("main.handler")
    assert spec.partition(":")[0].removesuffix(".py").replace("/", ".") in sys.modules
    assert handler({"Records": []}, CONTEXT) == ["taken", {"Records": []}, "request-1"]
    assert get(handler).body == b"app"


def test_without_it_an_event_is_an_error(deploy: Deploy) -> None:
    deploy({"app.py": app()})
    with pytest.raises(ValueError, match=r"(?i)an event of .*sqs"):
        start("main.handler")({"Records": [{"eventSource": "aws:sqs"}]}, CONTEXT)
    assert start("main.handler")({"warmup": True}, CONTEXT) == {}


# -- PRIME


COUNTS = """
requests = []
def app(environ, start_response):
    requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]))
    if environ["PATH_INFO"] == "/fails":
        raise LookupError("nothing there")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b""]
"""


@pytest.mark.parametrize(
    ("prime", "seen"),
    [
        ("GET /health", ("GET", "/health", "")),
        ("/health?a=b", ("GET", "/health", "a=b")),
        ("POST /a/b?c=d&e=%20", ("POST", "/a/b", "c=d&e=%20")),
        ("GET /a%20b", ("GET", "/a b", "")),
    ],
)
def test_one_request_is_served_at_init(prime: str, seen: tuple[str, str, str], deploy: Deploy) -> None:
    deploy({"app.py": COUNTS}, LAMBDA_WSGI_PRIME=prime)
    start("main.handler")
    assert sys.modules["app"].requests == [seen]


def test_a_prime_that_fails_is_told_and_the_function_still_starts(
    deploy: Deploy, caplog: pytest.LogCaptureFixture
) -> None:
    deploy({"app.py": COUNTS}, LAMBDA_WSGI_PRIME="GET /fails", LAMBDA_WSGI_ERROR_STATUS="500-599")
    handler = start("main.handler")
    (record,) = caplog.records
    assert "GET /fails failed" in record.getMessage()
    assert get(handler).status == 200


def test_priming_flask_leaves_it_as_it_was(deploy: Deploy) -> None:
    """Flask takes no more error handlers once it has served a request."""
    deploy({"app.py": FLASK + "@app.get('/fails')\ndef fails(): return 1 / 0\n"}, LAMBDA_WSGI_PRIME="GET /")
    response = get(start("main.handler"), "/fails")
    assert (response.status, response.get("Content-Type")) == (500, "application/json")


# -- logs


@pytest.mark.parametrize(
    ("variables", "level"),
    [
        ({}, "INFO"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "DEBUG"}, "DEBUG"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "debug"}, "DEBUG"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "TRACE"}, "DEBUG"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "trace"}, "DEBUG"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "WARN"}, "WARNING"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "FATAL"}, "CRITICAL"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "ERROR", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"}, "ERROR"),
        ({"AWS_LAMBDA_LOG_LEVEL": "TRACE"}, "DEBUG"),
        ({"AWS_LAMBDA_LOG_LEVEL": "WARN"}, "WARNING"),
        ({"AWS_LAMBDA_LOG_LEVEL": "FATAL"}, "CRITICAL"),
        ({"LAMBDA_WSGI_LOG_LEVEL": "", "AWS_LAMBDA_LOG_LEVEL": ""}, "INFO"),
    ],
)
def test_what_the_app_logs_is_seen_from_its_level_on(
    variables: dict[str, str], level: str, deploy: Deploy, caplog: pytest.LogCaptureFixture
) -> None:
    """The runtime's root logger stands at WARNING; both while the modules are imported and in a request."""
    source = """
import logging
def say(*_):
    for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        logging.getLogger("shop").log(logging.getLevelName(level), "said")
    return __import__("flask").Flask("said")
app = say()
app.before_request(lambda: say() and "said")
"""
    deploy({"app.py": source}, **variables)
    logging.getLogger().setLevel(logging.WARNING)
    handler = start("main.handler")
    levels = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
    assert [record.levelname for record in caplog.records] == levels[levels.index(level) :]
    assert get(handler).body == b"said"
    assert [record.levelname for record in caplog.records] == levels[levels.index(level) :] * 2


@pytest.mark.parametrize(("given", "level"), [("INFO", "INFO"), ("", "ERROR")])
def test_only_our_variable_changes_a_level_that_is_not_the_default(given: str, level: str, deploy: Deploy) -> None:
    """With logs in JSON the runtime has set AWS_LAMBDA_LOG_LEVEL already."""
    deploy({"app.py": app()}, LAMBDA_WSGI_LOG_LEVEL=given, AWS_LAMBDA_LOG_LEVEL="ERROR")
    logging.getLogger().setLevel(logging.ERROR)
    start("main.handler")
    assert logging.getLevelName(logging.getLogger().level) == level


def test_flasks_logger_is_seen(deploy: Deploy, caplog: pytest.LogCaptureFixture) -> None:
    deploy({"app.py": FLASK + "app.before_request(lambda: app.logger.info('seen'))\n"})
    logging.getLogger().setLevel(logging.WARNING)
    assert started() == "flask"
    assert [record.getMessage() for record in caplog.records] == ["seen"]


@pytest.mark.parametrize("level", ["DEBUG", "WARNING", "ERROR"])
def test_a_level_that_the_function_sets_itself_stays(level: str, deploy: Deploy) -> None:
    """logging.getLogger().setLevel() at the top of a module is what every example for Lambda has."""
    deploy({"app.py": f"import logging\nlogging.getLogger().setLevel('{level}')\n" + app()})
    logging.getLogger().setLevel(logging.WARNING)
    get(start("main.handler"))
    assert logging.getLevelName(logging.getLogger().level) == level


# -- SnapStart


RUNTIMES = "hooks = []\nregister_after_restore = hooks.append\n"


def test_each_restored_copy_draws_numbers_of_its_own(deploy: Deploy) -> None:
    """snapshot_restore_py stands in for the runtime's module of that name, which keeps the hooks and calls them."""
    deploy({"app.py": app(), "snapshot_restore_py.py": RUNTIMES}, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    start("main.handler")
    (hook,) = sys.modules["snapshot_restore_py"].hooks
    state = random.getstate()
    try:
        drawn = set()
        for _ in range(3):
            random.setstate(state)
            hook()
            drawn.add(random.getrandbits(64))
        assert len(drawn) == 3
    finally:
        random.setstate(state)


@pytest.mark.parametrize("kind", ["on-demand", "provisioned-concurrency", ""])
def test_elsewhere_there_is_no_hook(kind: str, deploy: Deploy) -> None:
    deploy({"app.py": app(), "snapshot_restore_py.py": "raise RuntimeError"}, AWS_LAMBDA_INITIALIZATION_TYPE=kind)
    assert started("main.handler") == "app"


def test_the_fronts_mount_reaches_the_app_that_was_found(deploy: Deploy) -> None:
    deploy({"app.py": app().replace("'app'", "environ['SCRIPT_NAME']")})
    assert get(start("main.handler"), "/x", RestApi()).body == b"/prod"
