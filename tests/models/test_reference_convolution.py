"""The written-out convolution against torch's, over shapes drawn at random."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from searchlab.models.reference import convolve, filter_channels, output_size


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@st.composite
def layers(draw_: st.DrawFn) -> dict[str, Any]:
    """Shapes and settings of a layer that fits its images."""
    groups = draw_(st.integers(1, 3))
    kernel = (draw_(st.integers(1, 4)), draw_(st.integers(1, 4)))
    dilation = (draw_(st.integers(1, 3)), draw_(st.integers(1, 3)))
    padding = (draw_(st.integers(0, 3)), draw_(st.integers(0, 3)))
    least = [max(1, dilation[side] * (kernel[side] - 1) + 1 - 2 * padding[side]) for side in (0, 1)]
    return {
        "images": (
            draw_(st.integers(1, 2)),
            groups * draw_(st.integers(1, 2)),
            *(draw_(st.integers(side, side + 4)) for side in least),
        ),
        "filters": groups * draw_(st.integers(1, 2)),
        "kernel": kernel,
        "bias": draw_(st.booleans()),
        "settings": {
            "stride": (draw_(st.integers(1, 3)), draw_(st.integers(1, 3))),
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
        },
    }


@given(layer=layers())
@settings(max_examples=80)
def test_convolution_is_torchs_for_any_shape(layer: dict[str, Any]) -> None:
    images, settings_ = draw(*layer["images"]), layer["settings"]
    channels_seen = layer["images"][1] // settings_["groups"]
    weight = draw(layer["filters"], channels_seen, *layer["kernel"], seed=1)
    bias = draw(layer["filters"], seed=2) if layer["bias"] else None
    ours = convolve(images, weight, bias, **settings_)
    torch.testing.assert_close(ours, conv2d(images, weight, bias, **settings_))


# The cases of report 001's own test program.
@pytest.mark.parametrize(
    ("weight", "settings_"),
    [
        pytest.param((4, 3, 3, 3), {}, id="square"),
        pytest.param((4, 3, 1, 5), {}, id="horizontal"),
        pytest.param((4, 3, 5, 1), {}, id="vertical"),
        pytest.param((3, 3, 3, 3), {}, id="as many filters as channels"),
        pytest.param((4, 3, 3, 3), {"stride": 2}, id="stride"),
        pytest.param((4, 3, 3, 3), {"dilation": 2}, id="dilation"),
        pytest.param((6, 1, 3, 3), {"groups": 3}, id="grouping"),
        pytest.param((4, 3, 3, 3), {"padding": 1}, id="padding"),
        pytest.param((4, 3, 3, 3), {"stride": (1, 2), "padding": (2, 0)}, id="pairs"),
    ],
)
@pytest.mark.parametrize("bias", ["none", "zero", "drawn"])
def test_convolution_is_torchs_in_the_reports_cases(
    weight: tuple[int, ...], settings_: dict[str, Any], bias: str
) -> None:
    images, filters = draw(2, 3, 9, 8), draw(*weight, seed=1)
    biases = {"none": None, "zero": filters.new_zeros(weight[0]), "drawn": draw(weight[0], seed=2)}
    ours = convolve(images, filters, biases[bias], **settings_)
    torch.testing.assert_close(ours, conv2d(images, filters, biases[bias], **settings_))


def test_increasing_and_decreasing_numbers_of_filters_chain() -> None:
    ours = theirs = draw(1, 2, 9, 9)
    for number, (channels, filters) in enumerate([(2, 4), (4, 7), (7, 3), (3, 1)]):
        weight = draw(filters, channels, 3, 3, seed=number)
        ours, theirs = convolve(ours, weight), conv2d(theirs, weight)
    torch.testing.assert_close(ours, theirs)


def test_inputs_are_left_as_they_were() -> None:
    images, weight = draw(1, 2, 5, 5), draw(3, 2, 3, 3, seed=1)
    before = images.clone(), weight.clone()
    convolve(images, weight, padding=1)
    filter_channels(images, weight[0, 0])
    assert torch.equal(images, before[0])
    assert torch.equal(weight, before[1])


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 2), (1, 4), (5, 3)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_filter_keeps_the_size_and_treats_each_channel_alike(
    kernel: tuple[int, int], dilation: int
) -> None:
    images, pattern = draw(2, 3, 7, 6), draw(*kernel, seed=1)
    filtered = filter_channels(images, pattern, dilation=dilation)
    assert filtered.shape == images.shape
    for channel in range(3):
        theirs = conv2d(
            images[:, [channel]], pattern[None, None], padding="same", dilation=dilation
        )
        torch.testing.assert_close(filtered[:, [channel]], theirs)


def test_filter_takes_a_padding_and_a_stride_of_its_own() -> None:
    images, pattern = draw(1, 2, 7, 6), draw(3, 2, seed=1)
    filtered = filter_channels(images, pattern, padding=(0, 1), stride=2)
    weight = pattern.expand(2, 1, 3, 2)
    torch.testing.assert_close(filtered, conv2d(images, weight, padding=(0, 1), stride=2, groups=2))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation", "expected"),
    [(28, 3, 1, 0, 1, 26), (28, 5, 2, 0, 1, 12), (12, 3, 2, 0, 1, 5), (5, 3, 1, 1, 2, 3)],
)
def test_output_size_follows_the_formula(
    size: int, kernel: int, stride: int, padding: int, dilation: int, expected: int
) -> None:
    found = output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
    assert found == expected


@pytest.mark.parametrize(
    ("weight", "settings_", "message"),
    [
        ((4, 2, 3, 3), {}, r"see 4 / 1 = 4 channels, got weight of shape \(4, 2, 3, 3\)"),
        ((4, 4, 3, 3), {"groups": 3}, "divide the 4 channels and the 4 filters, got 3"),
        ((3, 2, 3, 3), {"groups": 2}, "divide the 4 channels and the 3 filters, got 2"),
        ((4, 4, 3, 3), {"groups": 0}, "groups must divide"),
        ((4, 4, 3, 3), {"stride": 0}, "stride must be an int >= 1 or a pair of them, got 0"),
        ((4, 4, 3, 3), {"padding": (1, -1)}, r"padding must be an int >= 0 .* got \(1, -1\)"),
        ((4, 4, 3, 3), {"dilation": (1, 1, 1)}, "dilation must be an int >= 1"),
        ((4, 4, 3, 3), {"dilation": 3}, "covers 7 inputs, but the padded image has 6"),
        ((4, 4, 3), {}, "weight must be"),
    ],
)
def test_what_does_not_meet_is_a_value_error(
    weight: tuple[int, ...], settings_: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        convolve(draw(1, 4, 6, 6), draw(*weight), **settings_)


def test_wrong_images_biases_kernels_and_dtypes_are_value_errors() -> None:
    images, weight = draw(1, 2, 5, 5), draw(3, 2, 3, 3)
    with pytest.raises(ValueError, match=r"images must be \[B, C, H, W\], got shape \(2, 5, 5\)"):
        convolve(images[0], weight)
    with pytest.raises(ValueError, match="each of the 3 filters"):
        convolve(images, weight, draw(2))
    with pytest.raises(ValueError, match="one dtype"):
        convolve(images.float(), weight)
    with pytest.raises(ValueError, match=r"the kernel must be \[height, width\]"):
        filter_channels(images, weight)
