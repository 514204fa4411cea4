"""The distributions that a layer holds, read from their metadata, and what is wrong with them.

Sources: the core metadata specification; PEP 508 (requirements); PEP 685 (names of extras).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from layerkit.model import Target
from layerkit.verify.checks import licenses
from layerkit.verify.checks.junk import is_junk
from layerkit.verify.facts import Entry, ZipFacts
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import Subject, importable, roots
from layerkit.verify.words import count, several, shown

METADATA = {"dist-info": "METADATA", "egg-info": "PKG-INFO"}
# What AWS's runtimes bring: boto3 and what that requires.  The versions change with the runtime's, so any counts.
# Source: AWS Lambda Developer Guide, lambda-python.html ("an environment that includes the SDK for Python (Boto3)").
RUNTIME = frozenset({"boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"})
LONGEST = 5000  # characters of a requirement, or of a name or a version; none comes near
DEEPEST = 50  # parentheses of a marker
MOST = 5000  # requirements of one distribution
LOOKS = 50_000  # at requirements, in finding out what nothing provides: a second's work; what is beyond is not told
UNKNOWN = "0"  # the version of what does not say one


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """An installed distribution.  Its texts are a stranger's: `shown()` them before they are printed."""

    name: str  # normalised (PEP 503)
    version: str
    location: str  # its .dist-info or .egg-info folder, as the zip has it
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    licensing: tuple[str, str, tuple[str, ...]] = ("", "", ())  # License-Expression, License, classifiers
    extras: tuple[str, ...] = ()  # normalised
    problems: tuple[str, ...] = ()  # what of its metadata could not be read: clauses

    @property
    def root(self) -> str:
        """The folder that it is installed in, with a slash at its end."""
        return self.location[: self.location.rfind("/") + 1]

    @property
    def license(self) -> str:
        """An SPDX expression; "" where it is unknown.  Made when it is asked for: knowing them all costs 20 ms."""
        return licenses.expression(*self.licensing)

    @property
    def license_words(self) -> str:
        """What its metadata says, in its own words."""
        return licenses.words(*self.licensing)

    def __str__(self) -> str:
        return shown(f"{self.name} {self.version}")


def installed(facts: ZipFacts, target: Target) -> tuple[Distribution, ...]:
    """What importlib.metadata finds in this layer, in the order of sys.path, then of names."""
    return found(importable(facts, target), roots(target))


def found(files: Iterable[tuple[str, Entry]], order: Sequence[str] = ()) -> tuple[Distribution, ...]:
    """The distributions among these files, which are (path below the import root, entry); never raises."""
    folders: dict[str, str] = {}  # of each: its metadata
    unread: set[str] = set()  # why is told of the zip
    for path, entry in files:
        folder, slash, name = path.partition("/")
        wanted = METADATA.get(folder.rpartition(".")[2])
        if slash and wanted:
            location = entry.path.removesuffix(f"/{name}")
            folders.setdefault(location, "")
            if name == wanted:
                folders[location] = entry.text
                if entry.unread:
                    unread.add(location)
    places = {f"{root}/": place for place, root in enumerate(order)}
    everything = [_distribution(location, text, location in unread) for location, text in folders.items()]
    return tuple(sorted(everything, key=lambda one: (places.get(one.root, len(places)), one.name, one.location)))


def _distribution(location: str, text: str, unread: bool = False) -> Distribution:
    said = _headers(text)
    stem = location.rpartition("/")[2].rpartition(".")[0]

    def one(header: str) -> str:
        return said.get(header, [""])[0][:LONGEST]

    name, _, version = stem.partition("-")
    version = one("version") or version.partition("-")[0] or UNKNOWN
    texts = tuple(said.get("requires-dist", [])[:MOST])
    problems = ["has no metadata that can be read"] if not said and not unread else []
    if said and not one("name"):
        problems.append("has metadata without a name")
    if said and not one("version"):
        problems.append("has metadata without a version")
    if one("version") and not _version(version):
        problems.append(f"has the version {shown(version)!r}, which is none by PEP 440")
    if bad := [each for each in texts if not _requirement(each)]:
        problems.append(f"has {count(len(bad), 'requirement')} that PEP 508 does not know: {several(bad)}")
    license_text, classifiers = "\n".join(said.get("license", [])[:1]), tuple(said.get("classifier", []))
    return Distribution(
        name=canonicalize_name(one("name") or name),
        version=version,
        location=location,
        requires=texts,
        requires_python=one("requires-python"),
        licensing=(one("license-expression"), license_text, classifiers),
        extras=tuple(canonicalize_name(each) for each in said.get("provides-extra", [])[:MOST]),
        problems=tuple(problems),
    )


