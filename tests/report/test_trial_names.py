"""Names tell trials apart by what differs, and are the same wherever a trial is named."""

from __future__ import annotations

from typing import Any

import pytest
from trial_records import make_record, make_spec

from searchlab.records.trial_record import TrialRecord
from searchlab.report.leaderboard import best_row, build_leaderboard, list_rows
from searchlab.report.trial_names import name_trials
from searchlab.report.verdict import reach_verdict

FIXED = {"optimizer": "adam", "batch_size": 64, "family": "cnn"}


def name(*points: dict[str, Any], label: str = "cnn") -> list[str]:
    records = [
        make_record(number, label=label, params={**FIXED, **point})
        for number, point in enumerate(points)
    ]
    names = name_trials(records, shown=range(len(records)))
    return [names[number] for number in range(len(records))]


def widths(*each: int) -> dict[str, Any]:
    layers = {f"cnn.layer{layer}.width": width for layer, width in enumerate(each)}
    return {"cnn.depth": len(each), **layers}


def test_a_single_configuration_needs_no_more_than_its_label() -> None:
    assert name({"lr": 0.01}) == ["cnn"]
    assert name({"lr": 0.01}, {"lr": 0.01}) == ["cnn", "cnn"]


@pytest.mark.parametrize(
    ("points", "names"),
    [
        ([widths(16), widths(16, 32)], ["cnn 16", "cnn 16-32"]),
        ([widths(*range(1, 12)), widths(2)], ["cnn 1-2-3-4-5-6-7-8-9-10-11", "cnn 2"]),
        ([{"lr": 0.00783}, {"lr": 0.0157}], ["cnn lr 0.0078", "cnn lr 0.016"]),
        ([{"lr": 0.00783}, {"lr": 0.00784}], ["cnn lr 0.00783", "cnn lr 0.00784"]),
        (
            [{"lr": 0.1, "dropout": 0.0}, {"lr": 0.1, "dropout": 0.25}],
            ["cnn dropout 0", "cnn dropout 0.25"],
        ),
        ([{"cnn.activation": "relu"}, {"cnn.activation": "gelu"}],
         ["cnn activation relu", "cnn activation gelu"]),
        ([{"cnn.batch_norm": True}, {"cnn.batch_norm": False}],
         ["cnn batch_norm true", "cnn batch_norm false"]),
        ([{"cnn.depth": 2, "cnn.width": 64}, {"cnn.depth": 2, "cnn.width": 128}],
         ["cnn width 64", "cnn width 128"]),
        ([{"cnn.layer0.kernel": 3}, {"cnn.layer0.kernel": 5}], ["cnn kernel 3", "cnn kernel 5"]),
        ([{"dropout": 0.1, "cnn.dropout": 0.1}, {"dropout": 0.1, "cnn.dropout": 0.2}],
         ["cnn cnn.dropout 0.1", "cnn cnn.dropout 0.2"]),
    ],
)  # fmt: skip
def test_only_what_differs_is_named(points: list[dict[str, Any]], names: list[str]) -> None:
    assert name(*points) == names


def test_sizes_come_first_then_the_learning_rate_and_nothing_that_tells_no_more() -> None:
    points = [
        {"dropout": 0.1, "lr": 0.01, **widths(16)},
        {"dropout": 0.2, "lr": 0.02, **widths(16)},
        {"dropout": 0.3, "lr": 0.01, **widths(32)},
    ]
    assert name(*points) == ["cnn 16 lr 0.01", "cnn 16 lr 0.02", "cnn 32 lr 0.01"]


def test_each_label_is_told_apart_for_itself() -> None:
    records = [
        make_record(0, "baseline", label="a1/DT", params={"lr": 0.003, "family": "a1"}),
        make_record(1, label="fcn", params={"lr": 0.01, "family": "fcn"}),
        make_record(2, label="cnn", params={"lr": 0.01, "family": "cnn"}),
        make_record(3, label="cnn", params={"lr": 0.02, "family": "cnn"}),
    ]
    names = name_trials(records, shown=range(4))
    assert list(names.values()) == ["a1/DT", "fcn", "cnn lr 0.01", "cnn lr 0.02"]


def test_a_finalist_is_told_from_the_baseline_of_its_label() -> None:
    records = [
        make_record(0, "baseline", label="a2/DT", params={"lr": 0.003}),
        make_record(1, "finalist", label="a2/DT", params={"lr": 0.02}),
    ]
    assert list(name_trials(records, shown=range(2)).values()) == [
        "a2/DT lr 0.003",
        "a2/DT lr 0.02",
    ]


def study() -> list[TrialRecord]:
    """Ten of the search that differ in all, of which the last two are confirmed."""
    search = [
        make_record(
            1 + n,
            value=0.9 + 0.001 * n,
            params={**FIXED, "lr": 0.01 * (1 + n // 2), "dropout": 0.05 * n},
        )
        for n in range(10)
    ]
    finalists = [
        make_record(
            11 + n, "finalist", fold_values=(0.9, 0.9, 0.91 + n / 100), finalist_of=10 - n,
            params=search[9 - n].params,
        )
        for n in range(2)
    ]  # fmt: skip
    baseline = make_record(0, "baseline", fold_values=(0.8, 0.8, 0.82), params={"family": "a2"})
    return [baseline, *search, *finalists]


def test_names_are_the_same_in_every_table_and_sentence() -> None:
    records, spec = study(), make_spec()
    board = build_leaderboard(records, spec)
    everything = build_leaderboard(records, spec, show_all=True)
    names = {row.number: row.name for row in everything.rows}
    assert all(names[row.number] == row.name for row in board.rows)
    best = best_row(records, spec)
    assert best is not None
    assert best.title == f"#12 {names[12]}"
    assert best.title in reach_verdict(board, records, spec).text


def test_with_all_rows_no_two_configurations_share_a_name() -> None:
    rows = build_leaderboard(study(), make_spec(), show_all=True).rows
    by_name: dict[str, set[str]] = {}
    for row in rows:
        by_name.setdefault(row.name, set()).add(repr(row.params))
    assert all(len(params) == 1 for params in by_name.values())
    finalist = next(row for row in rows if row.number == 12)
    repeated = next(row for row in rows if row.number == finalist.finalist_of)
    assert repeated.name == finalist.name


def test_a_confirmation_has_the_name_of_what_it_trains_again() -> None:
    records = study()
    confirmations = [
        make_record(13 + n, "confirmation", confirmation_of=number, params=records[number].params)
        for n, number in enumerate((12, 0))
    ]
    rows = list_rows([*records, *confirmations], make_spec())
    assert [row.number for row in rows] == list(range(15))
    assert [rows[13].name, rows[14].name] == [rows[12].name, rows[0].name]
    assert rows[12].name != "cnn"


def test_a_path_is_written_whole_only_where_its_last_part_does_not_tell() -> None:
    def start_from(*files: str) -> list[str]:
        return name(*({"resnet.weights": file, "family": "resnet"} for file in files))

    assert start_from("none", "/a/one.pth") == ["cnn weights none", "cnn weights one.pth"]
    assert start_from("/a/1.pth", "/b/1.pth") == ["cnn weights /a/1.pth", "cnn weights /b/1.pth"]
