"""The table of metrics: each figure's name, its format, and which direction is better.

``training/metrics.py`` has the functions that measure them, under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from searchlab.errors import InputError

__all__ = [
    "COUNT",
    "DEFAULT_METRIC",
    "MILLISECONDS",
    "NUMBER",
    "PERCENT",
    "CountsMeasure",
    "Direction",
    "Figures",
    "Metric",
    "Unit",
    "get_metric",
    "list_metrics",
    "list_objectives",
    "register_metric",
]

Direction = Literal["maximize", "minimize"]

Figures = Mapping[str, float]
"""Figures by the name of their metric. Counts are ints."""

CountsMeasure = Callable[[Any, Any, Any], Any]
"""A metric of the numbers of images by class: ``right`` are of the class and recognised as such,
``size`` are of the class, ``guessed`` are taken for it. NumPy arrays or tensors of floats [..., C],
broadcast against each other, to the same kind [...]. Both take the axis of ``sum`` alike if it is
not named."""

DEFAULT_METRIC = "accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """How to write a figure: times ``scale``, with ``decimals``, followed by ``symbol``.

    A standard deviation has ``spread_decimals``; a difference is in ``points``, if that is set.
    ``bounds`` are the least and the greatest figure that there can be, before scaling.
    """

    symbol: str = ""
    scale: float = 1
    decimals: int
    spread_decimals: int
    points: str = ""
    bounds: tuple[float, float] | None = None

    def write_difference(self, difference: float) -> str:
        """Write a size without its sign: ``1.42 points``, or ``0.0123``."""
        separator = "," if self.decimals == 0 else ""
        text = f"{self.scale * abs(difference):{separator}.{self.decimals}f}"
        return f"{text} {self.points}".rstrip()


PERCENT = Unit(
    symbol="%", scale=100, decimals=2, spread_decimals=2, points="points", bounds=(0.0, 1.0)
)
NUMBER = Unit(decimals=4, spread_decimals=3)
COUNT = Unit(decimals=0, spread_decimals=0)
MILLISECONDS = Unit(symbol="ms", decimals=3, spread_decimals=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure of a trial.

    ``measured`` says when: ``fold`` on every fold in every epoch, and once on the test set if the
    trial meets it; ``trial`` once, when a trial has trained to its end; ``model`` is a property of
    the network, whatever its weights. Only the first kind can be a study's first objective, which
    decides epochs, finalists and the verdict.

    ``column`` is its heading in tables, and ``note`` explains it below them. ``key`` is its name in
    the storage and in JSON if that is not ``name``. ``needs`` is the part of the study required to
    measure it; with ``on_request``, it is measured only as an objective. ``shown`` says when the
    leaderboard shows it beside the objectives: ``always`` if measured, ``never``, or
    ``if_telling``: if a trial's figure is far from that of the default metric.

    ``of_counts`` measures it if the classes of the images decide it. ``image_score`` says what it
    is the mean of, if it is a mean over images: of right answers or of losses. A metric with
    neither is measured by a function of its own, and the folds alone decide a verdict by it.
    ``is_of_classes`` says that each class counts the same, however few its images.
    """

    name: str
    direction: Direction
    label: str
    column: str
    unit: Unit
    measured: Literal["fold", "trial", "model"] = "fold"
    is_objective: bool = True
    on_request: bool = False
    needs: Literal["robustness"] | None = None
    shown: Literal["always", "never", "if_telling"] = "always"
    note: str = ""
    key: str = ""
    of_counts: CountsMeasure | None = None
    image_score: Literal["hit", "loss"] | None = None
    is_of_classes: bool = False

    @property
    def is_of_single_answers(self) -> bool:
        """Whether it can be measured again on the single answers that a record keeps."""
        return self.of_counts is not None or self.image_score is not None

    @property
    def sign(self) -> int:
        """1 if more is better, -1 if less is."""
        return 1 if self.direction == "maximize" else -1

    @property
    def is_of_folds(self) -> bool:
        """Whether it is measured on every fold in every epoch."""
        return self.measured == "fold"

    @property
    def stored_key(self) -> str:
        """Its name among a trial's user attributes and in JSON."""
        return self.key or self.name

    @property
    def test_key(self) -> str:
        """The name of its figure on the test set."""
        return f"test_{self.stored_key}"

    @property
    def curve_key(self) -> str:
        """Its name among a trial's learning curves."""
        # Figures under an attack have no prefix, because users' scripts read them under that name.
        return self.stored_key if self.needs else f"validation_{self.stored_key}"


