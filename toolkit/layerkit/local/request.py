"""What the command line asks of `invoke` and `serve`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

PlaceName = Literal["auto", "host", "container"]
PLACES: tuple[PlaceName, ...] = get_args(PlaceName)


def place_of(word: str) -> PlaceName:
    return next(place for place in PLACES if place == word)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Which function, and where."""

    file: Path  # layers.yaml
    output: Path  # where `build` put the zips
    function: str
    runtime: str = ""  # "": whatever the layers are built for
    architecture: str = ""  # "": this machine's, if the layers are built for it
    variables: Mapping[str, str] = field(default_factory=dict)  # over those of layers.yaml
    place: PlaceName = "auto"
    network: str = ""  # of the container; "": the engine's default


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeRequest:
    """One event: as JSON, or an HTTP request for a front to make one of."""

    run: RunRequest
    event: bytes | None = None  # JSON; None: the HTTP request
    http: str = "/"  # a path alone: GET, or POST with a body
    headers: tuple[str, ...] = ()  # "Name: value"
    body: bytes = b""
    front: str = "http-api"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeRequest:
    """A function behind a real HTTP server."""

    run: RunRequest
    port: int = 8000  # 0: a free one
    front: str = "http-api"
    watch: bool = False
