"""The import check: what is imported, where, and what is said of it."""

from __future__ import annotations

import gc
import json
import os
import platform
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import IMAGE, ROOT, RUNTIME, Said, absent
from layerkit import targets
from layerkit.builders.engine import LABEL, Engine
from layerkit.cache import Cache
from layerkit.errors import EngineError
from layerkit.model import Interpreter, Target
from layerkit.sandbox import lent
from layerkit.sandbox._folders import merge
from layerkit.sandbox.surroundings import NotHere
from layerkit.sandbox.unpacking import Refused, as_other, copy_source, has_elf, unpack
from layerkit.verify import imports
from layerkit.verify.checks.distributions import Distribution
from layerkit.verify.facts import Entry, ZipFacts
from layerkit.verify.imports import ModuleResult, Outcome, PlaceName, Task, check, excused, place, top_level
from layerkit.verify.imports._forked import mapped
from layerkit.verify.imports.host import Host
from layerkit.verify.imports.memory import KEPT, Memory
from layerkit.verify.imports.place import Place, Ran
from layerkit.verify.imports.running import Runner, places
from layerkit.verify.rules import Severity, rules
from layerzips import DOS, Item, file, folder, link, write
from processes import descendants, is_alive
from runtime import can_mount
from test_runtime import CLIENT, installed
from test_three_layers import clone, layerkit

MACHINE = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
ARCHITECTURE = {"aarch64": "arm64"}.get(MACHINE, MACHINE)
OTHER = "x86_64" if ARCHITECTURE == "arm64" else "arm64"


def target(architecture: str = ARCHITECTURE, runtime: str = RUNTIME) -> Target:
    found = targets.find_runtime(runtime)
    assert found
    return found.target(architecture)


def layer(path: Path, /, **modules: str | Item) -> Path:
    """A zip of python/NAME.py for each name; an Item is taken as it is."""
    items = [
        given if isinstance(given, Item) else file(f"python/{name}.py", dedent(given))
        for name, given in modules.items()
    ]
    return write(path, *items)


def task(zips: Path | Sequence[Path], *modules: str, **fields: object) -> Task:
    several = (zips,) if isinstance(zips, Path) else tuple(zips)
    made = Task(label="x.zip", target=target(), zips=several, modules=modules)
    return replace(made, **fields)  # type: ignore[arg-type]


# --- what is imported ---------------------------------------------------------------------------------------


def facts(*paths: str) -> ZipFacts:
    return ZipFacts(label="x.zip", size=1, sha256="", entries=tuple(Entry(path=path) for path in paths))


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["python/six.py"], ["six"]),
        (["python/six.pyc"], ["six"]),
        (["python/flask/__init__.py", "python/flask/app.py"], ["flask"]),
        (["python/flask/__init__.pyc"], ["flask"]),
        (["python/google/cloud/storage/__init__.py"], ["google.cloud.storage"]),
        (["python/_cffi.cpython-312-aarch64-linux-gnu.so"], ["_cffi"]),
        (["python/_cffi.abi3.so", "python/plain.so"], ["_cffi", "plain"]),
        (["python/lib/python3.12/site-packages/b.py", "python/a.py"], ["a", "b"]),
        (["python/b.py", "python/a/x.py", "python/a/y.py"], ["a.x", "a.y", "b"]),
        (["python/azure/identity/__init__.py", "python/azure/identity/aio/__init__.py"], ["azure.identity"]),
        (["python/google/_upb/_message.abi3.so"], ["google._upb._message"]),
        (["python/a/b/c/d/__init__.py"], ["a.b.c.d"]),
        (["python/a/b/c/d/e/__init__.py"], ["a"]),
        (["python/a/__init__.py", "python/lib/python3.12/site-packages/a/x.py"], ["a"]),
    ],
)
def test_modules_at_the_top(paths: list[str], expected: list[str]) -> None:
    assert top_level(facts(*paths), target("arm64", "python3.12")) == tuple(expected)


def test_a_namespace_with_very_many_modules() -> None:
    """All packages that are beside each other, to a bound; of modules a few."""
    paths = [f"python/a/m{number}.py" for number in range(9)]
    found = top_level(facts(*paths, "python/a/z/__init__.py", "python/b.py", "python/c.py"), target())
    assert found == ("a.m0", "a.m1", "a.m2", "a.z", "b", "c")
    paths = [f"python/a/p{number}/__init__.py" for number in range(100)]
    assert len(top_level(facts(*paths, "python/b.py"), target())) == 31


@pytest.mark.parametrize(
    "path",
    [
        "python/flask-3.1.dist-info/METADATA",
        "python/flask-3.1.dist-info/sboms/x.py",
        "python/__pycache__/six.cpython-312.pyc",
        "python/flask/__pycache__/app.cpython-312.pyc",
        "python/bin/flask.py",
        "python/tests/__init__.py",
        "python/docs/conf.py",
        "python/examples/app.py",
        "python/setup.py",
        "python/__main__.py",
        "python/__init__.py",
        "python/not-a-name.py",
        "python/class.py",
        "python/3d.py",
        "python/data/x.json",
        "python/data/sub-folder/x.py",
        "python/numpy.libs/libx.so",
        "python/_cffi.cpython-311-aarch64-linux-gnu.so",
        "python/_cffi.cpython-312-x86_64-linux-gnu.so",
        "python/_cffi.cpython-312-aarch64-linux-musl.so",
        "python/lib/python3.11/site-packages/b.py",
        "lib/libx.so",
        "six.py",
    ],
)
def test_what_is_no_module_at_the_top(path: str) -> None:
    assert top_level(facts(path), target("arm64", "python3.12")) == ()


def test_a_task_names_each_module_once() -> None:
    with_handler = task(Path("x.zip"), "b", "a", "b", "pkg.main", handler="pkg/main.handler")
    assert with_handler.items == (("b", ""), ("a", ""), ("pkg.main", "pkg/main.handler"))
    assert task(Path("x.zip"), "a").items == (("a", ""),)
    assert task(Path("x.zip"), handler="main").items == (("main", "main"),)


# --- unpacking ----------------------------------------------------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_are_unpacked_with_the_zips_own_modes(tmp_path: Path) -> None:
    made = write(
        tmp_path / "x.zip",
        folder("python/closed"),
        Item(path="python/tight/", mode=0o040700, method=0),
        file("python/tight/a.py", mode=0o100600),
        file("python/b.py", "old"),
        file("python/b.py", "new", mode=0o100755),
        Item(path="python/windows.py", mode=0, system=DOS),
        Item(path="python/nothing.py", mode=0),
        link("python/c.py", "tight/a.py"),
    )
    folders = unpack(made, tmp_path / "out", owned=False)
    top = tmp_path / "out/python"
    assert {path.name: oct(mode(path)) for path in top.glob("*.py") if not path.is_symlink()} == {
        "b.py": "0o755", "windows.py": "0o644", "nothing.py": "0o644",
    }  # fmt: skip
    assert mode(top / "tight/a.py") == 0o600
    assert (top / "b.py").read_text() == "new"
    assert (top / "c.py").readlink() == Path("tight/a.py")
    assert folders == {"python": 0o755, "python/closed": 0o755, "python/tight": 0o700}


