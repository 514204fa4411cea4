"""The program beside a function: its Runtime API, and what becomes of the function's process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from layerkit.errors import MachineError
from layerkit.local.host import FLAGS, pipes
from layerkit.local.nouns import Stream
from layerkit.local.session import Session
from layerkit.sandbox.surroundings import NotHere
from processes import is_alive, wait_for

PROGRAM = Path(str(resources.files("layerkit.local") / "_supervisor.py"))
LIMIT = 6_291_556

# What a runtime client does, and no more: `take` gives (id, event, deadline), `give` answers.
CLIENT = """
import http.client, json, os, sys, threading, time, subprocess
def call(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    connection.request(method, "/2018-06-01/runtime/" + path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers
def take():
    status, body, headers = call("GET", "invocation/next")
    return headers["Lambda-Runtime-Aws-Request-Id"], json.loads(body), headers
def give(request_id, answer):
    return call("POST", f"invocation/{request_id}/response", json.dumps(answer))
def fail(request_id, **report):
    return call("POST", f"invocation/{request_id}/error", json.dumps(report))
"""
ECHO = """
while True:
    request_id, event, _ = take()
    give(request_id, event)
"""
Start = Callable[..., Session]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start(program) -> a session with it; `heard` is its log."""
    with ExitStack() as stack:
        count = iter(range(9))

        def begin(
            program: str, *, timeout: float = 20, memory: int = 0, init: float = 20, python: str = sys.executable,
            **variables: str,
        ) -> Session:  # fmt: skip
            folder = tmp_path / str(next(count))
            folder.mkdir()
            (folder / "function.py").write_text(CLIENT + dedent(program))
            stream = stack.enter_context(pipes([sys.executable, *FLAGS, str(PROGRAM)], folder / "noise"))
            given = {
                "command": [python, "-u", str(folder / "function.py"), "{word}"], "environment": variables,
                "folder": str(folder), "user": None, "alone": False, "memory": memory, "timeout": timeout,
                "init": init, "arn": "arn:aws:lambda:us-east-1:123456789012:function:f",
            }  # fmt: skip
            return Session(stream, given, heard.append, where="here")

        heard: list[str] = []
        begin.heard = heard  # type: ignore[attr-defined]
        yield begin


def lines(start: Start) -> list[str]:
    return list(start.heard)  # type: ignore[attr-defined]


# --- events ---------------------------------------------------------------------------------------------------


def test_events_are_answered_and_the_init_is_told_once(start: Start) -> None:
    session = start(ECHO)
    first, second = session.invoke('{"a": "\\u00e9"}'), session.invoke("[1]")
    assert (first.payload, second.payload) == ('{"a": "\\u00e9"}', "[1]")
    assert first.init
    assert first.init.seconds > 0
    assert second.init is None
    assert first.failure is None
    assert first.memory > 1_000_000
    assert first.request_id != second.request_id


def test_an_event_comes_with_its_facts(start: Start) -> None:
    session = start("""
        request_id, event, headers = take()
        give(request_id, dict(headers) | {"now": time.time()})
        take()
    """, timeout=7)  # fmt: skip
    import json

    given = json.loads(session.invoke("{}", "my-id").payload)
    assert given["Lambda-Runtime-Aws-Request-Id"] == "my-id"
    assert given["Lambda-Runtime-Invoked-Function-Arn"] == "arn:aws:lambda:us-east-1:123456789012:function:f"
    assert 0 < int(given["Lambda-Runtime-Deadline-Ms"]) / 1000 - given["now"] <= 7
    assert given["Lambda-Runtime-Trace-Id"].startswith("Root=1-")


def test_large_events_and_answers(start: Start) -> None:
    session = start(ECHO)
    event = '"' + "x" * 6_000_000 + '"'
    assert session.invoke(event).payload == event


def test_an_answer_that_is_too_large(start: Start) -> None:
    session = start(f"""
        request_id, _, _ = take()
        print(give(request_id, "x" * {LIMIT - 1})[0])
        request_id, _, _ = take()
        give(request_id, "x" * {LIMIT - 2})
        take()
    """)
    failure = session.invoke("1").failure
    assert failure
    assert failure.type == "Function.ResponseSizeTooLarge"
    assert f"({LIMIT} bytes)" in failure.message
    fits = session.invoke("2")
    assert len(fits.payload) == LIMIT
    assert fits.log == ("413",)


def test_an_error_is_told_as_it_was_reported(start: Start) -> None:
    session = start("""
        request_id, _, _ = take()
        fail(request_id, errorType="ValueError", errorMessage="no", stackTrace=["one", "two"])
        request_id, event, _ = take()
        give(request_id, event)
        take()
    """)
    failure = session.invoke("1").failure
    assert failure
    assert (failure.type, failure.message, failure.trace) == ("ValueError", "no", ("one", "two"))
    after = session.invoke("2")
    assert after.payload == "2"
    assert after.init is None  # the same process


def test_calls_that_the_api_does_not_take(start: Start) -> None:
    session = start("""
        request_id, _, _ = take()
        found = [give("other", 1)[0], call("GET", "nothing")[0], call("POST", "invocation/other/error", "x")[0]]
        give(request_id, found)
        take()
    """)
    assert session.invoke("1").payload == "[400, 404, 400]"


def test_a_body_that_waits_for_leave(start: Start) -> None:
    session = start("""
        import socket
        request_id, _, _ = take()
        host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
        handle = socket.create_connection((host, int(port)))
        path = f"/2018-06-01/runtime/invocation/{request_id}/response"
        handle.sendall(f"POST {path} HTTP/1.1\\r\\nContent-Length: 4\\r\\nExpect: 100-continue\\r\\n\\r\\n".encode())
        print(handle.recv(100))
        handle.sendall(b"nul")
        handle.sendall(b"l")
        print(handle.recv(100)[:12])
        take()
    """)
    assert session.invoke("1").payload == "null"
    assert lines(start)[0] == "b'HTTP/1.1 100 Continue\\r\\n\\r\\n'"


# --- the log --------------------------------------------------------------------------------------------------


def test_what_was_written_before_an_answer_is_told_before_it(start: Start) -> None:
    session = start("""
        print("from the init", flush=True)
        while True:
            request_id, event, _ = take()
            for number in range(200):
                print(event, number)
                print("an error", file=sys.stderr)
            give(request_id, event)
    """)
    for event in range(5):
        log = session.invoke(str(event)).log
        expected = [line for number in range(200) for line in (f"{event} {number}", "an error")]
        assert list(log) == (["from the init"] if event == 0 else []) + expected


def test_lines_of_tracebacks_are_lines(start: Start) -> None:
    session = start("""
        request_id, event, _ = take()
        sys.stdout.write("[ERROR] ValueError: no\\rTraceback\\r\\u00a0\\u00a0File\\n")
        sys.stdout.write("without an end")
        sys.stdout.flush()
        give(request_id, 1)
        sys.exit(1)
    """)
    log = ("[ERROR] ValueError: no", "Traceback", "  File", "without an end")
    assert session.invoke("1").log == log
    assert session.invoke("2").log == log


def test_a_flood_of_output_hinders_nothing(start: Start) -> None:
    session = start("""
        def flood():
            while True:
                os.write(1, b"x" * 99 + b"\\n")
        request_id, event, _ = take()
        threading.Thread(target=flood, daemon=True).start()
        time.sleep(0.2)
        give(request_id, event)
        take()
    """)
    assert session.invoke("1").payload == "1"


def test_bytes_that_are_no_text(start: Start) -> None:
    session = start("os.write(1, b'\\xff\\xfe{}\\n')\n" + ECHO)
    assert session.invoke("1").log == ("��{}",)


# --- the process ----------------------------------------------------------------------------------------------


def test_between_events_nothing_runs(start: Start) -> None:
    """Lambda freezes the environment."""
    session = start("""
        count = 0
        def counts():
            global count
            while True:
                count += 1
                time.sleep(0.001)
        threading.Thread(target=counts, daemon=True).start()
        while True:
            request_id, event, _ = take()
            before = count
            time.sleep(event)
            give(request_id, [before, count])
    """)
    import json

    assert session.ready().failure is None
    stat = f"/proc/{_child(session)}/stat"
    wait_for(lambda: Path(stat).read_text().rpartition(")")[2].split()[0] == "T")
    first = json.loads(session.invoke("0.3").payload)
    assert first[1] > first[0]
    wait_for(lambda: Path(stat).read_text().rpartition(")")[2].split()[0] == "T")
    time.sleep(0.3)  # in which it would count to hundreds
    second = json.loads(session.invoke("0").payload)
    assert second[0] - first[1] < 50


def _child(session: Session) -> int:
    process = session.stream.process  # type: ignore[attr-defined]
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("sys.exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault"),
        ("os.kill(os.getpid(), 40)", "Runtime exited with error: signal: signal 40"),
    ],
)
def test_a_process_that_ends_in_an_event(start: Start, how: str, told: str) -> None:
    session = start(f"""
        while True:
            request_id, event, _ = take()
            if event == "end":
                {how}
            give(request_id, event)
    """)
    assert session.invoke('"a"').payload == '"a"'
    ended = session.invoke('"end"', "the-id")
    assert ended.failure
    assert (ended.failure.type, ended.failure.message) == ("Runtime.ExitError", f"RequestId: the-id Error: {told}")
    anew = session.invoke('"b"')
    assert anew.payload == '"b"'
    assert anew.init


