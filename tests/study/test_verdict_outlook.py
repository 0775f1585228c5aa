"""What a study says beforehand if it cannot reach a verdict."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_driving import make_spec
from small_studies import PUBLISHED

from searchlab.study.preparation.verdict_outlook import verdict_warnings

TWO_FOLDS = {"folds": 2, "search_folds": 1}
PAIR = {"which?": [["a2/HF", "a2/DT"]]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "sees 2 of 3 folds, and without confirm.repeats the verdict needs 3"),
        ({"validation": {"folds": 4, "search_folds": 2}}, "Set confirm.repeats to 5"),
        (
            {"validation": TWO_FOLDS, "search": {"trials": 0}, "comparisons": PAIR},
            "it is trained on 2 folds, and they need 3. Set validation.folds to 5, at least 3",
        ),
        ({"baselines": {"folds": "search"}}, "no baseline is trained on all folds"),
        (
            {"baselines": {"folds": "search"}, "confirm": {"top": 0}, "comparisons": PAIR},
            "a2/HF will show nothing: it is trained on 2 folds, and they need 3",
        ),
    ],
)
def test_a_study_that_can_show_nothing_says_why(changes: dict[str, Any], words: str) -> None:
    [warning] = verdict_warnings(make_spec(**changes))
    assert words in warning


@pytest.mark.parametrize(
    "changes",
    [
        {"confirm": {"repeats": 2}},
        {"confirm": {"repeats": 2}, "validation": TWO_FOLDS},
        {"validation": {"folds": 5, "search_folds": 2}, "comparisons": PAIR},
        {"validation": TWO_FOLDS, "confirm": {"top": 0}},
        {"validation": TWO_FOLDS, "search": {"trials": 0}},
        {"validation": TWO_FOLDS, "baselines": {"architectures": []}},
        {"validation": TWO_FOLDS, "changed": {"validation.folds": 5}, "published": PUBLISHED},
    ],
)
def test_a_study_with_enough_folds_or_nothing_to_compare_says_nothing(
    changes: dict[str, Any],
) -> None:
    assert list(verdict_warnings(make_spec(**changes))) == []
