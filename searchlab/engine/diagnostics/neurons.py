"""How alike a model's neurons respond to the test images, and two models' to each other's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

from torch import Tensor

from searchlab.analysis.correlations import correlate_neurons, correlation_matrix, thin_neurons
from searchlab.analysis.similarity import linear_cka
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.results import (
    LAYERS,
    CorrelatedNeurons,
    LayerName,
    ModelPair,
    Neurons,
    choose_compared,
    neurons_key,
)
from searchlab.engine.diagnostics.tasks import Task
from searchlab.errors import InputError
from searchlab.records.trial_record import TrialRecord

__all__ = ["plan_neurons"]


_MOST_NEURONS = 2048  # of a layer, for its figures
_MOST_DRAWN = 64


def plan_neurons(finished: FinishedStudy) -> Iterator[Task]:
    """Correlate the neurons of the subjects, and compare the models with each other."""
    compared = choose_compared(finished.subjects, finished.records)
    if compared:
        yield Task(
            key=neurons_key(compared),
            kind=Neurons,
            doing=f"correlations of neurons, of {len(compared)} models",
            measure=partial(_measure, finished, compared),
        )


def _measure(finished: FinishedStudy, compared: Sequence[TrialRecord]) -> Neurons:
    layers: list[CorrelatedNeurons] = []
    pairs: list[ModelPair] = []
    for layer in LAYERS:
        seen: dict[int, Tensor] = {}
        for record in compared:
            activations = _read(finished, record.number, layer)
            if activations is None:
                continue
            thinned = thin_neurons(activations, _MOST_NEURONS)
            try:
                figures = correlate_neurons(thinned)
            except ValueError:  # fewer than two neurons respond, so there is nothing to compare
                continue
            seen[record.number] = thinned
            layers.append(
                CorrelatedNeurons(
                    number=record.number,
                    layer=layer,
                    num_all=activations.shape[1],
                    figures=figures,
                    matrix=_draw(thinned),
                )
            )
        pairs += [
            ModelPair(one=one, other=other, layer=layer, cka=linear_cka(seen[one], seen[other]))
            for one, other in combinations(seen, 2)
        ]
    return Neurons(num_images=len(finished.data.test_labels), layers=layers, pairs=pairs)


def _read(finished: FinishedStudy, number: int, layer: LayerName) -> Tensor | None:
    model = finished.model(number)
    if layer == "logits":
        return model.logits(finished.data)
    try:
        return model.features(finished.data)
    except InputError:  # the network has no fully connected layer
        return None


def _draw(activations: Tensor) -> list[list[float]]:
    responding = activations[:, activations.amax(0) > activations.amin(0)]
    matrix = correlation_matrix(thin_neurons(responding, _MOST_DRAWN))
    return [[round(value, 3) for value in row] for row in matrix.tolist()]
