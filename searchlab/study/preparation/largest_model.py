"""The largest model that a study may train, by which its needs are judged beforehand."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from searchlab.config.nodes import Choice, Range
from searchlab.config.trial import Scalar, TrialConfig
from searchlab.errors import InputError
from searchlab.models.build import count_multiply_adds
from searchlab.records import trial_record as attr
from searchlab.search.space.points import Choose
from searchlab.study.preparation.prepared_study import PreparedStudy
from searchlab.study.trial_config import make_config

__all__ = ["find_largest_model"]

logger = logging.getLogger(__name__)

# Building a large network takes up to a second; the corners come first.
_MAX_SECONDS = 2.0


def find_largest_model(prepared: PreparedStudy) -> TrialConfig | None:
    """Return the configuration that computes most in a step: multiply-adds times batch size.

    The candidates are the baselines and, of each family, the point with the greatest values and
    the one with the smallest, because a small stride or pool makes a network bigger. Returns None
    if no candidate's model can be built for the images.
    """
    deadline = time.monotonic() + _MAX_SECONDS
    largest: TrialConfig | None = None
    most = -1.0
    for config in _candidates(prepared):
        cost = _count_cost(config, prepared)
        if cost is not None and cost > most:
            largest, most = config, cost
        if time.monotonic() > deadline:
            break
    return largest


def _candidates(prepared: PreparedStudy) -> Iterator[TrialConfig]:
    spec = prepared.spec
    for planned in prepared.plan.baselines:
        yield make_config(spec, planned.point, number=0, known=planned.user_attributes())
    for greatest in (True, False):
        for point in prepared.space.family_points(_choose_extreme(greatest=greatest)):
            try:
                yield make_config(spec, point, number=0, known={attr.ROLE: "finalist"})
            except InputError:
                continue  # values that exclude each other; no trial has both


def _choose_extreme(*, greatest: bool) -> Choose:
    def choose(name: str, node: Choice | Range) -> Scalar:
        more = greatest or name == "batch_size" or name.endswith(".depth")
        return _extreme(node, greatest=more)

    return choose


def _extreme(node: Choice | Range, *, greatest: bool) -> Scalar:
    values = node.spread(2)
    numbers = [value for value in values if isinstance(value, (int, float))]
    if len(numbers) < len(values):
        return values[-1] if greatest else values[0]
    return max(numbers) if greatest else min(numbers)


def _count_cost(config: TrialConfig, prepared: PreparedStudy) -> float | None:
    """Return what a step computes; None of a model that cannot be built for the images."""
    try:
        multiply_adds = count_multiply_adds(
            config.model,
            image_shape=prepared.images.image_shape,
            num_classes=prepared.images.num_classes,
        )
    except Exception:  # a plugin's model may raise whatever it likes; such a trial says so
        logger.debug("%s was left out", config.model, exc_info=True)
        return None
    return float(multiply_adds) * config.settings.batch_size
