"""Files that optuna-dashboard offers with a study and its trials, made when one is opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from searchlab.config.documents import dump_yaml
from searchlab.config.metrics import get_metric
from searchlab.records.trial_record import CURVES
from searchlab.report.class_names import name_classes
from searchlab.report.configuration_text import write_configuration
from searchlab.report.dashboard.pictures import Line, Panel, draw_matrix, draw_panels
from searchlab.report.formatting import name_with_unit
from searchlab.report.kept_confusions import KeptConfusions, gather_confusions
from searchlab.report.leaderboard import list_rows
from searchlab.report.page.charts import COLORS, scale
from searchlab.report.page.report import write_report
from searchlab.report.trial_view import Curve, view_trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

    from searchlab.report.reading import StudyReading

__all__ = ["list_study_files", "list_trial_files", "make_study_file", "make_trial_file"]

_MOST_CLASSES = 60  # in a matrix that somebody can read


@dataclass(frozen=True, slots=True, kw_only=True)
class _TrialFile:
    """A file of a trial: its name, of which ``{}`` is the trial's number, and its type."""

    name: str
    mimetype: str
    make: Callable[[StudyReading, int], str]
    is_there: Callable[[FrozenTrial, bool], bool] = lambda trial, has_answers: True


@dataclass(frozen=True, slots=True, kw_only=True)
class _StudyFile:
    """A file of a study: its name and its type."""

    name: str
    mimetype: str
    make: Callable[[StudyReading], str]


def list_trial_files(trial: FrozenTrial, *, has_answers: bool, slot: int) -> dict[str, str]:
    """Return the system attributes by which the dashboard knows a trial's files.

    ``has_answers`` says whether the record keeps its answers, or those of its confirmations;
    ``slot`` is the run's number in the dashboard.
    """
    return dict(
        _describe(f"{slot:x}-{trial.number:x}-{index:x}", file.name.format(trial.number), file)
        for index, file in enumerate(_TRIAL_FILES)
        if file.is_there(trial, has_answers)
    )


def list_study_files(*, slot: int) -> dict[str, str]:
    """Return the system attributes by which the dashboard knows a study's own files."""
    return dict(
        _describe(f"{slot:x}-{index:x}", file.name, file) for index, file in enumerate(_STUDY_FILES)
    )


def _describe(key: str, name: str, file: _TrialFile | _StudyFile) -> tuple[str, str]:
    known = {"artifact_id": key, "filename": name, "mimetype": file.mimetype, "encoding": None}
    return f"artifacts:{key}", json.dumps(known)


def make_trial_file(reading: StudyReading, number: int, index: int) -> str:
    """Return a trial's file by its place in the list. Raises as ``find_trial``, or IndexError."""
    return _TRIAL_FILES[index].make(reading, reading.find_trial(number).number)


def make_study_file(reading: StudyReading, index: int) -> str:
    """Return a study's file by its place in the list. Raises IndexError if there is none."""
    return _STUDY_FILES[index].make(reading)


def _draw_curves(reading: StudyReading, number: int) -> str:
    view = view_trial(reading, number)
    recorded: dict[str, Any] = reading.trials[reading.records.index(view.record)].system_attrs.get(
        CURVES, {}
    )
    first = reading.spec.primary.metric
    panels = [
        Panel(
            title=name_with_unit(metric),
            lines=[*_list_lines(metric, view.curves), *_list_full(metric, recorded)],
        )
        for metric in dict.fromkeys((first, "loss"))
    ]
    drawn = [panel for panel in panels if panel.values]
    return draw_panels(drawn or panels[:1])


def _list_lines(metric: str, curves: Sequence[Curve]) -> list[Line]:
    return [
        Line(
            name=""
            if curve.fold is not None
            else "training"
            if curve.is_training
            else "validation",
            values=[scale(metric, value) for value in curve.values],
            color=COLORS[1] if curve.is_training else COLORS[0],
            is_thin=curve.fold is not None,
        )
        for curve in curves
        if curve.metric == metric
    ]


def _list_full(metric: str, recorded: dict[str, Any]) -> list[Line]:
    """Return the curve of the model on all training images, which has no validation."""
    values = recorded.get(f"full_train_{get_metric(metric).name}", [])
    return [
        Line(
            name="training, all images",
            values=[None if value is None else scale(metric, value) for value in values],
            color=COLORS[2],
        )
    ] * bool(values)


def _draw_confusion(reading: StudyReading, number: int) -> str:
    record = reading.find_trial(number)
    own = [record] if record.answers is not None else reading.records
    kept = gather_confusions(own)
    which = number if record.confirmation_of is None else record.confirmation_of
    return _draw_kept(reading, kept.get(which), f"#{number} {record.label}")


def _draw_kept(reading: StudyReading, kept: KeptConfusions | None, name: str) -> str:
    if kept is None or len(kept.counts) > _MOST_CLASSES:
        why = "no answers" if kept is None else f"{len(kept.counts)} classes, too many to draw"
        return draw_panels([Panel(title=f"{name}: {why}")])
    models = "1 model" if kept.num_models == 1 else f"mean of {kept.num_models} models"
    names = name_classes(reading.spec.dataset.name, len(kept.counts))
    return draw_matrix(kept.counts, names, f"{name}: test images, {models}")


def _write_configuration(reading: StudyReading, number: int) -> str:
    rows = list_rows(reading.records, reading.spec)
    return write_configuration(reading, next(row for row in rows if row.number == number))


_TRIAL_FILES = (
    _TrialFile(
        name="curves-{}.svg",
        mimetype="image/svg+xml",
        make=_draw_curves,
        is_there=lambda trial, _: bool(trial.system_attrs.get(CURVES) or trial.intermediate_values),
    ),
    _TrialFile(
        name="confusion-{}.svg",
        mimetype="image/svg+xml",
        make=_draw_confusion,
        is_there=lambda _, has_answers: has_answers,
    ),
    _TrialFile(name="configuration-{}.yaml", mimetype="text/plain", make=_write_configuration),
)
_STUDY_FILES = (
    _StudyFile(name="report.html", mimetype="text/html", make=write_report),
    _StudyFile(
        name="study.yaml",
        mimetype="text/plain",
        make=lambda reading: dump_yaml(reading.spec.to_data()),
    ),
)
