"""Asking the index for the newest version of a distribution, by uv."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from layerkit import uv
from layerkit.errors import ResolutionError
from layerkit.files import disk_errors
from layerkit.model import Target


def newest(requirement: str, target: Target) -> str | None:
    """The newest version that the index offers for the target's Python; None where it offers none.

    Raises IndexUnreachable, MachineError.
    """
    with disk_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="layerkit-") as folder:
        wanted = Path(folder, "wanted.in")
        wanted.write_text(f"{requirement}\n", encoding="utf-8")
        arguments = ["pip", "compile", "--no-deps", "--no-header", "--no-annotate", "--quiet", str(wanted)]
        try:
            said = uv.run([*arguments, "--universal", "--python-version", target.python], cwd=Path(folder))
        except ResolutionError:
            return None
    match = re.search(r"^[^#\s=]+==([^\s;]+)", said, flags=re.MULTILINE)
    return match[1] if match else None
