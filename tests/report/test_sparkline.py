from __future__ import annotations

import math

from searchlab.report.sparkline import ASCII_BLOCKS, sparkline


def test_a_curve_runs_from_the_lowest_block_to_the_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([3.0, -1.0], blocks=ASCII_BLOCKS) == "#_"


def test_a_long_curve_is_drawn_as_means_of_its_parts() -> None:
    assert sparkline([0.0] * 50 + [1.0] * 50, width=10) == "▁▁▁▁▁█████"


def test_a_level_curve_and_values_that_are_not_finite_are_drawn() -> None:
    assert sparkline([2.0, 2.0]) == "▅▅"
    assert sparkline([0.0, math.nan, 1.0]) == "▁ █"
    assert sparkline([]) == ""
