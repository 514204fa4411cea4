"""What every command has: its console, its options, its end."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from layerkit.errors import LayerkitError

if TYPE_CHECKING:
    from layerkit.console import Console

F = TypeVar("F", bound=Callable[..., Any])
INTERRUPTED = 130
RATE = 10.0  # calls per second; the library's default, told here so that help does not load it
KEPT = "what was built before is as it was"


class Number(click.FloatRange):
    """A number within bounds.  What is no number ("nan") is in all of click's ranges, and in none of these."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if math.isnan(found):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return found


@contextmanager
def session(*, quiet: bool = False, as_json: bool = False, kept: str = KEPT) -> Iterator[Console]:
    """The console of one command.  An expected failure ends the process with its words and its exit code.

    `kept` says what is so after an interruption.
    """
    from layerkit.console import Console

    with Console(quiet=quiet, as_json=as_json) as console:
        try:
            yield console
        except LayerkitError as error:
            console.failed(error)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            console.warn(f"interrupted; {kept}")
            sys.exit(INTERRUPTED)


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


def output_folder(command: F) -> F:
    kind = click.Path(path_type=Path)
    return click.option("--output", "-o", type=kind, default=Path("dist"), show_default=True,
                        help="The folder of the zips, of published.json and attached.json.")(command)  # fmt: skip


def regions_options(command: F) -> F:
    """Options of commands that work in several regions."""
    command = click.option("--all-regions", is_flag=True, help="All regions that the account has enabled.")(command)
    return click.option("--region", "regions", multiple=True, metavar="REGION", help="This region; repeatable.")(
        command
    )


def aws_options(command: F) -> F:
    """Options of commands that call AWS."""
    command = click.option("--rate", type=Number(min=0, min_open=True, max=14), default=RATE, show_default=True,
                           help="Calls per second and region; AWS allows an account 15.")(command)  # fmt: skip
    command = click.option("--endpoint-url", default="", metavar="URL", help="Instead of AWS's own endpoints.")(
        command
    )
    return click.option("--profile", default="", metavar="NAME", help="A profile of the AWS configuration.")(command)
