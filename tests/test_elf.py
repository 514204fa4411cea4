"""Facts of real ELF files as readelf tells them, of hand-made ones as they were made, and none of damaged ones."""

from __future__ import annotations

import platform
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elves import (
    BASE,
    BIG_32,
    BIG_64,
    FLAGS,
    LAYOUTS,
    LITTLE_32,
    LITTLE_64,
    NEEDED,
    RPATH,
    RUNPATH,
    SONAME,
    STRSZ,
    STRTAB,
    TEXTREL,
    VERNEED,
    Made,
    whole,
)
from layerkit import elf
from layerkit.elf import ElfError, ElfFile, Kind

Compile = Callable[..., Path]


def full(layout: tuple[str, int], machine: int = 243) -> Made:
    return Made(
        layout=layout,
        machine=machine,
        paths={SONAME: "libx.so.1", RPATH: "$ORIGIN:/opt/lib", RUNPATH: "$ORIGIN/../x.libs"},
        versions=[("libm.so.6", [("GLIBC_2.29", 0)]), ("libc.so.6", [("GLIBC_2.2.5", 0), ("GLIBC_2.17", 0)])],
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_layouts_tell_the_same(layout: tuple[str, int]) -> None:
    found = full(layout).read()
    assert found == ElfFile(
        machine="machine 243",
        kind=Kind.SHARED,
        soname="libx.so.1",
        needed=("libm.so.6", "libc.so.6"),
        rpath=("$ORIGIN", "/opt/lib"),
        runpath=("$ORIGIN/../x.libs",),
        versions={"libm.so.6": ("GLIBC_2.29",), "libc.so.6": ("GLIBC_2.2.5", "GLIBC_2.17")},
    )
    assert found.newest() == (2, 29)


@pytest.mark.parametrize(
    ("number", "layout", "name"),
    [
        (183, LITTLE_64, "aarch64"),
        (62, LITTLE_64, "x86_64"),
        (3, LITTLE_32, "i686"),
        (40, LITTLE_32, "armv7l"),
        (22, BIG_64, "s390x"),
        (21, LITTLE_64, "ppc64le"),
        (62, LITTLE_32, "x32"),
        (183, BIG_64, "machine 183"),
        (183, LITTLE_32, "machine 183"),
        (0, BIG_32, "machine 0"),
        (65535, LITTLE_64, "machine 65535"),
    ],
)
def test_machines(number: int, layout: tuple[str, int], name: str) -> None:
    """An x86_64 or aarch64 of another width or byte order is not what that name promises."""
    assert Made(layout=layout, machine=number).read().machine == name


def test_kinds() -> None:
    kinds = [Made(kind=number).read().kind for number in (1, 2, 3, 4)]
    assert kinds == ["relocatable", "executable", "shared", "core"]
    assert "file type 0" in Made(kind=0).broken()
    assert "file type 65024" in Made(kind=0xFE00).broken()


@pytest.mark.parametrize(
    "content", [b"", b"\x7f", b"\x7fEL", b"MZ\x90", b"#!/bin/sh\n", b"\xcf\xfa\xed\xfe", b" \x7fELF"]
)
def test_no_elf_file(content: bytes) -> None:
    assert elf.read(content) is None


def test_the_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="header is damaged"):
        elf.read(b"\x7fELF" + bytes(500))


@pytest.mark.parametrize(
    ("paths", "rpath", "runpath"),
    [
        ({}, (), ()),
        ({RPATH: ""}, (), ()),  # glibc ignores an empty path,
        ({RPATH: "/a::/b"}, ("/a", "", "/b"), ()),  # and takes an empty entry of one as the working directory
        ({RUNPATH: ":"}, (), ("", "")),
        ({RPATH: "/a", RUNPATH: "/b"}, ("/a",), ("/b",)),
    ],
)
def test_search_paths(paths: Mapping[int, str], rpath: Sequence[str], runpath: Sequence[str]) -> None:
    found = Made(paths=paths).read()
    assert (found.rpath, found.runpath) == (rpath, runpath)


