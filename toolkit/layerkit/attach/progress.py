"""How far a run has come, and what its failures mean: nothing done, a part of it, or nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from layerkit.aws.failures import CallFailed, CredentialsRefused, NotEnabled, Rejected
from layerkit.errors import AwsError, DonePartly, LayerkitError, OperationFailed

AGAIN = "run it again, which does the rest"
NOTHING = "nothing is changed"
NOBODY_KNOWS = "a call had no answer, so that nobody knows yet whether it was done"


@dataclass(slots=True, kw_only=True)
class Progress:
    """Of one run."""

    where: str  # the function and its region
    done: list[str] = field(default_factory=list)  # clauses: "the layers are attached"
    unsure: bool = False  # a call to change it had no answer, and may still be done
    recorded: bool = False  # --rollback undoes what this run has done, and not what the run before did

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turns whatever ends the run into the error that says how far it has come."""
        try:
            yield
        except CallFailed as failure:
            raise self._error(failure) from None
        except OperationFailed as error:
            if self.done:
                raise self._partly(error) from None
            kind, so_far = (AwsError, NOBODY_KNOWS) if self.unsure else (OperationFailed, NOTHING)
            raise kind(f"{error.what}; {so_far}", where=error.where, why=error.why, cure=error.cure) from None
        except LayerkitError as error:
            if not self.done:
                raise
            raise self._partly(error) from None

    def _partly(self, error: LayerkitError) -> DonePartly:
        what = f"{error.where}: {error.what}" if error.where else error.what
        why = "\n".join(filter(None, (what, error.why)))
        return DonePartly(self._so_far, where=self.where, why=why, cure=error.cure or AGAIN)

    @property
    def _so_far(self) -> str:
        done = ", and ".join(self.done)
        return f"{done}; {NOBODY_KNOWS}" if self.unsure else f"{done}, but what should follow is not done"

    def _error(self, failure: CallFailed) -> LayerkitError:
        what = "AWS refuses" if _final(failure) else "AWS does not do it"
        why, cure = f"{failure.operation}: {failure.code}: {failure.words}", failure.cure or AGAIN
        if self.done:
            return DonePartly(self._so_far, where=self.where, why=why, cure=cure)
        if self.unsure:
            cure = cure if "again" in cure else f"{cure}; then {AGAIN}"
            return AwsError(f"{what}; {NOBODY_KNOWS}", where=self.where, why=why, cure=cure)
        kind = OperationFailed if _final(failure) else AwsError
        return kind(f"{what}; {NOTHING}", where=self.where, why=why, cure=cure)


def _final(failure: CallFailed) -> bool:
    """Whether AWS has understood, and says no."""
    return isinstance(failure, Rejected) and not isinstance(failure, CredentialsRefused | NotEnabled)
