"""Which zips become one layer version, with which tags."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Said
from layerkit import targets
from layerkit.aws.nouns import Candidate
from layerkit.model import Layer
from layerkit.publish.candidates import candidates
from layerkit.verify.checks.tags import Tags
from layerkit.verify.report import VerifiedArchive

BOTH = ("arm64", "x86_64")
EVERY = ("python3.12", "python3.13")


def archive(
    code: str,
    runtime: str,
    architecture: str,
    *,
    key: str = "deps",
    runtimes: Sequence[str] = EVERY,
    architectures: Sequence[str] = BOTH,
    reasons: dict[str, str] | None = None,
) -> VerifiedArchive:
    """A zip whose bytes are known by a word; true for everything unless said otherwise."""
    found = targets.find_runtime(runtime)
    assert found
    return VerifiedArchive(
        path=Path(f"dist/{key}-{runtime}-{architecture}.zip"),
        size=len(code),
        sha256=hashlib.sha256(code.encode()).hexdigest(),
        layer=Layer(key=key, name=f"the-{key}", targets=(), description="What it is", license="MIT"),
        target=found.target(architecture),
        tags=Tags(architectures=tuple(architectures), runtimes=tuple(runtimes), reasons=reasons or {}),
        imported="",
    )


def tags(found: Sequence[Candidate]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(one.runtimes, one.architectures) for one in found]


def test_a_zip_becomes_a_candidate(said: Said) -> None:
    (found,) = candidates([archive("a", "python3.12", "arm64")], said.warn)
    assert found == Candidate(
        layer="deps",
        name="the-deps",
        path=Path("dist/deps-python3.12-arm64.zip"),
        size=1,
        sha256=hashlib.sha256(b"a").hexdigest(),
        runtimes=("python3.12",),
        architectures=("arm64",),
        description="What it is",
        license="MIT",
        alone=True,
    )
    assert found.code_sha256 == "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="  # as AWS writes it
    assert said.warnings == []


def test_equal_bytes_become_one_with_all_tags(said: Said) -> None:
    every = [archive("a", runtime, machine) for runtime in reversed(EVERY) for machine in reversed(BOTH)]
    found = candidates(every, said.warn)
    assert tags(found) == [(EVERY, BOTH)]  # sorted, as AWS's answers are compared with them
    assert found[0].alone


def test_equal_bytes_that_are_not_for_every_combination_stay_apart(said: Said) -> None:
    """One version with both runtimes and both architectures would be found for pairs that nobody has built."""
    found = candidates([archive("a", "python3.12", "arm64"), archive("a", "python3.13", "x86_64")], said.warn)
    assert tags(found) == [(("python3.12",), ("arm64",)), (("python3.13",), ("x86_64",))]
    assert not any(one.alone for one in found)


def test_other_bytes_stay_apart_and_know_of_each_other(said: Said) -> None:
    zips = [
        archive("a", "python3.12", "arm64"),
        archive("b", "python3.12", "x86_64"),
        archive("a", "python3.12", "arm64", key="other"),
    ]
    found = candidates(zips, said.warn)
    assert [(one.name, one.alone) for one in found] == [("the-deps", False), ("the-deps", False), ("the-other", True)]


def test_pairs_of_equal_bytes_merge_by_runtime(said: Said) -> None:
    zips = [archive(runtime, runtime, machine) for runtime in EVERY for machine in BOTH]
    assert tags(candidates(zips, said.warn)) == [(("python3.12",), BOTH), (("python3.13",), BOTH)]


@pytest.mark.parametrize(
    ("true", "left", "warning"),
    [
        ({"architectures": ["x86_64"]}, (("python3.12",), ()), "the architecture tag arm64"),
        ({"runtimes": ["python3.13"]}, ((), ("arm64",)), "the runtime tag python3.12"),
    ],
)
def test_a_tag_that_is_not_true_is_left_out_and_told(
    said: Said, true: dict[str, list[str]], left: tuple[tuple[str, ...], tuple[str, ...]], warning: str
) -> None:
    wrong = warning.split()[-1]
    one = archive("a", "python3.12", "arm64", reasons={wrong: "python/x.so says so"}, **true)  # type: ignore[arg-type]
    assert tags(candidates([one], said.warn)) == [left]
    words = f"deps-python3.12-arm64.zip is published without {warning}, which is not true of it: python/x.so says so"
    assert said.warnings == [words]


def test_a_reason_that_nobody_gives_is_told_as_such(said: Said) -> None:
    candidates([archive("a", "python3.12", "arm64", architectures=())], said.warn)
    assert said.warnings[0].endswith("not true of it: its content is for something else")


def test_of_merged_ones_the_true_tags_stay(said: Said) -> None:
    zips = [archive("a", "python3.12", machine, architectures=["x86_64"]) for machine in BOTH]
    assert tags(candidates(zips, said.warn)) == [(("python3.12",), ("x86_64",))]
    assert len(said.warnings) == 1


def test_nothing_becomes_nothing(said: Said) -> None:
    assert candidates([], said.warn) == []


@given(
    content=st.dictionaries(
        st.tuples(st.sampled_from(EVERY), st.sampled_from(BOTH)), st.sampled_from("abc"), min_size=1
    )
)
def test_every_target_finds_its_own_bytes(content: dict[tuple[str, str], str]) -> None:
    """Whatever is equal: who asks for a runtime and an architecture gets one candidate, and the right one."""
    warned: list[str] = []
    zips = [archive(code, *target) for target, code in content.items()]
    found = candidates(zips, warned.append)
    for runtime in EVERY:
        for machine in BOTH:
            fitting = [one.sha256 for one in found if runtime in one.runtimes and machine in one.architectures]
            code = content.get((runtime, machine))
            assert fitting == ([hashlib.sha256(code.encode()).hexdigest()] if code else [])
    assert all(one.alone == (len(found) == 1) for one in found)
    assert warned == []
    assert len({replace(one, path=Path()) for one in found}) == len(found)
