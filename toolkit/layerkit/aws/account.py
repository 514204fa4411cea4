"""AWS itself: whose account it is, which regions it has, and Lambda's layers in each of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Lock
from typing import Any

from layerkit import __version__
from layerkit.aws.bucket import AwsBucket
from layerkit.aws.calls import plain, told
from layerkit.aws.failures import (
    CallFailed,
    CredentialsRefused,
    Throttled,
    Unanswered,
    Unreachable,
)
from layerkit.aws.functions import AwsFunctions
from layerkit.aws.layers import AwsLayers
from layerkit.aws.parameters import AwsParameters
from layerkit.aws.registry import Turns
from layerkit.errors import AwsError
from layerkit.model import BucketPlace

# Those of the partition `aws` that every account has; all others are opt-in, and may not know the account.
# Source: AWS Account Management Reference Guide, "Enable or disable AWS Regions in your account".
EVERYWHERE = frozenset(
    {
        "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
        "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
        "us-east-1", "us-east-2", "us-west-1", "us-west-2",
    }
)  # fmt: skip
FIRST = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}  # asked who the account is
SECOND = {"aws": "eu-west-1", "aws-cn": "cn-northwest-1", "aws-us-gov": "us-gov-east-1"}  # where the first is down
ENABLED = ["ENABLED", "ENABLED_BY_DEFAULT"]


class Account:
    """One account of AWS, and the credentials to it.  Its clients share one session; any thread may ask for them."""

    def __init__(self, session: Any, *, number: str, partition: str, home: str, endpoint_url: str = "") -> None:
        """`home` is a region that the account has, for what is not of one region; use `connect`."""
        self.number, self.partition = number, partition
        self.configured_region = str(session.region_name or "")
        self._session, self._home, self._endpoint_url = session, home, endpoint_url
        self.endpoint = endpoint_url  # of Lambda; empty: AWS's own
        self._making = Lock()  # a session makes no two clients at once (boto3's guide, "Multithreading")

    @classmethod
    def connect(cls, *, profile: str = "", endpoint_url: str = "", region: str = "") -> Account:
        """The account that the credentials belong to, as AWS says (sts:GetCallerIdentity, which needs no permission).

        `profile` is one of ~/.aws, empty: AWS_PROFILE or the default one.  `endpoint_url`, where given, serves all.
        `region` is one that will be published to: its partition is asked.  Raises AwsError.
        """
        import boto3
        from botocore.exceptions import BotoCoreError, UnknownRegionError

        option = f" --profile {shlex.quote(profile)}" if profile else ""
        try:
            # as the AWS CLI does since its version 2; boto3 reads AWS_DEFAULT_REGION alone
            session = boto3.Session(profile_name=profile or None, region_name=os.environ.get("AWS_REGION") or None)
            near = region or session.region_name or ""
            try:
                partition = str(session.get_partition_for_region(near)) if near else "aws"
            except UnknownRegionError:
                partition = "aws"
            credentials = session.get_credentials()
        except (BotoCoreError, OSError, ValueError) as error:
            raise _none(error, profile, f"aws configure{option}") from None
        if not credentials:
            cure = f"aws configure{option}, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            raise AwsError("there are no credentials for AWS", where=profile, cure=cure)
        home = near if near in EVERYWHERE or (near and partition not in FIRST) else FIRST[partition]
        account = cls(session, number="", partition=partition, home=home, endpoint_url=endpoint_url)
        try:
            account.number = account._who()
        except CallFailed as failure:
            raise _unusable(failure, credentials.method, option) from None
        account.endpoint = endpoint_url or account._configured_endpoint()
        return account

    def _who(self) -> str:
        """The account's number; from another region where the one at home does not answer.  Raises CallFailed."""
        first, second = self._home, FIRST.get(self.partition, self._home)
        if first == second:
            second = SECOND.get(self.partition, first)
        try:
            return self._asked()
        except (Unreachable, Unanswered) as failure:
            self._home = second
            try:
                return self._asked()
            except CallFailed:
                raise failure from None

    def _asked(self) -> str:
        with told("GetCallerIdentity", self._home):
            return str(self._one("sts").get_caller_identity()["Account"])

    def _configured_endpoint(self) -> str:
        """Where Lambda is by AWS_ENDPOINT_URL, its like, or ~/.aws/config; empty: AWS's own."""
        from botocore.config import Config

        configs = (Config(ignore_configured_endpoint_urls=ignore) for ignore in (None, True))
        used, own = (str(self._client("lambda", self._home, config).meta.endpoint_url) for config in configs)
        return used if used != own else ""

    def known_regions(self) -> dict[str, list[str]]:
        """The regions with Lambda that botocore knows, of each partition, sorted; without asking AWS."""
        return {
            part: sorted(self._session.get_available_regions("lambda", partition_name=part))
            for part in self._session.get_available_partitions()
        }

    def enabled_regions(self) -> list[str]:
        """The regions that the account has enabled and where botocore knows Lambda, sorted.

        Raises AwsError when AWS does not tell; it needs account:ListRegions or ec2:DescribeRegions.
        """
        known = set(self.known_regions().get(self.partition, []))
        return sorted(known.intersection(self._enabled))

    def left_out(self) -> list[str]:
        """The enabled regions where botocore knows no Lambda, sorted: for a note.  Raises AwsError, as above."""
        return sorted(set(self._enabled).difference(self.known_regions().get(self.partition, [])))

    @cached_property
    def _enabled(self) -> Sequence[str]:
        def listed() -> list[str]:
            pages = self._one("account").get_paginator("list_regions").paginate(RegionOptStatusContains=ENABLED)
            return [one["RegionName"] for page in pages for one in page.get("Regions", [])]

        def described() -> list[str]:
            # without AllRegions: the enabled ones
            return [one["RegionName"] for one in self._one("ec2").describe_regions()["Regions"]]

        failures: list[CallFailed] = []
        for operation, ask in (("ListRegions", listed), ("DescribeRegions", described)):
            try:
                with told(operation, self._home):
                    return ask()
            except CredentialsRefused as failure:
                raise _unusable(failure, "", "") from None
            except CallFailed as failure:
                failures.append(failure)
        raise AwsError(
            "AWS does not tell which regions the account has enabled",
            why="\n".join(f"{one.operation}: {one.code}: {one.words}" for one in failures),
            cure="allow account:ListRegions or ec2:DescribeRegions to them, or name the regions: --region",
        )

    def region(self, name: str, limiter: Turns, *, bucket: BucketPlace | None = None) -> AwsRegion:
        """A region; its client of Lambda is made at once (2 ms; the first 5 to 80), others when they are used."""
        from botocore.config import Config

        def client(service: str, config: Any) -> Any:
            return self._client(service, name, config)

        # a call that botocore repeats after a lost answer publishes twice; after 50 MB, AWS takes its time to answer
        limits = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=5,
            read_timeout=90,
            max_pool_connections=8,
            tcp_keepalive=True,
        )
        return AwsRegion(name, self.number, limiter, client("lambda", limits), bucket, client)

    def _one(self, service: str) -> Any:
        """A client for what is asked once, and is not of one region."""
        from botocore.config import Config

        retries = {"mode": "standard", "total_max_attempts": 3}
        return self._client(service, self._home, Config(retries=retries, connect_timeout=4, read_timeout=10))

    def _client(self, service: str, region: str, config: Any) -> Any:
        from botocore.config import Config

        if self._endpoint_url and service == "s3":
            config = config.merge(Config(s3={"addressing_style": "path"}))  # no name below it is known to be there
        config = config.merge(Config(user_agent_extra=f"layerkit/{__version__}"))
        try:
            with self._making:
                return self._session.client(
                    service, region_name=region, endpoint_url=self._endpoint_url or None, config=config
                )
        except ValueError as error:  # botocore's, of an endpoint that is no URL
            what = f"the endpoint of {service} cannot be used"
            cure = "correct --endpoint-url, AWS_ENDPOINT_URL or endpoint_url in the AWS configuration"
            raise AwsError(what, why=plain(str(error)), cure=cure) from None


