"""What is told to go wrong, and the throttle."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from aws_standin.nouns import Refused

ENDLESS = 1 << 60


@dataclass(slots=True, kw_only=True)
class Fault:
    """`do` to the next `times` calls after `after` more; "*", and an empty region or resource, are every one."""

    operation: str
    do: str
    region: str = ""
    times: int = 1
    after: int = 0
    resource: str = ""  # a part of it

    def meets(self, operation: str, region: str, resource: str) -> bool:
        """Whether it happens to this call; it counts."""
        if self.times < 1 or self.region not in ("", region) or self.resource not in resource:
            return False
        if self.operation not in ("*", operation):
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


class Faults:
    """Those that are still to come, in the order in which they were told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self, region: str = "") -> None:
        """All of them, or those of one region."""
        with self._lock:
            self._faults = [fault for fault in self._faults if region and fault.region != region]

    def down(self, region: str) -> bool:
        """Whether connections to the region are reset."""
        with self._lock:
            return any(fault.do == "down" and fault.meets("*", region, "") for fault in self._faults)

    def next(self, operation: str, region: str, resource: str) -> str:
        """What happens to this call; empty: nothing."""
        with self._lock:
            for fault in self._faults:
                if fault.do != "down" and fault.meets(operation, region, resource):
                    return fault.do
            return ""


class Throttle:
    """At most so many calls in any second: "15 requests per second across all APIs", an account and region.

    Lambda quotas page; Service Quota L-B2AA0F47 cannot be raised.  Both codes have been seen for it:
    aws-durable-execution-sdk-python#404, datadog-lambda-extension#1355.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._passed: dict[tuple[str, ...], deque[float]] = defaultdict(deque)
            self._refused = 0

    def take(self, rate: int, *what: str) -> None:
        """Raises Refused when `rate` calls have passed in this second (0: no limit)."""
        if not rate:
            return
        with self._lock:
            now, passed = self._clock(), self._passed[what]
            while passed and passed[0] <= now - 1:
                passed.popleft()
            if len(passed) < rate:
                passed.append(now)
                return
            self._refused += 1
            kind = "TooManyRequestsException" if self._refused % 2 else "ThrottlingException"
        raise Refused(kind, "Rate exceeded")
