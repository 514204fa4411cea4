"""What the command line asks of `publish`, over what layers.yaml says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from layerkit.aws.pace import DEFAULT_RATE
from layerkit.errors import ConfigError
from layerkit.model import BucketPlace, Publishing, Share
from layerkit.publishing import bucket_mistake, parameters_mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRequest:
    """What the command line asks of `publish`."""

    file: Path  # layers.yaml
    output: Path  # where `build` put the zips
    layers: tuple[str, ...] = ()  # keys, or names in AWS; empty: all
    regions: tuple[str, ...] = ()
    all_regions: bool = False
    dry_run: bool = False
    share: Share | None = None  # instead of layers.yaml's
    yes_public: bool = False
    prune_shares: bool = False
    bucket: str = ""  # instead of layers.yaml's
    parameters: str = ""
    texts: bool = False
    imports: bool = True  # whether modules must have been imported, too
    wait: float = 0  # seconds that a region that cannot be reached is waited for
    rate: float = DEFAULT_RATE  # calls per second and region


def over(publishing: Publishing, request: PublishRequest) -> Publishing:
    """layers.yaml's words with those of the command line over them.

    `--bucket` is another name for layers.yaml's bucket, whose other settings hold.  Raises ConfigError for what is
    none, and for a public share that nobody has agreed to.
    """
    share = publishing.share if request.share is None else request.share
    if share.public and not (publishing.share.public or request.yes_public):
        raise ConfigError(
            "everybody could use these layers, for ever or until the versions are deleted",
            where="--share public",
            cure="add --yes-public, or write it into layers.yaml: publish: {share: public}",
        )
    bucket = publishing.bucket
    if request.bucket:
        bucket = replace(bucket, name=request.bucket) if bucket else BucketPlace(name=request.bucket)
    prefix = request.parameters.rstrip("/") or request.parameters or publishing.parameters
    if mistake := parameters_mistake(prefix) if prefix else "":
        raise ConfigError(mistake, where="--parameters", cure="for instance --parameters /layers")
    return replace(publishing, share=share, bucket=bucket, parameters=prefix)


def check_bucket(bucket: BucketPlace | None, regions: Sequence[str]) -> None:
    """Raises ConfigError for a name that cannot be a bucket's in each of these regions."""
    if mistake := bucket_mistake(bucket.name, regions) if bucket else "":
        raise ConfigError(mistake, where="the bucket", cure="for instance --bucket my-layers-{region}")
