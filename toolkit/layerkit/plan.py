"""LayersFile + Lock -> what is to be built: layers for targets, each from parts with an address.

Pure but for reading own sources: nothing is installed, started or written here, so that a build in which nothing
changed ends after this.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from layerkit import lock as lockfile
from layerkit import normalize, targets
from layerkit.archive import LEVEL
from layerkit.errors import ConfigError, ContentError
from layerkit.model import Bytecode, Environment, Function, Interpreter, Layer, LayersFile, Lock, Part, Pin, Target
from layerkit.reader import nearest

FORMAT = 5  # part of every address: raise it when the same inputs would give other bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """A layer to be built for a target, from these parts, into this file of the output folder."""

    layer: Layer
    target: Target
    file: str
    parts: tuple[Part, ...]

    @property
    def inputs(self) -> str:
        """The address of the layer's bytes."""
        return _digest([FORMAT, sorted(part.key for part in self.parts)])

    @property
    def compiler(self) -> str:
        """The CPython release that compiles; empty when the layer gets no bytecode."""
        return next((part.compiler.release for part in self.parts if part.compiler), "")


def select(
    layers: LayersFile, names: Sequence[str], runtimes: Sequence[str], architectures: Sequence[str]
) -> list[tuple[Layer, Target]]:
    """The layers of these keys (or names in AWS; none: all) with their targets of these runtimes and architectures.

    Raises ConfigError for a layer that is not declared, and when nothing is left.
    """
    known = {layer.name: layer for layer in layers.layers.values()} | dict(layers.layers)
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no layer {name!r}" + nearest(name, layers.layers), where=layers.path.name)
    wanted = {known[name].key: known[name] for name in names} or layers.layers
    chosen = [
        (layer, target)
        for layer in wanted.values()
        for target in layer.targets
        if (not runtimes or target.runtime in runtimes)
        and (not architectures or target.architecture in architectures)
    ]
    if not chosen:
        declared = sorted({target.label for layer in wanted.values() for target in layer.targets})
        raise ConfigError(
            f"none of these layers is declared for {' '.join([*runtimes, *architectures])}",
            where=layers.path.name,
            why=f"declared: {', '.join(declared)}",
            cure=f"add it to runtimes or architectures, then {lockfile.RELOCK}",
        )
    return chosen


def function(layers: LayersFile, name: str) -> Function:
    """The declared function of this name.  Raises ConfigError."""
    if name not in layers.functions:
        hint = nearest(name, layers.functions) or "; none is declared (functions: in layers.yaml)"
        raise ConfigError(f"there is no function {name!r}{hint}", where=layers.path.name)
    return layers.functions[name]


def make(
    layers: LayersFile, lock: Lock, layer: Layer, target: Target, compilers: Mapping[str, Interpreter | None]
) -> LayerPlan:
    """The plan of one layer for one target.  Raises ContentError for own source that cannot be packed."""
    compiler = compilers[target.runtime] if layer.bytecode is not Bytecode.NONE else None
    pins = lockfile.share(lock, layers, layer.key, target)
    parts = [_part(layer, target, compiler, pin=pin) for pin in pins]
    if layer.source:
        parts.append(_part(layer, target, compiler, source=layer.source, project=layers.root))
    if not parts:
        used = ", ".join(layers.used_by(layer.key))
        why = f"the layers it uses ({used}) hold all it needs" if used else "no requirement of it applies"
        raise ContentError(
            f"nothing is left to pack for {target.label}: {why}",
            where=f"layers.{layer.key}",
            cure="remove the layer, or what it uses, or the target",
        )
    return LayerPlan(layer=layer, target=target, file=file_name(layer, target), parts=tuple(parts))


def file_name(layer: Layer, target: Target) -> str:
    """`<name>.zip`; with the target in it where the layer is declared for several."""
    return f"{layer.name}.zip" if len(layer.targets) == 1 else f"{layer.name}-{target.label}.zip"


def _part(
    layer: Layer,
    target: Target,
    compiler: Interpreter | None,
    *,
    pin: Pin | None = None,
    source: Path | None = None,
    project: Path = Path(),
) -> Part:
    environment = layer.environment if pin else Environment()
    if pin:
        label = str(pin)
        content = _digest([pin.name, pin.version, sorted(pin.hashes), target.machine, target.glibc])
        if environment != Environment() or not targets.is_default_image(target):
            # these decide bytes only where no wheel is offered, but that is not known before
            content = _digest([content, target.image, environment.system_packages, environment.pack_libraries])
    else:
        assert source
        label = source.relative_to(project).as_posix()
        content = normalize.source(source, project, layer.prune).digest()
    bytecode = layer.bytecode if compiler else Bytecode.NONE
    release = compiler.release if compiler else None
    key = _digest([FORMAT, LEVEL, label, content, target.python, bytecode, release, sorted(layer.prune)])
    return Part(
        key=key,
        label=label,
        content=content,
        target=target,
        bytecode=bytecode,
        prune=layer.prune,
        compiler=compiler,
        environment=environment,
        pin=pin,
        source=source,
        project=project,
    )


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
