"""One switch for all threads of a run: after it is thrown no further call to AWS is begun."""

from __future__ import annotations

import threading

from layerkit.aws.pace import Limiter


class Stopped(Exception):
    """The run was stopped before this could be done; `str()` says why."""


class Stop:
    """Thrown by Ctrl-C, and by credentials that no region takes any more."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.why = ""
        self.interrupted = False  # by the user

    def throw(self, why: str, *, interrupted: bool = False) -> None:
        """End all waits, and let nothing new begin.  The first reason stays."""
        self.interrupted |= interrupted
        if not self.event.is_set():
            self.why = why
            self.event.set()

    def check(self) -> None:
        """Raises Stopped once the switch is thrown."""
        if self.event.is_set():
            raise Stopped(self.why)

    def sleep(self, seconds: float) -> None:
        """As time.sleep; raises Stopped as soon as the switch is thrown."""
        self.event.wait(seconds)
        self.check()


class StoppableTurns:
    """A limiter's turns, which nobody gets any more once the switch is thrown."""

    def __init__(self, stop: Stop, limiter: Limiter) -> None:
        self.stop, self.limiter = stop, limiter

    def turn(self) -> None:
        """As Limiter.turn; raises Stopped."""
        self.stop.check()
        self.limiter.turn()
        self.stop.check()

    def slow_down(self, after: float = 0) -> None:
        """As Limiter.slow_down."""
        self.limiter.slow_down(after)
