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
from searchlab.report.leaderboard import build_leaderboard
from searchlab.report.verdict import reach_verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from searchlab.config.study import StudySpec
    from searchlab.records.trial_record import TrialRecord
    from searchlab.report.leaderboard import Leaderboard, Row
    from searchlab.report.page.findings import Findings
    from searchlab.report.verdict import Verdict

__all__ = ["describe_end", "write_board", "write_study_note", "write_trial_note"]

_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|<>~&$:])")
# What the dashboard makes a link of, escaped or not: it looks at the text that is to be shown.
_LINKS = re.compile(r"(?i)(?<=www)(?=\.)|(?=://)|(?=@)")
_WORD_JOINER = "\u2060"  # invisible


def write_study_note(found: Findings, *, beside: Sequence[str]) -> str:
    """Return the verdict, how far the study is, the leaderboard, and what is shown ``beside``."""
    parts = [
        _write_board(found.board, found.verdict, status=found.status.unfinished),
        _plain(_explain_values(found)),
        _plain(f"Each role alone: {', '.join(beside)}.") if beside else "",
    ]
    return "\n\n".join(part for part in parts if part)


def write_board(records: Sequence[TrialRecord], spec: StudySpec) -> str:
    """Return the verdict and the leaderboard."""
    board = build_leaderboard(records, spec)
    return _write_board(board, reach_verdict(board, records, spec))


def _write_board(board: Leaderboard, verdict: Verdict, *, status: str = "") -> str:
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


def _explain_values(found: Findings) -> str:
    """Say what the dashboard's values are."""
    board = found.board
    if len(board.metrics) > 1 or not any(row.cv_mean is not None for row in board.rows):
        return ""
    searched = "1 fold" if board.search_folds == 1 else f"{board.search_folds} folds"
    return (
        f"The value of a search trial is its mean over {searched}, that of a ranked trial its mean "
        f"over all {board.num_folds}; that of a confirmation is of the test set."
    )


def write_trial_note(found: Findings, row: Row, record: TrialRecord) -> str:
    """Return what a trial is, its figures, and why it ended."""
    metric = found.board.metric
    head = f"**{row.role}** {_plain(row.name)}" + ("" if row.rank is None else f", rank {row.rank}")
    figures = [
        ("search folds", format_value(metric, row.value) if row.value is not None else ""),
        (
            f"{found.board.num_folds} folds",
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
    ended = describe_end(record)
    epochs = "1 epoch" if row.epochs == 1 else f"{row.epochs} epochs"
    spent = f"after {epochs} and {format_seconds(row.seconds)} s"
    lines.append(_plain(f"{ended[0].upper()}{ended[1:]}, {spent}."))
    return "\n\n".join(line for line in lines if line)


def _describe_origin(record: TrialRecord) -> str:
    if record.finalist_of is not None:
        return f"Search trial #{record.finalist_of} on all folds."
    if record.confirmation_of is not None:
        return f"Repeat {record.repeat} of trial #{record.confirmation_of} on all training images."
    return ""


def describe_end(record: TrialRecord) -> str:
    """Return how a trial ended, and why."""
    if record.state in ("RUNNING", "WAITING"):
        return f"not ended yet ({record.state.lower()})"
    if record.state == "COMPLETE":
        return "trained to its end"
    if record.state == "PRUNED":
        return record.stop_reason or "pruned"
    return f"failed ({record.stop_reason or 'error'})" + (
        f": {record.error}" if record.error else ""
    )


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKS.sub(r"\\\1", _LINKS.sub(_WORD_JOINER, escape_line(text)))
