"""What a model answers on images, and on the same images under attack, in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from searchlab.config.attacks import AttackSpec
from searchlab.config.trial import TrialConfig
from searchlab.training.adversarial import perturb
from searchlab.training.frozen_layers import FrozenFeatures
from searchlab.training.images import Normalizer, TrainingData
from searchlab.training.inference import evaluation_batch, predict
from searchlab.training.metrics import Answers

__all__ = ["Evaluator", "Fetch", "craft"]

Fetch = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Returns the images and labels at indices [B]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluator:
    """Asks a member's model, in smaller batches if those of training are split.

    ``normalize`` takes pixels in 0..255, and ``normalize_pixels`` those in [0, 1].
    """

    model: nn.Module
    config: TrialConfig
    data: TrainingData
    normalize: Normalizer
    normalize_pixels: Normalizer
    batch_split: int

    def answer(
        self,
        fetch: Fetch,
        indices: Tensor,
        drawing: torch.Generator,
        *,
        kept: tuple[FrozenFeatures, nn.Module] | None = None,
    ) -> Answers:
        """Return the answers on images at ``indices``; attacks draw from a generator.

        ``kept`` may have the features that frozen layers make of them, and the other layers.
        """
        self.model.eval()
        labels: list[Tensor] = []
        logits: list[Tensor] = []
        with torch.inference_mode():
            for batch in torch.split(indices, self._batch_size()):
                images, targets = fetch(batch)
                labels.append(targets)
                # Features of mirror images are not kept.
                if kept is None or self.config.settings.average_flips:
                    logits.append(self.predict(self.normalize(images)))
                else:
                    features, layers = kept
                    precision = self.config.settings.precision
                    logits.append(predict(layers, features(batch), precision))
        attacked = self._answer_under_attack(fetch, indices, drawing)
        return Answers(labels=torch.cat(labels), batches=logits, attacked=attacked)

    def predict(self, inputs: Tensor) -> Tensor:
        """Return logits [B, classes] as they are evaluated."""
        settings = self.config.settings
        flips = settings.average_flips
        return predict(self.model, inputs, settings.precision, average_flips=flips)

    def _answer_under_attack(
        self, fetch: Fetch, indices: Tensor, drawing: torch.Generator
    ) -> Answers | None:
        attack = self.config.robustness
        if attack is None:
            return None
        labels: list[Tensor] = []
        logits: list[Tensor] = []
        for batch in torch.split(indices, self._batch_size(with_gradients=True)):
            images, targets = fetch(batch)
            pixels = images.float() / 255
            attacked = craft(self.model, self._predict_pixels, pixels, targets, attack, drawing)
            labels.append(targets)
            with torch.inference_mode():
                logits.append(self._predict_pixels(attacked))
        return Answers(labels=torch.cat(labels), batches=logits)

    def _predict_pixels(self, pixels: Tensor) -> Tensor:
        return self.predict(self.normalize_pixels(pixels))

    def _batch_size(self, *, with_gradients: bool = False) -> int:
        shape, device = self.data.image_shape, self.data.device
        return max(
            1, evaluation_batch(shape, device, with_gradients=with_gradients) // self.batch_split
        )


def craft(
    model: nn.Module,
    answer: Callable[[Tensor], Tensor],
    pixels: Tensor,
    labels: Tensor,
    attack: AttackSpec,
    drawing: torch.Generator,
) -> Tensor:
    """Return pixels that are changed as an attack does; ``answer`` gives the model's logits.

    The model is in evaluation mode, because the search for the worst pixels must neither update
    running statistics nor draw dropout masks.
    """
    with _in_eval_mode(model):
        return perturb(answer, pixels, labels, attack, drawing)


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
