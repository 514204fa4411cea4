"""The command line: flags in, clients made, one call, exit code out.  No logic."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from layerkit import __version__
from layerkit.errors import LayerkitError

if TYPE_CHECKING:
    from layerkit.console import Console

F = TypeVar("F", bound=Callable[..., Any])
INTERRUPTED = 130


@contextmanager
def session(*, quiet: bool = False, as_json: bool = False) -> Iterator[Console]:
    """The console of one command.  An expected failure ends the process with its words and its exit code."""
    from layerkit.console import Console

    with Console(quiet=quiet, as_json=as_json) as console:
        try:
            yield console
        except LayerkitError as error:
            console.failed(error)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            console.warn("interrupted; what was built before is as it was")
            sys.exit(INTERRUPTED)


def _interrupt(*_: object) -> NoReturn:
    """A polite kill ends like Ctrl-C: temporary folders are removed, programs that were started are stopped."""
    raise KeyboardInterrupt


def output_options(command: F) -> F:
    """Options that every command has."""
    command = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output.")(
        command
    )
    return click.option("--quiet", "-q", is_flag=True, help="Print warnings and errors alone.")(command)


def file_option(command: F) -> F:
    help_text = "The declaration of the layers."
    kind = click.Path(path_type=Path)
    return click.option("--file", "-f", type=kind, default="layers.yaml", show_default=True, help=help_text)(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="layerkit")
def cli() -> None:
    """Build AWS Lambda layers from one layers.yaml."""


@cli.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@output_options
def init(folder: Path, as_json: bool, quiet: bool) -> None:
    """Write a commented starter layers.yaml into FOLDER (default: here)."""
    from layerkit import starter

    with session(quiet=quiet, as_json=as_json) as console:
        path = starter.write(folder)
        console.said(f"{path} is written; next: layerkit lock, then layerkit build", file=str(path))


@cli.command()
@click.option(
    "--upgrade", "-U", is_flag=False, flag_value="*", multiple=True, metavar="[NAME]",
    help="Forget the pins of all distributions, or of NAME; may be given several times.",
)  # fmt: skip
@click.argument("names", nargs=-1)
@click.option("--check", is_flag=True, help="Fail when the lock does not fit layers.yaml; change nothing.")
@file_option
@output_options
def lock(
    file: Path, as_json: bool, quiet: bool, upgrade: tuple[str, ...], names: tuple[str, ...], check: bool
) -> None:
    """Resolve all layers together and write layers.lock.

    Pins that still fit are kept; --upgrade forgets them all, --upgrade NAME... those of the named ones.
    """
    from layerkit import pipeline
    from layerkit.builders.boxes import Host
    from layerkit.cache import Cache, default_folder

    if names and not upgrade:
        raise click.UsageError("names are for --upgrade: layerkit lock --upgrade " + " ".join(names))
    wanted = (*(name for name in upgrade if name != "*"), *names)
    with session(quiet=quiet, as_json=as_json) as console:
        if check:
            path = pipeline.check_lock(file, console)
            console.said(f"{path.name} fits {file.name}", lock=str(path), fits=True)
            return
        cache = Cache(default_folder())
        upgrade_all = bool(upgrade) and not wanted
        seen = Host(cache, console).release
        result = pipeline.lock(file, cache, console, upgrade_all=upgrade_all, upgrade=wanted, seen_release=seen)
        console.locked(result)


@cli.command()
@click.argument("layers", nargs=-1, metavar="[LAYER]...")
@click.option("--arch", "architectures", multiple=True, help="Build for this architecture alone: arm64 or x86_64.")
@click.option("--runtime", "runtimes", multiple=True, help="Build for this runtime alone, as python3.12.")
@click.option(
    "--builder",
    type=click.Choice(["auto", "container", "wheels"]),
    default="auto",
    show_default=True,
    envvar="LAYERKIT_BUILDER",
    show_envvar=True,
    help="Where distributions are installed: in a container, from wheels without one, or as can be.",
)
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="Processes at work; default: one for each core.")
@click.option(
    "--frozen",
    is_flag=True,
    help="Insist on the lock: refuse to make it, or to compile with another CPython.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("dist"),
    show_default=True,
    help="Where the zips go.",
)
@file_option
@output_options
def build(
    file: Path,
    as_json: bool,
    quiet: bool,
    layers: tuple[str, ...],
    architectures: tuple[str, ...],
    runtimes: tuple[str, ...],
    builder: str,
    jobs: int | None,
    frozen: bool,
    output: Path,
) -> None:
    """Build the zips of all layers, or of the named ones, into dist/."""
    from layerkit import pipeline
    from layerkit.builders import auto
    from layerkit.cache import Cache, default_folder

    request = pipeline.BuildRequest(
        file=file, output=output, layers=layers, runtimes=runtimes, architectures=architectures,
        jobs=jobs or 0, frozen=frozen,
    )  # fmt: skip
    with session(quiet=quiet, as_json=as_json) as console:
        cache = Cache(default_folder())
        results = pipeline.build(request, auto.named(builder, cache, console), cache, console)
        console.built(results, str(output))


@cli.command()
@click.option("--aws", is_flag=True, help="Look at the AWS credentials and regions, too.")
@file_option
@output_options
def doctor(file: Path, as_json: bool, quiet: bool, aws: bool) -> None:
    """Say what this machine has for building layers, and what to do about what it lacks."""
    from layerkit import doctor
    from layerkit.cache import Cache, default_folder
    from layerkit.errors import MachineError

    with session(quiet=quiet, as_json=as_json) as console:
        findings = doctor.diagnose(file, Cache(default_folder()), console, aws=aws)
        console.diagnosed(findings)
        if any(finding.status == "fail" for finding in findings):
            sys.exit(MachineError.exit_code)


@cli.command()
@click.argument("names", nargs=-1, metavar="[LAYER|ZIP]...")
@click.option(
    "--function", "functions", multiple=True, metavar="NAME", help="A function with its layers; repeatable."
)
@click.option(
    "--imports", "place", type=click.Choice(["auto", "host", "container", "none"]), default="auto",
    show_default=True, envvar="LAYERKIT_IMPORTS",
    help="Where modules are imported; auto: on this machine if it is like the target, else in a container.",
)  # fmt: skip
@click.option("--audit", is_flag=True, help="Look for known vulnerabilities, too (needs the network).")
@click.option("--architecture", "architectures", multiple=True, type=click.Choice(["arm64", "x86_64"]),
              help="Verify for this architecture alone; of a zip that is not declared: what it is for.")  # fmt: skip
@click.option("--runtime", "runtimes", multiple=True, metavar="python3.X", help="The same for a runtime.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "sarif", "github"]), default="text", show_default=True,
    help="sarif and json go to standard output, and github's annotations, too.",
)  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path), default=Path("dist"), show_default=True,
              help="Where build put the zips.")  # fmt: skip
@file_option
@output_options
def verify(
    file: Path, as_json: bool, quiet: bool, names: tuple[str, ...], functions: tuple[str, ...], place: str,
    audit: bool, architectures: tuple[str, ...], runtimes: tuple[str, ...], form: str, output: Path,
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


@cli.command("rules")
@click.argument("names", nargs=-1, metavar="[RULE]...")
@output_options
def explain(names: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Explain the rules of `verify`, or the named ones, as Markdown."""
    from layerkit.verify.rules import as_markdown, chosen

    with session(quiet=quiet, as_json=as_json) as console:
        found = chosen(names)
        console.explained(found, as_markdown(found))


def main() -> NoReturn:
    """The console script."""
    signal.signal(signal.SIGTERM, _interrupt)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error does: names of files may be anything
    try:
        result = cli(prog_name="layerkit", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    sys.exit(result if isinstance(result, int) else 0)
