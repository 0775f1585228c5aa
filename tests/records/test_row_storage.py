"""Trials read by rows equal those that Optuna reads, whatever they hold."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from quick_disk import sync_never

from searchlab.records.storage.row_storage import RowStorage
from searchlab.records.storage.sqlite_reading import read_sqlite_study

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of two studies whose trials' ids mingle, in every state, with odd values."""
    url = f"sqlite:///{tmp_path_factory.mktemp('rows')}/study.db"
    storage = RDBStorage(url)
    sync_never(storage)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = [
        optuna.create_study(
            storage=storage, study_name=name, directions=directions, sampler=RandomSampler(seed=0)
        )
        for name, directions in (("one", ["maximize"]), ("two", ["minimize", "maximize"]))
    ]
    rng = random.Random(0)
    for number in range(40):
        for study in studies:
            write_trial(study, number, rng)
    studies[0].enqueue_trial({"lr": 0.01}, user_attrs={"plan": "b"})
    storage.engine.dispose()
    return url


def write_trial(study: optuna.Study, number: int, rng: random.Random) -> None:
    trial = study.ask()
    trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    family = trial.suggest_categorical("family", ["cnn", "fcn", None, 3, 2.5, True])
    if family == "cnn":
        trial.suggest_int("depth", 1, 9, step=2)
    trial.set_user_attr("folds", [rng.random(), {"a": None}])
    trial.set_user_attr("label", "ä/b")
    storage = study._storage
    storage.set_trial_system_attr(trial._trial_id, "curves", {"loss": [math.inf, rng.random()]})
    odd = [math.nan, math.inf, -math.inf, 0.1 + 0.2]
    for step in rng.sample(range(5), 3):
        value = rng.choice(odd)
        storage.set_trial_intermediate_value(trial._trial_id, step, value)
    if number % 5 == 0:
        return  # RUNNING
    state = FINISHED[number % 3]
    values = [rng.choice([math.inf, -math.inf, rng.random()]) for _ in study.directions]
    study.tell(trial, values if state == TrialState.COMPLETE else None, state=state)


@pytest.fixture
def pair(url: str) -> Iterator[tuple[RowStorage, RDBStorage]]:
    rows, objects = RowStorage(url), RDBStorage(url)
    yield rows, objects
    rows.engine.dispose()
    objects.engine.dispose()


def show(trials: list[FrozenTrial]) -> list[str]:
    """Text, in which NaN equals itself; an attribute's place in its dict doesn't matter."""
    return [
        repr(
            {
                name: sorted(value.items(), key=repr) if isinstance(value, dict) else value
                for name, value in vars(trial).items()
            }
        )
        for trial in trials
    ]


@pytest.mark.parametrize("most_listed", [500, 3])
@pytest.mark.parametrize("states", [None, FINISHED, [TrialState.WAITING], ()])
@pytest.mark.parametrize(("included", "after"), [(set(), -1), ({1, 2, 5, 99}, 60), (set(), 70)])
def test_all_trials_of_a_study_equal_those_that_optuna_reads(
    pair: tuple[RowStorage, RDBStorage],
    monkeypatch: pytest.MonkeyPatch,
    most_listed: int,
    states: tuple[TrialState, ...] | None,
    included: set[int],
    after: int,
) -> None:
    monkeypatch.setattr("searchlab.records.storage.row_storage._MAX_LISTED", most_listed)
    rows, objects = pair
    for study_id in (1, 2):
        found = rows._get_trials(study_id, states, included, after)
        assert show(found) == show(objects._get_trials(study_id, states, included, after))
        assert bool(found) == (states != () and (study_id == 1 or states != [TrialState.WAITING]))


def test_one_trial_equals_the_one_that_optuna_reads(pair: tuple[RowStorage, RDBStorage]) -> None:
    rows, objects = pair
    for trial_id in (1, 2, 7, 81):
        assert show([rows.get_trial(trial_id)]) == show([objects.get_trial(trial_id)])


def test_a_study_read_by_sqlite_itself_equals_the_one_that_optuna_reads(
    url: str, pair: tuple[RowStorage, RDBStorage]
) -> None:
    _, objects = pair
    objects.set_study_user_attr(2, "spec", {"a": [1, None]})
    for study_id, name in ((1, "one"), (2, "two")):
        study = read_sqlite_study(Path(url.removeprefix("sqlite:///")), name)
        assert study is not None
        assert show(study.trials) == show(objects.get_all_trials(study_id))
        assert study.attributes == objects.get_study_user_attrs(study_id)


