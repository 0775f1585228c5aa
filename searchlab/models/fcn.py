"""The family fcn: fully connected layers only, which ignore the positions of pixels."""
# torch is imported where a network is built, so that commands on spaces need not wait for it.

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from searchlab.models.activations import ActivationName, make_activation
from searchlab.models.layer_sizes import NumUnits
from searchlab.models.parameters import FamilyParameters, PerLayer, each_layer
from searchlab.models.registry import ImageShape, register_family

if TYPE_CHECKING:
    from torch import nn


class FcnParameters(FamilyParameters):
    """The parameters of an fcn."""

    depth: int = Field(2, ge=1, le=6, description="number of hidden layers")
    width: PerLayer[NumUnits] = Field(128, description="units of a hidden layer")
    activation: ActivationName = Field("relu", description="activation after every hidden layer")
    batch_norm: bool = Field(False, description="normalise hidden layers before their activation")
    dropout_at: Literal["every", "first", "last"] = Field(
        "every", description="shared dropout: after every hidden layer, the first or the last"
    )


@register_family(first_conv=None)
def fcn(
    parameters: FcnParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Fully connected hidden layers with activation and dropout, then the classifier.

    Hidden layers are fc1 to fc<depth>, the classifier is fc<depth + 1>. There is no convolution,
    so the schemes HF and HT do not apply.
    """
    from torch import nn

    from searchlab.models.batch_norm import BatchNorm1d
    from searchlab.models.dropout import SeededDropout

    num_features = math.prod(image_shape)
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    widths = each_layer(parameters.width, parameters.depth)
    places = {"first": 1, "last": parameters.depth}
    for number, num_units in enumerate(widths, start=1):
        layers[f"fc{number}"] = nn.Linear(num_features, num_units)
        if parameters.batch_norm:
            layers[f"norm{number}"] = BatchNorm1d(num_units)
        layers[f"activation{number}"] = make_activation(parameters.activation)
        if number == places.get(parameters.dropout_at, number):
            layers[f"dropout{number}"] = SeededDropout(dropout)
        num_features = num_units
    layers[f"fc{parameters.depth + 1}"] = nn.Linear(num_features, num_classes)
    return nn.Sequential(layers)
