"""A subset of the training images, for a quick look: stratified, and always the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from searchlab.config.seeds import derive_seed
from searchlab.data.image_data import ImageData, Labels
from searchlab.errors import InputError

__all__ = ["limit_training"]


def limit_training(data: ImageData, limit: int) -> ImageData:
    """Keep at most ``limit`` training images: of each class its share, and at least one.

    The draw is fixed: it does not depend on a study's seed. The test set is not reduced, so test
    figures are comparable for any limit. Raises ``InputError`` if the limit is below the number of
    classes.
    """
    classes, counts = np.unique(data.train_labels, return_counts=True)
    if limit < len(classes):
        raise InputError(
            f"must be at least one image per class ({len(classes)})",
            where=("dataset", "limit"),
            found=limit,
        )
    if limit >= len(data.train_labels):
        return data
    shares = _share_out(limit, counts)
    chosen = [
        _draw(data.train_labels, int(label), share)
        for label, share in zip(classes, shares, strict=True)
    ]
    indices = np.sort(np.concatenate(chosen))
    return replace(
        data,
        train_images=data.train_images[indices],
        mapped_files=None,
        train_sums=None,
        train_labels=data.train_labels[indices],
        train_files=tuple(data.train_files[index] for index in indices) if data.train_files else (),
        train_groups=None if data.train_groups is None else data.train_groups[indices],
        train_times=None if data.train_times is None else data.train_times[indices],
    )


def _share_out(limit: int, counts: NDArray[np.int64]) -> list[int]:
    """Give one to each class, and the rest in proportion, by largest remainder."""
    rest, others = limit - len(counts), int(counts.sum()) - len(counts)
    # Python integers: exact, so the same on every machine.
    wholes, remainders = zip(
        *(divmod(rest * (int(count) - 1), others) for count in counts), strict=True
    )
    by_remainder = sorted(range(len(counts)), key=lambda index: (-remainders[index], index))
    lucky = set(by_remainder[: rest - sum(wholes)])
    return [1 + whole + (index in lucky) for index, whole in enumerate(wholes)]


def _draw(labels: Labels, label: int, share: int) -> NDArray[np.int64]:
    generator = np.random.default_rng(derive_seed("limit", label))
    indices = np.flatnonzero(labels == label)
    return generator.permutation(indices)[:share]
