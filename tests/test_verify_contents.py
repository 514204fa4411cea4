"""What the files in a zip say of themselves: formats, ELF facts of large files too, bytecode, texts, links, leaks."""

from __future__ import annotations

import importlib.util
import marshal
import py_compile
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import CodeType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elves import BASE, NEEDED, STRSZ, STRTAB, VERNEED, Made
from layerkit import elf
from layerkit.verify.facts import Bytecode, Entry, Format, Kind
from layerkit.verify.reading import contents, pyc, zips
from layerkit.verify.reading.sparse import Missing, Sparse
from layerkit.verify.reading.unpacking import PIECE
from layerzips import Item, file, link, zipped
from test_verify_zips import MOST, read_alone

Found = Callable[..., list[Entry]]
MAGIC = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """The entries of a zip of these."""

    def entries(*items: Item) -> list[Entry]:
        (tmp_path / "layer.zip").write_bytes(zipped(items))
        facts = zips.read(tmp_path / "layer.zip")
        assert facts.damage == ()
        return list(facts.entries)

    return entries


def packed(path: str, content: bytes) -> Item:
    """A large file, packed fast."""
    packer = zlib.compressobj(1, wbits=-15)
    return replace(file(path, content), packed=packer.compress(content) + packer.flush())


# Formats


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (Made().content(), Format.ELF),
        (b"\x7fELF", Format.ELF),
        (b"\x7fEL", Format.OTHER),
        (bytes.fromhex("cffaedfe0c000001"), Format.MACH_O),  # arm64
        (bytes.fromhex("feedfacf0100000c"), Format.MACH_O),
        (bytes.fromhex("cefaedfe07000000"), Format.MACH_O),
        (bytes.fromhex("feedface00000012"), Format.MACH_O),
        (bytes.fromhex("cafebabe00000002"), Format.MACH_O),  # for two machines
        (bytes.fromhex("cafebabf00000001"), Format.MACH_O),
        (bytes.fromhex("cafebabe00000034"), Format.OTHER),  # a Java class
        (bytes.fromhex("cafebabe00000000"), Format.OTHER),
        (bytes.fromhex("cafebabe"), Format.OTHER),
        (b"MZ\x90\0\3\0\0\0", Format.PE),
        (b"MZ is how it begins\n", Format.OTHER),
        (b"!<arch>\n", Format.OTHER),
        (b"", Format.OTHER),
        (b"x", Format.OTHER),
    ],
)
def test_formats(found: Found, content: bytes, kind: Format) -> None:
    assert found(file("lib/x.so", content))[0].format is kind


def test_scripts(found: Found) -> None:
    entries = found(file("bin/a", "#!/bin/sh\n"), file("bin/b", " #!"), file("bin/c", "#"), file("bin/d", ""))
    assert [one.script for one in entries] == [True, False, False, False]


# ELF


def test_elf(found: Found) -> None:
    content = Made().content()
    for item in (file("a.so", content), replace(file("data"), content=content, method=0)):
        assert found(item)[0].elf == elf.read(content)
    assert found(file("a.so", "x = 1"))[0].elf is None


def test_a_damaged_elf(found: Found) -> None:
    (entry,) = found(file("a.so", Made().content()[:-1]))
    assert (entry.elf, entry.format, entry.unread) == (None, Format.ELF, "")
    assert entry.damage.startswith("the file is cut off: it has ")


LARGE = zips.HELD + (4 << 20)


def dynamic(content: bytearray, table: int) -> list[tuple[int, int, int]]:
    """Where each entry of the dynamic table stands, its tag and its value."""
    return [(at, *struct.unpack_from("<2Q", content, at)) for at in range(table, len(content) - 15, 16)]


