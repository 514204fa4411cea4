"""Names that AWS knows, as of botocore 1.44.5 (2026-08)."""

from __future__ import annotations

# what boto3 lists for lambda in the partition aws
REGIONS = (
    "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
    "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
    "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1",
    "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1",
    "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
)  # fmt: skip
# the other partitions that botocore's Lambda lists and that are not secret
OTHER_REGIONS = {
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
    "aws-us-gov": ("us-gov-east-1", "us-gov-west-1"),
}
# "Regions introduced before March 20, 2019 are enabled by default" (AWS account guide), and Osaka
BY_DEFAULT = frozenset({
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
    "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1",
    "us-east-2", "us-west-1", "us-west-2",
})  # fmt: skip
# the enum of the service's own refusal, recorded 2026-01, and what botocore 1.44.5 adds to it
RUNTIMES = (
    "nodejs20.x", "python3.14", "provided.al2023", "python3.12", "python3.13", "nodejs24.x", "nodejs22.x", "java25",
    "python3.10", "python3.11", "java21", "ruby3.3", "ruby3.4", "ruby3.2", "python3.8", "python3.9", "java17",
    "nodejs16.x", "dotnet10", "dotnet8", "java11", "dotnet6", "nodejs18.x", "provided.al2", "java8.al2", "python3.15",
    "ruby4.0", "nodejs26.x", "java8.al2023", "java11.al2023", "java17.al2023", "custom",
)  # fmt: skip
ARCHITECTURES = ("x86_64", "arm64")


def partition(region: str) -> str:
    """ "aws" for the regions that nobody has heard of, too."""
    return next((name for name, regions in OTHER_REGIONS.items() if region in regions), "aws")


def regions_beside(region: str) -> tuple[str, ...]:
    """The regions of a region's partition."""
    return OTHER_REGIONS.get(partition(region), REGIONS)
