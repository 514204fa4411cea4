"""Rules on bytecode, startup files and names that hide others: each one's breach with its words, and what is none."""

from __future__ import annotations

import importlib.util
import py_compile
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import layerzips
from layerkit.verify.checks import modules
from layerkit.verify.facts import Bytecode, Entry, ZipFacts
from layerkit.verify.reading import zips
from layerkit.verify.rules import Severity, rules
from layerkit.verify.subjects import Subject
from test_verify_layout import entry, facts, target

MAGIC, MAGIC_311 = 3531, 3495
HASH, OTHER = b"12345678", b"87654321"
NOON = 1_700_000_000
SOURCE = "python/flask/app.py"
CACHED = "python/flask/__pycache__/app.cpython-312.pyc"
BARE = "python/flask/app.pyc"
SITE = "python/lib/python3.12/site-packages"


def told(
    *entries: Entry | str, runtimes: tuple[str, ...] = ("python3.12",), used: tuple[ZipFacts, ...] = ()
) -> list[tuple[str, str, str]]:
    subject = Subject(facts=facts(entries), targets=tuple(target(one) for one in runtimes), used=used)
    return [(one.rule, one.path, one.message) for one in modules.check(subject)]


def source(path: str = SOURCE, **fields: object) -> Entry:
    return entry(path, **{"size": 120, "modified": NOON, "source_hashes": {MAGIC: HASH}, **fields})


def hashed(path: str = CACHED, **fields: object) -> Entry:
    plain = Bytecode(magic=MAGIC, hashed=True, checked=False, source_hash=HASH, name="/opt/python/flask/app.py")
    return entry(path, bytecode=replace(plain, **fields))  # type: ignore[arg-type]


def timed(path: str = CACHED, *, mtime: int = NOON, source_size: int = 120) -> Entry:
    made = Bytecode(magic=MAGIC, hashed=False, checked=False, mtime=mtime, source_size=source_size)
    return entry(path, bytecode=made)


# -- bytecode


def test_bytecode_that_was_not_read_is_told_of_the_zip_alone() -> None:
    unread = "not read: the zip holds more than 524,288,000 bytes unpacked"
    assert told(source(size=200_000), entry(CACHED, unread=unread)) == []
    assert told(entry(BARE, unread=unread)) == []
    assert [rule for rule, _, _ in told(source(), entry(CACHED))] == ["bytecode-unused"]


def test_what_macos_leaves_is_no_bytecode() -> None:
    folder, _, name = CACHED.rpartition("/")
    assert told(source(), hashed(), entry(f"{folder}/._{name}", damage="too short")) == []


def test_bytecode_that_python_uses_has_no_finding() -> None:
    assert told(source(), hashed()) == []
    assert told(source(), hashed(checked=True)) == []
    assert told(source(), timed()) == []
    assert told(hashed(BARE)) == []
    assert told(source(source_hashes={}), hashed()) == []  # what was not hashed is not judged
    path = f"{SITE}/flask/__pycache__/app.cpython-312.pyc"
    assert told(source(f"{SITE}/flask/app.py"), hashed(path)) == []


def test_bytecode_of_another_source_that_python_would_run() -> None:
    message = "1 bytecode file has another source's hash than the source beside it, and Python runs it without a look"
    assert told(source(), hashed(source_hash=OTHER)) == [("bytecode-wrong", CACHED, f"{message} at that")]


def test_checked_bytecode_of_another_source() -> None:
    message = (
        "1 bytecode file (checked hash) is of another source than the one beside it, so each start compiles that"
    )
    found = told(source(), hashed(source_hash=OTHER, checked=True))
    assert found == [("bytecode-stale", CACHED, f"{message} again")]


@pytest.mark.parametrize(
    ("fields", "example"),
    [
        (
            {"mtime": NOON + 1},
            "app.py is of 2023-11-14 22:13:20 in the zip, its bytecode says 2023-11-14 22:13:21",
        ),
        ({"source_size": 119}, "app.py has 120 bytes, its bytecode says 119"),
    ],
)
def test_stale_timestamps(fields: dict[str, int], example: str) -> None:
    message = "1 bytecode file with a timestamp is not of the source in the zip, so each start compiles that again"
    assert told(source(), timed(CACHED, **fields)) == [("bytecode-stale", CACHED, f"{message}: {example}")]


