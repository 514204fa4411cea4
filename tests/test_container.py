"""The container builder on a real engine, against an index on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import conftest
from conftest import IMAGE, imported
from layerkit import elf, targets, tars
from layerkit.builders import Wanted
from layerkit.builders.container import ContainerBuilder
from layerkit.builders.engine import Engine, images
from layerkit.cache import Cache
from layerkit.errors import BuildFailed, HashMismatch, LayerkitError, MachineError
from layerkit.model import Environment, Interpreter, Origin, Pin, Target
from test_wheels_builder import pins
from wheelhouse import EXTENSION, Index, make_sdist, make_source, make_wheel, serve

pytestmark = pytest.mark.engine
LABEL = "io.layerkit.role=builder"
HEAD = "version: 1\ndefaults: {runtimes: [python3.12], bytecode: none}\n"


def target(runtime: str = "python3.12", architecture: str = "arm64", image: str = "") -> Target:
    found = targets.find_runtime(runtime)
    assert found
    return found.target(architecture, image)


@pytest.fixture
def ready(cache: Cache, foreign_uv: Path, engine: Engine) -> Cache:
    """A cache with uv for the container in it."""
    shutil.copytree(foreign_uv, cache.folder / "tools")
    return cache


@pytest.fixture
def builder(ready: Cache, said: conftest.Said) -> ContainerBuilder:
    return ContainerBuilder(ready, said)


def containers(engine: Engine) -> list[Any]:
    """Those of this test: its cache folder is part of a label."""
    own = Engine.connect(Path(os.environ["LAYERKIT_CACHE_DIR"]))
    machine = own.machine
    own.close()
    return list(engine.client.containers.list(all=True, filters={"label": f"io.layerkit.machine={machine}"}))


def layerkit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "layerkit", *arguments]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def build(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return layerkit("build", "--builder", "container", *arguments, **environment)


def contents(zip_file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(zip_file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# --- the same as without a container ------------------------------------------------------------------------


def test_both_builders_give_the_same_zips(
    index: Index, ready: Cache, engine: Engine, project: Callable[..., Path], tmp_path: Path
) -> None:
    index.add(
        make_wheel("web", requires=["core"], files={"web/__init__.py": "import core\n", "web/a.html": "<p>\n" * 99}),
        make_wheel("core", console_script="core = core:main"),
        make_wheel("a", files={"a.py": "a", "shared.py": "from a"}),
        make_wheel("b", files={"b.py": "b", "shared.py": "from b"}),
    )
    text = "layers: {web: {requirements: [web], source: src}, a: {requirements: [a]}, b: {requirements: [b]}}\n"
    file = project(HEAD + text, {"src/own.py": "import web\n"})
    first = build("--json")
    assert first.returncode == 0, first.stderr
    second = layerkit("build", "--json", "--output", "other", LAYERKIT_CACHE_DIR=str(tmp_path / "other-cache"))
    assert second.returncode == 0, second.stderr
    mine, other = (json.loads(done.stdout)["layers"] for done in (first, second))
    assert [item["sha256"] for item in mine] == [item["sha256"] for item in other]
    image = engine.client.images.get(IMAGE)
    digest = (image.attrs["RepoDigests"] or [str(image.id)])[0].rpartition("@")[2]
    made_by = {"name": "container", "image": IMAGE, "digest": digest}
    assert [item["builders"] for item in mine] == [[made_by, _host()], [made_by], [made_by]]
    assert [item["builders"][0]["name"] for item in other] == ["host", "wheels", "wheels"]
    assert "builder: container (" in first.stderr
    assert containers(engine) == []
    assert all(path.stat().st_uid == os.getuid() for path in (file.parent / "dist").iterdir())


def _host() -> dict[str, Any]:
    return {"name": "host", "image": None, "digest": None}


def test_nothing_changed_asks_no_engine(index: Index, ready: Cache, project: Callable[..., Path]) -> None:
    index.add(make_wheel("web"))
    project(HEAD + "layers: {web: {requirements: [web]}}\n")
    assert build().returncode == 0
    again = build(DOCKER_HOST="unix:///nonexistent/engine.sock")
    assert again.returncode == 0, again.stderr
    assert "nothing changed" in again.stderr
    assert "builder:" not in again.stderr


def test_own_source_alone_asks_no_engine(project: Callable[..., Path], cache: Cache) -> None:
    project(HEAD + "layers: {own: {source: src}}\n", {"src/own.py": ""})
    done = build(DOCKER_HOST="unix:///nonexistent/engine.sock")
    assert done.returncode == 0, done.stderr


def test_other_bytes_than_locked(index: Index, builder: ContainerBuilder, tmp_path: Path) -> None:
    index.add(make_wheel("web"))
    locked = pins(index)
    index.add(make_wheel("web", files={"web.py": "import os\n"}))
    with builder.cache.workspace() as work, pytest.raises(HashMismatch):
        conftest.install(locked, target(), work / "t", builder)


def test_what_a_folder_of_links_holds_is_handed_in(
    index: Index, builder: ContainerBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(make_wheel("web"))
    links = tmp_path / "links"
    links.mkdir()
    for name, content in (make_wheel("linked"), make_wheel("unused")):
        (links / name).write_bytes(content)
    monkeypatch.setenv("UV_FIND_LINKS", str(links))
    name, content = make_wheel("linked")
    wanted = [*pins(index), Pin(name="linked", version="1.0", hashes=(f"sha256:{_sha256(content)}",))]
    with builder.cache.workspace() as work:
        homes = conftest.install(wanted, target(), work / "t", builder)
        assert {pin.name: (home / f"{pin.name}.py").exists() for pin, home in homes.items()} == {
            "web": True,
            "linked": True,
        }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- source distributions -----------------------------------------------------------------------------------

NATIVE = "tag = compiled('native.c')\nfiles['native.txt'] = b'made'\n"


def native(body: str = NATIVE, source: str = EXTENSION.replace("NAME", "native")) -> tuple[str, bytes]:
    return make_source("native", body=body, files={"native.c": source})


def test_an_extension_is_built_for_the_target_and_kept(
    index: Index, ready: Cache, project: Callable[..., Path], tmp_path: Path
) -> None:
    stamp = "import time; files['stamp.txt'] = str(time.time_ns()).encode()\n"
    index.add(native(NATIVE + stamp), make_wheel("web"))
    project(HEAD + "layers: {native: {requirements: [native, web]}}\n")
    done = build("--json")
    assert done.returncode == 0, done.stderr
    layer = json.loads(done.stdout)["layers"][0]
    assert {d["name"]: d["from"] for d in layer["distributions"]} == {"native": "sdist", "web": "wheel"}
    files = contents(Path("dist/native.zip"))
    binary = elf.read(files["python/native.cpython-312-aarch64-linux-gnu.so"])
    assert binary
    assert binary.machine == "aarch64"
    assert b".debug_info" not in files["python/native.cpython-312-aarch64-linux-gnu.so"]
    wheel = files["python/native-1.0.dist-info/WHEEL"].decode()
    assert "Tag: cp312-cp312-manylinux_2_17_aarch64" in wheel
    for path, content in files.items():
        assert not any(left in content for left in (b"linux_aarch64", b"linux-aarch64", b"/layerkit")), path
    shutil.rmtree(ready.folder / "parts")
    shutil.rmtree("dist")
    again = build("--json")
    assert json.loads(again.stdout)["layers"][0]["sha256"] == layer["sha256"]  # with the first build's time in it
    shutil.rmtree(ready.folder / "parts")
    shutil.rmtree(ready.folder / "wheels")
    shutil.rmtree("dist")
    assert json.loads(build("--json").stdout)["layers"][0]["sha256"] != layer["sha256"]


def test_x86_64_is_built_by_the_same_file(
    index: Index, ready: Cache, project: Callable[..., Path], engine: Engine
) -> None:
    if not images.find(engine, IMAGE.replace("arm64", "x86_64")):
        conftest.absent("engine-x86_64", "the engine has no build image for x86_64")
    index.add(native(), make_wheel("web"))
    defaults = "{runtimes: [python3.12], architectures: [arm64, x86_64], bytecode: none}"
    project(f"version: 1\ndefaults: {defaults}\nlayers: {{native: {{requirements: [native, web]}}}}\n")
    done = build("--json", "--arch", "x86_64")
    assert done.returncode == 0, done.stderr
    [layer] = json.loads(done.stdout)["layers"]
    assert layer["builders"][0]["image"].endswith(":latest-x86_64")
    binary = elf.read(contents(Path("dist") / layer["file"])["python/native.cpython-312-x86_64-linux-gnu.so"])
    assert binary
    assert binary.machine == "x86_64"


def failed(index: Index, builder: ContainerBuilder, limit: int = 60, **environment: Any) -> LayerkitError:
    """What installing everything on the index raises."""
    with builder.cache.workspace() as work, pytest.raises(LayerkitError) as caught:
        (work / "t").mkdir()
        with builder.session(target(), work / "t", limit) as session:
            session.install(
                [Wanted(pin=pin, environment=Environment(**environment)) for pin in pins(index)], lambda *_: None
            )
    return caught.value


def test_a_failing_build_shows_the_compilers_last_words(
    index: Index, builder: ContainerBuilder, engine: Engine
) -> None:
    noise = "print('\\n'.join(f'noise {n}' for n in range(99)), flush=True)\n"
    index.add(native(noise + NATIVE, "int main(void) { return undeclared; }\n"), make_wheel("web"))
    error = failed(index, builder)
    assert isinstance(error, BuildFailed)
    assert error.exit_code == 12
    assert error.what == "native 1.0 cannot be built for python3.12-arm64"
    assert "native.c:1:" in error.why
    assert "undeclared" in error.why
    assert "noise 1\n" not in error.why
    log = Path(error.why.splitlines()[-1].removeprefix("the whole log: "))
    assert "noise 1\n" in log.read_text()
    assert "system_packages" in error.cure
    assert containers(engine) == []


def test_a_build_that_hangs_is_ended(index: Index, builder: ContainerBuilder, engine: Engine) -> None:
    index.add(native("print('waiting', flush=True)\nimport time; time.sleep(600)"))
    start = time.monotonic()
    error = failed(index, builder, limit=8)
    assert time.monotonic() - start < 100
    assert "building native 1.0 took more than" in error.what
    assert "waiting" in error.why
    assert "step_minutes" in error.cure
    assert error.exit_code == 12
    assert containers(engine) == []


def test_a_build_that_fills_the_disk(index: Index, builder: ContainerBuilder) -> None:
    """/dev/full answers each write as a full disk does."""
    index.add(native("open('/dev/full', 'w').write('x' * 99999)"))
    error = failed(index, builder)
    assert isinstance(error, MachineError)
    assert "disk is full in the build container" in error.what


def test_a_full_package_cache(index: Index, builder: ContainerBuilder, engine: Engine) -> None:
    """A real one: the volume is a file system of 1 MB."""
    index.add(make_wheel("web", files={"big.bin": os.urandom(4_000_000)}))
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    engine.client.volumes.create(builder.host.volume(target()), driver="local", driver_opts=options)
    error = failed(index, builder)
    assert isinstance(error, MachineError)
    assert "disk is full" in error.what


REACH = """
import urllib.request
urllib.request.urlopen('http://192.0.2.1/', timeout=5)
"""


def test_a_build_without_network(index: Index, builder: ContainerBuilder, engine: Engine) -> None:
    index.add(native(REACH))
    error = failed(index, builder, network=False)
    assert error.what == "the build of native 1.0 tried to reach the network, which network: none forbids"
    assert error.exit_code == 12
    assert containers(engine) == []


def test_what_a_build_needs_is_there_without_network(
    index: Index, ready: Cache, project: Callable[..., Path]
) -> None:
    body = "import helper\nfiles['needing.py'] = helper.VERSION.encode()"
    index.add(make_wheel("helper"), make_source("needing", body=body, requires=["helper"]))
    project(HEAD + "layers: {needing: {requirements: [needing], network: none}}\n")
    done = build()
    assert done.returncode == 0, done.stderr
    assert contents(Path("dist/needing.zip"))["python/needing.py"] == b"1.0"


def test_neither_wheel_nor_source(index: Index, builder: ContainerBuilder) -> None:
    index.add(make_wheel("ext", tag="cp312-cp312-win_amd64"))
    error = failed(index, builder)
    assert error.exit_code == 6
    assert "ext 1.0: its wheels are for cp312-cp312-win_amd64" in error.why
    assert "source distribution" in error.cure


def test_a_source_distribution_that_is_none(index: Index, builder: ContainerBuilder) -> None:
    index.add(make_sdist("old"), ("broken-1.0.tar.gz", b"not a tar"))
    assert isinstance(failed(index, builder), BuildFailed)


def test_an_index_that_needs_credentials(index: Index, builder: ContainerBuilder) -> None:
    index.add(make_wheel("web"))
    index.credentials = "user:secret-word"
    error = failed(index, builder)
    assert error.exit_code == 8
    assert "credentials" in error.cure


# --- system packages and libraries --------------------------------------------------------------------------

DNF = """#!/bin/sh
# In dnf's place, which the stand-in of the build image lacks: "installs" a library that it compiles.
for name; do test "$name" != libgreet-devel || found=1; done
test "$found" || { echo "Error: Unable to find a match"; exit 1; }
mkdir -p /usr/lib64 && cd /tmp
echo 'int greet(void) { return 42; }' > greet.c
echo 'int greet(void);' > /usr/include/greet.h
gcc -shared -fPIC -Wl,-soname,libgreet.so.1 -o /usr/lib64/libgreet.so.1 greet.c
ln -sf libgreet.so.1 /usr/lib64/libgreet.so
"""
GREETING = """
#include <Python.h>
#include <greet.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_native(void) { PyObject *m = PyModule_Create(&module);
  PyModule_AddIntConstant(m, "GREETING", greet()); return m; }
