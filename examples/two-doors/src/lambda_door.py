"""The Lambda door: the same functions behind an HTTP API (payload 2.0), with no framework and no layer."""

from __future__ import annotations

import json
from base64 import b64decode
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import functions


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    method = event["requestContext"]["http"]["method"]
    headers = {"content-type": "application/json"}
    try:
        status, content = route("GET" if method == "HEAD" else method, _path(event), event)
    except functions.Refused as error:
        status, content = error.status, {"error": str(error)}
    except NotAllowed as error:
        status, content = HTTPStatus.METHOD_NOT_ALLOWED, {"error": "Method Not Allowed"}
        headers["allow"] = str(error)
    return {"statusCode": int(status), "headers": headers, "body": json.dumps(content)}


class NotAllowed(Exception):
    """There is such a path, but not for this method; the text is what goes into Allow."""


def route(method: str, path: str, event: dict[str, Any]) -> tuple[HTTPStatus, dict[str, Any]]:
    match [method, *path.lstrip("/").split("/")]:
        case ["GET", "zones"]:
            return HTTPStatus.OK, functions.zones()
        case ["GET", "zones", code] if code:
            return HTTPStatus.OK, functions.zone(code)
        case ["GET", "quote"]:
            query = parse_qs(event.get("rawQueryString", ""), keep_blank_values=True)
            return HTTPStatus.OK, functions.quote(query.get("zone", [""])[0], query.get("grams", [""])[0])
        case ["POST", "orders"]:
            return HTTPStatus.CREATED, functions.order(_body(event))
        case [_, "zones" | "quote"]:
            raise NotAllowed("GET, HEAD")
        case [_, "zones", code] if code:
            raise NotAllowed("GET, HEAD")
        case [_, "orders"]:
            raise NotAllowed("POST")
    return HTTPStatus.NOT_FOUND, {"error": "Not Found"}


def _path(event: dict[str, Any]) -> str:
    """The path without the stage, which an HTTP API puts before it; $default, the usual one, is in no path."""
    path: str = event["rawPath"]
    stage = f"/{event['requestContext']['stage']}"
    return path.removeprefix(stage) if path.startswith(f"{stage}/") else path


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    return b64decode(body) if event.get("isBase64Encoded") else body.encode()
