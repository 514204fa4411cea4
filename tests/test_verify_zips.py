"""Zips as they are listed and unpacked: held against `zipfile` where they are whole, and each kind of damage told."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from layerkit.archive import CENTRAL, END, LOCAL
from layerkit.verify.facts import Entry, Kind, ZipFacts
from layerkit.verify.reading import directory, zips
from layerzips import DOS, Item, file, folder, link, zipped

LIMIT = 262_144_000  # AWS's, bytes unpacked
MOST = 150_000_000  # bytes of memory that reading any layer may take
Read = Callable[..., ZipFacts]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Facts of a zip of these entries, or with these bytes."""

    def facts(*items: Item | bytes) -> ZipFacts:
        data = b"".join(one for one in items if isinstance(one, bytes))
        entries = [one for one in items if isinstance(one, Item)]
        (tmp_path / "layer.zip").write_bytes(zipped(entries) if entries else data)
        return zips.read(tmp_path / "layer.zip")

    return facts


def only(facts: ZipFacts) -> Entry:
    assert facts.damage == ()
    assert len(facts.entries) == 1
    return facts.entries[0]


def damaged(facts: ZipFacts) -> str:
    assert len(facts.damage) == 1, facts.damage
    return facts.damage[0]


# Whole zips


def test_a_layer(read: Read) -> None:
    data = zipped([folder("python"), file("python/app.py", "x = 1\n"), file("python/run", "#!/bin/sh\n", 0o100755)])
    found = read(data)
    assert (found.label, found.size, found.sha256) == ("layer.zip", len(data), hashlib.sha256(data).hexdigest())
    assert (found.damage, found.zip64, found.unpacked_size) == ((), False, 16)
    assert [(one.path, one.kind, one.size, one.mode, one.unread) for one in found.entries] == [
        ("python", Kind.FOLDER, 0, 0o755, ""),
        ("python/app.py", Kind.FILE, 6, 0o644, ""),
        ("python/run", Kind.FILE, 10, 0o755, ""),
    ]
    assert [one.script for one in found.entries] == [False, False, True]
    assert [one.path for one in found.files] == ["python/app.py", "python/run"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [False, True])
def test_zipfile_sees_the_same(read: Read, method: int, streamed: bool) -> None:
    """Made by zipfile, to a file and to a pipe: sizes then stand behind the data."""
    made = io.BytesIO()
    with zipfile.ZipFile(Pipe(made) if streamed else made, "w", method) as archive:
        for index, path in enumerate(["python/a.py", "python/é/b.py", "lib/c.so", "empty", "large.txt"]):
            info = zipfile.ZipInfo(path, (2026, 1, 1 + index, 12, 30, 2 * index))
            info.compress_type, info.external_attr = method, (0o100600 + index) << 16
            archive.writestr(info, os.urandom(index) * 1000 if path != "large.txt" else b"text\n" * 500_000)
        archive.mkdir("python/folder", 0o711)
    same_as_zipfile(read(made.getvalue()), made.getvalue())


class Pipe(io.RawIOBase):
    """What cannot be rewound."""

    def __init__(self, to: io.BytesIO) -> None:
        self.to = to

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        return self.to.write(data)


def same_as_zipfile(found: ZipFacts, data: bytes) -> None:
    assert found.damage == ()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        for info, entry in zip(archive.infolist(), found.entries, strict=True):
            assert entry.path == info.filename.rstrip("/")
            assert (entry.kind is Kind.FOLDER) == info.is_dir()
            assert (entry.size, entry.packed_size, entry.crc) == (info.file_size, info.compress_size, info.CRC)
            assert (entry.mode, entry.method) == (info.external_attr >> 16 & 0o7777, info.compress_type)
            assert time.gmtime(entry.modified)[:6] == info.date_time
            assert not entry.unread


def test_real_code_as_zipfile_sees_it(read: Read) -> None:
    data = standard_library()
    found = read(data)
    same_as_zipfile(found, data)
    assert len(found.entries) > 60
    assert found.unpacked_size > 1_000_000


