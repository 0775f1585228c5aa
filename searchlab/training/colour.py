"""Changes of colour for image batches, with a separate amount per image.

All take float images [B, C, H, W] in [0, 1] with one channel (grey) or three (RGB), and return new
ones in [0, 1]. They follow torchvision's adjustments of tensors, in which a grey image has neither
saturation nor hue.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["JITTERS", "adjust_hue", "jitter"]

JITTERS: tuple[str, ...] = ("brightness", "contrast", "saturation", "hue")

_SMALLEST_CHROMA = 1e-6  # below it a pixel is grey, to the eye and in float32, and has no hue


def adjust_hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Rotate the hues of images by ``shifts`` [B], in turns of the colour circle, within +-0.5."""
    if images.shape[1] == 1:
        return images.clone()
    # torchvision's HSV round trip without its sextants: comparisons and choices took 5 times as
    # long on the CPU as this arithmetic (benchmarks/augment.py).
    low = images.amin(1, keepdim=True)
    chroma = images.amax(1, keepdim=True).sub_(low)
    primaries = (torch.arange(3, device=images.device) / 3)[:, None, None]
    turns = _hue(images, low, chroma).add_(_per_image(shifts)) - primaries
    # A channel is full within a sixth of a turn from its primary, and 0 beyond a third.
    levels = turns.sub_(turns.round()).abs_().mul_(-6).add_(2).clamp_(0, 1)
    return levels.mul_(chroma).add_(low).clamp_(0, 1)


def _hue(images: Tensor, low: Tensor, chroma: Tensor) -> Tensor:
    """Return hues [B, 1, H, W] in turns within +-0.5, from red over green; grey has hue 0."""
    red, green, blue = torch.split(images, 1, dim=1)
    # With the strongest channel at 1 and the weakest at 0, 1 - red + green + blue is the distance
    # from red in sixths of a turn, whichever channel is strongest.
    scale = chroma.clamp_min(_SMALLEST_CHROMA)
    sixths = (green - red).add_(blue).sub_(low).div_(scale).add_(1)
    return torch.copysign(sixths, green - blue).div_(6)


def jitter(images: Tensor, amounts: dict[str, Tensor], order: Tensor) -> Tensor:
    """Apply the changes named in ``amounts`` (from ``JITTERS``) to each image in its own order.

    ``amounts`` has [B]: for hue a shift as in ``adjust_hue``, else a factor >= 0, of which 1 gives
    the image and 0 black (brightness), its mean grey (contrast) or its grey version (saturation).
    Row b of ``order`` (int64 [B, len(amounts)]) is the permutation of their positions for image b.
    """
    for kinds in order.unbind(1):
        images = _change(images, amounts, kinds)
    return images


def _change(images: Tensor, amounts: dict[str, Tensor], kinds: Tensor) -> Tensor:
    """Apply to each image the change whose position in ``amounts`` is in ``kinds``, int64 [B]."""
    # Brightness, contrast and saturation are one blend with different targets (black, the mean, the
    # grey image), so a batch with several kinds of change costs little more than one kind.
    factors = torch.ones(len(images), device=images.device)
    chosen = {name: kinds == index for index, name in enumerate(amounts)}
    for name in chosen:
        if name != "hue":
            factors = torch.where(chosen[name], amounts[name], factors)
    shares = {name: _per_image((1 - factors) * chosen[name]) for name in amounts}
    changed = images * _per_image(factors)
    if shares.keys() & {"contrast", "saturation"}:
        changed += _target(_grey(images), shares)
    changed.clamp_(0, 1)
    if "hue" in amounts:
        shift_hues = _shift_chosen if images.device.type == "cpu" else _shift_all
        changed = shift_hues(changed, amounts["hue"], chosen["hue"])
    return changed


def _shift_chosen(images: Tensor, shifts: Tensor, chosen: Tensor) -> Tensor:
    """Shift the hues of the chosen images only, because hue costs the most."""
    indices = chosen.nonzero().squeeze(1)
    images[indices] = adjust_hue(images[indices], shifts[indices])
    return images


def _shift_all(images: Tensor, shifts: Tensor, chosen: Tensor) -> Tensor:
    """Do the same on a GPU, which would have to be waited for to know which are chosen."""
    return torch.where(_per_image(chosen), adjust_hue(images, shifts), images)


def _target(grey: Tensor, shares: dict[str, Tensor]) -> Tensor:
    if "contrast" not in shares:
        return grey * shares["saturation"]
    mean = _mean(grey) * shares["contrast"]
    return (grey * shares["saturation"]).add_(mean) if "saturation" in shares else mean


def _grey(images: Tensor) -> Tensor:
    """Return the luma [B, 1, H, W], with the weights of ITU-R BT.601 as torchvision rounds them."""
    if images.shape[1] == 1:
        return images
    red, green, blue = torch.split(images, 1, dim=1)
    return (red * 0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114)


def _mean(grey: Tensor) -> Tensor:
    return grey.mean((1, 2, 3), keepdim=True)


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]
