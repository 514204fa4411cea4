"""The nouns that layerkit and AWS have in common: layer versions and who may use them, functions and their layers."""

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
class FunctionVersion:
    """A function ($LATEST) or one of its published versions, as far as layers matter."""

    name: str
    version: str  # "$LATEST", or a number; "$LATEST.PUBLISHED", of functions on instances of one's own
    arn: str  # with the version's number; of $LATEST without one
    layers: tuple[str, ...] = ()  # ARNs of layer versions, in the order in which they are unpacked
    runtime: str = ""  # empty for an image
    architecture: str = "x86_64"
    image: bool = False  # a container image, which takes no layers
    python_path: str | None = None  # PYTHONPATH of the function's environment; None: it is not set, or not known
    environment_error: str = (
        ""  # AWS's words why it does not tell the environment (a key of KMS that may not be used)
    )
    code_size: int = 0  # bytes of the function's own zip
    layer_sizes: tuple[int, ...] = ()  # bytes of each layer's zip, in the order of `layers`
    state: str = "Active"  # or Pending, Inactive, Failed; in lists, where AWS does not tell it, always this
    update: str = "Successful"  # the last update's status; or InProgress, Failed
    why: str = ""  # AWS's words for a state or an update that is not well
    revision: str = ""  # changes with each update, also when an update comes to its end; empty in lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name for a version of a function, which its callers use."""

    name: str
    function: str
    version: str
    weights: tuple[tuple[str, float], ...] = ()  # other versions that get a share of the calls, and which
    revision: str = ""
