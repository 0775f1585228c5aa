"""A study's trials, epochs and leaderboard as tables of pandas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from searchlab.config.metrics import COUNT, list_metrics
from searchlab.records.trial_record import CURVES
from searchlab.report.json_output import row_data
from searchlab.report.leaderboard import Leaderboard, Row, list_rows

if TYPE_CHECKING:
    from searchlab.report.reading import StudyReading

__all__ = ["epochs_frame", "leaderboard_frame", "trials_frame"]

_WHOLE = (
    "rank",
    "finalist_of",
    "same_as",
    *(m.stored_key for m in list_metrics() if m.unit is COUNT),
)
_MEASURED = {key for metric in list_metrics() for key in (metric.stored_key, metric.test_key)}


def trials_frame(reading: StudyReading) -> pd.DataFrame:
    """Return all trials by number."""
    rows = list_rows(reading.records, reading.spec)
    return _to_frame(
        rows, first=("number", "role", "label", "name", "state", "value", "cv_mean", "cv_std")
    )


def leaderboard_frame(board: Leaderboard) -> pd.DataFrame:
    """Return the rows of a leaderboard in its order."""
    return _to_frame(
        board.rows,
        first=("rank", "number", "label", "name", "role", "state", "cv_mean", "cv_std", "value"),
    )


def _to_frame(rows: Iterable[Row], *, first: tuple[str, ...]) -> pd.DataFrame:
    """Return a line for each row; metrics that none has are left out, parameters come last."""
    records = [_flatten(row) for row in rows]
    frame = pd.DataFrame(records, columns=None if records else list(first))
    unmeasured = [name for name in frame if name in _MEASURED and frame[name].isna().all()]
    frame = frame.drop(columns=unmeasured)
    frame = frame.astype({name: "Int64" for name in _WHOLE if name in frame})
    params = [name for name in frame if str(name).startswith("params.")]
    middle = [name for name in frame if name not in {*first, *params}]
    return frame[[*first, *middle, *params]]


def _flatten(row: Row) -> dict[str, Any]:
    data = row_data(row)
    assert data is not None
    for name in ("fold_values", "values"):  # in ``epochs``, and under the metrics' own names
        del data[name]
    params = data.pop("params")
    return {**data, **{f"params.{name}": value for name, value in params.items()}}


def epochs_frame(reading: StudyReading) -> pd.DataFrame:
    """Return a line for each fold and epoch of the trials that have ended."""
    parts = [pd.DataFrame(columns=["trial", "fold", "epoch"], dtype="int64")]
    for trial in reading.trials:
        curves: dict[str, list[Any]] = trial.system_attrs.get(CURVES, {})
        of_folds = {
            name: curve
            for name, curve in curves.items()
            if name != "seconds" and not name.startswith("full_")
        }
        for fold in range(max(map(len, of_folds.values()), default=0)):
            figures = {name: curve[fold] for name, curve in of_folds.items()}
            part = pd.DataFrame(figures)
            part.insert(0, "trial", trial.number)
            part.insert(1, "fold", fold)
            part.insert(2, "epoch", range(1, len(part) + 1))
            parts.append(part)
    return pd.concat(parts if len(parts) == 1 else parts[1:], ignore_index=True)
