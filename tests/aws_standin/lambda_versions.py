"""Published versions of a function: what it was, for good."""

from __future__ import annotations

import uuid

from aws_standin.asked import Asked
from aws_standin.lambda_code import wrong
from aws_standin.lambda_found import document_of, function_of, in_list, page_of, shown
from aws_standin.lambda_states import begin_creation, check_idle, check_revision
from aws_standin.nouns import Answer, Json, answer
from aws_standin.world import Function

# what is no part of a function's configuration or code
APART = frozenset({
    "RevisionId", "LastModified", "State", "StateReason", "StateReasonCode", "LastUpdateStatus",
    "LastUpdateStatusReason", "LastUpdateStatusReasonCode",
})  # fmt: skip


def publish_version(asked: Asked) -> Answer:
    wanted = asked.json()
    with asked.place.lock:
        function = function_of(asked)
        latest = function.latest
        check_idle(latest)
        check_revision(wanted.get("RevisionId"), latest)
        given = wanted.get("CodeSha256")
        if given not in (None, "", latest["CodeSha256"]):  # recorded
            raise wrong(
                f"CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({latest['CodeSha256']}). "
                "Please try again with the CodeSHA256 in $LATEST."
            )
        return answer(publish(asked, function, wanted.get("Description")), 201)


def publish(asked: Asked, function: Function, description: str | None = None) -> Json:
    """A new version, or the last one: "doesn't publish a version if the function's configuration and code haven't
    changed since the last version" (the model's words).  Numbers are not used twice.

    A new one gives $LATEST another revision, and is Active at once unless $LATEST is not, or it has SnapStart: all
    recorded.
    """
    latest, last = function.latest, function.versions.get(str(function.newest))
    if last and function.published == content(latest):
        return shown(last)
    function.newest += 1
    function.published = content(latest)
    number = str(function.newest)
    made = {
        **latest, "Version": number, "FunctionArn": f"{latest['FunctionArn']}:{number}",
        "RevisionId": str(uuid.uuid4()),
    }  # fmt: skip
    if description:
        made["Description"] = description
    function.versions[number] = made
    latest["RevisionId"] = str(uuid.uuid4())
    snap = latest.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"
    busy = latest["State"] == "Pending" or latest.get("LastUpdateStatus") == "InProgress"
    if snap or busy or asked.failing:
        begin_creation(asked, function.changes, made)
    return shown(made)


def content(document: Json) -> Json:
    return {key: value for key, value in document.items() if key not in APART}


def list_versions_by_function(asked: Asked) -> Answer:
    """$LATEST first, then in order: recorded."""
    with asked.place.lock:
        function, _, _ = document_of(asked)
        documents = [function.latest, *function.versions.values()]
        return page_of(asked, "Versions", [in_list(one, qualified=True) for one in documents])
