"""The ARNs as lines `name=value`: for a shell, a container, and the steps of a GitHub workflow."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from layerkit.arns.names import by_region, names, spelled
from layerkit.errors import ConfigError
from layerkit.publish.published import NAME, Entry

RESERVED = ("arns", "matrix")


def env(entries: Sequence[Entry]) -> str:
    """FLASK_LAYER_ARN=…, one region's, and LAYER_ARNS, all of them in their order with commas.

    No value needs quotes: docker --env-file used to take them for a part of it, and has no other escape
    (https://github.com/docker/cli/blob/master/pkg/kvfile/kvfile.go).
    LAYER_ARNS is left out where a layer is there for several targets: no function can use both.
    Raises ConfigError for several regions.
    """
    regions = by_region(entries)
    if len(regions) > 1:
        raise ConfigError(
            "an environment holds the ARNs of one region",
            where=NAME,
            why=f"published in: {', '.join(regions)}",
            cure=f"choose one, for instance --region {min(regions)}",
        )
    found = next(iter(regions.values()), {})
    spelling = spelled(found, _variable)
    lines = [f"{spelling[name]}={_plain(entry.arn)}" for name, entry in found.items()]
    if len({entry.layer for entry in found.values()}) == len(found):
        lines.append(f"LAYER_ARNS={','.join(entry.arn for entry in found.values())}")
    else:
        lines.append("# no LAYER_ARNS: a layer is here for several targets; choose with --runtime and --architecture")
    return "".join(f"{line}\n" for line in lines)


def github_output(entries: Sequence[Entry]) -> str:
    """Lines for $GITHUB_OUTPUT: a layer's ARN by name if there is one region, and two of JSON for any number.

    `arns` is {region: {name: ARN}}; `matrix` is {"include": [{"layer", "region", "arn", …}]} for strategy.matrix.
    The file's rules: https://github.com/actions/runner/blob/main/src/Runner.Worker/FileCommandManager.cs
    """
    regions = by_region(entries)
    spelling = spelled(names(regions.values()), _output, RESERVED)
    lines = []
    if len(regions) == 1:
        [found] = regions.values()
        lines = [f"{spelling[name]}={_plain(entry.arn)}" for name, entry in found.items()]
    arns = {region: {name: entry.arn for name, entry in found.items()} for region, found in regions.items()}
    matrix = [_job(region, name, entry) for region, found in regions.items() for name, entry in found.items()]
    for name, value in (("arns", arns), ("matrix", {"include": matrix})):
        lines.append(f"{name}={json.dumps(value, separators=(',', ':'))}")
    return "".join(f"{line}\n" for line in lines)


def _job(region: str, name: str, entry: Entry) -> dict[str, object]:
    return {
        "name": name,
        "layer": entry.layer,
        "region": region,
        "arn": entry.arn,
        "version": entry.version,
        "runtimes": list(entry.runtimes),
        "architectures": list(entry.architectures),
    }


def _variable(name: str) -> str:
    word = re.sub(r"[^A-Z0-9]", "_", name.upper())
    return f"{'_' if word[:1].isdigit() else ''}{word}_LAYER_ARN"


def _output(name: str) -> str:
    """An identifier of a workflow: it begins with a letter or _."""
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


def _plain(value: str) -> str:
    """A value that means itself in each of these files; ARNs do, and `published.read` lets nothing else in."""
    if not re.fullmatch(r"[A-Za-z0-9:_/-]*", value):
        raise ValueError(f"{value!r} is no ARN")
    return value
