"""What must not be published: secrets, private keys, passwords in URLs, files of credentials, paths of a machine."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from layerkit.verify import hostpaths, leakforms
from layerkit.verify.checks import machine
from layerkit.verify.facts import Entry, Leak, ZipFacts
from layerkit.verify.leakforms import BEHIND, MOST, REACH
from layerkit.verify.records import listed, records
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import Subject
from layerkit.verify.words import shown

MOST_TRIED = 10_000  # of a form in one file: what is full of nearly one must not take hours
COMPILED = (".pyc", ".pyo")


class Scanner:
    """Looks for leaks in one file that comes in pieces; what it finds does not depend on how they are cut."""

    def __init__(self, path: str, *, binary: bool) -> None:
        self._forms = (*leakforms.forms(path, binary=binary), *hostpaths.forms(path, binary=binary))
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

    def _judge(self, number: int, match: leakforms.Match | None, end: int) -> None:
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


# -- findings

SECRET_KINDS = ("secret", "private-key", "index-credentials", "env-file")
WANTED = {
    "secret": "secrets are to be read at run time",
    "private-key": "keys are to be fetched at run time",
    "index-credentials": "no address may hold a password",
    "env-file": "credentials are to be read at run time",
}
# What tools read credentials from, by name.
CREDENTIALS = re.compile(
    r"(?:.*/)?(?:\.env(?:rc|[._-][^/]*)?|[._]netrc|\.pypirc|\.git-credentials|\.pgpass|\.vault-token"
    r"|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|\.aws/credentials|\.docker/config\.json|\.kube/config)"
)
EXAMPLE = re.compile(r"(?i).*[._-](?:example|sample|template|tmpl|dist|defaults?)(?:\.\w+)?")


def check(subject: Subject) -> Iterator[Finding]:
    """Findings of data/rules/leaks.toml: one for a file and kind, and one for all files that name one path."""
    facts = subject.facts
    suspects = [entry for entry in facts.files if entry.leaks or _is_for_credentials(entry)]
    if suspects:
        makers = _makers(facts)
        known = {(entry.path, leak.kind) for entry in suspects for leak in entry.leaks}
        for entry in suspects:
            yield from _secrets(facts.label, entry, makers, known)
        yield from machine.check(subject, suspects)


def _is_for_credentials(entry: Entry) -> bool:
    return bool(entry.size and CREDENTIALS.fullmatch(entry.path) and not EXAMPLE.fullmatch(entry.name))


def _secrets(label: str, entry: Entry, makers: Mapping[str, str], known: set[tuple[str, str]]) -> Iterator[Finding]:
    """A compiled file tells again what its source holds: once is enough."""
    source = _source(entry.path)
    maker = makers.get(entry.path) or makers.get(source, "")
    told = False
    for kind in SECRET_KINDS:
        leaks = [leak for leak in entry.leaks if leak.kind == kind]
        if leaks:
            told = True
            if source == entry.path or (source, kind) not in known:
                words = f"holds {leaks[0].what}{machine.more(len(leaks))}"
                yield _secret(label, entry, kind, words, maker, leaks[0].line)
    if not told and _is_for_credentials(entry):
        yield _secret(label, entry, "env-file", f"is {shown(entry.name)}, a file made to hold credentials", maker, 0)


def _secret(label: str, entry: Entry, kind: str, words: str, maker: str, line: int) -> Finding:
    rule = "secret-in-distribution" if maker else kind
    wanted = f"{maker} brought it, and only test data of its maker may be such" if maker else WANTED[kind]
    return Finding(rule=rule, subject=label, path=entry.path, message=f"{words}; {wanted}", line=line)


def _source(path: str) -> str:
    """The .py of a compiled file (PEP 3147), or the file itself."""
    if not path.endswith(COMPILED):
        return path
    folder, name = posixpath.split(path)
    parent, last = posixpath.split(folder)
    return posixpath.join(parent if last == "__pycache__" else folder, f"{name.split('.', 1)[0]}.py")


def _makers(facts: ZipFacts) -> dict[str, str]:
    """path -> "name 1.0", of each file that an installed distribution brought, by the RECORDs.

    An installer writes direct_url.json and lists it as well; that is not the maker's.
    """
    found = {}
    for record in records(facts):
        info = record.path.removesuffix(".dist-info/RECORD")
        distribution = shown(info.rpartition("/")[2].replace("-", " ", 1))
        for path in listed(record):
            if not path.endswith(".dist-info/direct_url.json"):
                found[path] = distribution
    return found
