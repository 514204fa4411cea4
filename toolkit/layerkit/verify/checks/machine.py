"""Paths of the machine that built, as findings: each once, and only what whoever builds the layer can change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from layerkit.verify.checks import compiled
from layerkit.verify.facts import Entry, Leak, ZipFacts
from layerkit.verify.leaks import COMPILED, hostpaths
from layerkit.verify.leaks.forms import MOST
from layerkit.verify.records import listed, records
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import Subject
from layerkit.verify.words import count

# By an installer, though RECORD lists them too
INSTALLERS = (".dist-info/direct_url.json", ".dist-info/RECORD")
# A wheel's tag that no public index takes: it was built where it was installed (PyPA, "Platform compatibility tags")
BUILT_HERE = ("-linux_x86_64", "-linux_aarch64")


def check(subject: Subject, suspects: Sequence[Entry]) -> Iterator[Finding]:
    """Files that were compiled or installed together name one machine: that is one finding."""
    leaking = [(entry, leaks) for entry in suspects if (leaks := _of(entry))]
    makers = _makers(subject.facts) if leaking else frozenset[str]()
    told = compiled.foreign(subject) if any(entry.path.endswith(COMPILED) for entry, _ in leaking) else {}
    groups: dict[str, list[tuple[Entry, list[Leak]]]] = {}
    for entry, found in leaking:
        leaks = [leak for leak in found if leak.what != told.get(entry.path)]
        if leaks and not _is_its_makers(entry, makers):
            key = COMPILED[0] if entry.path.endswith(COMPILED) else leaks[0].what
            groups.setdefault(key, []).append((entry, leaks))
    for key, group in groups.items():
        entry, leaks = group[0]
        message = f"names {leaks[0].what}{more(len(leaks))}, of the machine that built it"
        if len(group) > 1:
            others = count(len(group) - 1, "more compiled file" if key == COMPILED[0] else "more file")
            message += f", and so {'does' if len(group) == 2 else 'do'} {others}"
        message += "; only paths below /opt are true in Lambda"
        label = subject.facts.label
        yield Finding(rule=hostpaths.KIND, subject=label, path=entry.path, message=message, line=leaks[0].line)


def more(number: int) -> str:
    """How many there are besides the one that is shown."""
    if number == 1:
        return ""
    return f" and {'at least ' if number >= MOST else ''}{number - 1} more"


def _of(entry: Entry) -> list[Leak]:
    """Its paths, but for one that every `pip install -t` in a container or a CI service leaves where no one looks.

    python/bin/ is not on PATH, so that no script in it is run; and such a folder tells of nobody.
    """
    aside = entry.script and entry.path.startswith("python/")
    leaks = (leak for leak in entry.leaks if leak.kind == hostpaths.KIND)
    return [leak for leak in leaks if not (aside and leak.line == 1 and hostpaths.is_of_image(leak.what))]


def _is_its_makers(entry: Entry, makers: frozenset[str]) -> bool:
    """Whether it came so in a wheel.  Installers write bytecode, and the first line of programs."""
    if entry.path not in makers or entry.path.endswith((*COMPILED, *INSTALLERS)):
        return False
    return not (entry.script and f"/{entry.path}".rpartition("/")[0].endswith("/bin"))


def _makers(facts: ZipFacts) -> frozenset[str]:
    """What the RECORDs list of wheels that were built elsewhere."""
    files = {entry.path: entry for entry in facts.files if ".dist-info/" in entry.path}
    paths: set[str] = set()
    for record in records(facts):
        folder = record.path.removesuffix("RECORD")
        wheel = files.get(f"{folder}WHEEL")
        tags = [line.strip() for line in wheel.text.splitlines() if line.startswith("Tag:")] if wheel else []
        if f"{folder}direct_url.json" not in files and not any(tag.endswith(BUILT_HERE) for tag in tags):
            paths.update(listed(record))
    return frozenset(paths)
