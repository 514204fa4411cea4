"""The container engine.  This package alone knows Docker's SDK.

Everything goes over the engine's API, as archives and without bind mounts, so that a remote engine, a context,
Podman's socket, Colima and Docker Desktop work alike.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerkit.builders import Unfit
from layerkit.builders.refusals import DOCTOR, failure
from layerkit.errors import EngineError

if TYPE_CHECKING:
    import docker

LABEL = "io.layerkit"  # what images, containers and volumes are known by
TOP = "/layerkit"  # in the container
CACHE = f"{TOP}/cache"
CONNECTING, ANSWERING = 10, 600  # seconds; keeping a container with system packages as an image takes long
# Where engines listen that set neither DOCKER_HOST nor a context.
SOCKETS = (
    "~/.docker/run/docker.sock",
    "~/.colima/default/docker.sock",
    "$XDG_RUNTIME_DIR/docker.sock",
    "$XDG_RUNTIME_DIR/podman/podman.sock",
    "/run/podman/podman.sock",
)
# With qemu's default CPU, which has SME, OpenBLAS computes wrong products without a word; `max` is each qemu's own.
QEMU_CPU = {"aarch64": "neoverse-n1"}
PLATFORMS = {"aarch64": "linux/arm64", "x86_64": "linux/amd64"}


class Engine:
    """A connection to a container engine."""

    def __init__(self, client: docker.DockerClient, facts: Mapping[str, Any], machine: str) -> None:
        self.client = client
        self.machine = machine  # the identity of this client's machine and cache
        components = {c["Name"] for c in facts.get("Components", [])}
        product = "Podman" if any("Podman" in name for name in components) else "Docker"
        self.name = f"{product} {facts.get('Version', '')}".strip()
        self.architecture = {"amd64": "x86_64", "arm64": "aarch64"}.get(facts.get("Arch", ""), facts.get("Arch", ""))

    @classmethod
    def connect(cls, cache: Path, answering: int = ANSWERING) -> Engine:
        """The engine of DOCKER_HOST, of the context, or of a usual socket.  Raises Unfit when none answers.

        `cache` is layerkit's cache folder: with the machine's name it tells whose containers are whose.  `answering`
        is the time limit of a call, in seconds.
        """
        try:
            import docker
            from docker.errors import DockerException
        except ImportError as error:
            raise Unfit("Docker's SDK cannot be used", why=str(error), cure="pip install docker") from None
        tried = []
        host = os.environ.get("DOCKER_HOST", "")
        for socket in ("", *([] if host else _sockets())):
            try:
                if socket:
                    client = docker.DockerClient(f"unix://{socket}", timeout=CONNECTING)
                else:
                    client = docker.from_env(use_ssh_client=host.startswith("ssh:"), timeout=CONNECTING)
                facts = client.version()
                client.api.timeout = answering
                return cls(client, facts, hashlib.sha256(f"{platform.node()} {cache}".encode()).hexdigest()[:16])
            except (DockerException, OSError, ValueError) as error:
                tried.append(f"{f'unix://{socket}' if socket else host or 'Docker'}: {error}")
        why = "\n".join(tried)
        cure = 'pip install "layerkit[ssh]"' if "paramiko" in why else DOCTOR
        raise Unfit("no container engine answers", why=why, cure=cure)

    @property
    def socket(self) -> str:
        """The path of the socket that is talked to; empty for an engine that is reached in another way."""
        return str(getattr(self.client.api.get_adapter(self.client.api.base_url), "socket_path", ""))

    @property
    def address(self) -> str:
        return self.socket or self.client.api.base_url

    def info(self) -> Mapping[str, Any]:
        with self.talking():
            return dict(self.client.info())

    def close(self) -> None:
        self.client.close()

    @contextmanager
    def talking(self, kind: type[EngineError] = EngineError) -> Iterator[None]:
        """Turns failures of the engine and of the way to it into ours; `kind` is Unfit while no work was begun."""
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except APIError as error:
            raise failure(error.explanation or str(error), kind) from None
        except (DockerException, RequestException, HTTPError, ConnectionError, TimeoutError) as error:
            raise kind(
                f"the container engine ({self.name}) went away",
                why=str(error),
                cure="start it and run this again; what was built before is untouched",
            ) from None


def _sockets() -> Iterator[Path]:
    for name in SOCKETS:
        path = Path(os.path.expandvars(name)).expanduser()
        with suppress(OSError):  # in a folder that is closed to this user
            if path.is_socket():
                yield path


def context() -> tuple[str, str]:
    """The context that the command `docker` uses: its name, and its socket if it has one."""
    from docker.context import ContextAPI

    with suppress(Exception):  # one that cannot be read is not what was connected to
        found = ContextAPI.get_current_context()
        socket = re.fullmatch(r"(?:http\+)?unix://(.*)", str(found.Host))
        return str(found.Name), socket[1] if socket else ""
    return "default", ""
