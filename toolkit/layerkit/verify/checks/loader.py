"""Where Lambda's loader finds shared libraries: in the runtime, or where a layer's files look.

Source of the order: ld.so(8): DT_RPATH where there is no DT_RUNPATH, LD_LIBRARY_PATH, DT_RUNPATH, the defaults.  The
runtime sets LD_LIBRARY_PATH=/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:
/opt/lib, so that a system's library comes before one in a layer's lib/, and before one that a DT_RUNPATH leads to.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

from layerkit import targets
from layerkit.elf import ElfFile
from layerkit.elf import Kind as ElfKind
from layerkit.model import Target
from layerkit.verify.checks.extensions import concerns
from layerkit.verify.facts import Entry, Kind, ZipFacts

SYSTEM_FOLDERS = {
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/var/lang/lib", "/var/runtime", "/var/runtime/lib", "/var/task",
    "/var/task/lib",
}  # fmt: skip
VARIABLE = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM))")
MOST_FOLDERS, MOST_LIBRARIES = 64, 256  # of one file; a crafted one could name millions
MOST_STEPS = 100_000  # folders of all files together; real layers have some hundreds
LONGEST_FOLDER = 4096  # PATH_MAX
RUNTIME = ""  # instead of a path in the layers


class Found(Enum):
    """What becomes of a library that a file asks for."""

    HERE = "found, or loaded before"
    ELSEWHERE = "in the layers, where nothing looks"
    MISSING = "nowhere"


def is_loaded(elf: ElfFile) -> bool:
    """Relocatables and core files are data to the loader."""
    return elf.kind in (ElfKind.SHARED, ElfKind.EXECUTABLE)


def strange_folders(entry: Entry, elf: ElfFile) -> list[str]:
    """Those on its DT_RPATH or DT_RUNPATH that are neither in /opt nor searched anyway, as they stand there."""
    found = []
    for text in (elf.runpath or elf.rpath)[:MOST_FOLDERS]:
        folder = _expanded(entry, elf, text)
        if not (folder == "/opt" or folder.startswith("/opt/") or folder in SYSTEM_FOLDERS):
            found.append(text)
    return found


def _expanded(entry: Entry, elf: ElfFile, text: str) -> str:
    values = {"ORIGIN": f"/opt/{entry.path.rpartition('/')[0]}", "LIB": "lib64", "PLATFORM": elf.machine}
    if not text.strip() or len(text) > LONGEST_FOLDER:
        return text.strip()[:LONGEST_FOLDER]
    path = posixpath.normpath(VARIABLE.sub(lambda match: values[match[1] or match[2]], text))
    return path[1:] if path.startswith("//") else path  # which POSIX leaves to systems; Linux takes it as /


class Loader:
    """The libraries that some zips have together in /opt, and their search."""

    def __init__(self, zips: Sequence[ZipFacts], target: Target) -> None:
        self.target = target
        self.system = targets.system(target.runtime)
        # of Python's own in /var/lang/lib: its shared library
        self.provided = self.system.all(target.architecture) | {f"libpython{target.python}.so.1.0"}
        self.steps = 0
        self.inside: dict[str, set[str]] = {}  # folder -> names in it that the loader could open
        self.elsewhere: set[str] = set()  # names by which a library could be asked for, wherever it is
        files = {entry.path: entry for one in zips for entry in one.entries if concerns(entry.path, target)}
        binaries = []
        for path, entry in files.items():
            if not self._fits(entry):
                continue
            folder, _, name = path.rpartition("/")
            self.inside.setdefault(f"/opt/{folder}".rstrip("/"), set()).add(name)
            self.elsewhere.add(name)
            if entry.elf and is_loaded(entry.elf):
                self.elsewhere.add(entry.elf.soname)
                binaries.append((entry, entry.elf))
        looked = {"/opt/lib"}
        self.carried: set[str] = set()  # what some file takes from the layers, not from the runtime
        for entry, elf in binaries:
            looked |= set(self._folders(entry, elf, elf.rpath)) | set(self._folders(entry, elf, elf.runpath))
            self.carried |= {name for name, path in self.search(entry, elf).items() if path != RUNTIME}
        self.loaded = set[str]().union(*(self.inside.get(folder, ()) for folder in looked))
        self.loaded |= {
            elf.soname for entry, elf in binaries if f"/opt/{entry.path}".rpartition("/")[0] in looked and elf.soname
        }

    def _fits(self, entry: Entry) -> bool:
        """The loader goes on past files of another machine."""
        if entry.kind is Kind.FILE:
            return bool(entry.unread) or (entry.elf is not None and entry.elf.machine == self.target.machine)
        return entry.kind is Kind.LINK

    def _folders(self, entry: Entry, elf: ElfFile, texts: Sequence[str]) -> Iterator[str]:
        for text in texts[:MOST_FOLDERS]:
            self.steps += 1
            folder = _expanded(entry, elf, text) if self.steps < MOST_STEPS else ""
            if folder in self.inside:
                yield folder

    def search(self, entry: Entry, elf: ElfFile) -> Mapping[str, str]:
        """The libraries that a file finds by itself -> their paths; RUNTIME is the runtime's."""
        wanted = set(elf.needed[:MOST_LIBRARIES])
        found: dict[str, str] = {}

        def look(folders: Iterator[str]) -> None:
            for folder in folders:
                for name in self.inside.get(folder, set()) & wanted:
                    found.setdefault(name, f"{folder}/{name}")

        if not elf.runpath:
            look(self._folders(entry, elf, elf.rpath))
        for name in wanted & self.provided:
            found.setdefault(name, RUNTIME)
        look(iter(("/opt/lib",)))
        look(self._folders(entry, elf, elf.runpath))
        return found

    def libraries(self, entry: Entry, elf: ElfFile) -> Mapping[str, Found]:
        """What becomes of each library that it asks for, in its order."""
        own = self.search(entry, elf)
        found = {}
        for name in elf.needed[:MOST_LIBRARIES]:
            folder, _, last = name.rpartition("/")
            if name in own or name in self.loaded or (folder and last in self.inside.get(folder, ())):
                found[name] = Found.HERE
            else:
                found[name] = Found.ELSEWHERE if name in self.elsewhere else Found.MISSING
        return found
