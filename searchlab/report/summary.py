"""A line for each study, for ``study list``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from searchlab.config.metrics import DEFAULT_METRIC
from searchlab.errors import InfrastructureError, InputError
from searchlab.report.leaderboard import Row, best_row
from searchlab.report.reading import StudyReading, read_study
from searchlab.report.status import read_status

if TYPE_CHECKING:
    from searchlab.records.run_folder import RunFolder

__all__ = ["StudySummary", "summarise_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySummary:
    """A study in a line. ``state`` is ``unreadable`` if there is a ``problem``."""

    name: str
    dataset: str
    metric: str
    state: str
    ended: int
    total: int | None
    best: Row | None
    begun: datetime
    problem: str = ""


def summarise_run(run: RunFolder, storage_option: str | None) -> StudySummary:
    """Read a run for the list. A run that cannot be read becomes a line that says so."""
    begun = datetime.fromtimestamp(run.study_file.stat().st_mtime).astimezone()
    try:
        return _summarise(read_study(run, storage_option), begun)
    except (InputError, InfrastructureError) as error:
        return StudySummary(
            name=run.path.name,
            dataset="-",
            metric=DEFAULT_METRIC,
            state="unreadable",
            ended=0,
            total=None,
            best=None,
            begun=begun,
            problem=str(error),
        )


def _summarise(reading: StudyReading, begun: datetime) -> StudySummary:
    status = read_status(reading)
    return StudySummary(
        name=reading.spec.name,
        dataset=reading.spec.dataset.name,
        metric=reading.spec.primary.metric,
        state=status.state,
        ended=status.ended,
        total=status.total,
        best=best_row(reading.records, reading.spec),
        begun=begun,
    )
