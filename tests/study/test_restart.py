"""A driver killed at any write to the storage: the next one carries on as if nothing happened."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_driving import (
    describe_trials,
    make_result,
    make_spec,
    open_ledger,
    open_study,
    run_to_end,
    train,
)
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from searchlab.config.study import StudySpec
from searchlab.search.space.study_space import SpecSpace
from searchlab.study.plan import plan_baselines


class _KilledError(BaseException):
    """The driver is gone; nothing may catch this."""


class _MortalStorage(InMemoryStorage):
    """Raises right after its n-th write, as if the process had been killed there."""

    def __init__(self) -> None:
        super().__init__()
        self.num_writes = 0
        self.dies_after: int | None = None

    def _count(self, written: Any) -> Any:
        self.num_writes += 1
        if self.num_writes == self.dies_after:
            raise _KilledError
        return written

    def create_new_trial(self, *args: Any, **kwargs: Any) -> Any:
        return self._count(super().create_new_trial(*args, **kwargs))

    def set_trial_param(self, *args: Any) -> Any:
        return self._count(super().set_trial_param(*args))

    def set_trial_state_values(self, *args: Any, **kwargs: Any) -> Any:
        return self._count(super().set_trial_state_values(*args, **kwargs))

    def set_trial_intermediate_value(self, *args: Any) -> Any:
        return self._count(super().set_trial_intermediate_value(*args))

    def set_trial_user_attr(self, *args: Any) -> Any:
        return self._count(super().set_trial_user_attr(*args))

    def set_trial_system_attr(self, *args: Any) -> Any:
        return self._count(super().set_trial_system_attr(*args))


def _run(spec: StudySpec, *deaths: int) -> tuple[list[tuple[Any, ...]], int]:
    """Run a study that is killed after these numbers of writes; return its trials and writes."""
    storage = _MortalStorage()
    for death in deaths:
        storage.dies_after = storage.num_writes + death
        try:
            run_to_end(open_ledger(spec, open_study(spec, storage)))
        except _KilledError:
            continue
        break
    storage.dies_after = None
    study = open_study(spec, storage)
    run_to_end(open_ledger(spec, study))
    return describe_trials(study), storage.num_writes


SPECS = {
    "tpe": make_spec(search={"trials": 13}, training={"epochs": 2}),
    "median": make_spec(
        search={"sampler": "random", "pruner": "median", "trials": 12}, training={"epochs": 5}
    ),
    "halving": make_spec(
        search={"sampler": "random", "pruner": "successive_halving", "trials": 8},
        training={"epochs": 4},
    ),
    "hyperband": make_spec(
        search={"sampler": "tpe", "pruner": "hyperband", "trials": 8}, training={"epochs": 4}
    ),
    "grid": make_spec(search={"sampler": "grid", "trials": 5, "points": 2}),
    "one_at_a_time": make_spec(search={"sampler": "one_at_a_time", "trials": 5, "points": 2}),
    "confirmed": make_spec(
        search={"sampler": "random", "trials": 2},
        training={"epochs": 2},
        confirm={"top": 1, "repeats": 2},
    ),
    "cmaes": make_spec(search={"sampler": "cmaes", "trials": 7}, training={"epochs": 1}),
    "evolution": make_spec(search={"sampler": "evolution", "trials": 24}, training={"epochs": 1}),
}


# Killed at every single write, of the others at a sample.
SLOW = {"halving", "hyperband", "median", "grid"}
STRIDES = {
    "halving": 1,
    "grid": 3,
    "confirmed": 5,
    "tpe": 23,
    "cmaes": 17,
    "evolution": 61,
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in SPECS],
)
def test_a_study_killed_at_any_write_ends_with_the_same_trials(name: str) -> None:
    expected, num_writes = _run(SPECS[name])
    # Every write of one study, a sample of the others': all take seconds.
    for death in range(1, num_writes + 1, STRIDES.get(name, 5)):
        trials, _ = _run(SPECS[name], death)
        assert trials == expected, f"killed after write {death} of {num_writes}"


def test_a_study_killed_again_and_again_ends_with_the_same_trials() -> None:
    spec = SPECS["median"]
    expected, _ = _run(spec)
    trials, _ = _run(spec, *[37] * 30)
    assert trials == expected


def test_unfinished_trials_are_taken_up_first_under_their_numbers() -> None:
    spec = make_spec()
    study = open_study(spec)
    killed = open_ledger(spec, study)
    live = [killed.ask() for _ in range(5)]
    assert live[1] is not None
    assert live[3] is not None
    train(killed, live[1])
    killed.report(make_result(live[3], 1))

    ledger = open_ledger(spec, study)
    asked = run_to_end(ledger)
    assert [config.number for config in asked[:4]] == [0, 2, 3, 4]
    assert asked[:4] == [live[0], live[2], live[3], live[4]]
    roles = [trial.user_attrs["role"] for trial in study.trials]
    assert roles == ["baseline"] * 2 + ["search"] * 6 + ["finalist"] * 2
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


def test_a_waiting_trial_is_taken_up_and_not_planned_again() -> None:
    spec = make_spec()
    study = open_study(spec)
    planned = plan_baselines(spec, SpecSpace(spec))[0]
    study.enqueue_trial(planned.point, user_attrs=planned.user_attributes())
    asked = run_to_end(open_ledger(spec, study))
    assert [config.role for config in asked[:3]] == ["baseline", "baseline", "search"]
    assert len(study.trials) == 2 + 6 + 2


def test_a_finished_study_asks_for_nothing() -> None:
    spec = make_spec()
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    before = describe_trials(study)
    assert run_to_end(open_ledger(spec, study)) == []
    assert describe_trials(study) == before


def test_more_trials_continue_a_finished_study() -> None:
    study = open_study(make_spec())
    run_to_end(open_ledger(make_spec(), study))
    longer = make_spec(search={"trials": 9})
    asked = run_to_end(open_ledger(longer, study))
    assert [config.role for config in asked][:3] == ["search"] * 3
    points = [str(trial.params) for trial in study.trials if trial.user_attrs["role"] == "finalist"]
    assert len(points) == len(set(points)) <= 4


def test_results_replayed_to_the_next_driver_are_recorded_once() -> None:
    spec = make_spec()
    study = open_study(spec)
    killed = open_ledger(spec, study)
    config = killed.ask()
    assert config is not None
    killed.report(make_result(config, 1))
    killed.report(make_result(config, 2))
    run_to_end(open_ledger(spec, study))
    undisturbed = open_study(spec)
    run_to_end(open_ledger(spec, undisturbed))
    assert describe_trials(study) == describe_trials(undisturbed)
