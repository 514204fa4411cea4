"""examples/users-api: the same requests to plain `flask run` and to the function with its layers, on a real server
that speaks DynamoDB; and its deployment files in the tools that they are for."""

from __future__ import annotations

import json
import re
import zipfile
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
import requests
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import examples
import test_arns_tools as tools
from conftest import ROOT
from test_published import entry

pytestmark = pytest.mark.integration
sam, linters, plugins = tools.sam, tools.linters, tools.plugins  # fixtures
SOURCE = ROOT / "examples/users-api"
ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return examples.project("users-api", tmp_path_factory)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with examples.dynamodb(tmp_path_factory.mktemp("database")) as endpoint:
        yield endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]  # those that are the app's
    said: Any  # the JSON; "" where there is no body

    @property
    def problems(self) -> dict[str, str]:
        assert self.status == 400, self
        problems: dict[str, str] = self.said["problems"]
        return problems


class Door:
    """The API at an address, and its table."""

    def __init__(self, address: str, table: str, database: Any) -> None:
        self.address, self.table, self.database = address, table, database
        self.http = requests.Session()

    def __call__(self, method: str, path: str, **more: Any) -> Answer:
        got = self.http.request(method, self.address + path, allow_redirects=False, **more)
        headers = {name: got.headers[name] for name in ("Content-Type", "Location", "Allow") if name in got.headers}
        if "Location" in headers:
            headers["Location"] = headers["Location"].removeprefix(self.address)  # Flask's own are whole
        if "Allow" in headers:
            headers["Allow"] = " ".join(sorted(headers["Allow"].split(", ")))  # Werkzeug takes it from a set
        is_json = headers.get("Content-Type") == "application/json"
        said = json.loads(got.content) if got.content and is_json else got.text
        return Answer(status=got.status_code, headers=headers, said=said)

    def add(self, *emails: str) -> list[str]:
        """The ids of new users."""
        made = [self("POST", "/users", json={"name": "N", "email": email}) for email in emails]
        assert {one.status for one in made} <= {201}, made
        return [one.said["id"] for one in made]

    def page(self, limit: int, token: str = "") -> tuple[list[str], str]:
        """The ids, and the next token."""
        more = {"nextToken": token} if token else {}
        answer = self("GET", "/users", params={"limit": limit, **more})
        assert answer.status == 200, answer
        assert answer.said.keys() <= {"users", "nextToken"}
        return [user["id"] for user in answer.said["users"]], answer.said.get("nextToken", "")

    def empty(self) -> None:
        for item in self.database.scan(TableName=self.table)["Items"]:
            self.database.delete_item(TableName=self.table, Key={"id": item["id"]})


def made(endpoint: str, table: str) -> Any:
    """A client, and the table as create_table.py makes it."""
    tools.run(
        examples.LAYERKIT[0], "create_table.py", cwd=SOURCE, AWS_ENDPOINT_URL_DYNAMODB=endpoint, USERS_TABLE=table
    )
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    return boto3.client("dynamodb", endpoint_url=endpoint, **keys)


@pytest.fixture(scope="module")
def flask(database: str) -> Iterator[Door]:
    """Plain `flask run`, as the README says."""
    client = made(database, "flask")
    told = {"AWS_ENDPOINT_URL_DYNAMODB": database, "USERS_TABLE": "flask"}
    with examples.flask_run(SOURCE, "src/wsgi", **told) as address:
        door = Door(address, "flask", client)
        with door.http:
            yield door
    client.close()


@pytest.fixture(scope="module")
def local_lambda(database: str, project: Path) -> Iterator[Door]:
    """`layerkit serve`."""
    client = made(database, "lambda")
    told = ("--in", "host", "--env", f"AWS_ENDPOINT_URL_DYNAMODB={database}", "--env", "USERS_TABLE=lambda")
    with examples.serving(project, "users-api", *told) as address:
        door = Door(address, "lambda", client)
        with door.http:
            yield door
    client.close()


