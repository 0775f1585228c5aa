"""What optuna-dashboard says of a study and its trials, in Markdown: the leaderboard's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from searchlab.config.metrics import get_metric
from searchlab.control_characters import escape_line
from searchlab.report.board_table import board_table
from searchlab.report.formatting import (
    format_mean_std,
    format_seconds,
    format_value,
    name_with_unit,
)
from searchlab.report.leaderboard import Row, build_leaderboard, list_rows
from searchlab.report.status import read_status
from searchlab.report.verdict import reach_verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from searchlab.config.study import StudySpec
    from searchlab.report.reading import StudyReading
    from searchlab.study.trial_record import TrialRecord

__all__ = ["write_board", "write_study_note", "write_trial_notes"]

_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|<>~&$:])")


def write_study_note(reading: StudyReading) -> str:
    """Return the verdict, how far the study is, and the leaderboard."""
    return write_board(reading.records, reading.spec, status=read_status(reading).unfinished)


def write_board(records: Sequence[TrialRecord], spec: StudySpec, *, status: str = "") -> str:
    """Return the verdict and the leaderboard, with ``status`` between them."""
    board = build_leaderboard(records, spec)
    verdict = reach_verdict(board, records, spec)
    columns, rows = board_table(board)
    rules = ["---:" if justify == "right" else "---" for _, justify in columns]
    body = [[_plain(cell) for cell in line] for line in ([title for title, _ in columns], *rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in (body[0], rules, *body[1:]))
    parts = [
        f"**{_plain(verdict.text)}.** {_plain(' '.join(verdict.details))}".strip(),
        status,
        f"{_plain(name_with_unit(board.metric))}, by rank:\n\n{table}",
    ]
    return "\n\n".join(part for part in parts if part)


def write_trial_notes(reading: StudyReading) -> Mapping[int, str]:
    """Return a note for each trial by its number: what it is, its figures, and why it ended."""
    ranks = {row.number: row.rank for row in build_leaderboard(reading.records, reading.spec).rows}
    rows = list_rows(reading.records, reading.spec)
    return {
        row.number: _write_trial(reading, row, record, ranks.get(row.number))
        for row, record in zip(rows, reading.records, strict=True)
    }


def _write_trial(reading: StudyReading, row: Row, record: TrialRecord, rank: int | None) -> str:
    metric = reading.spec.primary.metric
    head = f"**{row.role}** {_plain(row.name)}" + ("" if rank is None else f", rank {rank}")
    figures = [
        ("search folds", format_value(metric, row.value) if row.value is not None else ""),
        (
            f"{reading.spec.validation.folds} folds",
            format_mean_std(metric, row.cv_mean, row.cv_std, unit=True)
            if row.cv_mean is not None
            else "",
        ),
        (
            "test",
            format_value(metric, row.test_figures[metric]) if metric in row.test_figures else "",
        ),
    ]
    label = get_metric(metric).label
    told = ", ".join(f"{where} {_plain(figure)}" for where, figure in figures if figure)
    lines = [head, f"{label}: {told}" if told else "", _plain(_describe_origin(record))]
    lines.append(_plain(_describe_end(row, record)))
    return "\n\n".join(line for line in lines if line)


def _describe_origin(record: TrialRecord) -> str:
    if record.finalist_of is not None:
        return f"Search trial #{record.finalist_of} on all folds."
    if record.confirmation_of is not None:
        return f"Repeat {record.repeat} of trial #{record.confirmation_of} on all training images."
    return ""


def _describe_end(row: Row, record: TrialRecord) -> str:
    epochs = "1 epoch" if row.epochs == 1 else f"{row.epochs} epochs"
    spent = f"after {epochs} and {format_seconds(row.seconds)} s"
    if record.state in ("RUNNING", "WAITING"):
        return f"Not ended yet ({record.state.lower()}), {spent}."
    if record.state == "COMPLETE":
        return f"Trained to its end, {spent}."
    why = record.stop_reason or "error"
    return f"Ended ({why}) {spent}" + (f": {record.error}." if record.error else ".")


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKS.sub(r"\\\1", escape_line(text))
