"""The command that writes IAM policies: iam-policy."""

from __future__ import annotations

import click


@click.command("iam-policy")
def iam_policy() -> None:
    """Print the IAM policies that layerkit's commands need."""
