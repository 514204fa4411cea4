"""What passes between the parts of the stand-in: a request, what answers it, a refusal, a line of the log."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Json = dict[str, Any]
CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")

UNSIGNED = "-"  # instead of an access key, where none is needed
MOST = 65536  # bytes of a form that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request; names of headers are in lower case, the path is decoded."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    @property
    def signer(self) -> tuple[str, str, str]:
        """Access key, region and service that it is signed for; empty when it is not signed.

        AssumeRoleWithWebIdentity "does not require the use of AWS security credentials" (STS API reference); where
        it was sent to is all that would tell its region.
        """
        found = CREDENTIAL.search(self.header("authorization")) or CREDENTIAL.search(unquote(self.target))
        if not found and b"Action=AssumeRoleWithWebIdentity" in self.body[:MOST]:
            return UNSIGNED, "us-east-1", "sts"
        return (found[1], found[2], found[3]) if found else ("", "", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`resource` is what the log shall say, when the request alone does not tell (the version that was made)."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    resource: str = ""


def answer(document: Any, status: int = 200, *, resource: str = "", **headers: str) -> Answer:
    """A JSON answer; `_` in the names of headers stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b"" if document is None else json.dumps(document).encode()
    return Answer(status=status, body=body, headers={"Content-Type": "application/json", **named}, resource=resource)


class Refused(Exception):
    """AWS says no.  `status` 0: the one that the code has in the service.

    `extra`, for S3: elements of the document (`Key`), and headers (`x_amz_delete_marker`).
    """

    def __init__(self, code: str, message: str, status: int = 0, **extra: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.extra = code, message, status, extra


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A line of the log.  `status` 0: no answer was made (or not yet); `dropped`: none was sent."""

    time: float
    region: str
    service: str
    operation: str
    status: int
    dropped: bool
    size: int
    resource: str
    needs: tuple[tuple[str, str], ...] = ()  # which actions on which resources a policy must allow for it
