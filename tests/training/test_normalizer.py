"""Normalisation: each kind's figures, and the same result from 0..255 as from [0, 1]."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from searchlab.config.trial import Normalization
from searchlab.data import ImageData, stratified_folds
from searchlab.errors import InputError
from searchlab.training.images import TrainingData


def make_data(channels: int) -> TrainingData:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (30, channels, 5, 4), dtype=np.uint8)
    labels = np.arange(30) % 3
    data = ImageData(
        name="noise", train_images=images, train_labels=labels, test_images=images[:6],
        test_labels=labels[:6], num_classes=3,
    )  # fmt: skip
    folds = stratified_folds(labels, num_folds=3, seed=0)
    return TrainingData.from_images(data, folds, torch.device("cpu"))


@pytest.mark.parametrize("kind", get_args(Normalization))
def test_images_in_0_to_1_are_normalised_to_the_same(kind: Normalization) -> None:
    data = make_data(3)
    pixels = data.normalizer(1, kind)(data.train_images)
    unit = data.normalizer(1, kind, unit=True)(data.train_images.float() / 255)
    torch.testing.assert_close(unit, pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_half_maps_black_and_white_to_minus_one_and_one(channels: int) -> None:
    normalize = make_data(channels).normalizer(None, "half")
    extremes = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
    found = normalize(extremes.expand(2, channels, 1, 1))
    torch.testing.assert_close(found[:, 0].flatten(), torch.tensor([-1.0, 1.0]))


def test_imagenet_is_torchvisions_for_pretrained_weights() -> None:
    from torchvision.models import ResNet18_Weights

    preset = ResNet18_Weights.DEFAULT.transforms()
    images = make_data(3).train_images
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (preset.mean, preset.std))
    found = make_data(3).normalizer(None, "imagenet")(images)
    torch.testing.assert_close(found, (images.float() / 255 - mean) / std)


def test_imagenet_needs_colour() -> None:
    with pytest.raises(InputError, match=r"^dataset\.normalize must not be imagenet .* have 1\. C"):
        make_data(1).normalizer(None, "imagenet")
