"""The corrected resampled t-test, against figures worked out by other means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from searchlab.analysis.comparison import compare_folds


def test_worked_example() -> None:
    # Differences 1, 2, 3, 4, 5: mean 3, variance 2.5, error sqrt(2.5 (1/5 + 1/4)) = 1.06066;
    # t = 2.82843 with 4 degrees of freedom: p = 0.04742 (tables: 2.776 at 5 %).
    result = compare_folds([2, 4, 6, 8, 10], [1, 2, 3, 4, 5], num_folds=5)
    assert result.difference == pytest.approx(3.0)
    assert result.interval is not None
    assert result.interval[0] == pytest.approx(3 - 2.776445 * 1.0606602, abs=1e-5)
    assert result.interval[1] == pytest.approx(3 + 2.776445 * 1.0606602, abs=1e-5)
    assert result.p_value == pytest.approx(0.04742, abs=1e-5)
    assert result.is_shown


def test_correction_widens_the_plain_paired_test() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.97, 0.01, 10), rng.normal(0.95, 0.01, 10)
    plain = stats.ttest_rel(ours, theirs)
    result = compare_folds(list(ours), list(theirs), num_folds=10)
    statistic = plain.statistic / math.sqrt(1 + 10 / 9)
    assert result.p_value == pytest.approx(2 * stats.t.sf(abs(statistic), 9))
    assert result.p_value is not None
    assert result.p_value > plain.pvalue


def test_swapping_the_two_turns_the_sign_only() -> None:
    forth = compare_folds([0.9, 0.8, 0.95], [0.7, 0.75, 0.8], num_folds=3)
    back = compare_folds([0.7, 0.75, 0.8], [0.9, 0.8, 0.95], num_folds=3)
    assert forth.difference == pytest.approx(-back.difference)
    assert forth.p_value == pytest.approx(back.p_value)


def test_fewer_folds_than_the_plan_keep_the_share_of_the_plan() -> None:
    result = compare_folds([1.0, 3.0], [0.0, 0.0], num_folds=5)
    error = math.sqrt(2.0 * (1 / 2 + 1 / 4))
    assert result.p_value == pytest.approx(2 * stats.t.sf(2.0 / error, 1))


def test_equal_values_are_no_difference() -> None:
    result = compare_folds([0.9, 0.8], [0.9, 0.8], num_folds=2)
    assert (result.difference, result.interval, result.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_the_same_difference_on_every_fold_proves_nothing() -> None:
    result = compare_folds([0.3, 0.4, 0.5], [0.1, 0.2, 0.3], num_folds=3)
    assert result.difference == pytest.approx(0.2)
    assert result.interval is None
    assert result.p_value is None
    assert not result.is_shown


@pytest.mark.parametrize(
    ("ours", "theirs", "possible"),
    [
        # A difference of 0.66 with p > 0.05: the plain interval ends at 1.33.
        ([0.98, 0.96], [0.26, 0.36], (-0.31, 0.97)),
        ([0.26, 0.36], [0.98, 0.96], (-0.97, 0.31)),
        ([0.1, 0.9, 0.5], [0.9, 0.1, 0.5], (-0.5, 0.5)),
    ],
)
def test_an_interval_stays_within_what_the_metrics_bounds_and_one_of_the_means_allow(
    ours: list[float], theirs: list[float], possible: tuple[float, float]
) -> None:
    plain = compare_folds(ours, theirs, num_folds=len(ours))
    bounded = compare_folds(ours, theirs, num_folds=len(ours), bounds=(0.0, 1.0))
    assert plain.interval is not None
    assert bounded.interval is not None
    assert max(abs(end) for end in plain.interval) > 1
    low, high = possible[0], possible[1]
    expected = (max(plain.interval[0], low), min(plain.interval[1], high))
    assert bounded.interval == pytest.approx(expected)
    assert (bounded.difference, bounded.p_value) == (plain.difference, plain.p_value)
    assert bounded.interval[0] <= bounded.difference <= bounded.interval[1]


@pytest.mark.parametrize("num_folds", [2, 3, 5, 10])
def test_what_is_shown_is_by_the_spread_of_that_many_folds(num_folds: int) -> None:
    spread = np.linspace(-1.0, 1.0, num_folds)
    error = spread.std(ddof=1) * (1 / num_folds + 1 / (num_folds - 1)) ** 0.5
    least = stats.t.ppf(0.975, num_folds - 1) * error
    for factor, is_shown in ((1.01, True), (0.99, False)):
        ours = list(spread + factor * least)
        assert compare_folds(ours, [0.0] * num_folds, num_folds=num_folds).is_shown == is_shown


def test_two_folds_are_too_few_and_three_are_not() -> None:
    assert not compare_folds([0.9, 0.8], [0.1, 0.1], num_folds=2).has_enough_folds
    assert not compare_folds([0.9, 0.8], [0.1, 0.1], num_folds=5).has_enough_folds
    assert compare_folds([0.9, 0.8, 0.7], [0.1, 0.1, 0.1], num_folds=3).has_enough_folds


@pytest.mark.parametrize(("ours", "theirs"), [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([], [])])
def test_too_few_or_unpaired_folds_are_refused(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="must"):
        compare_folds(ours, theirs, num_folds=5)