"""


@contextmanager
def derived(engine: Engine, tag: str, programs: dict[str, bytes]) -> Iterator[None]:
    """The build image with other programs in /usr/bin; what layerkit makes of it goes with it."""
    made = engine.client.containers.create(IMAGE, ["true"], platform="linux/arm64")
    try:
        made.put_archive("/usr/bin", tars.pack(programs, mode=0o755))
        made.commit(*tag.split(":"))
        yield
    finally:
        made.remove(force=True)
        for label in ("io.layerkit.packages=libgreet-devel", f"io.layerkit.image={tag}"):
            for image in engine.client.images.list(filters={"label": label}):
                engine.client.images.remove(str(image.id), force=True)
        engine.client.images.remove(tag, force=True)


@pytest.fixture
def image_with_dnf(engine: Engine) -> Iterator[str]:
    """The build image with a program in dnf's place."""
    tag = f"layerkit-test-dnf:{os.getpid()}"
    with derived(engine, tag, {"dnf": DNF.encode()}):
        yield tag


def test_system_packages_and_the_libraries_that_come_of_them(
    index: Index, ready: Cache, project: Callable[..., Path], image_with_dnf: str, engine: Engine
) -> None:
    body = "tag = compiled('native.c', '-L/usr/lib64', '-lgreet')"
    index.add(native(body, GREETING))
    layer = "native: {requirements: [native], system_packages: [libgreet-devel]}"
    project(f"{HEAD}container: {{image: {image_with_dnf}}}\nlayers: {{{layer}}}\n")
    done = build("--json")
    assert done.returncode == 0, done.stderr
    files = contents(Path("dist/native.zip"))
    assert [path for path in files if path.startswith("lib/")] == ["lib/libgreet.so.1"]
    library = elf.read(files["lib/libgreet.so.1"])
    assert library
    assert library.soname == "libgreet.so.1"
    assert json.loads(done.stdout)["layers"][0]["libraries"] == ["libgreet.so.1"]
    run = imported(engine, Path("dist/native.zip"), "import native; print(native.GREETING)")
    assert run == "42"
    project(f"{HEAD}container: {{image: {image_with_dnf}}}\nlayers: {{{layer[:-1]}, pack_libraries: false}}}}\n")
    unpacked = build()
    assert unpacked.returncode == 0, unpacked.stderr
    assert "native 1.0 needs libgreet.so.1, which python3.12 lacks" in unpacked.stderr
    assert not [path for path in contents(Path("dist/native.zip")) if path.startswith("lib/")]
    project(f"{HEAD}container: {{image: {image_with_dnf}}}\nlayers: {{{layer.replace('libgreet', 'libnone')}}}\n")
    missing = build()
    assert missing.returncode == 12
    assert "the system packages libnone-devel cannot be installed" in missing.stderr
    assert "Unable to find a match" in missing.stderr
    assert containers(engine) == []


