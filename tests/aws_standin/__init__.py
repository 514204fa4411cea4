"""A strict stand-in for the part of AWS that publishing and operating touch: Lambda, S3, STS, EC2, Account, SSM, IAM.

    with serve() as aws:
        client = boto3.client("lambda", endpoint_url=aws.url, region_name="eu-west-1", …)

It refuses what AWS was seen to refuse, in the same words; the source of each rule stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aws_standin.data import REGIONS, RUNTIMES
from aws_standin.nouns import Call
from aws_standin.standin import Standin
from aws_standin.world import Options

__all__ = ["REGIONS", "RUNTIMES", "Call", "Standin", "serve"]


def serve(
    *, port: int = 0, rate: int = 15, latency: float = 0.0, disabled: Iterable[str] = (), no_arm: Iterable[str] = (),
    account: str = "123456789012", storage: int = Options().storage, parameter_rate: int = 0,
    organizations: Mapping[str, str] | None = None, update_reads: int = 0, update_seconds: float = 0.0,
    roles: Mapping[str, Mapping[str, Any]] | None = None,
) -> Standin:  # fmt: skip
    """Start one; several may run at once, and share nothing.

    rate: Lambda's calls a second, region and account (0: no throttle); latency: seconds before each answer;
    disabled: regions that the account has not enabled; no_arm: regions that refuse architecture tags; storage: bytes
    of code a region; parameter_rate: PutParameter calls a second (0: no throttle); organizations: by account;
    update_reads, update_seconds: how long what is begun on a function is under way (0: done at once); roles: by
    ARN, {"trust": policy document, "policy": policy document, "longest": seconds of a session}.
    """
    options = Options(
        rate=rate, latency=latency, disabled=tuple(disabled), no_arm=tuple(no_arm), account=account, storage=storage,
        parameter_rate=parameter_rate, organizations=organizations or {},
        roles=roles or {}, update_reads=update_reads, update_seconds=update_seconds,
    )  # fmt: skip
    return Standin(options, port)
