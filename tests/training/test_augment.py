from __future__ import annotations

from unittest.mock import Mock

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomErasing
from torchvision.transforms import functional as reference

from searchlab.config.settings import AUGMENTATIONS, TrainingSettings
from searchlab.training import augment, colour
from searchlab.training.augment import Augmenter
from searchlab.training.colour import JITTERS, adjust_hue, jitter
from searchlab.training.geometry import blank, erase, flip, rotate, shift
from searchlab.training.policy_operations import operate

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 9, 14), (3, 17, 11), (3, 8, 15)]
NUM_IMAGES = 12

ADJUSTMENTS = {
    "brightness": reference.adjust_brightness,
    "contrast": reference.adjust_contrast,
    "saturation": reference.adjust_saturation,
    "hue": reference.adjust_hue,
}


def make_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_bytes(shape: tuple[int, int, int], *, count: int = NUM_IMAGES, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (count, *shape), generator=make_generator(seed), dtype=torch.uint8)


def make_floats(shape: tuple[int, int, int]) -> Tensor:
    """Noise, and what breaks colour arithmetic: black, white, greys, pure and nearly grey hues."""
    images = make_bytes(shape).float() / 255
    images[0], images[1], images[2] = 0, 1, images[2].mean(0)
    images[3] = (images[3] > 0.5).float()
    images[4] = 0.5 + images[4] * 1e-5
    return images


def draw(low: float, high: float) -> Tensor:
    values = torch.rand(NUM_IMAGES, generator=make_generator(1)) * (high - low) + low
    values[-1], values[-2] = low, high
    return values


def assert_close(found: Tensor, expected: Tensor, atol: float = 2e-6) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("shape", SHAPES)
def test_images_are_mirrored_where_asked(shape: tuple[int, int, int]) -> None:
    images = make_bytes(shape)
    flipped = torch.arange(NUM_IMAGES) % 3 == 0
    for before, mirrored, after in zip(images, flipped, flip(images, flipped), strict=True):
        assert torch.equal(after, reference.hflip(before) if mirrored else before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bound", [10.0, 180.0])
def test_rotation_is_torchvisions(shape: tuple[int, int, int], bound: float) -> None:
    images, degrees = make_floats(shape), draw(-bound, bound)
    expected = [
        reference.rotate(image, angle.item(), InterpolationMode.BILINEAR)
        for image, angle in zip(images, degrees, strict=True)
    ]
    # both compute pixel coordinates in float32, whose roundings grow with the image
    assert_close(rotate(images, degrees), torch.stack(expected), atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", JITTERS)
def test_colour_adjustment_is_torchvisions(shape: tuple[int, int, int], name: str) -> None:
    images = make_floats(shape)
    amounts = draw(-0.5, 0.5) if name == "hue" else draw(0.0, 2.0)
    pairs = zip(images, amounts, strict=True)
    expected = [ADJUSTMENTS[name](image, amount.item()) for image, amount in pairs]
    order = torch.zeros((NUM_IMAGES, 1), dtype=torch.int64)
    assert_close(jitter(images, {name: amounts}, order), torch.stack(expected))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("names", [JITTERS, JITTERS[:3], ("saturation",), ("contrast", "hue")])
def test_jitter_changes_each_image_in_its_own_order(
    shape: tuple[int, int, int], names: tuple[str, ...]
) -> None:
    images = make_floats(shape)
    amounts = {name: draw(-0.5, 0.5) if name == "hue" else draw(0.2, 1.8) for name in names}
    order = torch.rand((NUM_IMAGES, len(names)), generator=make_generator(2)).argsort(1)
    expected = []
    for index, image in enumerate(images):
        for position in order[index].tolist():
            image = ADJUSTMENTS[names[position]](image, amounts[names[position]][index].item())
        expected.append(image)
    before = images.clone()
    assert_close(jitter(images, amounts, order), torch.stack(expected), atol=5e-6)
    assert torch.equal(images, before)


def test_hues_are_shifted_on_a_gpu_as_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    images = make_floats((3, 5, 7))
    amounts = {"contrast": draw(0.2, 1.8), "hue": draw(-0.5, 0.5)}
    order = torch.rand((NUM_IMAGES, 2), generator=make_generator(2)).argsort(1)
    expected = jitter(images, amounts, order)
    shifted = Mock(wraps=colour._shift_all)
    monkeypatch.setattr(colour, "_shift_chosen", shifted)
    assert torch.equal(jitter(images, amounts, order), expected)
    assert shifted.call_count == 2


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("limit", [0, 3])
def test_shift_is_a_padded_crop(shape: tuple[int, int, int], limit: int) -> None:
    images = make_bytes(shape)
    down = torch.randint(-limit, limit + 1, (NUM_IMAGES,), generator=make_generator(1))
    right = torch.randint(-limit, limit + 1, (NUM_IMAGES,), generator=make_generator(2))
    shifted = shift(images, down, right, limit=limit)
    for index, image in enumerate(images):
        padded = reference.pad(image, [limit])
        top, left = limit - int(down[index]), limit - int(right[index])
        assert torch.equal(shifted[index], reference.crop(padded, top, left, *shape[1:]))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 4, 5, 100])
