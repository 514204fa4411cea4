"""Rules are data (data/rules/*.toml): what each looks for, how its breach shows in Lambda, why, and what to do."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from layerkit.errors import ConfigError
from layerkit.reader import nearest

HEADINGS = {
    "zip": "The zip and its layout",
    "binaries": "Binaries and targets",
    "python": "Python modules",
    "leaks": "Secrets and leaks",
    "distributions": "Distributions",
    "functions": "A function and its layers",
    "imports": "Imports",
}
GROUPS = tuple(HEADINGS)
TEXTS = ("title", "symptom", "why", "cure")


class Severity(StrEnum):
    ERROR = "error"  # it would fail in Lambda, or harm; not to be published
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    id: str
    group: str  # the file that it stands in
    severity: Severity
    title: str  # what a layer must be, in a few words
    symptom: str  # how the breach shows in Lambda, with its error's own words where there are any
    why: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One breach of a rule.  `subject` is a zip's label, or "function NAME"; `path` is inside the zip.

    `message` is one sentence, or a clause on the path, without a full stop: what was found and what would be right.
    """

    rule: str
    subject: str
    path: str = ""
    message: str
    line: int = 0

    @property
    def words(self) -> str:
        """The message with the path that it is about."""
        place = f"{self.path}, line {self.line}" if self.line else self.path
        return self.message if not place or self.path in self.message else f"{place}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A finding and what it amounts to."""

    finding: Finding
    severity: Severity
    waived: str = ""  # the reason that layers.yaml gives; a waived error does not fail


@cache
def rules() -> Mapping[str, Rule]:
    """All rules by id, in the order of the files, which is the order in which findings are told."""
    folder = resources.files("layerkit").joinpath("data/rules")
    found = {}
    for group in GROUPS:
        data = tomllib.loads(folder.joinpath(f"{group}.toml").read_text(encoding="utf-8"))
        for key, fields in data.items():
            texts = {name: fields[name] for name in TEXTS}
            found[key] = Rule(id=key, group=group, severity=Severity(fields["severity"]), **texts)
    return found


def judge(findings: Iterable[Finding], waivers: Mapping[str, str]) -> list[Judged]:
    """Findings with their severities, in the rules' order; `waivers` maps ids of rules to reasons."""
    findings = set(findings)
    order = {key: place for place, key in enumerate(rules())} if findings else {}  # 20 ms that most runs do without
    return [
        Judged(finding=one, severity=rules()[one.rule].severity, waived=waivers.get(one.rule, ""))
        for one in sorted(findings, key=lambda one: (order[one.rule], one))
    ]


def chosen(names: Sequence[str]) -> list[Rule]:
    """The rules of these names; all without names.  Raises ConfigError for one that is none."""
    for name in names:
        if name not in rules():
            raise ConfigError(f"there is no rule {name!r}{nearest(name, rules())}", where="layerkit rules")
    return [rules()[name] for name in names or rules()]


def as_markdown(chosen: Iterable[Rule]) -> str:
    """A section for each rule, under a heading for each group."""
    lines: list[str] = []
    group = ""
    for rule in chosen:
        if rule.group != group:
            group = rule.group
            lines += [f"## {HEADINGS[group]}", ""]
        lines += [f"### {rule.id}", "", f"*{rule.severity.capitalize()}.* Demands: {rule.title}.", ""]
        lines += [f"- **In Lambda:** {rule.symptom}", f"- **Why:** {rule.why}", f"- **To do:** {rule.cure}", ""]
    return "\n".join(lines)
