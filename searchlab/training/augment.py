"""Random changes of training images on their device, a batch at a time with a draw per image."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from searchlab.config.settings import TrainingSettings, split_augment
from searchlab.training.colour import JITTERS, jitter
from searchlab.training.geometry import blank, erase, flip, rotate, shift
from searchlab.training.policies import augment_randomly, augment_trivially

__all__ = ["Augmenter"]

Operation = Callable[[Tensor, torch.Generator], Tensor]

# The others move bytes, with a quarter of the memory.
_ON_FLOATS = ("rotate", "jitter")
_POLICIES = ("trivial", "randaugment")

# Of random erasing, as in torchvision.
_SMALLEST_ERASED = 0.02
_ASPECT_RATIOS = (0.3, 3.3)
_NUM_TRIES = 10

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
            "trivial": self._trivial,
            "randaugment": self._randaugment,
            "cutout": self._cutout,
            "erase": self._erase,
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
        is_long = bool(self._operations.keys() & {*_ON_FLOATS, *_POLICIES})
        if images.device.type != "cpu" or not is_long:
            return self._change(images, generator)
        part = max(1, _CACHED_PIXELS // images[0].numel())
        return torch.cat([self._change(some, generator) for some in torch.split(images, part)])

    def _change(self, images: Tensor, generator: torch.Generator) -> Tensor:
        for name, operation in self._operations.items():
            if name in _ON_FLOATS:
                images = _to_floats(images)
            elif name in _POLICIES:
                images = _to_bytes(images)
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

    def _trivial(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return augment_trivially(images, generator)

    def _randaugment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return augment_randomly(
            images,
            generator,
            num_operations=self._settings.randaugment_operations,
            strength=self._settings.randaugment_magnitude,
        )

    def _erase(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Erase a rectangle (Zhong et al. 2020): of the sizes tried, the first that fits."""
        batch, _, height, width = images.shape
        tries = torch.rand((4, batch, _NUM_TRIES), generator=generator, device=images.device)
        largest = self._settings.erase_area
        smallest = min(_SMALLEST_ERASED, largest)
        area = height * width * (smallest + (largest - smallest) * tries[0])
        flat, steep = map(math.log, _ASPECT_RATIOS)
        ratio = torch.exp(flat + (steep - flat) * tries[1])
        heights, widths = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
        fits = (heights < height) & (widths < width)
        chosen = fits.int().argmax(1, keepdim=True)
        is_erased = fits.any(1) & (tries[3, :, 0] < self._settings.erase_probability)
        tall, broad = (one.gather(1, chosen)[:, 0] * is_erased for one in (heights, widths))
        places = tries[2, :, :2].unbind(1)
        top, left = (
            (place * (side - size + 1)).floor().minimum(side - size)  # rounding may reach the end
            for place, side, size in zip(places, (height, width), (tall, broad), strict=True)
        )
        return erase(images, top, left, tall, broad)


def _to_floats(images: Tensor) -> Tensor:
    return images if images.is_floating_point() else images.float().div_(255)


def _to_bytes(images: Tensor) -> Tensor:
    return images.mul(255).round_().to(torch.uint8) if images.is_floating_point() else images


def _draw(images: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    uniform = torch.rand(len(images), generator=generator, device=images.device)
    return uniform.mul_(high - low).add_(low)


def _draw_integers(images: Tensor, generator: torch.Generator, low: int, high: int) -> Tensor:
    return torch.randint(low, high, (len(images),), generator=generator, device=images.device)
