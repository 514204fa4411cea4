"""A contact form whose messages go to DynamoDB: an HTML page, and JSON for the forms of other sites.

CONTACT_TABLE    the table; its key is `id`, a text
CONTACT_DAYS     how long a message is kept; 0 or unset: for ever
ALLOWED_ORIGINS  the other sites whose pages may send to /contact, with commas between: https://www.example.com
"""

import functools
import json
import os
import re
import time
import uuid
import zlib
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from flask import Flask, jsonify, redirect, render_template, request, send_from_directory, url_for
from werkzeug.exceptions import HTTPException

LONGEST = {"name": 100, "email": 254, "message": 4000}  # characters
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
ALLOWED = {origin.strip(" /").lower() for origin in os.environ.get("ALLOWED_ORIGINS", "").split(",")} - {""}
STATIC = Path(__file__).with_name("static")
# Flask makes ETags from the times of files, and in Lambda's zip these are the same for every deployment
VERSION = f"{zlib.crc32(b''.join(file.read_bytes() for file in sorted(STATIC.rglob('*.*')))):08x}"
UNAVAILABLE = "Your message could not be saved, and this is our fault. Please send it again in a minute."

app = Flask(__name__, static_folder=None)
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024  # bytes
app.json.sort_keys = False  # mistakes in the order of the fields


class NotStored(Exception):
    """DynamoDB did not take the message. Says why, for the log."""


# What was sent


def cleaned(given, name):
    """A field's text: tidy, and something that UTF-8 can say. "" where there is none."""
    value = given.get(name)
    text = value if isinstance(value, str) else ""
    text = text.encode("utf-8", "replace").decode().replace("\r\n", "\n").strip()
    return text if name == "message" else " ".join(text.split())


def problems(values):
    """What is wrong with which field, in words for the sender."""
    found = {}
    if not values["name"]:
        found["name"] = "Enter your name."
    if not EMAIL.fullmatch(values["email"]):
        found["email"] = "Enter an email address like name@example.com."
    if len(values["message"]) < 10:
        found["message"] = "Write a message of at least 10 characters."
    for name, longest in LONGEST.items():
        if len(values[name]) > longest:
            found[name] = f"This is {len(values[name]):,} characters long. Use at most {longest:,}."
    return found


def received(given):
    """Store what was sent, if nothing is wrong -> the fields, what is wrong with them. Raises NotStored."""
    values = {name: cleaned(given, name) for name in LONGEST}
    found = problems(values)
    if not found and given.get("website"):  # people do not see this field; programs fill in every one
        app.logger.info("a message with the hidden field filled in was dropped")
    elif not found:
        store(values, str(given.get("token", "")))
    return values, found


# DynamoDB


@functools.cache
def dynamodb():
    # a browser waits: two short tries, which fit into the function's timeout
    retries = {"mode": "standard", "total_max_attempts": 2}
    return boto3.client("dynamodb", config=Config(connect_timeout=2, read_timeout=2, retries=retries))


def store(values, token):
    """Keep a message once, also where a double click, a reload or a retry sends the same form again."""
    try:
        key = uuid.uuid5(uuid.UUID(token), json.dumps(values))
    except ValueError:  # no token of our form
        key = uuid.uuid4()
    now = time.time()
    item = {"id": str(key), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)), **values}
    item = {name: {"S": value} for name, value in item.items()}
    if days := int(os.environ.get("CONTACT_DAYS") or 0):
        item["expires"] = {"N": str(int(now) + days * 86400)}
    table = os.environ.get("CONTACT_TABLE")
    if not table:
        raise NotStored("CONTACT_TABLE is not set")
    try:
        dynamodb().put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(id)")
    except (BotoCoreError, ClientError) as error:
        if "(ConditionalCheckFailedException)" not in str(error):  # it is there already
            raise NotStored(f"table {table}: {type(error).__name__}: {error}") from error


# The pages, which need no script


def form(values, found, failed="", status=200):
    page = render_template(
        "form.html", values=values, errors=found, failed=failed, longest=LONGEST,
        token=values.get("token") or uuid.uuid4().hex,
    )  # fmt: skip
    return page, status


@app.get("/")
def home():
    return form({}, {})


@app.post("/")
def send():
    values, found = received(request.form)
    if found:
        return form(values | {"token": request.form.get("token")}, found, status=422)
    return redirect(url_for("thanks"), 303)  # a reload of that page sends nothing again


@app.get("/thanks")
def thanks():
    return render_template("thanks.html")


@app.get("/static/<path:filename>")
def static(filename):
    return send_from_directory(STATIC, filename, etag=VERSION, max_age=3600)


# The same as JSON, for pages of other origins


@app.route("/contact", methods=["POST", "OPTIONS"])
def contact():
    if request.method == "OPTIONS":
        return "", 204
    given = request.get_json()
    _, found = received(given if isinstance(given, dict) else {})
    if found:
        return {"message": "Please correct what is marked.", "errors": found}, 422
    return {"message": "Thank you. We have your message."}, 201


@app.after_request
def cross_origin(response):
    """CORS for /contact alone. In the app, so that `flask run` answers as Lambda does."""
    if request.path == "/contact":
        response.vary.add("Origin")  # also where nothing is allowed, or a cache would keep that for others
        origin = request.headers.get("Origin", "")
        if origin.lower() in ALLOWED:
            response.headers["Access-Control-Allow-Origin"] = origin
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "POST"
                response.headers["Access-Control-Allow-Headers"] = "Content-Type"
                response.headers["Access-Control-Max-Age"] = "600"
    return response


@app.after_request
def secure(response):
    response.headers.setdefault("Cache-Control", "no-store")  # pages hold what somebody wrote
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


@app.errorhandler(NotStored)
def not_stored(error):
    app.logger.error("message not stored: %s", error)
    if request.path == "/contact":
        return {"message": UNAVAILABLE, "errors": {}}, 503
    return form(request.form, {}, UNAVAILABLE, 503)  # with what was typed


@app.errorhandler(HTTPException)
def failed(error):
    """Every other failure in words, also that of a line of this file; Flask has logged the traceback then."""
    said = "Something went wrong on our side." if error.code == 500 else error.description
    if request.path == "/contact":
        response = jsonify(message=said, errors={})
    else:
        response = app.make_response(render_template("error.html", title=error.name, said=said))
    response.status_code = error.code
    response.headers.extend((name, value) for name, value in error.get_headers() if name == "Allow")
    return response
