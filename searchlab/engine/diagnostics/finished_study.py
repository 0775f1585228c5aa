"""FinishedStudy: a study whose trials have all ended, with its images and its kept models."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from searchlab.config.study import StudySpec
from searchlab.engine.devices import choose_device
from searchlab.engine.diagnostics.tasks import StoppedError
from searchlab.engine.stopping import StopRequest
from searchlab.errors import InputError
from searchlab.records.run_folder import RunFolder
from searchlab.records.trial_record import TrialRecord
from searchlab.study.plan import choose_best
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.training.checkpoint import model_path
from searchlab.training.held_out import HeldOut, held_out_path, read_held_out
from searchlab.training.images import TrainingData
from searchlab.training.saved_models import SavedModel, load_model

__all__ = ["FinishedStudy"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedStudy:
    """What diagnostics are measured on. Each model is loaded once.

    ``show`` is told what is measured, and how far a long task is.
    """

    run: RunFolder
    prepared: PreparedStudy
    records: list[TrialRecord]
    stop: StopRequest
    show: Callable[[str], None] = lambda _: None
    _models: dict[int, SavedModel] = field(default_factory=dict, init=False)
    _logits: dict[int, Tensor] = field(default_factory=dict, init=False)

    @property
    def spec(self) -> StudySpec:
        """The study as its file says it."""
        return self.prepared.spec

    @cached_property
    def subjects(self) -> list[TrialRecord]:
        """The best finalist and the best baseline, or what the study has of them."""
        return [*choose_best(self.spec, self.records).values()]

    @cached_property
    def data(self) -> TrainingData:
        """The images on this process's GPU if the study asked for GPUs, or else on the CPU."""
        device = choose_device("auto" if self.spec.resources.gpus else 0)
        return TrainingData.from_images(self.prepared.images, self.prepared.folds, device)

    def check_stop(self) -> None:
        """Raise StoppedError if the study was asked to stop."""
        if self.stop.is_made:
            raise StoppedError

    def model(self, number: int) -> SavedModel:
        """Return a trial's model on all training images. Raises InputError if it is lost."""
        if number not in self._models:
            self._models[number] = load_model(model_path(self.run.models, number), self.data)
        return self._models[number]

    def test_logits(self, number: int) -> Tensor:
        """Return that model's logits [N, C] on the test images, float32 on the CPU."""
        if number not in self._logits:
            self._logits[number] = self.model(number).logits(self.data)
        return self._logits[number]

    def held_out(self, number: int) -> HeldOut | None:
        """Return a trial's predictions of the images that its folds held out, None without any.

        A damaged file is warned of.
        """
        images = self.prepared.images
        try:
            return read_held_out(
                held_out_path(self.run.models, number),
                num_images=len(images.train_labels),
                num_classes=images.num_classes,
            )
        except InputError as error:
            logger.warning("%s", error)
            return None