def test_an_owner_gets_the_rights_of_others(tmp_path: Path) -> None:
    made = write(tmp_path / "x.zip", file("a.py", mode=0o100640), file("b.py", mode=0o100755))
    unpack(made, tmp_path / "out", owned=True)
    assert (mode(tmp_path / "out/a.py"), mode(tmp_path / "out/b.py")) == (0, 0o555)
    assert [as_other(one) for one in (0o600, 0o644, 0o711)] == [0, 0o444, 0o111]


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([file("../x.py")], "'../x.py' leads out of /opt"),
        ([file("python/../../x.py")], "'python/../../x.py' leads out of /opt"),
        ([file("/etc/x")], "'/etc/x' leads out of /opt"),
        ([link("python/x", "../../etc/passwd")], "the symbolic link 'python/x' leads out of /opt"),
        ([link("python/x", "/etc/passwd")], "the symbolic link 'python/x' leads out of /opt"),
        ([link("python/x", "")], "the symbolic link 'python/x' leads out of /opt"),
        ([link("python/x", "a" * 5000)], "the symbolic link 'python/x' leads out of /opt"),
        ([link("python", "lib"), file("python/x.py")], "'python/x.py' is below a file"),
        ([file("python"), file("python/x.py")], "'python/x.py' is below a file"),
        ([file("python/x"), folder("python/x")], "'python/x' is a file and a folder"),
        ([Item(path="python/x", mode=0o060644)], "'python/x' is a device or a pipe"),
        ([Item(path="x.py", content=b"abc", size=300_000_000)], "it is larger than Lambda unpacks"),
        ([Item(path="x.py", content=b"abc", crc=1)], "'x.py' cannot be unpacked: Bad CRC-32 for file 'x.py'"),
        ([Item(path="x.py", flags=1)], "'x.py' is encrypted"),
        (
            [Item(path="x.py", content=b"abc", method=99)],
            "'x.py' cannot be unpacked: That compression method is not supp",
        ),
        ([Item(path="x.py", content=b"abc", packed=b"\xff\xff\xff")], "'x.py' cannot be unpacked: Error -3"),
        ([file("a" * 300)], "it cannot be unpacked here: File name too long"),
    ],
)
def test_what_is_not_unpacked(items: list[Item], words: str, tmp_path: Path) -> None:
    made = write(tmp_path / "x.zip", *items)
    (tmp_path / "a").mkdir()
    with pytest.raises(Refused) as refused:
        unpack(made, tmp_path / "a/out", owned=False)
    assert str(refused.value).startswith(words)
    assert {path.name for path in tmp_path.iterdir()} == {"x.zip", "a"}


def test_what_is_no_zip(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"nothing")
    with pytest.raises(Refused, match="it is no whole zip: File is not a zip file"):
        unpack(tmp_path / "x.zip", tmp_path / "out", owned=False)


NAMES = st.lists(st.sampled_from(["..", ".", "", "a", "b", "opt"]), min_size=1, max_size=5).map("/".join)


@given(st.lists(st.tuples(NAMES, st.none() | NAMES), min_size=1, max_size=5))
def test_no_name_and_no_link_leads_out(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, str | None]]
) -> None:
    top = tmp_path_factory.mktemp("unpack")
    made = write(top / "x.zip", *(file(name) if to is None else link(name, to) for name, to in entries))
    with suppress(Refused):
        unpack(made, top / "deep", owned=False)
    assert {path.name for path in top.iterdir()} <= {"x.zip", "deep"}
    for path in (top / "deep").rglob("*") if (top / "deep").exists() else ():
        assert path.parent.resolve().is_relative_to(top / "deep")


def test_an_elf_file_is_seen(tmp_path: Path) -> None:
    assert has_elf(write(tmp_path / "a.zip", file("python/x.so", b"\x7fELF...")))
    assert not has_elf(write(tmp_path / "b.zip", file("python/x.so", b"\x7fEL"), file("python/x.py")))
    with pytest.raises(Refused, match="'x' is encrypted"):
        has_elf(write(tmp_path / "c.zip", Item(path="x", flags=1)))


def test_layers_are_merged_as_lambda_fills_opt(tmp_path: Path) -> None:
    """The last one wins, also over another kind of entry."""
    first = {"python/a.py": "1", "python/b.py": "1", "python/file": "1", "python/was/x.py": "1"}
    second = {"python/b.py": "2", "python/file/x.py": "2", "python/was": "2", "lib/c.so": "2"}
    given = []
    for number, files in enumerate((first, second)):
        made = write(tmp_path / f"{number}.zip", *(file(path, text) for path, text in files.items()))
        given.append((str(tmp_path / str(number)), unpack(made, tmp_path / str(number), owned=False)))
    given[1][1]["python"] = 0o750
    merge(given, str(tmp_path / "opt"))
    found = {
        str(path.relative_to(tmp_path / "opt")): path.read_text()
        for path in tmp_path.glob("opt/**/*")
        if path.is_file()
    }
    assert found == {
        "python/a.py": "1",
        "python/b.py": "2",
        "python/file/x.py": "2",
        "python/was": "2",
        "lib/c.so": "2",
    }
    assert mode(tmp_path / "opt/python") == 0o750
    assert (tmp_path / "0/python/b.py").read_text() == "1"  # the unpacked layers are as they were


def test_a_functions_folder_has_the_modes_of_a_good_package(tmp_path: Path) -> None:
    for path in ("app.py", "pkg/x.py", "__pycache__/app.pyc", ".git/config"):
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_text("x = 1")
        (tmp_path / "source" / path).chmod(0o600)
    (tmp_path / "source/app.py").chmod(0o700)
    copy_source(tmp_path / "source", tmp_path / "task")
    found = {
        path.relative_to(tmp_path / "task").as_posix(): oct(mode(path)) for path in (tmp_path / "task").rglob("*")
    }
    assert found == {"app.py": "0o755", "pkg": "0o755", "pkg/x.py": "0o644"}


# --- the script ---------------------------------------------------------------------------------------------


def imported(
    tmp_path: Path, *items: tuple[str, str], limit: int = 60, libraries: Sequence[str] | None = None, **modules: str
) -> list[ModuleResult]:
    """Results of _importing.py, run by this Python as this user; `items` are (module, handler), else all modules."""
    opt, root = tmp_path / "opt", tmp_path / "task"
    for path in (opt / "python", root):
        path.mkdir(parents=True, exist_ok=True)
    for name, text in modules.items():
        (opt / "python" / f"{name}.py").write_text(dedent(text))
    wanted = items or tuple((name, "") for name in modules)
    spec = place.spec(
        target(), [{"items": wanted}], "t0k3n", limit, opt=str(opt), root=str(root), runtime=str(tmp_path)
    )
    given = {**json.loads(spec), "user": [], "own": [str(opt)]}
    given["libraries"] = given["libraries"] if libraries is None else libraries
    for name, content in place.scripts().items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, *place.FLAGS, str(tmp_path / "_importing.py")]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True, timeout=60)
    told = list(place.events(done.stdout.splitlines(), "t0k3n"))
    assert told[-1] == {"end": True, "token": "t0k3n"}
    asked = Task(
        label="x", target=target(), zips=(), modules=tuple(module for module, handler in wanted if not handler),
        handler="".join(handler for _, handler in wanted),
    )  # fmt: skip
    return list(place.results(asked, [event for event in told if "item" in event], limit))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("x = 1", ""),
        ("print('{\"item\": 0}'); print('x' * 200_000)", ""),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import not_there.x", "ModuleNotFoundError: No module named 'not_there'"),
        ("x = (", "SyntaxError: '(' was never closed (m.py, line 1)"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("import os; os._exit(3)", "the import ended Python with exit status 3"),
        ("import os; os._exit(0)", "the import ended Python with exit status 0"),
        ("import os; os.kill(os.getpid(), 11)", "the import crashed Python with SIGSEGV"),
        ("import os; os.closerange(0, 100)", "the import ended Python with exit status 0"),
        ("import sys; sys.stdout = sys.stderr = None", ""),
        ("import sys; sys.stdout.close(); sys.stderr.close()", ""),
        ("import atexit, os; atexit.register(os._exit, 4)", ""),
        ("raise Exception('a\\n  b\\x1b[31m\\u202e')", "Exception: a b\\x1b[31m\\u202e"),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E: (it has no text)"),
        ("raise Exception('x' * 10_000)", "Exception: " + "x" * 389),
    ],
)
def test_what_an_import_comes_to(code: str, error: str, tmp_path: Path) -> None:
    bad, good = imported(tmp_path, m=code, other="x = 1")
    assert bad.error == error
    assert (good.module, good.error) == ("other", "")


