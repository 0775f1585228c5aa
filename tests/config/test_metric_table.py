"""The table of metrics: the one place that knows a metric's name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from searchlab.config.metrics import (
    NUMBER,
    Metric,
    get_metric,
    list_metrics,
    list_objectives,
    register_metric,
)

PACKAGE = Path(__file__).parents[2] / "searchlab"
# The table, the functions, and the attributes under which the first searchlab stored figures.
SPELLED_IN = {"config/metrics.py", "training/metrics.py", "records/trial_record.py"}
# These are ordinary words: of training's own figures, of parts of a space, of a board's column.
WORDS = {"accuracy", "loss", "parameters"}


def test_no_other_file_spells_a_metrics_name() -> None:
    names = {metric.name for metric in list_metrics()} - WORDS
    names |= {metric.stored_key for metric in list_metrics()} - WORDS - {"num_parameters"}
    names |= {metric.test_key for metric in list_metrics()}
    spelled = {
        f"{path.relative_to(PACKAGE).as_posix()}: {node.value}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    }
    assert {one for one in spelled if one.split(":")[0] not in SPELLED_IN} == set()


def test_the_first_objective_is_one_that_every_epoch_has() -> None:
    assert set(list_objectives(first=True)) == {
        "accuracy", "loss", "balanced_accuracy", "macro_f1", "robust_accuracy",
    }  # fmt: skip
    assert set(list_objectives()) - set(list_objectives(first=True)) == {
        "parameters", "multiply_adds", "latency",
    }  # fmt: skip


def test_names_and_keys_that_users_know_stay() -> None:
    keys = {metric.name: (metric.stored_key, metric.test_key) for metric in list_metrics()}
    assert keys["parameters"][0] == "num_parameters"
    assert keys["latency"][0] == "latency_ms"
    assert keys["robust_accuracy"] == ("robust_accuracy", "test_robust_accuracy")
    curves = {metric.name: metric.curve_key for metric in list_metrics()}
    assert curves["robust_accuracy"] == "robust_accuracy"
    assert curves["accuracy"] == "validation_accuracy"


@pytest.mark.parametrize(("name", "key"), [("accuracy", ""), ("new", "num_parameters")])
def test_a_name_or_key_is_taken_once(name: str, key: str) -> None:
    metric = Metric(
        name=name, key=key, direction="minimize", label="new", column="new", unit=NUMBER
    )
    with pytest.raises(ValueError, match="is already registered"):
        register_metric(metric)
    assert get_metric("accuracy").direction == "maximize"
