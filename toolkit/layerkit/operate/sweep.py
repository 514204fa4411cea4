"""Writes: deletes what two plans doom, one made before it was told and one right before it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from layerkit.aws.everywhere import together
from layerkit.aws.failures import CallFailed, CredentialsRefused
from layerkit.aws.nouns import Policy
from layerkit.aws.stop import Stopped
from layerkit.operate.account import AGAIN, Failure, told
from layerkit.operate.inventory import EVERYTHING, Inventory, Reader, take
from layerkit.operate.prune import Action, Terms, Verdict, agreed, doomed, plan, spared
from layerkit.operate.results import Outcome, Status
from layerkit.operate.uses import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """One region."""

    reader: Reader
    terms: Terms
    prefixes: tuple[str, ...]  # where SSM is looked at
    holds: Callable[[Inventory], dict[str, tuple[Hold, ...]]]

    def planned(self, names: Sequence[str]) -> tuple[Inventory, list[Verdict]]:
        """What there is, and what would go.  Raises CallFailed where anything that protects cannot be read."""
        inventory = take(self.reader, names, self.prefixes)
        verdicts = plan(inventory, self.holds(inventory), self.terms)
        return inventory, self._spared(verdicts, self._policies(doomed(verdicts)))

    def swept(self, verdicts: Sequence[Verdict]) -> list[Outcome]:
        """Delete what these doom, as far as it is still so.  Raises CallFailed before anything is deleted.

        Policies, a call for each, are read first: what comes into use meanwhile is seen the later the better.
        """
        planned = doomed(verdicts)
        policies = self._policies(planned)
        inventory = take(self.reader, sorted({one.version.name for one in planned}), self.prefixes, aliases=False)
        now = agreed(verdicts, self._spared(plan(inventory, self.holds(inventory), self.terms), policies))
        still = {one.version.arn: one for one in now}
        outcomes: list[Outcome] = []
        trouble: Failure | None = None
        for one in reversed(planned):  # the oldest of each layer first
            verdict = still.get(one.version.arn)
            if not verdict:
                outcomes.append(Outcome(version=one.version, status=Status.GONE, reason="was deleted meanwhile"))
            elif verdict.action is Action.KEEP:
                reason = f"meanwhile: {'; '.join(verdict.reasons)}"
                outcomes.append(Outcome(version=one.version, status=Status.KEPT, reason=reason))
            elif trouble:
                reason = f"not tried: {trouble.what}"
                outcomes.append(Outcome(version=one.version, status=Status.FAILED, reason=reason, cure=trouble.cure))
            else:
                outcome, trouble = self._delete(verdict)
                outcomes.append(outcome)
        return outcomes

    def _spared(self, verdicts: Sequence[Verdict], policies: dict[str, Policy]) -> list[Verdict]:
        return spared(verdicts, policies, self.terms.account)

    def _policies(self, verdicts: Sequence[Verdict]) -> dict[str, Policy]:
        """By ARN; none are read when it does not matter who may use a version."""
        versions = [] if self.terms.shared else [one.version for one in verdicts]
        found = together(self.reader.policy, versions, self.reader.at_once)
        return {one.arn: policy for one, policy in zip(versions, found, strict=True)}

    def _delete(self, verdict: Verdict) -> tuple[Outcome, Failure | None]:
        """What became of it, and why no other is to be tried.

        Either call may be made twice: numbers are never used again, so it is always the same version that goes.
        """
        version, gone = verdict.version, list[str]()
        try:
            for name in verdict.parameters:
                self.reader.call(partial(self.reader.estate.parameters.delete, name))
                gone.append(name)
            self.reader.call(partial(self.reader.estate.layers.delete, version.name, version.version))
            return Outcome(version=version, status=Status.DELETED, parameters=tuple(gone)), None
        except Stopped as stopped:
            failure, over = Failure(what=str(stopped), cure=AGAIN), True
        except CallFailed as error:
            if isinstance(error, CredentialsRefused):
                self.reader.stop.throw(f"the credentials are refused ({error.code})")
            failure, over = told(error), isinstance(error, EVERYTHING)
        outcome = Outcome(
            version=version, status=Status.FAILED, reason=failure.what, cure=failure.cure, parameters=tuple(gone)
        )
        return outcome, failure if over else None
