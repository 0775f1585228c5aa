"""The frozen layers with which a network begins: what they make of an image is computed once.

They are the first convolution of scheme HF, and the body of a pretrained network of which only the
head is trained. Kernels round differently for some numbers of images at a time, so a number is
tried first: batches of it come from memory only if that gives the bits that computing them does.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from searchlab.config.settings import Precision
from searchlab.models.batch_norm import BatchNorm1d, BatchNorm2d
from searchlab.models.dropout import SeededDropout
from searchlab.training.images import Normalizer
from searchlab.training.inference import compute, evaluation_batch
from searchlab.training.stored_images import StoredImages

__all__ = ["FrozenFeatures", "KeptFeatures", "split_frozen"]

# Of one trial, all its members together; each worker keeps those of the trial that it trains.
_MAX_BYTES = 2**28

_WITHOUT_STATE = (
    nn.Conv2d, nn.Linear, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Identity,
    nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.SiLU,
)  # fmt: skip


class FrozenFeatures:
    """The outputs of frozen layers for all images: a row for each, computed when first needed."""

    def __init__(
        self,
        layers: nn.Module,
        normalize: Normalizer,
        images: Tensor | StoredImages,
        precision: Precision,
    ) -> None:
        self._layers = layers
        self._normalize = normalize
        self._images = images
        self._precision = precision
        self._rows: Tensor | None = None
        # By the number of images and whether gradients are recorded: kernels depend on both.
        self._is_same: dict[tuple[int, bool], bool] = {}

    def __call__(self, indices: Tensor) -> Tensor:
        """Return the rows of some images, with the bits and layout of computing them together."""
        case = len(indices), torch.is_grad_enabled()
        if self._is_same.get(case):
            return self._look_up(indices)
        computed = self._compute(indices)
        if case not in self._is_same:
            kept = self._look_up(indices)
            has_layout = kept.stride() == computed.stride()
            self._is_same[case] = has_layout and torch.equal(kept, computed)
        return computed

    @property
    def num_bytes(self) -> int:
        """The memory that the rows of all images take."""
        with torch.no_grad():
            few = self._compute(torch.arange(min(2, len(self._images))))
        return len(self._images) * few[0].numel() * few.element_size()

    def is_of(self, layers: nn.Module, normalize: Normalizer) -> bool:
        """Return whether other layers, of the same trial, give the same for each image."""
        pairs = [(self._normalize.scale, normalize.scale), (self._normalize.shift, normalize.shift)]
        ours, theirs = self._layers.state_dict(), layers.state_dict()
        pairs += [(ours[name], theirs[name]) for name in ours]
        return all(torch.equal(one, other) for one, other in pairs)

    def _compute(self, indices: Tensor) -> Tensor:
        return compute(self._layers, self._normalize(self._images[indices]), self._precision)

    def _look_up(self, indices: Tensor) -> Tensor:
        if self._rows is None:
            self._rows = self._compute_all()
        rows = self._rows.index_select(0, indices)
        return rows.permute(0, 3, 1, 2) if rows.ndim == 4 else rows

    def _compute_all(self) -> Tensor:
        """Return a row for each image; those of feature maps have the channels last."""
        _, channels, height, width = self._images.shape
        size = evaluation_batch((channels, height, width))
        rows: Tensor | None = None
        # Outside of inference, whose tensors cannot be trained on later.
        with torch.inference_mode(mode=False), torch.no_grad():
            for indices in torch.split(torch.arange(len(self._images)), size):
                computed = self._compute(indices)
                if computed.ndim == 4:
                    computed = computed.permute(0, 2, 3, 1)
                if rows is None:
                    rows = computed.new_empty((len(self._images), *computed.shape[1:]))
                rows[indices[0] : indices[-1] + 1] = computed
        assert rows is not None
        return rows


class KeptFeatures:
    """The frozen features of a trial's members; members whose layers are equal share them."""

    def __init__(self) -> None:
        self._kept: list[FrozenFeatures] = []
        self._num_bytes = 0

    def share(
        self,
        layers: nn.Module,
        normalize: Normalizer,
        images: Tensor | StoredImages,
        precision: Precision,
    ) -> FrozenFeatures | None:
        """Return the features of a member's frozen layers; None if they take too much memory."""
        for features in self._kept:
            if features.is_of(layers, normalize):
                return features
        features = FrozenFeatures(layers, normalize, images, precision)
        num_bytes = features.num_bytes
        if self._num_bytes + num_bytes > _MAX_BYTES:
            return None
        self._num_bytes += num_bytes
        self._kept.append(features)
        return features


def split_frozen(model: nn.Module, *, head: str | None) -> tuple[nn.Module, nn.Module] | None:
    """Return the frozen layers with which a network begins, and the rest, which share its tensors.

    None if it has none with weights. ``head`` is the module that gets what all others make of an
    image; without it, only a network that is one sequence is split. Layers that this module does
    not know may draw or keep something, so they are never taken for constant.
    """
    if isinstance(model, nn.Sequential):
        layers = list(model)
        num_layers = len(layers)
        end = next((i for i in range(num_layers) if not _is_constant(layers[i])), num_layers)
        first: nn.Module = nn.Sequential(*layers[:end])
        rest: nn.Module = nn.Sequential(*layers[end:])
    elif head is not None:
        last = model.get_submodule(head)
        own = set(last.modules())
        leaves = [one for one in model.modules() if one not in own and not [*one.children()]]
        if not all(map(_is_constant, leaves)):
            return None
        # Without copying the tensors, and with nothing in the place of the head.
        same: dict[int, object] = {id(one): one for one in (*model.parameters(), *model.buffers())}
        first, rest = copy.deepcopy(model, {**same, id(last): nn.Identity()}), last
    else:
        return None
    return (first, rest) if any(True for _ in first.parameters()) else None


def _is_constant(module: nn.Module) -> bool:
    """Return whether a layer, or a sequence of layers, gives the same for an image every time."""
    if type(module) is nn.Sequential:
        return all(map(_is_constant, module))
    if any(parameter.requires_grad for parameter in module.parameters()):
        return False
    if isinstance(module, (BatchNorm1d, BatchNorm2d)):
        return module.frozen
    if isinstance(module, SeededDropout):
        return module.probability == 0
    return type(module) in _WITHOUT_STATE
