"""Shared libraries that the loader refused, and names that a module has not: what they are of, and why."""

from __future__ import annotations

import re

from layerkit.local.blame import packs
from layerkit.local.blame.packs import Pack
from layerkit.local.blame.scene import OPT, TASK, Scene, shown
from layerkit.local.blame.trace import Raised

REFUSED = re.compile(
    r"invalid ELF header|wrong ELF class|cannot open shared object file|undefined symbol"
    r"|version [`'\"]?(?:GLIBC|GLIBCXX|CXXABI|GCC)_|ELF load command|ELF file|file too short"
)
SYMBOL = re.compile(r"version [`'\"]?(?P<version>(?:GLIBC|GLIBCXX|CXXABI|GCC)_[\w.]+)['\"]? not found")
LIBRARY = re.compile(r"(?:^|[\s(])(?P<path>/(?:opt|var/task)/[^\s:()]+\.so[^\s:()]*)")
SYSTEM = re.compile(r"(?P<name>[\w.+-]+\.so[\w.]*): cannot open shared object file")
NO_NAME = re.compile(
    r"cannot import name '(?P<name>\w+)' from (?P<partly>partially initialized module )?'(?P<module>[\w.]+)'"
    r"(?P<circular> \(most likely due to a circular import\))?(?: \((?P<path>[^()]*)\))?"
)


def advice(scene: Scene, one: Raised) -> str:
    if match := NO_NAME.search(one.message):
        return _no_name(scene, match)
    return _refused(scene, one.message) if REFUSED.search(one.message) else ""


def _refused(scene: Scene, message: str) -> str:
    target = scene.target
    place = LIBRARY.search(message)
    path = place["path"] if place else ""
    pack = scene.holder(path.removeprefix(OPT)) if path.startswith(OPT) else None
    owner = pack.owner(path.removeprefix(OPT)) if pack else None
    what = scene.shown(path) if path else "a shared library"
    what += (
        f" ({owner} of the layer {pack.key!r})" if owner and pack else f" of the layer {pack.key!r}" if pack else ""
    )
    then = f"layerkit verify {pack.key}" if pack else "layerkit verify"
    machine = _machine(scene, pack, path)
    if machine and machine != target.machine:
        return f"{what} is for {machine}, and the function runs on {target.architecture}: {then}"
    if elsewhere := packs.not_here(machine, target):
        return f"{what}, {elsewhere}"
    if symbol := SYMBOL.search(message):
        glibc = ".".join(map(str, target.glibc))
        why = f"it wants {symbol['version']}, and {target.runtime} has glibc {glibc}"
        return f"{what} was built for a newer system: {why}: {then}"
    system = SYSTEM.search(message)
    if system and not (path and path.endswith(system["name"])):
        return (
            f"the shared library {system['name']} is neither in Lambda nor in lib/ of a layer: "
            f"pack_libraries: true packs it where layerkit builds what needs it; {then}"
        )
    return f"{what} cannot be loaded by {target.runtime} on {target.architecture}: {then}"


def _machine(scene: Scene, pack: Pack | None, path: str) -> str:
    if pack:
        return pack.machine(path.removeprefix(OPT))
    file = scene.source.get(path.removeprefix(TASK)) if path.startswith(TASK) else None
    try:
        return packs.machine(file.read_bytes()[: packs.HEAD]) if file else ""
    except OSError:
        return ""


def _no_name(scene: Scene, match: re.Match[str]) -> str:
    """`from module import name`, of a module that is there."""
    module, name, path = match["module"], match["name"], match["path"] or ""
    if match["partly"]:
        file = f", {scene.shown(path)}," if path.startswith((TASK, OPT)) else ""
        return f"{module!r}{file} is imported while it is still being imported itself: break the circle of imports"
    if path.startswith(TASK):
        holder = next((pack for pack in scene.attached if pack.finds(module)), None)
        if holder:
            return f"{scene.shown(path)} hides {module!r} of the layer {holder.key!r}: rename it"
        return f"{scene.shown(path)} defines no {name!r}"
    pack = scene.holder(path.removeprefix(OPT)) if path.startswith(OPT) else None
    if pack:
        owner = pack.owner(path.removeprefix(OPT))
        if owner:
            what = f"{module!r} is of {owner} (layer {pack.key!r}), which has no {name!r}"
            return f"{what}: require a version that has it, or change the import"
        own = scene.own(path)
        return (
            f"{module!r} is of the layer {pack.key!r}" + (f" ({shown(own)})" if own else "") + f", without {name!r}"
        )
    if path == "unknown location":
        return f"{module!r} is a folder without an __init__.py, so it has no {name!r}"
    return f"{module!r} of Python {scene.target.python}, or of its runtime, has no {name!r}"
