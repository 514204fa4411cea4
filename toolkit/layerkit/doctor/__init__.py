"""What this machine has for building layers, and the command for what it lacks: `layerkit doctor`.

Each check is a function that gives findings.  They run side by side, since most of them wait for somebody; a check
that fails in an unforeseen way, or that nobody answers, is a finding too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TypeVar

from layerkit.builders.boxes import Host, Says
from layerkit.builders.engine import Engine
from layerkit.cache import Cache
from layerkit.doctor import disk, engine, host, images
from layerkit.doctor.aws import account
from layerkit.doctor.findings import Finding, hidden, secrets
from layerkit.doctor.project import read_project
from layerkit.errors import LayerkitError

T = TypeVar("T")
DEADLINE = 30  # seconds for all checks; those that ask somebody have shorter ones of their own


def diagnose(
    file: Path, cache: Cache, says: Says, *, aws: bool = False, output: Path = Path("dist")
) -> list[Finding]:
    """What all checks found, in a fixed order and without credentials."""
    # first and alone: uv is looked for with sysconfig, which two threads must not begin to use (3.11)
    own = host.tools()
    connecting = started(lambda: Engine.connect(cache.folder, answering=engine.LIMIT))
    memory = Host(cache, says)  # for the releases that were seen
    project, told = read_project(file)
    architectures = sorted({target.architecture for target in project.targets})
    alike = [[target for target in project.targets if target.architecture == one] for one in architectures]
    checks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("layerkit", lambda: own),
        (file.name, lambda: told),
        ("container engine", partial(engine.running, connecting)),
        *(
            (f"architecture {same[0].architecture}", partial(images.architecture, same, connecting, cache))
            for same in alike
        ),
        *(
            (f"image {one.label}", partial(images.image, one, connecting, memory.release(one)))
            for one in project.targets
        ),
        ("bytecode", partial(host.interpreters, project, memory, connecting)),
        ("package index", partial(host.index, project)),
        ("disk: cache", partial(disk.space, "disk: cache", cache.folder, "export LAYERKIT_CACHE_DIR=FOLDER")),
        ("disk: output", partial(disk.space, "disk: output", output.absolute(), "layerkit build --output FOLDER")),
        ("disk: engine", partial(disk.engine, connecting)),
    ]
    if aws:
        checks.append(("AWS", partial(account, project.regions)))
    end = time.monotonic() + DEADLINE
    running = [(name, started(check)) for name, check in checks]
    findings = [one for name, check in running for one in result(name, check, end - time.monotonic())]
    found = engine.answered(connecting) if connecting.done() else None
    if found:
        found.close()
    known = secrets()
    return [hidden(finding, known) for finding in findings]


def started(work: Callable[[], T]) -> Future[T]:
    """`work` in a thread that does not keep the process from ending: an engine may never answer."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def result(name: str, check: Future[list[Finding]], seconds: float) -> list[Finding]:
    """What the check found; a finding in its place if it failed, or has not ended after so many seconds."""
    try:
        return check.result(max(0, seconds))
    except LayerkitError as error:
        words = ": ".join([error.what, *error.why.strip().splitlines()[-1:]])
        return [Finding(name, "fail", words, error.cure)]
    except Exception as error:  # noqa: BLE001 - the other checks are worth telling, whatever became of this one
        if not check.done():
            return [Finding(name, "fail", "no answer", "run layerkit doctor again")]
        return [Finding(name, "fail", ": ".join([type(error).__name__, *str(error).splitlines()[:1]]))]
