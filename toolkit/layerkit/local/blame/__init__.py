"""A Failure -> the user's own place, the module that is missing, and what to do.

Looked at once, after a failure; nothing that cannot be read or asked is an error here: then less is known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from layerkit.local.blame import faults, handlers, natives, offered, trace
from layerkit.local.blame.missing import Missing
from layerkit.local.blame.scene import OPT, TASK, Scene
from layerkit.local.blame.trace import Frame, Raised
from layerkit.local.blame.wanted import Index
from layerkit.local.nouns import Failure, Runnable
from layerkit.model import LayersFile

NO_MODULE = re.compile(r"No module named '?(?P<module>[\w.]+)'?")
SYNTAX = re.compile(r"\((?P<file>[^()\s/]+\.py), line (?P<line>[0-9]{1,9})\)")
LONGEST = 200  # characters of a line of code
OURS = (TASK, OPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """What is known of a failure's cause; "" and 0 where nothing is."""

    file: str = ""  # the user's own, relative to the current folder where it is in it; else /opt/… of a layer
    line: int = 0
    code: str = ""  # that line
    missing: str = ""  # the module that was not found
    advice: str = ""  # why, and what to do: clauses in one line


def blame(
    failure: Failure, runnable: Runnable, project: LayersFile, dist: Path, *, index: Index | None = None
) -> Blame:
    """`index` gives the newest version of a requirement on the package index, or None.

    It may raise LayerkitError, which is told; nothing is raised here.
    """
    scene = Scene(runnable=runnable, project=project, dist=dist)
    asked = index or partial(offered.newest, target=runnable.target)
    raised = _raised(failure)
    frames = [frame for one in raised for frame in one.frames if frame.path.startswith(OURS)]
    place = _place(scene, failure, [f for f in raised[-1].frames if f.path.startswith(OURS)] or frames)
    last = frames[-1] if frames else None
    for one in reversed(raised):  # what was raised last, then what led to it
        if advice := natives.advice(scene, one):
            return replace(place, advice=advice)
        module = _missing(one)
        if module:
            missing = Missing(
                module=module, scene=scene, frames=[f for f in one.frames if f.path.startswith(OURS)], index=asked
            )
            advice = handlers.advice(scene, failure, module, missing.frames) or missing.advice()
            return replace(place, missing=module, advice=advice)
    if not place.file and (found := handlers.place(scene, failure)):
        place = Blame(file=found[0], line=found[1], code=_line(scene.source[found[2]], found[1])[:LONGEST])
    advice = (
        handlers.advice(scene, failure) or faults.advice(scene, failure, raised, last) or _of_a_layer(scene, place)
    )
    return replace(place, advice=advice)


def _raised(failure: Failure) -> tuple[Raised, ...]:
    """The exceptions that led to the failure, what Lambda tells of it at the end."""
    words = re.sub(r"^Unable to import module '[^']*': ", "", failure.message)
    causes = trace.chain(failure.cause)
    told = Raised(frames=trace.frames(failure.trace), type=failure.type, message=words)
    if not told.frames and causes:
        return (*causes[:-1], replace(told, frames=causes[-1].frames))
    return (*causes, told)


def _missing(one: Raised) -> str:
    """The module that an import did not find; "" where that is not what was raised."""
    if one.type not in ("ModuleNotFoundError", "ImportError", "Runtime.ImportModuleError"):
        return ""
    match = NO_MODULE.search(one.message)
    return match["module"].strip(".") if match else ""


def _place(scene: Scene, failure: Failure, frames: Sequence[Frame]) -> Blame:
    """The deepest frame in the user's own code; without any, the deepest in a layer."""
    own = [frame for frame in frames if scene.own(frame.path)]
    function = [frame for frame in own if frame.path.startswith(TASK)]
    frame = _syntax(scene, failure) or next(iter([*function[-1:], *own[-1:], *frames[-1:]]), None)
    if frame is None:
        return Blame()
    file = scene.own(frame.path)
    return Blame(
        file=scene.shown(frame.path),
        line=frame.line,
        code=(frame.code or (_line(file, frame.line) if file else ""))[:LONGEST],
    )


def _syntax(scene: Scene, failure: Failure) -> Frame | None:
    """Where a syntax error is, whose file the trace of an import names by its last part alone."""
    if failure.type not in ("SyntaxError", "IndentationError", "TabError"):
        return None
    match = SYNTAX.search(failure.message)
    found = [path for path in scene.source if match and PurePosixPath(path).name == match["file"]]
    return Frame(path=f"{TASK}{found[0]}", line=int(match["line"])) if match and len(found) == 1 else None


def _line(file: Path, number: int) -> str:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _of_a_layer(scene: Scene, place: Blame) -> str:
    """Whose file it is, where no code of the user's took part."""
    if not place.file.startswith(OPT):
        return ""
    pack = scene.holder(place.file.removeprefix(OPT))
    owner = pack.owner(place.file.removeprefix(OPT)) if pack else None
    if pack is None:
        return ""
    return f"it is in {owner} of the layer {pack.key!r}" if owner else f"it is in the layer {pack.key!r}"
