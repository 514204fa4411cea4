"""The table of contents of `layerkit verify`: what is chosen, read, checked, imported and judged.

VerifyRequest -> zips -> ZipFacts -> Subject -> Finding -> Report.  A zip is read once, whoever asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from layerkit import targets
from layerkit.cache import Cache
from layerkit.errors import ConfigError, MachineError
from layerkit.model import Function, Target
from layerkit.verify import imports, sources
from layerkit.verify.checks import binaries, distributions, functions, layout, leaks, modules, tags
from layerkit.verify.chosen import ChosenFunction, ChosenZip, Place, VerifyRequest, choose
from layerkit.verify.facts import ZipFacts
from layerkit.verify.imports import Outcome, Task
from layerkit.verify.reading import zips
from layerkit.verify.report import Report, Verdict, ZipVerdict
from layerkit.verify.rules import Finding, Severity, judge, rules
from layerkit.verify.subjects import FunctionSubject, Subject
from layerkit.verify.words import shown

CHECKS = (layout.check, binaries.check, tags.check, modules.check, leaks.check)
DEFAULT_RUNTIME = "python3.12"  # for a zip that would do for several


class Says(Protocol):
    """Where it is told what goes on."""

    def note(self, message: str) -> None: ...
    def warn(self, message: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zip:
    """A chosen zip with what was read of it."""

    chosen: ChosenZip
    subject: Subject
    asked: bool  # whether the request names a runtime or an architecture
    tags: tags.Tags
    findings: tuple[Finding, ...]


def verify(request: VerifyRequest, cache: Cache, says: Says) -> Report:
    """Raises ConfigError, ContentError for what is not built, MachineError for what cannot be read."""
    chosen = choose(request)
    read = _Reader({one.path: one.label for one in chosen.zips})
    checked = [_checked(one, request, read, says) for one in chosen.zips]
    found = {one.label: list(functions.check(_view(one, read))) for one in chosen.functions}
    tasks = [*_layer_tasks(checked), *_function_tasks(chosen.functions)]
    outcomes = _imported(tasks, read, request.place, cache, says)
    audited = _audited(checked) if request.audit else []
    return Report(
        zips=tuple(_zip_verdict(one, outcomes, audited) for one in checked),
        functions=(
            *(_function_verdict(one, found[one.label], outcomes) for one in chosen.functions),
            *map(_without_target, chosen.without_target),
        ),
    )


class _Reader:
    """Facts of zips by their paths, each read when it is first asked for."""

    def __init__(self, labels: Mapping[Path, str]) -> None:
        self.labels = labels
        self.known: dict[Path, ZipFacts] = {}

    def __call__(self, path: Path) -> ZipFacts:
        if path not in self.known:
            try:
                if not S_ISREG(path.stat().st_mode):  # a pipe would be waited for
                    raise MachineError("is not a file", where=str(path))
                self.known[path] = replace(zips.read(path), label=self.labels.get(path, shown(path.name)))
            except OSError as error:
                raise MachineError("cannot be read", where=str(path), why=error.strerror or str(error)) from None
        return self.known[path]


def _checked(chosen: ChosenZip, request: VerifyRequest, read: _Reader, says: Says) -> _Zip:
    facts = read(chosen.path)
    used = tuple(read(path) for path in chosen.used)
    true = tags.derive(facts, beside=used)
    subject = Subject(
        facts=facts,
        targets=(chosen.target,) if chosen.target else _assumed(true, chosen, request, says),
        used=used,
        imports=chosen.checks.imports,
        licenses=chosen.checks.licenses,
        waivers=chosen.checks.waivers,
    )
    findings = [finding for check in CHECKS for finding in check(subject)]
    findings += distributions.check(subject, chosen.layer.license if chosen.layer else "")
    if chosen.digest and chosen.digest != facts.sha256:
        message = "the file is not the one that was built: its SHA-256 is not the manifest's"
        findings.append(Finding(rule="zip-changed", subject=facts.label, message=message))
    asked = bool(request.runtimes or request.architectures)
    return _Zip(chosen=chosen, subject=subject, asked=asked, tags=true, findings=tuple(findings))


def _assumed(true: tags.Tags, chosen: ChosenZip, request: VerifyRequest, says: Says) -> tuple[Target, ...]:
    """What is asked; where nothing is, what it was built for; else what its content is for."""
    if chosen.built_for:
        runtime, architecture = chosen.built_for.runtime, chosen.built_for.architecture
    else:
        runtime = DEFAULT_RUNTIME if DEFAULT_RUNTIME in true.runtimes else [DEFAULT_RUNTIME, *true.runtimes][-1]
        architecture = [*true.architectures, *targets.ARCHITECTURES][0]
    known = ", ".join(targets.known_runtimes())
    found = []
    for name in request.runtimes or (runtime,):
        one = targets.find_runtime(name)
        if not one:
            raise ConfigError(f"{name} is not a runtime of Lambda's", where="--runtime", cure=f"name one of {known}")
        if not one.known:
            says.warn(f"{name} is not a runtime that this layerkit knows ({known}); taken for one like the newest")
        found += [one.target(machine) for machine in request.architectures or (architecture,)]
    return tuple(found)


def _view(chosen: ChosenFunction, read: _Reader) -> FunctionSubject:
    function = chosen.function
    return FunctionSubject(
        name=function.key,
        target=chosen.target,
        layers=tuple(read(path) for path in chosen.zips),
        source=tuple(sources.entries(function.source)) if function.source else (),
        handler=function.handler,
        waivers=function.checks.waivers,
    )


def _layer_tasks(checked: Iterable[_Zip]) -> Iterator[Task]:
    for one in checked:
        for target in one.subject.targets:
            names = one.subject.imports
            wanted = imports.top_level(one.subject.facts, target) if names is None else names
            if wanted:
                files = (*one.chosen.used, one.chosen.path)
                yield Task(label=one.chosen.label, target=target, zips=files, modules=wanted)


def _function_tasks(chosen: Iterable[ChosenFunction]) -> Iterator[Task]:
    for one in chosen:
        if one.function.handler:
            yield Task(
                label=one.label,
                target=one.target,
                zips=one.zips,
                modules=(),
                source=one.function.source,
                handler=one.function.handler,
                environment=one.function.environment,
            )


def _imported(tasks: Sequence[Task], read: _Reader, place: Place, cache: Cache, says: Says) -> list[Outcome]:
    """Nothing is unpacked from a zip that is not sound."""
    paths = {path: task.target for task in tasks for path in task.zips}
    unsound = {path: place != "none" and _unsound(read(path), target) for path, target in paths.items()}
    outcomes = imports.run([task for task in tasks if not any(map(unsound.get, task.zips))], place, cache, says)
    for task in tasks:
        bad = [path.name for path in task.zips if unsound[path]]
        if bad:
            outcomes.append(Outcome(task=task, where="", why=f"{bad[0]} is not sound: see its errors", results=()))
    return outcomes


def _unsound(facts: ZipFacts, target: Target) -> bool:
    found = layout.check(Subject(facts=facts, targets=(target,)))
    return any(rules()[one.rule].severity is Severity.ERROR and rules()[one.rule].group == "zip" for one in found)


def _audited(checked: Iterable[_Zip]) -> list[Finding]:
    from layerkit.verify.checks import audit

    return list(audit.check([one.subject for one in checked]))


def _zip_verdict(one: _Zip, outcomes: Sequence[Outcome], audited: Sequence[Finding]) -> ZipVerdict:
    own = tuple(outcome for outcome in outcomes if outcome.task.label == one.chosen.label)
    subject, facts = one.subject, one.subject.facts
    known = [finding for finding in audited if finding.subject == facts.label]
    installed = distributions.installed(facts, subject.targets[0])
    if subject.imports is None:  # modules that layers.yaml names have to import
        own = tuple(imports.excused(outcome, installed) for outcome in own)
    findings = [*one.findings, *known, *imports.check(own)]
    return ZipVerdict(
        subject=one.chosen.label,
        findings=tuple(judge(findings, one.chosen.checks.waivers)),
        imports=own,
        path=one.chosen.path,
        facts=facts,
        targets=subject.targets,
        targets_by="layers.yaml" if one.chosen.target else "request" if one.asked else "content",
        tags=one.tags,
        more=tags.more(subject, one.tags),
        distributions=tuple(f"{found.name} {found.version}" for found in installed),
        layer=one.chosen.layer,
    )


def _function_verdict(one: ChosenFunction, findings: Iterable[Finding], outcomes: Sequence[Outcome]) -> Verdict:
    own = tuple(outcome for outcome in outcomes if outcome.task.label == one.label)
    judged = judge([*findings, *imports.check(own)], one.function.checks.waivers)
    return Verdict(subject=one.label, findings=tuple(judged), imports=own)


def _without_target(function: Function) -> Verdict:
    label = f"function {function.key}"
    message = f"its layers ({', '.join(function.layers)}) have no runtime and architecture in common"
    finding = Finding(rule="function-target", subject=label, message=message)
    return Verdict(subject=label, findings=tuple(judge([finding], function.checks.waivers)))
