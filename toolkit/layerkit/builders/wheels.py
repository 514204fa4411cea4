"""The builder without a container: uv installs wheels for the target, on any host."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from layerkit import uv
from layerkit.errors import LayerkitError, ResolutionError, WheelMissing
from layerkit.installed import metadata_folders, recorded
from layerkit.model import Pin, Target

# The glibc 2.x that uv's --python-platform knows; each takes the whole ladder of manylinux tags below it.
RUNGS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)


def platform(target: Target) -> str:
    """uv's name of the highest platform that the target's glibc can run."""
    minor = max(rung for rung in RUNGS if (2, rung) <= target.glibc)
    return f"{target.machine}-manylinux_2_{minor}"


class WheelsBuilder:
    """Wheels alone; a distribution that offers none for the target is an error that says what there is."""

    name = "wheels"

    def install(self, pins: Sequence[Pin], target: Target, into: Path) -> Mapping[Pin, Path]:
        together = into / "all"
        self._install(pins, target, together, into)
        homes = dict.fromkeys(pins, together)
        for pin in sharing_paths(together, pins):
            homes[pin] = into / pin.name  # alone, so that nothing is overwritten
            self._install([pin], target, homes[pin], into)
        return homes

    def _install(self, pins: Sequence[Pin], target: Target, folder: Path, cwd: Path) -> None:
        wanted = cwd / "requirements.txt"
        wanted.write_text(requirements(pins))
        # --no-config: a setting of the user's about resolving must not change what was locked
        arguments = [
            "pip",
            "install",
            "--target",
            str(folder),
            "--requirements",
            str(wanted),
            "--require-hashes",
        ]
        arguments += ["--no-deps", "--only-binary", ":all:", "--python-version", target.python]
        try:
            uv.run([*arguments, "--python-platform", platform(target), "--link-mode", "hardlink"], cwd=cwd)
        except ResolutionError as error:
            raise self._explained(error, pins, target, cwd) from None

    def _explained(self, error: ResolutionError, pins: Sequence[Pin], target: Target, cwd: Path) -> LayerkitError:
        """In place of the resolver's proof: which distributions have no wheel, and which wheels there are."""
        try:
            offered = wheels_on_index(pins, cwd)
        except LayerkitError:
            return error
        lines = [
            f"{pin}: its wheels are for {', '.join(_tags(there))}" if there else f"{pin}: only a source distribution"
            for pin, there in offered.items()
            if not any(_fits(wheel, target) for wheel in there)
        ]
        if not lines:
            return error
        glibc = ".".join(map(str, target.glibc))
        return WheelMissing(
            f"no wheel that {target.runtime} on {target.architecture} (glibc {glibc}) can use",
            why="\n".join(lines),
            cure="build the layers in the container, which can compile, or choose another version in layers.yaml",
        )


def requirements(pins: Sequence[Pin]) -> str:
    """A requirements file of exactly these pins."""
    return "".join(f"{pin.name}=={pin.version} {' '.join(f'--hash={h}' for h in pin.hashes)}\n" for pin in pins)


def sharing_paths(root: Path, pins: Sequence[Pin]) -> list[Pin]:
    """The distributions that own a path that another one in `root` owns too, with other bytes."""
    folders = metadata_folders(root)
    owners: dict[str, tuple[Pin, tuple[str, str]]] = {}
    found: dict[Pin, None] = {}
    for pin in pins:
        for path, row in recorded(folders[pin.name]).items():
            owner, first = owners.setdefault(path, (pin, row))
            if owner != pin and (first != row or not row[0]):
                found |= {owner: None, pin: None}
    return list(found)


def wheels_on_index(pins: Sequence[Pin], cwd: Path) -> dict[Pin, list[str]]:
    """The file names of the wheels that the index offers for each pin."""
    wanted = cwd / "offered.in"
    wanted.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
    lock = uv.run(
        ["pip", "compile", "--no-deps", "--universal", "--format", "pylock.toml", "--quiet", str(wanted)],
        cwd=cwd,
    )
    offered = {}
    packages = {package["name"]: package for package in tomllib.loads(lock).get("packages", [])}
    for pin in pins:
        if pin.name in packages:
            wheels = packages[pin.name].get("wheels", [])
            offered[pin] = [wheel.get("name") or wheel["url"].rpartition("/")[2] for wheel in wheels]
    return offered


def _tags(wheels: Sequence[str]) -> Iterator[str]:
    """What the file names say after name and version, each once."""
    yield from sorted({wheel.removesuffix(".whl").split("-", 2)[2] for wheel in wheels if wheel.count("-") >= 4})


def _fits(wheel: str, target: Target) -> bool:
    from packaging.tags import compatible_tags, cpython_tags

    major, minor = map(int, target.python.split("."))
    platforms = [f"manylinux_2_{n}_{target.machine}" for n in range(target.glibc[1], 4, -1)]
    platforms += [f"{name}_{target.machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
    usable = {
        *cpython_tags((major, minor), platforms=platforms),
        *compatible_tags((major, minor), f"cp{major}{minor}", platforms),
    }
    try:
        return not usable.isdisjoint(parse_wheel_filename(wheel)[3])
    except InvalidWheelFilename:
        return False
