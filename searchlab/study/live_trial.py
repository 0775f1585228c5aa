"""A trial that is with an engine: its results so far, and what interrupted it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from optuna.trial import FrozenTrial, Trial

from searchlab.config.objectives import Objectives
from searchlab.config.trial import Role, TrialConfig
from searchlab.records import trial_record as attr
from searchlab.records.optuna_internals import storage_of, trial_id_of
from searchlab.records.storage.retrying_storage import RetryingStorage
from searchlab.records.trial_record import CREATED_BY, Interruptions, owner_of
from searchlab.study.callbacks import RunningTrial
from searchlab.study.objective_values import objective_values
from searchlab.study.outcome import (
    TrialOutcome,
    decide_outcome,
    end_attributes,
    learning_curves,
    list_machines,
)
from searchlab.training.results import EpochResult

__all__ = ["LiveTrial", "params_together", "read_interruptions"]


def params_together(trial: Trial) -> AbstractContextManager[None]:
    """Write a trial's parameters in one transaction if the study is in a database."""
    storage = storage_of(trial.study)
    if isinstance(storage, RetryingStorage):
        return storage.params_together(trial_id_of(trial))
    return nullcontext()


@dataclass(slots=True, kw_only=True)
class LiveTrial:
    """A trial at work. ``last_known_step`` is the last epoch in the storage.

    ``is_proven`` says that its configuration did well on other images: the portfolio's.
    """

    trial: Trial
    config: TrialConfig
    label: str
    last_known_step: int
    interruptions: Interruptions
    is_proven: bool = False
    results: dict[int, EpochResult] = field(default_factory=dict)
    last: EpochResult | None = None
    pruned: bool = False

    @property
    def role(self) -> Role:
        """Return what the trial is to the study."""
        return self.config.role

    @property
    def may_be_pruned(self) -> bool:
        """Return whether a pruner decides on the trial; none can weigh several objectives.

        A proven configuration is trained to its end: many such rise late (benchmarks/README.md).
        """
        is_searched = self.role == "search" and not self.is_proven
        return is_searched and len(self.trial.study.directions) == 1

    def is_owned_by(self, driver: str) -> bool:
        """Return whether no other driver took the trial over, and it has not ended."""
        frozen = storage_of(self.trial.study).get_trial(trial_id_of(self.trial))
        owner = owner_of(frozen.system_attrs.get(CREATED_BY))
        return owner == driver and not frozen.state.is_finished()

    def record_begin(self, known: Mapping[str, object]) -> None:
        """Write what the trial is, unless it is among its ``known`` user attributes."""
        attributes = {
            attr.ROLE: self.role,
            attr.LABEL: self.label,
            attr.SCHEME: self.config.model.scheme,
            # A driver may have been killed between these and the state that they describe.
            attr.STOP_REASON: None,
            attr.ERROR: None,
        }
        unknown = {name: value for name, value in attributes.items() if known.get(name) != value}
        self._write(user=unknown, system=self._describe_interruptions())
        if self.role in attr.REPEATING_ROLES and not self.trial.constraints:
            self.trial.set_constraint(attr.REPEATS, 1.0)

    def add(self, result: EpochResult) -> bool:
        """Take an epoch's result; return whether it is the first of that epoch.

        A result equal to the one before was delivered twice. One that differs, if only in its
        seconds, or that the storage knew, was trained twice, unless it comes from a checkpoint.
        """
        known = self.results.get(result.epoch)
        if repr(known) == repr(result):  # a value that is not a number does not equal itself
            return False
        was_trained = known is not None or result.epoch <= self.last_known_step
        if was_trained and not result.replayed:
            rerun = self.interruptions.rerun_epochs + 1
            self.interruptions = replace(self.interruptions, rerun_epochs=rerun)
        if known is not None:
            return False
        self.results[result.epoch] = result
        if self.last is None or result.epoch > self.last.epoch:
            self.last = result
        return True

    def record_epoch(self, result: EpochResult) -> None:
        """Write an epoch to the storage, unless it is there."""
        if result.epoch <= self.last_known_step:
            return
        if len(self.trial.study.directions) > 1 or not self.config.folds.folds:
            # Optuna takes no intermediate values of several objectives, or that are no numbers.
            self._write(system={attr.EPOCH: result.epoch})
        else:
            self.trial.report(result.value, step=result.epoch)
        self.last_known_step = result.epoch

    def count_worker_lost(self) -> None:
        """Count a worker that died, and whether the trial made progress since the last one did."""
        lost = self.interruptions.worker_lost + 1
        self.interruptions = _restarted(
            replace(self.interruptions, worker_lost=lost), self.last_known_step
        )

    def record_interruptions(self) -> None:
        """Write what interrupted the trial, if anything did."""
        self._write(system=self._describe_interruptions())

    def _describe_interruptions(self) -> dict[str, Any]:
        if self.interruptions == Interruptions():
            return {}
        return {attr.INTERRUPTIONS: asdict(self.interruptions)}

    def decide_end(
        self, objectives: Objectives, failure: TrialOutcome | None
    ) -> tuple[TrialOutcome, list[float] | None]:
        """Return how the trial ends, and its values if it is complete.

        Optuna would take an infinite value for COMPLETE, and the best.
        """
        outcome = failure or decide_outcome(self.last, pruned=self.pruned)
        if outcome.state != "COMPLETE":
            return outcome, None
        values = objective_values(objectives, self.results, folds=self.config.folds)
        if all(map(math.isfinite, values)):
            return outcome, values
        return TrialOutcome(state="PRUNED", reason="diverged"), None

    def record_end(self, outcome: TrialOutcome, *, node: str | None) -> None:
        """Write all that belongs to the trial's end but the state and the values."""
        search_folds = self.config.folds.search_folds
        attributes = end_attributes(self.results, outcome, search_folds=search_folds)
        if node is not None:
            attributes[attr.NODE] = node
        system: dict[str, Any] = {}
        if self.results:
            system[attr.CURVES] = learning_curves(self.results)
            system[attr.MACHINES] = list_machines(self.results)
        if self.last is not None and self.last.answers is not None:
            system[attr.ANSWERS] = asdict(self.last.answers)
        self._write(user=attributes, system=system | self._describe_interruptions())

    def record_result_of(self, earlier: FrozenTrial) -> None:
        """Write all that an earlier trial of the same configuration came to but state and values.

        It took no time, and what interrupted the earlier one did not interrupt this one.
        """
        own = (attr.ROLE, attr.LABEL, attr.SCHEME, attr.PLAN, attr.RETRY_OF, attr.NODE)
        user = {name: value for name, value in earlier.user_attrs.items() if name not in own}
        names = (attr.CURVES, attr.MACHINES, attr.EPOCH)
        system = {
            name: earlier.system_attrs[name] for name in names if name in earlier.system_attrs
        }
        if curves := system.get(attr.CURVES):
            system[attr.CURVES] = {**curves, "seconds": [0.0] * len(curves.get("seconds", ()))}
        self._write(user={**user, attr.SAME_AS: earlier.number, attr.SECONDS: 0.0}, system=system)
        for epoch, value in sorted(earlier.intermediate_values.items()):
            if epoch > self.last_known_step:  # a driver may have been killed here
                self.trial.report(value, step=epoch)

    def _write(
        self, *, user: Mapping[str, object] | None = None, system: Mapping[str, Any]
    ) -> None:
        """Write attributes, in one transaction if the study is in a database."""
        user = user or {}
        if not user and not system:
            return
        storage, trial_id = storage_of(self.trial.study), trial_id_of(self.trial)
        if isinstance(storage, RetryingStorage):
            storage.set_trial_attributes(trial_id, user=user, system=system)
        else:
            for name, value in user.items():
                storage.set_trial_user_attr(trial_id, name, value)
            for name, value in system.items():
                storage.set_trial_system_attr(trial_id, name, value)

    def describe(self) -> RunningTrial:
        """Return what a callback may know of the trial while it runs."""
        last = self.last
        return RunningTrial(
            number=self.config.number,
            role=self.role,
            label=self.label,
            epoch=0 if last is None else last.epoch,
            num_epochs=self.config.settings.epochs,
            num_models=self.config.num_models,
            value=None if last is None or math.isnan(last.value) else last.value,
            seconds=math.fsum(result.seconds for result in self.results.values()),
        )


def read_interruptions(trial: FrozenTrial, *, driver: str) -> Interruptions:
    """Return what interrupted a trial before ``driver`` took it, being taken up included.

    A trial that has parameters and a scheme was with a driver already.
    """
    known = trial.system_attrs.get(attr.INTERRUPTIONS)
    before = Interruptions.from_data(known) if known else Interruptions()
    is_new = attr.SCHEME not in trial.user_attrs or not trial.params
    if is_new or owner_of(trial.system_attrs.get(CREATED_BY)) == driver:
        return before
    return _restarted(replace(before, taken_up=before.taken_up + 1), attr.last_epoch_of(trial))


def _restarted(before: Interruptions, epoch: int) -> Interruptions:
    """Return the interruptions of a trial that begins again after ``epoch``."""
    num_restarts = 0 if epoch > before.epoch else before.restarts_without_progress + 1
    return replace(before, restarts_without_progress=num_restarts, epoch=epoch)
