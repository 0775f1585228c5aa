"""A cohort: the models of one trial, trained in lockstep, each one epoch at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from torch import Tensor

from searchlab.config.metrics import Figures
from searchlab.config.trained_folds import FoldMetrics
from searchlab.config.trial import TrialConfig
from searchlab.models.saved_weights import load_weights
from searchlab.training.frozen_layers import KeptFeatures
from searchlab.training.held_out import is_held_out_kept, to_compact_logits
from searchlab.training.images import TrainingData
from searchlab.training.kept_answers import TestAnswers, keep_answers
from searchlab.training.lockstep import train_together
from searchlab.training.machine import describe_machine
from searchlab.training.member import DivergedError, Member
from searchlab.training.metrics import Answers, MeasuredModel, measure_model
from searchlab.training.results import EpochResult

__all__ = ["Cohort"]


class Cohort:
    """Trains a trial: call ``run_epoch`` until its result is done; the state stays between calls.

    The value of an epoch is the mean over the search folds. The full member keeps its weights from
    the epoch at which the mean over all of the cohort's folds was best, and meets the test set with
    them after the last epoch; from the same epoch, each fold's predictions of the images that it
    holds out are kept. Without folds its epochs have no value, and the last one's weights are kept.
    Folds that another trial has trained (``TrialConfig.trained``) have no member here; their epochs
    count as if they had. ``Member`` describes ``batch_split`` and ``graphed``; members train side
    by side if they are graphed.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: TrainingData,
        *,
        batch_split: int = 1,
        graphed: bool = False,
    ) -> None:
        self.config = config
        self.batch_split = batch_split
        self._graphed = graphed
        self.data = data
        self._kept = KeptFeatures()
        self.members = [self._make_member(fold) for fold in config.folds_to_train]
        self.full = self._make_member(None) if config.folds.test else None
        self._properties = self._measure("model")
        self.history: list[tuple[FoldMetrics, ...]] = []
        # The full member's; None if there is none, or in epochs of a checkpoint that lacks them.
        self.full_history: list[Figures | None] = []
        self.seconds: list[float] = []
        self.batch_splits: list[int] = []  # for every epoch, because memory may run out later
        self.best_weights: dict[str, Tensor] | None = None
        self.best_predictions: dict[int, Tensor] = {}  # by fold; beside the best weights only

    def _make_member(self, fold: int | None) -> Member:
        return Member(
            self.config,
            self.data,
            fold,
            batch_split=self.batch_split,
            kept=self._kept,
            graphed=self._graphed,
        )

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return len(self.history)

    def run_epoch(self) -> EpochResult:
        """Train every member for one epoch, validate the folds and, after the last epoch, test."""
        assert not self._is_over(self.epoch), "the trial has ended"
        start = time.perf_counter()
        epoch = self.epoch + 1
        try:
            training = self._train(epoch)
            trained = [
                self._validate(member, figures)
                for member, figures in zip(self.members, training, strict=False)
            ]
            full = next(training, None)
        except DivergedError:
            return self._result(epoch, (), time.perf_counter() - start, diverged=True)
        folds = (*self._take_over(epoch), *(metrics for metrics, _ in trained))
        self.history.append(folds)
        self.full_history.append(full)
        self.seconds.append(time.perf_counter() - start)
        self.batch_splits.append(self.batch_split)
        if self.full is not None and self._is_kept(epoch):
            self.best_weights = self.full.snapshot()
            if self._keeps_predictions:
                self.best_predictions = {
                    metrics.fold: to_compact_logits(answers) for metrics, answers in trained
                }
        return self._result(epoch, folds, self.seconds[-1])

    def replay(self) -> Iterator[EpochResult]:
        """Yield the results of the epochs already trained, after loading a checkpoint.

        They repeat because the driver may have been killed before it received them.
        """
        for epoch, (folds, seconds) in enumerate(
            zip(self.history, self.seconds, strict=True), start=1
        ):
            result = self._result(epoch, folds, seconds)
            yield replace(result, replayed=True, machine=None)  # perhaps of another

    def _take_over(self, epoch: int) -> tuple[FoldMetrics, ...]:
        """Return an epoch of the folds that another trial has trained; they are the first."""
        trained = self.config.trained
        return () if trained is None else trained.epochs[epoch - 1]

    @property
    def _has_folds(self) -> bool:
        return bool(self.config.folds.folds)

    def _train(self, epoch: int) -> Iterator[Figures]:
        """Yield the training metrics of each fold's member, then of the full one."""
        members = [*self.members, *([] if self.full is None else [self.full])]
        if not self._graphed:  # one after the other, the next one once it is asked for
            return (member.train_epoch(epoch) for member in members)
        return iter(train_together(members, epoch))

    def _validate(self, member: Member, training: Figures) -> tuple[FoldMetrics, Answers]:
        """Return an epoch's metrics, and its answers on the held-out images."""
        assert member.fold is not None
        validation, answers = member.validate()
        if not math.isfinite(validation["loss"]):
            raise DivergedError
        metrics = FoldMetrics(fold=member.fold, training=training, validation=validation)
        return metrics, answers

    @property
    def _keeps_predictions(self) -> bool:
        num_images = sum(len(self.data.folds[fold]) for fold in self.config.folds_to_train)
        return is_held_out_kept(num_images, self.data.num_classes)

    def _is_kept(self, epoch: int) -> bool:
        """Return whether the full member's weights after ``epoch``, the latest, are the best."""
        if not self._has_folds:
            return self._is_over(epoch)
        return self._best_of_all_folds(self.history) == epoch

    def _is_over(self, epoch: int) -> bool:
        """Return whether the trial ends after ``epoch``: its last one, or patience ran out."""
        patience = self.config.settings.patience
        last = self.config.last_epoch or self.config.settings.epochs
        if epoch >= last or patience is None or epoch == 0 or not self._has_folds:
            return epoch >= last
        history = self.history[:epoch]
        # All folds decide the full member's weights, the search folds the value.
        latest_best = max(self._best_of_search_folds(history), self._best_of_all_folds(history))
        return epoch - latest_best >= patience

    def _meet_test_set(self) -> tuple[Figures | None, TestAnswers | None]:
        """Return the full member's figures and, if it is there for them, its single answers."""
        if self.full is None:
            return None, None
        assert self.best_weights is not None
        load_weights(self.full.model, self.best_weights)
        figures, answers = self.full.test()
        if self._has_folds:
            return figures, None
        return figures, keep_answers(answers, self.config.objective.metric)

    def _values(self, history: Sequence[tuple[FoldMetrics, ...]]) -> list[float]:
        return [self._mean(folds, self.config.folds.search_folds) for folds in history]

    def _best_of_search_folds(self, history: Sequence[tuple[FoldMetrics, ...]]) -> int:
        """Return the epoch of the trial's value.

        Other folds may keep a trial going. Epochs after the one at which the search folds alone
        would have ended it do not count, because no search trial gets that far.
        """
        values = self._values(history)
        patience = self.config.settings.patience
        if patience is not None:
            best = 0
            for index, value in enumerate(values):
                best = index if self._is_better(value, values[best]) else best
                if index - best >= patience:
                    return self._best(values[: index + 1])
        return self._best(values)

    def _is_better(self, value: float, other: float) -> bool:
        return value > other if self.config.objective.direction == "maximize" else value < other

    def _best_of_all_folds(self, history: Sequence[tuple[FoldMetrics, ...]]) -> int:
        return self._best([self._mean(folds, len(folds)) for folds in history])

    def _best(self, values: Sequence[float]) -> int:
        """Return the number, from 1, of the epoch that counts; of equals, the earliest."""
        if self.config.objective.at == "last":
            return len(values)
        better = max if self.config.objective.direction == "maximize" else min
        return values.index(better(values)) + 1

    def _metric(self, fold: FoldMetrics) -> float:
        return fold.validation[self.config.objective.metric]

    def _mean(self, folds: Sequence[FoldMetrics], count: int) -> float:
        return math.fsum(self._metric(fold) for fold in folds[:count]) / count

    def _result(
        self, epoch: int, folds: tuple[FoldMetrics, ...], seconds: float, *, diverged: bool = False
    ) -> EpochResult:
        history = self.history[:epoch] if self._has_folds else []
        values = self._values(history)
        best = self._best_of_search_folds(history) if values else 0
        fold_epoch = self._best_of_all_folds(history) if values else 0
        done = not diverged and self._is_over(epoch)
        test, answers = self._meet_test_set() if done else (None, None)
        return EpochResult(
            number=self.config.number,
            epoch=epoch,
            folds=folds,
            value=values[-1] if values else math.nan,
            best_value=values[best - 1] if values else math.nan,
            best_epoch=best,
            fold_values=tuple(map(self._metric, history[fold_epoch - 1])) if values else (),
            fold_epoch=fold_epoch,
            seconds=seconds,
            figures={**self._properties, **(self._measure("trial") if done else {})},
            done=done or diverged,
            diverged=diverged,
            full_training=None if diverged else self.full_history[epoch - 1],
            test=test,
            answers=answers,
            batch_split=self.batch_split if diverged else self.batch_splits[epoch - 1],
            machine=describe_machine(self.data.device),
        )

    def _measure(self, measured: Literal["trial", "model"]) -> dict[str, float]:
        member = self.members[0] if self.members else self.full
        assert member is not None
        model = MeasuredModel(model=member.model, config=self.config, data=self.data)
        return measure_model(model, measured, requested=self.config.measures)