def test_a_hang_is_ended_with_what_it_started(tmp_path: Path) -> None:
    code = f"""
        import os, time
        if os.fork() == 0:
            open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        time.sleep(30)
    """
    [result] = imported(tmp_path, m=code, limit=1)
    assert result.error == "it took more than 1 s and was ended"
    state = Path("/proc") / (tmp_path / "pid").read_text() / "stat"
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_process_that_outlives_the_import_is_not_waited_for(tmp_path: Path) -> None:
    [result] = imported(tmp_path, m="import os, time\nif os.fork() == 0: time.sleep(30)\nelse: os._exit(5)")
    assert result.error == "the import ended Python with exit status 5"


def test_nothing_that_a_module_writes_is_taken_for_its_result(tmp_path: Path) -> None:
    code = """
        import os
        for handle in range(100):
            try:
                os.write(handle, b'{"item": 0, "error": "", "token": "x"}\\n[]\\n{}\\n')
            except OSError:
                pass
        raise ValueError("true")
    """
    [result] = imported(tmp_path, m=code)
    assert result.error == "ValueError: true"


FORGED = {
    "dumps": "import json\nd = json.dumps\njson.dumps = lambda o, *a, **k: d({**o, 'error': '', 'trace': []})",
    "failure": "import _forked\n_forked._failure = lambda e: {'error': '', 'trace': [], 'missing': ''}",
    "leave": "import os\nos.write = lambda *given: os._exit(0)",
}


@pytest.mark.parametrize("way", FORGED)
def test_what_a_module_puts_in_the_place_of_our_functions_comes_too_late(way: str, tmp_path: Path) -> None:
    [result] = imported(tmp_path, m=f"{FORGED[way]}\nraise ImportError('broken')")
    assert result.error == "ImportError: broken"


OWN_ANSWER = """
    import json, os, sys
    frame = sys._getframe()
    while "word" not in frame.f_locals:
        frame = frame.f_back
    facts = frame.f_locals
    os.write(facts["result"], (json.dumps({"word": facts["word"], **ANSWER}) + "\\n").encode())
    os._exit(0)
"""


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("{'item': 1, 'token': 't0k3n', 'status': 0, 'late': True, 'task': 9}", ""),
        ("{'error': 3, 'trace': 5, 'seconds': 'abc', 'strange': [1], 'missing': []}", ""),
        ("{'error': 'E', 'trace': [None, '\\x1b'], 'seconds': float('nan')}", "E"),
        ("{'strange': {'/x': 3}}", "it uses 3 of this machine, which RUNTIME has not"),
    ],
)
def test_a_module_that_answers_itself_speaks_for_itself_alone(answer: str, error: str, tmp_path: Path) -> None:
    bad, good = imported(tmp_path, m=OWN_ANSWER.replace("ANSWER", answer), other="raise ValueError('true')")
    assert (bad.error, bad.seconds) == (error.replace("RUNTIME", target().runtime), 0.0)
    assert good.error == "ValueError: true"


def test_an_answer_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    code = """
        import os
        for handle in range(3, 100):
            try:
                os.write(handle, b"[" * 60_000 + b"\\n")
            except OSError:
                pass
        os._exit(0)
    """
    bad, good = imported(tmp_path, m=code, other="x = 1")
    assert (bad.error, good.error) == ("the import ended Python with exit status 0", "")


def test_a_module_has_no_pipe_but_its_own(tmp_path: Path) -> None:
    code = """
        import os
        handles = map(int, os.listdir("/proc/self/fd"))
        raise Exception([n for n in handles if n > 2 and os.path.exists(f"/proc/self/fd/{n}")])
    """
    results = imported(tmp_path, a=code, b=code, c=code)
    assert all(one.error.count(",") == 0 and one.error != "Exception: []" for one in results)


def test_a_signal_does_not_end_the_process_that_watches(tmp_path: Path) -> None:
    results = imported(tmp_path, m="import os; os.kill(os.getppid(), 2)", n="import time; time.sleep(0.2)")
    assert [one.error for one in results] == ["", ""]
    [result] = imported(tmp_path, ("s", ""), s="import os; os.kill(os.getpid(), 2); import time; time.sleep(9)")
    assert result.error == "KeyboardInterrupt: "


# --- libraries of the place ---------------------------------------------------------------------------------


@pytest.fixture
def strange(tmp_path: Path) -> str:
    """Code that loads a library of this machine, which has its name by a link as ldconfig makes it."""
    there = next(path for path in mapped() if Path(path).name.startswith(("libm.", "libm-", "libc.", "libc-")))
    folder = tmp_path / "usr/lib"
    folder.mkdir(parents=True)
    shutil.copy(there, folder / "libstrange-1.2.so")
    (folder / "libstrange.so.1").symlink_to("libstrange-1.2.so")
    (folder / "libbroken.so.1").symlink_to("nowhere")
    return f"import ctypes; ctypes.CDLL({str(folder / 'libstrange.so.1')!r})"


def test_a_library_of_this_machine_alone_is_a_failure(strange: str, tmp_path: Path) -> None:
    bad, good = imported(tmp_path, m=strange, other="import ctypes, ssl, sqlite3")
    assert bad.error == f"it uses libstrange.so.1 of this machine, which {target().runtime} has not"
    assert good.error == ""
    [finding] = check([outcome_of(bad)])
    assert finding.message == f"m cannot be imported: {bad.error}, on this machine"


def test_a_library_that_the_runtime_has_by_any_of_its_names_is_none(strange: str, tmp_path: Path) -> None:
    own = place.libraries(target())
    [result] = imported(tmp_path, m=strange, libraries=[*own, "libstrange.so.1"])
    assert result.error == ""


def test_what_the_standard_library_loads_is_pythons_own(tmp_path: Path) -> None:
    [result] = imported(tmp_path, m="import bz2, ctypes, lzma, sqlite3, ssl, pyexpat, zlib", libraries=[])
    assert result.error == ""


def test_a_failure_is_told_before_a_strange_library(strange: str, tmp_path: Path) -> None:
    [result] = imported(tmp_path, m=f"{strange}\n1 / 0")
    assert result.error == "ZeroDivisionError: division by zero"


def test_the_libraries_of_a_runtime() -> None:
    found = place.libraries(target("x86_64", "python3.12"))
    assert {"libc.so.6", "libssl.so.3", "ld-linux-x86-64.so.2", "libpython3.12.so.1.0"} < {*found}
    assert "libpango-1.0.so.0" not in found


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"strange": list("abcde")}, "it uses a, b, c and 2 more of the image, which python3.12 has not"),
        ({"strange": ["a\x1b"]}, "it uses a\\x1b of the image, which python3.12 has not"),
        ({"strange": "abc"}, ""),
        ({"strange": []}, ""),
        ({"error": 3}, "what it told of the import makes no sense"),
        ({"trace": "abc"}, "what it told of the import makes no sense"),
        ({"seconds": "abc"}, "what it told of the import makes no sense"),
        ({"seconds": float("nan")}, ""),
        ({"seconds": -1}, ""),
        ({"seconds": 10**400}, ""),
        ({"status": "abc"}, "the import ended Python"),
        ({"status": -99}, "the import crashed Python with signal 99"),
        ({"error": "E", "output": 3, "trace": [None, 1]}, "E"),
        ({"missing": None}, ""),
    ],
)
def test_what_is_told_is_of_any_type(event: dict[str, object], error: str) -> None:
    told = [{"item": 0, **event}]
    [result] = place.results(task(Path(), "m", target=target("arm64", "python3.12")), told, 60, "the image")
    assert (result.error, result.seconds) == (error, 0.0)


