"""What a report says: to a person, as JSON, as SARIF and as GitHub's annotations; and what may be published of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from layerkit import targets
from layerkit.errors import VerifyFailed
from layerkit.model import Layer, Target
from layerkit.verify import report as reports
from layerkit.verify.checks.tags import Tags
from layerkit.verify.facts import ZipFacts
from layerkit.verify.imports import ModuleResult, Outcome, Task
from layerkit.verify.report import Report, Verdict, VerifiedArchive, ZipVerdict, as_github, as_json, as_text, summary
from layerkit.verify.rules import Finding, Judged, Severity, as_markdown, chosen, judge, rules
from layerkit.verify.sarif import as_sarif

GLIBC = Finding(rule="glibc", subject="a.zip", path="python/x.so", message="python/x.so needs GLIBC_2.38")
STACK = Finding(rule="executable-stack", subject="a.zip", path="python/y.so", message="wants one, 100%")
HERE = "this machine (CPython 3.12.1)"
NO_WAIVERS: Mapping[str, str] = {}


def target(runtime: str = "python3.12") -> Target:
    found = targets.find_runtime(runtime)
    assert found
    return found.target("arm64")


def outcome(*errors: str, why: str = "", label: str = "a.zip") -> Outcome:
    modules = tuple(f"m{number}" for number in range(len(errors)))
    task = Task(label=label, target=target(), zips=(Path("a.zip"),), modules=modules)
    results = tuple(ModuleResult(module=module, error=error) for module, error in zip(modules, errors, strict=True))
    return Outcome(task=task, where="" if why else HERE, why=why, results=results)


TAGS = Tags(architectures=("arm64",), runtimes=("python3.12",), reasons={})
LAYER = Layer(key="a", name="a-layer", targets=(target(),))


def verdict(
    *findings: Finding, waivers: Mapping[str, str] = NO_WAIVERS, imports: tuple[Outcome, ...] = ()
) -> ZipVerdict:
    return ZipVerdict(
        subject="a.zip",
        findings=tuple(judge(findings, waivers)),
        imports=imports,
        path=Path("dist/a.zip"),
        facts=ZipFacts(label="a.zip", size=10, sha256="ab" * 32, unpacked_size=20),
        targets=(target(),),
        targets_by="layers.yaml",
        tags=TAGS,
        more="",
        distributions=("flask 3.1.3",),
        layer=LAYER,
    )


def report(*verdicts: ZipVerdict, functions: tuple[Verdict, ...] = ()) -> Report:
    return Report(zips=verdicts, functions=functions)


# Rules and what they come to


def test_rules_are_whole() -> None:
    assert len(rules()) > 40
    for rule in rules().values():
        assert rule.id == rule.id.lower().strip()
        texts = (rule.title, rule.symptom, rule.why, rule.cure)
        assert all(text and text == text.strip() and "\n" not in text for text in texts), rule.id
        assert not rule.title.endswith("."), rule.id
        assert all(text[-1] in '.")`' for text in texts[1:]), rule.id


def test_findings_are_told_once_and_in_the_rules_order() -> None:
    assert [one.finding for one in judge([STACK, GLIBC, STACK], {})] == [GLIBC, STACK]


def test_a_waiver_is_of_one_rule() -> None:
    assert judge([STACK, GLIBC], {"glibc": "not called"}) == [
        Judged(finding=GLIBC, severity=Severity.ERROR, waived="not called"),
        Judged(finding=STACK, severity=Severity.WARNING),
    ]


def test_markdown_has_every_text_of_the_rules_it_is_of() -> None:
    [rule] = chosen(["glibc"])
    text = as_markdown([rule])
    assert text.startswith("## Binaries and targets\n\n### glibc\n\n*Error.* ")
    assert all(part in text for part in (rule.title, rule.symptom, rule.why, rule.cure))
    assert [line for line in as_markdown(rules().values()).splitlines() if line.startswith("### ")] == [
        f"### {key}" for key in rules()
    ]


# Statuses


@pytest.mark.parametrize(
    ("findings", "imports", "status"),
    [
        ((), (), "passed"),
        ((STACK,), (), "passed"),
        ((GLIBC,), (), "failed"),
        ((), (outcome(""),), "passed"),
        ((), (outcome(why="no engine"),), "imports not run"),
        ((GLIBC,), (outcome(why="no engine"),), "failed"),
    ],
)
def test_status(findings: tuple[Finding, ...], imports: tuple[Outcome, ...], status: str) -> None:
    assert verdict(*findings, imports=imports).status == status


def test_what_is_waived_does_not_fail() -> None:
    waived = verdict(GLIBC, waivers={"glibc": "not called"})
    assert waived.status == "passed"
    assert report(waived).ok
    assert not report(verdict(GLIBC)).ok


# What may be published


def test_what_passed_may_be_published() -> None:
    archive = VerifiedArchive(
        path=Path("dist/a.zip"),
        size=10,
        sha256="ab" * 32,
        layer=LAYER,
        target=target(),
        tags=TAGS,
        imported=HERE,
    )
    assert report(verdict(STACK, imports=(outcome(""),))).verified() == [archive]


def test_what_was_not_imported_says_so_in_its_type() -> None:
    assert [one.imported for one in report(verdict(imports=(outcome(why="no engine"),))).verified()] == [""]
    assert [one.imported for one in report(verdict()).verified()] == [""]


def test_a_zip_that_is_not_declared_is_not_published() -> None:
    assert report(replace(verdict(), layer=None)).verified() == []


def test_nothing_is_published_beside_an_error() -> None:
    good = replace(verdict(), subject="b.zip")
    function = Verdict(subject="function f", findings=tuple(judge([replace(GLIBC, subject="function f")], {})))
    for broken in (report(good, verdict(GLIBC)), report(good, functions=(function,))):
        with pytest.raises(VerifyFailed) as error:
            broken.verified()
        assert "glibc: python/x.so needs GLIBC_2.38" in str(error.value)


# For a person


def test_text_of_a_failure() -> None:
    rule, other = rules()["glibc"], rules()["executable-stack"]
    failing = verdict(GLIBC, STACK, imports=(outcome("", "ImportError: no"),))
    assert list(as_text(report(failing))) == [
        "a.zip: failed",
        "  declared for python3.12 arm64",
        "  imports failed: m0, m1 FAILED; this machine (CPython 3.12.1)",
        "  error: glibc: python/x.so needs GLIBC_2.38",
        f"    In Lambda: {rule.symptom}",
        f"    To do: {rule.cure}",
        "  warning: executable-stack: python/y.so: wants one, 100%",
        f"    In Lambda: {other.symptom}",
        f"    To do: {other.cure}",
    ]


def test_a_rule_is_explained_once() -> None:
    twice = report(verdict(GLIBC), replace(verdict(replace(GLIBC, path="python/z.so"), GLIBC), subject="b.zip"))
    assert sum("To do:" in line for line in as_text(twice)) == 1


def test_text_says_that_imports_were_not_run_and_why() -> None:
    lines = list(as_text(report(verdict(imports=(outcome(why="no container engine answers"),)))))
    assert lines[0] == "a.zip: imports not run"
    assert "  imports NOT RUN: no container engine answers" in lines
    assert not any("passed" in line for line in lines)


def test_text_says_what_is_unlike_lambda() -> None:
    unlike = replace(outcome(""), unlike=("boto3 is layerkit's own",))
    assert "    unlike Lambda: boto3 is layerkit's own" in as_text(report(verdict(imports=(unlike,))))


def test_a_waiver_is_shown_each_time_with_its_reason() -> None:
    lines = list(as_text(report(verdict(GLIBC, waivers={"glibc": "not called"}))))
    assert lines[2:] == [
        "  error waived: glibc: python/x.so needs GLIBC_2.38",
        "    waived because: not called",
    ]


def test_quietly_only_what_is_not_as_it_should_be() -> None:
    good = replace(verdict(), subject="good.zip")
    lines = list(as_text(report(good, verdict(STACK)), quiet=True))
    assert lines[:2] == ["a.zip: passed", "  warning: executable-stack: python/y.so: wants one, 100%"]
    assert not any("good.zip" in line or "declared" in line for line in lines)


def test_what_was_assumed_is_said() -> None:
    assumed = replace(verdict(), targets_by="content", layer=None, more="may be declared for x86_64, too")
    assert list(as_text(report(assumed)))[1] == (
        "  held against python3.12 arm64, which its content suggests; may be declared for x86_64, too"
    )
    asked = replace(verdict(), targets_by="request", layer=None)
    assert list(as_text(report(asked)))[1] == "  held against python3.12 arm64"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (report(verdict()), "1 zip verified: no errors, no warnings"),
        (report(verdict(GLIBC, STACK)), "1 zip verified: 1 error, 1 warning"),
        (report(verdict(GLIBC, STACK, waivers={"glibc": "x"})), "1 zip verified: no errors, 1 warning, 1 waived"),
        (
            report(verdict(imports=(outcome(why="x"),)), functions=(Verdict(subject="function f", findings=()),)),
            "1 zip, 1 function verified: no errors, no warnings, imports of 1 not run",
        ),
    ],
)
def test_summary(given: Report, words: str) -> None:
    assert summary(given) == words


# For programs


def test_json_has_everything() -> None:
    data = as_json(report(verdict(GLIBC, STACK, waivers={"glibc": "not called"}, imports=(outcome("", "E: x"),))))
    assert json.loads(json.dumps(data)) == data
    assert (data["schema_version"], data["ok"]) == (reports.SCHEMA_VERSION, True)
    [found] = data["zips"]
    arm = {"runtime": "python3.12", "architecture": "arm64"}
    assert found["file"] == "dist/a.zip"
    assert (found["layer"], found["size"], found["unzipped_size"], found["sha256"]) == ("a", 10, 20, "ab" * 32)
    assert found["declared"] == found["held_against"] == [arm]
    assert found["true_for"] == {"runtimes": ["python3.12"], "architectures": ["arm64"]}
    assert found["distributions"] == ["flask 3.1.3"]
    assert found["findings"] == [
        {
            "rule": "glibc",
            "severity": "error",
            "waived": "not called",
            "path": "python/x.so",
            "line": None,
            "message": "python/x.so needs GLIBC_2.38",
        },
        {
            "rule": "executable-stack",
            "severity": "warning",
            "waived": None,
            "path": "python/y.so",
            "line": None,
            "message": "wants one, 100%",
        },
    ]
    [tried] = found["imports"]
    assert (tried["status"], tried["where"], tried["why_not"]) == ("failed", "this machine (CPython 3.12.1)", None)
    assert [module["error"] for module in tried["modules"]] == [None, "E: x"]
    assert set(data["rules"]) == {"glibc", "executable-stack"}


def test_json_of_an_undeclared_zip() -> None:
    [found] = as_json(report(replace(verdict(), targets_by="content", layer=None)))["zips"]
    assert (found["layer"], found["declared"]) == (None, None)
    assert found["held_against"]


def test_github_annotations() -> None:
    function = Verdict(subject="function f", findings=tuple(judge([replace(STACK, subject="function f")], {})))
    lines = list(as_github(report(verdict(GLIBC, STACK, waivers={"glibc": "why: x, y"}), functions=(function,))))
    assert lines == [
        "::notice file=dist/a.zip,title=layerkit glibc::a.zip: python/x.so needs GLIBC_2.38"
        "%0Awaived because: why: x, y",
        "::warning file=dist/a.zip,title=layerkit executable-stack::a.zip: python/y.so: wants one, 100%25"
        f"%0ATo do: {rules()['executable-stack'].cure}",
        "::warning file=layers.yaml,title=layerkit executable-stack::function f: python/y.so: wants one, 100%25"
        f"%0ATo do: {rules()['executable-stack'].cure}",
    ]


def test_a_path_cannot_end_an_annotations_properties() -> None:
    strange = replace(verdict(GLIBC), path=Path("a,title=x::y\n.zip"))
    [line] = as_github(report(strange))
    assert line.startswith("::error file=a%2Ctitle=x%3A%3Ay\\n.zip,title=layerkit glibc::")


def run_of(data: dict[str, Any]) -> Any:
    assert (data["version"], len(data["runs"])) == ("2.1.0", 1)
    return data["runs"][0]


def test_sarif() -> None:
    data = as_sarif(report(verdict(GLIBC, STACK, waivers={"glibc": "not called"})))
    assert json.loads(json.dumps(data)) == data
    run = run_of(data)
    described = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in described] == list(rules())
    first, second = run["results"]
    assert [described[one["ruleIndex"]]["id"] for one in (first, second)] == [
        one["ruleId"] for one in (first, second)
    ]
    assert first["suppressions"] == [{"kind": "external", "justification": "not called"}]
    assert "suppressions" not in second
    assert (first["level"], second["level"]) == ("error", "warning")
    assert second["message"]["text"] == "a.zip: python/y.so: wants one, 100%"
    [place] = first["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "dist/a.zip"
    assert place["logicalLocations"][0]["fullyQualifiedName"] == "a.zip!/python/x.so"
    assert first["partialFingerprints"] != second["partialFingerprints"]


def test_sarif_without_findings_is_a_run_without_results() -> None:
    assert run_of(as_sarif(report(verdict())))["results"] == []
