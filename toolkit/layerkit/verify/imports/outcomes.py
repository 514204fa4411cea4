"""What an import check is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from layerkit.model import Target

Status = Literal["passed", "failed", "not run"]
PlaceName = Literal["auto", "host", "container", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Modules to import with these zips in /opt, as a function of the target would."""

    label: str  # what findings call it
    target: Target
    zips: tuple[Path, ...]  # in Lambda's order: the last one wins
    modules: tuple[str, ...]
    source: Path | None = None  # a function's own folder: /var/task
    handler: str = ""  # "main.handler": its module is imported, and the attribute looked up
    environment: Mapping[str, str] = field(default_factory=dict)  # the function's own variables

    @property
    def handler_module(self) -> str:
        """As Lambda finds it: a slash stands for a dot."""
        return self.handler.rpartition(".")[0].replace("/", ".") or self.handler

    @property
    def items(self) -> tuple[tuple[str, str], ...]:
        """(module, handler) of everything to import, each module once."""
        with_handler = ((self.handler_module, self.handler),) if self.handler else ()
        plain = dict.fromkeys(name for name in self.modules if not self.handler or name != self.handler_module)
        return (*((name, "") for name in plain), *with_handler)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleResult:
    """What became of one module."""

    module: str
    error: str = ""  # "" = it passed; else "ImportError: …", one line
    trace: tuple[str, ...] = ()  # the last lines, with paths as in Lambda
    missing: str = ""  # the module that is not there, if that is why
    optional: str = ""  # why it may fail: a clause that names the extra that is not installed
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one task.  `why` says what kept it, or a part of it, from being run."""

    task: Task
    where: str = ""  # "this machine (CPython 3.12.1, mount namespace)"
    why: str = ""
    results: tuple[ModuleResult, ...] = ()
    unlike: tuple[str, ...] = ()  # what differs from Lambda there

    @property
    def status(self) -> Status:
        if any(result.error and not result.optional for result in self.results):
            return "failed"
        return "not run" if self.why or not self.results else "passed"
