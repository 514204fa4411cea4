"""What no wheel is offered for: built from source distributions in the container, once, and then kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from layerkit import targets, uv
from layerkit.builders import Installed, Tell, Wanted
from layerkit.builders.box import Result
from layerkit.builders.boxes import Boxes, full, short, tail
from layerkit.builders.engine import TOP
from layerkit.builders.sdists import KeptWheels, Wheel, build_requires, fetch, make_wheel
from layerkit.builders.wheels import install_file
from layerkit.errors import BuildFailed, LayerkitError, MachineError
from layerkit.files import write_atomically
from layerkit.model import Environment, Origin, Pin
from layerkit.offers import Offer

# What programs say that found no network: resolvers, curl, Python, uv without its network.
NO_NETWORK = re.compile(
    r"name resolution|Name or service not known|Network is unreachable|Could not resolve host|getaddrinfo"
    r"|connectivity is disabled|the network was disabled|Max retries exceeded"
)
UV_WRAP_UP = re.compile(
    r"^\s*(×|error:) (Failed to build|Build backend|The build backend).*", re.MULTILINE | re.DOTALL
)


def build(
    boxes: Boxes, wanted: Sequence[Wanted], offered: Mapping[Pin, Offer], tell: Tell
) -> dict[Wanted, Installed]:
    """Install each distribution from a wheel that was built of its source distribution, now or before.

    Raises BuildFailed, HashMismatch, IndexUnreachable, MachineError.
    """
    installed: dict[Wanted, Installed] = {}
    for environment, group in groupby(sorted(wanted, key=_environment), key=_environment):
        for one, wheel in _Build(boxes, environment, [*group], offered, tell).wheels():
            home = boxes.folder / f"built-{len(installed)}"
            install_file(wheel.file, boxes.target, home, boxes.folder)
            origin = Origin(
                builder=boxes.origin.builder, image=boxes.origin.image, digest=boxes.origin.digest, sdist=True
            )
            installed[one] = Installed(home=home, origin=origin, libraries=_packed(boxes, one, wheel))
    return installed


def _environment(wanted: Wanted) -> Environment:
    return wanted.environment


def _packed(boxes: Boxes, one: Wanted, wheel: Wheel) -> Mapping[str, Path]:
    if wheel.libraries and not one.environment.pack_libraries:
        names = ", ".join(wheel.libraries)
        boxes.host.says.warn(
            f"{one.pin} needs {names}, which {boxes.target.runtime} lacks; with pack_libraries: false nobody packs it"
        )
        return {}
    return wheel.libraries


@dataclass(slots=True)
class _Build:
    """Wheels for distributions that have the same environment."""

    boxes: Boxes
    environment: Environment
    wanted: Sequence[Wanted]
    offered: Mapping[Pin, Offer]
    tell: Tell

    def wheels(self) -> Iterator[tuple[Wanted, Wheel]]:
        boxes, kept = self.boxes, KeptWheels(self.boxes.host.cache.folder / "wheels")
        folder = boxes.folder / f"sdists-{short(str(self.environment))}"
        files: dict[Wanted, Path] = {}
        keys: dict[Wanted, str] = {}
        for one in self.wanted:
            offer = self.offered[one.pin]
            sdist = offer.sdist_sha256
            if f"sha256:{sdist}" not in one.pin.hashes:  # an index that tells no hash, or another: look at the bytes
                files[one], sdist = fetch(one.pin, offer, boxes.settings, folder)
            keys[one] = kept.key(sdist, boxes.origin.digest, one, boxes.target)
        missing = [one for one in self.wanted if not kept.get(keys[one])]
        for one in missing:
            if one not in files:
                files[one], _ = fetch(one.pin, self.offered[one.pin], boxes.settings, folder)
        for one, made in self._build(missing, files) if missing else ():
            kept.put(keys[one], made)
        for one in self.wanted:
            wheel = kept.get(keys[one])
            if not wheel:
                raise MachineError(
                    "a wheel vanished from the cache at once", where=str(kept.folder), cure="build again"
                )
            yield one, wheel

    def _build(self, missing: Sequence[Wanted], files: Mapping[Wanted, Path]) -> Iterator[tuple[Wanted, Path]]:
        """Folders with a wheel and its libraries."""
        boxes = self.boxes
        offline = {}
        if not self.environment.network:
            self._fetch_build_requirements([files[one] for one in missing])
            offline = {"UV_OFFLINE": "1"}
        box = boxes.box(self.environment)
        self.tell([one.pin for one in missing], "building")
        box.put({f"sdists/{files[one].name}": files[one] for one in missing})
        steps = [
            {
                "do": "wheel",
                "name": one.pin.name,
                "sdist": f"{TOP}/sdists/{files[one].name}",
                "provided": targets.libraries(boxes.target),
            }
            for one in missing
        ]
        results = boxes.run(box, steps, None, offline, together=True)
        logs = [self._write_log(one.pin, result) for one, result in zip(missing, results, strict=True)]
        for one, result, log in zip(missing, results, logs, strict=True):
            if result.status != 0 and not result.facts.get("skipped"):
                raise self._failure(one.pin, result, log)
        for number, (one, result) in enumerate(zip(missing, results, strict=True)):
            if result.facts["missing"]:
                names = ", ".join(result.facts["missing"])
                boxes.host.says.warn(f"{one.pin} needs {names}, which the build image does not have either")
            home, made = (
                boxes.folder / f"{kind}-{short(str(self.environment))}-{number}" for kind in ("home", "made")
            )
            made.mkdir()
            box.get(f"work/unpacked/{one.pin.name}", home)
            make_wheel(home, str(result.facts["wheel"]), one.pin, boxes.target, boxes.settings.secrets, made)
            if result.facts["libraries"]:
                box.get(f"work/unpacked/{one.pin.name}.libraries", made / "libraries")
            yield one, made

    def _fetch_build_requirements(self, sdists: Sequence[Path]) -> None:
        """Into the package cache, by a container that has a network."""
        command = [f"{TOP}/bin/uv", "pip", "install", "--python", "{python}", "--target"]
        needed = [build_requires(sdist) for sdist in sdists]
        steps = [
            {"do": "run", "command": [*command, f"{TOP}/work/requirements-{number}", "--", *requires]}
            for number, requires in enumerate(needed)
            if requires
        ]
        results = self.boxes.run(self.boxes.box(), steps) if steps else []
        if results and results[-1].status is None:
            raise self.boxes.late("fetching what builds need")
        if results and results[-1].status:
            raise uv.failure(results[-1].output)

    def _write_log(self, pin: Pin, result: Result) -> Path:
        log = self.boxes.host.cache.folder / "logs" / f"{pin.name}-{pin.version}-{self.boxes.target.label}.log"
        write_atomically(log, f"{result.output}\n{result.facts.get('problem', '')}".encode())
        return log

    def _failure(self, pin: Pin, result: Result, log: Path) -> LayerkitError:
        own = tail(UV_WRAP_UP.sub("", result.output)) or tail(result.output)  # uv's own summary says nothing more
        why = "\n".join(filter(None, [own, str(result.facts.get("problem", "")), f"the whole log: {log}"]))
        if result.status is None:
            error = self.boxes.late(f"building {pin}")
            error.why = why
            return error
        if "No space left on device" in why:
            return full(why) or BuildFailed("the disk is full")
        if not self.environment.network and NO_NETWORK.search(result.output):
            return BuildFailed(
                f"the build of {pin} tried to reach the network, which network: none forbids",
                why=why,
                cure="choose a version that offers a wheel, or take network: none from the layer if you trust it",
            )
        return BuildFailed(
            f"{pin} cannot be built for {self.boxes.target.label}",
            why=why,
            cure="what its build lacks may be a package of the system: system_packages in layers.yaml",
        )
