"""Rules on where entries unpack to below /opt, what they are there, and who may read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from layerkit.verify.facts import Entry, Format, Kind, ZipFacts
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import Subject
from layerkit.verify.words import count, gathered, several

# Linux ends at 255 bytes a name (NAME_MAX) and 4,096 a path (PATH_MAX); what distributions have is far below these.
LONGEST_NAME, LONGEST_PATH, DEEPEST = 255, 1024, 32
MOST_FOLDERS = 50_000  # that are looked at; a real layer has some thousands
MOST_STEPS = 200_000  # in following all links of a zip: a second's work
HOPS = 40  # as many links as Linux follows for one path (path_resolution(7), ELOOP)
READ, SEARCH, RUN = 0o4, 0o5, 0o1  # bits of "others": Lambda's user owns nothing in /opt
NOWHERE = "to what is neither in this layer nor in those it uses"
ESCAPE = re.compile(r"\\x(?:[01][0-9a-f]|7f|[89][0-9a-f])")  # how the reader writes a control character


def check(subject: Subject) -> Iterator[Finding]:
    facts = subject.facts
    yield from _names(facts)
    yield from _twice(facts)
    yield from _links(subject)
    special = [entry.path for entry in facts.entries if entry.kind is Kind.SPECIAL]
    clause = "{is} neither file, folder nor link, but a device, a pipe or a socket"
    yield from gathered(facts, "special-file", special, "special file", clause)
    yield from _modes(facts)


def is_sound(path: str) -> bool:
    """Whether the path can be one in /opt at all; the rules that look at trees leave out all others."""
    parts = path.split("/", DEEPEST)
    return len(path) <= LONGEST_PATH and len(parts) <= DEEPEST and not {"", ".", ".."} & set(parts)


def _names(facts: ZipFacts) -> Iterator[Finding]:
    escaping: dict[str, list[str]] = {}
    for entry in facts.entries:
        if reason := _escapes(entry):
            escaping.setdefault(reason, []).append(entry.path)
    for reason, paths in escaping.items():
        yield from gathered(facts, "path-escape", paths, "path", reason)
    yield from gathered(
        facts,
        "path-length",
        [entry.path for entry in facts.entries if _is_long(entry.path)],
        "path",
        f"{{is}} over {LONGEST_PATH:,} characters, {LONGEST_NAME} bytes in one name or {DEEPEST} folders",
    )
    unclear = [entry.path for entry in facts.entries if entry.raw_name]
    yield from gathered(
        facts, "path-encoding", unclear, "name", "{has} bytes that are no UTF-8, which no import finds"
    )


def _escapes(entry: Entry) -> str:
    path = entry.path
    if path.startswith("/") or re.match(r"[A-Za-z]:[\\/]", path):
        return "{is} below the root of a file system; it must be relative to /opt"
    parts = re.split(r"[/\\]" if not entry.raw_name else "/", path)
    if ".." in parts:
        return "{has} a .. in it, which leads out of its folder"
    if entry.raw_name:
        return ""
    if ESCAPE.search(path):
        return "{has} a control character in it"
    if "\\" in path:
        return "{has} a backslash for a slash, as zips of some Windows tools do: Lambda unpacks one oddly named file"
    if {"", "."} & set(parts):
        return "{has} an empty or . part; it must be plain, such as python/flask/app.py"
    return ""


def _is_long(path: str) -> bool:
    if len(path) > LONGEST_PATH or path.count("/") >= DEEPEST:
        return True
    return len(path) > LONGEST_NAME // 4 and any(
        len(part.encode("utf-8", "replace")) > LONGEST_NAME for part in path.split("/")
    )


def _twice(facts: ZipFacts) -> Iterator[Finding]:
    tree = Tree((facts,))
    times: dict[str, int] = {}
    for entry in facts.entries:
        if entry.kind is not Kind.FOLDER:
            times[entry.path] = times.get(entry.path, 0) + 1
    doubled = [path for path, number in times.items() if number > 1]
    clause = "{is} in the zip more than once, and which one Lambda keeps is not defined"
    yield from gathered(facts, "path-duplicate", doubled, "path", clause)
    both = [path for path in times if path in tree.folders]
    clause = "{is} a file or a link and has files below too, and only one of the two can be unpacked"
    yield from gathered(facts, "path-both", both, "path", clause)
    yield from _case(facts, tree)


def _case(facts: ZipFacts, tree: Tree) -> Iterator[Finding]:
    first: dict[str, str] = {}
    pairs = []
    for path in {**tree.entries, **dict.fromkeys(tree.folders)}:
        folder, _, name = path.rpartition("/")
        other = first.setdefault(f"{folder}/{name.casefold()}", path)
        if other != path:
            pairs.append(sorted((other, path)))
    pairs.sort()
    if pairs:
        listed = several([" and ".join(pair) for pair in pairs])
        message = f"names differ in nothing but capitals: {listed}"
        yield Finding(rule="path-case", subject=facts.label, path=pairs[0][0], message=message)


class Tree:
    """What is in /opt once some zips are unpacked there, the last on top."""

    def __init__(self, zips: tuple[ZipFacts, ...]) -> None:
        self.entries = {entry.path: entry for one in zips for entry in one.entries if is_sound(entry.path)}
        self.steps = 0  # taken in following links
        self.folders = {path for path, entry in self.entries.items() if entry.kind is Kind.FOLDER}
        for path in self.entries:
            folder = path.rpartition("/")[0]
            while folder and folder not in self.folders and len(self.folders) < MOST_FOLDERS:
                self.folders.add(folder)
                folder = folder.rpartition("/")[0]

    def has(self, path: str) -> bool:
        return not path or path in self.entries or path in self.folders


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """Where a link leads: a path below /opt, or outside of it, or nowhere by some problem."""

    path: str = ""
    outside: bool = False
    problem: str = ""


def _links(subject: Subject) -> Iterator[Finding]:
    links = [entry for entry in subject.facts.entries if entry.kind is Kind.LINK and is_sound(entry.path)]
    tree = Tree(subject.together if links else ())
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in links:
        end = _follow(tree, entry)
        if end.outside:
            found.setdefault(("link-escape", "out of /opt, where no layer has files"), []).append(entry)
        elif end.problem or not tree.has(end.path):
            found.setdefault(("link-dangling", end.problem or NOWHERE), []).append(entry)
    for (rule, where), lost in found.items():
        examples = several([f"{entry.path} -> {entry.link}" for entry in lost])
        leads = "1 link leads" if len(lost) == 1 else f"{count(len(lost), 'link')} lead"
        message = f"{leads} {where} ({examples})"
        yield Finding(rule=rule, subject=subject.facts.label, path=lost[0].path, message=message)


def _follow(tree: Tree, link: Entry) -> _End:
    """Part by part, as the kernel does."""
    waiting = link.path.split("/")[::-1]
    at: list[str] = []
    hops = 0
    while waiting:
        tree.steps += 1
        if tree.steps > MOST_STEPS:
            return _End(problem="on through more links than can be followed")
        part = waiting.pop()
        if part == ".." and not at:
            return _End(outside=True)
        if part == "..":
            at.pop()
        elif part not in ("", "."):
            at.append(part)
            here = tree.entries.get("/".join(at))
            if here is None or here.kind is not Kind.LINK:
                continue
            hops += 1
            to = here.link.split("/", 2 * DEEPEST)
            if hops > HOPS:
                return _End(problem="in a circle")
            if len(here.link) > LONGEST_PATH or len(at) + len(waiting) + len(to) > 2 * DEEPEST:
                return _End(problem="to a path that is too long")
            at.pop()
            if here.link.startswith("/"):
                to = [part for part in to if part not in ("", ".")]
                if to[:1] != ["opt"]:
                    return _End(outside=True)
                at, to = [], to[1:]
            waiting += to[::-1]
    return _End(path="/".join(at))


def _modes(facts: ZipFacts) -> Iterator[Finding]:
    files, folders, programs = [], [], []
    for entry in facts.entries:
        if entry.mode is None:
            continue
        if entry.kind is Kind.FILE and not entry.mode & READ:
            files.append(entry)
        elif entry.kind is Kind.FOLDER and entry.mode & SEARCH != SEARCH:
            folders.append(entry)
        elif entry.kind is Kind.FILE and _is_program(entry) and not entry.mode & RUN:
            programs.append(entry)
    for found, noun, need in (
        (files, "file", "cannot be read by Lambda's user: mode {mode} where 0644 or 0755 would do"),
        (folders, "folder", "cannot be listed and entered by Lambda's user: mode {mode} where 0755 would do"),
    ):
        if found:
            clause = need.replace("{mode}", f"{found[0].mode:04o}")
            yield from gathered(facts, "mode", [entry.path for entry in found], noun, clause)
    clause = (
        f"cannot be executed by Lambda's user: mode {programs[0].mode:04o} where 0755 would do" if programs else ""
    )
    yield from gathered(facts, "mode-program", [entry.path for entry in programs], "program", clause)


def _is_program(entry: Entry) -> bool:
    """Lambda starts every file of extensions/; bin/ is on PATH and may hold data of programs too."""
    folder = entry.path.rpartition("/")[0]
    return folder == "extensions" or (folder == "bin" and (entry.script or entry.format is Format.ELF))