def test_the_last_lines_of_a_failure_begin_with_its_cause(tmp_path: Path) -> None:
    code = "try: import lacking\nexcept ImportError as error:\n    print('said')\n    raise OSError('l') from error"
    [result] = imported(tmp_path, ("m", ""), m=code)
    path = tmp_path / "opt/python/m.py"
    assert result.error == "OSError: l"
    assert result.missing == "lacking"
    assert result.trace == (
        f'File "{path}", line 1, in <module>', "ModuleNotFoundError: No module named 'lacking'",
        f'File "{path}", line 4, in <module>', "said",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        ("m.handler", ""),
        ("m.lacking", "Runtime.HandlerNotFound: Handler 'lacking' missing on module 'm'"),
        ("n.handler", "ModuleNotFoundError: No module named 'n'"),
        ("m", "Runtime.MalformedHandlerName: Bad handler 'm': there is no dot in it"),
        ("sys.exit", "Runtime.ImportModuleError: Cannot use built-in module sys as a handler module"),
    ],
)
def test_a_handler_is_found_as_lambda_finds_it(handler: str, error: str, tmp_path: Path) -> None:
    module = task(Path(), handler=handler).handler_module
    [result] = imported(tmp_path, (module, handler), m="def handler(event, context): ...")
    assert (result.module, result.error) == (module, error)


def test_modules_do_not_see_each_other(tmp_path: Path) -> None:
    results = imported(tmp_path, a="import sys; sys.shared = 1", b="import sys; assert not hasattr(sys, 'shared')")
    assert [result.error for result in results] == ["", ""]


def test_what_was_not_told_did_not_pass() -> None:
    [result] = place.results(task(Path(), "m"), [], 60)
    assert result.error == "the process that imports ended in the middle"


def test_lines_that_are_no_events_are_left_out() -> None:
    lines = ["x", "[1]", "3", '{"token": "other"}', '{"a": 1}', '{"a": 1, "token": "t"}', '{"a": ']
    assert list(place.events(lines, "t")) == [{"a": 1, "token": "t"}]


# --- where, and what is remembered --------------------------------------------------------------------------


class Fake:
    """A place whose results are given by module; the default is to pass."""

    def __init__(
        self, name: str, *, fits: str = "", runs: Exception | None = None, keeps: bool = True, **errors: ModuleResult
    ) -> None:
        self.name, self.fits, self.runs, self.keeps, self.errors = name, fits, runs, keeps, errors
        self.asked: list[list[str]] = []

    def key(self, task: Task) -> str:
        if self.fits and self.fits != task.label:
            raise NotHere(f"{self.name} does not fit {task.label}")
        return self.name

    def run(self, tasks: Sequence[Task], lent: Mapping[str, Path]) -> list[Ran]:
        self.asked.append(
            [*(f"{task.label}:{','.join(module for module, _ in task.items)}" for task in tasks), *lent]
        )
        if self.runs and (not isinstance(self.runs, Refused) or any(task.label == "bad" for task in tasks)):
            raise self.runs
        return [
            Ran(
                where=self.name,
                results=tuple(self._result(module, bool(lent)) for module, _ in task.items),
                unlike=("odd",),
                remember=self.keeps,
            )
            for task in tasks
        ]

    def _result(self, module: str, lent: bool) -> ModuleResult:
        found = self.errors.get(module)
        return found if found and not (lent and found.missing in ("boto3", "six")) else ModuleResult(module=module)


def run(cache: Cache, tasks: Sequence[Task], *where: Fake) -> list[Outcome]:
    typed: Sequence[Place] = where
    return Runner(typed, Memory(cache.folder)).run(tasks)


def want(module: str) -> ModuleResult:
    return ModuleResult(module="m", error=f"ModuleNotFoundError: No module named '{module}'", missing=module)


@pytest.fixture
def simple(tmp_path: Path) -> Path:
    return layer(tmp_path / "simple.zip", m="x = 1")


def test_the_first_place_that_fits_is_taken(cache: Cache, simple: Path) -> None:
    first, second = Fake("first", fits="a"), Fake("second")
    tasks = [task(simple, "m", label="a"), task(simple, "n", label="b"), task(simple, label="empty")]
    outcomes = run(cache, tasks, first, second)
    assert [(one.task.label, one.status, one.where) for one in outcomes] == [
        ("a", "passed", "first"), ("b", "passed", "second"), ("empty", "not run", ""),
    ]  # fmt: skip
    assert outcomes[0].unlike == ("odd",)
    assert (first.asked, second.asked) == ([["a:m"]], [["b:n"]])


def test_one_call_for_each_target(cache: Cache, simple: Path) -> None:
    fake = Fake("place")
    others = [
        task(simple, "m", label=label, target=target(arch))
        for label, arch in zip("abc", ("arm64", "x86_64", "arm64"), strict=True)
    ]
    run(cache, others, fake)
    assert fake.asked == [["a:m", "c:m"], ["b:m"]]


def test_where_nothing_runs_all_reasons_are_told(cache: Cache, simple: Path) -> None:
    error = EngineError("no container engine answers", cure="start one")
    [outcome] = run(
        cache,
        [task(simple, "m")],
        Fake("first", fits="a"),
        Fake("second", runs=NotHere("no")),
        Fake("third", runs=error),
    )
    assert (outcome.status, outcome.results) == ("not run", ())
    assert outcome.why == "first does not fit x.zip; no; no container engine answers (start one)"


def test_a_zip_that_is_refused_is_its_own_tasks_fault(cache: Cache, simple: Path) -> None:
    """And it is not tried elsewhere, where it would be refused again."""
    first, second = Fake("first", runs=Refused("it is bad")), Fake("second")
    outcomes = run(cache, [task(simple, "m", label="bad"), task(simple, "n", label="good")], first, second)
    assert [(one.status, one.why) for one in outcomes] == [("not run", "it is bad"), ("passed", "")]
    assert (first.asked, second.asked) == ([["bad:m", "good:n"], ["bad:m"], ["good:n"]], [])


def test_what_passed_is_remembered(cache: Cache, simple: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "app.py").write_text("x = 1")
    base = task(simple, "m", source=source, handler="app.x")
    fake = Fake("place")

    def again(one: Task) -> str:
        fake.asked.clear()
        [outcome] = run(cache, [one], fake)
        assert outcome.status == "passed"
        assert outcome.where == ("place" if fake.asked else "place, remembered")
        assert outcome.unlike == ("odd",)
        return "run" if fake.asked else "remembered"

    assert [again(base), again(base)] == ["run", "remembered"]
    assert again(replace(base, label="other")) == "remembered"
    assert again(replace(base, modules=("m", "n"))) == "run"
    assert again(replace(base, handler="app.y")) == "run"
    assert again(replace(base, zips=(simple, layer(tmp_path / "y.zip", y="")))) == "run"
    assert again(replace(base, zips=(tmp_path / "y.zip", simple))) == "run"
    assert again(replace(base, target=target(OTHER))) == "run"
    (source / "app.py").write_text("x = 2")
    assert again(base) == "run"
    layer(simple, m="x = 2")
    assert [again(base), again(base)] == ["run", "remembered"]
    fake.name = "other place"
    assert run(cache, [base], fake)[0].where == "other place"


def test_a_failure_is_not_remembered(cache: Cache, simple: Path) -> None:
    fake = Fake("place", m=ModuleResult(module="m", error="x"))
    assert [run(cache, [task(simple, "m")], fake)[0].status for _ in range(2)] == ["failed", "failed"]
    assert len(fake.asked) == 2
    makeshift = Fake("makeshift", keeps=False)
    assert [run(cache, [task(simple, "m")], makeshift)[0].where for _ in range(2)] == ["makeshift", "makeshift"]


