"""Calls stay below AWS's limit however threads and networks behave, and are made again with patience."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Lock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit.aws.failures import CallFailed, Rejected, Throttled, Unanswered, Unreachable
from layerkit.aws.pace import ALLOWED, MOST, Limiter, Patience

LATE = 0.1  # seconds that a call may be on its way


class Clock:
    """Time that passes while somebody sleeps: as long as was asked, and a little more (`over`, seconds, in turn)."""

    def __init__(self, start: float = 0, over: Iterable[float] = ()) -> None:
        self.now, self.over, self.lock = start, deque(over), Lock()
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        with self.lock:
            self.slept.append(seconds)
            self.now += seconds + (self.over.popleft() if self.over else 0)


def most_in_a_second(arrivals: Iterable[float]) -> int:
    """The most that a server sees in any second, both ends included."""
    most, window = 0, deque[float]()
    for arrival in sorted(arrivals):
        window.append(arrival)
        while window[0] < arrival - 1:
            window.popleft()
        most = max(most, len(window))
    return most


def test_the_model_of_the_server_counts() -> None:
    assert most_in_a_second([0, 0.5, 1, 1.1, 2.2]) == 3


@given(
    rate=st.floats(0.5, MOST) | st.integers(1, 14),
    start=st.floats(0, 1e6),
    calls=st.lists(
        st.tuples(st.sampled_from([0, 0, 0, 0.01, 0.3, 2]), st.floats(0, LATE), st.sampled_from([0, 0.001, 0.05])),
        min_size=20,
        max_size=60,
    ),
    throttled=st.sets(st.integers(0, 59), max_size=2),
)
def test_no_second_has_more_calls_than_aws_allows(
    rate: float, start: float, calls: list[tuple[float, float, float]], throttled: set[int]
) -> None:
    """Idle times before calls, ways of up to 0.1 s, sleeps that last longer, throttles."""
    clock = Clock(start, [over for _, _, over in calls])
    limiter = Limiter(rate, clock=clock, sleep=clock.sleep)
    arrivals = []
    for number, (idle, way, _) in enumerate(calls):
        clock.now += idle
        limiter.turn()
        arrivals.append(clock.now + way)
        if number in throttled:
            limiter.slow_down(0)
    assert most_in_a_second(arrivals) <= ALLOWED


@pytest.mark.parametrize("rate", [1, 5, 10, 13, 14])
def test_the_worst_network_brings_no_more_than_aws_allows(rate: float) -> None:
    """All that start up to a moment arrive late, and all that follow at once."""
    for moment in range(40):
        clock = Clock()
        limiter = Limiter(rate, clock=clock, sleep=clock.sleep)
        arrivals = []
        for number in range(60):
            clock.now += 60 if number == 20 else 0
            limiter.turn()
            late = clock.now % 60 <= moment / 10
            arrivals.append(clock.now + (LATE if late else 0))
        assert most_in_a_second(arrivals) <= ALLOWED


@pytest.mark.parametrize("rate", [2, 10, 14])
def test_threads_together_have_the_rate(rate: float) -> None:
    clock = Clock()
    limiter = Limiter(rate, clock=clock, sleep=clock.sleep)
    starts: list[float] = []

    def call(_: int) -> None:
        limiter.turn()
        starts.append(clock())

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(call, range(300)))
    assert len(starts) == 300
    assert most_in_a_second(starts) <= ALLOWED
    assert clock.now <= 1.1 * 300 / rate


def test_the_first_calls_wait_for_nobody_and_the_others_are_spaced_evenly() -> None:
    clock = Clock()
    limiter = Limiter(10, clock=clock, sleep=clock.sleep)
    assert turns(limiter, clock, 11) == [0] * 11
    later = turns(limiter, clock, 30)
    assert later[0] == pytest.approx(1.1, abs=0.002)
    assert all(0.095 < after - before < 0.102 for before, after in pairwise(later))


def test_whoever_was_idle_has_his_first_calls_again() -> None:
    clock = Clock()
    limiter = Limiter(10, clock=clock, sleep=clock.sleep)
    turns(limiter, clock, 30)
    clock.now += 5
    assert len(set(turns(limiter, clock, 11))) == 1


@pytest.mark.parametrize("rate", [0, -1, 14.1, float("nan")])
def test_a_rate_that_aws_would_not_take(rate: float) -> None:
    with pytest.raises(ValueError, match="the rate must be above 0 and at most 14"):
        Limiter(rate)


def turns(limiter: Limiter, clock: Clock, count: int) -> list[float]:
    found = []
    for _ in range(count):
        limiter.turn()
        found.append(clock.now)
    return found


@pytest.mark.parametrize(("after", "least"), [(0, 1), (0.2, 1), (7, 7)])
def test_after_a_throttle_nobody_starts_for_a_while(after: float, least: float) -> None:
    clock = Clock(100)
    limiter = Limiter(clock=clock, sleep=clock.sleep)
    turns(limiter, clock, 2)
    limiter.slow_down(after)
    assert turns(limiter, clock, 1)[0] >= 100 + least


def test_after_a_throttle_the_rate_is_half_and_climbs_back() -> None:
    clock = Clock()
    limiter = Limiter(10, clock=clock, sleep=clock.sleep)
    limiter.slow_down(1)
    started = turns(limiter, clock, 60)
    gaps = [later - earlier for earlier, later in pairwise(started)]
    assert 0.15 <= gaps[0] <= 0.2
    assert gaps[-1] == pytest.approx(0.1, abs=0.002)
    assert all(later <= earlier + 0.002 for earlier, later in pairwise(gaps))


def test_calls_that_are_throttled_together_slow_down_once() -> None:
    def started(times: int) -> list[float]:
        clock = Clock()
        limiter = Limiter(10, clock=clock, sleep=clock.sleep)
        for _ in range(times):
            limiter.slow_down(1)
        return turns(limiter, clock, 5)

    assert started(4) == started(1)


def test_the_longest_time_that_aws_asks_for_holds() -> None:
    clock = Clock()
    limiter = Limiter(10, clock=clock, sleep=clock.sleep)
    limiter.slow_down(9)
    limiter.slow_down(1)
    assert turns(limiter, clock, 1)[0] >= 9


def test_throttle_after_throttle_never_stops_it() -> None:
    clock = Clock()
    limiter = Limiter(10, clock=clock, sleep=clock.sleep)
    for _ in range(50):
        limiter.slow_down(1)
        limiter.turn()
    assert clock.now <= 50 * (1 + 1)


def test_a_throttle_holds_those_back_who_wait_already() -> None:
    clock, throttles = Clock(), [3.0]

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if throttles:
            limiter.slow_down(throttles.pop())

    limiter = Limiter(10, clock=clock, sleep=sleep)
    turns(limiter, clock, 11)
    assert turns(limiter, clock, 1)[0] >= 3


def test_what_a_sleep_raises_leaves_the_limiter_usable() -> None:
    clock = Clock()

    def interrupted(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 1:
            raise KeyboardInterrupt

    limiter = Limiter(clock=clock, sleep=interrupted)
    with pytest.raises(KeyboardInterrupt):
        turns(limiter, clock, 12)
    limiter.turn()


# Patience

HOW = ("ListLayerVersions", "eu-west-1", "Code", "words")
Script = list[CallFailed | str]


def scripted(answers: Script) -> Callable[[], str]:
    """A call that fails, or answers, as written."""

    def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, CallFailed):
            raise answer
        return answer

    return call


def patience(clock: Clock, **more: float) -> Patience:
    return Patience(sleep=clock.sleep, clock=clock, random=lambda: 1.0, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Unanswered, Unreachable])
def test_a_call_is_made_again(kind: type[CallFailed]) -> None:
    clock = Clock()
    assert patience(clock).reading(scripted([*(kind(*HOW) for _ in range(5)), "done"])) == "done"
    assert clock.slept == [0.5, 1, 2, 4, 8]


@pytest.mark.parametrize("kind", [Unanswered, Unreachable])
def test_patience_ends_with_the_last_failure(kind: type[CallFailed]) -> None:
    clock, failures = Clock(), [kind(*HOW) for _ in range(7)]
    with pytest.raises(kind) as caught:
        patience(clock).reading(scripted(list(failures)))
    assert caught.value is failures[5]
    assert len(clock.slept) == 5


def test_a_refusal_is_final() -> None:
    clock = Clock()
    answers: Script = [Rejected(*HOW), "done"]
    with pytest.raises(Rejected):
        patience(clock).reading(scripted(answers))
    assert (clock.slept, answers) == ([], ["done"])


def test_no_pause_is_longer_than_the_cap() -> None:
    clock = Clock()
    patience(clock, attempts=2000, cap=3).reading(scripted([*(Unanswered(*HOW) for _ in range(1500)), "done"]))
    assert max(clock.slept) == 3


def test_throttles_are_counted_by_themselves_and_waited_for() -> None:
    clock = Clock()
    answers: Script = [Throttled(*HOW, after=30), Unanswered(*HOW), *(Throttled(*HOW) for _ in range(10)), "done"]
    assert patience(clock).reading(scripted(answers)) == "done"
    assert clock.slept[:4] == [30.5, 0.5, 1, 2]
    with pytest.raises(Throttled):
        patience(Clock()).reading(scripted([Throttled(*HOW) for _ in range(12)]))


@given(st.floats(0, 1, exclude_max=True))
def test_pauses_are_jittered(share: float) -> None:
    clock = Clock()
    Patience(sleep=clock.sleep, random=lambda: share).reading(scripted([Unanswered(*HOW), Unanswered(*HOW), "done"]))
    assert clock.slept == [share * 0.5, share]


def test_a_region_out_of_reach_is_waited_for() -> None:
    clock = Clock()
    answers: Script = [*(Unreachable(*HOW) for _ in range(30)), "done"]
    assert patience(clock, patient_with_unreachable=600).reading(scripted(answers)) == "done"
    assert clock.now <= 600


def test_waiting_for_a_region_has_an_end() -> None:
    clock, made = Clock(), [0.0]

    def call() -> str:
        made.append(clock.now)
        raise Unreachable(*HOW)

    with pytest.raises(Unreachable):
        patience(clock, patient_with_unreachable=100).reading(call)
    assert made[-1] == pytest.approx(100)
    assert len(made) < 20


def test_waiting_has_an_end_without_luck_either() -> None:
    """Jitter that is always 0 must not make a thousand calls."""
    clock, made = Clock(), [0]

    def call() -> str:
        made[0] += 1
        raise Unreachable(*HOW)

    with pytest.raises(Unreachable):
        Patience(sleep=clock.sleep, clock=clock, random=lambda: 0.0, patient_with_unreachable=100).reading(call)
    assert made[0] < 250


def test_a_region_that_answers_with_nothing_is_waited_for_too() -> None:
    """One that is down may accept the connection, and close it."""
    clock = Clock()
    answers: Script = [*(Unanswered(*HOW) for _ in range(20)), "done"]
    assert patience(clock, patient_with_unreachable=600).reading(scripted(answers)) == "done"


def test_only_what_may_pass_is_waited_for() -> None:
    clock = Clock()
    with pytest.raises(Rejected):
        patience(clock, patient_with_unreachable=600).reading(scripted([Rejected(*HOW), "done"]))
    with pytest.raises(Throttled):
        patience(clock, patient_with_unreachable=10**6).reading(scripted([Throttled(*HOW) for _ in range(12)]))


def test_pauses_sleep_before_they_are_told() -> None:
    clock = Clock()
    told = []
    for pause in patience(clock, attempts=4).pauses():
        told.append(pause)
        assert clock.slept == told
    assert told == [0.5, 1, 2]
