"""The expected failures: what happened, where, why, what to do next, and the process's exit code.

Everything a user can cause or cure is one of these; `cli` catches them in one place and prints them without
a traceback.  Any other exception is a defect of layerkit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class LayerkitError(Exception):
    """An expected failure.

    `what` is one sentence; `where` a file, layer or distribution; `why` the other side's own words, possibly
    several lines; `cure` what to do next, with the command where there is one.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", why: str = "", cure: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.why, self.cure = what, where, why, cure

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        lines += [f"  {line}" if line else "" for line in self.why.splitlines()]
        if self.cure:
            lines.append(f"  To do: {self.cure}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in layers.yaml: its line (1-based), its path (`layers.flask.runtimes[0]`) and what is wrong."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.path}: {self.message}" if self.path else f"line {self.line}: {self.message}"


class ConfigError(LayerkitError):
    """layers.yaml cannot be used; carries every mistake found, in the file's order."""

    exit_code = 3

    def __init__(
        self, what: str, *, where: str, problems: Sequence[Problem] = (), why: str = "", cure: str = ""
    ) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__(what, where=where, why=why or "\n".join(map(str, self.problems)), cure=cure)


class LockError(LayerkitError):
    """The lock is missing, stale, damaged, or names a release that this machine does not have (--frozen)."""

    exit_code = 4


class ResolutionError(LayerkitError):
    """No set of versions satisfies all layers, or a requirement does not exist."""

    exit_code = 5


class WheelMissing(LayerkitError):
    """A locked distribution offers no wheel that the target can use."""

    exit_code = 6


class HashMismatch(LayerkitError):
    """The index offered bytes that are not the locked ones."""

    exit_code = 7


class IndexUnreachable(LayerkitError):
    """The package index did not answer, or refused."""

    exit_code = 8


class ContentError(LayerkitError):
    """What a layer would hold contradicts itself, escapes its folder, or is empty."""

    exit_code = 9


class MachineError(LayerkitError):
    """This machine lacks something: disk space, permission, a program."""

    exit_code = 10


class EngineError(LayerkitError):
    """No container can be had: no engine, no image, no emulation, an image for something else; or the engine left."""

    exit_code = 11


class BuildFailed(LayerkitError):
    """A source distribution did not become a wheel: its build failed, took too long, or wanted a network."""

    exit_code = 12


class VerifyFailed(LayerkitError):
    """A layer, or a function with its layers, breaks a rule that would break it in Lambda."""

    exit_code = 13


class PublishFailed(LayerkitError):
    """Nothing of what was asked could be published, in any region."""

    exit_code = 14


class PublishedPartly(LayerkitError):
    """Some of what was asked is published and some is not; running it again does the rest."""

    exit_code = 15


class AwsError(LayerkitError):
    """AWS cannot be used at all: no credentials, expired ones, no region, no answer."""

    exit_code = 16


class OperationFailed(LayerkitError):
    """Nothing of what was asked could be done with what is published."""

    exit_code = 17


class DonePartly(LayerkitError):
    """Some of what was asked is done and some is not; unless it says otherwise, running it again does the rest."""

    exit_code = 18


class FunctionFailed(LayerkitError):
    """A function that was run here raised, ended, took too long, or answered what its front does not take."""

    exit_code = 19
