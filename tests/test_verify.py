"""`layerkit verify` as its users start it: what it takes, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, RUNTIME
from elves import Made
from layerzips import file, folder, write
from wheelhouse import Index, make_wheel

Project = Callable[..., Path]
HERE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
TWO = """\
layers:
  web: {requirements: [web]}
  own: {source: src, uses: [web]}
functions:
  hello: {source: app, handler: main.handler, layers: [web, own]}
"""
FILES = {"src/own.py": "import web\n", "app/main.py": "import own\ndef handler(event, context): pass\n"}
AARCH64 = Made(machine=183).content()
X86_64 = Made(machine=62).content()


def verify(*arguments: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "layerkit", "verify", *arguments]
    env = os.environ | {"LAYERKIT_IMPORTS": "none"} | environment
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def report(*arguments: str, status: int = 0, **environment: str) -> Any:
    return json.loads(verify(*arguments, "--json", status=status, **environment).stdout)


def broken(verdict: Any) -> list[str]:
    return [one["rule"] for one in verdict["findings"]]


def build(*arguments: str) -> None:
    command = [sys.executable, "-m", "layerkit", "build", "--quiet", *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def built(project: Project, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two layers and a function, built."""
    monkeypatch.setenv("LAYERKIT_CACHE_DIR", str(tmp_path / "cache"))
    index.add(make_wheel("web", requires=["core>=1"]), make_wheel("core"))
    path = project(TWO, FILES)
    build()
    return path


# What is taken


def test_without_names_all_that_is_declared(built: Path) -> None:
    data = report()
    assert data["ok"]
    assert [one["subject"] for one in data["zips"]] == ["web.zip", "own.zip"]
    assert [one["subject"] for one in data["functions"]] == ["function hello"]
    assert [broken(one) for one in (*data["zips"], *data["functions"])] == [[], [], []]
    assert [one["layer"] for one in data["zips"]] == ["web", "own"]
    assert data["zips"][0]["distributions"] == ["core 1.0", "web 1.0"]


@pytest.mark.parametrize(
    ("arguments", "zips", "functions"),
    [
        (["web"], ["web.zip"], []),
        (["own", "web"], ["own.zip", "web.zip"], []),
        (["dist/own.zip"], ["own.zip"], []),
        (["dist/../dist/own.zip"], ["own.zip"], []),
        (["dist/own.zip", "own"], ["own.zip"], []),
        (["--function", "hello"], ["web.zip", "own.zip"], ["function hello"]),
        (["own", "--function", "hello"], ["own.zip", "web.zip"], ["function hello"]),
    ],
)
def test_names(arguments: list[str], zips: list[str], functions: list[str], built: Path) -> None:
    data = report(*arguments)
    assert [one["subject"] for one in data["zips"]] == zips
    assert [one["subject"] for one in data["functions"]] == functions
    assert all(one["declared"] for one in data["zips"])


def test_a_zip_of_any_tool_needs_no_layers_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "theirs.zip", file("python/x.py"), file("python/y.cpython-312-aarch64-linux-gnu.so", AARCH64))
    [found] = report("theirs.zip")["zips"]
    assert (found["layer"], found["declared"]) == (None, None)
    assert found["held_against"] == [{"runtime": "python3.12", "architecture": "arm64"}]
    assert found["true_for"] == {"runtimes": ["python3.12"], "architectures": ["arm64"]}
    [found] = report("theirs.zip", "--architecture", "x86_64", "--runtime", "python3.13", status=13)["zips"]
    assert found["held_against"] == [{"runtime": "python3.13", "architecture": "x86_64"}]
    assert {"elf-machine", "extension-abi"} <= set(broken(found))


def test_what_is_not_there(built: Path) -> None:
    done = verify("nowhere.zip", status=10)
    assert "nowhere.zip: cannot be read" in done.stderr
    assert "there is no layer 'wen'; did you mean 'web'?" in verify("wen", status=3).stderr
    os.mkfifo("pipe.zip")
    assert "pipe.zip: is not a file" in verify("pipe.zip", status=10).stderr  # and is not waited for
    assert "there is no function 'hallo'; did you mean 'hello'?" in verify("--function", "hallo", status=3).stderr
    assert (
        "python2.7 is not a runtime of Lambda's"
        in verify("dist/../dist/web.zip", "--runtime", "python2.7", status=3).stderr
    )
    (Path("dist") / "manifest.json").unlink()
    done = verify(status=9)
    assert "own.zip, web.zip: not built yet, or not listed in manifest.json" in done.stderr
    assert "To do: layerkit build" in done.stderr


