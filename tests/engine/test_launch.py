"""What beginning a study does to what is there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_studies import NO_DATA, ONE_TRIAL, describe_trials, run_study, write_study

from searchlab.config.loading import load_study
from searchlab.engine import launch
from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder


def test_a_run_that_another_driver_began_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "runs" / "tiny")
    prepare = launch.prepare_study

    def run_the_other(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(launch, "prepare_study", prepare)
        run_study(tmp_path, "serial", **ONE_TRIAL)
        return prepare(*arguments, **options)

    monkeypatch.setattr(launch, "prepare_study", run_the_other)
    file = load_study(write_study(tmp_path))
    with pytest.raises(InputError, match="already exists"):
        launch.begin_study(file, run, launch.RunOptions(data_dir=NO_DATA, engine="serial"))
    assert run.exists()
    assert len(describe_trials(run)) == 1


def test_a_study_that_cannot_begin_leaves_no_note_of_its_storage(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.path.mkdir(parents=True)  # the user's own folder stays
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    other = RunFolder(tmp_path / "elsewhere" / "tiny")
    file = load_study(write_study(tmp_path, **ONE_TRIAL))
    launch.begin_study(
        file, other, launch.RunOptions(data_dir=NO_DATA, storage_url=url, engine="serial")
    )
    with pytest.raises(InputError, match="already has a study named tiny"):
        launch.begin_study(
            file, run, launch.RunOptions(data_dir=NO_DATA, storage_url=url, engine="serial")
        )
    assert not run.exists()
    assert run.is_embedded()
    assert other.exists()


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_study_whose_cluster_is_not_there_can_be_run_again(
    tmp_path: Path, is_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_no_cluster(*_arguments: Any) -> None:
        raise InputError("cannot be reached", where="--address 127.0.0.1:1")

    url = f"sqlite:///{tmp_path / 'shared.db'}" if is_shared else None
    run = RunFolder(tmp_path / "runs" / "tiny")
    if is_shared:
        run.path.mkdir(parents=True)  # the user's own folder stays
    file = load_study(write_study(tmp_path, **ONE_TRIAL))
    options = launch.RunOptions(data_dir=NO_DATA, storage_url=url, engine="serial")
    with monkeypatch.context() as patch:
        patch.setattr(launch, "_run_trials", find_no_cluster)
        with pytest.raises(InputError, match="cannot be reached"):
            launch.begin_study(file, run, options)
    assert not run.exists()
    launch.begin_study(file, run, options)
    assert len(describe_trials(run)) == 1


def test_an_input_error_after_the_first_trial_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise InputError("is wrong after all")

    monkeypatch.setattr(launch, "evaluate_finished", refuse)
    run = RunFolder(tmp_path / "runs" / "tiny")
    file = load_study(write_study(tmp_path, **ONE_TRIAL))
    with pytest.raises(InputError, match="after all"):
        launch.begin_study(file, run, launch.RunOptions(data_dir=NO_DATA, engine="serial"))
    assert len(describe_trials(run)) == 1
