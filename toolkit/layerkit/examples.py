"""`layerkit init --example`: whole projects that work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from layerkit.errors import MachineError

NAMES = ("hello", "users-api", "two-doors", "contact-form", "flask-lambda")
SHIM = "layers/lambda-wsgi"  # as a layer's source; here it lies beside the examples, in a project it is a part
LEFT_OUT = frozenset({"__pycache__", ".terraform", "node_modules", "dist"})  # what trying an example leaves in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A project: its files by their path in it, and the functions that its layers.yaml declares, in that order."""

    files: Mapping[str, bytes]
    functions: tuple[str, ...]


def read(name: str) -> Example:
    """The example of this name, with the handler shim where one of its layers is that.

    Raises MachineError where this installation lacks it.
    """
    import yaml

    home = _home()
    files = dict(_below(home / "examples" / name))
    if "layers.yaml" not in files:
        raise MachineError(
            f"this layerkit came without the example {name}", where=str(home / "examples"), cure="install it again"
        )
    declared = yaml.safe_load(files["layers.yaml"])
    if any(layer.get("source") == SHIM for layer in declared["layers"].values()):
        files |= {f"{SHIM}/{path}": content for path, content in _below(home / SHIM)}
    return Example(files=files, functions=tuple(declared["functions"]))


def _home() -> Path:
    """The folder with examples/ and layers/: in the wheel layerkit/data (pyproject.toml), else the repository."""
    here = Path(__file__).parent
    return here / "data" if (here / "data/examples").is_dir() else here.parents[1]


def _below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Each file below `folder`, in the order of their paths."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and LEFT_OUT.isdisjoint(relative.parts):
            yield relative.as_posix(), path.read_bytes()
