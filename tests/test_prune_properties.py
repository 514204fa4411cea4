"""`layerkit prune` over generated accounts: what anybody may need stays, and what the plan printed goes, no more."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from estates import ACCOUNT, FAILURES, FRIEND, PATIENCE, REGIONS, Desk, Land, Witness, arn, doomed, entry
from layerkit.attach import record
from layerkit.attach.record import Attached, Place
from layerkit.aws.nouns import LayerVersion
from layerkit.operate.results import Pruned, Status
from layerkit.publish import published as records

LAYERS = ("flask", "wsgi")
TAGS = ((("python3.12",), ("arm64",)), (("python3.12", "python3.13"), ("arm64", "x86_64")), ((), ()))
READS = ("ListLayerVersions", "ListFunctions", "GetParametersByPath", "GetLayerVersionPolicy")
WRITES = ("DeleteLayerVersion", "DeleteParameter")
OTHERS = ("ListAliases", "GetAccountSettings")
MANY = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

Event = tuple[str, str, str]  # what happens, to which ARN, a word more


@dataclass(frozen=True, kw_only=True)
class Asked:
    keep: int
    days: int | None
    shared: bool
    drop: bool
    prefixes: tuple[str, ...]

    @property
    def options(self) -> dict[str, Any]:
        return {
            "keep": self.keep, "older_than": None if self.days is None else timedelta(days=self.days),
            "shared": self.shared, "drop_parameters": self.drop, "prefixes": self.prefixes,
        }  # fmt: skip


@dataclass(kw_only=True)
class Story:
    """An account with what this machine knows of it, and what is asked."""

    lands: list[Land]
    published: list[str]  # ARNs that published.json names
    rollbacks: list[str]
    asked: Asked

    def versions(self, land: Land) -> list[LayerVersion]:
        return [one for every in land.made.values() for one in every.values()]

    def write(self, desk: Desk) -> None:
        every = {one.arn: (one, land.name) for land in self.lands for one in self.versions(land)}
        named = {name: every[name] for name in self.published if name in every}
        entries = [replace(entry(one, region), layer=f"{one.name}-{one.version}") for one, region in named.values()]
        desk.publish(*entries)
        content: dict[Place, record.History] = {
            Place(account=ACCOUNT, region=where.split(":")[3], function="api"): (
                Attached(when="2026-01-02T03:04:05Z", before=(where,), after=(), done=True),
            )
            for where in self.rollbacks
        }
        (desk.folder / record.NAME).write_bytes(record.render(content))

    def needed(self, desk: Desk, land: Land) -> set[str]:
        """What must not go, told without any of prune's code; `desk` for its files."""
        found = set()
        files = "".join((desk.folder / name).read_text() for name in (records.NAME, record.NAME))
        for one in self.versions(land):
            mine = re.compile(re.escape(one.arn) + r"(?![0-9])")
            own = f"/{'/'.join(one.runtimes[:1] or ('python3.9',))}/arm64/{one.version}"
            holding = [
                text
                for name, text in land.values.items()
                if self._looked_at(name)
                and mine.search(text)
                and not (self.asked.drop and text == one.arn and name.endswith(f"/{one.name}{own}"))
            ]
            newer = [
                other
                for other in self.versions(land)
                if (other.name, other.runtimes, other.architectures) == (one.name, one.runtimes, one.architectures)
                and other.version > one.version
            ]
            young = self.asked.days is not None and (one.created == "?" or self._days(land, one) <= self.asked.days)
            shared = any(statement.principal != ACCOUNT for statement in land.granted.get(one.arn, ()))
            if (
                len(newer) < self.asked.keep
                or any(one.arn in function.layers for function in land.who)
                or holding
                or mine.search(files)
                or young
                or (shared and not self.asked.shared)
            ):
                found.add(one.arn)
        return found

    def _looked_at(self, name: str) -> bool:
        return any(name.startswith(prefix.rstrip("/") + "/") for prefix in self.asked.prefixes)

    def _days(self, land: Land, one: LayerVersion) -> float:
        return (datetime.now(UTC) - datetime.fromisoformat(one.created)) / timedelta(days=1)


def happen(story: Story, desk: Desk, events: Sequence[Event]) -> None:
    """What others do meanwhile."""
    lands = {land.name: land for land in story.lands}
    for what, where, word in events:
        region, name, number = where.split(":")[3], where.split(":")[6], int(where.split(":")[7])
        land = lands[region]
        if what == "use":
            land.use(word, "$LATEST", where)
        elif what == "point":
            land.values[f"/late/{word}"] = where
        elif what == "number":
            land.values[f"/late/{name}/python3.12/arm64/{number}"] = where
        elif what == "share":
            land.share(where)
        elif what == "name":
            (story.published if word == "p" else story.rollbacks).append(where)
            story.write(desk)
        elif what == "delete":
            land.made[name].pop(number, None)
        elif what == "publish":
            land.add(name, max(land.made[name], default=number) + 1)


