"""What publishing has learnt of one account and region, on disk before and after each call, for the run after a kill.

One file of JSON Lines, which grows at its end: each fact is one line and one write, so a killed process leaves whole
lines and at most one torn one.  A lock on the file (flock, which goes with its process) keeps a second run waiting.
The file is a memory, never the truth: AWS is asked whether what it says is so, and without it more has to be read.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from layerkit.aws.nouns import Candidate
from layerkit.errors import MachineError
from layerkit.files import disk_errors
from layerkit.publish.results import Known

LARGE = 1_000_000  # bytes from which a journal is compacted when it is opened
AGAIN = 0.1  # seconds after which it is asked again whether the lock is free
KEPT = 1000  # facts that a compacted journal holds of those that still matter: the last ones
LONGEST = 500  # characters of AWS's words in a fact
UNTAGGED_FOR = 30 * 24 * 3600  # seconds after which a region that refused architecture tags is asked once more
CURE = "name another cache folder: LAYERKIT_CACHE_DIR=..."
FORGOTTEN = ("dropped", "failed", "sharing", "shared", "parameters", "finished")  # they matter by what they end

Identity = tuple[str, str, tuple[str, ...], tuple[str, ...]]


def _nothing() -> None:
    pass


@dataclass(slots=True)
class _Memory:
    """What lines of a journal come to."""

    published: dict[tuple[Identity, int], bytes] = field(default_factory=dict)  # identity and version -> its line
    open: dict[Identity, list[tuple[int, bytes]]] = field(default_factory=dict)  # intents without an outcome
    untagged: tuple[float, bytes] | None = None  # when, seconds since 1970
    unknown: list[bytes] = field(default_factory=list)  # of a newer layerkit

    def read(self, content: bytes) -> None:
        for line in content.splitlines():
            self.learn(line)

    def learn(self, line: bytes) -> None:
        """Take in one line; one that is no JSON object (torn, garbage) is passed over."""
        try:
            fact = json.loads(line)
        except (ValueError, RecursionError):  # also: not UTF-8
            return
        if isinstance(fact, dict):
            try:
                self._learn(fact, line)
            except (KeyError, TypeError, ValueError, OverflowError):  # a field is not as this layerkit would write it
                self.unknown.append(line)

    def _learn(self, fact: dict[str, Any], line: bytes) -> None:
        what = fact["fact"]
        if what == "untagged":
            self.untagged = datetime.fromisoformat(fact["time"]).timestamp(), line
            return
        one = (str(fact["name"]), str(fact["code_sha256"]), tuple(fact["runtimes"]), tuple(fact["architectures"]))
        if what == "intend":
            self.open.setdefault(one, []).append((int(fact["newest"]), line))
        elif what == "published":
            self.published[one, int(fact["version"])] = line
            self.open.pop(one, None)
        elif what == "failed":  # of the call that was made last; one before it may still be done
            if self.open.get(one):
                self.open[one].pop()
        elif what == "dropped":
            self.published.pop((one, int(fact["version"])), None)
        elif what not in FORGOTTEN:
            self.unknown.append(line)

    def known(self, one: Identity, now: float) -> Known:
        versions = sorted((version for other, version in self.published if other == one), reverse=True)
        pending = [newest for newest, _ in self.open.get(one, ())]
        untagged = self.untagged is not None and now < self.untagged[0] + UNTAGGED_FOR
        return Known(versions=tuple(versions), pending_after=min(pending, default=None), untagged=untagged)

    def lines(self) -> Iterator[bytes]:
        """What a compacted journal holds: for each answer of `known` the lines that it comes from."""
        yield from self.unknown
        if self.untagged:
            yield self.untagged[1]
        pending = [line for intents in self.open.values() for _, line in intents]
        yield from [*self.published.values(), *pending][-KEPT:]


class Journal:
    """An open journal, which no other process has open.  Any number of threads may use it.

    Each method writes one fact and raises MachineError when that cannot be: then what it announces must not be done.
    """

    def __init__(self, path: Path, handle: int, clock: Callable[[], float]) -> None:
        """`handle` is the file's, locked, and opened for appending; `Journal.open` makes one."""
        self.path, self._handle, self._clock = path, handle, clock
        self._lock = Lock()
        self._memory = _Memory()
        with open(handle, "rb", closefd=False) as file:
            content = file.read()
        self._memory.read(content)
        self._torn = not content.endswith(b"\n") and content != b""
        self._size = len(content)

    @classmethod
    @contextmanager
    def open(
        cls,
        folder: Path,
        account: str,
        region: str,
        *,
        endpoint: str = "",
        waiting: Callable[[], None] = _nothing,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        large: int = LARGE,
    ) -> Iterator[Journal]:
        """The journal of a region, below `folder`; another `endpoint` than AWS's has its own ones.

        Waits while another process has it open, and calls `waiting` once before that; what `sleep` raises ends it.
        `clock` gives seconds since 1970.  Raises MachineError when the folder or the file cannot be used.
        """
        path = _path(folder, account, region, endpoint)
        with _told(path.parent):
            for each in (folder, path.parent):
                each.mkdir(parents=True, mode=0o700, exist_ok=True)
        with _told(path):
            handle = _lock(path, waiting, sleep)
            try:
                journal = cls(path, handle, clock)
            except BaseException:
                os.close(handle)
                raise
        try:
            if journal._size > large:
                journal._compact()
            yield journal
        finally:
            journal._close()

    @staticmethod
    def glance(
        folder: Path, account: str, region: str, *, endpoint: str = "", clock: Callable[[], float] = time.time
    ) -> Callable[[Candidate], Known]:
        """What `known` would answer, without opening the journal or waiting for who has it; nothing is written."""
        path, memory = _path(folder, account, region, endpoint), _Memory()
        with _told(path), suppress(FileNotFoundError):
            memory.read(path.read_bytes())
        return lambda candidate: memory.known(_identity(candidate), clock())

    def known(self, candidate: Candidate) -> Known:
        """What is remembered of exactly these bytes with exactly these tags."""
        with self._lock:
            return self._memory.known(_identity(candidate), self._clock())

    def intend(self, candidate: Candidate, newest: int) -> None:
        """A publish call is about to be made; `newest` is the newest version's number, 0 without one."""
        self._write("intend", candidate, newest=newest)

    def published(self, candidate: Candidate, version: int, arn: str) -> None:
        """A version with these bytes and tags is there: AWS said so, or it was found.  Ends all intents."""
        self._write("published", candidate, version=version, arn=arn)

    def failed(self, candidate: Candidate, words: str) -> None:
        """The last publish call is known not to have been done.  Ends its intent, and no earlier one."""
        self._write("failed", candidate, words=words[:LONGEST])

    def dropped(self, candidate: Candidate, version: int, why: str) -> None:
        """A version that layerkit published is deleted again.  Ends no intent."""
        self._write("dropped", candidate, version=version, why=why[:LONGEST])

    def sharing(self, candidate: Candidate, version: int, sid: str, what: str) -> None:
        """A statement is about to be changed; `what` is "add" or "remove"."""
        self._write("sharing", candidate, version=version, sid=sid, change=what)

    def shared(self, candidate: Candidate, version: int) -> None:
        """The version's policy is as declared."""
        self._write("shared", candidate, version=version)

    def parameters(self, candidate: Candidate, version: int) -> None:
        """The version's ARN is in its parameters."""
        self._write("parameters", candidate, version=version)

    def untagged(self) -> None:
        """The region refuses architecture tags."""
        self._write("untagged", None)

    def finished(self, candidate: Candidate, version: int) -> None:
        """Nothing is left to do."""
        self._write("finished", candidate, version=version)

    def _write(self, what: str, candidate: Candidate | None, **more: object) -> None:
        when = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        fact: dict[str, object] = {"time": when, "pid": os.getpid(), "fact": what}
        if candidate:
            name, code, runtimes, architectures = _identity(candidate)
            fact |= {"name": name, "code_sha256": code, "runtimes": runtimes, "architectures": architectures}
        line = json.dumps(fact | more).encode()
        with self._lock, _told(self.path):
            whole = (b"\n" if self._torn else b"") + line + b"\n"
            self._torn = True  # until it is whole
            written = os.write(self._handle, whole)
            while written < len(whole):  # a full disk takes a part, and says why at the next write
                written += os.write(self._handle, whole[written:])
            self._torn = False
            self._memory.learn(line)

    def _close(self) -> None:
        with self._lock:
            os.close(self._handle)
            self._handle = -1  # the number may be another file's soon

    def _compact(self) -> None:
        """Put a shorter file in the place of this one; where that cannot be, the long one does.

        The new file is locked before it has the name: who waits for the old one finds, when it comes free, that the
        name is another file's, and waits for that.
        """
        aside = self.path.with_name(f".{self.path.name}.new")  # the lock's holder alone makes it; a kill may leave it
        content = b"".join(line + b"\n" for line in self._memory.lines())
        with suppress(OSError):
            handle = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if os.write(handle, content) == len(content):
                    os.fsync(handle)
                    aside.replace(self.path)
                    handle, self._handle, self._torn = self._handle, handle, False
            finally:
                os.close(handle)
                aside.unlink(missing_ok=True)


