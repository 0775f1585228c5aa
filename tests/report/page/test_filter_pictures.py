"""What a report says and draws of first-layer filters."""

from __future__ import annotations

import torch

from searchlab.analysis.filters import compare_filters
from searchlab.analysis.measured_layers import MovedFilters
from searchlab.report.page.filters import describe_move, draw_filters

GENERATOR = torch.Generator().manual_seed(0)


def make_filters(*shape: int, moves: bool = True) -> MovedFilters:
    first = torch.randn(shape, generator=GENERATOR)
    return compare_filters("conv1", first, 1.25 * first if moves else first)


def test_frozen_filters_are_said_to_move_by_exactly_0() -> None:
    assert describe_move(make_filters(5, 1, 3, 3, moves=False)) == "did not move, by exactly 0"
    assert describe_move(make_filters(5, 1, 3, 3)).endswith(", 25% of their norm")


def test_each_model_is_drawn_before_and_after_on_a_scale_of_its_own() -> None:
    small, large = make_filters(2, 1, 3, 3), make_filters(3, 1, 5, 5)
    [drawn] = draw_filters("f", "Filters", [("HT", small), ("DT", large)])
    [trace] = drawn.figure.data
    labels = list(drawn.figure.layout.yaxis.ticktext)
    assert labels == ["HT before", "HT after", "DT before", "DT after"]
    assert len(trace.z) == 2 * (3 + 1) + 2 * (5 + 1)
    assert {len(row) for row in trace.z} == {3 * (5 + 1)}
    for rows in (trace.z[:8], trace.z[8:]):
        assert max(abs(cell) for row in rows for cell in row if cell is not None) == 1
    assert list(trace.customdata[0][:3]) == small.first[0][0]
    assert list(trace.customdata[4][:3]) == small.last[0][0]


def test_filters_that_are_left_out_or_averaged_are_said() -> None:
    [drawn] = draw_filters("f", "Filters", [("DT", make_filters(64, 3, 3, 3))])
    assert drawn.title == "Filters (the first 8 of 64, each the mean over its channels)"
    assert [*draw_filters("f", "Filters", [])] == []
