"""Reading what an installer left: .dist-info folders and their RECORDs."""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name


def metadata_folders(root: Path) -> dict[str, Path]:
    """Normalised distribution name -> its .dist-info folder in `root`."""
    folders = sorted(root.glob("*.dist-info"))
    return {
        canonicalize_name(folder.name.removesuffix(".dist-info").rpartition("-")[0]): folder for folder in folders
    }


def recorded(info: Path) -> dict[str, tuple[str, str]]:
    """RECORD of a .dist-info folder: path -> (hash, size), the paths relative to the installation's root."""
    with (info / "RECORD").open(encoding="utf-8", newline="") as file:
        return {str(PurePosixPath(row[0])): (row[1], row[2]) for row in csv.reader(file) if row}