@pytest.fixture(scope="module", params=["flask", "local_lambda"])
def either(request: pytest.FixtureRequest) -> Door:
    door = request.getfixturevalue(request.param)
    assert isinstance(door, Door)
    return door


@pytest.fixture
def door(either: Door) -> Door:
    either.empty()
    return either


# A user


def test_a_user_is_made_found_and_listed(door: Door) -> None:
    new = door("POST", "/users", json=ADA)
    assert new.status == 201
    user = new.said
    assert user == ADA | {"id": user["id"], "created": user["created"]}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", user["created"])
    assert new.headers == {"Content-Type": "application/json", "Location": f"/users/{user['id']}"}
    assert door("GET", new.headers["Location"]).said == user
    assert door("GET", "/users").said == {"users": [user]}


def test_an_address_is_taken_once(door: Door) -> None:
    first = door("POST", "/users", json=ADA).said
    again = door("POST", "/users", json={"name": "Another", "email": " ADA@Example.com "})
    assert (again.status, again.said) == (
        409, {"message": "There is a user with the e-mail address ada@example.com already."},
    )  # fmt: skip
    assert door("GET", "/users").said == {"users": [first]}


def test_texts_are_stored_as_they_are_meant(door: Door) -> None:
    new = door("POST", "/users", json={"name": "  Zoë 💐 O'Neil\u200c ", "email": "Zoe+Tag@Example.COM"}).said
    assert (new["name"], new["email"]) == ("Zoë 💐 O'Neil\u200c", "zoe+tag@example.com")
    assert door("GET", f"/users/{new['id'].upper()}").said == new


def test_who_is_not_there(door: Door) -> None:
    answer = door("GET", f"/users/{NOBODY}")
    assert (answer.status, answer.said) == (404, {"message": f"There is no user {NOBODY}."})


NO_NAME = "is missing: 1 to 100 characters without line breaks"
NAME = "must be 1 to 100 characters without line breaks"
EMAIL = "must be an e-mail address"
BODY = {"body": "must be a JSON object, sent with Content-Type: application/json"}


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"name": NO_NAME, "email": "is missing: an e-mail address"}),
        ({"name": "", "email": ""}, {"name": NAME, "email": EMAIL}),
        ({"name": "  ", "email": "  "}, {"name": NAME, "email": EMAIL}),
        ({"name": None, "email": 7}, {"name": NAME, "email": EMAIL}),
        ({"name": ["A"], "email": {"S": "a@b.de"}}, {"name": NAME, "email": EMAIL}),
        (ADA | {"name": "x" * 101}, {"name": NAME}),
        (ADA | {"name": "a\nb"}, {"name": NAME}),
        (ADA | {"name": "a\0b"}, {"name": NAME}),
        (ADA | {"name": "\ud800"}, {"name": NAME}),
        (ADA | {"admin": True, "self": 1, "Name": "x"},
         dict.fromkeys(("Name", "admin", "self"), "is not a field of a user")),
        ({"nmae": "Ada", "email": "x"},
         {"nmae": "is not a field of a user", "name": NO_NAME,
          "email": EMAIL}),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_told_at_once(door: Door, body: Any, problems: dict[str, str]) -> None:
    answer = door("POST", "/users", json=body)
    assert answer.said == {"message": "The request is not valid.", "problems": problems}
    assert answer.status == 400
    assert door("GET", "/users").said == {"users": []}


@pytest.mark.parametrize("name", ["x", "x" * 100, "💐" * 100, "李雷"])
def test_names_at_the_bounds(door: Door, name: str) -> None:
    assert door("POST", "/users", json=ADA | {"name": name}).said["name"] == name


