"""SSM's parameters in one region, on AWS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from layerkit.aws.calling import given, whole
from layerkit.aws.calls import told
from layerkit.aws.failures import Rejected

AT_ONCE = 10  # names in one GetParameters, or parameters in one page (botocore's model of ssm)
PLAIN = {"Key": "Type", "Option": "Equals", "Values": ["String", "StringList"]}  # and no SecureString


class AwsParameters:
    """See registry.Parameters and ParameterTree.  botocore repeats no call: who calls this does (`pace.Patience`)."""

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
            with whole("GetParameters", self.region):
                found |= {one["Name"]: one["Value"] for one in answer["Parameters"]}
        return found

    def put(self, name: str, value: str) -> None:
        """Write a parameter of the type String, over what it was."""
        with told("PutParameter", self.region):
            self._client.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)

    def under(self, path: str, marker: str = "") -> tuple[dict[str, str], str]:
        """Up to 10 parameters at any depth below `path` ("/": all) that are no secrets, with their values; marker.

        A page may have none, and yet a marker (API reference, GetParametersByPath).
        """
        asked = {"Path": path, "Recursive": True, "WithDecryption": False, "ParameterFilters": [PLAIN]}
        with told("GetParametersByPath", self.region):
            answer = self._client.get_parameters_by_path(**asked, MaxResults=AT_ONCE, **given(NextToken=marker))
        with whole("GetParametersByPath", self.region):
            return {one["Name"]: one["Value"] for one in answer["Parameters"]}, answer.get("NextToken", "")

    def delete(self, name: str) -> None:
        """Delete a parameter; an absent one is no failure."""
        try:
            with told("DeleteParameter", self.region):
                self._client.delete_parameter(Name=name)
        except Rejected as failure:
            if failure.code != "ParameterNotFound":
                raise
