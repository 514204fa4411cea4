"""GitHub's expressions, as far as workflows here use them; what they do not know fails instead of being empty.

The language: https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(\d+)|([A-Za-z_][\w-]*(?:\.[\w-]+)*)|(&&|\|\||==|!=|!|\(|\)|,))")
STATUS = re.compile(r"\b(success|failure|cancelled|always)\s*\(")
OPEN = ("inputs", "vars", "secrets", "matrix", "needs", "steps")  # what is not in these is an empty value
Functions = Mapping[str, Callable[..., Any]]


class Unknown(Exception):
    """The expression is none, or has in it what this evaluator does not know."""


def evaluate(text: str, contexts: Mapping[str, Any], functions: Functions) -> Any:
    """The value of what stands between ${{ and }}."""
    return _Parser(text, contexts, functions).whole()


def filled(value: Any, contexts: Mapping[str, Any], functions: Functions) -> Any:
    """`value` with its expressions replaced, in texts, lists and mappings; texts stay texts."""
    if isinstance(value, dict):
        return {key: filled(one, contexts, functions) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, contexts, functions) for one in value]
    if not isinstance(value, str):
        return value
    return re.sub(
        r"\$\{\{(.*?)\}\}", lambda found: text(evaluate(found[1], contexts, functions)), value, flags=re.DOTALL
    )


def condition(value: Any, contexts: Mapping[str, Any], functions: Functions) -> bool:
    """Whether an `if:` holds: without a status function in it, success() is required as well."""
    if value is None:
        return bool(functions["success"]())
    inner = str(value).strip()
    whole = re.fullmatch(r"\$\{\{(.*)\}\}", inner, re.DOTALL)
    inner = whole[1] if whole else inner
    return (bool(STATUS.search(inner)) or bool(functions["success"]())) and truth(
        evaluate(inner, contexts, functions)
    )


def text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def truth(value: Any) -> bool:
    return value not in (None, False, 0, "")


def _same(one: Any, other: Any) -> bool:
    """Texts are the same whatever their case; a text is never the same as something else, which GitHub casts."""
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return (one or 0) == (other or 0) if not isinstance(one, str) and not isinstance(other, str) else False


class _Parser:
    def __init__(self, source: str, contexts: Mapping[str, Any], functions: Functions) -> None:
        self.source, self.contexts, self.functions = source, contexts, functions
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while source[at:].strip():
            found = TOKEN.match(source, at)
            if not found:
                raise Unknown(f"{source!r} at {source[at:]!r}")
            kinds = ("text", "number", "name", "sign")
            self.tokens.append(next((kind, part) for kind, part in zip(kinds, found.groups(), strict=True) if part))
            at = found.end()

    def whole(self) -> Any:
        value = self._or()
        if self.tokens:
            raise Unknown(f"{self.source!r}: {self.tokens}")
        return value

    def _taken(self, *signs: str) -> str:
        if self.tokens and self.tokens[0] in [("sign", sign) for sign in signs]:
            return self.tokens.pop(0)[1]
        return ""

    def _or(self) -> Any:
        value = self._and()
        while self._taken("||"):
            other = self._and()
            value = value if truth(value) else other
        return value

    def _and(self) -> Any:
        value = self._equal()
        while self._taken("&&"):
            other = self._equal()
            value = other if truth(value) else value
        return value

    def _equal(self) -> Any:
        value = self._not()
        while sign := self._taken("==", "!="):
            value = _same(value, self._not()) == (sign == "==")
        return value

    def _not(self) -> Any:
        return not truth(self._not()) if self._taken("!") else self._one()

    def _one(self) -> Any:
        if self._taken("("):
            value = self._or()
            if not self._taken(")"):
                raise Unknown(f"{self.source!r}: no )")
            return value
        if not self.tokens or self.tokens[0][0] == "sign":
            raise Unknown(f"{self.source!r}: {self.tokens}")
        kind, part = self.tokens.pop(0)
        if kind == "text":
            return part[1:-1].replace("''", "'")
        if kind == "number":
            return int(part)
        if self._taken("("):
            return self._called(part)
        return {"true": True, "false": False, "null": None}[part] if part in WORDS else self._found(part)

    def _called(self, name: str) -> Any:
        arguments: list[Any] = []
        while not self._taken(")"):
            arguments.append(self._or())
            self._taken(",")
        if name not in self.functions:
            raise Unknown(f"{self.source!r}: no function {name}")
        return self.functions[name](*arguments)

    def _found(self, path: str) -> Any:
        first, *rest = path.split(".")
        value: Any = self.contexts
        for part in (first, *rest):
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif first in OPEN and part != first:
                return None
            else:
                raise Unknown(f"{self.source!r}: no {part}")
        return value


WORDS = ("true", "false", "null")
