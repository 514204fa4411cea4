"""Zips that are damaged at random: always facts, never an exception, in bounded time and memory, and never believed
where `zipfile` sees something else."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elves import Made
from layerkit.verify.facts import Kind, ZipFacts
from layerkit.verify.reading import zips
from layerzips import Item, file, folder, link, zipped

SIGNATURES = [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08"]
HEAD = (3531).to_bytes(2, "little") + b"\r\n\1\0\0\0" + bytes(8) + b"\xe3"


def small_layer(**how: bool) -> bytes:
    return zipped(
        [
            folder("python"),
            file("python/app.py", "x = 1\n" * 20),
            file("python/__pycache__/app.cpython-312.pyc", HEAD + b"\0\0\xfa\x12/opt/python/app.py\xda\1a\xda\1a"),
            file("python/_x.so", Made(paths={14: "libx.so"}).content(), 0o100755),
            link("python/libx.so", "_x.so"),
            file("python/a-1.0.dist-info/METADATA", "Name: a\nVersion: 1.0\n"),
            file("python/é.pth", "import os\n"),
            Item(path="stored", content=b"stored", method=0),
        ],
        **how,  # type: ignore[arg-type]
    )


def made_by_zipfile() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("python/app.py", "x = 1\n" * 20)
        with archive.open("python/wide.txt", "w", force_zip64=True) as to:
            to.write(b"text" * 10)
        archive.writestr("python/noise", os.urandom(300))
    return made.getvalue()


SEEDS = [
    small_layer(),
    small_layer(zip64=True),
    made_by_zipfile(),
    zipped([file("a", "")], comment=b"a comment"),
    zipped([Item(path="b", content=b"b" * 50, zip64=True)]),
    zipped([file("big", b"0" * 3_000_000)]),
    zipped([]),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "layer.zip"


def check(place: Path, data: bytes) -> ZipFacts:
    """What every file must give, whatever is in it."""
    place.write_bytes(data)
    found = zips.read(place)
    assert found.size == len(data)
    for entry in found.entries:
        assert entry.path.isprintable()
        assert entry.link.isprintable()
        assert entry.elf is None or not entry.damage
        assert not entry.unread or (entry.elf, entry.bytecode, entry.text, entry.link, entry.leaks) == (
            (None, None, "", "", ())
        )
    for clause in (*found.damage, *(one.unread + one.damage for one in found.entries)):
        assert clause.isprintable()
        assert not clause.endswith(".")
    if not found.damage and not any(one.unread for one in found.entries):
        believed(found, data)
    return found


def believed(found: ZipFacts, data: bytes) -> None:
    """What is called whole, Python's own reader finds whole, and the same."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        assert [(one.size, one.packed_size, one.crc) for one in found.entries] == [
            (info.file_size, info.compress_size, info.CRC) for info in infos
        ]
        for entry, info in zip(found.entries, infos, strict=True):
            if info.orig_filename.isascii() and info.orig_filename.isprintable():
                assert entry.path in (info.orig_filename, info.orig_filename.removesuffix("/"))
            if entry.kind is Kind.FILE:
                assert zlib.crc32(archive.read(info)) == entry.crc


@given(st.binary(max_size=500))
def test_any_bytes(place: Path, data: bytes) -> None:
    check(place, data)


@given(st.lists(st.one_of(st.sampled_from(SIGNATURES), st.binary(max_size=60)), max_size=20).map(b"".join))
def test_any_bytes_between_signatures(place: Path, data: bytes) -> None:
    check(place, data)


@given(data=st.data())
def test_a_zip_that_is_cut(place: Path, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(SEEDS))
    start, stop = sorted((data.draw(st.integers(0, len(seed))), data.draw(st.integers(0, len(seed)))))
    found = check(place, seed[start:stop])
    if (start, stop) != (0, len(seed)):
        assert found.damage


@settings(max_examples=400)
@given(data=st.data())
def test_a_zip_with_other_bytes(place: Path, data: st.DataObject) -> None:
    """Most of the damage goes where numbers are that are read: into headers and the end."""
    seed = bytearray(data.draw(st.sampled_from(SEEDS)))
    heads = [at for sign in SIGNATURES for at in occurrences(bytes(seed), sign)]
    near = st.sampled_from(heads).flatmap(lambda at: st.integers(at, min(at + 56, len(seed) - 1)))
    places = st.one_of(near, near, near, st.integers(0, len(seed) - 1))
    values = st.one_of(st.sampled_from([0, 1, 2, 8, 0x7F, 0x80, 0xFF]), st.integers(0, 255))
    for at, value in data.draw(st.lists(st.tuples(places, values), min_size=1, max_size=6)):
        seed[at] = value
    check(place, bytes(seed))


