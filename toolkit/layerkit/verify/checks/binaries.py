"""Rules on binaries: whether Lambda's loader and Python would take each, and find what it asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set

from layerkit.elf import ElfFile
from layerkit.model import Target
from layerkit.verify.checks.claims import Claims
from layerkit.verify.checks.extensions import Extension, Modules, concerns, extension
from layerkit.verify.checks.junk import is_junk
from layerkit.verify.checks.loader import Found, Loader, is_loaded, strange_folders
from layerkit.verify.facts import Entry, Format, ZipFacts
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import Subject
from layerkit.verify.words import count, several, shown

MISSING = "needed-library"
MOST_MISSING = 10  # libraries that are told one by one; all of Qt needs 76, and nobody packs these
LIBRARY = re.compile(r".*\.so(?:\.[0-9]+)*", re.DOTALL)
SYSTEMS = {Format.MACH_O: "macOS (Mach-O)", Format.PE: "Windows (PE)"}
MUSL, MUSL_ITSELF = ("libc.musl-", "ld-musl-"), "libc.so"
VERSION = re.compile(r"(GLIBC|GLIBCXX|CXXABI|GCC)_([0-9]{1,9}(?:\.[0-9]{1,9})*)")
# Markers of features that no glibc before 2.36 defines (GLIBC_ABI_DT_RELR was the first)
FEATURE = "GLIBC_ABI_"
FEATURES_SINCE: tuple[int, ...] = (2, 36)
# Modules that their package tries and does without.  numba: "The Threading Layers" (workqueue is always there)
OPTIONAL = re.compile(r"/numba/np/ufunc/(?:omp|tbb)pool\.")
VARIANT = re.compile(
    r"x86[-_]64|amd64|x64|aarch64|arm64|i[3-6]86|x86|armv[67][a-z]*|armhf|ppc64le|s390x|riscv64|musl|glibc|gnu"
)


def check(subject: Subject) -> Iterator[Finding]:
    label = subject.facts.label
    told: set[tuple[str, str, str]] = set()  # two targets may share a breach
    missing: dict[tuple[str, str], dict[str, None]] = {}  # (library, runtime) -> paths of what needs it
    for target in subject.targets:
        for rule, path, clause in _breaches(subject, target):
            if rule == MISSING:
                missing.setdefault((clause, target.runtime), {})[path] = None
            elif (rule, path, clause) not in told:
                told.add((rule, path, clause))
                yield Finding(rule=rule, subject=label, path=path, message=f"{shown(path)} {clause}")
    yield from _missing(label, missing)


def _missing(label: str, missing: Mapping[tuple[str, str], Mapping[str, None]]) -> Iterator[Finding]:
    """One finding for each library: hundreds of files may need it."""
    ordered = sorted(missing.items(), key=lambda item: -len(item[1]))
    for (library, runtime), needing in ordered[:MOST_MISSING]:
        paths = list(needing)
        who = f"{shown(paths[0])} needs" if len(paths) == 1 else f"{count(len(paths), 'file')} need"
        listed = f" ({several(paths)})" if len(paths) > 1 else ""
        message = f"{who} {shown(library)}, which neither {runtime} nor the layer has{listed}"
        yield Finding(rule=MISSING, subject=label, path=paths[0], message=message)
    rest = {library: next(iter(needing)) for (library, _), needing in ordered[MOST_MISSING:]}
    if rest:
        message = f"also needed and missing: {several(list(rest))}"
        yield Finding(rule=MISSING, subject=label, path=next(iter(rest.values())), message=message)


def _breaches(subject: Subject, target: Target) -> Iterator[tuple[str, str, str]]:
    """(rule, path, clause) of what is wrong; of a library that is missing, its name."""
    modules = Modules(subject.together, target)
    loader = Loader(subject.together, target)
    variants = Variants(subject.together, target)
    spare = Claims.of(subject.facts).spare_parts(subject.facts)
    native = native_packages(subject.facts)
    for entry in subject.facts.files:
        if entry.unread or not concerns(entry.path, target):
            continue
        if entry.format is Format.OTHER and is_junk(entry.path):
            continue
        module = extension(entry.path) if entry.path.startswith("python/") else None
        if (module and modules.passes_over(module)) or variants.has_better(entry) or entry.path in spare:
            continue
        for rule, clause in _of_file(entry, module, native, loader):
            yield rule, entry.path, clause


def _of_file(entry: Entry, module: Extension | None, native: Set[str], loader: Loader) -> Iterator[tuple[str, str]]:
    """(rule, clause) of what is wrong; `native` are the packages that have a binary for Linux."""
    target = loader.target
    if damage := _damage(entry):
        yield "elf-damaged", damage
    elif is_foreign(entry, module, native):
        yield "foreign-binary", f"is a binary for {SYSTEMS[entry.format]}, and Lambda runs Linux"
    elif is_musl(entry, module):
        yield "musl", f"is for musl's C library, and {target.runtime} has glibc {_dotted(loader.system.glibc)}"
    else:
        is_other = bool(entry.elf and is_loaded(entry.elf) and entry.elf.machine != target.machine)
        if module and module.rank(target) is None and not (is_other and module.is_for(target.python)):
            exact = f"cpython-{target.python.replace('.', '')}-{target.machine}-linux-gnu"
            takes = f"takes .{exact}.so, .abi3.so or .so"
            yield (
                "extension-abi",
                f"is for {shown(module.made_for)}, and {target.runtime} on {_called(target)} {takes}",
            )
        if entry.elf and is_other:
            yield "elf-machine", f"is for {entry.elf.machine}, and {_called(target)} is declared"
        elif entry.elf and is_loaded(entry.elf):
            for _, rule, clause in too_new(entry.elf, loader):
                yield rule, clause
            yield from _libraries(entry, entry.elf, loader)
            yield from _habits(entry, entry.elf)


def _damage(entry: Entry) -> str:
    if entry.format is Format.ELF:
        return f"is a damaged ELF file: {shown(entry.damage)}" if entry.damage else ""
    if entry.format is not Format.OTHER or not LIBRARY.fullmatch(entry.path):
        return ""
    if not entry.size:
        return "is empty, though it is named as a shared library"
    return (
        f"is no ELF file ({entry.size:,} bytes), though it is named as a shared library: perhaps a Git LFS pointer,"
        " or a link that was copied as text"
    )


def is_foreign(entry: Entry, module: Extension | None, native: Set[str]) -> bool:
    """Whether it stands where a binary for Linux must: as a module, or as the only library of its package.

    Others are spare parts: launchers (.exe) of setuptools and pip, .dll and .dylib files of wheels for all systems.
    """
    if entry.format not in SYSTEMS:
        return False
    if module or LIBRARY.fullmatch(entry.path):
        return True
    return entry.path.endswith(".dylib") and _package(entry.path) not in native


def native_packages(facts: ZipFacts) -> Set[str]:
    """Those that have a binary for Linux."""
    return {_package(entry.path) for entry in facts.files if entry.elf}


def _package(path: str) -> str:
    parts = path.split("/")
    depth = 5 if parts[:2] == ["python", "lib"] else 2
    return "/".join(parts[:depth])


def is_musl(entry: Entry, module: Extension | None) -> bool:
    asked = entry.elf.needed if entry.elf else ()
    return bool(module and module.is_musl) or any(name.startswith(MUSL) or name == MUSL_ITSELF for name in asked)


def too_new(elf: ElfFile, loader: Loader) -> Iterator[tuple[str, str, str]]:
    """(prefix, rule, clause) for each kind of version that the runtime's own libraries do not define yet.

    Libraries that the layers bring along are left out: those define what they were built with.
    """
    newest: dict[str, tuple[tuple[int, ...], str]] = {}
    for library, names in elf.versions.items():
        if library in loader.carried:
            continue
        for name in names:
            if match := VERSION.fullmatch(name):
                prefix, found = match[1], (tuple(map(int, match[2].split("."))), name)
            elif name.startswith(FEATURE):
                prefix, found = "GLIBC", (FEATURES_SINCE, name)
            else:
                continue
            newest[prefix] = max(newest.get(prefix, found), found)
    for prefix, (number, name) in newest.items():
        limit = loader.system.symbols[prefix]
        if number > limit:
            rule = "glibc" if prefix == "GLIBC" else "libstdcxx"
            yield prefix, rule, f"needs {shown(name)}, and {loader.target.runtime} has {_dotted(limit)}"


def _libraries(entry: Entry, elf: ElfFile, loader: Loader) -> Iterator[tuple[str, str]]:
    found = loader.libraries(entry, elf)
    if not OPTIONAL.search(entry.path):
        yield from ((MISSING, name) for name, where in found.items() if where is Found.MISSING)
    hidden = [name for name, where in found.items() if where is Found.ELSEWHERE]
    if hidden:
        yield "library-path", f"needs {several(hidden)}, which is in the layer where no file looks for libraries"


def _habits(entry: Entry, elf: ElfFile) -> Iterator[tuple[str, str]]:
    strange = strange_folders(entry, elf)
    if strange:
        names = several([" ".join(folder.split()) or "the working directory" for folder in strange])
        yield "rpath", f"looks for libraries in {names}, which is not below /opt"
    if elf.executable_stack:
        yield "executable-stack", "asks for an executable stack"
    if elf.text_relocations:
        yield "text-relocations", "has text relocations: the loader must write into its code"


def _called(target: Target) -> str:
    alike = target.machine == target.architecture
    return target.architecture if alike else f"{target.architecture} ({target.machine})"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


class Variants:
    """Binaries that come once for each architecture or C library: pkg/linux-x64/a.so beside pkg/linux-arm64/a.so."""

    def __init__(self, zips: tuple[ZipFacts, ...], target: Target) -> None:
        self.target = target
        self.right = {_neutral(one.path) for facts in zips for one in facts.files if one.elf and self._fits(one)}

    def has_better(self, entry: Entry) -> bool:
        """Whether it is wrong for the target, and one that is right stands beside it."""
        return bool(entry.elf) and not self._fits(entry) and _neutral(entry.path) in self.right

    def _fits(self, entry: Entry) -> bool:
        right = entry.elf is not None and entry.elf.machine == self.target.machine
        return right and not is_musl(entry, extension(entry.path))


def _neutral(path: str) -> str:
    return VARIANT.sub("*", path)
