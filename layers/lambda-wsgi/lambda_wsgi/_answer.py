"""A WSGI response -> the dict that the event's front expects."""

from __future__ import annotations

from base64 import b64encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEXTUAL = ("application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded")


def answer(event: dict[str, Any], status: str, headers: list[tuple[str, str]], body: bytes) -> dict[str, Any]:
    """Several headers of one name stay several: as `cookies` in payload 2.0, as lists where the event had lists."""
    found: dict[str, Any] = {"statusCode": int(status.split(" ", 1)[0])}
    if "http" in event.get("requestContext", {}):
        cookies = [value for name, value in headers if name.lower() == "set-cookie"]
        if cookies:
            found["cookies"] = cookies
        joined: dict[str, str] = {}
        for name, value in headers:
            if name.lower() != "set-cookie":
                joined[name] = f"{joined[name]},{value}" if name in joined else value
        found["headers"] = joined
    elif "multiValueHeaders" in event:
        lists: dict[str, list[str]] = {}
        for name, value in headers:
            lists.setdefault(name, []).append(value)
        found["multiValueHeaders"] = lists
    else:
        found["headers"] = dict(headers)
    if "elb" in event.get("requestContext", {}):
        found["statusDescription"] = status
    text = _text(headers, body)
    found["body"] = b64encode(body).decode() if text is None else text
    found["isBase64Encoded"] = text is None
    return found


def _text(headers: list[tuple[str, str]], body: bytes) -> str | None:
    """The body as text where its type says that it is text, and it is; None for everything else."""
    lower = {name.lower(): value for name, value in headers}
    kind = lower.get("content-type", "").partition(";")[0].strip().lower()
    textual = kind.startswith("text/") or kind in TEXTUAL or kind.endswith(("+json", "+xml"))
    if body and (not textual or "content-encoding" in lower):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
