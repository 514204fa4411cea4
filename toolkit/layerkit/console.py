"""The only file that prints.  Progress and warnings go to standard error; --json puts the result on standard output.

On a terminal each layer has a live line; elsewhere, and in CI logs, a plain line for each layer that is done.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from layerkit.errors import LayerkitError, MachineError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from layerkit.doctor.findings import Finding
    from layerkit.pipeline import LayerResult, LockResult
    from layerkit.publish.results import RegionResult, Result
    from layerkit.verify.report import Report

COLOURS = {"ok": 32, "warn": 33, "warning": 33, "fail": 31, "error": 31}


def size(count: int) -> str:
    """1_234_567 -> "1.23 MB" (decimal, as AWS counts)."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}" if count < scale * 1000 else f"{count / scale:.0f} {unit}"
    return f"{count} B"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


class Console:
    """Shows what the pipeline does.  A context manager: leaving it takes the live lines away, whatever happened."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.as_json = as_json
        self.github = os.environ.get("GITHUB_ACTIONS") == "true"
        self.live: Progress | None = None
        self.tasks: dict[str, TaskID] = {}
        self.width = 0
        self.grouped = False
        self.steps: set[tuple[str, str]] = set()
        self.start = time.monotonic()
        self.warnings: list[str] = []

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_live()
        self._end_group()

    def _end_live(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None

    def _end_group(self) -> None:
        if self.grouped:
            self._print("::endgroup::")
            self.grouped = False

    def _print(self, line: str) -> None:
        if self.live:
            self.live.console.print(line, markup=False, highlight=False, soft_wrap=True)
            return
        try:
            print(line, file=self.stream, flush=True)
        except OSError:  # nobody reads it, or the disk is full: no reason to leave work half done and unrecorded
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def warn(self, message: str) -> None:
        if message in self.warnings:
            return
        self.warnings.append(message)
        if self.github:
            self._print(f"::warning title=layerkit::{_escaped(message)}")
        else:
            self._print(f"warning: {message}")

    def note(self, message: str) -> None:
        """Something worth knowing that is no reason to worry."""
        if not self.quiet:
            self._print(message)

    def begin(self, files: Sequence[str]) -> None:
        self.width = max(map(len, files), default=0)
        if self.quiet:
            return
        if self.github:
            self._print(f"::group::layerkit build: {', '.join(files)}")
            self.grouped = True

    def step(self, file: str, doing: str) -> None:
        """`file` is at work.  Live lines begin with the first step, so that a build with nothing to do is quick."""
        if self.quiet:
            return
        if self.stream.isatty() and not self.github:
            self._live_step(file, doing)
            return
        kind = (file, doing.partition(" ")[0])
        if kind not in self.steps:  # a log gets one line for each kind of step
            self.steps.add(kind)
            self._print(f"{file.ljust(self.width)}  {doing}")

    def _live_step(self, file: str, doing: str) -> None:
        if not self.live:
            import rich.console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.fields[file]}"), TextColumn("{task.description}"))
            console = rich.console.Console(file=self.stream)
            self.live = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
            self.live.start()
        if file not in self.tasks:
            self.tasks[file] = self.live.add_task(doing, total=None, file=file.ljust(self.width))
        self.live.update(self.tasks[file], description=doing)

    def done(self, result: LayerResult) -> None:
        if self.live and result.entry["file"] in self.tasks:
            self.live.remove_task(self.tasks.pop(result.entry["file"]))
        self._end_group()  # what matters stays visible when the group is folded
        if not self.quiet:
            self._print(self._summary(result))

    def _summary(self, result: LayerResult) -> str:
        entry = result.entry
        count = len(entry["distributions"])
        content = f"{count} distribution{'s' if count != 1 else ''}" if count else "own source"
        compiler = entry["bytecode"]["compiler"]
        state = f"built in {result.seconds:.1f} s" if result.built else "unchanged"
        return (
            f"{entry['file'].ljust(self.width)}  {entry['runtime']} {entry['architecture']}  "
            f"{size(entry['size']):>8} ({size(entry['unzipped_size'])} unzipped)  {content}, "
            f"{f'bytecode by {compiler}' if compiler else 'no bytecode'}  {state}"
        )

    def built(self, results: Sequence[LayerResult], output: str) -> None:
        self._end_live()
        if self.as_json:
            layers = [result.entry | {"status": "built" if result.built else "unchanged"} for result in results]
            self._result({"output": output, "layers": layers, "warnings": self.warnings})
        elif not self.quiet:
            total = sum(result.entry["size"] for result in results)
            count = sum(result.built for result in results)
            seconds = time.monotonic() - self.start
            what = f"{count} of {len(results)} built" if count else "nothing changed"
            self._print(f"{output}: {what}, {size(total)} in all, {seconds:.2f} s")

    def locked(self, result: LockResult) -> None:
        before = {pin.name: pin.version for pin in result.previous.pins} if result.previous else {}
        after = {pin.name: pin.version for pin in result.lock.pins}
        changes = [
            {"name": name, "from": before.get(name), "to": after.get(name)}
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]
        changed = result.lock != result.previous
        if self.as_json:
            self._result({"lock": str(result.path), "changed": changed, "distributions": after, "changes": changes})
        elif not self.quiet:
            for change in changes:
                self._print(f"  {change['name']}: {change['from'] or 'new'} -> {change['to'] or 'gone'}")
            self._print(f"{result.path.name}: {len(after)} distributions, {'written' if changed else 'unchanged'}")

    def diagnosed(self, findings: Sequence[Finding]) -> None:
        """A line for each finding, and one for its cure; quietly, those alone that are not as they should be."""
        if self.as_json:
            checks = [{"check": f.name, "status": f.status, "found": f.found, "cure": f.cure} for f in findings]
            self._result({"ok": all(f.status != "fail" for f in findings), "checks": checks})
            return
        shown = [finding for finding in findings if finding.status != "ok" or not self.quiet]
        width = max((len(finding.name) for finding in shown), default=0)
        for finding in shown:
            mark = self._coloured(f"{finding.status:4}", finding.status)
            self._print(f"{mark}  {finding.name.ljust(width)}  {finding.found}")
            if finding.cure:
                self._print(f"{' ' * (width + 8)}To do: {finding.cure}")

    def verified(self, report: Report, form: str) -> None:
        """A verdict for each zip and function; in CI on GitHub an annotation for each finding besides."""
        from layerkit.verify import report as reports

        self._end_live()
        if form == "json":
            self._result(reports.as_json(report) | {"warnings": self.warnings})
        elif form == "sarif":
            from layerkit.verify.sarif import as_sarif

            self._result(as_sarif(report))
        elif form == "github":
            self._out("\n".join(reports.as_github(report)))
        else:
            for line in reports.as_text(report, quiet=self.quiet):
                self._print(self._coloured(line))
            if self.github:
                for line in reports.as_github(report):
                    self._print(line)
            if not self.quiet or not report.ok:
                self._print(reports.summary(report))

    def region_done(self, result: RegionResult) -> None:
        """What became of a region, as soon as it is known; quietly, only what is not as it was asked for."""
        from layerkit.publish import report as reports

        self._end_live()
        if not self.as_json and (result.failed or not self.quiet):
            for line in reports.lines(result):
                self._print(line)
        if self.github:
            for problem in reports.problems(result):
                self._print(f"::error title=layerkit publish::{_escaped(problem)}")

    def published(self, result: Result) -> None:
        """The end of a run: the table is printed already."""
        from layerkit.publish import report as reports

        if self.as_json:
            self._result(reports.as_json(result) | {"warnings": self.warnings})
        elif not self.quiet or result.failed:
            seconds = time.monotonic() - self.start
            self._print(f"{reports.summary(result)}; {seconds:.1f} s")
        if result.unrecorded:
            self.problem(result.unrecorded)

    def log(self, line: str) -> None:
        """A line of a function's log, as it comes."""
        self._print(line)

    def asked(self, text: str, facts: object) -> None:
        """What a command was asked for goes to standard output: text for people, or JSON."""
        if self.as_json:
            self._result(facts)
        else:
            self._out(text.rstrip("\n"))

    def said(self, message: str, **facts: Any) -> None:
        """The result of a command that has just one thing to say."""
        if self.as_json:
            self._result(facts)
        elif not self.quiet:
            self._print(message)

    def failed(self, error: LayerkitError) -> None:
        self._end_live()
        if self.as_json:
            keys = ("what", "where", "why", "cure")
            problems = [
                {"line": p.line, "path": p.path, "message": p.message} for p in getattr(error, "problems", ())
            ]
            fields = {key: getattr(error, key) for key in keys}
            self._result({"error": {"kind": type(error).__name__, **fields, "problems": problems}})
        self.problem(error)

    def problem(self, error: LayerkitError) -> None:
        """What went wrong; the result, if there is one, is told besides."""
        if self.github:
            self._print(f"::error title=layerkit::{_escaped(str(error))}")
        self._print(f"{self._coloured('error:', 'error')} {error}")

    def _coloured(self, text: str, word: str = "") -> str:
        """`text` in the colour of the word that it stands for, or begins with, on a terminal that has colours."""
        colour = COLOURS.get(word or text.strip().partition(":")[0])
        colours = self.stream.isatty() and "NO_COLOR" not in os.environ
        return f"\x1b[{colour}m{text}\x1b[0m" if colours and colour else text

    def _result(self, value: object) -> None:
        self._out(json.dumps(value, indent=2))

    def _out(self, text: str) -> None:
        """Print what was asked for.  Raises MachineError where nobody takes it: a full disk, a closed pipe."""
        try:
            print(text, flush=True)  # noqa: T201
        except OSError as error:
            self.as_json = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python fails again at its end
            why = error.strerror or str(error)
            raise MachineError("the result cannot be written", where="standard output", why=why) from None


def _escaped(message: str) -> str:
    """As a GitHub workflow command takes a message."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