def parts(made: Made, names_at: int, table_at: int, size: int) -> dict[int, bytearray]:
    """A file of `size` bytes with its versions and texts at `names_at`, its dynamic table at `table_at`."""
    content = bytearray(made.content())
    names, table = 64 + 56 * 3, struct.unpack_from("<Q", content, 64 + 56 + 8)[0]
    for at, tag, value in dynamic(content, table):
        if tag in (STRTAB, VERNEED):
            struct.pack_into("<Q", content, at + 8, value - names + names_at)
    struct.pack_into("<2Q", content, 64 + 32, size, size)
    struct.pack_into("<3Q", content, 64 + 56 + 8, table_at, BASE + table_at, BASE + table_at)
    return {0: content[:names], names_at: content[names:table], table_at: content[table:]}


def stretched(made: Made, names_at: int, table_at: int, size: int) -> bytes:
    whole = bytearray(size)
    for at, part in parts(made, names_at, table_at, size).items():
        whole[at : at + len(part)] = part
    return bytes(whole)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_memory_for_an_elf_file_of_240_mb(tmp_path: Path, method: int) -> None:
    size = 240_000_000
    with (
        zipfile.ZipFile(tmp_path / "layer.zip", "w", method, compresslevel=1) as archive,
        archive.open("python/big.so", "w") as to,
    ):
        done = 0
        for at, part in [*parts(Made(), 100_000_000, size - 1000, size).items(), (size, bytearray())]:
            while done < at:
                done += to.write(bytes(min(1_000_000, at - done)))
            done += to.write(part)
    peak, entries, total, told = read_alone(tmp_path / "layer.zip")
    assert (entries, total, told) == (1, size, "{''} [('libm.so.6', 'libc.so.6')]")
    assert peak < MOST


@pytest.mark.parametrize("method", [0, 8])
@pytest.mark.parametrize(
    ("names_at", "table_at"),
    [
        (1000, LARGE - 1000),  # as linkers do
        (LARGE - 3000, LARGE - 1000),
        (30 << 20, 40 << 20),  # neither at the beginning nor at the end: unpacked again
        (40 << 20, 30 << 20),
        ((30 << 20) - 40, (40 << 20) - 40),  # over the edge of a piece
    ],
)
def test_elf_in_a_file_that_is_not_held(found: Found, method: int, names_at: int, table_at: int) -> None:
    content = stretched(Made(), names_at, table_at, LARGE)
    expected = elf.read(content)
    assert expected
    assert expected.versions
    (entry,) = found(
        replace(packed("big.so", content), method=method, packed=None if method == 0 else packed("", content).packed)
    )
    assert (entry.elf, entry.damage, entry.unread) == (expected, "", "")


def test_elf_in_a_large_file_that_is_held(found: Found) -> None:
    content = stretched(Made(), 3 << 20, 6 << 20, 8 << 20)
    assert found(packed("big.so", content))[0].elf == elf.read(content)


def test_a_large_elf_that_is_damaged(found: Found) -> None:
    content = stretched(Made(end=False), 1000, LARGE - 1000, LARGE)[: -1000 + 16]
    (entry,) = found(packed("big.so", content))
    assert (entry.elf, entry.damage[:22], entry.unread) == (None, "the file is cut off: i", "")


def test_a_large_elf_whose_texts_are_everywhere(found: Found) -> None:
    """It would have to be unpacked again for each of them."""
    places = [at << 20 for at in range(17, 48, 6)]
    table = LARGE - 1000
    for count, damage in (
        (3, ""),
        (len(places), "what it asks for is spread over more of the file than is looked at"),
    ):
        content = bytearray(stretched(Made(needed=["x"] * count, versions=()), 1000, table, LARGE))
        texts = iter(places)
        for at, tag, _ in dynamic(content, table):
            if tag in (NEEDED, STRSZ):
                struct.pack_into("<Q", content, at + 8, next(texts) if tag == NEEDED else LARGE)
        assert elf.read(bytes(content))
        (entry,) = found(packed("big.so", bytes(content)))
        assert (entry.elf is None, entry.damage) == (bool(damage), damage)


@cache
def forty_pieces() -> Sparse:
    kept = Sparse()
    for number in range(40):
        kept.feed(number, bytes([number]) * PIECE)
    return kept


