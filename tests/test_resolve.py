"""Resolving, with the real uv against a package index on loopback."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import RUNTIME, Said
from layerkit import config, lock, pipeline, uv
from layerkit.cache import Cache
from layerkit.errors import IndexUnreachable, LockError, ResolutionError, WheelMissing
from layerkit.model import Lock

Project = Callable[..., Path]
Relock = Callable[..., Lock]
from wheelhouse import Index, make_sdist, make_wheel

TWO = """
layers:
  web: {requirements: [web>=1]}
  door: {requirements: [door], uses: [web]}
"""


def fill(index: Index) -> None:
    index.add(
        make_wheel("web", "1.0", requires=["core>=1", "winonly ; sys_platform == 'win32'"]),
        make_wheel("web", "1.1", requires=["core>=1"]),
        make_wheel("core", "1.5"),
        make_wheel("core", "2.0", {"core.py": ""}, tag="cp312-cp312-win_amd64"),
        make_wheel("core", "2.0", {"core.py": ""}),
        make_wheel("door", "3.0", requires=["core"]),
        make_sdist("core", "2.0"),
    )


@pytest.fixture
def relock(cache: Cache, said: Said) -> Relock:
    def run(file: Path, *upgrade: str, upgrade_all: bool = False) -> Lock:
        return pipeline.lock(file, cache, said, upgrade=upgrade, upgrade_all=upgrade_all).lock

    return run


def versions(made: Lock) -> dict[str, str]:
    return {pin.name: pin.version for pin in made.pins}


def test_all_layers_are_one_resolution(project: Project, index: Index, relock: Relock) -> None:
    fill(index)
    made = relock(project(TWO))
    assert versions(made) == {"core": "2.0", "door": "3.0", "web": "1.1"}
    assert made.layers["web"].distributions == ("core", "web")
    assert made.layers["door"].distributions == ("core", "door")


def test_a_pin_has_the_hashes_of_all_its_files(project: Project, index: Index, relock: Relock) -> None:
    fill(index)
    made = relock(project(TWO))
    core = {f"sha256:{digest}" for name, digest in index.hashes.items() if name.startswith("core-2.0")}
    assert len(core) == 3
    assert {h for pin in made.pins if pin.name == "core" for h in pin.hashes} == core


def test_the_lock_names_no_index(project: Project, index: Index, relock: Relock) -> None:
    fill(index)
    file = project(TWO)
    relock(file)
    text = (file.parent / "layers.lock").read_text()
    assert not re.search(r"https?:|127\.0\.0\.1|/tmp/|" + re.escape(str(file.parent)), text)


def test_pins_that_fit_are_kept_until_upgraded(project: Project, index: Index, relock: Relock) -> None:
    index.add(
        make_wheel("web", "1.0", requires=["core>=1"]),
        make_wheel("core", "1.5"),
        make_wheel("door", "3.0", requires=["core"]),
    )
    file = project(TWO)
    first = (file.parent / "layers.lock", relock(file))[1]
    fill(index)
    shutil.rmtree(file.parent.parent / "uv-cache")  # its pages are fresh for ten minutes
    assert relock(file) == first
    assert versions(relock(file, "core")) == {"core": "2.0", "door": "3.0", "web": "1.0"}
    assert versions(relock(file, upgrade_all=True)) == {"core": "2.0", "door": "3.0", "web": "1.1"}


def test_a_pin_that_no_longer_fits_moves_alone(project: Project, index: Index, relock: Relock) -> None:
    fill(index)
    file = project(TWO.replace("web>=1", "web<1.1").replace("[door]", "[door, core<2]"))
    assert versions(relock(file)) == {"core": "1.5", "door": "3.0", "web": "1.0"}
    file = project(TWO.replace("[door]", "[door, core<2]"))
    assert versions(relock(file)) == {"core": "1.5", "door": "3.0", "web": "1.0"}  # all still fit
    file = project(TWO.replace("[door]", "[door, core>=2]"))
    assert versions(relock(file)) == {"core": "2.0", "door": "3.0", "web": "1.0"}


def test_markers_are_kept_only_where_targets_differ(project: Project, index: Index, relock: Relock) -> None:
    index.add(
        make_wheel("web", "1.0", requires=["arm ; platform_machine == 'aarch64'", "old ; python_version < '3.12'"]),
        make_wheel("arm"),
        make_wheel("old"),
    )
    text = (
        "version: 1\nlayers: {web: {requirements: [web], runtimes: [python3.11, python3.12], architectures: [%s]}}\n"
    )
    file = project(text % "arm64")
    made = relock(file)
    assert [pin.marker for pin in made.pins if pin.name in ("arm", "web")] == ["", ""]
    assert made.layers["web"].distributions[1].startswith("old ; python_")
    layers = config.load(file)
    shares = {t.runtime: [p.name for p in lock.share(made, layers, "web", t)] for t in layers.layers["web"].targets}
    assert shares == {"python3.11": ["arm", "old", "web"], "python3.12": ["arm", "web"]}
    made = relock(project(text % "arm64, x86_64"))
    assert any(entry.startswith("arm ; platform_machine ==") for entry in made.layers["web"].distributions)


def test_extras_are_followed(project: Project, index: Index, relock: Relock) -> None:
    index.add(
        make_wheel("web", "1.0", requires=["more ; extra == 'x'"], metadata="Provides-Extra: x"), make_wheel("more")
    )
    made = relock(project("layers:\n  a: {requirements: ['web[x]']}\n  b: {requirements: [web]}\n"))
    assert made.layers["a"].distributions == ("more", "web")
    assert made.layers["b"].distributions == ("web",)


def test_a_conflict_is_told_in_terms_of_the_layers(project: Project, index: Index, relock: Relock) -> None:
    fill(index)
    file = project(
        "layers:\n"
        "  web: {requirements: ['core>=2']}\n"
        "  old_door: {requirements: ['core<2']}\n"
        "  rest: {requirements: [door]}\n"
    )
    with pytest.raises(ResolutionError, match="the layers web and old_door cannot hold together") as caught:
        relock(file)
    assert caught.value.where == "layers.web, layers.old_door"
    assert re.search(r"layer (web|old_door) depends on core", caught.value.why)
    assert "layerkit-layer" not in str(caught.value)
    assert not (file.parent / "layers.lock").exists()


def test_a_conflict_below_the_requirements_is_told(project: Project, index: Index, relock: Relock) -> None:
    fill(index)
    index.add(make_wheel("ancient", requires=["core<1.5"]))
    with pytest.raises(ResolutionError) as caught:
        relock(project("layers:\n  web: {requirements: [web]}\n  old: {requirements: [ancient]}\n"))
    assert "core<1.5" in caught.value.why


def test_keys_that_look_alike_to_an_index_stay_apart(project: Project, index: Index, relock: Relock) -> None:
    fill(index)
    made = relock(project("layers:\n  a_b: {requirements: [core]}\n  A-b: {requirements: [door]}\n"))
    assert made.layers["a_b"].distributions == ("core",)
    assert made.layers["A-b"].distributions == ("core", "door")


def test_a_requirement_that_does_not_exist(project: Project, index: Index, relock: Relock) -> None:
    fill(index)
    with pytest.raises(ResolutionError, match="the requirement flaskk does not exist on the index") as caught:
        relock(project("layers:\n  web: {requirements: [flaskk]}\n  door: {requirements: [door]}\n"))
    assert caught.value.where == "layers.web"


def test_a_version_that_does_not_exist(project: Project, index: Index, relock: Relock) -> None:
    fill(index)
    with pytest.raises(ResolutionError, match="cannot be satisfied") as caught:
        relock(project("layers:\n  web: {requirements: ['web>=9']}\n"))
    assert "web>=9" in caught.value.why


@pytest.mark.parametrize("status", [500, 503])
def test_an_index_that_fails(project: Project, index: Index, relock: Relock, status: int) -> None:
    index.status = status
    with pytest.raises(IndexUnreachable):
        relock(project(TWO))


def test_an_index_that_refuses(project: Project, index: Index, relock: Relock) -> None:
    index.status = 401
    with pytest.raises(IndexUnreachable, match="refused"):
        relock(project(TWO))


def test_an_index_that_is_not_there_leaves_the_lock(
    project: Project, index: Index, relock: Relock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(index)
    file = project(TWO)
    relock(file)
    before = (file.parent / "layers.lock").read_bytes()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://user:secret-word@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(file.parent / "other-cache"))
    with pytest.raises(IndexUnreachable, match="does not answer") as caught:
        relock(project(TWO.replace("[door]", "[door, core]")))
    assert "secret-word" not in str(caught.value)
    assert (file.parent / "layers.lock").read_bytes() == before


def test_pips_settings_reach_uv(
    project: Project, index: Index, relock: Relock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(index)
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    assert "web" in versions(relock(project(TWO)))


def test_layers_of_own_source_need_no_index(project: Project, relock: Relock) -> None:
    made = relock(project("layers:\n  own: {source: src}\n", {"src/a.py": ""}))
    assert made.pins == ()
    assert made.layers["own"].distributions == ()


def test_check_lock(project: Project, index: Index, relock: Relock, said: Said) -> None:
    fill(index)
    file = project(TWO)
    with pytest.raises(LockError, match="no lock yet"):
        pipeline.check_lock(file, said)
    relock(file)
    pipeline.check_lock(file, said)
    with pytest.raises(LockError, match="changed since the lock"):
        pipeline.check_lock(project(TWO.replace("web>=1", "web>=1.1")), said)


def test_a_damaged_lock_is_kept_unless_all_is_upgraded(project: Project, index: Index, relock: Relock) -> None:
    fill(index)
    file = project(TWO)
    (file.parent / "layers.lock").write_text("<<<<<<< ours\n")
    with pytest.raises(LockError, match="damaged"):
        relock(file)
    assert "web" in versions(relock(file, upgrade_all=True))


def test_the_compiling_release_is_recorded_and_kept(project: Project, index: Index, relock: Relock) -> None:
    release = platform.python_version()
    fill(index)
    file = project(TWO)
    assert relock(file).compilers[RUNTIME].startswith(release.rpartition(".")[0])
    path = file.parent / "layers.lock"
    found = relock(file).compilers[RUNTIME]
    path.write_text(path.read_text().replace(f'"{found}"', f'"{release.rpartition(".")[0]}.99"'))
    assert relock(file).compilers[RUNTIME].endswith(".99")
    assert relock(file, upgrade_all=True).compilers[RUNTIME] == found


def test_no_wheel_and_no_sources_is_told_when_locking(project: Project, index: Index, relock: Relock) -> None:
    """For python3.12, whatever runs the tests."""
    fill(index)
    index.add(make_wheel("ext", tag="cp312-cp312-win_amd64"), make_wheel("ext", tag="cp312-cp312-macosx_11_0_arm64"))
    with pytest.raises(WheelMissing, match=r"no wheel that python3\.12 on arm64") as caught:
        relock(project("version: 1\nlayers:\n  web: {requirements: [web]}\n  bad: {requirements: [ext]}\n"))
    assert caught.value.where == "layers.bad"
    assert caught.value.why == "ext 1.0: its wheels are for cp312-cp312-macosx_11_0_arm64, cp312-cp312-win_amd64"


def test_a_name_is_not_taken_for_an_outage(project: Project, index: Index, relock: Relock) -> None:
    index.add(make_wheel("async-timeout", "1.0"), make_wheel("async-timeout", "2.0"))
    with pytest.raises(ResolutionError, match="the layers a and b cannot hold together"):
        relock(
            project("layers:\n  a: {requirements: ['async-timeout<2']}\n  b: {requirements: [async-timeout>=2]}\n")
        )


@pytest.mark.parametrize("address", ["me:secret@host", "me:sec@ret@host", "secret@host", "me:@secret@host:8080"])
def test_no_password_is_shown(address: str) -> None:
    error = uv.failure(
        f"error: Failed to fetch: https://{address}/simple/web/\n  cause: x (https://{address}/simple)"
    )
    assert "https://***@host" in error.why
    assert not any(word in str(error) for word in ("secret", "sec@", "ret@"))


@pytest.mark.parametrize(
    "words",
    [
        "error sending request for url (http://h/)",
        "Failed to fetch: `http://h/`\n  cause: operation timed out",
        "Network connectivity is disabled, and the index is not in the cache",
    ],
)
def test_outages_are_told_as_such(words: str) -> None:
    assert isinstance(uv.failure(f"error: {words}"), IndexUnreachable)
