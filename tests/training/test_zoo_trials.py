"""Every kind of network of torchvision and timm resumes to the bit, and answers alike exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from trial_configs import make_trial, untimed
from zoo_models import MANY, ONE_OF_A_KIND

from searchlab.config.trial import FoldPlan, ModelConfig, TrialConfig
from searchlab.data import ImageData, stratified_folds
from searchlab.deployment.classifier import Classifier
from searchlab.deployment.description import (
    DESCRIPTION_FILE,
    ImageInput,
    ModelDescription,
    ModelFormat,
)
from searchlab.deployment.loaded_models import load_exported
from searchlab.deployment.model_files import FILE_NAMES, write_classifier
from searchlab.training.checkpoint import CheckpointFiles, load_checkpoint, save_checkpoint
from searchlab.training.cohort import Cohort
from searchlab.training.images import Normalizer, TrainingData

SHAPE = (3, 64, 64)
CLASSES = tuple("abcdefg")


@pytest.fixture(scope="module")
def colours() -> TrainingData:
    labels = np.arange(28) % len(CLASSES)
    images = np.random.default_rng(0).integers(0, 256, (28, *SHAPE), dtype=np.uint8)
    data = ImageData(
        name="drawn",
        train_images=images,
        train_labels=labels,
        test_images=images[:3],
        test_labels=labels[:3],
        num_classes=len(CLASSES),
    )
    folds = stratified_folds(labels, num_folds=2, seed=0)
    return TrainingData.from_images(data, folds, torch.device("cpu"))


def configure(family: str, model: str) -> TrialConfig:
    return make_trial(
        model=ModelConfig(family=family, parameters={"model": model}),
        folds=FoldPlan(num_folds=2, folds=(0,), search_folds=1),
        epochs=2,
        batch_size=14,
        lr=1e-3,
        optimizer="sgd",
        momentum=0.0,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("family", "model"), MANY)
def test_a_resumed_trial_ends_with_the_same_bits(
    family: str, model: str, colours: TrainingData, tmp_path: Path
) -> None:
    config = configure(family, model)
    whole = Cohort(config, colours)
    first = whole.run_epoch()
    files = CheckpointFiles(tmp_path, config.number)
    save_checkpoint(whole, files)
    last = whole.run_epoch()
    resumed = Cohort(config, colours)
    assert load_checkpoint(resumed, files)
    assert untimed(resumed.run_epoch()) == untimed(last)
    assert first.epoch + 1 == last.epoch
    for one, other in zip(whole.members, resumed.members, strict=True):
        ours, theirs = one.model.state_dict(), other.model.state_dict()
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "model", "model_format"),
    [
        *((*network, form) for network in MANY for form in ("safetensors", "torchscript")),
        *((*network, "onnx") for network in ONE_OF_A_KIND),
    ],
)
def test_an_exported_model_answers_alike(
    family: str, model: str, model_format: ModelFormat, colours: TrainingData, tmp_path: Path
) -> None:
    config = configure(family, model)
    [member] = Cohort(config, colours).members
    scaling = Normalizer.of((0.3,) * 3, (0.4,) * 3, device=torch.device("cpu"))
    classifier = Classifier(member.model, scaling).eval().requires_grad_(False)
    description = ModelDescription(
        title=model,
        format=model_format,
        file=FILE_NAMES[model_format],
        input=ImageInput(
            channels=3, height=64, width=64, normalize="standard", mean=(0.3,) * 3, std=(0.4,) * 3
        ),
        classes=CLASSES,
        config=config,
    )
    path = tmp_path / description.file
    write_classifier(classifier, SHAPE, path, model_format=model_format, metadata={})
    (tmp_path / DESCRIPTION_FILE).write_text(description.to_json())
    loaded = load_exported(tmp_path)
    for count in (1, 3):
        images = colours.test_images[:count]
        answers = loaded.answer(images.numpy())
        assert np.abs(answers - classifier(images).numpy()).max() < 1e-4
