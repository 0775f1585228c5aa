"""Splits without scikit-learn: equal to scikit-learn's to the index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchlab.data.stratified import split_off_test, stratified_validation

_SEEDS = st.integers(0, 2**32 - 1)


@given(
    labels=st.lists(st.integers(0, 5), min_size=30, max_size=120), seed=_SEEDS,
    num_folds=st.integers(2, 6),
)  # fmt: skip
def test_folds_are_those_of_stratified_k_fold(labels: list[int], seed: int, num_folds: int) -> None:
    from sklearn.model_selection import StratifiedKFold

    array = np.array([*labels, *range(6)] * 6, dtype=np.int64)
    split = StratifiedKFold(n_splits=num_folds, shuffle=True, random_state=seed)
    expected = [np.sort(validation) for _, validation in split.split(array, array)]
    ours = stratified_validation(array, num_folds=num_folds, seed=seed)
    assert [fold.tolist() for fold in ours] == [fold.tolist() for fold in expected]


@given(
    labels=st.lists(st.integers(0, 5), min_size=30, max_size=120), seed=_SEEDS,
    num_test=st.integers(6, 30),
)  # fmt: skip
def test_the_test_set_is_that_of_train_test_split(
    labels: list[int], seed: int, num_test: int
) -> None:
    from sklearn.model_selection import train_test_split

    array = np.array([*labels, *range(6), *range(6)], dtype=np.int64)
    expected = train_test_split(
        np.arange(len(array)), test_size=num_test, stratify=array, random_state=seed
    )
    ours = split_off_test(array, num_test=num_test, seed=seed)
    assert [part.tolist() for part in ours] == [part.tolist() for part in expected]


@pytest.mark.parametrize("labels", [[1, 1, 0, 0], [3, 3, 3, 1, 1, 1]])
def test_classes_need_not_be_numbered_from_zero_or_in_order(labels: list[int]) -> None:
    folds = stratified_validation(np.array(labels), num_folds=2, seed=0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(len(labels)))
