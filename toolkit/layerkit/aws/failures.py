"""What can become of one call to AWS.  Nothing here ends the program: `apply` and `pipeline` decide what follows."""

from __future__ import annotations


class CallFailed(Exception):
    """A call to AWS that gave no answer, or a refusal.  `words` hold no credentials.

    `cure` is what the user can do about it, empty where nothing is known; `after` is how long AWS asks to wait, in
    seconds, and 0 where it does not say.
    """

    def __init__(
        self, operation: str, region: str, code: str, words: str, *, cure: str = "", after: float = 0
    ) -> None:
        super().__init__(f"{operation} in {region}: {code}: {words}")
        self.operation, self.region, self.code, self.words = operation, region, code, words
        self.cure, self.after = cure, after


class Unanswered(CallFailed):
    """No answer, a timeout after sending, or a 5xx: nobody knows whether the work was done."""


class Unreachable(CallFailed):
    """No connection could be made: the work was not done."""


class Throttled(CallFailed):
    """Too many requests: the work was not done."""


class Rejected(CallFailed):
    """AWS says no, and would say so again."""


class NotEnabled(Rejected):
    """The account has not enabled the region (UnrecognizedClientException)."""


class CredentialsRefused(Rejected):
    """The credentials have expired, or are none: no call in any region will do."""


class Denied(Rejected):
    """The credentials may not do this (AccessDeniedException)."""


class TagsUnsupported(Rejected):
    """The region takes no architecture tags."""


class Stale(Rejected):
    """What should be changed is not what was read any more (PreconditionFailedException): read it again."""


class Busy(Rejected):
    """An update of the function is under way (ResourceConflictException): wait, and read it again."""
