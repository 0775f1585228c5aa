"""Cross-validation folds: stratified, disjoint, and always the same for one seed.

See docs/design.md, decision 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchlab.config.seeds import derive_seed
from searchlab.data.stratified import stratified_validation
from searchlab.errors import InputError

__all__ = ["Indices", "split_groups", "stratified_folds", "train_indices"]

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


def split_groups(
    labels: NDArray[np.int64], groups: NDArray[Any], *, num_folds: int, seed: int
) -> tuple[Indices, ...]:
    """Deal whole groups into folds of about equal shares of each class."""
    from sklearn.model_selection import StratifiedGroupKFold  # imports scipy and pandas

    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    parts = splitter.split(np.zeros(len(labels)), labels, groups)
    return tuple(np.sort(held_out).astype(np.int64) for _, held_out in parts)


def train_indices(folds: Sequence[Indices], fold: int | None, num_samples: int) -> Indices:
    """Return the sorted indices that the model of ``fold`` trains on: all outside that fold.

    ``None`` is the member that trains on the whole training set (docs/design.md, decision 6).
    """
    training = np.ones(num_samples, dtype=np.bool_)
    if fold is not None:
        assert 0 <= fold < len(folds), f"{fold=} of {len(folds)}"
        training[folds[fold]] = False
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
