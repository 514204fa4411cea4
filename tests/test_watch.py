"""serve --watch: what counts as a change of a folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from layerkit.local.serve.watch import Watch, is_passing


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    (folder / "package").mkdir(parents=True)
    (folder / "main.py").write_text("a = 1\n")
    (folder / "package" / "routes.py").write_text("b = 1\n")
    return folder


def rename_over(folder: Path) -> None:
    """As most editors save: another file takes the name."""
    (folder / "other").write_text("a = 2\n")
    (folder / "other").replace(folder / "main.py")


CHANGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "written": (lambda folder: (folder / "main.py").write_text("a = 22\n"), {"main.py"}),
    "exchanged": (rename_over, {"main.py"}),
    "deleted": (lambda folder: (folder / "main.py").unlink(), {"main.py"}),
    "renamed": (lambda folder: (folder / "main.py").rename(folder / "app.py"), {"main.py", "app.py"}),
    "executable": (lambda folder: (folder / "main.py").chmod(0o755), {"main.py"}),
    "below": (lambda folder: (folder / "package" / "routes.py").write_text("b = 22\n"), {"package/routes.py"}),
    "no Python": (lambda folder: (folder / "package" / "page.html").write_text("<p>"), {"package/page.html"}),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_found_once(source: Path, kind: str) -> None:
    watch = Watch([source])
    assert watch.changed() == frozenset()
    change, paths = CHANGES[kind]
    change(source)
    assert watch.changed() == {source / path for path in paths}
    assert watch.changed() == frozenset()


def test_a_file_of_the_same_size_and_time_is_another_one_where_it_took_the_name(source: Path) -> None:
    watch, state = Watch([source]), (source / "main.py").stat()
    rename_over(source)
    os.utime(source / "main.py", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (source / "main.py").stat().st_size == state.st_size
    assert watch.changed() == {source / "main.py"}


def test_a_new_folder_is_looked_into(source: Path) -> None:
    watch = Watch([source])
    (source / "new" / "deep").mkdir(parents=True)
    assert watch.changed() == frozenset()  # an empty folder is nothing that is deployed
    (source / "new" / "deep" / "late.py").write_text("")
    assert watch.changed() == {source / "new" / "deep" / "late.py"}


@pytest.mark.parametrize(
    "path",
    [
        "__pycache__/main.cpython-312.pyc", ".git/index", "package/.mypy_cache/3.12/cache.json", ".main.py.swp",
        ".main.py.swx", "main.py~", "4913", "#main.py#", ".#main.py", "main.py.tmp", ".goutputstream-X1Y2Z3",
        "main.py___jb_tmp___", ".DS_Store", "main.pyc",
    ],
)  # fmt: skip
def test_what_editors_and_tools_leave_is_no_change(source: Path, path: str) -> None:
    watch = Watch([source])
    (source / path).parent.mkdir(parents=True, exist_ok=True)
    (source / path).write_text("x")
    assert watch.changed() == frozenset()


@pytest.mark.parametrize("name", ["main.py", ".env", "swp", "tmp.py", "template.html", "4913.py", "_.py", ".swift"])
def test_what_is_deployed_counts(name: str) -> None:
    assert not is_passing(name)


def test_the_output_folder_does_not_count_where_it_is_in_the_source(source: Path) -> None:
    (source / "dist").mkdir()
    watch = Watch([source], ignored=[source / "dist"])
    (source / "dist" / "flask.zip").write_text("")
    (source / "package" / "dist").mkdir()
    (source / "package" / "dist" / "page.js").write_text("")
    assert watch.changed() == {source / "package" / "dist" / "page.js"}


def test_a_single_file_is_watched_and_its_neighbours_are_not(source: Path) -> None:
    watch = Watch([source / "main.py"])
    (source / "other.py").write_text("")
    assert watch.changed() == frozenset()
    (source / "main.py").unlink()
    assert watch.changed() == {source / "main.py"}
    (source / "main.py").write_text("")
    assert watch.changed() == {source / "main.py"}


def test_a_folder_that_goes_and_comes_again(source: Path) -> None:
    watch = Watch([source])
    away = source.with_name("away")
    source.rename(away)
    both = {source / "main.py", source / "package" / "routes.py"}
    assert watch.changed() == both
    assert watch.changed() == frozenset()
    away.rename(source)
    assert watch.changed() == both


def test_a_folder_that_becomes_a_link(source: Path) -> None:
    watch = Watch([source])
    away = source.with_name("away")
    source.rename(away)
    source.symlink_to(away, target_is_directory=True)
    assert watch.changed() == frozenset()  # the same files
    (away / "main.py").write_text("a = 333\n")
    assert watch.changed() == {source / "main.py"}


def test_links_are_followed_to_files_and_not_to_folders(source: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "shared.py").write_text("")
    (source / "shared.py").symlink_to(outside / "shared.py")
    (source / "folder").symlink_to(outside, target_is_directory=True)
    (source / "round").symlink_to(source, target_is_directory=True)
    (source / "nowhere").symlink_to(outside / "nowhere")
    watch = Watch([source])
    (outside / "shared.py").write_text("c = 1\n")
    assert watch.changed() == {source / "shared.py"}


def test_pipes_and_what_may_not_be_read_do_not_end_it(source: Path) -> None:
    os.mkfifo(source / "pipe")
    (source / "package").chmod(0)
    try:
        watch = Watch([source])
        (source / "main.py").write_text("a = 22\n")
        assert watch.changed() == {source / "main.py"}
    finally:
        (source / "package").chmod(0o755)


def test_several_files_saved_one_after_the_other_are_one_change(source: Path) -> None:
    """Each look but the last one sees another save; only then it is still."""
    left = [source / "main.py", source / "package" / "routes.py", source / "new.py"]
    saved = list(left)

    def save() -> bool:
        if left:
            left.pop().write_text("saved = True\n")
        return False

    assert Watch([source]).settled(threading.Event(), save) == set(saved)


def test_a_folder_that_never_rests_is_told_all_the_same(source: Path) -> None:
    count = iter(range(1_000_000))

    def save() -> bool:
        (source / "main.py").write_text("x" * next(count))
        return False

    assert Watch([source]).settled(threading.Event(), save) == {source / "main.py"}


def test_waiting_ends_with_the_event_or_when_there_is_something_else_to_do(source: Path) -> None:
    stop = threading.Event()
    watch = Watch([source])
    assert watch.settled(stop, lambda: True) == frozenset()
    threading.Timer(0.01, stop.set).start()
    assert watch.settled(stop) == frozenset()


def test_looking_takes_a_tenth_of_the_time_at_most(source: Path) -> None:
    watch = Watch([source])
    watch.cost = 1.0
    assert watch._pause() == 9.0
    watch.cost = 0.0
    assert 0.1 < watch._pause() < 0.3
