"""One trial of a recorded study, as Python reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from searchlab.config.trial import Role, Scalar, TrialConfig
    from searchlab.records.trial_record import TrialRecord
    from searchlab.report.reading import StudyReading

__all__ = ["Trial"]


class Trial:
    """A trial as its study recorded it: ``run.best`` and ``run.trial(number)`` return one."""

    def __init__(
        self, reading: StudyReading, record: TrialRecord, *, data_dir: Path | None
    ) -> None:
        self._reading = reading
        self._record = record
        self._data_dir = data_dir

    def __repr__(self) -> str:
        record = self._record
        return f"<searchlab.Trial #{record.number} {record.label} ({record.role}): {record.state}>"

    @property
    def number(self) -> int:
        """The trial's number in its study."""
        return self._record.number

    @property
    def role(self) -> Role:
        """What the trial is for: ``search``, ``baseline``, ``finalist``, ``confirmation``."""
        return self._record.role

    @property
    def label(self) -> str:
        """The family, or the baseline's name."""
        return self._record.label

    @property
    def state(self) -> str:
        """``COMPLETE``, ``PRUNED``, ``FAIL``, ``RUNNING`` or ``WAITING``, as in Optuna."""
        return self._record.state

    @property
    def value(self) -> float | None:
        """The study's first objective: the mean over the search folds, None if there is none."""
        return self._record.value

    @property
    def figures(self) -> dict[str, float]:
        """Every metric by name; those of folds are means over the search folds."""
        return dict(self._record.figures)

    @property
    def test_figures(self) -> dict[str, float]:
        """Every metric on the test set, which no search trial meets."""
        return dict(self._record.test_figures)

    @property
    def params(self) -> dict[str, Scalar]:
        """The trial's own parameters by their place in the space, as Optuna has them."""
        return dict(self._record.params)

    @property
    def config(self) -> TrialConfig:
        """All that the trial was trained with: network, settings, folds, seed.

        ``config.settings.lr``, ``config.model.family`` and so on. If the space is a Python
        function, that function is imported and called.

        Raises:
            InputError: The trial has not drawn its parameters yet.
        """
        from searchlab.study.preparation.prepared_study import open_space
        from searchlab.study.trial_config import recorded_config

        spec = self._reading.spec
        trial = self._reading.trials[self._reading.records.index(self._record)]
        return recorded_config(spec, open_space(spec), trial)

    def load_model(self) -> tuple[nn.Module, tuple[str, ...]]:
        """Return the trained model and the names of its classes, in the order of its answers.

        The model was trained on all training images. It is in eval mode on the CPU, and takes
        pixels as they are: uint8 or float [N, C, H, W] in 0 to 255, of the study's size. It scales
        them as in training and answers logits, float32 [N, classes]. The study's images are read
        for that scaling, and its plugins are imported.

        Raises:
            InputError: The trial has no weights (search trials keep none), or the images or a
                plugin are not those that the study recorded.

        Example:
            >>> model, classes = run.best.load_model()
            >>> classes[model(images).argmax(1)[0]]
        """
        from searchlab.data import resolve_data_dir
        from searchlab.report.trained_model import open_model

        opened = open_model(self._reading, self._record, data_dir=resolve_data_dir(self._data_dir))
        return opened.classifier, opened.classes
