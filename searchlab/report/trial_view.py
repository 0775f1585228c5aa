"""One trial in full: its configuration, its curves, how it was found and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from searchlab.config.metrics import get_metric, list_metrics
from searchlab.config.space import SpaceSpec
from searchlab.errors import InputError
from searchlab.records import trial_record as attr
from searchlab.records.trial_record import TrialRecord
from searchlab.report.json_output import row_data
from searchlab.report.leaderboard import Row, list_rows
from searchlab.search.space.study_space import SpecSpace
from searchlab.study.plan import PORTFOLIO, REFERENCE, WARM
from searchlab.study.trial_config import recorded_config

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from searchlab.config.study import StudySpec
    from searchlab.config.trial import TrialConfig
    from searchlab.report.reading import StudyReading

__all__ = ["Curve", "TrialView", "read_config", "trial_data", "view_trial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A figure by epoch: of one fold, or the mean over the trial's folds if ``fold`` is None."""

    key: str
    metric: str
    fold: int | None
    values: tuple[float, ...]

    @property
    def is_training(self) -> bool:
        """Whether it was taken on the training images."""
        return self.key.startswith("train_")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialView:
    """A trial in full.

    ``config`` is None if it is not known without running code that the study names. ``curves`` are
    means over folds, and those of each fold for the study's first objective.
    """

    row: Row
    record: TrialRecord
    config: TrialConfig | None
    found: str
    curves: tuple[Curve, ...]
    node: str | None
    started: datetime | None
    ended: datetime | None


def view_trial(reading: StudyReading, number: int) -> TrialView:
    """Gather what a study recorded of a trial. Raises InputError if there is none."""
    record = reading.find_trial(number)
    position = reading.records.index(record)
    trial = reading.trials[position]
    return TrialView(
        row=list_rows(reading.records, reading.spec)[position],
        record=record,
        config=read_config(reading.spec, trial),
        found=_describe_origin(reading, record, trial),
        curves=tuple(_read_curves(reading.spec, trial)),
        node=trial.user_attrs.get(attr.NODE),
        started=_local(trial.datetime_start),
        ended=_local(trial.datetime_complete),
    )


def _local(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone()


def read_config(spec: StudySpec, trial: FrozenTrial) -> TrialConfig | None:
    """Return what a trial trained, if that is known without running code that the study names."""
    if not isinstance(spec.space, SpaceSpec):  # its function is the study's own code
        return None
    try:
        return recorded_config(spec, SpecSpace(spec), trial)
    except InputError:  # not drawn yet, or of a plugin's family whose depth is open
        return None


def _describe_origin(reading: StudyReading, record: TrialRecord, trial: FrozenTrial) -> str:
    if record.retry_of is not None:
        return f"the parameters of trial #{record.retry_of}, which was lost, once more"
    if record.role == "baseline":
        return "a baseline, fixed by the study before its search"
    if record.confirmation_of is not None:
        return (
            f"repeat {record.repeat} of trial #{record.confirmation_of}, trained again on all "
            "training images with draws of its own"
        )
    if record.finalist_of is not None:
        return f"search trial #{record.finalist_of}, trained on all folds"
    if record.same_as is not None:
        return f"the configuration of search trial #{record.same_as}, whose result it has untrained"
    sampler = reading.spec.search.sampler
    plan = record.plan or ""
    if plan.startswith(REFERENCE):
        return "a reference point of the search: the study's training values, family's defaults"
    if plan.startswith(PORTFOLIO):
        return "of the portfolio: a configuration that did well on other images"
    if plan.startswith(WARM):
        return "given to the search as a point to try first: search.warm_start"
    if plan.startswith("search/"):
        return f"point {int(plan.partition('/')[2]) + 1} of the plan of {sampler}"
    begun = trial.datetime_start
    ended = [
        other
        for other in reading.trials
        if begun is not None
        and other.datetime_complete is not None
        and other.datetime_complete <= begun
        and other.user_attrs.get(attr.ROLE, "search") == "search"
    ]
    trials = "1 search trial" if len(ended) == 1 else f"{len(ended)} search trials"
    text = f"drawn by {sampler} after {trials} had ended"
    if alone := trial.system_attrs.get(attr.INDEPENDENTLY_SAMPLED):
        text += f" ({', '.join(alone)} independently of the others)"
    return text


def _read_curves(spec: StudySpec, trial: FrozenTrial) -> list[Curve]:
    recorded: Mapping[str, list[Any]] = trial.system_attrs.get(attr.CURVES, {})
    first = spec.primary.metric
    keys = {metric.curve_key: metric.name for metric in list_metrics()}
    keys |= {"train_accuracy": "accuracy", "train_loss": "loss"}
    own = get_metric(first).curve_key
    curves = []
    if own not in recorded and trial.intermediate_values:  # it has not ended yet
        values = tuple(value for _, value in sorted(trial.intermediate_values.items()))
        curves.append(Curve(key=own, metric=first, fold=None, values=values))
    for key in sorted(keys.keys() & recorded.keys(), key=lambda key: (key != own, key)):
        folds: Sequence[Sequence[float]] = recorded[key]
        means = tuple(math.fsum(epoch) / len(epoch) for epoch in zip(*folds, strict=False))
        curves.append(Curve(key=key, metric=keys[key], fold=None, values=means))
        if key == own and len(folds) > 1:
            curves += [
                Curve(key=key, metric=first, fold=fold, values=tuple(values))
                for fold, values in enumerate(folds)
            ]
    return [curve for curve in curves if curve.values]


def trial_data(reading: StudyReading, view: TrialView) -> dict[str, Any]:
    """Return what ``trial show --json`` prints."""
    config, record = view.config, view.record
    recorded = reading.trials[reading.records.index(record)].system_attrs
    return {
        "study": reading.spec.name,
        "metric": reading.spec.primary.metric,
        **(row_data(view.row) or {}),
        "error": record.error,
        "found": view.found,
        "retry_of": record.retry_of,
        "model": None if config is None else asdict(config.model),
        "settings": None if config is None else config.settings.model_dump(mode="json"),
        "curves": _without_nan(recorded.get(attr.CURVES, {})),
        "machines": [asdict(machine) for machine in record.machines],
        "node": view.node,
        "started": view.started and view.started.isoformat(timespec="seconds"),
        "ended": view.ended and view.ended.isoformat(timespec="seconds"),
        "interruptions": record.interruptions and asdict(record.interruptions),
    }


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
