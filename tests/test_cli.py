"""The command as its users start it: words, exit codes, JSON, and a light start."""

from __future__ import annotations

import errno
import json
import os
import platform
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import RUNTIME, absent
from layerkit import errors
from wheelhouse import Index, make_sdist, make_wheel

Project = Callable[..., Path]
LAYERS = "layers:\n  web: {requirements: [web]}\n  own: {source: src}\n"
SOURCE = {"src/main.py": "x = 1\n"}


def layerkit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "layerkit", *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.fixture
def ready(project: Project, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that can be locked and built."""
    monkeypatch.setenv("LAYERKIT_CACHE_DIR", str(tmp_path / "cache"))
    index.add(make_wheel("web", requires=["core"]), make_wheel("core"))
    return project(LAYERS, SOURCE)


@pytest.mark.parametrize(
    "module", ["boto3", "botocore", "docker", "rich", "packaging", "yaml", "uv", "deflate", "asyncio"]
)
def test_help_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, layerkit.cli; sys.exit({module!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help() -> None:
    done = layerkit("--help")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.partition("Commands:\n")[2].splitlines()] == [
        "arns",
        "attach",
        "build",
        "doctor",
        "iam-policy",
        "init",
        "invoke",
        "list",
        "lock",
        "prune",
        "publish",
        "rules",
        "serve",
        "verify",
    ]
    for command in (
        "arns", "attach", "build", "iam-policy", "init", "invoke", "list", "lock", "prune", "publish", "serve",
        "verify",
    ):  # fmt: skip
        assert layerkit(command, "-h").returncode == 0


def test_a_project_from_nothing(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """init, lock, build with the starter file as it is; the index has stand-ins of its distributions."""
    monkeypatch.chdir(tmp_path)
    index.add(make_wheel("Flask", "3.1.0", requires=["werkzeug"]), make_wheel("werkzeug", "3.1.0"))
    index.add(make_wheel("serverless-wsgi", "3.1.0", requires=["werkzeug>2"]))
    cache = str(tmp_path / "cache")
    assert layerkit("init", "new").returncode == 0
    monkeypatch.chdir(tmp_path / "new")
    assert layerkit("lock", LAYERKIT_CACHE_DIR=cache).returncode == 0
    done = layerkit("build", LAYERKIT_CACHE_DIR=cache)
    assert done.returncode == 0
    assert sorted(path.name for path in Path("dist").iterdir()) == [
        "flask-layer.zip", "manifest.json", "serverless-wsgi-layer.zip",
    ]  # fmt: skip
    assert layerkit("lock", "--check").returncode == 0


def test_init_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "layers.yaml").write_text("mine")
    done = layerkit("init", str(tmp_path))
    assert (done.returncode, (tmp_path / "layers.yaml").read_text()) == (3, "mine")
    assert "is there already and stays as it is" in done.stderr


def test_build_tells_each_layer_in_plain_lines(ready: Path) -> None:
    layerkit("lock")
    done = layerkit("build")
    assert (done.returncode, done.stdout) == (0, "")
    lines = done.stderr.splitlines()
    assert any(line.startswith("web.zip  installing 2 parts") for line in lines)
    release = platform.python_version()
    assert any(
        f"{RUNTIME} arm64" in line and "2 distributions" in line and f"CPython {release}" in line for line in lines
    )
    assert lines[-1].startswith("dist: 2 of 2 built, ")
    assert layerkit("build").stderr.splitlines()[-1].startswith("dist: nothing changed")
    assert layerkit("build", "--quiet").stderr == ""


def test_json_is_all_of_standard_output(ready: Path) -> None:
    locked = json.loads(layerkit("lock", "--json").stdout)
    assert locked["distributions"] == {"core": "1.0", "web": "1.0"}
    assert locked["changes"][0] == {"name": "core", "from": None, "to": "1.0"}
    assert json.loads(layerkit("lock", "--json").stdout)["changed"] is False
    first = json.loads(layerkit("build", "--json").stdout)
    assert [(layer["file"], layer["status"]) for layer in first["layers"]] == [
        ("web.zip", "built"),
        ("own.zip", "built"),
    ]
    again = json.loads(layerkit("build", "--json", "web").stdout)
    assert [(layer["file"], layer["status"]) for layer in again["layers"]] == [("web.zip", "unchanged")]
    assert again["layers"][0]["sha256"] == first["layers"][0]["sha256"]
    assert json.loads(layerkit("lock", "--check", "--json").stdout)["fits"] is True


def test_github_gets_groups_and_annotations(ready: Path) -> None:
    done = layerkit("build", GITHUB_ACTIONS="true")
    lines = done.stderr.splitlines()
    assert "::warning title=layerkit::there is no layers.lock yet; making it, as layerkit lock does" in lines
    start, end = lines.index("::group::layerkit build: web.zip, own.zip"), lines.index("::endgroup::")
    assert start < end < next(n for n, line in enumerate(lines) if "built in" in line)
    (ready.parent / "layers.yaml").write_text("version: 1\nlayer: {}\n")
    done = layerkit("build", GITHUB_ACTIONS="true")
    assert "::error title=layerkit::layers.yaml: has 2 mistakes%0A  line 1: " in done.stderr


def terminal(*arguments: str) -> str:
    """What a person sees: the command on a pseudo-terminal."""
    master, slave = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        [sys.executable, "-m", "layerkit", *arguments], stdin=slave, stdout=slave, stderr=slave, env=env
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            block = os.read(master, 4096)
        except OSError as error:  # Linux's end of a pseudo-terminal
            assert error.errno == errno.EIO
            break
        if not block:
            break
        seen += block
    process.wait()
    os.close(master)
    return seen.decode()


def test_a_terminal_gets_live_lines_that_go_away(ready: Path) -> None:
    layerkit("lock")
    seen = terminal("build")
    assert "installing 2 parts" in seen
    assert "\x1b[?25h" in seen  # the cursor is back
    assert "dist: 2 of 2 built" in seen.splitlines()[-1]
    assert "\x1b[31merror:" in terminal("build", "nothing")


BAD = {
    "config": ("version: 1\nlayer: {}\n", 3, "unknown key 'layer'; did you mean 'layers'?"),
    "unknown distribution": ("layers: {web: {requirements: [wep]}}\n", 5, "the requirement wep does not exist"),
    "conflict": (
        "layers:\n  a: {requirements: [core<1]}\n  b: {requirements: [core]}\n",
        5,
        "cannot be satisfied",
    ),
    "no wheel": ("layers: {web: {requirements: [old]}}\n", 6, "old 1.0: only a source distribution"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_has_its_words_and_exit_code(ready: Path, index: Index, project: Project, name: str) -> None:
    text, code, words = BAD[name]
    index.add(make_sdist("old"))
    project(text)
    done = layerkit("build")
    assert words in done.stderr
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert json.loads(layerkit("build", "--json").stdout)["error"]["what"]


def test_each_failure_has_its_own_exit_code() -> None:
    kinds = errors.LayerkitError.__subclasses__()
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert not {0, 1, 2} & set(codes)  # success, defects, click's usage errors


def test_an_index_that_is_not_there(ready: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://someone:secret-word@127.0.0.1:9/simple")
    done = layerkit("lock")
    assert done.returncode == 8
    assert "the package index does not answer" in done.stderr
    assert "secret-word" not in done.stderr


def test_a_used_up_disk_is_told_and_dist_stays(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system of 600 kB, in a mount namespace of its own."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False).returncode:
        absent("root", "mounting a small file system needs root on Linux")
    layerkit("build")
    before = {path.name: path.read_bytes() for path in (ready.parent / "dist").iterdir()}
    noise = os.urandom(1_500_000).hex()
    (ready.parent / "src/data.txt").write_text(noise)
    small = tmp_path / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=600k tmpfs {small}"
    for place in (f"LAYERKIT_CACHE_DIR={small}", f"OUTPUT={small}"):
        monkeypatch.setenv("LAYERKIT_CACHE_DIR", str(tmp_path / "cache"))
        output = f"--output {small}/dist" if "OUTPUT" in place else ""
        script = (
            f"{mount} && {place} {sys.executable} -m layerkit build {output}; code=$?; ls -A {small}/dist; exit $code"
        )
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 10, done.stderr
        assert "error: " in done.stderr
        assert "the disk is full; nothing that was there before is lost" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""  # no half zip
    assert {path.name: path.read_bytes() for path in (ready.parent / "dist").iterdir()} == before


def test_a_folder_that_may_not_be_written(ready: Path, tmp_path: Path) -> None:
    layerkit("lock")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    # root without the power to pass over modes is as anybody
    powerless = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    command = [*powerless, sys.executable, "-m", "layerkit", "build", "--output", str(closed / "dist")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 10, done.stderr
    assert f"{closed}: may not be written; nothing that was there before is lost" in done.stderr
    assert list(closed.iterdir()) == []


@pytest.mark.parametrize("place", ["output", "cache"])
def test_a_file_where_a_folder_is_needed(ready: Path, tmp_path: Path, place: str) -> None:
    layerkit("lock")
    (tmp_path / "file").write_text("mine")
    name = str(tmp_path / "file")
    done = layerkit("build", "--output", name) if place == "output" else layerkit("build", LAYERKIT_CACHE_DIR=name)
    assert done.returncode == 10, done.stderr
    assert "where a folder is needed" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_names_without_upgrade_are_a_usage_error() -> None:
    done = layerkit("lock", "flask")
    assert done.returncode == 2
    assert "layerkit lock --upgrade flask" in done.stderr


def test_upgrade_takes_none_one_or_several_names(ready: Path, index: Index) -> None:
    layerkit("lock")
    index.add(make_wheel("web", "2.0", requires=["core"]), make_wheel("core", "2.0"))
    fresh = {"UV_NO_CACHE": "1"}

    def locked(*arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(layerkit("lock", "--json", *arguments, **fresh).stdout)["distributions"]
        return found

    assert locked() == {"core": "1.0", "web": "1.0"}
    assert locked("--upgrade", "core") == {"core": "2.0", "web": "1.0"}
    (ready.parent / "layers.lock").unlink()
    index.files.pop("web-2.0-py3-none-any.whl")
    assert locked() == {"core": "2.0", "web": "1.0"}
    index.add(make_wheel("web", "2.0", requires=["core"]), make_wheel("core", "3.0"))
    assert locked("--upgrade", "core", "web") == {"core": "3.0", "web": "2.0"}
    index.add(make_wheel("web", "4.0"), make_wheel("core", "4.0"))
    assert locked("--upgrade") == {"web": "4.0"}