@pytest.mark.parametrize(
    "damage",
    ["", "[]", "{", '{"KEY": 3}', '{"KEY": {}}', '{"KEY": {"modules": [["n", 1]], "where": "", "unlike": []}}'],
)
def test_a_damaged_memory_remembers_nothing(damage: str, cache: Cache, simple: Path) -> None:
    fake, one = Fake("place"), task(simple, "m")
    cache.folder.mkdir()
    (cache.folder / "imports.json").write_text(damage.replace("KEY", Memory(cache.folder).key(one, "place")))
    assert run(cache, [one], fake)[0].where == "place"
    assert run(cache, [one], fake)[0].where == "place, remembered"


def test_the_memory_is_bounded(cache: Cache, simple: Path) -> None:
    memory = Memory(cache.folder)
    outcome = Outcome(task=task(simple, "m"), where="here", results=(ModuleResult(module="m"),))
    for number in range(KEPT + 10):
        memory.put(str(number), outcome)
    memory.put("many", Outcome(task=task(simple), results=(ModuleResult(module="m"),) * 1000))
    memory.write()
    assert len(json.loads((cache.folder / "imports.json").read_text())) == KEPT


def test_what_the_runtime_has_is_lent(cache: Cache, simple: Path) -> None:
    fake = Fake("place", m=want("boto3"), n=replace(want("flask"), module="n"))
    [outcome] = run(cache, [task(simple, "m", "n")], fake)
    assert [(one.module, one.error) for one in outcome.results] == [
        ("m", ""),
        ("n", "ModuleNotFoundError: No module named 'flask'"),
    ]
    assert fake.asked == [["x.zip:m,n"], ["x.zip:m", *lent.SDK]]
    assert outcome.unlike[-1].startswith("boto3 1.")
    assert outcome.unlike[-1].endswith(" of layerkit's own, not the runtime's")


def test_what_the_runtime_has_and_nobody_can_lend_is_told(cache: Cache, simple: Path) -> None:
    fake = Fake("place", m=want("snapshot_restore_py"))
    [outcome] = run(cache, [task(simple, "m", "other")], fake)
    assert outcome.status == "not run"
    assert outcome.why == "snapshot_restore_py of the runtime is not here, so m was not imported to the end"
    assert [one.module for one in outcome.results] == ["other"]
    assert [one.rule for one in check([outcome])] == ["import-not-run"]


def test_what_was_lent_is_not_missing(cache: Cache, simple: Path) -> None:
    """A module that says so twice is at fault itself."""
    fake = Fake("place", m=replace(want("boto3"), missing="boto3.not.there"))
    fake._result = lambda module, lent: fake.errors.get(module, ModuleResult(module=module))  # type: ignore[method-assign]
    [outcome] = run(cache, [task(simple, "m")], fake)
    assert (outcome.status, outcome.why) == ("failed", "")


def test_layerkits_own_copies_are_pure_python() -> None:
    copies = lent.copies()
    assert list(copies) == list(lent.SDK)
    assert copies["six"].name == "six.py"
    assert (copies["boto3"] / "__init__.py").is_file()
    assert lent.is_of_runtime("botocore.session")
    assert not lent.is_of_runtime("flask")


def test_none_is_none(cache: Cache, simple: Path, said: Said) -> None:
    [outcome] = imports.run([task(simple, "m")], "none", cache, said)
    assert (outcome.status, outcome.why) == ("not run", imports.NOT_ASKED)
    assert list(check([outcome])) == []


@pytest.mark.parametrize(
    ("name", "kinds"), [("auto", "Host Containers Host"), ("host", "Host Host"), ("container", "Containers")]
)
def test_the_order_of_places(name: PlaceName, kinds: str, cache: Cache, said: Said) -> None:
    assert " ".join(type(one).__name__ for one in places(name, cache, said)) == kinds


@pytest.mark.skipif(platform.system() != "Linux", reason="the host's place is Linux")
def test_binaries_for_another_machine_do_not_fit_this_one(cache: Cache, tmp_path: Path) -> None:
    pure, binary = layer(tmp_path / "a.zip", m=""), write(tmp_path / "b.zip", file("python/x.so", b"\x7fELF"))
    host = Host(cache)
    assert host.key(task(pure, "m", target=target(OTHER))).startswith("host 3.")
    with pytest.raises(NotHere, match=f"this machine is {platform.machine()}, not {target(OTHER).machine}"):
        host.key(task([pure, binary], "m", target=target(OTHER)))


@pytest.mark.skipif(platform.system() != "Linux", reason="the host's place is Linux")
def test_a_python_that_is_not_there_does_not_fit(cache: Cache, simple: Path) -> None:
    with pytest.raises(NotHere, match=r"there is no CPython 3\.77 on this machine \(uv python install 3\.77\)"):
        Host(cache).key(task(simple, "m", target=replace(target(), runtime="python3.77")))


# --- findings -----------------------------------------------------------------------------------------------


def outcome_of(*results: ModuleResult, why: str = "") -> Outcome:
    return Outcome(task=task(Path("x.zip"), "m"), where="this machine", results=results, why=why)


def test_the_rules() -> None:
    assert {key: rule.severity for key, rule in rules().items() if rule.group == "imports"} == {
        "import": Severity.ERROR, "import-optional": Severity.WARNING, "import-not-run": Severity.WARNING,
    }  # fmt: skip


def test_what_passed_is_no_finding() -> None:
    passed = outcome_of(ModuleResult(module="m"))
    assert passed.status == "passed"
    assert list(check([passed])) == []


def test_a_failure_names_the_module_the_error_and_the_place() -> None:
    failed = outcome_of(ModuleResult(module="m", error="ImportError: libx.so.1: cannot open"), want("lacking"))
    assert failed.status == "failed"
    assert [(one.rule, one.subject, one.message) for one in check([failed])] == [
        ("import", "x.zip", "m cannot be imported: ImportError: libx.so.1: cannot open, on this machine"),
        (
            "import", "x.zip",
            "m cannot be imported: ModuleNotFoundError: No module named 'lacking', on this machine; "
            "lacking is neither in the layers nor in the runtime",
        ),
    ]  # fmt: skip


OPTIONAL = ('adbc-driver-manager; extra == "all"', "six", "broken requirement (")
MISSING = ModuleResult(
    module="adbc_driver_duckdb",
    error="ModuleNotFoundError: No module named 'adbc_driver_manager'",
    missing="adbc_driver_manager",
)


def excused_of(*requires: str, result: ModuleResult = MISSING, **fields: object) -> Outcome:
    duckdb = Distribution(
        name="duckdb", version="1", location="python/duckdb-1.dist-info", requires=requires, extras=("all", "docs")
    )
    outcome = outcome_of(ModuleResult(module="duckdb"), result)
    return excused(replace(outcome, task=replace(outcome.task, **fields)), [duckdb])  # type: ignore[arg-type]


def test_what_only_an_extra_requires_is_a_warning() -> None:
    outcome = excused_of(*OPTIONAL)
    assert outcome.status == "passed"
    assert [(one.rule, one.message) for one in check([outcome])] == [
        (
            "import-optional",
            "adbc_driver_duckdb needs adbc_driver_manager, which only the extra all of duckdb brings",
        )
    ]


@pytest.mark.parametrize(
    ("requires", "missing"),
    [
        ((), "adbc_driver_manager"),
        ((*OPTIONAL, "ADBC.driver_manager>=1"), "adbc_driver_manager"),
        (('adbc-driver-manager; extra == "other"',), "adbc_driver_manager"),
        (("adbc-driver-manager; " + "(" * 2000 + 'extra == "all"',), "adbc_driver_manager"),
        (OPTIONAL, "six"),
        (OPTIONAL, "other"),
        (OPTIONAL, ""),
    ],
)
def test_what_is_required_or_unknown_is_an_error(requires: tuple[str, ...], missing: str) -> None:
    outcome = excused_of(*requires, result=replace(MISSING, missing=missing))
    assert outcome.status == "failed"
    assert [one.rule for one in check([outcome])] == ["import"]


