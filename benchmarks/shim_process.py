"""One adapter in the CPython under test: the time of its requests, or its answers to the conformance table.

    python -I -S shim_process.py requests|conformance ADAPTER FOLDER...

`requests` answers each line of standard input, the name of a case, with the seconds of one call and those of the app
in it.  FOLDERs, in which the adapter, Flask and the gateway models are, come first in sys.path.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import repeat
from time import perf_counter
from types import SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults

App = Callable[[dict[str, Any], Any], Any]
Handler = Callable[[Any, Any], Any]

OURS = ("handle_request", "LambdaWSGI")
SLICE = 0.02  # seconds that are timed at once, at least
LINE = "<p>Whoever asks for 'a naïve café' gets \"a few letters\" that are not ASCII.</p>\n".encode()
TEXT = LINE * (100_000 // len(LINE))
CONTEXT = SimpleNamespace(
    aws_request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef", function_name="benchmark", memory_limit_in_mb=1769
)
# with those of the front, twelve; the cookie among them
HEADERS = (
    ("Accept", "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.7"),
    ("Authorization", f"Bearer {'0' * 64}"),
    ("Cookie", "session=eyJpZCI6N30.Zx1abc.dGhpcyBpcyBub3QgYSBzaWduYXR1cmU; theme=dark"),
    ("Referer", "https://www.example.com/users?page=1"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request behind a front, and what the app answers."""

    front: str  # as in layerkit.fronts
    kind: str = "application/json"
    body: bytes = b'{"id": 7, "name": "Ada"}'
    flask: bool = False  # a real app with a route; its whole time counts

    @property
    def large(self) -> bool:
        """Most of the time goes into decoding or encoding the body, which is the same C code for all."""
        return len(self.body) > 10_000


CASES = {
    "HTTP API, payload 2.0": Case(front="http-api"),
    "REST API, payload 1.0": Case(front="rest"),
    "ALB": Case(front="alb"),
    "HTTP API 2.0, answer of 100 kB text": Case(front="http-api", kind="text/html; charset=utf-8", body=TEXT),
    "HTTP API 2.0, answer of 100 kB binary": Case(front="http-api", kind="image/png", body=bytes(range(250)) * 400),
    "Flask, HTTP API, payload 2.0": Case(front="http-api", flask=True),
    "Flask, REST API, payload 1.0": Case(front="rest", flask=True),
    "Flask, ALB": Case(front="alb", flask=True),
}


# Each as its own documentation shows it; the import of one needs no other.
ADAPTERS: dict[str, Callable[[App], Handler]] = {
    "handle_request": lambda app: partial(import_module("lambda_wsgi").handle_request, app),
    "LambdaWSGI": lambda app: import_module("lambda_wsgi").LambdaWSGI(app),
    "serverless-wsgi": lambda app: partial(import_module("serverless_wsgi").handle_request, app),
    "apig-wsgi": lambda app: import_module("apig_wsgi").make_lambda_handler(app, binary_support=True),
    "Mangum + a2wsgi": lambda app: import_module("mangum").Mangum(
        import_module("a2wsgi").WSGIMiddleware(app), lifespan="off"
    ),
}


def plain(case: Case) -> App:
    def app(_: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", case.kind), ("Content-Length", length), ("X-Served-By", "bench")])
        return [case.body]

    length = str(len(case.body))
    return app


def with_flask() -> App:
    from flask import Flask

    app = Flask("benchmark")

    @app.get("/users/<int:number>")
    def user(number: int) -> dict[str, Any]:
        return {"id": number, "name": "Ada"}

    return app


def seconds(adapter: str, case: Case) -> Iterator[tuple[float, float]]:
    """Seconds of one call and of the app alone, ever again; Flask's own are not told.

    Raises SystemExit for an answer that is not the app's.
    """
    from layerkit.fronts import FRONTS, Request

    app = with_flask() if case.flask else plain(case)
    handler = ADAPTERS[adapter](app)
    front = FRONTS[case.front]()
    request = Request(target="/users/7?page=2&sort=name", headers=HEADERS)
    event = front.event(request)
    environ: dict[str, Any] = {"PATH_INFO": "/users/7", "QUERY_STRING": "page=2&sort=name"}
    setup_testing_defaults(environ)
    wanted = b"".join(app(environ, lambda *_: None))
    response = front.response(handler(event, CONTEXT), request)
    if (response.status, response.body) != (200, wanted) or event != front.event(request):
        raise SystemExit(
            f"{adapter} answers a {case.front} request wrongly: {response.status} {response.body[:80]!r}"
        )
    alone = repeat(0.0) if case.flask else slices(app, environ, lambda *_: None)
    return zip(slices(handler, event, CONTEXT), alone, strict=False)


def slices(function: Callable[[Any, Any], object], first: object, second: object) -> Iterator[float]:
    """Seconds of one call in as many as take a SLICE; garbage is collected meanwhile, as in Lambda."""
    calls = 1
    while True:
        start = perf_counter()
        for _ in repeat(None, calls):
            function(first, second)
        taken = perf_counter() - start
        if taken < SLICE:
            calls *= 2
        else:
            yield taken / calls


def time_requests(adapter: str) -> None:
    # freed at once: from then on glibc's malloc keeps what is freed instead of giving it back to the system, which it
    # else does or does not after each large body, by chance of what lies above it
    bytearray(16 << 20)
    running: dict[str, Iterator[tuple[float, float]]] = {}
    for line in sys.stdin:
        name = line.rstrip("\n")
        if name not in running:
            running[name] = seconds(adapter, CASES[name])
        print(*next(running[name]), flush=True)


def conform(adapter: str) -> None:
    """Prints as JSON, by front: how many checks fail, and how many there are; what is our shim's own is apart."""
    import conformance
    from layerkit.fronts import FRONTS

    found: dict[str, dict[str, tuple[int, int]]] = {}
    for kind, own in (("common", False), ("own", True)):
        if own and adapter not in OURS:
            break
        cases = [case for case in conformance.CASES if case.own == own]
        checks = Counter(front for case in cases for front in case.fronts)
        failed = Counter(one.front for one in conformance.run(lambda app, _: ADAPTERS[adapter](app), cases))
        found[kind] = {front: (failed[front], checks[front]) for front in FRONTS}
    print(json.dumps(found))


if __name__ == "__main__":
    what, adapter, *folders = sys.argv[1:]
    sys.path[:0] = folders
    {"requests": time_requests, "conformance": conform}[what](adapter)
