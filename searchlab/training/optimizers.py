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
from searchlab.training.layer_decay import learning_scales
from searchlab.training.plain_optimizers import SGD, Adam, AdamW, Lion, RMSprop

__all__ = [
    "OPTIMIZERS",
    "make_optimizer",
    "make_rates",
    "may_record",
    "rate_scales",
    "read_rates_from",
]

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
    layers scale by. With ``layer_decay``, each layer has a group whose ``lr_scale`` is the factor
    of its learning rate. Raises InputError if the optimizer does not take its arguments.
    """
    groups = _group_parameters(settings, model)
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


def _group_parameters(settings: TrainingSettings, model: nn.Module) -> Groups:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: Groups = [{"params": parameters}]
    if settings.layer_decay < 1:
        scales = learning_scales(model, settings.layer_decay)
        layers: dict[float, list[Tensor]] = {}
        for one in parameters:
            layers.setdefault(scales[one], []).append(one)
        groups = [{"params": layer, "lr_scale": scale} for scale, layer in layers.items()]
    if not settings.decay_norms:
        groups = [half for group in groups for half in _split_group(group)]
    return groups


def _split_group(group: dict[str, Any]) -> Groups:
    """Return what has weight decay of a group, and what has none."""
    return [
        {**group, "params": [one for one in group["params"] if one.ndim > 1]},
        {**group, "params": [one for one in group["params"] if one.ndim <= 1], "weight_decay": 0.0},
    ]


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


def make_rates(settings: TrainingSettings, optimizer: Optimizer) -> Tensor | None:
    """Return the tensor for ``read_rates_from``; None on the CPU, where rates are numbers.

    On a GPU a step then takes nothing from the host, so that a CUDA graph can record it. It is
    float32, as the fused kernels read it: Adam's last bit differs from a number's. An optimizer of
    the user's own may need numbers.
    """
    groups = optimizer.param_groups
    devices = {one.device for group in groups for one in group["params"]}
    if devices <= {torch.device("cpu")} or not may_record(settings):
        return None
    return torch.zeros(len(groups), device=devices.pop())


def rate_scales(optimizer: Optimizer) -> list[float]:
    """Return the factor of the learning rate of each group."""
    return [group.get("lr_scale", 1.0) for group in optimizer.param_groups]


def read_rates_from(optimizer: Optimizer, rates: Tensor) -> None:
    """Let an optimizer read its groups' learning rates from a tensor [groups], without waiting.

    ``Optimizer.load_state_dict`` replaces the tensors by copies, so call it again then.
    """
    # torch says so once for each optimizer whose steps no graph has recorded yet.
    warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
    for group, rate in zip(optimizer.param_groups, rates.unbind(), strict=True):
        group["lr"] = rate
        if "capturable" in group:  # not SGD's, whose steps have no number
            group["capturable"] = rates.device.type != "cpu"
