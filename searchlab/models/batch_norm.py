"""Batch normalisation that can be frozen for good and accepts a batch of one image."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["BatchNorm1d", "BatchNorm2d"]


class _Freezable(_BatchNorm):
    """What both classes add to torch's; the tensors keep torch's names and values."""

    frozen = False

    def freeze(self) -> None:
        """Keep weights and running statistics as they are, even under ``model.train()``."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Enter training mode, unless frozen."""
        return super().train(mode and not self.frozen)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [B, C, ...]; in training, use running statistics if a channel has one value.

        An epoch's last batch may hold a single image, and torch refuses to compute its statistics.
        """
        if self.training and x.numel() == x.shape[1]:
            return batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


class BatchNorm1d(_Freezable, nn.BatchNorm1d):
    """``nn.BatchNorm1d`` with ``freeze()``: units [B, C]."""


class BatchNorm2d(_Freezable, nn.BatchNorm2d):
    """``nn.BatchNorm2d`` with ``freeze()``: maps [B, C, H, W]."""
