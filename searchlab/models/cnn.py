"""The family cnn: convolution blocks with pooling, then one or two fully connected layers."""
# No `from __future__ import annotations`: the registry reads the annotations when it registers.

from collections import OrderedDict
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema
from torch import nn

from searchlab.models.activations import ActivationName, make_activation
from searchlab.models.dropout import SeededDropout
from searchlab.models.parameters import FamilyParameters, PerLayer, each_layer
from searchlab.models.registry import ImageShape, register_family


def _check_odd(side: int) -> int:
    if side % 2 == 0:
        raise ValueError("must be odd, so that padding keeps the size")
    return side


NumFilters = Annotated[int, Field(ge=1, le=1024)]
OddKernel = Annotated[
    int,
    Field(ge=1, le=11),
    AfterValidator(_check_odd),
    WithJsonSchema({"type": "integer", "enum": [1, 3, 5, 7, 9, 11]}),
]


class CnnParameters(FamilyParameters):
    """What makes one cnn differ from another."""

    depth: int = Field(2, ge=1, le=8, description="number of convolution blocks")
    width: PerLayer[NumFilters] = Field(32, description="filters of a convolution")
    kernel: PerLayer[OddKernel] = Field(3, description="side of a convolution's kernel, odd")
    activation: ActivationName = Field("relu", description="activation after every layer")
    hidden: int = Field(
        0, ge=0, le=4096, description="units of a layer before the classifier; 0 for none"
    )


@register_family(first_conv="conv1")
def cnn(
    parameters: CnnParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Convolution blocks with 2x2 max-pooling, then fully connected layers.

    A block is convolution (padded to keep the size), activation, pooling; it pools only while the
    smaller side of its feature map is at least 2, so that any depth takes any image. Dropout comes
    before each fully connected layer.
    """
    channels, height, width = image_shape
    depth = parameters.depth
    filters = each_layer(parameters.width, depth)
    kernels = each_layer(parameters.kernel, depth)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (num_filters, kernel) in enumerate(zip(filters, kernels, strict=True), start=1):
        layers[f"conv{number}"] = nn.Conv2d(channels, num_filters, kernel, padding=kernel // 2)
        layers[f"activation{number}"] = make_activation(parameters.activation)
        if min(height, width) >= 2:
            layers[f"pool{number}"] = nn.MaxPool2d(2)
            height, width = height // 2, width // 2
        channels = num_filters
    layers["flatten"] = nn.Flatten()
    num_features, classifier = channels * height * width, "fc1"
    layers["dropout1"] = SeededDropout(dropout)
    if parameters.hidden:
        layers["fc1"] = nn.Linear(num_features, parameters.hidden)
        layers[f"activation{depth + 1}"] = make_activation(parameters.activation)
        layers["dropout2"] = SeededDropout(dropout)
        num_features, classifier = parameters.hidden, "fc2"
    layers[classifier] = nn.Linear(num_features, num_classes)
    return nn.Sequential(layers)
