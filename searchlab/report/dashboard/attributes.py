"""User attributes as people read them: of a trial and of a study, for optuna-dashboard's tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from searchlab.config.metrics import get_metric
from searchlab.records import trial_record as attr
from searchlab.report.dashboard.notes import describe_end
from searchlab.report.formatting import name_with_unit

if TYPE_CHECKING:
    from searchlab.config.study import StudySpec
    from searchlab.records.trial_record import TrialRecord
    from searchlab.report.leaderboard import Leaderboard, Row

__all__ = ["list_study_attributes", "list_trial_attributes"]

# What the record has for searchlab itself. The rest is the user's own, and shown as it is.
_OF_TRIAL = frozenset(
    {
        attr.ROLE, attr.LABEL, attr.SCHEME, attr.PLAN, attr.FINALIST_OF, attr.CONFIRMATION_OF,
        attr.CONFIRMED_PLAN, attr.REPEAT, attr.LAST_EPOCH, attr.FOLD_EPOCH, attr.FOLD_VALUES,
        attr.EPOCHS, attr.SECONDS, attr.STOP_REASON, attr.RETRY_OF, attr.BATCH_SPLIT, attr.NODE,
        attr.ERROR, attr.TRAIN_LOSS, attr.FIGURES, attr.SAME_AS, *attr.OWN_ATTRIBUTES,
    }
)  # fmt: skip
_OF_STUDY = frozenset(
    {
        attr.SPEC, attr.VERSION, attr.DATA_FINGERPRINT, attr.PLUGINS, attr.PROGRESS,
        attr.HOSTS_LOST, attr.EVALUATIONS,
    }
)  # fmt: skip


def list_trial_attributes(
    row: Row, record: TrialRecord, board: Leaderboard, stored: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a trial is and came to. Figures stay numbers, so that they sort and plot."""
    found: dict[str, Any] = {
        "role": row.role,
        "model": row.name,
        "rank": row.rank,
        **_list_figures(row, board),
        "epochs": row.epochs,
        "seconds": round(row.seconds, 1),
        "ended": describe_end(record),
        "scheme": record.scheme,
        "repeats trial": record.finalist_of or record.confirmation_of,
        "has the result of trial": record.same_as,
        "repeat": record.repeat or None,
        "runs again trial": record.retry_of,
        "batches split into": stored.get(attr.BATCH_SPLIT),
        "machine": "; ".join(map(str, record.machines)) or None,
        "host": stored.get(attr.NODE),
    }
    own = {key: value for key, value in stored.items() if key not in _OF_TRIAL}
    return {**{key: value for key, value in found.items() if value is not None}, **own}


def _list_figures(row: Row, board: Leaderboard) -> dict[str, float | None]:
    first, name = board.metric, name_with_unit(board.metric)
    unit = get_metric(first).unit
    figures: dict[str, float | None] = {}
    if row.role != "confirmation":
        figures[f"{name}, search folds"] = _scale(first, row.value)
    figures[f"{name}, {board.num_folds} folds"] = _scale(first, row.cv_mean)
    if row.cv_std is not None:
        figures[f"{name}, spread"] = round(unit.scale * row.cv_std, unit.spread_decimals)
    figures[f"{name}, test"] = _scale(first, row.test_figures.get(first))
    for other in board.further_metrics:
        where = ", search folds" if get_metric(other).is_of_folds else ""
        figures[f"{name_with_unit(other)}{where}"] = _scale(other, row.figures.get(other))
        if where:
            figures[f"{name_with_unit(other)}, test"] = _scale(other, row.test_figures.get(other))
    return figures


def _scale(metric: str, value: float | None) -> float | None:
    unit = get_metric(metric).unit
    return None if value is None else round(unit.scale * value, unit.decimals or None)


def list_study_attributes(spec: StudySpec, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a study asks for, a line for each part, and what it was run with."""
    search, validation = spec.search, spec.validation
    trials = "all" if search.trials is None else search.trials
    found: dict[str, Any] = {
        "dataset": spec.dataset.name,
        "objective": ", ".join(f"{one.direction} {one.metric}" for one in spec.objective),
        "search": f"{trials} trials by {search.sampler}, seed {search.seed}",
        "pruner": search.pruner,
        "folds": f"{validation.folds}, of which the search uses {validation.search_folds}",
        "epochs": spec.training.epochs,
        "baselines": ", ".join(row.name for row in spec.baseline_rows) or "none",
        "finalists": f"the best {spec.confirm.top} of the search, on all folds",
        "plugins": ", ".join(stored.get(attr.PLUGINS, ())) or None,
        "hosts lost": ", ".join(stored.get(attr.HOSTS_LOST, ())) or None,
        "fingerprint of the images": stored.get(attr.DATA_FINGERPRINT),
        "searchlab": stored.get(attr.VERSION),
    }
    own = {key: value for key, value in stored.items() if key not in _OF_STUDY}
    return {**{key: value for key, value in found.items() if value is not None}, **own}
