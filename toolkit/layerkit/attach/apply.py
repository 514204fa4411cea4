"""Writes: a function's layers, a version of it, an alias; each exactly once, over what others do meanwhile.

AWS changes a function only if it is still what was read (RevisionId).  So a call is never repeated as it was: the
function is read again, and what is left to do is decided again.  A call whose answer was lost, or that AWS does
late, then finds either its work done or its revision gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from layerkit.attach.choose import gone
from layerkit.attach.progress import Progress
from layerkit.aws.failures import Busy, CallFailed, Rejected, Stale, Throttled, Unanswered, Unreachable
from layerkit.aws.nouns import Alias, FunctionVersion
from layerkit.aws.pace import Patience
from layerkit.aws.registry import Functions, LayerHistory
from layerkit.errors import OperationFailed

SETTLE = 1.0  # seconds that AWS gets to finish what it has begun, before it is looked whether it is done
OTHERS = 10  # times that somebody else may be quicker
INVALID = "InvalidParameterValueException"  # also of a layer version that does not exist
FIRST, LONGEST = 0.2, 5.0  # seconds between two looks at an update that is under way

Layers = tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Tries:
    """How often one thing is tried; each kind of failure has its own count."""

    patience: Patience
    until: float  # by the patience's clock: as long an update of somebody else's is waited for
    stale: int = 0
    _pauses: Iterator[float] = field(init=False)
    _throttles: Iterator[float] = field(init=False)
    _polls: Iterator[float] = field(init=False)

    def __post_init__(self) -> None:
        self._pauses = self.patience.pauses()
        self._throttles = replace(self.patience, attempts=self.patience.throttled_attempts).pauses()
        self._polls = polls(self.patience, self.until)

    def again(self, failure: CallFailed) -> None:
        """Return when it shall be tried once more; raises the failure when it shall not."""
        if isinstance(failure, Stale):
            self.stale += 1
            more = self.stale < OTHERS
        elif isinstance(failure, Busy):
            more = next(self._polls, None) is not None
        elif isinstance(failure, Throttled):
            more = next(self._throttles, None) is not None
        elif isinstance(failure, Unanswered | Unreachable):
            if isinstance(failure, Unanswered):
                self.patience.sleep(SETTLE)
            more = next(self._pauses, None) is not None
        else:
            more = False
        if not more:
            raise failure


def polls(patience: Patience, until: float) -> Iterator[float]:
    """The seconds that were slept before each further look, growing, until it is late."""
    pause = FIRST
    while (left := until - patience.clock()) > 0:
        patience.sleep(min(pause, left))
        yield pause
        pause = min(pause * 2, LONGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changer:
    """Changes one function.  Raises CallFailed, and OperationFailed for what AWS says without refusing a call."""

    functions: Functions
    versions: LayerHistory  # to say which layer version is gone, where AWS does not
    name: str
    patience: Patience
    wait: float  # seconds
    progress: Progress

    def read(self, version: str = "") -> FunctionVersion:
        """The function as it is.  Raises OperationFailed where there is none."""
        found = self.patience.reading(partial(self.functions.get, self.name, version))
        if found:
            return found
        region = self.functions.region
        what = f"there is no function {self.name!r} in {region}"
        if version:
            what = f"there is no version {version} of the function {self.name!r} in {region}"
        cure = f"aws lambda list-functions --region {region} --query 'Functions[].FunctionName' says which there are"
        raise OperationFailed(what, cure=cure)

    def ready(self, version: str = "") -> FunctionVersion:
        """The function (or a version) when nothing is under way with it any more."""
        found, later = self.read(version), polls(self.patience, self._until())
        while found.state == "Pending" or found.update == "InProgress":
            if next(later, None) is None:
                what = f"is still {found.state}" if found.state == "Pending" else "is still being updated"
                cure = "run it again later, or wait longer: --wait SECONDS"
                raise OperationFailed(f"{what} after {self.wait:g} s", where=self._label(version), cure=cure)
            found = self.read(version)
        return found

    def layers(
        self, decide: Callable[[FunctionVersion], Layers | None], function: FunctionVersion | None = None
    ) -> bool:
        """Give the function the layers that are decided for what it is then; None: it has them.

        `function` is what was read just now, if it was.  `decide` is asked again whenever the function may be another
        than it was.  Says whether a call was made that AWS has done, or may have done.
        """
        tries, sent = self._tries(), False
        function = function or self.ready()
        while (wanted := decide(function)) is not None:
            try:
                self.functions.attach(self.name, wanted, function.revision)
            except CallFailed as failure:
                sent = self.progress.unsure = sent or isinstance(failure, Unanswered)
                if failure.code == INVALID:
                    raise self._missing(failure, wanted) from None
                tries.again(failure)
                function = self.ready()
            else:
                sent = True
                break
        self.progress.unsure = False
        return sent

    def settled(self) -> FunctionVersion:
        """The function when its update is done.  Raises OperationFailed with AWS's words when that failed."""
        found = self.ready()
        return self._well(found, found.update == "Failed" or found.state == "Failed", "the update")

    def publish(self, function: FunctionVersion, still: Callable[[FunctionVersion], None]) -> str:
        """Publish a version of exactly what was read, and wait until it can be called; its number.

        Where the function has changed since, `still` raises unless it is as it shall be.
        """
        tries, made = self._tries(), None
        while not made:
            try:
                made = self.functions.publish(self.name, function.revision)
            except CallFailed as failure:
                self.progress.unsure = self.progress.unsure or isinstance(failure, Unanswered)
                tries.again(failure)
                function = self.ready()
                still(function)
        self.progress.unsure = False
        self.progress.done.append(f"version {made.version} is published")
        found = self.ready(made.version)
        self._well(found, found.state == "Failed", f"version {made.version}", found.version)
        return made.version

    def alias(self, name: str) -> Alias | None:
        """The alias as it is; None where there is none."""
        return self.patience.reading(partial(self.functions.alias, self.name, name))

    def point(self, name: str, decide: Callable[[Alias | None], str | None]) -> bool:
        """Point an alias to the version that is decided for what it is then; None: it is there.

        Says whether a call was made that AWS has done, or may have done.
        """
        tries, sent = self._tries(), False
        alias = self.alias(name)
        while (version := decide(alias)) is not None and alias:
            try:
                self.functions.point(self.name, name, version, alias.revision)
            except CallFailed as failure:
                sent = self.progress.unsure = sent or isinstance(failure, Unanswered)
                tries.again(failure)
                alias = self.alias(name)
            else:
                sent = True
                break
        self.progress.unsure = False
        return sent

    def _missing(self, failure: CallFailed, wanted: Layers) -> Rejected:
        """The refusal, with what AWS leaves open: which of the layer versions is deleted."""
        arns = gone(self.versions, wanted, self.patience)
        words = f"{failure.words} (deleted: {', '.join(arns)})" if arns else failure.words
        return Rejected(failure.operation, failure.region, failure.code, words, cure=failure.cure)

    def _tries(self) -> Tries:
        return Tries(patience=self.patience, until=self._until())

    def _until(self) -> float:
        return self.patience.clock() + self.wait

    def _label(self, version: str) -> str:
        return f"{self.name}:{version}" if version else self.name

    def _well(self, found: FunctionVersion, failed: bool, what: str, version: str = "") -> FunctionVersion:
        if failed:
            cure = "mend it, and run it again"
            if self.progress.recorded:
                cure += f"; or take it back: layerkit attach {self.name} --region {self.functions.region} --rollback"
            why = found.why or "AWS does not say why"
            raise OperationFailed(f"{what} has failed", where=self._label(version), why=why, cure=cure)
        return found
