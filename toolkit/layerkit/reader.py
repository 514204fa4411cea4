"""YAML with places: typed getters that note every mistake, with line and path, and go on.

A getter that finds a mistake notes it and returns an empty value; the caller reads on and looks at the notes
once, at the end.  So all mistakes of a file are told at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import yaml

from layerkit.errors import ConfigError, Problem

Loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
T = TypeVar("T")
NULL = "tag:yaml.org,2002:null"
TEXT = "tag:yaml.org,2002:str"


@dataclass(slots=True)
class Notes:
    """The mistakes found so far; one that is met again (a default, read for each layer) counts once."""

    problems: dict[Problem, None] = field(default_factory=dict)


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)` for the known word that is closest, else all of them."""
    words = list(known)
    close = difflib.get_close_matches(word.lower(), [w.lower() for w in words], n=1, cutoff=0.6)
    if close:
        return f"; did you mean {next(w for w in words if w.lower() == close[0])!r}?"
    return f"; known: {', '.join(words)}" if words else ""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the file, its path and where to note mistakes."""

    node: yaml.Node
    path: str
    notes: Notes

    @property
    def line(self) -> int:
        return int(self.node.start_mark.line) + 1

    @property
    def raw(self) -> str:
        """The scalar as it is written in the file; "" for a list or mapping."""
        return self.node.value if isinstance(self.node, yaml.ScalarNode) else ""

    def wrong(self, message: str) -> None:
        self.notes.problems[Problem(line=self.line, path=self.path, message=message)] = None

    def kind(self) -> str:
        if isinstance(self.node, yaml.ScalarNode):
            name = self.node.tag.rpartition(":")[2]
            names = {
                "str": "text",
                "int": "a number",
                "float": "a number",
                "bool": "a yes/no value",
                "null": "nothing",
            }
            kind = names.get(name, f"a {name}")
            return kind if name == "null" else f"{kind} ({self.raw})"
        return "a list" if isinstance(self.node, yaml.SequenceNode) else "a mapping"

    def entries(self, what: str = "a mapping") -> dict[str, Value]:
        """Key -> value of a mapping with free keys; notes duplicate keys and keys that are not text."""
        if not isinstance(self.node, yaml.MappingNode):
            self.wrong(f"must be {what}, not {self.kind()}")
            return {}
        found: dict[str, Value] = {}
        for key_node, node in self.node.value:
            key = Value(key_node, self.path, self.notes)
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != TEXT:
                key.wrong(f"a key must be text, not {key.kind()}")
                continue
            path = f"{self.path}.{key_node.value}" if self.path else str(key_node.value)
            if key_node.value in found:
                first = found[key_node.value].line
                Value(key_node, path, self.notes).wrong(
                    f"the key {key_node.value!r} is here twice (first on line {first})"
                )
                continue
            found[key_node.value] = Value(node, path, self.notes)
        return found

    def fields(self, known: Collection[str], *, hints: dict[str, str] | None = None) -> dict[str, Value]:
        """Key -> value of a mapping with these keys; an unknown one is noted with its nearest neighbour."""
        found = self.entries()
        for key in [key for key in found if key not in known]:
            value = found.pop(key)
            hint = (hints or {}).get(key)
            value.wrong(f"unknown key {key!r}" + (f"; {hint}" if hint else nearest(key, known)))
        return found

    def items(self, what: str) -> list[Value]:
        """The items of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            example = f": [{self.raw}]" if self.raw else ""
            self.wrong(f"must be a list of {what}{example}, not {self.kind()}")
            return []
        return [Value(node, f"{self.path}[{i}]", self.notes) for i, node in enumerate(self.node.value)]

    def text(self, what: str = "text", *, limit: int = 0, pattern: str = "", rule: str = "") -> str:
        """A text of at most `limit` characters that matches `pattern` whole (`rule` says it in words)."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag != TEXT:
            self.wrong(f"must be {what}, not {self.kind()}")
            return ""
        text = str(self.node.value)
        if limit and len(text) > limit:
            self.wrong(f"has {len(text)} characters; AWS takes at most {limit}")
        elif pattern and not re.fullmatch(pattern, text):
            self.wrong(f"{text!r} is not {what}" + (f": {rule}" if rule else ""))
            return ""
        return text

    def choice(self, choices: Collection[T], what: str) -> T | None:
        """One of these words (or StrEnum members)."""
        for choice in choices:
            if isinstance(self.node, yaml.ScalarNode) and self.raw == str(choice) and self.node.tag != NULL:
                return choice
        written = repr(self.raw) if self.raw else self.kind()
        self.wrong(f"{written} is not {what}" + nearest(self.raw, [str(choice) for choice in choices]))
        return None


def read(path: Path) -> Value:
    """The root of the YAML file at `path`.

    Raises ConfigError when it is missing, unreadable, not UTF-8, not YAML, or empty.
    """
    where = path.name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no {path.name} in {path.parent}",
            where=where,
            cure="layerkit init writes a starter file",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot be read", where=where, why=str(error)) from None
    try:
        node = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise ConfigError("is not YAML", where=where, problems=[_syntax(error)]) from None
    if node is None:
        raise ConfigError("is empty", where=where, cure="layerkit init, in an empty folder, writes a starter file")
    return Value(node, "", Notes())


def _syntax(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    words = ", ".join(filter(None, [getattr(error, "context", None), getattr(error, "problem", None)])) or str(error)
    return Problem(line=mark.line + 1 if mark else 1, path="", message=words)
