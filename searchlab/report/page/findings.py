"""What a study came to, gathered once for all sections of its report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from searchlab.engine.diagnostics.files import DiagnosticFiles
from searchlab.engine.diagnostics.tasks import Skipped, skipped_key
from searchlab.report.comparisons import ComparedBaselines, compare_baselines
from searchlab.report.leaderboard import Leaderboard, Row, best_row, build_leaderboard
from searchlab.report.published import PublishedComparison, compare_published
from searchlab.report.status import StudyStatus, read_status
from searchlab.report.verdict import Verdict, reach_verdict
from searchlab.study.plan import choose_best

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from searchlab.config.diagnostics import DiagnosticName
    from searchlab.config.trial import Role
    from searchlab.records.trial_record import TrialRecord
    from searchlab.report.reading import StudyReading

__all__ = ["Findings"]


@dataclass(frozen=True)
class Findings:
    """A study's reading, and what reports make of it."""

    reading: StudyReading

    @cached_property
    def board(self) -> Leaderboard:
        """The leaderboard with the best of the search trials."""
        return build_leaderboard(self.reading.records, self.reading.spec)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the search beat the baselines."""
        return reach_verdict(self.board, self.reading.records, self.reading.spec)

    @cached_property
    def status(self) -> StudyStatus:
        """How far the study is."""
        return read_status(self.reading)

    @cached_property
    def compared(self) -> tuple[ComparedBaselines, ...]:
        """The pairs of baselines that the study compares."""
        return compare_baselines(self.reading)

    @cached_property
    def published(self) -> PublishedComparison | None:
        """The published figures beside ours."""
        return compare_published(self.reading)

    @cached_property
    def winner(self) -> Row | None:
        """The first by rank; None if no trial has finished."""
        return best_row(self.reading.records, self.reading.spec)

    @cached_property
    def best_baseline(self) -> Row | None:
        """The first baseline by rank."""
        roles: tuple[Role, ...] = ("baseline",)
        return best_row(self.reading.records, self.reading.spec, roles=roles)

    @cached_property
    def best_finalist(self) -> Row | None:
        """The first finalist by rank."""
        roles: tuple[Role, ...] = ("finalist",)
        return best_row(self.reading.records, self.reading.spec, roles=roles)

    @cached_property
    def search_trials(self) -> list[FrozenTrial]:
        """The search's trials in any state, without those that were lost and replaced."""
        pairs = zip(self.reading.records, self.reading.trials, strict=True)
        return [
            trial for record, trial in pairs if record.role == "search" and not record.is_replaced
        ]

    @cached_property
    def subjects(self) -> list[TrialRecord]:
        """The trials whose models are looked into: the best finalist and the best baseline."""
        return [*choose_best(self.reading.spec, self.reading.records).values()]

    def name(self, number: int) -> str:
        """Return a ranked trial's name as the leaderboard has it, such as ``#31 cnn lr 0.0078``."""
        [row] = (row for row in self.board.rows if row.number == number)
        return row.title

    @property
    def diagnostics(self) -> DiagnosticFiles:
        """What was measured on those models."""
        return DiagnosticFiles(self.reading.run.diagnostics)

    def explain_missing(self, name: DiagnosticName) -> str:
        """Return a sentence for a diagnostic without a result: why, and how to get one."""
        wanted = self.reading.spec.report.diagnostics
        if wanted is not None and name not in wanted:
            how = self.reading.run.command("study", "resume", options=("--set", "report={}"))
            return f"The study's report.diagnostics leave out {name}; {how} measures it."
        if self.status.state != "finished":
            return "It is measured when the study has finished."
        if skipped := self.diagnostics.read(skipped_key(name), Skipped):
            asked = ("--set", f"report.diagnostics=[{name}]")
            how = self.reading.run.command("study", "resume", options=asked)
            return f"{skipped.result.reason} {how} measures it all the same."
        how = self.reading.run.command("study", "resume")
        return f"It was not measured, or its file is lost; {how} measures it."
