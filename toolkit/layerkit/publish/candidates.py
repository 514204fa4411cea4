"""Verified zips -> candidates: what becomes layer versions, with the tags that are true of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from layerkit.aws.nouns import Candidate
from layerkit.verify.report import VerifiedArchive


def candidates(archives: Iterable[VerifiedArchive], warn: Callable[[str], None]) -> list[Candidate]:
    """One candidate for each zip that differs, in the order of the layers.

    Zips of one layer with the same bytes become one candidate that carries the tags of all, where these are every
    runtime with every architecture.  A declared tag that the content contradicts (a waiver accepts the content, which
    does not make it true) is left out, and told.
    """
    found = [one for same in _same(archives) for one in _merged(same, warn)]
    names = Counter(one.name for one in found)
    return [replace(one, alone=names[one.name] == 1) for one in found]


def _same(archives: Iterable[VerifiedArchive]) -> Iterator[list[VerifiedArchive]]:
    groups: dict[tuple[str, str], list[VerifiedArchive]] = {}
    for archive in archives:
        groups.setdefault((archive.layer.key, archive.sha256), []).append(archive)
    yield from groups.values()


def _merged(same: list[VerifiedArchive], warn: Callable[[str], None]) -> Iterator[Candidate]:
    runtimes = {archive.target.runtime for archive in same}
    architectures = {archive.target.architecture for archive in same}
    whole = len(runtimes) * len(architectures) == len({archive.target for archive in same})
    for group in [same] if whole else [[archive] for archive in same]:
        yield _candidate(group, warn)


def _candidate(group: list[VerifiedArchive], warn: Callable[[str], None]) -> Candidate:
    first = group[0]
    runtimes = _true({archive.target.runtime: archive for archive in group}, "runtime", warn)
    architectures = _true({archive.target.architecture: archive for archive in group}, "architecture", warn)
    return Candidate(
        layer=first.layer.key,
        name=first.layer.name,
        path=first.path,
        size=first.size,
        sha256=first.sha256,
        runtimes=runtimes,
        architectures=architectures,
        description=first.layer.description,
        license=first.layer.license,
    )


def _true(declared: Mapping[str, VerifiedArchive], kind: str, warn: Callable[[str], None]) -> tuple[str, ...]:
    kept = []
    for tag, archive in sorted(declared.items()):
        if tag in (*archive.tags.runtimes, *archive.tags.architectures):
            kept.append(tag)
        else:
            why = archive.tags.reasons.get(tag, "its content is for something else")
            warn(f"{archive.path.name} is published without the {kind} tag {tag}, which is not true of it: {why}")
    return tuple(kept)
