"""Tables on stdout: drawn by rich on a terminal, as plain aligned columns elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from searchlab.cli.terminal import make_console
from searchlab.control_characters import escape_line

__all__ = ["print_table"]


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headers; every row has as many cells as there are headers."""
    if sys.stdout.isatty():
        _print_rich(headers, rows)
        return
    lines = [[escape_line(cell) for cell in line] for line in (headers, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


def _print_rich(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.table import Table

    from searchlab.report.layout import plain_text

    table = Table(box=box.SIMPLE_HEAD)
    for header in headers:
        table.add_column(header, overflow="fold")  # rather than cut off with an ellipsis
    for row in rows:
        table.add_row(*(plain_text(cell) for cell in row))
    make_console().print(table)
