"""Notes in optuna-dashboard: the verdict first, and names that are only text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from driven_runs import copy_finished, drive_run

from searchlab.report.dashboard.notes import describe_end, write_study_note, write_trial_note
from searchlab.report.leaderboard import list_rows
from searchlab.report.page.findings import Findings
from searchlab.report.reading import StudyReading, read_study

HOSTILE = "<img src=x onerror=alert(1)> [a](https://b.c) *d* www.e.f g@h.i\nE"


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> StudyReading:
    return read_study(copy_finished(tmp_path_factory.mktemp("noted")), None)


def write_all(reading: StudyReading) -> list[str]:
    found = Findings(reading)
    rows = list_rows(reading.records, reading.spec)
    pairs = zip(rows, reading.records, strict=True)
    return [
        write_study_note(found, beside=[]),
        *(write_trial_note(found, row, record) for row, record in pairs),
    ]


def test_names_and_errors_are_shown_as_text(reading: StudyReading) -> None:
    hostile = replace(
        reading,
        records=[
            replace(one, label=HOSTILE, state="FAIL", stop_reason="error", error=HOSTILE)
            for one in reading.records
        ],
    )
    for text in write_all(hostile):
        assert "<img" not in text.replace(r"\<img", "")
        assert "](" not in text
        assert r"https\:" not in text
        assert "https:" not in text
        assert "www." not in text
        assert "g@" not in text
        assert r"\<img src=x onerror=alert\(1\)\>" in text


def test_the_verdict_comes_first_and_the_other_studies_last(reading: StudyReading) -> None:
    found = Findings(reading)
    note = write_study_note(found, beside=["s (search)"])
    assert note.startswith(f"**{found.verdict.text.split(' #')[0]}")
    assert note.endswith(r"Each role alone\: s \(search\).")


def test_an_unfinished_study_says_so(tmp_path: Path) -> None:
    note, *_ = write_all(read_study(drive_run(tmp_path, num_trials=1), None))
    assert "The study is interrupted: 1 of " in note


@pytest.mark.parametrize(
    ("state", "stop_reason", "error", "expected"),
    [
        ("COMPLETE", None, None, "trained to its end"),
        ("RUNNING", None, None, "not ended yet (running)"),
        ("PRUNED", "diverged", None, "diverged"),
        ("PRUNED", None, None, "pruned"),
        ("FAIL", "oom", "CUDA is full", "failed (oom): CUDA is full"),
        ("FAIL", None, None, "failed (error)"),
    ],
)
def test_why_a_trial_ended(
    reading: StudyReading, state: str, stop_reason: str | None, error: str | None, expected: str
) -> None:
    record = replace(reading.records[0], state=state, stop_reason=stop_reason, error=error)
    assert describe_end(record) == expected
