"""Functions with their layers, of hand-made facts: what Lambda would find, and what it would not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import targets
from layerkit.verify.checks import functions
from layerkit.verify.facts import Bytecode, Entry, Kind, ZipFacts
from layerkit.verify.rules import Severity, rules
from layerkit.verify.subjects import FunctionSubject

RUNTIME = targets.find_runtime("python3.12")
assert RUNTIME
ARM = RUNTIME.target("arm64")
LIMIT = 262_144_000
SITE = "python/lib/python3.12/site-packages"

Files = Mapping[str, str]  # path -> content


def entry(path: str, content: str) -> Entry:
    text = content if path.endswith(("/METADATA", "/RECORD")) else ""
    return Entry(path=path, size=len(content), crc=hash(content) & 0xFFFFFFFF, text=text)


def layer(label: str, files: Files | Sequence[str] = (), *, size: int | None = None) -> ZipFacts:
    contents = dict.fromkeys(files, "") if not isinstance(files, Mapping) else files
    entries = tuple(entry(path, content) for path, content in contents.items())
    total = sum(one.size for one in entries) if size is None else size
    return ZipFacts(label=label, size=1, sha256="", entries=entries, unpacked_size=total)


def distribution(name: str, version: str = "1.0", *needs: str, root: str = "python/") -> dict[str, str]:
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in needs), ""]
    info = f"{root}{name}-{version}.dist-info"
    return {f"{info}/METADATA": "\n".join(lines), f"{info}/RECORD": f"{name}.py,,\n"}


def function(*layers: ZipFacts, source: Files | None = None, handler: str = "") -> FunctionSubject:
    own = tuple(entry(path, content) for path, content in (source or {}).items())
    return FunctionSubject(name="api", target=ARM, layers=layers, source=own, handler=handler)


def check(*layers: ZipFacts, source: Files | None = None, handler: str = "") -> list[tuple[str, str]]:
    found = list(functions.check(function(*layers, source=source, handler=handler)))
    assert {one.subject for one in found} <= {"function api"}
    return [(one.rule.removeprefix("function-"), one.message) for one in found]


def test_a_function_that_is_well() -> None:
    flask = layer("flask.zip", {"python/flask/__init__.py": "1", **distribution("flask", "3.1.3", "boto3", "x>=1")})
    x = layer("x.zip", {f"{SITE}/x.py": "2", "bin/tool": "3", **distribution("x", "1.2", root=f"{SITE}/")})
    assert check(flask, x, source={"app.py": "4", "util/__init__.py": "5"}, handler="app.handler") == []


# Number and size


def test_five_layers_and_six() -> None:
    layers = [layer(f"{number}.zip", [f"python/m{number}.py"]) for number in range(6)]
    assert check(*layers[:5]) == []
    assert check(*layers) == [("layers", "it attaches 6 layers, and Lambda takes 5")]


def test_the_sum_of_sizes() -> None:
    whole = function(layer("a.zip", size=LIMIT - 10), source={"app.py": "1234567890"})
    assert list(functions.check(whole)) == []
    assert functions.remaining(whole) == 0
    assert functions.remaining(function(layer("a.zip", size=1000), source={"app.py": "12345"})) == LIMIT - 1005


def test_a_byte_too_much() -> None:
    found = check(layer("a.zip", size=1_000), layer("b.zip", size=LIMIT - 1_005), source={"app.py": "123456"})
    assert found == [
        (
            "size",
            "its layers and source unpack to 262,144,001 bytes, 1 more than the 262,144,000 that Lambda takes: "
            "b.zip 262,142,995, a.zip 1,000, its source 6",
        )
    ]


def test_what_a_layer_overwrites_counts_twice() -> None:
    same = {"python/big.bin": "x"}
    half = LIMIT // 2 + 1
    assert [rule for rule, _ in check(layer("a.zip", same, size=half), layer("b.zip", same, size=half))] == ["size"]


# Shadows in /opt


def test_the_last_layer_wins() -> None:
    one = layer("a.zip", {"python/x/__init__.py": "old", "python/x/y.py": "same", "python/x/data.json": "1"})
    two = layer("b.zip", {"python/x/__init__.py": "new", "python/x/y.py": "same", "python/x/data.json": "2"})
    words = "with other content, since it is attached later (/opt/python/x/__init__.py, /opt/python/x/data.json)"
    assert check(one, two) == [("shadow", f"b.zip overwrites 2 files of a.zip {words}")]
    assert check(two, one) == [("shadow", f"a.zip overwrites 2 files of b.zip {words}")]
    (found,) = functions.check(function(one, two))
    assert found.path == "/opt/python/x/__init__.py"


def test_one_finding_for_each_package_and_pair() -> None:
    files = {
        "python/x/a.py": "",
        "python/x/b.py": "",
        "python/y.py": "",
        f"{SITE}/z/c.py": "",
        "bin/t": "",
        "lib/l": "",
    }
    two = {path: f"{number}" for number, path in enumerate(files)}
    messages = [message for _, message in check(layer("a.zip", files), layer("b.zip", two))]
    assert [message.partition(" of ")[0] for message in messages] == [
        "b.zip overwrites 2 files",
        *["b.zip overwrites 1 file"] * 4,
    ]


@pytest.mark.parametrize(
    ("hashed", "checked", "runs"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_bytecode_that_outlives_its_source(hashed: bool, checked: bool, runs: bool) -> None:
    """The layer on top has no bytecode, and that of the one below is not compared with any source."""
    code = Bytecode(magic=3531, hashed=hashed, checked=checked)
    compiled = Entry(path="python/__pycache__/x.cpython-312.pyc", bytecode=code)
    below = layer("a.zip", {"python/x.py": "1"})
    below = replace(below, entries=(*below.entries, compiled))
    ((_, message),) = check(below, layer("b.zip", {"python/x.py": "2"}))
    assert message.endswith("; Python still runs the bytecode of a.zip") is runs
    # the layer on top has its own
    over = layer("b.zip", {"python/x.py": "2"})
    ((_, message),) = check(below, replace(over, entries=(*over.entries, compiled)))
    assert "bytecode" not in message


def test_a_link_is_not_a_file() -> None:
    link = ZipFacts(
        label="b.zip", size=1, sha256="", entries=(Entry(path="lib/x.so.1", kind=Kind.LINK, link="x.so.1.2"),)
    )
    assert [rule for rule, _ in check(layer("a.zip", ["lib/x.so.1"]), link)] == ["shadow"]
    assert check(link, ZipFacts(label="c.zip", size=1, sha256="", entries=link.entries)) == []


@pytest.mark.parametrize(
    "path",
    [
        "python/x-1.0.dist-info/RECORD",
        "python/x-1.0.dist-info/licenses/LICENSE",
        f"{SITE}/x-1.0.dist-info/INSTALLER",
        "python/x/__pycache__/a.cpython-312.pyc",
        "python/bin/flask",
        "python/LICENSE.txt",
        f"{SITE}/README.md",
        "CHANGELOG.md",
    ],
)
def test_differences_that_harm_nobody(path: str) -> None:
    found = check(layer("a.zip", {path: "1"}), layer("b.zip", {path: "2"}))
    assert [one for one in found if one[0] == "shadow"] == []


def test_a_package_s_own_license_file_may_be_read_by_it() -> None:
    files = "python/x/LICENSE"
    assert [rule for rule, _ in check(layer("a.zip", {files: "1"}), layer("b.zip", {files: "2"}))] == ["shadow"]


# Shadows on sys.path


def test_the_source_comes_before_the_layers() -> None:
    lib = layer("a.zip", {"python/requests.py": "theirs", "python/same.py": "1"})
    assert check(lib, source={"requests.py": "mine", "same.py": "1"}) == [
        (
            "shadow",
            "/var/task/requests.py of its source is found before 1 module of a.zip with other content "
            "(/opt/python/requests.py)",
        )
    ]


def test_a_module_of_the_source_hides_a_package() -> None:
    lib = layer("a.zip", ["python/requests/__init__.py", "python/requests/api.py"])
    assert check(lib, source={"requests.py": "mine"}) == [
        (
            "shadow",
            "/var/task/requests.py of its source is found before requests of a.zip "
            "(/opt/python/requests/__init__.py, /opt/python/requests/api.py)",
        )
    ]


def test_site_packages_come_before_python() -> None:
    found = check(layer("a.zip", {"python/x.py": "1"}), layer("b.zip", {f"{SITE}/x.py": "2"}))
    assert found == [
        (
            "shadow",
            f"/opt/{SITE}/x.py of b.zip is found before 1 module of a.zip with other content (/opt/python/x.py)",
        )
    ]


def test_another_python_s_folder_is_not_on_the_path() -> None:
    assert check(layer("a.zip", {"python/lib/python3.11/site-packages/x.py": "1"}), source={"x.py": "2"}) == []


def test_data_beside_the_source_is_no_module() -> None:
    assert check(layer("a.zip", {"python/config.json": "1"}), source={"config.json": "2", "python/x.py": ""}) == []


@pytest.mark.parametrize("name", ["tests/__init__.py", "tests/test_a.py", "docs/conf.py"])
def test_folders_that_nobody_imports(name: str) -> None:
    assert check(layer("a.zip", {f"python/{name}": "1", "python/tests/other.py": "3"}), source={name: "2"}) == []


# Split packages


def test_a_package_in_two_places() -> None:
    here = layer("a.zip", ["python/x/__init__.py", "python/x/one.py", "python/x/sub/two.py"])
    site = layer("b.zip", [f"{SITE}/x/__init__.py", f"{SITE}/x/three.py"])
    assert check(here, site) == [
        (
            "split-package",
            f"the package x of b.zip (/opt/{SITE}/x) hides 2 modules of a.zip that it does not have "
            "(/opt/python/x/one.py, /opt/python/x/sub/two.py)",
        )
    ]


def test_a_package_in_two_layers_but_one_folder() -> None:
    one = layer("a.zip", ["python/x/__init__.py", "python/x/one.py"])
    assert check(one, layer("b.zip", ["python/x/two.py"])) == []


def test_a_whole_copy_hides_nothing() -> None:
    files = ["x/__init__.py", "x/one.py"]
    copy = layer("b.zip", [f"{SITE}/{path}" for path in [*files, "x/more.py"]])
    assert check(layer("a.zip", [f"python/{path}" for path in files]), copy) == []


def test_a_module_beside_a_folder_without_init() -> None:
    """Python takes x.py, as the folder is but a part of a namespace package."""
    found = check(layer("a.zip", ["python/x/__init__.py"]), source={"x/data.py": "", "x.py": ""})
    assert found == [
        ("shadow", "/var/task/x.py of its source is found before x of a.zip (/opt/python/x/__init__.py)")
    ]


def test_namespace_packages_may_be_spread() -> None:
    files = ["python/google/cloud/s3/__init__.py", f"{SITE}/google/cloud/db/__init__.py"]
    assert check(layer("a.zip", files[:1]), layer("b.zip", files[1:]), source={"google/own.py": ""}) == []


def test_a_regular_package_hides_parts_of_a_namespace_before_it() -> None:
    """Python goes on along sys.path until it meets an __init__."""
    found = check(layer("a.zip", ["python/google/__init__.py"]), source={"google/own.py": ""})
    assert found == [
        (
            "split-package",
            "the package google of a.zip (/opt/python/google) hides 1 module of its source that it does not have "
            "(/var/task/google/own.py)",
        )
    ]


def test_packages_inside_namespace_packages() -> None:
    here = layer("a.zip", ["python/google/cloud/s3/__init__.py", "python/google/cloud/s3/io.py"])
    site = layer("b.zip", [f"{SITE}/google/cloud/s3/__init__.so", f"{SITE}/google/cloud/db.py"])
    assert [message for _, message in check(here, site)] == [
        f"the package s3 of b.zip (/opt/{SITE}/google/cloud/s3) hides 2 modules of a.zip that it does not have "
        "(/opt/python/google/cloud/s3/__init__.py, /opt/python/google/cloud/s3/io.py)"
    ]


# Twice


def test_two_versions() -> None:
    found = check(layer("a.zip", distribution("x", "1.0")), layer("b.zip", distribution("x", "2.0")))
    assert found == [("duplicate", "x is there in 2 versions: 1.0 in a.zip, 2.0 in b.zip")]


def test_another_version_in_the_source() -> None:
    own = distribution("x", "2.0", root="")
    found = check(layer("a.zip", distribution("x", "1.0")), source=own)
    assert found == [("duplicate", "x is there in 2 versions: 1.0 in a.zip, 2.0 in its source")]


def test_one_version_twice_wastes_bytes() -> None:
    files = {"python/x.py": "12345", **distribution("x", "1.0")}
    found = check(*(layer(label, files) for label in ("a.zip", "b.zip", "c.zip")))
    assert found == [("packed-twice", "x 1.0 is in a.zip, b.zip and c.zip, which wastes 10 bytes")]


def test_many_are_told_together() -> None:
    files = {f"python/x{number}.py": "x" * 26 for number in range(5)}
    for number in range(5):
        files |= distribution(f"x{number}")
    assert check(layer("a.zip", files), layer("b.zip", {**files, **distribution("y")})) == [
        (
            "packed-twice",
            "5 distributions are in a.zip and b.zip, which wastes 130 bytes (x0 1.0, x1 1.0, x2 1.0 and 2 more)",
        )
    ]


def test_one_version_in_a_layer_and_the_source() -> None:
    found = check(layer("a.zip", distribution("x")), source=distribution("x", root=""))
    assert found == [("packed-twice", "x 1.0 is in a.zip and its source")]


# Requirements


def test_requirements_are_met_by_layers_source_and_runtime() -> None:
    a = layer("a.zip", distribution("x", "1.0", "y", "z>1", "botocore", "w; sys_platform == 'win32'"))
    assert check(a, layer("b.zip", distribution("y")), source=distribution("z", "2.0", root="")) == []


def test_nothing_provides() -> None:
    found = check(layer("a.zip", distribution("x", "1.0", "y>=2", "z")), layer("b.zip", distribution("y", "1.0")))
    assert found == [
        ("requirement", "x 1.0 in a.zip requires y>=2, and 1.0 is there"),
        ("requirement", "x 1.0 in a.zip requires z, and nothing here nor the runtime has it"),
    ]


def test_what_the_source_requires() -> None:
    found = check(source=distribution("x", "1.0", "z", root=""))
    assert found == [("requirement", "x 1.0 in its source requires z, and nothing here nor the runtime has it")]


# Handlers


@pytest.mark.parametrize(
    ("handler", "path"),
    [
        ("app.handler", "app.py"),
        ("app.handler", "app/__init__.py"),
        ("src/app.handler", "src/app.py"),
        ("src.app.handler", "src/app.py"),
        ("app.handler", "app.cpython-312-aarch64-linux-gnu.so"),
        ("app.handler", "app.pyc"),
    ],
)
def test_handlers(handler: str, path: str) -> None:
    assert check(source={path: ""}, handler=handler) == []
    assert check(layer("a.zip", [f"python/{path}"]), source={"x.py": ""}, handler=handler) == []
    assert [rule for rule, _ in check(source={"x.py": ""}, handler=handler)] == ["handler"]


def test_a_handler_that_is_nearly_there() -> None:
    found = check(source={"lambda_function.py": "", "util.py": ""}, handler="Lambda_function.lambda_handler")
    words = "the handler's module Lambda_function is neither in its source nor in a layer"
    assert found == [("handler", f"{words}; did you mean lambda_function?")]
    assert check(source={"util.py": ""}, handler="Lambda_function.lambda_handler") == [("handler", words)]


def test_what_cannot_be_imported_is_no_handler() -> None:
    files = layer("a.zip", ["app.py", "python/lib/python3.11/site-packages/app.py", "python/app.txt"])
    assert [rule for rule, _ in check(files, source={"x.py": ""}, handler="app.handler")] == ["handler"]


def test_without_a_source_nobody_knows() -> None:
    assert check(layer("a.zip", ["python/x.py"]), handler="app.handler") == []


# All


def test_severities() -> None:
    warnings = {
        rule.id for rule in rules().values() if rule.group == "functions" and rule.severity is Severity.WARNING
    }
    assert warnings == {"function-packed-twice"}


PARTS = ["python", "lib", "python3.12", "site-packages", "x", "__init__.py", "x.py", "..", "", "x.so", "a\x1b"]
PATHS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12) | st.lists(
    st.sampled_from([*PARTS, "y-1.dist-info", "METADATA"]),
    max_size=7,
).map("/".join)  # fmt: skip
TREES = st.dictionaries(PATHS, st.text(max_size=30), max_size=8)


@given(TREES, TREES, TREES, st.text(max_size=12))
def test_any_tree(one: Files, two: Files, source: Files, handler: str) -> None:
    for finding in functions.check(function(layer("a", one), layer("b", two), source=source, handler=handler)):
        assert finding.rule in rules()
        assert finding.message.isprintable()


def test_a_tree_without_an_end() -> None:
    deep = "a/" * 5000 + "x.py"
    assert check(layer("a.zip", [f"python/{deep}"]), source={deep: "1"}) == []