def standard_library() -> bytes:
    """A layer of real sources and their bytecode: of this Python's own modules."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(Path(os.__file__).parent.glob("[a-s]*.py")):
            archive.write(path, f"python/{path.name}")
    return made.getvalue()


@pytest.mark.parametrize(
    "command", ["zip -qr {} python", "zip -qr -0 {} python", "zip -qr - python > {}", "jar cMf {} python"]
)
def test_zips_of_other_programs(tmp_path: Path, command: str) -> None:
    if not shutil.which(command.split()[0]):
        pytest.skip(f"no {command.split()[0]} on this machine")
    (tmp_path / "python/web").mkdir(parents=True)
    (tmp_path / "python/web/app.py").write_text("x = 1\n" * 100)
    (tmp_path / "python/é").write_bytes(os.urandom(5000))
    (tmp_path / "python/empty").touch()
    subprocess.run(command.format("layer.zip"), shell=True, check=True, cwd=tmp_path)
    found = zips.read(tmp_path / "layer.zip")
    assert found.damage == ()
    assert {(one.path, one.kind, one.size, one.unread) for one in found.entries} == {
        ("python", Kind.FOLDER, 0, ""),
        ("python/web", Kind.FOLDER, 0, ""),
        ("python/web/app.py", Kind.FILE, 600, ""),
        ("python/é", Kind.FILE, 5000, ""),
        ("python/empty", Kind.FILE, 0, ""),
    }


def test_no_entries(read: Read) -> None:
    assert read(zipped([])).damage == ()
    assert read(zipped([])).entries == ()
    assert read(zipped([], comment=b"nothing")).damage == ()


def test_comments(read: Read) -> None:
    for comment in (b"", b"hello", b"x" * 0xFFFF):
        assert only(read(zipped([file("a")], comment=comment))).path == "a"


def test_order_is_the_directory_s(read: Read) -> None:
    """Bytecode is read before sources, and large files last."""
    names = ["b.py", "large.bin", "a.pyc", "z", "c.py"]
    found = read(*(file(name, bytes(3_000_000 if name == "large.bin" else 20)) for name in names))
    assert [one.path for one in found.entries] == names
    assert {one.unread for one in found.entries} == {""}


def test_files_of_all_sizes(read: Read) -> None:
    """Around the sizes where they are unpacked another way."""
    sizes = [0, 1, zips.SMALL - 1, zips.SMALL, zips.SMALL + 1, 2 * zips.SMALL, 5 * zips.SMALL + 7, zips.HELD]
    for method in (0, 8):
        found = read(*(replace(file(f"{size}", bytes(size)), method=method) for size in sizes))
        assert found.damage == ()
        assert [(one.size, one.unread) for one in found.entries] == [(size, "") for size in sizes]


def test_zip64(read: Read) -> None:
    plain, wide = file("a"), replace(file("b"), zip64=True)
    assert not read(plain).zip64
    found = read(plain, wide)
    assert (found.damage, found.zip64) == ((), True)
    assert [(one.zip64, one.size, one.packed_size, one.unread) for one in found.entries] == [
        (False, 6, 8, ""),
        (True, 6, 8, ""),
    ]
    found = read(zipped([plain], zip64=True))
    assert (found.damage, found.zip64, only(found).zip64) == ((), True, False)


def test_zip64_end_records_that_agree(read: Read) -> None:
    """The plain one may say its numbers too."""
    data = zipped([file("a")], zip64=True)
    start, end = data.index(b"PK\1\2"), data.index(b"PK\6\6")
    found = read(data[: -END.size] + END.pack(b"PK\5\6", 0, 0, 1, 1, end - start, start, 0))
    assert (found.damage, found.zip64, only(found).path) == ((), True, "a")


def test_zip64_of_zipfile(read: Read) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive, archive.open("a", "w", force_zip64=True) as to:
        to.write(b"text")
    assert only(read(made.getvalue())).size == 4


# What the directory says of an entry


@pytest.mark.parametrize(
    ("name", "path", "raw"),
    [
        ("python/é.py".encode(), "python/é.py", b""),
        (b"caf\x82.py", r"caf\x82.py", b"caf\x82.py"),  # of DOS; as are names with the bytes of UTF-16
        ("é".encode() + b"\xff", r"\xc3\xa9\xff", "é".encode() + b"\xff"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80", b"\xed\xa0\x80"),  # a lone surrogate
        (b"a\nb\x1b[31m\x7f\0", r"a\x0ab\x1b[31m\x7f\x00", b""),
        ("a\x85é".encode(), r"a\x85\xe9", b""),
        ("\u202egpj.py\u2028😀".encode(), r"\u202egpj.py\u2028\U0001f600", b""),
        (b"python\\app.py", r"python\app.py", b""),
        (b"/etc/passwd", "/etc/passwd", b""),
        (b"../../a", "../../a", b""),
        (b"", "", b""),
        (b"/", "/", b""),
        (b"x" * 0xFFFF, "x" * 0xFFFF, b""),
    ],
)
def test_names(read: Read, name: bytes, path: str, raw: bytes) -> None:
    found = only(read(replace(file(name), flags=0)))
    assert (found.path, found.raw_name, found.unread) == (path, raw, "")
    assert found.path.isprintable()
    assert only(read(replace(file(name), flags=0x800))) == found


@pytest.mark.parametrize(
    ("item", "kind", "mode"),
    [
        (file("a", "", 0o100600), Kind.FILE, 0o600),
        (file("a", "", 0o104755), Kind.FILE, 0o4755),
        (file("a", "", 0o644), Kind.FILE, 0o644),  # no type: zipfile's, of ZipInfo
        (file("a", "", 0), Kind.FILE, 0),
        (folder("a"), Kind.FOLDER, 0o755),
        (file("a/", "", 0), Kind.FOLDER, 0),
        (replace(folder("a"), path="a"), Kind.FOLDER, 0o755),
        (link("a", "b"), Kind.LINK, 0o777),
        (file("a", "", 0o010644), Kind.SPECIAL, 0o644),  # a pipe
        (file("a", "", 0o020644), Kind.SPECIAL, 0o644),  # a device
        (file("a", "", 0o060644), Kind.SPECIAL, 0o644),
        (file("a", "", 0o140644), Kind.SPECIAL, 0o644),  # a socket
        (replace(file("a"), system=DOS), Kind.FILE, None),
        (replace(file("a/", ""), system=DOS), Kind.FOLDER, None),
    ],
)
def test_kinds_and_modes(read: Read, item: Item, kind: Kind, mode: int | None) -> None:
    found = only(read(item))
    assert (found.path, found.kind, found.mode) == ("a", kind, mode)


def test_the_mode_of_macos(read: Read) -> None:
    data = bytearray(zipped([file("a", "", 0o100640)]))
    at = data.index(b"PK\1\2")
    data[at + 5] = 19
    assert only(read(bytes(data))).mode == 0o640


def test_a_folder_of_dos_without_a_slash(read: Read) -> None:
    data = bytearray(zipped([replace(file("a", ""), system=DOS)]))
    at = data.index(b"PK\1\2")
    data[at + 38] = 0x10
    assert only(read(bytes(data))).kind is Kind.FOLDER


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ((0x0021, 0), 315_532_800),  # 1980-01-01
        ((0x5A21, 12 << 11), 1_735_732_800),  # 2025-01-01 12:00
        ((46 << 9 | 2 << 5 | 28, 23 << 11 | 59 << 5 | 29), 1_772_323_198),  # 2026-02-28 23:59:58
        ((46 << 9 | 2 << 5 | 29, 0), 0),
        ((0, 0), 0),
        ((13 << 5 | 1, 0), 0),
        ((0x0021, 24 << 11), 0),
        ((0x0021, 60 << 5), 0),
        ((0x0021, 30), 0),
        ((0xFFFF, 0xFFFF), 0),
        ((127 << 9 | 12 << 5 | 31, 0), 4_354_732_800),  # 2107
    ],
)
def test_times(read: Read, date: tuple[int, int], seconds: int) -> None:
    assert only(read(replace(file("a"), date=date))).modified == seconds


# Damage of the whole


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is no zip: the file is empty"),
        (b"\x1f\x8b\x08", "it is no zip: it neither begins nor ends as one"),
        (b"PK", "it is no zip: it neither begins nor ends as one"),
        (b"PK\5\6" + bytes(17), "it is no zip: it neither begins nor ends as one"),  # one byte is missing
        (zipped([file("a")])[:-1], "it is cut off: it begins as a zip, and has no end record"),
        (zipped([file("a")])[:-60], "it is cut off: it begins as a zip, and has no end record"),
        (zipped([file("a")], comment=b"hello")[:-2], "it is cut off: the last 2 bytes of its comment are missing"),
        (zipped([file("a")]) + b"<html>", "6 bytes stand behind its end"),
        (zipped([file("a")]) + bytes(70_000), "it is cut off: it begins as a zip, and has no end record"),
        (
            b"#!/bin/sh\n" + zipped([file("a")]),
            "10 bytes stand before it, so that all its offsets are wrong by as many",
        ),
        (zipped([file("a")], before=b"#!/bin/sh\n"), "10 bytes stand before its first entry"),
        (zipped([file("a")])[5:], "it is cut off: 5 bytes of it are missing"),
        (zipped([file("a")], count=2), "its end record counts 2 entries, and its directory lists 1"),
        (zipped([file("a")], count=0), "its end record counts 0 entries, and its directory lists 1"),
        (zipped([file("a"), file("b")], count=1), "its end record counts 1 entries, and its directory lists 2"),
        (zipped([file("a")], zip64=True, count=3), "its end record counts 3 entries, and its directory lists 1"),
    ],
)
def test_ends(read: Read, data: bytes, told: str) -> None:
    assert read(data).damage[0] == told


def test_what_is_cut_off_or_shifted_is_still_told(read: Read) -> None:
    for data in (
        zipped([file("a"), file("b")]) + b"behind",
        b"before" + zipped([file("a"), file("b")]),
        zipped([file("a"), file("b")], before=b"before"),
        zipped([file("a"), file("b")], count=9),
    ):
        found = read(data)
        assert [(one.path, one.unread) for one in found.entries] == [("a", ""), ("b", "")]
        assert len(found.damage) == 1
    front = read(zipped([file("a"), file("b")])[5:])
    assert [(one.path, one.unread) for one in front.entries] == [
        ("a", "the directory points to a place where no entry begins"),
        ("b", ""),
    ]


def test_every_truncation_is_told(read: Read) -> None:
    data = zipped([file("python/a.py"), file("python/b.py")], comment=b"made by hand")
    for length in range(1, len(data)):
        assert read(data[:length]).damage, length


def test_two_end_records(read: Read) -> None:
    """The comment of the first is a zip of its own: readers that look for the last record, or the first, differ."""
    inner = zipped([file("other")])
    outer = zipped([file("a")], comment=inner)
    found = read(outer)
    assert "it has two end records, so that two readers would read two zips" in found.damage
    looks_like_one = zipped([file("a")], comment=b"PK\5\6" + b"x" * 30)
    assert "it has two end records, so that two readers would read two zips" in read(looks_like_one).damage


def test_a_zip_in_a_zip_is_no_end(read: Read) -> None:
    found = read(replace(file("inner.zip", zipped([file("a")])), method=0))
    assert only(found).unread == ""


def test_parts_of_a_zip_in_several_files(read: Read) -> None:
    data = zipped([file("a")])
    end = data.index(b"PK\5\6")
    for offset in (4, 6):
        changed = bytearray(data)
        changed[end + offset] = 1
        assert damaged(read(bytes(changed))) == "it is one part of a zip in several files"
    elsewhere = bytearray(data)
    elsewhere[data.index(b"PK\1\2") + 34] = 1
    assert damaged(read(bytes(elsewhere))) == "a: the directory says that it is in another file of the zip"
    changed = bytearray(data)
    changed[end + 8] = 0
    assert damaged(read(bytes(changed))) == "it is one part of a zip in several files"


def test_zip64_end_records_that_lie(read: Read) -> None:
    data = zipped([file("a")], zip64=True)
    record, locator = data.index(b"PK\6\6"), data.index(b"PK\6\7")

    def changed(at: int, value: bytes) -> ZipFacts:
        return read(data[:at] + value + data[at + len(value) :])

    for told in (changed(locator + 8, b"\1"), changed(locator + 8, b"\xff" * 8)):
        assert told.damage == ("its zip64 end record is not where its locator says, right before it",)
        assert [one.path for one in told.entries] == ["a"]
    assert "its zip64 end record is not where its locator says" in changed(record, b"PK\7\7").damage
    end = data.index(b"PK\5\6")
    for at, value in ((end + 10, b"\5\0"), (end + 12, b"\5\0\0\0"), (end + 16, b"\5\0\0\0")):
        told = changed(at, value)
        assert told.damage == ("its two end records differ, so that two readers would read two zips",)
        assert [(one.path, one.unread) for one in told.entries] == [("a", "")]
    for at in (locator + 4, record + 16, record + 20):
        assert changed(at, b"\1").damage == ("it is one part of a zip in several files",)
    assert changed(locator + 16, b"\2").damage == ("it is one part of a zip in several files",)
    for at in (record + 24, record + 32, record + 40, record + 48):
        assert changed(at, b"\xff" * 8).damage


def test_directories_that_lie(read: Read) -> None:
    data = zipped([file("a"), file("b")])
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    second = data.index(b"PK\1\2", start + 1)

    def changed(at: int, value: bytes) -> str:
        return read(data[:at] + value + data[at + len(value) :]).damage[0]

    assert changed(start, b"X") == "its directory is damaged: no entry is at its byte 0"
    assert changed(second, b"X") == f"its directory is damaged: no entry is at its byte {second - start}"
    assert changed(second + 28, b"\xff\xff") == "its directory is cut off in its last entry"
    assert changed(end + 12, b"\xff\xff\xff\x7f").startswith("it is cut off: 2,147,483,")
    assert changed(end + 16, b"\xff\xff\xff\x7f").startswith("it is cut off: 2,147,483,")
    cut = data[:second] + data[second : second + 40] + END.pack(b"PK\5\6", 0, 0, 1, 1, second + 40 - start, start, 0)
    assert read(cut).damage == (f"its directory is damaged: no entry is at its byte {second - start}",)
    gap = data[:end] + b"gap" + data[end:]
    assert damaged(read(gap)) == "3 bytes stand between its directory and its end"
    short = data[: end + 12] + struct.pack("<L", second - start) + data[end + 16 :]
    assert read(short).damage[0] == f"{end - second} bytes stand between its directory and its end"


def test_more_entries_than_are_read() -> None:
    one = CENTRAL.pack(b"PK\1\2", 20, 20, *[0] * 7, 1, *[0] * 6) + b"a"
    data = one * 65_536 + END.pack(b"PK\5\6", 0, 0, 0, 0, len(one) * 65_536, 0, 0)
    found = directory.read(lambda size, offset: data[offset : offset + size], len(data))
    assert found.damage == ("its directory lists more than 65,535 entries, and the others were not read",)
    assert len(found.listed) == 65_535


def test_a_directory_that_is_too_large(read: Read) -> None:
    found = read(zipped([file(f"{index:03}" + "x" * 65_000, "") for index in range(260)]))
    assert damaged(found) == "its directory has 16,912,740 bytes, more than the 16,777,216 that are read"
    assert found.entries == ()


# Damage of entries


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (replace(file("a"), flags=1), "it is encrypted"),
        (replace(file("a"), flags=0x40), "it is encrypted"),
        (replace(file("a"), flags=0x2000), "it is encrypted"),
        (replace(file("a"), method=12), "it is packed by method 12"),
        (replace(file("a"), method=99), "it is packed by method 99"),
        (replace(file("a"), crc=0), "its CRC-32 is 8bf6893b, and the zip declares 00000000"),
        (replace(file("a"), crc=0, method=0), "its CRC-32 is 8bf6893b, and the zip declares 00000000"),
        (replace(file("a"), size=5), "it unpacks to more than the 5 bytes that the zip declares"),
        (replace(file("a"), size=0), "it unpacks to more than the 0 bytes that the zip declares"),
        (replace(file("a"), size=7), "it unpacks to 6 bytes, and the zip declares 7"),
        (replace(file("a"), size=LIMIT), "it unpacks to 6 bytes, and the zip declares 262,144,000"),
        (replace(file("a"), size=5, method=0), "it unpacks to more than the 5 bytes that the zip declares"),
        (replace(file("a"), size=7, method=0), "it unpacks to 6 bytes, and the zip declares 7"),
        (replace(file("a"), packed=b"\xff" * 8), "its deflated data is damaged: invalid block type"),
        (replace(file("a"), packed=b"\x4b\x4a"), "its deflated data has no end"),
        (replace(file("a"), packed=b""), "its deflated data has no end"),
        (replace(file("a", ""), packed=b""), "its deflated data has no end"),
        (replace(file("a"), size=2 * LIMIT + 1), "not read: the zip holds more than 524,288,000 bytes unpacked"),
        (link("a", "x" * 4097), "it is a symbolic link of 4,097 bytes"),
        (replace(folder("a"), content=b"x" * 4097), "it is a folder of 4,097 bytes"),
    ],
)
def test_what_cannot_be_read(read: Read, item: Item, told: str) -> None:
    found = read(item, file("b"))
    assert found.damage == ()
    assert (found.entries[0].path, found.entries[0].unread) == ("a", told)
    if "not read" not in told:
        assert found.entries[1].unread == ""
    assert (found.entries[0].script, found.entries[0].text, found.entries[0].leaks) == (False, "", ())


@pytest.mark.parametrize("size", [zips.SMALL + 1, zips.HELD + 1])
def test_damage_in_large_files(read: Read, size: int) -> None:
    """Unpacked in another thread, and streamed."""
    packer = zlib.compressobj(1, wbits=-15)
    content = bytes(size)
    packed = packer.compress(content) + packer.flush()
    whole = replace(file("a", content), packed=packed, crc=zlib.crc32(content))
    assert only(read(whole)).unread == ""
    for item, told in (
        (replace(whole, crc=1), "its CRC-32 is "),
        (replace(whole, size=size - 1), f"it unpacks to more than the {size - 1:,} bytes that the zip declares"),
        (replace(whole, size=size + 1), f"it unpacks to {size:,} bytes, and the zip declares {size + 1:,}"),
        (replace(whole, packed=packed[:-9]), "its deflated data has no end"),
        (replace(whole, packed=b"\xff" * 2000), "its deflated data is damaged: invalid block type"),
    ):
        assert only(read(item)).unread.startswith(told)


def test_bytes_behind_a_deflated_stream_are_not_looked_at(read: Read) -> None:
    """As zipfile and Info-ZIP do."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(b"x = 1\n") + packer.flush() + b"more"
    assert only(read(replace(file("a"), packed=packed))).unread == ""