def occurrences(data: bytes, what: bytes) -> list[int]:
    return [at for at in range(len(data)) if data.startswith(what, at)] if len(data) < 20_000 else [data.rindex(what)]


@given(data=st.data())
def test_a_zip_with_parts_of_another(place: Path, data: st.DataObject) -> None:
    one, other = (data.draw(st.sampled_from(SEEDS)) for _ in range(2))
    start, stop = sorted((data.draw(st.integers(0, len(other))), data.draw(st.integers(0, len(other)))))
    at = data.draw(st.integers(0, len(one)))
    instead = data.draw(st.one_of(st.just(0), st.integers(0, len(one) - at)))
    check(place, one[:at] + other[start:stop] + one[at + instead :])


@given(
    st.lists(
        st.builds(
            Item,
            path=st.one_of(st.binary(max_size=20), st.sampled_from([b"a", b"a/", b"a.pyc", b"a.py", b"x.pth"])),
            content=st.one_of(
                st.binary(max_size=60), st.sampled_from([HEAD, b"\x7fELF", b"MZ\0\0", Made().content()])
            ),
            mode=st.integers(0, 0xFFFF),
            method=st.sampled_from([0, 8, 8, 12, 99]),
            system=st.integers(0, 255),
            flags=st.one_of(st.none(), st.integers(0, 0xFFFF)),
            crc=st.one_of(st.none(), st.none(), st.integers(0, 0xFFFFFFFF)),
            size=st.one_of(st.none(), st.none(), st.integers(0, 100), st.integers(0, 0xFFFFFFFF)),
            packed_size=st.one_of(st.none(), st.none(), st.integers(0, 100), st.integers(0, 0xFFFFFFFF)),
            packed=st.one_of(st.none(), st.none(), st.binary(max_size=40)),
            extra=st.binary(max_size=12),
            offset=st.one_of(st.none(), st.none(), st.integers(0, 300), st.integers(0, 0xFFFFFFFF)),
            date=st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
            zip64=st.booleans(),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_any_entries(place: Path, items: list[Item], zip64: bool) -> None:
    check(place, zipped(items, zip64=zip64))


MUTATING = """
import faulthandler, random, resource, sys
from pathlib import Path
from layerkit.verify.reading import zips

faulthandler.dump_traceback_later(120, exit=True)
place, chance = Path(sys.argv[1]), random.Random(5)
seeds = [Path(name).read_bytes() for name in sys.argv[2:]]
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
whole = 0
for turn in range(150):
    data = bytearray(seeds[turn % len(seeds)])
    for _ in range(chance.choice([1, 2, 8, 64])):
        at = chance.choice([chance.randrange(len(data)), len(data) - 1 - chance.randrange(len(data) // 10)])
        action = chance.randrange(4)
        if action == 0:
            data[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        elif action == 1:
            data[at : at + chance.randrange(1, 9)] = chance.randbytes(chance.randrange(9))
        elif action == 2:
            start = chance.randrange(len(data))
            data[at : at + 40] = data[start : start + 40]
        else:
            data[at : at + 4] = chance.choice([0, 1, 0xFFFF, 1 << 28, 0xFFFFFFFF]).to_bytes(4, "little")
    place.write_bytes(data)
    found = zips.read(place)
    whole += not found.damage and not any(entry.unread for entry in found.entries)
peak = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(whole, int(peak[0]) * 1024)
"""


def test_real_zips_with_other_bytes(tmp_path: Path) -> None:
    """The modules of this Python as three layers: of sources, with bytecode, and stored."""
    seeds = []
    library = Path(os.__file__).parent
    for name, pattern, method in (
        ("py", "[a-m]*.py", 8),
        ("pyc", "__pycache__/[a-m]*.pyc", 8),
        ("stored", "s*.py", 0),
    ):
        seeds.append(tmp_path / f"{name}.zip")
        with zipfile.ZipFile(seeds[-1], "w", method) as archive:
            for path in sorted(library.glob(pattern)):
                archive.write(path, f"python/{path.relative_to(library)}")
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc, which tells the memory of a process alone")
    command: list[str | Path] = [sys.executable, "-c", MUTATING, tmp_path / "layer.zip", *seeds]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    whole, peak = map(int, done.stdout.split())
    assert whole < 50  # a few changes hit what nobody reads: times, padding
    assert peak < 150_000_000
