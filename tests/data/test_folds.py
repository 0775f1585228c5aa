from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchlab.data import stratified_folds, train_indices
from searchlab.data.folds import ordered_folds
from searchlab.errors import InputError


@st.composite
def labels_and_folds(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Shuffled labels, classes of unequal size, and a number of folds that they allow."""
    num_folds = draw(st.integers(2, 6))
    counts = draw(st.lists(st.integers(num_folds, 25), min_size=1, max_size=5))
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(draw(st.integers(0, 100))).shuffle(labels)
    return labels, num_folds


@settings(deadline=None, max_examples=50)
@given(case=labels_and_folds(), seed=st.integers(0, 2**63 - 1))
def test_folds_are_disjoint_cover_all_and_are_sorted(
    case: tuple[np.ndarray, int], seed: int
) -> None:
    labels, num_folds = case
    folds = stratified_folds(labels, num_folds=num_folds, seed=seed)
    assert len(folds) == num_folds
    assert np.array_equal(np.sort(np.concatenate(folds)), np.arange(len(labels)))
    for fold in folds:
        assert fold.dtype == np.int64
        assert np.array_equal(fold, np.sort(fold))


@settings(deadline=None, max_examples=50)
@given(case=labels_and_folds(), seed=st.integers(0, 1_000))
def test_class_counts_differ_by_one_at_most_between_folds(
    case: tuple[np.ndarray, int], seed: int
) -> None:
    labels, num_folds = case
    folds = stratified_folds(labels, num_folds=num_folds, seed=seed)
    counts = np.stack([np.bincount(labels[fold], minlength=labels.max() + 1) for fold in folds])
    assert np.ptp(counts, axis=0).max() <= 1


@settings(deadline=None, max_examples=50)
@given(case=labels_and_folds(), seed=st.integers(0, 1_000))
def test_training_and_validation_of_a_fold_are_complements(
    case: tuple[np.ndarray, int], seed: int
) -> None:
    labels, num_folds = case
    folds = stratified_folds(labels, num_folds=num_folds, seed=seed)
    for number, fold in enumerate(folds):
        training = train_indices(folds, number, len(labels))
        assert training.dtype == np.int64
        assert sorted([*training, *fold]) == list(range(len(labels)))
    assert train_indices(folds, None, len(labels)).tolist() == list(range(len(labels)))


def test_folds_are_the_same_for_a_seed_and_differ_for_others() -> None:
    labels = np.arange(200) % 4
    first = np.concatenate(stratified_folds(labels, num_folds=5, seed=3))
    again = np.concatenate(stratified_folds(labels, num_folds=5, seed=3))
    assert np.array_equal(first, again)
    others = [np.concatenate(stratified_folds(labels, num_folds=5, seed=s)) for s in range(3)]
    assert not any(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("num_folds", [-1, 0, 1])
def test_fewer_than_two_folds_are_refused(num_folds: int) -> None:
    with pytest.raises(InputError, match=rf"validation\.folds must be >= 2, got {num_folds}"):
        stratified_folds(np.arange(20) % 2, num_folds=num_folds, seed=0)


def test_a_class_of_fewer_images_than_folds_is_in_as_many_folds() -> None:
    labels = np.array([0] * 9 + [7] * 2 + [2] * 5)
    folds = stratified_folds(labels, num_folds=4, seed=0)
    assert sorted(int((labels[fold] == 7).sum()) for fold in folds) == [0, 0, 1, 1]
    assert sorted(np.concatenate(folds)) == list(range(len(labels)))


def test_a_class_of_one_image_and_more_folds_than_images_are_refused() -> None:
    with pytest.raises(InputError, match="two training images of each class, and class 7 has one"):
        stratified_folds(np.array([0] * 9 + [7] + [2] * 5), num_folds=2, seed=0)
    with pytest.raises(InputError, match=r"must not exceed the training images \(4\), got 5"):
        stratified_folds(np.arange(4) % 2, num_folds=5, seed=0)


@settings(deadline=None, max_examples=50)
@given(
    times=st.lists(st.integers(0, 30), min_size=12, max_size=60).map(np.array),
    num_folds=st.integers(2, 5),
)
def test_ordered_folds_validate_later_images_than_they_train_on(
    times: np.ndarray, num_folds: int
) -> None:
    if len(np.unique(times)) <= num_folds:
        with pytest.raises(InputError, match=r"needs images of .* different times at least"):
            ordered_folds(times, num_folds=num_folds)
        return
    folds = ordered_folds(times, num_folds=num_folds)
    assert len(folds) == num_folds
    earliest = set(range(len(times))) - set(np.concatenate(folds).tolist())
    for fold, validation in enumerate(folds):
        training = train_indices(folds, fold, len(times), times=times)
        assert times[training].max() < times[validation].min()
        assert earliest <= set(training.tolist())
        num_later = sum(len(later) for later in folds[:fold])
        assert len(training) + len(validation) + num_later == len(times)
    assert len(train_indices(folds, None, len(times), times=times)) == len(times)


def test_ordered_folds_are_about_equal_and_the_latest_comes_first() -> None:
    folds = ordered_folds(np.arange(60)[::-1], num_folds=5)
    assert [len(fold) for fold in folds] == [10] * 5
    assert [int(fold.min()) for fold in folds] == [0, 10, 20, 30, 40]


def test_a_fold_out_of_range_is_a_bug() -> None:
    folds = stratified_folds(np.arange(20) % 2, num_folds=4, seed=0)
    for fold in (-1, 4):
        with pytest.raises(AssertionError):
            train_indices(folds, fold, 20)
