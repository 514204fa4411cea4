"""examples/contact-form by HTTP and in a real browser: through `layerkit serve` with its zips, and `flask run`."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import shlex
import shutil
import sys
import zipfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import boto3
import pytest
import yaml

from browser import Page, Pipe, chromium, png_size
from conftest import ROOT
from examples import commands_exist, dynamodb, flask_run, followed, free_port, invoked, project, readme, serving
from layerkit.model import Interpreter
from test_arns_tools import NODE_TOOLS, linters, node, osls, run
from test_published import entry, write

__all__ = ["linters", "node"]  # fixtures of another file
pytestmark = pytest.mark.integration
SOURCE = ROOT / "examples/contact-form"
TABLE = "contact-form"
DOORS = ("flask run", "layerkit serve")
LAYERS = ("flask", "lambda-wsgi")
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".png": "image/png"}
GOOD = {"name": "Ada Lovelace", "email": "ada@example.com", "message": "Hello, how are you?"}
BAD = {"name": "<script>alert(1)</script>", "email": '"><script>alert(2)</script>', "message": "</textarea>"}
MARKED = {
    "email": "Enter an email address like name@example.com.",
    "message": "Write a message of at least 10 characters.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The form behind one of its doors, its table, and the origins of two other sites."""

    url: str
    door: str
    database: str
    allowed: str
    foreign: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(url: str, request: str, headers: dict[str, str] | None = None, body: bytes | str = b"") -> Answer:
    """One request, such as `GET /path`; redirects are not followed."""
    method, path = request.split()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body or None, headers or {})
        response = connection.getresponse()
        return Answer(status=response.status, headers=response.headers, body=response.read())
    finally:
        connection.close()


