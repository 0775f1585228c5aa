"""TrainingData: a dataset and its folds for models on one device."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from searchlab.config.trial import Normalization
from searchlab.data.folds import Indices, train_indices
from searchlab.data.image_data import ImageData
from searchlab.data.statistics import ChannelSums
from searchlab.errors import InputError
from searchlab.training.process import most_image_bytes
from searchlab.training.stored_images import StoredImages

__all__ = ["Normalizer", "TrainingData"]

# ImageNet's training images in [0, 1], as weights pretrained on it expect.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Normalizer:
    """Maps [B, C, H, W] to float32: ``(pixel / 255 - mean) / std`` as one multiply-add."""

    scale: Tensor  # [1, C, 1, 1]
    shift: Tensor

    @classmethod
    def of(
        cls,
        mean: Sequence[float] | NDArray[np.float64],
        std: Sequence[float] | NDArray[np.float64],
        *,
        device: torch.device,
        unit: bool = False,
    ) -> Normalizer:
        """Return the scaling by a mean [C] and deviation [C] in units of 0..1.

        It takes images in 0..255, or in [0, 1] if ``unit``.
        """
        means, stds = np.asarray(mean), np.asarray(std)

        def shaped(values: NDArray[np.float64]) -> Tensor:
            tensor = torch.from_numpy(values).to(device, torch.float32)
            return tensor.reshape(1, len(means), 1, 1)

        return cls(scale=shaped(1 / ((1 if unit else 255) * stds)), shift=shaped(-means / stds))

    def __call__(self, images: Tensor) -> Tensor:
        """Return the normalised batch."""
        return torch.addcmul(self.shift, images.float(), self.scale)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingData:
    """Images as uint8 tensors for models on ``device``, with the validation indices of every fold.

    ``times`` number when the training images were taken, if that decided the folds.

    A worker loads them once and shares them between its trials (docs/design.md, decision 8). They
    are on that device, but for training images that take too much of a GPU's memory: those stay on
    the host, with their labels, and ``training`` fetches them. Images that are too large for a
    host's memory stay in their files.
    """

    device: torch.device
    train_images: Tensor | StoredImages
    train_labels: Tensor
    test_images: Tensor | StoredImages
    test_labels: Tensor
    folds: tuple[Indices, ...]
    sums: ChannelSums
    num_classes: int
    times: Indices | None = None

    @classmethod
    def from_images(
        cls,
        data: ImageData,
        folds: Sequence[Indices],
        device: torch.device,
        *,
        share: float = 1.0,
    ) -> TrainingData:
        """Move a dataset to a device; on the CPU the arrays are used without a copy.

        Training images stay on the host if they take more than half of this process's ``share`` of
        a GPU.
        """
        is_small = data.train_images.nbytes <= most_image_bytes(device, share)
        trained_from = device if is_small else torch.device("cpu")
        train_images, test_images = _open_images(data, trained_from, device)
        test_labels = _to_tensor(data.test_labels, device)
        return cls(
            device=test_labels.device,  # with its number, which ``device`` may leave out
            train_images=train_images,
            train_labels=_to_tensor(data.train_labels, trained_from),
            test_images=test_images,
            test_labels=test_labels,
            folds=tuple(folds),
            sums=data.train_sums or ChannelSums.from_images(data.train_images),
            num_classes=data.num_classes,
            times=data.train_times,
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.train_images.shape
        return channels, height, width

    def split(self, fold: int | None) -> tuple[Tensor, Tensor]:
        """Return a fold's training and validation indices; for None, everything is training.

        They are where the training images are.
        """
        training = self._list_training(fold)
        validation = self.folds[fold] if fold is not None else np.empty(0, dtype=np.int64)
        return (
            torch.from_numpy(training).to(self.train_labels.device),
            torch.from_numpy(validation.copy()).to(self.train_labels.device),
        )

    def _list_training(self, fold: int | None) -> Indices:
        return train_indices(self.folds, fold, len(self.train_labels), times=self.times)

    def training(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return the training images and labels at ``indices`` [B], on the device.

        If they are on the host, a GPU fetches them while the host does something else: so the next
        batch is on its way while the GPU still computes the one before.
        """
        if self.train_images.device == self.device:
            return self.train_images[indices], self.train_labels[indices]
        return self._send(self.train_images, indices), self._send(self.train_labels, indices)

    def expect(self, batches: Iterable[Tensor]) -> None:
        """Announce the indices [B] of the next calls of ``training``, in their order."""
        if isinstance(self.train_images, StoredImages):
            self.train_images.expect(batches)

    def testing(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return the test images and labels at ``indices`` [B], on the device."""
        return self.test_images[indices], self.test_labels[indices]

    def _send(self, values: Tensor | StoredImages, indices: Tensor) -> Tensor:
        # Only from pinned memory can a GPU fetch alone. It is not given away before it has fetched.
        pinned = self.device.type == "cuda"
        if isinstance(values, StoredImages):
            found = values[indices]
            return (found.pin_memory() if pinned else found).to(self.device, non_blocking=True)
        shape = (len(indices), *values.shape[1:])
        chosen = torch.empty(shape, dtype=values.dtype, pin_memory=pinned)
        torch.index_select(values, 0, indices, out=chosen)
        return chosen.to(self.device, non_blocking=True)

    def normalizer(
        self, fold: int | None, kind: Normalization, *, unit: bool = False
    ) -> Normalizer:
        """Return the scaling for a fold's model, computed only from its own training images.

        It takes images in 0..255, or in [0, 1] if ``unit``. Raises ``InputError`` for ``imagenet``
        if the images do not have three channels.
        """
        mean, std = self.mean_std(fold, kind)
        return Normalizer.of(mean, std, device=self.device, unit=unit)

    def mean_std(
        self, fold: int | None, kind: Normalization
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean [C] and deviation [C] for a kind of scaling, in units of 0..1."""
        channels = self.image_shape[0]
        if kind == "standard":
            return self.sums.mean_std(self._list_training(fold))
        if kind == "imagenet":
            if channels != len(_IMAGENET_MEAN):
                raise InputError(
                    "must not be imagenet for images without three colour channels: "
                    f"they have {channels}",
                    where=("dataset", "normalize"),
                    remedy="Choose standard, unit or half",
                )
            return np.array(_IMAGENET_MEAN), np.array(_IMAGENET_STD)
        if kind == "half":  # report 003: [0, 1] to [-1, 1]
            return np.full(channels, 0.5), np.full(channels, 0.5)
        assert kind == "unit", kind
        return np.zeros(channels), np.ones(channels)


def _open_images(
    data: ImageData, trained_from: torch.device, device: torch.device
) -> tuple[Tensor | StoredImages, Tensor | StoredImages]:
    """Return the training and the test images, on their devices or in their files."""
    if not data.is_large or data.mapped_files is None:
        return _to_tensor(data.train_images, trained_from), _to_tensor(data.test_images, device)
    train, test = data.mapped_files
    in_files = trained_from.type == "cpu", device.type == "cpu"
    return (
        StoredImages(train) if in_files[0] else _to_tensor(data.train_images, device),
        StoredImages(test) if in_files[1] else _to_tensor(data.test_images, device),
    )


def _to_tensor(array: NDArray[Any], device: torch.device) -> Tensor:
    with warnings.catch_warnings():
        # Ray's object store maps arrays as read-only, and nothing here writes to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)
