"""The modules at the top of a layer: what a function that attaches it can name in an import."""

from __future__ import annotations

import keyword
from importlib.machinery import BYTECODE_SUFFIXES, SOURCE_SUFFIXES

from layerkit.model import Target
from layerkit.verify.facts import ZipFacts
from layerkit.verify.subjects import importable

# Folders and files that distributions leave at the top by mistake, or that are run and not imported.
NO_MODULES = frozenset(
    "bin conftest setup test tests doc docs example examples bench benchmark benchmarks".split()  # noqa: SIM905
)


def top_level(facts: ZipFacts, target: Target) -> tuple[str, ...]:
    """Sorted names of the modules and packages in the import roots that the target's Python can import.

    A folder without __init__ counts if it holds modules (a namespace package, PEP 420).
    """
    suffixes = (
        *(f".cpython-{target.python.replace('.', '')}-{target.machine}-linux-gnu.so", ".abi3.so", ".so"),
        *SOURCE_SUFFIXES,
        *BYTECODE_SUFFIXES,
    )
    found = set()
    for path, _ in importable(facts, target):
        parts = path.split("/")
        module = next((parts[-1].removesuffix(end) for end in suffixes if parts[-1].endswith(end)), "")
        names = [*parts[:-1], module]
        if all(map(_is_name, names)) and not names[0].startswith("__") and names[0] not in NO_MODULES:
            found.add(names[0])
    return tuple(sorted(found))


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text) and text != "__pycache__"
