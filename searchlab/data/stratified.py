"""Splits that keep the classes' shares, the same to the index as scikit-learn's.

scikit-learn's own are not called: importing them brings scipy and pandas, which takes seconds at
the start of every study and command.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["split_off_test", "stratified_validation"]

Indices = NDArray[np.int64]


def stratified_validation(labels: Indices, *, num_folds: int, seed: int) -> tuple[Indices, ...]:
    """Return each fold's sorted validation indices: those of StratifiedKFold, shuffled by ``seed``.

    Each class must have ``num_folds`` images or more.
    """
    rng = np.random.RandomState(seed)
    _, first_seen, inverse = np.unique(labels, return_index=True, return_inverse=True)
    _, rank = np.unique(first_seen, return_inverse=True)
    classes = rank[inverse]  # numbered by their first image
    num_classes = len(first_seen)
    in_order = np.sort(classes)
    fold_of = np.empty(len(labels), dtype=np.int64)
    sizes = [np.bincount(in_order[fold::num_folds], minlength=num_classes)
             for fold in range(num_folds)]  # fmt: skip
    for number in range(num_classes):
        folds = np.repeat(np.arange(num_folds), [size[number] for size in sizes])
        rng.shuffle(folds)
        fold_of[classes == number] = folds
    return tuple(np.flatnonzero(fold_of == fold).astype(np.int64) for fold in range(num_folds))


def split_off_test(labels: Indices, *, num_test: int, seed: int) -> tuple[Indices, Indices]:
    """Return the indices of train_test_split, stratified: training and test, each shuffled."""
    rng = np.random.RandomState(seed)
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(classes, kind="stable"), np.cumsum(counts)[:-1])
    num_train = _share(counts, len(labels) - num_test, rng)
    num_test_of = _share(counts - num_train, num_test, rng)
    train: list[Indices] = []
    test: list[Indices] = []
    for own, in_train, in_test in zip(members, num_train, num_test_of, strict=True):
        shuffled = own[rng.permutation(len(own))]
        train.append(shuffled[:in_train])
        test.append(shuffled[in_train : in_train + in_test])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))


def _share(counts: Indices, num_drawn: int, rng: np.random.RandomState) -> Indices:
    """Share ``num_drawn`` among classes by their sizes; what is left over goes by lot."""
    exact = counts / counts.sum() * num_drawn
    shares = np.floor(exact)
    rest = exact - shares
    left = int(num_drawn - shares.sum())
    for value in np.unique(rest)[::-1]:
        if not left:
            break
        (tied,) = np.nonzero(rest == value)
        chosen = rng.choice(tied, size=min(len(tied), left), replace=False)
        shares[chosen] += 1
        left -= len(chosen)
    whole: Indices = shares.astype(np.int64)
    return whole
