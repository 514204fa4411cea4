"""How Lambda is called in one region: one request at a time, at its turn, and what its failures mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from layerkit.aws.calls import told
from layerkit.aws.failures import Rejected, Throttled, Unanswered
from layerkit.aws.registry import Turns

ABSENT = "ResourceNotFoundException"


class Calls:
    """botocore's client of Lambda, as layerkit uses it."""

    def __init__(self, region: str, limiter: Turns, client: Any) -> None:
        """`client` must repeat nothing by itself."""
        self._region, self._limiter, self._client = region, limiter, client

    def __call__(self, method: str, **given: Any) -> Any:
        """The answer to one request, made at its turn.  Raises CallFailed."""
        self._limiter.turn()
        try:
            with told(self._client.meta.method_to_api_mapping[method], self._region):
                return getattr(self._client, method)(**given)
        except Throttled as failure:
            self._limiter.slow_down(failure.after)
            raise

    def found(self, method: str, **given: Any) -> Any:
        """As a call; None where there is no such thing."""
        try:
            return self(method, **given)
        except Rejected as failure:
            if failure.code == ABSENT:
                return None
            raise


@contextmanager
def whole(operation: str, region: str) -> Iterator[None]:
    """An answer that lacks what is read of it within is none: botocore makes a success of one that was cut short."""
    try:
        yield
    except (KeyError, ValueError):
        raise Unanswered(operation, region, "IncompleteAnswer", "AWS's answer is not whole") from None


def given(**values: Any) -> dict[str, Any]:
    """Those that are not empty."""
    return {name: value for name, value in values.items() if value}
