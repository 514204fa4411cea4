"""That each layer version is published exactly once, whatever becomes of the calls and of the machine."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clouds import ACCOUNT, FAULTS, JOURNAL_FAULTS, Cloud, Killed, Machine, layer, only
from layerkit.aws.everywhere import AT_ONCE
from layerkit.aws.nouns import Candidate, Statement
from layerkit.aws.stop import Stop, Stopped
from layerkit.model import Share
from layerkit.publish.plan import Terms, parameters
from layerkit.publish.results import RegionResult, Status
from layerkit.publish.shares import wanted

SHARED = Terms(account=ACCOUNT, share=Share(accounts=("210987654321",), organization="o-a1b2c3d4e5"), prefix="/lk")

EXAMPLES = 100
calm = st.just("")
Trouble = dict[str, list[str]]
troubles: st.SearchStrategy[Trouble] = st.fixed_dictionaries(
    {
        "publish_script": st.lists(st.sampled_from(FAULTS), max_size=4),
        "script": st.lists(calm | calm | st.sampled_from(FAULTS), max_size=14),
        "journal_script": st.lists(calm | calm | st.sampled_from(JOURNAL_FAULTS), max_size=8),
    }
)


@contextmanager
def machines(cloud: Cloud, *names: str, terms: Terms = SHARED) -> Iterator[list[Machine]]:
    """Machines with empty journals."""
    with tempfile.TemporaryDirectory() as folder:
        yield [Machine(cloud=cloud, folder=Path(folder) / name, who=name, terms=terms) for name in names]


def check(cloud: Cloud, terms: Terms, result: RegionResult | None, *candidates: Candidate) -> None:
    """A run that was left alone has brought the region to what is declared."""
    assert result
    assert not result.failed, result
    for outcome in result.outcomes:
        version = outcome.version
        assert version
        assert cloud.versions[version.name][version.version] == version
        assert version.version in cloud.like(outcome.candidate)
        there = cloud.policies.get((version.name, version.version), {})
        assert set(wanted(terms.share)) <= set(there.values())
        for name, value in parameters(terms.prefix, outcome.candidate, version).items():
            assert cloud.parameters[name] == value
    assert [one.candidate for one in result.outcomes] == list(candidates)


def ours(cloud: Cloud, candidate: Candidate) -> list[int]:
    """The versions of a candidate that machines with layerkit made.

    But for those that came when nobody looked, or that somebody else has shared: these are left.
    """
    return [
        number
        for number in cloud.like(candidate)
        if (candidate.name, number) not in cloud.too_late | cloud.unseen
        and cloud.makers[candidate.name, number] != "somebody"
        and "theirs" not in cloud.policies.get((candidate.name, number), {})
    ]


def runs_again(machine: Machine, *candidates: Candidate) -> None:
    """A further run changes nothing, and names the same versions."""
    before = [one.version for one in machine.run(*candidates).outcomes]
    result = machine.run(*candidates)
    assert machine.line.writes == []
    assert [one.status for one in result.outcomes] == [Status.REUSED] * len(candidates)
    assert [one.version for one in result.outcomes] == before


@settings(max_examples=EXAMPLES)
@given(runs=st.lists(troubles, min_size=1, max_size=4), tags=st.booleans())
def test_one_machine_publishes_once(runs: list[Trouble], tags: bool) -> None:
    """Any faults and kills, run after run.

    The exception is a call that AWS does when its caller has found the version of another one, and is done: nobody
    looks any more.
    """
    cloud, candidate = Cloud(takes_tags=tags), layer()
    with machines(cloud, "here", "fresh") as (machine, fresh):
        for trouble in runs:
            machine.survive(candidate, **trouble)
        cloud.leave_alone()
        check(cloud, SHARED, machine.run(candidate), candidate)
        cloud.settle()
        assert len(ours(cloud, candidate)) == 1
        runs_again(machine, candidate)
        if not cloud.too_late | cloud.unseen:
            assert len(cloud.like(candidate)) == 1
            fresh.run(candidate)
            assert fresh.line.writes == [] or not tags  # where it has to be tried whether the region takes tags
            assert len(cloud.like(candidate)) == 1


def pair(**more: Any) -> tuple[Candidate, ...]:
    """Two targets of one layer, and another layer."""
    arm = layer("arm", alone=False, architectures=("arm64",), **more)
    return arm, layer("x86", alone=False, architectures=("x86_64",), **more), layer("b", name="other")


@settings(max_examples=EXAMPLES)
@given(runs=st.lists(troubles, min_size=1, max_size=3), tags=st.booleans())
def test_layers_of_several_targets_are_published_once_each(runs: list[Trouble], tags: bool) -> None:
    cloud, candidates = Cloud(takes_tags=tags), pair()
    with machines(cloud, "here", "fresh") as (machine, fresh):
        for trouble in runs:
            machine.survive(*candidates, **trouble)
        cloud.leave_alone()
        check(cloud, SHARED, machine.run(*candidates), *candidates)
        late = cloud.too_late | cloud.unseen | {("", one.calls) for one in cloud.late}
        cloud.settle()
        assert late or [len(ours(cloud, one)) for one in candidates] == [1, 1, 1]
        runs_again(machine, *candidates)
        if not late:
            fresh.run(*candidates)
            assert [len(cloud.like(one)) for one in candidates] == [1, 1, 1]


@settings(max_examples=EXAMPLES)
@given(
    runs=st.lists(st.tuples(st.sampled_from("ab"), troubles), min_size=1, max_size=5),
    large=st.booleans(),
    keep=st.booleans(),
    texts=st.booleans(),
)
def test_older_bytes_are_found_again(runs: list[tuple[str, Trouble]], large: bool, keep: bool, texts: bool) -> None:
    """A, B, A: what was published once is reused, and never published anew; also through a bucket.

    C is A with another description, which makes a version of its own where that is asked.  The journal does not tell
    A from C, so C is published in quiet alone: killed at C, then A, then B, then C again would make C twice.
    """
    cloud, terms = Cloud(), replace(SHARED, keep=keep, texts=texts)
    candidates = {code: layer(code, size=60_000_000 if large else 1000) for code in "ab"}
    candidates["c"] = replace(candidates["a"], description="another")
    with machines(cloud, "here", terms=terms) as (machine,):
        for code, trouble in runs:
            machine.survive(candidates[code], **trouble)
        cloud.leave_alone()
        for code in "abcabc":
            result = machine.run(candidates[code])
            check(cloud, terms, result, candidates[code])
            version = only(result).version
            assert version
            assert not texts or version.description == candidates[code].description
        made = {code: len(ours(cloud, candidates[code])) for code in "abc"}
        assert cloud.late or cloud.too_late or made == {"a": 1 + texts, "b": 1, "c": 1 + texts}
        for code in "abc":
            runs_again(machine, candidates[code])


class Baton:
    """Lets one of several threads run at a time, from one call to AWS to its next; who is next is in a list."""

    def __init__(self, order: Sequence[int], count: int) -> None:
        self.order, self.alive = list(order), set(range(count))
        self.lock = threading.Condition()
        self.current = -1  # nobody yet
        self.waiting: set[int] = set()

    def turn(self, who: int) -> None:
        with self.lock:
            self.waiting.add(who)
            self.current = -1
            self._next()
            self.lock.wait_for(lambda: self.current == who)
            self.waiting.discard(who)

    def end(self, who: int) -> None:
        with self.lock:
            self.alive.discard(who)
            self.current = -1
            self._next()

    def _next(self) -> None:
        """When all that live are waiting, the next one goes on."""
        if self.alive and self.waiting == self.alive:
            wanted = self.order.pop(0) if self.order else 0
            self.current = sorted(self.alive)[wanted % len(self.alive)]
            self.lock.notify_all()


def side_by_side(order: Sequence[int], runs: Sequence[Callable[[Callable[[], None]], object]]) -> None:
    """Runs that get a `turn`, each in a thread, in this order of calls."""
    baton = Baton(order, len(runs))
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            runs[number](lambda: baton.turn(number))
        except BaseException as failure:  # noqa: BLE001 - told by the test's own thread
            failures.append(failure)
        finally:
            baton.end(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for failure in failures:
        raise failure


@settings(max_examples=EXAMPLES)
@given(
    order=st.lists(st.integers(0, 2), max_size=40),
    runs=st.lists(troubles, min_size=2, max_size=3),
    old=st.sampled_from(["", "a", "b"]),
)
def test_machines_at_the_same_time_publish_once(order: list[int], runs: list[Trouble], old: str) -> None:
    """Any order of the calls of two or three machines, with faults and kills: the smallest number stays."""
    cloud, candidate = Cloud(), layer()
    with machines(cloud, "one", "two", "three") as those:
        if old:
            cloud.publish(layer(old), "somebody")
        present = those[: len(runs)]
        work = [
            lambda turn, machine=machine, trouble=trouble: machine.survive(candidate, turn=turn, **trouble)
            for machine, trouble in zip(present, runs, strict=True)
        ]
        side_by_side(order, work)
        cloud.leave_alone()
        for machine in present:
            check(cloud, SHARED, machine.run(candidate), candidate)
        late = cloud.late or cloud.too_late
        assert late or len(cloud.like(candidate)) == 1
        for machine in present:
            runs_again(machine, candidate)


@settings(max_examples=EXAMPLES)
@given(order=st.lists(st.integers(0, 3), max_size=60), count=st.integers(2, 4), terms=st.sampled_from([SHARED, None]))
def test_machines_at_the_same_time_all_succeed(order: list[int], count: int, terms: Terms | None) -> None:
    """Without faults no run fails, and each names the version that stays, whenever it begins."""
    cloud, candidate = Cloud(), layer()
    cloud.publish(layer("b"), "somebody")
    with machines(cloud, *"abcd"[:count], terms=terms or Terms(account=ACCOUNT)) as those:
        found: list[RegionResult] = []
        work = [lambda turn, machine=machine: found.append(machine.run(candidate, turn=turn)) for machine in those]
        side_by_side(order, work)
        for result in found:
            check(cloud, those[0].terms, result, candidate)
        assert len(cloud.like(candidate)) == 1


EVENTS = ("same", "other", "share", "unshare", "delete")


@settings(max_examples=EXAMPLES)
@given(
    runs=st.lists(
        st.fixed_dictionaries(
            {
                "publish_script": st.lists(st.sampled_from((*FAULTS, *EVENTS)), max_size=4),
                "script": st.lists(calm | st.sampled_from((*FAULTS, *EVENTS * 3)), max_size=14),
            }
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_others_do_is_left_as_it_is(runs: list[Trouble]) -> None:
    """Somebody without layerkit publishes, shares and deletes, at any point.

    Their versions stay.  The exception is one with the very same bytes, tags and texts that is made at the moment
    when a call of ours loses its answer, or its run ends before that is written down, and that is not shared: nothing
    tells it from the work of that call.
    """
    cloud, candidate = Cloud(), layer()
    foreign = Statement(sid="theirs", principal="999999999999")

    def newest() -> int:
        return max(cloud.versions.get("deps", {}), default=0)

    events: dict[str, Callable[[], object]] = {
        "same": lambda: cloud.publish(candidate, "somebody"),
        "other": lambda: cloud.publish(layer("b"), "somebody"),
        "share": lambda: newest() and cloud.policy("deps", newest()).update(theirs=foreign),
        "unshare": lambda: newest() and cloud.policy("deps", newest()).pop("layerkit-account-210987654321", None),
        "delete": lambda: cloud.delete("deps", newest(), "somebody"),
    }
    with machines(cloud, "here") as (machine,):
        for trouble in runs:
            machine.survive(candidate, events=events, **trouble)
        cloud.leave_alone()
        theirs = {place: dict(policy) for place, policy in cloud.policies.items() if "theirs" in policy}
        check(cloud, SHARED, machine.run(candidate), candidate)
        assert len(ours(cloud, candidate)) <= 1 or cloud.late
        for (name, number), policy in theirs.items():
            assert cloud.policies[name, number]["theirs"] == policy["theirs"]
        for name, number, by in cloud.deleted:
            if by == "here" and cloud.makers[name, number] == "somebody":
                assert machine.lost
        others = [one for one in cloud.like(layer("b")) if cloud.makers["deps", one] == "here"]
        assert not others
        assert all(by == "somebody" or number not in others for _, number, by in cloud.deleted)
        runs_again(machine, candidate)


FIRST = ["list", "room", "list", "publish"]
LOST = [*FIRST, "list", "get", "list", "policy"]  # looked for and found, looked for others, compared
ORDINARY: dict[str, tuple[Terms, Sequence[Candidate], list[str], list[str]]] = {
    "private": (Terms(account=ACCOUNT), [layer()], FIRST, ["list", "get", "policy"]),
    "shared, with parameters": (
        SHARED,
        [layer()],
        [*FIRST, "share", "share", "put parameter", "put parameter"],
        ["list", "get", "policy", "get parameters"],
    ),
    "large": (
        Terms(account=ACCOUNT),
        [layer(size=60_000_000)],
        ["list", "room", "head", "upload", "list", "publish", "discard"],
        ["list", "get", "policy", "head"],  # a run that was killed may have left its zip in the bucket
    ),
    "large and kept": (
        Terms(account=ACCOUNT, keep=True),
        [layer(size=60_000_000)],
        ["list", "room", "head", "upload", "list", "publish"],
        ["list", "get", "policy"],
    ),
    "two layers": (
        Terms(account=ACCOUNT),
        [layer(), layer("b", name="other")],
        ["list", "list", "room", "list", "publish", "list", "publish"],
        ["list", "get", "policy"] * 2,
    ),
    "two targets": (  # after the other target's version it is looked whether that is not the same
        Terms(account=ACCOUNT),
        pair()[:2],
        ["list", "list", "room", "list", "publish", "list", "publish", "list"],
        ["list", "get", "policy"] * 2,
    ),
}


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def machine(cloud: Cloud, tmp_path: Path) -> Machine:
    return Machine(cloud=cloud, folder=tmp_path / "journal")


@pytest.mark.parametrize("name", ORDINARY)
def test_no_call_is_made_that_is_not_needed(machine: Machine, name: str) -> None:
    machine.terms, candidates, first, again = ORDINARY[name]
    result = machine.run(*candidates)
    assert [one.status for one in result.outcomes] == [Status.PUBLISHED] * len(candidates)
    assert machine.line.calls == first
    check(machine.cloud, machine.terms, result, *candidates)
    check(machine.cloud, machine.terms, machine.run(*candidates), *candidates)
    assert machine.line.calls == again
    assert machine.slept == []


def test_another_content_is_compared_and_published(machine: Machine) -> None:
    machine.run(layer("a"))
    assert only(machine.run(layer("b"))).status is Status.PUBLISHED
    assert machine.line.calls == ["list", "get", *FIRST[1:]]
    outcome = only(machine.run(layer("a")))
    assert (outcome.status, outcome.version and outcome.version.version) == (Status.REUSED, 1)
    assert machine.line.calls == ["list", "get", "policy"]


@pytest.mark.parametrize(
    ("script", "status", "calls"),
    [
        (["lost after"], Status.ADOPTED, LOST),
        (["late:0"], Status.ADOPTED, LOST),
        (["lost before"], Status.PUBLISHED, [*FIRST, "list", "publish", "list"]),
        (["throttled"] * 3, Status.PUBLISHED, [*FIRST, "publish", "publish", "publish"]),
        (["unreachable"], Status.PUBLISHED, [*FIRST, "publish"]),
        # the late one is the second, and is deleted
        (["late:2"], Status.PUBLISHED, [*FIRST, "list", "publish", "list", "get", "policy", "delete"]),
        # the late one is the first: it stays, and the answered one is deleted
        (["late:1"], Status.ADOPTED, [*FIRST, "list", "publish", "list", "get", "delete", "list", "policy"]),
        # both answers are lost, and both are there
        (
            ["late:1", "lost after"],
            Status.ADOPTED,
            [*FIRST, "list", "publish", "list", "get", "list", "get", "policy", "delete", "policy"],
        ),
        # refused, as the lost one is there already
        (["late:1", "rejected"], Status.ADOPTED, [*FIRST, "list", "publish", "list", "get", "list", "policy"]),
    ],
)
def test_after_a_lost_answer_it_is_looked_before_it_is_called_again(
    machine: Machine, script: list[str], status: Status, calls: list[str]
) -> None:
    outcome = only(machine.run(layer(), publish_script=script))
    assert outcome.status is status
    assert machine.line.calls == calls
    assert outcome.version == machine.cloud.versions["deps"][machine.cloud.like(layer())[0]]
    assert len(machine.cloud.versions["deps"]) == 1


@pytest.mark.parametrize(
    ("script", "publishes"), [(["lost before"], 6), (["unreachable"], 6), (["throttled"], 12), (["rejected"], 1)]
)
def test_patience_has_an_end(machine: Machine, script: list[str], publishes: int) -> None:
    outcome = only(machine.run(layer(), publish_script=script * 20))
    assert (outcome.status, outcome.version) == (Status.FAILED, None)
    assert outcome.reason == f"publish: {script[0]}: the script says {script[0]}" or script == ["lost before"]
    assert machine.line.calls.count("publish") == publishes
    assert only(machine.run(layer())).status is Status.PUBLISHED


def test_patience_ends_with_a_look(machine: Machine) -> None:
    """The last call may have done its work, too."""
    outcome = only(machine.run(layer(), publish_script=["lost before"] * 5 + ["lost after"]))
    assert outcome.status is Status.ADOPTED


@pytest.mark.parametrize("journal_script", [["killed after"], ["", "killed before"], ["", "full"]])
def test_a_killed_run_is_taken_up(machine: Machine, journal_script: list[str]) -> None:
    """Killed before the call; killed, or without a disk, after its answer."""
    machine.terms = SHARED
    done = len(machine.cloud.versions) or journal_script[0] == ""
    before = machine.survive(layer(), journal_script=journal_script)
    assert len(machine.cloud.like(layer())) == done
    if before:
        assert only(before).reason == "the disk is full: ENOSPC"
        assert only(before).cure == "free some space"
    outcome = only(machine.run(layer()))
    assert outcome.status is (Status.ADOPTED if done else Status.PUBLISHED)
    check(machine.cloud, SHARED, machine.run(layer()), layer())
    assert machine.line.writes == []
    assert machine.cloud.numbers["deps"] == 1


def test_without_a_journal_nothing_is_published(machine: Machine) -> None:
    assert only(machine.run(layer(), journal_script=["full"])).status is Status.FAILED
    assert machine.line.writes == []


@pytest.mark.parametrize("fault", ["wrong hash", "no tags"])
def test_what_is_not_what_was_sent_is_deleted(machine: Machine, fault: str) -> None:
    outcome = only(machine.run(layer(), publish_script=[fault]))
    assert (outcome.status, machine.cloud.like(layer())) == (Status.FAILED, [])
    assert outcome.reason.startswith("PublishLayerVersion: WrongContent: version 1 is not what was sent: its Code")
    assert outcome.reason.endswith("; it is deleted")
    assert outcome.cure.startswith("run it again")
    assert ("its tags: none" in outcome.reason) == (fault == "no tags")
    machine.run(layer())
    assert machine.cloud.like(layer()) == [2]


def test_it_is_told_what_could_not_be_deleted(machine: Machine) -> None:
    outcome = only(machine.run(layer(), publish_script=["wrong hash"], script=["", "", "", "denied"]))
    assert outcome.reason.endswith("; version 1 could not be deleted (denied); not what was sent")


@pytest.mark.parametrize("late", ["late:1", "late:2"])
def test_a_duplicate_that_may_not_be_deleted_keeps_nothing_from_being_shared(machine: Machine, late: str) -> None:
    machine.terms = SHARED
    calls: list[str] = [""] * (7 if late == "late:2" else 6)
    result = machine.run(layer(), publish_script=[late], script=[*calls, "denied"])
    check(machine.cloud, SHARED, result, layer())
    assert machine.cloud.like(layer()) == [1, 2]
    assert only(result).notes[0] == "version 2 could not be deleted (denied); version 1 is the same"
    assert only(machine.run(layer())).status is Status.REUSED  # which tries it again
    assert machine.cloud.like(layer()) == [1]
    machine.run(layer())
    assert machine.line.writes == []


def test_a_call_of_a_killed_run_that_comes_late_is_deleted(machine: Machine) -> None:
    """The next run has not found it, and has published; then it is there."""
    machine.survive(layer(), publish_script=["killed late:4"])
    outcome = only(machine.run(layer()))
    # list room list publish | list room list, publish, and the late one with the look after it
    assert machine.line.calls == [*FIRST, "list", "get", "policy", "delete"]
    assert (outcome.status, machine.cloud.like(layer())) == (Status.PUBLISHED, [1])
    assert machine.slept == [1.0]


@pytest.mark.parametrize("word", ["throttled", "unreachable", "rejected"])
def test_a_call_that_was_not_done_leaves_nothing_open(machine: Machine, cloud: Cloud, word: str) -> None:
    """Somebody's very same version, made soon after, is theirs."""
    machine.run(layer(), publish_script=[word] * 12)
    events = {"same": lambda: cloud.publish(layer(), "somebody")}
    machine.run(layer(), script=["", "", "", "same"], events=events)
    assert (machine.slept[-1:] == [1.0], cloud.deleted) == (False, [])


