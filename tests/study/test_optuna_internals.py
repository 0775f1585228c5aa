"""What of Optuna's private parts the project counts on: each test says what to look at anew."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from searchlab.study import optuna_internals as internals

CHANGED = f"Optuna {optuna.__version__} changed: see searchlab/study/optuna_internals.py, "


@pytest.fixture
def study() -> Study:
    return optuna.create_study(storage=InMemoryStorage(), study_name="inside")


def test_a_study_gives_its_storage_and_its_key(study: Study) -> None:
    storage, key = internals.storage_of(study), internals.study_id_of(study)
    assert storage.get_study_name_from_id(key) == "inside", CHANGED + "storage_of, study_id_of"


def test_a_trial_gives_its_key_and_what_it_knows(study: Study) -> None:
    study.ask()
    trial = study.ask()
    key = internals.trial_id_of(trial)
    assert internals.storage_of(study).get_trial(key).number == 1, CHANGED + "trial_id_of"
    assert internals.trial_id_of(study.trials[1]) == key, CHANGED + "trial_id_of"
    frozen = internals.frozen_of(trial)
    trial.suggest_float("lr", 0.0, 1.0)
    trial.report(0.5, step=1)
    assert frozen.params == trial.params, CHANGED + "frozen_of"
    assert frozen.intermediate_values == {1: 0.5}, CHANGED + "frozen_of"


def test_what_a_trial_was_enqueued_with_is_known_before_it_is_suggested(study: Study) -> None:
    study.enqueue_trial({"lr": 0.25, "family": "a1"})
    trial = study.ask()
    assert internals.known_params(trial) == {"lr": 0.25, "family": "a1"}, CHANGED + "known_params"
    trial.suggest_float("lr", 0.0, 1.0)
    trial.suggest_float("momentum", 0.5, 0.5)
    expected = {"lr": 0.25, "family": "a1", "momentum": 0.5}
    assert internals.known_params(study.trials[0]) == expected, CHANGED + "known_params"


class _Looking(RandomSampler):
    """Notes the numbers of the trials that a sampler sees."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.seen: list[int] = []

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        self.seen = [seen.number for seen in study.get_trials(states=[TrialState.COMPLETE])]
        return {}


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_sees_the_shown_trials_only(study: Study) -> None:
    for number in range(12):
        trial = study.ask()
        trial.suggest_float("lr", 0.0, 1.0)
        study.tell(trial, float(number))
    shown = internals.show_only(study, study.trials[::2])
    looking = _Looking()
    asked = internals.frozen_of(study.ask())
    looking.infer_relative_search_space(shown, asked)
    assert looking.seen == [0, 2, 4, 6, 8, 10], CHANGED + "show_only"

    tpe = TPESampler(multivariate=True, group=True, constant_liar=True, seed=0, n_startup_trials=7)
    tpe.infer_relative_search_space(shown, asked)
    space = {"lr": FloatDistribution(0.0, 1.0)}
    assert tpe.sample_relative(shown, asked, dict(space)) == {}, CHANGED + "show_only"
    tpe.infer_relative_search_space(study, asked)
    assert tpe.sample_relative(study, asked, dict(space)) != {}


def test_what_a_sampler_writes_to_a_shown_study_is_in_the_study(study: Study) -> None:
    trial = study.ask()
    shown = internals.show_only(study, [])
    key = internals.trial_id_of(trial)
    internals.storage_of(shown).set_trial_system_attr(key, "noted", 1)
    assert study.trials[0].system_attrs["noted"] == 1
    assert shown.directions == study.directions
    assert shown.study_name == study.study_name


def test_nsga2_takes_its_generations_from_the_attribute(study: Study) -> None:
    sampler = NSGAIISampler(population_size=2, seed=0)
    study.sampler = sampler
    key = internals.generation_key(sampler)
    for number in range(2):
        study.add_trial(
            optuna.create_trial(
                params={"lr": 0.5},
                distributions={"lr": FloatDistribution(0.0, 1.0)},
                value=float(number),
                system_attrs={key: 0},
            )
        )
    trial = study.ask({"lr": FloatDistribution(0.0, 1.0)})
    found = study.trials[trial.number].system_attrs[key]
    assert found == 1, CHANGED + "generation_key"


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_gp_sampler_looks_by_the_adapted_acquisition_function(study: Study) -> None:
    asked: list[Any] = []

    class Adapted:
        def __init__(self, acqf: Any) -> None:
            self.acqf = acqf
            self.search_space, self.length_scales = acqf.search_space, acqf.length_scales

        def eval_acqf(self, x: Any) -> Any:
            asked.append(x)
            return self.acqf.eval_acqf(x)

        def eval_acqf_no_grad(self, x: Any) -> Any:
            asked.append(x)
            return self.acqf.eval_acqf_no_grad(x)

    study.sampler = internals.AdaptedGPSampler(Adapted, seed=0)
    space = {"lr": FloatDistribution(0.0, 1.0)}
    for value in (0.1, 0.9, 0.5):
        study.add_trial(
            optuna.create_trial(params={"lr": value}, distributions=dict(space), value=value)
        )
    study.ask(dict(space))
    assert asked, CHANGED + "AdaptedGPSampler"
