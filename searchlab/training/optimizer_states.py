"""What a checkpoint keeps of an optimizer: tensors, and of the user's own plain values too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["pack_plain_state", "pack_tensors", "unpack_state"]

_PLAIN = (bool, int, float, str, type(None))
_SET_BY_OTHERS = ("params", "lr")  # by the model, and by the schedule


def pack_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the tensors of the state of each parameter, as ``<index>/<name>``."""
    states = optimizer.state_dict()["state"]
    return {
        f"{index}/{name}": value
        for index, state in states.items()
        for name, value in state.items()
        if isinstance(value, Tensor)  # SGD has None before its first step
    }


def pack_plain_state(optimizer: Optimizer) -> dict[str, Any]:
    """Return what else an optimizer keeps, of each parameter and of each group, as plain data.

    Raises TypeError for what a checkpoint cannot hold.
    """
    states: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    plain = {
        str(index): {name: value for name, value in state.items() if not isinstance(value, Tensor)}
        for index, state in states.items()
    }
    for kept in plain.values():
        for name, value in kept.items():
            if not _is_plain(value):
                kind, owner = type(value).__name__, type(optimizer).__name__
                raise TypeError(
                    f"{owner} keeps a {kind} as {name!r} of its state, which no checkpoint can "
                    "hold: keep tensors, numbers or text there"
                )
    groups = [
        {
            name: value
            for name, value in group.items()
            if name not in _SET_BY_OTHERS and isinstance(value, _PLAIN)
        }
        for group in optimizer.param_groups
    ]
    return {"states": plain, "groups": groups}


def unpack_state(
    optimizer: Optimizer, tensors: Mapping[str, Tensor], plain: Mapping[str, Any] | None
) -> None:
    """Give a new optimizer the state that these functions returned of one for the same model."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    states: dict[int, dict[str, Any]] = {}
    for place, value in tensors.items():
        number, _, name = place.partition("/")
        parameter = parameters[int(number)]
        if value.shape == parameter.shape:
            # Fused optimizers step through the memory of weights and moments together, so a moment
            # needs its weight's layout (channels_last), which the file does not keep.
            layout = torch.empty_like(parameter, requires_grad=False, dtype=value.dtype)
            value = layout.copy_(value)
        states.setdefault(int(number), {})[name] = value
    if plain is None:
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": states, "param_groups": groups})
        return
    # Not by load_state_dict, which turns whole numbers into the weights' type.
    for key, values in plain["states"].items():
        states.setdefault(int(key), {}).update(values)
    for index, state in states.items():
        device = parameters[index].device
        optimizer.state[parameters[index]] = {
            name: value.to(device) if isinstance(value, Tensor) and value.ndim else value
            for name, value in state.items()
        }
    for group, kept in zip(optimizer.param_groups, plain["groups"], strict=True):
        group.update(kept)


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(isinstance(one, _PLAIN) for one in value)
    return isinstance(value, _PLAIN)
