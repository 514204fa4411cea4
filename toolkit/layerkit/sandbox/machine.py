"""This machine as a place for a function: whether it fits, the Python, and /opt and /var/task in a folder."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit import bytecode
from layerkit.files import disk_errors
from layerkit.model import Interpreter, Target
from layerkit.sandbox._folders import merge
from layerkit.sandbox.surroundings import PASSWD, RUNTIME, USER, NotHere
from layerkit.sandbox.unpacking import copy_source, has_elf, unpack

if TYPE_CHECKING:
    from layerkit.cache import Cache


class Machine:
    """This machine.  `isolated`: with namespaces; else, as a makeshift, without."""

    binaries = "there is no binary in the layers"  # whatever the machine

    def __init__(self, cache: Cache, *, isolated: bool = True) -> None:
        self.cache, self.isolated = cache, isolated
        self.interpreters: dict[str, Interpreter | None] = {}

    @property
    def kind(self) -> str:
        return "no isolation" if not self.isolated else "mount namespace" if os.geteuid() == 0 else "user namespace"

    def interpreter(self, target: Target, zips: Iterable[Path]) -> Interpreter:
        """The CPython that runs a function of the target with these zips.  Raises NotHere where they do not fit."""
        if platform.system() != "Linux":
            raise NotHere(f"this machine runs {platform.system()}, not Linux")
        machine, needed = platform.machine(), ".".join(map(str, target.glibc))
        libc = tuple(map(int, libc_version().split("."))) if libc_version() else ()
        if (machine != target.machine or libc < target.glibc) and any(map(has_elf, zips)):
            if machine != target.machine:
                raise NotHere(f"this machine is {machine}, not {target.machine}")
            have = libc_version() or "not at all"
            raise NotHere(f"this machine has glibc {have}, older than {target.runtime}'s {needed}")
        if target.python not in self.interpreters:
            self.interpreters[target.python] = bytecode.choose(target.python, "", self.cache.folder)
        found = self.interpreters[target.python]
        if not self.isolated and found and os.geteuid() == 0 and not _is_open(found.executable):
            raise NotHere(f"CPython {found.release} is in a folder of root's, and nothing is imported as root")
        if not found:
            raise NotHere(f"there is no CPython {target.python} on this machine (uv python install {target.python})")
        return found

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A temporary folder where nothing is hidden from the user who imports, if that is another."""
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

    def unlike(self, target: Target) -> Iterator[str]:
        """What differs from Lambda here."""
        if platform.machine() != target.machine:
            yield f"the machine is {platform.machine()}, not {target.machine}: {self.binaries}"
        own, version = libc_version(), ".".join(map(str, target.glibc))
        yield f"the system's libraries are this machine's (glibc {own}), not the runtime's (glibc {version})"
        if not self.isolated:
            yield "/opt and /var/task stand in a temporary folder, and network and files of this machine are in reach"


class Unpacked:
    """Each zip is unpacked once, into a folder of `work`.

    With `kept`, a folder of the cache, that is there, once for all runs: where nobody who runs can write to it.
    """

    def __init__(self, work: Path, kept: Path | None = None) -> None:
        self.work, self.kept, self.owned = work / "zips", kept, os.geteuid() != 0
        self.work.mkdir()
        self.found: dict[Path, tuple[str, dict[str, int]]] = {}

    def get(self, file: Path) -> tuple[str, dict[str, int]]:
        """The folder, and the modes that its own folders are to have in the end.  Raises Refused."""
        if file not in self.found:
            folder = self.work / str(len(self.found))
            self.found[file] = self._keep(file, folder, self.kept) if self.kept else self._unpack(file, folder)
        return self.found[file]

    def _unpack(self, file: Path, folder: Path) -> tuple[str, dict[str, int]]:
        return str(folder), unpack(file, folder, owned=self.owned)

    def _keep(self, file: Path, folder: Path, kept: Path) -> tuple[str, dict[str, int]]:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        place = kept / f"{digest}{'-owned' if self.owned else ''}"
        with suppress(OSError, ValueError):
            modes = dict(json.loads((place / "modes.json").read_bytes()))
            os.utime(place)  # it is used
            return str(place / "content"), modes
        folder.mkdir()
        _, modes = self._unpack(file, folder / "content")
        (folder / "modes.json").write_text(json.dumps(modes))
        with disk_errors(kept):
            kept.mkdir(exist_ok=True)
            try:
                folder.rename(place)
            except OSError:  # another process was here first
                return str(folder / "content"), modes
        return str(place / "content"), modes


def prepare(
    unpacked: Unpacked, folder: Path, zips: Sequence[Path], source: Path | None, files: Mapping[str, bytes]
) -> None:
    """Make `folder`: opt of the zips in their order, task of the source, these files, passwd, mount points."""
    folder.mkdir()
    folder.chmod(0o755)
    merge([unpacked.get(file) for file in zips], str(folder / "opt"))
    (folder / "opt").chmod(0o755)
    copy_source(source, folder / "task")
    for name, content in (*files.items(), ("passwd", PASSWD)):
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o644)
    for name in ("root", "runtime"):
        (folder / name).mkdir()
        (folder / name).chmod(0o755)


def binds(folder: Path, executable: Path, top: Iterable[str], runtime: Iterable[Path]) -> list[tuple[Path, str]]:
    """(source, place in the new root) of a prepared folder: Python, /opt, /var/task and what /var/runtime holds.

    `top` names files of the folder that stand in /layerkit; `runtime` are modules for /var/runtime.
    """
    made = [(executable.parent.parent, "/var/lang"), (folder / "opt", "/opt"), (folder / "task", "/var/task")]
    made += [(folder / name, f"/layerkit/{name}") for name in top]
    made += [(folder / "passwd", "/etc/passwd"), (folder / "runtime", RUNTIME)]
    for path in runtime:
        point = folder / "runtime" / path.name
        point.mkdir() if path.is_dir() else point.touch()
        made.append((path, f"{RUNTIME}/{path.name}"))
    return made


def mounting() -> list[str]:
    """The command that makes a root of its own; what it takes on standard input is made by `mounts`."""
    script = resources.files("layerkit.sandbox").joinpath("_mounting.py")
    return [sys.executable, "-I", "-S", str(script)]


def mounts(
    folder: Path, made: Iterable[tuple[Path, str]], command: Sequence[str], environment: Mapping[str, str],
    token: str, **more: object,
) -> dict[str, object]:  # fmt: skip
    """What `_mounting.py` takes: see there."""
    return {
        "binds": [[str(source), there] for source, there in made],
        "command": list(command),
        "environment": dict(environment),
        "user": USER,
        "root": str(folder / "root"),
        "token": token,
        **more,
    }


def libc_version() -> str:
    """glibc's version; empty where there is another C library."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (OSError, ValueError):
        return ""
    return version if name == "glibc" else ""


def _is_open(executable: Path | None) -> bool:
    """Whether other users may run it."""
    return executable is not None and all(path.stat().st_mode & 1 for path in (executable, *executable.parents))


def open_up(folder: Path) -> None:
    """So that it can be removed by its owner."""
    for home, names, _ in os.walk(folder):
        for name in names:
            with suppress(OSError):
                if not Path(home, name).is_symlink():
                    Path(home, name).chmod(0o700)
