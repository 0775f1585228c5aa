"""Residual networks: stems, what is trained, and what batch norm does where it is frozen."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError
from searchlab.models.batch_norm import BatchNorm2d
from searchlab.models.build import build_model, check_model, count_multiply_adds, count_parameters
from searchlab.models.dropout import set_dropout_generator
from searchlab.models.registry import ImageShape


def build(
    image_shape: ImageShape = (3, 16, 16), scheme: str = "DT", **parameters: object
) -> nn.Module:
    config = ModelConfig(family="resnet", parameters=parameters, scheme=scheme)
    return build_model(
        config, TrainingSettings(), image_shape=image_shape, num_classes=10, key=(0,)
    )


def count(variant: int) -> int:
    config = ModelConfig(family="resnet", parameters={"variant": variant, "stem": "large"})
    return count_parameters(config, image_shape=(3, 224, 224), num_classes=1000)


def test_variants_have_the_published_numbers_of_parameters() -> None:
    assert [count(variant) for variant in (18, 34, 50)] == [11_689_512, 21_797_672, 25_557_032]


def test_resnet18_has_the_published_multiply_adds() -> None:
    config = ModelConfig(family="resnet")
    counted = count_multiply_adds(config, image_shape=(3, 224, 224), num_classes=1000)
    assert counted == 1_814_073_344  # torchvision's table: 1.81 GFLOPS


@pytest.mark.parametrize(
    ("image_shape", "stem", "kernel"),
    [
        ((1, 28, 28), "auto", 3),
        ((5, 63, 100), "auto", 3),
        ((1, 64, 64), "auto", 7),
        ((1, 28, 28), "large", 7),
        ((2, 64, 64), "small", 3),
    ],
)
def test_stem_suits_the_images_or_is_as_told(
    image_shape: ImageShape, stem: str, kernel: int
) -> None:
    model = build(image_shape, stem=stem)
    small = kernel == 3
    assert model.conv1.weight.shape == (64, image_shape[0], kernel, kernel)
    assert model.conv1.stride == ((1, 1) if small else (2, 2))
    assert isinstance(model.maxpool, nn.Identity) == small
    assert model.eval()(torch.zeros(2, *image_shape)).shape == (2, 10)


def test_resnet50_gives_logits() -> None:
    config = ModelConfig(family="resnet", parameters={"variant": 50})
    check_model(config, image_shape=(1, 28, 28), num_classes=10)


TRAINED = {
    "all": lambda name: True,
    "head": lambda name: name.startswith("fc."),
    "bn+head": lambda name: name.startswith("fc.") or "bn" in name or "downsample.1" in name,
    "layer4+head": lambda name: name.startswith(("fc.", "layer4.")),
}


def moves(name: str, trainable: str) -> bool:
    """Whether a training step may change the tensor: running statistics go with their layer."""
    return TRAINED[trainable](name)


@pytest.mark.parametrize("trainable", TRAINED)
def test_training_moves_what_is_trained_statistics_included_and_nothing_else(
    trainable: str,
) -> None:
    model = build(trainable=trainable).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    cross_entropy(model(images), torch.arange(4)).backward()
    torch.optim.SGD(parameters, lr=1.0).step()
    model.eval()
    model.train()  # as after a validation
    model(images)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) != moves(name, trainable), name
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == moves(name, trainable), name


def test_frozen_batch_norm_stays_in_eval_mode_under_train() -> None:
    for trainable, in_training in [("head", 0), ("bn+head", 20), ("layer4+head", 5), ("all", 20)]:
        norms = [
            m for m in build(trainable=trainable).train().modules() if isinstance(m, BatchNorm2d)
        ]
        assert len(norms) == 20
        assert sum(norm.training for norm in norms) == in_training


@pytest.mark.parametrize("stem", ["small", "large"])
def test_first_layer_is_set_by_hand_and_frozen_or_trained(stem: str) -> None:
    for scheme in ("HF", "HT"):
        weight = build(stem=stem, scheme=scheme, trainable="head").conv1.weight
        assert set(weight.unique().tolist()) == {0.0, 1.0}
        assert len(weight[:, 0].flatten(1).unique(dim=0)) == 64
        assert weight.requires_grad == (scheme == "HT")


def test_dropout_comes_before_the_head() -> None:
    config, settings = ModelConfig(family="resnet"), TrainingSettings(dropout=0.5)
    model = build_model(config, settings, image_shape=(1, 8, 8), num_classes=3, key=(0,)).train()
    set_dropout_generator(model, torch.Generator().manual_seed(0))
    seen: list[torch.Tensor] = []
    model.fc.fc1.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    model(torch.ones(4, 1, 8, 8))
    assert 0.3 < (seen[0] == 0).float().mean() < 0.9


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"variant": 19}, r"resnet\.variant must be 18, 34 or 50, got 19"),
        ({"variant": "18"}, r"resnet\.variant must be 18, 34 or 50, got '18'"),
        ({"trainable": "heads"}, r"resnet\.trainable .* Did you mean head"),
        ({"weights": "imagent"}, r"resnet\.weights must be none, imagenet, run:NAME, or the path"),
        (
            {"weights": "imagenet"},
            r"family resnet accepts the imagenet weights only for .* 3 channels.* got 1",
        ),
    ],
)
def test_wrong_parameters_are_input_errors(parameters: dict, message: str) -> None:
    config = ModelConfig(family="resnet", parameters=parameters)
    with pytest.raises(InputError, match=message):
        check_model(config, image_shape=(1, 28, 28), num_classes=10)


def test_imagenet_and_the_small_stem_exclude_each_other() -> None:
    parameters = {"weights": "imagenet", "stem": "small"}
    config = ModelConfig(family="resnet", parameters=parameters)
    with pytest.raises(InputError, match="accepts the imagenet weights only with the large stem"):
        check_model(config, image_shape=(3, 32, 32), num_classes=10)


def test_one_image_with_one_pixel_left_can_be_trained_on() -> None:
    model = build((1, 8, 8)).train()
    model(torch.ones(1, 1, 8, 8)).sum().backward()
    assert model.conv1.weight.grad.isfinite().all()
