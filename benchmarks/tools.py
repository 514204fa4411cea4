"""The programs that are compared, each as a function that builds the same layers below an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from layerkit import __version__, bytecode, config, uv
from layerkit import lock as lockfile

MINOR = "3.12"
LAYERKIT = Path(sys.executable).with_name("layerkit")
# Every manylinux tag that python3.12's glibc 2.34 can run: a wheel may carry any one of them.
PLATFORMS = (*(f"manylinux_2_{minor}_aarch64" for minor in range(34, 16, -1)), "manylinux2014_aarch64")
SAM_LAYER = """\
  {id}:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: {key}
      CompatibleArchitectures: [arm64]
      CompatibleRuntimes: [python3.12]
    Metadata:
      BuildMethod: python3.12
      BuildArchitecture: arm64
"""
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24  # <linux/capability.h>, <linux/prctl.h>


class Failure(Exception):
    """An expected failure, told in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """A CPython 3.12, and a virtual environment of it in which the peers are installed."""

    executable: Path
    release: str
    peers: Path

    def environment(self) -> dict[str, str]:
        """For every program alike: this Python comes first, nothing of the caller's Python settings goes in."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
        first = [str(self.peers / "bin"), str(self.executable.parent)]
        env["PATH"] = os.pathsep.join([*first, env.get("PATH", os.defpath)])
        # the builder without a container, where none is asked for
        return env | {"SAM_CLI_TELEMETRY": "0", "LAYERKIT_BUILDER": "wheels"}

    def versions(self) -> dict[str, str]:
        """What is compared, by name."""
        sam = run(self.peers / "bin/sam", "--version", env=self.environment()).split()[-1]
        pip = run(self.peers / "bin/pip", "--version", env=self.environment()).split()[1]
        return {"CPython": self.release, "layerkit": __version__, "sam": sam, "pip": pip}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What goes into one layer: all that it needs, since the peers know no `uses`."""

    key: str
    requirements: tuple[str, ...]  # "flask==3.1.3"
    source: Path | None

    @property
    def id(self) -> str:
        """Its name in SAM's template, which takes letters and digits alone."""
        return self.key.title().replace("-", "")


def run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Its standard output.  Raises Failure with the line in which the program says what is wrong."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Failure(f"{name} cannot be started: {error.strerror}") from None
    if done.returncode == 0:
        return done.stdout
    lines = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()
    raise Failure(f"{name} failed: {next((line for line in lines if 'error' in line.lower()), lines[-1]).strip()}")


def find_python(given: Path | None, home: Path) -> Python:
    """CPython 3.12, and a folder below `home` for the peers.  Raises Failure when there is none."""
    found = [(one.executable, one.release) for one in bytecode.find(MINOR, home) if one.executable]
    if given:
        release = run(given, "-I", "-S", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])").strip()
        found = [(given.absolute(), release)] if release.startswith(f"{MINOR}.") else []
    if not found:
        where = f" at {given}" if given else ""
        raise Failure(f"there is no CPython {MINOR}{where}; to have one: uv python install {MINOR}")
    executable, release = found[0]
    return Python(executable=executable, release=release, peers=home / f"peers-{release}")


def install_sam(python: Python) -> None:
    """The newest, once."""
    if (python.peers / "bin/sam").exists():
        return
    print("installing aws-sam-cli, once ...", file=sys.stderr)
    run(python.executable, "-m", "venv", "--clear", python.peers)
    pip = partial(run, python.peers / "bin/python", "-m", "pip", "install", "--quiet", "--upgrade")
    pip("pip")  # the one that came with CPython may be years old
    pip("aws-sam-cli")


def install_adapter(python: Python, folder: Path, *requirements: str) -> None:
    """The newest distributions and all that they need, once, with the bytecode that layerkit's layers have."""
    if folder.exists():
        return
    print(f"installing {', '.join(requirements)}, once ...", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="making-", dir=folder.parent) as name:
        made = Path(name) / "python"
        uv.run(
            ["pip", "install", "--python", str(python.executable), "--target", str(made), *requirements],
            cwd=made.parent,
        )
        compiling = ("-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", made)
        run(python.executable, *compiling, env=python.environment())
        made.rename(folder)


