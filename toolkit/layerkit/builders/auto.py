"""The default builder: the container where one can be had, else wheels; in one line it says which and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from layerkit.builders import Builder, Installed, Modules, Session, Tell, Unfit, Wanted
from layerkit.builders.boxes import Says
from layerkit.builders.container import ContainerBuilder
from layerkit.builders.wheels import WheelsBuilder
from layerkit.cache import Cache
from layerkit.errors import WheelMissing
from layerkit.model import Origin, Target


class AutoBuilder:
    """Decides for each target when its first work is to be done, so that nobody is asked where nothing changed."""

    def __init__(self, container: Builder, wheels: Builder, says: Says) -> None:
        self.container, self.wheels, self.says = container, wheels, says

    @contextmanager
    def session(self, target: Target, folder: Path, step_limit: int) -> Iterator[AutoSession]:
        with ExitStack() as stack:
            first = stack.enter_context(self.container.session(target, folder, step_limit))
            second = stack.enter_context(self.wheels.session(target, folder, step_limit))
            yield AutoSession(first, second, self.says)

    def release(self, target: Target) -> str:
        try:
            return self.container.release(target)
        except Unfit:
            return ""


class AutoSession:
    def __init__(self, container: Session, wheels: Session, says: Says) -> None:
        self.container, self.wheels, self.says = container, wheels, says

    def install(self, wanted: Sequence[Wanted], tell: Tell) -> Mapping[Wanted, Installed]:
        try:
            return self.container.install(wanted, tell)
        except Unfit as error:
            reason = error
        self.says.note(f"builder: wheels, without a container: {reason.what}")
        try:
            return self.wheels.install(wanted, tell)
        except WheelMissing as error:
            error.cure = f"build it in a container: {reason.what}; layerkit doctor says what to do"
            raise

    def compile(self, release: str, modules: Modules) -> Origin:
        return self.container.compile(release, modules)


def named(name: str, cache: Cache, says: Says) -> Builder:
    """The builder of this name on the command line."""
    container, wheels = ContainerBuilder(cache, says), WheelsBuilder()
    builders: dict[str, Builder] = {"container": container, "wheels": wheels}
    return builders.get(name) or AutoBuilder(container, wheels, says)
