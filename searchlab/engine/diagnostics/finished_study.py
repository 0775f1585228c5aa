"""FinishedStudy: a study whose trials have all ended, with its images and its kept models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from searchlab.config.study import StudySpec
from searchlab.engine.devices import choose_device
from searchlab.engine.diagnostics.tasks import StoppedError
from searchlab.engine.stopping import StopRequest
from searchlab.study.plan import choose_best
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.study.run_folder import RunFolder
from searchlab.study.trial_record import TrialRecord
from searchlab.training.checkpoint import model_path
from searchlab.training.images import TrainingData
from searchlab.training.saved_models import SavedModel, load_model

__all__ = ["FinishedStudy"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FinishedStudy:
    """What diagnostics are measured on. Each model is loaded once.

    ``show`` is told how far a long task is.
    """

    run: RunFolder
    prepared: PreparedStudy
    records: list[TrialRecord]
    stop: StopRequest
    show: Callable[[str], None] = lambda _: None
    _models: dict[int, SavedModel] = field(default_factory=dict, init=False)

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
