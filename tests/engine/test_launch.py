"""What beginning a study does to what is there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_studies import NO_DATA, describe_trials, run_study, write_study

from searchlab.config.loading import load_study
from searchlab.engine import launch
from searchlab.errors import InputError
from searchlab.study.runs import RunFolder


def test_a_run_that_another_driver_began_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "runs" / "tiny")
    prepare = launch.prepare_study

    def run_the_other(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(launch, "prepare_study", prepare)
        run_study(tmp_path, "serial", search={"trials": 1}, training={"epochs": 1})
        return prepare(*arguments, **options)

    monkeypatch.setattr(launch, "prepare_study", run_the_other)
    file = load_study(write_study(tmp_path))
    with pytest.raises(InputError, match="exists already"):
        launch.begin_study(file, run, launch.Driving(data_dir=NO_DATA, engine="serial"))
    assert run.exists()
    assert len(describe_trials(run)) == 4  # two baselines, a search trial, its finalist


def test_a_study_that_cannot_begin_leaves_no_note_of_its_storage(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.path.mkdir(parents=True)  # the user's own folder stays
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    other = RunFolder(tmp_path / "elsewhere" / "tiny")
    file = load_study(write_study(tmp_path, search={"trials": 1}, training={"epochs": 1}))
    launch.begin_study(
        file, other, launch.Driving(data_dir=NO_DATA, storage_url=url, engine="serial")
    )
    with pytest.raises(InputError, match="has a study named tiny already"):
        launch.begin_study(
            file, run, launch.Driving(data_dir=NO_DATA, storage_url=url, engine="serial")
        )
    assert not run.exists()
    assert run.is_embedded()
    assert other.exists()