@pytest.mark.parametrize(
    "email",
    [
        "a", "a@", "@b.de", "a@b", "a@b.", "a@.de", "a@b..de", "a b@c.de", "a@b@c.de", "a@b.de,c@d.de",
        "a@b.de\nBcc: x@y.de", "ä@b.de", "a@bü.de", "a@b_c.de", "<a@b.de>", "a" * 250 + "@b.de", "a\u212a@b.de\u0131",
    ],
)  # fmt: skip
def test_what_is_no_address(door: Door, email: str) -> None:
    assert door("POST", "/users", json=ADA | {"email": email}).problems == {"email": EMAIL}


@pytest.mark.parametrize("email", ["a@b.de", "a" * 249 + "@b.de", "o'neil+x_1.y-z@mail-1.example.co.uk"])
def test_addresses_at_the_bounds(door: Door, email: str) -> None:
    assert door("POST", "/users", json=ADA | {"email": email}).said["email"] == email


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"x"', b"7", b"\xff\xfe", b'{"name": "x"', b"[" * 9999, b"name=x&email=a@b.de"],
    ids=lambda body: ascii(body[:20]),
)
def test_a_body_that_is_no_json_object(door: Door, body: bytes) -> None:
    assert door("POST", "/users", data=body, headers={"Content-Type": "application/json"}).problems == BODY


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type(door: Door, kind: str) -> None:
    assert door("POST", "/users", data=json.dumps(ADA), headers={"Content-Type": kind}).problems == BODY


# Pages


@pytest.mark.parametrize(
    "limit",
    ["0", "101", "-1", "", "1.5", "1e1", "ten", " 5", "+5", "05", "1_0", "٣", "0x10", "9" * 5000, "5;", "null"],
    ids=lambda limit: ascii(limit[:20]),
)
def test_limits_that_are_none(door: Door, limit: str) -> None:
    answer = door("GET", "/users", params={"limit": limit})
    assert answer.problems == {"limit": "must be a whole number from 1 to 100"}


def test_the_bounds_of_limit(door: Door) -> None:
    ids = set(door.add(*(f"u{number}@example.com" for number in range(101))))
    for limit in (1, 9, 10, 99, 100):
        assert len(door.page(limit)[0]) == limit
    first, token = door.page(100)
    last, end = door.page(100, token)
    assert ({*first, *last}, len(last), end) == (ids, 1, "")
    assert len(door("GET", "/users").said["users"]) == 20  # where nothing is asked for


def token(value: Any) -> str:
    return urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode()


def tokens_that_are_none() -> Sequence[str]:
    deep = b"[" * 60 + b"]" * 14
    return [
        "", "x", "garbage", "%", "=", "====", "🙂", "\0", NOBODY, json.dumps({"id": NOBODY}), token(b""), token(b"{"),
        token(b"\xff\xfe\xfd"), token(deep), token(None), token(7), token(NOBODY), token([NOBODY]), token({}),
        token({"id": None}), token({"id": 7}), token({"id": {"S": NOBODY}}), token({"id": [NOBODY]}),
        token({"id": "x"}), token({"id": ""}), token({"ID": NOBODY}), token({"key": NOBODY}),
        token({"id": NOBODY, "x": 1}), token([["id", NOBODY]]), "!" + token({"id": NOBODY}),
        token({"id": NOBODY})[:-1], token({"id": NOBODY}) * 2, "A" * 7000, token(b"[" * 4000),
    ]  # fmt: skip


@pytest.mark.parametrize("token", tokens_that_are_none(), ids=lambda token: ascii(token[:30]))
def test_tokens_that_are_none(door: Door, token: str) -> None:
    answer = door("GET", "/users", params={"nextToken": token})
    assert answer.said == {
        "message": "The request is not valid.", "problems": {"nextToken": "is not one that this API gave"},
    }  # fmt: skip
    assert (answer.status, answer.headers) == (400, {"Content-Type": "application/json"})


@settings(max_examples=100)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=60).map(token)))
def test_no_token_is_a_failure(either: Door, token: str) -> None:
    assert either("GET", "/users", params={"nextToken": token.encode("utf-8", "replace")}).status == 400


