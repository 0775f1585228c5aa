"""What goes on in the layers of a trial's model while it trains, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from searchlab.analysis.layers import probe_layers
from searchlab.config.seeds import derive_seed
from searchlab.config.trained_folds import Machine
from searchlab.config.trial import TrialConfig
from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.engine.diagnostics.results import ProbedEpoch, ProbedTraining, layers_key
from searchlab.engine.diagnostics.retraining import are_equal, kept_epoch, retrain
from searchlab.engine.diagnostics.tasks import Task
from searchlab.records.trial_record import TrialRecord
from searchlab.training.images import TrainingData
from searchlab.training.inference import evaluation_batch
from searchlab.training.machine import describe_machine

__all__ = ["NUM_IMAGES", "choose_epochs", "plan_layers"]

NUM_IMAGES = 512
"""The most training images on which layers are seen."""

_MOST_PROBES = 31


def plan_layers(finished: FinishedStudy) -> Iterator[Task]:
    """Train the models of the best finalist and of the best baseline again."""
    for record in finished.subjects:
        yield Task(
            key=layers_key(record.number),
            kind=ProbedTraining,
            doing=f"layers of #{record.number} {record.label}, which is trained again",
            measure=partial(_measure, finished, record),
        )


def _measure(finished: FinishedStudy, record: TrialRecord) -> ProbedTraining:
    kept = finished.model(record.number)
    images = _ProbedImages(kept.config, finished.data)
    probed = choose_epochs(kept_epoch(record))
    epochs: list[ProbedEpoch] = []
    machines: set[Machine] = set()

    def probe(epoch: int, model: nn.Module) -> None:
        machines.add(describe_machine(finished.data.device))
        if epoch in probed:
            precision = kept.config.settings.precision
            epochs.append(
                ProbedEpoch(epoch=epoch, layers=probe_layers(model, images.batches(), precision))
            )

    weights = retrain(finished, record, probe)
    return ProbedTraining(
        num_images=len(images.indices),
        is_same=are_equal(weights, kept.model.state_dict()),
        machine=machines.pop(),
        epochs=epochs,
    )


def choose_epochs(num_epochs: int) -> set[int]:
    """Return the epochs to look at, from 0: all, or the first, the last and some between them."""
    if num_epochs < _MOST_PROBES:
        return set(range(num_epochs + 1))
    step = num_epochs / (_MOST_PROBES - 1)
    return {round(place * step) for place in range(_MOST_PROBES)}


@dataclass(frozen=True)
class _ProbedImages:
    """Training images drawn once, the same for each model of a study, without augmentation."""

    config: TrialConfig
    data: TrainingData
    indices: Tensor = field(init=False)

    def __post_init__(self) -> None:
        drawing = torch.Generator().manual_seed(derive_seed(self.config.seed, "probe"))
        order = torch.randperm(len(self.data.train_labels), generator=drawing)
        object.__setattr__(self, "indices", order[:NUM_IMAGES].to(self.data.train_labels.device))

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        normalize = self.data.normalizer(None, self.config.normalize)
        shape = self.data.image_shape
        size = evaluation_batch(shape, self.data.device, with_gradients=True)
        for batch in torch.split(self.indices, size):
            images, labels = self.data.training(batch)
            yield normalize(images), labels
