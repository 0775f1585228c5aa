"""The model by which a study's needs are judged, whatever kind of space it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_studies import NO_DATA, write_study

from searchlab.config.loading import load_study
from searchlab.config.trial import ModelConfig, TrialConfig
from searchlab.study.preparation.largest_model import find_largest_model
from searchlab.study.preparation.prepared_study import prepare_study

MODULE = """
def space(trial):
    family = trial.suggest_categorical("family", ["cnn", "fcn"])
    point = {
        "lr": trial.suggest_float("lr", 1e-3, 1e-1, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [256, 512]),
        "family": family,
    }
    if family == "cnn":
        point["cnn"] = {"depth": 1, "width": trial.suggest_int("cnn.width", 4, 8)}
    else:
        point["fcn"] = {"depth": 2, "width": trial.suggest_categorical("fcn.width", [8, 16])}
    return point

def picky(trial):
    width = trial.suggest_int("cnn.width", 4, 8)
    if width > 6:
        raise ValueError("too wide")
    return {"family": "cnn", "cnn": {"depth": 1, "width": width}}

def narrow(trial):
    return {"family": "cnn", "cnn": {"depth": 1, "width": trial.suggest_int("cnn.width", 4, 8)}}

def pickier(trial):
    width = trial.suggest_categorical("cnn.width", [6, 4, 8])
    if width != 6:
        raise ValueError("too narrow or too wide")
    return {"family": "cnn", "cnn": {"depth": 1, "width": width}}
"""


def find(folder: Path, **changes: Any) -> TrialConfig | None:
    file = load_study(write_study(folder, **changes))
    return find_largest_model(prepare_study(file, data_dir=NO_DATA))


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "functions_for_largest.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("architectures", [[], ["a2"]])
def test_a_function_s_largest_model_is_found(tmp_path: Path, architectures: list[str]) -> None:
    largest = find(
        tmp_path,
        space="functions_for_largest:space",
        baselines={"architectures": architectures},
    )
    assert largest is not None
    assert largest.model.family == "cnn"
    assert largest.settings.batch_size == 512
    assert largest.model.parameters["width"] == 8


def test_values_that_a_function_refuses_are_passed_over(tmp_path: Path) -> None:
    changes = {"space": "functions_for_largest:picky", "baselines": {"architectures": []}}
    largest = find(tmp_path, **changes)
    assert largest is not None
    assert largest.model.parameters["width"] == 4


def test_there_is_none_where_a_function_takes_neither_extreme(tmp_path: Path) -> None:
    changes = {"space": "functions_for_largest:pickier", "baselines": {"architectures": []}}
    assert find(tmp_path, **changes) is None


def test_a_model_that_raises_is_passed_over_and_one_without_products_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count_as_a_plugin_may_have_it(model: ModelConfig, **_images: object) -> int:
        if model.parameters["width"] == 8:
            raise ValueError("num_channels (8) must be divisible by num_groups (3)")
        return 0

    monkeypatch.setattr(
        "searchlab.study.preparation.largest_model.count_multiply_adds",
        count_as_a_plugin_may_have_it,
    )
    changes = {"space": "functions_for_largest:narrow", "baselines": {"architectures": []}}
    largest = find(tmp_path, **changes)
    assert largest is not None
    assert largest.model.parameters["width"] == 4
