"""The command that gives a function its layers: attach."""

from __future__ import annotations

from pathlib import Path

import click

from layerkit.cli.base import Number, aws_options, file_option, output_folder, output_options, session

KEPT = "running it again does what is left; --rollback --dry-run shows what can be undone"
LAYERS = "Keys of layers.yaml, names in AWS (name:7: that version) or ARNs, instead of layers.yaml's; repeatable."
WAIT = 300.0  # seconds; the library's default, told here so that help does not load it


@click.command()
@click.argument("function")
@click.option("--layers", multiple=True, metavar="LAYER[,LAYER]...", help=LAYERS)
@click.option("--region", "regions", multiple=True, metavar="REGION", help="Where the function is.")
@click.option("--publish-version", is_flag=True, help="Publish a version of the function, too.")
@click.option("--alias", default=None, metavar="NAME", help="Publish a version, and point this alias to it.")
@click.option("--rollback", is_flag=True, help="Undo what was attached to the function last.")
@click.option("--dry-run", is_flag=True, help="Read, and print what would be done; change nothing.")
@click.option("--wait", type=Number(min=0), default=WAIT, show_default=True, metavar="SECONDS",
              help="How long AWS may take for the update.")  # fmt: skip
@aws_options
@output_folder
@file_option
@output_options
def attach(
    file: Path, as_json: bool, quiet: bool, output: Path, profile: str, endpoint_url: str, rate: float, wait: float,
    dry_run: bool, rollback: bool, alias: str | None, publish_version: bool, regions: tuple[str, ...],
    layers: tuple[str, ...], function: str,
) -> None:  # fmt: skip
    """Give a function its layers, or take that back."""
    from layerkit.attach import pipeline, report
    from layerkit.attach.request import AttachRequest, alias_name
    from layerkit.aws.account import Account

    if rollback and (layers or publish_version or alias is not None):
        raise click.UsageError(
            "--rollback undoes what was done last: --layers, --publish-version and --alias exclude it"
        )
    with session(quiet=quiet, as_json=as_json, kept=KEPT) as console:
        request = AttachRequest(
            function=function, file=file, output=output, layers=layers, regions=regions,
            publish_version=publish_version, alias="" if alias is None else alias_name(alias), dry_run=dry_run,
            rollback=rollback, wait=wait, rate=rate,
        )  # fmt: skip

        def connect(region: str) -> Account:
            return Account.connect(profile=profile, endpoint_url=endpoint_url, region=region)

        result = pipeline.attach(request, connect, console)
        console.said(report.summary(result), **report.as_json(result), warnings=console.warnings)