@given(st.integers(0, 40 * PIECE - 1), st.integers(1, 3 * PIECE))
def test_sparse_parts_are_the_file_s(start: int, size: int) -> None:
    kept = forty_pieces()
    stop = min(start + size, 40 * PIECE)
    touched = {at // PIECE for at in (*range(start, stop, PIECE), stop - 1)}
    try:
        data = kept.fetch(start, stop)
    except Missing as missing:
        assert missing.number in touched
        assert missing.number not in kept.pieces
        return
    assert len(data) == stop - start
    assert {data[at] for at in range(0, len(data), PIECE // 2)} <= touched
    assert len(kept.pieces) == 24


# Bytecode


SOURCE = '''
"""See web/app.py, or app.py."""
def outer(x):
    def inner():
        return "not/app.py", x
    return inner
class Thing:
    where = "app.py"
    def method(self):
        return outer
'''


def compiled(name: str, mode: py_compile.PycInvalidationMode, folder: Path, source: str = SOURCE) -> bytes:
    (folder / "source.py").write_text(source)
    made = folder / "made.pyc"
    py_compile.compile(str(folder / "source.py"), str(made), name, doraise=True, invalidation_mode=mode)
    return made.read_bytes()


TIMES = py_compile.PycInvalidationMode.TIMESTAMP


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("python/web/__pycache__/app.cpython-312.pyc", "/opt/python/web/app.py"),
        ("python/web/__pycache__/app.cpython-312.opt-1.pyc", "/opt/python/web/app.py"),
        ("python/web/app.pyc", "/home/ann/app.py"),
        ("app.pyc", "app.py"),
        ("__pycache__/app.cpython-312.pyc", "C:\\Users\\Ann\\app.py"),
        ("python/app.pyc", "/build/" + "long/" * 60 + "app.py"),  # more than 255 bytes
        ("python/app.pyc", "/" + "x" * 247 + "/app.py"),  # 255
        ("python/app.pyc", "/home/änn/app.py"),
        ("python/app.pyc", "/opt/app.py/app.py"),
        ("python/äpp.pyc", "/opt/python/äpp.py"),
        ("python/app.pyc", "./app.py"),
    ],
)
def test_the_name_in_tracebacks(found: Found, tmp_path: Path, path: str, name: str) -> None:
    data = compiled(name, TIMES, tmp_path)
    code = marshal.loads(data[16:])
    assert isinstance(code, CodeType)
    assert code.co_filename == name
    (entry,) = found(file(path, data))
    assert entry.bytecode
    assert (entry.bytecode.name, entry.damage) == (name, "")


@pytest.mark.parametrize(
    "source", ["", "x = 1\n", 'x = "app.py"\n', '"""app.py"""\n', 'def f(): return "/y/app.py"\n']
)
def test_the_name_and_not_another_text(found: Found, tmp_path: Path, source: str) -> None:
    data = compiled("/opt/python/app.py", TIMES, tmp_path, source)
    (entry,) = found(file("python/app.pyc", data))
    assert entry.bytecode
    assert entry.bytecode.name == "/opt/python/app.py"


def test_no_name(found: Found, tmp_path: Path) -> None:
    """Bytecode that was renamed, as a sourceless one may be."""
    data = compiled("/opt/python/other.py", TIMES, tmp_path, "x = 1\n")
    (entry,) = found(file("python/app.pyc", data))
    assert entry.bytecode
    assert entry.bytecode.name == ""


def test_the_real_standard_library(found: Found, tmp_path: Path) -> None:
    """Each module's name, as Python finds it."""
    modules = [module for module in sys.modules.values() if getattr(module, "__cached__", None)]
    files = {Path(module.__cached__) for module in modules if module.__cached__}
    made = [one for one in sorted(files) if one.exists()][:150]
    assert len(made) > 50
    entries = found(
        *(file(f"python/{index}/__pycache__/{one.name}", one.read_bytes()) for index, one in enumerate(made))
    )
    for entry, path in zip(entries, made, strict=True):
        code = marshal.loads(path.read_bytes()[16:])
        assert entry.bytecode
        assert (entry.bytecode.name, entry.damage) == (code.co_filename, "")


def test_heads(found: Found, tmp_path: Path) -> None:
    checked, unchecked, times = (  # whose source is written anew for each: the last one has the file's time
        file(f"python/{mode.name}.pyc", compiled("/opt/python/a.py", mode, tmp_path))
        for mode in (
            py_compile.PycInvalidationMode.CHECKED_HASH,
            py_compile.PycInvalidationMode.UNCHECKED_HASH,
            TIMES,
        )
    )
    stat = (tmp_path / "source.py").stat()
    digest = importlib.util.source_hash(SOURCE.encode())
    heads = [one.bytecode for one in found(times, checked, unchecked)]
    assert heads == [
        Bytecode(magic=MAGIC, hashed=False, checked=False, mtime=int(stat.st_mtime), source_size=stat.st_size),
        Bytecode(magic=MAGIC, hashed=True, checked=True, source_hash=digest),
        Bytecode(magic=MAGIC, hashed=True, checked=False, source_hash=digest),
    ]


def head(magic: int = 3531, flags: int = 0, middle: bytes = b"\r\n", rest: bytes = b"\xe3" + bytes(50)) -> bytes:
    return struct.pack("<H2sL8s", magic, middle, flags, b"12345678") + rest


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", pyc.TOO_SHORT),
        (head()[:16], pyc.TOO_SHORT),
        (b"x = 1\n" * 10, "it does not begin as a .pyc file does"),
        (head(middle=b"\n\n"), "it does not begin as a .pyc file does"),
        (head(flags=4), "its head has flags that Python does not know: 0x4"),
        (head(flags=0x80000001), "its head has flags that Python does not know: 0x80000001"),
        (head(rest=b"\0" * 9), "its head is not followed by a code object"),
        (head(rest=b"\x63"), ""),
        (head(flags=2), ""),
        (head(flags=3), ""),
        (head(magic=62211, flags=0x5F000000), ""),  # Python 2.7, where the time stands there
        (head(magic=3379, flags=0x5F000000, rest=b"\xe3"), ""),  # 3.6
    ],
)
def test_heads_that_python_refuses(found: Found, content: bytes, told: str) -> None:
    (entry,) = found(file("python/app.pyc", content))
    assert entry.damage == told
    assert entry.unread == ""
    if len(content) > 16 and content[2:4] == b"\r\n":
        assert entry.bytecode
        assert entry.bytecode.magic == int.from_bytes(content[:2], "little")
    else:
        assert entry.bytecode is None
    assert found(file("python/app.txt", content))[0].damage == ""


