"""Every kind of network of torchvision and timm resumes to the bit, and answers alike exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
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
def test_a_resumed_trial_ends_with_the_same_bits_and_can_be_exported(
    family: str, model: str, colours: TrainingData, tmp_path: Path
) -> None:
    config = configure(family, model)
    whole = Cohort(config, colours)
    whole.run_epoch()
    files = CheckpointFiles(tmp_path, config.number)
    save_checkpoint(whole, files)
    last = whole.run_epoch()
    resumed = Cohort(config, colours)
    assert load_checkpoint(resumed, files)
    assert untimed(resumed.run_epoch()) == untimed(last)
    [one], [other] = whole.members, resumed.members
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert_exported(tmp_path, config, one.model, colours, "safetensors")


@pytest.mark.slow
@pytest.mark.parametrize(("family", "model"), ONE_OF_A_KIND)
@pytest.mark.parametrize("model_format", ["torchscript", "onnx"])
def test_a_kind_of_network_answers_alike_in_formats_that_other_programs_run(
    family: str, model: str, model_format: ModelFormat, colours: TrainingData, tmp_path: Path
) -> None:
    config = configure(family, model)
    [member] = Cohort(config, colours).members
    assert_exported(tmp_path, config, member.model, colours, model_format)


def assert_exported(
    folder: Path, config: TrialConfig, network: nn.Module, data: TrainingData, form: ModelFormat
) -> None:
    scaling = Normalizer.of((0.3,) * 3, (0.4,) * 3, device=torch.device("cpu"))
    classifier = Classifier(network, scaling).eval().requires_grad_(False)
    description = ModelDescription(
        title="exported",
        format=form,
        file=FILE_NAMES[form],
        input=ImageInput(
            channels=3, height=64, width=64, normalize="standard", mean=(0.3,) * 3, std=(0.4,) * 3
        ),
        classes=CLASSES,
        config=config,
    )
    path = folder / description.file
    write_classifier(classifier, SHAPE, path, model_format=form, metadata={})
    (folder / DESCRIPTION_FILE).write_text(description.to_json())
    loaded = load_exported(folder)
    for count in (1, 3):
        images = data.test_images[:count]
        assert np.abs(loaded.answer(images.numpy()) - classifier(images).numpy()).max() < 1e-4