def test_an_init_that_fails_is_the_answer_of_its_event(start: Start) -> None:
    session = start("""
        os.write(int(sys.argv[1]), b'["File x", "ValueError: no"]')
        call("POST", "init/error", '{"errorType": "Runtime.ImportModuleError", "errorMessage": "no x"}')
        sys.exit(1)
    """)
    first = session.invoke("1")
    assert first.failure
    assert (first.failure.type, first.failure.message) == ("Runtime.ImportModuleError", "no x")
    assert first.failure.cause == ("File x", "ValueError: no")
    assert first.init
    assert first.init.failure == first.failure
    assert session.ready().failure == first.failure
    again = session.invoke("2").failure  # tried again, as Lambda does
    assert again == first.failure


def test_an_init_that_ends_without_a_word(start: Start) -> None:
    failure = start("sys.exit(2)").ready().failure
    assert failure
    assert failure.message == "RequestId:  Error: Runtime exited with error: exit status 2"


def test_a_program_that_cannot_be_started(start: Start) -> None:
    failed = start(ECHO, python="/not/there").invoke("1")
    assert failed.failure
    assert failed.failure.message.endswith("exit status 127")
    assert failed.log == ("[Errno 2] No such file or directory: '/not/there'",)


def test_an_event_that_takes_too_long(start: Start) -> None:
    session = start("""
        while True:
            request_id, event, _ = take()
            if event:
                child = subprocess.Popen(["sleep", "600"])
                print(os.getpid(), child.pid)
                time.sleep(600)
            give(request_id, event)
    """, timeout=1)  # fmt: skip
    assert session.invoke("0").payload == "0"
    late = session.invoke("1", "the-id")
    assert late.failure
    assert late.failure.type == "Sandbox.Timedout"
    assert late.failure.message == "RequestId: the-id Error: Task timed out after 1.00 seconds"
    assert late.seconds >= 1
    wait_for(lambda: not any(is_alive(int(pid)) for pid in late.log[0].split()))
    assert session.invoke("0").payload == "0"


