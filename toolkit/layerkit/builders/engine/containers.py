"""Containers, which never outlive their work."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar

from layerkit.builders import Unfit
from layerkit.builders.engine import CACHE, LABEL, PLATFORMS, QEMU_CPU, TOP, Engine

if TYPE_CHECKING:
    from docker.models import containers

T = TypeVar("T")
RIGHTS = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"]  # of a closed container
ABANDONED = 24 * 3600  # seconds after which a container of another machine's client is surely nobody's any more


class Container:
    """A container that may be started again and again with the same command."""

    def __init__(self, engine: Engine, container: containers.Container) -> None:
        self.engine, self.container = engine, container

    def put(self, archive: bytes | IO[bytes]) -> None:
        """Unpack a tar of whole paths."""
        with self.engine.talking():
            self.container.put_archive("/", archive)

    def find(self, path: str) -> str | None:
        """Where this path leads, itself or as a symbolic link; None where nothing is."""
        from docker.errors import NotFound

        with self.engine.talking():
            try:
                stream, facts = self.container.get_archive(path)
            except NotFound:
                return None
            for _ in stream:  # else the connection is not free again
                pass
        return str((facts or {}).get("linkTarget") or path)

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
    try:
        with engine.talking(Unfit):
            network = network or default_network(engine)
            create = partial(
                engine.client.containers.create,
                image, [command], entrypoint=["/bin/sh", "-c"], name=name, labels=labels(engine, "builder", owner),
                platform=PLATFORMS[machine], init=True, user="0", working_dir="/",
                environment={"QEMU_CPU": QEMU_CPU.get(machine, "max")}, network_mode=network or None,
                mounts=[Mount(CACHE, volume, labels={f"{LABEL}.role": "packages"})] if volume else [],
                security_opt=["no-new-privileges"], **rights,
            )  # fmt: skip
            made = undisturbed(create)
        yield Container(engine, made)
    finally:
        remove(engine, [name])


def undisturbed(call: Callable[[], T]) -> T:
    """The answer to a call of the engine, which it ends even if Ctrl-C comes meanwhile.

    Else the engine would still do what it was asked for, while or after what it makes is removed.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def default_network(engine: Engine) -> str:
    """Empty for the engine's own default; an engine without bridges has the host's."""
    return "" if engine.client.networks.list(names=["bridge", "podman"]) else "host"


def labels(engine: Engine, role: str, owner: str) -> dict[str, str]:
    """What tells whose a container or a volume is."""
    return {f"{LABEL}.role": role, f"{LABEL}.machine": engine.machine, f"{LABEL}.owner": owner}


def remove(engine: Engine, names: Sequence[str], volumes: Sequence[str] = ()) -> None:
    """Containers, then volumes.  Quietly: what went wrong before is what has to be told."""
    call = partial(_remove, engine, names, volumes)
    try:
        undisturbed(call)
    except KeyboardInterrupt:  # at just this moment; if it began at all, it is done by now
        undisturbed(call)
        raise


def _remove(engine: Engine, names: Sequence[str], volumes: Sequence[str]) -> None:
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    for name in names:
        with suppress(APIError, DockerException, RequestException, OSError):
            engine.client.api.remove_container(name, force=True, v=True)
    for name in volumes:
        with suppress(APIError, DockerException, RequestException, OSError):
            engine.client.api.remove_volume(name, force=True)


def tidy(engine: Engine, is_live: Callable[[str], bool]) -> None:
    """Remove containers and volumes whose client was killed: of this machine, and old ones of any."""
    filters = {"label": f"{LABEL}.owner"}

    def is_over(one: Mapping[str, Any], made: float) -> bool:
        found = one.get("Labels") or {}
        if found.get(f"{LABEL}.machine") == engine.machine:
            return not is_live(found.get(f"{LABEL}.owner", ""))
        serves = found.get(f"{LABEL}.role") == "function" and one.get("State") == "running"  # as long as its client
        return not serves and time.time() - made > ABANDONED

    with engine.talking(Unfit):
        containers = engine.client.api.containers(all=True, filters=filters)
        volumes = engine.client.api.volumes(filters=filters).get("Volumes") or []
    remove(
        engine,
        [str(one["Id"]) for one in containers if is_over(one, one["Created"])],
        [str(one["Name"]) for one in volumes if is_over(one, _time(str(one.get("CreatedAt", ""))))],
    )


def _time(text: str) -> float:
    """Seconds since 1970; of what says no time: now."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return time.time()