def test_a_duplicate_that_may_not_be_looked_at_is_left_and_told(machine: Machine) -> None:
    result = machine.run(layer(), publish_script=["late:2"], script=[*[""] * 6, "denied"])
    assert only(result).status is Status.PUBLISHED
    assert only(result).notes == ("version 2 is the same, and is left: denied",)


def test_a_duplicate_that_its_maker_deletes_is_no_failure(machine: Machine, cloud: Cloud) -> None:
    script, events = [*[""] * 6, "now"], {"now": lambda: cloud.delete("deps", 2, "there")}
    outcome = only(machine.run(layer(), publish_script=["late:2"], script=script, events=events))
    assert (outcome.status, outcome.notes) == (Status.PUBLISHED, ())


def test_a_duplicate_that_is_shared_is_left_and_told(machine: Machine, cloud: Cloud) -> None:
    statement = Statement(sid="theirs", principal="999999999999")
    events = {"share": lambda: cloud.policy("deps", 2).update(theirs=statement)}
    # list room list | list | list get [share] policy
    script = ["", "", "", "", "", "share"]
    outcome = only(machine.run(layer(), publish_script=["late:2"], script=script, events=events))
    assert cloud.like(layer()) == [1, 2]
    words = "version 2 is the same, and is left: it is shared, statement 'theirs' (account 999999999999)"
    assert outcome.notes == (words,)


