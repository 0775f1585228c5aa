"""A tracker is told in the background: if it fails or hangs, the study goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ledger_driving import train
from tracked_studies import TrackedStudy

from searchlab.study.callbacks import (
    EpochEnd,
    ProgressSnapshot,
    StudyBegin,
    StudyCallback,
    StudyEnd,
    TrialBegin,
    TrialEnd,
)
from searchlab.trackers import background
from searchlab.trackers.background import BackgroundTracker


class Heard(StudyCallback):
    """Notes what it is told, and fails at a trial if asked to."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.events: list[str] = []
        self._fails_at = fails_at

    def begin_study(self, begin: StudyBegin, snapshot: ProgressSnapshot) -> None:
        self.events.append(f"study {begin.spec.name}")

    def begin_trial(self, begin: TrialBegin) -> None:
        if begin.number == self._fails_at:
            raise ConnectionError("the server is gone\nand more")
        self.events.append(f"#{begin.number}")

    def end_epoch(self, end: EpochEnd) -> None:
        self.events.append(f"#{end.number} epoch {end.epoch}")

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        self.events.append(f"#{end.number} {end.state}")

    def end_study(self, end: StudyEnd, snapshot: ProgressSnapshot) -> None:
        self.events.append(f"end of {len(end.records)}")


def in_background(study: TrackedStudy, tracker: StudyCallback) -> StudyCallback:
    return BackgroundTracker(
        "heard",
        tracker,
        folder=study.run.trackers / "heard",
        resume_command="searchlab study resume driven",
    )


def run_two(study: TrackedStudy, callback: StudyCallback) -> None:
    ledger = study.open(callback)
    for _ in range(2):
        config = ledger.ask()
        assert config is not None
        train(ledger, config)
    ledger.close()


def test_events_arrive_in_order(tmp_path: Path) -> None:
    study, heard = TrackedStudy(tmp_path), Heard()
    run_two(study, in_background(study, heard))
    first, second = (
        [f"#{n}", *(f"#{n} epoch {epoch}" for epoch in (1, 2, 3)), f"#{n} COMPLETE"] for n in (0, 1)
    )
    assert heard.events == ["study driven", *first, *second, "end of 2"]


def test_a_failure_is_reported_once_and_the_study_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study, heard = TrackedStudy(tmp_path), Heard(fails_at=0)
    run_two(study, in_background(study, heard))
    assert heard.events == ["study driven"]
    [warning] = [record.getMessage() for record in caplog.records]
    assert "heard failed" in warning
    assert "ConnectionError: the server is gone. The study is not affected" in warning
    assert "searchlab study resume driven" in warning


def test_what_a_tracker_missed_comes_first_the_next_time_and_once(tmp_path: Path) -> None:
    study, heard = TrackedStudy(tmp_path), Heard()
    run_two(study, in_background(study, Heard(fails_at=1)))
    run_two(study, in_background(study, heard))
    assert heard.events[:6] == [
        "study driven", "#1", "#1 epoch 1", "#1 epoch 2", "#1 epoch 3", "#1 COMPLETE",
    ]  # fmt: skip
    assert heard.events.count("#1") == 1
    assert "#0" not in heard.events


def test_a_tracker_that_hangs_is_left_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_SILENT_SECONDS", "_STOPPING_SECONDS"):
        monkeypatch.setattr(background, name, 0.0)
    study, released = TrackedStudy(tmp_path), threading.Event()

    class Hanging(StudyCallback):
        def begin_trial(self, begin: TrialBegin) -> None:
            released.wait()

    run_two(study, in_background(study, Hanging()))
    released.set()
    waiting, left = [record.getMessage() for record in caplog.records]
    assert waiting == "Waiting up to 0 s for the tracker heard"
    assert "The tracker heard does not keep up" in left


def test_nothing_is_written_before_a_trial_begins(tmp_path: Path) -> None:
    study, heard = TrackedStudy(tmp_path), Heard()
    study.open(in_background(study, heard)).close()
    assert heard.events == []
    assert not study.run.trackers.exists()


def test_a_damaged_note_of_deliveries_is_a_failure_of_the_tracker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    study = TrackedStudy(tmp_path)
    folder = study.run.trackers / "heard"
    folder.mkdir(parents=True)
    (folder / "deliveries.json").write_text("{")
    run_two(study, in_background(study, Heard()))
    assert "heard failed" in caplog.text
