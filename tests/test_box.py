"""Tasks for a container: what the box makes of its events, and what _inside.py does, here, for real."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import network, tars, uv
from layerkit.builders import Unfit
from layerkit.builders.box import GRACE, Box, Result
from layerkit.errors import EngineError
from wheelhouse import EXTENSION, make_source

# --- a container that is none -------------------------------------------------------------------------------

Line = Mapping[str, Any] | str
CHECKED = {"event": "checked", "machine": "aarch64", "python": "3.12.15"}
END = {"event": "end"}


def line(step: int, text: str) -> dict[str, Any]:
    return {"event": "line", "step": step, "text": text}


def result(step: int, status: int | None = 0, **facts: object) -> dict[str, Any]:
    return {"event": "result", "step": step, "status": status, **facts}


class Container:
    """Says what it is told to; as an engine does, all that it ever said each time that it is started."""

    def __init__(self, *runs: Sequence[Line], cut: int = 1 << 20, status: int = 0, no_memory: bool = False) -> None:
        self.runs, self.cut, self.status, self.no_memory = list(runs), cut, status, no_memory
        self.said = b""
        self.starts = 0
        self.files: dict[str, bytes] = {}
        self.killed = threading.Event()
        self.silent = False

    def put(self, archive: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert member.name.startswith("layerkit/")  # from / on, where that folder need not be yet
                self.files[member.name.removeprefix("layerkit/")] = file.read() if file else b""

    def get(self, path: str) -> Iterator[bytes]:
        yield tars.pack({f"{Path(path).name}/got": path.encode()})

    def start(self) -> Iterator[bytes]:
        self.starts += 1
        for told in self.runs.pop(0):
            text = told if isinstance(told, str) else json.dumps({"run": self.starts, **told}) + "\n"
            self.said += text.encode()
        yield from (self.said[at : at + self.cut] for at in range(0, len(self.said), self.cut))
        if self.silent:
            assert self.killed.wait(30)

    def wait(self) -> tuple[int, bool]:
        return self.status, self.no_memory

    def kill(self) -> None:
        self.killed.set()


def box(container: Container) -> Box:
    return Box(container, "aarch64", "3.12")  # type: ignore[arg-type]


def run(over: Container | Box, steps: int = 1, limit: int = 60, **given: Any) -> list[Result]:
    options: dict[str, Any] = {"environment": {}, "files": {}, "secrets": [], "together": False, **given}
    at = over if isinstance(over, Box) else box(over)
    return at.run([{"do": "run"}] * steps, limit=limit, **options)


def test_the_task_that_is_handed_in() -> None:
    container = Container([CHECKED, END], [CHECKED, END])
    at = box(container)
    given: dict[str, Any] = {
        "environment": {"A": "b"},
        "files": {"netrc": b"content", "uv/uv.toml": b""},
        "secrets": ("word",),
    }
    run(at, 2, together=True, **given)
    assert container.files.keys() == {"in/netrc", "in/uv/uv.toml", "in/_inside.py", "in/task.json"}
    assert container.files["in/netrc"] == b"content"
    assert json.loads(container.files["in/task.json"]) == {
        "run": 1,
        "steps": [{"do": "run"}, {"do": "run"}],
        "together": True,
        "environment": {"A": "b"},
        "secrets": ["word"],
        "expected": {"machine": "aarch64", "python": "3.12."},
    }
    compile(container.files["in/_inside.py"], "_inside.py", "exec")
    run(at, 0)
    assert json.loads(container.files["in/task.json"])["run"] == 2


def test_files_go_in_and_out(tmp_path: Path) -> None:
    container = Container()
    (tmp_path / "given").write_bytes(b"2")
    box(container).put({"a": b"1", "b/c": tmp_path / "given"})
    assert container.files == {"a": b"1", "b/c": b"2"}
    box(container).get("work/folder", tmp_path / "out")
    assert (tmp_path / "out/got").read_bytes() == b"work/folder"


def test_results_are_in_the_order_of_the_steps() -> None:
    events = [
        CHECKED, line(1, "b1"), line(0, "a1"), result(1, wheel="w"), line(0, "a2 ü\u2028"), result(0), END
    ]  # fmt: skip
    at = box(Container(events))
    assert at.release == ""
    first, second = run(at, 2, together=True)
    assert (first.status, first.output) == (0, "a1\na2 ü\u2028")
    assert (second.status, second.output, second.facts["wheel"]) == (0, "b1", "w")
    assert at.release == "3.12.15"


def test_no_steps() -> None:
    assert run(Container([CHECKED, END]), 0) == []


@given(st.integers(min_value=1, max_value=300), st.text(max_size=40))
def test_events_may_be_cut_anywhere(cut: int, text: str) -> None:
    events: list[Line] = [CHECKED, line(0, text), "noise ü\n", line(0, "last"), result(0), END]
    [found] = run(Container(events, cut=cut))
    assert found.output == f"{text}\nlast"


def test_an_event_without_a_line_end_counts() -> None:
    assert run(Container([CHECKED, result(0), json.dumps({"run": 1, **END})]))[0].status == 0


def test_what_earlier_runs_said_is_not_heard_again() -> None:
    first = [CHECKED, line(0, "first"), result(0, 7), END]
    second = [{**CHECKED, "python": "3.12.16"}, line(0, "second"), result(0), END]
    container = Container(first, second, ["killed\n"])
    at = box(container)
    assert [(one.status, one.output) for one in run(at)] == [(7, "first")]
    assert [(one.status, one.output) for one in run(at)] == [(0, "second")]
    assert at.release == "3.12.16"
    with pytest.raises(Unfit) as caught:
        run(at)
    assert caught.value.why == "killed"


def test_what_failed_and_what_was_not_begun() -> None:
    events = [CHECKED, result(0), line(1, "failing"), result(1, 3, problem="p"), END]
    results = run(Container(events), 4)
    assert [(one.status, bool(one.facts.get("skipped")), one.output) for one in results] == [
        (0, False, ""),
        (3, False, "failing"),
        (1, True, ""),
        (1, True, ""),
    ]


def test_a_step_that_took_too_long() -> None:
    assert run(Container([CHECKED, result(0, None), END]))[0].status is None


def test_a_container_that_is_silent_is_killed() -> None:
    container = Container([CHECKED, result(0), line(1, "begun")], status=137)
    container.silent = True
    results = run(container, 3, limit=-GRACE)
    assert container.killed.is_set()
    assert [(one.status, one.output) for one in results] == [(0, ""), (None, "begun"), (None, "")]
    assert not results[2].facts.get("skipped")


def test_a_container_that_speaks_is_not() -> None:
    container = Container([CHECKED, result(0), END])
    run(container, limit=1 - GRACE)
    assert not container.killed.wait(0.01)


@pytest.mark.parametrize("words", ["exec /bin/sh: exec format error\n", "/bin/sh: 1: python3: Exec format error\n"])
def test_no_emulation(words: str) -> None:
    with pytest.raises(Unfit) as caught:
        run(Container([words], status=255))
    assert caught.value.exit_code == 11
    assert caught.value.what == "the engine's machine cannot run arm64 programs: emulation is missing"
    assert caught.value.why == words.strip()
    assert caught.value.cure == "docker run --privileged --rm tonistiigi/binfmt --install arm64"


def test_no_emulation_of_x86() -> None:
    with pytest.raises(Unfit) as caught:
        Box(Container(["exec format error"]), "x86_64", "3.12").run(  # type: ignore[arg-type]
            [], environment={}, files={}, secrets=[], limit=60, together=False
        )
    assert caught.value.cure.endswith("--install amd64")


@pytest.mark.parametrize(
    "said", [[], [f"{n}\n" for n in range(9)], ["sh: python3: not found\n"], [{"event": "line"}]]
)
def test_a_container_that_does_not_start(said: list[Line]) -> None:
    if said and not isinstance(said[0], str):
        said = ['{"run": 5, "event": "checked"}\n', '["run", "event"]\n', "5\n", '{"run": 1}\n']
    with pytest.raises(Unfit) as caught:
        run(Container(said, status=127))
    assert caught.value.what == "the build container does not start"
    assert caught.value.cure == "layerkit doctor says what is missing"
    last = [str(one).strip() for one in said if "checked" not in one]
    assert caught.value.why.splitlines() == last[-5:]


@pytest.mark.parametrize(
    ("machine", "python"), [("x86_64", "3.12.15"), ("aarch64", "3.11.9"), ("aarch64", "3.120.1"), ("armv7l", "3.9.1")]
)
def test_another_machine_or_python(machine: str, python: str) -> None:
    at = box(Container([{"event": "checked", "machine": machine, "python": python}]))
    with pytest.raises(Unfit) as caught:
        run(at)
    assert caught.value.what == (f"the build container has Python {python} on {machine}, not Python 3.12 on aarch64")
    assert "container: {image: ...}" in caught.value.cure
    assert at.release == ""


@pytest.mark.parametrize(
    ("status", "no_memory", "why", "cure"),
    [
        (1, False, "exit status 1", "run it again"),
        (137, False, "exit status 137", "give the engine more memory"),
        (137, True, "it ran out of memory", "give the engine more memory"),
    ],
)
def test_a_container_that_ends_in_the_middle(status: int, no_memory: bool, why: str, cure: str) -> None:
    noise = ["Traceback (most recent call last):\n", "MemoryError\n"]
    events: list[Line] = [CHECKED, line(0, "compiling"), *noise, line(1, "linking")]
    with pytest.raises(EngineError) as caught:
        run(Container(events, status=status, no_memory=no_memory), 2)
    assert not isinstance(caught.value, Unfit)
    assert caught.value.what == "the build container ended in the middle of its work"
    expected = [why, "Traceback (most recent call last):", "MemoryError", "compiling", "linking"]
    assert caught.value.why.splitlines() == expected
    assert caught.value.cure == cure


def test_an_engine_that_goes_away() -> None:
    class Gone(Container):
        def start(self) -> Iterator[bytes]:
            yield from super().start()
            raise EngineError("went away")

    with pytest.raises(EngineError, match="went away"):
        run(Gone([CHECKED, line(0, "begun")]))


# --- inside -------------------------------------------------------------------------------------------------

SOURCE = resources.files("layerkit.builders").joinpath("_inside.py").read_text()
MINOR = ".".join(platform.python_version_tuple()[:2])
EXPECTED = {"machine": platform.machine(), "python": f"{MINOR}."}


class Inside:
    """The script, at home in a folder of this machine."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.noise: list[str] = []
        self.stderr = ""
        self.text = ""
        top.mkdir()

    def start(self, *steps: Mapping[str, Any], files: Mapping[str, str] | None = None, **task: Any) -> int:
        handed_in = self.top / "in"
        handed_in.mkdir()
        for name, content in (files or {}).items():
            (handed_in / name).write_text(content)
        given = [{"limit": 60, **step} for step in steps]
        whole = {"run": 1, "together": False, "environment": {}, "secrets": [], "expected": EXPECTED}
        (handed_in / "task.json").write_text(json.dumps({**whole, "steps": given, **task}))
        assert 'TOP = "/layerkit"' in SOURCE
        script = SOURCE.replace('TOP = "/layerkit"', f"TOP = {str(self.top)!r}")
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        self.text, self.stderr = done.stdout, done.stderr
        return done.returncode

    def run(self, *steps: Mapping[str, Any], **task: Any) -> list[dict[str, Any]]:
        """The events between `checked` and `end`."""
        assert self.start(*steps, **task) == 0, self.stderr
        events = []
        for text in self.text.splitlines():
            try:
                events.append(json.loads(text))
            except ValueError:
                self.noise.append(text)
        assert not (self.top / "in").exists()
        assert events[0] == {
            "run": 1, "event": "checked", "machine": EXPECTED["machine"], "python": platform.python_version()
        }  # fmt: skip
        assert events[-1] == {"run": 1, "event": "end"}
        assert all(event.pop("run") == 1 for event in events)
        return events[1:-1]


