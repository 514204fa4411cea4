"""The table of contents of `list` and `prune`: what is read, decided and done, in each region.

layers.yaml -> Wanted -> for each region: Inventory -> Hold -> Verdict -> asked -> read again -> Outcome
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from layerkit.attach import record
from layerkit.aws import regions
from layerkit.aws.everywhere import everywhere, together
from layerkit.aws.failures import CallFailed
from layerkit.aws.nouns import LayerVersion
from layerkit.aws.pace import Patience
from layerkit.aws.registry import Estate
from layerkit.aws.stop import Stop, Stopped
from layerkit.cache import Cache
from layerkit.errors import ConfigError
from layerkit.operate.account import Account, Failure, estates, guarded, told
from layerkit.operate.inventory import EVERYTHING, Inventory, Reader, take
from layerkit.operate.prune import Terms
from layerkit.operate.request import ListRequest, PruneRequest, Request, Wanted, check_prefixes, declared, wanted
from layerkit.operate.results import Listed, Listing, Pruned, RegionListing, RegionPruned
from layerkit.operate.sweep import Sweeper
from layerkit.operate.uses import Hold, holds, newest
from layerkit.publish import published as records
from layerkit.publish.journal import Journal
from layerkit.reader import nearest

Connect = Callable[[str], Account]  # given a region that the run will be for, or ""


class Says(regions.Says, Protocol):
    """Where it is told what goes on, and asked whether it shall."""

    def planned(self, result: Pruned) -> bool:
        """Tell the plan, and say whether to go on."""

    def swept(self, region: RegionPruned) -> None:
        """What became of a region, as soon as it is known."""


def list_(request: ListRequest, connect: Connect, says: regions.Says, stop: Stop | None = None) -> Listing:
    """What is in each region, and who uses it; what fails in a region is in the Listing.

    Raises ConfigError, ContentError, AwsError and MachineError for what keeps everything from being listed.
    """
    run = _Run.start(request, connect, says, stop or Stop(), every=request.every)
    found = everywhere(partial(run.listed, request), run.estates, run.stop)
    run.check([{layer.name for layer, versions in one.layers if versions} for one in found if not one.failure])
    return Listing(account=run.account.number, regions=tuple(found))


def prune(request: PruneRequest, connect: Connect, cache: Cache, says: Says, stop: Stop | None = None) -> Pruned:
    """Delete the versions that nobody needs, after `says` was told which, and agreed.

    What fails in a region is in the result; nothing is deleted where anything that may protect a version cannot be
    read.  Raises as `list_`, and KeyboardInterrupt, before anything is deleted; after Ctrl-C while versions are
    deleted the result says which are.
    """
    run = _Run.start(request, connect, says, stop or Stop())
    terms = Terms(account=run.account.number, keep=request.keep, now=datetime.now(UTC),
                  older_than=request.older_than, shared=request.shared,
                  drop_parameters=request.drop_parameters)  # fmt: skip
    found = everywhere(partial(run.planned, terms), run.estates, run.stop)
    run.check([{verdict.version.name for verdict in one.verdicts} for one in found if not one.failure])
    result = Pruned(account=run.account.number, regions=tuple(found), dry_run=request.dry_run)
    agreed = says.planned(result)
    if request.dry_run or not agreed:
        return replace(result, refused=not agreed)
    plans = {one.region: one for one in found if one.doomed}
    swept = everywhere(partial(run.swept, terms, cache, says), plans, run.stop, says.swept)
    done = {one.region: one for one in swept}
    regions = tuple(done.get(one.region, one) for one in found)
    return replace(result, regions=regions, interrupted=run.stop.interrupted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One run over all regions; `stop` ends all of them."""

    request: Request
    account: Account
    estates: dict[str, Estate]
    layers: tuple[Wanted, ...]
    keys: dict[str, str]  # of all declared layers, by their name in AWS
    entries: Sequence[records.Entry]  # what published.json said at the start
    stop: Stop

    @classmethod
    def start(
        cls, request: Request, connect: Connect, says: regions.Says, stop: Stop, *, every: bool = False
    ) -> _Run:
        """Everything that is known before a region is read.  Raises as `list_`."""
        check_prefixes(request.prefixes)
        file = declared(request, needed=not request.layers and not every)
        layers = () if every else wanted(file, request.layers)
        entries = records.read(request.output)
        if not (request.output / records.NAME).exists():
            says.note(f"{request.output} has no {records.NAME}, so nothing is known to be named there")
        if not request.prefixes:
            says.note("SSM is not looked at: what its parameters point to is not known")
        own = file.publishing.regions if file else ()
        account = connect(regions.first(request.regions, own))
        names = regions.of(account, request.regions, own, says, every=request.all_regions)
        record.needed(request.output, account.number, names[0])  # one that cannot be read is told at once
        keys = {layer.name: layer.key for layer in file.layers.values()} if file else {}
        return cls(request=request, account=account, estates=estates(account, names, request.rate, stop),
                   layers=layers, keys=keys, entries=entries, stop=stop)  # fmt: skip

    def check(self, found: Sequence[set[str]]) -> None:
        """Raises ConfigError for a layer that is neither declared nor, as far as all regions tell, anywhere.

        `found` are the names that each region has that could be read.  Raises KeyboardInterrupt after Ctrl-C.
        """
        if self.stop.interrupted:
            raise KeyboardInterrupt
        lost = [one.name for one in self.layers if not one.key and not any(one.name in names for names in found)]
        if not lost or len(found) < len(self.estates):
            return
        there = set(self.keys) | set(self.keys.values())
        for estate in self.estates.values():
            with suppress(CallFailed):
                there.update(self._reader(estate).names())
        why = "\n".join(f"{name!r}{nearest(name, sorted(there))}" for name in lost)
        cure = "name a key of layers.yaml, or a layer of the account: layerkit list --all"
        raise ConfigError("has no such layer", where=", ".join(self.estates), why=why, cure=cure)

    def listed(self, request: ListRequest, name: str, estate: Estate) -> RegionListing:
        """A region, whatever becomes of it."""
        found = guarded(lambda: self._listed(request, estate), self.stop)
        return RegionListing(region=name, failure=found) if isinstance(found, Failure) else found

    def _listed(self, request: ListRequest, estate: Estate) -> RegionListing:
        reader = self._reader(estate)
        layers = self.layers
        if request.every:
            layers = tuple(Wanted(name=name, key=self.keys.get(name, "")) for name in reader.names())
        inventory = take(reader, [one.name for one in layers], self.request.prefixes, tolerant=True)
        held, places, lacks = self._holds(inventory), newest(inventory.versions), list(inventory.lacks)
        sizes = self._sizes(inventory)
        if request.sizes:
            sizes |= _asked(reader, [one for one in inventory.versions if one.arn not in sizes], lacks)

        def listed(version: LayerVersion) -> Listed:
            arn = version.arn
            return Listed(version=version, newest=arn in places, holds=held.get(arn, ()), size=sizes.get(arn, 0))

        shown = [(one, tuple(map(listed, inventory.layers[one.name]))) for one in layers]
        if request.unused:
            shown = [(one, tuple(v for v in every if not v.holds and not v.newest)) for one, every in shown]
        return RegionListing(region=estate.name, layers=tuple(shown), room=inventory.room, lacks=tuple(lacks),
                             blind=inventory.blind)  # fmt: skip

    def planned(self, terms: Terms, name: str, estate: Estate) -> RegionPruned:
        """What would go in a region, or why that cannot be said."""
        names = [one.name for one in self.layers]
        found = guarded(lambda: self._sweeper(terms, estate).planned(names), self.stop)
        if isinstance(found, Failure):
            return RegionPruned(region=name, wanted=self.layers, failure=found)
        inventory, verdicts = found
        return RegionPruned(region=name, wanted=self.layers, verdicts=tuple(verdicts), before=inventory.room)

    def swept(self, terms: Terms, cache: Cache, says: regions.Says, name: str, plan: RegionPruned) -> RegionPruned:
        """What became of a region's plan.  Runs on this machine take turns there, those that publish, too."""
        sweeper = self._sweeper(terms, self.estates[name])

        def work() -> RegionPruned:
            place = (cache.folder / "journal", self.account.number, name)
            waiting = partial(says.note, f"{name}: another layerkit is at work there; waiting for it")
            with Journal.open(*place, endpoint=self.account.endpoint, waiting=waiting, sleep=self.stop.sleep):
                outcomes = sweeper.swept(plan.verdicts)
            after = None
            with suppress(CallFailed, Stopped):
                after = sweeper.reader.room()
            return replace(plan, outcomes=tuple(outcomes), after=after)

        found = guarded(work, self.stop)
        return replace(plan, failure=found) if isinstance(found, Failure) else found

    def _sweeper(self, terms: Terms, estate: Estate) -> Sweeper:
        return Sweeper(reader=self._reader(estate), terms=terms, prefixes=self.request.prefixes, holds=self._holds)

    def _reader(self, estate: Estate) -> Reader:
        return Reader(estate=estate, patience=Patience(sleep=self.stop.sleep), stop=self.stop)

    def _holds(self, inventory: Inventory) -> dict[str, tuple[Hold, ...]]:
        """The files are read each time: others may publish or attach between the plan and what is done."""
        here = (self.account.number, inventory.region)
        entries = records.read(self.request.output)
        published = [(one.arn, one.layer) for one in entries if (one.account, one.region) == here]
        return holds(inventory, published, record.needed(self.request.output, *here))

    def _sizes(self, inventory: Inventory) -> dict[str, int]:
        """Bytes, as functions and published.json tell them."""
        told = [pair for one in inventory.functions for pair in zip(one.layers, one.layer_sizes, strict=False)]
        told += [(one.arn, one.size) for one in self.entries if one.region == inventory.region]
        return {arn: size for arn, size in told if size}


def _asked(reader: Reader, versions: Sequence[LayerVersion], lacks: list[Failure]) -> dict[str, int]:
    """Bytes, as AWS tells them, a call for each."""
    try:
        found = together(reader.size, versions, reader.at_once)
    except EVERYTHING:
        raise
    except CallFailed as failure:
        lacks.append(told(failure))
        return {}
    return {one.arn: size for one, size in zip(versions, found, strict=True)}
