"""What the container engine can run: build images and their architectures.  Nothing is pulled, made or kept."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path

from layerkit.builders.engine import PLATFORMS, Engine, containers, images
from layerkit.builders.refusals import CURE_EMULATION, NO_EXEC
from layerkit.cache import Cache
from layerkit.doctor.engine import LIMIT, answered, command, is_local
from layerkit.doctor.findings import Finding, weak
from layerkit.errors import LayerkitError
from layerkit.model import Target

BINFMT = Path("/proc/sys/fs/binfmt_misc")  # the programs that the kernel runs foreign programs with
SHORT = len("sha256:") + 12  # of a digest, as Docker shows it
OTHER_IMAGE = "name the runtime's own image in layers.yaml (container: {image: ...})"
# The shell shows that the image's programs run at all, Python that large ones do: an old qemu runs just the one.
PROBE = (
    'uname -m; exec "$(command -v python{minor} || command -v python3)" '
    '-c "import platform; print(platform.python_version())"'
)


def architecture(
    targets: Sequence[Target], connecting: Future[Engine], cache: Cache, binfmt: Path = BINFMT
) -> list[Finding]:
    """Whether the engine runs programs for the architecture of `targets`: tried, where an image of theirs is here."""
    found = answered(connecting)
    if not found:
        return []
    first = targets[0]
    name, untried = f"architecture {first.architecture}", "not tried, for no build image is here"
    native = found.architecture == first.machine
    how = "native" if native else f"emulated on {found.architecture}"
    for target in targets:
        facts = images.facts(found, target.image)
        if images.platform(facts) == PLATFORMS[target.machine]:
            return [_tried(name, how, found, target, cache)]
    if native:
        return [Finding(name, "ok", f"native; {untried}")]
    if not is_local(found):
        return [Finding(name, "warn", f"{how}; unknown until a build image is here", _pull(found, first))]
    lacks = _unregistered(binfmt / f"qemu-{first.machine}")
    if lacks:
        return [Finding(name, weak(), lacks, _emulation(found, first))]
    return [Finding(name, "ok", f"{how}, qemu-{first.machine} is registered; {untried}")]


def _unregistered(file: Path) -> str:
    """Why the kernel cannot run the programs of a container; empty when it can."""
    try:
        text = file.read_text()
    except OSError:
        return f"emulation is missing: there is no {file}"
    if not text.startswith("enabled"):
        return f"emulation is switched off in {file}"
    if not re.search(r"^flags: \w*F", text, flags=re.MULTILINE):  # the kernel then looks for qemu inside the image
        return f"emulation does not reach into containers: {file.name} is registered without the flag F"
    return ""


def _tried(name: str, how: str, engine: Engine, target: Target, cache: Cache) -> Finding:
    try:
        output, status = _probe(engine, target, cache)
        end = f"exit status {status}"
    except LayerkitError as error:
        output, status, end = error.why, 1, error.what
    lines = output.split()
    if status == 0 and lines[:1] == [target.machine] and len(lines) == 2:
        return Finding(name, "ok", f"{how}, works: Python {lines[1]} of {target.image} ran")
    if any(words in output for words in NO_EXEC):
        return Finding(name, weak(), f"{how}: programs do not run (exec format error)", _emulation(engine, target))
    words = ": ".join([f"{how}: {target.image} does not run Python", *output.strip().splitlines()[-1:], end])
    native = engine.architecture == target.machine
    return Finding(name, weak(), words, OTHER_IMAGE if native else _emulation(engine, target))


def _probe(engine: Engine, target: Target, cache: Cache) -> tuple[str, int]:
    """What the probe printed in a container, and its exit status.  Raises LayerkitError."""
    with ExitStack() as stack:
        owner = "doctor"
        with suppress(LayerkitError, OSError):  # a cache that is only lent; so no build tidies up with it either
            owner = stack.enter_context(cache.workspace()).name
        opened = containers.opened(
            engine,
            target.image,
            PROBE.format(minor=target.python),
            machine=target.machine,
            owner=owner,
            network="none",
        )
        container = stack.enter_context(opened)
        return b"".join(container.start()).decode(errors="replace"), container.wait()[0]


def _emulation(engine: Engine, target: Target) -> str:
    todo = CURE_EMULATION.format(architecture=PLATFORMS[target.machine].partition("/")[2])
    if not engine.name.startswith("Podman"):
        return todo.replace("docker", command(engine), 1)
    todo = todo.replace("docker", "podman", 1).replace("tonistiigi/", "docker.io/tonistiigi/")
    return f"sudo {todo}" if is_local(engine) and os.geteuid() else todo  # a rootless one may not register


def image(target: Target, connecting: Future[Engine], release: str) -> list[Finding]:
    """Whether the target's base image is here, or could be pulled; `release` is the Python it was seen to have."""
    found = answered(connecting)
    if not found:
        return []
    name = f"image {target.label}"
    facts = images.facts(found, target.image)
    if not facts:
        words, todo = _offered(found, target)
        return [Finding(name, weak() if todo else "ok", f"{target.image}: {words}", todo)]
    if images.platform(facts) != PLATFORMS[target.machine]:
        words = f"{target.image} is for {images.platform(facts)}, not for {PLATFORMS[target.machine]}"
        return [Finding(name, weak(), words, _pull(found, target))]
    digests = facts.get("RepoDigests") or []
    digest = f"digest {digests[0].rpartition('@')[2][:SHORT]}" if digests else f"ID {facts['Id'][:SHORT]}"
    return [Finding(name, "ok", f"{target.image}, {digest}{f', Python {release}' if release else ''}")]


def _pull(engine: Engine, target: Target) -> str:
    return f"{command(engine)} pull --platform {PLATFORMS[target.machine]} {target.image}"


def _offered(engine: Engine, target: Target) -> tuple[str, str]:
    """What the registry says of an image that is not here, and the cure where it cannot be pulled."""
    pull = _pull(engine, target)
    told = images.ask_registry(engine, target.image)
    if told.status == 0:
        return f"not here, and the registry does not answer within {LIMIT} s", pull
    if told.status != 200:
        why = told.refused
        if engine.name.startswith("Podman") and ("not supported" in why or told.status in (404, 405, 501)):
            return "not here, and this engine does not tell whether it can be pulled", pull
        if "authorization token has expired" in why:  # ECR's gallery asks for none, but refuses an old one
            return f"not here, and the registry refuses: {why}", f"docker logout {target.image.partition('/')[0]}"
        return f"not here, and cannot be pulled: {why}", pull
    wanted = PLATFORMS[target.machine]
    if told.platforms and wanted not in told.platforms:
        return f"the registry has it for {', '.join(sorted(told.platforms))}, not for {wanted}", OTHER_IMAGE
    return "not here; the registry has it, and the first build pulls it", ""
