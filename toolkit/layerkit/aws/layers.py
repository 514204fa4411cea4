"""Lambda's layers in one region of one account, on AWS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from layerkit.aws.body import sending, stream
from layerkit.aws.calls import UPGRADE, rejected, told
from layerkit.aws.failures import Rejected, Throttled, Unanswered
from layerkit.aws.nouns import Candidate, LayerVersion, Policy, Room, Statement, Stored
from layerkit.aws.policies import ACTION, parse
from layerkit.aws.registry import Turns

ABSENT = "ResourceNotFoundException"
MODE = "S3ObjectStorageMode"  # since botocore 1.44


class AwsLayers:
    """See registry.LayerRegistry.  Each method is one request."""

    def __init__(self, region: str, limiter: Turns, client: Any) -> None:
        """`client` is botocore's of Lambda, which must repeat nothing by itself."""
        self.region, self._limiter, self._client = region, limiter, client
        stream(client)

    def newest(self, name: str, *, runtime: str = "", architecture: str = "", count: int = 1) -> list[LayerVersion]:
        """The newest versions (at most `count`, 1 to 50), newest first, without hashes; none for an unknown layer."""
        tags = _given(CompatibleRuntime=runtime, CompatibleArchitecture=architecture)
        answer = self._call("list_layer_versions", LayerName=name, MaxItems=count, **tags)
        return [self._version("ListLayerVersions", name, one) for one in answer.get("LayerVersions", [])]

    def get(self, name: str, version: int) -> LayerVersion | None:
        """A version with its hash and size; None when there is no such version."""
        try:
            answer = self._call("get_layer_version", LayerName=name, VersionNumber=version)
        except Rejected as failure:
            if failure.code == ABSENT:
                return None
            raise
        return self._version("GetLayerVersion", name, answer)

    def publish(self, candidate: Candidate, stored: Stored | None = None) -> LayerVersion:
        """Publish, from the request itself or from a bucket.  Raises Unanswered when the outcome is not known.

        Raises ContentError, before anything is published, when the file is not the verified one.
        """
        given: dict[str, Any] = {"LayerName": candidate.name}
        given |= _given(  # AWS keeps an empty text or list as none
            Description=candidate.description,
            LicenseInfo=candidate.license,
            CompatibleRuntimes=list(candidate.runtimes),
            CompatibleArchitectures=list(candidate.architectures),
        )
        if stored:
            answer = self._call("publish_layer_version", Content=self._content(stored), **given)
        else:
            with sending(candidate) as zip_file:
                answer = self._call("publish_layer_version", Content={"ZipFile": zip_file}, **given)
        return self._version("PublishLayerVersion", candidate.name, answer)

    def delete(self, name: str, version: int) -> None:
        """Delete a version; an absent one is no failure."""
        with _absent_is_well():
            self._call("delete_layer_version", LayerName=name, VersionNumber=version)

    def policy(self, name: str, version: int) -> Policy:
        """An empty one where there is none; Rejected where there is no such version."""
        try:
            answer = self._call("get_layer_version_policy", LayerName=name, VersionNumber=version)
        except Rejected as failure:
            if failure.code == ABSENT and failure.words.startswith("No policy"):
                return Policy()
            raise
        try:
            return parse(answer["Policy"], answer.get("RevisionId", ""))
        except (KeyError, ValueError):
            raise self._not_whole("GetLayerVersionPolicy") from None

    def share(self, name: str, version: int, statement: Statement) -> None:
        """Add a statement; one with its id that is there already is no failure: ids derive from content."""
        given = _given(OrganizationId=statement.organization)
        given |= {"Action": ACTION, "Principal": statement.principal, "StatementId": statement.sid}
        try:
            self._call("add_layer_version_permission", LayerName=name, VersionNumber=version, **given)
        except Rejected as failure:
            if failure.code != "ResourceConflictException" or f"({statement.sid})" not in failure.words:
                raise

    def unshare(self, name: str, version: int, sid: str) -> None:
        """Remove a statement; an absent one, or of an absent version, is no failure."""
        with _absent_is_well():
            self._call("remove_layer_version_permission", LayerName=name, VersionNumber=version, StatementId=sid)

    def room(self) -> Room:
        """The account's code storage in this region."""
        answer = self._call("get_account_settings")
        try:
            return Room(used=answer["AccountUsage"]["TotalCodeSize"], limit=answer["AccountLimit"]["TotalCodeSize"])
        except KeyError:
            raise self._not_whole("GetAccountSettings") from None

    def _call(self, method: str, **given: Any) -> Any:
        """One request, at its turn."""
        self._limiter.turn()
        try:
            with told(self._client.meta.method_to_api_mapping[method], self.region):
                return getattr(self._client, method)(**given)
        except Throttled as failure:
            self._limiter.slow_down(failure.after)
            raise

    def _content(self, stored: Stored) -> dict[str, str]:
        """Where Lambda takes a zip from."""
        place = {"S3Bucket": stored.bucket, "S3Key": stored.key, **_given(S3ObjectVersion=stored.version)}
        if stored.reference:
            model = self._client.meta.service_model.operation_model("PublishLayerVersion").input_shape
            if MODE not in model.members["Content"].members:
                words = f"this boto3 knows no {MODE}, so Lambda cannot be told to use the zip where it is"
                cure = f"{UPGRADE}; or take reference away"
                raise rejected("PublishLayerVersion", self.region, "ParamValidationError", words, cure)
            place[MODE] = "REFERENCE"
        return place

    def _version(self, operation: str, name: str, one: dict[str, Any]) -> LayerVersion:
        try:
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
        except KeyError:
            raise self._not_whole(operation) from None

    def _not_whole(self, operation: str) -> Unanswered:
        """An answer that was cut short is none: botocore makes a success without content of it."""
        return Unanswered(operation, self.region, "IncompleteAnswer", "AWS's answer is not whole")


@contextmanager
def _absent_is_well() -> Iterator[None]:
    try:
        yield
    except Rejected as failure:
        if failure.code != ABSENT:
            raise


def _given(**values: Any) -> dict[str, Any]:
    """Those that are not empty."""
    return {name: value for name, value in values.items() if value}
