"""Runs that are killed, refused or overtaken: what attached.json tells of them, and what a rollback does then."""

from __future__ import annotations

from pathlib import Path

import pytest

from attaching import ALIAS, PLACE, Desk, Killed, World, arn, layer
from layerkit.attach import record
from layerkit.attach.record import Attached
from layerkit.errors import AwsError, DonePartly, OperationFailed

A3, A4, B1, C1 = arn("alpha", 3), arn("alpha", 4), arn("beta", 1), arn("gamma", 1)
BEFORE = ((A3, C1), {ALIAS: "1"})
LATE = "killed late:99"


@pytest.fixture
def world() -> World:
    made = World(layers=(A3, C1), slow=True)
    made.versions["1"], made.pending["1"] = (made.layers, made.code), 0
    made.alias(ALIAS, "1")
    return made


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Desk:
    return Desk(world=world, folder=tmp_path / "dist")


def history(desk: Desk) -> tuple[Attached, ...]:
    return record.read(desk.folder).get(PLACE, ())


def test_an_update_that_comes_after_its_rollback_is_refused(world: World, desk: Desk) -> None:
    with pytest.raises(Killed):
        desk.attach(layer("alpha", 4), script=["", LATE])
    [note] = desk.rollback(dry_run=True).notes
    assert note == (
        "the run of 2026-01-01T00:00:01Z did not come to its end: what is there is written once more, so that AWS "
        "refuses an update of that run which is still on its way"
    )
    result = desk.rollback(script=["", "", "lost before"])
    assert (result.changed, result.notes) == (False, (note,))
    assert desk.way.calls == ["get", "get", "attach", "get", "attach", "get"]  # until AWS has said that it is written
    world.flush()
    assert world.state() == BEFORE
    assert history(desk) == ()


def test_an_update_that_comes_during_its_rollback_is_undone(world: World, desk: Desk) -> None:
    with pytest.raises(Killed):
        desk.attach(layer("alpha", 4), script=["", LATE])
    assert desk.rollback(events={2: world.flush}).changed
    assert world.state() == BEFORE


def test_an_alias_that_is_pointed_after_its_rollback_is_refused(world: World, desk: Desk) -> None:
    with pytest.raises(Killed):
        desk.attach(layer("alpha", 4), alias=ALIAS, script=[*[""] * 7, LATE])
    assert desk.way.calls[-1] == "point"
    desk.rollback(script=["", "", "", "lost before"])
    world.flush()
    assert world.state() == BEFORE
    assert history(desk) == ()


def test_a_refused_update_leaves_nothing_to_roll_back(world: World, desk: Desk) -> None:
    desk.attach(layer("alpha", 4))
    earlier = history(desk)
    with pytest.raises(OperationFailed, match="nothing is changed"):
        desk.attach(layer("beta", 1), script=["", "denied"])
    assert history(desk) == earlier
    assert desk.rollback().changed
    assert world.state() == BEFORE


def test_a_refused_alias_leaves_what_was_attached_to_roll_back(world: World, desk: Desk) -> None:
    for calls in (7, 6):  # before the alias; the second run takes the first one's entry over
        with pytest.raises(DonePartly, match="version 2 is published"):
            desk.attach(layer("alpha", 4), alias=ALIAS, script=[*[""] * calls, "denied"])
        assert desk.way.calls[-1] == "point"
        [entry] = history(desk)
        assert (entry.before, entry.alias, entry.done) == ((A3, C1), None, False)
    desk.rollback()
    assert "point" not in desk.way.calls
    assert world.state() == BEFORE


def test_an_alias_that_cannot_be_read_leaves_what_was_attached_to_roll_back(world: World, desk: Desk) -> None:
    with pytest.raises(DonePartly):
        desk.attach(layer("alpha", 4), alias=ALIAS, script=[*[""] * 6, "denied"])
    assert desk.way.calls[-1] == "alias"
    desk.rollback()
    assert world.state() == BEFORE


def test_a_refusal_after_a_lost_answer_proves_nothing(world: World, desk: Desk) -> None:
    with pytest.raises(AwsError, match="nobody knows"):
        desk.attach(layer("alpha", 4), script=["", "late:99", "", "denied"])
    world.flush()
    assert world.layers == (A4, C1)
    desk.rollback()
    assert world.state() == BEFORE


def test_a_killed_runs_update_in_the_midst_of_the_next_run_can_be_undone(world: World, desk: Desk) -> None:
    with pytest.raises(Killed):
        desk.attach(layer("alpha", 4), script=["", LATE])
    result = desk.attach(layer("beta", 1), events={1: world.flush})
    assert result.before == (A4, C1)
    world.had = set()
    assert desk.rollback().after == (A4, C1)
    assert desk.rollback().after == (A3, C1)
    assert world.state() == BEFORE


def test_two_runs_at_once_are_both_rolled_back(world: World, desk: Desk) -> None:
    """The other one reads what this one read, and is quicker."""
    other = Desk(world=world, folder=desk.folder)
    desk.attach(layer("alpha", 4), events={1: lambda: other.attach(layer("beta", 1))})
    assert world.layers == (A4, C1, B1)
    world.had = set()
    assert desk.rollback().after == (A3, C1, B1)
    assert desk.rollback().after == (A3, C1)
    assert history(desk) == ()


def test_a_run_without_the_alias_does_not_finish_one_with_it(world: World, desk: Desk) -> None:
    with pytest.raises(Killed):
        desk.attach(layer("alpha", 4), alias=ALIAS, script=[*[""] * 7, LATE])
    desk.attach(layer("alpha", 4))
    assert [one.done for one in history(desk)] == [False]
    desk.rollback()
    world.flush()
    assert world.state() == BEFORE


def test_a_file_that_cannot_be_written_hides_no_refusal(world: World, desk: Desk) -> None:
    def spoil() -> None:
        (desk.folder / record.NAME).write_text("{")

    with pytest.raises(OperationFailed, match="AWS refuses"):
        desk.attach(layer("alpha", 4), script=["", "denied"], events={1: spoil})
    assert world.state() == BEFORE


def test_a_lost_answer_at_the_end_is_not_taken_for_a_failure(world: World, desk: Desk) -> None:
    script = ["", "", "", "late:99", *["unreachable"] * 99]
    with pytest.raises(DonePartly, match="the layers are attached; a call had no answer") as caught:
        desk.attach(layer("alpha", 4), publish=True, script=script)
    assert "what should follow is not done" not in caught.value.what


def test_what_is_waited_for_in_vain_after_a_lost_answer_is_not_refused(world: World, desk: Desk) -> None:
    world.slow, world.reads = False, 10**6
    with pytest.raises(AwsError, match="is still being updated after 5 s; a call had no answer"):
        desk.attach(layer("alpha", 4), script=["", "lost after"], wait=5)


def test_a_rollback_is_a_cure_only_for_what_this_run_has_done(world: World, desk: Desk) -> None:
    desk.attach(layer("alpha", 4))
    world.recoded()
    world.update = "Failed"
    world.reads, world.fails = 1, 1
    with pytest.raises(DonePartly, match="the layers are attached") as caught:
        desk.attach(layer("alpha", 4))
    assert caught.value.cure == "mend it, and run it again"
    assert len(history(desk)) == 1