class AwsRegion:
    """See registry.Region and Estate.  Layers and functions have one limiter, since they share AWS's limit."""

    def __init__(
        self,
        name: str,
        account: str,
        limiter: Turns,
        lambda_: Any,
        place: BucketPlace | None,
        client: Callable[[str, Any], Any],
    ) -> None:
        """`lambda_` is botocore's client of Lambda; `client` makes that of another service, with a Config."""
        self.name = name
        self.layers = AwsLayers(name, limiter, lambda_)
        self.functions = AwsFunctions(name, limiter, lambda_)
        self._account, self._place, self._client = account, place, client

    @cached_property
    def bucket(self) -> AwsBucket | None:
        return AwsBucket(self.name, self._account, self._place, self._client) if self._place else None

    @cached_property
    def parameters(self) -> AwsParameters:
        return AwsParameters(self.name, self._client)


def _none(error: Exception, profile: str, cure: str) -> AwsError:
    """Why no credentials can be had.  What a credential process says of it may hold anything, and is not repeated."""
    from botocore.exceptions import BotoCoreError, CredentialRetrievalError

    why = "the program that is to give them (credential_process) cannot be run, or gives none"
    if isinstance(error, BotoCoreError):
        of = getattr(error, "kwargs", {}).get("provider", "")
        why = f"{of} gives none" if isinstance(error, CredentialRetrievalError) else plain(str(error))
    return AwsError(f"no credentials for AWS can be had ({type(error).__name__})", where=profile, why=why, cure=cure)


def _unusable(failure: CallFailed, method: str, option: str) -> AwsError:
    """Why these credentials do not do.  `method`: where botocore has them from; `option`: --profile."""
    why = f"{failure.code}: {failure.words}"
    if isinstance(failure, Throttled):
        return AwsError(f"AWS is asked too often in {failure.region}", why=why, cure="run it again in a minute")
    if failure.code == "SSLError" and failure.cure:
        return AwsError(f"AWS's certificate cannot be checked in {failure.region}", why=why, cure=failure.cure)
    if isinstance(failure, Unreachable | Unanswered):
        what = f"AWS does not answer in {failure.region}"
        return AwsError(
            what, why=why, cure="check the network, the proxy settings and the endpoint, and run it again"
        )
    cure = f"aws configure{option}"
    if method == "sso" or "SSO" in failure.code or failure.code == "TokenRetrievalError":
        cure = f"aws sso login{option}"
    elif method == "login" or failure.code.startswith("Login"):
        cure = f"aws login{option}"
    elif method == "env":
        cure = "export AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN again"
    by = f", which are by {method}" if method else ""
    return AwsError(f"AWS does not take the credentials{by}", why=why, cure=cure)
