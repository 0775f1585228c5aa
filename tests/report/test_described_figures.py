"""A trial's figures as lines of text: every objective is there by its name."""

from __future__ import annotations

from typing import Any

from trial_records import make_record, make_spec

from searchlab.records.trial_record import TrialRecord
from searchlab.report.leaderboard import Row, best_row, list_rows
from searchlab.report.tables import describe_figures


def best_of(record: TrialRecord, metrics: tuple[str, ...], **changes: Any) -> Row:
    objective = [{"metric": metric} for metric in metrics]
    row = best_row([record], make_spec(objective=objective, **changes))
    assert row is not None
    return row


def test_one_objective_is_named_once() -> None:
    lines = describe_figures(best_of(make_record(1, value=0.9), ("accuracy",)), ("accuracy",))
    assert lines == [
        "#1 cnn (search)",
        "accuracy on the search folds: 90.00 %",
        "parameters: 12,345",
        "epochs: 8, 2.1 s",
    ]


def test_a_confirmation_has_no_figure_of_folds() -> None:
    confirmation = make_record(
        2, "confirmation", value=None, values=(), confirmation_of=1,
        test_figures={"accuracy": 0.75},
    )  # fmt: skip
    [_, row] = list_rows([make_record(1, "baseline"), confirmation], make_spec())
    lines = describe_figures(row, ("accuracy",))
    assert lines[1:] == ["parameters: 12,345", "test accuracy: 75.00 %", "epochs: 8, 2.1 s"]


def test_every_other_objective_is_named_with_its_value() -> None:
    metrics = ("accuracy", "robust_accuracy", "loss", "multiply_adds", "latency", "parameters")
    record = make_record(1, value=0.9, values=(0.9, 0.75, 0.25, 123456.0, 0.125, 12345.0))
    row = best_of(record, metrics, robustness={"attack": "fgsm", "epsilon": 0.1})
    assert describe_figures(row, metrics) == [
        "#1 cnn (search)",
        "accuracy on the search folds: 90.00 %",
        "accuracy under attack on the search folds: 75.00 %",
        "loss on the search folds: 0.2500",
        "multiply-adds per image: 123,456",
        "latency: 0.125 ms",
        "parameters: 12,345",
        "epochs: 8, 2.1 s",
    ]
    first_is_loss = best_of(make_record(1, value=0.5, values=(0.5, 0.9)), ("loss", "accuracy"))
    lines = describe_figures(first_is_loss, ("loss", "accuracy"))
    assert lines[1:3] == [
        "loss on the search folds: 0.5000",
        "accuracy on the search folds: 90.00 %",
    ]
