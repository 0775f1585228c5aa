"""Building, checking and counting the network that a ModelConfig describes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from searchlab.config.seeds import derive_seed
from searchlab.errors import InputError
from searchlab.models.dropout import set_dropout_generator
from searchlab.models.initialisation import apply_scheme, holds_own_tensors, initialize
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
    repeat)``, gives the same weights; the global random state is neither read nor changed. What
    the initialisations do not know, such as a class token, is as the network's own code draws it;
    so is everything under ``default`` if the family says so. The family's ``finish``, which may
    load weights, runs after initialisation, and the scheme is applied last; under HF the first
    convolution is frozen. Raises InputError if the configuration is wrong or does not suit the
    images.
    """
    family = get_family(config.family)
    build = _Build(config, image_shape, num_classes, settings.dropout)
    model = build.allocated(seed=derive_seed(*key, "construction"), drawn=family.draws_own)
    if not (family.draws_own and settings.init == "default"):
        initialize(model, init=settings.init, key=key)
    _finish(model, config)
    return model


def build_unset(
    config: ModelConfig, settings: TrainingSettings, *, image_shape: ImageShape, num_classes: int
) -> nn.Module:
    """Build a network on the CPU with arbitrary weights, all of which are to be loaded.

    It does not look for weights that the configuration names. Raises InputError as ``build_model``.
    """
    return _Build(config, image_shape, num_classes, settings.dropout).allocated()


def count_parameters(config: ModelConfig, *, image_shape: ImageShape, num_classes: int) -> int:
    """Return the number of weights and biases, frozen ones included."""
    return _count_weights(_Build(config, image_shape, num_classes).described())


def count_multiply_adds(config: ModelConfig, *, image_shape: ImageShape, num_classes: int) -> int:
    """Return the multiply-adds of one image's forward pass; a product and its sum count as one.

    Counts convolutions and matrix products, those of attention included; biases, norms, activations
    and pooling are left out, as is usual. Raises InputError as ``check_model`` does.
    """
    from searchlab.models.operations import OperationCounter  # with triton, which takes 0.25 s

    model = _Build(config, image_shape, num_classes).allocated()
    counter = OperationCounter()
    with counter, _unfused_attention():
        _forward(model, config, torch.zeros((1, *image_shape)))
    return counter.flops // 2


def check_model(
    config: ModelConfig, *, image_shape: ImageShape, num_classes: int, pass_images: bool = True
) -> None:
    """Raise InputError unless the network suits the images, its scheme and [B, num_classes] logits.

    Costs a forward pass of two images through arbitrary weights, and a backward pass for a network
    that initialises parts of itself, so every family of a space can be checked before a study;
    weights that a family loads are loaded. (On the meta device the pass would import torch's
    compiler, which takes 1.5 s.) Without ``pass_images`` there is no pass. A network whose weights
    would take more than a gigabyte is only described, not allocated.
    """
    build = _Build(config, image_shape, num_classes)
    if _count_weights(build.described()) > _MAX_WEIGHTS:
        return
    model = build.allocated()
    _finish(model, config)
    if not pass_images:
        return
    images = torch.zeros((2, *image_shape))
    logits = _forward(model, config, images)
    if build.is_drawn:
        # Auxiliary outputs, for example, are there only in training.
        logits = _forward(model.train(), config, images, backwards=True)
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (2, num_classes):
        raise InputError(
            f"must return logits of shape {(2, num_classes)} for two images",
            where=_where(config),
            found=shape,
        )


class _Build:
    """One network to build, described or with memory for its tensors.

    Most networks are built on the meta device, which costs no memory and no draws. One that
    initialises parts of itself has its values from its own code, so it is built on the CPU.
    """

    def __init__(
        self, config: ModelConfig, image_shape: ImageShape, num_classes: int, dropout: float = 0.0
    ) -> None:
        assert len(image_shape) == 3, f"{image_shape=}"
        assert min(image_shape) >= 1, f"{image_shape=}"
        assert num_classes >= 1, f"{num_classes=}"
        self._config = config
        self._parameters = _parse(config)
        self._arguments: dict[str, Any] = {
            "image_shape": image_shape, "num_classes": num_classes, "dropout": dropout
        }  # fmt: skip
        self.is_drawn = False

    def described(self) -> nn.Module:
        """Return the network without values if it can be built so, otherwise with its own."""
        try:
            model = self._make("meta")
        except (NotImplementedError, RuntimeError):  # its code reads values
            self.is_drawn = True
            return self._draw(seed=0)
        self.is_drawn = holds_own_tensors(model)
        return model

    def allocated(self, *, seed: int = 0, drawn: bool = False) -> nn.Module:
        """Return the network on the CPU; what its own code draws follows from ``seed``.

        Everything else is uninitialised memory, unless all of it shall be ``drawn``.
        """
        if not drawn:
            model = self.described()
            if not self.is_drawn:
                return allocate(model)
        return self._draw(seed)

    def _draw(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return self._make("cpu")

    def _make(self, device: str) -> nn.Module:
        try:
            with torch.device(device):
                build = get_family(self._config.family).build
                return build(self._parameters, **self._arguments)
        # Located here, because a preset shares its base's function, which does not know its name.
        except InputError as error:
            raise error.at(_where(self._config)) from None


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


def _forward(
    model: nn.Module, config: ModelConfig, images: Tensor, *, backwards: bool = False
) -> Tensor:
    """Return what the network gives for images, in evaluation mode unless it goes backwards too."""
    set_dropout_generator(model, torch.Generator())
    try:
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(backwards):
            logits: Tensor = (model if backwards else model.eval())(images)
            if backwards and isinstance(logits, Tensor) and logits.requires_grad:
                torch.autograd.backward(logits.sum())
    except (RuntimeError, ValueError, AssertionError) as error:  # so networks report wrong shapes
        raise InputError(
            f"does not fit images of shape {tuple(images.shape[1:])}: {error}", where=_where(config)
        ) from error
    return logits


@contextmanager
def _unfused_attention() -> Iterator[None]:
    """Compute attention by operations that torch's counter knows."""
    was_fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fused)


def _count_weights(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _where(config: ModelConfig) -> str:
    return f"family {config.family}"
