"""Secrets, private keys, passwords in URLs, files of credentials, as findings; who brought them decides how bad."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from layerkit.verify.checks import machine
from layerkit.verify.facts import Entry, ZipFacts
from layerkit.verify.leaks import COMPILED
from layerkit.verify.records import listed, records
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import Subject
from layerkit.verify.words import shown

SECRET_KINDS = ("secret", "private-key", "index-credentials", "env-file")
WANTED = {
    "secret": "secrets are to be read at run time",
    "private-key": "keys are to be fetched at run time",
    "index-credentials": "no address may hold a password",
    "env-file": "credentials are to be read at run time",
}
# What tools read credentials from, by name.
CREDENTIALS = re.compile(
    r"(?:.*/)?(?:\.env(?:rc|[._-][^/]*)?|[._]netrc|\.pypirc|\.git-credentials|\.pgpass|\.vault-token"
    r"|id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|\.aws/credentials|\.docker/config\.json|\.kube/config)"
)
EXAMPLE = re.compile(r"(?i).*[._-](?:example|sample|template|tmpl|dist|defaults?)(?:\.\w+)?")


def check(subject: Subject) -> Iterator[Finding]:
    """Findings of data/rules/leaks.toml: one for a file and kind, and one for all files that name one path."""
    facts = subject.facts
    suspects = [entry for entry in facts.files if entry.leaks or _is_for_credentials(entry)]
    if suspects:
        makers = _makers(facts)
        known = {(entry.path, leak.kind) for entry in suspects for leak in entry.leaks}
        for entry in suspects:
            yield from _secrets(facts.label, entry, makers, known)
        yield from machine.check(subject, suspects)


def _is_for_credentials(entry: Entry) -> bool:
    return bool(entry.size and CREDENTIALS.fullmatch(entry.path) and not EXAMPLE.fullmatch(entry.name))


def _secrets(label: str, entry: Entry, makers: Mapping[str, str], known: set[tuple[str, str]]) -> Iterator[Finding]:
    """A compiled file tells again what its source holds: once is enough."""
    source = _source(entry.path)
    maker = makers.get(entry.path) or makers.get(source, "")
    told = False
    for kind in SECRET_KINDS:
        leaks = [leak for leak in entry.leaks if leak.kind == kind]
        if leaks:
            told = True
            if source == entry.path or (source, kind) not in known:
                words = f"holds {leaks[0].what}{machine.more(len(leaks))}"
                yield _secret(label, entry, kind, words, maker, leaks[0].line)
    if not told and _is_for_credentials(entry):
        yield _secret(label, entry, "env-file", f"is {shown(entry.name)}, a file made to hold credentials", maker, 0)


def _secret(label: str, entry: Entry, kind: str, words: str, maker: str, line: int) -> Finding:
    rule = "secret-in-distribution" if maker else kind
    wanted = f"{maker} brought it, and only test data of its maker may be such" if maker else WANTED[kind]
    return Finding(rule=rule, subject=label, path=entry.path, message=f"{words}; {wanted}", line=line)


def _source(path: str) -> str:
    """The .py of a compiled file (PEP 3147), or the file itself."""
    if not path.endswith(COMPILED):
        return path
    folder, name = posixpath.split(path)
    parent, last = posixpath.split(folder)
    return posixpath.join(parent if last == "__pycache__" else folder, f"{name.split('.', 1)[0]}.py")


def _makers(facts: ZipFacts) -> dict[str, str]:
    """path -> "name 1.0", of each file that an installed distribution brought, by the RECORDs.

    An installer writes direct_url.json and lists it as well; that is not the maker's.
    """
    found = {}
    for record in records(facts):
        info = record.path.removesuffix(".dist-info/RECORD")
        distribution = shown(info.rpartition("/")[2].replace("-", " ", 1))
        for path in listed(record):
            if not path.endswith(".dist-info/direct_url.json"):
                found[path] = distribution
    return found
