"""The optimizers: how to make each one that ``TrainingSettings.optimizer`` can name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from inspect import isclass, signature
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from searchlab.config.own_code import is_reference, load_reference
from searchlab.config.settings import OptimizerName, TrainingSettings
from searchlab.errors import InputError, first_line
from searchlab.training.plain_optimizers import SGD, Adam, AdamW, Lion, RMSprop

__all__ = ["OPTIMIZERS", "make_optimizer", "make_rate", "may_record", "read_rate_from"]

Groups = list[dict[str, Any]]
MakeOptimizer = Callable[[Groups, TrainingSettings, dict[str, Any]], Optimizer]

# Fused kernels, if torch has them: one call per step instead of one per tensor and operation, on
# both CPU and GPU.
OPTIMIZERS: dict[OptimizerName, MakeOptimizer] = {
    "sgd": lambda groups, settings, more: SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        # torch refuses Nesterov without momentum, which a search may draw
        nesterov=settings.nesterov and settings.momentum > 0,
        weight_decay=settings.weight_decay,
        fused=True,
        **more,
    ),
    "adam": lambda groups, settings, more: Adam(
        groups,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        fused=True,
        **more,
    ),
    "adamw": lambda groups, settings, more: AdamW(
        groups,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        fused=True,
        **more,
    ),
    "rmsprop": lambda groups, settings, more: RMSprop(  # has no fused kernel
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        foreach=True,
        **more,
    ),
    "lion": lambda groups, settings, more: Lion(
        groups,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        **more,
    ),
}
"""Each optimizer as a function of groups of trainable parameters, the settings, and arguments."""


def make_optimizer(settings: TrainingSettings, model: nn.Module) -> Optimizer:
    """Return an optimizer for the model's trainable parameters; frozen layers have none.

    Without ``decay_norms``, parameters of one dimension have no weight decay: biases, and what norm
    layers scale by. Raises InputError if the optimizer does not take its arguments.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: Groups = [{"params": parameters}]
    if not settings.decay_norms:
        groups = [
            {"params": [one for one in parameters if one.ndim > 1]},
            {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
        ]
    is_own = is_reference(settings.optimizer)
    make = _make_own if is_own else OPTIMIZERS[cast("OptimizerName", settings.optimizer)]
    try:
        return make(groups, settings, {**settings.optimizer_arguments})
    except (TypeError, ValueError) as error:  # so a constructor refuses its arguments
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"cannot be made: {first_line(error)}",
            where=("training", "optimizer"),
            found=settings.optimizer,
            remedy="Correct training.optimizer_arguments",
        ) from error


def _make_own(groups: Groups, settings: TrainingSettings, more: dict[str, Any]) -> Optimizer:
    """Make an optimizer of the user's own.

    It gets lr, and weight_decay, momentum and nesterov if it has such arguments.
    """
    make = _find_class(settings.optimizer)
    taken = signature(make).parameters
    shared = {
        name: getattr(settings, name)
        for name in ("weight_decay", "momentum", "nesterov")
        if name in taken
    }
    return make(groups, lr=settings.lr, **shared, **more)


def _find_class(reference: str) -> Callable[..., Optimizer]:
    found = load_reference(reference, field="optimizer")
    if not (isclass(found) and issubclass(found, Optimizer)):
        rule = "must name a subclass of torch.optim.Optimizer"
        raise InputError(rule, where=("training", "optimizer"), found=reference)
    return found


def may_record(settings: TrainingSettings) -> bool:
    """Return whether a CUDA graph may record the optimizer's steps: it keeps nothing on the host.

    Of one of the user's own that is not known, and a count on the host would stand still.
    """
    return not is_reference(settings.optimizer)


def make_rate(settings: TrainingSettings, device: torch.device) -> Tensor | None:
    """Return the tensor for ``read_rate_from``; None on the CPU, where the rate is a number.

    On a GPU a step then takes nothing from the host, so that a CUDA graph can record it. It is
    float32, as the fused kernels read it: Adam's last bit differs from a number's. An optimizer of
    the user's own may need a number.
    """
    has_number = device.type == "cpu" or not may_record(settings)
    return None if has_number else torch.zeros((), device=device)


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
