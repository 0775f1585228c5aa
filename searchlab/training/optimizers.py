"""The optimizers, by name."""

from __future__ import annotations

import torch
from torch import nn

from searchlab.config.trial import OptimizerConfig

__all__ = ["make_optimizer"]


def make_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Return an optimizer over the model's trainable parameters; a frozen layer has none."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # Fused kernels: one call a step instead of one a tensor and operation, on CPU and GPU alike.
    if config.name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=config.lr,
            momentum=config.momentum,
            # torch refuses Nesterov's momentum without momentum, which a search may well draw
            nesterov=config.nesterov and config.momentum > 0,
            weight_decay=config.weight_decay,
            fused=True,
        )
    if config.name == "rmsprop":
        return torch.optim.RMSprop(  # torch has no fused kernel of it
            parameters,
            lr=config.lr,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            foreach=True,
        )
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True)
