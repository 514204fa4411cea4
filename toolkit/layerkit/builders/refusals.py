"""What container engines say when they refuse, in our words."""

from __future__ import annotations

from layerkit.builders import Unfit
from layerkit.errors import EngineError, LayerkitError, MachineError

DOCTOR = "layerkit doctor says what is missing"
NO_EXEC = ("exec format error", "Exec format error")
CURE_EMULATION = "docker run --privileged --rm tonistiigi/binfmt --install {architecture}"


def failure(why: str, kind: type[EngineError]) -> LayerkitError:
    """What an engine's own words mean; `kind` where they say nothing more special."""
    if "no space left" in why.lower():
        cure = "free some space: docker system df, docker system prune"
        return MachineError("the container engine's disk is full", why=why, cure=cure)
    if any(words in why for words in NO_EXEC):
        return no_emulation("", why)
    if "executable file" in why or '"/bin/sh"' in why:
        return Unfit("the build image lacks a shell or a Python", why=why, cure="name another image in layers.yaml")
    return kind("the container engine refused", why=why, cure=DOCTOR)


def no_emulation(machine: str, why: str) -> Unfit:
    architecture = {"aarch64": "arm64", "x86_64": "amd64"}.get(machine, "all")
    return Unfit(
        f"the engine's machine cannot run {architecture} programs: emulation is missing",
        why=why,
        cure=CURE_EMULATION.format(architecture=architecture),
    )
