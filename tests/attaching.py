"""A function of Lambda in memory, as AWS does it, and a way there on which calls fail where they are told to.

A World is what is true in AWS.  A Way is one machine's (registry.Functions): at each call the next word of its script
says what becomes of it.  A Desk is a machine with layerkit and its attached.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from layerkit.attach.apply import Changer
from layerkit.attach.back import Back
from layerkit.attach.choose import Chosen, Wanted
from layerkit.attach.forward import Forward
from layerkit.attach.progress import Progress
from layerkit.attach.record import Place
from layerkit.attach.recorder import Recorder
from layerkit.attach.references import layer_of
from layerkit.attach.report import Result
from layerkit.aws.failures import Busy, CallFailed, Denied, Rejected, Stale, Throttled, Unanswered, Unreachable
from layerkit.aws.nouns import Alias, FunctionVersion, LayerVersion
from layerkit.aws.pace import Patience

T = TypeVar("T")

ACCOUNT, REGION, FUNCTION, ALIAS = "123456789012", "eu-west-1", "api", "live"
PLACE = Place(account=ACCOUNT, region=REGION, function=FUNCTION)
FAILURES: dict[str, type[CallFailed]] = {"throttled": Throttled, "unreachable": Unreachable, "busy": Busy}
# "late:3": the answer is lost, and the work is done when three more calls have come; "killed late:3": the same, and
# the caller is killed.
LOST = ("lost before", "lost after", "late:0", "late:1", "late:4")
KILLED = ("killed before", "killed after", "killed late:0", "killed late:2", "killed late:9")


class Killed(BaseException):
    """Stands for kill -9: nothing in the program catches it, and nothing is done after it."""


def arn(name: str, version: int, *, account: str = ACCOUNT, region: str = REGION) -> str:
    return f"arn:aws:lambda:{region}:{account}:layer:{name}:{version}"


def layer(name: str, version: int, **more: Any) -> LayerVersion:
    """A layer version, by default for the runtime and architecture that functions here have."""
    found = LayerVersion(
        name=name, version=version, arn=arn(name, version), size=1000, runtimes=("python3.12",),
        architectures=("arm64",),
    )  # fmt: skip
    return replace(found, **more)


def wanted(*versions: LayerVersion, unzipped: int = 0) -> tuple[Wanted, ...]:
    return tuple(
        Wanted(version=one, why="as it was named", runtimes=one.runtimes, architectures=one.architectures,
               unzipped=unzipped)
        for one in versions
    )  # fmt: skip


def function(*layers: str, **more: Any) -> FunctionVersion:
    given = FunctionVersion(
        name=FUNCTION, version="$LATEST", arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{FUNCTION}", layers=layers,
        runtime="python3.12", architecture="arm64", code_size=500, layer_sizes=(1000,) * len(layers),
    )  # fmt: skip
    return replace(given, **more)


@dataclass(slots=True, kw_only=True)
class World:
    """One function with its versions and aliases; what others do is done by its methods, too."""

    layers: tuple[str, ...] = ()
    reads: int = 0  # that an update stays InProgress for
    bumps: bool = False  # publishing a version changes $LATEST's revision
    code: int = 1
    python_path: str | None = None
    deleted: set[str] = field(default_factory=set)  # ARNs of layer versions
    fails: int = 0  # so many of the next updates fail
    slow: bool = False  # what is late is so by more than anybody waits
    revision: int = 1
    left: int = 0
    update: str = "Successful"
    versions: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)  # layers and code
    pending: dict[str, int] = field(default_factory=dict)  # of versions: reads that are left
    aliases: dict[str, Alias] = field(default_factory=dict)
    late: list[tuple[int, Callable[[], object]]] = field(default_factory=list)
    had: set[str] = field(default_factory=set)  # layers that the function must never be without

    def __post_init__(self) -> None:
        self.had = set(map(layer_of, self.layers))

    def alias(self, name: str, version: str) -> None:
        self.aliases[name] = Alias(name=name, function=FUNCTION, version=version, revision="1")

    def state(self) -> tuple[object, ...]:
        """What a user sees of it."""
        return self.layers, {name: one.version for name, one in self.aliases.items()}

    def tick(self) -> None:
        """A call has come: late work comes nearer."""
        waiting, self.late = [(calls - 1, work) for calls, work in self.late], []
        for calls, work in waiting:
            if calls < 0:
                self._late(work)
            else:
                self.late.append((calls, work))

    def settle(self) -> None:
        """A second has passed: what is late is done."""
        if not self.slow:
            self._overdue()

    def _overdue(self) -> None:
        waiting, self.late = self.late, []
        for _, work in waiting:
            self._late(work)

    def flush(self) -> None:
        """Much time has passed."""
        self._overdue()
        self.ended()

    def _late(self, work: Callable[[], object]) -> None:
        with suppress(CallFailed):
            work()

    def ended(self) -> None:
        """An update that is under way comes to its end."""
        if self.update == "InProgress":
            failed, self.fails = self.fails > 0, max(0, self.fails - 1)
            self.left, self.update, self.revision = 0, "Failed" if failed else "Successful", self.revision + 1

    def others(self, layers: Sequence[str]) -> None:
        """Somebody else gives the function these layers."""
        self.ended()
        self._set(tuple(layers))
        self.had = set(map(layer_of, layers))

    def recoded(self) -> None:
        """Somebody else changes the function's code."""
        self.ended()
        self.code += 1
        self._begin()

    def _begin(self) -> None:
        self.revision, self.left, self.update = self.revision + 1, self.reads, "InProgress"
        if not self.reads:
            self.ended()

    def _set(self, layers: tuple[str, ...]) -> None:
        bases = [layer_of(one) for one in layers]
        assert len(set(bases)) == len(bases), f"two versions of one layer: {layers}"
        assert len(layers) <= 5
        self.layers = layers
        self._begin()

    def get(self, version: str) -> FunctionVersion | None:
        if version:
            if version not in self.versions:
                return None
            self.pending[version] = left = self.pending[version] - 1
            layers, _ = self.versions[version]
            state = "Pending" if left >= 0 else "Active"
            return function(*layers, version=version, state=state, revision="v")
        if self.update == "InProgress":
            self.left -= 1
            if self.left < 0:
                self.ended()
        return self._latest()

    def _latest(self) -> FunctionVersion:
        return function(*self.layers, update=self.update, revision=str(self.revision), python_path=self.python_path,
                        why="AWS's own words" if self.update == "Failed" else "")  # fmt: skip

    def _check(self, operation: str, revision: str) -> None:
        if self.update == "InProgress":
            raise Busy(operation, REGION, "ResourceConflictException", "An update is in progress")
        if revision != str(self.revision):
            raise Stale(operation, REGION, "PreconditionFailedException", "The Revision Id provided does not match")

    def attach(self, layers: tuple[str, ...], revision: str) -> FunctionVersion:
        self._check("UpdateFunctionConfiguration", revision)
        if self.deleted.intersection(layers).difference(self.layers):
            words = "Layer version ARN does not exist."
            raise Rejected("UpdateFunctionConfiguration", REGION, "InvalidParameterValueException", words)
        missing = self.had.difference(map(layer_of, layers))
        assert not missing, f"the function loses {missing}"
        self._set(layers)
        return self._latest()

    def publish(self, revision: str) -> FunctionVersion:
        self._check("PublishVersion", revision)
        last = str(max(map(int, self.versions), default=0))
        if self.versions.get(last) != (self.layers, self.code):
            last = str(int(last) + 1)
            self.versions[last], self.pending[last] = (self.layers, self.code), self.reads
            self.revision += self.bumps
        return function(*self.versions[last][0], version=last, state="Pending", revision="v")

    def point(self, name: str, version: str, revision: str) -> Alias:
        was = self.aliases[name]
        if was.revision != revision:
            raise Stale(
                "UpdateAlias", REGION, "PreconditionFailedException", "The Revision Id provided does not match"
            )
        assert version == "$LATEST" or version in self.versions
        self.aliases[name] = replace(was, version=version, revision=str(int(was.revision) + 1))
        return self.aliases[name]


