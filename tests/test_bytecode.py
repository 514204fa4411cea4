"""Finding the runtime's Python, and bytecode that is the same from any folder, order and number of jobs."""

from __future__ import annotations

import json
import marshal
import os
import platform
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerkit import bytecode
from layerkit.errors import MachineError
from layerkit.model import Interpreter

MINOR = "{}.{}".format(*sys.version_info)

# Frozensets, shared constants and names that other modules use too: what marshal writes of them depends on what the
# process did before (seen with django/db/backends/sqlite3/creation.py).
TRICKY = """
def fork(method):
    if method in {"spawn", "forkserver", "fork"}:
        return "spawn", ".sqlite3", ("fork", "spawn")
    return {"alpha", "beta", "gamma", "delta"} & {method}
"""


def modules(folder: Path, count: int) -> list[tuple[Path, str]]:
    found = []
    for number in range(count):
        file = folder / f"m{number:03}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            TRICKY + f'\ndef own_{number}():\n    return "spawn", "m{number}", {{"beta", "x{number % 7}"}}\n'
        )
        found.append((file, f"pkg/{file.name}"))
    return found


def compiled(
    interpreter: Interpreter, parts: list[list[tuple[Path, str]]], into: Path, jobs: int = 1
) -> list[dict[str, bytes]]:
    found = bytecode.compile_all(partial(bytecode.run_here, interpreter, jobs), parts, into)
    return [{p: f.read_bytes() for p, f in one.items()} for one in found]


def test_the_same_bytes_whatever_folder_order_and_jobs(tmp_path: Path, this_python: Interpreter) -> None:
    here = modules(tmp_path / "here", 80)
    other = modules(tmp_path / "a folder/with another name", 80)
    noise = modules(tmp_path / "noise", 33)
    first = compiled(this_python, [here], tmp_path / "1")[0]
    assert len(first) == 80
    assert compiled(this_python, [noise, here], tmp_path / "2", jobs=4)[1] == first
    assert compiled(this_python, [other, noise], tmp_path / "3", jobs=2)[0] == first


