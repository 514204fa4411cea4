"""A container that runs a function: all of it read-only, /opt and /var/task in volumes of their own.

The volumes are filled through a container that never runs, so no folder of this machine is mounted and the engine may
be a remote one.  What is said to the program inside, and what it says, goes over an attached connection.
"""

from __future__ import annotations

import os
import platform
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerkit.builders import Unfit
from layerkit.builders.engine import LABEL, PLATFORMS, QEMU_CPU, Engine, containers, images
from layerkit.builders.engine.containers import Container
from layerkit.builders.engine.images import Image
from layerkit.errors import EngineError
from layerkit.sandbox.surroundings import RUNTIME

RIGHTS = ["KILL", "SETGID", "SETUID"]  # to become the function's user, and to stop and to end what is that user's
HOST = "host.docker.internal"  # the machine that the engine stands on, seen from within
TMP = 512  # MB of /tmp; Lambda's default
OWN = 64  # MB that the program which watches the function may need, with an event and an answer of 6 MB
OUTPUT, ERRORS, HEADER = 1, 2, 8  # of the engine's frames: kinds, and bytes of a header
CHUNK = 1 << 18
LAST = 4096  # bytes that are kept of standard error, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Dressed:
    """An image that a function can run in."""

    id: str
    python: str  # a path in it
    own: bool  # it has AWS's runtime itself


def emulation(machine: str) -> dict[str, str]:
    """The variables that every emulated process needs."""
    return {"QEMU_CPU": QEMU_CPU.get(machine, "max")}


def shares_loopback(engine: Engine) -> bool:
    """Whether the engine's own network is this machine's: no other machine, no virtual one."""
    local = platform.system() == "Linux" and bool(engine.socket)
    return local and "Desktop" not in str(engine.info().get("OperatingSystem"))


def image(
    engine: Engine, base: Image, key: str, *, machine: str, owner: str, python: str,
    files: Callable[[bool], Path], say: Callable[[str], None],
) -> Dressed:  # fmt: skip
    """`base` with `files` on top.  Made once for a key; older ones go.

    `python` is the name of its interpreter.  `files` gives a tar of whole paths; it is told whether the image has
    AWS's runtime in it.  Raises Unfit.
    """
    label, of, tag = f"{LABEL}.function", f"{base.reference} {machine}", f"layerkit-function:{key}"
    found = images.find(engine, tag)
    if not found:
        say(f"making the function's image from {base.reference}")
        with containers.opened(engine, base.id, "true", machine=machine, owner=owner, network="none") as container:
            place = _python(container, images.facts(engine, base.id), base.reference, python)
            own = container.find(f"{RUNTIME}/bootstrap.py") is not None
            with files(own).open("rb") as tar:
                container.put(tar)
            marks = {f"{LABEL}.role": "function", f"{LABEL}.python": place, f"{LABEL}.own": str(own), label: of}
            found = container.commit(tag, marks)
        images.remove_others(engine, f"{label}={of}", found)
    marks = images.facts(engine, found)["Config"]["Labels"]
    return Dressed(id=found, python=marks[f"{LABEL}.python"], own=marks[f"{LABEL}.own"] == str(True))


def _python(container: Container, facts: Mapping[str, Any], where: str, name: str) -> str:
    """The interpreter's path in the container; where Lambda has it comes first."""
    variables = (facts.get("Config") or {}).get("Env") or []
    path = next((text.partition("=")[2] for text in variables if text.startswith("PATH=")), "/usr/local/bin:/usr/bin")
    for folder in ("/var/lang/bin", *path.split(":")):
        place = f"{folder.rstrip('/')}/{name}"
        real = container.find(place)
        if real and real.startswith("/opt/"):
            raise Unfit(f"the image's {name} is in /opt, where a function has its layers", where=where)
        if real:
            return place
    raise Unfit(f"the image has no {name}", where=where)