@pytest.fixture
def inside(tmp_path: Path) -> Inside:
    return Inside(tmp_path / "layerkit")


def python(code: str, **step: Any) -> dict[str, Any]:
    return {"do": "run", "command": ["{python}", "-c", code], **step}


def statuses(events: Sequence[Mapping[str, Any]]) -> dict[int, int | None]:
    return {event["step"]: event["status"] for event in events if event["event"] == "result"}


def test_running_programs(inside: Inside) -> None:
    say = "import os, sys; print('out', os.getcwd()); print('err', os.environ['A'], file=sys.stderr)"
    events = inside.run(python(say), python("print('ü\\r\\nx', end='')"), environment={"A": "b"})
    assert events[0] == line(0, f"out {inside.top}")
    assert events[1] == line(0, "err b")
    assert events[2] == result(0)
    assert events[3:] == [line(1, "ü"), line(1, "x"), result(1)]


def test_bytes_that_are_no_text(inside: Inside) -> None:
    events = inside.run(python("import sys; sys.stdout.buffer.write(b'\\xff\\x00\\n')"))
    assert events == [line(0, "\ufffd\0"), result(0)]


def test_standard_input_and_folders(inside: Inside) -> None:
    folder = inside.top / "new/folder"
    step = python(
        "import sys; print(sys.stdin.read().upper())", stdin=f"{inside.top}/in/given", folders=[str(folder)]
    )
    events = inside.run(step, python("import sys; print(repr(sys.stdin.read()))"), files={"given": "content"})
    assert events == [line(0, "CONTENT"), result(0), line(1, "''"), result(1)]
    assert folder.is_dir()


