"""What presets and --set change of a study's models, and when that makes it a quick look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from searchlab.config.changes import describe_changes, describe_quick_look
from searchlab.config.documents import dump_yaml
from searchlab.config.loading import load_recorded_study, load_study

STUDY: dict[str, Any] = {
    "name": "own",
    "dataset": {"name": "digits", "limit": 1000},
    "space": {"parameters": {"lr": [0.1, 0.2], "momentum": 0.5, "family": {"cnn": {"depth": 2}}}},
    "search": {"trials": 4},
    "training": {"epochs": 8},
    "validation": {"folds": 5, "search_folds": 2},
    "baselines": {"rows": [{"name": "mine", "architecture": "a1", "training": {"epochs": 6}}]},
    "published": {
        "source": "a report",
        "rows": [{"table": "t", "name": "n", "trial": "mine", "figures": {"accuracy": 99.5}}],
    },
    "presets": {
        "quick": {"name": "own-quick", "training.epochs": 2, "dataset.limit": 100},
        "less": {"baselines.only": ["mine"], "search.trials": 2, "training.precision": "bfloat16"},
        "full": {"dataset.limit": None, "training.epochs": 80, "changed": {}},
    },
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump(STUDY, sort_keys=False))
    return file


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["training.epochs=3"], "training.epochs is 3 instead of 8"),
        (["dataset.limit=10"], "dataset.limit is 10 instead of 1000"),
        (["dataset.size=16"], "dataset.size is 16 instead of none"),
        (["validation.folds=3"], "validation.folds is 3 instead of 5"),
        (["validation.search_folds=1"], "validation.search_folds is 1 instead of 2"),
        (["baselines.folds=search"], "baselines.folds is search instead of all"),
        (["baselines.training.epochs=1"], "baselines.training.epochs is 1 instead of none"),
        (
            ["training.epochs=3", "training.lr=0.5"],
            "training.epochs is 3 instead of 8, training.lr is 0.5 instead of 0.001",
        ),
    ],
)
def test_less_training_or_measuring_is_a_quick_look_with_all_that_was_changed(
    path: Path, overrides: list[str], text: str
) -> None:
    spec = load_study(path, overrides).spec
    assert describe_quick_look(spec) == describe_changes(spec) == text


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["training.epochs=9"], "training.epochs is 9 instead of 8"),
        (["dataset.limit=null"], "dataset.limit is none instead of 1000"),
        (["training.optimizer=rmsprop"], "training.optimizer is rmsprop instead of adam"),
        (["dataset.normalize=half"], "dataset.normalize is half instead of standard"),
        (["space.parameters.momentum=0.9"], "space.parameters.momentum is 0.9 instead of 0.5"),
        (
            ["space.parameters.family.cnn.depth=3"],
            "space.parameters.family.cnn.depth is 3 instead of 2",
        ),
    ],
)
def test_other_models_are_named_but_no_quick_look(
    path: Path, overrides: list[str], text: str
) -> None:
    spec = load_study(path, overrides).spec
    assert text in describe_changes(spec)
    assert describe_quick_look(spec) == ""


def test_a_shortened_study_without_published_figures_is_a_study_like_any_other(path: Path) -> None:
    spec = load_study(path, ["training.epochs=3", "published=null"]).spec
    assert describe_changes(spec) == "training.epochs is 3 instead of 8"
    assert describe_quick_look(spec) == ""


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["training.epochs=8"],
        ["search.trials=1", "search.seed=3", "confirm.top=1", "resources.workers=1", "name=x"],
        ["training.precision=bfloat16", "dataset.skip_broken=true"],
        ["space.parameters.lr=[0.3]"],
    ],
)
def test_what_leaves_the_models_as_they_are_is_no_change(path: Path, overrides: list[str]) -> None:
    assert load_study(path, overrides).spec.changed == {}


def test_presets_count_as_well_unless_they_stand_for_the_study(path: Path) -> None:
    assert describe_quick_look(load_study(path, preset="quick").spec)
    assert load_study(path, preset="less").spec.changed == {}
    assert load_study(path, preset="full").spec.changed == {}
    shortened = load_study(path, ["training.epochs=20"], preset="full").spec
    assert describe_quick_look(shortened) == "training.epochs is 20 instead of 80"


def test_a_recorded_quick_look_is_still_one(path: Path, tmp_path: Path) -> None:
    spec = load_study(path, preset="quick").spec
    recorded = tmp_path / "study.yaml"
    recorded.write_text(dump_yaml(spec.to_data()))
    for again in (load_recorded_study(recorded).spec, load_study(recorded, ["name=other"]).spec):
        assert describe_quick_look(again) == describe_quick_look(spec)
    restored = load_study(recorded, ["training.epochs=8", "dataset.limit=1000"]).spec
    assert describe_changes(restored) == ""


def test_a_file_that_is_no_study_without_its_overrides_has_nothing_of_its_own(
    tmp_path: Path,
) -> None:
    file = tmp_path / "part.yaml"
    file.write_text(yaml.safe_dump({name: STUDY[name] for name in STUDY if name != "dataset"}))
    assert load_study(file, ["dataset=digits", "training.epochs=1"]).spec.changed == {}
