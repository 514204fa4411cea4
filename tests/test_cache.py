"""The cache: shared by processes, whole after any kill, and tidied."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from layerkit import archive
from layerkit.cache import ABANDONED, UNUSED, Cache, default_folder
from layerkit.errors import MachineError
from layerkit.model import PartRecord, TreeFile

KEY = "ab" * 32


def put(cache: Cache, key: str = KEY, content: bytes = b"x" * 1000) -> None:
    with ThreadPoolExecutor(1) as pool:
        files = [TreeFile(path="a.py", content=content)]
        cache.put(key, partial(archive.pack_part, files, PartRecord(label="a"), pool))


def left(cache: Cache) -> list[Path]:
    return [path for path in cache.folder.rglob("*") if path.is_file()]


def test_what_was_put_is_got(cache: Cache) -> None:
    assert cache.get(KEY) is None
    put(cache)
    part = cache.get(KEY)
    assert part
    assert part.record.label == "a"


def test_a_damaged_part_is_not_there(cache: Cache) -> None:
    put(cache)
    (file,) = left(cache)
    file.write_bytes(file.read_bytes()[:-40])
    assert cache.get(KEY) is None
    put(cache)
    assert cache.get(KEY)


def test_a_write_that_fails_leaves_nothing(cache: Cache) -> None:
    def fail(to: IO[bytes]) -> None:
        to.write(b"half")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        cache.put(KEY, fail)
    assert left(cache) == []


def test_a_full_disk_is_told_and_leaves_nothing(cache: Cache) -> None:
    def full(to: IO[bytes]) -> None:
        to.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(MachineError, match="the disk is full"):
        cache.put(KEY, full)
    assert left(cache) == []


WRITER = """
import sys, random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from layerkit import archive
from layerkit.cache import Cache
from layerkit.model import PartRecord, TreeFile
cache = Cache(Path(sys.argv[1]))
print("ready", flush=True)
with ThreadPoolExecutor(2) as pool:
    for n in range(int(sys.argv[2])):
        key = f"{n % 7:02x}" * 32
        files = [TreeFile(path=f"{i}.py", content=random.Random(i).randbytes(20000)) for i in range(5)]
        cache.put(key, partial(archive.pack_part, files, PartRecord(label=key), pool))
        part = cache.get(key)
        assert part and part.record.label == key, key
"""


def test_processes_share_it(cache: Cache) -> None:
    command = [sys.executable, "-c", WRITER, str(cache.folder), "40"]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(left(cache)) == 7


def test_a_kill_at_any_moment_leaves_whole_parts(cache: Cache) -> None:
    for n in range(12):
        command = [sys.executable, "-c", WRITER, str(cache.folder), "100000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(0.002 * n)
            process.send_signal(signal.SIGKILL)
        for file in cache.folder.glob("parts/*/[!.]*"):
            assert archive.read_part(file), file


def test_a_workspace_is_removed_whatever_happens(cache: Cache) -> None:
    with pytest.raises(KeyboardInterrupt), cache.workspace() as folder:
        (folder / "deep").mkdir()
        (folder / "deep/file").write_text("x")
        raise KeyboardInterrupt
    assert left(cache) == []


def test_what_killed_processes_left_is_tidied(cache: Cache) -> None:
    code = """
import sys, time
from pathlib import Path
from layerkit.cache import Cache
with Cache(Path(sys.argv[1])).workspace() as folder:
    (folder / "file").write_text("x")
    print(folder.name, flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-c", code, str(cache.folder)]
    with cache.workspace() as mine, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        killed = process.stdout.readline().strip()
        tmp = cache.folder / "tmp"
        with cache.workspace() as other:
            assert {path.name for path in tmp.iterdir()} == {mine.name, killed, other.name}
        process.kill()
        process.wait()
        with cache.workspace() as other:
            assert {path.name for path in tmp.iterdir()} == {mine.name, other.name}


def test_parts_that_no_build_read_for_long_go(cache: Cache) -> None:
    put(cache, KEY)
    put(cache, "cd" * 32)
    half = cache.folder / "parts/ab/.half.1"
    half.write_bytes(b"x")
    now = time.time()
    os.utime(cache.folder / f"parts/ab/{KEY}.zip", (now, now - UNUSED - 10))
    os.utime(half, (now, now - ABANDONED - 10))
    with cache.workspace():
        pass
    assert [file.stem for file in left(cache)] == ["cd" * 32]


def test_reading_keeps_a_part_alive(cache: Cache) -> None:
    put(cache)
    (file,) = left(cache)
    os.utime(file, (1, 1))
    cache.get(KEY)
    with cache.workspace():
        pass
    assert cache.get(KEY)


def test_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAYERKIT_CACHE_DIR", str(tmp_path / "here"))
    assert default_folder() == tmp_path / "here"
    monkeypatch.delenv("LAYERKIT_CACHE_DIR")
    assert default_folder().name == "layerkit"
