"""Accounts in memory, as `list` and `prune` meet them: several regions, small pages, calls that fail as told.

A Land is what is true in one region, and the way there (a registry.Estate).  An Owner is the account.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from layerkit.aws.failures import (
    CallFailed,
    CredentialsRefused,
    Denied,
    NotEnabled,
    Rejected,
    Throttled,
    Unanswered,
    Unreachable,
)
from layerkit.aws.nouns import Alias, FunctionVersion, LayerVersion, Policy, Room, Statement
from layerkit.aws.registry import Functions, LayerHistory, ParameterTree, Turns
from layerkit.aws.stop import Stop
from layerkit.cache import Cache
from layerkit.console import Console
from layerkit.model import Share
from layerkit.operate import pipeline
from layerkit.operate.request import PruneRequest
from layerkit.operate.results import Pruned, RegionPruned
from layerkit.operate.talk import Talk
from layerkit.publish import published as records

T = TypeVar("T")

ACCOUNT, FRIEND = "123456789012", "210987654321"
REGIONS = ("us-east-1", "eu-west-1")
FAILURES: dict[str, type[CallFailed]] = {
    "denied": Denied,
    "down": Unreachable,
    "throttled": Throttled,
    "lost": Unanswered,
    "refused": CredentialsRefused,
    "off": NotEnabled,
}
PATIENCE = 12  # failures in a row that no patience outlasts


def arn(region: str, name: str, version: int, account: str = ACCOUNT) -> str:
    return f"arn:aws:lambda:{region}:{account}:layer:{name}:{version}"


class Quick(Stop):
    """A run's switch whose sleeps are over at once."""

    def sleep(self, seconds: float) -> None:
        self.check()


