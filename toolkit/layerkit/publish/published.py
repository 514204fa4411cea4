"""dist/published.json: which version of each layer is published where, for people, tools and the next run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerkit import strict
from layerkit.config import KEY
from layerkit.config import NAME as LAYER_NAME
from layerkit.files import turn, write_atomically
from layerkit.model import Share
from layerkit.publishing import ACCOUNT, ORGANIZATION, REGION

NAME = "published.json"
SCHEMA_VERSION = 1
ARN = (
    r"arn:[a-z0-9-]+:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]{1,140}:[1-9][0-9]*"  # botocore: LayerVersionArn
)
WORD = r"[A-Za-z0-9._-]+"  # a runtime or an architecture as AWS spells it
HASH = r"[A-Za-z0-9+/]{43}="  # base64 of a SHA-256
FIELDS = (
    *("layer", "name", "account", "region", "version", "arn", "runtimes", "architectures", "tagged", "code_sha256"),
    *("size", "description", "license", "created", "share", "parameters"),
)
SHARE = ("public", "accounts", "organization")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A layer version in one region of one account."""

    layer: str  # the key in layers.yaml
    name: str  # the layer's in AWS
    account: str
    region: str
    version: int
    arn: str
    runtimes: tuple[str, ...]  # that the zip is for, sorted
    architectures: tuple[str, ...]  # that the zip is for, sorted
    code_sha256: str  # base64, as AWS gives it
    share: Share
    tagged: bool = True  # False: the region refused architecture tags
    size: int = 0  # bytes of the zip
    description: str = ""
    license: str = ""
    created: str = ""  # ISO 8601, as AWS writes it
    parameters: tuple[str, ...] = ()  # names of the SSM parameters that were written

    @property
    def key(self) -> tuple[str, tuple[str, ...], tuple[str, ...], str, str]:
        """What there is one entry of; also the order in the file."""
        return self.layer, self.runtimes, self.architectures, self.account, self.region

    @property
    def place(self) -> tuple[str, str, str]:
        return self.layer, self.account, self.region

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Each runtime with each architecture; an empty word where the zip is for none in particular."""
        return [(runtime, machine) for runtime in self.runtimes or ("",) for machine in self.architectures or ("",)]


def read(folder: Path) -> list[Entry]:
    """What `folder`'s published.json says, in its fixed order; nothing where there is none.

    Raises ContentError for a file that is damaged or of a newer layerkit: what others deploy from is never
    taken for an empty file.
    """
    cure = (
        "restore it, for instance from version control; or delete it and run layerkit publish again: "
        "what is published is found in AWS, and nothing is published twice"
    )
    return strict.read(folder / NAME, _parse, [], cure=cure)


def render(entries: Collection[Entry]) -> bytes:
    """published.json: nothing in it depends on the machine or the time, but what AWS said of each version."""
    layers = [_written(entry) for entry in sorted(entries, key=lambda entry: entry.key)]
    return (json.dumps({"schema_version": SCHEMA_VERSION, "layers": layers}, indent=2) + "\n").encode()


Targets = Mapping[str, Collection[tuple[str, str]]]  # a layer's key -> runtimes and architectures it is declared for


def update(folder: Path, entries: Sequence[Entry], *, declared: Targets) -> None:
    """Bring `folder`'s published.json to what a run has published or found.

    `declared` is what layers.yaml has.  Two processes take turns, also with `layerkit build`; a reader sees the
    old file or the new one; nothing is written when nothing changes.  Raises ContentError as `read` does, and
    MachineError for a full disk or a folder that may not be written: the old file is then as it was.
    """
    folder = folder.resolve()
    with turn(folder):
        for left in folder.glob(f".{NAME}.*"):
            left.unlink(missing_ok=True)  # of a killed process: the lock says that none is at work
        before = read(folder)
        after = merged(before, entries, declared)
        if after != before:
            content = render(after)
            _parse(content)  # an entry that could not be read again is a defect, and must not spoil the file
            write_atomically(folder / NAME, content)


def merged(before: Sequence[Entry], new: Sequence[Entry], declared: Targets) -> list[Entry]:
    """`before` with what is new in it, and without what that has replaced, in the file's order.

    Of an account that is published to, layers go that are declared no longer.  Of a layer in a region, an entry goes
    when the new ones have all its targets that are still declared: now one zip for both architectures where there was
    one for each, or the other way about, or for one alone.
    """
    accounts = {entry.account for entry in new}
    places: dict[tuple[str, str, str], set[tuple[str, str]]] = {}
    for entry in new:
        places.setdefault(entry.place, set()).update(entry.targets)

    def stays(old: Entry) -> bool:
        if old.account in accounts and old.layer not in declared:
            return False
        if old.place not in places:
            return True
        still = [target for target in old.targets if any(_covers(one, target) for one in declared.get(old.layer, ()))]
        return not all(any(_covers(has, wanted) for has in places[old.place]) for wanted in still)

    kept = {entry.key: entry for entry in before if stays(entry)} | {entry.key: entry for entry in new}
    return sorted(kept.values(), key=lambda entry: entry.key)


def _covers(has: tuple[str, str], wanted: tuple[str, str]) -> bool:
    return all(want in ("", have) for have, want in zip(has, wanted, strict=True))


def _written(entry: Entry) -> dict[str, Any]:
    share = {
        "public": entry.share.public,
        "accounts": list(entry.share.accounts),
        "organization": entry.share.organization or None,
    }
    values = {name: getattr(entry, name) for name in FIELDS}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()} | {
        "share": share
    }


def _parse(content: bytes) -> list[Entry]:
    fields = strict.document(content, SCHEMA_VERSION, ["layers"])
    entries = [_entry(item, f"layers[{at}]") for at, item in enumerate(strict.items(fields["layers"], "layers"))]
    seen: dict[tuple[Any, ...], int] = {}
    for at, entry in enumerate(entries):
        if seen.setdefault(entry.key, at) != at:
            raise strict.Wrong(
                f"layers[{at}]: is the same layer, targets, account and region as layers[{seen[entry.key]}]"
            )
    return sorted(entries, key=lambda entry: entry.key)


def _entry(value: object, path: str) -> Entry:
    found = strict.fields(value, path, FIELDS)
    share = strict.fields(found["share"], f"{path}.share", SHARE)
    organization = share["organization"]

    def text(name: str, pattern: str = "") -> str:
        return strict.text(found[name], f"{path}.{name}", pattern)

    def texts(of: dict[str, Any], name: str, pattern: str = "", below: str = "") -> tuple[str, ...]:
        where = f"{path}{below}.{name}"
        return tuple(
            strict.text(item, f"{where}[{at}]", pattern) for at, item in enumerate(strict.items(of[name], where))
        )

    entry = Entry(
        layer=text("layer", KEY),
        name=text("name", LAYER_NAME),
        account=text("account", ACCOUNT),
        region=text("region", REGION),
        version=strict.number(found["version"], f"{path}.version", least=1),
        arn=text("arn", ARN),
        runtimes=texts(found, "runtimes", WORD),
        architectures=texts(found, "architectures", WORD),
        tagged=strict.flag(found["tagged"], f"{path}.tagged"),
        code_sha256=text("code_sha256", HASH),
        size=strict.number(found["size"], f"{path}.size", least=0),
        description=text("description"),
        license=text("license"),
        created=text("created"),
        share=Share(
            public=strict.flag(share["public"], f"{path}.share.public"),
            accounts=texts(share, "accounts", ACCOUNT, ".share"),
            organization=""
            if organization is None
            else strict.text(organization, f"{path}.share.organization", ORGANIZATION),
        ),
        parameters=texts(found, "parameters"),
    )
    told = f":lambda:{entry.region}:{entry.account}:layer:{entry.name}:{entry.version}"
    if not entry.arn.endswith(told):
        raise strict.Wrong(f"{path}.arn: {entry.arn!r} is not of the region, account, name and version beside it")
    return entry
