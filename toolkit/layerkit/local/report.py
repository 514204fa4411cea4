"""What a person, or a program, reads of an invocation."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from http.client import responses
from typing import TYPE_CHECKING, Any

from layerkit.console import milliseconds
from layerkit.errors import FunctionFailed
from layerkit.fronts import Response
from layerkit.fronts.parts import strict_json
from layerkit.local.blame import Blame
from layerkit.local.invoke import Told
from layerkit.local.nouns import Failure, Invocation

if TYPE_CHECKING:
    from layerkit.console import Console

MEGABYTE = 1024 * 1024


def tell(told: Told, console: Console) -> bool:
    """The answer to standard output; what it took, and what went wrong, to standard error.  Whether all went well."""
    text = as_text(told)
    if text or console.as_json:
        console.asked(text, as_json(told) | {"warnings": console.warnings})
    console.note(summary(told))
    if told.unlike:
        console.note(f"unlike Lambda: {'; '.join(told.unlike)}")
    error = failure(told)
    if error:
        console.problem(error)
    return not error


def as_text(told: Told) -> str:
    """The answer: of HTTP, status line, headers and body; else the payload, as JSON with indents."""
    if told.response:
        return "\n".join(_response(told.response))
    if told.invocation.failure:
        return ""
    found, text = _payload(told.invocation)
    return text or json.dumps(found, indent=2, ensure_ascii=False)


def _response(response: Response) -> Iterator[str]:
    reason = response.reason or responses.get(response.status, "")
    yield f"HTTP/1.1 {response.status} {reason}".rstrip()
    for name, value in response.headers:
        yield f"{name}: {value.encode('latin-1').decode('utf-8', 'replace')}"
    yield ""
    try:
        yield response.body.decode()
    except UnicodeDecodeError:
        yield f"({len(response.body)} bytes of {response.get('content-type') or 'an unknown type'})"


def summary(told: Told) -> str:
    """ "3.4 ms, init 185 ms, memory 35 of 128 MB, this machine (CPython 3.12.1, mount namespace)"."""
    return f"{figures(told.invocation, told.limit)}, {told.where}"


def figures(invocation: Invocation, limit: int) -> str:
    """Durations, and the memory of `limit` MB."""
    parts = [milliseconds(invocation.seconds)]
    if invocation.init:
        parts.append(f"init {milliseconds(invocation.init.seconds)}")
    parts.append(f"memory {invocation.memory // MEGABYTE} of {limit} MB")
    return ", ".join(parts)


def failure(told: Told) -> FunctionFailed | None:
    """What went wrong, in our words."""
    if told.refused:
        return FunctionFailed(
            f"the front does not take its answer: {told.refused}",
            where=told.function,
            cure="docs/lambda-wsgi.md says what each front takes; the shim's layer answers as the front wants it",
        )
    if told.invocation.failure:
        return failed(told.function, told.invocation.failure, told.blame)
    return None


def failed(function: str, failure: Failure, blame: Blame | None) -> FunctionFailed:
    """The error of a failed function, with the user's file and line where they are known."""
    where = f"{blame.file}:{blame.line}" if blame and blame.file and blame.line else (blame.file if blame else "")
    lines = [blame.code.strip()] if blame and blame.code else []
    lines += failure.cause
    what = f"{failure.type}: {failure.message}" if failure.type else failure.message
    return FunctionFailed(
        what, where=f"{function}: {where}" if where else function, why="\n".join(lines),
        cure=blame.advice if blame else "",
    )  # fmt: skip


def as_json(told: Told) -> dict[str, Any]:
    """The same for programs: durations in milliseconds, memory in bytes, a body that is no text in base64."""
    invocation, response = told.invocation, told.response
    payload, text = _payload(invocation)
    return {
        "function": told.function,
        "request_id": invocation.request_id,
        "response": _response_json(response) if response else None,
        "payload": payload,
        **({"payload_text": text} if text else {}),
        "error": _error_json(told) if invocation.failure or told.refused else None,
        "duration_ms": round(invocation.seconds * 1000, 3),
        "init_ms": round(invocation.init.seconds * 1000, 3) if invocation.init else None,
        "memory_bytes": invocation.memory,
        "log": list(invocation.log),
        "where": told.where,
        "unlike_lambda": list(told.unlike),
    }


def _payload(invocation: Invocation) -> tuple[Any, str]:
    """What the handler's answer says; or, where it is no JSON (a handler may return bytes), its text."""
    if not invocation.payload:
        return None, ""
    try:
        return strict_json(invocation.payload), ""
    except (ValueError, RecursionError):
        return None, invocation.payload


def _response_json(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = {
        "status": response.status,
        "headers": [[name, value.encode("latin-1").decode("utf-8", "replace")] for name, value in response.headers],
    }
    try:
        found["body"] = response.body.decode()
    except UnicodeDecodeError:
        found["body_base64"] = b64encode(response.body).decode()
    return found


def _error_json(told: Told) -> dict[str, Any]:
    found, error = told.blame, told.invocation.failure
    if not error:
        return {"type": "refused by the front", "message": told.refused}
    return {
        "type": error.type,
        "message": error.message,
        "trace": list(error.trace),
        "cause": list(error.cause),
        "file": found.file if found else "",
        "line": found.line if found else 0,
        "missing": found.missing if found else "",
        "to_do": found.advice if found else "",
    }
