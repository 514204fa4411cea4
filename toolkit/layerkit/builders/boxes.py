"""The containers of a target, opened when they are needed, and what runs in them gets of this machine."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from layerkit import network, uv
from layerkit.builders import Unfit
from layerkit.builders.box import COMMAND, Box, Result
from layerkit.builders.engine import CACHE, Engine, containers, images
from layerkit.builders.engine.images import Image
from layerkit.cache import Cache
from layerkit.errors import BuildFailed, LayerkitError, MachineError, ResolutionError
from layerkit.files import write_atomically
from layerkit.model import Environment, Origin, Target

LAST_LINES = 20  # of what failed, in its error


class Says(Protocol):
    """Where the builder tells what a person should know."""

    def note(self, message: str) -> None: ...
    def warn(self, message: str) -> None: ...


class Host:
    """The engine and its images, as this machine's layerkit knows them; asked when there is work, and not before."""

    def __init__(self, cache: Cache, says: Says) -> None:
        self.cache, self.says = cache, says
        self.engine: Engine | None = None
        self.images: dict[Target, tuple[Image, str]] = {}
        self.told: set[str] = set()

    def connect(self) -> Engine:
        """Raises Unfit when no engine answers."""
        if not self.engine:
            self.engine = Engine.connect(self.cache.folder)
            containers.tidy(self.engine, self.cache.is_live)
        return self.engine

    def image(self, target: Target) -> tuple[Image, str]:
        """The target's build image, and the ID of the one that was made of it for layerkit.  Raises Unfit."""
        if target not in self.images:
            engine = self.connect()
            base = images.get(engine, target.image, target.machine, self.says.note)
            self.images[target] = base, images.labelled(engine, base, target.machine, self.says.note)
        return self.images[target]

    def volume(self, target: Target) -> str:
        """The name of the package cache that outlives containers; a cache folder of one's own has its own."""
        own = f"-{short(str(self.cache.folder))}" if "LAYERKIT_CACHE_DIR" in os.environ else ""
        return f"layerkit-packages-{target.architecture}{own}"

    def release(self, target: Target) -> str:
        """The CPython release that the image was seen to have; empty when it was never run."""
        return self._memory().get(target.image, "")

    def remember(self, target: Target, release: str) -> None:
        memory = self._memory()
        if memory.get(target.image) != release:
            content = json.dumps(memory | {target.image: release}, indent=1, sort_keys=True)
            write_atomically(self.cache.folder / "images.json", content.encode())

    def _memory(self) -> dict[str, str]:
        try:
            return dict(json.loads((self.cache.folder / "images.json").read_text()))
        except (OSError, ValueError, TypeError):
            return {}

    def tell(self, target: Target) -> None:
        """Say in one line, once for an image, which builder is at work."""
        if target.image not in self.told and self.engine:
            self.told.add(target.image)
            emulated = "" if self.engine.architecture == target.machine else ", emulated"
            self.says.note(f"builder: container ({self.engine.name}, {target.image}{emulated})")


