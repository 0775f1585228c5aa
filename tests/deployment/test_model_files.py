"""Each family in formats that other programs run: any number of images, the same logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import FoldPlan, ModelConfig, ObjectiveConfig, TrialConfig
from searchlab.deployment.classifier import Classifier
from searchlab.deployment.description import (
    DESCRIPTION_FILE,
    ImageInput,
    ModelDescription,
    ModelFormat,
)
from searchlab.deployment.loaded_models import load_exported
from searchlab.deployment.model_files import FILE_NAMES, write_classifier
from searchlab.models import list_families
from searchlab.models.build import build_model
from searchlab.training.images import Normalizer

SHAPE = (1, 28, 28)
FITTING = [name for name in list_families() if name != "3fc"]  # which takes no grey images


def write_model(
    folder: Path, family: str, model_format: ModelFormat, *, average_flips: bool = False
) -> Classifier:
    model = ModelConfig(family=family)
    settings = TrainingSettings(dropout=0.3, average_flips=average_flips)
    network = build_model(model, settings, image_shape=SHAPE, num_classes=5, key=(0, "full", 0))
    scaling = Normalizer.of((0.3,), (0.4,), device=torch.device("cpu"))
    classifier = Classifier(network, scaling, average_flips=average_flips)
    classifier.eval().requires_grad_(False)
    description = ModelDescription(
        title=family,
        format=model_format,
        file=FILE_NAMES[model_format],
        input=ImageInput(
            channels=1, height=28, width=28, normalize="standard", mean=(0.3,), std=(0.4,)
        ),
        classes=tuple("abcde"),
        config=TrialConfig(
            number=0, seed=0, dataset="mnist", model=model, settings=settings,
            objective=ObjectiveConfig(), folds=FoldPlan(num_folds=2, folds=(), search_folds=1),
        ),
    )  # fmt: skip
    path = folder / description.file
    write_classifier(classifier, SHAPE, path, model_format=model_format, metadata={})
    (folder / DESCRIPTION_FILE).write_text(description.to_json())
    return classifier


def assert_same(folder: Path, classifier: Classifier) -> None:
    loaded = load_exported(folder)
    for count in (1, 3, 40):
        images = np.random.default_rng(count).integers(0, 256, (count, *SHAPE), dtype=np.uint8)
        wanted = classifier(torch.from_numpy(images)).numpy()
        assert np.abs(loaded.answer(images) - wanted).max() < 1e-5


@pytest.mark.parametrize("family", FITTING)
def test_every_family_answers_alike_as_torchscript(tmp_path: Path, family: str) -> None:
    assert_same(tmp_path, write_model(tmp_path, family, "torchscript"))


@pytest.mark.slow
@pytest.mark.parametrize("family", FITTING)
def test_every_family_answers_alike_under_onnxruntime(tmp_path: Path, family: str) -> None:
    assert_same(tmp_path, write_model(tmp_path, family, "onnx"))


@pytest.mark.parametrize(
    "model_format",
    ["safetensors", "torchscript", pytest.param("onnx", marks=pytest.mark.slow)],
)
def test_a_mean_of_mirror_images_is_in_every_format(
    tmp_path: Path, model_format: ModelFormat
) -> None:
    classifier = write_model(tmp_path, "a2", model_format, average_flips=True)
    assert_same(tmp_path, classifier)
    images = torch.arange(2 * 28 * 28).view(2, *SHAPE) % 251
    torch.testing.assert_close(classifier(images), classifier(images.flip(-1)))
