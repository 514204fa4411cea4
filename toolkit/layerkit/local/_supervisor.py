"""Run by the target's own Python (3.10 or newer) beside a function: the Runtime API, and what Lambda does around it.

Standard input has lines of JSON: first what to run (see session.py), then events; their end is the end of all.  What
happens is told on standard output, a line of JSON each.  One loop, no thread: what a function wrote before it
answered is told before its answer.  Between events its processes are stopped, as Lambda freezes them.
Runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

# It starts in 60 ms less without http.server, subprocess and threading; emulated, in half a second less.
import json
import os
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False  # not from typing
if TYPE_CHECKING:
    from typing import Any

    from layerkit.local._calls import Connection, report_of, user_of
    from layerkit.local._child import CHUNK, Child, guard, read, reaped, signal_name
else:
    sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]  # they stand beside this file
    from _calls import Connection, report_of, user_of
    from _child import CHUNK, Child, guard, read, reaped, signal_name

PREFIX = "/2018-06-01/runtime/"
LIMIT = 6_291_556  # bytes of an answer: "Function.ResponseSizeTooLarge"
LOOK = 0.02  # seconds between two looks at the memory


class Supervisor:
    """One execution environment.  `phase`: init, idle (frozen), busy, after (it has answered), dead."""

    def __init__(self, spec: "dict[str, Any]", given: bytes) -> None:
        self.spec, self.given = spec, bytearray(given)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=8)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections: dict[int, Connection] = {}
        self.asking: Connection | None = None  # is in /invocation/next
        self.phase, self.child, self.event = "dead", None, None  # type: str, Child | None, dict[str, Any] | None
        self.report: dict[str, Any] | None = None  # of an init that failed
        self.deadline = 0.0
        self.ended = False
        self.user = spec["user"][0] if spec["user"] else os.getuid()
        self.wake, self.waker = os.pipe()  # a child's end wakes the loop
        for handle in (0, self.wake, self.waker):
            os.set_blocking(handle, False)
        signal.set_wakeup_fd(self.waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    # -- the loop

    def run(self) -> None:
        self.start()
        while not self.ended:
            poll = select.poll()
            for handle in [0, self.listener.fileno(), self.wake, *self.connections]:
                poll.register(handle, select.POLLIN)
            if self.child and not self.child.ended:
                poll.register(self.child.output, select.POLLIN)
            working = self.phase in ("init", "busy")
            for handle, _ in poll.poll(LOOK * 1000 if working else None):
                self.hear(handle)
            self.watch()
        if self.child:
            self.child.signal(signal.SIGKILL)

    def hear(self, handle: int) -> None:
        if handle == 0:
            self.read_events()
        elif handle == self.listener.fileno():
            self.accept()
        elif handle == self.wake:
            read(self.wake)
        elif handle in self.connections:
            self.heard(self.connections[handle])
        else:
            self.tell_log()

    def watch(self) -> None:
        """The process's end, its time and its memory."""
        child = self.child
        if not child:
            return
        pid, status = reaped(child.pid)
        if pid:
            self.child_ended(os.waitstatus_to_exitcode(status))
        elif self.phase in ("init", "busy"):
            if time.monotonic() > self.deadline:
                self.end_child("Sandbox.Timedout", f"Task timed out after {self.spec['timeout']:.2f} seconds")
            elif self.spec["memory"] and child.look() > self.spec["memory"]:
                self.end_child("Runtime.ExitError", "Runtime exited with error: signal: killed")

    # -- the function's process

    def start(self) -> None:
        self.phase, self.report = "init", None
        self.child = Child(self.spec, self.address)
        self.deadline = time.monotonic() + self.spec["init"] + self.spec["timeout"]

    def end_child(self, kind: str, message: str) -> None:
        assert self.child
        self.child.look()
        self.child.signal(signal.SIGKILL)
        os.waitpid(self.child.pid, 0)
        self.gone({"errorType": kind, "errorMessage": self.worded(message)})

    def child_ended(self, status: int) -> None:
        how = f"exit status {status}" if status >= 0 else f"signal: {signal_name(-status)}"
        message = f"Runtime exited with error: {how}" if status else "Runtime exited without providing a reason"
        self.gone(self.report or {"errorType": "Runtime.ExitError", "errorMessage": self.worded(message)})

    def worded(self, message: str) -> str:
        return f"RequestId: {self.event['id'] if self.event else ''} Error: {message}"

    def gone(self, report: "dict[str, Any]") -> None:
        """The process is no more; the event that it had, or that waited for it, fails."""
        child, phase = self.child, self.phase
        assert child
        child.signal(signal.SIGKILL)  # what it has started
        for line in child.last_lines():
            tell(what="log", text=line)
        facts: dict[str, Any] = {"report": report, "cause": child.cause()}
        if phase == "init":
            tell(what="failed", seconds=time.monotonic() - child.began, **facts)
            facts["seconds"] = 0.0
        self.child, self.phase, self.asking = None, "dead", None
        child.close()
        if self.event and phase in ("idle", "after"):  # it has seen nothing of this event
            self.start()
        elif self.event:
            self.finish(child, error=facts)

    # -- events

    def read_events(self) -> None:
        chunk, self.ended = read(0)
        self.given += chunk
        if b"\n" in chunk:  # not a look at all of a large one for each of its pieces
            *lines, rest = self.given.split(b"\n")
            self.given = rest
            for line in lines:
                self.take(json.loads(line))

    def take(self, event: "dict[str, Any]") -> None:
        self.event = event
        if self.phase == "dead":
            self.start()
        elif self.phase == "idle":
            self.hand_over()

    def hand_over(self) -> None:
        assert self.asking
        assert self.child
        assert self.event
        now = time.monotonic()
        self.phase, self.event["began"], self.deadline = "busy", now, now + self.spec["timeout"]
        self.child.signal(signal.SIGCONT)
        asking, self.asking = self.asking, None
        headers = {
            "Lambda-Runtime-Aws-Request-Id": self.event["id"],
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.spec["timeout"]) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.spec["arn"],
            "Lambda-Runtime-Trace-Id": self.event["trace"],
        }
        asking.answer("200 OK", self.event["body"].encode(), headers)

    def finish(self, child: Child, **facts: "Any") -> None:
        event, self.event = self.event, None
        assert event
        began = event.get("began")
        seconds = time.monotonic() - began if began else 0.0
        tell(what="done", id=event["id"], seconds=seconds, memory=child.peak, **facts)

    def tell_log(self) -> None:
        if self.child:
            for line in self.child.lines():
                tell(what="log", text=line)

    # -- the Runtime API

    def accept(self) -> None:
        """Whatever listens on loopback is in everybody's reach: only the function's user is listened to."""
        try:
            accepted, _ = self.listener.accept()
            whose = user_of(accepted)
        except OSError:  # it has gone again
            return
        if whose in (None, self.user):
            self.connections[accepted.fileno()] = Connection(accepted)
        else:
            accepted.close()

    def heard(self, connection: Connection) -> None:
        """What is no call of a runtime's client ends its connection, and nothing else."""
        try:
            self.read_call(connection)
        except (ValueError, OSError):
            self.drop(connection)

    def drop(self, connection: Connection) -> None:
        self.connections.pop(connection.handle.fileno(), None)
        connection.handle.close()
        if self.asking is connection:
            self.asking = None

    def read_call(self, connection: Connection) -> None:
        chunk = connection.handle.recv(CHUNK)
        if not chunk:
            self.drop(connection)
            return
        connection.data += chunk
        while request := connection.request():
            self.call(connection, *request)

    def call(self, connection: Connection, method: str, path: str, body: bytes) -> None:
        what = path[len(PREFIX) :] if path.startswith(PREFIX) else ""
        if (method, what) == ("GET", "invocation/next"):
            self.asked(connection)
        elif (method, what) == ("POST", "init/error"):
            self.report = report_of(body)
            connection.answer("202 Accepted", b'{"status":"OK"}')
        elif method == "POST" and self.event and what == f"invocation/{self.event['id']}/response":
            self.answered(connection, body)
        elif method == "POST" and self.event and what == f"invocation/{self.event['id']}/error":
            self.done(error={"report": report_of(body)})
            connection.answer("202 Accepted", b'{"status":"OK"}')
        elif (method, what) == ("GET", "restore/next"):
            connection.answer("200 OK")
        elif method == "POST":
            connection.answer("400 Bad Request", b'{"errorType":"InvalidRequestID"}')
        else:
            connection.answer("404 Not Found", b"404 page not found")

    def asked(self, connection: Connection) -> None:
        if not self.child or self.phase not in ("init", "after"):
            raise ValueError("it is not its turn")
        self.asking = connection
        if self.phase == "init":
            self.tell_log()
            self.child.look()
            tell(what="ready", seconds=time.monotonic() - self.child.began)
        self.phase = "idle"
        if self.event:
            self.hand_over()
        else:
            self.child.signal(signal.SIGSTOP)

    def answered(self, connection: Connection, body: bytes) -> None:
        if len(body) > LIMIT:
            message = f"Response payload size exceeded maximum allowed payload size ({LIMIT} bytes)."
            kind = "Function.ResponseSizeTooLarge"
            self.done(error={"report": {"errorType": kind, "errorMessage": message}})
            connection.answer("413 Request Entity Too Large", b'{"errorType":"RequestEntityTooLarge"}')
        else:
            self.done(payload=body.decode("utf-8", "replace"))
            connection.answer("202 Accepted", b'{"status":"OK"}')

    def done(self, **facts: "Any") -> None:
        assert self.child
        for line in self.child.last_lines():  # the client ends a record with a traceback without an end of line
            tell(what="log", text=line)
        self.child.look()
        self.phase = "after"  # until it asks for the next event
        self.finish(self.child, **facts)


def tell(**facts: object) -> None:
    data = (json.dumps(facts) + "\n").encode()
    while data:
        data = data[os.write(1, data) :]


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this ends it otherwise
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    given = b""
    while b"\n" not in given:
        chunk = os.read(0, CHUNK)
        if not chunk:
            return
        given += chunk
    line, _, rest = given.partition(b"\n")
    spec = json.loads(line)
    if not (spec["alone"] and spec["user"]):
        guard()
    tell(what="started", python=".".join(map(str, sys.version_info[:3])), machine=os.uname().machine)
    Supervisor(spec, rest).run()


if __name__ == "__main__":
    main()
