"""A request as a person writes it on the command line."""

from __future__ import annotations

import re
from urllib.parse import quote

from layerkit.errors import ConfigError
from layerkit.fronts.nouns import Pairs, Request
from layerkit.fronts.parts import TOKEN

_EXAMPLE = "write method and path, for example 'GET /users?limit=2', 'POST /users' or '/users'"
_HEADER_EXAMPLE = "write name and value, for example 'Accept: application/json'"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_VERSION = re.compile(r"\s+HTTP/\d(\.\d)?$")  # of a request line that was copied
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SAFE = "/:@!$&'()*+,;=%"  # RFC 3986, 3.3, beside letters, digits and -._~; a % is part of what is encoded already
_SAFE_IN_QUERY = _SAFE + "?[]"  # clients send brackets too: url.spec.whatwg.org, "query percent-encode set"


def parse_request(text: str, headers: Pairs = (), body: bytes = b"", *, where: str = "--request") -> Request:
    """`GET /users?limit=2`, or a path alone: GET, or POST with a body (as curl has it).  It arrives now.

    What may not stand in a target as it is (a space, é) is percent-encoded.  Raises ConfigError for what is no
    request; `where` is the option that it came from.
    """
    line = _VERSION.sub("", text.strip())
    if _CONTROL.search(line):
        raise _wrong(f"{text!r} is not one line of text", where)
    method, target = ("", line) if line.startswith("/") else _split(line)
    if _ADDRESS.match(target):
        path = "/" + target.partition("://")[2].partition("/")[2]
        raise _wrong(
            f"{target!r} is an address, but it is the front that has one",
            where,
            cure=f"write the path alone, {f'{method} {path}'.strip()!r}; a host is a header, 'Host: example.com'",
        )
    if method and not TOKEN.fullmatch(method):
        raise _wrong(f"{method!r} is no HTTP method", where)
    if not target.startswith("/"):
        said = f"the path {target!r} does not begin with /" if target else f"there is no path in {text!r}"
        raise _wrong(said, where)
    if "#" in target:
        raise _wrong(
            f"{target!r} has a fragment, which no client sends", where, cure="leave it out, or write %23 for a #"
        )
    method = method.upper() or ("POST" if body else "GET")
    return Request(method=method, target=_encoded(target), headers=headers, body=body).arriving()


def parse_header(text: str, *, where: str = "--header") -> tuple[str, str]:
    """`Name: value` as it goes over the wire, so in UTF-8.  Raises ConfigError."""
    name, colon, value = text.partition(":")
    if not colon:
        raise _wrong(f"there is no colon in {text!r}", where, cure=_HEADER_EXAMPLE)
    if not TOKEN.fullmatch(name.strip()):
        raise _wrong(f"{name.strip()!r} is no name of a header", where, cure=_HEADER_EXAMPLE)
    if _CONTROL.search(value.strip().replace("\t", " ")):
        raise _wrong(f"the value of {name.strip()!r} is not one line of text", where, cure=_HEADER_EXAMPLE)
    return name.strip(), value.strip().encode("utf-8", "surrogateescape").decode("latin-1")


def _split(line: str) -> tuple[str, str]:
    """Method and target; one word alone is a method where it looks like one, so that its path is what is missed."""
    first, *rest = line.split(None, 1) or [""]
    if rest:
        return first, rest[0]
    return (first, "") if first.isupper() else ("", first)


def _encoded(target: str) -> str:
    path, mark, query = _LONE_PERCENT.sub("%25", target).partition("?")
    path = quote(path, safe=_SAFE, errors="surrogateescape")
    return path + mark + quote(query, safe=_SAFE_IN_QUERY, errors="surrogateescape")


def _wrong(what: str, where: str, cure: str = _EXAMPLE) -> ConfigError:
    return ConfigError(what, where=where, cure=cure)
