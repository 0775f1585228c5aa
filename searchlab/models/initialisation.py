"""How weights begin: every parameter from its own derived seed, and the schemes HF, HT and DT.

A layer's seed depends on the study, the layer's name and the shape, not on the other layers. So
HF and HT start equal, DT differs in the first layer only, and a1 and a2 share conv1 (report 000).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from searchlab.config.seeds import derive_seed
from searchlab.config.trial import SCHEMES, Init, Scheme
from searchlab.errors import InputError, did_you_mean
from searchlab.models.kernels import hand_kernels

if TYPE_CHECKING:
    from searchlab.models.registry import Family

__all__ = ["NORMAL_STD", "apply_scheme", "initialize"]

NORMAL_STD = 0.05
"""Standard deviation of the init ``normal``, whatever the layer's size."""

_Fill = Callable[[Tensor, torch.Generator], object]

_FILL_WEIGHT: dict[str, _Fill] = {
    "default": lambda w, g: nn.init.kaiming_uniform_(w, a=math.sqrt(5), generator=g),
    "normal": lambda w, g: nn.init.normal_(w, std=NORMAL_STD, generator=g),
    "xavier_uniform": lambda w, g: nn.init.xavier_uniform_(w, generator=g),
    "xavier_normal": lambda w, g: nn.init.xavier_normal_(w, generator=g),
    "kaiming_uniform": lambda w, g: nn.init.kaiming_uniform_(w, nonlinearity="relu", generator=g),
    "kaiming_normal": lambda w, g: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=g),
}

_DRAWN = (nn.Conv2d, nn.Linear)
# Their reset_parameters() writes constants, so no generator is involved.
_CONSTANT = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)


def initialize(model: nn.Module, *, init: Init, key: tuple[str | int, ...]) -> None:
    """Set every parameter and buffer of ``model`` in place, without any global random state.

    Conv2d and Linear: ``default`` is what torch itself gives these layers (weight and bias uniform
    within 1 / sqrt(fan_in)); ``normal`` is N(0, 0.05^2); ``xavier_*`` have gain 1; ``kaiming_*``
    have the gain of ReLU and count fan_in; all but ``default`` start biases at zero. Norm layers
    start as torch starts them. Draws are float32 on the CPU, so every device starts the same.
    Raises TypeError for a module with parameters or buffers of any other type.
    """
    if init not in _FILL_WEIGHT:
        remedy = did_you_mean(init, _FILL_WEIGHT)
        raise InputError("must be a known initialisation", where="init", found=init, remedy=remedy)
    for name, module in model.named_modules():
        if isinstance(module, _DRAWN) and _tensor_names(module) <= {"weight", "bias"}:
            _initialize_layer(module, init, (*key, "weights", name))
        elif isinstance(module, _CONSTANT):
            module.reset_parameters()
        elif _tensor_names(module):
            raise TypeError(
                f"cannot initialise {name or 'the model itself'}: {type(module).__name__} has "
                "parameters or buffers of its own; use Conv2d, Linear or a norm layer for them"
            )


def apply_scheme(model: nn.Module, family: Family, scheme: Scheme) -> None:
    """Set the first convolution by hand (HF, HT) and freeze it (HF); DT leaves ``model`` alone.

    Each filter is one pattern of ``hand_kernels``, the same on every input channel; biases are
    zero. Raises InputError for HF or HT in a family without a convolution, or for more filters
    than distinct patterns. Source: report 000.
    """
    if scheme not in SCHEMES:
        remedy = did_you_mean(scheme, SCHEMES)
        raise InputError("must be a known scheme", where="scheme", found=scheme, remedy=remedy)
    if scheme == "DT":
        return
    if family.first_conv is None:
        raise InputError(
            f"cannot be {scheme} with the family {family.name}, which has no convolution to set "
            "by hand",
            where="scheme",
            remedy="Use DT, or a family with a first conv layer",
        )
    conv = getattr(model, family.first_conv)
    assert isinstance(conv, nn.Conv2d), f"{family.name}.{family.first_conv} is not a Conv2d"
    height, width = conv.kernel_size
    kernels = hand_kernels(conv.out_channels, (height, width))
    with torch.no_grad():
        conv.weight.copy_(kernels[:, None].expand(conv.weight.shape))
        if conv.bias is not None:
            conv.bias.zero_()
    conv.requires_grad_(scheme != "HF")


def _initialize_layer(layer: nn.Conv2d | nn.Linear, init: Init, key: tuple[str | int, ...]) -> None:
    bound = 1 / math.sqrt(layer.weight[0].numel())  # one output's weights: its fan_in

    def fill_bias(bias: Tensor, generator: torch.Generator) -> object:
        return (
            bias.uniform_(-bound, bound, generator=generator) if init == "default" else bias.zero_()
        )

    _set(layer.weight, _FILL_WEIGHT[init], (*key, "weight"))
    if layer.bias is not None:
        _set(layer.bias, fill_bias, (*key, "bias"))


def _set(parameter: Tensor, fill: _Fill, key: tuple[str | int, ...]) -> None:
    shape = tuple(parameter.shape)
    generator = torch.Generator("cpu").manual_seed(derive_seed(*key, str(shape)))
    values = torch.empty(shape, dtype=torch.float32, device="cpu")
    with torch.no_grad():
        fill(values, generator)
        parameter.copy_(values)


def _tensor_names(module: nn.Module) -> set[str]:
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return {name for name, _ in own}
