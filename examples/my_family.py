"""Your own family: depthwise-separable convolutions, after MobileNet (Howard et al. 2017).

Run it with:

    searchlab study run examples/my_family.yaml --plugin examples/my_family.py

A family has two parts:
- a class of parameters. Each field has a default and a description; its bounds are checked in
  every space. A ``PerLayer`` field may have one value for each of the ``depth`` layers.
- a function under ``register_family`` that builds the network. Its name is the family's name in a
  space; the first line of its docstring is the family's summary. ``first_conv`` names the layer
  that the schemes HF and HT set by hand; None for a family without one.

A space lists these parameters under the family, so they are searched only if it is chosen, and
those of layer 3 only if depth is at least 3.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from searchlab.models import ImageShape, register_family
from searchlab.models.dropout import SeededDropout
from searchlab.models.parameters import FamilyParameters, PerLayer, each_layer

Channels = Annotated[int, Field(ge=1, le=512)]


class SeparableParameters(FamilyParameters):
    """The parameters of a separable network."""

    depth: int = Field(2, ge=1, le=6, description="number of separable blocks")
    width: PerLayer[Channels] = Field(16, description="channels after a block")
    kernel: PerLayer[Literal[3, 5]] = Field(3, description="side of a depthwise kernel")
    stem: int = Field(8, ge=1, le=64, description="filters of the first convolution")
    norm: Literal["none", "batch"] = Field("batch", description="normalisation after a block")
    head: Literal["flatten", "average"] = Field(
        "flatten", description="what the classifier sees: the whole feature map, or its mean"
    )


@register_family(first_conv="conv1")
def separable(
    parameters: SeparableParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Depthwise-separable blocks with 2x2 max-pooling, and a classifier."""
    channels, height, width = image_shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"] = nn.Conv2d(channels, parameters.stem, 3, padding=1)
    layers["relu1"] = nn.ReLU()
    channels = parameters.stem
    depth = parameters.depth
    widths = each_layer(parameters.width, depth)
    kernels = each_layer(parameters.kernel, depth)
    for number, (out, kernel) in enumerate(zip(widths, kernels, strict=True), start=1):
        layers[f"block{number}"] = _make_block(channels, out, kernel, norm=parameters.norm)
        if min(height, width) >= 4:  # so any depth accepts any image
            layers[f"pool{number}"] = nn.MaxPool2d(2)
            height, width = height // 2, width // 2
        channels = out
    if parameters.head == "average":
        layers["average"] = nn.AdaptiveAvgPool2d(1)
        height = width = 1
    layers["flatten"] = nn.Flatten()
    layers["dropout1"] = SeededDropout(dropout)
    layers["fc1"] = nn.Linear(channels * height * width, num_classes)
    return nn.Sequential(layers)


def _make_block(channels: int, out: int, kernel: int, *, norm: str) -> nn.Module:
    """Map [B, channels, H, W] to [B, out, H, W]: filter each channel, then mix the channels."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels),
        nn.Conv2d(channels, out, 1),
        nn.BatchNorm2d(out) if norm == "batch" else nn.Identity(),
        nn.ReLU(),
    )
