"""Installing locked wheels for a target, with the real uv against an index on loopback."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import conftest
from layerkit import targets, uv
from layerkit.builders import wheels
from layerkit.errors import HashMismatch, IndexUnreachable, ResolutionError, WheelMissing
from layerkit.model import Pin, Target
from wheelhouse import Index, make_sdist, make_wheel


def target(runtime: str = "python3.12", architecture: str = "arm64") -> Target:
    found = targets.find_runtime(runtime)
    assert found
    return found.target(architecture)


def pins(index: Index) -> list[Pin]:
    """A pin for each distribution on the index, with all its files' hashes."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, digest in index.hashes.items():
        distribution, version = name.removesuffix(".tar.gz").split("-")[:2]
        found.setdefault((distribution, version), []).append(f"sha256:{digest}")
    return [Pin(name=n, version=v, hashes=tuple(sorted(h))) for (n, v), h in found.items()]


def install(index: Index, into: Path, on: Target) -> dict[str, str]:
    into.mkdir(exist_ok=True)
    homes = conftest.install(pins(index), on, into)
    return {pin.name: (home / f"{pin.name}.py").read_text() for pin, home in homes.items()}


def variants(*tags: str) -> list[tuple[str, bytes]]:
    return [make_wheel("ext", files={"ext.py": tag}, tag=tag) for tag in tags]


@pytest.mark.parametrize(
    ("runtime", "architecture", "chosen"),
    [
        ("python3.12", "arm64", "cp312-cp312-manylinux_2_34_aarch64"),
        ("python3.12", "x86_64", "cp312-cp312-manylinux_2_17_x86_64"),
        ("python3.11", "arm64", "cp311-cp311-manylinux2014_aarch64"),
    ],
)
def test_the_best_wheel_of_the_targets_ladder(
    index: Index, tmp_path: Path, runtime: str, architecture: str, chosen: str
) -> None:
    index.add(
        *variants(
            "cp312-cp312-manylinux_2_35_aarch64",  # newer than Lambda's glibc
            "cp312-cp312-manylinux_2_34_aarch64",
            "cp312-cp312-manylinux_2_28_aarch64",
            "cp312-cp312-manylinux_2_17_x86_64",
            "cp312-cp312-musllinux_1_2_aarch64",
            "cp312-cp312-macosx_11_0_arm64",
            "cp311-cp311-manylinux_2_28_aarch64",  # newer than the glibc of python3.11's system
            "cp311-cp311-manylinux2014_aarch64",
            "py3-none-any",
        )
    )
    assert install(index, tmp_path / "t", target(runtime, architecture)) == {"ext": chosen}


@pytest.mark.parametrize("rung", [17, 24, 28, 31, 33, 34])
def test_every_rung_below_the_glibc_is_taken(index: Index, tmp_path: Path, rung: int) -> None:
    index.add(*variants(f"cp312-cp312-manylinux_2_{rung}_aarch64"))
    assert install(index, tmp_path / "t", target())


@pytest.mark.parametrize("rung", [24, 26])
def test_rungs_that_uv_does_not_name(index: Index, tmp_path: Path, rung: int) -> None:
    """Amazon Linux 2 has glibc 2.26; of the rungs up to it uv's platforms name 2.17 alone."""
    index.add(*variants(f"cp311-cp311-manylinux_2_{rung}_aarch64"))
    assert install(index, tmp_path / "t", target("python3.11"))


def test_uv_knows_every_platform(tmp_path: Path) -> None:
    for rung in wheels.RUNGS:
        platform = ["--python-platform", f"aarch64-manylinux_2_{rung}"]
        uv.run(["pip", "install", "--dry-run", "--target", "t", *platform, "-r", "/dev/null"], cwd=tmp_path)


def test_no_wheel_tells_what_there_is_and_the_cure(index: Index, tmp_path: Path) -> None:
    index.add(
        *variants("cp312-cp312-win_amd64", "cp313-cp313-manylinux_2_28_aarch64", "cp312-cp312-manylinux_2_35_aarch64")
    )
    index.add(make_sdist("old"), make_wheel("fine"), make_wheel("musl", tag="cp312-cp312-musllinux_1_2_aarch64"))
    with pytest.raises(WheelMissing, match=r"python3.12 on arm64 \(glibc 2.34\)") as caught:
        install(index, tmp_path / "t", target())
    assert sorted(caught.value.why.splitlines()) == [
        "ext 1.0: its wheels are for cp312-cp312-manylinux_2_35_aarch64, cp312-cp312-win_amd64, "
        "cp313-cp313-manylinux_2_28_aarch64",
        "musl 1.0: its wheels are for cp312-cp312-musllinux_1_2_aarch64",
        "old 1.0: only a source distribution",
    ]
    assert "container" in caught.value.cure


def test_other_bytes_than_locked(index: Index, tmp_path: Path) -> None:
    index.add(make_wheel("web"))
    locked = pins(index)
    other = make_wheel("web", files={"web.py": "import os\n"})
    index.add(other)
    (tmp_path / "t").mkdir()
    with pytest.raises(HashMismatch, match="other bytes than those that were locked") as caught:
        conftest.install(locked, target(), tmp_path / "t")
    assert locked[0].hashes[0] in caught.value.why


def test_an_index_that_lies_about_its_hashes(index: Index, tmp_path: Path) -> None:
    index.add(make_wheel("web"))
    locked = pins(index)
    name, content = make_wheel("web", files={"web.py": "import os\n"})
    index.files[name] = content
    (tmp_path / "t").mkdir()
    with pytest.raises(HashMismatch):
        conftest.install(locked, target(), tmp_path / "t")


def test_an_index_that_lost_the_version(index: Index, tmp_path: Path) -> None:
    index.add(make_wheel("web", "1.0"))
    locked = pins(index)
    index.files.clear()
    index.add(make_wheel("web", "1.1"))
    (tmp_path / "t").mkdir()
    with pytest.raises(ResolutionError) as caught:
        conftest.install(locked, target(), tmp_path / "t")
    assert "web==1.0" in caught.value.why


def test_an_index_that_fails(index: Index, tmp_path: Path) -> None:
    index.add(make_wheel("web"))
    locked = pins(index)
    index.status = 502
    (tmp_path / "t").mkdir()
    with pytest.raises(IndexUnreachable):
        conftest.install(locked, target(), tmp_path / "t")


def test_distributions_that_own_one_path_do_not_overwrite_each_other(index: Index, tmp_path: Path) -> None:
    index.add(
        make_wheel("a", files={"a.py": "a", "shared.py": "from a"}),
        make_wheel("b", files={"b.py": "b", "shared.py": "from b"}),
        make_wheel("c", files={"c.py": "c", "same.py": ""}),
        make_wheel("d", files={"d.py": "d", "same.py": ""}),
    )
    (tmp_path / "t").mkdir()
    homes = {pin.name: home for pin, home in conftest.install(pins(index), target(), tmp_path / "t").items()}
    assert (homes["a"] / "shared.py").read_text() == "from a"
    assert (homes["b"] / "shared.py").read_text() == "from b"
    assert homes["c"] == homes["d"]


def test_the_hosts_architecture_has_no_say(index: Index, tmp_path: Path) -> None:
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    index.add(*variants(f"cp312-cp312-manylinux_2_17_{machine}", "py3-none-any"))
    other = "x86_64" if machine in ("aarch64", "arm64") else "arm64"
    assert install(index, tmp_path / "t", target(architecture=other)) == {"ext": "py3-none-any"}
