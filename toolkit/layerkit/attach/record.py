"""dist/attached.json: what `attach` has changed of each function, so that it can be undone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerkit import strict
from layerkit.attach.request import ALIAS
from layerkit.attach.request import NAME as FUNCTION
from layerkit.files import turn, write_atomically
from layerkit.publishing import ACCOUNT, REGION

NAME = "attached.json"
SCHEMA_VERSION = 1
MOST = 10  # entries of a function; older ones are forgotten
LAYER = r"arn:[^\s,]{1,2044}"  # whatever AWS says that a function has
VERSION = r"\$LATEST(\.PUBLISHED)?|[0-9]+"  # botocore: Version
WHEN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
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


def read(folder: Path) -> dict[Place, History]:
    """What `folder`'s attached.json says; nothing where there is none.

    Raises ContentError for a file that is damaged or of a newer layerkit: what a rollback stands on is never taken
    for an empty file.
    """
    cure = (
        "restore it, for instance from version control; or delete it: functions stay as they are, and what was "
        "attached before cannot be rolled back by layerkit any more"
    )
    return strict.read(folder / NAME, _parse, {}, cure=cure)


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
    top = strict.document(content, SCHEMA_VERSION, ["functions"])
    found: dict[Place, History] = {}
    for at, item in enumerate(strict.items(top["functions"], "functions")):
        path = f"functions[{at}]"
        fields = strict.fields(item, path, HISTORY)
        place = Place(
            account=strict.text(fields["account"], f"{path}.account", ACCOUNT),
            region=strict.text(fields["region"], f"{path}.region", REGION),
            function=strict.text(fields["function"], f"{path}.function", FUNCTION),
        )
        if place in found:
            raise strict.Wrong(f"{path}: is the same account, region and function as one before it")
        history = strict.items(fields["history"], f"{path}.history")
        found[place] = tuple(_attached(one, f"{path}.history[{n}]") for n, one in enumerate(history))
    return found


def _attached(value: object, path: str) -> Attached:
    fields = strict.fields(value, path, FIELDS)
    version, moved = fields["version"], fields["alias"]
    return Attached(
        when=strict.text(fields["when"], f"{path}.when", WHEN),
        before=_layers(fields["before"], f"{path}.before"),
        after=_layers(fields["after"], f"{path}.after"),
        version="" if version is None else strict.text(version, f"{path}.version", VERSION),
        alias=None if moved is None else _moved(moved, f"{path}.alias"),
        done=strict.flag(fields["done"], f"{path}.done"),
    )


def _layers(value: object, path: str) -> tuple[str, ...]:
    return tuple(strict.text(one, f"{path}[{at}]", LAYER) for at, one in enumerate(strict.items(value, path)))


def _moved(value: object, path: str) -> Moved:
    fields = strict.fields(value, path, MOVED)
    return Moved(
        name=strict.text(fields["name"], f"{path}.name", ALIAS),
        before=strict.text(fields["before"], f"{path}.before", VERSION),
        after=strict.text(fields["after"], f"{path}.after", VERSION),
    )
