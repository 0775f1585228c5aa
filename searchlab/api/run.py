"""A recorded study, as Python reads it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.errors import InputError
from searchlab.records.storage.urls import hide_password

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from searchlab.api.recorded_trial import Trial
    from searchlab.report.leaderboard import Leaderboard
    from searchlab.report.reading import StudyReading
    from searchlab.report.status import StudyState
    from searchlab.report.verdict import Verdict

__all__ = ["Run"]


class Run:
    """What a study has recorded, finished or not, at the time when it was opened.

    ``load_run``, ``run_study`` and ``resume_study`` return one. Reading it changes nothing, and
    runs no code that the study brings along, such as plugins; a trial's ``config`` and
    ``load_model`` say where they do.
    """

    def __init__(
        self, reading: StudyReading, *, storage: str | None, data_dir: Path | None
    ) -> None:
        self._reading = reading
        self._storage = storage
        self._data_dir = data_dir

    def __repr__(self) -> str:
        return f"<searchlab.Run {self.name}: {self.state}, {len(self._reading.records)} trials>"

    @property
    def name(self) -> str:
        """The study's name."""
        return self._reading.spec.name

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._reading.run.path

    @property
    def storage(self) -> str:
        """The URL of the Optuna storage, without its password."""
        return hide_password(self._reading.storage_url)

    @property
    def state(self) -> StudyState:
        """``running``, ``finished`` or ``interrupted``."""
        from searchlab.report.status import read_status

        return read_status(self._reading).state

    @cached_property
    def trials(self) -> pd.DataFrame:
        """All trials by number, one a line.

        Columns: ``role``, ``label``, ``name`` (the label with what sets the trial apart),
        ``state``, ``value`` (the mean over the search folds; a confirmation has none), ``cv_mean``
        and ``cv_std`` (over all folds), every metric that was measured, again as ``test_...`` on
        the test set, ``epochs``, ``seconds``, and the parameters as ``params.lr``,
        ``params.cnn.depth`` and so on.
        """
        from searchlab.api.frames import trials_frame

        return trials_frame(self._reading)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """The learning curves of trials that have ended: a line for each trial, fold and epoch.

        Columns: ``trial``, ``fold``, ``epoch``, then each figure under its name in the record:
        ``train_loss``, ``train_accuracy``, ``validation_accuracy`` and so on.
        """
        from searchlab.api.frames import epochs_frame

        return epochs_frame(self._reading)

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """The rows of ``searchlab study leaderboard``, the best first, with columns as ``trials``.

        Search trials have no ``rank``, and only the best of them are here.
        """
        from searchlab.api.frames import leaderboard_frame

        return leaderboard_frame(self._board)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the winner is shown to beat the best baseline, and what is shown for it."""
        from searchlab.report.verdict import reach_verdict

        return reach_verdict(self._board, self._reading.records, self._reading.spec)

    @cached_property
    def _board(self) -> Leaderboard:
        from searchlab.report.leaderboard import build_leaderboard

        return build_leaderboard(self._reading.records, self._reading.spec)

    @property
    def best(self) -> Trial:
        """The winner, as ``searchlab study best`` names it.

        Raises:
            InputError: No trial that could win has finished yet.
        """
        from searchlab.report.leaderboard import best_row

        row = best_row(self._reading.records, self._reading.spec)
        if row is None:
            raise InputError("has no finished trial yet", where=str(self.path))
        return self.trial(row.number)

    def trial(self, number: int) -> Trial:
        """Return a trial by its number.

        Raises:
            InputError: The study has no such trial.
        """
        from searchlab.api.recorded_trial import Trial

        return Trial(self._reading, self._reading.find_trial(number), data_dir=self._data_dir)

    @cached_property
    def optuna_study(self) -> optuna.study.Study:
        """The study as Optuna loads it, for ``optuna.visualization`` and the like."""
        import optuna

        from searchlab.records.recorded_run import open_run_storage

        storage = open_run_storage(
            self._reading.run, self._reading.storage_url, is_named=self._storage is not None
        )
        return optuna.load_study(study_name=self.name, storage=storage)
