"""HTTP/1.1 as bytes: requests that are read strictly, answers that are written in one piece (RFC 9110, RFC 9112).

http.server's own reader goes through email's parser, which takes lines that are no headers for the end of them; what
the function gets is to be what the client sent, or a 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import BinaryIO

from layerkit.fronts import Request, Response
from layerkit.fronts.parts import TOKEN

HEAD_LIMIT = 64 * 1024  # bytes of a request's head; the fronts' own limits are below it
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNSEEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # no field value has them (5.5)
_SEEN = re.compile(r"[^\x00-\x20\x7f]+")  # a target; bytes above ASCII come as they are
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_OWN = ("connection", "keep-alive", "transfer-encoding", "content-length")  # of the connection, so this server's
_DIGITS = 18  # a length with more is larger than any limit


class Bad(Exception):
    """What arrives is no request that can be taken; its sender gets `status`, and the connection ends."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status}: {why}")
        self.status, self.why = status, why


class Gone(Exception):
    """The client went away in the middle."""


class TooLarge(Exception):
    """The body is larger than the limit.  What is left of it is not read."""

    def __init__(self, head: Head) -> None:
        super().__init__(f"a body larger than the limit for {head.method} {head.target}")
        self.head = head


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request without its body.  All strings are as on the wire: one character is one byte."""

    method: str
    target: str  # path and query
    headers: tuple[tuple[str, str], ...]
    newest: bool  # HTTP/1.1; False: HTTP/1.0

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    def words(self, name: str) -> list[str]:
        """The members of a list in small letters."""
        return [word.strip().lower() for value in self.all(name) for word in value.split(",") if word.strip()]

    @property
    def keep(self) -> bool:
        """Whether the connection goes on after the answer (RFC 9112, 9.3)."""
        words = self.words("connection")
        return "close" not in words and (self.newest or "keep-alive" in words)


def read_head(reader: BinaryIO) -> Head | None:
    """The next request's head; None where the client sends no more.  Raises Bad, Gone, OSError."""
    left = HEAD_LIMIT
    line = _line(reader, left, first=True)
    if line == b"":  # an empty line before a request, after the body of the one before (RFC 9112, 2.2)
        line = _line(reader, left, first=True)
    if line is None:
        return None
    method, target, newest = _request_line(line)
    headers: list[tuple[str, str]] = []
    while line := _line(reader, left := left - len(line)):
        headers.append(_field(line))
    head = Head(method=method, target=target, headers=tuple(headers), newest=newest)
    hosts = head.all("host")
    if len(hosts) > 1 or (newest and not hosts):
        raise Bad(400, "HTTP/1.1 wants one Host")
    if absolute := _ABSOLUTE.fullmatch(target):
        return _from_absolute(head, *absolute.groups())
    if not target.startswith("/"):
        raise Bad(400, f"the target {target!r} is no path")
    return head


def _line(reader: BinaryIO, left: int, *, first: bool = False) -> bytes | None:
    """A line without its end; None where nothing comes any more, which only a first line may have."""
    line = reader.readline(left + 1)
    if not line and first:
        return None
    if not line.endswith(b"\n"):
        if len(line) > left:
            raise Bad(414 if first else 431, "a head, or a line, that is too long")
        if first and line[:2] == b"\x16\x03":  # RFC 8446, 5.1
            raise Bad(400, "that is HTTPS; the address here begins with http://")
        raise Gone
    return line[:-2] if line.endswith(b"\r\n") else line[:-1]


def _request_line(line: bytes) -> tuple[str, str, bool]:
    if line[:2] == b"\x16\x03":
        raise Bad(400, "that is HTTPS; the address here begins with http://")
    parts = line.decode("latin-1").split(" ")
    if len(parts) != 3 or not TOKEN.fullmatch(parts[0]) or not _SEEN.fullmatch(parts[1]):
        raise Bad(400, "the first line is no request line")
    if not re.fullmatch(r"HTTP/[0-9]\.[0-9]", parts[2]):
        raise Bad(400, "the first line names no version of HTTP")
    if not parts[2].startswith("HTTP/1."):
        raise Bad(505, f"{parts[2]} is not spoken here")
    return parts[0], parts[1], parts[2] != "HTTP/1.0"


def _field(line: bytes) -> tuple[str, str]:
    """A header line.  No space stands before the colon, and no line goes on in the next (RFC 9112, 5.1 and 5.2)."""
    name, colon, value = line.decode("latin-1").partition(":")
    value = value.strip(" \t")
    if not colon or not TOKEN.fullmatch(name) or _UNSEEN.search(value):
        raise Bad(400, f"a line that is no header: {line[:60].decode('latin-1')!r}")
    return name, value


