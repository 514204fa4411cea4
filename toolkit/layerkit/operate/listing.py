"""What is published, as a person and as a program read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from layerkit.console import size
from layerkit.errors import DonePartly, LayerkitError, OperationFailed
from layerkit.operate import report
from layerkit.operate.request import Wanted
from layerkit.operate.results import Listed, Listing, RegionListing
from layerkit.operate.uses import Hold, words

SCHEMA_VERSION = 1
HEAD = ("region", "layer", "version", "made", "runtimes", "architectures", "size", "who holds it")


def table(listing: Listing) -> str:
    """Aligned columns, and the code storage of each region; nothing in it depends on the terminal."""
    rows = [HEAD, *(row for region in listing.regions for row in _rows(region))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    rooms = [f"{one.region}: {report.storage(one.room)}" for one in listing.regions if one.room]
    return "\n".join([*lines, *([""] if rooms else []), *rooms]) + "\n"


def problems(listing: Listing) -> Iterator[str]:
    """What could not be read, with what to do about it, a line for each."""
    for region in listing.regions:
        for one in (region.failure,) if region.failure else region.lacks:
            yield f"{region.region}: {one.what}{f' (to do: {one.cure})' if one.cure else ''}"


def failure(listing: Listing) -> type[LayerkitError] | None:
    """The error that the process ends with: None when everything was read; else whether some of it was."""
    if not any(one.failure or one.lacks for one in listing.regions):
        return None
    return OperationFailed if all(one.failure for one in listing.regions) else DonePartly


def as_json(listing: Listing) -> dict[str, Any]:
    """Everything, for a program.  Sizes in bytes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "ok": failure(listing) is None,
        "account": listing.account,
        "regions": [
            {
                "region": region.region,
                "failure": region.failure.what if region.failure else None,
                "cure": region.failure.cure if region.failure else None,
                "not_read": [{"what": one.what, "cure": one.cure or None} for one in region.lacks],
                "storage": report.room(region.room),
                "layers": [
                    {"layer": layer.key or None, "name": layer.name, "versions": list(map(_version, versions))}
                    for layer, versions in region.layers
                ],
            }
            for region in listing.regions
        ],
    }


def _rows(region: RegionListing) -> Iterator[tuple[str, ...]]:
    for layer, versions in region.layers:
        if not versions:
            yield (region.region, layer.name, "none", *[""] * (len(HEAD) - 3))
        yield from (_row(region, layer, one) for one in versions)


def _row(region: RegionListing, layer: Wanted, one: Listed) -> tuple[str, ...]:
    version = one.version
    held = (["is the newest"] if one.newest else []) + words(one.holds)
    return (
        region.region,
        layer.name,
        str(version.version),
        version.created[:10] or "-",
        ", ".join(version.runtimes) or "-",
        ", ".join(version.architectures) or "-",
        size(one.size) if one.size else "-",
        "; ".join(held) or ("not known" if region.blind else "nobody known"),
    )


def _version(one: Listed) -> dict[str, Any]:
    return {
        **report.version(one.version),
        "size": one.size or None,
        "newest": one.newest,
        "holds": list(map(_hold, one.holds)),
    }


def _hold(one: Hold) -> dict[str, Any]:
    versions = [{"version": qualifier.version, "aliases": list(qualifier.aliases)} for qualifier in one.qualifiers]
    return {"kind": one.kind.value, "who": one.who, "versions": versions}