def test_an_equal_version_of_another_day_or_with_other_texts_is_left(machine: Machine, cloud: Cloud) -> None:
    """It is none of ours: a run that was killed long ago made the first one."""
    assert machine.survive(layer(), publish_script=["killed after"]) is None
    cloud.publish(layer("b"), "somebody")
    cloud.publish(layer(description="another"), "somebody")
    cloud.now += 901
    cloud.publish(layer(), "somebody")
    outcome = only(machine.run(layer()))
    assert (outcome.status, outcome.version and outcome.version.version) == (Status.ADOPTED, 1)
    assert cloud.deleted == []


@pytest.mark.parametrize("what", ["same", "same and other", "other"])
def test_the_region_is_read_again_right_before_a_publish(machine: Machine, cloud: Cloud, what: str) -> None:
    def others() -> None:
        if "same" in what:
            cloud.publish(layer(), "somebody")
        if "other" in what:
            cloud.publish(layer("b"), "somebody")

    outcome = only(machine.run(layer(), script=["", "", "now"], events={"now": others}))
    assert outcome.status is (Status.PUBLISHED if what == "other" else Status.REUSED)
    assert len(cloud.like(layer())) == 1


def test_who_is_second_takes_the_first_one_s(machine: Machine, cloud: Cloud) -> None:
    """Somebody else publishes between the look and the publish."""
    machine.terms = SHARED
    events = {"now": lambda: cloud.publish(layer(), "somebody")}
    result = machine.run(layer(), publish_script=["now"], events=events)
    check(cloud, SHARED, result, layer())
    assert only(result).status is Status.ADOPTED
    assert cloud.like(layer()) == [1]
    assert cloud.deleted == [("deps", 2, "here")]


