"""A training step of the user's own, which a study names as ``training.step: module:Class``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from searchlab.config.own_code import is_reference, load_reference
from searchlab.config.settings import TrainingSettings
from searchlab.errors import InputError, first_line
from searchlab.training.images import Normalizer
from searchlab.training.losses import Targets

__all__ = ["StepContext", "TrainingStep", "load_step_state", "make_step"]

_METHODS = ("begin", "loss", "state")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepContext:
    """What a step can use.

    ``model`` is the network that is trained. ``indices`` are its training images: ``fetch`` returns
    those at some indices, uint8 [B, C, H, W], with their labels [B], and ``normalize`` makes inputs
    of them. ``predict`` returns a network's logits in the precision of the study, and ``loss`` is
    the mean loss that the study names, with its class weights.
    """

    model: nn.Module
    indices: Tensor
    fetch: Callable[[Tensor], tuple[Tensor, Tensor]]
    normalize: Normalizer
    predict: Callable[[nn.Module, Tensor], Tensor]
    loss: Callable[[Tensor, Targets], Tensor]
    num_classes: int


class TrainingStep(Protocol):
    """How a loss is made of a batch; the rest of training stays as the study says."""

    def begin(self, context: StepContext) -> None:
        """Prepare, once for each model, and again when a trial is continued.

        torch's own draws repeat to the bit.
        """
        ...

    def loss(self, inputs: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """Return the mean loss of inputs [B, C, H, W] and the model's logits [B, classes]."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """Return the tensors that a checkpoint keeps; they are overwritten when it is loaded."""
        ...


def make_step(settings: TrainingSettings) -> TrainingStep | None:
    """Return the user's step that the settings name, not begun; None if they name none.

    Raises InputError if it cannot be found or made.
    """
    if not is_reference(settings.step):
        return None
    make = load_reference(settings.step, field="step")
    where = ("training", "step")
    try:
        made: Any = make(**settings.step_arguments)
    except (TypeError, ValueError) as error:  # so a constructor refuses its arguments
        raise InputError(
            f"cannot be made: {first_line(error)}",
            where=where,
            found=settings.step,
            remedy="Correct training.step_arguments",
        ) from error
    missing = [name for name in _METHODS if not callable(getattr(made, name, None))]
    if missing:
        rule = f"must name a class with the methods begin, loss and state: {missing[0]} is missing"
        raise InputError(rule, where=where, found=settings.step)
    step: TrainingStep = made
    return step


@torch.no_grad()
def load_step_state(step: TrainingStep, tensors: Mapping[str, Tensor]) -> None:
    """Overwrite a begun step's tensors with those of a checkpoint."""
    for name, tensor in step.state().items():
        tensor.copy_(tensors[name])