def test_hundreds_of_stale_files_are_one_finding() -> None:
    pairs = [
        (source(f"python/m{n}.py"), timed(f"python/__pycache__/m{n}.cpython-312.pyc", mtime=1)) for n in range(300)
    ]
    found = told(*(one for pair in pairs for one in pair))
    assert [(rule, path) for rule, path, _ in found] == [("bytecode-stale", "python/__pycache__/m0.cpython-312.pyc")]
    assert found[0][2].startswith("300 bytecode files with a timestamp are not of the source in the zip")
    assert found[0][2].endswith("m2.cpython-312.pyc and 297 more)")


def test_times_and_sizes_are_compared_as_bytecode_has_them() -> None:
    assert told(source(size=2**32 + 5, modified=2**32 + 7), timed(mtime=7, source_size=5)) == []


def test_bytecode_without_source_of_another_python() -> None:
    message = "1 bytecode file has no source and cannot be loaded by python3.12: bad magic number"
    of_311 = f"{message} 3495 (of python3.11), not 3531"
    assert told(hashed(BARE, magic=MAGIC_311)) == [("bytecode-magic", BARE, of_311)]
    assert told(hashed(BARE, magic=1))[0][2] == f"{message} 1 (of another Python), not 3531"
    assert told(hashed(BARE), runtimes=("python3.12", "python3.11")) == [
        (
            "bytecode-magic",
            BARE,
            "1 bytecode file has no source and cannot be loaded by python3.11: "
            "bad magic number 3531 (of python3.12), not 3495",
        )
    ]
    broken = entry(BARE, damage="it ends in its head")
    assert told(broken)[0][2].endswith("python3.12: damaged (it ends in its head)")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (
            hashed("python/flask/__pycache__/app.cpython-311.pyc"),
            "made for cpython-311, where cpython-312 is looked for",
        ),
        (
            hashed("python/flask/__pycache__/app.cpython-312.opt-1.pyc"),
            "opt-1 is for python -O, which Lambda does not use",
        ),
        (
            hashed(magic=MAGIC_311),
            "named for cpython-312, but bad magic number 3495 (of python3.11), not 3531",
        ),
        (entry(CACHED, damage="cut off"), "named for cpython-312, but damaged (cut off)"),
        (entry(CACHED), "named for cpython-312, but no bytecode at all"),
        (
            hashed(BARE),
            "Python takes the source beside it and looks for bytecode in __pycache__/*.cpython-312.pyc",
        ),
        (
            hashed("python/flask/__pycache__/gone.cpython-312.pyc"),
            "the source is missing, and without one bytecode must be named module.pyc beside __pycache__",
        ),
    ],
)
def test_bytecode_that_python_does_not_use(made: Entry, why: str) -> None:
    assert told(source(), made) == [("bytecode-unused", made.path, f"1 bytecode file is in the zip in vain: {why}")]


def test_bytecode_that_one_of_the_runtimes_uses_is_not_in_vain() -> None:
    other = hashed("python/flask/__pycache__/app.cpython-313.pyc", magic=3571)
    assert told(source(), hashed(), other, runtimes=("python3.12", "python3.13")) == []
    assert told(source(), hashed(), runtimes=("python3.12", "python3.13")) == []


def test_a_runtime_that_is_newer_than_our_data_is_not_judged_by_its_magic() -> None:
    path = "python/flask/__pycache__/app.cpython-399.pyc"
    assert told(source(source_hashes={1: HASH}), hashed(path, magic=1), runtimes=("python3.99",)) == []


def test_layers_without_bytecode() -> None:
    big = [source(f"python/m{n}.py", size=30_000) for n in range(4)]
    assert told(*big) == [
        (
            "bytecode-missing",
            "python/m0.py",
            "4 modules (120,000 bytes) have no bytecode for python3.12, so each start compiles what it imports "
            "(python/m0.py, python/m1.py, python/m2.py and 1 more)",
        )
    ]
    assert told(*big[:3]) == []  # too little to be felt
    made = [hashed(f"python/__pycache__/m{n}.cpython-312.pyc") for n in range(4)]
    assert told(*big, *made) == []
    assert told(source("python/some-templates/a.py", size=10**6)) == []  # which no import names


def test_paths_in_bytecode() -> None:
    where = "1 bytecode file has a path inside that is not below /opt, such as"
    told_of = f"{where} /build/python/app.py, which tells of the machine that compiled them"
    assert told(source(), hashed(name="/build/python/app.py")) == [("bytecode-path", CACHED, told_of)]
    shown = f"{where} python/app.py, which is what tracebacks show, for want of a source"
    assert told(hashed(BARE, name="python/app.py")) == [("bytecode-path", BARE, shown)]
    assert told(source(), hashed(name="")) == []


