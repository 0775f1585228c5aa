"""A search begins with what a user would try first: a reference point of each family."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from ledger_driving import (
    NO_CHECKPOINTS,
    describe_trials,
    make_plan,
    make_result,
    make_spec,
    open_ledger,
    open_space,
    open_study,
    run_to_end,
    train,
)
from optuna.storages import InMemoryStorage
from pydantic import ValidationError

from searchlab.config.nodes import Choice, Range
from searchlab.config.study import StudySpec
from searchlab.config.trial import Scalar
from searchlab.errors import InputError
from searchlab.records.trial_record import PLAN
from searchlab.search.space.start_points import config_values, given_point
from searchlab.study.callbacks import StudyCallback
from searchlab.study.ledger import Ledger
from searchlab.study.trial_config import make_config

LEARNING = ("tpe", "gp", "cmaes", "nsga2", "qmc", "evolution")


def _spec(sampler: str = "tpe", trials: int = 6, **changes: Any) -> Any:
    search = {"sampler": sampler, "trials": trials, **changes.pop("search", {})}
    return make_spec(search=search, **changes)


def test_each_family_starts_from_training_and_its_defaults() -> None:
    cnn, fcn = (planned.point for planned in make_plan(_spec()).start)
    shared = {"lr": 1e-3, "batch_size": 128, "dropout": 0.0, "optimizer": "adam"}
    assert cnn == shared | {
        "family": "cnn", "cnn.depth": 2, "cnn.activation": "relu",
        "cnn.layer0.width": 8, "cnn.layer1.width": 8,
    }  # fmt: skip
    assert fcn == shared | {"family": "fcn", "fcn.depth": 2, "fcn.width": 64}


def test_what_nobody_names_starts_at_the_default_of_the_spaces_optimizer() -> None:
    lr = {"low": 1e-4, "high": 1e-1, "log": True}
    space = {"parameters": {"lr": lr, "optimizer": "rmsprop", "family": ["cnn", "fcn"]}}
    assert [start.point["lr"] for start in make_plan(_spec(space=space)).start] == [0.01, 0.01]
    named = make_plan(_spec(space=space, training={"lr": 0.02}))
    assert [start.point["lr"] for start in named.start] == [0.02, 0.02]


@pytest.mark.parametrize(
    ("node", "value", "moved"),
    [
        (Range(low=1e-4, high=1e-2, log=True), 0.1, 1e-2),
        (Range(low=0.1, high=0.7, step=0.1), 0.34, 0.3),
        (Range(low=8, high=64, step=8), 30, 32),
        (Range(low=1, high=3), True, 2),
        (Choice((16, 64, 256)), 128, 64),
        (Choice((16, 64.0)), 64, 64.0),
        (Choice(("cosine", "step")), "constant", "cosine"),
        (Choice((False, True)), True, True),
        (Choice((False, True)), 1, False),
    ],
)
def test_a_value_outside_the_space_is_moved_into_it(
    node: Choice | Range, value: Scalar, moved: Scalar
) -> None:
    found = node.nearest(value)
    assert found == moved
    assert type(found) is type(moved)


@pytest.mark.parametrize("sampler", LEARNING)
def test_reference_points_are_tried_first_and_count_as_search_trials(sampler: str) -> None:
    study = open_study(_spec(sampler))
    run_to_end(open_ledger(_spec(sampler), study))
    search = [trial for trial in study.trials if trial.user_attrs["role"] == "search"]
    assert [trial.user_attrs.get(PLAN) for trial in search] == [
        "start/cnn", "start/fcn", None, None, None, None,
    ]  # fmt: skip
    assert [trial.params["lr"] for trial in search[:2]] == [1e-3, 1e-3]


@pytest.mark.parametrize("sampler", ["nsga2", "qmc", pytest.param("gp", marks=pytest.mark.slow)])
def test_a_study_stopped_in_its_start_goes_on_to_the_same_trials(sampler: str) -> None:
    # The other samplers are in tests/study/test_restart.py.
    spec = _spec(sampler, 12)
    whole = open_study(spec)
    run_to_end(open_ledger(spec, whole))
    for num_before in (2, 3, 4):  # after the baselines: the reference points, and the first draw
        storage = InMemoryStorage()
        ledger = open_ledger(spec, open_study(spec, storage))
        for _ in range(num_before):
            config = ledger.ask()
            assert config is not None
            train(ledger, config)
        cut = ledger.ask()
        assert cut is not None
        ledger.report(make_result(cut, 1))
        study = open_study(spec, storage)
        run_to_end(open_ledger(spec, study))
        ours, expected = describe_trials(study), describe_trials(whole)
        assert [trial[:5] for trial in ours] == [trial[:5] for trial in expected]


def test_qmc_draws_the_sequence_that_it_would_draw_without_reference_points() -> None:
    drawn = []
    for start in ("reference", "random"):
        spec = _spec("qmc", 7 if start == "reference" else 5, search={"start": start})
        study = open_study(spec)
        run_to_end(open_ledger(spec, study))
        drawn.append([trial.params for trial in study.trials if PLAN not in trial.user_attrs])
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 5


@pytest.mark.parametrize(
    "search",
    [{"start": "random"}, {"sampler": "random"}, {"sampler": "grid"}, {"sampler": "one_at_a_time"}],
)
def test_other_searches_start_as_they_are(search: dict[str, Any]) -> None:
    assert make_plan(make_spec(search=search)).start == ()


def test_a_budget_smaller_than_the_families_takes_the_first_of_them() -> None:
    assert [one.key for one in make_plan(_spec(trials=1)).start] == ["start/cnn"]
    assert make_plan(_spec(trials=0)).start == ()


def test_a_search_that_drew_already_goes_on_drawing() -> None:
    storage = InMemoryStorage()
    earlier = _spec(search={"start": "random"})  # as recorded before there was a start
    ledger = open_ledger(earlier, open_study(earlier, storage))
    for _ in range(3):  # two baselines and one that was drawn
        config = ledger.ask()
        assert config is not None
        train(ledger, config)
    study = open_study(_spec(), storage)
    run_to_end(open_ledger(_spec(), study))
    keys = [trial.user_attrs.get(PLAN) for trial in study.trials]
    assert not [key for key in keys if key and key.startswith("start/")]


WARM = {"family": "fcn", "lr": 0.02, "fcn.width": 16}


@pytest.mark.parametrize("start", ["reference", "random"])
def test_given_points_follow_the_reference_points(start: str) -> None:
    spec = _spec(search={"start": start, "warm_start": [WARM, WARM]})
    num_reference = 2 if start == "reference" else 0
    planned = make_plan(spec).start
    assert [one.key for one in planned[num_reference:]] == ["warm/0"]  # each once
    assert planned[-1].point.items() >= WARM.items()
    assert planned[-1].point["dropout"] == 0.0  # the rest is as in the reference point
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    keys = [t.user_attrs.get(PLAN) for t in study.trials if t.user_attrs["role"] == "search"]
    assert keys == [*(one.key for one in planned), *[None] * (6 - len(planned))]


def test_a_search_stopped_before_a_given_point_tries_it_once() -> None:
    spec = _spec(search={"warm_start": [WARM]})
    storage = InMemoryStorage()
    ledger = open_ledger(spec, open_study(spec, storage))
    for _ in range(3):  # two baselines and a reference point
        config = ledger.ask()
        assert config is not None
        train(ledger, config)
    study = open_study(StudySpec.model_validate(spec.to_data()), storage)
    run_to_end(open_ledger(spec, study))
    keys = [trial.user_attrs.get(PLAN) for trial in study.trials]
    assert keys.count("warm/0") == 1


@pytest.mark.parametrize(
    ("values", "where", "rule"),
    [
        ({"lr": 0.01}, "family", "must be a family of the space (cnn, fcn)"),
        ({**WARM, "lr": 1.0}, "lr", "must lie in the space's lr (0.0001 to 0.1, log)"),
        ({**WARM, "fcn.width": 17}, "fcn.width", "must lie in the space's fcn.width"),
        ({**WARM, "cnn.depth": 1}, "cnn.depth", "is not a parameter that the space has beside"),
        ({**WARM, "optimizer": "sgd"}, "optimizer", "must be 'adam', as the space fixes it"),
    ],
)
def test_a_given_point_outside_the_space_is_refused(
    values: dict[str, Any], where: str, rule: str
) -> None:
    with pytest.raises(InputError) as caught:
        make_plan(_spec(search={"warm_start": [WARM, values]}))
    assert rule in caught.value.rule
    assert caught.value.where == ("search", "warm_start", 1, where)


def test_a_planned_search_takes_no_given_points() -> None:
    with pytest.raises(ValidationError, match="has no effect with sampler grid"):
        make_spec(search={"sampler": "grid", "warm_start": [WARM]})


def test_a_configuration_is_a_point_of_the_space_that_it_came_from() -> None:
    spec = _spec()
    space = open_space(spec)
    for config in run_to_end(open_ledger(spec)):
        if config.role == "search":
            point = given_point(space, spec.training, config_values(config))
            again = make_config(spec, point, number=config.number, known={})
            assert again == config


class _Listener(StudyCallback):
    def __init__(self) -> None:
        self.said: list[str] = []

    def announce(self, message: str) -> None:
        self.said.append(message)


def test_the_start_is_said_at_the_start() -> None:
    said = _Listener()
    Ledger(
        plan=make_plan(_spec()),
        study=open_study(_spec()),
        checkpoints=NO_CHECKPOINTS,
        callback=said,
    )
    assert "starts from 2 reference points (cnn, fcn)" in said.said[0]
    assert "search.start=random" in said.said[0]


def test_a_space_function_has_reference_points_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "drawn_space.py").write_text(
        "def small(trial):\n"
        "    family = trial.suggest_categorical('family', ['cnn', 'fcn'])\n"
        "    lr = trial.suggest_float('lr', 1e-2, 1e-1, log=True)\n"
        "    width = trial.suggest_int(f'{family}.width', 8, 64)\n"
        "    return {'lr': lr, 'family': family, family: {'width': width}}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = _spec(
        space="drawn_space:small", baselines={"architectures": ["a2"], "training": {"lr": 0.05}}
    )
    assert [planned.point for planned in make_plan(spec).start] == [
        {"family": "cnn", "lr": 1e-2, "cnn.width": 32},
        {"family": "fcn", "lr": 1e-2, "fcn.width": 64},
    ]
    asked = run_to_end(open_ledger(spec))
    widths = [one.model.parameters["width"] for one in asked if one.role == "search"]
    assert widths[:2] == [32, 64]
