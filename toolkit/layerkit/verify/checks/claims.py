"""What the metadata of a layer's distributions says about where they run: PEP 345, 425, 427 and 508."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from layerkit import targets
from layerkit.model import Target
from layerkit.verify.checks.extensions import concerns, extension
from layerkit.verify.facts import Entry, ZipFacts
from layerkit.verify.words import shown

if TYPE_CHECKING:
    from packaging.markers import Marker

HOME = re.compile(
    r"(?P<home>python/(?:lib/python3\.[0-9]+/site-packages/)?[^/]+\.dist-info)/(?P<file>METADATA|WHEEL|RECORD)"
)
TAG = re.compile(r"(?P<python>cp3)(?P<minor>[0-9]{1,2})-(?P<abi>abi3|cp3[0-9]{1,2})-.*")
PLACE = re.compile(r"python_version|python_full_version|platform_machine")  # that differs between targets
BINARY = re.compile(r"\.(?:so|pyd|dll|dylib)(?:\.|$)")
# More than any layer has; a crafted one would take minutes
MOST_DISTRIBUTIONS, MOST_LINES, LONGEST_LINE, MOST_CONDITIONS, DEEPEST = 2000, 2000, 2000, 5000, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Distribution:
    home: str  # python/flask-3.1.3.dist-info
    fields: tuple[tuple[str, str], ...] = ()  # of METADATA and WHEEL, names in lower case
    binaries: tuple[str, ...] = ()  # of RECORD, as paths in the zip

    @property
    def name(self) -> str:
        return _normal(self.home.rpartition("/")[2].partition("-")[0])

    def all(self, field: str) -> list[str]:
        return [value for name, value in self.fields if name == field]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    distributions: tuple[_Distribution, ...]

    @classmethod
    def of(cls, facts: ZipFacts) -> Claims:
        parts: dict[str, dict[str, Entry]] = {}
        for entry in facts.files:
            if match := HOME.fullmatch(entry.path):
                parts.setdefault(match["home"], {})[match["file"]] = entry
        return cls(
            distributions=tuple(_read(home, files) for home, files in islice(parts.items(), MOST_DISTRIBUTIONS))
        )

    def against(self, target: Target) -> str:
        """Why some distribution does not run on this target's Python; "" when none says so."""
        for one in self.distributions:
            if concerns(f"{one.home}/METADATA", target):
                reason = _python_required(one, target) or _wheel_of_another(one, target)
                if reason:
                    return f"{shown(one.home)} {reason}"
        return ""

    def spare_parts(self, facts: ZipFacts) -> frozenset[str]:
        """Binaries of wheels that are for any platform, and have some for several: they do without (debugpy does)."""
        kinds = {entry.path: (entry.format, entry.elf.machine if entry.elf else "") for entry in facts.files}
        found: set[str] = set()
        for one in self.distributions:
            tags = one.all("tag")
            if tags and all(text.endswith("-any") for text in tags):
                own = {path for path in one.binaries if path in kinds}
                found |= own if len({kinds[path] for path in own}) > 1 else set()
        return frozenset(found)

    def incomplete(self, runtimes: Sequence[str], zips: Sequence[ZipFacts]) -> Mapping[str, str]:
        """Runtimes and architectures on which some distribution needs one more that is not there -> the reason.

        A requirement that holds on all of them alike, or on none, says nothing about their difference.
        """
        there = {one.name for facts in zips for one in Claims.of(facts).distributions}
        found = (targets.find_runtime(name) for name in runtimes)
        wanted = [one.target(architecture) for one in found if one for architecture in targets.ARCHITECTURES]
        reasons: dict[str, str] = {}
        conditions = ((one.home, *condition) for one in self.distributions for condition in _conditional(one))
        for home, name, marker in islice(conditions, MOST_CONDITIONS):
            needing = [target for target in wanted if name not in there and _holds(marker, target)]
            if needing and len(needing) < len(wanted):
                for place in _places(needing, wanted):
                    reason = f"{shown(home)} needs {shown(name)} there, which is not in the zip"
                    reasons.setdefault(place, reason)
        return reasons


def _places(needing: Sequence[Target], wanted: Sequence[Target]) -> Iterator[str]:
    """The architecture that all of these have, where it makes the difference; else their runtimes."""
    architectures = {one.architecture for one in needing}
    if len(architectures) == 1 and len(needing) == sum(one.architecture in architectures for one in wanted):
        yield from architectures
    else:
        yield from {one.runtime: None for one in needing}


def _read(home: str, files: Mapping[str, Entry]) -> _Distribution:
    fields = []
    for name in ("METADATA", "WHEEL"):
        head = files[name].text.partition("\n\n")[0] if name in files else ""
        for line in head.split("\n", MOST_LINES)[:MOST_LINES]:
            key, colon, value = line[:LONGEST_LINE].rstrip("\r").partition(":")
            if colon:
                fields.append((key.lower(), value.strip()))
    record = files["RECORD"].text if "RECORD" in files else ""
    folder = home.rpartition("/")[0]
    listed = (line.partition(",")[0] for line in record.splitlines())
    return _Distribution(
        home=home,
        fields=tuple(fields),
        binaries=tuple(f"{folder}/{path}" for path in listed if BINARY.search(path)),
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _python_required(one: _Distribution, target: Target) -> str:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    for text in one.all("requires-python")[:1]:
        try:
            wanted = SpecifierSet(text)
        except InvalidSpecifier:
            continue
        # the patch release is AWS's choice: one that may fit is enough
        if not any(wanted.contains(f"{target.python}.{patch}", prereleases=True) for patch in (0, 99)):
            return f"requires Python {shown(text)}"
    return ""


def _wheel_of_another(one: _Distribution, target: Target) -> str:
    """By a wheel's tags: the least Python of one for the stable ABI; the only one, where its modules have no tag."""
    tags = [TAG.fullmatch(text) for text in one.all("tag")]
    minor = int(target.python.partition(".")[2])
    known = [match for match in tags if match]
    if not known or len(known) < len(tags):
        return ""
    if all(match["abi"] == "abi3" for match in known):
        fits = any(int(match["minor"]) <= minor for match in known)
    else:
        modules = [module for module in map(extension, one.binaries) if module]
        if not modules or any(module.tag for module in modules):
            return ""
        fits = any(int(match["minor"]) == minor for match in known)
    return "" if fits else f"is a wheel for {known[0]['python']}{known[0]['minor']}-{known[0]['abi']}"


def _conditional(one: _Distribution) -> Iterator[tuple[str, Marker]]:
    """Requirements that hold on some targets alone: (normalised name, marker)."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in one.all("requires-dist"):
        if not PLACE.search(text.partition(";")[2]) or text.count("(") > DEEPEST:  # the parser calls itself
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker:
            yield _normal(requirement.name), requirement.marker


def _holds(marker: Marker, target: Target) -> bool:
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName

    try:
        return marker.evaluate({**target.marker_environment(), "extra": ""})
    except (UndefinedComparison, UndefinedEnvironmentName):
        return False
