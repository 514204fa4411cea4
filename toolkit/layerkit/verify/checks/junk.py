"""What macOS's Finder, ditto and tar leave in an archive beside its files: attributes, folder views.

Sources: RFC 1740, appendix B (AppleDouble: ._NAME beside NAME); Apple's archiver puts these below __MACOSX/.
"""

from __future__ import annotations

from collections.abc import Iterator

from layerkit.verify.facts import ZipFacts
from layerkit.verify.rules import Finding
from layerkit.verify.words import gathered


def check(facts: ZipFacts) -> Iterator[Finding]:
    found = [file.path for file in facts.files if is_junk(file.path)]
    clause = "{is} left by macOS (__MACOSX/, ._*, .DS_Store) and read by nothing in Lambda"
    yield from gathered(facts, "junk", found, "file", clause)


def is_junk(path: str) -> bool:
    """By its name, which no module, library or program has."""
    name = path[path.rfind("/") + 1 :]
    return name.startswith("._") or name == ".DS_Store" or path.startswith("__MACOSX/")
