"""The nouns of publishing: what shall be published, what AWS has, and who may use it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A verified zip with its true tags: what becomes one layer version in each region."""

    layer: str  # the key in layers.yaml
    name: str  # the layer's in AWS
    path: Path
    size: int  # bytes of the zip
    sha256: str  # hex
    runtimes: tuple[str, ...]  # tags, sorted; empty: none is true
    architectures: tuple[str, ...]  # tags, sorted; empty: none is true, or the region takes none
    description: str = ""
    license: str = ""
    alone: bool = True  # False: other zips are published under the same name, for other targets

    @property
    def code_sha256(self) -> str:
        """The hash in base64, as AWS gives it."""
        return b64encode(bytes.fromhex(self.sha256)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerVersion:
    """A layer version as AWS tells it."""

    name: str
    version: int
    arn: str
    runtimes: tuple[str, ...] = ()  # sorted
    architectures: tuple[str, ...] = ()  # sorted
    description: str = ""
    license: str = ""
    created: str = ""  # ISO 8601, as AWS writes it
    code_sha256: str = ""  # base64; empty in lists, where AWS does not tell it
    size: int = 0  # bytes; 0 in lists


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Statement:
    """A statement of a layer version's policy."""

    sid: str
    principal: str  # "*", or an account's 12 digits; else its JSON text, as it is
    organization: str = ""  # with the principal "*": of this organization alone
    plain: bool = True  # False: it has an effect, action or condition that layerkit would not write


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who may use a layer version."""

    statements: tuple[Statement, ...] = ()
    revision: str = ""  # AWS's RevisionId; empty where there is no policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A zip in a bucket."""

    bucket: str
    key: str
    version: str = ""  # the object's, where the bucket keeps versions
    reference: bool = False  # True: Lambda shall use it where it is (REFERENCE), and not copy it
    uploaded: bool = True  # False: it was there before


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What an account's code storage has left in a region, in bytes."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Versions that were published before as far as this machine remembers; AWS is asked whether it is so."""

    versions: tuple[int, ...] = ()
    pending_after: int | None = None  # a publish call without an outcome was made when this was the newest version
    untagged: bool = False  # the region was seen to refuse architecture tags
