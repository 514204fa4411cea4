"""serve: HTTP on the wire, one event at a time, restarts that lose no request, an end that leaves nothing."""

from __future__ import annotations

import base64
import http.client
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from conftest import Said
from layerkit import fronts
from layerkit.cache import Cache
from layerkit.errors import ConfigError, MachineError
from layerkit.fronts import Request, Response
from layerkit.local.nouns import Environment, Failure, Init, Invocation, Listen, Runnable
from layerkit.local.serve import loop as serve_loop
from layerkit.local.serve.answers import FunctionAnswers, shown
from layerkit.local.serve.loop import Loop, Means, Served, Where
from layerkit.local.serve.turns import Room, Turns
from layerkit.local.serve.web import Answer, Server
from layerkit.local.serve.wire import written
from layerkit.model import Function, Interpreter, Target

PATIENCE = 20.0  # seconds after which a test that waits has failed
TARGET = Target(runtime="python3.12", architecture="arm64", glibc=(2, 34), image="none")


# -- HTTP


class Echo:
    """Answers with what it got; remembers it."""

    limit = 1000

    def __init__(self) -> None:
        self.got: list[Request] = []
        self.refused: list[tuple[int, str]] = []
        self.block = threading.Event()
        self.block.set()
        self.asked = threading.Event()
        self.body: Callable[[Request], bytes] = lambda request: request.body

    def answer(self, request: Request) -> Answer:
        self.got.append(request)
        self.asked.set()
        assert self.block.wait(PATIENCE)
        return Response(status=200, headers=(("X-Path", request.target),), body=self.body(request)), lambda: None

    def too_large(self, request: Request) -> Answer:
        return Response(status=413, body=b"too large"), lambda: None

    def bad(self, status: int, why: str) -> None:
        self.refused.append((status, why))


@pytest.fixture
def echo() -> Echo:
    return Echo()


@contextmanager
def listening(echo: Echo, idle: float = PATIENCE) -> Iterator[Server]:
    before = set(threading.enumerate())
    server = Server("127.0.0.1", 0, idle=idle)
    server.start(echo)
    try:
        yield server
    finally:
        echo.block.set()
        assert server.close()
    assert set(threading.enumerate()) <= before


@pytest.fixture
def server(echo: Echo) -> Iterator[Server]:
    with listening(echo) as server:
        yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection((server.host, server.port), PATIENCE)


