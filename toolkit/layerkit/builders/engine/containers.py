"""Containers, which never outlive their work."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from layerkit.builders import Unfit
from layerkit.builders.engine import CACHE, LABEL, PLATFORMS, QEMU_CPU, TOP, Engine

if TYPE_CHECKING:
    from docker.models import containers

RIGHTS = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"]  # of a closed container
ABANDONED = 24 * 3600  # seconds after which a container of another machine's client is surely nobody's any more


class Container:
    """A container that may be started again and again with the same command."""

    def __init__(self, engine: Engine, container: containers.Container) -> None:
        self.engine, self.container = engine, container

    def put(self, archive: bytes) -> None:
        """Unpack a tar of whole paths."""
        with self.engine.talking():
            self.container.put_archive("/", archive)

    def get(self, path: str) -> Iterator[bytes]:
        """The tar of a folder below /layerkit, in chunks."""
        with self.engine.talking():
            stream, _ = self.container.get_archive(f"{TOP}/{path}", chunk_size=1 << 20)
            yield from stream

    def start(self) -> Iterator[bytes]:
        """Start the command; what all its runs have printed, in chunks, until it ends."""
        with self.engine.talking(Unfit):
            self.container.start()
        with self.engine.talking():
            yield from self.container.logs(stream=True, follow=True)

    def wait(self) -> tuple[int, bool]:
        """The command's exit status, and whether it ran out of memory."""
        with self.engine.talking():
            status = int(self.container.wait()["StatusCode"])
            self.container.reload()
        return status, bool(self.container.attrs.get("State", {}).get("OOMKilled"))

    def kill(self) -> None:
        with suppress(Exception):  # it has ended by itself, or the engine has
            self.container.kill()

    def commit(self, tag: str, labels: Mapping[str, str]) -> str:
        """Keep the container's file system as an image; its ID."""
        repository, _, version = tag.partition(":")
        changes = [f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()]
        with self.engine.talking():
            return str(self.container.commit(repository, version, changes=changes).id)


@contextmanager
def opened(
    engine: Engine, image: str, command: str, *, machine: str, owner: str, volume: str = "", network: str = "",
    closed: bool = False,
) -> Iterator[Container]:  # fmt: skip
    """A container of `image` with this shell command, which is gone when the work in it is, however that ends.

    `owner` is the workspace of this run, by which a later run knows whether this one is still at work.  `closed`
    leaves its root only the rights to arrange files and to become another user; it has no /dev/shm, as in Lambda.
    """
    from docker.types import Mount

    name = f"layerkit-{owner}-{os.urandom(4).hex()}"  # known before the engine answers
    rights: dict[str, Any] = {"cap_drop": ["ALL"], "cap_add": RIGHTS, "ipc_mode": "none"} if closed else {}
    labels = {f"{LABEL}.role": "builder", f"{LABEL}.machine": engine.machine, f"{LABEL}.owner": owner}
    try:
        with engine.talking(Unfit):
            if not network and not engine.client.networks.list(names=["bridge", "podman"]):
                network = "host"  # an engine without bridges
            made = engine.client.containers.create(
                image, [command], entrypoint=["/bin/sh", "-c"], name=name, labels=labels,
                platform=PLATFORMS[machine], init=True, user="0", working_dir="/",
                environment={"QEMU_CPU": QEMU_CPU.get(machine, "max")}, network_mode=network or None,
                mounts=[Mount(CACHE, volume, labels={f"{LABEL}.role": "packages"})] if volume else [],
                security_opt=["no-new-privileges"], **rights,
            )  # fmt: skip
        yield Container(engine, made)
    finally:
        try:
            _remove(engine, name)
        except KeyboardInterrupt:  # at just this moment
            _remove(engine, name)
            raise


def _remove(engine: Engine, name: str) -> None:
    """Quietly: what went wrong before is what has to be told."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    with suppress(APIError, DockerException, RequestException, OSError):
        engine.client.api.remove_container(name, force=True, v=True)


def tidy(engine: Engine, is_live: Callable[[str], bool]) -> None:
    """Remove containers whose client was killed: of this machine, and old ones of any."""
    from docker.errors import APIError

    with engine.talking(Unfit):
        found = engine.client.api.containers(all=True, filters={"label": f"{LABEL}.role=builder"})
    for one in found:
        labels = one.get("Labels") or {}
        ours = labels.get(f"{LABEL}.machine") == engine.machine
        if (ours and not is_live(labels.get(f"{LABEL}.owner", ""))) or time.time() - one["Created"] > ABANDONED:
            with suppress(APIError):  # somebody else does it
                engine.client.api.remove_container(one["Id"], force=True, v=True)