@given(
    st.binary(max_size=3000), st.sampled_from(["a.pyc", "__pycache__/a.cpython-312.pyc", ".pyc", "__pycache__/.pyc"])
)
def test_any_bytes_behind_the_head(data: bytes, path: str) -> None:
    for content in (
        data,
        head(rest=data),
        head(rest=data + b"a.py" + data),
        head(rest=b"\xe3" + data * 20 + b"/a.py"),
    ):
        bytecode, damage = pyc.read(content, path)
        assert bytecode or damage
        assert not bytecode or len(bytecode.name) <= 4 * pyc.LONGEST_NAME


def test_the_source_s_hash(found: Found, tmp_path: Path) -> None:
    """The sources come first here; the hash that CPython 3.12 gives for b"hello" with 3.11's magic is known."""
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    data = compiled("/opt/python/a.py", mode, tmp_path)
    other = head(magic=3495, flags=1)
    items = (
        file("a.py", SOURCE),
        file("b.py", "hello"),
        file("c.txt", "hello"),
        file("a.pyc", data),
        file("b.pyc", other),
    )
    first, second, third, fourth, _ = found(*items)
    assert fourth.bytecode
    assert first.source_hashes[MAGIC] == fourth.bytecode.source_hash
    assert second.source_hashes == {MAGIC: second.source_hashes[MAGIC], 3495: bytes.fromhex("7c360be58bb7a2aa")}
    assert (third.source_hashes, fourth.source_hashes) == ({}, {})


