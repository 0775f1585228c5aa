"""The operations of TrivialAugment and RandAugment on image batches: each image has its own.

All take and return uint8 images [B, C, H, W] with C 1 or 3, and give torchvision's bits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

__all__ = ["OPERATIONS", "SIGNED", "operate"]

OPERATIONS: tuple[str, ...] = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "auto_contrast",
    "equalize",
)

SIGNED = OPERATIONS[1:10]
"""Those whose amount has a sign, which is drawn."""

_MOVES = OPERATIONS[1:6]

_NUM_LEVELS = 256
_CENTRE = 5  # weight of a pixel in its blur, in which each neighbour has 1 of 13

Change = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Changes images, given the operation of each and its amount, [B] each."""


def operate(images: Tensor, kinds: Tensor, amounts: Tensor) -> Tensor:
    """Change each image by the operation whose position in ``OPERATIONS`` is in ``kinds`` [B].

    ``amounts`` [B] are float64: a slope, pixels, degrees, a change of a factor of 1, the bits that
    are kept, or the level from which an image is inverted.
    """
    moved = torch.stack([_is(kinds, name) for name in _MOVES]).any(0)
    changed = _change_some(images.clone(), moved, _move, kinds, amounts)
    for name, change in _CHANGES.items():
        if name != "color" or images.shape[1] == 3:  # grey images have no colour
            changed = _change_some(changed, _is(kinds, name), change, kinds, amounts)
    return changed


def _change_some(
    images: Tensor, chosen: Tensor, change: Change, kinds: Tensor, amounts: Tensor
) -> Tensor:
    """Change the chosen images, bool [B], in place."""
    if images.device.type != "cpu":
        return _change_all(images, chosen, change, kinds, amounts)
    indices = chosen.nonzero().squeeze(1)
    if len(indices) > 0:
        changed = change(images[indices], kinds[indices], amounts[indices])
        images.index_copy_(0, indices, changed)
    return images


def _change_all(
    images: Tensor, chosen: Tensor, change: Change, kinds: Tensor, amounts: Tensor
) -> Tensor:
    """Do the same on a GPU, which would have to be waited for to know which are chosen."""
    return torch.where(_per_image(chosen), change(images, kinds, amounts), images)


def _move(images: Tensor, kinds: Tensor, amounts: Tensor) -> Tensor:
    """Move pixels to the nearest place; those from outside are 0."""
    _, _, height, width = images.shape
    slopes_x, slopes_y = (_of(kinds, name, amounts) for name in ("shear_x", "shear_y"))
    turns = torch.deg2rad(-_of(kinds, "rotate", amounts))
    cosine, sine = turns.cos(), turns.sin()
    right, down = (_of(kinds, name, amounts).trunc() for name in ("translate_x", "translate_y"))
    # The place in the source, measured from the centre. Shears keep the upper left corner.
    across = _affine(cosine, sine + slopes_x, slopes_x * (height / 2) - right, width / 2, images)
    along = _affine(slopes_y - sine, cosine, slopes_y * (width / 2) - down, height / 2, images)
    grid = torch.stack([across, along], -1)
    moved = grid_sample(images.float(), grid, "nearest", "zeros", align_corners=False)
    return moved.to(torch.uint8)


def _affine(by_x: Tensor, by_y: Tensor, shift: Tensor, half: float, images: Tensor) -> Tensor:
    """Return ``(by_x x + by_y y + shift) / half`` for every pixel [B, H, W], in float32."""
    _, _, height, width = images.shape
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = (torch.arange(height, device=images.device) - (height - 1) / 2)[:, None]
    by_x, by_y, shift = ((one.float() / half)[:, None, None] for one in (by_x, by_y, shift))
    return by_x * x + by_y * y + shift


def _brighten(images: Tensor, _kinds: Tensor, amounts: Tensor) -> Tensor:
    return _blend(images, None, amounts)


def _saturate(images: Tensor, _kinds: Tensor, amounts: Tensor) -> Tensor:
    return _blend(images, _grey(images), amounts)


