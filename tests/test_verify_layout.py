"""Rules on the zip and its folders: each one's breach with its words, and what is no breach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import layerzips
from layerkit import targets
from layerkit.model import Target
from layerkit.verify import words
from layerkit.verify.checks import layout
from layerkit.verify.facts import Entry, Format, Kind, ZipFacts
from layerkit.verify.reading import zips
from layerkit.verify.rules import Finding, Severity, rules
from layerkit.verify.subjects import Subject

LIMIT = 262_144_000
GOOD = "python/flask/app.py"


def target(runtime: str = "python3.12", architecture: str = "arm64") -> Target:
    found = targets.find_runtime(runtime)
    assert found
    return found.target(architecture)


def entry(path: str, **fields: object) -> Entry:
    plain = Entry(path=path, size=10, packed_size=10, mode=0o644)
    return replace(plain, **fields)  # type: ignore[arg-type]


def link(path: str, to: str) -> Entry:
    return entry(path, kind=Kind.LINK, link=to, mode=0o777)


def facts(entries: Iterable[Entry | str], **fields: object) -> ZipFacts:
    made = tuple(entry(one) if isinstance(one, str) else one for one in entries)
    size = sum(one.size for one in made)
    plain = ZipFacts(label="layer.zip", size=100, sha256="", entries=made, unpacked_size=size)
    return replace(plain, **fields)  # type: ignore[arg-type]


def findings(
    *entries: Entry | str,
    runtimes: tuple[str, ...] = ("python3.12",),
    used: tuple[ZipFacts, ...] = (),
    **fields: object,
) -> list[Finding]:
    declared = tuple(target(runtime) for runtime in runtimes)
    found = list(layout.check(Subject(facts=facts(entries, **fields), targets=declared, used=used)))
    assert all(one.subject == "layer.zip" for one in found)
    return found


def told(*entries: Entry | str, **fields: object) -> list[tuple[str, str, str]]:
    found = findings(*entries, **fields)  # type: ignore[arg-type]
    return [(one.rule, one.path, one.message) for one in found]


def broken(*entries: Entry | str, **fields: object) -> list[str]:
    return [rule for rule, _, _ in told(*entries, **fields)]


# -- the archive


@pytest.mark.parametrize(
    "entries",
    [
        [GOOD],
        ["python/lib/python3.12/site-packages/flask/app.py"],
        ["python/app.py", entry("python", kind=Kind.FOLDER, mode=0o755)],
        [entry("python/app.py", mode=None)],
        ["python/flask.cpython-312-aarch64-linux-gnu.so"],
        ["bin/ffmpeg", "lib/libfoo.so.1"],
        ["lib/libfoo.so.1"],
        [entry("extensions/agent", mode=0o755)],
        [entry("extensions/agent", mode=0o755), "agent/main.py"],
        ["python/app.py", "README.md", "tool/setup.py"],
        ["python/model/weights.bin"],
        ["python/my-script.py"],
    ],
)
def test_good_layers_have_no_finding(entries: list[Entry | str]) -> None:
    assert told(*entries) == []


def test_damage_is_told_in_the_readers_words() -> None:
    assert told(damage=("it is no zip",)) == [("zip-damaged", "", "it is no zip")]
    crc = entry(GOOD, unread="its checksum is wrong")
    message = "its content could not be read: its checksum is wrong"
    assert told(crc) == [("zip-damaged", GOOD, message)]
    twice = [("zip-damaged", GOOD, f"{message} (so do python/b.py)")]
    assert told(crc, entry("python/b.py", unread=crc.unread)) == twice


def test_damage_of_entries_is_told_once() -> None:
    clause = "the file ends before its data does"
    damage = f"{GOOD} and 1 more: {clause}"
    entries = [entry(path, unread=clause) for path in (GOOD, "python/b.py")]
    assert told(*entries, damage=(damage,)) == [("zip-damaged", "", damage)]


def test_an_empty_zip() -> None:
    assert told() == [("zip-empty", "", "the zip holds no file")]
    assert told(entry("python", kind=Kind.FOLDER, mode=0o755)) == [("zip-empty", "", "the zip holds no file")]
    empty = [entry("python/a.py", size=0), entry("python/b.py", size=0)]
    assert told(*empty) == [("zip-empty", "", "the zip holds 2 empty files and nothing else")]
    assert told(*empty, GOOD) == []


def test_encrypted_files() -> None:
    secret = entry(GOOD, encrypted=True, unread="it is encrypted")
    message = "1 encrypted file cannot be unpacked without a password, and Lambda has none"
    assert told(secret) == [("encrypted", GOOD, message)]


def test_other_methods_than_deflate() -> None:
    files = [entry(f"python/{n}.py", method=14, unread="method 14 is not known") for n in range(5)]
    assert told(*files, entry("python/x.py", method=77), entry("python/y.py", method=0)) == [
        (
            "compression",
            "python/0.py",
            "5 files are packed by method 14 (lzma), and Lambda unpacks stored (0) and deflated (8) ones "
            "(python/0.py, python/1.py, python/2.py and 2 more)",
        ),
        (
            "compression",
            "python/x.py",
            "1 file is packed by method 77 (unknown), and Lambda unpacks stored (0) and deflated (8) ones",
        ),
    ]


def test_zip64() -> None:
    words = "which a layer of at most 250 MB does not need"
    assert told(GOOD, zip64=True) == [("zip64", "", f"the zip has the zip64 form (its end record), {words}")]
    message = f"the zip has the zip64 form (the entries {GOOD}), {words}"
    assert told(entry(GOOD, zip64=True), zip64=True) == [("zip64", "", message)]
    assert rules()["zip64"].severity is Severity.WARNING


def test_unzipped_size_is_smaller_than_the_limit() -> None:
    assert told(GOOD, unpacked_size=LIMIT - 1, size=LIMIT // 3)[1:] == []
    assert told(entry(GOOD, size=LIMIT), "python/b.py", size=50_000_000, unpacked_size=LIMIT + 10)[0] == (
        "unzipped-size",
        "",
        "unpacks to 262,144,010 bytes, 10 above AWS's 262,144,000; "
        "the largest: python/flask/app.py 262,144,000, python/b.py 10",
    )
    assert "unzipped-size" in broken(GOOD, unpacked_size=LIMIT)


UNSEEN = "not read: the zip holds more than 524,288,000 bytes unpacked"


def test_what_was_not_looked_at_for_its_size_is_no_damage() -> None:
    rest = [entry("python/b", kind=Kind.FOLDER, mode=0o755, unread=UNSEEN), entry("python/b/c.py", unread=UNSEEN)]
    assert told(entry(GOOD, size=LIMIT, packed_size=LIMIT), *rest) == [
        (
            "unzipped-size",
            "",
            "unpacks to 262,144,020 bytes, 20 above AWS's 262,144,000; the largest: python/flask/app.py 262,144,000, "
            "python/b/c.py 10; 1 of its 2 files were not looked at for that",
        )
    ]


def test_what_was_not_looked_at_is_damage_in_a_zip_that_is_no_larger_than_it_may_be() -> None:
    """Sizes of folders and links count for the reader, and not for AWS: nothing may be passed over for them."""
    assert told(entry("python/b.py", unread=UNSEEN)) == [
        ("zip-damaged", "python/b.py", f"its content could not be read: {UNSEEN}")
    ]


def test_the_reader_and_the_rules_agree_on_what_is_too_large(tmp_path: Path) -> None:
    big = layerzips.Item(path="python/a.bin", method=0, content=b"", size=600_000_000)
    path = layerzips.write(tmp_path / "layer.zip", big, layerzips.file("python/b.py"))
    found = layout.check(Subject(facts=zips.read(path), targets=(target(),)))
    assert next(one.message for one in found if "not looked at" in one.message).endswith(
        "2 of its 2 files were not looked at for that"
    )


def test_zipped_size_says_that_s3_is_used() -> None:
    assert told(GOOD, size=52_428_800) == []
    message = "the zip has 52,428,801 bytes, a request takes 52,428,800: it will go through S3"
    assert told(GOOD, size=52_428_801) == [("zipped-size", "", message)]


def test_bombs() -> None:
    swells = "1 file cannot be taken as it is:"
    impossible = f"{swells} it declares more than deflate can unpack to"
    assert told(entry(GOOD, size=5_000_000, packed_size=4_000)) == [("bomb", GOOD, impossible)]
    assert told(entry(GOOD, size=1032 * 4_001, packed_size=4_000)) == []
    reason = "it unpacks to more than the 9 bytes that it declares"
    assert told(entry(GOOD, unread=reason)) == [("bomb", GOOD, f"{swells} {reason}")]
    clause = "overlaps with the entry behind it, or with the directory"
    found = told(entry(GOOD, unread=clause), damage=(f"{GOOD}: {clause}",))
    assert found == [("bomb", "", f"{GOOD}: {clause}: the same bytes unpack twice")]
    huge = told(GOOD, unpacked_size=10 * LIMIT + 1, size=1_000_000)
    assert huge[-1] == ("bomb", "", "a zip of 1,000,000 bytes unpacks to 2,621,440,001, as no layer does")
    assert "bomb" not in broken(GOOD, unpacked_size=10 * LIMIT, size=1_000_000)


# -- paths


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/etc/passwd", "is below the root of a file system; it must be relative to /opt"),
        ("C:\\python\\app.py", "is below the root of a file system; it must be relative to /opt"),
        ("python/../../etc/passwd", "has a .. in it, which leads out of its folder"),
        ("python\\..\\app.py", "has a .. in it, which leads out of its folder"),
        (
            "python\\flask\\app.py",
            "has a backslash for a slash, as zips of some Windows tools do: Lambda unpacks one oddly named file",
        ),
        (
            "python\\numpy\\__init__.py",
            "has a backslash for a slash, as zips of some Windows tools do: Lambda unpacks one oddly named file",
        ),
        ("python/a\\x1b.py", "has a control character in it"),
        ("./python/app.py", "has an empty or . part; it must be plain, such as python/flask/app.py"),
        ("python//app.py", "has an empty or . part; it must be plain, such as python/flask/app.py"),
        ("", "has an empty or . part; it must be plain, such as python/flask/app.py"),
    ],
)
def test_paths_that_leave_opt_or_are_odd(path: str, what: str) -> None:
    assert told(GOOD, path) == [("path-escape", path, f"1 path {what}")]


def test_many_odd_paths_are_one_finding() -> None:
    found = told(GOOD, *(f"python\\{n}.py" for n in range(400)))
    assert [rule for rule, _, _ in found] == ["path-escape"]
    assert found[0][2].startswith("400 paths have a backslash for a slash")
    assert found[0][2].endswith("(python\\0.py, python\\1.py, python\\2.py and 397 more)")


def test_long_paths() -> None:
    message = "1 path is over 1,024 characters, 255 bytes in one name or 32 folders"
    for path in (
        "python/" + "a" * 256,
        "python/" + "é" * 128,
        "/".join(["python"] + ["a"] * 32),
        "python/" + "aa/" * 340,
    ):
        path = path.rstrip("/") + ".py"
        assert ("path-length", path, message) in told(GOOD, path), path
    assert told(GOOD, "python/" + "a" * 252 + ".py") == []


def test_names_that_are_no_utf_8() -> None:
    odd = entry("python/caf\\xe9.py", raw_name=b"python/caf\xe9.py")
    assert told(GOOD, odd) == [
        ("path-encoding", odd.path, "1 name has bytes that are no UTF-8, which no import finds")
    ]
    assert told(GOOD, "python/café.py") == []


def test_paths_that_stand_twice() -> None:
    message = "1 path is in the zip more than once, and which one Lambda keeps is not defined"
    assert told(GOOD, GOOD) == [("path-duplicate", GOOD, message)]
    folder = entry("python", kind=Kind.FOLDER, mode=0o755)
    assert told(folder, folder, GOOD) == []


def test_a_path_that_is_file_and_folder() -> None:
    message = "1 path is a file or a link and has files below too, and only one of the two can be unpacked"
    assert told("python/a.py", "python/a.py/b.py") == [("path-both", "python/a.py", message)]
    assert told(GOOD, "x", entry("x", kind=Kind.FOLDER, mode=0o755)) == [("path-both", "x", message)]
    found = told(link("python/a", "../python"), "python/a/b.py")
    assert [rule for rule, _, _ in found] == ["path-both"]


def test_names_that_differ_in_capitals() -> None:
    message = "names differ in nothing but capitals: python/Flask and python/flask"
    assert told(GOOD, "python/Flask/b.py") == [("path-case", "python/Flask", message)]
    assert broken(GOOD, "python/Flask/app.py") == ["path-case"]  # the folders, not each file in them
    assert told("python/a/x.py", "python/b/X.py") == []


# -- links


@pytest.mark.parametrize(
    "to", ["app.py", "../flask/app.py", "/opt/python/flask/app.py", "/opt/./python/../python/flask", "."]
)
def test_links_inside(to: str) -> None:
    assert told(GOOD, link("python/flask/l", to)) == []


@pytest.mark.parametrize("to", ["../../../etc/passwd", "/usr/lib64/libz.so.1", "/", "/opt/../etc", "/tmp/cache"])
def test_links_that_lead_out(to: str) -> None:
    found = told(GOOD, link("python/flask/l", to))
    message = f"1 link leads out of /opt, where no layer has files (python/flask/l -> {to})"
    assert found == [("link-escape", "python/flask/l", message)]


def test_links_through_links() -> None:
    assert told(GOOD, link("lib", "python"), link("python/x", "../lib/flask/app.py")) == []
    out = told(GOOD, link("python/up", ".."), link("python/x", "up/../etc/passwd"))
    assert [(rule, path) for rule, path, _ in out] == [("link-escape", "python/x")]
    circle = told(GOOD, link("python/a", "b"), link("python/b", "a"))
    assert circle == [
        ("link-dangling", "python/a", "2 links lead in a circle (python/a -> b, python/b -> a)"),
    ]


def test_links_that_lead_nowhere_unless_a_used_layer_has_it() -> None:
    lost = link("python/flask/l", "../other/x.py")
    what = "to what is neither in this layer nor in those it uses"
    message = f"1 link leads {what} (python/flask/l -> ../other/x.py)"
    assert told(GOOD, lost) == [("link-dangling", "python/flask/l", message)]
    assert told(GOOD, lost, used=(facts(["python/other/x.py"]),)) == []


def test_links_that_cost_much_end() -> None:
    deep = [link(f"python/{n}", f"{n + 1}/" + "a/../" * 20) for n in range(2_000)]
    found = told(GOOD, *deep)
    assert {rule for rule, _, _ in found} == {"link-dangling"}
    assert len(found) <= 4
    long = told(GOOD, link("python/l", "a/" * 2_000))
    assert long[0][2].startswith("1 link leads to a path that is too long (python/l -> a/a/a/")


def test_special_files() -> None:
    message = "1 special file is neither file, folder nor link, but a device, a pipe or a socket"
    assert told(GOOD, entry("dev/null", kind=Kind.SPECIAL)) == [("special-file", "dev/null", message)]


# -- modes


def test_files_that_lambda_cannot_read() -> None:
    for mode, shown in ((0o600, "0600"), (0, "0000"), (0o750, "0750")):
        message = f"1 file cannot be read by Lambda's user: mode {shown} where 0644 or 0755 would do"
        assert told(entry(GOOD, mode=mode)) == [("mode", GOOD, message)]
    for fine in (0o644, 0o755, 0o604, None):
        assert told(entry(GOOD, mode=fine)) == []


def test_hundreds_of_unreadable_files_are_one_finding() -> None:
    found = told(*(entry(f"python/{n}.py", mode=0o600) for n in range(1_500)))
    assert [path for _, path, _ in found] == ["python/0.py"]
    assert found[0][2] == (
        "1,500 files cannot be read by Lambda's user: mode 0600 where 0644 or 0755 would do "
        "(python/0.py, python/1.py, python/2.py and 1,497 more)"
    )


def test_folders_that_lambda_cannot_enter() -> None:
    for mode in (0o700, 0o754, 0o751):
        folder = entry("python/flask", kind=Kind.FOLDER, mode=mode)
        message = f"1 folder cannot be listed and entered by Lambda's user: mode {mode:04o} where 0755 would do"
        assert told(GOOD, folder) == [("mode", "python/flask", message)]
    assert told(GOOD, entry("python/flask", kind=Kind.FOLDER, mode=0o755)) == []


def test_programs_that_cannot_be_executed() -> None:
    message = "1 program cannot be executed by Lambda's user: mode 0644 where 0755 would do"
    for program in (entry("bin/x", script=True), entry("bin/x", format=Format.ELF)):
        assert told(program) == [("mode-program", "bin/x", message)]
    assert told(entry("bin/x", script=True, mode=0o744))[0][2] == message.replace("0644", "0744")
    assert told(entry("extensions/agent")) == [("mode-program", "extensions/agent", message)]
    assert told(entry("bin/x", script=True, mode=0o755), "bin/data.txt") == []
    assert told(GOOD, entry("python/bin/flask", script=True)) == []  # not on PATH


# -- folders


PLACES = "python/, or python/lib/python3.12/site-packages/"


@pytest.mark.parametrize(
    ("files", "place", "tops"),
    [
        (["flask/__init__.py", "app.py"], "the zip's root", "app.py, flask"),
        (["site-packages/flask/__init__.py"], "site-packages/", "site-packages"),
        (["lib/python3.12/site-packages/flask/app.py"], "lib/python3.12/site-packages/", "lib"),
        (["lib64/python3.12/site-packages/numpy/core.so"], "lib64/python3.12/site-packages/", "lib64"),
        (["python3.12/flask/app.py"], "python3.12/", "python3.12"),
        (["venv/lib/python3.12/site-packages/flask/app.py"], "venv/lib/python3.12/site-packages/", "venv"),
        (["layer/python/flask/app.py"], "layer/", "layer"),
        (["Python/flask/app.py"], "Python/", "Python"),
        (["flask-1.0.dist-info/METADATA"], "the zip's root", "flask-1.0.dist-info"),
        (["bin/flask", "flask/__init__.py"], "the zip's root", "bin, flask"),
        (["bin/six", "six.py"], "the zip's root", "bin, six.py"),
        (
            ["lib/libz.so.1", "bin/x", "flask/app.py", "flask-1.0.dist-info/METADATA"],
            "the zip's root",
            "bin, flask, flask-1.0.dist-info and 1 more",
        ),
        (["python/data.txt", "flask/__init__.py"], "the zip's root", "flask, python"),
        (
            ["extensions/e", "flask/__init__.py", "flask-1.0.dist-info/METADATA"],
            "the zip's root",
            "extensions, flask, flask-1.0.dist-info",
        ),
        (["flask/app.py", "__MACOSX/python/._b.py", ".DS_Store"], "the zip's root", "flask"),
        (["bin/flask", "site-packages/flask/app.py"], "site-packages/", "bin, site-packages"),
        (["lib/python3.12/dist-packages/a.py"], "lib/python3.12/dist-packages/", "lib"),
        (["python/lib/python3.12/flask/app.py"], "python/lib/python3.12/", "python"),
        (["python/python3.12/flask/app.py"], "python/python3.12/", "python"),
        (["python/site-packages/flask/app.py"], "python/site-packages/", "python"),
        (["python/lib/site-packages/flask/app.py"], "python/lib/site-packages/", "python"),
    ],
)
def test_modules_where_nothing_can_be_imported(files: list[str], place: str, tops: str) -> None:
    found = told(*files)
    message = f"nothing can be imported: modules are at {place} (its top holds {tops}), and belong in {PLACES}"
    assert [(rule, text) for rule, _, text in found if rule not in ("junk", "mode-program")] == [("layout", message)]


@pytest.mark.parametrize(
    "files",
    [
        ["bin/x", "share/tool/main.py"],
        ["lib/libz.so.1", "libz.so"],
        ["extensions/e", "agent/__init__.py", "agent.py"],
    ],
)
def test_code_of_what_lambda_starts_may_be_anywhere(files: list[str]) -> None:
    assert told(*(entry(path, mode=0o755) for path in files)) == []


def test_data_in_no_known_folder() -> None:
    message = "the zip's top holds model; no runtime looks there, but in python/, bin/, lib/ and extensions/"
    assert told("model/weights.bin") == [("layout-unused", "model/weights.bin", message)]
    assert rules()["layout-unused"].severity is Severity.WARNING


def test_wheels() -> None:
    packed = "1 wheel is packed as a whole, and Python imports from no wheel here: install it into python/"
    for path in ("a.whl", "python/a.whl", "python/lib/python3.12/site-packages/a.whl"):
        assert ("layout-wheel", path, packed) in told(GOOD, path)
    assert told(GOOD, "python/ensurepip/_bundled/pip.whl") == []


WHEEL = "flask-3.1.dist-info/WHEEL"
RECORD = entry(
    "flask-3.1.dist-info/RECORD",
    text="flask/__init__.py,sha256=x,10\nflask-3.1.dist-info/WHEEL,,\nflask-3.1.dist-info/RECORD,,\n",
)


def test_a_wheel_as_a_layer() -> None:
    message = "the zip is a wheel itself (flask-3.1.dist-info is at its root): install it into python/"
    for more in ([], ["flask-3.1.dist-info/RECORD.jws"], ["__MACOSX/._flask"]):
        found = [one for one in told("flask/__init__.py", WHEEL, RECORD, *more) if one[0] != "junk"]
        assert found == [("layout-wheel", WHEEL, message)]


@pytest.mark.parametrize(
    "more",
    [
        ["flask-3.1.dist-info/INSTALLER"],
        ["app.py"],
        ["click/__init__.py"],
        ["click-8.dist-info/METADATA"],
        ["bin/flask"],
    ],
)
def test_distributions_installed_into_the_root_are_no_wheel(more: list[str]) -> None:
    found = told("flask/__init__.py", WHEEL, RECORD, *more)
    assert [rule for rule, _, _ in found] == ["layout"]
    assert found[0][2].startswith("nothing can be imported: modules are at the zip's root (its top holds ")
    assert [rule for rule, _, _ in told("flask/__init__.py", WHEEL)] == ["layout"]
    installed = replace(RECORD, text=f"{RECORD.text}flask-3.1.dist-info/INSTALLER,,\n")
    assert broken("flask/__init__.py", WHEEL, installed, "flask-3.1.dist-info/INSTALLER") == ["layout"]


def test_what_macos_leaves() -> None:
    clause = "left by macOS (__MACOSX/, ._*, .DS_Store) and read by nothing in Lambda"
    junk = ["__MACOSX/python/x", "python/._app.py", "python/.DS_Store"]
    assert told(GOOD, junk[1]) == [("junk", junk[1], f"1 file is {clause}")]
    assert told(GOOD, *junk) == [("junk", junk[0], f"3 files are {clause} ({', '.join(junk)})")]
    assert told(GOOD, "python/_.py", "python/.hidden/x", "python/x._y", "python/__MACOSX/x") == []
    assert rules()["junk"].severity is Severity.WARNING


def test_a_folder_too_deep() -> None:
    message = "1 file is in python/python/, one folder too deep: Lambda looks in /opt/python"
    assert told("python/python/flask/app.py") == [("layout-nested", "python/python/flask/app.py", message)]
    assert told("python/python/__init__.py", "python/python/app.py") == []


def test_site_packages_of_another_version() -> None:
    path = "python/lib/python3.11/site-packages/flask/app.py"
    here = "python3.12 looks in python/lib/python3.12/site-packages"
    message = f"holds python/lib/python3.11/site-packages, and {here}"
    assert told(path) == [("layout-version", path, message)]
    assert told(GOOD, path) == [("layout-version", path, message)]
    assert told(path, path.replace("3.11", "3.12")) == []
    assert told(path, runtimes=("python3.11",)) == []
    assert told(path, runtimes=("python3.11", "python3.12")) == [("layout-version", path, message)]


def test_two_places_for_modules() -> None:
    site = "python/lib/python3.12/site-packages"
    message = f"python holds flask and {site} click.py: use one place"
    assert told(GOOD, f"{site}/click.py") == [("layout-mixed", "python", message)]
    message = f"both {site} and python hold flask: the first hides the other on sys.path"
    assert told(GOOD, f"{site}/flask/app.py") == [("layout-split", "python/flask", message)]
    assert told(GOOD, f"{site}/a-1.dist-info/METADATA") == []
    assert rules()["layout-mixed"].severity is Severity.WARNING


# -- as the reader reads them


def test_the_readers_words_are_understood(tmp_path: Path) -> None:
    def rules_of(*items: layerzips.Item) -> list[str]:
        subject = Subject(facts=zips.read(layerzips.write(tmp_path / "layer.zip", *items)), targets=(target(),))
        return [one.rule for one in layout.check(subject)]

    good = layerzips.file(GOOD)
    assert rules_of(layerzips.folder("python"), good) == []
    assert rules_of(good, layerzips.Item(path="python/a.bin", content=b"x" * 5_000, size=500)) == ["bomb"]
    assert rules_of(good, layerzips.Item(path="python/a.bin", content=b"x", crc=1)) == ["zip-damaged"]
    assert rules_of(good, replace(layerzips.file("python/a.bin"), offset=0))[-1] == "bomb"
    assert rules_of(good, layerzips.file("python/a\x1b.bin")) == ["path-escape"]
    assert rules_of(good, layerzips.file("python\\numpy\\a.bin")) == ["path-escape"]
    assert rules_of(good, layerzips.file(b"python/caf\xe9.bin")) == ["path-encoding"]
    assert rules_of(good, layerzips.file("../a.bin")) == ["path-escape"]
    assert rules_of(good, layerzips.link("python/l", "../../etc")) == ["link-escape"]
    assert rules_of(good, layerzips.file("python/a.bin", mode=0o100600)) == ["mode"]
    assert rules_of(good, layerzips.file("python/a.bin", mode=0)) == ["mode"]
    assert rules_of(good, layerzips.Item(path="python/a.bin", content=b"x", system=layerzips.DOS)) == []
    assert rules_of(good, layerzips.Item(path="python/a.bin", content=b"x", flags=1)) == ["encrypted"]
    assert rules_of(good, layerzips.Item(path="python/a.bin", content=b"x", method=93)) == ["compression"]
    assert rules_of(good, replace(good, zip64=True, path="python/a.bin")) == ["zip64"]
    assert rules_of(good, replace(good, path="python/pipe", mode=0o010644)) == ["special-file"]
    (tmp_path / "text.zip").write_text("no zip")
    subject = Subject(facts=zips.read(tmp_path / "text.zip"), targets=(target(),))
    assert [one.rule for one in layout.check(subject)] == ["zip-damaged"]


# -- whatever a zip says


TEXTS = st.text(st.sampled_from("pythonlib3.12/\\..\x1b\ud800Aé"), max_size=40)


@given(
    st.lists(
        st.builds(
            Entry,
            path=TEXTS,
            kind=st.sampled_from(Kind),
            size=st.integers(0, 2**64),
            packed_size=st.integers(0, 2**64),
            mode=st.none() | st.integers(0, 0o7777),
            method=st.integers(0, 99),
            encrypted=st.booleans(),
            link=TEXTS,
            unread=st.sampled_from(["", "damaged\x1b"]),
        ),
        max_size=8,
    )
)
def test_any_facts_are_judged_in_printable_words(entries: list[Entry]) -> None:
    found = findings(*entries)
    assert all(one.rule in rules() for one in found)
    assert all(one.message.isprintable() for one in found)
    assert len(found) <= 30 + 2 * len(entries)


def test_many_reasons_are_few_findings() -> None:
    found = told(*(entry(f"python/{n}.py", unread=f"byte {n} is damaged") for n in range(900)))
    assert len(found) == 6
    rest = "its content could not be read: byte 5 is damaged, and others the like (so do python/6.py, python/7.py"
    assert found[5][2] == f"{rest}, python/8.py and 891 more)"


def test_texts_of_strangers_are_cut_and_printable() -> None:
    assert words.shown("a\x1b[31mb\n") == "a\\x1b[31mb\\n"
    assert len(words.shown("\x00" * 10**6)) == len(words.shown("a" * 10**6)) == 150


def test_each_rule_of_the_group_can_be_broken() -> None:
    folder = "python/lib/python3.11/site-packages"
    found = broken(
        *(
            GOOD,
            GOOD,
            "/a",
            "a" * 300,
            "b.whl",
            "python/.DS_Store",
            "python/python/a.py",
            f"{folder}/a.py",
            "python/Flask/a.py",
            GOOD + "/a",
        ),
        *(link("python/l", ".."), link("python/m", "/etc"), link("python/n", "x"), entry("s", kind=Kind.SPECIAL)),
        *(
            entry("c", encrypted=True),
            entry("d", method=12),
            entry("e", raw_name=b"\xe9"),
            entry("f", unread="cut off"),
        ),
        *(entry("python/g.py", mode=0), entry("extensions/h")),
        zip64=True,
        size=60_000_000,
        unpacked_size=2**36,
        damage=("a: overlaps with the entry behind it",),
    )
    found += broken() + broken("a.py") + broken("a.txt")
    site = "python/lib/python3.12/site-packages"
    found += broken("python/a.py", f"{site}/a.py") + broken("python/a.py", f"{site}/b.py")
    group = {name for name, rule in rules().items() if rule.group == "zip"}
    assert set(found) == group - {"zip-changed"}  # which takes the manifest to find
