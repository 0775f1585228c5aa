"""From a ModelConfig to a network that is ready to train, and checks before that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from searchlab.errors import InputError
from searchlab.models.initialisation import apply_scheme, initialize
from searchlab.models.registry import ImageShape, get_family

if TYPE_CHECKING:
    from searchlab.config.trial import ModelConfig

__all__ = ["build_model", "check_model", "count_parameters"]


def build_model(
    config: ModelConfig, *, image_shape: ImageShape, num_classes: int, key: tuple[str | int, ...]
) -> nn.Module:
    """Build and initialise a network on the CPU: [B, *image_shape] in, logits [B, num_classes] out.

    The same ``key``, say ``(study_seed, fold, repeat)``, gives the same weights, and the global
    random state is neither read nor moved. Under HF the first convolution comes frozen. Raises
    InputError where the configuration is wrong or does not suit the images.
    """
    model = _build_on_meta(config, image_shape, num_classes).to_empty(device="cpu")
    initialize(model, init=config.init, key=key)  # sets every tensor, or raises TypeError
    apply_scheme(model, get_family(config.family), config.scheme)
    return model


def count_parameters(config: ModelConfig, *, image_shape: ImageShape, num_classes: int) -> int:
    """Return the number of weights and biases, frozen ones included, without allocating them."""
    model = _build_on_meta(config, image_shape, num_classes)
    return sum(parameter.numel() for parameter in model.parameters())


def check_model(config: ModelConfig, *, image_shape: ImageShape, num_classes: int) -> None:
    """Raise InputError unless the network suits the images, its scheme and [B, num_classes] logits.

    Costs a forward pass of two images through weights that nobody set, so every family of a space
    can be checked before a study. (On the meta device the pass would import torch's compiler,
    which takes 1.5 s.)
    """
    model = _build_on_meta(config, image_shape, num_classes).to_empty(device="cpu").eval()
    apply_scheme(model, get_family(config.family), config.scheme)
    images = torch.zeros((2, *image_shape))
    try:
        with torch.no_grad():
            logits = model(images)
    except RuntimeError as error:  # how torch reports shapes that do not meet
        raise InputError(
            f"does not fit images of shape {image_shape}: {error}", where=_where(config)
        ) from error
    if tuple(logits.shape) != (2, num_classes):
        raise InputError(
            f"must give logits of shape {(2, num_classes)} for two images",
            where=_where(config),
            found=tuple(logits.shape),
        )


def _build_on_meta(config: ModelConfig, image_shape: ImageShape, num_classes: int) -> nn.Module:
    assert len(image_shape) == 3, f"{image_shape=}"
    assert min(image_shape) >= 1, f"{image_shape=}"
    assert num_classes >= 1, f"{num_classes=}"
    if not 0 <= config.dropout < 1:
        raise InputError("must be in [0, 1)", where="dropout", found=config.dropout)
    family = get_family(config.family)
    parameters = family.parameters.parse(config.parameters, where=config.family)
    with torch.device("meta"):
        return family.build(
            parameters, image_shape=image_shape, num_classes=num_classes, dropout=config.dropout
        )


def _where(config: ModelConfig) -> str:
    return f"family {config.family}"
