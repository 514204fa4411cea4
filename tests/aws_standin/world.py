"""The state of the stand-in: what each account has in each region, its buckets, and the bytes that they share."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from aws_standin.data import partition
from aws_standin.iam import Context, Session, role, verdict

if TYPE_CHECKING:
    from aws_standin.lambda_states import Change

Json = dict[str, Any]
UNZIPPED = 262_144_000  # "Unzipped size must be smaller than 262144000 bytes": serverless-layers#138, chalice#2081
# libreoffice-lambda-layer#15, Sparticuz/chromium#322
NO_ZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."


class Blob:
    """Bytes that are kept once, however many regions have them, with what was found out about them."""

    def __init__(self, data: bytes, digest: bytes) -> None:
        self.data, self.digest = data, digest
        self._lock = threading.Lock()
        self._zip: tuple[str, int] | None = None

    @property
    def sha256(self) -> str:
        """In base64, as Lambda tells it."""
        return base64.b64encode(self.digest).decode()

    def as_zip(self) -> tuple[str, int]:
        """Why Lambda refuses it (empty: it does not), and how many bytes it unzips to."""
        with self._lock:  # its own: others go on
            if self._zip is None:
                self._zip = look_at_zip(self.data)
            return self._zip


def look_at_zip(data: bytes) -> tuple[str, int]:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            infos = archive.infolist()
            if not infos:
                return "Uploaded file must be a non-empty zip", 0  # aws-lambda-tesseract-layer#254
            size = sum(info.file_size for info in infos)
            if size >= UNZIPPED:
                return f"Unzipped size must be smaller than {UNZIPPED} bytes", size
            return (NO_ZIP, 0) if archive.testzip() else ("", size)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
        return NO_ZIP, 0


@dataclass(slots=True, kw_only=True)
class Version:
    """A layer version; `document` is what a list tells of it."""

    name: str
    number: int
    document: Json
    content: Json
    blob: Blob
    policy: list[Json] = field(default_factory=list)
    revision: str = ""
    kept: int = 0  # bytes of the account's code storage: none for a reference


@dataclass(slots=True, kw_only=True)
class Layer:
    versions: dict[int, Version] = field(default_factory=dict)
    newest: int = 0  # never goes back: rotel-lambda-extension#2, amplify-cli#4963


@dataclass(slots=True, kw_only=True)
class Function:
    """A function with its published versions, oldest first, and its aliases; documents as Lambda tells them."""

    latest: Json
    unzipped: int = 0  # bytes of its own code
    versions: dict[str, Json] = field(default_factory=dict)
    newest: int = 0  # never goes back
    published: Json = field(default_factory=dict)  # what $LATEST had when the newest version was made of it
    aliases: dict[str, Json] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)  # what is under way


@dataclass(slots=True, kw_only=True)
class Place:
    """One region of one account."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    layers: dict[str, Layer] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    parameters: dict[str, list[Json]] = field(default_factory=dict)  # every version, oldest first


@dataclass(slots=True, kw_only=True)
class Stored:
    """A version of an object; no blob: a delete marker."""

    version: str
    blob: Blob | None
    headers: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    etag: str = ""
    modified: float = 0


@dataclass(slots=True, kw_only=True)
class Upload:
    """An upload in parts that is under way."""

    key: str
    headers: dict[str, str]
    algorithm: str = ""
    composite: bool = True
    started: float = 0
    parts: dict[int, Stored] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Bucket:
    name: str
    region: str
    account: str
    versioning: str = ""  # "", "Enabled", "Suspended"
    objects: dict[str, list[Stored]] = field(default_factory=dict)  # newest last
    uploads: dict[str, Upload] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Options:
    """How the stand-in behaves; may be changed while it runs.  `rate` 0: no throttle; `latency` in seconds."""

    rate: int = 15
    latency: float = 0.0
    disabled: Iterable[str] = ()
    no_arm: Iterable[str] = ()
    account: str = "123456789012"
    storage: int = 322_122_547_200  # 300 GB a region: Lambda quotas page, 2026
    parameter_rate: int = 0  # PutParameter calls a second and region; 0: no throttle
    organizations: Mapping[str, str] = field(default_factory=dict)  # of which organization an account is
    update_reads: int = 0  # how many reads of a function still see what is under way
    roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by ARN: see iam.role
    update_seconds: float = 0.0  # how long it is under way, at least; 0 for both: done at once


class World:
    """Everything there is.  Each place has a lock of its own; `lock` is for what is here, and for buckets."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        self.options, self.clock = options, clock
        self.lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.places: dict[tuple[str, str], Place] = {}
            self.buckets: dict[str, Bucket] = {}
            self.roles = {arn: role(arn, document) for arn, document in self.options.roles.items()}
            self.sessions: dict[str, Session] = {}  # by access key
            self._blobs: WeakValueDictionary[bytes, Blob] = WeakValueDictionary()

    def place(self, account: str, region: str) -> Place:
        with self.lock:
            return self.places.setdefault((account, region), Place())

    def blob(self, data: bytes) -> Blob:
        """The one that holds these bytes."""
        digest = hashlib.sha256(data).digest()
        with self.lock:
            found = self._blobs.get(digest)
            if found is None:
                found = self._blobs[digest] = Blob(data, digest)
            return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, and where; whoever has no session is an administrator."""

    account: str
    region: str
    session: Session | None = field(default=None, compare=False)

    def arn(self, service: str, rest: str) -> str:
        return f"arn:{partition(self.region)}:{service}:{self.region}:{self.account}:{rest}"

    def named_by(self, text: str) -> Caller:
        """Whose resource a name or an ARN (of Lambda) means: the caller's own, but an ARN may say otherwise."""
        parts = text.split(":")
        return Caller(account=parts[4], region=parts[3]) if len(parts) > 6 else self

    def effect(self, action: str, resource: str, context: Context | None = None) -> str:
        """What the policy of the caller's role says: "Deny", "Allow", or nothing."""
        if not self.session:
            return "Allow"
        owner = resource.split(":")[4:5]
        known: Context = {
            "aws:RequestedRegion": (self.region,), "aws:PrincipalAccount": (self.account,),
            "aws:ResourceAccount": tuple(owner), **(context or {}),
        }  # fmt: skip
        return verdict(self.session.role.policy, action, resource, known)

    def bucket_arn(self, bucket: str, key: str = "") -> str:
        return f"arn:{partition(self.region)}:s3:::{bucket}{'/' + key if key else ''}"

    @property
    def identity(self) -> str:
        if self.session:
            return self.session.arn
        return f"arn:{partition(self.region)}:sts::{self.account}:assumed-role/layerkit/ci"
