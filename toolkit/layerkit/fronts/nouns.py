"""What goes into a front and what comes out of it."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import urandom
from time import gmtime, time
from typing import Any, Literal
from uuid import UUID

Event = dict[str, Any]
Pairs = tuple[tuple[str, str], ...]
Trouble = Literal["function", "answer", "slow", "request", "event"]
"""Why a client gets the front's own answer:

function  the function failed: it raised, ended, ran out of its own time or memory, or could not start
answer    the front does not take what it answered
slow      it had not answered after the front's own `max_seconds`
request   the body of the request is larger than the front takes
event     the event is larger than Lambda takes
"""

# "Response payload size exceeded maximum allowed payload size (6291556 bytes)": the Lambda runtime API
LAMBDA_LIMIT = 6_291_556
# "Request must be smaller than 6291456 bytes for the InvokeFunction operation": the Lambda API
EVENT_LIMIT = 6_291_456
ALB_LIMIT = 1024 * 1024  # ELB: "The maximum size of the response JSON that the Lambda function can send is 1 MB"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # in any locale


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client sends, and what the front knows of it.

    `target` stands below where the API is mounted; the front puts stage or mapping first.  The last three are always
    the same, as tests want it, until `arriving` makes them this moment's.
    """

    method: str = "GET"
    target: str = "/"
    headers: Pairs = ()
    body: bytes = b""
    client: str = "203.0.113.7"
    client_port: int = 50123
    request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    trace: str = "Root=1-5e6b67ad-2d4a5560cf6fb7a02780c3a0"
    milliseconds: int = 1_583_349_317_135  # since 1970

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def arriving(self) -> Request:
        """The same one, with an id and a trace of its own, now."""
        now = time()
        # docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html: version, time of the original request in
        # hexadecimal, 96 random bits
        trace = f"Root=1-{int(now):08x}-{urandom(12).hex()}"
        request_id = str(UUID(bytes=urandom(16), version=4))
        return replace(self, request_id=request_id, trace=trace, milliseconds=int(now * 1000))

    @property
    def time(self) -> str:
        """As in web servers' logs: 04/Mar/2020:19:15:17 +0000."""
        year, month, day, hour, minute, second, *_ = gmtime(self.milliseconds // 1000)
        return f"{day:02}/{_MONTHS[month - 1]}/{year}:{hour:02}:{minute:02}:{second:02} +0000"

    @property
    def short_id(self) -> str:
        """API Gateway's other form of an id, 15 characters and a `=` (LIVE)."""
        return b2a_base64(UUID(self.request_id).bytes[:11], newline=False).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What that client gets."""

    status: int
    reason: str = ""
    headers: Pairs = ()
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The field's value as a client reads it, its lines joined (RFC 9110, 5.2)."""
        return ", ".join(self.all(name)) if self.all(name) else None


class Refused(Exception):
    """The front does not take the request or the answer; its client gets `front.failed(trouble)`, with `status`.

    The reason is for who wrote the function; the client is never told.
    """

    def __init__(self, status: int, reason: str, trouble: Trouble = "answer") -> None:
        super().__init__(f"{status}: {reason}")
        self.status, self.reason, self.trouble = status, reason, trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How the front is configured.  What a front has not got it leaves alone."""

    stage: str = ""  # of API Gateway; "": prod on a REST API, $default on an HTTP API
    domain: str = ""  # a custom domain; "": the front's own
    host: str = ""  # of clients that send none, which HTTP/1.1 forbids; "": the domain
    mapping: str = ""  # base path mapping (REST), API mapping key (HTTP API) of the custom domain
    route: str = ""  # resource or route; "": {proxy+} beside the root on a REST API, $default on an HTTP API
    binary: tuple[str, ...] = ("*/*",)  # binaryMediaTypes of a REST API
    authorizer: Mapping[str, Any] | None = None  # as it stands in requestContext
    scheme: str = "https"
    port: str = ""  # "": the scheme's
    client_port: bool = False  # ALB: routing.http.xff_client_port.enabled
    stage_in_path: bool = True  # HTTP API 2.0 on a custom domain, see HttpApi2._prefix
    query_in_path: bool = True  # VPC Lattice v1, see LatticeV1._event