def test_no_hash_where_none_is_asked_or_known(found: Found) -> None:
    """CPython 3.10 and earlier hash in another way than the Python that runs this."""
    for magic, flags in ((3531, 0), (3439, 1), (62211, 1), (256, 3)):
        assert found(file("a.py", "hello"), file("a.pyc", head(magic, flags)))[0].source_hashes == {}


def test_hashes_of_a_few_versions_only(found: Found) -> None:
    items = [file(f"{magic}.pyc", head(magic, 1)) for magic in range(3500, 3520)]
    hashes = found(file("a.py", "hello"), *items)[0].source_hashes
    assert list(hashes) == list(range(3500, 3508))
    assert len(set(hashes.values())) == 8


def test_the_hash_of_a_large_source(found: Found) -> None:
    source = b"x = 1\n" * 400_000
    entry = found(packed("a.py", source), file("a.pyc", head(MAGIC, 1)))[0]
    assert entry.source_hashes == {MAGIC: importlib.util.source_hash(source)}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/__pycache__/b.cpython-312.pyc", "b.py"),
        ("__pycache__/b.c.cpython-312.pyc", "b.c.py"),
        ("a/__pycache__/b.cpython-312.opt-2.pyc", "b.py"),
        ("a/__pycache__/b.pyc", "b.py"),
        ("b.pyc", "b.py"),
        ("a/b.cpython-312.pyc", "b.cpython-312.py"),
        ("x__pycache__/b.c.pyc", "b.c.py"),
    ],
)
def test_names_of_sources(path: str, name: str) -> None:
    assert pyc.source_name(path) == name


# Texts and links


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("python/flask-3.1.0.dist-info/METADATA", True),
        ("python/flask-3.1.0.dist-info/WHEEL", True),
        ("python/flask-3.1.0.dist-info/RECORD", True),
        ("python/flask-3.1.0.dist-info/top_level.txt", True),
        ("python/flask-3.1.0.dist-info/entry_points.txt", True),
        ("python/flask-3.1.0.dist-info/licenses/LICENSE", False),
        ("python/flask-3.1.0.dist-info/x/METADATA", False),
        ("flask-3.1.0.dist-info/METADATA", True),
        ("python/METADATA", False),
        ("python/old.egg-info/PKG-INFO", True),
        ("python/old.egg-info/requires.txt", True),
        ("python/old.egg-info/SOURCES.txt", False),
        ("python/old-1.0.egg-info", True),
        ("python/x.pth", True),
        ("x.pth", True),
        ("python/x.pth.txt", False),
        ("python/app.py", False),
    ],
)
def test_texts_that_rules_read(found: Found, path: str, kept: bool) -> None:
    assert found(file(path, "Name: é\n"))[0].text == ("Name: é\n" if kept else "")


def test_texts_of_other_bytes(found: Found) -> None:
    assert found(file("x.pth", b"a\xff\0\r\n"))[0].text == "a\ufffd\0\r\n"


def test_long_texts(found: Found) -> None:
    """Their beginning; of .pth files all, since each of their lines may run code."""
    size = contents.LONGEST_TEXT + 10
    metadata, record, paths, code = found(
        packed("a.dist-info/METADATA", b"x" * size),
        packed("a.dist-info/RECORD", b"x" * size),
        packed("a.pth", b"x" * size),
        packed("b.pth", b"x" * (size - 10)),
    )
    assert (len(metadata.text), len(record.text), len(code.text)) == (size - 10, size, size - 10)
    assert (paths.text, paths.unread) == ("", "it is a .pth file of 1,048,586 bytes")
    assert not metadata.unread + record.unread + code.unread
    (record,) = found(packed("a.dist-info/RECORD", b"x" * 9_000_000))
    assert len(record.text) == contents.LONGEST_RECORD


