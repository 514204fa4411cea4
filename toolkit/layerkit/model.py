"""The nouns: what is declared, locked, built and recorded.  Frozen, and checked before they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Bytecode(StrEnum):
    """What a layer carries for each module."""

    UNCHECKED_HASH = "unchecked-hash"  # source, and bytecode that is used without a look at the source
    NONE = "none"  # source alone
    ONLY = "only"  # bytecode alone (`inspect.getsource` and source lines in tracebacks are gone)


class Prune(StrEnum):
    """Groups of files that a layer may leave out; none is by default, since each has been seen in use at run time."""

    TESTS = "tests"  # folders tests/ and test/ inside packages
    STUBS = "stubs"  # *.pyi, py.typed (lazy loaders read stubs)
    SOURCES = "sources"  # C, C++, Fortran, Cython and Rust sources and headers of extensions


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Target:
    """What a layer is built for: a Lambda runtime on an architecture."""

    runtime: str  # AWS's identifier, "python3.12"
    architecture: str  # AWS's spelling, "arm64" or "x86_64"
    glibc: tuple[int, int]  # of the runtime's operating system
    image: str  # the build container's, as an engine pulls it

    @property
    def python(self) -> str:
        """Python's minor version, "3.12"."""
        return self.runtime.removeprefix("python")

    @property
    def machine(self) -> str:
        """The kernel's and the wheels' name of the architecture, "aarch64"."""
        return {"arm64": "aarch64"}.get(self.architecture, self.architecture)

    @property
    def label(self) -> str:
        return f"{self.runtime}-{self.architecture}"

    def marker_environment(self) -> dict[str, str]:
        """Values for PEP 508 markers.  The patch release is taken as 0: what needs less than that needs no marker."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Environment:
    """What a layer's distributions are built in where no wheel is offered: its part of the build container."""

    system_packages: tuple[str, ...] = ()  # installed before, by the image's own package manager
    network: bool = True  # whether a build may use it
    pack_libraries: bool = True  # whether libraries that the runtime lacks go to lib/


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What verifying a layer, or a function, takes from its declaration."""

    imports: tuple[str, ...] | None = None  # modules that must import; None: all at the layer's top
    licenses: tuple[str, ...] | None = None  # SPDX identifiers that its distributions may have; None: any
    waivers: Mapping[str, str] = field(default_factory=dict)  # id of a rule -> why its breach is accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One declared layer."""

    key: str  # in layers.yaml
    name: str  # in AWS
    targets: tuple[Target, ...]
    description: str = ""
    license: str = ""
    requirements: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()  # keys of layers whose distributions are not packed again
    source: Path | None = None  # own code, absolute
    bytecode: Bytecode = Bytecode.UNCHECKED_HASH
    prune: frozenset[Prune] = frozenset()
    environment: Environment = Environment()
    checks: Checks = Checks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """What a function that attaches these layers sees in /opt."""

    key: str
    layers: tuple[str, ...]
    source: Path | None = None
    handler: str = ""
    checks: Checks = Checks()
    environment: Mapping[str, str] = field(default_factory=dict)  # its variables, where it is run locally
    timeout: int = 3  # seconds; Lambda's default
    memory: int = 128  # MB; Lambda's default


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Who may use a published layer version; all empty means its own account alone."""

    public: bool = False
    accounts: tuple[str, ...] = ()
    organization: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketPlace:
    """Where zips go that are too large for a request: an S3 bucket in each region."""

    name: str  # with {region} in it, unless there is one region alone
    prefix: str = "layerkit/"  # of the keys
    keep: bool = False  # False: the object is deleted once it is published
    reference: bool = False  # True: Lambda uses the object where it is, so it is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """What layers.yaml says of publishing."""

    regions: tuple[str, ...] = ()
    share: Share = Share()
    bucket: BucketPlace | None = None
    parameters: str = ""  # prefix of SSM parameters, "/layerkit"; empty: none are written


@dataclass(frozen=True, slots=True, kw_only=True)
class LayersFile:
    """A checked layers.yaml."""

    path: Path
    layers: Mapping[str, Layer]
    functions: Mapping[str, Function] = field(default_factory=dict)
    publishing: Publishing = Publishing()
    step_limit: int = 1800  # seconds that one step in the build container may take
    warnings: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        return self.path.parent

    def targets_of(self, function: Function) -> tuple[Target, ...]:
        """The targets that all layers of the function are declared for; without layers, those of any layer."""
        if not function.layers:
            return tuple(sorted({target for layer in self.layers.values() for target in layer.targets}))
        first, *others = (self.layers[key].targets for key in function.layers)
        return tuple(target for target in first if all(target in targets for targets in others))

    def used_by(self, key: str) -> tuple[str, ...]:
        """Keys of all layers that the layer `key` uses, directly or not, each once."""
        found: dict[str, None] = {}
        waiting = list(self.layers[key].uses)
        while waiting:
            used = waiting.pop(0)
            if used not in found:
                found[used] = None
                waiting += self.layers[used].uses
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Pin:
    """A locked distribution: exactly one version, and the hashes of all its files."""

    name: str  # normalised (PEP 503)
    version: str
    hashes: tuple[str, ...]  # "sha256:…", sorted
    marker: str = ""  # PEP 508; empty: on every target

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerInput:
    """What the lock was made from, for one layer: a change of it makes the lock stale."""

    requirements: tuple[str, ...]
    uses: tuple[str, ...]
    targets: tuple[str, ...]  # labels

    @classmethod
    def of(cls, layer: Layer) -> LayerInput:
        targets = tuple(sorted(target.label for target in layer.targets))
        return cls(requirements=tuple(sorted(layer.requirements)), uses=tuple(sorted(layer.uses)), targets=targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedLayer:
    """A layer's share of the lock: every distribution that its requirements need, those of used layers included."""

    made_from: LayerInput
    distributions: tuple[str, ...]  # names, some with a marker: "numpy ; platform_machine == 'aarch64'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """One resolution of all layers for all their targets."""

    pins: tuple[Pin, ...]
    layers: Mapping[str, LockedLayer]
    compilers: Mapping[str, str] = field(default_factory=dict)  # runtime -> CPython release, "3.12.15"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A CPython on this machine, or in the build container."""

    executable: Path | None  # None: the container's
    release: str  # "3.12.15"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The unit of work: one locked distribution, or one layer's own source, for one target."""

    key: str  # its content's address: a digest of all that decides its bytes
    label: str  # "flask 3.1.3" or "layers/lambda-wsgi"
    content: str  # digest of what goes in: the pin, or the source's files
    target: Target
    bytecode: Bytecode
    prune: frozenset[Prune]
    compiler: Interpreter | None
    environment: Environment = Environment()
    pin: Pin | None = None
    source: Path | None = None  # a folder below `project`
    project: Path = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """One file of a layer: its path below python/ (or below `top`), and its bytes or the file that has them."""

    path: str
    content: Path | bytes
    top: str = "python"

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Origin:
    """Who made a part."""

    builder: str = "host"  # or "wheels", "container"; the host alone packs own source
    image: str = ""  # of the container
    digest: str = ""  # of the image
    sdist: bool = False  # True: built from the source distribution, not from a wheel of the index


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """What a built part says of itself."""

    label: str
    name: str = ""  # distribution; empty for own source
    version: str = ""
    license: str = ""
    size: int = 0  # bytes unzipped
    uncompiled: tuple[str, ...] = ()  # modules that the compiler refused (templates, other syntax)
    origin: Origin = Origin()
    libraries: tuple[str, ...] = ()  # shared libraries that were packed to lib/


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerArchive:
    """A layer's zip, for one target."""

    layer: Layer
    target: Target
    file: str  # name inside the output folder
    inputs: str  # digest of all that decided its bytes
    size: int  # bytes of the zip
    unzipped_size: int
    sha256: str  # hex
    parts: tuple[PartRecord, ...]
    compiler: str  # CPython release; empty: no bytecode inside
