"""Lambda's layers of one region in memory, as AWS does it, and lines to it that fail where they are told to.

A Cloud is what is true in AWS.  A Line is one machine's way there (a registry.Region): at each call the next word of
its script says what becomes of it.  A Machine runs layerkit over a line, with a journal on disk that it keeps.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from layerkit.aws.failures import (
    CallFailed,
    CredentialsRefused,
    Denied,
    NotEnabled,
    Rejected,
    TagsUnsupported,
    Throttled,
    Unanswered,
    Unreachable,
)
from layerkit.aws.nouns import Candidate, LayerVersion, Policy, Room, Statement, Stored
from layerkit.aws.pace import Patience
from layerkit.aws.registry import Bucket, LayerRegistry, Parameters
from layerkit.aws.stop import Stop, Stopped
from layerkit.errors import MachineError
from layerkit.publish import regional
from layerkit.publish.journal import Journal
from layerkit.publish.plan import LOOK, Planner, Terms
from layerkit.publish.results import Known, Outcome, RegionResult

T = TypeVar("T")

ACCOUNT = "123456789012"
REGION = "eu-west-1"
GIB = 2**30
WRITES = {"publish", "delete", "share", "unshare", "put parameter", "upload", "discard"}
FAILURES: dict[str, type[CallFailed]] = {
    "throttled": Throttled,
    "unreachable": Unreachable,
    "rejected": Rejected,
    "denied": Denied,
    "credentials": CredentialsRefused,
    "not enabled": NotEnabled,
}
# What may become of a call, besides its work and its answer.  "late:3": its answer is lost, and its work is done when
# three more calls have come; "killed late:3": the same, and the caller is killed.
LOST = ("lost before", "lost after", "late:0", "late:1", "late:3")
KILLED = ("killed before", "killed after", "killed late:0", "killed late:2")
SPOILT = ("wrong hash", "no tags")
FAULTS = (*FAILURES, *LOST, *KILLED, *SPOILT)
JOURNAL_FAULTS = ("killed before", "killed after", "full")


class Killed(BaseException):
    """Stands for kill -9: nothing in the program catches it, and nothing is done after it."""


def layer(code: str = "a", *, name: str = "deps", **more: Any) -> Candidate:
    """A candidate whose bytes are known by a word; by default for one runtime and one architecture."""
    given: dict[str, Any] = {"size": 1000, "runtimes": ("python3.12",), "architectures": ("arm64",)} | more
    sha256 = hashlib.sha256(code.encode()).hexdigest()
    return Candidate(layer=name, name=name, path=Path(f"{name}-{code}.zip"), sha256=sha256, **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Work that AWS has taken on and not done yet."""

    calls: int  # that come before it
    work: Callable[[], object]
    publishes: bool
    given_up: bool = False  # the caller counts with it no more


