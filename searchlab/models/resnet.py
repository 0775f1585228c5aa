"""The family resnet: torchvision's residual networks, from scratch or from trained weights."""
# No `from __future__ import annotations`: the registry reads the annotations when it registers.

from collections import OrderedDict
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from torch import nn

from searchlab.errors import InputError
from searchlab.models.batch_norm import BatchNorm2d
from searchlab.models.dropout import SeededDropout
from searchlab.models.parameters import FamilyParameters
from searchlab.models.pretrained import SUFFIXES, fetch_imagenet_weights, load_body, read_weights
from searchlab.models.registry import ImageShape, register_family

HEAD = "fc"
LARGE_IMAGE = 64
"""Side in pixels from which stem auto is the large one."""


def _check_weights(value: str) -> str:
    if value not in ("none", "imagenet") and not value.endswith(SUFFIXES):
        raise InputError(f"must be none, imagenet, or a file's path ending in {SUFFIXES}")
    return value


class ResnetParameters(FamilyParameters):
    """What makes one resnet differ from another."""

    variant: Literal[18, 34, 50] = Field(18, description="number of layers: 18, 34 or 50")
    stem: Literal["auto", "small", "large"] = Field(
        "auto",
        description="first layers: 3x3 without pooling (small), 7x7 at stride 2 with pooling "
        "(large); auto is small from scratch below 64 pixels",
    )
    weights: Annotated[str, AfterValidator(_check_weights)] = Field(
        "none", description="start: none (from scratch), imagenet, or a .pth, .pt, .safetensors"
    )
    trainable: Literal["head", "bn+head", "layer4+head", "all"] = Field(
        "all", description="what is trained; other batch norm keeps its statistics as well"
    )


def finish_resnet(model: nn.Module, parameters: ResnetParameters) -> None:
    """Load the weights that ``parameters`` name, the head's left out; see ``pretrained``."""
    name = f"resnet{parameters.variant}"
    if parameters.weights == "imagenet":
        load_body(model, fetch_imagenet_weights(name), head=HEAD, origin="imagenet")
    elif parameters.weights != "none":
        tensors = read_weights(parameters.weights)
        load_body(model, tensors, head=HEAD, origin=parameters.weights)


@register_family(first_conv="conv1", finish=finish_resnet)
def resnet(
    parameters: ResnetParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Residual network of 18, 34 or 50 layers, from scratch or from trained weights.

    From scratch, weights begin as ``init`` says and images may have any number of channels. With
    trained weights all but the head are loaded, and ``trainable`` says what is trained: a frozen
    batch norm layer keeps weights and running statistics, even in training mode; report 001 asked
    what thawing them brings (``head`` against ``bn+head``). The scheme has the last word on conv1:
    HT trains it whatever is frozen. Dropout comes before the head. Raises InputError for images
    that imagenet's weights do not take.
    """
    from torchvision.models import get_model  # 1.6 s, which the other families need not pay

    channels, height, width = image_shape
    if parameters.weights == "imagenet" and channels != 3:
        raise InputError(
            "takes weights imagenet for images of 3 channels only",
            found=channels,
            remedy="Set weights to none, or to a file of such images' weights",
        )
    if parameters.weights == "imagenet" and parameters.stem == "small":
        raise InputError(
            "takes weights imagenet with the large stem only", remedy="Set stem to auto or large"
        )
    model: nn.Module = get_model(
        f"resnet{parameters.variant}",
        weights=None,
        num_classes=num_classes,
        norm_layer=BatchNorm2d,
    )
    from_scratch = parameters.weights == "none"
    small = from_scratch and min(height, width) < LARGE_IMAGE
    if parameters.stem == "small" or (parameters.stem == "auto" and small):
        model.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    else:
        model.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    head = model.get_submodule(HEAD)
    model.fc = nn.Sequential(OrderedDict(dropout1=SeededDropout(dropout), fc1=head))
    _freeze(model, parameters.trainable)
    return model


def _freeze(model: nn.Module, trainable: str) -> None:
    """Freeze what ``trainable`` leaves out."""
    if trainable == "all":
        return
    places = tuple(f"{part}." for part in trainable.replace("head", HEAD).split("+"))
    for name, module in model.named_modules():
        in_place = f"{name}.".startswith(places)
        if isinstance(module, BatchNorm2d):
            if not in_place and "bn" not in trainable:
                module.freeze()
        elif not in_place:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
