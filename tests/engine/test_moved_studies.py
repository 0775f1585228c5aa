"""A study that was exported and imported goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from small_studies import NO_DATA, describe_trials, resume, run_study

from searchlab.engine.launch import RunOptions, resume_study
from searchlab.errors import InputError
from searchlab.records.storage.opening import open_storage, sqlite_url
from searchlab.report.reading import read_study
from searchlab.transfer.archive import export_study
from searchlab.transfer.archive_reading import import_study
from searchlab.transfer.copying import copy_study


@pytest.mark.slow
def test_imported_study_is_resumed_with_its_trial_in_flight(tmp_path: Path) -> None:
    changes = {"search": {"trials": 3, "sampler": "random"}, "confirm": {"top": 0}}
    run = run_study(tmp_path, "serial", **changes, training={"epochs": 2})
    before = describe_trials(run)
    study = optuna.load_study(study_name="tiny", storage=run.storage_url())
    last = study.trials[-1]
    study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=last.params,
            distributions=last.distributions,
            user_attrs={"role": "search"},
        )
    )
    export_study(run, open_storage(run.storage_url()), tmp_path / "tiny.zip")
    moved = import_study(tmp_path / "tiny.zip", tmp_path / "runs", new_name="moved").run
    resume(moved)
    after = describe_trials(moved)
    assert after[: len(before)] == before
    assert [trial["number"] for trial in after] == list(range(len(before) + 1))
    assert after[-1]["state"] in ("COMPLETE", "PRUNED"), "it began anew under its own number"


@pytest.mark.slow
def test_copied_study_goes_on_in_its_new_storage_alone(tmp_path: Path) -> None:
    changes = {"search": {"trials": 1, "sampler": "random"}, "confirm": {"top": 0}}
    run = run_study(tmp_path, "serial", **changes, training={"epochs": 1})
    before = describe_trials(run)
    url = sqlite_url(tmp_path / "shared.db")
    there = RunOptions(data_dir=NO_DATA, storage_url=url, engine="serial")
    with pytest.raises(InputError, match=r"shared\.db does not exist: it holds no study"):
        resume_study(run, there)
    other = sqlite_url(tmp_path / "other.db")
    optuna.create_study(study_name="other", storage=open_storage(other))
    with pytest.raises(InputError, match="has no study named tiny"):
        resume_study(run, replace(there, storage_url=other))
    assert run.is_embedded()
    assert describe_trials(run) == before, "a resume that fails changes nothing"
    copy_study(open_storage(run.storage_url()), open_storage(url), "tiny")
    resume_study(run, there, overrides=("search.trials=2",))
    resume_study(run, there)
    reading = read_study(run, None)
    assert reading.storage_url == url
    assert len(reading.records) == len(before) + 1
    assert not run.database.exists()
    resume_study(run, RunOptions(data_dir=NO_DATA, engine="serial"), overrides=("search.trials=3",))
    assert len(describe_trials(run)) == len(before) + 2
    assert not run.database.exists()
    assert len(optuna.load_study(study_name="tiny", storage=url).trials) == len(before) + 2