def _headers(text: str) -> Mapping[str, list[str]]:
    """Header in lower case -> its values.  The standard parser costs 15 ms to import; this one takes any text."""
    values: defaultdict[str, list[str]] = defaultdict(list)
    last: list[str] = []
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if not line:  # the description begins
            break
        if line[0] in " \t":
            if last:
                last[-1] = f"{last[-1]}\n{line.strip()}" if len(last[-1]) < LONGEST else last[-1]
            continue
        key, colon, value = line.partition(":")
        last = values[key.strip().lower()] if colon else []
        if colon:
            last.append(value.strip())
    return dict(values)


@lru_cache(maxsize=MOST)
def _requirement(text: str) -> Requirement | None:
    """None for what is no requirement.  packaging's parser recurses with each parenthesis."""
    if len(text) > LONGEST or text.count("(") > DEEPEST:
        return None
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


@lru_cache(maxsize=4096)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except (InvalidVersion, ValueError):  # Python refuses to read a number of thousands of digits
        return None


def unmet(
    of: Iterable[Distribution], provided: Iterable[Distribution], target: Target
) -> Iterator[tuple[Distribution, str, str]]:
    """(distribution, its requirement, the versions that are there) of each requirement that nothing provides.

    Extras count where a requirement of another distribution asks for them.  `provided` has all of `of`.
    """
    there: defaultdict[str, list[Distribution]] = defaultdict(list)
    for one in provided:
        there[one.name].append(one)
    asked = {one.location for one in of}
    waiting = deque((one, "") for same in there.values() for one in same)
    seen = set(waiting)
    told, looks = set(), 0
    while waiting and looks < LOOKS:
        one, extra = waiting.popleft()
        looks += len(one.requires)
        for wanted in _applying(one, extra, target):
            name = canonicalize_name(wanted.name)
            for other in there.get(name, ()):
                new = {(other, canonicalize_name(each)) for each in wanted.extras} - seen
                seen |= new
                waiting.extend(sorted(new, key=lambda pair: pair[1]))
            text = f"{name}{wanted.specifier}"
            if one.location in asked and (one, text) not in told and not _provides(there.get(name, ()), wanted):
                told.add((one, text))
                yield one, text, ", ".join(sorted({other.version for other in there.get(name, ())}))


def _applying(one: Distribution, extra: str, target: Target) -> Iterator[Requirement]:
    environment = {**target.marker_environment(), "extra": extra}
    for text in one.requires:
        wanted = _requirement(text)
        # with an extra, what needs none was looked at before
        if wanted and (not extra or "extra" in text) and _holds(wanted, environment):
            yield wanted


def _holds(wanted: Requirement, environment: Mapping[str, str]) -> bool:
    try:
        return wanted.marker is None or wanted.marker.evaluate(dict(environment))
    except ValueError:  # it compares what cannot be compared
        return False


def _provides(there: Sequence[Distribution], wanted: Requirement) -> bool:
    """An unreadable version, and a requirement of a URL, are met by what has the name."""
    if not there:
        return canonicalize_name(wanted.name) in RUNTIME
    versions = [_version(one.version) for one in there]
    return any(one is None or wanted.specifier.contains(one, prereleases=True) for one in versions)


