"""Zips made by hand, entry by entry, so that any of them can be wrong; and the facts that reading them gives."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

UNIX, DOS = 3, 0
FOLDER, LINK = 0o040755, 0o120777  # modes
EVEN_1980 = (0x0021, 0x0000)  # date, time


@dataclass(frozen=True, kw_only=True)
class Item:
    """One entry.  What is None is made as it should be."""

    path: str | bytes
    content: bytes = b""
    mode: int = 0o100644
    method: int = 8  # 0, 8; others are stored under a false name
    system: int = UNIX
    flags: int | None = None
    crc: int | None = None
    size: int | None = None  # as declared
    packed_size: int | None = None  # as declared
    packed: bytes | None = None
    extra: bytes = b""
    local_path: bytes | None = None  # another name in the local header
    offset: int | None = None  # as declared, of the local header
    date: tuple[int, int] = EVEN_1980
    zip64: bool = False  # its sizes stand in a zip64 field


def file(path: str | bytes, content: bytes | str = b"x = 1\n", mode: int = 0o100644) -> Item:
    return Item(path=path, content=content.encode() if isinstance(content, str) else content, mode=mode)


def folder(path: str) -> Item:
    return Item(path=path.rstrip("/") + "/", mode=FOLDER, method=0)


def link(path: str, to: str) -> Item:
    return Item(path=path, content=to.encode(), mode=LINK, method=0)


def zipped(
    items: Sequence[Item], *, comment: bytes = b"", before: bytes = b"", after: bytes = b"", count: int | None = None,
    zip64: bool = False,
) -> bytes:  # fmt: skip
    """The zip's bytes; `before` and `after` stand around it, `count` is a false number of entries."""
    data, central = bytearray(before), bytearray()
    for one in items:
        name = one.path if isinstance(one.path, bytes) else one.path.encode()
        flags = one.flags if one.flags is not None else 0 if name.isascii() or isinstance(one.path, bytes) else 0x800
        packed = one.packed
        if packed is None:
            deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
            packed = deflater.compress(one.content) + deflater.flush() if one.method == 8 else one.content
        crc = zlib.crc32(one.content) if one.crc is None else one.crc
        size = len(one.content) if one.size is None else one.size
        packed_size = len(packed) if one.packed_size is None else one.packed_size
        extra = one.extra
        sizes = (packed_size, size)
        if one.zip64:
            extra += struct.pack("<2H2Q", 1, 16, size, packed_size)
            sizes = (0xFFFFFFFF, 0xFFFFFFFF)
        offset = len(data) if one.offset is None else one.offset
        date, time = one.date
        common = (flags, one.method, time, date, crc, *sizes)
        local = name if one.local_path is None else one.local_path
        data += struct.pack("<4s5H3L2H", b"PK\3\4", 20, *common, len(local), len(extra)) + local + extra + packed
        outer = one.mode << 16 | (0x10 if name.endswith(b"/") else 0) if one.system == UNIX else 0x20
        central += struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", one.system << 8 | 20, 20, *common, len(name), len(extra), 0, 0, 0, outer, offset
        )
        central += name + extra
    start = len(data)
    data += central
    number = len(items) if count is None else count
    if zip64:
        end = len(data)
        record = (b"PK\6\6", 44, 45, 45, 0, 0, number, number, len(central), start)
        data += struct.pack("<4sQ2H2L4Q", *record) + struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
        data += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, len(comment))
    else:
        data += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, number, number, len(central), start, len(comment))
    return bytes(data + comment + after)


def write(path: Path, *items: Item) -> Path:
    path.write_bytes(zipped(items))
    return path
