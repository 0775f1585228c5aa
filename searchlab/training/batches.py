"""The batches of an epoch, and the parts of a batch whose gradients add up to one step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from searchlab.config.settings import TrainingSettings

__all__ = ["largest_batch", "split_batch", "split_epoch"]


def split_epoch(indices: Tensor, settings: TrainingSettings) -> list[Tensor]:
    """Split an epoch's images into those of each step; a single last image joins the step before.

    Batch normalisation refuses a batch of one, which has no variance.
    """
    size = settings.batch_size * settings.accumulate
    batches = list(torch.split(indices, size))
    if len(batches) > 1 and len(batches[-1]) == 1 < settings.batch_size:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def split_batch(batch: Tensor, settings: TrainingSettings) -> Sequence[Tensor]:
    """Split a step's images into ``accumulate`` parts of about ``batch_size``.

    A last step has fewer parts. They have two images at least, if batches do.
    """
    most = len(batch) if settings.batch_size == 1 else max(1, len(batch) // 2)
    num_parts = min(settings.accumulate, -(-len(batch) // settings.batch_size), most)
    return torch.tensor_split(batch, num_parts)


def largest_batch(settings: TrainingSettings) -> int:
    """Return the most images of a step."""
    return settings.batch_size * settings.accumulate + 1
