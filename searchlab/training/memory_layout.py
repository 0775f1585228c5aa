"""The layout of images and their gradients in memory: channels last, in every layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["keep_channels_last"]


def keep_channels_last(model: nn.Module) -> None:
    """Lay a network's weights out channels last, and the gradients that reach its ``nn.Flatten``.

    Flatten hands back a gradient that is contiguous by channel, and the layers before it then work
    on two layouts at once, which takes ReLU's backward much longer. No value changes, only its
    place.
    """
    model.to(memory_format=torch.channels_last)
    for module in model.modules():
        if isinstance(module, nn.Flatten):
            module.register_forward_pre_hook(_restore_gradients_layout)


def _restore_gradients_layout(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    images = inputs[0]
    if images.requires_grad and images.ndim == 4:
        images.register_hook(_to_channels_last)  # type: ignore[no-untyped-call]


def _to_channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)
