"""Memory for a network of the meta device, laid out as ``nn.Module.to_empty`` does."""

from __future__ import annotations

import copy

import torch
from torch import nn

from searchlab.models.uninitialised import allocate


class Net(nn.Module):
    """Shared and frozen weights, buffers of both kinds, and a layout of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        self.norm = nn.BatchNorm2d(4).requires_grad_(False)
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("shift", torch.zeros(2, dtype=torch.float64), persistent=False)


def describe(net: nn.Module) -> list[tuple[object, ...]]:
    tensors = [
        *net.named_parameters(remove_duplicate=False),
        *net.named_buffers(remove_duplicate=False),
    ]
    return [
        (name, type(it), it.shape, it.stride(), it.dtype, it.device, it.requires_grad)
        for name, it in tensors
    ]


def test_memory_is_laid_out_as_torch_would() -> None:
    with torch.device("meta"):
        net = Net()
    expected = copy.deepcopy(net).to_empty(device="cpu")
    assert allocate(net) is net
    assert describe(net) == describe(expected)
    assert net.second.weight is net.first.weight
    assert net.state_dict().keys() == expected.state_dict().keys()
