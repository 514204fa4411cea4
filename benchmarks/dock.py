"""The container engine as the benchmarks use it beside layerkit, and the removal of all that they make in it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import tools
from tools import Failure

from layerkit import network
from layerkit.builders import Unfit
from layerkit.builders.boxes import short
from layerkit.builders.engine import LABEL, PLATFORMS, Engine, images
from layerkit.builders.engine.images import Image
from layerkit.model import Target
from layerkit.targets import find_runtime

STAND_IN = "layerkit.stand-in."  # labels of an image that bears AWS's name and is not AWS's
OF_PIP = (
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_NO_INDEX", "PIP_FIND_LINKS",
    "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Dock:
    """The engine, the image that all sides build in, and what containers get of this machine's network settings."""

    engine: Engine
    program: str  # docker, or what stands for it
    target: Target
    image: Image
    settings: network.Settings
    handed: Path  # the settings' files
    mark: str = field(default_factory=lambda: os.urandom(6).hex())  # of all that is made here

    def __str__(self) -> str:
        emulated = "" if self.engine.architecture == self.target.machine else "emulated "
        labels = self.engine.client.images.get(self.image.id).labels
        stand_in = " (a stand-in, not AWS's own)" if any(name.startswith(STAND_IN) for name in labels) else ""
        return f"{self.engine.name}, {emulated}{self.target.architecture}, {self.image.reference}{stand_in}"

    @property
    def label(self) -> str:
        return f"{LABEL}.benchmark={self.mark}"

    @property
    def variables(self) -> dict[str, str]:
        """The settings that pip, too, understands."""
        ours = {name: value for name, value in self.settings.environment.items() if not name.startswith("UV_")}
        return ours | {name: os.environ[name] for name in OF_PIP if os.environ.get(name)}

    def run(self, *command: str, into: Path | None = None) -> None:
        """`docker run` as one would by hand: settings by -e, their files by mounts, and `into` as /target.

        Raises Failure with the line that tells why.
        """
        mounts = [f"{self.handed}:{network.FOLDER}:ro", *([f"{into}:/target"] if into else [])]
        mounts += [f"{folder}:{folder}:ro" for folder in self.settings.links if folder.is_dir()]
        options = ["--rm", "--init", "--platform", PLATFORMS[self.target.machine], "--label", self.label]
        options += ["--user", f"{os.getuid()}:{os.getgid()}"]
        options += [word for name in self.variables for word in ("-e", name)]
        options += [word for mount in mounts for word in ("-v", mount)]
        options += ["--network", "host"] if self.settings.loopback else []
        env = {**os.environ, **self.variables}
        tools.run(self.program, "run", *options, self.image.reference, *command, env=env)

    def make_image(self, name: str, context: Path, *instructions: str) -> str:
        """The tag of an image on top of the build image, for as long as the dock is open."""
        tag = f"layerkit-benchmark:{name}-{self.mark}"
        lines = (f"FROM {self.image.reference}", f"LABEL {self.label}", *instructions, "")
        (context / "Dockerfile").write_text("\n".join(lines))
        with self.engine.talking():
            self.engine.client.images.build(
                path=str(context), tag=tag, platform=PLATFORMS[self.target.machine], rm=True, forcerm=True
            )
        return tag

    def remove_images(self, label: str) -> None:
        """Those that have this label, what was made of others first."""
        with self.engine.talking():
            found = self.engine.client.images.list(filters={"label": label})
            for image in sorted(found, key=lambda image: str(image.attrs["Created"]), reverse=True):
                self.engine.client.images.remove(str(image.id), force=True)

    def close(self) -> None:
        """Remove the images, and containers that an interrupt left; they inherit their image's label."""
        self._remove_containers(self.label)
        self.remove_images(self.label)

    def _remove_containers(self, label: str) -> None:
        with self.engine.talking():
            for container in self.engine.client.api.containers(all=True, filters={"label": label}):
                self.engine.client.api.remove_container(container["Id"], force=True, v=True)

    def clean(self, folder: Path) -> None:
        """Remove a folder, and what the layerkit whose cache is in it left in the engine: its volume.

        After an interrupt that is its container too, and another may still write into the folder.
        """
        from docker.errors import NotFound

        self._remove_containers(_label_of(folder))
        shutil.rmtree(folder, ignore_errors=True)
        own = short(str(folder / "cache"))
        with self.engine.talking(), suppress(NotFound):
            self.engine.client.volumes.get(f"layerkit-packages-{self.target.architecture}-{own}").remove()

    def now(self) -> float:
        """The engine's clock, which may be another machine's."""
        return datetime.fromisoformat(self.engine.client.info()["SystemTime"]).timestamp()

    def created(self, folder: Path, since: float) -> set[str]:
        """The containers that were made since then for the layerkit whose cache is in `folder`."""
        filters = {"type": "container", "event": "create", "label": _label_of(folder)}
        until = int(self.now()) + 1  # the answer ends when that second has come
        with self.engine.talking():
            events = self.engine.client.events(since=int(since), until=until, filters=filters, decode=True)
            return {str(event["id"]) for event in events}


def _label_of(folder: Path) -> str:
    """Of the containers that the layerkit makes whose cache is in `folder`."""
    return f"{LABEL}.machine={Engine.connect(folder / 'cache').machine}"


@contextmanager
def docked(work: Path) -> Iterator[Dock]:
    """Raises Unfit where no engine answers, or none that can run the build image."""
    runtime = find_runtime(f"python{tools.MINOR}")
    program = shutil.which("docker") or shutil.which("podman")
    if not runtime or not program:
        raise Unfit("there is no program docker")
    target = runtime.target("arm64")
    engine = Engine.connect(work)
    image = images.get(engine, target.image, target.machine, partial(print, file=sys.stderr))
    settings = network.read()
    handed = work / "handed"
    handed.mkdir()
    for name, content in settings.files.items():
        (handed / name).parent.mkdir(parents=True, exist_ok=True)
        (handed / name).write_bytes(content)
    dock = Dock(engine=engine, program=program, target=target, image=image, settings=settings, handed=handed)
    try:
        try:
            dock.run("true")
        except Failure as error:
            raise Unfit(str(error)) from None
        yield dock
    finally:
        dock.close()