def layers(project: Path) -> list[Layer]:
    """The layers of the project, their distributions pinned as its lock has them."""
    locked = lockfile.read(project / lockfile.NAME)
    versions = {pin.name: pin.version for pin in locked.pins}
    found = []
    for key, layer in config.load(project / "layers.yaml").layers.items():
        names = [entry.partition(";")[0].strip() for entry in locked.layers[key].distributions]
        pinned = tuple(f"{name}=={versions[name]}" for name in names)
        found.append(Layer(key=key, requirements=pinned, source=layer.source))
    return found


def changed(project: Path, to: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of the project with another layers.yaml."""
    shutil.copytree(project, to)
    file = to / "layers.yaml"
    declared = yaml.safe_load(file.read_text(encoding="utf-8"))
    change(declared)
    file.write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
    return to


def layerkit_build(project: Path, folder: Path, python: Python, *keys: str, **env: str) -> None:
    """The console script, its cache and its output in `folder`; with further environment."""
    env = python.environment() | {"LAYERKIT_CACHE_DIR": str(folder / "cache")} | env
    run(LAYERKIT, "build", *keys, "--file", project / "layers.yaml", "--output", folder / "dist", env=env)


def sam_project(project: Path, folder: Path) -> None:
    """A SAM template in `folder` of the layers that have requirements."""
    template = ["Transform: AWS::Serverless-2016-10-31", "Resources:"]
    folder.mkdir(exist_ok=True)
    for layer in layers(project):
        if layer.requirements:
            (folder / layer.key).mkdir()
            (folder / layer.key / "requirements.txt").write_text("\n".join([*layer.requirements, ""]))
            template.append(SAM_LAYER.format(id=layer.id, key=layer.key))
    (folder / "template.yaml").write_text("\n".join(template))


def sam_build(template: Path, folder: Path, python: Python, *options: str) -> None:
    """Build the folder's template into `folder`/built; SAM keeps all else that it writes in `folder` too."""
    command = (python.peers / "bin/sam", "build", "--template", template / "template.yaml", "--build-dir", "built")
    run(*command, *options, cwd=folder, env=python.environment())


def sam_zips(project: Path, folder: Path) -> list[Path]:
    """A zip of each layer in `folder`/built, as `sam package` makes them: zipfile's deflate, level 6."""
    zips = []
    for layer in layers(project):
        content = folder / "built" / layer.id
        if layer.requirements:
            zips.append(zip_folder(content, folder / f"{layer.key}.zip"))
    return zips


def zip_folder(content: Path, file: Path, level: int = 6) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for path in sorted(path for path in content.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(content))
    return file


def pip_and_zip(project: Path, folder: Path, python: Python) -> None:
    """By hand: `pip install -t` of each layer's pins, or a copy of its source, and `zip -qr`."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    for layer in layers(project):
        content = folder / layer.key / "python"
        if layer.requirements:
            command = (python.peers / "bin/python", "-m", "pip", "install", "--quiet", "--target", content)
            target = ("--only-binary", ":all:", "--python-version", MINOR, *platforms)
            run(*command, *target, *layer.requirements, env=python.environment())
        if layer.source:
            shutil.copytree(layer.source, content, dirs_exist_ok=True)
        run("zip", "-qr", folder / f"{layer.key}.zip", "python", cwd=content.parent)


def merge(zips: Iterable[Path], folder: Path) -> None:
    """Unpack in order, as Lambda fills /opt, and take all rights to write."""
    for file in zips:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    allow_writing(folder, allow=False)


def allow_writing(folder: Path, *, allow: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o200 if allow else mode & ~0o222)


def obey_modes() -> None:
    """In a child, before it becomes another program: root on Linux gives up its right to write into any folder.

    Another uid would not do: root's Python is often in a home folder that others may not enter.
    """
    import ctypes

    if sys.platform == "linux" and os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def time_import(
    python: Python,
    folders: Sequence[Path],
    statement: str,
    *,
    before: str = "pass",
    env: Mapping[str, str] | None = None,
) -> float:
    """Seconds of `statement`, after `before`, in a new process that has `folders` and the standard library alone."""
    code = (
        f"import sys, time; sys.path[:0] = sys.argv[1:]; {before}; start = time.perf_counter(); "
        f"{statement}; print(time.perf_counter() - start)"
    )
    # -I: no PYTHON* variable is heard, so Python does try to write the bytecode that is missing, as in Lambda
    command: list[str | Path] = [python.executable, "-I", "-S", "-c", code, *folders]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, preexec_fn=obey_modes)
    if done.returncode:
        raise Failure(f"{statement} failed: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout)
