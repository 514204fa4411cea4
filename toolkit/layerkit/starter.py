"""`layerkit init`: a commented layers.yaml or an example to begin with, and the CI job that publishes."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from layerkit import __version__, examples
from layerkit.errors import ConfigError, ResolutionError
from layerkit.files import write_atomically

LAYERS = "layers.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that runs a project's CI: our template, where it belongs, and what installs layerkit there."""

    template: str  # below layerkit/data
    file: str
    requirements: str


SERVICES: Mapping[str, Service] = {
    "github": Service(
        template="github/publish.yml", file=".github/workflows/publish.yml", requirements=".github/layerkit.txt"
    ),
    "gitlab": Service(
        template="gitlab/layerkit.yml", file=".gitlab/layerkit.yml", requirements=".gitlab/layerkit.txt"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The files that were written, and the commands that come next."""

    files: tuple[Path, ...]
    following: tuple[str, ...]


def write(folder: Path, services: Sequence[str] = (), example: str = "") -> Started:
    """Write the starter layers.yaml or this example into `folder`, and the CI jobs of these services.

    With services and no example, a layers.yaml that is there already is theirs to publish.  Raises ConfigError when
    any other of the files is there, and ResolutionError or IndexUnreachable when the index does not give this
    layerkit; then nothing is written.
    """
    contents: dict[str, bytes] = {}
    following = ["layerkit lock", "layerkit build"]
    if example:
        found = examples.read(example)
        contents |= found.files
        following += [f"layerkit serve {function} --watch" for function in found.functions[:1]]
    elif not services or not (folder / LAYERS).exists():
        contents[LAYERS] = _data("starter.yaml")
    chosen = [SERVICES[name] for name in services]
    for service in chosen:
        contents[service.file] = _data(service.template)
        contents[service.requirements] = b""
    for name in contents:
        _free(folder, name)
    for service in chosen:
        contents[service.requirements] = requirements()
    for name, content in contents.items():
        write_atomically(folder / name, content)
    if folder.resolve() != Path.cwd():
        following.insert(0, f"cd {shlex.quote(str(folder))}")
    return Started(files=tuple(folder / name for name in contents), following=tuple(following))


def _free(folder: Path, name: str) -> None:
    """Raises ConfigError where something is in the way of `name` in `folder`."""
    for path in (folder / name, *(folder / above for above in Path(name).parents)):
        if path.is_symlink() or path.exists():
            if path.is_dir() and path != folder / name:
                return
            raise ConfigError(
                "is there already and stays as it is", where=str(path), cure="edit it, or choose another folder"
            )


def requirements() -> bytes:
    """A requirements file that installs this layerkit and all it needs, by hash, from wheels, on every platform.

    No index is named in it.  Raises ResolutionError when the index has no such layerkit, IndexUnreachable.
    """
    from layerkit import uv

    wanted = f"layerkit=={__version__}"
    with tempfile.TemporaryDirectory(prefix="layerkit-init-") as name:
        work = Path(name)
        (work / "in.txt").write_text(f"{wanted}\n")
        options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--only-binary", ":all:"]
        form = ["--no-header", "--no-annotate", "--quiet"]
        try:
            text = uv.run(["pip", "compile", "in.txt", *options, *form], cwd=work)
        except ResolutionError as error:
            if not re.search(r"\blayerkit\b.* (not found|no version)|no version of layerkit\b", error.why):
                raise
            raise ResolutionError(
                f"the package index has no layerkit {__version__}, which the CI job is to install",
                why=error.why,
                cure="name the index that has it (UV_DEFAULT_INDEX), or a folder with its wheel (UV_FIND_LINKS)",
            ) from None
    head = (
        f"# What CI installs: layerkit {__version__} and what it needs.  Newer ones: delete this file and the job's,"
        " then layerkit init.\n"
    )
    return (head + text).encode()


def _data(name: str) -> bytes:
    return resources.files("layerkit").joinpath("data", name).read_bytes()
