"""The conformance table: HTTP requests, and what the app must see of them and the client of the app's response.

A case is data; each of its checks looks at the HTTP response that a front's model gives to its client (the echo app
says in it what it saw).  `run` takes any adapter: a function make(app, settings) -> handler(event, context).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl
from wsgiref.util import request_uri
from wsgiref.validate import validator

from layerkit.fronts import FRONTS, Event, Front, Pairs, Refused, Request, Response, Setup

Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]
Handler = Callable[[Event, Any], Any]
Make = Callable[[App, Mapping[str, str]], Handler]
Options = dict[str, Any]  # what cases share


class Context:
    """What of Lambda's context an adapter may ask for."""

    aws_request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    function_name = "hello"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:hello"
    memory_limit_in_mb = "128"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request that was answered, or not."""

    front: Front
    request: Request
    response: Response | None
    error: str  # of the handler, or of the front; "" where there is a response
    log: Sequence[str]  # what the app has noted


class Check(Protocol):
    def __call__(self, exchange: Exchange, /) -> Iterator[str]:
        """What is wrong."""
        ...


Value = str | None | Callable[[Front], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    checks: tuple[Check, ...]
    request: Request
    app: Callable[[list[str]], App]
    fronts: tuple[str, ...]
    setup: Setup
    settings: Mapping[str, str]
    own: bool  # about this shim alone: its settings, its taste, or what no source decides; not for peers
    tamper: Callable[[Event], None] | None  # makes the event one that another sender than the model sends


@dataclass(frozen=True, slots=True)
class Failure:
    case: str
    front: str
    reason: str
    own: bool = field(default=False, compare=False)


# -- running


def exchange(make: Make, case: Case, front: str) -> Exchange:
    """Raises nothing that the handler raises."""
    model, log = FRONTS[front](case.setup), list[str]()
    event = model.event(case.request)
    if case.tamper is not None:
        case.tamper(event)
    response, error = None, ""
    with environment(case.settings):
        try:
            answer = make(case.app(log), case.settings)(event, Context())
            response = model.response(answer, case.request)
        except Refused as refused:
            error = f"refused with {refused}"
        except Exception as raised:  # noqa: BLE001 - that is what is found out
            error = f"{type(raised).__name__}: {raised}"
    return Exchange(front=model, request=case.request, response=response, error=error, log=log)


def failure(make: Make, case: Case, front: str) -> Failure | None:
    found = exchange(make, case, front)
    reasons = [reason for check in case.checks for reason in check(found)]
    return Failure(case.name, front, "; ".join(dict.fromkeys(reasons)), case.own) if reasons else None


def checks(cases: Iterable[Case], fronts: Sequence[str] = tuple(FRONTS)) -> list[tuple[Case, str]]:
    return [(case, front) for case in cases for front in case.fronts if front in fronts]


def run(make: Make, cases: Iterable[Case] | None = None, fronts: Sequence[str] = tuple(FRONTS)) -> list[Failure]:
    """What the adapter fails of `checks`; all cases, where none are given.

    For an adapter that is not this shim: the cases that are not `own`, and the fronts that it is made for.
    """
    table = checks(CASES if cases is None else cases, fronts)
    return [found for case, front in table if (found := failure(make, case, front))]


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """The process's environment with `settings` and without those of another case."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("LAMBDA_WSGI_") or name in ALIASES]:
        del os.environ[name]
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


ALIASES = ("API_GATEWAY_BASE_PATH", "AWS_LWA_REMOVE_BASE_PATH", "STRIP_STAGE_PATH", "_X_AMZN_TRACE_ID")

# -- apps


def echo(log: list[str]) -> App:
    """Answers with what it saw: the strings of its environ and its body, bytes as latin-1."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        log.append("called")
        seen = {key: value for key, value in environ.items() if isinstance(value, str)}
        seen["serverless.authorizer"] = json.dumps(environ.get("serverless.authorizer"))
        content = {"environ": seen, "body": environ["wsgi.input"].read().decode("latin-1")}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(content).encode()]

    return app


def digest(log: list[str]) -> App:
    """The same for a large body."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()]

    return app


def method(log: list[str]) -> App:
    """Says in a header what method it saw."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Method", environ["REQUEST_METHOD"])])
        return []

    return app


def redirect(log: list[str]) -> App:
    """Sends the client to /login of this app, by the address that PEP 3333 ("URL Reconstruction") gives."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        address = request_uri(environ | {"PATH_INFO": "/login"}, include_query=False)
        start_response("302 Found", [("Location", address)])
        return []

    return app


def answers(*chunks: bytes, status: str = "200 OK", headers: Sequence[tuple[str, str]] = ()) -> Callable[..., App]:
    """An app that always says the same."""

    def make(log: list[str]) -> App:
        def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
            log.append("called")
            start_response(status, list(headers))
            return chunks

        return app

    return make


class Body:
    """A response's iterable that notes its close; it fails where a chunk is an exception."""

    def __init__(self, log: list[str], *chunks: bytes | Exception) -> None:
        self.log, self.chunks = log, iter(chunks)

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        chunk = next(self.chunks)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        self.log.append("closed")


def closing(*chunks: bytes | Exception) -> Callable[[list[str]], App]:
    def make(log: list[str]) -> App:
        def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return Body(log, *chunks)

        return app

    return make


def generator(log: list[str]) -> App:
    """start_response only when the first chunk is asked for, and an empty chunk among the others."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("202 Accepted", [("Content-Type", "text/plain")])
        yield b"first "
        yield b""
        yield b"second"

    return app


def writer(log: list[str]) -> App:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"written ")
        write(b"twice, ")
        return [b"returned"]

    return app


def restarted(log: list[str]) -> App:
    """An error handler that replaces the headers before anything was sent (PEP 3333, exc_info)."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        import sys

        start_response("200 OK", [("Content-Type", "text/plain"), ("X-First", "1")])
        try:
            raise LookupError("the row is gone")
        except LookupError:
            start_response("404 Not Found", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"replaced"]

    return app


def restarted_late(log: list[str]) -> App:
    """The same after a part of the body: that cannot be taken back, so start_response raises again."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        import sys

        start_response("200 OK", [("Content-Type", "text/plain")])(b"a")
        try:
            raise LookupError("hunter2 is gone")
        except LookupError:
            start_response("404 Not Found", [], sys.exc_info())
        return [b"never"]

    return app


def exiting(log: list[str]) -> App:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        raise SystemExit("hunter2")

    return app


def started_twice(log: list[str]) -> App:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"twice"]

    return app


def failing(log: list[str]) -> App:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        raise RuntimeError("the password is hunter2")

    return app


def failing_late(log: list[str]) -> App:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        raise RuntimeError("the password is hunter2")

    return app


def never_started(log: list[str]) -> App:
    return lambda environ, start_response: [b"no status"]


def validated(log: list[str]) -> App:
    """The standard library's reading of PEP 3333."""

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        data = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.errors"].flush()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [data]

    checked: App = validator(app)
    return checked


