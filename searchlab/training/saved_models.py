"""Reading finished models, and their answers on images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from searchlab.config.trial import TrialConfig
from searchlab.errors import InputError
from searchlab.models.build import build_unset
from searchlab.models.saved_weights import load_weights
from searchlab.training.images import TrainingData
from searchlab.training.inference import evaluation_batch, predict

__all__ = ["SavedModel", "load_model", "read_model"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SavedModel:
    """A trial's full member: its configuration, and its network in eval mode.

    It answers in the precision in which it was trained and tested.
    """

    config: TrialConfig
    model: nn.Module

    def logits(self, data: TrainingData) -> Tensor:
        """Return logits [N, classes] on the test images, float32 on the CPU."""
        return self._answer(data, average_flips=self.config.settings.average_flips)

    @torch.inference_mode()
    def _answer(self, data: TrainingData, *, average_flips: bool) -> Tensor:
        normalize = data.normalizer(None, self.config.normalize)
        everything = torch.arange(len(data.test_labels), device=data.device)
        batches = torch.split(everything, evaluation_batch(data.image_shape, data.device))
        precision = self.config.settings.precision
        answers = [
            predict(self.model, normalize(images), precision, average_flips=average_flips).cpu()
            for images, _ in map(data.testing, batches)
        ]
        return torch.cat(answers)

    def features(self, data: TrainingData) -> Tensor:
        """Return [N, neurons], the inputs of the last fully connected layer, float32 on the CPU.

        Raises InputError if the network has no such layer.
        """
        layers = [module for module in self.model.modules() if isinstance(module, nn.Linear)]
        if not layers:
            raise InputError(
                "has no fully connected layer, so it has no features",
                where=self.config.model.family,
                remedy="Correlate its logits",
            )
        seen: list[Tensor] = []
        handle = layers[-1].register_forward_pre_hook(
            lambda _module, inputs: seen.append(inputs[0].float().cpu())
        )
        try:
            self._answer(data, average_flips=False)
        finally:
            handle.remove()
        return torch.cat(seen)


def read_model(path: Path) -> tuple[TrialConfig, dict[str, Tensor]]:
    """Return the configuration and the weights that ``save_model`` wrote. Raises InputError."""
    try:
        with safe_open(path, framework="pt") as file:
            config = TrialConfig.from_json((file.metadata() or {})["config"])
            return config, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    # ValueError: its configuration is not a TrialConfig.
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"is not the model of a finished trial ({error})", where=str(path)
        ) from error


def load_model(path: Path, data: TrainingData) -> SavedModel:
    """Read what ``save_model`` wrote, onto the device of ``data``. Raises InputError."""
    config, tensors = read_model(path)
    # Not initialised first, because its initial weights may be gone or on another machine.
    model = build_unset(
        config.model,
        config.settings,
        image_shape=data.image_shape,
        num_classes=data.num_classes,
    )
    try:
        load_weights(model, tensors)
    except RuntimeError as error:
        raise InputError(
            f"is a model for other images or of another network ({error})", where=str(path)
        ) from error
    # The layout used in training, because another one sums in another order.
    model = model.to(data.device).to(memory_format=torch.channels_last)
    return SavedModel(config=config, model=model.eval())