def everything(connection: socket.socket) -> bytes:
    """Until the server ends the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def talk(server: Server, data: bytes) -> bytes:
    """What comes of these bytes, after which the client sends no more."""
    with connect(server) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def undated(answer: bytes) -> bytes:
    return re.sub(rb"Date: [^\r]+ GMT\r\n", b"", answer)


def test_the_answer_on_the_wire(server: Server, echo: Echo) -> None:
    answer = talk(server, b"POST /a?b=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
    assert undated(answer) == b"HTTP/1.1 200 OK\r\nX-Path: /a?b=1\r\nContent-Length: 3\r\n\r\nabc"
    assert re.search(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n", answer)
    assert (echo.got[0].method, echo.got[0].body, echo.got[0].client) == ("POST", b"abc", "127.0.0.1")


def test_header_lines_arrive_to_the_byte_and_in_their_order(server: Server, echo: Echo) -> None:
    lines = b"Host: h\r\nX-A:  1 \t\r\nx-a: \xc3\xa9\r\nEmpty:\r\nX-A: a\tb\r\n\r\n"
    assert b" 200 " in talk(server, b"GET /\xff%FF//x?q=\xe9&&=;a#b HTTP/1.1\r\n" + lines)
    assert echo.got[0].target == "/\xff%FF//x?q=\xe9&&=;a#b"
    want = (("Host", "h"), ("X-A", "1"), ("x-a", "\xc3\xa9"), ("Empty", ""), ("X-A", "a\tb"))
    assert echo.got[0].headers == want


def test_a_connection_is_kept_and_requests_may_be_sent_ahead(server: Server, echo: Echo) -> None:
    requests = b"".join(b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n%d" % (n, n) for n in range(5))
    bodies = re.findall(rb"\r\n\r\n(\d)", talk(server, requests + b"\r\nGET /last HTTP/1.1\r\nHost: h\r\n\r\n"))
    assert bodies == [b"0", b"1", b"2", b"3", b"4"]
    assert [request.target for request in echo.got] == ["/0", "/1", "/2", "/3", "/4", "/last"]


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n", False),
        (b"GET / HTTP/1.0\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_who_ends_a_connection(server: Server, head: bytes, kept: bool) -> None:
    with connect(server) as connection:
        connection.sendall(head + b"\r\n")
        reply = http.client.HTTPResponse(connection, method="GET")
        reply.begin()
        assert (reply.status, reply.will_close) == (200, not kept)
        reply.read()
        if not kept:
            assert connection.recv(1) == b""


def test_a_body_in_chunks(server: Server, echo: Echo) -> None:
    chunks = b"3;name=x\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: lost\r\n\r\n"
    answer = talk(server, b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n" + chunks)
    assert undated(answer).endswith(b"\r\nContent-Length: 13\r\n\r\nabc0123456789")
    assert echo.got[0].body == b"abc0123456789"
    assert echo.got[0].header("trailer") is None


def test_who_waits_to_be_told_to_go_on_is_told(server: Server, echo: Echo) -> None:
    with connect(server) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    assert echo.got[0].body == b"ok"


GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
BAD = {
    b"nonsense\r\n\r\n": 400,
    b"GET /\r\n\r\n": 400,
    b"GET / a HTTP/1.1\r\nHost: h\r\n\r\n": 400,
    b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n": 400,
    b"G@T / HTTP/1.1\r\nHost: h\r\n\r\n": 400,
    b"GET path HTTP/1.1\r\nHost: h\r\n\r\n": 400,
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n": 400,
    b"GET / HTTP/one\r\n\r\n": 400,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 505,
    b"GET / HTTP/1.1\r\n\r\n": 400,
    GET + b"Host: i\r\n\r\n": 400,
    GET + b"Name : value\r\n\r\n": 400,
    GET + b"A: b\r\n folded\r\n\r\n": 400,
    GET + b"A: b\rC: d\r\n\r\n": 400,
    GET + b"no colon\r\n\r\n": 400,
    GET + b"Content-Length: -1\r\n\r\n": 400,
    GET + b"Content-Length: 1_0\r\n\r\n": 400,
    GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab": 400,
    GET + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n": 501,
    GET + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n": 400,
    GET + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n": 400,
    GET + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n": 400,
    GET + b"Expect: a miracle\r\n\r\n": 417,
    GET + b"A: " + b"a" * 70_000 + b"\r\n\r\n": 431,
    GET + b"A: b\r\n" * 20_000 + b"\r\n": 431,
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n": 414,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n": 400,
    b"\x16\x03\x01\x02\x00\x01": 400,
}


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_what_is_no_request_gets_a_status_and_the_end(server: Server, echo: Echo, data: bytes) -> None:
    answer = talk(server, data + GET + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % BAD[data])
    assert answer.count(b"\r\nDate: ") == 1  # what comes after it may be anything
    assert b"\r\nConnection: close\r\n" in answer
    assert [status for status, _ in echo.refused] == [BAD[data]]
    assert echo.got == []
    assert b" 200 " in talk(server, GET + b"\r\n")


def test_who_speaks_https_is_told_of_it(server: Server, echo: Echo) -> None:
    talk(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 500)
    assert "begins with http://" in echo.refused[0][1]


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 1001\r\n\r\n",
        b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"a" * 1000 + b"\r\n1\r\na\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffffffffffff\r\n",
    ],
)
def test_a_body_beyond_the_limit_is_refused_unread(server: Server, echo: Echo, sent: bytes) -> None:
    assert talk(server, GET + sent).startswith(b"HTTP/1.1 413 ")
    assert echo.got == []


def test_who_sends_on_after_a_refusal_still_reads_it(server: Server) -> None:
    """Closed at once, the connection would be reset, and the answer lost with it."""
    with connect(server) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8000000\r\n\r\n")
        for _ in range(80):
            connection.sendall(b"a" * 100_000)
        assert everything(connection).startswith(b"HTTP/1.1 413 ")


def test_a_body_of_just_the_limit(server: Server, echo: Echo) -> None:
    assert b" 200 " in talk(server, GET + b"Content-Length: 1000\r\n\r\n" + b"a" * 1000)
    assert b" 200 " in talk(
        server, GET + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"a" * 1000 + b"\r\n0\r\n\r\n"
    )
    assert [len(request.body) for request in echo.got] == [1000, 1000]


def test_the_absolute_form_names_host_and_path(server: Server, echo: Echo) -> None:
    talk(server, b"GET http://example.org:8000/a?b HTTP/1.1\r\nHost: other\r\n\r\n")
    talk(server, b"GET http://example.org?b HTTP/1.1\r\nHost: other\r\n\r\n")
    assert [(request.target, request.headers) for request in echo.got] == [
        ("/a?b", (("Host", "example.org:8000"),)),
        ("/?b", (("Host", "example.org"),)),
    ]


def test_a_slow_client_keeps_nobody_waiting(server: Server) -> None:
    with connect(server) as slow:
        slow.sendall(b"GET / HT")
        assert b" 200 " in talk(server, GET + b"\r\n")
        slow.sendall(b"TP/1.1\nHost: h\n\n")
        assert slow.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_who_says_nothing_is_left_and_half_a_request_is_told(echo: Echo) -> None:
    with listening(echo, idle=0.05) as server:
        with connect(server) as connection:
            assert everything(connection) == b""
        with connect(server) as connection:
            connection.sendall(GET + b"Content-Length: 9\r\n\r\nabc")
            assert everything(connection).startswith(b"HTTP/1.1 408 ")
    assert [status for status, _ in echo.refused] == [408]


@pytest.mark.parametrize("sent", [b"", b"GET", GET, GET + b"Content-Length: 9\r\n\r\nabc"])
def test_a_client_that_goes_away_while_it_sends(server: Server, echo: Echo, sent: bytes) -> None:
    assert talk(server, sent) == b""
    assert (echo.got, echo.refused) == ([], [])


def test_a_client_that_goes_away_before_its_answer(server: Server, echo: Echo) -> None:
    echo.block.clear()
    echo.body = lambda _: b"a" * 10_000_000
    with connect(server) as connection:
        connection.sendall(GET + b"\r\n")
        assert echo.asked.wait(PATIENCE)
    echo.block.set()
    echo.body = lambda _: b""
    assert b" 200 " in talk(server, GET + b"\r\n")


def test_the_end_does_not_wait_for_idle_or_unreading_clients(echo: Echo) -> None:
    echo.body = lambda _: b"a" * 50_000_000
    with listening(echo) as server, connect(server) as idle, connect(server) as unreading, connect(server):
        idle.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n")
        unreading.sendall(GET + b"\r\n")
        assert unreading.recv(10)
        assert server.close()


def test_idle_connections_end_by_themselves_at_the_end(echo: Echo) -> None:
    with listening(echo, idle=10 * PATIENCE) as server, connect(server) as kept, connect(server) as half:
        kept.sendall(GET + b"\r\n")
        assert kept.recv(1000)
        half.sendall(b"GET")
        server.end()
        assert server.wait(PATIENCE)  # nobody was cut off for it


def test_an_answer_that_is_under_way_at_the_end_is_sent(echo: Echo) -> None:
    echo.block.clear()
    with listening(echo) as server, connect(server) as connection:
        connection.sendall(GET + b"\r\n" + GET + b"\r\n")
        assert echo.asked.wait(PATIENCE)
        server.end()
        echo.block.set()
        assert everything(connection).count(b"HTTP/1.1 200 ") == 1  # and the second one is not begun
        assert server.wait(PATIENCE)


def test_a_port_that_is_taken(server: Server) -> None:
    with pytest.raises(MachineError) as error:
        Server("127.0.0.1", server.port)
    assert str(error.value) == (
        f"127.0.0.1:{server.port}: something else listens there already\n"
        "  To do: name another port: --port 8001, or --port 0 for one that is free"
    )


ANSWERS: dict[str, tuple[Response, str, bytes]] = {
    "as they stand": (
        Response(status=200, headers=(("set-cookie", "a"), ("X", "\xe9"), ("Set-Cookie", "b")), body=b"x"), "GET",
        b"HTTP/1.1 200 OK\r\nset-cookie: a\r\nX: \xe9\r\nSet-Cookie: b\r\nContent-Length: 1\r\n\r\nx",
    ),
    "a reason": (Response(status=200, reason="Fine"), "GET", b"HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n"),
    "a reason that splits": (
        Response(status=200, reason="A\r\nB: c"), "GET", b"HTTP/1.1 200 A  B: c\r\nContent-Length: 0\r\n\r\n"
    ),
    "unknown": (Response(status=599), "GET", b"HTTP/1.1 599 \r\nContent-Length: 0\r\n\r\n"),
    "HEAD": (
        Response(status=200, headers=(("Content-Length", "99"),)), "HEAD",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
    ),
    "HEAD of nothing known": (Response(status=200), "HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
    "204": (
        Response(status=204, headers=(("Content-Length", "5"),), body=b"hello"), "GET",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ),
    "304": (
        Response(status=304, headers=(("ETag", '"x"'), ("Content-Length", "5"))), "GET",
        b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n',
    ),
    "the connection's": (
        Response(status=200, headers=(("Transfer-Encoding", "chunked"), ("Connection", "close")), body=b"x"), "GET",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ANSWERS)
def test_answers_as_bytes(kind: str) -> None:
    response, method, data = ANSWERS[kind]
    assert undated(written(response, method, keep=True)) == data


# -- a function behind it


Handler = Callable[[dict[str, Any]], Any]


class Fake:
    """An environment whose function is a Python callable; it refuses two events at once, and any after its end."""

    where = "a fake"
    unlike: tuple[str, ...] = ("it is none",)

    def __init__(self, handler: Handler, listen: Listen, init: Init) -> None:
        self.handler, self.listen, self.init = handler, listen, init
        self.busy = threading.Lock()
        self.closed = threading.Event()
        self.served = 0

    def ready(self) -> Init:
        return self.init

    def invoke(self, event: str, request_id: str = "") -> Invocation:
        assert self.busy.acquire(blocking=False), "two events at once"
        try:
            assert not self.closed.is_set()
            self.served += 1
            answer = self.handler(json.loads(event))
            if isinstance(answer, threading.Event):  # it runs until that, or until its end
                while not answer.wait(0.01):
                    if self.closed.is_set():
                        raise MachineError("the function's surroundings are gone")
                answer = "late"
            if isinstance(answer, Failure):
                return Invocation(request_id=request_id, failure=answer)
            seconds = answer.pop("seconds", 0.001) if isinstance(answer, dict) else 0.001
            return Invocation(request_id=request_id, payload=json.dumps(answer), seconds=seconds, init=self.init)
        finally:
            self.busy.release()


class Told(Said):
    """What a person reads."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.changed = threading.Condition()
        self.facts: dict[str, Any] = {}

    def note(self, message: str) -> None:
        with self.changed:
            self.lines += message.splitlines()
            self.changed.notify_all()

    def log(self, line: str) -> None:
        self.note(line)

    def said(self, message: str, **facts: Any) -> None:
        self.facts = facts
        self.note(message)

    def wait(self, text: str, count: int = 1) -> None:
        """Until so many lines with that text have been told."""
        with self.changed:
            found = self.changed.wait_for(lambda: sum(text in line for line in self.lines) >= count, PATIENCE)
        assert found, self.lines


