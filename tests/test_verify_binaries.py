"""Rules on binaries: each one's breach with its words, and what is no breach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elves import RPATH, RUNPATH, SONAME, TEXTREL, Made, whole
from layerkit import targets
from layerkit.model import Target
from layerkit.verify import words
from layerkit.verify.checks import binaries
from layerkit.verify.facts import Entry, Format, Kind, ZipFacts
from layerkit.verify.rules import Severity, rules
from layerkit.verify.subjects import Subject

ARM, X86, I686 = 183, 62, 3
MODULE = "python/pkg/_a.cpython-312-aarch64-linux-gnu.so"


def target(runtime: str = "python3.12", architecture: str = "arm64") -> Target:
    found = targets.find_runtime(runtime)
    assert found
    return found.target(architecture)


def binary(path: str = MODULE, machine: int = ARM, **fields: Any) -> Entry:
    """An ELF file that asks for what each library of C asks for, unless `fields` of Made say else."""
    content = Made(machine=machine, **fields).content()
    return Entry(path=path, size=len(content), format=Format.ELF, elf=whole(content))


def asking(*names: str, library: str = "libc.so.6", path: str = MODULE, weak: bool = False, **fields: Any) -> Entry:
    versions = ((library, tuple((name, 2 if weak else 0) for name in names)),)
    return binary(path, needed=(library,), versions=versions, **fields)


def facts(*entries: Entry, label: str = "layer.zip") -> ZipFacts:
    return ZipFacts(label=label, size=1, sha256="", entries=entries)


def told(
    *entries: Entry,
    runtimes: tuple[str, ...] = ("python3.12",),
    architectures: tuple[str, ...] = ("arm64",),
    used: tuple[Entry, ...] = (),
) -> list[tuple[str, str, str]]:
    declared = tuple(target(runtime, one) for runtime in runtimes for one in architectures)
    before = (facts(*used, label="used.zip"),) if used else ()
    found = list(binaries.check(Subject(facts=facts(*entries), targets=declared, used=before)))
    assert all(one.subject == "layer.zip" for one in found)
    assert all(one.message.startswith(f"{words.shown(one.path)} ") or one.rule == "needed-library" for one in found)
    return [(one.rule, one.path, one.message.removeprefix(f"{words.shown(one.path)} ")) for one in found]


def test_each_rule_has_its_severity() -> None:
    own = {key: rule.severity for key, rule in rules().items() if rule.group == "binaries"}
    warnings = {"library-path", "rpath", "executable-stack", "text-relocations", "end-of-life"}
    assert {key for key, severity in own.items() if severity is Severity.WARNING} == warnings
    assert set(own) - warnings == {
        "elf-machine", "elf-damaged", "foreign-binary", "extension-abi", "musl", "glibc", "libstdcxx",
        "needed-library", "tags",
    }  # fmt: skip


def test_good_binaries() -> None:
    assert told(binary(), binary("python/a/_b.abi3.so"), binary("python/a/_c.so"), binary("bin/tool", kind=2)) == []


def test_text_is_no_binary() -> None:
    assert told(Entry(path="python/a.py", size=1), Entry(path="python/data.bin", size=0)) == []


# -- machines


def test_another_machine() -> None:
    assert told(binary("python/pkg/_a.abi3.so", machine=X86)) == [
        ("elf-machine", "python/pkg/_a.abi3.so", "is for x86_64, and arm64 (aarch64) is declared")
    ]
    assert told(binary("bin/tool", kind=2), architectures=("x86_64",)) == [
        ("elf-machine", "bin/tool", "is for aarch64, and x86_64 is declared")
    ]


def test_every_file_is_named() -> None:
    files = [binary(f"python/pkg/_{number}.so", machine=X86) for number in range(60)]
    assert [path for _, path, _ in told(*files)] == [file.path for file in files]


def test_declared_for_both() -> None:
    found = told(binary("python/pkg/_a.abi3.so"), architectures=("arm64", "x86_64"))
    assert found == [("elf-machine", "python/pkg/_a.abi3.so", "is for aarch64, and x86_64 is declared")]


def test_an_extension_of_another_machine_is_told_once() -> None:
    found = told(binary("python/a/_b.cpython-312-x86_64-linux-gnu.so", machine=X86))
    assert [rule for rule, _, _ in found] == ["elf-machine"]


def test_an_extension_of_another_machine_and_python() -> None:
    found = told(binary("python/a/_b.cpython-311-x86_64-linux-gnu.so", machine=X86))
    assert [rule for rule, _, _ in found] == ["extension-abi", "elf-machine"]


@pytest.mark.parametrize("kind", [1, 4])
def test_relocatables_and_core_files_are_not_loaded(kind: int) -> None:
    assert told(binary("python/a/x.o", machine=X86, kind=kind)) == []


@pytest.mark.parametrize(
    ("other", "own"),
    [
        ("python/a/linux-x86_64/b.so", "python/a/linux-aarch64/b.so"),
        ("python/a/attach_amd64.so", "python/a/attach_arm64.so"),
        ("bin/tool-x64", "bin/tool-arm64"),
    ],
)
def test_one_for_each_machine(other: str, own: str) -> None:
    assert told(binary(other, machine=X86), binary(own)) == []
    assert told(binary(other, machine=X86), binary(own.replace("a", "z")))[0][0] == "elf-machine"


def test_an_extension_that_python_passes_over() -> None:
    other = binary("python/a/_b.cpython-312-x86_64-linux-gnu.so", machine=X86)
    assert told(other, binary("python/a/_b.cpython-312-aarch64-linux-gnu.so")) == []
    assert told(other, binary("python/a/_b.abi3.so")) == []
    assert told(other, Entry(path="python/a/_b.py")) == []


def test_python_takes_the_most_special_of_its_extensions() -> None:
    plain, exact = "python/a/_b.so", "python/a/_b.cpython-312-aarch64-linux-gnu.so"
    assert told(binary(plain, machine=X86), binary(exact)) == []
    found = told(binary(plain), binary(exact, machine=X86))
    assert [(rule, path) for rule, path, _ in found] == [("elf-machine", exact)]


def test_a_source_does_not_save_an_extension_that_python_takes_first() -> None:
    found = told(binary("python/a/_b.so", machine=X86), Entry(path="python/a/_b.py"))
    assert [rule for rule, _, _ in found] == ["elf-machine"]


# -- damage


def test_damaged() -> None:
    entry = Entry(path="bin/tool", size=9, format=Format.ELF, damage="the header is\x1b cut off")
    assert told(entry) == [("elf-damaged", "bin/tool", "is a damaged ELF file: the header is\\x1b cut off")]


@pytest.mark.parametrize("path", ["python/a/_b.so", "lib/libz.so.1", "lib/libz.so.1.2.11"])
def test_libraries_that_are_none(path: str) -> None:
    assert told(Entry(path=path)) == [("elf-damaged", path, "is empty, though it is named as a shared library")]
    why = (
        "is no ELF file (1,234 bytes), though it is named as a shared library: perhaps a Git LFS pointer, or a link "
        "that was copied as text"
    )
    assert told(Entry(path=path, size=1234)) == [("elf-damaged", path, why)]


@pytest.mark.parametrize(
    "path", ["__MACOSX/python/a/._b.cpython-312-darwin.so", "python/a/._b.cpython-311-aarch64-linux-gnu.so"]
)
def test_what_macos_leaves_is_no_library(path: str) -> None:
    assert told(Entry(path=path, size=84)) == []
    assert told(Entry(path=path)) == []
    real = path.replace("__MACOSX/", "").replace("._", "_")
    assert told(Entry(path=real, size=84))[0][0] == "elf-damaged"


def test_what_was_not_read_is_not_judged() -> None:
    assert told(Entry(path="python/a/_b.so", unread="it is encrypted")) == []


@pytest.mark.parametrize("path", ["python/a.so.txt", "python/a.sock", "python/so", "python/xso"])
def test_names_that_are_no_libraries(path: str) -> None:
    assert told(Entry(path=path)) == []


# -- macOS, Windows


@pytest.mark.parametrize("name", ["_b.so", "_b.abi3.so", "_b.cpython-312-darwin.so"])
def test_modules_of_a_mac(name: str) -> None:
    entry = Entry(path=f"python/a/{name}", size=9, format=Format.MACH_O)
    why = "is a binary for macOS (Mach-O), and Lambda runs Linux"
    assert told(entry) == [("foreign-binary", f"python/a/{name}", why)]


@pytest.mark.parametrize("name", ["_b.pyd", "_b.cp312-win_amd64.pyd"])
def test_modules_of_windows(name: str) -> None:
    entry = Entry(path=f"python/a/{name}", size=9, format=Format.PE)
    why = "is a binary for Windows (PE), and Lambda runs Linux"
    assert told(entry) == [("foreign-binary", f"python/a/{name}", why)]
    assert told(entry, binary("python/a/_b.cpython-312-aarch64-linux-gnu.so")) == []


def test_the_only_library_of_a_package() -> None:
    entry = Entry(path="python/xgboost/lib/libxgboost.dylib", size=9, format=Format.MACH_O)
    assert [rule for rule, _, _ in told(entry)] == ["foreign-binary"]
    assert [rule for rule, _, _ in told(entry, binary("python/other/lib/libother.so"))] == ["foreign-binary"]
    assert told(entry, binary("python/xgboost/lib/libxgboost.so")) == []


def test_spare_parts_for_other_systems() -> None:
    launchers = [Entry(path="python/setuptools/cli-64.exe", size=9, format=Format.PE)]
    launchers += [Entry(path="python/pythonnet/runtime/Python.Runtime.dll", size=9, format=Format.PE)]
    assert told(*launchers) == []


# -- names of extension modules


@pytest.mark.parametrize(
    ("name", "made_for"),
    [
        ("_b.cpython-311-aarch64-linux-gnu.so", "CPython 3.11 on aarch64-linux-gnu"),
        ("_b.cpython-312-x86_64-linux-gnu.so", "CPython 3.12 on x86_64-linux-gnu"),
        ("_b.cpython-312t-aarch64-linux-gnu.so", "CPython 3.12t on aarch64-linux-gnu"),
        ("_b.cpython-36m-aarch64-linux-gnu.so", "CPython 3.6m on aarch64-linux-gnu"),
        ("_b.cpython-312.so", "CPython 3.12"),
        ("_b.pypy310-pp73-aarch64-linux-gnu.so", "pypy310-pp73-aarch64-linux-gnu"),
    ],
)
def test_extensions_of_another_python(name: str, made_for: str) -> None:
    takes = "python3.12 on arm64 (aarch64) takes .cpython-312-aarch64-linux-gnu.so, .abi3.so or .so"
    assert told(binary(f"python/a/{name}")) == [
        ("extension-abi", f"python/a/{name}", f"is for {made_for}, and {takes}")
    ]
    assert told(binary(f"python/a/{name}"), binary("python/a/_b.abi3.so")) == []


def test_extensions_for_two_runtimes() -> None:
    both = ("python3.12", "python3.13")
    found = told(binary(), runtimes=both)
    assert [(rule, message.partition(",")[0]) for rule, _, message in found] == [
        ("extension-abi", "is for CPython 3.12 on aarch64-linux-gnu")
    ]
    assert "python3.13" in found[0][2]
    assert told(binary(), binary(MODULE.replace("312", "313")), runtimes=both) == []


def test_each_python_has_a_folder_of_its_own() -> None:
    first = binary("python/lib/python3.12/site-packages/a/_b.cpython-312-aarch64-linux-gnu.so")
    second = binary("python/lib/python3.13/site-packages/a/_b.cpython-313-aarch64-linux-gnu.so")
    assert told(first, second, runtimes=("python3.12", "python3.13")) == []
    assert told(binary("python/lib/_b.cpython-311-aarch64-linux-gnu.so"))[0][0] == "extension-abi"


def test_the_right_one_may_be_in_a_layer_that_is_used() -> None:
    assert told(binary(MODULE.replace("312", "311")), used=(binary(),)) == []


@pytest.mark.parametrize("path", ["python/a.libs/libz-1.2.so", "lib/_b.cpython-311-aarch64-linux-gnu.so"])
def test_libraries_are_no_extensions(path: str) -> None:
    assert told(binary(path)) == []


# -- the C library


def test_musl() -> None:
    why = "is for musl's C library, and python3.12 has glibc 2.34"
    by_name = "python/a/_b.cpython-312-aarch64-linux-musl.so"
    assert told(binary(by_name, needed=(), versions=())) == [("musl", by_name, why)]
    by_need = binary("python/a/_b.abi3.so", needed=("libc.musl-aarch64.so.1", "libunheard.so"), versions=())
    assert told(by_need) == [("musl", "python/a/_b.abi3.so", why)]
    assert told(binary("python/a/_b.abi3.so", needed=("libmuslim.so",)))[0][0] == "needed-library"


def test_musl_beside_glibc() -> None:
    musl = binary("python/a/tool-linux-arm64-musl", needed=("libc.musl-aarch64.so.1",), versions=(), kind=2)
    assert told(musl, binary("python/a/tool-linux-arm64-gnu", kind=2)) == []
    assert [rule for rule, _, _ in told(musl)] == ["musl"]


def test_glibc() -> None:
    assert told(asking("GLIBC_2.17", "GLIBC_2.34")) == []
    assert told(asking("GLIBC_2.17", "GLIBC_2.38", "GLIBC_2.35")) == [
        ("glibc", MODULE, "needs GLIBC_2.38, and python3.12 has 2.34")
    ]
    old = MODULE.replace("312", "311")
    assert told(asking("GLIBC_2.27", path=old), runtimes=("python3.11",)) == [
        ("glibc", old, "needs GLIBC_2.27, and python3.11 has 2.26")
    ]


def test_versions_are_numbers_not_texts() -> None:
    assert told(asking("GLIBC_2.4")) == []
    assert [rule for rule, _, _ in told(asking("GLIBC_2.100"))] == ["glibc"]


def test_features_of_glibc() -> None:
    assert told(asking("GLIBC_2.34", "GLIBC_ABI_DT_RELR")) == [
        ("glibc", MODULE, "needs GLIBC_ABI_DT_RELR, and python3.12 has 2.34")
    ]


def test_weak_and_private_versions_do_not_count() -> None:
    assert told(asking("GLIBC_2.38", weak=True)) == []
    assert told(asking("GLIBC_PRIVATE")) == []


@pytest.mark.parametrize(
    ("library", "good", "bad", "has"),
    [
        ("libstdc++.so.6", "GLIBCXX_3.4.33", "GLIBCXX_3.4.34", "3.4.33"),
        ("libstdc++.so.6", "CXXABI_1.3.15", "CXXABI_1.3.16", "1.3.15"),
        ("libgcc_s.so.1", "GCC_14.0.0", "GCC_15.0.0", "14.0.0"),
    ],
)
def test_libraries_of_gcc(library: str, good: str, bad: str, has: str) -> None:
    assert told(asking(good, library=library)) == []
    assert told(asking(good, bad, library=library)) == [
        ("libstdcxx", MODULE, f"needs {bad}, and python3.12 has {has}")
    ]


def test_versions_of_a_library_that_comes_along() -> None:
    folder = "python/pkg.libs"
    own = binary(f"{folder}/libstdc++.so.6", paths={SONAME: "libstdc++.so.6"})
    with_rpath = asking("GLIBCXX_3.4.99", library="libstdc++.so.6", paths={RPATH: "$ORIGIN/../pkg.libs"})
    assert told(with_rpath, own) == []
    # LD_LIBRARY_PATH, with the runtime's /lib64, comes before DT_RUNPATH
    with_runpath = asking("GLIBCXX_3.4.99", library="libstdc++.so.6", paths={RUNPATH: "$ORIGIN/../pkg.libs"})
    assert [rule for rule, _, _ in told(with_runpath, own)] == ["libstdcxx"]
    in_lib = binary("lib/libstdc++.so.6")
    assert [rule for rule, _, _ in told(asking("GLIBCXX_3.4.99", library="libstdc++.so.6"), in_lib)] == ["libstdcxx"]


# -- libraries


def needing(*names: str, path: str = MODULE, **fields: Any) -> Entry:
    return binary(path, needed=(*names, "libc.so.6"), **fields)


def test_libraries_of_the_runtime() -> None:
    assert told(needing("libz.so.1", "ld-linux-aarch64.so.1", "libstdc++.so.6", "libpython3.12.so.1.0")) == []


def test_missing_libraries() -> None:
    assert told(needing("libGL.so.1", "libX11.so.6")) == [
        ("needed-library", MODULE, "needs libGL.so.1, which neither python3.12 nor the layer has"),
        ("needed-library", MODULE, "needs libX11.so.6, which neither python3.12 nor the layer has"),
    ]
    assert told(needing("libcrypt.so.1", path="bin/x"), runtimes=("python3.11",)) == []
    assert [rule for rule, _, _ in told(needing("libcrypt.so.1", path="bin/x"))] == ["needed-library"]


def missing(*entries: Entry, **declared: tuple[str, ...]) -> list[tuple[str, str]]:
    runtimes, machines = declared.get("runtimes", ("python3.12",)), declared.get("architectures", ("arm64",))
    targets = tuple(target(runtime, one) for runtime in runtimes for one in machines)
    found = binaries.check(Subject(facts=facts(*entries), targets=targets))
    return [(one.path, one.message) for one in found if one.rule == "needed-library"]


def test_a_missing_library_is_told_once_for_all_files_that_need_it() -> None:
    files = [needing("libGL.so.1", path=f"python/a/_{number}.so") for number in range(5)]
    ours = f"{files[0].path}, {files[1].path}, {files[2].path} and 2 more"
    more = [needing("libEGL.so.1", "libGL.so.1", path="python/b.so")]
    assert missing(*more, *files[:4]) == [
        ("python/b.so", "5 files need libGL.so.1, which neither python3.12 nor the layer has (python/b.so, "
         "python/a/_0.so, python/a/_1.so and 2 more)"),
        ("python/b.so", "python/b.so needs libEGL.so.1, which neither python3.12 nor the layer has"),
    ]  # fmt: skip
    why = f"5 files need libGL.so.1, which neither python3.12 nor the layer has ({ours})"
    assert missing(*files, architectures=("arm64", "x86_64")) == [(files[0].path, why)]
    told_of = [message for _, message in missing(*files, runtimes=("python3.12", "python3.13"))]
    assert told_of == [why, why.replace("3.12", "3.13")]


def test_of_very_many_missing_libraries_the_most_needed_are_told() -> None:
    names = [f"lib{number}.so" for number in range(40)]
    found = missing(needing(*names), needing(names[39], path="python/z.so"))
    assert len(found) == 11
    assert found[0][1].startswith("2 files need lib39.so, which")
    assert found[10] == (MODULE, "also needed and missing: lib9.so, lib10.so, lib11.so and 27 more")


@pytest.mark.parametrize(
    ("paths", "place"),
    [
        ({RPATH: "$ORIGIN/../pkg.libs"}, "python/pkg.libs"),
        ({RUNPATH: "${ORIGIN}/../pkg.libs/."}, "python/pkg.libs"),
        ({RUNPATH: "/nowhere:/opt/tools//x"}, "tools/x"),
        ({RPATH: "$ORIGIN/$LIB"}, "python/pkg/lib64"),
        ({RPATH: "$ORIGIN/${PLATFORM}"}, "python/pkg/aarch64"),
        (None, "lib"),
    ],
)
def test_where_the_loader_looks(paths: Mapping[int, str] | None, place: str) -> None:
    library = binary(f"{place}/libfoo.so.1")
    found = told(needing("libfoo.so.1", paths=paths), library)
    assert [rule for rule, _, _ in found if rule != "rpath"] == []
    assert [rule for rule, _, _ in told(needing("libfoo.so.1", paths=paths))][-1:] == ["needed-library"]


def test_a_link_is_as_good_as_a_file() -> None:
    link = Entry(path="lib/libfoo.so.1", kind=Kind.LINK, link="libfoo.so.1.2")
    assert told(needing("libfoo.so.1"), link) == []


def test_a_library_of_another_machine_is_not_found() -> None:
    other = binary("lib/libfoo.so.1", machine=X86)
    assert [rule for rule, _, _ in told(needing("libfoo.so.1"), other)] == ["elf-machine", "needed-library"]


def test_rpath_is_ignored_where_there_is_a_runpath() -> None:
    both = needing("libfoo.so.1", paths={RPATH: "$ORIGIN/a", RUNPATH: "$ORIGIN/b"})
    assert told(both, binary("python/pkg/b/libfoo.so.1")) == []
    assert [rule for rule, _, _ in told(both, binary("python/pkg/c/libfoo.so.1"))] == ["library-path"]


def test_a_library_in_a_layer_that_is_used() -> None:
    assert told(needing("libfoo.so.1"), used=(binary("lib/libfoo.so.1"),)) == []


def test_a_library_that_another_file_has_the_loader_look_for() -> None:
    """libb.so.1 has no path of its own: the module's is searched for it too, or has loaded it before."""
    module = needing("liba.so.1", paths={RPATH: "$ORIGIN/../pkg.libs"})
    libraries = [needing("libb.so.1", path="python/pkg.libs/liba.so.1"), binary("python/pkg.libs/libb.so.1")]
    assert told(module, *libraries) == []


