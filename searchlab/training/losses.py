"""The loss of training: by what an image counts, and for images that are mixed of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    log_softmax,
    one_hot,
)

from searchlab.config.own_code import is_reference, load_reference
from searchlab.config.settings import LossName, TrainingSettings
from searchlab.errors import InputError

__all__ = ["LOSSES", "Targets", "TrainingLoss", "find_loss"]


@dataclass(frozen=True, slots=True)
class Targets:
    """The labels [B] of a batch; for mixed images the other labels too, and the first's share."""

    labels: Tensor
    others: Tensor | None = None
    share: Tensor | None = None

    def split(self, num_parts: int) -> Iterator[Targets]:
        """Yield the targets of each part of the batch."""
        labels = torch.tensor_split(self.labels, num_parts)
        if self.others is None or self.share is None:
            yield from map(Targets, labels)
            return
        others = torch.tensor_split(self.others, num_parts)
        yield from map(Targets, labels, others, torch.tensor_split(self.share, num_parts))


class TrainingLoss:
    """The mean loss of a batch, as ``TrainingSettings`` says.

    With ``class_weights: balanced``, an image of class c counts N / (K n_c) times: K classes have N
    training images, n_c of them are of class c. So the weights' mean over the training images is 1.
    If images are drawn equally often of each class (``sampling: balanced``), they count once.
    A mixed image has both losses by their shares. Validation always measures cross-entropy.

    Raises InputError if the loss is a function of the user's own that cannot be found.
    """

    def __init__(self, settings: TrainingSettings, labels: Tensor, num_classes: int) -> None:
        self._settings = settings
        self._loss = find_loss(settings)
        self._weights: Tensor | None = None
        if settings.class_weights == "balanced" != settings.sampling:
            counts = torch.bincount(labels, minlength=num_classes).clamp(min=1)
            self._weights = len(labels) / (num_classes * counts.float())

    def to(self, device: torch.device) -> TrainingLoss:
        """Move the weights of the classes to a device; return the loss."""
        self._weights = None if self._weights is None else self._weights.to(device)
        return self

    def __call__(self, logits: Tensor, targets: Targets) -> Tensor:
        """Return the mean loss of logits [B, classes]."""
        settings, weights = self._settings, self._weights
        plain = settings.loss == "cross_entropy" and weights is None and targets.share is None
        if plain:
            smoothing = settings.label_smoothing
            return cross_entropy(logits, targets.labels, label_smoothing=smoothing)
        losses = self._weigh(logits, targets.labels)
        if targets.others is not None and targets.share is not None:
            others = self._weigh(logits, targets.others)
            losses = targets.share * losses + (1 - targets.share) * others
        return losses.mean()

    def _weigh(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses = self._loss(logits, labels, self._settings)
        return losses if self._weights is None else losses * self._weights[labels]


def _cross_entropy(logits: Tensor, labels: Tensor, settings: TrainingSettings) -> Tensor:
    return cross_entropy(logits, labels, label_smoothing=settings.label_smoothing, reduction="none")


def _focal(logits: Tensor, labels: Tensor, settings: TrainingSettings) -> Tensor:
    """Cross-entropy times (1 - p)^gamma, p the probability of the class (Lin et al. 2017)."""
    chosen = log_softmax(logits, 1).gather(1, labels[:, None])[:, 0]
    hardness = (1 - chosen.exp()).clamp(min=0).pow(settings.focal_gamma)
    return hardness * _cross_entropy(logits, labels, settings)


def _binary(logits: Tensor, labels: Tensor, settings: TrainingSettings) -> Tensor:
    """A yes or no for each class, summed over the classes (Wightman et al. 2021)."""
    smoothing, num_classes = settings.label_smoothing, logits.shape[1]
    wanted = one_hot(labels, num_classes).to(logits.dtype)
    wanted = wanted * (1 - smoothing) + smoothing / num_classes
    return binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(1)


Loss = Callable[[Tensor, Tensor, TrainingSettings], Tensor]

LOSSES: dict[LossName, Loss] = {
    "cross_entropy": _cross_entropy,
    "focal": _focal,
    "bce": _binary,
}
"""The loss [B] of logits [B, classes] and labels [B]."""


def find_loss(settings: TrainingSettings) -> Loss:
    """Return the loss that the settings name; InputError if it is the user's own and not there."""
    if not is_reference(settings.loss):
        return LOSSES[cast("LossName", settings.loss)]
    function = load_reference(settings.loss, field="loss")

    def measure(logits: Tensor, labels: Tensor, settings: TrainingSettings) -> Tensor:
        losses = function(logits, labels, **settings.loss_arguments)
        if not isinstance(losses, Tensor) or losses.shape != labels.shape:
            shape = list(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
            raise InputError(
                f"must return a tensor with the loss of each image, [{len(labels)}]",
                where=("training", "loss"),
                found=shape,
                remedy="Reduce nothing: the weights of classes and mixed images need each loss",
            )
        return losses

    return measure
