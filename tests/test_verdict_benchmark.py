"""A few cells of benchmarks/verdict.py: the verdict is hardly ever a false YES, and finds gaps."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom

pytestmark = pytest.mark.slow

BENCHMARK = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "verdict.py"))
NUM_STUDIES = 1_000
MOST_FALSE = 0.03  # of all studies of a kind


def run(seed: int, num_studies: int = NUM_STUDIES, **changes: Any) -> tuple[float, float]:
    """Return the shares of simulated studies that say YES, and that say it though it is false."""
    kind = {"folds": 5, "search_folds": 1, "trials": 60, "baselines": 3, "shared": False}
    said, wrong, _ = BENCHMARK["run_cell"](
        BENCHMARK["Cell"](**{**kind, **changes}), num_studies, seed
    )
    return said, wrong


# The corrected t-test on a finalist's own folds, on which the search chose it, says a false YES in
# 10 % of the first of these studies.
@pytest.mark.parametrize(
    "changes",
    [
        {"search_folds": 5, "trials": 300, "baselines": 1},
        {"folds": 10, "search_folds": 2},
        {"trials": 20, "baselines": 6, "shared": True},
        {"search_folds": 2, "until": True},
    ],
    ids=["long search", "ten folds", "noise that folds share", "early end"],
)
def test_equal_configurations_are_hardly_ever_told_apart(changes: dict[str, Any]) -> None:
    _, wrong = run(seed=0, **changes)
    # If the share is 3 %, one in a thousand runs of so many studies has more than this.
    assert wrong <= binom.ppf(0.999, NUM_STUDIES, MOST_FALSE) / NUM_STUDIES


@pytest.mark.parametrize(("images", "least"), [(2_000, 0.2), (10_000, 0.7)])
def test_a_gap_of_a_point_is_found_the_more_images_there_are(images: int, least: float) -> None:
    said, wrong = run(seed=0, num_studies=200, gap=0.01, images=images)
    assert said > least
    assert wrong == 0
