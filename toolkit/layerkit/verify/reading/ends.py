"""The end record of a zip: where its directory is, and where that does not fit the file.

Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from layerkit.archive import END

At = Callable[[int, int], bytes]  # the file's bytes: how many, from where on; fewer at its end

END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
LONGEST_COMMENT = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The end record, with what a zip64 one says instead."""

    start: int  # where the records at the end begin
    parts: bool  # it is one of several files
    count: int
    size: int  # of the directory
    offset: int  # of the directory
    zip64: bool = False


def find(at: At, size: int, damage: list[str]) -> End | None:
    """The last end record whose comment ends with the file, else the last one at all."""
    base = max(0, size - END.size - LONGEST_COMMENT)
    tail = at(size - base, base)
    found = [place for place in _places(tail, b"PK\5\6") if place + END.size <= len(tail)]
    fitting = [place for place in found if place + END.size + _comment(tail, place) == len(tail)]
    if not found:
        damage.append(_no_end(at, size))
        return None
    place = fitting[-1] if fitting else found[-1]
    behind = len(tail) - place - END.size - _comment(tail, place)
    if behind > 0:
        damage.append(f"{behind:,} bytes stand behind its end")
    elif behind < 0:
        damage.append(f"it is cut off: the last {-behind:,} bytes of its comment are missing")
    elif len(fitting) > 1 or place != found[-1]:
        damage.append("it has two end records, so that two readers would read two zips")
    return _records(at, base + place, tail[place : place + END.size], damage)


def _places(data: bytes, what: bytes) -> list[int]:
    places, place = [], data.find(what)
    while place >= 0:
        places.append(place)
        place = data.find(what, place + 1)
    return places


def _comment(tail: bytes, place: int) -> int:
    return int.from_bytes(tail[place + END.size - 2 : place + END.size], "little")


def _no_end(at: At, size: int) -> str:
    if not size:
        return "it is no zip: the file is empty"
    if at(4, 0) == b"PK\3\4":
        return "it is cut off: it begins as a zip, and has no end record"
    return "it is no zip: it neither begins nor ends as one"


def _records(at: At, place: int, record: bytes, damage: list[str]) -> End:
    _, disk, first, here, count, size, offset, _ = END.unpack(record)
    parts = (disk, first) != (0, 0) or here != count
    plain = End(start=place, parts=parts, count=count, size=size, offset=offset)
    locator = at(LOCATOR.size, place - LOCATOR.size) if place >= LOCATOR.size else b""
    if locator[:4] != b"PK\6\7":
        return plain
    _, part, where, files = LOCATOR.unpack(locator)
    beside = place - LOCATOR.size - END64.size  # where readers look that do not trust the locator
    for start in dict.fromkeys((where, beside)):
        wide = at(END64.size, start) if 0 <= start <= beside else b""
        if wide[:4] == b"PK\6\6":
            break
    else:
        damage.append("its zip64 end record is not where its locator says")
        return plain
    if where != beside:
        damage.append("its zip64 end record is not where its locator says, right before it")
    _, _, _, _, disk, first, here, count64, size64, offset64 = END64.unpack(wide)
    told = ((count, count64, 0xFFFF), (size, size64, 0xFFFFFFFF), (offset, offset64, 0xFFFFFFFF))
    if any(narrow not in (full, actual) for narrow, actual, full in told):
        damage.append("its two end records differ, so that two readers would read two zips")
    parts = (part, disk, first) != (0, 0, 0) or files > 1 or here != count64
    return End(start=start, parts=parts, count=count64, size=size64, offset=offset64, zip64=True)


def place(at: At, end: End, damage: list[str]) -> tuple[int, int]:
    """Where the directory begins (-1: nowhere), and how far all offsets are off."""
    gap = end.start - end.size - end.offset
    if not gap:
        return end.offset, 0
    if end.offset + end.size < end.start and at(4, end.offset) == b"PK\1\2":
        damage.append(f"{gap:,} bytes stand between its directory and its end")
        return end.offset, 0
    if gap > 0:
        damage.append(f"{gap:,} bytes stand before it, so that all its offsets are wrong by as many")
        return end.offset + gap, gap
    damage.append(f"it is cut off: {-gap:,} bytes of it are missing")
    return (end.start - end.size, gap) if end.size <= end.start else (-1, 0)
