"""Where a function is run: in the container engine if one answers, else on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerkit.errors import ContentError, MachineError
from layerkit.local.nouns import Environment, Listen, Place, Runnable
from layerkit.local.request import PlaceName, RunRequest
from layerkit.sandbox.surroundings import NotHere
from layerkit.sandbox.unpacking import Refused

if TYPE_CHECKING:
    from layerkit.builders.boxes import Says
    from layerkit.cache import Cache


def places(request: RunRequest, cache: Cache, says: Says) -> list[Callable[[], Place]]:
    """What makes the places to try, the best first; this machine without namespaces is a makeshift."""

    def container() -> Place:
        from layerkit.local.container import Containers

        return Containers(cache, says, network=request.network)

    def host() -> Place:
        from layerkit.local.host import Host

        return Host(cache)

    def makeshift() -> Place:
        from layerkit.local.host import Host

        return Host(cache, isolated=False)

    by_name: dict[PlaceName, list[Callable[[], Place]]] = {
        "auto": [container, host, makeshift],
        "host": [host, makeshift],
        "container": [container],
    }
    return by_name[request.place]


@contextmanager
def opened(to_try: Sequence[Callable[[], Place]], runnable: Runnable, listen: Listen) -> Iterator[Environment]:
    """An environment in the first place that fits.

    Raises MachineError where none does, ContentError for a zip that Lambda would not unpack.
    """
    reasons: dict[str, None] = {}
    for place in to_try:
        try:
            opening = place().open(runnable, listen)
            environment = opening.__enter__()
        except NotHere as error:
            reasons[str(error)] = None
            continue
        except Refused as error:
            raise ContentError(f"a layer cannot be unpacked: {error}", cure="layerkit verify") from None
        break
    else:
        raise MachineError(
            f"the function {runnable.function.key!r} can be run nowhere here",
            why="\n".join(reasons),
            cure="start a container engine, or have the runtime's Python (layerkit doctor)",
        )
    try:
        yield environment
    finally:
        opening.__exit__(None, None, None)
