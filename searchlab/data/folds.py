"""Cross-validation folds: disjoint, and always the same for one seed.

They are stratified, or of whole groups, or each later than what its model trains on.

See docs/design.md, decision 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchlab.config.seeds import derive_seed
from searchlab.data.image_data import ImageData
from searchlab.data.stratified import stratified_validation
from searchlab.errors import InputError, Location

__all__ = [
    "Indices",
    "folds_of",
    "ordered_folds",
    "split_groups",
    "split_times",
    "stratified_folds",
    "train_indices",
]

Indices = NDArray[np.int64]


def stratified_folds(
    labels: NDArray[np.int64], *, num_folds: int, seed: int, groups: Indices | None = None
) -> tuple[Indices, ...]:
    """Split 0..len(labels)-1 into the folds' validation indices, each sorted.

    The folds are disjoint and together hold every index; the count of a class differs by at most
    one between folds, so a class of fewer images is missing in some. With ``groups``, a group lies
    in one fold, and the classes' shares are only about equal. Raises ``InputError`` if num_folds is
    less than 2, or more than there are images, or groups of a class; or if a class has one image.
    """
    _check_num_folds(labels, num_folds)
    fold_seed = derive_seed(seed, "folds") % 2**32  # numpy takes 32 bits
    if groups is None:
        return stratified_validation(labels, num_folds=num_folds, seed=fold_seed)
    _check_num_groups(labels, groups, num_folds)
    return split_groups(labels, groups, num_folds=num_folds, seed=fold_seed)


def folds_of(data: ImageData, *, num_folds: int, seed: int) -> tuple[Indices, ...]:
    """Return the validation indices of a training set's folds: ordered, grouped or stratified."""
    if data.train_times is not None:
        return ordered_folds(data.train_times, num_folds=num_folds)
    return stratified_folds(
        data.train_labels, num_folds=num_folds, seed=seed, groups=data.train_groups
    )


def ordered_folds(times: Indices, *, num_folds: int) -> tuple[Indices, ...]:
    """Cut images into one part more than folds, by their times; the earliest part is in no fold.

    The latest fold comes first, because its model trains on the most. Parts are as equal as equal
    times, which stay together, allow. Raises ``InputError`` if there are too few times.
    """
    where = ("validation", "folds")
    if num_folds < 2:
        raise InputError("must be >= 2", where=where, found=num_folds)
    return split_times(times, num_parts=num_folds + 1, where=where)[:0:-1]


def split_times(times: Indices, *, num_parts: int, where: str | Location) -> tuple[Indices, ...]:
    """Cut images into parts, each later than the one before; return the indices of each."""
    different, ranks, counts = np.unique(times, return_inverse=True, return_counts=True)
    if len(different) < num_parts:
        raise InputError(
            f"needs images of {num_parts} different times at least",
            where=where,
            found=len(different),
            remedy="Use fewer folds, or name no column of times",
        )
    ends = np.cumsum(counts)
    cuts: list[int] = []  # the last rank of each part but the last
    for part in range(1, num_parts):
        low = cuts[-1] + 1 if cuts else 0
        candidates = ends[low : len(ends) - (num_parts - part)]
        cuts.append(low + int(np.abs(candidates - part * len(times) / num_parts).argmin()))
    parts = np.searchsorted(cuts, ranks)
    return tuple(np.flatnonzero(parts == part).astype(np.int64) for part in range(num_parts))


def split_groups(
    labels: NDArray[np.int64], groups: NDArray[Any], *, num_folds: int, seed: int
) -> tuple[Indices, ...]:
    """Deal whole groups into folds of about equal shares of each class."""
    from sklearn.model_selection import StratifiedGroupKFold  # imports scipy and pandas

    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    parts = splitter.split(np.zeros(len(labels)), labels, groups)
    return tuple(np.sort(held_out).astype(np.int64) for _, held_out in parts)


def train_indices(
    folds: Sequence[Indices], fold: int | None, num_samples: int, *, times: Indices | None = None
) -> Indices:
    """Return the sorted indices that the model of ``fold`` trains on: all outside that fold.

    With ``times``, only those that are earlier than all of the fold. ``None`` is the member that
    trains on the whole training set (docs/design.md, decision 6).
    """
    training = np.ones(num_samples, dtype=np.bool_)
    if fold is not None:
        assert 0 <= fold < len(folds), f"{fold=} of {len(folds)}"
        training[folds[fold]] = False
        if times is not None:
            training &= times < times[folds[fold]].min()
    return np.flatnonzero(training).astype(np.int64)


def _check_num_groups(labels: Indices, groups: Indices, num_folds: int) -> None:
    counts = {int(label): len(np.unique(groups[labels == label])) for label in np.unique(labels)}
    smallest = min(counts, key=lambda label: counts[label])
    if counts[smallest] < num_folds:
        raise InputError(
            "must not exceed the groups of the class with the fewest "
            f"(class {smallest} is in {counts[smallest]})",
            where=("validation", "folds"),
            found=num_folds,
            remedy="Use fewer folds, or name no column of groups if images are independent",
        )


def _check_num_folds(labels: NDArray[np.int64], num_folds: int) -> None:
    where = ("validation", "folds")
    if num_folds < 2:
        raise InputError("must be >= 2", where=where, found=num_folds)
    classes, counts = np.unique(labels, return_counts=True)
    smallest = int(counts.argmin())
    if num_folds > len(labels):
        raise InputError(
            f"must not exceed the training images ({len(labels)})",
            where=where,
            found=num_folds,
            remedy="Use fewer folds or more images (raise dataset.limit if it is set)",
        )
    if counts[smallest] < 2:
        raise InputError(
            f"need two training images of each class, and class {classes[smallest]} has one: the "
            "fold that validates it would train on none",
            where=where,
            remedy="Add images or leave the class out (raise dataset.limit if it is set)",
        )
