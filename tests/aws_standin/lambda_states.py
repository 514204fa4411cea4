"""How a function comes to be what it was told: Pending at first, InProgress after an update, and then Active.

Lambda developer guide, "Lambda function states": the words of both are as recorded, and so is it that the revision
changes once more when the work is done.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from aws_standin.asked import Asked
from aws_standin.nouns import Json, Refused

WORDS = "The function is being created."  # said of updates, too: recorded


@dataclass(slots=True, kw_only=True)
class Change:
    """What is under way: `document` becomes `then` after `reads` more reads of it, and not before `until`."""

    document: Json
    then: Json
    reads: int
    until: float  # of the world's clock, seconds


def begin_creation(asked: Asked, changes: list[Change], document: Json) -> None:
    """A new function, or a version that is published: no call gets through to it until it is Active."""
    document |= {"State": "Pending", "StateReason": WORDS, "StateReasonCode": "Creating"}
    code, words = _failure(asked)
    then = {"State": "Active", "LastUpdateStatus": "Successful"}
    if code:
        then = {"LastUpdateStatus": "Failed", "State": "Failed", "StateReason": words, "StateReasonCode": code}
    for name in ("LastUpdateStatus", "LastUpdateStatusReason", "LastUpdateStatusReasonCode"):
        document.pop(name, None)  # not told before it is Active: recorded
    _begin(asked, changes, document, then)


def begin_update(asked: Asked, changes: list[Change], document: Json) -> None:
    code, words = _failure(asked)
    document |= {
        "LastUpdateStatus": "InProgress", "LastUpdateStatusReason": WORDS, "LastUpdateStatusReasonCode": "Creating",
        "RevisionId": str(uuid.uuid4()),
    }  # fmt: skip
    then = {"LastUpdateStatus": "Successful"}
    if code:
        then = {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": words, "LastUpdateStatusReasonCode": code}
    _begin(asked, changes, document, then)


def _failure(asked: Asked) -> tuple[str, str]:
    """The reason's code and words that a fault wants: CODE:words, or words alone."""
    code, colon, words = asked.failing.partition(":")
    return (code.strip(), words.strip()) if colon else ("InternalError" if code else "", code.strip())


def _begin(asked: Asked, changes: list[Change], document: Json, then: Json) -> None:
    options = asked.world.options
    until = asked.world.clock() + options.update_seconds
    changes.append(Change(document=document, then=then, reads=options.update_reads, until=until))
    if not options.update_reads and not options.update_seconds:
        look(asked, changes)


def look(asked: Asked, changes: list[Change], read: Json | None = None) -> None:
    """Let what is done be done; a read of a document that is still under way counts."""
    now = asked.world.clock()
    for change in list(changes):
        if change.reads <= 0 and change.until <= now:
            changes.remove(change)
            _end(change)
        elif change.document is read:
            change.reads -= 1


def _end(change: Change) -> None:
    """The revision is another one now."""
    kind = "State" if "State" in change.then else "LastUpdateStatus"
    for name in (f"{kind}Reason", f"{kind}ReasonCode"):
        change.document.pop(name, None)
    change.document |= {**change.then, "RevisionId": str(uuid.uuid4())}


def check_idle(document: Json) -> None:
    """Raises Refused while a function is being created or updated; the words are quoted in many issues."""
    busy = "The operation cannot be performed at this time."
    if document["State"] == "Pending":
        raise Refused(
            "ResourceConflictException", f"{busy} The function is currently in the following state: Pending"
        )
    if document.get("LastUpdateStatus") == "InProgress":
        arn = document["FunctionArn"]
        raise Refused("ResourceConflictException", f"{busy} An update is in progress for resource: {arn}")


def check_revision(wanted: object, document: Json) -> None:
    """Raises Refused when the caller has read something older."""
    if wanted not in (None, document["RevisionId"]):
        raise Refused(
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
            "retrieve the latest Revision Id",
        )