def _measure_accuracy(right: Any, size: Any, guessed: Any) -> Any:
    del guessed
    # Not a mean: on CUDA that is a product with 1 / N, which makes 57 of 100 more than 0.57.
    return right.sum(-1) / size.sum(-1)


def _measure_balanced_accuracy(right: Any, size: Any, guessed: Any) -> Any:
    """Return the mean over the classes that have images."""
    del guessed
    return (right / size.clip(1)).sum(-1) / (size > 0).sum(-1)


def _measure_macro_f1(right: Any, size: Any, guessed: Any) -> Any:
    """Return the mean over the classes that have images or predictions."""
    either = size + guessed
    return (2 * right / either.clip(1)).sum(-1) / (either > 0).sum(-1)


_TABLE = (
    Metric(
        name=DEFAULT_METRIC,
        direction="maximize",
        label="accuracy",
        column="accuracy",
        unit=PERCENT,
        of_counts=_measure_accuracy,
        image_score="hit",
    ),
    Metric(
        name="loss",
        direction="minimize",
        label="loss",
        column="loss",
        unit=NUMBER,
        shown="never",
        image_score="loss",
    ),
    Metric(
        name="balanced_accuracy",
        direction="maximize",
        label="balanced accuracy",
        column="balanced",
        unit=PERCENT,
        shown="if_telling",
        of_counts=_measure_balanced_accuracy,
        is_of_classes=True,
        note="mean of the classes' accuracies; always guessing the largest class does not raise it",
    ),
    Metric(
        name="macro_f1",
        direction="maximize",
        label="macro F1",
        column="macro F1",
        unit=PERCENT,
        shown="never",
        of_counts=_measure_macro_f1,
        is_of_classes=True,
        note="mean of the classes' F1 scores",
    ),
    Metric(
        name="robust_accuracy",
        direction="maximize",
        label="accuracy under attack",
        column="robust",
        unit=PERCENT,
        needs="robustness",
        of_counts=_measure_accuracy,
        image_score="hit",
        note="accuracy under the study's attack",
    ),
    Metric(
        name="parameters",
        direction="minimize",
        label="parameters",
        column="params",
        unit=COUNT,
        measured="model",
        key="num_parameters",
    ),
    Metric(
        name="multiply_adds",
        direction="minimize",
        label="multiply-adds per image",
        column="mult-adds",
        unit=COUNT,
        measured="model",
        on_request=True,
    ),
    Metric(
        name="latency",
        direction="minimize",
        label="latency",
        column="ms",
        unit=MILLISECONDS,
        measured="trial",
        on_request=True,
        note="median time of one image's forward pass on the worker",
        key="latency_ms",
    ),
)

_metrics: dict[str, Metric] = {}


def register_metric(metric: Metric) -> None:
    """Add a metric to the table. Raises InputError if its name or one of its keys is taken."""
    keys = {key for known in _metrics.values() for key in (known.stored_key, known.test_key)}
    if metric.name in _metrics or keys & {metric.stored_key, metric.test_key}:
        raise InputError(
            f"the metric {metric.name!r} is already registered", remedy="Choose another name"
        )
    _metrics[metric.name] = metric


def get_metric(name: str) -> Metric:
    """Return the metric called ``name``. Raises KeyError."""
    return _metrics[name]


def list_metrics() -> tuple[Metric, ...]:
    """Return every metric, in the order of the table."""
    return tuple(_metrics.values())


def list_objectives(*, first: bool = False) -> tuple[str, ...]:
    """Return the names of the metrics that can be objectives; ``first``: a study's first one."""
    return tuple(
        metric.name
        for metric in _metrics.values()
        if metric.is_objective and (metric.is_of_folds or not first)
    )


for _metric in _TABLE:
    register_metric(_metric)
