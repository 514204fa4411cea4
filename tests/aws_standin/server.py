"""HTTP/1.1 on loopback: connections that stay open, one write for an answer, and answers that never come."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import traceback
import uuid
from collections.abc import Callable
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from socketserver import StreamRequestHandler
from typing import Any

from aws_standin.nouns import Answer, Request

LINE = 65536
PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Reset(Exception):
    """The connection is reset (RST): nothing answers there."""


class Dropped(Exception):
    """The connection is closed without a byte of an answer."""


class Server(ThreadingHTTPServer):
    """`admit` sees the head of a request and may reset its connection; `serve` answers the whole."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, port: int, admit: Callable[[Request], None], serve: Callable[[Request], Answer]) -> None:
        self.admit, self.serve = admit, serve
        self.broken: list[str] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Connection)

    def server_bind(self) -> None:  # HTTPServer asks the resolver for its own name here
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A defect of the stand-in: closing it tells.  A client that goes away is no news, and never comes here."""
        self.broken.append(traceback.format_exc())

    def close(self) -> None:
        """Stop, and close what clients keep open."""
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class Connection(StreamRequestHandler):
    """One connection: request after request until either side has enough."""

    server: Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            while self.one():
                pass
        except Reset:
            # lingering for 0 s is how a socket is reset instead of closed
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        except (Dropped, OSError):
            pass  # closing is all there is to do

    def one(self) -> bool:
        """Answer a request; whether another may follow."""
        first = self.rfile.readline(LINE).decode("latin-1").split()
        if len(first) != 3:
            return False
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(LINE)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        head = Request(method=first[0], target=first[1], headers=headers)
        self.server.admit(head)
        if headers.get("expect", "").lower() == "100-continue":  # botocore sends it before a body for S3
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = Request(method=first[0], target=first[1], headers=headers, body=self.body(headers))
        self.send(request, self.server.serve(request))
        return headers.get("connection", "").lower() != "close"

    def body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.whole(int(headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline(LINE).split(b";")[0], 16):
            parts.append(self.whole(size))
            self.rfile.readline(LINE)
        while self.rfile.readline(LINE) not in (b"\r\n", b"\n", b""):
            pass
        return b"".join(parts)

    def whole(self, size: int) -> bytes:
        data = self.rfile.read(size) if size else b""
        if len(data) < size:
            raise Dropped
        return data

    def send(self, request: Request, answer: Answer) -> None:
        fields = {"x-amzn-RequestId": str(uuid.uuid4()), "Content-Length": str(len(answer.body)), **answer.headers}
        if answer.status == HTTPStatus.NO_CONTENT:
            del fields["Content-Length"]
        head = f"HTTP/1.1 {answer.status} {PHRASES.get(answer.status, '')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        self.connection.sendall(head.encode("latin-1") + (b"" if request.method == "HEAD" else answer.body))
