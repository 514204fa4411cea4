"""The programs of this machine, and the package index that it can reach."""

from __future__ import annotations

import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import Future
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from layerkit import __version__, bytecode, uv
from layerkit.builders.boxes import Host
from layerkit.builders.engine import Engine
from layerkit.doctor.engine import answered
from layerkit.doctor.findings import Finding, Status
from layerkit.doctor.project import Project
from layerkit.errors import MachineError, ResolutionError
from layerkit.model import Target

INDEX_LIMIT = 15  # seconds
OTHER_INDEX = "export UV_DEFAULT_INDEX=URL, of an index that has it"


def tools() -> list[Finding]:
    name, own = "layerkit", f"{__version__}, Python {platform.python_version()}"
    where = f"{platform.system()} {platform.machine()}"
    try:
        uv.find()
        return [Finding(name, "ok", f"{own}, uv {uv.version()}, {where}")]
    except (MachineError, ImportError, metadata.PackageNotFoundError):
        return [Finding(name, "fail", f"{own}, no uv, {where}", f"{shlex.quote(sys.executable)} -m pip install uv")]


def interpreters(project: Project, host: Host, connecting: Future[Engine]) -> list[Finding]:
    """For each runtime that gets bytecode, the CPython that compiles it: here, else in the build container."""
    return [_interpreter(one, project.releases.get(one.runtime, ""), host, connecting) for one in project.compiled]


def _interpreter(target: Target, locked: str, host: Host, connecting: Future[Engine]) -> Finding:
    name = f"bytecode {target.runtime}"
    try:
        here = bytecode.choose(target.python, locked, host.cache.folder)
    except (MachineError, OSError):  # a cache that may only be read, which is told in its own line
        with tempfile.TemporaryDirectory(prefix="layerkit-doctor-") as folder:
            here = bytecode.choose(target.python, locked, Path(folder))
    if here and here.release == (locked or here.release):
        as_locked = ", as the lock says" if locked else ""
        return Finding(name, "ok", f"CPython {here.release}{as_locked}: {here.executable}")
    inside = host.release(target) if answered(connecting) else ""
    if inside and inside == (locked or inside):
        return Finding(name, "ok", f"CPython {inside} of the build container")
    cure = f"{'uv' if shutil.which('uv') else shlex.quote(uv.find())} python install {locked or target.python}"
    other = f"CPython {here.release}" if here else f"CPython {inside} of the build container" if inside else ""
    lacks = f"there is no CPython {target.python}, so layers get no bytecode and start slower"
    differs = f"{other}, but the lock names {locked}: bytecode will differ from other machines'"
    return Finding(name, "warn", differs if other else lacks, cure)


def index(project: Project, limit: float = INDEX_LIMIT) -> list[Finding]:
    """Ask for one distribution in the way that `lock` does, past uv's cache."""
    name, wanted = "package index", project.requirement or "pip"
    command = [uv.find(), "pip", "compile", "-", "--no-deps", "--no-cache", "--emit-index-url", "--no-annotate"]
    command += ["--no-header", "--python", sys.executable, "--python-version", project.targets[0].python]
    env = {"UV_HTTP_TIMEOUT": "10", "UV_HTTP_RETRIES": "1"} | uv.environment()
    address = env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or ""  # uv has its own
    with tempfile.TemporaryDirectory(prefix="layerkit-doctor-") as folder:
        try:  # not by uv.run, which waits as long as uv does
            done = subprocess.run(
                command, input=wanted, cwd=folder, env=env, capture_output=True, text=True, check=False,
                timeout=limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            words = f"{_host(address)} does not answer within {limit:g} s"
            return [Finding(name, "fail", words, _look(address))]
    if done.returncode == 0:
        asked = re.findall(r"^--(?:extra-)?index-url (\S+)", done.stdout, flags=re.MULTILINE)
        return [Finding(name, "ok", f"{', '.join(map(_host, asked)) or 'no index, but a folder'} has {wanted}")]
    error = uv.failure(done.stderr)
    lines = error.why.strip().splitlines() or [f"uv ended with status {done.returncode}"]
    words = re.sub(r"^ *(cause|hint): ", "", lines[-1])
    named = re.search(r"https?://[^\s)]+", error.why)
    address = named[0] if named else address
    if "network was disabled" in error.why:
        return [Finding(name, "fail", "uv may not use the network (UV_OFFLINE)", "unset UV_OFFLINE")]
    if "refused" in error.what:
        login = f"{shlex.quote(uv.find())} auth login {_host(address)}"
        return [Finding(name, "fail", f"{_host(address)}: {error.what}", f"{login}, or {error.cure}")]
    if "certificate" in words:
        return [Finding(name, "fail", f"{_host(address)}: {words}", "export UV_SYSTEM_CERTS=1")]
    if not isinstance(error, ResolutionError):
        return [Finding(name, "fail", f"{_host(address)}: {error.what}: {words}", _look(address))]
    if "was not found in" in error.why:
        status: Status = "fail" if project.requirement else "warn"  # an index of one's own need not have pip
        words = f"{_host(address)} answers, but has no {wanted}: is the name right, and the index?"
    else:
        status, words = "fail", lines[0]
    return [Finding(name, status, words, OTHER_INDEX)]


def _host(address: str) -> str:
    """Host and port of an index, or the folder that is one."""
    parts = urlsplit(address)
    return parts.netloc.rpartition("@")[2] or parts.path or "uv's default index"


def _look(address: str) -> str:
    """What to do about an index that does not answer; its address without credentials and query."""
    todo = "check the network, UV_DEFAULT_INDEX and the proxy settings"
    if not address:
        return todo
    parts = urlsplit(address)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
    return f"{todo}; this shows what is wrong: curl -sSIL {shlex.quote(bare)}"