def test_names_can_be_printed() -> None:
    found = Made(needed=["libé.so", "lib\udcff.so", ""], versions=()).read()
    assert found.needed == ("libé.so", r"lib\xff.so", "")
    assert "".join(found.needed).encode()


# Versions


def asking(*names: str, library: str = "libc.so.6") -> ElfFile:
    return Made(versions=[(library, [(name, 0) for name in names])]).read()


@pytest.mark.parametrize(
    ("names", "newest"),
    [
        (["GLIBC_2.2.5"], (2, 2, 5)),
        (["GLIBC_2.9", "GLIBC_2.17", "GLIBC_2.2.5"], (2, 17)),  # numbers, not texts
        (["GLIBC_2.34", "GLIBC_2.34.1"], (2, 34, 1)),
        (["GLIBC_PRIVATE"], ()),
        (["GLIBC_PRIVATE", "GLIBC_2.4"], (2, 4)),
        (["GLIBC_ABI_DT_RELR", "GLIBC_2.4"], (2, 4)),
        (["GLIBCXX_3.4.30", "CXXABI_1.3", "GCC_3.0"], ()),
        (["GLIBC_", "GLIBC_2.", "GLIBC_2.x", "xGLIBC_2.5", "GLIBC_2.5 ", "GLIBC_٢.٣"], ()),
        (["GLIBC_" + "9" * 5000], ()),  # more digits than int() takes
    ],
)
def test_newest(names: list[str], newest: tuple[int, ...]) -> None:
    assert asking(*names).newest() == newest


def test_newest_of_another_prefix_and_from_any_library() -> None:
    found = Made(
        versions=[
            ("libstdc++.so.6", [("GLIBCXX_3.4.9", 0), ("CXXABI_1.3.13", 0), ("GLIBCXX_3.4.30", 0)]),
            ("libm.so.6", [("GLIBC_2.35", 0)]),
            ("libc.so.6", [("GLIBC_2.17", 0)]),
        ]
    ).read()
    assert found.newest("GLIBCXX") == (3, 4, 30)
    assert found.newest("CXXABI") == (1, 3, 13)
    assert found.newest() == (2, 35)
    assert found.newest("GLIB.") == ()


def test_weak_versions_may_be_missing() -> None:
    """glibc says no more than a word about them, so they raise no demand."""
    found = Made(
        versions=[
            ("libc.so.6", [("GLIBC_2.17", 0), ("GLIBC_2.38", 2)]),
            ("libm.so.6", [("GLIBC_2.39", 2)]),
        ]
    ).read()
    assert found.versions == {"libc.so.6": ("GLIBC_2.17",)}
    assert found.weak_versions == {"libc.so.6": ("GLIBC_2.38",), "libm.so.6": ("GLIBC_2.39",)}
    assert found.newest() == (2, 17)


@pytest.mark.parametrize("flags", [(0, 2), (2, 0)])
def test_one_firm_demand_is_enough(flags: tuple[int, int]) -> None:
    found = Made(versions=[("libc.so.6", [("GLIBC_2.38", flag)]) for flag in flags]).read()
    assert (found.versions, found.weak_versions) == ({"libc.so.6": ("GLIBC_2.38",)}, {})


def test_a_library_that_is_listed_twice() -> None:
    found = Made(versions=[("libc.so.6", [("A_1", 0), ("A_2", 0)]), ("libc.so.6", [("A_2", 0), ("A_3", 0)])]).read()
    assert found.versions == {"libc.so.6": ("A_1", "A_2", "A_3")}


def test_nothing_asked() -> None:
    found = Made(needed=(), versions=()).read()
    assert (found.soname, found.needed, found.versions, found.newest()) == ("", (), {}, ())


# Stack and text


@pytest.mark.parametrize(
    ("machine", "stack", "executable"),
    [
        (62, 7, True),
        (62, 6, False),
        (62, None, True),  # glibc's default on x86_64,
        (183, 7, True),
        (183, 6, False),
        (183, None, False),  # and on aarch64
    ],
)
@pytest.mark.parametrize("kind", [2, 3])
def test_executable_stack(machine: int, stack: int | None, executable: bool, kind: int) -> None:
    assert Made(machine=machine, stack=stack, kind=kind).read().executable_stack is executable


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stack", [6, 7])
def test_executable_stack_in_all_layouts(layout: tuple[str, int], stack: int) -> None:
    assert Made(layout=layout, stack=stack).read().executable_stack is (stack == 7)


