"""The verdict says who is better only where the folds show it, and with the right sign."""

from __future__ import annotations

from typing import Any

import pytest
from trial_records import accuracy_study, make_record, make_spec

from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.verdict import Verdict, reach_verdict
from searchlab.study.trial_record import TrialRecord

BASE = (0.50, 0.51, 0.52)
HIGH = (0.90, 0.91, 0.925)


def _reach(records: list[TrialRecord], **changes: Any) -> Verdict:
    return reach_verdict(build_leaderboard(records, make_spec(**changes)))


def _duel(finalist: tuple[float, ...], baseline: tuple[float, ...], metric: str) -> Verdict:
    records = [
        make_record(5, "baseline", fold_values=baseline),
        make_record(31, "finalist", fold_values=finalist, finalist_of=12),
    ]
    return _reach(records, objective={"metric": metric})


@pytest.mark.parametrize(
    ("finalist", "baseline", "metric", "outcome", "words"),
    [
        (HIGH, BASE, "accuracy", "better", "#31 cnn beats the best baseline #5 a2/DT by 40.17"),
        (BASE, HIGH, "accuracy", "worse", "#31 cnn is worse than the best baseline #5 a2/DT"),
        (HIGH, BASE, "loss", "worse", "is worse than the best baseline #5 a2/DT by 0.4017 of loss"),
        (BASE, HIGH, "loss", "better", "beats the best baseline #5 a2/DT by 0.4017 of loss"),
    ],
)
def test_sign_follows_the_objective(
    finalist: tuple[float, ...],
    baseline: tuple[float, ...],
    metric: str,
    outcome: str,
    words: str,
) -> None:
    verdict = _duel(finalist, baseline, metric)
    assert verdict.outcome == outcome
    assert words in verdict.text


@pytest.mark.parametrize(("metric", "word"), [("accuracy", "better"), ("loss", "worse")])
def test_an_unclear_difference_is_not_shown(metric: str, word: str) -> None:
    verdict = _duel((0.90, 0.92, 0.95), (0.91, 0.90, 0.93), metric)
    assert verdict.outcome == "not_shown"
    assert "is not shown to differ from the best baseline #5" in verdict.text
    assert f" {word} (95 % CI " in verdict.text


@pytest.mark.parametrize(
    ("finalist", "baseline", "word"),
    [((0.98, 0.96), (0.26, 0.36), "66.00 points better"),
     ((0.26, 0.36), (0.98, 0.96), "66.00 points worse"),
     ((0.900, 0.901), (0.800, 0.801), "10.00 points better (the same on all 2 folds")],
)  # fmt: skip
def test_two_folds_give_no_verdict_and_no_impossible_interval(
    finalist: tuple[float, ...], baseline: tuple[float, ...], word: str
) -> None:
    records = [
        make_record(5, "baseline", fold_values=baseline),
        make_record(31, "finalist", fold_values=finalist, finalist_of=12),
    ]
    verdict = _reach(records, validation={"folds": 2, "search_folds": 1})
    assert verdict.outcome == "untested"
    assert "2 folds are too few for a verdict on #31 cnn and the best baseline #5" in verdict.text
    assert word in verdict.text
    assert "not shown to differ" not in verdict.text
    assert verdict.comparison is not None
    for end in verdict.comparison.interval or ():
        assert abs(end) <= 0.98


@pytest.mark.parametrize("finalist", [BASE, HIGH])
def test_a_quick_look_has_no_verdict_and_says_so_once(finalist: tuple[float, ...]) -> None:
    records = [
        make_record(5, "baseline", fold_values=(0.7, 0.712, 0.72)),
        make_record(31, "finalist", fold_values=finalist, finalist_of=12),
    ]
    quick = {"training": {"epochs": 3}, "changed": {"training.epochs": 20}}
    verdict = _reach(records, **quick)
    assert (verdict.outcome, verdict.comparison, verdict.caveat) == ("untested", None, "")
    assert verdict.text == "Quick look, not comparable: training.epochs is 3 instead of 20"
    assert "No search trial has finished" in _reach([], **quick).text
    longer = {"training": {"epochs": 30}, "changed": {"training.epochs": 20}}
    assert _reach(records, **longer).outcome in ("better", "worse")


def test_interval_of_a_lower_loss_is_a_gain() -> None:
    interval = _duel(BASE, HIGH, "loss").text.partition("CI ")[2].partition(",")[0]
    low, high = (float(end) for end in interval.split(" to "))
    assert 0 < low < 0.4017 < high


def test_the_caveat_gives_the_difference_without_the_search_fold() -> None:
    verdict = _reach(accuracy_study())
    assert verdict.challenger is not None
    assert verdict.challenger.number == 10
    assert verdict.incumbent is not None
    assert verdict.incumbent.number == 1
    assert "other 2 it is 3.00 points better" in verdict.caveat


def test_the_caveat_names_a_single_unseen_fold_in_words() -> None:
    verdict = _reach(accuracy_study(), validation={"folds": 3, "search_folds": 2})
    assert "on the other one it is" in verdict.caveat


def test_the_caveat_where_the_search_saw_every_fold() -> None:
    verdict = _reach(accuracy_study(), validation={"folds": 3, "search_folds": 3})
    assert "these same 3 folds" in verdict.caveat


def test_the_caveat_counts_the_finalists_it_was_picked_from() -> None:
    other = make_record(11, "finalist", fold_values=(0.96, 0.97, 0.98), finalist_of=6)
    assert "the best of 2 finalists" in _reach([*accuracy_study(), other]).caveat
    assert "finalists" not in _reach(accuracy_study()).caveat


def test_without_finalists_nothing_is_claimed() -> None:
    verdict = _reach(accuracy_study()[:-1])
    assert verdict.outcome == "untested"
    assert "#7 cnn is the search's best, but no finalist" in verdict.text
    assert "beats" not in verdict.text


def test_without_baselines_nothing_is_claimed() -> None:
    verdict = _reach(accuracy_study()[2:])
    assert verdict.outcome == "untested"
    assert "No baseline" in verdict.text


def test_an_empty_study_has_nothing_to_compare() -> None:
    assert "nothing to compare" in _reach([]).text
