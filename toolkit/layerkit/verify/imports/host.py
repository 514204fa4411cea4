"""Imports on this machine, where it fits: in a root folder of its own, or else in a temporary folder."""

from __future__ import annotations

import json
import marshal
import os
import platform
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerkit.model import Interpreter
from layerkit.sandbox.machine import Machine, Unpacked, binds, libc_version, mounting, mounts, open_up, prepare
from layerkit.sandbox.surroundings import RUNTIME, TOP, NotHere, Paths
from layerkit.verify.imports import place
from layerkit.verify.imports.outcomes import Task
from layerkit.verify.imports.place import Ran

if TYPE_CHECKING:
    from layerkit.cache import Cache

LIMIT = 60  # seconds for a module
GRACE = 30  # seconds more until the process that watches over them is taken to hang


class Host(Machine):
    """This machine, asked to import."""

    def __init__(self, cache: Cache, *, isolated: bool = True, limit: int = LIMIT) -> None:
        super().__init__(cache, isolated=isolated)
        self.limit = limit
        self.running: set[subprocess.Popen[bytes]] = set()
        self.stopped = False

    def key(self, task: Task) -> str:
        return f"host {self._interpreter(task).release} {platform.machine()} {libc_version()}"

    def _interpreter(self, task: Task) -> Interpreter:
        return self.interpreter(task.target, task.zips)

    def run(self, tasks: Sequence[Task], lent: Mapping[str, Path]) -> list[Ran]:
        """A task runs as soon as it is prepared, while the next one is."""
        with self.folder() as work:
            unpacked = Unpacked(work)
            prepared: list[Path] = []
            try:
                with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
                    try:
                        running = []
                        for number, task in enumerate(tasks):
                            prepared.append(work / f"task{number}")
                            prepare(unpacked, prepared[-1], task.zips, task.source, place.scripts())
                            running.append(pool.submit(self._run, task, prepared[-1], lent))
                        return [one.result() for one in running]
                    except BaseException:  # a signal, too: the pool waits for what runs
                        self._stop(pool)
                        raise
            finally:
                for folder in prepared:
                    open_up(folder)

    def _stop(self, pool: ThreadPoolExecutor) -> None:
        self.stopped = True
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(self.running):
            process.kill()

    def _run(self, task: Task, folder: Path, lent: Mapping[str, Path]) -> Ran:
        interpreter = self._interpreter(task)
        assert interpreter.executable
        token = secrets.token_hex(16)
        start = self._start_isolated if self.isolated else self._start_plain
        command, given = start(task, folder, interpreter.executable, lent, token)
        rounds = len(task.items) // min(8, os.cpu_count() or 1) + 1
        told = self._told(command, given, token, rounds * self.limit + GRACE)
        if not self.isolated:
            told = [_as_in_lambda(event, folder) for event in told]
        return Ran(
            where=f"this machine (CPython {interpreter.release}, {self.kind})",
            results=place.results(task, [event for event in told if "item" in event], self.limit),
            unlike=tuple(self.unlike(task.target)),
            remember=self.isolated,
        )

    def _start_isolated(
        self, task: Task, folder: Path, executable: Path, lent: Mapping[str, Path], token: str
    ) -> tuple[list[str], bytes]:
        spec = place.spec(task.target, [place.described(task)], token, self.limit)
        (folder / "spec.json").write_bytes(spec)  # it is read before there is another root
        made = binds(folder, executable, place.scripts(), lent.values())
        python = f"/var/lang/{executable.relative_to(executable.parent.parent)}"
        command = [python, *place.FLAGS, f"{TOP}/_importing.py"]
        given = mounts(folder, made, command, place.variables(task), token, input=str(folder / "spec.json"))
        return mounting(), marshal.dumps(given)

    def _start_plain(
        self, task: Task, folder: Path, executable: Path, lent: Mapping[str, Path], token: str
    ) -> tuple[list[str], bytes]:
        opt, root, runtime = (str(folder / name) for name in ("opt", "task", "runtime"))
        for path in lent.values():
            (folder / "runtime" / path.name).symlink_to(path)
        spec = place.spec(
            task.target, [place.described(task)], token, self.limit, opt=opt, root=root, runtime=runtime
        )
        lang = str(executable.parent.parent)
        environment = place.variables(task, Paths(opt=opt, task=root, lang=lang))
        command = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), str(executable)]
        return [*command, *place.FLAGS, str(folder / "_importing.py")], spec

    def _told(self, command: list[str], given: bytes, token: str, limit: int) -> list[dict[str, Any]]:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            self.running.add(process)
            try:
                if self.stopped:
                    process.kill()
                output, noise = process.communicate(given, timeout=limit)
            except subprocess.TimeoutExpired:
                process.kill()
                output, noise = process.communicate()
            except BaseException:
                process.kill()
                raise
            finally:
                self.running.discard(process)
        told = list(place.events(output.decode(errors="replace").splitlines(), token))
        unfit = [event["unfit"] for event in told if "unfit" in event]
        if unfit or not told:
            lines = (
                unfit
                or noise.decode(errors="replace").strip().splitlines()[-1:]
                or [f"exit status {process.returncode}"]
            )
            raise NotHere(f"this machine lets no {'namespace' if unfit else 'process'} be made for it: {lines[0]}")
        return told


def _as_in_lambda(event: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The event with Lambda's paths."""
    text = json.dumps(event)
    for ours, theirs in (("opt", "/opt"), ("task", "/var/task"), ("runtime", RUNTIME)):
        text = text.replace(str(folder / ours), theirs)
    return dict(json.loads(text))