def dropped(plan: Pruned | None, region: str) -> set[str]:
    """The parameters that a plan says will go in a region."""
    assert plan
    return {
        name for one in plan.regions if one.region == region for verdict in one.doomed for name in verdict.parameters
    }


def values(where: str, other: str) -> st.SearchStrategy[str]:
    """What a parameter may say of an ARN; some are near it alone."""
    return st.sampled_from(
        [where, f"{where},{other}", f" {other}\n{where}\t", json.dumps({"layers": [other, where]}), f"{where}0",
         f"{where}7,{other}", where[:-1] or "-", f'"{where}"', where.replace(ACCOUNT, FRIEND), f"layer={where};x"]
    )  # fmt: skip


@st.composite
def stories(draw: st.DrawFn) -> Story:
    lands = []
    for region in REGIONS[: draw(st.integers(1, 2))]:
        land = Land(name=region, size=draw(st.integers(1, 3)))
        for name in LAYERS:
            for number in sorted(draw(st.sets(st.integers(1, 25), min_size=region == REGIONS[0], max_size=7))):
                runtimes, architectures = draw(st.sampled_from([TAGS[0], TAGS[0], *TAGS]))
                days = draw(st.sampled_from([0.5, 3.5, 10.5, 40.5, 90.5, None]))
                land.add(name, number, days=days, runtimes=runtimes, architectures=architectures)
        known = sorted(land.arns or {arn(region, "flask", 1)})
        some = st.sampled_from([*known, *known, arn(region, "other", 3), arn(region, "flask", 3, FRIEND)])
        for function in draw(st.sets(st.sampled_from(["api", "jobs", "mail"]), max_size=2)):
            for version in ("$LATEST", *map(str, range(1, draw(st.integers(1, 3))))):
                land.use(function, version, *draw(st.lists(some, max_size=2, unique=True)))
            if draw(st.booleans()):
                land.alias(function, "live", draw(st.sampled_from(["1", "2"])), v1=0.1)
        for name in draw(st.sets(st.sampled_from(["/a", "/layers/x", "/layers/y/z", "/other/q"]), max_size=3)):
            where = draw(some)
            land.values[name] = draw(values(where, draw(some)))
        for one in list(chain.from_iterable(every.values() for every in land.made.values())):
            if draw(st.integers(0, 5)) == 0:
                runtime = (one.runtimes or ("python3.9",))[0]
                value = draw(st.sampled_from([one.arn, one.arn, f"{one.arn},"]))
                land.values[f"/layers/{one.name}/{runtime}/arm64/{one.version}"] = value
        for where in draw(st.sets(st.sampled_from(known), max_size=5)):
            land.share(where, draw(st.sampled_from([FRIEND, FRIEND, "*", ACCOUNT])))
        lands.append(land)
    every = sorted(set().union(*(land.arns for land in lands)))
    asked = Asked(
        keep=draw(st.sampled_from([1, 1, 2, 3])),
        days=draw(st.sampled_from([None, None, 2, 30])),
        shared=draw(st.sampled_from([False, False, True])),
        drop=draw(st.sampled_from([True, False])),
        prefixes=draw(st.sampled_from([("/",), ("/",), ("/layers",), ("/layers/", "/a"), ()])),
    )
    few = st.lists(st.sampled_from(every), max_size=2, unique=True)
    return Story(lands=lands, published=draw(few), rollbacks=draw(few), asked=asked)


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Desk]:
    """A new folder each time; the cache is the machine's."""
    base = tmp_path_factory.mktemp("desks")
    return lambda: Desk(folder=Path(tempfile.mkdtemp(dir=base)), cache=base / "cache")


@MANY
@given(story=stories())
def test_exactly_what_the_plan_printed_goes_and_the_second_run_finds_nothing(
    story: Story, desks: Callable[[], Desk]
) -> None:
    desk = desks()
    story.write(desk)
    before = {land.name: land.arns for land in story.lands}
    needed = {land.name: story.needed(desk, land) for land in story.lands}
    values = {land.name: set(land.values) for land in story.lands}
    says = Witness()
    result = desk.prune(story.lands, *LAYERS, says=says, **story.asked.options)
    assert not any(region.failed for region in result.regions), says.said
    gone = set()
    for land in story.lands:
        assert land.arns == needed[land.name], says.said
        gone |= before[land.name] - land.arns
    assert gone == doomed(says.plan)
    lines = re.findall(r"^(\S+) +(\w+) (\d+) +delete ", says.said, flags=re.MULTILINE)
    assert {arn(region, name, int(number)) for region, name, number in lines} == gone
    assert result.count(Status.DELETED) == len(gone)
    for region in result.regions:
        assert all(verdict.reasons for verdict in region.verdicts)
    for land in story.lands:
        assert values[land.name] - land.values.keys() == dropped(says.plan, land.name)
    left = [dict(land.values) for land in story.lands]
    again = Witness()
    desk.prune(story.lands, *LAYERS, says=again, **story.asked.options)
    assert doomed(again.plan) == set()
    assert [dict(land.values) for land in story.lands] == left


