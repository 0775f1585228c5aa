"""Forecast: how long the rest of a study takes, by the trials of each role that have ended.

Before two trials of a role have ended nothing is known of it, and nothing is said. A trial takes
its training on a worker, which grows with its model, epochs, folds and images, and an overhead,
which does not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from searchlab.config.study import StudySpec
from searchlab.config.trial import ROLES, FoldPlan, Role
from searchlab.records.trial_record import TrialRecord
from searchlab.study.callbacks import Forecast, RunningTrial
from searchlab.study.plan import baseline_key, rank_candidates
from searchlab.study.trial_config import plan_folds

__all__ = ["Forecaster"]

_MIN_ENDED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Baseline:
    """``work`` is its epochs times its models, each by its share of the training images."""

    label: str
    work: float


_Alike = tuple[float, int]
"""The seconds that a trial takes, and how many take as long."""


@dataclass(slots=True, kw_only=True)
class Forecaster:
    """Counts what this driver's workers do, and forecasts by that and by the ended trials."""

    spec: StudySpec
    _num_parallel: int = 0  # trials that were trained side by side here
    _num_ended: int = 0
    _asked: dict[int, float] = field(default_factory=dict)
    _overhead_seconds: float = 0.0  # of all trials whose wait is known, and how many these are
    _num_overheads: int = 0
    _baselines: dict[str, _Baseline] = field(init=False)  # by the key of its planned trial

    def __post_init__(self) -> None:
        self._baselines = {
            baseline_key(row): _Baseline(
                label=row.name,
                work=self.spec.baseline_training(row).epochs
                * _count_models(plan_folds(self.spec, "baseline", row)),
            )
            for row in self.spec.baseline_rows
        }

    def count_begin(self, number: int) -> None:
        """Note that a trial was asked for; the first ones wait for their workers to start."""
        if self._num_ended:
            self._asked[number] = time.monotonic()

    def count_epoch(self, number: int, seconds: float, *, num_running: int) -> None:
        """Count an epoch of a trial that took ``seconds``; ``num_running`` trials ran beside it."""
        self._num_parallel = max(self._num_parallel, num_running)
        if number in self._asked:
            waited = time.monotonic() - seconds - self._asked.pop(number)
            self._overhead_seconds += max(0.0, waited)
            self._num_overheads += 1

    def count_end(self) -> None:
        """Count a trial that ended here."""
        self._num_ended += 1

    def forecast(
        self,
        ended: Mapping[Role, Sequence[TrialRecord]],
        unended: Mapping[Role, int],
        running: Sequence[RunningTrial],
    ) -> Forecast | None:
        """Return the seconds left in the study, or in the stages that can be forecast."""
        if not self._num_parallel:
            return None
        seconds, known = 0.0, []
        stages = [role for role in ROLES if unended[role]]
        for role in stages:
            left = self._find_left(role, ended, unended[role], running)
            if left is None:
                break  # a later role may be known by now, but it comes after this one
            known.append(role)
            seconds += self._span(left) if left else 0.0
        if not known:
            return None
        return Forecast(seconds=seconds, stage=None if known == stages else known[-1])

    def _span(self, left: Sequence[_Alike]) -> float:
        """Return how long workers side by side take for these trials."""
        overhead = self._overhead_seconds / max(1, self._num_overheads)
        together = sum(count * (seconds + overhead) for seconds, count in left)
        longest = max(seconds for seconds, _ in left)
        return max(together / self._num_parallel, longest + overhead)

    def _find_left(
        self,
        role: Role,
        ended: Mapping[Role, Sequence[TrialRecord]],
        num_unended: int,
        running: Sequence[RunningTrial],
    ) -> list[_Alike] | None:
        """Return what the trials of a role still take; None if that is not known.

        Those to come are counted, not listed: a budget of a million trials costs no more.
        """
        ours = [trial for trial in running if trial.role == role]
        known = [record for record in ended[role] if _is_measured(record)]
        usual = _mean_seconds(known, ours) if len(known) >= _MIN_ENDED else None
        if usual is None and role in ("finalist", "confirmation"):
            usual = self._cost_on_all_images(role, ended)
        if usual is None:
            return None
        coming = [(usual, max(0, num_unended - len(ours)))]
        if role == "baseline":
            labels = {trial.label for trial in ours}
            coming = [(cost, 1) for cost in self._cost_of_baselines(known, ended[role], labels)]
        left = [*coming, *((_left_of(trial, usual), 1) for trial in ours)]
        return [(seconds, count) for seconds, count in left if count]

    def _cost_of_baselines(
        self, known: Sequence[TrialRecord], ended: Sequence[TrialRecord], running: set[str]
    ) -> list[float]:
        """Return what the baselines that have not begun take, each with its epochs and folds."""
        planned = [self._baselines.get(record.plan or "") for record in known]
        rate = fmean(
            record.seconds / (1.0 if baseline is None else baseline.work)
            for record, baseline in zip(known, planned, strict=True)
        )
        begun = {record.plan for record in ended}
        return [
            rate * baseline.work
            for key, baseline in self._baselines.items()
            if key not in begun and baseline.label not in running
        ]

    def _cost_on_all_images(
        self, role: Role, ended: Mapping[Role, Sequence[TrialRecord]]
    ) -> float | None:
        """Return what a trial of ``role`` takes, by the best trials of the search."""
        search = [record for record in ended["search"] if _is_measured(record)]
        if len(search) < _MIN_ENDED:
            return None
        best = rank_candidates(self.spec, search)[: max(1, self.spec.confirm.top)] or search
        known, asked = (_count_models(plan_folds(self.spec, one)) for one in ("search", role))
        num_epochs = self.spec.training.epochs
        if role == "finalist" and all(record.epochs == num_epochs for record in best):
            asked -= known  # they take over what their search trials have trained to the end
        pace = fmean(record.seconds / record.epochs for record in best)
        return pace / known * asked * num_epochs


def _mean_seconds(ended: Sequence[TrialRecord], running: Sequence[RunningTrial]) -> float:
    """Return what a trial takes; those that ended first are the quicker of those drawn so far."""
    epochs = fmean(record.epochs for record in ended)  # some are pruned
    begun = [trial.seconds / trial.epoch * epochs for trial in running if trial.epoch]
    return fmean([*(record.seconds for record in ended), *begun])


def _is_measured(record: TrialRecord) -> bool:
    return record.state in ("COMPLETE", "PRUNED") and record.epochs > 0 and record.seconds > 0


def _count_models(folds: FoldPlan) -> float:
    """Return the models of a trial, each by its share of the training images."""
    return len(folds.folds) * (folds.num_folds - 1) / folds.num_folds + folds.test


def _left_of(trial: RunningTrial, usual: float) -> float:
    """Return what a running trial still takes, by its own pace if it has one."""
    if not trial.epoch:
        return usual
    return trial.seconds / trial.epoch * (trial.num_epochs - trial.epoch)
