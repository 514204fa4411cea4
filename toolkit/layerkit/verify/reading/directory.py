"""The directory of a zip: what it says of each entry; of a file that is no whole zip, what there is of it.

Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.12, 4.4 and 4.5.
"""

from __future__ import annotations

import calendar
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from layerkit.archive import CENTRAL, MOST_ENTRIES
from layerkit.verify.facts import Entry, Kind
from layerkit.verify.reading import ends
from layerkit.verify.reading.ends import At

# Memory is bounded by these two; more files than that need zip64.
MOST_BYTES = 16 << 20
NEWEST = 63  # version of the format, 6.3
UNIX, MAC = 3, 19  # who made it: their attributes have a mode (APPNOTE 4.4.2; 19 is macOS)
DOS = (0, 10, 11, 14)  # MS-DOS, NTFS, NTFS as Info-ZIP numbers it, VFAT
DOS_FOLDER = 0x10
KINDS = {0o04: Kind.FOLDER, 0o12: Kind.LINK, 0o10: Kind.FILE, 0: Kind.FILE}  # st_mode >> 12; all others are special
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags: at all, strongly, with the directory
PATCH = 0x20
CONTROL = {number: f"\\x{number:02x}" for number in (*range(0x20), 0x7F)}
ZIP64, UNICODE_PATH = 0x0001, 0x7075  # ids of extra fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An entry as the directory lists it; `entry` knows nothing of its content yet."""

    entry: Entry
    name: bytes
    flags: int
    offset: int  # of its local header


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    listed: tuple[Listed, ...] = ()
    damage: tuple[str, ...] = ()
    zip64: bool = False
    start: int = 0  # where it begins in the file, and where the entries end


def read(at: At, size: int) -> Directory:
    """The directory of a file of `size` bytes."""
    damage: list[str] = []
    end = ends.find(at, size, damage)
    if end is None:
        return Directory(damage=tuple(damage))
    if end.parts:
        damage.append("it is one part of a zip in several files")
    start, shift = ends.place(at, end, damage)
    if start < 0 or end.size > MOST_BYTES:
        if start >= 0:
            damage.append(f"its directory has {end.size:,} bytes, more than the {MOST_BYTES:,} that are read")
        return Directory(damage=tuple(damage), zip64=end.zip64)
    listed = tuple(_listed(at(end.size, start), shift, damage))
    if end.count != len(listed) and len(listed) < MOST_ENTRIES:
        damage.append(f"its end record counts {end.count:,} entries, and its directory lists {len(listed):,}")
    zip64 = end.zip64 or any(one.entry.zip64 for one in listed)
    return Directory(listed=listed, damage=tuple(damage), zip64=zip64, start=start)


def _listed(data: bytes, shift: int, damage: list[str]) -> Iterator[Listed]:
    place = 0
    told: dict[str, list[str]] = {}  # clause -> paths
    for _ in range(MOST_ENTRIES):
        if place == len(data):
            break
        if data[place : place + 4] != b"PK\1\2" or place + CENTRAL.size > len(data):
            damage.append(f"its directory is damaged: no entry is at its byte {place:,}")
            break
        fields = CENTRAL.unpack_from(data, place)
        begin = place + CENTRAL.size
        name_end = begin + fields[10]
        extra_end = name_end + fields[11]
        place = extra_end + fields[12]
        if place > len(data):
            damage.append("its directory is cut off in its last entry")
            break
        extra = data[name_end:extra_end]
        one = _one(fields, data[begin:name_end], extra, shift)
        if clause := _doubt(fields, one, extra):
            told.setdefault(clause, []).append(one.entry.path)
        yield one
    else:
        if place < len(data):
            damage.append(f"its directory lists more than {MOST_ENTRIES:,} entries, and the others were not read")
    damage += by_clause(told)


