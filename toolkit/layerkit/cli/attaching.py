"""The command that gives a function its layers: attach."""

from __future__ import annotations

import click


@click.command()
def attach() -> None:
    """Give a function its layers, or take that back."""
