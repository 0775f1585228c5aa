"""The networks of the five reports, by the sizes that the reports print."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from searchlab.config.settings import TrainingSettings
from searchlab.config.trial import ModelConfig
from searchlab.errors import InputError
from searchlab.models import get_family
from searchlab.models.build import build_model, check_model, count_multiply_adds, count_parameters
from searchlab.models.registry import ImageShape

FASHION: ImageShape = (1, 28, 28)
DIGITS: ImageShape = (1, 16, 16)
IMAGENETTE: ImageShape = (3, 160, 160)


def conv(inputs: int, filters: int, kernel: int = 3) -> int:
    return (inputs * kernel**2 + 1) * filters


def linear(*sizes: int) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


def local(positions: int, inputs: int, outputs: int) -> int:
    return positions * conv(inputs, outputs)


PUBLISHED = {
    "a1": (FASHION, conv(1, 5) + linear(5 * 26 * 26, 10)),
    "a2": (FASHION, conv(1, 5) + conv(5, 7) + linear(7 * 24 * 24, 10)),
    "cnn_report001": (
        IMAGENETTE,
        conv(3, 128) + conv(128, 256) + conv(256, 512) + linear(512 * 20 * 20, 1024, 10),
    ),
    "a1_report002": (FASHION, conv(1, 4, 5) + linear(576, 10)),
    "a2_report002": (FASHION, conv(1, 4, 5) + conv(4, 12) + linear(300, 10)),
    "2conv1fc": (FASHION, conv(1, 32) + conv(32, 64) + linear(64 * 14 * 14, 128, 10)),
    "1conv2fc": (FASHION, conv(1, 32) + linear(32 * 14 * 14, 64, 128, 10)),
    "3fc": (FASHION, linear(28 * 28, 64, 128, 256, 10)),
    "3conv": (FASHION, conv(1, 32) + conv(32, 64) + conv(64, 128) + linear(128 * 7 * 7, 10)),
    "fcn_report004": (DIGITS, linear(256, 512, 256, 128, 10)),
    "local_report004": (
        DIGITS,
        local(8 * 8, 1, 32) + local(4 * 4, 32, 64) + linear(64 * 4 * 4, 128, 10),
    ),
    # The report prints 64 * 8 * 8 inputs, those of 32x32; its own digits are 16x16.
    "cnn_report004": ((1, 32, 32), conv(1, 32) + conv(32, 64) + linear(64 * 8 * 8, 128, 10)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_network_has_the_published_number_of_parameters(name: str) -> None:
    image_shape, expected = PUBLISHED[name]
    config = ModelConfig(family=name)
    assert count_parameters(config, image_shape=image_shape, num_classes=10) == expected


def layers_of(name: str, **parameters: object) -> list[str]:
    config = ModelConfig(family=name, parameters=parameters)
    model = build_model(config, TrainingSettings(), image_shape=FASHION, num_classes=10, key=(0,))
    return [layer for layer, _ in model.named_children()]


@pytest.mark.parametrize("name", ["a2", "a2_report002"])
def test_plain_networks_give_raw_logits_after_relus(name: str) -> None:
    layers = ["conv1", "relu1", "conv2", "relu2", "flatten", "dropout1", "fc1"]
    assert layers_of(name) == layers


def test_report_003_pools_where_it_says_or_where_its_sizes_say() -> None:
    pools = {
        name: [layer for layer in layers_of(name) if layer.startswith("pool")]
        for name in ("2conv1fc", "1conv2fc", "3conv")
    }
    assert pools == {"2conv1fc": ["pool2"], "1conv2fc": ["pool1"], "3conv": ["pool2", "pool3"]}


def test_report_001_has_norm_and_dropout_only_where_asked_for() -> None:
    plain = layers_of("cnn_report001")
    assert not any("norm" in layer or "dropout" in layer for layer in plain if layer != "dropout2")
    combined = layers_of("cnn_report001", batch_norm=True, block_dropout=0.25)
    block = ["conv{}", "norm{}", "pool{}", "activation{}", "block_dropout{}"]
    assert combined == [
        *(layer.format(number) for number in (1, 2, 3) for layer in block),
        *["flatten", "fc1", "norm4", "activation4", "dropout2", "fc2"],
    ]


@pytest.mark.parametrize(
    ("family", "side"), [("a1", 3), ("a2", 5), ("a1_report002", 5), ("a2_report002", 9)]
)
def test_images_smaller_than_the_kernels_are_refused(family: str, side: int) -> None:
    config = ModelConfig(family=family)
    check_model(config, image_shape=(1, side, side), num_classes=2)
    message = rf"family {family} needs images of at least {side}x{side} pixels, got '{side}x"
    with pytest.raises(InputError, match=message):
        check_model(config, image_shape=(1, side, side - 1), num_classes=2)


@pytest.mark.parametrize("name", ["a1_report002", "a2_report002"])
@pytest.mark.parametrize("channels", [1, 3])
def test_report_002s_first_layer_holds_its_four_kernels(name: str, channels: int) -> None:
    config = ModelConfig(family=name, scheme="HF")
    model = build_model(
        config, TrainingSettings(), image_shape=(channels, 28, 28), num_classes=10, key=(0,)
    )
    rows = [
        ["10001", "01010", "00100", "01010", "10001"],
        ["00100", "11011", "00100", "11011", "00100"],
        ["01110", "11011", "10001", "11011", "01110"],
        ["11011", "01010", "00100", "11011", "11011"],
    ]
    figure = torch.tensor([[[int(cell) for cell in row] for row in kernel] for kernel in rows])
    for channel in range(channels):
        assert torch.equal(model.conv1.weight[:, channel], figure.float())
    assert not model.conv1.weight.requires_grad


def test_multiply_adds_are_those_of_the_published_sizes() -> None:
    def count(name: str, image_shape: ImageShape = FASHION) -> int:
        config = ModelConfig(family=name)
        return count_multiply_adds(config, image_shape=image_shape, num_classes=10)

    assert count("a1") == 26 * 26 * 5 * 9 + 5 * 26 * 26 * 10
    assert count("a2_report002") == 12 * 12 * 4 * 25 + 5 * 5 * 12 * 36 + 300 * 10
    assert count("2conv1fc") == 784 * (32 * 9 + 64 * 32 * 9) + 64 * 14 * 14 * 128 + 128 * 10
    unshared = 64 * 32 * 9 + 16 * 64 * 32 * 9 + 64 * 16 * 128 + 128 * 10
    assert count("local_report004", DIGITS) == unshared


def test_multiply_adds_do_not_depend_on_the_scheme_and_add_nothing_for_norms() -> None:
    def count(**more: object) -> int:
        config = ModelConfig(family="cnn", **more)
        return count_multiply_adds(config, image_shape=DIGITS, num_classes=10)

    assert count() == count(scheme="HF") == count(parameters={"batch_norm": True})


@pytest.mark.parametrize(
    ("name", "base"),
    [("2conv1fc", "cnn"), ("3fc", "fcn"), ("local_report004", "local"), ("a1_report002", None)],
)
def test_presets_say_which_family_they_are_of(name: str, base: str | None) -> None:
    assert get_family(name).base == base
