"""A function behind a server from the first request to Ctrl-C, and its restarts when a source changes."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from layerkit import fronts
from layerkit.console import milliseconds
from layerkit.errors import LayerkitError
from layerkit.local.nouns import Environment, Init, Listen, Runnable
from layerkit.local.serve.answers import Explain, FunctionAnswers, OneByOne, Says
from layerkit.local.serve.turns import Room, Turns
from layerkit.local.serve.watch import Watch
from layerkit.local.serve.web import Server

GRACE = 1.0  # seconds that a request has to end after Ctrl-C
TOLD = 2.0  # seconds that those have who wait for it to read that it has ended
FEW = 3  # changed files that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A function as layers.yaml has it now."""

    runnable: Runnable
    sources: Mapping[str, Path]  # key -> folder of its layers that have source of their own
    explain: Explain  # why it failed, in a few lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What serving needs of the rest of layerkit.  All is called in the thread that runs `Loop.run`."""

    load: Callable[[], Served]  # raises LayerkitError
    open: Callable[[Runnable, Listen], AbstractContextManager[Environment]]  # raises LayerkitError
    rebuild: Callable[[frozenset[str]], None]  # the zips of layers whose own source has changed; raises LayerkitError


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The address, and what is looked at for changes."""

    front: str
    port: int  # 0: a free one
    host: str = "127.0.0.1"
    watch: bool = False
    file: Path  # layers.yaml, absolute
    output: Path  # of the zips, absolute: what changes there is no change


class Loop:
    """Serves until `stop` is set or Ctrl-C comes; `run` leaves no thread, no process and no open port."""

    def __init__(self, where: Where, means: Means, says: Says) -> None:
        self.where, self.means, self.says = where, means, OneByOne(says)
        self.turns = Turns()
        self.served = means.load()
        self.pending: set[str] = set()  # layers whose source has changed since their zip was made
        self.watch = self._watch()

    def run(self, stop: threading.Event) -> None:
        """Raises LayerkitError where it cannot begin, KeyboardInterrupt where that comes before it has begun."""
        server = Server(self.where.host, self.where.port)
        front = fronts.local(self.where.front, server.address.removeprefix("http://"))
        self.answers = FunctionAnswers(front, self.turns, self.says)
        begun = False
        try:
            server.start(self.answers)  # whoever is early waits for its turn
            init = self._open()
            self._tell_beginning(server.address, init)
            self.turns.go_on()
            begun = True
            self._wait(stop)
        except KeyboardInterrupt:  # which is how it is meant to end
            if not begun:
                raise
        finally:
            with undisturbed():
                self._end(server)
        self.says.note("ended; nothing is left")

    # -- one environment after the other

    def _open(self) -> Init:
        """A new environment after its init.  Why that failed is told at once, not with the first request."""
        opened = self.means.open(self.served.runnable, self.says.log)
        room = Room(opened.__enter__(), opened)
        try:
            init = room.environment.ready()
        except BaseException:
            room.close()
            raise
        self.answers.explain, self.answers.told = self.served.explain, init
        self.turns.take(room)
        if init.failure:
            why = self.answers.explained(init.failure)
            self.says.log("\n".join(("the init failed", *(f"  {line}" for line in why.splitlines()))))
        return init

    def _wait(self, stop: threading.Event) -> None:
        while not stop.is_set():
            changed = self.watch.settled(stop, self._is_lost)
            if changed:
                self._restart(changed, f"{self._names(changed)} changed")
            elif self.turns.lost and not stop.is_set():
                self._restart(frozenset(), "what it ran in was gone")

    def _is_lost(self) -> bool:
        self.turns.tidy()
        return self.turns.lost is not None

    def _restart(self, changed: frozenset[Path], why: str) -> None:
        """A new environment.  Requests wait for it; where there is none to be had, the old one goes on."""
        start = time.monotonic()
        self.turns.hold()
        try:
            sources = self.served.sources.items()
            self.pending |= {key for key, folder in sources if any(path.is_relative_to(folder) for path in changed)}
            if self.pending:
                self.means.rebuild(frozenset(self.pending))
                self.pending.clear()
            self._load()
            init = self._open()
        except (LayerkitError, OSError) as error:  # in the middle of an edit: what comes next is a change again
            self.turns.lost = None
            words = "\n".join(f"  {line}" for line in str(error).splitlines())
            self.says.log(f"not restarted, what was there before is still served ({why}):\n{words}")
        else:
            failed = ", but its init failed" if init.failure else ""
            self.says.note(f"restarted in {time.monotonic() - start:.1f} s: {why}{failed}")
        finally:
            self.turns.go_on()

    def _load(self) -> None:
        """layers.yaml anew.  It may name other folders to be looked at, which are seen before they are run."""
        before = self._paths()
        self.served = self.means.load()
        if self._paths() != before:
            self.watch = self._watch()

    def _watch(self) -> Watch:
        return Watch(self._paths(), ignored=(self.where.output,))

    def _paths(self) -> tuple[Path, ...]:
        if not self.where.watch:
            return ()
        source = self.served.runnable.function.source
        return (self.where.file, *self.served.sources.values(), *((source,) if source else ()))

    # -- what a person reads

    def _tell_beginning(self, address: str, init: Init) -> None:
        assert self.turns.room
        environment, function = self.turns.room.environment, self.served.runnable.function
        said = f"{address}  {function.key} behind {self.where.front}, {environment.where}"
        watched = "; restarts on changes" if self.where.watch else ""
        self.says.said(
            f"{said}, init {milliseconds(init.seconds)}{watched}; Ctrl-C ends it",
            url=address, function=function.key, front=self.where.front, where=environment.where,
            unlike_lambda=list(environment.unlike), init_ms=round(init.seconds * 1000, 3), watch=self.where.watch,
        )  # fmt: skip
        if environment.unlike:
            self.says.note(f"unlike Lambda: {'; '.join(environment.unlike)}")

    def _names(self, changed: Iterable[Path]) -> str:
        """ "main.py, routes.py and 3 more", each as it is found from layers.yaml or from its own folder."""
        names = sorted(map(self._name, changed))
        more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
        return ", ".join(names[:FEW]) + more

    def _name(self, path: Path) -> str:
        source = self.served.runnable.function.source
        for folder in (*((source,) if source else ()), self.where.file.parent):
            if path.is_relative_to(folder):
                return str(path.relative_to(folder))
        return str(path)

    def _end(self, server: Server) -> None:
        server.end()
        self.turns.end()
        self.turns.rest(GRACE)
        try:
            self.turns.close()
        finally:
            server.wait(TOLD)
            server.close()


@contextmanager
def undisturbed() -> Iterator[None]:
    """A second Ctrl-C, out of impatience, does not end the tidying up, which takes a few seconds at most."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
