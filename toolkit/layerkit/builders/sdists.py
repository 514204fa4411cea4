"""Source distributions: fetched, and what their builds made turned into wheels that are kept.

A wheel is kept by the hash of its source distribution, the digest of the image it was built in, and the system
packages that were installed there before.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
import tomllib
import zipfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from layerkit import elf, uv
from layerkit.builders import Wanted
from layerkit.errors import BuildFailed, HashMismatch, IndexUnreachable
from layerkit.files import disk_errors
from layerkit.model import Pin, Target
from layerkit.network import Settings
from layerkit.offers import Offer

FORMAT = 1  # part of every kept wheel's address: raise it when the same build would give another wheel
OLDEST_GLIBC = (2, 17)  # of manylinux tags that installers take for granted
DATE = (1980, 1, 1, 0, 0, 0)
TIMEOUT = 60  # seconds without a byte from the index
ARCHIVE_ERRORS = (tarfile.TarError, zipfile.BadZipFile)
DEFAULT_REQUIRES = ("setuptools>=40.8.0",)  # PEP 517, for a project that names no build system


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel made from a source distribution, and the shared libraries that it needs from the image."""

    file: Path
    libraries: Mapping[str, Path] = field(default_factory=dict)


class KeptWheels:
    """Wheels by key, below one folder.  Deleting it is always safe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def key(sdist_sha256: str, image_digest: str, wanted: Wanted, target: Target) -> str:
        packages = list(wanted.environment.system_packages)
        facts = [FORMAT, sdist_sha256, image_digest, packages, target.label]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def get(self, key: str) -> Wheel | None:
        found = list((self.folder / key).glob("*.whl"))
        if len(found) != 1:
            return None
        with suppress(OSError):  # a cache that is only lent for reading
            os.utime(self.folder / key)
        libraries = {file.name: file for file in sorted((self.folder / key).glob("libraries/*"))}
        return Wheel(file=found[0], libraries=libraries)

    def put(self, key: str, made: Path) -> None:
        """Keep the folder `made` (on the same file system): a wheel, and libraries/."""
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                made.rename(self.folder / key)
            except OSError:
                if not self.get(key):  # else somebody else was faster
                    shutil.rmtree(self.folder / key, ignore_errors=True)
                    made.rename(self.folder / key)


def fetch(pin: Pin, offer: Offer, settings: Settings, folder: Path) -> tuple[Path, str]:
    """The source distribution's file in `folder`, and its SHA-256 in hex.

    Raises HashMismatch when its bytes are not among the locked ones, IndexUnreachable.
    """
    parts = urlsplit(offer.sdist)
    to = folder / Path(unquote(parts.path)).name
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if parts.scheme == "file":
            try:
                shutil.copyfile(Path(unquote(parts.path)), to)
            except FileNotFoundError as error:
                raise IndexUnreachable(f"{to.name} is gone", where=str(pin), why=str(error)) from None
        else:
            _download(offer.sdist, settings, to)
        digest = hashlib.sha256(to.read_bytes()).hexdigest()
    if f"sha256:{digest}" not in pin.hashes:
        raise HashMismatch(
            "the index offers other bytes than those that were locked; nothing of them was used",
            where=str(pin),
            why=f"{to.name}: sha256:{digest}",
            cure=f"find out why the file changed; if the change is wanted: layerkit lock --upgrade {pin.name}",
        )
    return to, digest


def _download(url: str, settings: Settings, to: Path) -> None:
    import requests  # 60 ms that other builds do without

    with requests.Session() as session, ExitStack() as stack:
        parts = urlsplit(url)
        known = settings.credentials
        session.auth = known.get(parts.netloc.rpartition("@")[2]) or known.get(parts.hostname or "")
        session.headers["accept-encoding"] = "identity"  # else some servers say that a .tar.gz is a tar
        trusted, client = (_private(name, settings, to.parent, stack) for name in ("ca.pem", "client.pem"))
        session.cert = client
        try:
            # `verify` of a session gives way to variables that do not count for uv
            with session.get(url, stream=True, timeout=TIMEOUT, verify=trusted) as answer, to.open("wb") as file:
                answer.raise_for_status()
                for block in answer.iter_content(1 << 20):
                    file.write(block)
        except requests.RequestException as error:
            raise IndexUnreachable(
                f"the package index did not give {to.name}",
                why=uv.redact(str(error)),
                cure="check the network, the index's credentials and the proxy settings",
            ) from None


def _private(name: str, settings: Settings, folder: Path, stack: ExitStack) -> str | None:
    """What the container gets as this file, as one that nobody else may read; None: it gets none."""
    if name not in settings.files:
        return None
    file = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)), name)
    file.write_bytes(settings.files[name])
    return str(file)


def build_requires(sdist: Path) -> tuple[str, ...]:
    """What the source distribution's pyproject.toml says its build needs, without running any of it."""
    with suppress(OSError, EOFError, ValueError, AttributeError, TypeError, zlib.error, *ARCHIVE_ERRORS):
        system = tomllib.loads(_pyproject(sdist).decode()).get("build-system", {})
        return tuple(item for item in system.get("requires", DEFAULT_REQUIRES) if isinstance(item, str))
    return DEFAULT_REQUIRES  # or its build will tell what is wrong


