"""What the command line asks of `iam-policy`, over what layers.yaml says -> the scope of a policy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from layerkit import config, plan
from layerkit.errors import ConfigError
from layerkit.granting.actions import partition_of
from layerkit.granting.policy import ANY, Scope
from layerkit.model import LayersFile, Publishing, Share
from layerkit.publish.request import PublishRequest, check_bucket, over
from layerkit.publishing import ACCOUNT, REGION

WHO = "aws sts get-caller-identity --query Account --output text"
FUNCTION = r"[A-Za-z0-9_-]{1,64}"  # Lambda's API reference, CreateFunction
OTHER = r"(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]{1,140})(:[0-9]+|:\*)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRequest:
    """What the command line asks for.  What is empty is as layers.yaml says."""

    file: Path  # layers.yaml
    commands: tuple[str, ...] = ("publish",)
    account: str = ""
    layers: tuple[str, ...] = ()  # keys, or names in AWS
    regions: tuple[str, ...] = ()
    all_regions: bool = False
    partition: str = ""  # empty: of the regions
    functions: tuple[str, ...] = ()
    other_layers: tuple[str, ...] = ()  # ARNs
    publish_version: bool = False
    alias: bool = False
    share: Share | None = None
    bucket: str = ""
    versioned: bool = False  # the bucket keeps versions
    parameters: str = ""
    no_parameters: bool = False  # list and prune do not look at SSM
    drop_parameters: bool = False  # prune deletes a version's own


def scope(request: GrantRequest) -> Scope:
    """Raises ConfigError for what layers.yaml and the command line leave open, or say wrong."""
    check_account(request.account)
    file = config.load(request.file)
    # list and prune take all of SSM, which is no prefix to write below
    whole = request.parameters == "/" and "publish" not in request.commands
    asked = PublishRequest(file=request.file, output=Path(), share=request.share, yes_public=True,
                           bucket=request.bucket, parameters="" if whole else request.parameters)  # fmt: skip
    declared = over(file.publishing, asked)
    named = () if request.all_regions else regions(request.regions, declared.regions)
    check_bucket(declared.bucket, named)
    partition = partition_for(request.partition, named or declared.regions)
    if request.drop_parameters and not declared.parameters:
        cure = "give --parameters PREFIX, or write it into layers.yaml: publish: {parameters: /layers}"
        raise ConfigError("there is no prefix of parameters", where="--drop-parameters", cure=cure)
    chosen = {layer.name: None for layer, _ in plan.select(file, request.layers, (), ())}
    return Scope(
        commands=request.commands,
        facts=_facts(request, declared, partition),
        partition=partition,
        account=request.account,
        regions=named or (ANY,),
        layers=tuple(chosen),
        others=_other_layers(request.other_layers),
        functions=_functions(request, file) if "attach" in request.commands else (),
        buckets=_buckets(declared, named or (ANY,), request.account),
        prefix=declared.bucket.prefix if declared.bucket else "",
        parameters=declared.parameters,
        tree=request.parameters.rstrip("/") or "/",
    )


def check_account(account: str) -> None:
    """Raises ConfigError for what is not the number of an account."""
    if not re.fullmatch(ACCOUNT, account):
        what = f"{account!r} is not the number of an account: 12 digits" if account else "there is no account"
        raise ConfigError(what, where="--account", cure=f'--account "$({WHO})"')


def regions(given: Sequence[str], declared: Sequence[str]) -> tuple[str, ...]:
    """Those of the command line, also with commas between, else of layers.yaml; each once.

    Those of the AWS configuration do not count: a policy must not depend on the shell that it was written in.
    Raises ConfigError when there is none, or one that cannot be a region.
    """
    words = tuple(dict.fromkeys(word for value in given for word in re.split(r"[,\s]+", value) if word))
    wrong = [f"{word!r} is not an AWS region" for word in words if not re.fullmatch(REGION, word)]
    if wrong or (given and not words):
        why = "\n".join(wrong)
        raise ConfigError("names no region", where="--region", why=why, cure="for instance --region us-east-1")
    if not (words or declared):
        cure = (
            "give --region us-east-1, or --all-regions, or write it into layers.yaml: publish: {regions: [us-east-1]}"
        )
        raise ConfigError("there is no region", where="--region", cure=cure)
    return words or tuple(declared)


def partition_for(given: str, names: Sequence[str]) -> str:
    """The partition that is given, else that of the regions, else `aws`.

    Raises ConfigError for regions of two partitions: no account is in both.
    """
    found = dict.fromkeys(filter(None, (given, *map(partition_of, names))))
    if len(found) > 1:
        why = "\n".join(f"{partition_of(name)}: {name}" for name in names)
        raise ConfigError(
            f"an account is in one partition of AWS alone, and here are {' and '.join(found)}",
            where="--region",
            why=why,
            cure="make a policy for each account, with its own --account and --region",
        )
    return next(iter(found), "aws")


def _facts(request: GrantRequest, declared: Publishing, partition: str) -> frozenset[str]:
    """The words of data/iam.toml that are so."""
    bucket, share = declared.bucket, declared.share
    versioned = request.versioned or bool(bucket and bucket.reference)  # a reference names the object's version
    return frozenset(
        word
        for word, so in {
            # the account itself needs no statement (`shares.wanted`)
            "share": share.public or bool(share.organization) or bool({*share.accounts} - {request.account}),
            "bucket": bool(bucket),
            "versioned": versioned,
            "unversioned": not versioned,
            "discard": bool(bucket and not bucket.keep and not bucket.reference),
            "parameters": bool(declared.parameters),
            "every-region": request.all_regions,
            "undescribed": partition != "aws",
            "other-layers": bool(request.other_layers),
            "tree": not request.no_parameters,
            "drop-parameters": request.drop_parameters,
            "publish-version": request.publish_version or request.alias,
            "alias": request.alias,
        }.items()
        if so
    )


def _functions(request: GrantRequest, file: LayersFile) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(request.functions or file.functions))
    cure = "for instance --function api"
    if not names:
        raise ConfigError("there is no function, and layers.yaml declares none", where="--function", cure=cure)
    if wrong := [name for name in names if not re.fullmatch(FUNCTION, name)]:
        rule = "at most 64 letters, digits, - and _"
        raise ConfigError(f"{wrong[0]!r} is not the name of a function: {rule}", where="--function", cure=cure)
    return names


def _other_layers(given: Sequence[str]) -> tuple[str, ...]:
    """Their ARNs without a version."""
    found = []
    for arn in given:
        match = re.fullmatch(OTHER, arn)
        if not match:
            cure = "for instance --other-layer arn:aws:lambda:us-east-1:123456789012:layer:deps"
            raise ConfigError(f"{arn!r} is not the ARN of a layer", where="--other-layer", cure=cure)
        found.append(match[1])
    return tuple(dict.fromkeys(found))


def _buckets(declared: Publishing, names: Sequence[str], account: str) -> tuple[str, ...]:
    if not declared.bucket:
        return ()
    whole = declared.bucket.name.replace("{account}", account)
    return tuple(dict.fromkeys(whole.replace("{region}", name) for name in names))
