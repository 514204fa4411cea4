"""What a run has learnt outlives it, however it ends, and no two runs write at once."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layerkit.aws.nouns import Candidate
from layerkit.errors import MachineError
from layerkit.publish.journal import KEPT, LONGEST, UNTAGGED_FOR, Journal
from layerkit.publish.results import Known

ACCOUNT, REGION = "123456789012", "us-east-1"
ONE = Candidate(
    layer="flask",
    name="web_flask",
    path=Path("flask.zip"),
    size=1,
    sha256="ab" * 32,
    runtimes=("python3.12", "python3.13"),
    architectures=("arm64",),
    description="Flask",
)
OTHERS = (
    replace(ONE, name="other"),
    replace(ONE, sha256="cd" * 32),
    replace(ONE, runtimes=("python3.12",)),
    replace(ONE, architectures=()),
)
Fact = Callable[[Journal], None]


@contextmanager
def opened(folder: Path, *, clock: Callable[[], float] = lambda: 1e9, large: int = 1_000_000) -> Iterator[Journal]:
    """A journal that nobody else has open: it fails where it would wait."""

    def stuck() -> None:
        raise AssertionError("the journal is open elsewhere")

    with Journal.open(folder, ACCOUNT, REGION, waiting=stuck, clock=clock, large=large) as journal:
        yield journal


def file(folder: Path) -> Path:
    return folder / ACCOUNT / f"{REGION}.jsonl"


def known(folder: Path, candidate: Candidate = ONE) -> Known:
    """What the next run knows."""
    with opened(folder) as journal:
        found = journal.known(candidate)
    assert Journal.glance(folder, ACCOUNT, REGION, clock=lambda: 1e9)(candidate) == found
    return found


def facts(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file(folder).read_text().splitlines()]


STORIES: list[tuple[str, list[Fact], Known]] = [
    ("nothing", [], Known()),
    ("intended", [lambda j: j.intend(ONE, 4)], Known(pending_after=4)),
    ("the first ever intended", [lambda j: j.intend(ONE, 0)], Known(pending_after=0)),
    ("failed", [lambda j: j.intend(ONE, 4), lambda j: j.failed(ONE, "429")], Known()),
    ("published", [lambda j: j.intend(ONE, 4), lambda j: j.published(ONE, 5, "arn")], Known(versions=(5,))),
    ("found without an intent", [lambda j: j.published(ONE, 5, "arn")], Known(versions=(5,))),
    (
        "an older call may still be done when a newer one has failed",
        [lambda j: j.intend(ONE, 4), lambda j: j.intend(ONE, 6), lambda j: j.failed(ONE, "429")],
        Known(pending_after=4),
    ),
    (
        "the earliest of several calls without an outcome counts",
        [lambda j: j.intend(ONE, 4), lambda j: j.intend(ONE, 6)],
        Known(pending_after=4),
    ),
    (
        "published at the second try",
        [lambda j: j.intend(ONE, 4), lambda j: j.intend(ONE, 4), lambda j: j.published(ONE, 5, "arn")],
        Known(versions=(5,)),
    ),
    (
        "newest first",
        [lambda j: j.published(ONE, 5, "arn"), lambda j: j.published(ONE, 12, "arn"), lambda j: j.intend(ONE, 12)],
        Known(versions=(12, 5), pending_after=12),
    ),
    (
        "dropped",
        [lambda j: j.intend(ONE, 4), lambda j: j.published(ONE, 5, "arn"), lambda j: j.dropped(ONE, 5, "wrong")],
        Known(),
    ),
    (
        "dropped without an outcome",
        [lambda j: j.intend(ONE, 4), lambda j: j.dropped(ONE, 6, "twice")],
        Known(pending_after=4),
    ),
    ("failed without an intent", [lambda j: j.failed(ONE, "x"), lambda j: j.dropped(ONE, 1, "x")], Known()),
    (
        "all the rest",
        [
            lambda j: j.published(ONE, 5, "arn"),
            lambda j: j.sharing(ONE, 5, "layerkit-public", "add"),
            lambda j: j.shared(ONE, 5),
            lambda j: j.parameters(ONE, 5),
            lambda j: j.finished(ONE, 5),
        ],
        Known(versions=(5,)),
    ),
    ("without tags", [lambda j: j.untagged()], Known(untagged=True)),
]


@pytest.mark.parametrize(("story", "expected"), [pytest.param(s, e, id=name) for name, s, e in STORIES])
def test_the_next_run_knows_what_this_one_learnt(story: list[Fact], expected: Known, tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        for fact in story:
            fact(journal)
        assert journal.known(ONE) == expected
        others = [journal.known(other) for other in OTHERS]
    assert others == [Known(untagged=expected.untagged)] * len(OTHERS)
    assert known(tmp_path) == expected
    with opened(tmp_path, large=0):  # compacted
        pass
    assert known(tmp_path) == expected
    assert [known(tmp_path, other) for other in OTHERS] == others


def test_who_and_when_is_told_and_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.intend(ONE, 4)
        journal.failed(ONE, "é" * 10_000)
    first, second = facts(tmp_path)
    assert first == {
        "time": "2001-09-09T01:46:40.000+00:00",
        "pid": os.getpid(),
        "fact": "intend",
        "name": "web_flask",
        "code_sha256": ONE.code_sha256,
        "runtimes": ["python3.12", "python3.13"],
        "architectures": ["arm64"],
        "newest": 4,
    }
    assert second["words"] == "é" * LONGEST


def test_places_are_apart_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "journal"
    with Journal.open(folder, ACCOUNT, REGION) as aws:
        aws.published(ONE, 1, "arn")
    for endpoint in ("http://user:secret@localhost:4566/path?token=secret", "https://localhost:4567"):
        with Journal.open(folder, ACCOUNT, REGION, endpoint=endpoint) as other:
            assert other.known(ONE) == Known()
            assert "secret" not in str(other.path)
    with Journal.open(folder, ACCOUNT, "eu-west-1") as other:
        assert other.known(ONE) == Known()
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jsonl"))
    assert names == [
        "123456789012/eu-west-1.jsonl",
        "123456789012/us-east-1.jsonl",
        "123456789012@localhost_4566/us-east-1.jsonl",
        "123456789012@localhost_4567/us-east-1.jsonl",
    ]
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
    assert modes == {True: 0o700, False: 0o600}


def test_a_region_is_asked_for_tags_again_after_a_while(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.untagged()
    for later, untagged in ((UNTAGGED_FOR - 1, True), (UNTAGGED_FOR + 1, False)):
        with opened(tmp_path, clock=lambda later=later: 1e9 + later) as journal:  # type: ignore[misc]
            assert journal.known(ONE).untagged is untagged


def test_a_glance_makes_and_waits_for_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    assert Journal.glance(folder, ACCOUNT, REGION)(ONE) == Known()
    assert not folder.exists()
    with opened(folder) as journal:
        journal.published(ONE, 5, "arn")
        assert Journal.glance(folder, ACCOUNT, REGION)(ONE) == Known(versions=(5,))


def test_what_is_closed_takes_no_more(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        pass
    with (tmp_path / "victim").open("wb"), pytest.raises(MachineError):  # it has the number that the journal had
        journal.published(ONE, 1, "arn")
    assert (tmp_path / "victim").read_bytes() == b""


# Lines that are torn, garbage, or a newer layerkit's


def whole_story(journal: Journal) -> list[Known]:
    """What is known after each fact."""
    found = [journal.known(ONE)]
    steps: list[Fact] = [
        lambda j: j.intend(ONE, 4),
        lambda j: j.published(ONE, 5, "arn"),
        lambda j: j.untagged(),
        lambda j: j.intend(ONE, 5),
        lambda j: j.failed(ONE, "no"),
        lambda j: j.dropped(ONE, 5, "why"),
    ]
    for step in steps:
        step(journal)
        found.append(journal.known(ONE))
    return found


def test_a_journal_may_end_anywhere(tmp_path: Path) -> None:
    """Cut after each byte: what whole facts say is known, and the next fact is not lost in the torn one."""
    with opened(tmp_path / "whole") as journal:
        expected = whole_story(journal)
    content = file(tmp_path / "whole").read_bytes()
    torn = tmp_path / "torn"
    file(torn).parent.mkdir(parents=True)
    for end in range(len(content) + 1):
        file(torn).write_bytes(content[:end])
        whole = content[:end].count(b"}")  # no fact of these has another brace
        with opened(torn) as journal:
            assert journal.known(ONE) == expected[whole]
            journal.published(ONE, 77, "arn")
            journal.shared(ONE, 77)
        assert known(torn).versions[0] == 77


GARBAGE = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"\0" * 4096,
            b"[" * 20_000,
            b'{"fact": "intend"}',
            b'{"fact": ["x"]}',
            b"{}",
            b"[1]",
            b"\xff\xfe",
            b"1" * 9999,
        ]
    ),
    st.fixed_dictionaries(
        {"fact": st.sampled_from(["intend", "published", "failed", "dropped", "untagged"])},
        optional={
            "time": st.sampled_from(["", "now", 5, "0001-01-01T00:00:00+23:00", "9999-12-31T00:00:00-23:00"]),
            "name": st.none() | st.text(max_size=3),
            "code_sha256": st.none() | st.lists(st.none()),
            "runtimes": st.sampled_from([None, 5, [[]], [{}], "x"]),
            "architectures": st.sampled_from([None, [], [[]]]),
            "newest": st.sampled_from([None, float("inf"), float("nan"), "x", [], -1]),
            "version": st.sampled_from([None, float("inf"), "x", 10**400]),
        },
    ).map(lambda fact: json.dumps(fact).encode()),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(GARBAGE, max_size=4), st.booleans())
def test_garbage_is_passed_over(tmp_path: Path, garbage: list[bytes], compacted: bool) -> None:
    file(tmp_path).parent.mkdir(exist_ok=True)
    file(tmp_path).write_bytes(b"\n".join(garbage))
    with opened(tmp_path, large=0 if compacted else 10**6) as journal:
        journal.published(ONE, 5, "arn")
        journal.intend(ONE, 6)
    found = known(tmp_path)
    assert (found.versions, found.pending_after) == ((5,), 6)


def test_facts_of_a_newer_layerkit_are_kept(tmp_path: Path) -> None:
    newer = ['{"fact": "signed", "by": {"deep": [1]}}', '{"kind": "x"}', '{"fact": "published", "layer": {}}']
    file(tmp_path).parent.mkdir()
    file(tmp_path).write_text("\n".join(newer) + "\n")
    with opened(tmp_path) as journal:
        journal.published(ONE, 5, "arn")
    with opened(tmp_path, large=0) as journal:
        assert journal.known(ONE) == Known(versions=(5,))
    lines = file(tmp_path).read_text().splitlines()
    assert lines[:3] == newer
    assert len(lines) == 4


# Compaction


def test_a_large_journal_becomes_small(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        for version in range(KEPT + 200):
            journal.intend(ONE, version)
            journal.published(ONE, version + 1, "arn")
            journal.finished(ONE, version + 1)
        journal.intend(OTHERS[0], 3)
    large = file(tmp_path).stat().st_size
    with opened(tmp_path, large=large):  # not above
        assert file(tmp_path).stat().st_size == large
    with opened(tmp_path, large=large - 1) as journal:
        assert file(tmp_path).stat().st_size < large / 2
        journal.published(ONE, 5000, "arn")
    found = known(tmp_path)
    assert found.versions[:2] == (5000, KEPT + 200)
    assert len(found.versions) == KEPT
    assert known(tmp_path, OTHERS[0]) == Known(pending_after=3)
    assert stat.S_IMODE(file(tmp_path).stat().st_mode) == 0o600
    assert [path.name for path in file(tmp_path).parent.iterdir()] == [f"{REGION}.jsonl"]


def test_the_compacted_file_is_locked(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.published(ONE, 5, "arn")
    with opened(tmp_path, large=0), file(tmp_path).open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_where_nothing_can_be_put_aside_the_long_one_serves(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.intend(ONE, 4)
        journal.published(ONE, 5, "arn")
    (file(tmp_path).parent / f".{REGION}.jsonl.new").mkdir()
    with opened(tmp_path, large=0) as journal:
        journal.published(ONE, 6, "arn")
    assert known(tmp_path).versions == (6, 5)
    assert len(facts(tmp_path)) == 3


def test_what_a_kill_left_aside_is_not_taken_in(tmp_path: Path) -> None:
    with opened(tmp_path / "other") as journal:
        journal.published(ONE, 99, "arn")
    with opened(tmp_path) as journal:
        journal.published(ONE, 5, "arn")
    with file(tmp_path).open("ab") as torn:
        torn.write(b'{"fact": "publ')
    file(tmp_path / "other").rename(file(tmp_path).parent / f".{REGION}.jsonl.new")
    with opened(tmp_path, large=0) as journal:
        journal.published(ONE, 6, "arn")
    assert [fact["version"] for fact in facts(tmp_path)] == [5, 6]


def test_a_disk_that_is_full_when_it_is_compacted(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.published(ONE, 5, "arn")
        journal.shared(ONE, 5)
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
with opened(folder, large=0) as journal:
    assert journal.known(ONE).versions == (5,)
"""
    with child(tmp_path, code) as process:
        assert process.wait() == 0
    assert [fact["fact"] for fact in facts(tmp_path)] == ["published", "shared"]
    assert [path.name for path in file(tmp_path).parent.iterdir()] == [f"{REGION}.jsonl"]


