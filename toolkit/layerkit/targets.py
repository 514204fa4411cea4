"""data/targets.toml: which runtimes there are, what they run on, and AWS's limits."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

from layerkit.model import Target

ARCHITECTURES = ("arm64", "x86_64")
# what uname, Docker and wheels call them
OTHER_ARCHITECTURES = {"aarch64": "arm64", "arm": "arm64", "amd64": "x86_64", "x86-64": "x86_64", "x64": "x86_64"}
OLDEST_PYTHON = (3, 10)  # the oldest runtime that the bytecode compiler's script runs on


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A managed Python runtime.  `known` is False for one that data/targets.toml does not list yet."""

    name: str
    glibc: tuple[int, int]
    deprecated: date | None
    magic: int = 0  # the first two bytes of its .pyc files, little endian; 0 where it is not known
    known: bool = True

    def target(self, architecture: str, image: str = "") -> Target:
        """`image` names the build container's image; {runtime} and {architecture} in it stand for the target's."""
        reference = (image or default_image()).replace("{runtime}", self.name).replace("{architecture}", architecture)
        return Target(runtime=self.name, architecture=architecture, glibc=self.glibc, image=reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What a runtime runs on, as its loader sees it."""

    glibc: tuple[int, int]
    symbols: Mapping[str, tuple[int, ...]]  # GLIBC, GLIBCXX, CXXABI, GCC -> the newest version that is defined
    libraries: frozenset[str]  # that are there for certain; what is not among them is packed
    also: frozenset[str]  # that have been seen there, on both architectures
    loaders: Mapping[str, frozenset[str]]  # architecture -> the loader, and what is there on it alone

    def all(self, architecture: str) -> frozenset[str]:
        """Every library that may be counted on to be there."""
        return self.libraries | self.also | self.loaders[architecture]


@cache
def _data() -> Mapping[str, Any]:
    return tomllib.loads(resources.files("layerkit").joinpath("data/targets.toml").read_text(encoding="utf-8"))


def limit(name: str) -> int:
    """One of AWS's limits, by its name in data/targets.toml."""
    return int(_data()["limits"][name])


def reserved_variables() -> tuple[str, ...]:
    """Variables that Lambda sets itself: a function that declares one is refused."""
    return tuple(_data()["variables"]["reserved"])


def default_image() -> str:
    """AWS's own build images, with {runtime} and {architecture} in the name."""
    return str(_data()["images"]["build"])


def is_default_image(target: Target) -> bool:
    runtime = find_runtime(target.runtime)
    return runtime is not None and runtime.target(target.architecture) == target


def known_runtimes() -> tuple[str, ...]:
    return tuple(_data()["runtimes"])


def find_runtime(name: str) -> Runtime | None:
    """The runtime of this name; None when layerkit cannot build for it.

    AWS adds a runtime every year.  One that is newer than the newest known is taken to run on the newest
    known system, so that an older layerkit can still build for it.
    """
    match = re.fullmatch(r"python3\.([1-9]?[0-9])", name)
    if not match:
        return None
    data = _data()
    facts = data["runtimes"].get(name)
    if not facts:
        newest = max(int(known.rpartition(".")[2]) for known in data["runtimes"])
        if int(match[1]) <= newest:
            return None
        facts = data["newer"]
    return Runtime(
        name=name,
        glibc=system(name).glibc,
        deprecated=facts.get("deprecated"),
        magic=facts.get("magic", 0),
        known=name in data["runtimes"],
    )


@cache
def system(runtime: str) -> System:
    """Of a runtime that is newer than the newest known: the newest known system."""
    data = _data()
    facts = data["systems"][(data["runtimes"].get(runtime) or data["newer"])["system"]]
    major, minor = _version(facts["glibc"])
    return System(
        glibc=(major, minor),
        symbols={"GLIBC": (major, minor)} | {prefix: _version(text) for prefix, text in facts["symbols"].items()},
        libraries=frozenset(facts["libraries"]),
        also=frozenset(facts["also"]),
        loaders={architecture: frozenset(names) for architecture, names in facts["loaders"].items()},
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def libraries(target: Target) -> list[str]:
    """The shared libraries that the runtime certainly has: what is not among them is packed."""
    return sorted(system(target.runtime).libraries)
