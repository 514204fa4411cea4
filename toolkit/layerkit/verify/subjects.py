"""What is verified: a zip and what is declared of it; a function and the layers that it attaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from layerkit.model import Target
from layerkit.verify.facts import Entry, ZipFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A layer's zip, and what is declared of it."""

    facts: ZipFacts
    targets: tuple[Target, ...]  # what it is declared for; not empty
    used: tuple[ZipFacts, ...] = ()  # zips of the layers that are attached before it, in their order
    imports: tuple[str, ...] | None = None  # modules that must import; None: all at the top
    licenses: tuple[str, ...] | None = None  # the allow list; None: any
    waivers: Mapping[str, str] = field(default_factory=dict)  # id of a rule -> reason

    @property
    def together(self) -> tuple[ZipFacts, ...]:
        """All zips that are in /opt when this one is, in their order."""
        return (*self.used, self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSubject:
    """A function of layers.yaml with its layers' zips for one target, in the order in which Lambda unpacks them."""

    name: str
    target: Target
    layers: tuple[ZipFacts, ...]
    source: tuple[Entry, ...] = ()  # files of its own folder, paths below /var/task
    handler: str = ""  # "module.function"; "" where it is not declared
    waivers: Mapping[str, str] = field(default_factory=dict)


def is_import_root(path: str) -> bool:
    """True of python/ and python/lib/pythonX.Y/site-packages."""
    parts = path.split("/")
    return parts == ["python"] or (
        len(parts) == 4 and parts[:2] == ["python", "lib"] and parts[2].startswith("python3.") and parts[3] == SITE
    )


def roots(target: Target) -> tuple[str, ...]:
    """Folders of a layer that the runtime puts on sys.path, in their order there."""
    return f"python/lib/python{target.python}/{SITE}", "python"


def importable(facts: ZipFacts, target: Target) -> Iterator[tuple[str, Entry]]:
    """(path below the import root, entry) of all files that the runtime of `target` can import from."""
    site, top = (f"{root}/" for root in roots(target))
    for entry in facts.files:
        if entry.path.startswith(site):
            yield entry.path.removeprefix(site), entry
        elif entry.path.startswith(top) and not entry.path.startswith("python/lib/python3."):
            yield entry.path.removeprefix(top), entry


SITE = "site-packages"
