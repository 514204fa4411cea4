"""The table of contents of `layerkit publish`: what is verified, planned and applied, and where it is written down.

layers.yaml and dist/ -> VerifiedArchive -> Candidate -> for each region: Decision -> Outcome -> dist/published.json
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from layerkit import config
from layerkit.aws import regions
from layerkit.aws.everywhere import everywhere
from layerkit.aws.failures import CallFailed, CredentialsRefused
from layerkit.aws.nouns import Candidate
from layerkit.aws.pace import Limiter, Patience
from layerkit.aws.registry import Region, Turns
from layerkit.aws.stop import Stop, StoppableTurns, Stopped
from layerkit.cache import Cache
from layerkit.errors import LayerkitError, VerifyFailed
from layerkit.model import BucketPlace, Publishing
from layerkit.publish import published as records
from layerkit.publish import regional
from layerkit.publish.apply import AGAIN
from layerkit.publish.candidates import candidates
from layerkit.publish.journal import Journal
from layerkit.publish.plan import Planner, Terms
from layerkit.publish.request import PublishRequest, check_bucket, over
from layerkit.publish.results import Known, Outcome, RegionResult, Result
from layerkit.verify import pipeline as verifying
from layerkit.verify.chosen import Place, VerifyRequest
from layerkit.verify.report import VerifiedArchive


class Account(regions.Account, Protocol):
    """An account of AWS: `aws.account` has the real one."""

    number: str
    endpoint: str  # empty: AWS's own

    def region(self, name: str, limiter: Turns, *, bucket: BucketPlace | None) -> Region: ...


class Says(regions.Says, Protocol):
    """Where it is told what goes on."""

    def region_done(self, result: RegionResult) -> None: ...


def publish(
    request: PublishRequest, connect: Callable[[str], Account], cache: Cache, says: Says, stop: Stop | None = None
) -> Result:
    """Bring every region to what is declared and built; what is done is in dist/published.json, whatever follows.

    `connect` makes the account, given a region that will be published to, or "" while none is known.
    `stop` is the run's switch, through which it also sleeps.

    What fails in a region is in the Result.  Raises ConfigError, ContentError, VerifyFailed, AwsError and
    MachineError for what keeps everything from being published, before anything is.
    """
    layers = config.load(request.file)
    declared = over(layers.publishing, request)
    told = tuple(records.read(request.output))
    first = regions.first(request.regions, declared.regions)
    with ThreadPoolExecutor(max_workers=1) as beside:
        connecting = beside.submit(connect, first)  # it waits for AWS while this machine verifies
        found = candidates(_verified(request, cache, says), says.warn)
        account = connecting.result()
    names = regions.of(account, request.regions, declared.regions, says, every=request.all_regions)
    check_bucket(declared.bucket, names)
    run = _Run(request=request, publishing=declared, account=account, cache=cache, candidates=found, says=says,
               told=told, stop=stop or Stop())  # fmt: skip
    results = run.everywhere(names)
    result = Result(account=account.number, regions=tuple(results), candidates=found, dry_run=request.dry_run)
    if not request.dry_run:
        targets = {key: [(t.runtime, t.architecture) for t in layer.targets] for key, layer in layers.layers.items()}
        try:
            records.update(request.output, [_entry(one, account.number) for one in result.done], declared=targets)
        except LayerkitError as error:
            error.cure = "mend that, and run it again, which publishes nothing twice and writes down what there is"
            if run.stop.interrupted:
                raise
            result = replace(result, unrecorded=error)  # what was published is to be told all the same
    if run.stop.interrupted:
        raise KeyboardInterrupt
    return result


def _verified(request: PublishRequest, cache: Cache, says: Says) -> list[VerifiedArchive]:
    """The zips of dist/ that pass `verify`.  Raises VerifyFailed, also for modules that nobody has imported."""
    place: Place = "auto" if request.imports else "none"
    asked = VerifyRequest(file=request.file, output=request.output, names=request.layers, place=place)
    report = verifying.verify(asked, cache, says)
    archives = report.verified()
    untried = report.untried(functions=False)
    if untried and request.imports:
        raise VerifyFailed(
            "what these layers hold was not imported",
            why="\n".join(untried),
            cure="start a container engine (layerkit doctor), or publish with --no-verify-imports",
        )
    return archives


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One run over all regions; `stop` ends all of them."""

    request: PublishRequest
    publishing: Publishing
    account: Account
    cache: Cache
    candidates: Sequence[Candidate]
    told: Sequence[records.Entry]  # what published.json says
    says: Says
    stop: Stop

    def everywhere(self, names: Sequence[str]) -> list[RegionResult]:
        """All regions at once; results in the order of the names."""
        made = {name: self._region(name) for name in names}  # first: making clients is work without waiting
        return everywhere(self.one, made, self.stop, self.says.region_done)

    def _region(self, name: str) -> Region:
        turns = StoppableTurns(self.stop, Limiter(self.request.rate, sleep=self.stop.sleep))
        return self.account.region(name, turns, bucket=self.publishing.bucket)

    def one(self, name: str, region: Region) -> RegionResult:
        """A region, whatever becomes of it."""
        try:
            place = (self.cache.folder / "journal", self.account.number, name)
            if self.request.dry_run:
                known = Journal.glance(*place, endpoint=self.account.endpoint)
                return regional.planned(self._planner(region, known), self.candidates)
            waiting = partial(self.says.note, f"{name}: another layerkit is publishing there; waiting for it")
            with Journal.open(
                *place, endpoint=self.account.endpoint, waiting=waiting, sleep=self.stop.sleep
            ) as journal:
                return regional.published(self._planner(region, journal.known), journal, self.candidates)
        except CredentialsRefused as failure:
            self.stop.throw(f"the credentials are refused ({failure.code})")
            return _failed(name, failure)
        except CallFailed as failure:
            return _failed(name, failure)
        except Stopped as stopped:
            return RegionResult(region=name, failure=f"not tried: {stopped}")
        except LayerkitError as error:  # no journal, an endpoint that is none
            return RegionResult(
                region=name, failure=": ".join(filter(None, (error.what, error.why))), cure=error.cure
            )

    def _planner(self, region: Region, known: Callable[[Candidate], Known]) -> Planner:
        bucket, share = self.publishing.bucket, self.publishing.share
        terms = Terms(
            account=self.account.number,
            share=share,
            prune_shares=self.request.prune_shares,
            texts=self.request.texts,
            prefix=self.publishing.parameters,
            keep=bool(bucket and (bucket.keep or bucket.reference)),
            reference=bool(bucket and bucket.reference),
        )
        patience = Patience(patient_with_unreachable=self.request.wait, sleep=self.stop.sleep)
        remembered = partial(self._remembered, region.name, known)
        return Planner(region=region, known=remembered, terms=terms, patience=patience, stop=self.stop)

    def _remembered(self, region: str, known: Callable[[Candidate], Known], candidate: Candidate) -> Known:
        """What published.json tells, and what the journal does."""
        found = known(candidate)
        told = [
            one.version
            for one in self.told
            if (one.account, one.region, one.name) == (self.account.number, region, candidate.name)
            and one.code_sha256 == candidate.code_sha256
        ]
        return replace(found, versions=tuple(dict.fromkeys([*told, *found.versions])))


def _failed(region: str, failure: CallFailed) -> RegionResult:
    words = f"{failure.operation}: {failure.code}: {failure.words}"
    return RegionResult(region=region, failure=words, cure=failure.cure or AGAIN)


def _entry(outcome: Outcome, account: str) -> records.Entry:
    candidate, version = outcome.candidate, outcome.version
    assert version
    return records.Entry(
        layer=candidate.layer,
        name=candidate.name,
        account=account,
        region=outcome.region,
        version=version.version,
        arn=version.arn,
        runtimes=candidate.runtimes,
        architectures=candidate.architectures,
        tagged=outcome.tagged,
        code_sha256=candidate.code_sha256,
        size=candidate.size,
        description=version.description,
        license=version.license,
        created=version.created,
        share=outcome.share,
        parameters=outcome.parameters,
    )
