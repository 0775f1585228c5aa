"""Images too large for memory: read from their files, the same bits, in any order."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trial_configs import load_digits, make_trial, untimed

from searchlab.config.trial import ModelConfig
from searchlab.data import ImageData, image_data, load_dataset, stratified_folds
from searchlab.data.shared_images import SharedImages, open_shared, share_images
from searchlab.errors import InputError
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.stored_images import StoredImages

SHAPE = (40, 3, 5, 4)


@pytest.fixture
def pixels(tmp_path: Path) -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    return images


def test_images_are_those_of_the_file_whether_expected_or_not(
    pixels: np.ndarray, tmp_path: Path
) -> None:
    stored = StoredImages(tmp_path / "images.npy")
    assert (len(stored), tuple(stored.shape)) == (40, SHAPE)
    batches = [torch.tensor([39, 0, 0, 7]), torch.tensor([3]), torch.tensor([5, 6])]

    def check(indices: torch.Tensor) -> None:
        assert np.array_equal(stored[indices].numpy(), pixels[indices.numpy()])

    stored.expect(batches)
    for batch in batches:
        check(batch)
    stored.expect(batches)
    check(torch.tensor([1, 2]))  # what nobody expected
    check(batches[0])
    stored.expect(reversed(batches))  # another epoch before the first has ended
    for batch in reversed(batches):
        check(batch)
    check(batches[0])


def test_what_is_expected_is_read_before_it_is_asked_for_and_not_all_of_it(
    pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, read = StoredImages(tmp_path / "images.npy"), []
    monkeypatch.setattr("searchlab.training.stored_images._MOST_AHEAD_BYTES", 4 * 60)
    preadv = os.preadv

    def noting(file: int, buffers: Any, place: int) -> int:
        read.append(place)
        return preadv(file, buffers, place)

    monkeypatch.setattr(os, "preadv", noting)
    batches = [torch.tensor([2 * index, 2 * index + 1]) for index in range(10)]
    stored.expect(batches)
    stored._reader.submit(lambda: None).result()  # after what was asked of the thread
    assert len(read) == 4
    for batch in batches:
        stored[batch]
    stored._reader.submit(lambda: None).result()
    assert len(read) == 20, "each image once"


def test_a_file_that_was_cut_is_an_error(pixels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    stored = StoredImages(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    with pytest.raises(OSError, match="ends before image 39"):
        stored[torch.tensor([39])]


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageData:
    """Digits whose images are mapped from files, and count as too large for memory."""
    images = load_dataset("digits", tmp_path)
    files = tmp_path / "train.npy", tmp_path / "test.npy"
    for file, pixels in zip(files, (images.train_images, images.test_images), strict=True):
        np.save(file, pixels)
    monkeypatch.setattr(image_data, "LARGE_BYTES", 1000)
    return replace(images, mapped_files=files)


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": "flip+crop"},
        {"model": ModelConfig(family="a2", scheme="HF")},  # whose first layer is frozen
    ],
    ids=["augmented", "frozen"],
)
def test_a_trial_on_stored_images_has_the_same_bits(
    large: ImageData, changes: dict[str, Any]
) -> None:
    in_memory = load_digits()
    folds = stratified_folds(large.train_labels, num_folds=len(in_memory.folds), seed=0)
    in_memory = replace(in_memory, folds=folds)
    stored = TrainingData.from_images(large, folds, torch.device("cpu"))
    assert isinstance(stored.train_images, StoredImages)
    assert isinstance(stored.test_images, StoredImages)
    results = []
    # The processor by its number: torch takes it for another device than where the images are.
    fetched = replace(stored, device=torch.device("cpu:0"), test_images=in_memory.test_images)
    for data in (in_memory, stored, fetched):
        cohort = Cohort(make_trial(epochs=2, **changes), data)
        results.append([untimed(cohort.run_epoch()) for _ in range(2)])
    assert results[0] == results[1] == results[2]
    assert results[0][-1].test is not None


def test_a_process_gets_the_files_of_large_images_and_the_bytes_of_others(large: ImageData) -> None:
    shared = share_images(large)
    assert isinstance(shared, SharedImages)
    assert large.mapped_files is not None
    sent = pickle.dumps(shared)
    assert len(sent) < large.num_bytes / 2
    opened = open_shared(pickle.loads(sent))
    assert opened.fingerprint() == large.fingerprint()
    assert opened.is_large
    large.mapped_files[1].unlink()
    with pytest.raises(InputError, match=r"test\.npy is gone: the decoded images .* must stay"):
        open_shared(shared)
    small = share_images(replace(large, mapped_files=None))
    assert open_shared(small) is small


def test_another_machine_is_sent_the_bytes_and_does_not_look_for_the_files(
    large: ImageData,
) -> None:
    sent = pickle.loads(pickle.dumps(large.without_files()))
    assert not sent.is_large
    data = TrainingData.from_images(sent, (), torch.device("cpu"))
    assert isinstance(data.train_images, torch.Tensor)