# -- checks


def responded(found: Exchange) -> Response | str:
    return found.response or f"no response: {found.error}"


def saw(**expected: Value) -> Check:
    """The app's environ; None is a key that is absent, or an empty string where CGI allows either."""

    def check(found: Exchange) -> Iterator[str]:
        environ = _seen(found)
        if isinstance(environ, str):
            yield environ
            return
        for key, value in expected.items():
            wanted = value(found.front) if callable(value) else value
            got = environ.get(key)
            if (got or None) != wanted if wanted is None else got != wanted:
                yield f"{key} is {got!r}, not {wanted!r}"

    return check


def saw_not(*keys: str) -> Check:
    def check(found: Exchange) -> Iterator[str]:
        environ = _seen(found)
        if isinstance(environ, str):
            yield environ
        else:
            yield from (f"{key} is {environ[key]!r}" for key in keys if key in environ)

    return check


def saw_list(key: str, *values: str, separator: str = ",") -> Check:
    """Several values in one, with or without a space between them."""

    def check(found: Exchange) -> Iterator[str]:
        environ = _seen(found)
        if isinstance(environ, str):
            yield environ
        elif [part.strip(" ") for part in environ.get(key, "").split(separator)] != list(values):
            yield f"{key} is {environ.get(key)!r}, not {separator.join(values)!r}"

    return check


def saw_query(*pairs: tuple[str, str], encoding: str = "utf-8") -> Check:
    """What a form parser makes of QUERY_STRING; most fronts keep only the order of one key's values."""

    def check(found: Exchange) -> Iterator[str]:
        environ = _seen(found)
        if isinstance(environ, str):
            yield environ
            return
        query = environ.get("QUERY_STRING", "")
        got = parse_qsl(query, keep_blank_values=True, encoding=encoding, errors="backslashreplace")
        if found.front.raw_query and got != list(pairs):
            yield f"QUERY_STRING {query!r} is {got}, not {list(pairs)}"
        elif _grouped(got) != _grouped(pairs):
            yield f"QUERY_STRING {query!r} is {_grouped(got)}, not {_grouped(pairs)}"

    return check


def saw_body(body: bytes) -> Check:
    def check(found: Exchange) -> Iterator[str]:
        environ = _seen(found)
        if isinstance(environ, str):
            yield environ
            return
        got = environ[""].encode("latin-1")
        if got != body:
            yield f"the body is {_short(got)}, not {_short(body)}"
        if body and environ.get("CONTENT_LENGTH", str(len(body))) != str(len(body)):
            yield f"CONTENT_LENGTH is {environ['CONTENT_LENGTH']!r}, not {len(body)}"

    return check


def status(code: int, reason: str = "") -> Check:
    """`reason`: only some fronts have a field for it."""

    def check(found: Exchange) -> Iterator[str]:
        response = responded(found)
        if isinstance(response, str):
            yield response
        elif response.status != code:
            yield f"status {response.status}, not {code}"
        elif reason and response.reason != reason:
            yield f"reason {response.reason!r}, not {reason!r}"

    return check


def header(name: str, value: Value) -> Check:
    """None: it is absent."""

    def check(found: Exchange) -> Iterator[str]:
        response = responded(found)
        wanted = value(found.front) if callable(value) else value
        if isinstance(response, str):
            yield response
        elif response.get(name) != wanted:
            yield f"{name} is {response.get(name)!r}, not {wanted!r}"

    return check


def header_list(name: str, *values: str) -> Check:
    """In lines or in one, in any order: ALB does not promise one (ELB)."""

    def check(found: Exchange) -> Iterator[str]:
        response = responded(found)
        if isinstance(response, str):
            yield response
            return
        got = [part.strip() for part in (response.get(name) or "").split(",")]
        if sorted(got) != sorted(values):
            yield f"{name} is {response.all(name)}, not {list(values)}"

    return check


def cookies(*values: str) -> Check:
    """Each in a line of its own (RFC 6265, 3), in any order."""

    def check(found: Exchange) -> Iterator[str]:
        response = responded(found)
        if isinstance(response, str):
            yield response
        elif sorted(response.all("Set-Cookie")) != sorted(values):
            yield f"Set-Cookie is {response.all('Set-Cookie')}, not {list(values)}"

    return check


def content(body: bytes) -> Check:
    def check(found: Exchange) -> Iterator[str]:
        response = responded(found)
        if isinstance(response, str):
            yield response
        elif response.body != body:
            yield f"the body is {_short(response.body)}, not {_short(body)}"

    return check


def failed(*, says: Sequence[str] = (), hides: Sequence[str] = ("hunter2",)) -> Check:
    """A 500 in JSON with the request's id, and nothing of the error but what it may say."""

    def check(found: Exchange) -> Iterator[str]:
        response = responded(found)
        if isinstance(response, str):
            yield response
            return
        text = response.body.decode("utf-8", "replace")
        if response.status != 500:
            yield f"status {response.status}, not 500"
        try:
            told = json.loads(text)
        except ValueError:
            yield f"no JSON: {text[:80]!r}"
        else:
            if told.get("requestId") != Context.aws_request_id or not told.get("message"):
                yield f"no message and request id: {told}"
        if (response.get("Content-Type") or "").partition(";")[0] != "application/json":
            yield f"Content-Type {response.get('Content-Type')!r}"
        yield from (f"{word!r} is not in it" for word in says if word not in text)
        yield from (f"{word!r} is in it" for word in hides if word in text)

    return check


def raised(kind: str) -> Check:
    """The invocation fails, so that the function's Errors metric moves."""

    def check(found: Exchange) -> Iterator[str]:
        if not found.error.startswith(f"{kind}:"):
            yield f"not raised: {found.error or found.response}"

    return check


def logged(*notes: str) -> Check:
    def check(found: Exchange) -> Iterator[str]:
        if list(found.log) != list(notes):
            yield f"the app has noted {list(found.log)}, not {list(notes)}"

    return check


def _seen(found: Exchange) -> dict[str, str] | str:
    """The echo app's environ, with its body under ""; or why there is none."""
    response = responded(found)
    if isinstance(response, str):
        return response
    try:
        told = json.loads(response.body)
        return {**told["environ"], "": told["body"]}
    except (ValueError, KeyError, TypeError):
        return f"no echo, but {response.status} {_short(response.body)}"


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _short(data: bytes) -> str:
    return repr(data if len(data) <= 60 else data[:50] + b"..." + f" ({len(data)} bytes)".encode())


# -- the table

ALL = tuple(FRONTS)
HTTP_2, HTTP_1, REST, URL, ALB, ALBS, LATTICE_1, LATTICE_2 = ALL
GATEWAY = (REST, HTTP_1, HTTP_2)
LATTICE = (LATTICE_1, LATTICE_2)
CASES: list[Case] = []


