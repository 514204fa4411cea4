"""`layerkit verify` on what people publish: real distributions, built by layerkit, by pip and by SAM."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from conftest import absent
from layerkit import uv
from layerkit.builders.engine import Engine
from layerkit.model import Interpreter
from test_three_layers import clone, layerkit

pytestmark = pytest.mark.integration
POPULAR = ("numpy", "pandas", "cryptography", "lxml", "pillow", "psycopg2-binary")
BINARIES = {  # of each its own, which a refusal must name
    "numpy": "numpy/_core/_multiarray_umath.cpython-312-x86_64-linux-gnu.so",
    "pandas": "pandas/_libs/lib.cpython-312-x86_64-linux-gnu.so",
    "cryptography": "cryptography/hazmat/bindings/_rust.abi3.so",
    "lxml": "lxml/etree.cpython-312-x86_64-linux-gnu.so",
    "pillow": "PIL/_imaging.cpython-312-x86_64-linux-gnu.so",
    "psycopg2-binary": "psycopg2/_psycopg.cpython-312-x86_64-linux-gnu.so",
}


def verify(*arguments: str | Path, cwd: Path, imports: str = "none") -> Any:
    """The command's JSON, whatever the verdict."""
    command = [sys.executable, "-m", "layerkit", "verify", *map(str, arguments), "--imports", imports, "--json"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 13), done.stderr
    data = json.loads(done.stdout)
    assert data["ok"] == (done.returncode == 0)
    return data


def broken(verdict: Any, severity: str = "") -> dict[str, str]:
    """The rules that are broken, with a message of each."""
    found = [one for one in verdict["findings"] if severity in ("", one["severity"])]
    return {one["rule"]: f"{one['path']}: {one['message']}" for one in found}


def installed(into: Path, *requirements: str, platform: str) -> Path:
    """A zip of what uv installs for this platform, as people make it by hand."""
    target = into / "tree" / "python"
    command = [uv.find(), "pip", "install", "--quiet", "--target", str(target), "--python-version", "3.12"]
    run(*command, "--python-platform", platform, "--only-binary", ":all:", *requirements)
    return zipped(target.parent, into / "layer.zip")


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> None:
    subprocess.run(command, cwd=cwd, env=os.environ | environment, check=True, capture_output=True)


def zipped(folder: Path, to: Path) -> Path:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return to


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verify-cache")


def project(folder: Path, architecture: str, cache: Path) -> Path:
    """The three layers and the function, locked and built for this architecture."""
    clone(folder)
    declared = (folder / "layers.yaml").read_text()
    (folder / "layers.yaml").write_text(
        declared.replace("architectures: [arm64]", f"architectures: [{architecture}]")
    )
    layerkit(folder, "lock", LAYERKIT_CACHE_DIR=str(cache))
    layerkit(folder, "build", LAYERKIT_CACHE_DIR=str(cache))
    return folder


# The three layers


