"""Where a failure happened: the function's source, the zips it attaches, the project's other layers, the lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from layerkit import lock as lockfile
from layerkit import plan
from layerkit.errors import LayerkitError
from layerkit.local.blame.packs import Pack
from layerkit.local.nouns import Runnable
from layerkit.model import Function, LayersFile, Lock, Target
from layerkit.sandbox.unpacking import SKIPPED, source_files

TASK, OPT = "/var/task/", "/opt/"
ROOTS = ("/var/task", "/opt", "/var/lang", "/var/runtime", "/tmp")  # paths that Lambda has, too  # noqa: S108
MOST_FILES = 20_000  # of the project, among which a module is looked for
NOT_LOOKED_INTO = SKIPPED | {"node_modules", "site-packages"}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All of it is read when it is asked for; what cannot be read is not there."""

    runnable: Runnable
    project: LayersFile
    dist: Path

    @property
    def function(self) -> Function:
        return self.runnable.function

    @property
    def target(self) -> Target:
        return self.runnable.target

    @property
    def at(self) -> str:
        """The function's place in layers.yaml."""
        return f"functions.{self.function.key}"

    @cached_property
    def source(self) -> dict[str, Path]:
        """Path below /var/task -> the user's file."""
        return {path: file for path, file, _ in source_files(self.function.source)}

    @cached_property
    def attached(self) -> tuple[Pack, ...]:
        """In Lambda's order."""
        names = {self._file(key): key for key in self.project.layers}
        keys = [*self.function.layers, *[""] * len(self.runnable.zips)]
        return tuple(
            Pack(key=names.get(path.name) or key, path=path, target=self.target)
            for path, key in zip(self.runnable.zips, keys, strict=False)
        )

    @cached_property
    def others(self) -> tuple[Pack, ...]:
        """Zips of the project's other layers, built for this target."""
        taken = {pack.key for pack in self.attached}
        declared = [key for key, layer in self.project.layers.items() if key not in taken and self.is_for(key)]
        found = [Pack(key=key, path=self.dist / self._file(key), target=self.target) for key in declared]
        return tuple(pack for pack in found if pack.path.is_file())

    def is_for(self, key: str) -> bool:
        """Whether this layer is declared for the function's target."""
        return self.target in self.project.layers[key].targets

    def _file(self, key: str) -> str:
        return plan.file_name(self.project.layers[key], self.target)

    @cached_property
    def lock(self) -> Lock | None:
        try:
            return lockfile.read(lockfile.path_for(self.project))
        except LayerkitError:
            return None

    def locked(self, key: str) -> dict[str, str]:
        """Name -> version of what the lock has this layer pack."""
        if not self.lock or key not in self.lock.layers or not self.is_for(key):
            return {}
        try:
            return {pin.name: pin.version for pin in lockfile.share(self.lock, self.project, key, self.target)}
        except (LayerkitError, KeyError, ValueError):  # it is of another layers.yaml
            return {}

    def holder(self, path: str) -> Pack | None:
        """The attached zip whose file stands at this path below /opt: the last one wins."""
        return next((pack for pack in reversed(self.attached) if path in pack.files), None)

    def own(self, path: str) -> Path | None:
        """The user's own file that Lambda has at `path`: of the function, or of a layer's own source."""
        if path.startswith(TASK):
            return self.source.get(path.removeprefix(TASK))
        pack = self.holder(path.removeprefix(OPT)) if path.startswith(OPT) else None
        layer = self.project.layers.get(pack.key) if pack else None
        parts = PurePosixPath(path).parts
        if layer is None or layer.source is None or parts[2:3] != ("python",) or ".." in parts:
            return None
        file = layer.source.joinpath(*parts[3:])
        return file if file.is_file() else None

    def shown(self, path: str) -> str:
        """A path of Lambda's as the user knows it: his own file, or Lambda's path; no other path of this machine."""
        file = self.own(path)
        if file:
            return shown(file)
        return path if path.startswith(tuple(f"{root}/" for root in ROOTS)) else PurePosixPath(path).name

    def elsewhere(self, names: set[str]) -> Path | None:
        """A file of the project with one of these names (paths), outside of the function's source."""
        root = self.project.root
        inside = (self.function.source, self.dist, *(layer.source for layer in self.project.layers.values()))
        left_out = {folder.resolve() for folder in inside if folder}
        for file in _walk(root, left_out):
            if any(str(file).endswith(f"/{name}") for name in names):
                return file
        return None


def _walk(root: Path, left_out: set[Path]) -> Iterator[Path]:
    """Python files, those of the upper folders first."""
    waiting, seen = [root], 0
    while waiting and seen < MOST_FILES:
        folder = waiting.pop(0)
        try:
            items = sorted(folder.iterdir())
        except OSError:
            continue
        if any(item.name == "pyvenv.cfg" for item in items):
            continue
        seen += len(items)
        for item in items:
            if item.is_symlink() or item.name.startswith(".") or item.name in NOT_LOOKED_INTO:
                continue
            if item.is_dir() and item.resolve() not in left_out:
                waiting.append(item)
            elif item.suffix == ".py":
                yield item


def shown(file: Path) -> str:
    """A path of the user's: relative to the current folder where it is in it."""
    with suppress(OSError):  # the current folder may be gone
        for one, here in ((file, Path.cwd()), (file.resolve(), Path.cwd().resolve())):
            if one.is_relative_to(here):
                return str(one.relative_to(here))
    return str(file)
