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
from layerkit.verify.imports.outcomes import ModuleResult, Task
from layerkit.verify.words import several

USER = (993, 990)  # Lambda's user and group
PASSWD = b"root:x:0:0:root:/root:/sbin/nologin\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n"
TOP = "/layerkit"  # where the script and its task stand, in both places
RUNTIME = "/var/runtime"
FLAGS = ("-S", "-B")  # no site-packages of the place's own; nothing recompiled is kept


class NotHere(Exception):
    """This place cannot run the tasks; the text says why."""


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
    folder = resources.files("layerkit.verify.imports")
    return {name: folder.joinpath(name).read_bytes() for name in ("_importing.py", "_forked.py", "_folders.py")}


def libraries(target: Target) -> list[str]:
    """The names of the system's libraries that may be used: the runtime has them."""
    own = targets.system(target.runtime).all(target.architecture)
    return sorted(own | {f"libpython{target.python}.so.1.0", "libpython3.so"})


def variables(task: Task, *, opt: str = "/opt", root: str = "/var/task", lang: str = "/var/lang") -> dict[str, str]:
    """The environment that the managed runtime starts Python with.  It has neither HOME nor PYTHONPATH.

    Source: "Defined runtime environment variables" of AWS's guide, and the runtime's bootstrap.
    """
    libraries = (f"{lang}/lib", "/lib64", "/usr/lib64", RUNTIME, f"{RUNTIME}/lib", root, f"{root}/lib", f"{opt}/lib")
    return {
        "PATH": f"{lang}/bin:/usr/local/bin:/usr/bin/:/bin:{opt}/bin",
        "LD_LIBRARY_PATH": ":".join(libraries),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "LAMBDA_TASK_ROOT": root,
        "LAMBDA_RUNTIME_DIR": RUNTIME,
        "_HANDLER": task.handler or "main.handler",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{task.target.runtime}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_SESSION_TOKEN": "x",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "AWS_LAMBDA_FUNCTION_NAME": "layerkit",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/layerkit",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0",
        "AWS_LAMBDA_LOG_FORMAT": "Text",
    }


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
