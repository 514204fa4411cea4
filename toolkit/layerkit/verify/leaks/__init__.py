"""What of a file's content must not be published: secrets, private keys, passwords in URLs, paths of a machine."""

from __future__ import annotations

from layerkit.verify.facts import Leak
from layerkit.verify.leaks import forms, hostpaths
from layerkit.verify.leaks.forms import BEHIND, MOST, REACH

MOST_TRIED = 10_000  # of a form in one file: what is full of nearly one must not take hours
COMPILED = (".pyc", ".pyo")


class Scanner:
    """Looks for leaks in one file that comes in pieces; what it finds does not depend on how they are cut."""

    def __init__(self, path: str, *, binary: bool) -> None:
        self._forms = (*forms.forms(path, binary=binary), *hostpaths.forms(path, binary=binary))
        self._lines = not binary and not path.endswith(COMPILED)
        self._data = b""  # the newest piece, with what of the file before it matters
        self._offset = 0  # of _data in the file
        self._line = 1  # at _offset
        self._done = 0  # offset in the file up to which forms may have begun
        self._next: dict[int, int] = {}  # form -> where its last match ended
        self._tried: dict[int, int] = {}  # form -> number of matches
        self._found: dict[int, dict[Leak, int]] = {}  # form -> leak -> where it begins in the file

    def feed(self, chunk: bytes) -> None:
        """The next piece.  It is looked at when the one after it is there, or none: most files come in one."""
        if self._data:
            self._scan(len(self._data) - REACH)
            self._drop(len(self._data) - REACH - BEHIND)
        self._data = self._data + chunk if self._data else chunk

    def leaks(self) -> tuple[Leak, ...]:
        """All that was found, at the end of the file, in its order."""
        self._scan(len(self._data))
        found = {leak: at for leaks in self._found.values() for leak, at in leaks.items()}
        return tuple(sorted(found, key=lambda leak: (found[leak], leak.kind, leak.what)))

    def _scan(self, end: int) -> None:
        """Find what begins before `end` in the data, and was not looked at yet."""
        begin = self._done - self._offset
        if begin >= end:
            return
        for number, form in enumerate(self._forms):
            start = max(begin, self._next.get(number, 0) - self._offset)
            match = form.pattern.match(self._data) if form.at_start else form.pattern.search(self._data, start)
            if match and (not form.at_start or self._done == 0):
                self._judge(number, match, end)
        self._done = self._offset + end

    def _judge(self, number: int, match: forms.Match | None, end: int) -> None:
        """`match`, and those after it."""
        form, found = self._forms[number], self._found.setdefault(number, {})
        tried = self._tried.get(number, 0)
        line, counted = self._line, 0  # up to where in the data
        while match and match.start() < end and len(found) < MOST and tried < MOST_TRIED:
            tried += 1
            what = form.tell(match)
            if what:
                line, counted = line + self._data.count(b"\n", counted, match.start()), match.start()
                leak = Leak(kind=form.kind, what=what, line=line if self._lines else 0)
                found.setdefault(leak, self._offset + counted)
            self._next[number] = self._offset + match.end()
            match = None if form.at_start else form.pattern.search(self._data, match.end())
        self._tried[number] = tried

    def _drop(self, size: int) -> None:
        if size > 0:
            self._line += self._data.count(b"\n", 0, size) if self._lines else 0
            self._offset += size
            self._data = self._data[size:]
