"""A member of a cohort: one model with its optimizer, trained on its own part of the images."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from searchlab.config.seeds import derive_seed
from searchlab.config.trial import TrialConfig
from searchlab.models import build_model, set_dropout_generator
from searchlab.training.images import TrainingData
from searchlab.training.optimizers import make_optimizer

__all__ = ["FULL", "DivergedError", "Member"]

FULL = "full"
"""Key of the member that trains on the whole training set."""

# Bounds the memory of an evaluation; larger batches were no faster.
_EVALUATION_BATCH = 1024


class DivergedError(Exception):
    """The training loss is not finite."""


class Member:
    """One model of a trial: a fold's, or (``fold`` None) the one that meets the test set.

    Initial weights, image order and dropout derive from the study's seed, the fold and the epoch
    alone, so an epoch run again from the same weights gives the same weights to the bit.
    """

    def __init__(self, config: TrialConfig, data: TrainingData, fold: int | None) -> None:
        self.fold = fold
        self._config = config
        self._data = data
        self._key: str | int = FULL if fold is None else fold
        self._training, self._validation = data.split(fold)
        self._normalize = data.normalizer(fold, config.normalize)
        model = build_model(
            config.model,
            image_shape=data.image_shape,
            num_classes=data.num_classes,
            key=(config.seed, self._key, 0),  # repeat 0
        )
        self.model: nn.Module = model.to(data.device).to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(config.optimizer, self.model)
        self._dropout = torch.Generator(device=data.device)
        set_dropout_generator(self.model, self._dropout)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._data.device

    def train_epoch(self, epoch: int) -> tuple[float, float]:
        """Train one epoch; return the mean loss and accuracy over it.

        Raises DivergedError where the loss is not finite; the weights are then of no use.
        """
        self.model.train()
        seed = self._config.seed
        self._dropout.manual_seed(derive_seed(seed, "dropout", self._key, epoch))
        order = torch.Generator().manual_seed(derive_seed(seed, "order", self._key, epoch))
        shuffle = torch.randperm(len(self._training), generator=order).to(self._data.device)
        indices = self._training[shuffle]
        images, labels = self._data.train_images, self._data.train_labels
        loss_sum = torch.zeros((), device=self._data.device)
        correct = torch.zeros((), device=self._data.device, dtype=torch.int64)
        for batch in torch.split(indices, self._config.batch_size):
            targets = labels[batch]
            logits = self.model(self._normalize(images[batch]))
            loss = cross_entropy(logits, targets)
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            self.optimizer.step()
            # Summed on the device: reading a number each step would wait for the device each step.
            loss_sum += loss.detach() * len(targets)
            correct += (logits.detach().argmax(1) == targets).sum()
        mean_loss = loss_sum.item() / len(indices)
        if not math.isfinite(mean_loss):
            raise DivergedError
        return mean_loss, int(correct.item()) / len(indices)

    def validate(self) -> tuple[float, float]:
        """Return loss and accuracy on the fold's validation images."""
        return self._evaluate(self._data.train_images, self._data.train_labels, self._validation)

    def test(self) -> tuple[float, float]:
        """Return loss and accuracy on the test set. Once a trial, at its end (DESIGN 6)."""
        assert self.fold is None, "a fold's model never meets the test set"
        everything = torch.arange(len(self._data.test_labels), device=self._data.device)
        return self._evaluate(self._data.test_images, self._data.test_labels, everything)

    @torch.inference_mode()
    def _evaluate(self, images: Tensor, labels: Tensor, indices: Tensor) -> tuple[float, float]:
        self.model.eval()
        loss_sum = torch.zeros((), device=images.device)
        correct = torch.zeros((), device=images.device, dtype=torch.int64)
        for batch in torch.split(indices, _EVALUATION_BATCH):
            targets = labels[batch]
            logits = self.model(self._normalize(images[batch]))
            loss_sum += cross_entropy(logits, targets, reduction="sum")
            correct += (logits.argmax(1) == targets).sum()
        return loss_sum.item() / len(indices), int(correct.item()) / len(indices)

    def snapshot(self) -> dict[str, Tensor]:
        """Return a copy of the model's weights and buffers."""
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def count_parameters(self) -> int:
        """Return the number of weights and biases, frozen ones included."""
        return sum(parameter.numel() for parameter in self.model.parameters())
