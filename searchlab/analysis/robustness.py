"""How a trained model's accuracy falls as an attack may change its images more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from searchlab.config.attacks import AttackSpec
from searchlab.config.seeds import derive_seed
from searchlab.training.adversarial import perturb
from searchlab.training.images import TrainingData
from searchlab.training.inference import evaluation_batch, predict
from searchlab.training.saved_models import SavedModel

__all__ = ["measure_robustness"]


def measure_robustness(
    model: SavedModel,
    data: TrainingData,
    indices: Tensor,
    attacks: Sequence[AttackSpec],
    *,
    check_stop: Callable[[], None] = lambda: None,
) -> list[float]:
    """Return the accuracy on test images ``indices`` [N] under each attack.

    The study's seed gives the random starts of pgd. ``check_stop`` is called before each batch and
    may raise.
    """
    normalize = data.normalizer(None, model.config.normalize, unit=True)
    settings = model.config.settings

    def answer(pixels: Tensor) -> Tensor:
        inputs, flips = normalize(pixels), settings.average_flips
        return predict(model.model, inputs, settings.precision, average_flips=flips)

    size = evaluation_batch(data.image_shape, data.device, with_gradients=True)
    batches = torch.split(indices, size)
    accuracies = []
    for attack in attacks:
        seed = derive_seed(model.config.seed, "attack for the report")
        drawing = torch.Generator(device=data.device).manual_seed(seed)
        correct = 0
        for batch in batches:
            check_stop()
            pixels, labels = data.test_images[batch].float() / 255, data.test_labels[batch]
            attacked = perturb(answer, pixels, labels, attack, drawing)
            with torch.inference_mode():
                correct += int((answer(attacked).argmax(1) == labels).sum())
        accuracies.append(correct / len(indices))
    return accuracies
