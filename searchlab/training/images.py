"""TrainingData: a data set and its folds on the device where the models are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
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

__all__ = ["Normalizer", "TrainingData"]


@dataclass(frozen=True, slots=True)
class Normalizer:
    """Turns uint8 [B, C, H, W] into float32: ``(pixel / 255 - mean) / std`` as one multiply-add."""

    scale: Tensor  # [1, C, 1, 1]
    shift: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Return the normalised batch."""
        return torch.addcmul(self.shift, images.float(), self.scale)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingData:
    """Images as uint8 tensors on one device, with the validation indices of every fold.

    Loaded once a worker and shared by all the trials that it runs (DESIGN 8).
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    folds: tuple[Indices, ...]
    sums: ChannelSums
    num_classes: int

    @classmethod
    def from_images(
        cls, data: ImageData, folds: Sequence[Indices], device: torch.device
    ) -> TrainingData:
        """Move a data set to a device; on the CPU the arrays are used as they are."""
        return cls(
            train_images=_to_tensor(data.train_images, device),
            train_labels=_to_tensor(data.train_labels, device),
            test_images=_to_tensor(data.test_images, device),
            test_labels=_to_tensor(data.test_labels, device),
            folds=tuple(folds),
            sums=ChannelSums.from_images(data.train_images),
            num_classes=data.num_classes,
        )

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.train_images.device

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        _, channels, height, width = self.train_images.shape
        return channels, height, width

    def split(self, fold: int | None) -> tuple[Tensor, Tensor]:
        """Return the training and the validation indices of a fold; None trains on everything."""
        training = train_indices(self.folds, fold, len(self.train_labels))
        validation = self.folds[fold] if fold is not None else np.empty(0, dtype=np.int64)
        return (
            torch.from_numpy(training).to(self.device),
            torch.from_numpy(validation.copy()).to(self.device),
        )

    def normalizer(self, fold: int | None, kind: Normalization) -> Normalizer:
        """Return the scaling for a fold's model, from its own training images only."""
        channels = self.image_shape[0]
        mean, std = np.zeros(channels), np.ones(channels)
        if kind == "standard":
            mean, std = self.sums.mean_std(train_indices(self.folds, fold, len(self.train_labels)))

        def shaped(values: NDArray[np.float64]) -> Tensor:
            tensor = torch.from_numpy(values).to(self.device, torch.float32)
            return tensor.reshape(1, channels, 1, 1)

        return Normalizer(scale=shaped(1 / (255 * std)), shift=shaped(-mean / std))


def _to_tensor(array: NDArray[Any], device: torch.device) -> Tensor:
    with warnings.catch_warnings():
        # Ray's object store maps arrays read-only, and nothing here writes to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array).to(device)
