"""Student's t: the bits of scipy.stats."""

from __future__ import annotations

import math

import pytest
from scipy.stats import t

from searchlab.analysis.student_t import quantile, upper_tail


@pytest.mark.parametrize("degrees_of_freedom", [1, 4, 9.5, 1e10, math.inf])
def test_it_is_scipys_distribution_to_the_bit(degrees_of_freedom: float) -> None:
    for share in (1e-9, 0.025, 0.3, 0.5, 0.975):
        assert quantile(share, degrees_of_freedom) == t.ppf(share, degrees_of_freedom)
    for value in (-math.inf, -2.0, 0.0, 1.3, 40.0, math.inf):
        assert upper_tail(value, degrees_of_freedom) == t.sf(value, degrees_of_freedom)
