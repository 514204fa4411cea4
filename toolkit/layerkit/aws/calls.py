"""What can become of a call, from what botocore raises: by table, and without anything secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

from layerkit.aws.cures import cure_for, missing
from layerkit.aws.failures import (
    Busy,
    CallFailed,
    CredentialsRefused,
    Denied,
    NotEnabled,
    Rejected,
    Stale,
    TagsUnsupported,
    Throttled,
    Unanswered,
    Unreachable,
)
from layerkit.errors import LayerkitError

# Source of the codes: FACTS of real answers; botocore's own list of throttles (data/_retry.json); the "Common errors"
# of the API references of Lambda, S3, STS, EC2 and Systems Manager.
KINDS: dict[type[CallFailed], tuple[str, ...]] = {
    Throttled: (
        "TooManyRequestsException", "ThrottlingException", "Throttling", "ThrottledException", "RequestThrottled",
        "RequestThrottledException", "RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown",
        "PriorRequestNotComplete", "EC2ThrottledException", "TooManyUpdates", "429",
    ),
    # NoSuchUpload: another run, or a clean-up of the bucket, ended a multipart upload
    Unanswered: (
        "RequestTimeout", "RequestTimeoutException", "InternalFailure", "InternalError", "NoSuchUpload", "408",
    ),
    NotEnabled: ("UnrecognizedClientException", "OptInRequired", "SubscriptionRequiredException"),
    CredentialsRefused: (
        "InvalidClientTokenId", "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired",
        "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    ),
    Denied: ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden", "403"),
    Stale: ("PreconditionFailedException",),
}  # fmt: skip
# Of the code and the words, both of which must be found.  A statement or function that exists is a ResourceConflict,
# too.  Words for one that is being made or changed: aws-cli#6718, serverless-application-model#2356, remotion#1186
WORDED: dict[type[CallFailed], tuple[str, str]] = {
    TagsUnsupported: ("", r"CompatibleArchitectures are not supported in"),
    Busy: (
        r"^ResourceConflictException$",
        r"\bis in progress\b|concurrent update|following state: '?Pending\b",
    ),
}
BOTOCORES: dict[type[CallFailed], tuple[str, ...]] = {  # by name in botocore.exceptions; the first that fits
    Unreachable: ("ConnectTimeoutError", "EndpointConnectionError", "ProxyConnectionError"),
    Unanswered: ("HTTPClientError", "ConnectionError", "IncompleteReadError"),
    CredentialsRefused: (
        "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError",
        "NoAuthTokenError", "UnknownCredentialError", "MetadataRetrievalError", "SSOError", "LoginError",
        "RefreshWithMFAUnsupportedError",
    ),
}  # fmt: skip
# botocore calls these by itself, for credentials, in the middle of another call
FOR_CREDENTIALS = re.compile(r"AssumeRole\w*|GetRoleCredentials|CreateToken|CreateOAuth2Token|GetSessionToken")
UNVERIFIED = re.compile(
    r"certificate.verify.failed|doesn't match|Hostname mismatch|Errno 2\b|X509|CA certificate", re.IGNORECASE
)

SECRETS = (  # AWS's words may hold what was signed, with the session's token
    (r"(?is)\b(the canonical string|the string-to-sign|string to sign|encoded authorization failure message).*", ""),
    (r"(?is)\bauthorization(=| header: ).*", ""),
    (r"(?i)\b(x-amz-[a-z-]+|signature|credential|awsaccesskeyid|token)(=|:\s?)[^\s&'\",]+", r"\1\2…"),
    (r"\b(AKIA|ASIA)[A-Z0-9]{8,}", r"\1…"),
    (r"(\w://)[^/\s@]*@", r"\1"),
    (r"[\w/+=-]{160,}", "…"),
)
LONGEST = 500  # characters


@contextmanager
def told(operation: str, region: str) -> Iterator[None]:
    """Turns what botocore raises within into the CallFailed that it means.

    Raises LayerkitError as it is, also out of botocore's wrapping: a zip that changed while it was sent.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    lost = (ResponseParserError, HTTPError, HTTPException, ConnectionError, TimeoutError)
    try:
        yield
    except (BotoCoreError, ClientError, *lost) as error:
        raise failure(error, operation, region) from None


