"""Rules on a layer's folders: what the runtime can import, run or load has one place each below /opt.

`check` is the whole zip group: the archive (structure), its paths (paths), and the folders (here).
Source of the places: AWS Lambda Developer Guide, "Packaging your layer content".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from layerkit.model import Target
from layerkit.verify.checks import junk, paths, structure
from layerkit.verify.checks.junk import is_junk
from layerkit.verify.facts import Entry, ZipFacts
from layerkit.verify.records import listed
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import SITE, Subject, importable, roots
from layerkit.verify.words import gathered, several, shown

MODULE = (".py", ".pyc", ".so")
# Places that the runtime, or its extensions, look at without an import
SERVED = ("bin/", "lib/", "extensions/", "python/")
VERSIONED = re.compile(r"python/lib/(python3\.\d+)/site-packages/")
# Where tools leave modules that Lambda does not find: virtual environments, system Pythons, a folder around it all
SITES = re.compile(r"(?:.*?/)?(?:site-packages|dist-packages)/")
INNER = re.compile(r"python/(?:lib/)?python3(?:\.\d+)?/")
WRAPPED = re.compile(r"[^/]+/(?=python/)|(?!python/)(?i:python)/|(?:lib/)?python3(?:\.\d+)?/")


def check(subject: Subject) -> Iterator[Finding]:
    yield from structure.check(subject)
    yield from paths.check(subject)
    facts = subject.facts
    targets = {target.runtime: target for target in subject.targets}
    yield from junk.check(facts)
    yield from _wheels(facts)
    yield from _nested(facts)
    for target in targets.values():
        yield from _versions(facts, target)
        yield from _mixed(facts, target)
    if own := _own_metadata(facts):
        message = f"the zip is a wheel itself ({own.partition('/')[0]} is at its root): install it into python/"
        yield Finding(rule="layout-wheel", subject=facts.label, path=own, message=message)
    else:
        yield from _nothing_importable(facts, list(targets.values()))


def _nothing_importable(facts: ZipFacts, targets: list[Target]) -> Iterator[Finding]:
    if any(
        _is_module(entry) and _can_be_named(below) for target in targets for below, entry in importable(facts, target)
    ):
        return
    if any(VERSIONED.match(file.path) for file in facts.files):  # told as layout-version
        return
    files = [file for file in facts.files if not is_junk(file.path)]
    homes: dict[str, list[str]] = {}
    for file in files:
        if _is_module(file) or file.path.endswith(".dist-info/METADATA"):
            homes.setdefault(_home(file.path), []).append(file.path)
    served = any(file.path.startswith(SERVED) and _home(file.path) != "lib/" + SITE for file in files)
    extends = any(file.path.startswith("extensions/") for file in files)
    astray = not served or any(_is_astray(path, extends) for path in homes.get("", ()))
    lost = {home: found for home, found in homes.items() if home or astray}
    tops = several(sorted({file.path.partition("/")[0] for file in files}))
    where = f"python/, or python/lib/python{targets[0].python}/{SITE}/"
    if lost:
        home = max(lost, key=lambda home: len(lost[home]))
        place = shown(home) if home else "the zip's root"
        message = f"nothing can be imported: modules are at {place} (its top holds {tops}), and belong in {where}"
        yield Finding(rule="layout", subject=facts.label, path=lost[home][0], message=message)
    elif files and not served:
        message = f"the zip's top holds {tops}; no runtime looks there, but in python/, bin/, lib/ and extensions/"
        yield Finding(rule="layout-unused", subject=facts.label, path=files[0].path, message=message)


def _is_module(entry: Entry) -> bool:
    return entry.path.endswith(MODULE) and not is_junk(entry.path)


def _is_astray(path: str, extends: bool) -> bool:
    """Whether it was meant to be imported from the zip's root, though other files are where Lambda looks.

    Installers put programs into bin/ beside their modules.  An extension may have its own code at the root.
    """
    if path.endswith(".dist-info/METADATA"):
        return True
    folder, _, name = path.rpartition("/")
    is_package = bool(folder) and "/" not in folder and name.partition(".")[0] == "__init__"
    return not extends and (is_package or (not folder and name.endswith((".py", ".pyc"))))


def _can_be_named(below: str) -> bool:
    """Whether an import statement can name this module: site-packages.flask is no name."""
    *folders, name = below.replace("__pycache__/", "").split("/")
    return all(part.isidentifier() for part in (*folders, name.partition(".")[0]))


def _home(path: str) -> str:
    """The folder that modules seem to have been meant to be imported from; "" for the zip's root."""
    match = SITES.match(path) or INNER.match(path) or WRAPPED.match(path)
    return match[0] if match else ""


def _wheels(facts: ZipFacts) -> Iterator[Finding]:
    wheels = []
    for file in facts.files:
        folder, _, name = file.path.rpartition("/")
        if name.endswith(".whl") and (folder in ("", "python") or VERSIONED.fullmatch(f"{folder}/")):
            wheels.append(file.path)
    clause = "{is} packed as a whole, and Python imports from no wheel here: install it into python/"
    yield from gathered(facts, "layout-wheel", wheels, "wheel", clause)


def _own_metadata(facts: ZipFacts) -> str:
    """The path of WHEEL in a zip that is one wheel (PEP 427); "" of what was installed, which has other files too."""
    files = {file.path: file for file in facts.files if not is_junk(file.path)}
    infos = {path.partition("/")[0] for path in files if path.partition("/")[0].endswith(".dist-info")}
    info = infos.pop() if len(infos) == 1 else ""
    wheel, record = f"{info}/WHEEL", files.get(f"{info}/RECORD")
    if wheel not in files or record is None or f"{info}/INSTALLER" in files:
        return ""
    signatures = {f"{info}/RECORD{suffix}" for suffix in ("", ".jws", ".p7s")}
    return "" if files.keys() - signatures - set(listed(record)) else wheel


def _nested(facts: ZipFacts) -> Iterator[Finding]:
    inner = [file.path for file in facts.files if file.path.startswith("python/python/")]
    if inner and "python/python/__init__.py" not in inner:
        clause = "{is} in python/python/, one folder too deep: Lambda looks in /opt/python"
        yield from gathered(facts, "layout-nested", inner, "file", clause)


def _versions(facts: ZipFacts, target: Target) -> Iterator[Finding]:
    found = {match[1]: file.path for file in facts.files if (match := VERSIONED.match(file.path))}
    if found and f"python{target.python}" not in found:
        have = several([f"python/lib/{name}/{SITE}" for name in sorted(found)])
        message = f"holds {have}, and {target.runtime} looks in {roots(target)[0]}"
        yield Finding(rule="layout-version", subject=facts.label, path=min(found.values()), message=message)


def _mixed(facts: ZipFacts, target: Target) -> Iterator[Finding]:
    site, top = roots(target)
    names: dict[str, dict[str, None]] = {site: {}, top: {}}
    for below, entry in importable(facts, target):
        name = below.partition("/")[0]
        if _is_module(entry) and name not in ("__pycache__", "bin"):
            names[site if entry.path.startswith(f"{site}/") else top][name] = None
    if not all(names.values()):
        return
    if split := [name for name in names[top] if name in names[site]]:
        message = f"both {site} and {top} hold {several(split)}: the first hides the other on sys.path"
        yield Finding(rule="layout-split", subject=facts.label, path=f"{top}/{split[0]}", message=message)
    else:
        message = f"{top} holds {several(list(names[top]))} and {site} {several(list(names[site]))}: use one place"
        yield Finding(rule="layout-mixed", subject=facts.label, path=top, message=message)
