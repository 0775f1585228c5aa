"""The family cnn: convolution blocks with pooling, then fully connected layers."""
# torch is imported where a network is built, so that commands on spaces need not wait for it.

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from searchlab.models.activations import ActivationName, make_activation
from searchlab.models.layer_sizes import NumFilters, OddKernel
from searchlab.models.parameters import FamilyParameters, PerLayer, each_layer
from searchlab.models.registry import ImageShape, register_family

if TYPE_CHECKING:
    from torch import nn

PoolSize = Annotated[int, Field(ge=1, le=2)]


class CnnParameters(FamilyParameters):
    """The parameters of a cnn."""

    depth: int = Field(2, ge=1, le=8, description="number of convolution blocks")
    width: PerLayer[NumFilters] = Field(32, description="filters of a convolution")
    width_factor: float = Field(
        1.0, gt=0, le=4, description="multiplies every width and hidden layer (MobileNet's alpha)"
    )
    kernel: PerLayer[OddKernel] = Field(3, description="side of a convolution's kernel; odd")
    activation: ActivationName = Field("relu", description="activation after every layer")
    pool: PerLayer[PoolSize] = Field(
        2, description="2 for 2x2 max-pooling while the feature map is large enough; 1 for none"
    )
    batch_norm: bool = Field(
        False,
        description="normalise every convolution and the first hidden layer before the activation",
    )
    hidden: int = Field(
        0, ge=0, le=4096, description="units of a layer before the classifier; 0 for no such layer"
    )
    hidden2: int = Field(
        0,
        ge=0,
        le=4096,
        description="units of a second such layer, after hidden; 0 for no such layer",
    )
    block_dropout: float = Field(
        0.0, ge=0, lt=1, description="dropout at the end of every block, after its pooling"
    )
    dropout_at: Literal["every", "hidden"] = Field(
        "every",
        description="shared dropout: before every fully connected layer, or after hidden only",
    )


@register_family(first_conv="conv1")
def cnn(
    parameters: CnnParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Convolution blocks with 2x2 max-pooling, then fully connected layers.

    A block is convolution (padded to keep the size), optional batch norm, activation, pooling; with
    ReLU the pooling comes first, which changes no value but takes less time. It pools only while
    the smaller side of its feature map is at least 2, so any depth accepts any image. The fully
    connected layers are hidden and hidden2, if they have units, and the classifier. Norm and
    dropout are placed as in report 001.
    """
    from torch import nn

    from searchlab.models.batch_norm import BatchNorm1d
    from searchlab.models.dropout import SeededDropout

    layers: OrderedDict[str, nn.Module] = OrderedDict()
    num_features = _add_blocks(layers, parameters, image_shape)
    layers["flatten"] = nn.Flatten()
    widths = [
        _scaled(units, parameters) for units in (parameters.hidden, parameters.hidden2) if units
    ]
    for number, num_units in enumerate(widths, start=1):
        layer = parameters.depth + number
        if number > 1 or parameters.dropout_at == "every":
            layers[f"dropout{number}"] = SeededDropout(dropout)
        layers[f"fc{number}"] = nn.Linear(num_features, num_units)
        if parameters.batch_norm and number == 1:
            layers[f"norm{layer}"] = BatchNorm1d(num_units)
        layers[f"activation{layer}"] = make_activation(parameters.activation)
        num_features = num_units
    if widths or parameters.dropout_at == "every":
        layers[f"dropout{len(widths) + 1}"] = SeededDropout(dropout)
    layers[f"fc{len(widths) + 1}"] = nn.Linear(num_features, num_classes)
    return nn.Sequential(layers)


def _scaled(width: int, parameters: CnnParameters) -> int:
    return max(1, round(width * parameters.width_factor))


def _add_blocks(
    layers: OrderedDict[str, nn.Module], parameters: CnnParameters, image_shape: ImageShape
) -> int:
    """Add the convolution blocks; return the number of features they produce."""
    from torch import nn

    from searchlab.models.batch_norm import BatchNorm2d
    from searchlab.models.dropout import SeededDropout

    channels, height, width = image_shape
    depth = parameters.depth
    filters, kernels, pools = (
        each_layer(value, depth) for value in (parameters.width, parameters.kernel, parameters.pool)
    )
    for number in range(1, depth + 1):
        num_filters, kernel = _scaled(filters[number - 1], parameters), kernels[number - 1]
        layers[f"conv{number}"] = nn.Conv2d(channels, num_filters, kernel, padding=kernel // 2)
        if parameters.batch_norm:
            layers[f"norm{number}"] = BatchNorm2d(num_filters)
        layers[f"activation{number}"] = make_activation(parameters.activation)
        if pools[number - 1] == 2 and min(height, width) >= 2:
            layers[f"pool{number}"] = nn.MaxPool2d(2)
            height, width = height // 2, width // 2
            if parameters.activation == "relu":
                # The same values and gradients to the bit, on a quarter of the pixels.
                layers.move_to_end(f"activation{number}")
        if parameters.block_dropout:
            layers[f"block_dropout{number}"] = SeededDropout(parameters.block_dropout)
        channels = num_filters
    return channels * height * width
