"""What is run, where, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from layerkit.model import Function, Target

Listen = Callable[[str], None]  # gets each line of the function's log as it comes, from another thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """A declared function with the zips of its layers, for one target."""

    function: Function
    target: Target
    zips: tuple[Path, ...]  # in Lambda's order: the last one wins
    region: str = "us-east-1"
    variables: Mapping[str, str] = field(default_factory=dict)  # the function's own, then what the user gave


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What Lambda tells of a function that failed: {errorType, errorMessage, stackTrace}."""

    type: str  # "Runtime.ImportModuleError", "ValueError"
    message: str
    trace: tuple[str, ...] = ()  # frames as the runtime client words them, with Lambda's paths
    cause: tuple[str, ...] = ()  # lines of the traceback of an init that failed, which Lambda does not show


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """What became of an execution environment's init."""

    seconds: float
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What one event gave."""

    request_id: str
    payload: str = ""  # JSON, as the handler's answer was sent; "" where it failed
    failure: Failure | None = None
    seconds: float = 0.0  # of the handler
    init: Init | None = None  # that this event waited for; None: the environment was warm
    memory: int = 0  # bytes, the most that the function's processes had so far
    log: tuple[str, ...] = ()


class Environment(Protocol):
    """An execution environment: one process of the function, one event at a time."""

    where: str  # "this machine (CPython 3.12.1, mount namespace)"
    unlike: tuple[str, ...]  # what differs from Lambda there

    def ready(self) -> Init:
        """Waits for the init, which begins by itself."""
        ...

    def invoke(self, event: str, request_id: str = "") -> Invocation:
        """Hand over an event (JSON).  After a failure that ended the process, the next one begins anew, as in Lambda.

        Raises MachineError where the place itself is gone.
        """
        ...


class Place(Protocol):
    """Where functions can be run: this machine, or a container engine."""

    def open(self, runnable: Runnable, listen: Listen) -> AbstractContextManager[Environment]:
        """An environment, whose end leaves nothing behind.  Raises NotHere where it does not fit, Refused."""
        ...


class Stream(Protocol):
    """The way to the program inside (`_supervisor.py`): its standard input and output, wherever it runs."""

    def lines(self) -> Iterator[bytes]:
        """Each line that it tells, without its end, until the program ends."""
        ...

    def write(self, data: bytes) -> None:
        """Raises OSError where nobody reads any more."""
        ...

    def last_words(self) -> str:
        """After the end: what it said on standard error, or its exit status."""
        ...
