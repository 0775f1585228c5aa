"""The results that a worker sends: one EpochResult per epoch, small, plain, exact as a dict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from searchlab.config.metrics import Figures
from searchlab.training.kept_answers import TestAnswers

__all__ = ["EpochResult", "FoldMetrics", "Machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What an epoch was trained with: another device, torch or number of threads rounds otherwise.

    ``device`` is the GPU's name, or ``cpu`` with its instruction set.
    """

    device: str
    torch: str
    num_threads: int

    def __str__(self) -> str:
        threads = "1 thread" if self.num_threads == 1 else f"{self.num_threads} threads"
        return f"{self.device} with {threads} of torch {self.torch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldMetrics:
    """The metrics of one fold's model after one epoch; ``validation`` is on the held-out images.

    ``training`` has the loss and accuracy on the other images, as means over the epoch, taken while
    the weights changed.
    """

    fold: int
    training: Figures
    validation: Figures


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
