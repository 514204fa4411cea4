"""An HTTP event -> a WSGI environ."""

from __future__ import annotations

import sys
from base64 import b64decode
from io import BytesIO
from urllib.parse import quote_plus, unquote_to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def environ(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The environ of PEP 3333.  Raises ValueError for an event that is no HTTP request."""
    request = event.get("requestContext") or {}
    http = request.get("http")
    if http:  # payload 2.0
        method, path, query = http["method"], event["rawPath"], event.get("rawQueryString", "")
        address, protocol = http.get("sourceIp", ""), http.get("protocol", "HTTP/1.1")
        headers = [(name, value) for name, value in (event.get("headers") or {}).items()]
        if event.get("cookies"):
            headers.append(("cookie", "; ".join(event["cookies"])))
    elif "httpMethod" in event:  # payload 1.0, Application Load Balancer
        method, path, query = event["httpMethod"], event["path"], _query(event, encoded="elb" in request)
        identity = request.get("identity") or {}
        address, protocol = identity.get("sourceIp") or "", request.get("protocol") or "HTTP/1.1"
        many = event.get("multiValueHeaders") or {name: [v] for name, v in (event.get("headers") or {}).items()}
        headers = [(name, value) for name, values in many.items() for value in values]
    else:
        raise ValueError(
            f"not an HTTP request of Lambda: an event with the keys {', '.join(sorted(event)) or '(none)'}"
        )

    body = event.get("body") or ""
    data = b64decode(body) if event.get("isBase64Encoded") else body.encode()
    found: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": address,
        "SERVER_NAME": "lambda",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": protocol,
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": BytesIO(data),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "lambda.event": event,
        "lambda.context": context,
        "serverless.event": event,
        "serverless.context": context,
        "serverless.authorizer": request.get("authorizer"),
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        if key == "HOST":
            found["SERVER_NAME"] = value.partition(":")[0]
        elif key == "X_FORWARDED_PORT":
            found["SERVER_PORT"] = value
        elif key == "X_FORWARDED_PROTO":
            found["wsgi.url_scheme"] = value
        if key == "CONTENT_TYPE":
            found[key] = value
        elif key != "CONTENT_LENGTH":  # the body's own length is true also after base64
            key = f"HTTP_{key}"
            joint = "; " if key == "HTTP_COOKIE" else ","
            found[key] = f"{found[key]}{joint}{value}" if key in found else value
    return found


def _query(event: dict[str, Any], *, encoded: bool) -> str:
    """The query string of payload 1.0.  API Gateway hands over its parts decoded, a load balancer as they came."""
    many = event.get("multiValueQueryStringParameters")
    if not many:
        many = {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}
    keep = str if encoded else quote_plus
    return "&".join(f"{keep(name)}={keep(value)}" for name, values in many.items() for value in values)
