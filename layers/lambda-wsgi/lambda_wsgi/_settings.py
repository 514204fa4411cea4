# Settings: a keyword wins over its LAMBDA_WSGI_* variable, which wins over those of other adapters.  And CORS.

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Headers = list[tuple[str, str]]


NO, YES = ("", "0", "false", "f", "no", "n", "off"), ("1", "true", "t", "yes", "y", "on")


def _truth(value: Any) -> bool:
    return bool((NO + YES).index(str(value or "").strip().lower()) >= len(NO))


def _path(value: Any) -> str:
    path = str(value or "").strip().strip("/")
    return path and f"/{path}"


def _words(value: Any) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value or ()
    return [part.strip() for part in parts if part.strip()]


def _seconds(value: Any) -> str:
    return "" if value is None else str(int(value))


def _methods(value: Any) -> list[str]:
    return [word.upper() for word in _words(value)]  # browsers compare them letter by letter


def _origins(value: Any) -> set[str]:
    origins = {origin.rstrip("/").lower() for origin in _words(value)}
    if any("://" not in origin or "*" in origin for origin in origins - {"*", "null"}):
        raise ValueError  # no browser sends that
    return origins


def _statuses(value: Any) -> set[int]:
    if not isinstance(value, str | int):
        return {int(one) for one in value or ()}
    found: set[int] = set()
    for part in _words(str(value)):  # 500-599 or 500,502-504
        first, dash, last = part.partition("-")
        span = range(int(first), int(last if dash else first) + 1)
        if not span:
            raise ValueError
        found.update(span)
    return found


PARSERS = {
    "base_path": _path, "strip_stage": _truth, "cors_origins": _origins, "cors_methods": _methods,
    "cors_headers": _words, "cors_credentials": _truth, "cors_max_age": _seconds, "error_status": _statuses,
    "debug": _truth,
}  # fmt: skip
ALIASES = {  # of serverless-wsgi and of the AWS Lambda Web Adapter
    "base_path": ("API_GATEWAY_BASE_PATH", "AWS_LWA_REMOVE_BASE_PATH"),
    "strip_stage": ("STRIP_STAGE_PATH",),
}


class Settings:
    base_path: str
    strip_stage: bool
    cors_origins: set[str]  # none: CORS is off
    cors_methods: list[str]
    cors_headers: list[str]
    cors_credentials: bool
    cors_max_age: str
    error_status: set[int]
    debug: bool

    def __init__(self, given: dict[str, Any]) -> None:
        for name, parse in PARSERS.items():
            value = given.pop(name, None)
            variable = f"LAMBDA_WSGI_{name.upper()}"
            for known in (variable, *ALIASES.get(name, ())):
                value = os.environ.get(known) or None if value is None else value
            try:
                setattr(self, name, parse(value))
            except ValueError:
                raise ValueError(f"{name} ({variable}) cannot be {value!r}") from None
        if given:
            raise TypeError(f"no setting is called {', '.join(given)}; there are {', '.join(PARSERS)}")
        if "*" in self.cors_origins and self.cors_credentials:
            raise ValueError("cors_credentials need origins with names: with * every site could act as the visitor")


def preflight(environ: dict[str, Any], settings: Settings) -> tuple[str, Headers, bytes] | None:
    # The answer to a CORS preflight, None for any other request; what the settings do not name is allowed as asked.
    #
    # `*` would not do for headers: it does not cover Authorization (Fetch, 4.8).
    method = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
    if not (settings.cors_origins and method and "HTTP_ORIGIN" in environ and environ["REQUEST_METHOD"] == "OPTIONS"):
        return None
    headers = [("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")]
    if settings.cors_origins & {"*", environ["HTTP_ORIGIN"].lower()}:
        asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        for name, given, default in (
            ("Methods", settings.cors_methods, method), ("Headers", settings.cors_headers, asked)
        ):  # fmt: skip
            allowed = default if "*" in given else ", ".join(given) or default
            headers.append((f"Access-Control-Allow-{name}", allowed))
        if settings.cors_max_age:
            headers.append(("Access-Control-Max-Age", settings.cors_max_age))
    return "204 No Content", headers, b""


def cors(environ: dict[str, Any], settings: Settings, headers: Headers) -> Headers:
    # What CORS adds to an answer's headers; what the app has set itself stays as it is.
    own = {name.lower(): value for name, value in headers}
    more = []
    everybody = "*" in settings.cors_origins
    origin = "*" if everybody else environ.get("HTTP_ORIGIN", "")
    if "access-control-allow-origin" not in own and origin.lower() in settings.cors_origins:
        more.append(("Access-Control-Allow-Origin", origin))
        if settings.cors_credentials and "access-control-allow-credentials" not in own:
            more.append(("Access-Control-Allow-Credentials", "true"))
    # also where nothing is allowed: a cache must not keep that for the others
    if not everybody and "origin" not in own.get("vary", "").lower():
        more.append(("Vary", "Origin"))
    return more