def test_a_token_that_was_made_up_is_a_place_in_the_list(door: Door) -> None:
    everybody = door.page(100)[0] if door.add(*(f"u{number}@example.com" for number in range(9))) else []
    for _ in range(20):
        found, end = door.page(100, token({"id": str(uuid4())}))
        assert found == everybody[len(everybody) - len(found) :]
        assert end == ""


def test_a_token_says_where_a_page_ended(door: Door) -> None:
    """And can be asked for again, as often as one likes, and after its user is gone."""
    door.add(*(f"u{number}@example.com" for number in range(5)))
    first, given_ = door.page(2)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", given_)  # goes into an address as it is
    assert json.loads(urlsafe_b64decode(given_)) == {"id": first[-1]}
    second = door.page(2, given_)
    assert door.page(2, given_) == second
    door.database.delete_item(TableName=door.table, Key={"id": {"S": first[-1]}})
    assert door.page(2, given_) == second


@settings(max_examples=25)
@given(
    at_start=st.integers(0, 25),
    limits=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    added=st.lists(st.integers(0, 4), min_size=1, max_size=8),
)
def test_pages_are_stable_while_users_are_added(
    either: Door, at_start: int, limits: list[int], added: list[int]
) -> None:
    """Who was there at the first page is on exactly one; who came later is on one or on none."""
    either.empty()
    wave = uuid4().hex  # other addresses, and so other places in the order, each time
    there = either.add(*(f"{wave}-{number}@start.example" for number in range(at_start)))
    later: list[str] = []
    seen: list[str] = []
    token, turn = "", 0
    while turn == 0 or token:
        page, token = either.page(limits[turn % len(limits)], token)
        assert len(page) <= limits[turn % len(limits)]
        seen += page
        if turn < len(added):
            later += either.add(*(f"{wave}-{turn}-{number}@later.example" for number in range(added[turn])))
        turn += 1
    assert len(seen) == len(set(seen))
    assert set(there) <= set(seen) <= {*there, *later}
    assert [one for one in either.page(100)[0] if one in seen] == seen  # in the same order as ever


# Other requests


@pytest.mark.parametrize("path", ["/", "/nothing", "/users/", "/users/7", "/users/../etc", f"/users/{NOBODY}/x"])
def test_paths_that_are_none(door: Door, path: str) -> None:
    answer = door("GET", path)
    assert (answer.status, answer.headers) == (404, {"Content-Type": "application/json"})
    assert answer.said["message"].startswith("The requested URL was not found on the server.")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/users", "GET HEAD OPTIONS POST"),
        ("DELETE", f"/users/{NOBODY}", "GET HEAD OPTIONS"),
        ("POST", f"/users/{NOBODY}", "GET HEAD OPTIONS"),
    ],
)
def test_methods_that_are_not_allowed(door: Door, method: str, path: str, allowed: str) -> None:
    answer = door(method, path, json=ADA)
    assert (answer.status, answer.headers) == (405, {"Content-Type": "application/json", "Allow": allowed})
    assert answer.said == {"message": "The method is not allowed for the requested URL."}


def test_options(door: Door) -> None:
    answer = door("OPTIONS", "/users")
    assert (answer.status, answer.headers["Allow"], answer.said) == (200, "GET HEAD OPTIONS POST", "")


def test_head(door: Door) -> None:
    user = door("POST", "/users", json=ADA).said
    for path, status in (
        ("/users", 200), (f"/users/{user['id']}", 200), ("/users?limit=0", 400), (f"/users/{NOBODY}", 404),
    ):  # fmt: skip
        head = door("HEAD", path)
        assert (head.status, head.said, head.headers["Content-Type"]) == (status, "", "application/json")


# Both doors


