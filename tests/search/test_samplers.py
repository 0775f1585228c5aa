"""Samplers depend on the seed, the trial's number and the finished trials only."""

from __future__ import annotations

import logging
import pickle
from functools import cache
from typing import Any

import ledger_driving
import optuna
import pytest
from ledger_driving import (
    describe_trials,
    make_spec,
    open_ledger,
    open_space,
    open_study,
    run_to_end,
    train,
)
from optuna.samplers import TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial
from pydantic import ValidationError
from sampler_driving import (
    ASKED,
    JOINT,
    NUM_BASELINES,
    Finish,
    finish,
    finish_in_every_way,
    run_study,
    search_spec,
)

from searchlab.config.samplers import SAMPLERS, SamplerTraits, check_sampler
from searchlab.records.trial_record import INDEPENDENTLY_SAMPLED
from searchlab.search.samplers.flat_space import WholeSpaceSampler
from searchlab.search.samplers.registry import WHOLE_SPACE_SAMPLERS
from searchlab.search.samplers.study_sampler import StudySampler
from searchlab.search.space.points import Point


def _num_trials(sampler: str) -> int:
    """Enough of them that a sampler is past its start-up; GP is slow."""
    return 12 if sampler == "gp" else 22


def _points(study: Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.get_trials(deepcopy=False)]


@cache
def _run_once(sampler: str, outcome: Finish = finish, num_trials: int | None = None) -> bytes:
    """Run a search without an incident; return its storage, to be gone on with by ``_go_on``."""
    storage = InMemoryStorage()
    spec = search_spec(sampler, num_trials or _num_trials(sampler))
    run_study(spec, finish=outcome, storage=storage)
    return pickle.dumps(storage)


def _go_on(sampler: str, done: bytes) -> Study:
    return open_study(search_spec(sampler), pickle.loads(done))


@pytest.mark.parametrize("outcome", [finish, finish_in_every_way])
@pytest.mark.parametrize("sampler", ASKED)
def test_a_restart_before_every_trial_changes_no_parameter(sampler: str, outcome: Finish) -> None:
    spec = search_spec(sampler, _num_trials(sampler))
    once = _points(_go_on(sampler, _run_once(sampler, outcome)))
    assert _points(run_study(spec, finish=outcome, restart=True)) == once
    assert len({str(point) for point in once}) == NUM_BASELINES + _num_trials(sampler)


@pytest.mark.parametrize("sampler", ASKED)
def test_another_seed_gives_other_parameters(sampler: str) -> None:
    points = [_points(run_study(search_spec(sampler, 3, search={"seed": seed}))) for seed in (0, 1)]
    assert points[0][:NUM_BASELINES] == points[1][:NUM_BASELINES]
    assert points[0][-1] != points[1][-1]


@pytest.mark.parametrize("sampler", ASKED)
@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("num_suggested", [0, 3])
def test_a_trial_cut_off_among_its_parameters_is_completed_as_it_would_have_been(
    sampler: str, is_late: bool, num_suggested: int
) -> None:
    space = open_space(search_spec(sampler))
    before = _run_once(sampler, num_trials=None if is_late else 1)
    undisturbed = _go_on(sampler, before).ask()
    space.suggest(undisturbed)

    study = _go_on(sampler, before)
    cut_off = study.ask()
    if num_suggested:
        cut_off.suggest_float("lr", 1e-4, 1e-1, log=True)
        cut_off.suggest_categorical("batch_size", (64, 128))
        cut_off.suggest_float("dropout", 0.0, 0.5)

    again = open_study(search_spec(sampler), study._storage)
    taken_up = optuna.Trial(again, cut_off._trial_id)
    space.suggest(taken_up)
    assert taken_up.params == undisturbed.params


@pytest.mark.parametrize("sampler", JOINT)
def test_a_study_killed_on_the_way_asks_the_same_trials(sampler: str) -> None:
    spec = search_spec(sampler, _num_trials(sampler), confirm={"top": 1})
    undisturbed = open_study(spec)
    run_to_end(open_ledger(spec, undisturbed))

    killed = open_study(spec)
    for num_more in (1, 5, 10):
        ledger = open_ledger(spec, killed)
        for index in range(num_more):
            config = ledger.ask()
            assert config is not None
            if index < num_more - 1:  # the last is left running
                train(ledger, config)
        killed = open_study(spec, killed._storage)
    run_to_end(open_ledger(spec, killed))
    assert describe_trials(killed) == describe_trials(undisturbed)


class _Spy:
    """Notes every parameter that a sampler samples alone, with what trials had it before."""

    def __init__(self, sampler: StudySampler) -> None:
        self.alone: list[tuple[int, str]] = []
        self._sample = sampler.sample_independent
        sampler.sample_independent = self._note  # type: ignore[method-assign]

    def _note(self, study: Study, trial: FrozenTrial, name: str, distribution: Any) -> Any:
        self.alone.append((trial.number, name))
        return self._sample(study, trial, name, distribution)


def _spy_on(sampler: str, **search: Any) -> tuple[Study, list[tuple[int, str]]]:
    spec = search_spec(sampler, 14 if sampler == "gp" else 30, search=search)
    study = open_study(spec)
    assert isinstance(study.sampler, StudySampler)
    spy = _Spy(study.sampler)
    run_to_end(open_ledger(spec, study))
    return study, spy.alone


