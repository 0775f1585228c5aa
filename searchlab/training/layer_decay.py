"""The layers of a network from its input to its output, and how much slower each one learns."""

from __future__ import annotations

import re

from torch import Tensor, nn

__all__ = ["learning_scales", "number_layers"]

_NUMBERED = re.compile(r".*\d")


def learning_scales(model: nn.Module, decay: float) -> dict[Tensor, float]:
    """Return the factor of the learning rate of each parameter.

    It is 1 for the last layer, and ``decay`` times that of the next layer for each before it
    (Clark et al. 2020, ELECTRA).
    """
    numbers = number_layers(model)
    last = max(numbers.values(), default=0)
    return {
        parameter: decay ** (last - numbers[name]) for name, parameter in model.named_parameters()
    }


def number_layers(model: nn.Module) -> dict[str, int]:
    """Return the number of each parameter's layer, from 0, in the order of registration.

    A block that has a number is one layer (``layer1.0`` of a ResNet, ``blocks.3`` of a ViT), as are
    a convolution or a linear layer outside of blocks. Norm layers, and parameters beside layers
    such as a class token, belong to the layer before them; if they are first, to the one after.
    """
    modules = dict(model.named_modules())
    places: dict[str, str] = {}
    with_weights: dict[str, None] = {}
    for name, parameter in model.named_parameters():
        owner = name.rpartition(".")[0]
        places[name] = _find_place(owner, modules)
        if parameter.ndim > 1 and _is_leaf(modules[owner]):
            with_weights[places[name]] = None
    order = {place: number for number, place in enumerate(with_weights)}
    numbers: dict[str, int] = {}
    latest = 0
    for name, place in places.items():
        latest = order.get(place, latest)
        numbers[name] = latest
    return numbers


def _find_place(owner: str, modules: dict[str, nn.Module]) -> str:
    """Return the block around a module: the innermost with a number, or else the module itself.

    Blocks have norm layers, and the sequences in them are parts; networks without such blocks may
    have numbered sequences instead.
    """
    parts = owner.split(".")
    around = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    numbered = [
        place
        for place in around
        if _NUMBERED.fullmatch(place.rpartition(".")[2]) and not _is_leaf(modules[place])
    ]
    blocks = [place for place in numbered if _is_block(modules[place])]
    return (blocks or numbered or [owner])[0]


def _is_block(module: nn.Module) -> bool:
    has_norm = any(
        _is_leaf(one) and getattr(one, "weight", None) is not None and one.weight.ndim == 1
        for one in module.modules()
    )
    return has_norm and not isinstance(module, nn.Sequential)


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None