def _pyproject(sdist: Path) -> bytes:
    """The text of the file; empty when there is none."""
    if sdist.suffix == ".zip":
        with zipfile.ZipFile(sdist) as archive:
            names = [name for name in archive.namelist() if re.fullmatch(r"(\./)?[^/]+/pyproject\.toml", name)]
            return archive.read(names[0]) if names else b""
    with tarfile.open(sdist) as tar:
        for member in tar:
            if re.fullmatch(r"(\./)?[^/]+/pyproject\.toml", member.name) and (file := tar.extractfile(member)):
                return file.read()
    return b""


def make_wheel(unpacked: Path, name: str, pin: Pin, target: Target, secrets: Sequence[str], into: Path) -> Path:
    """Pack a wheel that was unpacked and stripped again, with the tag that is true of its binaries and fixed dates.

    `name` is the wheel's own file name.
    Raises BuildFailed for binaries that the target cannot run, and for a secret that found its way into a file.
    """
    files = {path.relative_to(unpacked).as_posix(): path for path in sorted(unpacked.rglob("*")) if path.is_file()}
    contents = {path: file.read_bytes() for path, file in files.items()}
    for path, content in contents.items():
        if any(secret.encode(errors="surrogatepass") in content for secret in secrets):
            raise BuildFailed(
                f"{pin} was not packed: {path} holds one of this machine's credentials",
                cure="find out what its build writes there, and report it to its authors",
            )
    info = next((path.rpartition("/")[0] for path in files if re.fullmatch(r"[^/]+\.dist-info/WHEEL", path)), "")
    if not info:
        raise BuildFailed(f"{pin} was not packed: its build made no wheel", why=f"{name} has no .dist-info/WHEEL")
    tag = f"manylinux_{'_'.join(map(str, _glibc(contents, pin, target)))}_{target.machine}"
    wheel = contents[f"{info}/WHEEL"].decode()
    contents[f"{info}/WHEEL"] = re.sub(rf"\blinux_{target.machine}\b", tag, wheel).encode()
    record = f"{info}/RECORD"
    contents.pop(record, None)
    rows = [(path, f"sha256={_digest(content)}", len(content)) for path, content in contents.items()]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*rows, (record, "", "")])
    file = into / re.sub(rf"-linux_{target.machine}\.whl$", f"-{tag}.whl", name)
    with disk_errors(into), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, content in [*contents.items(), (record, text.getvalue().encode())]:
            archive.writestr(zipfile.ZipInfo(path, DATE), content, zipfile.ZIP_DEFLATED)
    return file


def _glibc(contents: Mapping[str, bytes], pin: Pin, target: Target) -> tuple[int, ...]:
    """The oldest glibc that has all symbols which the binaries ask for."""
    newest: tuple[int, ...] = OLDEST_GLIBC
    for path, content in contents.items():
        try:
            binary = elf.read(content)
        except elf.ElfError:
            continue  # not one that a loader reads: a file of tests
        if not binary:
            continue
        if binary.machine != target.machine and re.search(r"\.so(\.|$)", path):
            raise BuildFailed(f"{pin} was built for another machine: {path} is for {binary.machine}")
        if binary.machine != target.machine:
            continue  # nothing that the target loads: a file of tests
        newest = max(newest, binary.newest("GLIBC")[:2])
    if newest > target.glibc:
        wanted, there = (".".join(map(str, version)) for version in (newest, target.glibc))
        raise BuildFailed(
            f"{pin} was built for glibc {wanted}; {target.runtime} has {there}",
            cure="build it in AWS's own image, or one with an older system (container: {image: ...} in layers.yaml)",
        )
    return newest


def _digest(content: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
