"""Zips unpacked as Lambda does it, with the modes that they carry; nothing is ever written outside of a folder."""

from __future__ import annotations

import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from layerkit import targets
from layerkit.errors import ContentError
from layerkit.files import disk_errors

FILE, FOLDER = 0o644, 0o755  # where a zip says nothing
UNIX = 3
SKIPPED = frozenset(("__pycache__", ".git", ".hg", ".svn"))  # of a function's folder: never deployed


class Refused(ValueError):
    """A zip that cannot be unpacked, or that would lead out of its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry of a zip, checked."""

    path: str
    info: zipfile.ZipInfo
    mode: int
    link: str = ""  # where a symbolic link leads


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a zip holds: the last entry of each path, links at the end so that nothing is written through one."""

    folders: dict[str, int] = field(default_factory=dict)  # path -> mode
    files: list[Member] = field(default_factory=list)
    links: list[Member] = field(default_factory=list)


def content(archive: zipfile.ZipFile) -> Content:
    """Raises Refused."""
    found: dict[str, Member] = {}
    folders: dict[str, int] = {}
    if sum(info.file_size for info in archive.infolist()) > targets.limit("unzipped_bytes"):
        raise Refused("it is larger than Lambda unpacks")
    for info in archive.infolist():
        path = _inside(info.filename)
        unix = info.external_attr >> 16 if info.create_system == UNIX else 0
        if not path:
            continue
        if info.is_dir():
            folders[path] = stat.S_IMODE(unix) & 0o777 or FOLDER
        elif stat.S_ISLNK(unix):
            found[path] = Member(path=path, info=info, mode=FILE, link=_target(archive, info, path))
        elif unix and stat.S_IFMT(unix) not in (0, stat.S_IFREG):
            raise Refused(f"{path!r} is a device or a pipe")
        else:
            found[path] = Member(path=path, info=info, mode=stat.S_IMODE(unix) & 0o777 or FILE)
    for path in [*found, *folders]:
        for parent in map(str, PurePosixPath(path).parents[:-1]):
            if parent in found:
                raise Refused(f"{path!r} is below a file")
            folders.setdefault(parent, FOLDER)
    both = sorted(found.keys() & folders.keys())
    if both:
        raise Refused(f"{both[0]!r} is a file and a folder")
    files = [member for member in found.values() if not member.link]
    return Content(folders=folders, files=files, links=[member for member in found.values() if member.link])


def _inside(name: str) -> str:
    """The path without empty parts."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise Refused(f"{name!r} leads out of /opt")
    return "/".join(parts)


def _target(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> str:
    link = os.fsdecode(read(archive, info)) if info.file_size < 4096 else ""
    leads = os.path.normpath(PurePosixPath("/opt", path).parent / link)
    if not link or "\0" in link or not f"{leads}/".startswith("/opt/"):
        raise Refused(f"the symbolic link {path!r} leads out of /opt")
    return link


@contextmanager
def _readable(info: zipfile.ZipInfo) -> Iterator[None]:
    """Turns what a damaged or strange entry raises into Refused."""
    if info.flag_bits & 1:
        raise Refused(f"{info.filename!r} is encrypted")
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError) as error:
        raise Refused(f"{info.filename!r} cannot be unpacked: {error}") from None


def read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Raises Refused for what cannot be unpacked."""
    with _readable(info):
        return archive.read(info)


def opened(zip_file: Path) -> zipfile.ZipFile:
    """Raises Refused for what is no zip."""
    try:
        return zipfile.ZipFile(zip_file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Refused(f"it is no whole zip: {error}") from None


def unpack(zip_file: Path, into: Path, *, owned: bool) -> dict[str, int]:
    """Unpack to a new folder; the modes that its folders are to have in the end.

    `owned`: whoever imports will be the files' owner, who then gets the rights of others, as in Lambda.
    """
    try:
        with disk_errors(into), opened(zip_file) as archive:
            folders = _unpack(archive, into, owned)
    except OSError as error:  # a name that the file system does not take
        raise Refused(f"it cannot be unpacked here: {error.strerror}") from None
    return {path: as_other(mode) if owned else mode for path, mode in folders.items()}


def _unpack(archive: zipfile.ZipFile, into: Path, owned: bool) -> dict[str, int]:
    found = content(archive)
    into.mkdir()
    for path in sorted(found.folders):
        (into / path).mkdir()
    for member in found.files:
        place = into / member.path
        place.write_bytes(read(archive, member.info))
        place.chmod(as_other(member.mode) if owned else member.mode)
    for member in found.links:
        (into / member.path).symlink_to(member.link)
    return found.folders


def as_other(mode: int) -> int:
    """The mode that gives its owner what `mode` gives to others."""
    return (mode & 7) * 0o111


def has_elf(zip_file: Path) -> bool:
    """Whether any file in it is for a machine."""
    with opened(zip_file) as archive:
        for member in content(archive).files:
            with _readable(member.info), archive.open(member.info) as file:
                if file.read(4) == b"\x7fELF":
                    return True
    return False


def source_files(folder: Path | None) -> Iterator[tuple[str, Path, int]]:
    """(path in /var/task, file, mode) of a function's own folder, sorted; modes as a good package has them."""
    for home, folders, names in os.walk(folder) if folder else ():
        folders[:] = sorted(set(folders) - SKIPPED)
        for name in sorted(names):
            file = Path(home, name)
            if file.is_file():
                executable = file.stat().st_mode & 0o100
                yield file.relative_to(str(folder)).as_posix(), file, 0o755 if executable else 0o644


def read_source(file: Path) -> bytes:
    """Raises ContentError for a file that may not be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        why = error.strerror or str(error)
        raise ContentError("cannot be read", where=str(file), why=why, cure="check its owner and mode") from None


def copy_source(folder: Path | None, into: Path) -> None:
    """Raises ContentError for a file that may not be read."""
    into.mkdir()
    for path, file, mode in source_files(folder):
        place = into / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(read_source(file))
        place.chmod(mode)
    for home, _, _ in os.walk(into):
        Path(home).chmod(0o755)
