"""Deterministic zips: read back by other programs, equal whatever made them, and conflicts told."""

from __future__ import annotations

import hashlib
import io
import random
import shutil
import stat
import subprocess
import zipfile
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import archive
from layerkit.errors import ContentError
from layerkit.model import PartRecord, TreeFile


def pack(folder: Path, label: str, files: Mapping[str, bytes], workers: int = 1) -> archive.BuiltPart:
    path = folder / f"{hashlib.sha256(label.encode()).hexdigest()[:8]}.zip"
    trees = [TreeFile(path=name, content=files[name]) for name in sorted(files)]
    with ThreadPoolExecutor(workers) as pool, path.open("wb") as to:
        archive.pack_part(trees, PartRecord(label=label, uncompiled=("x.py",)), pool, to)
    part = archive.read_part(path)
    assert part
    return part


def layer(*parts: archive.BuiltPart) -> bytes:
    stream = io.BytesIO()
    archive.write_layer(archive.union(parts), stream)
    return stream.getvalue()


FILES = {
    "web/__init__.py": b"",
    "web/app.py": b"x = 1\n" * 50,
    "web/é.txt": "é".encode(),
    "web/_x.so": b"\x7fELF" + bytes(500),
}


def test_other_programs_read_it(tmp_path: Path) -> None:
    data = layer(pack(tmp_path, "web", FILES))
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        assert {i.filename: found.read(i) for i in found.infolist()} == {f"python/{k}": v for k, v in FILES.items()}
    (tmp_path / "layer.zip").write_bytes(data)
    if shutil.which("unzip"):
        done = subprocess.run(["unzip", "-tq", tmp_path / "layer.zip"], capture_output=True, text=True, check=True)
        assert "No errors detected" in done.stdout


def test_entries_are_sorted_dated_1980_and_have_unix_modes(tmp_path: Path) -> None:
    script = {"bin/tool": b"#!/bin/sh\n"}
    data = layer(pack(tmp_path, "web", FILES), pack(tmp_path, "tool", script))
    infos = zipfile.ZipFile(io.BytesIO(data)).infolist()
    assert [i.filename for i in infos] == sorted((f"python/{name}" for name in {**FILES, **script}), key=str.encode)
    assert {i.date_time for i in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {i.create_system for i in infos} == {3}
    modes = {i.filename: stat.filemode(i.external_attr >> 16) for i in infos}
    assert modes["python/web/_x.so"] == modes["python/bin/tool"] == "-rwxr-xr-x"
    assert modes["python/web/app.py"] == "-rw-r--r--"


def test_what_does_not_shrink_is_stored(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(1000)
    infos = zipfile.ZipFile(io.BytesIO(layer(pack(tmp_path, "a", {"noise": noise, "zeros": bytes(1000)})))).infolist()
    assert [i.compress_type for i in infos] == [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]


def test_the_compressor_is_the_pinned_one() -> None:
    """A zip's hash depends on it: another libdeflate is a change that must raise plan.FORMAT."""
    text = b"".join(b"line %d of something that repeats\n" % (n % 97) for n in range(2000))
    packed = archive.compress("x", text)
    assert (
        hashlib.sha256(packed.data).hexdigest() == "22d5c577e37c3231f98785673cd2b8c57727a0624e0e4252e3a1e8eca48f5144"
    )


def test_the_answer_is_the_digest_of_the_file(tmp_path: Path) -> None:
    stream = io.BytesIO()
    digest = archive.write_layer(archive.union([pack(tmp_path, "web", FILES)]), stream)
    assert digest == hashlib.sha256(stream.getvalue()).hexdigest()


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
    lambda name: name not in (".", "..")
)
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=3).map("/".join), st.binary(max_size=300), min_size=1, max_size=8
)


