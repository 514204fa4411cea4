"""What the commands here share: an account's regions, and what fails in one, which keeps no other from its work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from layerkit.aws import regions
from layerkit.aws.failures import CallFailed, CredentialsRefused
from layerkit.aws.pace import Limiter
from layerkit.aws.registry import Estate, Turns
from layerkit.aws.stop import Stop, StoppableTurns, Stopped
from layerkit.errors import LayerkitError

AGAIN = "run it again"  # where nothing better is known

T = TypeVar("T")


class Account(regions.Account, Protocol):
    """An account of AWS: `aws.account` has the real one."""

    number: str
    endpoint: str  # empty: AWS's own

    def region(self, name: str, limiter: Turns, /) -> Estate: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something could not be done, and what to do about it."""

    what: str
    cure: str = ""


def estates(account: Account, names: Sequence[str], rate: float, stop: Stop) -> dict[str, Estate]:
    """Each region, with turns of its own that `stop` ends.  Raises AwsError for an endpoint that is none."""
    return {name: account.region(name, StoppableTurns(stop, Limiter(rate, sleep=stop.sleep))) for name in names}


def guarded(work: Callable[[], T], stop: Stop) -> T | Failure:
    """What `work` returns, or why it did not: an expected failure ends one region.  Bad credentials end them all."""
    try:
        return work()
    except CallFailed as failure:
        if isinstance(failure, CredentialsRefused):
            stop.throw(f"the credentials are refused ({failure.code})")
        return told(failure)
    except Stopped as stopped:
        return Failure(what=f"not done: {stopped}", cure=AGAIN)
    except LayerkitError as error:  # no lock, an endpoint that is none
        return Failure(what=": ".join(filter(None, (error.what, error.why))), cure=error.cure)


def told(failure: CallFailed) -> Failure:
    """A call's failure in words."""
    return Failure(what=f"{failure.operation}: {failure.code}: {failure.words}", cure=failure.cure or AGAIN)
