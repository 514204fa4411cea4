"""What the eight fronts have in common."""

from __future__ import annotations

import json
import re
import sys
from binascii import Error, a2b_base64
from dataclasses import dataclass, field
from typing import Any, ClassVar

from layerkit.fronts.nouns import EVENT_LIMIT, LAMBDA_LIMIT, Event, Refused, Request, Response, Setup, Trouble
from layerkit.fronts.parts import TOKEN, line_of, on_the_wire, strict_json, text_of


@dataclass(frozen=True)
class Front:
    """What the eight have in common."""

    setup: Setup = field(default_factory=Setup)

    name: ClassVar[str]
    own_domain: ClassVar[str]
    limit: ClassVar[int] = LAMBDA_LIMIT
    raw_query: ClassVar[bool] = False  # the query arrives to the letter
    raw_path: ClassVar[bool] = True  # the path arrives encoded, so with any bytes
    failure: ClassVar[int] = 502  # what the client gets when the function fails
    max_seconds: ClassVar[float] = 900  # how long it waits for the function, its init included; 900: it always waits
    body_limit: ClassVar[int] = EVENT_LIMIT  # bytes of a request's body; the event can be too large before that

    # -- the event

    def event(self, request: Request) -> Event:
        """What the function gets: JSON, all its own, and nothing that JSON cannot hold."""
        return self._event(request)

    def payload(self, request: Request) -> str:
        """The event as Lambda hands it over.  Raises Refused for a request that is too large."""
        if (size := len(request.body)) > self.body_limit:
            raise self._too_large("request", f"a body of {size} bytes; the front takes {self.body_limit}")
        text = json.dumps(self._event(request), ensure_ascii=False, separators=(",", ":"))
        if (size := _size(text)) > EVENT_LIMIT:
            raise self._too_large("event", f"an event of {size} bytes; Lambda takes {EVENT_LIMIT}")
        return text

    def _event(self, request: Request) -> Event:
        raise NotImplementedError

    @property
    def domain(self) -> str:
        return self.setup.domain or self.own_domain

    @property
    def mount(self) -> str:
        """What stands before the target in the client's address bar."""
        return ""

    @property
    def root(self) -> str:
        return f"{self.setup.scheme}://{self.setup.host or self.domain}{self.mount}"

    @property
    def port(self) -> str:
        return self.setup.port or ("443" if self.setup.scheme == "https" else "80")

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        """The client's header lines and those that the front adds, values as JSON text.

        X-Forwarded-For is appended to, the other two are overwritten: XFF (append is the default), RECORD.
        The client sends a length with a body, as HTTP wants.
        """
        lines = [(name, value) for name, value in request.headers if name.lower() not in _SET_BY_FRONT]
        if request.header("host") is None:
            lines.insert(0, ("Host", self.setup.host or self.domain))
        if request.body and request.header("content-length") is None and request.header("transfer-encoding") is None:
            lines.append(("Content-Length", str(len(request.body))))
        before = [value for name, value in request.headers if name.lower() == "x-forwarded-for"]
        client = f"{request.client}:{request.client_port}" if self.setup.client_port else request.client
        lines += [("X-Forwarded-For", ", ".join([*before, client]))]
        lines += [("X-Forwarded-Port", self.port), ("X-Forwarded-Proto", self.setup.scheme)]
        lines += [("X-Amzn-Trace-Id", request.trace)]
        return [(name, text_of(value)) for name, value in lines]

    # -- the answer

    def response(self, answer: Any, request: Request | None = None) -> Response:
        """What the client gets.  Raises Refused where that is the front's own error."""
        try:
            # the runtime's client (awslambdaric, lambda_runtime_marshaller.py): from Python 3.12 on, not ASCII alone
            payload = json.dumps(answer, ensure_ascii=sys.version_info < (3, 12), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise self._refuse(f"Runtime.MarshalError: {error}") from None
        return self.read(payload, request)

    def read(self, payload: str, request: Request | None = None) -> Response:
        """The same of an answer in JSON, as the function's runtime sent it."""
        request = request or Request()
        size = _size(payload)
        if size > LAMBDA_LIMIT:
            raise self._refuse(f"Function.ResponseSizeTooLarge: {size} bytes")
        if size > self.limit:
            raise self._refuse(f"the front's limit is {self.limit} bytes, not {size}")
        try:
            answer = strict_json(payload)
            response = self._response(answer, payload, request)
        except (ValueError, RecursionError) as error:  # no JSON, half a character, or very deep
            raise self._refuse(f"the answer is no JSON that can be read: {error}") from None
        self._check(response)
        return on_the_wire(response, request)

    def _check(self, response: Response) -> None:
        """What no HTTP server can send as an answer; how each front refuses it: documented nowhere."""
        if response.status < 200:
            raise self._refuse(f"{response.status} is no status of an answer: it announces one (RFC 9110, 15.2)")
        for name, value in response.headers:
            if _BREAK.search(name) or _BREAK.search(value):  # RFC 9110, 5.5
                raise self._refuse(f"a line break in header {name!r}")
            if not TOKEN.fullmatch(name):
                raise self._refuse(f"{name!r} is no name of a header")

    def _response(self, answer: Any, payload: str, request: Request) -> Response:
        raise NotImplementedError

    def failed(self, trouble: Trouble = "function", request: Request | None = None) -> Response:
        """What the client gets where it is the front that answers."""
        return on_the_wire(self._failed(trouble), request or Request())

    def _failed(self, trouble: Trouble) -> Response:
        raise NotImplementedError

    def _refuse(self, reason: str) -> Refused:
        return Refused(self.failure, reason)

    def _too_large(self, trouble: Trouble, reason: str) -> Refused:
        return Refused(self.failed(trouble).status, reason, trouble)

    def _mapping(self, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, dict):
            raise self._refuse(f"the answer is a {type(answer).__name__}, not an object")
        return answer

    def _single(self, headers: Any, *, also: type = str) -> list[tuple[str, str]]:
        if not isinstance(headers, dict):
            raise self._refuse(f"headers are a {type(headers).__name__}, not an object")
        for name, value in headers.items():
            if not isinstance(value, str | also):
                raise self._refuse(f"header {name!r} has a {type(value).__name__}, not a string")
        return [(name, line_of(value)) for name, value in headers.items()]

    def _lists(self, headers: Any, *, also: type = str) -> list[tuple[str, str]]:
        if not isinstance(headers, dict):
            raise self._refuse(f"multiValueHeaders are a {type(headers).__name__}, not an object")
        for name, values in headers.items():
            if not isinstance(values, list) or not all(isinstance(value, str | also) for value in values):
                raise self._refuse(f"multiValueHeaders has for {name!r} no list of strings")
        return [(name, line_of(value)) for name, values in headers.items() for value in values]

    def _body(self, answer: dict[str, Any], *, decode: bool = True) -> bytes:
        body, encoded = answer.get("body", ""), answer.get("isBase64Encoded", False)
        if not isinstance(body, str):
            raise self._refuse(f"body is a {type(body).__name__}, not a string")
        if not isinstance(encoded, bool):
            raise self._refuse(f"isBase64Encoded is a {type(encoded).__name__}")
        if not (encoded and decode):
            return body.encode()
        try:
            return a2b_base64(body, strict_mode=True)
        except (Error, ValueError) as error:
            raise self._refuse(f"the body is no base64: {error}") from None


_SET_BY_FRONT = ("x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id")
_BREAK = re.compile(r"[\r\n\0]")


def _size(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
