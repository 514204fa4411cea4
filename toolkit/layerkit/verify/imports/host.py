"""Imports on this machine, where it fits: in a root folder of its own, or else in a temporary folder."""

from __future__ import annotations

import json
import marshal
import os
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerkit import bytecode
from layerkit.model import Interpreter
from layerkit.verify.imports import place
from layerkit.verify.imports._folders import merge
from layerkit.verify.imports.outcomes import Task
from layerkit.verify.imports.place import NotHere, Ran
from layerkit.verify.imports.unpacking import copy_source, has_elf, unpack

if TYPE_CHECKING:
    from layerkit.cache import Cache

LIMIT = 60  # seconds for a module
GRACE = 30  # seconds more until the process that watches over them is taken to hang


class Host:
    """This machine.  `isolated`: with namespaces; else, as a makeshift, without."""

    def __init__(self, cache: Cache, *, isolated: bool = True, limit: int = LIMIT) -> None:
        self.cache, self.isolated, self.limit = cache, isolated, limit
        self.interpreters: dict[str, Interpreter | None] = {}
        self.running: set[subprocess.Popen[bytes]] = set()
        self.stopped = False

    def key(self, task: Task) -> str:
        return f"host {self._interpreter(task).release} {platform.machine()} {_libc()}"

    def _interpreter(self, task: Task) -> Interpreter:
        target = task.target
        if platform.system() != "Linux":
            raise NotHere(f"this machine runs {platform.system()}, not Linux")
        machine, needed = platform.machine(), ".".join(map(str, target.glibc))
        libc = tuple(map(int, _libc().split("."))) if _libc() else ()
        if (machine != target.machine or libc < target.glibc) and any(map(has_elf, task.zips)):
            if machine != target.machine:
                raise NotHere(f"this machine is {machine}, not {target.machine}")
            raise NotHere(f"this machine has glibc {_libc() or 'not at all'}, older than {target.runtime}'s {needed}")
        if target.python not in self.interpreters:
            self.interpreters[target.python] = bytecode.choose(target.python, "", self.cache.folder)
        found = self.interpreters[target.python]
        if not self.isolated and found and os.geteuid() == 0 and not _is_open(found.executable):
            raise NotHere(f"CPython {found.release} is in a folder of root's, and nothing is imported as root")
        if not found:
            raise NotHere(f"there is no CPython {target.python} on this machine (uv python install {target.python})")
        return found

    def run(self, tasks: Sequence[Task], lent: Mapping[str, Path]) -> list[Ran]:
        """A task runs as soon as it is prepared, while the next one is."""
        with self._folder() as work:
            unpacked = _Unpacked(work, owned=os.geteuid() != 0)
            prepared: list[Path] = []
            try:
                with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
                    try:
                        running = []
                        for number, task in enumerate(tasks):
                            prepared.append(work / f"task{number}")
                            self._prepare(unpacked, prepared[-1], task)
                            running.append(pool.submit(self._run, task, prepared[-1], lent))
                        return [one.result() for one in running]
                    except BaseException:  # a signal, too: the pool waits for what runs
                        self._stop(pool)
                        raise
            finally:
                for folder in prepared:
                    _open_up(folder)

    def _stop(self, pool: ThreadPoolExecutor) -> None:
        self.stopped = True
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(self.running):
            process.kill()

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """Where nothing is hidden from the user who imports, if that is another."""
        if self.isolated:
            with self.cache.workspace() as work:
                if os.statvfs(work).f_flag & os.ST_NOEXEC:
                    raise NotHere(f"{self.cache.folder} is on a file system without execution (noexec)")
                yield work
            return
        work = Path(tempfile.mkdtemp(prefix="layerkit-imports-")).resolve()  # as the kernel tells of libraries
        try:
            work.chmod(0o755)
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _prepare(self, unpacked: _Unpacked, folder: Path, task: Task) -> None:
        folder.mkdir()
        folder.chmod(0o755)
        merge([unpacked.get(file) for file in task.zips], str(folder / "opt"))
        (folder / "opt").chmod(0o755)
        copy_source(task.source, folder / "task")
        for name, content in (*place.scripts().items(), ("passwd", place.PASSWD)):
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o644)
        for name in ("root", "runtime"):
            (folder / name).mkdir()
            (folder / name).chmod(0o755)

    def _run(self, task: Task, folder: Path, lent: Mapping[str, Path]) -> Ran:
        interpreter = self._interpreter(task)
        assert interpreter.executable
        token = secrets.token_hex(16)
        start = self._start_isolated if self.isolated else self._start_plain
        command, given = start(task, folder, interpreter.executable, lent, token)
        rounds = len(task.items) // min(8, os.cpu_count() or 1) + 1
        told = self._told(command, given, token, rounds * self.limit + GRACE)
        if not self.isolated:
            told = [_as_in_lambda(event, folder) for event in told]
        kind = "no isolation" if not self.isolated else "mount namespace" if os.geteuid() == 0 else "user namespace"
        return Ran(
            where=f"this machine (CPython {interpreter.release}, {kind})",
            results=place.results(task, [event for event in told if "item" in event], self.limit),
            unlike=tuple(self._unlike(task)),
            remember=self.isolated,
        )

    def _unlike(self, task: Task) -> Iterator[str]:
        if platform.machine() != task.target.machine:
            yield f"the machine is {platform.machine()}, not {task.target.machine} (there is no binary in the layers)"
        version = ".".join(map(str, task.target.glibc))
        yield f"the system's libraries are this machine's (glibc {_libc()}), not the runtime's (glibc {version})"
        if not self.isolated:
            yield "/opt and /var/task stand in a temporary folder, and network and files of this machine are in reach"

    def _start_isolated(
        self, task: Task, folder: Path, executable: Path, lent: Mapping[str, Path], token: str
    ) -> tuple[list[str], bytes]:
        prefix = executable.parent.parent
        spec = place.spec(task.target, [{"items": task.items}], token, self.limit)
        (folder / "spec.json").write_bytes(spec)  # it is read before there is another root
        binds = [(prefix, "/var/lang"), (folder / "opt", "/opt"), (folder / "task", "/var/task")]
        binds += [(folder / name, f"{place.TOP}/{name}") for name in place.scripts()]
        binds += [(folder / "passwd", "/etc/passwd"), (folder / "runtime", place.RUNTIME)]
        for path in lent.values():
            (folder / "runtime" / path.name).mkdir() if path.is_dir() else (folder / "runtime" / path.name).touch()
            binds.append((path, f"{place.RUNTIME}/{path.name}"))
        command = [f"/var/lang/{executable.relative_to(prefix)}", *place.FLAGS, f"{place.TOP}/_importing.py"]
        given = {
            "binds": [[str(source), there] for source, there in binds],
            "command": command,
            "input": str(folder / "spec.json"),
            "environment": place.variables(task),
            "user": place.USER,
            "root": str(folder / "root"),
            "token": token,
        }
        script = resources.files("layerkit.verify.imports").joinpath("_mounting.py")
        return [sys.executable, "-I", "-S", str(script)], marshal.dumps(given)

    def _start_plain(
        self, task: Task, folder: Path, executable: Path, lent: Mapping[str, Path], token: str
    ) -> tuple[list[str], bytes]:
        opt, root, runtime = (str(folder / name) for name in ("opt", "task", "runtime"))
        for path in lent.values():
            (folder / "runtime" / path.name).symlink_to(path)
        spec = place.spec(
            task.target, [{"items": task.items}], token, self.limit, opt=opt, root=root, runtime=runtime
        )
        lang = str(executable.parent.parent)
        environment = place.variables(task, opt=opt, root=root, lang=lang)
        command = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), str(executable)]
        return [*command, *place.FLAGS, str(folder / "_importing.py")], spec

    def _told(self, command: list[str], given: bytes, token: str, limit: int) -> list[dict[str, Any]]:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            self.running.add(process)
            try:
                if self.stopped:
                    process.kill()
                output, noise = process.communicate(given, timeout=limit)
            except subprocess.TimeoutExpired:
                process.kill()
                output, noise = process.communicate()
            except BaseException:
                process.kill()
                raise
            finally:
                self.running.discard(process)
        told = list(place.events(output.decode(errors="replace").splitlines(), token))
        unfit = [event["unfit"] for event in told if "unfit" in event]
        if unfit or not told:
            lines = (
                unfit
                or noise.decode(errors="replace").strip().splitlines()[-1:]
                or [f"exit status {process.returncode}"]
            )
            raise NotHere(f"this machine lets no {'namespace' if unfit else 'process'} be made for it: {lines[0]}")
        return told


