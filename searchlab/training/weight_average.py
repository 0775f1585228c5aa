"""The moving average of a model's weights, which stands for the model once it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """An exponential moving average of what training changes: weights and running statistics.

    A step moves it by 1 - d towards the model, with d = min(``decay``, (1 + t) / (10 + t)) after t
    steps: so the first weights, which are random, soon count for nothing, also if training is short
    (as TensorFlow's ExponentialMovingAverage with ``num_updates``). A step waits for nothing, so a
    CUDA graph can record it.
    """

    def __init__(self, model: nn.Module, decay: float, device: torch.device) -> None:
        values = {
            **{name: one for name, one in model.named_parameters() if one.requires_grad},
            **{name: one for name, one in model.named_buffers() if one.is_floating_point()},
        }
        self._values = {name: one.detach() for name, one in values.items()}
        self._averages = {name: one.clone() for name, one in self._values.items()}
        self._num_steps = torch.zeros((), device=device)
        self._smallest_move = 1 - decay

    def update(self) -> None:
        """Follow the model after a step."""
        move = (9 / (10 + self._num_steps)).clamp(min=self._smallest_move)
        for average, value in zip(self._averages.values(), self._values.values(), strict=True):
            average.lerp_(value, move)
        self._num_steps += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model have the averages within a block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        # By copying, because a CUDA graph and frozen features refer to the model's own memory.
        for average, value in zip(self._averages.values(), self._values.values(), strict=True):
            kept = value.clone()
            value.copy_(average)
            average.copy_(kept)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps."""
        return {"num_steps": self._num_steps, **{f"of/{k}": v for k, v in self._averages.items()}}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from what ``tensors`` returned for the same model."""
        self._num_steps.copy_(tensors["num_steps"])
        for name, average in self._averages.items():
            average.copy_(tensors[f"of/{name}"])
