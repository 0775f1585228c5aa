"""What optuna-dashboard is told of runs: notes, roles, values and winners, without a write."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import optuna
import optuna_dashboard
import pytest
from driven_runs import ask, copy_finished, drive_run, fetch, show

from searchlab.errors import InputError
from searchlab.records import trial_record as attr
from searchlab.records.run_folder import RunFolder
from searchlab.records.storage.opening import open_storage
from searchlab.report.dashboard import explained_run
from searchlab.report.dashboard.storage import RunsStorage
from searchlab.report.leaderboard import best_row, build_leaderboard
from searchlab.report.reading import StudyReading, read_study

WHOLE, BASELINES, SEARCH, FINALISTS, CONFIRMATIONS = 5, 4, 3, 2, 1
"""The studies of the first run, by key."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return copy_finished(tmp_path_factory.mktemp("shown"))


@pytest.fixture(scope="module")
def reading(run: RunFolder) -> StudyReading:
    return read_study(run, None)


@pytest.fixture(scope="module")
def shown(run: RunFolder) -> RunsStorage:
    return show(run)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fresh."""
    monkeypatch.setattr(explained_run, "_FRESH_SECONDS", -1.0)


def test_the_dashboard_and_the_leaderboard_name_the_same_winner_with_the_same_figure(
    shown: RunsStorage, reading: StudyReading
) -> None:
    first = build_leaderboard(reading.records, reading.spec).rows[0]
    page = ask(shown, f"/api/studies/{WHOLE}")
    [best] = page["best_trials"]
    assert (best["number"], best["values"]) == (first.number, [first.cv_mean])
    assert first.title.replace("#", r"\#") in page["note"]["body"]
    [listed] = [trial for trial in page["trials"] if trial["number"] == first.number]
    assert listed["values"] == best["values"]


def test_each_role_is_a_study_and_the_whole_has_the_trials_with_values_of_folds(
    shown: RunsStorage, reading: StudyReading
) -> None:
    names = {study.study_name: study._study_id for study in shown.get_all_studies()}
    assert names == {
        "driven": WHOLE,
        "driven (baselines)": BASELINES,
        "driven (search)": SEARCH,
        "driven (finalists)": FINALISTS,
        "driven (confirmations)": CONFIRMATIONS,
    }
    numbers = {
        role: [record.number for record in reading.records if record.role == role]
        for role in ("baseline", "search", "finalist", "confirmation")
    }
    for role, study_id in zip(numbers, (BASELINES, SEARCH, FINALISTS, CONFIRMATIONS), strict=True):
        trials = shown.get_all_trials(study_id)
        assert [trial.number for trial in trials] == numbers[role]
        assert {trial.user_attrs["role"] for trial in trials} == {role}
    whole = [trial.number for trial in shown.get_all_trials(WHOLE)]
    assert whole == [n for n in range(len(reading.records)) if n not in numbers["confirmation"]]
    for name, study_id in names.items():
        assert shown.get_study_id_from_name(name) == study_id
        assert shown.get_study_name_from_id(study_id) == name


@pytest.mark.parametrize(
    ("role", "study_id"), [("baseline", BASELINES), ("search", SEARCH), ("finalist", FINALISTS)]
)
def test_the_best_of_a_role_is_the_leaderboards(
    shown: RunsStorage, reading: StudyReading, role: Any, study_id: int
) -> None:
    rows = build_leaderboard(reading.records, reading.spec, show_all=True).rows
    first = next(row for row in rows if row.role == role)
    assert shown.get_best_trial(study_id).number == first.number


def test_the_best_confirmation_is_not_the_luckiest_on_the_test_set(
    shown: RunsStorage, reading: StudyReading
) -> None:
    winner = best_row(reading.records, reading.spec)
    best = reading.find_trial(shown.get_best_trial(CONFIRMATIONS).number)
    assert winner is not None
    assert (best.confirmation_of, best.repeat) == (winner.number, 1)
    luckiest = max(shown.get_all_trials(CONFIRMATIONS), key=lambda trial: trial.values[0])
    assert luckiest.values[0] > best.test_figures["accuracy"]


def test_before_any_trial_has_ended_there_is_no_best(tmp_path: Path) -> None:
    storage = show(drive_run(tmp_path, num_trials=0))
    page = ask(storage, f"/api/studies/{WHOLE}")
    assert (page["trials"], page["best_trials"]) == ([], [])
    assert "0 of " in page["note"]["body"]


def test_the_pareto_front_is_the_leaderboards(tmp_path: Path) -> None:
    objective = [
        {"metric": "accuracy", "direction": "maximize"},
        {"metric": "loss", "direction": "minimize"},
    ]
    run = drive_run(tmp_path, objective=objective)
    reading = read_study(run, None)
    rows = build_leaderboard(reading.records, reading.spec, show_all=True).rows
    page = ask(show(run), f"/api/studies/{WHOLE}")
    front = {row.number for row in rows if row.on_front}
    assert {trial["number"] for trial in page["best_trials"]} == front


def test_every_trial_has_a_note_of_what_it_is(shown: RunsStorage, reading: StudyReading) -> None:
    for study_id in (WHOLE, CONFIRMATIONS):
        for trial in ask(shown, f"/api/studies/{study_id}")["trials"]:
            record = reading.find_trial(trial["number"])
            assert trial["note"]["body"].startswith(f"**{record.role}** ")
            assert " after " in trial["note"]["body"]


def test_nothing_is_written(run: RunFolder, shown: RunsStorage) -> None:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    page = ask(shown, f"/api/studies/{WHOLE}")
    trial = page["trials"][0]
    for artifact in page["artifacts"]:
        fetch(shown, f"/artifacts/{WHOLE}/{artifact['artifact_id']}")
    for artifact in trial["artifacts"]:
        fetch(shown, f"/artifacts/{WHOLE}/{trial['trial_id']}/{artifact['artifact_id']}")
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_note_that_somebody_wrote_stands_also_beside_other_runs(
    tmp_path: Path, run: RunFolder
) -> None:
    other = drive_run(tmp_path, "noted", num_trials=2)
    plain = optuna.load_study(study_name="noted", storage=other.storage_url())
    optuna_dashboard.save_note(plain, "mine")
    storage = plain._storage
    storage.set_study_system_attr(plain._study_id, "dashboard:1:note_ver", 1)
    storage.set_study_system_attr(plain._study_id, "dashboard:1:note_str:0", "mine too")
    page = ask(show(run, other), f"/api/studies/{2 * WHOLE}")
    assert page["note"]["body"] == "mine"
    notes = [trial["note"]["body"] for trial in page["trials"]]
    assert notes[0] == "mine too"
    assert notes[1].startswith("**baseline**")


def test_runs_of_one_study_are_told_apart(tmp_path: Path) -> None:
    first, second = (drive_run(tmp_path / place, num_trials=3) for place in ("a", "b"))
    second = RunFolder(second.path.rename(tmp_path / "a" / "copy"))
    storage = show(first, second)
    names = [study.study_name for study in storage.get_all_studies()]
    assert names[-1] == "copy"
    assert len(set(names)) == len(names)
    trials = [trial for one in (WHOLE, 2 * WHOLE) for trial in storage.get_all_trials(one)]
    assert len({trial._trial_id for trial in trials}) == 6
    for trial in trials:
        assert storage.get_trial(trial._trial_id) == trial
    page = ask(storage, f"/api/studies/{2 * WHOLE}")
    assert all(trial["note"]["body"] for trial in page["trials"])


@pytest.mark.usefixtures("at_once")
def test_a_running_study_is_of_the_moment(tmp_path: Path) -> None:
    run = drive_run(tmp_path, num_trials=2)
    storage = show(run)
    assert len(storage.get_all_trials(WHOLE)) == 2
    assert "2 of " in storage.get_study_system_attrs(WHOLE)["dashboard:note_str:0"]
    drive_run(tmp_path)  # which goes on from there
    assert len(storage.get_all_trials(WHOLE)) == 10
    assert "of " not in storage.get_study_system_attrs(WHOLE)["dashboard:note_str:0"].split(".")[1]


@pytest.mark.usefixtures("at_once")
def test_what_did_not_change_is_not_explained_again(run: RunFolder) -> None:
    explained = explained_run.ExplainedRun(run, None, slot=0)
    assert explained.explain() is explained.explain()


@pytest.mark.usefixtures("at_once")
def test_a_run_that_cannot_be_read_any_more_leaves_the_list(tmp_path: Path, run: RunFolder) -> None:
    other = drive_run(tmp_path, "gone", num_trials=1)
    storage = show(run, other)
    text = other.study_file.read_text()
    other.study_file.write_text("name: gone\n")
    assert {study.study_name for study in storage.get_all_studies()} == {
        study.study_name for study in show(run).get_all_studies()
    }
    other.study_file.write_text(text)
    assert "gone" in {study.study_name for study in storage.get_all_studies()}


def test_user_attributes_are_for_people_and_keep_the_users_own(
    shown: RunsStorage, reading: StudyReading, tmp_path: Path
) -> None:
    winner = shown.get_best_trial(WHOLE)
    row = best_row(reading.records, reading.spec)
    assert row is not None
    assert row.cv_mean is not None
    found = winner.user_attrs
    assert (found["role"], found["rank"], found["model"]) == ("finalist", 1, row.name)
    assert found["accuracy in %, 3 folds"] == round(100 * row.cv_mean, 2)
    assert found["accuracy in %, test"] == 90.0
    assert found["repeats trial"] == row.finalist_of
    assert found["ended"] == "trained to its end"
    assert (found["epochs"], found["parameters"]) == (row.epochs, 123)
    assert "torch" in found["machine"]
    for trial in (*shown.get_all_trials(WHOLE), *shown.get_all_trials(CONFIRMATIONS)):
        assert all(isinstance(value, str | int | float) for value in trial.user_attrs.values())
        assert not {attr.FIGURES, attr.FOLD_VALUES, attr.PLAN} & trial.user_attrs.keys()
    for value in shown.get_study_user_attrs(WHOLE).values():
        assert isinstance(value, str | int)
        assert "{" not in str(value)


def test_the_table_that_the_dashboard_exports_has_them_too(shown: RunsStorage) -> None:
    text = fetch(shown, f"/csv/{SEARCH}").decode()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["UserAttribute role"] for row in rows] == ["search"] * 6


@pytest.fixture
def own(tmp_path: Path) -> tuple[RunFolder, RunsStorage]:
    """A run whose last trial is running, for a dashboard that may write."""
    run = drive_run(tmp_path, num_trials=2)
    study = optuna.load_study(study_name="driven", storage=open_storage(run.storage_url()))
    study.ask()
    return run, show(run)


def test_what_somebody_writes_is_in_the_runs_storage_and_seen_at_once(
    own: tuple[RunFolder, RunsStorage],
) -> None:
    run, storage = own
    trial = storage.get_all_trials(WHOLE)[-1]
    storage.set_trial_user_attr(trial._trial_id, "seen by", "me")
    storage.set_study_system_attr(BASELINES, "dashboard:note_ver", 2)
    storage.set_study_system_attr(BASELINES, "dashboard:note_str:0", "mine")
    assert storage.get_trial(trial._trial_id).user_attrs["seen by"] == "me"
    assert ask(storage, f"/api/studies/{WHOLE}")["note"] == {"version": 2, "body": "mine"}
    plain = optuna.load_study(study_name="driven", storage=run.storage_url())
    assert plain.trials[-1].user_attrs == {"seen by": "me"}
    assert plain.trials[0].user_attrs[attr.FIGURES], "the record stays as it is"


def test_no_study_is_made_or_deleted_behind_a_runs_folder(
    own: tuple[RunFolder, RunsStorage],
) -> None:
    run, storage = own
    with pytest.raises(InputError, match="dashboard"):
        storage.delete_study(SEARCH)
    with pytest.raises(InputError, match="dashboard"):
        optuna.create_study(storage=storage, study_name="other")
    assert optuna.get_all_study_names(run.storage_url()) == ["driven"]
