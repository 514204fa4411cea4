"""Words of `--layers` -> layers: keys of layers.yaml, names in AWS, either with a version, and ARNs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from layerkit.config import NAME
from layerkit.errors import ConfigError
from layerkit.model import Layer
from layerkit.publishing import ACCOUNT, REGION

ARN = re.compile(
    rf"(?P<layer>arn:[a-z0-9-]+:lambda:(?P<region>{REGION}):(?P<account>{ACCOUNT}):layer:(?P<name>{NAME}))"
    r"(:(?P<version>[1-9][0-9]*))?"
)
WORD = re.compile(rf"(?P<name>{NAME})(:(?P<version>[1-9][0-9]*))?")
CURE = "for instance --layers flask,serverless-wsgi:7, or an ARN with its version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A layer as it was named."""

    word: str
    name: str  # in AWS; the ARN without a version where that was given
    key: str = ""  # in layers.yaml; empty: it is not declared there
    version: int = 0  # 0: the fitting one is looked for
    region: str = ""  # of an ARN


# What a function has may also be of another form (arn:aws:lambda:::awslayer:NAME, botocore: LayerVersionArn), which
# has no version: it is a layer by itself, and stays as it is.


def layer_of(arn: str) -> str:
    """The layer's ARN of a layer version's one."""
    found = ARN.fullmatch(arn)
    return found["layer"] if found else arn


def name_of(arn: str) -> str:
    """The layer's name of a layer version's ARN."""
    found = ARN.fullmatch(arn)
    return found["name"] if found else arn.rpartition(":")[2]


def number_of(arn: str) -> int:
    """The version of a layer version's ARN; 0 where it has none."""
    found = ARN.fullmatch(arn)
    return int(found["version"] or 0) if found else 0


def region_of(arn: str) -> str:
    return arn.split(":")[3]


def account_of(arn: str) -> str:
    return arn.split(":")[4]


def references(given: Sequence[str], declared: Mapping[str, Layer]) -> list[Reference]:
    """The layers that are named, each once, in their order; also with commas or blanks between them.

    A word that is a key of layers.yaml is that layer, even if another one has it for its name in AWS.  Raises
    ConfigError with every word that cannot be one, and when there is none.
    """
    words = list(dict.fromkeys(word for value in given for word in re.split(r"[,\s]+", value) if word))
    if not words:  # --layers "$UNSET"
        raise ConfigError("names no layer", where="--layers", cure=CURE)
    found: list[Reference] = []
    wrong: list[str] = []
    for word in words:
        one = _reference(word, declared)
        if isinstance(one, str):
            wrong.append(one)
        else:
            found.append(one)
    if wrong:
        raise ConfigError("not all of these name a layer", where="--layers", why="\n".join(wrong), cure=CURE)
    return found


def _reference(word: str, declared: Mapping[str, Layer]) -> Reference | str:
    """The layer, or what is wrong with the word."""
    if match := ARN.fullmatch(word):
        if not match["version"]:
            return f"{word!r} is a layer's ARN without the version"
        return Reference(word=word, name=match["layer"], version=int(match["version"]), region=match["region"])
    match = WORD.fullmatch(word)
    if not match:
        return f"{word!r} is no layer's name, and no layer version's ARN"
    name, version = match["name"], int(match["version"] or 0)
    by_name = {layer.name: key for key, layer in declared.items()}
    key = name if name in declared else by_name.get(name, "")
    return Reference(word=word, name=declared[key].name if key else name, key=key, version=version)
