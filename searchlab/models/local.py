"""The family local: locally connected layers, which share no weights between positions."""
# torch is imported where a network is built, so that commands on spaces need not wait for it.

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from searchlab.models.activations import ActivationName, make_activation
from searchlab.models.layer_sizes import NumFilters, OddKernel
from searchlab.models.parameters import FamilyParameters, PerLayer, each_layer
from searchlab.models.registry import ImageShape, register_family

if TYPE_CHECKING:
    from torch import nn

Stride = Annotated[int, Field(ge=1, le=4)]


class LocalParameters(FamilyParameters):
    """The parameters of a local network."""

    depth: int = Field(2, ge=1, le=4, description="number of locally connected layers")
    width: PerLayer[NumFilters] = Field(16, description="outputs at each position of a layer")
    kernel: PerLayer[OddKernel] = Field(3, description="side of the patch that an output sees; odd")
    stride: PerLayer[Stride] = Field(2, description="pixels between two positions of a layer")
    activation: ActivationName = Field("relu", description="activation after every layer")
    hidden: int = Field(
        0, ge=0, le=4096, description="units of a layer before the classifier; 0 for no such layer"
    )


@register_family(first_conv=None)
def local(
    parameters: LocalParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Locally connected layers, each position with its own weights, then fully connected layers.

    Layers are padded by half a kernel, so they accept images of any size; stride replaces pooling.
    Dropout precedes each fully connected layer. Positions share no weights, so there is no kernel
    to set by hand. Source: report 004.
    """
    from torch import nn

    from searchlab.models.dropout import SeededDropout
    from searchlab.models.locally_connected import LocallyConnected2d

    channels, height, width = image_shape
    depth = parameters.depth
    filters, kernels, strides = (
        each_layer(value, depth)
        for value in (parameters.width, parameters.kernel, parameters.stride)
    )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, depth + 1):
        num_filters, kernel = filters[number - 1], kernels[number - 1]
        layer = LocallyConnected2d(
            channels,
            num_filters,
            kernel,
            input_size=(height, width),
            stride=strides[number - 1],
            padding=kernel // 2,
        )
        layers[f"local{number}"] = layer
        layers[f"activation{number}"] = make_activation(parameters.activation)
        channels, (height, width) = num_filters, layer.output_size
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