class Attached:
    """A Stream to the program in a container: the engine sends its output in frames, each with its kind and size."""

    def __init__(self, container: Container, connection: Any) -> None:
        self.container = container
        # of a socket's file, the socket; TLS and ssh have other objects, which send and receive alike
        self.file, self.connection = connection, getattr(connection, "_sock", connection)
        self.said: deque[bytes] = deque()  # of standard error, the end

    def lines(self) -> Iterator[bytes]:
        parts: list[bytes] = []
        while frame := self._frame():
            kind, data = frame
            if kind == ERRORS:
                self._keep(data)
                continue
            first, *others = data.split(b"\n")
            parts.append(first)
            for other in others:
                yield b"".join(parts)
                parts = [other]
        if any(parts):
            yield b"".join(parts)

    def write(self, data: bytes) -> None:
        self.connection.sendall(data)

    def last_words(self) -> str:
        text = b"".join(self.said).decode(errors="replace").strip()
        if text:
            return text.splitlines()[-1]
        try:
            status, no_memory = self.container.wait()
        except EngineError as error:
            return str(error)
        return f"exit status {status}{', out of memory' if no_memory else ''}"

    def close(self) -> None:
        with suppress(OSError, AttributeError):  # whoever reads at this moment sees the end
            self.connection.shutdown(socket.SHUT_RDWR)
        for one in (self.file, self.connection):
            with suppress(OSError):
                one.close()

    def _frame(self) -> tuple[int, bytes] | None:
        """None at the end."""
        header = self._receive(HEADER)
        data = self._receive(int.from_bytes(header[4:], "big")) if len(header) == HEADER else b""
        return (header[0], data) if len(header) == HEADER else None

    def _receive(self, size: int) -> bytes:
        """So many bytes, or fewer at the end.  Never asks for more: over ssh that would wait for them."""
        parts = []
        while size:
            try:
                part = self.connection.recv(min(size, CHUNK))
            except (OSError, ValueError):  # closed meanwhile
                break
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _keep(self, data: bytes) -> None:
        self.said.append(data)
        while sum(map(len, self.said)) - len(self.said[0]) > LAST:
            self.said.popleft()


@contextmanager
def opened(
    engine: Engine, made_of: str, command: list[str], *, machine: str, owner: str, volumes: Mapping[str, Path],
    memory: int = 0, cpus: float = 0.0, network: str = "",
) -> Iterator[Attached]:  # fmt: skip
    """A running container of the image `made_of`, gone with its volumes when this ends, however it does.

    `volumes` are tars by the folder that they fill.  `memory` in MB, for the function alone; 0: as much as there is.
    `cpus`: of a core; 0: all.  Should layerkit be killed, the command's standard input ends.  Raises Unfit.
    """
    from docker.types import Mount

    token = f"layerkit-{owner}-{os.urandom(4).hex()}"  # known before the engine answers
    names = {folder: f"{token}-{number}" for number, folder in enumerate(volumes)}
    marks = containers.labels(engine, "function", owner)

    def mounts(*, read_only: bool) -> list[Mount]:
        return [Mount(at, name, read_only=read_only, no_copy=True, labels=marks) for at, name in names.items()]

    def make() -> None:
        filler = engine.client.containers.create(
            made_of, ["true"], name=f"{token}-filler", labels=marks, platform=PLATFORMS[machine],
            network_mode="none", mounts=mounts(read_only=False),
        )  # fmt: skip
        made = engine.client.containers.create(
            made_of, command[1:], entrypoint=command[:1], name=token, labels=marks, platform=PLATFORMS[machine],
            mounts=mounts(read_only=True), **_closed(engine, machine, memory, cpus, network),
        )  # fmt: skip
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached.append(Attached(Container(engine, made), engine.client.api.attach_socket(token, streams)))
        with ThreadPoolExecutor(1) as pool:
            started = pool.submit(made.start)  # it waits for its first line: meanwhile the volumes are filled
            for folder, tar in volumes.items():
                with tar.open("rb") as file:
                    filler.put_archive(folder, file)
            filler.remove()
            started.result()

    attached: list[Attached] = []
    try:
        with engine.talking(Unfit):
            containers.undisturbed(make)
        yield attached[0]
    finally:
        try:
            containers.remove(engine, [token, f"{token}-filler"], [*names.values()])
        finally:
            for one in attached:
                one.close()


def _closed(engine: Engine, machine: str, memory: int, cpus: float, network: str) -> dict[str, Any]:
    """What the container may do, and what it has."""
    from docker.types import LogConfig

    # neither the image's own variables reach the function, see _supervisor.py, nor these
    variables = {"LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64"}
    if engine.architecture != machine:
        variables |= emulation(machine)
    limits: dict[str, Any] = {}
    network = network or containers.default_network(engine)
    if memory:
        limits["mem_limit"] = limits["memswap_limit"] = f"{memory + TMP + OWN}m"  # what /tmp holds is memory
    if cpus:
        limits["nano_cpus"] = int(cpus * 1e9)
    if not network:
        limits["extra_hosts"] = {HOST: "host-gateway"}
    return limits | {
        "init": True,
        "user": "0",
        "working_dir": "/",
        "environment": variables,
        "stdin_open": True,
        "read_only": True,
        "tmpfs": {"/tmp": f"size={TMP}m,mode=1777,exec"},  # noqa: S108
        "ipc_mode": "none",  # no /dev/shm, as in Lambda
        "network_mode": network or None,
        "cap_drop": ["ALL"],
        "cap_add": RIGHTS,
        "security_opt": ["no-new-privileges"],
        "log_config": LogConfig(type="none"),  # events and answers are nobody else's, and large
    }