def test_in_a_region_without_tags_layers_are_found_on_a_new_machine(tmp_path: Path) -> None:
    """What one layer teaches of the region is used for the next one, which was planned before that."""
    cloud = Cloud(takes_tags=False)
    candidates = [layer(name=name) for name in ("one", "two")]
    first = Machine(cloud=cloud, folder=tmp_path / "first").run(*candidates)
    second = Machine(cloud=cloud, folder=tmp_path / "second")
    again = second.run(*candidates)
    assert [one.status for one in again.outcomes] == [Status.REUSED] * 2
    assert [one.version for one in again.outcomes] == [one.version for one in first.outcomes]
    assert not any(one.tagged for one in again.outcomes)
    assert second.line.calls.count("publish") == 1  # it has to be tried
    assert cloud.numbers == {"one": 1, "two": 1}


def test_an_upload_is_not_repeated(machine: Machine, cloud: Cloud) -> None:
    large = layer(size=60_000_000)
    assert only(machine.run(large, publish_script=["rejected"])).failed
    assert list(cloud.objects.values()) == [large.sha256]  # for the next run
    assert not only(machine.run(large)).failed
    assert "upload" not in machine.line.calls
    assert cloud.objects == {}


def test_an_object_that_may_not_be_deleted_is_told(machine: Machine, cloud: Cloud) -> None:
    large, machine.terms = layer(size=60_000_000), replace(SHARED, prefix="")
    # list room head upload list | share share discard
    result = machine.run(large, script=[*[""] * 7, "denied"])
    check(cloud, machine.terms, result, large)
    key = f"layerkit/{large.sha256}.zip"
    assert only(result).notes == (f"{key} stays in the bucket zips: denied: the script says denied",)


