"""layers.lock: a requirements file that pip, uv and pip-audit read, with a head that says what it was made from.

The body holds every pin with the hashes of all its files.  The head is a block of TOML in comments, in the form of
PEP 723: what each layer asked for, which distributions are its share, and which CPython release compiles bytecode.
No address of an index is in it, so it works behind any mirror.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.version import Version

from layerkit.errors import LockError
from layerkit.files import write_atomically
from layerkit.model import LayerInput, LayersFile, Lock, LockedLayer, Pin, Target

NAME = "layers.lock"
FORMAT = 1
RELOCK = "layerkit lock"


def path_for(layers: LayersFile) -> Path:
    return layers.root / NAME


def read(path: Path) -> Lock:
    """The lock at `path`.  Raises LockError when it is missing, of a newer format, or damaged."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LockError("there is no lock yet", where=path.name, cure=RELOCK) from None
    except (OSError, UnicodeDecodeError) as error:
        raise LockError("the lock cannot be read", where=path.name, why=str(error)) from None
    try:
        return parse(text)
    except _NewerFormat as error:
        raise LockError(str(error), where=path.name, cure="update layerkit") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise LockError("the lock is damaged", where=path.name, why=why, cure=f"restore it, or {RELOCK}") from None


class _NewerFormat(ValueError):
    pass


def parse(text: str) -> Lock:
    """The lock in `text`; ValueError, KeyError or TypeError when it is none."""
    head, _, body = text.partition("# ///\n")
    lines = head.partition("# /// layerkit\n")[2].splitlines()
    if not lines:
        raise ValueError("its head is missing")
    data: dict[str, Any] = tomllib.loads("\n".join(line.removeprefix("#").removeprefix(" ") for line in lines))
    if data["format"] != FORMAT:
        raise _NewerFormat(f"the lock has format {data['format']}; this layerkit reads format {FORMAT}")
    layers = {
        key: LockedLayer(
            made_from=LayerInput(
                requirements=tuple(entry["requirements"]),
                uses=tuple(entry["uses"]),
                targets=tuple(entry["targets"]),
            ),
            distributions=tuple(entry["distributions"]),
        )
        for key, entry in data.get("layers", {}).items()
    }
    lock = Lock(pins=tuple(parse_pins(body)), layers=layers, compilers=data.get("compilers", {}))
    names = {pin.name for pin in lock.pins}
    for key, layer in layers.items():
        for entry in layer.distributions:
            if Requirement(entry).name not in names:
                raise ValueError(f"the layer {key} needs {entry}, which has no pin")
    return lock


def parse_pins(text: str) -> Iterator[Pin]:
    """The pins of a requirements file as uv and `render` write it."""
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        wanted, *hashes = re.split(r"\s+--hash=", words)
        requirement = Requirement(wanted)
        versions = [specifier.version for specifier in requirement.specifier if specifier.operator == "=="]
        if len(versions) != 1 or not hashes:
            raise ValueError(f"{wanted!r} is not a pinned and hashed requirement")
        marker = str(requirement.marker or "")
        yield Pin(name=requirement.name, version=versions[0], hashes=tuple(sorted(hashes)), marker=marker)


def render(lock: Lock) -> str:
    """The file's text: the same lock gives the same bytes."""
    head = [
        "# The locked distributions of all layers, for pip, uv and pip-audit too.  Made by: layerkit lock",
        "# /// layerkit",
        f"# format = {FORMAT}",
    ]
    if lock.compilers:
        head += ["#", "# [compilers]", *(f'# "{k}" = "{v}"' for k, v in sorted(lock.compilers.items()))]
    for key, layer in sorted(lock.layers.items()):
        head += [
            "#",
            f"# [layers.{key}]",
            f"# requirements = {json.dumps(layer.made_from.requirements)}",
            f"# uses = {json.dumps(layer.made_from.uses)}",
            f"# targets = {json.dumps(layer.made_from.targets)}",
            "# distributions = [",
            *(f"#   {json.dumps(entry)}," for entry in layer.distributions),
            "# ]",
        ]
    body = []
    for pin in sorted(lock.pins, key=lambda pin: (pin.name, Version(pin.version))):
        marker = f" ; {pin.marker}" if pin.marker else ""
        body.append(" \\\n    ".join([f"{pin.name}=={pin.version}{marker}", *(f"--hash={h}" for h in pin.hashes)]))
    return "\n".join([*head, "# ///", "", *body, ""])


def write(path: Path, lock: Lock) -> None:
    write_atomically(path, render(lock).encode())


def stale(lock: Lock, layers: LayersFile) -> list[str]:
    """What changed in layers.yaml since the lock was made, a sentence each; empty when the lock still fits."""
    changes = [f"the layer {key} is new" for key in layers.layers if key not in lock.layers]
    changes += [f"the layer {key} is gone" for key in lock.layers if key not in layers.layers]
    for key, layer in layers.layers.items():
        if key not in lock.layers:
            continue
        was, now = lock.layers[key].made_from, LayerInput.of(layer)
        for name, before, after in (
            ("requirements", was.requirements, now.requirements),
            ("uses", was.uses, now.uses),
            ("targets", was.targets, now.targets),
        ):
            if sorted(before) != sorted(after):
                changes.append(f"layers.{key}: {name} were {list(before)}, are {list(after)}")
    return changes


def check(lock: Lock, layers: LayersFile) -> None:
    """Raises LockError when layers.yaml asks for something else than the lock was made from."""
    changes = stale(lock, layers)
    if changes:
        raise LockError(f"{layers.path.name} changed since the lock", where=NAME, why="\n".join(changes), cure=RELOCK)


def share(lock: Lock, layers: LayersFile, key: str, target: Target) -> tuple[Pin, ...]:
    """The pins that the layer `key` packs for `target`: what it needs, without what the layers it uses hold."""
    held = {pin.name for used in layers.used_by(key) for pin in _needed(lock, used, target)}
    return tuple(pin for pin in _needed(lock, key, target) if pin.name not in held)


def _needed(lock: Lock, key: str, target: Target) -> Sequence[Pin]:
    environment = target.marker_environment()
    pins = {pin.name: pin for pin in lock.pins if _applies(pin.marker, environment)}
    wanted = [Requirement(entry) for entry in lock.layers[key].distributions]
    try:
        return sorted(pins[r.name] for r in wanted if not r.marker or r.marker.evaluate(environment))
    except KeyError as error:
        raise LockError(f"has no pin of {error} for {target.label}", where=NAME, cure=RELOCK) from None


def _applies(marker: str, environment: Mapping[str, str]) -> bool:
    return not marker or Marker(marker).evaluate(dict(environment))