@pytest.mark.parametrize("scale", [torch.uint8, torch.float32])
def test_a_clipped_square_is_blanked(
    shape: tuple[int, int, int], size: int, scale: torch.dtype
) -> None:
    images = make_bytes(shape).to(scale)
    rows = torch.randint(0, shape[1], (NUM_IMAGES,), generator=make_generator(1))
    columns = torch.randint(0, shape[2], (NUM_IMAGES,), generator=make_generator(2))
    blanked = blank(images, rows, columns, size=size)
    for index, image in enumerate(images):
        top, left = int(rows[index]) - size // 2, int(columns[index]) - size // 2
        image[:, max(top, 0) : top + size, max(left, 0) : left + size] = 0
        assert torch.equal(blanked[index], image)


@pytest.mark.parametrize("scale", [torch.uint8, torch.float32])
def test_a_rectangle_is_erased_as_torchvision_does(scale: torch.dtype) -> None:
    images = make_bytes((3, 9, 14)).to(scale)
    top, left = torch.arange(NUM_IMAGES) % 5, torch.arange(NUM_IMAGES)
    heights, widths = torch.arange(NUM_IMAGES) % 4, torch.full((NUM_IMAGES,), 3)
    erased = erase(images, top, left, heights, widths)
    for image, after, *place in zip(images, erased, top, left, heights, widths, strict=True):
        black = torch.zeros((), dtype=scale)
        assert torch.equal(after, reference.erase(image, *map(int, place), black))