def test_what_fails_after_the_publish_is_told_with_the_version(machine: Machine) -> None:
    machine.terms = SHARED
    outcome = only(machine.run(layer(), script=["", "", "", "denied"]))
    assert outcome.status is Status.FAILED
    assert outcome.reason == "version 1 is there, but share: denied: the script says denied"
    assert outcome.version == machine.cloud.versions["deps"][1]
    assert only(machine.run(layer())).status is Status.SHARED


def test_refused_credentials_stop_everything(machine: Machine) -> None:
    stop = Stop()
    result = machine.run(layer(), layer(name="other"), publish_script=["credentials"], stop=stop)
    with pytest.raises(Stopped, match=r"the credentials are refused \(credentials\)"):
        stop.check()
    assert result.outcomes[0].status is Status.FAILED


def test_a_run_that_is_stopped_tells_what_it_has_not_done(machine: Machine) -> None:
    stop = Stop()
    result = machine.run(layer(), publish_script=["stop"], events={"stop": lambda: _stopped(stop)})
    outcome = only(result)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "not done: interrupted")
    assert only(machine.run(layer())).status is Status.PUBLISHED


def _stopped(stop: Stop) -> None:
    """What a line's turn does when the switch is thrown."""
    stop.throw("interrupted")
    stop.check()


