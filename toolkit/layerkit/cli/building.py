"""Commands from layers.yaml to dist/: init, lock, build, doctor."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from layerkit import examples
from layerkit.cli.base import file_option, output_options, session


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option("--example", type=click.Choice(examples.NAMES),
              help="Write this whole project instead, which works as it is.")  # fmt: skip
@click.option("--github", "services", flag_value="github", multiple=True,
              help="Write the GitHub workflow that publishes when a tag v* is pushed.")  # fmt: skip
@click.option("--gitlab", "services", flag_value="gitlab", multiple=True, help="The same for GitLab CI.")
@output_options
def init(folder: Path | None, as_json: bool, quiet: bool, services: tuple[str, ...], example: str | None) -> None:
    """Write a commented starter layers.yaml, or the CI job that publishes, into FOLDER (default: here).

    With --example, a whole project, into a folder of its name unless FOLDER is given.  Nothing that is there already
    is overwritten: then nothing is written at all.
    """
    from layerkit import starter

    with session(quiet=quiet, as_json=as_json) as console:
        started = starter.write(folder or Path(example or "."), services, example or "")
        written = [str(path) for path in started.files]
        what = f"{example}: {len(written)} files" if example else ", ".join(written)
        verb = "is" if len(written) == 1 else "are"
        following = "what to set up there: docs/ci.md" if services else f"next: {' && '.join(started.following)}"
        console.said(f"{what} {verb} written; {following}", file=written[0], files=written)


@click.command()
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


@click.command()
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


@click.command()
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
