"""The handler shim against the conformance table, any bytes through every front, and the models' own strictness."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_from_bytes, quote_plus, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conformance
from conformance import ALB, CASES, GATEWAY, HTTP_2, App, Case, Context, answers, checks, echo, failure, native, run
from conftest import ROOT
from layerkit.fronts import ALB_LIMIT, FRONTS, LAMBDA_LIMIT, Event, Refused, Request, Response, Setup

sys.path.insert(0, str(ROOT / "layers/lambda-wsgi"))

from lambda_wsgi import LambdaWSGI, NotHTTP

each_front = pytest.mark.parametrize("front", FRONTS)


def shim(app: App, settings: Mapping[str, str]) -> conformance.Handler:
    return LambdaWSGI(app)  # the settings are in the environment


# -- the table


@pytest.mark.parametrize(
    ("case", "front"),
    [pytest.param(case, front, id=f"{case.name} [{front}]") for case, front in checks(CASES)],
)
def test_the_table(case: Case, front: str) -> None:
    assert failure(shim, case, front) is None


def test_the_table_is_large_and_its_names_are_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 120
    for front in FRONTS:
        assert len(checks(CASES, [front])) >= 120
    assert len(checks([case for case in CASES if not case.own])) >= 580


def test_no_case_can_be_passed_by_chance() -> None:
    def broken(app: App, settings: Mapping[str, str]) -> conformance.Handler:
        def handler(event: Event, context: Any) -> Any:
            raise ArithmeticError("out of order")

        return handler

    assert {(found.case, found.front) for found in run(broken)} == {
        (case.name, front) for case, front in checks(CASES)
    }


def test_an_answer_that_says_nothing_fails_where_the_app_is_asked() -> None:
    found = run(lambda app, settings: lambda event, context: {"statusCode": 200, "body": ""}, fronts=["rest"])
    assert {"path: plain", "query: two keys", "header: one", "body: JSON"} <= {one.case for one in found}
    assert all(one.front == "rest" and one.reason for one in found)


# -- any bytes


def ask(front: str, request: Request, app: Any = echo, setup: Setup | None = None) -> Response:
    model = FRONTS[front](setup or Setup())
    with conformance.environment({}):
        return model.response(LambdaWSGI(app([]))(model.event(request), Context()), request)


def seen(front: str, request: Request, setup: Setup | None = None) -> tuple[dict[str, str], bytes]:
    told = json.loads(ask(front, request, setup=setup).body)
    return told["environ"], told["body"].encode("latin-1")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40).map(str.strip)


@each_front
@given(data=st.data())
def test_any_path_comes_as_it_went(front: str, data: st.DataObject) -> None:
    if FRONTS[front].raw_path:
        rest = quote_from_bytes(data.draw(st.binary(max_size=40)), safe="/")
    else:  # decoded by the front: text, and cut at a question mark
        rest = quote(data.draw(texts).replace("?", ""))
    environ, _ = seen(front, Request(target=f"/x{rest}"))
    assert environ["PATH_INFO"] == unquote_to_bytes(f"/x{rest}").decode("latin-1")


@pytest.mark.parametrize("front", GATEWAY)
@pytest.mark.parametrize("route", ["", "/{proxy+}", "/{first}/{rest+}"])
@given(data=st.data())
def test_any_stage_is_apart_from_any_path(front: str, route: str, data: st.DataObject) -> None:
    stage = data.draw(st.from_regex("[A-Za-z0-9_-]{1,8}", fullmatch=True))
    parts = st.sampled_from([stage, f"{stage}s", stage[:-1] or "a", "users", "a b", "é", "%41"])
    path = "/" + "/".join(data.draw(st.lists(parts, min_size=2, max_size=4)))
    environ, _ = seen(front, Request(target=quote(path)), Setup(stage=stage, route=route))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (f"/{stage}", native(path))


@each_front
@given(pairs=st.lists(st.tuples(texts.filter(bool), texts), max_size=5), data=st.data())
def test_any_query_comes_as_it_went(front: str, pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    safe, space = data.draw(st.sampled_from([("", "+"), ("", "%20"), ("/:?@!$'()*,;=", "+")]))
    written = [(quote_plus(name, safe="/"), quote_plus(value, safe=safe)) for name, value in pairs]
    query = "&".join(f"{name}={value}" for name, value in written).replace("+", space)
    environ, _ = seen(front, Request(target=f"/?{query}"))
    got = parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)
    if FRONTS[front].raw_query:
        assert environ["QUERY_STRING"] == query
    elif front == ALB:
        assert dict(got) == dict(pairs)
        assert len(got) == len(dict(pairs))
    else:
        assert sorted(got) == sorted(pairs)
        assert conformance._grouped(got) == conformance._grouped(pairs)


@each_front
@given(value=lines)
def test_any_header_comes_as_it_went(front: str, value: str) -> None:
    environ, _ = seen(front, Request(headers=(("X-Any", native(value)),)))
    assert environ["HTTP_X_ANY"] == native(value)


@each_front
@given(body=st.binary(max_size=200), kind=st.sampled_from(["application/octet-stream", "image/png", "a/b+c", ""]))
def test_any_body_comes_as_it_went(front: str, body: bytes, kind: str) -> None:
    headers = (("Content-Type", kind),) if kind else ()
    environ, got = seen(front, Request(method="POST", headers=headers, body=body))
    assert (got, environ["CONTENT_LENGTH"]) == (body, str(len(body)))


@each_front
@given(text=texts, kind=st.sampled_from(["text/plain", "application/json", "application/xml; charset=utf-8"]))
def test_any_text_comes_as_it_went(front: str, text: str, kind: str) -> None:
    request = Request(method="POST", headers=(("Content-Type", kind),), body=text.encode())
    for binary in ((), ("*/*",)):
        environ, got = seen(front, request, Setup(binary=binary))
        assert (got, environ["CONTENT_LENGTH"]) == (text.encode(), str(len(text.encode())))


KINDS = [
    "text/html", "text/plain; charset=utf-8", "text/plain; charset=iso-8859-1", "text/csv; charset=utf-16",
    "application/json", "application/problem+json", "image/svg+xml", "application/octet-stream", "image/png",
]  # fmt: skip


@each_front
@given(body=st.binary(max_size=200) | texts.map(str.encode), kind=st.sampled_from(KINDS), encoded=st.booleans())
def test_any_answer_goes_as_it_came(front: str, body: bytes, kind: str, encoded: bool) -> None:
    headers = [("Content-Type", kind), *([("Content-Encoding", "br")] if encoded else [])]
    response = ask(front, Request(), answers(body, headers=headers))
    assert (response.status, response.get("Content-Type"), response.body) == (200, kind, body)


@each_front
@given(
    value=lines, crumbs=st.lists(st.from_regex("[a-z]{1,3}=[A-Za-z0-9,]{0,9}(; Path=/)?", fullmatch=True), max_size=9)
)
def test_any_header_and_cookies_go_as_they_came(front: str, value: str, crumbs: list[str]) -> None:
    headers = [("X-Any", native(value)), *[("Set-Cookie", crumb) for crumb in crumbs]]
    response = ask(front, Request(), answers(headers=headers))
    assert response.get("X-Any") == native(value)
    assert sorted(response.all("Set-Cookie")) == sorted(crumbs)


# -- what is no HTTP request

TOKEN = {"type": "TOKEN", "methodArn": "arn:aws:execute-api:us-east-1:1:id/prod/GET/", "authorizationToken": "t"}
NO_REQUESTS: dict[str, Any] = {
    "SQS": {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
    "S3": {"Records": [{"eventSource": "aws:s3", "s3": {}}]},
    "schedule": {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": {}},
    "authorizer of a token": TOKEN,
    "a WebSocket's message": {
        "requestContext": {"eventType": "MESSAGE", "connectionId": "c", "routeKey": "$default", "stage": "prod"},
        "body": "hello", "isBase64Encoded": False,
    },
    "a WebSocket's connect": {
        "headers": {"Host": "id.execute-api.us-east-1.amazonaws.com"}, "multiValueHeaders": {},
        "requestContext": {"eventType": "CONNECT", "connectionId": "c", "routeKey": "$connect", "stage": "prod"},
    },
    "an invocation": {"path": "/users"},
    "nothing": {},
    "a list": [],
    "null": None,
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_REQUESTS)
def test_another_event_is_never_taken_for_a_request(kind: str) -> None:
    with pytest.raises(NotHTTP):
        LambdaWSGI(echo([]))(NO_REQUESTS[kind], Context())


@pytest.mark.parametrize("front", GATEWAY)
def test_an_authorizers_event_is_never_taken_for_the_request_in_it(front: str) -> None:
    """docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html: the request, and more."""
    request = FRONTS[front]().event(Request(target="/users", headers=(("Authorization", "secret"),)))
    asked = {
        "type": "REQUEST",
        "routeArn" if front == HTTP_2 else "methodArn": "arn:aws:execute-api:us-east-1:1:id/x",
    }
    with pytest.raises(NotHTTP) as caught:
        LambdaWSGI(echo([]))(request | asked, Context())
    assert "secret" not in str(caught.value)


# -- the models

PLAIN: Event = {
    "statusCode": 200,
    "headers": {"Content-Type": "text/plain"},
    "body": "hello",
    "isBase64Encoded": False,
}
LISTS: Event = {key: value for key, value in PLAIN.items() if key != "headers"} | {
    "multiValueHeaders": {"Content-Type": ["text/plain"], "Set-Cookie": ["a=1", "b=2"]}
}
DESCRIBED: Event = {"statusDescription": "200 OK"}
GOOD: dict[str, list[Event]] = {
    "rest": [PLAIN, LISTS, PLAIN | {"statusCode": "200"}, {"headers": {}}, PLAIN | {"body": None}],
    "http-api-1.0": [PLAIN, LISTS],
    "http-api": [PLAIN, PLAIN | {"cookies": ["a=1", "b=2"]}],
    "function-url": [PLAIN, PLAIN | {"cookies": ["a=1", "b=2"]}],
    "alb": [PLAIN | DESCRIBED, PLAIN, {"statusCode": 200}],
    "alb-multi": [LISTS | DESCRIBED, LISTS],
    "lattice-v1": [PLAIN | DESCRIBED, PLAIN | DESCRIBED | {"cookies": ["a=1"]}],
    "lattice-v2": [PLAIN | DESCRIBED],
}


@each_front
def test_a_model_takes_what_its_front_takes(front: str) -> None:
    for answer in GOOD[front]:
        assert FRONTS[front]().response(answer).status == 200
    response = FRONTS[front]().response(GOOD[front][0] | {"body": "w6k=", "isBase64Encoded": True})
    assert (response.body, response.get("Content-Length")) == ("é".encode(), "2")


ANYWHERE: dict[str, Any] = {
    "a header of two lines": {"headers": {"X-A": "1\r\nX-B: 2"}, "multiValueHeaders": {"X-A": ["1\nX-B: 2"]}},
    "no base64": {"body": "%%%", "isBase64Encoded": True},
    "base64 with more": {"body": "w6k=x", "isBase64Encoded": True},
    "a body that is an object": {"body": {"a": 1}},
    "isBase64Encoded as text": {"isBase64Encoded": "true"},
    "a status that is none": {"statusCode": "OK"},
    "a status that is true": {"statusCode": True},
    "headers with a number": {"headers": {"X-A": 1}, "multiValueHeaders": {"X-A": [1]}},
    "headers with null": {"headers": {"X-A": None}, "multiValueHeaders": {"X-A": [None]}},
    "headers with a list, lists with a text": {"headers": {"X-A": ["1"]}, "multiValueHeaders": {"X-A": "1"}},
    "headers in a list": {"headers": [["X-A", "1"]], "multiValueHeaders": [["X-A", ["1"]]]},
    "bytes": {"body": b"hello"},
    "no number": {"statusCode": float("nan")},
    "more than Lambda's limit": {"body": "a" * LAMBDA_LIMIT},
}


@each_front
@pytest.mark.parametrize("what", ANYWHERE)
def test_a_model_refuses_what_no_front_takes(front: str, what: str) -> None:
    with pytest.raises(Refused) as caught:
        FRONTS[front]().response(GOOD[front][0] | ANYWHERE[what])
    assert caught.value.status == FRONTS[front].failure


REFUSED: list[tuple[str, str, Any]] = [
    ("rest", "a key of ALB's", PLAIN | DESCRIBED),
    ("rest", "a key of payload 2.0's", PLAIN | {"cookies": ["a=1"]}),
    ("rest", "nothing", {}),
    ("rest", "a text", "hello"),
    ("rest", "null", None),
    ("http-api-1.0", "no status", {"body": "hello"}),
    ("http-api-1.0", "a text", "hello"),
    ("http-api", "cookies in a text", PLAIN | {"cookies": "a=1"}),
    ("function-url", "cookies with null", PLAIN | {"cookies": [None]}),
    ("alb", "no status", {"body": "hello"}),
    ("alb", "a status in a text", PLAIN | {"statusCode": "200"}),
    ("alb", "a null body", PLAIN | {"body": None}),
    ("alb", "null headers", PLAIN | {"headers": None}),
    ("alb", "a null description", PLAIN | {"statusDescription": None}),
    ("alb", "a description without its code", PLAIN | {"statusDescription": "OK"}),
    ("alb", "a description without its reason", PLAIN | {"statusDescription": "200 "}),
    ("alb", "more than its limit", PLAIN | {"body": "a" * ALB_LIMIT}),
    ("alb", "a text", "hello"),
    ("alb-multi", "null headers", LISTS | {"multiValueHeaders": None}),
    ("alb-multi", "a null body", LISTS | {"body": None}),
    ("alb-multi", "more than its limit", LISTS | {"body": "é" * ALB_LIMIT}),
    ("lattice-v1", "no status", {"body": "hello"}),
    ("lattice-v2", "cookies in a text", PLAIN | {"cookies": "a=1"}),
    ("lattice-v2", "a null description", PLAIN | {"statusDescription": None}),
    ("lattice-v2", "a text", "hello"),
]


@pytest.mark.parametrize(("front", "answer"), [pytest.param(f, a, id=f"{f}: {what}") for f, what, a in REFUSED])
def test_a_model_refuses_what_its_front_does(front: str, answer: Any) -> None:
    with pytest.raises(Refused):
        FRONTS[front]().response(answer)


def test_what_a_front_ignores_is_lost() -> None:
    both = PLAIN | LISTS
    for front, kept in (("alb", []), ("alb-multi", ["b=2", "a=1"]), ("http-api", []), ("function-url", [])):
        assert FRONTS[front]().response(both).all("Set-Cookie") == kept
    cased = PLAIN | {"headers": {"Set-Cookie": "a=1", "set-cookie": "b=2"}}
    assert FRONTS["alb"]().response(cased).all("Set-Cookie") == ["a=1", "b=2"]
    assert FRONTS["http-api"]().response(cased).all("Set-Cookie") == ["b=2"]


def test_base64_stays_where_a_rest_api_takes_no_binary_type() -> None:
    encoded = PLAIN | {"body": "w6k=", "isBase64Encoded": True}
    model = FRONTS["rest"](Setup(binary=("image/*",)))
    assert model.response(encoded, Request()).body == b"w6k="
    assert model.response(encoded, Request(headers=(("Accept", "text/html, image/png"),))).body == b"w6k="
    assert model.response(encoded, Request(headers=(("Accept", "image/png;q=1"),))).body == "é".encode()


def test_http_has_no_body_there() -> None:
    response = FRONTS["rest"]().response(PLAIN, Request(method="HEAD"))
    assert (response.body, response.all("Content-Length")) == (b"", [])
    response = FRONTS["alb"]().response(PLAIN | {"statusCode": 304})
    assert (response.status, response.body) == (304, b"")


def test_a_payload_2_answer_without_a_status_is_the_body_itself() -> None:
    response = FRONTS["http-api"]().response({"message": "hello"})
    assert (response.status, response.get("Content-Type")) == (200, "application/json")
    assert json.loads(response.body) == {"message": "hello"}


SENT = Request(
    method="POST",
    target="/a%20b/c?x=1&x=2&y=a+b%2F",
    headers=(("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1; b=2"), ("Content-Type", "image/png")),
    body=b"\xff",
)


def test_the_models_send_what_their_sources_show() -> None:
    http_2, http_1, rest, url, alb, lists, lattice_1, lattice_2 = (front().event(SENT) for front in FRONTS.values())

    assert (rest["path"], rest["requestContext"]["path"]) == ("/a%20b/c", "/prod/a%20b/c")
    assert rest["pathParameters"] == {"proxy": "a%20b/c"}
    assert rest["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": ["a b/"]}
    assert rest["queryStringParameters"] == {"x": "2", "y": "a b/"}
    assert (rest["headers"]["X-A"], rest["headers"]["x-a"]) == ("1", "2")
    assert not {"version"} & rest.keys()
    assert not any(name.lower() == "content-length" for name in rest["headers"])

    assert (http_1["version"], http_1["path"], http_1["resource"]) == ("1.0", "/a%20b/c", "$default")
    assert http_1["multiValueHeaders"]["x-a"] == ["1", "2"]
    assert http_1["headers"]["Content-Length"] == "1"

    assert (http_2["rawPath"], http_2["rawQueryString"]) == ("/a b/c", "x=1&x=2&y=a+b%2F")
    assert (http_2["cookies"], http_2["headers"]["x-a"]) == (["a=1", "b=2"], "1,2")
    assert "cookie" not in http_2["headers"]
    assert (url["rawPath"], url["requestContext"]["http"]["path"]) == ("/a%20b/c", "/a b/c")
    assert (url["cookies"], url["headers"]["cookie"]) == (["a=1", "b=2"], "a=1; b=2")

    assert (alb["path"], alb["queryStringParameters"]) == ("/a%20b/c", {"x": "2", "y": "a+b%2F"})
    assert alb["headers"]["x-a"] == "2"
    assert lists["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": ["a+b%2F"]}
    assert lists["multiValueHeaders"]["x-a"] == ["1", "2"]
    assert not {"headers", "queryStringParameters"} & lists.keys()

    assert lattice_1["raw_path"] == "/a%20b/c?x=1&x=2&y=a+b%2F"
    assert lattice_1["query_string_parameters"] == {"x": "1", "y": "a+b%2F"}
    assert lattice_1["headers"]["x-a"] == "1,2"
    assert (lattice_2["path"], lattice_2["headers"]["x-a"]) == ("/a%20b/c", ["1", "2"])

    bodies = {(one["body"], one.get("isBase64Encoded", one.get("is_base64_encoded"))) for one in (rest, http_1, alb)}
    assert bodies == {("/w==", True)}


def test_the_stage_stands_where_the_sources_show_it() -> None:
    users = Request(target="/users/")
    here, there = Setup(stage="dev", route="/{proxy+}"), Setup(stage="dev", domain="api.example.com", mapping="v1")
    rest = FRONTS["rest"](here).event(users)
    assert (rest["path"], rest["requestContext"]["path"]) == ("/users/", "/dev/users/")
    assert rest["pathParameters"] == {"proxy": "users"}
    assert FRONTS["http-api-1.0"](here).event(users)["path"] == "/dev/users/"
    assert FRONTS["http-api"](here).event(users)["rawPath"] == "/dev/users/"
    assert FRONTS["rest"](there).event(users)["path"] == "/v1/users/"
    assert FRONTS["http-api-1.0"](there).event(users)["path"] == "/v1/users/"
    assert FRONTS["http-api"](there).event(users)["rawPath"] == "/dev/users/"
    with_parameter = Setup(route="/users/{id}")
    for front, value in (("rest", "a%20b"), ("http-api-1.0", "a b"), ("http-api", "a b")):
        assert FRONTS[front](with_parameter).event(Request(target="/users/a%20b"))["pathParameters"] == {"id": value}


def test_an_event_is_json_and_what_is_no_utf_8_is_lost() -> None:
    event = FRONTS["alb"]().event(Request(headers=(("X-City", "Logro\xf1o"), ("X-Town", native("Logroño")))))
    assert (event["headers"]["x-city"], event["headers"]["x-town"]) == ("Logro\ufffdo", "Logroño")
