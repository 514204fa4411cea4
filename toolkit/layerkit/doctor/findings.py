"""What a check found, and how it is told: without credentials."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from layerkit import network, uv

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found out; `cure` is the command, or the words where no command does it."""

    name: str
    status: Status
    found: str
    cure: str = ""


def weak() -> Status:
    """How bad it is that there is no container: wheels do without, unless the user insists on containers."""
    return "fail" if os.environ.get("LAYERKIT_BUILDER") == "container" else "warn"


def secrets() -> tuple[str, ...]:
    """The passwords in this machine's index settings, which no finding may repeat."""
    with suppress(ValueError, TypeError, AttributeError):  # settings that cannot be read
        return network.read(uv.environment() | {"UV_KEYRING_PROVIDER": "disabled"}).secrets
    return ()


def hidden(finding: Finding, known: Sequence[str]) -> Finding:
    """`finding` without credentials, whoever's words it repeats."""

    def clean(text: str) -> str:
        text = re.sub(r"(\w+://)\S*@", r"\1***@", text)  # up to the last @, over any /: neither is always quoted
        for secret in known:
            text = text.replace(secret, "***")
        return text

    return Finding(finding.name, finding.status, clean(finding.found), clean(finding.cure))
