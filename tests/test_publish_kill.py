"""`kill -9` at every moment of a run, and a polite end: the next run does the rest, and nothing is there twice."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aws_standin import Standin, serve
from publishing import AWAY, Site, as_client, bad_words, build
from test_publish_faults import finished, measured

# It is the real command, in a process where the operating system's calls are counted; toolkit code is as it is.
pytestmark = pytest.mark.integration
LAUNCHER = """
import os, signal, socket, sys

what, which, how = sys.argv.pop(1), int(sys.argv.pop(1)), sys.argv.pop(1)
count = 0

def met():
    global count
    count += 1
    if count == which:
        os.kill(os.getpid(), getattr(signal, how))

write, sendall, readinto = os.write, socket.socket.sendall, socket.SocketIO.readinto

def watched_write(handle, data):
    journal = bytes(data).startswith(b'{"time"')
    if journal and what == "before":
        met()
    done = write(handle, data)
    if journal and what == "after":
        met()
    return done

def watched_send(self, data, *flags):
    done = sendall(self, data, *flags)
    if what == "sent" and bytes(data[-1:]) in (b"}", b"5") or what == "sent" and data[:4] in (b"GET ", b"DELE"):
        met()
    return done

def watched_read(self, buffer):
    done = readinto(self, buffer)
    if what == "answered" and bytes(buffer[:5]) == b"HTTP/":
        met()
    return done

os.write, socket.socket.sendall, socket.SocketIO.readinto = watched_write, watched_send, watched_read
from layerkit.cli import main
sys.argv[0] = "layerkit"
try:
    main()
finally:
    if how == "SIGCONT":
        write(2, b"counted %d\\n" % count)
"""
ROWS = {
    "before": "`kill -9` before or after a line of the journal",
    "after": "`kill -9` before or after a line of the journal",
    "sent": "`kill -9` after a request was sent",
    "answered": "`kill -9` after an answer was read",
}
POLITE = {"SIGINT": "Ctrl-C (SIGINT)", "SIGTERM": "SIGTERM"}


@pytest.fixture(autouse=True)
def _client(monkeypatch: pytest.MonkeyPatch) -> None:
    as_client(monkeypatch)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer for one region, so that the order of all calls is always the same."""
    return build(tmp_path_factory.mktemp("kill") / "built", ["alpha"], [AWAY])


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Callable[[Standin, str], Site]:
    def make(aws: Standin, name: str) -> Site:
        return Site.copied(built, tmp_path / name, aws, layers=("alpha",), regions=(AWAY,))

    return make


def ended(site: Site, what: str, which: int, how: str) -> tuple[int, str]:
    """A run that gets a signal at the moment `which` of a kind; its exit code, and what it said."""
    process = site.start(launcher=("-c", LAUNCHER, what, str(which), how))
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def moments(site: Site, what: str) -> int:
    """How many of a kind a run has."""
    status, said = ended(site, what, 0, "SIGCONT")
    assert status == 0, said
    return int(re.findall(r"counted (\d+)", said)[-1])


@pytest.mark.parametrize("what", ROWS)
def test_killed_at_any_moment(what: str, copied: Callable[[Standin, str], Site]) -> None:
    with serve(rate=0) as aws:
        count = moments(copied(aws, "counted"), what)
    assert count > 5

    def killed(which: int) -> list[str]:
        with serve(rate=0) as aws:
            site = copied(aws, f"at-{which}")
            status, said = ended(site, what, which, "SIGKILL")
            problems = [] if status == -signal.SIGKILL else [f"exit {status}: {said}"]
            problems += [f"says {word}" for word in bad_words(said)]
            settled(aws)
            problems += [f"killed: {what}" for what in site.problems(done=False)]
            problems += finished(site, site.known)
            return [f"{what} {which}: {problem}" for problem in problems]

    with ThreadPoolExecutor(max_workers=3) as threads:
        assert [one for found in threads.map(killed, range(1, count + 1)) for one in found] == []
    tried = f"{count} + {count} times" if what in ("before", "after") else f"{count} times"
    measured(ROWS[what], tried, "1", "then 0")


def settled(aws: Standin) -> None:
    """AWS has done what it was asked: a request that it still works on is another case, the window."""
    with urllib.request.urlopen(f"{aws.url}/_state"):  # connections are taken in their order
        pass
    while aws._server._open:
        time.sleep(0.005)


def test_a_killed_run_says_what_it_did_not_know(copied: Callable[[Standin, str], Site]) -> None:
    """The journal has the intent of a call whose answer nobody read, and the next run adopts what it made."""
    with serve(rate=0) as aws:
        site = copied(aws, "site")
        aws.fault("PublishLayerVersion", "slow-after:600")
        process = site.start()
        while not aws.versions(AWAY, "alpha"):
            assert process.poll() is None
        process.kill()
        process.communicate()
        (journal,) = (site.folder / "cache/journal").rglob("*.jsonl")
        assert [json.loads(line)["fact"] for line in journal.read_text().splitlines()] == ["intend"]
        second = site.run(connect=site.known)
        assert (second.status, site.problems(done=True)) == (0, []), second.said
        assert "adopted" in second.said
        assert not [one for one in second.calls if one.operation == "PublishLayerVersion"]


@pytest.mark.parametrize("how", POLITE)
def test_asked_to_end_at_any_moment(how: str, copied: Callable[[Standin, str], Site]) -> None:
    """What is under way is finished and remembered; nothing new is begun."""
    with serve(rate=0) as aws:
        count = moments(copied(aws, "counted"), "sent")

    def interrupted(which: int) -> list[str]:
        with serve(rate=0, latency=0.1) as aws:
            site = copied(aws, f"{how}-{which}")
            status, said = ended(site, "sent", which, how)
            problems = [] if status == 130 else [f"exit {status}: {said}"]
            problems += [f"says {word}" for word in bad_words(said)]
            problems += [] if "interrupted" in said else [f"says {said}"]
            problems += [f"interrupted: {what}" for what in site.problems(done=False)]
            if len(aws.log) > which + 2:  # the next may have begun before the signal is heard of
                problems.append(f"{len(aws.log)} calls")
            journals = (site.folder / "cache/journal").rglob("*.jsonl")
            known = [json.loads(line)["fact"] for path in journals for line in path.read_text().splitlines()]
            if bool(site.counts()[AWAY, "alpha"]) != ("published" in known):
                problems.append(f"the journal has {known}")
            problems += finished(site, site.known)
            return [f"{which}: {problem}" for problem in problems]

    with ThreadPoolExecutor(max_workers=3) as threads:
        assert [one for found in threads.map(interrupted, range(1, count + 1)) for one in found] == []
    measured(POLITE[how], f"{count} times", "0 or 1", "130, then 0")