@pytest.mark.parametrize("tags", [True, False])
def test_layers_are_published_side_by_side(tmp_path: Path, tags: bool) -> None:
    machine = Machine(cloud=Cloud(takes_tags=tags), folder=tmp_path, terms=SHARED)
    both = [replace(one, name=f"{one.name}{number}") for number in range(6) for one in pair()]
    result = machine.run(*both, at_once=AT_ONCE)
    check(machine.cloud, SHARED, result, *both)
    assert [len(machine.cloud.like(one)) for one in both] == [1] * 18
    again = machine.run(*both, at_once=AT_ONCE)
    assert ([one.version for one in again.outcomes], machine.line.writes) == (
        [one.version for one in result.outcomes],
        [],
    )


def test_layers_of_one_name_wait_for_each_other(machine: Machine) -> None:
    """Also when others stand between them."""
    arm, x86, other = pair()
    result = machine.run(arm, other, x86)
    assert [one.candidate for one in result.outcomes] == [arm, other, x86]
    assert machine.cloud.numbers == {"deps": 2, "other": 1}


def test_a_refusal_is_an_outcome(tmp_path: Path) -> None:
    machine = Machine(cloud=Cloud(buckets=False), folder=tmp_path)
    outcome = only(machine.run(layer(size=60_000_000)))
    assert (outcome.status, outcome.failed, outcome.version) == (Status.REFUSED, True, None)
    assert outcome.cure.startswith("name a bucket")
    assert machine.line.writes == []


def test_a_killed_machine_says_nothing(machine: Machine) -> None:
    """The stand-in for kill -9 is one: no part of the program goes on after it."""
    with pytest.raises(Killed):
        machine.run(layer(), layer(name="other"), script=["killed before"])
    assert machine.line.calls == ["list"]


@pytest.mark.parametrize("kept", [False, True])
def test_the_zip_of_a_killed_run_does_not_stay_in_the_bucket(machine: Machine, cloud: Cloud, kept: bool) -> None:
    """Killed between publishing and deleting the object: the next run reuses the version, and tidies up."""
    large, machine.terms = layer(size=60_000_000), replace(SHARED, prefix="", keep=kept)
    # list room head upload list | share share discard
    script = [*[""] * 7, "killed before"]
    if kept:
        machine.run(large, script=script)
    else:
        with pytest.raises(Killed):
            machine.run(large, script=script)
    assert list(cloud.objects.values()) == [large.sha256]
    assert only(machine.run(large)).status is Status.REUSED
    assert list(cloud.objects.values()) == ([large.sha256] if kept else [])
