"""What callbacks are told of a trial, made from its record while it runs or afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from searchlab.config.metrics import list_metrics
from searchlab.records import trial_record as attr
from searchlab.records.trial_record import TrialRecord
from searchlab.study.callbacks import EndedTrial, EpochEnd, TrialBegin, TrialEnd
from searchlab.study.outcome import learning_curves

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from searchlab.config.study import StudySpec
    from searchlab.config.trial import Role
    from searchlab.training.results import EpochResult

__all__ = ["describe_begin", "describe_end", "describe_epoch", "describe_epochs", "read_ended"]


def describe_begin(record: TrialRecord) -> TrialBegin:
    """Return what a callback is told when a trial begins."""
    return TrialBegin(
        number=record.number,
        role=record.role,
        label=record.label,
        params=record.params,
        repeats=_find_repeated(record),
    )


def _find_repeated(record: TrialRecord) -> int | None:
    numbers = (record.finalist_of, record.confirmation_of, record.same_as)
    return next((number for number in numbers if number is not None), None)


def describe_epoch(role: Role, result: EpochResult, *, search_folds: int) -> EpochEnd:
    """Return what a callback is told when a trial reports an epoch."""
    curves = learning_curves({result.epoch: result})
    [end] = _read_epochs(result.number, role, curves, search_folds=search_folds)
    return replace(end, epoch=result.epoch)


def describe_end(record: TrialRecord, spec: StudySpec) -> TrialEnd:
    """Return what a callback is told when a trial has ended."""
    return TrialEnd(
        number=record.number,
        role=record.role,
        label=record.label,
        state=record.state,
        value=record.value,
        epoch=record.epochs,
        seconds=record.seconds,
        reason=record.error or record.stop_reason,
        test=record.test_figures.get(spec.primary.metric),
        figures=record.figures,
        test_figures=record.test_figures,
    )


def read_ended(study: Study, spec: StudySpec) -> Iterator[EndedTrial]:
    """Yield each trial of the storage that has ended, by number."""
    for trial in study.get_trials(deepcopy=False):
        if not trial.state.is_finished():
            continue
        record = TrialRecord.from_trial(trial)
        epochs = tuple(describe_epochs(trial, spec))
        yield EndedTrial(
            begin=describe_begin(record), epochs=epochs, end=describe_end(record, spec)
        )


def describe_epochs(trial: FrozenTrial, spec: StudySpec) -> Iterator[EpochEnd]:
    """Yield what a callback is told of each epoch that a trial recorded."""
    role: Role = trial.user_attrs.get(attr.ROLE, "search")
    curves = trial.system_attrs.get(attr.CURVES, {})
    return _read_epochs(trial.number, role, curves, search_folds=spec.validation.search_folds)


def _read_epochs(
    number: int, role: Role, curves: Mapping[str, Sequence[Any]], *, search_folds: int
) -> Iterator[EpochEnd]:
    """Yield the epochs of learning curves (``trial_record.CURVES``)."""
    training = {
        name.removeprefix("train_"): curve
        for name, curve in curves.items()
        if name.startswith("train_")
    } or {
        name.removeprefix("full_train_"): [curve]
        for name, curve in curves.items()
        if name.startswith("full_train_")
    }
    validation = {
        one.name: curves[one.curve_key] for one in list_metrics() if one.curve_key in curves
    }
    for index, seconds in enumerate(curves.get("seconds", ())):
        yield EpochEnd(
            number=number,
            role=role,
            epoch=index + 1,
            training=_average(training, index, search_folds),
            validation=_average(validation, index, search_folds),
            seconds=seconds,
        )


def _average(
    curves: Mapping[str, Sequence[Sequence[float | None]]], index: int, search_folds: int
) -> dict[str, float]:
    """Return the means over the search folds at one epoch, of the figures that were kept."""
    means = {}
    for name, folds in curves.items():
        kept = [figure for fold in folds[:search_folds] if (figure := fold[index]) is not None]
        if kept:
            means[name] = math.fsum(kept) / len(kept)
    return means
