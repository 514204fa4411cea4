"""`layerkit init`: a commented layers.yaml to begin with."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from layerkit.errors import ConfigError
from layerkit.files import write_atomically


def write(folder: Path) -> Path:
    """Write data/starter.yaml as `folder`/layers.yaml; ConfigError when there is one already."""
    path = folder / "layers.yaml"
    if path.exists():
        raise ConfigError(
            "is there already and stays as it is", where=str(path), cure="edit it, or choose another folder"
        )
    write_atomically(path, resources.files("layerkit").joinpath("data/starter.yaml").read_bytes())
    return path
