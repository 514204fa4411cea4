"""A function with its layers as Lambda puts them together: what hides what, what is there twice, what is missing.

Layers are unpacked into /opt in their order, the last one wins for each file.  Python then takes the first module of
a name on sys.path: /var/task, /opt/python/lib/pythonX.Y/site-packages, /opt/python, the runtime's own.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from layerkit import targets
from layerkit.verify.checks import distributions
from layerkit.verify.checks.distributions import Distribution
from layerkit.verify.facts import Entry, Kind
from layerkit.verify.rules import Finding
from layerkit.verify.subjects import FunctionSubject, roots
from layerkit.verify.words import count, several, shown

OWN = "its source"  # what messages call the function's own folder
TASK = "/var/task"
MODULE = (".py", ".pyc", ".so")
# Differences in these harm nobody: what installers note, bytecode (of equal or other sources, which are compared
# themselves), scripts that are not on PATH, and texts for people at the top of an import root.
HARMLESS = re.compile(
    r"(?:^|/)[^/]+\.(?:dist|egg)-info/|(?:^|/)__pycache__/|^python/bin/"
    r"|^(?:python/(?:lib/python3\.[0-9]+/site-packages/)?)?(?:README|LICEN[CS]E|NOTICE|COPYING|AUTHORS|CHANGE)[^/]*$",
    re.IGNORECASE,
)
# Folders at the top that many distributions leave there by mistake; nobody imports them in Lambda.
STRAY = frozenset({"test", "tests", "doc", "docs", "example", "examples", "benchmarks"})
DEEPEST = 20  # levels of namespace packages inside each other
MOST_NAMES = 2000  # among which a look-alike is searched


@dataclass(frozen=True, slots=True)
class _File:
    """A file as Lambda has it, and whose it is: a zip's label, or OWN."""

    owner: str
    path: str  # absolute
    entry: Entry

    def equals(self, other: _File) -> bool:
        return _content(self.entry) == _content(other.entry)


Tree = Mapping[str, _File]  # path below some folder -> file


def check(subject: FunctionSubject) -> Iterator[Finding]:
    everything = _Function(subject)
    for one in (everything.count, everything.size, everything.overwritten, everything.hidden, everything.twice,
                everything.requirements, everything.handler):  # fmt: skip
        yield from one()


def remaining(subject: FunctionSubject) -> int:
    """Bytes that its layers and source may still grow by.  AWS adds up the layers, whatever they overwrite."""
    source = sum(entry.size for entry in subject.source if entry.kind is Kind.FILE)
    return targets.limit("unzipped_bytes") - source - sum(facts.unpacked_size for facts in subject.layers)


def _content(entry: Entry) -> tuple[Kind, int, int, str]:
    return entry.kind, entry.size, entry.crc, entry.link


