"""What an index offers of a pinned distribution, and whether a target can use it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from layerkit import uv
from layerkit.errors import WheelMissing
from layerkit.model import Pin, Target


def on_index(pins: Sequence[Pin], cwd: Path) -> dict[Pin, dict[str, str]]:
    """For each pin the wheels that the index offers: file name -> URL."""
    wanted = cwd / "offered.in"
    wanted.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
    arguments = ["pip", "compile", "--no-deps", "--universal", "--format", "pylock.toml", "--quiet", str(wanted)]
    lock = tomllib.loads(uv.run(arguments, cwd=cwd))
    packages = {package["name"]: package.get("wheels", []) for package in lock.get("packages", [])}
    return {
        pin: {wheel.get("name") or wheel["url"].rpartition("/")[2]: wheel["url"] for wheel in packages[pin.name]}
        for pin in pins
        if pin.name in packages
    }


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


def _parsed_tags(wheel: str) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(wheel)[3]
    except InvalidWheelFilename:
        return frozenset()


def _tags(wheels: Iterable[str]) -> list[str]:
    """What the file names say after name and version, each once."""
    return sorted({wheel.removesuffix(".whl").split("-", 2)[2] for wheel in wheels if wheel.count("-") >= 4})


def no_wheel(pins: Sequence[Pin], offered: Mapping[Pin, Mapping[str, str]], target: Target) -> WheelMissing:
    """The error for pins that offer no wheel for the target: what there is, and the cure."""
    lines = [
        f"{pin}: its wheels are for {', '.join(_tags(offered[pin]))}"
        if offered[pin]
        else f"{pin}: only a source distribution"
        for pin in pins
    ]
    return WheelMissing(
        f"no wheel that {target.runtime} on {target.architecture} (glibc {'.'.join(map(str, target.glibc))}) can use",
        why="\n".join(lines),
        cure="choose a version that offers one; what must be compiled needs the container builder, "
        "which this release does not have yet",
    )