def case(
    name: str,
    *checks: Check,
    target: str = "/",
    method: str = "GET",
    headers: Pairs = (),
    body: bytes = b"",
    client: str = "203.0.113.7",
    app: Callable[[list[str]], App] = echo,
    fronts: Sequence[str] = ALL,
    settings: Mapping[str, str] | None = None,
    own: bool = False,
    tamper: Callable[[Event], None] | None = None,
    **setup: Any,
) -> None:
    request = Request(method=method, target=target, headers=headers, body=body, client=client)
    CASES.append(
        Case(
            name=name, checks=checks, request=request, app=app, fronts=tuple(fronts), setup=Setup(**setup),
            settings=settings or {}, own=own, tamper=tamper,
        )
    )  # fmt: skip


def but(*fronts: str) -> tuple[str, ...]:
    return tuple(front for front in ALL if front not in fronts)


def native(text: str) -> str:
    """PEP 3333: UTF-8 bytes as latin-1."""
    return text.encode().decode("latin-1")


# paths

for title, target, path in (
    ("plain", "/users", "/users"),
    ("space", "/a%20b", "/a b"),
    ("encoded slash", "/a%2Fb", "/a/b"),
    ("percent", "/100%25", "/100%"),
    ("percent encoded twice", "/%2541", "/%41"),
    ("plus", "/a+b", "/a+b"),
    ("encoded plus", "/a%2Bb", "/a+b"),
    ("UTF-8", "/caf%C3%A9", native("/café")),
    ("four-byte UTF-8", "/%F0%9F%98%8A", native("/😊")),
    ("lower-case hexadecimals", "/caf%c3%a9", native("/café")),
    ("double slash inside", "/a//b", "/a//b"),
    ("trailing slash", "/users/", "/users/"),
    ("dots", "/.well-known/a..b/c.tar.gz", "/.well-known/a..b/c.tar.gz"),
    ("root", "/", "/"),
    ("semicolon", "/a;v=1/b", "/a;v=1/b"),
    ("reserved characters", "/a:@!$&'()*,=b~-_", "/a:@!$&'()*,=b~-_"),
    ("encoded hash", "/a%23b", "/a#b"),
    ("encoded markup", "/%22%3Cb%3E", '/"<b>'),
    ("very long", "/" + "a%20" * 1500, "/" + "a " * 1500),
):
    case(f"path: {title}", saw(PATH_INFO=path), target=target)
raw_fronts = (URL, ALB, ALBS)
case("path: double slash in front", saw(PATH_INFO="//users"), target="//users", fronts=raw_fronts)
# RECORD, with-prepended-slash: "path" has one slash
case("path: double slash in front, REST", saw(PATH_INFO="/users"), target="//users", fronts=[REST])
# an HTTP API decodes before it asks what is UTF-8, and cuts at a decoded "?": middleapi/standard-server/pull/93
case("path: latin-1", saw(PATH_INFO="/caf\xe9"), target="/caf%E9", fronts=but(HTTP_2))
case("path: encoded question mark", saw(PATH_INFO="/a?b"), target="/a%3Fb", fronts=but(HTTP_1, HTTP_2))
case("path: nothing after the stage", saw(PATH_INFO="/"), target="", fronts=GATEWAY, stage="prod", own=True)
case("path: beside a query", saw(PATH_INFO="/a b", QUERY_STRING="c=d"), target="/a%20b?c=d")

# queries

for title, query, pairs in (
    ("two keys", "a=1&b=2", [("a", "1"), ("b", "2")]),
    ("plus and space", "q=a+b%20c", [("q", "a b c")]),
    ("encoded ampersand and equals sign", "q=a%26b%3Dc&r=1", [("q", "a&b=c"), ("r", "1")]),
    ("encoded plus", "q=1%2B1", [("q", "1+1")]),
    ("empty value", "a=&b=1", [("a", ""), ("b", "1")]),
    ("flag without a value", "debug", [("debug", "")]),
    ("UTF-8 value", "q=%C3%A9%F0%9F%98%8A", [("q", "é😊")]),
    ("UTF-8 key", "%C3%A9=1", [("é", "1")]),
    ("key with brackets", "a%5Bb%5D=1", [("a[b]", "1")]),
    ("key with a space", "a%20b=1&c+d=2", [("a b", "1"), ("c d", "2")]),
    ("an address", "to=https%3A%2F%2Fexample.com%2F%3Fa%3D1%23b", [("to", "https://example.com/?a=1#b")]),
    ("equals sign in a value", "token=abc==", [("token", "abc==")]),
    ("very long", "q=" + "a%20" * 1500, [("q", "a " * 1500)]),
):
    case(f"query: {title}", saw_query(*pairs), target=f"/?{query}")
several = [("a", "1"), ("b", "2"), ("a", "3")]
case("query: repeated key", saw_query(*several), target="/?a=1&b=2&a=3", fronts=but(ALB))
case("query: repeated key, last value", saw_query(("a", "3"), ("b", "2")), target="/?a=1&b=2&a=3", fronts=[ALB])
lists = [("a[]", "1"), ("a[]", "2")]
case("query: repeated key with brackets", saw_query(*lists), target="/?a[]=1&a[]=2", fronts=but(ALB))
case("query: comma and repeated key", saw_query(("a", "1,2"), ("a", "3")), target="/?a=1,2&a=3", fronts=but(ALB))
# "encodes the percent character" (NOTES) leaves open what a REST API sends
case("query: percent", saw_query(("q", "100%"), ("r", "%41")), target="/?q=100%25&r=%2541", fronts=but(REST))
raw = "b=2&a=%7e+x&b=1&flag&=v&&c=%E9;d"
case("query: to the letter", saw(QUERY_STRING=raw), target=f"/?{raw}", fronts=[HTTP_2, URL, LATTICE_1])
as_bytes = saw_query(("q", "é"), ("r", "/  "), encoding="latin-1")
case("query: latin-1", as_bytes, target="/?q=%E9&r=%2f+%20", fronts=but(REST, HTTP_1))
case("query: none", saw(QUERY_STRING=None), target="/users")
case(
    "query: VPC Lattice's map of it", saw(PATH_INFO="/users"), saw_query(("q", "é"), ("b", "2")),
    target="/users?q=%C3%A9&b=2", fronts=[LATTICE_1], query_in_path=False,
)  # fmt: skip

# request headers

