"""Images mixed in pairs: what a batch becomes, and how the shares are distributed."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest

from searchlab.config.settings import TrainingSettings
from searchlab.training.mixing import Mixer

COUNT = 400
IMAGES = torch.rand(COUNT, 3, 12, 10, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(COUNT)


def mix(**settings: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mixed images, and the share of the first image of each."""
    mixer = Mixer(TrainingSettings(**settings), torch.device("cpu"))
    images, targets = mixer(IMAGES, LABELS, torch.Generator().manual_seed(0))
    assert torch.equal(targets.labels, LABELS)
    assert torch.equal(targets.others, LABELS.roll(1))
    return images, targets.share


@pytest.mark.parametrize("alpha", [0.1, 0.7, 3.0])
def test_mixup_blends_each_image_with_the_one_before(alpha: float) -> None:
    images, share = mix(mixup=alpha)
    part = share[:, None, None, None]
    assert torch.allclose(images, part * IMAGES + (1 - part) * IMAGES.roll(1, 0), atol=1e-6)
    assert kstest(share.numpy(), "beta", args=(alpha, alpha)).pvalue > 0.001


def test_cutmix_pastes_one_box_of_the_image_before() -> None:
    images, share = mix(cutmix=1.0)
    own = (images == IMAGES).all(1)
    pasted = (images == IMAGES.roll(1, 0)).all(1)
    assert (own | pasted).all()
    assert torch.allclose(own.float().mean((1, 2)), share, atol=1e-6)
    for box in pasted[:50]:
        rows, columns = box.any(1), box.any(0)
        assert torch.equal(box, rows[:, None] & columns)
        for side in (rows, columns):
            (places,) = side.nonzero(as_tuple=True)
            assert len(places) == 0 or int(places[-1] - places[0]) + 1 == len(places)


def test_a_box_has_the_drawn_area_unless_the_border_cuts_it() -> None:
    _, share = mix(cutmix=1.0)
    # Uniform shares keep half an image on average; the border takes from the boxes.
    assert 0.5 < share.mean() < 0.75


def test_with_both_each_image_has_one_of_them() -> None:
    images, _ = mix(mixup=0.7, cutmix=1.0)
    is_pasted = ((images == IMAGES) | (images == IMAGES.roll(1, 0))).flatten(1).all(1)
    assert 0.35 < is_pasted.float().mean() < 0.65


@pytest.mark.parametrize("settings", [{}, {"mixup": 0.1}, {"cutmix": 0.1}])
def test_it_is_active_if_a_setting_asks_for_it(settings: dict[str, float]) -> None:
    assert Mixer(TrainingSettings(**settings), torch.device("cpu")).is_active == bool(settings)
