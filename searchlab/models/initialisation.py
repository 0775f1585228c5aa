"""Initial weights: each layer's from its own derived seed, and the schemes HF, HT and DT.

A layer's seed depends on the study and on the layer's name and shape, not on other layers. So HF
and HT start equal, DT differs only in the first layer, and a1 and a2 share conv1 (report 000).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn

from searchlab.config.seeds import derive_seed
from searchlab.config.settings import Init
from searchlab.config.trial import SCHEMES, Scheme
from searchlab.errors import InputError, did_you_mean
from searchlab.models.kernels import hand_kernels
from searchlab.models.registry import FIRST_CONV, Family

__all__ = [
    "NORMAL_STD",
    "apply_scheme",
    "first_convolution",
    "holds_own_tensors",
    "initialize",
    "layer_of_schemes",
]

NORMAL_STD = 0.05
"""Standard deviation of the init ``normal``, for layers of any size."""

_Fill = Callable[[Tensor, torch.Generator], object]
_Fans = tuple[int, int]
"""Inputs that one output sees, outputs that one input reaches."""

_DEFAULT_GAIN = nn.init.calculate_gain("leaky_relu", math.sqrt(5))
_RELU_GAIN = nn.init.calculate_gain("relu")

# torch.nn.init takes the fans from a weight's shape, which is right only for shared weights.
# The operations are in torch's order, so the values equal torch's to the bit.
_STD: dict[Init, Callable[[int, int], float]] = {
    "default": lambda fan_in, fan_out: _DEFAULT_GAIN / math.sqrt(fan_in),
    "normal": lambda fan_in, fan_out: NORMAL_STD,
    "xavier_uniform": lambda fan_in, fan_out: math.sqrt(2.0 / float(fan_in + fan_out)),
    "xavier_normal": lambda fan_in, fan_out: math.sqrt(2.0 / float(fan_in + fan_out)),
    "kaiming_uniform": lambda fan_in, fan_out: _RELU_GAIN / math.sqrt(fan_in),
    "kaiming_normal": lambda fan_in, fan_out: _RELU_GAIN / math.sqrt(fan_in),
}
_UNIFORM: tuple[Init, ...] = ("default", "xavier_uniform", "kaiming_uniform")


@runtime_checkable
class _OwnFans(Protocol):
    """A layer with ``weight`` and ``bias`` whose fans do not follow from its weight's shape."""

    weight: Tensor
    bias: Tensor | None

    @property
    def fans(self) -> _Fans:
        """Inputs that one output sees, outputs that one input reaches."""
        ...


_Layer = nn.Conv2d | nn.Linear | _OwnFans

# Their reset_parameters() writes constants, so no generator is involved.
_CONSTANT = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)


def initialize(model: nn.Module, *, init: Init, key: tuple[str | int, ...]) -> None:
    """Set the weights of all known layers in place, without the global random state.

    For Conv2d, Linear and layers with a property ``fans``: ``default`` is torch's default for the
    first two (weight and bias uniform within 1 / sqrt(fan_in)); ``normal`` is N(0, 0.05^2);
    ``xavier_*`` have gain 1; ``kaiming_*`` have the gain of ReLU and use fan_in; all but
    ``default`` start biases at zero. Norm layers start as in torch. Draws are float32 on the CPU,
    so all devices start equal. Other modules, such as class tokens, keep what they hold.
    """
    for name, module in model.named_modules():
        if isinstance(module, _CONSTANT):
            module.reset_parameters()
        elif _is_layer(module):
            _initialize_layer(module, init, (*key, "weights", name))


def holds_own_tensors(model: nn.Module) -> bool:
    """Return whether a module that ``initialize`` leaves alone has parameters or buffers."""
    return any(
        _tensor_names(module) and not isinstance(module, _CONSTANT) and not _is_layer(module)
        for module in model.modules()
    )


def first_convolution(model: nn.Module) -> str | None:
    """Return the name of the network's first convolution; None if it has none."""
    convolutions = (name for name, one in model.named_modules() if isinstance(one, nn.Conv2d))
    return next(convolutions, None)


def layer_of_schemes(model: nn.Module, family: Family) -> str | None:
    """Return the name of the convolution that the schemes set by hand; None if there is none."""
    return first_convolution(model) if family.first_conv == FIRST_CONV else family.first_conv


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
    name = layer_of_schemes(model, family)
    if name is None:
        raise _refuse(scheme, f"with the family {family.name}, which has no convolution")
    conv = model.get_submodule(name)
    assert isinstance(conv, nn.Conv2d), f"{family.name}.{name} is not a Conv2d"
    if conv.kernel_size == conv.stride != (1, 1):
        raise _refuse(scheme, f"because {name} cuts images into patches instead of filtering them")
    height, width = conv.kernel_size
    kernels = hand_kernels(conv.out_channels, (height, width))
    with torch.no_grad():
        conv.weight.copy_(kernels[:, None].expand(conv.weight.shape))
        if conv.bias is not None:
            conv.bias.zero_()
    conv.requires_grad_(scheme != "HF")  # HT trains it even if the rest of the network is frozen


def _refuse(scheme: Scheme, reason: str) -> InputError:
    return InputError(
        f"cannot be {scheme} {reason}",
        where="scheme",
        remedy="Use DT, or a network with a first conv layer",
    )


def _is_layer(module: nn.Module) -> TypeGuard[_Layer]:
    # A layer whose weight is computed from others, as under weight_norm, has no weight of its own.
    return isinstance(module, _Layer) and "weight" in (own := _tensor_names(module)) and own <= {
        "weight", "bias"
    }  # fmt: skip


def _initialize_layer(layer: _Layer, init: Init, key: tuple[str | int, ...]) -> None:
    fan_in, fan_out = _count_fans(layer)
    std = _STD[init](fan_in, fan_out)

    def fill_weight(weight: Tensor, generator: torch.Generator) -> object:
        if init in _UNIFORM:
            bound = math.sqrt(3.0) * std
            return weight.uniform_(-bound, bound, generator=generator)
        return weight.normal_(0, std, generator=generator)

    def fill_bias(bias: Tensor, generator: torch.Generator) -> object:
        bound = 1 / math.sqrt(fan_in)
        return (
            bias.uniform_(-bound, bound, generator=generator) if init == "default" else bias.zero_()
        )

    _set(layer.weight, fill_weight, (*key, "weight"))
    if layer.bias is not None:
        _set(layer.bias, fill_bias, (*key, "bias"))


def _count_fans(layer: _Layer) -> _Fans:
    if isinstance(layer, _OwnFans):
        return layer.fans
    kernel = layer.weight[0, 0].numel()  # 1 in a Linear
    return layer.weight.shape[1] * kernel, layer.weight.shape[0] * kernel


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
