"""Work in all regions at once, each in a thread of its own, and on several things in one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

from layerkit.aws.stop import Stop

AT_ONCE = 4  # calls to one region that are under way together: enough for the rate, at 0.3 s a call

T = TypeVar("T")
U = TypeVar("U")


def everywhere(
    work: Callable[[str, T], U], items: Mapping[str, T], stop: Stop, done: Callable[[U], None] = lambda _: None
) -> list[U]:
    """What `work` makes of each region and its item, in their order; `done` is told each as soon as it is there.

    Ctrl-C throws `stop`: calls that are under way come to their end, so that their outcome is known and told.  Who
    calls this looks at `stop.interrupted`.
    """
    if not items:
        return []
    with ThreadPoolExecutor(max_workers=len(items)) as threads:
        futures: list[Future[U]] = []
        left: set[Future[U]] = set()
        try:
            for name, item in items.items():
                futures.append(threads.submit(work, name, item))
                left.add(futures[-1])
            for future in as_completed(futures):
                left.discard(future)
                done(future.result())
        except KeyboardInterrupt:
            stop.throw("interrupted", interrupted=True)
            for future in as_completed(left):
                done(future.result())
    return [future.result() for future in futures]


def together(
    work: Callable[[T], U], items: Sequence[T], at_once: int = AT_ONCE, *, all_of_them: bool = False
) -> list[U]:
    """The results in the order of the items.  All that was begun is at its end before anything is raised.

    After a failure what is not begun is not wanted any more, unless `all_of_them` are tried in any case.
    """
    if min(at_once, len(items)) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(at_once, len(items))) as threads:
        futures = [threads.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=not all_of_them)
            raise
