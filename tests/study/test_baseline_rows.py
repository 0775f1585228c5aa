"""Rows: baselines with settings of their own, which are points of the space all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ledger_driving import (
    SPACE,
    STUDY,
    describe_trials,
    make_spec,
    open_ledger,
    open_study,
    run_to_end,
)

from searchlab.config.loading import load_study
from searchlab.config.study import StudySpec
from searchlab.errors import InputError
from searchlab.search.samplers.study_sampler import StudySampler
from searchlab.search.space.study_space import SpecSpace
from searchlab.study.plan import plan_baselines
from searchlab.study.preparation.prepared_study import prepare_study

ROWS: list[dict[str, Any]] = [
    {"name": "slow a1", "architecture": "a1", "training": {"lr": 2e-4, "epochs": 5}},
    {"name": "HF by hand", "architecture": "a1", "scheme": "HF"},
    {
        "name": "gelu, 2 layers",
        "architecture": "cnn",
        "parameters": {"depth": 2, "width": 8, "activation": "gelu"},
        "training": {"dropout": 0.5, "label_smoothing": 0.1, "augment": "flip", "patience": 2},
    },
    {"name": "wide fcn", "architecture": "fcn", "parameters": {"width": 64}},
]


def rows_spec(*rows: dict[str, Any], **changes: Any) -> StudySpec:
    baselines = {"rows": list(rows or ROWS), **changes.pop("baselines", {})}
    return make_spec(baselines=baselines, **changes)


def test_a_baseline_that_was_begun_and_then_removed_fails_alone() -> None:
    spec = rows_spec(ROWS[3])
    study = open_study(spec)
    ledger = open_ledger(spec, study)
    assert [ledger.ask() is not None for _ in range(3)] == [True] * 3
    assert study.trials[2].user_attrs["label"] == "wide fcn"
    run_to_end(open_ledger(make_spec(), study))
    failed = [trial for trial in study.trials if trial.state.name == "FAIL"]
    assert [trial.user_attrs.get("retry_of") for trial in failed] == [None, 2]
    for trial in failed:
        assert "baseline/wide fcn is not in the study any more" in trial.user_attrs["error"]


def test_rows_train_as_they_say_and_else_as_the_other_baselines() -> None:
    spec = rows_spec(baselines={"training": {"lr": 0.02}})
    study = open_study(spec)
    _, _, slow, by_hand, gelu, wide = run_to_end(open_ledger(spec, study))[:6]
    assert (slow.model.family, slow.model.scheme) == ("a1", "DT")
    assert (slow.settings.lr, slow.settings.epochs) == (2e-4, 5)
    assert by_hand.model.scheme == "HF"
    assert (by_hand.settings.lr, by_hand.settings.epochs) == (0.02, 3)
    assert gelu.model.parameters == {"depth": 2, "width": (8, 8), "activation": "gelu"}
    settings = gelu.settings
    assert (settings.dropout, settings.label_smoothing, settings.patience) == (0.5, 0.1, 2)
    assert settings.augment == "flip"
    assert wide.model.parameters["width"] == 64
    assert [config.role for config in (slow, by_hand, gelu, wide)] == ["baseline"] * 4
    names = ["a2/HF", "a2/DT", *(row["name"] for row in ROWS)]
    assert [trial.user_attrs["label"] for trial in study.trials[:6]] == names


def test_rows_share_the_distributions_of_their_rivals_and_nothing_is_sampled_alone() -> None:
    spec = rows_spec(search={"sampler": "tpe", "trials": 24})
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    known: dict[str, Any] = {}
    for trial in study.trials:
        assert trial.params.keys() >= {"lr", "batch_size", "dropout", "family"}
        for name, distribution in trial.distributions.items():
            assert known.setdefault(name, distribution) == distribution
    assert isinstance(study.sampler, StudySampler)
    assert study.sampler.needlessly_alone == {}


def test_the_schemes_of_rows_and_grid_are_recorded_beside_each_other() -> None:
    recorded = SpecSpace(rows_spec()).recorded.families
    assert recorded["a1"]["scheme"].model_dump() == ("HF", "DT")
    assert recorded["a2"]["scheme"].model_dump() == ("HF", "DT")  # the grid's own
    assert "scheme" not in recorded["fcn"]  # a lone DT, and no first conv layer


@pytest.mark.parametrize("only", [["a1/HF"], ["a1/HF", "own"]])
def test_a_planned_search_of_a_baseline_architecture_has_scheme_dt(only: list[str]) -> None:
    row = {"name": "own", "architecture": "a1", "scheme": "HT"}
    spec = rows_spec(
        row,
        space={"parameters": {"lr": [1e-3, 1e-2], "family": ["a1", "fcn"]}},
        search={"sampler": "grid", "trials": None},
        baselines={"architectures": ["a1", "a2"], "only": only},
        confirm={"top": 0},
    )
    study = open_study(spec)
    searched = run_to_end(open_ledger(spec, study))[len(only) :]
    schemes = [(config.model.family, config.model.scheme) for config in searched]
    assert sorted(schemes) == [("a1", "DT")] * 2 + [("fcn", "DT")] * 2
    assert not any("a1.scheme" in trial.params for trial in study.trials[len(only) :])


@pytest.mark.parametrize("sampler", ["grid", "one_at_a_time"])
def test_planned_searches_go_with_rows(sampler: str) -> None:
    rows = {"sampler": sampler, "trials": 8, "points": 2}
    spec = rows_spec(search=rows)
    study = open_study(spec)
    run_to_end(open_ledger(spec, study))
    assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
    assert len([t for t in study.trials if t.user_attrs["role"] == "search"]) == 8


def test_folds_search_trains_the_search_folds_and_the_full_member() -> None:
    configs = run_to_end(open_ledger(rows_spec(baselines={"folds": "search"})))
    baselines = [config for config in configs if config.role == "baseline"]
    assert {config.folds.folds for config in baselines} == {(0, 1)}
    assert all(config.folds.test for config in baselines)
    finalists = [config for config in configs if config.role == "finalist"]
    assert {config.folds.folds for config in finalists} == {(0, 1, 2)}


def test_one_row_may_have_other_folds_than_the_rest() -> None:
    configs = run_to_end(open_ledger(rows_spec({**ROWS[0], "folds": "search"})))
    baselines = {config.number: config for config in configs if config.role == "baseline"}
    assert [len(config.folds.folds) for config in baselines.values()] == [3, 3, 2]


def test_labels_and_trials_are_kept_over_a_restart() -> None:
    spec = rows_spec()
    undisturbed = open_study(spec)
    run_to_end(open_ledger(spec, undisturbed))
    killed = open_study(spec)
    for num_asked in (1, 3):
        ledger = open_ledger(spec, killed)
        for _ in range(num_asked):
            assert ledger.ask() is not None
        killed = open_study(spec, killed._storage)
    run_to_end(open_ledger(spec, killed))
    assert describe_trials(killed) == describe_trials(undisturbed)


@pytest.mark.parametrize(
    ("row", "pieces"),
    [
        (
            {"training": {"lr": 0.5}},
            ["baselines.rows.1.training.lr must lie in the space's lr (0.0001 to 0.1, log)"]
            + ["got 0.5", "set another for second"],
        ),
        (
            {"parameters": {"activation": "tanh"}},
            ["baselines.rows.1.parameters.activation must lie in the space's activation (relu,"]
            + ["gelu), got 'tanh'", "widen the space's activation"],
        ),
        (
            {"parameters": {"kernel": 5}},
            ["rows.1.parameters.kernel must be a parameter that the space searches under cnn"]
            + ["got 5", "There it has: depth, width, activation"],
        ),
        (
            {"architecture": "a2", "parameters": {"width": 5}},
            ["rows.1.parameters.width must be a parameter", "searches under a2", "a preset needs"],
        ),
        (
            {"training": {"optimizer": "sgd"}},
            ["baselines.rows.1.training.optimizer must lie in the space's optimizer (adam)"],
        ),
        ({"scheme": "HF", "parameters": {"scheme": "DT"}}, ["rows.1.parameters.scheme"]),
    ],
)
def test_a_row_outside_the_space_is_refused_by_its_place(
    row: dict[str, Any], pieces: list[str]
) -> None:
    second = {"name": "second", "architecture": "cnn", **row}
    spec = rows_spec(ROWS[0], second)
    with pytest.raises(InputError) as error:
        plan_baselines(spec, SpecSpace(spec))
    for piece in pieces:
        assert piece.lower() in str(error.value).lower()


def test_the_fixed_value_of_the_space_may_be_said_again() -> None:
    plain = {"name": "same", "architecture": "fcn", "training": {"optimizer": "adam"}}
    depth = {"low": 1, "high": 2}
    fixed = {"cnn": {"depth": depth, "activation": "gelu"}, "fcn": {}}
    space = {"parameters": {**SPACE["parameters"], "family": fixed}}
    own = {"name": "own", "architecture": "cnn", "parameters": {"activation": "gelu"}}
    spec = rows_spec(plain, own, space=space)
    points = [planned.point for planned in plan_baselines(spec, SpecSpace(spec))]
    assert points[-1]["cnn.activation"] == "gelu"
    assert points[-2]["optimizer"] == "adam"


def test_a_row_outside_the_space_is_refused_before_the_study_with_file_and_line(
    tmp_path: Path,
) -> None:
    rows = [{"name": "x", "architecture": "a2", "training": {"lr": 0.5}}]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, "baselines": {"rows": rows}}, sort_keys=False))
    line = path.read_text().splitlines().index("  rows:") + 1
    with pytest.raises(InputError) as error:
        prepare_study(load_study(path), data_dir=tmp_path)
    message = str(error.value)
    assert message.startswith(f"{path}:")
    assert int(message.removeprefix(f"{path}:").partition(":")[0]) >= line
    assert "baselines.rows.0.training.lr must lie in the space's lr" in message


def test_a_searched_setting_that_no_baseline_names_has_the_default_of_the_spaces_optimizer() -> (
    None
):
    parameters = {
        **SPACE["parameters"],
        "optimizer": "adamw",
        "weight_decay": {"low": 0.0, "high": 0.1},
    }
    spec = make_spec(space={"parameters": parameters})
    points = [planned.point for planned in plan_baselines(spec, SpecSpace(spec))]
    assert {point["weight_decay"] for point in points} == {0.01}
