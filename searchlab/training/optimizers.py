"""The optimizers: how to make each one that ``TrainingSettings.optimizer`` can name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from searchlab.config.settings import OptimizerName, TrainingSettings
from searchlab.training.plain_optimizers import SGD, Adam, AdamW, RMSprop

__all__ = ["OPTIMIZERS", "make_optimizer", "make_rate", "read_rate_from"]

Groups = list[dict[str, Any]]

# Fused kernels, if torch has them: one call per step instead of one per tensor and operation, on
# both CPU and GPU.
OPTIMIZERS: dict[OptimizerName, Callable[[Groups, TrainingSettings], Optimizer]] = {
    "sgd": lambda groups, settings: SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        # torch refuses Nesterov without momentum, which a search may draw
        nesterov=settings.nesterov and settings.momentum > 0,
        weight_decay=settings.weight_decay,
        fused=True,
    ),
    "adam": lambda groups, settings: Adam(
        groups, lr=settings.lr, weight_decay=settings.weight_decay, fused=True
    ),
    "adamw": lambda groups, settings: AdamW(
        groups, lr=settings.lr, weight_decay=settings.weight_decay, fused=True
    ),
    "rmsprop": lambda groups, settings: RMSprop(  # has no fused kernel
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        foreach=True,
    ),
}
"""Each optimizer as a function of groups of trainable parameters and the settings."""


def make_optimizer(settings: TrainingSettings, model: nn.Module) -> Optimizer:
    """Return an optimizer for the model's trainable parameters; frozen layers have none.

    Without ``decay_norms``, parameters of one dimension have no weight decay: biases, and what norm
    layers scale by.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: Groups = [{"params": parameters}]
    if not settings.decay_norms:
        groups = [
            {"params": [one for one in parameters if one.ndim > 1]},
            {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
        ]
    return OPTIMIZERS[settings.optimizer](groups, settings)


def make_rate(device: torch.device) -> Tensor | None:
    """Return the tensor for ``read_rate_from``; None on the CPU, where the rate is a number.

    On a GPU a step then takes nothing from the host, so that a CUDA graph can record it. It is
    float32, as the fused kernels read it: Adam's last bit differs from a number's.
    """
    return None if device.type == "cpu" else torch.zeros((), device=device)


def read_rate_from(optimizer: Optimizer, rate: Tensor) -> None:
    """Let an optimizer read its learning rate from a tensor on its device, without waiting.

    ``Optimizer.load_state_dict`` replaces the tensor by a copy, so call it again then.
    """
    # torch says so once for each optimizer whose steps no graph has recorded yet.
    warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
    for group in optimizer.param_groups:
        group["lr"] = rate
        if "capturable" in group:  # not SGD's, whose steps have no number
            group["capturable"] = rate.device.type != "cpu"
