"""Locked distributions -> installed trees.  Two ways with the same result: wheels here, or a container."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from layerkit.errors import EngineError
from layerkit.model import Environment, Origin, Pin, Target

Tell = Callable[[Sequence[Pin], str], None]  # which pins are at which step
Modules = Sequence[Sequence[tuple[str, str, str]]]  # as bytecode.Chunks


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Wanted:
    """A locked distribution, and what it is built in should it offer no wheel."""

    pin: Pin
    environment: Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Where a distribution is installed, by whom, and the shared libraries that it needs beside it."""

    home: Path
    origin: Origin
    libraries: Mapping[str, Path] = field(default_factory=dict)  # soname -> file


class Session(Protocol):
    """All work for one target."""

    def install(self, wanted: Sequence[Wanted], tell: Tell) -> Mapping[Wanted, Installed]:
        """Install exactly these files, checked against the pins' hashes.

        Two distributions that own one path are never in the same folder, so neither overwrites the other.
        """
        ...

    def compile(self, release: str, modules: Modules) -> Origin:
        """Compile with the container's CPython, which must be of this release (else OtherRelease)."""
        ...


class Builder(Protocol):
    """Where distributions are installed, and what cannot be had as a wheel is built."""

    def session(self, target: Target, folder: Path, step_limit: int) -> AbstractContextManager[Session]:
        """Work for `target` in the empty `folder`; no step takes more than `step_limit` seconds."""
        ...

    def release(self, target: Target) -> str:
        """The CPython release that compiles in the container; empty where there is none."""
        ...


class OtherRelease(Exception):
    """The container's CPython is not of the release that was remembered; it is remembered now: plan again."""


class Unfit(EngineError):
    """No work was begun: no engine answers, or it cannot run what the target needs; the other builder may do."""
