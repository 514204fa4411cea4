"""A function's own folder, as entries below /var/task."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from layerkit.verify.facts import Entry

SKIPPED = ("__pycache__", "node_modules")  # with all that is hidden: no deployment tool takes these along
METADATA = (".dist-info/METADATA", ".egg-info/PKG-INFO")


def entries(folder: Path) -> Iterator[Entry]:
    """The files of a function's source, sorted by path.  Raises OSError."""
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if file.is_file() and not any(part.startswith(".") or part in SKIPPED for part in parts):
            path, content = "/".join(parts), file.read_bytes()
            text = content.decode(errors="replace") if path.endswith(METADATA) else ""
            yield Entry(path=path, size=len(content), crc=zlib.crc32(content), text=text)