class Boxes:
    """One container does all work for a target; others only what an environment keeps apart."""

    def __init__(self, host: Host, target: Target, folder: Path, limit: int, stack: ExitStack) -> None:
        self.host, self.target, self.folder = host, target, folder
        self.limit, self.stack = limit, stack  # seconds for a step; what closes the containers
        self.boxes: dict[Environment, Box] = {}
        self.settings = network.read()
        if self.settings.unreachable:
            raise Unfit(
                "the package index is a folder of this machine, which a container does not see",
                where=uv.redact(self.settings.unreachable),
                cure="serve it over HTTP, or layerkit build --builder wheels",
            )
        host.connect()  # first: without an engine no uv is fetched for it
        uv.find()  # its first call is not safe in threads (sysconfig, until Python 3.12)
        pool = stack.enter_context(ThreadPoolExecutor(1))
        self.uv = pool.submit(uv.for_machine, target.machine, host.cache.folder / "tools", folder.parent)
        image, self.image = host.image(target)
        self.origin = Origin(builder="container", image=image.reference, digest=image.digest)

    def box(self, environment: Environment | None = None) -> Box:
        """The container for this environment; by default the one that does everything else."""
        given = environment or Environment()
        wanted = Environment(system_packages=given.system_packages, network=given.network)
        if wanted not in self.boxes:
            image = self._with_packages(wanted.system_packages) if wanted.system_packages else self.image
            box = self._open(image, self.stack, connected=wanted.network)
            box.put({"bin/uv": self._uv()}, mode=0o755)
            self.boxes[wanted] = box
        return self.boxes[wanted]

    def _uv(self) -> Path:
        try:
            return self.uv.result()
        except ResolutionError as error:
            raise Unfit(error.what, why=error.why, cure=error.cure) from None

    def _open(self, image: str, stack: ExitStack, *, connected: bool = True) -> Box:
        mode = "none" if not connected else "host" if self.settings.loopback else ""
        opened = containers.opened(
            self.host.connect(),
            image,
            COMMAND.format(minor=self.target.python),
            machine=self.target.machine,
            owner=self.folder.parent.name,  # the workspace, which is locked while its process lives
            volume=self.host.volume(self.target),
            network=mode,
        )
        return Box(stack.enter_context(opened), self.target.machine, self.target.python)

    def run(
        self,
        box: Box,
        steps: Sequence[Mapping[str, object]],
        files: Mapping[str, bytes] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        together: bool = False,
    ) -> list[Result]:
        """Do the steps in `box`, with this machine's network settings; see Box.run."""
        own = {
            "UV_CACHE_DIR": f"{CACHE}/uv",
            "UV_LINK_MODE": "copy",
            "HOME": "/root",
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": "315532800",  # 1980, the oldest that a zip can say
        }
        results = box.run(
            [{**step, "limit": self.limit} for step in steps],
            environment={**self.settings.environment, **own, **(environment or {})},
            files={**self.settings.files, **(files or {})},
            secrets=self.settings.secrets,
            limit=self.limit,
            together=together,
        )
        self.host.remember(self.target, box.release)
        self.host.tell(self.target)
        return results

    def _with_packages(self, packages: Sequence[str]) -> str:
        """The ID of the image with system packages, which is made once and kept by the engine."""
        engine = self.host.connect()
        tag = f"layerkit-packages:{short(' '.join([self.image, *packages]))}"
        found = images.find(engine, tag)
        if found:
            return found
        names = " ".join(packages)
        self.host.says.note(f"installing {names} in the build container")
        with ExitStack() as stack:
            box = self._open(self.image, stack)
            [result] = self.run(box, [{"do": "packages", "names": list(packages)}])
            what = f"the system packages {names} cannot be installed"
            if result.facts.get("missing"):
                why = "it has neither dnf, microdnf, yum nor apt-get"
                raise BuildFailed(what, where=self.target.image, why=why, cure="name an image that has one")
            if result.status is None:
                raise self.late(f"installing {names}")
            if result.status:
                why = tail(result.output)
                raise full(why) or BuildFailed(what, where=self.target.image, why=why, cure="check their names")
            return box.container.commit(tag, {"io.layerkit.role": "builder", "io.layerkit.packages": names})

    def late(self, what: str) -> LayerkitError:
        """The error for a step that took too long."""
        limit = f"{self.limit / 60:g} minute{'s' if self.limit != 60 else ''}"
        cure = "raise container.step_minutes in layers.yaml, or find out what it waits for"
        return BuildFailed(f"{what} took more than {limit} and was ended", cure=cure)


def full(output: str) -> LayerkitError | None:
    """The error for a full disk, if that is what a program's output tells."""
    if "No space left on device" not in output:
        return None
    cure = "free some space on the container engine's disk: docker system df"
    return MachineError("the disk is full in the build container", why=tail(output), cure=cure)


def tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-LAST_LINES:])


def short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
