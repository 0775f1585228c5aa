"""The table of published figures beside ours, for terminals and for Markdown files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.padding import Padding
from rich.table import Table

from searchlab.config.metrics import Metric, list_metrics
from searchlab.report.formatting import MISSING
from searchlab.report.layout import Column, markdown_table, plain_text
from searchlab.report.published import NOT_RECORDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from searchlab.report.published import ComparedFigure, PublishedComparison

__all__ = [
    "PublishedTable",
    "name_figure",
    "print_published",
    "published_markdown",
    "published_table",
]

_FIGURES = {
    "train_loss": "training loss",
    "first_train_loss": "training loss, epoch 1",
    "seconds_per_epoch": "s an epoch",
    "seconds": "s in all",
    "images": "test images",
    "accuracy_deviation": "deviation of accuracy",
    "correlation_mean": "correlation, mean",
    "correlation_std": "correlation, std",
}
_DIGITS = {"seconds_per_epoch": 2, "seconds": 2, "images": 0, "accuracy_deviation": 6}
_SOURCES = {"test": "on the test set", "folds": "the mean over the folds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A figure as text. ``name`` is empty if it repeats the one above."""

    table: str
    name: str
    figure: str
    published: str
    ours: str
    difference: str
    other: str
    note: str

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            *(self.name, self.figure, self.published, self.ours, self.difference),
            *(self.other, self.note),
        )


_JUSTIFY: tuple[Literal["left", "right"], ...] = (
    "left", "left", "right", "right", "right", "right", "left",
)  # fmt: skip
_FIGURE_TITLES = ("published", "ours", "diff")
_INDENT = 2
_LEAST_NAME = 10


def print_published(console: Console, comparison: PublishedComparison) -> None:
    """Print every figure under the table that it stands in, and below what was wrong with them."""
    notes = _number_notes(comparison)
    lines = _write_lines(comparison, notes, repeat=False)
    titles = ("", "", *_FIGURE_TITLES, _other_source(comparison), "")
    rows = [line.cells for line in lines]
    kept = _list_filled(rows)
    widths = [max(len(row[index]) for row in (titles, *rows)) for index in kept]
    taken = sum(widths[1:]) + len(kept) - 1 + _INDENT
    widths[0] = min(widths[0], max(_LEAST_NAME, console.width - taken))
    console.print(plain_text(f"published: {comparison.source}", style="bold"))
    _print_rows(console, [titles], kept, widths, style="bold")
    for title, group in _group(lines):
        console.print(plain_text(title, style="bold"))
        _print_rows(console, [line.cells for line in group], kept, widths)
    console.print(plain_text(_explain(comparison), style="dim"))
    for text, number in notes.items():
        console.print(plain_text(f"({number}) {text}"))


