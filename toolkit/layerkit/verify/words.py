"""Words that findings share: counts, a few paths out of many, and texts of strangers made fit to print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from layerkit.verify.facts import ZipFacts
from layerkit.verify.rules import Finding

LONGEST = 150  # characters of a text from a zip
EXAMPLES = 3
MOST_REASONS = 5


def count(number: int, noun: str) -> str:
    """ "1 file", "1,200 files"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def several(names: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    listed = ", ".join(shown(name) for name in names[:EXAMPLES])
    return listed if len(names) <= EXAMPLES else f"{listed} and {len(names) - EXAMPLES:,} more"


def shown(text: str) -> str:
    """Text out of a zip without control characters, cut to what can be read in a line."""
    printable = (
        text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:LONGEST])
    )
    return printable if len(printable) <= LONGEST else f"{printable[: LONGEST - 1]}…"


def by_reason(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Paths by the reason that each has; a zip that has very many reasons gets no more groups for that."""
    groups: dict[str, list[str]] = {}
    rest = ""
    for reason, path in pairs:
        if reason not in groups and len(groups) >= MOST_REASONS:
            rest = rest or f"{reason}, and others the like"
            reason = rest
        groups.setdefault(reason, []).append(path)
    return groups


def gathered(facts: ZipFacts, rule: str, paths: Sequence[str], noun: str, clause: str) -> Iterator[Finding]:
    """One finding for all files of a kind.  {is} and {has} in the clause follow their number."""
    if paths:
        alone = len(paths) == 1
        clause = clause.replace("{is}", "is" if alone else "are").replace("{has}", "has" if alone else "have")
        message = f"{count(len(paths), noun)} {clause}" + ("" if alone else f" ({several(paths)})")
        yield Finding(rule=rule, subject=facts.label, path=paths[0], message=message)
