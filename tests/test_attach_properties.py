"""Attaching whatever happens: calls that fail, are lost or late, other people's changes, kills, rollbacks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attaching import ALIAS, FAILURES, KILLED, LOST, PLACE, Desk, Killed, World, arn, layer
from layerkit.attach import record
from layerkit.attach.references import layer_of
from layerkit.aws.nouns import LayerVersion
from layerkit.errors import AwsError, DonePartly, LayerkitError, OperationFailed

OTHERS = ("add", "remove", "upgrade", "recode", "reset")
NAMES = ("alpha", "beta", "gamma")
words = st.lists(st.sampled_from(["", "", *FAILURES, *LOST]), max_size=14)
deadly = st.tuples(words, st.sampled_from(KILLED)).map(lambda pair: [*pair[0], pair[1]])
versions = st.integers(1, 4)
attached = st.lists(st.tuples(st.sampled_from([*NAMES, "other"]), versions), unique_by=lambda one: one[0], max_size=3)
asked = st.lists(st.tuples(st.sampled_from(NAMES), versions), unique_by=lambda one: one[0], min_size=1, max_size=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How the world is before."""

    layers: Sequence[tuple[str, int]]
    reads: int
    bumps: bool

    def world(self) -> World:
        made = World(layers=tuple(arn(*one) for one in self.layers), reads=self.reads, bumps=self.bumps)
        made.versions["1"], made.pending["1"] = (made.layers, made.code), 0
        made.alias(ALIAS, "1")
        return made


starts = st.builds(Start, layers=attached, reads=st.integers(0, 2), bumps=st.booleans())
Flags = Mapping[str, Any]
flags: st.SearchStrategy[Flags] = st.sampled_from([{}, {"publish": True}, {"alias": ALIAS}])


@contextmanager
def desk(world: World) -> Iterator[Desk]:
    with tempfile.TemporaryDirectory() as folder:
        yield Desk(world=world, folder=Path(folder) / "dist")


def layers(wish: Sequence[tuple[str, int]]) -> list[LayerVersion]:
    return [layer(*one) for one in wish]


def survive(run: Callable[..., object], *what: object, scripts: Sequence[Sequence[str]], **more: Any) -> object:
    """Run it until it is done: killed and failing runs are run again, the last one undisturbed."""
    for script in scripts:
        try:
            return run(*what, script=script, **more)
        except (Killed, AwsError, DonePartly, OperationFailed):
            continue
    return run(*what, **more)


def planned(start: Sequence[str], wish: Sequence[tuple[str, int]]) -> list[str]:
    """In place where the layer is there, else at the end: written once more, and plainly."""
    after = list(start)
    for one in (arn(*each) for each in wish):
        bases = [layer_of(other) for other in after]
        if layer_of(one) in bases:
            after[bases.index(layer_of(one))] = one
        else:
            after.append(one)
    return after


@settings(max_examples=300)
@given(start=starts, wish=asked, more=flags, scripts=st.lists(st.one_of(words, deadly), max_size=3))
def test_whatever_fails_it_ends_as_planned(
    start: Start, wish: Sequence[tuple[str, int]], more: Flags, scripts: Sequence[Sequence[str]]
) -> None:
    """The world itself asserts at each change that no layer is there twice, and none is lost."""
    quiet, world = start.world(), start.world()
    with desk(quiet) as here:
        here.attach(*layers(wish), **more)
    with desk(world) as here:
        survive(here.attach, *layers(wish), scripts=scripts, **more)
        assert world.update == "Successful"
        world.flush()
        history = record.read(here.folder).get(PLACE, ())
    assert list(world.layers) == planned([arn(*one) for one in start.layers], wish)
    assert world.state() == quiet.state()
    assert world.versions == quiet.versions
    if "alias" in more:
        assert world.versions[world.aliases[ALIAS].version][0] == world.layers
    assert all(one.done for one in history)
    assert len(history) <= 1