def failure(error: Exception, operation: str, region: str) -> CallFailed | LayerkitError:
    """What an exception of botocore, urllib3 or http.client means."""
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        return _refused(error, operation, region)
    inner = getattr(error, "kwargs", {}).get("error")
    if isinstance(inner, LayerkitError):
        return inner
    code, words = type(error).__name__, plain(str(error))
    if isinstance(error, exceptions.SSLError):
        # a connection that breaks after the request was sent may be an SSLError, too
        return _make(Rejected if UNVERIFIED.search(words) else Unanswered, operation, region, code, words)
    if isinstance(error, exceptions.ProxyConnectionError):
        # urllib3 1.26 says so of any end of a connection through a proxy, also after the request was sent
        lost = isinstance(
            getattr(inner, "original_error", None), ConnectionResetError | BrokenPipeError | TimeoutError
        )
        return _make(Unanswered if lost else Unreachable, operation, region, code, words)
    for kind, names in BOTOCORES.items():
        if isinstance(error, tuple(getattr(exceptions, name) for name in names)):
            if kind is CredentialsRefused:  # a credential process's own words may be anything
                words = "no credentials can be had"
            return _make(kind, operation, region, code, words)
    kind = Rejected if isinstance(error, exceptions.BotoCoreError) else Unanswered
    return _make(kind, operation, region, code, words)


def rejected(operation: str, region: str, code: str, words: str, cure: str = "") -> Rejected:
    """A refusal of layerkit's own."""
    return Rejected(
        operation, region, code, words, cure=cure or cure_for(Rejected.__name__, operation, region, code, words)
    )


def plain(words: str) -> str:
    """One line of at most LONGEST characters without what was signed, keys, tokens, or a URL's user and password."""
    for pattern, instead in SECRETS:
        words = re.sub(pattern, instead, words)
    words = " ".join("".join(char if char.isprintable() else " " for char in words).split())
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


def _refused(error: Any, operation: str, region: str) -> CallFailed:
    """What AWS's refusal means."""
    answer = error.response.get("ResponseMetadata", {})
    code = str(error.response.get("Error", {}).get("Code", "")) or "Unknown"
    words = plain(str(error.response.get("Error", {}).get("Message", "")))
    status = int(answer.get("HTTPStatusCode", 0))
    kind = next((kind for kind, codes in KINDS.items() if code in codes), Rejected)
    if kind is not Throttled:
        if status == 429:
            kind = Throttled
        elif status >= 500:
            kind = Unanswered
        elif FOR_CREDENTIALS.fullmatch(error.operation_name):
            kind, words = CredentialsRefused, f"{error.operation_name}: {words}"
        else:
            worded = (one for one, patterns in WORDED.items() if all(map(re.search, patterns, (code, words))))
            kind = next(worded, kind)
    if kind is Throttled:
        headers = answer.get("HTTPHeaders", {})
        return _make(kind, operation, region, code, words, after=_seconds(error.response, headers))
    need = missing(error.operation_name, words) if kind is Denied and "explicit deny" not in words else ""
    return _make(kind, operation, region, code, words, need)


def _seconds(answer: dict[str, Any], headers: dict[str, str]) -> float:
    """What a throttle asks to wait; a date instead of seconds is not made use of."""
    for found in (headers.get("retry-after"), answer.get("retryAfterSeconds")):
        if re.fullmatch(r"[0-9]{1,5}(\.[0-9]+)?", str(found)):
            return float(str(found))
    return 0


def _make(
    kind: type[CallFailed], operation: str, region: str, code: str, words: str, cure: str = "", after: float = 0
) -> CallFailed:
    cure = cure or cure_for(kind.__name__, operation, region, code, words)
    return kind(operation, region, code, words, cure=cure, after=after)
