"""What a model said of the batches that it trained on, measured once, at the end of an epoch."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

__all__ = ["Tally", "TrainedBatches", "TrainedSums"]


class Tally(Protocol):
    """Takes what a model said of the batches that it trained on."""

    def add(self, loss: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Add a batch, or a part of one: its mean loss, logits [B, classes] and labels [B]."""


class TrainedBatches:
    """Collects losses and guesses on their device; only ``measure`` waits for it.

    It keeps the guesses, not the logits, which take 4 KB an image with a thousand classes.
    """

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._guesses: list[Tensor] = []
        self._targets: list[Tensor] = []

    def add(self, loss: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Add a batch, or a part of one: its mean loss, logits [B, classes] and labels [B]."""
        self._losses.append(loss)
        self._guesses.append(logits.argmax(1))
        self._targets.append(targets)

    def measure(self) -> dict[str, float]:
        """Return the mean loss and the accuracy over all images."""
        counts = [len(targets) for targets in self._targets]
        correct = (torch.cat(self._guesses) == torch.cat(self._targets)).sum()
        losses = torch.stack(self._losses).cpu().numpy()
        with np.errstate(over="ignore", invalid="ignore"):  # training may diverge
            # Added one after the other, in float32: a sum by pairs would round otherwise.
            loss_sum = np.add.accumulate(losses * np.array(counts, dtype=np.float32))[-1]
        num_images = sum(counts)
        return {"loss": float(loss_sum) / num_images, "accuracy": int(correct) / num_images}


class TrainedSums:
    """Sums up the same on the device, in tensors that stay: what a CUDA graph can add to."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)
        self._correct = torch.zeros((), device=device, dtype=torch.int64)

    def clear(self) -> None:
        """Begin again."""
        self._loss.zero_()
        self._correct.zero_()

    def add(self, loss: Tensor, logits: Tensor, targets: Tensor) -> None:
        """Add a batch, or a part of one: its mean loss, logits [B, classes] and labels [B]."""
        self._loss += loss * len(targets)
        self._correct += (logits.argmax(1) == targets).sum()

    def measure(self, num_images: int) -> dict[str, float]:
        """Return the mean loss and the accuracy over all images, which are as many as added."""
        return {
            "loss": float(self._loss) / num_images,
            "accuracy": int(self._correct) / num_images,
        }