def test_after_a_step_that_fails_none_is_begun(inside: Inside) -> None:
    mark = inside.top / "mark"
    events = inside.run(python("print(1)"), python("raise SystemExit(3)"), python(f"open({str(mark)!r}, 'w')"))
    assert statuses(events) == {0: 0, 1: 3}
    assert not mark.exists()


def test_together_a_step_that_fails_ends_the_others(inside: Inside) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("steps run together on several processors")
    mark = inside.top / "mark"
    wait = (
        f"import pathlib, time\nwhile not pathlib.Path({str(mark)!r}).exists(): time.sleep(0.01)\nraise SystemExit(4)"
    )
    slow = f"import time; print('begun', flush=True); open({str(mark)!r}, 'w').close(); time.sleep(60)"
    began = time.monotonic()
    events = inside.run(python(slow), python(wait), python("print('never')"), together=True)
    assert statuses(events) == {1: 4}
    assert [event["text"] for event in events if event["event"] == "line"] == ["begun"]
    assert time.monotonic() - began < 30


def test_together_all_succeed(inside: Inside) -> None:
    events = inside.run(*[python(f"print({n})") for n in range(5)], together=True)
    assert statuses(events) == dict.fromkeys(range(5), 0)
    assert sorted(event["text"] for event in events if event["event"] == "line") == list("01234")