def _contrast(images: Tensor, _kinds: Tensor, amounts: Tensor) -> Tensor:
    _, _, height, width = images.shape
    mean = _grey(images).sum((1, 2, 3)).float() / (height * width)
    return _blend(images, _per_image(mean), amounts)


def _sharpen(images: Tensor, _kinds: Tensor, amounts: Tensor) -> Tensor:
    return _blend(images, _blur(images), amounts)


def _posterize(images: Tensor, _kinds: Tensor, amounts: Tensor) -> Tensor:
    kept = _NUM_LEVELS - 2 ** (8 - amounts.long().clamp(0, 8))
    return images & _per_image(kept).to(torch.uint8)


def _solarize(images: Tensor, _kinds: Tensor, amounts: Tensor) -> Tensor:
    first = _per_image(amounts.clamp(0, 255).ceil().to(torch.uint8))
    return images ^ (images >= first).to(torch.uint8).mul_(255)  # 255 - level flips every bit


def _stretch(images: Tensor, _kinds: Tensor, _amounts: Tensor) -> Tensor:
    """Stretch the levels of each channel to 0..255."""
    low, high = (end((2, 3), keepdim=True).float() for end in (images.amin, images.amax))
    stretched = (images - low).mul_(255 / (high - low)).clamp_(0, 255).to(torch.uint8)
    return torch.where(high > low, stretched, images)


def _equalize(images: Tensor, _kinds: Tensor, _amounts: Tensor) -> Tensor:
    """Spread the levels of each channel so that each has about as many pixels."""
    batch, channels, height, width = images.shape
    levels = images.flatten(2).long()
    first = torch.arange(batch * channels, device=images.device) * _NUM_LEVELS
    places = (levels + first.view(batch, channels, 1)).flatten()
    counts = torch.zeros(batch * channels * _NUM_LEVELS, device=images.device, dtype=torch.int64)
    counts = counts.index_add_(0, places, torch.ones_like(places))
    counts = counts.view(batch, channels, _NUM_LEVELS)
    highest = images.amax((2, 3)).long()[:, :, None]
    step = (height * width - counts.gather(2, highest)) // 255
    spread = (counts.cumsum(2) + step // 2) // step.clamp(min=1)
    table = pad(spread, (1, 0))[:, :, :-1].clamp_(0, 255).to(torch.uint8)
    equalized = table.gather(2, levels).view_as(images)
    return torch.where(step[..., None] == 0, images, equalized)


def _blend(images: Tensor, other: Tensor | None, amounts: Tensor) -> Tensor:
    """Return images times 1 + amount, less the amount of another (black if None), as bytes."""
    blended = images * _per_image((1 + amounts).float())
    if other is not None:
        blended += other * _per_image((-amounts).float())
    return blended.clamp_(0, 255).to(torch.uint8)


def _grey(images: Tensor) -> Tensor:
    """Return the luma [B, 1, H, W] as bytes, with the weights and the rounding of torchvision."""
    if images.shape[1] == 1:
        return images
    red, green, blue = torch.split(images, 1, dim=1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).to(torch.uint8)


def _blur(images: Tensor) -> Tensor:
    """Return images blurred over 3x3 pixels; those of the border, and tiny images, stay."""
    _, _, height, width = images.shape
    if height <= 2 or width <= 2:
        return images
    wide = images.to(torch.int16)
    rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    sums = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    inner = sums + (_CENTRE - 1) * wide[:, :, 1:-1, 1:-1]
    blurred = images.clone()
    blurred[:, :, 1:-1, 1:-1] = (inner / (_CENTRE + 8)).round_().to(torch.uint8)
    return blurred


_CHANGES: dict[str, Change] = {
    "brightness": _brighten,
    "color": _saturate,
    "contrast": _contrast,
    "sharpness": _sharpen,
    "posterize": _posterize,
    "solarize": _solarize,
    "auto_contrast": _stretch,
    "equalize": _equalize,
}


def _of(kinds: Tensor, name: str, amounts: Tensor) -> Tensor:
    """Return the amounts of the images with an operation, 0 for others."""
    return torch.where(_is(kinds, name), amounts, 0.0)


def _is(kinds: Tensor, name: str) -> Tensor:
    return kinds == OPERATIONS.index(name)


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]