class Way:
    """One machine's way to a world: registry.Functions."""

    region = REGION

    def __init__(
        self, world: World, script: Iterable[str] = (), events: Mapping[int, Callable[[], object]] | None = None
    ) -> None:
        self.world, self._script, self._events = world, iter(script), dict(events or {})
        self.calls: list[str] = []
        self.dead = False

    def _call(self, operation: str, work: Callable[[], T]) -> T:
        assert not self.dead, "a killed process calls"
        self.world.tick()
        if event := self._events.pop(len(self.calls), None):
            event()
        self.calls.append(operation)
        word = next(self._script, "")
        if word in FAILURES:
            raise FAILURES[word](operation, REGION, word, word)
        if word == "denied":
            raise Denied(
                operation, REGION, "AccessDeniedException", "not authorized", cure=f"allow lambda:{operation}"
            )
        killed = word.startswith("killed ")
        what = word.removeprefix("killed ").removeprefix("lost ")
        if what.startswith("late:"):
            self.world.late.append((int(what.removeprefix("late:")), work))
        elif what == "after":
            with suppress(CallFailed):
                work()
        elif not word:
            return work()
        if killed:
            self.dead = True
            raise Killed
        raise Unanswered(operation, REGION, "ConnectionClosedError", "no answer")

    def get(self, name: str, version: str | int = "") -> FunctionVersion | None:
        assert name == FUNCTION
        assert isinstance(version, str)
        return self._call("get", lambda: self.world.get(version))

    def attach(self, name: str, layers: tuple[str, ...], revision: str) -> FunctionVersion:
        return self._call("attach", lambda: self.world.attach(layers, revision))

    def publish(self, name: str, revision: str) -> FunctionVersion:
        return self._call("publish", lambda: self.world.publish(revision))

    def alias(self, name: str, alias: str) -> Alias | None:
        return self._call("alias", lambda: self.world.aliases.get(alias))

    def point(self, name: str, alias: str, version: str, revision: str) -> Alias:
        return self._call("point", lambda: self.world.point(alias, version, revision))


