"""The family torchvision: any classifier of torchvision's, by its name there."""
# torch is imported where a network is built, so that commands on spaces need not wait for it.

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from pydantic import Field

from searchlab.errors import InputError, did_you_mean
from searchlab.models.parameters import FamilyParameters
from searchlab.models.registry import FIRST_CONV, ImageShape, register_family
from searchlab.models.zoo_parameters import DropPath, ImagenetWeights, Trainable

if TYPE_CHECKING:
    from torch import Tensor, nn


class TorchvisionParameters(FamilyParameters):
    """The parameters of a network of torchvision."""

    model: str = Field(
        "mobilenet_v3_small",
        description="its name in torchvision.models, such as convnext_tiny or vit_b_32",
    )
    weights: ImagenetWeights = "none"
    trainable: Trainable = "all"
    drop_path: DropPath = 0.0


def finish_torchvision(model: nn.Module, parameters: TorchvisionParameters) -> None:
    """Load the weights that ``parameters`` name, except the head's."""
    from searchlab.models.adaptation import head_of
    from searchlab.models.pretrained import fetch_imagenet_weights, load_body, read_weights

    if parameters.weights == "none":
        return
    if parameters.weights == "imagenet":
        tensors = fetch_imagenet_weights(parameters.model)
    else:
        tensors = read_weights(parameters.weights)
    # An auxiliary classifier takes part in no study.
    body = {
        name: value
        for name, value in tensors.items()
        if not name.startswith(("aux1.", "aux2.", "AuxLogits."))
    }
    load_body(model, _fit_positions(model, body), head=head_of(model), origin=parameters.weights)


def _fit_positions(model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a vision transformer's weights with its positions interpolated to its image size."""
    from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

    positions = tensors.get("encoder.pos_embedding")
    if not isinstance(model, VisionTransformer) or positions is None or positions.ndim != 3:
        return tensors  # what does not fit is named where it is loaded
    state = OrderedDict(tensors)
    try:
        return dict(interpolate_embeddings(model.image_size, model.patch_size, state))
    except ValueError:  # not the positions of a square of patches
        return tensors


@register_family(first_conv=FIRST_CONV, finish=finish_torchvision, draws_own=True)
def torchvision(
    parameters: TorchvisionParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Any classifier of torchvision by its name, from scratch or from trained weights.

    Under the init ``default`` it has torchvision's own initialisation. Images may have any number
    of channels, and the size of a vision transformer is that of the images. Dropout precedes the
    head. Frozen norm layers keep their statistics. A vision transformer's position embeddings are
    interpolated to the images' size. Raises InputError if there is no such network, or if it does
    not suit the images.
    """
    from torchvision.models import get_model

    from searchlab.models.adaptation import freeze_body, set_channels, set_head

    channels = image_shape[0]
    if parameters.weights == "imagenet" and channels != 3:
        raise InputError(
            "accepts the imagenet weights only for images of 3 channels",
            found=channels,
            remedy="Set weights to none, or to a file trained on such images",
        )
    _require_known(parameters.model)
    try:
        model: nn.Module = get_model(
            parameters.model,
            weights=None,
            num_classes=num_classes,
            **_find_options(parameters.model, image_shape),
        )
    except ValueError as error:
        raise InputError(f"cannot be {parameters.model} for these images: {error}") from error
    _set_drop_path(model, parameters)
    set_channels(model, channels)
    set_head(model, num_classes=num_classes, dropout=dropout)
    freeze_body(model, parameters.trainable)
    return model


def _require_known(name: str) -> None:
    import torchvision.models

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise InputError(
            "must have a classifier of torchvision as model",
            found=name,
            remedy=did_you_mean(name, known),
        )


def _find_options(name: str, image_shape: ImageShape) -> dict[str, Any]:
    """Return what a network's builder is told besides the number of classes."""
    _, height, width = image_shape
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("maxvit_"):
        return {"input_size": (height, width)}
    if not name.startswith("vit_"):
        return {}
    patch = int(name.rpartition("_")[2])
    if height != width or height % patch:
        raise InputError(
            f"needs square images whose side is a multiple of {patch} for {name}",
            found=f"{height}x{width}",
            remedy="Resize the images, or choose another model",
        )
    return {"image_size": height}


def _set_drop_path(model: nn.Module, parameters: TorchvisionParameters) -> None:
    """Leave blocks out with a probability that rises to ``drop_path``, as torchvision's does."""
    from torchvision.ops import StochasticDepth

    blocks = [module for module in model.modules() if isinstance(module, StochasticDepth)]
    highest = max((block.p for block in blocks), default=0.0)
    for block in blocks:
        block.p = parameters.drop_path * block.p / highest
    if parameters.drop_path > 0 and not blocks:
        raise InputError(
            f"must have a drop_path of 0 for {parameters.model}, which has no stochastic depth",
            found=parameters.drop_path,
        )
