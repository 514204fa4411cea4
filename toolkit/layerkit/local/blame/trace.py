"""What Python and Lambda's client say of a failure -> frames, and what was raised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# The client words a syntax error's place in its own way: File "/var/task/main.py" Line 3
FRAME = re.compile(r'[\s|+]*File "(?P<path>[^"]*)",? [Ll]ine (?P<line>[0-9]{1,9})(?:, in .*)?')
CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
CARETS = re.compile(r"[\s|]*[~^]+\s*")
RAISED = re.compile(r"(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One place in a traceback, with Lambda's path."""

    path: str
    line: int
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """One exception of a chain: its frames, the outermost first, and its own words."""

    frames: tuple[Frame, ...] = ()
    type: str = ""
    message: str = ""


def frames(lines: Iterable[str]) -> tuple[Frame, ...]:
    """The frames in a stack trace, each with its line of code where that stands below it."""
    found: list[Frame] = []
    fresh = False
    for line in _single(lines):
        match = FRAME.fullmatch(line)
        if match:
            found.append(Frame(path=match["path"], line=int(match["line"])))
        elif fresh and line.startswith(("    ", "  |")) and not CARETS.fullmatch(line):
            found[-1] = Frame(path=found[-1].path, line=found[-1].line, code=line.lstrip(" |").rstrip())
        fresh = bool(match)
    return tuple(found)


def chain(lines: Iterable[str]) -> tuple[Raised, ...]:
    """The exceptions of a traceback as `traceback.format_exception` gives it: the last one was raised last."""
    parts: list[list[str]] = [[]]
    for line in _single(lines):
        if line.strip(" |") in CHAINED:
            parts.append([])
        else:
            parts[-1].append(line)
    return tuple(_raised(part) for part in parts if any(part))


def _raised(lines: Sequence[str]) -> Raised:
    """Its words begin at the first line after the frames that stands at the margin; a message may have several."""
    last = max((number for number, line in enumerate(lines) if FRAME.fullmatch(line)), default=-1)
    for number in range(last + 1, len(lines)):
        match = RAISED.fullmatch(lines[number].lstrip("| "))
        if match and not lines[number].startswith("  "):
            message = "\n".join([match["message"] or "", *lines[number + 1 :]]).strip()
            return Raised(frames=frames(lines), type=match["type"].rpartition(".")[2], message=message)
    return Raised(frames=frames(lines))


def _single(lines: Iterable[str]) -> list[str]:
    """The client gives a frame and its code as one."""
    return [line for part in lines for line in part.splitlines()]
