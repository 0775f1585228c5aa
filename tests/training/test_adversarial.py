from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from searchlab.config.attacks import AttackName, AttackSpec
from searchlab.training.adversarial import perturb

ATTACKS: list[AttackName] = ["fgsm", "pgd"]
EPSILON = 0.1


def make_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_batch(count: int = 32) -> tuple[Tensor, Tensor]:
    pixels = torch.rand((count, 1, 6, 6), generator=make_generator(1))
    pixels[0], pixels[1] = 0, 1
    return pixels, torch.randint(0, 4, (count,), generator=make_generator(2))


def make_network() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 32), nn.Tanh(), nn.Linear(32, 4)
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)  # bends the loss within the ball
    return network


def attack(
    predict: Callable[[Tensor], Tensor], pixels: Tensor, labels: Tensor, config: AttackSpec
) -> Tensor:
    return perturb(predict, pixels, labels, config, make_generator())


@pytest.mark.parametrize("name", ATTACKS)
def test_the_worst_case_of_a_linear_model_is_found(name: AttackName) -> None:
    # Two classes with logits +-w.x: the loss rises along -w for class 0 and +w for class 1.
    weight = torch.randn((1, 6, 6), generator=make_generator(3))
    pixels, labels = make_batch()
    labels = labels % 2

    def predict(images: Tensor) -> Tensor:
        score = (images * weight).sum((1, 2, 3))
        return torch.stack((score, -score), 1)

    direction = torch.where(labels == 0, -1.0, 1.0)[:, None, None, None] * weight.sign()
    expected = (pixels + EPSILON * direction).clamp(0, 1)
    found = attack(predict, pixels, labels, AttackSpec(attack=name, epsilon=EPSILON))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_pgd_is_at_least_as_strong_as_fgsm_and_both_harm() -> None:
    network, (pixels, labels) = make_network(), make_batch(64)
    losses = [cross_entropy(network(pixels), labels).item()]
    for name in ATTACKS:
        moved = attack(network, pixels, labels, AttackSpec(attack=name, epsilon=0.2, steps=20))
        losses.append(cross_entropy(network(moved), labels).item())
    clean, fgsm, pgd = losses
    assert clean < fgsm < pgd


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("steps", [1, 7])
def test_perturbed_pixels_stay_near_and_in_range(name: AttackName, steps: int) -> None:
    pixels, labels = make_batch()
    before = pixels.clone()
    config = AttackSpec(attack=name, epsilon=EPSILON, steps=steps)
    moved = attack(make_network(), pixels, labels, config)
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1
    assert 0 < float((moved - pixels).abs().max()) <= EPSILON + 1e-6
    assert not moved.requires_grad
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("name", ATTACKS)
def test_epsilon_zero_changes_nothing(name: AttackName) -> None:
    pixels, labels = make_batch()
    config = AttackSpec(attack=name, epsilon=0.0)
    assert torch.equal(attack(make_network(), pixels, labels, config), pixels)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_model_is_left_as_it_was(name: AttackName) -> None:
    network, (pixels, labels) = make_network(), make_batch()
    first, *others = network.parameters()
    first.requires_grad_(False)
    others[0].grad = torch.ones_like(others[0])
    before = [parameter.detach().clone() for parameter in network.parameters()]
    attack(network, pixels, labels, AttackSpec(attack=name, steps=3))
    assert [parameter.requires_grad for parameter in network.parameters()] == (
        [False] + [True] * len(others)
    )
    assert torch.equal(others[0].grad, torch.ones_like(others[0]))
    assert all(parameter.grad is None for parameter in (first, *others[1:]))
    assert all(map(torch.equal, before, network.parameters()))


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_an_attack_works_where_gradients_are_off(
    name: AttackName, mode: Callable[[], torch.no_grad]
) -> None:
    network, (pixels, labels) = make_network(), make_batch()
    config = AttackSpec(attack=name, steps=3)
    expected = attack(network, pixels, labels, config)
    with mode():
        copies = pixels + 0, labels + 0  # under inference mode: tensors that autograd refuses
        assert torch.equal(attack(network, *copies, config), expected)
        assert not torch.is_grad_enabled()


def test_the_generator_alone_decides_where_pgd_starts() -> None:
    network, (pixels, labels) = make_network(), make_batch()
    config = AttackSpec(attack="pgd", steps=1)
    torch.manual_seed(1)
    first = perturb(network, pixels, labels, config, make_generator(5))
    torch.manual_seed(2)
    assert torch.equal(perturb(network, pixels, labels, config, make_generator(5)), first)
    assert not torch.equal(perturb(network, pixels, labels, config, make_generator(6)), first)
