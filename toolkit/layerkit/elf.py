"""The facts of one ELF file, as the loader sees them: what it runs on, which libraries and versions it asks for.

Read from the program headers, because a stripped file may lack its section headers.  Sources: System V gABI, chapters
4 and 5; symbol versions: the Linux Standard Base, "Symbol Versioning"; what is tolerated: glibc's elf/dl-load.c and
elf/dl-version.c.  What glibc would not load is damaged here; nothing here judges what is whole.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

MAGIC = b"\x7fELF"
# (e_machine, bits, byte order) -> what the kernel calls it (`uname -m`); x32 has the machine of x86_64, but no
# x86_64 program can load it.
MACHINES = {
    (3, 32, "<"): "i686",
    (21, 64, "<"): "ppc64le",
    (22, 64, ">"): "s390x",
    (40, 32, "<"): "armv7l",
    (62, 32, "<"): "x32",
    (62, 64, "<"): "x86_64",
    (183, 64, "<"): "aarch64",
}
# Where glibc takes the stack of a file without PT_GNU_STACK as not executable (DEFAULT_STACK_PERMS in
# sysdeps/*/stackinfo.h); on x86_64, i686 and ARM it takes it as executable.
PLAIN_STACKS = {"aarch64", "ppc64le"}

PT_LOAD, PT_DYNAMIC, PT_GNU_STACK = 1, 2, 0x6474E551
PF_X, DF_TEXTREL, VER_FLG_WEAK = 1, 4, 2
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH = 0, 1, 5, 10, 14, 15
DT_TEXTREL, DT_RUNPATH, DT_FLAGS, DT_VERNEED = 22, 29, 30, 0x6FFFFFFE
# A crafted file could name one long text a million times, or fill all its bytes with entries.
MOST_TEXT = 1 << 20  # bytes of all names together
MOST_ENTRIES = 1 << 16  # of the dynamic table; libraries of a gigabyte have some hundreds
MOST_RECORDS = 1 << 16  # of versions, whose indexes have 15 bits
BLOCK = 4096


class ElfError(ValueError):
    """The file begins as an ELF file, and is damaged, cut off, or of a kind that no loader knows."""


class Kind(StrEnum):
    """A position-independent program is `shared`: the header tells no difference."""

    RELOCATABLE = "relocatable"
    EXECUTABLE = "executable"
    SHARED = "shared"
    CORE = "core"


Fetch = Callable[[int, int], bytes]  # the file's bytes from here up to there; never asked for what is outside of it
Versions = Mapping[str, tuple[str, ...]]  # library -> the names of its versions, in the file's order
KINDS = dict(enumerate(Kind, 1))  # by e_type


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFile:
    """A static program, a relocatable and a file of debug information ask for nothing."""

    machine: str  # the kernel's name (aarch64, x86_64, ...); "machine 243" for one that MACHINES does not name
    kind: Kind
    soname: str = ""
    needed: tuple[str, ...] = ()  # in the file's order
    rpath: tuple[str, ...] = ()  # an empty entry is the working directory
    runpath: tuple[str, ...] = ()  # where there is one, the loader ignores rpath
    versions: Versions = field(default_factory=dict)  # what libraries must define
    weak_versions: Versions = field(default_factory=dict)  # what they may lack (VER_FLG_WEAK; of lld, since 2026)
    executable_stack: bool = False
    text_relocations: bool = False  # the loader must write into the code

    def newest(self, prefix: str = "GLIBC") -> tuple[int, ...]:
        """The highest version with this prefix that some library must define; () when none.

        Versions without a number do not count: GLIBC_PRIVATE is bound to the one release that it was built with,
        and GLIBC_ABI_DT_RELR stands for a feature.
        """
        pattern = re.compile(re.escape(prefix) + r"_([0-9]{1,9}(?:\.[0-9]{1,9})*)")
        found = [pattern.fullmatch(name) for names in self.versions.values() for name in names]
        return max((tuple(map(int, match[1].split("."))) for match in found if match), default=())


def read(content: bytes) -> ElfFile | None:
    """The facts of a file with this content; None when it is no ELF file.  Raises ElfError, and nothing else."""
    return read_parts(lambda start, stop: content[start:stop], len(content)) if content.startswith(MAGIC) else None


def read_parts(fetch: Fetch, size: int) -> ElfFile:
    """The facts of an ELF file that need not be held as a whole.  Raises ElfError, and what `fetch` raises."""
    return _Image(fetch, size).facts()


class _Image:
    """The file as the loader maps it; every reading is checked against its end."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self.fetch, self.size = fetch, size
        ident = fetch(0, min(16, size))
        if len(ident) < 16 or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise ElfError("the header is damaged: it is neither of 32 nor of 64 bit, or has no byte order")
        self.order, self.bits = "<" if ident[5] == 1 else ">", 32 * ident[4]
        self.word = "I" if self.bits == 32 else "Q"
        self.loaded: list[tuple[int, int, int]] = []  # address, offset and size in the file
        self.strings = (0, 0)  # where in the file the string table begins and ends
        self.text_left = MOST_TEXT
        self.seen: set[int] = set()  # offsets of the records of versions

    def fields(self, layout: str, offset: int, end: int, what: str) -> tuple[int, ...]:
        """The numbers at `offset`, which must end before `end`."""
        form = struct.Struct(self.order + layout)
        if offset + form.size > end:
            raise ElfError(f"the file is damaged or cut off: {what} should go on at byte {offset}")
        return form.unpack(self.fetch(offset, offset + form.size))

    def span(self, address: int, what: str) -> tuple[int, int]:
        """Where in the file this address lies, and where its segment ends there."""
        for start, offset, size in self.loaded:
            if start <= address < start + size:
                return offset + address - start, offset + size
        raise ElfError(f"the file is damaged: {what} is at address {address:#x}, which no segment fills")

    def text(self, index: int, what: str) -> str:
        """A string of the string table.  Bytes that are no UTF-8 become escapes, so that it can be printed."""
        start, end = self.strings[0] + index, self.strings[1]
        text = bytearray()
        while start < end:
            block, zero, _ = self.fetch(start, min(end, start + BLOCK)).partition(b"\0")
            text += block
            self.text_left -= len(block)
            if self.text_left < 0:
                raise ElfError(f"the file is damaged: its names have more than {MOST_TEXT} bytes")
            if zero:
                return text.decode("utf-8", "backslashreplace")
            start += BLOCK
        raise ElfError(f"the file is damaged: {what} is text {index} of its string table, which has no such text")

    def facts(self) -> ElfFile:
        whole = self.size
        header = self.fields(f"2HI3{self.word}I6H", 16, whole, "the header")
        number, machine, _, _, phoff, shoff, _, _, phsize, phnum, shsize, shnum, _ = header
        layout = "8I" if self.bits == 32 else "2I6Q"
        if number not in KINDS or (phnum and phsize != struct.calcsize(self.order + layout)):
            raise ElfError(f"the header is damaged: it gives file type {number}, and {phsize} bytes a program header")
        kind = KINDS[number]
        if kind is Kind.RELOCATABLE and shoff + shsize * shnum > whole:  # sections are all it has
            raise ElfError("the file is cut off: its section headers lie behind its end")
        known = MACHINES.get((machine, self.bits, self.order), f"machine {machine}")
        stack = phnum > 0 and kind in (Kind.EXECUTABLE, Kind.SHARED) and known not in PLAIN_STACKS
        table = None
        for at in range(phoff, phoff + phsize * phnum, phsize or 1):
            one = self.fields(layout, at, whole, "the program headers")
            offset, address, _, size = one[1:5] if self.bits == 32 else one[2:6]
            if one[0] == PT_LOAD and size:
                if offset + size > whole:
                    raise ElfError(f"the file is cut off: it has {whole} bytes of at least {offset + size}")
                self.loaded.append((address, offset, size))
            elif one[0] == PT_DYNAMIC and size:  # without a size: debug information, as objcopy separates it
                table = address
            elif one[0] == PT_GNU_STACK:
                stack = bool(one[6 if self.bits == 32 else 1] & PF_X)
        bare = ElfFile(machine=known, kind=kind, executable_stack=stack)
        return bare if table is None else self.asks(bare, list(self.entries(table)))

    def entries(self, address: int) -> Iterator[tuple[int, int]]:
        """The dynamic table: (tag, value), up to DT_NULL, as the loader reads it."""
        form = struct.Struct(f"{self.order}2{self.word}")
        offset, end = self.span(address, "the dynamic table")
        end = min(end - (end - offset) % form.size, offset + MOST_ENTRIES * form.size)
        for at in range(offset, end, BLOCK):
            for tag, value in form.iter_unpack(self.fetch(at, min(end, at + BLOCK))):
                if tag == DT_NULL:
                    return
                yield tag, value
        raise ElfError("the file is damaged: its dynamic table has no end")

    def asks(self, bare: ElfFile, entries: list[tuple[int, int]]) -> ElfFile:
        """`bare` with what its dynamic table says."""
        last = dict(entries)  # of a tag that is there twice, glibc takes the last
        if DT_STRTAB in last:
            start, end = self.span(last[DT_STRTAB], "the string table")
            self.strings = start, min(end, start + last.get(DT_STRSZ, 0))

        def text(tag: int, what: str) -> str:
            return self.text(last[tag], what) if tag in last else ""

        rpath, runpath = text(DT_RPATH, "DT_RPATH"), text(DT_RUNPATH, "DT_RUNPATH")
        versions, weak = self.versions(last[DT_VERNEED]) if DT_VERNEED in last else ({}, {})
        return replace(
            bare,
            soname=text(DT_SONAME, "DT_SONAME"),
            needed=tuple(self.text(value, "DT_NEEDED") for tag, value in entries if tag == DT_NEEDED),
            rpath=tuple(rpath.split(":")) if rpath else (),
            runpath=tuple(runpath.split(":")) if runpath else (),
            versions=versions,
            weak_versions=weak,
            text_relocations=DT_TEXTREL in last or bool(last.get(DT_FLAGS, 0) & DF_TEXTREL),
        )

    def versions(self, address: int) -> tuple[Versions, Versions]:
        """What libraries must define, and what they may lack."""
        offset, end = self.span(address, "the table of versions")
        asked: dict[str, dict[str, int]] = {}  # library -> version -> VER_FLG_WEAK, or 0 where one asks firmly
        for at, (version, _, file, aux, _) in self.chain("2H3I", offset, end):
            if version != 1:
                raise ElfError(f"the file is damaged: its table of versions has format {version}")
            names = asked.setdefault(self.text(file, "a library with versions"), {})
            for _, (_, flags, _, index, _) in self.chain("I2H2I", at + aux, end):
                name = self.text(index, "a version")
                names[name] = names.get(name, VER_FLG_WEAK) & flags

        def chosen(flag: int) -> Versions:
            all_of = {library: tuple(n for n in names if names[n] == flag) for library, names in asked.items()}
            return {library: names for library, names in all_of.items() if names}

        return chosen(0), chosen(VER_FLG_WEAK)

    def chain(self, layout: str, offset: int, end: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Records that end in the distance to the next one, or 0; glibc does not look at the counts beside them."""
        step = 1
        while step:
            if offset in self.seen or len(self.seen) == MOST_RECORDS:
                raise ElfError("the file is damaged: its table of versions runs in a circle, or never ends")
            self.seen.add(offset)
            record = self.fields(layout, offset, end, "the table of versions")
            yield offset, record
            step = record[-1]
            offset += step