case("header: one", saw(HTTP_X_CUSTOM="a b"), headers=(("X-Custom", "a b"),))
case("header: any case", saw(HTTP_X_CUSTOM="aB"), headers=(("x-CUSTOM", "aB"),))
case("header: empty", saw(HTTP_X_EMPTY=""), headers=(("X-Empty", ""),))
case("header: commas", saw(HTTP_ACCEPT="text/html, */*;q=0.8"), headers=(("Accept", "text/html, */*;q=0.8"),))
twice = (("X-Custom", "1"), ("X-Custom", "2"))
case("header: repeated", saw_list("HTTP_X_CUSTOM", "1", "2"), headers=twice, fronts=but(ALB))
letters = (("X-Custom", "1"), ("x-custom", "2"))
case("header: repeated in other letters", saw_list("HTTP_X_CUSTOM", "1", "2"), headers=letters, fronts=but(ALB))
case("header: repeated, last value", saw(HTTP_X_CUSTOM="2"), headers=twice, fronts=[ALB])
basic = "Basic YWxpY2U6aHVudGVyMg=="
case("header: authorization", saw(HTTP_AUTHORIZATION=basic), headers=(("Authorization", basic),))
case("header: conditions", saw(HTTP_IF_NONE_MATCH='W/"1"'), headers=(("If-None-Match", 'W/"1"'),))
case("header: forwarded host", saw(HTTP_X_FORWARDED_HOST="a.example"), headers=(("X-Forwarded-Host", "a.example"),))
case("header: no content type", saw(CONTENT_TYPE=None))
kind = "application/json; charset=utf-8"
case(
    "header: content type", saw(CONTENT_TYPE=kind), saw_body(b"{}"),
    method="POST", headers=(("Content-Type", kind),), body=b"{}",
)  # fmt: skip
case(
    "header: those with keys of their own", saw_not("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"),
    method="POST", headers=(("Content-Type", kind),), body=b"{}", own=True,
)  # fmt: skip
case("header: one cookie", saw(HTTP_COOKIE="a=1"), headers=(("Cookie", "a=1"),))
jar = 'a=1; b="x y"; c=x=y; d='
case("header: several cookies", saw_list("HTTP_COOKIE", *jar.split("; "), separator=";"), headers=(("Cookie", jar),))
case("header: no cookie", saw(HTTP_COOKIE=None))
case(  # as HTTP/2 clients may send them: RFC 9113, 8.2.3
    "header: cookies in two lines", saw_list("HTTP_COOKIE", "a=1", "b=2", separator=";"),
    headers=(("Cookie", "a=1"), ("Cookie", "b=2")), fronts=but(ALB, LATTICE_1),
)  # fmt: skip
case("header: an underscore is no hyphen", saw(HTTP_X_USER=None), headers=(("X_User", "mallory"),), own=True)
spoofed = (("X-User", "alice"), ("X_User", "mallory"))
case("header: an underscore beside a hyphen", saw(HTTP_X_USER="alice"), headers=spoofed, own=True)
case(
    "header: VPC Lattice's user_agent", saw(HTTP_USER_AGENT="curl"),
    headers=(("user_agent", "curl"),), fronts=LATTICE, own=True,
)  # fmt: skip
# at other fronts than ALB what becomes of other bytes than ASCII is documented nowhere
city = native("Srīperumbūdūr")
case("header: UTF-8", saw(HTTP_CF_IPCITY=city), headers=(("CF-IPCity", city),), fronts=[ALB, ALBS])
case(
    "header: UTF-8, elsewhere", saw(HTTP_CF_IPCITY=city), headers=(("CF-IPCity", city),), fronts=but(ALB, ALBS),
    own=True,
)  # fmt: skip
town = native("Logroño")
case("header: UTF-8 within latin-1", saw(HTTP_CF_IPCITY=town), headers=(("CF-IPCity", town),), fronts=[ALB, ALBS])
case("header: latin-1", status(200), headers=(("CF-IPCity", "Logro\xf1o"),))
chunked = (("Transfer-Encoding", "chunked"), ("Content-Type", "text/plain"))
case("header: chunked", saw_body(b"in chunks"), method="POST", headers=chunked, body=b"in chunks")
case(
    "header: chunked, not said", saw_not("HTTP_TRANSFER_ENCODING"), method="POST", headers=chunked, body=b"x",
    own=True,
)  # fmt: skip


def traced(front: Front) -> str:
    return "Root=1-5e6b67ad-2d4a5560cf6fb7a02780c3a0"


case("header: trace of the front", saw(HTTP_X_AMZN_TRACE_ID=traced), fronts=but(*LATTICE))
case(
    "header: trace of the runtime", saw(HTTP_X_AMZN_TRACE_ID="Root=1-0-0"), fronts=LATTICE, own=True,
    settings={"_X_AMZN_TRACE_ID": "Root=1-0-0"},
)  # fmt: skip

# where from and where to

case("address: the client's", saw(REMOTE_ADDR="203.0.113.7"))
case("address: IPv6", saw(REMOTE_ADDR="2001:db8::7"), client="2001:db8::7")
spoof = (("X-Forwarded-For", "198.51.100.66"),)
case("address: never a spoofed one", saw(REMOTE_ADDR="203.0.113.7"), headers=spoof)
many = (("X-Forwarded-For", "198.51.100.66, 10.0.0.1"),)
case("address: never one of several spoofed ones", saw(REMOTE_ADDR="203.0.113.7"), headers=many)
case("address: without the port", saw(REMOTE_ADDR="203.0.113.7"), fronts=[ALB, ALBS], client_port=True)
server = saw(SERVER_NAME=lambda front: front.domain, HTTP_HOST=lambda front: front.domain, SERVER_PORT="443")
case("server: the front's own", server, saw(SERVER_PROTOCOL="HTTP/1.1"))
case("server: a custom domain", server, fronts=GATEWAY, domain="api.example.com")
shop = (("Host", "shop.example.com:8443"),)
case("server: a port in Host", saw(SERVER_NAME="shop.example.com"), headers=shop, fronts=[ALB, ALBS, *LATTICE])
case("server: the listener's port", saw(SERVER_PORT="8443"), fronts=[ALB, ALBS], port="8443")
for title, place, own in (("ALB", (ALB, ALBS), False), ("VPC Lattice", LATTICE, True)):
    plain: Options = {"scheme": "http", "app": redirect, "fronts": place, "own": own}
    case(f"server: {title} without TLS", header("Location", lambda front: f"{front.root}/login"), **plain)


def health_check(event: Event) -> None:
    """github.com/adamchainz/apig-wsgi/issues/155: no Host, nothing forwarded."""
    key = "multiValueHeaders" if "multiValueHeaders" in event else "headers"
    agent = "ELB-HealthChecker/2.0"
    event[key] = {"user-agent": [agent] if key == "multiValueHeaders" else agent}


def named(found: Exchange) -> Iterator[str]:
    """PEP 3333: SERVER_NAME can never be empty."""
    environ = _seen(found)
    if isinstance(environ, str):
        yield environ
    elif not environ.get("SERVER_NAME") or not environ.get("SERVER_PORT"):
        yield f"SERVER_NAME {environ.get('SERVER_NAME')!r}, SERVER_PORT {environ.get('SERVER_PORT')!r}"