def test_a_bomb_is_not_unpacked(read: Read) -> None:
    """Neither are entries behind it, though most of these declare more than they have."""
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(bytes(3 << 20)) + packer.flush()
    item = replace(file("0"), packed=packed, crc=0, size=100 << 20)
    found = read(*(replace(item, path=f"{index}") for index in range(20)))
    assert found.unpacked_size == 20 * 100 << 20
    assert [one.unread for one in found.entries] == [
        *["it unpacks to 3,145,728 bytes, and the zip declares 104,857,600"] * 5,
        *["not read: the zip holds more than 524,288,000 bytes unpacked"] * 15,
    ]


def test_a_bomb_unpacks_to_no_more_than_it_declares(tmp_path: Path) -> None:
    """16 GB of zeros."""
    packer = zlib.compressobj(9, wbits=-15)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    bombs = [replace(file(f"{index}"), packed=packed, crc=0, size=1000) for index in range(80)]
    (tmp_path / "layer.zip").write_bytes(zipped(bombs))
    peak, entries, _, told = read_alone(tmp_path / "layer.zip")
    assert (entries, told) == (80, "{'it unpacks to more than the 1,000 bytes that the zip declares'} []")
    assert peak < MOST / 2


@pytest.mark.parametrize("method", [0, 8])
def test_more_packed_bytes_than_are_declared_unpacked(tmp_path: Path, method: int) -> None:
    """They are not held: what a file declares unpacked may be small."""
    item = Item(path="a", method=method, content=b"0123456789", packed=bytes(100_000_000), packed_size=100_000_000)
    (tmp_path / "layer.zip").write_bytes(zipped([item]))
    peak, _, _, told = read_alone(tmp_path / "layer.zip")
    more = "it unpacks to more than the 10 bytes that the zip declares"
    assert told in (f"{{'{more}'}} []", "{'its deflated data is damaged: invalid stored block lengths'} []")
    assert peak < MOST / 2


