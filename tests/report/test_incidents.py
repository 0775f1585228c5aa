"""What a study went through, summed up for the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trial_records import accuracy_study, make_record, make_spec

from searchlab.records.run_folder import RunFolder
from searchlab.records.trial_record import Interruptions, TrialRecord
from searchlab.report.reading import StudyReading
from searchlab.report.status import Incidents, read_status


def read(records: list[TrialRecord], **changes: Any) -> StudyReading:
    fields: dict[str, Any] = {
        "run": RunFolder(Path("runs/toy")),
        "spec": make_spec(),
        "storage_url": "sqlite:///toy.db",
        "records": records,
        "is_driven": False,
        "is_finished": True,
        "totals": {"baseline": 0, "search": 3, "finalist": 0},
    }
    return StudyReading(**{**fields, **changes})


def test_a_study_without_incidents_has_nothing_to_tell() -> None:
    assert read_status(read(accuracy_study())).incidents.text is None


def test_losses_and_what_was_trained_again_are_summed() -> None:
    records = [
        make_record(0, value=0.9, interruptions=Interruptions(taken_up=2, rerun_epochs=3)),
        make_record(1, value=0.9, interruptions=Interruptions(worker_lost=1, rerun_epochs=1)),
        make_record(2, state="FAIL", value=None, stop_reason="lost", error="its host was lost"),
        make_record(3, value=0.8, retry_of=2),
    ]
    status = read_status(read(records))
    assert status.incidents == Incidents(
        trials_taken_up=1, workers_lost=1, epochs_trained_again=4, trials_lost=1
    )
    assert status.incidents.text == (
        "1 trial resumed by a later driver, 1 worker died during a trial, "
        "4 epochs trained again, 1 trial lost and replaced by another"
    )


@pytest.mark.parametrize("retried", [False, True])
def test_a_lost_trial_counts_as_the_one_in_its_place(retried: bool) -> None:
    lost = make_record(0, state="FAIL", value=None, stop_reason="lost", error="gone")
    again = [make_record(1, value=0.8, retry_of=0)] if retried else []
    counts = read_status(read([lost, *again])).roles["search"]
    assert (counts.failed, counts.complete) == (0, len(again))
