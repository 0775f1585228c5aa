"""The optimizers: how each name of ``TrainingSettings.optimizer`` is made."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from searchlab.config.settings import OptimizerName, TrainingSettings

__all__ = ["OPTIMIZERS", "make_optimizer"]

# Fused kernels, where torch has them: one call a step instead of one a tensor and operation, on
# CPU and GPU alike.
OPTIMIZERS: dict[OptimizerName, Callable[[list[nn.Parameter], TrainingSettings], Optimizer]] = {
    "sgd": lambda parameters, settings: SGD(
        parameters,
        lr=settings.lr,
        momentum=settings.momentum,
        # torch refuses Nesterov's momentum without momentum, which a search may well draw
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
    """Return an optimizer over the model's trainable parameters; a frozen layer has none."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return OPTIMIZERS[settings.optimizer](parameters, settings)
