"""The modules at the top of a layer: what a function that attaches it can name in an import."""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Sequence
from importlib.machinery import BYTECODE_SUFFIXES, SOURCE_SUFFIXES

from layerkit.model import Target
from layerkit.verify.facts import ZipFacts
from layerkit.verify.subjects import importable

# Folders and files that distributions leave at the top by mistake, or that are run and not imported.
NO_MODULES = frozenset(
    "bin conftest setup test tests doc docs example examples bench benchmark benchmarks".split()  # noqa: SIM905
)

DEEPEST, MOST = 4, 30  # names of a namespace package's module; modules of one such package
ALIKE = 3  # modules beside each other in it; google.api alone has 30 of one kind

Names = tuple[str, ...]


def top_level(facts: ZipFacts, target: Target) -> tuple[str, ...]:
    """Sorted names of the modules and packages in the import roots that the target's Python can import.

    Importing a folder without __init__ (a namespace package, PEP 420) loads nothing: what is first below it counts.
    """
    suffixes = (
        *(f".cpython-{target.python.replace('.', '')}-{target.machine}-linux-gnu.so", ".abi3.so", ".so"),
        *SOURCE_SUFFIXES,
        *BYTECODE_SUFFIXES,
    )
    packages: set[Names] = set()
    modules: set[Names] = set()
    for path, _ in importable(facts, target):
        *folders, name = path.split("/")
        module = next((name.removesuffix(end) for end in suffixes if name.endswith(end)), "")
        if module == "__init__" and _can_be_named(folders):
            packages.add(tuple(folders))
        elif _can_be_named([*folders, module]):
            modules.add((*folders, module))
    found: dict[str, dict[Names, None]] = {}  # by the name at the top; packages come first
    beside: Counter[Names] = Counter()
    for names in (*sorted(packages), *sorted(modules)):
        first = next((names[:end] for end in range(1, len(names)) if names[:end] in packages), names)
        if len(first) > 1 and first not in packages:
            beside[first[:-1]] += 1
        if beside[first[:-1]] <= ALIKE or first in packages:
            found.setdefault(names[0], {})[first if len(first) <= DEEPEST else first[:1]] = None
    return tuple(sorted(".".join(names) for several in found.values() for names in [*several][:MOST]))


def _can_be_named(names: Sequence[str]) -> bool:
    """Names of what is run, not imported, are left out in namespaces, too."""
    return all(map(_is_name, names)) and bool(names) and not names[0].startswith("__") and names[0] not in NO_MODULES


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text) and text != "__pycache__"