# -- .pth files

SETUPTOOLS = (
    "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; "
    "enabled and __import__('_distutils_hack').add_shim(); \n"
)


def namespace(parts: str, name: str, more: str = "") -> str:
    return (
        "import sys, types, os;has_mfs = sys.version_info > (3, 5);"
        f"p = os.path.join(sys._getframe(1).f_locals['sitedir'], *({parts}));"
        "importlib = has_mfs and __import__('importlib.util');has_mfs and __import__('importlib.machinery');"
        f"m = has_mfs and sys.modules.setdefault('{name}', importlib.util.module_from_spec("
        f"importlib.machinery.PathFinder.find_spec('{name}', [os.path.dirname(p)])));"
        f"m = m or sys.modules.setdefault('{name}', types.ModuleType('{name}'));"
        f"mp = (m or []) and m.__dict__.setdefault('__path__',[]);(p not in mp) and mp.append(p){more}\n"
    )


@pytest.mark.parametrize(
    ("text", "does"),
    [
        (SETUPTOOLS, "runs setuptools' own distutils"),
        (namespace("'google',", "google"), "runs a namespace package"),
        (
            namespace("'google',", "google")
            + namespace("'google', 'cloud'", "google.cloud", ";m and setattr(sys.modules['google'], 'cloud', m)"),
            "runs a namespace package, runs a namespace package of two levels",
        ),
        ("# a comment\n\n./flask\n", "adds /opt/python/flask to sys.path"),
        ("flask/../flask\r\n", "adds /opt/python/flask to sys.path"),
        ("/opt/python/flask\n", "adds /opt/python/flask to sys.path"),
        ("/opt\n", "adds /opt to sys.path"),
    ],
)
def test_known_startup_files_are_listed(text: str, does: str) -> None:
    message = f"at each start it {does}: known, and harmless"
    found = told("python/flask/app.py", entry("python/a.pth", text=text))
    assert found == [("pth-known", "python/a.pth", message)]
    assert rules()["pth-known"].severity is Severity.WARNING


@pytest.mark.parametrize(
    "line",
    [
        "import evil; evil.run()",
        "import\tevil",
        SETUPTOOLS.strip() + " import evil",
        SETUPTOOLS.strip().replace("_distutils_hack", "evil"),
        namespace("'google',", "other").strip(),
        namespace("'google',__import__('evil'),", "google").strip(),
        "import __editable___app_1_0_finder; __editable___app_1_0_finder.install()",
    ],
)
def test_unknown_code_at_start_is_refused(line: str) -> None:
    [(rule, path, message)] = told("python/flask/app.py", entry("python/a.pth", text=f"{line}\n"))
    assert (rule, path) == ("pth", "python/a.pth")
    assert message.startswith("its line runs unknown code whenever Python starts: import")
    assert len(message) < 250


@pytest.mark.parametrize(
    "line", ["/home/ann/app/src", "../../etc", "missing", "/opt/..", "/var/task", "/tmp/x\x1b[31m"]
)
def test_folders_that_are_not_in_the_layer_are_refused(line: str) -> None:
    found = told("python/flask/app.py", entry("python/a.pth", text=line))
    line = line.replace("\x1b", "\\x1b")
    message = f"its line adds {line} to sys.path, which is no folder of the layer"
    assert found == [("pth", "python/a.pth", message)]


def test_a_line_number_is_told_and_other_lines_too() -> None:
    made = facts(["python/flask/app.py", entry("python/a.pth", text=f"{SETUPTOOLS}import evil\n")])
    found = list(modules.check(Subject(facts=made, targets=(target(), target(architecture="x86_64")))))
    assert [(one.rule, one.line) for one in found] == [("pth", 2), ("pth-known", 0)]


def test_many_lines_are_one_finding() -> None:
    [(_, _, message)] = told("python/a.py", entry("python/a.pth", text="import x\n" * 900))
    assert message == "its line runs unknown code whenever Python starts: import x (and so for 899 other lines)"


def test_pth_files_elsewhere_are_no_startup_files() -> None:
    evil = "import evil\n"
    assert told(*(entry(path, text=evil) for path in ("python/torch/model.pth", "a.pth", "python/.a.pth"))) == []
    assert [rule for rule, _, _ in told(entry(f"{SITE}/a.pth", text=evil))] == ["pth"]


# -- names


