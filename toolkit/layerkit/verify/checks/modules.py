"""Rules on what a layer's files do to Python itself: code at each start, and names that hide Python's or the SDK's.

`check` is the whole python group: bytecode (compiled), and the rest here.
Order of sys.path in the managed runtimes: /var/task, /opt/python/lib/pythonX.Y/site-packages, /opt/python, the
runtime's own site-packages, /var/runtime, the standard library.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from layerkit.model import Target
from layerkit.verify.checks import compiled
from layerkit.verify.checks.paths import Tree
from layerkit.verify.facts import Entry, ZipFacts
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import Subject, importable, roots
from layerkit.verify.words import count, several, shown

CUSTOMIZE = ("sitecustomize", "usercustomize")
MODULE = re.compile(r"(?P<name>[^/.]+)(?:/__init__)?(?:\.py|\.pyc|(?:\.[^/.]+)?\.so)")
NAMES = re.compile(r"'[A-Za-z0-9_]+'(?:, ?'[A-Za-z0-9_]+')*")


def check(subject: Subject) -> Iterator[Finding]:
    facts = subject.facts
    yield from compiled.check(subject)
    startup: dict[str, Entry] = {}
    for target in {target.runtime: target for target in subject.targets}.values():
        own = _top_level(facts, target)
        startup |= {entry.path: entry for entry in _startup_files(facts, target)}
        yield from _customize(facts, own, target)
        yield from _standard(facts, own, target)
        yield from _sdk(subject, own, target)
    tree = Tree(subject.together if startup else ())
    for entry in startup.values():
        yield from _startup(facts, entry, tree)


@cache
def _data() -> Mapping[str, Any]:
    return tomllib.loads(resources.files("layerkit").joinpath("data/python.toml").read_text(encoding="utf-8"))


def _top_level(facts: ZipFacts, target: Target) -> dict[str, Entry]:
    """Names that can be imported, each with its file; a folder without __init__ hides nothing behind it."""
    found: dict[str, Entry] = {}
    for below, entry in importable(facts, target):
        if match := MODULE.fullmatch(below):
            found.setdefault(match["name"], entry)
    return found


# -- .pth files


def _startup_files(facts: ZipFacts, target: Target) -> Iterator[Entry]:
    for below, entry in importable(facts, target):
        if below.endswith(".pth") and "/" not in below and not below.startswith("."):
            yield entry


def _startup(facts: ZipFacts, entry: Entry, tree: Tree) -> Iterator[Finding]:
    """Line by line, as `site.addpackage` does."""
    known: dict[str, None] = {}
    refused: list[tuple[int, str]] = []
    for number, line in enumerate(entry.text.removeprefix("\ufeff").splitlines(), 1):
        folder = _folder(entry.path, line.strip())
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith(("import ", "import\t")):
            if what := _known(line.strip()):
                known[f"runs {what}"] = None
            else:
                refused.append((number, f"runs unknown code whenever Python starts: {shown(line.strip())}"))
        elif folder is not None and tree.has(folder):
            known[f"adds {shown(f'/opt/{folder}'.rstrip('/'))} to sys.path"] = None
        else:
            refused.append((number, f"adds {shown(line.strip())} to sys.path, which is no folder of the layer"))
    if refused:
        number, what = refused[0]
        others = f" (and so for {count(len(refused) - 1, 'other line')})" if len(refused) > 1 else ""
        yield Finding(
            rule="pth", subject=facts.label, path=entry.path, line=number, message=f"its line {what}{others}"
        )
    if known:
        message = f"at each start it {several(list(known))}: known, and harmless"
        yield Finding(rule="pth-known", subject=facts.label, path=entry.path, message=message)


def _known(line: str) -> str:
    return next((one["what"] for one in _data()["startup"] if _same(one["line"], line)), "")


def _same(template: str, line: str) -> bool:
    if "{names}" not in template:
        return line == template
    match = NAMES.match(line, template.index("{names}"))
    if not match:
        return False
    name = ".".join(part.strip(" '") for part in match[0].split(","))
    parent, _, child = name.rpartition(".")
    fields = {"{names}": match[0], "{name}": name, "{parent}": parent, "{child}": child}
    for field, value in fields.items():
        template = template.replace(field, value)
    return line == template


def _folder(path: str, line: str) -> str | None:
    """The folder below /opt that a line of a .pth file names; None where it is outside."""
    parts = [] if line.startswith("/") else path.split("/")[:-1]
    for part in line.split("/"):
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if line.startswith("/"):
        return "/".join(parts[1:]) if parts[:1] == ["opt"] else None
    return "/".join(parts)


# -- names that hide others


def _customize(facts: ZipFacts, own: Mapping[str, Entry], target: Target) -> Iterator[Finding]:
    for name in CUSTOMIZE:
        if name in own:
            message = (
                f"{name} is not run by {target.runtime} itself, which adds /opt/python to sys.path after Python's "
                f"start, but by every Python that has it on PYTHONPATH"
            )
            yield Finding(rule="sitecustomize", subject=facts.label, path=own[name].path, message=message)


def standard_modules(python: str) -> frozenset[str]:
    """Public modules of the standard library of "3.12"; a version newer than the newest known is taken as that."""
    data = _data()["stdlib"]
    newest = max(data["more"], key=lambda version: int(version.partition(".")[2]))
    if int(python.partition(".")[2]) > int(newest.partition(".")[2]):
        python = newest
    return frozenset((*data["modules"], *data["more"].get(python, ()))) - frozenset(data["fewer"].get(python, ()))


def _standard(facts: ZipFacts, own: Mapping[str, Entry], target: Target) -> Iterator[Finding]:
    for name in sorted(standard_modules(target.python) & own.keys()):
        message = f"{name} has the name of a module of Python {target.python} itself, and comes before it on sys.path"
        yield Finding(rule="stdlib-shadow", subject=facts.label, path=own[name].path, message=message)


def _sdk(subject: Subject, own: Mapping[str, Entry], target: Target) -> Iterator[Finding]:
    """A part of the SDK runs with the rest of the runtime's, which AWS updates at any time."""
    sdk = _data()["sdk"]
    beside = {name: entry for one in subject.together for name, entry in _top_level(one, target).items()}
    have = [name for name in sdk["together"] if name in beside]
    lack = [name for name in sdk["together"] if name not in beside]
    ours = [name for name in have if name in own]
    if ours and lack:
        message = (
            f"{' and '.join(have)} without {' and '.join(lack)}: {target.runtime} runs them with its own "
            f"{' and '.join(lack)}, of another release; bring all of {', '.join(sdk['together'])}, or none"
        )
        yield Finding(rule="runtime-shadow", subject=subject.facts.label, path=own[ours[0]].path, message=message)
    if "botocore" in beside:  # whose requirements are then held against the layer's own
        return
    for name, accepted in sdk["accepts"].items():
        version = _version(subject.facts, target, sdk["distributions"].get(name, name)) if name in own else ""
        if version and not _accepts(accepted, version):
            message = f"{name} {shown(version)} hides that of {target.runtime}, whose botocore asks for {accepted}"
            path = own[name].path
            yield Finding(rule="runtime-requirement", subject=subject.facts.label, path=path, message=message)


def _version(facts: ZipFacts, target: Target, distribution: str) -> str:
    """What METADATA says; "" where there is none."""
    folders = tuple(f"{root}/{distribution.replace('-', '_')}-" for root in roots(target))
    for entry in facts.files:
        if entry.path.startswith(folders) and entry.path.endswith(".dist-info/METADATA"):
            match = re.search(r"^Version:[ \t]*(\S+)", entry.text, re.MULTILINE)
            return match[1] if match else ""
    return ""


def _accepts(specifiers: str, version: str) -> bool:
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        return SpecifierSet(specifiers).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False
