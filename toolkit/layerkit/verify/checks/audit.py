"""Known vulnerabilities of what layers hold, asked of `uv audit`, which asks OSV; on request alone.

`uv audit` reads a project's lock.  It is given one that names the distributions in the zips and nothing else, so
that neither an index nor the user's own project is looked at.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import Version

from layerkit import uv
from layerkit.errors import MachineError
from layerkit.verify.checks.distributions import Distribution, installed
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import Subject
from layerkit.verify.words import several, shown

SERVICE = "LAYERKIT_AUDIT_URL"  # another service that speaks OSV's protocol, as a company's own
LIMIT = 120  # seconds for all questions
RETRIES = "1"  # uv's own 3 take ten seconds to say that there is no network
FOUND = 1  # uv's exit status where there are vulnerabilities
# Options that these variables stand for contradict the arguments here.
CONTRARY = ("UV_LOCKED", "UV_FROZEN", "UV_PROJECT", "UV_WORKING_DIR")
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# A release as PEP 440 writes it, in numbers that uv can read (64 bits): nothing else from a zip reaches uv's lock.
VERSION = re.compile(
    r"([0-9]{1,9}!)?[0-9]{1,18}(\.[0-9]{1,18}){0,20}((a|b|rc)[0-9]{1,18})?(\.post[0-9]{1,18})?(\.dev[0-9]{1,18})?"
)
PROJECT = '[project]\nname = "layerkit-audit"\nversion = "0"\nrequires-python = ">=3.10"\n'
HEAD = """version = 1
revision = 3
requires-python = ">=3.10"

[[package]]
name = "layerkit-audit"
version = "0"
source = { virtual = "." }
"""
SOURCE = 'source = { registry = "." }'  # uv audits what is from an index; this one is a folder, and is not opened

KIND = r"^(?:error|cause|Caused by): "  # before each line of uv's

Pin = tuple[str, str]  # normalised name, version


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Vulnerability:
    """What the service knows of one distribution.  Its texts are a stranger's."""

    name: str
    version: str
    id: str  # GHSA-..., PYSEC-...
    aliases: tuple[str, ...] = ()  # CVE-...
    fixed_in: tuple[str, ...] = ()
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    vulnerabilities: tuple[Vulnerability, ...] = ()
    problem: str = ""  # why nothing, or not everything, could be asked


def check(subjects: Sequence[Subject], *, service: str = "") -> Iterator[Finding]:
    """One question for all zips; the findings are those of the zips that hold what is vulnerable."""
    holders: defaultdict[Pin, dict[str, Distribution]] = defaultdict(dict)  # of a pin: label of a zip -> its own
    for subject in subjects:
        for target in subject.targets:
            for one in installed(subject.facts, target):
                holders[one.name, one.version].setdefault(subject.facts.label, one)
    result = audit(tuple(holders), service=service)
    for found in result.vulnerabilities:
        for label, one in holders[found.name, found.version].items():
            yield Finding(rule="vulnerable", subject=label, path=one.location, message=_told(found, one))
    if result.problem:
        for label in dict.fromkeys(label for labels in holders.values() for label in labels):
            yield Finding(rule="audit-not-run", subject=label, message=result.problem)


def _told(found: Vulnerability, one: Distribution) -> str:
    names = f"{shown(found.id)} ({several(found.aliases)})" if found.aliases else shown(found.id)
    summary = f": {shown(found.summary.rstrip('.'))}" if found.summary else ""
    cure = f"fixed in {several(found.fixed_in)}" if found.fixed_in else "no release fixes it yet"
    return f"{one} has the known vulnerability {names}{summary}; {cure}"


