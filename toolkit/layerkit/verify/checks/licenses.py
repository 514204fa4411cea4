"""What a distribution's metadata says of its licence, as an SPDX expression, held against an allow list.

Sources: PEP 639 (License-Expression), the core metadata specification (License, Classifier), SPDX 2.3 annex D.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

LONGEST = 1000  # characters of an expression; the longest of well-known distributions have some 200
DEEPEST = 50  # parentheses
BSD = "BSD-2-Clause OR BSD-3-Clause"
LGPL = "LGPL-2.0-only OR LGPL-2.1-only"
PREFIX = "License :: "

# The last words of trove classifiers.  One that names a family stands for any of it: whoever allows one member is
# taken to allow the rest, since nothing in the metadata can tell them apart.
CLASSIFIERS = {
    "Academic Free License (AFL)": "AFL-3.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": BSD,
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Eclipse Public License 1.0 (EPL-1.0)": "EPL-1.0",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License (GPL)": "GPL-2.0-only OR GPL-3.0-only",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": LGPL,
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later OR LGPL-2.1-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": f"{LGPL} OR LGPL-3.0-only",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Other/Proprietary License": "LicenseRef-Proprietary",
    "Public Domain": "LicenseRef-Public-Domain",
    "Python Software Foundation License": "PSF-2.0 OR Python-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "Zero-Clause BSD (0BSD)": "0BSD",
    "Zope Public License": "ZPL-2.0 OR ZPL-2.1",
    "zlib/libpng License": "Zlib",
}
# What people write into License, without the words that say nothing (see _plain)
NAMES = {
    "2 clause bsd": "BSD-2-Clause",
    "3 clause bsd": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software": "Apache-2.0",
    "apache software 2.0": "Apache-2.0",
    "bsd": BSD,
    "bsd 2 clause": "BSD-2-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "mit": "MIT",
    "modified bsd": "BSD-3-Clause",
    "mozilla public 2.0": "MPL-2.0",
    "mpl 2.0": "MPL-2.0",
    "new bsd": "BSD-3-Clause",
    "psf": "PSF-2.0",
    "simplified bsd": "BSD-2-Clause",
    "unlicense": "Unlicense",
    "zpl 2.1": "ZPL-2.1",
}


def expression(declared: str, text: str, classifiers: Iterable[str]) -> str:
    """The SPDX expression of License-Expression, else of License, else of the classifiers; "" where it is unknown.

    Several classifiers must all be allowed: whether they are a choice is not said.
    """
    if declared:
        return _canonical(declared)
    found = _canonical(text) or NAMES.get(_plain(text), "")
    if found:
        return found
    said = {one.rpartition(" :: ")[2] for one in classifiers if one.startswith(PREFIX)} - {"OSI Approved"}
    parts = [CLASSIFIERS.get(one, "") for one in sorted(said)]
    return " AND ".join(f"({part})" if len(parts) > 1 else part for part in parts) if all(parts) else ""


def words(declared: str, text: str, classifiers: Iterable[str]) -> str:
    """What the metadata says, for people: the expression, else License's first line, else the classifiers' names."""
    line = declared or text.strip().partition("\n")[0].strip()
    if line and line != "UNKNOWN":
        return line
    return ", ".join(one.rpartition(" :: ")[2] for one in classifiers if one.startswith(PREFIX))


def allows(allowed: Collection[str], spdx: str) -> bool:
    """Whether the list allows this expression, which is one of `expression()`: OR needs one, AND needs both.

    A licence WITH an exception is allowed where the licence is: an exception only permits more.
    """
    tokens = spdx.replace("(", " ( ").replace(")", " ) ").split()
    return _any(tokens[::-1], {_name(" ".join(one.split())) for one in allowed})


def _any(tokens: list[str], allowed: Collection[str]) -> bool:
    """`tokens` is the rest of the expression, its next token last."""
    found = _all(tokens, allowed)
    while tokens and tokens[-1] == "OR":
        tokens.pop()
        found |= _all(tokens, allowed)
    return found


def _all(tokens: list[str], allowed: Collection[str]) -> bool:
    found = _one(tokens, allowed)
    while tokens and tokens[-1] == "AND":
        tokens.pop()
        found &= _one(tokens, allowed)
    return found


def _one(tokens: list[str], allowed: Collection[str]) -> bool:
    word = tokens.pop()
    if word == "(":
        found = _any(tokens, allowed)
        tokens.pop()
        return found
    name = _name(word)
    names = {name, name.replace("-or-later", "-only")}
    if tokens and tokens[-1] == "WITH":
        tokens.pop()
        names.add(f"{name} with {tokens.pop().lower()}")
    return not names.isdisjoint(allowed)


def _name(identifier: str) -> str:
    """In lower case; GPL-2.0 and GPL-2.0+, which SPDX has renamed, by their new names."""
    name = identifier.lower()
    old = re.fullmatch(r"((?:[al]?gpl|gfdl)-[0-9.]+)(\+?)", name)
    return f"{old[1]}-{'or-later' if old[2] else 'only'}" if old else name


@lru_cache(maxsize=1024)
def _canonical(text: str) -> str:
    if not text or len(text) > LONGEST or text.count("(") > DEEPEST:
        return ""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return ""


def _plain(text: str) -> str:
    if len(text) > LONGEST:
        return ""
    said = re.sub(r"\b(?:the|licen[cs]e[ds]?|version)\b|\bv(?=[0-9])", " ", text.lower())
    return " ".join(re.findall(r"[a-z0-9.+]+", said))
