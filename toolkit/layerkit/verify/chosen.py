"""What is to be verified: declared layers as they were built, zips of any tool, functions with their layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from layerkit import config, manifest, plan
from layerkit.errors import ContentError
from layerkit.model import Checks, Function, Layer, LayersFile, Target
from layerkit.verify.words import shown

Place = Literal["auto", "host", "container", "none"]  # where modules are imported
PLACES: tuple[Place, ...] = get_args(Place)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """What the command line asks of `verify`."""

    file: Path  # layers.yaml
    output: Path  # where `build` put the zips
    names: tuple[str, ...] = ()  # layers (keys, or names in AWS) and zips; with no functions either: all there is
    functions: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()  # of declared layers: these alone; of other zips: what they are held against
    architectures: tuple[str, ...] = ()
    place: Place = "auto"
    audit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenZip:
    """A zip to be verified.  What is not declared has no layer, no digest and no target."""

    label: str  # the file's name; with its folder where another has the same
    path: Path
    target: Target | None = None
    built_for: Target | None = None  # of one of layers.yaml's that is held against what the request names instead
    used: tuple[Path, ...] = ()  # zips of the layers that it uses, in the order of attaching
    layer: Layer | None = None
    digest: str = ""  # SHA-256 in hex that the manifest gives

    @property
    def checks(self) -> Checks:
        return self.layer.checks if self.layer else Checks()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenFunction:
    """A function with its layers' zips for one target, in the order in which Lambda unpacks them."""

    label: str
    function: Function
    target: Target
    zips: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    zips: tuple[ChosenZip, ...]
    functions: tuple[ChosenFunction, ...] = ()
    without_target: tuple[Function, ...] = ()  # whose layers have no target in common


def choose(request: VerifyRequest) -> Chosen:
    """Raises ConfigError for what is not declared, ContentError for what is not built."""
    paths = [Path(name) for name in request.names if _is_path(name)]
    names = [name for name in request.names if not _is_path(name)]
    everything = not request.names and not request.functions
    built = {entry["file"]: entry for entry in manifest.read(request.output)}
    ours = [path for path in paths if path.name in built and path.parent.resolve() == request.output.resolve()]
    names_of = Counter(path.name for path in dict.fromkeys(paths))
    labels = {path: shown(path.name if names_of[path.name] == 1 else str(path)) for path in paths}
    zips = {path: ChosenZip(label=labels[path], path=path) for path in paths}
    if not (everything or names or request.functions or (ours and request.file.exists())):
        return Chosen(zips=tuple(zips.values()))
    project = _Project(config.load(request.file), request, built)
    declared = project.zips(names) if everything or names else {}
    known = project.known()
    given = {path: known[at] for path in ours if (at := request.output / path.name) in known}
    for path, one in given.items():
        if one.target and not project.is_asked(one.target):
            given[path] = replace(zips[path], built_for=one.target)
    declared = {path: one for path, one in declared.items() if one not in given.values()}
    called = project.layers.functions if everything else request.functions
    functions = [one for one in (plan.function(project.layers, name) for name in called) if one.layers]
    for function in functions:
        declared |= {path: one for path, one in project.zips(function.layers).items() if one not in given.values()}
    return Chosen(
        zips=(*(zips | given).values(), *declared.values()),
        functions=tuple(view for function in functions for view in project.views(function)),
        without_target=tuple(function for function in functions if not project.layers.targets_of(function)),
    )


def place_of(word: str) -> Place:
    return next(place for place in PLACES if place == word)


def _is_path(name: str) -> bool:
    return name.endswith(".zip") or "/" in name


class _Project:
    """layers.yaml, and what was built of it."""

    def __init__(self, layers: LayersFile, request: VerifyRequest, built: Mapping[str, manifest.Entry]) -> None:
        self.layers, self.request, self.built = layers, request, built

    def zips(self, names: Sequence[str]) -> dict[Path, ChosenZip]:
        """The zips of these layers, or of all.  Raises ConfigError, ContentError."""
        chosen = plan.select(self.layers, names, self.request.runtimes, self.request.architectures)
        paths = [path for one in chosen for path in (*self.used(*one), self.path(*one))]
        missing = sorted({path.name for path in paths} - self.built.keys())
        if missing:
            raise ContentError(
                f"{', '.join(missing)}: not built yet, or not listed in {manifest.NAME}",
                where=str(self.request.output),
                cure="layerkit build",
            )
        return {self.path(*one): self.zip(*one) for one in chosen}

    def known(self) -> dict[Path, ChosenZip]:
        """The zips of all declared layers that are built."""
        everything = [(layer, target) for layer in self.layers.layers.values() for target in layer.targets]
        return {self.path(*one): self.zip(*one) for one in everything if plan.file_name(*one) in self.built}

    def path(self, layer: Layer, target: Target) -> Path:
        return self.request.output / plan.file_name(layer, target)

    def used(self, layer: Layer, target: Target) -> tuple[Path, ...]:
        """What the layer stands on, deepest first, which is the order of attaching."""
        return tuple(self.path(self.layers.layers[key], target) for key in reversed(self.layers.used_by(layer.key)))

    def zip(self, layer: Layer, target: Target) -> ChosenZip:
        path = self.path(layer, target)
        return ChosenZip(
            label=path.name,
            path=path,
            target=target,
            used=self.used(layer, target),
            layer=layer,
            digest=self.built[path.name]["sha256"],
        )

    def views(self, function: Function) -> list[ChosenFunction]:
        """The function for each target of all its layers that was asked for."""
        plain, common = f"function {function.key}", self.layers.targets_of(function)
        return [
            ChosenFunction(
                label=plain if len(common) == 1 else f"{plain} ({target.label})",
                function=function,
                target=target,
                zips=tuple(self.path(self.layers.layers[key], target) for key in function.layers),
            )
            for target in common
            if self.is_asked(target)
        ]

    def is_asked(self, target: Target) -> bool:
        runtimes, architectures = self.request.runtimes, self.request.architectures
        return target.runtime in (runtimes or [target.runtime]) and (
            not architectures or target.architecture in architectures
        )
