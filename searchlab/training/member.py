"""A member of a cohort: one model with its optimizer, trained on its own part of the images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from searchlab.config.attacks import AttackSpec
from searchlab.config.own_code import is_reference
from searchlab.config.seeds import derive_seed
from searchlab.config.trial import TrialConfig
from searchlab.models.dropout import set_dropout_generator
from searchlab.models.registry import get_family
from searchlab.models.saved_weights import FULL, FoldKey
from searchlab.training.augment import Augmenter
from searchlab.training.batches import largest_batch, split_batch, split_epoch
from searchlab.training.evaluation import Evaluator, Fetch, craft
from searchlab.training.frozen_layers import FrozenFeatures, KeptFeatures, split_frozen
from searchlab.training.graphed_steps import GraphedSteps, RecordingError
from searchlab.training.images import TrainingData
from searchlab.training.inference import predict
from searchlab.training.initial_models import build_initial
from searchlab.training.losses import Targets, TrainingLoss
from searchlab.training.memory_layout import keep_channels_last
from searchlab.training.metrics import Answers, measure_answers
from searchlab.training.mixing import Mixer
from searchlab.training.optimizers import make_optimizer, make_rates, may_record, read_rates_from
from searchlab.training.own_step import StepContext, TrainingStep, make_step
from searchlab.training.sampling import draw_epoch
from searchlab.training.schedules import Schedule
from searchlab.training.seeded_draws import seeded_draws
from searchlab.training.trained_batches import Tally, TrainedBatches
from searchlab.training.updates import Updates
from searchlab.training.weight_average import WeightAverage

__all__ = ["DivergedError", "Member"]


class DivergedError(Exception):
    """The loss is not finite."""


class Member:
    """One model of a trial: a fold's, or (``fold`` None) the one that meets the test set.

    Initial weights, image order, augmentation, attacks and dropout depend only on the study's seed,
    the fold, the trial's repeat and the epoch. So repeating an epoch from the same weights gives
    the same weights to the bit.

    With ``batch_split`` above 1, each batch is trained in that many parts, whose gradients add up
    to the batch's, and evaluation batches are smaller: less memory, the same learning. Images are
    augmented before the split. Apart from rounding, these differ: batch normalisation uses a part's
    statistics, and dropout (on CUDA also pgd's starts) draws in other shapes. A part has at least
    two images, because batch normalisation needs them.

    If its first layers are frozen and training images are not changed, ``kept`` may hold what those
    layers make of each image (``frozen_layers.py``), with the same bits.

    If ``graphed``, a GPU trains it by CUDA graphs, with the same result (``GraphedSteps``).
    """

    def __init__(
        self,
        config: TrialConfig,
        data: TrainingData,
        fold: int | None,
        *,
        batch_split: int = 1,
        kept: KeptFeatures | None = None,
        graphed: bool = False,
    ) -> None:
        self.fold = fold
        self._batch_split = batch_split
        self._config = config
        self._settings = config.settings
        self._data = data
        self._key: FoldKey = FULL if fold is None else fold
        self._training, self._validation = data.split(fold)
        self._normalize = data.normalizer(fold, config.normalize)
        self._normalize_pixels = data.normalizer(fold, config.normalize, unit=True)
        self.model = build_initial(config, data, self._key).to(data.device)
        keep_channels_last(self.model)
        self.optimizer = make_optimizer(self._settings, self.model)
        self.updates = Updates(self.model, self.optimizer, self._settings, data.device)
        decay = self._settings.ema_decay
        self.average = WeightAverage(self.model, decay, data.device) if decay > 0 else None
        self._augment = Augmenter(self._settings)
        self._mix = Mixer(self._settings, data.device)
        self._labels = labels = data.train_labels[self._training]
        self._loss = TrainingLoss(self._settings, labels, data.num_classes).to(data.device)
        self._num_steps = len(split_epoch(self._training, self._settings))
        self._schedule = Schedule(self._settings, steps_per_epoch=self._num_steps)
        self._rates = make_rates(self._settings, self.optimizer)
        if self._rates is not None:  # before a checkpoint is loaded, as capturable state is moved
            read_rates_from(self.optimizer, self._rates)
        self._dropout = torch.Generator(device=data.device)
        self._augmenting = torch.Generator(device=data.device)
        self._attacking = torch.Generator(device=data.device)
        self._mixing = torch.Generator(device=data.device)
        set_dropout_generator(self.model, self._dropout)
        self._evaluator = Evaluator(
            model=self.model,
            config=config,
            data=data,
            normalize=self._normalize,
            normalize_pixels=self._normalize_pixels,
            batch_split=batch_split,
        )
        self._features: FrozenFeatures | None = None
        self._layers = self.model  # what is left to compute
        if kept is not None:
            self._share_features(kept)
        self._graphed = self._make_graphed() if graphed else None
        self.step = self._begin_step()

    def _share_features(self, kept: KeptFeatures) -> None:
        """Compute the outputs of frozen first layers once for all epochs, if that can be done."""
        parts = split_frozen(self.model, head=get_family(self._config.model.family).head)
        is_whole = self.device.type == "cpu" and self._batch_split == 1
        is_own = is_reference(self._settings.step)  # which may look at the images
        if parts is None or not is_whole or self._changes_images or is_own:
            return
        first, rest = parts
        precision = self._settings.precision
        self._features = kept.share(first, self._normalize, self._data.train_images, precision)
        if self._features is not None:
            self._layers = rest

    @property
    def _changes_images(self) -> bool:
        is_mixed = self._augment.is_active or self._mix.is_active
        return is_mixed or self._settings.attack is not None

    def _make_graphed(self) -> GraphedSteps:
        if not may_record(self._settings):
            optimizer = self._settings.optimizer
            raise RecordingError(f"the optimizer {optimizer} may keep something on the host")
        if is_reference(self._settings.step):
            step = self._settings.step
            raise RecordingError(f"the training step {step} may do something on the host")
        if self._settings.precision == "float16":
            raise RecordingError("the host decides by how much losses are scaled in float16")
        return GraphedSteps(
            self._train_on,
            self.optimizer,
            (self._dropout, self._augmenting, self._attacking, self._mixing),
            num_images=len(self._training),
            num_steps=self._num_steps,
            largest_batch=largest_batch(self._settings),
            device=self.device,
            number=0 if self.fold is None else self.fold + 1,
        )

    def _begin_step(self) -> TrainingStep | None:
        step = make_step(self._settings)
        if step is not None:
            precision = self._settings.precision
            context = StepContext(
                model=self.model,
                indices=self._training,
                fetch=self._data.training,
                normalize=self._normalize,
                predict=lambda network, inputs: predict(network, inputs, precision),
                loss=self._loss,
                num_classes=self._data.num_classes,
            )
            with seeded_draws(self.device, self._seed("step")):
                step.begin(context)
        return step

    @property
    def device(self) -> torch.device:
        """The model's device."""
        return self._data.device

    @property
    def num_training_images(self) -> int:
        """The number of images in an epoch."""
        return len(self._training)

    def train_epoch(self, epoch: int, *, most_batches: int | None = None) -> dict[str, float]:
        """Train one epoch, or its first batches; return the mean loss and accuracy over it.

        Raises DivergedError if the loss is not finite; then the weights are useless.
        """
        self.begin_epoch(epoch, most_batches=most_batches)
        while self.advance():
            pass
        return self.end_epoch()

    def begin_epoch(self, epoch: int, *, most_batches: int | None = None) -> None:
        """Prepare an epoch, or its first batches; ``advance`` then trains on one after another."""
        self.model.train()
        for purpose, generator in (
            ("dropout", self._dropout),
            ("augment", self._augmenting),
            ("attack", self._attacking),
            ("mix", self._mixing),
        ):
            generator.manual_seed(self._seed(purpose, epoch))
        order = torch.Generator().manual_seed(self._seed("order", epoch))
        drawn = draw_epoch(self._labels, self._settings.sampling, order).to(self._training.device)
        batches = split_epoch(self._training[drawn], self._settings)[:most_batches]
        if self._features is None:
            self._data.expect(part for b in batches for part in split_batch(b, self._settings))
        first = (epoch - 1) * self._num_steps
        self._batches = enumerate(batches, start=first)
        self._trained = TrainedBatches()
        if self._graphed is not None:
            steps = range(first, first + len(batches))
            self._graphed.begin(torch.cat(batches), [self._schedule.lr_at(step) for step in steps])
        elif self._rates is not None:  # again, because loading a checkpoint copies the tensor
            read_rates_from(self.optimizer, self._rates)

    def advance(self) -> bool:
        """Train on the next batch; return whether there was one. It waits for no result."""
        step, batch = next(self._batches, (None, None))
        if step is None or batch is None:
            return False
        if self._graphed is not None:
            self._graphed.step(len(batch))
            return True
        self._schedule.apply(self.optimizer, step)
        with seeded_draws(self.device, self._seed("layers", step)):
            self._train_on(batch, self._trained)
        return True

    def end_steps(self) -> None:
        """Make whatever a GPU does next wait for the epoch's steps, also after an error."""
        if self._graphed is not None:
            self._graphed.end()

    def end_epoch(self) -> dict[str, float]:
        """Return the mean loss and accuracy of the epoch. Raises DivergedError."""
        figures = (self._graphed or self._trained).measure()
        if not math.isfinite(figures["loss"]):
            raise DivergedError
        return figures

    def _train_on(self, batch: Tensor, trained: Tally) -> None:
        """Take one step of the optimizer, and add what the model said of the batch before it."""
        self.updates.begin()
        for images in split_batch(batch, self._settings):
            for inputs, targets in self._training_parts(images):
                if self.step is not None:
                    loss, logits = self.step.loss(inputs, targets)
                else:
                    logits = predict(self._layers, inputs, self._settings.precision)
                    loss = self._loss(logits, targets)
                self.updates.add(loss, share=len(targets.labels) / len(batch))
                trained.add(loss.detach(), logits.detach(), targets.labels)
        self.updates.step()
        if self.average is not None:
            self.average.update()

    def _training_parts(self, batch: Tensor) -> Iterator[tuple[Tensor, Targets]]:
        """Yield the inputs [B, C, H, W] and targets of each part of a batch, split to save memory.

        With frozen features, those of the whole batch are the inputs.
        """
        if self._features is not None:
            yield self._features(batch), Targets(self._data.train_labels[batch])
            return
        images, labels = self._data.training(batch)
        targets = Targets(labels)
        attack = self._settings.attack
        is_changed = self._changes_images
        num_parts = min(self._batch_split, max(1, len(batch) // 2))
        # Changed before the split, because the draws must be those of the whole batch.
        pixels = self._augment(images, self._augmenting) if is_changed else images
        if self._mix.is_active:
            pixels, targets = self._mix(pixels, labels, self._mixing)
        for part, wanted in zip(
            torch.tensor_split(pixels, num_parts), targets.split(num_parts), strict=True
        ):
            if attack is not None:
                perturbed = self._perturb(part, wanted.labels, attack, self._attacking)
                yield self._normalize_pixels(perturbed), wanted
            elif is_changed:
                yield self._normalize_pixels(part), wanted
            else:
                yield self._normalize(part), wanted

    def _averaged(self) -> AbstractContextManager[None]:
        """Let the model have its average within a block, if there is one."""
        return nullcontext() if self.average is None else self.average.applied()

    def _perturb(
        self, pixels: Tensor, labels: Tensor, attack: AttackSpec, drawing: torch.Generator
    ) -> Tensor:
        def answer(candidates: Tensor) -> Tensor:
            inputs = self._normalize_pixels(candidates)
            return predict(self.model, inputs, self._settings.precision)

        return craft(self.model, answer, pixels, labels, attack, drawing)

    def validate(self, *, most_images: int | None = None) -> tuple[dict[str, float], Answers]:
        """Measure on the fold's validation images, or the first of them."""
        indices = self._validation[:most_images]
        with self._averaged():
            answers = self._answer(self._data.training, indices, self._features)
        return measure_answers(answers, requested=self._config.measures), answers

    def test(self) -> tuple[dict[str, float], Answers]:
        """Measure on the test set, once per trial, at its end (docs/design.md, decision 6).

        The model must have what ``snapshot`` returned.
        """
        assert self.fold is None, "a fold's model never meets the test set"
        everything = torch.arange(len(self._data.test_labels), device=self.device)
        answers = self._answer(self._data.testing, everything)
        return measure_answers(answers, requested=self._config.measures), answers

    def _answer(
        self, fetch: Fetch, indices: Tensor, features: FrozenFeatures | None = None
    ) -> Answers:
        kept = None if features is None else (features, self._layers)
        return self._evaluator.answer(fetch, indices, self._generator("robustness"), kept=kept)

    def _generator(self, purpose: str, *more: int) -> torch.Generator:
        return torch.Generator(device=self.device).manual_seed(self._seed(purpose, *more))

    def _seed(self, purpose: str, *more: int) -> int:
        repeat = ("repeat", self._config.repeat) if self._config.repeat else ()
        return derive_seed(self._config.seed, purpose, self._key, *more, *repeat)

    def snapshot(self) -> dict[str, Tensor]:
        """Return a copy of the weights and buffers that are evaluated: their average, if any."""
        with self._averaged():
            return {name: value.detach().clone() for name, value in self.model.state_dict().items()}
