"""Adversarial images: pixels changed slightly to make a model err as much as possible."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from searchlab.config.attacks import AttackSpec

__all__ = ["perturb"]

# Steps are 2.5 epsilon / steps long, so that they can reach any point of the ball from any other
# and cross its border (Madry et al. 2018).
_PGD_REACH = 2.5


def perturb(
    predict: Callable[[Tensor], Tensor],
    pixels: Tensor,
    labels: Tensor,
    attack: AttackSpec,
    generator: torch.Generator,
) -> Tensor:
    """Return images at most ``epsilon`` from ``pixels``, in [0, 1], that raise the cross entropy.

    ``predict`` maps pixels [B, C, H, W] in [0, 1] to logits [B, classes] and normalises them; its
    parameters get no gradient. The caller sets the model's mode: in training mode the model updates
    its running statistics and draws dropout. fgsm is Goodfellow et al. 2015 (report 004); pgd is
    Madry et al. 2018, with a random start from ``generator`` on the images' device.

    It works in any gradient mode of the caller, including inference mode.
    """
    if attack.epsilon == 0:
        return pixels.detach()
    with torch.inference_mode(mode=False), torch.enable_grad():
        if pixels.is_inference():  # autograd can keep copies of such tensors, not the tensors
            pixels = pixels.clone()
        if labels.is_inference():
            labels = labels.clone()
        pixels = pixels.detach()
        if attack.attack == "fgsm":
            ascent = _ascent(predict, pixels, labels)
            return pixels.add(ascent, alpha=attack.epsilon).clamp_(0, 1)
        return _project_repeatedly(predict, pixels, labels, attack, generator)


def _project_repeatedly(
    predict: Callable[[Tensor], Tensor],
    pixels: Tensor,
    labels: Tensor,
    attack: AttackSpec,
    generator: torch.Generator,
) -> Tensor:
    lowest = (pixels - attack.epsilon).clamp_(0, 1)
    highest = (pixels + attack.epsilon).clamp_(0, 1)
    uniform = torch.rand(
        pixels.shape, generator=generator, device=pixels.device, dtype=pixels.dtype
    )
    moved = pixels.add(uniform.mul_(2).sub_(1), alpha=attack.epsilon).clamp_(lowest, highest)
    step = _PGD_REACH * attack.epsilon / attack.steps
    for _ in range(attack.steps):
        ascent = _ascent(predict, moved, labels)
        moved = moved.add(ascent, alpha=step).clamp_(lowest, highest)
    return moved


def _ascent(predict: Callable[[Tensor], Tensor], pixels: Tensor, labels: Tensor) -> Tensor:
    """Return the sign of the loss's gradient with respect to each pixel."""
    variable = pixels.detach().requires_grad_()
    # The sum, because a mean over the batch would bring small gradients closer to underflow.
    loss = cross_entropy(predict(variable), labels, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, variable)
    return gradient.sign_()
