"""What changes in folders, found by looking again and again: no dependency, and the same on any file system.

Of what is looked at see `Watch`; an editor's own files and what tools leave beside the sources are no change.
"""

from __future__ import annotations

import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from layerkit.sandbox.unpacking import SKIPPED

INTERVAL = 0.15  # seconds between two looks: with the one that finds it still, half of what a restart may take
SHARE = 9  # looking takes a tenth of a core at most: seconds of rest for a second of looking
LONGEST = 1.5  # seconds that a folder that never rests can put a change off
FOLDERS = SKIPPED | {".mypy_cache", ".pytest_cache", ".ruff_cache", ".idea", ".vscode", ".hypothesis"}
# vim: .main.py.swp, main.py~, 4913 (which tells it whether it may write); Emacs: #main.py#, .#main.py; Kate:
# .main.py.kate-swp; GNOME: .goutputstream-ABCDEF; JetBrains: main.py___jb_tmp___; Finder: .DS_Store
_PASSING = re.compile(
    r".*~ | \.?\#.* | \..*\.sw[a-z] | 4913 | .*\.kate-swp | \.goutputstream-.* | .*___jb_(tmp|old)___"
    r" | .*\.(tmp|pyc) | \.DS_Store",
    re.VERBOSE | re.DOTALL,
)
Look = tuple[int, ...]  # what differs when a file was written, exchanged or its mode was changed


def is_passing(name: str) -> bool:
    """Whether a file of that name is an editor's or a tool's own."""
    return _PASSING.fullmatch(name) is not None


class Watch:
    """Files and folders, with all that is below these.  A path may not be there yet, or not any more.

    Links in a folder are followed to files and not to folders, as a function's source is copied.  `ignored` are
    files and folders that do not count, wherever they are.
    """

    def __init__(self, paths: Iterable[Path], ignored: Iterable[Path] = ()) -> None:
        self.paths = tuple(map(str, paths))
        self.ignored = frozenset(map(str, ignored))
        self.cost = 0.0  # seconds that a look takes
        self.seen = self._look()

    def changed(self) -> frozenset[Path]:
        """Files that came, went or are others since the last look."""
        before, self.seen = self.seen, self._look()
        return _difference(before, self.seen)

    def settled(self, stop: threading.Event, leave: Callable[[], bool] = lambda: False) -> frozenset[Path]:
        """What has changed, as soon as two looks in turn are alike: a save of several files is one change.

        Waits for it; empty when `stop` is set, or `leave`, which is asked before each look, wants no more of it.
        """
        found: set[Path] = set()
        since = 0.0
        while not stop.wait(self._pause()) and not leave():
            new = self.changed()
            if new and not found:
                since = time.monotonic()
            found |= new
            if found and (not new or time.monotonic() - since > LONGEST):
                return frozenset(found)
        return frozenset()

    def _pause(self) -> float:
        return max(INTERVAL, self.cost * SHARE)

    def _look(self) -> dict[str, Look]:
        start = time.thread_time()
        found = dict(each for path in self.paths for each in self._below(path))
        self.cost = time.thread_time() - start
        return found

    def _below(self, path: str) -> Iterator[tuple[str, Look]]:
        if path in self.ignored:
            return
        with suppress(OSError):  # it is not there, or may not be read: so it differs from when it was, or will be
            state = os.stat(path)  # noqa: PTH116
            if stat.S_ISDIR(state.st_mode):
                yield from self._folder(path)
            else:
                yield path, _look_of(state)

    def _folder(self, folder: str) -> Iterator[tuple[str, Look]]:
        waiting = [folder]
        while waiting:
            with suppress(OSError), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.path in self.ignored:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in FOLDERS:
                            waiting.append(entry.path)
                    elif not is_passing(entry.name):
                        with suppress(OSError):
                            state = entry.stat()
                            if stat.S_ISREG(state.st_mode):
                                yield entry.path, _look_of(state)


def _look_of(state: os.stat_result) -> Look:
    return state.st_mtime_ns, state.st_size, state.st_ino, state.st_dev, state.st_mode


def _difference(before: Mapping[str, Look], after: Mapping[str, Look]) -> frozenset[Path]:
    paths = before.keys() | after.keys()
    return frozenset(Path(path) for path in paths if before.get(path) != after.get(path))
