"""What the command line asks of `list` and `prune`, and which layers that means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from layerkit import config
from layerkit.aws.pace import DEFAULT_RATE
from layerkit.errors import ConfigError
from layerkit.model import LayersFile
from layerkit.publishing import parameters_mistake
from layerkit.reader import nearest

EVERYWHERE = ("/",)  # all of SSM's parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What both commands are asked."""

    file: Path  # layers.yaml, which need not be there when layers are named
    output: Path  # where published.json is
    layers: tuple[str, ...] = ()  # keys, or names in AWS; empty: all that are declared
    regions: tuple[str, ...] = ()
    all_regions: bool = False
    prefixes: tuple[str, ...] = EVERYWHERE  # where SSM parameters are looked at; empty: nowhere
    rate: float = DEFAULT_RATE  # calls per second and region


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest(Request):
    """What is asked of `list`."""

    every: bool = False  # every layer of the account
    sizes: bool = False  # ask AWS for those that nobody else tells
    unused: bool = False  # only what nobody is known to hold


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRequest(Request):
    """What is asked of `prune`."""

    keep: int  # so many newest versions of each set of tags stay; at least 1
    older_than: timedelta | None = None  # only older versions go; None: of any age
    shared: bool = False  # delete what other accounts may use, too
    drop_parameters: bool = False  # delete layerkit's own numbered parameters with their versions
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A layer that the command is for."""

    name: str  # in AWS
    key: str = ""  # in layers.yaml; empty: it is not declared there


def declared(request: Request, *, needed: bool) -> LayersFile | None:
    """layers.yaml; None where there is none and it is not `needed`.  Raises ConfigError."""
    there = request.file.exists()
    try:
        return config.load(request.file) if needed or there else None
    except ConfigError as error:
        error.cure += "" if there else "; or name the layers: layerkit list --all tells them"
        raise


def wanted(layers: LayersFile | None, given: Sequence[str]) -> tuple[Wanted, ...]:
    """The layers that are given by their key or their name in AWS, declared or not; else all declared ones.

    Raises ConfigError for a word that can be no layer's name.
    """
    known = {layer.key: layer for layer in layers.layers.values()} if layers else {}
    by_name = {layer.name: layer for layer in known.values()}
    found: dict[str, Wanted] = {}
    for word in given or known:
        layer = known.get(word) or by_name.get(word)
        if not layer and not re.fullmatch(config.NAME, word):
            what = f"{word!r} cannot be the name of a layer{nearest(word, known)}"
            cure = "give its key in layers.yaml, or its name in AWS, without the rest of an ARN: layerkit list --all"
            raise ConfigError(what, where="LAYER", cure=cure)
        one = Wanted(name=layer.name, key=layer.key) if layer else Wanted(name=word)
        found.setdefault(one.name, one)
    return tuple(found.values())


def check_prefixes(prefixes: Sequence[str]) -> None:
    """Raises ConfigError for what no SSM parameter can stand below."""
    for prefix in prefixes:
        if mistake := parameters_mistake(prefix.rstrip("/")) if prefix != "/" else "":
            raise ConfigError(mistake, where="--parameters", cure="for instance --parameters /layers")
