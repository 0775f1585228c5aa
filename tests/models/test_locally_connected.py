"""The locally connected layer against a plain loop, and against a convolution."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from searchlab.config.settings import Init
from searchlab.models.initialisation import initialize
from searchlab.models.locally_connected import LocallyConnected2d

SETTINGS = [
    {"kernel_size": 3, "stride": 1, "padding": 1, "input_size": (5, 7)},
    {"kernel_size": 3, "stride": 2, "padding": 0, "input_size": (8, 5)},
    {"kernel_size": 5, "stride": 3, "padding": 2, "input_size": (4, 9)},
    {"kernel_size": 1, "stride": 1, "padding": 0, "input_size": (3, 3)},
]

settings = pytest.mark.parametrize("setting", SETTINGS, ids=str)


def make_layer(setting: dict, init: str = "default") -> LocallyConnected2d:
    layer = LocallyConnected2d(2, 3, **setting)
    initialize(layer, init=init, key=(0,))
    return layer


def draw(layer: LocallyConnected2d, num_images: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(num_images, layer.in_channels, *layer.input_size, generator=generator)


def loop_over_positions(layer: LocallyConnected2d, images: Tensor) -> Tensor:
    height, width = layer.output_size
    outputs = torch.zeros(len(images), layer.out_channels, height, width)
    padded = pad(images, (layer.padding,) * 4)
    for row in range(height):
        for column in range(width):
            top, left = row * layer.stride, column * layer.stride
            patch = padded[:, :, top : top + layer.kernel_size, left : left + layer.kernel_size]
            position = row * width + column
            for output in range(layer.out_channels):
                weight = layer.weight[position, output].reshape(patch.shape[1:])
                value = (patch * weight).sum((1, 2, 3)) + layer.bias[position, output]
                outputs[:, output, row, column] = value
    return outputs


@settings
def test_outputs_are_those_of_a_loop_over_positions(setting: dict) -> None:
    layer = make_layer(setting)
    images = draw(layer)
    torch.testing.assert_close(layer(images), loop_over_positions(layer, images))


@settings
def test_equals_a_convolution_where_all_positions_share_weights(setting: dict) -> None:
    layer = make_layer(setting)
    conv = nn.Conv2d(2, 3, setting["kernel_size"], setting["stride"], setting["padding"])
    initialize(conv, init="default", key=(2,))
    with torch.no_grad():
        layer.weight.copy_(conv.weight.flatten(1).expand(layer.weight.shape))
        layer.bias.copy_(conv.bias.expand(layer.bias.shape))
    images = draw(layer)
    torch.testing.assert_close(layer(images), conv(images))


@settings
def test_gradients_are_those_of_a_loop_over_positions(setting: dict) -> None:
    layer = make_layer(setting)
    images = draw(layer).requires_grad_()
    gradients = []
    for outputs in (layer(images), loop_over_positions(layer, images)):
        inputs = (layer.weight, layer.bias, images)
        gradients.append(torch.autograd.grad(outputs.square().sum(), inputs))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_positions_start_with_unlike_weights() -> None:
    layer = make_layer(SETTINGS[0])
    assert len(layer.weight.flatten(1).unique(dim=0)) == math.prod(layer.output_size)
    assert len(layer.bias.unique(dim=0)) == math.prod(layer.output_size)


@pytest.mark.parametrize("init", get_args(Init))
def test_weights_spread_as_in_a_convolution_of_the_same_kernel(init: str) -> None:
    layer = LocallyConnected2d(8, 16, 3, input_size=(14, 14))
    conv = nn.Conv2d(8, 16, 3)
    assert layer.fans == (8 * 9, 16 * 9)
    for module in (layer, conv):
        initialize(module, init=init, key=(0,))
    ours, theirs = layer.weight.std().item(), conv.weight.std().item()
    assert ours == pytest.approx(theirs, rel=5 / math.sqrt(conv.weight.numel()))
    assert abs(layer.weight.mean().item()) < 5 * ours / math.sqrt(layer.weight.numel())
    assert (layer.bias.abs().max().item() > 0) == (init == "default")
    assert layer.bias.abs().max().item() <= 1 / math.sqrt(8 * 9)


def test_works_on_meta_and_in_channels_last() -> None:
    with torch.device("meta"):
        layer = LocallyConnected2d(2, 3, 3, input_size=(6, 6))
    assert layer.weight.is_meta
    ready = layer.to_empty(device="cpu")
    initialize(ready, init="default", key=(0,))
    images = draw(ready)
    expected = ready(images)
    moved = ready.to(memory_format=torch.channels_last)
    outputs = moved(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(outputs, expected)


def test_images_of_another_size_are_refused() -> None:
    layer = make_layer(SETTINGS[0])
    with pytest.raises(RuntimeError, match=r"expected images of \(2, 5, 7\), got \(1, 2, 7, 5\)"):
        layer(torch.zeros(1, 2, 7, 5))


def test_a_pixel_moves_only_the_outputs_that_see_it() -> None:
    layer = make_layer(SETTINGS[0])
    images = draw(layer, 1)
    changed = images.clone()
    changed[0, 0, 2, 3] += 1
    moved = (layer(changed) != layer(images)).any(1)[0]
    kernel = torch.ones(1, 1, 3, 3)
    seen = conv2d((changed != images)[:, :1].float(), kernel, padding=1)[0, 0] > 0
    assert torch.equal(moved, seen)