def _print_rows(
    console: Console,
    rows: Sequence[tuple[str, ...]],
    kept: Sequence[int],
    widths: Sequence[int],
    *,
    style: str = "",
) -> None:
    """Print rows of one layout: every group is a table of its own, and they must line up."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=False, style=style)
    for column, width in zip(kept, widths, strict=True):
        # A narrow terminal folds long names; figures are never cut.
        table.add_column(justify=_JUSTIFY[column], width=width, overflow="fold", no_wrap=column > 0)
    for row in rows:
        table.add_row(*(plain_text(row[column]) for column in kept))
    console.print(Padding(table, (0, 0, 0, _INDENT), expand=False))


def _group(lines: Sequence[_Line]) -> list[tuple[str, list[_Line]]]:
    """Group the lines by table, in the order in which the tables first appear."""
    groups: dict[str, list[_Line]] = {}
    for line in lines:
        groups.setdefault(line.table, []).append(line)
    return list(groups.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """All figures as one table of text, what it says of them, and its numbered notes."""

    columns: list[Column]
    rows: list[list[str]]
    explanation: str
    notes: list[str]


def published_table(comparison: PublishedComparison) -> PublishedTable:
    """Return the figures as text, with columns that are empty left out."""
    notes = _number_notes(comparison)
    rows = [(line.table, *line.cells) for line in _write_lines(comparison, notes, repeat=True)]
    titles = ("in the report", "row", "figure", *_FIGURE_TITLES, _other_source(comparison), "note")
    columns: list[Column] = list(zip(titles, ("left", *_JUSTIFY), strict=True))
    kept = _list_filled(rows)
    return PublishedTable(
        columns=[columns[index] for index in kept],
        rows=[[row[index] for index in kept] for row in rows],
        explanation=_explain(comparison),
        notes=list(notes),
    )


def published_markdown(comparison: PublishedComparison) -> str:
    """Return the same as one Markdown table, with the notes under it."""
    table = published_table(comparison)
    text = f"published: {_one_line(comparison.source)}\n\n"
    text += f"{markdown_table(table.columns, table.rows)}\n{table.explanation}\n"
    if table.notes:
        numbered = enumerate(table.notes, start=1)
        text += "\n" + "".join(f"{number}. {note}\n" for number, note in numbered)
    return text


def _list_filled(rows: Sequence[tuple[str, ...]]) -> list[int]:
    """Return the columns that are not empty: there may be no difference, or no note."""
    return [index for index, cells in enumerate(zip(*rows, strict=True)) if any(cells)]


def _one_line(text: str) -> str:
    """Join what a YAML block broke into lines, which would end a Markdown row or list item."""
    return " ".join(text.split())


def _number_notes(comparison: PublishedComparison) -> dict[str, int]:
    texts = (_one_line(figure.wrong) for figure in comparison.figures)
    return {text: number for number, text in enumerate(dict.fromkeys(filter(None, texts)), start=1)}


def _explain(comparison: PublishedComparison) -> str:
    """Say what ours are measured on; a figure that differs says so itself."""
    figures = comparison.figures
    ours = "ours and diff" if _has_differences(comparison) else "ours"
    text = f"{ours}: {_SOURCES[_usual_source(comparison)]}, unless a row says otherwise."
    if comparison.differs:
        text += f" Not comparable, because ours differ: {_one_line(comparison.differs)}."
    if _has_others(comparison):
        other = _other_source(comparison)
        text += f" {other}: {_SOURCES[other]}, of the same trial."
    if any(figure.std is not None or figure.ours_folds_std is not None for figure in figures):
        text += " ±: standard deviation over the folds."
    if any(figure.ours_folds is not None and figure.ours_folds_std is None for figure in figures):
        text += " A mean over the folds without ± is of one fold."
    if any(figure.figure == "train_loss" for figure in figures):
        text += (
            " training loss: in the last epoch unless it says epoch 1, of the model trained on all "
            "training images, or of a fold's model if the row is a fold's."
        )
    if any(figure.missing == NOT_RECORDED for figure in figures):
        text += f" {NOT_RECORDED}: the run is of a searchlab that kept only the folds' losses."
    if any(figure.ours is None and not figure.missing for figure in figures):
        text += f" {MISSING}: not reproduced, or no result."
    why = _one_line(comparison.why)
    return f"{text} {why}" if why else text


def _usual_source(comparison: PublishedComparison) -> str:
    sources = [figure.source for figure in comparison.figures if figure.source in ("test", "folds")]
    return max(sources, key=sources.count) if sources else "test"


def _other_source(comparison: PublishedComparison) -> str:
    return "folds" if _usual_source(comparison) == "test" else "test"


def _other_measure(figure: ComparedFigure) -> float | None:
    """Return what ours is by the measure that ``diff`` is not taken from."""
    return figure.ours_folds if figure.source == "test" else figure.ours_test


def _has_differences(comparison: PublishedComparison) -> bool:
    return any(figure.difference is not None for figure in comparison.figures)


def _has_others(comparison: PublishedComparison) -> bool:
    return any(_other_measure(figure) is not None for figure in comparison.figures)


def _write_lines(
    comparison: PublishedComparison, notes: dict[str, int], *, repeat: bool
) -> list[_Line]:
    usual, digits = _usual_source(comparison), _count_digits(comparison)
    lines: list[_Line] = []
    above: tuple[str, str] | None = None
    for figure in comparison.figures:
        place = (_one_line(figure.table), _one_line(figure.name))
        note = notes.get(_one_line(figure.wrong))
        is_repeated = place == above and not repeat
        lines.append(
            _Line(
                table=place[0],
                name="" if is_repeated else place[1],
                figure=_name_figure(figure, usual),
                published=_write_published(figure, digits[figure.table, figure.figure]),
                ours=_write_ours(figure),
                difference=_write_difference(figure),
                other=_write_other(figure, usual),
                note="" if note is None or is_repeated else f"({note})",
            )
        )
        above = place
    return lines


def _count_digits(comparison: PublishedComparison) -> dict[tuple[str, str], int]:
    """Return the decimals that a report gives a figure in one of its tables: YAML drops zeros."""
    digits: dict[tuple[str, str], int] = {}
    for figure in comparison.figures:
        key, decimals = (figure.table, figure.figure), str(figure.published).partition(".")[2]
        digits[key] = max(digits.get(key, 0), len(decimals))
    return digits


def _write_published(figure: ComparedFigure, digits: int) -> str:
    value = figure.published
    if figure.source == "search" or not isinstance(value, (int, float)) or "e" in str(value):
        return str(value)
    return f"{value:.{digits}f}"


def name_figure(figure: ComparedFigure) -> str:
    """Name a figure with its unit."""
    metric = _find_metric(figure)
    if metric is not None:
        return f"{metric.label} {metric.unit.symbol}".rstrip()
    return _FIGURES.get(figure.figure, figure.figure)


def _name_figure(figure: ComparedFigure, usual: str) -> str:
    name = name_figure(figure)
    if figure.source in ("test", "folds") and figure.source != usual:
        name += f", {figure.source}"
    return name


def _write_ours(figure: ComparedFigure) -> str:
    if figure.source == "search" and figure.ours is not None:
        return f"{figure.ours:.4g}" if isinstance(figure.ours, float) else str(figure.ours)
    if figure.missing:
        return figure.missing
    return _write_spread(figure, figure.ours, figure.std)


def _write_other(figure: ComparedFigure, usual: str) -> str:
    """Write the other measure, with its name if the column's title is another."""
    value = _other_measure(figure)
    if value is None:
        return ""
    if figure.source != usual:
        return f"{'folds' if figure.source == 'test' else 'test'} {_write(figure, value)}"
    return _write_spread(figure, value, figure.ours_folds_std if usual == "test" else None)


def _write_spread(figure: ComparedFigure, value: object, std: float | None) -> str:
    text = _write(figure, value)
    return text if std is None else f"{text} ± {_write(figure, std)}"


def _write_difference(figure: ComparedFigure) -> str:
    return "" if figure.difference is None else _write(figure, figure.difference, "+")


def _write(figure: ComparedFigure, value: object, sign: str = "") -> str:
    if not isinstance(value, (int, float)):
        return MISSING
    metric = _find_metric(figure)
    digits = _DIGITS.get(figure.figure, 4)
    if metric is not None:
        digits = metric.unit.decimals
    return f"{value:{sign}.{digits}f}"


def _find_metric(figure: ComparedFigure) -> Metric | None:
    return next((metric for metric in list_metrics() if metric.name == figure.figure), None)
