"""Classifier: a trained network with the scaling of pixels inside, as it is exported and used."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from searchlab.config.trial import TrialConfig
from searchlab.errors import InputError
from searchlab.models.build import build_unset
from searchlab.models.registry import ImageShape
from searchlab.models.saved_weights import load_weights
from searchlab.training.images import Normalizer

__all__ = ["Classifier", "build_classifier"]


class Classifier(nn.Module):
    """Maps pixels [B, C, H, W] in 0..255, uint8 or float, to float32 logits [B, classes].

    With ``average_flips`` they are the mean of those of an image and of its mirror image. Files are
    decoded, resized and cropped before: no graph does that as PIL does.
    """

    def __init__(
        self, network: nn.Module, normalizer: Normalizer, *, average_flips: bool = False
    ) -> None:
        super().__init__()
        self.network = network
        self._average_flips = average_flips
        self.register_buffer("scale", normalizer.scale)
        self.register_buffer("shift", normalizer.shift)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        assert isinstance(self.scale, Tensor)
        assert isinstance(self.shift, Tensor)
        inputs = torch.addcmul(self.shift, images.float(), self.scale)
        logits: Tensor = self.network(inputs)
        return (logits + self.network(inputs.flip(-1))) / 2 if self._average_flips else logits


def build_classifier(
    config: TrialConfig,
    tensors: Mapping[str, Tensor],
    normalizer: Normalizer,
    *,
    image_shape: ImageShape,
    num_classes: int,
    where: str,
) -> Classifier:
    """Rebuild a network on the CPU from its tensors, in eval mode.

    Raises InputError if its family is unknown here, or naming ``where`` if the tensors are of
    another network.
    """
    network = build_unset(
        config.model, config.settings, image_shape=image_shape, num_classes=num_classes
    )
    try:
        load_weights(network, tensors)
    except RuntimeError as error:
        raise InputError(
            f"is a model for other images or of another network ({error})", where=where
        ) from error
    # The layout used in training, because another one sums in another order.
    network = network.to(memory_format=torch.channels_last)
    flips = config.settings.average_flips
    classifier = Classifier(network, normalizer, average_flips=flips)
    return classifier.eval().requires_grad_(False)
