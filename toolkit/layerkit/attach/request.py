"""What the command line asks of `attach`: which function, which layers, and what follows the update."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from layerkit.aws.pace import DEFAULT_RATE
from layerkit.errors import ConfigError
from layerkit.publishing import ACCOUNT, REGION

WAIT = 300.0  # seconds
NAME = r"[A-Za-z0-9_-]{1,64}"  # botocore: FunctionName, without its ARN forms
ALIAS = r"(?![0-9]+$)[A-Za-z0-9_-]{1,128}"  # botocore: Alias
FUNCTION_ARN = re.compile(
    rf"arn:[a-z0-9-]+:lambda:(?P<region>{REGION}):(?P<account>{ACCOUNT}):function:(?P<name>{NAME})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachRequest:
    """What the command line asks of `attach`."""

    function: str  # its name in AWS, or its ARN
    file: Path  # layers.yaml
    output: Path  # the folder of published.json and attached.json
    layers: tuple[str, ...] = ()  # empty: those of layers.yaml's functions
    regions: tuple[str, ...] = ()
    publish_version: bool = False
    alias: str = ""
    dry_run: bool = False
    rollback: bool = False
    wait: float = WAIT  # seconds for each of: the function is ready, its update is done, its version is active
    rate: float = DEFAULT_RATE  # calls per second


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionName:
    """A function, and what its ARN tells; both empty where it was named without one."""

    name: str
    region: str = ""
    account: str = ""


def alias_name(word: str) -> str:
    """Raises ConfigError for what cannot be an alias: an empty one (--alias "$UNSET") must not be taken for none."""
    if re.fullmatch(ALIAS, word):
        return word
    why = "an alias has letters, digits, - and _, at most 128, and not digits alone"
    raise ConfigError(f"{word!r} is no alias's name", where="--alias", why=why, cure="for instance --alias live")


def function_name(word: str) -> FunctionName:
    """Raises ConfigError for what is neither a function's name nor its ARN, and for an ARN of a version or alias."""
    if re.fullmatch(NAME, word):
        return FunctionName(name=word)
    found = FUNCTION_ARN.match(word)
    if found and found.end() == len(word):
        return FunctionName(name=found["name"], region=found["region"], account=found["account"])
    if found and word[found.end()] == ":":
        raise ConfigError(
            "is the ARN of a version or an alias; layers are set on the function, and a version never changes",
            where=word,
            cure=f"name the function, and the alias beside it: layerkit attach {found['name']} --alias NAME",
        )
    raise ConfigError(
        "is not the name of a function, nor its ARN",
        where=word or "FUNCTION",
        why="a name has letters, digits, - and _, at most 64",
        cure="aws lambda list-functions --query 'Functions[].FunctionName' says which there are",
    )