def test_a_layer_is_verified_beside_the_layers_that_it_uses(built: Path) -> None:
    """`own` alone lacks nothing: `web` is attached before it."""
    assert broken(report("own")["zips"][0]) == []


def test_a_declared_zip_may_be_held_against_another_target(built: Path) -> None:
    [found] = report("dist/own.zip", "--runtime", "python3.14")["zips"]
    assert found["declared"] is None
    assert found["held_against"] == [{"runtime": "python3.14", "architecture": "arm64"}]
    assert (
        "python3.99 is not a runtime that this layerkit knows"
        in verify("dist/own.zip", "--runtime", "python3.99").stderr
    )


# What is found


def test_a_zip_that_is_not_what_was_built(built: Path) -> None:
    shutil.copy("dist/web.zip", "dist/own.zip")
    data = report("own", status=13)
    assert "zip-changed" in broken(data["zips"][0])
    assert not data["ok"]


def test_a_broken_layer_is_refused_in_words(built: Path, tmp_path: Path) -> None:
    write(tmp_path / "theirs.zip", file("python/x.cpython-312-aarch64-linux-gnu.so", X86_64))
    done = verify(str(tmp_path / "theirs.zip"), "--architecture", "arm64", "--runtime", "python3.12", status=13)
    lines = done.stderr.splitlines()
    assert lines[0] == "theirs.zip: failed"
    [error] = [line for line in lines if "error: elf-machine:" in line]
    assert "python/x.cpython-312-aarch64-linux-gnu.so" in error
    assert "x86_64" in error
    assert "invalid ELF header" in done.stderr or "wrong ELF class" in done.stderr or "cannot open" in done.stderr
    assert lines[-1].startswith("1 zip verified: 1 error")
    assert done.stdout == ""


def test_waivers_are_shown_with_their_reasons(project: Project, index: Index, tmp_path: Path) -> None:
    waiver = "verify: {waive: {elf-machine: 'never loaded, 2026'}}"
    source = {"src/own.py": "", "src/data/other.so.1": ""}
    path = project(f"layers:\n  own: {{source: src, architectures: [{HERE}], {waiver}}}\n", source)
    (path.parent / "src/data/other.so.1").write_bytes(Made(machine=22, layout=(">", 64)).content())
    build()
    data = report()
    [found] = [one for one in data["zips"][0]["findings"] if one["rule"] == "elf-machine"]
    assert (found["severity"], found["waived"]) == ("error", "never loaded, 2026")
    shown = verify().stderr
    assert "error waived: elf-machine: " in shown
    assert "waived because: never loaded, 2026" in shown
    path.write_text(path.read_text().replace(waiver, "description: x"))
    assert "elf-machine" in broken(report(status=13)["zips"][0])


def test_layers_of_a_function_that_have_no_target_in_common(project: Project, index: Index) -> None:
    one = "one: {source: one, architectures: [arm64]}"
    two = "two: {source: two, architectures: [x86_64]}"
    path = f"layers:\n  {one}\n  {two}\nfunctions:\n  f: {{layers: [one, two]}}\n"
    project(path, {"one/a.py": "", "two/b.py": ""})
    build()
    [found] = report(status=13)["functions"]
    assert broken(found) == ["function-target"]
    assert found["findings"][0]["message"] == "its layers (one, two) have no runtime and architecture in common"


def test_two_layers_with_one_file(project: Project, index: Index) -> None:
    text = "layers:\n  one: {source: one}\n  two: {source: two}\nfunctions:\n  f: {layers: [one, two]}\n"
    project(text, {"one/same.py": "x = 1", "two/same.py": "x = 2"})
    build()
    data = report(status=13)
    assert broken(data["functions"][0]) == ["function-shadow"]
    assert [broken(one) for one in data["zips"]] == [[], []]


