"""Requests take turns at the one execution environment, which may be exchanged for another between two of them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

from layerkit.errors import MachineError
from layerkit.local.nouns import Environment, Invocation


class Ended(Exception):
    """Nothing is run any more."""


class Room:
    """An open environment, and whether an event is in it."""

    def __init__(self, environment: Environment, opened: AbstractContextManager[object]) -> None:
        self.environment, self.opened = environment, opened
        self.busy = False

    def close(self) -> None:
        """Raises what closing it raises."""
        self.opened.__exit__(None, None, None)


class Turns:
    """Who has an event waits for its turn, in the order of their coming.

    An execution environment takes one event at a time.  Lambda would start another environment for the second one;
    here it waits: one process is enough for one person, and what modules keep between events stays in one place.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.room: Room | None = None
        self.left: list[Room] = []  # replaced, and not closed yet
        self.waiting: deque[object] = deque()
        self.held = True  # nobody's turn comes, because a new environment is on its way
        self.ended = False
        self.lost: MachineError | None = None  # why the environment is gone

    # -- for requests, in their threads

    def invoke(self, event: str, request_id: str = "") -> tuple[Invocation, float]:
        """What came of it, and the seconds that it waited for its turn.

        Raises Ended; MachineError where the environment is gone, so that another one is to be opened.
        """
        start = time.monotonic()
        with self._turn() as room:
            waited = time.monotonic() - start
            try:
                return room.environment.invoke(event, request_id), waited
            except MachineError as error:
                with self.changed:
                    if self.ended:
                        raise Ended from None
                    if room is self.room:
                        self.lost = error
                raise

    @contextmanager
    def _turn(self) -> Iterator[Room]:
        me = object()
        with self.changed:
            self.waiting.append(me)
            try:
                self.changed.wait_for(lambda: self.ended or self._is_next(me))
                if self.ended:
                    raise Ended
                room = self.room
                assert room is not None
                room.busy = True
            finally:
                self.waiting.remove(me)
                self.changed.notify_all()
        try:
            yield room
        finally:
            with self.changed:
                room.busy = False
                self.changed.notify_all()

    def _is_next(self, me: object) -> bool:
        return self.waiting[0] is me and not self.held and self.room is not None and not self.room.busy

    # -- for who opens environments, in one thread

    def hold(self) -> None:
        """From now on requests wait for what `take` brings, or for `go_on`.  One that has its turn goes on."""
        with self.changed:
            self.held = True

    def take(self, room: Room) -> None:
        """Requests go to this one.  The one before is closed by `tidy`, when nothing runs in it any more."""
        with self.changed:
            if self.room:
                self.left.append(self.room)
            self.room, self.lost = room, None

    def go_on(self) -> None:
        with self.changed:
            self.held = False
            self.changed.notify_all()

    def tidy(self) -> None:
        """Close what was replaced and has nothing to do any more."""
        with self.changed:
            idle = [room for room in self.left if not room.busy]
            self.left = [room for room in self.left if room.busy]
        for room in idle:
            _close(room)

    def end(self) -> None:
        """No turn comes any more; who waits for one learns that."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def rest(self, seconds: float) -> bool:
        """After `end`: whether nothing runs any more, at most so many seconds later."""
        with self.changed:
            return self.changed.wait_for(lambda: not any(room.busy for room in self._rooms()), seconds)

    def close(self) -> None:
        """Close all; what runs is aborted by that."""
        with self.changed:
            rooms, self.room, self.left = self._rooms(), None, []
        with ExitStack() as stack:  # each is closed, even if another one fails
            for room in rooms:
                stack.callback(room.close)

    def _rooms(self) -> list[Room]:
        return [*self.left, *([self.room] if self.room else [])]


def _close(room: Room) -> None:
    with suppress(MachineError):  # it is replaced: nothing is lost with it
        room.close()
