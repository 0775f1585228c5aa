"""The published networks of reports 000 and 002: convolutions without padding or pooling.

ReLU follows each convolution; a classifier then returns raw logits, and the loss applies softmax.
The shared ``dropout``, 0 in the published networks, precedes fc1.
"""
# torch is imported where a network is built, so that commands on spaces need not wait for it.

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchlab.errors import InputError
from searchlab.models.parameters import FamilyParameters
from searchlab.models.registry import ImageShape, register_family

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class _Convolution:
    filters: int
    kernel: int
    stride: int = 1


_REPORT000 = (_Convolution(filters=5, kernel=3), _Convolution(filters=7, kernel=3))
_REPORT002 = (
    _Convolution(filters=4, kernel=5, stride=2),
    _Convolution(filters=12, kernel=3, stride=2),
)


class PublishedParameters(FamilyParameters):
    """No parameters: the published networks are fixed."""


@register_family(first_conv="conv1")
def a1(
    parameters: PublishedParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """One 3x3 convolution of 5 filters, ReLU, and a classifier (report 000).

    Raises InputError for images smaller than 3x3.
    """
    return _plain_network(_REPORT000[:1], image_shape, num_classes, dropout)


@register_family(first_conv="conv1")
def a2(
    parameters: PublishedParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Two 3x3 convolutions of 5 and 7 filters, each with ReLU, and a classifier (report 000).

    Raises InputError for images smaller than 5x5.
    """
    return _plain_network(_REPORT000, image_shape, num_classes, dropout)


@register_family(first_conv="conv1")
def a1_report002(
    parameters: PublishedParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """One 5x5 convolution of 4 filters at stride 2, ReLU, and a classifier (report 002).

    Raises InputError for images smaller than 5x5.
    """
    return _plain_network(_REPORT002[:1], image_shape, num_classes, dropout)


@register_family(first_conv="conv1")
def a2_report002(
    parameters: PublishedParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Convolutions of 4 (5x5) and 12 (3x3) filters at stride 2, and a classifier (report 002).

    Raises InputError for images smaller than 9x9.
    """
    return _plain_network(_REPORT002, image_shape, num_classes, dropout)


def _plain_network(
    convolutions: tuple[_Convolution, ...],
    image_shape: ImageShape,
    num_classes: int,
    dropout: float,
) -> nn.Module:
    from torch import nn

    from searchlab.models.dropout import SeededDropout

    channels, height, width = image_shape
    smallest = 1
    for convolution in reversed(convolutions):
        smallest = (smallest - 1) * convolution.stride + convolution.kernel
    if min(height, width) < smallest:
        raise InputError(
            f"needs images of at least {smallest}x{smallest} pixels",
            found=f"{height}x{width}",
            remedy="Use larger images or another family",
        )
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, convolution in enumerate(convolutions, start=1):
        kernel, stride = convolution.kernel, convolution.stride
        layers[f"conv{number}"] = nn.Conv2d(channels, convolution.filters, kernel, stride)
        layers[f"relu{number}"] = nn.ReLU()
        channels = convolution.filters
        height, width = ((side - kernel) // stride + 1 for side in (height, width))
    layers["flatten"] = nn.Flatten()
    layers["dropout1"] = SeededDropout(dropout)
    layers["fc1"] = nn.Linear(channels * height * width, num_classes)
    return nn.Sequential(layers)