def test_entries_that_overlap(read: Read) -> None:
    """A better zip bomb: the first entry's data has the second entry in it."""
    quoted = replace(file("a"), method=0, packed=b"", content=b"", size=36 + 8, packed_size=36 + 8)
    found = read(quoted, file("b"), file("c"))
    overlap = "the data overlaps with the entry behind it, or with the directory"
    assert found.damage == (f"a: {overlap}",)
    assert [one.unread for one in found.entries] == [overlap, "", ""]


def test_one_entry_listed_twice(read: Read) -> None:
    overlap = "the data overlaps with the entry behind it, or with the directory"
    found = read(file("a"), replace(file("a"), offset=0), replace(file("a"), offset=0))
    assert f"a and 1 more: {overlap}" in found.damage
    assert sorted(one.unread for one in found.entries) == ["", overlap, overlap]


def test_data_that_runs_into_the_directory(read: Read) -> None:
    found = read(replace(file("a"), packed_size=60))
    assert found.damage == ("a: the data overlaps with the entry behind it, or with the directory",)
    found = read(replace(file("a"), packed_size=6000))
    assert found.damage == ("a: the file ends before the data does",)
    assert found.entries[0].unread == "the file ends before the data does"


@pytest.mark.parametrize("offset", [1, 20, 10_000, 0xFFFFFFFF])
def test_an_entry_that_is_elsewhere(read: Read, offset: int) -> None:
    found = read(file("a"), replace(file("b"), offset=offset))
    assert "b: the directory points to a place where no entry begins" in found.damage
    assert found.entries[1].unread == "the directory points to a place where no entry begins"


