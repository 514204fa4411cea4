# An event of one of Lambda's HTTP fronts -> the environ of PEP 3333.

from __future__ import annotations

import os
import sys
from binascii import a2b_base64
from io import BytesIO
from urllib.parse import quote_plus, unquote_to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lambda_wsgi import Settings

    Event = dict[str, Any]

# header -> its key; "" for what is not passed on: the body is whole and decoded, so its length is its own
KEYS = {
    "content-type": "CONTENT_TYPE",
    "content-length": "",
    "transfer-encoding": "",
    "user_agent": "HTTP_USER_AGENT",
}
BASE: Event = {
    "wsgi.version": (1, 0),
    "wsgi.input_terminated": True,  # it ends where the body does
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


def front_of(event: Any) -> str:
    # 2.0 (HTTP API, Function URL), 1.0 (REST API, HTTP API), alb, lattice; "" for what is no HTTP request.
    if not isinstance(event, dict) or "methodArn" in event or "routeArn" in event:
        return ""  # an authorizer's event holds the whole request
    request = event.get("requestContext") or {}
    if "http" in request:
        return "2.0"
    if "httpMethod" in event and "path" in event:
        return "alb" if "elb" in request else "1.0"
    return "lattice" if "method" in event and ("raw_path" in event or event.get("version") == "2.0") else ""


def environ_of(event: Event, context: Any, front: str, settings: Settings) -> Event:
    # wsgi.input is None where the body is not the base64 that it should be.
    request: Event = event.get("requestContext") or {}
    domain = request.get("domainName") or ""
    protocol = address = None
    script, hidden = "", False
    if front == "2.0":
        http = request["http"]
        method, address, protocol = http["method"], http.get("sourceIp"), http.get("protocol")
        url = "lambda-url" in domain  # a Function URL hands the path over as it came, an HTTP API decoded
        path = (decoded if url else native)(event.get("rawPath") or "/")
        script, path = _mount(path, path, event.get("routeKey"), event, request)
        if domain and not url and "execute-api" not in domain:
            # behind a custom domain the path has the stage, which the client's has not, but no base path
            script, hidden = "", True
        query = native(event.get("rawQueryString") or "")
    elif front == "lattice":
        method = event["method"]
        path, _, query = (event.get("raw_path") or event.get("path") or "/").partition("?")
        path, query = decoded(path), native(query) or _query(event, native)
    else:
        method, path = event["httpMethod"], decoded(event["path"])
        # a load balancer does not decode a query
        query = _query(event, native if front == "alb" else quote_plus)
        if front == "1.0":
            address, protocol = (request.get("identity") or {}).get("sourceIp"), request.get("protocol")
            whole = decoded(request.get("path") or event["path"])
            script, path = _mount(whole, path, event.get("resource"), event, request)
    stage, base = f"/{request.get('stage')}", settings.base_path
    if settings.strip_stage and f"{script}/".startswith(f"{stage}/"):
        script = script[len(stage) :]
    if base and f"{path}/".startswith(f"{base}/"):
        script, path = script + base, path[len(base) :]
    elif hidden:
        script = base

    environ = BASE.copy()
    for name, value in (event.get("multiValueHeaders") or event.get("headers") or {}).items():
        key = KEYS.get(name)
        if key is None:
            key = _key(name)
        if key and value is not None:
            joint = "; " if key == "HTTP_COOKIE" else ","
            value = native(value if isinstance(value, str) else joint.join(value))
            environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    if cookies := event.get("cookies"):  # a Function URL has them in the header too
        environ["HTTP_COOKIE"] = native("; ".join(cookies))

    if address is None:  # the front added the last entry; those before it are the client's word
        address = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if address.count(":") == 1 or address.startswith("["):  # it can be told to write the client's port too
            address = address.rpartition(":")[0].strip("[]")
    # the second is VPC Lattice's
    scheme = environ.get("HTTP_X_FORWARDED_PROTO") or environ.get("HTTP_X_FORWARDED_FOR_PROTO") or ""
    scheme = "http" if scheme.lower() == "http" else "https"
    server, colon, port = (environ.get("HTTP_HOST") or domain or "localhost").rpartition(":")
    if not port.isdigit():
        server, port = server + colon + port, ""
    port = environ.get("HTTP_X_FORWARDED_PORT") or port

    body = event.get("body") or ""
    try:
        encoded = body and (event.get("isBase64Encoded") or event.get("is_base64_encoded"))
        data = a2b_base64(body, strict_mode=True) if encoded else body.encode("utf-8", "surrogatepass")
    except ValueError:
        data = None
    authorizer = request.get("authorizer")
    if user := authorizer and authorizer.get("principalId"):
        environ["REMOTE_USER"] = native(str(user))
    if trace := os.environ.get("_X_AMZN_TRACE_ID"):  # the runtime sets it for each request
        environ["lambda.trace_id"] = trace
        environ.setdefault("HTTP_X_AMZN_TRACE_ID", trace)
    environ["REQUEST_METHOD"] = method
    environ["SCRIPT_NAME"] = script
    environ["PATH_INFO"] = path or "/"
    environ["QUERY_STRING"] = query
    environ["REMOTE_ADDR"] = address
    environ["SERVER_NAME"] = server
    environ["SERVER_PORT"] = port if port.isdigit() else "80" if scheme == "http" else "443"
    environ["SERVER_PROTOCOL"] = protocol or "HTTP/1.1"
    environ["CONTENT_LENGTH"] = str(len(data or b""))
    environ["wsgi.url_scheme"] = scheme
    environ["wsgi.input"] = None if data is None else BytesIO(data)
    environ["wsgi.errors"] = sys.stderr
    environ["lambda.event"] = environ["serverless.event"] = event
    environ["lambda.context"] = environ["serverless.context"] = context
    environ["lambda.request_id"] = getattr(context, "aws_request_id", None) or request.get("requestId")
    environ["lambda_wsgi.debug"] = settings.debug
    environ["lambda_wsgi.errors"] = []
    environ["serverless.authorizer"] = authorizer
    return environ


def native(text: str) -> str:
    # PEP 3333's native string: the UTF-8 bytes of `text`, each as one character of latin-1.
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("latin-1")


def decoded(text: str) -> str:
    # The same of a percent-encoded text.
    return unquote_to_bytes(text).decode("latin-1") if "%" in text else native(text)


def _mount(whole: str, path: str, route: str | None, event: Event, request: Event) -> tuple[str, str]:
    # SCRIPT_NAME and PATH_INFO of API Gateway: what stands before the route, with its parameters filled in, is where
    # the API is mounted: a stage, or a domain's base path.  Of the route `$default` the stage is known by name.
    route = (route or "").rpartition(" ")[2]  # "GET /users/{id}"
    if route.startswith("/"):
        given = event.get("pathParameters") or {}
        filled = "/".join([given.get(part.strip("{+}"), part) if "{" in part else part for part in route.split("/")])
        for inner in (native(filled).rstrip("/"), decoded(filled).rstrip("/")):
            if whole.rstrip("/").endswith(inner):
                script = whole.rstrip("/").removesuffix(inner).rstrip("/")
                rest = whole[len(script) :]
                # a REST API's path has a domain's base path, but not the stage
                return script, rest if path.endswith(rest) else path
    stage = f"/{request.get('stage')}"
    return (stage, whole[len(stage) :]) if f"{whole}/".startswith(f"{stage}/") else ("", path)


def _query(event: Event, write: Callable[[str], str]) -> str:
    parts = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters")
    return "&".join(
        [
            f"{write(name)}={write(value)}"
            for name, values in (parts or event.get("query_string_parameters") or {}).items()
            for value in (values if isinstance(values, list) else [values])
        ]
    )


def _key(name: str) -> str:
    lower = name.lower()
    # X_User would come out as X-User does
    key = KEYS.get(lower, "" if "_" in name else f"HTTP_{name.upper().replace('-', '_')}")
    if len(KEYS) < 500:  # names are the client's
        KEYS[name] = key
    return key
