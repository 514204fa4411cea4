"""The space for what layerkit and the container engine keep."""

from __future__ import annotations

import os
import shlex
import shutil
from concurrent.futures import Future
from pathlib import Path

from layerkit.builders.engine import Engine
from layerkit.console import size
from layerkit.doctor.engine import data_root
from layerkit.doctor.findings import Finding, Status

LITTLE, NOTHING = 2_000_000_000, 200_000_000  # bytes: an image or a scientific stack; a layer and its parts


def space(name: str, folder: Path, elsewhere: str) -> list[Finding]:
    """Whether `folder`, which need not be there yet, can be written and has space; `elsewhere` names another."""
    there = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    quoted = shlex.quote(str(there))
    if not there.is_dir():
        return [Finding(name, "fail", f"{there} is a file where a folder is needed", elsewhere)]
    if not os.access(there, os.W_OK | os.X_OK):
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            return [Finding(name, "fail", f"{there} is on a read-only file system", elsewhere)]
        cure = f"chmod u+rwx {quoted}" if there.stat().st_uid == os.geteuid() else f'sudo chown -R "$USER" {quoted}'
        return [Finding(name, "fail", f"{there} may not be written", cure)]
    cleared = f"rm -rf {quoted}" if name == "disk: cache" and there == folder else ""  # which is always safe
    return [_free(name, shutil.disk_usage(there).free, folder, cleared or elsewhere)]


def engine(connecting: Future[Engine]) -> list[Finding]:
    found = data_root(connecting)
    return [_free("disk: engine", shutil.disk_usage(found[0]).free, *found)] if found else []


def _free(name: str, count: int, folder: Path, cure: str) -> Finding:
    status: Status = "fail" if count < NOTHING else "warn" if count < LITTLE else "ok"
    return Finding(name, status, f"{size(count)} free for {folder}", "" if status == "ok" else cure)