def _needless(study: Study, alone: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Leave out the start-up trials and what no earlier trial had: nothing to learn from."""
    trials = study.get_trials(deepcopy=False)
    return [
        (number, name)
        for number, name in alone
        if number >= NUM_BASELINES + 10
        and any(name in trial.params for trial in trials[NUM_BASELINES:number])
    ]


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        pytest.param(sampler, pruner, marks=[pytest.mark.slow] if is_slow else [])
        for sampler in JOINT
        for pruner in ("none", "median", "hyperband")
        for is_slow in [sampler == "gp" and pruner != "hyperband"]
    ],
)
def test_whole_space_samplers_never_sample_a_parameter_alone(sampler: str, pruner: str) -> None:
    study, alone = _spy_on(sampler, pruner=pruner)
    assert alone == []
    assert study.sampler.needlessly_alone == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_tpe_samples_jointly_beside_baselines_and_conditional_families(pruner: str) -> None:
    study, alone = _spy_on("tpe", pruner=pruner)
    assert alone  # the start-up trials, or the spy saw nothing
    assert _needless(study, alone) == []
    assert study.sampler.needlessly_alone == {}  # type: ignore[attr-defined]
    if pruner == "median":
        assert any(trial.state.name == "PRUNED" for trial in study.trials)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_sampled_alone_without_need_is_noted_and_said_once_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spec = search_spec("tpe", 30)
    study = open_study(spec)
    derived = study.sampler
    assert isinstance(derived, StudySampler)
    derived._make = lambda seed: TPESampler(multivariate=True, seed=seed)  # without group
    spy = _Spy(derived)
    with caplog.at_level(logging.WARNING, logger="searchlab"):
        run_to_end(open_ledger(spec, study))
    noted = {
        (number, name) for name, numbers in derived.needlessly_alone.items() for number in numbers
    }
    assert noted == set(_needless(study, spy.alone)) != set()
    recorded = {
        (trial.number, name)
        for trial in study.trials
        for name in trial.system_attrs.get(INDEPENDENTLY_SAMPLED, ())
    }
    assert recorded == noted
    said = [record.getMessage() for record in caplog.records if "at random" in record.getMessage()]
    assert len(said) == len(derived.needlessly_alone)
    assert all(any(f"drew {name} of" in line for line in said) for name in derived.needlessly_alone)


def test_a_parameter_outside_the_space_is_sampled_alone_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    study = open_study(search_spec("gp", 30))
    trial = study.ask()
    with caplog.at_level(logging.WARNING, logger="searchlab"):
        value = trial.suggest_float("unheard_of", 0.0, 1.0)
    assert 0.0 <= value <= 1.0
    assert study.sampler.needlessly_alone == {"unheard_of": [0]}  # type: ignore[attr-defined]
    assert study.trials[0].system_attrs[INDEPENDENTLY_SAMPLED] == ["unheard_of"]
    assert "Sampler gp drew unheard_of of trial 0 at random" in caplog.text


@pytest.mark.parametrize("sampler", JOINT)
def test_a_space_function_is_refused_where_the_whole_space_must_be_known(sampler: str) -> None:
    with pytest.raises(ValidationError, match=f"{sampler} must know the whole space"):
        make_spec(space="module:function", search={"sampler": sampler})


@pytest.mark.parametrize("sampler", ["cmaes", "evolution"])
def test_samplers_of_one_objective_refuse_several(sampler: str) -> None:
    check_sampler(sampler, 1)
    with pytest.raises(ValueError, match=f"several objectives if there are 2, got '{sampler}'"):
        check_sampler(sampler, 2)


@pytest.mark.parametrize(
    "sampler", ["tpe", "nsga2", "random", "qmc", pytest.param("gp", marks=pytest.mark.slow)]
)
def test_other_samplers_take_several_objectives(sampler: str) -> None:
    check_sampler(sampler, 3)
    objectives = [{"metric": "loss"}, {"metric": "parameters"}]
    spec = make_spec(
        objective=objectives, search={"sampler": sampler, "trials": _num_trials(sampler)}
    )
    once = _points(run_study(spec))
    assert _points(run_study(spec, restart=True)) == once


class _MiddleSampler(WholeSpaceSampler):
    """Proposes the middle of everything."""

    def propose(self, study: Study, trial: FrozenTrial) -> Point:
        return self.flat.impute({})


def test_a_new_sampler_is_a_class_and_an_entry_in_two_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(SAMPLERS, "middle", SamplerTraits(whole_space=True))
    monkeypatch.setitem(WHOLE_SPACE_SAMPLERS, "middle", _MiddleSampler)
    spec = search_spec("random", 2, search={"start": "random"}, confirm={"top": 0})
    search = spec.search.model_copy(update={"sampler": "middle"})
    spec = spec.model_copy(update={"search": search})
    study = ledger_driving.open_study(spec)
    run_to_end(open_ledger(spec, study))
    searched = [trial for trial in study.trials if trial.user_attrs["role"] == "search"]
    assert [trial.params["batch_size"] for trial in searched] == [64, 64]
    assert [trial.params["dropout"] for trial in searched] == pytest.approx([0.25, 0.25])


def test_auto_is_the_sampler_that_the_benchmarks_found_best() -> None:
    drawn = [
        [trial.params for trial in run_study(search_spec(sampler, 15)).trials]
        for sampler in ("auto", "tpe")
    ]
    assert drawn[0] == drawn[1]
