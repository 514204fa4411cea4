"""The zips in dist/ and the function's own folder, as an import sees them: which has a module, and where."""

from __future__ import annotations

import platform
import re
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from layerkit.elf import MACHINES
from layerkit.model import Target
from layerkit.verify.checks import distributions
from layerkit.verify.checks.distributions import Distribution
from layerkit.verify.facts import Entry, Kind, ZipFacts
from layerkit.verify.subjects import importable, roots

MOST_TEXT = 4 << 20  # bytes of one METADATA or RECORD
HEAD = 20  # bytes of an ELF file, up to its machine
BROKEN = (OSError, zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError, NotImplementedError)


@dataclass(frozen=True, kw_only=True)
class Pack:
    """A layer's zip.  One that cannot be read holds nothing."""

    key: str  # of the layer in layers.yaml
    path: Path
    target: Target

    @cached_property
    def facts(self) -> ZipFacts:
        """Names and modes alone: unlike `verify.reading` this unpacks nothing but metadata."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                entries = tuple(_entry(archive, info) for info in archive.infolist())
        except BROKEN:
            entries = ()
        return ZipFacts(label=self.path.name, size=0, sha256="", entries=entries)

    @cached_property
    def below(self) -> Mapping[str, Entry]:
        """Path below the import root -> what is there; the first root on sys.path wins."""
        found: dict[str, Entry] = {}
        first = f"{roots(self.target)[0]}/"
        for path, entry in sorted(
            importable(self.facts, self.target), key=lambda one: not one[1].path.startswith(first)
        ):
            found.setdefault(path, entry)
        return found

    @cached_property
    def files(self) -> frozenset[str]:
        """Paths below /opt."""
        return frozenset(entry.path for entry in self.facts.files)

    @cached_property
    def distributions(self) -> tuple[Distribution, ...]:
        return distributions.installed(self.facts, self.target)

    def finds(self, module: str) -> str:
        """The path below /opt of what an import of `module` takes; "" where it has none."""
        found = module_file(self.below, module, self.target)
        return self.below[found].path if found in self.below else found

    def is_closed(self, path: str) -> bool:
        """Whether others than its owner may not read it, or not enter a folder above it."""
        above = [f"{'/'.join(path.split('/')[:end])}" for end in range(1, path.count("/") + 1)]
        modes = {entry.path: entry.mode for entry in self.facts.entries if entry.mode is not None}
        return not modes.get(path, 0o4) & 0o4 or any(not modes.get(folder, 0o1) & 0o1 for folder in above)

    def for_others(self, module: str) -> str:
        """The path of `module` in the folder of another Python, where this one does not look."""
        for path in sorted(self.files):
            match = re.match(r"python/lib/(python3\.[0-9]+)/site-packages/(.*)", path)
            if (
                match
                and match[1] != self.target.runtime
                and match[2] == module_file((match[2],), module, self.target)
            ):
                return path
        return ""

    def owner(self, path: str) -> Distribution | None:
        """The distribution whose RECORD names this path below /opt."""
        for one in self.distributions:
            if path.startswith(one.root):
                below = path.removeprefix(one.root)
                if any(line.rpartition(",")[0].rpartition(",")[0].strip('"') == below for line in self.record(one)):
                    return one
        return None

    def record(self, one: Distribution) -> list[str]:
        return self.read(f"{one.location}/RECORD", MOST_TEXT).decode("utf-8", "replace").splitlines()

    def read(self, path: str, most: int) -> bytes:
        """The beginning of a file; nothing where it is not there or is damaged."""
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(path) as file:
                return file.read(most)
        except (KeyError, *BROKEN):
            return b""

    def machine(self, path: str) -> str:
        """What a shared library is for, in the kernel's words; "" for what is none."""
        return machine(self.read(path, HEAD))


def machine(head: bytes) -> str:
    """The same, of a file's beginning."""
    if len(head) < HEAD or not head.startswith(b"\x7fELF"):
        return ""
    bits, order = {1: 32, 2: 64}.get(head[4], 0), {1: "<", 2: ">"}.get(head[5], "<")
    number = int.from_bytes(head[18:HEAD], "little" if order == "<" else "big")
    return MACHINES.get((number, bits, order), f"machine {number}")


def not_here(machine: str, target: Target) -> str:
    """Why this machine does not load a library that is right for the target; "" where that is not so."""
    here = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    if machine != target.machine or machine == here:
        return ""
    return (
        f"which is for {target.architecture}, as the function is, and not for this machine ({here}): --in container"
    )


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    unix = info.external_attr >> 16 if info.create_system == 3 else 0
    text = ""
    if info.filename.endswith((".dist-info/METADATA", ".egg-info/PKG-INFO")) and info.file_size <= MOST_TEXT:
        text = archive.read(info).decode("utf-8", "replace")
    kind = Kind.FOLDER if info.is_dir() else Kind.LINK if stat.S_ISLNK(unix) else Kind.FILE
    return Entry(path=info.filename.rstrip("/"), kind=kind, mode=unix & 0o777 if unix else None, text=text)


def suffixes(target: Target) -> tuple[str, ...]:
    """What a module's file may end in, in the order in which Python looks."""
    extension = f".cpython-{target.python.replace('.', '')}-{target.machine}-linux-gnu.so"
    return extension, ".abi3.so", ".so", ".py", ".pyc"


def module_file(files: Collection[str], module: str, target: Target) -> str:
    """The file that an import of `module` takes of these; of a namespace package its folder; else ""."""
    stem = module.replace(".", "/")
    for name in (f"{stem}/__init__", stem):
        for suffix in suffixes(target):
            if name + suffix in files:
                return name + suffix
    return (
        f"{stem}/" if any(path.startswith(f"{stem}/") and path.endswith(suffixes(target)) for path in files) else ""
    )


def module_names(files: Collection[str], target: Target, package: str = "") -> Iterator[str]:
    """Full names of the modules directly inside of a package, or at the top."""
    prefix = f"{package.replace('.', '/')}/" if package else ""
    for path in files:
        if path.startswith(prefix):
            first, slash, _ = path.removeprefix(prefix).partition("/")
            name = (
                first if slash else next((first.removesuffix(s) for s in suffixes(target) if first.endswith(s)), "")
            )
            if name.isidentifier() and not name.startswith("__"):
                yield f"{package}.{name}" if package else name


def foreign(files: Collection[str], module: str, target: Target) -> str:
    """A file of `module` that another Python or another machine could load, and this one cannot."""
    stem = module.replace(".", "/")
    for path in sorted(files):
        if path.startswith(f"{stem}.") and path.endswith((".so", ".pyd", ".dylib")):
            rest = path.removeprefix(stem)
            if "/" not in rest and rest not in suffixes(target):
                return path
    return ""