def test_a_part_of_a_namespace_is_found_by_its_distribution() -> None:
    result = replace(MISSING, missing="google.cloud.storage")
    assert excused_of('google-cloud-storage; extra == "all"', result=result).status == "passed"


def test_no_extra_excuses_a_handler_another_error_or_a_layer_in_which_nothing_imports() -> None:
    assert excused_of(*OPTIONAL, handler="adbc_driver_duckdb.handler").status == "failed"
    assert excused_of(*OPTIONAL, result=replace(MISSING, error="ImportError: x")).status == "failed"
    alone = outcome_of(MISSING)
    assert excused(alone, []) == alone


def test_an_error_in_a_message_is_cut() -> None:
    [finding] = check([outcome_of(ModuleResult(module="m", error="E: " + "x" * 400))])
    assert len(finding.message) < 200
    assert "xxx…, on this machine" in finding.message


def test_what_was_not_run_is_a_warning() -> None:
    outcome = outcome_of(why="no container engine answers")
    assert outcome.status == "not run"
    [finding] = check([outcome])
    assert (finding.rule, finding.message) == (
        "import-not-run",
        "the import was not tried: no container engine answers",
    )
    assert list(check([outcome_of()])) == []  # there was nothing to import


# --- for real: this machine ---------------------------------------------------------------------------------

# What a module sees; it is told as an error.
PROBE = """
    import json, os, socket, sys
    def attempt(call, *given):
        try:
            return str(call(*given))
        except OSError as error:
            return type(error).__name__ + " " + os.strerror(error.errno)
    seen = SEEN
    raise Exception(json.dumps(seen))
"""
SEEN = {
    "path": "[one for one in sys.path if not one.startswith('/var/lang')]",
    "user": "[os.getuid(), os.getgid(), os.getgroups()]",
    "home": "[os.environ.get('HOME'), os.path.expanduser('~')]",
    "python": "[os.environ.get('PYTHONPATH'), sys.prefix, sys.flags.isolated]",
    "task": "[os.environ['LAMBDA_TASK_ROOT'], os.getcwd(), os.environ['AWS_LAMBDA_FUNCTION_NAME']]",
    "loader": "os.environ['LD_LIBRARY_PATH']",
    "programs": "os.environ['PATH']",
    "opt": "attempt(open, '/opt/python/x', 'w')",
    "code": "attempt(open, '/var/task/x', 'w')",
    "root": "attempt(os.mkdir, '/home')",
    "temporary": "attempt(os.mkdir, '/tmp/x')",
    "network": "attempt(socket.create_connection, ('192.0.2.1', 80), 2)",
    "loopback": "attempt(socket.create_connection, ('127.0.0.1', 9), 2)",
    "shared": "os.path.exists('/dev/shm')",
    "folders": "sorted(set(os.listdir('/')) & {'root', 'home', 'work', 'opt', 'tmp'})",
    "program": "sorted(os.listdir('/layerkit'))",
    "watcher": "[attempt(open, f'/proc/1/{name}') for name in ('fd/1', 'mem', 'environ')]",
    "processes": "len([one for one in os.listdir('/proc') if one.isdigit()]) < 9",
}


@pytest.fixture
def root() -> None:
    if not can_mount():
        absent("root", "a mount namespace of one's own needs root")


def seen(cache: Cache, tmp_path: Path, said: Said, where: PlaceName) -> dict[str, object]:
    made = layer(tmp_path / "x.zip", **{name: PROBE.replace("SEEN", code) for name, code in SEEN.items()})
    [outcome] = imports.run([task(made, *SEEN)], where, cache, said)
    assert not outcome.why
    return {one.module: json.loads(one.error.removeprefix("Exception: ")) for one in outcome.results}


def path(runtime: str, own: str) -> list[str]:
    """A site directory that is not there comes a second time, as in Lambda."""
    site = f"/opt/python/lib/{runtime}/site-packages"
    return ["/var/task", site, "/opt/python", own, site]


LIKE_LAMBDA = {
    "path": path(RUNTIME, "/var/runtime"),
    "user": [993, 990, []],
    "home": [None, "/home/sbx_user1051"],
    "python": [None, "/var/lang", 0],
    "task": ["/var/task", "/var/task", "layerkit"],
    "loader": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    "programs": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "opt": "OSError Read-only file system",
    "code": "OSError Read-only file system",
    "root": "OSError Read-only file system",
    "temporary": "None",
    "network": "OSError Network is unreachable",
    "loopback": "ConnectionRefusedError Connection refused",
    "shared": False,
    "folders": ["opt", "tmp"],
    "program": ["_folders.py", "_forked.py", "_importing.py"],
    "watcher": ["PermissionError Permission denied"] * 3,
    "processes": True,
}


@pytest.mark.integration
@pytest.mark.usefixtures("root")
def test_a_module_sees_what_it_would_see_in_lambda(cache: Cache, tmp_path: Path, said: Said) -> None:
    assert seen(cache, tmp_path, said, "host") == LIKE_LAMBDA
    assert not list((cache.folder / "tmp").iterdir())


OF_THE_CLIENT = """
import sys
sys.path.insert(0, sys.argv[1])
import awslambdaric.__main__, awslambdaric.bootstrap
print(*(name for name in sys.modules if name.partition(".")[0] in sys.stdlib_module_names))
"""


@pytest.mark.integration
@pytest.mark.usefixtures("root")
def test_what_the_runtime_client_has_imported_is_there_and_hardly_more(
    cache: Cache, tmp_path: Path, said: Said, python312: Interpreter
) -> None:
    """So that neither an import is missed that Lambda would not miss, nor one is found that it would."""
    client = installed(tmp_path / "client", CLIENT, "--python", str(python312.executable))
    command = [str(python312.executable), "-S", "-c", OF_THE_CLIENT, str(client)]
    there = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()) - {"__main__"}
    assert {"json", "logging", "decimal", "traceback"} <= there
    code = f"import sys; want = {sorted(there)!r}; print(*sys.modules); assert not set(want) - set(sys.modules)"
    code += "; assert not {'typing', 'inspect', 'http', 'email', 'datetime', 'subprocess'} & set(sys.modules)"
    made = layer(tmp_path / "m.zip", m=code)
    [outcome] = imports.run([task(made, "m", target=target(runtime="python3.12"))], "host", cache, said)
    assert [(one.error, one.trace) for one in outcome.results] == [("", ())]


@pytest.mark.integration
@pytest.mark.usefixtures("root")
def test_layers_on_this_machine(cache: Cache, tmp_path: Path, said: Said) -> None:
    """Several tasks: each has its own /opt; modes, .pth files, order and the function are as in Lambda."""
    first = layer(tmp_path / "a.zip", m="x = 1", only_first="", secret=file("python/secret.py", mode=0o100600))
    second = layer(
        tmp_path / "b.zip",
        m="import sys; assert sys.of_pth == 1",
        pth=file("python/x.pth", "import sys; sys.of_pth = 1\n"),
        closed=Item(path="python/closed/", mode=0o040700, method=0),
        inside=file("python/closed/inside.py"),
        so=file("python/broken.so", b"\x7fELF"),
    )
    source = tmp_path / "source"
    source.mkdir(mode=0o700)
    (source / "app.py").write_text("import m, only_first\ndef handler(event, context): ...\n")
    tasks = [
        task(first, "m", "secret", label="first"),
        task(second, "m", "only_first", "closed.inside", "broken", label="second"),
        task([first, second], label="f", source=source, handler="app.handler"),
    ]
    outcomes = imports.run(tasks, "auto", cache, said)
    assert [(one.module, one.error) for one in outcomes[0].results] == [
        ("m", ""),
        ("secret", "PermissionError: [Errno 13] Permission denied: '/opt/python/secret.py'"),
    ]
    assert [(one.module, one.error) for one in outcomes[1].results] == [
        ("m", ""),
        ("only_first", "ModuleNotFoundError: No module named 'only_first'"),
        ("closed.inside", "ModuleNotFoundError: No module named 'closed.inside'"),
        ("broken", "ImportError: /opt/python/broken.so: file too short"),
    ]
    assert [one.status for one in outcomes] == ["failed", "failed", "passed"]
    assert {one.where for one in outcomes} == {f"this machine (CPython {platform.python_version()}, mount namespace)"}
    assert (outcomes[0].results[1].trace, outcomes[1].results[1].missing) == ((), "only_first")
    again = imports.run(tasks, "auto", cache, said)
    assert [one.where.endswith(", remembered") for one in again] == [False, False, True]
    assert said.notes == []


