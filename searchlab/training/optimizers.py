"""The optimizers: how to make each one that ``TrainingSettings.optimizer`` can name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from searchlab.config.settings import OptimizerName, TrainingSettings

__all__ = ["OPTIMIZERS", "make_optimizer"]

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
