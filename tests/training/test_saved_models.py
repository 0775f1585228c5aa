"""A finished model read back answers as it did when it met the test set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from trial_configs import load_digits, make_trial

from searchlab.config.metrics import Figures
from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import FoldPlan, ModelConfig, TrialConfig
from searchlab.errors import InputError
from searchlab.models.build import build_model
from searchlab.training.checkpoint import model_path, save_model
from searchlab.training.cohort import Cohort
from searchlab.training.images import TrainingData
from searchlab.training.saved_models import SavedModel, load_model

MODEL = ModelConfig(family="cnn", parameters={"width": 4, "batch_norm": True})


@pytest.fixture(scope="module")
def digits() -> TrainingData:
    return load_digits()


def train_and_save(trial: TrialConfig, digits: TrainingData, folder: Path) -> tuple[Path, Figures]:
    cohort = Cohort(trial, digits)
    result = cohort.run_epoch()
    while not result.done:
        result = cohort.run_epoch()
    assert result.test is not None
    path = save_model(cohort, folder)
    assert path is not None
    return path, result.test


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("normalize", ["standard", "half"])
def test_the_logits_give_the_figures_that_were_recorded(
    digits: TrainingData, tmp_path: Path, precision: str, normalize: str
) -> None:
    plan = FoldPlan(num_folds=5, folds=(0,), search_folds=1, test=True)
    trial = make_trial(model=MODEL, epochs=2, precision=precision, normalize=normalize, folds=plan)
    path, recorded = train_and_save(trial, digits, tmp_path)
    model = load_model(path, digits)
    assert model.config == trial
    assert not model.model.training
    logits = model.logits(digits)
    assert (logits.shape, logits.dtype) == ((len(digits.test_labels), 10), torch.float32)
    accuracy = float((logits.argmax(1) == digits.test_labels).double().mean())
    loss = float(nn.functional.cross_entropy(logits, digits.test_labels))
    assert accuracy == recorded["accuracy"]
    assert loss == pytest.approx(recorded["loss"], rel=1e-5)


def test_features_are_what_the_last_layer_turns_into_logits(
    digits: TrainingData, tmp_path: Path
) -> None:
    trial = make_trial(model=ModelConfig(family="fcn", parameters={"width": 12}), epochs=1)
    path, _ = train_and_save(trial, digits, tmp_path)
    model = load_model(path, digits)
    features = model.features(digits)
    assert features.shape == (len(digits.test_labels), 12)
    last = [module for module in model.model.modules() if isinstance(module, nn.Linear)][-1]
    torch.testing.assert_close(last(features), model.logits(digits))
    assert not last._forward_pre_hooks


def test_the_file_that_a_model_began_from_is_not_needed_again(
    digits: TrainingData, tmp_path: Path
) -> None:
    origin = tmp_path / "origin.safetensors"
    shape = digits.image_shape
    resnet = ModelConfig(family="resnet")
    save_file(
        build_model(
            resnet, TrainingSettings(), image_shape=shape, num_classes=3, key=(0,)
        ).state_dict(),
        origin,
    )
    carried = ModelConfig(
        family="resnet",
        parameters={"weights": str(origin), "stem": "small", "trainable": "head"},
        scheme="HF",
    )
    model = build_model(carried, TrainingSettings(), image_shape=shape, num_classes=10, key=(0,))
    path = model_path(tmp_path, 7)
    save_file(model.state_dict(), path, {"config": make_trial(model=carried).to_json()})
    origin.unlink()
    loaded = load_model(path, digits).model
    pixels = digits.test_images[:8].float()
    torch.testing.assert_close(loaded(pixels), model.eval()(pixels))


def test_a_network_without_a_linear_layer_has_no_features(digits: TrainingData) -> None:
    model = SavedModel(config=make_trial(), model=nn.Flatten())
    with pytest.raises(InputError, match="cnn has no fully connected layer"):
        model.features(digits)


def write_file(folder: Path, content: Any) -> Path:
    path = model_path(folder, 7)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        save_file({"fc1.weight": torch.zeros(3)}, path, metadata=content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not the model of a finished trial"),
        (b"not a model", "is not the model of a finished trial"),
        ({}, "is not the model of a finished trial"),
        ({"config": "{}"}, "is not the model of a finished trial"),
        ({"config": make_trial().to_json()}, "is a model for other images or of another network"),
    ],
)
def test_what_is_no_model_is_refused_by_name(
    digits: TrainingData, tmp_path: Path, content: Any, message: str
) -> None:
    path = write_file(tmp_path, content)
    with pytest.raises(InputError) as error:
        load_model(path, digits)
    assert str(error.value).startswith(f"{path} {message}")
