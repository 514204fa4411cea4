"""What layerkit needs of AWS, one region each: `account` has the real ones, tests have others.

Each method is one call, waits for its turn (`pace.Limiter`), is never repeated here, and raises a CallFailed.
"""

from __future__ import annotations

from typing import Protocol

from layerkit.aws.nouns import Alias, Candidate, FunctionVersion, LayerVersion, Policy, Room, Statement, Stored


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

    @property
    def layers(self) -> LayerRegistry: ...

    @property
    def bucket(self) -> Bucket | None: ...

    @property
    def parameters(self) -> Parameters: ...


class LayerHistory(Protocol):
    """All that Lambda has of layers in one region of one account."""

    region: str

    def names(self, marker: str = "") -> tuple[list[LayerVersion], str]:
        """The newest version of each of up to 50 layers, without hashes, and the next page's marker, "" for none."""

    def page(self, name: str, marker: str = "") -> tuple[list[LayerVersion], str]:
        """Up to 50 versions, newest first, without hashes, and the marker of the next page; "": there is none."""

    def newest(self, name: str, *, runtime: str = "", architecture: str = "", count: int = 1) -> list[LayerVersion]:
        """As LayerRegistry.newest."""

    def get(self, name: str, version: int) -> LayerVersion | None:
        """As LayerRegistry.get; `name` may also be a layer's ARN without a version, of another account, too."""

    def delete(self, name: str, version: int) -> None:
        """Delete a version; an absent one is no failure."""

    def policy(self, name: str, version: int) -> Policy:
        """An empty one where there is none."""

    def room(self) -> Room:
        """The account's code storage in this region."""


class ParameterTree(Protocol):
    """SSM's parameters in one region, found by what they say."""

    def under(self, path: str, marker: str = "") -> tuple[dict[str, str], str]:
        """Up to 10 parameters at any depth below `path` ("/": all) that are no secrets, with their values; marker."""

    def delete(self, name: str) -> None:
        """Delete a parameter; an absent one is no failure."""


class Functions(Protocol):
    """Lambda's functions in one region of one account."""

    region: str

    def page(self, marker: str = "") -> tuple[list[FunctionVersion], str]:
        """Up to 50 of all functions and all their versions ($LATEST among them), and the marker of the next page."""

    def get(self, name: str, version: str = "") -> FunctionVersion | None:
        """A function, or a version of it, which may also be named by an alias; None when there is none."""

    def attach(self, name: str, layers: tuple[str, ...], revision: str) -> FunctionVersion:
        """Give $LATEST exactly these layers, if its revision is still this one.

        Raises Stale when it is not, Busy while another update is under way, Unanswered when the outcome is not known.
        """

    def publish(self, name: str, revision: str) -> FunctionVersion:
        """Make a version of $LATEST; AWS gives the last one again when nothing has changed.  Raises as `attach`."""

    def aliases(self, name: str, marker: str = "") -> tuple[list[Alias], str]:
        """Up to 50 aliases of a function, and the marker of the next page; none for an unknown function."""

    def alias(self, name: str, alias: str) -> Alias | None:
        """An alias; None when there is none."""

    def point(self, name: str, alias: str, version: str, revision: str) -> Alias:
        """Let an alias name another version, if its revision is still this one.  Raises as `attach`."""


class Estate(Protocol):
    """What there is in one region, for who lists it, prunes it, or attaches it.  What is not used is not made."""

    name: str

    @property
    def layers(self) -> LayerHistory: ...

    @property
    def functions(self) -> Functions: ...

    @property
    def parameters(self) -> ParameterTree: ...
