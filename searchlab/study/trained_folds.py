"""The folds that a finalist takes over from its search trial instead of training them again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from searchlab.config.metrics import list_metrics
from searchlab.config.trained_folds import FoldMetrics, TrainedFolds
from searchlab.config.trial import TrialConfig
from searchlab.records import trial_record as attr
from searchlab.records.trial_record import TrialRecord

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

__all__ = ["read_trained_folds", "take_over_folds"]

_TRAINING = "train_"


def take_over_folds(study: Study, config: TrialConfig, known: Mapping[str, Any]) -> TrialConfig:
    """Return a finalist's configuration with the folds that its search trial has trained.

    The same folds with the same keys give the same bits (docs/design.md, decision 7). ``known`` are
    the trial's user attributes. A configuration of another role is returned as it is.
    """
    number = known.get(attr.FINALIST_OF)
    if config.role != "finalist" or number is None:
        return config
    [searched] = (trial for trial in study.get_trials(deepcopy=False) if trial.number == number)
    return replace(config, trained=read_trained_folds(searched, config))


def read_trained_folds(searched: FrozenTrial, finalist: TrialConfig) -> TrainedFolds | None:
    """Return every epoch of the search folds, exact, as a search trial recorded them.

    None if the record does not show that the finalist would find the same bits: if patience ended
    the search trial, because the other folds may keep the finalist going; if memory ran out and
    batches were split; if the trial was interrupted or its machine is unknown, because some epochs
    may be of another; or if its curves are rounded, as those of earlier versions.
    """
    record = TrialRecord.from_trial(searched)
    num_epochs, folds = finalist.settings.epochs, finalist.folds
    is_undisturbed = (
        record.state == "COMPLETE"
        and record.epochs == num_epochs
        and record.interruptions is None
        and len(record.machines) == 1
        and attr.BATCH_SPLIT not in searched.user_attrs
    )
    recorded: Mapping[str, list[Any]] = searched.system_attrs.get(attr.CURVES, {})
    if not is_undisturbed or attr.are_rounded(recorded):
        return None
    names = {metric.curve_key: metric.name for metric in list_metrics()}
    training = {
        name.removeprefix(_TRAINING): curve
        for name, curve in recorded.items()
        if name.startswith(_TRAINING)
    }
    validation = {names[key]: curve for key, curve in recorded.items() if key in names}
    for curve in (*training.values(), *validation.values()):
        if not _is_whole(curve, num_folds=folds.search_folds, num_epochs=num_epochs):
            return None  # an import may be made by anybody
    return TrainedFolds(
        machine=record.machines[0],
        epochs=tuple(
            tuple(
                FoldMetrics(
                    fold=fold,
                    training={name: curve[index][epoch] for name, curve in training.items()},
                    validation={name: curve[index][epoch] for name, curve in validation.items()},
                )
                for index, fold in enumerate(folds.folds[: folds.search_folds])
            )
            for epoch in range(num_epochs)
        ),
    )


def _is_whole(curve: list[list[float]], *, num_folds: int, num_epochs: int) -> bool:
    """Return whether a curve has a finite figure for each fold and epoch."""
    return len(curve) == num_folds and all(
        len(figures) == num_epochs and all(map(math.isfinite, figures)) for figures in curve
    )
