"""How fast AWS is called, and how often again: below its limit of requests, and with patience for what passes."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from layerkit.aws.failures import Throttled, Unanswered, Unreachable

T = TypeVar("T")

ALLOWED = 15  # requests in any second, of all calls together, per account and region: Lambda's quota L-B2AA0F47
WINDOW = 1.1  # seconds in which those start that can arrive within one: they are up to 0.1 s on their way
DEFAULT_RATE = 10.0  # calls per second
MOST = 14.0
SHORTEST = 0.001  # seconds of sleep; less may not change a clock


class Limiter:
    """Turns at one region of one account, for any number of threads.

    At most `rate × WINDOW` calls, and never more than ALLOWED, start within WINDOW.  The first ones start at once, so
    that a few calls wait for nothing; when more follow, they are spaced evenly.
    """

    def __init__(
        self,
        rate: float = DEFAULT_RATE,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`rate` is in calls per second, above 0 and at most MOST."""
        if not 0 < rate <= MOST:
            raise ValueError(f"the rate must be above 0 and at most {MOST:g} calls per second, not {rate:g}")
        self._clock, self._sleep = clock, sleep
        self._most = max(1, min(ALLOWED, int(rate * WINDOW)))
        self._full = self._rate = min(rate, self._most / WINDOW)
        self._starts = deque[float]()  # of the calls within the last WINDOW
        self._tokens = float(self._most)
        self._seen = clock()  # until when tokens are counted; ahead of the clock while nobody may start
        self._even = self._seen  # until when calls are spaced evenly: as long as somebody had to wait lately
        self._waiting = Lock()  # held by the one that is next; the others stand behind it
        self._state = Lock()

    def turn(self) -> None:
        """Return when the next call may start; it should start at once then."""
        with self._waiting:
            while pause := self._take():
                self._sleep(max(pause, SHORTEST))

    def slow_down(self, after: float = 0) -> None:
        """After a throttle: nobody starts for `after` seconds (at least 1), then at half the rate, which climbs back.

        Calls that were on their way together are throttled together: only the first of them halves the rate.
        """
        with self._state:
            now = self._clock()
            if now >= self._seen:  # else: it is slowed down already
                self._rate = max(self._rate / 2, self._full / 8)
            self._tokens = 0
            self._seen = max(self._seen, now + max(1.0, after))
            self._even = self._seen + WINDOW

    def _take(self) -> float:
        """Take a token, or say how many seconds to wait before trying again."""
        with self._state:
            now = self._clock()
            if now < self._seen:
                return self._seen - now
            self._tokens += (now - self._seen) * self._rate
            self._tokens = min(self._tokens, 1 if now < self._even else self._most)
            self._seen = now
            while self._starts and self._starts[0] < now - WINDOW:
                self._starts.popleft()
            pause = max(0.0, 1 - self._tokens) / self._rate
            if len(self._starts) == self._most:
                pause = max(pause, self._starts[0] + WINDOW - now + SHORTEST)
            if pause:
                self._even = now + pause + WINDOW
                return pause
            self._tokens -= 1
            self._starts.append(now)
            self._rate = min(self._full, self._rate + self._full / 20)
            return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a call is made again, and how long to wait before it (exponential, with full jitter)."""

    attempts: int = 6  # calls in all that fail otherwise than by a throttle
    base: float = 0.5  # seconds; the longest first pause, doubled each time
    cap: float = 20.0  # seconds; the longest pause
    throttled_attempts: int = 12  # calls in all that are throttled
    patient_with_unreachable: float = 0  # seconds from the first failure in which a region is always tried again
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random  # from 0 up to 1
    clock: Callable[[], float] = time.monotonic

    def reading(self, call: Callable[[], T]) -> T:
        """What `call`, which changes nothing or may be done twice, returns in the end.

        Raises Rejected at once, and the last Unanswered, Unreachable or Throttled when patience is at its end.
        """
        failed = throttled = 0
        first_failure: float | None = None
        while True:
            try:
                return call()
            except Throttled as failure:
                throttled += 1
                if throttled >= self.throttled_attempts:
                    raise
                pause = failure.after + self._pause(throttled)
            except (Unanswered, Unreachable):
                failed += 1
                now = self.clock()
                first_failure = now if first_failure is None else first_failure
                left = first_failure + self.patient_with_unreachable - now
                if failed >= self.attempts and left <= 0:
                    raise
                pause = self._pause(failed)
                if failed >= self.attempts:
                    pause = min(max(pause, self.base), left)  # the last try is at the end of the time
            self.sleep(pause)

    def pauses(self) -> Iterator[float]:
        """The seconds that were slept before each further attempt: `attempts` - 1 of them."""
        for failed in range(1, self.attempts):
            pause = self._pause(failed)
            self.sleep(pause)
            yield pause

    def _pause(self, failed: int) -> float:
        return self.random() * min(self.cap, self.base * 2.0 ** min(failed - 1, 30))
