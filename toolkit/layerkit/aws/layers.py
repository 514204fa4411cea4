"""Lambda's layers in one region of one account, on AWS."""

from __future__ import annotations

from typing import Any

from layerkit.aws.body import sending, stream
from layerkit.aws.calling import ABSENT, Calls, given, whole
from layerkit.aws.calls import rejected
from layerkit.aws.cures import UPGRADE
from layerkit.aws.failures import Rejected
from layerkit.aws.nouns import Candidate, LayerVersion, Policy, Room, Statement, Stored
from layerkit.aws.policies import ACTION, parse
from layerkit.aws.registry import Turns

PAGE = 50  # the most that lists give at once
MODE = "S3ObjectStorageMode"  # since botocore 1.44


class AwsLayers:
    """See registry.LayerRegistry and LayerHistory.  Each method is one request."""

    def __init__(self, region: str, limiter: Turns, client: Any) -> None:
        """`client` is botocore's of Lambda, which must repeat nothing by itself."""
        self.region, self._client, self._call = region, client, Calls(region, limiter, client)
        stream(client)

    def newest(self, name: str, *, runtime: str = "", architecture: str = "", count: int = 1) -> list[LayerVersion]:
        """The newest versions (at most `count`, 1 to 50), newest first, without hashes; none for an unknown layer."""
        return self._listed(name, count, given(CompatibleRuntime=runtime, CompatibleArchitecture=architecture))[0]

    def page(self, name: str, marker: str = "") -> tuple[list[LayerVersion], str]:
        """Up to 50 versions, newest first, without hashes, and the marker of the next page; "": there is none."""
        return self._listed(name, PAGE, given(Marker=marker))

    def names(self, marker: str = "") -> tuple[list[LayerVersion], str]:
        """The newest version of each of up to 50 layers, without hashes, and the next page's marker, "" for none."""
        answer = self._call("list_layers", MaxItems=PAGE, **given(Marker=marker))
        with whole("ListLayers", self.region):
            found = [_version(one["LayerName"], one["LatestMatchingVersion"]) for one in answer["Layers"]]
        return found, answer.get("NextMarker", "")

    def get(self, name: str, version: int) -> LayerVersion | None:
        """A version with its hash and size; None when there is no such version.

        `name` may also be a layer's ARN without a version, of another account, too.
        """
        answer = self._call.found("get_layer_version", LayerName=name, VersionNumber=version)
        if answer is None:
            return None
        with whole("GetLayerVersion", self.region):
            return _version(name.rpartition(":")[2], answer)

    def publish(self, candidate: Candidate, stored: Stored | None = None) -> LayerVersion:
        """Publish, from the request itself or from a bucket.  Raises Unanswered when the outcome is not known.

        Raises ContentError, before anything is published, when the file is not the verified one.
        """
        told: dict[str, Any] = {"LayerName": candidate.name}
        told |= given(  # AWS keeps an empty text or list as none
            Description=candidate.description,
            LicenseInfo=candidate.license,
            CompatibleRuntimes=list(candidate.runtimes),
            CompatibleArchitectures=list(candidate.architectures),
        )
        if stored:
            answer = self._call("publish_layer_version", Content=self._content(stored), **told)
        else:
            with sending(candidate) as zip_file:
                answer = self._call("publish_layer_version", Content={"ZipFile": zip_file}, **told)
        with whole("PublishLayerVersion", self.region):
            return _version(candidate.name, answer)

    def delete(self, name: str, version: int) -> None:
        """Delete a version; an absent one is no failure."""
        self._call.found("delete_layer_version", LayerName=name, VersionNumber=version)

    def policy(self, name: str, version: int) -> Policy:
        """An empty one where there is none; Rejected where there is no such version."""
        try:
            answer = self._call("get_layer_version_policy", LayerName=name, VersionNumber=version)
        except Rejected as failure:
            if failure.code == ABSENT and failure.words.startswith("No policy"):
                return Policy()
            raise
        with whole("GetLayerVersionPolicy", self.region):
            return parse(answer["Policy"], answer.get("RevisionId", ""))

    def share(self, name: str, version: int, statement: Statement) -> None:
        """Add a statement; one with its id that is there already is no failure: ids derive from content."""
        told = given(OrganizationId=statement.organization)
        told |= {"Action": ACTION, "Principal": statement.principal, "StatementId": statement.sid}
        try:
            self._call("add_layer_version_permission", LayerName=name, VersionNumber=version, **told)
        except Rejected as failure:
            if failure.code != "ResourceConflictException" or f"({statement.sid})" not in failure.words:
                raise

    def unshare(self, name: str, version: int, sid: str) -> None:
        """Remove a statement; an absent one, or of an absent version, is no failure."""
        self._call.found("remove_layer_version_permission", LayerName=name, VersionNumber=version, StatementId=sid)

    def room(self) -> Room:
        """The account's code storage in this region."""
        answer = self._call("get_account_settings")
        with whole("GetAccountSettings", self.region):
            return Room(used=answer["AccountUsage"]["TotalCodeSize"], limit=answer["AccountLimit"]["TotalCodeSize"])

    def _listed(self, name: str, count: int, asked: dict[str, str]) -> tuple[list[LayerVersion], str]:
        answer = self._call("list_layer_versions", LayerName=name, MaxItems=count, **asked)
        with whole("ListLayerVersions", self.region):
            return [_version(name, one) for one in answer["LayerVersions"]], answer.get("NextMarker", "")

    def _content(self, stored: Stored) -> dict[str, str]:
        """Where Lambda takes a zip from."""
        place = {"S3Bucket": stored.bucket, "S3Key": stored.key, **given(S3ObjectVersion=stored.version)}
        if stored.reference:
            model = self._client.meta.service_model.operation_model("PublishLayerVersion").input_shape
            if MODE not in model.members["Content"].members:
                words = f"this boto3 knows no {MODE}, so Lambda cannot be told to use the zip where it is"
                cure = f"{UPGRADE}; or take reference away"
                raise rejected("PublishLayerVersion", self.region, "ParamValidationError", words, cure)
            place[MODE] = "REFERENCE"
        return place


def _version(name: str, one: dict[str, Any]) -> LayerVersion:
    """Raises KeyError for an answer that is not whole."""
    return LayerVersion(
        name=name,
        version=one["Version"],
        arn=one["LayerVersionArn"],
        runtimes=tuple(sorted(one.get("CompatibleRuntimes") or ())),
        architectures=tuple(sorted(one.get("CompatibleArchitectures") or ())),
        description=one.get("Description") or "",
        license=one.get("LicenseInfo") or "",
        created=one.get("CreatedDate") or "",
        code_sha256=one.get("Content", {}).get("CodeSha256", ""),
        size=one.get("Content", {}).get("CodeSize", 0),
    )
