"""The builder without a container: uv installs wheels for the target, on any host."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from layerkit import offers, uv
from layerkit.builders import Installed, Modules, OtherRelease, Tell, Wanted
from layerkit.errors import LayerkitError, ResolutionError
from layerkit.installed import metadata_folders, recorded
from layerkit.model import Origin, Pin, Target
from layerkit.offers import Offer

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

    def __init__(
        self, cure: str = "choose a version that offers one, or build it: layerkit build --builder container"
    ):
        self.cure = cure

    @contextmanager
    def session(self, target: Target, folder: Path, step_limit: int) -> Iterator[WheelsSession]:  # noqa: ARG002
        yield WheelsSession(target, folder, self.cure)

    def release(self, target: Target) -> str:  # noqa: ARG002
        return ""


class WheelsSession:
    def __init__(self, target: Target, folder: Path, cure: str) -> None:
        self.target, self.folder, self.cure = target, folder, cure

    def install(self, wanted: Sequence[Wanted], tell: Tell) -> Mapping[Wanted, Installed]:
        pins = sorted({one.pin for one in wanted})
        tell(pins, "installing")
        homes = apart(pins, self.folder, self._install)
        return {one: Installed(home=homes[one.pin], origin=Origin(builder="wheels")) for one in wanted}

    def compile(self, release: str, modules: Modules) -> Origin:  # noqa: ARG002
        raise OtherRelease

    def _install(self, pins: Sequence[Pin], folder: Path) -> Sequence[Pin]:
        def run(wanted: str, options: Sequence[str]) -> None:
            (self.folder / "requirements.txt").write_text(wanted)
            options = ["--target", str(folder), "--requirements", "requirements.txt", *options]
            options = [*options, "--link-mode", "hardlink", "--python", sys.executable]
            uv.run(["pip", "install", *options], cwd=self.folder)

        lacking, offered = install_wheels(pins, self.target, run, self.folder)
        if lacking:
            raise offers.no_wheel(lacking, offered, self.target, self.cure)
        return pins


def apart(
    pins: Sequence[Pin], folder: Path, install: Callable[[Sequence[Pin], Path], Sequence[Pin]]
) -> dict[Pin, Path]:
    """Install pins in one folder, and those that own a path together once more, each alone; pin -> its folder.

    `install` names the pins that it installed.
    """
    together = folder / "all"
    done = install(pins, together)
    homes = dict.fromkeys(done, together)
    for pin in sharing_paths(together, done):
        homes[pin] = folder / pin.name
        install([pin], homes[pin])
    return homes


def install_file(wheel: Path, target: Target, folder: Path, cwd: Path) -> None:
    """Install a wheel that was made here."""
    arguments = ["--no-deps", "--only-binary", ":all:", "--python-version", target.python]
    arguments += ["--python-platform", platform_above(target), "--link-mode", "hardlink", "--offline"]
    arguments += ["--python", sys.executable]
    uv.run(["pip", "install", "--target", str(folder), *arguments, str(wheel)], cwd=cwd)


def install_wheels(
    pins: Sequence[Pin], target: Target, run: Callable[[str, Sequence[str]], None], cwd: Path
) -> tuple[list[Pin], Mapping[Pin, Offer]]:
    """Install the pins' wheels by `run`, which gets a requirements file's text and uv's options.

    The answer names the pins for which the index offers no wheel for the target (nothing is installed then), with
    what it offers.
    """
    try:
        run(_requirements(pins, {}), options(target, platform(target)))
    except ResolutionError as error:
        try:
            offered = offers.on_index(pins, cwd)
        except LayerkitError:
            raise error from None
        chosen = {pin: offers.best_wheel(offer.wheels, target) for pin, offer in offered.items()}
        lacking = [pin for pin in chosen if chosen[pin] is None]
        if lacking:
            return lacking, offered
        if (target.glibc[0], RUNGS[0]) < target.glibc < (target.glibc[0], RUNGS[1]):
            # Amazon Linux 2 stands between two of uv's rungs: name the wheels ourselves, and let uv take them
            urls = {pin: url for pin, url in chosen.items() if url}
            run(_requirements(pins, urls), options(target, platform_above(target)))
            return [], {}
        raise
    return [], {}


def options(target: Target, platform: str) -> list[str]:
    """uv's, for both builders alike: exactly the locked files, wheels alone, for the target."""
    strict = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    return [*strict, "--python-version", target.python, "--python-platform", platform]


def _requirements(pins: Sequence[Pin], urls: Mapping[Pin, str]) -> str:
    lines = [
        " ".join(
            [
                f"{pin.name} @ {urls[pin]}" if pin in urls else f"{pin.name}=={pin.version}",
                *(f"--hash={value}" for value in pin.hashes),
            ]
        )
        for pin in pins
    ]
    return "\n".join(lines) + "\n"


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
