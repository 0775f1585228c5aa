"""The family timm: any classifier of the library timm, by its name there."""
# torch and timm are imported where a network is built: together they take seconds.

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from pydantic import Field

from searchlab.errors import InputError, SearchlabError, did_you_mean
from searchlab.models.parameters import FamilyParameters
from searchlab.models.registry import FIRST_CONV, ImageShape, register_family
from searchlab.models.zoo_parameters import DropPath, HubWeights, Trainable

if TYPE_CHECKING:
    from torch import nn


class TimmParameters(FamilyParameters):
    """The parameters of a network of timm."""

    model: str = Field(
        "mobilenetv3_small_050",
        description="its name in timm.list_models(), such as convnext_atto",
    )
    weights: HubWeights = "none"
    trainable: Trainable = "all"
    drop_path: DropPath = 0.0


def finish_timm(model: nn.Module, parameters: TimmParameters) -> None:
    """Load the weights that ``parameters`` name, except the head's."""
    from searchlab.models.adaptation import head_of
    from searchlab.models.pretrained import load_body, read_weights

    if parameters.weights == "hub":
        tensors = _fetch(parameters.model, getattr(model, _OPTIONS)).state_dict()
        load_body(model, tensors, head=head_of(model), origin="timm's hub")
    elif parameters.weights != "none":
        tensors = dict(read_weights(parameters.weights))
        load_body(model, tensors, head=head_of(model), origin=parameters.weights)


@register_family(first_conv=FIRST_CONV, finish=finish_timm, draws_own=True)
def timm(
    parameters: TimmParameters, *, image_shape: ImageShape, num_classes: int, dropout: float
) -> nn.Module:
    """Any classifier of timm by its name, from scratch or from trained weights.

    It needs the package timm: ``pip install 'searchlab[timm]'``. Under the init ``default`` it has
    timm's own initialisation. Images may have any number of channels, and networks of a fixed image
    size get that of the images. Dropout precedes the head. Frozen norm layers keep their
    statistics. Raises InputError if timm is missing or has no such network, or if it does not suit
    the images.
    """
    from torch import nn

    from searchlab.models.adaptation import freeze_body, set_head

    options = _find_options(parameters.model, image_shape)
    drop_path = {"drop_path_rate": parameters.drop_path} if parameters.drop_path > 0 else {}
    try:
        model = _library().create_model(
            parameters.model, num_classes=num_classes, **options, **drop_path
        )
    except (TypeError, ValueError, AssertionError) as error:
        raise InputError(
            f"cannot be {parameters.model} for these images and options: {error}"
        ) from error
    if not isinstance(model.get_classifier(), nn.Module):
        raise InputError(
            "must have a model with one head", found=parameters.model, remedy="Choose another"
        )
    set_head(model, num_classes=num_classes, dropout=dropout)
    freeze_body(model, parameters.trainable)
    setattr(model, _OPTIONS, options)
    built: nn.Module = model
    return built


_OPTIONS = "timm_options"
"""The attribute of a network with what timm was told besides the number of classes."""


def _library() -> Any:
    try:
        import timm
    except ImportError as error:
        raise InputError(
            "needs the package timm", remedy="pip install 'searchlab[timm]'"
        ) from error
    return timm


def _find_options(name: str, image_shape: ImageShape) -> dict[str, Any]:
    library = _library()
    if not library.is_model(name):
        alike = library.list_models(f"*{name[:4]}*")
        remedy = did_you_mean(name, alike) if alike else "timm.list_models() lists them"
        raise InputError("must have a model of timm as model", found=name, remedy=remedy)
    channels, height, width = image_shape
    described = library.get_pretrained_cfg(name)
    fixed = described is not None and described.fixed_input_size
    return {"in_chans": channels, **({"img_size": (height, width)} if fixed else {})}


def _fetch(name: str, options: dict[str, Any]) -> nn.Module:
    """Return the network with the weights of timm's hub, from its cache or a download."""
    try:
        with redirect_stdout(sys.stderr):  # stdout is for results
            donor: nn.Module = _library().create_model(name, pretrained=True, **options)
    except (OSError, RuntimeError) as error:
        reason = str(error).rstrip(".")
        raise SearchlabError(
            f"cannot fetch the weights of {name}: {reason}. Save the model's state_dict() where "
            "the hub is in reach, and give the path of the file as weights"
        ) from error
    return donor
