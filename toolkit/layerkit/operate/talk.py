"""`prune` and the person at the terminal: the plan, the question, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from layerkit.console import Console
from layerkit.operate import report
from layerkit.operate.results import Pruned, RegionPruned


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """See pipeline.Says."""

    console: Console
    ask: Callable[[str], bool] | None = None  # None: nobody is there to be asked, or it is agreed already

    def note(self, message: str) -> None:
        self.console.note(message)

    def warn(self, message: str) -> None:
        self.console.warn(message)

    def planned(self, result: Pruned) -> bool:
        """Tell the plan, and ask where there is something to delete and somebody to be asked."""
        for region in result.regions:
            self._tell(report.plan_lines(region), report.problems(region))
        if result.dry_run or not self.ask or not any(one.doomed for one in result.regions):
            return True
        # quietly nothing of the plan is told above the question
        doomed = [line for one in result.regions for line in report.doomed_lines(one)] if self.console.quiet else []
        return self.ask("\n".join([*doomed, report.question(result)]))

    def swept(self, region: RegionPruned) -> None:
        """Tell what became of a region."""
        self._tell(report.outcome_lines(region), report.problems(region))

    def _tell(self, lines: Iterable[str], problems: Iterable[str]) -> None:
        """Lines for people; quietly, for annotations in CI and beside JSON, what is not as it was asked for."""
        if not self.console.as_json or self.ask:
            for line in lines:
                self.console.note(line)
        if self.console.quiet or self.console.github or self.console.as_json:
            for problem in problems:
                self.console.warn(problem)
