"""SSM's parameters in one region, on AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from layerkit.aws.calls import told

AT_ONCE = 10  # names in one GetParameters (botocore's model of ssm)


class AwsParameters:
    """See registry.Parameters.  botocore repeats no call: who calls this does (`pace.Patience`)."""

    def __init__(self, region: str, client: Callable[..., Any]) -> None:
        """`client` makes botocore's client of a service, with a Config."""
        from botocore.config import Config

        self.region = region
        retries = {"mode": "standard", "total_max_attempts": 1}
        self._client = client("ssm", Config(retries=retries, connect_timeout=5, read_timeout=20))

    def get(self, names: tuple[str, ...]) -> dict[str, str]:
        """The values of those that exist."""
        found: dict[str, str] = {}
        for start in range(0, len(names), AT_ONCE):
            with told("GetParameters", self.region):
                answer = self._client.get_parameters(Names=list(names[start : start + AT_ONCE]))
            found |= {one["Name"]: one["Value"] for one in answer["Parameters"]}
        return found

    def put(self, name: str, value: str) -> None:
        """Write a parameter of the type String, over what it was."""
        with told("PutParameter", self.region):
            self._client.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
