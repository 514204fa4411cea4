"""The container engine: the only file that knows Docker's SDK.

Everything goes over the engine's API, as archives and without bind mounts, so that a remote engine, a context,
Podman's socket, Colima and Docker Desktop work alike.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerkit import tars
from layerkit.builders import Unfit
from layerkit.errors import EngineError, LayerkitError, MachineError

if TYPE_CHECKING:
    import docker
    from docker.models import containers

LABEL = "io.layerkit"
TOP = "/layerkit"  # in the container
CACHE = f"{TOP}/cache"
ABANDONED = 24 * 3600  # seconds after which a container of another machine's client is surely nobody's any more
CONNECTING, ANSWERING = 10, 600  # seconds; keeping a container with system packages as an image takes long
DOCTOR = "layerkit doctor says what is missing"
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
NO_EXEC = ("exec format error", "Exec format error")
CURE_EMULATION = "docker run --privileged --rm tonistiigi/binfmt --install {architecture}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    reference: str
    id: str
    digest: str  # of the registry; the ID of an image that no registry gave


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
    def connect(cls, machine: Path) -> Engine:
        """The engine of DOCKER_HOST, of the context, or of a usual socket.  Raises Unfit when none answers."""
        try:
            import docker
            from docker.errors import DockerException
        except ImportError as error:
            raise Unfit("Docker's SDK cannot be used", why=str(error), cure="pip install docker") from None
        tried = []
        options: list[dict[str, Any]] = [{}]
        if not os.environ.get("DOCKER_HOST"):
            sockets = [Path(os.path.expandvars(path)).expanduser() for path in SOCKETS]
            options += [{"base_url": f"unix://{path}"} for path in sockets if path.is_socket()]
        for given in options:
            try:
                if given:
                    client = docker.DockerClient(**given, timeout=CONNECTING)
                else:
                    ssh = os.environ.get("DOCKER_HOST", "").startswith("ssh:")
                    client = docker.from_env(use_ssh_client=ssh, timeout=CONNECTING)
                client.api.timeout = ANSWERING
                identity = f"{platform.node()} {machine}"
                return cls(client, client.version(), hashlib.sha256(identity.encode()).hexdigest()[:16])
            except (DockerException, OSError, ValueError) as error:
                tried.append(f"{given.get('base_url') or os.environ.get('DOCKER_HOST') or 'Docker'}: {error}")
        why = "\n".join(tried)
        cure = 'pip install "layerkit[ssh]"' if "paramiko" in why else DOCTOR
        raise Unfit("no container engine answers", why=why, cure=cure)

    # --- images -------------------------------------------------------------------------------------------

    def image(self, reference: str, machine: str, say: Callable[[str], None]) -> Image:
        """The image for this machine's architecture, pulled if it is not there.  Raises Unfit."""
        from docker.errors import APIError, ImageNotFound

        with self.talking():
            try:
                found = self.client.images.get(reference)
            except ImageNotFound:
                say(f"pulling {reference}")
                try:
                    found = self.client.images.pull(reference, platform=PLATFORMS[machine])
                except APIError as error:
                    raise Unfit(
                        "the build image is not there and cannot be pulled",
                        where=reference,
                        why=error.explanation or str(error),
                        cure=f"docker pull --platform {PLATFORMS[machine]} {reference}, or name another image in "
                        "layers.yaml (container: {image: ...})",
                    ) from None
            digests = found.attrs.get("RepoDigests") or []
            built_for = f"{found.attrs.get('Os', '')}/{found.attrs.get('Architecture', '')}"
            if built_for != PLATFORMS[machine]:
                raise Unfit(
                    f"the build image is for {built_for}, not for {PLATFORMS[machine]}",
                    where=reference,
                    cure=f"docker pull --platform {PLATFORMS[machine]} {reference}",
                )
            named = reference.partition("@")[0].partition(":")[0]
            own = [
                one for one in digests if one.startswith(f"{named}@")
            ] or digests  # an image may have several names
            digest = own[0].rpartition("@")[2] if own else str(found.id)
            return Image(reference=reference, id=str(found.id), digest=digest)

    def with_uv(self, base: Image, machine: str, uv: Path, say: Callable[[str], None]) -> str:
        """The ID of the build container's image: Dockerfile.arm64 on top of `base`, with uv handed in.  Made once."""
        from docker.errors import BuildError, ImageNotFound

        recipe = resources.files("layerkit").joinpath("data/Dockerfile.arm64").read_bytes()
        version = uv.parent.name
        key = hashlib.sha256(b"\0".join([base.id.encode(), version.encode(), recipe])).hexdigest()[:16]
        tag = f"layerkit-builder:{key}"
        with self.talking():
            try:
                return str(self.client.images.get(tag).id)
            except ImageNotFound:
                say(f"making the build container's image from {base.reference}")
            context = io.BytesIO(tars.pack({"Dockerfile.arm64": recipe, "uv": uv}, mode=0o755))
            labels = {f"{LABEL}.image": base.reference, f"{LABEL}.recipe": key, f"{LABEL}.role": "builder"}
            arguments = {"BASE_IMAGE": base.reference, "QEMU_CPU": QEMU_CPU.get(machine, "max")}
            try:
                made, _ = self.client.images.build(
                    fileobj=context, custom_context=True, dockerfile="Dockerfile.arm64", tag=tag, labels=labels,
                    buildargs=arguments, platform=PLATFORMS[machine], rm=True, forcerm=True,
                )  # fmt: skip
            except BuildError as error:
                raise Unfit("the build container's image cannot be made", why=str(error), cure=DOCTOR) from None
            old = self.client.images.list(filters={"label": f"{LABEL}.image={base.reference}"})
            # those with system packages first, which stand on the others
            for image in sorted(old, key=lambda image: f"{LABEL}.packages" not in image.labels):
                if image.labels.get(f"{LABEL}.recipe") != key:
                    self._remove_image(str(image.id))
            return str(made.id)

    def find_image(self, tag: str) -> str | None:
        """The ID of an image that layerkit made."""
        from docker.errors import ImageNotFound

        with self.talking():
            try:
                return str(self.client.images.get(tag).id)
            except ImageNotFound:
                return None

    def _remove_image(self, image: str) -> None:
        from docker.errors import APIError

        with suppress(APIError):  # another run uses it
            self.client.images.remove(image)

    # --- containers ---------------------------------------------------------------------------------------

    @contextmanager
    def container(
        self, image: str, command: str, *, machine: str, owner: str, volume: str, network: str = ""
    ) -> Iterator[Container]:
        """A container of `image` with this shell command, which is gone when the work in it is, however that ends.

        `owner` is the workspace of this run, by which a later run knows whether this one is still at work.
        """
        from docker.types import Mount

        name = f"layerkit-{owner}-{os.urandom(4).hex()}"  # known before the engine answers
        labels = {f"{LABEL}.role": "builder", f"{LABEL}.machine": self.machine, f"{LABEL}.owner": owner}
        try:
            with self.talking():
                if not network and not self.client.networks.list(names=["bridge", "podman"]):
                    network = "host"  # an engine without bridges
                made = self.client.containers.create(
                    image, [command], entrypoint=["/bin/sh", "-c"], name=name, labels=labels,
                    platform=PLATFORMS[machine], init=True, user="0", working_dir="/",
                    environment={"QEMU_CPU": QEMU_CPU.get(machine, "max")}, network_mode=network or None,
                    mounts=[Mount(CACHE, volume, labels={f"{LABEL}.role": "packages"})], security_opt=["no-new-privileges"],
                )  # fmt: skip
            yield Container(self, made)
        finally:
            try:
                self._remove(name)
            except KeyboardInterrupt:  # at just this moment
                self._remove(name)
                raise

    def _remove(self, name: str) -> None:
        """Quietly: what went wrong before is what has to be told."""
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException

        with suppress(APIError, DockerException, RequestException, OSError):
            self.client.api.remove_container(name, force=True, v=True)

    def tidy(self, is_live: Callable[[str], bool]) -> None:
        """Remove containers whose client was killed: of this machine, and old ones of any."""
        from docker.errors import APIError

        with self.talking():
            found = self.client.api.containers(all=True, filters={"label": f"{LABEL}.role=builder"})
        for one in found:
            labels = one.get("Labels") or {}
            ours = labels.get(f"{LABEL}.machine") == self.machine
            if (ours and not is_live(labels.get(f"{LABEL}.owner", ""))) or time.time() - one["Created"] > ABANDONED:
                with suppress(APIError):  # somebody else does it
                    self.client.api.remove_container(one["Id"], force=True, v=True)

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Turns failures of the engine and of the way to it into ours."""
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except APIError as error:
            raise _failure(error.explanation or str(error)) from None
        except (DockerException, RequestException, HTTPError, ConnectionError) as error:
            raise EngineError(
                f"the container engine ({self.name}) went away",
                why=str(error),
                cure="start it and run this again; what was built before is untouched",
            ) from None


class Container:
    """A container that may be started again and again with the same command."""

    def __init__(self, engine: Engine, container: containers.Container) -> None:
        self.engine, self.container = engine, container

    def put(self, archive: bytes) -> None:
        """Unpack a tar below /layerkit."""
        with self.engine.talking():
            self.container.put_archive(TOP, archive)

    def get(self, path: str) -> Iterator[bytes]:
        """The tar of a folder below /layerkit, in chunks."""
        with self.engine.talking():
            stream, _ = self.container.get_archive(f"{TOP}/{path}", chunk_size=1 << 20)
            yield from stream

    def start(self) -> Iterator[bytes]:
        """Start the command; what all its runs have printed, in chunks, until it ends."""
        with self.engine.talking():
            self.container.start()
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


def _failure(why: str) -> LayerkitError:
    if "no space left" in why.lower():
        cure = "free some space: docker system df, docker system prune"
        return MachineError("the container engine's disk is full", why=why, cure=cure)
    if any(words in why for words in NO_EXEC):
        return no_emulation("", why)
    if "executable file" in why or '"/bin/sh"' in why:
        return Unfit("the build image lacks a shell or a Python", why=why, cure="name another image in layers.yaml")
    return EngineError("the container engine refused", why=why, cure=DOCTOR)


def no_emulation(machine: str, why: str) -> Unfit:
    architecture = {"aarch64": "arm64", "x86_64": "amd64"}.get(machine, "arm64")
    return Unfit(
        f"the engine's machine cannot run {architecture} programs: emulation is missing",
        why=why,
        cure=CURE_EMULATION.format(architecture=architecture),
    )
