"""Reads layerkit's own JSON files strictly: typed getters whose errors name the path of the value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from layerkit.errors import ContentError, MachineError

T = TypeVar("T")


class Wrong(ValueError):
    """A value in the file that cannot be; its words begin with its path."""


class _Newer(Exception):
    """The file's schema_version is one that is not known yet."""


def read(path: Path, parse: Callable[[bytes], T], nothing: T, *, cure: str) -> T:
    """What `parse` makes of a file; `nothing` where there is none.

    Raises ContentError for a file that is damaged (with the cure) or of a newer layerkit: what others depend on is
    never taken for an empty file.  MachineError for one that cannot be read.
    """
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return nothing
    except OSError as error:
        why = error.strerror or str(error)
        raise MachineError("cannot be read", where=str(path), why=why, cure="check its owner and mode") from None
    except _Newer as error:
        raise ContentError(
            "is of a newer layerkit", where=str(path), why=str(error), cure="update layerkit"
        ) from None
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else "it is nested too deep"
        raise ContentError("is damaged, and is left as it is", where=str(path), why=why, cure=cure) from None


def document(content: bytes, version: int, names: Sequence[str]) -> dict[str, Any]:
    """The fields of a whole file: `names` besides its schema_version, which must be this one."""
    data = json.loads(content)
    found = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(found, int) and found > version:
        raise _Newer(f"its schema_version is {found}, this layerkit knows {version}")
    top = fields(data, "the file", ("schema_version", *names))
    if number(found, "schema_version", least=1) != version:
        raise Wrong(f"schema_version: is not {version}")
    return top


def fields(value: object, path: str, names: Sequence[str]) -> dict[str, Any]:
    """An object with exactly these fields."""
    if not isinstance(value, dict):
        raise Wrong(f"{path}: is no object")
    if strange := sorted(set(value) ^ set(names)):
        raise Wrong(f"{path}: {strange[0]!r} {'is missing' if strange[0] in names else 'is not known'}")
    return value


def items(value: object, path: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise Wrong(f"{path}: is no list")
    return value


def text(value: object, path: str, pattern: str = "") -> str:
    """A text, of this form where one is given."""
    if not isinstance(value, str):
        raise Wrong(f"{path}: is no text")
    if pattern and not re.fullmatch(pattern, value):
        raise Wrong(f"{path}: {value!r} is not of the form {pattern}")
    return value


def number(value: object, path: str, least: int) -> int:
    """A whole number from `least` up."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise Wrong(f"{path}: is no whole number from {least} up")
    return value


def flag(value: object, path: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Wrong(f"{path}: is neither true nor false")
    return value
