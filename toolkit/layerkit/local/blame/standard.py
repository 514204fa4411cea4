"""Which modules Python itself has, in which version, and which distribution brings others."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from layerkit import targets

MOST_NAMES = 3  # of a shared package's distribution, below the package: azure-storage-blob


@cache
def _data(file: str) -> Mapping[str, Any]:
    return tomllib.loads(resources.files("layerkit").joinpath(f"data/{file}").read_text(encoding="utf-8"))


@cache
def modules(python: str) -> frozenset[str]:
    """The standard library's of "3.12"."""
    known = _data("python.toml")["stdlib"]
    return frozenset(known["modules"]) - set(known["fewer"].get(python, ())) | set(known["more"].get(python, ()))


def told(module: str, python: str) -> str:
    """Why Python itself has not this module any more, or not yet; "" where it never had it."""
    if module in modules(python):
        return ""
    versions = [name.removeprefix("python") for name in targets.known_runtimes()]
    having = [version for version in versions if module in modules(version)]
    older = [version for version in having if _number(version) < _number(python)]
    if older:
        gone = next(v for v in versions if _number(v) > _number(older[-1]))
        instead = _data("modules.toml")["instead"].get(module, "")
        return f"{module!r} went out of the standard library with Python {gone}" + (
            f"; in its place there is {instead}" if instead else ""
        )
    if having:
        return f"{module!r} is in the standard library from Python {having[0]} on, and this is {python}"
    return ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def known(modules: Sequence[str]) -> str:
    """The requirement that brings the longest of these modules, from the table; "" where it is not there."""
    table = _data("modules.toml")["distributions"]
    found = [(prefix, table[prefix]) for module in modules for prefix in _prefixes(module) if prefix in table]
    return max(found, key=lambda one: one[0].count("."))[1] if found else ""


def guessed(modules: Sequence[str]) -> list[str]:
    """Names that a distribution with these modules is likely to have, the likeliest first."""
    longest = max(modules, key=lambda name: name.count("."))
    parts = longest.split(".")
    depth = _shared(longest)
    if not depth:
        return [parts[0].replace("_", "-")]
    most = min(len(parts), depth + MOST_NAMES - 1)
    return ["-".join(parts[:end]).replace("_", "-") for end in range(most, depth, -1)]


def is_shared(modules: Sequence[str]) -> bool:
    """Whether one is in a package whose distributions are named as its modules are."""
    return any(map(_shared, modules))


def _shared(module: str) -> int:
    """The number of names of the shared package that it is in; 0 for none."""
    for shared in _data("modules.toml")["namespaces"]["shared"]:
        if module.startswith(f"{shared}."):
            return int(shared.count(".")) + 1
    return 0


def popular() -> list[str]:
    """Modules that many people import: what a misspelt one may have meant."""
    data = _data("modules.toml")
    return [*data["popular"]["modules"], *(name for name in data["distributions"] if "." not in name)]


def _prefixes(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