SCRIPT: Sequence[tuple[str, str, Any]] = [
    ("GET", "/users", None),
    *(("POST", "/users", {"name": f"N {at}", "email": f"u{at}@example.com"}) for at in range(7)),
    ("POST", "/users", {"name": "Another", "email": "U1@example.com"}),
    ("POST", "/users", {"nmae": "x"}),
    ("POST", "/users", None),
    ("GET", "/users?limit=3", None),
    ("GET", "/users?limit=3&limit=4", None),
    ("GET", f"/users?limit=3&nextToken={token({'id': NOBODY})}", None),
    ("GET", f"/users?limit=5&nextToken={token({'id': NOBODY}).replace('e', '%65')}", None),
    ("GET", "/users?limit=x&nextToken=y", None),
    ("GET", "/users?nextToken=y", None),
    ("GET", f"/users/{NOBODY}", None),
    ("HEAD", "/users", None),
    ("OPTIONS", "/users", None),
    ("PATCH", "/users", None),
    ("GET", "/us%65rs", None),
    ("GET", "/users%3Flimit=1", None),
    ("GET", f"/users//{NOBODY}", None),
]


def alike(answer: Answer) -> Answer:
    """But for what time it was, and where."""
    text = re.sub(r'"created": "[^"]*"', '"created": ""', json.dumps(answer.said))
    text = re.sub(r"http://127.0.0.1:\d+", "", text)
    return Answer(status=answer.status, headers=answer.headers, said=json.loads(text))


def test_both_doors_answer_alike(flask: Door, local_lambda: Door) -> None:
    """The ids come from the addresses, so even the order is the same."""
    told: list[list[Answer]] = []
    for one in (flask, local_lambda):
        one.empty()
        told.append([alike(one(method, path, json=body)) for method, path, body in SCRIPT])
    for step, plain, served in zip(SCRIPT, *told, strict=True):
        assert plain == served, step
    assert {answer.status for answer in told[0]} == {200, 201, 308, 400, 404, 405, 409}


# As the README says


def test_the_readmes_commands(database: str, project: Path) -> None:
    """Those for the local Lambda, with variables that the shell has."""
    assert {line.split()[0] for line in examples.commands_exist(SOURCE)} == {
        "lock", "build", "invoke", "serve", "publish", "arns",
    }  # fmt: skip
    made(database, "readme").close()
    [line] = [line for line in examples.readme(SOURCE) if line.startswith("layerkit invoke")]
    told = {"AWS_ENDPOINT_URL_DYNAMODB": database, "USERS_TABLE": "readme", "LAYERKIT_IN": "host"}
    said = examples.followed(project, f"{line} --env USERS_TABLE", **told)
    assert said.endswith('{"users":[]}\n')


# As each front asks


@pytest.fixture(scope="module")
def asked_by(database: str, project: Path) -> Callable[..., Answer]:
    """asked_by(front, request, ...): `layerkit invoke`."""
    client = made(database, "fronts")
    for name in "ab":
        item = {"id": str(uuid4()), "name": name, "email": f"{name}@b.de"}
        client.put_item(TableName="fronts", Item={key: {"S": value} for key, value in item.items()})
    client.close()
    told = ("--in", "host", "--env", f"AWS_ENDPOINT_URL_DYNAMODB={database}", "--env", "USERS_TABLE=fronts")

    def ask(front: str, request: str, *options: str) -> Answer:
        said = examples.invoked(project, "users-api", "--front", front, "--request", request, *told, *options)
        got = said["response"]
        headers = {name: value for name, value in got["headers"] if name in ("Content-Type", "Location", "Allow")}
        return Answer(status=got["status"], headers=headers, said=json.loads(got["body"] or '""'))

    return ask