def post(url: str, **fields: str) -> Answer:
    """As a browser sends the form."""
    return ask(url, "POST /", {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(fields))


def post_json(url: str, body: Any, **headers: str) -> Answer:
    return ask(url, "POST /contact", {"Content-Type": "application/json"} | headers, json.dumps(body))


@contextmanager
def database(endpoint: str) -> Iterator[Any]:
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    client = boto3.client("dynamodb", endpoint_url=endpoint, **keys)
    try:
        yield client
    finally:
        client.close()


def stored(site: Site, **fields: str) -> list[dict[str, str]]:
    """The stored messages in which these fields are so."""
    with database(site.database) as client:
        items = client.scan(TableName=TABLE, ConsistentRead=True)["Items"]
    plain = [{name: text for name, value in item.items() for text in value.values()} for item in items]
    return [item for item in plain if item.items() >= fields.items()]


def sender() -> str:
    """An address that no other test sends from."""
    return f"{uuid4().hex}@example.com"


# What is there once for all tests


@pytest.fixture(scope="module")
def built(python312: Interpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with its zips; `layerkit serve` needs the Python of its runtime."""
    return project("contact-form", tmp_path_factory)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a DynamoDB with the table, made as README.md says."""
    with dynamodb(tmp_path_factory.mktemp("dynalite")) as endpoint:
        run(sys.executable, SOURCE / "create_table.py", cwd=SOURCE, AWS_ENDPOINT_URL_DYNAMODB=endpoint)
        yield endpoint


@contextmanager
def other_site() -> Iterator[tuple[str, Callable[[str], None]]]:
    """A site of another origin with the form of README.md, and what tells it where the server is."""
    [form] = re.findall(r"^```html\n(.*?)^```$", (SOURCE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    page = [""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page[0].encode()
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    def tell(url: str) -> None:
        page[0] = f"<!doctype html><title>Another site</title><h1>Another site</h1>{form.replace('https://API', url)}"

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", tell
        finally:
            server.shutdown()
            thread.join()


def opened(door: str, built: Path, **environment: str) -> AbstractContextManager[str]:
    if door == "flask run":
        return flask_run(built, "src/app.py", **environment)
    options = [f"--env={name}={value}" for name, value in environment.items()]
    return serving(built, "contact-form", "--in", "host", *options)


@pytest.fixture(scope="module", params=DOORS)
def site(request: pytest.FixtureRequest, built: Path, table: str) -> Iterator[Site]:
    with other_site() as (allowed, tell_allowed), other_site() as (foreign, tell_foreign):
        environment = {
            "AWS_ENDPOINT_URL_DYNAMODB": table, "CONTACT_TABLE": TABLE, "CONTACT_DAYS": "7",
            "ALLOWED_ORIGINS": f"https://www.example.com, {allowed}/",
        }  # fmt: skip
        with opened(request.param, built, **environment) as url:
            tell_allowed(url)
            tell_foreign(url)
            yield Site(url=url, door=request.param, database=table, allowed=allowed, foreign=foreign)


# By HTTP


@pytest.mark.parametrize("name", sorted(file.name for file in (SOURCE / "src/static").iterdir()))
def test_static_files_arrive_whole_and_may_be_kept(site: Site, name: str) -> None:
    got = ask(site.url, f"GET /static/{name}")
    assert (got.status, got.headers["Content-Type"]) == (200, KINDS[Path(name).suffix])
    assert got.body == (SOURCE / "src/static" / name).read_bytes()
    assert got.headers["Cache-Control"] == "public, max-age=3600"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    again = ask(site.url, f"GET /static/{name}", {"If-None-Match": got.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    head = ask(site.url, f"HEAD /static/{name}")
    assert (head.status, head.headers["Content-Length"], head.body) == (200, str(len(got.body)), b"")


@pytest.mark.parametrize("path", ["/static/none.css", "/static/../app.py", "/static/%2e%2e/app.py", "/nowhere"])
def test_what_is_not_there_is_a_readable_page(site: Site, path: str) -> None:
    got = ask(site.url, f"GET {path}")
    assert (got.status, got.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>Not Found</h1>" in got.text
    assert 'href="/"' in got.text


def test_a_static_file_that_changes_is_fetched_again(built: Path, tmp_path: Path) -> None:
    """Also where size and time stay, as in the zips of deployments."""
    (tmp_path / "static").mkdir()
    (tmp_path / "app.py").write_bytes((built / "src/app.py").read_bytes())
    tags = set()
    for text in ("a {}", "b {}"):
        (tmp_path / "static/style.css").write_text(text)
        os.utime(tmp_path / "static/style.css", (0, 0))
        with flask_run(tmp_path, "") as url:
            tags.add(ask(url, "GET /static/style.css").headers["ETag"])
    assert len(tags) == 2


def test_the_page_runs_no_script_and_is_not_kept(site: Site) -> None:
    got = ask(site.url, "GET /")
    assert (got.status, got.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert got.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in got.headers["Content-Security-Policy"]
    assert "script" not in got.headers["Content-Security-Policy"] + got.text
    assert "Access-Control-Allow-Origin" not in got.headers


def test_a_message_is_stored_as_it_was_written(site: Site) -> None:
    email = sender()
    sent = post(site.url, name="  Zoë   Ωmega ", email=f" {email}", message="Line 1\r\n\r\n  “Line 3” 😀 \r\n")
    assert (sent.status, sent.headers["Location"]) == (303, "/thanks")
    assert "Thank you" in ask(site.url, f"GET {sent.headers['Location']}").text
    [item] = stored(site, email=email)
    key, when, expires = (item.pop(name) for name in ("id", "time", "expires"))
    assert item == {"name": "Zoë Ωmega", "email": email, "message": "Line 1\n\n  “Line 3” 😀"}
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", key)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", when)
    assert int(expires) - 7 * 86400 == datetime.fromisoformat(when).timestamp()


def test_the_same_form_sent_twice_is_stored_once(site: Site) -> None:
    email = sender()
    [token] = re.findall(r'name="token" value="([0-9a-f]{32})"', ask(site.url, "GET /").text)
    fields = GOOD | {"email": email, "token": token}
    assert post(site.url, **fields).status == 303
    [item] = stored(site, email=email)
    with database(site.database) as client:  # what is there is not written over
        client.put_item(TableName=TABLE, Item={name: {"S": text} for name, text in (item | {"time": "then"}).items()})
    assert post(site.url, **fields).status == 303
    assert [one["time"] for one in stored(site, email=email)] == ["then"]
    # back, another text, sent again: it is another message
    assert post(site.url, **fields | {"message": "Something else altogether."}).status == 303
    assert len(stored(site, email=email)) == 2
    # a token that none of our forms has is none
    assert [post(site.url, **fields | {"token": "x"}).status for _ in range(2)] == [303, 303]
    assert len(stored(site, email=email)) == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": " \t "}, {"name": "Enter your name."}),
        ({"name": "a" * 101}, {"name": "This is 101 characters long. Use at most 100."}),
        ({"email": "ada at example"}, {"email": MARKED["email"]}),
        ({"email": "ada@example"}, {"email": MARKED["email"]}),
        ({"email": "ada@example..com"}, {"email": MARKED["email"]}),
        ({"email": f"{'a' * 250}@b.cd"}, {"email": "This is 255 characters long. Use at most 254."}),
        ({"message": "too short"}, {"message": MARKED["message"]}),
        ({"message": "ü" * 4001}, {"message": "This is 4,001 characters long. Use at most 4,000."}),
        ({"email": "", "message": ""}, MARKED),
    ],
    ids=lambda given: "-".join(given),
)
def test_mistakes_are_shown_and_nothing_is_stored(site: Site, changed: dict[str, str], said: dict[str, str]) -> None:
    name = uuid4().hex
    fields = {**GOOD, "name": name, "message": f"{name} wrote this", **changed}
    got = post(site.url, **fields)
    assert got.status == 422
    beside = re.findall(r'id="(\w+)-error"><span class="hidden">Error: </span>(.*?)</p>', got.text)
    assert dict(beside) == said
    assert re.findall(r'<li><a href="#(\w+)">(.*?)</a></li>', got.text) == beside
    assert re.findall(r'aria-invalid="true" aria-describedby="(\w+)-error', got.text) == list(said)
    kept = " ".join(fields["name"].split())
    assert f'value="{kept}"' in got.text
    assert f'value="{fields["email"]}"' in got.text
    assert f">\n{fields['message']}</textarea>" in got.text
    as_json = post_json(site.url, fields)
    assert (as_json.status, json.loads(as_json.body)["errors"]) == (422, said)
    assert stored(site, name=name) == []
    assert stored(site, message=fields["message"]) == []


def test_the_longest_values_are_taken(site: Site) -> None:
    name = uuid4().hex.ljust(100, "n")
    assert post_json(site.url, {"name": name, "email": f"{'a' * 249}@b.cd", "message": "😀" * 4000}).status == 201
    assert len(stored(site, name=name)[0]["message"]) == 4000


def test_what_was_typed_is_never_markup(site: Site) -> None:
    got = post(site.url, **BAD)
    assert got.status == 422
    assert "<script" not in got.text
    assert got.text.count("</textarea>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in got.text


def test_the_field_that_people_do_not_see(site: Site) -> None:
    """A program is told nothing, and nothing is stored."""
    email = sender()
    assert post(site.url, **GOOD | {"email": email, "website": "https://example.com"}).status == 303
    assert post_json(site.url, GOOD | {"email": email, "website": "x"}).status == 201
    assert stored(site, email=email) == []


def test_json(site: Site) -> None:
    email = sender()
    got = post_json(site.url, GOOD | {"email": email})
    assert (got.status, got.headers["Content-Type"]) == (201, "application/json")
    assert json.loads(got.body) == {"message": "Thank you. We have your message."}
    assert len(stored(site, email=email, name=GOOD["name"], message=GOOD["message"])) == 1


@pytest.mark.parametrize("body", [[], "text", None, {}, {"name": 1, "email": ["x"], "message": {"a": "b"}}])
def test_json_of_another_shape(site: Site, body: Any) -> None:
    got = post_json(site.url, body)
    assert (got.status, list(json.loads(got.body)["errors"])) == (422, list(GOOD))


def test_half_a_character_is_stored_as_something(site: Site) -> None:
    """JSON can say what UTF-8 cannot."""
    email = sender()
    assert post_json(site.url, GOOD | {"email": email, "name": "\ud83d"}).status == 201
    assert stored(site, email=email)[0]["name"] == "?"


@pytest.mark.parametrize(
    ("request_line", "kind", "body", "status", "said"),
    [
        ("POST /contact", "text/plain", "{}", 415, "application/json"),
        ("POST /contact", "application/json", "{", 400, "could not understand"),
        ("POST /contact", "application/json", '{"message": "' + "x" * 70_000 + '"}', 413, "capacity limit"),
        ("PUT /contact", "application/json", "{}", 405, "not allowed"),
    ],
)
def test_failures_of_json_are_json(
    site: Site, request_line: str, kind: str, body: str, status: int, said: str
) -> None:
    got = ask(site.url, request_line, {"Content-Type": kind, "Origin": site.allowed}, body)
    assert (got.status, got.headers["Content-Type"]) == (status, "application/json")
    assert said in json.loads(got.body)["message"]
    assert got.headers["Access-Control-Allow-Origin"] == site.allowed  # or the other site could not read it
    if status == 405:
        assert {"OPTIONS", "POST"} == set(got.headers["Allow"].split(", "))


def test_failures_of_the_form_are_pages(site: Site) -> None:
    large = post(site.url, **GOOD | {"message": "x" * 70_000})
    assert (large.status, "<h1>Request Entity Too Large</h1>" in large.text) == (413, True)
    method = ask(site.url, "DELETE /")
    assert (method.status, "<h1>Method Not Allowed</h1>" in method.text) == (405, True)
    assert {"GET", "HEAD", "OPTIONS", "POST"} == set(method.headers["Allow"].split(", "))


# CORS


def preflight(site: Site, origin: str, path: str = "/contact") -> Answer:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    return ask(site.url, f"OPTIONS {path}", {"Origin": origin} | asked)


def allowed(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.lower().startswith("access-control-allow")}


def test_a_preflight_from_an_allowed_site(site: Site) -> None:
    for origin in (site.allowed, "https://www.example.com"):
        got = preflight(site, origin)
        assert (got.status, got.body, got.headers["Vary"]) == (204, b"", "Origin")
        assert allowed(got) == {
            "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
        }  # fmt: skip
        assert got.headers["Access-Control-Max-Age"] == "600"


@pytest.mark.parametrize("origin", ["", "null", "https://example.com", "https://www.example.com.evil.example", "*"])
def test_a_preflight_from_a_foreign_site(site: Site, origin: str) -> None:
    for foreign in filter(None, (origin or site.foreign, origin and origin.upper())):
        got = preflight(site, foreign)
        assert (got.status, got.body, got.headers["Vary"], allowed(got)) == (204, b"", "Origin", {})


def test_answers_to_other_sites(site: Site) -> None:
    fields = GOOD | {"email": sender()}
    for body, status in ((fields, 201), ({}, 422)):
        got = post_json(site.url, body, Origin=site.allowed)
        assert (got.status, got.headers["Vary"]) == (status, "Origin")
        assert allowed(got) == {"Access-Control-Allow-Origin": site.allowed}
        assert allowed(post_json(site.url, body, Origin=site.foreign)) == {}
        assert post_json(site.url, body).headers["Vary"] == "Origin"


def test_pages_are_of_no_concern_to_other_sites(site: Site) -> None:
    for path in ("/", "/thanks", "/static/contact.js"):
        assert allowed(preflight(site, site.allowed, path)) == {}


# DynamoDB does not do its part


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("want", ["server", "table"])
def test_a_message_that_cannot_be_stored_is_not_lost(built: Path, table: str, door: str, want: str) -> None:
    said = io.StringIO()
    endpoint = f"http://127.0.0.1:{free_port()}" if want == "server" else table
    settings = {"AWS_ENDPOINT_URL_DYNAMODB": endpoint, "CONTACT_TABLE": "nowhere"}
    with redirect_stderr(said), opened(door, built, ALLOWED_ORIGINS="https://www.example.com", **settings) as url:
        page = post(url, **GOOD, token="f" * 32)
        answer = post_json(url, GOOD, Origin="https://www.example.com")
    assert page.status == answer.status == 503
    assert "this is our fault" in page.text
    assert "Your message was not sent" in page.text
    for text in (f'value="{GOOD["name"]}"', f'value="{GOOD["email"]}"', f"{GOOD['message']}</textarea>", "f" * 32):
        assert text in page.text
    assert "this is our fault" in json.loads(answer.body)["message"]
    assert answer.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
    reason = "EndpointConnectionError: Could not connect" if want == "server" else "ResourceNotFoundException"
    lines = [line for line in said.getvalue().splitlines() if "message not stored: table nowhere: " in line]
    assert len(lines) == 2
    assert all(reason in line for line in lines)
    assert "Traceback" not in said.getvalue()
    assert GOOD["email"] not in said.getvalue()


@pytest.mark.parametrize("door", DOORS)
def test_a_mistake_in_the_program_is_logged_with_its_line(built: Path, door: str) -> None:
    said = io.StringIO()
    with redirect_stderr(said), opened(door, built, CONTACT_DAYS="soon") as url:
        page, answer = post(url, **GOOD), post_json(url, GOOD)
    assert page.status == answer.status == 500
    assert "<h1>Internal Server Error</h1>" in page.text
    assert "wrong on our side" in page.text
    assert json.loads(answer.body)["message"] == "Something went wrong on our side."
    assert said.getvalue().splitlines().count("ValueError: invalid literal for int() with base 10: 'soon'") == 2
    assert len(re.findall(r'app\.py", line \d+, in store', said.getvalue())) == 2


def test_without_a_table_the_log_says_so(built: Path) -> None:
    said = io.StringIO()
    with redirect_stderr(said), flask_run(built, "src/app.py") as url:
        assert post(url, **GOOD).status == 503
    assert "message not stored: CONTACT_TABLE is not set" in said.getvalue()


def test_invoke(built: Path, table: str) -> None:
    """With the variables of layers.yaml, among which is the table's name."""
    options = ("--in", "host", "--request", "POST /contact", "--header", "Content-Type: application/json")
    data = json.dumps(GOOD | {"email": "invoke@example.com"})
    told = invoked(built, "contact-form", *options, "--data", data, "--env", f"AWS_ENDPOINT_URL_DYNAMODB={table}")
    assert told["response"]["status"] == 201
    with database(table) as client:
        items = client.scan(TableName=TABLE)["Items"]
    [item] = [one for one in items if one["email"]["S"] == "invoke@example.com"]
    assert "expires" not in item  # without CONTACT_DAYS


@pytest.mark.parametrize("front", ["rest", "function-url", "alb", "alb-multi"])
def test_bytes_pass_each_front(built: Path, front: str) -> None:
    told = invoked(built, "contact-form", "--in", "host", "--front", front, "--request", "GET /static/icon.png")
    assert b64decode(told["response"]["body_base64"]) == (SOURCE / "src/static/icon.png").read_bytes()


def test_it_is_verified(built: Path) -> None:
    told = json.loads(run(sys.executable, "-m", "layerkit", "verify", "--json", cwd=built))
    assert {one["status"] for one in told["zips"] + told["functions"]} == {"passed"}


# As the README says


def test_the_readmes_commands(built: Path) -> None:
    assert {line.split()[0] for line in commands_exist(SOURCE)} == {
        "lock", "build", "invoke", "serve", "publish", "arns",
    }  # fmt: skip
    [line] = [line for line in readme(SOURCE) if line.startswith("layerkit invoke")]
    assert "<h1>Contact us</h1>" in followed(built, line, LAYERKIT_IN="host")


def test_the_readmes_variables(tmp_path: Path) -> None:
    """They are all that the table and `flask run` need."""
    with dynamodb(tmp_path) as endpoint:
        lines = [line.replace("http://127.0.0.1:4567", endpoint) for line in readme(SOURCE)]
        wanted = [line for line in lines if line.startswith(("export ", "python ", "flask "))]
        assert [line.split()[0] for line in wanted] == ["export", "export", "python", "flask"]
        program = f"import sys; sys.path.append('src'); import app; app.store({GOOD}, '')"
        script = "\n".join([f"python() {{ '{sys.executable}' \"$@\"; }}", *wanted[:3], f'python -c "{program}"'])
        run("bash", "-euc", script, cwd=SOURCE, PYTHONDONTWRITEBYTECODE="1", HOME=str(tmp_path))
        with database(endpoint) as client:
            assert client.scan(TableName=TABLE)["Count"] == 1


# A browser


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Pipe]:
    with chromium(tmp_path) as pipe:
        yield pipe


def problems(page: Page) -> list[str]:
    """What the browser's console says."""
    logged = [one["params"]["entry"] for one in page.pipe.events if one["method"] == "Log.entryAdded"]
    return [one["text"] for one in logged if one["level"] in ("error", "warning")]


@pytest.mark.parametrize(
    ("width", "mobile", "scheme"),
    [(1280, False, "light"), (360, True, "light"), (360, True, "dark")],
    ids=["desktop", "phone", "dark"],
)
def test_a_person_sends_the_form(
    site: Site, browser: Pipe, tmp_path: Path, width: int, mobile: bool, scheme: str
) -> None:
    """The screenshots stay in the folder of the test, to be looked at."""
    email = sender()
    page = Page(browser)
    page.size(width, 800, mobile=mobile)
    page.scheme(scheme)
    page.goto(f"{site.url}/")
    assert problems(page) == []
    assert page.value("document.images[0].naturalWidth") == 112
    empty = page.screenshot(tmp_path / "form.png")

    page.fill("#name", "Ada <b>Lovelace</b>")
    page.fill("#email", "ada at example")
    page.fill("#message", "Hi")
    with page.loading():
        page.click("button")
    assert page.value("document.title") == "Not sent: Contact us"
    assert page.value("document.activeElement.className") == "summary"
    assert [page.value(f"document.querySelector('#{name}').value") for name in GOOD] == [
        "Ada <b>Lovelace</b>", "ada at example", "Hi",
    ]  # fmt: skip
    assert [text for text in MARKED.values() if page.text().count(text) != 2] == []  # in the summary and beside
    wrong = page.screenshot(tmp_path / "errors.png")
    page.click('.summary a[href="#email"]')
    page.until("document.activeElement.id === 'email'")

    page.fill("#email", email)
    page.fill("#message", "Hello,\nhow are you?")
    page.press("Tab")  # past the field that people do not see
    assert page.value("document.activeElement.tagName") == "BUTTON"
    with page.loading():
        page.press("Enter")
    assert page.value("location.pathname") == "/thanks"
    assert "Thank you" in page.text()
    thanks = page.screenshot(tmp_path / "thanks.png")
    [item] = stored(site, email=email)
    assert (item["name"], item["message"]) == ("Ada <b>Lovelace</b>", "Hello,\nhow are you?")

    with page.loading():
        page.call("Page.reload")
    assert len(stored(site, email=email)) == 1
    assert {png_size(image)[0] for image in (empty, wrong, thanks)} == {width}  # nothing is wider than the screen
    assert len({empty, wrong, thanks}) == 3


def test_a_form_on_another_site(site: Site, browser: Pipe) -> None:
    """The browser asks the server before it sends, and the page can read also what is wrong."""
    email = sender()
    page = Page(browser)
    page.goto(f"{site.allowed}/")
    page.fill("[name=name]", "Ada")
    page.fill("[name=email]", email)
    page.fill("[name=message]", "Hi")
    page.pipe.events.clear()
    page.click("button")
    asked = page.event("Network.responseReceived", lambda one: one["type"] == "Preflight")["response"]
    assert (asked["status"], asked["url"]) == (204, f"{site.url}/contact")
    page.until("document.querySelector('[role=status]')?.textContent")
    assert MARKED["message"] in page.text()
    assert page.value("document.activeElement.name") == "message"
    assert stored(site, email=email) == []

    page.fill("[name=message]", "Hello from another site")
    page.click("button")
    page.until("document.querySelector('[role=status]').textContent.startsWith('Thank you')")
    [item] = stored(site, email=email)
    assert item["message"] == "Hello from another site"
    assert page.value("document.querySelector('[name=message]').value") == ""
    assert page.value("location.href") == f"{site.allowed}/"


def test_a_form_on_a_foreign_site(site: Site, browser: Pipe) -> None:
    """The browser does not let it be sent, and the sender reads that it was not."""
    email = sender()
    page = Page(browser)
    page.goto(f"{site.foreign}/")
    for name, text in (GOOD | {"email": email}).items():
        page.fill(f"[name={name}]", text)
    page.click("button")
    page.until("document.querySelector('[role=status]')?.textContent")
    assert "could not be sent" in page.text()
    assert page.value("document.querySelector('[name=message]').value") == GOOD["message"]
    assert any("blocked by CORS policy" in text for text in problems(page))
    assert stored(site, email=email) == []


# osls


@pytest.fixture(scope="module")
def packaged(built: Path, node: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `layerkit publish` and the lines of README.md; `package` is `deploy` without calls to AWS."""
    folder = tmp_path_factory.mktemp("osls") / "project"
    shutil.copytree(built, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "src/__pycache__").mkdir()
    (folder / "src/__pycache__/app.cpython-312.pyc").touch()
    regions = {"us-east-1": 3, "eu-west-1": 4}
    published = [entry(name, region, version) for name in LAYERS for region, version in regions.items()]
    write(folder / "dist", *published, declared=LAYERS)
    [line] = [line for line in readme(SOURCE) if line.startswith("layerkit arns")]
    followed(folder, line)
    [(_, version, command, *options)] = [shlex.split(line) for line in readme(SOURCE) if "osls" in line]
    assert (version in NODE_TOOLS, command) == (True, "deploy")  # what is told is what is tested
    osls(node, folder, "package", "--region", "eu-west-1", *options)
    return folder


def resource(folder: Path, kind: str) -> Any:
    """The properties of the one resource of a kind."""
    template = json.loads((folder / ".serverless/cloudformation-template-update-stack.json").read_text())
    [found] = [one["Properties"] for one in template["Resources"].values() if one["Type"] == kind]
    return found


def test_osls_makes_the_function(packaged: Path) -> None:
    function = resource(packaged, "AWS::Lambda::Function")
    assert function["Layers"] == [entry(name, "eu-west-1", 4).arn for name in LAYERS]
    declared = yaml.safe_load((SOURCE / "layers.yaml").read_text())["functions"]["contact-form"]
    assert declared["layers"] == list(LAYERS)
    same = {"Handler": "handler", "Timeout": "timeout", "MemorySize": "memory"}
    assert {name: function[name] for name in same} == {name: declared[key] for name, key in same.items()}
    assert (function["Runtime"], function["Architectures"]) == ("python3.12", ["arm64"])
    assert function["Environment"]["Variables"] == {
        "FLASK_APP": "src/app.py", "CONTACT_TABLE": {"Ref": "ContactTable"}, "CONTACT_DAYS": "365",
        "ALLOWED_ORIGINS": "https://www.example.com",
    }  # fmt: skip
    assert resource(packaged, "AWS::ApiGatewayV2::Route")["RouteKey"] == "$default"
    assert "CorsConfiguration" not in resource(packaged, "AWS::ApiGatewayV2::Api")


def test_the_function_may_put_items_and_write_its_log(packaged: Path) -> None:
    [policy] = resource(packaged, "AWS::IAM::Role")["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    assert {action for one in statements for action in one["Action"] if not action.startswith("logs:")} == {
        "dynamodb:PutItem"
    }
    [own] = [one for one in statements if "dynamodb:PutItem" in one["Action"]]
    assert own == {
        "Effect": "Allow", "Action": ["dynamodb:PutItem"], "Resource": {"Fn::GetAtt": ["ContactTable", "Arn"]},
    }  # fmt: skip


def test_the_table_is_the_one_of_the_tests(packaged: Path, table: str) -> None:
    declared = resource(packaged, "AWS::DynamoDB::Table")
    with database(table) as client:
        made = client.describe_table(TableName=TABLE)["Table"]
    for name in ("AttributeDefinitions", "KeySchema"):
        assert declared[name] == made[name]
    assert declared["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_the_template_is_one(packaged: Path, linters: Path) -> None:
    file = ".serverless/cloudformation-template-update-stack.json"
    options = ("--regions", "eu-west-1", "--ignore-checks", "W3005")  # osls writes a DependsOn too many
    run(linters / "cfn-lint", *options, "--", file, cwd=packaged)


def test_the_package_is_the_source_and_runs(packaged: Path, built: Path, table: str, tmp_path: Path) -> None:
    """What osls would upload, with the layers and its own variables."""
    folder = tmp_path / "deployed"
    shutil.copytree(built, folder, ignore=shutil.ignore_patterns("src"))
    with zipfile.ZipFile(packaged / ".serverless/contact-form.zip") as archive:
        archive.extractall(folder / "package")
        there = {name: archive.read(name) for name in archive.namelist()}
    files = [file for file in (SOURCE / "src").rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert there == {file.relative_to(SOURCE).as_posix(): file.read_bytes() for file in files}
    declared = (folder / "layers.yaml").read_text()
    assert declared.count("source: src\n") == 1
    (folder / "layers.yaml").write_text(declared.replace("source: src\n", "source: package\n"))
    variables = resource(packaged, "AWS::Lambda::Function")["Environment"]["Variables"]
    variables |= {"CONTACT_TABLE": TABLE, "AWS_ENDPOINT_URL_DYNAMODB": table}
    email = sender()
    with opened("layerkit serve", folder, **variables) as url:
        assert ask(url, "GET /static/icon.png").body == (SOURCE / "src/static/icon.png").read_bytes()
        assert post(url, **GOOD | {"email": email}).status == 303
    with database(table) as client:
        assert [one for one in client.scan(TableName=TABLE)["Items"] if one["email"]["S"] == email]
