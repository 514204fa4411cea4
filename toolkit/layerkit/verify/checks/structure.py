"""Rules on the zip as an archive: whole, readable by Lambda, of a size that it takes, and no bomb."""

from __future__ import annotations

from collections.abc import Iterator

from layerkit import targets
from layerkit.verify.facts import Entry, Kind, ZipFacts
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import Subject
from layerkit.verify.words import by_reason, count, gathered, several, shown

STORED, DEFLATED = 0, 8
METHODS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 99: "AES encryption"}  # APPNOTE 4.4.5
DIRECT_UPLOAD = 52_428_800  # bytes of a zip in a request itself; Lambda quotas: "50 MB (zipped, for direct upload)"
# In the reader's words (headers, unpacking)
OVERLAP = "overlaps with the entry"
SWELLING = "unpacks to more than"
UNSEEN = "not read: the zip holds more than"
# Deflate's densest code is 2 bits for 258 bytes, so no whole stream unpacks to more (zlib, "Technical Details").
DENSEST = 1032
# What no layer's content has: binaries pack to a third, text to a tenth, and AWS's limit is passed ten times over.
BOMB_RATIO, BOMB_LIMITS = 100, 10


def check(subject: Subject) -> Iterator[Finding]:
    facts = subject.facts
    yield from _damage(facts)
    yield from _forms(facts)
    yield from _sizes(facts)
    yield from _bomb(facts)


def _damage(facts: ZipFacts) -> Iterator[Finding]:
    for clause in facts.damage:
        if OVERLAP not in clause:
            yield Finding(rule="zip-damaged", subject=facts.label, message=shown(clause))
    told = {clause.rpartition(": ")[2] for clause in facts.damage}  # of entries too: "PATH and 2 more: clause"
    unread = [
        (entry.unread, entry.path)
        for entry in facts.entries
        if entry.unread
        and entry.unread not in told
        and not entry.encrypted
        and entry.method in (STORED, DEFLATED)
        and not _swells(entry)
        and not (entry.unread.startswith(UNSEEN) and _is_too_large(facts))
    ]
    for reason, paths in by_reason(unread).items():
        others = f" (so do {several(paths[1:])})" if len(paths) > 1 else ""
        message = f"its content could not be read: {shown(reason)}{others}"
        yield Finding(rule="zip-damaged", subject=facts.label, path=paths[0], message=message)
    if not facts.damage and not any(file.size for file in facts.files):
        what = f"holds {len(facts.files)} empty files and nothing else" if facts.files else "holds no file"
        yield Finding(rule="zip-empty", subject=facts.label, message=f"the zip {what}")


def _forms(facts: ZipFacts) -> Iterator[Finding]:
    encrypted = [entry.path for entry in facts.entries if entry.encrypted]
    clause = "cannot be unpacked without a password, and Lambda has none"
    yield from gathered(facts, "encrypted", encrypted, "encrypted file", clause)
    other = [
        (f"{entry.method} ({METHODS.get(entry.method, 'unknown')})", entry.path)
        for entry in facts.entries
        if entry.method not in (STORED, DEFLATED) and not entry.encrypted
    ]
    for method, paths in by_reason(other).items():
        clause = f"{{is}} packed by method {method}, and Lambda unpacks stored (0) and deflated (8) ones"
        yield from gathered(facts, "compression", paths, "file", clause)
    if facts.zip64:
        paths = [entry.path for entry in facts.entries if entry.zip64]
        where = f"the entries {several(paths)}" if paths else "its end record"
        message = f"the zip has the zip64 form ({where}), which a layer of at most 250 MB does not need"
        yield Finding(rule="zip64", subject=facts.label, message=message)


def _sizes(facts: ZipFacts) -> Iterator[Finding]:
    limit = targets.limit("unzipped_bytes")
    if _is_too_large(facts):
        largest = sorted(facts.files, key=lambda file: -file.size)
        sizes = several([f"{file.path} {file.size:,}" for file in largest if file.size][:3])
        over = facts.unpacked_size - limit
        message = f"unpacks to {facts.unpacked_size:,} bytes, {over:,} above AWS's {limit:,}; the largest: {sizes}"
        unseen = sum(file.unread.startswith(UNSEEN) for file in facts.files)
        if unseen:
            message += f"; {unseen:,} of its {count(len(facts.files), 'file')} were not looked at for that"
        yield Finding(rule="unzipped-size", subject=facts.label, message=message)
    if facts.size > DIRECT_UPLOAD:
        message = f"the zip has {facts.size:,} bytes, a request takes {DIRECT_UPLOAD:,}: it will go through S3"
        yield Finding(rule="zipped-size", subject=facts.label, message=message)


def _is_too_large(facts: ZipFacts) -> bool:
    """The reader does not look at all of such a zip, which is then no damage of its own."""
    return facts.unpacked_size >= targets.limit("unzipped_bytes")  # AWS says "smaller than"


def _bomb(facts: ZipFacts) -> Iterator[Finding]:
    for clause in facts.damage:
        if OVERLAP in clause:
            yield Finding(rule="bomb", subject=facts.label, message=f"{shown(clause)}: the same bytes unpack twice")
    swelling = [(reason, entry.path) for entry in facts.entries if (reason := _swells(entry))]
    for reason, paths in by_reason(swelling).items():
        yield from gathered(facts, "bomb", paths, "file", f"cannot be taken as it is: {shown(reason)}")
    limit = targets.limit("unzipped_bytes")
    if facts.unpacked_size > max(BOMB_LIMITS * limit, BOMB_RATIO * facts.size):
        message = f"a zip of {facts.size:,} bytes unpacks to {facts.unpacked_size:,}, as no layer does"
        yield Finding(rule="bomb", subject=facts.label, message=message)


def _swells(entry: Entry) -> str:
    """Why it unpacks to more than it may, by the reader's words or by its own figures; "" where it does not."""
    if entry.kind is Kind.FOLDER or entry.encrypted:
        return ""
    if entry.unread:
        return entry.unread if SWELLING in entry.unread else ""
    too_much = entry.method == DEFLATED and entry.size > DENSEST * (entry.packed_size + 1)
    return "it declares more than deflate can unpack to" if too_much else ""