@pytest.mark.parametrize(("front", "mount"), [("http-api", ""), ("rest", "/prod"), ("function-url", ""), ("alb", "")])
def test_each_front(asked_by: Callable[..., Answer], front: str, mount: str) -> None:
    user = {"name": "Zoë", "email": f"zoe@{front}.example"}
    new = asked_by(front, "POST /users", "--header", "Content-Type: application/json", "--data", json.dumps(user))
    assert (new.status, new.said["name"]) == (201, "Zoë"), new
    assert new.headers["Location"] == f"{mount}/users/{new.said['id']}"
    assert asked_by(front, f"GET /users/{new.said['id']}").said == new.said
    first = asked_by(front, "GET /users?limit=1").said
    second = asked_by(front, f"GET /users?limit=100&nextToken={first['nextToken']}").said
    ids = [user["id"] for user in first["users"] + second["users"]]
    assert new.said["id"] in ids
    assert len(ids) == len(set(ids)) >= 3
    wrong = asked_by(front, "GET /users?nextToken=%F0%9F%99%82")
    assert (wrong.status, wrong.headers["Content-Type"]) == (400, "application/json")


def test_a_database_that_fails_is_told_in_the_log(database: str, project: Path) -> None:
    """And to the client by a number that stands there, too."""
    told = ("--in", "host", "--env", f"AWS_ENDPOINT_URL_DYNAMODB={database}", "--env", "USERS_TABLE=absent")
    said = examples.invoked(project, "users-api", "--request", "GET /users", *told)
    answer = json.loads(said["response"]["body"])
    assert (said["response"]["status"], answer["message"]) == (500, "Internal Server Error")
    log = "\n".join(said["log"])
    assert f"GET /users failed in request {answer['requestId']}: ResourceNotFoundException" in log
    assert "/var/task/routes.py" in log


def test_a_database_that_is_not_there_is_an_answer_before_the_timeout(project: Path) -> None:
    told = ("--in", "host", "--env", f"AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:{examples.free_port()}")
    said = examples.invoked(project, "users-api", "--request", "GET /users", *told)
    assert said["response"]["status"] == 500
    assert "EndpointConnectionError" in "\n".join(said["log"])


# Deployment

FLASK, SHIM = entry(region="eu-west-1", version=3), entry("lambda-wsgi", "eu-west-1", 5)
PUBLISHED = (entry(), entry("lambda-wsgi"), entry("serverless-wsgi"), FLASK, SHIM)


@pytest.fixture
def deployable(tmp_path: Path) -> examples.Deployable:
    return examples.Deployable("users-api", tmp_path, *PUBLISHED, stubs=("sam", "terraform"))


def asked() -> set[str]:
    """The actions that the source asks DynamoDB for, in IAM's words."""
    calls = re.findall(r"dynamodb\(\)\.([a-z_]+)\(", (SOURCE / "src/routes.py").read_text())
    return {f"dynamodb:{call.title().replace('_', '')}" for call in calls}


def test_terraform(deployable: examples.Deployable, plugins: Path) -> None:
    """The README's commands, then a plan, which asks AWS nothing."""
    said = deployable.follow("layerkit arns --format tfvars", "terraform -chdir=terraform apply")
    assert said == [["terraform", "-chdir=terraform", verb] for verb in ("init", "apply")]
    folder = deployable.folder / "terraform"
    (folder / "testing_override.tf").write_text(examples.OVERRIDE)
    tools.terraform("init", f"-plugin-dir={plugins}", cwd=folder)
    assert tools.terraform("fmt", "-check", "-diff", cwd=folder) == ""
    assert json.loads(tools.terraform("validate", "-json", cwd=folder))["diagnostics"] == []
    tools.terraform("plan", "-out=plan", "-var=region=eu-west-1", cwd=folder)
    shown = json.loads(tools.terraform("show", "-json", "plan", cwd=folder))
    planned = {one["type"]: one["values"] for one in shown["planned_values"]["root_module"]["resources"]}
    function = planned["aws_lambda_function"]
    assert function["layers"] == [FLASK.arn, SHIM.arn]
    assert (function["runtime"], function["architectures"]) == ("python3.12", ["arm64"])
    assert function["environment"] == [{"variables": {"USERS_TABLE": planned["aws_dynamodb_table"]["name"]}}]
    assert planned["aws_dynamodb_table"]["hash_key"] == "id"
    assert planned["aws_cloudwatch_log_group"]["retention_in_days"] == 30
    assert planned["aws_apigatewayv2_integration"]["payload_format_version"] == "2.0"
    with zipfile.ZipFile((folder / function["filename"]).resolve()) as package:
        assert sorted(package.namelist()) == ["routes.py", "wsgi.py"]
        assert {info.external_attr >> 16 & 0o444 for info in package.infolist()} == {0o444}


