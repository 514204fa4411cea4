"""Rules on .pyc files: whether the runtime uses them, and whether they say what their sources say.

Python recompiles in memory at each start what it cannot use, because /opt is read-only.  Sources: PEP 552, PEP 3147;
CPython's Lib/importlib/_bootstrap_external.py, SourceLoader.get_code and SourcelessFileLoader.get_code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from layerkit import targets
from layerkit.model import Target
from layerkit.verify.checks.junk import is_junk
from layerkit.verify.checks.paths import is_sound
from layerkit.verify.facts import Bytecode, Entry, ZipFacts
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import Subject, importable
from layerkit.verify.words import by_reason, count, gathered, shown

CACHED = re.compile(
    r"(?P<folder>(?:.+/)?)__pycache__/(?P<module>[^/]+?)\.(?P<tag>[^./]+)(?P<level>\.opt-[^./]+)?\.pyc"
)
WORD = 0xFFFFFFFF  # times and sizes in a .pyc are modulo 2**32
# Bytes of source whose compiling is felt: CPython 3.12 took 14 ms for these (flask's layer, one full core)
FELT = 100_000


@dataclass(slots=True)
class _Use:
    """What one runtime does with a layer's bytecode."""

    used: dict[str, tuple[Entry, Entry | None]] = field(default_factory=dict)  # path -> itself, its source
    useless: dict[str, str] = field(default_factory=dict)  # path -> why
    refused: dict[str, str] = field(default_factory=dict)  # path of one without source -> why
    bare: list[Entry] = field(default_factory=list)  # sources without bytecode


def check(subject: Subject) -> Iterator[Finding]:
    facts = subject.facts
    runtimes = {target.runtime: target for target in subject.targets}
    uses = {runtime: _uses(facts, target) for runtime, target in runtimes.items()}
    used = _all_used(uses.values())
    yield from _agreement(facts, used)
    yield from _paths(facts, used)
    for runtime, use in uses.items():
        for why, paths in by_reason((why, path) for path, why in use.refused.items()).items():
            clause = f"{{has}} no source and cannot be loaded by {runtime}: {why}"
            yield from gathered(facts, "bytecode-magic", paths, "bytecode file", clause)
    useless = {path: why for use in uses.values() for path, why in use.useless.items() if path not in used}
    for why, paths in by_reason((why, path) for path, why in useless.items()).items():
        clause = f"{{is}} in the zip in vain: {why}"
        yield from gathered(facts, "bytecode-unused", paths, "bytecode file", clause)
    for runtime, use in uses.items():
        size = sum(source.size for source in use.bare)
        if size > FELT:
            clause = f"({size:,} bytes) {{has}} no bytecode for {runtime}, so each start compiles what it imports"
            yield from gathered(facts, "bytecode-missing", [one.path for one in use.bare], "module", clause)


def foreign(subject: Subject) -> Mapping[str, str]:
    """Bytecode that bytecode-path tells of -> the path inside."""
    runtimes = {target.runtime: target for target in subject.targets}
    used = _all_used(_uses(subject.facts, target) for target in runtimes.values())
    return {path: _outside(entry) for path, (entry, _) in used.items() if _outside(entry)}


def _all_used(uses: Iterable[_Use]) -> dict[str, tuple[Entry, Entry | None]]:
    return {path: pair for use in uses for path, pair in use.used.items()}


def _uses(facts: ZipFacts, target: Target) -> _Use:
    runtime = targets.find_runtime(target.runtime)
    magic = runtime.magic if runtime else 0
    tag = f"cpython-{target.python.replace('.', '')}"
    below = {path: entry for path, entry in importable(facts, target) if is_sound(entry.path)}
    found = _Use()
    compiled: set[str] = set()
    for path, entry in below.items():
        if not path.endswith(".pyc") or is_junk(path):
            continue
        match = CACHED.fullmatch(path)
        source = f"{match['folder']}{match['module']}.py" if match else path[:-1]
        if match:
            compiled.add(source)
        if entry.unread:  # told of the zip
            continue
        if match:
            why = _why_not_cached(entry, match, tag, magic, source in below)
        elif source in below:
            why = f"Python takes the source beside it and looks for bytecode in __pycache__/*.{tag}.pyc"
        elif reason := _why_not_loaded(entry.bytecode, magic, entry.damage):
            found.refused[entry.path] = reason
            continue
        else:
            why = ""
        if why:
            found.useless[entry.path] = why
        else:
            found.used[entry.path] = (entry, below.get(source))
    found.bare = [
        entry for path, entry in below.items() if path.endswith(".py") and path not in compiled and _is_module(path)
    ]
    return found