@given(trees, st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_tree_comes_back_and_any_order_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes], chance: random.Random, workers: int
) -> None:
    folder = tmp_path_factory.mktemp("trees")
    paths = {f"{path}.x" for path in tree}  # a file's name is then never a folder's
    files = {
        f"{path}.x": content
        for path, content in tree.items()
        if not any(f"{path}.x".startswith(f"{p}/") for p in paths)
    }
    shuffled = list(files)
    chance.shuffle(shuffled)
    cut = len(shuffled) // 2
    halves = [dict.fromkeys(shuffled[:cut]), dict.fromkeys(shuffled[cut:])]
    parts = [pack(folder, f"part{n}", {k: files[k] for k in half}, workers) for n, half in enumerate(halves)]
    data = layer(*parts)
    assert layer(*reversed(parts)) == data == layer(pack(folder, "whole", files))
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert {i.orig_filename.removeprefix("python/"): found.read(i) for i in found.infolist()} == files


# --- parts --------------------------------------------------------------------------------------------------


def test_a_part_comes_back_with_its_record(tmp_path: Path) -> None:
    part = pack(tmp_path, "web 1.0", FILES)
    assert part.record == PartRecord(label="web 1.0", uncompiled=("x.py",))
    assert [entry.path for entry in part.entries] == sorted(f"python/{name}" for name in FILES)


def test_a_part_that_is_not_whole_is_none(tmp_path: Path) -> None:
    """Every truncation, and every changed byte out of a sample, is seen."""
    part = pack(tmp_path, "web 1.0", FILES)
    good = part.file.read_bytes()
    chance = random.Random(7)
    for length in [0, 1, 21, *chance.sample(range(len(good)), 60)]:
        part.file.write_bytes(good[:length])
        assert archive.read_part(part.file) is None
    for position in [0, len(good) - 1, *chance.sample(range(len(good)), 200)]:
        part.file.write_bytes(good[:position] + bytes([good[position] ^ 0x41]) + good[position + 1 :])
        assert archive.read_part(part.file) is None, position
    part.file.unlink()
    assert archive.read_part(part.file) is None


# --- union --------------------------------------------------------------------------------------------------


def test_equal_files_of_two_parts_are_packed_once(tmp_path: Path) -> None:
    parts = [pack(tmp_path, label, {"ns/__init__.py": b"", f"ns/{label}.py": b"x"}) for label in ("a", "b")]
    assert [entry.path for entry in archive.union(parts)] == [
        "python/ns/__init__.py",
        "python/ns/a.py",
        "python/ns/b.py",
    ]


def test_different_files_of_one_path_are_an_error_that_names_both(tmp_path: Path) -> None:
    parts = [
        pack(tmp_path, "web 1.0", {"util.py": b"1", "LICENSE": b"MIT"}),
        pack(tmp_path, "door 2.0", {"util.py": b"2", "LICENSE": b"BSD"}),
    ]
    with pytest.raises(ContentError, match="own the same path") as caught:
        archive.union(parts)
    assert caught.value.why.splitlines() == [
        "python/LICENSE is in web 1.0 and, with other bytes, in door 2.0",
        "python/util.py is in web 1.0 and, with other bytes, in door 2.0",
    ]


def test_same_size_and_other_bytes_is_seen(tmp_path: Path) -> None:
    with pytest.raises(ContentError):
        archive.union([pack(tmp_path, "a", {"x": b"1"}), pack(tmp_path, "b", {"x": b"2"})])


def test_an_equal_checksum_is_not_taken_for_equal_bytes(tmp_path: Path) -> None:
    """Two texts of one length and one CRC-32 (the classic pair), stored as they are."""
    one, other = b"plumless", b"buckeroo"
    assert zlib.crc32(one) == zlib.crc32(other)
    with pytest.raises(ContentError, match="own the same path"):
        archive.union([pack(tmp_path, "a", {"x": one}), pack(tmp_path, "b", {"x": other})])


def test_a_file_where_another_part_has_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ContentError) as caught:
        archive.union([pack(tmp_path, "a", {"x": b"1"}), pack(tmp_path, "b", {"x/y/z": b"2"})])
    assert caught.value.why == "python/x is a file in a and a folder in b"


def test_more_files_than_a_zip_can_count(tmp_path: Path) -> None:
    entries = [archive.compress(f"python/{n}", b"") for n in range(archive.MOST_ENTRIES + 1)]
    with pytest.raises(ContentError, match="65536 files"):
        archive.write_layer(entries, io.BytesIO())
