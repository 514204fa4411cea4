"""Imports in a container of the target's image: one for all tasks of a target, without network or rights."""

from __future__ import annotations

import io
import secrets
import shlex
import tarfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerkit.model import Target
from layerkit.sandbox.surroundings import PASSWD, TOP, NotHere
from layerkit.sandbox.unpacking import FOLDER, content, opened, read, read_source, source_files
from layerkit.tars import add
from layerkit.verify.imports import place
from layerkit.verify.imports.outcomes import Task
from layerkit.verify.imports.place import Ran

if TYPE_CHECKING:
    from layerkit.builders.boxes import Says
    from layerkit.builders.engine import Engine
    from layerkit.builders.engine.containers import Container
    from layerkit.cache import Cache

LIMITS = {"native": 60, "emulated": 300}  # seconds for a module
IN = TOP[1:]  # as a tar names it
GRACE = 60  # seconds more until the container is taken to hang
# The engine's emulator reads its CPU from the environment: the one thing that is kept of the container's own.
COMMAND = (
    'python="$(command -v python{minor} || echo /var/lang/bin/python{minor})"; '
    'exec env -i QEMU_CPU="$QEMU_CPU" {variables} "$python" {flags} {top}/_importing.py <{top}/spec.json'
)


class Containers:
    """The container engine, asked when there is something to import."""

    def __init__(self, cache: Cache, says: Says, limit: int = 0) -> None:
        self.cache, self.says, self.limit = cache, says, limit

    def key(self, task: Task) -> str:
        return f"container {task.target.image} {task.target.machine}"

    def run(self, tasks: Sequence[Task], lent: Mapping[str, Path]) -> list[Ran]:
        """One container for all of them; they have one target."""
        from layerkit.builders.boxes import Host

        engine = Host(self.cache, self.says).connect()
        try:
            return self._run(engine, tasks, lent)
        finally:
            engine.close()

    def _run(self, engine: Engine, tasks: Sequence[Task], lent: Mapping[str, Path]) -> list[Ran]:
        from layerkit.builders.engine import containers, images

        target = tasks[0].target
        image = images.get(engine, target.image, target.machine, self.says.note)
        emulated = engine.architecture != target.machine
        limit = self.limit or LIMITS["emulated" if emulated else "native"]
        token = secrets.token_hex(16)
        variables = shlex.join(f"{name}={value}" for name, value in place.variables(tasks[0]).items())
        command = COMMAND.format(minor=target.python, variables=variables, flags=" ".join(place.FLAGS), top=TOP)
        archive = _archive(tasks, lent, token, limit)
        with (
            self.cache.workspace() as work,
            containers.opened(
                engine, image.id, command, machine=target.machine, owner=work.name, network="none", closed=True
            ) as container,
        ):
            container.put(archive)
            text = _output(container, limit * sum(len(task.items) for task in tasks) + GRACE)
        told = list(place.events(text.splitlines(), token))
        release = _checked(told, target, text)
        unlike = f"CPython {release} and the system's libraries are the image's", "/opt is not mounted read-only"
        return [
            Ran(
                where=f"container ({engine.name}, {target.image}{', emulated' if emulated else ''})",
                results=place.results(
                    task, [event for event in told if event.get("task") == number], limit, "the image"
                ),
                unlike=unlike,
            )
            for number, task in enumerate(tasks)
        ]


def _output(container: Container, limit: int) -> str:
    late = threading.Timer(limit, container.kill)
    late.daemon = True
    late.start()
    try:
        return b"".join(container.start()).decode(errors="replace")
    finally:
        late.cancel()


def _checked(told: Sequence[Mapping[str, Any]], target: Target, text: str) -> str:
    """The release of its CPython.  Raises NotHere when it is not the target's."""
    if not told or "machine" not in told[0]:
        last = place.printable((text.strip().splitlines() or ["it says nothing"])[-1])
        raise NotHere(f"the container does not start: {last}")
    machine, release = str(told[0]["machine"]), str(told[0]["python"])
    if machine != target.machine or not release.startswith(f"{target.python}."):
        raise NotHere(f"the image has Python {release} on {machine}, not Python {target.python} on {target.machine}")
    return release


def _archive(tasks: Sequence[Task], lent: Mapping[str, Path], token: str, limit: int) -> bytes:
    """A tar with each zip once, each function's own files, and the script with its tasks."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        zips = list(dict.fromkeys(file for task in tasks for file in task.zips))
        modes = [_add_zip(tar, f"{IN}/zips/{number}", file) for number, file in enumerate(zips)]
        listed = []
        for number, task in enumerate(tasks):
            folder = f"{IN}/task{number}"
            add(tar, folder, None, FOLDER)
            for path, file, mode in source_files(task.source):
                add(tar, f"{folder}/{path}", read_source(file), mode)
            opt = [(f"{TOP}/zips/{index}", modes[index]) for index in map(zips.index, task.zips)]
            listed.append({"opt": opt, "task": f"/{folder}", **place.described(task)})
        for lent_path in lent.values():
            for file in sorted(lent_path.rglob("*")) if lent_path.is_dir() else [lent_path]:
                if file.is_file() and "__pycache__" not in file.parts:
                    add(
                        tar, f"{IN}/runtime/{file.relative_to(lent_path.parent).as_posix()}", file.read_bytes(), 0o644
                    )
        spec = place.spec(
            tasks[0].target, listed, token, limit, runtime=f"{TOP}/runtime", own=("/var/lang",), merge=TOP
        )
        add(tar, f"{IN}/spec.json", spec, 0o600)
        for name, data in place.scripts().items():
            add(tar, f"{IN}/{name}", data, 0o644)
        add(tar, "etc/passwd", PASSWD, 0o644)
    return stream.getvalue()


def _add_zip(tar: tarfile.TarFile, name: str, file: Path) -> dict[str, int]:
    """The modes that its folders are to have in the end."""
    with opened(file) as archive:
        found = content(archive)
        add(tar, name, None, FOLDER)
        for path in sorted(found.folders):
            add(tar, f"{name}/{path}", None, FOLDER)
        for member in found.files:
            add(tar, f"{name}/{member.path}", read(archive, member.info), member.mode)
        for member in found.links:
            add(tar, f"{name}/{member.path}", None, 0o777, member.link)
    return found.folders