case("server: a health check's, without Host", named, fronts=[ALB, ALBS], tamper=health_check)


def console_test(event: Event) -> None:
    """What the console's Test button sends: apig-wsgi, get_environ_v1."""
    event["headers"] = event["multiValueHeaders"] = None
    event["queryStringParameters"] = event["multiValueQueryStringParameters"] = None


case("server: the console's test, without headers", named, saw(QUERY_STRING=None), fronts=[REST], tamper=console_test)

# methods

for verb in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
    case(f"method: {verb}", status(200), header("X-Method", verb), method=verb, app=method)

# stages, mappings, base paths

to_login = header("Location", lambda front: f"{front.root}/login")
case("mount: a redirect goes where the client came from", status(302), to_login, app=redirect)
named_stage: Options = {"fronts": (HTTP_1, HTTP_2), "stage": "dev"}
case(
    "mount: a named stage is not the app's", saw(PATH_INFO="/users", SCRIPT_NAME="/dev"), target="/users",
    **named_stage,
)  # fmt: skip
case("mount: a redirect below a named stage", to_login, app=redirect, **named_stage)
case("mount: the root of a named stage", saw(PATH_INFO="/"), target="/", **named_stage)
case("mount: a path like the stage", saw(PATH_INFO="/dev/users"), target="/dev/users", **named_stage)
case("mount: a path that begins like the stage", saw(PATH_INFO="/developers"), target="/developers", **named_stage)
case("mount: the stage of a REST API", saw(PATH_INFO="/users", SCRIPT_NAME="/prod"), target="/users", fronts=[REST])
case(
    "mount: a path like the stage, REST", saw(PATH_INFO="/prod/users"), target="/prod/users", fronts=[REST],
)  # fmt: skip
own_domain: Options = {"domain": "api.example.com", "stage": "prod"}
case("mount: a custom domain has no stage", to_login, app=redirect, fronts=GATEWAY, **own_domain)
case("mount: a custom domain's paths", saw(PATH_INFO="/users"), target="/users", fronts=GATEWAY, **own_domain)
bare = own_domain | {"stage_in_path": False, "fronts": (HTTP_1, HTTP_2)}
case(
    "mount: a custom domain's path like the stage's beginning", saw(PATH_INFO="/production"), target="/production",
    **bare,
)  # fmt: skip
case(
    "mount: a custom domain's paths, no stage in them", saw(PATH_INFO="/users", SCRIPT_NAME=None), target="/users",
    **bare,
)  # fmt: skip
for title, route, target, path in (
    ("a parameter", "/users/{id}", "/users/5", "/users/5"),
    ("two parameters", "/users/{id}/orders/{order}", "/users/5/orders/6", "/users/5/orders/6"),
    ("a greedy parameter", "/api/{proxy+}", "/api/a/b", "/api/a/b"),
    ("an encoded parameter", "/users/{id}", "/users/a%20b%C3%A9", native("/users/a bé")),
    ("a percent in a parameter", "/users/{id}", "/users/50%25", "/users/50%"),
    ("an encoded slash in a parameter", "/users/{id}", "/users/a%2Fb", "/users/a/b"),
    ("no parameter", "/payment", "/payment", "/payment"),
    ("a parameter like the stage", "/{id}", "/dev", "/dev"),
):
    mounted = saw(PATH_INFO=path, SCRIPT_NAME=lambda front: front.mount or None)
    case(f"route: {title}", saw(PATH_INFO=path), target=target, route=route, fronts=GATEWAY)
    staged: Options = {"target": target, "route": route, "stage": "dev", "fronts": GATEWAY, "own": True}
    case(f"route: {title}, below a stage", mounted, **staged)
# RECORD, with-trailing-slash; TOOLS' pull/579: neither parameters nor resource have the slash
for title, route, target in (
    ("a slash after the greedy parameter", "/{proxy+}", "/users/"),
    ("a slash after the resource", "/users", "/users/"),
    ("a slash after the last parameter", "/users/{id}", "/users/5/"),
    ("slashes within the greedy parameter", "/{proxy+}", "/users//5"),  # RECORD, with-double-slash
):
    case(f"route: {title}", saw(PATH_INFO=target), target=target, route=route, fronts=[REST])
    slashed: Options = {"target": target, "route": route, "fronts": [REST], "own": True}
    case(f"route: {title}, and the stage", saw(PATH_INFO=target, SCRIPT_NAME="/prod"), **slashed)
routed: Options = own_domain | {"route": "/users/{id}", "target": "/users/5", "fronts": GATEWAY}
case("route: a parameter, custom domain", saw(PATH_INFO="/users/5"), own=True, **routed)
case("route: a redirect, custom domain", to_login, app=redirect, own=True, **routed)
for title, mapping in (("one part", "v1"), ("two parts", "shop/v1")):
    mapped: Options = {"own": True, "domain": "api.example.com", "mapping": mapping, "target": "/users/5"}
    below = saw(PATH_INFO="/users/5", SCRIPT_NAME=f"/{mapping}")
    case(f"mount: a base path mapping of {title}", below, fronts=[REST], **mapped)
    case(f"mount: a mapping of {title} and a route", below, fronts=[REST, HTTP_1], route="/users/{id}", **mapped)
    case(f"mount: a redirect below a mapping of {title}", to_login, app=redirect, fronts=[REST], **mapped)
    spaced = mapped | {"target": "/users/a%20b", "route": "/users/{id}", "fronts": [REST, HTTP_1]}
    encoded = saw(PATH_INFO="/users/a b", SCRIPT_NAME=f"/{mapping}")
    case(f"mount: a mapping of {title} and an encoded parameter", encoded, **spaced)
    top = mapped | {"target": "/"}
    case(
        f"mount: the root of a mapping of {title}",
        saw(PATH_INFO="/", SCRIPT_NAME=f"/{mapping}"),
        fronts=[REST],
        **top,
    )
for written in ("v1", "/v1", "/v1/"):
    given: Options = {"settings": {"LAMBDA_WSGI_BASE_PATH": written}, "own": True}
    below = saw(PATH_INFO="/users", SCRIPT_NAME=lambda front: f"{front.mount}/v1")
    case(f"base path: {written}", below, target="/v1/users", **given)
v1 = {"LAMBDA_WSGI_BASE_PATH": "v1"}
case("base path: alone", saw(PATH_INFO="/"), target="/v1", settings=v1, own=True)
case("base path: on a segment's boundary", saw(PATH_INFO="/v10/users"), target="/v10/users", settings=v1)
case("base path: not there", saw(PATH_INFO="/users"), target="/users", settings=v1)
# the mapping's key is in no path of payload 2.0 (API), so that the setting only says it
unseen: Options = {"fronts": (HTTP_2,), "domain": "api.example.com", "mapping": "v1", "own": True}
for stage in ("$default", "prod"):
    title = f"base path: a mapping that payload 2.0 does not show, stage {stage}"
    case(title, to_login, target="/users", app=redirect, settings=v1, stage=stage, **unseen)
