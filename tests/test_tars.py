"""Files into a tar and out of one, whatever the engine puts there."""

from __future__ import annotations

import io
import os
import stat
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import tars
from layerkit.errors import ContentError, EngineError, MachineError

NAMES = st.lists(st.text("aé _-.5", min_size=1, max_size=60).filter(lambda n: n.strip(".")), min_size=1, max_size=5)


def in_chunks(content: bytes, size: int) -> Iterator[bytes]:
    yield from (content[at : at + size] for at in range(0, len(content), size))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def archive(*members: tuple[str, bytes, bytes]) -> bytes:
    """A tar of (name, type, content, or where a link leads)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(content)
            else:
                member.linkname = content.decode()
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@given(
    st.dictionaries(NAMES.map("/".join), st.binary(max_size=2000), max_size=6).filter(
        lambda files: not any(a != b and b.startswith(a + "/") for a in files for b in files)
    ),
    st.integers(min_value=1, max_value=3000),
)
def test_what_was_packed_is_unpacked(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], size: int
) -> None:
    folder = tmp_path_factory.mktemp("tars") / "out"
    tars.unpack(in_chunks(tars.pack({f"top/{name}": content for name, content in files.items()}), size), folder)
    assert (tree(folder) if files else {}) == files


def test_an_empty_chunk_is_not_the_end(tmp_path: Path) -> None:
    packed = tars.pack({"x/a": b"1" * 999})
    tars.unpack([b"", packed[:700], b"", b"", packed[700:], b""], tmp_path / "out")
    assert tree(tmp_path / "out") == {"a": b"1" * 999}


def test_files_of_the_disk_and_long_names(tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(b"from the disk")
    long = "/".join(["folder" * 20] * 3) + "/" + "ü" * 100
    packed = tars.pack({f"x/{long}": tmp_path / "given", "x/empty": b""})
    tars.unpack([packed], tmp_path / "out")
    assert tree(tmp_path / "out") == {long: b"from the disk", "empty": b""}


@pytest.mark.parametrize("mode", [0o600, 0o755])
def test_modes(mode: int) -> None:
    packed = tars.pack({"a": b"1", "b/c": b"2"}, mode) if mode != 0o600 else tars.pack({"a": b"1", "b/c": b"2"})
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert [(member.name, member.mode, member.uid, member.uname) for member in tar] == [
            ("a", mode, 0, ""),
            ("b/c", mode, 0, ""),
        ]


def test_modes_and_owners_stay_behind(tmp_path: Path) -> None:
    os.umask(mask := os.umask(0o022))
    tars.unpack([tars.pack({"x/program": b"#!"}, 0o4755)], tmp_path / "out")
    found = (tmp_path / "out/program").stat()
    assert stat.S_IMODE(found.st_mode) == 0o666 & ~mask
    assert found.st_uid == os.getuid()


def test_the_first_folder_becomes_the_one_that_is_wanted(tmp_path: Path) -> None:
    packed = archive(("name/", tarfile.DIRTYPE, b""), ("name/empty/", tarfile.DIRTYPE, b""))
    tars.unpack([packed], tmp_path / "out")
    assert (tmp_path / "out/empty").is_dir()
    tars.unpack([packed], tmp_path / "out")  # what is there is no obstacle


@pytest.mark.parametrize("name", ["x/../../evil", "x/..", "x/a/../b", "/x/../evil"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE])
def test_a_name_that_leads_out(tmp_path: Path, name: str, kind: bytes) -> None:
    with pytest.raises(ContentError) as caught:
        tars.unpack([archive((name, kind, b""))], tmp_path / "out")
    assert caught.value.what == f"the container holds {name!r}, which leads out of its folder"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["/etc/evil", "//etc/evil", "../evil", "./x", "..", ".", "/"])
def test_other_odd_names_stay_inside(tmp_path: Path, name: str) -> None:
    kind = tarfile.REGTYPE if name.endswith(("evil", "x")) else tarfile.DIRTYPE
    tars.unpack([archive((name, kind, b"content"))], tmp_path / "in/out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["out"]


def test_links_and_devices_stay_behind(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("kept")
    kinds = {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE}
    members = [(f"x/{name}", kind, str(tmp_path / "secret").encode()) for name, kind in kinds.items()]
    packed = archive(*members, ("x/file", tarfile.REGTYPE, b"1"))
    tars.unpack([packed], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file"]


def test_what_stands_below_a_link_is_a_file_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    link = ("x/link", tarfile.SYMTYPE, str(tmp_path / "outside").encode())
    tars.unpack([archive(link, ("x/link/file", tarfile.REGTYPE, b"1"))], tmp_path / "out")
    assert list((tmp_path / "outside").iterdir()) == []
    assert tree(tmp_path / "out") == {"link/file": b"1"}


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(MachineError) as caught:
        tars.unpack([tars.pack({"x/a": b"1"})], tmp_path / "out")
    assert caught.value.where == str(tmp_path / "out")


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that even root may not write in: Linux's /sys")
def test_a_folder_that_may_not_be_written() -> None:
    with pytest.raises(MachineError, match=r"may not be written|read-only file system"):
        tars.unpack([tars.pack({"x/a": b"1"})], Path("/sys/layerkit"))


@pytest.mark.parametrize("chunks", [[], [b""], [b"no tar" * 200], [tars.pack({"x/a": b"1" * 999})[:700]]])
def test_what_is_no_tar(tmp_path: Path, chunks: list[bytes]) -> None:
    with pytest.raises(EngineError, match="damaged"):
        tars.unpack(chunks, tmp_path / "out")


def test_what_the_stream_raises_comes_through(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield tars.pack({"x/a": b"1" * 9999})[:5000]
        raise EngineError("the container engine went away")

    with pytest.raises(EngineError, match="went away"):
        tars.unpack(chunks(), tmp_path / "out")