@dataclass(slots=True, kw_only=True)
class Cloud:
    """One region of one account."""

    takes_tags: bool = True
    buckets: bool = True
    limit: int = 300 * GIB
    now: float = 1.8e9  # seconds since 1970; a call takes one
    used_besides: int = 0  # bytes of the code storage that functions use
    versions: dict[str, dict[int, LayerVersion]] = field(default_factory=dict)  # that are not deleted
    policies: dict[tuple[str, int], dict[str, Statement]] = field(default_factory=dict)
    makers: dict[tuple[str, int], str] = field(default_factory=dict)  # also of those that are deleted
    numbers: Counter[str] = field(default_factory=Counter)  # the last one of each name; none is used twice
    deleted: list[tuple[str, int, str]] = field(default_factory=list)  # name, number, by whom
    objects: dict[str, str] = field(default_factory=dict)  # key -> hash
    parameters: dict[str, str] = field(default_factory=dict)
    late: list[Late] = field(default_factory=list)
    unseen: set[tuple[str, int]] = field(default_factory=set)  # made late, and in no long list since
    too_late: set[tuple[str, int]] = field(default_factory=set)  # made late, when nobody looked any more

    def tick(self) -> None:
        """A call comes: late work gets its turn."""
        self.now += 1
        waiting, self.late = self.late, []
        for one in waiting:
            if one.calls:
                self.late.append(replace(one, calls=one.calls - 1))
            else:
                self._late(one)

    def settle(self) -> None:
        """After everything, all late work is done."""
        waiting, self.late = self.late, []
        for one in waiting:
            self._late(one)

    def leave_alone(self) -> None:
        """What a dead run has begun is done, but for its calls to publish."""
        waiting, self.late = self.late, [one for one in self.late if one.publishes]
        for one in waiting:
            if not one.publishes:
                self._late(one)

    def _late(self, late: Late) -> None:
        try:
            made = late.work()
        except CallFailed:
            return
        if late.publishes and isinstance(made, LayerVersion):
            (self.too_late if late.given_up else self.unseen).add((made.name, made.version))

    def close(self) -> None:
        """Who called has found what it wanted: what is late from here on is not looked for by anybody."""
        self.too_late |= self.unseen
        self.unseen = set()
        self.late = [replace(one, given_up=True) for one in self.late]

    def newest(self, name: str, runtime: str, architecture: str, count: int) -> list[LayerVersion]:
        assert 1 <= count <= 50  # botocore: MaxLayerListItems
        there = sorted(self.versions.get(name, {}).values(), key=lambda one: -one.version)
        fit = [
            replace(one, code_sha256="", size=0)
            for one in there
            if (not runtime or runtime in one.runtimes) and (not architecture or architecture in one.architectures)
        ][:count]
        if count == LOOK:
            self.unseen -= {(name, one.version) for one in fit}
        return fit

    def publish(self, candidate: Candidate, by: str) -> LayerVersion:
        self.numbers[candidate.name] += 1
        number = self.numbers[candidate.name]
        made = LayerVersion(
            name=candidate.name,
            version=number,
            arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{candidate.name}:{number}",
            runtimes=candidate.runtimes,
            architectures=candidate.architectures,
            description=candidate.description,
            license=candidate.license,
            created=f"{datetime.fromtimestamp(self.now, UTC):%Y-%m-%dT%H:%M:%S.000+0000}",  # as AWS writes it
            code_sha256=candidate.code_sha256,
            size=candidate.size,
        )
        self.versions.setdefault(candidate.name, {})[number] = made
        self.makers[candidate.name, number] = by
        return made

    def delete(self, name: str, number: int, by: str) -> None:
        if self.versions.get(name, {}).pop(number, None):
            self.deleted.append((name, number, by))
            self.policies.pop((name, number), None)

    def policy(self, name: str, number: int) -> dict[str, Statement]:
        """The statements of a version, to be changed in place.  Raises Rejected where there is no version."""
        if number not in self.versions.get(name, {}):
            words = "Layer version ARN does not exist."
            raise Rejected("GetLayerVersionPolicy", REGION, "ResourceNotFoundException", words)
        return self.policies.setdefault((name, number), {})

    @property
    def used(self) -> int:
        return self.used_besides + sum(one.size for every in self.versions.values() for one in every.values())

    def like(self, candidate: Candidate) -> list[int]:
        """The numbers of the versions with these bytes, and these tags where the region takes them."""
        architectures = candidate.architectures if self.takes_tags else ()
        return [
            one.version
            for one in self.versions.get(candidate.name, {}).values()
            if one.code_sha256 == candidate.code_sha256
            and (one.runtimes, one.architectures) == (candidate.runtimes, architectures)
        ]


class Line:
    """One machine's way to a cloud: registry.Region, Parameters included."""

    name = REGION

    def __init__(
        self,
        cloud: Cloud,
        *,
        who: str = "here",
        script: Iterable[str] = (),
        publish_script: Iterable[str] = (),
        events: Mapping[str, Callable[[], object]] | None = None,
        turn: Callable[[], None] = lambda: None,
    ) -> None:
        """`events` are what else may happen before a call is done, by its word; `turn` is asked before each call."""
        self.cloud, self.who, self.turn = cloud, who, turn
        self.script: Iterator[str] = iter(script)
        self.publish_script: Iterator[str] = iter(publish_script)  # those calls have a script of their own
        self.events = events or {}
        self.calls: list[str] = []
        self.lost = False  # whether a call to publish was made whose answer did not come
        self.dead = False
        self.layers: LayerRegistry = LineLayers(self)
        self.bucket: Bucket | None = LineBucket(self) if cloud.buckets else None
        self.parameters: Parameters = LineParameters(self)

    @property
    def writes(self) -> list[str]:
        return [call for call in self.calls if call in WRITES]

    def die(self) -> Killed:
        self.dead = True
        return Killed()

    def call(self, operation: str, work: Callable[[], T], spoil: Callable[[str, T], T] | None = None) -> T:
        """One call.  A dead machine makes none: that is said to all its threads."""
        self.turn()
        if self.dead:
            raise Killed
        self.cloud.tick()
        self.calls.append(operation)
        word = next(self.publish_script if operation == "publish" else self.script, "")
        if word in self.events:
            self.events[word]()
        if word in FAILURES:
            raise FAILURES[word](operation, REGION, word, f"the script says {word}")
        kind, _, calls = word.partition(":")
        self.lost |= operation == "publish" and kind.startswith(("lost", "late", "killed"))
        lost = Unanswered(operation, REGION, "ConnectionClosedError", f"the script says {word}")
        if kind in ("late", "killed late"):
            self.cloud.late.append(Late(calls=int(calls), work=work, publishes=operation == "publish"))
            raise lost if kind == "late" else self.die()
        if kind in ("lost before", "killed before"):
            raise lost if kind == "lost before" else self.die()
        answer = work()
        if kind in ("lost after", "killed after"):
            raise lost if kind == "lost after" else self.die()
        return spoil(kind, answer) if spoil else answer


