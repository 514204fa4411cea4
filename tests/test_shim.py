"""The handler shim's first doors, from an event to an answer (its full behaviour is still to come)."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "layers/lambda-wsgi"))

from lambda_wsgi import handle_request

Event = dict[str, Any]


def http_api(method: str = "GET", path: str = "/", query: str = "", **more: Any) -> Event:
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9"}
    headers = {"host": "api.example.com", "x-forwarded-proto": "https", "x-forwarded-port": "443"}
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "requestContext": {"http": http, "stage": "$default"},
    }
    return event | {"headers": headers, "isBase64Encoded": False} | more


def rest_api(method: str = "GET", path: str = "/", **more: Any) -> Event:
    context = {"stage": "prod", "identity": {"sourceIp": "203.0.113.9"}, "protocol": "HTTP/1.1", "requestId": "r"}
    event = {
        "httpMethod": method,
        "path": path,
        "requestContext": context,
        "multiValueHeaders": {"Host": ["api.example.com"]},
    }
    return event | {"multiValueQueryStringParameters": None, "body": None, "isBase64Encoded": False} | more


def load_balancer(method: str = "GET", path: str = "/", **more: Any) -> Event:
    event = {"httpMethod": method, "path": path, "requestContext": {"elb": {"targetGroupArn": "arn"}}}
    return (
        event | {"headers": {"host": "lb"}, "queryStringParameters": {}, "body": "", "isBase64Encoded": False} | more
    )


FRONTS = {"http-api": http_api, "rest": rest_api, "alb": load_balancer}


def echo(environ: Event, start_response: Any) -> list[bytes]:
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    seen["body"] = environ["wsgi.input"].read().decode("latin-1")
    start_response("200 OK", [("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [json.dumps(seen).encode()]


@pytest.mark.parametrize("front", FRONTS)
def test_the_request_reaches_the_app(front: str) -> None:
    event = FRONTS[front](
        "POST", "/a b" if front != "alb" else "/a%20b", body=b64encode(b"\xff\0").decode(), isBase64Encoded=True
    )
    answer = handle_request(echo, event, None)
    seen = json.loads(answer["body"])
    assert answer["statusCode"] == 200
    assert (seen["REQUEST_METHOD"], seen["PATH_INFO"], seen["body"]) == ("POST", "/a b", "\xff\0")
    assert seen["CONTENT_LENGTH"] == "2"


def test_query_and_cookies() -> None:
    seen = json.loads(handle_request(echo, http_api(query="a=1&a=%20", cookies=["x=1", "y=2"]), None)["body"])
    assert (seen["QUERY_STRING"], seen["HTTP_COOKIE"], seen["REMOTE_ADDR"]) == (
        "a=1&a=%20",
        "x=1; y=2",
        "203.0.113.9",
    )
    seen = json.loads(
        handle_request(echo, rest_api(multiValueQueryStringParameters={"a": ["1", " &"]}), None)["body"]
    )
    assert seen["QUERY_STRING"] == "a=1&a=+%26"
    seen = json.loads(handle_request(echo, load_balancer(queryStringParameters={"a": "%20"}), None)["body"])
    assert seen["QUERY_STRING"] == "a=%20"


def test_several_cookies_stay_several() -> None:
    assert handle_request(echo, http_api(), None)["cookies"] == ["a=1", "b=2"]
    assert handle_request(echo, rest_api(), None)["multiValueHeaders"]["Set-Cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        ([("Content-Type", "text/html; charset=utf-8")], "é".encode(), True),
        ([("Content-Type", "application/problem+json")], b"{}", True),
        ([("Content-Type", "image/png")], b"\x89PNG", False),
        ([("Content-Type", "text/plain"), ("Content-Encoding", "gzip")], b"\x1f\x8b", False),
        ([("Content-Type", "text/plain")], b"\xff", False),
        ([("Content-Type", "image/png")], b"", True),
    ],
)
def test_text_only_where_it_is_text(headers: list[tuple[str, str]], body: bytes, text: bool) -> None:
    def app(environ: Event, start_response: Any) -> list[bytes]:
        start_response("200 OK", headers)
        return [body]

    answer = handle_request(app, http_api(), None)
    assert answer["isBase64Encoded"] is not text
    assert (answer["body"].encode() if text else b64decode(answer["body"])) == body


def test_write_and_close_are_honoured() -> None:
    closed = []

    class Body(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def app(environ: Event, start_response: Any) -> Body:
        start_response("201 Created", [("Content-Type", "text/plain")])(b"first ")
        return Body([b"second"])

    answer = handle_request(app, load_balancer(), None)
    assert (answer["statusCode"], answer["statusDescription"], answer["body"]) == (201, "201 Created", "first second")
    assert closed == [True]


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"source": "aws.events", "detail-type": "Scheduled Event"}])
def test_what_is_no_request_is_never_a_success(event: Event) -> None:
    with pytest.raises(ValueError, match="not an HTTP request of Lambda"):
        handle_request(echo, event, None)


def test_the_shim_needs_the_standard_library_alone(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'layers/lambda-wsgi')!r}); import lambda_wsgi; "
        "sys.exit(bool({m.split('.')[0] for m in sys.modules} & {'flask', 'werkzeug', 'typing'}))"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
