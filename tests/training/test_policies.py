"""TrivialAugment and RandAugment against torchvision's, for each image and operation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, autoaugment
from torchvision.transforms import functional as F  # noqa: N812 (its usual name)

from searchlab.training import policy_operations
from searchlab.training.policies import (
    NUM_BINS,
    augment_randomly,
    augment_trivially,
    rand_table,
    trivial_table,
)
from searchlab.training.policy_operations import OPERATIONS, SIGNED, operate

CPU = torch.device("cpu")
NAMES = {name: name.title().replace("_", "") for name in OPERATIONS}  # torchvision's


def draw_images(count: int, channels: int, height: int, width: int) -> Tensor:
    """Noise, smooth images, and dull ones that lack most levels."""
    generator = torch.Generator().manual_seed(height)
    noise = torch.randint(256, (count, channels, height, width), generator=generator)
    smooth = F.gaussian_blur(noise.float(), [5, 5]) * 1.7 - 80
    dull = noise % 7 + 100
    kinds = [noise, smooth.clamp(0, 255), dull]
    return torch.stack([kinds[i % 3][i] for i in range(count)]).to(torch.uint8)


def theirs(image: Tensor, name: str, amount: float) -> Tensor:
    return autoaugment._apply_op(image, NAMES[name], amount, InterpolationMode.NEAREST, None)


TABLES = {"trivial": trivial_table(CPU), "rand": rand_table(13, 18, CPU)}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_strength_of_an_operation_has_torchvisions_bits(name: str, channels: int) -> None:
    images = draw_images(NUM_BINS, channels, 13, 18)
    kinds = torch.full((NUM_BINS,), OPERATIONS.index(name))
    for table in TABLES.values():
        for sign in (1, -1) if name in SIGNED else (1,):
            amounts = sign * table[OPERATIONS.index(name)]
            ours = operate(images, kinds, amounts)
            expected = [
                theirs(image, name, float(one)) for image, one in zip(images, amounts, strict=True)
            ]
            differ = ours != torch.stack(expected)
            # A shear looks for pixels exactly between two, of which either is the nearest.
            assert float(differ.float().mean()) <= (0.002 if name.startswith("shear") else 0)


def test_the_strengths_are_torchvisions() -> None:
    theirs_of = {
        "trivial": autoaugment.TrivialAugmentWide()._augmentation_space(NUM_BINS),
        "rand": autoaugment.RandAugment()._augmentation_space(NUM_BINS, (13, 18)),
    }
    for which, table in TABLES.items():
        space = theirs_of[which]
        assert list(space) == [NAMES[name] for name in OPERATIONS]
        for name, row in zip(OPERATIONS, table, strict=True):
            amounts, is_signed = space[NAMES[name]]
            assert torch.equal(row, amounts.double().expand(NUM_BINS))
            assert is_signed == (name in SIGNED)


def test_a_batch_of_many_operations_is_each_images_own_and_the_same_as_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = draw_images(60, 3, 13, 18)
    generator = torch.Generator().manual_seed(1)
    kinds = torch.randint(len(OPERATIONS), (60,), generator=generator)
    amounts = TABLES["rand"][kinds, torch.randint(NUM_BINS, (60,), generator=generator)]
    together = operate(images, kinds, amounts)
    for index in range(60):
        part = slice(index, index + 1)
        assert torch.equal(operate(images[part], kinds[part], amounts[part]), together[part])
    monkeypatch.setattr(policy_operations, "_change_some", policy_operations._change_all)
    assert torch.equal(operate(images, kinds, amounts), together)


def count_changed(augmented: Tensor, images: Tensor) -> float:
    return float((augmented != images).flatten(1).any(1).float().mean())


def test_operations_strengths_and_signs_are_drawn_evenly_for_each_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    monkeypatch.setattr(
        "searchlab.training.policies.operate",
        lambda images, kinds, amounts: seen.append((kinds, amounts)) or images,
    )
    images, generator = torch.zeros(14_000, 1, 4, 4, dtype=torch.uint8), torch.Generator()
    augment_trivially(images, generator.manual_seed(0))
    augment_randomly(images, generator.manual_seed(0), num_operations=2, strength=30)
    assert len(seen) == 3
    for kinds, _ in seen:
        assert all(850 < int(count) < 1150 for count in torch.bincount(kinds))
    kinds, amounts = seen[0]
    angles = amounts[kinds == OPERATIONS.index("rotate")]
    assert len(angles.unique()) == 2 * NUM_BINS - 1
    assert 0.4 < float((angles < 0).float().mean()) < 0.6
    assert float(angles.abs().max()) == 135
    for kinds, amounts in seen[1:]:
        angles = amounts[kinds == OPERATIONS.index("rotate")]
        assert angles.unique().tolist() == [-30, 30]
    assert not torch.equal(seen[1][0], seen[2][0])


def test_an_even_image_and_a_tiny_one_stay_what_they_are_where_torchvisions_do() -> None:
    for images in (
        torch.full((1, 3, 6, 6), 9, dtype=torch.uint8),
        draw_images(1, 3, 6, 7)[:, :, :2],
    ):
        for name in ("equalize", "auto_contrast", "sharpness"):
            kinds = torch.tensor([OPERATIONS.index(name)])
            ours = operate(images, kinds, torch.tensor([0.5]).double())
            assert torch.equal(ours[0], theirs(images[0], name, 0.5))
    assert math.isfinite(float(ours.float().mean()))
