"""The bytes of one entry, checked against what the zip declares; never more of them than it declares."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from layerkit.archive import DEFLATED, STORED
from layerkit.verify.reading.ends import At
from layerkit.verify.reading.headers import Placed

PIECE = 1 << 20  # bytes unpacked at a time
BLOCK = 1 << 18  # bytes packed

Content = bytes | bytearray


class Unreadable(ValueError):
    """The entry's bytes are damaged, or not what the zip declares; its text is a clause for Entry.unread."""


def whole(at: At, placed: Placed) -> Content:
    """All bytes of an entry that is small enough to be held.  Raises Unreadable."""
    import deflate

    entry = placed.entry
    packed = at(entry.packed_size, placed.start)
    if entry.method == STORED:
        content: Content = packed
    else:
        try:
            content = deflate.deflate_decompress(packed, entry.size) if entry.size else b""
        except deflate.DeflateError:
            content = b""
    if len(content) != entry.size or deflate.crc32(content) != entry.crc or not entry.size:
        return b"".join(pieces(at, placed))  # which says what is wrong
    return content


def pieces(at: At, placed: Placed) -> Iterator[bytes]:
    """An entry's bytes in pieces of PIECE, the last one shorter.  Raises Unreadable, at its end at the latest."""
    import deflate

    entry = placed.entry
    crc = total = 0
    for piece in _inflated(at, placed) if entry.method == DEFLATED else _blocks(at, placed, PIECE):
        total += len(piece)
        if total > entry.size:
            raise Unreadable(f"it unpacks to more than the {entry.size:,} bytes that the zip declares")
        crc = deflate.crc32(piece, crc)
        yield piece
    if total < entry.size:
        raise Unreadable(f"it unpacks to {total:,} bytes, and the zip declares {entry.size:,}")
    if crc != entry.crc:
        raise Unreadable(f"its CRC-32 is {crc:08x}, and the zip declares {entry.crc:08x}")


def _blocks(at: At, placed: Placed, size: int) -> Iterator[bytes]:
    """Its packed bytes."""
    place, end = placed.start, placed.start + placed.entry.packed_size
    while place < end:
        block = at(min(size, end - place), place)
        if not block:
            raise Unreadable("the file became shorter while it was read")
        place += len(block)
        yield block


def _inflated(at: At, placed: Placed) -> Iterator[bytes]:
    """Its bytes unpacked, in pieces of PIECE; it stops within a byte behind those that the zip declares."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = placed.entry.size + 1
    parts: list[bytes] = []
    missing = PIECE  # of the piece
    try:
        for block in _blocks(at, placed, BLOCK):
            rest, part = block, b"."
            while left and (rest or part) and not inflater.eof:
                part = inflater.decompress(rest, min(missing, left))
                rest = inflater.unconsumed_tail
                parts.append(part)
                left -= len(part)
                missing -= len(part)
                if not missing:
                    yield b"".join(parts)
                    parts, missing = [], PIECE
    except zlib.error as error:
        raise Unreadable(f"its deflated data is damaged: {str(error).rpartition(': ')[2]}") from None
    if left and not inflater.eof:
        raise Unreadable("its deflated data has no end")
    if missing < PIECE:
        yield b"".join(parts)