def test_an_init_that_takes_too_long(start: Start) -> None:
    session = start("time.sleep(600)", init=0.2, timeout=0.2)
    failure = session.invoke("1").failure
    assert failure
    assert failure.type == "Sandbox.Timedout"


def test_a_process_that_takes_more_memory_than_it_has(start: Start) -> None:
    session = start("""
        while True:
            request_id, event, _ = take()
            kept = "x" * (event * 1024 * 1024)
            time.sleep(0.2)
            give(request_id, len(kept))
    """, memory=80 * 1024 * 1024)  # fmt: skip
    assert session.invoke("1").payload == str(1024 * 1024)
    killed = session.invoke("200")
    assert killed.failure
    assert killed.failure.message.endswith("Runtime exited with error: signal: killed")
    assert killed.memory > 80 * 1024 * 1024
    assert session.invoke("1").payload == str(1024 * 1024)


def test_a_process_that_ends_after_its_answer(start: Start) -> None:
    """The next event has not been seen by it, so it is not lost."""
    session = start("""
        request_id, event, _ = take()
        give(request_id, event)
        sys.exit(1)
    """)
    for number in range(6):
        answer = session.invoke(str(number))
        assert answer.payload == str(number)
        assert answer.init


def test_a_process_without_output_goes_on(start: Start) -> None:
    session = start("os.close(1); os.close(2)\n" + ECHO)
    assert [session.invoke(str(number)).payload for number in range(3)] == ["0", "1", "2"]


def test_variables_and_standard_input(start: Start) -> None:
    session = start("""
        request_id, event, _ = take()
        give(request_id, [sorted(os.environ), sys.stdin.read()])
        take()
    """, NAME="value")  # fmt: skip
    # Python adds LC_CTYPE by itself where no locale is set
    assert session.invoke("1").payload == '[["AWS_LAMBDA_RUNTIME_API", "LC_CTYPE", "NAME"], ""]'


def test_what_it_starts_is_stopped_and_ended_with_it(start: Start) -> None:
    """Also in a session of its own, which a daemon makes for itself."""
    session = start("""
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        while True:
            request_id, event, _ = take()
            give(request_id, child.pid)
            if event == "end":
                os._exit(0)
    """)
    pid = int(session.invoke("1").payload)
    state = Path(f"/proc/{pid}/stat")
    wait_for(lambda: state.read_text().rpartition(")")[2].split()[0] == "T")
    session.invoke('"end"')
    assert session.invoke("1").init  # another process, and another child
    assert not is_alive(pid)