def test_the_three_layers_pass(
    tmp_path: Path, cache: Path, python312: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing at all to say of them, and for x86_64 with their imports on this machine."""
    monkeypatch.setenv("LAYERKIT_CACHE_DIR", str(cache))
    data = verify(cwd=project(tmp_path / "arm", "arm64", cache))
    assert [broken(one) for one in (*data["zips"], *data["functions"])] == [{}] * 4
    both = ["arm64", "x86_64"]
    assert [one["true_for"]["architectures"] for one in data["zips"]] == [["arm64"], both, both]
    assert data["zips"][0]["true_for"]["runtimes"] == ["python3.12"]

    data = verify(cwd=project(tmp_path / "x86", "x86_64", cache), imports="host")
    assert [one["findings"] for one in (*data["zips"], *data["functions"])] == [[]] * 4
    outcomes = [one["imports"][0] for one in (*data["zips"], *data["functions"])]
    assert [one["status"] for one in outcomes] == ["passed"] * 4
    assert all(f"CPython {python312.release}" in one["where"] for one in outcomes)
    assert [module["module"] for module in outcomes[3]["modules"]] == ["lambda_function"]


@pytest.mark.engine
def test_the_three_layers_import_in_the_container(
    tmp_path: Path, cache: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERKIT_CACHE_DIR", str(cache))
    data = verify(cwd=project(tmp_path / "arm", "arm64", cache), imports="container")
    assert [one["status"] for one in (*data["zips"], *data["functions"])] == ["passed"] * 4
    assert all("container" in one["imports"][0]["where"] for one in (*data["zips"], *data["functions"]))


# Distributions with binaries


@pytest.fixture(scope="module")
def popular(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A project with a layer of each for both architectures."""
    folder = tmp_path_factory.mktemp("popular")
    layers = "".join(f"  {name}: {{requirements: [{name}]}}\n" for name in POPULAR)
    text = f"version: 1\ndefaults: {{architectures: [arm64, x86_64]}}\nlayers:\n{layers}"
    (folder / "layers.yaml").write_text(text)
    for command in ("lock", "build"):
        layerkit(folder, command, LAYERKIT_CACHE_DIR=str(cache), LAYERKIT_BUILDER="wheels")
    return folder


def test_popular_distributions_pass(popular: Path) -> None:
    data = verify(cwd=popular)
    found = {one["subject"]: broken(one, "error") for one in data["zips"]}
    assert len(found) == 2 * len(POPULAR)
    assert {name: errors for name, errors in found.items() if errors} == {}
    for one in data["zips"]:
        assert one["true_for"]["architectures"] == [one["held_against"][0]["architecture"]]
        assert one["held_against"][0]["runtime"] in one["true_for"]["runtimes"]


@pytest.mark.parametrize("name", POPULAR)
def test_binaries_of_the_other_architecture_are_refused(name: str, popular: Path, tmp_path: Path) -> None:
    copied = shutil.copy(popular / "dist" / f"{name}-python3.12-x86_64.zip", tmp_path)
    [found] = verify(copied, "--architecture", "arm64", "--runtime", "python3.12", cwd=tmp_path)["zips"]
    paths = {one["path"] for one in found["findings"] if one["rule"] == "elf-machine"}
    assert f"python/{BINARIES[name]}" in paths


def test_popular_distributions_import_here(popular: Path, python312: Interpreter) -> None:
    """On this machine, if it is of their architecture; with numpy's own modules beside pandas."""
    if os.uname().machine != "x86_64":
        absent("x86_64", "this machine is no x86_64")
    data = verify(*POPULAR, "--architecture", "x86_64", cwd=popular, imports="host")
    assert {one["subject"]: one["imports"][0]["status"] for one in data["zips"]} == {
        f"{name}-python3.12-x86_64.zip": "passed" for name in POPULAR
    }


def test_a_musl_wheel_is_refused(tmp_path: Path) -> None:
    layer = installed(tmp_path, "markupsafe", platform="aarch64-unknown-linux-musl")
    [found] = verify(layer, "--architecture", "arm64", "--runtime", "python3.12", cwd=tmp_path)["zips"]
    assert "musl" in broken(found, "error")["musl"]


def test_a_wheel_for_a_newer_glibc_is_refused(tmp_path: Path) -> None:
    layer = installed(tmp_path, "shiboken6==6.12.0", platform="aarch64-manylinux_2_39")
    [found] = verify(layer, "--architecture", "arm64", "--runtime", "python3.12", cwd=tmp_path)["zips"]
    errors = broken(found, "error")
    assert "GLIBC_2.38" in errors["glibc"]
    assert "libshiboken6.abi3.so.6.12" in errors["glibc"]
    assert "2.34" in errors["glibc"]


# What other tools make


def test_pip_install_on_this_machine(tmp_path: Path, python312: Interpreter) -> None:
    """The classic: `pip install -t python flask` on an x86_64 host, published for arm64."""
    if os.uname().machine != "x86_64":
        absent("x86_64", "this machine is no x86_64")
    target = tmp_path / "tree" / "python"
    venv = tmp_path / "venv"
    assert python312.executable
    run(python312.executable, "-m", "venv", venv)
    run(venv / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "-t", target, "flask")
    layer = zipped(target.parent, tmp_path / "layer.zip")
    [found] = verify(layer, "--architecture", "arm64", "--runtime", "python3.12", cwd=tmp_path)["zips"]
    errors = broken(found, "error")
    assert "markupsafe/_speedups.cpython-312-x86_64-linux-gnu.so" in errors["elf-machine"]
    assert "x86_64" in errors["elf-machine"]
    warnings = broken(found, "warning")
    assert "bytecode-path" in warnings  # compiled where pip put it, not in /opt
    [found] = verify(layer, "--architecture", "x86_64", "--runtime", "python3.12", cwd=tmp_path)["zips"]
    assert broken(found, "error") == {}


def test_pip_install_at_the_top_of_the_zip(tmp_path: Path) -> None:
    """The other classic: no python/ folder."""
    installed(tmp_path, "markupsafe", platform="aarch64-manylinux_2_28")
    layer = zipped(tmp_path / "tree" / "python", tmp_path / "top.zip")
    [found] = verify(layer, "--architecture", "arm64", cwd=tmp_path)["zips"]
    assert "layout" in broken(found, "error")


TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Flask:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: flask, CompatibleRuntimes: [python3.12], CompatibleArchitectures: [arm64]}
    Metadata: {BuildMethod: python3.12, BuildArchitecture: arm64}
"""


def test_sam_build(tmp_path: Path, python312: Interpreter) -> None:
    """Nothing in it fails in Lambda; it starts slower than it need, and that is said."""
    assert python312.executable
    venv = tmp_path / "venv"
    run(uv.find(), "venv", "--quiet", "--python", python312.executable, venv)
    run(uv.find(), "pip", "install", "--quiet", "--python", venv / "bin/python", "aws-sam-cli", "pip")
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "flask").mkdir()
    (tmp_path / "flask" / "requirements.txt").write_text("flask\n")
    path = f"{venv}/bin:{python312.executable.parent}:{os.environ['PATH']}"
    run(venv / "bin/sam", "build", "--build-dir", "built", cwd=tmp_path, PATH=path, SAM_CLI_TELEMETRY="0")
    layer = zipped(tmp_path / "built" / "Flask", tmp_path / "layer.zip")
    [found] = verify(layer, "--architecture", "arm64", "--runtime", "python3.12", cwd=tmp_path)["zips"]
    assert broken(found, "error") == {}
    assert set(broken(found, "warning")) == {"bytecode-missing"}
    assert "flask" in " ".join(found["distributions"])