known: Options = unseen | {"fronts": (REST,)}
case("base path: a mapping that is known without", to_login, target="/users", app=redirect, settings=v1, **known)
behind: Options = {"fronts": (HTTP_1,), "domain": "api.example.com", "mapping": "v1", "own": True}
case("base path: a mapping that no route shows", to_login, target="/a", app=redirect, settings=v1, **behind)
for alias in ("API_GATEWAY_BASE_PATH", "AWS_LWA_REMOVE_BASE_PATH"):
    case(f"base path: {alias}", saw(PATH_INFO="/users"), target="/v1/users", settings={alias: "/v1"}, own=True)
for variable in ("LAMBDA_WSGI_STRIP_STAGE", "STRIP_STAGE_PATH"):
    stripped = saw(PATH_INFO="/users", SCRIPT_NAME=None)
    case(
        f"strip stage: {variable}", stripped, target="/users", fronts=GATEWAY, stage="dev",
        settings={variable: "yes"}, own=True,
    )  # fmt: skip

longer: Options = {"domain": "api.example.com", "mapping": "developers", "stage": "dev", "fronts": [REST]}
case(
    "strip stage: on a segment's boundary", saw(PATH_INFO="/users", SCRIPT_NAME="/developers"), target="/users",
    settings={"LAMBDA_WSGI_STRIP_STAGE": "1"}, own=True, **longer,
)  # fmt: skip

# request bodies

for title, kind, body in (
    ("JSON", "application/json", b'{"a": 1}'),
    ("JSON in UTF-8", "application/json", '{"a": "é😊"}'.encode()),
    ("JSON of a vendor", "application/vnd.api+json", '{"a": "é"}'.encode()),
    ("text in UTF-8", "text/plain; charset=utf-8", "žluťoučký kůň".encode()),
    ("text with line ends and NUL", "text/plain", b"a\r\nb\0\tc"),
    ("blanks", "text/plain", b"  \n"),
    ("XML", "application/xml", "<a>é</a>".encode()),
    ("a form", "application/x-www-form-urlencoded", b"a=1&b=%20+"),
    ("any bytes", "application/octet-stream", bytes(range(256))),
    ("a form with a file", "multipart/form-data; boundary=x", b"--x\r\n\r\n\xff\xfe\0\r\n--x--\r\n"),
    ("an image", "image/png", b"\x89PNG\r\n\x1a\n\0\xff"),
    ("base64 as it is", "text/plain", b"aGVsbG8="),
):
    case(f"body: {title}", saw_body(body), method="POST", headers=(("Content-Type", kind),), body=body)
    if kind.startswith(("text/", "application/json", "application/xml")):
        as_text: Options = {"method": "POST", "headers": (("Content-Type", kind),), "body": body, "binary": ()}
        case(f"body: {title}, no binary types", saw_body(body), fronts=[REST], **as_text)
# Werkzeug (get_input_stream) and Django read no further than it says, and nothing without it
sent: Options = {"method": "POST", "headers": (("Content-Type", "text/plain"),), "body": "é".encode()}
case("body: its length in bytes", saw(CONTENT_LENGTH="2"), **sent)
case("body: none", saw_body(b""))
case(
    "body: an empty one", saw_body(b""), method="POST",
    headers=(("Content-Length", "0"), ("Content-Type", "text/plain")),
)  # fmt: skip
case("body: no length but 0", saw(CONTENT_LENGTH="0"), own=True)
case("body: without a type", saw_body(b"\xff\0a"), method="POST", body=b"\xff\0a")
packed = gzip.compress(b'{"a": 1}', mtime=0)
zipped = (("Content-Type", "application/octet-stream"), ("Content-Encoding", "gzip"))
case("body: compressed", saw_body(packed), method="POST", headers=zipped, body=packed)
large = bytes(range(256)) * 3000
told = f"{len(large)} {hashlib.sha256(large).hexdigest()}".encode()
blob = (("Content-Type", "application/octet-stream"),)
case("body: large", content(told), method="PUT", headers=blob, body=large, app=digest)
case(
    "body: with a DELETE", saw_body(b"{}"), method="DELETE", headers=(("Content-Type", "application/json"),),
    body=b"{}",
)  # fmt: skip


def not_base64(body: str) -> Callable[[Event], None]:
    def tamper(event: Event) -> None:
        event["body"] = body
        event["is_base64_encoded" if "raw_path" in event else "isBase64Encoded"] = True

    return tamper


def null_body(event: Event) -> None:
    event["body"] = None


for title, broken in (
    ("no base64", "%%% this is none"),
    ("base64 and more", "aGVsbG8=%%%"),
    ("base64 cut off", "aGVsbG8"),
):
    told_so = (status(400), header("Content-Type", "application/json"), logged())
    case(f"body: {title}", *told_so, tamper=not_base64(broken), own=True)
case("body: null", saw_body(b""), tamper=null_body, own=True)

# answers: their status, headers and cookies

text = [("Content-Type", "text/plain; charset=utf-8")]
for line in (
    "201 Created", "301 Moved Permanently", "400 Bad Request", "404 Not Found", "418 I'm a teapot",
    "422 Unprocessable", "500 Internal Server Error", "503 Service Unavailable",
):  # fmt: skip
    case(f"status: {line[:3]}", status(int(line[:3])), content(b"x"), app=answers(b"x", status=line, headers=text))
case("status: of no list", status(299), content(b"x"), app=answers(b"x", status="299 Fine", headers=text))
case(
    "status: a reason of the app's own", status(200, "Fine"), app=answers(status="200 Fine"),
    fronts=[ALB, ALBS, *LATTICE], own=True,
)  # fmt: skip
case("status: without a reason", status(404), app=answers(status="404 "), own=True)
for line in ("204 No Content", "304 Not Modified"):
    tagged = answers(status=line, headers=[("ETag", '"1"')])
    case(f"status: {line[:3]}", status(int(line[:3])), header("ETag", '"1"'), content(b""), app=tagged)
sized = answers(b"hello", headers=[*text, ("Content-Length", "5")])
case("answer: to HEAD", status(200), content(b""), method="HEAD", app=sized)
case("answer: to HEAD, its length", header("Content-Length", "5"), method="HEAD", app=sized, own=True)
case("header out: one", header("X-Custom", "a, b"), app=answers(headers=[("X-Custom", "a, b")]))
case("header out: empty", header("X-Empty", ""), app=answers(headers=[("X-Empty", "")]))
for title, third in (("repeated", "Vary"), ("repeated in other letters", "vary")):
    repeated = answers(headers=[("Vary", "Accept"), ("Vary", "Cookie"), (third, "Origin")])
    case(f"header out: {title}", header_list("Vary", "Accept", "Cookie", "Origin"), app=repeated)
