"""The builder in a container: the same install as without one, by the target's own uv, Python and compilers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from importlib import resources
from pathlib import Path

from layerkit import bytecode, network, offers, uv
from layerkit.builders import Installed, Modules, OtherRelease, Tell, Wanted
from layerkit.builders.boxes import Boxes, Host, Says, full, tail
from layerkit.builders.building import build
from layerkit.builders.engine import TOP
from layerkit.builders.wheels import apart, install_wheels
from layerkit.cache import Cache
from layerkit.errors import MachineError
from layerkit.model import Origin, Pin, Target
from layerkit.offers import Offer


class ContainerBuilder:
    """Raises Unfit, once there is work, where no engine can do it."""

    def __init__(self, cache: Cache, says: Says) -> None:
        self.cache = cache
        self.host = Host(cache, says)

    @contextmanager
    def session(self, target: Target, folder: Path, step_limit: int) -> Iterator[ContainerSession]:
        with ExitStack() as stack:
            yield ContainerSession(self.host, target, folder, step_limit, stack)

    def release(self, target: Target) -> str:
        """Remembered by the image's name, so that a build with nothing to do asks no engine."""
        known = self.host.release(target)
        if known:
            return known
        with self.cache.workspace() as work, ExitStack() as stack:
            boxes = Boxes(self.host, target, work / "probe", 60, stack)
            box = boxes.box()
            boxes.run(box, [])
            return box.release


class ContainerSession:
    """The work for one target."""

    def __init__(self, host: Host, target: Target, folder: Path, step_limit: int, stack: ExitStack) -> None:
        self.host, self.target, self.folder = host, target, folder
        self.limit, self.stack = step_limit, stack

    @cached_property
    def boxes(self) -> Boxes:
        return Boxes(self.host, self.target, self.folder, self.limit, self.stack)

    # --- installing ---------------------------------------------------------------------------------------

    def install(self, wanted: Sequence[Wanted], tell: Tell) -> Mapping[Wanted, Installed]:
        pins = sorted({one.pin for one in wanted})
        tell(pins, "installing")
        offered: Mapping[Pin, Offer] = {}

        def install(some: Sequence[Pin], folder: Path) -> Sequence[Pin]:
            nonlocal offered
            lacking, found = self._install_wheels(some, folder)
            if lacking:
                self._check_sdists(lacking, found)
                offered = found
            rest = [pin for pin in some if pin not in lacking]
            if lacking and rest:
                self._install_wheels(rest, folder)
            if rest:
                self.boxes.box().get(f"work/{folder.name}", folder)
            return rest

        homes = apart(pins, self.folder, install)
        wheels = {one: Installed(home=homes[one.pin], origin=self.boxes.origin) for one in wanted if one.pin in homes}
        rest = [one for one in wanted if one.pin not in homes]
        return {**wheels, **build(self.boxes, rest, offered, tell)}

    def _install_wheels(self, pins: Sequence[Pin], folder: Path) -> tuple[list[Pin], Mapping[Pin, Offer]]:
        links = self._links(pins)

        def run(wanted: str, options: Sequence[str]) -> None:
            command = [f"{TOP}/bin/uv", "pip", "install", "--target", f"{TOP}/work/{folder.name}", "--python"]
            command += ["{python}", "--requirements", f"{network.FOLDER}/requirements.txt", *options]
            steps = [{"do": "run", "command": command}]
            [result] = self.boxes.run(self.boxes.box(), steps, {"requirements.txt": wanted.encode()}, links)
            if result.status is None:
                raise self.boxes.late("installing distributions")
            if result.status:
                raise uv.failure(result.output)

        return install_wheels(pins, self.target, run, self.folder)

    def _links(self, pins: Sequence[Pin]) -> Mapping[str, str]:
        """Hand in what the folders of links hold of these pins; the setting that names where it is then."""
        settings = self.boxes.settings
        found = {
            f"links/{file.name}": file
            for folder in settings.links
            if folder.is_dir()
            for file in sorted(folder.iterdir())
            if offers.is_file_of(file.name, pins)
        }
        if not found:
            return {}
        self.boxes.box().put(found)
        there = settings.environment.get("UV_FIND_LINKS")
        return {"UV_FIND_LINKS": ",".join(filter(None, [there, f"{TOP}/links"]))}

    def _check_sdists(self, pins: Sequence[Pin], offered: Mapping[Pin, Offer]) -> None:
        without = [pin for pin in pins if not offered[pin].sdist]
        if without:
            cure = "choose a version that offers a wheel for the target, or a source distribution"
            raise offers.no_wheel(without, offered, self.target, cure)

    # --- compiling ----------------------------------------------------------------------------------------

    def compile(self, release: str, modules: Modules) -> Origin:
        box = self.boxes.box()
        files: dict[str, bytes | Path] = {}
        chunks = []
        outputs: dict[str, Path] = {}
        for chunk in modules:
            tasks = []
            for source, name, output in chunk:
                number = str(len(outputs))
                files[f"work/compile/{number}.py"], outputs[number] = Path(source), Path(output)
                tasks.append((f"{TOP}/work/compile/{number}.py", name, f"{TOP}/work/compiled/{number}"))
            chunks.append(tasks)
        box.put(files)
        script = resources.files("layerkit").joinpath("_compile.py").read_bytes()
        handed = {"_compile.py": script, "chunks.json": json.dumps({"jobs": 0, "chunks": chunks}).encode()}
        command = ["{python}", *bytecode.FLAGS, f"{network.FOLDER}/_compile.py"]
        step = {
            "do": "run", "command": command, "stdin": f"{network.FOLDER}/chunks.json",
            "folders": [f"{TOP}/work/compiled"],
        }  # fmt: skip
        [result] = self.boxes.run(box, [step], handed)
        if box.release != release:
            raise OtherRelease
        if result.status is None:
            raise self.boxes.late("compiling bytecode")
        if result.status:
            raise full(result.output) or MachineError(
                f"CPython {release} failed to compile bytecode", where="the build container", why=tail(result.output)
            )
        folder = self.folder / "compiled"
        box.get("work/compiled", folder)
        for number, file in outputs.items():
            if (folder / number).exists():
                (folder / number).rename(file)
        return self.boxes.origin
