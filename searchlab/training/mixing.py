"""Images mixed in pairs: mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019).

Each image has a share of its own, drawn from torch's generator, which a step seeds
(``seeded_draws``). Its partner is the image before it in the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Beta

from searchlab.config.settings import TrainingSettings
from searchlab.training.losses import Targets

__all__ = ["Mixer"]


class Mixer:
    """Mixes a batch as ``TrainingSettings`` says; of mixup and cutmix, each image has one."""

    def __init__(self, settings: TrainingSettings) -> None:
        self._mixup = settings.mixup
        self._cutmix = settings.cutmix

    @property
    def is_active(self) -> bool:
        """Whether it changes images."""
        return self._mixup > 0 or self._cutmix > 0

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Targets]:
        """Return images [B, C, H, W], float32 as they come, and what they are mixed of."""
        count, device = len(labels), images.device
        mask = torch.empty((count, 1, *images.shape[2:]), device=device)
        is_blended = torch.full((count,), self._mixup > 0, device=device)
        if self._mixup > 0 and self._cutmix > 0:
            is_blended = torch.rand(count, device=device) < 0.5
        mask[:] = 1.0
        if self._mixup > 0:
            share = _draw_shares(self._mixup, count, device)
            mask = torch.where(_per_image(is_blended), _per_image(share), mask)
        if self._cutmix > 0:
            pasted = _draw_boxes(_draw_shares(self._cutmix, count, device), images)
            mask = torch.where(_per_image(is_blended), mask, (~pasted).float())
        partners = images.roll(1, 0)
        mixed = images * mask + partners * (1 - mask)
        return mixed, Targets(labels, labels.roll(1, 0), mask.mean((1, 2, 3)))


def _draw_shares(alpha: float, count: int, device: torch.device) -> Tensor:
    ends = torch.full((count,), alpha, device=device)
    # Validation would wait for the device.
    return Beta(ends, ends, validate_args=False).sample()


def _draw_boxes(share: Tensor, images: Tensor) -> Tensor:
    """Return where each image is pasted over [B, 1, H, W]: a box of 1 - share of its area, cut."""
    inside = torch.ones((len(share), 1, 1, 1), dtype=torch.bool, device=images.device)
    for axis in (2, 3):
        size = images.shape[axis]
        half = _per_image((1 - share).sqrt() * size / 2)
        centre = _per_image(torch.rand(len(share), device=images.device) * size)
        shape = [1, 1, 1, 1]
        shape[axis] = size
        places = torch.arange(size, device=images.device).reshape(shape) + 0.5
        inside = inside & ((places - centre).abs() < half)
    return inside


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]