class Project:
    """A function with a layer of its own source; what runs is `handler`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("src", "greet", "dist"):
            (folder / name).mkdir(parents=True)
        (folder / "src" / "main.py").write_text("")
        (folder / "greet" / "greet.py").write_text("")
        (folder / "layers.yaml").write_text("")
        self.handler: Handler = lambda event: event["rawPath"]
        self.init = Init(seconds=0.131)
        self.opened: list[Fake] = []
        self.rebuilt: list[frozenset[str]] = []
        self.broken: dict[str, Exception] = {}  # what fails -> how
        self.told = Told()

    def load(self) -> Served:
        self._fail("load")
        function = Function(key="hello", layers=("greet",), source=self.folder / "src", handler="main.handler")
        return Served(
            runnable=Runnable(function=function, target=TARGET, zips=()),
            sources={"greet": self.folder / "greet"},
            explain=lambda failure: f"src/main.py:7: {failure.type}: {failure.message}",
        )

    @contextmanager
    def open(self, runnable: Runnable, listen: Listen) -> Iterator[Environment]:
        self._fail("open")
        fake = Fake(self.handler, listen, self.init)
        self.opened.append(fake)
        try:
            yield fake
        finally:
            fake.closed.set()

    def rebuild(self, keys: frozenset[str]) -> None:
        self.rebuilt.append(keys)
        self._fail("rebuild")

    def _fail(self, what: str) -> None:
        if what in self.broken:
            raise self.broken[what]

    def loop(self, *, front: str = "http-api", watch: bool = False, port: int = 0) -> Loop:
        where = Where(
            front=front, port=port, watch=watch, file=self.folder / "layers.yaml", output=self.folder / "dist"
        )
        return Loop(where, Means(load=self.load, open=self.open, rebuild=self.rebuild), self.told)

    @contextmanager
    def serving(self, *, front: str = "http-api", watch: bool = False) -> Iterator[None]:
        before, stop = set(threading.enumerate()), threading.Event()
        thread = threading.Thread(target=self.loop(front=front, watch=watch).run, args=(stop,))
        thread.start()
        try:
            self.told.wait("Ctrl-C ends it")
            yield
        finally:
            stop.set()
            thread.join(PATIENCE)
        assert set(threading.enumerate()) <= before
        assert all(fake.closed.is_set() for fake in self.opened)
        with pytest.raises(ConnectionRefusedError):
            self.connection().connect()

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.told.facts["url"].removeprefix("http://"), timeout=PATIENCE)

    def ask(
        self, target: str = "/", method: str = "GET", body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        connection = self.connection()
        try:
            connection.request(method, target, body or None, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def later(self, target: str = "/") -> Asked:
        return Asked(self, target)


class Asked(threading.Thread):
    """A client in a thread of its own."""

    def __init__(self, project: Project, target: str) -> None:
        super().__init__()
        self.project, self.target = project, target
        self.answer: tuple[int, str] | None = None
        self.start()

    def run(self) -> None:
        with suppress(OSError, http.client.HTTPException):
            self.answer = self.project.ask(self.target)

    def result(self) -> tuple[int, str] | None:
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.answer


@pytest.fixture
def hello(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_a_request_goes_through_its_front(hello: Project) -> None:
    events = []

    def handler(event: dict[str, Any]) -> Any:
        events.append(event)
        return {"statusCode": 201, "headers": {"x-a": "b"}, "cookies": ["c=1", "d=2"], "body": "é"}

    hello.handler = handler
    with hello.serving():
        connection = hello.connection()
        connection.request("POST", "/users?limit=2", b"\xff\x00", {"X-Name": "v"})
        reply = connection.getresponse()
        assert (reply.status, reply.read(), reply.getheader("x-a")) == (201, "é".encode(), "b")
        assert [value for name, value in reply.getheaders() if name == "Set-Cookie"] == ["c=1", "d=2"]
        connection.close()
        hello.told.wait("POST /users?limit=2  201  1.0 ms")
    assert events[0]["requestContext"]["http"]["sourceIp"] == "127.0.0.1"
    assert events[0]["headers"]["host"] == hello.told.facts["url"].removeprefix("http://")
    assert base64.b64decode(events[0]["body"]) == b"\xff\x00"
    assert hello.told.lines[0] == (
        f"{hello.told.facts['url']}  hello behind http-api, a fake, init 131 ms; Ctrl-C ends it"
    )
    assert hello.told.lines[-1] == "ended; nothing is left"


@pytest.mark.parametrize("front", ["rest", "function-url", "alb", "alb-multi", "http-api-1.0", "lattice-v2"])
def test_every_front(hello: Project, front: str) -> None:
    hello.handler = lambda event: {"statusCode": 200, "body": event.get("path") or event["rawPath"]}
    with hello.serving(front=front):
        assert hello.ask("/a/b") == (200, "/a/b")


def test_a_failure_and_its_reason(hello: Project) -> None:
    hello.handler = lambda event: Failure(type="ValueError", message="boom")
    with hello.serving():
        assert hello.ask("/x") == (500, '{"message":"Internal Server Error"}')
        hello.told.wait("  src/main.py:7: ValueError: boom")
    assert "GET /x  500  0.0 ms" in hello.told.lines


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"statusCode": "many"}, "statusCode 'many'"),
        ({"statusCode": 101}, "101 is no status of an answer: it announces one (RFC 9110, 15.2)"),
        ({"statusCode": 200, "headers": {"a b": "c"}}, "'a b' is no name of a header"),
        ({"statusCode": 200, "body": "\ud800"}, "the answer is no JSON that can be read: 'utf-8' codec can't encode"),
        ({"statusCode": 200, "seconds": 31.0}, "http-api waits 30 s for a function, and no longer"),
    ],
)
def test_an_answer_that_the_front_does_not_take(hello: Project, answer: dict[str, Any], reason: str) -> None:
    hello.handler = lambda event: dict(answer)
    with hello.serving():
        assert hello.ask()[0] in (500, 503)
        hello.told.wait(reason)


def test_a_body_that_the_front_does_not_take(hello: Project) -> None:
    hello.handler = lambda event: {"statusCode": 200, "body": "ok"}
    with hello.serving(front="alb"):
        assert hello.ask("/", "POST", b"a" * 1024 * 1024)[0] == 200
        assert hello.ask("/", "POST", b"a" * (1024 * 1024 + 1))[0] == 413
        hello.told.wait("POST /  413  nothing was run")
    assert hello.opened[0].served == 1


def test_the_function_s_log_comes_as_it_is_written(hello: Project) -> None:
    def handler(event: dict[str, Any]) -> Any:
        hello.opened[0].listen("a line")
        hello.told.wait("a line")  # before there is an answer
        return "ok"

    hello.handler = handler
    with hello.serving():
        assert hello.ask() == (200, "ok")


def test_an_init_is_told_where_a_request_waited_for_it(hello: Project) -> None:
    again = Init(seconds=0.2)

    def handler(event: dict[str, Any]) -> Any:
        if event["rawPath"] == "/again":
            hello.opened[0].init = again
        return "ok"

    hello.handler = handler
    with hello.serving():
        hello.ask("/first")
        hello.ask("/again")
        hello.told.wait("GET /again  200  1.0 ms, init 200 ms")
    assert "GET /first  200  1.0 ms" in hello.told.lines


def test_one_event_at_a_time(hello: Project) -> None:
    """The fake fails where two come at once."""
    with hello.serving():
        clients = [hello.later(f"/{number}") for number in range(20)]
        assert [client.result() for client in clients] == [(200, f"/{number}") for number in range(20)]
    assert hello.opened[0].served == 20


def test_a_change_restarts_and_builds_a_layer_alone_where_its_own_source_changed(hello: Project) -> None:
    with hello.serving(watch=True):
        hello.handler = lambda event: "new"
        (hello.folder / "src" / "main.py").write_text("new = 1\n")
        hello.told.wait("s: main.py changed")
        assert hello.ask() == (200, "new")
        assert hello.rebuilt == []
        (hello.folder / "greet" / "greet.py").write_text("new = 1\n")
        hello.told.wait("s: greet/greet.py changed")
        assert hello.rebuilt == [{"greet"}]
        (hello.folder / "layers.yaml").write_text("# new\n")
        hello.told.wait("s: layers.yaml changed")
        assert hello.rebuilt == [{"greet"}]
        (hello.folder / "dist" / "greet.zip").write_text("new")
        (hello.folder / "src" / "main.py").write_text("new = 22\n")
        hello.told.wait("s: main.py changed", 2)
    assert len(hello.opened) == 5


def test_without_watch_nothing_restarts(hello: Project) -> None:
    loop = hello.loop()
    assert loop.watch.paths == ()


def test_what_runs_goes_on_in_the_old_environment_and_what_comes_then_runs_in_the_new(hello: Project) -> None:
    go_on = threading.Event()
    hello.handler = lambda event: go_on
    with hello.serving(watch=True):
        running = hello.later("/running")
        wait_until(lambda: hello.opened[0].served == 1)
        hello.handler = lambda event: "new"
        (hello.folder / "src" / "main.py").write_text("new = 1\n")
        hello.told.wait("restarted in")
        assert hello.ask() == (200, "new")
        assert not hello.opened[0].closed.is_set()
        go_on.set()
        assert running.result() == (200, "late")
        assert hello.opened[0].closed.wait(PATIENCE)


def test_requests_that_come_during_a_restart_wait_and_none_is_lost(hello: Project) -> None:
    opening, opened = threading.Event(), threading.Event()
    plain = hello.rebuild

    def rebuild(keys: frozenset[str]) -> None:
        opening.set()
        assert opened.wait(PATIENCE)
        plain(keys)

    hello.rebuild = rebuild  # type: ignore[method-assign]
    with hello.serving(watch=True):
        hello.handler = lambda event: f"new {event['rawPath']}"
        (hello.folder / "greet" / "greet.py").write_text("new = 1\n")
        assert opening.wait(PATIENCE)
        clients = [hello.later(f"/{number}") for number in range(10)]
        opened.set()
        assert [client.result() for client in clients] == [(200, f"new /{number}") for number in range(10)]


def test_under_load_a_restart_loses_nothing(hello: Project) -> None:
    def clients() -> list[Asked]:
        return [hello.later("/same") for _ in range(10)]

    with hello.serving(watch=True):
        asked = clients()
        for number in range(3):
            (hello.folder / "src" / "main.py").write_text("x" * (number + 1))
            asked += clients()
            hello.told.wait("restarted in", number + 1)
        assert {client.result() for client in asked} == {(200, "/same")}
    assert len(hello.opened) == 4


@pytest.mark.parametrize("what", ["load", "open", "rebuild"])
def test_where_a_restart_fails_the_old_function_is_served_until_the_next_change(hello: Project, what: str) -> None:
    with hello.serving(watch=True):
        hello.broken[what] = ConfigError("is no YAML", where="layers.yaml")
        (hello.folder / "greet" / "greet.py").write_text("broken\n")
        hello.told.wait("not restarted, what was there before is still served (greet/greet.py changed):")
        hello.told.wait("  layers.yaml: is no YAML")
        assert hello.ask("/old") == (200, "/old")
        hello.broken.clear()
        hello.handler = lambda event: "new"
        (hello.folder / "src" / "main.py").write_text("mended\n")
        hello.told.wait("s: main.py changed")
        assert hello.ask() == (200, "new")
    wanted = [{"greet"}] if what != "rebuild" else [{"greet"}, {"greet"}]  # it is still to be built
    assert hello.rebuilt == wanted


def test_an_init_that_fails_is_told_at_once_and_the_next_change_restarts(hello: Project) -> None:
    failure = Failure(type="Runtime.ImportModuleError", message="No module named 'flask'")
    hello.init, hello.handler = Init(seconds=0.1, failure=failure), lambda event: failure
    with hello.serving(watch=True):
        at = hello.told.lines.index("the init failed")
        assert hello.told.lines[at + 1].startswith("  src/main.py:7: Runtime.ImportModuleError: No module named")
        assert hello.ask()[0] == 500
        hello.init, hello.handler = Init(seconds=0.1), lambda event: "mended"
        (hello.folder / "src" / "main.py").write_text("mended\n")
        hello.told.wait("s: main.py changed")
        assert hello.ask() == (200, "mended")


def test_an_environment_that_is_gone_is_replaced(hello: Project) -> None:
    def handler(event: dict[str, Any]) -> Any:
        raise MachineError("the function's surroundings are gone")

    hello.handler = handler
    with hello.serving():
        hello.handler = lambda event: "new"
        assert hello.ask()[0] == 500
        hello.told.wait("restarted in")
        assert hello.ask() == (200, "new")


def test_what_cannot_be_replaced_is_tried_again_with_the_next_request_and_not_all_the_time(hello: Project) -> None:
    loop = hello.loop()
    loop.answers = FunctionAnswers(fronts.front(), loop.turns, loop.says)
    turns, hello.broken["open"] = loop.turns, MachineError("nowhere")
    turns.lost = MachineError("gone")
    loop._restart(frozenset(), "what it ran in was gone")
    assert loop.turns.lost is None
    assert hello.told.lines[-1] == "  nowhere"


def test_turns_come_in_the_order_of_asking() -> None:
    turns, first, second = Turns(), object(), object()
    turns.take(room := Room(Fake(str, print, Init(seconds=0)), nullcontext()))
    turns.waiting.extend((first, second))
    assert not turns._is_next(first)  # nothing has begun
    turns.go_on()
    assert (turns._is_next(first), turns._is_next(second)) == (True, False)
    room.busy = True
    assert not turns._is_next(first)


def test_what_was_replaced_is_closed_when_nothing_runs_in_it_any_more() -> None:
    turns, closed = Turns(), ExitStack()
    closed.callback(lambda: ended.append(True))
    ended: list[bool] = []
    old = Room(Fake(str, print, Init(seconds=0)), closed)
    turns.take(old)
    old.busy = True
    turns.take(Room(Fake(str, print, Init(seconds=0)), nullcontext()))
    turns.tidy()
    assert ended == []
    old.busy = False
    turns.tidy()
    turns.tidy()
    assert ended == [True]


def test_where_nothing_can_be_opened_nothing_is_left(hello: Project) -> None:
    hello.broken["open"] = MachineError("nowhere")
    before = set(threading.enumerate())
    with pytest.raises(MachineError, match="nowhere"):
        hello.loop().run(threading.Event())
    assert set(threading.enumerate()) <= before


def test_a_port_that_is_taken_is_told_before_anything_is_opened(hello: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        loop = hello.loop(port=taken.getsockname()[1])
        with pytest.raises(MachineError, match="something else listens there already"):
            loop.run(threading.Event())
    assert hello.opened == []


# -- the end


@contextmanager
def interrupts() -> Iterator[None]:
    """Ctrl-C as Python has it, whatever runs the tests."""
    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def wait_until(true: Callable[[], bool]) -> None:
    never = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if true():
            return
        never.wait(0.01)
    raise AssertionError("it does not come true")


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def in_the_middle(hello: Project, then: Callable[[], None]) -> list[Asked]:
    """Serves in this thread; `then` is called while one request runs, another one waits and a browser is idle."""
    asked: list[Asked] = []

    def play() -> None:
        hello.told.wait("Ctrl-C ends it")
        idle = hello.connection()
        idle.connect()
        asked.append(hello.later("/running"))
        wait_until(lambda: hello.opened[0].served == 1)
        asked.append(hello.later("/waiting"))
        then()
        assert hello.opened[0].closed.wait(PATIENCE)
        idle.close()

    before = set(threading.enumerate())
    player = threading.Thread(target=play)
    player.start()
    with interrupts():
        hello.loop().run(threading.Event())
    player.join(PATIENCE)
    for client in asked:
        client.join(PATIENCE)
    assert set(threading.enumerate()) <= before
    assert hello.opened[0].closed.is_set()
    return asked


def test_ctrl_c_in_the_middle_of_a_request(hello: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_loop, "GRACE", 0.2)
    hello.handler = lambda event: threading.Event()  # which nobody sets
    running, waiting = in_the_middle(hello, interrupt)
    assert running.answer == (503, "layerkit serve has ended\n")
    assert waiting.answer in ((503, "layerkit serve has ended\n"), None)  # None: it was not accepted any more
    assert hello.opened[0].served == 1
    assert hello.told.lines[-1] == "ended; nothing is left"


def test_a_request_that_ends_in_time_gets_its_answer(hello: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_loop, "GRACE", PATIENCE)
    go_on = threading.Event()
    hello.handler = lambda event: go_on

    def then() -> None:
        interrupt()
        threading.Timer(0.05, go_on.set).start()

    running, _ = in_the_middle(hello, then)
    assert running.answer == (200, "late")


def test_ctrl_c_once_more_out_of_impatience(hello: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_loop, "GRACE", 0.2)
    closing = hello.open

    @contextmanager
    def slowly(runnable: Runnable, listen: Listen) -> Iterator[Environment]:
        with closing(runnable, listen) as environment:
            yield environment
            interrupt()

    hello.open = slowly  # type: ignore[method-assign]
    hello.handler = lambda event: threading.Event()
    in_the_middle(hello, interrupt)
    assert hello.told.lines[-1] == "ended; nothing is left"


def test_ctrl_c_before_it_has_begun_is_an_interruption(hello: Project) -> None:
    hello.broken["open"] = KeyboardInterrupt()  # type: ignore[assignment]
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        hello.loop().run(threading.Event())
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("/a?b=%20", "/a?b=%20"),
        ("/\xc3\xa9", "/é"),
        ("/\xff", "/\\xff"),
        ("/\x1b[2J", "/\\x1b[2J"),
        ("/" + "a" * 300, "/" + "a" * 199 + "…"),
    ],
)
def test_nothing_in_a_request_moves_the_cursor(text: str, readable: str) -> None:
    assert shown(text) == readable


# -- for real


LAYERS = """\
version: 1
defaults: {{runtimes: [python3.12], architectures: [{architecture}]}}
layers:
  greet: {{source: greet}}
