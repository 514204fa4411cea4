"""A request over HTTP -> the front's event -> the function -> the front's answer, and a line for who looks on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from layerkit.console import milliseconds
from layerkit.errors import LayerkitError, MachineError
from layerkit.fronts import Front, Refused, Request, Response
from layerkit.local.nouns import Failure, Init, Invocation
from layerkit.local.serve.turns import Ended, Turns
from layerkit.local.serve.web import Answer

WORTH = 0.05  # seconds of waiting that are worth telling
LONGEST = 200  # characters of a target that are shown
Explain = Callable[[Failure], str]


class Says(Protocol):
    """Where it is told what goes on; called from one thread at a time."""

    def note(self, message: str) -> None: ...
    def warn(self, message: str) -> None: ...
    def log(self, line: str) -> None: ...
    def said(self, message: str, **facts: Any) -> None: ...


class OneByOne:
    """Makes one of `Says` for many threads.  What is worse than a note is told in any case."""

    def __init__(self, says: Says) -> None:
        self.says = says
        self.lock = threading.RLock()  # a signal's handler may tell something in the middle of it

    def note(self, message: str) -> None:
        with self.lock:
            self.says.note(message)

    def warn(self, message: str) -> None:
        with self.lock:
            self.says.warn(message)

    def log(self, line: str) -> None:
        with self.lock:
            self.says.log(line)

    def said(self, message: str, **facts: Any) -> None:
        with self.lock:
            self.says.said(message, **facts)


class FunctionAnswers:
    """What stands behind the server: a front, and a function behind that."""

    def __init__(self, front: Front, turns: Turns, says: Says) -> None:
        self.front, self.turns, self.says = front, turns, says
        self.limit = front.body_limit
        self.explain: Explain = lambda failure: f"{failure.type}: {failure.message}"
        self.told: Init | None = None  # the init that is told already

    def answer(self, request: Request) -> Answer:
        request = request.arriving()
        try:
            event = self.front.payload(request)
            invocation, waited = self.turns.invoke(event, request.request_id)
        except Refused as refused:
            return self._refused(request, refused)
        except Ended:
            body = b"layerkit serve has ended\n"
            response = Response(status=503, headers=(("Content-Type", "text/plain"),), body=body)
            return response, lambda: self._line(request, response, "it ended before")
        except MachineError as error:
            response, why = self.front.failed("function", request), str(error)
            return response, lambda: self._line(request, response, "nothing was run", why)
        took = self._took(invocation, waited)
        if invocation.failure:
            response, failure = self.front.failed("function", request), invocation.failure
            return response, lambda: self._line(request, response, took, self.explained(failure))
        if invocation.seconds > self.front.max_seconds:
            # there its client has this answer already, and the function goes on until its own timeout
            response = self.front.failed("slow", request)
            slow = f"{self.front.name} waits {self.front.max_seconds:g} s for a function, and no longer"
            return response, lambda: self._line(request, response, took, slow)
        try:
            response = self.front.read(invocation.payload, request)
        except Refused as refused:
            response = self.front.failed(refused.trouble, request)
            why = f"{self.front.name} does not take the function's answer: {refused.reason}"
            return response, lambda: self._line(request, response, took, why)
        return response, lambda: self._line(request, response, took)

    def too_large(self, request: Request) -> Answer:
        reason = f"a body of more than {self.limit} bytes"
        return self._refused(request, Refused(413, reason, "request"))

    def bad(self, status: int, why: str) -> None:
        self.says.note(f"{status}  no request: {shown(why)}")

    def _refused(self, request: Request, refused: Refused) -> Answer:
        response = self.front.failed(refused.trouble, request)
        why = f"{self.front.name} does not take the request: {refused.reason}"
        return response, lambda: self._line(request, response, "nothing was run", why)

    def _took(self, invocation: Invocation, waited: float) -> str:
        parts = [milliseconds(invocation.seconds)]
        if invocation.init and invocation.init is not self.told:
            parts.append(f"init {milliseconds(invocation.init.seconds)}")
        if waited >= WORTH:
            parts.append(f"waited {milliseconds(waited)} for its turn")
        return ", ".join(parts)

    def _line(self, request: Request, response: Response, took: str, why: str = "") -> None:
        """A line for each request; what went wrong is told in any case."""
        line = f"{shown(request.method)} {shown(request.target)}  {response.status}  {took}"
        if why:
            self.says.log("\n".join((line, *(f"  {part}" for part in why.splitlines()))))
        else:
            self.says.note(line)

    def explained(self, failure: Failure) -> str:
        try:
            return self.explain(failure)
        except (LayerkitError, OSError):  # looking for the reason has failed, and the failure is still to be told
            return f"{failure.type}: {failure.message}"


def shown(text: str) -> str:
    """Bytes as text for a terminal: nothing in it moves the cursor, and it is no longer than a line or two."""
    readable = text.encode("latin-1", "replace").decode("utf-8", "backslashreplace")
    whole = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in readable)
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}…"
