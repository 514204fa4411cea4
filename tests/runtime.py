"""A function in the real Lambda runtime client (awslambdaric), which gets its events from a Runtime API on loopback.

Around the client all is as the managed runtimes from Python 3.11 on have it: import path, site directories,
variables, /opt and /var/task read-only, another user than root.  Standard library only: a container runs it too.
Runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

PREFIX = "/2018-06-01/runtime/"
LIMIT = 6_291_556  # bytes of an answer: "Function.ResponseSizeTooLarge"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:demo"
TRACE = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"
ANSWERING = 180  # seconds until a client that says nothing is given up; no test waits for it

# /var/runtime/bootstrap.py; a PYTHONPATH of the function's own switches the layers off, the runtime's is for children
BOOTSTRAP = """\
import os, site, sys
opt, task = sys.argv[1], os.environ["LAMBDA_TASK_ROOT"]
places = [task]
if "PYTHONPATH" not in os.environ:
    places += [f"{opt}/python/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages", f"{opt}/python"]
    if opt == "/opt":
        os.environ["PYTHONPATH"] = os.environ["LAMBDA_RUNTIME_DIR"]
sys.path[:0] = places
for place in places:
    site.addsitedir(place)
import awslambdaric.__main__
awslambdaric.__main__.main([task, os.environ["_HANDLER"]])
"""

# As root: the true places, in a mount namespace that ends with its one process, and a user without rights in it.
MOUNTS = """\
set -e
work=$0 prefix=$1 runtime=$2 task=$3 opt=$4; shift 4
mount -t tmpfs -o mode=755 tmpfs "$work"
mkdir "$work/lang" "$work/runtime" "$work/task" "$work/opt"
mount --bind "$prefix" "$work/lang"
mount --bind "$runtime" "$work/runtime"
mount --bind "$task" "$work/task"
mount --bind "$opt" "$work/opt"
mount --bind "$work/opt" /opt
mount --rbind "$work" /var
for place in /opt /var/lang /var/runtime /var/task; do mount -o remount,bind,ro "$place"; done
mount -t tmpfs -o mode=1777,size=512m tmpfs /tmp
cd /var/task
exec setpriv --reuid=993 --regid=990 --clear-groups --no-new-privs --pdeathsig=KILL "$@"
"""


class FunctionError(Exception):
    """What the client reported of an invocation, or of the init: {errorType, errorMessage, stackTrace, ...}."""

    def __init__(self, report: Mapping[str, Any]) -> None:
        super().__init__(json.dumps(report, indent=1))
        self.type, self.message = str(report["errorType"]), str(report["errorMessage"])
        self.trace = "".join(report.get("stackTrace") or ())


@dataclass(frozen=True)
class Record:
    """One event of the log as CloudWatch has it."""

    level: str
    text: str
    fields: Mapping[str, Any]  # of the JSON format


@functools.cache
def can_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


@functools.cache
def _prefix(python: Path) -> Path:
    code = "import sys; print(sys.base_prefix)"
    return Path(subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip())


class _API(ThreadingHTTPServer):
    """Events go out as the client asks for them; each of its calls is told: path, error type, body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.events: SimpleQueue[tuple[bytes, dict[str, str]] | None] = SimpleQueue()
        self.told: SimpleQueue[tuple[str, str, bytes]] = SimpleQueue()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client's end is abrupt."""


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _API

    def do_GET(self) -> None:
        call = self.path.removeprefix(PREFIX)
        self.server.told.put((call, "", b""))
        if call == "restore/next":
            self._answer(200, b"", {})
        elif call != "invocation/next":
            self._answer(404, b"", {})
        elif event := self.server.events.get():
            self._answer(200, *event)
        else:
            self.close_connection = True

    def do_POST(self) -> None:
        call = self.path.removeprefix(PREFIX)
        kind = self.headers.get("Lambda-Runtime-Function-Error-Type", "")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = 202
        if call.endswith("/response") and len(body) > LIMIT:
            status, call, kind = 413, call.replace("/response", "/error"), "Function.ResponseSizeTooLarge"
            message = f"Response payload size exceeded maximum allowed payload size ({LIMIT} bytes)."
            body = json.dumps({"errorType": kind, "errorMessage": message}).encode()
        self.server.told.put((call, kind, body))
        self._answer(status, b'{"status": "OK"}', {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        pass


class Lambda:
    """`with Lambda(...) as function: function.invoke(event)`: an execution environment, from init to its end.

    `python` is the interpreter; `runtime` a folder with the client and BOOTSTRAP as bootstrap.py; `opt` what the
    layers hold; `task` the function's files.  Without root, or with mounts=False, both stay where they are.

    `error` is the report of an init that failed; `calls` is what the client asked of the Runtime API.
    """

    def __init__(
        self, python: Path, *, runtime: Path, opt: Path, task: Path, handler: str = "main.handler",
        environment: Mapping[str, str] | None = None, mounts: bool | None = None,
    ) -> None:  # fmt: skip
        self.mounted = can_mount() if mounts is None else mounts
        self.prefix, self.runtime, self.opt, self.task = _prefix(python), runtime, opt, task
        self.task_root = Path("/var/task") if self.mounted else task
        self.handler, self.given = handler, dict(environment or {})
        self.error: FunctionError | None = None
        self.calls: list[str] = []
        self.exit_code: int | None = None
        self.size = 0  # bytes of the last answer
        self.kept: dict[str, bytes] = {}  # what was said, when it is over

    def __enter__(self) -> Lambda:
        self.work = Path(tempfile.mkdtemp(prefix="runtime-"))
        self.api = _API()
        threading.Thread(target=self.api.serve_forever, args=(0.01,), daemon=True).start()
        try:
            self._start()
            self._init()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.kept:  # it has ended before
            return
        self.api.events.put(None)
        if hasattr(self, "process"):
            self.process.kill()
            self.watcher.join()
        self.api.shutdown()
        self.api.server_close()
        self.kept = {name: self._read(name) for name in ("output", "frames")}
        shutil.rmtree(self.work)

    def _variables(self) -> dict[str, str]:
        runtime = "/var/runtime" if self.mounted else str(self.runtime)
        task, opt = self.task_root, "/opt" if self.mounted else self.opt
        return {
            "PATH": f"/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:{opt}/bin", "LANG": "en_US.UTF-8", "TZ": ":UTC",
            "LD_LIBRARY_PATH": f"/var/lang/lib:/lib64:/usr/lib64:{runtime}:{runtime}/lib:{task}:{task}/lib:{opt}/lib",
            "LAMBDA_TASK_ROOT": str(task), "LAMBDA_RUNTIME_DIR": runtime, "_HANDLER": self.handler,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
            "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "x",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.server_address[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": "demo", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/demo", "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0",
            "AWS_LAMBDA_LOG_FORMAT": "Text",
        } | self.given  # fmt: skip

    def _start(self) -> None:
        with (self.work / "output").open("wb") as output, (self.work / "frames").open("wb") as frames:
            variables = self._variables() | {"_LAMBDA_TELEMETRY_LOG_FD": str(frames.fileno())}
            command = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
            if self.mounted:
                places = [str(path) for path in (self.prefix, self.runtime, self.task, self.opt)]
                (self.work / "mounts").mkdir()
                command = ["unshare", "--mount", "sh", "-c", MOUNTS, str(self.work / "mounts"), *places, *command]
                command += ["/var/lang/bin/python3.12", "-S", "/var/runtime/bootstrap.py", "/opt"]
            else:
                command += [str(self.prefix / "bin/python3.12"), "-S", f"{self.runtime}/bootstrap.py", str(self.opt)]
            self.process = subprocess.Popen(  # one process: each of these words ends in an exec
                command, cwd=self.task, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=[frames.fileno()],
            )  # fmt: skip
        self.watcher = threading.Thread(target=lambda: self.api.told.put(("exit", str(self.process.wait()), b"")))
        self.watcher.start()

    def _next(self) -> tuple[str, str, bytes]:
        try:
            call, kind, body = self.api.told.get(timeout=ANSWERING)
        except Empty:
            raise AssertionError(f"the function says nothing\n{self.log}") from None
        self.calls.append(call)
        if call == "exit":
            self.exit_code = int(kind)
        return call, kind, body

    def _init(self) -> None:
        call = ""
        while call != "invocation/next":
            call, _, body = self._next()
            if call in ("init/error", "restore/error"):
                self.error = FunctionError(json.loads(body))
            elif call == "exit":
                if self.error is None:
                    raise AssertionError(f"the runtime ended with {self.exit_code}\n{self.log}")
                return

    def invoke(self, event: Any, *, request_id: str = "", trace: str = TRACE) -> Any:
        """The function's result.  Raises FunctionError."""
        if self.exit_code is not None:
            raise AssertionError(f"the function has ended\n{self.error}\n{self.log}")
        request_id = request_id or str(uuid.uuid4())
        headers = {
            "Content-Type": "application/json", "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + ANSWERING) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": ARN, "Lambda-Runtime-Trace-Id": trace,
        }  # fmt: skip
        self.api.events.put((json.dumps(event).encode(), headers))
        call = ""
        while call != "exit":
            call, _, body = self._next()
            self.size = len(body)
            if call == f"invocation/{request_id}/response":
                return json.loads(body)
            if call == f"invocation/{request_id}/error":
                raise FunctionError(json.loads(body))
        message = f"RequestId: {request_id} Error: Runtime exited with error: exit status {self.exit_code}"
        raise FunctionError({"errorType": "Runtime.ExitError", "errorMessage": message})

    def _read(self, name: str) -> bytes:
        return self.kept[name] if name in self.kept else (self.work / name).read_bytes()

    @property
    def output(self) -> str:
        """What was written to stdout and stderr past `logging`."""
        return self._read("output").decode()

    @property
    def records(self) -> list[Record]:
        """What was logged: in frames of type, length, time and text, so that a record of many lines is one."""
        data, found = self._read("frames"), []
        while data:
            end = 16 + int.from_bytes(data[4:8], "big")
            text, data = data[16:end].decode(), data[end:]
            fields = json.loads(text) if self.given.get("AWS_LAMBDA_LOG_FORMAT") == "JSON" else {}
            level = re.match(r"\[([A-Z]+)\]", text)
            found.append(Record(fields.get("level") or (level[1] if level else ""), text, fields))
        return found

    @property
    def log(self) -> str:
        return "\n".join([self.output, *(record.text for record in self.records)])