class LineLayers:
    """registry.LayerRegistry."""

    region = REGION

    def __init__(self, line: Line) -> None:
        self.line, self.cloud = line, line.cloud

    def newest(self, name: str, *, runtime: str = "", architecture: str = "", count: int = 1) -> list[LayerVersion]:
        return self.line.call("list", lambda: self.cloud.newest(name, runtime, architecture, count))

    def get(self, name: str, version: int) -> LayerVersion | None:
        return self.line.call("get", lambda: self.cloud.versions.get(name, {}).get(version))

    def publish(self, candidate: Candidate, stored: Stored | None = None) -> LayerVersion:
        def work() -> LayerVersion:
            if candidate.architectures and not self.cloud.takes_tags:
                words = f"CompatibleArchitectures are not supported in {REGION}."
                raise TagsUnsupported("PublishLayerVersion", REGION, "InvalidParameterValueException", words)
            if stored and self.cloud.objects.get(stored.key) != candidate.sha256:
                words = "Error occurred while GetObject. S3 Error Code: NoSuchKey."
                raise Rejected("PublishLayerVersion", REGION, "InvalidParameterValueException", words)
            if candidate.size + self.cloud.used > self.cloud.limit:
                raise Rejected("PublishLayerVersion", REGION, "CodeStorageExceededException", "Code storage limit")
            return self.cloud.publish(candidate, self.line.who)

        def spoil(kind: str, made: LayerVersion) -> LayerVersion:
            if kind == "wrong hash":
                return replace(made, code_sha256="x" * 43 + "=")
            return replace(made, architectures=(), runtimes=()) if kind == "no tags" else made

        assert stored or candidate.size <= 52428800, "it does not fit into a request"
        return self.line.call("publish", work, spoil)

    def delete(self, name: str, version: int) -> None:
        self.line.call("delete", lambda: self.cloud.delete(name, version, self.line.who))

    def policy(self, name: str, version: int) -> Policy:
        found = self.line.call("policy", lambda: dict(self.cloud.policy(name, version)))
        return Policy(statements=tuple(found.values()), revision="1" if found else "")

    def share(self, name: str, version: int, statement: Statement) -> None:
        # a sid that is there is no failure of this method, and AWS leaves its statement as it is
        self.line.call("share", lambda: self.cloud.policy(name, version).setdefault(statement.sid, statement))

    def unshare(self, name: str, version: int, sid: str) -> None:
        self.line.call("unshare", lambda: self.cloud.policies.get((name, version), {}).pop(sid, None))

    def room(self) -> Room:
        return self.line.call("room", lambda: Room(used=self.cloud.used, limit=self.cloud.limit))


class LineBucket:
    """registry.Bucket."""

    def __init__(self, line: Line) -> None:
        self.line, self.objects = line, line.cloud.objects

    def put(self, candidate: Candidate) -> Stored:
        key = f"layerkit/{candidate.sha256}.zip"
        there = self.line.call("head", lambda: key in self.objects)
        if not there:
            self.line.call("upload", lambda: self.objects.update({key: candidate.sha256}))
        return Stored(bucket="zips", key=key, uploaded=not there)

    def left(self, candidate: Candidate) -> Stored | None:
        key = f"layerkit/{candidate.sha256}.zip"
        there = self.line.call("head", lambda: key in self.objects)
        return Stored(bucket="zips", key=key, uploaded=False) if there else None

    def discard(self, stored: Stored) -> None:
        self.line.call("discard", lambda: self.objects.pop(stored.key, None))