def test_the_memory_of_what_it_starts_counts(start: Start) -> None:
    session = start("""
        request_id, event, _ = take()
        subprocess.run([sys.executable, "-c", "import time; x = b'x' * 200_000_000; time.sleep(600)"])
    """, memory=120 * 1024 * 1024)  # fmt: skip
    killed = session.invoke("1")
    assert killed.failure
    assert killed.failure.message.endswith("Runtime exited with error: signal: killed")
    assert killed.memory > 120 * 1024 * 1024


def test_a_fork_shares_the_memory_of_its_parent(start: Start) -> None:
    session = start("""
        kept = b"x" * 60_000_000
        request_id, event, _ = take()
        pids = [os.fork() for _ in range(2)]
        if 0 in pids:
            time.sleep(0.5)
            os._exit(0)
        time.sleep(0.5)
        give(request_id, event)
        take()
    """, memory=120 * 1024 * 1024)  # fmt: skip
    assert session.invoke("1").payload == "1"


def test_what_is_no_call_ends_its_connection_alone(start: Start) -> None:
    session = start(r"""
        import socket
        host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
        def said(data):
            with socket.create_connection((host, int(port))) as handle:
                try:
                    handle.sendall(data)
                    return handle.recv(100).decode()
                except ConnectionError:
                    return ""
        while True:
            request_id, event, _ = take()
            strange = [b"x\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: abc\r\n\r\n", b"\xff" * 10 + b"\r\n\r\n"]
            next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n"
            give(request_id, [said(data) for data in (*strange, next)])
    """)
    answer = session.invoke("1")
    assert answer.payload == '["", "", "", ""]', answer
    assert session.invoke("2").payload == '["", "", "", ""]'


# --- the end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["init", "idle", "busy"])
def test_the_end_of_its_input_is_the_end_of_all(tmp_path: Path, phase: str) -> None:
    (tmp_path / "function.py").write_text(
        CLIENT + f"child = subprocess.Popen(['sleep', '600'])\nprint(os.getpid(), child.pid, flush=True)\n"
        f"if {phase == 'init'}: time.sleep(600)\ntake()\ntime.sleep(600)\n"
    )
    heard: list[str] = []
    with pipes([sys.executable, *FLAGS, str(PROGRAM)], tmp_path / "noise") as stream:
        given = {
            "command": [sys.executable, "-u", str(tmp_path / "function.py")],
            "environment": {"PATH": os.environ["PATH"]},
            "folder": str(tmp_path), "user": None, "alone": False, "memory": 0, "timeout": 600, "init": 600,
            "arn": "",
        }  # fmt: skip
        session = Session(stream, given, heard.append, where="here")
        if phase != "init":
            assert session.ready().failure is None
        if phase == "busy":
            session._write({"id": "1", "body": "1", "trace": ""})
        wait_for(lambda: bool(heard))
        pids = [int(pid) for pid in heard[0].split()]
    wait_for(lambda: not any(map(is_alive, pids)))
    session.reader.join(20)


def test_a_supervisor_that_is_killed_is_told(start: Start) -> None:
    session = start(ECHO)
    assert session.invoke("1").payload == "1"
    process = session.stream.process  # type: ignore[attr-defined]
    child = _child(session)
    process.kill()
    with pytest.raises(MachineError, match="the function's surroundings are gone") as caught:
        session.invoke("2")
    assert "exit status -9" in str(caught.value)
    os.kill(child, 9)  # nobody else is left to do it here; in a namespace of its own it goes with its first process


def test_a_place_that_does_not_start(tmp_path: Path) -> None:
    for command in (["sh", "-c", "echo there is no Python >&2; exit 3"], ["sh", "-c", "exit 4"]):
        with (
            pipes(command, tmp_path / "noise") as stream,
            pytest.raises(NotHere, match=r"there is no Python|exit status 4"),
        ):
            Session(stream, {}, print, where="here")


def test_standard_library_alone(tmp_path: Path) -> None:
    """It starts without site-packages, and without what costs a cold start."""
    code = f"import sys, runpy; runpy.run_path({str(PROGRAM)!r}, run_name='x'); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, *FLAGS, "-c", code], capture_output=True, text=True, check=True)
    heavy = ("http", "http.server", "subprocess", "threading", "asyncio", "email", "urllib")
    assert not [name for name in heavy if f"'{name}'" in done.stdout]


def check_protocol(stream: Any) -> Stream:
    """What `pipes` gives is a Stream (for mypy)."""
    found: Stream = stream
    return found