def with_header(data: bytes, at: int, value: bytes) -> bytes:
    """With other bytes in the header of the first entry's data."""
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("at", "value", "what"),
    [
        (6, b"\1\0", "flags"),
        (6, b"\x08\0", "flags"),
        (8, b"\0\0", "method"),
        (14, b"\0\0\0\0", "CRC-32"),
        (18, b"\1\0\0\0", "packed size"),
        (22, b"\1\0\0\0", "size"),
        (22, b"\xff\xff\xff\xff", "size"),
        (14, bytes(12), "size and another packed size and another CRC-32"),
        (30, b"b", "name"),
    ],
)
def test_headers_that_differ(read: Read, at: int, value: bytes, what: str) -> None:
    found = read(with_header(zipped([file("a"), file("c")]), at, value))
    assert damaged(found) == f"a: the header gives another {what} than the directory"
    assert found.entries[0].path == "a"
    assert found.entries[0].unread == ""


def test_another_name_in_the_header(read: Read) -> None:
    for other in (b"python/safe.pyc", b"python/safe", b""):
        found = read(*(replace(file(f"python/evil{index}.py"), local_path=other) for index in range(3)))
        told = "python/evil0.py and 2 more: the header gives another name than the directory"
        assert damaged(found) == told
        assert {one.unread for one in found.entries} == {""}