def test_a_step_that_takes_too_long(inside: Inside) -> None:
    """With what it started itself."""
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    began = time.monotonic()
    events = inside.run(python(f"print('begun', flush=True); {child}", limit=0.5), python("print('never')"))
    assert events == [line(0, "begun"), result(0, None)]
    assert time.monotonic() - began < 30


def test_a_program_that_is_not_there(inside: Inside) -> None:
    [event] = inside.run({"do": "run", "command": ["/nonexistent/program"]})
    assert event["status"] == 1
    assert "FileNotFoundError" in event["problem"]


@pytest.mark.parametrize("expected", [{"machine": "z80"}, {"python": "2.7."}, {"python": f"{MINOR}0."}])
def test_another_machine_does_nothing(inside: Inside, expected: dict[str, str]) -> None:
    mark = inside.top / "mark"
    step = python(f"open({str(mark)!r}, 'w')")
    assert inside.start(step, expected={**EXPECTED, **expected}, files={"netrc": "word"}) == 0
    assert [json.loads(text)["event"] for text in inside.text.splitlines()] == ["checked"]
    assert not mark.exists()
    assert not (inside.top / "in").exists()


def test_the_handed_in_is_removed_even_after_a_defect(inside: Inside) -> None:
    assert inside.start({"do": "unknown"}, files={"netrc": "word"}) != 0
    assert "KeyError" in inside.stderr
    assert not (inside.top / "in").exists()


