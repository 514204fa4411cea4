"""The command line: flags in, clients made, one call, exit code out.  No logic."""

from __future__ import annotations

import signal
import sys
from io import TextIOWrapper
from typing import NoReturn

import click

from layerkit import __version__
from layerkit.cli import attaching, building, granting, operating, publishing, running, verifying
from layerkit.cli.base import INTERRUPTED


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="layerkit")
def cli() -> None:
    """Build AWS Lambda layers from one layers.yaml, prove them, publish them."""


for command in (
    building.init, building.lock, building.build, verifying.verify, verifying.explain,
    running.invoke, running.serve,
    publishing.publish, publishing.arns, operating.list_, operating.prune, attaching.attach, granting.iam_policy,
    building.doctor,
):  # fmt: skip
    cli.add_command(command)


def _interrupt(*_: object) -> NoReturn:
    """A polite kill ends like Ctrl-C: temporary folders are removed, programs that were started are stopped."""
    raise KeyboardInterrupt


def main() -> NoReturn:
    """The console script."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # a closed terminal; under nohup it is ignored
        signal.signal(signal.SIGHUP, _interrupt)
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
