"""What optuna-dashboard is told of a run: notes and the winner, without a write."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
from small_studies import run_study

from searchlab.cli.dashboard import make_app
from searchlab.report import dashboard_storage
from searchlab.report.dashboard_notes import write_study_note, write_trial_notes
from searchlab.report.dashboard_storage import ExplainedStorage
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.reading import StudyReading, read_study
from searchlab.report.verdict import reach_verdict
from searchlab.study.run_folder import RunFolder
from searchlab.study.storage.opening import open_storage

HOSTILE = "<img src=x onerror=alert(1)> [a](https://b.c) *d*\nE"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A study of digits that ran to its end."""
    return run_study(tmp_path_factory.mktemp("watched"), "serial", training={"epochs": 2})


@pytest.fixture(scope="module")
def reading(run: RunFolder) -> StudyReading:
    return read_study(run, None)


def _explained(run: RunFolder, reading: StudyReading) -> ExplainedStorage:
    return ExplainedStorage(open_storage(run.storage_url()), lambda: reading)


def _get(storage: ExplainedStorage, path: str) -> Any:
    """Ask the dashboard, as its pages do."""
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    states: list[str] = []
    body = b"".join(make_app(storage, None)(environ, lambda state, *_: states.append(state)))
    assert states == ["200 OK"], body
    return json.load(io.BytesIO(body))


def test_the_dashboard_and_the_leaderboard_name_the_same_winner(
    run: RunFolder, reading: StudyReading
) -> None:
    first = build_leaderboard(reading.records, reading.spec).rows[0]
    shown = _get(_explained(run, reading), "/api/studies/1")
    assert [trial["number"] for trial in shown["best_trials"]] == [first.number]
    assert first.title.replace("#", r"\#") in shown["note"]["body"]


def test_every_trial_has_a_note_of_what_it_is(run: RunFolder, reading: StudyReading) -> None:
    shown = _get(_explained(run, reading), "/api/studies/1")
    for trial, record in zip(shown["trials"], reading.records, strict=True):
        assert trial["note"]["body"].startswith(f"**{record.role}** ")
        assert " after " in trial["note"]["body"]


def test_nothing_is_written(run: RunFolder, reading: StudyReading) -> None:
    before = run.database.read_bytes()
    _get(_explained(run, reading), "/api/studies/1")
    assert run.database.read_bytes() == before


def test_a_note_that_somebody_wrote_stands(tmp_path: Any) -> None:
    run = run_study(tmp_path, "serial", search={"trials": 1}, training={"epochs": 1})
    plain = optuna.load_study(study_name="tiny", storage=run.storage_url())
    optuna_dashboard.save_note(plain, "mine")
    shown = _get(_explained(run, read_study(run, None)), "/api/studies/1")
    assert shown["note"]["body"] == "mine"
    assert shown["trials"][0]["note"]["body"].startswith("**baseline**")


@pytest.mark.parametrize(("is_finished", "num_reads"), [(True, 1), (False, 3)])
def test_an_unfinished_study_is_read_again(
    run: RunFolder,
    reading: StudyReading,
    monkeypatch: pytest.MonkeyPatch,
    is_finished: bool,
    num_reads: int,
) -> None:
    monkeypatch.setattr(dashboard_storage, "_FRESH_SECONDS", 0.0)
    reads: list[StudyReading] = []

    def read() -> StudyReading:
        reads.append(replace(reading, is_finished=is_finished))
        return reads[-1]

    storage = ExplainedStorage(open_storage(run.storage_url()), read)
    for _ in range(3):
        storage.get_study_system_attrs(1)
    assert len(reads) == num_reads
    assert ("interrupted" in storage.get_study_system_attrs(1)["dashboard:note_str:0"]) != (
        is_finished
    )


def test_names_and_errors_are_shown_as_text(reading: StudyReading) -> None:
    hostile = replace(
        reading,
        records=[
            replace(one, label=HOSTILE, state="FAIL", stop_reason="error", error=HOSTILE)
            for one in reading.records
        ],
    )
    for text in (write_study_note(hostile), *write_trial_notes(hostile).values()):
        assert "<img" not in text.replace(r"\<img", "")
        assert "](" not in text
        assert "https:" not in text
        assert r"\<img src=x onerror=alert\(1\)\>" in text


def test_the_verdict_comes_first(reading: StudyReading) -> None:
    board = build_leaderboard(reading.records, reading.spec)
    verdict = reach_verdict(board, reading.records, reading.spec)
    note = write_study_note(reading)
    assert note.startswith(f"**{verdict.text.split(' #')[0]}")