functions:
  hello: {{source: src, handler: main.handler, layers: [greet], environment: {{NAME: world}}, timeout: 60}}
"""
MAIN = """\
import os, time
from greet import greeting
def handler(event, context):
    if event["rawPath"] == "/long":
        print("it begins")
        time.sleep(50)
    return greeting + " " + os.environ["NAME"]
"""


def descendants(pid: int) -> set[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


@pytest.mark.integration
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_real_function_from_its_first_request_to_ctrl_c(
    python312: Interpreter, cache: Cache, tmp_path: Path, ending: signal.Signals
) -> None:
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    for name, text in {
        "layers.yaml": LAYERS.format(architecture=architecture),
        "src/main.py": MAIN,
        "greet/greet.py": "greeting = 'hello'\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    layerkit = [sys.executable, "-m", "layerkit"]
    subprocess.run([*layerkit, "build", "--builder", "wheels"], cwd=tmp_path, check=True, capture_output=True)
    told = Told()
    command = [*layerkit, "serve", "hello", "--in", "host", "--port", "0", "--watch"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored here would be ignored there
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, before)
        assert process.stderr is not None
        lines = process.stderr

        def read() -> None:
            for line in lines:
                told.note(line)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            told.wait("Ctrl-C ends it")
            project = Project(tmp_path / "unused")
            project.told.facts = {"url": told.lines[0].split()[0]}
            assert project.ask() == (200, "hello world")
            (tmp_path / "greet" / "greet.py").write_text("greeting = 'good morning'\n")
            told.wait("s: greet/greet.py changed")
            assert project.ask() == (200, "good morning world")
            running = project.later("/long")
            told.wait("it begins")
            inside = descendants(process.pid)
            assert inside
            process.send_signal(ending)
            assert process.wait(PATIENCE) == 0
            assert running.result() == (503, "layerkit serve has ended\n")
        finally:
            process.kill()
            reader.join(PATIENCE)
    assert told.lines[-1] == "ended; nothing is left"
    assert not [pid for pid in inside if Path(f"/proc/{pid}").exists()]
    assert list((cache.folder / "tmp").iterdir()) == []
