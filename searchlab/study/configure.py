"""From a trial's point to the one thing that is sent to a worker."""

from __future__ import annotations

from searchlab.config.baselines import BaselineRow
from searchlab.config.study import StudySpec
from searchlab.config.trial import FoldPlan, Role, TrialConfig
from searchlab.study.plan import baseline_key
from searchlab.study.resolve import resolve
from searchlab.study.space.points import Point

__all__ = ["make_config", "mean_epochs", "plan_folds"]


def make_config(
    spec: StudySpec, point: Point, *, number: int, role: Role, plan_key: object
) -> TrialConfig:
    """Return what a worker trains for ``point``; ``plan_key`` tells which baseline it is."""
    row = _find_row(spec, plan_key) if role == "baseline" else None
    resolved = resolve(point, spec.training if row is None else spec.baseline_training(row))
    settings = resolved.settings
    return TrialConfig(
        number=number,
        seed=spec.search.seed,
        role=role,
        dataset=spec.dataset.name,
        normalize=spec.dataset.normalize,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        model=resolved.model,
        optimizer=resolved.optimizer,
        schedule=resolved.schedule,
        augment=resolved.augment,
        label_smoothing=settings.label_smoothing,
        adversarial=resolved.adversarial,
        robustness=None if spec.robustness is None else spec.robustness.to_config(),
        patience=settings.patience,
        precision=settings.precision,
        measures=tuple(one.metric for one in spec.objective if one.entry.on_request),
        initial_weights=spec.baselines.weights if row in spec.baseline_grid else None,
        objective=spec.primary.to_config(),
        folds=plan_folds(spec, role, row),
    )


def plan_folds(spec: StudySpec, role: Role, row: BaselineRow | None = None) -> FoldPlan:
    """Return the members of a role's trials: search trials train on the search folds alone."""
    validation = spec.validation
    asked = spec.baselines.folds if row is None or row.folds is None else row.folds
    everywhere = role == "finalist" or (role == "baseline" and asked == "all")
    return FoldPlan(
        num_folds=validation.folds,
        folds=tuple(range(validation.folds if everywhere else validation.search_folds)),
        search_folds=validation.search_folds,
        test=role != "search",
    )


def _find_row(spec: StudySpec, plan_key: object) -> BaselineRow:
    return next(row for row in spec.baseline_rows if baseline_key(row) == plan_key)


def mean_epochs(spec: StudySpec, role: Role) -> float:
    """Return the epochs that a trial of ``role`` is to train, on average over the baselines."""
    rows = spec.baseline_rows
    if role != "baseline" or not rows:
        return spec.training.epochs
    return sum(spec.baseline_training(row).epochs for row in rows) / len(rows)
