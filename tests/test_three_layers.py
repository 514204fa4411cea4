"""The committed layers, built from the real distributions, and the function that they are for."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, absent, imported
from layerkit.builders.engine import Engine
from layerkit.model import Interpreter

pytestmark = pytest.mark.integration
NAMES = ("flask-layer", "serverless-wsgi-layer", "lambda-wsgi-layer")
EM_AARCH64 = 183


def clone(to: Path) -> Path:
    to.mkdir(parents=True)
    for name in ("layers.yaml", "layers.lock"):
        shutil.copy(ROOT / name, to)
    for name in ("layers", "examples"):
        shutil.copytree(ROOT / name, to / name)
    return to


def layerkit(folder: Path, *arguments: str, **environment: str) -> Any:
    """The command's JSON."""
    command = [sys.executable, "-m", "layerkit", *arguments, "--json"]
    env = os.environ | environment
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, python312: Interpreter) -> Path:
    """dist/ of the three layers, made with an empty cache of ours."""
    folder = clone(tmp_path_factory.mktemp("three") / "clone")
    layerkit(folder, "build", LAYERKIT_CACHE_DIR=str(folder / "cache"))
    return folder / "dist"


def contents(zip_file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(zip_file) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def test_the_three_zips_are_real(built: Path) -> None:
    assert sorted(path.name for path in built.iterdir()) == sorted([*(f"{n}.zip" for n in NAMES), "manifest.json"])
    flask, wsgi, shim = (contents(built / f"{name}.zip") for name in NAMES)
    machines = {n: struct.unpack_from("<H", c, 18)[0] for n, c in flask.items() if c.startswith(b"\x7fELF")}
    assert machines == {"python/markupsafe/_speedups.cpython-312-aarch64-linux-gnu.so": EM_AARCH64}
    assert "python/serverless_wsgi.py" in wsgi
    assert "python/main.py" in shim
    everything = [*flask, *wsgi, *shim]
    assert len([n for n in everything if n.endswith("/METADATA") and "werkzeug" in n.lower()]) == 1
    assert not [n for n in everything if n.endswith((".pth", "INSTALLER", "REQUESTED", "direct_url.json"))]
    assert not [n for n in everything if n.startswith("python/bin/")]


def test_no_host_stands_in_them(built: Path) -> None:
    """Neither the project's folder, nor the tool's, nor, outside of binaries built elsewhere, the home."""
    for name in NAMES:
        for path, content in contents(built / f"{name}.zip").items():
            for place in (built.parent, ROOT, Path(sys.prefix)):
                assert str(place).encode() not in content, (path, place)
            if not content.startswith(b"\x7fELF"):
                assert f"{Path.home()}/".encode() not in content, path


def test_every_module_has_bytecode_for_opt(built: Path) -> None:
    for name in NAMES:
        files = contents(built / f"{name}.zip")
        for path in [path for path in files if path.endswith(".py")]:
            folder, _, module = path.rpartition("/")
            pyc = files[f"{folder}/__pycache__/{module.removesuffix('.py')}.cpython-312.pyc"]
            assert pyc[4:8] == b"\1\0\0\0"
            assert f"/opt/{path}".encode() in pyc


def test_the_manifest_agrees_with_the_files(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    assert [item["name"] for item in manifest["layers"]] == [NAMES[0], NAMES[2], NAMES[1]]
    for item in manifest["layers"]:
        content = (built / item["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == item["sha256"]
        assert base64.b64encode(hashlib.sha256(content).digest()).decode() == item["code_sha256"]
        assert (item["runtime"], item["architecture"]) == ("python3.12", "arm64")
    assert all(d["license"] for item in manifest["layers"] for d in item["distributions"])


def test_the_same_bytes_in_two_clones(built: Path, tmp_path: Path) -> None:
    """Other umask, zone, locale, hash seed, folder, number of jobs; in memory where there is one."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else tmp_path
    other = place / f"layerkit-test-{os.getpid()}" / "another clone"
    try:
        clone(other)
        environment = os.environ | {
            "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "99",
            "LAYERKIT_CACHE_DIR": str(other / "cache"), "UV_LINK_MODE": "copy", "LAYERKIT_BUILDER": "wheels",
        }  # fmt: skip
        script = f"umask 077; exec {sys.executable} -m layerkit build --quiet --jobs 1"
        subprocess.run(["sh", "-c", script], cwd=other, env=environment, check=True)
        for path in sorted(built.glob("*.zip")):
            assert (other / "dist" / path.name).read_bytes() == path.read_bytes(), path.name
        manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (built, other / "dist")]
        for layer in (layer for manifest in manifests for layer in manifest["layers"]):
            del layer["builders"]  # the first were perhaps installed in a container
        assert manifests[0] == manifests[1]
    finally:
        shutil.rmtree(other.parent, ignore_errors=True)


# --- in Lambda's place --------------------------------------------------------------------------------------


def unpack(dist: Path, folder: Path) -> Path:
    for name in NAMES:
        with zipfile.ZipFile(dist / f"{name}.zip") as archive:
            for info in archive.infolist():
                Path(archive.extract(info, folder)).chmod(stat.S_IMODE(info.external_attr >> 16))
    return folder


@pytest.fixture(scope="module")
def opt(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three zips unpacked in their order, with the zips' own modes, as Lambda fills /opt."""
    return unpack(built, tmp_path_factory.mktemp("opt"))


@pytest.fixture
def read_only(opt: Path) -> Iterator[list[str]]:
    """The words before a command that make /opt's stand-in read-only for it."""
    if os.geteuid() == 0:
        mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
        yield ["unshare", "--mount", "sh", "-c", mount, str(opt)]
        return
    folders = [opt, *(path for path in opt.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield []
    for folder in folders:
        folder.chmod(0o755)


def run(
    prefix: list[str], python: Interpreter, opt: Path, code: str, *flags: str
) -> subprocess.CompletedProcess[str]:
    """Run `code` with Lambda's sys.path: the function's folder, /opt/python, the runtime; no site-packages."""
    path = f"import sys; sys.path[:0] = [{str(ROOT / 'examples/hello/src')!r}, {str(opt / 'python')!r}]; "
    command = [*prefix, str(python.executable), "-I", "-S", *flags, "-c", path + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


EVENT = {
    "version": "2.0",
    "rawPath": "/",
    "rawQueryString": "",
    "headers": {"host": "x.example.com", "x-forwarded-proto": "https", "x-forwarded-port": "443"},
    "requestContext": {
        "http": {"method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.1"},
        "stage": "$default",
    },
    "isBase64Encoded": False,
}


def test_hello_answers_from_the_zips(opt: Path, read_only: list[str], python312: Interpreter) -> None:
    code = f"import json, lambda_function; print(json.dumps(lambda_function.lambda_handler({EVENT!r}, None)))"
    answer = json.loads(run(read_only, python312, opt, code).stdout)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"message": "Hello from Flask on Lambda"}


def test_a_blueprint_answers_through_the_shim(
    opt: Path, read_only: list[str], python312: Interpreter, tmp_path: Path
) -> None:
    (tmp_path / "routes.py").write_text(
        "from flask import Blueprint\nroutes = Blueprint('routes', __name__)\n"
        "@routes.get('/')\ndef hello():\n    return {'door': 'main.handler'}\n"
    )
    code = (
        f"sys.path.insert(0, {str(tmp_path)!r}); import os; os.environ['LAMBDA_TASK_ROOT'] = {str(tmp_path)!r}; "
        f"import main; print(main.handler({EVENT!r}, None)['body'])"
    )
    assert json.loads(run(read_only, python312, opt, code).stdout) == {"door": "main.handler"}


def test_no_file_is_compiled_again(opt: Path, read_only: list[str], python312: Interpreter) -> None:
    """`python -v` names the file that each module's code came from."""
    seen = run(read_only, python312, opt, "import flask, serverless_wsgi, lambda_wsgi", "-v").stderr
    origins = [line for line in seen.splitlines() if line.startswith("# code object from") and str(opt) in line]
    assert len(origins) > 60
    assert not [line for line in origins if not line.rstrip("'").endswith(".pyc")]
    assert not list(opt.rglob("*.pyc.*"))


def test_sources_alone_and_bytecode_alone_work_too(tmp_path: Path, python312: Interpreter) -> None:
    for mode in ("none", "only"):
        folder = clone(tmp_path / mode)
        text = (folder / "layers.yaml").read_text()
        (folder / "layers.yaml").write_text(text.replace("license: MIT", f"license: MIT\n  bytecode: {mode}"))
        layerkit(folder, "build")
        with zipfile.ZipFile(folder / "dist/flask-layer.zip") as archive:
            endings = {Path(name).suffix for name in archive.namelist() if name.startswith("python/flask/")}
            archive.extractall(folder / "opt")
        assert (".py" in endings, ".pyc" in endings) == ((True, False) if mode == "none" else (False, True))
        code = "import flask; print(flask.Flask('x').test_client().get('/').status_code)"
        assert run([], python312, folder / "opt", code).stdout.strip() == "404"


# --- the lock in other hands --------------------------------------------------------------------------------


def test_uv_and_pip_install_from_the_lock(tmp_path: Path) -> None:
    lock = str(ROOT / "layers.lock")
    uv = ["-m", "uv", "pip", "install", "--dry-run", "--target", str(tmp_path), "--require-hashes", "-r", lock]
    pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--target",
        str(tmp_path / "t"),
        "-r",
        lock,
    ]
    for command in (uv, pip):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "t/flask/app.py").exists()


def test_pip_audit_reads_the_lock() -> None:
    command = ["-m", "uv", "tool", "run", "pip-audit", "--dry-run", "--require-hashes", "--disable-pip", "-r"]
    command.append(str(ROOT / "layers.lock"))
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "would have audited 8 packages" in done.stderr


def test_the_committed_lock_fits(tmp_path: Path) -> None:
    assert layerkit(ROOT, "lock", "--check")["fits"] is True


# --- a large one --------------------------------------------------------------------------------------------


def test_pandas_is_the_same_with_any_number_of_jobs(tmp_path: Path, python312: Interpreter) -> None:
    """1,500 modules, extensions for another architecture, and the time to see two builds disagree."""
    found: list[str] = []
    for jobs in ("1", "3"):
        folder = tmp_path / jobs
        folder.mkdir()
        (folder / "layers.yaml").write_text("version: 1\nlayers: {pandas: {requirements: [pandas]}}\n")
        if found:
            shutil.copy(tmp_path / "1/layers.lock", folder)
        result = layerkit(folder, "build", "--jobs", jobs, LAYERKIT_CACHE_DIR=str(folder / "cache"))["layers"][0]
        found.append(result["sha256"])
        assert {"numpy", "pandas"} <= {d["name"] for d in result["distributions"]}
        assert result["unzipped_size"] < 262_144_000
    assert found[0] == found[1]


# --- with the container and without it ----------------------------------------------------------------------


@pytest.mark.engine
@pytest.mark.parametrize("mode", ["none", "unchecked-hash"])
def test_both_builders_give_the_same_bytes(tmp_path: Path, python312: Interpreter, engine: Engine, mode: str) -> None:
    """The three layers, one with numpy and one with cryptography; with bytecode, one CPython compiles for both."""
    folder = clone(tmp_path / "clone")
    text = (folder / "layers.yaml").read_text().replace("license: MIT", f"license: MIT\n  bytecode: {mode}", 1)
    more = "layers:\n  numpy: {requirements: [numpy]}\n  cryptography: {requirements: [cryptography]}\n"
    (folder / "layers.yaml").write_text(text.replace("layers:\n", more, 1))
    layerkit(folder, "lock")
    made = {}
    for builder in ("container", "wheels"):
        cache = {"LAYERKIT_CACHE_DIR": str(tmp_path / f"cache-{builder}")}
        made[builder] = layerkit(folder, "build", "--builder", builder, "--output", builder, **cache)["layers"]
    assert [layer["builders"][-1]["name"] for layer in made["container"] if layer["distributions"]] == [
        "container"
    ] * 4
    assert {layer["name"]: layer["sha256"] for layer in made["container"]} == {
        layer["name"]: layer["sha256"] for layer in made["wheels"]
    }
    assert len(made["wheels"]) == 5


@pytest.mark.engine
def test_what_has_no_wheel_is_built(tmp_path: Path, engine: Engine) -> None:
    """Three without a wheel for CPython 3.12 on ARM64, two of them in C; each imports in the runtime's container."""
    (tmp_path / "layers.yaml").write_text(
        "version: 1\nlayers: {cli: {requirements: [docopt==0.6.2, crcmod==1.7, netifaces==0.11.0]}}\n"
    )
    [layer] = layerkit(tmp_path, "build", "--builder", "container", LAYERKIT_CACHE_DIR=str(tmp_path / "cache"))[
        "layers"
    ]
    assert {d["name"]: d["from"] for d in layer["distributions"]} == dict.fromkeys(
        ("docopt", "crcmod", "netifaces"), "sdist"
    )
    files = contents(tmp_path / "dist/cli.zip")
    machines = [struct.unpack_from("<H", content, 18)[0] for content in files.values() if content[:4] == b"\x7fELF"]
    assert machines == [EM_AARCH64, EM_AARCH64]
    for path, content in files.items():
        assert not any(left in content for left in (b"linux_aarch64", b"linux-aarch64", b"/layerkit/")), path
    code = (
        "import docopt, netifaces, crcmod, crcmod._crcfunext; checksum = crcmod.mkCrcFun(0x104C11DB7)(b'1'); "
        "print(docopt.docopt('usage: x [--a]', ['--a'])['--a'], checksum, netifaces.version)"
    )
    checksum = str(~zlib.crc32(b"1") & 0xFFFFFFFF)
    assert imported(engine, tmp_path / "dist/cli.zip", code).split() == ["True", checksum, "0.11.0"]


@pytest.mark.engine
def test_the_dockerfile_by_hand(engine: Engine) -> None:
    """As its head says: without uv, from the repository's own folder."""
    tag = f"layerkit-test:{os.getpid()}"
    build = ["docker", "build", "--platform", "linux/arm64", "-q", "-t", tag, "-f", "Dockerfile.arm64", "."]
    if not shutil.which("docker"):
        absent("docker", "there is no docker command")
    environment = os.environ | {"DOCKER_BUILDKIT": "0"}
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    try:
        code = "import sys, platform; print(platform.machine(), '%d.%d' % sys.version_info[:2])"
        run = ["docker", "run", "--rm", "--init", "--network", "none", "--platform", "linux/arm64", tag]
        told = subprocess.run([*run, "python3.12", "-c", code], capture_output=True, text=True, check=True).stdout
        assert told.split() == ["aarch64", "3.12"]
    finally:
        engine.client.images.remove(tag, force=True)
