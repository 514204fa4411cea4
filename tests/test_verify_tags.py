"""What a layer may truly declare, why not more, and how long its runtime lasts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import targets
from layerkit.verify.checks import binaries, tags
from layerkit.verify.facts import Bytecode, Entry, Format
from layerkit.verify.subjects import Subject
from test_verify_binaries import ARM, ENTRIES, MODULE, X86, asking, binary, facts, target

ALL = targets.known_runtimes()
BOTH = targets.ARCHITECTURES
LONG_AGO = date(2020, 1, 1)
PLAIN = Entry(path="python/pkg/__init__.py", size=9)


def derived(*entries: Entry, beside: tuple[Entry, ...] = ()) -> tags.Tags:
    return tags.derive(facts(*entries), beside=(facts(*beside, label="used.zip"),) if beside else ())


def told(
    *entries: Entry,
    runtimes: tuple[str, ...] = ("python3.12",),
    architectures: tuple[str, ...] = ("arm64",),
    today: date = LONG_AGO,
) -> list[tuple[str, str]]:
    found = list(tags.check(declared(*entries, runtimes=runtimes, architectures=architectures), today))
    assert all(one.subject == "layer.zip" for one in found)
    return [(one.rule, one.message) for one in found]


def declared(
    *entries: Entry,
    runtimes: tuple[str, ...] = ("python3.12",),
    architectures: tuple[str, ...] = ("arm64",),
) -> Subject:
    wanted = tuple(target(runtime, one) for runtime in runtimes for one in architectures)
    return Subject(facts=facts(*entries), targets=wanted)


def dist(
    name: str,
    *lines: str,
    wheel: tuple[str, ...] = ("py3-none-any",),
    files: tuple[str, ...] = (),
    root: str = "python",
) -> tuple[Entry, ...]:
    """The metadata of a distribution: `lines` of METADATA, tags of WHEEL, `files` of RECORD."""
    home = f"{root}/{name}-1.0.dist-info"
    texts: Mapping[str, str] = {
        "METADATA": "\n".join(("Metadata-Version: 2.1", f"Name: {name}", *lines, "", "Requires-Python: >=9")),
        "WHEEL": "Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in wheel),
        "RECORD": "".join(f"{file},sha256=abc,9\n" for file in files),
    }
    return tuple(Entry(path=f"{home}/{file}", text=text) for file, text in texts.items())


# -- what is derived


def test_pure_python_runs_everywhere() -> None:
    found = derived(PLAIN)
    assert (found.architectures, found.runtimes, found.reasons, found.pure) == (BOTH, ALL, {}, True)


def test_an_extension_of_one_python() -> None:
    found = derived(binary(), PLAIN)
    assert (found.architectures, found.runtimes, found.pure) == (("arm64",), ("python3.12",), False)
    assert found.reasons["x86_64"] == f"{MODULE} is for aarch64"
    assert found.reasons["python3.13"] == f"{MODULE} is for CPython 3.12 on aarch64-linux-gnu"
    assert set(found.reasons) == {"x86_64", *ALL} - {"python3.12"}


def test_a_library_without_a_tag_says_nothing_of_python() -> None:
    found = derived(binary("python/pkg/libfoo.so", machine=X86))
    assert (found.architectures, found.runtimes) == (("x86_64",), ALL)


def test_of_no_architecture() -> None:
    found = derived(binary("python/pkg/_a.so", machine=ARM), binary("python/pkg/_b.so", machine=X86))
    assert found.architectures == ()
    assert found.reasons["arm64"] == "python/pkg/_b.so is for x86_64"
    assert found.reasons["x86_64"] == "python/pkg/_a.so is for aarch64"


def test_binaries_that_lambda_cannot_run_are_of_no_architecture() -> None:
    mac = Entry(path="python/pkg/_a.cpython-312-darwin.so", format=Format.MACH_O)
    assert (derived(mac).architectures, derived(mac).pure) == ((), False)
    assert derived(mac).reasons["arm64"] == "python/pkg/_a.cpython-312-darwin.so is for macOS (Mach-O)"
    assert derived(mac, Entry(path="python/pkg/_a.py")).architectures == BOTH
    windows = Entry(path="python/pkg/_a.pyd", format=Format.PE)
    assert derived(windows).reasons["x86_64"] == "python/pkg/_a.pyd is for Windows (PE)"
    assert derived(Entry(path="python/setuptools/cli.exe", format=Format.PE)).architectures == BOTH
    musl = binary("python/pkg/_a.so", needed=("libc.musl-aarch64.so.1",), versions=())
    assert derived(musl).architectures == ()
    assert derived(musl).reasons["arm64"] == "python/pkg/_a.so is for musl's C library"


def test_with_one_for_each() -> None:
    found = derived(
        binary("python/pkg/_a.cpython-312-aarch64-linux-gnu.so"),
        binary("python/pkg/_a.cpython-312-x86_64-linux-gnu.so", machine=X86),
        binary("python/pkg/_a.cpython-313-aarch64-linux-gnu.so"),
        binary("python/pkg/_a.cpython-313-x86_64-linux-gnu.so", machine=X86),
    )
    assert (found.architectures, found.runtimes) == (BOTH, ("python3.12", "python3.13"))


def test_with_sources_to_fall_back_to() -> None:
    """Python takes them where the extension is for another target: slower, and it works."""
    found = derived(binary(), Entry(path="python/pkg/_a.py"))
    assert (found.architectures, found.runtimes) == (BOTH, ALL)


def test_a_folder_for_each_python() -> None:
    paths = [f"python/lib/{name}/site-packages/pkg/__init__.py" for name in ("python3.11", "python3.12")]
    found = derived(*(Entry(path=path) for path in paths))
    assert found.runtimes == ("python3.11", "python3.12")
    assert found.reasons["python3.13"] == "its modules are in python/lib/python3.11/site-packages"


def test_a_c_library() -> None:
    old = derived(asking("GLIBC_2.26", path="python/pkg/_a.abi3.so"))
    assert old.runtimes == ALL
    new = derived(asking("GLIBC_2.27", path="python/pkg/_a.abi3.so"))
    assert new.runtimes == ("python3.12", "python3.13", "python3.14")
    assert new.reasons["python3.11"] == "python/pkg/_a.abi3.so needs GLIBC_2.27, and python3.11 has 2.26"
    assert derived(asking("GLIBC_2.99", path="python/pkg/_a.abi3.so")).runtimes == ()


def test_libraries_of_gcc() -> None:
    found = derived(asking("GLIBCXX_3.4.25", library="libstdc++.so.6", path="python/pkg/_a.abi3.so"))
    assert found.runtimes == ("python3.12", "python3.13", "python3.14")


def test_requires_python() -> None:
    assert derived(*dist("pkg", "Requires-Python: >=3.12")).runtimes == ("python3.12", "python3.13", "python3.14")
    reason = derived(*dist("pkg", "Requires-Python: >=3.12")).reasons["python3.11"]
    assert reason == "python/pkg-1.0.dist-info requires Python >=3.12"
    assert derived(*dist("pkg", "Requires-Python: <3.12,!=3.10.*")).runtimes == ("python3.11",)


@pytest.mark.parametrize("text", [">=3.10.4", "!=3.10.0", ">=3.8,!=3.9.*", "", "three"])
def test_requires_python_that_some_release_fits(text: str) -> None:
    assert derived(*dist("pkg", f"Requires-Python: {text}")).runtimes == ALL


def test_metadata_ends_where_the_description_begins() -> None:
    assert derived(*dist("pkg")).runtimes == ALL  # the description says: Requires-Python: >=9


def test_the_stable_abi_has_a_beginning() -> None:
    found = derived(*dist("pkg", wheel=("cp312-abi3-manylinux_2_34_aarch64", "cp312-abi3-linux_aarch64")))
    assert found.runtimes == ("python3.12", "python3.13", "python3.14")
    assert found.reasons["python3.11"] == "python/pkg-1.0.dist-info is a wheel for cp312-abi3"
    assert derived(*dist("pkg", wheel=("cp37-abi3-manylinux2014_aarch64",))).runtimes == ALL


def test_a_wheel_of_one_python_whose_modules_have_no_tag() -> None:
    one = ("cp312-cp312-manylinux_2_17_aarch64",)
    assert derived(*dist("pkg", wheel=one, files=("pkg/_a.so",))).runtimes == ("python3.12",)
    assert derived(*dist("pkg", wheel=one, files=("pkg/_a.so", "pkg/_b.abi3.so"))).runtimes == ALL
    assert derived(*dist("pkg", wheel=one, files=("pkg/a.py",))).runtimes == ALL
    assert derived(*dist("pkg", wheel=(*one, "py3-none-any"), files=("pkg/_a.so",))).runtimes == ALL


def test_bytecode_without_a_source() -> None:
    def compiled(path: str, magic: int) -> Entry:
        return Entry(path=path, bytecode=Bytecode(magic=magic, hashed=False, checked=False))

    found = derived(compiled("python/pkg/a.pyc", 3531))
    assert (found.architectures, found.runtimes) == (BOTH, ("python3.12",))
    reason = "python/pkg/a.pyc is bytecode of another Python, without its source"
    assert found.reasons["python3.13"] == reason
    assert derived(compiled("python/pkg/a.pyc", 3531), Entry(path="python/pkg/a.py")).runtimes == ALL
    assert derived(compiled("python/pkg/__pycache__/a.cpython-312.pyc", 3531)).runtimes == ALL


def test_requirements_of_some_runtimes() -> None:
    pkg = dist("pkg", 'Requires-Dist: tomli>=2 ; python_version < "3.11"')
    found = derived(*pkg)
    assert (found.architectures, found.runtimes) == (BOTH, ALL[1:])
    assert found.reasons == {"python3.10": "python/pkg-1.0.dist-info needs tomli there, which is not in the zip"}
    assert derived(*pkg, *dist("tomli")).runtimes == ALL
    assert derived(*pkg, beside=dist("Tomli")).runtimes == ALL
    assert told(*pkg, runtimes=("python3.10",)) == []  # requirements of what is declared have a rule of their own


def test_requirements_of_one_architecture() -> None:
    found = derived(*dist("pkg", "Requires-Dist: fast_thing ; platform_machine == 'x86_64'"))
    assert (found.architectures, found.runtimes) == (("arm64",), ALL)
    assert found.reasons == {"x86_64": "python/pkg-1.0.dist-info needs fast-thing there, which is not in the zip"}


@pytest.mark.parametrize(
    "text",
    [
        "flask",
        "flask ; python_version >= '3.8'",
        "flask ; python_version < '3.8'",
        "pytest ; extra == 'test' and python_version < '3.11'",
        "colorama ; sys_platform == 'win32'",
        "flask ; python_version < ",
        "; python_version < '3.11'",
        "flask ; " + "(" * 900 + "python_version < '3.11'" + ")" * 900,
    ],
)
def test_requirements_that_tell_no_difference(text: str) -> None:
    found = derived(*dist("pkg", f"Requires-Dist: {text}"))
    assert (found.architectures, found.runtimes) == (BOTH, ALL)


def test_spare_parts_of_a_wheel_for_any_platform() -> None:
    """As debugpy has them."""
    files = ("pkg/attach_linux_amd64.so", "pkg/_speed.cp39-win_amd64.pyd", "pkg/attach.dylib")
    binaries_ = (
        binary("python/pkg/attach_linux_amd64.so", machine=X86),
        Entry(path="python/pkg/_speed.cp39-win_amd64.pyd", format=Format.PE),
        Entry(path="python/pkg/attach.dylib", format=Format.MACH_O),
    )
    spare = (*binaries_, *dist("pkg", files=files))
    assert (derived(*spare).architectures, derived(*spare).runtimes) == (BOTH, ALL)
    assert list(binaries.check(declared(*spare))) == []
    # of a wheel for one platform, the same files would be its own
    special = (*binaries_, *dist("pkg", files=files, wheel=("py3-none-manylinux_2_17_x86_64",)))
    assert derived(*special).architectures == ()
    assert {one.rule for one in binaries.check(declared(*special))} == {"elf-machine", "foreign-binary"}
    alone = (binaries_[0], *dist("pkg", files=files))  # a wheel that only calls itself pure
    assert derived(*alone).architectures == ("x86_64",)


# -- what is declared


def test_true_declarations() -> None:
    assert told(PLAIN, runtimes=ALL, architectures=BOTH) == []
    assert told(binary()) == []


def test_false_declarations() -> None:
    assert told(
        *dist("pkg", "Requires-Python: <3.13"), runtimes=("python3.12", "python3.13"), architectures=BOTH
    ) == [("tags", "python3.13 is declared, but python/pkg-1.0.dist-info requires Python <3.13")]
    folder = Entry(path="python/lib/python3.11/site-packages/pkg/__init__.py")
    reason = "python3.12 is declared, but its modules are in python/lib/python3.11/site-packages"
    assert told(folder) == [("tags", reason)]
    assert told(*dist("pkg", wheel=("cp314-abi3-linux_aarch64",))) == [
        ("tags", "python3.12 is declared, but python/pkg-1.0.dist-info is a wheel for cp314-abi3")
    ]


def test_what_the_rules_on_files_tell_is_not_told_again() -> None:
    """So that a waiver of theirs is enough."""
    assert told(binary(machine=X86), binary("python/pkg/_b.so", machine=X86), runtimes=("python3.13",)) == []
    assert told(asking("GLIBC_2.99")) == []


def test_a_runtime_that_is_newer_than_this_layerkit() -> None:
    assert told(PLAIN, runtimes=("python3.99",)) == []
    assert tags.derive(facts(binary()), ("python3.99",)).runtimes == ()
    sourceless = Entry(path="python/a.pyc", bytecode=Bytecode(magic=9999, hashed=False, checked=False))
    assert tags.derive(facts(sourceless), ("python3.99",)).runtimes == ("python3.99",)


def test_what_could_be_declared_beyond() -> None:
    subject = declared(PLAIN)
    assert tags.more(subject, tags.derive(subject.facts)) == (
        "pure Python: true of python3.10 to python3.14 on arm64 and x86_64"
    )
    stable = declared(asking("GLIBC_2.30", path="python/pkg/_a.abi3.so"))
    assert tags.more(stable, tags.derive(stable.facts)) == "true of python3.12 to python3.14 on arm64"
    two = declared(binary(), binary(MODULE.replace("312", "310")))
    assert tags.more(two, tags.derive(two.facts)) == "true of python3.10 and python3.12 on arm64"
    assert tags.more(two, tags.Tags(architectures=("arm64",), runtimes=("a", "b", "c"), reasons={})) == (
        "true of a, b and c on arm64"
    )


def test_nothing_beyond() -> None:
    for subject in (declared(binary()), declared(PLAIN, runtimes=ALL, architectures=BOTH)):
        assert tags.more(subject, tags.derive(subject.facts)) == ""
    none = declared(binary("python/a.so"), binary("python/b.so", machine=X86))
    assert tags.more(none, tags.derive(none.facts)) == ""


# -- how long a runtime lasts

END = date(2028, 10, 31)  # of python3.12


@pytest.mark.parametrize(
    ("today", "message"),
    [
        (END - timedelta(days=181), None),
        (END - timedelta(days=180), "python3.12 gets security updates until 2028-10-31, 180 more days ({})"),
        (END - timedelta(days=2), "python3.12 gets security updates until 2028-10-31, 2 more days ({})"),
        (END, "python3.12 has had no security updates since 2028-10-31 ({})"),
        (END + timedelta(days=999), "python3.12 has had no security updates since 2028-10-31 ({})"),
    ],
)
def test_end_of_life(today: date, message: str | None) -> None:
    source = 'AWS Lambda Developer Guide, "Lambda runtimes"'
    expected = [("end-of-life", message.format(source))] if message else []
    assert told(PLAIN, today=today) == expected


def test_end_of_life_is_told_once_for_each_runtime() -> None:
    found = told(PLAIN, runtimes=("python3.10", "python3.99"), architectures=BOTH, today=date(2027, 1, 1))
    assert [rule for rule, _ in found] == ["end-of-life"]


def test_end_of_life_is_that_of_today() -> None:
    found = list(tags.check(declared(PLAIN, runtimes=("python3.10",))))
    assert [one.rule for one in found] == ["end-of-life"]  # 2026-10-31 has passed


# -- anything at all

LINES = st.sampled_from(["Requires-Dist: ", "Requires-Python: ", "Tag: ", "", "x"])
WORDS = st.sampled_from(["flask", "; python_version < '3.11'", "((", ">=3", "cp312-abi3-x", "python/a.so,,", "~=3"])
TEXTS = st.lists(st.tuples(LINES, WORDS | st.text(max_size=20)).map("".join), max_size=5).map("\n".join)
METADATA = st.builds(
    Entry,
    path=st.sampled_from([f"python/a-1.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD")]),
    text=TEXTS,
)


@given(st.lists(METADATA | ENTRIES, max_size=6))
def test_any_facts_give_tags_with_reasons(entries: list[Entry]) -> None:
    found = derived(*entries)
    assert set(found.architectures) | set(found.runtimes) | set(found.reasons) == {*BOTH, *ALL}
    assert not {*found.architectures, *found.runtimes} & set(found.reasons)
    assert all(reason.isprintable() and len(reason) < 800 for reason in found.reasons.values())
    for _, message in told(*entries):
        assert message.isprintable()