def test_an_image_without_a_package_manager(index: Index, builder: ContainerBuilder) -> None:
    index.add(native())
    error = failed(index, builder, system_packages=("libpq-devel",))
    assert "libpq-devel cannot be installed" in error.what
    assert error.exit_code == 12


# --- compiling ----------------------------------------------------------------------------------------------


def test_the_container_compiles_where_this_machine_cannot(
    builder: ContainerBuilder, tmp_path: Path, python312: Interpreter
) -> None:
    release = builder.release(target())
    assert release.startswith("3.12.")
    source = tmp_path / "module.py"
    source.write_text("WHERE = (lambda: 0).__code__.co_filename\n")
    (tmp_path / "broken.py").write_text("def\n")
    made = []
    origin = Origin()
    for number in range(2):
        with builder.cache.workspace() as work, builder.session(target(), work / "t", 60) as session:
            (work / "t").mkdir()
            output = tmp_path / f"{number}.pyc"
            modules = [[(str(source), "/opt/python/module.py", str(output))]]
            modules.append([(str(tmp_path / "broken.py"), "/opt/python/broken.py", str(tmp_path / "no.pyc"))])
            origin = session.compile(release, modules)
            made.append(output.read_bytes())
    assert origin.builder == "container"
    assert made[0] == made[1]
    assert made[0][4:8] == b"\1\0\0\0"
    assert not (tmp_path / "no.pyc").exists()
    source.unlink()
    (tmp_path / "0.pyc").rename(tmp_path / "module.pyc")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import module; print(module.WHERE)"
    done = subprocess.run([str(python312.executable), "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "/opt/python/module.py"


def test_a_machine_without_the_runtimes_python(
    index: Index, ready: Cache, project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if sys.version_info[:2] == (3, 12):
        pytest.skip("the Python that runs the tests compiles for python3.12")
    index.add(make_wheel("web"))
    project("version: 1\nlayers: {web: {requirements: [web], source: src}}\n", {"src/own.py": ""})
    bare = {"PATH": "/nowhere", "PYENV_ROOT": "/nowhere", "UV_PYTHON_INSTALL_DIR": "/nowhere"}
    done = build("--json", **bare)
    assert done.returncode == 0, done.stderr
    layer = json.loads(done.stdout)["layers"][0]
    assert layer["bytecode"]["compiler"].startswith("CPython 3.12.")
    assert {builder["name"] for builder in layer["builders"]} == {"container"}
    assert "python/__pycache__/own.cpython-312.pyc" in contents(Path("dist/web.zip"))
    assert "the lock names no release: layerkit lock" in done.stderr
    assert layerkit("lock", **bare).returncode == 0
    assert '"python3.12" = "3.12.' in Path("layers.lock").read_text()
    assert "warning" not in build("--frozen", **bare).stderr


def test_an_image_that_was_updated_is_planned_with_anew(
    index: Index, ready: Cache, project: Callable[..., Path]
) -> None:
    """What was remembered of it is no longer true."""
    if sys.version_info[:2] == (3, 12):
        pytest.skip("the Python that runs the tests compiles for python3.12")
    index.add(make_wheel("web"))
    (ready.folder / "images.json").write_text(json.dumps({IMAGE: "3.12.99"}))
    project("version: 1\nlayers: {web: {requirements: [web]}}\n")
    done = build("--json", PATH="/nowhere", PYENV_ROOT="/nowhere", UV_PYTHON_INSTALL_DIR="/nowhere")
    assert done.returncode == 0, done.stderr
    compiler = json.loads(done.stdout)["layers"][0]["bytecode"]["compiler"]
    assert compiler == f"CPython {json.loads((ready.folder / 'images.json').read_text())[IMAGE]}"
    assert "3.12.99" not in compiler


# --- engines that are not there, or not fit -----------------------------------------------------------------

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/engine.sock"}


def test_no_engine(index: Index, cache: Cache, project: Callable[..., Path]) -> None:
    index.add(make_wheel("web"), make_source("old"))
    project(HEAD + "layers: {web: {requirements: [web]}, old: {requirements: [old]}}\n")
    refused = build("web", **NO_ENGINE)
    assert refused.returncode == 11
    assert "no container engine answers" in refused.stderr
    assert "layerkit doctor" in refused.stderr
    assert not Path("dist").exists()
    auto = layerkit("build", "web", "--builder", "auto", **NO_ENGINE)
    assert auto.returncode == 0, auto.stderr
    assert [line for line in auto.stderr.splitlines() if line.startswith("builder:")] == [
        "builder: wheels, without a container: no container engine answers"
    ]
    lacking = layerkit("build", "old", "--builder", "auto", **NO_ENGINE)
    assert lacking.returncode == 6
    assert "only a source distribution" in lacking.stderr
    assert "no container engine answers; layerkit doctor says what to do" in lacking.stderr
    wheels = layerkit("build", "old", "--builder", "wheels")
    assert "layerkit build --builder container" in wheels.stderr


@pytest.mark.parametrize(
    ("image", "runtime", "architecture", "words"),
    [
        ("127.0.0.1:9/none:latest", "python3.12", "arm64", "cannot be pulled"),
        (IMAGE, "python3.12", "x86_64", "is for linux/arm64, not for linux/amd64"),
        (IMAGE, "python3.13", "arm64", "not Python 3.13 on aarch64"),
    ],
)
def test_an_image_that_cannot_serve(
    index: Index, ready: Cache, project: Callable[..., Path], engine: Engine,
    image: str, runtime: str, architecture: str, words: str,
) -> None:  # fmt: skip
    index.add(make_wheel("web"))
    defaults = f"{{runtimes: [{runtime}], architectures: [{architecture}], bytecode: none}}"
    layers = "layers: {web: {requirements: [web]}}\n"
    project(f"version: 1\ndefaults: {defaults}\ncontainer: {{image: '{image}'}}\n{layers}")
    done = build()
    assert done.returncode == 11, done.stderr
    assert words in done.stderr
    auto = layerkit("build", "--builder", "auto")
    assert auto.returncode == 0, auto.stderr
    assert "builder: wheels, without a container" in auto.stderr
    assert words in auto.stderr
    assert containers(engine) == []


@pytest.fixture
def image_of_another_machine(engine: Engine) -> Iterator[str]:
    """The build image with a shell for a machine that nothing here emulates."""
    tag = f"layerkit-test-foreign:{os.getpid()}"
    shell = (
        b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (0xF3F3).to_bytes(2, "little") + bytes(200)
    )
    with derived(engine, tag, {"sh": shell}):
        yield tag


def test_emulation_that_is_missing(
    index: Index, ready: Cache, project: Callable[..., Path], engine: Engine, image_of_another_machine: str
) -> None:
    """The same failure as without emulation: the kernel refuses the image's programs."""
    index.add(make_wheel("web"))
    project(f"{HEAD}container: {{image: {image_of_another_machine}}}\nlayers: {{web: {{requirements: [web]}}}}\n")
    done = build()
    assert done.returncode == 11, done.stderr
    assert "cannot run arm64 programs: emulation is missing" in done.stderr
    assert "tonistiigi/binfmt --install arm64" in done.stderr
    assert layerkit("build", "--builder", "auto").returncode == 0
    assert containers(engine) == []


# --- interrupted --------------------------------------------------------------------------------------------


@contextmanager
def slow_build(index: Index, project: Callable[..., Path], engine: Engine, **environment: str) -> Iterator[Any]:
    """A build that is in the middle of a source distribution, over a dist/ that was good before."""
    index.add(make_wheel("web"), native("print('begun', flush=True)\nimport time; time.sleep(300)"))
    project(HEAD + "layers: {web: {requirements: [web]}}\n")
    assert layerkit("build").returncode == 0
    project(HEAD + "layers: {web: {requirements: [web]}, slow: {requirements: [native]}}\n")
    assert layerkit("lock").returncode == 0
    before = {path.name: path.read_bytes() for path in Path("dist").iterdir()}
    command = [sys.executable, "-m", "layerkit", "build", "--builder", "container"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        try:
            deadline = time.monotonic() + 120
            while not any(b"begun" in one.logs() for one in containers(engine) if one.status == "running"):
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield process
        finally:
            process.kill()
    assert {path.name: path.read_bytes() for path in Path("dist").iterdir()} == before


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_container(
    index: Index, ready: Cache, project: Callable[..., Path], engine: Engine, way: signal.Signals
) -> None:
    with slow_build(index, project, engine) as process:
        process.send_signal(way)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130, stderr
        assert "Traceback" not in stderr
        assert containers(engine) == []


def test_the_next_run_tidies_up_after_a_kill(
    index: Index, ready: Cache, project: Callable[..., Path], engine: Engine
) -> None:
    with slow_build(index, project, engine) as process:
        process.kill()
        process.wait()
        assert len(containers(engine)) == 1
    index.add(make_wheel("other"))
    project(HEAD + "layers: {other: {requirements: [other]}}\n")
    assert layerkit("lock").returncode == 0
    done = build()
    assert done.returncode == 0, done.stderr
    assert containers(engine) == []


def test_a_run_at_work_is_left_alone(
    index: Index, ready: Cache, project: Callable[..., Path], engine: Engine, said: conftest.Said
) -> None:
    with slow_build(index, project, engine) as process:
        [working] = containers(engine)
        builder = ContainerBuilder(ready, said)
        builder.host.connect()  # which tidies
        working.reload()
        assert working.status == "running"
        assert working.attrs["HostConfig"]["Init"] is True
        assert "QEMU_CPU=neoverse-n1" in working.attrs["Config"]["Env"]
        assert [mount["Type"] for mount in working.attrs["Mounts"]] == ["volume"]
        assert not [item for item in working.attrs["Config"]["Env"] if item.startswith(("UV_", "PIP_", "SSL_"))]
        process.send_signal(signal.SIGINT)
        process.wait()


class Proxy:
    """A way to the real engine that can be cut."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.path = folder / "engine.sock"
        self.real = engine.client.api.base_url.removeprefix("http+unix://").replace("%2F", "/")
        self.open: list[socket.socket] = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(self.path))
        self.server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect("/var/run/docker.sock")
                self.open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    @staticmethod
    def _copy(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError), one:
            while data := one.recv(1 << 16):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        self.path.unlink()
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for one in self.open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def test_an_engine_that_stops_in_the_middle(
    index: Index, ready: Cache, project: Callable[..., Path], engine: Engine, tmp_path: Path
) -> None:
    if not Path("/var/run/docker.sock").is_socket():
        pytest.skip("the engine listens elsewhere")
    proxy = Proxy(tmp_path, engine)
    with slow_build(index, project, engine, DOCKER_HOST=f"unix://{proxy.path}") as process:
        proxy.cut()
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 11, stderr
        assert "went away" in stderr
        assert "Traceback" not in stderr
        assert len(containers(engine)) == 1
    ContainerBuilder(ready, conftest.Said()).host.connect()
    assert containers(engine) == []


def test_two_builds_at_once(index: Index, ready: Cache, project: Callable[..., Path], engine: Engine) -> None:
    index.add(make_wheel("web"), native())
    project(HEAD + "layers: {web: {requirements: [web]}, native: {requirements: [native]}}\n")
    assert layerkit("lock").returncode == 0
    command = [sys.executable, "-m", "layerkit", "build", "--builder", "container", "--output"]
    started = [subprocess.Popen([*command, f"dist-{n}"], stderr=subprocess.PIPE, text=True) for n in range(2)]
    for process in started:
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
    assert contents(Path("dist-0/web.zip")) == contents(Path("dist-1/web.zip"))
    assert containers(engine) == []


# --- secrets ------------------------------------------------------------------------------------------------


@pytest.fixture
def second() -> Iterator[Index]:
    with serve(Index()) as served:
        yield served


def test_no_credentials_come_out(
    index: Index, second: Index, ready: Cache, project: Callable[..., Path], engine: Engine,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    """Planted in the index's URL, netrc and a proxy; searched in images, layers, logs and the manifest."""
    password, other, proxy = "pa55-for/the+index", "w0rd-of-netrc", "pr0xy-word"
    index.credentials = f"user:{password}"
    second.credentials = f"me:{other}"
    second.add(make_wheel("extra"))
    body = "import os; print(dict(os.environ), open(os.environ['NETRC']).read(), flush=True)\n"
    index.add(native(body + NATIVE), make_wheel("web"))
    (tmp_path / "netrc").write_text(f"machine localhost login me password {other}\n")
    quoted = password.replace("/", "%2F").replace("+", "%2B")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://user:{quoted}@127.0.0.1:{index.port}/simple")
    monkeypatch.setenv("UV_INDEX", f"http://localhost:{second.port}/simple")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{proxy}@127.0.0.1:9")
    project(HEAD + "layers: {native: {requirements: [native, web, extra]}}\n")
    done = build("--json")
    assert done.returncode == 0, done.stderr
    words = [password, quoted, other, proxy]
    places = {
        "output": (done.stdout + done.stderr).encode(),
        "lock": Path("layers.lock").read_bytes(),
        "manifest": Path("dist/manifest.json").read_bytes(),
        **{path.name: path.read_bytes() for path in (ready.folder / "logs").iterdir()},
        **contents(Path("dist/native.zip")),
    }
    assert b"UV_DEFAULT_INDEX" in places["native-1.0-python3.12-arm64.log"]  # the build did print it
    for image in engine.client.images.list(filters={"label": LABEL}):
        places[f"image {image.id}"] = json.dumps([image.attrs, image.history()]).encode()
        with (tmp_path / "image.tar").open("wb") as file:
            for chunk in image.save():
                file.write(chunk)
        places["image"] = (tmp_path / "image.tar").read_bytes()
    volume = ContainerBuilder(ready, conftest.Said()).host.volume(target())
    made = engine.client.containers.create(IMAGE, ["true"], platform="linux/arm64", volumes=[f"{volume}:/cache"])
    try:
        places["volume"] = b"".join(made.get_archive("/cache")[0])
    finally:
        made.remove(force=True)
    for place, content in places.items():
        for word in words:
            assert word.encode() not in content, (place, word)


def test_a_build_that_packs_credentials_is_refused(
    index: Index, builder: ContainerBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.credentials = "user:secret-word"
    index.add(make_source("leaky", body="import os; files['leaky.py'] = repr(dict(os.environ)).encode()"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://user:secret-word@127.0.0.1:{index.port}/simple")
    error = failed(index, builder)
    assert "leaky.py holds one of this machine's credentials" in error.what


def test_without_an_engine_nothing_is_fetched_for_one(
    index: Index, cache: Cache, project: Callable[..., Path]
) -> None:
    index.add(make_wheel("web"))
    project(HEAD + "layers: {web: {requirements: [web]}}\n")
    assert layerkit("build", "--builder", "auto", **NO_ENGINE).returncode == 0
    assert not [path for path in index.requests if "/uv" in path]
    assert not (cache.folder / "tools").exists()
