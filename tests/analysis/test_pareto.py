"""The front holds what nothing beats, whatever the directions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from searchlab.analysis.pareto import find_front

POINTS = st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=12)
SIGNS = st.tuples(*[st.sampled_from([1, -1])] * 3)


def test_each_end_and_the_middle_are_on_the_front() -> None:
    accuracy_and_size = [(0.9, 100), (0.8, 10), (0.85, 50), (0.7, 20), (0.85, 60)]
    assert find_front(accuracy_and_size, (1, -1)) == [True, True, True, False, False]
    assert find_front(accuracy_and_size, (1, 1)) == [True, False, False, False, False]


def test_equal_points_are_on_it_together_and_an_empty_list_has_none() -> None:
    assert find_front([(1, 2), (1, 2), (0, 2)], (1, 1)) == [True, True, False]
    assert find_front([], (1, 1)) == []


@given(POINTS, SIGNS)
def test_the_front_is_that_of_its_definition(
    points: list[tuple[int, int, int]], signs: tuple[int, int, int]
) -> None:
    def beats(rival: tuple[int, ...], point: tuple[int, ...]) -> bool:
        gains = [sign * (a - b) for sign, a, b in zip(signs, rival, point, strict=True)]
        return min(gains) >= 0 and max(gains) > 0

    expected = [not any(beats(rival, point) for rival in points) for point in points]
    assert find_front(points, signs) == expected
