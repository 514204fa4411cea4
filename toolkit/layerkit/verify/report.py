"""What verifying came to: a verdict on each zip and function, as a person, a program, SARIF or GitHub reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from layerkit.errors import VerifyFailed
from layerkit.model import Layer, Target
from layerkit.verify.checks.tags import Tags
from layerkit.verify.facts import ZipFacts
from layerkit.verify.rules import Judged, Severity, rules
from layerkit.verify.words import shown

if TYPE_CHECKING:
    from layerkit.verify.imports import Outcome

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All findings on one zip, or on one function with its layers, and what became of its imports."""

    subject: str  # as its findings name it
    findings: tuple[Judged, ...]
    imports: tuple[Outcome, ...] = ()  # one for each target

    @property
    def errors(self) -> list[Judged]:
        return [one for one in self.findings if one.severity is Severity.ERROR and not one.waived]

    @property
    def status(self) -> str:
        """ "failed", "passed", or "imports not run": nothing is passed that was not tried."""
        if self.errors:
            return "failed"
        return "imports not run" if any(one.status == "not run" for one in self.imports) else "passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipVerdict(Verdict):
    """`layer` is None for a zip that layers.yaml does not declare."""

    path: Path
    facts: ZipFacts
    targets: tuple[Target, ...]  # what it was held against
    targets_by: Literal["layers.yaml", "request", "content"]  # who says so; "content": nobody does
    tags: Tags  # what it is true for
    more: str  # what it may be declared for as well, in a clause
    distributions: tuple[str, ...]  # "flask 3.1.3"
    layer: Layer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedArchive:
    """A zip that passed: what may be published."""

    path: Path
    size: int  # bytes
    sha256: str  # hex, of the bytes that were verified
    layer: Layer
    target: Target  # as declared
    tags: Tags  # what its content is true for; without the target only where a waiver says that this is accepted
    imported: str  # where its modules were imported; "" where they were not


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    zips: tuple[ZipVerdict, ...]
    functions: tuple[Verdict, ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return (*self.zips, *self.functions)

    @property
    def ok(self) -> bool:
        return not any(verdict.errors for verdict in self.verdicts)

    def untried(self, *, functions: bool) -> list[str]:
        """What could be imported nowhere, of layers, and of functions with them, and why: a line for each."""
        every = [one for verdict in (self.verdicts if functions else self.zips) for one in verdict.imports]
        return [f"{one.task.label}: {one.why}" for one in every if one.status == "not run"]

    def verified(self) -> list[VerifiedArchive]:
        """The declared layers' zips.  Raises VerifyFailed when anything in this report has an error."""
        if not self.ok:
            raise failed(self)
        return [
            VerifiedArchive(
                path=one.path,
                size=one.facts.size,
                sha256=one.facts.sha256,
                layer=one.layer,
                target=target,
                tags=one.tags,
                imported=next((o.where for o in one.imports if o.task.target == target and o.status == "passed"), ""),
            )
            for one in self.zips
            if one.layer
            for target in one.targets
        ]


def failed(report: Report) -> VerifyFailed:
    """The error that says which rules are broken, and where."""
    broken = [one for verdict in report.verdicts for one in verdict.errors]
    why = "\n".join(f"{one.finding.subject}: {one.finding.rule}: {one.finding.words}" for one in broken)
    return VerifyFailed(summary(report), why=why, cure="layerkit verify tells the symptoms and cures")


def summary(report: Report) -> str:
    """One line: what was verified, and what was found."""
    everything = [one for verdict in report.verdicts for one in verdict.findings]
    errors = sum(len(verdict.errors) for verdict in report.verdicts)
    warnings = sum(one.severity is Severity.WARNING and not one.waived for one in everything)
    waived = sum(bool(one.waived) for one in everything)
    untried = sum(one.status == "not run" for verdict in report.verdicts for one in verdict.imports)
    parts = [counted(errors, "error"), counted(warnings, "warning")]
    parts += [f"{waived} waived"] if waived else []
    parts += [f"imports of {untried} not run"] if untried else []
    what = [counted(len(report.zips), "zip")] if report.zips else []
    what += [counted(len(report.functions), "function")] if report.functions else []
    return f"{', '.join(what)} verified: {', '.join(parts)}"


def counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def as_text(report: Report, *, quiet: bool = False) -> Iterator[str]:
    """Lines for a person; quietly, those alone that are not as they should be.  A rule is explained once."""
    explained: set[str] = set()
    for verdict in report.verdicts:
        if quiet and all(one.waived for one in verdict.findings):
            continue
        yield f"{verdict.subject}: {verdict.status}"
        if not quiet:
            yield from (f"  {line}" for line in _facts(verdict))
        for one in verdict.findings:
            rule = rules()[one.finding.rule]
            word = f"{one.severity} waived" if one.waived else one.severity
            yield f"  {word}: {rule.id}: {one.finding.words}"
            if one.waived:
                yield f"    waived because: {one.waived}"
            elif rule.id not in explained:
                explained.add(rule.id)
                yield f"    In Lambda: {rule.symptom}"
                yield f"    To do: {rule.cure}"


def _facts(verdict: Verdict) -> Iterator[str]:
    if isinstance(verdict, ZipVerdict):
        labels = ", ".join(f"{target.runtime} {target.architecture}" for target in verdict.targets)
        held = {
            "layers.yaml": f"declared for {labels}",
            "request": f"held against {labels}",
            "content": f"held against {labels}, which its content suggests",
        }
        yield held[verdict.targets_by] + (f"; {verdict.more}" if verdict.more else "")
    for one in verdict.imports:
        if one.status == "not run":
            yield f"imports NOT RUN: {one.why}"
        else:
            marks = {
                result.module: "OPTIONAL" if result.optional else "FAILED" for result in one.results if result.error
            }
            names = ", ".join(f"{result.module} {marks.get(result.module, '')}".strip() for result in one.results)
            yield f"imports {one.status}: {names or 'nothing to import'}; {one.where}"
            yield from (f"  unlike Lambda: {words}" for words in one.unlike)
            for result in one.results:
                yield from (f"  | {line}" for line in result.trace)


def as_json(report: Report) -> dict[str, Any]:
    """Everything, for a program.  Sizes in bytes."""
    used = {one.finding.rule for verdict in report.verdicts for one in verdict.findings}
    return {
        "schema_version": SCHEMA_VERSION,
        "ok": report.ok,
        "zips": [_zip(one) | _verdict(one) for one in report.zips],
        "functions": [_verdict(one) for one in report.functions],
        "rules": {
            rule.id: {"title": rule.title, "symptom": rule.symptom, "why": rule.why, "cure": rule.cure}
            for rule in rules().values()
            if rule.id in used
        },
    }


def _zip(one: ZipVerdict) -> dict[str, Any]:
    return {
        "file": str(one.path),
        "layer": one.layer.key if one.layer else None,
        "sha256": one.facts.sha256,
        "size": one.facts.size,
        "unzipped_size": one.facts.unpacked_size,
        "declared": _targets(one.targets) if one.targets_by == "layers.yaml" else None,
        "held_against": _targets(one.targets),
        "true_for": {"runtimes": list(one.tags.runtimes), "architectures": list(one.tags.architectures)},
        "distributions": list(one.distributions),
    }


def _targets(targets: tuple[Target, ...]) -> list[dict[str, str]]:
    return [{"runtime": target.runtime, "architecture": target.architecture} for target in targets]


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "subject": verdict.subject,
        "status": verdict.status,
        "findings": [
            {
                "rule": one.finding.rule,
                "severity": one.severity.value,
                "waived": one.waived or None,
                "path": one.finding.path or None,
                "line": one.finding.line or None,
                "message": one.finding.message,
            }
            for one in verdict.findings
        ],
        "imports": [_outcome(one) for one in verdict.imports],
    }