@pytest.mark.parametrize("kind", [1, 4])
def test_what_is_not_run_has_no_stack(kind: int) -> None:
    assert Made(kind=kind, stack=None).read().executable_stack is False


@pytest.mark.parametrize(
    ("flags", "text"),
    [({}, False), ({TEXTREL: 0}, True), ({FLAGS: 4}, True), ({FLAGS: 12}, True), ({FLAGS: 8}, False)],
)
def test_text_relocations(flags: Mapping[int, int], text: bool) -> None:
    assert Made(flags=flags).read().text_relocations is text


# Damage


def test_every_place_that_a_number_can_point_to() -> None:
    size = len(Made().content())
    for tags, told in (
        ({STRTAB: 0}, "string table is at address 0x0"),
        ({STRTAB: 1 << 63}, "string table is at address 0x8000000000000000"),
        ({STRTAB: BASE + size}, "string table is at address"),  # the first byte behind
        ({VERNEED: 1}, "table of versions is at address 0x1"),
        ({VERNEED: BASE + size - 8}, "table of versions should go on at byte"),
        ({NEEDED: 1 << 40}, "DT_NEEDED is text 1099511627776"),
        ({STRSZ: 0}, "of its string table, which has no such text"),
        ({STRSZ: 5}, "of its string table, which has no such text"),
    ):
        assert told in Made(tags=tags).broken()
    assert "DT_SONAME is text 9999" in Made(paths={SONAME: ""}, tags={SONAME: 9999}).broken()
    assert "DT_RPATH is text 9999" in Made(paths={RPATH: ""}, tags={RPATH: 9999}).broken()


def test_a_string_table_may_claim_more_than_there_is() -> None:
    """Only its segment counts then."""
    assert Made(tags={STRSZ: 1 << 60}).read().needed == ("libm.so.6", "libc.so.6")


def test_a_text_without_end() -> None:
    made = Made(needed=["x"], versions=())
    tags = {STRTAB: BASE + len(made.content()), STRSZ: 1 << 60}
    assert "DT_NEEDED is text 1" in replace(made, tags=tags, tail=b"\0abc").broken()
    assert replace(made, tags=tags, tail=b"\0abc\0").read().needed == ("abc",)
    assert "DT_NEEDED is text 1" in replace(made, tags={**tags, STRSZ: 4}, tail=b"\0abc\0").broken()


def test_no_string_table() -> None:
    content = Made(needed=["x"], versions=()).content()
    without = content.replace(struct.pack("<QQ", STRSZ, 3), struct.pack("<QQ", 99, 3))
    assert without != content
    with pytest.raises(ElfError, match="DT_NEEDED is text 1 of its string table, which has no such text"):
        elf.read(without)


def test_a_dynamic_table_without_end() -> None:
    assert "dynamic table has no end" in Made(end=False).broken()


def test_headers() -> None:
    good = Made().content()
    for at, value, told in (
        (4, b"\0", "neither of 32 nor of 64 bit"),
        (4, b"\3", "neither of 32 nor of 64 bit"),
        (5, b"\0", "no byte order"),
        (5, b"\3", "no byte order"),
        (32, b"\xff" * 8, "program headers should go on at byte 18446744073709551615"),
        (54, b"\x38\x01", "312 bytes a program header"),
        (54, b"\0\0", "0 bytes a program header"),
        (56, b"\xff\xff", "."),  # what comes behind is read as program headers, until one is out of bounds
        (64 + 8, b"\1", "cut off: it has"),  # offset of the first segment
        (64 + 56 + 16, b"\0" * 8, "dynamic table is at address 0x0"),
    ):
        broken = good[:at] + value + good[at + len(value) :]
        with pytest.raises(ElfError, match=re.escape(told) if told != "." else "."):
            elf.read(broken)