def recorded(facts: ZipFacts, some: Iterable[Distribution]) -> frozenset[str]:
    """The paths in the zip that their RECORDs name."""
    wanted = {f"{one.location}/RECORD": one.root for one in some}
    paths: set[str] = set()
    for entry in facts.files:
        if entry.path in wanted:
            rows = (line.rstrip("\r") for line in entry.text.split("\n"))
            # a path with a comma is quoted
            names = (row[1:].partition('"')[0] if row[:1] == '"' else row.partition(",")[0] for row in rows)
            paths.update(wanted[entry.path] + name for name in names)
    return frozenset(paths)


def check(subject: Subject, declared: str = "") -> Iterator[Finding]:
    """`declared` is the licence of the layer's own source, which has no metadata; "" where that is not known."""
    findings: dict[Finding, None] = {}
    for target in subject.targets:
        findings |= dict.fromkeys(_target(subject, target))
        if subject.licenses is not None:
            findings |= dict.fromkeys(_licenses(subject, subject.licenses, target, declared))
    yield from findings


def _target(subject: Subject, target: Target) -> Iterator[Finding]:
    label = subject.facts.label
    own = installed(subject.facts, target)
    used = [(facts.label, one) for facts in subject.used for one in installed(facts, target)]
    for one in own:
        for problem in one.problems:
            yield Finding(rule="metadata", subject=label, path=one.location, message=f"{one} {problem}")
    yield from _twice(label, own, used)
    for one, wanted, there in unmet(own, (*own, *(other for _, other in used)), target):
        missing = f"{shown(there)} is there" if there else "neither the layer, what it uses nor the runtime has it"
        message = f"{one} requires {shown(wanted)}, and {missing}"
        if len(subject.targets) > 1:
            message += f" (for {target.label})"
        yield Finding(rule="requirement", subject=label, path=one.location, message=message)


def _twice(label: str, own: Sequence[Distribution], used: Sequence[tuple[str, Distribution]]) -> Iterator[Finding]:
    folders: defaultdict[str, list[Distribution]] = defaultdict(list)
    for one in own:
        folders[one.name].append(one)
    for name, same in folders.items():
        if len(same) > 1:
            message = f"{shown(name)} is installed {len(same)} times: {several([one.location for one in same])}"
            yield Finding(rule="distribution-twice", subject=label, path=same[0].location, message=message)
        for place, other in used:
            if other.name == name and not _is_same(other, same[0]):
                message = f"{same[0]} is in this layer, and {other} in {place}, which it uses: one would be right"
                yield Finding(rule="distribution-twice", subject=label, path=same[0].location, message=message)


def _is_same(one: Distribution, other: Distribution) -> bool:
    return (_version(one.version) or one.version) == (_version(other.version) or other.version)


def _licenses(subject: Subject, allowed: Sequence[str], target: Target, declared: str) -> Iterator[Finding]:
    facts = subject.facts
    known = installed(facts, target)
    listed = several(allowed)
    for one in known:
        said = f": its metadata says {shown(one.license_words)!r}" if one.license_words else ""
        if not one.license:
            message = f"the license of {one} is unknown{said}; allowed: {listed}"
        elif not licenses.allows(allowed, one.license):
            message = f"{one} has the license {shown(one.license)}; allowed: {listed}"
        else:
            continue
        yield Finding(rule="license", subject=facts.label, path=one.location, message=message)
    spdx = licenses.expression("", declared, ())
    if declared and not (spdx and licenses.allows(allowed, spdx)):
        own = _own(facts, known, target)
        if own:
            message = f"the layer's own source has the license {shown(declared)}; allowed: {listed}"
            yield Finding(rule="license", subject=facts.label, path=own, message=message)


def _own(facts: ZipFacts, known: Sequence[Distribution], target: Target) -> str:
    """The first importable file that no distribution has installed; "" where there is none."""
    theirs, locations = recorded(facts, known), {one.location for one in known}
    files = (entry.path for _, entry in importable(facts, target))
    own = (path for path in files if path not in theirs and path.rpartition("/")[0] not in locations)
    return next((path for path in own if "/__pycache__/" not in path and not is_junk(path)), "")
