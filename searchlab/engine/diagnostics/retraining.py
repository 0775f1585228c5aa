"""Training a kept model again, to look into it on the way."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from searchlab.engine.diagnostics.finished_study import FinishedStudy
from searchlab.records.trial_record import TrialRecord
from searchlab.training.member import DivergedError, Member
from searchlab.training.process import repeatable

__all__ = ["are_equal", "kept_epoch", "retrain"]

_SECONDS_SHOWN = 10.0  # between two epochs that are shown


def retrain(
    finished: FinishedStudy,
    record: TrialRecord,
    after_epoch: Callable[[int, nn.Module], None],
) -> dict[str, Tensor]:
    """Train a trial's full member again up to its kept epoch; return its weights and buffers.

    With the same draws and as many threads as then: on the same kind of machine the bits are those
    of the kept model. ``after_epoch`` is called before the first epoch too, as number 0, and must
    leave the model as it is. Raises StoppedError after a stop, ValueError if the loss is not
    finite here, InputError if the weights that it began with are gone.
    """
    config, num_epochs = finished.model(record.number).config, kept_epoch(record)
    num_threads = max(1, int(finished.spec.resources.cpus))
    if record.machines:
        num_threads = record.machines[-1].num_threads
    shown_at = time.monotonic()
    with repeatable(num_threads, finished.data.device):
        member = Member(config, finished.data, None, batch_split=record.batch_split)
        for epoch in range(num_epochs + 1):
            finished.check_stop()
            if time.monotonic() - shown_at >= _SECONDS_SHOWN:
                finished.show(f"#{record.number} {record.label}: epoch {epoch} of {num_epochs}")
                shown_at = time.monotonic()
            if epoch > 0:
                try:
                    member.train_epoch(epoch)
                except DivergedError:
                    raise ValueError(f"its loss is not finite in epoch {epoch}") from None
            after_epoch(epoch, member.model)
        return member.snapshot()


def kept_epoch(record: TrialRecord) -> int:
    """Return the epoch whose weights are kept: that which all folds chose together."""
    return record.epochs if record.fold_epoch is None else record.fold_epoch


def are_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Return whether two sets of weights and buffers are the same to the bit."""
    return one.keys() == other.keys() and all(
        torch.equal(value, other[name]) for name, value in one.items()
    )
