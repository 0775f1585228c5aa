"""Fold by fold: the winner beside the best baseline, and whether one fold drives the difference."""

from __future__ import annotations

import pytest
from planted_studies import find
from trial_records import make_record

from searchlab.report.page.blocks import Figure, Table
from searchlab.report.page.folds import find_driving_fold, make_folds


@pytest.mark.parametrize(
    ("gains", "index"),
    [
        ([0.01, 0.02, 0.03], None),
        ([0.0, 0.09, 0.0], 1),
        ([-0.01, -0.01, 0.08], 2),
        ([-0.01, -0.09, -0.002], 1),
        ([0.5, 0.1], None),
        ([0.0, 0.0, 0.0], None),
    ],
    ids=["even", "one", "against the others", "behind", "two folds", "equal"],
)
def test_a_fold_drives_a_difference_of_which_less_than_half_is_left_without_it(
    gains: list[float], index: int | None
) -> None:
    assert find_driving_fold(gains) == index


def test_the_winner_stands_beside_the_best_baseline() -> None:
    section = make_folds(
        find(
            [
                make_record(0, "baseline", label="a2/HF", fold_values=(0.90, 0.91, 0.92)),
                make_record(1, "baseline", label="a2/DT", fold_values=(0.94, 0.95, 0.96)),
                make_record(2, "finalist", fold_values=(0.96, 0.97, 0.99), finalist_of=7),
                make_record(3, "finalist", fold_values=(0.95, 0.96, 0.97), finalist_of=8),
            ]
        )
    )
    assert section is not None
    assert section.says == (
        "#2 cnn is ahead of #1 a2/DT by 2.33 points on average, and better on 3 of 3 folds. "
        "No single fold drives that."
    )
    [table] = [one for one in section.blocks if isinstance(one, Table)]
    assert [list(row) for row in table.rows] == [
        ["1, seen by the search", "96.00", "94.00", "+2.00"],
        ["2", "97.00", "95.00", "+2.00"],
        ["3", "99.00", "96.00", "+3.00"],
    ]


def test_two_of_the_same_mean_are_not_ahead_of_each_other() -> None:
    folds = (0.90, 0.91, 0.95)
    records = [make_record(n, "baseline", label=f"b{n}", fold_values=folds) for n in (0, 1)]
    section = make_folds(find(records))
    assert section is not None
    assert section.says == "#0 b0 and #1 b1 have the same mean over 3 folds."


def test_points_and_interval_are_the_recorded_folds() -> None:
    section = make_folds(
        find([make_record(0, "baseline", label="a2/HF", fold_values=(0.90, 0.91, 0.95))])
    )
    assert section is not None
    assert section.says == "#0 a2/HF has from 90.00 % (fold 1) to 95.00 % (fold 3)."
    [figure] = [one.figure for one in section.blocks if isinstance(one, Figure)]
    points, mean = figure.data
    assert list(points.x) == pytest.approx([90, 91, 95])
    assert list(mean.x) == pytest.approx([92])
    # t(0.975, 2) = 4.3027, s = 2.6458, s^2 (1/3 + 1/2): above 100 %, so it ends there
    assert list(mean.error_x.arrayminus) == pytest.approx([4.3027 * 2.6458 * (5 / 6) ** 0.5], 1e-4)
    assert list(mean.error_x.array) == pytest.approx([8])


def test_a_study_without_a_trial_on_all_folds_has_no_such_section() -> None:
    assert make_folds(find([make_record(0, value=0.9)])) is None
