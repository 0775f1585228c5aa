"""Studies: what is written reads back, and what an override changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from space_strategies import SCALARS, TEXTS, space_data

from searchlab.config.documents import dump_yaml, parse_yaml
from searchlab.config.loading import load_recorded_study, load_study
from searchlab.config.nodes import Choice, Fixed
from searchlab.config.settings import SHARED_PARAMETERS, Init, OptimizerName, TrainingSettings
from searchlab.config.space import SpaceSpec
from searchlab.config.study import CallableRef, StudySpec
from searchlab.config.trial import SCHEMES, ObjectiveConfig
from searchlab.config.validation import to_input_error, validate_document
from searchlab.errors import InputError

_PROBABILITIES = st.floats(0, 1, exclude_max=True)


def training_data() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.integers(1, 100),
            "optimizer": st.sampled_from(get_args(OptimizerName)),
            "lr": st.floats(1e-8, 1000),
            "momentum": _PROBABILITIES,
            "weight_decay": st.floats(0, 10),
            "batch_size": st.integers(1, 4096),
            "dropout": _PROBABILITIES,
            "init": st.sampled_from(get_args(Init)),
        },
    )


def search_data() -> st.SearchStrategy[dict[str, Any]]:
    shared = {
        "pruner": st.sampled_from(["none", "median", "successive_halving", "hyperband"]),
        "timeout": st.none() | st.integers(1, 10**6) | st.floats(0.1, 1e6),
        "seed": st.integers(0, 2**63 - 1),
        "points": st.integers(2, 9),
    }
    planned = {"reference": st.dictionaries(TEXTS.filter(bool), SCALARS, max_size=3)}
    return st.fixed_dictionaries(
        {"trials": st.integers(1, 10**6)},
        optional={**shared, "sampler": st.sampled_from(["tpe", "random", "grid"])},
    ) | st.fixed_dictionaries({"sampler": st.just("one_at_a_time")}, optional={**shared, **planned})


def study_data() -> st.SearchStrategy[dict[str, Any]]:
    auto = st.just("auto") | st.integers(1, 8)
    return st.fixed_dictionaries(
        {
            "name": st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True),
            "dataset": st.fixed_dictionaries(
                {"name": TEXTS},
                optional={"normalize": st.sampled_from(["standard", "unit"])},
            ),
            "space": space_data(),
            "search": search_data(),
        },
        optional={
            "objective": st.sampled_from(
                [{}, {"metric": "loss"}, {"metric": "accuracy", "direction": "maximize"}]
            ),
            "training": training_data(),
            "validation": st.fixed_dictionaries(
                {"folds": st.integers(2, 10)}, optional={"search_folds": st.integers(1, 2)}
            ),
            "baselines": st.fixed_dictionaries(
                {},
                optional={
                    "architectures": st.lists(TEXTS, max_size=3, unique=True),
                    "schemes": st.just(["HF"]) | st.just(["DT", "HT"]),
                    "training": training_data(),
                },
            ),
            "confirm": st.fixed_dictionaries({"top": st.integers(0, 9)}),
            "resources": st.fixed_dictionaries(
                {},
                optional={
                    "cpus": st.floats(0.1, 8),
                    "gpus": st.just("auto") | st.floats(0, 1),
                    "workers": auto,
                },
            ),
        },
    )


@given(data=study_data())
def test_study_written_as_yaml_reads_back_equal(data: dict[str, Any]) -> None:
    spec = StudySpec.model_validate(data)
    again = validate_document(StudySpec, parse_yaml(dump_yaml(spec.to_data()), source="s.yaml"))
    assert again == spec
    # Equality takes 1, 1.0 and true for the same.
    assert json.dumps(again.to_data()) == json.dumps(spec.to_data())


@given(data=study_data())
def test_baselines_inherit_just_what_they_leave_unset(data: dict[str, Any]) -> None:
    spec = StudySpec.model_validate(data)
    again = StudySpec.model_validate(spec.to_data())
    expected = {**data.get("training", {}), **data.get("baselines", {}).get("training", {})}
    for study in (spec, again):
        for row in study.baseline_rows:
            assert study.baseline_training(row) == TrainingSettings.model_validate(expected)


@pytest.mark.parametrize(
    ("training", "row", "expected"),
    [
        ({"optimizer": "adamw"}, {}, (1e-3, 0.0, 0.01)),
        ({"optimizer": "adamw", "weight_decay": 0.0}, {}, (1e-3, 0.0, 0.0)),
        ({}, {"optimizer": "rmsprop"}, (1e-2, 0.0, 0.0)),
        ({"lr": 0.1}, {"optimizer": "rmsprop"}, (0.1, 0.0, 0.0)),
        ({"optimizer": "adamw"}, {"optimizer": "adam"}, (1e-3, 0.0, 0.0)),
        ({"weight_decay": None, "optimizer": "adamw"}, {"momentum": None}, (1e-3, 0.0, 0.01)),
    ],
)
def test_what_neither_study_nor_row_names_follows_the_rows_optimizer(
    training: dict[str, Any], row: dict[str, Any], expected: tuple[float, ...]
) -> None:
    rows = [{"name": "mine", "architecture": "a2", "training": row}]
    study = make_study(training=training, baselines={"architectures": [], "rows": rows})
    for spec in (study, StudySpec.model_validate(study.to_data())):
        settings = spec.baseline_training(spec.baselines.rows[0])
        assert (settings.lr, settings.momentum, settings.weight_decay) == expected


def test_a_recorded_study_whose_trials_requested_several_gpus_requests_the_one_they_used(
    tmp_path: Path,
) -> None:
    file = tmp_path / "study.yaml"
    recorded = {**make_study().to_data(), "resources": {"gpus": 2, "cpus": 3}}
    file.write_text(dump_yaml(recorded))
    resources = load_recorded_study(file).spec.resources
    assert (resources.gpus, resources.cpus) == (1, 3)


def test_a_recorded_study_that_names_no_optimizer_settings_keeps_the_earlier_defaults(
    tmp_path: Path,
) -> None:
    file = tmp_path / "study.yaml"
    recorded = make_study(training={"optimizer": "adamw", "epochs": 3}).to_data()
    file.write_text(dump_yaml(recorded))
    now = load_recorded_study(file).spec.training
    assert (now.lr, now.momentum, now.weight_decay) == (1e-3, 0.0, 0.01)
    recorded["training"] = {"optimizer": "adamw", "epochs": 3, "lr": 0.5}
    file.write_text(dump_yaml(recorded))
    earlier = load_recorded_study(file).spec
    for settings in (earlier.training, StudySpec.model_validate(earlier.to_data()).training):
        assert (settings.lr, settings.momentum, settings.weight_decay) == (0.5, 0.9, 0.0)
    del recorded["training"]
    file.write_text(dump_yaml(recorded))
    assert load_recorded_study(file).spec.training.changed({"optimizer": "rmsprop"}).momentum == 0.9


def test_a_recorded_study_that_names_no_sampler_keeps_the_earlier_default(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    recorded = make_study(search={"trials": 3}).to_data()
    assert recorded["search"]["sampler"] == "auto"
    del recorded["search"]["sampler"]
    file.write_text(dump_yaml(recorded))
    assert load_recorded_study(file).spec.search.sampler == "tpe"


def test_nesterov_without_momentum_is_refused_unless_the_space_searches_it() -> None:
    training = {"optimizer": "sgd", "nesterov": True}
    with pytest.raises(ValidationError, match="needs momentum, which is 0 unless it is named"):
        make_study(training=training)
    make_study(training={**training, "momentum": 0.9})
    make_study(training={**training, "optimizer": "adam"})
    searched = {"momentum": {"low": 0.5, "high": 0.9}, "family": "cnn"}
    make_study(training=training, space={"parameters": searched})


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"training": {"sampling": "balanced", "class_weights": "balanced"}}, "training"),
        (
            {
                "training": {"sampling": "balanced"},
                "baselines": {"training": {"class_weights": "balanced"}},
            },
            "baselines.training",
        ),
        (
            {
                "training": {"class_weights": "balanced"},
                "baselines": {
                    "architectures": [],
                    "rows": [
                        {"name": "r", "architecture": "a1", "training": {"sampling": "balanced"}}
                    ],
                },
            },
            "baselines.rows.0.training",
        ),
    ],
)
def test_balance_by_drawing_and_by_weights_is_refused(given: dict[str, Any], place: str) -> None:
    with pytest.raises(
        ValidationError, match="cannot be balanced together with class_weights"
    ) as e:
        make_study(**given)
    error = to_input_error(e.value.errors(include_url=False)[0])
    assert isinstance(error.where, tuple)
    assert ".".join(map(str, error.where)) == f"{place}.sampling"


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"confirm": {"repeats": 0}}, r"must be at least 2 with dataset\.columns\.time"),
        ({"comparisons": {"q": [["a1/HF", "a1/DT"]]}}, r"cannot be made with dataset\.columns\.t"),
    ],
)
def test_folds_of_unequal_training_sets_decide_nothing(given: dict[str, Any], rule: str) -> None:
    dataset = {"name": "table", "columns": {"time": "day"}}
    with pytest.raises(ValidationError, match=rule):
        make_study(dataset=dataset, **given)
    make_study(dataset=dataset)
    make_study(dataset={"name": "table"}, **given)


def make_study(**fields: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "s",
            "dataset": "digits",
            "space": {"parameters": {"family": "cnn"}},
            "search": {"trials": 3},
            **fields,
        }
    )


def test_baseline_can_be_set_back_to_a_default() -> None:
    study = make_study(training={"lr": 0.5, "epochs": 3}, baselines={"training": {"lr": 1e-3}})
    again = StudySpec.model_validate(study.to_data())
    training = again.baseline_training(again.baseline_rows[0])
    assert (training.lr, training.epochs) == (1e-3, 3)


def test_a_row_changes_its_own_training_only() -> None:
    rows = [{"name": "fast", "architecture": "a1", "training": {"lr": 0.5}}]
    study = make_study(baselines={"training": {"lr": 0.2, "momentum": 0.5}, "rows": rows})
    *grid, fast = study.baseline_rows
    assert [row.name for row in grid] == [f"{a}/{s}" for a in ("a1", "a2") for s in SCHEMES]
    assert {study.baseline_training(row).lr for row in grid} == {0.2}
    settings = study.baseline_training(fast)
    assert (settings.lr, settings.momentum) == (0.5, 0.5)


def test_one_objective_and_a_list_of_one_are_the_same() -> None:
    alone = make_study(objective={"metric": "loss"})
    assert alone == make_study(objective=[{"metric": "loss"}])
    assert alone == make_study(objective="loss") == make_study(objective=["loss"])
    assert [objective.metric for objective in alone.objective] == ["loss"]


def test_several_objectives_refuse_a_pruner() -> None:
    objectives = ["accuracy", {"metric": "parameters"}]
    assert len(make_study(objective=objectives).objective) == 2
    with pytest.raises(ValidationError, match="must be none with several objectives"):
        make_study(objective=objectives, search={"trials": 3, "pruner": "median"})


def test_a_preset_overrides_the_file_and_set_overrides_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: s\ndataset: digits\nspace: {parameters: {family: cnn}}\n"
        "search: {trials: 9}\ntraining: {epochs: 9, lr: 0.5}\n"
        "presets:\n  quick: {search.trials: 2, training.epochs: 2}\n"
    )
    assert load_study(path).spec.search.trials == 9
    spec = load_study(path, ["training.epochs=3"], preset="quick").spec
    assert (spec.search.trials, spec.training.epochs, spec.training.lr) == (2, 3, 0.5)
    assert "presets" not in spec.to_data()


def test_a_faulty_preset_is_named_as_the_place(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: s\ndataset: digits\nspace: {parameters: {family: cnn}}\nsearch: {trials: 9}\n"
        "presets:\n  quick: {search.trials: -1}\n"
    )
    with pytest.raises(InputError) as error:
        load_study(path, preset="quick")
    assert str(error.value).startswith(f"{path}:6: presets.quick.search.trials: search.trials must")
    with pytest.raises(InputError, match=r"must be a preset of the study, got 'quik'\. Did"):
        load_study(path, preset="quik")
    path.write_text(path.read_text().replace("{search.trials: -1}", "[search.trials]"))
    with pytest.raises(InputError, match=r"yaml:6: presets\.quick must be a mapping of fields"):
        load_study(path, preset="quick")


def test_a_path_in_a_preset_starts_beside_the_file_and_one_of_set_starts_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: s\ndataset: {name: folder}\nspace: {parameters: {family: cnn}}\n"
        "search: {trials: 1}\npresets:\n  mine: {dataset.root: photos, plugins: [own.py]}\n"
    )
    here = tmp_path / "elsewhere"
    here.mkdir()
    monkeypatch.chdir(here)
    spec = load_study(path, preset="mine").spec
    assert (spec.dataset.root, spec.plugins) == (
        str(tmp_path / "photos"),
        (str(tmp_path / "own.py"),),
    )
    for option in ("dataset.root=photos", "dataset={name: folder, root: photos}"):
        spec = load_study(path, [option], preset="mine").spec
        assert spec.dataset.root == str(here / "photos")


def test_dataset_can_be_named_by_text_alone() -> None:
    assert make_study(dataset="digits") == make_study(dataset={"name": "digits"})


def test_python_function_stands_in_for_a_space() -> None:
    study = make_study(space="mine.spaces:build")
    assert study.space == CallableRef("mine.spaces:build")
    assert StudySpec.model_validate(study.to_data()) == study


@pytest.mark.parametrize(
    ("written", "config"),
    [
        ({}, ObjectiveConfig(metric="accuracy", direction="maximize", at="best")),
        ({"metric": "loss"}, ObjectiveConfig(metric="loss", direction="minimize", at="best")),
        ({"at": "last"}, ObjectiveConfig(metric="accuracy", direction="maximize", at="last")),
    ],
)
def test_direction_follows_from_the_metric(
    written: dict[str, str], config: ObjectiveConfig
) -> None:
    assert make_study(objective=written).primary.to_config() == config


def test_planned_samplers_need_no_number_of_trials() -> None:
    assert make_study(search={"sampler": "grid"}).search.trials is None


def test_every_shared_parameter_is_a_training_setting() -> None:
    assert set(SHARED_PARAMETERS) == set(TrainingSettings.model_fields) - {
        "epochs",
        "optimizer_arguments",
        "loss_arguments",
        "step_arguments",
        "patience",
        "precision",
        "cuda_graphs",
    }


@pytest.mark.parametrize(("name", "value"), [("lr", 0.1), ("batch_size", 8), ("init", "normal")])
def test_admissible_setting_passes(name: str, value: Any) -> None:
    TrainingSettings.check_value(name, value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", 0.0, "must be greater than 0, got 0.0"),
        ("lr", float("nan"), "must be a finite number, got nan"),
        ("batch_size", 1.5, "must be a whole number, got 1.5"),
        ("optimizer", "adma", "Did you mean adam or adamw?"),
        ("weight_decay", None, "must be a number"),
    ],
)
def test_inadmissible_setting_names_its_rule(name: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingSettings.check_value(name, value)


@pytest.fixture
def study_path(tmp_path: Path) -> Path:
    """A study that names a space file beside it."""
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "cnn.yaml").write_text("parameters:\n  lr: [0.1, 0.2]\n  family: cnn\n")
    (tmp_path / "studies").mkdir()
    path = tmp_path / "studies" / "s.yaml"
    path.write_text(
        "name: s\ndataset: digits\nspace: ../spaces/cnn.yaml\nsearch: {trials: 3}\n"
        "training: {epochs: 9}\n"
    )
    return path


def load_shared(path: Path, *overrides: str) -> dict[str, Any]:
    space = load_study(path, overrides).spec.space
    assert isinstance(space, SpaceSpec)
    return space.shared


def test_space_is_looked_up_beside_the_study(
    study_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_shared(study_path) == {"lr": Choice((0.1, 0.2))}


def test_override_changes_a_field(study_path: Path) -> None:
    spec = load_study(study_path, ["training.epochs=3", "search.sampler=random"]).spec
    assert spec.training.epochs == 3
    assert spec.search.sampler == "random"
    assert spec.search.trials == 3


def test_override_reaches_into_the_space_file(study_path: Path) -> None:
    assert load_shared(study_path, "space.parameters.lr=0.5") == {"lr": Fixed(0.5)}
    assert load_shared(study_path, "space.parameters.dropout=0.5")["dropout"] == Fixed(0.5)
    assert load_shared(study_path) == {"lr": Choice((0.1, 0.2))}


def test_override_replaces_the_space_and_reaches_into_the_new_one(
    study_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A path on the command line is relative to where the command runs, as everywhere else.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.yaml").write_text("parameters: {batch_size: 32, family: fcn}\n")
    assert load_shared(study_path, "space=other.yaml") == {"batch_size": Fixed(32)}
    assert load_shared(study_path, "space.parameters.lr=0.5", "space=other.yaml") == {
        "batch_size": Fixed(32),
        "lr": Fixed(0.5),
    }


def test_override_can_give_an_inline_space_or_a_function(study_path: Path) -> None:
    assert load_shared(study_path, "space={parameters: {family: cnn, lr: 0.3}}") == {
        "lr": Fixed(0.3)
    }
    assert load_study(study_path, ["space=mine:build"]).spec.space == CallableRef("mine:build")


def test_study_keeps_its_document_for_later_messages(study_path: Path) -> None:
    document = load_study(study_path, ["training.epochs=3"]).document
    assert document.where(("search", "trials")) == f"{study_path}:4: search.trials"
    assert document.where(("training", "epochs")) == "--set training.epochs=3: training.epochs"
    space = study_path.parent / "../spaces/cnn.yaml"
    assert document.where(("space", "parameters", "lr")) == f"{space}:2: parameters.lr"