@settings(max_examples=300)
@given(
    start=starts, wish=asked, more=flags, script=words,
    plans=st.lists(st.tuples(st.integers(0, 12), st.sampled_from(OTHERS)), max_size=4),
)  # fmt: skip
def test_what_others_change_meanwhile_stays(
    start: Start, wish: Sequence[tuple[str, int]], more: Flags, script: Sequence[str],
    plans: Sequence[tuple[int, str]],
) -> None:  # fmt: skip
    world = start.world()
    ours = {layer_of(arn(*one)) for one in wish}
    foreign: dict[str, str] = {one: one for one in world.layers if layer_of(one) not in ours}

    def add() -> None:
        if layer_of(arn("theirs", 1)) not in map(layer_of, world.layers) and len(world.layers) < 2:
            foreign[arn("theirs", 1)] = arn("theirs", 1)
            world.others([arn("theirs", 1), *world.layers])

    def remove() -> None:
        gone = [one for one in world.layers if layer_of(one) not in ours][:1]
        for one in gone:
            del foreign[one]
        world.others([one for one in world.layers if one not in gone])

    def upgrade() -> None:
        after = [f"{layer_of(one)}:9" if layer_of(one) not in ours else one for one in world.layers]
        foreign.clear()
        foreign.update({one: one for one in after if layer_of(one) not in ours})
        world.others(after)

    def reset() -> None:
        """Our layers back to a version that nobody asked for."""
        world.others([f"{layer_of(one)}:8" if layer_of(one) in ours else one for one in world.layers])

    kinds = {"add": add, "remove": remove, "upgrade": upgrade, "recode": world.recoded, "reset": reset}
    events = {at: kinds[kind] for at, kind in plans}
    with desk(world) as here:
        try:
            result = here.attach(*layers(wish), script=script, events=events, **more)
        except (OperationFailed, DonePartly, AwsError):
            result = None
        assert {one for one in world.layers if layer_of(one) not in ours} == set(foreign)
        if result:
            # what it says is what AWS has had: as planned, over what others had done until then
            assert {arn(*one) for one in wish} <= set(result.after)
            if result.version:
                made, _ = world.versions[result.version]
                assert {arn(*one) for one in wish} <= set(made)
        here.attach(*layers(wish), **more)
        world.flush()
    assert {arn(*one) for one in wish} <= set(world.layers)
    assert {one for one in world.layers if layer_of(one) not in ours} == set(foreign)


runs = st.tuples(asked, flags, st.booleans(), st.lists(st.one_of(words, deadly), max_size=2))


@settings(max_examples=300)
@given(start=starts, sequence=st.lists(runs, min_size=1, max_size=3), scripts=st.lists(deadly, max_size=3))
def test_each_rollback_restores_what_was_before_the_run_before(
    start: Start,
    sequence: Sequence[tuple[Sequence[tuple[str, int]], Flags, bool, Sequence[Sequence[str]]]],
    scripts: Sequence[Sequence[str]],
) -> None:
    world = start.world()
    with desk(world) as here:
        stack: list[tuple[object, ...]] = []
        for wish, more, recode, disturbed in sequence:
            if recode:
                world.recoded()
            if len(planned(world.layers, wish)) > 5:
                continue
            before = world.state()
            survive(here.attach, *layers(wish), scripts=disturbed, **more)
            world.flush()
            if world.state() != before:
                stack.append(before)
        assert len(record.read(here.folder).get(PLACE, ())) == len(stack)
        while stack:
            world.had = set()  # what was attached may go again
            survive(here.rollback, scripts=scripts)
            world.flush()
            assert world.state() == stack.pop()
        assert record.read(here.folder) == {}
        with pytest.raises(OperationFailed, match="nothing that was attached"):
            here.rollback()


calm = st.builds(lambda calls, last: [*[""] * calls, last], st.integers(0, 12), st.sampled_from(KILLED))


@settings(max_examples=300)
@given(start=starts, wish=asked, more=flags, script=st.one_of(calm, deadly), later=deadly, slow=st.booleans())
def test_a_killed_run_can_be_rolled_back(
    start: Start,
    wish: Sequence[tuple[str, int]],
    more: Flags,
    script: Sequence[str],
    later: Sequence[str],
    slow: bool,
) -> None:
    world = start.world()
    world.slow = slow
    before = world.state()
    with desk(world) as here:
        with suppress(Killed, LayerkitError):
            here.attach(*layers(wish), script=script, **more)
        world.had = set()
        if record.read(here.folder):
            survive(here.rollback, scripts=[later])
        world.flush()
        assert world.state() == before
        assert record.read(here.folder) == {}


@settings(max_examples=100)
@given(start=starts, wish=asked)
def test_attaching_twice_writes_once(start: Start, wish: Sequence[tuple[str, int]]) -> None:
    world = start.world()
    with desk(world) as here:
        here.attach(*layers(wish))
        result = here.attach(*layers(wish))
        assert "attach" not in here.way.calls
        assert not result.changed
        assert result.before == result.after == world.layers
