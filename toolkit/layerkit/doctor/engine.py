"""Whether a container engine answers, the command that makes one answer, and where it keeps what it has."""

from __future__ import annotations

import os
import platform
import re
import shutil
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from layerkit.builders.engine import Engine, context
from layerkit.builders.refusals import DOCTOR
from layerkit.doctor.findings import Finding, weak
from layerkit.errors import LayerkitError

LIMIT = 10  # seconds that an engine, or a registry behind it, has for an answer
INSTALL = "install Docker, Podman, Colima or Docker Desktop"


def running(connecting: Future[Engine], limit: float = LIMIT) -> list[Finding]:
    name, rest = "container engine", "layers can be built from wheels alone"
    try:
        found = connecting.result(limit)
    except TimeoutError:
        words = f"does not answer within {limit:g} s; {rest}"
        return [Finding(name, weak(), words, cure(Surroundings.here(), "", hangs=True))]
    except LayerkitError as error:
        tried = "; ".join(map(_short, error.why.splitlines()))
        todo = error.cure if error.cure != DOCTOR else cure(Surroundings.here(), error.why)
        return [Finding(name, weak(), f"{error.what} ({tried}); {rest}", todo)]
    return [Finding(name, "ok", f"{found.name} for {found.architecture}, {_place(found)}")]


def answered(connecting: Future[Engine]) -> Engine | None:
    """The engine; None where there is none, which is told in the engine's own line."""
    with suppress(Exception):
        return connecting.result(LIMIT)
    return None


def _short(tried: str) -> str:
    """`unix:///x: Error while ...('Connection aborted.', FileNotFoundError(2, 'No such ...'))` in a few words."""
    where, _, words = tried.partition(": ")
    system = re.search(r"Error\(\d+, '([^']+)'\)", words)
    return f"{where}: {system[1] if system else words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What decides how an engine is started here."""

    system: str  # as platform.system() says
    programs: frozenset[str]
    host: str = ""  # DOCKER_HOST

    @classmethod
    def here(cls) -> Surroundings:
        programs = {name for name in ("colima", "dockerd", "podman", "systemctl") if shutil.which(name)}
        if Path("/Applications/Docker.app").exists():
            programs.add("Docker.app")
        host = os.environ.get("DOCKER_HOST", "")
        return cls(system=platform.system(), programs=frozenset(programs), host=host)


def cure(where: Surroundings, why: str, *, hangs: bool = False) -> str:
    """The command that makes an engine answer.  `why` is what was tried, with the other side's words."""
    verb = "restart" if hangs else "start"
    mac = where.system == "Darwin"
    docker = f"sudo systemctl {verb} docker" if "systemctl" in where.programs else f"sudo service docker {verb}"
    podman = "podman machine start" if mac else f"systemctl --user {verb} podman.socket"
    starts = {"colima": f"colima {verb}", "podman": podman, "Docker.app": "open -a Docker"}
    if "Permission denied" in why and not mac:
        return "sudo usermod -aG docker $USER, then log in again"
    named = [start for name, start in starts.items() if name in where.host]
    if named:
        return named[0]
    if where.host and not where.host.endswith("/run/docker.sock"):
        return f"unset DOCKER_HOST, or start the engine at {where.host}"
    if not mac and (hangs or "Connection refused" in why or "dockerd" in where.programs):
        return docker
    return next((start for name, start in starts.items() if name in where.programs), INSTALL)


def _place(engine: Engine) -> str:
    host = os.environ.get("DOCKER_HOST")
    if host:
        return f"DOCKER_HOST={host}"
    place = engine.address
    name, socket = context()
    return f"{place} (context {name})" if name != "default" and socket in (place, "") else place


def command(engine: Engine) -> str:
    """The command line that reaches this very engine."""
    socket = engine.socket
    if engine.name.startswith("Podman"):
        return "sudo podman" if socket.startswith("/run/podman/") and os.geteuid() else "podman"
    usual = os.environ.get("DOCKER_HOST") or socket in ("", "/var/run/docker.sock", context()[1])
    return "docker" if usual else f"docker -H unix://{socket}"


def is_local(engine: Engine) -> bool:
    """True when the engine's kernel and disk are this machine's: not a virtual machine's, nor another host's."""
    return bool(engine.socket) and engine.info().get("Name") == platform.node()


def data_root(connecting: Future[Engine]) -> tuple[Path, str] | None:
    """Where the engine keeps images, and the command that frees space there; None where that cannot be seen."""
    found = answered(connecting)
    root = found.info().get("DockerRootDir") if found and is_local(found) else ""
    return (Path(root), f"{command(found)} system prune") if found and root and os.access(root, os.F_OK) else None