def test_the_task_is_gone_before_its_programs_run(inside: Inside) -> None:
    look = f"import os; print(sorted(os.listdir({str(inside.top / 'in')!r})))"
    assert inside.run(python(look), files={"netrc": ""})[0] == line(0, "['netrc']")


@pytest.mark.parametrize(
    "secret", ["word", 'w"o\\rd', "wörd\u4e2d", "text", "event", "result", "status", "step", "line", "a\tb!", "true"]
)
def test_no_secret_is_told(inside: Inside, secret: str) -> None:
    """And none of them spoils an event."""
    steps = [python("import os; print('x', os.environ['A'], 'y')"), {"do": "run", "command": [f"/none/{secret}"]}]
    secrets = network.read({"UV_INDEX_A_PASSWORD": secret, "UV_INDEX_B_PASSWORD": f"{secret}-and-more"}).secrets
    events = inside.run(*steps, environment={"A": secret}, secrets=secrets)
    assert events[0] == line(0, "x *** y")
    assert events[1] == result(0)
    assert (events[2]["event"], events[2]["status"]) == ("result", 1)
    assert "/none/***" in events[2]["problem"]


def test_the_longer_secret_goes_first(inside: Inside) -> None:
    events = inside.run(python("print('word-and-more')"), secrets=["word-and-more", "word"])
    assert events[0] == line(0, "***")


@pytest.fixture
def manager(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """manager(names...) -> an environment whose only package managers say what they are asked."""

    def make(*names: str, status: int = 0) -> dict[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in names:
            script = f'#!/bin/sh\necho "{name} $*"; echo "frontend: $DEBIAN_FRONTEND"\nexit {status}\n'
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)
        return {"PATH": str(folder)}

    return make


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (("dnf", "yum"), "dnf install -y --setopt=install_weak_deps=False --setopt=keepcache=1 "
         "--setopt=cachedir=TOP/cache/dnf --setopt=sslcacert=TOP/in/ca.pem a b-devel"),
        (("microdnf", "yum"), "microdnf install -y --setopt=install_weak_deps=0 a b-devel"),
        (("yum",), "yum install -y a b-devel"),
    ],
)  # fmt: skip
def test_system_packages(
    inside: Inside, manager: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...], asked: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("PATH", manager(*names)["PATH"])
    ca = f"{inside.top}/in/ca.pem"
    events = inside.run({"do": "packages", "names": ["a", "b-devel"]}, environment={"SSL_CERT_FILE": ca})
    assert events[0] == line(0, asked.replace("TOP", str(inside.top)))
    assert events[-1] == result(0)


