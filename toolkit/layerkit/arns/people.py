"""The ARNs for people: a table for a terminal, and one for a README or release notes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from layerkit.publish.published import Entry

HEAD = ("layer", "region", "runtime", "architecture", "version", "ARN")


def _cells(entry: Entry) -> tuple[str, ...]:
    runtimes, architectures = (", ".join(words) or "-" for words in (entry.runtimes, entry.architectures))
    return entry.layer, entry.region, runtimes, architectures, str(entry.version), entry.arn


def table(entries: Sequence[Entry]) -> str:
    """Aligned columns; nothing in it depends on the terminal, so that it can be compared and cut."""
    rows = [HEAD, *map(_cells, entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def markdown(entries: Sequence[Entry]) -> str:
    """A table as GitHub, GitLab and PyPI show it (https://github.github.com/gfm/#tables-extension-)."""
    rows = [HEAD, ("---",) * len(HEAD)]
    rows += [(*map(_escaped, cells[:-1]), f"`{cells[-1]}`") for cells in map(_cells, entries)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _escaped(text: str) -> str:
    """Punctuation that begins emphasis, a link, HTML or a cell (https://github.github.com/gfm/#backslash-escapes)."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", text)