def by_clause(told: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Clauses with the first of the paths that each is true of, and how many more there are."""
    for clause, paths in told.items():
        others = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        yield f"{paths[0]}{others}: {clause}"


def _doubt(fields: tuple[int, ...], one: Listed, extra: bytes) -> str:
    """What makes readers differ about the entry; "" when nothing does."""
    needs, part = fields[2] & 0xFF, fields[13]
    if part not in (0, 0xFFFF):
        return "the directory says that it is in another file of the zip"
    if one.flags & PATCH:
        return "the directory says that it is a patch of another file"
    if needs > NEWEST:
        return f"the directory asks for version {needs // 10}.{needs % 10} of the zip format, and there is none"
    if not extra:
        return ""
    if not _fits(extra):
        return "an extra field in the directory is longer than its place"
    field = dict(_fields(extra)).get(UNICODE_PATH)  # Info-ZIP's, APPNOTE 4.6.9; it holds for the name with this CRC
    if field is None or one.entry.raw_name or field[1:5] != zlib.crc32(one.name).to_bytes(4, "little"):
        return ""
    return "" if field[5:] == one.name else "the directory gives two names"


def _one(fields: tuple[int, ...], name: bytes, extra: bytes, shift: int) -> Listed:
    _, made, _, flags, method, time, date, crc, packed_size, size, _, _, _, _, _, outer, offset = fields
    wide = dict(_fields(extra)).get(ZIP64) if extra else None
    if wide is not None:
        size, packed_size, offset = widened(wide, size, packed_size, offset)
    system = made >> 8
    mode = outer >> 16 if system in (UNIX, MAC) else None
    path, raw_name = _path(name)
    entry = Entry(
        path=path[:-1] if path.endswith("/") and len(path) > 1 else path,
        kind=_kind(path, system, mode, outer),
        size=size,
        packed_size=packed_size,
        crc=crc,
        mode=None if mode is None else mode & 0o7777,
        method=method,
        encrypted=bool(flags & ENCRYPTED),
        zip64=wide is not None,
        raw_name=raw_name,
        modified=_seconds(date, time),
    )
    return Listed(entry=entry, name=name, flags=flags, offset=offset + shift)


def _path(name: bytes) -> tuple[str, bytes]:
    """The name fit to be printed, and the name itself where it is no UTF-8.

    Nearly all tools write UTF-8, with the flag that says so or without it.
    """
    try:
        path, raw_name = name.decode(), b""
    except UnicodeDecodeError:
        path, raw_name = name.decode("ascii", "backslashreplace"), name
    if path.isprintable():
        return path, raw_name
    escaped = path.encode("ascii", "backslashreplace").decode("ascii")
    return escaped.translate(CONTROL), raw_name


def _kind(path: str, system: int, mode: int | None, outer: int) -> Kind:
    kind = KINDS.get((mode or 0) >> 12, Kind.SPECIAL)
    if kind is Kind.FILE and (path.endswith("/") or (system in DOS and outer & DOS_FOLDER)):
        return Kind.FOLDER
    return kind


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """(id, data) of an extra field's parts, up to the first that does not fit: some tools pad it with zeros."""
    place = 0
    while place + 4 <= len(extra):
        key, size = struct.unpack_from("<2H", extra, place)
        place += 4 + size
        if place > len(extra):
            return
        yield key, extra[place - size : place]


def _fits(extra: bytes) -> bool:
    """Whether it ends with its last part, or with bytes too few for one."""
    return len(extra) - sum(4 + len(data) for _, data in _fields(extra)) < 4


def widened(wide: bytes, *narrow: int) -> list[int]:
    """Numbers of 32 bits, those that are all ones replaced by the next one of a zip64 field, if it has one."""
    numbers = iter(struct.unpack_from(f"<{len(wide) // 8}Q", wide))
    return [next(numbers, number) if number == 0xFFFFFFFF else number for number in narrow]


def zip64_sizes(extra: bytes, size: int, packed_size: int) -> list[int]:
    """(size, packed size) of a local header."""
    return widened(dict(_fields(extra)).get(ZIP64, b""), size, packed_size)


@lru_cache(maxsize=256)
def _seconds(date: int, time: int) -> int:
    """A DOS date and time, taken as UTC; 0 of one that is none."""
    year, month, day = 1980 + (date >> 9), date >> 5 & 15, date & 31
    hour, minute, second = time >> 11, time >> 5 & 63, (time & 31) * 2
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return 0
    if hour > 23 or minute > 59 or second > 59:
        return 0
    return calendar.timegm((year, month, day, hour, minute, second))
