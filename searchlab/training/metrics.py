"""The functions that measure the metrics of ``config/metrics.py``, under the same names.

What the classes of the images decide is measured by the table's own functions. Those of images get
all answers of an evaluation at once, on the device, and return a number there. It is read once per
evaluation, because each read waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from searchlab.config.metrics import Metric, list_metrics
from searchlab.config.trial import TrialConfig
from searchlab.models.build import count_multiply_adds
from searchlab.training.images import TrainingData
from searchlab.training.latency import measure_latency

__all__ = [
    "Answers",
    "MeasuredModel",
    "count_parameters",
    "measure_answers",
    "measure_model",
    "measures_answers",
    "measures_model",
]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A model's answers on N images: ``labels`` int64 [N], and its logits [B, C] by batch.

    ``attacked`` has its answers on the same images under the trial's attack, if there is one.
    """

    labels: Tensor
    batches: Sequence[Tensor]
    attacked: Answers | None = None

    @cached_property
    def logits(self) -> Tensor:
        """All logits [N, C]; with hundreds of classes the copy takes longer than the loss."""
        return torch.cat(list(self.batches))

    @cached_property
    def guesses(self) -> Tensor:
        """The predicted classes: int64 [N]."""
        return torch.cat([logits.argmax(1) for logits in self.batches])

    @cached_property
    def counts(self) -> Tensor:
        """The images of each class: recognised, in all, and taken for it: float64 [3, C]."""
        none, ones = self.labels.new_zeros(self.batches[0].shape[1]), torch.ones_like(self.labels)
        # Not bincount, which waits for the device to find the largest class.
        return torch.stack(
            [
                none.index_add(0, self.labels, (self.guesses == self.labels).to(none.dtype)),
                none.index_add(0, self.labels, ones),
                none.index_add(0, self.guesses, ones),
            ]
        ).double()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredModel:
    """A trial's network, with its configuration and the shape of its images."""

    model: nn.Module
    config: TrialConfig
    data: TrainingData


AnswerMeasure = Callable[[Answers], Tensor]
ModelMeasure = Callable[[MeasuredModel], float]
MeasureT = TypeVar("MeasureT", AnswerMeasure, ModelMeasure)

_of_answers: dict[str, AnswerMeasure] = {}
_of_models: dict[str, ModelMeasure] = {}


def measures_answers(name: str) -> Callable[[AnswerMeasure], AnswerMeasure]:
    """Register the function that measures a metric of folds."""
    return _register(name, _of_answers)


def measures_model(name: str) -> Callable[[ModelMeasure], ModelMeasure]:
    """Register the function that measures a metric of trials or models."""
    return _register(name, _of_models)


def _register(name: str, measures: dict[str, MeasureT]) -> Callable[[MeasureT], MeasureT]:
    if name in measures:
        raise ValueError(f"metric {name!r} already has a function")

    def register(measure: MeasureT) -> MeasureT:
        measures[name] = measure
        return measure

    return register


@torch.inference_mode()
def measure_answers(answers: Answers, *, requested: Collection[str] = ()) -> dict[str, float]:
    """Return every metric of folds for these answers; those on request only if ``requested``."""
    wanted = [
        metric
        for metric in list_metrics()
        if metric.is_of_folds
        and _is_wanted(metric, requested)
        and (metric.needs is None or answers.attacked is not None)
    ]
    figures = torch.stack([_measure(metric, answers).double() for metric in wanted])
    return dict(zip((metric.name for metric in wanted), figures.tolist(), strict=True))


def _measure(metric: Metric, answers: Answers) -> Tensor:
    of = answers.attacked if metric.needs == "robustness" else answers
    assert of is not None
    if metric.of_counts is None:
        return _of_answers[metric.name](of)
    measured: Tensor = metric.of_counts(*of.counts)
    return measured


def measure_model(
    model: MeasuredModel, measured: Literal["trial", "model"], *, requested: Collection[str]
) -> dict[str, float]:
    """Return the metrics of the kind ``measured``; those on request only if ``requested``."""
    return {
        metric.name: _of_models[metric.name](model)
        for metric in list_metrics()
        if metric.measured == measured and _is_wanted(metric, requested)
    }


def _is_wanted(metric: Metric, requested: Collection[str]) -> bool:
    return not metric.on_request or metric.name in requested


# Of an evaluation's answers


@measures_answers("loss")
def _measure_loss(answers: Answers) -> Tensor:
    labels = torch.split(answers.labels, [len(logits) for logits in answers.batches])
    sums = [
        cross_entropy(logits, those, reduction="sum")
        for logits, those in zip(answers.batches, labels, strict=True)
    ]
    return torch.stack(sums).double().sum() / len(answers.labels)


# Of a trial or its network


def count_parameters(model: nn.Module) -> int:
    """Return the number of weights and biases, frozen ones included."""
    return sum(parameter.numel() for parameter in model.parameters())


@measures_model("parameters")
def _measure_parameters(measured: MeasuredModel) -> float:
    return count_parameters(measured.model)


@measures_model("multiply_adds")
def _measure_multiply_adds(measured: MeasuredModel) -> float:
    data = measured.data
    return count_multiply_adds(
        measured.config.model, image_shape=data.image_shape, num_classes=data.num_classes
    )


@measures_model("latency")
def _measure_latency(measured: MeasuredModel) -> float:
    data, settings = measured.data, measured.config.settings
    return measure_latency(
        measured.model,
        data.image_shape,
        data.device,
        precision=settings.precision,
        average_flips=settings.average_flips,
    )