def test_the_flag_of_utf8_matters_to_names_that_are_not_ascii(read: Read) -> None:
    data = zipped([file("é")])
    assert damaged(read(with_header(data, 7, b"\0"))) == "é: the header gives another flags than the directory"
    assert read(with_header(zipped([file("e")]), 7, b"\x08")).damage == ()


def test_sizes_behind_the_data(read: Read) -> None:
    """With flag 3, the header may leave them out, and may not lie."""
    item = replace(file("a", b"text" * 100), flags=8)
    packed = len(zipped([item])) - len(zipped([replace(item, packed=b"")]))
    descriptor = struct.pack("<4s3L", b"PK\7\x08", zlib.crc32(item.content), packed, len(item.content))
    plain = zipped([item])
    end = LOCAL.size + 1 + packed
    data = plain[:end] + descriptor + plain[end:]
    data = data[: -END.size] + END.pack(
        *END.unpack(data[-END.size :])[:6], END.unpack(data[-END.size :])[6] + len(descriptor), 0
    )
    for header in (data, with_header(data, 14, bytes(12))):
        assert only(read(header)).unread == ""
    lie = with_header(data, 22, b"\1\0\0\0")
    assert damaged(read(lie)) == "a: the header gives another size than the directory"


def test_two_names_by_an_extra_field(read: Read) -> None:
    """Info-ZIP's Unicode path, which only some readers look at."""

    def field(name: bytes, other: bytes) -> bytes:
        data = b"\1" + struct.pack("<L", zlib.crc32(name)) + other
        return struct.pack("<2H", 0x7075, len(data)) + data

    found = read(replace(file("a"), extra=field(b"a", b"b")), replace(file("c"), extra=field(b"c", b"d")))
    assert damaged(found) == "a and 1 more: the directory gives two names"
    assert read(replace(file("a"), extra=field(b"a", b"a"))).damage == ()
    assert read(replace(file("a"), extra=field(b"x", b"b"))).damage == ()  # not for this name
    assert read(replace(file(b"caf\x82"), extra=field(b"caf\x82", "café".encode()))).damage == ()  # what it is for


