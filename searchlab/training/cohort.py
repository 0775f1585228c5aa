"""A cohort: the models of one trial, trained in lockstep, one epoch each in turn (DESIGN 5)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

from torch import Tensor

from searchlab.config.trial import TrialConfig
from searchlab.training.images import TrainingData
from searchlab.training.member import DivergedError, Member
from searchlab.training.results import EpochResult, FoldMetrics, TestMetrics

__all__ = ["Cohort"]


class Cohort:
    """Trains a trial. ``run_epoch`` until its result is done; state lives between the calls.

    The value of an epoch is the mean over the search folds; the full member keeps the weights of
    the epoch at which the mean over all of the cohort's folds was best, and meets the test set
    with them after the last epoch.
    """

    def __init__(self, config: TrialConfig, data: TrainingData) -> None:
        self.config = config
        self.members = [Member(config, data, fold) for fold in config.folds.folds]
        self.full = Member(config, data, None) if config.folds.test else None
        self.history: list[tuple[FoldMetrics, ...]] = []
        self.best_weights: dict[str, Tensor] | None = None

    @property
    def epoch(self) -> int:
        """Epochs finished so far."""
        return len(self.history)

    def run_epoch(self) -> EpochResult:
        """Train every member one epoch, validate the folds; after the last epoch, test."""
        assert self.epoch < self.config.epochs, "the trial has ended"
        start = time.perf_counter()
        epoch = self.epoch + 1
        try:
            folds = tuple(self._run_fold(member, epoch) for member in self.members)
            if self.full is not None:
                self.full.train_epoch(epoch)
        except DivergedError:
            return self._result(epoch, (), time.perf_counter() - start, diverged=True)
        self.history.append(folds)
        if self.full is not None and self._best_of_all_folds(self.history) == epoch:
            self.best_weights = self.full.snapshot()
        test = self._meet_test_set() if epoch == self.config.epochs else None
        return self._result(epoch, folds, time.perf_counter() - start, test=test)

    def replay(self) -> Iterator[EpochResult]:
        """Yield the results of the epochs already trained, as after loading a checkpoint.

        Whoever was to receive them may have been killed before it did.
        """
        for epoch, folds in enumerate(self.history, start=1):
            test = self._meet_test_set() if epoch == self.config.epochs else None
            yield self._result(epoch, folds, 0.0, test=test)

    def _run_fold(self, member: Member, epoch: int) -> FoldMetrics:
        assert member.fold is not None
        train_loss, train_accuracy = member.train_epoch(epoch)
        validation_loss, validation_accuracy = member.validate()
        if not math.isfinite(validation_loss):
            raise DivergedError
        return FoldMetrics(
            fold=member.fold,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
        )

    def _meet_test_set(self) -> TestMetrics | None:
        if self.full is None:
            return None
        assert self.best_weights is not None
        self.full.model.load_state_dict(self.best_weights)
        loss, accuracy = self.full.test()
        return TestMetrics(loss=loss, accuracy=accuracy)

    def _best_of_all_folds(self, history: Sequence[tuple[FoldMetrics, ...]]) -> int:
        return self._best([self._mean(folds, len(folds)) for folds in history])

    def _best(self, values: Sequence[float]) -> int:
        """Return the number, from 1, of the epoch that counts; the earliest of equals."""
        if self.config.objective.at == "last":
            return len(values)
        better = max if self.config.objective.direction == "maximize" else min
        return values.index(better(values)) + 1

    def _metric(self, fold: FoldMetrics) -> float:
        accuracy = self.config.objective.metric == "accuracy"
        return fold.validation_accuracy if accuracy else fold.validation_loss

    def _mean(self, folds: Sequence[FoldMetrics], count: int) -> float:
        return math.fsum(self._metric(fold) for fold in folds[:count]) / count

    def _result(
        self,
        epoch: int,
        folds: tuple[FoldMetrics, ...],
        seconds: float,
        *,
        diverged: bool = False,
        test: TestMetrics | None = None,
    ) -> EpochResult:
        history = self.history[:epoch]
        values = [self._mean(past, self.config.folds.search_folds) for past in history]
        best = self._best(values) if values else 0
        fold_epoch = self._best_of_all_folds(history) if values else 0
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
            num_parameters=self.members[0].count_parameters(),
            done=diverged or epoch == self.config.epochs,
            diverged=diverged,
            test=test,
        )
