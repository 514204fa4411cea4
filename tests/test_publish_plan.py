"""What is decided for a layer in a region, and in which words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clouds import ACCOUNT, GIB, Cloud, Machine, layer, only
from layerkit.aws.failures import CallFailed, NotEnabled, Throttled
from layerkit.aws.nouns import Candidate, Statement
from layerkit.model import Share
from layerkit.publish.plan import NO_TAGS, Terms
from layerkit.publish.results import Action, Decision, RegionResult
from layerkit.publish.shares import wanted

A, B = layer("a"), layer("b")
COMPANY = Share(organization="o-a1b2c3d4e5")
THEIRS = Statement(sid="theirs", principal="999999999999")


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def machine(cloud: Cloud, tmp_path: Path) -> Machine:
    return Machine(cloud=cloud, folder=tmp_path / "journal")


def decided(machine: Machine, candidate: Candidate) -> Decision:
    result = machine.plan(candidate)
    assert machine.line.writes == []
    (decision,) = result.decisions
    assert result.failed == (decision.action is Action.REFUSE)
    return decision


def test_a_layer_that_is_not_there_is_published(machine: Machine) -> None:
    machine.terms = replace(machine.terms, share=COMPANY)
    decision = decided(machine, A)
    assert (decision.action, decision.reason, decision.newest) == (Action.PUBLISH, "there is no version yet", 0)
    assert (decision.change.add, decision.version, decision.notes) == (wanted(COMPANY), None, ())
    assert machine.line.calls == ["list", "room"]


def test_a_target_that_is_not_there_is_published(cloud: Cloud, machine: Machine) -> None:
    cloud.publish(replace(B, architectures=("x86_64",)), "here")
    decision = decided(machine, replace(A, alone=False))
    assert (decision.action, decision.reason) == (Action.PUBLISH, "there is no version with these tags yet")


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (B, "version 1 has other bytes"),
        (replace(A, architectures=("arm64", "x86_64")), "version 1 has other tags: python3.12 arm64 x86_64"),
        (replace(A, runtimes=(), architectures=()), "version 1 has other tags: none"),
    ],
)
def test_other_content_is_published(cloud: Cloud, machine: Machine, there: Candidate, reason: str) -> None:
    cloud.publish(there, "somebody")
    decision = decided(machine, A)
    assert (decision.action, decision.reason, decision.newest) == (Action.PUBLISH, reason, 1)


def test_what_is_there_is_reused(cloud: Cloud, machine: Machine) -> None:
    made = cloud.publish(A, "somebody")
    decision = decided(machine, A)
    assert (decision.action, decision.version) == (Action.REUSE, made)
    assert decision.reason == "version 1 has these bytes and tags"
    assert machine.line.calls == ["list", "get", "policy"]


def test_an_older_version_is_reused_where_it_is_remembered(cloud: Cloud, machine: Machine) -> None:
    made = cloud.publish(A, "here")
    cloud.now += 901
    cloud.publish(B, "here")
    assert decided(machine, A).action is Action.PUBLISH
    machine.told = (1,)  # by dist/published.json
    decision = decided(machine, A)
    assert (decision.action, decision.version) == (Action.REUSE, made)
    assert decision.reason == "version 1 has these bytes and tags"
    assert decision.notes == ("the newest is version 2",)


def test_of_equal_versions_of_the_same_time_the_oldest_is_reused(cloud: Cloud, machine: Machine) -> None:
    """Two machines are publishing: who has made the larger number is about to delete it."""
    cloud.publish(A, "somebody")
    cloud.now += 901
    made = cloud.publish(A, "one")
    cloud.publish(A, "another")
    assert decided(machine, A).version == made
    assert machine.line.calls == ["list", "get", "policy"]


def test_times_that_cannot_be_read_are_not_compared(cloud: Cloud, machine: Machine) -> None:
    for created in ("", "yesterday", "2026-01-01T00:00:00"):
        number = cloud.publish(A, "somebody").version
        cloud.versions["deps"][number] = replace(cloud.versions["deps"][number], created=created)
    decision = decided(machine, A)
    assert decision.version
    assert decision.version.version == 3


@pytest.mark.parametrize("gone", ["deleted", "others"])
def test_what_is_remembered_is_asked_for(cloud: Cloud, machine: Machine, gone: str) -> None:
    cloud.publish(A if gone == "deleted" else B, "here")
    cloud.publish(B, "here")
    if gone == "deleted":
        cloud.delete("deps", 1, "somebody")
    machine.told = (1,)
    assert decided(machine, A).action is Action.PUBLISH


def test_sharing_is_brought_to_what_is_declared(cloud: Cloud, machine: Machine) -> None:
    cloud.publish(A, "here")
    before = wanted(Share(public=True))
    cloud.policy("deps", 1).update({one.sid: one for one in before})
    machine.terms = replace(machine.terms, share=COMPANY)
    decision = decided(machine, A)
    assert (decision.action, decision.change.add, decision.change.remove) == (Action.SHARE, wanted(COMPANY), before)
    words = "version 1 has these bytes and tags; grant organization o-a1b2c3d4e5; take back public"
    assert decision.reason == words


def test_foreign_sharing_is_told_and_taken_back_only_when_asked(cloud: Cloud, machine: Machine) -> None:
    cloud.publish(A, "here")
    cloud.policy("deps", 1)["theirs"] = THEIRS
    decision = decided(machine, A)
    assert (decision.action, decision.change.foreign) == (Action.REUSE, (THEIRS,))
    assert decision.notes == (
        "it is shared with statement 'theirs' (account 999999999999), too, which layers.yaml does not say "
        "(--prune-shares takes that back)",
    )
    machine.terms = replace(machine.terms, prune_shares=True)
    decision = decided(machine, A)
    assert (decision.action, decision.change.remove, decision.notes) == (Action.SHARE, (THEIRS,), ())


def test_parameters_are_written_where_they_are_others(cloud: Cloud, machine: Machine) -> None:
    made = cloud.publish(A, "here")
    machine.terms = replace(machine.terms, prefix="/lk")
    decision = decided(machine, A)
    place = "/lk/deps/python3.12/arm64"
    assert decision.parameters == ((f"{place}/1", made.arn), (f"{place}/latest", made.arn))
    assert (decision.action, decision.reason) == (
        Action.SHARE,
        "version 1 has these bytes and tags; write 2 parameters",
    )
    cloud.parameters |= {f"{place}/1": made.arn, f"{place}/latest": "another"}
    assert decided(machine, A).parameters == ((f"{place}/latest", made.arn),)
    cloud.parameters[f"{place}/latest"] = made.arn
    assert decided(machine, A).action is Action.REUSE
    assert machine.line.calls == ["list", "get", "policy", "get parameters"]


@pytest.mark.parametrize(
    ("changed", "which"),
    [
        ({"description": "new"}, "description"),
        ({"license": "MIT"}, "license"),
        ({"description": "new", "license": "MIT"}, "description and license"),
    ],
)
def test_texts_make_a_version_only_when_asked(
    cloud: Cloud, machine: Machine, changed: dict[str, str], which: str
) -> None:
    cloud.publish(A, "here")
    candidate = replace(A, **changed)  # type: ignore[arg-type]
    decision = decided(machine, candidate)
    assert decision.action is Action.REUSE
    words = f"its {which} is not that of layers.yaml any more (--republish-texts makes a new version)"
    assert decision.notes == (words,)
    machine.terms = replace(machine.terms, texts=True)
    decision = decided(machine, candidate)
    assert decision.action is Action.PUBLISH
    assert decision.reason == f"version 1 has another {which}, if not other bytes"
    assert decided(machine, A).action is Action.REUSE


def test_a_region_without_tags_is_remembered_and_told(tmp_path: Path) -> None:
    machine = Machine(cloud=Cloud(takes_tags=False), folder=tmp_path)
    assert only(machine.run(A)).notes == (NO_TAGS,)
    assert decided(machine, A).notes == (NO_TAGS,)
    decision = decided(machine, B)
    assert (decision.action, decision.notes, decision.sent) == (
        Action.PUBLISH,
        (NO_TAGS,),
        replace(B, architectures=()),
    )
    machine.now += 31 * 24 * 3600  # it may take them now
    assert decided(machine, B).sent == B


def test_a_large_zip_needs_a_bucket(tmp_path: Path) -> None:
    large = replace(A, size=52428801)
    machine = Machine(cloud=Cloud(buckets=False), folder=tmp_path)
    decision = decided(machine, large)
    assert (decision.action, decision.reason) == (Action.REFUSE, "the zip has 50.0 MiB, and a request takes 50")
    words = "name a bucket of each region: --bucket 'my-{region}', or publish: {bucket: 'my-{region}'} in layers.yaml"
    assert decision.cure == words
    assert machine.line.calls == ["list"]
    assert decided(machine, replace(large, size=52428800)).action is Action.PUBLISH
    with_bucket = Machine(cloud=Cloud(), folder=tmp_path)
    assert decided(with_bucket, large).action is Action.PUBLISH


def test_a_large_zip_that_is_there_needs_no_bucket(tmp_path: Path) -> None:
    large, cloud = replace(A, size=60_000_000), Cloud(buckets=False)
    cloud.publish(large, "here")
    assert decided(Machine(cloud=cloud, folder=tmp_path), large).action is Action.REUSE


def test_what_does_not_fit_is_refused_and_what_fits_is_not(machine: Machine, cloud: Cloud) -> None:
    cloud.used_besides = cloud.limit - 2500
    sizes = {"one": 2000, "two": 1000, "three": 500, "four": 1}
    result = machine.plan(*(layer(name=name, size=size) for name, size in sizes.items()))
    publish, refuse = Action.PUBLISH, Action.REFUSE
    assert [one.action for one in result.decisions] == [publish, refuse, publish, refuse]
    assert result.decisions[1].reason == (
        f"the code storage is full: {300 * GIB - 2500} of {300 * GIB} bytes are used, and the zip has 1000"
    )
    assert result.decisions[1].cure == (
        "delete versions that nobody uses in eu-west-1, or ask for more of it (Service Quotas)"
    )
    assert machine.line.calls.count("room") == 1


def test_room_is_not_asked_for_where_nothing_is_stored(machine: Machine, cloud: Cloud) -> None:
    cloud.publish(A, "here")
    cloud.used_besides = cloud.limit
    machine.terms = Terms(account=ACCOUNT, reference=True, keep=True)
    large = layer("c", name="large", size=60_000_000)  # is used where it is, in the bucket
    result = machine.plan(A, large)
    assert [one.action for one in result.decisions] == [Action.REUSE, Action.PUBLISH]
    assert "room" not in machine.line.calls


@pytest.mark.parametrize("word", ["denied", "rejected"])
def test_room_is_not_needed(machine: Machine, word: str) -> None:
    assert only(machine.run(A, script=["", word])).version
    assert machine.line.calls == ["list", "room", "list", "publish"]


def test_a_failing_layer_keeps_no_other_one(machine: Machine) -> None:
    result = machine.plan(A, layer(name="other"), script=["rejected"])
    assert [one.candidate.name for one in result.decisions] == ["other"]
    (failed,) = result.outcomes
    assert (failed.candidate, failed.failed) == (A, True)
    assert failed.reason == "list: rejected: the script says rejected"


@pytest.mark.parametrize(("word", "failure"), [("not enabled", NotEnabled), ("throttled", Throttled)])
def test_a_region_that_is_not_there_fails_as_a_whole(machine: Machine, word: str, failure: type[CallFailed]) -> None:
    """But one layer's throttle is its own."""

    def plan() -> RegionResult:
        return machine.plan(A, layer(name="other"), script=[word] * 12)

    if failure is Throttled:
        assert len(plan().outcomes) == 1
    else:
        with pytest.raises(failure):
            plan()


@pytest.mark.parametrize("word", ["lost before", "lost after", "throttled", "unreachable"])
def test_reads_are_patient(machine: Machine, word: str) -> None:
    assert decided_after(machine, [word] * 5).action is Action.PUBLISH
    assert len(machine.slept) == 5


def decided_after(machine: Machine, script: list[str]) -> Decision:
    (decision,) = machine.plan(A, script=script).decisions
    return decision
