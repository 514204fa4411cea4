"""Which of the published ARNs are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from layerkit.errors import ConfigError, ContentError
from layerkit.publish.published import NAME, Entry
from layerkit.reader import nearest


def select(
    entries: Sequence[Entry],
    *,
    layers: Sequence[str] = (),
    regions: Sequence[str] = (),
    runtimes: Collection[str] = (),
    architectures: Collection[str] = (),
    account: str = "",
    order: Sequence[str] = (),
) -> list[Entry]:
    """The entries of these layers (keys, or names in AWS), regions, targets and account; empty: of all.

    They come in the order in which the layers are named, else in `order` (the keys of layers.yaml), then by region.
    Raises ContentError when nothing is published, and ConfigError for what is not: a layer, a region, a target, an
    account, or one of the named layers in one of the named regions.
    """
    if not entries:
        raise ContentError("names no published layer", where=NAME, cure="layerkit publish")
    names = {entry.name: entry.layer for entry in entries} | {entry.layer: entry.layer for entry in entries}
    _check("layer", layers, names)
    _check("region", regions, {entry.region for entry in entries})
    _check("runtime", runtimes, {runtime for entry in entries for runtime in entry.runtimes})
    _check("architecture", architectures, {machine for entry in entries for machine in entry.architectures})
    _check("account", [account] if account else [], {entry.account for entry in entries})
    wanted = list(dict.fromkeys(names[name] for name in layers))
    chosen = [
        entry
        for entry in entries
        if (not wanted or entry.layer in wanted)
        and (not regions or entry.region in regions)
        and (not runtimes or set(runtimes) & set(entry.runtimes))
        and (not architectures or set(architectures) & set(entry.architectures))
        and account in ("", entry.account)
    ]
    _check_holes(chosen, wanted, regions)
    places = {key: at for at, key in enumerate(wanted or order)}
    return sorted(chosen, key=lambda entry: (places.get(entry.layer, len(places)), entry.key))


def _check(kind: str, given: Iterable[str], known: Collection[str]) -> None:
    for word in given:
        if word not in known:
            words = f"nothing is published for the {kind} {word!r}{nearest(word, sorted(known))}"
            raise ConfigError(words, where=NAME, cure="layerkit publish adds to this file what it publishes")


def _check_holes(chosen: Sequence[Entry], layers: Sequence[str], regions: Sequence[str]) -> None:
    """What is asked for by name must be there: a file with a hole in it breaks a deployment, and much later."""
    for layer in layers or [""]:
        for region in regions or [""]:
            if not any(layer in ("", entry.layer) and region in ("", entry.region) for entry in chosen):
                what = f"layer {layer!r} is" if layer else "no layer is"
                words = (
                    f"{what}{' not' if layer else ''} published{f' in {region}' if region else ''} as it is asked for"
                )
                cure = " ".join(["layerkit publish", *filter(None, [layer, region and f"--region {region}"])])
                raise ConfigError(words, where=NAME, cure=cure)
