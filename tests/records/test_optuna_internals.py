"""What of Optuna's private parts the project counts on: each test says what to look at anew."""

from __future__ import annotations

import importlib
import inspect
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.distributions import FloatDistribution
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from searchlab.records import optuna_internals as internals
from searchlab.records.optuna_database import DatabaseStorage

CHANGED = f"Optuna {optuna.__version__} changed: see searchlab/records/optuna_*.py, "


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


def test_a_running_trial_is_reopened_by_its_number(study: Study) -> None:
    study.ask()
    trial = study.ask()
    trial.report(0.5, step=1)
    again = internals.reopen_trial(study, 1)
    assert again.number == 1, CHANGED + "reopen_trial"
    again.report(0.75, step=2)
    study.tell(again, 1.0)
    assert study.trials[1].intermediate_values == {1: 0.5, 2: 0.75}, CHANGED + "reopen_trial"


def test_a_system_attribute_is_written_to_a_trial_of_either_kind(study: Study) -> None:
    trial = study.ask()
    internals.write_system_attribute(study, trial, "searchlab:test", 1)
    internals.write_system_attribute(study, study.trials[0], "searchlab:more", [2])
    found = study.trials[0].system_attrs
    expected = {"searchlab:test": 1, "searchlab:more": [2]}
    assert found == expected, CHANGED + "write_system_attribute"


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
def test_the_gp_sampler_looks_by_the_search_that_it_is_given(study: Study) -> None:
    values: list[float] = []

    def search(acqf: Any) -> Any:
        rows = acqf.search_space.get_normalized_params([None] * 2, [{"lr": 0.25}, {"lr": 0.75}])
        values.extend(acqf.eval_acqf_no_grad(rows))
        return rows[1]

    study.sampler = internals.AdaptedGPSampler(search, seed=0)
    space = {"lr": FloatDistribution(0.0, 1.0)}
    for value in (0.1, 0.9, 0.5):
        study.add_trial(
            optuna.create_trial(params={"lr": value}, distributions=dict(space), value=value)
        )
    assert study.ask(dict(space)).params == {"lr": 0.75}, CHANGED + "AdaptedGPSampler"
    assert len(values) == 2


# Storages


def find(path: str) -> object:
    """Return what ``module:name.name`` is."""
    module, _, names = path.partition(":")
    try:
        found: object = importlib.import_module(module)
        for name in filter(None, names.split(".")):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        pytest.fail(f"{CHANGED}{path}: {error}")
    return found


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("optuna.storages:RDBStorage._create_new_trial", "self study_id template_trial"),
        (
            "optuna.storages:RDBStorage._get_trials",
            "self study_id states included_trial_ids trial_id_greater_than",
        ),
        (
            "optuna.storages:RDBStorage._get_prepared_new_trial",
            "self study_id template_trial session",
        ),
        ("optuna.storages:RDBStorage._build_frozen_trial_from_trial_model", "self trial"),
        (
            "optuna.storages:RDBStorage._set_trial_attr_without_commit",
            "self session model_cls trial_id key value",
        ),
        ("optuna.storages:RDBStorage._fill_storage_url_template", "template"),
        (
            "optuna.storages._rdb.storage:_create_scoped_session",
            "scoped_session ignore_integrity_error",
        ),
    ],
)
def test_private_functions_take_what_they_took(path: str, parameters: str) -> None:
    function = find(path)
    assert callable(function)
    assert list(inspect.signature(function).parameters) == parameters.split(), CHANGED + path


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        ("StudyModel", "study_id study_name"),
        ("StudyDirectionModel", "study_direction_id direction study_id objective"),
        ("StudyUserAttributeModel", "study_user_attribute_id study_id key value_json"),
        ("StudySystemAttributeModel", "study_system_attribute_id study_id key value_json"),
        ("TrialModel", "trial_id number study_id state datetime_start datetime_complete"),
        ("TrialUserAttributeModel", "trial_user_attribute_id trial_id key value_json"),
        ("TrialSystemAttributeModel", "trial_system_attribute_id trial_id key value_json"),
        ("TrialParamModel", "param_id trial_id param_name param_value distribution_json"),
        ("TrialValueModel", "trial_value_id trial_id objective value value_type"),
        (
            "TrialIntermediateValueModel",
            "trial_intermediate_value_id trial_id step intermediate_value intermediate_value_type",
        ),
        ("TrialHeartbeatModel", "trial_heartbeat_id trial_id heartbeat"),
        ("VersionInfoModel", "version_info_id schema_version library_version"),
    ],
)
def test_tables_have_the_columns_they_had(model: str, columns: str) -> None:
    found = find(f"optuna.storages._rdb.models:{model}")
    assert {column.name for column in sqlalchemy.inspect(found).columns} == {*columns.split()}, (
        CHANGED + model
    )


def test_no_table_was_added() -> None:
    """A copied or deleted study would leave its rows out."""
    base = find("optuna.storages._rdb.models:BaseModel")
    assert len(base.registry.mappers) == 12, CHANGED + "models"  # type: ignore[attr-defined]


def test_a_new_database_is_the_one_that_optuna_makes() -> None:
    # In memory, because the tests' other databases are copies of one that Optuna made.
    made, theirs = DatabaseStorage("sqlite://"), RDBStorage("sqlite://")
    assert theirs.get_head_version() == internals.TABLES_VERSION, CHANGED + "TABLES_VERSION"
    dumps = []
    for storage in (made, theirs):
        with closing(storage.engine.raw_connection()) as connection:
            dumps.append(list(connection.driver_connection.iterdump()))
    assert dumps[0] == dumps[1], CHANGED + "_make_tables"
    left_out = vars(theirs).keys() - vars(made).keys()
    assert left_out == {"_version_manager"}, CHANGED + "DatabaseStorage"


def test_a_database_that_optuna_made_is_opened_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(storage=RDBStorage(url), study_name="inside")
    assert optuna.load_study(storage=DatabaseStorage(url), study_name="inside")


def test_tables_of_another_version_are_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    DatabaseStorage(url)
    with closing(sqlite3.connect(tmp_path / "study.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'v9'")
    with pytest.raises(RuntimeError, match="no longer compatible"):
        DatabaseStorage(url)


def test_studies_that_a_storage_lists_know_their_keys(study: Study) -> None:
    [listed] = internals.storage_of(study).get_all_studies()
    assert isinstance(listed, internals.FrozenStudy), CHANGED + "FrozenStudy"
    assert internals.study_id_of(listed) == internals.study_id_of(study), CHANGED + "study_id_of"


def test_a_copied_trial_differs_from_its_original_in_the_key_alone(study: Study) -> None:
    study.add_trial(create_trial(value=1.0, user_attrs={"a": 1}))
    [trial] = study.get_trials(deepcopy=False)
    copied = internals.copy_trial(trial, trial_id=7)
    assert internals.trial_id_of(copied) == 7, CHANGED + "copy_trial"
    copied.user_attrs, copied.system_attrs, copied.values = {}, {}, [2.0]
    [unchanged] = study.get_trials(deepcopy=False)
    assert (unchanged.user_attrs, unchanged.values) == ({"a": 1}, [1.0])
    assert internals.trial_id_of(unchanged) != 7
    assert (copied.number, copied.state) == (trial.number, trial.state)
