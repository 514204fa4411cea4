"""dist/: the layers' zips and manifest.json, which change together or not at all."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from layerkit.files import turn, umask
from layerkit.model import LayerArchive

NAME = "manifest.json"
SCHEMA_VERSION = 1

Entry = dict[str, Any]  # one layer for one target, as it is written
Manifest = dict[str, Any]
KINDS: dict[str, type] = {
    **dict.fromkeys(("layer", "name", "description", "license", "runtime", "architecture", "file"), str),
    **dict.fromkeys(("sha256", "code_sha256", "inputs"), str),
    **dict.fromkeys(("size", "unzipped_size"), int),
    **dict.fromkeys(("distributions", "source", "libraries", "builders"), list),
    "bytecode": dict,
}


def entry(archive: LayerArchive) -> Entry:
    """What the manifest says of an archive.  Sizes in bytes; `code_sha256` in base64, as AWS gives it."""
    distributions = [
        {
            "name": p.name,
            "version": p.version,
            "license": p.license,
            "size": p.size,
            "from": "sdist" if p.origin.sdist else "wheel",
        }
        for p in archive.parts
        if p.name
    ]
    # of the runs that made the parts, which may be older than the one that made the zip
    builders = sorted({(p.origin.builder, p.origin.image, p.origin.digest) for p in archive.parts})
    return {
        "layer": archive.layer.key,
        "name": archive.layer.name,
        "description": archive.layer.description,
        "license": archive.layer.license,
        "runtime": archive.target.runtime,
        "architecture": archive.target.architecture,
        "file": archive.file,
        "size": archive.size,
        "unzipped_size": archive.unzipped_size,
        "sha256": archive.sha256,
        "code_sha256": b64encode(bytes.fromhex(archive.sha256)).decode(),
        "distributions": distributions,
        "source": [{"path": p.label, "size": p.size} for p in archive.parts if not p.name],
        "bytecode": {
            "mode": archive.layer.bytecode.value if archive.compiler else "none",
            "compiler": f"CPython {archive.compiler}" if archive.compiler else None,
            "uncompiled": sorted(path for part in archive.parts for path in part.uncompiled),
        },
        "libraries": sorted({name for part in archive.parts for name in part.libraries}),
        "builders": [
            {"name": name, "image": image or None, "digest": digest or None} for name, image, digest in builders
        ],
        "inputs": archive.inputs,
    }


def read(folder: Path) -> list[Entry]:
    """The whole entries of the manifest in `folder`; none when there is no manifest that this layerkit can read."""
    try:
        data = json.loads((folder / NAME).read_text(encoding="utf-8"))
        entries = data["layers"] if data["schema_version"] == SCHEMA_VERSION else []
        return [item for item in entries if _is_whole(item)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _is_whole(item: object) -> bool:
    """True of an entry with every key, each of its kind, and a file that stands in the folder itself."""
    if not isinstance(item, dict) or any(not isinstance(item.get(key), kind) for key, kind in KINDS.items()):
        return False
    return Path(item["file"]).name == item["file"] and "compiler" in item["bytecode"]


def render(entries: Sequence[Entry], tools: Mapping[str, str]) -> bytes:
    """manifest.json: nothing in it depends on the machine, the folder or the time."""
    ordered = sorted(entries, key=lambda item: (item["layer"], item["runtime"], item["architecture"]))
    manifest: Manifest = {"schema_version": SCHEMA_VERSION, "tools": dict(tools), "layers": ordered}
    return (json.dumps(manifest, indent=2) + "\n").encode()


@contextmanager
def replacing(folder: Path) -> Iterator[tuple[Path, Callable[[Sequence[str]], None]]]:
    """A staging folder beside `folder`, and the call that makes its files `folder`'s, taking the named ones away.

    All changes happen in one step: the staging folder gets links to all files that stay, and the two folders are
    exchanged.  Whoever is killed, and whenever, leaves the old `folder` whole or the new one.  The files are replaced
    one by one instead, manifest.json last, where the file system cannot exchange folders, where `folder` is a mount
    point, and where it is more than an output folder: it has folders in it, or somebody's work goes on in it.
    Two processes take turns.  Raises MachineError for a full disk or a folder that may not be written.
    """
    folder = folder.resolve()
    with turn(folder):
        for left in folder.parent.glob(f".{folder.name}.*.staging"):
            shutil.rmtree(left, ignore_errors=True)  # of a killed process: the lock says that none is at work
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".staging", dir=folder.parent))
        try:
            yield staging, lambda gone: _replace(staging, folder, gone)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _replace(staging: Path, folder: Path, gone: Sequence[str]) -> None:
    new = sorted(item.name for item in staging.iterdir())
    for name in new:
        (staging / name).chmod(0o666 & ~umask())
        _sync(staging / name)
    if not folder.exists():
        staging.chmod(0o777 & ~umask())
        staging.rename(folder)
        return
    stay = [item for item in folder.iterdir() if item.name not in new and item.name not in gone]
    if all(item.is_file() or item.is_symlink() for item in stay) and not Path.cwd().is_relative_to(folder):
        for item in stay:
            _link(item, staging / item.name)
        staging.chmod(folder.stat().st_mode & 0o777)
        if _exchange(staging, folder):
            return
    for name in sorted(new, key=lambda name: name == NAME):
        (staging / name).replace(folder / name)
    for name in gone:
        (folder / name).unlink(missing_ok=True)


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file, to, follow_symlinks=False)
    except OSError:
        shutil.copy2(file, to, follow_symlinks=False)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders swap names in one step; False where the system or the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if sys.platform == "darwin":
            failed = libc.renamex_np(os.fsencode(one), os.fsencode(other), 0x2)  # RENAME_SWAP, <sys/stdio.h>
        else:
            here = -100  # AT_FDCWD, <fcntl.h>
            failed = libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), 0x2)  # RENAME_EXCHANGE
    except AttributeError:  # a C library without it
        return False
    if not failed:
        return True
    if ctypes.get_errno() in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV, errno.EBUSY):
        return False
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))
