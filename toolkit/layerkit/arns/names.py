"""What a published layer is called in the forms that are looked up by name: one rule for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from layerkit.errors import ConfigError
from layerkit.publish.published import NAME, Entry


def by_region(entries: Sequence[Entry]) -> dict[str, dict[str, Entry]]:
    """region -> name -> entry: regions sorted, names in the entries' order.

    A layer's name is its key in layers.yaml.  Where the entries have it for several targets, the target follows:
    `flask-python312-arm64`, without a dot, since Serverless and JavaScript take a dot for a step into an object.
    Raises ConfigError when two entries would have one name.
    """
    targets: dict[str, set[object]] = {}
    for entry in entries:
        targets.setdefault(entry.layer, set()).add((entry.runtimes, entry.architectures))
    found: dict[str, dict[str, Entry]] = {region: {} for region in sorted({entry.region for entry in entries})}
    for entry in entries:
        several = len(targets[entry.layer]) > 1
        target = [*entry.runtimes, *entry.architectures] if several else []
        name = "-".join([entry.layer, *target]).replace(".", "")
        first = found[entry.region].setdefault(name, entry)
        if first is not entry:
            raise _twice(first, entry, name)
    return found


def names(found: Iterable[Iterable[str]]) -> list[str]:
    """All names of all regions, each once."""
    return list(dict.fromkeys(name for region in found for name in region))


def spelled(names: Iterable[str], spelling: Callable[[str], str], reserved: Iterable[str] = ()) -> dict[str, str]:
    """name -> its spelling where not all letters may be used.

    Raises ConfigError when two are spelled alike, or but for upper and lower case, which GitHub does not tell apart.
    """
    found: dict[str, str] = {}
    taken = {word.lower(): "" for word in reserved}
    for name in names:
        word = found[name] = spelling(name)
        other = taken.setdefault(word.lower(), name)
        if other != name:
            both = f"{name!r} and {repr(other) if other else 'something else'}"
            cure = "name the layers that are wanted, or use --format json"
            raise ConfigError(f"{both} would both be called {word!r} in this form", where=NAME, cure=cure)
    return found


def _twice(one: Entry, other: Entry, name: str) -> ConfigError:
    if one.account != other.account:
        accounts = " and ".join(sorted((one.account, other.account)))
        words = f"the layer {one.layer!r} is published in the accounts {accounts}"
        return ConfigError(words, where=NAME, cure=f"choose one, for instance --account {one.account}")
    words = f"the layers {one.layer!r} and {other.layer!r} would both be called {name!r}"
    return ConfigError(words, where=NAME, cure="name the layers that are wanted, or use --format table")
