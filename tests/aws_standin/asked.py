"""What an operation gets to work with, and how a service says which operation a request asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from aws_standin.iam import Need
from aws_standin.nouns import Answer, Json, Refused, Request
from aws_standin.world import Caller, Place, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call.  `arguments` are the parts of the path; `corrupt`: the bytes arrive changed (fault bad-sha).

    `failing`: why what is begun here ends badly (fault ends-failed).
    """

    world: World
    request: Request
    caller: Caller
    arguments: tuple[str, ...] = ()
    corrupt: bool = False
    failing: str = ""
    operation: str = ""

    @property
    def place(self) -> Place:
        return self.world.place(self.caller.account, self.caller.region)

    @property
    def query(self) -> dict[str, str]:
        return self.request.query

    def json(self) -> Json:
        """The request's document."""
        try:
            found = json.loads(self.request.body or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Refused("SerializationException", "Could not parse request body into json")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a request asks for: its name in AWS, what it is about (for the log and for faults), and the work.

    `needs`: what a policy must allow for it.
    """

    name: str
    resource: str
    arguments: tuple[str, ...] = ()
    work: Callable[[Asked], Answer]
    needs: tuple[Need, ...] = ()


def invalid(*failures: str) -> Refused:
    """A ValidationException, as recorded 2026-01: not in the model's list of errors."""
    count = len(failures)
    words = f"{count} validation error{'s' * (count > 1)} detected: {'; '.join(failures)}"
    return Refused("ValidationException", words)


def failed(value: object, where: str, rule: str) -> str:
    """One failure of a ValidationException."""
    return f"Value '{value}' at '{where}' failed to satisfy constraint: Member must {rule}"


def listed(values: object) -> str:
    """A list as Java prints it: [a, b]."""
    return f"[{', '.join(map(str, values))}]" if isinstance(values, list | tuple) else str(values)
