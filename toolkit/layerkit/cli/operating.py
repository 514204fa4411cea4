"""Commands on what is published: list, prune."""

from __future__ import annotations

import re
import sys
import time
from datetime import timedelta
from pathlib import Path

import click

from layerkit.cli.base import (
    INTERRUPTED,
    aws_options,
    file_option,
    output_folder,
    output_options,
    regions_options,
    session,
)

KEPT = "what was deleted, if anything, is gone; running it again does the rest"
READ = "nothing was changed"
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
PARAMETERS = "Look at the SSM parameters below PREFIX alone; repeatable.  Without it: at all."


def _age(value: str) -> timedelta:
    """A time span: 12h, 30d, 8w."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", value)
    if not found:
        raise click.BadParameter(f"{value!r} is no time span; write it as 12h, 30d or 8w.")
    return int(found[1]) * UNITS[found[2]]


def _parameters(prefixes: tuple[str, ...], nowhere: bool) -> tuple[str, ...]:
    """Where SSM is looked at."""
    if prefixes and nowhere:
        raise click.UsageError("--parameters and --no-parameters exclude each other")
    # without its last slash, as publish takes it: to IAM, with one it is another resource
    return () if nowhere else tuple(prefix.rstrip("/") or prefix for prefix in prefixes) or ("/",)


def _regions(regions: tuple[str, ...], every: bool) -> None:
    if regions and every:
        raise click.UsageError("--region and --all-regions exclude each other")


@click.command("list")
@click.argument("layers", nargs=-1, metavar="[LAYER]...")
@click.option("--all", "every", is_flag=True, help="Every layer of the account, and not the declared ones alone.")
@regions_options
@click.option(
    "--unused", is_flag=True, help="Only versions that nobody is known to hold, and that are not the newest."
)
@click.option("--sizes", is_flag=True, help="Ask AWS for sizes that nothing else tells: a call for each version.")
@click.option("--parameters", "prefixes", multiple=True, metavar="PREFIX", help=PARAMETERS)
@click.option("--no-parameters", "nowhere", is_flag=True, help="Do not look at SSM.")
@aws_options
@output_folder
@file_option
@output_options
def list_(
    file: Path, as_json: bool, quiet: bool, output: Path, layers: tuple[str, ...], every: bool,
    regions: tuple[str, ...], all_regions: bool, unused: bool, sizes: bool, prefixes: tuple[str, ...], nowhere: bool,
    profile: str, endpoint_url: str, rate: float,
) -> None:  # fmt: skip
    """List what is published, and who uses it."""
    from layerkit.aws.account import Account
    from layerkit.operate import listing, pipeline
    from layerkit.operate.request import ListRequest

    _regions(regions, all_regions)
    if layers and every:
        raise click.UsageError("--all and the names of layers exclude each other")
    request = ListRequest(
        file=file, output=output, layers=layers, regions=regions, all_regions=all_regions, rate=rate, every=every,
        sizes=sizes, unused=unused, prefixes=_parameters(prefixes, nowhere),
    )  # fmt: skip
    with session(quiet=quiet, as_json=as_json, kept=READ) as console:

        def connect(region: str) -> Account:
            return Account.connect(profile=profile, endpoint_url=endpoint_url, region=region)

        found = pipeline.list_(request, connect, console)
        for problem in listing.problems(found):
            console.warn(problem)
        console.asked(listing.table(found), listing.as_json(found) | {"warnings": console.warnings})
        if error := listing.failure(found):
            sys.exit(error.exit_code)


@click.command()
@click.argument("layers", nargs=-1, metavar="[LAYER]...")
@click.option("--keep", type=click.IntRange(min=1), required=True, metavar="N",
              help="The N newest versions of each set of tags stay, used or not.")  # fmt: skip
@click.option("--older-than", type=_age, metavar="AGE", help="Only older versions go: 12h, 30d, 8w.")
@regions_options
@click.option("--dry-run", is_flag=True, help="Read, and print what would go; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting; without a terminal nobody is asked anyway.")
@click.option("--shared", is_flag=True, help="Delete what other accounts may use, too.")
@click.option("--drop-parameters", is_flag=True, help="Their own numbered SSM parameters keep no versions: both go.")
@click.option("--parameters", "prefixes", multiple=True, metavar="PREFIX", help=PARAMETERS)
@click.option("--no-parameters", "nowhere", is_flag=True, help="Do not look at SSM, and delete what it points to.")
@aws_options
@output_folder
@file_option
@output_options
def prune(
    file: Path, as_json: bool, quiet: bool, output: Path, layers: tuple[str, ...], keep: int,
    older_than: timedelta | None, regions: tuple[str, ...], all_regions: bool, dry_run: bool, yes: bool, shared: bool,
    drop_parameters: bool, prefixes: tuple[str, ...], nowhere: bool, profile: str, endpoint_url: str, rate: float,
) -> None:  # fmt: skip
    """Delete versions that nobody needs, and say of each other one why it stays."""
    from layerkit.aws.account import Account
    from layerkit.cache import Cache, default_folder
    from layerkit.operate import pipeline, report
    from layerkit.operate.request import PruneRequest
    from layerkit.operate.talk import Talk

    _regions(regions, all_regions)
    if drop_parameters and nowhere:
        raise click.UsageError("--drop-parameters and --no-parameters exclude each other")
    request = PruneRequest(
        file=file, output=output, layers=layers, regions=regions, all_regions=all_regions, rate=rate, keep=keep,
        older_than=older_than, dry_run=dry_run, shared=shared, drop_parameters=drop_parameters,
        prefixes=_parameters(prefixes, nowhere),
    )  # fmt: skip
    with session(quiet=quiet, as_json=as_json, kept=KEPT) as console:

        def connect(region: str) -> Account:
            return Account.connect(profile=profile, endpoint_url=endpoint_url, region=region)

        def ask(question: str) -> bool:
            try:
                return click.confirm(question, err=True)
            except click.Abort:  # Ctrl-C, or the end of the input
                click.echo(err=True)  # ends the question's line
                console.warn("there was no answer: nothing is deleted")
                sys.exit(INTERRUPTED)

        person = sys.stdin.isatty() and sys.stderr.isatty() and not yes
        result = pipeline.prune(
            request, connect, Cache(default_folder()), Talk(console=console, ask=ask if person else None)
        )
        seconds = f"{time.monotonic() - console.start:.1f} s"
        console.said(f"{report.summary(result)}; {seconds}", **report.as_json(result), warnings=console.warnings)
        if result.interrupted:
            raise KeyboardInterrupt
        if error := report.failure(result):
            sys.exit(error.exit_code)
