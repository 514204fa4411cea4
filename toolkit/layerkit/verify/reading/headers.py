"""The headers before each entry's data: where the data begins, and what they say otherwise than the directory.

What is read front to back (a stream) believes these headers, what is read by the directory does not; an entry that
both do not see alike is two files.  Overlapping entries: David Fifield, "A better zip bomb" (2019).
"""

from __future__ import annotations

from dataclasses import dataclass

from layerkit.archive import DEFLATED, LOCAL, STORED, UTF8
from layerkit.verify.facts import Entry, Kind
from layerkit.verify.reading.directory import ENCRYPTED, Directory, Listed, by_clause, zip64_sizes
from layerkit.verify.reading.ends import At

DESCRIBED = 0x8  # flag: sizes and CRC stand behind the data, and may be 0 before it
DESCRIPTORS = (12, 16, 20, 24)  # bytes of that: with a signature or without, of 32 or 64 bit
LONGEST_LINK = 4096  # Linux's PATH_MAX
# As much as is unpacked at all: twice AWS's limit for a function with all its layers.
MOST_UNPACKED = 2 * 262_144_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An entry and where its packed bytes begin in the file; `unread` says why they are not to be read."""

    entry: Entry
    start: int = 0
    unread: str = ""


def place(at: At, size: int, directory: Directory) -> tuple[list[Placed], list[str]]:
    """All entries in the directory's order, and what is wrong with them together."""
    told: dict[str, list[str]] = {}  # clause -> paths
    placed = []
    total = 0
    for one, limit in zip(directory.listed, _limits(directory), strict=True):
        total += one.entry.size
        start, clause = _start(at, one, limit, size)
        if clause:
            told.setdefault(clause, []).append(one.entry.path)
        elif not directory.damage and _is_followed(at, start + one.entry.packed_size, limit, one.flags):
            told.setdefault("an entry that the directory does not list stands behind it", []).append(one.entry.path)
        unread = clause if start < 0 else _unread(one.entry, total)
        placed.append(Placed(entry=one.entry, start=start, unread=unread))
    damage = list(by_clause(told))
    first = min((one.offset for one in directory.listed), default=0)
    if first > 0 and not directory.damage:
        damage.append(f"{first:,} bytes stand before its first entry")
    return placed, damage


def _unread(entry: Entry, total: int) -> str:
    if entry.encrypted:
        return "it is encrypted"
    if entry.method not in (STORED, DEFLATED):
        return f"it is packed by method {entry.method}"
    if total > MOST_UNPACKED:
        return f"not read: the zip holds more than {MOST_UNPACKED:,} bytes unpacked"
    if entry.kind is not Kind.FILE and entry.size > LONGEST_LINK:
        return f"it is a {entry.kind} of {entry.size:,} bytes"
    return ""


def _limits(directory: Directory) -> list[int]:
    """Where the entry behind each one begins, or the directory."""
    listed, end = directory.listed, directory.start
    limits = [0] * len(listed)
    for index in sorted(range(len(listed)), key=lambda index: listed[index].offset, reverse=True):
        limits[index] = end
        end = min(end, listed[index].offset)
    return limits


def _start(at: At, one: Listed, limit: int, size: int) -> tuple[int, str]:
    """Where its packed bytes begin, or -1, and a clause on what is wrong."""
    entry = one.entry
    header = at(LOCAL.size + len(one.name), one.offset) if 0 <= one.offset < size else b""
    if len(header) < LOCAL.size or header[:4] != b"PK\3\4":
        return -1, "the directory points to a place where no entry begins"
    _, _, flags, method, _, _, crc, packed_size, full_size, name_size, extra_size = LOCAL.unpack_from(header)
    start = one.offset + LOCAL.size + name_size + extra_size
    if start + entry.packed_size > size:
        return -1, "the file ends before the data does"
    if start + entry.packed_size > limit:
        return -1, "the data overlaps with the entry behind it, or with the directory"
    if 0xFFFFFFFF in (packed_size, full_size):
        extra = at(extra_size, start - extra_size)
        full_size, packed_size = zip64_sizes(extra, full_size, packed_size)
    described = bool(flags & DESCRIBED)
    asked = ENCRYPTED | DESCRIBED | (0 if one.name.isascii() else UTF8)
    same = {
        "name": name_size == len(one.name) and header[LOCAL.size :] == one.name,
        "method": method == entry.method,
        "flags": (flags ^ one.flags) & asked == 0,
        "size": _is_same(full_size, entry.size, described),
        "packed size": _is_same(packed_size, entry.packed_size, described),
        "CRC-32": _is_same(crc, entry.crc, described),
    }
    wrong = " and another ".join(what for what, is_same in same.items() if not is_same)
    return start, f"the header gives another {wrong} than the directory" if wrong else ""


def _is_same(local: int, listed: int, described: bool) -> bool:
    return local == listed or (described and local in (0, 0xFFFFFFFF))


def _is_followed(at: At, end: int, limit: int, flags: int) -> bool:
    """Whether a header stands where a stream's reader would look for the next one, before the one that is listed."""
    places = [end, *(end + size for size in DESCRIPTORS if flags & DESCRIBED)]
    return any(place + LOCAL.size <= limit and at(4, place) == b"PK\3\4" for place in places)