def test_no_program_headers() -> None:
    """Nothing to load, so nothing to ask for; a file of sections alone is cut off when they are."""
    good = bytearray(Made(kind=1).content())
    good[56:58] = b"\0\0"
    good[54:56] = b"\0\0"
    assert whole(bytes(good)) == ElfFile(machine="x86_64", kind=Kind.RELOCATABLE)
    good[40:48] = (len(good) - 64).to_bytes(8, "little")
    good[58:62] = struct.pack("<2H", 64, 1)
    assert elf.read(bytes(good))
    with pytest.raises(ElfError, match="section headers lie behind its end"):
        elf.read(bytes(good[:-1]))


def test_segments() -> None:
    far = 1 << 50
    assert Made(loads=[(far, far, 0)]).read().needed  # all zeros at run time: it fills no byte of the file
    assert "cut off" in Made(loads=[(far, far, 1)]).broken()
    assert "cut off" in Made(layout=BIG_32, loads=[(0xFFFFFFFF, 0, 0xFFFFFFFF)]).broken()


def need(aux: int = 16, step: int = 0, version: int = 1, file: int = 0) -> bytes:
    return struct.pack("<2H3I", version, 1, file, aux, step)


def name_of(step: int = 0, text: int = 0) -> bytes:
    return struct.pack("<I2H2I", 0, 0, 2, text, step)


@pytest.mark.parametrize(
    ("records", "told"),
    [
        (need(version=2) + name_of(), "has format 2"),
        (need(version=0) + name_of(), "has format 0"),
        (need(aux=0), "runs in a circle"),
        (need(aux=1 << 31), "should go on at byte"),
        (need(step=0xFFFFFFFF) + name_of(), "should go on at byte"),
        (need() + name_of(step=0xFFFFFFF0), "should go on at byte"),
        (need() + name_of(text=0xFFFFFFFF), "a version is text 4294967295"),
        (need(file=0xFFFFFFFF) + name_of(), "a library with versions is text 4294967295"),
        (need(aux=32, step=16) + need(aux=16) + name_of(), "runs in a circle"),  # two libraries, one chain
        (need(step=16) + name_of() + name_of(), "runs in a circle"),  # the next library is the first one's version
    ],
)
def test_chains_of_versions(records: bytes, told: str) -> None:
    assert told in Made(needed=(), raw_versions=records).broken()


def test_chains_without_end_finish() -> None:
    """Steps of one byte: each record lies in the one before."""
    assert Made(raw_versions=need(step=1) + b"\1\0\1\0" * 50_000).broken()
    assert Made(raw_versions=need() + name_of(step=1) + b"\0\0\0\1" * 50_000).broken()
    many = b"".join(need(aux=16 * (100_000 - i), step=16) for i in range(100_000))
    assert "circle" in Made(raw_versions=many + name_of(16) * 1000 + name_of()).broken()


