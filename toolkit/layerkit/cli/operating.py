"""Commands on what is published: list, prune."""

from __future__ import annotations

import click


@click.command()
def prune() -> None:
    """Delete versions that nobody needs."""


@click.command("list")
def list_() -> None:
    """List what is published, and who uses it."""
