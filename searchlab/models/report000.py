"""The two networks of report 000: a1 and a2, as published.

There is no pooling, and softmax lives in the loss. The shared ``dropout``, 0 in the published
networks, comes before fc1.
"""
# No `from __future__ import annotations`: the registry reads the annotations when it registers.

from collections import OrderedDict

from torch import nn

from searchlab.errors import InputError
from searchlab.models.dropout import SeededDropout
from searchlab.models.parameters import FamilyParameters
from searchlab.models.registry import ImageShape, register_family

KERNEL = 3
CONV1_FILTERS = 5
CONV2_FILTERS = 7


class PublishedParameters(FamilyParameters):
    """None: the published networks are fixed."""


@register_family(first_conv="conv1")
def a1(
    parameters: PublishedParameters,
    *,
    image_shape: ImageShape,
    num_classes: int,
    dropout: float,
) -> nn.Module:
    """One 3x3 convolution of 5 filters, ReLU, and a classifier (report 000).

    Raises InputError for images smaller than 3x3.
    """
    return _plain_network("a1", (CONV1_FILTERS,), image_shape, num_classes, dropout)


@register_family(first_conv="conv1")
def a2(
    parameters: PublishedParameters,
    *,
    image_shape: ImageShape,
    num_classes: int,
    dropout: float,
) -> nn.Module:
    """Two 3x3 convolutions of 5 and 7 filters, each with ReLU, and a classifier (report 000).

    Raises InputError for images smaller than 5x5.
    """
    return _plain_network("a2", (CONV1_FILTERS, CONV2_FILTERS), image_shape, num_classes, dropout)


def _plain_network(
    name: str, filters: tuple[int, ...], image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    channels, height, width = image_shape
    trimmed = len(filters) * (KERNEL - 1)  # no padding: each convolution takes 2 off each side
    if min(height, width) <= trimmed:
        raise InputError(
            f"needs images of at least {trimmed + 1}x{trimmed + 1} pixels",
            where=f"family {name}",
            found=f"{height}x{width}",
            remedy="Use larger images or another family",
        )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, num_filters in enumerate(filters, start=1):
        layers[f"conv{number}"] = nn.Conv2d(channels, num_filters, KERNEL)
        layers[f"relu{number}"] = nn.ReLU()
        channels = num_filters
    layers["flatten"] = nn.Flatten()
    layers["dropout1"] = SeededDropout(dropout)
    layers["fc1"] = nn.Linear(channels * (height - trimmed) * (width - trimmed), num_classes)
    return nn.Sequential(layers)
