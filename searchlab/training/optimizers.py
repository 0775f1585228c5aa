"""The optimizers: how to make each one that ``TrainingSettings.optimizer`` can name."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from searchlab.config.settings import OptimizerName, TrainingSettings
from searchlab.training.plain_optimizers import SGD, Adam, AdamW, RMSprop

__all__ = ["OPTIMIZERS", "make_optimizer", "make_rate", "read_rate_from"]

# Fused kernels, if torch has them: one call per step instead of one per tensor and operation, on
# both CPU and GPU.
OPTIMIZERS: dict[OptimizerName, Callable[[list[nn.Parameter], TrainingSettings], Optimizer]] = {
    "sgd": lambda parameters, settings: SGD(
        parameters,
        lr=settings.lr,
        momentum=settings.momentum,
        # torch refuses Nesterov without momentum, which a search may draw
        nesterov=settings.nesterov and settings.momentum > 0,
        weight_decay=settings.weight_decay,
        fused=True,
    ),
    "adam": lambda parameters, settings: Adam(
        parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=True
    ),
    "adamw": lambda parameters, settings: AdamW(
        parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=True
    ),
    "rmsprop": lambda parameters, settings: RMSprop(  # has no fused kernel
        parameters,
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        foreach=True,
    ),
}
"""Each optimizer as a function of the trainable parameters and the settings."""


def make_optimizer(settings: TrainingSettings, model: nn.Module) -> Optimizer:
    """Return an optimizer for the model's trainable parameters; frozen layers have none."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return OPTIMIZERS[settings.optimizer](parameters, settings)


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
