"""Reads alone: what there is in one region, of the layers that are asked for and of what may use them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from layerkit.aws.everywhere import AT_ONCE, together
from layerkit.aws.failures import CallFailed, CredentialsRefused, Denied, NotEnabled, Rejected, Unreachable
from layerkit.aws.nouns import Alias, FunctionVersion, LayerVersion, Policy, Room
from layerkit.aws.pace import Patience
from layerkit.aws.registry import Estate
from layerkit.aws.stop import Stop
from layerkit.operate.account import Failure, told

EVERYTHING = (NotEnabled, Unreachable, CredentialsRefused)  # what holds for all calls to the region
ELSEWHERE = "name where ARNs stand: --parameters /layers; --no-parameters looks nowhere, and protects nothing there"
ABSENT = "ResourceNotFoundException"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What was read of one region."""

    region: str
    layers: Mapping[str, tuple[LayerVersion, ...]]  # by name, newest first; none for a layer that is not there
    functions: tuple[FunctionVersion, ...] = ()  # every function, every version
    aliases: Mapping[str, tuple[Alias, ...]] = field(default_factory=dict)  # of functions that use these layers
    parameters: Mapping[str, str] = field(default_factory=dict)  # SSM's, name -> value
    room: Room | None = None  # None: AWS does not tell
    lacks: tuple[Failure, ...] = ()  # what could not be read, where it was asked to do without
    blind: bool = False  # functions or parameters are among that, so what nothing holds may be held

    @property
    def versions(self) -> list[LayerVersion]:
        return [one for every in self.layers.values() for one in every]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One region, page by page and with patience.  Each method raises CallFailed, and Stopped."""

    estate: Estate
    patience: Patience
    stop: Stop = field(default_factory=Stop)
    at_once: int = AT_ONCE

    def call(self, work: Callable[[], T]) -> T:
        """A call that changes nothing or may be done twice; none is begun once the run is stopped."""

        def begun() -> T:
            self.stop.check()
            return work()

        return self.patience.reading(begun)

    def names(self) -> tuple[str, ...]:
        """Every layer that has a version."""
        return tuple(sorted({one.name for one in self._pages(self.estate.layers.names)}))

    def versions(self, name: str) -> tuple[LayerVersion, ...]:
        """All versions of a layer, newest first, each once: pages shift when a version is published meanwhile."""
        found = {one.version: one for one in self._pages(lambda marker: self.estate.layers.page(name, marker))}
        return tuple(found[number] for number in sorted(found, reverse=True))

    def functions(self) -> tuple[FunctionVersion, ...]:
        return tuple(self._pages(lambda marker: self.estate.functions.page(marker)))

    def aliases(self, function: str) -> tuple[Alias, ...]:
        return tuple(self._pages(lambda marker: self.estate.functions.aliases(function, marker)))

    def parameters(self, prefixes: Sequence[str]) -> dict[str, str]:
        """Every parameter below one of these, but for secrets."""
        found: dict[str, str] = {}

        def page(prefix: str, marker: str) -> tuple[Iterable[tuple[str, str]], str]:
            values, following = self.estate.parameters.under(prefix, marker)
            return values.items(), following

        try:
            for prefix in prefixes:
                found |= dict(self._pages(partial(page, prefix)))
        except Denied as failure:
            failure.cure += f"; or {ELSEWHERE}"
            raise
        return found

    def room(self) -> Room | None:
        """The code storage; nothing depends on it, so it is done without where AWS does not tell."""
        try:
            return self.call(self.estate.layers.room)
        except EVERYTHING:
            raise
        except CallFailed:
            return None

    def policy(self, version: LayerVersion) -> Policy:
        """Who may use a version; nobody may use one that is not there any more."""
        try:
            return self.call(lambda: self.estate.layers.policy(version.name, version.version))
        except Rejected as failure:
            if failure.code == ABSENT:
                return Policy()
            raise

    def size(self, version: LayerVersion) -> int:
        """Bytes of a version's zip; 0 for one that is not there any more."""
        found = self.call(lambda: self.estate.layers.get(version.name, version.version))
        return found.size if found else 0

    def _pages(self, page: Callable[[str], tuple[Iterable[T], str]]) -> Iterator[T]:
        marker = ""
        while True:
            found, marker = self.call(partial(page, marker))
            yield from found
            if not marker:
                return


def take(
    reader: Reader, names: Sequence[str], prefixes: Sequence[str], *, tolerant: bool = False, aliases: bool = True
) -> Inventory:
    """Everything of one region.  Raises CallFailed; when `tolerant`, for what holds for the layers alone.

    Aliases are read to be told: a version that an alias names is among the functions' versions in any case.
    """
    holders: list[Failure] = []
    names_alone: list[Failure] = []

    def lenient(call: Callable[[], T], nothing: T, *, always: bool = False) -> T:
        try:
            return call()
        except EVERYTHING:
            raise
        except CallFailed as failure:
            if not tolerant and not always:
                raise
            (names_alone if always else holders).append(told(failure))
            return nothing

    with ThreadPoolExecutor(max_workers=reader.at_once) as threads:
        values = threads.submit(lenient, lambda: reader.parameters(prefixes), {})  # another service, and slow
        every = threads.submit(lenient, reader.functions, ())
        listed = {name: threads.submit(reader.versions, name) for name in names}
        room = threads.submit(reader.room)
        try:
            layers = {name: one.result() for name, one in listed.items()}
            functions, parameters = every.result(), values.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)  # what is not begun is not wanted any more
            raise
    arns = {one.arn for versions in layers.values() for one in versions}
    users = sorted({one.name for one in functions if arns.intersection(one.layers)}) if aliases else []
    none: tuple[Alias, ...] = ()
    found = together(lambda name: lenient(lambda: reader.aliases(name), none, always=True), users, reader.at_once)
    return Inventory(
        region=reader.estate.name,
        layers=layers,
        functions=functions,
        aliases=dict(zip(users, found, strict=True)),
        parameters=parameters,
        room=room.result(),
        lacks=tuple(dict.fromkeys([*holders, *names_alone])),
        blind=bool(holders),
    )