# Disks


def refused(folder: Path) -> MachineError:
    with pytest.raises(MachineError) as caught, opened(folder):
        pass
    return caught.value


def test_places_where_no_journal_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = refused(tmp_path / "file")
    assert "where a folder is needed" in error.what
    (tmp_path / ACCOUNT / f"{REGION}.jsonl").mkdir(parents=True)
    error = refused(tmp_path)
    assert error.what == "the journal of what is published cannot be kept"
    assert error.where == str(file(tmp_path))
    assert "LAYERKIT_CACHE_DIR" in error.cure
    with pytest.raises(MachineError):
        Journal.glance(tmp_path, ACCOUNT, REGION)


CHILD = """
import os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_publish_journal import *
folder = Path({folder!r})
def step(word):
    print(word, flush=True)
    assert sys.stdin.readline()
"""


@contextmanager
def child(folder: Path, code: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs `code`; step(word) in it says the word and waits for a line."""
    program = CHILD.format(tests=str(Path(__file__).parent), folder=str(folder)) + code
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True, env=environment, cwd=folder
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("room", [0, 1, 100, 200, 10_000])
def test_a_full_disk_is_told_and_loses_nothing(room: int, tmp_path: Path) -> None:
    """The limit of a file's size is met at the beginning of a fact or in it: the fact is not taken for done."""
    code = f"""
import resource
with opened(folder) as journal:
    journal.published(ONE, 5, "arn")
    size = file(folder).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + {room}, resource.RLIM_INFINITY))
    try:
        journal.intend(ONE, 6)
        print("written")
    except MachineError as error:
        print(error.where)
        assert journal.known(ONE) == Known(versions=(5,))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.published(ONE, 7, "arn")
    assert journal.known(ONE).versions == (7, 5)
"""
    with child(tmp_path, code) as process:
        word = says(process)
        assert process.wait() == 0
    assert word == ("written" if room == 10_000 else str(file(tmp_path)))
    assert known(tmp_path) == Known(versions=(7, 5))


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_folder_that_is_not_ours_to_write(mode: int) -> None:
    """As root, which may write everywhere, it is tried as nobody; so it is below a folder that all may pass."""
    code = """
if os.getuid() == 0:
    os.setuid(65534)
try:
    with opened(folder / "journal"):
        pass
except MachineError as error:
    print(error.what)
"""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "journal").mkdir()
        (folder / "journal").chmod(mode)
        with child(folder, code) as process:
            assert says(process) == "may not be written; nothing that was there before is lost"
            assert process.wait() == 0


