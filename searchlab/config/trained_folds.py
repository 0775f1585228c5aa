"""What is known of folds that were trained: their figures by epoch, and on which machine."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.config.metrics import Figures

__all__ = ["FoldMetrics", "Machine", "TrainedFolds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What an epoch was trained with: another device, torch or number of threads rounds otherwise.

    ``device`` is the GPU's name, or ``cpu`` with its instruction set. ``tf32`` says whether a GPU
    multiplied float32 in TF32.
    """

    device: str
    torch: str
    num_threads: int
    tf32: bool = False

    def __str__(self) -> str:
        threads = "1 thread" if self.num_threads == 1 else f"{self.num_threads} threads"
        tf32 = " in TF32" if self.tf32 else ""
        return f"{self.device}{tf32} with {threads} of torch {self.torch}"


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
class TrainedFolds:
    """Every epoch of the folds that a trial need not train, because another trained the same.

    ``epochs`` has the metrics of each of these folds, in order, for each epoch.
    """

    machine: Machine
    epochs: tuple[tuple[FoldMetrics, ...], ...]

    @property
    def folds(self) -> frozenset[int]:
        """The numbers of the folds."""
        return frozenset(one.fold for one in self.epochs[0])
