"""The family resnet: torchvision's residual networks, from scratch or from trained weights."""
# torch is imported where a network is built, so that commands on spaces need not wait for it.

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from searchlab.errors import InputError
from searchlab.models.parameters import FamilyParameters
from searchlab.models.registry import ImageShape, register_family
from searchlab.models.zoo_parameters import ImagenetWeights

if TYPE_CHECKING:
    from torch import nn

HEAD = "fc"
LARGE_IMAGE = 64
"""From this side in pixels, stem auto is the large stem."""


class ResnetParameters(FamilyParameters):
    """The parameters of a resnet."""

    variant: Literal[18, 34, 50] = Field(18, description="number of layers: 18, 34 or 50")
    stem: Literal["auto", "small", "large"] = Field(
        "auto",
        description="first layers: 3x3 without pooling (small), 7x7 at stride 2 with pooling "
        "(large); auto is small from scratch below 64 pixels",
    )
    weights: ImagenetWeights = "none"
    trainable: Literal["head", "bn+head", "layer4+head", "all"] = Field(
        "all", description="what is trained; frozen batch norm also keeps its statistics"
    )


def finish_resnet(model: nn.Module, parameters: ResnetParameters) -> None:
    """Load the weights that ``parameters`` name, except the head's; see ``pretrained``."""
    from searchlab.models.pretrained import fetch_imagenet_weights, load_body, read_weights

    name = f"resnet{parameters.variant}"
    if parameters.weights == "imagenet":
        load_body(model, fetch_imagenet_weights(name), head=HEAD, origin="imagenet")
    elif parameters.weights != "none":
        tensors = read_weights(parameters.weights)
        load_body(model, tensors, head=HEAD, origin=parameters.weights)


@register_family(first_conv="conv1", finish=finish_resnet, head=HEAD)
def resnet(
    parameters: ResnetParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Residual network of 18, 34 or 50 layers, from scratch or from trained weights.

    From scratch, ``init`` sets the weights and images may have any number of channels. Trained
    weights are loaded into all but the head, and ``trainable`` says what is trained: a frozen batch
    norm layer keeps its weights and running statistics even in training mode; report 001 asked
    what training them gains (``head`` against ``bn+head``). The scheme overrides this for conv1:
    HT always trains it. Dropout precedes the head. Raises InputError if the imagenet weights do not
    suit the images.
    """
    from torch import nn
    from torchvision.models import get_model  # takes 1.6 s, and other families do not need it

    from searchlab.models.batch_norm import BatchNorm2d
    from searchlab.models.dropout import SeededDropout

    channels, height, width = image_shape
    if parameters.weights == "imagenet" and channels != 3:
        raise InputError(
            "accepts the imagenet weights only for images of 3 channels",
            found=channels,
            remedy="Set weights to none, or to a file trained on such images",
        )
    if parameters.weights == "imagenet" and parameters.stem == "small":
        raise InputError(
            "accepts the imagenet weights only with the large stem",
            remedy="Set stem to auto or large",
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
    """Freeze everything that ``trainable`` does not name."""
    from searchlab.models.batch_norm import BatchNorm2d

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
