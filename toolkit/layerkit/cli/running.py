"""Commands that run a function here: invoke, serve."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from layerkit.cli.base import file_option, output_folder, output_options, session

F = TypeVar("F", bound=Callable[..., Any])
FRONTS = ("http-api", "http-api-1.0", "rest", "function-url", "alb", "alb-multi", "lattice-v1", "lattice-v2")


def run_options(command: F) -> F:
    """Options of both commands: which target, where, with which variables."""
    options = (
        click.option("--env", "variables", multiple=True, metavar="NAME[=VALUE]",
                     help="A variable of the function, over those of layers.yaml; NAME alone: as it is here."),
        click.option("--in", "place", type=click.Choice(["auto", "host", "container"]), default="auto",
                     show_default=True, envvar="LAYERKIT_IN", show_envvar=True,
                     help="Where it runs; auto: in a container if an engine answers, else on this machine."),
        click.option("--architecture", type=click.Choice(["arm64", "x86_64"]), default=None,
                     help="Of the layers; default: this machine's, if they are built for it."),
        click.option("--runtime", default="", metavar="python3.X", help="Of the layers; default: the first."),
        click.option("--network", default="", metavar="NAME", help="The container's network, as docker run has it."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def front_option(command: F) -> F:
    help_text = "What makes events of HTTP requests, as API Gateway, a Function URL or a load balancer does."
    kind = click.Choice(FRONTS)
    return click.option("--front", type=kind, default=FRONTS[0], show_default=True, help=help_text)(command)


@click.command()
@click.argument("function")
@click.option("--event", metavar="FILE|-", help="The event, as JSON.")
@click.option("--request", "http", default="/", metavar="'METHOD /PATH'",
              help="An HTTP request that the front makes the event of; default: GET /.")  # fmt: skip
@click.option("--header", "-H", "headers", multiple=True, metavar="'NAME: VALUE'", help="Of the request; repeatable.")
@click.option(
    "--data",
    "-d",
    default="",
    metavar="TEXT|@FILE",
    help="The body of the request: JSON if it is that, else a form, unless --header says.",
)
@front_option
@run_options
@output_folder
@file_option
@output_options
def invoke(
    function: str, event: str | None, http: str, headers: tuple[str, ...], data: str, front: str,
    variables: tuple[str, ...], place: str, architecture: str | None, runtime: str, network: str, output: Path,
    file: Path, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Run a declared function once, with its layers' zips, as Lambda would.

    The answer goes to standard output; the function's log and what it took, to standard error.
    """
    from layerkit.cache import Cache, default_folder
    from layerkit.errors import FunctionFailed
    from layerkit.local import invoke as local
    from layerkit.local import report
    from layerkit.local.request import InvokeRequest, RunRequest, place_of

    given = click.get_current_context().get_parameter_source
    of_requests = [name for name in ("http", "headers", "data", "front") if given(name) != ParameterSource.DEFAULT]
    if event is not None and of_requests:
        raise click.UsageError("an event, or a request to make one of: --event stands alone")
    run = RunRequest(
        file=file, output=output, function=function, runtime=runtime, architecture=architecture or "",
        variables=_variables(variables), place=place_of(place), network=network,
    )  # fmt: skip
    request = InvokeRequest(
        run=run,
        event=None if event is None else _read(event),
        http=http,
        headers=headers,
        body=_body(data),
        front=front,
    )  # fmt: skip
    with session(quiet=quiet, as_json=as_json, kept="nothing of it is left") as console:
        told = local.invoke(request, Cache(default_folder()), console)
        if not report.tell(told, console):
            sys.exit(FunctionFailed.exit_code)


@click.command()
@click.argument("function")
@click.option("--port", "-p", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
@click.option("--watch", "-w", is_flag=True, help="Restart when the function's source, or a layer's own, changes.")
@front_option
@run_options
@output_folder
@file_option
@output_options
def serve(
    function: str, port: int, watch: bool, front: str, variables: tuple[str, ...], place: str,
    architecture: str | None, runtime: str, network: str, output: Path, file: Path, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Serve a declared function over HTTP on this machine, behind a front as Lambda's, until Ctrl-C."""
    from layerkit.cache import Cache, default_folder
    from layerkit.local.request import RunRequest, ServeRequest, place_of
    from layerkit.local.serve import serve as serve_it

    run = RunRequest(
        file=file, output=output, function=function, runtime=runtime, architecture=architecture or "",
        variables=_variables(variables), place=place_of(place), network=network,
    )  # fmt: skip
    request = ServeRequest(run=run, port=port, front=front, watch=watch)
    with session(quiet=quiet, as_json=as_json, kept="nothing of it is left") as console:
        serve_it(request, Cache(default_folder()), console)


def _variables(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or (not equals and name not in os.environ):
            raise click.BadParameter(f"{text!r}: write NAME=VALUE, or the NAME of a variable that is set here")
        found[name] = value if equals else os.environ[name]
    return found


def _body(given: str) -> bytes:
    return _read(given[1:]) if given.startswith("@") else os.fsencode(given)


def _read(name: str) -> bytes:
    """A file, or standard input."""
    if name == "-" and sys.stdin is None:
        raise click.BadParameter("standard input is closed")
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{name}: {error.strerror}") from None
