"""Commands that prove what was built: verify, rules."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from layerkit.cli.base import file_option, output_folder, output_options, session


@click.command()
@click.argument("names", nargs=-1, metavar="[LAYER|ZIP]...")
@click.option(
    "--function", "functions", multiple=True, metavar="NAME", help="A function with its layers; repeatable."
)
@click.option(
    "--imports", "place", type=click.Choice(["auto", "host", "container", "none"]), default="auto",
    show_default=True, envvar="LAYERKIT_IMPORTS",
    help="Where modules are imported; auto: on this machine if it is like the target, else in a container.",
)  # fmt: skip
@click.option("--require-imports", "required", is_flag=True, help="Fail where modules could be imported nowhere.")
@click.option("--audit", is_flag=True, help="Look for known vulnerabilities, too (needs the network).")
@click.option("--architecture", "architectures", multiple=True, type=click.Choice(["arm64", "x86_64"]),
              help="Verify for this architecture alone; of a zip that is not declared: what it is for.")  # fmt: skip
@click.option("--runtime", "runtimes", multiple=True, metavar="python3.X", help="The same for a runtime.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "sarif", "github"]), default="text", show_default=True,
    help="sarif and json go to standard output, and github's annotations, too.",
)  # fmt: skip
@output_folder
@file_option
@output_options
def verify(
    file: Path, as_json: bool, quiet: bool, names: tuple[str, ...], functions: tuple[str, ...], place: str,
    required: bool, audit: bool, architectures: tuple[str, ...], runtimes: tuple[str, ...], form: str, output: Path,
) -> None:  # fmt: skip
    """Prove that layers will work: binaries, sizes, conflicts, leaks, imports.

    Takes layers as they were built, and any layer's ZIP, whatever made it; without names, all that is declared.
    """
    from layerkit.cache import Cache, default_folder
    from layerkit.errors import VerifyFailed
    from layerkit.verify import pipeline
    from layerkit.verify.chosen import VerifyRequest, place_of

    form = "json" if as_json else form
    request = VerifyRequest(
        file=file, output=output, names=names, functions=functions, runtimes=runtimes,
        architectures=architectures, place=place_of(place), audit=audit,
    )  # fmt: skip
    with session(quiet=quiet, as_json=form == "json") as console:
        report = pipeline.verify(request, Cache(default_folder()), console)
        console.verified(report, form)
        if not report.ok:
            sys.exit(VerifyFailed.exit_code)
        if required and (untried := report.untried(functions=True)):
            console.warn(f"imports are required, and these were not run: {'; '.join(untried)}")
            sys.exit(VerifyFailed.exit_code)


@click.command("rules")
@click.argument("names", nargs=-1, metavar="[RULE]...")
@output_options
def explain(names: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Explain the rules of `verify`, or the named ones, as Markdown."""
    from layerkit.verify.rules import as_markdown, chosen

    with session(quiet=quiet, as_json=as_json) as console:
        found = chosen(names)
        console.asked(as_markdown(found), [asdict(rule) for rule in found])
