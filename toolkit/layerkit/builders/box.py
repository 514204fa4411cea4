"""Tasks for a build container: files in, steps done inside by `_inside.py`, events out."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from layerkit import tars
from layerkit.builders import Unfit
from layerkit.builders.engine import TOP
from layerkit.builders.engine.containers import Container
from layerkit.builders.refusals import DOCTOR, NO_EXEC, no_emulation
from layerkit.errors import EngineError, LayerkitError

COMMAND = 'exec "$(command -v python{minor} || command -v python3)" -I -S /layerkit/in/_inside.py'
GRACE = 60  # seconds of silence more than a step's limit until the container is taken to hang as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one step answered: its exit status (None: it took too long), its facts and its output."""

    status: int | None
    facts: Mapping[str, Any]
    output: str


class Box:
    """A container at work for one target."""

    def __init__(self, container: Container, machine: str, minor: str) -> None:
        self.container, self.machine, self.minor = container, machine, minor
        self.runs = 0
        self.release = ""  # of the CPython inside, once a task ran

    def put(self, files: Mapping[str, bytes | Path], mode: int = 0o600) -> None:
        """Write files below /layerkit."""
        self.container.put(tars.pack({f"{TOP[1:]}/{name}": content for name, content in files.items()}, mode))

    def get(self, path: str, into: Path) -> None:
        """Copy a folder below /layerkit into a new folder."""
        tars.unpack(self.container.get(path), into)

    def run(
        self,
        steps: Sequence[Mapping[str, Any]],
        *,
        environment: Mapping[str, str],
        files: Mapping[str, bytes],
        secrets: Sequence[str],
        limit: int,
        together: bool,
    ) -> list[Result]:
        """Do the steps, one after the other or `together`; after one that fails, none is begun.

        `files` stand in /layerkit/in while the task runs; `limit` is in seconds, for each step.  The answer has a
        Result for each step, those that were not begun too ("skipped").  Raises Unfit when the container cannot be
        started or is not what it should be, EngineError when it or the engine ends in the middle.
        """
        self.runs += 1
        task = {
            "run": self.runs,
            "steps": list(steps),
            "together": together,
            "environment": dict(environment),
            "secrets": list(secrets),
            "expected": {"machine": self.machine, "python": f"{self.minor}."},
        }
        script = resources.files("layerkit.builders").joinpath("_inside.py").read_bytes()
        handed = {f"in/{name}": content for name, content in files.items()}
        self.put(handed | {"in/_inside.py": script, "in/task.json": json.dumps(task).encode()})
        outputs: list[list[str]] = [[] for _ in steps]
        results: dict[int, Mapping[str, Any]] = {}
        strange: list[str] = []
        checked: dict[str, Any] = {}
        ended = False
        with _Watch(self.container, limit + GRACE) as watch:
            for line in _lines(self.container.start()):
                watch.beat()
                event = _event(line)
                if event is None:
                    strange.append(line)
                elif event["run"] != self.runs:
                    strange.clear()  # told before, in an earlier run
                elif event["event"] == "checked":
                    checked = event
                elif event["event"] == "line":
                    outputs[event["step"]].append(event["text"])
                elif event["event"] == "result":
                    results[event["step"]] = event
                elif event["event"] == "end":
                    ended = True
        status, no_memory = self.container.wait()
        self._check(checked, strange)
        if not ended and not watch.late:
            raise _died(status, no_memory, [*strange, *(line for output in outputs for line in output)])
        silent = {"status": None} if watch.late else {"status": 1, "skipped": True}
        return [
            Result(status=facts["status"], facts=facts, output="\n".join(output))
            for number, output in enumerate(outputs)
            for facts in [results.get(number, silent)]
        ]

    def _check(self, checked: Mapping[str, Any], strange: Sequence[str]) -> None:
        text = "\n".join(strange[-5:])
        if not checked:
            if any(words in text for words in NO_EXEC):
                raise no_emulation(self.machine, text)
            raise Unfit("the build container does not start", why=text, cure=DOCTOR)
        if checked["machine"] != self.machine or not checked["python"].startswith(f"{self.minor}."):
            raise Unfit(
                f"the build container has Python {checked['python']} on {checked['machine']}, "
                f"not Python {self.minor} on {self.machine}",
                cure="name the runtime's own image in layers.yaml (container: {image: ...})",
            )
        self.release = checked["python"]


def _died(status: int, no_memory: bool, last: Sequence[str]) -> LayerkitError:
    """The container ended in the middle of its task."""
    why = "it ran out of memory" if no_memory else f"exit status {status}"
    return EngineError(
        "the build container ended in the middle of its work",
        why="\n".join([why, *last[-10:]]),
        cure="give the engine more memory" if no_memory or status == 137 else "run it again",
    )


class _Watch:
    """Kills the container when nothing was heard for too long; the stream of its log then ends."""

    def __init__(self, container: Container, limit: int) -> None:
        self.container, self.limit, self.late = container, limit, False
        self.heard = time.monotonic()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def beat(self) -> None:
        self.heard = time.monotonic()

    def _look(self) -> None:
        while not self.done.wait(min(5, self.limit)):
            if time.monotonic() - self.heard > self.limit:
                self.late = True
                self.container.kill()
                return

    def __enter__(self) -> _Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and {"run", "event"} <= event.keys() else None
