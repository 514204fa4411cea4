"""build(), from layers.yaml to dist/, with the real uv and the Python that runs the tests as the runtime's."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import RUNTIME, Said
from layerkit import pipeline
from layerkit.builders.wheels import WheelsBuilder, WheelsSession
from layerkit.cache import Cache
from layerkit.errors import ConfigError, ContentError, LayerkitError, LockError, WheelMissing
from layerkit.model import Target
from layerkit.pipeline import BuildRequest, LayerResult
from wheelhouse import Index, make_sdist, make_wheel

Project = Callable[..., Path]
LAYERS = """
layers:
  web: {name: web-layer, license: MIT, description: The web, requirements: [web]}
  door: {requirements: [door], uses: [web]}
  own: {source: src, uses: [web]}
"""
SOURCE = {"src/main.py": "import web\n", "src/pkg/__init__.py": ""}

Build = Callable[..., list[LayerResult]]


@pytest.fixture
def build(index: Index, cache: Cache, said: Said) -> Build:
    """build(file, **request): locks, then builds; the wheels are on the index."""
    index.add(
        make_wheel("web", requires=["core"], files={"web/__init__.py": "import core\n", "web/x.html": "<p>\n" * 99}),
        make_wheel("core", metadata="License-Expression: BSD-3-Clause", console_script="core = core:main"),
        make_wheel("door", requires=["core"]),
    )

    def run(file: Path, relock: bool = True, **request: Any) -> list[LayerResult]:
        if relock:
            pipeline.lock(file, cache, said)
        wanted: dict[str, Any] = {"file": file, "output": file.parent / "dist", "jobs": 2} | request
        return pipeline.build(BuildRequest(**wanted), WheelsBuilder(), cache, said)

    return run


def dist(file: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((file.parent / "dist").iterdir())}


def names(path: Path) -> list[str]:
    return zipfile.ZipFile(path).namelist()


def entries(file: Path) -> dict[str, Any]:
    data = json.loads((file.parent / "dist/manifest.json").read_text())
    assert data["schema_version"] == 1
    return {item["layer"]: item for item in data["layers"]}


def test_each_layer_holds_its_share(project: Project, build: Build) -> None:
    file = project(LAYERS, SOURCE)
    build(file)
    tag = sys.implementation.cache_tag
    assert names(file.parent / "dist/web-layer.zip") == [
        f"python/__pycache__/core.{tag}.pyc",
        "python/core-1.0.dist-info/METADATA",
        "python/core-1.0.dist-info/RECORD",
        "python/core-1.0.dist-info/WHEEL",
        "python/core-1.0.dist-info/entry_points.txt",
        "python/core.py",
        "python/web-1.0.dist-info/METADATA",
        "python/web-1.0.dist-info/RECORD",
        "python/web-1.0.dist-info/WHEEL",
        "python/web/__init__.py",
        f"python/web/__pycache__/__init__.{tag}.pyc",
        "python/web/x.html",
    ]
    assert not [n for n in names(file.parent / "dist/door.zip") if "core" in n]
    assert [n for n in names(file.parent / "dist/own.zip") if n.endswith(".py")] == [
        "python/main.py",
        "python/pkg/__init__.py",
    ]


def test_the_manifest_says_what_is_inside(project: Project, build: Build) -> None:
    file = project(LAYERS, SOURCE)
    build(file)
    web = entries(file)["web"]
    content = (file.parent / "dist/web-layer.zip").read_bytes()
    digest = hashlib.sha256(content)
    unzipped = sum(info.file_size for info in zipfile.ZipFile(file.parent / "dist/web-layer.zip").infolist())
    release = platform.python_version()
    assert {key: web[key] for key in web if key not in ("distributions", "inputs")} == {
        "layer": "web",
        "name": "web-layer",
        "description": "The web",
        "license": "MIT",
        "runtime": RUNTIME,
        "architecture": "arm64",
        "file": "web-layer.zip",
        "size": len(content),
        "unzipped_size": unzipped,
        "sha256": digest.hexdigest(),
        "code_sha256": b64encode(digest.digest()).decode(),
        "source": [],
        "bytecode": {"mode": "unchecked-hash", "compiler": f"CPython {release}", "uncompiled": []},
        "libraries": [],
        "builders": [{"name": "wheels", "image": None, "digest": None}],
    }
    assert [(d["name"], d["version"], d["license"]) for d in web["distributions"]] == [
        ("core", "1.0", "BSD-3-Clause"),
        ("web", "1.0", ""),
    ]
    assert [d["from"] for d in web["distributions"]] == ["wheel", "wheel"]
    assert sum(d["size"] for d in web["distributions"]) == unzipped
    own = entries(file)["own"]
    assert own["distributions"] == []
    assert [builder["name"] for builder in own["builders"]] == ["host"]
    assert [item["path"] for item in own["source"]] == ["src"]


def test_nothing_changed_is_seen_without_any_work(project: Project, build: Build, index: Index) -> None:
    file = project(LAYERS, SOURCE)
    build(file)
    before = dist(file)
    stamps = [p.stat().st_mtime_ns for p in (file.parent / "dist").iterdir()]
    asked = len(index.requests)
    assert [result.built for result in build(file, relock=False)] == [False, False, False]
    assert dist(file) == before
    assert [p.stat().st_mtime_ns for p in (file.parent / "dist").iterdir()] == stamps
    assert len(index.requests) == asked


def test_a_manifest_with_a_damaged_entry_is_made_again(project: Project, build: Build) -> None:
    """Each key taken away, and each given another kind of value."""
    file = project("layers: {web: {requirements: [core]}}\n")
    build(file)
    manifest = file.parent / "dist/manifest.json"
    good = manifest.read_text()
    for key in json.loads(good)["layers"][0]:
        for harm in ("gone", "other kind"):
            data = json.loads(good)
            if harm == "gone":
                del data["layers"][0][key]
            else:
                data["layers"][0][key] = None
            manifest.write_text(json.dumps(data))
            build(file, relock=False)
            assert manifest.read_text() == good, (key, harm)


@pytest.mark.parametrize("harm", ["changed", "shortened", "removed", "manifest removed", "manifest damaged"])
def test_a_dist_that_was_tampered_with_is_made_again(project: Project, build: Build, harm: str) -> None:
    file = project(LAYERS, SOURCE)
    build(file)
    before = dist(file)
    victim = file.parent / "dist" / ("manifest.json" if "manifest" in harm else "web-layer.zip")
    content = victim.read_bytes()
    if "removed" in harm:
        victim.unlink()
    elif harm == "changed":
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        victim.write_bytes(content[:-20])
    build(file, relock=False)
    assert dist(file) == before


def test_one_changed_distribution_is_the_only_one_that_is_done_again(
    project: Project, build: Build, cache: Cache, said: Said, index: Index
) -> None:
    file = project(LAYERS.replace("[door]", "['door<2']"), SOURCE)
    build(file)
    index.add(make_wheel("door", "2.0", requires=["core"]))
    project(LAYERS, SOURCE)
    os.environ["UV_CACHE_DIR"] += "-new"
    pipeline.lock(file, cache, said, upgrade=["door"])
    parts = set(cache.folder.glob("parts/*/*.zip"))
    results = build(file, relock=False)
    assert {r.entry["layer"]: r.built for r in results} == {"web": False, "door": True, "own": False}
    assert len(set(cache.folder.glob("parts/*/*.zip")) - parts) == 1


def test_a_changed_source_changes_its_layer_alone(project: Project, build: Build) -> None:
    file = project(LAYERS, SOURCE)
    build(file)
    (file.parent / "src/main.py").write_text("import web  # changed\n")
    assert {r.entry["layer"]: r.built for r in build(file, relock=False)} == {
        "web": False,
        "door": False,
        "own": True,
    }


def test_words_change_the_manifest_alone(project: Project, build: Build) -> None:
    file = project(LAYERS, SOURCE)
    build(file)
    project(LAYERS.replace("The web", "Another word"))
    assert not any(result.built for result in build(file, relock=False))
    assert entries(file)["web"]["description"] == "Another word"


def test_the_cache_makes_a_lost_dist_again_without_an_index(project: Project, build: Build, index: Index) -> None:
    file = project(LAYERS, SOURCE)
    build(file)
    before = dist(file)
    for path in (file.parent / "dist").iterdir():
        path.unlink()
    (file.parent / "dist").rmdir()
    index.status = 500
    build(file, relock=False)
    assert dist(file) == before


def test_a_chosen_layer_leaves_the_others(project: Project, build: Build) -> None:
    file = project(LAYERS, SOURCE)
    build(file, layers=("door",))
    assert list(dist(file)) == ["door.zip", "manifest.json"]
    build(file, layers=("web-layer",))  # a name in AWS serves as well as a key
    assert list(entries(file)) == ["door", "web"]
    build(file)
    before = dist(file)
    assert [r.entry["layer"] for r in build(file, layers=("own", "web", "own"))] == ["own", "web"]
    assert dist(file) == before
    with pytest.raises(ConfigError, match="did you mean 'web'"):
        build(file, layers=("weeb",))


def test_what_is_no_longer_declared_goes(project: Project, build: Build) -> None:
    file = project(LAYERS, SOURCE)
    build(file)
    (file.parent / "dist/published.json").write_text("{}")
    project("layers:\n  web: {name: renamed, requirements: [web]}\n")
    build(file)
    assert list(dist(file)) == ["manifest.json", "published.json", "renamed.zip"]


def test_several_targets(project: Project, build: Build, said: Said) -> None:
    settings = f"runtimes: [{RUNTIME}, python3.14], architectures: [arm64, x86_64]"
    text = f"layers: {{web: {{requirements: [web], {settings}}}}}\n"
    file = project(text)
    build(file)
    expected = [f"web-{runtime}-{arch}.zip" for runtime in (RUNTIME, "python3.14") for arch in ("arm64", "x86_64")]
    assert list(dist(file)) == sorted([*expected, "manifest.json"])
    assert [r.entry["file"] for r in build(file, architectures=("x86_64",), runtimes=(RUNTIME,))] == [expected[1]]
    with pytest.raises(ConfigError, match=r"python3.10"):
        build(file, runtimes=("python3.10",))


def test_modes_of_bytecode(project: Project, build: Build) -> None:
    file = project(
        "layers:\n"
        "  a: {requirements: [core], bytecode: none}\n"
        "  b: {requirements: [core], bytecode: only}\n"
        "  c: {requirements: [core]}\n"
    )
    build(file)
    modules = {key: [n for n in names(file.parent / f"dist/{key}.zip") if ".py" in n] for key in "abc"}
    tag = sys.implementation.cache_tag
    assert modules["a"] == ["python/core.py"]
    assert modules["b"] == ["python/core.pyc"]
    assert modules["c"] == [f"python/__pycache__/core.{tag}.pyc", "python/core.py"]
    assert entries(file)["a"]["bytecode"] == {"mode": "none", "compiler": None, "uncompiled": []}


def test_a_layer_for_which_nothing_is_left(project: Project, build: Build) -> None:
    file = project("layers:\n  a: {requirements: [web]}\n  b: {requirements: [core], uses: [a]}\n")
    with pytest.raises(ContentError, match="nothing is left to pack") as caught:
        build(file)
    assert caught.value.where == "layers.b"


def test_two_owners_of_one_path_are_named(project: Project, build: Build, index: Index) -> None:
    index.add(make_wheel("rival", files={"web/__init__.py": "rival"}))
    file = project("layers:\n  a: {requirements: [web, rival]}\n")
    with pytest.raises(ContentError, match="own the same path") as caught:
        build(file)
    assert caught.value.where == "layers.a"
    assert "python/web/__init__.py is in rival 1.0 and, with other bytes, in web 1.0" in caught.value.why


def test_owners_of_one_path_in_two_layers_do_not_disturb_each_other(
    project: Project, build: Build, index: Index
) -> None:
    index.add(make_wheel("rival", files={"web/__init__.py": "rival"}))
    file = project("layers:\n  a: {requirements: [web]}\n  b: {requirements: [rival]}\n")
    build(file)
    with zipfile.ZipFile(file.parent / "dist/b.zip") as found:
        assert found.read("python/web/__init__.py") == b"rival"
    with zipfile.ZipFile(file.parent / "dist/a.zip") as found:
        assert found.read("python/web/__init__.py") == b"import core\n"


# --- the lock and the build ---------------------------------------------------------------------------------


def test_a_stale_lock_stops_the_build(project: Project, build: Build) -> None:
    file = project(LAYERS, SOURCE)
    build(file)
    project(LAYERS.replace("[web]}", "[web, door]}", 1))
    with pytest.raises(LockError, match=r"layers.yaml changed since the lock") as caught:
        build(file, relock=False)
    assert caught.value.cure == "layerkit lock"


def test_no_lock_is_made_unless_frozen(project: Project, build: Build, said: Said) -> None:
    file = project(LAYERS, SOURCE)
    with pytest.raises(LockError, match="there is no lock yet"):
        build(file, relock=False, frozen=True)
    build(file, relock=False)
    assert "there is no layers.lock yet; making it, as layerkit lock does" in said.warnings
    assert (file.parent / "layers.lock").exists()


def locked_release(file: Path, release: str) -> None:
    path = file.parent / "layers.lock"
    text = path.read_text()
    line = next(line for line in text.splitlines() if line.startswith(f'# "{RUNTIME}"'))
    path.write_text(text.replace(line, f'# "{RUNTIME}" = "{release}"'))


def test_another_release_is_told_and_with_frozen_refused(project: Project, build: Build, said: Said) -> None:
    file = project(LAYERS, SOURCE)
    build(file, frozen=True)
    before = dist(file)
    locked_release(file, f"{RUNTIME.removeprefix('python')}.99")
    with pytest.raises(LockError, match=r"the lock names 3\.\d+\.99") as caught:
        build(file, relock=False, frozen=True)
    assert "uv python install" in caught.value.cure
    assert dist(file) == before
    build(file, relock=False)
    assert any("the lock names" in warning for warning in said.warnings)


def test_without_a_matching_python_the_layers_carry_none_and_say_so(
    project: Project, build: Build, said: Said
) -> None:
    file = project("version: 1\nlayers: {web: {requirements: [web], runtimes: [python3.19]}}\n")
    build(file)
    assert not [n for n in names(file.parent / "dist/web.zip") if n.endswith(".pyc")]
    assert entries(file)["web"]["bytecode"] == {"mode": "none", "compiler": None, "uncompiled": []}
    assert any("there is no CPython 3.19 here" in w and "uv python install 3.19" in w for w in said.warnings)
    assert any("python3.19 is not a runtime that this layerkit knows" in w for w in said.warnings)
    with pytest.raises(LockError, match=r"no CPython 3\.19"):
        build(file, relock=False, frozen=True)


# --- the same bytes -----------------------------------------------------------------------------------------

SURROUNDINGS = {
    "umask": ("umask 077", {}),
    "clock and zone": ("umask 022", {"TZ": "Pacific/Kiritimati"}),
    "locale": ("umask 022", {"LC_ALL": "tr_TR.UTF-8", "LANG": "C"}),
    "hash seed": ("umask 002", {"PYTHONHASHSEED": "4711"}),
    "optimised": ("umask 022", {"PYTHONOPTIMIZE": "2", "PYTHONDONTWRITEBYTECODE": "1"}),
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_the_same_bytes_in_other_surroundings(name: str, project: Project, build: Build, tmp_path: Path) -> None:
    file = project(LAYERS, SOURCE)
    build(file)
    umask, environment = SURROUNDINGS[name]
    other = tmp_path / "another place with a longer name"
    script = f"{umask} && cp -R {file.parent} '{other}' && rm -r '{other}/dist' && cd '{other}' && touch src/* && "
    script += f"{sys.executable} -m layerkit build --frozen --jobs 1 -q"
    surroundings = os.environ | environment | {"LAYERKIT_CACHE_DIR": str(tmp_path / "second-cache")}
    subprocess.run(["sh", "-c", script], env=surroundings, check=True)
    assert dist(other / "layers.yaml") == dist(file)


# --- nothing lost -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("layers:\n  web: {name: web-layer, requirements: [ext]}\n", WheelMissing),
        ("layers:\n  web: {name: web-layer, requirements: [web, rival]}\n", ContentError),
    ],
)
def test_a_failing_build_leaves_dist_whole(
    project: Project, build: Build, index: Index, change: str, error: type[LayerkitError]
) -> None:
    index.add(make_wheel("rival", files={"web/__init__.py": "rival"}))
    index.add(make_wheel("ext", tag="cp312-cp312-win_amd64"), make_sdist("ext"))
    file = project(LAYERS, SOURCE)
    build(file)
    before = dist(file)
    project(change)
    with pytest.raises(error):
        build(file)
    assert dist(file) == before
    assert not list(file.parent.glob(".dist*"))


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_stopped_at_any_moment_leaves_dist_whole(
    project: Project, build: Build, tmp_path: Path, way: signal.Signals
) -> None:
    sources = {f"src/m{n}.py": f"x = {n}\n" * 200 for n in range(120)}
    file = project("layers: {own: {source: src}, web: {requirements: [web]}}\n", sources)
    build(file)
    before = dist(file)
    (file.parent / "src/m0.py").write_text("changed = True\n")
    code = "import signal; from layerkit import cli; signal.signal(signal.SIGTERM, cli._interrupt); "
    code += "print('ready', flush=True); cli.main()"
    command = [sys.executable, "-c", code, "build", "-q", "-j1"]
    finished = stopped = 0
    for n in range(8):
        environment = os.environ | {"LAYERKIT_CACHE_DIR": str(tmp_path / f"kill-cache-{n}")}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:  # type: ignore[call-overload]
            process.stdout.readline()
            time.sleep(0.005 + 0.06 * n)
            process.send_signal(way)
            _, stderr = process.communicate()
        # CPython itself loses an interrupt that meets a callback of the import system, and says so
        assert b"Traceback" not in stderr or b"Exception ignored in" in stderr, stderr
        now = dist(file)
        for path in (file.parent / "dist").glob("*.zip"):
            assert zipfile.ZipFile(path).testzip() is None
        assert {item["file"]: item["sha256"] for item in entries(file).values()} == {
            name: digest for name, digest in now.items() if name.endswith(".zip")
        }
        if now == before:
            stopped += 1
        else:
            finished += 1
            (file.parent / "src/m0.py").write_text(f"changed = {n}\n")
            before = now
        # -way: a kill, or any signal once the command is done and Python takes its handlers down
        assert process.returncode in ((0, -way) if way == signal.SIGKILL else (0, 130, -way))
        with Cache(tmp_path / f"kill-cache-{n}").workspace() as workspace:  # the next run tidies up
            assert list((tmp_path / f"kill-cache-{n}").glob("tmp/*")) == [workspace]
    assert stopped


class EditedMeanwhile(WheelsBuilder):
    """Somebody saves a file of the source while the distributions are installed."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    @contextmanager
    def session(self, target: Target, folder: Path, step_limit: int) -> Iterator[WheelsSession]:
        self.file.write_text("saved = 'in the middle'\n")
        with super().session(target, folder, step_limit) as session:
            yield session


def test_an_edit_while_the_build_runs_is_never_cached_as_what_was_before(
    project: Project, build: Build, cache: Cache, said: Said
) -> None:
    file = project("layers: {own: {source: src, requirements: [web]}}\n", SOURCE)
    pipeline.lock(file, cache, said)
    request = BuildRequest(file=file, output=file.parent / "dist")
    with pytest.raises(ContentError, match="changed while it was built"):
        pipeline.build(request, EditedMeanwhile(file.parent / "src/main.py"), cache, said)
    (file.parent / "src/main.py").write_text(SOURCE["src/main.py"])
    build(file)
    with zipfile.ZipFile(file.parent / "dist/own.zip") as found:
        assert found.read("python/main.py").decode() == SOURCE["src/main.py"]
