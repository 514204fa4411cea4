"""`serve`: a declared function behind a real HTTP server, with layers.yaml, its zips and a place to run it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layerkit.local import chosen, places
from layerkit.local.request import ServeRequest
from layerkit.local.serve.loop import Loop, Means, Served, Where

if TYPE_CHECKING:
    from layerkit.cache import Cache
    from layerkit.console import Console
    from layerkit.local.nouns import Failure


def serve(request: ServeRequest, cache: Cache, console: Console, stop: threading.Event | None = None) -> None:
    """Serve until Ctrl-C, or until `stop` is set by another thread.

    Raises ConfigError, ContentError, MachineError where it cannot begin.
    """
    run = request.run
    where = Where(
        front=request.front, port=request.port, watch=request.watch, file=run.file.absolute(),
        output=run.output.absolute(),
    )  # fmt: skip
    to_try = places.places(run, cache, console)
    means = Means(
        load=lambda: _load(request, console),
        open=lambda runnable, listen: places.opened(to_try, runnable, listen),
        rebuild=lambda keys: _rebuild(request, sorted(keys), cache, console),
    )
    Loop(where, means, console).run(stop or threading.Event())


def _load(request: ServeRequest, console: Console) -> Served:
    found = chosen.choose(request.run)
    for warning in found.warnings:
        console.warn(warning)
    runnable, project = found.runnable, found.project

    def explain(failure: Failure) -> str:
        from layerkit.local import report
        from layerkit.local.blame import blame

        return str(
            report.failed(runnable.function.key, failure, blame(failure, runnable, project, request.run.output))
        )

    return Served(runnable=runnable, sources=chosen.own_sources(project, runnable.function), explain=explain)


def _rebuild(request: ServeRequest, keys: Sequence[str], cache: Cache, console: Console) -> None:
    """The zips of these layers; their distributions are in the cache."""
    from layerkit import pipeline
    from layerkit.builders import auto

    asked = pipeline.BuildRequest(file=request.run.file, output=request.run.output, layers=tuple(keys))
    builder = auto.named(os.environ.get("LAYERKIT_BUILDER", "auto"), cache, console)  # as `layerkit build` takes it
    pipeline.build(asked, builder, cache, _Quietly(console))


@dataclass(frozen=True, slots=True)
class _Quietly:
    """A Progress of which a person reads the warnings alone: what was built is in the restart's line."""

    console: Console

    def warn(self, message: str) -> None:
        self.console.warn(message)

    def note(self, message: str) -> None: ...
    def begin(self, files: Sequence[str]) -> None: ...
    def step(self, file: str, doing: str) -> None: ...
    def done(self, result: Any) -> None: ...
