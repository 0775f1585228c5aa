"""Forward passes of a network: the precision, and the number of images at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from searchlab.config.settings import Precision

__all__ = ["compute", "evaluation_batch", "predict"]

# These bound an evaluation's memory; larger batches of small images were no faster.
_MAX_IMAGES = 1024
_MAX_VALUES = 2**23  # 109 images of 3x160x160
_GRADIENT_SHARE = 4  # a gradient needs every layer's output, not only the last one's
_GPU_FACTOR = 8  # a GPU has more to spare, and is idle between small batches

_CPU = torch.device("cpu")


def evaluation_batch(
    image_shape: tuple[int, int, int],
    device: torch.device = _CPU,
    *,
    with_gradients: bool = False,
) -> int:
    """Return how many images of this shape to evaluate or attack at a time on ``device``."""
    channels, height, width = image_shape
    most = min(_MAX_IMAGES, _MAX_VALUES // (channels * height * width))
    most *= 1 if device.type == "cpu" else _GPU_FACTOR
    return max(1, most // _GRADIENT_SHARE if with_gradients else most)


def predict(
    model: nn.Module, inputs: Tensor, precision: Precision, *, average_flips: bool = False
) -> Tensor:
    """Return float32 logits [B, classes] from layers computed in ``precision``.

    With ``average_flips`` they are the mean of those of an image and of its mirror image.
    """
    logits = compute(model, inputs, precision).float()
    if not average_flips:
        return logits
    return (logits + compute(model, inputs.flip(-1), precision).float()) / 2


def compute(layers: nn.Module, inputs: Tensor, precision: Precision) -> Tensor:
    """Return what layers make of their inputs in ``precision``, without rounding it up."""
    assert precision != "auto", "is settled before anything is trained (engine/precision.py)"
    if precision == "float32":
        outputs: Tensor = layers(inputs)
        return outputs
    with torch.autocast(inputs.device.type, dtype=getattr(torch, precision)):
        reduced: Tensor = layers(inputs)
    return reduced