class LineParameters:
    """registry.Parameters."""

    def __init__(self, line: Line) -> None:
        self.line, self.there = line, line.cloud.parameters

    def get(self, names: tuple[str, ...]) -> dict[str, str]:
        return self.line.call("get parameters", lambda: {n: self.there[n] for n in names if n in self.there})

    def put(self, name: str, value: str) -> None:
        self.line.call("put parameter", lambda: self.there.update({name: value}))


class Notebook:
    """A journal that is written as its script says: killed before or after a fact is on disk, or the disk is full."""

    def __init__(self, journal: Journal, line: Line, script: Iterable[str]) -> None:
        self._journal, self._line, self._script = journal, line, iter(script)
        self.known = journal.known

    def __getattr__(self, name: str) -> Callable[..., None]:
        write = getattr(self._journal, name)

        def written(*values: object) -> None:
            word = next(self._script, "")
            if word == "full":
                raise MachineError("the disk is full", where="journal", why="ENOSPC", cure="free some space")
            if self._line.dead or word == "killed before":
                raise self._line.die()
            write(*values)
            if name == "published":
                self._line.cloud.close()
            if word == "killed after":
                raise self._line.die()

        return written


@dataclass(slots=True, kw_only=True)
class Machine:
    """A machine with layerkit, and its journal."""

    cloud: Cloud
    folder: Path
    who: str = "here"
    terms: Terms = field(default_factory=lambda: Terms(account=ACCOUNT))
    told: tuple[int, ...] = ()  # versions that published.json tells
    line: Line = field(init=False)  # the last run's
    lost: bool = False  # whether any call to publish had no answer, or none that was written down
    slept: list[float] = field(default_factory=list)
    now: float = 1.8e9  # seconds since 1970

    def run(
        self,
        *candidates: Candidate,
        script: Iterable[str] = (),
        publish_script: Iterable[str] = (),
        journal_script: Iterable[str] = (),
        events: Mapping[str, Callable[[], object]] | None = None,
        turn: Callable[[], None] = lambda: None,
        stop: Stop | None = None,
        at_once: int = 1,
    ) -> RegionResult:
        """`layerkit publish` in this region, up to its end or its death.  Raises Killed."""
        self.line = Line(
            self.cloud, who=self.who, script=script, publish_script=publish_script, events=events, turn=turn
        )
        try:
            with Journal.open(self.folder, ACCOUNT, REGION, clock=lambda: self.now) as journal:
                notebook: Any = Notebook(journal, self.line, journal_script)
                planner = self.planner(journal.known, stop)
                return regional.published(planner, notebook, candidates, at_once)
        except CallFailed as failure:
            return RegionResult(region=REGION, failure=str(failure), cure=failure.cure)
        except Stopped as stopped:
            return RegionResult(region=REGION, failure=str(stopped))
        finally:
            known = Journal.glance(self.folder, ACCOUNT, REGION, clock=lambda: self.now)
            self.lost |= self.line.lost or any(known(one).pending_after is not None for one in candidates)

    def survive(self, *candidates: Candidate, **more: Any) -> RegionResult | None:
        """As `run`; None when it was killed."""
        try:
            return self.run(*candidates, **more)
        except Killed:
            return None

    def plan(self, *candidates: Candidate, script: Iterable[str] = ()) -> RegionResult:
        """`layerkit publish --dry-run`."""
        self.line = Line(self.cloud, who=self.who, script=script)
        known = Journal.glance(self.folder, ACCOUNT, REGION, clock=lambda: self.now)
        return regional.planned(self.planner(known), candidates, at_once=1)

    def planner(self, known: Callable[[Candidate], Known], stop: Stop | None = None) -> Planner:
        def remembered(candidate: Candidate) -> Known:
            found = known(candidate)
            return replace(found, versions=tuple(dict.fromkeys([*self.told, *found.versions])))

        patience = Patience(sleep=self.slept.append, random=lambda: 0.5, clock=lambda: self.now)
        return Planner(region=self.line, known=remembered, terms=self.terms, patience=patience, stop=stop or Stop())


def only(result: RegionResult | None) -> Outcome:
    """The one outcome of a run."""
    assert result
    assert not result.failure
    (outcome,) = result.outcomes
    return outcome


def numbers(result: RegionResult) -> Sequence[int]:
    """The versions of a run's outcomes."""
    return [one.version.version for one in result.outcomes if one.version]