def test_all_targets_of_a_layer(project: Project, index: Index) -> None:
    project("layers:\n  a: {source: src, architectures: [arm64, x86_64]}\n", {"src/a.py": ""})
    build()
    names = [f"a-{RUNTIME}-{architecture}.zip" for architecture in ("arm64", "x86_64")]
    assert [one["subject"] for one in report()["zips"]] == names
    assert [one["subject"] for one in report("--architecture", "x86_64")["zips"]] == names[1:]


# How it is said


def test_nothing_is_passed_that_was_not_tried(built: Path) -> None:
    shown = verify().stderr
    assert "web.zip: imports not run" in shown
    assert "imports NOT RUN: " in shown
    assert "passed" not in shown
    assert {one["status"] for one in report()["zips"]} == {"imports not run"}


def test_imports_may_be_required(built: Path) -> None:
    said = verify("--require-imports", status=13)
    assert "imports are required, and these were not run: " in said.stderr
    assert json.loads(verify("--require-imports", "--json", status=13).stdout)["ok"]
    verify("--require-imports", "--imports", "host")


def test_forms(built: Path) -> None:
    """A zip that was changed after it was built is told in each."""
    shutil.copy("dist/web.zip", "dist/own.zip")
    [result] = json.loads(verify("own", "--format", "sarif", status=13).stdout)["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("zip-changed", "error")
    assert json.loads(verify("own", "--format", "json", status=13).stdout) == report("own", status=13)
    done = verify("own", "--format", "github", status=13)
    assert done.stdout.startswith("::error file=dist/own.zip,title=layerkit zip-changed::own.zip: the file is not ")
    assert done.stderr == ""


def test_on_github_annotations_stand_beside_the_text(built: Path) -> None:
    shutil.copy("dist/web.zip", "dist/own.zip")
    shown = verify("own", GITHUB_ACTIONS="true", status=13).stderr
    assert "::error file=dist/own.zip,title=layerkit zip-changed::own.zip: " in shown
    assert "own.zip: failed" in shown


def test_quiet_is_quiet_about_what_is_right(project: Project, index: Index, tmp_path: Path) -> None:
    write(tmp_path / "data.zip", folder("lib/"), file("lib/words.txt"))
    assert verify(str(tmp_path / "data.zip"), "--quiet").stderr == ""


def test_names_that_are_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"\xff\n.zip")
    write(tmp_path / name, file("flask/__init__.py"))
    for form in ("text", "json", "sarif", "github"):
        verify(f"./{name}", "--format", form, status=13, PYTHONIOENCODING="ascii")


def test_names_are_printed_without_what_steers_a_terminal_or_github(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "a\n::error::x\x1b[31m.zip"
    write(tmp_path / name, file("flask/__init__.py"))
    shown = verify(name, status=13, GITHUB_ACTIONS="true").stderr
    assert "\x1b" not in shown
    assert not [line for line in shown.splitlines() if line.startswith("::error::")]


def test_two_zips_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, path in (("one", "python/x.py"), ("two", "x.py")):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "layer.zip", file(path))
    data = report("one/layer.zip", "two/layer.zip", status=13)
    assert [(one["subject"], broken(one)) for one in data["zips"]] == [
        ("one/layer.zip", []),
        ("two/layer.zip", ["layout"]),
    ]


def test_a_result_that_nobody_takes_is_an_error(built: Path) -> None:
    command = f"{sys.executable} -m layerkit verify --imports none --json > /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (10, "")
    words = "error: standard output: the result cannot be written\n  No space left on device\n"
    assert done.stderr == words


def test_a_hostile_zip_ends_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in {"text.zip": b"no zip", "empty.zip": b"", "cut.zip": b"PK\3\4" + bytes(30)}.items():
        (tmp_path / name).write_bytes(content)
        assert "zip-damaged" in broken(report(name, status=13)["zips"][0])


# The rules in words


def rules_command(*names: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "layerkit", "rules", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status
    return done


def test_rules_are_explained() -> None:
    shown = rules_command("glibc").stdout
    assert shown.startswith("## Binaries and targets\n\n### glibc\n")
    assert [one["id"] for one in json.loads(rules_command("glibc", "--json").stdout)] == ["glibc"]
    assert "there is no rule 'glib'; did you mean 'glibc'?" in rules_command("glib", status=3).stderr


def test_the_docs_have_all_rules() -> None:
    text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert text.partition("<!-- layerkit rules -->\n\n")[2] == rules_command().stdout