@pytest.mark.parametrize("path", ["sitecustomize.py", "usercustomize/__init__.py", "sitecustomize.pyc"])
def test_customize_modules(path: str) -> None:
    made = hashed(f"python/{path}") if path.endswith("c") else entry(f"python/{path}")
    name = path.partition(".")[0].partition("/")[0]
    message = (
        f"{name} is not run by python3.12 itself, which adds /opt/python to sys.path after Python's start, "
        "but by every Python that has it on PYTHONPATH"
    )
    assert told(made) == [("sitecustomize", f"python/{path}", message)]
    assert told(f"python/app/{path.removesuffix('c')}") == []


@pytest.mark.parametrize("path", ["typing.py", "enum/__init__.py", "dataclasses.cpython-312-aarch64-linux-gnu.so"])
def test_names_of_the_standard_library(path: str) -> None:
    name = path.partition(".")[0].partition("/")[0]
    message = f"{name} has the name of a module of Python 3.12 itself, and comes before it on sys.path"
    assert told(f"python/{path}") == [("stdlib-shadow", f"python/{path}", message)]


def test_names_that_hide_nothing() -> None:
    assert told("python/email/templates/hello.py", "python/app/typing.py", "python/typing.txt") == []
    assert told("python/distutils/__init__.py") == []  # removed in 3.12
    assert told("python/telnetlib.py", runtimes=("python3.13",)) == []  # removed in 3.13
    assert [rule for rule, _, _ in told("python/telnetlib.py")] == ["stdlib-shadow"]
    assert told("python/tomllib.py", runtimes=("python3.10",)) == []


