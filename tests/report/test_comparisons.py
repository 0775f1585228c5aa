"""Baselines tested against each other under the questions that a study asks."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from scipy.stats import t
from small_studies import PUBLISHED
from trial_records import make_record, make_spec

from searchlab.analysis.comparison import compare_folds
from searchlab.records.run_folder import RunFolder
from searchlab.records.trial_record import TrialRecord
from searchlab.report.comparisons import (
    adjust_by_holm,
    compare_baselines,
    comparisons_markdown,
    print_comparisons,
)
from searchlab.report.reading import StudyReading

FOLDS = {
    "a1/HF": (0.90, 0.91, 0.92),
    "a1/DT": (0.95, 0.961, 0.969),
    "a2/HF": (0.905, 0.912, 0.921),
    "a2/DT": (0.90, 0.93, 0.91),
}


def read(tmp_path: Any, records: list[TrialRecord], **changes: Any) -> StudyReading:
    baselines = {"architectures": ["a1", "a2"], "schemes": ["HF", "DT"]}
    return StudyReading(
        run=RunFolder(tmp_path),
        spec=make_spec(baselines=baselines, **changes),
        storage_url="sqlite:///none.db",
        records=records,
        is_driven=False,
        is_finished=True,
        totals={},
    )


def baselines(folds: dict[str, tuple[float, ...]] = FOLDS) -> list[TrialRecord]:
    return [
        make_record(number, "baseline", label=label, fold_values=values)
        for number, (label, values) in enumerate(folds.items())
    ]


def test_every_pair_is_tested_over_the_folds_of_both(tmp_path: Any) -> None:
    pairs = [["a1/DT", "a1/HF"], ["a2/DT", "a2/HF"]]
    compared = compare_baselines(read(tmp_path, baselines(), comparisons={"depth?": pairs}))
    assert [(pair.first, pair.second) for pair in compared] == [tuple(pair) for pair in pairs]
    expected = compare_folds(FOLDS["a1/DT"], FOLDS["a1/HF"], num_folds=3)
    assert compared[0].comparison == expected
    assert compared[0].outcome == "better"
    assert compared[1].outcome == "undecided"


def test_a_lower_loss_is_better(tmp_path: Any) -> None:
    pair = [["a1/HF", "a1/DT"]]
    reading = read(tmp_path, baselines(), comparisons={"q": pair}, objective={"metric": "loss"})
    assert compare_baselines(reading)[0].outcome == "better"


def test_a_pair_on_two_folds_has_too_few_to_be_better_or_worse(tmp_path: Any) -> None:
    folds = {"a1/DT": (0.951, 0.952), "a1/HF": (0.101, 0.100)}
    reading = read(
        tmp_path,
        baselines(folds),
        comparisons={"q": [["a1/DT", "a1/HF"]]},
        validation={"folds": 2, "search_folds": 1},
    )
    [pair] = compare_baselines(reading)
    assert pair.comparison is not None
    assert pair.comparison.is_shown, "by the test alone"
    assert pair.outcome == "too few folds"


def test_a_quick_look_calls_no_baseline_better_or_worse(tmp_path: Any) -> None:
    pairs = [["a1/DT", "a1/HF"], ["a1/HF", "a1/DT"]]
    quick = {
        "dataset": {"name": "digits", "limit": 90},
        "changed": {"dataset.limit": None},
        "published": PUBLISHED,
    }
    compared = compare_baselines(read(tmp_path, baselines(), comparisons={"q": pairs}, **quick))
    assert [pair.outcome for pair in compared] == ["-", "-"]
    out = io.StringIO()
    print_comparisons(Console(file=out, width=80), compared)
    for text in (out.getvalue(), comparisons_markdown(compared)):
        assert "a1/DT - a1/HF" in text
        assert "better" not in text
        assert "worse" not in text
        assert "so the first is" not in text


def test_the_interval_of_a_pair_stays_within_its_metrics_bounds(tmp_path: Any) -> None:
    folds = {"a1/DT": (0.99, 0.2, 0.99), "a1/HF": (0.1, 0.9, 0.1)}
    pair = {"q": [["a1/DT", "a1/HF"]]}
    reading = read(tmp_path, baselines(folds), comparisons=pair)
    [compared] = compare_baselines(reading)
    assert compared.comparison is not None
    assert compared.comparison.interval == pytest.approx((-0.366667, 0.726667), abs=1e-6)
    by_loss = read(tmp_path, baselines(folds), comparisons=pair, objective={"metric": "loss"})
    [unbounded] = compare_baselines(by_loss)
    assert unbounded.comparison is not None
    assert unbounded.comparison.interval is not None
    assert unbounded.comparison.interval[1] > 1


def test_p_values_are_adjusted_within_a_question_only(tmp_path: Any) -> None:
    pair = ["a1/DT", "a1/HF"]
    alone = read(tmp_path, baselines(), comparisons={"one": [pair], "other": [pair]})
    assert [one.p_adjusted for one in compare_baselines(alone)] == [
        one.comparison.p_value for one in compare_baselines(alone) if one.comparison
    ]
    together = read(tmp_path, baselines(), comparisons={"both": [pair, pair]})
    for one in compare_baselines(together):
        assert one.comparison is not None
        assert one.comparison.p_value is not None
        assert one.p_adjusted == pytest.approx(2 * one.comparison.p_value)


@pytest.mark.parametrize("changes", [{"state": "FAIL"}, {"fold_values": (0.9,)}])
def test_a_pair_without_figures_says_nothing(tmp_path: Any, changes: dict[str, Any]) -> None:
    records = [make_record(0, "baseline", label="a1/HF", **{"fold_values": FOLDS["a1/HF"]})]
    records.append(
        make_record(1, "baseline", label="a1/DT", **{"fold_values": FOLDS["a1/DT"], **changes})
    )
    reading = read(tmp_path, records, comparisons={"q": [["a1/HF", "a1/DT"]]})
    (compared,) = compare_baselines(reading)
    assert (compared.comparison, compared.p_adjusted, compared.outcome) == (None, None, "-")


NEAR = {  # differences of 0, 0.1 and 0.2 points, 0.1 on average
    "a1/HF": (0.90, 0.91, 0.92),
    "a1/DT": (0.90, 0.911, 0.922),
}


def test_a_pair_that_is_shown_to_be_within_the_margin_is_equal(tmp_path: Any) -> None:
    error = 0.001 * (1 / 3 + 1 / 2) ** 0.5
    pair = {"q": [["a1/DT", "a1/HF"]]}
    for margin, outcome in ((0.5, "equal"), (0.3, "undecided")):
        reading = read(tmp_path, baselines(NEAR), comparisons=pair, confirm={"margin": margin})
        [compared] = compare_baselines(reading)
        p_unequal = t.sf((margin / 100 - 0.001) / error, 2)
        assert compared.p_unequal == pytest.approx(p_unequal)
        assert compared.p_unequal_adjusted == pytest.approx(p_unequal)
        assert (compared.outcome, p_unequal < 0.05) == (outcome, outcome == "equal")


def test_a_difference_that_is_shown_to_be_within_the_margin_is_none(tmp_path: Any) -> None:
    pair = {"q": [["a1/DT", "a1/HF"]]}
    for margin, outcome in ((50, "equal"), (0.5, "better")):
        reading = read(tmp_path, baselines(), comparisons=pair, confirm={"margin": margin})
        [compared] = compare_baselines(reading)
        assert compared.p_adjusted is not None
        assert compared.p_adjusted < 0.05
        assert compared.outcome == outcome


def test_asking_more_often_takes_more_to_be_equal(tmp_path: Any) -> None:
    """0.03 for one pair, which is 0.06 for two of them."""
    pair = ["a1/DT", "a1/HF"]
    for pairs, outcome in (([pair], "equal"), ([pair, pair[::-1]], "undecided")):
        reading = read(
            tmp_path, baselines(NEAR), comparisons={"q": pairs}, confirm={"margin": 0.45}
        )
        compared = compare_baselines(reading)
        assert [one.outcome for one in compared] == [outcome] * len(pairs)
        for one in compared:
            assert one.p_unequal is not None
            assert one.p_unequal_adjusted == pytest.approx(len(pairs) * one.p_unequal)


def test_folds_with_the_same_figures_are_equal_and_two_are_too_few(tmp_path: Any) -> None:
    for num_folds, outcome in ((3, "equal"), (2, "too few folds")):
        same = dict.fromkeys(("a1/HF", "a1/DT"), FOLDS["a1/HF"][:num_folds])
        reading = read(
            tmp_path,
            baselines(same),
            comparisons={"q": [["a1/DT", "a1/HF"]]},
            validation={"folds": num_folds, "search_folds": 1},
        )
        assert [pair.outcome for pair in compare_baselines(reading)] == [outcome]


def test_the_text_says_what_counts_as_equal(tmp_path: Any) -> None:
    changes: dict[str, Any] = {"comparisons": {"q": [["a1/DT", "a1/HF"]]}}
    compared = compare_baselines(read(tmp_path, baselines(NEAR), **changes))
    out = io.StringIO()
    print_comparisons(Console(file=out, width=80), compared)
    for text in (out.getvalue(), comparisons_markdown(compared)):
        assert "show a difference of less than 0.50 points." in " ".join(text.split())
    assert "| +0.10 | -0.29 to +0.49 | 0.388 | equal |" in comparisons_markdown(compared)
    changes["objective"] = {"metric": "loss"}
    text = comparisons_markdown(compare_baselines(read(tmp_path, baselines(NEAR), **changes)))
    assert "less than 0.0050 of loss." in text


def test_holm_steps_down_and_never_falls() -> None:
    # By hand, Holm 1979: sorted 0.01, 0.02, 0.03 times 3, 2, 1, each at least the one before.
    assert adjust_by_holm([0.03, 0.01, None, 0.02], num_tests=3) == [
        pytest.approx(0.04),
        pytest.approx(0.03),
        None,
        pytest.approx(0.04),
    ]
    assert adjust_by_holm([0.9, 0.8], num_tests=2) == [1.0, 1.0]
    assert adjust_by_holm([], num_tests=0) == []


def test_a_pair_that_differs_equally_on_all_folds_counts_as_asked(tmp_path: Any) -> None:
    folds = {**FOLDS, "a2/DT": tuple(value + 0.125 for value in FOLDS["a2/HF"])}
    pairs = [["a1/DT", "a1/HF"], ["a2/DT", "a2/HF"]]
    reading = read(tmp_path, baselines(folds), comparisons={"q": pairs})
    spread, equal = compare_baselines(reading)
    assert spread.comparison is not None
    assert spread.comparison.p_value is not None
    assert spread.p_adjusted == pytest.approx(2 * spread.comparison.p_value)
    assert equal.comparison is not None
    assert (equal.comparison.p_value, equal.p_adjusted, equal.outcome) == (None, None, "undecided")
    assert (equal.p_unequal, equal.p_unequal_adjusted) == (None, None)


def test_the_printed_table_fits_80_columns(tmp_path: Any) -> None:
    pairs = [["a1/DT", "a1/HF"], ["a2/DT", "a2/HF"]]
    compared = compare_baselines(read(tmp_path, baselines(), comparisons={"DT or HF?": pairs}))
    out = io.StringIO()
    print_comparisons(Console(file=out, width=80), compared)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].strip() == "DT or HF?"
    assert "a1/DT - a1/HF" in lines[2]
    assert lines[2].rstrip().endswith("better")
