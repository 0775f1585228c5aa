"""What a worker sends back: one EpochResult an epoch, small, plain, and exact through a dict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["EpochResult", "FoldMetrics", "TestMetrics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldMetrics:
    """One fold's model after one epoch: mean cross-entropy, and accuracy in [0, 1].

    The training figures are means over the epoch, taken while the weights moved. The robust
    accuracy is that under the trial's ``robustness`` attack.
    """

    fold: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    robust_accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestMetrics:
    """The full member's one meeting with the test set."""

    __test__ = False  # not a test class, whatever pytest makes of the name

    loss: float
    accuracy: float
    robust_accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """A cohort after ``epoch`` epochs (the first is 1).

    ``value`` is the objective's metric as the mean over the search folds in this epoch;
    ``best_value`` and ``best_epoch`` are what the trial is worth so far. ``fold_values`` are the
    metric of every fold at ``fold_epoch``, the epoch at which the mean over all folds was best.
    ``seconds`` is the time of this epoch. ``multiply_adds`` and ``latency_ms`` are of one image's
    forward pass, in the last result of a trial that measures them. A ``diverged`` cohort met a
    loss that is not finite: its figures are those of the epoch before, and ``folds`` is empty.
    A ``replayed`` result was trained earlier and comes from a checkpoint. ``batch_split`` is the
    number of parts in which batches were trained, more than 1 where memory ran out.
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
    num_parameters: int
    multiply_adds: int | None = None
    latency_ms: float | None = None
    done: bool = False
    diverged: bool = False
    test: TestMetrics | None = None
    replayed: bool = False
    batch_split: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; ``from_dict`` gives back an equal object."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EpochResult:
        """Rebuild what ``to_dict`` returned."""
        test = data["test"]
        return cls(
            **{
                **data,
                "folds": tuple(FoldMetrics(**fold) for fold in data["folds"]),
                "fold_values": tuple(data["fold_values"]),
                "test": None if test is None else TestMetrics(**test),
            }
        )
