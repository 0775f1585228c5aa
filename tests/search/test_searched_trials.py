"""Samplers are offered what the space names, and see the search's own trials only."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from ledger_driving import SPACE, make_spec, open_ledger, open_space, open_study, run_to_end
from optuna.distributions import CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial
from sampler_driving import ASKED, NUM_BASELINES, run_study, search_of, search_spec

from searchlab.config.samplers import SAMPLERS
from searchlab.config.study import StudySpec
from searchlab.search.samplers.searched_trials import SearchedTrials
from searchlab.search.space.study_space import SpecSpace

CNN: dict[str, Any] = {"cnn": {"depth": [1, 2], "width": {"each_layer": [4, 8]}}}
LR = {"low": 1e-4, "high": 1e-1, "log": True}


def _spec(family: Any, sampler: str = "tpe", num_trials: int = 14, **changes: Any) -> StudySpec:
    space = {"parameters": {"lr": LR, "batch_size": [64, 128], "family": family}}
    search = {"sampler": sampler, "trials": num_trials, "points": 3, **changes.pop("search", {})}
    return make_spec(space=space, search=search, **changes)


def _of_role(study: Study, role: str) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials() if trial.user_attrs["role"] == role]


def _families(study: Study, role: str) -> set[str]:
    return {trial.params["family"] for trial in _of_role(study, role)}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_over_one_family_trains_no_other_with_any_sampler(sampler: str) -> None:
    spec = _spec(CNN, sampler, baselines={"architectures": ["a1", "a2"], "schemes": ["HF", "DT"]})
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    assert _families(study, "search") == {"cnn"}
    assert len(_of_role(study, "search")) >= 6  # all that one_at_a_time has
    assert _families(study, "finalist") == {"cnn"}
    assert _families(study, "baseline") == {"a1", "a2"}


def test_the_record_has_one_distribution_a_name_and_optuna_analyses_all_of_it() -> None:
    spec = _spec(CNN, num_trials=20)
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    known: dict[str, Any] = {}
    for trial in study.trials:
        for name, distribution in trial.distributions.items():
            assert known.setdefault(name, distribution) == distribution
    assert known["family"] == CategoricalDistribution(("cnn", "a2"))
    evaluator = PedAnovaImportanceEvaluator()
    importances = get_param_importances(study, evaluator=evaluator)
    assert {"lr", "batch_size", "family"} <= importances.keys()
    assert study.best_value == max(trial.value for trial in study.trials if trial.value)


def test_a_baseline_architecture_that_the_space_names_has_scheme_dt_unless_it_is_searched() -> None:
    schemes = {"architectures": ["a1", "a2"], "schemes": ["HF", "HT", "DT"]}
    family = {"a1": {}, "a2": {"scheme": ["HT", "DT"]}, **CNN}
    spec = _spec(family, num_trials=30, baselines=schemes)
    study = open_study(spec)
    configs = run_to_end(open_ledger(spec, study))
    found = {(c.model.family, c.model.scheme) for c in configs if c.role != "baseline"}
    assert found == {("a1", "DT"), ("a2", "HT"), ("a2", "DT"), ("cnn", "DT")}
    searched = _of_role(study, "search")
    assert {trial.user_attrs["label"] for trial in searched} == {"a1/DT", "a2/HT", "a2/DT", "cnn"}
    assert not any("a1.scheme" in trial.params for trial in searched)
    recorded = CategoricalDistribution(("HF", "HT", "DT"))
    a2 = [trial for trial in study.trials if trial.params["family"] == "a2"]
    assert all(trial.distributions["a2.scheme"] == recorded for trial in a2)


def test_a_scheme_that_the_space_fixes_is_trained() -> None:
    spec = _spec({"a1": {"scheme": "HT"}}, "random", 3)
    spec = spec.model_copy(
        update={"baselines": spec.baselines.model_copy(update={"architectures": ("a1",)})}
    )
    configs = run_to_end(open_ledger(spec))
    assert {c.model.scheme for c in configs if c.role == "search"} == {"HT"}


def _see(study: Study) -> list[FrozenTrial]:
    return search_of(study).get_trials(deepcopy=False)


def test_baselines_and_finalists_are_not_seen() -> None:
    spec = make_spec()
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    assert {trial.user_attrs["role"] for trial in study.trials} == {
        "baseline", "search", "finalist",
    }  # fmt: skip
    seen = _see(study)
    assert [trial.number for trial in seen] == [t.number for t in _of_role(study, "search")]
    narrow = CategoricalDistribution(("cnn", "fcn"))
    assert all(trial.distributions["family"] == narrow for trial in seen)
    wide = CategoricalDistribution(("cnn", "fcn", "a2"))
    assert all(trial.distributions["family"] == wide for trial in study.trials)


def test_search_trials_outside_the_space_are_not_seen() -> None:
    """Searchlab up to November 2026 recorded such, and may have been killed among them."""
    spec, storage = search_spec("tpe", 12), InMemoryStorage()
    study = run_study(spec, storage=storage)
    for state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.RUNNING):
        baseline = study.trials[0]
        study.add_trial(
            optuna.create_trial(
                state=state,
                value=-9.0 if state.is_finished() else None,
                params=baseline.params,
                distributions=baseline.distributions,
                user_attrs={"role": "search"},
            )
        )
    assert len(_see(study)) == 12
    again = open_study(spec, storage)
    taken_up = optuna.Trial(again, study.trials[-1]._trial_id)
    assert open_space(spec).suggest(taken_up)["a2.scheme"] == "HF"
    asked = open_space(spec).suggest(again.ask())
    assert asked["family"] in ("cnn", "fcn")


def test_a_function_searches_its_own_families_only(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_space.py").write_text(
        "def space(trial):\n"
        "    family = trial.suggest_categorical('family', ['cnn', 'fcn'])\n"
        "    return {'lr': trial.suggest_float('lr', 1e-4, 1e-1, log=True), 'family': family}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    spec = make_spec(space="own_space:space", search={"sampler": "tpe", "trials": 16})
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    assert _families(study, "search") <= {"cnn", "fcn"}
    assert _families(study, "baseline") == {"a2"}


@pytest.mark.parametrize("sampler", ASKED)
def test_what_baselines_and_finalists_were_worth_changes_no_later_trial(sampler: str) -> None:
    spec = search_spec(sampler, 12 if sampler == "gp" else 21)
    study = run_study(spec)

    def ask(baseline_value: float, *, has_finalist: bool) -> dict[str, Any]:
        other = open_study(spec)
        for trial in study.trials:
            state = trial.state
            role = trial.user_attrs.get("role", "search")
            other.add_trial(
                optuna.create_trial(
                    state=state,
                    value=baseline_value if role == "baseline" else trial.value,
                    params=trial.params,
                    distributions=trial.distributions,
                    user_attrs=trial.user_attrs,
                    system_attrs=trial.system_attrs,
                )
            )
        roles = {"role": "finalist" if has_finalist else "baseline"}
        best = study.best_trial
        other.add_trial(
            optuna.create_trial(
                value=best.value,
                params=best.params,
                distributions=best.distributions,
                user_attrs=roles,
            )
        )
        trial = other.ask()
        open_space(spec).suggest(trial)
        return trial.params

    assert ask(0.0, has_finalist=True) == ask(9.0, has_finalist=False)


def test_a_finished_trial_is_narrowed_once_and_a_running_one_as_it_stands() -> None:
    spec = search_spec("random", 6)
    study = run_study(spec)
    family = open_space(spec).narrowed["family"]
    study.ask({"family": CategoricalDistribution(family.recorded)})
    seen = SearchedTrials({"family": family})
    *first, running = seen.of(study).get_trials(deepcopy=False)
    *again, running_again = seen.of(study).get_trials(deepcopy=False)
    assert len(first) == 6
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert first[0].distributions["family"] == CategoricalDistribution(family.searched)
    assert running is not running_again


def test_qmc_counts_its_own_points() -> None:
    def points(baselines: dict[str, Any]) -> list[dict[str, Any]]:
        spec = search_spec("qmc", 8, baselines=baselines, search={"seed": 3})
        study = open_study(spec)
        run_to_end(open_ledger(spec, study))
        return [trial.params for trial in _of_role(study, "search")]

    assert points({"architectures": []}) == points({"architectures": ["a1", "a2"]})


def test_only_families_and_schemes_are_narrowed() -> None:
    space = SpecSpace(make_spec())
    assert list(space.narrowed) == ["family"]
    assert space.narrowed["family"].searched == ("cnn", "fcn")
    alone = SpecSpace(make_spec(baselines={"architectures": []}))
    assert alone.narrowed == {}
    assert alone.recorded is alone.searched
    assert SearchedTrials({}).to_recorded({}) == {}
    own = {**SPACE["parameters"], "family": {"a2": {"scheme": "DT"}, "fcn": {}}}
    space = SpecSpace(make_spec(space={"parameters": own}))
    assert space.narrowed["a2.scheme"].searched == ("DT",)
    assert NUM_BASELINES == 2