def test_more_texts_than_are_held(found: Found) -> None:
    items = [packed(f"{index}.dist-info/METADATA", b"x" * 1_000_000) for index in range(20)]
    entries = found(*items, file("a.py"))
    told = [one.unread for one in entries]
    assert told[:16] == [""] * 16
    assert set(told[16:]) == {"not read: metadata, names and leaks in the zip have more than 16,777,216 bytes"}
    assert {one.text for one in entries[16:]} == {""}


def test_more_names_than_are_held(found: Found) -> None:
    """ELF files that ask for thousands of versions."""
    made = Made(versions=[("libc.so.6", [(f"V_{index}", 0) for index in range(5000)])]).content()
    entries = found(*(packed(f"{index}.so", made) for index in range(40)))
    known = [one.elf is not None for one in entries]
    assert known == sorted(known, reverse=True)
    assert 15 < sum(known) < 30
    assert {bool(one.unread) for one in entries if not one.elf} == {True}


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("libx.so.1", "libx.so.1"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("é", "é"),
        ("a\nb\x1b", r"a\nb\x1b"),
        ("", ""),
        ("x" * 4096, "x" * 4096),
    ],
)
def test_links(found: Found, target: str, told: str) -> None:
    (entry,) = found(link("python/libx.so", target))
    assert (entry.kind, entry.link, entry.unread) == (Kind.LINK, told, "")
    assert entry.text == ""


def test_a_link_of_other_bytes(found: Found) -> None:
    assert found(replace(link("a", ""), content=b"\xff/x"))[0].link == r"\xff/x"


def test_a_folder_with_content_and_a_device_say_nothing(found: Found) -> None:
    for mode in (0o040755, 0o020644):
        (entry,) = found(file("a.pyc", b"\x7fELF", mode))
        assert (entry.format, entry.bytecode, entry.damage, entry.unread) == (Format.OTHER, None, "", "")


# Leaks


KEY = (
    "-----BEGIN "
    + "RSA PRIVATE KEY-----\n"
    + "\n".join(["MIIEpAIBAAKCAQEA" + "q7Zk3x" * 8] * 5)
    + "\n-----END "
    + "RSA PRIVATE KEY-----\n"
)


@pytest.mark.parametrize("before", [0, 1000, PIECE - 20, PIECE + 5, zips.HELD + 5])
def test_leaks_are_found_wherever_they_are(found: Found, before: int) -> None:
    """In files that are small, held and streamed, and over the edge of two pieces."""
    (entry,) = found(packed("python/key.txt", b"x\n" * (before // 2) + KEY.encode()))
    assert [(leak.kind, leak.line) for leak in entry.leaks] == [("private-key", before // 2 + 1)]


def test_leaks_in_what_is_damaged_are_not_told(found: Found) -> None:
    (entry,) = found(replace(file("key.txt", KEY), crc=0))
    assert (entry.leaks, bool(entry.unread)) == ((), True)


def test_a_binary_is_scanned_as_one(found: Found) -> None:
    """Its lines are none."""
    text, binary = found(file("a.txt", KEY), file("a.so", b"\x7fELF\n\n\n" + KEY.encode()))
    assert [leak.line for leak in text.leaks] == [1]
    assert [leak.line for leak in binary.leaks] in ([], [0])


def test_what_the_facts_of_zipfile_s_zip_hold(tmp_path: Path) -> None:
    """All of it together, from a zip that another program wrote."""
    with zipfile.ZipFile(tmp_path / "layer.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("python/_x.so", Made(machine=183).content())
        archive.writestr("python/a.pth", "import os\n")
        archive.writestr("python/tool", "#!/bin/sh\n")
    facts = zips.read(tmp_path / "layer.zip")
    binary, paths, tool = facts.entries
    assert binary.elf
    assert (binary.elf.machine, paths.text, tool.script) == ("aarch64", "import os\n", True)
