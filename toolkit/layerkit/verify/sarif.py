"""A report in SARIF 2.1.0 (OASIS), as code scanning services read it."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from layerkit import __version__
from layerkit.verify.report import Report, places
from layerkit.verify.rules import Judged, Rule, rules

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_sarif(report: Report) -> dict[str, Any]:
    """One run.  A waived finding is there, suppressed, with its reason."""
    files = places(report)
    known = list(rules().values())
    results = [_result(one, files.get(one.finding.subject, "layers.yaml"), known) for v in report.verdicts
               for one in v.findings]  # fmt: skip
    driver = {"name": "layerkit", "version": __version__, "rules": [_rule(rule) for rule in known]}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.why} In Lambda: {rule.symptom}"},
        "help": {"text": rule.cure},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(one: Judged, file: str, known: list[Rule]) -> dict[str, Any]:
    finding = one.finding
    place: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": quote(os.fsencode(PurePath(file).as_posix()))}},
        "logicalLocations": [{"fullyQualifiedName": f"{finding.subject}!/{finding.path}", "kind": "resource"}],
    }
    # a service knows a result again by its fingerprint, whatever else the message says
    result = {
        "ruleId": finding.rule,
        "ruleIndex": [rule.id for rule in known].index(finding.rule),
        "level": one.severity.value,
        "message": {"text": f"{finding.subject}: {finding.words}"},
        "locations": [place],
        "partialFingerprints": {"place/v1": f"{finding.rule}:{finding.subject}:{finding.path}"},
    }
    if one.waived:
        result["suppressions"] = [{"kind": "external", "justification": one.waived}]
    return result
