"""Part of `_supervisor.py`: the runtime client's calls, as far as HTTP goes.

The client has its requests from libcurl and http.client: they are well made, and few.
"""

import json
import socket
from contextlib import suppress

TYPE_CHECKING = False  # not from typing
if TYPE_CHECKING:
    from typing import Any


class Connection:
    """One of the runtime client's, read as far as a request is whole."""

    def __init__(self, handle: socket.socket) -> None:
        self.handle, self.data, self.told_to_continue = handle, bytearray(), False

    def request(self) -> "tuple[str, str, bytes] | None":
        """(method, path, body) once it is there."""
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return None
        first, *lines = self.data[:end].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        size = int(headers.get("content-length", "0"))
        if "expect" in headers and not self.told_to_continue:
            self.handle.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.told_to_continue = True
        if len(self.data) < end + 4 + size:
            return None
        body = bytes(self.data[end + 4 : end + 4 + size])
        del self.data[: end + 4 + size]
        self.told_to_continue = False
        method, path, _ = first.split(" ", 2)
        return method, path, body

    def answer(self, status: str, body: bytes = b"", headers: "dict[str, str] | None" = None) -> None:
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        head = f"HTTP/1.1 {status}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        with suppress(OSError):  # its end is seen when it is read
            self.handle.sendall(head.encode("latin-1") + b"\r\n" + body)


def user_of(handle: socket.socket) -> "int | None":
    """Whose the other end of a connection over loopback is; None where it cannot be known.  Source: proc(5)."""
    here, there = (f"0100007F:{port:04X}" for _, port in (handle.getsockname(), handle.getpeername()))
    try:
        with open("/proc/net/tcp", encoding="ascii") as file:
            lines = [line.split() for line in file]
    except OSError:
        return None
    return next((int(words[7]) for words in lines if words[1:3] == [there, here]), None)


def report_of(body: bytes) -> "dict[str, Any]":
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    return {"errorType": "Unhandled", "errorMessage": body.decode("utf-8", "replace")}
