"""What an index offers of a pinned distribution, and whether a target can use it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from layerkit import uv
from layerkit.errors import WheelMissing
from layerkit.model import Pin, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The files of one version: wheels by file name, and where its source distribution is (empty: there is none)."""

    wheels: Mapping[str, str]  # file name -> URL
    sdist: str = ""  # URL
    sdist_sha256: str = ""  # as the index says; the lock decides


def on_index(pins: Sequence[Pin], cwd: Path) -> dict[Pin, Offer]:
    """What the index offers of each pin."""
    wanted = cwd / "offered.in"
    wanted.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
    arguments = ["pip", "compile", "--no-deps", "--universal", "--format", "pylock.toml", "--quiet", str(wanted)]
    lock = tomllib.loads(uv.run(arguments, cwd=cwd))
    packages = {package["name"]: package for package in lock.get("packages", [])}
    return {pin: _offer(packages.get(pin.name, {}), cwd) for pin in pins}


def _offer(package: Mapping[str, Any], cwd: Path) -> Offer:
    def url(file: Mapping[str, Any]) -> str:
        return str(file.get("url") or (cwd / file["path"]).resolve().as_uri())  # a path: of a folder of links

    wheels = {wheel.get("name") or url(wheel).rpartition("/")[2]: url(wheel) for wheel in package.get("wheels", [])}
    sdist = package.get("sdist")
    if not sdist:
        return Offer(wheels=wheels)
    return Offer(wheels=wheels, sdist=url(sdist), sdist_sha256=sdist.get("hashes", {}).get("sha256", ""))


def best_wheel(wheels: Mapping[str, str], target: Target) -> str | None:
    """The URL of the wheel that an installer on the target would take; None when none fits."""
    python = tuple(map(int, target.python.split(".")))
    platforms = [f"manylinux_2_{n}_{target.machine}" for n in range(target.glibc[1], 4, -1)]
    platforms += [f"{name}_{target.machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
    interpreter = f"cp{''.join(map(str, python))}"
    ranks = {
        tag: rank
        for rank, tag in enumerate(
            [*cpython_tags(python, platforms=platforms), *compatible_tags(python, interpreter, platforms)]
        )
    }
    ranked = [
        (min(ranks[tag] for tag in tags & ranks.keys()), url)
        for name, url in wheels.items()
        for tags in [_parsed_tags(name)]
        if tags & ranks.keys()
    ]
    return min(ranked)[1] if ranked else None


def is_file_of(name: str, pins: Iterable[Pin]) -> bool:
    """True of the file name of a wheel or a source distribution of one of these versions."""
    try:
        found = parse_wheel_filename(name)[:2] if name.endswith(".whl") else parse_sdist_filename(name)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return False
    return found in {(pin.name, Version(pin.version)) for pin in pins}


def _parsed_tags(wheel: str) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(wheel)[3]
    except InvalidWheelFilename:
        return frozenset()


def _tags(wheels: Iterable[str]) -> list[str]:
    """What the file names say after name and version, each once."""
    return sorted({wheel.removesuffix(".whl").split("-", 2)[2] for wheel in wheels if wheel.count("-") >= 4})


def no_wheel(pins: Sequence[Pin], offered: Mapping[Pin, Offer], target: Target, cure: str) -> WheelMissing:
    """The error for pins that offer no wheel for the target: what there is, and the cure."""
    lines = [
        f"{pin}: its wheels are for {', '.join(_tags(offered[pin].wheels))}"
        if offered[pin].wheels
        else f"{pin}: only a source distribution"
        for pin in pins
    ]
    return WheelMissing(
        f"no wheel that {target.runtime} on {target.architecture} (glibc {'.'.join(map(str, target.glibc))}) can use",
        why="\n".join(lines),
        cure=cure,
    )
