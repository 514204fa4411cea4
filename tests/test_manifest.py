"""dist/ changes whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from layerkit import manifest


def replace(folder: Path, files: dict[str, bytes], gone: tuple[str, ...] = ()) -> None:
    with manifest.replacing(folder) as (staging, commit):
        for name, content in files.items():
            (staging / name).write_bytes(content)
        commit(gone)


def content(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_new_folder(tmp_path: Path) -> None:
    replace(tmp_path / "deep/dist", {"a.zip": b"1", "manifest.json": b"m"})
    assert content(tmp_path) == {"deep/dist/a.zip": "1", "deep/dist/manifest.json": "m"}
    assert (tmp_path / "deep/dist").stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_is_not_replaced_stays(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    (dist / "notes/deep").mkdir(parents=True)
    (dist / "notes/deep/n.txt").write_text("n")
    (dist / "published.json").write_text("p")
    (dist / "link").symlink_to("published.json")
    replace(dist, {"a.zip": b"1", "b.zip": b"1", "manifest.json": b"1"})
    replace(dist, {"a.zip": b"2", "manifest.json": b"2"}, gone=("b.zip",))
    assert content(dist) == {
        "a.zip": "2", "link": "p", "manifest.json": "2", "notes/deep/n.txt": "n", "published.json": "p",
    }  # fmt: skip
    assert (dist / "link").is_symlink()
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_before_the_commit_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    dist = tmp_path / "dist"
    replace(dist, {"a.zip": b"1", "manifest.json": b"1"})
    with pytest.raises(error), manifest.replacing(dist) as (staging, _):
        (staging / "a.zip").write_bytes(b"2")
        raise error
    assert content(tmp_path) == {"dist/a.zip": "1", "dist/manifest.json": "1"}


def test_a_folder_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "dist").symlink_to("real")
    replace(tmp_path / "dist", {"a.zip": b"1"})
    assert (tmp_path / "dist").is_symlink()
    assert content(tmp_path / "real") == {"a.zip": "1"}


@pytest.mark.parametrize("when", ["a folder is inside", "somebody works in it"])
def test_a_folder_that_is_more_than_an_output_is_never_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """As with --output and the project's own folder: it stays the folder that it is."""
    dist = tmp_path / "dist"
    replace(dist, {"a.zip": b"1", "b.zip": b"1", "manifest.json": b"1"})
    before = dist.stat().st_ino
    replace(dist, {"a.zip": b"2"})
    assert dist.stat().st_ino != before  # an output folder is exchanged
    if when == "a folder is inside":
        (dist / ".git").mkdir()
        (dist / ".git/config").write_text("g")
    else:
        monkeypatch.chdir(dist)
    before = dist.stat().st_ino
    replace(dist, {"a.zip": b"3", "manifest.json": b"3"}, gone=("b.zip",))
    assert dist.stat().st_ino == before
    found = content(dist)
    found.pop(".git/config", None)
    assert found == {"a.zip": "3", "manifest.json": "3"}
    assert (dist / ".git").exists() == (when == "a folder is inside")


def test_without_an_exchange_files_are_replaced_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a mount point or a network file system does; the call itself is the system's, so it is replaced here."""
    dist = tmp_path / "dist"
    replace(dist, {"a.zip": b"1", "b.zip": b"1", "manifest.json": b"1"})
    (dist / "published.json").write_text("p")
    monkeypatch.setattr(manifest, "_exchange", lambda *_: False)
    replace(dist, {"a.zip": b"2", "manifest.json": b"2"}, gone=("b.zip",))
    assert content(tmp_path) == {"dist/a.zip": "2", "dist/manifest.json": "2", "dist/published.json": "p"}


WRITER = """
import sys
from pathlib import Path
from layerkit import manifest
print("ready", flush=True)
n = int(sys.argv[2])
while True:
    n += 1
    with manifest.replacing(Path(sys.argv[1])) as (staging, commit):
        for name in ("a.zip", "b.zip", "c.zip", "manifest.json"):
            (staging / name).write_text(str(n))
        commit(())
"""


def test_a_kill_at_any_moment_leaves_one_generation(tmp_path: Path) -> None:
    """Also for a reader: at each instant the folder holds files of one build."""
    dist = tmp_path / "dist"
    replace(dist, dict.fromkeys(("a.zip", "b.zip", "c.zip", "manifest.json"), b"0"))
    (dist / "published.json").write_text("p")
    seen = set()
    for round_ in range(25):
        command = [sys.executable, "-c", WRITER, str(dist), str(round_ * 100_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(0.0037 * round_)
            process.send_signal(signal.SIGKILL)
        found = content(dist)
        assert found.pop("published.json") == "p"
        assert len(found) == 4
        assert len(set(found.values())) == 1, found
        seen |= set(found.values())
    assert len(seen) > 2  # the kills did hit a writer at work
    replace(dist, {"a.zip": b"x"})
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]  # the next one tidied up


def test_two_processes_take_turns(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from layerkit import manifest
for n in range(30):
    with manifest.replacing(Path(sys.argv[1])) as (staging, commit):
        (staging / f"{sys.argv[2]}{n}").write_text("x")
        commit(())
"""
    running = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "dist", name]) for name in "ab"]
    assert [process.wait() for process in running] == [0, 0]
    assert len(content(tmp_path / "dist")) == 60


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"schema_version": 99, "layers": []}',
        '{"schema_version": 1}',
        '{"schema_version": 1, "layers": [{}]}',
    ],
)
def test_a_manifest_that_cannot_be_used_is_as_none(tmp_path: Path, text: str) -> None:
    assert manifest.read(tmp_path) == []
    (tmp_path / "manifest.json").write_text(text)
    assert manifest.read(tmp_path) == []


def test_entries_are_written_in_a_fixed_order() -> None:
    entries = [
        {"layer": layer, "runtime": runtime, "architecture": architecture}
        for layer in "ba"
        for runtime in ("python3.13", "python3.12")
        for architecture in ("x86_64", "arm64")
    ]
    text = manifest.render(entries, {"layerkit": "1"})
    assert text == manifest.render(entries[::-1], {"layerkit": "1"})
    assert [item["layer"] for item in json.loads(text)["layers"]] == list("aaaabbbb")
