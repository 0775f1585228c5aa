"""What layers draw from torch's own generators, such as torch's dropout: it follows from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded_draws"]


@contextmanager
def seeded_draws(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's own generators of the CPU and ``device``; restore them at the end.

    Networks from elsewhere draw from them. (``torch.manual_seed`` would seed every device, and
    remember each call until one is used.)
    """
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)
        for index in devices:
            torch.cuda.default_generators[index].manual_seed(seed)
        yield
