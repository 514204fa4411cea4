# A WSGI response -> the dict that the event's front accepts; and CORS.

from __future__ import annotations

import sys
from binascii import b2a_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lambda_wsgi import Settings

    Headers = list[tuple[str, str]]

TEXTUAL = ("application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded")
# none of the app's (PEP 3333); a REST API refuses some of them
HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers",
    "transfer-encoding", "upgrade",
}  # fmt: skip


class TooLarge(ValueError):
    pass


def answer(
    front: str, environ: dict[str, Any], settings: Settings, status: str, headers: list[tuple[str, str]], body: bytes
) -> dict[str, Any]:
    # Raises ValueError for what HTTP does not allow, and TooLarge.
    if settings.cors_origins:
        headers = headers + cors(environ, settings, headers)
    names: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for name, value in headers:
        if not value.isascii():
            value = _text(value)
        line = name + value
        if "\n" in line or "\r" in line or "\0" in line:
            raise ValueError(f"line break in header {name!r}")
        key = name.lower()
        if key in lists:
            lists[key].append(value)
        elif key not in HOP_BY_HOP:
            names[key] = name
            lists[key] = [value]

    if not (status.isprintable() and status[:3].isdigit() and status[3:4] in ("", " ") and status >= "200"):
        raise ValueError(f"{status!r} is no status of an answer")
    code = int(status[:3])
    bodiless, head = code in (204, 304), environ["REQUEST_METHOD"] == "HEAD"
    length = lists.pop("content-length", None)
    if not bodiless:
        if not head or (body and not length):
            length = [str(len(body))]
        if length:
            lists["content-length"] = length
            names.setdefault("content-length", "Content-Length")
    if bodiless or head:
        body = b""

    made: dict[str, Any] = {"statusCode": code}
    if front in ("alb", "lattice") and status[4:]:
        made["statusDescription"] = _text(status)
    if front == "1.0" or "multiValueHeaders" in environ["lambda.event"]:
        made["multiValueHeaders"] = {names[key]: values for key, values in lists.items()}
    else:
        # Lattice documents the header alone; the list is that of Envoy's filter, whose events it sends
        cookies = lists.get("set-cookie", ())
        if cookies and (front == "2.0" or (front == "lattice" and len(cookies) > 1)):
            made["cookies"] = lists.pop("set-cookie")
        made["headers"] = plain = {names[key]: ", ".join(values) for key, values in lists.items()}
        if front == "alb" and len(cookies) > 1:  # they cannot be joined; a name in other letters is another key
            del plain[names["set-cookie"]]
            plain.update({_cased(number): value for number, value in enumerate(cookies)})
    text = _as_text(lists, body) if body else ""
    made["body"] = b2a_base64(body, newline=False).decode() if text is None else text
    made["isBase64Encoded"] = text is None

    limit = 1_048_576 if front == "alb" else 6_291_556  # bytes, of the whole answer
    if len(body) > limit // 8:  # escapes can make it up to six times as long
        import json

        # as the runtime client writes it
        size = len(json.dumps(made, ensure_ascii=sys.version_info < (3, 12)).encode())
        if size > limit:
            raise TooLarge(f"the answer is {size:,} bytes as JSON, and this front takes {limit:,}")
    return made


def _text(value: str) -> str:
    # A native string (bytes as latin-1) as the text that those bytes are.
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value.encode("utf-8", "replace").decode()  # half a surrogate pair would end the runtime client


def _cased(number: int) -> str:
    # set-cookie, Set-cookie, sEt-cookie, ...: the bits of `number` are the capitals.
    letters = [letter.upper() if number >> place & 1 else letter for place, letter in enumerate("setcookie")]
    return "".join([*letters[:3], "-", *letters[3:]])


def _as_text(headers: dict[str, list[str]], body: bytes) -> str | None:
    # None where the type is not textual, the body is encoded, or its text as UTF-8 would not be the same bytes.
    kind, _, parameters = headers.get("content-type", [""])[0].lower().partition(";")
    kind = kind.strip()
    if not (kind.startswith("text/") or kind in TEXTUAL or kind.endswith(("+json", "+xml"))):
        return None
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(" \"'")
    other = charset not in ("", "utf-8", "utf8", "us-ascii", "ascii") and (not body.isascii() or b"\0" in body)
    try:
        return None if other or headers.get("content-encoding", ["identity"]) != ["identity"] else body.decode()
    except UnicodeDecodeError:
        return None


def preflight(environ: dict[str, Any], settings: Settings) -> tuple[str, Headers, bytes] | None:
    # None for any other request.  What is not named is allowed as asked: `*` would not cover Authorization.
    method = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
    if not (settings.cors_origins and method and "HTTP_ORIGIN" in environ and environ["REQUEST_METHOD"] == "OPTIONS"):
        return None
    headers = [("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")]
    if settings.cors_origins & {"*", environ["HTTP_ORIGIN"].lower()}:
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        methods, names = ", ".join(settings.cors_methods).upper(), ", ".join(settings.cors_headers)
        headers.append(("Access-Control-Allow-Methods", method if "*" in methods else methods or method))
        headers.append(("Access-Control-Allow-Headers", asked if "*" in names else names or asked))
        if settings.cors_max_age:
            headers.append(("Access-Control-Max-Age", settings.cors_max_age))
    return "204 No Content", headers, b""


def cors(environ: dict[str, Any], settings: Settings, headers: Headers) -> Headers:
    # What CORS adds; what the app has set itself stays.
    own = {name.lower(): value for name, value in headers}
    more = []
    everybody = "*" in settings.cors_origins
    origin = "*" if everybody else environ.get("HTTP_ORIGIN", "")
    if "access-control-allow-origin" not in own and origin.lower() in settings.cors_origins:
        more.append(("Access-Control-Allow-Origin", origin))
        if settings.cors_credentials and "access-control-allow-credentials" not in own:
            more.append(("Access-Control-Allow-Credentials", "true"))
    # also where nothing is allowed: a cache must not keep that for the others
    if not everybody and ",origin," not in f",{own.get('vary', '')},".lower().replace(" ", ""):
        more.append(("Vary", "Origin"))
    return more