def test_system_packages_of_debian(
    inside: Inside, manager: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", manager("apt-get")["PATH"])
    events = inside.run({"do": "packages", "names": ["a"]})
    assert [event.get("text") for event in events[:-1]] == [
        "apt-get update",
        "frontend: noninteractive",
        "apt-get install -y --no-install-recommends a",
        "frontend: noninteractive",
    ]


def test_system_packages_that_fail_or_have_no_manager(
    inside: Inside, manager: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", manager("yum", status=5)["PATH"])
    assert inside.run({"do": "packages", "names": ["a"]})[-1] == result(0, 5)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert inside.run({"do": "packages", "names": ["a"]}) == [result(0, 127, missing=True)]


# --- wheels, by the real uv and this Python ------------------------------------------------------------------


@pytest.fixture
def workshop(inside: Inside, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Inside:
    (inside.top / "bin").mkdir()
    (inside.top / "bin/uv").symlink_to(uv.find())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    return inside


def wheel(workshop: Inside, source: tuple[str, bytes], provided: Sequence[str] = ()) -> dict[str, Any]:
    name, content = source
    (workshop.top / "sdists").mkdir(exist_ok=True)
    (workshop.top / "sdists" / name).write_bytes(content)
    sdist = str(workshop.top / "sdists" / name)
    return {"do": "wheel", "name": name.split("-")[0], "sdist": sdist, "provided": list(provided)}


def home(workshop: Inside, name: str) -> Path:
    return workshop.top / "work/unpacked" / name


def test_a_wheel_is_built_and_unpacked(workshop: Inside) -> None:
    body = "print('building', flush=True)\nfiles['old.py'] = b'x = 1'\nfiles['old/data.txt'] = b'd'"
    events = workshop.run(wheel(workshop, make_source("old", body=body)))
    assert events[-1] == result(0, wheel="old-1.0-py3-none-any.whl", libraries=[], missing=[])
    assert any(event.get("text", "").endswith("building") for event in events)
    found = {path.relative_to(home(workshop, "old")).as_posix() for path in home(workshop, "old").rglob("*")}
    info = "old-1.0.dist-info"
    assert {"old.py", "old/data.txt", f"{info}/WHEEL", f"{info}/METADATA", f"{info}/RECORD"} <= found


def test_two_wheels_together_and_one_from_a_zip(workshop: Inside) -> None:
    _, content = make_source("two")
    stream = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as tar, zipfile.ZipFile(stream, "w") as archive:
        for member in tar:
            file = tar.extractfile(member)
            assert file
            archive.writestr(member.name, file.read())
    steps = [wheel(workshop, make_source("one")), wheel(workshop, ("two-1.0.zip", stream.getvalue()))]
    assert statuses(workshop.run(*steps, together=True)) == {0: 0, 1: 0}
    assert (home(workshop, "one") / "one.py").exists()
    assert (home(workshop, "two") / "two.py").exists()


def test_a_build_that_fails(workshop: Inside) -> None:
    body = "print('last words', flush=True)\nraise SystemExit('own words')"
    events = workshop.run(wheel(workshop, make_source("old", body=body)), wheel(workshop, make_source("other")))
    assert list(statuses(events)) == [0]
    assert events[-1]["status"] not in (0, None)
    text = "\n".join(event.get("text", "") for event in events)
    assert "last words" in text
    assert "own words" in text
    assert not (workshop.top / "work/source/other").exists()


def test_a_build_that_takes_too_long(workshop: Inside) -> None:
    step = wheel(workshop, make_source("old", body="import time; time.sleep(60)"))
    events = workshop.run({**step, "limit": 1})
    assert events[-1] == result(0, None)


def bomb(*members: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in members:
            archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("old-1.0.tar.gz", bomb("a/x", "b/y"), "does not hold one folder"),
        ("old-1.0.tar.gz", bomb("file"), "does not hold one folder"),
        ("old-1.0.tar.gz", bomb(), "does not hold one folder"),
        ("old-1.0.tar.gz", b"no archive", "ReadError"),
        ("old-1.0.tar.gz", make_source("old")[1][:300], "EOFError"),
        ("old-1.0.tar.gz", make_source("old")[1][:200] + b"\xff" * 400, "error"),
        ("old-1.0.zip", b"no archive", "BadZipFile"),
        ("old-1.0.tar.gz", bomb("../../evil"), "OutsideDestinationError"),
    ],
    ids=["two folders", "a file", "nothing", "no archive", "cut short", "damaged", "no zip", "out of it"],
)
def test_a_source_distribution_that_is_none(workshop: Inside, name: str, content: bytes, words: str) -> None:
    events = workshop.run(wheel(workshop, (name, content)))
    assert events[-1]["status"] == 1
    assert words in events[-1]["problem"]
    assert not list(workshop.top.rglob("evil"))


needs_gcc = pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "strip", "ldd"))), reason="no gcc, strip and ldd on this machine"
)
NATIVE = "tag = compiled('native.c')\n"


