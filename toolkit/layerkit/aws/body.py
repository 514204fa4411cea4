"""The body of a publish request, streamed from the disk: no zip is held, however many regions are published to.

botocore takes the zip as bytes, makes base64 of them and JSON of that: 2.7 times the zip, in each region at once.
Here it is given the zip's hash in the zip's place, and before it signs and sends, the body that it made is replaced
by one that reads the file: once for the signature (SigV4 needs the body's hash), and once to be sent.
"""

from __future__ import annotations

import io
import json
import uuid
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from typing import Any, BinaryIO

from layerkit.aws.nouns import Candidate
from layerkit.errors import ContentError, MachineError

BLOCK = 3 * 16 * 1024  # bytes that are read at once; a multiple of 3: base64 is padded at the very end alone
EVENT = "before-call.lambda.PublishLayerVersion"


class Body:
    """What botocore and http.client need of a file: its length, reading on, and going back to the start."""

    def __init__(self, zip_file: BinaryIO, candidate: Candidate, made: bytes) -> None:
        """`made` is the JSON that botocore made, with something in `Content.ZipFile`."""
        fields, place = json.loads(made), uuid.uuid4().hex
        fields["Content"]["ZipFile"] = place
        before, _, after = json.dumps(fields).partition(place)
        self._before, self._after = before.encode(), after.encode()
        self._file, self._candidate = zip_file, candidate
        self.seek(0)

    def __len__(self) -> int:
        return len(self._before) + (self._candidate.size + 2) // 3 * 4 + len(self._after)

    def tell(self) -> int:
        return self._told

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset or whence != io.SEEK_SET:
            raise io.UnsupportedOperation("a request's body goes back to its start alone")
        self._blocks, self._rest, self._told = self._read(), memoryview(b""), 0
        return 0

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, and at most a block's; none at the end.  Raises ContentError as `blocks` does."""
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        count = len(self._rest) if size < 0 else min(size, len(self._rest))
        found, self._rest = bytes(self._rest[:count]), self._rest[count:]
        self._told += count
        return found

    def _read(self) -> Iterator[bytes]:
        yield self._before
        yield from map(b64encode, blocks(self._file, self._candidate))
        yield self._after


def blocks(zip_file: BinaryIO, candidate: Candidate) -> Iterator[bytes]:
    """The zip from its start.  Raises ContentError, before the last block, when its bytes are not the verified ones.

    What ends with that error was never sent whole, so nothing is published.
    """
    digest, left = sha256(), candidate.size
    with _reading(candidate):
        zip_file.seek(0)
    while left:
        with _reading(candidate):
            block = zip_file.read(min(BLOCK, left))
        digest.update(block)
        left -= len(block)
        if not block or (not left and digest.hexdigest() != candidate.sha256):
            raise _changed(candidate)
        yield block


@contextmanager
def opened(candidate: Candidate) -> Iterator[BinaryIO]:
    """The zip, which has the size that was verified; raises ContentError, and MachineError when it cannot be read."""
    with _reading(candidate):
        zip_file = candidate.path.open("rb")
    with zip_file:
        if zip_file.seek(0, io.SEEK_END) != candidate.size:
            raise _changed(candidate)
        yield zip_file


_SENT: ContextVar[tuple[BinaryIO, Candidate] | None] = ContextVar("sent", default=None)  # each thread has its own


@contextmanager
def sending(candidate: Candidate) -> Iterator[bytes]:
    """What to give as ZipFile to a client that `stream` was called with, for one call made within, in this thread."""
    with opened(candidate) as zip_file:
        before = _SENT.set((zip_file, candidate))
        try:
            yield bytes.fromhex(candidate.sha256)
        finally:
            _SENT.reset(before)


def stream(client: Any) -> None:
    """Let botocore's Lambda client send the zips of `sending`."""
    client.meta.events.register(EVENT, _replace)


def _replace(params: dict[str, Any], **_: Any) -> None:
    """Called by botocore with the request, before its length and its signature are made."""
    if sent := _SENT.get():
        params["body"] = Body(*sent, made=params["body"])


@contextmanager
def _reading(candidate: Candidate) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(
            "cannot be read", where=str(candidate.path), why=str(error), cure="check the file, its mode and its disk"
        ) from None


def _changed(candidate: Candidate) -> ContentError:
    return ContentError(
        "has changed since it was verified, so it is not published",
        where=str(candidate.path),
        cure="let nothing else write there, and build it again: layerkit build",
    )
