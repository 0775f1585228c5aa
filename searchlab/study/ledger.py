"""The ledger: asks, records and tells; the only thing that touches the storage (DESIGN 1 to 4).

The engines are thin: they take a TrialConfig from ``ask``, hand every EpochResult to ``report``
and end each trial with ``tell``. What runs next, what is pruned, and in which state a trial ends is
decided here, once, for all engines.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from searchlab.config.study import StudySpec
from searchlab.config.trial import Role, TrialConfig
from searchlab.study import attributes as attr
from searchlab.study.attributes import TrialRecord
from searchlab.study.configure import make_config
from searchlab.study.endings import end_attributes, learning_curves
from searchlab.study.judging import judge
from searchlab.study.objective_values import objective_values
from searchlab.study.plan import PlannedTrial, choose_finalists, plan_baselines, plan_search
from searchlab.study.progress import Onlooker, RunningTrial, Silent, Snapshot, TrialEnd
from searchlab.study.resolve import label_of
from searchlab.study.spaces import StudySpace
from searchlab.study.tally import Tally
from searchlab.training.results import EpochResult

__all__ = ["Ledger"]

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _LiveTrial:
    """A trial that is with an engine."""

    trial: Trial
    config: TrialConfig
    role: Role
    label: str
    last_known_step: int
    results: dict[int, EpochResult] = field(default_factory=dict)
    pruned: bool = False


class Ledger:
    """Runs one study: baselines, then the search, then the finalists.

    Made anew for every run of a study, it takes up from what the storage holds: trials left
    RUNNING by a killed driver are the first that ``ask`` returns, under their own numbers.
    """

    def __init__(
        self,
        *,
        spec: StudySpec,
        space: StudySpace,
        study: Study,
        checkpoints: Path,
        onlooker: Onlooker | None = None,
    ) -> None:
        self.spec = spec
        self._space = space
        self._study = study
        self._checkpoints = checkpoints
        self._onlooker = onlooker or Silent()
        self._live: dict[int, _LiveTrial] = {}
        self._stopping = False
        self._started_at = time.monotonic()

        trials = study.get_trials(deepcopy=False)
        self._records = {
            trial.number: TrialRecord.from_trial(trial) for trial in trials if _is_finished(trial)
        }
        self._unfinished = deque(_numbered(trials, TrialState.RUNNING))
        self._num_waiting = len(_numbered(trials, TrialState.WAITING))
        self._num_searched = sum(_role(trial) == "search" for trial in trials)
        known = {trial.user_attrs.get(attr.PLAN) for trial in trials}
        self._baselines = _without(plan_baselines(spec, space), known)
        planned = plan_search(spec)
        self._planned_search = None if planned is None else _without(planned, known)
        self._known_plans = known
        self._finalists: deque[PlannedTrial] | None = None
        self._tally = self._make_tally(planned)
        self._note_progress(finished=False)
        self._onlooker.begin(self.snapshot())

    # What comes next

    def ask(self) -> TrialConfig | None:
        """Return the next trial to train, or None: nothing now, or nothing more."""
        if self._stopping:
            return None
        if self._unfinished:
            trial_id = self._unfinished.popleft()
            logger.debug("taking up the unfinished trial of id %d", trial_id)
            return self._begin(Trial(self._study, trial_id))
        if self._num_waiting:
            self._num_waiting -= 1
            return self._begin(self._study.ask())
        if self._baselines:
            return self._ask_planned(self._baselines.popleft())
        if (config := self._ask_search()) is not None:
            return config
        return self._ask_finalist()

    def _ask_search(self) -> TrialConfig | None:
        if self._is_search_over():
            return None
        if self._planned_search is not None:
            return self._ask_planned(self._planned_search.popleft())
        self._num_searched += 1
        return self._begin(self._study.ask())

    def _is_search_over(self) -> bool:
        timeout = self.spec.search.timeout
        if timeout is not None and time.monotonic() - self._started_at >= timeout:
            return True
        if self._planned_search is not None:
            return not self._planned_search
        assert self.spec.search.trials is not None
        return self._num_searched >= self.spec.search.trials

    def _ask_finalist(self) -> TrialConfig | None:
        if self._finalists is None:
            if any(live.role == "search" for live in self._live.values()):
                return None  # one of them may yet be a finalist
            self._finalists = self._choose_finalists()
        return self._ask_planned(self._finalists.popleft()) if self._finalists else None

    def _choose_finalists(self) -> deque[PlannedTrial]:
        points = {number: dict(record.params) for number, record in self._records.items()}
        chosen = choose_finalists(self.spec, self._records.values(), points)  # type: ignore[arg-type]
        finalists = _without(chosen, self._known_plans)
        self._tally.totals["finalist"] = len(finalists) + sum(
            record.role == "finalist" for record in self._records.values()
        )
        return finalists

    def _ask_planned(self, planned: PlannedTrial) -> TrialConfig:
        self._study.enqueue_trial(planned.point, user_attrs=planned.user_attributes())
        trial = self._study.ask()
        if trial._cached_frozen_trial.user_attrs.get(attr.PLAN) != planned.key:
            self._num_waiting += 1  # somebody else enqueued one before; ours is the next
        return self._begin(trial)

    def _begin(self, trial: Trial) -> TrialConfig:
        """Settle a trial's parameters and make the configuration that a worker trains."""
        frozen = trial._cached_frozen_trial  # as the storage held it when the trial was made
        known = frozen.user_attrs
        role: Role = known.get(attr.ROLE, "search")
        point = self._space.suggest(trial)
        config = make_config(
            self.spec, point, number=trial.number, role=role, plan_key=known.get(attr.PLAN)
        )
        has_scheme = f"{config.model.family}.scheme" in point
        # A baseline keeps the name that it was planned under.
        label = known.get(attr.LABEL) or label_of(config.model, with_scheme=has_scheme)
        for name, value in (
            (attr.ROLE, role),
            (attr.LABEL, label),
            (attr.SCHEME, config.model.scheme),
        ):
            if known.get(name) != value:
                trial.set_user_attr(name, value)
        steps = frozen.intermediate_values
        self._live[trial.number] = _LiveTrial(
            trial=trial,
            config=config,
            role=role,
            label=label,
            last_known_step=max(steps, default=0),
        )
        self._tally.begin(_running(self._live[trial.number]))
        self._onlooker.advance(self.snapshot())
        return config

    # What happened

    def report(self, result: EpochResult) -> bool:
        """Record an epoch; return whether the trial should stop, pruned.

        A result delivered again (a restarted worker replays its epochs) changes nothing.
        """
        live = self._live[result.number]
        if result.epoch in live.results:
            return False
        live.results[result.epoch] = result
        if result.diverged:
            return False
        if result.epoch > live.last_known_step:
            if not self._is_multi_objective:  # for which Optuna keeps no intermediate values
                live.trial.report(result.value, step=result.epoch)
            live.last_known_step = result.epoch
        self._tally.advance(_running(live))
        # At a step before the last known one the trial was judged already; at the last known one
        # the driver may have been killed before it came to judging.
        judged = result.epoch < live.last_known_step
        if live.role == "search" and not result.done and not judged:
            live.pruned = judge(self._study, live.trial)
        self._onlooker.advance(self.snapshot())
        return live.pruned

    def tell(self, number: int, *, error: str | None = None) -> None:
        """End a trial in its one honest state (DESIGN 3).

        ``error`` says what made it fail; without one, its last result tells how it ended.
        """
        live = self._live.pop(number)
        last = live.results[max(live.results)] if live.results else None
        if error is None and (last is None or not (last.done or live.pruned)):
            error = "the worker ended without a final result"
        if error is not None:
            state, reason = TrialState.FAIL, "error"
        elif last is not None and last.diverged:
            state, reason = TrialState.PRUNED, "diverged"
        elif live.pruned:
            state, reason = TrialState.PRUNED, "pruned"
        else:
            state, reason = TrialState.COMPLETE, None
        values = None
        search_folds = self.spec.validation.search_folds
        if state == TrialState.COMPLETE:
            values = objective_values(self.spec.objective, live.results, search_folds=search_folds)
            # Optuna takes an infinite value for COMPLETE, and the best.
            assert all(map(math.isfinite, values)), values
        ending = end_attributes(live.results, reason, error, search_folds=search_folds)
        for name, content in ending.items():
            live.trial.set_user_attr(name, content)
        if live.results:
            self._study._storage.set_trial_system_attr(
                live.trial._trial_id, attr.CURVES, learning_curves(live.results)
            )
        frozen = self._study.tell(live.trial, values, state=state)
        self._forget_checkpoint(number)
        self._note_end(live, frozen, reason)

    def _note_end(self, live: _LiveTrial, frozen: FrozenTrial, reason: str | None) -> None:
        record = TrialRecord.from_trial(frozen)
        self._records[frozen.number] = record
        self._tally.end(frozen.number, record.state, record.value)
        last = live.results[max(live.results)] if live.results else None
        end = TrialEnd(
            number=frozen.number,
            role=live.role,
            label=live.label,
            state=record.state,
            value=record.value,
            epoch=0 if last is None else last.epoch,
            seconds=math.fsum(result.seconds for result in live.results.values()),
            reason=reason,
            test_accuracy=None if last is None or last.test is None else last.test.accuracy,
        )
        self._onlooker.end_trial(end, self.snapshot())

    def _forget_checkpoint(self, number: int) -> None:
        from searchlab.training.checkpoint import checkpoint_path  # torch

        checkpoint_path(self._checkpoints, number).unlink(missing_ok=True)

    # Where it stands

    def stop(self) -> None:
        """Ask for no more trials. Those that are live stay RUNNING, for ``resume`` to take up."""
        self._stopping = True
        self._onlooker.advance(self.snapshot())

    @property
    def is_finished(self) -> bool:
        """Whether every trial of the study has ended."""
        return (
            not self._live
            and not self._unfinished
            and not self._num_waiting
            and not self._baselines
            and self._is_search_over()
            and self._finalists is not None
            and not self._finalists
        )

    @property
    def _is_multi_objective(self) -> bool:
        return len(self.spec.objective) > 1

    @property
    def num_live(self) -> int:
        """Trials that are with the engine."""
        return len(self._live)

    @property
    def records(self) -> list[TrialRecord]:
        """The finished trials, by number."""
        return [self._records[number] for number in sorted(self._records)]

    def snapshot(self) -> Snapshot:
        """Return where the study stands, for onlookers."""
        return self._tally.snapshot(stopping=self._stopping)

    def close(self) -> None:
        """Tell the onlooker that no more trials run."""
        self._onlooker.close(self.snapshot())

    def note_finished(self) -> None:
        """Record that the study is finished, what is measured after its trials included."""
        assert self.is_finished
        self._note_progress(finished=True)

    def _note_progress(self, *, finished: bool) -> None:
        progress = {"finished": finished, "totals": dict(self._tally.totals)}
        self._study.set_user_attr(attr.PROGRESS, progress)

    def _make_tally(self, planned: list[PlannedTrial] | None) -> Tally:
        num_search = self.spec.search.trials if planned is None else len(planned)
        totals: dict[Role, int] = {
            "baseline": len(self.spec.baseline_rows),
            "search": num_search or 0,
            "finalist": min(self.spec.confirm.top, num_search or 0),
        }
        tally = Tally(spec=self.spec, totals=totals)
        tally.count_earlier(self._records.values())
        return tally


def _is_finished(trial: FrozenTrial) -> bool:
    return bool(trial.state.is_finished())


def _role(trial: FrozenTrial) -> Role:
    role: Role = trial.user_attrs.get(attr.ROLE, "search")
    return role


def _numbered(trials: Iterable[FrozenTrial], state: TrialState) -> list[int]:
    return [trial._trial_id for trial in trials if trial.state == state]


def _without(planned: Iterable[PlannedTrial], known: set[object]) -> deque[PlannedTrial]:
    return deque(item for item in planned if item.key not in known)


def _running(live: _LiveTrial) -> RunningTrial:
    last = live.results[max(live.results)] if live.results else None
    return RunningTrial(
        number=live.config.number,
        role=live.role,
        label=live.label,
        epoch=0 if last is None else last.epoch,
        num_epochs=live.config.epochs,
        num_models=live.config.folds.num_members,
        value=None if last is None or math.isnan(last.value) else last.value,
    )