def audit(pins: Iterable[Pin], *, service: str = "", limit: float = LIMIT) -> AuditResult:
    """What is known of these releases.  That nobody answers is told in `problem`, and is no error."""
    asked: defaultdict[Pin, list[Pin]] = defaultdict(list)
    unasked = []
    for name, version in dict.fromkeys(pins):
        public = _public(version)
        if NAME.fullmatch(name) and VERSION.fullmatch(public):
            asked[name, public].append((name, version))
        else:
            unasked.append(f"{name} {version}")
    problem = f"not asked for, as no index can have it: {several(unasked)}" if unasked else ""
    if not asked:
        return AuditResult(problem=problem)
    try:
        known = parsed(_ask(tuple(asked), service or os.environ.get(SERVICE, ""), limit))
    except MachineError as error:
        return AuditResult(problem=f"{error.what}: {error.why}" if error.why else error.what)
    everything = {
        replace(one, name=name, version=version)
        for one in known.vulnerabilities
        for name, version in asked.get((one.name, one.version), ())
    }
    return AuditResult(vulnerabilities=tuple(sorted(everything)), problem=known.problem or problem)


def parsed(answer: str) -> AuditResult:
    """What `uv audit --output-format json` says; its form is a preview, and another one is told as a problem."""
    try:
        found = [_vulnerability(one) for one in _list(_mapping(json.loads(answer)), "vulnerabilities")]
    except ValueError as error:
        return AuditResult(problem=f"uv audit gave an answer that cannot be read: {shown(str(error))}")
    return AuditResult(vulnerabilities=tuple(found))


def _public(version: str) -> str:
    """As uv repeats it: 2020.06.20 is 2020.6.20; 2.4+cpu has the faults of 2.4, and no entry of its own."""
    try:
        return Version(version).public
    except ValueError:  # also of numbers with thousands of digits
        return ""


def _ask(pins: Sequence[Pin], service: str, limit: float) -> str:
    """uv's answer as JSON.  Raises MachineError."""
    arguments = ["audit", "--frozen", "--no-config", "--output-format", "json"]
    arguments += ["--preview-features", "audit-command,json-output"]
    arguments += ["--service-url", service] if service else []
    environment = {key: value for key, value in uv.environment().items() if key not in CONTRARY}
    environment.setdefault("UV_HTTP_RETRIES", RETRIES)
    with tempfile.TemporaryDirectory(prefix="layerkit-") as folder:
        Path(folder, "pyproject.toml").write_text(PROJECT, encoding="utf-8")
        Path(folder, "uv.lock").write_text(_lock(pins), encoding="utf-8")
        try:
            done = subprocess.run(
                [uv.find(), *arguments],
                cwd=folder,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise MachineError("the service of known vulnerabilities", why=f"no answer in {limit:g} s") from None
        except OSError as error:
            raise MachineError("uv cannot be started", why=error.strerror or str(error)) from None
    if done.returncode not in (0, FOUND) or not done.stdout.strip():
        said = uv.redact(done.stderr).splitlines()
        lines = [line.strip() for line in said if line.strip() and not line.startswith("warning:")]
        ends = [lines[0], *lines[1:][-1:]] if lines else ["it says nothing"]  # what failed, and its deepest cause
        raise MachineError("uv audit could not ask", why=": ".join(shown(re.sub(KIND, "", line)) for line in ends))
    return done.stdout


def _lock(pins: Sequence[Pin]) -> str:
    """A uv.lock of an unnamed project that needs all of these.  The names and versions are safe to write."""
    needed = [f'    {{ name = "{name}", version = "{version}", {SOURCE} }},' for name, version in pins]
    packages = [f'[[package]]\nname = "{name}"\nversion = "{version}"\n{SOURCE}\n' for name, version in pins]
    return "\n".join([f"{HEAD}dependencies = [", *needed, "]\n", *packages])


def _vulnerability(value: object) -> Vulnerability:
    one = _mapping(value)
    dependency = _mapping(one.get("dependency"))
    return Vulnerability(
        name=_text(dependency, "name"),
        version=_text(dependency, "version"),
        id=_text(one, "display_id") or _text(one, "id"),
        aliases=tuple(str(item) for item in _list(one, "aliases")),
        fixed_in=tuple(str(item) for item in _list(one, "fix_versions")),
        summary=_text(one, "summary"),
    )


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"a mapping was expected, not {type(value).__name__}")
    return value


def _list(value: Mapping[str, object], key: str) -> list[object]:
    found = value.get(key)
    if not isinstance(found, list):
        raise ValueError(f"{key} should be a list, not {type(found).__name__}")
    return found


def _text(value: Mapping[str, object], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""
