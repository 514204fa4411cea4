"""layers.yaml and dist/ -> a Runnable: a declared function with its layers' zips for one target."""

from __future__ import annotations

import platform
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from layerkit import config, manifest, plan
from layerkit.errors import ConfigError, ContentError
from layerkit.local.nouns import Runnable
from layerkit.local.request import RunRequest
from layerkit.model import Function, LayersFile, Target
from layerkit.sandbox.unpacking import Refused, opened, source_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is run, and the project that it is of."""

    runnable: Runnable
    project: LayersFile
    warnings: tuple[str, ...] = ()


def choose(request: RunRequest) -> Chosen:
    """Raises ConfigError for what is not declared, ContentError for what is not built."""
    project = config.load(request.file)
    function = plan.function(project, request.function)
    if not function.handler:
        raise ConfigError(
            f"the function {function.key!r} has no handler",
            where=project.path.name,
            cure=f"add it to functions.{function.key}: handler: main.handler",
        )
    target = _target(project, function, request)
    zips = tuple(request.output / plan.file_name(project.layers[key], target) for key in function.layers)
    built = {entry["file"] for entry in manifest.read(request.output)}
    missing = [path.name for path in zips if path.name not in built or not path.exists()]
    if missing:
        raise ContentError(f"{', '.join(missing)}: not built yet", where=str(request.output), cure="layerkit build")
    regions = project.publishing.regions
    runnable = Runnable(
        function=function,
        target=target,
        zips=zips,
        region=regions[0] if regions else "us-east-1",
        variables={**function.environment, **request.variables},
    )
    return Chosen(runnable=runnable, project=project, warnings=tuple(_older(project, runnable)))


def own_sources(project: LayersFile, function: Function) -> dict[str, Path]:
    """Key -> folder of the function's layers that have source of their own."""
    sources = {key: project.layers[key].source for key in function.layers}
    return {key: source for key, source in sources.items() if source}


def _target(project: LayersFile, function: Function, request: RunRequest) -> Target:
    """One target of all its layers; this machine's architecture first, since nothing is emulated there."""
    common = project.targets_of(function)
    left = [
        target
        for target in common
        if request.runtime in ("", target.runtime) and request.architecture in ("", target.architecture)
    ]
    if not left:
        asked = " ".join(filter(None, [request.runtime, request.architecture]))
        declared = ", ".join(target.label for target in common)
        raise ConfigError(
            f"the layers of {function.key!r} have no target in common" if not asked else
            f"not all layers of {function.key!r} are declared for {asked}",
            where=project.path.name,
            why=f"declared for all of them: {declared}" if declared else "",
            cure="give them the same runtimes and architectures",
        )  # fmt: skip
    return min(left, key=lambda target: target.machine != platform.machine())


def _older(project: LayersFile, runnable: Runnable) -> Iterator[str]:
    """A layer's own source that was changed after its zip was made."""
    for key, zip_file in zip(runnable.function.layers, runnable.zips, strict=True):
        source = project.layers[key].source
        newest = max((file.stat().st_mtime for _, file, _ in source_files(source)), default=0.0)
        if newest > zip_file.stat().st_mtime and _differs(source, zip_file):
            yield f"{zip_file.name} is older than the source of the layer {key!r}: layerkit build {key}"


def _differs(source: Path | None, zip_file: Path) -> bool:
    """Whether a module of the source is another one in the zip, or has bytecode alone there."""
    try:
        with opened(zip_file) as archive:
            packed = {info.filename: info.CRC for info in archive.infolist()}
    except Refused:  # which is told where it is unpacked
        return False
    modules = [(path, file) for path, file, _ in source_files(source) if path.endswith(".py")]
    return any(packed.get(f"python/{path}") != zlib.crc32(file.read_bytes()) for path, file in modules)
