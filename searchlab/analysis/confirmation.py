"""Comparing two configurations on one test set, by several models of each.

The two were chosen without the test set, and their models drew their own weights, image orders and
augmentation. So the difference of their mean figures varies by what is independent of each other:
the images, which all models meet, and the draws of each configuration. It says which is better if
both are trained on these training images; what others would give, no test on one set can tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from searchlab.analysis.comparison import Bounds
from searchlab.analysis.student_t import quantile, upper_tail

__all__ = ["ConfirmedDifference", "Needed", "compare_counts", "compare_scores", "estimate_mean"]

NUM_RESAMPLES = 10_000
_MOST_COUNTS = 2**15  # at once, of several resamples; arrays of MB take five times as long

Scores = npt.NDArray[np.float64]
Classes = npt.NDArray[np.integer]
CountsMeasure = Callable[[Scores, Scores, Scores], Scores]
"""A metric of the numbers of images by class: recognised, in all, and taken for it.

float64 [K, R, C], [K, 1, C] and [K, R, C] to [K, R].
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """What would decide: so many repeats of each configuration, or test images, in all."""

    repeats: int | None
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedDifference:
    """Challenger minus incumbent, in the metric's own units and direction.

    ``images_variance`` and ``draws_variances`` are the parts of the difference's variance, each
    with its degrees of freedom.
    """

    difference: float
    images_variance: float
    draws_variances: tuple[float, float]
    num_images: int
    num_repeats: tuple[int, int]
    least: float = -math.inf
    most: float = math.inf

    @property
    def error(self) -> float:
        """The standard error of the difference."""
        return math.sqrt(self.images_variance + sum(self.draws_variances))

    @property
    def degrees_of_freedom(self) -> float:
        """Welch's and Satterthwaite's degrees of freedom of the error."""
        parts = [
            (self.images_variance, self.num_images - 1),
            *zip(self.draws_variances, (count - 1 for count in self.num_repeats), strict=True),
        ]
        spread = sum(variance**2 / freedom for variance, freedom in parts)
        return self.error**4 / spread if spread > 0 else math.inf

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval, as far as the metric's bounds allow."""
        reach = quantile(0.975, self.degrees_of_freedom) * self.error
        low, high = self.difference - reach, self.difference + reach
        return max(low, self.least), min(high, self.most)

    @property
    def p_value(self) -> float:
        """Two-sided: how likely so large a difference is if the configurations are equal."""
        return min(1.0, 2 * self._tail(abs(self.difference)))

    def p_unequal(self, margin: float) -> float:
        """Return the larger p of the two one-sided tests that the difference is within margin."""
        return self._tail(margin - abs(self.difference))

    def _tail(self, distance: float) -> float:
        if self.error == 0:
            return 0.0 if distance > 0 else 1.0
        return upper_tail(distance / self.error, self.degrees_of_freedom)

    def find_needed(self, margin: float) -> Needed | None:
        """Estimate what would show a difference as large as this one, or that there is hardly any.

        Of the two, the one that needs fewer images; None if nothing would, because the difference
        is that of the margin. ``repeats`` is None if more repeats alone are not enough.
        """
        to_show = self._find_needed_for(abs(self.difference) / 1.96)
        to_equal = self._find_needed_for((margin - abs(self.difference)) / 1.645)
        found = [needed for needed in (to_show, to_equal) if needed is not None]
        return min(found, key=lambda needed: needed.images, default=None)

    def _find_needed_for(self, error: float) -> Needed | None:
        if error <= 0:
            return None
        left = error**2 - self.images_variance
        draws = sum(self.draws_variances)
        # By the normal distribution: few repeats decide less than it says, and are asked for more.
        num_repeats, factor = max(self.num_repeats), (self.images_variance + draws) / error**2
        repeats = math.ceil(num_repeats * draws / left) if left > 0 else None
        return Needed(
            repeats=None if repeats is None else max(repeats, num_repeats + 1),
            images=max(math.ceil(self.num_images * factor), self.num_images + 1),
        )


def estimate_mean(scores: Scores, *, bounds: Bounds | None = None) -> tuple[float, Bounds]:
    """Return the mean of R models' scores [R, N] at N images, and its 95 % confidence interval.

    The variance is that of the images' mean scores and of the models' mean scores, as in
    ``compare_scores``. Raises ValueError for fewer than two images or models.
    """
    nothing = np.zeros_like(scores)
    found = compare_scores(scores, nothing)
    low, high = bounds or (-math.inf, math.inf)
    return found.difference, (max(low, found.interval[0]), min(high, found.interval[1]))


def compare_scores(
    challenger: Scores, incumbent: Scores, *, bounds: Bounds | None = None
) -> ConfirmedDifference:
    """Compare by a figure that is a mean over images, such as accuracy: scores [R, N] of each.

    The variance is var(d) / N + var_A / R + var_B / R, where d are the N images' differences of the
    mean scores, and var_A and var_B those of the R models' mean scores. Raises ValueError for fewer
    than two images or models.
    """
    _check(challenger, incumbent)
    differences = challenger.mean(0) - incumbent.mean(0)
    return _contrast(
        challenger.mean(1), incumbent.mean(1),
        images_variance=float(differences.var(ddof=1)) / len(differences),
        num_images=len(differences), bounds=bounds,
    )  # fmt: skip