def _lock(path: Path, waiting: Callable[[], None], sleep: Callable[[float], None]) -> int:
    """A handle of the file at `path`, which is made where there is none; this process alone has its lock.

    It asks again and again, so that `sleep` can end the waiting.
    """
    told = False
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), path.stat()):  # not compacted or deleted in between
                handle, locked = -1, handle
                return locked
        except FileNotFoundError:
            continue
        except BlockingIOError:
            if not told:
                waiting()
                told = True
            sleep(AGAIN)
        finally:
            if handle >= 0:
                os.close(handle)


def _path(folder: Path, account: str, region: str, endpoint: str) -> Path:
    return folder / (f"{account}@{_file_name(endpoint)}" if endpoint else account) / f"{region}.jsonl"


def _identity(candidate: Candidate) -> Identity:
    return candidate.name, candidate.code_sha256, candidate.runtimes, candidate.architectures


def _file_name(endpoint: str) -> str:
    """Host and port of a URL, as a file's name; nothing of what else may stand in it."""
    host = urlsplit(endpoint).netloc.rpartition("@")[2]
    return re.sub(r"[^A-Za-z0-9.-]+", "_", host)[:100] or "other"


@contextmanager
def _told(where: Path) -> Iterator[None]:
    """Turns whatever the disk says into a MachineError."""
    try:
        with disk_errors(where):
            yield
    except MachineError as error:
        error.cure += f"; or {CURE}"
        raise
    except OSError as error:
        what = "the journal of what is published cannot be kept"
        raise MachineError(what, where=str(where), why=str(error), cure=CURE) from None
