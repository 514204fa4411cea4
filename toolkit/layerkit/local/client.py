"""AWS's runtime client for Python (awslambdaric), as the managed runtimes have it in /var/runtime."""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from dataclasses import replace
from importlib import resources
from pathlib import Path

from layerkit import bytecode, uv
from layerkit.cache import Cache
from layerkit.errors import LayerkitError
from layerkit.files import disk_errors
from layerkit.model import Target
from layerkit.sandbox.surroundings import NotHere

REQUIREMENTS = "runtime-client.txt"


def key(target: Target) -> str:
    """Names what `folder` has for this target: changes with its content."""
    text = resources.files("layerkit").joinpath("data", REQUIREMENTS).read_bytes()
    digest = hashlib.sha256(text).hexdigest()[:16]
    return f"{digest}-{target.label}"


def folder(target: Target, cache: Cache) -> Path:
    """A folder with the client and what it needs, from the index the first time.

    Raises NotHere where the index has none for the target, or does not answer.
    """
    kept = cache.folder / "runtime" / key(target)
    if kept.exists():
        os.utime(kept)  # it is used
        return kept
    with cache.workspace() as work, disk_errors(cache.folder):
        made = work / "runtime"
        _install(target, cache, work, made)
        for path in (made, *made.rglob("*")):  # whoever is the function's user reads it
            path.chmod(0o755 if path.is_dir() else 0o644)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # another process was here first
            made.rename(kept)
    return kept


def here(target: Target, cache: Cache) -> Path:
    """The same for this machine, whatever the target's architecture."""
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return folder(replace(target, architecture=architecture), cache)


def _install(target: Target, cache: Cache, work: Path, made: Path) -> None:
    from layerkit.builders import wheels

    with resources.as_file(resources.files("layerkit").joinpath("data", REQUIREMENTS)) as file:
        options = ["--requirements", str(file), "--require-hashes", "--no-deps", "--only-binary", ":all:"]
        options += ["--python-version", target.python, "--python-platform", wheels.platform(target)]
        interpreter = bytecode.choose(target.python, "", cache.folder)
        if interpreter:
            options += ["--python", str(interpreter.executable), "--compile-bytecode"]
        try:
            uv.run(["pip", "install", "--quiet", "--target", str(made), *options], cwd=work)
        except LayerkitError as error:
            why = error.why.strip().splitlines()
            reason = f"{error.what}: {why[-1]}" if why else error.what
            raise NotHere(f"AWS's runtime client cannot be had for it: {reason}") from None