def compare_counts(
    challenger: Classes,
    incumbent: Classes,
    labels: Classes,
    *,
    measure: CountsMeasure,
    bounds: Bounds | None = None,
    seed: int = 0,
) -> ConfirmedDifference:
    """Compare by a figure of the predicted classes [R, N] that is no mean over the N images.

    As ``compare_scores``, but the images' share of the variance is that of the difference of the
    mean figures over 10,000 resamples of the images, drawn from ``seed``.
    """
    _check(challenger, incumbent)
    answers = np.vstack([labels, challenger, incumbent])
    patterns, sizes = np.unique(answers, axis=1, return_counts=True)
    order = np.argsort(-sizes, kind="stable")
    patterns, sizes = patterns[:, order], sizes[order]
    counting = _Counting(patterns[0], patterns[1:])
    signs = np.repeat([1 / len(challenger), -1 / len(incumbent)], [len(challenger), len(incumbent)])
    resampling = _Resampling(sizes, np.random.default_rng(seed))
    chunk = max(1, _MOST_COUNTS // counting.num_counts)
    resampled: list[Scores] = []
    for begun in range(0, NUM_RESAMPLES, chunk):
        counts = [
            counting.count(resampling.draw())
            for _ in range(begun, min(begun + chunk, NUM_RESAMPLES))
        ]
        resampled.append(counting.measure(measure, counts) @ signs)
    [once] = counting.measure(measure, [counting.count(sizes.astype(np.float64))])
    return _contrast(
        once[: len(challenger)], once[len(challenger) :],
        images_variance=float(np.concatenate(resampled).var(ddof=1)),
        num_images=len(labels), bounds=bounds,
    )  # fmt: skip


class _Resampling:
    """Draws as many images as there are, with replacement, by patterns of so many images each.

    Those of a single image come last. There may be so many that a multinomial takes ten times as
    long as to draw them one by one.
    """

    def __init__(self, sizes: npt.NDArray[np.int64], generator: np.random.Generator) -> None:
        self._generator = generator
        self._num_images, self._num_single = int(sizes.sum()), int((sizes == 1).sum())
        several = sizes[: len(sizes) - self._num_single]
        self._shares = np.append(several, self._num_single) / self._num_images

    def draw(self) -> Scores:
        """Return how many images of each pattern are drawn."""
        several = self._generator.multinomial(self._num_images, self._shares)
        drawn = self._generator.integers(
            max(1, self._num_single), size=several[-1], dtype=np.uint32
        )
        singles = np.bincount(drawn, minlength=self._num_single)
        return np.concatenate([several[:-1], singles], dtype=np.float64)


class _Counting:
    """Counts images by class, true and predicted, for the answers [R, P] of R models to P labels.

    A matrix has a row for each number that is counted. Those by predicted class are of errors only,
    so that each answer is in one row. (A table by true and predicted class has a million cells if
    there are 1,000 classes.)
    """

    def __init__(self, labels: Classes, models: Classes) -> None:
        from scipy.sparse import csr_array

        num_models, num_patterns = models.shape
        num_classes = int(max(labels.max(), models.max())) + 1
        self._shape = 1 + 2 * num_models, num_classes
        self.num_counts = num_classes * (1 + 2 * num_models)
        kinds = 1 + 2 * np.arange(num_models)[:, None] + (models != labels)
        rows = np.concatenate([labels, (num_classes * kinds + models).ravel()])
        columns = np.tile(np.arange(num_patterns), 1 + num_models)
        self._matrix = csr_array(
            (np.ones(len(rows)), (rows, columns)), shape=(self.num_counts, num_patterns)
        )

    def count(self, numbers: Scores) -> Scores:
        """Return the counts if each pattern is there so often: [P]."""
        counts: Scores = self._matrix @ numbers
        return counts

    def measure(self, measure: CountsMeasure, counts: Sequence[Scores]) -> Scores:
        """Return the figure of each model from each of K counts: [K, R]."""
        by_class = np.stack(counts).reshape(-1, *self._shape)
        size, right, wrong = by_class[:, :1], by_class[:, 1::2], by_class[:, 2::2]
        return measure(right, size, right + wrong)


def _contrast(
    challenger: Scores,
    incumbent: Scores,
    *,
    images_variance: float,
    num_images: int,
    bounds: Bounds | None,
) -> ConfirmedDifference:
    """Compare by each model's figure on all images."""
    ours, theirs = float(challenger.mean()), float(incumbent.mean())
    low, high = bounds or (-math.inf, math.inf)
    return ConfirmedDifference(
        difference=ours - theirs,
        images_variance=images_variance,
        draws_variances=(
            float(challenger.var(ddof=1)) / len(challenger),
            float(incumbent.var(ddof=1)) / len(incumbent),
        ),
        num_images=num_images,
        num_repeats=(len(challenger), len(incumbent)),
        least=min(low - theirs, ours - high),
        most=max(high - theirs, ours - low),
    )


def _check(challenger: npt.NDArray[np.generic], incumbent: npt.NDArray[np.generic]) -> None:
    shapes = challenger.shape, incumbent.shape
    if min(*shapes[0], *shapes[1]) < 2 or shapes[0][1] != shapes[1][1]:
        raise ValueError(f"must be two or more models on the same two or more images, got {shapes}")