def test_the_environment_has_no_say(
    tmp_path: Path, this_python: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = modules(tmp_path / "src", 10)
    first = compiled(this_python, [part], tmp_path / "1")
    monkeypatch.setenv("PYTHONHASHSEED", "123")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("LC_ALL", "C")
    assert compiled(this_python, [part], tmp_path / "2") == first


def test_the_runtime_uses_it_without_a_look_at_the_source(tmp_path: Path, this_python: Interpreter) -> None:
    part = modules(tmp_path, 1)
    pyc = compiled(this_python, [part], tmp_path / "out")[0]["pkg/m000.py"]
    assert int.from_bytes(pyc[4:8], "little") == 0b01  # PEP 552: hash-based, not to be checked
    code = marshal.loads(pyc[16:])
    assert code.co_filename == "/opt/python/pkg/m000.py"
    positions = list(code.co_positions())
    assert {line for line, *_ in positions if line}  # tracebacks have lines,
    assert {column for _, _, *columns in positions for column in columns} == {None}  # and no columns to pay for
    home = tmp_path / "site"
    (home / "pkg/__pycache__").mkdir(parents=True)
    (home / "pkg/m000.py").write_text("raise SystemExit('the source was read')")
    (home / f"pkg/__pycache__/m000.{sys.implementation.cache_tag}.pyc").write_bytes(pyc)
    subprocess.run([sys.executable, "-c", "import pkg.m000"], cwd=home, check=True)


def test_what_does_not_compile_is_left_out(tmp_path: Path, this_python: Interpreter) -> None:
    for name, text in {"bad": "{% if %}", "null": "x = '\0'", "latin": "x = 'é'\n", "good": "x = 1\n"}.items():
        (tmp_path / f"{name}.py").write_bytes(text.encode("latin-1"))
    part = [(tmp_path / f"{name}.py", f"{name}.py") for name in ("bad", "good", "latin", "null")]
    assert list(compiled(this_python, [part], tmp_path / "out")[0]) == ["good.py"]


def test_an_interpreter_that_fails_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho it broke >&2; exit 3\n")
    broken.chmod(0o755)
    with pytest.raises(MachineError, match=r"CPython 3\.12\.0 failed") as caught:
        compiled(Interpreter(executable=broken, release="3.12.0"), [modules(tmp_path / "src", 1)], tmp_path / "out")
    assert caught.value.why == "it broke"


def test_nothing_to_compile_starts_nothing(tmp_path: Path) -> None:
    nobody = Interpreter(executable=tmp_path / "absent", release="3.12.0")
    assert compiled(nobody, [[], []], tmp_path / "out") == [{}, {}]


@settings(max_examples=15)
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60), min_size=1, max_size=5))
def test_any_text_compiles_or_is_left_out(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    part = []
    for number, text in enumerate(texts):
        (folder / f"m{number}.py").write_text(text, encoding="utf-8", newline="")
        part.append((folder / f"m{number}.py", f"m{number}.py"))
    this = Interpreter(executable=Path(sys.executable), release="")
    expected = []
    for number, text in enumerate(texts):
        try:
            compile(text.encode(), "m", "exec", dont_inherit=True)
            expected.append(f"m{number}.py")
        except (SyntaxError, ValueError):
            pass
    assert sorted(compiled(this, [part], folder / "out")[0]) == expected


# --- finding ------------------------------------------------------------------------------------------------


def fake_python(path: Path, release: str, name: str = "cpython", level: str = "final") -> Path:
    """A stand-in for an interpreter that this machine may not have; it answers the one question that is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {name} {release} {level}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and PATH without any Python."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    return tmp_path


def releases(machine: Path, minor: str = "3.7") -> list[str]:
    return [one.release for one in bytecode.find(minor, machine / "cache")]


def test_path_pyenv_and_uv_are_searched(machine: Path) -> None:
    fake_python(machine / "bin/python3", "3.7.1")
    fake_python(machine / "pyenv/versions/3.7.10/bin/python3.7", "3.7.10")
    fake_python(machine / "uv/cpython-3.7.9-linux-x86_64-gnu/bin/python3.7", "3.7.9")
    fake_python(machine / "bin/python3.8", "3.8.2")
    assert releases(machine) == ["3.7.10", "3.7.9", "3.7.1"]


def test_shims_other_implementations_and_prereleases_are_passed_over(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shims = machine / "pyenv/shims"
    monkeypatch.setenv("PATH", f"{shims}:{machine / 'bin'}")
    fake_python(shims / "python3.7", "3.7.5")
    fake_python(machine / "bin/python3.7", "3.7.6", name="pypy")
    fake_python(machine / "bin/python3", "3.7.7", level="candidate")
    (machine / "bin/python").symlink_to("nowhere")
    assert releases(machine) == []


def test_a_link_counts_once(machine: Path) -> None:
    fake_python(machine / "bin/python3.7", "3.7.1")
    (machine / "bin/python3").symlink_to("python3.7")
    assert releases(machine) == ["3.7.1"]


def test_an_answer_is_remembered_until_the_program_changes(machine: Path) -> None:
    program = fake_python(machine / "bin/python3.7", "3.7.1")
    assert releases(machine) == ["3.7.1"]
    stat = program.stat()
    program.write_text(program.read_text().replace("3.7.1", "3.7.2"))
    os.utime(program, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert releases(machine) == ["3.7.1"]  # same size and time: not asked again
    os.utime(program, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert releases(machine) == ["3.7.2"]


def test_one_that_did_not_answer_is_asked_again(machine: Path) -> None:
    """For want of a library, say; its file stays the same when that is mended."""
    program = machine / "bin/python3.7"
    fake_python(program, "3.7.1")
    program.write_text(program.read_text().replace("#!", f"#!/bin/sh\ntest -e {machine}/mended || exit 1\n#!", 1))
    assert releases(machine) == []
    (machine / "mended").touch()
    assert releases(machine) == ["3.7.1"]


def test_a_damaged_memory_is_made_again(machine: Path) -> None:
    fake_python(machine / "bin/python3.7", "3.7.1")
    (machine / "cache").mkdir()
    (machine / "cache/interpreters.json").write_text('["not what', encoding="utf-8")
    assert releases(machine) == ["3.7.1"]
    assert "3.7.1" in json.loads((machine / "cache/interpreters.json").read_text()).values()


def test_the_locked_release_is_preferred_to_the_newest(machine: Path) -> None:
    for release in ("3.7.3", "3.7.12"):
        fake_python(machine / f"pyenv/versions/{release}/bin/python3.7", release)
    assert bytecode.choose("3.7", "3.7.3", machine / "cache").release == "3.7.3"  # type: ignore[union-attr]
    assert bytecode.choose("3.7", "3.7.4", machine / "cache").release == "3.7.12"  # type: ignore[union-attr]
    assert bytecode.choose("3.6", "", machine / "cache") is None


def test_the_running_interpreter_is_found(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert platform.python_version() in [one.release for one in bytecode.find(MINOR, tmp_path / "cache")]
