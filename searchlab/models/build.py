"""Building, checking and counting the network that a ModelConfig describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from searchlab.errors import InputError
from searchlab.models.initialisation import apply_scheme, initialize
from searchlab.models.locally_connected import LocallyConnected2d
from searchlab.models.registry import ImageShape, get_family
from searchlab.models.uninitialised import allocate

if TYPE_CHECKING:
    from searchlab.config.settings import TrainingSettings
    from searchlab.config.trial import ModelConfig
    from searchlab.models.parameters import FamilyParameters

__all__ = [
    "build_model",
    "build_unset",
    "check_model",
    "count_multiply_adds",
    "count_parameters",
]

# A gigabyte in float32: a check runs in the driver, which may have less memory than its workers.
_MAX_WEIGHTS = 250_000_000


def build_model(
    config: ModelConfig,
    settings: TrainingSettings,
    *,
    image_shape: ImageShape,
    num_classes: int,
    key: tuple[str | int, ...],
) -> nn.Module:
    """Build and initialise a network on the CPU: [B, *image_shape] in, logits [B, num_classes] out.

    It uses the settings ``dropout`` and ``init``. The same ``key``, such as ``(study_seed, fold,
    repeat)``, gives the same weights; the global random state is neither read nor changed. The
    family's ``finish``, which may load weights, runs after initialisation, and the scheme is
    applied last; under HF the first convolution is frozen. Raises InputError if the configuration
    is wrong or does not suit the images.
    """
    model = build_unset(config, settings, image_shape=image_shape, num_classes=num_classes)
    initialize(model, init=settings.init, key=key)  # sets every tensor, or raises TypeError
    _finish(model, config)
    return model


def build_unset(
    config: ModelConfig, settings: TrainingSettings, *, image_shape: ImageShape, num_classes: int
) -> nn.Module:
    """Build a network on the CPU with uninitialised tensors, all of which are to be loaded.

    It does not look for weights that the configuration names. Raises InputError as ``build_model``.
    """
    model = _build_on_meta(config, image_shape, num_classes, dropout=settings.dropout)
    return allocate(model)


def count_parameters(config: ModelConfig, *, image_shape: ImageShape, num_classes: int) -> int:
    """Return the number of weights and biases, frozen ones included, without allocating them."""
    model = _build_on_meta(config, image_shape, num_classes)
    return sum(parameter.numel() for parameter in model.parameters())


def count_multiply_adds(config: ModelConfig, *, image_shape: ImageShape, num_classes: int) -> int:
    """Return the multiply-adds of one image's forward pass; a product and its sum count as one.

    Counts Conv2d, Linear and LocallyConnected2d while an image passes through uninitialised
    weights; biases, norms, activations and pooling are left out, as is usual. Raises InputError as
    ``check_model`` does.
    """
    model = allocate(_build_on_meta(config, image_shape, num_classes))
    total = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        total += output.numel() * _products_per_output(layer)

    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, LocallyConnected2d)):
            module.register_forward_hook(count)
    _forward(model, config, torch.zeros((1, *image_shape)))
    return total


def check_model(
    config: ModelConfig, *, image_shape: ImageShape, num_classes: int, pass_images: bool = True
) -> None:
    """Raise InputError unless the network suits the images, its scheme and [B, num_classes] logits.

    Costs a forward pass of two images through uninitialised weights, so every family of a space can
    be checked before a study; weights that a family loads are loaded. (On the meta device the pass
    would import torch's compiler, which takes 1.5 s.) Without ``pass_images`` there is no pass.
    A network whose weights would take more than a gigabyte is only described, not allocated.
    """
    model = _build_on_meta(config, image_shape, num_classes)
    if sum(parameter.numel() for parameter in model.parameters()) > _MAX_WEIGHTS:
        return
    model = allocate(model)
    _finish(model, config)
    if not pass_images:
        return
    logits = _forward(model, config, torch.zeros((2, *image_shape)))
    if tuple(logits.shape) != (2, num_classes):
        raise InputError(
            f"must return logits of shape {(2, num_classes)} for two images",
            where=_where(config),
            found=tuple(logits.shape),
        )


def _build_on_meta(
    config: ModelConfig, image_shape: ImageShape, num_classes: int, *, dropout: float = 0.0
) -> nn.Module:
    assert len(image_shape) == 3, f"{image_shape=}"
    assert min(image_shape) >= 1, f"{image_shape=}"
    assert num_classes >= 1, f"{num_classes=}"
    parameters = _parse(config)
    try:
        with torch.device("meta"):
            return get_family(config.family).build(
                parameters, image_shape=image_shape, num_classes=num_classes, dropout=dropout
            )
    # Located here, because a preset shares its base's function, which does not know its name.
    except InputError as error:
        raise error.at(_where(config)) from None


def _finish(model: nn.Module, config: ModelConfig) -> None:
    family = get_family(config.family)
    if family.finish is not None:
        try:
            family.finish(model, _parse(config))
        except InputError as error:
            raise error.at(_where(config)) from error
    apply_scheme(model, family, config.scheme)


def _parse(config: ModelConfig) -> FamilyParameters:
    return get_family(config.family).parameters.parse(config.parameters, where=config.family)


def _forward(model: nn.Module, config: ModelConfig, images: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            logits: Tensor = model.eval()(images)
    except RuntimeError as error:  # torch reports mismatched shapes like this
        raise InputError(
            f"does not fit images of shape {tuple(images.shape[1:])}: {error}", where=_where(config)
        ) from error
    return logits


def _products_per_output(layer: nn.Module) -> int:
    if isinstance(layer, LocallyConnected2d):
        return layer.fans[0]
    assert isinstance(layer, (nn.Conv2d, nn.Linear))
    return layer.weight[0].numel()


def _where(config: ModelConfig) -> str:
    return f"family {config.family}"
