"""The order of the leaderboard, and what each kind of row may show."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from trial_records import accuracy_study, make_record, make_spec

from searchlab.report.json_output import leaderboard_data
from searchlab.report.leaderboard import best_row, build_leaderboard
from searchlab.report.tables import print_leaderboard
from searchlab.report.verdict import reach_verdict


def test_confirmed_rows_come_first_then_five_of_the_search() -> None:
    board = build_leaderboard(accuracy_study(), make_spec())
    assert [row.number for row in board.rows] == [10, 1, 0, 7, 6, 5, 4, 3]
    assert [row.rank for row in board.rows] == [1, 2, 3, None, None, None, None, None]
    assert board.num_hidden == 3
    assert board.rows[0].finalist_of == 7
    assert board.rows[1].cv_mean == pytest.approx(0.95)
    assert board.rows[1].cv_std == pytest.approx(0.01)


def test_all_shows_every_trial_with_unfinished_ones_last() -> None:
    board = build_leaderboard(accuracy_study(), make_spec(), show_all=True)
    assert [row.number for row in board.rows] == [10, 1, 0, 7, 6, 5, 4, 3, 2, 8, 9]
    assert board.num_hidden == 0


def test_loss_is_ranked_lowest_first() -> None:
    records = [
        make_record(0, "baseline", fold_values=(0.5, 0.5, 0.6)),
        make_record(1, "baseline", fold_values=(0.3, 0.3, 0.4)),
        make_record(2, value=0.9),
        make_record(3, value=0.2),
    ]
    board = build_leaderboard(records, make_spec(objective={"metric": "loss"}))
    assert [row.number for row in board.rows] == [1, 0, 3, 2]


def test_search_trials_never_show_test_or_cv_figures() -> None:
    records = [make_record(0, fold_values=(0.9, 0.9, 0.9), test_accuracy=0.12345)]
    board = build_leaderboard(records, make_spec(), show_all=True)
    assert board.rows[0].test_accuracy is None
    assert board.rows[0].cv_mean is None
    assert "12.3" not in _render(records)
    assert leaderboard_data(board, reach_verdict(board))["trials"][0]["test_accuracy"] is None


@pytest.mark.parametrize("folds", [(0.9, 0.9), (0.9, 0.9, float("nan")), ()])
def test_a_baseline_without_all_folds_is_not_ranked(folds: tuple[float, ...]) -> None:
    board = build_leaderboard([make_record(0, "baseline", fold_values=folds)], make_spec())
    assert board.rows[0].rank is None
    assert board.rows[0].cv_mean is None


def test_best_is_a_finalist_first_and_else_of_the_search() -> None:
    spec, records = make_spec(), accuracy_study()
    finalist = best_row(records, spec)
    assert finalist is not None
    assert finalist.number == 10
    search = best_row([record for record in records if record.role != "finalist"], spec)
    assert search is not None
    assert search.number == 7
    assert best_row([records[0]], spec) is None


def test_table_fits_80_columns_and_shows_the_figures() -> None:
    wide = make_record(
        1234, "finalist", fold_values=(0.96, 0.97, 0.98), finalist_of=1066, seconds=12345.0,
        num_parameters=1234567, epochs=100,
    )  # fmt: skip
    text = _render([*accuracy_study(), wide])
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "98.00 ± 0.95" in text
    assert "12,345" in text
    assert "finalist #7" in text
    assert "1,234,567 100 12,345" in text
    assert "…" not in text


def test_table_says_why_a_trial_ended() -> None:
    text = _render(accuracy_study(), show_all=True)
    assert "search pruned" in text
    assert "search failed" in text


def _render(records: list, show_all: bool = False) -> str:
    stream = io.StringIO()
    board = build_leaderboard(records, make_spec(), show_all=show_all)
    print_leaderboard(Console(file=stream, width=80), board, reach_verdict(board))
    return stream.getvalue()