class _Function:
    """One function; each public method is a rule."""

    def __init__(self, subject: FunctionSubject) -> None:
        self.subject, self.label = subject, f"function {subject.name}"
        self.replaced: list[tuple[_File, _File]] = []  # in /opt: what is there, what it was unpacked over
        self.opt: dict[str, _File] = {}
        for facts in subject.layers:
            for entry in facts.entries:
                if entry.kind in (Kind.FILE, Kind.LINK):
                    new = _File(facts.label, f"/opt/{entry.path}", entry)
                    if entry.path in self.opt and self.opt[entry.path].owner != new.owner:
                        self.replaced.append((new, self.opt[entry.path]))
                    self.opt[entry.path] = new
        site, top = (f"{root}/" for root in roots(subject.target))
        own = {one.path: _File(OWN, f"{TASK}/{one.path}", one) for one in subject.source if one.kind is Kind.FILE}
        self.places: list[dict[str, _File]] = [own, {}, {}]  # in the order of sys.path
        for path, file in self.opt.items():
            if path.startswith(site):
                self.places[1][path.removeprefix(site)] = file
            elif path.startswith(top) and not path.startswith("python/lib/python3."):
                self.places[2][path.removeprefix(top)] = file
        self.installed = [(facts.label, distributions.installed(facts, subject.target)) for facts in subject.layers]
        self.installed.append((OWN, distributions.found((entry.path, entry) for entry in subject.source)))

    def finding(self, rule: str, message: str, path: str = "") -> Finding:
        return Finding(rule=f"function-{rule}", subject=self.label, path=path, message=message)

    def count(self) -> Iterator[Finding]:
        limit, number = targets.limit("layers_per_function"), len(self.subject.layers)
        if number > limit:
            yield self.finding("layers", f"it attaches {number} layers, and Lambda takes {limit}")

    def size(self) -> Iterator[Finding]:
        left, limit = remaining(self.subject), targets.limit("unzipped_bytes")
        if left < 0:
            sizes = [(facts.unpacked_size, facts.label) for facts in self.subject.layers]
            sizes.append((limit - left - sum(size for size, _ in sizes), OWN))
            parts = several([f"{label} {size:,}" for size, label in sorted(sizes, reverse=True)])
            message = f"its layers and source unpack to {limit - left:,} bytes, {-left:,} more than the {limit:,}"
            yield self.finding("size", f"{message} that Lambda takes: {parts}")

    def overwritten(self) -> Iterator[Finding]:
        groups: defaultdict[tuple[str, str, str, str], list[str]] = defaultdict(list)
        for new, old in self.replaced:
            if not new.equals(old) and not HARMLESS.search(new.entry.path):
                groups[new.owner, old.owner, self.compiled_by(new), _package(new.entry.path)].append(new.path)
        for (winner, loser, runs, _), paths in groups.items():
            message = f"{winner} overwrites {count(len(paths), 'file')} of {loser} with other content, since it is"
            message += f" attached later ({several(paths)})"
            message += f"; Python still runs the bytecode of {runs}" if runs else ""
            yield self.finding("shadow", message, paths[0])

    def compiled_by(self, source: _File) -> str:
        """Whose bytecode runs in its place: that with an unchecked hash is taken for any source (PEP 552)."""
        folder, slash, name = source.entry.path.rpartition("/")
        tag = f"cpython-{self.subject.target.python.replace('.', '')}"
        cached = self.opt.get(f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.{tag}.pyc")
        code = cached.entry.bytecode if cached and name.endswith(".py") else None
        is_taken = code is not None and code.hashed and not code.checked
        return cached.owner if cached and is_taken and cached.owner != source.owner else ""

    def hidden(self) -> Iterator[Finding]:
        portions = [
            {
                path: file
                for path, file in place.items()
                if path.endswith(MODULE) and not HARMLESS.search(file.entry.path)
            }
            for place in self.places
        ]
        for name, winner, loser in _rivals(portions):
            yield from self.rivals(name, winner, loser)

    def rivals(self, name: str, winner: Tree, loser: Tree) -> Iterator[Finding]:
        """Two modules, or packages, of one name in two places."""
        inits = [file for path, file in winner.items() if path.startswith(f"{name}/__init__.")]
        package, head = bool(inits), next(iter(inits or [file for path, file in winner.items() if "/" not in path]))
        whose = several(sorted({file.owner for file in loser.values()}))
        other = [file.path for path, file in loser.items() if path in winner and not file.equals(winner[path])]
        gone = [file.path for path, file in loser.items() if path not in winner]
        if other:
            message = f"{head.path} of {head.owner} is found before {count(len(other), 'module')} of {whose}"
            yield self.finding("shadow", f"{message} with other content ({several(other)})", other[0])
        if gone and package:
            message = f"the package {shown(name)} of {head.owner} ({head.path.rpartition('/')[0]}) hides"
            message += f" {count(len(gone), 'module')} of {whose} that it does not have ({several(gone)})"
            yield self.finding("split-package", message, gone[0])
        elif gone:
            message = f"{head.path} of {head.owner} is found before {shown(name)} of {whose} ({several(gone)})"
            yield self.finding("shadow", message, gone[0])

    def twice(self) -> Iterator[Finding]:
        holders: defaultdict[str, dict[str, Distribution]] = defaultdict(dict)
        for owner, those in self.installed:
            for one in those:
                holders[one.name].setdefault(owner, one)
        shared: defaultdict[tuple[str, ...], list[Distribution]] = defaultdict(list)
        for name, by_owner in holders.items():
            versions = {one.version for one in by_owner.values()}
            if len(versions) > 1:
                places = several([f"{one.version} in {owner}" for owner, one in by_owner.items()])
                yield self.finding("duplicate", f"{shown(name)} is there in {len(versions)} versions: {places}")
            elif len(by_owner) > 1:
                shared[tuple(by_owner)].append(next(iter(by_owner.values())))
        for owners, same in shared.items():
            waste = sum(self.bytes_of(owner, {holders[one.name][owner] for one in same}) for owner in owners[1:])
            which = f"{same[0]} is" if len(same) == 1 else f"{count(len(same), 'distribution')} are"
            message = f"{which} in {', '.join(owners[:-1])} and {owners[-1]}"
            message += f", which wastes {waste:,} bytes" if waste else ""
            more = f" ({several([str(one) for one in same])})" if len(same) > 1 else ""
            yield self.finding("packed-twice", message + more)

    def bytes_of(self, owner: str, those: Collection[Distribution]) -> int:
        """0 for what is in the source: its RECORDs are not read."""
        found = [facts for facts in self.subject.layers if facts.label == owner][:1]
        return sum(
            entry.size
            for facts in found
            for paths in [distributions.recorded(facts, those)]
            for entry in facts.files
            if entry.path in paths
        )

    def requirements(self) -> Iterator[Finding]:
        everything = [one for _, those in self.installed for one in those]
        owners = {one: owner for owner, those in self.installed for one in those}
        for one, wanted, there in distributions.unmet(everything, everything, self.subject.target):
            missing = f"{shown(there)} is there" if there else "nothing here nor the runtime has it"
            yield self.finding("requirement", f"{one} in {owners[one]} requires {shown(wanted)}, and {missing}")

    def handler(self) -> Iterator[Finding]:
        """Only where the source is declared: else the handler may be in it."""
        if not self.subject.handler or not self.subject.source:
            return
        name = self.subject.handler.rpartition(".")[0].replace("/", ".")
        known = list(dict.fromkeys(_module(path) for place in self.places for path in place if path.endswith(MODULE)))
        if name not in known:
            near = difflib.get_close_matches(name, known[:MOST_NAMES], n=1)
            hint = f"; did you mean {shown(near[0])}?" if near else ""
            message = f"the handler's module {shown(name)} is neither in its source nor in a layer{hint}"
            yield self.finding("handler", message)


def _rivals(portions: Sequence[Tree], depth: int = 0) -> Iterator[tuple[str, Tree, Tree]]:
    """(name, what Python finds, what it does not) of modules that are in several of these places.

    Python takes the first place that has a module or a package of the name; where all are folders without an
    __init__, they are one namespace package (PEP 420), and what is inside is looked for in the same way.
    """
    named: defaultdict[str, dict[int, dict[str, _File]]] = defaultdict(dict)
    for place, tree in enumerate(portions):
        for path, file in tree.items():
            first, slash, _ = path.partition("/")
            named[first if slash else first.partition(".")[0]].setdefault(place, {})[path] = file
    for name, by_place in named.items():
        trees = list(by_place.values())
        if len(trees) == 1 or (depth == 0 and name in STRAY):
            continue
        winner = next((tree for tree in trees if _found(tree, name)), None)
        if winner is not None:
            yield from ((name, winner, tree) for tree in trees if tree is not winner)
        elif depth < DEEPEST:
            yield from _rivals([{path.partition("/")[2]: tree[path] for path in tree} for tree in trees], depth + 1)


def _found(tree: Tree, name: str) -> bool:
    return any("/" not in path or path.startswith(f"{name}/__init__.") for path in tree)


def _package(path: str) -> str:
    """The folder or file at the top of the import root, or of the zip, that a path in a layer belongs to."""
    inner = re.sub(r"^python/(?:lib/python3\.[0-9]+/site-packages/)?", "", path)
    return inner.partition("/")[0]


def _module(path: str) -> str:
    """`a/b.cpython-312-x86_64-linux-gnu.so` -> `a.b`; `a/__init__.py` -> `a`."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}".removesuffix("/__init__").replace("/", ".")
