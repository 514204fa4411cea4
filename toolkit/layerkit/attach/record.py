"""dist/attached.json: what `attach` has changed of each function, so that it can be undone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerkit.attach.request import NAME as FUNCTION
from layerkit.errors import ContentError, MachineError
from layerkit.files import turn, write_atomically
from layerkit.publishing import ACCOUNT, REGION

NAME = "attached.json"
SCHEMA_VERSION = 1
MOST = 10  # entries of a function; older ones are forgotten
LAYER = r"arn:[^\s,]{1,2044}"  # whatever AWS says that a function has
ALIAS = r"(?![0-9]+$)[A-Za-z0-9_-]{1,128}"  # botocore: Alias
VERSION = r"\$LATEST(\.PUBLISHED)?|[0-9]+"  # botocore: Version
WHEN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
TOP = ("schema_version", "functions")
HISTORY = ("account", "region", "function", "history")
FIELDS = ("when", "before", "after", "version", "alias", "done")
MOVED = ("name", "before", "after")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A function of an account in a region."""

    account: str
    region: str
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An alias that was, or was about to be, pointed to another version of its function."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """One run of `attach` that changed something, or was about to."""

    when: str  # its begin, ISO 8601 in UTC
    before: tuple[str, ...]  # the function's layer versions, in their order
    after: tuple[str, ...]
    version: str = ""  # of the function, that was published; empty: none, or not yet
    alias: Moved | None = None  # None: none was moved, or not yet
    done: bool = False  # False: the run did not come to its end, as far as it is known here


History = tuple[Attached, ...]  # newest last


class _Wrong(ValueError):
    """A value in the file that cannot be; its words begin with its path."""


class _Newer(Exception):
    """The file's schema_version is one that is not known yet."""


def read(folder: Path) -> dict[Place, History]:
    """What `folder`'s attached.json says; nothing where there is none.

    Raises ContentError for a file that is damaged or of a newer layerkit: what a rollback stands on is never taken
    for an empty file.
    """
    path = folder / NAME
    try:
        return _parse(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        why = error.strerror or str(error)
        raise MachineError("cannot be read", where=str(path), why=why, cure="check its owner and mode") from None
    except _Newer as error:
        why = f"its schema_version is {error}, this layerkit knows {SCHEMA_VERSION}"
        raise ContentError("is of a newer layerkit", where=str(path), why=why, cure="update layerkit") from None
    except (ValueError, RecursionError) as error:
        raise ContentError(
            "is damaged, and is left as it is",
            where=str(path),
            why=str(error) if isinstance(error, ValueError) else "it is nested too deep",
            cure="restore it, for instance from version control; or delete it: functions stay as they are, and what "
            "was attached before cannot be rolled back by layerkit any more",
        ) from None


def change(folder: Path, place: Place, to: Callable[[History], History]) -> History:
    """Let a function's history be what `to` makes of it, in one step; the newest MOST entries of it.

    Two processes take turns, also with `layerkit build` and `publish`.  Raises ContentError as `read` does, and
    MachineError for a full disk or a folder that may not be written: the file is then as it was.
    """
    folder = folder.resolve()
    with turn(folder):
        for left in folder.glob(f".{NAME}.*"):
            left.unlink(missing_ok=True)  # of a killed process: the lock says that none is at work
        there = read(folder)
        before = there.get(place, ())
        after = to(before)[-MOST:]
        if after != before:
            content = render({**there, place: after})
            _parse(content)  # an entry that could not be read again is a defect, and must not spoil the file
            write_atomically(folder / NAME, content)
        return after


def needed(folder: Path, account: str, region: str) -> list[tuple[str, str]]:
    """ARNs of the layer versions that a rollback would need, each with its function; for who deletes versions.

    Of a run that has not come to its end, also those that it was about to attach.  Raises as `read`.
    """
    found = [
        (arn, place.function)
        for place, history in sorted(read(folder).items())
        if (place.account, place.region) == (account, region)
        for one in history
        for arn in (*one.before, *(() if one.done else one.after))
    ]
    return list(dict.fromkeys(found))


def render(content: dict[Place, History]) -> bytes:
    """attached.json, in a fixed order; functions without a history are left out."""
    functions = [
        {
            "account": place.account,
            "region": place.region,
            "function": place.function,
            "history": [_written(one) for one in history],
        }
        for place, history in sorted(content.items())
        if history
    ]
    return (json.dumps({"schema_version": SCHEMA_VERSION, "functions": functions}, indent=2) + "\n").encode()


def _written(one: Attached) -> dict[str, Any]:
    alias = one.alias and {"name": one.alias.name, "before": one.alias.before, "after": one.alias.after}
    return {
        "when": one.when,
        "before": list(one.before),
        "after": list(one.after),
        "version": one.version or None,
        "alias": alias,
        "done": one.done,
    }


def _parse(content: bytes) -> dict[Place, History]:
    data = json.loads(content)
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise _Newer(version)
    top = _fields(data, "the file", TOP)
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise _Wrong(f"schema_version: is not {SCHEMA_VERSION}")
    found: dict[Place, History] = {}
    for at, item in enumerate(_list(top["functions"], "functions")):
        path = f"functions[{at}]"
        fields = _fields(item, path, HISTORY)
        place = Place(
            account=_text(fields["account"], f"{path}.account", ACCOUNT),
            region=_text(fields["region"], f"{path}.region", REGION),
            function=_text(fields["function"], f"{path}.function", FUNCTION),
        )
        if place in found:
            raise _Wrong(f"{path}: is the same account, region and function as one before it")
        history = _list(fields["history"], f"{path}.history")
        found[place] = tuple(_attached(one, f"{path}.history[{n}]") for n, one in enumerate(history))
    return found


def _attached(value: object, path: str) -> Attached:
    fields = _fields(value, path, FIELDS)
    version, moved, done = fields["version"], fields["alias"], fields["done"]
    if not isinstance(done, bool):
        raise _Wrong(f"{path}.done: is neither true nor false")
    return Attached(
        when=_text(fields["when"], f"{path}.when", WHEN),
        before=_layers(fields["before"], f"{path}.before"),
        after=_layers(fields["after"], f"{path}.after"),
        version="" if version is None else _text(version, f"{path}.version", VERSION),
        alias=None if moved is None else _moved(moved, f"{path}.alias"),
        done=done,
    )


def _layers(value: object, path: str) -> tuple[str, ...]:
    return tuple(_text(one, f"{path}[{at}]", LAYER) for at, one in enumerate(_list(value, path)))


def _moved(value: object, path: str) -> Moved:
    fields = _fields(value, path, MOVED)
    return Moved(
        name=_text(fields["name"], f"{path}.name", ALIAS),
        before=_text(fields["before"], f"{path}.before", VERSION),
        after=_text(fields["after"], f"{path}.after", VERSION),
    )


def _fields(value: object, path: str, names: Sequence[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{path}: is no object")
    if strange := sorted(set(value) ^ set(names)):
        raise _Wrong(f"{path}: {strange[0]!r} {'is missing' if strange[0] in names else 'is not known'}")
    return value


def _list(value: object, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise _Wrong(f"{path}: is no list")
    return value


def _text(value: object, path: str, pattern: str) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"{path}: is no text")
    if not re.fullmatch(pattern, value):
        raise _Wrong(f"{path}: {value!r} is not of the form {pattern}")
    return value
