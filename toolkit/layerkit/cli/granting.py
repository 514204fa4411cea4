"""The command that writes IAM policies: iam-policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from layerkit.cli.base import file_option, output_options, session

COMMANDS = ("publish", "list", "prune", "attach")
PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f")
GITHUB = ("environments", "owner_id", "repository_id")
TRUST = ("repository", *GITHUB, "issuer", "audience")
POLICY = (
    *("layers", "commands", "shares", "bucket", "versioned", "parameters", "no_parameters", "drop_parameters"),
    *("functions", "others", "publish_version", "alias"),
)
OPTIONS = {  # whose names are not those of the parameters
    "layers": "LAYER", "commands": "--for", "shares": "--share", "versioned": "--bucket-versions",
    "functions": "--function", "others": "--other-layer", "environments": "--environment",
}  # fmt: skip
SHARE = "What is given to publish --share: private, public, accounts' numbers, an organization's id."


def _fitting(provider: str | None, given: Mapping[str, object]) -> None:
    """Raises UsageError for options that would mean nothing: one that seems to hold somebody back must do it."""
    names = TRUST if not provider else POLICY if provider == "github" else (*POLICY, *GITHUB)
    for name in names:
        if given[name]:
            option = OPTIONS.get(name, f"--{name.replace('_', '-')}")
            why = f"does nothing with --trust {provider}" if provider else "needs --trust github or --trust gitlab"
            raise click.UsageError(f"{option} {why}")
    if given["drop_parameters"] and given["no_parameters"]:
        raise click.UsageError("--drop-parameters and --no-parameters exclude each other")


@click.command("iam-policy")
@click.argument("layers", nargs=-1, metavar="[LAYER]...")
@click.option("--for", "commands", multiple=True, type=click.Choice(COMMANDS),
              help="The command that is allowed; repeatable.  [default: publish]")  # fmt: skip
@click.option("--account", default="", metavar="NUMBER", help="The account that is published to: 12 digits.")
@click.option("--region", "regions", multiple=True, metavar="REGION", help="In this region; repeatable.")
@click.option("--all-regions", is_flag=True, help="In all regions, as the commands take it.")
@click.option("--partition", type=click.Choice(PARTITIONS), help="Of AWS; where no region tells it.")
@click.option("--share", "shares", multiple=True, metavar="WHOM", help=SHARE)
@click.option("--bucket", default="", metavar="NAME", help="What is given to publish --bucket.")
@click.option("--bucket-versions", "versioned", is_flag=True, help="The bucket keeps versions.")
@click.option("--parameters", default="", metavar="PREFIX", help="What is given to the commands' --parameters.")
@click.option("--no-parameters", is_flag=True, help="For list and prune --no-parameters.")
@click.option("--drop-parameters", is_flag=True, help="For prune --drop-parameters.")
@click.option("--function", "functions", multiple=True, metavar="NAME",
              help="For attach: this function; repeatable.  [default: those of layers.yaml]")  # fmt: skip
@click.option("--other-layer", "others", multiple=True, metavar="ARN",
              help="For attach: a layer that layers.yaml does not have, of any account; repeatable.")  # fmt: skip
@click.option("--publish-version", is_flag=True, help="For attach --publish-version.")
@click.option("--alias", is_flag=True, help="For attach --alias.")
@click.option("--trust", "provider", type=click.Choice(("github", "gitlab")),
              help="Print who may assume the role instead: jobs of this provider.")  # fmt: skip
@click.option("--repository", default="", metavar="OWNER/NAME", help="For --trust: whose jobs.")
@click.option("--environment", "environments", multiple=True, metavar="NAME",
              help="For --trust github: the job's environment; repeatable.")  # fmt: skip
@click.option("--owner-id", default="", metavar="NUMBER", help="For --trust github: the owner's id.")
@click.option("--repository-id", default="", metavar="NUMBER", help="For --trust github: the repository's id.")
@click.option("--issuer", default="", metavar="HOST", help="For --trust: another server than the public one.")
@click.option("--audience", default="", metavar="TEXT", help="For --trust: the token's aud, where it is not AWS's.")
@file_option
@output_options
def iam_policy(
    file: Path, as_json: bool, quiet: bool, layers: tuple[str, ...], commands: tuple[str, ...], account: str,
    regions: tuple[str, ...], all_regions: bool, partition: str | None, shares: tuple[str, ...], bucket: str,
    versioned: bool, parameters: str, no_parameters: bool, drop_parameters: bool, functions: tuple[str, ...],
    others: tuple[str, ...], publish_version: bool, alias: bool, provider: str | None, repository: str,
    environments: tuple[str, ...], owner_id: str, repository_id: str, issuer: str, audience: str,
) -> None:  # fmt: skip
    """Print the IAM policy that layerkit's commands need and no more, or with --trust, who may assume its role.

    Nothing is asked of AWS.  The JSON on standard output is the document itself, with or without --json.
    """
    from layerkit.granting import documents
    from layerkit.granting.request import GrantRequest
    from layerkit.granting.trust import TrustRequest
    from layerkit.publish.shares import from_words

    if regions and all_regions:
        raise click.UsageError("--region and --all-regions exclude each other")
    _fitting(provider, click.get_current_context().params)
    with session(quiet=quiet, as_json=as_json) as console:
        asked = GrantRequest(
            file=file, commands=commands or COMMANDS[:1], account=account, layers=layers, regions=regions,
            all_regions=all_regions, partition=partition or "", functions=functions, other_layers=others,
            publish_version=publish_version, alias=alias, share=from_words(shares) if shares else None,
            bucket=bucket, versioned=versioned, parameters=parameters, no_parameters=no_parameters,
            drop_parameters=drop_parameters,
        )  # fmt: skip
        trusted = TrustRequest(
            provider=provider or "", account=account, repository=repository, environments=environments,
            owner_id=owner_id, repository_id=repository_id, issuer=issuer, audience=audience,
        )  # fmt: skip
        document = documents.trusted(trusted, asked, console) if provider else documents.granted(asked, console)
        console.asked(json.dumps(document, indent=2), document)
