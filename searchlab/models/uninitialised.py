"""Networks that were built on the meta device, with memory for their tensors."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

__all__ = ["allocate"]

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def allocate(model: ModuleT) -> ModuleT:
    """Give every parameter and buffer of ``model`` uninitialised memory on the CPU; return it.

    ``nn.Module.to_empty`` does the same, but imports sympy and torch's compiler, which takes 1.5 s.
    """
    known: dict[Tensor, Tensor] = {}  # layers may share a tensor
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter not in known:
                needs_grad = parameter.requires_grad
                known[parameter] = nn.Parameter(_empty(parameter), requires_grad=needs_grad)
            setattr(module, name, known[parameter])
        for name, buffer in list(module.named_buffers(recurse=False)):
            if buffer not in known:
                known[buffer] = _empty(buffer)
            setattr(module, name, known[buffer])
    return model


def _empty(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="cpu")
