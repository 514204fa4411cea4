"""ELF files made by hand: headers written here, no binaries in the repository."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from layerkit import elf
from layerkit.elf import ElfError, ElfFile

BASE = 0x40000  # address of byte 0 of a hand-made file
LITTLE_64, BIG_64, LITTLE_32, BIG_32 = ("<", 64), (">", 64), ("<", 32), (">", 32)
LAYOUTS = [LITTLE_64, BIG_64, LITTLE_32, BIG_32]
NEEDED, STRTAB, STRSZ, SONAME, RPATH, TEXTREL, RUNPATH, FLAGS, VERNEED = 1, 5, 10, 14, 15, 22, 29, 30, 0x6FFFFFFE
LOAD, DYNAMIC, STACK = 1, 2, 0x6474E551


@dataclass
class Made:
    """A shared object, its parts ready to be broken: header, program headers, names, versions, dynamic table."""

    layout: tuple[str, int] = LITTLE_64
    machine: int = 62
    kind: int = 3
    needed: Sequence[str] = ("libm.so.6", "libc.so.6")
    paths: Mapping[int, str] | None = None  # DT_RPATH, DT_RUNPATH, DT_SONAME -> text
    versions: Sequence[tuple[str, Sequence[tuple[str, int]]]] = (("libc.so.6", (("GLIBC_2.17", 0),)),)
    flags: Mapping[int, int] | None = None  # DT_FLAGS and others, as they are
    stack: int | None = 6  # the flags of PT_GNU_STACK
    end: bool = True  # DT_NULL
    tags: Mapping[int, int] | None = None  # instead of what is right
    raw_versions: bytes | None = None
    loads: Sequence[tuple[int, int, int]] = ()  # more PT_LOAD: offset, address, size
    tail: bytes = b""  # after the dynamic table, in the same segment

    def pack(self, layout: str, *numbers: int) -> bytes:
        return struct.pack(self.layout[0] + layout, *numbers)

    def segment(self, kind: int, flags: int, offset: int, address: int, size: int) -> bytes:
        if self.layout[1] == 64:
            return self.pack("2I6Q", kind, flags, offset, address, address, size, size, 8)
        return self.pack("8I", kind, offset, address, address, size, size, flags, 4)

    def content(self) -> bytes:
        wide = self.layout[1] == 64
        word, head, entry = ("Q", 64, 56) if wide else ("I", 52, 32)
        count = 2 + (self.stack is not None) + len(self.loads)
        names = b"\0"

        def name(text: str) -> int:
            nonlocal names
            names += text.encode("utf-8", "surrogateescape") + b"\0"
            return len(names) - len(text.encode("utf-8", "surrogateescape")) - 1

        table = [(NEEDED, name(text)) for text in self.needed]
        table += [(tag, name(text)) for tag, text in (self.paths or {}).items()]
        table += list((self.flags or {}).items())
        asked = b""
        for place, (library, wanted) in enumerate(self.versions):
            last = place == len(self.versions) - 1
            step = 0 if last else 16 * (1 + len(wanted))
            asked += self.pack("2H3I", 1, len(wanted), name(library), 16, step)
            for index, (version, flag) in enumerate(wanted):
                step = 0 if index == len(wanted) - 1 else 16
                asked += self.pack("I2H2I", 7, flag, 2 + index, name(version), step)
        if self.raw_versions is not None:
            asked = self.raw_versions
        asked_at = head + entry * count
        names_at = asked_at + len(asked)
        table_at = names_at + len(names)
        if asked:
            table.append((VERNEED, BASE + asked_at))
        table += [(STRTAB, BASE + names_at), (STRSZ, len(names))]
        table = [(tag, (self.tags or {}).get(tag, value)) for tag, value in table]
        dynamic = b"".join(self.pack(f"2{word}", *pair) for pair in table + [(0, 0)] * self.end)
        segments = self.segment(LOAD, 5, 0, BASE, table_at + len(dynamic) + len(self.tail))
        segments += self.segment(DYNAMIC, 6, table_at, BASE + table_at, len(dynamic))
        if self.stack is not None:
            segments += self.segment(STACK, self.stack, 0, 0, 0)
        for offset, address, size in self.loads:
            segments += self.segment(LOAD, 6, offset, address, size)
        ident = b"\x7fELF" + bytes([1 + wide, 1 if self.layout[0] == "<" else 2, 1]) + bytes(9)
        sizes = (head, entry, count, 0, 0, 0)
        header = self.pack(f"2HI3{word}I6H", self.kind, self.machine, 1, 0, head, 0, 0, *sizes)
        return ident + header + segments + asked + names + dynamic + self.tail

    def read(self) -> ElfFile:
        return whole(self.content())

    def broken(self) -> str:
        with pytest.raises(ElfError) as error:
            elf.read(self.content())
        return str(error.value)


def whole(content: bytes) -> ElfFile:
    found = elf.read(content)
    assert found
    return found
