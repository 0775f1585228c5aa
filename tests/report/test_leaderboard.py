"""The order of the leaderboard, and what each kind of row may show."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from trial_records import accuracy_study, make_record, make_spec

from searchlab.config.study import StudySpec
from searchlab.records.trial_record import TrialRecord
from searchlab.report.board_table import board_markdown, print_leaderboard
from searchlab.report.json_output import leaderboard_data
from searchlab.report.leaderboard import best_row, build_leaderboard
from searchlab.report.verdict import reach_verdict


def test_confirmed_rows_come_first_then_the_best_of_the_search_that_they_do_not_repeat() -> None:
    board = build_leaderboard(accuracy_study(), make_spec())
    assert [row.number for row in board.rows] == [10, 1, 0, 6, 5, 4, 3], "10 repeats 7"
    assert [row.rank for row in board.rows] == [1, 2, 3, None, None, None, None]
    assert board.num_hidden == 4
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
    records = [make_record(0, fold_values=(0.9, 0.9, 0.9), test_figures={"accuracy": 0.12345})]
    board = build_leaderboard(records, make_spec(), show_all=True)
    assert board.rows[0].test_figures == {}
    assert board.rows[0].cv_mean is None
    assert "12.3" not in _render(records)
    assert (
        leaderboard_data(board, reach_verdict(board, records, make_spec()))["trials"][0][
            "test_accuracy"
        ]
        is None
    )


@pytest.mark.parametrize("folds", [(0.9, 0.9), (0.9, 0.9, float("nan")), ()])
def test_a_baseline_without_all_folds_is_not_ranked(folds: tuple[float, ...]) -> None:
    board = build_leaderboard([make_record(0, "baseline", fold_values=folds)], make_spec())
    assert board.rows[0].rank is None
    assert board.rows[0].cv_mean is None


def test_best_is_the_first_by_rank_whoever_that_is() -> None:
    spec, records = make_spec(), accuracy_study()
    assert _best(records) == 10
    beaten = [replace(one, fold_values=(0.8, 0.8, 0.8)) if one.number == 10 else one
              for one in records]  # fmt: skip
    assert _best(beaten) == 1, "a baseline, though a finalist is ranked"
    for role, number in (("finalist", 10), ("baseline", 1)):
        row = best_row(beaten, spec, roles=(role,))
        assert row is not None
        assert row.number == number


def test_before_a_finalist_is_ranked_the_best_is_that_on_the_search_folds() -> None:
    unconfirmed = [one for one in accuracy_study() if one.role != "finalist"]
    assert _best(unconfirmed) == 7
    weaker = [replace(one, value=0.9) if one.number == 7 else one for one in unconfirmed]
    assert _best([one for one in weaker if one.number in (0, 1, 7)]) == 1, "a baseline is better"
    assert best_row(unconfirmed, make_spec(), roles=("finalist",)) is None
    assert best_row([make_record(0, state="FAIL", value=None)], make_spec()) is None


def _best(records: list[TrialRecord]) -> int:
    row = best_row(records, make_spec())
    assert row is not None
    return row.number


def test_table_fits_80_columns_and_shows_the_figures() -> None:
    wide = make_record(
        1234, "finalist", fold_values=(0.96, 0.97, 0.98), finalist_of=1066, seconds=12345.0,
        figures={"parameters": 1234567}, epochs=100,
    )  # fmt: skip
    text = _render([*accuracy_study(), wide])
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "98.00 ± 0.95" in text
    assert "12,345" in text
    assert "1,234,567 100 12,345" in text
    assert "…" not in text


def test_table_says_why_a_trial_ended() -> None:
    text = _render(accuracy_study(), show_all=True)
    assert "search pruned" in text
    assert "search failed" in text


TWO = [{"metric": "accuracy"}, {"metric": "parameters"}]


def two_objective_study() -> list[TrialRecord]:
    """Search trials from small to large; 3 and 6 are beaten, 7 failed; 9 repeats 5."""
    points = [(0.90, 100), (0.93, 400), (0.92, 500), (0.95, 900), (0.96, 1500), (0.95, 1600)]
    search = [
        make_record(
            1 + index, value=value, values=(value, float(size)), figures={"parameters": size}
        )
        for index, (value, size) in enumerate(points)
    ]
    folds, values = (0.95, 0.94, 0.96), (0.95, 900.0)
    return [
        make_record(0, "baseline", fold_values=(0.91, 0.9, 0.92), values=(0.91, 450.0)),
        *search,
        make_record(7, state="FAIL", value=None),
        make_record(8, value=0.99, values=(0.99, float("inf"))),
        make_record(9, "finalist", fold_values=folds, values=values, finalist_of=4),
    ]


def test_rows_that_nothing_beats_are_on_the_front() -> None:
    spec = make_spec(objective=TWO)
    board = build_leaderboard(two_objective_study(), spec, show_all=True)
    assert board.metrics == ("accuracy", "parameters")
    assert {row.number for row in board.rows if row.on_front} == {1, 2, 4, 5, 9}
    assert board.rows[0].values == (0.95, 900.0)
    one = build_leaderboard(two_objective_study(), make_spec(), show_all=True)
    assert not any(row.on_front for row in one.rows)


def test_the_whole_front_is_shown_before_the_rest_of_the_search() -> None:
    board = build_leaderboard(two_objective_study(), make_spec(objective=TWO))
    assert [row.number for row in board.rows] == [9, 0, 5, 2, 1, 8], "9 repeats 4"
    assert board.num_hidden == 4
    wide = [
        make_record(number, value=0.9 + 0.001 * number, values=(0.9 + 0.001 * number, number))
        for number in range(9)
    ]
    assert len(build_leaderboard(wide, make_spec(objective=TWO)).rows) == 9


def test_a_table_of_several_objectives_marks_the_front_and_fits_80_columns() -> None:
    metrics = ["accuracy", "robust_accuracy", "multiply_adds", "latency", "parameters"]
    spec = make_spec(
        objective=[{"metric": metric} for metric in metrics], robustness={"attack": "fgsm"}
    )
    records = [
        make_record(
            0, "baseline", fold_values=(0.91, 0.9, 0.92),
            values=(0.91, 0.5, 123456.0, 0.1234, 1000.0),
        ),
        make_record(
            1, value=0.99, values=(0.99, 0.75, 1234567.0, 1.5, 2000.0),
            figures={"parameters": 2000},
        ),
        make_record(
            2, value=0.98, values=(0.98, 0.7, 1234568.0, 1.6, 2001.0),
            figures={"parameters": 2001},
        ),
    ]  # fmt: skip
    text = _render(records, spec=spec)
    assert max(len(line) for line in text.splitlines()) <= 80
    for figure in ("50.00", "123,456", "0.123", "75.00", "1,234,567", "1.500", "2,000"):
        assert figure in text
    ranks = {
        line.split("#")[1].split()[0]: line.split("#")[0].split()
        for line in text.splitlines()
        if re.match(r" *[\d-]( \*)? +#", line)
    }
    assert ranks == {"0": ["1", "*"], "1": ["-", "*"], "2": ["-"]}
    assert "Pareto front" in _render(records, spec=spec, legend=True)


def test_a_guess_of_the_large_class_is_seen_through() -> None:
    figures = {"accuracy": 0.95, "balanced_accuracy": 0.5, "macro_f1": 0.4872}
    guessed = make_record(
        0, "baseline", fold_values=(0.95, 0.95, 0.95), figures=figures, test_figures=figures
    )
    learned = make_record(1, value=0.94, figures={"accuracy": 0.94, "balanced_accuracy": 0.91})
    text = _render([guessed, learned], legend=True)
    assert max(len(line) for line in text.splitlines()) <= 80
    said = " ".join(text.split())
    assert "balanced test balanced #0 a2/DT 50.00 50.00 #1 cnn 91.00 -" in said
    assert "balanced mean of the classes' accuracies" in said
    alike = {"accuracy": 0.95, "balanced_accuracy": 0.949}
    assert "balanced" not in _render([make_record(0, value=0.95, figures=alike)])
    by_balance = make_spec(objective={"metric": "balanced_accuracy"})
    said = " ".join(_render([guessed, learned], spec=by_balance, legend=True).split())
    assert "leaderboard (balanced accuracy in %)" in said
    assert "accuracy test accuracy #0 a2/DT 95.00 95.00" in said
    assert "accuracy on the search folds" in said


def test_json_has_all_objectives_and_no_number_that_json_lacks() -> None:
    records, spec = two_objective_study(), make_spec(objective=TWO)
    board = build_leaderboard(records, spec, show_all=True)
    shown = leaderboard_data(board, reach_verdict(board, records, spec))
    data = json.loads(json.dumps(shown, allow_nan=False))
    assert data["metrics"] == ["accuracy", "parameters"]
    rows = {row["number"]: row for row in data["trials"]}
    assert (rows[4]["values"], rows[4]["on_front"]) == ([0.95, 900.0], True)
    assert (rows[8]["values"], rows[8]["on_front"]) == ([0.99, None], False)
    assert rows[7]["values"] == []
    assert data["published"] is None


@pytest.mark.parametrize(("at", "leans"), [("best", True), ("last", False)])
def test_the_legend_is_printed_if_asked_for_and_says_which_way_figures_lean(
    at: str, leans: bool
) -> None:
    spec = make_spec(objective={"metric": "accuracy", "at": at})
    text = " ".join(_render(accuracy_study(), spec=spec, legend=True).split())
    assert "3-fold mean ± standard deviation over all folds, which gives the rank" in text
    assert ("leans high, because the epoch was chosen by the same folds" in text) == leans
    board = build_leaderboard(accuracy_study(), spec)
    assert ("leans high" in board_markdown(board, legend=True)) == leans
    for plain in (_render(accuracy_study(), spec=spec), board_markdown(board)):
        assert "standard deviation" not in plain


def test_the_quickstarts_table_leaves_room_for_its_verdict_in_a_small_terminal() -> None:
    """Three finalists and six baselines leave ten of 24 lines of 80 columns for the verdict."""
    folds = (0.96, 0.97, 0.98)
    baselines = [make_record(n, "baseline", label=f"a{n}/DT", fold_values=folds) for n in range(6)]
    search = [
        make_record(6 + n, value=0.9 + 0.001 * n, seconds=99.9,
                    params=_point(widths=(16, 32)[: 1 + n % 2], lr=0.0012 * 1.1**n))
        for n in range(40)
    ]  # fmt: skip
    finalists = [
        make_record(46 + n, "finalist", fold_values=folds, finalist_of=45 - n, seconds=99.9,
                    params=search[-1 - n].params)
        for n in range(3)
    ]  # fmt: skip
    lines = _render([*baselines, *search, *finalists]).splitlines()
    assert len(lines) == 2 + 3 + 6 + 2 + 1, "title, header, rows on a line each, options"
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[:3] == ["trial", "model", "kind"]


def _render(
    records: list[TrialRecord],
    show_all: bool = False,
    spec: StudySpec | None = None,
    legend: bool = False,
) -> str:
    stream = io.StringIO()
    board = build_leaderboard(records, spec or make_spec(), show_all=show_all)
    print_leaderboard(Console(file=stream, width=80), board, legend=legend)
    return stream.getvalue()


def _point(*, widths: tuple[int, ...], lr: float) -> dict[str, Any]:
    layers = {f"cnn.layer{layer}.width": width for layer, width in enumerate(widths)}
    return {"lr": lr, "family": "cnn", "cnn.depth": len(widths), **layers}