# Processes


def test_a_killed_run_leaves_all_it_wrote(tmp_path: Path) -> None:
    """kill -9 after each fact; then the next run goes on."""
    code = """
with opened(folder) as journal:
    step("open")
    journal.intend(ONE, 4); step("intended")
    journal.published(ONE, 5, "arn"); step("published")
    journal.intend(ONE, 5); step("intended")
    journal.failed(ONE, "x"); step("failed")
"""
    expected = [
        Known(),
        Known(pending_after=4),
        Known(versions=(5,)),
        Known(versions=(5,), pending_after=5),
        Known(versions=(5,)),
    ]
    for point, after in enumerate(expected):
        folder = tmp_path / str(point)
        folder.mkdir()
        with child(folder, code) as process:
            for _ in range(point):
                says(process)
                go(process)
            assert says(process)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert known(folder) == after  # and its lock is gone


@pytest.mark.parametrize(
    ("system_call", "done"), [("write", 0), ("write", 1), ("fsync", 0), ("rename", 0), ("rename", 1)]
)
def test_a_kill_while_it_is_compacted_loses_nothing(system_call: str, done: int, tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.intend(ONE, 4)
        journal.published(ONE, 5, "arn")
        journal.intend(OTHERS[0], 9)
    code = f"""
import signal
name = {system_call!r}
owner, name = (Path, "replace") if name == "rename" else (os, name)
real = getattr(owner, name)
def killed(*args):
    if {done}:
        real(*args)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, killed)
with opened(folder, large=0):
    pass
"""
    with child(tmp_path, code) as process:
        assert process.wait() == -signal.SIGKILL
    assert known(tmp_path) == Known(versions=(5,))
    assert known(tmp_path, OTHERS[0]) == Known(pending_after=9)
    with opened(tmp_path, large=0) as journal:
        journal.published(ONE, 6, "arn")
    assert known(tmp_path).versions == (6, 5)
    assert [path.name for path in file(tmp_path).parent.iterdir()] == [f"{REGION}.jsonl"]


def test_the_second_run_waits_for_the_first_and_knows_what_it_did(tmp_path: Path) -> None:
    code = """
with opened(folder) as journal:
    step("open")
    journal.published(ONE, 5, "arn")
"""
    told, slept = [], []
    with child(tmp_path, code) as process:
        assert says(process) == "open"

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 2:
                go(process)
                process.wait()

        waiting = lambda: told.append("waits")  # noqa: E731
        with Journal.open(tmp_path, ACCOUNT, REGION, waiting=waiting, sleep=sleep) as journal:
            assert journal.known(ONE) == Known(versions=(5,))
    assert (told, len(slept)) == (["waits"], 2)
    assert all(0 < seconds <= 0.2 for seconds in slept)


def test_waiting_can_be_ended(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def sleep(seconds: float) -> None:
        raise Stopped

    with opened(tmp_path) as journal:
        with pytest.raises(Stopped), Journal.open(tmp_path, ACCOUNT, REGION, sleep=sleep):
            pass
        journal.published(ONE, 5, "arn")
    assert known(tmp_path).versions == (5,)


def test_runs_at_once_never_overlap_while_the_file_is_replaced(tmp_path: Path) -> None:
    """Each compacts at each opening, reads the newest number and adds one: none is lost, none is there twice."""
    code = """
for _ in range(25):
    with Journal.open(folder, ACCOUNT, REGION, large=0, sleep=lambda seconds: None) as journal:
        number = max(journal.known(ONE).versions, default=0) + 1
        journal.intend(ONE, number - 1)
        journal.published(ONE, number, str(os.getpid()))
        journal.shared(ONE, number)
"""
    with child(tmp_path, code) as one, child(tmp_path, code) as two, child(tmp_path, code) as three:
        assert [process.wait() for process in (one, two, three)] == [0, 0, 0]
    assert known(tmp_path).versions == tuple(range(75, 0, -1))


def test_who_waited_for_a_file_that_was_replaced_waits_for_the_new_one(tmp_path: Path) -> None:
    """The first compacts while the second has the old file open: the second must not take the old one's lock."""
    with opened(tmp_path) as journal:
        journal.published(ONE, 5, "arn")
    states: list[str] = []
    holder = Journal.open(tmp_path, ACCOUNT, REGION, large=0)
    journal = holder.__enter__()  # compacted: what the old name led to is free

    def sleep(seconds: float) -> None:
        states.append("waits")
        journal.published(ONE, 6, "arn")
        holder.__exit__(None, None, None)

    with Journal.open(tmp_path, ACCOUNT, REGION, sleep=sleep) as second:
        assert states == ["waits"]
        assert second.known(ONE).versions == (6, 5)


def test_a_journal_that_is_deleted_meanwhile_is_begun_anew(tmp_path: Path) -> None:
    def sleep(seconds: float) -> None:
        file(tmp_path).unlink()

    with opened(tmp_path), Journal.open(tmp_path, ACCOUNT, REGION, sleep=sleep) as second:
        second.published(ONE, 5, "arn")
    assert known(tmp_path).versions == (5,)
