"""What augmentation costs: a batch at a time, against torchvision's transforms image by image.

Both turn the same batches of 128 uint8 images in memory into float32 tensors in [0, 1], with the
same operations and bounds and a random draw per image, on one thread and in one process. The
alternative is what a data loader would run: PIL images, one by one, through a composition of
torchvision's transforms, then stacked. The two are timed in turn, in CPU seconds, so that other
programs on the machine disturb both as little as possible.

    python benchmarks/augment.py
    python benchmarks/augment.py --repeats 30 --json
    python benchmarks/augment.py --profile
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms

from searchlab.config.settings import AUGMENTATIONS, TrainingSettings, split_augment
from searchlab.training.augment import Augmenter
from searchlab.training.process import prepare_process

BATCH = 128
SHAPES = [(1, 28, 28), (3, 32, 32), (3, 160, 160)]
CASES: dict[str, TrainingSettings] = {
    **{name: TrainingSettings(augment=name) for name in AUGMENTATIONS},
    "jitter with hue": TrainingSettings(augment="jitter", jitter_hue=0.1),
    "flip+crop": TrainingSettings(augment="flip+crop"),
    "flip+jitter": TrainingSettings(augment="flip+jitter"),  # report 001
    "all": TrainingSettings(augment="+".join(AUGMENTATIONS)),
}


class Cutout:
    """Blanks a square of a tensor; torchvision has no such transform."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, image: Tensor) -> Tensor:
        """Return the image with the square set to 0."""
        _, height, width = image.shape
        top = int(torch.randint(height, ())) - self._size // 2
        left = int(torch.randint(width, ())) - self._size // 2
        image[:, max(top, 0) : top + self._size, max(left, 0) : left + self._size] = 0
        return image


def compose(settings: TrainingSettings, height: int, width: int) -> Callable[[Image.Image], Tensor]:
    """Return torchvision's transforms for the settings."""
    parts: dict[str, Any] = {
        "flip": transforms.RandomHorizontalFlip(),
        "rotate": transforms.RandomRotation(
            settings.rotate_degrees, transforms.InterpolationMode.BILINEAR
        ),
        "jitter": transforms.ColorJitter(
            settings.jitter_brightness,
            settings.jitter_contrast,
            settings.jitter_saturation,
            settings.jitter_hue,
        ),
        "crop": transforms.RandomCrop((height, width), padding=settings.crop_padding),
        "trivial": transforms.TrivialAugmentWide(),
        "randaugment": transforms.RandAugment(
            settings.randaugment_operations, settings.randaugment_magnitude
        ),
    }
    operations = split_augment(settings.augment)
    chosen = [part for name, part in parts.items() if name in operations]
    chosen.append(transforms.ToTensor())
    if "cutout" in operations:
        chosen.append(Cutout(settings.cutout_size))
    if "erase" in operations:
        area = (0.02, settings.erase_area)
        chosen.append(transforms.RandomErasing(settings.erase_probability, area))
    composed: Callable[[Image.Image], Tensor] = transforms.Compose(chosen)
    return composed


def make_variants(
    settings: TrainingSettings, shape: tuple[int, int, int]
) -> dict[str, Callable[[], Tensor]]:
    """Return both ways to augment one batch."""
    generator = torch.Generator().manual_seed(0)
    size = (BATCH, *shape)
    images = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    arrays = images.permute(0, 2, 3, 1).contiguous().squeeze(3).numpy()
    change = compose(settings, shape[1], shape[2])
    augmenter = Augmenter(settings)
    return {
        "searchlab": lambda: augmenter(images, generator),
        "torchvision": lambda: torch.stack([change(Image.fromarray(one)) for one in arrays]),
    }


def measure(variants: dict[str, Callable[[], Tensor]], repeats: int) -> dict[str, list[float]]:
    """Time both ways in turn; return the milliseconds of every batch after the first."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(repeats + 1):
        for name, change in variants.items():
            begin = time.thread_time()
            changed = change()
            if repeat > 0:
                taken[name].append(1000 * (time.thread_time() - begin))
            # Skipping work is not speed.
            assert changed.dtype == torch.float32
            assert changed.shape[0] == BATCH
            assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    return taken


def compare(repeats: int) -> list[dict[str, Any]]:
    """Measure every case at every size."""
    rows = []
    for shape in SHAPES:
        for case, config in CASES.items():
            if case == "jitter with hue" and shape[0] == 1:
                continue  # a grey image has no hue
            taken = measure(make_variants(config, shape), repeats)
            medians = {name: statistics.median(values) for name, values in taken.items()}
            row = {
                "shape": "x".join(map(str, shape)),
                "operations": case,
                "milliseconds": medians,
                "lowest": {name: min(values) for name, values in taken.items()},
                "highest": {name: max(values) for name, values in taken.items()},
                "times_searchlab": medians["torchvision"] / medians["searchlab"],
            }
            print(f"{row['shape']} {case}: {row['times_searchlab']:.1f}", file=sys.stderr)
            rows.append(row)
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print medians and ratios."""
    print(
        f"{'ms per batch of ' + str(BATCH):32} {'searchlab':>10} {'torchvision':>12} {'ratio':>7}"
    )
    for row in rows:
        ours, theirs = row["milliseconds"]["searchlab"], row["milliseconds"]["torchvision"]
        label = f"{row['shape']} {row['operations']}"
        print(f"{label:32} {ours:10.2f} {theirs:12.2f} {row['times_searchlab']:7.1f}")


def profile() -> None:
    """Print torch's profile of the largest case."""
    change = make_variants(CASES["all"], SHAPES[-1])["searchlab"]
    change()
    with torch.profiler.profile() as profiler:
        change()
    print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=20))


def main() -> None:
    """Compare or profile."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--repeats", type=int, default=10, help="take the median of this many batches"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--profile", action="store_true", help="profile the largest case instead")
    options = parser.parse_args()
    prepare_process(num_threads=1)  # as in a study's workers
    torch.manual_seed(0)  # torchvision draws from the global generator
    if options.profile:
        profile()
        return
    rows = compare(options.repeats)
    if options.json:
        environment = {"python": platform.python_version(), "torch": torch.__version__}
        print(json.dumps({**environment, "batch": BATCH, "rows": rows}, indent=2))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