def test_the_standard_library_is_known_for_this_python() -> None:
    """Whichever of the known versions runs the tests."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info[:2] > (3, 13):
        pytest.skip("the list for 3.14 and later is written down from What's New")
    true = {name for name in sys.stdlib_module_names if not name.startswith("_")}
    assert modules.standard_modules(version) == true
    assert modules.standard_modules("3.99") == modules.standard_modules("3.14") > modules.standard_modules("3.13")
    magic = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
    assert {(3, 11): 3495, (3, 12): 3531, (3, 13): 3571}[sys.version_info[:2]] == magic


def package(name: str) -> str:
    return f"python/{name}/__init__.py"


def test_the_sdk_comes_whole_or_not_at_all() -> None:
    whole = [package("boto3"), package("botocore"), package("s3transfer")]
    assert told(*whole) == []
    needs = "bring all of boto3, botocore, s3transfer, or none"
    message = (
        "boto3 and s3transfer without botocore: python3.12 runs them with its own botocore, of another release; "
    )
    assert told(whole[0], whole[2]) == [("runtime-shadow", package("boto3"), message + needs)]
    message = (
        "botocore without boto3 and s3transfer: python3.12 runs them with its own boto3 and s3transfer, of another"
    )
    assert told(whole[1]) == [("runtime-shadow", package("botocore"), f"{message} release; {needs}")]
    assert told(whole[0], used=(facts(whole[1:]),)) == []
    assert told("python/a.py", used=(facts(whole[:1]),)) == []  # told of the other layer


@pytest.mark.parametrize(
    ("name", "distribution", "version", "accepted"),
    [
        ("urllib3", "urllib3", "2.2.0", "!=2.2.0,<3,>=1.25.4"),
        ("urllib3", "urllib3", "1.24", "!=2.2.0,<3,>=1.25.4"),
        ("urllib3", "urllib3", "nonsense", "!=2.2.0,<3,>=1.25.4"),
        ("jmespath", "jmespath", "2.0.0", "<2.0.0,>=0.7.1"),
        ("dateutil", "python_dateutil", "3.0.0", "<3.0.0,>=2.1"),
    ],
)
def test_what_the_runtimes_botocore_cannot_use(name: str, distribution: str, version: str, accepted: str) -> None:
    metadata = entry(f"python/{distribution}-{version}.dist-info/METADATA", text=f"Name: x\nVersion: {version}\n\nx")
    message = f"{name} {version} hides that of python3.12, whose botocore asks for {accepted}"
    assert told(package(name), metadata) == [("runtime-requirement", package(name), message)]
    whole = [package("boto3"), package("botocore"), package("s3transfer")]
    assert told(package(name), metadata, *whole) == []


def test_what_the_runtimes_botocore_can_use() -> None:
    metadata = entry("python/urllib3-2.5.0.dist-info/METADATA", text="Version: 2.5.0\n")
    assert told(package("urllib3"), metadata) == []
    assert told(package("urllib3")) == []  # of no known version
    assert told("python/six.py", entry("python/six-1.16.0.dist-info/METADATA", text="Version: 1.16.0")) == []


# -- as the reader reads them


@pytest.mark.parametrize(
    ("mode", "path", "changed", "broken"),
    [
        ("UNCHECKED_HASH", "/opt/python/app.py", False, []),
        ("UNCHECKED_HASH", "/opt/python/app.py", True, ["bytecode-wrong"]),
        ("CHECKED_HASH", "/opt/python/app.py", True, ["bytecode-stale"]),
        ("TIMESTAMP", "/opt/python/app.py", False, ["bytecode-stale"]),  # the zip's date is 1980
        ("UNCHECKED_HASH", "/home/ann/app.py", False, ["bytecode-path"]),
    ],
)
def test_bytecode_of_this_python(tmp_path: Path, mode: str, path: str, changed: bool, broken: list[str]) -> None:
    runtime = f"python3.{sys.version_info[1]}"
    (tmp_path / "app.py").write_text("def answer():\n    return 42\n")
    made = py_compile.compile(
        str(tmp_path / "app.py"), dfile=path, invalidation_mode=py_compile.PycInvalidationMode[mode], doraise=True
    )
    assert made
    pyc = Path(made)
    text = (tmp_path / "app.py").read_text().replace("42", "43" if changed else "42")
    cached = layerzips.file(f"python/__pycache__/{pyc.name}", pyc.read_bytes())
    items = [layerzips.file("python/app.py", text), cached]
    read = zips.read(layerzips.write(tmp_path / "layer.zip", *items))
    found = modules.check(Subject(facts=read, targets=(target(runtime),)))
    assert [one.rule for one in found] == broken


def test_startup_files_are_read(tmp_path: Path) -> None:
    items = [layerzips.file("python/a.pth", SETUPTOOLS), layerzips.file("python/b.pth", "import evil\n")]
    read = zips.read(layerzips.write(tmp_path / "layer.zip", *items))
    found = modules.check(Subject(facts=read, targets=(target(),)))
    assert [(one.rule, one.path) for one in found] == [("pth-known", "python/a.pth"), ("pth", "python/b.pth")]


# -- whatever a zip says


@given(
    st.lists(
        st.builds(
            Entry,
            path=st.builds(
                "{}{}".format,
                st.sampled_from(["python/", f"{SITE}/", "python/__pycache__/"]),
                st.text(st.sampled_from("ab./_\x1b\ud800"), max_size=20).map(lambda text: text + ".pyc")
                | st.sampled_from(
                    ["a.pth", "a.py", "a.cpython-312.pyc", "boto3.py", "urllib3.py", "x.dist-info/METADATA"]
                ),
            ),
            size=st.integers(0, 2**40),
            modified=st.integers(-(2**40), 2**40),
            text=st.text(max_size=60) | st.just("import \x1b") | st.just("Version: \x1b"),
            damage=st.sampled_from(["", "cut\x1b"]),
            source_hashes=st.just({MAGIC: HASH}),
            bytecode=st.none()
            | st.builds(
                Bytecode,
                magic=st.sampled_from([MAGIC, MAGIC_311, 0]),
                hashed=st.booleans(),
                checked=st.booleans(),
                source_hash=st.binary(max_size=8),
                mtime=st.integers(0, 2**32 - 1),
                name=st.text(max_size=30),
            ),
        ),
        max_size=8,
    )
)
def test_any_facts_are_judged_in_printable_words(entries: list[Entry]) -> None:
    for rule, _, message in told(*entries, runtimes=("python3.12", "python3.99")):
        assert rule in rules()
        assert message.isprintable()
        assert len(message) < 1_000


def test_each_rule_of_the_group_can_be_broken() -> None:
    found = told(
        *(source(), hashed(source_hash=OTHER, name="/x"), entry("python/a.pth", text="import x\n/opt/python")),
        *(package("boto3"), package("typing"), package("sitecustomize"), hashed("python/x.pyc", magic=1)),
        *(source("python/b.py"), timed("python/__pycache__/b.cpython-312.pyc", mtime=1), hashed("python/b.pyc")),
        *(source("python/c.py", size=10**6), package("six")),
        entry("python/six-1.0.dist-info/METADATA", text="Name: six\nVersion: 1.0\n"),
    )
    assert {rule for rule, _, _ in found} == {name for name, rule in rules().items() if rule.group == "python"}
