"""The builder without a container: uv installs wheels for the target, on any host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from layerkit import offers, uv
from layerkit.errors import LayerkitError, ResolutionError
from layerkit.installed import metadata_folders, recorded
from layerkit.model import Pin, Target

# The glibc 2.x that uv's --python-platform knows; each takes the whole ladder of manylinux tags below it.
RUNGS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)


def platform(target: Target) -> str:
    """uv's name of the highest platform that the target's glibc can run."""
    minor = max(rung for rung in RUNGS if (2, rung) <= target.glibc)
    return f"{target.machine}-manylinux_2_{minor}"


def platform_above(target: Target) -> str:
    """uv's name of the next platform: it takes every wheel for the target, and some that are too new."""
    minor = min(rung for rung in RUNGS if (2, rung) > target.glibc)
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
        try:
            _run(pins, {}, platform(target), target, folder, cwd)
        except ResolutionError as error:
            try:
                offered = offers.on_index(pins, cwd)
            except LayerkitError:
                raise error from None
            chosen = {pin: offers.best_wheel(wheels, target) for pin, wheels in offered.items()}
            if None in chosen.values():
                raise offers.no_wheel([pin for pin in chosen if chosen[pin] is None], offered, target) from None
            if (target.glibc[0], RUNGS[0]) < target.glibc < (target.glibc[0], RUNGS[1]):
                # Amazon Linux 2 stands between two of uv's rungs: name the wheels ourselves, and let uv take them
                urls = {pin: url for pin, url in chosen.items() if url}
                _run(pins, urls, platform_above(target), target, folder, cwd)
                return
            raise


def _run(
    pins: Sequence[Pin], urls: Mapping[Pin, str], platform: str, target: Target, folder: Path, cwd: Path
) -> None:
    wanted = cwd / "requirements.txt"
    lines = [
        " ".join([f"{pin.name} @ {urls[pin]}" if pin in urls else f"{pin.name}=={pin.version}", *_hashes(pin)])
        for pin in pins
    ]
    wanted.write_text("\n".join(lines) + "\n")
    arguments = ["pip", "install", "--target", str(folder), "--requirements", str(wanted), "--require-hashes"]
    arguments += ["--no-deps", "--only-binary", ":all:", "--python-version", target.python]
    uv.run([*arguments, "--python-platform", platform, "--link-mode", "hardlink"], cwd=cwd)


def _hashes(pin: Pin) -> list[str]:
    return [f"--hash={value}" for value in pin.hashes]


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
