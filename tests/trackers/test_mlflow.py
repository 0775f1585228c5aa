"""MLflow's own client finds each trial once, whatever was cut off, in SQLite and in files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from tracked_studies import TrackedStudy

pytestmark = pytest.mark.slow  # mlflow takes 4 s to import, and a database 8 s to make


@pytest.fixture(scope="module", params=["sqlite", "file"])
def study(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrackedStudy]:
    """A study that was cut off in its second trial, and not resumed."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        options = {"uri": (folder / "mlruns").as_uri()} if request.param == "file" else {}
        study = TrackedStudy(folder, mlflow=options)
        study.cut_off()
        yield study


def connect(study: TrackedStudy) -> MlflowClient:
    own = f"sqlite:///{study.run.trackers / 'mlflow' / 'mlflow.db'}"
    return MlflowClient(tracking_uri=study.spec.trackers["mlflow"].get("uri") or own)


def read_runs(study: TrackedStudy) -> dict[str, Run]:
    """Return the runs by trial; no trial has two."""
    client = connect(study)
    experiment = client.get_experiment_by_name("driven")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    by_trial = {run.data.tags.get("trial", "study"): run for run in runs}
    assert len(by_trial) == len(runs)
    return by_trial


def test_a_study_goes_on_in_the_runs_that_it_began(study: TrackedStudy) -> None:
    before = read_runs(study)
    assert {name: run.info.status for name, run in before.items()} == {
        "0": "FINISHED", "1": "KILLED", "study": "KILLED",
    }  # fmt: skip
    study.finish()
    after = read_runs(study)
    assert {name: after[name].info.run_id for name in before} == {
        name: run.info.run_id for name, run in before.items()
    }
    assert {run.info.status for name, run in after.items() if name not in "23"} == {"FINISHED"}
    assert Counter(run.data.tags["role"] for run in after.values()) == {
        "study": 1, "baseline": 2, "search": 3, "finalist": 1, "confirmation": 4,
    }  # fmt: skip
    parents = {run.data.tags.get("mlflow.parentRunId") for run in after.values()}
    assert parents == {None, after["study"].info.run_id}

    client = connect(study)
    for trial in ("0", "1"):
        run = after[trial]
        history = client.get_metric_history(run.info.run_id, "train/loss")
        assert sorted((one.step, one.value) for one in history) == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
        assert run.data.metrics["test/accuracy"] == 0.9
        assert run.data.params["family"] == "a2"

    failed, diverged = after["2"], after["3"]
    assert (failed.info.status, failed.data.tags["reason"]) == ("FAILED", "no such layer")
    assert (diverged.info.status, diverged.data.tags["reason"]) == ("KILLED", "diverged")
    assert after["study"].data.tags["verdict"] in ("YES", "NO", "UNDECIDED")
    assert "| trial | model |" in after["study"].data.tags["mlflow.note.content"]
