"""What both places share: Lambda's variables, the task for `_importing.py`, and what it tells."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

from layerkit import targets
from layerkit.model import Target
from layerkit.sandbox import surroundings
from layerkit.sandbox.surroundings import LAMBDA, RUNTIME, USER, Paths
from layerkit.verify.imports.outcomes import ModuleResult, Task
from layerkit.verify.words import several

FLAGS = ("-S", "-B")  # no site-packages of the place's own; nothing recompiled is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one task gave, in one place."""

    where: str
    results: tuple[ModuleResult, ...]
    unlike: tuple[str, ...] = ()
    remember: bool = True  # False where the place was a makeshift


class Place(Protocol):
    """Where modules can be imported."""

    def key(self, task: Task) -> str:
        """What its results depend on; raises NotHere where the task does not fit."""
        ...

    def run(self, tasks: Sequence[Task], lent: Mapping[str, Path]) -> list[Ran]:
        """Import; `lent` are modules that stand in for the runtime's own.  Raises NotHere, Refused."""
        ...


def scripts() -> dict[str, bytes]:
    """The files of the program that imports; _importing.py is the one to run."""
    own, shared = resources.files("layerkit.verify.imports"), resources.files("layerkit.sandbox")
    found = {name: own.joinpath(name).read_bytes() for name in ("_importing.py", "_forked.py")}
    return found | {"_folders.py": shared.joinpath("_folders.py").read_bytes()}


def libraries(target: Target) -> list[str]:
    """The names of the system's libraries that may be used: the runtime has them."""
    own = targets.system(target.runtime).all(target.architecture)
    return sorted(own | {f"libpython{target.python}.so.1.0", "libpython3.so"})


def variables(task: Task, paths: Paths = LAMBDA) -> dict[str, str]:
    """The environment of the Python that imports."""
    return surroundings.variables(task.target.runtime, task.handler or "main.handler", paths=paths)


def described(task: Task) -> dict[str, Any]:
    """What `_importing.py` is told of a task."""
    return {"items": task.items, "variables": dict(task.environment)}


def spec(
    target: Target, tasks: Iterable[Mapping[str, Any]], token: str, limit: int, *, opt: str = "/opt",
    root: str = "/var/task", runtime: str = RUNTIME, own: Iterable[str] = (), merge: str = "",
) -> bytes:  # fmt: skip
    """The JSON for `_importing.py`; with `merge` it fills /opt and /var/task itself.

    `own` are more folders whose libraries the runtime has.
    """
    return json.dumps(
        {
            "token": token,
            "jobs": min(8, os.cpu_count() or 1),
            "limit": limit,
            "user": USER,
            "opt": opt,
            "task": root,
            "runtime": [runtime],
            "merge": merge,
            "own": [opt, root, runtime, "/tmp", *own],  # noqa: S108 - what a module unpacks there is its own
            "libraries": libraries(target),
            "tasks": list(tasks),
        }
    ).encode()


def events(lines: Iterable[str], token: str) -> Iterable[dict[str, Any]]:
    """What the script told; other lines are not its own."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("token") == token:
            yield event


def results(
    task: Task, told: Iterable[Mapping[str, Any]], limit: int, whose: str = "this machine"
) -> tuple[ModuleResult, ...]:
    """Results of a task's items; what was not told did not pass.  `whose` the system's libraries were."""
    by_item = {event["item"]: event for event in told}
    lost = {"error": "the process that imports ended in the middle"}
    found = (_result(module, by_item.get(number, lost), limit) for number, (module, _) in enumerate(task.items))
    without = f"of {whose}, which {task.target.runtime} has not"
    return tuple(_with_strange(one, by_item.get(number, lost), without) for number, one in enumerate(found))


def _with_strange(result: ModuleResult, event: Mapping[str, Any], without: str) -> ModuleResult:
    """It did not pass if it passed only with libraries that Lambda lacks."""
    names = event.get("strange", [])
    if result.error or not names or not isinstance(names, list):
        return result
    return replace(result, error=f"it uses {several([printable(str(name)) for name in names])} {without}")


def _result(module: str, event: Mapping[str, Any], limit: int) -> ModuleResult:
    """What an imported module may have had its hands in is of any type: what is not as it should be is an error."""
    error, seconds, lines = event.get("error", ""), event.get("seconds", 0), event.get("trace", [])
    if not (isinstance(error, str) and isinstance(lines, list) and isinstance(seconds, int | float)):
        error, seconds, lines = "what it told of the import makes no sense", 0, []
    trace = [str(line) for line in lines]
    if event.get("late"):
        error = f"it took more than {limit} s and was ended"
    elif "status" in event:
        status = event["status"]
        error = _ended(status) if isinstance(status, int) else "the import ended Python"
    if error:
        trace += str(event.get("output", "")).splitlines()[-5:]
    return ModuleResult(
        module=module,
        error=printable(error),
        trace=tuple(map(printable, trace)),
        missing=printable(str(event.get("missing", ""))),
        seconds=round(seconds, 3) if 0 <= seconds < 1e6 else 0.0,  # not for NaN
    )


def printable(text: str) -> str:
    """Other people's text, fit to be printed."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text[:400])


def _ended(status: int) -> str:
    if status >= 0:
        return f"the import ended Python with exit status {status}"
    try:
        return f"the import crashed Python with {signal.Signals(-status).name}"
    except ValueError:
        return f"the import crashed Python with signal {-status}"