case(
    "header out: a relative Location", header("Location", "/login"),
    app=answers(status="302 Found", headers=[("Location", "/login")]),
)  # fmt: skip
case("header out: UTF-8", header("X-City", city), app=answers(headers=[("X-City", city)]), own=True)
case("header out: latin-1", status(200), app=answers(headers=[("X-City", "Logro\xf1o")]), own=True)
hops = answers(b"x", headers=[("Connection", "close"), ("Transfer-Encoding", "chunked"), *text])
case(
    "header out: of one hop", status(200), header("Connection", None), header("Transfer-Encoding", None), app=hops,
    own=True,
)  # fmt: skip
one = "a=1; Path=/; HttpOnly"
case("cookie out: one", cookies(one), app=answers(headers=[("Set-Cookie", one)]))
two = [one, "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Secure; SameSite=Lax"]
three = [*two, "c=; Max-Age=0"]
eight = [f"c{number}={number}" for number in range(8)]
for title, crumbs in (("two, one of them with a comma", two), ("three", three), ("eight", eight)):
    jar_out = answers(headers=[("Set-Cookie", crumb) for crumb in crumbs])
    case(f"cookie out: {title}", cookies(*crumbs), app=jar_out, fronts=but(*LATTICE))
    case(f"cookie out: {title}, VPC Lattice", cookies(*crumbs), app=jar_out, fronts=LATTICE, own=True)
small = answers(headers=[("set-cookie", crumb) for crumb in two])
case("cookie out: written small", cookies(*two), app=small, fronts=but(*LATTICE))
both = answers(headers=[("Set-Cookie", two[0]), ("set-cookie", two[1])])
case("cookie out: written one way and the other", cookies(*two), app=both, fronts=but(*LATTICE))
moved = answers(status="302 Found", headers=[("Location", "/"), *[("Set-Cookie", crumb) for crumb in two]])
case(
    "cookie out: with a redirect", status(302), cookies(*two), header("Location", "/"), app=moved,
    fronts=but(*LATTICE),
)  # fmt: skip

# answers: their bodies

é, wide = "é".encode(), "é😊".encode()
TEXTS: tuple[tuple[str, str, bytes], ...] = (
    ("HTML", "text/html; charset=utf-8", b"<p>" + wide),
    ("JSON", "application/json", b'{"a": "' + wide + b'"}'),
    ("JSON of a problem", "application/problem+json", b'{"title": "' + é + b'"}'),
    ("JSON of a vendor", "application/vnd.example.v2+json; charset=utf-8", b'{"a": "' + é + b'"}'),
    ("SVG", "image/svg+xml", b"<svg>" + é + b"</svg>"),
    ("XHTML", "application/xhtml+xml", b"<p>" + é + b"</p>"),
    ("CSS", "text/css", b"a::after { content: '" + é + b"' }"),
    ("JavaScript", "text/javascript; charset=utf-8", b"'" + é + b"'"),
    ("JavaScript of old", "application/javascript", b"'" + é + b"'"),
    ("XML", "application/xml", b"<a>" + é + b"</a>"),
    ("text with a byte order mark", "text/csv; charset=utf-8", b"\xef\xbb\xbfa;" + é),
    ("a type in capitals", "Text/HTML; Charset=UTF-8", b"<p>" + é),
)  # fmt: skip
BYTES: tuple[tuple[str, str, bytes], ...] = (
    ("latin-1", "text/plain; charset=iso-8859-1", b"caf\xe9"),
    ("UTF-16", "text/csv; charset=utf-16", "a;é".encode("utf-16")),
    ("no UTF-8 where it is said", "text/html; charset=utf-8", b"<p>\xff"),
    ("no UTF-8 where nothing is said", "application/json", b'"\xff"'),
    ("any bytes", "application/octet-stream", bytes(range(256))),
    ("an image", "image/png", b"\x89PNG\r\n\x1a\n\0\xff"),
    ("a document", "application/pdf", b"%PDF-1.7\n\xe2\xe3"),
    ("ASCII of a binary type", "application/octet-stream", b"hello"),
    ("text of a font's type", "font/woff2", b"wOF2"),
    ("a stream of events", "text/event-stream", b"data: " + é + b"\n\n"),
    ("text with NUL and controls", "text/plain", bytes(range(128))),
)
for title, kind, body in TEXTS + BYTES:
    kept = [status(200), header("Content-Type", kind), content(body)]
    case(f"answer: {title}", *kept, app=answers(body, headers=[("Content-Type", kind)]))
for title, kind, body in TEXTS:  # without binaryMediaTypes a REST API hands on base64 as it is
    kept = [header("Content-Type", kind), content(body)]
    case(
        f"answer: {title}, no binary types", *kept, app=answers(body, headers=[("Content-Type", kind)]),
        fronts=[REST], binary=(),
    )  # fmt: skip