def test_sqlite_itself_reads_nothing_else_and_creates_nothing(url: str, tmp_path: Path) -> None:
    assert read_sqlite_study(Path(url.removeprefix("sqlite:///")), "three") is None
    assert read_sqlite_study(tmp_path / "missing.db", "one") is None
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at" * 100)
    assert read_sqlite_study(tmp_path / "text.db", "one") is None
    assert [path.name for path in tmp_path.iterdir()] == ["text.db"]
    later = tmp_path / "later.db"
    later.write_bytes(Path(url.removeprefix("sqlite:///")).read_bytes())
    with closing(sqlite3.connect(later)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    assert read_sqlite_study(later, "one") is None


def test_what_is_not_there_is_a_key_error(pair: tuple[RowStorage, RDBStorage]) -> None:
    with pytest.raises(KeyError):
        pair[0].get_trial(999)
    with pytest.raises(KeyError):
        pair[0].get_all_trials(999)


@pytest.mark.parametrize("most_listed", [500, 3])
def test_states_and_one_attribute_are_read_alone(
    pair: tuple[RowStorage, RDBStorage], monkeypatch: pytest.MonkeyPatch, most_listed: int
) -> None:
    monkeypatch.setattr("searchlab.records.storage.row_storage._MAX_LISTED", most_listed)
    rows, objects = pair
    trials = {trial._trial_id: trial for trial in objects.get_all_trials(1)}
    named = {1, 2, 3, 5, 9}  # 2 is the other study's
    wanted = {trial_id for trial_id in trials if trial_id in named or trial_id > 70}
    states = rows.read_states(1, also=named, after=70)
    assert states == {trial_id: trials[trial_id].state for trial_id in wanted}
    noted = rows.read_system_attribute({1, 3, 5, 9}, "curves")
    expected = [(trials[i].number, trials[i].system_attrs["curves"]) for i in (1, 3, 5, 9)]
    assert sorted(noted, key=lambda pair: pair[0]) == expected
    assert rows.read_system_attribute({1, 3}, "nothing") == []


def test_several_attributes_are_written_at_once_or_not_at_all(tmp_path: Path) -> None:
    storage = RowStorage(f"sqlite:///{tmp_path / 'study.db'}")
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    trial.set_user_attr("a", 1)
    user, system = {"a": 2, "b": [None, "ä"]}, {"c": {"d": 0.5}}
    for _ in range(2):  # a repetition changes nothing
        storage.set_trial_attributes(trial._trial_id, user=user, system=system)
    assert (study.trials[0].user_attrs, study.trials[0].system_attrs) == (user, system)
    with pytest.raises(TypeError, match="not JSON serializable"):
        storage.set_trial_attributes(trial._trial_id, user={"b": 3}, system={"c": object()})
    study.tell(trial, 1.0)
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_attributes(trial._trial_id, user={"b": 3}, system={})
    with pytest.raises(KeyError):
        storage.set_trial_attributes(99, user={"b": 3}, system={})
    assert (study.trials[0].user_attrs, study.trials[0].system_attrs) == (user, system)
    storage.engine.dispose()


def test_parameters_and_values_are_written_as_optuna_writes_them(tmp_path: Path) -> None:
    storages = [
        kind(f"sqlite:///{tmp_path / kind.__name__}.db") for kind in (RowStorage, RDBStorage)
    ]
    for storage in storages:
        study = optuna.create_study(storage=storage, sampler=RandomSampler(seed=0))
        for _ in range(2):  # the second knows the first's distributions
            trial = study.ask()
            trial.suggest_float("lr", 1e-4, 0.1, log=True)
            trial.suggest_categorical("family", ["cnn", "fcn"])
            for step, value in enumerate([0.5, math.inf, -math.inf, math.nan, 0.25]):
                storage.set_trial_intermediate_value(trial._trial_id, step, value)
            storage.set_trial_intermediate_value(trial._trial_id, 1, 0.75)  # in place of infinity
    written = [
        [(trial.params, trial.distributions, trial.intermediate_values) for trial in trials]
        for trials in (storage.get_all_trials(1) for storage in storages)
    ]
    assert repr(written[0]) == repr(written[1])
    for storage in storages:
        storage.engine.dispose()


def test_what_may_not_be_written_is_refused_as_by_optuna(tmp_path: Path) -> None:
    storage = RowStorage(f"sqlite:///{tmp_path / 'study.db'}")
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    trial.suggest_float("lr", 0.0, 1.0)
    other, known = CategoricalDistribution(["a"]), FloatDistribution(0.0, 1.0)
    with pytest.raises(ValueError, match="distribution"):
        storage.write_param(trial._trial_id, "lr", 0.0, other, known)
    storage.write_param(trial._trial_id, "lr", 0.0, known, known)  # there already, so it stays
    study.tell(trial, 1.0)
    for trial_id, error in ((trial._trial_id, UpdateFinishedTrialError), (99, KeyError)):
        with pytest.raises(error):
            storage.set_trial_intermediate_value(trial_id, 1, 0.5)
        with pytest.raises(error):
            storage.write_param(trial_id, "depth", 0.0, known, known)
    assert study.trials[0].intermediate_values == {}
    assert study.trials[0].params == trial.params
    storage.engine.dispose()
