"""A run whose files or record change under it stops with the cause, and spends no trial on it."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from small_studies import (
    NO_DATA,
    ONE_TRIAL,
    Engine,
    describe_trials,
    read_trials,
    resume,
    run_study,
    write_study,
)

from searchlab.config.loading import load_study
from searchlab.engine import launch, run_watch
from searchlab.engine.launch import RunOptions, begin_study, resume_study
from searchlab.errors import InfrastructureError, InputError, InterruptedStudyError
from searchlab.records.run_folder import RunFolder
from searchlab.study.ledger import Ledger
from searchlab.training.run import TrialRun

SMALL: dict[str, Any] = {
    "search": {"trials": 6, "sampler": "random", "pruner": "none"},
    "training": {"epochs": 2},
    "baselines": {"architectures": []},
    "confirm": {"top": 0},
}
Fault = Callable[[RunFolder], object]


def run_until(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, engine: Engine = "serial"
) -> RunFolder:
    """Run the study, and let the fault strike when the third trial ends its first epoch."""
    run = RunFolder(tmp_path / "runs" / "tiny")
    report, struck = Ledger.report, []

    def report_and_strike(ledger: Ledger, result: Any) -> bool:
        pruned = report(ledger, result)
        if result.number == 2 and not struck:
            struck.append(True)
            fault(run)
        return pruned

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "report", report_and_strike)
        run_study(tmp_path, engine, **SMALL)
    return run


def delete_database(run: RunFolder) -> None:
    for path in run.path.glob("study.db*"):
        path.unlink()


def replace_database(run: RunFolder) -> None:
    other = run.path.parent / "other.db"
    optuna.create_study(study_name="other", storage=f"sqlite:///{other}")
    delete_database(run)
    shutil.move(other, run.database)


def delete_folder(run: RunFolder) -> None:
    shutil.rmtree(run.path)


def delete_study(run: RunFolder) -> None:
    optuna.delete_study(study_name="tiny", storage=run.storage_url())


FAULTS: dict[Fault, str] = {
    delete_database: r"study\.db(-wal)?, which records the study, was deleted or moved away",
    replace_database: "study.db, which records the study, was replaced by another file",
    delete_study: "the study tiny was deleted in its storage",
    delete_folder: "was deleted|is gone",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("engine", ["serial", pytest.param("tune", marks=pytest.mark.slow)])
def test_a_record_that_vanishes_stops_the_study_and_a_resume_makes_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine, fault: Fault
) -> None:
    ended: list[int] = []
    tell = Ledger.tell

    def count(ledger: Ledger, number: int, *arguments: Any, **named: Any) -> None:
        tell(ledger, number, *arguments, **named)
        ended.append(number)

    monkeypatch.setattr(Ledger, "tell", count)
    with pytest.raises(InfrastructureError, match=FAULTS[fault]) as error:
        run_until(tmp_path, monkeypatch, fault, engine)
    assert error.value.exit_code == 3
    assert ended == [0, 1], "no trial is trained for nothing"

    run = RunFolder(tmp_path / "runs" / "tiny")
    if fault is delete_folder:
        assert not run.path.exists()
        return
    with pytest.raises(InfrastructureError, match="No new study was begun"):
        resume(run)
    if run.database.exists():
        others = ["other"] if fault is replace_database else []
        assert optuna.get_all_study_names(run.storage_url()) == others
    else:
        assert fault is delete_database


def test_a_storage_that_ends_in_mid_epoch_is_seen_before_the_epoch_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_watch, "_LOOK_SECONDS", 0.05)
    run = RunFolder(tmp_path / "runs" / "tiny")
    seen: list[bool] = []
    step = TrialRun.step

    def step_long(trial: TrialRun) -> Any:
        if not seen:
            delete_folder(run)
            watch = next(t for t in run_watch.threading.enumerate() if t.name == "searchlab-watch")
            watch.join(60)  # it ends once it has asked for a stop
            seen.append(not watch.is_alive())
        return step(trial)

    monkeypatch.setattr(TrialRun, "step", step_long)
    with pytest.raises(InfrastructureError, match=r"(the run folder|study\.db).* was deleted"):
        run_study(tmp_path, "serial", **SMALL)
    assert seen == [True]
    assert not run.path.exists(), "the folder is not made again"


@pytest.mark.parametrize("ending", ["stop", "fault", "end"])
def test_a_run_whose_file_was_moved_away_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    def move(run: RunFolder) -> None:
        run.study_file.rename(tmp_path / "moved.yaml")
        if ending == "stop":
            signal.raise_signal(signal.SIGINT)
        elif ending == "fault":
            raise InputError("is wrong after all")

    kinds = {"stop": InterruptedStudyError, "fault": InputError}
    if ending in kinds:
        with pytest.raises(kinds[ending]):
            run_until(tmp_path, monkeypatch, move)
    else:
        run_until(tmp_path, monkeypatch, move)
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert len(read_trials(run)) >= 3
    resume(run)
    assert [trial.state.name for trial in read_trials(run)] == ["COMPLETE"] * 6


def test_a_folder_that_lost_its_file_is_no_place_for_another_study(tmp_path: Path) -> None:
    run = run_study(tmp_path, "serial", **ONE_TRIAL)
    run.study_file.unlink()
    before = describe_trials(run)
    with pytest.raises(InputError, match=r"has lost its study\.yaml.* study resume"):
        run_study(tmp_path, "serial", **ONE_TRIAL)
    assert describe_trials(run) == before


def test_a_study_that_others_went_on_with_is_not_deleted_by_who_began_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "runs" / "tiny")
    trials = launch._run_trials

    def go_on_elsewhere(*_: Any) -> None:
        monkeypatch.setattr(launch, "_run_trials", trials)
        run.lock_file.unlink()
        resume(run)
        raise InputError("cannot be reached", where="--address")

    monkeypatch.setattr(launch, "_run_trials", go_on_elsewhere)
    with pytest.raises(InputError, match="cannot be reached"):
        run_study(tmp_path, "serial", **ONE_TRIAL)
    assert len(read_trials(run)) == 1


def test_a_second_driver_ends_the_first_and_no_trial_counts_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drive_again(run: RunFolder) -> None:
        run.lock_file.unlink()  # or a file system that does not lock across hosts
        resume(run)

    with pytest.raises(InfrastructureError, match="was taken over by the driver") as error:
        run_until(tmp_path, monkeypatch, drive_again)
    assert error.value.exit_code == 3
    assert "searchlab study resume" not in str(error.value)
    run = RunFolder(tmp_path / "runs" / "tiny")
    assert [trial.state.name for trial in read_trials(run)] == ["COMPLETE"] * 6
    before = describe_trials(run)
    resume(run)
    assert describe_trials(run) == before


def test_a_run_killed_before_its_study_was_made_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    run = RunFolder(tmp_path / "runs" / "tiny")
    file = load_study(write_study(tmp_path, **ONE_TRIAL))
    with monkeypatch.context() as patch:
        patch.setattr(launch, "create_study", die)
        with pytest.raises(KeyboardInterrupt):
            begin_study(file, run, RunOptions(data_dir=NO_DATA, engine="serial"))
    resume(run)
    assert len(read_trials(run)) == 1
    assert not run.is_pending


def test_a_storage_named_on_resume_that_holds_no_study_is_bad_input_and_stays_unmade(
    tmp_path: Path,
) -> None:
    run = run_study(tmp_path, "serial", **ONE_TRIAL)
    other = tmp_path / "typo.db"
    options = RunOptions(data_dir=NO_DATA, engine="serial", storage_url=f"sqlite:///{other}")
    with pytest.raises(InputError, match=r"typo\.db does not exist: it holds no study"):
        resume_study(run, options)
    assert not other.exists()


@pytest.mark.parametrize("content", [b"", b"damaged", os.urandom(2048)])
def test_a_damaged_database_is_a_fault_of_the_machine_and_stays_as_it_is(
    tmp_path: Path, content: bytes
) -> None:
    run = run_study(tmp_path, "serial", **ONE_TRIAL)
    gc.collect()  # closes the study's connections, which then write their log into the file
    run.database.write_bytes(content)
    with pytest.raises(InfrastructureError, match=r"study\.db, which record"):
        resume(run)
    assert run.database.read_bytes() == content