def test_extra_fields(read: Read) -> None:
    """Python's zipfile refuses a part that is longer than the field; some tools pad fields with zeros."""
    for extra in (b"\1", b"\1\0\1", bytes(7), b"\1\0\0\0", b"\1\0\3\0abc", b"\x99\x99\3\0abc\0"):
        assert only(read(replace(file("a"), extra=extra))).unread == ""
    for extra in (b"\1\0\1\0", b"\1\0\xff\xff", b"\x99\x99\0\0\x98\x98\2\0a"):
        found = read(replace(file("a"), extra=extra), replace(file("b"), extra=extra))
        assert damaged(found) == "a and 1 more: an extra field in the directory is longer than its place"
        assert {one.unread for one in found.entries} == {""}


def test_a_patch(read: Read) -> None:
    told = "a: the directory says that it is a patch of another file"
    assert damaged(read(replace(file("a"), flags=0x20))) == told


def test_a_version_that_there_is_not(read: Read) -> None:
    data = bytearray(zipped([file("a")]))
    at = data.index(b"PK\1\2") + 6
    data[at] = 63
    assert read(bytes(data)).damage == ()
    data[at] = 64
    told = "a: the directory asks for version 6.4 of the zip format, and there is none"
    assert damaged(read(bytes(data))) == told


