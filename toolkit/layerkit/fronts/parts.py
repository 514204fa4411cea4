"""What fronts do alike with headers, queries, bodies and routes."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from layerkit.fronts.nouns import Request, Response

TEXTUAL = ("application/json", "application/javascript", "application/xml")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_BODILESS = (204, 304)


def strict_json(text: str) -> Any:
    """What it says.  Raises ValueError for what is no JSON, such as NaN, and RecursionError for what is too deep."""
    return json.loads(text, parse_constant=_no_number)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is none of its numbers")


def text_of(value: str) -> str:
    """Header bytes as JSON text.

    ALB decodes UTF-8: github.com/honojs/hono/issues/4432 has letters of Latin Extended-A in its event.  The other
    fronts: documented nowhere; JSON has to be Unicode, so the same.  What is no UTF-8 cannot be told apart after.
    """
    return value.encode("latin-1").decode("utf-8", "replace")


def line_of(value: str | bool) -> str:
    """JSON text as header bytes: documented nowhere; UTF-8, the other way round.  A bool: RECORD, header-bool."""
    text = str(value).lower() if isinstance(value, bool) else value
    return text.encode().decode("latin-1")


def on_the_wire(response: Response, request: Request) -> Response:
    """The front writes Content-Length itself, and no body where HTTP has none (RFC 9110, 6.4.1)."""
    if request.method == "HEAD" or response.status in _BODILESS:
        # what is left of the app's Content-Length on HEAD: documented nowhere; kept, as that is what HTTP means by it
        return Response(status=response.status, reason=response.reason, headers=response.headers)
    lines = [(name, value) for name, value in response.headers if name.lower() != "content-length"]
    return Response(
        status=response.status,
        reason=response.reason,
        headers=(*lines, ("Content-Length", str(len(response.body)))),
        body=response.body,
    )


def last(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return dict(pairs)


def lists(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: ",".join(values) for name, values in lists((name.lower(), value) for name, value in pairs).items()}


def parameters(query: str) -> list[tuple[str, str]]:
    """The parts of a query as they came."""
    parts = [part.partition("=") for part in query.split("&") if part]
    return [(name, value) for name, _, value in parts]


def encoded_body(request: Request, text: bool) -> tuple[str, bool]:
    if text or not request.body:
        return request.body.decode("utf-8", "replace"), False
    return b64encode(request.body).decode(), True


def is_textual(request: Request) -> bool:
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in TEXTUAL


def filled(route: str, path: str, *, greedy_slash: bool = True) -> dict[str, str] | None:
    """The path parameters of a route (`/users/{id}`, `/{proxy+}`), as they stand in the path."""
    pattern = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.+)", re.escape(route))
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
    found = re.fullmatch(f"{pattern}/?", path) if "{" in route else None
    if found is None:
        return None
    # RECORD, with-trailing-slash: path /proxy-value/, pathParameters proxy-value
    return {name: value if greedy_slash else value.rstrip("/") for name, value in found.groupdict().items()}
