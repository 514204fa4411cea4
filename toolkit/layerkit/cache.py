"""The content-addressed cache of built parts, in the user's cache folder.

A file's name is the digest of everything that decides its bytes, and a file is renamed into place when it is whole.
So any number of processes may share the folder, and one that is killed leaves at most a temporary folder, which a
later run removes.  Deleting the cache is always safe.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from layerkit.archive import BuiltPart, read_part
from layerkit.files import disk_errors

ABANDONED = 24 * 3600  # seconds after which a half-written part is surely nobody's any more
UNUSED = 90 * 24 * 3600  # seconds after which a part that no build read is dropped
KEPT = ("wheels", "logs", "tools", "runtime", "unpacked")  # folders whose items are used or not as a whole


def default_folder() -> Path:
    """`LAYERKIT_CACHE_DIR`, else `layerkit` in the user's cache folder."""
    import platformdirs

    given = os.environ.get("LAYERKIT_CACHE_DIR")
    return Path(given).expanduser().absolute() if given else Path(platformdirs.user_cache_dir("layerkit"))


class Cache:
    """Parts by key, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _file(self, key: str) -> Path:
        return self.folder / "parts" / key[:2] / f"{key}.zip"

    def get(self, key: str) -> BuiltPart | None:
        """The part with this key, if it is there and whole."""
        file = self._file(key)
        part = read_part(file)
        if part:
            with suppress(OSError):  # a cache that is only lent for reading
                os.utime(file)
        return part

    def put(self, key: str, write: Callable[[IO[bytes]], None]) -> None:
        """Store what `write` writes.  Raises MachineError when the disk is full; nothing is then stored."""
        file = self._file(key)
        with disk_errors(self.folder):
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".", dir=file.parent)
            try:
                with os.fdopen(handle, "wb") as temporary:
                    write(temporary)
                Path(name).replace(file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A temporary folder, on the cache's file system so that uv can link instead of copy.

        It is locked while it is used.  A lock goes with its process, however that ends, and is seen across
        containers that share the cache; so a folder without a lock is one that a kill left behind.
        """
        top = self.folder / "tmp"
        with disk_errors(self.folder):
            top.mkdir(parents=True, exist_ok=True)
            with _locked(top):
                self._tidy(top)
                folder = Path(tempfile.mkdtemp(dir=top))
                lock = os.open(folder, os.O_RDONLY)
                fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield folder
        finally:
            try:
                shutil.rmtree(folder, ignore_errors=True)
            except KeyboardInterrupt:  # at just this moment: a second one leaves the rest to the next run
                shutil.rmtree(folder, ignore_errors=True)
                raise
            finally:
                os.close(lock)

    def is_live(self, workspace: str) -> bool:
        """True while the process that has the workspace of this name is at work."""
        folder = self.folder / "tmp" / workspace
        try:
            with _locked(folder, fcntl.LOCK_NB):
                return False
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _tidy(self, top: Path) -> None:
        """Remove what killed processes left, and what no command has used for long."""
        for item in top.iterdir():
            with suppress(BlockingIOError), _locked(item, fcntl.LOCK_NB):
                shutil.rmtree(item, ignore_errors=True)
        now = time.time()
        for file in self.folder.glob("parts/*/*"):
            with suppress(FileNotFoundError):  # another process was here first
                age = now - file.stat().st_mtime
                if age > UNUSED or (file.name.startswith(".") and age > ABANDONED):
                    file.unlink()
        for item in (item for kind in KEPT for item in self.folder.glob(f"{kind}/*")):
            with suppress(OSError):
                if now - item.stat().st_mtime > UNUSED:
                    shutil.rmtree(item) if item.is_dir() else item.unlink()


@contextmanager
def _locked(folder: Path, flags: int = 0) -> Iterator[None]:
    """Alone in `folder`; with LOCK_NB, BlockingIOError when somebody else is there."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | flags)
        yield
    finally:
        os.close(handle)
