"""Users in a DynamoDB table: GET /users, GET /users/<id>, POST /users."""

import json
import os
import re
from base64 import b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from functools import cache
from uuid import NAMESPACE_URL, UUID, uuid5

import boto3
from botocore.config import Config
from flask import Blueprint, abort, request, url_for
from werkzeug.exceptions import BadRequest

TABLE = os.environ.get("USERS_TABLE", "users")
FIELDS = {  # of a new user: what the text must look like, and how that is said
    "name": (r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,100}", "1 to 100 characters without line breaks"),
    "email": (r"(?=.{6,254}$)[\w.!#$%&'*+/=?^`{|}~-]+@[a-zA-Z\d-]+(\.[a-zA-Z\d-]+)+", "an e-mail address"),
}

routes = Blueprint("routes", __name__)


@routes.get("/users")
def users():
    """A page. DynamoDB scans in an order that new users do not change; nextToken says where this page ended."""
    page = {"Limit": wanted_limit()}
    if "nextToken" in request.args:
        page["ExclusiveStartKey"] = key_of(request.args["nextToken"])
    found = dynamodb().scan(TableName=TABLE, ConsistentRead=True, **page)
    answer = {"users": [user_of(item) for item in found["Items"]]}
    if "LastEvaluatedKey" in found:
        answer["nextToken"] = token_of(found["LastEvaluatedKey"])
    return answer


@routes.get("/users/<uuid:user_id>")
def user(user_id):
    found = dynamodb().get_item(TableName=TABLE, Key={"id": {"S": str(user_id)}}, ConsistentRead=True)
    if "Item" not in found:
        abort(404, f"There is no user {user_id}.")
    return user_of(found["Item"])


@routes.post("/users")
def new_user():
    fields = wanted_user()
    # The same address always gives the same id, so the condition below lets an address be taken once.
    user_id = str(uuid5(NAMESPACE_URL, f"mailto:{fields['email']}"))
    made = {"id": user_id, **fields, "created": datetime.now(UTC).isoformat(timespec="seconds")}
    item = {name: {"S": value} for name, value in made.items()}
    try:
        dynamodb().put_item(TableName=TABLE, Item=item, ConditionExpression="attribute_not_exists(id)")
    except dynamodb().exceptions.ConditionalCheckFailedException:
        abort(409, f"There is a user with the e-mail address {fields['email']} already.")
    return made, 201, {"Location": url_for(".user", user_id=user_id)}


# What is asked for


class Invalid(BadRequest):
    """What is wrong with a request, by field or parameter."""

    def __init__(self, problems):
        super().__init__("The request is not valid.")
        self.problems = problems


def wanted_limit():
    text = request.args.get("limit", "20")
    if not re.fullmatch(r"[1-9][0-9]?|100", text):
        raise Invalid({"limit": "must be a whole number from 1 to 100"})
    return int(text)


def wanted_user():
    try:
        given = request.get_json(silent=True)
    except RecursionError:  # [[[[[[…
        given = None
    if not isinstance(given, dict):
        raise Invalid({"body": "must be a JSON object, sent with Content-Type: application/json"})
    texts = {field: value.strip() for field, value in given.items() if isinstance(value, str)}
    problems = dict.fromkeys(sorted(given.keys() - FIELDS.keys()), "is not a field of a user")
    for field, (pattern, words) in FIELDS.items():
        if field not in given:
            problems[field] = f"is missing: {words}"
        elif not re.fullmatch(pattern, texts.get(field, ""), re.ASCII):
            problems[field] = f"must be {words}"
    if problems:
        raise Invalid(problems)
    return {"name": texts["name"], "email": texts["email"].lower()}


# What DynamoDB keeps


@cache
def dynamodb():
    """One client, made for the first request; it gives up before the function's timeout of 10 s ends it."""
    tries = {"mode": "standard", "total_max_attempts": 2}
    return boto3.client("dynamodb", config=Config(connect_timeout=1, read_timeout=2, retries=tries))


def user_of(item):
    return {name: value["S"] for name, value in item.items()}


def token_of(key):
    return urlsafe_b64encode(json.dumps(user_of(key), separators=(",", ":")).encode()).decode()


def key_of(token):
    """The key in a token. Whoever makes one up gets 400, or starts at another place of the same list."""
    try:
        match json.loads(b64decode(token, altchars=b"-_", validate=True)):
            case {"id": str(user_id), **others} if not others:
                return {"id": {"S": str(UUID(user_id))}}
    except (ValueError, RecursionError):  # no base64, no JSON, no UUID
        pass
    raise Invalid({"nextToken": "is not one that this API gave"})


# What is told of errors


@routes.app_errorhandler(400)
@routes.app_errorhandler(404)
@routes.app_errorhandler(405)
@routes.app_errorhandler(409)
def readable(error):
    """JSON instead of a page; what fails unexpectedly is told, and logged, by Flask or lambda-wsgi."""
    response = error.get_response()
    response.content_type = "application/json"
    said = {"message": error.description}
    if isinstance(error, Invalid):
        said["problems"] = error.problems
    response.data = json.dumps(said)
    return response
