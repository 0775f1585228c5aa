"""Pictures that occur more than once."""

from __future__ import annotations

import numpy as np

from searchlab.analysis.duplicates import Copies, CopyCounts, count_copies, find_copies


def draw(count: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, 3, 5, 4), dtype=np.uint8)


def test_planted_copies_are_all_that_is_found() -> None:
    images = draw(20)
    training, test = images[:12].copy(), images[12:].copy()
    training[7] = training[2]
    training[9] = training[2]
    test[3] = training[2]
    test[5] = training[11]
    test[6] = test[0]
    assert find_copies(training, test) == [
        Copies(training=[2, 7, 9], test=[3]),
        Copies(training=[11], test=[5]),
        Copies(training=[], test=[0, 6]),
    ]


def test_one_pixel_makes_another_picture() -> None:
    images = draw(4)
    near = images.copy()
    near[:, 0, 0, 0] ^= 1
    assert find_copies(images, near) == []


def test_the_layout_in_memory_does_not_count() -> None:
    images = draw(3)
    turned = np.asfortranarray(images)
    assert [copies.test for copies in find_copies(images, turned)] == [[0], [1], [2]]


def test_copies_are_counted_by_what_they_copy_and_by_its_label() -> None:
    training, test = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 2, 2])
    copies = [
        Copies(training=[0, 1, 2], test=[0]),  # two repeats, one with another label; a test image
        Copies(training=[3], test=[1, 2]),  # two test images, one with another label
        Copies(training=[], test=[2, 3]),
    ]
    assert count_copies(copies, training, test) == CopyCounts(
        across=3, across_differing=2, training=2, training_differing=1
    )
    assert [each.labels(training, test) for each in copies] == [{0, 1}, {1, 2}, {2}]
