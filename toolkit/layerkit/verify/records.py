"""RECORD files (PEP 376, PEP 627): which files of a zip each distribution lists as its own."""

from __future__ import annotations

import csv
import posixpath
from collections.abc import Iterator

from layerkit.verify.facts import Entry, ZipFacts


def records(facts: ZipFacts) -> Iterator[Entry]:
    for entry in facts.files:
        if entry.path.endswith(".dist-info/RECORD"):
            yield entry


def listed(record: Entry) -> Iterator[str]:
    """The paths in the zip that it names, as far as it can be read."""
    root = posixpath.dirname(posixpath.dirname(record.path))
    try:
        for row in csv.reader(record.text.splitlines()):
            if row:
                yield posixpath.normpath(posixpath.join(root, row[0]))
    except csv.Error:  # a field that is too long, or a NUL: what follows is not read
        return
