"""Optuna studies in memory, in which a sampler of Optuna's sees flat points only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

__all__ = ["make_inner_study"]


def make_inner_study(trials: Iterable[FrozenTrial], *, num_objectives: int) -> Study:
    """Return a study of these trials, whose values are losses: all to be minimised."""
    storage = InMemoryStorage()
    # Not optuna.create_study, which would log a study that is not the user's.
    storage.create_new_study([StudyDirection.MINIMIZE] * num_objectives, "inner")
    study = Study("inner", storage)
    for trial in trials:
        study.add_trial(trial)
    return study
