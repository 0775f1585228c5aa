"""A first try of the user's own code that training settings name, without any images."""

from __future__ import annotations

import torch
from torch import nn

from searchlab.config.own_code import is_reference
from searchlab.config.settings import TrainingSettings
from searchlab.errors import InputError, first_line
from searchlab.training.losses import find_loss
from searchlab.training.optimizers import make_optimizer
from searchlab.training.own_step import make_step

__all__ = ["try_code"]

_NUM_IMAGES = 3


def try_code(settings: TrainingSettings, *, num_classes: int) -> None:
    """Make the optimizer and the step, and measure the loss of a few logits. Raises InputError."""
    make_optimizer(settings, nn.Linear(1, num_classes))
    make_step(settings)
    if not is_reference(settings.loss):
        return
    logits = torch.zeros(_NUM_IMAGES, num_classes)
    labels = torch.arange(_NUM_IMAGES) % num_classes
    try:
        find_loss(settings)(logits, labels, settings)
    except InputError:
        raise
    except Exception as error:  # user code may raise anything
        raise InputError(
            f"raised {type(error).__name__}: {first_line(error)}",
            where=("training", "loss"),
            found=settings.loss,
            remedy="It is called with logits [B, classes], labels [B] and training.loss_arguments",
        ) from error
