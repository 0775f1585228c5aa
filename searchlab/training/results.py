"""The results that a worker sends: one EpochResult per epoch, small, plain, exact as a dict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from searchlab.config.metrics import Figures
from searchlab.config.trained_folds import FoldMetrics, Machine
from searchlab.training.kept_answers import TestAnswers

__all__ = ["EpochResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """A cohort after ``epoch`` epochs (the first is 1).

    ``value`` is the objective's metric, the mean over the search folds in this epoch;
    ``best_value`` and ``best_epoch`` give the trial's value so far. ``fold_values`` are the metric
    of every fold at ``fold_epoch``, the epoch at which the mean over all folds was best.
    ``full_training`` has the full member's loss and accuracy on all training images, taken as
    ``FoldMetrics.training`` is. ``figures`` describe the network, not images: its properties and,
    once the trial has trained to its end, metrics measured then. ``test`` has the full member's
    metrics on the test set, in the last result; without folds, ``answers`` has its answer to each
    image, and there is no value. ``seconds`` is the time of this epoch. If
    ``diverged``, the loss was not finite: the figures are those of the previous epoch, and
    ``folds`` is empty. A ``replayed`` result was trained earlier and comes from a checkpoint.
    ``batch_split`` is the number of parts in which batches were trained, more than 1 if memory ran
    out. ``machine`` is what the epoch was trained with, None if it comes from a checkpoint.
    """

    number: int
    epoch: int
    folds: tuple[FoldMetrics, ...]
    value: float
    best_value: float
    best_epoch: int
    fold_values: tuple[float, ...]
    fold_epoch: int
    seconds: float
    figures: Figures
    done: bool = False
    diverged: bool = False
    full_training: Figures | None = None
    test: Figures | None = None
    answers: TestAnswers | None = None
    replayed: bool = False
    batch_split: int = 1
    machine: Machine | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; ``from_dict`` returns an equal object."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EpochResult:
        """Rebuild what ``to_dict`` returned."""
        return cls(
            **{
                **data,
                "folds": tuple(FoldMetrics(**fold) for fold in data["folds"]),
                "fold_values": tuple(data["fold_values"]),
                "machine": Machine(**data["machine"]) if data["machine"] else None,
                "answers": None if data.get("answers") is None else TestAnswers(**data["answers"]),
            }
        )