@pytest.mark.integration
@pytest.mark.usefixtures("root")
def test_the_sdk_is_lent_on_this_machine(cache: Cache, tmp_path: Path, said: Said) -> None:
    made = layer(
        tmp_path / "x.zip",
        m="import boto3; assert boto3.__file__ == '/var/runtime/boto3/__init__.py'; boto3.client('s3')",
        six_too="import dateutil.tz, six",
        click_not="import boto3, click",
    )
    [outcome] = imports.run([task(made, "m", "six_too", "click_not")], "host", cache, said)
    errors = [one.error for one in outcome.results]
    assert errors == ["", "", "ModuleNotFoundError: No module named 'click'"]  # layerkit's own are not in reach
    assert outcome.unlike[-1].startswith("boto3 1.")


@pytest.mark.integration
def test_the_three_layers_and_their_function(
    cache: Cache, tmp_path: Path, said: Said, python312: Interpreter, root: None
) -> None:
    project = clone(tmp_path / "clone")
    text = (project / "layers.yaml").read_text().replace("[arm64]", f"[{ARCHITECTURE}]")
    (project / "layers.yaml").write_text(text)
    layerkit(project, "lock")
    layerkit(project, "build")
    flask, wsgi, shim = (project / f"dist/{name}-layer.zip" for name in ("flask", "serverless-wsgi", "lambda-wsgi"))
    runtime = target(runtime="python3.12")
    tasks = [
        task(flask, "flask", "markupsafe", "jinja2", target=runtime),
        task([flask, wsgi], "serverless_wsgi", target=runtime),
        task(shim, "lambda_wsgi", target=runtime),
        task(
            [flask, wsgi, shim],
            source=ROOT / "examples/hello/src",
            handler="lambda_function.lambda_handler",
            target=runtime,
        ),
    ]
    outcomes = imports.run(tasks, "host", cache, said)
    assert [(one.status, [result.error for result in one.results]) for one in outcomes] == [
        ("passed", ["", "", ""]), ("passed", [""]), ("passed", [""]), ("passed", [""]),
    ]  # fmt: skip
    assert {one.where for one in outcomes} == {f"this machine (CPython {python312.release}, mount namespace)"}


@pytest.mark.integration
@pytest.mark.usefixtures("root")
def test_the_sdk_is_lent_to_what_hides_its_want(cache: Cache, tmp_path: Path, said: Said) -> None:
    """As the handler shim does: its own words, and none of the import's."""
    code = "try:\n    import boto3\nexcept ImportError:\n    raise RuntimeError('no app') from None"
    made = layer(tmp_path / "x.zip", m=code, n=code.replace("boto3", "nothing_of_the_kind"))
    [outcome] = imports.run([task(made, "m", "n")], "host", cache, said)
    assert [(one.error, one.missing) for one in outcome.results] == [
        ("", ""), ("RuntimeError: no app", "nothing_of_the_kind"),
    ]  # fmt: skip


@pytest.mark.integration
@pytest.mark.usefixtures("root")
def test_a_function_has_its_own_variables(cache: Cache, tmp_path: Path, said: Said) -> None:
    made = layer(tmp_path / "x.zip", m="import os; raise Exception(os.environ.get('TABLE'))")
    tasks = [task(made, "m", environment={"TABLE": "users"}), task(made, "m", environment={"TABLE": "others"})]
    outcomes = imports.run([*tasks, task(made, "m")], "host", cache, said)
    errors = [one.error for outcome in outcomes for one in outcome.results]
    assert errors == ["Exception: users", "Exception: others", "Exception: None"]  # none is remembered for another


@pytest.mark.integration
@pytest.mark.usefixtures("root")
def test_nothing_outlives_layerkit(cache: Cache, tmp_path: Path) -> None:
    """Killed in the middle, it leaves no process; the next run removes its folder."""
    made = layer(tmp_path / "x.zip", m="print(flush=True); import time; time.sleep(600)")
    code = f"""
        import sys
        from pathlib import Path
        from layerkit import targets
        from layerkit.cache import Cache
        from layerkit.verify.imports import Task
        from layerkit.verify.imports.host import Host
        target = targets.find_runtime({RUNTIME!r}).target({ARCHITECTURE!r})
        Host(Cache(Path({str(cache.folder)!r}))).run(
            [Task(label="x", target=target, zips=(Path({str(made)!r}),), modules=("m",))], {{}}
        )
    """
    process = subprocess.Popen([sys.executable, "-c", dedent(code)])
    try:
        importing = _wait_for(lambda: descendants(process.pid), 3)  # two of ours, and the fork that imports
    finally:
        process.kill()
        process.wait()
    _wait_for(lambda: [0] if not any(map(is_alive, importing)) else [], 1)
    [left] = (cache.folder / "tmp").iterdir()
    with cache.workspace():
        assert not left.exists()


