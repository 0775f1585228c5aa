"""Random changes of training images on their device, a batch at a time with a draw per image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from searchlab.config.settings import TrainingSettings, split_augment
from searchlab.training.colour import JITTERS, jitter
from searchlab.training.geometry import blank, flip, rotate, shift

__all__ = ["Augmenter"]

Operation = Callable[[Tensor, torch.Generator], Tensor]

_ON_FLOATS = ("rotate", "jitter")  # the others move bytes, with a quarter of the memory

# On the CPU, a batch of large images is changed in parts that stay in the cache between
# operations: a rotation of 128x3x160x160 takes 25 instead of 43 ms (benchmarks/augment.py).
_CACHED_PIXELS = 2**20


class Augmenter:
    """Changes images as ``TrainingSettings.augment`` says, with a separate draw per image.

    The operations run in the order of ``AUGMENTATIONS``; jitter's parts run in an order drawn for
    each image, as in torchvision's ``ColorJitter`` and report 001.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        operations: dict[str, Operation] = {
            "flip": self._flip,
            "rotate": self._rotate,
            "jitter": self._jitter,
            "crop": self._crop,
            "cutout": self._cutout,
        }
        self._operations = {name: operations[name] for name in split_augment(settings.augment)}

    @property
    def is_active(self) -> bool:
        """Whether it does more than scale to [0, 1]."""
        return bool(self._operations)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return changed float32 images in [0, 1] for uint8 images [B, C, H, W] with C 1 or 3.

        All randomness comes from the generator, which must be on the images' device.
        """
        assert images.dtype == torch.uint8, images.dtype
        if images.device.type != "cpu" or not self._operations.keys() & set(_ON_FLOATS):
            return self._change(images, generator)
        part = max(1, _CACHED_PIXELS // images[0].numel())
        return torch.cat([self._change(some, generator) for some in torch.split(images, part)])

    def _change(self, images: Tensor, generator: torch.Generator) -> Tensor:
        for name, operation in self._operations.items():
            if name in _ON_FLOATS:
                images = _to_floats(images)
            images = operation(images, generator)
        return _to_floats(images)

    def _flip(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return flip(images, _draw(images, generator, 0, 1) < 0.5)

    def _rotate(self, images: Tensor, generator: torch.Generator) -> Tensor:
        degrees = self._settings.rotate_degrees
        return rotate(images, _draw(images, generator, -degrees, degrees))

    def _jitter(self, images: Tensor, generator: torch.Generator) -> Tensor:
        amounts: dict[str, Tensor] = {}
        for name in JITTERS if images.shape[1] == 3 else JITTERS[:2]:
            bound: float = getattr(self._settings, f"jitter_{name}")
            centre = 0.0 if name == "hue" else 1.0
            if bound > 0:
                amounts[name] = _draw(images, generator, centre - bound, centre + bound)
        keys = torch.rand((len(images), len(amounts)), generator=generator, device=images.device)
        return jitter(images, amounts, keys.argsort(1))

    def _crop(self, images: Tensor, generator: torch.Generator) -> Tensor:
        limit = self._settings.crop_padding
        down = _draw_integers(images, generator, -limit, limit + 1)
        right = _draw_integers(images, generator, -limit, limit + 1)
        return shift(images, down, right, limit=limit)

    def _cutout(self, images: Tensor, generator: torch.Generator) -> Tensor:
        _, _, height, width = images.shape
        rows = _draw_integers(images, generator, 0, height)
        columns = _draw_integers(images, generator, 0, width)
        return blank(images, rows, columns, size=self._settings.cutout_size)


def _to_floats(images: Tensor) -> Tensor:
    return images if images.is_floating_point() else images.float().div_(255)


def _draw(images: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    uniform = torch.rand(len(images), generator=generator, device=images.device)
    return uniform.mul_(high - low).add_(low)


def _draw_integers(images: Tensor, generator: torch.Generator, low: int, high: int) -> Tensor:
    return torch.randint(low, high, (len(images),), generator=generator, device=images.device)
