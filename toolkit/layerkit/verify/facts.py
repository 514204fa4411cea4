"""What is in a layer's zip, without a judgement: the types that reading it gives and the rules look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from layerkit.elf import ElfFile


class Kind(StrEnum):
    """What an entry unpacks to."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "symbolic link"
    SPECIAL = "device, pipe or socket"


class Format(StrEnum):
    """What a file's first bytes say that it is, where that matters to a loader."""

    ELF = "ELF"
    MACH_O = "Mach-O"  # macOS
    PE = "PE"  # Windows
    OTHER = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """Something in a file that must not be published.  What is secret in it is never kept."""

    kind: str  # the rule that it breaks: "secret", "private-key", "index-credentials", "host-path"
    what: str  # in words that may be shown: "a GitHub token (ghp_…)", "/home/ann/project/app.py"
    line: int = 0  # 1-based; 0 in a binary


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytecode:
    """The head of a .pyc file (PEP 552)."""

    magic: int  # its first two bytes, little endian: which CPython minor version wrote it
    hashed: bool  # PEP 552: the source's hash instead of its time and size
    checked: bool  # of a hashed one: whether Python compares it with the source
    source_hash: bytes = b""  # of a hashed one, 8 bytes
    mtime: int = 0  # of the others: seconds since 1970
    source_size: int = 0  # of the others: bytes, modulo 2**32
    name: str = ""  # co_filename, as tracebacks show it; "" where it was not found


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a zip: where it unpacks to below /opt, and what is in it.

    `path` is as the zip has it, without a slash at its end; bytes that are no UTF-8 are escapes (\\xff), so that it
    can be printed.  What was not read (an encrypted entry) has no content facts, and `unread` says why.
    """

    path: str
    kind: Kind = Kind.FILE
    size: int = 0  # bytes unpacked, as the zip declares them
    packed_size: int = 0
    crc: int = 0
    mode: int | None = None  # the permission bits; None where the zip was not made on Unix and says nothing
    method: int = 8  # 0 stored, 8 deflated, others as PKWARE's APPNOTE numbers them (12 bzip2, 14 lzma, 93 zstd)
    encrypted: bool = False
    zip64: bool = False
    raw_name: bytes = b""  # of a name that is no UTF-8
    modified: int = 0  # its time in the zip, taken as UTC: seconds since 1970
    unread: str = ""  # why its content is not known, or is damaged: a clause without a full stop
    # -- content
    format: Format = Format.OTHER
    elf: ElfFile | None = None
    damage: str = ""  # why an ELF or .pyc file could not be read: the loader could not either
    bytecode: Bytecode | None = None
    source_hashes: Mapping[int, bytes] = field(default_factory=dict)  # of a .py: magic -> what a hashed .pyc must say
    text: str = ""  # of metadata that rules read: METADATA, WHEEL, RECORD, top_level.txt, PKG-INFO, *.pth
    link: str = ""  # where a symbolic link leads
    script: bool = False  # begins with #!
    leaks: tuple[Leak, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class ZipFacts:
    """A layer's zip.  `entries` are in the order of its central directory; folders that it names are among them."""

    label: str  # what findings call it: the file's name
    size: int  # bytes of the zip
    sha256: str  # hex
    entries: tuple[Entry, ...] = ()
    damage: tuple[str, ...] = ()  # why it is no whole zip, or one that two readers would read in two ways
    zip64: bool = False  # its end record, or any entry, has the zip64 form
    unpacked_size: int = 0  # bytes of all files

    @cached_property
    def files(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.kind is Kind.FILE)
