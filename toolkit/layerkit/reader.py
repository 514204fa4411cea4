"""YAML with places: typed getters that note every mistake, with line and path, and go on.

A getter that finds a mistake notes it and returns an empty value; the caller reads on and looks at the notes
once, at the end.  So all mistakes of a file are told at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import yaml

from layerkit.errors import ConfigError, Problem

Loader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
T = TypeVar("T")
NULL = "tag:yaml.org,2002:null"
TEXT = "tag:yaml.org,2002:str"
INTEGER = "tag:yaml.org,2002:int"
FLAG = "tag:yaml.org,2002:bool"
MERGE = "tag:yaml.org,2002:merge"
DEEPEST = 100  # levels; PyYAML composes by recursion, and a file of a million brackets would end the process
KINDS = {"str": "text", "int": "a number", "float": "a number", "bool": "a yes/no value"}


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
    """One value of the file, its path, where to note mistakes, and its line (of an entry: the key's)."""

    node: yaml.Node
    path: str
    notes: Notes
    line: int

    @property
    def raw(self) -> str:
        """The scalar as it is written in the file; "" for a list or mapping."""
        return self.node.value if isinstance(self.node, yaml.ScalarNode) else ""

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        return isinstance(self.node, yaml.SequenceNode)

    @property
    def is_empty(self) -> bool:
        """A list or mapping with nothing in it."""
        return isinstance(self.node, yaml.CollectionNode) and not self.node.value

    def wrong(self, message: str) -> None:
        self.notes.problems[Problem(line=self.line, path=_shown(self.path), message=message)] = None

    def kind(self) -> str:
        if not isinstance(self.node, yaml.ScalarNode):
            return "a mapping" if self.is_mapping else "a list"
        if self.node.tag == NULL:
            return "nothing"
        if self.node.tag.startswith("!"):
            return f"a YAML tag ({_shown(self.node.tag)}); quote a text that begins with !"
        name = self.node.tag.rpartition(":")[2]
        return f"{KINDS.get(name, f'a {name}')} ({_shown(self.raw)})"

    def entries(self, what: str = "a mapping", *, empty: str = "") -> dict[str, Value]:
        """Key -> value of a mapping with free keys; notes duplicate keys, keys that are not text, and `empty`."""
        if not isinstance(self.node, yaml.MappingNode):
            self.wrong(f"must be {what}, not {self.kind()}")
            return {}
        if empty and self.is_empty:
            self.wrong(empty)
        found: dict[str, Value] = {}
        for key_node, node in self.node.value:
            key = Value(key_node, self.path, self.notes, _line(key_node))
            if key_node.tag == MERGE:
                key.wrong("<< is not read here; what several layers share stands under defaults")
            elif not isinstance(key_node, yaml.ScalarNode) or key_node.tag != TEXT:
                key.wrong(f"a key must be text, not {key.kind()}")
            else:
                path = f"{self.path}.{key.raw}" if self.path else key.raw
                value = Value(node, path, self.notes, key.line)
                if key.raw in found:
                    value.wrong(f"the key '{_shown(key.raw)}' is here twice (first on line {found[key.raw].line})")
                found.setdefault(key.raw, value)
        return found

    def fields(
        self, known: Collection[str], *, hints: Mapping[str, str] | None = None, empty: str = ""
    ) -> dict[str, Value]:
        """Key -> value of a mapping with these keys; an unknown one is noted with its nearest neighbour."""
        found = self.entries(empty=empty)
        for key in [key for key in found if key not in known]:
            value = found.pop(key)
            hint = (hints or {}).get(key)
            value.wrong(f"unknown key '{_shown(key)}'" + (f"; {hint}" if hint else nearest(key, known)))
        return found

    def items(self, what: str, *, empty: str = "", limit: int = 0, unique: bool = True) -> list[Value]:
        """The items of a list; notes `empty`, more than AWS's `limit`, and one that is here twice."""
        if not isinstance(self.node, yaml.SequenceNode):
            example = f": [{_shown(self.raw)}]" if self.raw and self.node.tag != NULL else ""
            self.wrong(f"must be a list of {what}{example}, not {self.kind()}")
            return []
        found = [Value(node, f"{self.path}[{i}]", self.notes, _line(node)) for i, node in enumerate(self.node.value)]
        if empty and self.is_empty:
            self.wrong(empty)
        if limit and len(found) > limit:
            self.wrong(f"has {len(found)} {what}; AWS takes at most {limit}")
        seen: set[str] = set()
        for item in found if unique else ():
            if item.raw and item.raw in seen:
                item.wrong(f"'{_shown(item.raw)}' is here twice")
            seen.add(item.raw)
        return found

    def text(self, what: str = "text", *, limit: int = 0, pattern: str = "", rule: str = "") -> str:
        """A text of at most `limit` characters that matches `pattern` whole (`rule` says it in words)."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag != TEXT:
            self.wrong(f"must be {what}, not {self.kind()}")
            return ""
        text = str(self.node.value)
        if limit and len(text) > limit:
            self.wrong(f"has {len(text)} characters; AWS takes at most {limit}")
        elif pattern and not re.fullmatch(pattern, text):
            self.wrong(f"'{_shown(text)}' is not {what}" + (f": {rule}" if rule else ""))
            return ""
        return text

    def number(self, least: int, most: int) -> int:
        """A whole number in this range, in plain digits: YAML takes 017, 0x1e, 1_0 and 1:30 for numbers, too."""
        if self.node.tag == INTEGER and re.fullmatch(r"[0-9]|[1-9][0-9]{1,8}", self.raw):
            number = int(self.raw)
            if least <= number <= most:
                return number
        plain = re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", self.raw)
        hint = "" if plain or not self.kind().startswith("a number") else "; write it in plain digits"
        self.wrong(f"must be a whole number from {least} to {most}, not {self.kind()}{hint}")
        return 0

    def flag(self) -> bool:
        """true or false, in any of YAML's spellings."""
        word = self.raw.lower()
        yes, no = word in ("true", "yes", "on"), word in ("false", "no", "off")
        if self.node.tag != FLAG or not (yes or no):
            hint = "; write true" if yes else "; write false" if no else ""
            self.wrong(f"must be true or false, not {self.kind()}{hint}")
        return yes

    def choice(self, choices: Collection[T], what: str, *, others: Mapping[str, T] | None = None) -> T | None:
        """One of these words (or StrEnum members); `others` are other people's words for them."""
        for choice in choices:
            if self.raw == str(choice) and self.node.tag == TEXT:
                return choice
        meant = (others or {}).get(self.raw.lower())
        written = f"'{_shown(self.raw)}'" if self.raw else self.kind()
        hint = f"; write {meant}" if meant else nearest(self.raw, [str(choice) for choice in choices])
        self.wrong(f"{written} is not {what}{hint}")
        return meant


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
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problem = Problem(line=line, path="", message=error.reason)
        raise ConfigError("is not UTF-8", where=where, problems=[problem]) from None
    except OSError as error:
        raise ConfigError("cannot be read", where=where, why=error.strerror or str(error)) from None
    try:
        _check_depth(text, where)
        node = yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise ConfigError("is not YAML", where=where, problems=[_syntax(error, text)]) from None
    if node is None:
        raise ConfigError("is empty", where=where, cure="layerkit init, in an empty folder, writes a starter file")
    return Value(node, "", Notes(), _line(node))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _shown(text: str) -> str:
    """`text` as it may stand in a message: printable, on one line, and not endless."""
    line = repr(text)[1:-1]
    return line if len(line) <= 150 else f"{line[:149]}…"


def _check_depth(text: str, where: str) -> None:
    """Raise ConfigError for what the composer would not survive."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            problem = Problem(line=line, path="", message=f"is nested more than {DEEPEST} levels deep")
            raise ConfigError("cannot be used", where=where, problems=[problem])


def _syntax(error: yaml.YAMLError, text: str) -> Problem:
    """PyYAML's words, and what to do where they alone help nobody."""
    if isinstance(error, yaml.reader.ReaderError):  # its position is in bytes or in characters, as the loader is
        bad = yaml.reader.Reader.NON_PRINTABLE.search(text)
        line = text.count("\n", 0, bad.start()) + 1 if bad else 1
        return Problem(line=line, path="", message=f"holds a character that YAML does not allow: {error.reason}")
    mark = getattr(error, "problem_mark", None)
    if not mark:
        return Problem(line=1, path="", message=str(error))
    words = ", ".join(filter(None, [getattr(error, "context", None), getattr(error, "problem", None)]))
    lines = text.splitlines()
    begins = lines[mark.line][mark.column :][:1] if mark.line < len(lines) else ""
    if begins == "\t":
        words += "; YAML is indented with spaces, not tabs"
    elif "start any token" in words:
        words += f"; quote a text that begins with {begins}"
    elif "scanning a tag" in words:
        words += "; quote a text that begins with !"
    elif "mapping values are not allowed" in words:
        words += "; quote a text that holds ': '"
    return Problem(line=mark.line + 1, path="", message=words)
