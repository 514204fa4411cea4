"""What the checks are for: the targets, runtimes and regions of layers.yaml and its lock."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from layerkit import config, targets
from layerkit import lock as lockfile
from layerkit.doctor.findings import Finding
from layerkit.errors import ConfigError, LockError
from layerkit.model import Bytecode, Target

FILE = "layers.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What layers.yaml and its lock ask of a machine."""

    targets: tuple[Target, ...]
    compiled: tuple[Target, ...]  # one for each runtime that gets bytecode
    releases: Mapping[str, str] = field(default_factory=dict)  # runtime -> CPython that the lock names
    requirement: str = ""  # a distribution that the index must have
    regions: tuple[str, ...] = ()


def read_project(file: Path) -> tuple[Project, list[Finding]]:
    """The project of `file`; where it cannot be had, the usual runtime on both architectures."""
    runtime = targets.find_runtime("python3.12")
    assert runtime
    usual = tuple(map(runtime.target, targets.ARCHITECTURES))
    default = Project(targets=usual, compiled=usual[:1])
    instead = f"the checks are for {runtime.name} on {' and '.join(targets.ARCHITECTURES)}"
    if not file.exists() and file == Path(FILE):
        return default, [Finding(FILE, "ok", f"none here; {instead}")]
    try:
        layers = config.load(file)
    except ConfigError as error:
        command = "layerkit build" if file == Path(FILE) else f"layerkit build --file {shlex.quote(str(file))}"
        cure = f"{command} (it tells them all)" if error.problems else error.cure or "layerkit init"
        return default, [Finding(file.name, "fail", f"{error.what}; {instead}", cure)]
    declared = layers.layers.values()
    built_for = sorted({target for layer in declared for target in layer.targets})
    compiled = {one.runtime: one for each in declared if each.bytecode is not Bytecode.NONE for one in each.targets}
    labels = ", ".join(target.label for target in built_for)
    told = [Finding(file.name, "ok", f"{len(declared)} layer{'s' if len(declared) > 1 else ''} for {labels}")]
    releases: Mapping[str, str] = {}
    path = lockfile.path_for(layers)
    try:
        releases = lockfile.read(path).compilers if path.exists() else {}
    except LockError as error:
        told.append(Finding(path.name, "fail", error.what, error.cure))
    asked = [text for layer in declared for text in layer.requirements]
    found = Project(
        targets=tuple(built_for),
        compiled=tuple(compiled[name] for name in sorted(compiled)),
        releases=releases,
        requirement=re.split(r"[^A-Za-z0-9._-]", asked[0], maxsplit=1)[0] if asked else "",
        regions=layers.publishing.regions,
    )
    return found, told