@needs_gcc
def test_an_extension_is_stripped(workshop: Inside) -> None:
    files = {"native.c": EXTENSION.replace("NAME", "native")}
    events = workshop.run(wheel(workshop, make_source("native", body=NATIVE, files=files), ["libc.so.6"]))
    assert events[-1]["status"] == 0, events
    assert events[-1]["wheel"].endswith(f"linux_{platform.machine()}.whl")
    [binary] = home(workshop, "native").glob("*.so")
    assert b".debug_info" not in binary.read_bytes()


@needs_gcc
def test_libraries_that_the_runtime_lacks(workshop: Inside, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One is found on the image, one is provided by the runtime, one is in the wheel itself, one is nowhere."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    (libraries / "empty.c").write_text("int NAME(void) { return 1; }\n")
    for name in ("found", "provided", "nowhere", "own"):
        command = ["gcc", "-shared", "-fPIC", f"-DNAME={name}", f"-Wl,-soname,lib{name}.so.1"]
        subprocess.run([*command, libraries / "empty.c", "-o", libraries / f"lib{name}.so.1.0"], check=True)
        (libraries / f"lib{name}.so.1").symlink_to(f"lib{name}.so.1.0")
        (libraries / f"lib{name}.so").symlink_to(f"lib{name}.so.1")
    flags = ["-L" + str(libraries), "-Wl,--no-as-needed", "-lfound", "-lprovided", "-lnowhere", "-lown"]
    body = NATIVE.replace(")", f", *{flags!r})") + "import shutil\n"
    body += f"files['native.libs/libown.so.1'] = open({str(libraries / 'libown.so.1')!r}, 'rb').read()\n"
    body += f"import pathlib; [p.unlink() for p in pathlib.Path({str(libraries)!r}).glob('libnowhere*')]"
    monkeypatch.setenv("LD_LIBRARY_PATH", str(libraries))
    files = {"native.c": EXTENSION.replace("NAME", "native")}
    step = wheel(workshop, make_source("native", body=body, files=files), ["libprovided.so.1", "libc.so.6"])
    events = workshop.run(step)
    assert events[-1]["libraries"] == ["libfound.so.1"], events
    assert events[-1]["missing"] == ["libnowhere.so.1"]
    made = workshop.top / "work/unpacked/native.libraries"
    assert [path.name for path in made.iterdir()] == ["libfound.so.1"]
    expected = hashlib.sha256((libraries / "libfound.so.1.0").read_bytes()).digest()
    assert hashlib.sha256((made / "libfound.so.1").read_bytes()).digest() == expected


@needs_gcc
def test_odd_binaries_in_a_wheel(workshop: Inside) -> None:
    """As test suites carry them: cut off, and for nobody's machine."""
    body = r"""
files['tests/a.bin'] = b'\x7fELF'
files['tests/b.so'] = b'\x7fELF\2\1\1' + bytes(9) + b'\3\0' + bytes(99)
"""
    events = workshop.run(wheel(workshop, make_source("odd", body=body)))
    assert events[-1]["status"] == 0, events
    assert (home(workshop, "odd") / "tests/a.bin").read_bytes() == b"\x7fELF"
