"""Configurations that did well on other images, for a search to try after its reference points."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from searchlab.config.nodes import Choice, Range
from searchlab.config.settings import SHARED_PARAMETERS, TrainingSettings
from searchlab.config.trial import Scalar
from searchlab.search.space.start_points import usual_value

if TYPE_CHECKING:
    from searchlab.search.space.points import Point
    from searchlab.search.space.study_space import StudySpace

__all__ = ["Entry", "portfolio_points", "read_portfolio"]

Entry = Mapping[str, Scalar]

FILE = "portfolio.jsonl"
"""Learnt from digits and USPS by ``benchmarks/portfolio.py``, which writes it."""

_MAX_POINTS = 8
_DECISIVE = ("optimizer", "schedule", "batch_norm")  # what learning rate is right depends on them


@cache
def read_portfolio() -> tuple[Entry, ...]:
    """Return the configurations, the first to try first: values by parameter name."""
    lines = files(__package__).joinpath(FILE).read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def portfolio_points(
    space: StudySpace, training: TrainingSettings, entries: Sequence[Entry]
) -> list[Point]:
    """Return the different points of a space that a portfolio gives, the first to try first.

    An entry is moved into the space like a reference point. One whose family or decisive parameters
    the space lacks is left out: a learning rate that suits batch norm is too high without.
    """
    points: list[Point] = []
    for entry in entries:
        point = _move(space, training, entry)
        if point is not None and point not in points and _agrees(point, training, entry):
            points.append(point)
    return points[:_MAX_POINTS]


def _move(space: StudySpace, training: TrainingSettings, entry: Entry) -> Point | None:
    """Return the point of the entry's family that is nearest to it; None without the family."""

    def choose(name: str, node: Choice | Range) -> Scalar:
        is_known = name in entry and (name in SHARED_PARAMETERS or "." in name)
        value = entry[name] if is_known else usual_value(name, training)
        return node.middle() if value is None else node.nearest(value)

    points = space.asked_points(choose)
    return next((point for point in points if point["family"] == entry["family"]), None)


def _agrees(point: Point, training: TrainingSettings, entry: Entry) -> bool:
    """Return whether a point, with what its study fixes, decides as the entry does."""
    return all(
        point.get(name, usual_value(name, training)) == value
        for name, value in entry.items()
        if name.rpartition(".")[2] in _DECISIVE
    )