@dataclass(slots=True, kw_only=True)
class Land:
    """One region.  `script` has, by operation, what becomes of its next calls: a word of FAILURES, or "" for well.

    "lost after" does the work, and the answer does not come.  `events` are done before an operation's next call.
    """

    name: str
    size: int = 2  # of a page
    made: dict[str, dict[int, LayerVersion]] = field(default_factory=dict)
    who: list[FunctionVersion] = field(default_factory=list)
    names: dict[str, list[Alias]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    granted: dict[str, tuple[Statement, ...]] = field(default_factory=dict)  # by ARN
    script: dict[str, list[str]] = field(default_factory=dict)
    events: dict[str, list[Callable[[], object]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def add(
        self,
        name: str,
        version: int,
        *,
        days: float | None = 100,
        runtimes: Sequence[str] = ("python3.12",),
        architectures: Sequence[str] = ("arm64",),
    ) -> str:
        """A version that was made so many days ago, or nobody knows when; its ARN."""
        when = datetime.now(UTC) - timedelta(days=days or 0)
        created = when.isoformat(timespec="milliseconds").replace("+00:00", "+0000") if days is not None else "?"
        self.made.setdefault(name, {})[version] = one = LayerVersion(
            name=name, version=version, arn=arn(self.name, name, version), created=created,
            runtimes=tuple(runtimes), architectures=tuple(architectures),
        )  # fmt: skip
        return one.arn

    def use(self, function: str, version: str, *layers: str) -> None:
        where = f"arn:aws:lambda:{self.name}:{ACCOUNT}:function:{function}"
        sizes = tuple(1_000_000 for _ in layers)
        self.who.append(FunctionVersion(name=function, version=version, arn=where, layers=layers, layer_sizes=sizes))

    def alias(self, function: str, name: str, version: str, **weights: float) -> None:
        shares = tuple((to.removeprefix("v"), share) for to, share in weights.items())
        self.names.setdefault(function, []).append(
            Alias(name=name, function=function, version=version, weights=shares)
        )

    def share(self, arn: str, principal: str = FRIEND) -> None:
        self.granted[arn] = (Statement(sid=f"layerkit-account-{principal}", principal=principal),)

    @property
    def arns(self) -> set[str]:
        return {one.arn for every in self.made.values() for one in every.values()}

    @property
    def layers(self) -> LayerHistory:
        return _Layers(self, self.name)

    @property
    def functions(self) -> Functions:
        return _Functions(self, self.name)

    @property
    def parameters(self) -> ParameterTree:
        return _Tree(self)

    def call(self, operation: str, work: Callable[[], T]) -> T:
        with self.lock:
            self.calls.append(operation)
            for event in self.events.pop(operation, []):
                event()
            words = self.script.get(operation, [])
            word = words.pop(0) if words else ""
            if word in FAILURES:
                raise FAILURES[word](operation, self.name, word, f"the script says {word}", cure=f"cure {word}")
            answer = work()
            if word == "lost after":
                raise Unanswered(operation, self.name, "ConnectionClosedError", "the script says so")
            return answer

    def page(self, items: Iterable[T], marker: str) -> tuple[list[T], str]:
        every, start = list(items), int(marker or 0)
        end = start + self.size
        return every[start:end], str(end) if end < len(every) else ""


@dataclass(slots=True)
class _Layers:
    """registry.LayerHistory."""

    land: Land
    region: str

    def names(self, marker: str = "") -> tuple[list[LayerVersion], str]:
        def work() -> tuple[list[LayerVersion], str]:
            newest = [every[max(every)] for _, every in sorted(self.land.made.items()) if every]
            return self.land.page(newest, marker)

        return self.land.call("ListLayers", work)

    def page(self, name: str, marker: str = "") -> tuple[list[LayerVersion], str]:
        def work() -> tuple[list[LayerVersion], str]:
            every = self.land.made.get(name, {})
            return self.land.page([every[number] for number in sorted(every, reverse=True)], marker)

        return self.land.call("ListLayerVersions", work)

    def newest(self, name: str, *, runtime: str = "", architecture: str = "", count: int = 1) -> list[LayerVersion]:
        raise NotImplementedError

    def get(self, name: str, version: int) -> LayerVersion | None:
        return self.land.call("GetLayerVersion", lambda: self.land.made.get(name, {}).get(version))

    def delete(self, name: str, version: int) -> None:
        self.land.call("DeleteLayerVersion", lambda: self.land.made.get(name, {}).pop(version, None))

    def policy(self, name: str, version: int) -> Policy:
        def work() -> Policy:
            one = self.land.made.get(name, {}).get(version)
            if not one:
                words = "Layer version ARN does not exist."
                raise Rejected("GetLayerVersionPolicy", self.region, "ResourceNotFoundException", words)
            return Policy(statements=self.land.granted.get(one.arn, ()))

        return self.land.call("GetLayerVersionPolicy", work)

    def room(self) -> Room:
        return self.land.call("GetAccountSettings", lambda: Room(used=len(self.land.arns) * 10**6, limit=80 * 10**9))


@dataclass(slots=True)
class _Functions:
    """registry.Functions, as far as it is read."""

    land: Land
    region: str

    def page(self, marker: str = "") -> tuple[list[FunctionVersion], str]:
        return self.land.call("ListFunctions", lambda: self.land.page(self.land.who, marker))

    def aliases(self, name: str, marker: str = "") -> tuple[list[Alias], str]:
        return self.land.call("ListAliases", lambda: self.land.page(self.land.names.get(name, []), marker))

    def get(self, name: str, version: str = "") -> FunctionVersion | None:
        raise NotImplementedError

    def attach(self, name: str, layers: tuple[str, ...], revision: str) -> FunctionVersion:
        raise NotImplementedError

    def publish(self, name: str, revision: str) -> FunctionVersion:
        raise NotImplementedError

    def alias(self, name: str, alias: str) -> Alias | None:
        raise NotImplementedError

    def point(self, name: str, alias: str, version: str, revision: str) -> Alias:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _Tree:
    """registry.ParameterTree."""

    land: Land

    def under(self, path: str, marker: str = "") -> tuple[dict[str, str], str]:
        def work() -> tuple[dict[str, str], str]:
            below = path.rstrip("/") + "/"
            found, following = self.land.page(
                ((name, value) for name, value in sorted(self.land.values.items()) if name.startswith(below)), marker
            )
            return dict(found), following

        return self.land.call("GetParametersByPath", work)

    def delete(self, name: str) -> None:
        self.land.call("DeleteParameter", lambda: self.land.values.pop(name, None))


@dataclass(slots=True, kw_only=True)
class Owner:
    """everywhere.Account."""

    lands: dict[str, Land]
    number: str = ACCOUNT
    endpoint: str = ""
    partition: str = "aws"
    configured_region: str = ""

    def known_regions(self) -> dict[str, list[str]]:
        return {"aws": sorted(self.lands)}

    def enabled_regions(self) -> list[str]:
        return sorted(self.lands)

    def left_out(self) -> list[str]:
        return []

    def region(self, name: str, limiter: Turns, /) -> Land:
        return self.lands[name]


class Witness:
    """pipeline.Says: remembers what is told, and lets things happen once the plan is."""

    def __init__(self, then: Callable[[], object] = lambda: None, *, agrees: bool = True) -> None:
        self.then, self.agrees = then, agrees
        self.stream = io.StringIO()
        self.talk = Talk(console=Console(stream=self.stream))
        self.plan: Pruned | None = None
        self.note, self.warn = self.talk.note, self.talk.warn

    def planned(self, result: Pruned) -> bool:
        self.plan = result
        self.talk.planned(result)
        self.then()
        return self.agrees

    def swept(self, region: RegionPruned) -> None:
        self.talk.swept(region)

    @property
    def said(self) -> str:
        return self.stream.getvalue()


def doomed(result: Pruned | None) -> set[str]:
    """The ARNs of what a plan says will go."""
    assert result
    return {verdict.version.arn for region in result.regions for verdict in region.doomed}


def entry(version: LayerVersion, region: str, key: str = "", account: str = ACCOUNT) -> records.Entry:
    """As published.json has a version."""
    return records.Entry(
        layer=key or version.name, name=version.name, account=account, region=region, version=version.version,
        arn=arn(region, version.name, version.version, account), runtimes=version.runtimes,
        architectures=version.architectures, code_sha256="A" * 43 + "=", share=Share(), size=1234,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A machine: a folder with dist/, and a cache."""

    folder: Path
    cache: Path

    def publish(self, *entries: records.Entry) -> None:
        (self.folder / records.NAME).write_bytes(records.render(entries))

    def prune(
        self,
        lands: Iterable[Land],
        *layers: str,
        says: Witness | None = None,
        stop: Stop | None = None,
        **asked: Any,
    ) -> Pruned:
        owner = Owner(lands={land.name: land for land in lands})
        given: dict[str, Any] = {
            "file": self.folder / "layers.yaml", "output": self.folder, "layers": layers, "all_regions": True,
            "keep": 1, **asked,
        }  # fmt: skip
        request = PruneRequest(**given)
        return pipeline.prune(request, lambda _: owner, Cache(self.cache), says or Witness(), stop or Quick())
