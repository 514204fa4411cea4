"""Attaching and rolling back step by step, on a function in memory: what is told, refused and written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from attaching import ALIAS, PLACE, Desk, Killed, World, arn, layer
from layerkit.attach import record
from layerkit.attach.record import Attached
from layerkit.errors import AwsError, DonePartly, MachineError, OperationFailed

A3, A4, B1, C1 = arn("alpha", 3), arn("alpha", 4), arn("beta", 1), arn("gamma", 1)


@pytest.fixture
def world() -> World:
    made = World(layers=(A3, C1))
    made.versions["1"], made.pending["1"] = (made.layers, made.code), 0
    made.alias(ALIAS, "1")
    return made


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Desk:
    return Desk(world=world, folder=tmp_path / "dist")


def history(desk: Desk) -> tuple[Attached, ...]:
    return record.read(desk.folder).get(PLACE, ())


def test_an_older_version_is_replaced_in_place_and_new_layers_follow(world: World, desk: Desk) -> None:
    result = desk.attach(layer("beta", 1), layer("alpha", 4))
    assert world.layers == result.after == (A4, C1, B1)
    assert result.before == (A3, C1)
    assert result.changed
    assert desk.said == ["alpha 3 -> 4, beta new (1)"]
    assert desk.way.calls == ["get", "attach", "get"]
    [entry] = history(desk)
    assert (entry.before, entry.after, entry.done) == ((A3, C1), (A4, C1, B1), True)


def test_a_dry_run_changes_nothing(world: World, desk: Desk) -> None:
    world.reads, world.left, world.update = 9, 9, "InProgress"
    result = desk.attach(layer("alpha", 4), alias=ALIAS, dry_run=True)
    assert result.after == (A4, C1)
    assert result.notes == ("an update of it is under way, which would be waited for",)
    assert world.layers == (A3, C1)
    assert set(desk.way.calls) == {"get", "alias"}
    assert not desk.folder.exists()


def test_what_others_change_before_the_update_is_what_was_before(world: World, desk: Desk) -> None:
    result = desk.attach(layer("alpha", 4), events={1: lambda: world.others([B1, A3])})
    assert desk.way.calls == ["get", "attach", "get", "attach", "get"]
    assert world.layers == (B1, A4)
    assert result.before == (B1, A3)
    [entry] = history(desk)
    assert (entry.before, entry.after) == ((B1, A3), (B1, A4))
    world.had = set()
    desk.rollback()
    assert world.layers == (B1, A3)


def test_somebody_who_is_always_quicker_is_left_in_peace(world: World, desk: Desk) -> None:
    with pytest.raises(OperationFailed, match="AWS refuses; nothing is changed") as caught:
        desk.attach(layer("alpha", 4), events=dict.fromkeys(range(1, 100), world.recoded))
    assert "PreconditionFailedException" in caught.value.why
    assert world.layers == (A3, C1)


def test_an_update_of_others_is_waited_for(world: World, desk: Desk) -> None:
    world.reads = 5
    world.recoded()
    desk.attach(layer("alpha", 4))
    assert desk.way.calls == ["get"] * 6 + ["attach"] + ["get"] * 6
    assert world.update == "Successful"


def test_waiting_has_an_end(world: World, desk: Desk) -> None:
    world.reads = 10**6
    world.recoded()
    with pytest.raises(OperationFailed, match="is still being updated after 7 s; nothing is changed") as caught:
        desk.attach(layer("alpha", 4), wait=7)
    assert "--wait" in caught.value.cure
    assert desk.now == pytest.approx(7)
    world.ended()
    with pytest.raises(DonePartly, match="the layers are attached, but what should follow is not done") as partly:
        desk.attach(layer("alpha", 4), wait=7)
    assert "api: is still being updated after 7 s" in partly.value.why


def test_an_update_that_fails_is_told_and_can_be_taken_back_or_tried_again(world: World, desk: Desk) -> None:
    world.reads, world.fails = 1, 1
    with pytest.raises(DonePartly, match="the layers are attached") as caught:
        desk.attach(layer("alpha", 4))
    assert "the update has failed" in caught.value.why
    assert "AWS's own words" in caught.value.why
    assert "layerkit attach api --region eu-west-1 --rollback" in caught.value.cure
    again = desk.attach(layer("alpha", 4))
    assert again.changed
    assert world.update == "Successful"
    [entry] = history(desk)
    assert (entry.before, entry.done) == ((A3, C1), True)
    desk.rollback()
    assert world.layers == (A3, C1)


def test_a_rollback_of_a_failed_update_ends_well(world: World, desk: Desk) -> None:
    world.reads, world.fails = 1, 2
    with pytest.raises(DonePartly):
        desk.attach(layer("alpha", 4))
    with pytest.raises(DonePartly, match="the layers are as they were"):
        desk.rollback()
    desk.rollback()
    assert (world.layers, world.update) == ((A3, C1), "Successful")
    assert history(desk) == ()


def test_a_version_and_an_alias(world: World, desk: Desk) -> None:
    result = desk.attach(layer("alpha", 4), alias=ALIAS)
    assert result.version == "2"
    assert result.alias
    assert (result.alias.before, result.alias.after) == ("1", "2")
    assert world.aliases[ALIAS].version == "2"
    [entry] = history(desk)
    assert entry.version == "2"
    again = desk.attach(layer("alpha", 4), alias=ALIAS)
    assert again.alias
    assert (again.changed, again.alias.before, again.alias.after) == (False, "2", "2")
    assert history(desk) == (entry,)
    back = desk.rollback()
    assert back.alias
    assert (back.alias.before, back.alias.after) == ("2", "1")
    assert desk.way.calls.index("point") < desk.way.calls.index("attach")  # callers are back first
    assert world.state() == ((A3, C1), {ALIAS: "1"})
    assert max(world.versions) == "2"  # none is made


def test_an_alias_may_name_the_function_itself(world: World, desk: Desk) -> None:
    world.alias(ALIAS, "$LATEST")
    desk.attach(layer("alpha", 4), alias=ALIAS)
    desk.rollback()
    assert world.aliases[ALIAS].version == "$LATEST"


def test_an_alias_that_is_not_there_or_under_way_is_refused_before_anything(world: World, desk: Desk) -> None:
    with pytest.raises(OperationFailed, match="cannot be given these layers; nothing is changed") as caught:
        desk.attach(layer("alpha", 4, runtimes=("python3.13",)), alias="new")
    assert "aws lambda create-alias --function-name api --name new" in caught.value.why
    assert "alpha 4 is for python3.13" in caught.value.why  # every reason at once
    world.aliases[ALIAS] = replace(world.aliases[ALIAS], weights=(("2", 0.1),))
    with pytest.raises(OperationFailed) as caught:
        desk.attach(layer("alpha", 4), alias=ALIAS)
    assert "version 2 gets 10%" in caught.value.why
    assert world.layers == (A3, C1)
    assert not desk.folder.exists()


def test_a_roll_out_that_began_meanwhile_is_left_alone(world: World, desk: Desk) -> None:
    def canary() -> None:
        world.aliases[ALIAS] = replace(world.aliases[ALIAS], weights=(("1", 0.5),))

    with pytest.raises(DonePartly, match="the layers are attached, and version 2 is published") as caught:
        desk.attach(layer("alpha", 4), alias=ALIAS, events={5: canary})
    assert "roll-out" in caught.value.why
    assert world.aliases[ALIAS].version == "1"


def test_others_who_take_the_layer_away_after_the_update_are_told_of(world: World, desk: Desk) -> None:
    with pytest.raises(DonePartly, match="the layers are attached") as caught:
        desk.attach(layer("alpha", 4), publish=True, events={2: lambda: world.others([C1])})
    assert "somebody else has changed its layers since" in caught.value.why
    assert list(world.versions) == ["1"]


def test_what_is_published_is_what_was_set(world: World, desk: Desk) -> None:
    """Between the last look and PublishVersion: AWS refuses, and it is looked again."""
    with pytest.raises(DonePartly):
        desk.attach(layer("alpha", 4), publish=True, events={3: lambda: world.others([C1])})
    assert list(world.versions) == ["1"]
    desk.attach(layer("alpha", 4), publish=True, events={3: world.recoded})
    assert world.versions["2"] == ((C1, A4), 2)


def test_refusals_after_the_update_leave_it_and_say_so(world: World, desk: Desk) -> None:
    script = ["", "", "", "", "denied"]
    with pytest.raises(DonePartly, match="the layers are attached, but") as caught:
        desk.attach(layer("alpha", 4), alias=ALIAS, script=script)
    assert "publish: AccessDeniedException: not authorized" in caught.value.why
    assert caught.value.cure == "allow lambda:publish"
    assert world.layers == (A4, C1)
    desk.attach(layer("alpha", 4), alias=ALIAS)
    desk.rollback()
    assert world.state() == ((A3, C1), {ALIAS: "1"})


@pytest.mark.parametrize(("word", "error"), [("denied", OperationFailed), ("unreachable", AwsError)])
def test_without_an_answer_nothing_is_changed(world: World, desk: Desk, word: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="nothing is changed"):
        desk.attach(layer("alpha", 4), script=[word] * 99)
    assert world.layers == (A3, C1)


def test_when_nobody_knows_it_is_said(world: World, desk: Desk) -> None:
    with pytest.raises(AwsError, match="nobody knows yet whether it was done") as caught:
        desk.attach(layer("alpha", 4), script=["", "late:9", *["unreachable"] * 99])
    assert "run it again" in caught.value.cure


def test_the_record_comes_first(world: World, desk: Desk) -> None:
    desk.folder.parent.mkdir(exist_ok=True)
    desk.folder.write_text("a file is in the way")
    with pytest.raises(MachineError):
        desk.attach(layer("alpha", 4))
    assert "attach" not in desk.way.calls
    assert world.layers == (A3, C1)


def test_a_killed_run_is_finished_and_rolled_back_as_one(world: World, desk: Desk) -> None:
    with pytest.raises(Killed):
        desk.attach(layer("alpha", 4), alias=ALIAS, script=["", "", "killed after"])
    assert record.needed(desk.folder, PLACE.account, PLACE.region) == [
        (one, "api") for one in (A3, C1, A4)
    ]  # nobody shall delete what the killed run was about to attach
    assert not history(desk)[0].done
    desk.attach(layer("alpha", 4), alias=ALIAS)
    assert [one.done for one in history(desk)] == [True]
    desk.rollback()
    assert world.state() == ((A3, C1), {ALIAS: "1"})


def test_a_second_rollback_restores_the_one_before(world: World, desk: Desk) -> None:
    desk.attach(layer("alpha", 4))
    desk.attach(layer("beta", 1))
    desk.attach(layer("beta", 1))  # nothing to undo
    world.had = set()
    assert desk.rollback().after == (A4, C1)
    assert desk.rollback().after == (A3, C1)
    with pytest.raises(OperationFailed, match="tells of nothing that was attached to api"):
        desk.rollback()


def test_ten_runs_can_be_rolled_back(world: World, desk: Desk) -> None:
    for version in range(4, 16):
        desk.attach(layer("alpha", version))
    assert [one.before[0] for one in history(desk)] == [arn("alpha", version) for version in range(5, 15)]


def test_a_rollback_shows_first_what_it_would_do(world: World, desk: Desk) -> None:
    desk.attach(layer("alpha", 4), layer("beta", 1), alias=ALIAS)
    before = world.state()
    result = desk.rollback(dry_run=True)
    assert desk.said[-1] == "alpha 4 -> 3, beta goes (1)"
    assert result.alias
    assert (result.alias.after, result.after) == ("1", (A3, C1))
    assert world.state() == before
    assert len(history(desk)) == 1


@pytest.mark.parametrize("change", [lambda w: w.others([A4, C1, B1]), lambda w: w.others([C1])])
def test_layers_that_others_changed_are_not_rolled_back(
    world: World, desk: Desk, change: Callable[[World], None]
) -> None:
    desk.attach(layer("alpha", 4), alias=ALIAS)
    change(world)
    there = world.state()
    with pytest.raises(OperationFailed, match="somebody else has changed them since; nothing is changed") as caught:
        desk.rollback()
    assert f"attached (2026-01-01T00:00:01Z): {A4}, {C1}" in caught.value.why
    assert f"before that: {A3}, {C1}" in caught.value.why
    assert caught.value.cure.endswith(
        f"aws lambda update-function-configuration --function-name api --region eu-west-1 --layers {A3} {C1}"
    )
    assert world.state() == there


def test_an_alias_that_others_moved_is_not_rolled_back(world: World, desk: Desk) -> None:
    desk.attach(layer("alpha", 4), alias=ALIAS)
    world.versions["3"] = ((C1,), 9)
    world.alias(ALIAS, "3")
    with pytest.raises(OperationFailed, match="is not as attach has left it; nothing is changed") as caught:
        desk.rollback()
    assert "it names version 3; attach moved it from 1 to 2" in caught.value.why
    assert "aws lambda update-alias" in caught.value.cure
    assert world.layers == (A4, C1)
    world.alias(ALIAS, "2")
    world.aliases[ALIAS] = replace(world.aliases[ALIAS], weights=(("3", 0.1),))
    with pytest.raises(OperationFailed) as caught:
        desk.rollback()
    assert "roll-out" in caught.value.why


def test_an_alias_that_is_gone_is_not_made_again(world: World, desk: Desk) -> None:
    desk.attach(layer("alpha", 4), alias=ALIAS)
    del world.aliases[ALIAS]
    result = desk.rollback()
    assert result.notes == ("its alias live is gone, and is not made again",)
    assert world.layers == (A3, C1)


def test_a_rollback_says_which_version_is_deleted(world: World, desk: Desk) -> None:
    desk.attach(layer("alpha", 4))
    world.deleted = {A3}
    with pytest.raises(OperationFailed, match="AWS refuses; nothing is changed") as caught:
        desk.rollback()
    assert f"(deleted: {A3})" in caught.value.why
    assert len(history(desk)) == 1


def test_a_rollback_that_others_overtake_stops(world: World, desk: Desk) -> None:
    desk.attach(layer("alpha", 4), alias=ALIAS)
    with pytest.raises(DonePartly, match="alias live is back at version 1") as caught:
        desk.rollback(events={4: lambda: world.others([A4, C1, B1])})
    assert "somebody else has changed them since" in caught.value.why
    assert world.layers == (A4, C1, B1)


def test_layers_of_another_form_stay(world: World, desk: Desk) -> None:
    old = "arn:aws:lambda:::awslayer:AmazonLinux1803"
    world.others([old, A3])
    desk.attach(layer("alpha", 4))
    assert world.layers == (old, A4)
    desk.rollback()
    assert world.layers == (old, A3)
