"""Names of extension modules: for which Python and system each is, and which of several Python takes.

Sources: PEP 3149 and PEP 425 (tags); CPython's importlib, FileFinder (extensions before sources, and of these the
suffixes of _imp.extension_suffixes() in their order).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from layerkit.model import Target
from layerkit.verify.facts import ZipFacts

NAME = re.compile(r"(?P<module>(?:.*/)?[^./]+)(?:\.(?P<tag>[^/]+))?\.(?P<kind>so|pyd)", re.DOTALL)
CPYTHON = re.compile(r"(?:cpython-|cp)(?P<major>[0-9])(?P<minor>[0-9]{1,2})(?P<flags>[a-z]*)(?:-(?P<platform>.+))?")
EXACT, STABLE, PLAIN = range(3)  # the order in which Python looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A file that its name makes an extension module.  A library such as libz.so looks like one without a tag."""

    module: str  # its path without the suffix
    tag: str = ""
    python: str = ""  # "3.12"; "" where the tag names no CPython
    flags: str = ""  # "t" free-threaded, "d" debug, "m" of old
    platform: str = ""  # "aarch64-linux-gnu", "darwin", "win_amd64"
    windows: bool = False  # .pyd

    @property
    def is_musl(self) -> bool:
        return "-linux-musl" in self.platform

    @property
    def made_for(self) -> str:
        """In words; "" where the name does not say."""
        if self.python:
            what = f"CPython {self.python}{self.flags}"
            return f"{what} on {self.platform}" if self.platform else what
        return "Windows" if self.windows else "" if self.tag in ("", "abi3") else self.tag

    def is_for(self, python: str) -> bool:
        """Whether the name does not speak against this CPython, whatever the platform."""
        return (self.python == python and not self.flags) or (not self.python and self.tag in ("", "abi3"))

    def rank(self, target: Target) -> int | None:
        """Its place in the order in which Python looks; None when Python never takes it."""
        if self.windows:
            return None
        if self.tag in ("", "abi3"):
            return STABLE if self.tag else PLAIN
        fits = self.is_for(target.python) and self.platform == f"{target.machine}-linux-gnu"
        return EXACT if fits else None


def extension(path: str) -> Extension | None:
    match = NAME.fullmatch(path)
    if not match:
        return None
    module, tag, windows = match["module"], match["tag"] or "", match["kind"] == "pyd"
    if cpython := CPYTHON.fullmatch(tag):
        return Extension(
            module=module,
            tag=tag,
            python=f"{cpython['major']}.{cpython['minor']}",
            flags=cpython["flags"],
            platform=cpython["platform"] or "",
            windows=windows,
        )
    if tag in ("", "abi3") or tag.startswith("pypy"):
        return Extension(module=module, tag=tag, windows=windows)
    return None  # a library with dots in its name


class Modules:
    """Which file Python takes for a module, of all that some zips have together in /opt."""

    def __init__(self, zips: Sequence[ZipFacts], target: Target) -> None:
        self.target = target
        self.paths = {entry.path for one in zips for entry in one.files if entry.path.endswith((".py", ".pyc"))}
        self.best: dict[str, int] = {}
        for one in zips:
            for entry in one.files:
                found = extension(entry.path) if entry.path.endswith((".so", ".pyd")) else None
                rank = found.rank(target) if found else None
                if found and rank is not None:
                    self.best[found.module] = min(rank, self.best.get(found.module, rank))

    def passes_over(self, one: Extension) -> bool:
        """Whether Python takes another file for this module, so that this one does no harm."""
        rank = one.rank(self.target)
        if rank is not None:
            return self.best[one.module] < rank
        sources = (f"{one.module}{suffix}" for suffix in (".py", ".pyc", "/__init__.py", "/__init__.pyc"))
        return one.module in self.best or any(source in self.paths for source in sources)


def concerns(path: str, target: Target) -> bool:
    """False of what is in python/lib/pythonX.Y of another Python, which `target` never imports."""
    parts = path.split("/", 3)
    of_some = len(parts) == 4 and parts[:2] == ["python", "lib"] and parts[2].startswith("python3.")
    return not of_some or parts[2] == f"python{target.python}"
