"""A function in the container engine: in AWS's image of the runtime, or in the build image with AWS's client."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit import bytecode
from layerkit.builders import Unfit
from layerkit.local import client, filling
from layerkit.local.nouns import Listen, Runnable
from layerkit.local.session import PROGRAM, Session, spec
from layerkit.model import Target
from layerkit.sandbox import lent
from layerkit.sandbox.surroundings import PASSWD, RUNTIME, TOP, USER, NotHere

if TYPE_CHECKING:
    from layerkit.builders.boxes import Says
    from layerkit.builders.engine import Engine
    from layerkit.builders.engine.functions import Dressed
    from layerkit.builders.engine.images import Image
    from layerkit.cache import Cache

# Source: gallery.ecr.aws/lambda/python, whose tags are 3.12, 3.12-arm64, 3.12-x86_64 and those with a date.
IMAGES = ("public.ecr.aws/lambda/python:{python}-{architecture}", "public.ecr.aws/lambda/python:{python}")
FLAGS = ("-I", "-S", "-B")
PATIENCE = 10  # times as long may an emulated function take: measured, an import of Flask takes 8 times as long
LOOPBACK = re.compile(r"(?<=://)(?:localhost|127\.0\.0\.1|\[::1\])(?=[:/]|$)")


class Containers:
    """The container engine, asked to run functions.

    `images` are the names of the runtime's own image, the first that is there is taken; `cpus` is the share of a core
    that the function gets (0: all), `network` the engine's network (by default its own, or the host's).
    """

    def __init__(
        self, cache: Cache, says: Says, *, images: tuple[str, ...] = IMAGES, cpus: float = 0.0, network: str = ""
    ) -> None:
        self.cache, self.says = cache, says
        self.images, self.cpus, self.network = images, cpus, network
        self.told: set[str] = set()
        self._lent: Mapping[str, Path] | None = None

    @property
    def lent(self) -> Mapping[str, Path]:
        if self._lent is None:
            self._lent = lent.copies()
        return self._lent

    @contextmanager
    def open(self, runnable: Runnable, listen: Listen) -> Iterator[Session]:
        """Raises NotHere, Refused, LayerkitError."""
        with ExitStack() as stack:
            try:
                session = self._open(runnable, listen, stack)
            except Unfit as error:
                raise NotHere(
                    ": ".join(filter(None, (error.where, error.what, *error.why.splitlines()[-1:])))
                ) from None
            yield session

    def _open(self, runnable: Runnable, listen: Listen, stack: ExitStack) -> Session:
        from layerkit.builders.boxes import Host
        from layerkit.builders.engine import functions

        engine = Host(self.cache, self.says).connect()
        stack.callback(engine.close)
        target, function = runnable.target, runnable.function
        work = stack.enter_context(self.cache.workspace())
        reference, image = self._image(engine, target, work)
        emulated = engine.architecture != target.machine
        volumes = {"/opt": work / "opt.tar", "/var/task": work / "task.tar"}
        filling.opt(runnable.zips, volumes["/opt"])
        filling.task(function.source, volumes["/var/task"])
        network, variables, unlike = self._reach(engine, runnable.variables)
        if emulated:
            variables = {**functions.emulation(target.machine), **variables}
        attached = functions.opened(
            engine, image.id, [image.python, *FLAGS, f"{TOP}/{PROGRAM[0]}"], machine=target.machine, owner=work.name,
            volumes=volumes, memory=0 if emulated else function.memory, cpus=self.cpus, network=network,
        )  # fmt: skip
        given = spec(
            replace(runnable, variables=variables), user=USER, python=image.python,
            patience=PATIENCE if emulated else 1, memory=not emulated,
        )  # fmt: skip
        where = f"container ({engine.name}, {reference}{', emulated' if emulated else ''})"
        unlike = [*self._unlike(image, runnable, emulated), *unlike]
        session = Session(stack.enter_context(attached), given, listen, where=where, unlike=unlike)
        if session.machine != target.machine or not session.python.startswith(f"{target.python}."):
            raise NotHere(f"{reference} has Python {session.python} on {session.machine}, not {target.label}")
        return session

    def _unlike(self, image: Dressed, runnable: Runnable, emulated: bool) -> Iterator[str]:
        """What differs from Lambda there."""
        if not image.own:
            yield "Python and the system's libraries are those of the build image, not the runtime's"
            yield lent.told(["boto3"])  # and what it needs
        if emulated:
            seconds = runnable.function.timeout
            yield f"emulated: the timeout of {seconds} s is {seconds * PATIENCE} s here, memory is not limited"
        else:
            yield "the memory is looked at 50 times a second; the processor is not shared as memory would have it"

    def _reach(self, engine: Engine, variables: Mapping[str, str]) -> tuple[str, Mapping[str, str], list[str]]:
        """The network, the variables, and what is unlike, for a function whose variables name this machine."""
        from layerkit.builders.engine import functions

        if self.network or not any(map(LOOPBACK.search, variables.values())):
            return self.network, variables, []
        if functions.shares_loopback(engine):
            return "host", variables, []
        if not engine.socket:
            return "", variables, ["the engine is not on this machine: 127.0.0.1 is the container's own"]
        there = {name: LOOPBACK.sub(functions.HOST, value) for name, value in variables.items()}
        return "", there, [f"this machine is {functions.HOST} in the container, and in the function's variables"]

    # -- the image

    def _image(self, engine: Engine, target: Target, work: Path) -> tuple[str, Dressed]:
        """The name of the base, and what was made of it.

        Raises Unfit, and NotHere where AWS's client is wanted and cannot be had.
        """
        from layerkit.builders.engine import functions

        base = self._base(engine, target)
        program = {
            f"{TOP[1:]}/{name}": resources.files("layerkit.local").joinpath(name).read_bytes() for name in PROGRAM
        }
        files = {**program, "etc/passwd": PASSWD}
        versions = [f"{name} {importlib.metadata.version(lent.SDK[name])}" for name in self.lent]
        key = hashlib.sha256("\0".join([base.id, client.key(target), *versions]).encode())
        for name, data in files.items():
            key.update(f"{name} {len(data)}\0".encode() + data)

        def tar(own: bool) -> Path:
            to = work / "image.tar"
            filling.whole(files if own else {**files, **self._runtime(target, work)}, to)
            return to

        made = functions.image(
            engine, base, key.hexdigest()[:16], machine=target.machine,
            owner=work.name, python=f"python{target.python}", files=tar, say=self.says.note,
        )  # fmt: skip
        if not made.own and self._is_new(base.reference):
            wanted = self._names(target)[0]
            self.says.note(f"the function runs in {base.reference}; docker pull {wanted} gives Lambda's own image")
        return base.reference, made

    def _names(self, target: Target) -> list[str]:
        return [name.format(python=target.python, architecture=target.architecture) for name in self.images]

    def _is_new(self, reference: str) -> bool:
        known, self.told = reference in self.told, self.told | {reference}
        return not known

    def _base(self, engine: Engine, target: Target) -> Image:
        """The runtime's image if it is there, else the build image if it is; else one of them from its registry."""
        from layerkit.builders.engine import images

        names = self._names(target)
        for name in (*names, target.image):
            if images.fits(engine, name, target.machine):
                return images.get(engine, name, target.machine, self.says.note)
        try:
            return images.get(engine, names[0], target.machine, self.says.note)
        except Unfit:
            return images.get(engine, target.image, target.machine, self.says.note)

    def _runtime(self, target: Target, work: Path) -> dict[str, bytes | Path]:
        """/var/runtime: AWS's client, and layerkit's own copies of what else the runtime has, with bytecode."""
        found: dict[str, bytes | Path] = {}
        for top in (*client.folder(target, self.cache).iterdir(), *self.lent.values()):
            for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
                if file.is_file() and "__pycache__" not in file.parts:
                    found[f"{RUNTIME[1:]}/{file.relative_to(top.parent).as_posix()}"] = file
        return found | _compiled(found, target, self.cache, work)


def _compiled(files: Mapping[str, bytes | Path], target: Target, cache: Cache, work: Path) -> dict[str, Path]:
    """Their bytecode, if there is a CPython of the target's on this machine."""
    interpreter = bytecode.choose(target.python, "", cache.folder)
    if not interpreter:
        return {}
    folder = work / "bytecode"
    folder.mkdir()
    tag = f"cpython-{target.python.replace('.', '')}"
    modules = [(path, str(file)) for path, file in files.items() if path.endswith(".py")]
    made = {
        re.sub(r"([^/]+)\.py$", rf"__pycache__/\1.{tag}.pyc", path): folder / str(number)
        for number, (path, _) in enumerate(modules)
    }
    tasks = [(file, f"/{path}", str(to)) for (path, file), to in zip(modules, made.values(), strict=True)]
    size = bytecode.CHUNK
    bytecode.run_here(interpreter, 0, [tasks[at : at + size] for at in range(0, len(tasks), size)])
    return {path: file for path, file in made.items() if file.exists()}
