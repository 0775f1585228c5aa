"""Images mixed in pairs: mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019).

Each image has a share of its own. Its partner is the image before it in the batch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from searchlab.config.settings import TrainingSettings
from searchlab.training.losses import Targets

__all__ = ["Mixer"]

_NUM_QUANTILES = 4096


class Mixer:
    """Mixes a batch as ``TrainingSettings`` says; of mixup and cutmix, each image has one."""

    def __init__(self, settings: TrainingSettings, device: torch.device) -> None:
        self._mixup = _read_quantiles(settings.mixup, device)
        self._cutmix = _read_quantiles(settings.cutmix, device)

    @property
    def is_active(self) -> bool:
        """Whether it changes images."""
        return self._mixup is not None or self._cutmix is not None

    def __call__(
        self, images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Targets]:
        """Return images [B, C, H, W], float32 as they come, and what they are mixed of.

        All randomness comes from the generator, which must be on the images' device.
        """
        own = torch.ones_like(images[:, :1])
        if self._cutmix is not None:
            share = _draw_shares(self._cutmix, images, generator)
            own = (~_draw_boxes(share, images, generator)).float()
        if self._mixup is not None:
            blended = torch.ones_like(own) * _draw_shares(self._mixup, images, generator)
            is_blended = _draw(images, generator) < (1.0 if self._cutmix is None else 0.5)
            own = torch.where(is_blended, blended, own)
        mixed = images * own + images.roll(1, 0) * (1 - own)
        return mixed, Targets(labels, labels.roll(1, 0), own.mean((1, 2, 3)))


def _read_quantiles(alpha: float, device: torch.device) -> Tensor | None:
    """Return the quantiles of Beta(alpha, alpha) at equal steps from 0 to 1; None for alpha 0.

    A uniform draw between them is a draw from Beta, which torch draws from no generator of ours.
    """
    if alpha == 0:
        return None
    from scipy.special import betaincinv  # which a bare GPU box may lack

    quantiles = betaincinv(alpha, alpha, np.linspace(0, 1, _NUM_QUANTILES + 1))
    return torch.from_numpy(quantiles).to(device, torch.float32)


def _draw_shares(quantiles: Tensor, images: Tensor, generator: torch.Generator) -> Tensor:
    position = _draw(images, generator) * _NUM_QUANTILES
    below = position.long()
    return torch.lerp(quantiles[below], quantiles[below + 1], position - below)


def _draw_boxes(share: Tensor, images: Tensor, generator: torch.Generator) -> Tensor:
    """Return where each image is pasted over [B, 1, H, W]: a box of 1 - share of its area, cut."""
    inside = torch.ones_like(images[:, :1], dtype=torch.bool)
    for axis in (2, 3):
        size = images.shape[axis]
        half = (1 - share).sqrt() * size / 2
        centre = _draw(images, generator) * size
        places = torch.arange(size, device=images.device).reshape(
            [1, 1, size, 1] if axis == 2 else [1, 1, 1, size]
        )
        inside = inside & ((places + 0.5 - centre).abs() < half)
    return inside


def _draw(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return a uniform draw for each image [B, 1, 1, 1]."""
    return torch.rand((len(images), 1, 1, 1), generator=generator, device=images.device)
