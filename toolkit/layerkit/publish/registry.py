"""What publishing needs of AWS, one region each: `aws` has the real ones, tests have others.

Each method is one call, waits for its turn (`pace.Limiter`), is never repeated here, and raises a CallFailed.
"""

from __future__ import annotations

from typing import Protocol

from layerkit.publish.nouns import Candidate, LayerVersion, Policy, Room, Statement, Stored


class Turns(Protocol):
    """Whose turn it is to call: every call of one region goes through one of these."""

    def turn(self) -> None:
        """Return when the next call may start."""

    def slow_down(self, after: float = 0) -> None:
        """AWS was called too fast, and asks to wait this many seconds; 0: it does not say."""


class LayerRegistry(Protocol):
    """Lambda's layers in one region of one account."""

    region: str

    def newest(self, name: str, *, runtime: str = "", architecture: str = "", count: int = 1) -> list[LayerVersion]:
        """The newest versions (at most `count`, 1 to 50), newest first, without hashes; none for an unknown layer.

        With a runtime or an architecture: of the versions that carry these tags.
        """

    def get(self, name: str, version: int) -> LayerVersion | None:
        """A version with its hash and size; None when there is no such version."""

    def publish(self, candidate: Candidate, stored: Stored | None = None) -> LayerVersion:
        """Publish, from the request itself or from a bucket.  Raises Unanswered when the outcome is not known."""

    def delete(self, name: str, version: int) -> None:
        """Delete a version; an absent one is no failure."""

    def policy(self, name: str, version: int) -> Policy:
        """An empty one where there is none."""

    def share(self, name: str, version: int, statement: Statement) -> None:
        """Add a statement; one with its id that is there already is no failure: ids derive from content."""

    def unshare(self, name: str, version: int, sid: str) -> None:
        """Remove a statement; an absent one is no failure."""

    def room(self) -> Room:
        """The account's code storage in this region."""


class Bucket(Protocol):
    """Where zips go that are too large for a request, in one region."""

    def put(self, candidate: Candidate) -> Stored:
        """Upload the zip unless the very same is there."""

    def left(self, candidate: Candidate) -> Stored | None:
        """The very zip that an earlier run has left; None where there is none, or nobody tells."""

    def discard(self, stored: Stored) -> None:
        """Delete the object; an absent one is no failure."""


class Parameters(Protocol):
    """SSM's parameters in one region."""

    def get(self, names: tuple[str, ...]) -> dict[str, str]:
        """The values of those that exist."""

    def put(self, name: str, value: str) -> None:
        """Write a parameter, over what it was."""


class Region(Protocol):
    """All of one region.  What is not used is not made."""

    name: str
    layers: LayerRegistry

    @property
    def bucket(self) -> Bucket | None: ...

    @property
    def parameters(self) -> Parameters: ...
