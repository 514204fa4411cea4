"""Runtimes and architectures that a layer may truly declare, as its content has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date

from layerkit import targets
from layerkit.model import Target
from layerkit.verify.checks.binaries import SYSTEMS, Variants, is_foreign, is_musl, native_packages, too_new
from layerkit.verify.checks.claims import Claims
from layerkit.verify.checks.extensions import Extension, Modules, concerns, extension
from layerkit.verify.checks.loader import Loader, is_loaded
from layerkit.verify.facts import Entry, Format, ZipFacts
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import SITE, Subject, importable
from layerkit.verify.words import shown

NEAR = 180  # days before a runtime's end in which it is told
SOURCE = 'AWS Lambda Developer Guide, "Lambda runtimes"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What may be declared, and for each of the others why not: a clause that begins with a path or a name."""

    architectures: tuple[str, ...]
    runtimes: tuple[str, ...]
    reasons: Mapping[str, str]
    pure: bool = False  # no binary inside


def derive(facts: ZipFacts, runtimes: Sequence[str] = (), beside: Sequence[ZipFacts] = ()) -> Tags:
    """What is true of the content, among these runtimes (none given: all known).

    Distributions of the zips `beside` count as being there: those of the layers that are attached before.
    """
    runtimes = runtimes or targets.known_runtimes()
    tags = _by_content(facts, runtimes)
    reasons = dict(tags.reasons)
    for name, reason in Claims.of(facts).incomplete(runtimes, (facts, *beside)).items():
        reasons.setdefault(name, reason)
    return Tags(
        architectures=tuple(one for one in tags.architectures if one not in reasons),
        runtimes=tuple(one for one in tags.runtimes if one not in reasons),
        reasons=reasons,
        pure=tags.pure,
    )


def check(subject: Subject, today: date | None = None) -> Iterator[Finding]:
    """Rules `tags`, of what no rule on a single file tells, and `end-of-life`."""
    label = subject.facts.label
    declared = {one.runtime: one for one in subject.targets}
    claims = Claims.of(subject.facts)
    for name, target in declared.items():
        if reason := _in_folder_of_another(subject.facts, target) or claims.against(target):
            yield Finding(rule="tags", subject=label, message=f"{name} is declared, but {reason}")
    for name in declared:
        if message := _end(name, today or date.today()):  # noqa: DTZ011  (AWS gives days, without a zone)
            yield Finding(rule="end-of-life", subject=label, message=message)


def more(subject: Subject, tags: Tags) -> str:
    """What the layer may declare beyond what it does, in a sentence; "" when nothing."""
    declared = {one.architecture for one in subject.targets} | {one.runtime for one in subject.targets}
    if declared >= {*tags.architectures, *tags.runtimes} or not (tags.architectures and tags.runtimes):
        return ""
    kind = "pure Python: " if tags.pure else ""
    return f"{kind}true of {_listed(tags.runtimes)} on {_listed(tags.architectures)}"


def _listed(names: Sequence[str]) -> str:
    known = targets.known_runtimes()
    first = known.index(names[0]) if names[0] in known else len(known)
    if len(names) > 2 and tuple(names) == known[first : first + len(names)]:
        return f"{names[0]} to {names[-1]}"
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"


def _end(name: str, today: date) -> str:
    runtime = targets.find_runtime(name)
    end = runtime.deprecated if runtime else None
    if end is None or (end - today).days > NEAR:
        return ""
    if end <= today:
        return f"{name} has had no security updates since {end} ({SOURCE})"
    return f"{name} gets security updates until {end}, {(end - today).days} more days ({SOURCE})"


def _by_content(facts: ZipFacts, runtimes: Sequence[str]) -> Tags:
    reasons: dict[str, str] = {}
    architectures = []
    claims = Claims.of(facts)
    spare = claims.spare_parts(facts)
    for architecture in targets.ARCHITECTURES:
        if reason := _of_another_machine(facts, _targets(runtimes, (architecture,)), spare):
            reasons[architecture] = reason
        else:
            architectures.append(architecture)
    # a runtime is true where it is on all architectures that are
    for target in _targets(runtimes, architectures or targets.ARCHITECTURES):
        if target.runtime not in reasons and (reason := _of_another_runtime(facts, target, claims, spare)):
            reasons[target.runtime] = reason
    return Tags(
        architectures=tuple(architectures),
        runtimes=tuple(name for name in runtimes if name not in reasons),
        reasons=reasons,
        pure=all(entry.format is Format.OTHER for entry in facts.files),
    )