class _Unpacked:
    """Each zip is unpacked once."""

    def __init__(self, work: Path, *, owned: bool) -> None:
        self.work, self.owned = work / "zips", owned
        self.work.mkdir()
        self.found: dict[Path, tuple[str, dict[str, int]]] = {}

    def get(self, file: Path) -> tuple[str, dict[str, int]]:
        if file not in self.found:
            folder = self.work / str(len(self.found))
            self.found[file] = str(folder), unpack(file, folder, owned=self.owned)
        return self.found[file]


def _libc() -> str:
    """glibc's version; empty where there is another C library."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (OSError, ValueError):
        return ""
    return version if name == "glibc" else ""


def _is_open(executable: Path | None) -> bool:
    """Whether other users may run it."""
    return executable is not None and all(path.stat().st_mode & 1 for path in (executable, *executable.parents))


def _as_in_lambda(event: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The event with Lambda's paths."""
    text = json.dumps(event)
    for ours, theirs in (("opt", "/opt"), ("task", "/var/task"), ("runtime", place.RUNTIME)):
        text = text.replace(str(folder / ours), theirs)
    return dict(json.loads(text))


def _open_up(folder: Path) -> None:
    """So that it can be removed by its owner."""
    for home, names, _ in os.walk(folder):
        for name in names:
            with suppress(OSError):
                if not Path(home, name).is_symlink():
                    Path(home, name).chmod(0o700)
