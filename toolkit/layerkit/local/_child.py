"""Part of `_supervisor.py`: a function's process, what it writes and the memory that it takes."""

import json
import os
import signal
import time
from contextlib import suppress

TYPE_CHECKING = False  # not from typing
if TYPE_CHECKING:
    from typing import Any

CHUNK = 1 << 20
DUMPABLE, SUBREAPER = 4, 36  # of prctl(2)


class Child:
    """The function's process, its output, and what it says of an init that fails."""

    def __init__(self, spec: "dict[str, Any]", address: str) -> None:
        self.output, output = os.pipe()
        self.word, word = os.pipe()
        self.began = time.monotonic()
        self.rest, self.words = b"", b""
        self.peak, self.alone = 0, bool(spec["alone"])
        self.ended = False  # of its output
        self.pid = os.fork()
        if self.pid == 0:
            self._become(spec, address, output, word)
        os.close(output)
        os.close(word)
        for handle in (self.output, self.word):
            os.set_blocking(handle, False)

    def _become(self, spec: "dict[str, Any]", address: str, output: int, word: int) -> None:
        """Never returns."""
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.set_inheritable(word, True)
            if spec["user"]:
                user, group = spec["user"]
                os.setgroups([])
                os.setgid(group)
                os.setuid(user)
            os.chdir(spec["folder"])
            command = [part.replace("{word}", str(word)) for part in spec["command"]]
            os.execve(command[0], command, {**spec["environment"], "AWS_LAMBDA_RUNTIME_API": address})  # noqa: S606
        except OSError as error:
            os.write(2, f"{error}\n".encode())
        finally:
            os._exit(127)

    def lines(self) -> "list[str]":
        """What it has written by now, whole lines."""
        data, self.ended = read(self.output)
        self.rest += data
        *whole, self.rest = self.rest.split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]

    def last_lines(self) -> "list[str]":
        """The same, and what has no end."""
        lines = self.lines()
        if self.rest:
            lines.append(self.rest.decode("utf-8", "replace"))
            self.rest = b""
        return lines

    def cause(self) -> "list[str]":
        """The traceback of its init."""
        self.words += read(self.word)[0]
        try:
            return [str(line) for line in json.loads(self.words)]
        except ValueError:
            return []

    def look(self) -> int:
        """The bytes of memory that it has now, with all that it has started; remembers the most."""
        own, most = _memory(self.pid)
        now, words = own, _words(self.pid)
        for pid in self.everyone():
            if pid != self.pid:
                taken, _ = _memory(pid)
                now += taken if _words(pid) != words else max(0, taken - own)  # a fork shares what it has
        self.peak = max(self.peak, most, now)
        return now

    def signal(self, number: int) -> None:
        """To all that it has started, in whatever session."""
        if self.alone:  # but for the namespace's first process and this one
            with suppress(ProcessLookupError, PermissionError):
                os.kill(-1, number)
            return
        for pid in self.everyone():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def everyone(self) -> "list[int]":
        """It and all that it has started."""
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        if self.alone:
            return [pid for pid in pids if pid not in (1, os.getpid())]
        parents = {pid: _parent(pid) for pid in pids}  # orphans become this process's, see _supervisor.py
        found, size = {os.getpid()}, 0
        while len(found) > size:
            size = len(found)
            found |= {pid for pid, parent in parents.items() if parent in found}
        return sorted(found - {os.getpid()})

    def close(self) -> None:
        os.close(self.output)
        os.close(self.word)


def _memory(pid: int) -> "tuple[int, int]":
    """Bytes that a process has in memory, now and at most."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            fields = dict(line.split(b":", 1) for line in file.read().splitlines() if b":" in line)
        return int(fields[b"VmRSS"].split()[0]) * 1024, int(fields[b"VmHWM"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # it has just ended
        return 0, 0


def _words(pid: int) -> bytes:
    """Its command: another one than its parent's, unless it is a mere fork."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def guard() -> None:
    """Where the function has this process's user, it may not look into it; and its orphans become this one's."""
    try:
        import ctypes
    except ImportError:
        return
    libc = ctypes.CDLL(None)
    libc.prctl(DUMPABLE, 0, 0, 0, 0)
    libc.prctl(SUBREAPER, 1, 0, 0, 0)


def reaped(own: int) -> "tuple[int, int]":
    """Of the function's process, if it has ended: its number and status.  Orphans, which come here, are let go."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0, 0
        if pid in (0, own):
            return pid, status


def read(handle: int) -> "tuple[bytes, bool]":
    """What is there, at least all that was when this began (a pipe holds 64 kB); and whether that was the end."""
    found: list[bytes] = []
    try:
        for _ in range(16):
            chunk = os.read(handle, CHUNK)
            if not chunk:
                return b"".join(found), True
            found.append(chunk)
    except BlockingIOError:
        pass
    return b"".join(found), False


def signal_name(number: int) -> str:
    """As Go words it, in which Lambda is written."""
    if number not in set(signal.Signals):  # one of those for real time
        return f"signal {number}"
    names = {signal.SIGKILL: "killed", signal.SIGSEGV: "segmentation fault", signal.SIGABRT: "aborted"}
    return names.get(signal.Signals(number), signal.Signals(number).name)
