"""uv: finding it, its environment, running it, its failures in our words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from layerkit.errors import (
    HashMismatch,
    IndexUnreachable,
    LayerkitError,
    MachineError,
    ResolutionError,
)
from layerkit.files import disk_errors

# What pip's users have set already; uv reads its own names only.
FROM_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}
OLDER_NAMES = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}

# A failure is told by uv in prose alone; these words of it decide which of ours it is.
FAILURES: tuple[tuple[str, Callable[[str], LayerkitError]], ...] = (
    (
        r"No space left on device|os error 28\b",
        lambda why: MachineError("the disk is full", why=why, cure="free some space and run it again"),
    ),
    (
        r"Hash mismatch",
        lambda why: HashMismatch(
            "the index offers other bytes than those that were locked; nothing of them was used",
            why=why,
            cure="find out why the file changed; if the change is wanted: layerkit lock --upgrade NAME",
        ),
    ),
    (
        r"401 Unauthorized|403 Forbidden|407 Proxy",
        lambda why: IndexUnreachable(
            "the package index refused",
            why=why,
            cure="give its credentials (netrc, keyring or UV_INDEX_*_PASSWORD)",
        ),
    ),
    (
        r"error sending request|Could not connect|Failed to fetch|dns error|\btimed out\b|connectivity is disabled"
        r"|network was disabled",
        lambda why: IndexUnreachable(
            "the package index does not answer",
            why=why,
            cure="check the network, UV_DEFAULT_INDEX and the proxy settings; what was built before is untouched",
        ),
    ),
)


@cache
def find() -> str:
    """The path of the uv that came with layerkit."""
    from uv import find_uv_bin

    try:
        return find_uv_bin()
    except FileNotFoundError as error:
        raise MachineError("uv is not installed", why=str(error), cure="pip install uv") from None


def environment() -> dict[str, str]:
    """This process's environment for uv, pip's settings carried over where uv's own are not given."""
    env = dict(os.environ)
    for pip_name, uv_name in FROM_PIP.items():
        if pip_name in env and uv_name not in env and OLDER_NAMES.get(uv_name) not in env:
            value = env[pip_name]
            # pip separates by white space, uv by white space (UV_INDEX) or commas (UV_FIND_LINKS)
            env[uv_name] = ",".join(value.split()) if uv_name == "UV_FIND_LINKS" else value
    env.pop("COLUMNS", None)  # uv would break its words into lines of so many characters, and they are read here
    env.pop("VIRTUAL_ENV", None)  # layers are never resolved against an environment of the host
    env["UV_NO_PROGRESS"] = "1"
    env["NO_COLOR"] = "1"
    env["UV_PYTHON_DOWNLOADS"] = "never"
    return env


def run(arguments: Sequence[str], *, cwd: Path) -> str:
    """uv's standard output.

    Raises IndexUnreachable, HashMismatch, MachineError, or ResolutionError for every other failure, each with
    uv's own words as `why`, without credentials.
    """
    try:
        done = subprocess.run(
            [find(), *arguments], cwd=cwd, env=environment(), capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise MachineError("uv cannot be started", why=str(error)) from None
    if done.returncode == 0:
        return done.stdout
    raise failure(done.stderr)


def version() -> str:
    from importlib import metadata

    return metadata.version("uv")


def for_machine(machine: str, tools: Path, work: Path) -> Path:
    """The uv of this version for Linux on `machine`, from the index; kept in the folder `tools`."""
    kept = tools / f"uv-{version()}-{machine}" / "uv"
    if kept.exists():
        return kept
    made = work / f"uv-{machine}"
    arguments = ["--no-deps", "--only-binary", ":all:", "--python-platform", f"{machine}-manylinux_2_17"]
    arguments += ["--python", sys.executable]
    try:
        run(["pip", "install", "--target", str(made), *arguments, f"uv=={version()}"], cwd=work)
    except ResolutionError as error:
        error.what = f"the index has no uv {version()} for {machine}, which the build container needs"
        error.cure = "add it to the index, or layerkit build --builder wheels"
        raise
    with disk_errors(tools):
        (made / "kept").mkdir()
        (made / "bin/uv").rename(made / "kept/uv")
        tools.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # another process was here first
            (made / "kept").rename(kept.parent)
    return kept


def failure(stderr: str) -> LayerkitError:
    """What uv's words on its standard error mean."""
    why = redact(stderr).strip()
    why = re.sub(r"^Using CPython .*\n|^Resolved .*\n|^warning: .*\n", "", why, flags=re.MULTILINE).removeprefix(
        "error: "
    )
    for pattern, make in FAILURES:
        if re.search(pattern, why, flags=re.IGNORECASE):
            return make(why)
    return ResolutionError("uv could not do it", why=why)


def redact(text: str) -> str:
    """`text` without the user names and passwords of URLs."""
    return re.sub(
        r"(\w+://)\S*@", r"\1***@", text
    )  # up to the last @: a password may hold one, or a / as it is typed
