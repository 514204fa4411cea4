"""Files into a tar and out of one, as container engines take and give them."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from layerkit.errors import ContentError, EngineError
from layerkit.files import disk_errors


def pack(files: Mapping[str, bytes | Path], mode: int = 0o600) -> bytes:
    """A tar of these files by name; nobody but their owner may read them unless `mode` says so."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, given in files.items():
            content = given.read_bytes() if isinstance(given, Path) else given
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), mode, int(time.time())
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def unpack(chunks: Iterable[bytes], into: Path) -> None:
    """Write the files of a tar, whose first folder becomes `into`.

    Owners and modes stay behind; so do links and devices, which no distribution has.  Raises ContentError for a name
    that leads out of `into`, MachineError for a full disk, EngineError for what is no tar.
    """
    try:
        _unpack(chunks, into)
    except tarfile.TarError as error:
        raise EngineError("what the container engine gives is damaged", why=str(error), cure="run it again") from None


def _unpack(chunks: Iterable[bytes], into: Path) -> None:
    with tarfile.open(fileobj=io.BufferedReader(_Chunks(chunks), 1 << 20), mode="r|") as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts[1:]
            if ".." in parts:
                raise ContentError(f"the container holds {member.name!r}, which leads out of its folder")
            to = into.joinpath(*parts)
            with disk_errors(into):
                if member.isdir():
                    to.mkdir(parents=True, exist_ok=True)
                elif member.isfile() and (source := archive.extractfile(member)):
                    to.parent.mkdir(parents=True, exist_ok=True)
                    to.write_bytes(source.read())


class _Chunks(io.RawIOBase):
    """A stream of chunks as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = iter(chunks)
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self.rest:  # an empty chunk is not the end
            chunk = next(self.chunks, None)
            if chunk is None:
                return 0
            self.rest = memoryview(chunk)
        count = min(len(buffer), len(self.rest))
        buffer[:count] = self.rest[:count]
        self.rest = self.rest[count:]
        return count


def add(tar: tarfile.TarFile, name: str, data: bytes | None, mode: int, link: str = "", seconds: int = 0) -> None:
    """A file; without data a folder, or a symbolic link."""
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = mode, seconds
    if data is None:
        member.type = tarfile.SYMTYPE if link else tarfile.DIRTYPE
        member.linkname = link
        tar.addfile(member)
    else:
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
