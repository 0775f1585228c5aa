"""Progress of a running study as plain lines on stderr, for files and terminals that cannot."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from searchlab.report.formatting import format_duration, format_value
from searchlab.study.callbacks import StudyCallback

if TYPE_CHECKING:
    from searchlab.config.trial import Role
    from searchlab.study.callbacks import (
        Forecast,
        ProgressSnapshot,
        RoleCounts,
        StudyBegin,
        StudyEnd,
        TrialEnd,
    )

__all__ = ["STAGES", "PlainProgress", "list_stages", "name_ended", "name_forecast_stage"]

STAGES: dict[Role, str] = {
    "baseline": "baselines",
    "search": "search",
    "finalist": "finalists",
    "confirmation": "confirmation",
}


class PlainProgress(StudyCallback):
    """A line for every trial that ends and every stage that begins."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._stage: Role | None = None
        self._is_stopping = False

    def begin_phase(self, what: str) -> None:
        """Print what is done before the first trial, or after the last."""
        self._write(what)

    def begin_study(self, begin: StudyBegin, snapshot: ProgressSnapshot) -> None:
        """Print how many trials there are to run."""
        stages = ", ".join(
            f"{STAGES[role]} {counts.ended}/{counts.total}"
            for role, counts in list_stages(snapshot)
        )
        self._write(f"study {snapshot.study}: {stages}")
        self._note_changes(snapshot)

    def announce(self, message: str) -> None:
        """Print the message."""
        self._write(message)

    def advance(self, snapshot: ProgressSnapshot) -> None:
        """Print a line if a stage began or the study is stopping."""
        self._note_changes(snapshot)

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        """Print how the trial ended and what is best now."""
        self._write(_describe_end(end, snapshot))
        self._note_changes(snapshot)

    def end_study(self, end: StudyEnd, snapshot: ProgressSnapshot) -> None:
        """Print how long the study took."""
        ended, total = _sum_up(snapshot)
        word = "stopped" if snapshot.stopping else "done"
        span = format_duration(snapshot.elapsed_seconds)
        self._write(f"{word}: {ended}/{total} trials in {span}")

    def _note_changes(self, snapshot: ProgressSnapshot) -> None:
        if snapshot.stage != self._stage:
            self._stage = snapshot.stage
            self._write(f"stage: {STAGES[snapshot.stage]}")
        if snapshot.stopping and not self._is_stopping:
            self._is_stopping = True
            self._write(f"stopping: no new trials; waiting for {len(snapshot.running)} to finish")

    def _write(self, line: str) -> None:
        print(line, file=self._stream or sys.stderr, flush=True)


def name_forecast_stage(forecast: Forecast) -> str:
    """Return the stage that a forecast ends with, if it is not the study's end."""
    return "" if forecast.stage is None else f" of {STAGES[forecast.stage]}"


def list_stages(snapshot: ProgressSnapshot) -> list[tuple[Role, RoleCounts]]:
    """Return the stages that the study has."""
    return [item for item in snapshot.counts.items() if item[1].total != 0 or item[1].ended]


def _describe_end(end: TrialEnd, snapshot: ProgressSnapshot) -> str:
    ended, total = _sum_up(snapshot)
    epochs = "1 epoch" if end.epoch == 1 else f"{end.epoch} epochs"
    text = f"[{ended:>{len(str(total))}}/{total}] {name_ended(end)} {end.state}"
    if end.value is not None:
        text += f" {format_value(snapshot.metric, end.value)}"
    text += f" after {epochs} ({end.seconds:.1f} s)"
    if end.test is not None:
        text += f", test {format_value(snapshot.metric, end.test)}"
    if end.reason and end.state != "COMPLETE" and end.reason != "pruned":
        text += f": {end.reason}"
    return text + _describe_race(snapshot)


def _describe_race(snapshot: ProgressSnapshot) -> str:
    parts = []
    best, baseline = snapshot.best_search, snapshot.best_baseline
    if best is not None:
        parts.append(f"best {format_value(snapshot.metric, best.value)} (#{best.number})")
    if baseline is not None:
        rival = f"baseline {format_value(snapshot.metric, baseline.value)} (#{baseline.number})"
        parts.append(f"vs {rival}" if parts else rival)
    text = "  " + " ".join(parts) if parts else ""
    if snapshot.remaining is not None:
        left = format_duration(snapshot.remaining.seconds)
        text += f"  left {left}{name_forecast_stage(snapshot.remaining)}"
    return text


def name_ended(end: TrialEnd) -> str:
    """Return what a trial that ended is called: ``search #12 cnn``."""
    return f"{end.role} #{end.number} {end.label}"


def _sum_up(snapshot: ProgressSnapshot) -> tuple[int, int]:
    """Add up all roles: trials ended, and planned."""
    counts = snapshot.counts.values()
    return sum(role.ended for role in counts), sum(role.total for role in counts)
