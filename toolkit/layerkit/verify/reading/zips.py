"""A zip -> ZipFacts: each entry read once, nothing unpacked to disk, in memory bounded by a constant.

Hostile content gives facts, never an exception.  `directory` and `headers` tell what the zip lists, `unpacking` gives
the bytes of each entry, `contents` what they say.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from layerkit.archive import STORED
from layerkit.verify.facts import Entry, Format, Kind, ZipFacts
from layerkit.verify.reading import contents, directory, headers
from layerkit.verify.reading.contents import Looking
from layerkit.verify.reading.ends import At
from layerkit.verify.reading.headers import Placed
from layerkit.verify.reading.sparse import BESIDE, Missing, Sparse
from layerkit.verify.reading.unpacking import Content, Unreadable, pieces, whole

SMALL = 1 << 20  # bytes that are unpacked where they are looked at: handing them to another thread would cost more
HELD = 56 << 20  # bytes, packed and unpacked, of files that are held as a whole; a larger one streams by
HASHED_AT_ONCE = 4 << 20
MOST_MAGICS = 8  # Python versions whose bytecode is compared with its sources
MOST_TEXTS = 16 << 20  # bytes of all facts that are texts
AGAIN = 5  # times that a large file is unpacked again for a part of it
TOO_MUCH = f"not read: metadata, names and leaks in the zip have more than {MOST_TEXTS:,} bytes"


def read(path: Path) -> ZipFacts:
    """The facts of the file at `path`, whatever it is.  Raises OSError when it cannot be opened or read."""
    with path.open("rb", buffering=0) as file, ThreadPoolExecutor(1, "layerkit-zip") as pool:
        at = partial(_read_at, file.fileno())
        size = os.fstat(file.fileno()).st_size
        digest = pool.submit(_sha256, at, size)
        listed = directory.read(at, size)
        placed, damage = headers.place(at, size, listed)
        entries = _Reader(at, pool).read(placed)
        return ZipFacts(
            label=path.name,
            size=size,
            sha256=digest.result(),
            entries=tuple(entries),
            damage=(*listed.damage, *damage),
            zip64=listed.zip64,
            unpacked_size=sum(entry.size for entry in entries if entry.kind is Kind.FILE),
        )


def _read_at(handle: int, size: int, offset: int) -> bytes:
    return os.pread(handle, size, offset)


def _sha256(at: At, size: int) -> str:
    digest = hashlib.sha256()
    for start in range(0, size, HASHED_AT_ONCE):
        digest.update(at(min(HASHED_AT_ONCE, size - start), start))
    return digest.hexdigest()


def _weight(placed: Placed) -> int:
    """Bytes that are needed to unpack it as a whole."""
    size, packed_size = placed.entry.size, placed.entry.packed_size
    return max(size, packed_size) if placed.entry.method == STORED else size + packed_size


class _Reader:
    """Reads the entries of one zip: bytecode first, because it says what to look for in sources."""

    def __init__(self, at: At, pool: Executor) -> None:
        self.at, self.pool = at, pool
        self.magics: dict[int, None] = {}
        self.texts_left = MOST_TEXTS

    def read(self, placed: Sequence[Placed]) -> list[Entry]:
        found = {index: replace(one.entry, unread=one.unread) for index, one in enumerate(placed) if one.unread}
        others = []
        for index, one in enumerate(placed):
            if index not in found and one.entry.path.endswith(".pyc"):
                found[index] = self.one(one)
            elif index not in found:
                others.append((index, one))
        small = deque((index, one) for index, one in others if _weight(one) <= SMALL)
        ahead = _Ahead(self.pool, self.whole, ((index, one) for index, one in others if SMALL < _weight(one) <= HELD))
        while small or ahead.left:
            if small and not ahead.ready:
                index, one = small.popleft()
                found[index] = self.one(one)
            else:
                index, one, content = ahead.take()
                found[index] = self.look(one, content)
                del content
        found |= {index: self.one(one) for index, one in others if _weight(one) > HELD}
        return [found[index] for index in range(len(placed))]

    def one(self, placed: Placed) -> Entry:
        return self.look(placed, self.whole(placed)) if _weight(placed) <= HELD else self.streamed(placed)

    def whole(self, placed: Placed) -> Content | Unreadable:
        if self.texts_left < 0:
            return Unreadable(TOO_MUCH)
        try:
            return whole(self.at, placed)
        except Unreadable as error:
            return error

    def look(self, placed: Placed, content: Content | Unreadable) -> Entry:
        if isinstance(content, Unreadable):
            return replace(placed.entry, unread=str(content))
        entry = contents.look(placed.entry, content, tuple(self.magics))
        head = entry.bytecode
        if head and head.hashed and head.magic in contents.HASHED_MAGICS and len(self.magics) < MOST_MAGICS:
            self.magics[head.magic] = None
        return self.kept(placed, entry)

    def streamed(self, placed: Placed) -> Entry:
        looking, kept = Looking(placed.entry), Sparse()
        try:
            for number, piece in enumerate(pieces(self.at, placed)):
                looking.feed(piece)
                kept.feed(number, piece)
            entry = looking.found()
            return self.kept(placed, self.with_elf(placed, entry, kept) if entry.format is Format.ELF else entry)
        except Unreadable as error:
            return replace(placed.entry, unread=str(error))

    def kept(self, placed: Placed, entry: Entry) -> Entry:
        """The entry with what was found, unless all of them say so much that memory would fill."""
        self.texts_left -= contents.cost(entry)
        return entry if self.texts_left >= 0 else replace(placed.entry, unread=TOO_MUCH)

    def with_elf(self, placed: Placed, entry: Entry, kept: Sparse) -> Entry:
        for _ in range(AGAIN):
            try:
                return contents.with_elf(entry, kept.fetch)
            except Missing as missing:
                last = missing.number + BESIDE
                for number, piece in enumerate(pieces(self.at, placed)):
                    if missing.number <= number <= last:
                        kept.pieces[number] = piece
                    if number == last:
                        break
        return replace(entry, damage="what it asks for is spread over more of the file than is looked at")


class _Ahead:
    """Files unpacked in another thread before they are asked for, as many as HELD allows."""

    def __init__(
        self,
        pool: Executor,
        unpack: Callable[[Placed], Content | Unreadable],
        files: Iterable[tuple[int, Placed]],
    ) -> None:
        self.pool, self.unpack = pool, unpack
        self.waiting = deque(files)
        self.started: deque[tuple[int, Placed, Future[Content | Unreadable]]] = deque()
        self.taken = self.held = 0
        self.start()

    @property
    def left(self) -> bool:
        return bool(self.started or self.waiting)

    @property
    def ready(self) -> bool:
        """Whether the next one can be had without waiting."""
        return bool(self.started) and self.started[0][2].done()

    def start(self) -> None:
        while self.waiting and (not self.held or self.held + _weight(self.waiting[0][1]) <= HELD):
            index, placed = self.waiting.popleft()
            self.held += _weight(placed)
            self.started.append((index, placed, self.pool.submit(self.unpack, placed)))

    def take(self) -> tuple[int, Placed, Content | Unreadable]:
        """The next one; the one before it must not be held any more."""
        self.held -= self.taken
        self.taken = 0
        self.start()
        index, placed, future = self.started.popleft()
        self.taken = _weight(placed)
        return index, placed, future.result()
