"""What the user can do about a failed call to AWS: by table."""

from __future__ import annotations

import re

ACTIONS = {  # that IAM names otherwise than the API names the operation
    "HeadObject": "s3:GetObject",
    "HeadBucket": "s3:ListBucket",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "DeleteObject": "s3:DeleteObject and s3:DeleteObjectVersion",
    "PutObject": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "GetParameters": "ssm:GetParameters",
    "PutParameter": "ssm:PutParameter",
    "GetParametersByPath": "ssm:GetParametersByPath",
    "DeleteParameter": "ssm:DeleteParameter",
    "ListRegions": "account:ListRegions",
    "DescribeRegions": "ec2:DescribeRegions",
    "GetCallerIdentity": "sts:GetCallerIdentity",
}
UPGRADE = "upgrade boto3: python -m pip install --upgrade boto3"
USE_BUCKET = "use a bucket: --bucket, or publish: bucket in layers.yaml"
CLOCK = "set this machine's clock"
IN_REGION = (
    "use a bucket in {region}: Lambda takes zips from its own region alone; with {{region}} in the bucket's name, "
    "each region has its own"
)
# Of the failure's type, code and words, all of which must be found.  {region} and what the words name are filled in.
CURES: tuple[tuple[str, str, str, str], ...] = (
    ("NotEnabled", "", "", "enable it, or leave it out: aws account enable-region --region-name {region}"),
    (
        "CredentialsRefused", "", "",
        "get new credentials (aws sso login, aws login, or export them again), and run the same command again",
    ),
    ("Denied", "", "explicit deny", "a policy forbids it (explicit deny): ask who keeps this account's policies"),
    ("Stale", "", "", "something else has changed it meanwhile: run the same command again, which reads it anew"),
    ("Busy", "", "Pending", "wait until the function is made (aws lambda wait function-active-v2), and run it again"),
    ("Busy", "", "", "wait until it is updated (aws lambda wait function-updated-v2), and run it again"),
    ("TagsUnsupported", "", "", "publish there without architecture tags"),
    ("Unreachable", "", "", "check the network and the proxy settings; AWS's troubles: https://health.aws.amazon.com"),
    ("Throttled", "", "", "run it again when less else calls AWS, or with a lower --rate"),
    (
        "Rejected", "SSLError", "",
        "name a file with the certificates that are trusted, a proxy's own among them: export AWS_CA_BUNDLE=FILE",
    ),
    ("Rejected", "ParamValidationError", "Unknown parameter", UPGRADE),
    ("Rejected", "UnknownServiceError|DataNotFoundError", "", UPGRADE),
    # S3 says so also in a region that the account has not enabled
    ("Rejected", "InvalidAccessKeyId", "", "check the credentials, and that the account has enabled {region}"),
    (
        "Rejected", "CodeStorageExceeded", "",
        "delete unused versions (layerkit prune), or ask for more of it (Service Quotas)",
    ),
    ("Rejected", "RequestEntityTooLarge", "", USE_BUCKET),
    ("Rejected", "PolicyLengthExceeded", "", "share it with an organization, or with fewer accounts"),
    (
        "Rejected", "InvalidSignature", "Signature expired.*PublishLayerVersion",
        f"if the upload took minutes, {USE_BUCKET}; else {CLOCK}",
    ),
    ("Rejected", "InvalidSignature", "Signature (expired|not yet current)", CLOCK),
    ("Rejected", "RequestTimeTooSkewed", "", CLOCK),
    (
        "Rejected", "SignatureDoesNotMatch|InvalidSignature|IncompleteSignature", "",
        "check the secret access key, and that no proxy changes requests",
    ),
    ("Rejected", "", "Unzipped size must be smaller", "make the layer smaller: 250 MiB is the most, unzipped"),
    (
        "Rejected", "InvalidParameterValue", r"Layer version (?P<layer>arn:\S+:layer:[\w-]+):[0-9]+ does not exist",
        "that version was deleted, or never made: name another version of {layer}, even where the function has had "
        "this one, or take the layer from it",
    ),
    (
        "Rejected", "", "Cannot reference more than 5 layers",
        "take a layer from the function, or build two of them as one: 5 is the most",
    ),
    (
        "Rejected", "", "Layers consume more than|combined with layers exceeds",
        "take a layer from the function, or make it or its layers smaller: 250 MiB is the most, all unzipped",
    ),
    ("Rejected", "", "Two different versions of the same layer", "name one version of each layer alone"),
    ("Rejected", "", "not in the same region as the function", "name the layers' versions in {region}"),
    (
        "Rejected", "", "no longer supported for creating or updating",
        "give the function a runtime that AWS supports: aws lambda update-function-configuration --runtime",
    ),
    (
        "Rejected", "ResourceNotFound", "Function not found",
        "check its name, version and region: aws lambda list-functions --region {region}",
    ),
    ("Rejected", "", "Could not unzip|non-empty zip", "build it again and check it: layerkit build, layerkit verify"),
    ("Rejected", "Validation", "compatibleRuntimes", "take runtimes away that the region does not have"),
    ("Rejected", "301|PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint", "", IN_REGION),
    ("Rejected", "", "S3 Error Code: PermanentRedirect", IN_REGION),
    ("Rejected", "NoSuchBucket", "", "make the bucket, in {region}, or name another"),
    ("Rejected", "", "S3 Error Code: NoSuchBucket", "make the bucket, in {region}, or name another"),
    ("Rejected", "", "S3 Error Code: NoSuch(Key|Version)", "run it again, which uploads the zip again"),
    ("Rejected", "NoRegionError", "", "name a region: --region, or aws configure set region us-east-1"),
)  # fmt: skip

# AWS says so of a version that is not there, too: amplify-cli#8898
FOREIGN = re.compile(r"lambda:GetLayerVersion on resource: (?P<layer>arn:[\w-]+:lambda:[\w-]+:(?P<owner>\d{12}):\S+)")
ASKER = re.compile(r"arn:[\w-]+:(?:iam|sts)::(\d{12}):")


def cure_for(kind: str, operation: str, region: str, code: str, words: str) -> str:
    """The first of CURES that fits a failure of this kind; empty where none does."""
    where = (kind, code, f"{words} {operation}")
    for *patterns, cure in CURES:
        found = [re.search(pattern, text) for pattern, text in zip(patterns, where, strict=True)]
        if all(found):
            named = {name: text for one in found if one for name, text in one.groupdict().items()}
            return cure.format(region=region, **named)
    return ""


def missing(operation: str, words: str) -> str:
    """The cure for a missing permission; AWS names it, if not always the one for what S3 is asked by Lambda."""
    if unshared := _unshared(words):
        return unshared
    named = re.search(r"not authorized to perform: ([\w-]+:\w+)", words)
    through = re.search(r"have permission to (\w+) for", words)  # Lambda's words for what S3 denies it
    if named or through:
        action = named[1] if named else f"s3:{through[1]}" if through else ""
    else:
        action = ACTIONS.get(operation, f"lambda:{operation}")
    owner = "; the bucket must be of the same account" if action.startswith("s3:") else ""
    return f"allow {action} to these credentials{owner}"


def _unshared(words: str) -> str:
    """The cure where a layer of another account is not shared with this one; empty where it is something else."""
    layer, asker = FOREIGN.search(words), ASKER.search(words)
    if not layer or "no identity-based policy" in words or (asker and asker[1] == layer["owner"]):
        return ""
    whom = f"account {asker[1]} (layerkit publish --share {asker[1]})" if asker else "this account"
    return f"account {layer['owner']} has to share {layer['layer']} with {whom}, if it is there at all"
