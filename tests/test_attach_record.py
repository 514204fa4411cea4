"""dist/attached.json: strict to read, whole to write, and what it keeps others from deleting."""

from __future__ import annotations

import json
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from attaching import PLACE, arn
from layerkit.attach import record
from layerkit.attach.record import Attached, History, Moved, Place
from layerkit.errors import ContentError, MachineError

SCHEMA = json.loads((resources.files("layerkit") / "data" / "attached.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
WHEN = "2026-11-21T20:43:00Z"
ONE = Attached(when=WHEN, before=(arn("a", 1),), after=(arn("a", 2),), done=True)
FULL = Attached(
    when=WHEN, before=(), after=(arn("a", 2), "arn:aws:lambda:::awslayer:X"), version="7",
    alias=Moved(name="live", before="$LATEST", after="7"),
)  # fmt: skip
OTHER = Place(account=PLACE.account, region="us-east-1", function="api")


def added(one: Attached, to: History) -> History:
    return (*to, one)


def write(folder: Path, content: dict[Place, tuple[Attached, ...]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / record.NAME).write_bytes(record.render(content))
    return folder


def test_what_is_written_is_read_and_fits_the_schema(tmp_path: Path) -> None:
    content = {PLACE: (ONE, FULL), OTHER: (ONE,)}
    folder = write(tmp_path / "dist", content)
    assert record.read(folder) == content
    VALIDATOR.check_schema(SCHEMA)
    assert list(VALIDATOR.iter_errors(json.loads((folder / record.NAME).read_bytes()))) == []
    assert record.read(tmp_path / "nowhere") == {}


def test_what_a_rollback_needs(tmp_path: Path) -> None:
    folder = write(tmp_path / "dist", {PLACE: (ONE, FULL), OTHER: (ONE,)})
    assert record.needed(folder, PLACE.account, PLACE.region) == [
        (arn("a", 1), "api"),
        (arn("a", 2), "api"),  # of the run that did not come to its end
        ("arn:aws:lambda:::awslayer:X", "api"),
    ]
    assert record.needed(folder, PLACE.account, "us-east-1") == [(arn("a", 1), "api")]
    assert record.needed(folder, "210987654321", PLACE.region) == []


def test_a_change_keeps_the_others_and_the_newest_ten(tmp_path: Path) -> None:
    folder = write(tmp_path / "dist", {OTHER: (ONE,)})
    (folder / f".{record.NAME}.killed").touch()
    for number in range(1, 13):
        more = Attached(when=WHEN, before=(arn("a", number),), after=())
        record.change(folder, PLACE, partial(added, more))
    found = record.read(folder)
    assert found[OTHER] == (ONE,)
    assert [one.before for one in found[PLACE]] == [(arn("a", n),) for n in range(3, 13)]
    assert [path.name for path in folder.iterdir()] == [record.NAME]
    record.change(folder, PLACE, lambda _: ())
    assert record.read(folder) == {OTHER: (ONE,)}


def test_nothing_is_written_where_nothing_changes(tmp_path: Path) -> None:
    record.change(tmp_path / "dist", PLACE, lambda was: was)
    assert not (tmp_path / "dist").exists()


def whole() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.render({PLACE: (ONE, FULL)}))
    return found


def first(**more: Any) -> dict[str, Any]:
    data = whole()
    data["functions"][0]["history"][0] |= more
    return data


WRONG = {
    "the file: is no object": [],
    "schema_version: is no whole number": whole() | {"schema_version": True},
    "schema_version: is no whole": whole() | {"schema_version": 0},
    "'functions' is missing": {"schema_version": 1},
    "functions: is no list": whole() | {"functions": {}},
    "is the same account, region and function": whole() | {"functions": whole()["functions"] * 2},
    "functions[0].history[0]: 'more' is not known": first(more=1),
    "history[0].done: is neither": first(done=1),
    "history[0].when: 'today'": first(when="today"),
    "history[0].before: is no list": first(before=arn("a", 1)),
    "history[0].before[0]: 'a:1'": first(before=["a:1"]),
    "history[0].after[0]: is no text": first(after=[1]),
    "history[0].version: 'live'": first(version="live"),
    "history[0].alias: 'after' is missing": first(alias={"name": "live", "before": "1"}),
    "history[0].alias.name: '7'": first(alias={"name": "7", "before": "1", "after": "2"}),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_damaged_file_is_told_and_left(tmp_path: Path, words: str) -> None:
    content = json.dumps(WRONG[words])
    (tmp_path / record.NAME).write_text(content)
    with pytest.raises(ContentError, match="is damaged") as caught:
        record.read(tmp_path)
    assert words in caught.value.why
    with pytest.raises(ContentError):
        record.change(tmp_path, PLACE, lambda was: (*was, ONE))
    assert (tmp_path / record.NAME).read_text() == content
    if "same account" not in words:
        assert list(VALIDATOR.iter_errors(WRONG[words])) != []


def test_what_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / record.NAME).write_text("[" * 100_000)
    with pytest.raises(ContentError, match="is damaged"):
        record.read(tmp_path)
    (tmp_path / record.NAME).write_text(json.dumps(whole() | {"schema_version": 2}))
    with pytest.raises(ContentError, match="newer layerkit"):
        record.read(tmp_path)
    (tmp_path / record.NAME).unlink()
    (tmp_path / record.NAME).mkdir()
    with pytest.raises(MachineError, match="cannot be read"):
        record.read(tmp_path)
