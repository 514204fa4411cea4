"""Which version of each layer a function shall have: the one named, else the one published, else the newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from layerkit import manifest
from layerkit.attach.references import Reference, layer_of, number_of
from layerkit.aws.failures import CallFailed, CredentialsRefused, NotEnabled, Rejected
from layerkit.aws.nouns import FunctionVersion, LayerVersion
from layerkit.aws.pace import Patience
from layerkit.aws.registry import LayerHistory
from layerkit.publish.published import Entry
from layerkit.reader import nearest

TOLD = "published.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A layer version that the function shall have."""

    version: LayerVersion
    why: str  # this one, in words
    runtimes: tuple[str, ...]  # that it is for, as far as anybody tells; empty: nobody does
    architectures: tuple[str, ...]
    unzipped: int = 0  # bytes; 0: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What was found, in the order in which it was named, and what was not, a sentence each."""

    wanted: tuple[Wanted, ...]
    problems: tuple[str, ...] = ()


def unzipped_sizes(folder: Path) -> dict[str, int]:
    """The bytes that the zips of a folder have unzipped, by their hash as AWS writes it."""
    return {one["code_sha256"]: one["unzipped_size"] for one in manifest.read(folder)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chooser:
    """Looks for layer versions in one region of one account."""

    layers: LayerHistory
    account: str
    published: Sequence[Entry]
    sizes: Mapping[str, int]  # see unzipped_sizes
    keys: Sequence[str]  # of layers.yaml, for who misspells one
    patience: Patience

    def choose(self, references: Sequence[Reference], function: FunctionVersion) -> Chosen:
        """Everything that can be found.  Raises CallFailed where AWS gives no answer at all."""
        wanted: dict[str, Wanted] = {}
        problems = []
        for reference in references:
            found = self._one(reference, function)
            if isinstance(found, str):
                problems.append(found)
                continue
            other = wanted.setdefault(layer_of(found.version.arn), found)
            if other.version.version != found.version.version:
                numbers = f"{other.version.version} and {found.version.version}"
                problems.append(f"{found.version.name} is wanted in two versions, {numbers}: a function takes one")
        return Chosen(wanted=tuple(wanted.values()), problems=tuple(problems))

    def _one(self, reference: Reference, function: FunctionVersion) -> Wanted | str:
        try:
            if reference.region and reference.region != self.layers.region:
                return (
                    f"{reference.word} is in {reference.region}, and the function in {self.layers.region}: "
                    "a function takes layers of its own region alone"
                )
            if reference.version:
                return self._exactly(reference, reference.version, "as it was named")
            entry = self._entry(reference, function)
            if entry:
                return self._exactly(reference, entry.version, f"{TOLD} names it", entry)
            return self._newest(reference, function)
        except (CredentialsRefused, NotEnabled):
            raise
        except Rejected as failure:  # of this layer: the others are looked for all the same
            cure = f" ({failure.cure})" if failure.cure else ""
            return f"{reference.word} cannot be read: {failure.code}: {failure.words}{cure}"

    def _entry(self, reference: Reference, function: FunctionVersion) -> Entry | None:
        fitting = [
            one
            for one in self.published
            if (one.account, one.region) == (self.account, self.layers.region)
            and (one.layer == reference.key if reference.key else one.name == reference.name)
            and (not one.runtimes or function.runtime in one.runtimes)
            and (not one.architectures or function.architecture in one.architectures)
        ]
        return max(fitting, key=lambda one: one.version, default=None)

    def _exactly(self, reference: Reference, version: int, why: str, entry: Entry | None = None) -> Wanted | str:
        name = entry.name if entry else reference.name
        found = self.patience.reading(partial(self.layers.get, name, version))
        if found:
            return self._wanted(found, why, entry)
        if entry:
            again = f"publish it again (layerkit publish), or name one that is there: --layers {name}:NUMBER"
            return f"{name} {version}, which {TOLD} names, is not in {self.layers.region}: {again}"
        return f"there is no version {version} of {reference.name} in {self.layers.region}"

    def _newest(self, reference: Reference, function: FunctionVersion) -> Wanted | str:
        """The newest with the function's tags; else the newest of all, whose tags the plan looks at."""
        name, tags = reference.name, (function.runtime, function.architecture)
        fitting = partial(self.layers.newest, name, runtime=tags[0], architecture=tags[1])
        listed = self.patience.reading(fitting)
        why = f"the newest in AWS for {' and '.join(filter(None, tags))}"
        if not listed:
            listed = self.patience.reading(partial(self.layers.newest, name))
            why = f"the newest in AWS, where none is tagged for {' and '.join(filter(None, tags))}"
        if not listed:
            meant = nearest(name, self.keys)
            hint = meant if "did you mean" in meant else ": publish it (layerkit publish)" if reference.key else ""
            return f"there is no layer {name!r} in {self.layers.region}{hint}"
        found = self.patience.reading(partial(self.layers.get, name, listed[0].version))
        if not found:
            return f"{name} {listed[0].version} was deleted just now: run it again"
        return self._wanted(found, why)

    def _wanted(self, found: LayerVersion, why: str, entry: Entry | None = None) -> Wanted:
        """`entry` knows what the zip is for, also in a region that takes no tags."""
        return Wanted(
            version=found,
            why=why,
            runtimes=found.runtimes or (entry.runtimes if entry else ()),
            architectures=found.architectures or (entry.architectures if entry else ()),
            unzipped=self.sizes.get(found.code_sha256, 0),
        )


def gone(layers: LayerHistory, arns: Sequence[str], patience: Patience) -> list[str]:
    """Those of some layer versions that are deleted; AWS does not say which one it misses."""
    found = []
    for arn in arns:
        if not (number := number_of(arn)):
            continue
        try:
            if not patience.reading(partial(layers.get, layer_of(arn), number)):
                found.append(arn)
        except CallFailed:  # then nobody knows, and what AWS has said is told alone
            continue
    return found
