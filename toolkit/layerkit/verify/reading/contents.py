"""What the bytes of a file in a zip say of it: format, what a binary asks for, bytecode's head, metadata, leaks."""

from __future__ import annotations

import _imp
from collections.abc import Collection
from dataclasses import replace

from layerkit import elf
from layerkit.verify.facts import Entry, Format, Kind
from layerkit.verify.leaks import Scanner
from layerkit.verify.reading import pyc
from layerkit.verify.reading.unpacking import PIECE, Content

MACH_O = {bytes.fromhex(magic) for magic in ("feedface", "feedfacf", "cefaedfe", "cffaedfe", "cafebabf", "bebafeca")}
FAT, OLDEST_CLASS = b"\xca\xfe\xba\xbe", 43  # a Java class begins so too, then has its version: 45 and more
DIST_INFO = {"METADATA", "WHEEL", "RECORD", "top_level.txt", "entry_points.txt"}
EGG_INFO = {"PKG-INFO", "requires.txt", "top_level.txt"}
LONGEST_TEXT, LONGEST_RECORD = 1 << 20, 8 << 20
ONE_TEXT = 150  # bytes of a text in Python without its characters, and of what holds it
HASHED_MAGICS = range(3450, 4000)  # from CPython 3.11 on the hash is another one than before (bpo-29410)


def look(entry: Entry, content: Content, magics: Collection[int]) -> Entry:
    """`entry` with what its content says; `magics` are those of the zip's .pyc files with a hash."""
    if entry.kind is Kind.LINK:
        return replace(entry, link=_printable(bytes(content).decode("utf-8", "backslashreplace")))
    if entry.kind is not Kind.FILE:
        return entry
    looking = Looking(entry)
    if len(content) <= PIECE:
        looking.feed(bytes(content))
    else:
        with memoryview(content) as view:
            for start in range(0, len(content), PIECE):
                looking.feed(bytes(view[start : start + PIECE]))
    found = looking.found()
    if found.format is Format.ELF:
        return with_elf(found, lambda start, stop: bytes(content[start:stop]))
    if entry.path.endswith(".py") and magics:
        hashes = {magic: _imp.source_hash(magic | 0x0A0D0000, content) for magic in magics}
        return replace(found, source_hashes=hashes)
    return found


def with_elf(entry: Entry, fetch: elf.Fetch) -> Entry:
    """Raises what `fetch` raises."""
    try:
        return replace(entry, elf=elf.read_parts(fetch, entry.size))
    except elf.ElfError as error:
        return replace(entry, damage=str(error))


def cost(entry: Entry) -> int:
    """About how many bytes of memory the texts in its facts take beyond those of any entry."""
    texts = [entry.text, entry.link, *(leak.what for leak in entry.leaks)]
    if entry.elf:
        texts += [*entry.elf.needed, *entry.elf.rpath, *entry.elf.runpath]
        for versions in (entry.elf.versions, entry.elf.weak_versions):
            texts += [text for library, names in versions.items() for text in (library, *names)]
    return sum(map(len, texts)) + ONE_TEXT * (len(texts) - 2)


class Looking:
    """One file whose bytes come in pieces; its first one has at least PIECE bytes, or all of them."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.scanner: Scanner | None = None
        self.head = b""
        self.kept = bytearray()
        self.keep = LONGEST_RECORD if entry.name == "RECORD" else LONGEST_TEXT
        self.text = _is_text(entry.path)

    def feed(self, piece: bytes) -> None:
        if self.scanner is None:
            self.head = piece
            self.scanner = Scanner(self.entry.path, binary=_format(piece) is not Format.OTHER)
        self.scanner.feed(piece)
        if self.text:
            self.kept += piece[: self.keep - len(self.kept)]

    def found(self) -> Entry:
        """All but the ELF facts, which need more than one look."""
        bytecode, damage = pyc.read(self.head, self.entry.path) if self.entry.path.endswith(".pyc") else (None, "")
        if self.entry.path.endswith(".pth") and self.entry.size > self.keep:
            return replace(self.entry, unread=f"it is a .pth file of {self.entry.size:,} bytes")
        return replace(
            self.entry,
            format=_format(self.head),
            script=self.head.startswith(b"#!"),
            text=self.kept.decode("utf-8", "replace"),
            bytecode=bytecode,
            damage=damage,
            leaks=self.scanner.leaks() if self.scanner else (),
        )


def _format(head: bytes) -> Format:
    if head.startswith(elf.MAGIC):
        return Format.ELF
    if head[:4] in MACH_O or (head[:4] == FAT and 0 < int.from_bytes(head[4:8], "big") < OLDEST_CLASS):
        return Format.MACH_O
    if head.startswith(b"MZ") and b"\0" in head[:64]:  # a text that begins so has no zeros
        return Format.PE
    return Format.OTHER


def _is_text(path: str) -> bool:
    """Whether it is of those that rules read."""
    folder, _, name = path.rpartition("/")
    return (
        name.endswith((".pth", ".egg-info"))
        or (folder.endswith(".dist-info") and name in DIST_INFO)
        or (folder.endswith(".egg-info") and name in EGG_INFO)
    )


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