class Versions:
    """`get` of registry.LayerHistory."""

    def __init__(self, world: World) -> None:
        self.world = world

    def get(self, name: str, version: int) -> LayerVersion | None:
        found = f"{name}:{version}"
        return None if found in self.world.deleted else LayerVersion(name=name, version=version, arn=found)


@dataclass(slots=True, kw_only=True)
class Desk:
    """A machine with layerkit and its dist/.  `script` and `events` are those of its way."""

    world: World
    folder: Path
    now: float = 0.0
    ran: int = 0
    said: list[str] = field(default_factory=list)
    way: Way = field(init=False)  # the last run's

    def attach(
        self,
        *layers: LayerVersion,
        publish: bool = False,
        alias: str = "",
        dry_run: bool = False,
        script: Iterable[str] = (),
        events: Mapping[int, Callable[[], object]] | None = None,
        wait: float = 300,
    ) -> Result:
        """`layerkit attach`.  Raises LayerkitError and Killed."""
        self.ran += 1
        changer = self._changer(script, events, wait)
        run = Forward(
            place=PLACE,
            changer=changer,
            recorder=Recorder(folder=self.folder, place=PLACE, now=self._when),
            choose=lambda _: Chosen(wanted=wanted(*layers)),
            publish=publish,
            alias=alias,
            planned=lambda plan: self.said.append(", ".join(step.words for step in plan.steps)),
        )
        with changer.progress.told():
            return run.dry() if dry_run else run.run()

    def rollback(
        self,
        *,
        dry_run: bool = False,
        script: Iterable[str] = (),
        events: Mapping[int, Callable[[], object]] | None = None,
    ) -> Result:
        """`layerkit attach --rollback`."""
        changer = self._changer(script, events, 300)
        run = Back(place=PLACE, folder=self.folder, changer=changer,
                   planned=lambda plan: self.said.append(", ".join(step.words for step in plan.steps)))  # fmt: skip
        with changer.progress.told():
            return run.run(dry_run=dry_run)

    def _changer(
        self, script: Iterable[str], events: Mapping[int, Callable[[], object]] | None, wait: float
    ) -> Changer:
        self.way = Way(self.world, script, events)
        functions: Any = self.way
        versions: Any = Versions(self.world)
        patience = Patience(sleep=self._sleep, random=lambda: 0.5, clock=lambda: self.now)
        progress = Progress(where=f"{FUNCTION} in {REGION}")
        return Changer(
            functions=functions, versions=versions, name=FUNCTION, patience=patience, wait=wait, progress=progress
        )

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        if seconds >= 1:
            self.world.settle()

    def _when(self) -> str:
        return f"2026-01-01T00:00:{self.ran % 60:02}Z"
