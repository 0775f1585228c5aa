"""Samplers depend on the seed, the trial's number and the finished trials only (DESIGN 4, 7)."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from ledger_driving import make_spec, open_ledger, open_space, open_study, run_to_end
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import TrialState

from searchlab.study.samplers import DerivedSampler, make_sampler


def _finish(study: Study, trial: optuna.Trial) -> None:
    study.tell(trial, trial.params["lr"] + 0.1 * trial.number % 0.37)


def _run(num_trials: int, sampler: str, *, restart: bool, seed: int = 0) -> list[dict[str, Any]]:
    spec = make_spec(search={"sampler": sampler, "trials": num_trials, "seed": seed})
    space, storage = open_space(spec), InMemoryStorage()
    study = open_study(spec, storage)
    for _ in range(num_trials):
        if restart:
            study = open_study(spec, storage)
        trial = study.ask()
        space.suggest(trial)
        _finish(study, trial)
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_restart_before_every_trial_changes_no_parameter(sampler: str) -> None:
    once = _run(16, sampler, restart=False)
    assert _run(16, sampler, restart=True) == once
    assert len({str(params) for params in once}) == 16


def test_another_seed_gives_other_parameters() -> None:
    assert _run(3, "random", restart=False) != _run(3, "random", restart=False, seed=1)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("num_before", [2, 14])
@pytest.mark.parametrize("num_suggested", [0, 1, 3])
def test_a_trial_cut_off_among_its_parameters_is_completed_as_it_would_have_been(
    sampler: str, num_before: int, num_suggested: int
) -> None:
    whole = _run(num_before + 1, sampler, restart=False)[-1]
    spec = make_spec(search={"sampler": sampler, "trials": num_before + 1})
    space, storage = open_space(spec), InMemoryStorage()
    study = open_study(spec, storage)
    for _ in range(num_before):
        trial = study.ask()
        space.suggest(trial)
        _finish(study, trial)
    cut_off = study.ask()
    cut_off.suggest_float("lr", 1e-4, 1e-1, log=True) if num_suggested else None
    cut_off.suggest_categorical("batch_size", (64, 128)) if num_suggested > 1 else None
    cut_off.suggest_float("dropout", 0.0, 0.5) if num_suggested > 2 else None

    again = open_study(spec, storage)
    taken_up = optuna.Trial(again, cut_off._trial_id)
    space.suggest(taken_up)
    assert taken_up.params == whole


class _Spy(DerivedSampler):
    """Notes every parameter that is sampled alone."""

    def __init__(self, inner: DerivedSampler) -> None:
        super().__init__(inner._make, inner._seed)
        self.alone: list[tuple[int, str, set[str]]] = []

    def sample_independent(
        self, study: Study, trial: Any, param_name: str, param_distribution: Any
    ) -> Any:
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        finished = study.get_trials(deepcopy=False, states=states)
        known = {name for earlier in finished for name in earlier.params}
        self.alone.append((trial.number, param_name, known))
        return super().sample_independent(study, trial, param_name, param_distribution)


def _spy_on(sampler: BaseSampler) -> tuple[_Spy, list[tuple[int, str]]]:
    """Run a study of 30 search trials; return what was sampled alone without need."""
    assert isinstance(sampler, DerivedSampler)
    spy = _Spy(sampler)
    spec = make_spec(search={"sampler": "tpe", "trials": 30})
    study = open_study(spec)
    study.sampler = spy
    run_to_end(open_ledger(spec, study))
    num_startup = 10  # Optuna's default: too few to model anything
    return spy, [
        (number, name)
        for number, name, known in spy.alone
        if number >= num_startup and name in known
    ]


def test_tpe_samples_jointly_beside_baselines_and_conditional_families() -> None:
    spy, needless = _spy_on(make_sampler("tpe", 0))
    assert needless == []
    assert spy.alone  # the start-up trials, or the spy saw nothing


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_without_group_conditional_parameters_would_be_sampled_alone() -> None:
    ungrouped = DerivedSampler(lambda seed: TPESampler(multivariate=True, seed=seed), 0)
    _, needless = _spy_on(ungrouped)
    assert needless  # so the test above can fail
