"""What data/targets.toml says, as the program takes it."""

from __future__ import annotations

import importlib.util
import sys
from datetime import date

import pytest

from layerkit import targets


def test_a_runtime_of_each_system() -> None:
    old, new = targets.find_runtime("python3.11"), targets.find_runtime("python3.12")
    assert old
    assert new
    assert (old.glibc, new.glibc) == ((2, 26), (2, 34))
    assert (old.deprecated, new.deprecated) == (date(2027, 6, 30), date(2028, 10, 31))
    assert new.target("arm64").glibc == new.glibc


@pytest.mark.parametrize("name", ["python3.9", "python3.4", "python2.7", "python3.012", "python3", "nodejs22.x", ""])
def test_no_runtime(name: str) -> None:
    assert targets.find_runtime(name) is None


def test_a_newer_runtime_is_taken_to_be_like_the_newest() -> None:
    newer, newest = targets.find_runtime("python3.99"), targets.find_runtime(targets.known_runtimes()[-1])
    assert newer
    assert newest
    assert (newer.known, newer.magic, newer.deprecated) == (False, 0, None)
    assert newer.glibc == newest.glibc
    assert targets.system("python3.99") == targets.system("python3.14")


def test_symbols_of_both_systems() -> None:
    old, new = targets.system("python3.11"), targets.system("python3.12")
    assert old.symbols == {"GLIBC": (2, 26), "GLIBCXX": (3, 4, 24), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}
    assert new.symbols == {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 33), "CXXABI": (1, 3, 15), "GCC": (14, 0, 0)}
    assert (old.glibc, new.glibc) == ((2, 26), (2, 34))


def test_every_runtime_has_all_its_facts() -> None:
    for name in targets.known_runtimes():
        runtime, system = targets.find_runtime(name), targets.system(name)
        assert runtime
        assert runtime.known
        assert runtime.deprecated
        assert runtime.magic > 3400
        assert set(system.symbols) == {"GLIBC", "GLIBCXX", "CXXABI", "GCC"}
        assert set(system.loaders) == set(targets.ARCHITECTURES)
        assert not system.also & system.libraries


def test_magics_differ_and_ours_is_this_pythons() -> None:
    found = [targets.find_runtime(name) for name in targets.known_runtimes()]
    magics = {runtime.name: runtime.magic for runtime in found if runtime}
    assert sorted(set(magics.values())) == list(magics.values())
    here = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    number = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
    assert magics.get(here, number) == number


def test_what_a_system_has() -> None:
    old, new = targets.system("python3.11"), targets.system("python3.12")
    for system in (old, new):
        arm, x86 = system.all("arm64"), system.all("x86_64")
        assert {"libc.so.6", "libz.so.1", "libffi.so.6" if system is old else "libffi.so.8"} <= arm & x86
        assert arm - x86 == {"ld-linux-aarch64.so.1"}
        assert x86 - arm == {"ld-linux-x86-64.so.2", "libmvec.so.1"}
        assert not {"libGL.so.1", "libgomp.so.1", "libatomic.so.1", "libX11.so.6"} & (arm | x86)
    assert {"libcrypt.so.1", "libexpat.so.1", "libnsl.so.1"} <= old.all("arm64")
    assert not {"libcrypt.so.1", "libexpat.so.1", "libnsl.so.1"} & new.all("arm64")
    assert "libssl.so.3" in new.all("arm64") - old.all("arm64")


def test_the_builder_packs_all_that_is_not_certain() -> None:
    runtime = targets.find_runtime("python3.12")
    assert runtime
    provided = targets.libraries(runtime.target("arm64"))
    assert "libstdc++.so.6" in provided
    assert "libz.so.1" not in provided
    assert len(provided) == 9
