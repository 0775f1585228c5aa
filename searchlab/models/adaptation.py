"""Changes that make another library's network suit a study: its head, channels and frozen parts."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from searchlab.errors import InputError
from searchlab.models.dropout import SeededDropout

__all__ = ["Head", "freeze_body", "head_of", "set_channels", "set_head"]


class Head(nn.Sequential):
    """A network's last layer, after dropout."""

    def __init__(self, layer: nn.Module, dropout: float) -> None:
        super().__init__(OrderedDict(dropout1=SeededDropout(dropout), fc1=layer))


def set_head(model: nn.Module, *, num_classes: int, dropout: float) -> None:
    """Put ``dropout`` before the layer that gives the logits, in place of dropout that is there.

    Raises InputError if no layer has ``num_classes`` outputs.
    """
    outputs = [name for name, layer in model.named_modules() if _num_outputs(layer) == num_classes]
    if not outputs:
        raise InputError(f"must end in a layer of {num_classes} outputs, one for each class")
    above, _, name = outputs[-1].rpartition(".")
    parent = model.get_submodule(above)
    for sibling in parent.children():
        if isinstance(sibling, nn.Dropout):
            sibling.p = 0.0
    setattr(parent, name, Head(parent.get_submodule(name), dropout))


def head_of(model: nn.Module) -> str:
    """Return the name of the module that ``set_head`` put in."""
    heads: list[str] = [name for name, it in model.named_modules() if isinstance(it, Head)]
    return heads[-1]


def set_channels(model: nn.Module, channels: int) -> None:
    """Make the first convolution take images of ``channels``, if it takes another number."""
    first = next((it for it in model.named_modules() if isinstance(it[1], nn.Conv2d)), None)
    if first is None:
        return
    path, old = first
    assert isinstance(old, nn.Conv2d)
    if old.in_channels == channels:
        return
    above, _, name = path.rpartition(".")
    new = nn.Conv2d(
        channels,
        old.out_channels,
        kernel_size=old.kernel_size,  # type: ignore[arg-type]  # torch's own tuple
        stride=old.stride,  # type: ignore[arg-type]
        padding=old.padding,  # type: ignore[arg-type]
        dilation=old.dilation,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    setattr(model.get_submodule(above), name, new)


def freeze_body(model: nn.Module, trainable: str) -> None:
    """Freeze what ``trainable`` does not name: ``head``, ``last+head`` or ``all``.

    ``last`` is the last block before the head. A frozen norm layer also keeps its statistics.
    """
    if trainable == "all":
        return
    kept = [head_of(model)]
    if trainable == "last+head":
        kept.append(_last_block(model, kept[0]))
    places = tuple(f"{name}." for name in kept)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(places))
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and not f"{name}.".startswith(places):
            module.register_forward_pre_hook(_keep_statistics)


def _keep_statistics(norm: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
    norm.eval()  # again before each batch, because model.train() reaches every layer


def _last_block(model: nn.Module, head: str) -> str:
    """Return the last block of the body: the last part of its largest sequence of parts."""
    path, module = "", model
    while True:
        parts = {
            f"{path}.{name}".lstrip("."): child
            for name, child in module.named_children()
            if _size(child) and not f"{head}.".startswith(f"{path}.{name}".lstrip(".") + ".")
        }
        if not parts:
            return path
        path = max(parts, key=lambda name: _size(parts[name]))
        if _size(parts[path]) < 0.9 * sum(map(_size, parts.values())):
            return list(parts)[-1]
        module = parts[path]


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _num_outputs(layer: nn.Module) -> int | None:
    if isinstance(layer, nn.Linear):
        return layer.out_features
    return layer.out_channels if isinstance(layer, nn.Conv2d) else None
