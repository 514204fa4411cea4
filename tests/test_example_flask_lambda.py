"""examples/flask-lambda: a Flask and a Django site, on this machine and in a local Lambda, and their Terraform."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import unescape
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

import examples
from asking import FRONTS, ask
from conftest import ROOT
from layerkit.fronts import Front
from test_arns_tools import LINTERS, plugins, python, run, terraform
from test_published import entry

EXAMPLE = ROOT / "examples/flask-lambda"
sys.path.insert(0, str(ROOT / "layers/lambda-wsgi"))
sys.path.insert(0, str(EXAMPLE / "src_flask"))
app = importlib.import_module("app").app
sys.path.remove(str(EXAMPLE / "src_flask"))
del sys.modules["app"]  # another example's may have that name

NAMES = ["Ada", "Zoë Čapek", "世界 🎉", "<b>& \"'", "a%2Fb?c=d#e", "+ +", "../x"]
SECRET = "v" * 50
__all__ = ["plugins"]


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.name)
@pytest.mark.parametrize("name", NAMES)
def test_the_flask_site_behind_each_front(front: Front, name: str) -> None:
    form = ("Content-Type", "application/x-www-form-urlencoded")
    answer = ask(app, "POST", "/", form, body=urlencode({"name": name}).encode(), front=front)
    location = str(answer.get("location"))
    assert (answer.status, parse_qs(urlsplit(location).query)) == (303, {"name": [name]})
    page = ask(app, "GET", f"/greeting?{urlsplit(location).query}", front=front)
    assert (page.status, heading(page.body.decode())) == (200, f"Hello, {name}!")


def heading(page: str) -> str:
    [found] = re.findall("<h1>(.*)</h1>", page)
    assert "<" not in found
    return unescape(found)


# Both sites, as a browser sees them


@dataclass(frozen=True, kw_only=True)
class Page:
    status: int
    url: str
    headers: dict[str, str]
    text: str


class AsItIs(urllib.request.HTTPRedirectHandler):
    """Redirects are followed where they are asked for."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class Browser:
    """Keeps cookies, follows redirects, and reads error pages too."""

    address: str
    cookies: CookieJar = field(default_factory=CookieJar)

    def get(self, path: str, *, follow: bool = True, data: dict[str, str] | None = None, **headers: str) -> Page:
        handlers = [urllib.request.HTTPCookieProcessor(self.cookies), *([] if follow else [AsItIs()])]
        body = None if data is None else urlencode(data).encode()
        request = urllib.request.Request(f"{self.address}{path}", body, headers)
        try:
            answer = urllib.request.build_opener(*handlers).open(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return Page(
                status=answer.status, url=answer.url, headers={k.lower(): v for k, v in answer.headers.items()},
                text=answer.read().decode(),
            )  # fmt: skip

    def filled(self, name: str, *, follow: bool = True) -> Page:
        """The form, read, filled in with its hidden fields, and sent as browsers do."""
        page = self.get("/")
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
        return self.get("/", follow=follow, data=dict(hidden) | {"name": name}, Origin=self.address)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built; and each site has got a page with a mistake."""
    folder = examples.project("flask-lambda", tmp_path_factory)
    with (folder / "src_flask/app.py").open("a") as file:
        file.write('\n\n@app.get("/broken")\ndef broken():\n    return {"x": 1 / 0}\n')
    with (folder / "src_django/greetings/views.py").open("a") as file:
        file.write("\n\ndef broken(request):\n    return HttpResponse(1 / 0)\n")
    with (folder / "src_django/greetings/urls.py").open("a") as file:
        file.write('\nurlpatterns.append(path("broken", views.broken))\n')
    return folder


@pytest.fixture(scope="module")
def sites(project: Path) -> Iterator[Callable[[str], Browser]]:
    """By name: `flask` and `django` in the local Lambda, plain `flask run` and `manage.py runserver`."""
    port = examples.free_port()
    runserver = [sys.executable, "src_django/manage.py", "runserver", "--noreload", str(port)]
    with (
        examples.serving(project, "flask-lambda", "--in", "host") as flask,
        examples.serving(project, "django-lambda", "--in", "host") as django,
        examples.flask_run(project, "src_flask/app", PYTHONPATH="layers/lambda-wsgi") as local_flask,
        examples.listening(runserver, project, port, {"PYTHONDONTWRITEBYTECODE": "1"}) as local_django,
    ):
        found = {"flask": flask, "django": django, "flask run": local_flask, "runserver": local_django}
        yield lambda name: Browser(address=found[name])


everywhere = pytest.mark.parametrize("site", ["flask", "flask run", "django", "runserver"])


@pytest.mark.integration
@everywhere
@pytest.mark.parametrize("name", NAMES)
def test_a_form_is_sent_and_answered(sites: Callable[[str], Browser], site: str, name: str) -> None:
    browser = sites(site)
    page = browser.filled(name)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.url.startswith(f"{browser.address}/greeting")
    assert heading(page.text) == f"Hello, {name}!"
    path, slash = "/api/greeting", "/" if "flask" not in site else ""
    said = browser.get(f"{path}{slash}?{urlencode({'name': name})}")
    assert (said.headers["content-type"], json.loads(said.text)) == (
        "application/json",
        {"greeting": f"Hello, {name}!"},
    )


@pytest.mark.integration
@everywhere
def test_a_form_that_is_not_filled_in(sites: Callable[[str], Browser], site: str) -> None:
    page = sites(site).filled(" ")
    assert (page.status, "<form " in page.text) == (400, True)
    assert ("Please tell your name." if "flask" in site else "This field is required.") in page.text


@pytest.mark.integration
@everywhere
def test_what_there_is_not(sites: Callable[[str], Browser], site: str) -> None:
    browser = sites(site)
    page = browser.get("/nowhere/")
    assert (page.status, page.headers["content-type"].partition(";")[0]) == (404, "text/html")
    assert "not found" in page.text.lower()
    assert browser.get("/", data={}).status == (400 if "flask" in site else 403)
    assert browser.get("/greeting" if "flask" in site else "/greeting/", data={}).status in (403, 405)


@pytest.mark.integration
@pytest.mark.parametrize("site", ["django", "runserver"])
def test_django_insists_on_its_token_and_its_slash(sites: Callable[[str], Browser], site: str) -> None:
    browser = sites(site)
    page = browser.get("/")
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    [cookie] = list(browser.cookies)
    assert (cookie.name, cookie.path) == ("csrftoken", "/")
    data = {"name": "Ada", "csrfmiddlewaretoken": token}
    assert browser.get("/", data=data, follow=False).status == 302
    for wrong in (data | {"csrfmiddlewaretoken": "x"}, {"name": "Ada"}):
        refused = browser.get("/", data=wrong)
        assert (refused.status, "CSRF verification failed" in refused.text) == (403, True)
    assert browser.get("/", data=data, Origin="https://elsewhere.example").status == 403
    moved = browser.get("/greeting?name=%C3%A9", follow=False)
    assert (moved.status, moved.headers["location"]) == (301, "/greeting/?name=%C3%A9")


# Failures


@pytest.mark.integration
def test_a_mistake_in_flask_is_readable(project: Path) -> None:
    said = examples.invoked(project, "flask-lambda", "--in", "host", "--request", "GET /broken")
    assert said["response"]["status"] == 500
    assert json.loads(said["response"]["body"]) == {
        "message": "Internal Server Error", "requestId": said["request_id"],
    }  # fmt: skip
    log = "\n".join(said["log"])
    assert "GET /broken failed" in log
    assert "ZeroDivisionError: division by zero" in log
    assert 'File "/var/task/app.py", line' in log


@pytest.mark.integration
def test_a_mistake_in_django_is_readable(project: Path) -> None:
    said = examples.invoked(project, "django-lambda", "--in", "host", "--request", "GET /broken")
    assert (said["response"]["status"], "Server Error (500)" in said["response"]["body"]) == (500, True)
    log = "\n".join(said["log"])
    assert "Internal Server Error: /broken" in log
    assert "ZeroDivisionError: division by zero" in log
    assert 'File "/var/task/greetings/views.py", line' in log


@pytest.mark.integration
def test_django_takes_its_settings_from_the_environment(project: Path) -> None:
    options = ("--in", "host", "--env", "ALLOWED_HOSTS=site.example", "--request", "GET /")
    right = examples.invoked(project, "django-lambda", *options, "--header", "Host: site.example")
    wrong = examples.invoked(project, "django-lambda", *options, "--header", "Host: other.example")
    assert (right["response"]["status"], wrong["response"]["status"]) == (200, 400)
    told = subprocess.run(
        [sys.executable, "-c", "import greetings.settings"], cwd=project / "src_django", capture_output=True,
        text=True, check=False, env={name: value for name, value in os.environ.items() if name != "SECRET_KEY"},
    )  # fmt: skip
    assert told.stderr.endswith("KeyError: 'SECRET_KEY'\n")  # no secret is in the sources


# Deployment


REGIONS = ("us-east-1", "eu-west-1")
PUBLISHED = [entry(name, region, 3) for region in REGIONS for name in ("flask", "django", "lambda-wsgi")]


@pytest.fixture
def deployed(tmp_path: Path) -> Path:
    """terraform/ of a new project, with all that the README's commands put there."""
    deployable = examples.Deployable("flask-lambda", tmp_path, *PUBLISHED, stubs=("terraform",))
    said = deployable.follow("layerkit arns", "terraform -chdir=terraform apply")
    assert said == [["terraform", "-chdir=terraform", verb] for verb in ("init", "apply")]
    return deployable.folder / "terraform"


def test_the_readmes_commands() -> None:
    assert {line.split()[0] for line in examples.commands_exist(EXAMPLE)} == {
        "lock", "build", "invoke", "serve", "publish", "arns",
    }  # fmt: skip


@pytest.mark.integration
def test_both_functions_pass_verify(project: Path) -> None:
    """With their variables: without SECRET_KEY Django's settings cannot be imported."""
    assert "no errors, no warnings" in examples.followed(project, "layerkit verify --imports host 2>&1")


@pytest.mark.integration
def test_what_is_deployed_is_what_is_run_here(deployed: Path) -> None:
    for name, source in (("flask-lambda", "src_flask"), ("django-lambda", "src_django")):
        folder = deployed.parent / source
        with zipfile.ZipFile(deployed / f"{name}.zip") as archive:
            found = {one: archive.read(one) for one in archive.namelist() if not one.endswith("/")}
        assert found == {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }


@pytest.mark.integration
def test_terraform_plans_both_sites(deployed: Path, plugins: Path) -> None:
    """Planned, which asks AWS nothing."""
    assert terraform("fmt", "-check", "-diff", "-recursive", cwd=deployed) == ""
    (deployed / "provider_override.tf").write_text(examples.OVERRIDE)
    terraform("init", f"-plugin-dir={plugins}", cwd=deployed)
    assert json.loads(terraform("validate", "-json", cwd=deployed))["diagnostics"] == []
    given = ("-var=region=eu-west-1", f"-var=django_secret_key={SECRET}")
    terraform("plan", "-out=plan", *given, cwd=deployed)
    planned = json.loads(terraform("show", "-json", "plan", cwd=deployed))
    resources = planned["planned_values"]["root_module"]["resources"]
    functions = {one["index"]: one["values"] for one in resources if one["type"] == "aws_lambda_function"}
    arns = {one.layer: one.arn for one in PUBLISHED if one.region == "eu-west-1"}
    assert {name: (one["handler"], one["layers"]) for name, one in functions.items()} == {
        "flask-lambda": ("app.app", [arns["flask"], arns["lambda-wsgi"]]),
        "django-lambda": ("lambda_function.handler", [arns["django"], arns["lambda-wsgi"]]),
    }
    kinds = [one["type"] for one in resources]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(kinds, 2)
    assert SECRET not in terraform("show", "-no-color", "plan", cwd=deployed)


@pytest.mark.integration
def test_terraform_wants_a_real_secret(deployed: Path, plugins: Path) -> None:
    (deployed / "provider_override.tf").write_text(examples.OVERRIDE)
    terraform("init", f"-plugin-dir={plugins}", cwd=deployed)
    with pytest.raises(AssertionError, match="Django wants at least 50 characters"):
        terraform("plan", "-var=django_secret_key=short", cwd=deployed)


@pytest.mark.integration
def test_another_reader_of_hcl_finds_the_same() -> None:
    """So that there is a check where there is no Terraform: roles write their own logs and may do nothing else."""
    linters, folder = python("linters", LINTERS), EXAMPLE / "terraform"
    names = ("api.tf", "iam.tf", "main.tf", "variables.tf")
    assert sorted(path.name for path in folder.glob("*.tf")) == [*names]
    read = [json.loads(run(linters / "hcl2tojson", name, cwd=folder)) for name in names]
    resources = [kind.strip('"') for one in read for block in one.get("resource", ()) for kind in block]
    assert sorted(resources) == [
        "aws_apigatewayv2_api", "aws_apigatewayv2_integration", "aws_apigatewayv2_route", "aws_apigatewayv2_stage",
        "aws_cloudwatch_log_group", "aws_iam_role", "aws_iam_role_policy", "aws_lambda_function",
        "aws_lambda_permission",
    ]  # fmt: skip
    text = "".join((folder / name).read_text() for name in names)
    actions = ["sts:AssumeRole", "logs:CreateLogStream", "logs:PutLogEvents"]
    assert re.findall(r'"((?:sts|logs|iam|s3|dynamodb):\w+)"', text) == actions
    assert "arn:aws" not in text
