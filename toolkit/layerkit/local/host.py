"""A function on this machine: Lambda's folders in a root of its own, or, as a makeshift, in a temporary folder."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path

from layerkit.local import client
from layerkit.local.nouns import Listen, Runnable
from layerkit.local.session import PROGRAM, Session, spec
from layerkit.model import Target
from layerkit.sandbox import lent
from layerkit.sandbox.machine import Machine, Unpacked, binds, libc_version, mounting, mounts, open_up, prepare
from layerkit.sandbox.surroundings import LAMBDA, TOP, USER, NotHere, Paths, variables

FLAGS = ("-I", "-S", "-B")
ENDING = 5  # seconds for the supervisor to end by itself


class Host(Machine):
    """This machine, asked to run functions."""

    binaries = "what is compiled in the layers is not used"

    @contextmanager
    def open(self, runnable: Runnable, listen: Listen) -> Iterator[Session]:
        """Raises NotHere, Refused, LayerkitError."""
        found = self.interpreter(runnable.target, ())  # binaries for another machine: see unlike
        if not libc_version():
            raise NotHere("this machine's C library is not glibc, which AWS's runtime client needs")
        assert found.executable
        parts = [path for path in client.here(runnable.target, self.cache).iterdir() if path.name != "bin"]
        copies = lent.copies()
        parts += copies.values()
        with self.folder() as work:
            folder = work / "function"
            program = {name: resources.files("layerkit.local").joinpath(name).read_bytes() for name in PROGRAM}
            try:
                kept = self.cache.folder / "unpacked" if self.isolated else None
                prepare(Unpacked(work, kept), folder, runnable.zips, runnable.function.source, program)
                start = self._isolated if self.isolated else self._plain
                command, paths, top, python = start(folder, found.executable, parts, runnable)
                root = os.geteuid() == 0
                given = spec(runnable, user=USER if root else None, python=python, paths=paths, top=top)
                with pipes(command, work / "noise") as stream:
                    where = f"this machine (CPython {found.release}, {self.kind})"
                    sdk = [lent.told(["boto3"])] if "boto3" in copies else []  # and what it needs
                    unlike = (*self.unlike(runnable.target), *sdk)
                    yield Session(stream, given, listen, where=where, unlike=unlike, paths=paths)
            finally:
                open_up(folder)

    def unlike(self, target: Target) -> Iterator[str]:
        yield from super().unlike(target)
        yield "the memory is looked at, not limited; the processor is not shared as memory would have it"

    def _isolated(
        self, folder: Path, executable: Path, parts: Sequence[Path], runnable: Runnable
    ) -> tuple[list[str], Paths, str, str]:
        prefix = executable.parent.parent
        python = f"/var/lang/{executable.relative_to(prefix)}"
        made = binds(folder, executable, PROGRAM, parts)
        made += self._without_packages(folder, prefix, runnable.target.python)
        command = [python, *FLAGS, f"{TOP}/{PROGRAM[0]}"]
        plain = variables(runnable.target.runtime, runnable.function.handler)
        surroundings = {name: plain[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ")}
        task = folder / "mounts"
        task.write_bytes(marshal.dumps(mounts(folder, made, command, surroundings, "")))
        return [*mounting(), str(task)], LAMBDA, TOP, python

    @staticmethod
    def _without_packages(folder: Path, prefix: Path, minor: str) -> list[tuple[Path, str]]:
        """What this machine's Python has in its site-packages is not the runtime's."""
        place = f"lib/python{minor}/site-packages"
        empty = folder / "site-packages"
        empty.mkdir(mode=0o755)
        return [(empty, f"/var/lang/{place}")] if (prefix / place).is_dir() else []

    def _plain(
        self, folder: Path, executable: Path, parts: Sequence[Path], runnable: Runnable
    ) -> tuple[list[str], Paths, str, str]:
        for path in parts:
            _give(path, folder / "runtime" / path.name)
        paths = Paths(
            opt=str(folder / "opt"), task=str(folder / "task"), lang=str(executable.parent.parent),
            runtime=str(folder / "runtime"),
        )  # fmt: skip
        plain = variables(runnable.target.runtime, runnable.function.handler, paths=paths)
        given = [f"{name}={plain[name]}" for name in ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ")]
        command = ["env", "-i", *given, str(executable), *FLAGS, str(folder / PROGRAM[0])]
        return command, paths, str(folder), str(executable)


def _give(path: Path, place: Path) -> None:
    """Let what is at `path` be at `place`, too; root's own folders are closed to the function's user."""
    if os.geteuid() != 0:
        place.symlink_to(path)
    elif path.is_dir():
        shutil.copytree(path, place, copy_function=_link_or_copy)
    else:
        _link_or_copy(path, place)


def _link_or_copy(file: str | Path, place: str | Path) -> None:
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)


class _Pipes:
    """A Stream to a process of this machine."""

    def __init__(self, process: subprocess.Popen[bytes], noise: Path) -> None:
        self.process, self.noise = process, noise

    def lines(self) -> Iterator[bytes]:
        assert self.process.stdout
        for line in self.process.stdout:
            yield line.rstrip(b"\n")

    def write(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING)
        said = self.noise.read_text(errors="replace").strip().splitlines()
        return said[-1] if said else f"exit status {self.process.returncode}"


@contextmanager
def pipes(command: Sequence[str], noise: Path) -> Iterator[_Pipes]:
    """The process of `command`, which ends with this; what it says on standard error goes to the file `noise`.

    It has a session of its own: Ctrl-C is for layerkit to hear.
    """
    with noise.open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    try:
        yield _Pipes(process, noise)
    finally:
        assert process.stdin
        with suppress(OSError):
            process.stdin.close()  # its end is the function's
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout
        process.stdout.close()
