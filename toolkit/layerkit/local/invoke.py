"""`invoke`: an event -> an execution environment -> the answer, as its front reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit import fronts
from layerkit.errors import ConfigError
from layerkit.fronts.parts import strict_json
from layerkit.local import chosen, places
from layerkit.local.blame import Blame, blame
from layerkit.local.nouns import Invocation
from layerkit.local.request import InvokeRequest

if TYPE_CHECKING:
    from layerkit.cache import Cache
    from layerkit.console import Console


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one event gave, and what a person should know of it."""

    function: str
    invocation: Invocation
    where: str
    unlike: tuple[str, ...]
    limit: int  # MB of memory
    response: fronts.Response | None = None  # where an HTTP request was asked
    refused: str = ""  # why the front does not take the answer
    blame: Blame | None = None  # of a failure


def invoke(request: InvokeRequest, cache: Cache, console: Console) -> Told:
    """Run one event.  Raises ConfigError, ContentError, MachineError; a function that fails is told, not raised."""
    found = chosen.choose(request.run)
    for warning in found.warnings:
        console.warn(warning)
    front = fronts.front(request.front)
    http = _request(request) if request.event is None else None
    event = _event(front, http) if http else _checked(request.event or b"")
    with places.opened(places.places(request.run, cache, console), found.runnable, console.log) as environment:
        invocation = environment.invoke(event, http.request_id if http else "")
        where, unlike = environment.where, environment.unlike
    response, refused = _response(front, http, invocation) if http else (None, "")
    return Told(
        function=found.runnable.function.key,
        invocation=invocation,
        where=where,
        unlike=unlike,
        limit=found.runnable.function.memory,
        response=response,
        refused=refused,
        blame=blame(invocation.failure, found.runnable, found.project, request.run.output)
        if invocation.failure
        else None,
    )


def _request(request: InvokeRequest) -> fronts.Request:
    headers = tuple(map(fronts.parse_header, request.headers))
    if request.body and not any(name.lower() == "content-type" for name, _ in headers):
        kind = "application/json" if _is_json(request.body) else "application/x-www-form-urlencoded"
        headers = (*headers, ("Content-Type", kind))
    return fronts.parse_request(request.http, headers, request.body)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _event(front: fronts.Front, request: fronts.Request) -> str:
    try:
        return front.payload(request)
    except fronts.Refused as error:
        raise ConfigError(
            f"the front does not take the request: {error.reason}", where=f"--front {front.name}"
        ) from None


def _checked(data: bytes) -> str:
    if len(data) > fronts.EVENT_LIMIT:
        raise ConfigError(
            f"has {len(data)} bytes; Lambda takes an event of at most {fronts.EVENT_LIMIT}", where="--event"
        )
    try:
        text = data.decode()
        strict_json(text)
    except (ValueError, RecursionError) as error:  # of bytes that are not UTF-8, too
        raise ConfigError("is not JSON, which an event is", where="--event", why=str(error)) from None
    return text


def _response(front: fronts.Front, request: fronts.Request, invocation: Invocation) -> tuple[fronts.Response, str]:
    """What the client gets, and why the front does not take the answer, if it does not."""
    if invocation.failure:
        return front.failed("function", request), ""
    waited = invocation.seconds + (invocation.init.seconds if invocation.init else 0)
    if waited > front.max_seconds:
        return front.failed(
            "slow", request
        ), f"it waits {front.max_seconds:g} s for one, and this took {waited:.0f} s"
    try:
        return front.read(invocation.payload, request), ""
    except fronts.Refused as error:
        return front.failed(error.trouble, request), error.reason
