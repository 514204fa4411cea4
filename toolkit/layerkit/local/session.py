"""An execution environment, as the supervisor inside tells of it."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from layerkit.errors import MachineError
from layerkit.local.nouns import Failure, Init, Invocation, Listen, Runnable, Stream
from layerkit.sandbox import surroundings
from layerkit.sandbox.surroundings import ACCOUNT, LAMBDA, TOP, NotHere, Paths

INIT = 10  # seconds; AWS Lambda Developer Guide, "Lambda execution environment": the init phase is limited to them
MEGABYTE = 1024 * 1024
PROGRAM = ("_supervisor.py", "_bootstrap.py", "_calls.py", "_child.py")  # the files that stand in /layerkit


def spec(
    runnable: Runnable, *, user: tuple[int, int] | None, python: str, paths: Paths = LAMBDA, patience: int = 1,
    memory: bool = True, top: str = TOP,
) -> dict[str, Any]:  # fmt: skip
    """What the supervisor is to run, as its first line of JSON.

    `python` is the interpreter's path there; `patience` multiplies the time limits, where everything is emulated;
    `memory`: whether its limit holds; `top` is the folder of its own program.
    """
    function = runnable.function
    variables = surroundings.variables(
        runnable.target.runtime, function.handler, name=function.key, memory=function.memory, region=runnable.region,
        paths=paths,
    )  # fmt: skip
    return {
        "command": [python, "-S", f"{top}/_bootstrap.py", "{word}", paths.opt, paths.lang],
        "environment": variables | dict(runnable.variables),
        "folder": paths.task,
        "user": user,
        "alone": paths is LAMBDA,  # in a namespace of processes that ends with it
        "memory": function.memory * MEGABYTE if memory else 0,
        "timeout": function.timeout * patience,
        "init": INIT * patience,
        "arn": f"arn:aws:lambda:{runnable.region}:{ACCOUNT}:function:{function.key}",
    }


class Session:
    """An Environment over a Stream.  Made, it has the supervisor's first word; then the init goes on by itself.

    Raises NotHere where the supervisor does not start.
    """

    def __init__(
        self, stream: Stream, given: Mapping[str, Any], listen: Listen, *, where: str, unlike: Sequence[str] = (),
        paths: Paths = LAMBDA,
    ) -> None:  # fmt: skip
        self.stream, self.listen, self.paths = stream, listen, paths
        self.where, self.unlike = where, tuple(unlike)
        self.told: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self.first: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self.init: Init | None = None
        self.inits: list[Init] = []  # not yet told with an invocation
        self.settled = threading.Event()  # the first init has succeeded or failed
        self.turn = threading.Lock()
        self.log: list[str] = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        with suppress(OSError):  # it has ended already: it is read why
            self._write(given)
        self.reader.start()
        started = self.first.get()
        if started is None:
            raise NotHere(f"the function's surroundings do not start: {stream.last_words()}")
        if "unfit" in started:
            raise NotHere(f"this machine lets no namespace be made for it: {started['unfit']}")
        self.python, self.machine = str(started["python"]), str(started["machine"])

    def ready(self) -> Init:
        self.settled.wait()
        if self.init is None:
            raise self._lost()
        return self.init

    def invoke(self, event: str, request_id: str = "") -> Invocation:
        request_id = request_id or str(uuid.uuid4())
        with self.turn:
            try:
                self._write({"id": request_id, "body": event, "trace": _trace()})
                told = self.told.get()
            except OSError:
                told = None
            if told is None:
                raise self._lost()
            log, self.log = tuple(self.log), []
            init = self.inits[-1] if self.inits else None
            self.inits.clear()
        error = told.get("error")
        return Invocation(
            request_id=request_id,
            payload=str(told.get("payload", "")),
            failure=self._failure(error) if error else None,
            seconds=float(told["seconds"]),
            init=init,
            memory=int(told["memory"]),
            log=log,
        )

    def _write(self, value: Mapping[str, Any]) -> None:
        self.stream.write(json.dumps(value).encode() + b"\n")

    def _read(self) -> None:
        """What the supervisor tells, until it ends."""
        begun = False
        try:
            for line in self.stream.lines():
                told = _told(line)
                if told is None:
                    self._heard(line.decode("utf-8", "replace"))
                elif not begun:
                    begun = True
                    self.first.put(told)
                elif told["what"] == "log":
                    self._heard(str(told.get("text", "")))
                elif told["what"] in ("ready", "failed"):
                    self._inited(told)
                else:
                    self.told.put(told)
        finally:
            self.first.put(None)
            self.told.put(None)
            self.settled.set()

    def _heard(self, text: str) -> None:
        """The client ends the lines of a traceback with carriage returns, and begins them with no-break spaces."""
        for line in re.split(r"[\r\n]", text.rstrip("\r\n")):
            shown = self._as_in_lambda(line.replace("\u00a0", " "))
            self.log.append(shown)
            self.listen(shown)

    def _inited(self, told: Mapping[str, Any]) -> None:
        self.init = Init(
            seconds=float(told["seconds"]), failure=self._failure(told) if told["what"] == "failed" else None
        )
        self.inits.append(self.init)
        self.settled.set()

    def _failure(self, told: Mapping[str, Any]) -> Failure:
        report = told["report"]
        trace = report.get("stackTrace")
        return Failure(
            type=str(report.get("errorType", "")),
            message=self._as_in_lambda(str(report.get("errorMessage", ""))),
            trace=tuple(self._as_in_lambda(str(line)) for line in trace) if isinstance(trace, list) else (),
            cause=tuple(self._as_in_lambda(str(line)) for line in told.get("cause") or ()),
        )

    def _as_in_lambda(self, text: str) -> str:
        """With Lambda's paths, where its folders stand elsewhere."""
        if self.paths is LAMBDA:
            return text
        for name in ("opt", "task", "runtime", "lang"):
            text = text.replace(getattr(self.paths, name), getattr(LAMBDA, name))
        return text

    def _lost(self) -> MachineError:
        why = self.stream.last_words() or "it has ended"
        return MachineError("the function's surroundings are gone", where=self.where, why=why, cure="run it again")


def _told(line: bytes) -> dict[str, Any] | None:
    """What the supervisor says; None for any other line."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and ("what" in found or "unfit" in found) else None


def _trace() -> str:
    """As X-Ray writes it: the time in seconds, in hex, and random digits."""
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
