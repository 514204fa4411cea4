"""Commands on what is in AWS: publish, arns."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from layerkit.cli.base import (
    Number,
    aws_options,
    file_option,
    output_folder,
    output_options,
    regions_options,
    session,
)

FORMATS = ("table", "json", "env", "terraform", "tfvars", "sam", "cdk", "serverless", "github-output", "markdown")
KEPT = "what was published stays, and running it again does the rest"
SHARE = "private, public, accounts' numbers, an organization's id, instead of what layers.yaml says."


@click.command()
@click.argument("layers", nargs=-1, metavar="[LAYER]...")
@regions_options
@click.option("--dry-run", is_flag=True, help="Read, and print what would be done; change nothing.")
@aws_options
@click.option("--share", "shares", multiple=True, metavar="WHOM", help=SHARE)
@click.option("--yes-public", is_flag=True, help="Everybody may use what is published with --share public.")
@click.option("--prune-shares", is_flag=True, help="Take back what others have granted on these versions.")
@click.option("--bucket", default="", metavar="NAME", help="For zips over 50 MiB: an S3 bucket, with {region} in it.")
@click.option("--parameters", default="", metavar="PREFIX", help="Write the ARNs to SSM parameters below PREFIX.")
@click.option("--republish-texts", "texts", is_flag=True,
              help="A changed description or license alone makes a new version, too.")  # fmt: skip
@click.option("--no-verify-imports", "imports", is_flag=True, flag_value=False, default=True,
              help="Publish what nobody has imported.")  # fmt: skip
@click.option("--wait-regions", "wait", type=Number(min=0), default=0, metavar="SECONDS",
              help="How long to go on trying a region that cannot be reached.")  # fmt: skip
@click.option("--allow-failed-regions", "lenient", is_flag=True,
              help="Exit with 0 when some regions fail and others do not.")  # fmt: skip
@output_folder
@file_option
@output_options
def publish(
    file: Path, as_json: bool, quiet: bool, output: Path, layers: tuple[str, ...], regions: tuple[str, ...],
    all_regions: bool, dry_run: bool, profile: str, endpoint_url: str, shares: tuple[str, ...], yes_public: bool,
    prune_shares: bool, bucket: str, parameters: str, texts: bool, imports: bool, wait: float, lenient: bool,
    rate: float,
) -> None:  # fmt: skip
    """Publish what is built, exactly once, to every region, with its true tags."""
    from layerkit.aws.account import Account
    from layerkit.cache import Cache, default_folder
    from layerkit.errors import PublishedPartly
    from layerkit.publish import pipeline, report
    from layerkit.publish.request import PublishRequest
    from layerkit.publish.shares import from_words

    if regions and all_regions:
        raise click.UsageError("--region and --all-regions exclude each other")
    with session(quiet=quiet, as_json=as_json, kept=KEPT) as console:
        request = PublishRequest(
            file=file, output=output, layers=layers, regions=regions, all_regions=all_regions, dry_run=dry_run,
            share=from_words(shares) if shares else None, yes_public=yes_public, prune_shares=prune_shares,
            bucket=bucket, parameters=parameters, texts=texts, imports=imports, wait=wait, rate=rate,
        )  # fmt: skip

        def connect(region: str) -> Account:
            return Account.connect(profile=profile, endpoint_url=endpoint_url, region=region)

        result = pipeline.publish(request, connect, Cache(default_folder()), console)
        console.published(result)
        error = report.failure(result)
        if error and not (lenient and error is PublishedPartly):
            sys.exit(error.exit_code)


@click.command()
@click.argument("layers", nargs=-1, metavar="[LAYER]...")
@click.option("--region", "regions", multiple=True, metavar="REGION", help="Of this region alone; repeatable.")
@click.option("--runtime", "runtimes", multiple=True, metavar="python3.X", help="For this runtime alone.")
@click.option("--architecture", "architectures", multiple=True, type=click.Choice(["arm64", "x86_64"]),
              help="For this architecture alone.")  # fmt: skip
@click.option("--account", default="", metavar="NUMBER", help="Of this account alone.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True,
              help="For whom it is written.")  # fmt: skip
@output_folder
@file_option
@output_options
def arns(
    file: Path, as_json: bool, quiet: bool, output: Path, layers: tuple[str, ...], regions: tuple[str, ...],
    runtimes: tuple[str, ...], architectures: tuple[str, ...], account: str, form: str,
) -> None:  # fmt: skip
    """Say the ARNs of what is published, in the form that a tool takes; layers in the order of layers.yaml."""
    from layerkit import config
    from layerkit.arns import FORMS, select
    from layerkit.publish import published

    with session(quiet=quiet, as_json=as_json) as console:
        order = tuple(config.load(file).layers) if file.exists() else ()
        names = tuple(name for value in regions for name in value.replace(",", " ").split() or [value])
        found = select(
            published.read(output), layers=layers, regions=names, runtimes=runtimes,
            architectures=architectures, account=account, order=order,
        )  # fmt: skip
        text = FORMS["json" if as_json else form](found)
        console.asked(text, json.loads(text) if as_json else None)
