"""What passed is remembered in the cache folder, so that the same bytes are not imported again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from layerkit import __version__
from layerkit.errors import MachineError
from layerkit.files import write_atomically
from layerkit.sandbox.unpacking import source_files
from layerkit.verify.imports.outcomes import ModuleResult, Outcome, Task
from layerkit.verify.imports.place import libraries, scripts

KEPT = 300  # tasks
MODULES = 200  # of one task; a larger one is imported again


class Memory:
    """Passed tasks by key, in one file."""

    def __init__(self, cache: Path) -> None:
        self.file = cache / "imports.json"
        self.known = self._read()
        self.new: dict[str, Any] = {}
        self.hashes: dict[Path, str] = {}

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def key(self, task: Task, place: str) -> str:
        """A digest of all that decides the outcome."""
        zips = [self._hash(file) for file in task.zips]
        source = [(path, mode, self._hash(file)) for path, file, mode in source_files(task.source)]
        program = hashlib.sha256(b"".join(scripts().values())).hexdigest()
        parts = [__version__, program, libraries(task.target), place, task.target.label, zips, task.items, source]
        parts.append(sorted(task.environment.items()))
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _hash(self, file: Path) -> str:
        if file not in self.hashes:
            with file.open("rb") as content:
                self.hashes[file] = hashlib.file_digest(content, "sha256").hexdigest()
        return self.hashes[file]

    def get(self, key: str, task: Task) -> Outcome | None:
        """The outcome as it was, which says that it is remembered."""
        entry: Any = self.known.get(key)
        try:
            results = tuple(ModuleResult(module=name, seconds=seconds) for name, seconds in entry["modules"])
            where, unlike = str(entry["where"]), tuple(map(str, entry["unlike"]))
        except (TypeError, KeyError, ValueError):
            return None
        if [result.module for result in results] != [module for module, _ in task.items]:
            return None
        self.new[key] = {**entry, "used": int(time.time())}
        return Outcome(task=task, where=f"{where}, remembered", results=results, unlike=unlike)

    def put(self, key: str, outcome: Outcome) -> None:
        """Remember an outcome that passed."""
        if outcome.status == "passed" and len(outcome.results) <= MODULES:
            modules = [(result.module, result.seconds) for result in outcome.results]
            entry = {"where": outcome.where, "unlike": outcome.unlike, "modules": modules, "used": int(time.time())}
            self.new[key] = entry

    def write(self) -> None:
        """Add what is new to the file; the oldest go.  A cache that cannot be written is no failure."""
        entries = self._read() | self.new
        if not self.new or entries == self.known:
            return
        newest = sorted(entries, key=lambda key: _used(entries[key]), reverse=True)[:KEPT]
        try:
            write_atomically(self.file, json.dumps({key: entries[key] for key in newest}, indent=0).encode())
        except MachineError:
            return


def _used(entry: object) -> int:
    used = entry.get("used") if isinstance(entry, Mapping) else 0
    return used if isinstance(used, int) else 0
