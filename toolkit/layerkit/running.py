"""What layers.yaml says of running a function: its variables, how long it may take, and its memory."""

from __future__ import annotations

import json
import re

from layerkit import targets
from layerkit.model import Function
from layerkit.reader import Value

RUNNING = ("environment", "timeout", "memory")
VARIABLE = r"[a-zA-Z][a-zA-Z0-9_]+"  # botocore: EnvironmentVariableName
CONTENT = r"[^\x00]*"  # what a process can be given
LAYERS_OFF = "PYTHONPATH"  # where a function sets it, the runtime leaves its layers' folders out of the import path


def running(fields: dict[str, Value]) -> tuple[dict[str, str], int, int]:
    """A function's variables, its timeout in seconds and its memory in MB."""
    plain = Function(key="", layers=())
    return (
        _variables(fields["environment"]) if "environment" in fields else {},
        fields["timeout"].number(*timeouts()) if "timeout" in fields else plain.timeout,
        fields["memory"].number(*memories()) if "memory" in fields else plain.memory,
    )


def timeouts() -> tuple[int, int]:
    """The least and the most, in seconds."""
    return 1, targets.limit("timeout")


def memories() -> tuple[int, int]:
    """The least and the most, in MB."""
    return targets.limit("memory_least"), targets.limit("memory")


def _variables(value: Value) -> dict[str, str]:
    """No mistake shows a variable's text: it may be a secret."""
    found = {}
    for name, content in value.entries("a mapping of variables to their texts").items():
        kind = content.kind().partition(" (")[0]
        if name in targets.reserved_variables():
            content.wrong("is set by Lambda itself, and AWS refuses it here; take another name")
        elif not re.fullmatch(VARIABLE, name):
            content.wrong(
                "is not the name of a variable: AWS takes letters, digits and _, a letter first, two at least"
            )
        if kind == "nothing":
            content.wrong("must be text, not nothing; write '' for an empty one")
        elif kind != "text":
            content.wrong(
                f"must be text, not {kind}" + ("" if content.is_mapping or content.is_list else "; quote it")
            )
        elif not re.fullmatch(CONTENT, content.raw):
            content.wrong("holds a null character, which no variable can")
        else:
            found[name] = content.raw
    # as AWS measures them: where it refuses, it shows this JSON
    size = len(json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    most = targets.limit("environment_bytes")
    if size > most:
        value.wrong(f"has {size} bytes as JSON; AWS takes at most {most} for all variables of a function")
    return found