def test_a_region_without_the_layers_is_no_plan(deployable: examples.Deployable, plugins: Path) -> None:
    deployable.follow("layerkit arns --format tfvars", "python3 -m zipfile")
    folder = deployable.folder / "terraform"
    (folder / "testing_override.tf").write_text(examples.OVERRIDE)
    tools.terraform("init", f"-plugin-dir={plugins}", cwd=folder)
    with pytest.raises(AssertionError, match=r"(?s)Invalid index.*ap-south-1"):
        tools.terraform("plan", "-no-color", "-var=region=ap-south-1", cwd=folder)


def test_another_reader_of_hcl(linters: Path) -> None:
    """Where there is no Terraform."""
    read: dict[str, list[Any]] = {}
    for file in sorted((SOURCE / "terraform").glob("*.tf")):
        for kind, blocks in json.loads(tools.run(linters / "hcl2tojson", file, cwd=SOURCE)).items():
            read.setdefault(kind, []).extend(blocks)
    resources = {kind.strip('"'): block for one in read["resource"] for kind, block in one.items()}
    [function] = resources["aws_lambda_function"].values()
    assert function["layers"] == [f'${{var.layer_arns[var.region]["{key}"]}}' for key in ("flask", "lambda-wsgi")]
    [policy] = resources["aws_iam_role_policy"].values()
    assert set(re.findall(r"dynamodb:\w+", json.dumps(policy))) == asked() == {
        "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan",
    }  # fmt: skip
    assert "*" not in set(re.findall(r'"([^"]*)"', policy["policy"]))


def test_sam(deployable: examples.Deployable, sam: Path, linters: Path) -> None:
    """The README's commands, and SAM's own reading of what it was told."""
    tools.linted(sam, linters, deployable.folder, "eu-west-1")
    [[*words, overrides]] = deployable.follow("layerkit arns flask", "sam deploy")
    assert words == ["sam", "deploy", "--guided", "--parameter-overrides"]
    template = deployable.folder / "template.yaml"
    assert examples.sam_layers(sam, template, "us-east-1", overrides) == {
        "UsersApi": [PUBLISHED[0].arn, PUBLISHED[1].arn]
    }
    text = template.read_text()
    assert set(re.findall(r"dynamodb:\w+", text)) == asked()
    pattern = re.findall(r"AllowedPattern: (.*)", text)
    assert len(pattern) == 2
    assert all(re.fullmatch(one, PUBLISHED[0].arn) and not re.fullmatch(one, "flask-layer") for one in pattern)


def test_both_deployments_agree_with_layers_yaml() -> None:
    declared = yaml.safe_load((SOURCE / "layers.yaml").read_text())["functions"]["users-api"]
    template = re.sub(r"!\w+ ", "", (SOURCE / "template.yaml").read_text())
    function = yaml.safe_load(template)["Resources"]["UsersApi"]["Properties"]
    assert (function["Handler"], function["Timeout"], function["MemorySize"]) == (
        declared["handler"], declared["timeout"], declared["memory"],
    )  # fmt: skip
    text = (SOURCE / "terraform/main.tf").read_text()
    for name, key in (("handler", "handler"), ("timeout", "timeout"), ("memory_size", "memory")):
        assert re.search(rf"^  {name} += {json.dumps(declared[key])}( |$)", text, re.MULTILINE), name
