"""Dropout that draws from a generator it is given, never from the global one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SeededDropout", "set_dropout_generator"]


class SeededDropout(nn.Module):
    """In training, zero each value with ``probability`` p and scale the rest by 1 / (1 - p).

    It is the identity in eval mode and for p = 0. Training with p > 0 raises RuntimeError unless
    ``set_dropout_generator`` was called. The generator must be on the device of the inputs.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"dropout must be in [0, 1), got {probability!r}")
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with values dropped; any shape."""
        if not self.training or self.probability == 0:
            return x
        if self.generator is None:
            raise RuntimeError("training with dropout needs set_dropout_generator() first")
        keep = 1 - self.probability
        mask = torch.empty_like(x).bernoulli_(keep, generator=self.generator)
        return x * mask.div_(keep)

    def extra_repr(self) -> str:
        """Show the probability when the model is printed."""
        return f"probability={self.probability}"


def set_dropout_generator(model: nn.Module, generator: torch.Generator) -> None:
    """Make every SeededDropout in ``model`` draw from ``generator``."""
    for module in model.modules():
        if isinstance(module, SeededDropout):
            module.generator = generator
