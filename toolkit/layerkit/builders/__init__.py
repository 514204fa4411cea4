"""Locked distributions -> installed trees.  Two ways with the same result: wheels here, or a container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from layerkit.model import Pin, Target


class Builder(Protocol):
    """Installs distributions for a target."""

    @property
    def name(self) -> str:
        """As the manifest records it."""
        ...

    def install(self, pins: Sequence[Pin], target: Target, into: Path) -> Mapping[Pin, Path]:
        """Install exactly these files, checked against the pins' hashes, in folders below `into`.

        The answer names for each pin the folder that holds it.  Two distributions that own one path are never in
        the same folder, so neither overwrites the other.
        """
        ...
