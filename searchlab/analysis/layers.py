"""What goes on in each layer of a network: its activations, its weights' gradient, dead units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from searchlab.analysis.distributions import DistributionCounter
from searchlab.analysis.measured_layers import Distribution, LayerProbe
from searchlab.config.settings import Precision
from searchlab.training.inference import predict

__all__ = ["probe_layers"]

Batch = tuple[Tensor, Tensor]
"""Inputs [B, C, H, W] as the network takes them, and labels [B]."""


def probe_layers(
    model: nn.Module, batches: Iterable[Batch], precision: Precision
) -> list[LayerProbe]:
    """Return the layers in the order in which they run, for the mean loss over all images.

    In evaluation mode, so batch norm uses its running statistics, dropout draws nothing, and the
    model is left as it was. A layer that runs twice in a pass, such as a ReLU that a block shares,
    is one for each use. Raises ValueError if a value is not finite.
    """
    watch = _Watch(model)
    was_training, count = model.training, 0
    model.eval()
    try:
        for inputs, labels in batches:
            watch.begin_pass()
            loss = cross_entropy(predict(model, inputs, precision), labels, reduction="sum")
            if loss.requires_grad:
                torch.autograd.backward(loss)
            count += len(labels)
        return watch.list_layers(count)
    finally:
        watch.close()
        model.zero_grad(set_to_none=True)
        model.train(was_training)


class _Watch:
    """Hooks on every layer with weights or an activation function; containers have neither."""

    def __init__(self, model: nn.Module) -> None:
        model.zero_grad(set_to_none=True)
        self._uses: Counter[str] = Counter()
        self._seen: dict[str, _Seen] = {}
        # Not read after the pass: a ReLU in place overwrites the output of the layer before it.
        self._hooks = [
            module.register_forward_hook(self._make_hook(name))
            for name, module in model.named_modules()
            if _own_weights(module) or type(module).__module__ == nn.ReLU.__module__
        ]

    def _make_hook(self, name: str) -> Callable[[nn.Module, object, object], None]:
        def note(module: nn.Module, _inputs: object, output: object) -> None:
            self._uses[name] += 1
            if isinstance(output, tuple):
                output = output[0]
            if not isinstance(output, Tensor):
                return
            use = self._uses[name]
            key = (name or "network") + (f" (use {use})" if use > 1 else "")
            if key not in self._seen:
                self._seen[key] = _Seen(key, module, has_gradient=use == 1)
            self._seen[key].add(output.detach())

        return note

    def begin_pass(self) -> None:
        self._uses.clear()

    def list_layers(self, num_images: int) -> list[LayerProbe]:
        return [seen.result(num_images) for seen in self._seen.values()]

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()


class _Seen:
    """What was seen of one use of a layer."""

    def __init__(self, name: str, module: nn.Module, *, has_gradient: bool) -> None:
        self._name, self._module, self._has_gradient = name, module, has_gradient
        self._counter = DistributionCounter()
        self._is_alive: Tensor | None = None

    def add(self, output: Tensor) -> None:
        try:
            self._counter.add(output)
        except ValueError as error:
            raise ValueError(f"layer {self._name} {error}") from None
        units = 1 if output.ndim == 4 else output.ndim - 1
        alive = (output != 0).movedim(units, 0).flatten(1).any(1)
        self._is_alive = alive if self._is_alive is None else self._is_alive | alive

    def result(self, num_images: int) -> LayerProbe:
        assert self._is_alive is not None
        is_relu = isinstance(self._module, nn.ReLU | nn.ReLU6)
        weights = _own_weights(self._module) if self._has_gradient else []
        return LayerProbe(
            name=self._name,
            kind=type(self._module).__name__,
            units=len(self._is_alive),
            dead=int((~self._is_alive).sum()) if is_relu else None,
            activation=self._counter.result(),
            gradient=self._describe_gradient(weights, num_images),
            is_frozen=bool(weights) and not any(one.requires_grad for one in weights),
        )

    def _describe_gradient(
        self, weights: list[nn.Parameter], num_images: int
    ) -> Distribution | None:
        gradients = [one.grad for one in weights if one.grad is not None]
        if not gradients:
            return None
        counter = DistributionCounter()
        for gradient in gradients:
            try:
                counter.add(gradient / num_images)
            except ValueError as error:
                raise ValueError(f"the gradient of layer {self._name} {error}") from None
        return counter.result()


def _own_weights(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameter called weight, or else all of the module's own."""
    own = dict(module.named_parameters(recurse=False))
    return [own["weight"]] if "weight" in own else [*own.values()]