def _is_module(path: str) -> bool:
    return all(part.isidentifier() for part in path[:-3].split("/"))


def _why_not_cached(entry: Entry, name: re.Match[str], tag: str, magic: int, has_source: bool) -> str:
    if name["tag"] != tag:
        return f"made for {shown(name['tag'])}, where {tag} is looked for"
    if name["level"]:
        return f"{name['level'][1:]} is for python -O, which Lambda does not use"
    if not has_source:
        return "the source is missing, and without one bytecode must be named module.pyc beside __pycache__"
    reason = _why_not_loaded(entry.bytecode, magic, entry.damage)
    return f"named for {tag}, but {reason}" if reason else ""


def _why_not_loaded(bytecode: Bytecode | None, magic: int, damage: str) -> str:
    if damage or bytecode is None:
        return f"damaged ({shown(damage)})" if damage else "no bytecode at all"
    if magic in (0, bytecode.magic):  # 0: of a runtime newer than data/targets.toml
        return ""
    return f"bad magic number {bytecode.magic} ({_writer(bytecode.magic)}), not {magic}"


def _writer(magic: int) -> str:
    names = {one.magic: name for name in targets.known_runtimes() if (one := targets.find_runtime(name))}
    return f"of {names[magic]}" if magic in names else "of another Python"


def _agreement(facts: ZipFacts, used: Mapping[str, tuple[Entry, Entry | None]]) -> Iterator[Finding]:
    """Whether bytecode is that of the source beside it, as Python would find out, or would not."""
    wrong: list[str] = []
    changed: list[str] = []
    dated: list[str] = []
    example = ""
    for path, (entry, source) in used.items():
        bytecode = entry.bytecode
        if bytecode is None or source is None:
            continue
        if bytecode.hashed:
            true_hash = source.source_hashes.get(bytecode.magic, bytecode.source_hash)
            if true_hash != bytecode.source_hash:
                (changed if bytecode.checked else wrong).append(path)
        elif bytecode.source_size != source.size & WORD or bytecode.mtime != source.modified & WORD:
            dated.append(path)
            example = example or _difference(bytecode, source)
    clause = "{has} another source's hash than the source beside it, and Python runs it without a look at that"
    yield from gathered(facts, "bytecode-wrong", wrong, "bytecode file", clause)
    clause = "(checked hash) {is} of another source than the one beside it, so each start compiles that again"
    yield from gathered(facts, "bytecode-stale", changed, "bytecode file", clause)
    clause = f"with a timestamp {{is}} not of the source in the zip, so each start compiles that again: {example}"
    yield from gathered(facts, "bytecode-stale", dated, "bytecode file", clause)


def _difference(bytecode: Bytecode, source: Entry) -> str:
    if bytecode.source_size != source.size & WORD:
        return f"{shown(source.name)} has {count(source.size, 'byte')}, its bytecode says {bytecode.source_size:,}"
    return (
        f"{shown(source.name)} is of {_time(source.modified)} in the zip, its bytecode says {_time(bytecode.mtime)}"
    )


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds & WORD, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _outside(entry: Entry) -> str:
    """The path in its bytecode, where it is not below /opt."""
    name = entry.bytecode.name if entry.bytecode else ""
    return "" if name.startswith("/opt/") else shown(name)


def _paths(facts: ZipFacts, used: Mapping[str, tuple[Entry, Entry | None]]) -> Iterator[Finding]:
    """Python mends the path in bytecode that has a source beside it (_imp._fix_co_filename), in no other."""
    mended: list[tuple[str, str]] = []
    kept: list[tuple[str, str]] = []
    for path, (entry, source) in used.items():
        if name := _outside(entry):
            (mended if source else kept).append((path, name))
    for found, then in (
        (mended, "which tells of the machine that compiled them"),
        (kept, "which is what tracebacks show, for want of a source"),
    ):
        if found:
            clause = f"{{has}} a path inside that is not below /opt, such as {found[0][1]}, {then}"
            yield from gathered(facts, "bytecode-path", [path for path, _ in found], "bytecode file", clause)
