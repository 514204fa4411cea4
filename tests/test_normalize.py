"""What of an installed distribution, or of a folder of own source, goes into a layer."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

import conftest
from layerkit import normalize, targets
from layerkit.errors import ContentError
from layerkit.model import Bytecode, Pin, Prune, TreeFile
from wheelhouse import Index, make_wheel

ARM = targets.find_runtime("python3.12").target("arm64")  # type: ignore[union-attr]
NOTHING: frozenset[Prune] = frozenset()

PACKAGE: dict[str, bytes | str] = {
    "web/__init__.py": "",
    "web/app.py": "x = 1\n",
    "web/app.pyi": "x: int\n",
    "web/py.typed": "",
    "web/fast.c": "int x;\n",
    "web/tests/test_app.py": "",
    "web/testing.py": "",
    "web/templates/page.html": "<p>",
    "web/__pycache__/app.cpython-311.pyc": b"\0old",
    "web/sourceless.pyc": b"\0kept",
    "web-1.0.dist-info/licenses/LICENSE": "MIT License\n",
    "web-1.0.dist-info/direct_url.json": "{}",
    "web-1.0.data/scripts/tool": "#!python\nprint()\n",
    "web-1.0.data/scripts/shell": "#!/bin/sh\necho\n",
    "web-1.0.data/data/share/web/logo.svg": "<svg/>",
}


Install = Callable[..., Path]


@pytest.fixture
def install(index: Index, tmp_path: Path) -> Install:
    """install(wheel...) -> the folder where the real uv installed them for python3.12 on arm64."""

    def run(*wheels: tuple[str, bytes]) -> Path:
        index.add(*wheels)
        pins = []
        for name, _ in wheels:
            distribution, version = name.split("-")[:2]
            pins.append(
                Pin(name=canonicalize_name(distribution), version=version, hashes=(f"sha256:{index.hashes[name]}",))
            )
        (tmp_path / "install").mkdir()
        return conftest.install(pins, ARM, tmp_path / "install")[pins[0]]

    return run


def paths(tree: normalize.Tree) -> set[str]:
    return {file.path for file in tree.files}


def rows(files: tuple[TreeFile, ...]) -> list[list[str]]:
    record = next(file for file in files if file.path.endswith("/RECORD"))
    return list(csv.reader(record.read().decode().splitlines()))


def test_nothing_that_names_the_host_is_kept(install: Install) -> None:
    root = install(make_wheel("web", files=PACKAGE, console_script="web = web.app:main"))
    assert (root / "bin/web").read_bytes().startswith(b"#!")  # uv wrote what must not be packed
    tree = normalize.distribution(root, "web", NOTHING)
    assert paths(tree) == {
        "bin/shell",
        "share/web/logo.svg",
        "web/__init__.py",
        "web/app.py",
        "web/app.pyi",
        "web/fast.c",
        "web/py.typed",
        "web/sourceless.pyc",
        "web/templates/page.html",
        "web/testing.py",
        "web/tests/test_app.py",
        "web-1.0.dist-info/METADATA",
        "web-1.0.dist-info/WHEEL",
        "web-1.0.dist-info/entry_points.txt",
        "web-1.0.dist-info/licenses/LICENSE",
    }
    for file in normalize.with_bytecode(tree, Bytecode.NONE, {}, ""):
        assert str(root).encode() not in file.read()
        assert os.path.expanduser("~").encode() not in file.read()  # noqa: PTH111


def test_record_names_exactly_the_files_that_are_there(install: Install) -> None:
    root = install(make_wheel("web", files=PACKAGE, console_script="web = web.app:main"))
    files = normalize.with_bytecode(normalize.distribution(root, "web", NOTHING), Bytecode.NONE, {}, "")
    assert sorted(row[0] for row in rows(files)) == sorted(file.path for file in files)
    assert all(row[1].startswith("sha256=") for row in rows(files) if not row[0].endswith("RECORD"))


@pytest.mark.parametrize(
    ("prune", "gone"),
    [
        ({Prune.TESTS}, {"web/tests/test_app.py"}),
        ({Prune.STUBS}, {"web/app.pyi", "web/py.typed"}),
        ({Prune.SOURCES}, {"web/fast.c"}),
        (set(Prune), {"web/tests/test_app.py", "web/app.pyi", "web/py.typed", "web/fast.c"}),
    ],
)
def test_pruning_takes_its_group_alone(install: Install, prune: set[Prune], gone: set[str]) -> None:
    root = install(make_wheel("web", files=PACKAGE))
    all_of_it = paths(normalize.distribution(root, "web", NOTHING))
    assert all_of_it - paths(normalize.distribution(root, "web", frozenset(prune))) == gone


@pytest.mark.parametrize(
    ("metadata", "license_"),
    [
        ("License-Expression: BSD-3-Clause\nLicense: other", "BSD-3-Clause"),
        ("License: Apache 2.0", "Apache 2.0"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "MIT License"),
        (f"License: {'long text ' * 30}\nClassifier: License :: OSI Approved :: BSD License", "BSD License"),
        ("", ""),
    ],
)
def test_the_licence_is_found(install: Install, metadata: str, license_: str) -> None:
    root = install(make_wheel("web", metadata=metadata))
    tree = normalize.distribution(root, "web", NOTHING)
    assert (tree.name, tree.version, tree.license) == ("web", "1.0", license_)


def test_a_careless_record_loses_no_file_and_names_none_that_is_gone(install: Install) -> None:
    files = {"web.py": "", "extra.py": "x = 1\n"}
    root = install(make_wheel("web", files=files, unlisted=["extra.py"], ghosts=["gone.py"]))
    tree = normalize.with_bytecode(normalize.distribution(root, "web", NOTHING), Bytecode.NONE, {}, "")
    assert {file.path for file in tree} >= {"web.py", "extra.py"}
    assert sorted(row[0] for row in rows(tree)) == sorted(file.path for file in tree)
    assert all(file.read() is not None for file in tree)


def test_a_record_that_leads_out_is_refused(install: Install) -> None:
    root = install(make_wheel("web"))
    with (root / "web-1.0.dist-info/RECORD").open("a") as record:
        record.write("../../etc/passwd,,\n")
    with pytest.raises(ContentError, match="outside of the layer"):
        normalize.distribution(root, "web", NOTHING)


def test_names_are_normalised_to_find_the_metadata(install: Install) -> None:
    root = install(make_wheel("Web_Thing"))
    assert normalize.distribution(root, "web-thing", NOTHING).name == "Web_Thing"


# --- own source ---------------------------------------------------------------------------------------------


def tree_of(folder: Path, prune: frozenset[Prune] = NOTHING) -> list[str]:
    return [file.path for file in normalize.source(folder, folder.parent, prune).files]


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x = 1\n")
    return folder


def test_own_source_is_taken_without_traces_of_work(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "src", "main.py", "pkg/a.py", "pkg/data.json", "pkg/__pycache__/a.cpython-312.pyc", ".env",
        ".git/config", ".mypy_cache/x", "pkg/a.pyc", "pkg/a.py~", "own.egg-info/PKG-INFO", "tests/test_a.py",
    )  # fmt: skip
    assert tree_of(folder) == ["main.py", "pkg/a.py", "pkg/data.json", "tests/test_a.py"]
    assert tree_of(folder, frozenset({Prune.TESTS})) == ["main.py", "pkg/a.py", "pkg/data.json"]


def test_a_link_inside_the_project_is_followed(tmp_path: Path) -> None:
    folder = write(tmp_path / "src", "main.py")
    write(tmp_path / "shared", "common.py", "more/deep.py")
    (folder / "common.py").symlink_to("../shared/common.py")
    (folder / "more").symlink_to("../shared/more")
    tree = normalize.source(folder, tmp_path, NOTHING)
    assert [file.path for file in tree.files] == ["common.py", "main.py", "more/deep.py"]
    assert tree.files[0].read() == b"x = 1\n"


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "project/src", "main.py")
    (folder / "secret").symlink_to("/etc/hostname")
    with pytest.raises(ContentError, match="a link out of the project") as caught:
        normalize.source(folder, tmp_path / "project", NOTHING)
    assert caught.value.where == "src/secret"


def test_a_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "src", "main.py")
    (folder / "again").symlink_to(".")
    with pytest.raises(ContentError, match="a folder that it stands in"):
        tree_of(folder)


def test_a_device_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "src", "main.py")
    os.mkfifo(folder / "pipe")
    with pytest.raises(ContentError, match="neither a file nor a folder"):
        tree_of(folder)


def test_a_dangling_link_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "src", "main.py")
    (folder / "gone").symlink_to("nowhere")
    with pytest.raises(ContentError, match="neither a file nor a folder"):
        tree_of(folder)


def test_an_empty_source_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "src", ".gitkeep")
    with pytest.raises(ContentError, match="holds no files"):
        tree_of(tmp_path / "src")


# --- bytecode's place ---------------------------------------------------------------------------------------


def test_bytecode_stands_where_the_runtime_looks(install: Install, tmp_path: Path) -> None:
    root = install(
        make_wheel("web", files={"web/__init__.py": "", "web/template.py": "{{ x }}", "web/not-a-module.py": ""})
    )
    tree = normalize.distribution(root, "web", NOTHING)
    assert [path for _, path in tree.modules()] == ["web/__init__.py", "web/template.py"]
    compiled = {"web/__init__.py": tmp_path / "0.pyc"}
    beside = {file.path for file in normalize.with_bytecode(tree, Bytecode.UNCHECKED_HASH, compiled, "cpython-312")}
    assert {"web/__init__.py", "web/__pycache__/__init__.cpython-312.pyc", "web/template.py"} <= beside
    alone = normalize.with_bytecode(tree, Bytecode.ONLY, compiled, "cpython-312")
    assert [file.path for file in alone if file.path.startswith("web/")] == [
        "web/__init__.pyc", "web/not-a-module.py", "web/template.py",
    ]  # fmt: skip
    assert "web/__init__.py" not in [row[0] for row in rows(alone)]