def test_one_long_name_a_thousand_times() -> None:
    long = "x" * (elf.MOST_TEXT // 500)
    assert Made(needed=[long], versions=()).read().needed == (long,)
    made = Made(needed=[*[""] * 1000, long], versions=())
    at = struct.pack("<QQ", NEEDED, 1001)
    content = made.content()
    assert at in content
    for index in range(1, 1001):
        content = content.replace(struct.pack("<QQ", NEEDED, index), at)
    with pytest.raises(ElfError, match=f"names have more than {elf.MOST_TEXT} bytes"):
        elf.read(content)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_truncation(layout: tuple[str, int]) -> None:
    content = full(layout).content()
    for length in range(4, len(content)):
        with pytest.raises(ElfError):
            elf.read(content[:length])


def harmless(content: bytes) -> None:
    """Facts that can be used, or ElfError."""
    try:
        found = elf.read(content)
    except ElfError as error:
        assert str(error).encode()
        return
    if found:
        texts = [found.machine, found.soname, *found.needed, *found.rpath, *found.runpath, *found.versions]
        assert all(text.encode() == text.encode() for text in texts)
        assert all(isinstance(number, int) for number in found.newest())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_byte_changed(layout: tuple[str, int]) -> None:
    content = bytearray(full(layout).content())
    for at, right in enumerate(content):
        for value in (0, 1, 0x7F, 0x80, 0xFF, right ^ 1, right ^ 0x10):
            content[at] = value
            harmless(bytes(content))
        content[at] = right


# Real files


def program(name: str) -> str:
    found = shutil.which(name)
    if not found or sys.platform != "linux":
        pytest.skip(f"no {name} for ELF files on this machine")
    return found


@pytest.fixture
def build(tmp_path: Path) -> Compile:
    """build(source, *flags) -> a file that gcc made; a skip where gcc cannot make it (as for another machine)."""
    compiler = program("gcc")

    def make(source: str, *flags: str | Path, name: str = "made.so", optional: bool = False) -> Path:
        (tmp_path / "source.c").write_text(source)
        command: list[str | Path] = [compiler, "-O1", tmp_path / "source.c", "-o", tmp_path / name, *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode and optional:
            pytest.skip(f"gcc does not take {flags}: {done.stderr.strip()[:200]}")
        assert not done.returncode, done.stderr
        return tmp_path / name

    return make


SOURCE = """
#include <stdio.h>
#include <string.h>
int twice(const char *text) { char room[64]; return strlen(strcpy(room, text)) + puts(room); }
"""
ALONE = "int twice(int number) { return 2 * number; }\n"
TYPES = {"REL": Kind.RELOCATABLE, "EXEC": Kind.EXECUTABLE, "DYN": Kind.SHARED, "CORE": Kind.CORE}
NAMES = {
    "X86-64": "x86_64",
    "AArch64": "aarch64",
    "80386": "i686",
    "ARM": "armv7l",
    "S/390": "s390x",
    "PowerPC": "machine 20",
}


def told_by_readelf(file: Path) -> ElfFile:
    command: list[str | Path] = [program("readelf"), "-h", "-l", "-d", "-V", "-W", file]
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    text = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    def all_of(pattern: str) -> list[str]:
        return re.findall(pattern, text, re.MULTILINE)

    def one(pattern: str) -> str:
        return next(iter(all_of(pattern)), "")

    machine = one(r"^  Machine: +(.*)").split()[-1]
    versions: dict[bool, dict[str, list[str]]] = {False: {}, True: {}}
    library = ""
    for file_name, version, flags in re.findall(
        r"Version: 1  File: (\S+)  Cnt|Name: (\S+)  Flags: (.+?)  Version: ",
        text.partition("Version needs section")[2],
    ):
        library = file_name or library
        if version:
            versions["WEAK" in flags].setdefault(library, []).append(version)
    stack = all_of(r"^  GNU_STACK .* ([R ][W ][E ]) 0x")
    rpath, runpath = one(r"\(RPATH\).*\[(.*)\]"), one(r"\(RUNPATH\).*\[(.*)\]")
    return ElfFile(
        machine=NAMES.get(machine, machine),
        kind=TYPES[one(r"^  Type: +(\w+)")],
        soname=one(r"\(SONAME\).*\[(.*)\]"),
        needed=tuple(all_of(r"\(NEEDED\).*\[(.*)\]")),
        rpath=tuple(rpath.split(":")) if rpath else (),
        runpath=tuple(runpath.split(":")) if runpath else (),
        versions={name: tuple(found) for name, found in versions[False].items()},
        weak_versions={name: tuple(found) for name, found in versions[True].items()},
        executable_stack="E" in stack[0] if stack else whole(file.read_bytes()).executable_stack,  # it does not say
        text_relocations=bool(all_of(r"\(TEXTREL\)|\(FLAGS\).*\bTEXTREL")),
    )


def same_as_readelf(file: Path) -> ElfFile:
    found = whole(file.read_bytes())
    assert found == told_by_readelf(file), file
    return found


def test_a_shared_object(build: Compile) -> None:
    found = same_as_readelf(build(SOURCE, "-shared", "-fPIC", "-Wl,-soname,libtwice.so.3"))
    assert found.kind is Kind.SHARED
    assert found.soname == "libtwice.so.3"
    assert not found.executable_stack
    assert not found.text_relocations
    if platform.machine() in ("x86_64", "aarch64") and sys.maxsize > 2**32:
        assert found.machine == platform.machine()
    if platform.libc_ver()[0] == "glibc":
        assert "libc.so.6" in found.needed
        assert found.newest() >= (2, 2, 5)


@pytest.mark.parametrize(("flag", "old"), [("--disable-new-dtags", True), ("--enable-new-dtags", False)])
def test_rpath_and_runpath(build: Compile, flag: str, old: bool) -> None:
    found = same_as_readelf(build(SOURCE, "-shared", "-fPIC", "-Wl,-rpath,$ORIGIN/../lib:/opt/lib", f"-Wl,{flag}"))
    path = ("$ORIGIN/../lib", "/opt/lib")
    assert (found.rpath, found.runpath) == ((path, ()) if old else ((), path))


@pytest.mark.parametrize("flag", ["execstack", "noexecstack"])
def test_the_stack_that_was_asked_for(build: Compile, flag: str) -> None:
    found = same_as_readelf(build(ALONE, "-shared", "-fPIC", "-nostdlib", "-Wl,-z," + flag))
    assert found.executable_stack is (flag == "execstack")


def test_text_that_is_relocated(build: Compile) -> None:
    source = ALONE + '__asm__(".text\\n.quad outside\\n");\n'
    found = same_as_readelf(build(source, "-shared", "-fPIC", "-nostdlib", "-Wl,-z,notext", optional=True))
    assert found.text_relocations


def test_versions_of_another_library(build: Compile, tmp_path: Path) -> None:
    (tmp_path / "map").write_text("DEP_1.2 { global: one; local: *; };\nDEP_1.10 { global: two; } DEP_1.2;\n")
    dep = build(
        "int one(void) { return 1; }\nint two(void) { return 2; }\n",
        *("-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libdep.so.1", f"-Wl,--version-script,{tmp_path / 'map'}"),
        name="libdep.so",
    )
    source = "int one(void);\nint two(void);\nint both(void) { return one() + two(); }\n"
    found = same_as_readelf(build(source, "-shared", "-fPIC", "-nostdlib", dep))
    assert found.needed == ("libdep.so.1",)
    assert {library: set(names) for library, names in found.versions.items()} == {
        "libdep.so.1": {"DEP_1.2", "DEP_1.10"}
    }
    assert found.newest("DEP") == (1, 10)
    assert found.newest() == ()
    assert same_as_readelf(dep).versions == {}  # what it defines is not what it asks for


def test_a_static_program_asks_for_nothing(build: Compile) -> None:
    flags = ("-static", "-no-pie", "-nostdlib", "-ffreestanding", "-Wl,-e,twice", "-Wl,-z,noexecstack")
    found = same_as_readelf(build(ALONE, *flags, name="program"))
    assert found == ElfFile(machine=found.machine, kind=Kind.EXECUTABLE)


def test_a_relocatable_asks_for_nothing(build: Compile) -> None:
    file = build(SOURCE, "-c", name="made.o")
    found = same_as_readelf(file)
    assert found == ElfFile(machine=found.machine, kind=Kind.RELOCATABLE)
    with pytest.raises(ElfError, match="cut off"):
        elf.read(file.read_bytes()[:-1])


@pytest.mark.parametrize(("flag", "machine"), [("-m32", "i686"), ("-mx32", "x32")])
def test_the_other_machines_of_x86(build: Compile, flag: str, machine: str) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("not an x86_64 machine")
    file = build(ALONE, "-shared", "-nostdlib", "-Wl,-soname,x.so", flag, optional=True)
    found = whole(file.read_bytes())
    assert (found.machine, found.soname, found.kind) == (machine, "x.so", Kind.SHARED)


@pytest.mark.parametrize("flags", [[], ["-s"]])
def test_section_headers_are_not_needed(build: Compile, flags: list[str]) -> None:
    file = build(SOURCE, "-shared", "-fPIC", "-Wl,-soname,x.so", "-Wl,-rpath,/x", *flags)
    content = bytearray(file.read_bytes())
    wide = content[4] == 2
    start, size = (40, 8) if wide else (32, 4)
    content[start : start + size] = bytes(size)
    counts = 60 if wide else 48  # e_shnum and e_shstrndx
    content[counts : counts + 4] = bytes(4)
    assert whole(bytes(content)) == whole(file.read_bytes())


def test_separate_debug_information(build: Compile, tmp_path: Path) -> None:
    """It has the program headers of its library, but not their bytes."""
    file = build(SOURCE, "-shared", "-fPIC", "-g", "-Wl,-soname,x.so")
    subprocess.run([program("objcopy"), "--only-keep-debug", file, tmp_path / "made.debug"], check=True)
    found = whole((tmp_path / "made.debug").read_bytes())
    assert found == ElfFile(machine=found.machine, kind=Kind.SHARED)


def real_files() -> list[Path]:
    """Of this machine and this Python; the C library is the one that this process has loaded."""
    modules = [Path(sysconfig.get_path("platlib")), Path(sysconfig.get_config_var("DESTSHARED") or "/nowhere")]
    files = [Path("/bin/ls"), Path(sys.executable)]
    files += [file for folder in modules for file in sorted(folder.rglob("*.so"))]
    maps = Path("/proc/self/maps")
    if maps.exists():
        mapped = re.findall(r" (/\S+\.so(?:\.[0-9.]+)?)$", maps.read_text(), re.MULTILINE)
        files += sorted({Path(file) for file in mapped})
    return list(dict.fromkeys(file.resolve() for file in files if file.is_file()))


def test_real_files() -> None:
    program("readelf")
    files = real_files()
    found = {file: same_as_readelf(file) for file in files}
    assert found
    if platform.libc_ver()[0] == "glibc":
        assert found[Path("/bin/ls").resolve()].newest() > (2, 2)
        assert any(facts.soname == "libc.so.6" for facts in found.values())


@pytest.mark.parametrize(("layout", "machine"), [*zip(LAYOUTS, [183, 22, 3, 20], strict=True)])
def test_hand_made_files_are_what_they_should_be(tmp_path: Path, layout: tuple[str, int], machine: int) -> None:
    """Without versions, which readelf finds by the section headers."""
    (tmp_path / "made.so").write_bytes(replace(full(layout, machine), versions=(), stack=7).content())
    same_as_readelf(tmp_path / "made.so")


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Real files to be damaged, small ones first."""
    files = [file for file in real_files() if file.read_bytes().startswith(elf.MAGIC)]
    contents = [file.read_bytes() for file in sorted(files, key=lambda file: file.stat().st_size)[:5]]
    if not contents:
        pytest.skip("no ELF files on this machine")
    return contents


@given(data=st.data())
def test_a_real_file_cut_off(victims: list[bytes], data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(victims))
    harmless(content[: data.draw(st.integers(0, len(content)))])


@given(data=st.data())
def test_a_real_file_with_other_bytes(victims: list[bytes], data: st.DataObject) -> None:
    """Most of the damage goes where numbers are that are read: headers, dynamic table, table of versions."""
    content = bytearray(data.draw(st.sampled_from(victims)))
    places = {0: min(1024, len(content))}
    at = bytes(content).find(struct.pack("=Q", VERNEED))
    if at > 0:
        places[max(0, at - 512)] = at + 64
        versions = int.from_bytes(content[at + 8 : at + 16], sys.byteorder)
        if versions < len(content):  # in its first segment, where addresses are offsets
            places[versions] = min(versions + 128, len(content))
    near = st.sampled_from(sorted(places.items())).flatmap(lambda span: st.integers(span[0], span[1] - 1))
    places_hit = st.one_of(near, near, near, st.integers(0, len(content) - 1))
    values = st.one_of(st.sampled_from([0, 1, 2, 16, 0x7F, 0x80, 0xFF]), st.integers(0, 255))
    for place, value in data.draw(st.lists(st.tuples(places_hit, values), min_size=1, max_size=8)):
        content[place] = value
    harmless(bytes(content))


@given(st.binary(max_size=400))
def test_anything_after_the_first_bytes(tail: bytes) -> None:
    harmless(elf.MAGIC + tail)
    harmless(elf.MAGIC + b"\2\1\1" + bytes(9) + tail)
