"""The default builder: which one does the work, what is said of it, and which failures are nobody's to swallow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import Said
from layerkit import targets
from layerkit.builders import Builder, Installed, Modules, OtherRelease, Tell, Unfit, Wanted, auto
from layerkit.builders.auto import AutoBuilder
from layerkit.builders.container import ContainerBuilder
from layerkit.builders.wheels import WheelsBuilder
from layerkit.cache import Cache
from layerkit.errors import BuildFailed, EngineError, HashMismatch, IndexUnreachable, LayerkitError, WheelMissing
from layerkit.model import Environment, Origin, Pin, Target

UNFIT = Unfit("no container engine answers", where="unix:///x", why="refused", cure="layerkit doctor says it")
WANTED = [Wanted(pin=Pin(name="web", version="1.0", hashes=()), environment=Environment())]
MODULES: Modules = [[("a.py", "/opt/python/a.py", "a.pyc")]]


def target() -> Target:
    found = targets.find_runtime("python3.12")
    assert found
    return found.target("arm64")


class Fake:
    """A builder that does what it says, or fails as it is told, and remembers."""

    def __init__(self, name: str, error: Exception | None = None, release: str | Exception = "") -> None:
        self.name, self.error, self.known = name, error, release
        self.calls: list[object] = []

    @contextmanager
    def session(self, target: Target, folder: Path, step_limit: int) -> Iterator[Fake]:
        self.calls.append(("session", target, folder, step_limit))
        try:
            yield self
        finally:
            self.calls.append("closed")

    def release(self, target: Target) -> str:
        if isinstance(self.known, Exception):
            raise self.known
        return self.known

    def install(self, wanted: Sequence[Wanted], tell: Tell) -> Mapping[Wanted, Installed]:
        self.calls.append(("install", wanted))
        if self.error:
            raise self.error
        tell([one.pin for one in wanted], "installing")
        return {one: Installed(home=Path(self.name), origin=Origin(builder=self.name)) for one in wanted}

    def compile(self, release: str, modules: Modules) -> Origin:
        self.calls.append(("compile", release, modules))
        if self.error:
            raise self.error
        return Origin(builder=self.name)


def install(builder: Builder, tell: Tell = lambda *_: None) -> set[str]:
    """The names of the builders that did it."""
    with builder.session(target(), Path("work"), 60) as session:
        return {found.origin.builder for found in session.install(WANTED, tell).values()}


def worked(fake: Fake) -> list[str]:
    return [call[0] if isinstance(call, tuple) else str(call) for call in fake.calls]


def test_the_container_where_there_is_one(said: Said) -> None:
    container, wheels = Fake("container"), Fake("wheels")
    told: list[tuple[Sequence[Pin], str]] = []
    assert install(AutoBuilder(container, wheels, said), lambda pins, step: told.append((pins, step))) == {
        "container"
    }
    assert container.calls == [("session", target(), Path("work"), 60), ("install", WANTED), "closed"]
    assert worked(wheels) == ["session", "closed"]
    assert told == [([WANTED[0].pin], "installing")]
    assert said.notes == []  # the container tells of itself


def test_wheels_where_there_is_none(said: Said) -> None:
    container, wheels = Fake("container", UNFIT), Fake("wheels")
    assert install(AutoBuilder(container, wheels, said)) == {"wheels"}
    assert said.notes == ["builder: wheels, without a container: no container engine answers"]
    assert said.warnings == []
    assert worked(container) == worked(wheels) == ["session", "install", "closed"]


@pytest.mark.parametrize(
    "error",
    [
        EngineError("the container engine went away"),
        BuildFailed("web 1.0 cannot be built"),
        HashMismatch("other bytes"),
        IndexUnreachable("no answer"),
        WheelMissing("no wheel", cure="its own"),
        KeyError("a defect"),
    ],
)
def test_other_failures_are_told(said: Said, error: Exception) -> None:
    container, wheels = Fake("container", error), Fake("wheels")
    with pytest.raises(type(error)) as caught:
        install(AutoBuilder(container, wheels, said))
    assert caught.value is error
    assert worked(wheels) == ["session", "closed"]
    assert worked(container)[-1] == "closed"
    assert said.notes == []
    assert getattr(error, "cure", "") in ("", "its own")


def test_a_wheel_that_is_missing_where_no_container_is(said: Said) -> None:
    error = WheelMissing(
        "no wheel", why="web 1.0: only a source distribution", cure="layerkit build --builder container"
    )
    with pytest.raises(WheelMissing) as caught:
        install(AutoBuilder(Fake("container", UNFIT), Fake("wheels", error), said))
    assert caught.value is error
    assert error.cure == ("build it in a container: no container engine answers; layerkit doctor says what to do")
    assert error.why == "web 1.0: only a source distribution"


@pytest.mark.parametrize("error", [IndexUnreachable("no answer", cure="own"), HashMismatch("x", cure="own")])
def test_other_failures_of_wheels_are_as_they_were(said: Said, error: LayerkitError) -> None:
    with pytest.raises(type(error)):
        install(AutoBuilder(Fake("container", UNFIT), Fake("wheels", error), said))
    assert error.cure == "own"


def test_the_release_of_the_container(said: Said) -> None:
    def release(known: str | Exception) -> str:
        return AutoBuilder(Fake("container", release=known), Fake("wheels", release="never"), said).release(target())

    assert release("3.12.15") == "3.12.15"
    assert release(UNFIT) == ""
    with pytest.raises(EngineError, match="went away"):
        release(EngineError("went away"))
    with pytest.raises(IndexUnreachable):
        release(IndexUnreachable("no uv for the container"))


def test_the_container_compiles(said: Said) -> None:
    container, wheels = Fake("container"), Fake("wheels")
    with AutoBuilder(container, wheels, said).session(target(), Path("work"), 60) as session:
        assert session.compile("3.12.15", MODULES) == Origin(builder="container")
    assert ("compile", "3.12.15", MODULES) in container.calls
    assert worked(wheels) == ["session", "closed"]


@pytest.mark.parametrize("error", [OtherRelease(), UNFIT])
def test_nobody_else_compiles(said: Said, error: Exception) -> None:
    with (
        AutoBuilder(Fake("container", error), Fake("wheels"), said).session(target(), Path("work"), 60) as session,
        pytest.raises(type(error)),
    ):
        session.compile("3.12.15", MODULES)


def test_builders_by_name(cache: Cache, said: Said) -> None:
    """None of them asks an engine before there is work."""
    assert isinstance(auto.named("container", cache, said), ContainerBuilder)
    assert isinstance(auto.named("wheels", cache, said), WheelsBuilder)
    found = auto.named("auto", cache, said)
    assert isinstance(found, AutoBuilder)
    assert isinstance(found.container, ContainerBuilder)
    assert isinstance(found.wheels, WheelsBuilder)
    with found.session(target(), Path("work"), 60):
        pass
    assert WheelsBuilder().release(target()) == ""
