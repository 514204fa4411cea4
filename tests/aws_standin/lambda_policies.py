"""Who may use a layer version: its policy, statement by statement."""

from __future__ import annotations

import json
import re
import uuid

from aws_standin.asked import Asked, failed, invalid
from aws_standin.lambda_layers import at_least_one, own, version_of
from aws_standin.nouns import Answer, Json, Refused, answer
from aws_standin.world import Version

# the model's patterns, by the member of the request
PATTERNS = {
    "Action": r"lambda:GetLayerVersion",
    "Principal": r"\d{12}|\*|arn:(aws[a-zA-Z-]*):iam::\d{12}:root",
    "StatementId": r"[a-zA-Z0-9-_]{1,100}",
}
ORGANIZATION = r"o-[a-z0-9]{10,32}"
LONGEST = 20480  # bytes of a policy
# recorded; the API that it names is called GetLayerVersionPolicy
STALE = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the "
    "latest Revision Id"
)


def add_layer_version_permission(asked: Asked) -> Answer:
    version, wanted = _version(asked, "AddLayerVersionPermission"), asked.json()
    members = [(name, wanted.get(name, ""), pattern) for name, pattern in PATTERNS.items()]
    if "OrganizationId" in wanted:
        members.append(("OrganizationId", wanted["OrganizationId"], ORGANIZATION))
    failures = [
        failed(value, name[0].lower() + name[1:], f"satisfy regular expression pattern: {pattern}")
        for name, value, pattern in members
        if not re.fullmatch(pattern, value)
    ]
    if failures:
        raise invalid(*failures)
    with asked.place.lock:
        sid = wanted["StatementId"]
        if any(statement["Sid"] == sid for statement in version.policy):
            raise Refused(
                "ResourceConflictException",
                f"The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the "
                "existing statement.",
            )
        _check_revision(asked, version)
        statement = _statement(version, wanted)
        size = len(_policy([*version.policy, statement]))
        if size > LONGEST:
            # as the same error reads for functions
            words = f"The final policy size ({size}) is bigger than the limit ({LONGEST})."
            raise Refused("PolicyLengthExceededException", words)
        version.policy.append(statement)
        version.revision = str(uuid.uuid4())
        document = {"Statement": json.dumps(statement), "RevisionId": version.revision}
    return answer(document, 201)


def _statement(version: Version, wanted: Json) -> Json:
    principal = wanted["Principal"]
    if principal != "*":
        account = f"arn:{version.document['LayerArn'].split(':')[1]}:iam::{principal}:root"
        principal = {"AWS": account if principal.isdigit() else principal}
    statement = {
        "Sid": wanted["StatementId"], "Effect": "Allow", "Principal": principal, "Action": wanted["Action"],
        "Resource": version.document["LayerVersionArn"],
    }  # fmt: skip
    if wanted.get("OrganizationId"):
        statement["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": wanted["OrganizationId"]}}
    return statement


def get_layer_version_policy(asked: Asked) -> Answer:
    version = _version(asked, "GetLayerVersionPolicy")
    with asked.place.lock:
        if not version.policy:
            raise Refused("ResourceNotFoundException", "No policy is associated with the given resource.")
        return answer({"Policy": _policy(version.policy), "RevisionId": version.revision})


def remove_layer_version_permission(asked: Asked) -> Answer:
    version, sid = _version(asked, "RemoveLayerVersionPermission"), asked.arguments[2]
    with asked.place.lock:
        left = [statement for statement in version.policy if statement["Sid"] != sid]
        if len(left) == len(version.policy):
            raise Refused("ResourceNotFoundException", f"Statement {sid} is not found in resource policy.")
        _check_revision(asked, version)
        version.policy, version.revision = left, str(uuid.uuid4())
    return answer(None, 204)


def _version(asked: Asked, operation: str) -> Version:
    name, number = own(asked, operation, asked.arguments[0]), at_least_one(asked.arguments[1])
    found = version_of(asked, asked.caller, name, number)
    if not found:
        arn = asked.caller.arn("lambda", f"layer:{name}:{number}")
        raise Refused("ResourceNotFoundException", f"Layer version {arn} does not exist.")  # recorded
    return found


def _check_revision(asked: Asked, version: Version) -> None:
    if asked.query.get("RevisionId") and asked.query["RevisionId"] != version.revision:
        raise Refused("PreconditionFailedException", STALE)


def _policy(statements: list[Json]) -> str:
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": statements})
