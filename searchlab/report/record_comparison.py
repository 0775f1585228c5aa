"""What a trial recorded against what training it again found: the first figure that differs.

All of it is compared exactly: the learning curves, the objective's mean over the search folds in
each epoch, the figures of a trial's end, and the weights of its model. Only curves that an earlier
version recorded rounded are compared so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from searchlab.config.metrics import list_metrics
from searchlab.models.saved_weights import FULL, FoldKey
from searchlab.records import trial_record as attr
from searchlab.study.outcome import decide_outcome, end_attributes, learning_curves
from searchlab.training.kept_answers import TestAnswers

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from torch import Tensor

    from searchlab.training.results import EpochResult

__all__ = ["Difference", "TrialComparison"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A figure that is not what was recorded.

    ``epoch`` counts from 1. ``fold`` is ``full`` for the model on all training images, and None
    for a figure of several folds.
    """

    epoch: int
    fold: FoldKey | None
    figure: str
    recorded: float | str
    found: float | str


class TrialComparison:
    """Compares a trial's record with the results of training it again, as they come.

    ``rounded`` and ``exact`` name what was compared so far.
    """

    def __init__(self, trial: FrozenTrial, *, search_folds: int) -> None:
        self._curves: Mapping[str, list[Any]] = trial.system_attrs.get(attr.CURVES, {})
        self._are_curves_rounded = attr.are_rounded(self._curves)
        self._means = trial.intermediate_values
        self._attributes = trial.user_attrs
        known = trial.system_attrs.get(attr.ANSWERS)
        self._answers = None if known is None else TestAnswers(**known)
        self._search_folds = search_folds
        self._results: dict[int, EpochResult] = {}
        self.rounded: dict[str, None] = {}
        self.exact: dict[str, None] = {}

    @property
    def num_epochs(self) -> int:
        """The number of epochs of which the record has figures."""
        return max([*self._means, len(self._curves.get("seconds", ()))], default=0)

    def compare_epoch(self, result: EpochResult) -> Difference | None:
        """Return the first figure of an epoch that is not as recorded; the folds' come first."""
        self._results[result.epoch] = result
        is_recorded = result.epoch <= self.num_epochs
        if result.diverged == is_recorded:
            recorded, found = ("finite", "not finite")[:: 1 if is_recorded else -1]
            return Difference(
                epoch=result.epoch, fold=None, figure="loss", recorded=recorded, found=found
            )
        pairs = (*self._pair_curves(result), *self._pair_means(result)) if is_recorded else ()
        return next((pair for pair in pairs if not _is_same(pair.recorded, pair.found)), None)

    def _pair_curves(self, result: EpochResult) -> Iterator[Difference]:
        index = result.epoch - 1
        for figure, curves in learning_curves({result.epoch: result}).items():
            known = self._curves.get(figure)
            if known is None or figure == "seconds":
                continue
            (self.rounded if self._are_curves_rounded else self.exact)[figure] = None
            is_of_full = figure.startswith("full_")
            found = [curves[0]] if is_of_full else [curve[0] for curve in curves]
            recorded = [known[index]] if is_of_full else [curve[index] for curve in known]
            if self._are_curves_rounded:
                found = [round(now, 6) for now in found]
            folds: list[FoldKey] = [FULL] if is_of_full else [one.fold for one in result.folds]
            for fold, before, now in zip(folds, recorded, found, strict=True):
                if before is not None:  # not kept by an earlier checkpoint
                    yield Difference(
                        epoch=result.epoch, fold=fold, figure=figure, recorded=before, found=now
                    )

    def _pair_means(self, result: EpochResult) -> Iterator[Difference]:
        if result.epoch in self._means:
            figure = "the objective's mean over the search folds"
            self.exact["the objective's means"] = None
            yield Difference(
                epoch=result.epoch,
                fold=None,
                figure=figure,
                recorded=self._means[result.epoch],
                found=result.value,
            )

    def compare_end(self) -> Difference | None:
        """Return the first figure of a complete trial's end that is not as recorded."""
        last = self._results[max(self._results)]
        ended = end_attributes(
            self._results, decide_outcome(last, pruned=False), search_folds=self._search_folds
        )
        self.exact["the figures of its end"] = None
        for figure, recorded, found in self._pair_ends(ended):
            if not _is_same(recorded, found):
                is_test = figure.startswith("test_")
                return Difference(
                    epoch=last.epoch,
                    fold=FULL if is_test else None,
                    figure=figure,
                    recorded=recorded,
                    found=found,
                )
        return None

    def _pair_ends(self, ended: Mapping[str, Any]) -> Iterator[tuple[str, float, float]]:
        values = zip(
            self._attributes.get(attr.FOLD_VALUES, ()),
            ended.get(attr.FOLD_VALUES, ()),
            strict=False,
        )
        yield from (("value of each fold", before, now) for before, now in values)
        known = self._attributes.get(attr.FIGURES, {})
        for metric in list_metrics():
            for figure in (metric.stored_key, metric.test_key) if metric.is_of_folds else ():
                if figure in known and figure in ended[attr.FIGURES]:
                    yield figure, known[figure], ended[attr.FIGURES][figure]
        yield from self._pair_answers()

    def _pair_answers(self) -> Iterator[tuple[str, float, float]]:
        """Yield a confirmation's answer to each test image, of those that differ."""
        found = self._results[max(self._results)].answers
        if self._answers is None or found is None:
            return
        before, now = self._answers.read_guesses(), found.read_guesses()
        for image in (before != now).nonzero()[0].tolist():
            yield f"test_answer to image {image}", int(before[image]), int(now[image])

    def compare_weights(
        self, recorded: Mapping[str, Tensor], found: Mapping[str, Tensor]
    ) -> Difference | None:
        """Return the first weight of the model on all training images that is not as saved."""
        self.exact["the saved weights"] = None
        for name, before in recorded.items():
            now = found[name].cpu()
            if torch.equal(before, now):
                continue
            at = tuple((before != now).nonzero()[0].tolist())
            last = self._results[max(self._results)]
            return Difference(
                epoch=last.fold_epoch or last.epoch,
                fold=FULL,
                figure=f"{name}{list(at) or ''}",
                recorded=before[at].item(),
                found=now[at].item(),
            )
        return None


def _is_same(recorded: float | str, found: float | str) -> bool:
    are_nan = [isinstance(one, float) and math.isnan(one) for one in (recorded, found)]
    return all(are_nan) or recorded == found
