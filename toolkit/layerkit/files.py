"""Files that are whole or not there: written aside, synced, renamed."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layerkit.errors import MachineError


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path`; whoever reads it sees the old bytes or the new, never a part.

    Raises MachineError when the disk is full or the folder is not writable; the old file is then as it was.
    """
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o666 & ~umask())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def umask() -> int:
    """This process's umask (there is no way to read it without setting it)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turns a full disk, a read-only or foreign folder into a MachineError that names it."""
    try:
        yield
    except OSError as error:
        cures = {
            errno.ENOSPC: ("the disk is full", "free some space and run it again"),
            errno.EDQUOT: ("the disk quota is used up", "free some space and run it again"),
            errno.EACCES: ("may not be written", "check its owner and mode"),
            errno.EPERM: ("may not be written", "check its owner and mode"),
            errno.ENOTDIR: ("is a file, or below one, where a folder is needed", "name another folder"),
            errno.EEXIST: ("is a file, or below one, where a folder is needed", "name another folder"),
            errno.ENOENT: ("cannot be made", "name another folder"),
            errno.EFBIG: ("larger than this process may make a file (ulimit -f)", "raise that limit"),
            errno.EIO: ("the disk fails to read or write", "look at the disk"),
            errno.EROFS: ("is on a read-only file system", "choose another folder"),
        }
        if error.errno not in cures:
            raise
        what, cure = cures[error.errno]
        raise MachineError(
            f"{what}; nothing that was there before is lost", where=str(where), why=str(error), cure=cure
        ) from None


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Processes that change what is in `folder` take turns; each waits here for the others.

    The lock is on the folder above, because `folder` may be exchanged for another meanwhile.  Raises MachineError.
    """
    with disk_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder.parent, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
