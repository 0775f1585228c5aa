"""MLflow: a run for the study, and one for each trial nested below it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from searchlab.config.validation import Spec
from searchlab.errors import InputError
from searchlab.study.callbacks import (
    EpochEnd,
    ProgressSnapshot,
    StudyBegin,
    StudyCallback,
    StudyEnd,
    TrialBegin,
    TrialEnd,
)
from searchlab.trackers.contents import (
    name_trial,
    tell_answer,
    tell_epoch,
    tell_origin,
    tell_result,
    tell_state,
)
from searchlab.trackers.deliveries import Deliveries
from searchlab.trackers.registry import register_tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["MlflowOptions", "MlflowTracker"]

_URI_VARIABLE = "MLFLOW_TRACKING_URI"
_ALLOW_FILES_VARIABLE = "MLFLOW_ALLOW_FILE_STORE"
_STUDY = "study"  # in the place of a trial's number
_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
_MOST_CHARACTERS = 5_000  # of a tag; MLflow refuses more


class MlflowOptions(Spec):
    """Where the runs go."""

    uri: str | None = Field(
        None, description="tracking URI; by default MLFLOW_TRACKING_URI, or SQLite in the run"
    )
    experiment: str | None = Field(None, description="by default the study's name")

    @field_validator("uri")
    @classmethod
    def _check_password(cls, uri: str | None) -> str | None:
        if uri is not None and urlsplit(uri).password is not None:
            raise InputError(
                "must not hold a password, because study.yaml would keep it",
                remedy=f"Set {_URI_VARIABLE} instead",
            )
        return uri


@register_tracker(
    "mlflow", options=MlflowOptions, packages=("mlflow",), install="'searchlab[mlflow]'"
)
class MlflowTracker(StudyCallback):
    """Logs to a tracking server or store. A trial that begins again goes on in its run."""

    def __init__(self, options: MlflowOptions, folder: Path) -> None:
        self._options = options
        self._folder = folder
        own = f"sqlite:///{folder.absolute() / 'mlflow.db'}"
        self._uri = options.uri or os.environ.get(_URI_VARIABLE) or own
        _check_file_store(self._uri)
        self._client: MlflowClient
        self._experiment = self._key = self._study_run = ""
        self._live: dict[int, Run] = {}

    def begin_study(self, begin: StudyBegin, snapshot: ProgressSnapshot) -> None:
        """Open the store, and the study's run."""
        del snapshot
        from mlflow import MlflowClient

        # They would tell of every table that is made, and of every attempt to reach a server.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._client = MlflowClient(tracking_uri=self._uri)
        self._key = Deliveries(self._folder).key
        name = self._options.experiment or begin.spec.name
        known = self._client.get_experiment_by_name(name)
        self._experiment = (
            known.experiment_id if known is not None else self._client.create_experiment(name)
        )
        spec = begin.spec
        params = {
            "dataset": spec.dataset.name,
            "sampler": spec.search.sampler,
            "pruner": spec.search.pruner,
            "seed": spec.search.seed,
        }
        run = self._open(_STUDY, spec.name, {"role": _STUDY}, params)
        self._study_run = run.info.run_id

    def begin_trial(self, begin: TrialBegin) -> None:
        """Open the trial's run."""
        tags = {**tell_origin(begin), "mlflow.parentRunId": self._study_run}
        run = self._open(str(begin.number), name_trial(begin), tags, begin.params)
        self._live[begin.number] = run

    def end_epoch(self, end: EpochEnd) -> None:
        """Log an epoch's figures, unless they are there from before the trial began again."""
        self._log(self._live[end.number], tell_epoch(end), step=end.epoch)

    def end_trial(self, end: TrialEnd, snapshot: ProgressSnapshot) -> None:
        """Log how the trial ended, and end its run."""
        del snapshot
        run = self._live.pop(end.number)
        self._log(run, tell_result(end), step=end.epoch)
        self._tag(run.info.run_id, tell_state(end))
        self._client.set_terminated(run.info.run_id, _STATUS[end.state])

    def end_study(self, end: StudyEnd, snapshot: ProgressSnapshot) -> None:
        """Log the verdict and the leaderboard; what was cut off is marked as killed."""
        from searchlab.report.dashboard.notes import write_board

        del snapshot
        for run in self._live.values():
            self._client.set_terminated(run.info.run_id, "KILLED")
        self._live.clear()
        note = write_board(end.records, end.spec)
        self._tag(self._study_run, {**tell_answer(end), "mlflow.note.content": note})
        self._client.set_terminated(self._study_run, "FINISHED" if end.is_finished else "KILLED")

    def _open(
        self, trial: str, name: str, tags: Mapping[str, str], params: Mapping[str, object]
    ) -> Run:
        """Return the run of a trial: the one from before, or a new one."""
        from mlflow.entities import Param

        place = f"{self._key}/{trial}"
        found = self._client.search_runs(
            [self._experiment], f"tags.`searchlab.place` = '{place}'", max_results=1
        )
        if found:
            self._client.update_run(found[0].info.run_id, status="RUNNING")
            return found[0]
        run = self._client.create_run(
            self._experiment, run_name=name, tags={**tags, "searchlab.place": place}
        )
        logged = [Param(name, str(value)) for name, value in params.items()]
        self._client.log_batch(run.info.run_id, params=logged)
        return run

    def _log(self, run: Run, figures: Mapping[str, float], *, step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        run_id = run.info.run_id
        new = [
            Metric(name, figure, now, step)
            for name, figure in figures.items()
            if step > self._last_step(run, name)
        ]
        if new:
            self._client.log_batch(run_id, metrics=new)

    def _last_step(self, run: Run, name: str) -> int:
        """Return the last step at which a figure was logged before the run was opened here."""
        if name not in run.data.metrics:
            return -1
        history = self._client.get_metric_history(run.info.run_id, name)
        return max(int(metric.step) for metric in history)

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        told = [RunTag(name, text[:_MOST_CHARACTERS]) for name, text in tags.items()]
        self._client.log_batch(run_id, tags=told)


def _check_file_store(uri: str) -> None:
    """MLflow refuses folders of files unless a variable allows them."""
    is_folder = urlsplit(uri).scheme in ("", "file") and uri != "databricks"
    allowed = os.environ.get(_ALLOW_FILES_VARIABLE, "").lower() in ("true", "1")
    if is_folder and not allowed:
        raise InputError(
            "must not be a folder of files, which MLflow no longer develops",
            where="the tracker mlflow",
            found=uri,
            remedy=f"Use sqlite:///mlflow.db, or set {_ALLOW_FILES_VARIABLE}=true",
        )