def test_a_library_where_nothing_looks() -> None:
    why = "needs libfoo.so.1, which is in the layer where no file looks for libraries"
    assert told(needing("libfoo.so.1"), binary("python/other/libfoo.so.1")) == [("library-path", MODULE, why)]
    by_soname = binary("python/other/libfoo-1.so", paths={SONAME: "libfoo.so.1"})
    assert told(needing("libfoo.so.1"), by_soname) == [("library-path", MODULE, why)]


def test_a_module_that_its_package_does_without() -> None:
    name = "numba/np/ufunc/omppool.cpython-312-aarch64-linux-gnu.so"
    assert told(needing("libgomp.so.1", path=f"python/{name}")) == []
    assert [rule for rule, _, _ in told(needing("libgomp.so.1", path=f"python/not{name}"))] == ["needed-library"]


def test_a_library_by_its_path() -> None:
    assert told(needing("/opt/lib/libfoo.so"), binary("lib/libfoo.so")) == []
    assert [rule for rule, _, _ in told(needing("/usr/local/lib/libfoo.so"))] == ["needed-library"]


# -- habits


@pytest.mark.parametrize(
    ("text", "told_as"),
    [
        ("/build/lib", "/build/lib"),
        ("$ORIGIN/../../../srv", "$ORIGIN/../../../srv"),
        ("/opt/../home", "/opt/../home"),
        ("/optional", "/optional"),
        ("lib", "lib"),
        ("$ORIGIN:", "the working directory"),
        ("/a/" + " " * 150 + "b", "/a/ b"),
        ("/a\x1b:/b", "/a\\x1b, /b"),
    ],
)
def test_strange_folders(text: str, told_as: str) -> None:
    why = f"looks for libraries in {told_as}, which is not below /opt"
    assert told(binary(paths={RUNPATH: text})) == [("rpath", MODULE, why)]
    assert told(binary(paths={RPATH: text})) == [("rpath", MODULE, why)]


