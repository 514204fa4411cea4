"""Lambda WSGI adapter: an HTTP event of Lambda in, a WSGI app called, the answer that the front expects out."""

from __future__ import annotations

from lambda_wsgi._answer import answer
from lambda_wsgi._environ import environ

__all__ = ["handle_request"]

TYPE_CHECKING = False  # typing costs 5 ms of a cold start
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def handle_request(app: Any, event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The answer of the WSGI `app` to `event`, a request of API Gateway (payload 1.0 or 2.0), a function URL or an
    Application Load Balancer.

    Raises ValueError for an event that is no HTTP request.
    """
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if started and exc_info is None:
            raise AssertionError("start_response was called twice without exc_info")  # PEP 3333
        started[:] = [(status, headers)]
        return written.append

    body = app(environ(event, context), start_response)
    try:
        chunks = list(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    status, headers = started[0]
    return answer(event, status, headers, b"".join(written + chunks))
