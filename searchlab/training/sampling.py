"""Which images an epoch trains on, and in which order."""

from __future__ import annotations

import torch
from torch import Tensor

from searchlab.config.settings import SamplingName

__all__ = ["draw_epoch"]


def draw_epoch(labels: Tensor, sampling: SamplingName, drawing: torch.Generator) -> Tensor:
    """Return the places [N] in ``labels`` [N] of an epoch's images, on the CPU, in random order.

    ``shuffle`` takes every image once. ``balanced`` takes equally many of each class, but for one:
    all images of a small class as often as they go, and a random part of them once more; a random
    part of those of a large class.
    """
    if sampling == "shuffle":
        return torch.randperm(len(labels), generator=drawing)
    own = labels.cpu()
    classes = torch.nonzero(torch.bincount(own))[:, 0]
    each, more = divmod(len(own), len(classes))
    lucky = torch.randperm(len(classes), generator=drawing)[:more].tolist()
    drawn = []
    for number, label in enumerate(classes.tolist()):
        places = torch.nonzero(own == label)[:, 0]
        times, rest = divmod(each + (number in lucky), len(places))
        some = torch.randperm(len(places), generator=drawing)[:rest]
        drawn.append(torch.cat([places.repeat(times), places[some]]))
    return torch.cat(drawn)[torch.randperm(len(own), generator=drawing)]
