"""How a trial ends, and what its record gets then: user attributes and learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from searchlab.config.metrics import Figures, get_metric
from searchlab.records import trial_record as attr
from searchlab.study.objective_values import trial_figures
from searchlab.training.results import EpochResult

__all__ = [
    "TrialOutcome",
    "decide_outcome",
    "end_attributes",
    "fail",
    "learning_curves",
    "list_machines",
]

FailReason = Literal["error", "oom", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """A trial's last state with its reason; ``error`` is of a trial that failed."""

    state: Literal["COMPLETE", "PRUNED", "FAIL"]
    reason: str | None = None
    error: str | None = None


def fail(error: str, reason: FailReason = "error") -> TrialOutcome:
    """Return the outcome of a trial that could not be trained. A ``lost`` one is run again."""
    return TrialOutcome(state="FAIL", reason=reason, error=error)


def decide_outcome(last: EpochResult | None, *, pruned: bool) -> TrialOutcome:
    """Return how a trial ends after its last result, if it had one (docs/design.md, decision 3)."""
    if last is None or not (last.done or pruned):
        return fail("the worker ended without a final result")
    if last.diverged:
        return TrialOutcome(state="PRUNED", reason="diverged")
    return (
        TrialOutcome(state="PRUNED", reason="pruned") if pruned else TrialOutcome(state="COMPLETE")
    )


def end_attributes(
    results: Mapping[int, EpochResult], outcome: TrialOutcome, *, search_folds: int
) -> dict[str, object]:
    """Return the user attributes of a trial that ended after ``results``, by epoch."""
    attributes: dict[str, object] = {}
    if outcome.reason is not None:
        attributes[attr.STOP_REASON] = outcome.reason
    if outcome.error is not None:
        attributes[attr.ERROR] = outcome.error
    if results:
        last = results[max(results)]
        seconds = math.fsum(result.seconds for result in results.values())
        attributes[attr.EPOCHS] = last.epoch
        attributes[attr.SECONDS] = round(seconds, 3)
        if last.fold_values:
            attributes[attr.FOLD_VALUES] = list(last.fold_values)
            attributes[attr.FOLD_EPOCH] = last.fold_epoch
        figures = _collect_figures(results, search_folds=search_folds)
        attributes[attr.FIGURES] = figures
        attributes |= {key: figures[key] for key in attr.OWN_ATTRIBUTES if key in figures}
        if last.folds:
            losses = [fold.training["loss"] for fold in last.folds]
            attributes[attr.TRAIN_LOSS] = math.fsum(losses) / len(losses)
        if last.batch_split > 1:
            attributes[attr.BATCH_SPLIT] = last.batch_split
    return attributes


def _collect_figures(results: Mapping[int, EpochResult], *, search_folds: int) -> dict[str, float]:
    figures = trial_figures(results, search_folds=search_folds)
    test = results[max(results)].test or {}
    return {
        **{get_metric(name).stored_key: figure for name, figure in figures.items()},
        **{get_metric(name).test_key: figure for name, figure in test.items()},
    }


def learning_curves(results: Mapping[int, EpochResult]) -> dict[str, list[Any]]:
    """Return each figure's values by fold and epoch; the full member's and the seconds by epoch.

    They are exact, because a finalist takes over those of its search trial.
    """
    trained = [results[epoch] for epoch in sorted(results) if not results[epoch].diverged]
    curves: dict[str, list[Any]] = {}
    for fold in range(len(trained[0].folds)) if trained else ():
        epochs = [result.folds[fold] for result in trained]
        for name in epochs[0].training:
            curve = [epoch.training[name] for epoch in epochs]
            curves.setdefault(f"train_{name}", []).append(curve)
        for name in epochs[0].validation:
            curve = [epoch.validation[name] for epoch in epochs]
            curves.setdefault(get_metric(name).curve_key, []).append(curve)
    return {
        **curves,
        **_full_curves([result.full_training for result in trained]),
        "seconds": [round(result.seconds, 3) for result in trained],
    }


def list_machines(results: Mapping[int, EpochResult]) -> list[dict[str, Any]]:
    """Return each machine on which the epochs were trained, in order."""
    known = (results[epoch].machine for epoch in sorted(results))
    return [asdict(machine) for machine in dict.fromkeys(known) if machine is not None]


def _full_curves(epochs: Sequence[Figures | None]) -> dict[str, list[float | None]]:
    """Return the full member's curves, None in epochs of which its figures were not kept."""
    names = next((list(known) for known in epochs if known is not None), [])
    return {
        f"full_train_{name}": [None if known is None else known[name] for known in epochs]
        for name in names
    }
