"""What an upload says of its own bytes, and whether that is so; bodies in aws-chunked form."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable
from io import BytesIO

from aws_standin.nouns import Refused, Request

COMPUTED: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}
TAKEN = {"crc32c": 4, "crc64nvme": 8}  # bytes; kept and told again, but not checked: not in the standard library
PREFIX = "x-amz-checksum-"


def checksum(algorithm: str, data: bytes) -> str:
    """In base64, of crc32, sha1 or sha256."""
    return base64.b64encode(COMPUTED[algorithm](data)).decode()


def decoded(request: Request) -> tuple[bytes, dict[str, str]]:
    """An upload's bytes, and the checksums that came with them.  Raises Refused when they disagree."""
    data, trailer = request.body, dict[str, str]()
    if "aws-chunked" in request.header("content-encoding"):
        data, trailer = _unchunked(data)
        if request.header("x-amz-decoded-content-length") not in ("", str(len(data))):
            raise Refused("IncompleteBody", "The request body terminated unexpectedly")
    headers = {**request.headers, **trailer}
    given = {
        name: headers[PREFIX + name] for name in (*COMPUTED, *TAKEN) if PREFIX + name in headers
    }  # "-algorithm", "-mode" and "-type" begin like this, too
    if len(given) > 1:
        raise Refused(
            "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    for algorithm, value in given.items():
        _check(algorithm, value, data)
    _check_digests(headers, data)
    return data, given


def _check(algorithm: str, value: str, data: bytes) -> None:
    size = TAKEN.get(algorithm) or len(COMPUTED[algorithm](b""))
    try:
        well_formed = len(base64.b64decode(value, validate=True)) == size
    except binascii.Error:
        well_formed = False
    if not well_formed:
        raise Refused("InvalidRequest", f"Value for {PREFIX}{algorithm} header is invalid.")
    if algorithm in COMPUTED and checksum(algorithm, data) != value:
        words = f"The {algorithm.upper()} you specified did not match the calculated checksum."
        raise Refused("BadDigest", words)


def _check_digests(headers: dict[str, str], data: bytes) -> None:
    md5 = headers.get("content-md5")
    if md5 and md5 != base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode():
        raise Refused("BadDigest", "The Content-MD5 you specified did not match what we received.")
    sha256 = headers.get("x-amz-content-sha256", "")
    if len(sha256) == 64 and sha256 != hashlib.sha256(data).hexdigest():  # others say how the body is signed
        words = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise Refused("XAmzContentSHA256Mismatch", words)


def _unchunked(body: bytes) -> tuple[bytes, dict[str, str]]:
    """size[;chunk-signature=…] CRLF bytes CRLF … 0 CRLF trailer CRLF."""
    stream, parts = BytesIO(body), []
    while size := int(stream.readline().split(b";")[0], 16):
        parts.append(stream.read(size))
        stream.readline()
    trailer = {}
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(":")
        trailer[name.lower()] = value.strip()
    return b"".join(parts), trailer
