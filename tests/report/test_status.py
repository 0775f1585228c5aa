"""Whether a study is running, finished or interrupted."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from trial_records import accuracy_study, make_record, make_spec

from searchlab.config.trial import ROLES
from searchlab.records.run_folder import RunFolder
from searchlab.records.trial_record import TrialRecord
from searchlab.report.reading import StudyReading
from searchlab.report.status import StudyStatus, read_status
from searchlab.report.tables import print_status

TOTALS = {"baseline": 2, "search": 8, "finalist": 1}


def _take(
    records: list[TrialRecord],
    *,
    is_driven: bool = False,
    is_finished: bool = True,
    totals: dict[str, int] = TOTALS,
) -> StudyStatus:
    return read_status(
        StudyReading(
            run=RunFolder(Path("runs/toy")),
            spec=make_spec(),
            storage_url="sqlite:///study.db",
            records=records,
            is_driven=is_driven,
            is_finished=is_finished,
            totals=totals,
        )
    )


def test_counts_by_role_and_state() -> None:
    status = _take(accuracy_study())
    search = status.roles["search"]
    assert (search.total, search.complete, search.pruned, search.failed) == (8, 6, 1, 1)
    assert (status.ended, status.total) == (11, 11)
    assert status.state == "finished"


def test_a_held_lock_is_a_running_study() -> None:
    assert _take(accuracy_study(), is_driven=True).state == "running"


def test_what_no_driver_brought_to_its_end_is_an_interruption() -> None:
    assert _take(accuracy_study(), is_finished=False).state == "interrupted"


def test_a_trial_left_running_is_an_interruption() -> None:
    assert _take([*accuracy_study(), make_record(11, state="RUNNING")]).state == "interrupted"


def test_only_roles_that_the_study_has_are_shown() -> None:
    searched = [record for record in accuracy_study() if record.role == "search"]
    for totals in ({"baseline": 0, "search": 8, "finalist": 0}, {}):
        out = io.StringIO()
        print_status(Console(file=out, width=80), _take(searched, totals=totals))
        shown = {line.split()[0] for line in out.getvalue().splitlines()} - {"planned"}
        assert shown == ({"search"} if totals else set(ROLES))