@MANY
@given(story=stories(), data=st.data())
def test_what_comes_into_use_between_the_plan_and_the_deletion_stays(
    story: Story, data: st.DataObject, desks: Callable[[], Desk]
) -> None:
    desk = desks()
    story.write(desk)
    kinds = st.sampled_from(["use", "point", "number", "share", "name", "delete", "publish"])
    drawn = data.draw(st.lists(st.tuples(kinds, st.integers(0, 99), st.sampled_from("pq")), min_size=1, max_size=6))
    first: dict[str, set[str]] = {land.name: story.needed(desk, land) for land in story.lands}
    then: dict[str, tuple[set[str], set[str], set[str]]] = {}

    def meanwhile() -> None:
        # what is to go is what it matters for
        aims = sorted(doomed(says.plan)) or sorted(set().union(*(land.arns for land in story.lands)))
        happen(story, desk, [(what, aims[at % len(aims)], word) for what, at, word in drawn])
        then.update({land.name: (land.arns, story.needed(desk, land), set(land.values)) for land in story.lands})

    says = Witness(meanwhile)
    result = desk.prune(story.lands, *LAYERS, says=says, **story.asked.options)
    for land in story.lands:
        there, needed, values = then[land.name]
        gone = there - land.arns
        assert not gone & (needed | first[land.name]), says.said
        assert gone <= doomed(says.plan)
        assert values - land.values.keys() <= dropped(says.plan, land.name)
    deleted = {one.version.arn for region in result.regions for one in region.outcomes if one.status == "deleted"}
    assert deleted == set().union(*(then[land.name][0] - land.arns for land in story.lands))


@MANY
@given(story=stories(), data=st.data())
def test_whatever_call_fails_nothing_that_is_needed_goes(
    story: Story, data: st.DataObject, desks: Callable[[], Desk]
) -> None:
    desk = desks()
    story.write(desk)
    words = st.sampled_from(["", "denied", "denied", *FAILURES, "lost after"])
    for land in story.lands:
        for operation in data.draw(st.sets(st.sampled_from([*READS, *READS, *WRITES, *OTHERS]), max_size=2)):
            script: list[str] = data.draw(st.lists(words, min_size=1, max_size=3))
            endless: bool = data.draw(st.booleans())
            land.script[operation] = [*script, *script[-1:] * PATIENCE * 20 * endless]
    before = {land.name: (land.arns, story.needed(desk, land), dict(land.values)) for land in story.lands}
    says = Witness()
    result = desk.prune(story.lands, *LAYERS, says=says, **story.asked.options)
    regions = {region.region: region for region in result.regions}
    for land in story.lands:
        region = regions[land.name]
        there, needed, values = before[land.name]
        gone = there - land.arns
        assert not gone & needed, says.said
        assert gone <= doomed(says.plan)
        if region.failure:  # as long as anything that protects could not be read
            assert not gone
            assert land.values == values
            assert region.failure.cure
        of = {status: {one.version.arn for one in region.outcomes if one.status is status} for status in Status}
        assert of[Status.DELETED] <= gone
        assert gone <= of[Status.DELETED] | of[Status.FAILED]  # its answer may be lost
        told = {verdict.version.arn for verdict in region.doomed}
        assert region.failure or {one.version.arn for one in region.outcomes} == told
        assert values.keys() - land.values.keys() <= dropped(result, land.name)
    # afterwards, when nothing fails any more, the rest is done
    for land in story.lands:
        land.script.clear()
    after = Witness()
    desk.prune(story.lands, *LAYERS, says=after, **story.asked.options)
    for land in story.lands:
        assert land.arns == before[land.name][1], after.said


@MANY
@given(story=stories())
def test_a_dry_run_and_a_no_change_nothing(story: Story, desks: Callable[[], Desk]) -> None:
    desk = desks()
    story.write(desk)
    before = [(land.arns, dict(land.values)) for land in story.lands]
    for land in story.lands:
        land.script = {operation: ["refused"] * 99 for operation in WRITES}
    plan, no = Witness(), Witness(agrees=False)
    dry = desk.prune(story.lands, *LAYERS, says=plan, dry_run=True, **story.asked.options)
    refused = desk.prune(story.lands, *LAYERS, says=no, **story.asked.options)
    assert [(land.arns, dict(land.values)) for land in story.lands] == before
    assert not set(WRITES) & {call for land in story.lands for call in land.calls}
    assert (
        doomed(dry) == doomed(refused) == set().union(*(land.arns - story.needed(desk, land) for land in story.lands))
    )
    assert (dry.dry_run, dry.refused, refused.refused) == (True, False, True)