def _outcome(one: Outcome) -> dict[str, Any]:
    modules = [
        {
            "module": result.module,
            "error": result.error or None,
            "optional": result.optional or None,
            "trace": list(result.trace),
            "seconds": round(result.seconds, 3),
        }
        for result in one.results
    ]
    return {
        "target": one.task.target.label,
        "status": one.status,
        "where": one.where or None,
        "why_not": one.why or None,
        "unlike_lambda": list(one.unlike),
        "modules": modules,
    }


def places(report: Report) -> Mapping[str, str]:
    """Subject of findings -> the file that an annotation of it names: the zip, or layers.yaml."""
    here = Path.cwd()
    return {
        one.subject: os.path.relpath(one.path, here) if one.path.is_absolute() else str(one.path)
        for one in report.zips
    }


def as_github(report: Report) -> Iterator[str]:
    """GitHub's workflow commands: an annotation for each finding that is not waived."""
    files = places(report)
    for verdict in report.verdicts:
        for one in verdict.findings:
            rule = rules()[one.finding.rule]
            level = "notice" if one.waived else one.severity.value
            words = f"{one.finding.subject}: {one.finding.words}"
            words += f"\nwaived because: {one.waived}" if one.waived else f"\nTo do: {rule.cure}"
            file = files.get(one.finding.subject, "layers.yaml")
            title = f"layerkit {rule.id}"
            yield f"::{level} file={_property(shown(file))},title={_property(title)}::{_message(words)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
