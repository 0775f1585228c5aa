"""The kernels of a family's first layer when they are set by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from searchlab.errors import InputError
from searchlab.models.initialisation import apply_scheme, layer_of_schemes
from searchlab.models.registry import ImageShape, get_family, list_families
from searchlab.models.uninitialised import allocate

__all__ = ["first_layer_kernels"]

# The kernels depend only on the shape of the layer, so any images that suit the family will do.
_ANY_SHAPE: ImageShape = (1, 64, 64)


def first_layer_kernels(name: str, *, image_shape: ImageShape = _ANY_SHAPE) -> Tensor:
    """Return the 0/1 kernels [F, kh, kw] of a family's first layer, one for each filter.

    The family has its default parameters. Raises InputError if the family is unknown, has no
    convolution, or does not suit the images.
    """
    family = get_family(name)
    if family.first_conv is None:
        others = [other for other in list_families() if get_family(other).first_conv]
        raise InputError(
            "must have a first conv layer to set by hand",
            where="family",
            found=name,
            remedy=f"Known: {', '.join(others)}",
        )
    with torch.device("meta"):
        model = family.build(
            family.parameters(), image_shape=image_shape, num_classes=2, dropout=0.0
        )
    layer = layer_of_schemes(model, family)
    assert layer is not None
    conv = model.get_submodule(layer)
    assert isinstance(conv, nn.Conv2d), f"{name}.{layer} is not a Conv2d"
    allocate(conv)
    apply_scheme(model, family, "HF")
    return conv.weight.detach()[:, 0]  # every channel has the same kernel