@pytest.mark.parametrize(
    "text", ["$ORIGIN", "$ORIGIN/../x.libs", "/opt/lib", "/opt", "/lib64:/usr/lib64", "/var/task"]
)
def test_usual_folders(text: str) -> None:
    assert told(binary(paths={RUNPATH: text})) == []


def test_stacks_and_relocations() -> None:
    assert told(binary(stack=7)) == [("executable-stack", MODULE, "asks for an executable stack")]
    assert told(binary(flags={TEXTREL: 0})) == [
        ("text-relocations", MODULE, "has text relocations: the loader must write into its code")
    ]


# -- anything at all

NAMES = st.sampled_from(["lib", "python", "a", "_b.so", "_b.abi3.so", "libz.so.1", "..", "", "python3.12", "x" * 300])
PATHS = st.lists(NAMES, min_size=1, max_size=6).map("/".join) | st.text(max_size=40)
TEXTS = st.text(max_size=30) | PATHS | st.sampled_from(["$ORIGIN", "${ORIGIN", "$LIB/..", "libc.so.6", "GLIBC_2.99"])


MADE = [whole(Made(machine=machine, kind=kind).content()) for machine in (ARM, X86, I686) for kind in (2, 3)]
SOME = st.lists(TEXTS, max_size=4).map(tuple)
ELVES = st.builds(
    replace,
    st.sampled_from(MADE),
    needed=SOME,
    rpath=SOME,
    runpath=SOME,
    soname=TEXTS,
    versions=st.dictionaries(TEXTS, SOME, max_size=3),
)
ENTRIES = st.builds(
    Entry,
    path=PATHS,
    kind=st.sampled_from(Kind),
    format=st.sampled_from(Format),
    elf=st.none() | ELVES,
    damage=TEXTS,
)


@given(st.lists(ENTRIES, max_size=5))
def test_any_facts_give_findings_that_can_be_printed(entries: list[Entry]) -> None:
    for _, _, message in told(*entries, architectures=("arm64", "x86_64")):
        assert message.isprintable()
        assert len(message) < 1200