def _targets(runtimes: Sequence[str], architectures: Sequence[str]) -> list[Target]:
    found = (targets.find_runtime(name) for name in runtimes)
    return [one.target(architecture) for one in found if one for architecture in architectures]


def _of_another_machine(facts: ZipFacts, wanted: Sequence[Target], spare: Set[str]) -> str:
    """Why the architecture of these targets is not true; "" when it is."""
    native = native_packages(facts)
    for target in wanted[:1]:  # another runtime has the same machine
        for entry, module in _binaries(facts, target, spare):
            if is_foreign(entry, module, native):
                return f"{shown(entry.path)} is for {SYSTEMS[entry.format]}"
            if entry.elf and is_loaded(entry.elf):
                if is_musl(entry, module):
                    return f"{shown(entry.path)} is for musl's C library"
                if entry.elf.machine != target.machine:
                    return f"{shown(entry.path)} is for {entry.elf.machine}"
    return ""


def _binaries(facts: ZipFacts, target: Target, spare: Set[str]) -> Iterator[tuple[Entry, Extension | None]]:
    """Those that may be loaded on this target: not the ones that Python passes over."""
    modules, variants = Modules((facts,), target), Variants((facts,), target)
    for entry in facts.files:
        if entry.format is not Format.OTHER and entry.path not in spare and not variants.has_better(entry):
            module = extension(entry.path) if entry.path.startswith("python/") else None
            if module is None or not modules.passes_over(module):
                yield entry, module


def _of_another_runtime(facts: ZipFacts, target: Target, claims: Claims, spare: Set[str]) -> str:
    return (
        _in_folder_of_another(facts, target)
        or _in_abi_of_another(facts, target, spare)
        or claims.against(target)
        or _in_bytecode_of_another(facts, target)
        or _on_newer_system(facts, target, spare)
    )


def _in_folder_of_another(facts: ZipFacts, target: Target) -> str:
    folders = {
        parts[2]: None
        for parts in (entry.path.split("/", 4) for entry in facts.files)
        if len(parts) == 5 and parts[:2] == ["python", "lib"] and parts[2][:8] == "python3." and parts[3] == SITE
    }
    if not folders or f"python{target.python}" in folders:
        return ""
    return f"its modules are in python/lib/{shown(next(iter(folders)))}/{SITE}"


def _in_abi_of_another(facts: ZipFacts, target: Target, spare: Set[str]) -> str:
    modules = Modules((facts,), target)
    for entry in facts.files:
        module = extension(entry.path) if entry.path.startswith("python/") else None
        if module is None or not concerns(entry.path, target) or module.windows or module.is_for(target.python):
            continue
        if entry.path not in spare and not modules.passes_over(module):
            return f"{shown(entry.path)} is for {shown(module.made_for)}"
    return ""


def _in_bytecode_of_another(facts: ZipFacts, target: Target) -> str:
    """Bytecode without its source must be the runtime's own; beside a source it is only slower."""
    runtime = targets.find_runtime(target.runtime)
    below = dict(importable(facts, target))
    for path, entry in below.items():
        bytecode = entry.bytecode
        if bytecode is None or "__pycache__/" in path or path.removesuffix("c") in below:
            continue
        if runtime and runtime.magic and bytecode.magic != runtime.magic:
            return f"{shown(entry.path)} is bytecode of another Python, without its source"
    return ""


def _on_newer_system(facts: ZipFacts, target: Target, spare: Set[str]) -> str:
    if not any(entry.elf for entry in facts.files):
        return ""
    loader = Loader((facts,), target)
    for entry, _ in _binaries(facts, target, spare):
        if entry.elf and entry.elf.machine == target.machine and concerns(entry.path, target):
            for _, _, clause in too_new(entry.elf, loader):
                return f"{shown(entry.path)} {clause}"
    return ""
