"""Tars of what a function sees, for a container: /opt, /var/task, and what stands in its image.

Everything in them is root's, and the modes are the zips' own, whoever runs layerkit.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from layerkit.files import disk_errors
from layerkit.sandbox.unpacking import FOLDER, Member, content, opened, read, read_source, source_files
from layerkit.tars import add

IMAGES = frozenset(("etc", "var"))  # folders that every image has


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a path of /opt is in the end: a folder, or a member of one of the zips."""

    mode: int = FOLDER
    zip_file: zipfile.ZipFile | None = None
    member: Member | None = None


def opt(zips: Sequence[Path], to: Path) -> None:
    """A tar of /opt, as Lambda fills it: the zips in their order, the last one wins.  Raises Refused."""
    with ExitStack() as stack, disk_errors(to), tarfile.open(to, mode="w") as tar:
        archives = [stack.enter_context(opened(file)) for file in zips]
        entries = merged(archives)
        for path in sorted(entries):  # a folder before what is in it
            entry = entries[path]
            if not entry.zip_file or not entry.member:
                add(tar, path, None, entry.mode)
            elif entry.member.link:
                add(tar, path, None, 0o777, entry.member.link)
            else:
                add(tar, path, read(entry.zip_file, entry.member.info), entry.mode)


def merged(archives: Sequence[zipfile.ZipFile]) -> dict[str, Entry]:
    """What each path below /opt is; the same as _folders.merge makes on a disk."""
    found: dict[str, Entry] = {}
    for archive in archives:
        one = content(archive)
        members = [*one.files, *one.links]
        gone = {member.path for member in members if _is_folder(found.get(member.path))}
        if gone:
            found = {path: entry for path, entry in found.items() if not gone & set(map(str, _with_parents(path)))}
        found |= {path: Entry(mode=mode) for path, mode in one.folders.items()}
        found |= {member.path: Entry(mode=member.mode, zip_file=archive, member=member) for member in members}
    return found


def _is_folder(entry: Entry | None) -> bool:
    return entry is not None and entry.member is None


def _with_parents(path: str) -> list[PurePosixPath]:
    return [PurePosixPath(path), *PurePosixPath(path).parents]


def task(source: Path | None, to: Path) -> None:
    """A tar of /var/task."""
    made: set[str] = set()
    with disk_errors(to), tarfile.open(to, mode="w") as tar:
        for path, file, mode in source_files(source):
            for parent in reversed(_with_parents(path)[1:-1]):
                if str(parent) not in made:
                    made.add(str(parent))
                    add(tar, str(parent), None, FOLDER)
            add(tar, path, read_source(file), mode)


def whole(files: Mapping[str, bytes | Path], to: Path) -> None:
    """A tar of files by their whole paths, for everybody to read; bytecode keeps its source's time."""
    made: set[str] = set()
    with disk_errors(to), tarfile.open(to, mode="w") as tar:
        for path, given in files.items():
            for parent in reversed(_with_parents(path)[1:-1]):
                if str(parent) not in made | IMAGES:
                    made.add(str(parent))
                    add(tar, str(parent), None, FOLDER)
            data = given if isinstance(given, bytes) else given.read_bytes()
            add(tar, path, data, 0o644, seconds=0 if isinstance(given, bytes) else int(given.stat().st_mtime))
