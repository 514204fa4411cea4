"""A real HTTP/1.1 server on loopback: a thread for each connection, which may be kept alive, and none at the end.

It knows nothing of Lambda: what stands behind it gets a request and gives what its client is to get.
"""

from __future__ import annotations

import errno
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Protocol

from layerkit.errors import MachineError
from layerkit.fronts import Request, Response
from layerkit.local.serve.wire import (
    CONTINUE,
    Bad,
    Gone,
    Head,
    TooLarge,
    phrase,
    read_body,
    read_head,
    request_of,
    written,
)

IDLE = 75.0  # seconds that a connection may be silent
LINGER = 2.0  # seconds that an unread body is thrown away, so that its sender reads the answer
DRAINED = 64 * 1024 * 1024  # bytes of it


Answer = tuple[Response, Callable[[], None]]  # and what is to be done once it is sent


class Answers(Protocol):
    """What stands behind the server.  Its methods are called from many threads."""

    limit: int  # bytes of a request's body

    def answer(self, request: Request) -> Answer: ...

    def too_large(self, request: Request) -> Answer:
        """For a request (without its body) whose body is larger than `limit`."""
        ...

    def bad(self, status: int, why: str) -> None:
        """Something arrived that was no request; its sender got `status`."""
        ...


class Server:
    """Listens from the beginning; answers from `start` to `close`.

    Raises MachineError where the port cannot be had.  `port` 0 takes a free one.
    """

    def __init__(self, host: str, port: int, *, idle: float = IDLE) -> None:
        self.idle = idle
        self.listener = _listener(host, port)
        self.host, self.port = self.listener.getsockname()[:2]
        self.wake, self.waker = socket.socketpair()
        self.lock = threading.Lock()
        self.open: dict[socket.socket, threading.Thread] = {}
        self.ending = False
        self.acceptor: threading.Thread | None = None

    @property
    def address(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def start(self, answers: Answers) -> None:
        self.acceptor = threading.Thread(target=self._accept, args=(answers,), name="accept", daemon=True)
        self.acceptor.start()

    def end(self) -> None:
        """Take no more connections and no more requests; those that are under way get their answers."""
        with self.lock:
            self.ending = True
            connections = list(self.open)
        self.waker.send(b".")
        if self.acceptor:
            self.acceptor.join()
        self.listener.close()
        for connection in connections:  # who waits for a request reads the end; who answers one can still write
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)

    def wait(self, seconds: float) -> bool:
        """After `end`: whether all connections came to their ends within that time."""
        until = time.monotonic() + seconds
        with self.lock:
            threads = list(self.open.values())
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def close(self, seconds: float = 5.0) -> bool:
        """Whatever is under way ends.  False where an answer takes longer than that."""
        if not self.ending:
            self.end()
        with self.lock:
            connections = list(self.open)
        for connection in connections:  # who reads nothing keeps its writer waiting
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.wake.close()
        self.waker.close()
        return self.wait(seconds)

    # -- in the threads

    def _accept(self, answers: Answers) -> None:
        while True:
            ready, _, _ = select.select([self.listener, self.wake], [], [])
            if self.wake in ready:
                return
            try:
                connection, client = self.listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    time.sleep(0.05)  # nothing wakes select when some are free again
                continue
            thread = threading.Thread(
                target=self._serve, args=(connection, client[:2], answers), name="connection", daemon=True
            )
            with self.lock:
                self.open[connection] = thread
            try:
                thread.start()
            except RuntimeError:  # no more threads can be had
                self._forget(connection)

    def _serve(self, connection: socket.socket, client: tuple[str, int], answers: Answers) -> None:
        try:
            connection.settimeout(self.idle)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as reader:
                while not self.ending and _one(connection, reader, client, answers):
                    pass
        except (OSError, Gone):
            pass  # the client went away, or says nothing any more
        finally:
            self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        connection.close()
        with self.lock:
            self.open.pop(connection, None)


def _listener(host: str, port: int) -> socket.socket:
    where = f"{host}:{port}"
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            cure = "name another port: --port 8001, or --port 0 for one that is free"
            raise MachineError("something else listens there already", where=where, cure=cure) from None
        cure = "name another port: --port 8000, or --port 0 for one that is free"
        why = error.strerror or str(error)
        raise MachineError("nobody can listen there", where=where, why=why, cure=cure) from None


def _one(connection: socket.socket, reader: BinaryIO, client: tuple[str, int], answers: Answers) -> bool:
    """Read a request and answer it; whether the connection goes on."""
    head: Head | None = None
    try:
        head = read_head(reader)
        if head is None:
            return False
        body = read_body(head, reader, answers.limit, lambda: connection.sendall(CONTINUE))
    except Bad as bad:
        answers.bad(bad.status, bad.why)
        text = f"{bad.status} {phrase(bad.status)}: {bad.why}\n".encode("latin-1", "replace")
        response = Response(status=bad.status, headers=(("Content-Type", "text/plain"),), body=text)
        return _last(connection, written(response, "", keep=False))
    except TooLarge as large:
        response, afterwards = answers.too_large(request_of(large.head, b"", client))
        try:
            return _last(connection, written(response, large.head.method, keep=False))
        finally:
            afterwards()
    except TimeoutError:
        if head is not None:  # in the middle of a request, not between two
            answers.bad(408, "the rest of a request did not come")
            _last(connection, written(Response(status=408), "", keep=False))
        return False
    response, afterwards = answers.answer(request_of(head, body, client))
    try:
        connection.sendall(written(response, head.method, keep=head.keep, newest=head.newest))
    finally:
        afterwards()  # whoever waits for the answer does not wait for this
    return head.keep


def _last(connection: socket.socket, answer: bytes) -> bool:
    """Send it and read on for a while: closed with unread bytes, a connection loses the answer (RFC 9112, 9.6)."""
    connection.sendall(answer)
    connection.shutdown(socket.SHUT_WR)
    until, left = time.monotonic() + LINGER, DRAINED
    while left > 0 and (rest := until - time.monotonic()) > 0:
        connection.settimeout(rest)
        data = connection.recv(256 * 1024)
        if not data:
            break
        left -= len(data)
    return False