squeezed = [("Content-Type", "text/html; charset=utf-8"), ("Content-Encoding", "gzip")]
case(
    "answer: compressed text", header("Content-Encoding", "gzip"), content(packed),
    app=answers(packed, headers=squeezed),
)  # fmt: skip
brotli = [("content-type", "application/json"), ("content-encoding", "br")]
case("answer: bytes that happen to be text, encoded", content(b"\x0b\x02"), app=answers(b"\x0b\x02", headers=brotli))
case("answer: empty", status(200), content(b""), app=answers(headers=[("Content-Type", "application/octet-stream")]))
case("answer: no type, text", content(b"hello"), app=answers(b"hello"))
case("answer: no type, bytes", content(b"\xff\0"), app=answers(b"\xff\0"))
case("answer: many parts", content(b"a" * 500), app=answers(*[b"a"] * 500, headers=text))
case("answer: large text", content(b"<p>" * 250_000), app=answers(b"<p>" * 250_000, headers=text))
case("answer: large bytes", content(large), app=answers(large, headers=blob))
case(
    "answer: larger text", content(b"<p>" * 1_900_000), app=answers(b"<p>" * 1_900_000, headers=text),
    fronts=but(ALB, ALBS),
)  # fmt: skip
for title, size, over in (("6 MB", 6_400_000, ALL), ("ALB's 1 MB", 1_100_000, but(*GATEWAY, URL, *LATTICE))):
    case(
        f"answer: text over {title}", failed(says=["bytes"]), app=answers(b"a" * size, headers=text), fronts=over,
        own=True,
    )  # fmt: skip
    grown = answers(b"\xff" * (size * 4 // 5), headers=blob)  # base64 makes it a third larger
    case(f"answer: bytes over {title}", failed(says=["bytes"]), app=grown, fronts=over, own=True)
escaped = answers(b'"\n' * 300_000, headers=text)  # twice as large as JSON
case("answer: text that grows over ALB's 1 MB", failed(says=["bytes"]), app=escaped, fronts=(ALB, ALBS), own=True)

# the app's side of PEP 3333

case("app: a generator that starts late", status(202), content(b"first second"), app=generator)
case("app: write()", content(b"written twice, returned"), app=writer)
case("app: closed", content(b"ab"), logged("closed"), app=closing(b"a", b"b"))
case("app: closed after a failure", logged("closed"), app=closing(b"a", RuntimeError("hunter2")))
case("app: headers replaced with exc_info", status(404), header("X-First", None), content(b"replaced"), app=restarted)
case("app: PEP 3333's validator, GET", status(200), app=validated, target="/a%20b?c=d")
case(
    "app: PEP 3333's validator, POST", status(200), content(b"{}"),
    app=validated, method="POST", headers=(("Content-Type", "application/json"),), body=b"{}",
)  # fmt: skip
case("app: fails", failed(), app=failing, own=True)
case("app: fails after start_response", failed(), app=failing_late, own=True)
case("app: fails between chunks", failed(), app=closing(b"a", RuntimeError("hunter2")), own=True)
case("app: starts twice", failed(), app=started_twice, own=True)
case("app: never starts", failed(), app=never_started, own=True)
case("app: fails after a part of its body", failed(), app=restarted_late, own=True)
case("app: exits", failed(), app=exiting, own=True)
number: Any = 5
case("app: a header that is no string", failed(), app=answers(headers=[("X-Number", number)]), own=True)
case("app: a header with a line break", failed(), app=answers(headers=[("X-A", "1\r\nX-B: 2")]), own=True)
letter: Any = "a string"
case("app: a body that is no bytes", failed(), app=answers(letter), own=True)
nothing: Any = None
case("app: no body at all", failed(), app=lambda log: lambda environ, start_response: nothing, own=True)
debug = {"LAMBDA_WSGI_DEBUG": "1"}
shown = failed(says=["RuntimeError", "hunter2", "stackTrace"], hides=())
case("app: fails, with debug", shown, app=failing, settings=debug, own=True)
errors = {"LAMBDA_WSGI_ERROR_STATUS": "500-599"}
busy = answers(status="503 Service Unavailable")
case("error status: the app's answer", raised("ErrorStatus"), app=busy, settings=errors, own=True)
case("error status: the app's failure", raised("RuntimeError"), app=failing, settings=errors, own=True)
case("error status: another status", status(404), app=answers(status="404 Not Found"), settings=errors, own=True)
case("error status: not asked for", status(503), app=busy)

# who

alice = {"principalId": "alice", "integrationLatency": 12}
by: Options = {"fronts": (REST,), "authorizer": alice, "own": True}
case("authorizer: of a REST API", saw(REMOTE_USER="alice", **{"serverless.authorizer": json.dumps(alice)}), **by)
claims = {"jwt": {"claims": {"sub": "alice"}, "scopes": None}}
by = {"fronts": (HTTP_2,), "authorizer": claims, "own": True}
case("authorizer: of an HTTP API", saw(**{"serverless.authorizer": json.dumps(claims)}), **by)
case("authorizer: none", saw(REMOTE_USER=None))

# CORS

site, other = "https://app.example.com", "https://evil.example"
preflight: Options = {"method": "OPTIONS", "target": "/users", "own": True}
asks = (
    ("Origin", site),
    ("Access-Control-Request-Method", "PUT"),
    ("Access-Control-Request-Headers", "x-a, content-type"),
)
on = {"LAMBDA_WSGI_CORS_ORIGINS": f"https://a.example, {site}"}
allowed = header("Access-Control-Allow-Origin", site)


def names(name: str, *values: str) -> Check:
    """Those values are in the list, whatever else is."""

    def check(found: Exchange) -> Iterator[str]:
        response = responded(found)
        if isinstance(response, str):
            yield response
            return
        got = {part.strip().lower() for part in (response.get(name) or "").split(",")}
        if missing := {value.lower() for value in values} - got:
            yield f"{name} is {response.get(name)!r}, without {sorted(missing)}"

    return check


case(
    "CORS: off, a preflight is the app's", status(200), header("X-Method", "OPTIONS"), method="OPTIONS", headers=asks,
    app=method,
)  # fmt: skip
case(
    "CORS: a preflight", status(204), allowed, names("Access-Control-Allow-Methods", "PUT"), logged(),
    names("Access-Control-Allow-Headers", "x-a", "content-type"), names("Vary", "Origin"),
    headers=asks, settings=on, **preflight,
)  # fmt: skip
foreign = (("Origin", other), *asks[1:])
refused = header("Access-Control-Allow-Origin", None)
case("CORS: a preflight from elsewhere", refused, logged(), headers=foreign, settings=on, **preflight)
case(
    "CORS: OPTIONS that is no preflight", header("X-Method", "OPTIONS"), headers=asks[:1], app=method, settings=on,
    **preflight,
)  # fmt: skip
from_site: Options = {"headers": asks[:1], "settings": on, "own": True}
case("CORS: an answer", status(200), allowed, names("Vary", "Origin"), **from_site)
case("CORS: a 404", status(404), allowed, app=answers(status="404 Not Found"), **from_site)
case("CORS: a failure", failed(), allowed, app=failing, **from_site)
case(
    "CORS: an answer to elsewhere", status(200), refused, names("Vary", "Origin"), headers=foreign[:1], settings=on,
    own=True,
)  # fmt: skip
case("CORS: an answer to nobody's page", status(200), refused, settings=on, own=True)
varied = answers(headers=[("Vary", "Cookie")])
case("CORS: the app's Vary stays", names("Vary", "Origin", "Cookie"), app=varied, **from_site)
mine = answers(headers=[("Access-Control-Allow-Origin", "https://mine.example")])
case(
    "CORS: the app's own header wins", header("Access-Control-Allow-Origin", "https://mine.example"), app=mine,
    **from_site,
)  # fmt: skip
anyone = {"LAMBDA_WSGI_CORS_ORIGINS": "*"}
case("CORS: anyone", header("Access-Control-Allow-Origin", "*"), headers=asks[:1], settings=anyone, own=True)
trusted = on | {"LAMBDA_WSGI_CORS_CREDENTIALS": "1", "LAMBDA_WSGI_CORS_MAX_AGE": "600"}
case(
    "CORS: credentials", allowed, header("Access-Control-Allow-Credentials", "true"), headers=asks[:1],
    settings=trusted, own=True,
)  # fmt: skip
kept_for = header("Access-Control-Max-Age", "600")
case("CORS: how long a preflight is good", status(204), kept_for, headers=asks, settings=trusted, **preflight)
narrow = on | {"LAMBDA_WSGI_CORS_METHODS": "GET,PUT", "LAMBDA_WSGI_CORS_HEADERS": "X-A"}
case(
    "CORS: methods and headers that are named", header_list("Access-Control-Allow-Methods", "GET", "PUT"),
    header_list("Access-Control-Allow-Headers", "X-A"), headers=asks, settings=narrow, **preflight,
)  # fmt: skip
