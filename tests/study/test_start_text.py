"""What a search says of the trials with which it starts."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_driving import make_plan, make_spec

from searchlab.study.start_text import describe_start

WARM = [{"family": "cnn", "lr": 0.02}]
REFERENCE = (
    "the search starts from 2 reference points (cnn, fcn): the study's training values and the "
    "family's defaults"
)
REMEDY = ". search.start=random draws from the start instead"


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({}, f"{REFERENCE}{REMEDY}"),
        ({"warm_start": WARM}, f"{REFERENCE}; then a point of search.warm_start{REMEDY}"),
        (
            {"start": "portfolio"},
            f"{REFERENCE}; then 3 configurations that did well on other images{REMEDY}",
        ),
        (
            {"start": "portfolio", "warm_start": WARM},
            f"{REFERENCE}; then 3 configurations that did well on other images in turn with a "
            f"point of search.warm_start{REMEDY}",
        ),
        (
            {"start": "random", "warm_start": WARM},
            "the search starts from a point of search.warm_start",
        ),
    ],
)
def test_what_comes_first_is_said_in_its_order(search: dict[str, Any], expected: str) -> None:
    spec = make_spec(search={"trials": 6, **search})
    assert describe_start(make_plan(spec).start) == expected
