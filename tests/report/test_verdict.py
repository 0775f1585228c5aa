"""The verdict is YES only if untouched data show it, and no baseline may be better still."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_studies import PUBLISHED
from trial_records import accuracy_study, make_record, make_spec

from searchlab.records.trial_record import TrialRecord
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.verdict import Verdict, reach_verdict
from searchlab.training.kept_answers import TestAnswers, _pack

BASE = (0.50, 0.51, 0.52, 0.53, 0.54)
HIGH = (0.90, 0.91, 0.925, 0.93, 0.945)
FIVE_FOLDS: dict[str, Any] = {"validation": {"folds": 5, "search_folds": 1}}
CONFIRMED: dict[str, Any] = {**FIVE_FOLDS, "confirm": {"top": 1, "repeats": 3}}
ONE_BASELINE: dict[str, Any] = {"baselines": {"architectures": ["a2"], "schemes": ["DT"]}}
NUM_IMAGES = 400


def _reach(records: list[TrialRecord], **changes: Any) -> Verdict:
    spec = make_spec(**{**ONE_BASELINE, **changes})
    return reach_verdict(build_leaderboard(records, spec), records, spec)


def _rivals(
    finalist: tuple[float, ...], baseline: tuple[float, ...], **changes: Any
) -> list[TrialRecord]:
    return [
        make_record(5, "baseline", fold_values=baseline, fold_epoch=4, **changes),
        make_record(31, "finalist", fold_values=finalist, finalist_of=12, fold_epoch=6, **changes),
    ]


def _answers(accuracy: float, seed: int) -> TestAnswers:
    """Two classes; the share of right answers is exact, the images are drawn."""
    labels = np.arange(NUM_IMAGES) % 2
    is_wrong = np.zeros(NUM_IMAGES, dtype=bool)
    is_wrong[: round((1 - accuracy) * NUM_IMAGES)] = True
    np.random.default_rng(seed).shuffle(is_wrong)
    guesses = np.where(is_wrong, 1 - labels, labels)
    losses = np.where(is_wrong, 2.0, 0.1)
    return TestAnswers(
        labels=_pack(labels, np.dtype("<u2")),
        guesses=_pack(guesses, np.dtype("<u2")),
        losses=_pack(losses, np.dtype("<f4")),
    )


def _confirmed(ours: tuple[float, ...], theirs: tuple[float, ...]) -> list[TrialRecord]:
    """Return rivals of which each was trained again with these test accuracies."""
    records = _rivals(HIGH, BASE)
    for rival, accuracies in ((31, ours), (5, theirs)):
        for repeat, accuracy in enumerate(accuracies, start=1):
            records.append(
                make_record(
                    len(records) + 40,
                    "confirmation",
                    confirmation_of=rival,
                    repeat=repeat,
                    answers=_answers(accuracy, seed=100 * rival + repeat),
                )
            )
    return records


BETTER = _confirmed((0.95, 0.96, 0.955), (0.80, 0.81, 0.805))


@pytest.mark.parametrize(
    ("ours", "theirs", "answer", "outcome", "winner", "words"),
    [
        ((0.95, 0.96, 0.955), (0.80, 0.81, 0.805), "YES", "better", 31, "beats the best baseline"),
        ((0.80, 0.81, 0.805), (0.95, 0.96, 0.955), "NO", "worse", 5, "is worse than the best"),
        ((0.91, 0.90, 0.92), (0.90, 0.91, 0.90), "UNDECIDED", "undecided", None, "not shown to"),
    ],
)  # fmt: skip
def test_the_test_set_decides_whatever_the_folds_say(
    ours: tuple[float, ...],
    theirs: tuple[float, ...],
    answer: str,
    outcome: str,
    winner: int | None,
    words: str,
) -> None:
    verdict = _reach(_confirmed(ours, theirs), **CONFIRMED)
    assert (verdict.answer, verdict.outcome) == (answer, outcome)
    assert (None if verdict.winner is None else verdict.winner.number) == winner
    assert verdict.text.startswith(f"{answer}. #31 cnn")
    assert words in verdict.text
    assert "3 models of each, 400 test images" in verdict.text


@pytest.mark.parametrize("metric", ["loss", "balanced_accuracy", "macro_f1"])
def test_other_metrics_are_measured_on_the_same_answers(metric: str) -> None:
    changes = {**CONFIRMED, "objective": {"metric": metric}}
    worse_first = [replace(record, fold_values=record.fold_values) for record in BETTER]
    verdict = _reach(worse_first, **changes)
    assert verdict.answer == "YES"
    assert verdict.contest is not None
    assert verdict.contest.found is not None
    assert (verdict.contest.found.difference < 0) == (metric == "loss")


def test_a_difference_within_the_margin_is_none() -> None:
    records = _confirmed((0.90, 0.90, 0.90), (0.90, 0.90, 0.90))
    assert _reach(records, **CONFIRMED).answer == "UNDECIDED"
    wide = {**CONFIRMED, "confirm": {"top": 1, "repeats": 3, "margin": 10}}
    verdict = _reach(records, **wide)
    assert (verdict.answer, verdict.outcome) == ("NO", "equal")
    assert "differs from the best baseline #5 a2/DT by less than 10.00 points" in verdict.text


def test_undecided_says_what_would_decide() -> None:
    details = " ".join(
        _reach(_confirmed((0.91, 0.93, 0.92), (0.90, 0.91, 0.89)), **CONFIRMED).details
    )
    assert "To decide it would take" in details
    assert " test images in all, not " in details


def test_what_is_not_trained_yet_is_not_compared() -> None:
    verdict = _reach(BETTER[:-2], **CONFIRMED)
    assert (verdict.answer, verdict.outcome) == ("UNDECIDED", "untested")
    assert "1 of the 3 models of #5 that decide are trained" in verdict.text


@pytest.mark.parametrize(
    ("state", "word"), [("FAIL", "failed (boom)"), ("PRUNED", "diverged (boom)")]
)
def test_a_model_that_did_not_end_leaves_it_undecided(state: str, word: str) -> None:
    last = replace(BETTER[-1], state=state, error="boom", answers=None)
    verdict = _reach([*BETTER[:-1], last], **CONFIRMED)
    assert verdict.answer == "UNDECIDED"
    assert f"1 of the 3 models of #5 that decide {word}" in verdict.text


AHEAD = (0.99,)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (make_record(6, "baseline", label="a2/HF", state="FAIL", error="boom"), "failed (boom)"),
        (make_record(6, "baseline", label="a2/HF", state="RUNNING"), "is not trained to its end"),
        (
            make_record(6, "baseline", label="a2/HF", state="PRUNED", fold_values=AHEAD),
            "diverged",
        ),
        (make_record(6, "baseline", label="a2/HF", fold_values=AHEAD), "is trained on the search"),
        (None, "is not trained yet"),
    ],
    ids=["failed", "running", "diverged", "search folds", "not begun"],
)
def test_a_baseline_that_may_be_better_leaves_it_undecided(
    other: TrialRecord | None, words: str
) -> None:
    two = {"baselines": {"architectures": ["a2"], "schemes": ["HF", "DT"]}}
    verdict = _reach([*BETTER, *([other] if other else [])], **CONFIRMED, **two)
    assert verdict.answer == "UNDECIDED"
    assert "beats the best baseline #5 a2/DT" in verdict.text
    assert f"but the baseline a2/HF {words}" in verdict.text
    worse = _confirmed((0.80, 0.81, 0.805), (0.95, 0.96, 0.955))
    verdict = _reach([*worse, *([other] if other else [])], **CONFIRMED, **two)
    assert verdict.answer == "NO"
    assert words in " ".join(verdict.details)


@pytest.mark.parametrize("state", ["COMPLETE", "PRUNED"])
def test_a_baseline_that_could_not_have_won_changes_nothing(state: str) -> None:
    two = {"baselines": {"architectures": ["a2"], "schemes": ["HF", "DT"]}}
    behind = make_record(6, "baseline", label="a2/HF", state=state, fold_values=(0.2,))
    assert _reach([*BETTER, behind], **CONFIRMED, **two).answer == "YES"


@pytest.mark.parametrize(
    ("finalist", "baseline", "metric", "answer"),
    [
        (HIGH, BASE, "accuracy", "YES"),
        (BASE, HIGH, "accuracy", "NO"),
        (HIGH, BASE, "loss", "NO"),
        (BASE, HIGH, "loss", "YES"),
    ],
)
def test_without_repeats_the_folds_decide_that_the_search_did_not_see(
    finalist: tuple[float, ...], baseline: tuple[float, ...], metric: str, answer: str
) -> None:
    verdict = _reach(_rivals(finalist, baseline), **FIVE_FOLDS, objective={"metric": metric})
    assert verdict.answer == answer
    assert "4 folds that the search did not see" in verdict.text


@pytest.mark.parametrize("search_folds", [3, 5])
def test_fewer_than_three_unseen_folds_never_say_yes(search_folds: int) -> None:
    seen = {"validation": {"folds": 5, "search_folds": search_folds}}
    verdict = _reach(_rivals(HIGH, BASE), **seen)
    assert verdict.answer == "UNDECIDED"
    assert "--set confirm.repeats=5" in " ".join(verdict.details)
    assert _reach(_rivals(BASE, HIGH), **seen).answer == "NO"


def test_a_rival_that_recorded_no_epoch_is_compared_on_folds() -> None:
    records = [replace(record, fold_epoch=None) for record in _rivals(HIGH, BASE)]
    verdict = _reach(records, **CONFIRMED)
    assert verdict.contest is not None
    assert verdict.contest.basis == "unseen folds"


@pytest.mark.parametrize("finalist", [(0.98, 0.96), (0.26, 0.36)])
def test_two_folds_decide_nothing(finalist: tuple[float, ...]) -> None:
    verdict = _reach(_rivals(finalist, (0.5, 0.6)), validation={"folds": 2, "search_folds": 1})
    assert verdict.answer == "UNDECIDED"
    assert " p = " not in verdict.text


@pytest.mark.parametrize("finalist", [BASE, HIGH])
def test_a_quick_look_has_no_verdict_and_says_so_once(finalist: tuple[float, ...]) -> None:
    quick = {"training": {"epochs": 3}, "changed": {"training.epochs": 20}, "published": PUBLISHED}
    records = _rivals(finalist, (0.7, 0.712, 0.72, 0.73, 0.74))
    verdict = _reach(records, **CONFIRMED, **quick)
    assert (verdict.answer, verdict.outcome, verdict.details) == (None, "untested", ())
    assert verdict.text == "Quick look, not comparable: training.epochs is 3 instead of 20"


def test_without_finalists_nothing_is_claimed() -> None:
    verdict = _reach(accuracy_study()[:-1])
    assert (verdict.answer, verdict.outcome) == ("UNDECIDED", "untested")
    assert "#7 cnn" in verdict.text
    assert "beats" not in verdict.text


def test_a_study_that_does_not_ask_has_no_answer() -> None:
    verdict = _reach(accuracy_study()[2:], baselines={"architectures": []})
    assert (verdict.answer, verdict.outcome) == (None, "untested")
    assert "No baseline" in verdict.text


def test_an_empty_study_has_nothing_to_compare() -> None:
    assert "nothing to compare" in _reach([]).text