def _from_absolute(head: Head, authority: str, rest: str) -> Head:
    """RFC 9112, 3.2.2: a server takes the absolute form too, and its authority instead of Host."""
    headers = tuple((name, authority if name.lower() == "host" else value) for name, value in head.headers)
    target = rest if rest.startswith("/") else f"/{rest}"
    return Head(method=head.method, target=target, headers=headers, newest=head.newest)


def read_body(head: Head, reader: BinaryIO, limit: int, go_on: Callable[[], None]) -> bytes:
    """The body; `go_on` is called where the client waits to be told so.  Raises Bad, Gone, TooLarge, OSError."""
    length = _length(head)
    expected = head.words("expect") if head.newest else []
    if expected not in ([], ["100-continue"]):
        raise Bad(417, f"nobody here can do what is expected: {', '.join(expected)}")
    if length is not None and length > limit:
        raise TooLarge(head)
    if length == 0:
        return b""
    if expected:
        go_on()
    if length is None:
        return _chunks(head, reader, limit)
    return _exactly(reader, length)


def _length(head: Head) -> int | None:
    """Bytes of the body; None where it comes in chunks.  Both at once smuggle requests (RFC 9112, 6.1)."""
    lengths, codings = head.all("content-length"), head.words("transfer-encoding")
    if codings and (lengths or not head.newest):
        raise Bad(400, "Transfer-Encoding beside Content-Length, or in HTTP/1.0")
    if codings:
        if codings != ["chunked"]:
            raise Bad(501, f"Transfer-Encoding {', '.join(codings)} is not known here")
        return None
    if not lengths:
        return 0
    if len(set(lengths)) > 1 or not re.fullmatch("[0-9]+", lengths[0]):
        raise Bad(400, "Content-Length is no number")
    return int(lengths[0].lstrip("0")[: _DIGITS + 1] or "0")


def _chunks(head: Head, reader: BinaryIO, limit: int) -> bytes:
    body = bytearray()
    while size := _chunk_size(reader):
        if len(body) + size > limit:
            raise TooLarge(head)
        body += _exactly(reader, size)
        end = reader.readline(2)
        if end not in (b"\r\n", b"\n"):
            raise Bad(400, "a chunk is longer than it says") if end else Gone
    left = HEAD_LIMIT
    while line := _line(reader, left):  # trailers: the function gets none of them
        left -= len(line)
    return bytes(body)


def _chunk_size(reader: BinaryIO) -> int:
    line = _line(reader, 4096) or b""
    digits = line.partition(b";")[0].strip(b" \t")
    if not re.fullmatch(rb"[0-9A-Fa-f]+", digits):
        raise Bad(400, "a chunk without its size")
    return int(digits.lstrip(b"0")[: _DIGITS + 1] or b"0", 16)


def _exactly(reader: BinaryIO, length: int) -> bytes:
    data = reader.read(length)
    if len(data) < length:
        raise Gone
    return data


def request_of(head: Head, body: bytes, client: tuple[str, int]) -> Request:
    return Request(
        method=head.method, target=head.target, headers=head.headers, body=body, client=client[0],
        client_port=client[1],
    )  # fmt: skip


def written(response: Response, method: str, *, keep: bool, newest: bool = True) -> bytes:
    """The whole answer, to be sent at once: two writes would cost 40 ms where the client delays its ACK.

    The front's lines stand as they are and in their order, but for those of the connection, which is this server's.
    """
    bodiless = method == "HEAD" or response.status in (204, 304)
    lines = [(name, value) for name, value in response.headers if name.lower() not in _OWN]
    length = response.get("content-length") or ""
    if not bodiless:
        lines.append(("Content-Length", str(len(response.body))))
    elif response.status != 204 and re.fullmatch("[0-9]+", length):  # of what GET would get; none on 204 (8.6)
        lines.append(("Content-Length", length))
    if response.get("date") is None:
        lines.append(("Date", formatdate(usegmt=True)))
    if not keep or not newest:
        lines.append(("Connection", "keep-alive" if keep else "close"))
    reason = _UNSEEN.sub(" ", response.reason) or phrase(response.status)
    head = [f"HTTP/1.1 {response.status} {reason}"]
    head += [f"{name}: {value}" for name, value in lines]
    return "\r\n".join((*head, "", "")).encode("latin-1", "replace") + (b"" if bodiless else response.body)


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
