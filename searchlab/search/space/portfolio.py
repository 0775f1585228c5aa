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


@cache
def read_portfolio() -> tuple[Entry, ...]:
    """Return the configurations, the first to try first: values by parameter name."""
    lines = files(__package__).joinpath(FILE).read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def portfolio_points(
    space: StudySpace, training: TrainingSettings, entries: Sequence[Entry]
) -> list[Point]:
    """Return the different points of a space that a portfolio gives, the first to try first.

    An entry is moved into the space like a reference point. One whose family the space lacks lends
    what all families share to the families that have no entry of their own.
    """
    own = {str(entry["family"]) for entry in entries}
    points: list[Point] = []
    for entry in entries:
        moved = _move(space, training, entry)
        family = str(entry["family"])
        takers = [family] if family in moved else [name for name in moved if name not in own]
        points += [moved[name] for name in takers if moved[name] not in points]
    return points


def _move(space: StudySpace, training: TrainingSettings, entry: Entry) -> dict[str, Point]:
    """Return the point of each family of the space that is nearest to an entry."""

    def choose(name: str, node: Choice | Range) -> Scalar:
        is_known = name in entry and (name in SHARED_PARAMETERS or "." in name)
        value = entry[name] if is_known else usual_value(name, training)
        return node.middle() if value is None else node.nearest(value)

    return {str(point["family"]): point for point in space.asked_points(choose)}
