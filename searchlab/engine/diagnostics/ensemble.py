"""What a study's finalists are worth together: their ensemble beside its members."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial, reduce

import numpy as np

from searchlab.analysis.ensembles import evaluate_ensemble, select_greedily
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.results import (
    Ensembles,
    WeightedEnsemble,
    ensemble_key,
    list_members,
)
from searchlab.engine.diagnostics.tasks import Task
from searchlab.errors import InputError
from searchlab.training.held_out import HeldOut
from searchlab.training.metrics import Answers, measure_answers

__all__ = ["plan_ensemble"]


def plan_ensemble(finished: FinishedStudy) -> Iterator[Task]:
    """Measure the ensemble of all finalists, if there are two."""
    members = list_members(finished.records)
    if len(members) >= 2:
        yield Task(
            key=ensemble_key(members),
            kind=Ensembles,
            doing=f"the ensemble of {len(members)} finalists",
            measure=partial(_measure, finished, members),
        )


def _measure(finished: FinishedStudy, members: list[int]) -> Ensembles:
    data = finished.data
    labels = data.test_labels.cpu()
    logits = [finished.test_logits(number) for number in members]
    equal = [1 / len(members)] * len(members)
    num_images, greedy, reason = 0, None, ""
    try:
        images, probabilities = _read_held_out(finished, members)
    except InputError as error:
        reason = str(error)
    else:
        num_images = len(images)
        weights = select_greedily(probabilities, data.train_labels.cpu().numpy()[images])
        greedy = WeightedEnsemble(
            weights=weights, figures=evaluate_ensemble(logits, labels, weights=weights)
        )
    return Ensembles(
        members=members,
        alone=[measure_answers(Answers(labels=labels, batches=[each])) for each in logits],
        average=WeightedEnsemble(weights=equal, figures=evaluate_ensemble(logits, labels)),
        greedy=greedy,
        held_out_images=num_images,
        without_greedy=reason,
    )


def _read_held_out(finished: FinishedStudy, members: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the images [N] that all members have held out, and their probabilities [M, N, C].

    Raises InputError if there are none.
    """
    predictions: list[HeldOut] = []
    for number in members:
        found = finished.held_out(number)
        if found is None:
            raise InputError("has no held-out predictions", where=f"trial #{number}")
        predictions.append(found)
    images = reduce(np.intersect1d, [one.indices for one in predictions])
    if not len(images):
        raise InputError("have no held-out images in common", where="the finalists")
    chosen = [
        np.exp(one.log_probabilities[np.searchsorted(one.indices, images)]) for one in predictions
    ]
    return images, np.stack(chosen)
