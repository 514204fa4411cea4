"""Lambda's functions, their versions and aliases in one region of one account, on AWS."""

from __future__ import annotations

from typing import Any

from layerkit.aws.calling import Calls, given, whole
from layerkit.aws.calls import plain
from layerkit.aws.nouns import Alias, FunctionVersion
from layerkit.aws.registry import Turns

PAGE = 50  # the most that ListFunctions gives at once; botocore's model lets more be asked for (API reference)
LATEST = "$LATEST"


class AwsFunctions:
    """See registry.Functions.  Each method is one request.  A function's name may also be its ARN."""

    def __init__(self, region: str, limiter: Turns, client: Any) -> None:
        """`client` is botocore's of Lambda, which must repeat nothing by itself."""
        self.region, self._call = region, Calls(region, limiter, client)

    def page(self, marker: str = "") -> tuple[list[FunctionVersion], str]:
        """Up to 50 of all functions and all their versions ($LATEST among them), and the marker of the next page.

        AWS tells no states in this list (API reference, ListFunctions).
        """
        answer = self._call("list_functions", FunctionVersion="ALL", MaxItems=PAGE, **given(Marker=marker))
        with whole("ListFunctions", self.region):
            return [_function(one) for one in answer["Functions"]], answer.get("NextMarker", "")

    def get(self, name: str, version: str = "") -> FunctionVersion | None:
        """A function, or a version of it, which may also be named by an alias; None when there is none."""
        qualifier = given(Qualifier=version)
        answer = self._call.found("get_function_configuration", FunctionName=name, **qualifier)
        return None if answer is None else self._read("GetFunctionConfiguration", answer)

    def attach(self, name: str, layers: tuple[str, ...], revision: str) -> FunctionVersion:
        """Give $LATEST exactly these layers, if its revision is still this one.

        Raises Stale when it is not, Busy while another update is under way, Unanswered when the outcome is not known.
        """
        wanted = {"Layers": list(layers), "RevisionId": revision}
        answer = self._call("update_function_configuration", FunctionName=name, **wanted)
        return self._read("UpdateFunctionConfiguration", answer)

    def publish(self, name: str, revision: str) -> FunctionVersion:
        """Make a version of $LATEST; AWS gives the last one again when nothing has changed.  Raises as `attach`."""
        answer = self._call("publish_version", FunctionName=name, RevisionId=revision)
        return self._read("PublishVersion", answer)

    def aliases(self, name: str, marker: str = "") -> tuple[list[Alias], str]:
        """Up to 50 aliases of a function, and the marker of the next page; none for an unknown function."""
        answer = self._call.found("list_aliases", FunctionName=name, MaxItems=PAGE, **given(Marker=marker))
        if answer is None:
            return [], ""
        with whole("ListAliases", self.region):
            return [_alias(one) for one in answer["Aliases"]], answer.get("NextMarker", "")

    def alias(self, name: str, alias: str) -> Alias | None:
        """An alias; None when there is none."""
        answer = self._call.found("get_alias", FunctionName=name, Name=alias)
        if answer is None:
            return None
        with whole("GetAlias", self.region):
            return _alias(answer)

    def point(self, name: str, alias: str, version: str, revision: str) -> Alias:
        """Let an alias name another version, if its revision is still this one.  Raises as `attach`.

        The versions that get a share of the alias's calls stay as they are.
        """
        wanted = {"FunctionVersion": version, "RevisionId": revision}
        answer = self._call("update_alias", FunctionName=name, Name=alias, **wanted)
        with whole("UpdateAlias", self.region):
            return _alias(answer)

    def _read(self, operation: str, answer: dict[str, Any]) -> FunctionVersion:
        with whole(operation, self.region):
            return _function(answer, answer["RevisionId"])


def _function(one: dict[str, Any], revision: str = "") -> FunctionVersion:
    """Raises KeyError, or ValueError, for an answer that is not whole."""
    layers = one.get("Layers", [])
    environment = one.get("Environment", {})
    reasons = (one.get("StateReason", ""), one.get("LastUpdateStatusReason", ""))
    return FunctionVersion(
        name=one["FunctionName"],
        version=one["Version"],
        arn=_arn(one["FunctionArn"], one["Version"]),
        layers=tuple(layer["Arn"] for layer in layers),
        runtime=one.get("Runtime", ""),
        architecture=one.get("Architectures", ["x86_64"])[0],  # those from before there was a choice have none
        image=one.get("PackageType") == "Image",
        python_path=environment.get("Variables", {}).get("PYTHONPATH"),
        environment_error=_unread(environment.get("Error")),
        code_size=one.get("CodeSize", 0),
        layer_sizes=tuple(layer.get("CodeSize", 0) for layer in layers),
        state=one.get("State", "Active"),
        update=one.get("LastUpdateStatus", "Successful"),
        why=plain(" ".join(filter(None, reasons))),
        revision=revision,
    )


def _unread(error: dict[str, str] | None) -> str:
    """AWS's words for an environment that it could not decrypt; empty where it could."""
    if error is None:
        return ""
    return plain(": ".join(filter(None, map(error.get, ("ErrorCode", "Message"))))) or "AWS does not say why"


def _arn(full: str, version: str) -> str:
    """A version's own ARN, whether AWS tells that, the function's, or that of the alias which was asked for."""
    parts = full.split(":")[:7]  # arn:aws:lambda:REGION:ACCOUNT:function:NAME, and what comes after
    if len(parts) < 7:
        raise ValueError("a function's ARN has seven parts")
    return ":".join(parts if version == LATEST else [*parts, version])


def _alias(one: dict[str, Any]) -> Alias:
    """Raises KeyError, or ValueError, for an answer that is not whole."""
    parts = one["AliasArn"].split(":")
    if len(parts) != 8:
        raise ValueError("an alias's ARN has eight parts")
    weights = one.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    return Alias(
        name=one["Name"],
        function=parts[6],
        version=one["FunctionVersion"],
        weights=tuple(sorted(weights.items())),
        revision=one["RevisionId"],
    )
