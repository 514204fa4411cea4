"""All layers' requirements -> one resolution for all their targets, by uv.

Each layer becomes a tiny local project that depends on its requirements, and all of them are resolved at once: so a
version is the same in every layer, and a conflict is told by the resolver in terms of the layers.  A second, offline
question per layer tells which of the pins are its share.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from layerkit import lock as lockfile
from layerkit import offers, uv
from layerkit.errors import IndexUnreachable, LayerkitError, ResolutionError
from layerkit.model import Layer, LayerInput, LayersFile, Lock, LockedLayer, Pin, Target

PREFIX = "layerkit-layer-"  # of the local projects' names, so that none is a distribution's


def resolve(
    layers: LayersFile,
    previous: Lock | None,
    *,
    upgrade: Sequence[str] = (),
    compilers: Mapping[str, str],
) -> Lock:
    """The lock for `layers`.  Pins of `previous` that still fit are kept, except those named in `upgrade`.

    Raises ResolutionError (a requirement does not exist, layers conflict), IndexUnreachable, MachineError.
    """
    targets = sorted({target for layer in layers.layers.values() for target in layer.targets})
    with tempfile.TemporaryDirectory(prefix="layerkit-lock-") as name:
        project = _Project(Path(name), layers, targets)
        pins = project.pins(previous.pins if previous else (), upgrade)
        keys = [key for key, layer in layers.layers.items() if layer.requirements]
        with ThreadPoolExecutor() as pool:
            shares = dict(zip(keys, pool.map(project.distributions, keys), strict=True))
    return Lock(
        pins=tuple(simplified(pins, targets)),
        layers={
            key: LockedLayer(made_from=LayerInput.of(layer), distributions=shares.get(key, ()))
            for key, layer in layers.layers.items()
        },
        compilers=compilers,
    )


class _Project:
    """The folder that uv is asked in."""

    def __init__(self, folder: Path, layers: LayersFile, targets: Sequence[Target]) -> None:
        self.folder = folder
        self.layers = layers.layers
        self.names = _project_names(layers.layers)
        minor_versions = sorted({tuple(map(int, target.python.split("."))) for target in targets})
        self.python = ".".join(map(str, minor_versions[0])) if minor_versions else "3.12"
        environments = json.dumps([_environment(target) for target in targets])
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "layerkit-layers"\nversion = "0"\nrequires-python = ">={self.python}"\n'
            f"[tool.uv]\nenvironments = {environments}\nrequired-environments = {environments}\n"
        )
        for key, layer in self.layers.items():
            self._folder(key).mkdir()
            (self._folder(key) / "pyproject.toml").write_text(
                f'[project]\nname = "{self.names[key]}"\nversion = "0"\n'
                f"dependencies = {json.dumps(layer.requirements)}\n"
            )

    def _folder(self, key: str) -> Path:
        return self.folder / f"layer-{key}"

    def pins(self, kept: Sequence[Pin], upgrade: Sequence[str]) -> list[Pin]:
        wanted = [key for key, layer in self.layers.items() if layer.requirements]
        if not wanted:
            return []
        (self.folder / "in.txt").write_text("".join(f"./layer-{key}\n" for key in wanted))
        output = self.folder / "pins.txt"
        if kept:
            output.write_text(lockfile.render(Lock(pins=tuple(kept), layers={})))
        arguments = ["in.txt", "-o", "pins.txt", "--generate-hashes", "--fork-strategy", "fewest"]
        for name in upgrade:
            arguments += ["--upgrade-package", name]
        for name in self.names.values():
            arguments += ["--no-emit-package", name]
        self._compile(arguments)
        return list(lockfile.parse_pins(output.read_text()))

    def distributions(self, key: str) -> tuple[str, ...]:
        """Names of the distributions that the layer needs, with a marker where not every target of it does."""
        arguments = [f"layer-{key}/pyproject.toml", "-c", "pins.txt", "--no-annotate"]
        try:
            text = self._compile([*arguments, "--offline"])  # the joint resolution has fetched all metadata
        except (IndexUnreachable, ResolutionError):
            text = self._compile(arguments)  # a cache that keeps nothing
        found = [Requirement(line) for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        targets = self.layers[key].targets
        entries = []
        for requirement in found:
            marker = simplified_marker(str(requirement.marker or ""), targets)
            if marker is not None:
                name = canonicalize_name(requirement.name)
                entries.append(f"{name} ; {marker}" if marker else name)
        return tuple(sorted(set(entries)))

    def _compile(self, arguments: Sequence[str]) -> str:
        common = ["pip", "compile", "--universal", "--no-header", "--python", sys.executable]
        try:
            return uv.run([*common, "--python-version", self.python, *arguments, "--quiet"], cwd=self.folder)
        except ResolutionError as error:
            raise self._in_terms_of_layers(error) from None

    def _in_terms_of_layers(self, error: ResolutionError) -> LayerkitError:
        named = [key for key, name in self.names.items() if re.search(rf"\b{re.escape(name)}\b", error.why)]
        why = plain_words(error.why, {name: f"layer {key}" for key, name in self.names.items()})
        missing = re.search(r"Because (\S+) was not found in the package registry", why)
        if missing:
            what = f"the requirement {missing[1]} does not exist on the index"
            return ResolutionError(
                what, where=_paths(named), why=why, cure="check its spelling, and which index is used"
            )
        unusable = re.search(r"Because (\S+)==(\S+) has no .*\bwheels\b", error.why)
        if unusable:
            return self._no_wheel(Pin(name=unusable[1], version=unusable[2], hashes=()), named) or error
        if len(named) > 1:
            what = f"the requirements of the layers {' and '.join(named)} cannot hold together"
            cure = "change the requirements of one of them: all layers share one version of a distribution"
        else:
            what = "the requirements cannot be satisfied"
            cure = "change them in layers.yaml"
        return ResolutionError(what, where=_paths(named), why=why, cure=cure)

    def _no_wheel(self, pin: Pin, named: Sequence[str]) -> LayerkitError | None:
        """A distribution has no source distribution, and for some target no wheel: say what there is."""
        with tempfile.TemporaryDirectory(prefix="layerkit-offers-") as elsewhere:  # without our environments
            offered = offers.on_index([pin], Path(elsewhere))
        targets = sorted({target for key in named for target in self.layers[key].targets})
        lacking = [target for target in targets if offers.best_wheel(offered[pin].wheels, target) is None]
        if not lacking:
            return None
        cure = "choose another distribution or version in layers.yaml"
        error = offers.no_wheel([pin], offered, lacking[0], cure)
        error.where = _paths(named)
        return error


def _paths(keys: Iterable[str]) -> str:
    return ", ".join(f"layers.{key}" for key in keys) or "layers.yaml"


def _project_names(layers: Mapping[str, Layer]) -> dict[str, str]:
    """A name per layer that is still its own after normalising (`a_b` and `A-b` are one distribution name)."""
    names: dict[str, str] = {}
    for key in layers:
        name = canonicalize_name(PREFIX + key)
        while name in names.values():
            name = canonicalize_name(f"{name}-x")
        names[key] = name
    return names


def _environment(target: Target) -> str:
    major, minor = target.python.split(".")
    return (
        f"python_full_version >= '{target.python}' and python_full_version < '{major}.{int(minor) + 1}' and "
        f"sys_platform == 'linux' and platform_machine == '{target.machine}' and implementation_name == 'cpython'"
    )


def simplified(pins: Iterable[Pin], targets: Sequence[Target]) -> Iterable[Pin]:
    """The pins without markers that say nothing: true for every target, or for none."""
    for pin in sorted(pins):
        marker = simplified_marker(pin.marker, targets)
        if marker is not None:
            yield Pin(name=pin.name, version=pin.version, hashes=pin.hashes, marker=marker)


def simplified_marker(marker: str, targets: Sequence[Target]) -> str | None:
    """`marker` without conditions that every target meets; "" when none is left, None when it holds for no target."""

    def holds(condition: str) -> list[bool]:
        return [Marker(condition).evaluate(dict(target.marker_environment())) for target in targets]

    if not marker or all(holds(marker)):
        return ""
    if not any(holds(marker)):
        return None
    if " or " in marker:
        return marker
    return " and ".join(condition for condition in marker.split(" and ") if not all(holds(condition)))


def plain_words(why: str, names: Mapping[str, str]) -> str:
    """uv's proof in the layers' names, without what our own tiny projects add to it."""
    why = re.sub(r"^hint: While the active Python version .*\n?", "", why, flags=re.MULTILINE)
    why = re.sub(r"^No solution found when resolving dependencies.*\n +cause: ", "", why)
    why = re.sub(r" for split \(markers: .*?\)$", "", why, flags=re.MULTILINE)
    for name in sorted(names, key=len, reverse=True):
        word = re.escape(name)
        why = re.sub(rf"only {word}==0 is available and ", "", why)
        why = re.sub(rf" and only {word}==0 is available", "", why)
        why = re.sub(rf"all versions of {word} depend ", f"{names[name]} depends ", why)
        why = re.sub(rf"(all versions of )?\b{word}(==0)?(?![\w-])", names[name], why)
    lines = [
        line for line in why.splitlines() if not re.fullmatch(r"\s*And because only layer .* is available.*", line)
    ]
    return "\n".join(lines).strip()
