"""What a study measures on its finished models: ensembles, neurons' correlations, confusions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from optuna.study import Study

from searchlab.analysis.confusions import count_confusions
from searchlab.analysis.correlations import correlate_neurons
from searchlab.analysis.ensembles import evaluate_ensemble
from searchlab.engine.stopping import StopRequest
from searchlab.records import trial_record as attr
from searchlab.records.trial_record import TrialRecord
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.training.checkpoint import model_path
from searchlab.training.images import TrainingData
from searchlab.training.saved_models import SavedModel, load_model

__all__ = ["evaluate_finished"]

logger = logging.getLogger(__name__)


def evaluate_finished(
    prepared: PreparedStudy,
    study: Study,
    records: Iterable[TrialRecord],
    models: Path,
    *,
    stop: StopRequest,
) -> None:
    """Measure and record what the study asks of its finished models, except what is recorded.

    All of it is of baselines, which are fixed before the study begins, so the test set chooses
    nothing here. One that names a baseline the study omits is skipped; one that names a baseline
    that didn't complete, or that can't be measured, is skipped with a warning, because no trial is
    still to come. Each is recorded as soon as it is measured; after a ``stop`` none is begun.
    """
    numbers = {
        record.label: record.number
        for record in records
        if record.role == "baseline" and record.state == "COMPLETE"
    }
    known: dict[str, Any] = study.user_attrs.get(attr.EVALUATIONS, {})
    missing = [task for task in _plan(prepared) if not task.is_in(known)]
    measurable = [task for task in missing if _has_models(task, numbers)]
    if not measurable or stop.is_made:
        return
    opened = _Opened(prepared, models, numbers)
    for task in measurable:
        if stop.is_made:
            return
        try:
            figures = task.measure(opened)
        except ValueError as error:  # an InputError, or no two neurons respond
            logger.warning("%s was not measured: %s", task.name, error)
        else:
            known[task.name] = {**task.made_of, **figures}
            study.set_user_attr(attr.EVALUATIONS, known)


def _has_models(task: _Task, numbers: Mapping[str, int]) -> bool:
    without = sorted(task.members - set(numbers))
    if without:
        logger.warning("%s was not measured: %s did not complete", task.name, " and ".join(without))
    return not without


class _Opened:
    """The data, and each model that was requested, loaded once."""

    def __init__(self, prepared: PreparedStudy, folder: Path, numbers: dict[str, int]) -> None:
        self.data = TrainingData.from_images(prepared.images, prepared.folds, torch.device("cpu"))
        self._folder = folder
        self._numbers = numbers
        self._models: dict[str, SavedModel] = {}

    def model(self, label: str) -> SavedModel:
        if label not in self._models:
            path = model_path(self._folder, self._numbers[label])
            self._models[label] = load_model(path, self.data)
        return self._models[label]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """Figures to measure; measured again if ``made_of``, recorded with them, has changed."""

    name: str
    members: frozenset[str]
    made_of: dict[str, Any]
    measure: Callable[[_Opened], dict[str, Any]]

    def is_in(self, known: dict[str, Any]) -> bool:
        recorded = known.get(self.name, {})
        return bool(recorded) and self.made_of.items() <= recorded.items()


def _plan(prepared: PreparedStudy) -> list[_Task]:
    """List what the study asks for, without what names a baseline that it omits."""
    spec = prepared.spec
    ensembles = [
        _Task(
            name=name,
            members=frozenset(members),
            made_of={"members": list(members)},
            measure=partial(_measure_ensemble, members),
        )
        for name, members in spec.ensembles.items()
    ]
    correlations = [
        _Task(
            name=label,
            members=frozenset((label,)),
            made_of={"layer": layer},
            measure=partial(_correlate, label, layer),
        )
        for label, layer in spec.correlations.items()
    ]
    rows = () if spec.published is None else spec.published.rows
    confused = dict.fromkeys(row.trial for row in rows if row.confusion and row.trial)
    confusions = [
        _Task(
            name=f"{attr.CONFUSIONS_OF}{label}",
            members=frozenset((label,)),
            made_of={},
            measure=partial(_count_confusions, label),
        )
        for label in confused
    ]
    asked = {row.name for row in spec.baseline_rows}
    return [task for task in (*ensembles, *correlations, *confusions) if task.members <= asked]


def _measure_ensemble(members: tuple[str, ...], opened: _Opened) -> dict[str, float]:
    logits = [opened.model(member).logits(opened.data) for member in members]
    return evaluate_ensemble(logits, opened.data.test_labels)


def _correlate(label: str, layer: str, opened: _Opened) -> dict[str, float]:
    model = opened.model(label)
    read = model.features if layer == "features" else model.logits
    return asdict(correlate_neurons(read(opened.data)))


def _count_confusions(label: str, opened: _Opened) -> dict[str, list[int]]:
    """Return the test images by true and predicted class, row by row."""
    labels = opened.data.test_labels.cpu().numpy()
    logits = opened.model(label).logits(opened.data)
    guesses = logits.argmax(1).numpy()
    counts = count_confusions(labels, guesses[None], logits.shape[1])
    return {"counts": [int(count) for count in counts.ravel()]}
