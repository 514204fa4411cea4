"""What the handler shim's tests ask, through which fronts, and in which context."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from layerkit import fronts
from layerkit.fronts import Front, HttpApi2, Request

Environ = dict[str, Any]
Handler = Callable[[Any, Any], Any]
CONTEXT = SimpleNamespace(aws_request_id="request-1")
FRONTS = [
    fronts.RestApi(), fronts.HttpApi1(), fronts.HttpApi2(), fronts.FunctionUrl(),
    fronts.LoadBalancer(), fronts.LoadBalancerLists(), fronts.LatticeV1(), fronts.LatticeV2(),
]  # fmt: skip
API = HttpApi2()
SECRET = "s3cret"


def ask(
    handler: Handler,
    method: str = "GET",
    target: str = "/",
    *headers: tuple[str, str],
    body: bytes = b"",
    front: Front = API,
) -> fronts.Response:
    sent = Request(method=method, target=target, headers=headers, body=body)
    return front.response(handler(front.event(sent), CONTEXT), sent)
