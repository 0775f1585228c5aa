from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searchlab.data import ChannelSums, stratified_folds, train_indices


@settings(deadline=None, max_examples=50)
@given(
    shape=st.tuples(st.integers(2, 9), st.integers(1, 3), st.integers(1, 6), st.integers(2, 6)),
    seed=st.integers(0, 1_000),
    data=st.data(),
)
def test_mean_and_std_equal_numpys_in_float64(
    shape: tuple[int, int, int, int], seed: int, data: st.DataObject
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    chosen = st.lists(st.integers(0, shape[0] - 1), min_size=1, unique=True)
    indices = np.array(data.draw(chosen))
    mean, std = ChannelSums.from_images(images).mean_std(indices)
    scaled = images[indices].astype(np.float64) / 255
    assert mean.dtype == std.dtype == np.float64
    np.testing.assert_allclose(mean, scaled.mean(axis=(0, 2, 3)), rtol=1e-12)
    expected_std = np.maximum(scaled.std(axis=(0, 2, 3)), 1 / 255)
    np.testing.assert_allclose(std, expected_std, rtol=1e-12)


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (11, 3, 4, 4), dtype=np.uint8)
    whole = ChannelSums.from_images(images)
    for chunk_bytes in (1, 100, 4 * 48):
        monkeypatch.setattr("searchlab.data.statistics._CHUNK_BYTES", chunk_bytes)
        chunked = ChannelSums.from_images(images)
        assert np.array_equal(chunked.sums, whole.sums)
        assert np.array_equal(chunked.squares, whole.squares)


def test_read_only_images_are_accepted() -> None:
    images = np.full((4, 1, 3, 3), 51, dtype=np.uint8)
    images.setflags(write=False)
    mean, _ = ChannelSums.from_images(images).mean_std(np.arange(4))
    assert mean.tolist() == [0.2]


def test_constant_images_get_one_grey_level_as_deviation() -> None:
    images = np.full((4, 2, 3, 3), 200, dtype=np.uint8)
    _, std = ChannelSums.from_images(images).mean_std(np.arange(4))
    assert std.tolist() == [1 / 255] * 2


def test_totals_beyond_64_bits_stay_exact() -> None:
    # count * squares is about 1e26 here, far past int64.
    sums = ChannelSums(
        sums=np.array([[0], [255 * 2**26]]),
        squares=np.array([[0], [255**2 * 2**26]]),
        pixels_per_image=2**26,
    )
    repeated = np.arange(2).repeat(400)
    mean, std = sums.mean_std(repeated)
    assert mean.tolist() == [0.5]
    assert std.tolist() == [0.5]


def test_the_validation_fold_does_not_leak_into_the_statistics() -> None:
    images = np.zeros((40, 1, 4, 4), dtype=np.uint8)
    images[::2] = 100
    folds = stratified_folds(np.arange(40) % 2, num_folds=4, seed=0)
    before = ChannelSums.from_images(images).mean_std(train_indices(folds, 1, 40))
    images[folds[1]] = 255
    after = ChannelSums.from_images(images).mean_std(train_indices(folds, 1, 40))
    assert [array.tolist() for array in before] == [array.tolist() for array in after]
