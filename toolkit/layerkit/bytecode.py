"""Bytecode that the runtime will use: which CPython compiles, and the compiling.

A .pyc depends on CPython's patch release, so the lock names the release and this module finds it.  It also depends on
what its process compiled before (references between constants), so `_compile.py` forks a fresh process for each chunk
of a part's sorted modules: the same modules give the same bytes, in any order of parts and with any number of jobs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path

from layerkit.errors import MachineError
from layerkit.files import write_atomically
from layerkit.model import Interpreter

PREFIX = "/opt/python/"  # where Lambda unpacks a layer's python/ folder
# No columns of each instruction (3.11 and later): tracebacks lose the carets under a layer's lines, not the lines,
# and bytecode a fifth of its compressed size.  A function's own modules are compiled in Lambda, with columns.
FLAGS = ("-X", "no_debug_ranges", "-S", "-s", "-B", "-W", "ignore")
CHUNK = 32  # modules to a fork: large enough to hide its cost, small enough to share between cores
Chunks = Sequence[Sequence[tuple[str, str, str]]]  # of (source file, name in tracebacks, .pyc to write)
PROBE = "import sys; print(sys.implementation.name, '%d.%d.%d' % sys.version_info[:3], sys.version_info[3])"


def find(minor: str, cache: Path) -> list[Interpreter]:
    """The CPythons of this minor version ("3.12") on PATH, of uv and of pyenv; newest release first.

    What an interpreter said of itself is remembered in `cache`, because asking costs 20 ms for each.
    """
    memory_file = cache / "interpreters.json"
    try:
        memory: dict[str, str] = json.loads(memory_file.read_text())
    except (OSError, ValueError):
        memory = {}
    known = dict(memory)
    found: dict[Path, Interpreter] = {}
    for candidate in _candidates(minor):
        try:
            real = candidate.resolve(strict=True)
            stat = real.stat()
        except OSError:
            continue
        # macOS's launchers and Debian's alternatives change without their path changing
        identity = f"{real}|{stat.st_mtime_ns}|{stat.st_size}"
        release = known.get(identity) or _ask(real)
        if release:  # one that does not answer may do so another time
            known[identity] = release
        if release.startswith(f"{minor}."):
            found.setdefault(real, Interpreter(executable=real, release=release))
    if known != memory:
        write_atomically(memory_file, json.dumps(known, indent=1, sort_keys=True).encode())
    return sorted(found.values(), key=lambda one: [int(n) for n in one.release.split(".")], reverse=True)


def choose(minor: str, locked: str, cache: Path) -> Interpreter | None:
    """The interpreter of the locked release, else the newest of the minor version, else None."""
    found = find(minor, cache)
    exact = [one for one in found if one.release == locked]
    return next(iter(exact or found), None)


def _candidates(minor: str) -> Iterator[Path]:
    names = (f"python{minor}", "python3", "python")
    yield Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    managed = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    for folder in map(Path, filter(None, os.get_exec_path())):
        if folder != pyenv / "shims":  # a shim is no interpreter, and answers for whichever is selected
            yield from (folder / name for name in names)
    yield from sorted(pyenv.glob(f"versions/{minor}.*/bin/python{minor}"))
    yield from sorted(managed.glob(f"cpython-{minor}.*/bin/python{minor}"))


def _ask(executable: Path) -> str:
    """Its release, "3.12.15"; "" when it is no released CPython."""
    try:
        done = subprocess.run(
            [executable, "-I", "-S", "-c", PROBE], capture_output=True, text=True, timeout=20, check=True
        )
        name, release, level = done.stdout.split()
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return release if name == "cpython" and level == "final" else ""


def compile_all(
    run: Callable[[Chunks], object], parts: Sequence[Sequence[tuple[Path, str]]], into: Path
) -> list[dict[str, Path]]:
    """Compile the modules of each part by `run`; the answer holds, for each part, module path -> .pyc file.

    `parts` lists (file, path below python/), each part sorted by path.  A module that the interpreter refuses is
    missing from the answer.
    """
    chunks: list[list[tuple[str, str, str]]] = []
    outputs: list[dict[str, Path]] = []
    for number, modules in enumerate(parts):
        named = {path: into / str(number) / f"{i}.pyc" for i, (_, path) in enumerate(modules)}
        (into / str(number)).mkdir(parents=True)
        tasks = [(str(file), PREFIX + path, str(named[path])) for file, path in modules]
        chunks += [tasks[i : i + CHUNK] for i in range(0, len(tasks), CHUNK)]
        outputs.append(named)
    if chunks:
        run(chunks)
    return [{path: file for path, file in named.items() if file.exists()} for named in outputs]


def run_here(interpreter: Interpreter, jobs: int, chunks: Chunks) -> None:
    """Compile on this machine.  Raises MachineError when the interpreter itself fails."""
    assert interpreter.executable, "the container's own is run by its session"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["PYTHONHASHSEED"] = "0"  # the order of set constants
    script = resources.files("layerkit").joinpath("_compile.py")
    with resources.as_file(script) as path:
        stderr, status = _stoppable(
            [str(interpreter.executable), *FLAGS, str(path)],
            json.dumps({"jobs": jobs, "chunks": chunks}),
            environment,
        )
    if status and "No space left" in stderr:
        raise MachineError("the disk is full", why=stderr.strip(), cure="free some space and run it again")
    if status:
        what = f"CPython {interpreter.release} failed to compile bytecode"
        raise MachineError(what, where=str(interpreter.executable), why=stderr.strip() or f"exit status {status}")


def _stoppable(command: Sequence[str], text: str, environment: dict[str, str]) -> tuple[str, int]:
    """Standard error and exit status of a program that forks; an interrupt of ours stops its forks too."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True, start_new_session=True
    ) as process:
        try:
            _, stderr = process.communicate(text)
        except BaseException:
            with suppress(ProcessLookupError, PermissionError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return stderr, process.returncode


def none_found(minor: str, locked: str) -> str:
    """What to say when nothing on this machine compiles for a runtime."""
    return (
        f"there is no CPython {minor} here, so the layers carry no bytecode and start slower; "
        f"to change that: uv python install {locked or minor}"
    )


def other_release(interpreter: Interpreter, locked: str) -> str:
    """What to say when another release compiles than the one that the lock names."""
    if not locked:
        return f"bytecode is compiled by CPython {interpreter.release}; the lock names no release: layerkit lock"
    return (
        f"bytecode is compiled by CPython {interpreter.release}, the lock names {locked}: the zips differ from those "
        f"of a machine that has it; to change that: uv python install {locked}, or layerkit lock --upgrade"
    )