def test_erased_rectangles_are_distributed_as_torchvisions() -> None:
    count, shape = 1500, (1, 11, 23)
    white = torch.full((count, *shape), 255, dtype=torch.uint8)
    settings = TrainingSettings(augment="erase", erase_probability=0.8, erase_area=0.4)
    black = Augmenter(settings)(white, make_generator())[:, 0] == 0
    is_erased = black.flatten(1).any(1)
    assert float(is_erased.float().mean()) == pytest.approx(0.8, abs=0.03)
    rows, columns = black[is_erased].any(2), black[is_erased].any(1)
    assert torch.equal(black[is_erased], rows[:, :, None] & columns[:, None, :])
    ours = [rows.int().argmax(1), columns.int().argmax(1), rows.sum(1), columns.sum(1)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = [
            RandomErasing.get_params(white[0], (0.02, 0.4), (0.3, 3.3), [0.0])[:4]
            for _ in range(count)
        ]
    for one, other in zip(ours, zip(*theirs, strict=True), strict=True):
        assert ks_2samp(one.numpy(), other).pvalue > 0.001


def test_policies_take_the_bytes_of_what_comes_before_them() -> None:
    images = make_bytes((3, 12, 12))
    settings = {"rotate_degrees": 0.0, "randaugment_magnitude": 12}
    for name in ("trivial", "randaugment"):
        alone, after = (
            Augmenter(TrainingSettings(augment=augment, **settings))
            for augment in (name, f"rotate+{name}")
        )
        generator = make_generator()
        torch.rand(NUM_IMAGES, generator=generator)  # what a rotation draws
        assert torch.equal(after(images, make_generator()), alone(images, generator))


def test_without_operations_images_are_only_scaled() -> None:
    augmenter = Augmenter(TrainingSettings())
    assert not augmenter.is_active
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    scaled = augmenter(images, make_generator())
    assert torch.equal(scaled, images.to(torch.float64).div(255).float())


@pytest.mark.parametrize("operations", [*((name,) for name in AUGMENTATIONS), AUGMENTATIONS])
@pytest.mark.parametrize("shape", SHAPES)
def test_augmented_images_are_floats_in_range_and_unlike_each_other(
    operations: tuple[str, ...], shape: tuple[int, int, int]
) -> None:
    augmenter = Augmenter(
        TrainingSettings(
            augment="+".join(operations), jitter_hue=0.1, cutout_size=4, erase_probability=1
        )
    )
    assert augmenter.is_active
    images = make_bytes(shape, count=1).repeat(16, 1, 1, 1)
    before = images.clone()
    changed = augmenter(images, make_generator())
    assert changed.dtype == torch.float32
    assert changed.shape == images.shape
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    assert torch.equal(images, before)
    # the same image 16 times: a draw per batch would leave all 16 equal
    num_distinct = len(torch.unique(changed.flatten(1), dim=0))
    assert num_distinct == 2 if operations == ("flip",) else num_distinct > 8


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_the_generator_decides(shape: tuple[int, int, int]) -> None:
    augmenter = Augmenter(TrainingSettings(augment="+".join(AUGMENTATIONS), jitter_hue=0.1))
    images = make_bytes(shape)
    torch.manual_seed(1)
    first = augmenter(images, make_generator(3))
    torch.manual_seed(2)
    assert torch.equal(augmenter(images, make_generator(3)), first)
    assert not torch.equal(augmenter(images, make_generator(4)), first)


def test_operations_run_in_the_fixed_order_whatever_order_is_written() -> None:
    images = make_bytes((3, 12, 12))
    forwards = Augmenter(TrainingSettings(augment="+".join(AUGMENTATIONS)))
    backwards = Augmenter(TrainingSettings(augment="+".join(AUGMENTATIONS[::-1])))
    assert torch.equal(forwards(images, make_generator()), backwards(images, make_generator()))


def test_bounds_are_kept_and_reached() -> None:
    count = 4000
    grey = torch.full((count, 1, 2, 2), 100, dtype=torch.uint8)
    settings = TrainingSettings(augment="jitter", jitter_brightness=0.2, jitter_contrast=0.0)
    factors = Augmenter(settings)(grey, make_generator())[:, 0, 0, 0] * 2.55
    assert float(factors.min()) == pytest.approx(0.8, abs=2e-3)
    assert float(factors.max()) == pytest.approx(1.2, abs=2e-3)
    assert float(factors.mean()) == pytest.approx(1.0, abs=2e-2)

    dot = torch.zeros(count, 1, 7, 7, dtype=torch.uint8)
    dot[:, :, 3, 3] = 255
    moved = Augmenter(TrainingSettings(augment="crop", crop_padding=2))(dot, make_generator())
    places, counts = moved.flatten(1).argmax(1).unique(return_counts=True)
    assert places.tolist() == [7 * y + x for y in range(1, 6) for x in range(1, 6)]
    assert counts.min() > count / 25 / 2

    white = torch.full((count, 1, 3, 5), 255, dtype=torch.uint8)
    cut = Augmenter(TrainingSettings(augment="cutout", cutout_size=1))(white, make_generator())
    assert cut.flatten(1).argmin(1).unique().tolist() == list(range(15))
    assert cut.sum().item() == count * 14

    pair = torch.tensor([0, 255], dtype=torch.uint8).expand(count, 1, 1, 2)
    flipped = Augmenter(TrainingSettings(augment="flip"))(pair, make_generator())[:, 0, 0, 0]
    assert float(flipped.mean()) == pytest.approx(0.5, abs=0.03)


def test_jitter_without_amounts_changes_nothing() -> None:
    settings = TrainingSettings(
        augment="jitter", jitter_brightness=0, jitter_contrast=0, jitter_saturation=0
    )
    images = make_bytes((3, 8, 8))
    assert torch.equal(Augmenter(settings)(images, make_generator()), images.float() / 255)


def test_a_grey_image_draws_no_colours() -> None:
    images = make_bytes((1, 8, 8))
    plain = TrainingSettings(augment="jitter", jitter_saturation=0.0)
    coloured = TrainingSettings(augment="jitter", jitter_saturation=0.5, jitter_hue=0.3)
    changed = [Augmenter(settings)(images, make_generator()) for settings in (plain, coloured)]
    assert torch.equal(*changed)


def test_a_batch_beyond_the_cache_is_changed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "_CACHED_PIXELS", 3 * 8 * 8 * 5)
    images = make_bytes((3, 8, 8))
    plain = TrainingSettings(augment="rotate", rotate_degrees=0.0)
    assert_close(Augmenter(plain)(images, make_generator()), images.float() / 255, atol=1e-5)
    settings = TrainingSettings(augment="rotate+jitter")
    repeated = images[:1].repeat(NUM_IMAGES, 1, 1, 1)
    changed = Augmenter(settings)(repeated, make_generator())
    assert len(torch.unique(changed.flatten(1), dim=0)) == NUM_IMAGES


@pytest.mark.parametrize("channels", [1, 3])
def test_all_is_computed_on_the_images_device(channels: int) -> None:
    # the meta device computes nothing, but refuses what was made on another one, as a GPU does
    images = torch.empty((4, channels, 8, 8), device="meta")
    places = torch.empty(4, dtype=torch.int64, device="meta")
    amounts = torch.empty(4, device="meta")
    changed = [
        flip(images, places > 0),
        rotate(images, amounts),
        shift(images, places, places, limit=2),
        blank(images, places, places, size=3),
        erase(images, places, places, places, places),
        jitter(
            images, dict.fromkeys(JITTERS[: 3 if channels == 3 else 2], amounts), places[:, None]
        ),
        adjust_hue(images, amounts),
        operate(images.to(torch.uint8), places, amounts.double()),
    ]
    assert {result.device.type for result in changed} == {"meta"}
    assert {result.shape for result in changed} == {images.shape}