@pytest.mark.integration
@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_layerkit_alone_ends_the_imports(sign: signal.Signals, cache: Cache, tmp_path: Path) -> None:
    made = layer(tmp_path / "x.zip", m="import time; time.sleep(600)")
    command = [
        sys.executable, "-m", "layerkit", "verify", str(made), "--imports", "host",
        "--runtime", RUNTIME, "--architecture", ARCHITECTURE,
    ]  # fmt: skip
    environment = {**os.environ, "LAYERKIT_CACHE_DIR": str(cache.folder)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        importing = _wait_for(lambda: descendants(process.pid), 3)
        process.send_signal(sign)
        assert process.wait(timeout=10) == 130
    finally:
        process.kill()
        process.wait()
    _wait_for(lambda: [0] if not any(map(is_alive, importing)) else [], 1)
    assert not list((cache.folder / "tmp").iterdir())


def _wait_for(look: Callable[[], list[int]], count: int) -> list[int]:
    found: list[int] = []
    for _ in range(2000):
        found = look()
        if len(found) >= count:
            return found
        time.sleep(0.01)
    raise AssertionError(f"it took too long: {found}")


@pytest.mark.skipif(os.geteuid() != 0, reason="anybody else imports as himself")
def test_nothing_is_imported_as_root(cache: Cache, simple: Path, tmp_path: Path) -> None:
    python = tmp_path / "closed/bin/python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)
    (tmp_path / "closed").chmod(0o700)
    host = Host(cache, isolated=False)
    host.interpreters[target().python] = Interpreter(executable=python, release="3.12.1")
    with pytest.raises(NotHere, match=r"CPython 3\.12\.1 is in a folder of root's, and nothing is imported as root"):
        host.key(task(simple, "m"))


LOOKS = "[attempt(open, f'/proc/{os.getppid()}/{name}') for name in ('fd/1', 'mem', 'environ')]"

# As another user than root, whose Python is the system's: layerkit is imported from this checkout.
AS_USER = """
import json, sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = [{toolkit!r}]
from layerkit import targets
from layerkit.cache import Cache
from layerkit.verify.imports import Task
from layerkit.verify.imports.host import Host
from layerkit.sandbox.surroundings import NotHere
found = targets.find_runtime("python%d.%d" % sys.version_info[:2]).target({architecture!r})
task = Task(label="x", target=found, zips=(Path({zip!r}),), modules=("good", "secret", "who", "looks", "pathy"))
host = Host(Cache(Path({cache!r})), isolated={isolated})
try:
    [ran] = host.run([task], {{}})
    print(json.dumps([ran.where, [one.error for one in ran.results], ran.results[-1].trace]))
except NotHere as error:
    print(json.dumps([str(error)]))
"""


@pytest.mark.integration
@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("isolated", [True, False])
def test_without_root(isolated: bool, tmp_path: Path) -> None:
    found = [
        Path(name)
        for name in ("/usr/bin/python3.12", "/usr/bin/python3.11", "/usr/bin/python3.13")
        if Path(name).exists()
    ]
    if not found:
        pytest.skip("the system has no Python that another user may run")
    work = Path("/tmp") / f"layerkit-test-{os.getpid()}-{isolated}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o755)
    try:
        shutil.copytree(
            ROOT / "toolkit", work / "toolkit", ignore=shutil.ignore_patterns("__pycache__", ".mypy_cache")
        )
        made = layer(
            work / "x.zip", good="x = 1", secret=file("python/secret.py", mode=0o100600),
            who="import os; raise Exception((os.getuid(), os.environ['LAMBDA_TASK_ROOT'] == '/var/task'))",
            looks=PROBE.replace("SEEN", LOOKS),
            pathy="raise Exception(__file__)",
        )  # fmt: skip
        for path in (work, *work.rglob("*")):
            os.chown(path, 12345, 12345)
        code = AS_USER.format(
            toolkit=str(work / "toolkit"), architecture=ARCHITECTURE, zip=str(made), cache=str(work / "cache"),
            isolated=isolated,
        )  # fmt: skip
        command = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", str(found[0]), "-B", "-c", code]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={"HOME": str(work), "PATH": "/usr/bin:/bin"}
        )
        assert done.returncode == 0, done.stderr
        where, errors, trace = json.loads(done.stdout)
        kind = "user namespace" if isolated else "no isolation"
        assert where.endswith(f", {kind})")
        assert errors == [
            "",
            "PermissionError: [Errno 13] Permission denied: '/opt/python/secret.py'",
            f"Exception: ({993 if isolated else 12345}, {isolated})",
            f"Exception: {json.dumps(['PermissionError Permission denied'] * 3)}",
            "Exception: /opt/python/pathy.py",
        ]
        assert trace == ['File "/opt/python/pathy.py", line 1, in <module>']
        assert not list((work / "cache/tmp").glob("*"))
    finally:
        shutil.rmtree(work)


@pytest.mark.integration
@pytest.mark.usefixtures("root")
def test_where_no_namespace_can_be_made_this_machine_does_not_fit(tmp_path: Path, simple: Path) -> None:
    code = AS_USER.format(
        toolkit=str(ROOT / "toolkit"), architecture=ARCHITECTURE, zip=str(simple), cache=str(tmp_path / "cache"),
        isolated=True,
    )  # fmt: skip
    forbid = 'echo 0 > /proc/sys/user/max_mnt_namespaces; exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == [
        "this machine lets no namespace be made for it: [Errno 28] unshare: No space left on device"
    ]


BORROWED = "import ctypes; ctypes.CDLL('libBrokenLocale.so.1')"  # of every glibc; no runtime is known to have it
STDLIB = "import bz2, ctypes, lzma, pyexpat, socket, sqlite3, ssl, zlib; socket.getaddrinfo('localhost', 1)"


@pytest.mark.integration
@pytest.mark.usefixtures("root")
def test_a_library_of_this_machine_alone_is_a_failure_for_real(cache: Cache, tmp_path: Path, said: Said) -> None:
    made = layer(tmp_path / "x.zip", borrowed=BORROWED, stdlib=STDLIB)
    [outcome] = imports.run([task(made, "borrowed", "stdlib")], "host", cache, said)
    assert [one.error for one in outcome.results] == [
        f"it uses libBrokenLocale.so.1 of this machine, which {RUNTIME} has not", "",
    ]  # fmt: skip


# --- for real: a container ----------------------------------------------------------------------------------


@pytest.mark.engine
def test_layers_in_a_container(engine: Engine, cache: Cache, tmp_path: Path, said: Said) -> None:
    """All tasks in one emulated container: each with its own /opt, as another user, without a network."""
    runtime = replace(target("arm64", "python3.12"), image=IMAGE)
    names = ("path", "user", "home", "task", "loader", "programs", "temporary", "network", "loopback", "shared")
    first = layer(
        tmp_path / "a.zip",
        secret=file("python/secret.py", mode=0o100600),
        crash="import os; os.kill(os.getpid(), 11)",
        write="open('/opt/python/x', 'w')",
        sdk="import dateutil.tz",
        borrowed=BORROWED,
        stdlib=STDLIB,
        **{name: PROBE.replace("SEEN", SEEN[name]) for name in names},
    )
    second = layer(tmp_path / "b.zip", m="x = 1", link=link("python/linked.py", "m.py"))
    source = tmp_path / "source"
    source.mkdir()
    (source / "app.py").write_text(
        "import m, linked, platform\nassert platform.machine() == 'aarch64'\nhandler = 1\n"
    )
    tasks = [
        task(first, *names, "secret", "crash", "write", "sdk", "borrowed", "stdlib", "m", target=runtime),
        task([second, first], "secret", label="f", source=source, handler="app.handler", target=runtime),
        task(second, "m", label="last", target=runtime),
    ]
    outcomes = imports.run(tasks, "container", cache, said)
    ours = Engine.connect(cache.folder)  # others may be at work beside this test
    assert not engine.client.containers.list(all=True, filters={"label": f"{LABEL}.machine={ours.machine}"})
    ours.close()
    assert [one.why for one in outcomes] == ["", "", ""]
    results = {one.module: one.error for one in outcomes[0].results}
    probed = {name: json.loads(results[name].removeprefix("Exception: ")) for name in names}
    assert probed == {name: LIKE_LAMBDA[name] for name in names} | {"path": path("python3.12", "/layerkit/runtime")}
    assert results["secret"] == "PermissionError: [Errno 13] Permission denied: '/opt/python/secret.py'"
    assert results["crash"] == "the import crashed Python with SIGSEGV"
    assert results["write"] == "PermissionError: [Errno 13] Permission denied: '/opt/python/x'"
    assert results["sdk"] == ""
    assert results["borrowed"] == "it uses libBrokenLocale.so.1 of the image, which python3.12 has not"
    assert results["stdlib"] == ""
    assert results["m"] == "ModuleNotFoundError: No module named 'm'"
    assert outcomes[0].unlike[-1].startswith("dateutil 2.")
    assert [one.error for one in outcomes[1].results] == [results["secret"], ""]
    assert [one.status for one in outcomes] == ["failed", "failed", "passed"]
    emulated = "" if engine.architecture == "aarch64" else ", emulated"
    assert outcomes[2].where == f"container ({engine.name}, {IMAGE}{emulated})"
    assert imports.run(tasks[2:], "container", cache, said)[0].where == f"{outcomes[2].where}, remembered"


@pytest.mark.engine
def test_an_image_without_the_targets_python_runs_nothing(
    engine: Engine, cache: Cache, simple: Path, said: Said
) -> None:
    runtime = replace(target("arm64", "python3.13"), image=IMAGE)
    [outcome] = imports.run([task(simple, "m", target=runtime)], "container", cache, said)
    assert outcome.status == "not run"
    assert outcome.why.startswith("the container does not start: env: ‘/var/lang/bin/python3.13’: No such file")


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the SDK's own, where it cannot connect
def test_without_an_engine_nothing_runs_in_a_container(
    cache: Cache, simple: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///not/there.sock")
    [outcome] = imports.run([task(simple, "m")], "container", cache, said)
    assert outcome.why == "no container engine answers (layerkit doctor says what is missing)"
    gc.collect()