def test_an_entry_that_only_a_stream_shows(read: Read) -> None:
    """Between two entries of the directory, or before it."""
    for names in (["a", "hidden", "b"], ["a", "hidden"]):
        whole = zipped([file(name) for name in names])
        start = whole.index(b"PK\1\2")
        entry = whole.index(b"PK\1\2", start + 1)
        after = entry + 46 + len("hidden")
        size = END.unpack(whole[-END.size :])[5] - (after - entry)
        shorter = whole[:entry] + whole[after : -END.size]
        found = read(shorter + END.pack(b"PK\5\6", 0, 0, len(names) - 1, len(names) - 1, size, start, 0))
        assert damaged(found) == "a: an entry that the directory does not list stands behind it"


def test_an_entry_that_only_a_stream_shows_behind_a_descriptor(read: Read) -> None:
    """Where the sizes stand behind the data, so does what comes next; each form of a descriptor is looked behind."""
    hidden = zipped([file("hidden")])
    hidden = hidden[: hidden.index(b"PK\1\2")]
    item = replace(file("a"), flags=8)
    plain = zipped([item])
    start = plain.index(b"PK\1\2")
    size = len(plain) - END.size - start
    for descriptor in (12, 16, 20, 24):
        for between, told in ((hidden, True), (b"", False), (b"x" + hidden[1:], False)):
            extra = bytes(descriptor) + between
            end = END.pack(b"PK\5\6", 0, 0, 1, 1, size, start + len(extra), 0)
            found = read(plain[:start] + extra + plain[start : -END.size] + end)
            assert found.damage == (
                ("a: an entry that the directory does not list stands behind it",) if told else ()
            )


def test_text_between_entries_is_nobody_s_matter(read: Read) -> None:
    """Some tools align entries by bytes between them."""
    data = zipped([file("a"), file("b")])
    second = data.index(b"PK\3\4", 4)
    start = data.index(b"PK\1\2")
    moved = bytearray(data[:second] + bytes(64) + data[second:])
    at = moved.index(b"PK\1\2", start + 64 + 1)
    moved[at + 42 : at + 46] = struct.pack("<L", second + 64)
    moved[-6:-2] = struct.pack("<L", start + 64)
    found = read(bytes(moved))
    assert (found.damage, [one.unread for one in found.entries]) == ((), ["", ""])


# Files that cannot be read; memory


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        zips.read(tmp_path / "missing.zip")
    with pytest.raises(IsADirectoryError):
        zips.read(tmp_path)


READING = """
import sys
from pathlib import Path
from layerkit.verify.reading import zips

found = zips.read(Path(sys.argv[1]))
peak = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
elfs = [one.elf.needed for one in found.entries if one.elf]
print(int(peak[0]) * 1024, len(found.entries), found.unpacked_size, found.damage)
print({one.unread or one.damage for one in found.entries}, elfs)
"""


def read_alone(path: Path) -> tuple[int, int, int, str]:
    """In a process of its own: the most memory that it had, entries, bytes, and what else it tells."""
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc, which tells the memory of a process alone")
    command: list[str | Path] = [sys.executable, "-c", READING, path]
    first, second = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    peak, entries, size, damage = first.split(maxsplit=3)
    assert damage == "()"
    return int(peak), int(entries), int(size), second


STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


@pytest.mark.parametrize(
    ("method", "sizes"),
    [
        (STORED, [240_000_000]),
        (DEFLATED, [240_000_000]),
        (DEFLATED, [60_000] * 4000),
        (STORED, [55_000_000] * 4 + [2_000_000] * 10),
        (DEFLATED, [58_000_000] * 4 + [2_000_000] * 4),
        (DEFLATED, [100_000_000, 50_000_000, 90_000_000]),
    ],
)
def test_memory_for_240_mb(tmp_path: Path, method: int, sizes: Sequence[int]) -> None:
    """In one file, in many, in as large ones as are held, and streamed."""
    text = b"".join(b"line %d\n" % index for index in range(100_000))[:1_000_000]
    with zipfile.ZipFile(tmp_path / "layer.zip", "w", method, compresslevel=1) as archive:
        for index, size in enumerate(sizes):
            with archive.open(f"python/data{index}.txt", "w") as to:
                for start in range(0, size, len(text)):
                    to.write(text[: size - start])
    peak, entries, total, told = read_alone(tmp_path / "layer.zip")
    assert (entries, total, told) == (len(sizes), 240_000_000, "{''} []")
    assert peak < MOST
